"""The network in memory: late, cut, torn, and the same every time."""

import random

import anyio
import pytest

from gateway_proto import ConnectError
from gateway_transports import StreamError
from gateway_transports.memory import MemoryNetwork, MemoryStream, virtual_time

pytestmark = pytest.mark.anyio


async def echo(stream: MemoryStream) -> None:
    while data := await stream.receive():
        await stream.send(data)
    await stream.aclose()


async def test_bytes_take_the_latency_each_way() -> None:
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(2.0, 2.0))
        async with anyio.create_task_group() as group:
            group.start_soon(network.listen("gateway.test", 443).serve, echo)
            stream = await network.dial("gateway.test", 443, tls=False)
            assert clock.now() == 2.0
            await stream.send(b"ping")
            assert clock.now() == 2.0
            assert await stream.receive() == b"ping"
            assert clock.now() == 6.0
            group.cancel_scope.cancel()


async def test_nothing_overtakes_and_chunks_keep_to_their_size() -> None:
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.0, 5.0), chunk=7)
        one, other = network.pair()
        data = bytes(range(256))
        for byte in data:
            await one.send(bytes([byte]))
        await one.send_eof()
        parts = []
        while part := await other.receive():
            parts.append(part)
        assert b"".join(parts) == data
        assert max(map(len, parts)) <= 7


async def transcript(seed: int) -> list[tuple[float, bytes]]:
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(seed), latency=(0.01, 0.5), chunk=100)
        one, other = network.pair()
        await one.send(random.Random(0).randbytes(2000))
        await one.send_eof()
        received = []
        while part := await other.receive():
            received.append((clock.now(), part))
        return received


async def test_the_same_seed_gives_the_same_run() -> None:
    assert await transcript(1) == await transcript(1)
    assert await transcript(1) != await transcript(2)


async def test_a_reset_loses_what_is_under_way() -> None:
    async with virtual_time() as clock:
        one, other = MemoryNetwork(clock, rng=random.Random(1), latency=(1.0, 1.0)).pair()
        await one.send(b"lost")
        one.reset()
        with pytest.raises(StreamError):
            await one.receive()
        with pytest.raises(StreamError, match="reset"):
            await other.receive()
        assert clock.now() == 1.0
        with pytest.raises(StreamError):
            await other.send(b"x")


async def test_closing_with_unread_data_resets_like_tcp() -> None:
    async with virtual_time() as clock:
        one, other = MemoryNetwork(clock, rng=random.Random(1)).pair()
        await other.send(b"unread")
        await one.send(b"a farewell that goes under")
        await one.aclose()
        with pytest.raises(StreamError, match="reset"):
            await other.receive()


async def test_who_listens_is_found_and_nobody_else() -> None:
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1))
        listener = network.listen("a.test", 1)
        stream = await network.dial("a.test", 1, tls=True)
        assert network.connections == [stream]
        accepted = await listener.accept()
        await accepted.send(b"!")
        assert await stream.receive() == b"!"
        await stream.aclose()
        assert network.connections == []
        network.close("a.test", 1)
        for host in ("a.test", "b.test"):
            with pytest.raises(ConnectError, match="nobody listens"):
                await network.dial(host, 1, tls=False)
