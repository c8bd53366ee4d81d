"""Accepting while the process has no file descriptor left for another socket, and sockets beyond the bound."""

import errno
import json
import random
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import h11
import pytest
import trustme

from gateway_proto.server import ConnectionRefused, ServerAction, ServerConfig, ServerLimits
from gateway_transports import serve as serving
from gateway_transports.action_lines import describe
from gateway_transports.contract import Stream
from gateway_transports.errors import StreamError
from gateway_transports.memory import MemoryNetwork, virtual_time
from gateway_transports.tasks import background

pytestmark = pytest.mark.anyio


class ExhaustedListener:
    """Its first accepts fail, as each backend has it; then it waits for a client."""

    def __init__(self) -> None:
        self.errors: list[Exception] = [OSError(errno.EMFILE, "Too many open files"), anyio.BrokenResourceError()]
        self.waits = anyio.Event()

    async def serve(self, handler: Callable[[Any], Awaitable[None]], task_group: anyio.abc.TaskGroup | None) -> None:
        assert task_group is not None, "what is served already would end with the first failing accept"
        if self.errors:
            raise self.errors.pop(0)
        self.waits.set()
        await anyio.sleep_forever()


async def test_what_is_served_goes_on_and_accepting_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ACCEPT_AGAIN", 0.0)
    listener: Any = ExhaustedListener()
    acceptor = serving.Acceptor(serving.Gateway(ServerConfig()).handle, 10)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(acceptor.run, listener, group)
            await listener.waits.wait()
            assert not listener.errors
            group.cancel_scope.cancel()


# -- sockets too many --------------------------------------------------------------------------------------------------


async def refused(network: MemoryNetwork, gateway: serving.Gateway, group: anyio.abc.TaskGroup) -> None:
    """Listen, and refuse everybody."""

    async def refuse(stream: Stream) -> None:
        await gateway.refuse(stream, 5)

    group.start_soon(network.listen("gateway", 80).serve, refuse)


async def read_to_end(stream: Stream) -> bytes:
    data = b""
    while chunk := await stream.receive():
        data += chunk
    return data


async def test_a_socket_too_many_is_answered_and_told_of() -> None:
    async with virtual_time() as clock, background() as group:
        told: list[ServerAction] = []
        gateway = serving.Gateway(ServerConfig(), clock=clock, on_action=told.append)
        network = MemoryNetwork(clock, rng=random.Random(1))
        await refused(network, gateway, group)
        stream = await network.dial("gateway", 80, tls=False)
        await stream.send(b"GET /?v=10 HTTP/1.1\r\nHost: x\r\n\r\n" + b"x" * 100_000)
        peer = h11.Connection(h11.CLIENT)
        peer.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        peer.send(h11.EndOfMessage())
        peer.receive_data(await read_to_end(stream))
        response, body, end = peer.next_event(), peer.next_event(), peer.next_event()
        assert isinstance(response, h11.Response)
        assert isinstance(body, h11.Data)
        assert isinstance(end, h11.EndOfMessage)
        assert response.status_code == 503
        assert json.loads(body.data) == {"message": "503: Service Unavailable", "code": 0}
        assert told == [ConnectionRefused(limit=5, answered=True)]
        assert not gateway.server.connections


async def test_refusing_is_bounded_in_number_and_time() -> None:
    async with virtual_time() as clock, background() as group:
        told: list[ServerAction] = []
        config = ServerConfig(limits=ServerLimits(close_grace=2.0))
        gateway = serving.Gateway(config, clock=clock, on_action=told.append)
        network = MemoryNetwork(clock, rng=random.Random(1))
        await refused(network, gateway, group)
        streams = [await network.dial("gateway", 80, tls=False) for _ in range(serving.MAX_REFUSED + 3)]
        await clock.sleep(1.0)
        assert [action.answered for action in told if isinstance(action, ConnectionRefused)] == (
            [True] * serving.MAX_REFUSED + [False] * 3
        )
        assert await read_to_end(streams[-1]) == b""
        await clock.sleep(2.0)
        with pytest.raises(StreamError):
            await streams[0].send(b"x")  # whoever does not end it has it ended
        late = await network.dial("gateway", 80, tls=False)
        assert (await read_to_end(late)).startswith(b"HTTP/1.1 503 "), "there is room again"


async def test_a_listener_refuses_what_is_beyond_its_bound() -> None:
    told: list[ServerAction] = []
    with anyio.fail_after(30):
        async with serving.serve(max_connections=1, on_action=told.append) as gateway:
            async with await anyio.connect_tcp("127.0.0.1", gateway.port) as first:
                await first.send(b"GET / HTTP/1.1\r\n")
                while not gateway.server.connections:
                    await anyio.lowlevel.checkpoint()
                async with await anyio.connect_tcp("127.0.0.1", gateway.port) as second:
                    assert (await second.receive()).startswith(b"HTTP/1.1 503 ")
            assert told[0] == ConnectionRefused(limit=1, answered=True)


async def test_before_a_handshake_nothing_can_be_answered() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    told: list[ServerAction] = []
    with anyio.fail_after(30):
        async with serving.serve(max_connections=0, ssl_context=context, on_action=told.append) as gateway:
            async with await anyio.connect_tcp("127.0.0.1", gateway.port) as stream:
                with pytest.raises(anyio.EndOfStream):
                    await stream.receive()
            assert told == [ConnectionRefused(limit=0, answered=False)]


def test_it_reads_as_a_line() -> None:
    assert describe(ConnectionRefused(limit=9, answered=False)) == "a connection was refused: 9 are open"
