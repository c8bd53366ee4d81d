"""Events of users who pay the app period by period. What they may have, the entitlements say."""

from .structures.subscription import Subscription

__all__ = ["SubscriptionCreate", "SubscriptionDelete", "SubscriptionUpdate"]


class SubscriptionCreate(Subscription, frozen=True, kw_only=True):
    """`SUBSCRIPTION_CREATE`: a subscription was made; it may be inactive yet, with an update to follow.

    (Discord: Gateway Events > Subscription Create) Intents: none.
    """


class SubscriptionUpdate(Subscription, frozen=True, kw_only=True):
    """`SUBSCRIPTION_UPDATE`: it was renewed, cancelled or otherwise changed.

    (Discord: Gateway Events > Subscription Update) Intents: none.
    """


class SubscriptionDelete(Subscription, frozen=True, kw_only=True):
    """`SUBSCRIPTION_DELETE`: it is no more (Discord: Gateway Events > Subscription Delete). Intents: none."""
