"""Connected pairs of streams over every transport, and throw-away certificates."""

import contextlib
import functools
import random
import ssl
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import trustme

from gateway_transports import Stream
from gateway_transports.anyio import AnyioDialer, SocketStream
from gateway_transports.memory import MemoryNetwork, virtual_time
from gateway_transports.tls import wrap_client, wrap_server

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
