"""`python -m fuzz TARGET [--seconds N] [--seed S] [--runs N]`, or with `--input FILE`, `--write-seeds`, `--list`.

Exit code 0: the invariant holds; 1: a finding; 2: a mistake in the command, told in one line.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import NoReturn

from . import TARGETS


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"fuzz: {message}", file=sys.stderr)
        sys.exit(2)


def main(arguments: list[str]) -> int:
    parser = _Parser(prog="python -m fuzz", description="Fuzz one part of the engine with atheris.")
    parser.add_argument("target", nargs="?", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--list", action="store_true", help="print the names of the targets")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="for how long (default 60)")
    parser.add_argument("--runs", type=int, metavar="N", help="stop after so many inputs even so")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="S", help="the same seed tries the same inputs (default 1)"
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="try this one input, without atheris")
    parser.add_argument("--write-seeds", action="store_true", help="write the target's corpus anew")
    options = parser.parse_args(arguments)
    if options.list:
        print("\n".join(TARGETS))
        return 0
    if options.target is None:
        parser.error(f"no target; one of {', '.join(TARGETS)}")
    if options.target not in TARGETS:
        parser.error(f"unknown target {options.target!r}; one of {', '.join(TARGETS)}")
    if options.write_seeds:
        return _write_seeds(options.target)
    if options.input is not None:
        return _try_input(parser, options.target, options.input)
    if options.seconds < 1 or (options.runs is not None and options.runs < 1):
        parser.error("--seconds and --runs must be 1 or more")
    if not 0 < options.seed < 2**32:
        parser.error("--seed must be 1 to 4294967295")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: pip install -e '.[test]'")
    from .runner import run

    try:
        return run(options.target, seconds=options.seconds, seed=options.seed, runs=options.runs)
    except KeyboardInterrupt:
        return 130


def _write_seeds(name: str) -> int:
    from .target import write_seeds

    print(write_seeds(name))
    return 0


def _try_input(parser: argparse.ArgumentParser, name: str, file: Path) -> int:
    from .target import load

    try:
        data = file.read_bytes()
    except OSError as error:
        parser.error(f"cannot read {file}: {error.strerror}")
    load(name).one_input(data)
    print(f"{name}: the invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
