"""The README tells the truth: its commands, its code, its diagram and its table."""

import random
import re
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from typer.testing import CliRunner

import gateway_proto
import gateway_proto.websocket_ext
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
from gateway_proto.stage import diagram
from gateway_transports.anyio import ShardRunner, open_shard
from gateway_transports.cli.app import app
from gateway_transports.serve import serve

from .shared_data import REPOSITORY, seed_file

README = (REPOSITORY / "README.md").read_text()
TABLE = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| `")]


BOT, TYPED, EMBEDDING = range(3)
"""Which block of Python in the README is which."""


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
