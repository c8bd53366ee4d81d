"""What type checkers say of the README's code: nothing as it stands, and one error of a line that misuses a field."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from .shared_data import REPOSITORY
from .test_readme import BOT, EMBEDDING, TYPED, WAYS, blocks
from .test_types_complete import pyright

PAIRS = [
    (BOT, "message.content", "message.contents"),
    (BOT, "message.author.username", "message.author.username.id"),
    (BOT, "message := event.get(MessageCreate)", "message := event.data"),
    (WAYS, "event.data.author.username", "event.data.author.nick"),
    (WAYS, "if isinstance(event.data, GuildCreate)", "if not isinstance(event.data, GuildCreate)"),
    (WAYS, "context.state.messages += 1", "context.state.message += 1"),
    (TYPED, "text.content", "text.author"),
    (TYPED, "user.global_name", "user.nick"),
    (TYPED, " if user is not UNSET", ""),
    (TYPED, "created_at(message_id)", "created_at(event.data)"),
]
"""What stands in a block, and the misuse that is put in its place."""


class Checked(NamedTuple):
    """How many errors each checker finds."""

    mypy: int
    pyright: int


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Checked]:
    """Every block and every misuse, each as a file, put before both checkers at once: they take seconds to start."""
    folder = tmp_path_factory.mktemp("typed")
    for index in (BOT, WAYS, TYPED, EMBEDDING):
        (folder / f"block_{index}.py").write_text(blocks("python")[index])
    for index, (block, right, wrong) in enumerate(PAIRS):
        text = blocks("python")[block]
        assert right in text
        (folder / f"misuse_{index}.py").write_text(text.replace(right, wrong))
    by_mypy, by_pyright = _mypy(folder), _pyright(folder)
    return {file.stem: Checked(by_mypy.count(file.stem), by_pyright.count(file.stem)) for file in folder.glob("*.py")}


def _mypy(folder: Path) -> list[str]:
    files = sorted(str(file) for file in folder.glob("*.py"))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--output", "json", *files],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "transports")])},
        check=False,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    assert run.returncode in (0, 1), run.stderr
    return [Path(line["file"]).stem for line in lines if line["severity"] == "error"]


def _pyright(folder: Path) -> list[str]:
    (folder / "pyrightconfig.json").write_text(
        json.dumps(
            {
                "typeCheckingMode": "strict",
                "reportMatchNotExhaustive": False,  # the embedder has no need of every action
                "extraPaths": [str(REPOSITORY), str(REPOSITORY / "transports")],
            },
        )
    )
    report = pyright("--project", str(folder))
    return [Path(line["file"]).stem for line in report["generalDiagnostics"] if line["severity"] == "error"]


@pytest.mark.parametrize("block", [BOT, WAYS, TYPED, EMBEDDING])
def test_the_code_is_typed(checked: dict[str, Checked], block: int) -> None:
    assert checked[f"block_{block}"] == Checked(mypy=0, pyright=0)


@pytest.mark.parametrize("pair", range(len(PAIRS)), ids=[wrong or f"without{right}" for _, right, wrong in PAIRS])
def test_a_misuse_is_refused(checked: dict[str, Checked], pair: int) -> None:
    found = checked[f"misuse_{pair}"]
    assert found.mypy >= 1
    assert found.pyright >= 1
