"""The bot's commands are used, in guilds and in direct messages."""

from typing import Final

from .guild import TEXT, Guild
from .integrations import COMMANDS, command_id
from .market import Market
from .scene import Maker, Scene, WorldEvent, encode, happened
from .shapes import LOCALES, Payload

_IN_GUILD: Final = 0
_IN_DIRECT: Final = 1
"""Interaction context types."""


class Interactions:
    """Makers by name: `makers` for guilds, `direct_makers` for direct messages."""

    def __init__(self, scene: Scene, market: Market) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._market = market
        self.makers: dict[str, Maker] = {"INTERACTION_CREATE": self.interact}
        self.direct_makers: dict[str, Maker] = {"INTERACTION_CREATE": self.interact_directly}

    def interact(self, guild: Guild) -> WorldEvent:
        draw = self._draw
        channel = draw.often(guild.channels_of(TEXT))
        permissions = str(draw.rng.getrandbits(52))
        partial = self._scene.channel(guild, channel) | {"guild_id": str(guild.id), "permissions": permissions}
        del partial["permission_overwrites"]
        user = guild.members.pick(draw)
        used = self._used(user) | {
            "member": guild.member(user) | {"permissions": permissions},
            "guild_locale": guild.fields["preferred_locale"],
            "guild": {
                "locale": guild.fields["preferred_locale"],
                "id": str(guild.id),
                "features": guild.fields["features"],
            },
            "context": _IN_GUILD,
            "channel_id": channel,
            "channel": partial,
            "authorizing_integration_owners": {"0": str(guild.id)},
        }
        return happened("INTERACTION_CREATE", guild, used)

    def interact_directly(self, guild: Guild) -> WorldEvent:
        """By a member of the guild: so the application is installed there, which "0" says of direct messages."""
        user = guild.members.pick(self._draw)
        channel = self._users.direct_channel(user)
        used = self._used(user) | {
            "user": self._users.raw(user),
            "context": _IN_DIRECT,
            "channel_id": channel,
            "channel": {
                "type": 1,
                "recipients": [self._users.raw(user)],
                "last_message_id": self._scene.last_messages.get(channel),
                "id": channel,
                "flags": 0,
            },
            "authorizing_integration_owners": {"0": "0"},
        }
        return WorldEvent("INTERACTION_CREATE", None, encode(used))

    def _used(self, user: int) -> Payload:
        """What an interaction has wherever it is."""
        draw = self._draw
        command = draw.often(COMMANDS)
        entitlements = self._market.of(str(self._users.id(user)))
        return {
            "version": 1,
            "type": 2,
            "token": f"{draw.hash()}{draw.hash()}{draw.hash()}{draw.hash()}",
            "locale": draw.often(LOCALES),
            "id": draw.snowflake(),
            "entitlements": entitlements,
            "entitlement_sku_ids": [entitlement["sku_id"] for entitlement in entitlements],
            "data": {
                "type": 1,
                "options": [{"value": draw.text(6), "type": 3, "name": "query"}],
                "name": command,
                "id": command_id(self._scene.application_id, command),
            },
            "attachment_size_limit": 10_485_760,
            "application_id": str(self._scene.application_id),
            "app_permissions": str(draw.rng.getrandbits(52)),
        }
