"""Everything of gateway-proto that touches the world: sockets, clocks, TLS. The engine itself is `gateway_proto`.

`gateway_transports.anyio.open_shard` runs a shard, `gateway_transports.serve` the embedded gateway,
`gateway_transports.memory` both without a network and in virtual time. `Stream` and `Dialer` are what a transport
fulfils; `gateway_transports.conformance` tests one of yours.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock, SystemClock
    from .contract import Dialer, Stream
    from .errors import (
        CertificateError,
        ListenError,
        ResolveError,
        SlowConsumerError,
        StreamError,
        TlsError,
    )
else:

    def __getattr__(name: str) -> object:
        """Import what is asked for: every pytest of an environment imports this package, for its plugin."""
        from importlib import import_module

        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
        return value

    _HOMES = {
        **dict.fromkeys(("Clock", "SystemClock"), "clock"),
        **dict.fromkeys(("Dialer", "Stream"), "contract"),
        **dict.fromkeys(
            ("CertificateError", "ListenError", "ResolveError", "SlowConsumerError", "StreamError", "TlsError"),
            "errors",
        ),
    }

__all__ = [
    "CertificateError",
    "Clock",
    "Dialer",
    "ListenError",
    "ResolveError",
    "SlowConsumerError",
    "Stream",
    "StreamError",
    "SystemClock",
    "TlsError",
]
