"""What a WebSocket client tells its owner, and the Protocol behind which it stands."""

from typing import Protocol, TypeAlias

import msgspec

from ..errors import BrokenStreamError, InvalidHandshakeError

Message: TypeAlias = tuple[bool, bytes]
"""A whole message: (is it TEXT, its payload). A bare tuple: one is made for every event, and a Struct costs 40 ns more.
The payload of a TEXT message is valid UTF-8."""


class Opened(msgspec.Struct, frozen=True):
    """The upgrade was accepted (RFC 6455 section 4.1)."""


class Refused(msgspec.Struct, frozen=True):
    """The upgrade was refused, or the answer was not HTTP."""

    error: InvalidHandshakeError


class CloseReceived(msgspec.Struct, frozen=True):
    """The peer's close frame; `code` is None when it had none (RFC 6455 section 7.1.5)."""

    code: int | None
    reason: str


class Broken(msgspec.Struct, frozen=True):
    """The peer broke the protocol or a bound; nothing after it is read."""

    error: BrokenStreamError


WsEvent: TypeAlias = Message | Opened | Refused | CloseReceived | Broken


class WsClient(Protocol):
    """A WebSocket client without I/O: bytes in, whole messages and the close out; messages in, bytes out.

    The engine's own is `WebSocketClient`. Anything that fulfils this can take its place.
    """

    @property
    def buffered(self) -> int:
        """Bytes kept of a message that is not whole yet."""

    def receive_data(self, data: bytes) -> list[WsEvent]:
        """Take bytes in any chunking. Never raises for what they are; silent after a close, a fault or a refusal."""

    def send_message(self, payload: bytes) -> None:
        """Frame a TEXT message; its bytes come out of `data_to_send`."""

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close frame. Nothing is framed after it."""

    def data_to_send(self) -> bytes:
        """Drain what is to be written: the upgrade request, frames, answers to PINGs."""
