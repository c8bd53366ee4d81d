"""Everything public in both packages has a type that every checker sees alike: pyright's measure of it is 1.

Where pyright is not installed this is skipped with the reason; under `CI=true` that is a failure.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .shared_data import REPOSITORY

PACKAGES = {
    "gateway_proto": REPOSITORY / "gateway_proto",
    "gateway_transports": REPOSITORY / "transports" / "gateway_transports",
}


def pyright(*args: str) -> dict[str, Any]:
    """What pyright reports; skips the calling test (under CI fails it) where it is not installed.

    It takes this interpreter's environment for the dependencies, and this checkout for the packages, be they
    installed from it or not.
    """
    folder = str(Path(sys.executable).parent)
    command = shutil.which("pyright", path=folder)
    if command is None:
        reason = "pyright is not installed beside this interpreter"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    run = subprocess.run(
        [command, "--outputjson", *args],
        capture_output=True,
        text=True,
        env={
            **os.environ,
            # With --verifytypes it asks the `python` of PATH where modules are, and disregards --pythonpath.
            "PATH": os.pathsep.join([folder, os.environ.get("PATH", "")]),
            "PYTHONPATH": os.pathsep.join(str(package.parent) for package in PACKAGES.values()),
        },
        check=False,
    )
    assert run.returncode in (0, 1), run.stdout + run.stderr
    report: dict[str, Any] = json.loads(run.stdout)
    return report


def complaints(report: dict[str, Any]) -> Iterator[str]:
    """Each with its place; a class that is unknown through its base has none."""
    for symbol in report["typeCompleteness"]["symbols"]:
        if symbol["isTypeKnown"]:
            continue
        for diagnostic in symbol["diagnostics"]:
            if diagnostic["severity"] == "error":
                span = diagnostic.get("range")
                place = f"{diagnostic['file']}:{span['start']['line'] + 1}: " if span else ""
                yield f"{place}{symbol['name']}: {diagnostic['message']}"
    for diagnostic in report["generalDiagnostics"]:
        yield diagnostic["message"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_type_is_known(package: str) -> None:
    report = pyright("--verifytypes", package, "--ignoreexternal")
    completeness = report["typeCompleteness"]
    assert completeness["completenessScore"] == 1, "\n".join(complaints(report))
    assert completeness["packageRootDirectory"] == str(PACKAGES[package])
