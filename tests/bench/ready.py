"""How long a fleet takes to be READY: in virtual time, which Discord's 5 s a bucket decide, and in the real time that
`ShardManager` and `IdentifyQueue` need for it, simulated shards and server included.
"""

import time
from typing import Any

from ..fleet_world import start_light

FLEETS = ((16, 1), (64, 16), (1_000, 1_000), (2_048, 16), (16_384, 128))
"""(shards, max_concurrency)."""


def rows(events: int, rounds: int) -> list[dict[str, Any]]:
    """One start each; `events` and `rounds` are for other benchmarks."""
    return [_row(shards, max_concurrency) for shards, max_concurrency in FLEETS]


def _row(shards: int, max_concurrency: int) -> dict[str, Any]:
    start = time.perf_counter()
    report = start_light(shards, max_concurrency)
    real = time.perf_counter() - start
    if report.refused or report.identifies != shards:
        raise AssertionError(f"the server refused {report.refused} of {report.identifies} IDENTIFYs")
    return {
        "shards": shards,
        "max_concurrency": max_concurrency,
        "virtual_s": round(report.virtual_s, 3),
        "waves": report.waves,
        "real_s": round(real, 3),
    }
