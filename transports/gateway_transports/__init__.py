"""Everything of gateway-proto that touches the world: sockets, clocks, TLS. The engine itself is `gateway_proto`.

`gateway_transports.anyio.open_shard` runs a shard, `gateway_transports.serve` the embedded gateway,
`gateway_transports.memory` both without a network and in virtual time. `Stream` and `Dialer` are what a transport
fulfils; `gateway_transports.conformance` tests one of yours.
"""

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
