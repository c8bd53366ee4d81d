"""What a session is still to be sent, made only when its connection has room for it.

A shard of a large bot begins with thousands of guilds, and an answer may have hundreds of thousands of members: both
would not fit into memory at once, and would hold up everything else while they are made.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

Part: TypeAlias = tuple[str, bytes]
"""(event name, JSON of `d`)."""


class Backlog:
    """First guilds, one GUILD_CREATE after the other, and the parts of answers; these take turns with those."""

    __slots__ = ("_answers", "_awaited", "_guilds", "_is_guilds_turn", "_make")

    def __init__(self) -> None:
        self._guilds: deque[int] = deque()
        self._awaited: set[int] = set()
        self._make: Callable[[int], Part | None] | None = None
        self._answers: deque[Iterator[Part]] = deque()
        self._is_guilds_turn = True

    def __bool__(self) -> bool:
        return bool(self._guilds or self._answers)

    def begin(self, guild_ids: Iterable[int], make: Callable[[int], Part | None]) -> None:
        """These guilds will be told. `make` gives a guild's GUILD_CREATE, None if it cannot be told of now."""
        self._guilds.extend(guild_ids)
        self._awaited.update(self._guilds)
        self._make = make

    def awaits(self, guild_id: int) -> bool:
        """This guild has not been told yet: until then the session knows nothing of what happens in it."""
        return guild_id in self._awaited

    def drop(self, guild_id: int) -> None:
        """This one need not be told any more."""
        self._awaited.discard(guild_id)

    def add(self, parts: Iterator[Part]) -> None:
        """An answer in parts."""
        self._answers.append(parts)

    def next(self) -> Part | None:
        """Make the next part; None if nothing is left."""
        while self:
            self._is_guilds_turn = bool(self._guilds) and (self._is_guilds_turn or not self._answers)
            part = self._next_guild() if self._is_guilds_turn else self._next_answer()
            self._is_guilds_turn = not self._is_guilds_turn
            if part is not None:
                return part
        return None

    def _next_guild(self) -> Part | None:
        guild_id = self._guilds.popleft()
        if guild_id not in self._awaited or self._make is None:
            return None
        self._awaited.remove(guild_id)
        return self._make(guild_id)

    def _next_answer(self) -> Part | None:
        answer = self._answers.popleft()
        part = next(answer, None)
        if part is not None:
            self._answers.append(answer)
        return part
