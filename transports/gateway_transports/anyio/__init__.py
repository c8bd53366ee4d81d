"""Sockets by anyio: asyncio and trio by one code path.

`open_shard` runs a bot's shard, `discover` asks where to connect; `AnyioDialer` opens streams, with names resolved,
happy eyeballs and verified TLS.
"""

from ..gate import IdentifyGate
from ..queue_gate import QueueGate
from ..sink import QueueLimits
from ..sqlite_gate import SqliteGate
from .dial import AnyioDialer, SocketStream
from .discover import discover
from .resolve import Resolver
from .runner import ShardRunner, open_shard

__all__ = [
    "AnyioDialer",
    "IdentifyGate",
    "QueueGate",
    "QueueLimits",
    "Resolver",
    "ShardRunner",
    "SocketStream",
    "SqliteGate",
    "discover",
    "open_shard",
]
