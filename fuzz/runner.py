"""Running one target under atheris for a while, in a process of its own.

libFuzzer ends its process by itself and writes what it finds into the corpus that it is given, so it gets a process, a
copy of the corpus and a place for its findings, all in a temporary folder.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from . import CORPUS

MAX_INPUT: Final = 4096
"""Bytes of an input."""
HANG: Final = 30
"""Seconds for one input; a longer one is a finding."""
GRACE: Final = 60
"""Seconds to start, and to come to an end, beyond those asked for."""
_TAIL: Final = 25


def run(name: str, *, seconds: int, seed: int, runs: int | None) -> int:
    """Fuzz a target. Prints one line if it holds, else where the finding is and how to see it again.

    Returns the exit code: 0, or 1 for a finding.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    corpus, findings, log = folder / "corpus", folder / "findings", folder / "log"
    shutil.copytree(CORPUS / name, corpus)
    findings.mkdir()
    command = [
        *(sys.executable, "-m", "fuzz.child", name),
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT}",
        f"-timeout={HANG}",
        f"-artifact_prefix={findings}{os.sep}",
        "-print_final_stats=1",
        *([] if runs is None else [f"-runs={runs}"]),
        str(corpus),
    ]
    with log.open("wb") as output:
        code = _wait(command, output.fileno(), seconds + GRACE)
    text = log.read_text(errors="replace")
    if code == 0:
        shutil.rmtree(folder)
        print(f"{name}: the invariant holds; {_summary(text)}")
        return 0
    shutil.rmtree(corpus)
    print("\n".join(text.splitlines()[-_TAIL:]), file=sys.stderr)
    print(f"{name}: failed (exit code {code}); the whole log: {log}")
    for finding in sorted(findings.iterdir()):
        print(f"reproduce: {sys.executable} -m fuzz {name} --input {finding}")
    return 1


def _wait(command: list[str], output: int, timeout: float) -> int:
    # Without a random hash seed sets and dicts of the engine go the same way in every run of one seed.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=environment,
            cwd=CORPUS.parent.parent,
            check=False,
        )
    except subprocess.TimeoutExpired:
        os.write(output, b"\nthe fuzzer did not come to its end and was killed\n")
        return -1
    return done.returncode


def _summary(log: str) -> str:
    inputs = re.findall(r"number_of_executed_units:\s*(\d+)", log)
    coverage = re.findall(r"cov: (\d+)", log)
    return f"{int(inputs[-1]) if inputs else 0:,} inputs, {coverage[-1] if coverage else '?'} edges covered"
