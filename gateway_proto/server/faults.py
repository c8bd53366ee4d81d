"""What a server can do wrong on purpose: the closed union `Fault`, and the plan that fires faults by itself.

A fault is handed to `Server.inject`, or stands in `ServerConfig.plan` with the moment at which it strikes. It is aimed
at a connection (or at the one that serves a session). What only makes sense later waits: on a socket that is not
upgraded yet, `Refuse` and `Garbage` wait for the request, and whatever sends a message waits for the upgrade and then
comes *before* HELLO, so that op 7 as the very first frame is `AskReconnect` on a fresh connection (F05).
"""

import math
from collections.abc import Iterable
from typing import Final, TypeAlias

from ..errors import require
from .checked import Checked, require_kind

MAX_NEXT: Final = 10_000
"""Upgrades that one fault can lie in wait for; each is an entry of the plan."""


class _Fault(Checked, frozen=True):
    """A frozen value."""


class Drop(_Fault, frozen=True):
    """End the socket without a close frame; the session is kept. With `flush`, what is queued is written first."""

    flush: bool = False


class Stall(_Fault, frozen=True):
    """Neither send nor read for `seconds`, or until `Release`: a half-open socket; the client's writes succeed.

    No timer of the connection is judged meanwhile; they start anew. An EOF ends the connection even so.
    """

    seconds: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0.0 <= (self.seconds or 0.0) < math.inf, "a stall lasts for seconds from 0 on, or None")


class Release(_Fault, frozen=True):
    """End a `Stall`: what came meanwhile is read now, what was to be sent is sent."""


class Close(_Fault, frozen=True):
    """Close with a code. `reason` are raw bytes, cut at 123, which need not be UTF-8. 4007 and 4009 end the session."""

    code: int
    reason: bytes = b""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1000 <= self.code <= 4999, "a close code is 1000 to 4999")


class AskReconnect(_Fault, frozen=True):
    """Op 7. The connection goes on as if nothing had been said."""


class InvalidSession(_Fault, frozen=True):
    """Op 9. True leaves the session to be resumed, False ends it; either way the connection is no longer its."""

    resumable: bool


class RequestHeartbeat(_Fault, frozen=True):
    """Op 1: ask for a heartbeat at once."""


class LoseAcks(_Fault, frozen=True):
    """Swallow the next `count` heartbeat ACKs of the connection; all of them for None."""

    count: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require((self.count or 0) >= 0, "count is 0 or more, or None")


class Corrupt(_Fault, frozen=True):
    """Change one byte of the outgoing stream: `offset` bytes behind what is queued, XORed with `xor` (1 to 255).

    With the default no text and no frame header stays valid; other masks can go unnoticed where nothing is compressed.
    """

    offset: int = 0
    xor: int = 0xFF

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.offset >= 0 and 1 <= self.xor <= 255, "offset is 0 or more, xor 1 to 255")


class Refuse(_Fault, frozen=True):
    """Answer the HTTP request, upgrade or route, with a status and (in seconds) Retry-After. No effect after it."""

    status: int
    retry_after: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(200 <= self.status <= 599, "a status that refuses is 200 to 599")
        require(0.0 <= (self.retry_after or 0.0) < math.inf, "retry_after is seconds from 0 on")


class Garbage(_Fault, frozen=True):
    """Raw bytes: for the answer to the HTTP request, and the end of the socket; or, once upgraded, in the stream."""

    data: bytes


class NoHello(_Fault, frozen=True):
    """Upgrade, but never say HELLO (F22)."""


class NoAnswer(_Fault, frozen=True):
    """Leave every IDENTIFY and RESUME of the connection unanswered; heartbeats are still acknowledged (F22)."""


class SendText(_Fault, frozen=True):
    """Send a gateway message of any bytes, JSON or not, through the connection's compression."""

    payload: bytes


class Fragment(_Fault, frozen=True):
    """From now on send data messages in continuation frames of at most `size` bytes (RFC 6455 section 5.4)."""

    size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.size >= 1, "the size is 1 or more")


class SplitMessages(_Fault, frozen=True):
    """From now on spread each message of zlib-stream over WebSocket messages of at most `size` bytes (F28)."""

    size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.size >= 1, "the size is 1 or more")


class Chunk(_Fault, frozen=True):
    """From now on let each `data_to_send` give at most `size` bytes; the rest is due at once."""

    size: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.size >= 1, "the size is 1 or more")


class Mark(_Fault, frozen=True):
    """Do nothing but report it. In a plan, its `FaultFired` tells whoever watches that the moment has come."""

    label: str


class Withhold(_Fault, frozen=True):
    """Give the session's next dispatch a sequence and lose it for good: it is neither sent nor to be replayed."""


class Repeat(_Fault, frozen=True):
    """Send the session's next dispatch twice: under two sequences, or (not `renumbered`) twice under one."""

    renumbered: bool = True


class Swap(_Fault, frozen=True):
    """Send the session's next two dispatches in each other's place; the first waits for the second, however long."""


DispatchFault: TypeAlias = Withhold | Repeat | Swap
"""What befalls dispatches of a session, on whatever connection: a client that counts must find the loss."""
Fault: TypeAlias = (
    Drop
    | Stall
    | Release
    | Close
    | AskReconnect
    | InvalidSession
    | RequestHeartbeat
    | LoseAcks
    | Corrupt
    | Refuse
    | Garbage
    | NoHello
    | NoAnswer
    | SendText
    | Fragment
    | SplitMessages
    | Chunk
    | Mark
    | DispatchFault
)
"""Everything that `Server.inject` takes."""


class _Moment(Checked, frozen=True):
    """Its numbers are counted from 1; an opcode may be 0."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.__struct_fields__:
            value = getattr(self, name)
            lowest = 0 if name == "opcode" else 1
            require(value is None or value >= lowest, f"{name} is {lowest} or more")


class OnConnection(_Moment, frozen=True):
    """When the `number`th socket is accepted, from 1 and discovery's included; for None at each one."""

    number: int | None = None


class OnUpgrade(_Moment, frozen=True):
    """When the `number`th upgrade request has come, from 1, and before it is answered; for None at each one.

    Unlike `OnConnection` it does not count the sockets of discovery. `Refuse` and `Garbage` are the answer then.
    """

    number: int | None = None


class OnMessage(_Moment, frozen=True):
    """When a client's `nth` payload with this opcode has come, from 1, and before it is answered; for None at each.

    Counted over all connections, or on the one named. The payload is answered all the same, unless the fault ends or
    closes the connection: op 9 in place of READY is `NoAnswer` and then `InvalidSession`.
    """

    opcode: int
    nth: int | None = 1
    connection: int | None = None


class AtSequence(_Moment, frozen=True):
    """At this sequence of the `session`th session, from 1; for None of whichever session comes there first.

    A `DispatchFault` befalls the dispatch that would take the sequence; anything else happens to the session's
    connection as soon as that message is queued. READY has sequence 1.
    """

    sequence: int
    session: int | None = None


When: TypeAlias = OnConnection | OnUpgrade | OnMessage | AtSequence
"""The moments that a plan can name."""


class Planned(Checked, frozen=True, kw_only=True):
    """One line of a plan; it fires once, or each time where the moment's number is None."""

    when: When
    fault: Fault

    def __post_init__(self) -> None:
        require_kind(self.when, When, "a moment")
        require_kind(self.fault, Fault, "a fault")


class FaultPlan:
    """What of a config's plan has yet to fire."""

    def __init__(self, plan: Iterable[Planned]) -> None:
        self.upgrades: int = 0
        """So many upgrade requests have come."""
        self._connections: list[tuple[int | None, Fault]] = []
        self._upgrades: list[tuple[int | None, Fault]] = []
        self._messages: list[tuple[OnMessage, Fault]] = []
        # How many payloads of an opcode came, by (opcode, connection); the connection is None for all of them.
        self._received: dict[tuple[int, int | None], int] = {}
        self._sequences: dict[int, list[tuple[int | None, Fault]]] = {}
        for planned in plan:
            self.add(planned)

    def add(self, planned: Planned) -> None:
        match planned.when:
            case OnConnection(number):
                self._connections.append((number, planned.fault))
            case OnUpgrade(number):
                self._upgrades.append((number, planned.fault))
            case OnMessage(opcode, _, connection) as when:
                self._messages.append((when, planned.fault))
                self._received.setdefault((opcode, connection), 0)
            case AtSequence(sequence, session):
                self._sequences.setdefault(sequence, []).append((session, planned.fault))

    @property
    def has_sequences(self) -> bool:
        """There was an `AtSequence` in the plan: only then is each dispatch worth a look."""
        return bool(self._sequences)

    def on_connection(self, number: int) -> list[Fault]:
        """The faults of the `number`th connection."""
        due, self._connections = _due(self._connections, number)
        return due

    def on_upgrade(self) -> list[Fault]:
        """An upgrade request has come: its faults."""
        self.upgrades += 1
        due, self._upgrades = _due(self._upgrades, self.upgrades)
        return due

    def on_message(self, opcode: int, connection: int) -> list[Fault]:
        """A payload has come: its faults."""
        if not self._messages:
            return []
        for key in ((opcode, None), (opcode, connection)):
            if key in self._received:
                self._received[key] += 1
        due = [entry for entry in self._messages if self._strikes(entry[0], opcode, connection)]
        self._messages = [entry for entry in self._messages if entry[0].nth is None or entry not in due]
        return [fault for _, fault in due]

    def _strikes(self, when: OnMessage, opcode: int, connection: int) -> bool:
        if when.opcode != opcode or when.connection not in (None, connection):
            return False
        return when.nth is None or when.nth == self._received[opcode, when.connection]

    def at_sequence(self, session: int, sequence: int, *, dispatch: bool) -> list[Fault]:
        """The faults of this sequence of the `session`th session; `dispatch` says which of the two kinds."""
        waiting = self._sequences.get(sequence)
        if not waiting:
            return []
        due = [
            (number, fault)
            for number, fault in waiting
            if number in (None, session) and isinstance(fault, DispatchFault) is dispatch
        ]
        self._sequences[sequence] = [entry for entry in waiting if entry not in due]
        return [fault for _, fault in due]


_Numbered: TypeAlias = list[tuple[int | None, Fault]]


def _due(waiting: _Numbered, number: int) -> tuple[list[Fault], _Numbered]:
    """What strikes now, and what goes on waiting."""
    due = [fault for when, fault in waiting if when is None or when == number]
    return due, [(when, fault) for when, fault in waiting if when != number]
