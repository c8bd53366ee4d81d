"""The table of stages: complete, walked by the code as it is written, printable."""

import ast
import itertools
from pathlib import Path

import pytest

import gateway_proto
from gateway_proto import ConnectionStage
from gateway_proto.stage import IGNORED, TRANSITIONS, StageInput, StageMachine, diagram

PAIRS = list(itertools.product(ConnectionStage, StageInput))
SOURCES = sorted(Path(gateway_proto.__file__).parent.glob("**/*.py"))


def machine_at(stage: ConnectionStage) -> StageMachine:
    """A machine that has walked to `stage` by legal steps."""
    paths: dict[ConnectionStage, list[StageInput]] = {ConnectionStage.DISCONNECTED: []}
    while stage not in paths:
        paths |= {new: [*paths[old], step] for (old, step), new in TRANSITIONS.items() if old in paths} | paths
    machine = StageMachine()
    for step in paths[stage]:
        machine.apply(step)
    assert machine.stage is stage
    return machine


def test_the_six_stages() -> None:
    assert [stage.name for stage in ConnectionStage] == [
        "DISCONNECTED",
        "CONNECTING",
        "HANDSHAKE",
        "IDENTIFYING",
        "RESUMING",
        "CONNECTED",
    ]
    assert StageMachine().stage is ConnectionStage.DISCONNECTED


@pytest.mark.parametrize(("stage", "step"), PAIRS, ids=str)
def test_every_pair_is_listed_once_and_obeyed(stage: ConnectionStage, step: StageInput) -> None:
    machine = machine_at(stage)
    legal = TRANSITIONS.get((stage, step))
    assert (legal is None) == ((stage, step) in IGNORED)
    changed = machine.apply(step)
    if legal is None:
        assert changed is None
        assert machine.stage is stage
    else:
        assert changed == (stage, legal)
        assert machine.stage is legal
        assert legal is not stage


def test_no_pair_is_made_up_and_each_ignored_one_has_its_reason() -> None:
    assert TRANSITIONS.keys() | IGNORED.keys() == set(PAIRS)
    assert all(len(reason) > 10 for reason in IGNORED.values())


def test_every_stage_can_be_reached_and_left() -> None:
    for stage in ConnectionStage:
        machine = machine_at(stage)
        machine.apply(StageInput.LOST)
        assert machine.stage is ConnectionStage.DISCONNECTED


@pytest.mark.parametrize(
    ("stage", "text", "connecting"),
    [
        (ConnectionStage.DISCONNECTED, "disconnected", False),
        (ConnectionStage.CONNECTING, "connecting", True),
        (ConnectionStage.HANDSHAKE, "handshake", True),
        (ConnectionStage.IDENTIFYING, "identifying", True),
        (ConnectionStage.RESUMING, "resuming", True),
        (ConnectionStage.CONNECTED, "connected", False),
    ],
)
def test_printable_and_connecting(stage: ConnectionStage, text: str, connecting: bool) -> None:
    assert str(stage) == f"{stage}" == text
    assert stage.is_connecting() is connecting


def test_the_diagram_says_what_the_table_says() -> None:
    told: dict[tuple[str, str], str] = {}
    stage = ""
    for line in diagram().splitlines():
        if line.startswith(" "):
            step, new = line.split("->")
            told[stage, step.strip()] = new.strip()
        else:
            stage = line
    assert told == {(old.value, step.value): new.value for (old, step), new in TRANSITIONS.items()}


def test_only_the_machine_assigns_a_stage() -> None:
    writers = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse(source.read_text())):
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if any(isinstance(target, ast.Attribute) and target.attr in ("stage", "_stage") for target in targets):
                writers.add(source.name)
    assert writers == {"stage.py"}
