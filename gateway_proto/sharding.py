"""Which shard owns a guild (Discord: Gateway > Sharding > Sharding Formula)."""


def shard_id_for(guild_id: int, total: int) -> int:
    """The shard, of `total`, that is sent the guild's events. Direct messages go to shard 0."""
    return (guild_id >> 22) % total
