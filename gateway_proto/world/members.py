"""Who is in a guild, in constant memory for those who were there from the start.

They are neighbours in the ring of all users: `count` of them, from `offset` on. Only who came, went or changed since is
written down.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice

from .shapes import Payload
from .users import BOT, Users
from .values import Values


class Members:
    """The members of one guild, the bot among them. The first of the ring owns the guild and never leaves it."""

    __slots__ = (
        "_base",
        "_came",
        "_changed",
        "_gone",
        "_offset",
        "_other_names",
        "_shift",
        "_start",
        "_stride",
        "_users",
        "_walked",
    )

    def __init__(self, users: Users, guild_id: int, count: int) -> None:
        self._users = users
        self._base = count
        self._offset = users.offset(guild_id)
        self._stride = users.stride
        self._start = self._offset * self._stride % users.count
        self._shift = users.names.shift(guild_id)
        self._walked = count
        self._gone: set[int] = set()
        self._came: dict[int, None] = {}
        self._changed: dict[int, Payload] = {}
        # Nicks that were changed and names of those who came, in lower case and in order, with the users.
        self._other_names: list[tuple[str, int]] = []

    def __len__(self) -> int:
        return 1 + self._base - len(self._gone) + len(self._came)

    def __contains__(self, user: int) -> bool:
        return user == BOT or user in self._came or (self._was_there(user) and user not in self._gone)

    def __iter__(self) -> Iterator[int]:
        yield BOT
        for place in range(self._base):
            user = self._at(place)
            if user not in self._gone:
                yield user
        yield from self._came

    @property
    def owner(self) -> int:
        return self._at(0)

    @property
    def came(self) -> Iterator[int]:
        """Who was not there from the start."""
        return iter(self._came)

    def pick(self, values: Values) -> int:
        """Somebody other than the bot, some far more often than others."""
        if self._came and values.random() < 0.1:
            return values.pick(list(islice(self._came, 64)))
        for _ in range(8):
            user = self._at(int(values.random() ** 2.5 * self._base))
            if user not in self._gone:
                return user
        return self.owner

    def newcomer(self) -> int | None:
        """Somebody who was never here; None if everybody was."""
        if self._walked >= self._users.count:
            return None
        user = self._at(self._walked)
        self._walked += 1
        return user

    def add(self, user: int, fields: Payload) -> None:
        if self._was_there(user):
            self._gone.discard(user)
        elif user not in self._came:
            self._came[user] = None
            insort(self._other_names, (self._users.name(user).lower(), user))
        self._rename(user, fields.get("nick"))
        self._changed[user] = fields

    def remove(self, user: int) -> None:
        """Of no effect for the bot, the owner and who is not there."""
        if user in (BOT, self.owner) or user not in self:
            return
        self._rename(user, None)
        self._changed.pop(user, None)
        if user in self._came:
            del self._came[user]
            self._forget_name(self._users.name(user), user)
        else:
            self._gone.add(user)

    def change(self, user: int, fields: Payload) -> None:
        if "nick" in fields:
            self._rename(user, fields["nick"])
        self._changed[user] = self._changed.get(user, {}) | fields

    def changes(self, user: int) -> Payload:
        """What is no longer as it was derived."""
        return self._changed.get(user, {})

    # -- names -----------------------------------------------------------------------------------------------------

    def nick(self, user: int) -> str | None:
        changes = self._changed.get(user)
        if changes is not None and "nick" in changes:
            nick: str | None = changes["nick"]
            return nick
        return None if user == BOT else self._users.names.nick(self._shift, user)

    def named(self, query: str) -> Iterator[int]:
        """The members whose username or nick begins so, whatever the case.

        First the bot, then some of those whose names are written down, then the others in the order of the ring.
        """
        wanted = query.lower()
        seen = set()
        for user in self._candidates(wanted):
            if user not in seen and self._is_named(user, wanted):
                seen.add(user)
                yield user

    def _candidates(self, wanted: str) -> Iterator[int]:
        yield BOT
        for place in range(bisect_left(self._other_names, (wanted,)), len(self._other_names)):
            name, user = self._other_names[place]
            if not name.startswith(wanted):
                break
            yield user
        for place in self._users.names.places(wanted, self._shift, self._start, self._stride, self._base):
            user = self._at(place)
            if user not in self._gone:
                yield user

    def _is_named(self, user: int, wanted: str) -> bool:
        nick = self.nick(user)
        return self._users.name(user).lower().startswith(wanted) or (
            nick is not None and nick.lower().startswith(wanted)
        )

    def _rename(self, user: int, nick: str | None) -> None:
        """Write the nick down instead of the one before, if that was."""
        before = self._changed.get(user, {}).get("nick")
        if before is not None:
            self._forget_name(before, user)
        if nick is not None:
            insort(self._other_names, (nick.lower(), user))

    def _forget_name(self, name: str, user: int) -> None:
        del self._other_names[bisect_left(self._other_names, (name.lower(), user))]

    # -- the ring --------------------------------------------------------------------------------------------------

    def _at(self, place: int) -> int:
        return (self._start + place * self._stride) % self._users.count

    def _was_there(self, user: int) -> bool:
        return user != BOT and 0 <= self._users.position(user) - self._offset < self._base
