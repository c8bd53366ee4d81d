"""Full jitter over a bound that doubles (F23)."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.backoff import Backoff

pytestmark = pytest.mark.failure("F23")


class Extreme(random.Random):
    """Draws one end of every range, and remembers the ranges."""

    def __init__(self, share: float) -> None:
        super().__init__(0)
        self.share = share
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, a: float, b: float) -> float:
        self.ranges.append((a, b))
        return a + (b - a) * self.share


def test_the_bound_doubles_from_one_second_to_sixty_and_the_jitter_is_full() -> None:
    rng = Extreme(1.0)
    backoff = Backoff(rng)
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert rng.ranges == [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (0, 32), (0, 60), (0, 60), (0, 60)]
    assert backoff.failures == 9
    lowest = Backoff(Extreme(0.0))
    assert [lowest.next() for _ in range(9)] == [0.0] * 9


def test_forgiven_it_starts_anew() -> None:
    backoff = Backoff(Extreme(1.0))
    for _ in range(5):
        backoff.next()
    backoff.forgive()
    assert backoff.failures == 0
    assert backoff.next() == 1.0


def test_only_the_first_in_a_row_is_free() -> None:
    backoff = Backoff(Extreme(1.0))
    assert [backoff.next(free=True) for _ in range(3)] == [0.0, 2.0, 4.0]
    backoff.forgive()
    assert backoff.next(free=True) == 0.0
    backoff.forgive()
    assert backoff.next() == 1.0
    assert backoff.next(free=True) == 2.0  # another failure went before


def test_a_floor_and_what_the_peer_asks_for_lengthen_and_never_shorten() -> None:
    backoff = Backoff(Extreme(1.0))
    assert backoff.next(free=True, floor=3.0) == 3.0
    assert backoff.next(floor=1.0) == 2.0
    assert backoff.next(retry_after=30.0) == 30.0
    assert backoff.next(retry_after=1.0) == 8.0
    assert backoff.next(floor=20.0, retry_after=18.0) == 20.0


@pytest.mark.parametrize(("asked", "waits"), [(3599.0, 3599.0), (3600.0, 3600.0), (3601.0, 3600.0), (1e9, 3600.0)])
def test_retry_after_is_honoured_up_to_an_hour(asked: float, waits: float) -> None:
    assert Backoff(random.Random(1)).next(retry_after=asked) == waits


@given(st.integers(0, 3000), st.integers(0, 2**32), st.booleans(), st.floats(0, 10), st.none() | st.floats(0, 1e6))
def test_the_wait_is_always_within_its_bounds(
    failures: int, seed: int, free: bool, floor: float, retry_after: float | None
) -> None:
    backoff = Backoff(random.Random(seed))
    for _ in range(failures):
        backoff.next()
    wait = backoff.next(free=free, floor=floor, retry_after=retry_after)
    least = max(floor, min(retry_after or 0.0, 3600.0))
    assert least <= wait <= max(least, min(60.0, 2.0 ** min(failures, 6)))


def test_the_jitter_spreads_over_the_whole_range() -> None:
    waits = []
    for seed in range(400):
        backoff = Backoff(random.Random(seed))
        for _ in range(6):
            backoff.next()
        waits.append(backoff.next())
    quarters = [sum(15 * quarter <= wait < 15 * (quarter + 1) for wait in waits) for quarter in range(4)]
    assert sum(quarters) == 400
    assert all(70 < count < 130 for count in quarters)
