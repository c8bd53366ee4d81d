"""How many IDENTIFYs the bot may still spend today (F15).

Discord counts the sessions that a token starts: "Upon hitting this limit, all active sessions for the app will be
terminated, the bot token will be reset" (Gateway > Identifying). So the day's last one is never spent. Discord says how
many are left when it is asked (Gateway > Session Start Limit Object); here every one that is spent is written down as
well, so that the count holds between two answers and over restarts. All times are wall time, in seconds since the
epoch.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from ..discovery import TIMEOUT, SessionStartLimit
from ..errors import GatewayError

DAY: Final = 86_400.0
WINDOW: Final = DAY + 60.0
"""Seconds that an IDENTIFY counts. Discord's day begins when it arrives, not when it was sent; where a program died
with a permit, only the permit's time is known; and no two clocks run alike for a day."""
ON_ITS_WAY: Final = TIMEOUT + 5.0
"""Seconds: what was spent so shortly before an answer came may have been under way when the answer was written."""
DEFAULT_TOTAL: Final = 1000
"""IDENTIFYs a day of a bot that is not very large."""
NEVER_SPENT: Final = 1
"""So many are kept from everybody: the limit must not be hit."""
RESERVE_SHARE: Final = 0.05
RESERVE_LEAST: Final = 5


class IdentifyBudgetError(GatewayError):
    """A start needs all the IDENTIFYs that are left today, or more; nothing was started. `wall` says when it can be."""

    def __init__(self, needed: int, remaining: int, wall: float, wait: float) -> None:
        self.needed: int = needed
        self.remaining: int = remaining
        self.wall: float = wall
        """The first time at which there is enough; infinity if there never is."""
        self.wait: float = wait
        """Seconds until then."""
        if wait == math.inf:
            advice = "it needs more than a day has, so resume sessions from a store"
        else:
            advice = f"try again in {_hours(wait)}, or resume sessions from a store"
        super().__init__(
            f"the start needs {needed} IDENTIFY{'s' * (needed != 1)} and {_left_today(remaining)}; {advice}"
        )


def shortage(remaining: int) -> str:
    """Why a shard has to wait for its IDENTIFY, for a person."""
    match remaining:
        case 0:
            return "no IDENTIFY is left today"
        case 1:
            return "only 1 IDENTIFY is left today"
    return f"only {remaining} IDENTIFYs are left today"


def _left_today(remaining: int) -> str:
    match remaining:
        case 0:
            return "none is left today"
        case 1:
            return "1 is left today, which is never spent"
    return f"{remaining} are left today, the last of which is never spent"


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{math.ceil(seconds / 60)} min"


class Ledger:
    """The IDENTIFYs of the last 24 h and a minute, and what Discord said last."""

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
        """What GET /gateway/bot said; its answer came at `wall`."""
        self.total = limit.total
        later = len(self._spent) - bisect_right(self._spent, wall - ON_ITS_WAY)
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
        # So many of those that count today must have ceased to.
        over = count - (self.total - len(self._spent))
        return max(at, self._spent[over - 1] + WINDOW) if over > 0 else at

    def _old(self, wall: float) -> int:
        """How many of the first count no more. By the sum, as `free_at` has it: a difference rounds otherwise."""
        return bisect_right(self._spent, wall, key=lambda at: at + WINDOW)
