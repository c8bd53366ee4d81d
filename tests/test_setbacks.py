"""When a session is given up: unanswered RESUMEs, broken streams at one sequence (F06, F27, F29)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.setbacks import Setbacks


def resumed(*times: float) -> Setbacks:
    setbacks = Setbacks()
    for at in times:
        setbacks.resume_written(at)
    return setbacks


@pytest.mark.failure("F06")
@pytest.mark.parametrize(
    ("times", "now", "bricked"),
    [
        ((), 1e9, False),
        ((0, 1, 2, 3, 4), 179.9, False),
        ((0, 1, 2, 3, 4), 180.0, True),
        ((0, 60, 120, 180), 1e9, False),
        ((0, 60, 120, 180, 240), 240.0, True),
        ((1000, 1001, 1002, 1003, 1004), 1179.9, False),
        ((1000, 1001, 1002, 1003, 1004), 1180.0, True),
    ],
)
def test_five_resumes_and_three_minutes_both(times: tuple[float, ...], now: float, bricked: bool) -> None:
    setbacks = resumed(*times)
    assert setbacks.resumes == len(times)
    assert setbacks.is_bricked(now) is bricked


@pytest.mark.failure("F06")
def test_one_dispatch_starts_the_count_and_the_clock_anew() -> None:
    setbacks = resumed(0, 50, 100, 150, 200)
    assert setbacks.is_bricked(200.0)
    setbacks.dispatch_received()
    assert not setbacks.is_bricked(1e9)
    for at in (300, 310, 320, 330, 340):
        setbacks.resume_written(at)
    assert not setbacks.is_bricked(479.0)
    assert setbacks.is_bricked(480.0)


@pytest.mark.failure("F06", "F27", "F29")
def test_a_new_session_has_a_clean_record() -> None:
    setbacks = resumed(0, 50, 100, 150, 200)
    setbacks.broken_stream(7)
    setbacks.broken_stream(7)
    setbacks.too_large(7)
    setbacks.forget()
    assert not setbacks.is_bricked(1e9)
    assert setbacks.resumes == 0
    assert not setbacks.too_large(7)
    assert not setbacks.broken_stream(7)
    assert not setbacks.broken_stream(7)


@pytest.mark.failure("F27")
def test_three_broken_streams_at_one_sequence() -> None:
    setbacks = Setbacks()
    assert [setbacks.broken_stream(7) for _ in range(4)] == [False, False, True, True]


@pytest.mark.failure("F27")
def test_progress_between_broken_streams_clears_the_record() -> None:
    setbacks = Setbacks()
    assert [setbacks.broken_stream(at) for at in (7, 7, 8, 8, 9, 7, 7, 7)] == [False] * 7 + [True]


@pytest.mark.failure("F29")
def test_too_large_twice_at_one_sequence() -> None:
    setbacks = Setbacks()
    assert [setbacks.too_large(at) for at in (0, 1, 2, 2)] == [False, False, False, True]


@pytest.mark.failure("F27", "F29")
def test_the_two_are_counted_apart() -> None:
    setbacks = Setbacks()
    assert not setbacks.broken_stream(7)
    assert not setbacks.too_large(7)
    assert not setbacks.broken_stream(7)
    assert setbacks.too_large(7)
    assert setbacks.broken_stream(7)


@pytest.mark.failure("F06")
@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=40))
def test_bricked_means_what_the_row_says(steps: list[tuple[float, bool]]) -> None:
    setbacks, now = Setbacks(), 0.0
    unanswered: list[float] = []
    for wait, answered in steps:
        now += wait
        assert setbacks.is_bricked(now) == (len(unanswered) >= 5 and now - unanswered[0] >= 180.0)
        if answered:
            setbacks.dispatch_received()
            unanswered.clear()
        else:
            setbacks.resume_written(now)
            unanswered.append(now)
