"""The time, and waiting for it. Drivers ask a `Clock`, so that tests can give them a virtual one."""

import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

import anyio

LONGEST_SLEEP: Final = 10.0
"""Seconds. Event loops' timers stand still while the machine sleeps, the clock here does not: it is looked at again at
least this often, so that a waking machine notices what it missed (F12)."""


class Clock(Protocol):
    """A monotonic clock in seconds, and the one way to wait for it."""

    def now(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        """Return once `event` is set or it is `until`, whichever is first; None never comes."""
        ...


def suspend_aware() -> Callable[[], float]:
    """The clock of this platform that counts the time a machine sleeps (F12)."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_time is None and sys.platform == "darwin":
        boot_time = time.CLOCK_MONOTONIC  # there it goes on during sleep, unlike time.monotonic
    if boot_time is None:
        return time.monotonic
    return lambda: time.clock_gettime(boot_time)


class SystemClock:
    """The machine's clock; time asleep counts where the platform can tell it."""

    def __init__(self) -> None:
        self.now: Callable[[], float] = suspend_aware()

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        if until is None:
            await event.wait()
            return
        while not event.is_set() and (left := until - self.now()) > 0:
            with anyio.move_on_after(min(left, LONGEST_SLEEP)):
                await event.wait()
