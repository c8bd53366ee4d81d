"""What a client owes a gateway, judged by what it writes, what it was handed and what it delivers.

A `Watch` knows nothing of the client but what passes it by, so the same rules hold for any client. Each `Rule` is one
sentence; a `Finding` names the rule that was broken and tells the story up to there. Where the documentation leaves a
choice the rule leaves it, too: a session may be resumed or given up after a message that a client need not have read.

What the documentation advises only is no rule. A RESUME may go to the gateway's own URL: it works there, too, and is
what to do once the other host has failed. After op 9 nobody must wait: the text of today no longer asks for it.
"""

from collections import deque
from typing import Any, Final

import msgspec

from ..close_codes import FATAL_CLOSE_CODES, GOING_AWAY, NORMAL_CLOSURE, SESSION_ENDING_CLOSE_CODES
from ..codec import DECODE_ERRORS
from ..opcodes import Opcode
from ..ratelimit import SEND_LIMIT, SEND_PERIOD
from ..secret import Secret
from .deliveries import OPTIONAL, Handed, Ledger
from .findings import Finding, Rule, Story, as_code
from .taps import Closed, Downstream, Heard, Payload, Unreadable, Upstream

__all__ = ["Finding", "Rule", "SocketWatch", "Watch"]

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
LEAVE_TAKING: Final = 20.0
"""Seconds within which a client is to act on op 7: "immediately" is what the documentation says."""
FAILED_DIALS: Final = 4
"""In a row, before the waits between them are judged."""
LEAST_WAIT: Final = 0.25
"""Seconds that all waits between so many dials take at least: a jitter can make each of them small."""


class _Identity(msgspec.Struct):
    session_id: str
    seq: int = -1


class _Hello(msgspec.Struct):
    heartbeat_interval: float


class _Known:
    """A session as the client may know it."""

    def __init__(self, session_id: Secret) -> None:
        self.id: Secret = session_id
        self.heard: int = 1
        # Of the last event delivered, and of the last one at an earlier instant.
        self.delivered: int = 0
        self.settled: int = 0
        self.delivered_at: float = float("-inf")

    def deliver(self, sequence: int, now: float) -> None:
        if now > self.delivered_at:
            self.settled, self.delivered_at = self.delivered, now
        self.delivered = max(self.delivered, sequence)

    def least(self, now: float) -> int:
        """The lowest sequence that the client can be said to have received last, if it wrote it at this instant."""
        return self.settled if now == self.delivered_at else self.delivered


class SocketWatch:
    """One socket of the client: its two taps, its beats, its payloads. `dialled_resume_url`: not the gateway's own."""

    def __init__(self, number: int, now: float, *, dialled_resume_url: bool = False) -> None:
        self.number: int = number
        self.dialled_resume_url: bool = dialled_resume_url
        self.session: _Known | None = None
        """What READY began on it, or a RESUME named."""
        self.is_attached: bool = False
        """A dispatch has come on it."""
        self.is_struck: bool = False
        """A fault that is a reason to leave it has befallen it."""
        self.up: Upstream = Upstream()
        self.down: Downstream = Downstream()
        self.opened_at: float = now
        self.interval: float | None = None
        self.beat_by: float = now + GREETING_PATIENCE
        self.beat_at: float = float("-inf")
        self.asked_at: float | None = None
        self.was_asked: bool = False
        """Op 1 was heard, before HELLO or behind it."""
        # The first beat behind which nothing came.
        self.ignored_at: float | None = None
        self.written: deque[float] = deque()
        self.is_leaving: bool = False
        """Op 7, op 9 or a close was heard: a client need not have read what comes behind it."""
        self.may_have_left: bool = False
        """So with a message that is no JSON, within the same read; later it is still there, and goes on."""
        self.is_closed: bool = False
        self.handed_at: float = float("-inf")
        self.reconnect_by: float | None = None
        """Op 7 was heard."""


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
        """Events of the harness's own, by their numbers."""
        self.beats: int = 0
        self.identified_at: float = float("-inf")
        self._dials = 0
        self.settings: str = ""
        """What makes the harness, as code; and what it was made to play."""
        self.steps: list[Any] = []
        # Dials since the last HELLO that came to nothing, when the last did, and the waits between them.
        self._failed = 0
        self._failed_at = 0.0
        self._waited = 0.0
        self._fatal: int | None = None
        self._known: _Known | None = None
        self._sessions: dict[Secret, _Known] = {}
        # What it is known by for sure; otherwise it may also know the one before, or none.
        self._is_certain = True
        # When op 9 false was heard of it.
        self._dead: dict[Secret, float] = {}
        self._order: list[tuple[Secret, int, Any]] = []
        # Of `_order`: what this client need not know, and the numbers that it has delivered.
        self._earlier = 0
        self._delivered: set[int] = set()
        self._last = "event 0"
        self._ledger = Ledger()
        self._has_resumed = False
        self._story = Story()

    # -- what is told --------------------------------------------------------------------------------------------

    def note(self, now: float, line: str, detail: str = "", *, is_step: bool = False) -> None:
        """Add a line to the story; what is told once more is counted."""
        self._story.note(now, line, detail, is_step=is_step)

    def fail(self, rule: Rule, detail: str) -> Finding:
        """The finding, to be raised."""
        return Finding(rule, detail, self._story.lines(), as_code(self.settings, self.steps) if self.steps else ())

    def restarted(self) -> None:
        """The client's process is a new one that knows nothing of the last."""
        self._fatal = None
        self._known = None
        self._sessions.clear()
        self._is_certain = True
        self._earlier = len(self._order)
        self._ledger.clear()
        self._failed = 0
        self.permits = None

    def dispatched(self, session_id: Secret, sequence: int, data: Any) -> int:
        """An event was given to a session. Returns its number, by which the `d` is to be known again."""
        self._order.append((session_id, sequence, data))
        return len(self._order)

    @property
    def has_dialled(self) -> bool:
        return self._dials > 0

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
            raise self.fail(Rule.NO_NEEDLESS_DIAL, f"dial {self._dials}, for {self.faults} faults")
        if self._failed:
            self._waited += now - self._failed_at
        if self._failed >= FAILED_DIALS and self._waited < LEAST_WAIT:
            raise self.fail(
                Rule.BACKS_OFF,
                f"{self._failed} dials in a row have failed, and it waited {self._waited:.2f} s in all",
            )

    def dial_failed(self, at: float) -> None:
        """A dial has come to nothing at this instant: refused, or a socket that ended before its HELLO."""
        self._waited = self._waited if self._failed else 0.0
        self._failed += 1
        self._failed_at = at

    def left(self, socket: SocketWatch, now: float, *, is_served: bool) -> None:
        """The client has left a socket. `is_served`: it had the session that lives there.

        Another it may leave when its patience is over, but not for what it has just been handed, and not where it was
        to RESUME: who does that cannot read it.
        """
        may_resume = socket.interval is not None and self._known is not None and self._is_certain
        if socket.is_struck or socket.is_leaving or not (is_served or may_resume or socket.handed_at == now):
            return
        what = "which served its session" if is_served else "where it could go on"
        raise self.fail(Rule.NO_NEEDLESS_DIAL, f"it leaves socket {socket.number}, {what}; no fault struck there")

    # -- what a client writes ------------------------------------------------------------------------------------

    def wrote(self, socket: SocketWatch, data: bytes, now: float) -> None:
        for heard in socket.up.receive(data):
            match heard:
                case Payload(opcode, d):
                    self._wrote_payload(socket, opcode, d, now)
                case Closed(code, reason):
                    self.note(now, f"the client closes socket {socket.number} with {code}{_quoted(reason)}")
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
            self._beat(socket, d, now)
        elif opcode == Opcode.IDENTIFY:
            self._identify(socket, now)
        elif opcode == Opcode.RESUME:
            self._resume(socket, d, now)

    def _beat(self, socket: SocketWatch, d: bytes, now: float) -> None:
        self.beats += 1
        if not socket.is_leaving:
            self._check_beats(socket, now)
            self._check_beat(socket, d, now)
        socket.asked_at = None
        socket.beat_at = now
        if socket.interval is not None:
            socket.beat_by = now + socket.interval + SLACK
        if socket.ignored_at is None:
            socket.ignored_at = now

    def _check_beat(self, socket: SocketWatch, d: bytes, now: float) -> None:
        """Its `d` is the last sequence received (Gateway > Heartbeat Interval), once one has come on this socket."""
        if socket.interval is None and not socket.was_asked:
            raise self.fail(Rule.BEATS_IN_TIME, "a heartbeat before HELLO")
        known = socket.session
        if known is None or not socket.is_attached:
            return
        try:
            sequence = msgspec.json.decode(d, type=int | None)
        except DECODE_ERRORS:
            raise self.fail(Rule.BEATS_NAME_SEQUENCE, "its d is neither a whole number nor null") from None
        if not known.least(now) <= (sequence or 0) <= known.heard:
            said = "null" if sequence is None else sequence
            raise self.fail(
                Rule.BEATS_NAME_SEQUENCE,
                f"its d is {said}: the last event delivered has {known.delivered}, "
                f"the last message that came {known.heard}",
            )

    def _identify(self, socket: SocketWatch, now: float) -> None:
        self.identifies += 1
        self._has_resumed = False
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
        # On the socket of a RESUME that failed it works, too.
        if socket.dialled_resume_url and not socket.is_leaving and socket.session is None:
            raise self.fail(Rule.RIGHT_URL, "an IDENTIFY on a socket that was dialled by a resume_gateway_url")

    def _resume(self, socket: SocketWatch, d: bytes, now: float) -> None:
        self.resumes += 1
        self._has_resumed = True
        try:
            named = msgspec.json.decode(d, type=_Identity)
        except DECODE_ERRORS:
            raise self.fail(Rule.RIGHT_SESSION, "a RESUME without a session_id and a seq") from None
        session_id, known = Secret(named.session_id), self._known
        socket.session = self._sessions.get(session_id)
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
        socket.handed_at = now
        socket.may_have_left = False
        for heard in socket.down.receive(data, socket.up.compress):
            self._heard(socket, heard, now)

    def _heard(self, socket: SocketWatch, heard: Heard, now: float) -> None:
        match heard:
            case Closed(code, reason):
                self.note(now, f"socket {socket.number} hands over close code {code}{_quoted(reason)}")
                if code in FATAL_CLOSE_CODES and not (socket.is_leaving or socket.may_have_left):
                    self._fatal = code
                elif code in SESSION_ENDING_CLOSE_CODES:
                    self._is_certain = False
                socket.is_leaving = socket.is_closed = True
            case Unreadable(reason):
                self.note(now, f"socket {socket.number} hands over what cannot be read: {reason}")
                socket.may_have_left = True
                socket.is_leaving = socket.is_leaving or socket.down.is_broken
            case Payload():
                self._heard_payload(socket, heard, now)

    def _heard_payload(self, socket: SocketWatch, payload: Payload, now: float) -> None:
        name = f" {payload.name}" if payload.opcode == Opcode.DISPATCH else ""
        if payload.opcode != Opcode.HEARTBEAT_ACK:
            sequence = f" {payload.sequence}" if name else ""
            self.note(now, f"socket {socket.number} hands over op {payload.opcode}{name}", sequence)
        match payload.opcode:
            case Opcode.HELLO:
                self._failed = 0
                socket.interval = msgspec.json.decode(payload.d, type=_Hello).heartbeat_interval / 1000
                socket.beat_by = now + socket.interval + SLACK
            case Opcode.HEARTBEAT:
                socket.was_asked = True
                # A beat that is younger than a second serves.
                if socket.asked_at is None and socket.interval is not None and now - socket.beat_at >= ANSWER:
                    socket.asked_at = now
            case Opcode.RECONNECT:
                socket.is_leaving = True
                socket.reconnect_by = socket.reconnect_by or now + LEAVE_TAKING
            case Opcode.INVALID_SESSION:
                self._invalidated(socket, now, resumable=payload.d == b"true")
            case Opcode.DISPATCH:
                self._heard_dispatch(socket, payload)

    def _heard_dispatch(self, socket: SocketWatch, payload: Payload) -> None:
        if payload.name == "READY":
            self._ready(socket, payload)
        known = socket.session
        if known is None or payload.name is None:
            return
        socket.is_attached = True
        if payload.sequence is not None:
            known.heard = max(known.heard, payload.sequence)
        try:
            body = msgspec.json.decode(payload.d)
        except DECODE_ERRORS:
            return  # of a `SendText`: nobody can deliver it
        self._ledger.hand_over(known.id, payload.sequence, payload.name, body)

    def _ready(self, socket: SocketWatch, payload: Payload) -> None:
        self._is_certain = not (socket.is_leaving or socket.may_have_left)
        session_id = Secret(msgspec.json.decode(payload.d, type=_Identity).session_id)
        socket.session = self._known = self._sessions[session_id] = _Known(session_id)
        self.spoilt = 0

    def _invalidated(self, socket: SocketWatch, now: float, *, resumable: bool) -> None:
        if socket.may_have_left and not resumable:
            self._is_certain = False
        elif not resumable and self._known is not None:
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
        handed = self._ledger.find(name, body)
        if handed is not None:
            self._take(handed, now)
        elif name not in OPTIONAL:
            self._check_repeated(name, body, replayed)

    def _take(self, handed: Handed, now: float) -> None:
        """The next event, or one behind it."""
        self.note(now, f"the client delivers {handed.name}", f" {handed.sequence}")
        missed = self._ledger.take(handed)
        if missed is not None:
            raise self.fail(Rule.NOTHING_LOST, f"{missed.label} is missing, {handed.label} follows {self._last}")
        if handed.must_come:
            self._last = handed.label
        if handed.number is not None:
            self._delivered.add(handed.number)
            self.delivered += 1
        if (known := self._sessions.get(handed.session_id)) is not None and handed.sequence is not None:
            known.deliver(handed.sequence, now)

    def _check_repeated(self, name: str, body: Any, replayed: bool) -> None:
        """Judge an event that nobody waits for."""
        known = self._ledger.recall(body)
        if known is None:
            raise self.fail(Rule.UNCHANGED, f"{name} is delivered with a d that never came")
        if known.name != name:
            raise self.fail(Rule.UNCHANGED, f"{known.label} was a {known.name} and is delivered as {name}")
        if not replayed:
            raise self.fail(Rule.ONCE_AND_IN_ORDER, f"{known.label} is delivered behind {self._last}")
        if not self._has_resumed:
            raise self.fail(
                Rule.ONCE_AND_IN_ORDER, f"{known.label} is delivered again, as replayed, and there was no RESUME"
            )

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
        if socket.reconnect_by is not None and now > socket.reconnect_by:
            raise self.fail(Rule.OBEYS_OP_7, f"it is still there {LEAVE_TAKING:g} s after op 7")
        if not socket.is_leaving:
            self._check_beats(socket, now)

    def _check_beats(self, socket: SocketWatch, now: float) -> None:
        if socket.interval is not None and now > socket.beat_by:
            raise self.fail(Rule.BEATS_IN_TIME, f"no heartbeat in {socket.interval:g} s")
        if socket.asked_at is not None and now > socket.asked_at + ANSWER:
            raise self.fail(Rule.ANSWERS_OP_1, f"no heartbeat within {ANSWER:g} s")

    def missing(self, live: Secret | None) -> list[int]:
        """The numbers of the events of the session that lives, as yet undelivered."""
        return [
            number
            for number, entry in enumerate(self._order[self._earlier :], self._earlier + 1)
            if entry[0] == live and number not in self._delivered
        ]

    def is_whole(self, live: Secret | None) -> bool:
        """Nothing of the session that lives is missing."""
        return not self.missing(live) and not self._ledger.pending(live)

    def check_end(self, live: Secret | None) -> None:
        """Every fault is over and everything had its time: nothing of the session that lives may be missing."""
        if missing := self.missing(live):
            raise self.fail(Rule.NOTHING_LOST, f"events {missing[0]} to {missing[-1]} never came")
        if pending := self._ledger.pending(live):
            raise self.fail(Rule.NOTHING_LOST, f"{pending[0].label} came and was never delivered")


def _quoted(reason: str) -> str:
    return f" {reason!r}" if reason else ""
