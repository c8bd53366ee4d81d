"""What passes on a socket, read by somebody who stands beside it: the client's payloads, and what it was handed.

Both taps read like the end that they stand before, and stop where that end could read no further.
"""

from typing import Final, NamedTuple, TypeAlias
from urllib.parse import parse_qs, urlsplit

from ..codec import DECODE_ERRORS, decode
from ..compression import make_inflater
from ..errors import BrokenStreamError
from ..server.reader import CloseEvent, FrameReader, PayloadEvent, Violation
from ..websocket.events import Broken, CloseReceived
from ..websocket.lane import FrameReader as LaneReader

_END: Final = b"\r\n\r\n"
_LIMIT: Final = 2**28
"""Bytes of a message, and of a window: a tap judges no sizes."""


class Payload(NamedTuple):
    """A gateway message; `d` is its JSON. `sequence` and `name` are None where it is no dispatch."""

    opcode: int
    d: bytes
    sequence: int | None = None
    name: str | None = None


class Closed(NamedTuple):
    """A close frame; `code` is None when it had none."""

    code: int | None
    reason: str = ""


class Unreadable(NamedTuple):
    """Not what the protocol allows; nothing after it is read, unless it was only a message that is no JSON."""

    reason: str


Heard: TypeAlias = Payload | Closed | Unreadable


def _payload(message: bytes) -> Payload | Unreadable:
    try:
        envelope = decode(message)
    except DECODE_ERRORS:
        return Unreadable("a message is no JSON object with an op")
    return Payload(envelope.op, bytes(envelope.d), envelope.s, envelope.t)


def _compress(target: str) -> str | None:
    """What a request's target asks for; nothing, if it is none: a server refuses it."""
    try:
        values = parse_qs(urlsplit(target).query).get("compress")
    except ValueError:
        return None
    return values[0] if values else None


class Upstream:
    """Reads what a client writes: its request, then its frames.

    `compress` is what the request's URL asks for; None before it is whole, and for no compression.
    """

    def __init__(self) -> None:
        self.compress: str | None = None
        self._head = b""
        self._inbox = bytearray()
        self._upgrading = True
        self._frames = FrameReader(_LIMIT)

    def receive(self, data: bytes) -> list[Heard]:
        if self._upgrading:
            self._head += data
            head, end, data = self._head.partition(_END)
            if not end:
                return []
            self._upgrading = False
            target = head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b""
            self.compress = _compress(target.decode("latin-1"))
        self._inbox += data
        heard: list[Heard] = []
        while (event := self._frames.next_event(self._inbox)) is not None:
            match event:
                case PayloadEvent(payload):
                    heard.append(_payload(payload))
                case CloseEvent(code, reason):
                    heard.append(Closed(code, reason))
                case Violation(_, reason):
                    heard.append(Unreadable(f"a frame that RFC 6455 does not allow a client: {reason}"))
        return heard


class Downstream:
    """Reads what a client is handed: the HTTP answer, then frames, inflated. `is_open` says that it was a 101."""

    def __init__(self) -> None:
        self.is_open: bool = False
        self.is_broken: bool = False
        self._head: bytes = b""
        self._frames = LaneReader(_LIMIT)
        self._inflater = make_inflater(transport=None, payload=True, limit=_LIMIT, max_window=_LIMIT)

    def receive(self, data: bytes, compress: str | None) -> list[Heard]:
        """Take a chunk; `compress` is what the client asked for by its URL."""
        if self.is_broken:
            return []
        if not self.is_open:
            self._head += data
            head, end, data = self._head.partition(_END)
            if not end:
                return []
            if not head.startswith(b"HTTP/1.1 101 "):
                return self._break("the upgrade was not accepted")
            self.is_open = True
            if compress is not None:
                self._inflater = make_inflater(transport=compress, payload=False, limit=_LIMIT, max_window=_LIMIT)
        heard: list[Heard] = []
        for event in self._frames.receive_data(data):
            if self.is_broken:
                break
            match event:
                case CloseReceived(code, reason):
                    heard.append(Closed(code, reason))
                case Broken(error):
                    heard += self._break(str(error))
                case (is_text, message):
                    heard += self._message(is_text, message)
        return heard

    def _message(self, is_text: bool, message: bytes) -> list[Heard]:
        if is_text:
            return [_payload(message)]
        try:
            inflated = self._inflater.inflate(message)
        except BrokenStreamError as error:
            return self._break(str(error))
        return [] if inflated is None else [_payload(inflated)]

    def _break(self, reason: str) -> list[Heard]:
        self.is_broken = True
        return [Unreadable(reason)]
