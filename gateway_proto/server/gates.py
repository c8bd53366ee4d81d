"""The two gates before a new session (Discord: Gateway > Sharding > Session Start Limit, Max Concurrency), and one
before a request for all members (Discord: Gateway Events > Request Guild Members).

Times in seconds.
"""

from typing import NamedTuple


class StartLimitStatus(NamedTuple):
    """The session start limit as of now; `reset_after` in seconds."""

    total: int
    remaining: int
    reset_after: float


class StartLimit:
    """`session_start_limit`: so many IDENTIFYs in a period that runs from the first."""

    def __init__(self, total: int, period: float) -> None:
        self._total = total
        self._period = period
        self._used = 0
        self._resets_at: float | None = None

    def status(self, now: float) -> StartLimitStatus:
        """How it stands; changes nothing."""
        if self._resets_at is None or now >= self._resets_at:
            return StartLimitStatus(self._total, self._total, 0.0)
        return StartLimitStatus(self._total, self._total - self._used, self._resets_at - now)

    def use(self, now: float) -> bool:
        """Take one. False if none is left."""
        if self._resets_at is None or now >= self._resets_at:
            self._used, self._resets_at = 0, now + self._period
        if self._used >= self._total:
            return False
        self._used += 1
        return True


class Buckets:
    """`max_concurrency`: one IDENTIFY in each bucket (shard id % max_concurrency) every `period`."""

    def __init__(self, count: int, period: float) -> None:
        self._count = count
        self._period = period
        # When each bucket's last IDENTIFY was granted.
        self._granted: dict[int, float] = {}

    def is_free(self, shard_id: int, now: float) -> bool:
        granted = self._granted.get(shard_id % self._count)
        return granted is None or now - granted >= self._period

    def use(self, shard_id: int, now: float) -> None:
        self._granted[shard_id % self._count] = now


class Turnstile:
    """Lets each key through once in a period."""

    def __init__(self, period: float) -> None:
        self._period = period
        # When each that passed may pass again, the earliest first.
        self._free_at: dict[int, float] = {}

    def enter(self, key: int, now: float) -> float:
        """0: it passed. Else in how many seconds it may; asking too early costs nothing."""
        while self._free_at and self._free_at[first := next(iter(self._free_at))] <= now:
            del self._free_at[first]
        if key in self._free_at:
            return self._free_at[key] - now
        self._free_at[key] = now + self._period
        return 0.0
