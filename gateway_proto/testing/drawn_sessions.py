"""Whole sessions with their faults, as lists of steps (`gateway_proto.testing.steps`) for `Harness.play`.

They shrink to fewer steps, to the first fault of a group, to fewer events and to less time.
"""

from itertools import chain
from typing import Final, TypeAlias

from hypothesis import strategies as st

from ..close_codes import FATAL_CLOSE_CODES
from .steps import (
    BREAKING_FAULTS,
    DIAL_FAULTS,
    DROPPING_FAULTS,
    ENDING_FAULTS,
    HARMLESS_FAULTS,
    CloseForGood,
    Commands,
    Events,
    Recover,
    RefuseDials,
    Step,
    Strike,
    StrikeNext,
    Tear,
    Wait,
)

INTERVALS: Final = (41.25, 20.0, 5.0)
"""Seconds between heartbeats."""
LATENCIES: Final = (0.0, 0.01, 0.3)
"""Seconds each way."""
CHUNKS: Final = (99_999, 1400, 333, 50, 7, 1)
"""Bytes at most in one read, the simplest first."""


Steps: TypeAlias = tuple[Step, ...]

_BLOWS: Final[tuple[tuple[Step, ...], ...]] = (
    (*map(Strike, DROPPING_FAULTS), Tear()),
    tuple(map(Strike, HARMLESS_FAULTS)),
    tuple(map(Strike, ENDING_FAULTS)),
    (*map(Strike, BREAKING_FAULTS), *(CloseForGood(int(code)) for code in sorted(FATAL_CLOSE_CODES))),
)
"""What strikes the connection that is there, by its kind."""


def steps() -> st.SearchStrategy[Step]:
    """Any step."""
    return st.one_of(_waits(), _calm(), _at_dials(), *map(st.sampled_from, _BLOWS))


def step_groups() -> st.SearchStrategy[Steps]:
    """A step, with a `Recover` in front of most that strike: otherwise nearly all would while nobody is connected."""
    return st.one_of(
        st.tuples(_waits()),
        st.tuples(_calm()),
        *(st.sampled_from([(Recover(), blow) for blow in blows]) for blows in _BLOWS),
        st.sampled_from([(blow,) for blows in _BLOWS for blow in blows]),
        st.tuples(_at_dials()),
    )


def sessions(*, max_steps: int = 30) -> st.SearchStrategy[list[Step]]:
    """A session from its HELLO on, of so many `step_groups`. Play it behind `Harness.run`, then `settle`."""
    return st.lists(step_groups(), min_size=1, max_size=max_steps).map(lambda groups: list(chain.from_iterable(groups)))


def _calm() -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds(Events, st.integers(1, 60), st.sampled_from((2, 100, 3000))),
        st.builds(Events, st.integers(1, 5), st.just(2)),
        st.builds(Commands, st.integers(1, 150)),
    )


def _waits() -> st.SearchStrategy[Wait]:
    # The plainest first: a run that needs time to show what is wrong shrinks to one that waits.
    return st.sampled_from((30.0, 130.0, 3.0, 0.5, 0.02, 0.0)).map(Wait)


def _at_dials() -> st.SearchStrategy[Step]:
    return st.one_of(st.sampled_from(DIAL_FAULTS).map(StrikeNext), st.builds(RefuseDials, st.integers(1, 4)))
