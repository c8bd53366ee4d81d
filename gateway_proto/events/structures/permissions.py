"""Permissions, and the roles that grant them."""

from typing import Annotated, ClassVar, TypeAlias

from ..model import AS_STRING, UNSET, Flags, Later, Maybe, Model, Snowflake

__all__ = ["PermissionSet", "Permissions", "Role", "RoleColors", "RoleFlags", "RoleTags"]


class Permissions(Flags):
    """What somebody may do in a guild or a channel (Discord: Permissions > Bitwise Permission Flags)."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    """Everything, whatever the overwrites of a channel say."""
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    """To join in a reaction that is there already takes none."""
    VIEW_AUDIT_LOG = 1 << 7
    PRIORITY_SPEAKER = 1 << 8
    STREAM = 1 << 9
    """Share the screen."""
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    """And open posts in forums; not in threads, see SEND_MESSAGES_IN_THREADS."""
    SEND_TTS_MESSAGES = 1 << 12
    MANAGE_MESSAGES = 1 << 13
    """Delete those of others."""
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    VIEW_GUILD_INSIGHTS = 1 << 19
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    MUTE_MEMBERS = 1 << 22
    DEAFEN_MEMBERS = 1 << 23
    MOVE_MEMBERS = 1 << 24
    USE_VAD = 1 << 25
    """Voice activity detection; without it, push to talk."""
    CHANGE_NICKNAME = 1 << 26
    """One's own."""
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    """In a channel's overwrites: manage the channel's permissions."""
    MANAGE_WEBHOOKS = 1 << 29
    MANAGE_GUILD_EXPRESSIONS = 1 << 30
    """Emojis, stickers and sounds, whoever made them."""
    USE_APPLICATION_COMMANDS = 1 << 31
    REQUEST_TO_SPEAK = 1 << 32
    """In stage channels."""
    MANAGE_EVENTS = 1 << 33
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    USE_EXTERNAL_STICKERS = 1 << 37
    SEND_MESSAGES_IN_THREADS = 1 << 38
    USE_EMBEDDED_ACTIVITIES = 1 << 39
    MODERATE_MEMBERS = 1 << 40
    """Time members out."""
    VIEW_CREATOR_MONETIZATION_ANALYTICS = 1 << 41
    USE_SOUNDBOARD = 1 << 42
    CREATE_GUILD_EXPRESSIONS = 1 << 43
    """And manage one's own."""
    CREATE_EVENTS = 1 << 44
    """And manage one's own."""
    USE_EXTERNAL_SOUNDS = 1 << 45
    SEND_VOICE_MESSAGES = 1 << 46
    SET_VOICE_CHANNEL_STATUS = 1 << 48
    SEND_POLLS = 1 << 49
    USE_EXTERNAL_APPS = 1 << 50
    """Without it, what user-installed apps answer is ephemeral."""
    PIN_MESSAGES = 1 << 51
    BYPASS_SLOWMODE = 1 << 52


PermissionSet: TypeAlias = Annotated[Permissions, AS_STRING]
"""`Permissions` here, a string of digits in JSON (Discord: Permissions)."""


class RoleFlags(Flags):
    """What holds for a role (Discord: Permissions > Role Flags)."""

    IN_PROMPT = 1 << 0
    """Members can choose it in onboarding."""


class RoleColors(Model, frozen=True, kw_only=True):
    """The colors of a role, 0xRRGGBB: one, a gradient, or holographic (Discord: Permissions > Role Colors Object)."""

    primary_color: int
    secondary_color: int | None = None
    """Makes a gradient."""
    tertiary_color: int | None = None
    """Makes it holographic."""


class RoleTags(Model, frozen=True, kw_only=True):
    """What a role belongs to, or is for (Discord: Permissions > Role Tags Structure).

    Three fields are null for true and absent for false; the properties turn them into a bool.
    """

    bot_id: Maybe[Snowflake] = UNSET
    """The bot whose own role it is."""
    integration_id: Maybe[Snowflake] = UNSET
    premium_subscriber: Maybe[None] = UNSET
    """None is true: `is_premium_subscriber`."""
    subscription_listing_id: Maybe[Snowflake] = UNSET
    """The SKU and listing that sells it."""
    available_for_purchase: Maybe[None] = UNSET
    """None is true: `is_available_for_purchase`."""
    guild_connections: Maybe[None] = UNSET
    """None is true: `is_guild_connection`."""

    @property
    def is_premium_subscriber(self) -> bool:
        """Whether it is the role of those who boost the guild."""
        return self.premium_subscriber is None

    @property
    def is_available_for_purchase(self) -> bool:
        """Whether it can be bought."""
        return self.available_for_purchase is None

    @property
    def is_guild_connection(self) -> bool:
        """Whether it is a linked role, which members get by connecting an account."""
        return self.guild_connections is None


class Role(Model, frozen=True, kw_only=True):
    """A set of permissions with a name, given to members (Discord: Permissions > Role Object)."""

    LATER: ClassVar[Later] = {
        "colors": lambda role: {"primary_color": role.get("color", 0)},  # 2025
        "flags": lambda role: 0,  # 2023
    }

    id: Snowflake
    """That of @everyone is the guild's."""
    name: str
    color: int
    """0xRRGGBB, 0: none. Deprecated: `colors.primary_color` is the same."""
    colors: RoleColors
    hoist: bool
    """Members are listed apart."""
    icon: Maybe[str | None] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting)."""
    unicode_emoji: Maybe[str | None] = UNSET
    position: int
    """0 is @everyone; equal ones go by id."""
    permissions: PermissionSet
    managed: bool
    """By an integration."""
    mentionable: bool
    tags: Maybe[RoleTags] = UNSET
    flags: RoleFlags
