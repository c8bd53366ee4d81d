"""What all makers of events share: the people, the guilds, what was said lately, and what must follow."""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from .guild import Guild
from .guilds import Guilds
from .shapes import Payload, Shapes
from .users import BOT, Users

REMEMBERED: Final = 200
"""Messages that can still be edited, deleted, answered and reacted to."""

MOST: Final = 50
"""Of anything that events add to a guild: a world that runs for days stays as large as it is."""

_encode = msgspec.json.Encoder().encode


class WorldEvent(NamedTuple):
    """Something that happened in the world.

    `guild_id` is None for a direct message. `data` is the JSON of `d`; `bare` is the same without what a session
    without MESSAGE_CONTENT may not see, None if there is nothing to hide. `is_own`: it is about the bot itself, which
    is told of such things without the intent that others' need.
    """

    name: str
    guild_id: int | None
    data: bytes
    bare: bytes | None = None
    is_own: bool = False


Maker: TypeAlias = Callable[[Guild], WorldEvent | None]
"""Lets something happen in a guild; None if it cannot just now."""


class Reaction(NamedTuple):
    user: int
    emoji: Payload

    @property
    def key(self) -> tuple[str | None, str]:
        """What tells the emoji."""
        return self.emoji["id"], self.emoji["name"]


class Message:
    """A message that was sent.

    `is_open`: its content needs no intent, being the bot's or for the bot. `answers_closed`: that of the message that
    it answers does. `partner` is who has these direct messages with the bot.
    """

    __slots__ = (
        "answers_closed",
        "author",
        "channel",
        "guild_id",
        "is_open",
        "partner",
        "payload",
        "reactions",
        "votes",
    )

    def __init__(
        self, guild_id: int | None, author: int, payload: Payload, *, is_open: bool, partner: int | None = None
    ) -> None:
        self.guild_id: int | None = guild_id
        self.channel: str = payload["channel_id"]
        self.author: int = author
        self.payload: Payload = payload
        self.is_open: bool = is_open
        self.answers_closed: bool = False
        self.partner: int | None = partner
        self.reactions: list[Reaction] = []
        self.votes: dict[tuple[int, int], None] = {}
        """In its poll: (user, answer)."""

    @property
    def id(self) -> str:
        return str(self.payload["id"])

    @property
    def can_be_edited(self) -> bool:
        """Neither a poll nor an alert of auto moderation."""
        return "poll" not in self.payload and self.payload["type"] in (0, 19)


class Scene:
    """Shared by the makers; `draw` is where every value of an event comes from."""

    def __init__(self, users: Users, guilds: Guilds, draw: Shapes, application_id: int) -> None:
        self.users: Users = users
        self.guilds: Guilds = guilds
        self.draw: Shapes = draw
        self.application_id: int = application_id
        self.messages: deque[Message] = deque(maxlen=REMEMBERED)
        self.last_messages: dict[str, str] = {}
        """The last message of each channel that got one: so a message changes no guild."""
        # (guild id, or None for what needs none; what happens)
        self._following: deque[tuple[int, Maker] | tuple[None, Callable[[], WorldEvent | None]]] = deque()

    def begin(self, guild: Guild, *makers: Maker) -> WorldEvent | None:
        """The first of these that can happens now, the others follow."""
        for place, maker in enumerate(makers, 1):
            event = maker(guild)
            if event is not None:
                self.follow(guild, *makers[place:])
                return event
        return None

    def follow(self, guild: Guild, *makers: Maker) -> None:
        """These happen next in a guild, in this order, each when its turn comes."""
        self._following.extend((guild.id, maker) for maker in makers)

    def follow_anywhere(self, happen: Callable[[], WorldEvent | None]) -> None:
        """This happens next; it needs no guild to be looked at."""
        self._following.append((None, happen))

    def next_following(self) -> WorldEvent | None:
        """Let the next happen of what must follow; None if nothing does."""
        while self._following:
            following = self._following.popleft()
            if following[0] is None:
                event = following[1]()
            elif self.guilds.is_available(following[0]):
                event = following[1](self.guilds.look(following[0]))
            else:
                continue
            if event is not None:
                return event
        return None

    def log(self, guild: Guild, action: int, target_id: str, options: Payload | None = None) -> None:
        """The owner did this: the audit log says so next (Discord: Audit Log Resource > Audit Log Events)."""
        entry: Payload = {
            "id": self.draw.snowflake(),
            "user_id": str(self.users.id(guild.members.owner)),
            "target_id": target_id,
            "action_type": action,
        }
        if options is not None:
            entry["options"] = options
        self.follow(guild, lambda guild: happened("GUILD_AUDIT_LOG_ENTRY_CREATE", guild, entry))

    def edit(self, guild: Guild) -> Guild:
        """The guild, which is about to change."""
        return self.guilds.edit(guild.id)

    def forget_messages(self, gone: Callable[[Message], bool]) -> None:
        kept = [message for message in self.messages if not gone(message)]
        if len(kept) < len(self.messages):
            self.messages.clear()
            self.messages.extend(kept)

    def channel(self, guild: Guild, channel: str) -> Payload:
        """A channel of the guild, as it is now."""
        payload = guild.channels[channel]
        last = self.last_messages.get(channel)
        return payload if last is None else payload | {"last_message_id": last}

    def somebody(self, guild: Guild) -> int:
        """A member, and now and then the bot."""
        return BOT if self.draw.random() < 0.02 else guild.members.pick(self.draw)


def happened(name: str, guild: Guild, payload: Payload, *, is_own: bool = False) -> WorldEvent:
    """An event of a guild; `guild_id` is put in."""
    return WorldEvent(name, guild.id, _encode({**payload, "guild_id": str(guild.id)}), None, is_own)


def encode(payload: Any) -> bytes:
    return _encode(payload)
