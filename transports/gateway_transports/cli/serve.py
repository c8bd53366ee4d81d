"""`gateway-proto serve`: the embedded gateway, for any client to try against."""

import contextlib
import json
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Final, TextIO, TypeAlias

import anyio
import anyio.abc
import msgspec
import typer
from rich.console import Console

from gateway_proto import InvalidConfigError, Secret
from gateway_proto.server import Identified, PreparedEvent, Script, ServerAction, ServerConfig, ShardInfo, WorldConfig
from gateway_proto.server.actions import UNSHARDED
from gateway_proto.server.visibility import seen
from gateway_proto.testing.payloads import guild_ids
from gateway_proto.testing.stream import EventStream
from gateway_proto.world import GuildWorld

from ..control import ScriptError, applied, load_script, play, serve_control
from ..errors import ListenError
from ..serve import Gateway
from ..serve import serve as serve_gateway
from ..tasks import background
from .certificate import ThrowAwayAuthority
from .feed import Feeds, WorldFeed
from .journal import Journal
from .options import InputError, printable
from .reel import REEL, ReelFeeds
from .signals import interruptible

_REPLAY_PER_GUILD: Final = 75
_MAX_STREAMED: Final = 2500
"""Guilds of a shard, as of Discord's own; with more, they are those of a world."""
_MEMBERS: Final = 100
"""Of each of its guilds, unless --members says."""
_MIN_RATE: Final = 0.001
_MAX_RATE: Final = 1_000_000.0


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` was asked for."""

    host: str
    port: int
    tls: bool
    config: ServerConfig
    rate: float | None
    events: int | None
    seed: int
    guilds: int
    script: Script
    control: "_ControlOptions | None"


class _ControlOptions(msgspec.Struct, frozen=True):
    """Where the control API is to be, and its token if one was given."""

    host: str
    port: int
    token: Secret | None


_Rate: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="N|max",
        help="Events a second for each shard; max is as fast as each client reads: a thousand of its events, made once"
        " and sent over and over.",
    ),
]
_Members: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1_000_000,
        help="About how many each guild has; 100, if there are more than 2500 guilds. READY then lists the guilds, and"
        " everything is consistent with them; --rate and --events are of all guilds together.",
    ),
]


def serve(
    host: Annotated[str, typer.Option(help="The name or address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    tls: Annotated[
        bool, typer.Option("--tls", help="With a throw-away certificate; its CA is put into a file.")
    ] = False,
    shards: Annotated[int, typer.Option(min=1, help="The count that GET /gateway/bot recommends.")] = 1,
    max_concurrency: Annotated[int, typer.Option(min=1, help="IDENTIFYs in 5 seconds, one for each bucket.")] = 1,
    session_limit: Annotated[int, typer.Option(min=0, help="IDENTIFYs in 24 hours.")] = 1000,
    rate: _Rate = "10",
    events: Annotated[int | None, typer.Option(min=0, help="Events for each shard; without end if left out.")] = None,
    seed: Annotated[int, typer.Option(help="Of the events.")] = 0,
    guilds: Annotated[
        int,
        typer.Option(
            min=1, max=100_000, help="Made-up guilds of each shard; with --members, or more than 2500, of the bot."
        ),
    ] = 40,
    members: _Members = None,
    journal: Annotated[
        Path | None, typer.Option(help="Write what clients do, as JSON lines, into this file, which is overwritten.")
    ] = None,
    script: Annotated[
        Path | None, typer.Option(help="A TOML file of what goes wrong when; gateway_proto.server.script explains it.")
    ] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Serve the control API, which the three options below imply.")
    ] = False,
    control_host: Annotated[str | None, typer.Option(help="The name or address it listens on: 127.0.0.1.")] = None,
    control_port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 takes a free one.")] = None,
    control_token: Annotated[
        str | None,
        typer.Option(envvar="GATEWAY_CONTROL_TOKEN", help="What its requests must bear; made up and told if left out."),
    ] = None,
) -> None:
    """Serve a gateway that sends each shard a stream of numbered events. Any token is right; Ctrl-C ends it.

    Each payload has the shard's id as `_shard` and its number, from 1, as `_number`; READY lists its guilds. The URL's
    `compress` is the client's choice. A stream goes on while its shard is away, for a RESUME to replay.

    With --members there is one world of guilds: each shard gets its own, by the intents it has asked for, and is told
    what happens in them. With --rate max --events is for each shard, in a world too.
    """
    world = _world(guilds, members, seed)
    options = _Options(
        host=host,
        port=port,
        tls=tls,
        config=ServerConfig(
            shards=shards,
            max_concurrency=max_concurrency,
            session_limit=session_limit,
            replay_events=max(100, min(3500, _REPLAY_PER_GUILD * guilds)),
            world=world,
            shard_guilds=None if world is not None else lambda shard: guild_ids(_rng(seed, shard), shard, guilds),
        ),
        rate=_parse_rate(rate),
        events=events,
        seed=seed,
        guilds=guilds,
        script=_script(script),
        control=_control_options(control, control_host, control_port, control_token),
    )
    _run(options, journal)


def _run(options: _Options, journal: Path | None) -> None:
    try:
        anyio.run(interruptible, lambda: _serve(options, journal))
    except ListenError as error:
        raise InputError(str(error)) from error


def _script(path: Path | None) -> Script:
    try:
        return Script(()) if path is None else load_script(path)
    except ScriptError as error:
        raise InputError(str(error)) from error


def _control_options(is_wanted: bool, host: str | None, port: int | None, token: str | None) -> _ControlOptions | None:
    if not is_wanted and host is None and port is None and token is None:
        return None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token and token):
        raise InputError("--control-token must be printable ASCII without spaces")
    return _ControlOptions(host or "127.0.0.1", port or 0, None if token is None else Secret(token))


async def _serve(options: _Options, journal_path: Path | None) -> int:
    """Serve until cancelled."""
    authority = ThrowAwayAuthority() if options.tls else None

    def on_action(action: ServerAction) -> None:
        feeds.on_action(action)
        journal.on_action(action)

    serving = serve_gateway(
        applied(options.config, options.script),
        host=options.host,
        port=options.port,
        ssl_context=authority.server_context(options.host) if authority is not None else None,
        on_action=on_action,
    )
    with contextlib.ExitStack() as stack:
        async with serving as gateway, play(gateway, options.script), background() as group:
            # No connection can be there before the first await.
            file = _JournalFile(journal_path) if journal_path is not None else None
            if file is not None:
                stack.callback(file.close)
            journal = Journal(_writer(file), lambda shard: feeds.number(shard))
            feeds = _feeds(options, gateway, group, journal)
            stack.callback(lambda: journal.finish(feeds.numbers()))  # once all connections are closed
            ca_file = stack.enter_context(authority.file()) if authority is not None else None
            async with _controlled(gateway, options.control) as control:
                _announce(gateway.url, ca_file, control)
                await anyio.sleep_forever()
    return 0


@contextlib.asynccontextmanager
async def _controlled(gateway: Gateway, options: _ControlOptions | None) -> AsyncIterator[dict[str, str]]:
    """Serve the control API, if it is wanted, and give what is to be told of it: a token only if it is made up."""
    if options is None:
        yield {}
        return
    async with serve_control(gateway, host=options.host, port=options.port, token=options.token) as address:
        told = {"control": address.url}
        if options.token is None:
            told["control_token"] = address.token.reveal()
        yield told


def _feeds(
    options: _Options, gateway: Gateway, group: anyio.abc.TaskGroup, journal: Journal
) -> Feeds | WorldFeed | ReelFeeds:
    if options.rate is None:
        return ReelFeeds(
            gateway,
            group,
            limit=options.events,
            prepare=lambda identified: _prepared(options, gateway.server.world, identified),
            on_done=journal.last,
        )
    if gateway.server.world is None:
        return Feeds(
            gateway,
            group,
            rate=options.rate,
            limit=options.events,
            stream=lambda shard: _stream(options, shard),
            on_done=journal.last,
        )
    feed = WorldFeed(gateway, rate=options.rate, limit=options.events, on_done=journal.last)
    group.start_soon(feed.run)
    return feed


def _world(guilds: int, members: int | None, seed: int) -> WorldConfig | None:
    if members is None and guilds <= _MAX_STREAMED:
        return None
    try:
        return WorldConfig(guilds=guilds, members=members or _MEMBERS, seed=seed, numbered=True)
    except InvalidConfigError as error:
        raise InputError(str(error)) from error


def _parse_rate(text: str) -> float | None:
    """None for `max`."""
    if text == "max":
        return None
    with contextlib.suppress(ValueError):
        rate = float(text)
        if _MIN_RATE <= rate <= _MAX_RATE:
            return rate
    raise InputError(f"--rate must be {_MIN_RATE:g} to {_MAX_RATE:g} events a second, or max")


def _stream(options: _Options, shard: ShardInfo, *, numbered: bool = True) -> EventStream:
    return EventStream(_rng(options.seed, shard), shard=shard, guilds=options.guilds, numbered=numbered)


def _rng(seed: int, shard: ShardInfo) -> random.Random:
    """What a shard's stream is drawn from, its guilds first: READY lists the same ones."""
    return random.Random(f"{seed}/{shard[0]}/{shard[1]}")


def _prepared(options: _Options, world: GuildWorld | None, identified: Identified) -> Iterator[PreparedEvent]:
    """What a session is sent as fast as it reads."""
    shard = identified.shard or UNSHARDED
    if world is None:
        for name, data in islice(_stream(options, shard, numbered=False), REEL):
            yield PreparedEvent.of(name, data, shard[0])
        return
    for event in world.repeatable(*shard, REEL):
        shown = seen(event, identified.intents)
        if shown is not None:
            yield PreparedEvent.of(event.name, shown, shard[0])


def _announce(url: str, ca_file: Path | None, control: dict[str, str]) -> None:
    api = f"http{url.removeprefix('ws')}/api/v10"
    if not sys.stdout.isatty():
        ca = None if ca_file is None else str(ca_file)
        print(json.dumps({"url": url, "api": api, "ca": ca, **control}), flush=True)
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    console.print(url, style="bold green")
    console.print(f"{api}/gateway/bot names it, too")
    if ca_file is not None:
        console.print(f"clients must trust the CA in {ca_file}; for OpenSSL's: export SSL_CERT_FILE={ca_file}")
    for line in control.values():
        console.print(f"control: {line}")
    console.print("Ctrl-C ends it")


class _JournalFile:
    """Each line is on its way as soon as it is written. Raises InputError, once, if it cannot be."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None
        try:
            self._file = path.open("w", buffering=1, encoding="utf-8")
        except OSError as error:
            raise self._failed(error) from error

    def write(self, line: str) -> None:
        if self._file is None:
            return  # that it cannot be written is said already
        try:
            self._file.write(line + "\n")
        except OSError as error:
            self.close()
            raise self._failed(error) from error

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _failed(self, error: OSError) -> InputError:
        return InputError(f"the journal {self._path} cannot be written: {error.strerror or error}")


def _writer(file: _JournalFile | None) -> Callable[[dict[str, Any]], object]:
    """Into the journal, and for whoever watches onto the terminal."""
    is_watched = sys.stdout.isatty()

    def write(line: dict[str, Any]) -> None:
        text = json.dumps(line)
        if file is not None:
            file.write(text)
        if is_watched:
            print(_readable(line))

    return write


def _readable(line: dict[str, Any]) -> str:
    facts = "  ".join(f"{name} {value}" for name, value in line.items() if name not in ("at", "event"))
    return f"{line['event']:<11}{printable(facts)}"
