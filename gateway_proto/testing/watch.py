"""What a client owes a gateway, judged by what it writes, what it was handed and what it delivers.

A `Watch` knows nothing of the client but what passes it by, so the same rules hold for any client. Each `Rule` is one
sentence; a `Finding` names the rule that was broken and tells the story up to there. Where the documentation leaves a
choice the rule leaves it, too: a session may be resumed or given up after a message that a client need not have read.
"""

from collections import deque
from enum import Enum
from typing import Any, Final

import msgspec

from ..close_codes import FATAL_CLOSE_CODES, GOING_AWAY, NORMAL_CLOSURE, SESSION_ENDING_CLOSE_CODES
from ..codec import DECODE_ERRORS
from ..opcodes import Opcode
from ..ratelimit import SEND_LIMIT, SEND_PERIOD
from ..secret import Secret
from .taps import Closed, Downstream, Heard, Payload, Unreadable, Upstream

IDENTIFY_PERIOD: Final = 5.0
"""Seconds between two IDENTIFYs of one bucket (Discord: Gateway > Rate Limiting > Max Concurrency)."""
SLACK: Final = 0.25
"""Seconds by which a beat may come late."""
ANSWER: Final = 1.0
"""Seconds within which an op 1 is to be answered."""
GREETING_PATIENCE: Final = 120.0
"""Seconds for which a client may wait for a HELLO."""
SILENT_INTERVALS: Final = 4
"""Intervals for which a client may go on with a gateway that says nothing at all, since the first beat it ignored."""
SPOILT: Final = 3
"""Broken streams, or RESUMEs left unanswered, that are reason enough to give up a session."""
DIALS_A_FAULT: Final = 2
_TAIL: Final = 40
"""Lines of the story that a finding tells."""


class Rule(Enum):
    """What a client owes."""

    NO_EXCEPTION = "nothing that the network brings raises"
    COMES_TO_REST = "a client that has nothing to do lets time pass"
    LAWFUL_FRAMES = "what a client writes are frames and payloads that the protocol allows"
    ONCE_AND_IN_ORDER = "each event is delivered once and in order, unless it is marked as replayed"
    UNCHANGED = "an event is delivered as it was sent"
    NOTHING_LOST = "no event of a session that lives is lost"
    RIGHT_SESSION = "a RESUME names the session of the last READY, and never one that op 9 false has ended"
    RIGHT_SEQUENCE = "a RESUME names the last sequence received"
    RESUMES = "a session that can be resumed is resumed: no IDENTIFY for it"
    IDENTIFY_SPACING = "one IDENTIFY every five seconds, and one for each permit"
    BEATS_IN_TIME = "a heartbeat goes out in every interval from HELLO on"
    ANSWERS_OP_1 = "op 1 is answered by a heartbeat at once"
    LEAVES_ZOMBIES = "a connection on which nothing comes any more is left"
    SEND_LIMIT = "at most 120 payloads in any 60 seconds of a connection"
    FATAL_IS_FATAL = "after 4004 and 4010 to 4014 a client does not come back"
    COMES_BACK = "after everything else it does, and to a session"
    NO_NEEDLESS_DIAL = "nobody reconnects without a reason"


class Finding(AssertionError):
    """A client broke a rule: which, how, and what happened before that."""

    def __init__(self, rule: Rule, detail: str, story: list[str]) -> None:
        super().__init__("\n".join([f"{rule.value}: {detail}", *(f"    {line}" for line in story)]))
        self.rule: Rule = rule
        self.detail: str = detail


class _Identity(msgspec.Struct):
    session_id: str
    seq: int = -1


class _Hello(msgspec.Struct):
    heartbeat_interval: float


class SocketWatch:
    """One socket of the client: its two taps, its beats, its payloads."""

    def __init__(self, number: int, now: float) -> None:
        self.number: int = number
        self.up: Upstream = Upstream()
        self.down: Downstream = Downstream()
        self.opened_at: float = now
        self.interval: float | None = None
        self.beat_by: float = now + GREETING_PATIENCE
        self.beat_at: float = float("-inf")
        self.asked_at: float | None = None
        # The first beat behind which nothing came.
        self.ignored_at: float | None = None
        self.written: deque[float] = deque()
        self.is_leaving: bool = False
        """Op 7, op 9 or a close was heard: a client need not have read what comes behind it."""
        self.is_closed: bool = False


class _Known:
    """A session as the client may know it."""

    def __init__(self, session_id: Secret) -> None:
        self.id = session_id
        self.heard = 1
        # Of the last event delivered.
        self.delivered = 0


class Watch:
    """Judges one client. Tell it what passes; it raises a `Finding` at the first rule that is broken."""

    def __init__(self) -> None:
        self.faults: int = 0
        """So many reasons to reconnect there were."""
        self.spoilt: int = 0
        self.permits: int | None = None
        """Granted and not used; None for a client that has never asked."""
        self.resumes: int = 0
        self.identifies: int = 0
        self.delivered: int = 0
        self.beats: int = 0
        self.identified_at: float = float("-inf")
        self._dials = 0
        self._fatal: int | None = None
        self._known: _Known | None = None
        # What it is known by for sure; otherwise it may also know the one before, or none.
        self._is_certain = True
        # When op 9 false was heard of it.
        self._dead: dict[Secret, float] = {}
        self._order: list[tuple[Secret, int, Any]] = []
        self._next = 0
        self._story: deque[str] = deque(maxlen=_TAIL)

    # -- what is told --------------------------------------------------------------------------------------------

    def note(self, now: float, line: str) -> None:
        """Add a line to the story."""
        self._story.append(f"{now:10.3f}  {line}")

    def fail(self, rule: Rule, detail: str) -> Finding:
        """The finding, to be raised."""
        return Finding(rule, detail, list(self._story))

    def restarted(self) -> None:
        """The client's process is a new one that knows nothing of the last."""
        self._fatal = None
        self._known = None
        self._is_certain = True
        self._next = len(self._order)
        self.permits = None

    def dispatched(self, session_id: Secret, sequence: int, data: Any) -> int:
        """An event was given to a session. Returns its number, by which the `d` is to be known again."""
        self._order.append((session_id, sequence, data))
        return len(self._order)

    @property
    def next_number(self) -> int:
        """The number of the next event."""
        return len(self._order) + 1

    def dialled(self, now: float) -> None:
        self._dials += 1
        self.note(now, "the client dials")
        if self._fatal is not None:
            raise self.fail(Rule.FATAL_IS_FATAL, f"it dials after close code {self._fatal}")
        if self._dials > 1 + DIALS_A_FAULT * self.faults:
            raise self.fail(Rule.NO_NEEDLESS_DIAL, f"the {self._dials}th dial, for {self.faults} faults")

    # -- what a client writes ------------------------------------------------------------------------------------

    def wrote(self, socket: SocketWatch, data: bytes, now: float) -> None:
        for heard in socket.up.receive(data):
            match heard:
                case Payload(opcode, d):
                    self._wrote_payload(socket, opcode, d, now)
                case Closed(code):
                    self.note(now, f"the client closes socket {socket.number} with {code}")
                    socket.is_closed = True
                    if code in (NORMAL_CLOSURE, GOING_AWAY):
                        self._is_certain = False
                case Unreadable(reason):
                    raise self.fail(Rule.LAWFUL_FRAMES, reason)

    def _wrote_payload(self, socket: SocketWatch, opcode: int, d: bytes, now: float) -> None:
        self.note(now, f"the client writes op {opcode} on socket {socket.number}")
        socket.written.append(now)
        while socket.written[0] <= now - SEND_PERIOD + 1e-6:
            socket.written.popleft()
        if len(socket.written) > SEND_LIMIT:
            raise self.fail(Rule.SEND_LIMIT, f"{len(socket.written)} payloads in {SEND_PERIOD:g} s")
        if opcode == Opcode.HEARTBEAT:
            self._beat(socket, now)
        elif opcode == Opcode.IDENTIFY:
            self._identify(now)
        elif opcode == Opcode.RESUME:
            self._resume(d, now)

    def _beat(self, socket: SocketWatch, now: float) -> None:
        self.beats += 1
        if not socket.is_leaving:
            self._check_beats(socket, now)
        socket.asked_at = None
        socket.beat_at = now
        if socket.interval is not None:
            socket.beat_by = now + socket.interval + SLACK
        if socket.ignored_at is None:
            socket.ignored_at = now

    def _identify(self, now: float) -> None:
        self.identifies += 1
        since = now - self.identified_at
        if since < IDENTIFY_PERIOD - 1e-6:
            raise self.fail(Rule.IDENTIFY_SPACING, f"an IDENTIFY {since:.2f} s after the last")
        self.identified_at = now
        if self.permits is not None:
            self.permits -= 1
            if self.permits < 0:
                raise self.fail(Rule.IDENTIFY_SPACING, "an IDENTIFY without a permit")
        if self._known is not None and self._is_certain and self.spoilt < SPOILT:
            raise self.fail(Rule.RESUMES, "an IDENTIFY, though the session of the last READY has not ended")

    def _resume(self, d: bytes, now: float) -> None:
        self.resumes += 1
        try:
            named = msgspec.json.decode(d, type=_Identity)
        except DECODE_ERRORS:
            raise self.fail(Rule.RIGHT_SESSION, "a RESUME without a session_id and a seq") from None
        session_id, known = Secret(named.session_id), self._known
        # At the same instant it may have been framed already.
        if self._dead.get(session_id, now) < now:
            raise self.fail(Rule.RIGHT_SESSION, "a RESUME of a session that op 9 false has ended")
        if known is None or session_id != known.id:
            if self._is_certain:
                raise self.fail(Rule.RIGHT_SESSION, "a RESUME of another session than the last READY's")
            return
        if not known.delivered <= named.seq <= known.heard:
            raise self.fail(
                Rule.RIGHT_SEQUENCE,
                f"a RESUME from {named.seq}: the last event delivered has {known.delivered}, "
                f"the last message that came {known.heard}",
            )

    # -- what a client is handed ---------------------------------------------------------------------------------

    def handed(self, socket: SocketWatch, data: bytes, now: float) -> None:
        """Call it before the client gets the bytes."""
        socket.ignored_at = None
        for heard in socket.down.receive(data, socket.up.compress):
            self._heard(socket, heard, now)

    def _heard(self, socket: SocketWatch, heard: Heard, now: float) -> None:
        match heard:
            case Closed(code):
                self.note(now, f"socket {socket.number} hands over close code {code}")
                if code in FATAL_CLOSE_CODES and not socket.is_leaving:
                    self._fatal = code
                elif code in SESSION_ENDING_CLOSE_CODES:
                    self._is_certain = False
                socket.is_leaving = socket.is_closed = True
            case Unreadable(reason):
                self.note(now, f"socket {socket.number} hands over what cannot be read: {reason}")
                socket.is_leaving = socket.is_leaving or socket.down.is_broken
            case Payload():
                self._heard_payload(socket, heard, now)

    def _heard_payload(self, socket: SocketWatch, payload: Payload, now: float) -> None:
        name = f" {payload.name} {payload.sequence}" if payload.opcode == Opcode.DISPATCH else ""
        if payload.opcode not in (Opcode.DISPATCH, Opcode.HEARTBEAT_ACK) or payload.name in ("READY", "RESUMED"):
            self.note(now, f"socket {socket.number} hands over op {payload.opcode}{name}")
        match payload.opcode:
            case Opcode.HELLO:
                socket.interval = msgspec.json.decode(payload.d, type=_Hello).heartbeat_interval / 1000
                socket.beat_by = now + socket.interval + SLACK
            case Opcode.HEARTBEAT if socket.asked_at is None and socket.interval is not None:
                # A beat that is younger than a second serves.
                socket.asked_at = now if now - socket.beat_at >= ANSWER else None
            case Opcode.RECONNECT:
                socket.is_leaving = True
            case Opcode.INVALID_SESSION:
                self._invalidated(socket, now, resumable=payload.d == b"true")
            case Opcode.DISPATCH if payload.name == "READY":
                self._ready(socket, payload)
            case Opcode.DISPATCH if self._known is not None and payload.sequence is not None:
                self._known.heard = max(self._known.heard, payload.sequence)

    def _ready(self, socket: SocketWatch, payload: Payload) -> None:
        self._is_certain = not socket.is_leaving
        session_id = Secret(msgspec.json.decode(payload.d, type=_Identity).session_id)
        self._known = _Known(session_id)
        self.spoilt = 0

    def _invalidated(self, socket: SocketWatch, now: float, *, resumable: bool) -> None:
        if not resumable and self._known is not None:
            if not socket.is_leaving:
                self._dead[self._known.id] = now
                self._known = None
            else:
                self._is_certain = False
        socket.is_leaving = True

    # -- what a client delivers ----------------------------------------------------------------------------------

    def on_delivered(self, name: str, data: bytes, replayed: bool, now: float) -> None:
        try:
            body = msgspec.json.decode(data)
        except DECODE_ERRORS:
            raise self.fail(Rule.UNCHANGED, f"{name} is delivered with a d that is no JSON") from None
        number = body.get("_number") if isinstance(body, dict) else None
        if not isinstance(number, int):
            return
        if not 1 <= number <= len(self._order) or self._order[number - 1][2] != body:
            raise self.fail(Rule.UNCHANGED, f"{name} {number} was never sent so")
        if number <= self._next:
            if not replayed:
                raise self.fail(Rule.ONCE_AND_IN_ORDER, f"event {number} is delivered behind event {self._next}")
            return
        session_id, sequence, _ = self._order[number - 1]
        if any(other == session_id for other, _, _ in self._order[self._next : number - 1]):
            raise self.fail(Rule.NOTHING_LOST, f"event {number} follows event {self._next}")
        self._next = number
        self.delivered += 1
        if self._known is not None and self._known.id == session_id:
            self._known.delivered = sequence

    # -- time ----------------------------------------------------------------------------------------------------

    def check_time(self, socket: SocketWatch, now: float) -> None:
        """Judge what should have come by now on a socket that both ends hold open."""
        if socket.is_closed:
            return
        if socket.interval is None:
            if now > socket.beat_by:
                raise self.fail(Rule.LEAVES_ZOMBIES, f"no HELLO in {now - socket.opened_at:.1f} s, and it waits on")
            return
        if socket.ignored_at is not None:
            silent = now - socket.ignored_at
            if silent > SILENT_INTERVALS * socket.interval + SLACK:
                raise self.fail(Rule.LEAVES_ZOMBIES, f"nothing has come since a beat {silent:.1f} s ago")
        if not socket.is_leaving:
            self._check_beats(socket, now)

    def _check_beats(self, socket: SocketWatch, now: float) -> None:
        if socket.interval is not None and now > socket.beat_by:
            raise self.fail(Rule.BEATS_IN_TIME, f"no heartbeat in {socket.interval:g} s")
        if socket.asked_at is not None and now > socket.asked_at + ANSWER:
            raise self.fail(Rule.ANSWERS_OP_1, f"no heartbeat within {ANSWER:g} s")

    def missing(self, live: Secret | None) -> list[int]:
        """The numbers of the events of the session that lives, as yet undelivered."""
        return [self._next + at for at, entry in enumerate(self._order[self._next :], 1) if entry[0] == live]

    def check_end(self, live: Secret | None) -> None:
        """Every fault is over and everything had its time: nothing of the session that lives may be missing."""
        if missing := self.missing(live):
            raise self.fail(Rule.NOTHING_LOST, f"events {missing[0]} to {missing[-1]} never came")
