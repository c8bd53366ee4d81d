"""`gateway-proto demo`: watch a shard lose its connection and miss nothing."""

import json
import secrets
import sys
from collections.abc import Mapping
from typing import Annotated

import anyio
import msgspec
import typer
from rich.console import Console

from gateway_proto import GatewayError
from gateway_proto.server import DispatchFault

from .demo_run import Demo, DemoResult, DemoSettings
from .demo_view import show, summary
from .options import Backend, Compress, InputError, tell
from .signals import interruptible

SPECTACLE = 6.0
"""Seconds over which the events are spread where somebody watches."""


def demo(
    events: Annotated[int, typer.Option(min=1, help="How many events are sent.")] = 3000,
    drops: Annotated[int, typer.Option(min=0, help="How often the connection is dropped in their midst.")] = 3,
    backend: Backend = "asyncio",
    compress: Compress = "zlib-stream",
    seed: Annotated[
        int | None, typer.Option(help="Of the events and the moments of the drops; random if left out.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as one JSON object, and nothing else.")
    ] = False,
) -> None:
    """Start a gateway and a shard on it, drop the connection again and again, and count what came through.

    Exit code 1 unless every event came once and in order.
    """
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
    raise typer.Exit(run_demo(settings, backend=backend, as_json=as_json, is_watched=is_watched))


def run_demo(
    settings: DemoSettings,
    *,
    backend: str = "asyncio",
    as_json: bool = False,
    is_watched: bool = False,
    faults: Mapping[int, DispatchFault] | None = None,
) -> int:
    """Run the demo, print what came of it and return the exit code. `faults` as for `Demo`."""
    results: list[DemoResult] = []

    async def work() -> int:
        console = Console(stderr=True) if is_watched else None
        demo = Demo(settings, faults=faults)
        results.append(await demo.run(None if console is None else lambda demo, runner: show(demo, runner, console)))
        return 0

    try:
        code = anyio.run(interruptible, work, backend=backend)
    except GatewayError as error:
        tell(str(error))
        return 1
    if not results:
        return code
    [result] = results
    if as_json:
        print(json.dumps(msgspec.to_builtins(result)))
    else:
        Console().print(summary(result, settings))
    if result.is_whole(settings.events):
        return 0
    tell(f"not every event came once and in order; --seed {settings.seed} sends the same again")
    return 1
