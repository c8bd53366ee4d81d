"""A runner under pressure: slow consumers, peers that stall, clocks that jump; in virtual time, so bounds are exact."""

import random

import anyio
import pytest

from gateway_proto import (
    ConnectionStage,
    Disconnect,
    GatewayError,
    HeartbeatFailedError,
    HeartbeatSent,
    InvalidConfigError,
    Notice,
    NoticeKind,
    Opcode,
    RawCommand,
    StageChanged,
)
from gateway_proto import Reconnect as Reconnected
from gateway_proto.server import ConnectionClosed, Identified, Received, ServerLimits, SessionResumed, Stall
from gateway_transports import SlowConsumerError
from gateway_transports.anyio import QueueLimits
from gateway_transports.memory import MemoryStream

from .transport_helpers import World, take, world

pytestmark = pytest.mark.anyio


def beats(w: World) -> int:
    """How many heartbeats the server has received."""
    return sum(action.opcode == Opcode.HEARTBEAT for action in w.of(Received))


# -- slow consumers --------------------------------------------------------------------------------------------


@pytest.mark.failure("F33")
@pytest.mark.parametrize(
    "limits",
    [QueueLimits(events=100, pause=1e9), QueueLimits(bytes=100_000, pause=1e9)],
    ids=["events", "bytes"],
)
async def test_a_full_queue_stops_the_reading_while_beats_go_on(limits: QueueLimits) -> None:
    async with (
        world(chunk=5000, replay_events=5000, heartbeat_tolerance=1e6) as w,
        w.open_shard(queue_limits=limits) as runner,
    ):
        await anext(runner)
        w.send(1000, pad=1000)
        await w.clock.sleep(60.0)
        assert runner.snapshot().reading_paused
        queued = runner.queued_events
        assert 90 <= queued <= 110
        before = beats(w)
        await w.clock.sleep(600.0)
        assert beats(w) - before >= 600 / 41.25 - 1
        assert runner.queued_events == queued
        assert runner.stage is ConnectionStage.CONNECTED
        assert await take(runner, 1000) == list(range(1, 1001))
        await w.clock.sleep(60.0)
        assert not runner.snapshot().reading_paused
        assert not w.of(Reconnected)
        assert not w.of(SessionResumed)


@pytest.mark.failure("F33")
async def test_a_consumer_that_never_comes_back_is_left_resumably() -> None:
    limits = QueueLimits(events=100)
    async with world(chunk=2000, replay_events=5000) as w:
        async with w.open_shard(queue_limits=limits) as runner:
            await anext(runner)
            w.send(1000, pad=100)
            await w.until(lambda: runner.snapshot().reading_paused)
            since = w.clock.now()
            await w.until(lambda: w.of(ConnectionClosed))
            # Two heartbeat intervals are the default.
            assert 82.0 <= w.clock.now() - since <= 85.0
            got = await take(runner, runner.queued_events)
            with pytest.raises(SlowConsumerError, match=r"for 82\.5 s"):
                await anext(runner)
            assert got == list(range(1, len(got) + 1))
            with pytest.raises(SlowConsumerError):
                await runner.wait()
        assert [closed.code for closed in w.of(ConnectionClosed)] == [4000]
        async with w.open_shard(session=runner.session) as runner:
            assert await take(runner, 1000 - len(got)) == list(range(len(got) + 1, 1001))
        assert len(w.of(Identified)) == 1


@pytest.mark.failure("F33")
@pytest.mark.parametrize(
    "limits",
    [QueueLimits(events=10, hard_events=50), QueueLimits(bytes=1000, hard_bytes=20_000)],
    ids=["events", "bytes"],
)
async def test_a_queue_overrun_by_one_chunk_detaches_at_once(limits: QueueLimits) -> None:
    async with world() as w:
        async with w.open_shard(queue_limits=limits) as runner:
            await anext(runner)
            w.send(200, pad=200)
            await w.until(lambda: w.of(ConnectionClosed))
            with pytest.raises(SlowConsumerError, match="were not taken in time"):
                await take(runner, 201)
        assert runner.session is not None


@pytest.mark.failure("F33")
async def test_a_reconnect_goes_through_though_the_queue_is_full() -> None:
    limits = QueueLimits(events=10, pause=1e9)
    async with world(chunk=500, heartbeat_tolerance=1e6) as w, w.open_shard(queue_limits=limits) as runner:
        await anext(runner)
        w.send(80)
        await w.until(lambda: runner.snapshot().reading_paused)
        runner.reconnect()
        await w.until(lambda: w.of(SessionResumed))
        await w.clock.sleep(100.0)
        assert await take(runner, 80) == list(range(1, 81))
        assert runner.snapshot().duplicates == 0


async def test_a_server_drops_a_client_that_does_not_read_and_keeps_its_session() -> None:
    limits = ServerLimits(max_unsent=200_000)
    async with (
        world(limits=limits, chunk=2000, replay_events=5000, heartbeat_tolerance=1e6) as w,
        w.open_shard(queue_limits=QueueLimits(events=10, pause=1e9)) as runner,
    ):
        await anext(runner)
        for _ in range(50):
            w.send(10, pad=1000)
            await w.clock.sleep(1.0)
        assert [closed.reason for closed in w.of(ConnectionClosed)] == ["the client does not read"]
        assert await take(runner, 500) == list(range(1, 501))
        assert len(w.of(Identified)) == 1


async def test_an_error_that_nobody_was_told_comes_out_of_the_block() -> None:
    async with world() as w:
        with pytest.raises(SlowConsumerError):
            async with w.open_shard(queue_limits=QueueLimits(events=1, hard_events=1)):
                await w.until(lambda: w.of(ConnectionClosed))


# -- peers that stall ------------------------------------------------------------------------------------------


@pytest.mark.failure("F26")
async def test_closing_takes_two_seconds_at_most() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        w.inject(Stall())  # it will neither read the close frame nor answer it
        await w.clock.sleep(1.0)
        before = w.clock.now()
        await runner.close()
        assert 1.9 <= w.clock.now() - before <= 2.0
        assert not w.network.connections


@pytest.mark.failure("F26", "F18")
async def test_a_cancelled_block_takes_two_seconds_at_most() -> None:
    async with world() as w:
        with anyio.CancelScope() as scope:
            async with w.open_shard() as runner:
                await anext(runner)
                w.inject(Stall())
                await w.clock.sleep(1.0)
                before = w.clock.now()
                scope.cancel()
        assert w.clock.now() - before <= 2.0
        assert not w.network.connections


@pytest.mark.failure("F26")
async def test_the_next_connection_does_not_wait_for_the_old_one() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        w.inject(Stall())  # the old one is not answered, and would take 2 s
        runner.reconnect()
        before = w.clock.now()
        await w.until(lambda: w.of(SessionResumed))
        assert w.clock.now() - before < 1.0


@pytest.mark.failure("F07")
async def test_a_blocked_write_does_not_stop_the_clock() -> None:
    async with world(heartbeat_tolerance=1e6) as w, w.open_shard() as runner:
        await anext(runner)
        w.network.window = 1000
        w.inject(Stall())
        for _ in range(3):
            runner.send(RawCommand(text=b'{"op":99,"d":"%s"}' % (b"x" * 3000)))
        before = w.clock.now()
        await w.until(lambda: w.of(Reconnected))
        [lost] = w.of(Reconnected)
        assert isinstance(lost.cause, HeartbeatFailedError)
        assert w.clock.now() - before <= 3 * 41.25
        w.network.window = 65536
        w.send(3)
        assert await take(runner, 3) == [1, 2, 3]
        assert len(w.of(Identified)) == 1


class HangingDialer:
    """Nobody ever answers."""

    def __init__(self) -> None:
        self.dials = 0
        self.cancelled = 0

    async def dial(self, host: str, port: int, *, tls: bool) -> MemoryStream:
        self.dials += 1
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled += 1
        raise AssertionError


@pytest.mark.failure("F26")
async def test_a_dial_that_hangs_is_cancelled_by_the_shards_timer_and_by_a_close() -> None:
    dialer = HangingDialer()
    async with world() as w, w.open_shard(dialer=dialer) as runner:
        await w.until(lambda: dialer.dials == 3)
        assert dialer.cancelled == 2
        before = w.clock.now()
        await runner.close()
        assert w.clock.now() == before
        assert dialer.cancelled == 3
        assert len(w.of(Disconnect)) == 3


# -- clocks ----------------------------------------------------------------------------------------------------


@pytest.mark.failure("F09")
async def test_a_blocked_loop_is_reported_with_its_lag() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        await w.until(lambda: w.of(HeartbeatSent))
        await w.clock.sleep(41.0)  # the next beat is due in a moment
        w.clock.advance(7.0)  # a handler blocks the loop meanwhile
        await w.until(lambda: len(w.of(HeartbeatSent)) == 2)
        late = [notice for notice in w.of(Notice) if notice.kind is NoticeKind.HEARTBEAT_LATE]
        assert [notice.lag is not None and 6.0 < notice.lag <= 7.0 for notice in late] == [True]
        assert runner.snapshot().lag == late[0].lag
        assert runner.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F12")
async def test_a_suspend_is_followed_by_one_beat_and_no_error_loop() -> None:
    async with world(heartbeat_tolerance=1e6) as w, w.open_shard() as runner:
        await anext(runner)
        await w.until(lambda: w.of(HeartbeatSent))
        before = len(w.of(HeartbeatSent))
        w.clock.advance(8 * 3600.0)
        await w.clock.sleep(20.0)
        assert len(w.of(HeartbeatSent)) == before + 1
        assert NoticeKind.CLOCK_JUMP in [notice.kind for notice in w.of(Notice)]
        assert not w.of(Reconnected)
        w.send(1)
        assert await take(runner, 1) == [1]


@pytest.mark.failure("F12")
async def test_a_suspend_that_the_connection_did_not_survive_ends_in_a_resume() -> None:
    async with world(session_lifetime=1e9) as w, w.open_shard() as runner:
        await anext(runner)
        w.inject(Stall())
        w.send(5)
        w.clock.advance(8 * 3600.0)
        assert await take(runner, 5) == [1, 2, 3, 4, 5]
        assert len(w.of(Identified)) == 1
        assert len(w.of(Reconnected)) == 1


async def test_two_runs_of_one_seed_are_the_same(anyio_backend: str) -> None:
    async def run() -> list[str]:
        async with world(seed=3, chunk=100) as w, w.open_shard(rng=random.Random(5)) as runner:
            await anext(runner)
            w.send(20)
            await take(runner, 10)
            runner.reconnect()
            await take(runner, 10)
            await w.clock.sleep(200.0)
            return [f"{action}" for action in w.actions if isinstance(action, HeartbeatSent | StageChanged)]

    first = await run()
    assert len(first) > 10
    if anyio_backend == "asyncio":  # trio shuffles its tasks on purpose
        assert await run() == first


def test_the_errors_are_gateway_errors() -> None:
    assert issubclass(SlowConsumerError, GatewayError)


@pytest.mark.parametrize("bad", [{"events": 0}, {"events": 10, "hard_events": 9}, {"bytes": 10, "hard_bytes": 9}])
def test_bounds_that_make_no_sense_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(InvalidConfigError):
        QueueLimits(**bad)
