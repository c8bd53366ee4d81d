"""What went wrong with the session at hand, and when that is enough to give it up (F06, F27, F29)."""

from typing import Final

BRICKED_TRIES: Final = 5
BRICKED_PERIOD: Final = 180.0
POISON_TRIES: Final = 3
TOO_LARGE_TRIES: Final = 2


class Setbacks:
    """Counts RESUMEs that nothing answered, and broken streams at one sequence."""

    __slots__ = ("_faults", "_first_resume_at", "_sequence", "_too_large", "resumes")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """A new session starts with a clean record."""
        self.resumes: int = 0
        """RESUMEs written since the last dispatch."""
        self._first_resume_at = 0.0
        self._sequence = -1
        self._faults = 0
        self._too_large = 0

    def resume_written(self, now: float) -> None:
        if not self.resumes:
            self._first_resume_at = now
        self.resumes += 1

    def dispatch_received(self) -> None:
        """Any dispatch answers a RESUME; RESUMED counts."""
        self.resumes = 0

    def is_bricked(self, now: float) -> bool:
        """Five RESUMEs over three minutes without one dispatch: the session is beyond saving (F06)."""
        return self.resumes >= BRICKED_TRIES and now - self._first_resume_at >= BRICKED_PERIOD

    def broken_stream(self, sequence: int) -> bool:
        """The stream broke after this sequence. True when it is the third time there: one event poisons it (F27)."""
        self._at(sequence)
        self._faults += 1
        return self._faults >= POISON_TRIES

    def too_large(self, sequence: int) -> bool:
        """A bound was exceeded after this sequence. True when it is the second time there (F29)."""
        self._at(sequence)
        self._too_large += 1
        return self._too_large >= TOO_LARGE_TRIES

    def _at(self, sequence: int) -> None:
        if sequence != self._sequence:
            self._sequence = sequence
            self._faults = 0
            self._too_large = 0
