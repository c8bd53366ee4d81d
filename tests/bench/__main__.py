"""`python -m tests.bench decode|idle|ready|road|serve [--json] [--events N] [--rounds N] [--shards N]
[--seconds S]`. Each name is a module here, and says what its rows are.
"""

import argparse
import json
from collections.abc import Callable
from typing import Any

from . import decode, idle, ready, road, serve

BENCHMARKS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "decode": lambda arguments: decode.rows(arguments.events, arguments.rounds),
    "idle": lambda arguments: idle.rows(arguments.shards, arguments.seconds),
    "ready": lambda arguments: ready.rows(arguments.events, arguments.rounds),
    "road": lambda arguments: road.rows(arguments.events, arguments.rounds),
    "serve": lambda arguments: serve.rows(arguments.events, arguments.rounds),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.add_argument("--events", type=int, default=4000, help="events in each stream")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, of which the fastest counts")
    parser.add_argument("--shards", type=int, default=idle.SHARDS, help="shards that idle")
    parser.add_argument("--seconds", type=float, default=idle.SECONDS, help="real seconds that they idle for")
    arguments = parser.parse_args()
    rows = BENCHMARKS[arguments.name](arguments)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{name}={value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
