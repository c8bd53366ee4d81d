"""One guild as it is now: its settings, roles, channels, members and what they do, as Discord's JSON shows them."""

from typing import Any, Final

import msgspec

from .members import Members
from .mixing import mix
from .presences import Presences
from .shapes import Payload, Shapes
from .users import BOT, Users
from .values import EMOJI, START

TEXT: Final = 0
VOICE: Final = 2
CATEGORY: Final = 4
ANNOUNCEMENT: Final = 5
STAGE: Final = 13
LARGEST: Final = 75_000
"""Members above which GUILD_CREATE has no more than the bot and who is in voice (Gateway Events > Guild Create)."""

_DERIVED: Final = 10
"""The kinds of seeds of a guild, beside those of `users.py`: guild, member."""


class Guild:
    """One guild. Ids are the keys, the values are payloads; whoever changes one replaces it.

    It derives from (seed, id, count), so that one that never changed need not be kept.
    """

    def __init__(self, id: int, users: Users, presences: Presences, count: int) -> None:
        make = users.seed(_DERIVED, id)
        n = make.rng.randrange
        self.id: int = id
        self.joined_at: str = make.old_timestamp()
        self.members: Members = Members(users, id, count)
        self._users = users
        self._presences = presences
        ids = [str(id), *(make.old_snowflake() for _ in range(n(4, 14)))]
        self.roles: dict[str, Payload] = {role: make.role(role) for role in ids}
        self.roles[ids[0]] |= {"name": "@everyone", "position": 0, "hoist": False}
        self.bot_role: str = ids[1]
        self.roles[ids[1]] |= {"managed": True, "tags": {"bot_id": str(users.bot_id)}}
        self._given: list[str] = ids[2:]
        """The roles that derived members have, if they still exist."""
        self.channels: dict[str, Payload] = {}
        self._derive_channels(make)
        self.threads: dict[str, Payload] = {}
        self.emojis: dict[str, Payload] = self._of([emoji(make) for _ in range(n(3, 12))])
        self.stickers: dict[str, Payload] = self._of([sticker(make, id) for _ in range(n(3))])
        self.sounds: dict[str, Payload] = self._of([sound(make, id) for _ in range(n(5))], "sound_id")
        self.scheduled: dict[str, Payload] = {}
        self.subscribers: dict[str, dict[int, None]] = {}
        """Who is interested in which scheduled event."""
        self.stages: dict[str, Payload] = {}
        """The stages that are live."""
        self.rules: dict[str, Payload] = {}
        """Of auto moderation."""
        self.integrations: dict[str, Payload] = {}
        self.invites: dict[str, str] = {}
        """The channels that they lead to, by their codes."""
        self.bans: dict[int, None] = {}
        self.statuses: dict[str, str] = {}
        """Of voice channels."""
        self.fields: Payload = self._frame(make)
        self.voice: dict[int, Payload] = {}
        """Who is in which voice channel: states without guild and member."""
        self.voice_since: dict[str, int] = {}
        """When the first came into a voice channel where somebody is: seconds since the Unix epoch."""
        self._derive_voice(make)

    # -- what it was made of ---------------------------------------------------------------------------------------

    @staticmethod
    def _of(payloads: list[Payload], key: str = "id") -> dict[str, Payload]:
        return {payload[key]: payload for payload in payloads}

    def _derive_channels(self, make: Shapes) -> None:
        n = make.rng.randrange
        for type, count in ((CATEGORY, 2), (TEXT, n(3, 12)), (ANNOUNCEMENT, n(2)), (VOICE, n(1, 5)), (STAGE, n(2))):
            for _ in range(count):
                made = self.new_channel(make, make.old_snowflake(), type)
                self.channels[made["id"]] = made

    def new_channel(self, make: Shapes, id: str, type: int) -> Payload:
        """The payload of a channel without its guild; it is not put anywhere."""
        categories = [one["id"] for one in self.channels.values() if one["type"] == CATEGORY]
        fields: Payload = {
            "version": make.now,
            "type": type,
            "position": len(self.channels),
            "permission_overwrites": [
                {"type": 0, "id": role, "deny": str(make.pick((0, 1024, 2048))), "allow": str(make.rng.getrandbits(36))}
                for role in make.rng.sample(list(self.roles), k=int(make.random() * 3))
            ],
            "parent_id": None if type == CATEGORY else make.pick(categories),
            "name": f"{make.name()}-{make.name()}",
            "id": id,
            "flags": 0,
        }
        if type == CATEGORY:
            return fields
        if type == VOICE:
            return fields | {"user_limit": 0, "rtc_region": None, "bitrate": 64_000, "rate_limit_per_user": 0}
        if type == STAGE:
            stage = {"user_limit": 10_000, "rtc_region": None, "bitrate": 64_000, "rate_limit_per_user": 0}
            return fields | stage | {"topic": None, "nsfw": False}
        return fields | {
            "topic": make.text(12) if make.random() < 0.5 else None,
            "rate_limit_per_user": make.pick((0, 0, 5, 10)),
            "nsfw": False,
            "last_message_id": make.old_snowflake(),
            "last_pin_timestamp": make.old_timestamp(),
            "icon_emoji": {"name": make.pick(EMOJI), "id": None},
        }

    def _derive_voice(self, make: Shapes) -> None:
        for channel in self.channels_of(VOICE):
            for _ in range(make.rng.randrange(3)):
                user = self.members.pick(make)
                self.voice[user] = self.new_voice_state(make, user, channel)
        self.voice_since = dict.fromkeys(self.busy_channels(), START // 1000)

    def busy_channels(self) -> dict[str, None]:
        """The voice channels where somebody is."""
        return dict.fromkeys(str(state["channel_id"]) for state in self.voice.values())

    def new_voice_state(self, make: Shapes, user: int, channel: str) -> Payload:
        """In a stage channel one of the audience."""
        return {
            "user_id": str(self._users.id(user)),
            "suppress": self.channels[channel]["type"] == STAGE,
            "session_id": make.hash(),
            "self_video": False,
            "self_mute": make.random() < 0.4,
            "self_deaf": make.random() < 0.2,
            "request_to_speak_timestamp": None,
            "mute": False,
            "deaf": False,
            "channel_id": channel,
        }

    def _frame(self, make: Shapes) -> Payload:
        """The settings: what is neither a list of something nor counted."""
        return {
            "version": make.now,
            "verification_level": 1,
            "vanity_url_code": None,
            "system_channel_id": self.text_channel,
            "system_channel_flags": 0,
            "splash": None,
            "safety_alerts_channel_id": None,
            "rules_channel_id": None,
            **make.guild_standing(str(self._users.id(self.members.owner))),
            **make.guild_looks(str(self.id)),
            **make.guild_features(),
            **make.guild_rest(),
        }

    # -- what is in it ---------------------------------------------------------------------------------------------

    @property
    def text_channel(self) -> str:
        """The first text channel, which is never deleted."""
        return self.channels_of(TEXT)[0]

    def channels_of(self, *types: int) -> list[str]:
        return [id for id, channel in self.channels.items() if channel["type"] in types]

    def assignable_roles(self) -> list[str]:
        """All but @everyone and the bot's own."""
        return [role for role in self.roles if role not in (str(self.id), self.bot_role)]

    def member_fields(self, user: int) -> Payload:
        """A Guild Member without its user."""
        if user == BOT:
            fields = self._users.seed(_DERIVED + 1, self.id, 0).member([])
            fields |= {"roles": [self.bot_role], "joined_at": self.joined_at}
        else:
            fields = self._users.seed(_DERIVED + 1, self.id, user).member(self._given)
        fields["nick"] = self.members.nick(user)
        fields |= self.members.changes(user)
        fields["roles"] = [role for role in fields["roles"] if role in self.roles]
        return fields

    def member(self, user: int) -> Payload:
        """A Guild Member."""
        return {"user": self._users.raw(user), **self.member_fields(user)}

    def status(self, user: int) -> str:
        return self._presences.status(self.id, user)

    def presence(self, user: int) -> msgspec.Raw:
        """As GUILD_CREATE has it; not the bot's, which its session knows."""
        return msgspec.Raw(self._presences.raw(self.id, user))

    def voice_state(self, user: int) -> Payload:
        """As VOICE_STATE_UPDATE has it, for who is in voice."""
        return self.voice[user] | {"member": self.member(user), "guild_id": str(self.id)}

    # -- what it looks like ----------------------------------------------------------------------------------------

    def settings(self) -> Payload:
        """A Guild, as GUILD_UPDATE has it."""
        return self.fields | {
            "roles": list(self.roles.values()),
            "emojis": list(self.emojis.values()),
            "stickers": list(self.stickers.values()),
        }

    def whole(
        self, channels: list[Payload], *, presences: bool, voice: bool, large_threshold: int, bot_presence: Payload
    ) -> Payload:
        """What GUILD_CREATE has, by what a session may see.

        Args:
            channels: those of the guild, brought up to date.
            presences, voice: the session has GUILD_PRESENCES, GUILD_VOICE_STATES.
            large_threshold: members above which offline ones are left out.
        """
        count = len(self.members)
        shown: list[Any]
        online: list[Any] = []
        if not presences or count > LARGEST:
            shown = [BOT, *(user for user in self.voice if user != BOT)]
        elif count > large_threshold:
            shown = [u for u in self.members if u == BOT or u in self.voice or self.status(u) != "offline"]
        else:
            shown = list(self.members)
        if presences:
            online = [self.presence(user) for user in shown if user != BOT and self.status(user) != "offline"]
            online.append(bot_presence)
        return self.settings() | {
            "unavailable": False,
            "joined_at": self.joined_at,
            "large": count > large_threshold,
            "member_count": count,
            "voice_states": list(self.voice.values()) if voice else [],
            "members": [self.member(user) for user in shown],
            "channels": channels,
            "threads": list(self.threads.values()),
            "presences": online,
            "stage_instances": list(self.stages.values()),
            "guild_scheduled_events": list(self.scheduled.values()),
            "soundboard_sounds": list(self.sounds.values()),
        }


def emoji(make: Shapes) -> Payload:
    """A custom emoji."""
    return {
        "version": 0,
        "roles": [],
        "require_colons": True,
        "name": make.name(),
        "managed": False,
        "id": make.old_snowflake(),
        "available": True,
        "animated": make.random() < 0.2,
    }


def sticker(make: Shapes, guild_id: int) -> Payload:
    """A guild's sticker."""
    return {
        "type": 2,
        "tags": make.name(),
        "name": make.name(),
        "id": make.old_snowflake(),
        "guild_id": str(guild_id),
        "format_type": 1,
        "description": make.text(5),
        "available": True,
        "asset": "",
    }


def sound(make: Shapes, guild_id: int) -> Payload:
    """A guild's soundboard sound."""
    return {
        "volume": 1.0,
        "sound_id": make.old_snowflake(),
        "name": make.name(),
        "guild_id": str(guild_id),
        "emoji_name": make.pick(EMOJI),
        "emoji_id": None,
        "available": True,
    }


def bounded_count(seed: int, index: int, members: int) -> int:
    """How many members a guild has at first, beside the bot; the second of each fifty has far more than `members`."""
    share = mix(seed, 6, index) / 2**64
    count = members * (0.25 + 1.5 * share)
    return max(1, round(count * (5 + 15 * share) if index % 50 == 1 else count))
