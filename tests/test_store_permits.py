"""The book of permits under Hypothesis: any programs, that begin, ask, use, return and die when they like."""

import contextlib
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway_proto.fleet import IdentifyBudgetError
from gateway_transports.stores.database import Database
from gateway_transports.stores.permits import Grant, Later, PermitBook
from tests.gate_helpers import EPOCH

SPACING = 5.25
LEASE = 2.0
BUCKETS = 2


class Program:
    def __init__(self, path: Path, machine: "Machine") -> None:
        self.database = Database(path)
        self.book = PermitBook(self.database, spacing=SPACING, lease=LEASE, wall=lambda: machine.wall)
        self.book.open(BUCKETS)
        self.out: list[Grant] = []


class Machine(RuleBasedStateMachine):
    """`spent` is what may have gone to Discord: uses, and permits that died with their program."""

    @initialize(spent=st.sampled_from([0, 900, 990]))
    def start(self, spent: int) -> None:
        self.exit = contextlib.ExitStack()
        self.path = Path(self.exit.enter_context(tempfile.TemporaryDirectory()), "state.db")
        self.wall = EPOCH
        self.programs = [Program(self.path, self)]
        self.used: dict[int, list[float]] = {bucket: [] for bucket in range(BUCKETS)}
        self.spent = [EPOCH] * spent
        self.reserved: set[int] = set()
        with self.programs[0].database.transaction() as connection:
            connection.executemany("INSERT INTO identifies (at, shard) VALUES (?, 0)", [(at,) for at in self.spent])

    @precondition(lambda self: len(self.programs) < 3)
    @rule()
    def begin(self) -> None:
        self.programs.append(Program(self.path, self))

    @rule(index=st.integers(0, 2), orderly=st.booleans())
    def end(self, index: int, orderly: bool) -> None:
        if index >= len(self.programs):
            return
        program = self.programs.pop(index)
        self.spent += [grant.at for grant in program.out]
        if orderly:
            program.book.close()
        program.database.close()

    @rule(index=st.integers(0, 2), shard_id=st.integers(0, 5))
    def ask(self, index: int, shard_id: int) -> None:
        if index >= len(self.programs) or any(shard_id == grant.shard_id for p in self.programs for grant in p.out):
            return
        program = self.programs[index]
        outcome = program.book.grant(shard_id)
        if isinstance(outcome, Later):
            # Whoever has to wait for its bucket does not wait long.
            assert outcome.reason or 0 < outcome.seconds <= SPACING
            return
        bucket = shard_id % BUCKETS
        assert all(
            grant.shard_id % BUCKETS != bucket or grant.at + LEASE < self.wall for p in self.programs for grant in p.out
        )
        assert all(self.wall >= at + SPACING for at in self.used[bucket])
        program.out.append(outcome)

    @rule(index=st.integers(0, 2), ago=st.floats(0, 0.1), is_used=st.booleans())
    def finish(self, index: int, ago: float, is_used: bool) -> None:
        if index >= len(self.programs) or not self.programs[index].out:
            return
        program = self.programs[index]
        grant = program.out.pop(0)
        if not is_used:
            program.book.end(grant, None)
            return
        at = max(self.wall - ago, grant.at)
        program.book.end(grant, at)
        self.used[grant.shard_id % BUCKETS].append(at)
        self.spent.append(at)

    @rule(index=st.integers(0, 2), count=st.integers(1, 12))
    def reserve(self, index: int, count: int) -> None:
        if index < len(self.programs):
            remaining = self.programs[index].book.remaining()
            with contextlib.suppress(IdentifyBudgetError):
                self.programs[index].book.reserve(range(count))
                assert count <= remaining

    @rule(seconds=st.sampled_from([0.3, 1.9, 2.1, 5.0, 8.0, 3600.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.wall += seconds
        if seconds > LEASE:  # the rule of the gate: a permit is used within its lease, or not at all
            for program in self.programs:
                for grant in program.out:
                    program.book.end(grant, None)
                program.out.clear()

    @precondition(lambda self: self.programs)
    @rule()
    def nobody_is_blocked_beyond_the_window(self) -> None:
        self.wait(LEASE + SPACING + 0.001)
        for bucket in range(BUCKETS):
            outcome = self.programs[0].book.grant(bucket)
            if isinstance(outcome, Grant):
                self.programs[0].book.end(outcome, None)
            else:
                assert outcome.reason

    @invariant()
    def the_ledger_holds_all_that_may_have_been_spent(self) -> None:
        out = sum(len(program.out) for program in self.programs)
        recent = sum(at + 86_400.0 > self.wall for at in self.spent)
        for program in self.programs:
            assert program.book.remaining() == 1000 - recent - out

    @invariant()
    def uses_are_never_closer_than_the_spacing(self) -> None:
        for times in self.used.values():
            assert all(later - earlier >= SPACING for earlier, later in itertools.pairwise(sorted(times)))

    def teardown(self) -> None:
        for program in self.programs:
            program.database.close()
        self.exit.close()


@pytest.mark.failure("F15", "F20")
def test_any_interleaving_of_programs() -> None:
    run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=30))
