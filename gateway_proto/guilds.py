"""Which of the guilds that READY announced are still awaited (F25)."""

from collections.abc import Iterable
from typing import Final

WATCHED: Final = frozenset({"GUILD_CREATE", "GUILD_DELETE"})


class AwaitedGuilds:
    """A guild has come with its GUILD_CREATE, or with a GUILD_DELETE that calls it unavailable or gone."""

    __slots__ = ("_missing", "settled")

    def __init__(self) -> None:
        self._missing: set[int] = set()
        self.settled: bool = True
        """Nothing is awaited (any more)."""

    def start(self, guild_ids: Iterable[int]) -> None:
        self._missing = set(guild_ids)
        self.settled = False

    def came(self, guild_id: int) -> bool:
        """True if this one was awaited."""
        if guild_id not in self._missing:
            return False
        self._missing.discard(guild_id)
        return True

    @property
    def count(self) -> int:
        return len(self._missing)

    def settle(self) -> tuple[int, ...]:
        """Await no more; returns who never came, in order."""
        missing = tuple(sorted(self._missing))
        self._missing.clear()
        self.settled = True
        return missing
