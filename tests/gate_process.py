"""A program with a `SqliteGate`, as a process that a test can kill. Run as a script:

gate_process.py FILE SHARD TOTAL MAX_CONCURRENCY SPACING LEASE COUNT uses so many permits for its shard, one after the
other, and prints for each when it was granted and when it was used, in wall time. COUNT 0: it takes one, says so, and
holds it until its stdin ends.
"""

import itertools
import sys
import time

import anyio

from gateway_proto import IdentifyWanted
from gateway_transports.clock import SystemClock
from gateway_transports.sqlite_gate import SqliteGate


async def main(path: str, shard: tuple[int, int], max_concurrency: int, spacing: float, lease: float, n: int) -> None:
    clock = SystemClock()
    with SqliteGate(path, clock, max_concurrency=max_concurrency, spacing=spacing, lease=lease) as gate:
        for generation in itertools.count(1) if n == 0 else range(1, n + 1):
            # Another id of the same bucket each time: one shard that asks again and again would be held back.
            id = shard[0] + shard[1] * max_concurrency * generation
            permit = await gate.ask(IdentifyWanted(generation=generation, shard=(id, 1 << 30)))
            granted = time.time()
            if n == 0:
                print(granted, flush=True)
                await anyio.to_thread.run_sync(sys.stdin.read)
                return
            used = time.time()
            gate.used(permit, clock.now())
            print(granted, used, flush=True)


if __name__ == "__main__":
    path, id, total, max_concurrency, spacing, lease, count = sys.argv[1:]
    anyio.run(main, path, (int(id), int(total)), int(max_concurrency), float(spacing), float(lease), int(count))
