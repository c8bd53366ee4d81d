"""The README tells the truth: its commands, its code, its diagram and its table."""

import functools
import random
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from typer.testing import CliRunner

import gateway_proto
import gateway_proto.fleet
import gateway_proto.websocket_ext
import gateway_transports.anyio
import gateway_transports.client
from gateway_proto import Dispatch, ShardConfig
from gateway_proto.events import (
    DISPATCH_NAMES,
    UNSET,
    GuildMemberAdd,
    GuildMemberFlags,
    Maybe,
    MessageCreate,
    MessageDelete,
    MessageType,
    Model,
    Permissions,
    User,
    UserUpdate,
    created_at,
    encode,
)
from gateway_proto.server import ServerConfig
from gateway_proto.stage import diagram
from gateway_transports.anyio import ShardRunner, open_shard
from gateway_transports.cli.app import app
from gateway_transports.client import Client
from gateway_transports.serve import serve

from .shared_data import REPOSITORY, seed_file

README = (REPOSITORY / "README.md").read_text()
TABLE = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| `")]


BOT, WAYS, TYPED, EMBEDDING = range(4)
"""Which block of Python in the README is which."""


ROOTS = {"client": gateway_transports.client, "anyio": gateway_transports.anyio, "fleet": gateway_proto.fleet}
"""What the table's short names of modules stand for."""


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
    assert blocks("python")[EMBEDDING] == (REPOSITORY / "tests" / "embed_socket.py").read_text()


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[0].replace("`", ""))
def test_each_name_that_serenitys_table_points_to_exists(row: list[str]) -> None:
    names = re.findall(r"`([A-Za-z_.]+)", row[-1])
    assert names
    for name in names:
        first, _, rest = name.partition(".")
        found: object = ROOTS.get(first, gateway_proto)
        for part in (rest if first in ROOTS else name).split("."):
            found = getattr(found, part)


def test_no_name_of_serenitys_gateway_module_is_missing() -> None:
    seed = seed_file("SERENITY-0.5.md").read_text()
    known = {name for row in TABLE for name in re.findall(r"[A-Za-z_]+", row[0])}
    for line in seed.splitlines():
        group = line.strip("| ").split(" | ")
        if len(group) != 2 or group[0].startswith(("group", "---", "ConnectionStage", "GatewayError")):
            continue
        wanted = {name for name in re.findall(r"`([a-z_]+)", group[1]) if name not in ("new",)}
        if group[0].startswith("the bridge"):
            wanted |= set(re.findall(r"\bShard[A-Z][A-Za-z]+", group[1]))
        assert wanted <= known, f"{group[0]}: {sorted(wanted - known)}"
    for name in ("Connected", "Resuming", "BuildingUrl", "ReconnectFailure", "InvalidApiVersion"):
        assert name in known


@pytest.mark.parametrize("line", [line for line in README.splitlines() if "gateway-proto " in line and " --" in line])
def test_the_commands_have_the_options_that_are_shown(line: str) -> None:
    command = line.split("gateway-proto ")[1].split()[0]
    shown = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"})
    assert shown.exit_code == 0
    for option in re.findall(r"(--[a-z-]+)", line):
        assert option in shown.output


class _Console:
    """The bot prints its events; the third is the last."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.full = anyio.Event()

    def print(self, line: str) -> None:
        self.lines.append(line)
        if len(self.lines) == 3:
            self.full.set()


@pytest.mark.anyio
async def test_the_bot_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, but for where the gateway is."""
    async with serve(rng=random.Random(1)) as gateway:

        def at_the_test_gateway(config: ShardConfig) -> AbstractAsyncContextManager[ShardRunner]:
            return open_shard(msgspec.structs.replace(config, url=gateway.url))

        monkeypatch.setattr("gateway_transports.anyio.open_shard", at_the_test_gateway)
        monkeypatch.setenv("DISCORD_TOKEN", "a.bot.token")
        console = _Console()
        names: dict[str, Any] = {"__name__": "bot", "print": console.print}
        exec(compile(blocks("python")[BOT], "README.md", "exec"), names)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(names["main"])
                number = 0
                while not console.full.is_set():
                    number += 1
                    gateway.broadcast("TYPING_START", b"{}")
                    gateway.broadcast("MESSAGE_CREATE", encode(message(content=f"number {number}")))
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
    first = int(console.lines[0].removeprefix("somebody: number "))
    assert console.lines[:3] == [f"somebody: number {first + step}" for step in range(3)]


WAYS_TO_START: dict[str, tuple[int, dict[str, Any]]] = {
    "small": (1, {}),
    "recommended": (2, {}),
    "one": (1, {"shard_id": 2, "total": 4}),
    "all_of": (3, {"total": 3}),
    "some": (3, {"shards": range(4, 7), "total": 10}),
}
"""How many shards each starts, and with which arguments."""


@pytest.mark.anyio
@pytest.mark.parametrize("way", WAYS_TO_START)
async def test_each_way_to_start_runs(way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As it stands, but for where the API is."""
    count, arguments = WAYS_TO_START[way]
    async with serve(ServerConfig(shards=2, max_concurrency=16), rng=random.Random(1)) as gateway:
        api = gateway.url.replace("ws://", "http://")
        monkeypatch.setattr("gateway_transports.client.Client", functools.partial(Client, api=api))
        monkeypatch.chdir(tmp_path)
        lines: list[tuple[object, ...]] = []
        names: dict[str, Any] = {"__name__": "bot", "print": lambda *words: lines.append(words)}
        exec(compile(blocks("python")[WAYS], "README.md", "exec"), names)
        with anyio.fail_after(30):
            async with anyio.create_task_group() as group:
                group.start_soon(functools.partial(names[way], "a.bot.token", **arguments))
                while len(gateway.server.sessions) < count or (len(lines) < 3 and way not in ("one", "recommended")):
                    gateway.broadcast("MESSAGE_CREATE", encode(message(content="hello")))
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        shards = {session.shard for session in gateway.server.sessions.values()}
    if way == "small":
        assert shards == {None}
    else:
        total = arguments.get("total", 2)
        ids = arguments.get("shards") or ([arguments["shard_id"]] if "shard_id" in arguments else range(total))
        assert shards == {(shard_id, total) for shard_id in ids}
        assert (tmp_path / "bot.state").exists()


def message(content: str, guild_id: Maybe[int] = UNSET) -> MessageCreate:
    return MessageCreate(
        id=2,
        channel_id=3,
        guild_id=guild_id,
        author=User(id=4, username="somebody", discriminator="0"),
        content=content,
        timestamp=created_at(2),
        tts=False,
        mention_everyone=False,
        mentions=[],
        mention_roles=[],
        attachments=[],
        embeds=[],
        pinned=False,
        type=MessageType.DEFAULT,
    )


def member(permissions: Maybe[Permissions]) -> GuildMemberAdd:
    return GuildMemberAdd(
        guild_id=1,
        user=User(id=4, username="somebody", discriminator="0"),
        roles=[],
        deaf=False,
        mute=False,
        flags=GuildMemberFlags(0),
        permissions=permissions,
    )


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (message("hello", guild_id=9), "in 9: hello"),
        (message("hello"), "in a direct message: hello"),
        (MessageDelete(id=175928847299117063, channel_id=1), "a message of 30 April 2016 is gone"),
        (member(UNSET), "somebody joined"),
        (member(Permissions.ADMINISTRATOR | Permissions.SPEAK), "somebody joined as an administrator"),
        (UserUpdate(id=4, username="somebody", discriminator="0"), None),
    ],
)
def test_the_typed_handler_says_what_it_should(payload: Model, said: str | None) -> None:
    names: dict[str, Any] = {"__name__": "typed"}
    exec(compile(blocks("python")[TYPED], "README.md", "exec", dont_inherit=True), names)
    event = Dispatch(1, 1, DISPATCH_NAMES[type(payload)], msgspec.Raw(encode(payload)))
    assert names["describe"](event) == said
