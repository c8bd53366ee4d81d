"""What the served gateway writes: events a second to C clients over loopback, beside a raw anyio socket writer.

Rows {clients, events_per_s, server_cpu, ratio_to_raw_socket, kib_per_idle_connection}:

- events_per_s: dispatches written, of all clients together, as by `gateway-proto serve --rate max`: the mixed stream
  (some 900 bytes each), prepared, to sessions without compression. A process of its own reads and throws away; the
  clock runs until the last byte is handed to the kernel.
- server_cpu: the processor time of the server's process over that time, in percent of one core.
- ratio_to_raw_socket: how many times as long the gateway takes as a process that sends the same bytes in the same
  chunks by plain anyio streams, a task a client; the median of the rounds.
- kib_per_idle_connection: what the server's process holds more (its private pages; on Linux) for each of `IDLE` clients
  that are READY and get nothing, without compression. The same in all rows.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import selectors
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import anyio.abc
import anyio.lowlevel

from gateway_proto import Secret
from gateway_proto.server import Identified, PreparedEvent, ServerAction, ServerConfig, ServerConnection
from gateway_proto.testing import EventStream
from gateway_proto.websocket import FrameOpcode, encode_frame
from gateway_transports.cli.reel import REEL, ReelFeeds
from gateway_transports.serve import Gateway, serve

CLIENTS: Final = (1, 16, 100)
IDLE: Final = 1800
"""Many: memory comes from the system by the megabyte, and the first of it is what imports have left."""
ROUNDS: Final = 3
LIMIT: Final = 120.0
"""Seconds for any one process."""
ROOT: Final = Path(__file__).parent.parent.parent
MASK: Final = b"\x01\x02\x03\x04"
REQUEST: Final = (
    b"GET /?v=10&encoding=json HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
Row = dict[str, Any]


class Task(NamedTuple):
    """What a server's process is told. With `chunks` it is the raw writer, and sends chunks of these sizes."""

    clients: int
    events: int
    chunks: list[int]


class Usage(NamedTuple):
    """What a run took: seconds, seconds of the processor, KiB for each connection, sizes of a client's chunks."""

    seconds: float
    cpu: float
    kib: float
    chunks: list[int]


def rows(events: int, rounds: int) -> list[Row]:
    """One row for each number of clients; `events` times ten are written in each round, of all clients together."""
    idle = _run(Task(IDLE, 0, []))
    return [_row(clients, max(1, 10 * events // clients), min(rounds, ROUNDS), idle.kib) for clients in CLIENTS]


def _row(clients: int, events: int, rounds: int, kib: float) -> Row:
    served = [_run(Task(clients, events, [])) for _ in range(rounds)]
    raw = [_run(Task(clients, events, usage.chunks)) for usage in served]
    best = min(served)
    return {
        "clients": clients,
        "events_per_s": round(clients * events / best.seconds),
        "server_cpu": round(100 * best.cpu / best.seconds, 1),
        "ratio_to_raw_socket": round(
            statistics.median(own.seconds / other.seconds for own, other in zip(served, raw, strict=True)), 2
        ),
        "kib_per_idle_connection": kib,
    }


# -- the processes -----------------------------------------------------------------------------------------------------


def _run(task: Task) -> Usage:
    """A server's process, and one that reads from it until the server ends."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "tests.bench.serve"]
    server = subprocess.Popen(
        [*command, "server"], cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write(json.dumps(task) + "\n")
        server.stdin.flush()
        port = int(server.stdout.readline())
        subprocess.run(
            [*command, "reader", str(port), str(task.clients)], cwd=ROOT, env=environment, check=True, timeout=LIMIT
        )
        return Usage(*json.loads(server.stdout.readline()))
    finally:
        server.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(LIMIT)
        server.kill()
        server.wait()
        server.stdout.close()


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serve", description="A process of the benchmark.")
    parser.add_argument("role", choices=("server", "reader"))
    parser.add_argument("numbers", nargs="*", type=int, help="of a reader: the port and how many clients")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.role == "reader":
        _read(*arguments.numbers)
        return
    task = Task(*json.loads(sys.stdin.readline()))
    anyio.run(_raw if task.chunks else _gateway, task)


def _read(port: int, clients: int) -> None:
    """Connect, say what a gateway wants to hear, and throw away what comes until every socket has ended."""
    selector = selectors.DefaultSelector()
    for number in range(clients):
        connection = socket.create_connection(("127.0.0.1", port))
        identify = {
            "token": "bench",
            "intents": 512,
            "properties": {"os": "linux", "browser": "bench", "device": "bench"},
            "shard": [number, clients],
        }
        text = json.dumps({"op": 2, "d": identify}).encode()
        connection.sendall(REQUEST + encode_frame(FrameOpcode.TEXT, text, MASK))
        selector.register(connection, selectors.EVENT_READ, connection)
    buffer = bytearray(2**20)
    left = clients
    while left:
        for key, _ in selector.select():
            try:
                size = key.data.recv_into(buffer)
            except ConnectionResetError:
                size = 0
            if not size:
                selector.unregister(key.data)
                key.data.close()
                left -= 1


# -- the servers -------------------------------------------------------------------------------------------------------


async def _gateway(task: Task) -> None:
    config = ServerConfig(
        token=Secret("bench"), max_concurrency=task.clients, session_limit=2 * task.clients, heartbeat_interval=600.0
    )
    events = [PreparedEvent.of(*event, shard_id=0) for event in islice(_unnumbered(), REEL)]
    ready, done = anyio.Event(), anyio.Event()
    identified: list[Identified] = []
    left = task.clients

    def note(action: ServerAction) -> None:
        if isinstance(action, Identified):
            identified.append(action)
            if len(identified) == task.clients:
                ready.set()

    def on_done(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async with serve(config, on_action=note) as gateway:
        before = _private_kib()
        print(gateway.port, flush=True)
        with anyio.fail_after(LIMIT):
            await ready.wait()
        await _drained(gateway)
        kib = round((_private_kib() - before) / task.clients, 1)
        first = next(iter(gateway.server.connections.values()))
        async with anyio.create_task_group() as group:
            with _chunks_of(first) as chunks:
                async with _measured() as usage:
                    if task.events:
                        feeds = ReelFeeds(
                            gateway, group, limit=task.events, prepare=lambda identified: events, on_done=on_done
                        )
                        for action in identified:
                            feeds.on_action(action)
                        await done.wait()
                    await _drained(gateway)
        print(json.dumps([*usage, kib, chunks]), flush=True)


def _unnumbered() -> EventStream:
    return EventStream(random.Random(1), numbered=False)


async def _drained(gateway: Gateway) -> None:
    """Until the last byte is handed to the kernel."""
    while any(socket._connection._outbox or not socket._link._writer_waits for socket in gateway._sockets.values()):
        await anyio.lowlevel.checkpoint()


@contextlib.contextmanager
def _chunks_of(connection: ServerConnection) -> Iterator[list[int]]:
    """The sizes of what one connection drains meanwhile: one of many, so that it costs the others nothing."""
    sizes: list[int] = []
    take = connection.data_to_send

    def noted(now: float) -> bytes:
        data = take(now)
        if data:
            sizes.append(len(data))
        return data

    connection.data_to_send = noted  # type: ignore[method-assign]  # to look on while the driver drains
    yield sizes


async def _raw(task: Task) -> None:
    """The limit: the same chunks, by plain streams."""
    data = bytes(max(task.chunks))
    chunks = [data[:size] for size in task.chunks]
    streams: list[anyio.abc.SocketStream] = []
    all_here, done = anyio.Event(), anyio.Event()

    async def keep(stream: anyio.abc.SocketStream) -> None:
        streams.append(stream)
        await stream.receive()
        if len(streams) == task.clients:
            all_here.set()
        await done.wait()
        await stream.aclose()

    async def write(stream: anyio.abc.SocketStream) -> None:
        for chunk in chunks:
            await stream.send(chunk)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1000)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, keep)
        print(listener.extra(anyio.abc.SocketAttribute.local_port), flush=True)
        with anyio.fail_after(LIMIT):
            await all_here.wait()
        async with _measured() as usage, anyio.create_task_group() as writers:
            for stream in streams:
                writers.start_soon(write, stream)
        print(json.dumps([*usage, 0.0, []]), flush=True)
        done.set()
        await anyio.sleep(0.1)
        group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def _measured() -> AsyncIterator[list[float]]:
    """Seconds, and seconds of this process's processor time, of the block."""
    usage: list[float] = []
    gc.collect()
    start, cpu = time.perf_counter(), time.process_time()
    yield usage
    usage += [time.perf_counter() - start, time.process_time() - cpu]


def _private_kib() -> int:
    """The pages that this process shares with no other, once garbage is collected."""
    gc.collect()
    return sum(
        int(line.split()[1])
        for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
        if line.startswith("Private_")
    )


if __name__ == "__main__":
    _main()
