"""A stage channel that is live."""

from ..model import Model, OpenEnum, Snowflake

__all__ = ["StageInstance", "StagePrivacyLevel"]


class StagePrivacyLevel(OpenEnum):
    """Who can see a stage (Discord: Stage Instance Resource > Privacy Level)."""

    PUBLIC = 1
    """Deprecated by Discord."""
    GUILD_ONLY = 2


class StageInstance(Model, frozen=True, kw_only=True):
    """What makes a stage channel live, for as long as it exists.

    (Discord: Stage Instance Resource > Stage Instance Structure)
    """

    id: Snowflake
    guild_id: Snowflake
    channel_id: Snowflake
    topic: str
    """1 to 120 characters."""
    privacy_level: StagePrivacyLevel
    discoverable_disabled: bool
    """Deprecated by Discord."""
    guild_scheduled_event_id: Snowflake | None = None
    """None: it was not started by a scheduled event."""
