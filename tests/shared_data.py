"""Where the protocol's data lies, beside the repository, and what happens where it does not.

A run without it skips with the reason; under `CI=true` its absence is a failure, so that nothing is green for lack of
its data.
"""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
PROTOCOL = SHARED / "protocol"
DATA = Path(__file__).resolve().parent / "data"


def protocol_file(name: str) -> Path:
    """A file of ../shared/protocol; skips the calling test (under CI fails it) where there is none."""
    return _shared_file("protocol", name)


def seed_file(name: str) -> Path:
    """A file of ../shared/seed, what the project descends from; skips or fails likewise."""
    return _shared_file("seed", name)


def _shared_file(folder: str, name: str) -> Path:
    path = SHARED / folder / name
    if path.is_file():
        return path
    reason = f"../shared/{folder}/{name} is not beside this repository"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@cache
def gateway() -> dict[str, Any]:
    """The gateway's small tables, from the copy in tests/data: opcodes, close codes, intents, names of events."""
    tables: dict[str, Any] = json.loads((DATA / "gateway.json").read_text())
    return tables


def objects() -> dict[str, list[dict[str, Any]]]:
    """The documented tables of objects.json by title: rows of name, type, optional, nullable."""
    tables: dict[str, list[dict[str, Any]]] = json.loads(protocol_file("objects.json").read_text())
    return tables


def examples() -> list[dict[str, Any]]:
    """The lines of examples.jsonl: id, kind, name, source, json."""
    return [json.loads(line) for line in protocol_file("examples.jsonl").read_text().splitlines()]
