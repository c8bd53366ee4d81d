"""Who is online, and what each guild has been told of it: a presence is a user's, and is told guild by guild."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from .users import Users

_KIND: Final = 12
"""Of seeds, beside those of `users.py` and `guild.py`."""
_encode = msgspec.json.Encoder().encode


class Mood(NamedTuple):
    """What a presence derives from: so it takes 100 bytes to keep one, and not 800."""

    status: str
    number: int


class Presences:
    """What everybody shows. A guild that shares a changed user is told when its turn comes, and knows the old one
    until then."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._changes = 0
        self._changed: dict[int, Mood] = {}
        self._known: dict[int, dict[int, Mood]] = {}
        """By guild, what it still knows of a user instead."""
        self._raw: Callable[[int, Mood], bytes] = lru_cache(maxsize=256)(self._derive)

    def status(self, guild_id: int, user: int) -> str:
        """As the guild knows it."""
        return self._mood(guild_id, user).status

    def raw(self, guild_id: int, user: int) -> bytes:
        """The JSON of the presence, as the guild knows it and as GUILD_CREATE has it."""
        return self._raw(user, self._mood(guild_id, user))

    def change(self, user: int, status: str, elsewhere: Iterable[int]) -> None:
        """The user shows something else; the guilds `elsewhere` will be told later (`tell`), all others know it."""
        before = self._mood_of(user)
        for guild_id in elsewhere:
            self._known.setdefault(guild_id, {}).setdefault(user, before)
        self._changes += 1
        self._changed[user] = Mood(status, self._changes)

    def hide(self, guild_id: int, user: int) -> None:
        """The user is new there: offline, until the guild is told."""
        self._known.setdefault(guild_id, {})[user] = Mood("offline", 0)

    def tell(self, guild_id: int, user: int) -> bool:
        """The guild knows the user's presence from now on. False if it did."""
        known = self._known.get(guild_id)
        if known is None or known.pop(user, None) is None:
            return False
        if not known:
            del self._known[guild_id]
        return True

    def tell_all(self, guild_id: int) -> None:
        """The guild knows everything from now on: nobody looks at it just now."""
        self._known.pop(guild_id, None)

    def _mood(self, guild_id: int, user: int) -> Mood:
        known = self._known.get(guild_id)
        if known is not None and user in known:
            return known[user]
        return self._mood_of(user)

    def _mood_of(self, user: int) -> Mood:
        return self._changed.get(user) or Mood(self._users.status(user), 0)

    def _derive(self, user: int, mood: Mood) -> bytes:
        make = self._users.seed(_KIND, user, mood.number)
        return _encode(make.presence(str(self._users.id(user)), mood.status))
