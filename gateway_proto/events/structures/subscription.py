"""A user who pays an app period by period."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake, Timestamp

__all__ = ["Subscription", "SubscriptionStatus"]


class SubscriptionStatus(OpenEnum):
    """How the paying stands (Discord: Subscription Resource > Subscription Statuses).

    It does not say what the user may have: the entitlements do.
    """

    ACTIVE = 0
    """It will renew."""
    INACTIVE = 1
    """Nothing is being charged."""
    ENDING = 2
    """Paid for, but it will not renew."""


class Subscription(Model, frozen=True, kw_only=True):
    """Recurring payments for one or more SKUs (Discord: Subscription Resource > Subscription Object)."""

    id: Snowflake
    user_id: Snowflake
    sku_ids: list[Snowflake]
    entitlement_ids: list[Snowflake]
    """What the payments have granted."""
    renewal_sku_ids: list[Snowflake] | None = None
    """What will be paid for from the next period on."""
    current_period_start: Timestamp
    current_period_end: Timestamp
    status: SubscriptionStatus
    canceled_at: Timestamp | None = None
    country: Maybe[str] = UNSET
    """ISO 3166-1 alpha-2, of the means of payment. Absent without a private OAuth2 scope."""
