"""Opcodes, close codes and intents are those of the documentation's tables, by name and by value."""

import json
import re
from typing import Any

import pytest

from gateway_proto.close_codes import (
    FATAL_CLOSE_CODES,
    GOING_AWAY,
    NORMAL_CLOSURE,
    RESUMABLE_CLOSURE,
    SESSION_ENDING_CLOSE_CODES,
    CloseCode,
)
from gateway_proto.config import ShardConfig
from gateway_proto.intents import Intents
from gateway_proto.opcodes import CLIENT_RECEIVES, CLIENT_SENDS, Opcode
from gateway_proto.secret import Secret
from tests import shared_data

TABLES = shared_data.gateway()


def constant(title: str) -> str:
    """A table's name in upper snake case: "Invalid intent(s)" is INVALID_INTENTS, "Invalid `seq`" INVALID_SEQ."""
    return re.sub(r"[^A-Za-z]+", "_", title.replace("(s)", "s")).strip("_").upper()


def test_the_copy_is_the_shared_table() -> None:
    shared: dict[str, Any] = json.loads(shared_data.protocol_file("gateway.json").read_text())
    assert {
        **shared,
        "intents": {
            name: {"bit": intent["bit"], "privileged": intent["privileged"]}
            for name, intent in shared["intents"].items()
        },
        "dispatch_events": sorted(shared["dispatch_events"]),
    } == TABLES


def test_opcodes() -> None:
    rows = TABLES["opcodes"]
    assert {opcode.name: opcode.value for opcode in Opcode} == {constant(row["name"]): row["code"] for row in rows}
    assert {row["code"] for row in rows if "send" in row["client"]} == CLIENT_SENDS
    assert {row["code"] for row in rows if "receive" in row["client"]} == CLIENT_RECEIVES


def test_close_codes() -> None:
    rows = TABLES["close_codes"]
    assert {code.name: code.value for code in CloseCode} == {constant(row["name"]): row["code"] for row in rows}


@pytest.mark.failure("F16")
def test_fatal_close_codes() -> None:
    fatal = {row["code"] for row in TABLES["close_codes"] if not row["reconnect"]}
    assert fatal == FATAL_CLOSE_CODES == {4004, 4010, 4011, 4012, 4013, 4014}


@pytest.mark.failure("F17")
def test_close_codes_that_end_the_session() -> None:
    assert {4007, 4009} == SESSION_ENDING_CLOSE_CODES
    assert not SESSION_ENDING_CLOSE_CODES & FATAL_CLOSE_CODES
    assert (NORMAL_CLOSURE, GOING_AWAY) == (1000, 1001)
    assert 4000 <= RESUMABLE_CLOSURE < 5000
    assert RESUMABLE_CLOSURE not in FATAL_CLOSE_CODES | SESSION_ENDING_CLOSE_CODES


def test_intents() -> None:
    rows = TABLES["intents"]
    assert {name: intent.value for name, intent in Intents.__members__.items()} == {
        name: 1 << row["bit"] for name, row in rows.items()
    }
    privileged = Intents(sum(1 << row["bit"] for row in rows.values() if row["privileged"]))
    assert Intents.privileged() == privileged
    assert Intents.all() == Intents(sum(1 << row["bit"] for row in rows.values()))
    assert Intents.unprivileged() | privileged == Intents.all()
    assert Intents.unprivileged() & privileged == Intents.none() == 0


def test_unknown_intents_are_kept() -> None:
    assert int(Intents(1 << 40) | Intents.GUILDS) == (1 << 40) + 1


def test_the_api_version_is_the_tables() -> None:
    assert ShardConfig(token=Secret("t"), intents=Intents.none()).api_version == TABLES["api_version"]
