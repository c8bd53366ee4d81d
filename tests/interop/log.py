"""What was seen, in order, and waiting for something in it."""

from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")
PATIENCE = 20.0
"""Seconds: longer than any client's own wait (discord.py sleeps 5 s before a second IDENTIFY, @discordjs/ws 6.5)."""


class MissingError(Exception):
    """What was waited for did not come; the text says what it was."""


class Log(Generic[T]):
    """Items in the order in which they were added. `mark` is where the next one will stand."""

    def __init__(self) -> None:
        self.items: list[T] = []
        self._changed = anyio.Event()

    @property
    def mark(self) -> int:
        return len(self.items)

    def add(self, item: T) -> None:
        self.items.append(item)
        self._changed.set()
        self._changed = anyio.Event()

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
                    await self._changed.wait()
                    continue
                if holds(self.items[since]):
                    found.append(self.items[since])
                since += 1
        if len(found) < count:
            seen = f", only {len(found)} of {count}" if count > 1 else ""
            raise MissingError(f"{what} did not come within {within:g} s{seen}")
        return found
