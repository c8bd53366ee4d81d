"""The rolling log: never more than the limit in any period; what is kept free for heartbeats (F10, F11)."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.ratelimit import PRESENCE_LIMIT, PRESENCE_PERIOD, SEND_LIMIT, SEND_PERIOD, SendBudget, Window

WAITS = st.lists(st.sampled_from([0.0, 0.001, 0.5, 1.0, 9.999, 10.0, 60.0]) | st.floats(0, 30), max_size=150)
INTERVALS = (5.0, 7.0, 20.0, 29.9, 30.0, 41.25, 59.0, 60.0, 61.0, 600.0)


def most_within(times: list[float], period: float) -> int:
    """The most charges in any half-open period."""
    return max((sum(start <= at < start + period for at in times) for start in times), default=0)


def test_discords_numbers() -> None:
    assert (SEND_LIMIT, SEND_PERIOD) == (120, 60.0)
    assert (PRESENCE_LIMIT, PRESENCE_PERIOD) == (5, 20.0)


@pytest.mark.failure("F11")
@given(WAITS, st.integers(1, 6), st.integers(0, 3))
def test_never_more_than_the_limit_in_any_period(waits: list[float], limit: int, keep: int) -> None:
    window, now = Window(limit, 10.0), 0.0
    charged: list[float] = []
    keep = min(keep, limit - 1)
    for wait in waits:
        now += wait
        free = window.free_at(keep)
        allowed = window.allows(now, keep)
        assert allowed == (free is None or free <= now)
        # Exactly as many as the row says, and not fewer: whoever may go is not held up.
        recent = sum(now < at + 10.0 for at in charged)
        assert allowed == (recent < limit - keep)
        if allowed:
            window.charge(now)
            charged.append(now)
    assert most_within(charged, 10.0) <= limit - keep


@pytest.mark.failure("F11")
def test_two_bursts_do_not_touch() -> None:
    window = Window(3, 10.0)
    assert window.free_at() is None
    for at in (8.0, 9.0, 9.5):
        assert window.allows(at)
        window.charge(at)
    assert not window.allows(10.0)  # a window that starts anew at 10 would say yes
    assert window.free_at() == 18.0
    assert not window.allows(17.999)
    assert window.allows(18.0)
    window.charge(18.0)
    assert window.free_at() == 19.0


def test_what_is_charged_beyond_the_limit_is_remembered_too() -> None:
    window = Window(2, 10.0)
    for at in (1.0, 2.0, 3.0):
        window.charge(at)
    assert window.free_at() == 12.0
    assert window.free_at(keep=1) == 13.0


def spend(budget: SendBudget, allows: Callable[[float], bool], now: float) -> int:
    count = 0
    while allows(now):
        budget.charge(now)
        count += 1
        assert count <= SEND_LIMIT
    return count


@pytest.mark.failure("F10")
@pytest.mark.parametrize("interval", INTERVALS)
def test_room_is_kept_for_the_beats_and_two_more(interval: float) -> None:
    budget, beats = SendBudget(), math.ceil(60 / interval)
    budget.set_interval(interval)
    assert spend(budget, budget.allows_command, 0.0) == 120 - beats - 2
    assert spend(budget, budget.allows_answer, 0.0) == 2
    assert spend(budget, budget.allows_protocol, 0.0) == beats
    assert (budget.command_free_at(), budget.answer_free_at(), budget.protocol_free_at()) == (61.0, 60.0, 60.0)


@pytest.mark.failure("F10")
def test_each_class_is_told_when_it_may_go() -> None:
    budget = SendBudget()
    budget.set_interval(30.0)
    assert budget.command_free_at() is budget.answer_free_at() is budget.protocol_free_at() is None
    for second in range(120):
        budget.charge(second / 100)
    assert budget.protocol_free_at() == 60.0
    assert budget.answer_free_at() == 60.02
    # A second more: two bursts must not touch on their way.
    assert budget.command_free_at() == 61.04
    assert (budget.allows_protocol(60.0), budget.allows_answer(60.0), budget.allows_command(60.0)) == (
        True,
        False,
        False,
    )
    assert budget.allows_answer(60.02)
    assert not budget.allows_command(61.03)
    assert budget.allows_command(61.04)


@pytest.mark.failure("F10", "F11")
@given(
    st.lists(st.tuples(st.floats(0, 5), st.sampled_from(["command", "answer"])), max_size=250),
    st.sampled_from(INTERVALS),
    st.floats(0, 1),
)
def test_a_scheduled_beat_always_finds_room(steps: list[tuple[float, str]], interval: float, phase: float) -> None:
    budget, now, beat = SendBudget(), 0.0, interval * phase
    budget.set_interval(interval)
    charged: list[float] = []
    for wait, wish in steps:
        now += wait
        while beat <= now:
            assert budget.allows_protocol(beat)
            budget.charge(beat)
            charged.append(beat)
            beat += interval
        allows = budget.allows_command if wish == "command" else budget.allows_answer
        # A burst: as many as may go.
        for _ in range(40):
            if allows(now):
                budget.charge(now)
                charged.append(now)
    assert most_within(charged, 60.0) <= 120
