"""Plain wsproto as the judge of what `FrameReader` makes of a stream.

wsproto is handed every frame, the ordinary ones too, and each of them whole: it faults early on some frames and late on
others. Three things that it cannot say are said here, from RFC 6455 and nothing of ours: where a frame ends, what a
close frame says whose reason is no UTF-8 (or whose code is reserved), and whether a frame that is too large for its
payload ever to be looked at has a lawful header.
"""

from collections.abc import Iterator
from typing import NamedTuple

import wsproto.events as ws
from wsproto.connection import Connection, ConnectionType

from gateway_proto.errors import MalformedFrameError, MessageTooLargeError
from gateway_proto.websocket import Broken, CloseReceived, WsEvent

_LAWFUL_OPCODES = frozenset({0, 1, 2, 8, 9, 10})


class Outcome(NamedTuple):
    """What a stream comes to. `end` is None while it goes on, `"malformed"`, `"too large"`, or (code, reason)."""

    messages: list[tuple[bool, bytes]]
    end: str | tuple[int | None, str] | None
    ping: bytes | None


def outcome_of(events: list[WsEvent], ping: bytes | None) -> Outcome:
    """What the reader told."""
    messages: list[tuple[bool, bytes]] = []
    end: str | tuple[int | None, str] | None = None
    for event in events:
        assert end is None, "an event behind the end"
        if isinstance(event, tuple):
            assert type(event[1]) is bytes
            messages.append(event)
        elif isinstance(event, CloseReceived):
            end = (event.code, event.reason)
        elif isinstance(event, Broken):
            assert isinstance(event.error, MalformedFrameError | MessageTooLargeError), repr(event.error)
            end = "malformed" if isinstance(event.error, MalformedFrameError) else "too large"
        else:
            raise AssertionError(f"unexpected: {event!r}")
    return Outcome(messages, end, ping)


class Frame(NamedTuple):
    """A frame as it stands on the wire. `payload` is None where the header alone, or less, decides."""

    wire: bytes
    first: int
    masked: bool
    size: int
    minimal: bool
    payload: bytes | None

    @property
    def is_control(self) -> bool:
        return bool(self.first & 0x08)

    @property
    def is_lawful(self) -> bool:
        """By the header alone (RFC 6455 sections 5.2 and 5.5)."""
        opcode = self.first & 0x0F
        if opcode not in _LAWFUL_OPCODES or self.first & 0x70 or self.masked or not self.minimal or self.size >> 63:
            return False
        return not self.is_control or (self.size <= 125 and bool(self.first & 0x80))

    def is_in_order(self, message_open: bool) -> bool:
        """A message begins while none is open, and goes on while one is (section 5.4)."""
        return self.is_control or (self.first & 0x0F == 0) is message_open


def frames(stream: bytes, limit: int) -> Iterator[Frame]:
    """Cut a server's stream. The last one may lack its payload: a bound is known to be broken without it."""
    at, collected = 0, 0
    while len(stream) - at >= 2:
        first, second = stream[at], stream[at + 1]
        masked, short = bool(second & 0x80), second & 0x7F
        if first & 0x08 and short > 125:
            yield Frame(stream[at : at + 2], first, masked, short, True, None)
            return
        extended = {126: 2, 127: 8}.get(short, 0)
        start = at + 2 + extended + 4 * masked
        if len(stream) < start:
            return
        size = int.from_bytes(stream[at + 2 : at + 2 + extended]) if extended else short
        minimal = not extended or size > (125 if extended == 2 else 65_535)
        if not first & 0x08:
            collected += size
            if collected > limit:
                yield Frame(stream[at:start], first, masked, size, minimal, None)
                return
            if first & 0x80:
                collected = 0
        end = start + size
        if len(stream) < end:
            return
        yield Frame(stream[at:end], first, masked, size, minimal, stream[start:end])
        at = end


def judge(stream: bytes, limit: int) -> Outcome:
    """What a reader with this limit must make of the stream, in whichever chunks it comes."""
    judge = Connection(ConnectionType.CLIENT)
    outcome = Outcome([], None, None)
    parts: list[bytes] = []
    message_open = False
    for frame in frames(stream, limit):
        if frame.payload is None:
            # Its size comes first: whether it is in order is wsproto's to say, and that behind the payload.
            return outcome._replace(end="too large" if frame.is_lawful and not frame.is_control else "malformed")
        if frame.is_lawful and frame.first & 0x0F == 8 and frame.size != 1:
            # Read before anyone judges its reason (F16).
            code = int.from_bytes(frame.payload[:2]) if frame.size else None
            return outcome._replace(end=(code, frame.payload[2:].decode(errors="replace")))
        judge.receive_data(frame.wire)
        for event in judge.events():
            if isinstance(event, ws.Ping):
                outcome = outcome._replace(ping=bytes(event.payload))
            elif isinstance(event, ws.CloseConnection):
                return outcome._replace(end="malformed")
            elif isinstance(event, ws.TextMessage | ws.BytesMessage):
                is_text = isinstance(event, ws.TextMessage)
                parts.append(event.data.encode() if isinstance(event, ws.TextMessage) else bytes(event.data))
                if event.message_finished:
                    outcome.messages.append((is_text, b"".join(parts)))
                    parts.clear()
        assert frame.is_lawful, "wsproto accepted a header that RFC 6455 forbids"
        assert frame.is_in_order(message_open), "wsproto accepted a frame that was out of order"
        if not frame.is_control:
            message_open = not frame.first & 0x80
    return outcome
