"""`Shard`: the machine that a program drives. Bytes and the time in, `ShardAction`s and bytes out.

The parts: `lifecycle.py` begins and ends connections, `conversation.py` answers messages, `connection.py` is the road
of an event; the leaf machines (heartbeat, budget, backoff, route, setbacks, outbox) know nothing of each other.
"""

import random
from collections.abc import Iterable

from .actions import (
    CommandEnded,
    CommandOutcome,
    DiscardCause,
    Dispatch,
    HeartbeatSent,
    IdentifyPermit,
    NoticeKind,
    PermitReturned,
    PermitUsed,
    ShardAction,
)
from .close_codes import NORMAL_CLOSURE, RESUMABLE_CLOSURE
from .commands import (
    Heartbeat,
    Identify,
    InterMessage,
    Resume,
    UpdatePresence,
    check_size,
    chunk_requests,
    encode,
    encode_checked,
    opcode_of,
)
from .config import ShardConfig
from .connection import Connection, Ended, Greeting
from .conversation import Conversation
from .errors import (
    ConnectError,
    DialTimeoutError,
    ExpectedHelloError,
    GatewayError,
    HeartbeatFailedError,
    InvalidConfigError,
    LocalProtocolError,
    NoSessionIdError,
    RequestedError,
    ResumeTimeoutError,
)
from .heartbeat import Beat
from .lifecycle import Lifecycle
from .opcodes import Opcode
from .presence import Activity, CurrentPresence, OnlineStatus
from .session import Session
from .snapshot import ShardSnapshot, take_snapshot
from .stage import ConnectionStage, StageInput
from .timers import Timer
from .websocket import CloseReceived
from .websocket.external import ExternalWebSocket

CLOSED_REASON = "the shard was closed"


class Shard:
    """A bot's one slot on the gateway, over successive connections.

    *Inputs* (`connect`, `connection_*`, `receive_*`, `handle_timeout`, `identify`, `reading_*`) and *commands* (`send`,
    `set_*`, `chunk_guilds`, `heartbeat`, `reconnect`, `resume`, `reset`, `close`) take `now`, in seconds of any
    monotonic clock, and return the actions to be taken, in order. *Drains* (`data_to_send`, `messages_to_send`) give
    what is to be written: call one after every input and command. *Getters* (`next_timeout`, `snapshot`, `stage`,
    `session`, `latency`) change nothing.

    Every input is legal in every stage; an input of an older generation is ignored. Nothing that comes from the network
    raises. A clock that steps back is taken to stand still.

    Args:
        config: who the bot is.
        rng: keys, masks, jitter. The same inputs and the same seed give the same outputs.
        session: of an earlier process; one that does not match is refused with a notice, at `connect` (F38).

    Raises:
        InvalidConfigError: the IDENTIFY of this config would exceed 4096 bytes or cannot be written as JSON.
    """

    def __init__(self, config: ShardConfig, *, rng: random.Random, session: Session | None = None) -> None:
        self._config = config
        try:
            check_size(encode(_identify(config, config.presence)))
        except LocalProtocolError as error:
            raise InvalidConfigError(f"the IDENTIFY of this config cannot be sent: {error}") from None
        self._life = Lifecycle(config, rng, session)
        self._conversation = Conversation(self._life)

    # -- inputs: the connection --------------------------------------------------------------------------------

    def connect(self, now: float) -> list[ShardAction]:
        """Start; or, while a reconnect is waited for, dial at once. Ignored while there is a connection."""
        life = self._begin(now)
        if life.connection is None:
            life.started = True
            life.is_shutdown = False
            life.dial()
        return life.take_actions()

    def connection_made(self, generation: int, now: float, *, framed: bool = True) -> list[ShardAction]:
        """The socket is open; the upgrade request is now in `data_to_send`.

        Args:
            framed: False if the embedder's framework has done the WebSocket upgrade: then use `receive_message`,
                `receive_close` and `messages_to_send`.
        """
        life = self._begin(now)
        connection = self._current(generation)
        if connection is not None:
            life.socket_open(connection, framed=framed)
        return life.take_actions()

    def connection_failed(self, generation: int, error: Exception | str, now: float) -> list[ShardAction]:
        """The dial failed: there is no socket."""
        life = self._begin(now)
        if self._current(generation) is not None:
            cause = error if isinstance(error, GatewayError) else ConnectError(str(error) or type(error).__name__)
            life.lose(cause.as_value(), disconnect=False)
        return life.take_actions()

    def receive_data(self, generation: int, data: bytes, now: float) -> list[ShardAction]:
        """Bytes from the socket, in any chunking."""
        life = self._begin(now)
        connection = self._current(generation)
        if connection is not None:
            connection.receive_data(data, life.now)
            self._conversation.read()
        return life.take_actions()

    def receive_message(self, generation: int, message: str | bytes, now: float) -> list[ShardAction]:
        """A whole message (str for TEXT, bytes for BINARY) of a connection that was made with `framed=False`.

        Raises:
            LocalProtocolError: this connection is framed by the shard itself: use `receive_data`.
        """
        connection = self._unframed(generation)
        life = self._begin(now)
        if connection is not None:
            connection.receive_message(message, life.now)
            self._conversation.read()
        return life.take_actions()

    def receive_close(self, generation: int, code: int | None, reason: str, now: float) -> list[ShardAction]:
        """The peer's close frame, as the embedder's framework tells it; the rest is as for `receive_message`."""
        connection = self._unframed(generation)
        life = self._begin(now)
        if connection is not None:
            connection.receive_end(CloseReceived(code, reason))
            self._conversation.read()
        return life.take_actions()

    def receive_eof(self, generation: int, now: float) -> list[ShardAction]:
        """The socket ended or was reset. What it brought before that is answered first."""
        life = self._begin(now)
        connection = self._current(generation)
        if connection is not None:
            connection.receive_end(Ended())
            self._conversation.read()
        return life.take_actions()

    def reading_paused(self, generation: int, now: float) -> list[ShardAction]:
        """The sink is full and the socket is not read: silence is then no evidence of anything (F33)."""
        life = self._begin(now)
        connection = self._current(generation)
        if connection is not None and connection.paused_since is None:
            connection.paused_since = life.now
        return life.take_actions()

    def reading_resumed(self, generation: int, now: float) -> list[ShardAction]:
        """The socket is read again; what is judged by silence starts anew."""
        life = self._begin(now)
        connection = self._current(generation)
        if connection is not None and connection.paused_since is not None:
            connection.paused_since = None
            connection.last_dispatch = life.now
            limits = self._config.limits
            for timer, patience in (
                (Timer.DIAL, limits.dial),
                (Timer.HELLO, limits.hello),
                (Timer.READY, limits.ready_notice),
                (Timer.GUILDS, limits.guilds_settled),
            ):
                if life.timers.get(timer) is not None:
                    life.timers.set(timer, life.now + patience)
            if connection.heart is not None:
                connection.heart.forget_silence(life.now)
                life.timers.set(Timer.HEARTBEAT, connection.heart.next_timeout())
        return life.take_actions()

    # -- inputs: permits, deliveries, time ---------------------------------------------------------------------

    def identify(self, permit: IdentifyPermit, now: float) -> list[ShardAction]:
        """The permit that `IdentifyWanted` asked for. One that nobody waits for comes back as `PermitReturned`."""
        life = self._begin(now)
        connection = self._current(permit.generation)
        if connection is not None and connection.wants_permit:
            connection.wants_permit = False
            connection.permit = permit
            connection.greeting = Greeting.IDENTIFY
            life.step(StageInput.IDENTIFY)
            life.timers.set(Timer.READY, life.now + self._config.limits.ready_notice)
        else:
            life.actions.append(PermitReturned(permit=permit))
        return life.take_actions()

    def delivered(self, epoch: int, sequence: int) -> None:
        """The sink has taken every event of this session up to `sequence`.

        Raises:
            LocalProtocolError: no such event was ever handed out.
        """
        session = self._life.session
        if epoch > self._life.epoch or (session and epoch == session.epoch and sequence > session.received):
            raise LocalProtocolError(f"sequence {sequence} of epoch {epoch} was never handed out")
        if session is not None and epoch == session.epoch:
            session.delivered = max(session.delivered, sequence)

    def handle_timeout(self, now: float) -> list[ShardAction]:
        """Do what is due at `now`, and what an earlier call left over. Too early it does nothing."""
        life = self._begin(now)
        self._conversation.read()
        while (timer := life.timers.pop_due(life.now)) is not None:
            self._due(timer)
        return life.take_actions()

    def _due(self, timer: Timer) -> None:
        life, limits = self._life, self._config.limits
        connection = life.connection
        if timer is Timer.RECONNECT:
            life.dial()
        elif connection is None:
            return
        elif timer is Timer.HEARTBEAT:
            self._beat_due(connection)
        elif connection.paused_since is not None:
            # Nobody reads: it may be there. `reading_resumed` starts the wait anew.
            life.timers.set(timer, life.now + limits.hello)
        elif timer is Timer.GUILDS:
            self._guilds_due()
        elif timer is Timer.READY:
            life.notice(NoticeKind.READY_SLOW, f"no READY within {limits.ready_notice:g} s of IDENTIFY; still waiting")
        elif timer is Timer.DIAL:
            life.lose(DialTimeoutError(limits.dial))
        elif timer is Timer.HELLO:
            life.lose(ExpectedHelloError(f"no HELLO within {limits.hello:g} s"))
        elif connection.last_dispatch + limits.resumed > life.now:
            life.timers.set(Timer.RESUMED, connection.last_dispatch + limits.resumed)
        else:
            life.lose(ResumeTimeoutError(limits.resumed))

    def _beat_due(self, connection: Connection) -> None:
        life, heart = self._life, connection.heart
        if heart is None:
            return
        lenient = life.stage in (ConnectionStage.IDENTIFYING, ConnectionStage.RESUMING)
        paused = connection.paused_since is not None
        beat, lag = heart.due(life.now, connection.last_received, lenient=lenient, paused=paused)
        life.timers.set(Timer.HEARTBEAT, heart.next_timeout())
        if beat is not Beat.EARLY:
            life.tally.lag = lag
        if beat is Beat.ZOMBIE:
            life.lose(HeartbeatFailedError("no sign of life from the gateway: a zombie connection"))
        elif beat is Beat.PROBE:
            life.notice(NoticeKind.CLOCK_JUMP, f"the clock jumped {lag:.1f} s past a heartbeat; probing", lag=lag)
        elif beat is Beat.ACK_MISSING:
            life.notice(NoticeKind.ACK_MISSING, "a heartbeat is unacknowledged, though the connection is alive")
        if beat in (Beat.BEAT, Beat.ACK_MISSING) and lag >= self._config.limits.lag_notice:
            life.notice(NoticeKind.HEARTBEAT_LATE, f"a heartbeat is {lag:.1f} s late: the loop was blocked", lag=lag)

    def _guilds_due(self) -> None:
        life, patience = self._life, self._config.limits.guilds_settled
        if life.session is None:
            return
        if life.guild_came_at + patience > life.now:
            life.timers.set(Timer.GUILDS, life.guild_came_at + patience)
        else:
            self._conversation.settle_guilds(life.session)

    # -- commands ----------------------------------------------------------------------------------------------

    def send(self, message: InterMessage, now: float) -> list[ShardAction]:
        """Queue a command until there is a session and budget for it; how it ends is told by `CommandEnded`.

        Raises:
            LocalProtocolError: Discord would close for it, this shard cannot own its guild, or the queue is full.
        """
        if isinstance(message, UpdatePresence):
            return self.set_presence(message.presence, now)
        return self._queue([(message, encode_checked(message, self._config.shard))], now)

    def chunk_guilds(
        self,
        guild_ids: Iterable[int],
        now: float,
        *,
        limit: int = 0,
        query: str = "",
        presences: bool | None = None,
    ) -> list[ShardAction]:
        """Request the members of any number of guilds, one request each.

        Raises:
            LocalProtocolError: as for `send`; then none of them is queued.
        """
        requests = chunk_requests(guild_ids, limit, query, presences)
        return self._queue([(request, encode_checked(request, self._config.shard)) for request in requests], now)

    def _queue(self, entries: list[tuple[InterMessage, bytes]], now: float) -> list[ShardAction]:
        outbox = self._life.outbox
        outbox.check_room(len(entries))
        life = self._begin(now)
        for message, data in entries:
            if opcode_of(message) == Opcode.PRESENCE_UPDATE:
                life.actions += outbox.put_presence(message, data)
            else:
                outbox.put(message, data)
        if life.is_shutdown:
            life.actions += outbox.clear(CLOSED_REASON)
        return life.take_actions()

    def set_presence(self, presence: CurrentPresence, now: float) -> list[ShardAction]:
        """Show this from now on, over reconnects too. The newest replaces one that is not sent yet (F36).

        Raises:
            LocalProtocolError: the IDENTIFY that is to carry it would exceed 4096 bytes.
        """
        message = UpdatePresence(presence=presence)
        data = encode(message)
        check_size(encode(_identify(self._config, presence)))
        life = self._begin(now)
        life.presence = presence
        life.actions += life.outbox.put_presence(message, data)
        if life.is_shutdown:
            life.actions += life.outbox.clear(CLOSED_REASON)
        return life.take_actions()

    def set_activity(self, activity: Activity | None, now: float) -> list[ShardAction]:
        """Show this activity, or none; the status stays. Raises as `set_presence`."""
        old = self._life.presence
        activities = () if activity is None else (activity,)
        return self.set_presence(
            CurrentPresence(activities=activities, status=old.status, since=old.since, afk=old.afk), now
        )

    def set_status(self, status: OnlineStatus, now: float) -> list[ShardAction]:
        """Show this status; the activity stays. Offline becomes invisible. Raises as `set_presence`."""
        old = self._life.presence
        return self.set_presence(
            CurrentPresence(activities=old.activities, status=status, since=old.since, afk=old.afk), now
        )

    def heartbeat(self, now: float) -> list[ShardAction]:
        """Beat once besides the schedule, if there is a connection with a HELLO and no beat younger than 1 s."""
        life = self._begin(now)
        if life.connection is not None and life.connection.heart is not None:
            life.connection.heart.ask(life.now)
        return life.take_actions()

    def reconnect(self, now: float) -> list[ShardAction]:
        """Drop the connection and make a new one, which resumes the session if there is one."""
        life = self._begin(now)
        if life.connection is None:
            return self.connect(now)
        life.lose(RequestedError("a reconnect was asked for"), free=True)
        return life.take_actions()

    def resume(self, now: float) -> list[ShardAction]:
        """Like `reconnect`, but only to resume: without a session a notice says so and nothing changes."""
        life = self._begin(now)
        if life.session is None:
            error = NoSessionIdError()
            life.notice(NoticeKind.NO_SESSION, str(error), error)
            return life.take_actions()
        return self.reconnect(now)

    def reset(self, now: float) -> list[ShardAction]:
        """Give the session up and identify anew (it costs an IDENTIFY)."""
        life = self._begin(now)
        if life.connection is not None:
            # 1000: Discord need not keep what nobody will resume.
            life.lose(
                RequestedError("a reset was asked for"), discard=DiscardCause.RESET, free=True, code=NORMAL_CLOSURE
            )
        else:
            life.discard(DiscardCause.RESET)
        return life.take_actions()

    def close(self, now: float, *, resumable: bool = True) -> list[ShardAction]:
        """End. With `resumable` Discord keeps the session for a later process; else it ends and the bot goes offline.

        `connect` starts the shard again.
        """
        life = self._begin(now)
        life.end(RESUMABLE_CLOSURE if resumable else NORMAL_CLOSURE, CLOSED_REASON)
        if not resumable:
            life.discard(DiscardCause.LOGOUT)
        return life.take_actions()

    # -- drains ------------------------------------------------------------------------------------------------

    def data_to_send(self, now: float) -> bytes:
        """The bytes to be written to the current socket. What they say and cost is fixed here, at `now`.

        Actions that this causes come out of the next input: `next_timeout` is then `now`.
        """
        life = self._clock(now)
        connection = life.connection
        if connection is None or connection.ws is None or isinstance(connection.ws, ExternalWebSocket):
            # Messages that leave by the other drain must be charged by it.
            return b""
        self._fill(connection)
        data = connection.ws.data_to_send()
        life.tally.bytes_out += len(data)
        return data

    def messages_to_send(self, now: float) -> list[bytes]:
        """The same for a connection made with `framed=False`: whole messages, each the UTF-8 of a TEXT message."""
        life = self._clock(now)
        connection = life.connection
        if connection is None or not isinstance(connection.ws, ExternalWebSocket):
            return []
        self._fill(connection)
        messages = connection.ws.messages_to_send()
        life.tally.bytes_out += sum(len(message) for message in messages)
        return messages

    def _fill(self, connection: Connection) -> None:
        """Hand the WebSocket what may go now: the beat, then IDENTIFY or RESUME, then commands (F10)."""
        self._drain_beat(connection)
        self._drain_greeting(connection)
        if self._life.stage is ConnectionStage.CONNECTED and connection.greeting is None:
            self._drain_commands(connection)

    def _write(self, connection: Connection, payload: bytes) -> None:
        if connection.ws is not None:
            connection.ws.send_message(payload)
        connection.budget.charge(self._life.now)

    def _drain_beat(self, connection: Connection) -> None:
        life, heart, now = self._life, connection.heart, self._life.now
        if heart is None or not heart.queued:
            return
        budget = connection.budget
        if not (budget.allows_protocol(now) if heart.scheduled else budget.allows_answer(now)):
            return
        sequence = life.session.delivered or None if life.session is not None else None
        self._write(connection, encode(Heartbeat(sequence=sequence)))
        heart.sent(now)
        life.actions.append(HeartbeatSent(generation=connection.generation, sequence=sequence, at=now))

    def _drain_greeting(self, connection: Connection) -> None:
        life, now = self._life, self._life.now
        greeting, permit, session = connection.greeting, connection.permit, life.session
        if greeting is None or not connection.budget.allows_protocol(now):
            return
        connection.greeting = None
        if greeting is Greeting.RESUME and session is not None:
            resume = Resume(token=self._config.token, session_id=session.id, sequence=session.received)
            self._write(connection, encode(resume))
            life.setbacks.resume_written(now)
            life.tally.resumes_tried += 1
        elif permit is not None:
            self._write(connection, encode(_identify(self._config, life.presence)))
            connection.permit = None
            life.tally.identifies.append(now)
            life.actions.append(PermitUsed(permit=permit, at=now))
            life.actions += life.outbox.presence_rode_in_identify()

    def _drain_commands(self, connection: Connection) -> None:
        life = self._life
        while connection.budget.allows_command(life.now):
            entry = life.outbox.pop(life.now)
            if entry is None:
                return
            message, payload = entry
            self._write(connection, payload)
            life.actions.append(CommandEnded(command=message, outcome=CommandOutcome.WRITTEN))

    # -- getters -----------------------------------------------------------------------------------------------

    def next_timeout(self) -> float | None:
        """When `handle_timeout` and a drain are due next: at the last `now` if work is left over, never before it.

        None: nothing is, for good once the shard is closed or has ended; the actions of that last call still count.
        """
        life = self._life
        if life.now == float("-inf"):
            return None
        connection = life.connection
        if life.actions or (connection is not None and connection.has_backlog):
            return life.now
        due = [at for at in (life.timers.next(), self._sendable_at()) if at is not None]
        return max(min(due), life.now) if due else None

    def _sendable_at(self) -> float | None:
        """When the next drain yields a payload, if one waits."""
        life = self._life
        connection = life.connection
        if connection is None or not connection.upgraded:
            return None
        budget, heart = connection.budget, connection.heart
        waits: list[float] = []
        if heart is not None and heart.queued:
            free = budget.protocol_free_at() if heart.scheduled else budget.answer_free_at()
            waits.append(free or life.now)
        if connection.greeting is not None:
            waits.append(budget.protocol_free_at() or life.now)
        elif life.stage is ConnectionStage.CONNECTED and (ready := life.outbox.ready_at()) is not None:
            waits.append(max(ready, budget.command_free_at() or life.now))
        return min(waits, default=None)

    @property
    def stage(self) -> ConnectionStage:
        return self._life.stage

    @property
    def session(self) -> Session | None:
        """What a later process would resume from: the session at the delivered sequence, None before READY's."""
        return self.session_snapshot()

    @property
    def latency(self) -> float | None:
        """Seconds from the last beat to its ACK, of this connection."""
        heart = self._life.connection.heart if self._life.connection is not None else None
        return heart.latency if heart is not None else None

    def session_snapshot(self, wall: float | None = None, *, after: Dispatch | None = None) -> Session | None:
        """As `session`, with the wall time (seconds since the epoch) that it is to bear as `saved_at`.

        Args:
            after: as if this event had been delivered. With READY it is what to store before READY is handed on: a
                program that is killed in between then resumes, at the cost of READY alone.
        """
        session = self._life.session
        if session is None:
            return None
        sequence = after.sequence if after is not None and after.epoch == session.epoch else 0
        return session.snapshot(self._config.binding(), wall, sequence)

    def snapshot(self) -> ShardSnapshot:
        """Everything that a supervisor wants to see (F25)."""
        return take_snapshot(self._life)

    # -- inside ------------------------------------------------------------------------------------------------

    def _clock(self, now: float) -> Lifecycle:
        life = self._life
        if now > life.now:
            life.now = now
        return life

    def _begin(self, now: float) -> Lifecycle:
        """The start of every input and command: time moves on, and what the last call returned may be delivered."""
        life = self._clock(now)
        if self._config.auto_deliver and life.session is not None:
            life.session.delivered = life.session.received
        if life.connection is not None:
            life.connection.begin_call()
        return life

    def _current(self, generation: int) -> Connection | None:
        """The connection of this generation, unless it is an old one (F14)."""
        connection = self._life.connection
        return connection if connection is not None and connection.generation == generation else None

    def _unframed(self, generation: int) -> Connection | None:
        connection = self._current(generation)
        if connection is None or connection.ws is None:
            return None
        if not isinstance(connection.ws, ExternalWebSocket):
            raise LocalProtocolError("this connection is framed by the shard: hand it bytes by receive_data")
        return connection


def _identify(config: ShardConfig, presence: CurrentPresence) -> Identify:
    return Identify(
        token=config.token,
        intents=int(config.intents),
        properties=dict(config.properties),
        shard=config.shard,
        presence=presence,
        compress=config.payload_compression,
        large_threshold=config.large_threshold,
        extra=dict(config.identify_extra),
    )
