"""What can happen to a session, as values: the steps that a harness plays and that strategies draw.

HELLO, READY and the answers come from the server by themselves; a step says what befalls the client meanwhile. A
sequence of steps is a whole session, prints as the code that makes it, and is played again by `Harness.play`.
"""

from typing import Final, TypeAlias

import msgspec

from ..close_codes import FATAL_CLOSE_CODES
from ..errors import InvalidConfigError
from ..server import (
    AskReconnect,
    Chunk,
    Close,
    Corrupt,
    Drop,
    Fault,
    Fragment,
    Garbage,
    InvalidSession,
    LoseAcks,
    NoAnswer,
    NoHello,
    Refuse,
    RequestHeartbeat,
    SendText,
    SplitMessages,
    Stall,
)


class Wait(msgspec.Struct, frozen=True):
    """Let time pass, in seconds."""

    seconds: float


class Recover(msgspec.Struct, frozen=True):
    """Let time pass until the client has its session, at most so many seconds: a fault must strike somebody."""

    seconds: float = 120.0


class Events(msgspec.Struct, frozen=True):
    """Dispatch so many events to the session that lives, be it connected or not; each has a text of `size` bytes."""

    count: int
    size: int = 2


class Strike(msgspec.Struct, frozen=True):
    """Let a fault strike the connection that is there: a `Close`, an op 7, an op 9, a `Stall`, a `Chunk` …"""

    fault: Fault


class StrikeNext(msgspec.Struct, frozen=True):
    """Let a fault strike the next connection from its first moment on, while it is made."""

    fault: Fault


class RefuseDials(msgspec.Struct, frozen=True):
    """Let so many of the next dials fail."""

    count: int


class Tear(msgspec.Struct, frozen=True):
    """Reset the socket: what is under way in either direction is lost."""


class Commands(msgspec.Struct, frozen=True):
    """Let the client's user ask for so many commands at once: presence updates, or member requests every tenth."""

    count: int


class CloseForGood(msgspec.Struct, frozen=True):
    """Close with a code after which a client must not come back; then it is restarted, as by somebody who mended it.

    Raises:
        InvalidConfigError: the code is none of `FATAL_CLOSE_CODES`.
    """

    code: int

    def __post_init__(self) -> None:
        if self.code not in FATAL_CLOSE_CODES:
            raise InvalidConfigError(f"a fatal close code is one of {', '.join(map(str, sorted(FATAL_CLOSE_CODES)))}")


Step: TypeAlias = Wait | Recover | Events | Strike | StrikeNext | RefuseDials | Tear | Commands | CloseForGood
"""Everything that `Harness.play` takes."""

RESUMABLE_CODES: Final = (1000, 1001, 4000, 4001, 4002, 4003, 4005, 4008, 4242)
"""After each of these a RESUME comes first (F17)."""

BREAKING: Final = (Corrupt, Garbage, SendText)
"""Faults by which the stream itself may become unreadable."""

DROPPING_FAULTS: Final[tuple[Fault, ...]] = (
    Drop(),
    Drop(flush=True),
    AskReconnect(),
    InvalidSession(True),
    LoseAcks(),
    LoseAcks(1),
    Stall(),
    Stall(3.0),
    *(Close(code) for code in RESUMABLE_CODES),
    Close(4000, b"\xff\xfe no text"),
)
"""Each may cost the connection and keeps the session: a RESUME heals it."""

BREAKING_FAULTS: Final[tuple[Fault, ...]] = (
    Corrupt(),
    Garbage(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"),
    SendText(b'{"op":0,"t":"BROKEN","s":'),
)
"""What makes the stream unreadable; a RESUME heals it, too."""

HARMLESS_FAULTS: Final[tuple[Fault, ...]] = (
    RequestHeartbeat(),
    Fragment(40),
    Chunk(900),
    SplitMessages(40),
    SendText(b'{"op":99,"d":{"new":true}}'),
)
"""What a client goes on through, or answers."""

ENDING_FAULTS: Final[tuple[Fault, ...]] = (InvalidSession(False), Close(4007), Close(4009))
"""What ends the session: only an IDENTIFY helps."""

DIAL_FAULTS: Final[tuple[Fault, ...]] = (
    Drop(),
    Refuse(503),
    Refuse(429, 2.0),
    AskReconnect(),
    NoHello(),
    NoAnswer(),
    Stall(),
    Garbage(b"\x00\x01\x02 no HTTP at all\r\n\r\n"),
)
"""What strikes a connection while it is made."""
