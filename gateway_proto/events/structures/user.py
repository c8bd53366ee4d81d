"""Users, and what they show of themselves."""

from ..model import UNSET, Flags, Maybe, Model, OpenEnum, Snowflake

__all__ = [
    "AvatarDecorationData",
    "Collectibles",
    "Nameplate",
    "PartialUser",
    "PremiumType",
    "User",
    "UserFlags",
    "UserPrimaryGuild",
]


class PremiumType(OpenEnum):
    """Which Nitro a user pays for (Discord: User Resource > Premium Types)."""

    NONE = 0
    """Also what an app without the OAuth2 scope `identify.premium` is told."""
    NITRO_CLASSIC = 1
    NITRO = 2
    NITRO_BASIC = 3


class UserFlags(Flags):
    """Badges and standing of an account (Discord: User Resource > User Flags)."""

    STAFF = 1 << 0
    """Works at Discord."""
    PARTNER = 1 << 1
    """Owns a partnered guild."""
    HYPESQUAD = 1 << 2
    """HypeSquad Events."""
    BUG_HUNTER_LEVEL_1 = 1 << 3
    HYPESQUAD_ONLINE_HOUSE_1 = 1 << 6
    """Bravery."""
    HYPESQUAD_ONLINE_HOUSE_2 = 1 << 7
    """Brilliance."""
    HYPESQUAD_ONLINE_HOUSE_3 = 1 << 8
    """Balance."""
    PREMIUM_EARLY_SUPPORTER = 1 << 9
    TEAM_PSEUDO_USER = 1 << 10
    """Stands for a team."""
    BUG_HUNTER_LEVEL_2 = 1 << 14
    VERIFIED_BOT = 1 << 16
    VERIFIED_DEVELOPER = 1 << 17
    """Of a bot that was verified early."""
    CERTIFIED_MODERATOR = 1 << 18
    """Was in the moderator programs."""
    BOT_HTTP_INTERACTIONS = 1 << 19
    """Without a gateway session, yet listed as online."""
    ACTIVE_DEVELOPER = 1 << 22
    """No longer documented; accounts still have it."""


class AvatarDecorationData(Model, frozen=True, kw_only=True):
    """The frame around an avatar (Discord: User Resource > Avatar Decoration Data Object)."""

    asset: str
    """CDN hash (Discord: API Reference > Image Formatting)."""
    sku_id: Snowflake


class Nameplate(Model, frozen=True, kw_only=True):
    """What lies behind a user's name in lists (Discord: User Resource > Nameplate)."""

    sku_id: Snowflake
    asset: str
    """Path on the CDN (Discord: API Reference > Image Formatting)."""
    label: str
    """Not in use yet."""
    palette: str
    """Name of the background color, such as `crimson` or `bubble_gum`."""


class Collectibles(Model, frozen=True, kw_only=True):
    """What a user wears, avatar decorations and profile effects aside (Discord: User Resource > Collectibles)."""

    nameplate: Maybe[Nameplate] = UNSET


class UserPrimaryGuild(Model, frozen=True, kw_only=True):
    """The guild whose tag a user shows beside the name (Discord: User Resource > User Primary Guild)."""

    identity_guild_id: Snowflake | None = None
    identity_enabled: bool | None = None
    """Whether the tag shows. False: the user took it off. None: Discord did, as the guild no longer has tags."""
    tag: str | None = None
    """At most 4 characters."""
    badge: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting)."""


class User(Model, frozen=True, kw_only=True):
    """A person, a bot or Discord itself (Discord: User Resource > User Object)."""

    id: Snowflake
    username: str
    discriminator: str
    """Four digits, or `0` for an account that has none any more."""
    global_name: str | None = None
    """What is shown in place of the username; None: not set."""
    avatar: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting); None: one of Discord's own."""
    bot: Maybe[bool] = UNSET
    system: Maybe[bool] = UNSET
    """Discord itself, as in urgent messages."""
    mfa_enabled: Maybe[bool] = UNSET
    banner: Maybe[str | None] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting)."""
    accent_color: Maybe[int | None] = UNSET
    """0xRRGGBB, in place of a banner."""
    locale: Maybe[str] = UNSET
    """Such as `en-US` (Discord: API Reference > Locales)."""
    verified: Maybe[bool] = UNSET
    """Whether the email is."""
    email: Maybe[str | None] = UNSET
    """Sent of the bot's own account alone; None, as bots have none."""
    flags: Maybe[UserFlags] = UNSET
    """All of them; `public_flags` has those that others may see."""
    premium_type: Maybe[PremiumType] = UNSET
    public_flags: Maybe[UserFlags] = UNSET
    avatar_decoration_data: Maybe[AvatarDecorationData | None] = UNSET
    collectibles: Maybe[Collectibles | None] = UNSET
    primary_guild: Maybe[UserPrimaryGuild | None] = UNSET


class PartialUser(Model, frozen=True, kw_only=True):
    """A `User` of whom only the id is sure (Discord: User Resource > User Object)."""

    id: Snowflake
    username: Maybe[str] = UNSET
    discriminator: Maybe[str] = UNSET
    global_name: Maybe[str | None] = UNSET
    avatar: Maybe[str | None] = UNSET
    bot: Maybe[bool] = UNSET
    system: Maybe[bool] = UNSET
    mfa_enabled: Maybe[bool] = UNSET
    banner: Maybe[str | None] = UNSET
    accent_color: Maybe[int | None] = UNSET
    locale: Maybe[str] = UNSET
    verified: Maybe[bool] = UNSET
    email: Maybe[str | None] = UNSET
    flags: Maybe[UserFlags] = UNSET
    premium_type: Maybe[PremiumType] = UNSET
    public_flags: Maybe[UserFlags] = UNSET
    avatar_decoration_data: Maybe[AvatarDecorationData | None] = UNSET
    collectibles: Maybe[Collectibles | None] = UNSET
    primary_guild: Maybe[UserPrimaryGuild | None] = UNSET
