"""A bot by `Client`: five ways to start it, its shards in one process or in many, sessions that outlive it.

async with Client(config, store="bot.state") as client:
    await client.start_autosharded()
    async for event in client.events(MessageCreate):
        print(event.shard_id, event.data.content)
"""

from .client import Client
from .errors import OnlyBotsShardError, ShardCrashedError, ShardsEndedError
from .events import EventStream, ShardEvent
from .handlers import Context
from .messenger import ShardMessenger, ShardRunnerInfo
from .running import OpenStore

__all__ = [
    "Client",
    "Context",
    "EventStream",
    "OnlyBotsShardError",
    "OpenStore",
    "ShardCrashedError",
    "ShardEvent",
    "ShardMessenger",
    "ShardRunnerInfo",
    "ShardsEndedError",
]
