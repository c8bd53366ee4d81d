"""Other people's clients believe the embedded gateway: every case of `tests.interop`."""

import math
from collections.abc import Callable
from pathlib import Path

import anyio
import msgspec
import pytest

from gateway_proto.intents import Intents
from gateway_proto.world import GuildWorld
from gateway_proto.world.world import MAX_THRESHOLD

from .interop import run
from .interop.clients import CLIENTS, Client, Environment, InstallError, run_command
from .interop.log import Log, MissingError
from .interop.report import markdown
from .interop.run import CASES, Row, cases_of, run_all
from .interop.world import FOREIGN, GUILD_IDS, LARGE, NOBODY, WORLD, cached, member_ids


@pytest.mark.interop
def test_the_clients_believe_the_gateway(tmp_path: Path) -> None:
    """All in one test: they run side by side, and are installed once, however many processes pytest has."""
    rows: list[Row] = []
    anyio.run(run_all, tmp_path, rows.append)
    assert [row for row in rows if not row.ok] == []
    for client in CLIENTS:
        for compress in client.compressions:
            mine = [row.case for row in rows if (row.client, row.compress) == (client.name, compress)]
            assert mine == cases_of(client)


# -- the harness itself ------------------------------------------------------------------------------------------------


def test_a_client_that_cannot_be_installed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(environment: Environment, client: Client) -> None:
        raise InstallError("npm is not installed")

    monkeypatch.setattr(Environment, "install", fail)
    rows: list[Row] = []
    anyio.run(run_all, tmp_path, rows.append, CLIENTS[:1])
    assert rows == [Row(CLIENTS[0].name, "", "", run.INSTALLED, False, "npm is not installed")]


def test_what_a_client_cannot_do_are_cases_that_others_can() -> None:
    assert len(CASES) == len(set(CASES))
    for client in CLIENTS:
        assert len(cases_of(client)) == len(CASES) - len(client.cannot)
    for case in CASES:
        assert any(case in cases_of(client) for client in CLIENTS)


def test_the_world_has_a_guild_of_three_chunks_and_others_that_come_whole() -> None:
    world = GuildWorld(WORLD)
    counts = {guild_id: len(member_ids(world, guild_id)) for guild_id in GUILD_IDS}
    assert 2000 < counts[LARGE] <= 3000
    for guild_id in GUILD_IDS:
        shown = msgspec.json.decode(world.guild_create(guild_id, Intents.all(), MAX_THRESHOLD))
        assert (len(shown["members"]) == counts[guild_id]) is (guild_id != LARGE)
        assert cached(world, guild_id)["members"] == counts[guild_id]
    assert not any(world.members_by_id(guild_id, NOBODY)[0] for guild_id in GUILD_IDS)
    assert FOREIGN not in world


def test_a_program_that_is_missing_is_told() -> None:
    with pytest.raises(InstallError, match="no-such-program is not installed"):
        run_command("no-such-program")


def test_the_table_has_a_line_for_each_case_and_says_why_one_fails() -> None:
    rows = [
        Row("a", "1.0", "none", "login", True, "asked"),
        Row("a", "1.0", "none", "logout", False, "closed with 4000"),
        Row("b", "", "", "login", True, ""),
    ]
    assert markdown(rows).splitlines() == [
        "| | a 1.0 | b |",
        "| --- | --- | --- |",
        "| compression | none |  |",
        "| login | ok | ok |",
        "| logout | FAILS |  |",
        "",
        "- a none, logout: closed with 4000",
    ]
    lines = markdown([*rows[::-1], Row("b", "", "", "voice", True, "")], ["login", "voice"]).splitlines()
    assert [line.split(" | ")[0] for line in lines[3:6]] == ["| login", "| voice", "| logout"]


@pytest.mark.anyio
async def test_a_log_finds_what_was_and_what_comes() -> None:
    log: Log[int] = Log()
    log.add(1)
    log.add(2)
    assert await log.find("an even number", is_even) == 2
    async with anyio.create_task_group() as group:
        group.start_soon(add_later, log.add, 4)
        assert await log.collect("even numbers", is_even, 2, since=1) == [2, 4]
    with pytest.raises(MissingError, match=r"an even number did not come within 0 s$"):
        await log.find("an even number", is_even, since=log.mark, within=0)
    with pytest.raises(MissingError, match=r"only 2 of 3"):
        await log.collect("even numbers", is_even, 3, within=0)
    async with anyio.create_task_group() as group:
        group.start_soon(finish_later, log)
        # For ever, if it had to wait.
        with pytest.raises(MissingError, match=r"did not come before the end, only 2 of 3"):
            await log.collect("even numbers", is_even, 3, within=math.inf)


async def finish_later(log: Log[int]) -> None:
    await anyio.lowlevel.checkpoint()
    log.finish()


async def add_later(add: Callable[[int], None], item: int) -> None:
    await anyio.lowlevel.checkpoint()
    add(item)


def is_even(number: int) -> bool:
    return number % 2 == 0
