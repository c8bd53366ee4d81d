"""What a user or a guild has bought from an app, or been given."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake, Timestamp

__all__ = ["Entitlement", "EntitlementType"]


class EntitlementType(OpenEnum):
    """How the entitlement was come by (Discord: Entitlement Resource > Entitlement Types)."""

    PURCHASE = 1
    PREMIUM_SUBSCRIPTION = 2
    """A subscription to Nitro."""
    DEVELOPER_GIFT = 3
    TEST_MODE_PURCHASE = 4
    FREE_PURCHASE = 5
    USER_GIFT = 6
    PREMIUM_PURCHASE = 7
    """Taken for nothing by a subscriber to Nitro."""
    APPLICATION_SUBSCRIPTION = 8


class Entitlement(Model, frozen=True, kw_only=True):
    """The right of a user or a guild to something that an app sells.

    (Discord: Entitlement Resource > Entitlement Structure)
    """

    id: Snowflake
    sku_id: Snowflake
    application_id: Snowflake
    user_id: Maybe[Snowflake] = UNSET
    """Who has it, if not a guild."""
    type: EntitlementType
    deleted: bool
    starts_at: Timestamp | None = None
    ends_at: Timestamp | None = None
    """None: no end is set."""
    guild_id: Maybe[Snowflake] = UNSET
    """The guild that has it, if not a user alone."""
    consumed: Maybe[bool] = UNSET
    """Of a consumable: whether it has been used up."""
