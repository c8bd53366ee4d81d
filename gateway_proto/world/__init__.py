"""A made-up world of guilds for the embedded gateway: small, seeded and consistent.

    world = GuildWorld(WorldConfig(guilds=20_000, members=100, seed=7), user_id=1)
    world.guild_create(world.guild_ids[0])      # JSON, as a session of the bot sees it
    event = world.next_event()                  # something happened, and the world has changed by it

A user may be in several guilds, and what they show is told in each: one thing that happens can be several events.
`next_following()` gives the others of what `happen` began; `next_event()` gives them before it draws.

All that is in a guild derives from the seed: its roles and channels, who is a member and with which roles, who is in
voice and what they play. A guild is held in memory only once it has changed; members never are, but for those who came,
went or were changed. What an event says is so from then on: in the next GUILD_CREATE, in the next chunk of members.
"""

from .config import SHARES, WorldConfig
from .scene import WorldEvent
from .world import GuildWorld

__all__ = ["SHARES", "GuildWorld", "WorldConfig", "WorldEvent"]
