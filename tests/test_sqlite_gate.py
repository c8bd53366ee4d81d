"""`SqliteGate`: programs on one machine that share a file. In virtual time two gates over one file are two programs;
real ones are at the end, and one of them is killed (F15, F20)."""

import itertools
import random
import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway_proto import Reconnect
from gateway_proto.conversation import INVALID_SESSION_WAIT, REFUSED_IDENTIFY_WAIT
from gateway_proto.fleet import IdentifyBudgetError
from gateway_proto.fleet.queue import MARGIN
from gateway_proto.server import Identified
from gateway_transports.memory import VirtualClock
from gateway_transports.sqlite_gate import LEASE, LONGEST_HOLD, SqliteGate
from gateway_transports.stores import (
    SqliteStore,
    StoreMismatchError,
    StoreUnusableError,
    schema,
)
from gateway_transports.stores.database import Database
from gateway_transports.stores.permits import Grant, Later
from gateway_transports.tasks import background
from tests import transport_helpers
from tests.gate_helpers import SPACING, Held, Machine, OpenMachine, Runner, a_year, report, wanted
from tests.store_helpers import PATIENCE, child, line
from tests.store_process import session

pytestmark = pytest.mark.failure("F20")

POLL = LEASE / 8


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[OpenMachine]:
    with ExitStack() as stack:
        yield lambda clock: Machine(clock, tmp_path / "state.db", stack)


# -- the window of a bucket ------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.failure("F21")
async def test_programs_take_turns_in_a_bucket_and_lose_little_time_by_it(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        programs = [Runner(clock, world.program(2)) for _ in range(3)]
        async with anyio.create_task_group() as group:
            for shard_id in range(20):
                group.start_soon(programs[shard_id % 3].identify, shard_id, 0.1)
        times = {id: at for program in programs for id, at in program.granted.items()}
        assert len(times) == 20
        for bucket in (0, 1):
            granted = sorted(at for id, at in times.items() if id % 2 == bucket)
            gaps = [later - earlier for earlier, later in itertools.pairwise(granted)]
            assert min(gaps) >= 0.1 + SPACING - 1e-6
            assert max(gaps) <= 0.1 + SPACING + POLL
        assert sorted(world.uses()) == pytest.approx(sorted(at + 0.1 for at in times.values()), abs=1e-3)


@pytest.mark.anyio
async def test_a_program_that_dies_with_a_permit_blocks_nobody_beyond_its_window(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        dead = world.program()
        await Runner(clock, dead).ask(0)
        dead._database.close()
        survivor = Runner(clock, world.program())
        await survivor.identify(1)
        assert survivor.granted[1] == pytest.approx(LEASE + SPACING, abs=POLL)
        assert world.uses() == pytest.approx([0.0, survivor.granted[1]], abs=0.01)  # it may have used it


@pytest.mark.anyio
async def test_a_permit_given_back_is_another_programs_at_once(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        one, other = Runner(clock, world.program()), Runner(clock, world.program())
        await one.ask(0)
        async with anyio.create_task_group() as group:
            group.start_soon(other.identify, 1)
            await clock.sleep(1.0)
            one.give_back(0)
        assert other.granted[1] == pytest.approx(1.0, abs=POLL + 0.01)
        assert world.uses() == pytest.approx([other.granted[1]], abs=0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("forward", [0.0, 60.0])
@pytest.mark.parametrize("end", ["used late", "used in time and told late", "returned late"])
async def test_what_is_told_long_after_the_lease_cuts_nobodys_window_short(
    machine: OpenMachine, end: str, forward: float
) -> None:
    """Its socket was stuck, or the program stood still; another was served meanwhile, and has its permit yet."""
    async with a_year() as clock:
        world = machine(clock)
        one, other, third = (Runner(clock, world.program()) for _ in range(3))
        await one.ask(0)
        await other.ask(1)
        served = clock.now()
        assert served == pytest.approx(LEASE + SPACING, abs=POLL)
        await clock.sleep(0.5)
        match end:
            case "used late":
                one.use(0)
            case "used in time and told late":
                one.gate.used(one.permits[0], 0.1)
            case _:
                one.give_back(0)
        world.set_back = -forward
        await third.ask(2)
        assert third.granted[2] == pytest.approx(served + LEASE + SPACING, abs=POLL)


@pytest.mark.anyio
async def test_a_use_long_after_the_lease_keeps_the_next_one_off(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        one, other = Runner(clock, world.program()), Runner(clock, world.program())
        await one.ask(0)
        await other.identify(1)
        await clock.sleep(1.0)
        one.use(0)
        used = clock.now()
        await other.identify(2)
        assert other.granted[2] == pytest.approx(used + SPACING, abs=0.01)


@pytest.mark.anyio
async def test_a_permit_that_comes_too_late_out_of_the_file_is_not_handed_out(
    machine: OpenMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        take = gate._book.grant
        delays = [LEASE + 1.0, LEASE + 1.0, LEASE - 0.5]

        def from_a_slow_disk(shard_id: int) -> Grant | Later:
            outcome = take(shard_id)
            clock.advance(delays.pop(0))
            return outcome

        monkeypatch.setattr(gate._book, "grant", from_a_slow_disk)
        runner = Runner(clock, gate)
        await runner.identify(0)
        assert not delays
        assert world.uses() == pytest.approx([runner.granted[0]], abs=0.01)


@pytest.mark.anyio
@pytest.mark.parametrize("forward", [0.0, 60.0])
async def test_what_discord_says_of_buckets_holds_for_all_programs(machine: OpenMachine, forward: float) -> None:
    """Of two counts, one of which is old, the new one is right; the change forgets no IDENTIFY of before."""
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program(1)
        old = Runner(clock, gate)
        await old.identify(0)
        world.set_back = -forward
        new = Runner(clock, world.program(4))
        async with anyio.create_task_group() as group:
            for shard_id in (1, 2, 3):
                group.start_soon(new.identify, shard_id)
        assert new.granted == pytest.approx(dict.fromkeys((1, 2, 3), SPACING), abs=0.01)
        await old.identify(5)  # of bucket 1, whatever this program thinks
        assert old.granted[5] == pytest.approx(2 * SPACING, abs=0.02)
        await old.identify(4)
        assert old.granted[4] == pytest.approx(2 * SPACING, abs=0.03)
        gate.report(report(1000, 900, 3600.0, max_concurrency=2))
        await new.identify(6)
        assert new.granted[6] == pytest.approx(3 * SPACING, abs=0.04)


@pytest.mark.anyio
@pytest.mark.failure("F21")
@pytest.mark.parametrize("seed", range(4))
async def test_a_gateway_that_enforces_it_refuses_none_of_several_programs(machine: OpenMachine, seed: int) -> None:
    """By the server's clock, each message being under way for a time of its own."""
    async with transport_helpers.world(latency=(0.0, MARGIN), seed=seed, max_concurrency=2, shards=8) as w:
        world = machine(w.clock)
        programs = [world.program(2) for _ in range(2)]

        async def run(index: int) -> None:
            gate = programs[index // 2 % 2]
            async with w.open_shard(identify_gate=gate, config={"shard": (index, 8)}) as runner:
                assert (await anext(runner)).name == "READY"

        async with anyio.create_task_group() as group:
            for index in range(8):
                group.start_soon(run, index)
        assert len(w.of(Identified)) == 8
        assert not w.of(Reconnect)
        assert 3 * SPACING <= w.clock.now() <= 3 * (SPACING + POLL) + 2.5


# -- the day's ledger ------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_start_that_cannot_be_afforded_is_refused_whole_for_all_programs_together(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        one, other = world.program(), world.program()
        one.report(report(1000, 11, 7200.0))
        assert one.remaining() == other.remaining() == 11
        one.reserve(range(6))
        with pytest.raises(IdentifyBudgetError) as caught:
            other.reserve(range(6, 11))
        assert (caught.value.needed, caught.value.remaining) == (5, 5)
        assert caught.value.wait == pytest.approx(7200.0)
        assert world.rows("SELECT count(*) FROM reserved") == [(6,)]
        other.reserve(range(6, 10))
        one.reserve(range(3))  # again: the same shards
        shards = Runner(clock, one), Runner(clock, other)
        async with anyio.create_task_group() as group:
            for shard_id in range(10):
                group.start_soon(shards[shard_id >= 6].identify, shard_id)
        assert sorted([*shards[0].granted, *shards[1].granted]) == list(range(10))
        assert one.remaining() == 1
        with pytest.raises(IdentifyBudgetError):
            one.reserve([0])
        one.reserve([])  # all of it can be resumed


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_day_of_one_is_never_spent(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        held = Held()
        gate = world.program(on_held=held)
        gate.report(report(1, 1, 0.0))
        with pytest.raises(IdentifyBudgetError, match="it needs more than a day has"):
            gate.reserve([0])
        runner = Runner(clock, gate)
        async with background() as group:
            group.start_soon(runner.ask, 0)
            await clock.sleep(3 * 86_400.0)
            assert not runner.granted
            assert [told.reason for told in held.told] == ["only 1 IDENTIFY is left today"]
            gate.report(report(2, 2, 0.0))
            gate.reserve([0])  # with one more there is one a day
            await runner.settle()
        assert runner.granted


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_shards_that_identify_again_keep_off_what_a_start_needs(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        held = Held()
        running, starting = world.program(on_held=held), world.program()
        running.report(report(100, 9, 50_000.0))
        starting.reserve(range(8))
        again, start = Runner(clock, running), Runner(clock, starting)
        async with anyio.create_task_group() as group:
            group.start_soon(again.identify, 20)
            await again.settle()
            for shard_id in range(8):
                await start.identify(shard_id)
        assert again.granted[20] == pytest.approx(50_000.0, abs=61.0)
        assert len(held.told) == 1
        assert held.told[0].shard_id == 20
        assert held.told[0].reason == "only 9 IDENTIFYs are left today"
        assert held.told[0].until == pytest.approx(50_000.0)


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_in_one_program_too_a_start_goes_ahead_of_what_is_held(machine: OpenMachine) -> None:
    async with a_year() as clock:
        gate = machine(clock).program()
        gate.report(report(1000, 50, 80_000.0))
        runner = Runner(clock, gate)
        async with background() as group:
            group.start_soon(runner.ask, 20)
            await runner.settle()
            gate.reserve([0, 1])
            await runner.identify(0)
            await runner.ask(1)
            runner.give_back(1)
            await runner.identify(1)  # it is still the start's
            gate.reserve(range(2, 48))
            gate.release(range(2, 48))
            gate.reserve(range(100, 147))
            assert 20 not in runner.granted
            gate.report(report(1000, 500, 80_000.0))  # plenty, also with those that are announced
            await clock.sleep(SPACING + 0.1)
            assert 20 in runner.granted


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_start_that_takes_long_is_still_a_start(machine: OpenMachine) -> None:
    """Others do not count on it any more then, but its shards need not wait like those that identify again."""
    async with a_year() as clock:
        gate = machine(clock).program()
        gate.report(report(1000, 50, 80_000.0))
        gate.reserve([0])
        runner = Runner(clock, gate)
        await runner.ask(0)
        await clock.sleep(3600.0)
        runner.give_back(0)
        await runner.identify(0)
        assert clock.now() == pytest.approx(3600.0, abs=0.01)


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_what_another_program_hears_frees_those_that_wait(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate, other = world.program(), world.program()
        gate.report(report(1000, 50, 80_000.0))
        runner = Runner(clock, gate)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.identify, 0)
            await clock.sleep(1000.0)
            other.report(report(1000, 500, 80_000.0))
        assert clock.now() == pytest.approx(1000.0, abs=LONGEST_HOLD)


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_an_announced_start_that_never_comes_is_forgotten(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        dead, left = world.program(), world.program()
        dead.report(report(1000, 61, 80_000.0))
        dead.reserve(range(30))
        left.reserve(range(30, 60))
        dead._database.close()
        left.close_file()
        assert world.rows("SELECT count(*) FROM reserved") == [(30,)]
        again = world.program()
        with pytest.raises(IdentifyBudgetError):
            again.reserve(range(30, 61))
        again.reserve(range(30))  # started again, it needs no more than before
        await clock.sleep(2 * 60 * (SPACING + LEASE) + 61.0)
        world.program().reserve(range(100, 160))


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_days_of_shards_that_identify_again_and_again_never_spend_the_last(machine: OpenMachine) -> None:
    """Two programs, of which one is killed and started anew all the time, in turn."""
    async with a_year() as clock:
        world = machine(clock)
        world.program().report(report(60, 60, 1.0))
        shard_ids = itertools.count()
        spent: list[float] = []

        async def live(seconds: float) -> None:
            gate = world.program()
            runner = Runner(clock, gate)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(wait, seconds, scope)
                    while True:
                        shard_id = next(shard_ids)
                        await runner.identify(shard_id)
                        spent.append(clock.now())
            gate._database.close()

        async def wait(seconds: float, scope: anyio.CancelScope) -> None:
            await clock.sleep(seconds)
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(live, 3 * 86_400.0)
            for _ in range(36):
                await live(7200.0)
        for at in spent:
            in_a_day = sum(at - 86_400.0 < other <= at for other in spent)
            assert in_a_day <= 55
        assert len(spent) >= 3 * 55


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_week_of_op_9_never_spends_the_last_identify(
    machine: OpenMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """25 shards, killed and started anew every 2 to 5 hours: the file is all that a new program knows. The server
    counts them as they arrive."""
    monkeypatch.setattr("gateway_transports.sqlite_gate.LONGEST_HOLD", 3600.0)  # nobody else is there to hear from
    rng, arrivals, least, starts, refused = random.Random(25), list[float](), 1000, 0, 0
    async with a_year() as clock:
        world = machine(clock)

        async def live(gate: SqliteGate, shard_id: int) -> None:
            nonlocal least
            wait = 0.0
            while True:
                dial = sum(rng.uniform(0.0, MARGIN) for _ in range(4))  # as far as the HELLO
                await clock.sleep(wait + dial)
                permit = await gate.ask(wanted(shard_id))
                gate.used(permit, clock.now())
                least = min(least, gate.remaining())
                arrivals.append(clock.now() + rng.uniform(0.0, MARGIN))
                wait = rng.uniform(*INVALID_SESSION_WAIT) + REFUSED_IDENTIFY_WAIT

        while clock.now() < 7 * 86_400.0:
            gate = world.program()
            stop = clock.now() + rng.uniform(2.0, 5.0) * 3600.0
            left = gate.remaining()
            async with background() as group:
                try:
                    gate.reserve(range(25))
                except IdentifyBudgetError:
                    assert left <= 25
                    refused += 1
                else:
                    assert left > 25
                    starts += 1
                    for shard_id in range(25):
                        group.start_soon(live, gate, shard_id)
                await clock.sleep(stop - clock.now())
                gate._database.close()
    assert least >= 1
    arrivals.sort()
    in_a_day = [number - bisect_left(arrivals, at - 86_400.0) + 1 for number, at in enumerate(arrivals)]
    assert 950 <= max(in_a_day) <= 999
    assert starts >= 7
    assert refused


# -- the file --------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_file_that_is_locked_is_waited_for_and_what_ended_meanwhile_is_written_later(
    machine: OpenMachine,
) -> None:
    async with a_year() as clock:
        world = machine(clock)
        held = Held()
        gate = world.program(on_held=held)
        runner = Runner(clock, gate)
        await runner.ask(0)
        other = sqlite3.connect(world.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        runner.use(0)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.identify, 1)
            await clock.sleep(20.0)
            assert [told.reason for told in held.told] == [f"{world.path} is kept locked by another program"]
            other.execute("COMMIT")
            other.close()
        assert runner.granted[1] == pytest.approx(20.0, abs=1.1)
        assert world.uses() == pytest.approx([0.0, runner.granted[1]], abs=0.01)


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_release_while_the_file_is_locked_is_written_later(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        gate.reserve(range(3))
        other = sqlite3.connect(world.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        gate.release([0, 1])
        gate.release([0])
        other.execute("COMMIT")
        other.close()
        assert world.rows("SELECT shard FROM reserved") == [(0,), (1,), (2,)]
        await Runner(clock, gate).identify(5)
        assert world.rows("SELECT shard FROM reserved") == [(2,)]


@pytest.mark.anyio
@pytest.mark.failure("F15")
async def test_a_release_of_nothing_does_not_touch_the_file(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        gate.reserve([0])
        await Runner(clock, gate).identify(0)
        statements: list[str] = []
        with gate._database.reading() as connection:
            connection.set_trace_callback(statements.append)
        gate.release(range(10))
        assert statements == []
        gate.reserve([1])
        gate.release(range(10))
        assert statements
        gate.close_file()
        gate.release(range(10))


@pytest.mark.anyio
async def test_what_could_not_be_written_outlasts_a_start_that_is_refused(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        runner = Runner(clock, gate)
        await runner.ask(0)
        await clock.sleep(1.0)
        other = sqlite3.connect(world.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        runner.use(0)
        other.execute("COMMIT")
        other.close()
        with pytest.raises(IdentifyBudgetError):
            gate.reserve(range(1001))
        assert world.uses() == [0.0]
        gate.reserve(range(1))
        assert world.uses() == [1.0]


@pytest.mark.anyio
async def test_a_full_disk_is_waited_for(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        held = Held()
        gate = world.program(on_held=held)
        with gate._database.transaction() as connection:
            connection.execute("CREATE TABLE filler (a)")
            connection.execute(
                "CREATE TRIGGER full AFTER INSERT ON identifies BEGIN INSERT INTO filler VALUES (zeroblob(50000)); END"
            )
        with gate._database.reading() as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        runner = Runner(clock, gate)
        async with anyio.create_task_group() as group:
            group.start_soon(runner.identify, 0)
            await clock.sleep(30.0)
            assert [told.reason.endswith("no room is left on its disk") for told in held.told] == [True]
            with gate._database.reading() as connection:
                connection.execute("PRAGMA max_page_count = 100000")
        assert runner.granted[0] == pytest.approx(30.0, abs=1.1)


@pytest.mark.anyio
async def test_a_file_that_fails_ends_whoever_asks_with_one_line(machine: OpenMachine) -> None:
    async with a_year() as clock:
        gate = machine(clock).program()
        with gate._database.transaction() as connection:
            connection.execute("DROP TABLE buckets")
        runner = Runner(clock, gate)
        await runner.ask(0)
        await runner.ask(1)  # the first has given its turn back
        assert [type(error) for error in runner.failed.values()] == [StoreUnusableError] * 2
        assert str(runner.failed[0]).endswith("no such table: buckets")


@pytest.mark.anyio
async def test_ends_after_the_release_are_heard_without_a_file(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        runner = Runner(clock, gate)
        await runner.ask(0)
        gate.close_file()
        gate.close_file()
        runner.use(0)
        assert world.uses() == [0.0]


def test_a_file_that_cannot_be_used_is_refused_and_let_go(tmp_path: Path) -> None:
    with pytest.raises(StoreUnusableError, match="not a file"):
        SqliteGate(tmp_path, VirtualClock())
    path = tmp_path / "state.db"
    path.write_bytes(b"no database " * 1000)
    with SqliteGate(path, VirtualClock()) as gate:
        assert gate.kept_aside == path.with_name("state.db.corrupt-1")
        assert gate.path == path


@pytest.mark.anyio
async def test_a_store_may_be_in_the_same_file(machine: OpenMachine) -> None:
    async with a_year() as clock:
        world = machine(clock)
        gate = world.program()
        with SqliteStore(world.path, application_id=7, shard_ids=[0], total=1) as store:
            runner = Runner(clock, gate)
            await runner.identify(0)
            store.save({0: session(0, 1, 9)})
            await runner.identify(0)
            assert store.load() == {0: session(0, 1, 9)}
            assert clock.now() == pytest.approx(SPACING, abs=0.01)


def test_a_file_of_another_bot_is_refused_and_not_touched(tmp_path: Path) -> None:
    path, clock = tmp_path / "state.db", VirtualClock()
    with SqliteStore(path, application_id=7, shard_ids=[0], total=1) as store:
        store.save({0: session(0, 1, 9)})
    other = sqlite3.connect(path)
    other.execute("PRAGMA journal_mode = DELETE")  # to open it as ours would change that
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreMismatchError) as refused:
        SqliteGate(path, clock, application_id=8, max_concurrency=3)
    assert str(refused.value) == (f"{path} is the state file of the bot 7, and this one is 8; choose another file")
    assert path.read_bytes() == before
    for application_id in (7, None):
        with SqliteGate(path, clock, application_id=application_id) as gate:
            assert gate.remaining() == 1000


def test_a_new_file_is_the_bots_that_was_named_first(tmp_path: Path) -> None:
    path, clock = tmp_path / "state.db", VirtualClock()
    with SqliteGate(path, clock), SqliteGate(path, clock, application_id=7), SqliteGate(path, clock):
        with pytest.raises(StoreMismatchError):
            SqliteGate(path, clock, application_id=8)
        with pytest.raises(StoreMismatchError):
            SqliteStore(path, application_id=8, shard_ids=[0], total=1)
        with SqliteStore(path, application_id=7, shard_ids=[0], total=1) as store:
            assert store.load() == {}


def test_a_file_that_becomes_another_bots_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, clock = tmp_path / "state.db", VirtualClock()
    connect = Database._connect
    with SqliteGate(path, clock, max_concurrency=2) as first:

        def meanwhile(database: Database) -> None:
            with first._database.transaction() as connection:
                schema.write_meta(connection, application_id=7)
            connect(database)

        monkeypatch.setattr(Database, "_connect", meanwhile)
        with pytest.raises(StoreMismatchError):
            SqliteGate(path, clock, application_id=8, max_concurrency=3)
        with first._database.reading() as connection:
            assert schema.read_meta(connection) == {"application_id": 7, "max_concurrency": 2}


# -- real processes --------------------------------------------------------------------------------------------


def test_programs_share_a_bucket_and_one_is_killed_with_a_permit_in_its_hand(tmp_path: Path) -> None:
    """Three use permits as fast as they get them, a fourth takes one with it; by the wall times that all recorded."""
    path, spacing, lease, count = tmp_path / "state.db", 0.05, 0.5, 12

    def program(index: int, n: int) -> Any:
        return child("gate_process.py", path, index, 4, 1, spacing, lease, n)

    with program(3, 0) as holder, program(0, count) as a, program(1, count) as b, program(2, count) as c:
        held = float(line(holder))
        holder.kill()
        holder.wait(PATIENCE)
        printed = [process.communicate(timeout=PATIENCE)[0].split() for process in (a, b, c)]
        assert [process.returncode for process in (a, b, c)] == [0, 0, 0]
    pairs = [(float(words[i]), float(words[i + 1])) for words in printed for i in range(0, len(words), 2)]
    assert len(pairs) == 3 * count
    granted, used = zip(*sorted(pairs), strict=True)
    times = sorted([held, *used])
    assert all(later - earlier >= spacing for earlier, later in itertools.pairwise(times))
    after = min(at for at in granted if at > held)
    assert lease + spacing - 0.05 <= after - held  # `held` is read a moment after the grant
    assert after - held <= lease + spacing + 5.0, "blocked by a dead program"
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM identifies").fetchone() == (3 * count + 1,)
    connection.close()


def test_programs_share_buckets_that_run_side_by_side(tmp_path: Path) -> None:
    path, spacing, count = tmp_path / "state.db", 0.05, 8
    programs = [child("gate_process.py", path, index, 4, 2, spacing, 0.5, count) for index in range(4)]
    with programs[0] as a, programs[1] as b, programs[2] as c, programs[3] as d:
        printed = [process.communicate(timeout=PATIENCE)[0].split() for process in (a, b, c, d)]
        assert [process.returncode for process in (a, b, c, d)] == [0] * 4
    for bucket in (0, 1):
        used = sorted(float(at) for words in printed[bucket::2] for at in words[1::2])
        assert len(used) == 2 * count
        assert all(later - earlier >= spacing for earlier, later in itertools.pairwise(used))
