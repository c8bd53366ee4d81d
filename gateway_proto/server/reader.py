"""Reading a client's WebSocket frames (RFC 6455 section 5): cut and bounded here, judged by wsproto.

wsproto has no size limit and faults early on some frames and late on others. So it is handed whole frames only, and a
frame that declares too much is refused behind its header, before a byte of it is stored: the verdict and what comes
before it are the same for every chunking.
"""

from typing import Final, NamedTuple, TypeAlias

import wsproto.events as ws
from wsproto.connection import Connection, ConnectionType
from wsproto.frame_protocol import CloseReason

from ..close_codes import CloseCode
from ..websocket.frames import MAX_CONTROL_PAYLOAD

_CONTROL: Final = 0x08
_FINAL_CLOSE: Final = 0x88
_MASKED: Final = 0x80
_PROTOCOL_ERROR: Final = 1002


class PayloadEvent(NamedTuple):
    """A whole message, TEXT (then valid UTF-8) or BINARY: Discord's clients may use either for JSON."""

    payload: bytes


class PingEvent(NamedTuple):
    payload: bytes


class CloseEvent(NamedTuple):
    """The client's close frame; `code` is None when it had none."""

    code: int | None
    reason: str


class FrameEvent(NamedTuple):
    """A frame that means nothing by itself: a fragment but the last, a PONG. Told since it takes time, too."""


class Violation(NamedTuple):
    """The client broke RFC 6455 or the bound; to be closed with `code`. Nothing after it is read."""

    code: int
    reason: str


ReaderEvent: TypeAlias = PayloadEvent | PingEvent | CloseEvent | FrameEvent | Violation


_FRAME: Final = FrameEvent()


class FrameReader:
    """Takes frames out of a buffer, one event at a time."""

    __slots__ = ("_ended", "_judge", "_limit", "_partial")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._judge = Connection(ConnectionType.SERVER)
        self._partial = bytearray()
        self._ended = False

    def next_event(self, inbox: bytearray) -> ReaderEvent | None:
        """Cut a frame off `inbox` and say what it means; None: there is no whole one. After an end nothing is."""
        if self._ended:
            inbox.clear()
            return None
        end, too_large = self._frame_end(inbox)
        if end is None:
            return None
        frame = bytes(inbox[:end])
        del inbox[:end]
        event = self._judge_frame(frame)
        if too_large and event is None:
            event = Violation(CloseCode.DECODE_ERROR, f"a payload exceeds {self._limit} bytes")
        self._ended = isinstance(event, CloseEvent | Violation)
        return _FRAME if event is None else event

    def _frame_end(self, inbox: bytearray) -> tuple[int | None, bool]:
        """Where the first frame ends (None if that is not here yet), and whether that is where it is given up."""
        if len(inbox) < 2:
            return None, False
        size = inbox[1] & 0x7F
        is_control = inbox[0] & _CONTROL
        if is_control and size > MAX_CONTROL_PAYLOAD:
            return 2, False
        mask = 4 if inbox[1] & _MASKED else 0
        header = 2 + (8 if size == 127 else 2 if size == 126 else 0) + mask
        if len(inbox) < header:
            return None, False
        if size > MAX_CONTROL_PAYLOAD:
            size = int.from_bytes(inbox[2 : header - mask])
        if not is_control and size + len(self._partial) > self._limit:
            return header, True
        end = header + size
        return (end, False) if len(inbox) >= end else (None, False)

    def _judge_frame(self, frame: bytes) -> ReaderEvent | None:
        state = self._judge.state
        self._judge.receive_data(frame)
        for event in self._judge.events():
            if isinstance(event, ws.Ping):
                return PingEvent(bytes(event.payload))
            if isinstance(event, ws.CloseConnection):
                # wsproto reports a parse failure as a close, too; only a real one moves its state.
                return _close_event(frame, event, self._judge.state is not state)
            if isinstance(event, ws.TextMessage | ws.BytesMessage):
                self._partial += event.data.encode() if isinstance(event, ws.TextMessage) else event.data
                if event.message_finished:
                    payload, self._partial = bytes(self._partial), bytearray()
                    return PayloadEvent(payload)
        return None


def _close_event(frame: bytes, event: ws.CloseConnection, is_close: bool) -> CloseEvent | Violation:
    if is_close:
        return CloseEvent(None if event.code == CloseReason.NO_STATUS_RCVD else int(event.code), event.reason or "")
    if event.code == CloseReason.INVALID_FRAME_PAYLOAD_DATA and frame[0] != _FINAL_CLOSE:
        return Violation(CloseCode.DECODE_ERROR, "a TEXT message is not valid UTF-8")
    return Violation(_PROTOCOL_ERROR, event.reason or "")
