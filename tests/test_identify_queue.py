"""Who may IDENTIFY when (F15, F16, F20, F21): the queue is held to a model by a Hypothesis rule machine.

What must hold, whatever is asked, used, returned, withdrawn, in whatever order and however late the driver is:
 1. a bucket has one permit out at most, and gives the next one no sooner than `spacing` after the last use (F20);
 2. within a bucket those who are not held are served in the order in which they asked; buckets know nothing of each
    other (F21); a permit goes to the connection of a shard that asked last, and once;
 3. nobody who could be served waits: not after any input, and not for a driver that calls at `next_timeout()`;
 4. permits that are not out, and tickets that do not wait, change nothing;
 5. re-identifies leave the day's reserve, and what is reserved for a start; a start is reserved whole or not at all;
    permits that are out count as spent; the day's last IDENTIFY is nobody's (F15);
 6. from the third IDENTIFY in a row without 5 stable minutes on, the next waits 1, 2, 4, 8, 15 min (F15);
 7. once closed there is no permit, and everybody is told the cause (F16);
 8. `next_timeout` is pure, never in the past once `handle_timeout` was called, and a call before it does nothing.
"""

import math
from collections import Counter
from itertools import pairwise
from typing import ClassVar, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway_proto import GatewayError, InvalidAuthenticationError, InvalidIntentsError
from gateway_proto.fleet import (
    IdentifyBudgetError,
    IdentifyHeld,
    IdentifyQueue,
    Ledger,
    PermitGranted,
    PermitRefused,
    QueueAction,
)
from gateway_proto.fleet.ledger import DAY
from gateway_proto.fleet.queue import DISCORD_SPACING, LEDGER_STEP, MARGIN

from .fleet_world import EPOCH, Shop, permits
from .test_ledger import COUNTS, Counted, limit

SPACING = DISCORD_SPACING + MARGIN
HOLDS = (60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0)
SHARDS = 10


class Waiting(NamedTuple):
    shard_id: int
    generation: int
    held_until: float


class Totals:
    seen: ClassVar[Counter[str]] = Counter()


class QueueMachine(RuleBasedStateMachine):
    """The model is a list for each bucket, a dict of permits, and `Counted` for the day."""

    @initialize(
        max_concurrency=st.integers(1, 4),
        total=st.sampled_from([7, 12, 40, 1000]),
        spent=st.sampled_from([0, 0, 6, 30]),
        now=st.sampled_from([0.0, 1e6, 12345.678]),
    )
    def begin(self, max_concurrency: int, total: int, spent: int, now: float) -> None:
        self.now, self.started_at, self.wait = now, now, max_concurrency
        self.day = Counted(total)
        for number in range(min(spent, total)):
            self.day.spend(EPOCH - 3600.0 * number)
        self.queue = IdentifyQueue(
            max_concurrency=max_concurrency, ledger=Ledger(self.day.spent, total=total), spacing=SPACING
        )
        self.waiting: list[list[Waiting]] = [[] for _ in range(max_concurrency)]
        self.out: dict[int, Waiting] = {}
        self.last_use = [-math.inf] * max_concurrency
        self.ended: list[int] = []
        self.generations: Counter[int] = Counter()
        self.starting: set[int] = set()
        self.in_a_row: dict[int, list[float]] = {}
        self.has_asked: set[int] = set()
        self.told: dict[int, float] = {}

    @property
    def wall(self) -> float:
        return EPOCH + (self.now - self.started_at)

    # -- the model ---------------------------------------------------------------------------------------------

    def bucket(self, shard_id: int) -> int:
        return shard_id % len(self.waiting)

    def is_out(self, bucket: int) -> bool:
        return any(self.bucket(ticket.shard_id) == bucket for ticket in self.out.values())

    def affordable(self, shard_id: int, ago: float = 0.0) -> bool:
        left = self.day.remaining(self.wall - ago) - len(self.out)
        return left > 1 if shard_id in self.starting else left > max(self.queue.ledger.reserve, 1 + self.announced())

    def announced(self) -> int:
        """Shards of starts that have no permit yet."""
        return len(self.starting - {ticket.shard_id for ticket in self.out.values()})

    def may_be_served(self, ticket: Waiting) -> bool:
        return ticket.held_until <= self.now and self.affordable(ticket.shard_id)

    def must_be_served(self, ticket: Waiting) -> bool:
        """A second's grace for the day's count: wall time and `now` do not round alike."""
        return self.may_be_served(ticket) and self.affordable(ticket.shard_id, LEDGER_STEP)

    def held_until(self, shard_id: int) -> float:
        """As an ask at this moment has it; the first since an IDENTIFY says whether that one was stable."""
        row = self.in_a_row.get(shard_id, [])
        if row and shard_id not in self.has_asked:
            self.has_asked.add(shard_id)
            if self.now - row[-1] >= 300.0:
                row.clear()
        return row[-1] + HOLDS[min(len(row) - 3, 6)] if len(row) >= 3 else self.now

    def do(self, actions: list[QueueAction]) -> None:
        """Judge what the queue said, one by one; then nobody may be left who could have been served."""
        for action in actions:
            repr(action)
            if isinstance(action, PermitGranted):
                self.granted(action)
            else:
                assert isinstance(action, IdentifyHeld), "nothing was closed"
                self.held(action)
        self.nobody_stalls()

    def nobody_stalls(self) -> None:
        for bucket, waiting in enumerate(self.waiting):
            if not self.is_out(bucket) and self.now >= self.last_use[bucket] + SPACING:
                assert not any(map(self.must_be_served, waiting)), f"bucket {bucket} stalls"

    def granted(self, grant: PermitGranted) -> None:
        bucket = self.bucket(grant.shard_id)
        assert not self.is_out(bucket), "two permits of a bucket are out"
        assert self.now >= self.last_use[bucket] + SPACING, "sooner than `spacing` after the last use"
        waiting = self.waiting[bucket]
        [place] = [place for place, ticket in enumerate(waiting) if ticket.shard_id == grant.shard_id]
        assert waiting[place].generation == grant.generation, "the permit is for a connection that is gone"
        assert self.may_be_served(waiting[place]), "it should be held"
        assert not any(map(self.must_be_served, waiting[:place])), "somebody who asked earlier could have been served"
        assert grant.permit_id not in self.out
        assert grant.permit_id not in self.ended
        self.out[grant.permit_id] = waiting.pop(place)
        assert self.day.remaining(self.wall) - len(self.out) >= 1, "the day's last one"
        self.told.pop(grant.shard_id, None)
        Totals.seen["granted"] += 1

    def held(self, held: IdentifyHeld) -> None:
        """It is the day's count: churn is told by `ask` alone."""
        [ticket] = [t for t in self.waiting[self.bucket(held.shard_id)] if t.shard_id == held.shard_id]
        assert ticket.held_until <= self.now
        assert not self.affordable(held.shard_id), "nothing holds it"
        assert "left today" in held.reason
        assert held.until > self.now
        assert self.now >= self.told.get(held.shard_id, -math.inf), "told again, though nothing has changed"
        self.told[held.shard_id] = held.until
        Totals.seen["held for the day's end"] += 1

    # -- what shards do ----------------------------------------------------------------------------------------

    @rule(shard_id=st.integers(0, SHARDS - 1), again=st.booleans())
    def ask(self, shard_id: int, again: bool) -> None:
        self.generations[shard_id] += not again
        waiting = self.waiting[self.bucket(shard_id)]
        waiting[:] = [ticket for ticket in waiting if ticket.shard_id != shard_id]
        self.told.pop(shard_id, None)
        ticket = Waiting(shard_id, self.generations[shard_id], self.held_until(shard_id))
        turn = self.now + self.queue.turn_in(shard_id, self.now)
        waiting.append(ticket)
        actions = self.queue.ask(shard_id, self.generations[shard_id], self.now, self.wall)
        if ticket.held_until > turn:
            held = actions.pop(0)
            assert isinstance(held, IdentifyHeld)
            assert (held.shard_id, held.until) == (shard_id, ticket.held_until)
            assert "in a row" in held.reason
            Totals.seen["held for its churn"] += 1
        self.do(actions)

    @rule(shard_id=st.integers(0, SHARDS - 1), older=st.integers(0, 1))
    def connection_dies(self, shard_id: int, older: int) -> None:
        """Of one that waits, or of one that does not."""
        generation = self.generations[shard_id] - older
        waiting = self.waiting[self.bucket(shard_id)]
        before = len(waiting)
        waiting[:] = [t for t in waiting if (t.shard_id, t.generation) != (shard_id, generation)]
        if len(waiting) < before:
            self.told.pop(shard_id, None)
        self.do(self.queue.withdrawn(shard_id, generation, self.now, self.wall))

    @rule(which=st.integers(0, 99), ago=st.sampled_from([0.0, 0.0, 0.2]))
    def permit_is_used(self, which: int, ago: float) -> None:
        if not self.out:
            return
        permit_id = sorted(self.out)[which % len(self.out)]
        ticket = self.out.pop(permit_id)
        self.ended.append(permit_id)
        shard_id, at = ticket.shard_id, self.now - ago
        self.last_use[self.bucket(shard_id)] = max(at, self.last_use[self.bucket(shard_id)])
        self.day.spend(self.wall)
        self.starting.discard(shard_id)
        self.in_a_row.setdefault(shard_id, []).append(at)
        self.has_asked.discard(shard_id)
        Totals.seen["used"] += 1
        self.do(self.queue.used(permit_id, at, self.now, self.wall))

    @rule(
        shard_id=st.integers(0, SHARDS - 1), times=st.integers(2, 9), wait=st.sampled_from([6.0, 61.0, 299.0, 1000.0])
    )
    def shard_churns(self, shard_id: int, times: int, wait: float) -> None:
        """It identifies and loses its session at once, again and again, or waits for its turn."""
        for _ in range(times):
            if not any(ticket.shard_id == shard_id for ticket in self.waiting[self.bucket(shard_id)]):
                self.ask(shard_id, False)
            while self.is_out(self.bucket(shard_id)):
                [permit_id] = [id for id, t in self.out.items() if self.bucket(t.shard_id) == self.bucket(shard_id)]
                self.permit_is_used(sorted(self.out).index(permit_id), 0.0)
            self.time_passes(wait)

    @rule(which=st.integers(0, 99))
    def permit_is_returned(self, which: int) -> None:
        if self.out:
            permit_id = sorted(self.out)[which % len(self.out)]
            del self.out[permit_id]
            self.ended.append(permit_id)
            Totals.seen["returned"] += 1
            self.do(self.queue.returned(permit_id, self.now, self.wall))

    @rule(which=st.integers(0, 99), used=st.booleans())
    def permit_that_is_not_out(self, which: int, used: bool) -> None:
        permit_id = ([*self.ended, -1, 0, 10**9])[which % (len(self.ended) + 3)]
        before = self.queue.ledger.spent
        if used:
            self.do(self.queue.used(permit_id, self.now, self.now, self.wall))
        else:
            self.do(self.queue.returned(permit_id, self.now, self.wall))
        assert self.queue.ledger.spent == before

    @rule(first=st.integers(0, SHARDS - 1), count=st.integers(0, SHARDS))
    def start_is_reserved(self, first: int, count: int) -> None:
        shard_ids = range(first, min(first + count, SHARDS))
        wanted = self.starting | set(shard_ids)
        left = max(self.day.remaining(self.wall) - len(self.out), 0)
        needed = len(wanted - {ticket.shard_id for ticket in self.out.values()})
        if needed < left or needed == 0 or not shard_ids:
            self.queue.reserve(shard_ids, self.wall)
            self.starting = wanted
        else:
            with pytest.raises(IdentifyBudgetError) as refused:
                self.queue.reserve(shard_ids, self.wall)
            error = refused.value
            assert (error.needed, error.remaining) == (needed, left)
            assert error.wall > self.wall
            assert error.wait == error.wall - self.wall
            Totals.seen["start refused"] += 1
        self.do(self.queue.handle_timeout(self.now, self.wall))

    @rule(shard_ids=st.sets(st.integers(0, SHARDS - 1)))
    def start_is_called_off(self, shard_ids: set[int]) -> None:
        self.starting -= shard_ids
        self.queue.release(shard_ids)
        self.do(self.queue.handle_timeout(self.now, self.wall))

    @rule(remaining=st.integers(0, 40), reset_after=st.sampled_from([0.0, 60.0, 7200.0]))
    def discord_says(self, remaining: int, reset_after: float) -> None:
        total = self.day.total
        self.day.report(remaining, self.wall, self.wall + reset_after, total)
        self.do(self.queue.reported(limit(remaining, reset_after, total), self.now, self.wall))

    # -- time --------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 1.0, SPACING, 6.0, 61.0, 299.0, 301.0, 1000.0, 20_000.0, DAY]))
    def time_passes(self, seconds: float) -> None:
        """The driver calls when it should."""
        end = self.now + seconds
        calls = 0
        while (due := self.queue.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.tick()
            calls += 1
            assert calls < 2000, "no end of it"
        self.now = end
        self.nobody_stalls()

    def tick(self) -> None:
        due = self.queue.next_timeout()
        assert due is not None
        actions = self.queue.handle_timeout(self.now, self.wall)
        self.do(actions)
        after = self.queue.next_timeout()
        assert after is None or after > self.now, "due in the past"
        assert actions or after is None or after > due, "no progress"

    @rule(seconds=st.sampled_from([0.0, 3.0, 7.0, 700.0]))
    def driver_sleeps(self, seconds: float) -> None:
        """The next input comes with nobody having looked at the clock."""
        self.now += seconds

    @rule(times=st.integers(1, 3))
    def clock_stands_still(self, times: int) -> None:
        self.do(self.queue.handle_timeout(self.now, self.wall))
        for _ in range(times):
            assert self.queue.handle_timeout(self.now, self.wall) == []

    @rule(share=st.sampled_from([0.0, 0.5, 0.999]))
    def called_too_early(self, share: float) -> None:
        due = self.queue.next_timeout()
        if due is None or due <= self.now:
            return
        # What depends on the day's count may be free up to a second before it is due.
        self.now = min(self.now + share * (due - self.now), max(self.now, due - 1.0))
        assert self.queue.handle_timeout(self.now, self.wall) == []
        assert self.queue.next_timeout() == due

    # -- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def getters_are_pure(self) -> None:
        before = self.queue.next_timeout(), self.queue.waiting, self.queue.ledger.spent
        for shard_id in range(SHARDS):
            assert self.queue.turn_in(shard_id, self.now) >= 0.0
        assert (self.queue.next_timeout(), self.queue.waiting, self.queue.ledger.spent) == before
        assert before[0] is None or math.isfinite(before[0])
        assert before[1] == sum(map(len, self.waiting))
        assert self.queue.ledger.remaining(self.wall) == self.day.remaining(self.wall)

    @invariant()
    def somebody_waits_for_the_time_or_for_a_permit(self) -> None:
        free = [bucket for bucket, waiting in enumerate(self.waiting) if waiting and not self.is_out(bucket)]
        due = self.queue.next_timeout()
        if not free:
            assert due is None
        elif due is None:
            # Nothing that the time brings helps: the day's whole number is too small.
            assert max(self.queue.ledger.reserve, 1 + self.announced()) + 1 > self.day.total

    def teardown(self) -> None:
        if not hasattr(self, "queue"):
            return
        for _ in range(400):
            for permit_id in tuple(self.out):
                self.permit_is_used(sorted(self.out).index(permit_id), 0.0)
            due = self.queue.next_timeout()
            if due is None:
                break
            self.now = max(self.now, due)
            self.tick()
        self.somebody_waits_for_the_time_or_for_a_permit()
        everybody = {(t.shard_id, t.generation) for waiting in self.waiting for t in waiting}
        assert not everybody or self.queue.next_timeout() is None, "they are never served"
        self.close(everybody)

    def close(self, everybody: set[tuple[int, int]]) -> None:
        cause, later = InvalidAuthenticationError(4004), InvalidIntentsError(4013)
        refused = self.queue.closed(cause)
        assert all(isinstance(action, PermitRefused) and action.cause == cause for action in refused)
        assert {(action.shard_id, getattr(action, "generation", None)) for action in refused} == everybody
        assert len(refused) == len(everybody)
        assert self.queue.closed(later) == []
        assert self.queue.ask(3, 99, self.now, self.wall) == [PermitRefused(shard_id=3, generation=99, cause=cause)]
        assert (self.queue.waiting, self.queue.next_timeout()) == (0, None)
        assert self.queue.handle_timeout(self.now + DAY, self.wall + DAY) == []


@pytest.mark.failure("F15", "F20", "F21")
def test_queue_against_its_model() -> None:
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=250,
            stateful_step_count=50,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    wanted = {"granted", "used", "returned", "held for its churn", "held for the day's end", "start refused"}
    assert wanted <= set(Totals.seen), f"never happened: {wanted - set(Totals.seen)}"
    assert Totals.seen["granted"] >= 500


# -- one by one ----------------------------------------------------------------------------------------------------


@pytest.mark.failure("F20")
def test_the_spacing_runs_from_the_use_and_one_permit_is_out_at_a_time() -> None:
    shop = Shop()
    assert permits(shop.ask(0)) == [(0, 1)]
    assert shop.ask(1) == []
    assert shop.tick(100.0) == []
    assert shop.queue.next_timeout() is None  # somebody else has to move
    assert shop.use(1) == []
    assert shop.queue.next_timeout() == 105.25
    assert shop.tick(105.249) == []
    assert permits(shop.tick(105.25)) == [(1, 2)]


@pytest.mark.failure("F20")
def test_a_permit_that_comes_back_goes_to_the_next_at_once() -> None:
    shop = Shop()
    shop.ask(0)
    shop.ask(1)
    assert permits(shop.give_back(1)) == [(1, 2)]
    assert not shop.queue.ledger.spent
    # And what is ended, or never was, gives nothing away.
    shop.ask(2)
    for permit_id in (1, 1, 0, -1, 77):
        assert shop.use(permit_id) == shop.give_back(permit_id) == []
    assert not shop.queue.ledger.spent
    assert shop.use(2) == []
    assert list(shop.queue.ledger.spent) == [EPOCH]


@pytest.mark.failure("F20")
def test_a_permit_dies_with_the_connection_that_asked() -> None:
    shop = Shop()
    shop.ask(0, 1)
    shop.ask(1, 1)
    shop.ask(2, 1)
    shop.queue.withdrawn(1, 1, shop.now, shop.wall)
    shop.ask(1, 2)
    # The connection that had the permit is gone, too: a new one asks, and the permit comes back.
    shop.ask(0, 2)
    [granted] = shop.give_back(1)
    assert granted == PermitGranted(shard_id=2, generation=1, permit_id=2)
    assert shop.queue.withdrawn(2, 1, shop.now, shop.wall) == []  # it has a permit: that one is returned
    assert [(p.shard_id, p.generation) for p in shop.give_back(2) if isinstance(p, PermitGranted)] == [(1, 2)]
    assert shop.queue.withdrawn(0, 1, shop.now, shop.wall) == []  # an older connection's
    assert [(p.shard_id, p.generation) for p in shop.give_back(3) if isinstance(p, PermitGranted)] == [(0, 2)]


@pytest.mark.failure("F21")
def test_buckets_run_side_by_side() -> None:
    shop = Shop(max_concurrency=16)
    assert [id for shard in range(16) for id, _ in permits(shop.ask(shard))] == list(range(16))
    for shard in range(16, 64):
        assert shop.ask(shard) == []
    for permit_id in range(1, 16):  # the last one keeps its permit
        shop.use(permit_id)
    assert [id for id, _ in permits(shop.tick(5.25))] == list(range(16, 31))
    assert shop.queue.next_timeout() is None
    shop.use(16)
    assert [id for id, _ in permits(shop.tick(10.5))] == [31]


@pytest.mark.failure("F21")
@given(st.integers(1, 5), st.lists(st.integers(0, 19), max_size=20, unique=True), st.integers(0, 19))
def test_turn_in_is_when_it_is_served(max_concurrency: int, before: list[int], shard_id: int) -> None:
    shop = Shop(max_concurrency=max_concurrency)
    # Each permit is used as soon as it is there.
    for other in before:
        for _, permit_id in permits(shop.ask(other)):
            shop.use(permit_id)
    turn = shop.queue.turn_in(shard_id, shop.now)
    served = permits(shop.ask(shard_id))
    while shard_id not in [id for id, _ in served]:
        for _, permit_id in served:
            shop.use(permit_id)
        due = shop.queue.next_timeout()
        assert due is not None
        served = permits(shop.tick(due))
    assert shop.now == pytest.approx(turn)


# -- F15: the day ----------------------------------------------------------------------------------------------------


@pytest.mark.failure("F15")
def test_a_start_is_reserved_whole_or_not_at_all() -> None:
    shop = Shop(ledger=Ledger([EPOCH - 10.0] * 89, total=100))
    with pytest.raises(IdentifyBudgetError) as refused:
        shop.queue.reserve(range(11), shop.wall)
    assert (refused.value.needed, refused.value.remaining) == (11, 11)
    assert refused.value.wall == EPOCH - 10.0 + COUNTS
    assert refused.value.wait == COUNTS - 10.0
    shop.queue.reserve(range(4), shop.wall)
    shop.queue.reserve(range(2, 8), shop.wall)  # eight in all
    with pytest.raises(IdentifyBudgetError):
        shop.queue.reserve(range(20, 23), shop.wall)
    shop.queue.reserve(range(20, 22), shop.wall)
    # The day's last ten but one are for these ten.
    for shard_id in (*range(8), 20, 21):
        shop.identify(shard_id)
        assert shop.now < 60.0
    assert shop.queue.ledger.remaining(shop.wall) == 1
    with pytest.raises(IdentifyBudgetError):
        shop.queue.reserve([50], shop.wall)
    shop.queue.reserve([], shop.wall)  # all of it can be resumed


@pytest.mark.failure("F15")
def test_a_day_of_one_is_never_spent() -> None:
    shop = Shop(ledger=Ledger(total=1))
    with pytest.raises(IdentifyBudgetError, match="it needs more than a day has") as refused:
        shop.queue.reserve([0], shop.wall)
    assert refused.value.wait == math.inf
    [held] = shop.ask(0)
    assert isinstance(held, IdentifyHeld)
    assert held.until == math.inf
    # With one more there is one a day, and then the next start says when.
    shop = Shop(ledger=Ledger(total=2))
    shop.queue.reserve([0], shop.wall)
    assert shop.identify(0) == 0.0
    with pytest.raises(IdentifyBudgetError) as refused:
        shop.queue.reserve([0], shop.wall)
    assert refused.value.wait == COUNTS
    shop.tick(COUNTS)
    shop.queue.reserve([0], shop.wall)


@pytest.mark.failure("F15")
def test_a_start_that_the_day_runs_out_under_waits_before_the_last_one() -> None:
    """Somebody else spends as well: Discord says so when half of the start is done."""
    shop = Shop(ledger=Ledger(total=100))
    shop.queue.reserve(range(6), shop.wall)
    for shard_id in range(3):
        shop.identify(shard_id)
    shop.tick(60.0)
    shop.queue.reported(limit(2, 7200.0, 100), shop.now, shop.wall)
    assert permits(shop.ask(3)) == [(3, 4)]
    assert shop.use(4) == []
    shop.queue.reserve([], shop.wall)  # a start of none needs none, whatever is short for others
    shop.tick(100.0)
    [held] = shop.ask(4)
    assert isinstance(held, IdentifyHeld)
    assert (held.until, held.reason) == (60.0 + 7200.0, "only 1 IDENTIFY is left today")
    assert shop.until_served().shard_id == 4
    assert shop.now == pytest.approx(60.0 + 7200.0)


@pytest.mark.failure("F15")
def test_reidentifies_leave_the_reserve_and_go_on_when_there_is_more() -> None:
    shop = Shop(ledger=Ledger([EPOCH - 100.0] * 40, total=100))
    shop.queue.reserve([0], shop.wall)
    for shard_id in range(1, 56):
        shop.identify(shard_id)
    assert shop.queue.ledger.remaining(shop.wall) == 5
    shop.tick(shop.now + 6.0)
    [held] = shop.ask(99)
    assert isinstance(held, IdentifyHeld)
    assert "only 5 IDENTIFYs are left today" in held.reason
    assert EPOCH + held.until == EPOCH - 100.0 + COUNTS
    # It does not stand in the way of one that starts.
    assert permits(shop.ask(0)) == [(0, 56)]
    shop.use(56)
    shop.until_served()
    assert EPOCH + shop.now == pytest.approx(EPOCH - 100.0 + COUNTS)


@pytest.mark.failure("F15")
def test_permits_that_are_out_count_as_spent() -> None:
    shop = Shop(max_concurrency=8, ledger=Ledger([EPOCH] * 92, total=100))
    # Three above the reserve of 5: three of the eight buckets may give, however far apart ask and use are.
    assert [shard for shard in range(8) if permits(shop.ask(shard))] == [0, 1, 2]
    assert permits(shop.give_back(2)) == [(3, 4)]
    for permit_id in (1, 3, 4):
        shop.use(permit_id)
    assert shop.queue.ledger.remaining(shop.wall) == 5
    shop.tick(1000.0)
    assert shop.queue.ledger.remaining(shop.wall) == 5
    # Nor are they a start's.
    shop = Shop(max_concurrency=4, ledger=Ledger([EPOCH] * 90, total=100))
    assert permits(shop.ask(1))
    with pytest.raises(IdentifyBudgetError):
        shop.queue.reserve(range(100, 109), shop.wall)
    shop.queue.reserve(range(100, 108), shop.wall)


@pytest.mark.failure("F15")
def test_reidentifies_do_not_take_what_is_reserved_for_a_start() -> None:
    shop = Shop(max_concurrency=2, ledger=Ledger([EPOCH] * 60, total=100))
    shop.queue.reserve(range(0, 78, 2), shop.wall)  # all but one of the 40 that are left
    assert not permits(shop.ask(1))
    for shard_id in range(0, 78, 2):
        shop.identify(shard_id)
        assert shop.now < 210.0
    assert shop.queue.ledger.remaining(shop.wall) == 1


@pytest.mark.failure("F15")
def test_why_it_is_held_is_told_once_and_stays_true() -> None:
    shop = Shop(ledger=Ledger([EPOCH] * 95, total=100))
    [held] = shop.ask(1)
    assert isinstance(held, IdentifyHeld)
    # Whatever happens meanwhile is no news for it.
    assert shop.give_back(77) == shop.tick(10.0) == []
    assert shop.queue.reported(limit(5, 60.0, 100), shop.now, shop.wall) == []
    assert shop.queue.withdrawn(5, 1, shop.now, shop.wall) == []


@pytest.mark.failure("F15")
def test_what_discord_says_frees_who_waits_for_the_day() -> None:
    shop = Shop(ledger=Ledger(total=100))
    shop.queue.reported(limit(5, 7200.0, 100), shop.now, shop.wall)
    assert not permits(shop.ask(1))
    assert permits(shop.queue.reported(limit(50, 7200.0, 100), shop.now, shop.wall)) == [(1, 1)]


@pytest.mark.failure("F15")
def test_a_day_that_is_too_small_for_any_reidentify_is_no_alarm() -> None:
    shop = Shop(ledger=Ledger(total=5))
    [held] = shop.ask(1)
    assert isinstance(held, IdentifyHeld)
    assert held.until == math.inf
    assert shop.queue.next_timeout() is None
    shop.queue.reserve([1], shop.wall)
    assert permits(shop.tick(shop.now)) == [(1, 1)]


@pytest.mark.failure("F15")
def test_who_waits_for_a_start_to_be_over_is_not_forgotten() -> None:
    """What is reserved is the whole day: as long as nobody has identified there is no time at which more is left."""
    shop = Shop(max_concurrency=2, ledger=Ledger(total=8))
    shop.queue.reserve(range(0, 14, 2), shop.wall)
    [held] = shop.ask(1)
    assert isinstance(held, IdentifyHeld)
    assert held.until == math.inf
    for shard_id in range(0, 14, 2):
        shop.identify(shard_id)
    assert shop.until_served().shard_id == 1
    assert shop.now > DAY


# -- F15: churn ------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F15")
def test_a_shard_that_identifies_again_and_again_waits_up_to_15_minutes() -> None:
    shop = Shop()
    times = [shop.identify(7) for _ in range(10)]
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert waits == [5.25, 5.25, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0]


@pytest.mark.failure("F15")
def test_five_stable_minutes_forgive() -> None:
    shop = Shop()
    for _ in range(6):
        shop.identify(7)
    used_at = shop.now
    shop.tick(used_at + 299.9)
    shop.identify(7)
    assert shop.now == used_at + 480.0
    shop.tick(shop.now + 300.0)
    start = shop.now
    times = [shop.identify(7) - start for _ in range(4)]
    assert times == [0.0, 5.25, 10.5, 70.5]


@pytest.mark.failure("F15")
def test_to_wait_is_not_to_be_stable() -> None:
    """The connection of a shard that is held dies again and again: what it asks then is no news of its session."""
    shop = Shop()
    for _ in range(6):
        shop.identify(7)
    used_at = shop.now
    for wait in (10.0, 200.0, 301.0, 450.0):
        shop.now = used_at + wait
        [held] = shop.ask(7)
        assert isinstance(held, IdentifyHeld)
        assert (held.until, "in a row" in held.reason) == (used_at + 480.0, True)
    # Nor does Discord's answer say anything of it.
    assert shop.queue.reported(limit(900, 60.0, 1000), shop.now, shop.wall) == []
    shop.until_served()
    assert shop.now == used_at + 480.0


@pytest.mark.failure("F15", "F21")
def test_who_is_held_holds_up_nobody() -> None:
    shop = Shop()
    for _ in range(3):
        shop.identify(7)
    shop.tick(shop.now + 6.0)
    shop.ask(7)
    start = shop.now
    assert [shop.identify(shard) - start for shard in (1, 2, 3)] == [0.0, 5.25, 10.5]
    assert shop.until_served().shard_id == 7


# -- F16 -------------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F16")
def test_closed_means_that_everybody_ends_with_the_cause() -> None:
    cause: GatewayError = InvalidAuthenticationError(4004)
    shop = Shop(max_concurrency=2)
    for shard_id in range(6):
        shop.ask(shard_id, 1)
    refused = shop.queue.closed(cause)
    assert refused == [PermitRefused(shard_id=id, generation=1, cause=cause) for id in (2, 4, 3, 5)]
    assert shop.ask(9, 3) == [PermitRefused(shard_id=9, generation=3, cause=cause)]
    assert shop.use(1) == shop.give_back(2) == shop.tick(1e6) == []
    assert shop.queue.next_timeout() is None
    assert shop.queue.closed(InvalidIntentsError(4013)) == []
    assert shop.ask(9, 4) == [PermitRefused(shard_id=9, generation=4, cause=cause)]
