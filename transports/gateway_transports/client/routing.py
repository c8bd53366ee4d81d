"""Which shard a command belongs to."""

from collections.abc import Iterable

import msgspec

from gateway_proto import InterMessage, LocalProtocolError, RequestSoundboardSounds, shard_id_for
from gateway_proto.commands import guilds_of


def by_shard(guild_ids: Iterable[int], total: int) -> dict[int, list[int]]:
    """Guilds, sorted by the shard that has them."""
    found: dict[int, list[int]] = {}
    for guild_id in guild_ids:
        found.setdefault(shard_id_for(guild_id, total), []).append(guild_id)
    return found


def routed(message: InterMessage, total: int) -> dict[int, InterMessage]:
    """What is to be sent by which shard: by that of its guild; without one, by shard 0.

    Raises:
        LocalProtocolError: it is no command, or names guilds of several shards and cannot be divided.
    """
    shards = by_shard(guilds_of(message), total)
    if len(shards) < 2:
        return {next(iter(shards), 0): message}
    if isinstance(message, RequestSoundboardSounds):
        return {id: msgspec.structs.replace(message, guild_ids=tuple(guilds)) for id, guilds in shards.items()}
    raise LocalProtocolError(f"the command names guilds of the shards {', '.join(map(str, shards))}: send one for each")
