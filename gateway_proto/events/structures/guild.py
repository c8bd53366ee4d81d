"""Guilds (servers) and their members."""

from typing import ClassVar

from ..model import UNSET, Flags, Later, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .emoji import Emoji
from .permissions import PermissionSet, Role
from .sticker import Sticker
from .user import AvatarDecorationData, Collectibles, User

__all__ = [
    "DefaultMessageNotificationLevel",
    "ExplicitContentFilterLevel",
    "Guild",
    "GuildMember",
    "GuildMemberFlags",
    "GuildNSFWLevel",
    "IncidentsData",
    "MFALevel",
    "PartialGuild",
    "PartialGuildMember",
    "PremiumTier",
    "SystemChannelFlags",
    "UnavailableGuild",
    "VerificationLevel",
    "WelcomeScreen",
    "WelcomeScreenChannel",
]


class DefaultMessageNotificationLevel(OpenEnum):
    """Of what members are told (Discord: Guild Resource > Default Message Notification Level)."""

    ALL_MESSAGES = 0
    ONLY_MENTIONS = 1


class ExplicitContentFilterLevel(OpenEnum):
    """Whose media are scanned (Discord: Guild Resource > Explicit Content Filter Level)."""

    DISABLED = 0
    MEMBERS_WITHOUT_ROLES = 1
    ALL_MEMBERS = 2


class GuildMemberFlags(Flags):
    """What a member has gone through, or is kept from (Discord: Guild Resource > Guild Member Flags)."""

    DID_REJOIN = 1 << 0
    COMPLETED_ONBOARDING = 1 << 1
    BYPASSES_VERIFICATION = 1 << 2
    """The only one that can be set."""
    STARTED_ONBOARDING = 1 << 3
    IS_GUEST = 1 << 4
    """Sees nothing but the voice channel of the invite."""
    STARTED_HOME_ACTIONS = 1 << 5
    """Of the server guide."""
    COMPLETED_HOME_ACTIONS = 1 << 6
    AUTOMOD_QUARANTINED_USERNAME = 1 << 7
    """A name is blocked by auto moderation."""
    DM_SETTINGS_UPSELL_ACKNOWLEDGED = 1 << 9
    AUTOMOD_QUARANTINED_GUILD_TAG = 1 << 10


class GuildNSFWLevel(OpenEnum):
    """For which age Discord judges a guild fit (Discord: Guild Resource > Guild Age-Restriction Level)."""

    DEFAULT = 0
    EXPLICIT = 1
    SAFE = 2
    AGE_RESTRICTED = 3


class MFALevel(OpenEnum):
    """Whether moderators must have two-factor authentication (Discord: Guild Resource > MFA Level)."""

    NONE = 0
    ELEVATED = 1


class PremiumTier(OpenEnum):
    """How far a guild has been boosted (Discord: Guild Resource > Premium Tier)."""

    NONE = 0
    TIER_1 = 1
    TIER_2 = 2
    TIER_3 = 3


class SystemChannelFlags(Flags):
    """Notices that the system channel does not get (Discord: Guild Resource > System Channel Flags)."""

    SUPPRESS_JOIN_NOTIFICATIONS = 1 << 0
    SUPPRESS_PREMIUM_SUBSCRIPTIONS = 1 << 1
    """Boosts."""
    SUPPRESS_GUILD_REMINDER_NOTIFICATIONS = 1 << 2
    """Tips for setting the guild up."""
    SUPPRESS_JOIN_NOTIFICATION_REPLIES = 1 << 3
    """The button that greets with a sticker."""
    SUPPRESS_ROLE_SUBSCRIPTION_PURCHASE_NOTIFICATIONS = 1 << 4
    SUPPRESS_ROLE_SUBSCRIPTION_PURCHASE_NOTIFICATION_REPLIES = 1 << 5


class VerificationLevel(OpenEnum):
    """What an account needs in order to take part (Discord: Guild Resource > Verification Level)."""

    NONE = 0
    LOW = 1
    """A verified email."""
    MEDIUM = 2
    """And 5 minutes on Discord."""
    HIGH = 3
    """And 10 minutes in the guild."""
    VERY_HIGH = 4
    """A verified phone number."""


class WelcomeScreenChannel(Model, frozen=True, kw_only=True):
    """A channel that newcomers are pointed to (Discord: Guild Resource > Welcome Screen Channel Structure)."""

    channel_id: Snowflake
    description: str
    emoji_id: Snowflake | None = None
    """None: a Unicode emoji, or none."""
    emoji_name: str | None = None
    """Of a Unicode emoji the characters; None: no emoji."""


class WelcomeScreen(Model, frozen=True, kw_only=True):
    """What newcomers to a Community guild see first (Discord: Guild Resource > Welcome Screen Object)."""

    description: str | None = None
    welcome_channels: list[WelcomeScreenChannel]
    """At most 5."""


class IncidentsData(Model, frozen=True, kw_only=True):
    """Raids noticed in a guild, and what is shut because of them (Discord: Guild Resource > Incidents Data Object)."""

    invites_disabled_until: Timestamp | None = None
    """None: not disabled."""
    dms_disabled_until: Timestamp | None = None
    """None: not disabled."""
    dm_spam_detected_at: Maybe[Timestamp | None] = UNSET
    raid_detected_at: Maybe[Timestamp | None] = UNSET


class GuildMember(Model, frozen=True, kw_only=True):
    """A user in a guild (Discord: Guild Resource > Guild Member Object)."""

    LATER: ClassVar[Later] = {"flags": lambda member: 0}  # 2022

    user: Maybe[User] = UNSET
    """Absent from the member of a message."""
    nick: Maybe[str | None] = UNSET
    avatar: Maybe[str | None] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting); None: the user's."""
    banner: Maybe[str | None] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting); None: the user's."""
    roles: list[Snowflake]
    """Ids, without @everyone."""
    joined_at: Timestamp | None = None
    """None: a guest in a voice channel."""
    premium_since: Maybe[Timestamp | None] = UNSET
    """Boosts the guild since; None: does not."""
    deaf: bool
    """By a moderator."""
    mute: bool
    """By a moderator."""
    flags: GuildMemberFlags
    pending: Maybe[bool] = UNSET
    """Has yet to pass membership screening. UNSET outside of GUILD_ events."""
    permissions: Maybe[PermissionSet] = UNSET
    """In the channel, overwrites included; only in interactions."""
    communication_disabled_until: Maybe[Timestamp | None] = UNSET
    """End of the timeout; None or past: none."""
    avatar_decoration_data: Maybe[AvatarDecorationData | None] = UNSET
    """None: the user's."""
    collectibles: Maybe[Collectibles | None] = UNSET


class Guild(Model, frozen=True, kw_only=True):
    """A server: its settings, roles, emojis and stickers (Discord: Guild Resource > Guild Object)."""

    LATER: ClassVar[Later] = {
        "nsfw_level": lambda guild: 0,  # 2021
        "premium_progress_bar_enabled": lambda guild: False,  # 2021
    }

    id: Snowflake
    name: str
    """2 to 100 characters."""
    icon: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting)."""
    icon_hash: Maybe[str | None] = UNSET
    """Of a guild in a template."""
    splash: str | None = None
    """Behind invites; CDN hash (Discord: API Reference > Image Formatting)."""
    discovery_splash: str | None = None
    """In discovery; CDN hash (Discord: API Reference > Image Formatting)."""
    owner: Maybe[bool] = UNSET
    """Only from Get Current User Guilds, never by the gateway."""
    owner_id: Snowflake
    permissions: Maybe[PermissionSet] = UNSET
    """Only from Get Current User Guilds, never by the gateway."""
    region: Maybe[str | None] = UNSET
    """Deprecated: see `Channel.rtc_region`."""
    afk_channel_id: Snowflake | None = None
    afk_timeout: int
    """Seconds."""
    widget_enabled: Maybe[bool] = UNSET
    widget_channel_id: Maybe[Snowflake | None] = UNSET
    """To where the widget invites; None: nowhere."""
    verification_level: VerificationLevel
    default_message_notifications: DefaultMessageNotificationLevel
    explicit_content_filter: ExplicitContentFilterLevel
    roles: list[Role]
    emojis: list[Emoji]
    features: list[str]
    """Such as `COMMUNITY` (Discord: Guild Resource > Guild Features)."""
    mfa_level: MFALevel
    application_id: Snowflake | None = None
    """Of the bot that made the guild."""
    system_channel_id: Snowflake | None = None
    """Where Discord welcomes members and thanks for boosts."""
    system_channel_flags: SystemChannelFlags
    rules_channel_id: Snowflake | None = None
    max_presences: Maybe[int | None] = UNSET
    """None but for the largest guilds."""
    max_members: Maybe[int] = UNSET
    vanity_url_code: str | None = None
    description: str | None = None
    banner: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting)."""
    premium_tier: PremiumTier
    premium_subscription_count: Maybe[int | None] = UNSET
    """Boosts."""
    preferred_locale: str
    """Such as `en-US`, the default (Discord: API Reference > Locales)."""
    public_updates_channel_id: Snowflake | None = None
    """Where Discord writes to moderators of a Community guild."""
    max_video_channel_users: Maybe[int] = UNSET
    max_stage_video_channel_users: Maybe[int] = UNSET
    approximate_member_count: Maybe[int] = UNSET
    """By HTTP only, with_counts."""
    approximate_presence_count: Maybe[int] = UNSET
    """By HTTP only, with_counts: those not offline."""
    welcome_screen: Maybe[WelcomeScreen] = UNSET
    """In invites only."""
    nsfw_level: GuildNSFWLevel
    stickers: Maybe[list[Sticker]] = UNSET
    premium_progress_bar_enabled: bool
    safety_alerts_channel_id: Snowflake | None = None
    """Where Discord alerts moderators of a Community guild."""
    incidents_data: IncidentsData | None = None


class UnavailableGuild(Model, frozen=True, kw_only=True):
    """A guild in an outage, or not yet told of by GUILD_CREATE (Discord: Guild Resource > Unavailable Guild Object)."""

    id: Snowflake
    unavailable: Maybe[bool] = UNSET
    """UNSET in GUILD_DELETE: the bot is no longer in the guild."""


class PartialGuildMember(Model, frozen=True, kw_only=True):
    """A `GuildMember` of whom nothing is sure (Discord: Guild Resource > Guild Member Object)."""

    user: Maybe[User] = UNSET
    nick: Maybe[str | None] = UNSET
    avatar: Maybe[str | None] = UNSET
    banner: Maybe[str | None] = UNSET
    roles: Maybe[list[Snowflake]] = UNSET
    joined_at: Maybe[Timestamp | None] = UNSET
    premium_since: Maybe[Timestamp | None] = UNSET
    deaf: Maybe[bool] = UNSET
    mute: Maybe[bool] = UNSET
    flags: Maybe[GuildMemberFlags] = UNSET
    pending: Maybe[bool] = UNSET
    permissions: Maybe[PermissionSet] = UNSET
    communication_disabled_until: Maybe[Timestamp | None] = UNSET
    avatar_decoration_data: Maybe[AvatarDecorationData | None] = UNSET
    collectibles: Maybe[Collectibles | None] = UNSET


class PartialGuild(Model, frozen=True, kw_only=True):
    """A `Guild` of which only the id is sure (Discord: Guild Resource > Guild Object)."""

    id: Snowflake
    name: Maybe[str] = UNSET
    icon: Maybe[str | None] = UNSET
    icon_hash: Maybe[str | None] = UNSET
    splash: Maybe[str | None] = UNSET
    discovery_splash: Maybe[str | None] = UNSET
    owner: Maybe[bool] = UNSET
    owner_id: Maybe[Snowflake] = UNSET
    permissions: Maybe[PermissionSet] = UNSET
    region: Maybe[str | None] = UNSET
    afk_channel_id: Maybe[Snowflake | None] = UNSET
    afk_timeout: Maybe[int] = UNSET
    widget_enabled: Maybe[bool] = UNSET
    widget_channel_id: Maybe[Snowflake | None] = UNSET
    verification_level: Maybe[VerificationLevel] = UNSET
    default_message_notifications: Maybe[DefaultMessageNotificationLevel] = UNSET
    explicit_content_filter: Maybe[ExplicitContentFilterLevel] = UNSET
    roles: Maybe[list[Role]] = UNSET
    emojis: Maybe[list[Emoji]] = UNSET
    features: Maybe[list[str]] = UNSET
    mfa_level: Maybe[MFALevel] = UNSET
    application_id: Maybe[Snowflake | None] = UNSET
    system_channel_id: Maybe[Snowflake | None] = UNSET
    system_channel_flags: Maybe[SystemChannelFlags] = UNSET
    rules_channel_id: Maybe[Snowflake | None] = UNSET
    max_presences: Maybe[int | None] = UNSET
    max_members: Maybe[int] = UNSET
    vanity_url_code: Maybe[str | None] = UNSET
    description: Maybe[str | None] = UNSET
    banner: Maybe[str | None] = UNSET
    premium_tier: Maybe[PremiumTier] = UNSET
    premium_subscription_count: Maybe[int | None] = UNSET
    preferred_locale: Maybe[str] = UNSET
    public_updates_channel_id: Maybe[Snowflake | None] = UNSET
    max_video_channel_users: Maybe[int] = UNSET
    max_stage_video_channel_users: Maybe[int] = UNSET
    approximate_member_count: Maybe[int] = UNSET
    approximate_presence_count: Maybe[int] = UNSET
    welcome_screen: Maybe[WelcomeScreen] = UNSET
    nsfw_level: Maybe[GuildNSFWLevel] = UNSET
    stickers: Maybe[list[Sticker]] = UNSET
    premium_progress_bar_enabled: Maybe[bool] = UNSET
    safety_alerts_channel_id: Maybe[Snowflake | None] = UNSET
    incidents_data: Maybe[IncidentsData | None] = UNSET
