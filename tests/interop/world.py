"""The world that the clients are told of: a few guilds, one of them so large that its members come in chunks."""

from typing import Any, Final

import msgspec

from gateway_proto.intents import Intents
from gateway_proto.server import WorldConfig
from gateway_proto.world import GuildWorld
from gateway_proto.world.config import SHARES
from gateway_proto.world.guild import VOICE

GUILD_IDS: Final = (41771983423143937, 197038439483310086, 290926798626357999)
SMALL, LARGE, OTHER = GUILD_IDS
"""LARGE has more members than two chunks hold; of the others a client sees all in GUILD_CREATE."""
FOREIGN: Final = 613425648685547541
"""A guild that the bot is not in."""
NOBODY: Final = (1, 4)
"""Ids that no user has."""

WORLD: Final = WorldConfig(guilds=GUILD_IDS, members=80, seed=3)
ALL_KINDS: Final = msgspec.structs.replace(WORLD, shares=dict.fromkeys(SHARES, 1.0), direct=0.2, numbered=True)
"""The same, in which everything happens as often as anything else, and is numbered."""


def guild_name(world: GuildWorld, guild_id: int) -> str:
    return str(world.look(guild_id).fields["name"])


def voice_channel(world: GuildWorld, guild_id: int) -> str:
    return world.look(guild_id).channels_of(VOICE)[0]


def member_ids(world: GuildWorld, guild_id: int) -> list[str]:
    """The ids of all members, sorted."""
    found = world.members(guild_id, world.members_by_name(guild_id, "", 0))
    return sorted(msgspec.json.decode(member["user"])["id"] for member in found)


def cached(world: GuildWorld, guild_id: int) -> dict[str, Any]:
    """What the cache of a client should hold of a guild, as the drivers' `cache` line says it."""
    guild = msgspec.json.decode(world.guild_create(guild_id, Intents.all()))
    return {
        "name": guild["name"],
        "members": guild["member_count"],
        **{kind: sorted(one["id"] for one in guild[kind]) for kind in ("channels", "roles", "emojis", "stickers")},
        "voice": {state["user_id"]: state["channel_id"] for state in guild["voice_states"]},
    }
