"""Connected pairs of streams over every transport, and throw-away certificates."""

import contextlib
import functools
import random
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import anyio
import anyio.abc
import trustme

from gateway_proto import Dispatch, Intents, Secret, ShardAction, ShardConfig
from gateway_proto.server import Fault, ServerAction, ServerConfig, ServerSession
from gateway_transports import Stream
from gateway_transports.anyio import AnyioDialer, ShardRunner, SocketStream, open_shard
from gateway_transports.memory import MemoryNetwork, VirtualClock, virtual_time
from gateway_transports.serve import Gateway
from gateway_transports.tasks import background
from gateway_transports.tls import wrap_client, wrap_server

T = TypeVar("T")
LOCALHOST = "127.0.0.1"


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA()


@functools.cache
def server_context(*names: str) -> ssl.SSLContext:
    """A server's context with a certificate for these names, or for localhost."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority().issue_cert(*(names or ("localhost", LOCALHOST))).configure_cert(context)
    return context


@functools.cache
def client_context() -> ssl.SSLContext:
    """A client's context, verifying, that trusts `authority` and nobody else."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    return context


@contextlib.asynccontextmanager
async def tcp_listener() -> AsyncIterator[tuple[anyio.abc.SocketListener, int]]:
    """A listening socket on the loopback and its port."""
    multi = await anyio.create_tcp_listener(local_host=LOCALHOST)
    async with multi:
        [listener] = multi.listeners
        assert isinstance(listener, anyio.abc.SocketListener)
        yield listener, multi.extra(anyio.abc.SocketAttribute.local_port)


@contextlib.asynccontextmanager
async def tcp_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    async with tcp_listener() as (listener, port):
        client = await AnyioDialer().dial(LOCALHOST, port, tls=False)
        server = SocketStream(await listener.accept())
    async with anyio.create_task_group() as group:
        # anyio's accepted sockets on asyncio read ahead without bound until somebody has waited for data.
        group.start_soon(server.receive)
        await client.send(b"!")
    try:
        yield client, server
    finally:
        await client.aclose()
        await server.aclose()


@contextlib.asynccontextmanager
async def memory_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.0, 0.3), chunk=20_000)
        yield network.pair()


@contextlib.asynccontextmanager
async def tls_over(client: Stream, server: Stream) -> AsyncIterator[tuple[Stream, Stream]]:
    wrapped: list[Stream] = []

    async def serve() -> None:
        wrapped.append(await wrap_server(server, server_context()))

    async with anyio.create_task_group() as group:
        group.start_soon(serve)
        wrapped_client = await wrap_client(client, "localhost", client_context())
    yield wrapped_client, wrapped[0]


@contextlib.asynccontextmanager
async def tls_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    async with tcp_pair() as (client, server), tls_over(client, server) as pair:
        yield pair


@contextlib.asynccontextmanager
async def memory_tls_pair() -> AsyncIterator[tuple[Stream, Stream]]:
    async with memory_pair() as (client, server), tls_over(client, server) as pair:
        yield pair


TOKEN = Secret("a-token-that-must-never-print")
URL = "ws://gateway.test"


class World:
    """The embedded gateway on a network in memory, in virtual time; and what both sides have told."""

    def __init__(self, clock: VirtualClock, network: MemoryNetwork, config: ServerConfig) -> None:
        self.clock = clock
        self.network = network
        self.told: list[ServerAction] = []
        self.gateway = Gateway(config, rng=random.Random(7), clock=clock, on_action=self.told.append)
        self.actions: list[ShardAction] = []
        self.sent = 0

    def open_shard(self, **options: Any) -> AbstractAsyncContextManager[ShardRunner]:
        """`open_shard` in this world; `config` holds changes to the `ShardConfig`."""
        changes: dict[str, Any] = options.pop("config", {})
        config = ShardConfig(**{"token": TOKEN, "intents": Intents.GUILDS, "url": URL, **changes})
        defaults = {
            "dialer": self.network,
            "clock": self.clock,
            "rng": random.Random(8),
            "on_action": self.actions.append,
        }
        return open_shard(config, **{**defaults, **options})

    @property
    def session(self) -> ServerSession:
        """The only session that the server has."""
        [session] = self.gateway.server.sessions.values()
        return session

    def send(self, count: int = 1, pad: int = 0) -> None:
        """Dispatch so many numbered events to every session."""
        for _ in range(count):
            self.sent += 1
            self.gateway.broadcast("NUMBERED", b'{"n":%d,"pad":"%s"}' % (self.sent, b"x" * pad))

    def inject(self, fault: Fault) -> None:
        self.gateway.inject(self.session.id, fault)

    def of(self, kind: type[T]) -> list[T]:
        """What was told so far of this type, by either side."""
        return [action for action in (*self.actions, *self.told) if isinstance(action, kind)]

    async def end(self) -> None:
        """Fail a test that waits for what never comes; its heartbeats would let time flow for ever."""
        await self.clock.sleep(86400.0)
        raise AssertionError("a day has passed in vain")

    async def until(self, holds: Callable[[], object]) -> None:
        """Let virtual time pass, in steps of 0.1 s, until it holds; a quarter of an hour at most."""
        limit = self.clock.now() + 900.0
        while not holds():
            assert self.clock.now() < limit, "it never holds"
            await self.clock.sleep(0.1)


def number(event: Dispatch) -> int:
    return int(event.decode()["n"])


async def take(runner: ShardRunner, count: int) -> list[int]:
    """The next so many numbered events; READY and RESUMED are passed over."""
    numbers: list[int] = []
    while len(numbers) < count:
        event = await anext(runner)
        if event.name == "NUMBERED":
            numbers.append(number(event))
    return numbers


@contextlib.asynccontextmanager
async def world(
    *, latency: tuple[float, float] = (0.01, 0.05), chunk: int | None = None, seed: int = 9, **config: Any
) -> AsyncIterator[World]:
    """A `World`; `config` is the server's."""
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(seed), latency=latency, chunk=chunk)
        made = World(clock, network, ServerConfig(**{"token": TOKEN, "url": URL, "resume_url": URL, **config}))
        async with background() as group:
            group.start_soon(network.listen("gateway.test", 80).serve, made.gateway.handle)
            group.start_soon(made.end)
            yield made
