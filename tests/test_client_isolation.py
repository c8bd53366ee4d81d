"""Who suffers from whom in a `Client` (F24, F33): one shard's handler never returns, one's server stalls, one is told
4000 again and again; no heartbeat and no event of the others moves.

A run with the trouble is held against one without, in two worlds: trio's `MockClock`, which knows nothing of this
project, and asyncio in the virtual time of `gateway_transports.memory`.
"""

import random
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

import anyio
import pytest
import trio
import trio.testing

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    GatewayError,
    HeartbeatFailedError,
    Intents,
    Reconnect,
    ShardAction,
    ShardConfig,
)
from gateway_proto.events import MessageCreate
from gateway_proto.fleet import ManagerAction, ShardEnded
from gateway_proto.opcodes import Opcode
from gateway_proto.server import Close, Fault, Identified, Received, ServerAction, ServerConfig, SessionResumed, Stall
from gateway_transports.anyio import QueueLimits
from gateway_transports.client import Client, Context
from gateway_transports.client.fleet import GRACE
from gateway_transports.errors import SlowConsumerError
from gateway_transports.memory import MemoryNetwork, VirtualClock, virtual_time
from gateway_transports.serve import Gateway
from gateway_transports.tasks import background

from .client_helpers import API, EPOCH, message
from .transport_helpers import TOKEN, URL

SHARDS: Final = 8
INTERVAL: Final = 10.0
LATENCY: Final = 0.05
BEGIN: Final = 100.0
"""Until then all start; then the trouble begins, and an event for each shard in every second."""
EVENTS: Final = 300
END: Final = BEGIN + EVENTS + 20.0
STUCK, STALLED, CLOSED = 5, 2, 3
BAD: Final = {STUCK, STALLED, CLOSED}
GOOD: Final = set(range(SHARDS)) - BAD


class TrioClock(VirtualClock):
    """The time is trio's. All of a `VirtualClock` that the network in memory asks for, and nothing of how it flows."""

    def now(self) -> float:
        return trio.current_time()

    def stir(self) -> None:
        """Nothing: trio sees by itself who waits."""

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        with trio.CancelScope(deadline=float("inf") if until is None else until):
            await event.wait()

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class Even(random.Random):
    """Trio begins tasks in any order, so that any shard may draw first: it must not matter."""

    def random(self) -> float:
        return 0.5


class Report(NamedTuple):
    """What a run has shown, by shard. Times are rounded to the microsecond: a MockClock jumps by differences."""

    beats: dict[int, list[float]]
    """When they came to the server."""
    events: dict[int, list[tuple[float, int]]]
    """When handlers were called, and with which message."""
    reconnects: dict[int, list[GatewayError | None]]
    identifies: dict[int, int]
    ended: dict[int, tuple[float, GatewayError | None]]
    stages: dict[int, ConnectionStage]
    paused: set[int]


class Observed:
    """The embedded gateway in a network, and the record of a run."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.network = MemoryNetwork(clock, rng=random.Random(1), latency=(LATENCY, LATENCY))
        config = ServerConfig(
            token=TOKEN, url=URL, resume_url=URL, max_concurrency=SHARDS, shards=SHARDS, heartbeat_interval=INTERVAL
        )
        self.gateway = Gateway(config, rng=random.Random(7), clock=clock, on_action=self._served)
        self.beats: dict[int, list[float]] = defaultdict(list)
        self.events: dict[int, list[tuple[float, int]]] = defaultdict(list)
        self.reconnects: dict[int, list[GatewayError | None]] = defaultdict(list)
        self.identifies: dict[int, int] = defaultdict(int)
        self.ended: dict[int, tuple[float, GatewayError | None]] = {}
        self._shards: dict[int, int] = {}

    def now(self) -> float:
        return round(self.clock.now(), 6)

    def client(self, rng: random.Random, limits: QueueLimits) -> Client[Any]:
        return Client(
            ShardConfig(token=TOKEN, intents=Intents.all(), url=URL),
            api=API,
            concurrency=2,
            queue_limits=limits,
            dialer=self.network,
            clock=self.clock,
            wall=lambda: EPOCH + self.clock.now(),
            rng=rng,
            on_action=self._acted,
            on_update=self._updated,
        )

    def each_session(self, do: Callable[[Any], object], shard_id: int | None = None) -> None:
        for session in list(self.gateway.server.sessions.values()):
            assert session.shard is not None
            if shard_id in (None, session.shard[0]):
                do(session.id)

    def report(self, client: Client[Any]) -> Report:
        infos = client.infos()
        return Report(
            dict(self.beats),
            dict(self.events),
            dict(self.reconnects),
            dict(self.identifies),
            self.ended.copy(),
            {info.shard_id: info.stage for info in infos},
            {info.shard_id for info in infos if info.snapshot is not None and info.snapshot.reading_paused},
        )

    def _served(self, action: ServerAction) -> None:
        match action:
            case Identified(connection_id=id, shard=shard) if shard is not None:
                self._shards[id] = shard[0]
                self.identifies[shard[0]] += 1
            case SessionResumed(connection_id=id, shard=shard) if shard is not None:
                self._shards[id] = shard[0]
            case Received(connection_id=id, opcode=Opcode.HEARTBEAT) if id in self._shards:
                self.beats[self._shards[id]].append(self.now())

    def _acted(self, shard_id: int, action: ShardAction) -> None:
        if isinstance(action, Reconnect):
            self.reconnects[shard_id].append(action.cause)

    def _updated(self, action: ManagerAction) -> None:
        if isinstance(action, ShardEnded) and self.clock.now() < END:
            self.ended[action.shard_id] = (self.now(), action.cause)


async def live(clock: VirtualClock, rng: random.Random, limits: QueueLimits, is_bad: bool) -> Report:
    """Eight shards through their start and five minutes of events."""
    w = Observed(clock)

    async def suffer(shard_id: int, fault: Fault) -> None:
        """Every connection of it is struck, a second and a half after it has resumed at the latest."""
        await clock.sleep(BEGIN - clock.now())
        while True:
            w.each_session(lambda id: w.gateway.inject(id, fault), shard_id)
            await clock.sleep(1.5)

    async def speak() -> None:
        for number in range(EVENTS):
            await clock.sleep(BEGIN + number - clock.now())
            w.each_session(partial(w.gateway.dispatch, name="MESSAGE_CREATE", data=message(number)))

    async with background() as group:
        group.start_soon(w.network.listen("gateway.test", 80).serve, w.gateway.handle)
        async with w.client(rng, limits) as client:

            @client.handler
            async def note(event: MessageCreate, context: Context[None]) -> None:
                w.events[context.shard_id].append((w.now(), int(event.content)))
                if is_bad and context.shard_id == STUCK:
                    await anyio.sleep_forever()

            await client.start_shards(SHARDS)
            group.start_soon(speak)
            if is_bad:
                group.start_soon(suffer, STALLED, Stall())
                group.start_soon(suffer, CLOSED, Close(4000))
            await clock.sleep(END - clock.now())
            report = w.report(client)
            group.cancel_scope.cancel()
    return report


def in_mock_time(limits: QueueLimits, *, is_bad: bool) -> Report:
    """Under trio's MockClock."""
    clock = trio.testing.MockClock(autojump_threshold=0.0)
    run = partial(live, TrioClock(), Even(), limits, is_bad)
    return anyio.run(run, backend="trio", backend_options={"clock": clock})


def in_virtual_time(limits: QueueLimits, *, is_bad: bool) -> Report:
    """Under asyncio, and with the jitter that there is in life."""

    async def run() -> Report:
        async with virtual_time() as clock:
            return await live(clock, random.Random(8), limits, is_bad)

    return anyio.run(run)


WORLDS: Final = pytest.mark.parametrize("run", [in_mock_time, in_virtual_time])
PATIENT: Final = QueueLimits(events=20, pause=3600.0)
IMPATIENT: Final = QueueLimits(events=20)


def others_do_not_move(seen: Report, quiet: Report) -> None:
    assert not quiet.ended
    assert not quiet.reconnects
    for shard_id in GOOD:
        assert seen.beats[shard_id] == quiet.beats[shard_id], f"shard {shard_id}"
        assert seen.events[shard_id] == quiet.events[shard_id], f"shard {shard_id}"
        assert seen.stages[shard_id] is ConnectionStage.CONNECTED
    assert not GOOD & (seen.ended.keys() | seen.reconnects.keys() | seen.paused)


@pytest.mark.failure("F24")
@WORLDS
def test_without_trouble_beats_and_events_come_to_the_second(run: Callable[..., Report]) -> None:
    """That what the other tests compare is all there."""
    quiet = run(PATIENT, is_bad=False)
    for shard_id in range(SHARDS):
        assert quiet.events[shard_id] == [(BEGIN + n + LATENCY, n) for n in range(EVENTS)]
        beats = quiet.beats[shard_id]
        assert beats == pytest.approx([beats[0] + INTERVAL * n for n in range(len(beats))], abs=1e-5)
        assert beats[0] < 2 * INTERVAL
        assert beats[-1] > END - INTERVAL


@pytest.mark.failure("F24", "F33")
@WORLDS
def test_a_shard_in_trouble_moves_no_beat_and_no_event_of_another(run: Callable[..., Report]) -> None:
    seen = run(PATIENT, is_bad=True)
    others_do_not_move(seen, run(PATIENT, is_bad=False))
    assert seen.identifies == dict.fromkeys(range(SHARDS), 1)
    assert not seen.ended
    # The handler: two events are in its hands, its shard is not read, and beats on.
    assert [number for _, number in seen.events[STUCK]] == [0, 1]
    assert seen.paused == {STUCK}
    assert STUCK not in seen.reconnects
    assert len(seen.beats[STUCK]) >= EVENTS / INTERVAL
    # The other two come back by RESUME, again and again, and miss nothing as far as they have come.
    for shard_id, cause, least in ((STALLED, HeartbeatFailedError, 5), (CLOSED, ClosedError, 10)):
        causes = seen.reconnects[shard_id]
        assert len(causes) >= least
        assert {type(one) for one in causes} == {cause}
        # What comes at once is for both handlers, whose tasks trio begins in any order.
        numbers = [number for _, number in seen.events[shard_id]]
        assert sorted(numbers) == list(range(len(numbers)))
        assert len(numbers) > EVENTS / 2
    assert set(seen.reconnects[CLOSED]) == {ClosedError(4000)}


@pytest.mark.failure("F24", "F33")
@WORLDS
def test_a_shard_that_is_given_up_for_its_handler_moves_nobody(run: Callable[..., Report]) -> None:
    seen = run(IMPATIENT, is_bad=True)
    others_do_not_move(seen, run(IMPATIENT, is_bad=False))
    assert seen.ended.keys() == {STUCK}
    at, cause = seen.ended[STUCK]
    assert isinstance(cause, SlowConsumerError)
    assert seen.stages[STUCK] is ConnectionStage.DISCONNECTED
    # Two are in the handlers' hands and 20 wait; then it is patient for two intervals, and lets the handlers end.
    assert [number for _, number in seen.events[STUCK]] == [0, 1]
    assert BEGIN + 20 + 2 * INTERVAL < at < BEGIN + 24 + 2 * INTERVAL + 2 * GRACE
