"""What may be sent when (Discord: Gateway > Rate Limiting; Gateway Events > Update Presence)."""

import math
from collections import deque
from typing import Final

SEND_LIMIT: Final = 120
SEND_PERIOD: Final = 60.0
SEND_MARGIN: Final = 1.0
"""Seconds that a command waits longer. Discord counts when payloads arrive: a burst that was slow on its way must not
touch the next one (F11)."""
PRESENCE_LIMIT: Final = 5
PRESENCE_PERIOD: Final = 20.0


class Window:
    """A rolling log: at most `limit` charges within any `period` seconds."""

    __slots__ = ("_limit", "_log", "_period")

    def __init__(self, limit: int, period: float) -> None:
        self._limit = limit
        self._period = period
        self._log: deque[float] = deque()

    def charge(self, now: float) -> None:
        self._log.append(now)
        if len(self._log) > self._limit:
            self._log.popleft()

    def free_at(self, keep: int = 0) -> float | None:
        """When one more can be charged with `keep` still left over; None if at any time."""
        over = len(self._log) - (self._limit - keep) + 1
        return None if over <= 0 else self._log[over - 1] + self._period

    def allows(self, now: float, keep: int = 0) -> bool:
        free = self.free_at(keep)
        return free is None or now >= free


class SendBudget:
    """The 120 payloads in 60 s of one connection, of which some are kept for its heartbeats (F10, F11).

    Charged when bytes are drained. Three classes: what the protocol itself needs (scheduled beats, IDENTIFY, RESUME)
    may use all; an answer to op 1 leaves room for the scheduled beats; a command leaves two more besides.
    """

    __slots__ = ("_beats", "_window")

    def __init__(self) -> None:
        self._window = Window(SEND_LIMIT, SEND_PERIOD)
        self._beats = 2

    def set_interval(self, interval: float) -> None:
        """The heartbeat interval in seconds: ceil(60 / interval) beats fall into any 60 s."""
        self._beats = math.ceil(SEND_PERIOD / interval)

    def charge(self, now: float) -> None:
        self._window.charge(now)

    def allows_protocol(self, now: float) -> bool:
        return self._window.allows(now)

    def allows_answer(self, now: float) -> bool:
        return self._window.allows(now, self._beats)

    def allows_command(self, now: float) -> bool:
        free = self.command_free_at()
        return free is None or now >= free

    def protocol_free_at(self) -> float | None:
        return self._window.free_at()

    def answer_free_at(self) -> float | None:
        return self._window.free_at(self._beats)

    def command_free_at(self) -> float | None:
        free = self._window.free_at(self._beats + 2)
        return None if free is None else free + SEND_MARGIN
