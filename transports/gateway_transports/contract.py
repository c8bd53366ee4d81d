"""What a transport is: a `Dialer` gives a `Stream`. Any pair of objects that keeps these promises can carry a shard.

`gateway_transports.conformance` tests each promise; point it at yours.
"""

from typing import Final, Protocol

RECEIVE_SIZE: Final = 65536
"""Bytes that the drivers here ask for at once; larger ones gain nothing (four TLS records)."""


class Stream(Protocol):
    """A connected stream of bytes, both ways. At most one `receive` and one `send` run at the same time."""

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Wait for at least one byte and return what is there, at most `max_bytes` (≥ 1); `b""` at the end, for ever.

        A cancelled `receive` loses nothing: the next one returns the bytes that this one would have. It goes on while
        a `send` waits for the peer.

        Raises:
            StreamError: reset, damaged, or closed on this side (also while this call waits).
        """
        ...

    async def send(self, data: bytes) -> None:
        """Hand over all of `data`, which may be empty. Waits while the peer does not read: what it buffers is bounded.

        A `send` that is cancelled may have sent some of it, and what would follow would make no sense: it closes the
        stream, as `aclose`, before it ends. Waits are what deadlines are for, not sends.

        Raises:
            StreamError: the peer is gone, or this side is closed (also while this call waits). What came before that
                can still be received, where the transport has it.
        """
        ...

    async def send_eof(self) -> None:
        """Say that nothing more will be sent: the peer's `receive` gives `b""` after all data. Receiving goes on.

        Raises:
            StreamError: as for `send`. A second call does nothing.
        """
        ...

    async def aclose(self) -> None:
        """Close at once, both ways. Never waits for the peer, so that it can be called anywhere (F26).

        It does its work even in a cancelled scope, raises nothing but the cancellation, may be called twice, and ends
        a `receive` and a `send` that wait in other tasks with `StreamError`. What was sent before is still delivered
        if everything received was read; otherwise the peer may see a reset.
        """
        ...


class Dialer(Protocol):
    """Opens streams."""

    async def dial(self, host: str, port: int, *, tls: bool) -> Stream:
        """Connect, with verified TLS for `host` if `tls`. A cancelled dial ends promptly and leaves nothing open.

        There is no time limit in here: whoever dials has one.

        Args:
            host: a name, or an address without brackets.

        Raises:
            ConnectError: with one readable line.
        """
        ...
