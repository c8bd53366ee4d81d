"""The heart of one connection: when to beat, whether anyone answers (Discord: Gateway > Sustaining, Heartbeats).

Knows nothing of sockets or shards. The owner asks `due(now)` when the time has come, `sent(now)` when a beat was
drained, `acknowledged(now)` at op 11, and tells by `last_received` when bytes came in.
"""

import random
from enum import Enum
from typing import Final

MIN_INTERVAL: Final = 5.0
MAX_INTERVAL: Final = 600.0
PROBE_TIMEOUT: Final = 10.0
"""Seconds for any answer after the clock has jumped (F12)."""
MAX_UNACKNOWLEDGED: Final = 3
"""Beats in a row without an ACK, an interval each: then it is a zombie, whatever else it sends (F08)."""
JUMP: Final = 1.5
"""Intervals between two looks at the clock that mean the process itself stood still (F12)."""
ANSWER_SPACING: Final = 1.0
"""Seconds; an op 1 is answered by a beat that is younger than this (F10)."""


class Beat(Enum):
    """What a due timer means."""

    EARLY = "not due yet"
    BEAT = "beat"
    ACK_MISSING = "beat, though the last one is unacknowledged"
    PROBE = "the clock jumped: one beat, and an answer within 10 s"
    ZOMBIE = "no sign of life"


class Heartbeat:
    """One connection's heart; made when HELLO tells the interval.

    Args:
        interval: seconds, as HELLO had it; clamped to 5 s … 10 min.
        now: when HELLO came. The first beat is due after `interval` × U(0, 1) (F13).
    """

    __slots__ = (
        "_due",
        "_listening_since",
        "_missed",
        "_probed_at",
        "_rng",
        "_unacknowledged_since",
        "acknowledged_at",
        "interval",
        "latency",
        "queued",
        "scheduled",
        "sent_at",
    )

    def __init__(self, interval: float, now: float, rng: random.Random) -> None:
        self._rng = rng
        self.interval: float = _clamp(interval)
        self._due = now + self.interval * rng.random()
        self._probed_at: float | None = None
        # When the last scheduled beat was due that no ACK has followed, and how many beats in a row it is. Answers to
        # op 1 are left out: one just ahead of a scheduled beat leaves the peer no time for its ACK.
        self._listening_since: float | None = None
        self._missed = 0
        self.queued: bool = False
        """A beat waits to be drained."""
        self.scheduled: bool = False
        """It is one of the schedule, which nothing may hold up; no answer to op 1, nor the caller's wish."""
        self._unacknowledged_since: float | None = None
        self.sent_at: float | None = None
        self.acknowledged_at: float | None = None
        self.latency: float | None = None

    # -- time --------------------------------------------------------------------------------------------------

    def next_timeout(self) -> float:
        return self._due if self._probed_at is None else min(self._due, self._probed_at + PROBE_TIMEOUT)

    def due(
        self, now: float, last_received: float, *, lenient: bool = False, paused: bool = False
    ) -> tuple[Beat, float]:
        """Judge a timer that may be due, and queue the beat. Returns (what it means, how late it is judged).

        Args:
            last_received: when the last bytes came in: any are a sign of life (F08).
            lenient: while Identifying or Resuming an absent ACK alone is no reason to give up (F07).
            paused: nobody reads the socket, so silence proves nothing (F33).
        """
        if paused:
            self.forget_silence(now)
        if self._probed_at is not None and now >= self._probed_at + PROBE_TIMEOUT:
            if last_received <= self._probed_at:
                return Beat.ZOMBIE, 0.0
            self._probed_at = None
        lag = now - self._due
        if lag < 0:
            return Beat.EARLY, 0.0
        if lag > (JUMP - 1) * self.interval:
            return self._jumped(now), lag
        # A probe has its own 10 s, even where that is longer than the interval.
        beat = Beat.BEAT if paused else self._judge(last_received, lenient or self._probed_at is not None)
        if beat is not Beat.ZOMBIE:
            self._queue(scheduled=True)
            self._listening_since = now
            self._due += self.interval
        return beat, lag

    def _jumped(self, now: float) -> Beat:
        # More than 1.5 intervals since the last beat's time: nobody was there to beat or to hear the answer.
        self._queue(scheduled=True)
        self._due = now + self.interval
        self._probed_at = self._listening_since = now
        self._missed = 0
        self._unacknowledged_since = None
        return Beat.PROBE

    def _judge(self, last_received: float, lenient: bool) -> Beat:
        if self._listening_since is None:
            return Beat.BEAT
        self._missed += 1
        if self._missed >= MAX_UNACKNOWLEDGED or (last_received <= self._listening_since and not lenient):
            return Beat.ZOMBIE
        return Beat.ACK_MISSING

    def forget_silence(self, now: float) -> None:
        """The socket was not read for a while: what was missed then is no evidence (F33). Judging starts anew."""
        self._listening_since = None
        self._missed = 0
        self._unacknowledged_since = None
        if self._probed_at is not None:
            self._probed_at = now

    # -- beats -------------------------------------------------------------------------------------------------

    def ask(self, now: float) -> bool:
        """Queue a beat besides the schedule (op 1, or the caller's wish). False if a fresh one serves (F10)."""
        if self.queued or (self.sent_at is not None and now - self.sent_at < ANSWER_SPACING):
            return False
        self._queue(scheduled=False)
        return True

    def _queue(self, *, scheduled: bool) -> None:
        self.queued = True
        self.scheduled = self.scheduled or scheduled

    def sent(self, now: float) -> None:
        """The queued beat was drained."""
        self.queued = self.scheduled = False
        if self._unacknowledged_since is None:
            self._unacknowledged_since = now
        self.sent_at = now

    def acknowledged(self, now: float) -> bool:
        """Op 11 came. False if nothing was waiting for it."""
        self.acknowledged_at = now
        self._probed_at = None
        self._listening_since = None
        self._missed = 0
        waiting_since, self._unacknowledged_since = self._unacknowledged_since, None
        if waiting_since is None:
            return False
        if waiting_since == self.sent_at:
            # With two beats under way nobody can say which one this answers: then it is no measure.
            self.latency = now - waiting_since
        return True

    @property
    def is_acknowledged(self) -> bool:
        return self._unacknowledged_since is None

    # -- HELLO -------------------------------------------------------------------------------------------------

    def set_interval(self, interval: float, now: float) -> None:
        """HELLO came once more: take the new interval from here on."""
        self.interval = _clamp(interval)
        self._due = min(self._due, now + self.interval)


def _clamp(interval: float) -> float:
    return min(max(interval, MIN_INTERVAL), MAX_INTERVAL)
