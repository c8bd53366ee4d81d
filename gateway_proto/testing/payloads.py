"""Made-up payloads of dispatch events, field by field as Discord documents and sends them (Gateway Events).

A `World` holds what recurs in real traffic (users, guilds, members, channels, words), drawn once from the caller's
`rng`; users and members are encoded once. A payload is then a dict built in some microseconds.
"""

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec

from ..world.shapes import FEATURES, GAMES, LOCALES, STATUSES, Shapes
from ..world.shapes import Payload as Payload
from ..world.values import DISCORD_EPOCH, EMOJI, START

_USERS: Final = 500
_MEMBERS: Final = 60
"""Members of a guild who do something."""

_encode = msgspec.json.Encoder().encode


class _User(NamedTuple):
    id: str
    name: str
    raw: msgspec.Raw


class _Member(NamedTuple):
    user: _User
    fields: Payload
    bare: msgspec.Raw
    """As it stands in MESSAGE_CREATE: without its user."""
    full: msgspec.Raw


class _Guild(NamedTuple):
    id: str
    channels: list[str]
    voice_channels: list[str]
    roles: list[str]
    emojis: list[tuple[str, str]]
    members: list[_Member]


def guild_ids(rng: random.Random, shard: tuple[int, int], count: int) -> tuple[int, ...]:
    """Made-up ids of guilds that this shard owns: (id >> 22) % total == shard (Gateway > Sharding)."""
    index, total = shard
    found: dict[int, None] = {}
    while len(found) < count:
        age = rng.randrange(20_000_000_000, START - DISCORD_EPOCH - total)
        found[(age - age % total + index) << 22 | rng.getrandbits(22)] = None
    return tuple(found)


class World(Shapes):
    """What recurs, and a maker for each event: `makers[name]()` gives a fresh `d`."""

    def __init__(self, rng: random.Random, guild_ids: Sequence[int]) -> None:
        super().__init__(rng)
        self._users = [self._user() for _ in range(_USERS)]
        self._guilds = [self._guild(guild_id) for guild_id in guild_ids]
        self._messages: deque[tuple[_Guild, str, str, _Member]] = deque(maxlen=100)
        for _ in range(10):
            self.message_create()
        self.makers: dict[str, Callable[[], Payload]] = {
            "MESSAGE_CREATE": self.message_create,
            "MESSAGE_UPDATE": self.message_update,
            "MESSAGE_DELETE": self.message_delete,
            "MESSAGE_REACTION_ADD": self.reaction_add,
            "MESSAGE_REACTION_REMOVE": self.reaction_remove,
            "PRESENCE_UPDATE": self.presence_update,
            "TYPING_START": self.typing_start,
            "VOICE_STATE_UPDATE": self.voice_state_update,
            "GUILD_MEMBER_ADD": self.member_add,
            "GUILD_MEMBER_UPDATE": self.member_update,
            "GUILD_MEMBER_REMOVE": self.member_remove,
            "CHANNEL_UPDATE": self.channel_update,
            "THREAD_CREATE": self.thread_create,
            "GUILD_ROLE_UPDATE": self.role_update,
            "INVITE_CREATE": self.invite_create,
            "INTERACTION_CREATE": self.interaction_create,
            "GUILD_CREATE": self.guild_create,
        }

    # What recurs

    def _user(self) -> _User:
        user_id, name = self.old_snowflake(), f"{self.name()}{self.rng.randrange(100)}"
        return _User(user_id, name, msgspec.Raw(_encode(self.user(user_id, name))))

    def _member(self, user: _User, roles: list[str]) -> _Member:
        fields = self.member(roles)
        full = _encode({"user": user.raw, **fields})
        return _Member(user, fields, msgspec.Raw(_encode(fields)), msgspec.Raw(full))

    def _guild(self, guild_id: int) -> _Guild:
        roles = [self.old_snowflake() for _ in range(self.rng.randrange(3, 25))]
        return _Guild(
            id=str(guild_id),
            channels=[self.old_snowflake() for _ in range(self.rng.randrange(3, 20))],
            voice_channels=[self.old_snowflake() for _ in range(self.rng.randrange(1, 6))],
            roles=roles,
            emojis=[(self.old_snowflake(), self.name()) for _ in range(12)],
            members=[self._member(user, roles) for user in self.rng.sample(self._users, _MEMBERS)],
        )

    def _somewhere(self) -> tuple[_Guild, str, _Member]:
        self.tick()
        guild = self.often(self._guilds)
        return guild, self.often(guild.channels), self.often(guild.members)

    # Messages

    def message_create(self) -> Payload:
        guild, channel, author = self._somewhere()
        message = self._message(guild, channel, author)
        if self.random() < 0.07 and self._messages:
            self._reply(message)
        self._messages.append((guild, channel, message["id"], author))
        return message

    def message_update(self) -> Payload:
        self.tick()
        guild, channel, message_id, author = self.pick(self._messages)
        return self._message(guild, channel, author) | {"id": message_id, "edited_timestamp": self.timestamp()}

    def message_delete(self) -> Payload:
        self.tick()
        guild, channel, message_id, _ = self.pick(self._messages)
        return {"id": message_id, "channel_id": channel, "guild_id": guild.id}

    def _message(self, guild: _Guild, channel: str, author: _Member) -> Payload:
        chance = self.random
        mentioned = self.often(guild.members) if chance() < 0.07 else None
        text = self.text()
        message: Payload = {
            "type": 0,
            "tts": False,
            "timestamp": self.timestamp(),
            "pinned": False,
            "nonce": self.snowflake(),
            "mentions": [] if mentioned is None else [self._mention(mentioned)],
            "mention_roles": [self.pick(guild.roles)] if chance() < 0.03 else [],
            "mention_everyone": False,
            "member": author.bare,
            "id": self.snowflake(),
            "flags": 0,
            "embeds": [self.embed()] if chance() < 0.05 else [],
            "edited_timestamp": None,
            "content": text if mentioned is None else f"<@{mentioned.user.id}> {text}",
            "components": [self.buttons()] if chance() < 0.04 else [],
            "channel_type": 0,
            "channel_id": channel,
            "author": author.user.raw,
            "attachments": [self.attachment(channel)] if chance() < 0.06 else [],
            "guild_id": guild.id,
        }
        if chance() < 0.02:
            message["sticker_items"] = [{"name": self.name(), "id": self.old_snowflake(), "format_type": 1}]
        return message

    def _mention(self, member: _Member) -> Payload:
        user: Payload = msgspec.json.decode(member.user.raw)
        return user | {"member": member.bare}

    def _reply(self, message: Payload) -> None:
        guild, channel, message_id, author = self.pick(self._messages)
        answered = self._message(guild, channel, author) | {"id": message_id}
        del answered["member"], answered["nonce"], answered["channel_type"], answered["guild_id"]
        message |= {
            "type": 19,
            "message_reference": {"type": 0, "message_id": message_id, "guild_id": guild.id, "channel_id": channel},
            "referenced_message": answered,
            "channel_id": channel,
            "guild_id": guild.id,
        }

    def _emoji(self, guild: _Guild) -> Payload:
        if self.random() < 0.6:
            return {"name": self.pick(EMOJI), "id": None}
        emoji_id, name = self.often(guild.emojis)
        return {"name": name, "id": emoji_id, "animated": False}

    def reaction_add(self) -> Payload:
        self.tick()
        guild, channel, message_id, author = self.pick(self._messages)
        member = self.often(guild.members)
        return {
            "user_id": member.user.id,
            "type": 0,
            "message_id": message_id,
            "message_author_id": author.user.id,
            "member": member.full,
            "emoji": self._emoji(guild),
            "channel_id": channel,
            "burst": False,
            "guild_id": guild.id,
        }

    def reaction_remove(self) -> Payload:
        added = self.reaction_add()
        del added["member"], added["message_author_id"]
        return added

    # People

    def typing_start(self) -> Payload:
        guild, channel, member = self._somewhere()
        return {
            "user_id": member.user.id,
            "timestamp": self.now // 1000,
            "member": member.full,
            "channel_id": channel,
            "guild_id": guild.id,
        }

    def presence_update(self) -> Payload:
        guild, _, member = self._somewhere()
        return self._presence(member.user.id) | {"guild_id": guild.id}

    def _presence(self, user_id: str) -> Payload:
        return self.presence(user_id, self.often(STATUSES))

    def application(self) -> str:
        return self.pick(self._guilds).roles[0]

    def voice_state_update(self) -> Payload:
        guild, _, member = self._somewhere()
        state = self._voice_state(guild, member)
        if self.random() < 0.3:
            state["channel_id"] = None
        return state | {"member": member.full, "guild_id": guild.id}

    def _voice_state(self, guild: _Guild, member: _Member) -> Payload:
        return {
            "user_id": member.user.id,
            "suppress": False,
            "session_id": self.hash(),
            "self_video": False,
            "self_mute": self.random() < 0.4,
            "self_deaf": self.random() < 0.2,
            "request_to_speak_timestamp": None,
            "mute": False,
            "deaf": False,
            "channel_id": self.often(guild.voice_channels),
        }

    def member_add(self) -> Payload:
        self.tick()
        guild = self.often(self._guilds)
        member = self._member(self._user(), guild.roles)
        fields = member.fields | {"roles": [], "joined_at": self.timestamp(), "nick": None}
        return {"user": member.user.raw, **fields, "guild_id": guild.id}

    def member_update(self) -> Payload:
        guild, _, member = self._somewhere()
        roles = self.rng.sample(guild.roles, k=min(3, len(guild.roles)))
        return {"user": member.user.raw, **member.fields, "roles": roles, "guild_id": guild.id}

    def member_remove(self) -> Payload:
        guild, _, member = self._somewhere()
        return {"user": member.user.raw, "guild_id": guild.id}

    # What a guild consists of

    def _overwrites(self, guild: _Guild) -> list[Payload]:
        return [
            {"type": 0, "id": role, "deny": str(self.pick((0, 1024, 2048))), "allow": str(self.rng.getrandbits(36))}
            for role in [guild.id, *guild.roles[: int(self.random() * 4)]]
        ]

    def _channel(self, guild: _Guild, channel: str, type: int = 0) -> Payload:
        fields: Payload = {
            "version": self.now,
            "type": type,
            "position": self.rng.randrange(60),
            "permission_overwrites": self._overwrites(guild),
            "parent_id": guild.channels[0],
            "name": f"{self.name()}-{self.name()}",
            "id": channel,
            "flags": 0,
        }
        if type == 2:
            return fields | {"user_limit": 0, "rtc_region": None, "bitrate": 64_000, "rate_limit_per_user": 0}
        return fields | {
            "topic": self.text(12) if self.random() < 0.5 else None,
            "rate_limit_per_user": self.pick((0, 0, 5, 10)),
            "nsfw": False,
            "last_message_id": self.snowflake(),
            "last_pin_timestamp": self.old_timestamp(),
            "icon_emoji": {"name": self.pick(EMOJI), "id": None},
        }

    def channel_update(self) -> Payload:
        guild, channel, _ = self._somewhere()
        return self._channel(guild, channel) | {"guild_id": guild.id}

    def thread_create(self) -> Payload:
        guild, channel, owner = self._somewhere()
        return {
            "type": 11,
            "total_message_sent": 0,
            "thread_metadata": {
                "locked": False,
                "create_timestamp": self.timestamp(),
                "auto_archive_duration": 4320,
                "archived": False,
                "archive_timestamp": self.timestamp(),
            },
            "rate_limit_per_user": 0,
            "parent_id": channel,
            "owner_id": owner.user.id,
            "newly_created": True,
            "name": self.text(7),
            "message_count": 0,
            "member_ids_preview": [owner.user.id],
            "member_count": 1,
            "last_message_id": None,
            "id": self.snowflake(),
            "guild_id": guild.id,
            "flags": 0,
        }

    def role_update(self) -> Payload:
        guild, _, _ = self._somewhere()
        return {"role": self.role(self.pick(guild.roles)), "guild_id": guild.id}

    def invite_create(self) -> Payload:
        guild, channel, member = self._somewhere()
        return {
            "uses": 0,
            "type": 0,
            "temporary": False,
            "max_uses": 0,
            "max_age": 604_800,
            "inviter": member.user.raw,
            "guild_id": guild.id,
            "expires_at": self.timestamp(),
            "created_at": self.timestamp(),
            "code": self.hash()[:8],
            "channel_id": channel,
        }

    def interaction_create(self) -> Payload:
        guild, channel, member = self._somewhere()
        bot = guild.roles[0]
        permissions = str(self.rng.getrandbits(52))
        partial = self._channel(guild, channel) | {"guild_id": guild.id, "permissions": permissions}
        del partial["permission_overwrites"]
        return {
            "version": 1,
            "type": 2,
            "token": f"{self.hash()}{self.hash()}{self.hash()}{self.hash()}",
            "member": {"user": member.user.raw, **member.fields, "permissions": permissions},
            "locale": self.often(LOCALES),
            "id": self.snowflake(),
            "guild_locale": "en-US",
            "guild_id": guild.id,
            "guild": {"locale": "en-US", "id": guild.id, "features": list(FEATURES[:3])},
            "entitlements": [],
            "entitlement_sku_ids": [],
            "data": {
                "type": 1,
                "options": [{"value": self.text(6), "type": 3, "name": "query"}],
                "name": self.often(GAMES).split()[0].lower(),
                "id": guild.roles[-1],
            },
            "context": 0,
            "channel_id": channel,
            "channel": partial,
            "authorizing_integration_owners": {"0": guild.id},
            "attachment_size_limit": 10_485_760,
            "application_id": bot,
            "app_permissions": str(self.rng.getrandbits(52)),
        }

    def guild_create(self) -> Payload:
        """A whole guild: 5 to 200 KB, one in thirty up to five times that."""
        self.tick()
        guild = self.pick(self._guilds)
        payload = self._guild_frame(guild)
        size = 5_500 * 36 ** self.random() * (5 if self.random() < 1 / 30 else 1) - len(_encode(payload))
        channels: list[Payload] = []
        members: list[msgspec.Raw] = []
        presences: list[Payload] = []
        voice: list[Payload] = []
        while size > 0:
            # About 1,100 bytes: a member, a presence, now and then a channel and somebody in voice.
            member = self._member(self._user(), guild.roles)
            members.append(member.full)
            presence = self._presence(member.user.id)
            if presence["status"] != "offline":
                presences.append(presence)
            if len(channels) < len(members) // 4 + 2 and len(channels) < 200:
                channels.append(self._channel(guild, self.old_snowflake(), self.pick((0, 0, 2))))
            if len(members) % 16 == 0:
                voice.append(self._voice_state(guild, member))
            size -= 1_060
        return payload | {
            "channels": channels,
            "members": members,
            "presences": presences,
            "voice_states": voice,
            "member_count": len(members),
            "large": len(members) > 250,
        }

    def _guild_frame(self, guild: _Guild) -> Payload:
        return {
            "version": self.now,
            "verification_level": 1,
            "vanity_url_code": None,
            "unavailable": False,
            "threads": [],
            "system_channel_id": guild.channels[0],
            "system_channel_flags": 0,
            "stickers": [],
            "stage_instances": [],
            "splash": None,
            "soundboard_sounds": [],
            "safety_alerts_channel_id": None,
            "rules_channel_id": None,
            "roles": [self.role(role) for role in (guild.id, *guild.roles[:4])],
            **self.guild_standing(guild.members[0].user.id),
            "joined_at": self.old_timestamp(),
            **self.guild_looks(guild.id),
            "guild_scheduled_events": [],
            **self.guild_features(),
            "emojis": [
                {"version": 0, "roles": [], "require_colons": True, "name": name, "managed": False, "id": emoji,
                 "available": True, "animated": False}
                for emoji, name in guild.emojis[:3]
            ],
            **self.guild_rest(),
        }  # fmt: skip
