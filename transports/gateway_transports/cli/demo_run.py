"""The demo's experiment: one shard on the embedded gateway, over TLS, through a number of lost connections.

What is counted is read from the payloads (`Tally`) and from what the server did, never from the shard's own counters:
a client that miscounts its events would not be found out by its own numbers.
"""

import random
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import anyio
import anyio.lowlevel
import msgspec

from gateway_proto import (
    ConnectionStage,
    Dispatch,
    Intents,
    Limits,
    Secret,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.server import (
    DispatchFault,
    Drop,
    Identified,
    ServerAction,
    ServerConfig,
    SessionResumed,
)
from gateway_proto.testing.stream import EventStream, Tally

from ..anyio import AnyioDialer, ShardRunner, open_shard
from ..clock import SystemClock
from ..serve import Gateway, serve
from ..tasks import background
from .certificate import ThrowAwayAuthority
from .feed import Pace, ShardFeed
from .options import Compression, compression_settings

IN_FLIGHT: Final = 1000
"""Events sent and not arrived, at most: the sender must not run away from the client."""
REPLAY: Final = 4 * IN_FLIGHT
"""Events that the server keeps for a RESUME: more than a drop can leave behind."""
TICK: Final = 0.02
"""Seconds between two bursts of a paced stream; a drop then finds events under way."""
PATIENCE: Final = 8.0
"""Seconds without anything happening, after which what has not come is lost."""
HOST: Final = "127.0.0.1"


class DemoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `rate` is in events a second, None for as fast as it goes; the same seed sends the same bytes."""

    events: int
    drops: int
    seed: int
    compress: Compression = "zlib-stream"
    rate: float | None = None


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events, as `--json` prints it."""

    sent: int
    delivered: int
    lost: int
    duplicated: int
    out_of_order: int
    resumes: int
    identifies: int
    seconds: float

    def is_whole(self, events: int) -> bool:
        """All of them came, once and in order."""
        return self.lost == self.duplicated == self.out_of_order == 0 and self.sent == self.delivered == events


class Outage(msgspec.Struct, kw_only=True):
    """A connection that was dropped behind an event, `at` seconds after the start, and how it came back."""

    at: float
    number: int
    seconds: float | None = None
    replayed: int | None = None


class Demo:
    """One run. A view may look at all its attributes meanwhile.

    Args:
        faults: what is to befall the event of each number; for a test of what the demo finds.
    """

    def __init__(self, settings: DemoSettings, *, faults: Mapping[int, DispatchFault] | None = None) -> None:
        self.settings = settings
        self.tally: Tally = Tally()
        self.arrived: int = 0
        """Numbered events that came, in any order and number."""
        self.resumes: int = 0
        self.identifies: int = 0
        self.stage: ConnectionStage = ConnectionStage.DISCONNECTED
        self.outages: list[Outage] = []
        self.clock: SystemClock = SystemClock()
        self.number: int = 0
        """The last number sent."""
        self._faults = faults or {}
        self._rng = random.Random(settings.seed)
        self._drops = frozenset(self._rng.sample(range(1, settings.events), settings.drops))
        self._session: Secret | None = None
        self._sequence = 0
        self._stirred = anyio.Event()
        self._started = self.clock.now()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock.now() - self._started

    async def run(self, watch: "Callable[[Demo, ShardRunner], Coroutine[Any, Any, None]] | None" = None) -> DemoResult:
        """Run it, with `watch` beside it.

        Raises:
            GatewayError: the shard has ended by itself, or no port can be listened on.
        """
        authority = ThrowAwayAuthority()
        token = Secret(secrets.token_hex(32))
        server = serve(
            ServerConfig(token=token, replay_events=REPLAY),
            host=HOST,
            ssl_context=authority.server_context(HOST),
            on_action=self._on_server_action,
        )
        async with server as gateway:
            config = ShardConfig(
                token=token,
                intents=Intents.unprivileged(),
                url=gateway.url,
                # Every drop here is planned: the backoff of a connection that breaks down again within a minute
                # would only make the demo wait.
                limits=Limits(stable=0.0),
                **compression_settings(self.settings.compress),
            )
            shard = open_shard(
                config,
                dialer=AnyioDialer(ssl_context=authority.client_context()),
                sink=self._on_event,
                on_action=self._on_action,
            )
            async with shard as runner, background() as group:
                group.start_soon(runner.wait)  # raises what ends the shard
                if watch is not None:
                    group.start_soon(watch, self, runner)
                await self._send(gateway)
                return self._result()

    def _result(self) -> DemoResult:
        return DemoResult(
            **self.tally.counts(),
            resumes=self.resumes,
            identifies=self.identifies,
            seconds=round(self.elapsed, 3),
        )

    # -- what happens ------------------------------------------------------------------------------------------

    def _on_event(self, event: Dispatch) -> None:
        if self.tally.receive(event.name, event.raw) is not None:
            self.arrived += 1
        self._sequence = event.sequence
        self._stirred.set()

    def _on_action(self, action: ShardAction) -> None:
        if isinstance(action, StageChanged):
            self.stage = action.new
            if action.new is ConnectionStage.CONNECTED and self.outages:
                outage = self.outages[-1]
                outage.seconds = self.elapsed - outage.at
            self._stirred.set()

    def _on_server_action(self, action: ServerAction) -> None:
        match action:
            case Identified(session_id=session_id):
                self.identifies += 1
                self._session = session_id
            case SessionResumed(replayed=replayed):
                self.resumes += 1
                if self.outages:
                    self.outages[-1].replayed = replayed

    # -- sending -----------------------------------------------------------------------------------------------

    async def _send(self, gateway: Gateway) -> None:
        """Send everything, with the drops in between, and wait until it has come or never will."""
        if not await self._until(lambda: self._session is not None and self._is_connected):
            return
        feed = ShardFeed(gateway, EventStream(self._rng), self.settings.events)
        pace = Pace(self.settings.rate, self.clock.now())
        while not feed.is_done:
            for _ in range(min(pace.due(self.clock.now()), self.settings.events - self.number)):
                pace.sent += 1
                if not await self._send_one(gateway, feed):
                    return
            if self.settings.rate is not None:
                await self.clock.wait(anyio.Event(), max(pace.next_at(), self.clock.now() + TICK))
            await anyio.lowlevel.checkpoint()
        await self._until(lambda: self._is_connected and self._has_all(gateway))

    async def _send_one(self, gateway: Gateway, feed: ShardFeed) -> bool:
        """Send the next event, and drop the connection behind it if that is due. False: nothing goes on any more."""
        if not await self._until(lambda: self.number - self.arrived < IN_FLIGHT):
            return False
        assert self._session is not None
        feed.sessions = [self._session]
        fault = self._faults.get(self.number + 1)
        if fault is not None:
            gateway.inject(self._session, fault)
        self.number = feed.send()
        self.tally.sent(self.number)
        if self.number in self._drops:
            if not await self._until(lambda: self._is_connected):
                return False
            self.outages.append(Outage(at=self.elapsed, number=self.number))
            gateway.inject(self._session, Drop())
        return True

    @property
    def _is_connected(self) -> bool:
        """No drop is under way."""
        is_back = not self.outages or self.outages[-1].seconds is not None
        return is_back and self.stage is ConnectionStage.CONNECTED

    def _has_all(self, gateway: Gateway) -> bool:
        session = gateway.server.sessions.get(self._session) if self._session is not None else None
        return session is not None and self._sequence >= session.sequence

    async def _until(self, holds: Callable[[], bool]) -> bool:
        """Wait for it. False: nothing has happened for too long."""
        while not holds():
            self._stirred = anyio.Event()
            with anyio.move_on_after(PATIENCE) as scope:
                await self._stirred.wait()
            if scope.cancelled_caught:
                return False
        return True
