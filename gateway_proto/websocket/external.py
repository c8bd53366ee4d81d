"""A `WsClient` for an embedder whose framework has a WebSocket: whole messages pass through, framing is not ours."""

from .events import WsEvent


class ExternalWebSocket:
    """Collects what is to be sent as messages. Fulfils `WsClient`; its byte side is empty."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    @property
    def buffered(self) -> int:
        return 0

    def receive_data(self, data: bytes) -> list[WsEvent]:
        """No bytes come this way: the shard is handed whole messages."""
        return []

    def send_message(self, payload: bytes) -> None:
        self._messages.append(payload)

    def close(self, code: int, reason: str = "") -> None:
        """The framework closes: code and reason are told by `Disconnect`."""

    def data_to_send(self) -> bytes:
        return b""

    def messages_to_send(self) -> list[bytes]:
        """Drain the messages, each the UTF-8 of a TEXT message."""
        messages, self._messages = self._messages, []
        return messages
