"""What can happen to a session, as values: the steps that a harness plays and that strategies draw.

HELLO, READY and the answers come from the server by themselves; a step says what befalls the client meanwhile. A
sequence of steps is a whole session, prints as the code that makes it, and is played again by `Harness.play`.
"""

import math
from typing import Any, Final, TypeAlias

import msgspec

from ..close_codes import FATAL_CLOSE_CODES
from ..errors import InvalidConfigError, require
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


def described(value: object) -> str:
    """What was given in place of something else, and what to write instead if it is a class."""
    if isinstance(value, type):
        return f"the class {value.__name__}: write {value.__name__}()"
    return f"{value!r}, which is of type {type(value).__name__}"


def _fault(value: object) -> None:
    if not isinstance(value, Fault):
        raise TypeError(f"expected a Fault, got {described(value)}")


def _seconds(value: float) -> None:
    require(0 <= value < math.inf, "the seconds must be 0 or more")


def _count(value: int, least: int = 0) -> None:
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {described(value)}")
    require(value >= least, f"the number must be {least} or more")


class Wait(msgspec.Struct, frozen=True):
    """Let time pass, in seconds."""

    seconds: float

    def __post_init__(self) -> None:
        _seconds(self.seconds)


class Recover(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Let time pass until the client has its session, at most so many seconds: a fault must strike somebody."""

    seconds: float = 120.0

    def __post_init__(self) -> None:
        _seconds(self.seconds)


class Events(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Dispatch so many events to the session that lives, be it connected or not; each has a text of `size` bytes."""

    count: int
    size: int = 2

    def __post_init__(self) -> None:
        _count(self.count)
        _count(self.size)


class Strike(msgspec.Struct, frozen=True):
    """Let a fault strike the connection that is there: a `Close`, an op 7, an op 9, a `Stall`, a `Chunk` …

    Of a `Drop` that does not flush a part of what is under way still arrives, as of a `Tear`.

    Raises:
        TypeError: it is no instance of a fault.
    """

    fault: Fault

    def __post_init__(self) -> None:
        _fault(self.fault)


class StrikeNext(msgspec.Struct, frozen=True):
    """Let a fault strike the next connection from its first moment on, while it is made.

    Raises:
        TypeError: it is no instance of a fault.
    """

    fault: Fault

    def __post_init__(self) -> None:
        _fault(self.fault)


class RefuseDials(msgspec.Struct, frozen=True):
    """Let so many of the next dials fail."""

    count: int

    def __post_init__(self) -> None:
        _count(self.count)


class Tear(msgspec.Struct, frozen=True, repr_omit_defaults=True):
    """Reset the socket: of what is under way in either direction a part arrives that is drawn, and the rest is lost.

    Args:
        after: not at once, but as soon as the client has been handed so many bytes more, by this socket or the next
            ones: within a frame, or within a replay.
    """

    after: int | None = None

    def __post_init__(self) -> None:
        if self.after is not None:
            _count(self.after, 1)


class Commands(msgspec.Struct, frozen=True):
    """Let the client's user ask for so many commands at once: presence updates, or member requests every tenth."""

    count: int

    def __post_init__(self) -> None:
        _count(self.count)


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


def check_step(value: Any) -> None:
    """Raises TypeError, unless it is a step; says what to write instead."""
    if isinstance(value, Fault):
        raise TypeError(f"expected a step, got the fault {value!r}: write Strike({value!r})")
    if isinstance(value, list | tuple):
        raise TypeError(f"expected steps one by one, got a {type(value).__name__} of them: write play(*steps)")
    if not isinstance(value, Step):
        raise TypeError(f"expected a step, got {described(value)}")


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
    SplitMessages(7),
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
