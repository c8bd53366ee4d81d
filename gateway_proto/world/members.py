"""Who is in a guild, in constant memory for those who were there from the start.

They are a walk through all users: from `offset` on by `stride`, `count` steps. Only who came, went or changed since is
written down.
"""

from collections.abc import Iterator
from itertools import islice

from .shapes import Payload
from .users import BOT, Users
from .values import Values


class Members:
    """The members of one guild, the bot among them. The first of the walk owns the guild and never leaves it."""

    __slots__ = ("_base", "_came", "_changed", "_gone", "_offset", "_stride", "_users", "_walked")

    def __init__(self, users: Users, count: int, offset: int, stride: int) -> None:
        self._users = users
        self._base = count
        self._offset = offset % users.count
        self._stride = 1 + stride % (users.count - 1)
        self._walked = count
        self._gone: set[int] = set()
        self._came: dict[int, None] = {}
        self._changed: dict[int, Payload] = {}

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
        else:
            self._came[user] = None
        self._changed[user] = fields

    def remove(self, user: int) -> None:
        """Of no effect for the bot, the owner and who is not there."""
        self._changed.pop(user, None)
        if user in self._came:
            del self._came[user]
        elif self._was_there(user) and user != self.owner:
            self._gone.add(user)

    def change(self, user: int, fields: Payload) -> None:
        self._changed[user] = self._changed.get(user, {}) | fields

    def changes(self, user: int) -> Payload:
        """What is no longer as it was derived."""
        return self._changed.get(user, {})

    def _at(self, place: int) -> int:
        return (self._offset + place * self._stride) % self._users.count

    def _was_there(self, user: int) -> bool:
        place = (user - self._offset) * pow(self._stride, -1, self._users.count) % self._users.count
        return user != BOT and place < self._base
