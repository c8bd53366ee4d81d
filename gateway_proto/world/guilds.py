"""All guilds of the bot: their ids, which of them are in an outage, and those of them that must be held."""

import random
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from ..sharding import shard_id_for
from .guild import Guild, bounded_count
from .users import Users, mix
from .values import DISCORD_EPOCH, START

HELD: Final = 512
"""Guilds that never changed, of about 33 KB each: kept for a while, since making one anew takes 0.5 ms."""


class Guilds:
    """The guilds by their ids. One is made when it is asked for, and kept for good once it has changed."""

    def __init__(self, users: Users, seed: int, members: int, guilds: int | tuple[int, ...]) -> None:
        ids = make_ids(seed, guilds) if isinstance(guilds, int) else guilds
        self.ids: dict[int, int] = {id: bounded_count(seed, index, members) for index, id in enumerate(ids)}
        """How many members each has at first."""
        self.order: list[int] = list(self.ids)
        self.unavailable: set[int] = set()
        self._users = users
        self._seed = seed
        self._members = members
        self._changed: dict[int, Guild] = {}
        self._seen: OrderedDict[int, Guild] = OrderedDict()

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
            guild = self._seen[guild_id] = Guild(guild_id, self._users, self.ids[guild_id])
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

    def remove(self, guild_id: int) -> None:
        if self.ids.pop(guild_id, None) is not None:
            self.order.remove(guild_id)
        self.unavailable.discard(guild_id)
        self._changed.pop(guild_id, None)
        self._seen.pop(guild_id, None)


def make_ids(seed: int, count: int) -> list[int]:
    """Ids that differ, of any age: they spread evenly over any number of shards."""
    rng = random.Random(mix(seed, 7))
    found: dict[int, None] = {}
    while len(found) < count:
        found[rng.randrange(20_000_000_000, START - DISCORD_EPOCH) << 22 | rng.getrandbits(22)] = None
    return list(found)
