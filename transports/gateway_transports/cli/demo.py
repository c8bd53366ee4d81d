"""`gateway-proto demo`: watch a bot lose its connections, or its process, and miss nothing."""

import functools
import json
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final, TypeVar

import anyio
import msgspec
import typer
from rich.console import Console, RenderableType

from gateway_proto import GatewayError
from gateway_proto.server import DispatchFault

from .demo_fleet import FleetDemo, FleetResult, FleetSettings
from .demo_run import Demo, DemoResult, DemoSettings
from .demo_view import fleet_summary, show, show_fleet, summary
from .options import Backend, BackendName, Compress, InputError, tell
from .signals import interruptible

ResultT = TypeVar("ResultT", bound=DemoResult)

SPECTACLE = 6.0
"""Seconds over which the events are spread where somebody watches."""
DROPS: Final = 3
"""Where the processes are not what ends."""
MAX_SHARDS: Final = 256
"""What one process for the server and one for the client can show on an ordinary machine."""


def demo(
    events: Annotated[int, typer.Option(min=1, help="How many events are sent, to all shards together.")] = 3000,
    drops: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="How often a connection is dropped in their midst.",
            show_default=f"{DROPS}; 0 with --restart or --kill",
        ),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, max=MAX_SHARDS, help="So many shards, by a Client, instead of a lone one.")
    ] = None,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Run the client in a process of its own, end that by SIGTERM in the middle of the stream, and go on "
            "with a second one that has only the first one's state file.",
        ),
    ] = False,
    kill: Annotated[
        bool,
        typer.Option(
            "--kill", help="The same with SIGKILL. What comes a second time then, and says so, is counted as replayed."
        ),
    ] = False,
    backend: Backend = "asyncio",
    compress: Compress = "zlib-stream",
    seed: Annotated[
        int | None, typer.Option(help="Of the events and the moments of the drops; random if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Start a gateway and a bot on it, drop its connections or end its process, and count what came through.

    Exit code 1 unless every event came once and in order; with --shards, also unless every shard identified once.
    """
    if restart and kill:
        raise InputError("--restart ends the first process by SIGTERM, --kill by SIGKILL: give one of them")
    stop = signal.SIGTERM if restart else signal.SIGKILL if kill else None
    if drops is None:
        drops = DROPS if stop is None else 0
    if drops >= events:
        raise InputError(f"--drops must be less than --events: {drops} drops do not fit between {events} events")
    is_watched = sys.stderr.isatty() and not as_json
    settings = DemoSettings(
        events=events,
        drops=drops,
        seed=secrets.randbelow(2**32) if seed is None else seed,
        compress=compress,
        rate=events / SPECTACLE if is_watched else None,
    )
    if shards is not None or stop is not None:
        settings = _fleet(settings, shards or 1, stop, backend)
    raise typer.Exit(run_demo(settings, backend=backend, as_json=as_json, is_watched=is_watched))


def _fleet(settings: DemoSettings, shards: int, stop: signal.Signals | None, backend: BackendName) -> FleetSettings:
    if settings.events < 2 * shards:
        raise InputError(f"--events must be 2 for each shard at least: {2 * shards}, not {settings.events}")
    return FleetSettings(**msgspec.structs.asdict(settings), shards=shards, stop=stop, backend=backend)


def run_demo(
    settings: DemoSettings,
    *,
    backend: str = "asyncio",
    as_json: bool = False,
    is_watched: bool = False,
    faults: Mapping[int, DispatchFault] | None = None,
) -> int:
    """Run the demo, print what came of it and return the exit code. `faults` as for `Demo`."""
    console = Console(stderr=True) if is_watched else None
    if isinstance(settings, FleetSettings):
        return _run_fleet(settings, backend, console, as_json=as_json, faults=faults)
    watch = None if console is None else functools.partial(show, console=console)
    result, code = _run(lambda: Demo(settings, faults=faults).run(watch), backend)
    if result is None:
        return code
    _print(result, None if as_json else summary(result, settings))
    if result.is_whole(settings.events):
        return 0
    tell(f"not every event came once and in order; --seed {settings.seed} sends the same again")
    return 1


def _run_fleet(
    settings: FleetSettings,
    backend: str,
    console: Console | None,
    *,
    as_json: bool,
    faults: Mapping[int, DispatchFault] | None,
) -> int:
    said: list[str] = []

    async def run() -> FleetResult:
        demo = FleetDemo(settings, faults=faults)
        result = await demo.run(None if console is None else functools.partial(show_fleet, console=console))
        said.extend(demo.said)
        return result

    result, code = _run(run, backend)
    if result is None:
        return code
    _print(result, None if as_json else fleet_summary(result, settings))
    found = result.faults(settings)
    if not found:
        return 0
    for line in said:
        tell(line)
    tell(f"{' '.join(found)} --seed {settings.seed} sends the same again")
    return 1


def _run(run: Callable[[], Awaitable[ResultT]], backend: str) -> tuple[ResultT | None, int]:
    """The result, or none and the exit code; then what is to be told is told."""
    results: list[ResultT] = []

    async def work() -> int:
        results.append(await run())
        return 0

    try:
        code = anyio.run(interruptible, work, backend=backend)
    except GatewayError as error:
        tell(str(error))
        return None, 1
    return (results[0] if results else None), code


def _print(result: DemoResult, words: RenderableType | None) -> None:
    """In words, or as JSON."""
    if words is None:
        print(json.dumps(msgspec.to_builtins(result)))
    else:
        Console().print(words)
