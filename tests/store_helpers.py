"""Stores for tests: sessions, places to put them, child processes that do."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60.0
"""Seconds after which a child that hangs is killed."""
NOBODY = 65534


@contextlib.contextmanager
def child(script: str | Path, *args: object) -> Iterator["subprocess.Popen[str]"]:
    """Run a script: its name in this folder, or its path. It is killed at the end of the block, if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).parent / script), *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield process
            finally:
                process.kill()
    finally:
        watchdog.cancel()


def line(process: "subprocess.Popen[str]") -> str:
    """The next line that it prints; waits for it."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def tell(process: "subprocess.Popen[str]", text: object) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{text}\n")
    process.stdin.flush()


@contextlib.contextmanager
def ordinary_user() -> Iterator[Path]:
    """A folder, and no right to write to what root has made read-only."""
    folder = Path(tempfile.mkdtemp())
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.chown(folder, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)
