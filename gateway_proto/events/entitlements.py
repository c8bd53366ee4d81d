"""Events of what users and guilds have bought from the app."""

from .structures.entitlement import Entitlement

__all__ = ["EntitlementCreate", "EntitlementDelete", "EntitlementUpdate"]


class EntitlementCreate(Entitlement, frozen=True, kw_only=True):
    """`ENTITLEMENT_CREATE`: something was bought or given.

    (Discord: Gateway Events > Entitlement Create) Intents: none.
    """


class EntitlementUpdate(Entitlement, frozen=True, kw_only=True):
    """`ENTITLEMENT_UPDATE`: an entitlement was changed; of a subscription's, only that it ends, at `ends_at`.

    (Discord: Gateway Events > Entitlement Update) Intents: none.
    """


class EntitlementDelete(Entitlement, frozen=True, kw_only=True):
    """`ENTITLEMENT_DELETE`: an entitlement was taken back, after a refund, say; none is deleted because it has ended.

    (Discord: Gateway Events > Entitlement Delete) Intents: none.
    """
