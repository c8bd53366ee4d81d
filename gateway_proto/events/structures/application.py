"""Applications: what a bot belongs to."""

from typing import Annotated

from ..model import AS_STRING, UNSET, Flags, Maybe, Model, OpenEnum, Snowflake
from .guild import PartialGuild
from .permissions import PermissionSet
from .team import Team
from .user import PartialUser

__all__ = [
    "ApplicationEventWebhookStatus",
    "ApplicationFlags",
    "ApplicationIntegrationTypeConfiguration",
    "InstallParams",
    "PartialApplication",
]


class ApplicationEventWebhookStatus(OpenEnum):
    """Whether an app gets events by webhook (Discord: Application Resource > Application Event Webhook Status)."""

    DISABLED = 1
    ENABLED = 2
    DISABLED_BY_DISCORD = 3
    """Mostly for inactivity."""


class ApplicationFlags(Flags):
    """What an app uses or may use (Discord: Application Resource > Application Flags).

    Each privileged intent has two: one with LIMITED for apps in fewer than 100 guilds, one without for all others.
    """

    APPLICATION_AUTO_MODERATION_RULE_CREATE_BADGE = 1 << 6
    """Uses auto moderation."""
    GATEWAY_PRESENCE = 1 << 12
    GATEWAY_PRESENCE_LIMITED = 1 << 13
    GATEWAY_GUILD_MEMBERS = 1 << 14
    GATEWAY_GUILD_MEMBERS_LIMITED = 1 << 15
    VERIFICATION_PENDING_GUILD_LIMIT = 1 << 16
    """Grows so unusually that it cannot be verified."""
    EMBEDDED = 1 << 17
    """An Activity."""
    GATEWAY_MESSAGE_CONTENT = 1 << 18
    GATEWAY_MESSAGE_CONTENT_LIMITED = 1 << 19
    APPLICATION_COMMAND_BADGE = 1 << 23
    """Has global commands."""


class InstallParams(Model, frozen=True, kw_only=True):
    """With which rights an app asks to be added (Discord: Application Resource > Install Params Object)."""

    scopes: list[str]
    """OAuth2's (Discord: OAuth2 > OAuth2 Scopes)."""
    permissions: PermissionSet
    """For the bot's role."""


class ApplicationIntegrationTypeConfiguration(Model, frozen=True, kw_only=True):
    """What one kind of installation starts with.

    (Discord: Application Resource > Application Integration Type Configuration Object)
    """

    oauth2_install_params: Maybe[InstallParams] = UNSET


class PartialApplication(Model, frozen=True, kw_only=True):
    """An application of which only the id is sure (Discord: Application Resource > Application Object)."""

    id: Snowflake
    name: Maybe[str] = UNSET
    icon: Maybe[str | None] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting)."""
    description: Maybe[str] = UNSET
    rpc_origins: Maybe[list[str]] = UNSET
    bot_public: Maybe[bool] = UNSET
    """False: only the owner can add it to guilds."""
    bot_require_code_grant: Maybe[bool] = UNSET
    """The bot joins at the end of the whole OAuth2 code grant only."""
    bot: Maybe[PartialUser] = UNSET
    terms_of_service_url: Maybe[str] = UNSET
    privacy_policy_url: Maybe[str] = UNSET
    owner: Maybe[PartialUser] = UNSET
    verify_key: Maybe[str] = UNSET
    """Ed25519 public key, hex: interactions sent by HTTP are signed with it."""
    team: Maybe[Team | None] = UNSET
    """None: belongs to one user."""
    guild_id: Maybe[Snowflake] = UNSET
    """A guild that belongs to the app, as for support."""
    guild: Maybe[PartialGuild] = UNSET
    primary_sku_id: Maybe[Snowflake] = UNSET
    """Of the game, if the app is one that Discord sells."""
    slug: Maybe[str] = UNSET
    """Of the game's page in the store."""
    cover_image: Maybe[str] = UNSET
    """CDN hash (Discord: API Reference > Image Formatting)."""
    flags: Maybe[ApplicationFlags] = UNSET
    """Up to bit 30; `flags_new` has all."""
    flags_new: Maybe[Annotated[ApplicationFlags, AS_STRING]] = UNSET
    approximate_guild_count: Maybe[int] = UNSET
    approximate_user_install_count: Maybe[int] = UNSET
    """Authorized with the scope applications.commands."""
    approximate_user_authorization_count: Maybe[int] = UNSET
    redirect_uris: Maybe[list[str]] = UNSET
    interactions_endpoint_url: Maybe[str | None] = UNSET
    role_connections_verification_url: Maybe[str | None] = UNSET
    event_webhooks_url: Maybe[str | None] = UNSET
    event_webhooks_status: Maybe[ApplicationEventWebhookStatus] = UNSET
    event_webhooks_types: Maybe[list[str]] = UNSET
    tags: Maybe[list[str]] = UNSET
    """At most 5."""
    install_params: Maybe[InstallParams] = UNSET
    """Of the default install link."""
    integration_types_config: Maybe[dict[str, ApplicationIntegrationTypeConfiguration | None]] = UNSET
    """By kind of installation, as a string: `0` into a guild, `1` for a user."""
    custom_install_url: Maybe[str] = UNSET
    """In place of the default install link."""
