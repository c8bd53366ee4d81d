"""Other people's clients believe the embedded gateway: every case of `tests.interop`."""

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from .interop import run
from .interop.clients import CLIENTS, Client, Environment, InstallError, run_command
from .interop.log import Log, MissingError
from .interop.process_cases import PROCESS_CASES
from .interop.report import markdown
from .interop.run import Row, run_all
from .interop.session_cases import SESSION_CASES

PAIRS = [(client, compress) for client in CLIENTS for compress in client.compressions]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Every row of one run: they are made side by side."""
    rows: list[Row] = []
    anyio.run(run_all, tmp_path_factory.mktemp("interop"), rows.append)
    return rows


@pytest.mark.interop
@pytest.mark.xdist_group("interop")
@pytest.mark.parametrize(("client", "compress"), PAIRS, ids=[f"{client.name} {compress}" for client, compress in PAIRS])
def test_a_client_believes_the_gateway(rows: list[Row], client: Client, compress: str) -> None:
    mine = [row for row in rows if row.client == client.name and row.compress in (compress, "")]
    assert [row for row in mine if not row.ok] == []
    assert [row.case for row in mine] == [*SESSION_CASES, *PROCESS_CASES]


# -- the harness itself ------------------------------------------------------------------------------------------------


def test_a_client_that_cannot_be_installed_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(environment: Environment, client: Client) -> None:
        raise InstallError("npm is not installed")

    monkeypatch.setattr(Environment, "install", fail)
    rows: list[Row] = []
    anyio.run(run_all, tmp_path, rows.append, CLIENTS[:1])
    assert rows == [Row(CLIENTS[0].name, "", "", run.INSTALLED, False, "npm is not installed")]


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


async def add_later(add: Callable[[int], None], item: int) -> None:
    await anyio.lowlevel.checkpoint()
    add(item)


def is_even(number: int) -> bool:
    return number % 2 == 0
