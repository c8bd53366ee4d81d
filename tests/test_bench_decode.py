"""The decode benchmark runs, and what it measures is what it says. How fast anything is, is not tested."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_proto.codec import decode
from gateway_proto.events import DISPATCH_TYPES, GuildCreate, GuildMembersChunk
from tests.bench.decode import rows
from tests.bench.decode_messages import SAMPLES, sample

ROOT = Path(__file__).parent.parent
OURS = {
    ("untouched", "gateway-proto"),
    ("untouched", "envelope"),
    ("partial", "gateway-proto"),
    ("partial", "gateway-proto, message"),
    ("full", "gateway-proto"),
    ("full", "gateway-proto, message"),
    ("full", "json"),
}
OTHERS = {"orjson": "orjson", "orjson, message": "orjson", "discord.py": "discord", "hikari": "hikari"}
"""Each with the module that it needs."""


@pytest.mark.parametrize("event", SAMPLES)
def test_every_message_fits_its_type_as_it_is(event: str) -> None:
    # What does not fit at once is read again field by field, and the benchmark would measure that.
    for message in sample(event, 2000).messages:
        envelope = decode(message)
        assert envelope.op == 0
        assert envelope.t is not None
        msgspec.json.decode(envelope.d, type=DISPATCH_TYPES[envelope.t], strict=False)


def test_the_guilds_are_as_large_as_their_names_say() -> None:
    for members in (5, 500):
        [message] = sample(f"GUILD_CREATE, {members} members", 1).messages
        guild = msgspec.json.decode(decode(message).d, type=GuildCreate, strict=False)
        assert len(guild.members) == guild.member_count == members
        present = {member.user.id for member in guild.members if member.user}
        assert guild.channels
        assert {presence.user.id for presence in guild.presences} <= present
    [message] = sample("GUILD_MEMBERS_CHUNK, 1000 members", 1).messages
    chunk = msgspec.json.decode(decode(message).d, type=GuildMembersChunk, strict=False)
    assert len({member.user.id for member in chunk.members if member.user}) == 1000


def test_the_rows_of_a_run() -> None:
    command = [sys.executable, "-m", "tests.bench", "decode", "--json", "--events", "10", "--rounds", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert list(dict.fromkeys(row["event"] for row in found)) == list(SAMPLES)
    for row in found:
        assert list(row) == ["event", "what", "with", "us_per_event", "ratio_to_orjson"]
        assert row["us_per_event"] > 0
    installed = {name for name, module in OTHERS.items() if importlib.util.find_spec(module)}
    for event in SAMPLES:
        of_event = [(row["what"], row["with"]) for row in found if row["event"] == event]
        assert len(of_event) == len(set(of_event))
        theirs = set(of_event) - OURS
        assert set(of_event) >= OURS
        assert theirs <= {("full", name) for name in installed}
        if event == "MESSAGE_CREATE":
            assert theirs == {("full", name) for name in installed}
    if "orjson" in installed:
        assert {row["ratio_to_orjson"] for row in found if row["with"].startswith("orjson")} == {1.0}


def test_whoever_is_not_installed_has_no_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("orjson", "discord", "hikari.impl.entity_factory"):
        monkeypatch.setitem(sys.modules, module, None)
    found = rows(1, 1)
    assert {(row["what"], row["with"]) for row in found} == OURS
    assert {row["ratio_to_orjson"] for row in found} == {None}
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{name} is not installed: no rows" for name in ("orjson", "discord.py", "hikari")]
