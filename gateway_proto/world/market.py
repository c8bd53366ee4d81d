"""What users have bought from the application, which is of no guild: so shard 0 is told (Discord: Gateway > Sharding).

And the bot's own user, of which the same is true.
"""

from functools import partial
from typing import Final

from .guild import Guild
from .scene import Maker, Scene, WorldEvent, encode
from .shapes import Payload

MOST: Final = 200
"""Entitlements and subscriptions each: a world that runs for days stays as large as it is."""
_PURCHASE: Final = 1
_SUBSCRIPTION: Final = 8
"""Entitlement types."""
_ACTIVE: Final = 0
_ENDING: Final = 2
"""Subscription statuses."""
_MONTH: Final = 30 * 86_400_000
"""Milliseconds."""
_SKUS: Final = 3
"""Are sold, from the application's id on."""


class Market:
    """Makers by name. The guild says only who does something."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._entitlements: dict[str, Payload] = {}
        self._subscriptions: dict[str, Payload] = {}
        self.makers: dict[str, Maker] = {
            "ENTITLEMENT_CREATE": self.buy,
            "ENTITLEMENT_UPDATE": self.use,
            "ENTITLEMENT_DELETE": self.refund,
            "SUBSCRIPTION_CREATE": self.subscribe,
            "SUBSCRIPTION_UPDATE": self.renew_or_cancel,
            "SUBSCRIPTION_DELETE": self.end,
            "USER_UPDATE": self.change_bot,
        }

    def of(self, user_id: str) -> list[Payload]:
        """What a user may have."""
        return [one for one in self._entitlements.values() if one["user_id"] == user_id and not one.get("consumed")]

    # -- bought once -----------------------------------------------------------------------------------------------

    def buy(self, guild: Guild) -> WorldEvent | None:
        if len(self._entitlements) >= MOST:
            return self._taken_back(next(iter(self._entitlements)))
        user_id = str(self._users.id(guild.members.pick(self._draw)))
        bought = self._entitlement(self._draw.snowflake(), user_id, self._sku(), _PURCHASE) | {"consumed": False}
        self._entitlements[bought["id"]] = bought
        return _told("ENTITLEMENT_CREATE", bought)

    def use(self, guild: Guild) -> WorldEvent | None:
        """A consumable is used up; first it is bought."""
        found = [id for id, one in self._entitlements.items() if one.get("consumed") is False]
        return self._changed(self._draw.pick(found), {"consumed": True}) if found else self.buy(guild)

    def refund(self, guild: Guild) -> WorldEvent | None:
        found = [id for id, one in self._entitlements.items() if one["type"] == _PURCHASE]
        return self._taken_back(self._draw.pick(found)) if found else self.buy(guild)

    # -- paid by the month -----------------------------------------------------------------------------------------

    def subscribe(self, guild: Guild) -> WorldEvent | None:
        """What it grants follows."""
        if len(self._subscriptions) >= MOST or len(self._entitlements) >= MOST:
            return self.end(guild)
        draw = self._draw
        user_id, sku, granted = str(self._users.id(guild.members.pick(draw))), self._sku(), draw.snowflake()
        subscription: Payload = {
            "user_id": user_id,
            "status": _ACTIVE,
            "sku_ids": [sku],
            "renewal_sku_ids": None,
            "id": draw.snowflake(),
            "entitlement_ids": [granted],
            "current_period_start": draw.timestamp(),
            "current_period_end": draw.timestamp(_MONTH),
            "canceled_at": None,
        }
        self._subscriptions[subscription["id"]] = subscription

        def grant() -> WorldEvent:
            entitlement = self._entitlement(granted, user_id, sku, _SUBSCRIPTION)
            self._entitlements[granted] = entitlement | {"subscription_id": subscription["id"]}
            return _told("ENTITLEMENT_CREATE", self._entitlements[granted])

        self._scene.follow_anywhere(grant)
        return _told("SUBSCRIPTION_CREATE", subscription)

    def renew_or_cancel(self, guild: Guild) -> WorldEvent | None:
        """A new period; or it ends with this one, and what it granted does."""
        active = [id for id, one in self._subscriptions.items() if one["status"] == _ACTIVE]
        if not active:
            return self.subscribe(guild)
        id = self._draw.pick(active)
        subscription = self._subscriptions[id]
        if self._draw.random() < 0.5:
            changes: Payload = {
                "current_period_start": self._draw.timestamp(),
                "current_period_end": self._draw.timestamp(_MONTH),
            }
        else:
            changes = {"status": _ENDING, "canceled_at": self._draw.timestamp()}
            end = {"ends_at": subscription["current_period_end"]}
            for granted in subscription["entitlement_ids"]:
                self._scene.follow_anywhere(partial(self._changed, granted, end))
        self._subscriptions[id] = subscription | changes
        return _told("SUBSCRIPTION_UPDATE", self._subscriptions[id])

    def end(self, guild: Guild) -> WorldEvent | None:
        """It is no more, nor is what it granted."""
        if not self._subscriptions:
            return self.subscribe(guild)
        gone = self._subscriptions.pop(self._draw.pick(list(self._subscriptions)))
        for granted in gone["entitlement_ids"]:
            self._scene.follow_anywhere(partial(self._taken_back, granted))
        return _told("SUBSCRIPTION_DELETE", gone)

    def _sku(self) -> str:
        return str(self._scene.application_id + 1 + self._draw.rng.randrange(_SKUS))

    def _entitlement(self, id: str, user_id: str, sku: str, type: int) -> Payload:
        return {
            "user_id": user_id,
            "type": type,
            "starts_at": self._draw.timestamp(),
            "sku_id": sku,
            "id": id,
            "ends_at": None,
            "deleted": False,
            "application_id": str(self._scene.application_id),
        }

    def _changed(self, id: str, changes: Payload) -> WorldEvent | None:
        """None if it is gone."""
        if id not in self._entitlements:
            return None
        self._entitlements[id] = self._entitlements[id] | changes
        return _told("ENTITLEMENT_UPDATE", self._entitlements[id])

    def _taken_back(self, id: str) -> WorldEvent | None:
        gone = self._entitlements.pop(id, None)
        return None if gone is None else _told("ENTITLEMENT_DELETE", gone | {"deleted": True})

    # -- the bot's own user ----------------------------------------------------------------------------------------

    def change_bot(self, guild: Guild) -> WorldEvent:
        """Another avatar."""
        self._users.change_bot({"avatar": self._draw.hash()})
        own = {"verified": True, "mfa_enabled": False, "flags": 0, "email": None}
        return _told("USER_UPDATE", self._users.bot | own)


def _told(name: str, payload: Payload) -> WorldEvent:
    return WorldEvent(name, None, encode(payload))
