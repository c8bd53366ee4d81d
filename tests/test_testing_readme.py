"""What the README says of testing your own client: its script and its tests run as they stand there."""

import subprocess
import sys
from pathlib import Path

import pytest

from .test_readme import blocks


def block_with(text: str) -> str:
    [found] = [block for block in blocks("python") if text in block]
    return found


@pytest.mark.failure("F40")
def test_the_script_finds_nothing_in_the_engine_and_what_is_forgotten(tmp_path: Path) -> None:
    script = tmp_path / "forgetful.py"
    script.write_text(block_with("check_client(Forgetful)"))
    done = subprocess.run([sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no event of a session that lives is lost: event ")


@pytest.mark.failure("F40")
@pytest.mark.parametrize(("text", "tests"), [("TestMyClient", "2 passed"), ("def test_my_reader", "1 passed")])
def test_its_tests_pass(text: str, tests: str, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(block_with(text))
    options = ("-p", "no:cacheprovider", "-q", "-W", "error", "test_it.py")
    done = subprocess.run([sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert tests in done.stdout
