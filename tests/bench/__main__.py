"""`python -m tests.bench decode|ready|road [--json] [--events N] [--rounds N]`."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from . import decode, ready, road

BENCHMARKS: dict[str, Callable[[int, int], list[dict[str, Any]]]] = {
    "decode": decode.rows,
    "ready": ready.rows,
    "road": road.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("name", choices=sorted(BENCHMARKS))
    parser.add_argument("--json", action="store_true", help="print a JSON list instead of a table")
    parser.add_argument("--events", type=int, default=4000, help="events in each stream")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, of which the fastest counts")
    arguments = parser.parse_args()
    rows = BENCHMARKS[arguments.name](arguments.events, arguments.rounds)
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return
    for row in rows:
        print("  ".join(f"{name}={value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
