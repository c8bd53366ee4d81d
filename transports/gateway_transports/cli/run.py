"""`gateway-proto run`: a bot that prints its events."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Final

import anyio
import msgspec
import typer
from rich.console import Console

from gateway_proto import (
    BuildingUrlError,
    ConnectionStage,
    Dispatch,
    GatewayError,
    Intents,
    InvalidConfigError,
    Notice,
    Reconnect,
    Secret,
    SequenceGap,
    SessionLost,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.discovery import DEFAULT_API, UnreachableError

from ..anyio import ShardRunner, discover, open_shard
from ..errors import CertificateError, ResolveError
from .event_lines import json_line, readable_line
from .options import Backend, Compress, Compression, InputError, compression_settings, parse_intents, tell
from .output import write_all
from .signals import interruptible

TOKEN_VARIABLE: Final = "DISCORD_TOKEN"
_STDOUT: Final = 1
_BATCH: Final = 256
"""Events written at once, where so many wait."""


class _Bot(msgspec.Struct, frozen=True, kw_only=True):
    """What `run` was asked for."""

    token: Secret
    intents: Intents
    gateway: str | None
    api: str
    compress: Compression
    logout: bool


def run(
    intents: Annotated[
        str, typer.Option(help="Names separated by commas, or a number; none, unprivileged and all are sets.")
    ] = "unprivileged",
    gateway: Annotated[
        str | None, typer.Option(help="The gateway's URL, ws:// or wss://, instead of asking for it.")
    ] = None,
    api: Annotated[str, typer.Option(help="The base URL of the API that is asked for the gateway.")] = DEFAULT_API,
    logout: Annotated[
        bool, typer.Option("--logout", help="End the session at the end, and let the bot go offline.")
    ] = False,
    compress: Compress = "zlib-stream",
    backend: Backend = "asyncio",
) -> None:
    """Run a bot with the token in DISCORD_TOKEN and print its events: JSON lines into a pipe, readable on a terminal.

    Ctrl-C or SIGTERM ends it; the session stays resumable, unless --logout is given.
    """
    wanted = parse_intents(intents)
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not token:
        raise InputError(f"{TOKEN_VARIABLE} is not set; put your bot's token there, or try: gateway-proto demo")
    bot = _Bot(token=Secret(token), intents=wanted, gateway=gateway, api=api, compress=compress, logout=logout)
    try:
        code = anyio.run(interruptible, lambda: _run(bot), backend=backend)
    except (BuildingUrlError, InvalidConfigError, UnreachableError) as error:
        raise InputError(str(error)) from error
    except GatewayError as error:
        tell(str(error))
        raise typer.Exit(1) from error
    if code:
        tell("logged out" if logout else "detached; the session can still be resumed")


async def _run(bot: _Bot) -> int:
    config = await _configure(bot)
    render = _renderer()
    async with open_shard(config, on_action=_Reporter().on_action, manual_acknowledge=True) as runner:
        try:
            await _print_events(runner, render)
        except BrokenPipeError:
            pass  # the reader has what it wanted
        finally:
            if bot.logout:
                with anyio.CancelScope(shield=True):
                    await runner.close(resumable=False)
    return 0


async def _configure(bot: _Bot) -> ShardConfig:
    url, recommended = bot.gateway, None
    if url is None:
        info = await discover(token=bot.token, base=bot.api)
        url, recommended, limit = info.url, info.shards, info.session_start_limit
        if limit is not None and limit.remaining < 1:
            raise GatewayError(
                f"no session can be started: none of {limit.total} is left for {limit.reset_after:.0f} s"
            )
        if recommended is not None and recommended > 1:
            tell(f"Discord recommends {recommended} shards for this bot; this is one, without sharding")
    return ShardConfig(
        token=bot.token,
        intents=bot.intents,
        url=url,
        recommended_shards=recommended,
        **compression_settings(bot.compress),
    )


def _renderer() -> Callable[[Dispatch], bytes]:
    if not sys.stdout.isatty():
        return lambda event: json_line(event, 0)
    console = Console(highlight=False)
    return lambda event: readable_line(event, console)


async def _print_events(runner: ShardRunner, render: Callable[[Dispatch], bytes]) -> None:
    """Print until the shard ends. An event counts as delivered once it is written."""
    lines: list[bytes] = []
    async for event in runner:
        lines.append(render(event))
        if not runner.queued_events or len(lines) >= _BATCH:
            await write_all(_STDOUT, b"".join(lines))
            lines.clear()
            runner.acknowledge(event)


class _Reporter:
    """Tells on stderr what becomes of the connection."""

    def __init__(self) -> None:
        self._was_connected = False

    def on_action(self, action: ShardAction) -> None:
        """Raises InputError for a gateway that no second try would reach."""
        match action:
            case StageChanged(old, ConnectionStage.CONNECTED):
                self._was_connected = True
                tell("resumed" if old is ConnectionStage.RESUMING else "connected")
            case Reconnect(type=kind, after=after, cause=cause):
                if not self._was_connected and isinstance(cause, ResolveError | CertificateError):
                    raise InputError(str(cause))
                tell(f"{cause}; {kind.value} in {after:.1f} s")
            case SessionLost(sequence=sequence, downtime=downtime, cause=why):
                tell(f"the session is lost behind event {sequence} ({why.value}); {downtime:.1f} s without events")
            case SequenceGap(expected=expected, received=received):
                tell(f"the gateway left out the events {expected} to {received - 1}")
            case Notice(detail=detail):
                tell(detail)
