"""What the gateway says, and what the shard answers: one method for each kind of message.

`read` is the loop: ordinary dispatches never leave `Connection.pump`; everything else is answered here, in the order in
which it came. The rows of the failure list are named where they are kept.
"""

from typing import Any, Final

import msgspec

from .actions import (
    DiscardCause,
    Dispatch,
    GuildsSettled,
    IdentifyWanted,
    NoticeKind,
    SequenceGap,
    Unrecognized,
)
from .close_codes import FATAL_CLOSE_CODES, SESSION_ENDING_CLOSE_CODES
from .codec import DECODE_ERRORS, Envelope, is_unicode, members
from .connection import Connection, Ended, Greeting, Odd, Special
from .errors import (
    BoundExceededError,
    BrokenStreamError,
    ClosedError,
    ExpectedHelloError,
    InvalidSessionError,
    MessageTooLargeError,
    ReconnectRequestedError,
    UndecodableMessageError,
    closed_error,
)
from .guilds import WATCHED
from .heartbeat import MAX_INTERVAL, MIN_INTERVAL, Heartbeat
from .lifecycle import Lifecycle
from .opcodes import Opcode
from .secret import Secret
from .session import MAX_SEQUENCE, LiveSession
from .stage import ConnectionStage, StageInput
from .timers import Timer
from .websocket import Broken, CloseReceived, Opened, Refused

DEFAULT_INTERVAL: Final = 41.25
"""Seconds; what Discord says, for a HELLO that says nothing usable."""
INVALID_SESSION_WAIT: Final = (1.0, 5.0)
"""Seconds between op 9 and the next dial (Discord: Gateway > Resuming)."""
REFUSED_IDENTIFY_WAIT: Final = 5.0
"""Seconds more where op 9 answers an IDENTIFY (F19)."""

_READY: Final = "READY"
_RESUMED: Final = "RESUMED"
_WATCHED: Final = {
    # (resuming, guilds settled): the events that the shard itself must see
    (False, True): frozenset({_READY}),
    (True, True): frozenset({_READY, _RESUMED}),
    (False, False): WATCHED | {_READY},
    (True, False): WATCHED | {_READY, _RESUMED},
}


class _Hello(msgspec.Struct):
    heartbeat_interval: float


class _Guild(msgspec.Struct):
    id: int


class _Ready(msgspec.Struct):
    """READY's fields, each as odd as it may be."""

    session_id: Any = None
    resume_gateway_url: Any = None
    shard: Any = None
    guilds: Any = None
    application: Any = None


class Conversation:
    """Reads the current connection of a `Lifecycle` and answers."""

    def __init__(self, life: Lifecycle) -> None:
        self._life = life

    def read(self) -> None:
        """Answer everything that the connection holds, as far as the bound of a call goes."""
        life = self._life
        while (connection := life.connection) is not None:
            stage = life.machine.stage
            resuming = stage is ConnectionStage.RESUMING
            session = life.session if resuming or stage is ConnectionStage.CONNECTED else None
            before = session.received if session is not None else 0
            watched = _WATCHED[resuming, life.guilds.settled]
            special = connection.pump(session, watched, resuming, life.actions)
            if session is not None and session.received != before:
                life.setbacks.dispatch_received()
            if special is None:
                return
            self._answer(connection, special)
            if connection.exhausted:
                return

    def _answer(self, connection: Connection, special: Special) -> None:
        life = self._life
        match special:
            case Envelope():
                self._envelope(connection, special)
            case Odd(envelope, reason):
                life.notice(NoticeKind.ODD_MESSAGE, f"read forgivingly: {reason}")
                self._envelope(connection, envelope)
            case Opened():
                life.upgraded(connection)
            case Refused(error):
                life.lose(error)
            case CloseReceived(code, reason):
                self._closed(code, reason)
            case Broken(error):
                self._broken(error)
            case Ended():
                life.lose(ClosedError(), free=connection.connected_at is not None)

    def _envelope(self, connection: Connection, envelope: Envelope) -> None:
        op = envelope.op
        if connection.heart is None and op not in (Opcode.HELLO, Opcode.RECONNECT, Opcode.INVALID_SESSION):
            self._life.lose(ExpectedHelloError(f"the gateway sent op {op} where HELLO was due"))
        elif op == Opcode.DISPATCH:
            self._dispatch(connection, envelope)
        elif op == Opcode.HEARTBEAT_ACK:
            self._acknowledged(connection)
        elif op == Opcode.HEARTBEAT:
            self._beat_wanted(connection)
        elif op == Opcode.HELLO:
            self._hello(connection, envelope.d)
        elif op == Opcode.RECONNECT:
            self._reconnect(connection)
        elif op == Opcode.INVALID_SESSION:
            self._invalid_session(bytes(envelope.d).strip() == b"true")
        else:
            # Not documented, or an app's own: whoever knows it may have it (F31).
            self._life.tally.unrecognized += 1
            self._life.actions.append(Unrecognized(opcode=op, sequence=envelope.s, name=envelope.t, raw=envelope.d))

    # -- the connection ----------------------------------------------------------------------------------------

    def _hello(self, connection: Connection, d: msgspec.Raw) -> None:
        """Op 10: schedule the beats, then RESUME or ask for a permit. Nothing of ours leaves earlier (F04)."""
        life = self._life
        interval = self._interval(d)
        if connection.heart is not None:
            life.notice(NoticeKind.HELLO_AGAIN, f"HELLO came again; beating every {interval:g} s from here")
            connection.heart.set_interval(interval, life.now)
        else:
            connection.heart = Heartbeat(interval, life.now, life.rng)
            life.timers.clear(Timer.HELLO)
            life.route.hello()
        connection.budget.set_interval(connection.heart.interval)
        life.timers.set(Timer.HEARTBEAT, connection.heart.next_timeout())
        if life.stage is ConnectionStage.HANDSHAKE and not connection.wants_permit:
            self._greet(connection)

    def _interval(self, d: msgspec.Raw) -> float:
        """HELLO's interval in seconds; what is no number, or none that anyone could keep, is told and mended."""
        try:
            interval = msgspec.json.decode(d, type=_Hello).heartbeat_interval / 1000
        except DECODE_ERRORS:
            interval = 0.0
        if MIN_INTERVAL <= interval <= MAX_INTERVAL:
            return interval
        clamped = DEFAULT_INTERVAL if interval <= 0 else min(max(interval, MIN_INTERVAL), MAX_INTERVAL)
        self._life.notice(NoticeKind.INTERVAL_CLAMPED, f"HELLO wants a beat every {interval:g} s; using {clamped:g} s")
        return clamped

    def _greet(self, connection: Connection) -> None:
        """HELLO is there: RESUME what is held, or ask for the permit of an IDENTIFY."""
        life = self._life
        if life.setbacks.is_bricked(life.now):
            life.discard(DiscardCause.BRICKED)
        if life.session is not None and life.session.id:
            connection.greeting = Greeting.RESUME
            connection.last_dispatch = life.now
            life.step(StageInput.RESUME)
            life.timers.set(Timer.RESUMED, life.now + life.config.limits.resumed)
        else:
            connection.wants_permit = True
            life.actions.append(IdentifyWanted(generation=connection.generation, shard=life.config.shard))

    def _acknowledged(self, connection: Connection) -> None:
        if connection.heart is not None:
            connection.heart.acknowledged(self._life.now)
            self._life.timers.set(Timer.HEARTBEAT, connection.heart.next_timeout())

    def _beat_wanted(self, connection: Connection) -> None:
        """Op 1: beat at once, besides the schedule (F10)."""
        if connection.heart is not None:
            connection.heart.ask(self._life.now)

    def _reconnect(self, connection: Connection) -> None:
        """Op 7, legal in every stage (F05). Before HELLO it is a gateway in trouble: do not hurry."""
        greeted = connection.heart is not None
        floor = 0.0 if greeted else self._life.rng.uniform(*INVALID_SESSION_WAIT)
        self._life.lose(ReconnectRequestedError(), free=greeted, floor=floor)

    def _invalid_session(self, resumable: bool) -> None:
        """Op 9, legal in every stage (F19)."""
        life = self._life
        floor = life.rng.uniform(*INVALID_SESSION_WAIT)
        if life.stage is ConnectionStage.IDENTIFYING:
            floor += REFUSED_IDENTIFY_WAIT
        discard = None if resumable else DiscardCause.INVALID_SESSION
        life.lose(InvalidSessionError(resumable), discard=discard, floor=floor)

    def _closed(self, code: int | None, reason: str) -> None:
        """A close frame. What it forbids is obeyed; after anything else a RESUME is tried (F16, F17)."""
        life = self._life
        error = closed_error(code, life.redact(reason), life.config.recommended_shards)
        if code in FATAL_CLOSE_CODES:
            life.fatal(error)
            return
        discard = DiscardCause.CLOSE_CODE if code in SESSION_ENDING_CLOSE_CODES else None
        life.lose(error, discard=discard, free=life.stage is ConnectionStage.CONNECTED)

    def _broken(self, error: BrokenStreamError) -> None:
        """The rest of this connection cannot be read; the next one gets the same events again (F27 to F30)."""
        life = self._life
        if isinstance(error, MessageTooLargeError) and life.config.transport_compression is not None:
            # The WebSocket layer knows the number, not which setting it came from.
            error = MessageTooLargeError(error.limit, compressed=True)
        life.notice(NoticeKind.STREAM_BROKEN, str(error), error)
        sequence = life.session.received if life.session is not None else 0
        if isinstance(error, BoundExceededError) and life.setbacks.too_large(sequence):
            # A new session would be sent the same guild again: only its owner can help (F29).
            life.fatal(error)
            return
        replaying = life.stage in (ConnectionStage.RESUMING, ConnectionStage.CONNECTED)
        poisoned = (
            replaying
            and life.session is not None
            and not isinstance(error, BoundExceededError)
            and life.setbacks.broken_stream(sequence)
        )
        life.lose(error, discard=DiscardCause.POISONED if poisoned else None)

    # -- dispatches --------------------------------------------------------------------------------------------

    def _dispatch(self, connection: Connection, envelope: Envelope) -> None:
        """Op 0 that is not ordinary: READY, RESUMED, an awaited guild, a duplicate, a gap, or out of place."""
        life = self._life
        name, sequence = envelope.t, envelope.s
        if name is None or sequence is None or not 1 <= sequence <= MAX_SEQUENCE:
            self._broken(UndecodableMessageError("a dispatch has no name or no sequence"))
        elif life.stage is ConnectionStage.HANDSHAKE:
            self._before_ready(name)
        elif name == _READY:
            self._ready(connection, sequence, envelope.d)
        elif life.session is None:
            self._before_ready(name)
        else:
            self._sequenced(connection, life.session, sequence, name, envelope.d)

    def _before_ready(self, name: str) -> None:
        life = self._life
        life.tally.before_ready += 1
        kind = NoticeKind.RESUMED_UNEXPECTED if name == _RESUMED else NoticeKind.DISPATCH_BEFORE_READY
        life.notice(kind, f"{name[:64]} came before READY: it belongs to no session")

    def _sequenced(
        self, connection: Connection, session: LiveSession, sequence: int, name: str, d: msgspec.Raw
    ) -> None:
        """A dispatch of the session: told once, in order; a gap is told too (F32)."""
        life = self._life
        connection.last_dispatch = life.now
        life.setbacks.dispatch_received()
        replayed = life.stage is ConnectionStage.RESUMING
        # One that an earlier process got is replayed like any event, and the replay goes on behind it. The one that
        # ends it is newer, or takes no number of its own.
        is_old = session.received < sequence <= session.seen
        if name == _RESUMED and replayed and not is_old:
            life.tally.resumes_won += 1
            life.connected(connection, StageInput.RESUMED)
        if sequence <= session.received:
            life.tally.duplicates += 1
            return
        if sequence > session.received + 1:
            life.tally.gaps += 1
            life.actions.append(SequenceGap(epoch=session.epoch, expected=session.received + 1, received=sequence))
        session.received = sequence
        life.actions.append(Dispatch(session.epoch, sequence, name, d, replayed))
        if name in WATCHED and not life.guilds.settled:
            self._guild_came(session, d)

    def _ready(self, connection: Connection, sequence: int, d: msgspec.Raw) -> None:
        """READY: a new session, whatever was there before. Only READY brings a resume URL (F03)."""
        life = self._life
        ready = _read_ready(d)
        session_id = Secret(ready.session_id if is_unicode(ready.session_id) else "")
        if life.session is not None:
            if session_id and life.session.id == session_id:
                self._sequenced(connection, life.session, sequence, _READY, d)
                return
            life.discard(DiscardCause.REPLACED)
        life.epoch += 1
        url = ready.resume_gateway_url
        life.session = session = LiveSession(
            epoch=life.epoch,
            id=session_id,
            resume_url=Secret(url) if is_unicode(url) and url else None,
            sequence=sequence,
            delivered=0,
            application_id=_snowflake(ready.application),
        )
        life.setbacks.forget()
        life.tally.ready_at = life.now
        life.connected(connection, StageInput.READY)
        life.adopt_resume_url()
        self._check_shard(ready.shard)
        if not session_id:
            life.notice(NoticeKind.ODD_MESSAGE, "READY has no session_id: this session cannot be resumed")
        life.actions.append(Dispatch(session.epoch, sequence, _READY, d))
        self._await_guilds(session, ready.guilds)

    def _check_shard(self, shard: Any) -> None:
        ours = self._life.config.shard
        if ours is not None and shard is not None and shard != list(ours):
            self._life.notice(NoticeKind.SHARD_MISMATCH, f"READY is for shard {shard!r:.64}, this is {list(ours)}")

    # -- guilds ------------------------------------------------------------------------------------------------

    def _await_guilds(self, session: LiveSession, guilds: Any) -> None:
        life = self._life
        listed = guilds if isinstance(guilds, list) else []
        ids = [guild_id for guild in listed if (guild_id := _snowflake(guild)) is not None]
        life.guilds.start(ids)
        if ids:
            life.await_guilds()
        else:
            self.settle_guilds(session)

    def _guild_came(self, session: LiveSession, d: msgspec.Raw) -> None:
        life = self._life
        try:
            guild_id: int | None = msgspec.json.decode(d, type=_Guild, strict=False).id
        except DECODE_ERRORS:
            guild_id = _snowflake(members(d))
        if guild_id is not None and life.guilds.came(guild_id):
            life.guild_came_at = life.now
            if not life.guilds.count:
                self.settle_guilds(session)

    def settle_guilds(self, session: LiveSession) -> None:
        """Tell that READY's guilds are there, or will not come (F25)."""
        self._life.timers.clear(Timer.GUILDS)
        self._life.actions.append(GuildsSettled(epoch=session.epoch, missing=self._life.guilds.settle()))


def _read_ready(d: msgspec.Raw) -> _Ready:
    try:
        return msgspec.json.decode(d, type=_Ready)
    except DECODE_ERRORS:
        # Odd in some other place: what it says of the session counts all the same (F31).
        found = members(d)
        return _Ready(**{name: found[name] for name in _Ready.__struct_fields__ if name in found})


def _snowflake(value: Any) -> int | None:
    """The id of an object, as Discord writes it (a string) or as a number."""
    found = value.get("id") if isinstance(value, dict) else None
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 20:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
