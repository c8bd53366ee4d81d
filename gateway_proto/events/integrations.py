"""Events of single integrations of a guild."""

from .model import UNSET, Maybe, Model, Snowflake
from .structures.integration import Integration

__all__ = ["IntegrationCreate", "IntegrationDelete", "IntegrationUpdate"]


class IntegrationCreate(Integration, frozen=True, kw_only=True):
    """`INTEGRATION_CREATE`: an integration was added (Discord: Gateway Events > Integration Create).

    `user` is left out as a rule. Intents: GUILD_INTEGRATIONS.
    """

    guild_id: Snowflake


class IntegrationUpdate(Integration, frozen=True, kw_only=True):
    """`INTEGRATION_UPDATE`: an integration changed (Discord: Gateway Events > Integration Update).

    `user` is left out as a rule. Intents: GUILD_INTEGRATIONS.
    """

    guild_id: Snowflake


class IntegrationDelete(Model, frozen=True, kw_only=True):
    """`INTEGRATION_DELETE`: an integration was removed (Discord: Gateway Events > Integration Delete).

    Intents: GUILD_INTEGRATIONS.
    """

    id: Snowflake
    guild_id: Snowflake
    application_id: Maybe[Snowflake] = UNSET
    """Of an application's integration."""
