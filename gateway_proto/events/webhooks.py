"""The event of webhooks."""

from .model import Model, Snowflake

__all__ = ["WebhooksUpdate"]


class WebhooksUpdate(Model, frozen=True, kw_only=True):
    """`WEBHOOKS_UPDATE`: a webhook of the channel was made, changed or deleted; which one, it does not say.

    (Discord: Gateway Events > Webhooks Update) Intents: GUILD_WEBHOOKS.
    """

    guild_id: Snowflake
    channel_id: Snowflake
