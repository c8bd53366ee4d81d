"""`python -m tests.mutants [--json]`: exit code 0 if every fault was caught and there are enough of them."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .catalogue import MUTANTS
from .trial import Mutant, Row, TrialError, Workshop, mutated

TREE = Path(__file__).resolve().parents[2]
ENOUGH = 10


def main(arguments: Sequence[str] | None = None, mutants: Sequence[Mutant] = MUTANTS, tree: Path = TREE) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list of {id, file, diff, test, caught}")
    as_json = parser.parse_args(arguments).json
    started = time.monotonic()
    try:
        rows = try_all(mutants, tree, quiet=as_json)
    except TrialError as error:
        print(error, file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps([row._asdict() for row in rows], indent=2))
    survivors = [row.id for row in rows if not row.caught]
    print(
        f"{len(rows) - len(survivors)} of {len(rows)} faults caught in {time.monotonic() - started:.0f} s"
        + "".join(f"\nsurvived: {survivor}" for survivor in survivors)
        + (f"\nfewer than {ENOUGH} faults" if len(rows) < ENOUGH else ""),
        file=sys.stderr if as_json else sys.stdout,
    )
    return int(bool(survivors) or len(rows) < ENOUGH)


def try_all(mutants: Sequence[Mutant], tree: Path, *, quiet: bool) -> list[Row]:
    """Green first, then each fault by itself.

    Raises:
        TrialError: nothing can be said about them.
    """
    for mutant in mutants:
        mutated(tree, mutant)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        workshop = Workshop(tree, Path(folder))
        workshop.check_green([mutant.test for mutant in mutants])
        width = max((len(mutant.id) for mutant in mutants), default=0)
        rows = []
        for row in workshop.rows(mutants):
            rows.append(row)
            if not quiet:
                print(f"{'caught' if row.caught else 'SURVIVED':<9} {row.id:<{width}}  {row.test}", flush=True)
    return rows


if __name__ == "__main__":
    sys.exit(main())
