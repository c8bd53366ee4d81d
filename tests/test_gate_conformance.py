"""What every `IdentifyGate` does, in virtual time under both backends: the one permit at a time, whose it is, and when
the next one comes (F16, F20, F21)."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from gateway_proto import IdentifyWanted, InvalidAuthenticationError, Reconnect
from gateway_proto.fleet import IdentifyQueue
from gateway_proto.server import Identified
from gateway_transports.anyio import IdentifyGate, LocalGate
from gateway_transports.memory import VirtualClock, virtual_time
from gateway_transports.queue_gate import QueueGate
from gateway_transports.sqlite_gate import SqliteGate
from gateway_transports.tasks import background
from tests.gate_helpers import EPOCH, Runner, a_year, wanted
from tests.transport_helpers import world

pytestmark = [pytest.mark.anyio, pytest.mark.failure("F20")]

SPACING = 5.25
Maker = Callable[[VirtualClock, int], IdentifyGate]
Closable = QueueGate | SqliteGate


@pytest.fixture(params=["local", "queue", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    with ExitStack() as stack:

        def gate(clock: VirtualClock, max_concurrency: int) -> IdentifyGate:
            if request.param == "local":
                return LocalGate(clock, max_concurrency=max_concurrency, spacing=SPACING)
            return closable(request.param, clock, max_concurrency, tmp_path, stack)

        yield gate


@pytest.fixture(params=["queue", "sqlite"])
def make_closable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[VirtualClock, int], Closable]]:
    with ExitStack() as stack:
        yield lambda clock, buckets: closable(request.param, clock, buckets, tmp_path, stack)


def closable(kind: str, clock: VirtualClock, max_concurrency: int, folder: Path, stack: ExitStack) -> Closable:
    def wall() -> float:
        return EPOCH + clock.now()

    if kind == "queue":
        queue = IdentifyQueue(max_concurrency=max_concurrency, spacing=SPACING)
        return QueueGate(queue, clock, wall=wall)
    path = folder / "state.db"
    gate = SqliteGate(path, clock, max_concurrency=max_concurrency, spacing=SPACING, wall=wall)
    return stack.enter_context(gate)


@pytest.mark.failure("F21")
async def test_in_order_within_a_bucket_and_buckets_side_by_side(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 3))
        async with anyio.create_task_group() as group:
            for shard_id in range(12):
                group.start_soon(runner.identify, shard_id)
                await runner.settle()  # trio starts tasks in any order
        assert runner.granted == pytest.approx({id: id // 3 * SPACING for id in range(12)}, abs=0.01)
        for bucket in range(3):
            assert [id for id in runner.granted if id % 3 == bucket] == list(range(bucket, 12, 3))


async def test_the_spacing_runs_from_the_use(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        async with anyio.create_task_group() as group:
            for shard_id in range(3):
                group.start_soon(runner.identify, shard_id, 1.5)
                await runner.settle()
        times = list(runner.granted.values())
        assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx(
            [6.75, 6.75], abs=0.01
        )


async def test_a_use_is_dated_by_its_own_time_not_by_when_it_is_told(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        await runner.ask(0)
        used_at = clock.now()
        await clock.sleep(1.5)
        runner.gate.used(runner.permits[0], used_at)
        await runner.ask(1)
        assert runner.granted[1] == pytest.approx(used_at + SPACING, abs=0.01)


async def test_a_permit_that_is_given_back_is_the_next_ones_at_once(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        await runner.identify(0)
        await runner.ask(1)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.ask, 2)
            await runner.settle()
            assert 2 not in runner.granted
            runner.give_back(1)
        assert runner.granted[2] == pytest.approx(SPACING, abs=0.01)
        assert runner.permits[2].generation == 1


async def test_ends_of_permits_that_are_not_out_do_nothing(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        await runner.ask(0)
        permit = runner.permits[0]
        for _ in range(2):
            runner.gate.used(permit, clock.now())
        runner.gate.returned(permit)
        await runner.ask(1)
        runner.gate.used(permit, clock.now() + 100.0)
        runner.use(1)
        await runner.ask(2)
        assert runner.granted == pytest.approx({0: 0.0, 1: SPACING, 2: 2 * SPACING}, abs=0.01)


async def test_whoever_is_cancelled_leaves_the_line(make: Maker) -> None:
    """While somebody else has the permit, while its turn waits for the time, and as its permit is on its way."""
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        await runner.identify(0)
        async with anyio.create_task_group() as group:
            for shard_id in (1, 2, 3):
                group.start_soon(runner.ask, shard_id)
                await runner.settle()
            runner.cancel(2)
            await runner.settle()
            await clock.sleep(1.0)
            runner.cancel(1)  # it had the turn, and kept time for the others
            await clock.sleep(SPACING)
            assert runner.granted == pytest.approx({0: 0.0, 3: SPACING}, abs=0.01)
            runner.give_back(3)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.ask, 4)
            group.cancel_scope.cancel()
        assert 4 not in runner.granted
        await runner.ask(5)
        assert runner.granted[5] == pytest.approx(1.0 + SPACING, abs=0.01)


async def test_a_bot_that_does_not_shard_is_shard_0(make: Maker) -> None:
    async with a_year() as clock:
        gate = make(clock, 2)
        unsharded = IdentifyWanted(generation=3, shard=None)
        permit = await gate.ask(unsharded)
        assert permit.generation == 3
        gate.used(permit, clock.now())
        await gate.ask(wanted(1))
        assert clock.now() == 0.0
        await gate.ask(wanted(2))
        assert clock.now() == pytest.approx(SPACING, abs=0.01)


async def test_waiting_costs_nothing(make: Maker) -> None:
    """Nobody looks at the clock while it is somebody else's move: virtual time has nothing to jump to."""
    async with virtual_time() as clock:
        runner = Runner(clock, make(clock, 1))
        await runner.ask(0)
        async with background() as group:
            for shard_id in range(1, 4):
                group.start_soon(runner.ask, shard_id)
            for _ in range(3):
                await anyio.wait_all_tasks_blocked()
            assert clock.now() == 0.0


@pytest.mark.failure("F16")
async def test_a_closed_gate_ends_all_that_wait_and_all_that_come(
    make_closable: Callable[[VirtualClock, int], Closable],
) -> None:
    cause = InvalidAuthenticationError(4004)
    async with a_year() as clock:
        gate = make_closable(clock, 2)
        runner = Runner(clock, gate)
        await runner.ask(0)
        await runner.identify(1)
        async with anyio.create_task_group() as group:
            for shard_id in (2, 3, 4, 5):  # of the one bucket behind a permit that is out, of the other behind the time
                group.start_soon(runner.ask, shard_id)
                await runner.settle()
            gate.close(cause)
            gate.close(InvalidAuthenticationError(4004, "the second is not heard"))
        await runner.ask(6)
        assert runner.failed == dict.fromkeys((2, 3, 4, 5, 6), cause)
        assert gate.closed_by is cause
        assert len({id(error) for error in runner.failed.values()}) == 5  # each may be raised by itself
        assert clock.now() == 0.0
        runner.use(0)


@pytest.mark.failure("F15")
async def test_one_that_identifies_again_and_again_is_held_back_and_others_are_not(
    make_closable: Callable[[VirtualClock, int], Closable],
) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make_closable(clock, 1))
        for _ in range(3):
            await runner.identify(0)
        last = clock.now()
        async with anyio.create_task_group() as group:
            group.start_soon(runner.identify, 0)
            await runner.settle()
            group.start_soon(runner.identify, 1)
        assert runner.granted[1] == pytest.approx(last + SPACING, abs=0.01)
        assert runner.granted[0] == pytest.approx(last + 60.0, abs=0.01)


async def test_a_gateway_that_enforces_it_refuses_none(make: Maker) -> None:
    async with world(max_concurrency=2, shards=6) as w:
        gate = make(w.clock, 2)

        async def run(index: int) -> None:
            async with w.open_shard(identify_gate=gate, config={"shard": (index, 6)}) as runner:
                assert (await anext(runner)).name == "READY"

        async with anyio.create_task_group() as group:
            for index in range(6):
                group.start_soon(run, index)
        assert len(w.of(Identified)) == 6
        assert not w.of(Reconnect)
        assert 2 * SPACING <= w.clock.now() <= 2 * SPACING + 2.0
