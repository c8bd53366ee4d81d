"""What an idle fleet costs: all its shards in one process over loopback, READY, with nothing but heartbeats.

Rows {compress, shards, kib_per_shard, cpu_percent, bare_kib_per_shard, bare_cpu_percent, kib_ratio, cpu_ratio}:

- kib_per_shard: what the client's process alone holds (its private pages, the USS; on Linux) once all are READY and
  garbage is collected, less the same of the same process with its `Client` entered and no shard started. So the native
  memory of zlib's and zstd's windows counts, and what the allocator keeps; the kernel's socket buffers do not.
- cpu_percent: the processor time of that process, user and system, over the idle time, in percent of one core.
- bare_…: the limit, measured in the same run: as many bare anyio tasks in a process, each with a socket that it reads
  and a timer, that send 32 bytes as often as a shard beats, and are answered.

The embedded gateway is a process of its own, and so is the client of each row: none colours the memory of the next.
Nobody sends events, so a decompressor has seen HELLO, READY and ACKs: a window that Discord's events have filled is
larger, up to 32 KiB more with zlib and what the server chose with zstd.
"""

import argparse
import contextlib
import gc
import json
import logging
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import anyio.abc

from gateway_proto import ConnectionStage, Intents, Secret, ShardConfig
from gateway_proto.config import TransportCompression
from gateway_proto.events import MessageCreate
from gateway_proto.fleet import ManagerAction, ShardStageUpdate
from gateway_proto.server import ServerConfig
from gateway_transports.client import Client
from gateway_transports.serve import serve

SHARDS: Final = 1_000
SECONDS: Final = 120.0
INTERVAL: Final = 10.0
"""Seconds between heartbeats: Discord's are 41.25, and the cost is in proportion to their number."""
COMPRESSIONS: Final[Mapping[str, TransportCompression | None]] = {
    "none": None,
    "zlib-stream": "zlib-stream",
    "zstd-stream": "zstd-stream",
}
BARE: Final = "bare"
START_LIMIT: Final = 120.0
"""Seconds for all of them to be READY."""
SETTLE: Final = 2.0
"""Seconds from there to the measurement: late answers come, what the start has used is freed."""
END_LIMIT: Final = 30.0
"""Seconds for a process to end."""
TOKEN: Final = Secret("bench")
BEAT: Final = bytes(32)
ROOT: Final = Path(__file__).parent.parent.parent
Row = dict[str, Any]


class Task(NamedTuple):
    """What a client's process is told."""

    compress: str
    shards: int
    seconds: float
    url: str
    echo_port: int


def rows(shards: int, seconds: float) -> list[Row]:
    """One row for each compression, of `seconds` each, and a quarter of it for the limit."""
    with _server(shards) as (url, echo_port):
        bare = _client(Task(BARE, shards, max(seconds / 4, min(seconds, 2 * INTERVAL)), url, echo_port))
    found: list[Row] = []
    for compress in COMPRESSIONS:
        with _server(shards) as (url, echo_port):
            found.append(_beside(_client(Task(compress, shards, seconds, url, echo_port)), bare))
    return found


def _beside(row: Row, bare: Row) -> Row:
    return {
        **row,
        "bare_kib_per_shard": bare["kib_per_shard"],
        "bare_cpu_percent": bare["cpu_percent"],
        "kib_ratio": _ratio(row["kib_per_shard"], bare["kib_per_shard"]),
        "cpu_ratio": _ratio(row["cpu_percent"], bare["cpu_percent"]),
    }


def _ratio(own: float, other: float) -> float | None:
    """None where a run was too small to measure anything."""
    return round(own / other, 2) if other > 0 else None


# -- the processes -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _server(shards: int) -> Iterator[tuple[str, int]]:
    """The gateway's URL and the port that echoes. The process ends with its standard input, whoever dies first."""
    command = [sys.executable, "-m", "tests.bench.idle", "server", str(shards)]
    process = subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url, echo_port = json.loads(process.stdout.readline())
        yield url, echo_port
    finally:
        process.stdin.close()
        try:
            process.wait(END_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _client(task: Task) -> Row:
    """The row of one client's process."""
    command = [sys.executable, "-m", "tests.bench.idle", "client", json.dumps(task)]
    limit = START_LIMIT + SETTLE + task.seconds + END_LIMIT
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, text=True, check=True, timeout=limit
    )
    row: Row = json.loads(done.stdout)
    return row


def _environment() -> dict[str, str]:
    """A child imports what this process does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.idle", description="A process of the benchmark.")
    parser.add_argument("role", choices=("server", "client"))
    parser.add_argument("what", help="the server's shards, or the client's task")
    arguments = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if arguments.role == "server":
        anyio.run(_serve, int(arguments.what))
        return
    logging.getLogger("gateway_transports").setLevel(logging.ERROR)
    task = Task(*json.loads(arguments.what))
    print(json.dumps(anyio.run(_bare if task.compress == BARE else _fleet, task)))


# -- the server --------------------------------------------------------------------------------------------------------


async def _serve(shards: int) -> None:
    config = ServerConfig(
        token=TOKEN, shards=shards, max_concurrency=shards, session_limit=2 * shards, heartbeat_interval=INTERVAL
    )
    async with (
        serve(config) as gateway,
        await anyio.create_tcp_listener(local_host="127.0.0.1") as echo,
        anyio.create_task_group() as group,
    ):
        group.start_soon(echo.serve, _echo)
        print(json.dumps([gateway.url, echo.extra(anyio.abc.SocketAttribute.local_port)]), flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)
        group.cancel_scope.cancel()


async def _echo(stream: anyio.abc.ByteStream) -> None:
    async with stream:
        with contextlib.suppress(anyio.BrokenResourceError):
            async for data in stream:
                await stream.send(data)


# -- the clients -------------------------------------------------------------------------------------------------------


async def _fleet(task: Task) -> Row:
    config = ShardConfig(
        token=TOKEN,
        intents=Intents.GUILD_MESSAGES,
        transport_compression=COMPRESSIONS[task.compress],
    )
    ready = _Countdown(task.shards)
    trouble: list[ManagerAction] = []

    def note(action: ManagerAction) -> None:
        if isinstance(action, ShardStageUpdate) and action.new is ConnectionStage.CONNECTED:
            ready.one()
        elif ready.event.is_set():
            trouble.append(action)

    async with Client(config, api=task.url.replace("ws://", "http://"), on_update=note) as client:
        client.on(MessageCreate)(lambda message: None)
        usage = _Usage(task)
        await client.start_shards(task.shards)
        row = await usage.row(ready.event)
        if trouble or not all(info.stage is ConnectionStage.CONNECTED for info in client.infos()):
            raise AssertionError(f"the shards did not stay connected: {trouble[:3]}")
        client.shutdown_all(resumable=False)
    return row


async def _bare(task: Task) -> Row:
    ready = _Countdown(task.shards)
    async with anyio.create_task_group() as group:
        usage = _Usage(task)
        for _ in range(task.shards):
            group.start_soon(_beat, task.echo_port, ready.one)
            await anyio.sleep(0.001)  # the listener's backlog is bounded
        row = await usage.row(ready.event)
        group.cancel_scope.cancel()
    return row


async def _beat(port: int, connected: Callable[[], object]) -> None:
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        connected()
        wait = random.uniform(0.0, INTERVAL)
        while True:
            with anyio.move_on_after(wait):
                while True:
                    await stream.receive()
            await stream.send(BEAT)
            wait = INTERVAL


class _Countdown:
    """An event after so many."""

    def __init__(self, left: int) -> None:
        self.event = anyio.Event()
        self._left = left

    def one(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.event.set()


class _Usage:
    """What this process uses; made before the shards."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._bytes = _private_bytes()

    async def row(self, ready: anyio.Event) -> Row:
        task = self._task
        with anyio.fail_after(START_LIMIT):
            await ready.wait()
        await anyio.sleep(SETTLE)
        size = _private_bytes() - self._bytes
        start, cpu = time.monotonic(), time.process_time()
        await anyio.sleep(task.seconds)
        used = (time.process_time() - cpu) / (time.monotonic() - start)
        return {
            "compress": task.compress,
            "shards": task.shards,
            "kib_per_shard": round(size / 1024 / task.shards, 2),
            "cpu_percent": round(100 * used, 2),
        }


def _private_bytes() -> int:
    """The pages that this process shares with no other, once garbage is collected."""
    gc.collect()
    kibs = [int(line.split()[1]) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
            if line.startswith("Private_")]  # fmt: skip
    return 1024 * sum(kibs)


if __name__ == "__main__":
    _main()
