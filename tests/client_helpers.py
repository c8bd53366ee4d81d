"""Clients in the virtual world of `transport_helpers`."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import anyio

from gateway_proto import Dispatch, Intents, ShardAction, ShardConfig
from gateway_proto.fleet import ManagerAction
from gateway_proto.server import Identified, ServerConfig
from gateway_transports.client import Client, EventStream
from gateway_transports.memory import MemoryNetwork, VirtualClock, virtual_time
from gateway_transports.tasks import background

from .transport_helpers import TOKEN, URL, World

API = "http://gateway.test"
EPOCH = 1_800_000_000.0
"""Wall time at the virtual clock's zero."""
T = TypeVar("T")


class ClientWorld(World):
    """A `World` in which clients run. What a client's shards and manager told is kept with it."""

    def __init__(self, clock: VirtualClock, network: MemoryNetwork, config: ServerConfig) -> None:
        super().__init__(clock, network, config)
        self.shard_actions: list[tuple[int, ShardAction]] = []
        self.updates: list[ManagerAction] = []

    def wall(self) -> float:
        return EPOCH + self.clock.now()

    def config(self, **changes: Any) -> ShardConfig:
        return ShardConfig(**{"token": TOKEN, "intents": Intents.all(), "url": URL, **changes})

    def options(self, **changes: Any) -> dict[str, Any]:
        """What a `Client` needs to live here."""
        return {
            "api": API,
            "dialer": self.network,
            "clock": self.clock,
            "wall": self.wall,
            "rng": random.Random(8),
            "on_action": lambda shard_id, action: self.shard_actions.append((shard_id, action)),
            "on_update": self.updates.append,
            **changes,
        }

    def client(self, config: ShardConfig | None = None, **options: Any) -> Client[Any]:
        return Client(config or self.config(), **self.options(**options))

    @property
    def identifies(self) -> list[Identified]:
        return self.of(Identified)

    def dispatch(self, shard_id: int, name: str, data: bytes) -> None:
        """Send an event to the session of one shard."""
        for session in self.gateway.server.sessions.values():
            if (session.shard[0] if session.shard is not None else 0) == shard_id:
                self.gateway.dispatch(session.id, name, data)

    def message(self, shard_id: int, number: int) -> None:
        """A MESSAGE_CREATE, whose content is the number."""
        self.dispatch(shard_id, "MESSAGE_CREATE", message(number))


def message(number: int) -> bytes:
    return (
        b'{"id":"%d","channel_id":"2","author":{"id":"3","username":"nobody","discriminator":"0","avatar":null,'
        b'"global_name":null},"content":"%d","timestamp":"2026-01-01T00:00:00+00:00","edited_timestamp":null,'
        b'"tts":false,"mention_everyone":false,"mentions":[],"mention_roles":[],"attachments":[],"embeds":[],'
        b'"pinned":false,"type":0}'
    ) % (1000 + number, number)


def content(event: Dispatch) -> int:
    return int(event.decode()["content"])


async def contents(stream: EventStream[Any], count: int) -> list[int]:
    """Those of the next so many messages."""
    return [content((await anext(stream)).dispatch) for _ in range(count)]


async def connected(w: ClientWorld, client: Client[Any], count: int) -> None:
    """Until so many shards are connected."""
    await w.until(lambda: sum(info.stage.value == "connected" for info in client.infos()) == count)


@contextlib.asynccontextmanager
async def client_world(
    *,
    latency: tuple[float, float] = (0.01, 0.05),
    seed: int = 9,
    network: Callable[..., Any] = MemoryNetwork,
    **config: Any,
) -> AsyncIterator[ClientWorld]:
    """A `ClientWorld`; `config` is the server's."""
    async with virtual_time() as clock:
        made_network = network(clock, rng=random.Random(seed), latency=latency)
        made = ClientWorld(
            clock, made_network, ServerConfig(**{"token": TOKEN, "url": URL, "resume_url": URL, **config})
        )
        async with background() as group:
            group.start_soon(made_network.listen("gateway.test", 80).serve, made.gateway.handle)
            group.start_soon(made.end)
            yield made


async def nothing() -> None:
    await anyio.lowlevel.checkpoint()
