"""Whole sessions with their faults, as lists of steps (`gateway_proto.testing.steps`) for `Harness.play`.

They shrink to fewer steps, to the first fault of a group, to fewer events and to less time.
"""

from itertools import chain
from typing import Final, TypeAlias

from hypothesis import strategies as st

from ..close_codes import FATAL_CLOSE_CODES
from ..server import AskReconnect, Chunk, Fragment, InvalidSession, SplitMessages, Stall
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

_TEARS: Final[tuple[Step, ...]] = (Tear(), Tear(40), Tear(300), Tear(1000), Tear(5000))
"""At once, and in mid-frame or within a replay."""
_KINDS: Final[tuple[tuple[Step, ...], ...]] = (
    tuple(map(Strike, DROPPING_FAULTS)),
    (Strike(AskReconnect()), Strike(InvalidSession(True)), Strike(Stall()), *_TEARS),
    tuple(map(Strike, HARMLESS_FAULTS)),
    tuple(map(Strike, ENDING_FAULTS)),
    tuple(map(Strike, BREAKING_FAULTS)),
)
"""What strikes the connection that is there, by its kind; some have more than one chance."""
_FATAL: Final = tuple(CloseForGood(int(code)) for code in sorted(FATAL_CLOSE_CODES))
_MANNERS: Final[tuple[Step, ...]] = tuple(
    Strike(fault) for fault in HARMLESS_FAULTS if isinstance(fault, Fragment | SplitMessages | Chunk)
)
"""From each of these on the stream looks otherwise, for as long as the connection lasts."""


def steps() -> st.SearchStrategy[Step]:
    """Any step."""
    return st.one_of(_waits(), _calm(), _at_dials(), *map(st.sampled_from, _KINDS), st.sampled_from(_FATAL))


def step_groups() -> st.SearchStrategy[Steps]:
    """A step, or a blow to a client that has its session, with events at the same instant before and behind it.

    Without a `Recover` in front nearly all would strike while nobody is connected; some are to.
    """
    nothing, events, wait = st.just(()), st.tuples(_events()), st.tuples(_waits())
    before = st.one_of(nothing, events, st.tuples(st.sampled_from(_MANNERS), _events()))
    # Otherwise everything would happen at one instant: a `Recover` takes none where nothing is wrong.
    behind = st.one_of(nothing, events, wait, st.tuples(_events(), _waits()))
    around = [_blow(before, st.sampled_from(kind), behind) for kind in _KINDS]
    return st.one_of(
        wait,
        st.tuples(_calm()),
        *around,
        around[0],
        st.tuples(st.sampled_from(_KINDS[0] + _KINDS[1])),
        st.tuples(st.just(Recover()), _commands(), _waits()),
        st.tuples(_at_dials()),
        st.tuples(st.just(Recover()), _at_dials(), st.just(Tear())),
        st.tuples(st.just(Recover()), st.just(Tear()), _events(), st.sampled_from(_TEARS[1:])),
        st.tuples(st.just(Recover()), st.sampled_from(_FATAL)),
    )


def sessions(*, max_steps: int = 30) -> st.SearchStrategy[list[Step]]:
    """A session from its HELLO on, of so many `step_groups`. Play it behind `Harness.run`, then `settle`."""
    return st.lists(step_groups(), min_size=1, max_size=max_steps).map(lambda groups: list(chain.from_iterable(groups)))


@st.composite
def _blow(
    draw: st.DrawFn,
    before: st.SearchStrategy[Steps],
    blow: st.SearchStrategy[Step],
    behind: st.SearchStrategy[Steps],
) -> Steps:
    return (Recover(), *draw(before), draw(blow), *draw(behind))


def _events() -> st.SearchStrategy[Step]:
    return st.builds(Events, st.integers(1, 12), st.sampled_from((2, 100, 3000)))


def _calm() -> st.SearchStrategy[Step]:
    return st.one_of(
        st.builds(Events, st.integers(1, 60), st.sampled_from((2, 100, 3000))),
        st.builds(Events, st.integers(1, 5), st.just(2)),
        _commands(),
    )


def _commands() -> st.SearchStrategy[Step]:
    return st.builds(Commands, st.integers(1, 150))


def _waits() -> st.SearchStrategy[Wait]:
    # The plainest first: a run that needs time to show what is wrong shrinks to one that waits.
    return st.sampled_from((30.0, 130.0, 3.0, 0.5, 0.02, 0.0, 230.0)).map(Wait)


def _at_dials() -> st.SearchStrategy[Step]:
    return st.one_of(st.sampled_from(DIAL_FAULTS).map(StrikeNext), st.builds(RefuseDials, st.integers(1, 8)))
