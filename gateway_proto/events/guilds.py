"""Events of guilds: members, roles, expressions, bans, scheduled events, the audit log."""

from typing import ClassVar

from .model import UNSET, Later, Maybe, Model, Snowflake, Timestamp
from .structures.audit_log import AuditLogEntry
from .structures.channel import Channel
from .structures.emoji import Emoji
from .structures.guild import Guild, GuildMember, UnavailableGuild
from .structures.guild_scheduled_event import GuildScheduledEvent
from .structures.permissions import Role
from .structures.presence import Presence
from .structures.soundboard import SoundboardSound
from .structures.stage_instance import StageInstance
from .structures.sticker import Sticker
from .structures.user import AvatarDecorationData, Collectibles, User
from .structures.voice import VoiceState

__all__ = [
    "GuildAuditLogEntryCreate",
    "GuildBanAdd",
    "GuildBanRemove",
    "GuildCreate",
    "GuildDelete",
    "GuildEmojisUpdate",
    "GuildIntegrationsUpdate",
    "GuildMemberAdd",
    "GuildMemberRemove",
    "GuildMemberUpdate",
    "GuildMembersChunk",
    "GuildRoleCreate",
    "GuildRoleDelete",
    "GuildRoleUpdate",
    "GuildScheduledEventCreate",
    "GuildScheduledEventDelete",
    "GuildScheduledEventUpdate",
    "GuildScheduledEventUserAdd",
    "GuildScheduledEventUserRemove",
    "GuildSoundboardSoundCreate",
    "GuildSoundboardSoundDelete",
    "GuildSoundboardSoundUpdate",
    "GuildSoundboardSoundsUpdate",
    "GuildStickersUpdate",
    "GuildUpdate",
    "SoundboardSounds",
]


class GuildCreate(Guild, frozen=True, kw_only=True):
    """`GUILD_CREATE`: a guild of READY, one back from an outage, or one just joined.

    (Discord: Gateway Events > Guild Create) A guild in an outage comes as `UnavailableGuild` instead. Intents: GUILDS.
    """

    LATER: ClassVar[Later] = {
        **Guild.LATER,
        "threads": lambda guild: [],  # 2021
        "stage_instances": lambda guild: [],  # 2021
        "guild_scheduled_events": lambda guild: [],  # 2021
        "soundboard_sounds": lambda guild: [],  # 2024
    }

    joined_at: Timestamp
    """When the bot joined."""
    large: bool
    """More members than IDENTIFY's `large_threshold`: offline ones are left out."""
    unavailable: Maybe[bool] = UNSET
    """True: in an outage."""
    member_count: int
    voice_states: list[VoiceState]
    """Without `guild_id`."""
    members: list[GuildMember]
    """Only the bot and who is in voice, without GUILD_PRESENCES or above 75,000 members."""
    channels: list[Channel]
    threads: list[Channel]
    """Active ones that the bot may view."""
    presences: list[Presence]
    """As `members`."""
    stage_instances: list[StageInstance]
    guild_scheduled_events: list[GuildScheduledEvent]
    soundboard_sounds: list[SoundboardSound]


class GuildUpdate(Guild, frozen=True, kw_only=True):
    """`GUILD_UPDATE`: a guild's settings changed (Discord: Gateway Events > Guild Update).

    Intents: GUILDS.
    """


class GuildDelete(UnavailableGuild, frozen=True, kw_only=True):
    """`GUILD_DELETE`: a guild has an outage, or the bot is no longer in it (Discord: Gateway Events > Guild Delete).

    `unavailable` is True in an outage, UNSET if the bot left or was removed. Intents: GUILDS.
    """


class GuildAuditLogEntryCreate(AuditLogEntry, frozen=True, kw_only=True):
    """`GUILD_AUDIT_LOG_ENTRY_CREATE`: the audit log has a new entry.

    (Discord: Gateway Events > Guild Audit Log Entry Create) Sent to bots with the permission VIEW_AUDIT_LOG. Intents:
    GUILD_MODERATION.
    """

    guild_id: Snowflake


class GuildBanAdd(Model, frozen=True, kw_only=True):
    """`GUILD_BAN_ADD`: a user was banned (Discord: Gateway Events > Guild Ban Add).

    Sent to bots with the permission BAN_MEMBERS. Intents: GUILD_MODERATION.
    """

    guild_id: Snowflake
    user: User


class GuildBanRemove(Model, frozen=True, kw_only=True):
    """`GUILD_BAN_REMOVE`: a user's ban was lifted (Discord: Gateway Events > Guild Ban Remove).

    Sent to bots with the permission BAN_MEMBERS. Intents: GUILD_MODERATION.
    """

    guild_id: Snowflake
    user: User


class GuildEmojisUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_EMOJIS_UPDATE`: the custom emojis changed; here are all of them.

    (Discord: Gateway Events > Guild Emojis Update) Intents: GUILD_EXPRESSIONS.
    """

    guild_id: Snowflake
    emojis: list[Emoji]


class GuildStickersUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_STICKERS_UPDATE`: the stickers changed; here are all of them.

    (Discord: Gateway Events > Guild Stickers Update) Intents: GUILD_EXPRESSIONS.
    """

    guild_id: Snowflake
    stickers: list[Sticker]


class GuildIntegrationsUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_INTEGRATIONS_UPDATE`: some integration changed (Discord: Gateway Events > Guild Integrations Update).

    INTEGRATION_CREATE and its kin say which. Intents: GUILD_INTEGRATIONS.
    """

    guild_id: Snowflake


class GuildMemberAdd(GuildMember, frozen=True, kw_only=True):
    """`GUILD_MEMBER_ADD`: a user joined a guild (Discord: Gateway Events > Guild Member Add).

    Intents: GUILD_MEMBERS (privileged).
    """

    guild_id: Snowflake


class GuildMemberRemove(Model, frozen=True, kw_only=True):
    """`GUILD_MEMBER_REMOVE`: a user left, or was kicked or banned (Discord: Gateway Events > Guild Member Remove).

    Intents: GUILD_MEMBERS (privileged).
    """

    guild_id: Snowflake
    user: User


class GuildMemberUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_MEMBER_UPDATE`: a member changed, or that member's user (Discord: Gateway Events > Guild Member Update).

    Fields mean what they mean in `GuildMember`. Intents: GUILD_MEMBERS (privileged); without it only the bot's own.
    """

    guild_id: Snowflake
    roles: list[Snowflake]
    user: User
    nick: Maybe[str | None] = UNSET
    avatar: str | None = None
    banner: str | None = None
    joined_at: Timestamp | None = None
    premium_since: Maybe[Timestamp | None] = UNSET
    deaf: Maybe[bool] = UNSET
    mute: Maybe[bool] = UNSET
    pending: Maybe[bool] = UNSET
    communication_disabled_until: Maybe[Timestamp | None] = UNSET
    avatar_decoration_data: Maybe[AvatarDecorationData | None] = UNSET
    collectibles: Maybe[Collectibles | None] = UNSET


class GuildMembersChunk(Model, frozen=True, kw_only=True):
    """`GUILD_MEMBERS_CHUNK`: part of the answer to Request Guild Members.

    (Discord: Gateway Events > Guild Members Chunk) At most 1,000 members each. Intents: none; all members may be asked
    for with GUILD_MEMBERS only, presences with GUILD_PRESENCES (both privileged).
    """

    guild_id: Snowflake
    members: list[GuildMember]
    chunk_index: int
    """0 to `chunk_count` - 1."""
    chunk_count: int
    not_found: Maybe[list[Snowflake]] = UNSET
    """Of the ids asked for, those that are no members."""
    presences: Maybe[list[Presence]] = UNSET
    """If they were asked for."""
    nonce: Maybe[str] = UNSET
    """The request's, at most 32 bytes."""


class GuildRoleCreate(Model, frozen=True, kw_only=True):
    """`GUILD_ROLE_CREATE`: a role was made (Discord: Gateway Events > Guild Role Create).

    Intents: GUILDS.
    """

    guild_id: Snowflake
    role: Role


class GuildRoleUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_ROLE_UPDATE`: a role changed (Discord: Gateway Events > Guild Role Update).

    Intents: GUILDS.
    """

    guild_id: Snowflake
    role: Role


class GuildRoleDelete(Model, frozen=True, kw_only=True):
    """`GUILD_ROLE_DELETE`: a role was deleted (Discord: Gateway Events > Guild Role Delete).

    Intents: GUILDS.
    """

    guild_id: Snowflake
    role_id: Snowflake


class GuildScheduledEventCreate(GuildScheduledEvent, frozen=True, kw_only=True):
    """`GUILD_SCHEDULED_EVENT_CREATE`: an event was scheduled (Discord: Gateway Events > Guild Scheduled Event Create).

    Intents: GUILD_SCHEDULED_EVENTS.
    """


class GuildScheduledEventUpdate(GuildScheduledEvent, frozen=True, kw_only=True):
    """`GUILD_SCHEDULED_EVENT_UPDATE`: a scheduled event changed, began or ended.

    (Discord: Gateway Events > Guild Scheduled Event Update) Intents: GUILD_SCHEDULED_EVENTS.
    """


class GuildScheduledEventDelete(GuildScheduledEvent, frozen=True, kw_only=True):
    """`GUILD_SCHEDULED_EVENT_DELETE`: a scheduled event was deleted.

    (Discord: Gateway Events > Guild Scheduled Event Delete) Intents: GUILD_SCHEDULED_EVENTS.
    """


class GuildScheduledEventUserAdd(Model, frozen=True, kw_only=True):
    """`GUILD_SCHEDULED_EVENT_USER_ADD`: a user subscribed to a scheduled event.

    (Discord: Gateway Events > Guild Scheduled Event User Add) Intents: GUILD_SCHEDULED_EVENTS.
    """

    guild_scheduled_event_id: Snowflake
    user_id: Snowflake
    guild_id: Snowflake


class GuildScheduledEventUserRemove(Model, frozen=True, kw_only=True):
    """`GUILD_SCHEDULED_EVENT_USER_REMOVE`: a user unsubscribed from a scheduled event.

    (Discord: Gateway Events > Guild Scheduled Event User Remove) Intents: GUILD_SCHEDULED_EVENTS.
    """

    guild_scheduled_event_id: Snowflake
    user_id: Snowflake
    guild_id: Snowflake


class GuildSoundboardSoundCreate(SoundboardSound, frozen=True, kw_only=True):
    """`GUILD_SOUNDBOARD_SOUND_CREATE`: a sound was added (Discord: Gateway Events > Guild Soundboard Sound Create).

    Intents: GUILD_EXPRESSIONS.
    """


class GuildSoundboardSoundUpdate(SoundboardSound, frozen=True, kw_only=True):
    """`GUILD_SOUNDBOARD_SOUND_UPDATE`: a sound changed (Discord: Gateway Events > Guild Soundboard Sound Update).

    Intents: GUILD_EXPRESSIONS.
    """


class GuildSoundboardSoundDelete(Model, frozen=True, kw_only=True):
    """`GUILD_SOUNDBOARD_SOUND_DELETE`: a sound was deleted (Discord: Gateway Events > Guild Soundboard Sound Delete).

    Intents: GUILD_EXPRESSIONS.
    """

    sound_id: Snowflake
    guild_id: Snowflake


class GuildSoundboardSoundsUpdate(Model, frozen=True, kw_only=True):
    """`GUILD_SOUNDBOARD_SOUNDS_UPDATE`: several sounds changed at once.

    (Discord: Gateway Events > Guild Soundboard Sounds Update) Intents: GUILD_EXPRESSIONS.
    """

    soundboard_sounds: list[SoundboardSound]
    """All of the guild's."""
    guild_id: Snowflake


class SoundboardSounds(Model, frozen=True, kw_only=True):
    """`SOUNDBOARD_SOUNDS`: answers Request Soundboard Sounds, one for each guild.

    (Discord: Gateway Events > Soundboard Sounds) Intents: none.
    """

    soundboard_sounds: list[SoundboardSound]
    guild_id: Snowflake
