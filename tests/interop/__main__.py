"""`python -m tests.interop`: install the clients, run every case, print what came of it. Exit status 1 if one fails."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import anyio

from .clients import CLIENTS
from .report import markdown
from .run import CASES, Row, run_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.interop", description=__doc__)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a JSON object a line for each row (the default)")
    form.add_argument("--table", action="store_true", help="a Markdown table, at the end")
    parser.add_argument("--folder", type=Path, help="keep the clients' environments here for the next run")
    parser.add_argument("--client", action="append", choices=[client.name for client in CLIENTS])
    options = parser.parse_args()
    rows: list[Row] = []

    def tell(row: Row) -> None:
        rows.append(row)
        line = json.dumps(row._asdict())
        print(line, flush=True, file=sys.stderr if options.table else sys.stdout)

    clients = [client for client in CLIENTS if options.client is None or client.name in options.client]
    with tempfile.TemporaryDirectory(prefix="interop-") as temporary:
        anyio.run(run_all, options.folder or Path(temporary), tell, clients)
    if options.table:
        order = {(client.name, compress): i for client in CLIENTS for i, compress in enumerate(client.compressions)}
        names = [client.name for client in CLIENTS]
        rows.sort(key=lambda row: (names.index(row.client), order.get((row.client, row.compress), 0)))
        print(markdown(rows, CASES))
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
