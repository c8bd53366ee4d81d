"""What an accepted socket brings waits in the kernel until it is read: nothing else bounds what is held of it."""

import socket

import anyio
import anyio.lowlevel
import pytest

from gateway_transports.contract import Stream
from gateway_transports.serve import Acceptor

pytestmark = pytest.mark.anyio
BLOCK = bytes(2**16)
KERNEL = 32 * 2**20
"""More than the kernel holds of one connection on both sides, with its largest buffers."""
PATIENCE = 200
"""Turns of the event loop without room, after which there will be none."""


async def sent_before_it_blocks(client: socket.socket) -> int:
    sent = waited = 0
    while waited < PATIENCE and sent < 2 * KERNEL:
        try:
            sent += client.send(BLOCK)
            waited = 0
        except BlockingIOError:
            waited += 1
        await anyio.lowlevel.checkpoint()
    return sent


@pytest.mark.failure("F30")
async def test_a_flood_from_the_first_byte_on_is_left_in_the_kernel(anyio_backend: str) -> None:
    accepted, over = anyio.Event(), anyio.Event()

    async def handle(stream: Stream) -> None:
        accepted.set()
        await over.wait()
        await stream.aclose()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(Acceptor(handle, 10).run, listener, group)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.send(BLOCK)
            client.setblocking(False)
            with anyio.fail_after(30.0):
                await accepted.wait()
                assert await sent_before_it_blocks(client) < KERNEL
        over.set()
        group.cancel_scope.cancel()
