"""`Client`: a bot, and the five ways to start it.

client = Client(ShardConfig(token=…, intents=…), state=Counts(), store="bot.state")

@client.handler
async def greet(message: MessageCreate, context: Context[Counts]) -> None: ...

async with client:
    await client.start_autosharded()
    await client.wait()
"""

import contextlib
import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, overload

import anyio
import anyio.abc

from gateway_proto import (
    CurrentPresence,
    Dispatch,
    InterMessage,
    LocalProtocolError,
    ShardAction,
    ShardConfig,
    shard_id_for,
)
from gateway_proto.discovery import DEFAULT_API
from gateway_proto.event_intents import missing_intents
from gateway_proto.events import ChannelInfo
from gateway_proto.fleet import ManagerAction
from gateway_proto.fleet.queue import DISCORD_SPACING, MARGIN
from gateway_proto.requests import Members, Sounds

from ..anyio import AnyioDialer, IdentifyGate, QueueLimits, ShardRunner
from ..clock import Clock, SystemClock
from ..contract import Dialer
from ..tasks import alone, background
from .events import EventStream, Wanted
from .fleet import FleetWorld
from .flow import Hub
from .handlers import Handler, kinds_of
from .messenger import Home, ShardMessenger, ShardRunnerInfo
from .routing import by_shard, routed
from .running import OpenStore, Running
from .start import Api, Plan, check_range, check_total

StateT = TypeVar("StateT")
HandlerT = TypeVar("HandlerT", bound=Callable[..., object])
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

CONCURRENCY: Final = 100
"""Events of a shard that handlers work at side by side."""

_log: Final = logging.getLogger("gateway_transports.client")


class Client(Generic[StateT]):
    """A bot's shards, those that this process runs. An async context manager, for asyncio and trio alike.

    One of the five `start*` methods begins; it returns once the first shards dial. Then take the events by `events`,
    by handlers, or both. However the block is left, every shard detaches: its session is kept, in the store if there
    is one, for the next process to resume. `shutdown_all(resumable=False)` logs out.

    Args:
        config: token, intents, presence and so on; `shard`, `url` and `recommended_shards` are filled in by the start.
        state: an object of yours that all shards share; handlers have it as `context.state`.
        store: the file of sessions that outlive the process; several programs of a bot on one machine share it, and by
            it the turns to IDENTIFY. Or what opens a store of yours: called as `SqliteStore` is, without the path.
            None: sessions end with the process.
        gate: where permits to IDENTIFY come from; None: from the store's file, or a queue of this process.
        identify_spacing: seconds from one IDENTIFY of a bucket to the next, without a `gate` of yours: Discord's 5, and
            a margin for an earlier one that is longer on its way. More where machine or network are slow; all programs
            that share a store must say the same.
        api: the base URL of the API that says where the gateway is; None: nothing is asked, `config.url` holds.
        concurrency: events of one shard that handlers work at side by side; 1: one after the other, in order.
        fail_fast: a handler's exception ends the client, and comes out of `wait`; else it is logged, and that is all.
        queue_limits: what waits of each shard; a full queue stops the reading of that shard alone.
        on_action: is told each action of each shard, events included: for metrics. It must be quick.
        on_update: is told of the shards' stages and ends.
        dialer, clock, wall, rng: the world, for tests; `wall` is epoch seconds.

    Raises:
        LocalProtocolError: `concurrency` is less than 1, or `identify_spacing` is negative.
    """

    @overload
    def __init__(
        self: "Client[None]",
        config: ShardConfig,
        *,
        store: str | os.PathLike[str] | OpenStore | None = None,
        gate: IdentifyGate | None = None,
        identify_spacing: float = DISCORD_SPACING + MARGIN,
        api: str | None = DEFAULT_API,
        concurrency: int = CONCURRENCY,
        fail_fast: bool = False,
        queue_limits: QueueLimits | None = None,
        on_action: Callable[[int, ShardAction], object] | None = None,
        on_update: Callable[[ManagerAction], object] | None = None,
        dialer: Dialer | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        config: ShardConfig,
        *,
        state: StateT,
        store: str | os.PathLike[str] | OpenStore | None = None,
        gate: IdentifyGate | None = None,
        identify_spacing: float = DISCORD_SPACING + MARGIN,
        api: str | None = DEFAULT_API,
        concurrency: int = CONCURRENCY,
        fail_fast: bool = False,
        queue_limits: QueueLimits | None = None,
        on_action: Callable[[int, ShardAction], object] | None = None,
        on_update: Callable[[ManagerAction], object] | None = None,
        dialer: Dialer | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None: ...
    def __init__(
        self,
        config: ShardConfig,
        *,
        state: Any = None,
        store: str | os.PathLike[str] | OpenStore | None = None,
        gate: IdentifyGate | None = None,
        identify_spacing: float = DISCORD_SPACING + MARGIN,
        api: str | None = DEFAULT_API,
        concurrency: int = CONCURRENCY,
        fail_fast: bool = False,
        queue_limits: QueueLimits | None = None,
        on_action: Callable[[int, ShardAction], object] | None = None,
        on_update: Callable[[ManagerAction], object] | None = None,
        dialer: Dialer | None = None,
        clock: Clock | None = None,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        if concurrency < 1:
            raise LocalProtocolError(f"concurrency must be at least 1, not {concurrency}")
        if not 0.0 <= identify_spacing < math.inf:
            raise LocalProtocolError(f"identify_spacing must be seconds from 0 on, not {identify_spacing}")
        self.config: ShardConfig = config
        self.state: StateT = state
        clock, dialer, rng = clock or SystemClock(), dialer or AnyioDialer(), rng or random.SystemRandom()
        self._world = FleetWorld(
            clock=clock, dialer=dialer, rng=rng, queue_limits=queue_limits or QueueLimits(), width=concurrency
        )
        self._api = Api(api, config.token, dialer=dialer, clock=clock, rng=rng)
        self._store = store
        self._gate = gate
        self._spacing = identify_spacing
        self._wall = wall
        self._fail_fast = fail_fast
        self._on_action = on_action
        self._on_update = on_update
        self._hub = Hub()
        self._handlers: list[Handler[StateT]] = []
        self._stack = contextlib.AsyncExitStack()
        self._home: Home | None = None
        self._running: Running | None = None
        self._has_begun = False
        self._end_told = False
        self._opened = anyio.Event()
        self._closing = anyio.Event()
        self._closed = anyio.Event()
        self._chores: anyio.abc.TaskGroup
        self._shards: anyio.abc.TaskGroup
        self._handler_tasks: anyio.abc.TaskGroup | None = None

    # -- the five ways to start --------------------------------------------------------------------------------
    #
    # All of them raise, with nothing started:
    #     LocalProtocolError: there are no such shards; the client has started before, or its block is not entered.
    #     OnlyBotsShardError: a sharded start, and Discord refuses the token.
    #     DiscoveryError: the API gives no answer, or one that makes no sense.
    #     IdentifyBudgetError: the day has not enough IDENTIFYs for all the shards that have no session (F15).
    #     StoreError: the file cannot be used, or another program runs one of the shards.

    async def start(self) -> None:
        """Start the bot without sharding, with no `shard` in its IDENTIFY."""
        await self._start(lambda recommended: Plan(range(1), 1, is_sharded=False), must_be_bot=False)

    async def start_autosharded(self) -> None:
        """Start as many shards as Discord recommends."""
        if not self._api.is_asked:
            raise LocalProtocolError("start_autosharded asks Discord's API for the count; without an api, start_shards")
        await self._start(lambda count: Plan(range(count), count, is_sharded=True, is_recommended=True))

    async def start_shard(self, shard_id: int, total: int) -> None:
        """Start one shard of `total`."""
        await self.start_shard_range(range(shard_id, shard_id + 1), total)

    async def start_shards(self, total: int) -> None:
        """Start all of `total` shards."""
        check_total(total)
        await self.start_shard_range(range(total), total)

    async def start_shard_range(self, shards: range, total: int) -> None:
        """Start some of `total` shards: `range(0, 4)` is 0 to 3. The others run in other processes."""
        plan = Plan(check_range(shards, total), total, is_sharded=True)
        await self._start(lambda recommended: plan)

    async def _start(self, plan: Callable[[int], Plan], *, must_be_bot: bool = True) -> None:
        if self._home is None:
            raise LocalProtocolError("enter the client first: async with client")
        if self._has_begun:
            raise LocalProtocolError("this client has started its shards already; others need a client of their own")
        self._has_begun = True
        try:
            await self._opened.wait()
            info = await self._api.ask(must_be_bot=must_be_bot)
            if self._closing.is_set():
                raise LocalProtocolError("the client's block was left while it started")
            running = Running(
                plan(info.shards if info is not None and info.shards is not None else 1),
                info,
                config=self.config,
                world=self._world,
                hub=self._hub,
                store=self._store,
                gate=self._gate,
                spacing=self._spacing,
                wall=self._wall,
                tasks=self._shards,
                on_action=self._on_action,
                on_update=self._on_update,
            )
        except BaseException:
            self._has_begun = False
            raise
        self._running = running
        for handler in self._handlers:
            self._warn_of_intents(handler.wanted)
        running.begin(self._api, self._chores)

    # -- events ------------------------------------------------------------------------------------------------

    @overload
    def events(self) -> EventStream[object]: ...
    @overload
    def events(self, kind: type[A], /) -> EventStream[A]: ...
    @overload
    def events(self, kind: type[A], kind2: type[B], /) -> EventStream[A | B]: ...
    @overload
    def events(self, kind: type[A], kind2: type[B], kind3: type[C], /) -> EventStream[A | B | C]: ...
    @overload
    def events(
        self, kind: type[A], kind2: type[B], kind3: type[C], kind4: type[D], /
    ) -> EventStream[A | B | C | D]: ...
    @overload
    def events(self, *kinds: type[Any]) -> EventStream[Any]: ...
    def events(self, *kinds: type[Any]) -> EventStream[Any]:
        """The events of these types (`gateway_proto.events`), of all shards; without any, all events.

        Several iterators, and handlers, may want the same event; it is delivered once all of them are done. As long as
        there is neither, nothing is taken from the shards. What nobody asks for is never decoded.

        Raises:
            LocalProtocolError: a type that is no event's.
        """
        wanted = Wanted(kinds)
        self._warn_of_intents(wanted)
        return EventStream(self._hub, wanted, self._raise_end)

    def handler(self, function: HandlerT) -> HandlerT:
        """Call this function with each event whose type its first parameter is annotated with.

        `MessageCreate | MessageUpdate` asks for either, `Dispatch` for every event, undecoded. A second parameter is
        given a `Context`. It may be async; a plain function must not block. What it raises is logged, see `fail_fast`.

        Raises:
            LocalProtocolError: the annotation is missing, or is no event.
        """
        self._add_handler(function, kinds_of(function))
        return function

    def on(self, *kinds: type[Any]) -> Callable[[HandlerT], HandlerT]:
        """As `handler`, for these types, whatever the annotation says."""

        def decorate(function: HandlerT) -> HandlerT:
            self._add_handler(function, kinds or (Dispatch,))
            return function

        return decorate

    async def wait(self) -> None:
        """Until no shard runs any more.

        Raises:
            GatewayError: why, if that was not asked for: what ended the one shard that failed, what Discord says of the
                application, `ShardsEndedError` for several, `StoreMismatchError` for a store of another bot's.
            Exception: what a handler raised, with `fail_fast`.
        """
        await self._started().over.wait()
        self._raise_end()

    # -- shards ------------------------------------------------------------------------------------------------

    def shard_id_for(self, guild_id: int) -> int:
        """The shard that has this guild, whether it runs here or elsewhere."""
        return shard_id_for(guild_id, self._started().plan.total)

    def shard(self, shard_id: int) -> ShardMessenger:
        """Talk to a shard, from any task or thread. It need not run yet.

        Raises:
            LocalProtocolError: it is none of this process.
        """
        running = self._started()
        if shard_id not in running.plan.shard_ids:
            raise LocalProtocolError(f"shard {shard_id} of {running.plan.total} is not run by this client")
        assert self._home is not None
        return ShardMessenger(
            shard_id, self._home, running.runner, lambda resumable: running.shutdown(shard_id, resumable=resumable)
        )

    def shard_of(self, guild_id: int | None) -> ShardMessenger:
        """The shard that has this guild; shard 0 without one, where direct messages are."""
        return self.shard(0 if guild_id is None else self.shard_id_for(guild_id))

    def info(self, shard_id: int) -> ShardRunnerInfo:
        """How a shard of this process is. Raises LocalProtocolError for another."""
        return self._started().info(shard_id)

    def infos(self) -> list[ShardRunnerInfo]:
        """How all shards of this process are, by id."""
        running = self._started()
        return [running.info(shard_id) for shard_id in running.plan.shard_ids]

    def shards_instantiated(self) -> list[int]:
        """The ids of those that were started and are not over."""
        return self._started().fleet.manager.shards_instantiated()

    def has(self, shard_id: int) -> bool:
        """Whether it runs, or is about to."""
        return self._started().fleet.manager.has(shard_id)

    def restart(self, shard_id: int, *, resumable: bool = True) -> None:
        """Stop a shard and start it again: with its session, at no cost, or without. One that has ended is started.

        Raises:
            LocalProtocolError: it is none of this client's, or the client's end has begun.
        """
        self._end_told = False
        self._started().restart(shard_id, resumable=resumable)

    def shutdown(self, shard_id: int, *, resumable: bool = True) -> None:
        """Stop a shard; `resumable=False` ends its session."""
        self._started().shutdown(shard_id, resumable=resumable)

    def shutdown_all(self, *, resumable: bool = True) -> None:
        """Stop all shards, and start none of those that wait. `wait` returns once they are over."""
        self._started().shutdown_all(resumable=resumable)

    @property
    def unsaved(self) -> frozenset[int]:
        """Once its block is left: the shards whose last state could not be stored. The log says what it means."""
        return frozenset() if self._running is None else self._running.keeper.unsaved

    def identifies_left(self) -> int | None:
        """How many IDENTIFYs are left today, for all programs of the bot; None where the gate does not say."""
        return self._started().identifies_left()

    # -- commands, by the shard that they belong to --------------------------------------------------------------

    def send(self, message: InterMessage) -> None:
        """Send a command by the shard that has its guild; without one, by shard 0. From any task or thread.

        Raises:
            LocalProtocolError: that shard does not run here, or Discord would close the connection for it.
        """
        for shard_id, part in routed(message, self._started().plan.total).items():
            self.shard(shard_id).send(part)

    def set_presence(self, presence: CurrentPresence) -> None:
        """Show this presence by all shards, those that start later included. From any task or thread.

        Raises:
            LocalProtocolError: Discord would not take it.
        """
        running, home = self._started(), self._home
        assert home is not None
        home.call(lambda: running.set_presence(presence))

    async def request_members(
        self,
        guild_id: int,
        *,
        query: str | None = None,
        limit: int = 0,
        user_ids: Iterable[int] | None = None,
        presences: bool = False,
    ) -> Members:
        """Ask for members and wait for all of them; see `ShardRunner.request_members`."""
        return await self._runner_of(guild_id).request_members(
            guild_id, query=query, limit=limit, user_ids=user_ids, presences=presences
        )

    async def request_soundboard_sounds(self, guild_ids: Iterable[int]) -> Sounds:
        """Ask for the soundboard sounds of guilds, by each one's shard; see `ShardRunner.request_soundboard_sounds`."""
        running = self._started()
        found: Sounds = {}

        async def ask(runner: ShardRunner, ids: list[int]) -> None:
            found.update(await runner.request_soundboard_sounds(ids))

        asked = [(running.runner(id), ids) for id, ids in by_shard(guild_ids, running.plan.total).items()]
        async with alone(), anyio.create_task_group() as group:
            for runner, ids in asked:
                group.start_soon(ask, runner, ids)
        return found

    async def request_channel_info(
        self, guild_id: int, fields: Iterable[str] = ("status", "voice_start_time")
    ) -> ChannelInfo:
        """Ask for these fields of a guild's voice channels; see `ShardRunner.request_channel_info`."""
        return await self._runner_of(guild_id).request_channel_info(guild_id, fields)

    # -- the block ---------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._home is not None:
            raise LocalProtocolError("a client is entered once; make another one")
        self._home = Home()
        group = await self._stack.enter_async_context(background())
        # Nothing is awaited from here on: a cancellation would find a client that no block leaves any more.
        group.start_soon(self._host, self._home)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Leaving it ends the shards that run; only what has ended all of them before is a reason to raise.
        has_ended = self._running is not None and self._running.over.is_set()
        self._closing.set()
        try:
            with anyio.CancelScope(shield=True):
                await self._closed.wait()
        finally:
            await self._stack.__aexit__(kind, error, traceback)
        if error is None and has_ended and not self._end_told:
            self._raise_end()

    async def _host(self, home: Home) -> None:
        """All tasks of the client. However its block is left, they end in order: first the shards, with the handlers
        that run, then the rest; then what is left to store is stored."""
        try:
            with anyio.CancelScope(shield=True):
                async with background() as self._chores, anyio.create_task_group() as handlers:
                    self._chores.start_soon(home.run)
                    for handler in self._handlers:
                        handler.group = handlers
                    self._handler_tasks = handlers
                    async with anyio.create_task_group() as self._shards:
                        self._opened.set()
                        await self._closing.wait()
                        self._hub.is_closing = True
                        if self._running is not None:
                            self._running.end()
                    handlers.cancel_scope.cancel()
        finally:
            home.close()
            try:
                if self._running is not None:
                    self._running.close()
            finally:
                self._closed.set()

    # -- inside ------------------------------------------------------------------------------------------------

    def _started(self) -> Running:
        if self._running is None:
            raise LocalProtocolError("start the client first, by one of its start methods")
        return self._running

    def _add_handler(self, function: Callable[..., Any], kinds: tuple[type[Any], ...]) -> None:
        handler = Handler(self, function, kinds, self._handler_failed)
        handler.group = self._handler_tasks
        self._handlers.append(handler)
        if self._running is not None:
            self._warn_of_intents(handler.wanted)
        self._hub.add(handler)

    def _handler_failed(self, error: Exception) -> None:
        if self._fail_fast:
            self._started().fail(error)

    def _runner_of(self, guild_id: int) -> ShardRunner:
        return self._started().runner(self.shard_id_for(guild_id))

    def _raise_end(self) -> None:
        if self._running is not None and self._running.over.is_set():
            self._end_told = True
            self._running.raise_end()

    def _warn_of_intents(self, wanted: Wanted) -> None:
        for name, intents in missing_intents(wanted.names or (), self.config.intents).items():
            names = " or ".join(str(intent.name) for intent in intents)
            _log.warning("%s will not come: Discord sends it with the intent %s only", name, names)
