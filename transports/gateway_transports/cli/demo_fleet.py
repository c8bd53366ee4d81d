"""The demo's experiment with several shards: one `Client`, through lost connections or through the end of its process.

The embedded gateway stays up all the while. What is counted is read from what came out of the client (by shard and
number, `Tally`) and from what the server did. With `stop`, the client is a process of its own: in the middle of the
stream it gets that signal, and a second one goes on with nothing but the first one's state file.
"""

import random
import secrets
import signal
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.lowlevel
import msgspec

from gateway_proto import Secret
from gateway_proto.server import (
    ConnectionClosed,
    DispatchFault,
    Drop,
    Identified,
    ServerAction,
    ServerConfig,
    SessionResumed,
)
from gateway_proto.testing.stream import EventStream, Tally

from ..clock import SystemClock
from ..serve import Gateway, serve
from ..tasks import background
from .certificate import ThrowAwayAuthority
from .demo_client import ClientSettings, Taken, each_event
from .demo_process import ChildProcess, DemoError, start_child
from .demo_run import HOST, IN_FLIGHT, PATIENCE, TICK, DemoResult, DemoSettings
from .feed import Pace, ShardFeed
from .options import BackendName

START_PATIENCE: Final = 30.0
"""Seconds without anything happening while shards are still missing: a process has to be started, and the machine
may be busy."""
LONGEST: Final = 120.0
"""Seconds for the whole run, besides the events: a bound even if something happens all the time."""
LEAST_RATE: Final = 250.0
"""Events a second that the same bound reckons with."""
_OWN_EVENTS: Final = 100
"""READY and the RESUMEDs of a session, at most, that the server keeps besides the numbered events."""


class FleetSettings(DemoSettings, frozen=True, kw_only=True):
    """`events` and `drops` are sums over the shards. `stop` is the signal that ends the first process; None: the client
    runs in this one."""

    shards: int
    stop: signal.Signals | None = None
    backend: BackendName = "asyncio"


class FleetResult(DemoResult, frozen=True, kw_only=True):
    """With `stop`: the processes' `pids`; after SIGKILL `replayed`: how many came twice, the second time marked as
    replayed, and do not count as duplicated."""

    pids: list[int] | msgspec.UnsetType = msgspec.UNSET
    replayed: int | msgspec.UnsetType = msgspec.UNSET

    def faults(self, settings: FleetSettings) -> list[str]:
        """What was not as it should be, each as a sentence; nothing if all is well."""
        found: list[str] = []
        if not self.is_whole(settings.events):
            found.append("Not every event came once and in order.")
        if self.identifies != settings.shards:
            found.append(f"{self.identifies} IDENTIFYs for {settings.shards} shards.")
        if settings.stop is not None and self.resumes < settings.shards:
            found.append(f"{self.resumes} resumes for {settings.shards} shards.")
        return found


class FleetDemo:
    """One run. A view may look at all its attributes meanwhile.

    Args:
        faults: what is to befall each event, by its place in the whole stream, from 1; for a test of what is found.
    """

    def __init__(self, settings: FleetSettings, *, faults: Mapping[int, DispatchFault] | None = None) -> None:
        self.settings = settings
        self.number: int = 0
        """Events sent, of all shards."""
        self.arrived: int = 0
        """Those that came, each counted once."""
        self.doubled_by_replay: int = 0
        """Events that had come before, and are marked as replayed."""
        self.resumes: int = 0
        self.identifies: int = 0
        self.pids: list[int] = []
        self.notes: list[str] = []
        """What happened, a line each."""
        self.clock: SystemClock = SystemClock()
        self._faults = faults or {}
        self._rng = random.Random(settings.seed)
        self._drops = frozenset(self._rng.sample(range(1, settings.events), settings.drops))
        self._tallies = [Tally() for _ in range(settings.shards)]
        self._sessions: dict[int, Secret] = {}
        self._connections: dict[int, int] = {}
        self._sequences: dict[int, int] = {}
        self._child: ChildProcess | None = None
        self._has_stopped = False
        self._is_changing = False
        self._over = anyio.Event()
        self._stirred = anyio.Event()
        self._started = self.clock.now()
        self._deadline = self._started + LONGEST + settings.events / LEAST_RATE

    # -- what a view asks --------------------------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock.now() - self._started

    @property
    def connected(self) -> int:
        """Shards that have a connection and a session on it."""
        return len(self._connections)

    @property
    def said(self) -> list[str]:
        """The last lines that the last process wrote to stderr."""
        return [] if self._child is None else list(self._child.said)

    # -- the run -----------------------------------------------------------------------------------------------

    async def run(self, watch: "Callable[[FleetDemo], Coroutine[Any, Any, None]] | None" = None) -> FleetResult:
        """Run it, with `watch` beside it.

        Raises:
            DemoError: a process has died or does not answer, or shards do not come.
            GatewayError: the client has ended by itself, or no port can be listened on.
        """
        shards = self.settings.shards
        authority = ThrowAwayAuthority()
        token = Secret(secrets.token_hex(32))
        config = ServerConfig(
            token=token,
            shards=shards,
            max_concurrency=shards,
            session_limit=10 * shards + 1000,
            replay_events=self.settings.events // shards + 1 + self.settings.drops + _OWN_EVENTS,
        )
        server = serve(config, host=HOST, ssl_context=authority.server_context(HOST), on_action=self._on_server_action)
        with authority.file() as ca_file, tempfile.TemporaryDirectory(prefix="gateway-proto-demo-") as folder:
            async with server as gateway, background() as group:
                client = ClientSettings(
                    api=f"http{gateway.url.removeprefix('ws')}/api/v10",
                    ca_file=str(ca_file),
                    store=None if self.settings.stop is None else str(Path(folder, "bot.state")),
                    shards=shards,
                    compress=self.settings.compress,
                    backend=self.settings.backend,
                )
                group.start_soon(self._run_here if self.settings.stop is None else self._run_twice, client, token)
                if watch is not None:
                    group.start_soon(watch, self)
                if await self._send(gateway) and self._child is not None:
                    self._child.stop(signal.SIGTERM)
                    await self._over.wait()
                return self.result()

    async def _run_here(self, settings: ClientSettings, token: Secret) -> None:
        async def take(event: Taken) -> None:
            self.take(event)

        await each_event(settings, token, take)

    async def _run_twice(self, settings: ClientSettings, token: Secret) -> None:
        for _ in range(2):
            async with start_child(settings, token) as child:
                self._child = child
                self.pids.append(child.pid)
                self._sequences.clear()
                self._is_changing = False
                await child.run(self.take)
        self._over.set()

    # -- what came of it ---------------------------------------------------------------------------------------

    def result(self) -> FleetResult:
        """As it stands."""
        counts = [tally.counts() for tally in self._tallies]
        sums = {name: sum(count[name] for count in counts) for name in counts[0]}
        result = FleetResult(
            **sums,
            resumes=self.resumes,
            identifies=self.identifies,
            seconds=round(self.elapsed, 3),
            pids=self.pids if self.settings.stop is not None else msgspec.UNSET,
        )
        if self.settings.stop is not signal.SIGKILL:
            return result
        replayed = self.doubled_by_replay
        return msgspec.structs.replace(result, duplicated=result.duplicated - replayed, replayed=replayed)

    # -- what happens ------------------------------------------------------------------------------------------

    def take(self, event: Taken) -> None:
        """An event came out of the client. Raises DemoError if there is no such shard."""
        shard, sequence, number, replayed = event
        if not 0 <= shard < self.settings.shards:
            raise DemoError(f"an event came from shard {shard}, and there are {self.settings.shards}")
        self._sequences[shard] = max(sequence, self._sequences.get(shard, 0))
        if number:
            tally = self._tallies[shard]
            before = tally.duplicated
            tally.receive("", b'{"_shard":%d,"_number":%d}' % (shard, number))
            if tally.duplicated == before:
                self.arrived += 1
            elif replayed:
                self.doubled_by_replay += 1
        self._stirred.set()

    def _on_server_action(self, action: ServerAction) -> None:
        match action:
            case Identified(shard=(shard, _)):
                self.identifies += 1
                self._sessions[shard] = action.session_id
                self._connections[shard] = action.connection_id
                self._sequences.pop(shard, None)  # they were another session's
            case SessionResumed(shard=(shard, _)):
                self.resumes += 1
                self._connections[shard] = action.connection_id
                if self.settings.stop is None or self._has_stopped:
                    self.notes.append(f"shard {shard}: resumed, {action.replayed:,} replayed")
            case ConnectionClosed():
                for shard, connection_id in list(self._connections.items()):
                    if connection_id == action.connection_id:
                        del self._connections[shard]
            case _:
                return
        self._stirred.set()

    # -- sending -----------------------------------------------------------------------------------------------

    async def _send(self, gateway: Gateway) -> bool:
        """Send everything, each shard in its turn, with what is to happen in between, and wait for the last event.

        False: nothing goes on any more.
        """
        settings = self.settings
        if not await self._until(lambda: self._is_up and len(self._sessions) == settings.shards):
            return False
        feeds = [
            ShardFeed(gateway, EventStream(self._rng, shard=(shard, settings.shards)))
            for shard in range(settings.shards)
        ]
        pace = Pace(settings.rate, self.clock.now())
        while self.number < settings.events:
            for _ in range(min(pace.due(self.clock.now()), settings.events - self.number)):
                pace.sent += 1
                if not await self._send_one(gateway, feeds[self.number % settings.shards]):
                    return False
            # Right behind a burst: those events are under way.
            if self._is_stop_due and self._is_half:
                self._stop_first()
            if settings.rate is not None:
                await self.clock.wait(anyio.Event(), max(pace.next_at(), self.clock.now() + TICK))
            await anyio.lowlevel.checkpoint()
        return await self._until(lambda: self._has_all(gateway))

    async def _send_one(self, gateway: Gateway, feed: ShardFeed) -> bool:
        """Send a shard's next event, and drop the connection behind it if that is due. False: nothing goes on."""
        settings = self.settings
        shard = self.number % settings.shards
        if not await self._until(lambda: self.number - self.arrived < IN_FLIGHT):
            return False
        # All might be sent before the first process has taken half of it: the last quarter waits for that.
        if (
            self._is_stop_due
            and self.number * 4 >= settings.events * 3
            and not await self._until(lambda: self._is_half)
        ):
            return False
        feed.sessions = [self._sessions[shard]]
        fault = self._faults.get(self.number + 1)
        if fault is not None:
            gateway.inject(self._sessions[shard], fault)
        self._tallies[shard].sent(feed.send(), shard)
        self.number += 1
        if self.number in self._drops:
            if not await self._until(lambda: shard in self._connections):
                return False
            del self._connections[shard]
            self.notes.append(f"shard {shard}: dropped behind event {feed.number:,}")
            gateway.inject(self._sessions[shard], Drop())
        return True

    def _stop_first(self) -> None:
        number = self.settings.stop
        assert self._child is not None
        assert number is not None
        self._has_stopped = self._is_changing = True
        self.notes.append(f"process {self._child.pid}: {number.name} at {self.arrived:,} of {self.number:,} events")
        self._child.stop(number)

    @property
    def _is_stop_due(self) -> bool:
        return self.settings.stop is not None and not self._has_stopped

    @property
    def _is_half(self) -> bool:
        """Half of all events came, and some of every shard: what is stored before them is stored."""
        return self.arrived * 2 >= self.settings.events and all(tally.names for tally in self._tallies)

    def _has_all(self, gateway: Gateway) -> bool:
        """The process that runs has heard of every shard, up to the last that the server sent it."""
        sessions = gateway.server.sessions
        return not self._is_changing and all(
            shard in self._connections
            and self._sessions[shard] in sessions
            and self._sequences.get(shard, 0) >= sessions[self._sessions[shard]].sequence
            for shard in range(self.settings.shards)
        )

    # -- waiting -----------------------------------------------------------------------------------------------

    @property
    def _is_up(self) -> bool:
        """A process runs, and every shard has shown itself in it."""
        return not self._is_changing and len(self._sequences) == self.settings.shards

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Wait for it. False: nothing has happened for too long, or the whole takes too long.

        Raises:
            DemoError: for that time, shards were missing.
        """
        while not holds():
            self._stirred = anyio.Event()
            patience = PATIENCE if self._is_up else START_PATIENCE
            with anyio.move_on_after(min(patience, self._deadline - self.clock.now())) as scope:
                await self._stirred.wait()
            if scope.cancelled_caught:
                if not self._is_up:
                    raise DemoError(self._missing())
                return False
        return True

    def _missing(self) -> str:
        child = self._child
        who = "the client" if child is None else f"process {child.pid}"
        words = "" if child is None else child.last_words
        return f"{who} came up with {len(self._sequences)} of {self.settings.shards} shards, and no more follow{words}"
