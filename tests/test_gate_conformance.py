"""What every `IdentifyGate` does, in virtual time under both backends: the one permit at a time, whose it is, and when
the next one comes; and of every `BudgetedGate` the day's count (F15, F16, F20, F21)."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from gateway_proto import GatewayError, IdentifyPermit, IdentifyWanted, InvalidAuthenticationError, Reconnect
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyBudgetError, IdentifyQueue
from gateway_proto.fleet.queue import MARGIN
from gateway_proto.server import Identified
from gateway_transports.anyio import IdentifyGate, QueueGate, SqliteGate
from gateway_transports.gate import BudgetedGate
from gateway_transports.memory import VirtualClock, virtual_time
from gateway_transports.tasks import background
from tests.gate_helpers import EPOCH, Runner, a_year, wanted
from tests.transport_helpers import world

pytestmark = [pytest.mark.anyio, pytest.mark.failure("F20")]

SPACING = 5.25
Gate = QueueGate | SqliteGate
Maker = Callable[[VirtualClock, int], Gate]


@pytest.fixture(params=["queue", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    with ExitStack() as stack:

        def gate(clock: VirtualClock, max_concurrency: int) -> Gate:
            def wall() -> float:
                return EPOCH + clock.now()

            if request.param == "queue":
                return QueueGate(IdentifyQueue(max_concurrency=max_concurrency), clock, wall=wall)
            made = SqliteGate(tmp_path / "state.db", clock, max_concurrency=max_concurrency, wall=wall)
            return stack.enter_context(made)

        yield gate


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
async def test_a_closed_gate_ends_all_that_wait_and_all_that_come(make: Maker) -> None:
    cause = InvalidAuthenticationError(4004)
    async with a_year() as clock:
        gate = make(clock, 2)
        runner = Runner(clock, gate)
        await runner.ask(0)
        await runner.identify(1)
        async with anyio.create_task_group() as group:
            for shard_id in (2, 3, 4, 5):  # of the one bucket behind a permit that is out, of the other behind the time
                group.start_soon(runner.ask, shard_id)
                await runner.settle()
            gate.closed(cause)
            gate.closed(InvalidAuthenticationError(4004, "the second is not heard"))
        await runner.ask(6)
        assert runner.failed == dict.fromkeys((2, 3, 4, 5, 6), cause)
        assert gate.closed_by is cause
        assert len({id(error) for error in runner.failed.values()}) == 5  # each may be raised by itself
        assert clock.now() == 0.0
        runner.use(0)


@pytest.mark.failure("F15")
async def test_one_that_identifies_again_and_again_is_held_back_and_others_are_not(make: Maker) -> None:
    async with a_year() as clock:
        runner = Runner(clock, make(clock, 1))
        for _ in range(3):
            await runner.identify(0)
        last = clock.now()
        async with anyio.create_task_group() as group:
            group.start_soon(runner.identify, 0)
            await runner.settle()
            group.start_soon(runner.identify, 1)
        assert runner.granted[1] == pytest.approx(last + SPACING, abs=0.01)
        assert runner.granted[0] == pytest.approx(last + 60.0, abs=0.01)


@pytest.mark.failure("F15")
async def test_the_last_of_the_day_is_kept_from_a_start_as_well(make: Maker) -> None:
    async with a_year() as clock:
        gate: IdentifyGate = make(clock, 4)
        assert isinstance(gate, BudgetedGate)
        gate.report(SessionStartLimit(total=100, remaining=12, reset_after=7200.0, max_concurrency=4))
        assert gate.remaining() == 12
        with pytest.raises(IdentifyBudgetError) as refused:
            gate.reserve(range(12))
        assert str(refused.value) == (
            "the start needs 12 IDENTIFYs and 12 are left today, the last of which is never spent; "
            "try again in 2.0 h, or resume sessions from a store"
        )
        gate.reserve(range(11))
        runner = Runner(clock, gate)
        async with background() as group:
            group.start_soon(runner.ask, 20)  # one that identifies again
            await runner.settle()
            for shard_id in range(10):
                await runner.identify(shard_id)
            gate.release([10])
            assert gate.remaining() == 2
            gate.reserve([11])
            await runner.identify(11)
            assert gate.remaining() == 1
            for shard_ids in ([12], [12, 13]):
                with pytest.raises(IdentifyBudgetError):
                    gate.reserve(shard_ids)
            gate.reserve([])  # all of it can be resumed
            assert 20 not in runner.granted
            assert clock.now() < 60.0


@pytest.mark.failure("F15")
async def test_a_release_of_what_is_not_reserved_changes_nothing(make: Maker) -> None:
    async with a_year() as clock:
        gate = make(clock, 4)
        gate.report(SessionStartLimit(total=100, remaining=9, reset_after=7200.0, max_concurrency=4))
        gate.release(range(1000))
        gate.reserve(range(8))
        runner = Runner(clock, gate)
        await runner.identify(0)
        gate.release([0, 50])
        gate.release([])
        assert gate.remaining() == 8
        with pytest.raises(IdentifyBudgetError):
            gate.reserve([20])  # seven are announced
        gate.release([7])
        gate.release([7])
        gate.reserve([20])
        await runner.ask(1)
        gate.release([1])  # it has its permit: what was reserved for it is that
        runner.use(1)
        assert gate.remaining() == 7
        with pytest.raises(IdentifyBudgetError):
            gate.reserve([21])


@pytest.mark.failure("F15")
async def test_what_is_released_while_it_has_a_permit_is_not_reserved_again_by_giving_it_back(make: Maker) -> None:
    async with a_year() as clock:
        gate = make(clock, 1)
        gate.report(SessionStartLimit(total=100, remaining=3, reset_after=7200.0, max_concurrency=1))
        gate.reserve([0, 1])
        runner = Runner(clock, gate)
        await runner.ask(0)
        gate.release([0])
        runner.give_back(0)
        gate.reserve([2])
        with pytest.raises(IdentifyBudgetError):
            gate.reserve([3])


class Plain:
    """A gate that knows no budget."""

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        return wanted.permit(1)

    def used(self, permit: IdentifyPermit, at: float) -> None: ...

    def returned(self, permit: IdentifyPermit) -> None: ...

    def closed(self, cause: GatewayError) -> None: ...


async def test_a_gate_need_not_keep_a_budget() -> None:
    gate: IdentifyGate = Plain()
    assert not isinstance(gate, BudgetedGate)
    async with world() as w, w.open_shard(identify_gate=gate) as runner:
        assert (await anext(runner)).name == "READY"


@pytest.mark.failure("F21")
@pytest.mark.parametrize("seed", range(4))
async def test_a_gateway_that_enforces_it_refuses_none(make: Maker, seed: int) -> None:
    """By the server's clock, each message being under way for a time of its own."""
    async with world(latency=(0.0, MARGIN), seed=seed, max_concurrency=2, shards=6) as w:
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
