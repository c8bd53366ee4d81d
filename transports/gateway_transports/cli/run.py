"""`gateway-proto run`: a bot that prints its events."""

import functools
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Final, Protocol, TypeAlias

import anyio
import msgspec
import typer

from gateway_proto import (
    BuildingUrlError,
    ConnectionStage,
    GatewayError,
    Intents,
    InvalidConfigError,
    LocalProtocolError,
    Reconnect,
    ReconnectType,
    Secret,
    SequenceGap,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.config import DEFAULT_URL
from gateway_proto.discovery import DEFAULT_API, UnreachableError
from gateway_proto.fleet import ManagerAction, ShardEnded

from ..client import Client, ShardEvent
from ..errors import CertificateError, ResolveError, one_line
from ..stores import StoreError
from ..tasks import background
from .event_lines import json_line, readable
from .notices import LogLines, Notices
from .options import Backend, Compress, Compression, InputError, compression_settings, parse_intents
from .output import Screen, write_all
from .shard_option import HELP as SHARDS_HELP
from .shard_option import ShardChoice, parse_shards
from .shard_table import ShardRow, ShardTable
from .signals import interruptible

TOKEN_VARIABLE: Final = "DISCORD_TOKEN"
_STDOUT: Final = 1
_STDERR: Final = 2
_BATCH: Final = 256
"""Events written at once, where so many wait."""
_Events: TypeAlias = list[ShardEvent[object]]


class _Bot(msgspec.Struct, frozen=True, kw_only=True):
    """What `run` was asked for."""

    config: ShardConfig
    shards: ShardChoice | None
    """None: without sharding."""
    api: str | None
    state: Path | None
    logout: bool


def run(
    intents: Annotated[
        str, typer.Option(help="Names separated by commas, or a number; none, unprivileged and all are sets.")
    ] = "unprivileged",
    shards: Annotated[str | None, typer.Option(help=SHARDS_HELP)] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Keep the sessions in this file, so that the next run resumes them. Several programs of a bot on one "
            "machine share it, each with shards of its own. It holds secrets."
        ),
    ] = None,
    gateway: Annotated[
        str | None, typer.Option(help="The gateway's URL, ws:// or wss://, instead of asking for it.")
    ] = None,
    api: Annotated[str, typer.Option(help="The base URL of the API that is asked for the gateway.")] = DEFAULT_API,
    logout: Annotated[
        bool, typer.Option("--logout", help="End the sessions at the end, and let the bot go offline.")
    ] = False,
    compress: Compress = "zlib-stream",
    backend: Backend = "asyncio",
) -> None:
    """Run a bot with the token in DISCORD_TOKEN and print its events: JSON lines into a pipe, readable on a terminal.

    Ctrl-C or SIGTERM ends it, and a second one at once; the sessions stay resumable, unless --logout is given.
    """
    wanted = parse_intents(intents)
    choice = None if shards is None else parse_shards(shards)
    if choice is not None and choice.is_auto and gateway is not None:
        raise InputError("--shards auto asks Discord for the count, and --gateway asks nothing: say how many, as 4")
    notices = Notices()
    try:
        bot = _Bot(
            config=_config(wanted, gateway, compress),
            shards=choice,
            api=api if gateway is None else None,
            state=state,
            logout=logout,
        )
        unsaved: set[int] = set()
        work = functools.partial(_run, bot, notices, unsaved)
        code = anyio.run(interruptible, work, lambda: notices.say(_leaving(bot)), backend=backend)
        if code and not unsaved:  # else the log has said what it means
            notices.say("logged out" if logout else "detached; the session can still be resumed")
    except (BuildingUrlError, InvalidConfigError, UnreachableError, StoreError, LocalProtocolError) as error:
        raise InputError(str(error)) from error
    except GatewayError as error:
        notices.say(str(error))
        raise typer.Exit(1) from error
    finally:
        notices.close()


def _config(intents: Intents, gateway: str | None, compress: Compression) -> ShardConfig:
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise InputError(f"{TOKEN_VARIABLE} is not set; put your bot's token there, or try: gateway-proto demo")
    url = DEFAULT_URL if gateway is None else gateway
    return ShardConfig(token=Secret(token), intents=intents, url=url, **compression_settings(compress))


def _leaving(bot: _Bot) -> str:
    return f"{'logging out' if bot.logout else 'detaching'}; Ctrl-C or SIGTERM once more leaves at once"


async def _run(bot: _Bot, notices: Notices, unsaved: set[int]) -> int:
    reporter = _Reporter(notices.say, is_sharded=bot.shards is not None)
    client = Client(
        bot.config, store=bot.state, api=bot.api, on_action=reporter.on_action, on_update=reporter.on_update
    )
    with LogLines(notices.say), anyio.CancelScope() as scope:
        reporter.give_up = scope.cancel
        async with _output(client, reporter, notices, is_sharded=bot.shards is not None) as write:
            try:
                async with client:
                    await (client.start() if bot.shards is None else bot.shards.start(client))
                    try:
                        await _print_events(client, write)
                    finally:
                        if bot.logout:
                            client.shutdown_all(resumable=False)
            except BrokenPipeError:
                pass  # the reader has what it wanted
            except OSError as error:
                raise InputError(f"stdout cannot be written: {one_line(error)}") from error
            finally:
                unsaved |= client.unsaved
    if reporter.hopeless is not None:
        raise InputError(reporter.hopeless)
    return 0


class _Write(Protocol):
    def __call__(self, events: _Events, on_written: Callable[[], object], /) -> Awaitable[None]:
        """`on_written` as for `write_all`. Raises OSError."""
        ...


async def _print_events(client: Client[None], write: _Write) -> None:
    """Print until no shard runs. Events count as delivered once they are written."""
    stream = client.events()
    while events := await stream.batch(_BATCH):
        await write(events, stream.acknowledge)


@asynccontextmanager
async def _output(
    client: Client[None], reporter: "_Reporter", notices: Notices, *, is_sharded: bool
) -> AsyncIterator[_Write]:
    """What writes events: readable ones and a table below on a terminal; JSON, with a table if stderr is a terminal."""
    is_readable, is_watched, is_one = sys.stdout.isatty(), sys.stderr.isatty(), _is_one_terminal()
    if not is_readable and not is_watched:
        yield _write_json
        return
    table = ShardTable(
        lambda: _rows(client, reporter), lambda: _identifies_left(client, reporter), share=0.5 if is_readable else 1.0
    )
    screen = Screen(_STDOUT if is_readable else _STDERR, table.picture)

    async def write(events: _Events, on_written: Callable[[], object]) -> None:
        if is_readable:
            lines = [readable(event.dispatch, event.shard_id if is_sharded else None) for event in events]
            await screen.write(lines, on_written)
        else:
            await _write_json(events, on_written)
        for event in events:
            table.count(event.shard_id)

    async with screen, background() as group:
        group.start_soon(screen.draw)
        if is_watched and (not is_readable or is_one):
            notices.show = screen.say
            reporter.has_table = True
        try:
            yield write
        finally:
            notices.show = notices.write


def _is_one_terminal() -> bool:
    return os.path.sameopenfile(_STDOUT, _STDERR)


async def _write_json(events: _Events, on_written: Callable[[], object]) -> None:
    lines = b"".join(json_line(event.dispatch, event.shard_id) for event in events)
    await write_all(_STDOUT, lines, on_written)


def _rows(client: Client[None], reporter: "_Reporter") -> list[ShardRow]:
    if not reporter.has_begun:
        return []
    return [
        ShardRow(
            shard_id=info.shard_id,
            stage=info.stage,
            latency=info.latency,
            guilds=info.guilds,
            failure=None if info.failure is None else str(info.failure),
        )
        for info in client.infos()
    ]


def _identifies_left(client: Client[None], reporter: "_Reporter") -> int | None:
    try:
        return client.identifies_left() if reporter.has_begun else None
    except GatewayError:
        return None


class _Reporter:
    """Tells what becomes of the shards, as far as the client's log does not."""

    def __init__(self, say: Callable[[str], object], *, is_sharded: bool) -> None:
        self.has_begun: bool = False
        self.has_table: bool = False
        """The user sees the stages in it."""
        self.hopeless: str | None = None
        """Why no second try would reach the gateway."""
        self.give_up: Callable[[], object] = lambda: None
        """Called once it is."""
        self._say = say
        self._is_sharded = is_sharded
        self._was_connected = False

    def on_action(self, shard_id: int, action: ShardAction) -> None:
        match action:
            case StageChanged(old, ConnectionStage.CONNECTED):
                self._was_connected = True
                if not self.has_table:
                    self._tell(shard_id, "resumed" if old is ConnectionStage.RESUMING else "connected")
            case Reconnect(type=kind, after=after, cause=cause):
                is_wrong = kind is ReconnectType.REIDENTIFY and isinstance(cause, ResolveError | CertificateError)
                if is_wrong and not self._was_connected:
                    self.hopeless = str(cause)
                    self.give_up()
                else:
                    self._tell(shard_id, f"{cause}; {kind.value} in {after:.1f} s")
            case SequenceGap(expected=expected, received=received):
                self._tell(shard_id, f"the gateway left out the events {expected} to {received - 1}")

    def on_update(self, action: ManagerAction) -> None:
        """Not of a lone shard: what ended that is told at the end."""
        self.has_begun = True
        if isinstance(action, ShardEnded) and action.cause is not None and self._is_sharded:
            self._tell(action.shard_id, f"has ended: {action.cause}")

    def _tell(self, shard_id: int, text: str) -> None:
        self._say(f"shard {shard_id}: {text}" if self._is_sharded else text)
