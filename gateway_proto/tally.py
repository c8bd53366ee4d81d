"""What a shard counts over its whole life, for `ShardSnapshot`."""

from collections import Counter, deque
from typing import Final

from .actions import DiscardCause

DAY: Final = 86_400.0
MAX_LOGGED: Final = 4096
"""IDENTIFYs remembered: more than a day's limit of one shard."""


class Tally:
    """Plain counters; each is written at one place."""

    def __init__(self) -> None:
        self.identifies: deque[float] = deque(maxlen=MAX_LOGGED)
        self.resumes_tried = 0
        self.resumes_won = 0
        self.reconnects = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self.duplicates = 0
        self.gaps = 0
        self.unrecognized = 0
        self.before_ready = 0
        self.lag: float = 0.0
        self.ready_at: float | None = None
        self.discards: Counter[DiscardCause] = Counter()

    def identifies_since(self, instant: float) -> int:
        return sum(at > instant for at in self.identifies)
