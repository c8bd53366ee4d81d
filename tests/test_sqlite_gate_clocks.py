"""The clocks of a `SqliteGate`: wall time that is set, forward or back, for good or for a moment, brings no two
IDENTIFYs closer, costs nothing of the day's ledger, and keeps nobody waiting for it (F15, F20)."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gateway_transports.clock import SystemClock
from gateway_transports.memory import VirtualClock
from gateway_transports.sqlite_gate import LEASE, _boot_of
from tests.gate_helpers import SPACING, Machine, OpenMachine, Runner, a_year, report

pytestmark = pytest.mark.failure("F20")

POLL = LEASE / 8


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OpenMachine]:
    with ExitStack() as stack:
        yield lambda clock: Machine(clock, tmp_path / "state.db", stack)


@pytest.mark.anyio
async def test_a_clock_that_is_set_back_keeps_nobody_waiting_for_it(machine: OpenMachine) -> None:
    """The machine was started anew since: what its own clock says is of no use."""
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        gate.report(report(1000, 500, 3600.0))
        gate.reserve([7])
        runner = Runner(clock, gate)
        await runner.identify(0)
        world.set_back = 10 * 365 * 86_400.0
        gate = world.program(boot="another")
        runner.gate = gate
        await runner.identify(1)
        assert runner.granted[1] == pytest.approx(SPACING, abs=0.01)
        assert world.rows(f"SELECT count(*) FROM identifies WHERE at > {world.wall()!r}") == [(0,)]
        assert world.rows("SELECT * FROM reserved") == []
        # What Discord said holds for the hour that it said, and not for the years until then.
        assert gate.remaining() == 498  # also the first counts again: nobody can tell any more
        await clock.sleep(3700.0)
        assert gate.remaining() == 998


YEARS = 10 * 365 * 86_400.0


@pytest.mark.anyio
@pytest.mark.parametrize("set_back", [-YEARS, -2 * 86_400.0, -10.0, -1.0, 0.0, 1.0, 10.0, 2 * 86_400.0, YEARS])
async def test_a_clock_that_is_set_brings_no_two_identifies_closer_and_keeps_nobody_waiting(
    machine: OpenMachine, set_back: float
) -> None:
    async with a_year() as clock:
        world = machine(clock)
        one, other = Runner(clock, world.program()), Runner(clock, world.program())
        await one.identify(0)
        world.set_back = set_back
        await other.identify(1)
        # Set back by a little it may take that much longer: the more of what the two clocks say counts.
        assert other.granted[1] == pytest.approx(SPACING + (1.0 if set_back == 1.0 else 0.0), abs=0.02)
        await one.ask(2)
        world.set_back = 0.0
        await other.ask(3)
        longest = LEASE + SPACING + (1.0 if set_back == -1.0 else 0.0)
        assert other.granted[3] - one.granted[2] == pytest.approx(longest, abs=POLL + 0.02)


@pytest.mark.anyio
async def test_after_a_boot_wall_time_keeps_the_distance(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        one = Runner(clock, world.program(boot="one"))
        await one.identify(0)
        await clock.sleep(1.0)
        other = Runner(clock, world.program(boot="other"))
        await other.identify(1)
        assert other.granted[1] == pytest.approx(SPACING, abs=0.01)


@pytest.mark.anyio
@pytest.mark.failure("F15")
@pytest.mark.parametrize("set_back", [-YEARS, -2 * 86_400.0, 2 * 86_400.0, YEARS])
async def test_a_clock_that_is_wrong_for_a_moment_costs_nothing_of_the_ledger(
    machine: OpenMachine, set_back: float
) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program(16)
        runner = Runner(clock, gate)
        for shard_id in range(16):
            await runner.identify(shard_id)
        gate.report(report(1000, 100, 7200.0, max_concurrency=16))
        await clock.sleep(100.0)
        world.set_back = set_back
        assert gate.remaining() == 84  # what is so shortly before its answer, Discord may not have counted
        await runner.identify(16)
        assert gate.remaining() == 83
        world.set_back = 0.0
        await runner.identify(17)
        assert gate.remaining() == 82
        await clock.sleep(7200.0)
        assert gate.remaining() == 982
        await clock.sleep(86_400.0 - 7200.0)
        assert gate.remaining() == 998
        await clock.sleep(3600.0)
        assert gate.remaining() == 1000


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_without_the_machines_clock_days_that_wall_time_is_wrong_by_cost_nothing(machine: OpenMachine) -> None:
    """Each program is of a boot of its own, which is as if there were no clock but wall time."""
    async with a_year() as clock:
        world = machine(clock)
        for number in range(10):
            await Runner(clock, world.program(16, boot=f"before {number}")).identify(number)
        for number, set_back in enumerate((-2 * 86_400.0, 2 * 86_400.0, 0.0)):
            world.set_back = set_back
            await Runner(clock, world.program(16, boot=f"after {number}")).identify(10 + number)
        left = world.program(16, boot="last").remaining()
        assert left in (987, 988)  # the one that is dated two days ago may be missed


def test_a_machines_clock_is_known_by_its_boot() -> None:
    one, other = SystemClock(), SystemClock()
    assert _boot_of(one) == _boot_of(other)
    assert (_boot_of(one) is not None) == (sys.platform == "linux")
    virtual = VirtualClock()
    assert _boot_of(virtual) == _boot_of(virtual)
    assert _boot_of(virtual) not in (_boot_of(one), _boot_of(VirtualClock()), None)
