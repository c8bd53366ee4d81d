"""Trying one fault: in a copy of the tree, by the one test that is to catch it."""

import difflib
import os
import queue
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

PARTS: Final = ("gateway_proto", "transports", "tests", "fuzz", "pyproject.toml")
"""What a copy consists of."""
PATIENCE: Final = 120.0
"""Seconds for one test. A fault that makes it hang is not caught by it."""
TRIALS_AT_ONCE: Final = 2
_OPTIONS: Final = ("-n0", "-x", "-q", "-p", "no:cacheprovider", "-p", "tests.mutants.inside")
_FAILED: Final = 1
"""pytest's exit code for tests that ran and failed; every other one but 0 means that nothing was tested."""


class Mutant(NamedTuple):
    """One deliberate fault. `old` occurs once in `file` (relative to the tree) and is replaced by `new`."""

    id: str
    file: str
    old: str
    new: str
    test: str


class Row(NamedTuple):
    """What became of a mutant."""

    id: str
    file: str
    diff: str
    test: str
    caught: bool


class TrialError(Exception):
    """Nothing can be said about the mutants: the tree is not green, a text does not apply, a test cannot run."""


def mutated(tree: Path, mutant: Mutant) -> str:
    """The text of the mutant's file with the fault in it.

    Raises:
        TrialError: the text to be replaced does not occur exactly once.
    """
    path = tree / mutant.file
    source = path.read_text() if path.is_file() else ""
    count = source.count(mutant.old)
    if count != 1 or mutant.old == mutant.new:
        raise TrialError(f"{mutant.id} no longer applies: its text occurs {count} times in {mutant.file}")
    return source.replace(mutant.old, mutant.new)


def diff(tree: Path, mutant: Mutant) -> str:
    """The fault as a unified diff."""
    old, new = (text.splitlines(keepends=True) for text in ((tree / mutant.file).read_text(), mutated(tree, mutant)))
    return "".join(difflib.unified_diff(old, new, f"a/{mutant.file}", f"b/{mutant.file}", n=1))


class Workshop:
    """Copies of a tree in `folder`, one for each trial that goes on at a time."""

    def __init__(self, tree: Path, folder: Path, size: int = TRIALS_AT_ONCE) -> None:
        self._size = size
        self._copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(size):
            self._copies.put(make_copy(tree, folder / str(number)))

    def check_green(self, tests: Sequence[str]) -> None:
        """Run these tests in the unmutated tree.

        Raises:
            TrialError: they do not all pass.
        """
        # One process for each copy; the brief machine takes as long as all the others.
        unique = sorted(set(tests))
        with ThreadPoolExecutor(self._size) as pool:
            for code, output in pool.map(self._run, filter(None, (unique[n :: self._size] for n in range(self._size)))):
                if code != 0:
                    raise TrialError(f"the tree without a fault is not green:\n{output}")

    def rows(self, mutants: Sequence[Mutant]) -> Iterator[Row]:
        """Try every mutant; rows come in the order of the list, each as soon as it is known.

        Raises:
            TrialError: a text does not apply, or a test could not be run.
        """
        with ThreadPoolExecutor(self._size) as pool:
            yield from pool.map(self._try, mutants)

    def _try(self, mutant: Mutant) -> Row:
        copy = self._copies.get()
        path = copy / mutant.file
        try:
            row = Row(mutant.id, mutant.file, diff(copy, mutant), mutant.test, caught=False)
            original = path.read_text()
            path.write_text(mutated(copy, mutant))
            try:
                code, output = run_pytest(copy, [mutant.test])
            finally:
                path.write_text(original)
        finally:
            self._copies.put(copy)
        if code not in (0, _FAILED, None):
            raise TrialError(f"with {mutant.id} the test could not be run (exit code {code}):\n{output}")
        return row._replace(caught=code == _FAILED)

    def _run(self, tests: Sequence[str]) -> tuple[int | None, str]:
        copy = self._copies.get()
        try:
            return run_pytest(copy, tests)
        finally:
            self._copies.put(copy)


def make_copy(tree: Path, to: Path) -> Path:
    """Copy what is needed of a tree to a new folder."""
    to.mkdir(parents=True)
    for part in PARTS:
        source = tree / part
        if source.is_dir():
            shutil.copytree(source, to / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, to)
    return to


def run_pytest(copy: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """Run these tests of a copy. Returns the exit code (None after `PATIENCE`) and what was printed."""
    command = [sys.executable, "-m", "pytest", *_OPTIONS, *tests]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(copy), str(copy / "transports"))),
        # A stale .pyc of the same size and second would hide the fault.
        "PYTHONDONTWRITEBYTECODE": "1",
        # Hypothesis derandomized (tests/conftest.py): what was caught once is caught always.
        "CI": "true",
    }
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment, timeout=PATIENCE, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        return None, f"no end within {PATIENCE:g} s"
    return done.returncode, done.stdout + done.stderr
