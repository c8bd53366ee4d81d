"""The engine's own `WsClient`: the handshake, then frames."""

import random

from ..url import GatewayUrl
from .events import Opened, WsEvent
from .frames import FrameOpcode, close_payload, encode_frame
from .lane import FrameReader
from .upgrade import UpgradeRequest


class WebSocketClient:
    """One WebSocket connection, client side, without I/O. Fulfils `WsClient`.

    Args:
        url: where the socket leads.
        parameters: appended to the URL's query (v, encoding, compress).
        rng: keys and masks are drawn from it.
        max_message: bytes of one message on the wire.
        max_response: bytes of the header of the answer to the upgrade.
    """

    def __init__(
        self,
        url: GatewayUrl,
        parameters: dict[str, str],
        *,
        user_agent: str,
        rng: random.Random,
        max_message: int,
        max_response: int,
    ) -> None:
        self._rng = rng
        self._reader = FrameReader(max_message)
        self._upgrade: UpgradeRequest | None = UpgradeRequest(url, parameters, user_agent, rng, max_response)
        self._out: list[bytes] = [self._upgrade.request]
        self._refused = False
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Upgraded, and no close frame of ours queued yet."""
        return self._upgrade is None and not self._closed

    @property
    def buffered(self) -> int:
        return self._reader.buffered

    def receive_data(self, data: bytes) -> list[WsEvent]:
        if self._upgrade is None:
            return self._reader.receive_data(data)
        if self._refused:
            return []
        verdict = self._upgrade.receive_data(data)
        if verdict is None:
            return []
        event, rest = verdict
        if not isinstance(event, Opened):
            self._refused = True
            return [event]
        self._upgrade = None
        return [event, *self._reader.receive_data(rest)]

    def send_message(self, payload: bytes) -> None:
        self._frame(FrameOpcode.TEXT, payload)

    def close(self, code: int, reason: str = "") -> None:
        """Queue a close frame; before the upgrade there is nobody to tell, and it queues nothing."""
        # A PING that came behind what ends the connection may have been read or not: the cut of the bytes decides.
        self._reader.ping = None
        self._frame(FrameOpcode.CLOSE, close_payload(code, reason))
        self._closed = True

    def data_to_send(self) -> bytes:
        self._answer_ping()
        data = b"".join(self._out)
        self._out.clear()
        return data

    def _answer_ping(self) -> None:
        if self._reader.ping is not None:
            # RFC 6455 section 5.5.3: only the most recent PING needs an answer.
            self._frame(FrameOpcode.PONG, self._reader.ping)
            self._reader.ping = None

    def _frame(self, opcode: FrameOpcode, payload: bytes) -> None:
        if self.is_open:
            self._out.append(encode_frame(opcode, payload, self._rng.randbytes(4)))
