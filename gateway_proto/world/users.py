"""Everybody there is, without keeping anybody: a user is a number, and all that is known of it derives from that."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec

from .shapes import Payload, Shapes
from .values import DISCORD_EPOCH, START, SYLLABLES

BOT: Final = -1
"""The number of the bot's user."""

_MASK: Final = 2**64 - 1
_FIRST: Final = 20_000_000_000
"""Milliseconds since Discord's epoch: when the oldest account was made."""
_ONLINE: Final = 22
"""Of a hundred users. Most members of most guilds are offline."""

_encode = msgspec.json.Encoder().encode


def mix(*values: int) -> int:
    """64 bits that depend on each of the values and on nothing else (the finaliser of splitmix64)."""
    state = 0
    for value in values:
        state = (state ^ value) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def next_prime(number: int) -> int:
    """The least prime from `number` on."""
    while number < 2 or any(number % divisor == 0 for divisor in range(2, int(number**0.5) + 1)):
        number += 1
    return number


class Users:
    """The users 0 to `count` - 1, and the bot.

    Args:
        shapes: is seeded anew for each thing that is derived.
        seed: whose world it is.
        count: a prime, so that any stride walks through everybody (`Members`).
    """

    def __init__(self, shapes: Shapes, seed: int, count: int, bot: Payload) -> None:
        self.count: int = count
        self.bot_id: int = int(bot["id"])
        self._shapes = shapes
        self._seed = seed
        self._step = (START - DISCORD_EPOCH - 2 * _FIRST) // count
        self._bot = bot
        # The busy ones: as often as a busy user speaks, deriving it anew costs more than all the rest.
        self.raw: Callable[[int], msgspec.Raw] = lru_cache(maxsize=1024)(self._raw)

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
        if user == BOT:
            return str(self._bot["username"])
        bits = mix(self._seed, 2, user)
        parts = (SYLLABLES[(bits >> 8 * place) % len(SYLLABLES)] for place in range(1, 3 + bits % 3))
        return "".join(parts) + str(bits >> 40 & 0x3F)

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

    def _raw(self, user: int) -> msgspec.Raw:
        """The JSON of the User."""
        if user == BOT:
            return msgspec.Raw(_encode(self._bot))
        return msgspec.Raw(_encode(self.seed(5, user).user(str(self.id(user)), self.name(user))))
