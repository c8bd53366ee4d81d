"""The README tells the truth: its commands, its code, its diagram and its table."""

import re
from pathlib import Path

import pytest

import gateway_proto
import gateway_proto.websocket_ext
from gateway_proto.stage import diagram

from .shared_data import REPOSITORY, seed_file

README = (REPOSITORY / "README.md").read_text()
TABLE = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| `")]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_two_commands_are_one_line_each() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv ")]
    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[cli]' && .venv/bin/gateway-proto demo",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest",
    ]


def test_the_stage_diagram_is_printed_from_the_table() -> None:
    assert f"```\n{diagram()}\n```" in README


def test_the_embedding_is_the_one_that_a_test_runs() -> None:
    assert blocks("python")[1] == (REPOSITORY / "tests" / "embed_socket.py").read_text()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].replace("`", ""))
def test_each_name_that_serenitys_table_points_to_exists(row: list[str]) -> None:
    names = re.findall(r"`([A-Za-z_.]+)", row[-1])
    assert names
    for name in names:
        found: object = gateway_proto
        for part in name.split("."):
            found = getattr(found, part)


def test_no_name_of_serenitys_gateway_module_is_missing() -> None:
    """Those of the client and the bridge come with their own release."""
    seed = seed_file("SERENITY-0.5.md").read_text()
    known = {name for row in TABLE for name in re.findall(r"[A-Za-z_]+", row[0])}
    for line in seed.splitlines():
        group = line.strip("| ").split(" | ")
        if len(group) != 2 or group[0].startswith(("group", "---", "the ", "ConnectionStage", "GatewayError")):
            continue
        wanted = {name for name in re.findall(r"`([a-z_]+)", group[1]) if name not in ("new",)}
        assert wanted <= known, f"{group[0]}: {sorted(wanted - known)}"
    for name in ("Connected", "Resuming", "BuildingUrl", "ReconnectFailure", "InvalidApiVersion"):
        assert name in known


def test_the_wheel_is_described_by_its_readme() -> None:
    assert Path(REPOSITORY / "README.md").stat().st_size > 0
