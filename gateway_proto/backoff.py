"""How long to wait before the next dial (F23): full jitter over a bound that doubles."""

import random
from typing import Final

from .http_head import MAX_RETRY_AFTER

BASE: Final = 1.0
CAP: Final = 60.0


class Backoff:
    """Counts failures in a row. `forgive` once a connection has proved stable."""

    __slots__ = ("_failures", "_rng")

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._failures = 0

    @property
    def failures(self) -> int:
        """Reconnects since the last stable connection."""
        return self._failures

    def next(self, *, free: bool = False, floor: float = 0.0, retry_after: float | None = None) -> float:
        """Seconds to wait, and count one failure more.

        Args:
            free: the first time in a row costs nothing (a clean drop, op 7).
            floor: at least so long, however long the jitter is.
            retry_after: what the peer asked for; honoured up to an hour.
        """
        bound = 0.0 if free and not self._failures else min(CAP, BASE * 2 ** min(self._failures, 16))
        self._failures += 1
        wait = self._rng.uniform(0.0, bound)
        return max(wait, floor, min(retry_after or 0.0, MAX_RETRY_AFTER))

    def forgive(self) -> None:
        self._failures = 0
