"""Everybody there is, without keeping anybody: a user is a number, and all that is known of it derives from that.

They stand in a ring, and the members of a guild are neighbours there: so those who share one guild share others, and
which guilds a user is in can be told without asking each (`Guilds.of_user`).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from .mixing import mix
from .names import Names
from .shapes import Payload, Shapes
from .values import DISCORD_EPOCH, START

BOT: Final = -1
"""The number of the bot's user."""

_FIRST: Final = 20_000_000_000
"""Milliseconds since Discord's epoch: when the oldest account was made."""
_ONLINE: Final = 22
"""Of a hundred users. Most members of most guilds are offline."""

_encode = msgspec.json.Encoder().encode


class Users:
    """The users 0 to `count` - 1, and the bot.

    Args:
        shapes: is seeded anew for each thing that is derived.
        seed: whose world it is.
        count: a prime, so that any stride walks through everybody.
        crowd: so many places of the ring, from its first on, are where guilds begin.
    """

    def __init__(self, shapes: Shapes, seed: int, count: int, crowd: int, bot: Payload) -> None:
        self.count: int = count
        self.stride: int = 1 + mix(seed, 20) % (count - 1)
        """From one number to that of the neighbour in the ring."""
        self.names: Names = Names(seed, count)
        self.bot_id: int = int(bot["id"])
        self._shapes = shapes
        self._seed = seed
        self._step = (START - DISCORD_EPOCH - 2 * _FIRST) // count
        self._crowd = crowd
        self._back = pow(self.stride, -1, count)
        self.bot: Payload = bot
        """The bot's User."""
        self._bot_raw = msgspec.Raw(_encode(bot))
        # The busy ones: as often as a busy user speaks, deriving it anew costs more than all the rest.
        self._raw: Callable[[int], msgspec.Raw] = lru_cache(maxsize=1024)(self._derive)

    def position(self, user: int) -> int:
        """Where in the ring the user stands."""
        return user * self._back % self.count

    def offset(self, guild_id: int) -> int:
        """Where in the ring a guild begins."""
        return mix(self._seed, 24, guild_id) % self._crowd

    def change_bot(self, fields: Payload) -> None:
        """The bot's User is another from now on."""
        self.bot = self.bot | fields
        self._bot_raw = msgspec.Raw(_encode(self.bot))

    def id(self, user: int) -> int:
        if user == BOT:
            return self.bot_id
        return _FIRST + user * self._step << 22 | mix(self._seed, 1, user) & 0x3FFFFF

    def find(self, user_id: int) -> int | None:
        """The user of this id."""
        if user_id == self.bot_id:
            return BOT
        user = ((user_id >> 22) - _FIRST) // self._step
        return user if 0 <= user < self.count and self.id(user) == user_id else None

    def name(self, user: int) -> str:
        """The username."""
        return str(self.bot["username"]) if user == BOT else self.names.name(user)

    def status(self, user: int) -> str:
        """As long as nothing else is known of it."""
        chance = mix(self._seed, 3, user) % 100
        return "offline" if chance >= _ONLINE else ("online", "idle", "dnd")[chance % 5 // 2]

    def direct_channel(self, user: int) -> str:
        """The id of its direct messages with the bot."""
        return str((self.id(user) >> 22) + self._step // 2 << 22 | mix(self._seed, 4, user) & 0x3FFFFF)

    def seed(self, kind: int, *values: int) -> Shapes:
        """The maker, seeded for one thing. Use it up before the next is asked for."""
        self._shapes.rng.seed(mix(self._seed, kind, *values))
        return self._shapes

    def raw(self, user: int) -> msgspec.Raw:
        """The JSON of the User."""
        return self._bot_raw if user == BOT else self._raw(user)

    def _derive(self, user: int) -> msgspec.Raw:
        return msgspec.Raw(_encode(self.seed(5, user).user(str(self.id(user)), self.name(user))))
