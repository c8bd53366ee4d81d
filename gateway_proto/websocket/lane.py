"""Reading WebSocket frames (RFC 6455 section 5): a fast lane for the frame that nearly all are, wsproto for the rest.

The fast lane cuts out data frames that are final, unmasked, without RSV bits and of minimal length, while no fragmented
message is open. Every other frame is handed whole to wsproto, which judges it. wsproto is fed whole frames only, since
it faults early on some frames and late on others, and the verdict must not depend on how the bytes were cut. A length
that is declared beyond the limit is refused before a byte of it is stored.

Close frames are read here before wsproto judges them: it hides the code of one whose reason is not valid UTF-8, and the
code decides whether the bot may come back (F16).
"""

import struct
from typing import Final

import wsproto.events as ws
from wsproto.connection import Connection, ConnectionType
from wsproto.frame_protocol import CloseReason

from ..errors import MalformedFrameError, MessageTooLargeError
from .events import Broken, CloseReceived, WsEvent
from .frames import MAX_CONTROL_PAYLOAD

_FINAL_CLOSE: Final = 0x88
# The first two bytes of an ordinary frame: FIN and opcode, then no mask and a length of up to 125, or of 16 or 64 bits.
_TEXT_0: Final = 0x8100
_TEXT_64: Final = 0x817F
_BINARY_125: Final = 0x827D
_LENGTH_16: Final = frozenset({0x817E, 0x827E})
_LENGTH_64: Final = frozenset({0x817F, 0x827F})
_unpack_head: Final = struct.Struct(">HH").unpack_from
_FINAL: Final = 0x80
_CONTROL: Final = 0x08
_MASKED: Final = 0x80


class FrameReader:
    """Bytes in, whole messages and the close out. PINGs are kept in `ping` for the writer, the latest only (F10)."""

    __slots__ = ("_ended", "_judge", "_limit", "_need", "_open", "_over_limit", "_partial", "_rest", "_taken", "ping")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._judge = Connection(ConnectionType.CLIENT)
        self._rest: bytes | bytearray = b""
        # How many bytes `_rest` must hold before there is anything to do: a header, or a whole frame.
        self._need = 2
        # A fragmented message is under way: only wsproto knows how it continues.
        self._open = False
        self._partial = bytearray()
        # Its bytes on the wire so far; wsproto keeps back a character that a frame cuts in two.
        self._taken = 0
        self._over_limit = False
        self._ended = False
        self.ping: bytes | None = None

    @property
    def buffered(self) -> int:
        return len(self._rest) + len(self._partial)

    def receive_data(self, data: bytes) -> list[WsEvent]:
        if self._ended:
            return []
        if self._rest:
            if len(self._rest) + len(data) < self._need:
                self._keep(data)
                return []
            data = b"".join((self._rest, data))
        events: list[WsEvent] = []
        position = 0
        while True:
            self._need = 0
            if not self._open:
                position = self._fast_lane(data, position, events)
            end = None if self._need else self._frame_end(data, position)
            if end is None:
                break
            if not self._judge_frame(data[position:end], events):
                self._end()
                return events
            position = end
        self._rest = data[position:]
        return events

    def _keep(self, data: bytes) -> None:
        # A frame that arrives in many chunks grows in place: joining bytes anew for each would be quadratic.
        if not isinstance(self._rest, bytearray):
            self._rest = bytearray(self._rest)
        self._rest += data

    def _fast_lane(self, data: bytes, position: int, events: list[WsEvent]) -> int:
        """Cut out ordinary frames. Returns the position of the first that is not ordinary or not whole.

        One of the two loops on the road of an event. Reading the header by one `unpack` takes 1,000 instructions less
        than indexing four bytes, of 7,000 a frame. A frame of fewer than four bytes is left to wsproto.
        """
        available = len(data)
        append = events.append
        if available > self._limit:
            # So that a frame beyond the limit is never whole in here, and the loop need not ask.
            return position
        while position + 4 <= available:
            head, size = _unpack_head(data, position)
            if head in _LENGTH_16:
                if size < 126:
                    break
                start = position + 4
            elif _TEXT_0 <= head <= _BINARY_125:
                size = head & 0xFF
                if size > 125:
                    break
                start = position + 2
            elif head in _LENGTH_64:
                start = position + 10
                size = int.from_bytes(data[position + 2 : start])
                if size < 65536 or start > available:
                    break
            else:
                break
            end = start + size
            if end > available:
                if size <= self._limit:
                    self._need = end - position
                break
            payload = data[start:end]
            if head <= _TEXT_64:
                # isascii() is ten times as fast as decoding, and most messages are.
                if not payload.isascii() and not _is_utf8(payload):
                    break
                append((True, payload))
            else:
                append((False, payload))
            position = end
        return position

    def _frame_end(self, data: bytes, position: int) -> int | None:
        """Where the frame at `position` ends; None if it is not whole, and then `_need` says what it takes.

        A control frame that claims more than it may is cut behind its first two bytes, and a data frame beyond the
        limit behind its header: that much is enough for the verdict, and nothing further is stored.
        """
        available = len(data) - position
        if available < 2:
            self._need = 2
            return None
        size = data[position + 1] & 0x7F
        is_control = data[position] & _CONTROL
        if is_control and size > MAX_CONTROL_PAYLOAD:
            return position + 2
        mask = 4 if data[position + 1] & _MASKED else 0
        header = 2 + (8 if size == 127 else 2 if size == 126 else 0) + mask
        if available < header:
            self._need = header
            return None
        if size > MAX_CONTROL_PAYLOAD:
            size = int.from_bytes(data[position + 2 : position + header - mask])
        if not is_control and self._taken + size > self._limit:
            self._over_limit = True
            return position + header
        if available < header + size:
            self._need = header + size
            return None
        if not is_control:
            self._taken += size
        return position + header + size

    def _judge_frame(self, frame: bytes, events: list[WsEvent]) -> bool:
        """Hand one frame, or as much of a hopeless one as counts, to wsproto. False if it was the last."""
        judge = self._judge
        state = judge.state
        judge.receive_data(frame)
        for event in judge.events():
            if isinstance(event, ws.Ping):
                self.ping = bytes(event.payload)
            elif isinstance(event, ws.CloseConnection):
                # wsproto reports a parse failure as a close, too; only a real one moves its state.
                events.append(_close_event(frame, event, judge.state is not state))
                return False
            elif isinstance(event, ws.TextMessage | ws.BytesMessage):
                self._join(event, events)
        if self._over_limit:
            events.append(Broken(MessageTooLargeError(self._limit)))
            return False
        if not frame[0] & _CONTROL:
            self._open = not frame[0] & _FINAL
            if not self._open:
                self._taken = 0
        return True

    def _join(self, event: ws.TextMessage | ws.BytesMessage, events: list[WsEvent]) -> None:
        is_text = isinstance(event, ws.TextMessage)
        self._partial += event.data.encode() if isinstance(event, ws.TextMessage) else event.data
        if event.message_finished:
            events.append((is_text, bytes(self._partial)))
            self._partial = bytearray()

    def _end(self) -> None:
        self._ended = True
        self._rest = b""
        self._partial = bytearray()


def _close_event(frame: bytes, event: ws.CloseConnection, is_close: bool) -> WsEvent:
    if is_close:
        code = None if event.code == CloseReason.NO_STATUS_RCVD else int(event.code)
        return CloseReceived(code, event.reason or "")
    if frame[0] == _FINAL_CLOSE and 4 <= len(frame) == 2 + frame[1]:
        # A close frame in all but its text or its code: what it says about coming back still counts.
        return CloseReceived(int.from_bytes(frame[2:4]), frame[4:].decode(errors="replace"))
    return Broken(MalformedFrameError(f"the gateway broke the WebSocket protocol: {event.reason}"))


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
