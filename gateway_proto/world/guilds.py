"""All guilds of the bot: their ids, which of them are in an outage, who is in which, and those that must be held."""

import random
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Final

from ..sharding import shard_id_for
from .guild import Guild, bounded_count
from .mixing import mix
from .presences import Presences
from .users import Users
from .values import DISCORD_EPOCH, START

HELD: Final = 512
"""Guilds that never changed, of about 33 KB each: kept for a while, since making one anew takes 0.5 ms."""


class _Stretches:
    """Where in the ring of users guilds of about one size begin: each holds the places from there on.

    Args:
        counts: how many members each guild has at first, shared with `Guilds`.
    """

    def __init__(self, counts: dict[int, int], begins: Iterable[tuple[int, int]]) -> None:
        self._counts = counts
        # (where it begins, guild id)
        self._begins = sorted(begins)
        self._longest = max((counts[guild_id] for _, guild_id in self._begins), default=0)

    def add(self, at: int, guild_id: int) -> None:
        insort(self._begins, (at, guild_id))
        self._longest = max(self._longest, self._counts[guild_id])

    def remove(self, at: int, guild_id: int) -> None:
        del self._begins[bisect_left(self._begins, (at, guild_id))]

    def over(self, position: int) -> Iterator[int]:
        """The guilds that hold this place of the ring."""
        last = bisect_right(self._begins, (position + 1,))
        first = bisect_right(self._begins, (position - self._longest + 1,))
        for at, guild_id in self._begins[first:last]:
            if at <= position < at + self._counts[guild_id]:
                yield guild_id


class Guilds:
    """The guilds by their ids. One is made when it is asked for, and kept for good once it has changed.

    Args:
        ids: how many members each has at first, by the guild's id.
    """

    def __init__(self, users: Users, presences: Presences, seed: int, members: int, ids: dict[int, int]) -> None:
        self.ids: dict[int, int] = ids
        """How many members each has at first."""
        self.order: list[int] = list(self.ids)
        self.unavailable: set[int] = set()
        self.presences: Presences = presences
        self._users = users
        self._seed = seed
        self._members = members
        self._changed: dict[int, Guild] = {}
        self._seen: OrderedDict[int, Guild] = OrderedDict()
        # Guilds of ordinary and of large size, for `of_user`; made when that is first asked.
        self._stretches: tuple[_Stretches, _Stretches] | None = None
        self._came: dict[int, dict[int, None]] = {}

    def __contains__(self, guild_id: int) -> bool:
        return guild_id in self.ids

    @property
    def held(self) -> int:
        """How many guilds are in memory."""
        return len(self._changed) + len(self._seen)

    def of(self, index: int, total: int) -> Iterator[int]:
        """The ids that a shard owns."""
        return (id for id in self.order if shard_id_for(id, total) == index)

    def is_available(self, guild_id: int) -> bool:
        """The bot is in it, and it has no outage."""
        return guild_id in self.ids and guild_id not in self.unavailable

    def look(self, guild_id: int) -> Guild:
        """The guild, to be read. Raises KeyError if the bot is not in it."""
        guild = self._changed.get(guild_id) or self._seen.get(guild_id)
        if guild is None:
            guild = self._seen[guild_id] = Guild(guild_id, self._users, self.presences, self.ids[guild_id])
            if len(self._seen) > HELD:
                self._seen.popitem(last=False)
        return guild

    def edit(self, guild_id: int) -> Guild:
        """The guild, to be changed. Raises KeyError if the bot is not in it."""
        guild = self.look(guild_id)
        if guild_id not in self._changed:
            self._seen.pop(guild_id, None)
            self._changed[guild_id] = guild
        return guild

    def add(self, guild_id: int) -> None:
        if guild_id not in self.ids:
            self.ids[guild_id] = bounded_count(self._seed, mix(guild_id) % 50, self._members)
            self.order.append(guild_id)
            if self._stretches is not None:
                self._stretch_of(guild_id, self._stretches).add(self._users.offset(guild_id), guild_id)

    def remove(self, guild_id: int) -> None:
        if guild_id not in self.ids:
            return
        if self._stretches is not None:
            self._stretch_of(guild_id, self._stretches).remove(self._users.offset(guild_id), guild_id)
        del self.ids[guild_id]
        self.order.remove(guild_id)
        self.unavailable.discard(guild_id)
        self.presences.tell_all(guild_id)
        changed = self._changed.pop(guild_id, None)
        if changed is not None:
            for user in changed.members.came:
                self.left(user, guild_id)
        self._seen.pop(guild_id, None)

    # -- who is in which -------------------------------------------------------------------------------------------

    def of_user(self, user: int) -> list[int]:
        """The guilds that a user shares with the bot, in the order of their ids. It looks at a few, not at all."""
        if self._stretches is None:
            self._stretches = self._make_stretches()
        position = self._users.position(user)
        found = {guild_id for some in self._stretches for guild_id in some.over(position)}
        found.update(self._came.get(user, ()))
        return sorted(guild_id for guild_id in found if self._is_in(user, guild_id))

    def came(self, user: int, guild_id: int) -> None:
        """The user is a member, who was not from the start."""
        self._came.setdefault(user, {})[guild_id] = None

    def left(self, user: int, guild_id: int) -> None:
        """The user is a member no more."""
        guild_ids = self._came.get(user)
        if guild_ids is not None:
            guild_ids.pop(guild_id, None)
            if not guild_ids:
                del self._came[user]

    def _is_in(self, user: int, guild_id: int) -> bool:
        """Of a guild that never changed it is so."""
        changed = self._changed.get(guild_id)
        return changed is None or user in changed.members

    def _make_stretches(self) -> tuple[_Stretches, _Stretches]:
        begins = [(self._users.offset(guild_id), guild_id) for guild_id in self.ids]
        return (
            _Stretches(self.ids, (begin for begin in begins if not self._is_large(begin[1]))),
            _Stretches(self.ids, (begin for begin in begins if self._is_large(begin[1]))),
        )

    def _stretch_of(self, guild_id: int, stretches: tuple[_Stretches, _Stretches]) -> _Stretches:
        return stretches[self._is_large(guild_id)]

    def _is_large(self, guild_id: int) -> bool:
        return self.ids[guild_id] > 2 * self._members


def counted(seed: int, members: int, guilds: int | tuple[int, ...]) -> dict[int, int]:
    """How many members each guild has at first, by ids that are given or made."""
    ids = make_ids(seed, guilds) if isinstance(guilds, int) else guilds
    return {id: bounded_count(seed, index, members) for index, id in enumerate(ids)}


def make_ids(seed: int, count: int) -> list[int]:
    """Ids that differ, of any age: they spread evenly over any number of shards."""
    rng = random.Random(mix(seed, 7))
    found: dict[int, None] = {}
    while len(found) < count:
        found[rng.randrange(20_000_000_000, START - DISCORD_EPOCH) << 22 | rng.getrandbits(22)] = None
    return list(found)
