"""Many shards: who runs (`ShardManager`), and who may IDENTIFY when (`IdentifyQueue`, `Ledger`). Machines, all pure.

`shard_count_advice` and `guild_count_advice` say whether there are enough of them.
"""

from .advice import guild_count_advice, shard_count_advice
from .ledger import IdentifyBudgetError, Ledger
from .manager import (
    ApplicationRefused,
    ManagerAction,
    ShardEnded,
    ShardManager,
    ShardStageUpdate,
    StartShard,
    StopShard,
)
from .queue import IdentifyHeld, IdentifyQueue, PermitGranted, PermitRefused, QueueAction

__all__ = [
    "ApplicationRefused",
    "IdentifyBudgetError",
    "IdentifyHeld",
    "IdentifyQueue",
    "Ledger",
    "ManagerAction",
    "PermitGranted",
    "PermitRefused",
    "QueueAction",
    "ShardEnded",
    "ShardManager",
    "ShardStageUpdate",
    "StartShard",
    "StopShard",
    "guild_count_advice",
    "shard_count_advice",
]
