"""What was seen, in order, and waiting for something in it."""

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")
PATIENCE = 40.0
"""Seconds: longer than any client's own wait (discord.py sleeps 5 s before a second IDENTIFY, @discordjs/ws 6.5), and
than a busy machine takes. What comes is not waited for any longer, so only a failure takes so long."""


class MissingError(Exception):
    """What was waited for did not come; the text says what it was."""


class Log(Generic[T]):
    """Items in the order in which they were added, and `times`, in seconds. `mark` is where the next one will stand."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self.times: list[float] = []
        self._changed = anyio.Event()
        self._is_over = False

    @property
    def mark(self) -> int:
        return len(self.items)

    def add(self, item: T) -> None:
        self.items.append(item)
        self.times.append(time.monotonic())
        self._changed.set()
        self._changed = anyio.Event()

    def finish(self) -> None:
        """Nothing will be added any more: who waits need not."""
        self._is_over = True
        self._changed.set()

    async def find(self, what: str, holds: Callable[[T], bool], *, since: int = 0, within: float = PATIENCE) -> T:
        """The first item from `since` for which it holds.

        Raises:
            MissingError: it did not come `within` so many seconds.
        """
        [found] = await self.collect(what, holds, 1, since=since, within=within)
        return found

    async def collect(
        self, what: str, holds: Callable[[T], bool], count: int, *, since: int = 0, within: float = PATIENCE
    ) -> list[T]:
        """The first `count` items from `since` for which it holds; raises like `find`."""
        found: list[T] = []
        with anyio.move_on_after(within):
            while len(found) < count:
                if since == len(self.items):
                    if self._is_over:
                        break
                    await self._changed.wait()
                    continue
                if holds(self.items[since]):
                    found.append(self.items[since])
                since += 1
        if len(found) < count:
            seen = f", only {len(found)} of {count}" if count > 1 else ""
            when = "before the end" if self._is_over else f"within {within:g} s"
            raise MissingError(f"{what} did not come {when}{seen}")
        return found
