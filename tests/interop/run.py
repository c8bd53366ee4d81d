"""Running it all: clients side by side, rows as they come."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import anyio
import anyio.to_thread
import msgspec

from gateway_proto.intents import Intents
from gateway_proto.server import ServerConfig

from .clients import CLIENTS, Client, Environment, InstallError
from .log import MissingError
from .play import CONFIG, INTENTS, CaseError, play
from .process_cases import PROCESS_CASES
from .session_cases import BEAT, SESSION_CASES, Case
from .world import ALL_KINDS
from .world_cases import WORLD_CASES

_AT_ONCE: Final = 6
"""Pairs of client and compression at one time: they mostly wait."""
INSTALLED: Final = "installed"


class _Sequence(NamedTuple):
    """What one running client goes through; the first case is its login."""

    cases: Mapping[str, Case]
    config: ServerConfig
    intents: Intents


_SEQUENCES: Final = (
    _Sequence(
        SESSION_CASES, msgspec.structs.replace(CONFIG, heartbeat_interval=BEAT, heartbeat_tolerance=8.0), INTENTS
    ),
    _Sequence(
        WORLD_CASES,
        # So long that however slow the machine is, a second request for all members is too early.
        msgspec.structs.replace(CONFIG, world=ALL_KINDS, member_request_period=600.0),
        Intents.all(),
    ),
)


CASES: Final = (*SESSION_CASES, *WORLD_CASES, *PROCESS_CASES)
"""Their names, in the order in which they are run."""


def cases_of(client: Client) -> list[str]:
    """The cases that a client can do, in the order of its rows."""
    return [name for name in CASES if name not in client.cannot]


class Row(NamedTuple):
    """One verdict. `detail` says what was seen, or what was missing."""

    client: str
    version: str
    compress: str
    case: str
    ok: bool
    detail: str


Tell = Callable[[Row], object]


async def run_all(folder: Path, tell: Tell, clients: Sequence[Client] = CLIENTS) -> None:
    """Install each client in the folder, and run every case of it. `tell` is given each row as it is known."""
    environment = Environment(folder)
    limit = anyio.CapacityLimiter(_AT_ONCE)
    async with anyio.create_task_group() as group:
        for client in clients:
            group.start_soon(_run_client, environment, client, limit, tell)


async def _run_client(environment: Environment, client: Client, limit: anyio.CapacityLimiter, tell: Tell) -> None:
    try:
        await anyio.to_thread.run_sync(environment.install, client)
    except InstallError as error:
        tell(Row(client.name, "", "", INSTALLED, False, str(error)))
        return
    async with anyio.create_task_group() as group:
        for compress in client.compressions:
            group.start_soon(_run_compression, environment, client, compress, limit, tell)


async def _run_compression(
    environment: Environment, client: Client, compress: str, limit: anyio.CapacityLimiter, tell: Tell
) -> None:
    async with limit:
        version = ""
        for sequence in _SEQUENCES:
            version = await _run_sequence(environment, client, compress, sequence, tell)
        for name, case in PROCESS_CASES.items():
            if name in client.cannot:
                continue
            ok, detail = await _judge(case, environment, client, compress)
            tell(Row(client.name, version, compress, name, ok, detail))


async def _run_sequence(
    environment: Environment, client: Client, compress: str, sequence: _Sequence, tell: Tell
) -> str:
    """The cases of one running client; the client's version."""
    async with play(environment, client, compress, sequence.config, intents=sequence.intents) as scene:
        is_in = None
        for name, case in sequence.cases.items():
            if name in client.cannot:
                continue
            if is_in is False:
                tell(Row(client.name, scene.driver.version, compress, name, False, "not reached: no login"))
                continue
            since = scene.driver.lines.mark
            ok, detail = await _judge(case, scene, compress)
            errors = scene.driver.errors(since)
            if ok and errors:
                ok, detail = False, f"the client logged: {errors[0]}"
            elif not ok and (logged := [line["text"] for line in scene.driver.lines.items[since:] if "text" in line]):
                detail += f"; it logged: {logged[-1]}"
            detail = " ".join(detail.split())
            tell(Row(client.name, scene.driver.version, compress, name, ok, detail))
            if is_in is None:
                # Without a session each case would wait for what cannot come.
                is_in = ok
        return scene.driver.version


async def _judge(case: Callable[..., Any], *args: Any) -> tuple[bool, str]:
    try:
        return True, await case(*args)
    except (CaseError, MissingError) as error:
        return False, str(error)
    except Exception as error:  # what a client sent was not even of the shape that the case looks into
        return False, repr(error)
