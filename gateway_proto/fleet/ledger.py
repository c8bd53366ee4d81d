"""How many IDENTIFYs the bot may still spend today (F15).

Discord counts the sessions that a token starts, and resets the token of a bot that starts too many (Gateway > Session
Start Limit Object). It says how many are left when it is asked; here every one that is spent is written down as well,
so that the count holds between two answers and over restarts. All times are wall time, in seconds since the epoch.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from ..discovery import SessionStartLimit
from ..errors import GatewayError

DAY: Final = 86_400.0
DEFAULT_TOTAL: Final = 1000
"""IDENTIFYs a day of a bot that is not very large."""
RESERVE_SHARE: Final = 0.05
RESERVE_LEAST: Final = 5


class IdentifyBudgetError(GatewayError):
    """A start needs more IDENTIFYs than are left today; nothing was started. `wall` says when it can be."""

    def __init__(self, needed: int, remaining: int, wall: float, wait: float) -> None:
        self.needed = needed
        self.remaining = remaining
        self.wall = wall
        self.wait = wait
        when = "it needs more than a day has" if wait == math.inf else f"try again in {_hours(wait)}"
        super().__init__(
            f"the start needs {needed} IDENTIFYs and {remaining} are left today; "
            f"{when}, or resume sessions from a store"
        )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{math.ceil(seconds / 60)} min"


class Ledger:
    """The IDENTIFYs of the last 24 h, and what Discord said last."""

    __slots__ = ("_said", "_spent", "total")

    def __init__(self, spent: Iterable[float] = (), *, total: int = DEFAULT_TOTAL) -> None:
        self.total: int = total
        self._spent: list[float] = sorted(spent)
        self._said: tuple[float, float] = (math.inf, -math.inf)
        """(how many are left by what Discord said last and what was spent since, until when that says anything)"""

    @property
    def spent(self) -> tuple[float, ...]:
        """When each was spent, oldest first: what a store keeps."""
        return tuple(self._spent)

    @property
    def reserve(self) -> int:
        """So many are kept from re-identifies: an operator may have to start the bot again today."""
        return max(math.ceil(self.total * RESERVE_SHARE), RESERVE_LEAST)

    def report(self, limit: SessionStartLimit, wall: float) -> None:
        """What GET /gateway/bot said at `wall`."""
        self.total = limit.total
        later = len(self._spent) - bisect_right(self._spent, wall)
        self._said = (limit.remaining - later, wall + limit.reset_after)

    def spend(self, wall: float) -> None:
        """An IDENTIFY is on its way."""
        del self._spent[: self._old(wall)]
        self._spent.insert(bisect_right(self._spent, wall), wall)
        left, until = self._said
        self._said = (left - 1, until)

    def remaining(self, wall: float) -> int:
        """How many are left: the fewer of what was written down here and what Discord said."""
        left, until = self._said
        own = self.total - (len(self._spent) - self._old(wall))
        return max(int(min(own, left if wall < until else math.inf)), 0)

    def free_at(self, count: int, wall: float) -> float:
        """The first time, from `wall` on, at which `count` are left if none is spent meanwhile; infinity if never."""
        if count <= self.remaining(wall):
            return wall
        if count > self.total:
            return math.inf
        left, until = self._said
        at = until if wall < until and left < count else wall
        # So many of those that count today have to be a day old.
        over = count - (self.total - len(self._spent))
        return max(at, self._spent[over - 1] + DAY) if over > 0 else at

    def _old(self, wall: float) -> int:
        """How many of the first are 24 h old. Judged by the sum, as `free_at` has it: a difference rounds otherwise."""
        return bisect_right(self._spent, wall, key=lambda at: at + DAY)
