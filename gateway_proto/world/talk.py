"""Messages, reactions and typing, in guilds and in direct messages."""

from functools import partial
from typing import Final

import msgspec

from .guild import ANNOUNCEMENT, TEXT, Guild
from .scene import Maker, Message, Reaction, Scene, WorldEvent, encode, happened
from .shapes import Payload
from .users import BOT
from .values import EMOJI

_DIRECT: Final = (
    "MESSAGE_CREATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE",
    "CHANNEL_PINS_UPDATE",
    "TYPING_START",
)
"""What happens in direct messages, too."""
_DELETED: Final = 72
"""Action of the audit log."""

_HIDDEN: Final[Payload] = {"content": "", "embeds": [], "attachments": [], "components": []}


class Talk:
    """Makers by name: `makers` for guilds; `direct_makers` for direct messages, which are the same without a guild."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self.makers: dict[str, Maker] = {
            "MESSAGE_CREATE": self.create,
            "MESSAGE_UPDATE": self.update,
            "MESSAGE_DELETE": self.delete,
            "MESSAGE_DELETE_BULK": self.delete_bulk,
            "MESSAGE_REACTION_ADD": self.react,
            "MESSAGE_REACTION_REMOVE": self.unreact,
            "MESSAGE_REACTION_REMOVE_ALL": self.clear_reactions,
            "MESSAGE_REACTION_REMOVE_EMOJI": self.clear_emoji,
            "CHANNEL_PINS_UPDATE": self.pin,
            "TYPING_START": self.type,
        }
        self.direct_makers: dict[str, Maker] = {name: partial(self._direct, name) for name in _DIRECT}

    # -- messages --------------------------------------------------------------------------------------------------

    def create(self, guild: Guild) -> WorldEvent:
        channel = self._draw.often(guild.channels_of(TEXT, ANNOUNCEMENT))
        author = self._scene.somebody(guild)
        payload = self._said(channel, author) | self._in_guild(guild, channel, author)
        if self._draw.random() < 0.03 and (roles := guild.assignable_roles()):
            payload["mention_roles"] = [self._draw.pick(roles)]
        mentioned = self._scene.somebody(guild) if self._draw.random() < 0.07 else None
        if mentioned is not None:
            self._mention(payload, guild, mentioned)
        message = Message(guild.id, author, payload, is_open=BOT in (author, mentioned))
        if self._draw.random() < 0.07:
            self._answer(message, guild, self._recent(guild))
        return self._sent(message)

    def post(self, guild: Guild, channel: str, author: int, changes: Payload) -> tuple[WorldEvent, str]:
        """A message that is unlike others. Returns its id as well."""
        payload = self._said(channel, author) | self._in_guild(guild, channel, author) | changes
        return self._sent(Message(guild.id, author, payload, is_open=author == BOT)), payload["id"]

    def post_direct(self, user: int, author: int, changes: Payload) -> WorldEvent:
        """A direct message of the user or to the user that is unlike others."""
        payload = self._said(self._users.direct_channel(user), author) | {"channel_type": 1} | changes
        return self._sent(Message(None, author, payload, is_open=True, partner=user))

    def _direct(self, name: str, guild: Guild) -> WorldEvent:
        """Something of `_DIRECT` between the bot and a member of the guild; what cannot be is a new message."""
        return self._direct_with(name, guild.members.pick(self._draw))

    def create_direct(self, guild: Guild) -> WorldEvent:
        """A direct message of a member of the guild, or to one."""
        return self._direct("MESSAGE_CREATE", guild)

    def stranger(self) -> WorldEvent:
        """A direct message of any user."""
        return self._direct_with("MESSAGE_CREATE", self._draw.rng.randrange(self._users.count))

    def _direct_with(self, name: str, user: int) -> WorldEvent:
        channel = self._users.direct_channel(user)
        if name == "TYPING_START":
            typing = {"user_id": str(self._users.id(user)), "timestamp": self._draw.now // 1000, "channel_id": channel}
            return WorldEvent(name, None, encode(typing))
        if name == "CHANNEL_PINS_UPDATE":
            pinned = {"last_pin_timestamp": self._draw.timestamp(), "channel_id": channel}
            return WorldEvent(name, None, encode(pinned))
        earlier = [message for message in self._scene.messages if message.guild_id is None and message.can_be_edited]
        if name == "MESSAGE_CREATE" or not earlier:
            return self.post_direct(user, BOT if self._draw.random() < 0.3 else user, {})
        return self._direct_after(name, self._draw.pick(earlier))

    def _direct_after(self, name: str, message: Message) -> WorldEvent:
        if name == "MESSAGE_UPDATE":
            return self._edited(message)
        where = {"channel_id": message.channel}
        if name == "MESSAGE_DELETE":
            self._scene.messages.remove(message)
            return WorldEvent(name, None, encode({**where, "id": message.id}))
        user = BOT if message.author != BOT or message.partner is None else message.partner
        if name == "MESSAGE_REACTION_ADD":
            reaction = Reaction(user, {"name": self._draw.pick(EMOJI), "id": None})
            message.reactions.append(reaction)
            return WorldEvent(name, None, encode(self._reacted(message, reaction) | where))
        if not message.reactions:
            return self._edited(message)
        reaction = message.reactions.pop()
        return WorldEvent(name, None, encode(self._reacted(message, reaction) | where))

    def update(self, guild: Guild) -> WorldEvent | None:
        message = self._recent(guild)
        if message is None or message.author not in guild.members or not message.can_be_edited:
            return None
        # Since then a role may have gone, or somebody who was mentioned.
        message.payload = message.payload | {"member": guild.member_fields(message.author)}
        message.payload["mentions"] = [self._fresh(mentioned, guild) for mentioned in message.payload["mentions"]]
        return self._edited(message)

    def _fresh(self, mentioned: Payload, guild: Guild) -> Payload:
        user = self._users.find(int(mentioned["id"]))
        known = self._nobody(mentioned)
        return known if user is None or user not in guild.members else known | {"member": guild.member_fields(user)}

    def delete(self, guild: Guild) -> WorldEvent | None:
        """By its author, or by the owner; of the latter the audit log says so."""
        message = self._recent(guild)
        if message is None:
            return None
        self._scene.messages.remove(message)
        if message.author not in (BOT, guild.members.owner) and self._draw.random() < 0.3:
            options = {"count": "1", "channel_id": message.channel}
            self._scene.log(guild, _DELETED, str(self._users.id(message.author)), options)
        return happened("MESSAGE_DELETE", guild, {"id": message.id, "channel_id": message.channel})

    def delete_bulk(self, guild: Guild) -> WorldEvent | None:
        """2 to 100 messages of a channel."""
        message = self._recent(guild)
        found = [other for other in self._scene.messages if message is not None and other.channel == message.channel]
        if len(found) < 2:
            return None
        found = found[: self._draw.rng.randrange(2, 1 + min(100, len(found)))]
        for gone in found:
            self._scene.messages.remove(gone)
        ids = [gone.id for gone in found]
        return happened("MESSAGE_DELETE_BULK", guild, {"ids": ids, "channel_id": found[0].channel})

    def pin(self, guild: Guild) -> WorldEvent:
        guild = self._scene.edit(guild)
        channel = self._draw.often(guild.channels_of(TEXT, ANNOUNCEMENT))
        pinned = {"last_pin_timestamp": self._draw.timestamp()}
        guild.channels[channel] = guild.channels[channel] | pinned
        return happened("CHANNEL_PINS_UPDATE", guild, {"channel_id": channel, **pinned})

    def _said(self, channel: str, author: int) -> Payload:
        """What a message has wherever it is."""
        draw, chance = self._draw, self._draw.random
        return {
            "type": 0,
            "tts": False,
            "timestamp": draw.timestamp(),
            "pinned": False,
            "nonce": draw.snowflake(),
            "mentions": [],
            "mention_roles": [],
            "mention_everyone": False,
            "id": draw.snowflake(),
            "flags": 0,
            "embeds": [draw.embed()] if chance() < 0.05 else [],
            "edited_timestamp": None,
            "content": draw.text(),
            "components": [draw.buttons()] if chance() < 0.04 else [],
            "channel_id": channel,
            "author": self._users.raw(author),
            "attachments": [draw.attachment(channel)] if chance() < 0.06 else [],
        }

    def _in_guild(self, guild: Guild, channel: str, author: int) -> Payload:
        return {
            "member": guild.member_fields(author),
            "channel_type": guild.channels[channel]["type"],
            "guild_id": str(guild.id),
        }

    def _mention(self, payload: Payload, guild: Guild, user: int) -> None:
        mentioned: Payload = msgspec.json.decode(self._users.raw(user))
        if all(other["id"] != mentioned["id"] for other in payload["mentions"]):
            payload["mentions"] = [*payload["mentions"], mentioned | {"member": guild.member_fields(user)}]
            payload["content"] = f"<@{self._users.id(user)}> {payload['content']}"

    def _answer(self, message: Message, guild: Guild, answered: Message | None) -> None:
        if answered is None or answered.channel != message.channel:
            return
        left_out = ("member", "nonce", "channel_type", "guild_id", "referenced_message")
        shown = {key: value for key, value in answered.payload.items() if key not in left_out}
        message.payload |= {
            "type": 19,
            "message_reference": {
                "type": 0,
                "message_id": answered.id,
                "guild_id": str(guild.id),
                "channel_id": answered.channel,
            },
            "referenced_message": shown | {"mentions": [self._nobody(one) for one in shown["mentions"]]},
        }
        message.answers_closed = not answered.is_open
        if answered.author == BOT:
            # An answer mentions whom it answers, unless that is switched off: the bot may read answers to itself.
            self._mention(message.payload, guild, BOT)
            message.is_open = True

    @staticmethod
    def _nobody(mentioned: Payload) -> Payload:
        return {key: value for key, value in mentioned.items() if key != "member"}

    def _sent(self, message: Message) -> WorldEvent:
        self._scene.messages.append(message)
        self._scene.last_messages[message.channel] = message.id
        return self._told("MESSAGE_CREATE", message)

    def _told(self, name: str, message: Message) -> WorldEvent:
        payload = message.payload
        bare = payload if message.is_open else _hidden(payload)
        if message.answers_closed:
            bare = bare | {"referenced_message": _hidden(payload["referenced_message"])}
        return WorldEvent(name, message.guild_id, encode(payload), None if bare is payload else encode(bare))

    def _edited(self, message: Message) -> WorldEvent:
        mentions = "".join(f"<@{mentioned['id']}> " for mentioned in message.payload["mentions"])
        changes = {"content": mentions + self._draw.text(), "edited_timestamp": self._draw.timestamp()}
        message.payload = message.payload | changes
        return self._told("MESSAGE_UPDATE", message)

    def _recent(self, guild: Guild) -> Message | None:
        """One of the guild's messages whose channel still exists."""
        found = [message for message in self._scene.messages if message.guild_id == guild.id]
        return self._draw.pick(found) if found else None

    # -- reactions -------------------------------------------------------------------------------------------------

    def react(self, guild: Guild) -> WorldEvent | None:
        message = self._recent(guild)
        if message is None:
            return None
        user = self._scene.somebody(guild)
        reaction = Reaction(user, self._emoji(guild))
        message.reactions.append(reaction)
        added = self._reacted(message, reaction) | {
            "channel_id": message.channel,
            "member": guild.member(user),
            "message_author_id": str(self._users.id(message.author)),
        }
        return happened("MESSAGE_REACTION_ADD", guild, added)

    def unreact(self, guild: Guild) -> WorldEvent | None:
        message = self._reacted_to(guild)
        if message is None:
            return None
        reaction = message.reactions.pop(self._draw.rng.randrange(len(message.reactions)))
        removed = self._reacted(message, reaction) | {"channel_id": message.channel}
        return happened("MESSAGE_REACTION_REMOVE", guild, removed)

    def clear_reactions(self, guild: Guild) -> WorldEvent | None:
        message = self._reacted_to(guild)
        if message is None:
            return None
        message.reactions.clear()
        where = {"message_id": message.id, "channel_id": message.channel}
        return happened("MESSAGE_REACTION_REMOVE_ALL", guild, where)

    def clear_emoji(self, guild: Guild) -> WorldEvent | None:
        message = self._reacted_to(guild)
        if message is None:
            return None
        gone = message.reactions[-1]
        message.reactions = [reaction for reaction in message.reactions if reaction.key != gone.key]
        where = {"message_id": message.id, "channel_id": message.channel, "emoji": gone.emoji}
        return happened("MESSAGE_REACTION_REMOVE_EMOJI", guild, where)

    def _reacted(self, message: Message, reaction: Reaction) -> Payload:
        return {
            "user_id": str(self._users.id(reaction.user)),
            "type": 0,
            "message_id": message.id,
            "emoji": reaction.emoji,
            "burst": False,
        }

    def _reacted_to(self, guild: Guild) -> Message | None:
        found = [message for message in self._scene.messages if message.guild_id == guild.id and message.reactions]
        return self._draw.pick(found) if found else None

    def _emoji(self, guild: Guild) -> Payload:
        if self._draw.random() < 0.6 or not guild.emojis:
            return {"name": self._draw.pick(EMOJI), "id": None}
        emoji = self._draw.often(list(guild.emojis.values()))
        return {"name": emoji["name"], "id": emoji["id"], "animated": emoji["animated"]}

    # -- typing ----------------------------------------------------------------------------------------------------

    def type(self, guild: Guild) -> WorldEvent:
        user = guild.members.pick(self._draw)
        typing = {
            "user_id": str(self._users.id(user)),
            "timestamp": self._draw.now // 1000,
            "member": guild.member(user),
            "channel_id": self._draw.often(guild.channels_of(TEXT, ANNOUNCEMENT)),
        }
        return happened("TYPING_START", guild, typing)


def _hidden(payload: Payload) -> Payload:
    """A message as it is shown without MESSAGE_CONTENT."""
    bare = payload | _HIDDEN
    bare.pop("poll", None)
    return bare
