"""Integrations: applications and accounts that are attached to a guild."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .user import User

__all__ = ["Integration", "IntegrationAccount", "IntegrationApplication", "IntegrationExpireBehavior"]


class IntegrationExpireBehavior(OpenEnum):
    """What befalls members whose subscription ends (Discord: Guild Resource > Integration Expire Behaviors)."""

    REMOVE_ROLE = 0
    KICK = 1


class IntegrationAccount(Model, frozen=True, kw_only=True):
    """The account behind an integration (Discord: Guild Resource > Integration Account Object)."""

    id: str
    """As the other service writes it; no snowflake."""
    name: str


class IntegrationApplication(Model, frozen=True, kw_only=True):
    """The application behind an integration (Discord: Guild Resource > Integration Application Object)."""

    id: Snowflake
    name: str
    icon: str | None = None
    """CDN hash (Discord: API Reference > Image Formatting)."""
    description: str
    bot: Maybe[User] = UNSET


class Integration(Model, frozen=True, kw_only=True):
    """A bot or an outside account that is attached to a guild (Discord: Guild Resource > Integration Object)."""

    id: Snowflake
    name: str
    type: str
    """`twitch`, `youtube`, `guild_subscription`, or `discord`: an application, which lacks many of the fields."""
    enabled: bool
    syncing: Maybe[bool] = UNSET
    role_id: Maybe[Snowflake] = UNSET
    """The role that subscribers get."""
    enable_emoticons: Maybe[bool] = UNSET
    """Twitch only."""
    expire_behavior: Maybe[IntegrationExpireBehavior] = UNSET
    expire_grace_period: Maybe[int] = UNSET
    """Days."""
    user: Maybe[User] = UNSET
    """Who added it; old ones have none."""
    account: IntegrationAccount
    synced_at: Maybe[Timestamp] = UNSET
    subscriber_count: Maybe[int] = UNSET
    revoked: Maybe[bool] = UNSET
    application: Maybe[IntegrationApplication] = UNSET
    scopes: Maybe[list[str]] = UNSET
    """OAuth2's (Discord: OAuth2 > OAuth2 Scopes)."""
