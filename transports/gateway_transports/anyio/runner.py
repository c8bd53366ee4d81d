"""One shard at work: `open_shard`.

    async with open_shard(config, session=stored) as runner:
        async for event in runner:
            print(event.name, event.decode())
    store(runner.session)

The shard, a pure machine, decides everything; here its actions are done. Its tasks are shielded: however the block
ends, by its own end, an exception or a cancellation, the shard detaches in order (a close frame that keeps the session,
2 s at most) and what was not acknowledged comes again when the session is resumed (F18, F26, F32).
"""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Final

import anyio
import anyio.abc
import anyio.lowlevel

from gateway_proto import (
    Activity,
    CommandEnded,
    Connect,
    ConnectError,
    ConnectionStage,
    CurrentPresence,
    Disconnect,
    Dispatch,
    Fatal,
    GatewayError,
    IdentifyWanted,
    InterMessage,
    OnlineStatus,
    PermitReturned,
    PermitUsed,
    Session,
    SessionLost,
    Shard,
    ShardAction,
    ShardConfig,
    ShardSnapshot,
    StageChanged,
)
from gateway_proto.events import ChannelInfo
from gateway_proto.fleet import IdentifyQueue
from gateway_proto.requests import GuildRequests, Members, Sounds

from ..clock import Clock, SystemClock
from ..contract import Dialer
from ..driver import Link, Ticker
from ..errors import SlowConsumerError, StreamError, one_line
from ..gate import IdentifyGate
from ..queue_gate import QueueGate
from ..sink import EventQueue, QueueLimits
from ..tasks import background
from .dial import AnyioDialer
from .requests import AwaitedRequests

_TURN: Final = 64
"""Events that an iteration takes from a filled queue before other tasks get their turn."""
_USUAL_INTERVAL: Final = 41.25
"""Seconds between heartbeats, while no HELLO has said so."""
_EVENT_STAGES: Final = (ConnectionStage.CONNECTED, ConnectionStage.RESUMING)


@contextlib.asynccontextmanager
async def open_shard(
    config: ShardConfig,
    *,
    session: Session | None = None,
    identify_gate: IdentifyGate | None = None,
    dialer: Dialer | None = None,
    clock: Clock | None = None,
    rng: random.Random | None = None,
    sink: Callable[[Dispatch], object] | None = None,
    on_action: Callable[[ShardAction], object] | None = None,
    queue_limits: QueueLimits | None = None,
    manual_acknowledge: bool = False,
) -> AsyncIterator["ShardRunner"]:
    """Run a shard for as long as the block runs. Leaving it, in whatever way, detaches and keeps the session.

    Args:
        session: of an earlier process, to be resumed.
        identify_gate: who may IDENTIFY when; None: a `QueueGate` of this runner's own, with one bucket.
        dialer: opens the sockets; None: TCP and verified TLS.
        clock: None: the system's, suspend included (F12).
        rng: WebSocket masks, jitter. None: the system's randomness.
        sink: called with each event, synchronously, in place of the queue and the iterator (a wake of a task costs
            some 20 µs). Once it returns, the event counts as delivered. It must not block; what it raises ends the
            shard, resumably. Whatever ends the shard comes out of `wait` then, or cancels the block and comes out of
            that.
        on_action: called with each action, events included, before it is acted upon: for logs and metrics. What it
            raises ends the shard likewise.
        manual_acknowledge: events count as delivered only once `acknowledge` says so; not when the next one is taken.

    Raises:
        InvalidConfigError: the config's IDENTIFY cannot be sent.
        GatewayError: the shard has ended by itself, and neither the iteration nor `wait` was there to say so.
    """
    clock = clock or SystemClock()
    rng = rng or random.SystemRandom()
    shard = Shard(config, rng=rng, session=session)
    async with background() as group:
        runner = ShardRunner(
            shard,
            group,
            requests=GuildRequests(config, rng=rng),
            clock=clock,
            dialer=dialer or AnyioDialer(),
            gate=identify_gate or QueueGate(IdentifyQueue(), clock),
            sink=sink,
            on_action=on_action,
            queue=EventQueue(queue_limits or QueueLimits()),
            manual_acknowledge=manual_acknowledge,
        )
        runner.start()
        try:
            yield runner
        finally:
            runner.detach()
    runner.raise_untold()


class _Connection:
    """One generation: its dial, then its link."""

    def __init__(self, connect: Connect) -> None:
        self.connect = connect
        self.link: Link | None = None
        self.dial = anyio.CancelScope()
        self.permit = anyio.CancelScope()
        self.is_paused = False
        self.is_over = False

    def disconnect(self, action: Disconnect) -> None:
        self.is_over = True
        self.permit.cancel()
        if self.link is None:
            self.dial.cancel()
        else:
            self.link.finish(action.farewell, action.grace)


class ShardRunner:
    """A running shard: iterate over it for its events. `open_shard` makes it.

    An event counts as delivered when the *next* one is asked for (or when `acknowledge` says so): a consumer that is
    cancelled or fails in the middle of one gets it again after a resume. One task iterates at a time. The iteration
    ends when the shard is closed, once the queue is empty; it raises what ended the shard otherwise: a fatal
    `GatewayError`, a `SlowConsumerError`, what the sink or the observer raised.

    Commands (`send`, `set_*`, `chunk_guilds`, `heartbeat`, `reconnect`, `resume`, `reset`) take effect at once and
    never wait; how a command ended is told by the action `CommandEnded`.
    """

    def __init__(
        self,
        shard: Shard,
        group: anyio.abc.TaskGroup,
        *,
        requests: GuildRequests,
        clock: Clock,
        dialer: Dialer,
        gate: IdentifyGate,
        sink: Callable[[Dispatch], object] | None,
        on_action: Callable[[ShardAction], object] | None,
        queue: EventQueue,
        manual_acknowledge: bool,
    ) -> None:
        self._shard = shard
        self._group = group
        self._clock = clock
        self._dialer = dialer
        self._gate = gate
        self._queue = queue
        self._put = sink or queue.put
        self._has_sink = sink is not None
        self._on_action = on_action
        self._manual = manual_acknowledge
        self._requests = AwaitedRequests(requests, clock, self.send)
        self._waiters = self._requests.waiters
        self._ticker = Ticker(clock, self._next_timeout, self._on_timeout)
        self._connections: dict[int, _Connection] = {}
        self._current: _Connection | None = None
        self._guard = anyio.ResourceGuard("iterating over")
        self._taken: Dispatch | None = None
        self._turn = 0
        self._full_since: float | None = None
        self._patience = 0.0
        self._error: Exception | None = None
        self._error_told = False
        self._waiting = 0
        self._ended = anyio.Event()
        self._idle = anyio.Event()
        self._idle.set()

    # -- events ------------------------------------------------------------------------------------------------

    def __aiter__(self) -> "ShardRunner":
        return self

    async def __anext__(self) -> Dispatch:
        with self._guard:
            if self._taken is not None and not self._manual:
                self.acknowledge(self._taken)
            self._taken = None
            self._turn += 1
            if self._turn % _TURN == 0:
                await anyio.lowlevel.checkpoint()
            while (event := self._queue.take()) is None:
                self._raise_error()
                if self._ended.is_set():
                    raise StopAsyncIteration
                await self._queue.wait()
            self._taken = event
            if self._full_since is not None and self._queue.has_room:
                self._resume_reading()
            return event

    def acknowledge(self, event: Dispatch) -> None:
        """This event and all before it are taken for good: snapshots, heartbeats and the next process say so.

        Raises:
            LocalProtocolError: it never came from this shard.
        """
        self._shard.delivered(event.epoch, event.sequence)

    async def wait(self) -> None:
        """Until the shard has ended. Raises what ended it, as the iteration does."""
        self._waiting += 1
        try:
            await self._ended.wait()
        finally:
            self._waiting -= 1
        self._raise_error()

    # -- commands ----------------------------------------------------------------------------------------------

    def send(self, message: InterMessage) -> None:
        """Queue a command for the gateway. Raises LocalProtocolError, as `Shard.send`."""
        self._do(self._shard.send(message, self._clock.now()))

    def chunk_guilds(
        self, guild_ids: Iterable[int], *, limit: int = 0, query: str = "", presences: bool | None = None
    ) -> None:
        """Request members, as `Shard.chunk_guilds`."""
        now = self._clock.now()
        self._do(self._shard.chunk_guilds(guild_ids, now, limit=limit, query=query, presences=presences))

    def set_presence(self, presence: CurrentPresence) -> None:
        self._do(self._shard.set_presence(presence, self._clock.now()))

    def set_activity(self, activity: Activity | None) -> None:
        self._do(self._shard.set_activity(activity, self._clock.now()))

    def set_status(self, status: OnlineStatus) -> None:
        self._do(self._shard.set_status(status, self._clock.now()))

    def heartbeat(self) -> None:
        self._do(self._shard.heartbeat(self._clock.now()))

    def reconnect(self) -> None:
        """Without effect once the shard has ended: a new one is a block of its own."""
        if not self._ended.is_set():
            self._do(self._shard.reconnect(self._clock.now()))

    def resume(self) -> None:
        """As `reconnect`."""
        if not self._ended.is_set():
            self._do(self._shard.resume(self._clock.now()))

    def reset(self) -> None:
        self._do(self._shard.reset(self._clock.now()))

    async def close(self, *, resumable: bool = True) -> None:
        """End the shard and wait until its sockets are closed (2 s at most). Events in the queue can still be taken.

        Args:
            resumable: keep the session for a later process; False ends it, and the bot goes offline.
        """
        self._end(resumable=resumable)
        await self._idle.wait()

    # -- requests ----------------------------------------------------------------------------------------------

    async def request_members(
        self,
        guild_id: int,
        *,
        query: str | None = None,
        limit: int = 0,
        user_ids: Iterable[int] | None = None,
        presences: bool = False,
    ) -> Members:
        """Ask for members by the start of their name, by id or, with neither, for all, and wait for all chunks (F35).

        All members of a guild can be asked for once in 30 s; a second request waits for its turn. There is no limit to
        the wait for that, for a session and for a reconnect, only to the silence of a gateway that is connected: 30 s.
        A cancelled wait drops the request.

        The chunks are seen before they enter the queue of events, in which they come as well. So the task that iterates
        may wait here, as long as what comes meanwhile fits into the queue: an answer beyond `QueueLimits.bytes`, some
        30,000 members by default, is for another task to ask for.

        Args:
            limit: at most so many, 1 to 100 with a query; 0: as many as Discord gives.
            user_ids: 1 to 100.
            presences: those of these members, too.

        Raises:
            LocalProtocolError: nothing was sent: the guild is another shard's, an intent is lacking (GUILD_MEMBERS for
                all members, GUILD_PRESENCES for presences), an argument is out of its range.
            IncompleteMembersError: the shard ended, nothing came for 30 s, or a chunk could not be decoded; it holds
                what did come.
        """
        id = self._requests.machine.request_members(
            guild_id, self._clock.now(), query=query, limit=limit, user_ids=user_ids, presences=presences
        )
        members: Members = await self._answer(id)
        return members

    async def request_soundboard_sounds(self, guild_ids: Iterable[int]) -> Sounds:
        """Ask for the soundboard sounds of guilds, and wait for all of them: {guild id: sounds}.

        Raises:
            LocalProtocolError: as for `request_members`.
            IncompleteSoundsError: likewise.
        """
        sounds: Sounds = await self._answer(
            self._requests.machine.request_soundboard_sounds(guild_ids, self._clock.now())
        )
        return sounds

    async def request_channel_info(
        self, guild_id: int, fields: Iterable[str] = ("status", "voice_start_time")
    ) -> ChannelInfo:
        """Ask for these ephemeral fields of a guild's voice channels, and wait for them.

        Raises:
            LocalProtocolError: as for `request_members`.
            RequestError: likewise; there is nothing to hold.
        """
        info: ChannelInfo = await self._answer(
            self._requests.machine.request_channel_info(guild_id, fields, self._clock.now())
        )
        return info

    async def _answer(self, id: int) -> Any:
        with self._requests.awaiting(id) as waiter:
            if self._ended.is_set():
                self._requests.close()
            else:
                self._do([])
            return await waiter.wait(lambda: self._error)

    # -- getters -----------------------------------------------------------------------------------------------

    def snapshot(self) -> ShardSnapshot:
        """Everything a supervisor wants to see (F25)."""
        return self._shard.snapshot()

    def session_snapshot(self, wall: float | None = None, *, after: Dispatch | None = None) -> Session | None:
        """What a later process resumes from: the session at the last delivered event, saved at `wall` (epoch s).

        `after`: as if this event had been delivered; see `Shard.session_snapshot`.
        """
        return self._shard.session_snapshot(wall, after=after)

    @property
    def session(self) -> Session | None:
        """As `session_snapshot`; after the block it is the final one."""
        return self._shard.session

    @property
    def stage(self) -> ConnectionStage:
        return self._shard.stage

    @property
    def latency(self) -> float | None:
        """Seconds from the last heartbeat to its ACK."""
        return self._shard.latency

    @property
    def queued_events(self) -> int:
        """How many wait to be taken."""
        return len(self._queue)

    @property
    def queued_bytes(self) -> int:
        return self._queue.size

    # -- for open_shard ----------------------------------------------------------------------------------------

    def start(self) -> None:
        self._group.start_soon(self._tick)
        self._do(self._shard.connect(self._clock.now()))

    def detach(self) -> None:
        """The block is left: close resumably, unless the shard has ended. The tasks end by themselves, in time."""
        self._end(resumable=True)

    def raise_untold(self) -> None:
        if not self._error_told:
            self._raise_error()

    # -- doing what the shard asks -----------------------------------------------------------------------------

    def _do(self, actions: list[ShardAction]) -> None:
        """Act on what an input or command returned, then write what there is to write."""
        last: Dispatch | None = None
        for action in actions:
            if self._error is None:
                try:
                    if self._on_action is not None:
                        self._on_action(action)
                    if type(action) is Dispatch:
                        if self._waiters:
                            self._requests.receive(action)
                        self._put(action)
                        last = action
                except Exception as error:
                    self._error = error
            if type(action) is not Dispatch:
                self._act(action)
        if self._has_sink and last is not None:
            self._shard.delivered(last.epoch, last.sequence)
        if self._error is not None:
            self._end(resumable=True)
            return
        if self._waiters:
            self._requests.pump()
        if self._full_since is not None or self._queue.is_full:
            self._judge_queue()
        if self._current is not None and self._current.link is not None:
            self._current.link.flush()
        self._ticker.rearm()

    def _act(self, action: ShardAction) -> None:
        match action:
            case Connect():
                self._current = self._connections[action.generation] = _Connection(action)
                self._idle = anyio.Event()
                self._group.start_soon(self._run, self._current)
            case Disconnect():
                if action.generation in self._connections:
                    self._connections[action.generation].disconnect(action)
            case IdentifyWanted():
                if self._current is not None:
                    self._group.start_soon(self._ask, self._current, action)
            case PermitUsed():
                self._gate.used(action.permit, action.at)
            case PermitReturned():
                self._gate.returned(action.permit)
            case CommandEnded() | SessionLost() | StageChanged():
                self._requests.receive(action)
            case Fatal():
                self._error = self._error or action.cause

    def _end(self, *, resumable: bool) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        self._ticker.stop()
        self._requests.close()
        self._do(self._shard.close(self._clock.now(), resumable=resumable))
        self._queue.stir()
        if self._error is not None and self._has_sink and not self._waiting:
            self._group.cancel_scope.cancel()  # nobody iterates: the block would never hear of it

    def _raise_error(self) -> None:
        if self._error is not None:
            self._error_told = True
            raise self._error

    # -- tasks -------------------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._ticker.run()

    async def _run(self, connection: _Connection) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self._dial_and_read(connection)
        finally:
            del self._connections[connection.connect.generation]
            if not self._connections:
                self._idle.set()

    async def _dial_and_read(self, connection: _Connection) -> None:
        connect, shard, clock = connection.connect, self._shard, self._clock
        generation = connect.generation
        with connection.dial:
            try:
                stream = await self._dialer.dial(connect.host, connect.port, tls=connect.tls)
            except (ConnectError, StreamError, OSError) as error:
                cause = error if isinstance(error, ConnectError) else ConnectError(one_line(error))
                self._do(shard.connection_failed(generation, cause, clock.now()))
                return
            connection.link = Link(
                stream,
                clock,
                on_data=lambda data: self._do(shard.receive_data(generation, data, clock.now())),
                on_eof=lambda: self._do(shard.receive_eof(generation, clock.now())),
                drain=self._drain,
            )
        if connection.link is None:
            return
        if connection.is_over:
            connection.link.abort()
        else:
            self._do(shard.connection_made(generation, clock.now()))
        await connection.link.run()

    async def _ask(self, connection: _Connection, wanted: IdentifyWanted) -> None:
        with anyio.CancelScope(shield=True), connection.permit:
            try:
                permit = await self._gate.ask(wanted)
            except GatewayError as error:
                self._fail(error)
                return
            self._do(self._shard.identify(permit, self._clock.now()))

    def _drain(self) -> bytes:
        # Only the current link asks: a `Disconnect` ends the old one before there is another `Connect`.
        data = self._shard.data_to_send(self._clock.now())
        self._ticker.rearm()
        return data

    # -- time and the queue ------------------------------------------------------------------------------------

    def _next_timeout(self) -> float | None:
        due = self._shard.next_timeout()
        if self._waiters:
            due = _earlier(due, self._requests.machine.next_timeout())
        return due if self._full_since is None else _earlier(due, self._full_since + self._patience)

    def _on_timeout(self) -> bool:
        now = self._clock.now()
        if self._full_since is not None and now >= self._full_since + self._patience:
            self._fail(SlowConsumerError(f"no room was made in the queue of events for {self._patience:g} s"))
            return True
        has_ended = self._requests.handle_timeout()
        actions = self._shard.handle_timeout(now)
        self._do(actions)
        return has_ended or bool(actions)

    def _judge_queue(self) -> None:
        """The queue is full, or was and has no room yet."""
        now, queue = self._clock.now(), self._queue
        if self._full_since is None:
            self._full_since = now
            interval = self._shard.snapshot().heartbeat_interval or _USUAL_INTERVAL
            self._patience = queue.limits.pause if queue.limits.pause is not None else 2 * interval
        if queue.is_overrun:
            self._fail(SlowConsumerError(f"{len(queue)} events ({queue.size} bytes) were not taken in time"))
            return
        connection = self._current
        # Only where events come: a handshake that is not read would count as failed.
        if connection and connection.link and not connection.is_paused and self._shard.stage in _EVENT_STAGES:
            connection.is_paused = True
            connection.link.pause()
            self._requests.machine.reading_paused(now)
            self._do(self._shard.reading_paused(connection.connect.generation, now))

    def _resume_reading(self) -> None:
        self._full_since = None
        self._requests.machine.reading_resumed(self._clock.now())
        connection = self._current
        if connection and connection.link and connection.is_paused:
            connection.is_paused = False
            connection.link.resume()
            self._do(self._shard.reading_resumed(connection.connect.generation, self._clock.now()))

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self._end(resumable=True)


def _earlier(one: float | None, other: float | None) -> float | None:
    return one if other is None else other if one is None else min(one, other)
