"""One small table of what is due, and when."""

from enum import IntEnum


class Timer(IntEnum):
    """What a shard waits for. Those that are due fire in this order."""

    DIAL = 0
    """The upgraded socket (F01)."""
    HELLO = 1
    HEARTBEAT = 2
    """The next beat, or the answer to a probe."""
    RESUMED = 3
    """A dispatch in answer to RESUME (F22)."""
    READY = 4
    """The notice that READY is slow (F22)."""
    GUILDS = 5
    """Another of READY's guilds (F25)."""
    RECONNECT = 6
    """The next dial."""


class Timers:
    """When each timer is due, in the caller's seconds."""

    __slots__ = ("_due",)

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}

    def set(self, timer: Timer, at: float) -> None:
        self._due[timer] = at

    def clear(self, *timers: Timer) -> None:
        """Forget these; all of them when none is named."""
        for timer in timers or tuple(Timer):
            self._due.pop(timer, None)

    def get(self, timer: Timer) -> float | None:
        return self._due.get(timer)

    def next(self) -> float | None:
        """When the earliest is due, or None. Changes nothing."""
        return min(self._due.values(), default=None)

    def pop_due(self, now: float) -> Timer | None:
        """Take out the first, in their fixed order, that is due; None if none is."""
        due = min((timer for timer, at in self._due.items() if at <= now), default=None)
        if due is not None:
            del self._due[due]
        return due
