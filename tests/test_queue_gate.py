"""`QueueGate`: what it adds to the pure queue, besides what every gate does (`test_gate_conformance`)."""

import anyio
import pytest

from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyBudgetError, IdentifyQueue, Ledger
from gateway_transports.memory import VirtualClock
from gateway_transports.queue_gate import QueueGate
from gateway_transports.tasks import background
from tests.gate_helpers import EPOCH, Held, Runner, a_year, wanted

pytestmark = [pytest.mark.anyio, pytest.mark.failure("F15")]


def gate(clock: VirtualClock, held: Held, *, spent: int = 0, max_concurrency: int = 1) -> QueueGate:
    ledger = Ledger([EPOCH - 3600.0] * spent, total=100)
    queue = IdentifyQueue(max_concurrency=max_concurrency, ledger=ledger)
    return QueueGate(queue, clock, wall=lambda: EPOCH + clock.now(), on_held=held)


async def test_a_shard_that_identifies_again_keeps_off_the_last_ones_and_is_told_why() -> None:
    async with a_year() as clock:
        held = Held()
        runner = Runner(clock, gate(clock, held, spent=95))
        await runner.identify(0)
        assert clock.now() == 82_860.0
        assert [(told.shard_id, told.until, told.reason) for told in held.told] == [
            (0, 82_860.0, "only 5 IDENTIFYs are left today")
        ]


async def test_a_start_may_have_all_but_one_of_them_and_goes_ahead() -> None:
    async with a_year() as clock:
        made = gate(clock, Held(), spent=95)
        runner = Runner(clock, made)
        async with background() as group:
            group.start_soon(runner.ask, 0)
            await runner.settle()
            with pytest.raises(IdentifyBudgetError):
                made.reserve(range(1, 6))
            made.reserve(range(1, 5))
            for shard_id in range(1, 5):
                await runner.identify(shard_id)
            assert made.remaining() == 1
            with pytest.raises(IdentifyBudgetError):
                made.reserve([6])
            assert list(runner.granted) == [1, 2, 3, 4]
            assert clock.now() < 30.0


async def test_what_is_released_is_for_others_at_once() -> None:
    async with a_year() as clock:
        made = gate(clock, Held(), spent=90)
        made.reserve(range(9))
        runner = Runner(clock, made)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.ask, 20)
            await runner.settle()
            assert not runner.granted
            made.release(range(9))
        assert runner.granted == {20: 0.0}


async def test_a_shard_that_waits_is_served_once_a_start_announces_it() -> None:
    async with a_year() as clock:
        made = gate(clock, Held(), spent=98)
        runner = Runner(clock, made)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.ask, 0)
            await runner.settle()
            made.reserve([0])
        assert runner.granted == {0: 0.0}


async def test_what_discord_says_frees_those_that_wait() -> None:
    async with a_year() as clock:
        made = gate(clock, Held())
        made.report(SessionStartLimit(total=100, remaining=3, reset_after=80_000.0, max_concurrency=1))
        runner = Runner(clock, made)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.ask, 0)
            await runner.settle()
            assert not runner.granted
            await clock.sleep(1000.0)
            made.report(SessionStartLimit(total=100, remaining=99, reset_after=79_000.0, max_concurrency=1))
        assert runner.granted == {0: 1000.0}
        assert made.remaining() == 99


async def test_a_newer_connection_takes_its_older_ones_place() -> None:
    async with a_year() as clock:
        made = gate(clock, Held())
        runner = Runner(clock, made)
        await runner.identify(0)
        async with background() as group:
            group.start_soon(runner.ask, 1)  # the keeper of the time
            await runner.settle()
            permit = await made.ask(wanted(1, generation=2))
            assert permit.generation == 2
            assert 1 not in runner.granted
            runner.cancel(1)
            made.used(permit, clock.now())
            await runner.identify(2)
        assert runner.granted[2] == 10.5


async def test_thousands_wait_without_waking_each_other() -> None:
    async with a_year() as clock:
        made = gate(clock, Held(), max_concurrency=100)
        made.report(SessionStartLimit(total=9000, remaining=9000, reset_after=1000.0, max_concurrency=100))
        runner = Runner(clock, made)
        async with anyio.create_task_group() as group:
            for shard_id in range(2000):
                group.start_soon(runner.identify, shard_id)
        assert len(runner.granted) == 2000
        assert clock.now() == 19 * 5.25
