"""What the demo shows: the live view while it runs, and the summary."""

import anyio
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gateway_proto import ConnectionStage

from ..anyio import ShardRunner
from .demo_fleet import FleetDemo, FleetResult, FleetSettings
from .demo_run import Demo, DemoResult, DemoSettings, Outage

_PERIOD = 0.1
"""Seconds between two pictures."""
_BEAT = 1.0
"""Seconds between heartbeats besides the schedule: their ACKs are the latency."""
_RATE_WINDOW = 10
"""Pictures over which events/s are measured."""
_TIMELINE = 10
"""Resumes on show."""


async def show(demo: Demo, runner: ShardRunner, console: Console) -> None:
    """Draw the demo until cancelled; what stays is the last picture."""
    arrived = [(demo.elapsed, demo.arrived)]
    beat_at = 0.0
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                if demo.elapsed >= beat_at and demo.stage is ConnectionStage.CONNECTED:
                    beat_at = demo.elapsed + _BEAT
                    runner.heartbeat()
                arrived = [*arrived[-_RATE_WINDOW:], (demo.elapsed, demo.arrived)]
                live.update(picture(demo, runner.latency, rate_of(arrived)), refresh=True)
                await anyio.sleep(_PERIOD)
        finally:
            live.update(picture(demo, runner.latency, rate_of(arrived)))


def rate_of(arrived: list[tuple[float, int]]) -> float:
    """Events a second, between the first and the last of (seconds, events)."""
    (begin, before), (end, after) = arrived[0], arrived[-1]
    return (after - before) / (end - begin) if end > begin else 0.0


def picture(demo: Demo, latency: float | None, rate: float) -> RenderableType:
    """The state of a demo."""
    events = demo.settings.events
    facts = Table.grid(padding=(0, 2))
    facts.add_row("stage", Text(str(demo.stage), "green" if demo.stage is ConnectionStage.CONNECTED else "yellow"))
    facts.add_row("latency", "-" if latency is None else f"{latency * 1000:.1f} ms")
    _add_progress(facts, demo.arrived, demo.number, events, rate)
    return Panel(Group(facts, *map(_line, demo.outages[-_TIMELINE:])), title="gateway-proto demo", width=76)


def _add_progress(facts: Table, arrived: int, sent: int, events: int, rate: float) -> None:
    facts.add_row("events/s", f"{rate:,.0f}")
    facts.add_row("events", f"{arrived:,} of {sent:,} sent, {events:,} in all")
    facts.add_row("", ProgressBar(total=events, completed=min(arrived, events), width=40))


def _line(outage: Outage) -> Text:
    line = Text(f"{outage.at:6.2f} s  dropped behind event {outage.number:,}: ")
    if outage.seconds is None:
        return line.append("reconnecting", "yellow")
    line.append("resumed", "green")
    return line.append(f" in {outage.seconds * 1000:,.0f} ms, {outage.replayed or 0:,} replayed")


async def show_fleet(demo: FleetDemo, console: Console) -> None:
    """Draw the demo of several shards until cancelled."""
    arrived = [(demo.elapsed, demo.arrived)]
    with Live(console=console, auto_refresh=False) as live:
        try:
            while True:
                arrived = [*arrived[-_RATE_WINDOW:], (demo.elapsed, demo.arrived)]
                live.update(fleet_picture(demo, rate_of(arrived)), refresh=True)
                await anyio.sleep(_PERIOD)
        finally:
            live.update(fleet_picture(demo, rate_of(arrived)))


def fleet_picture(demo: FleetDemo, rate: float) -> RenderableType:
    """The state of a demo of several shards."""
    shards = demo.settings.shards
    facts = Table.grid(padding=(0, 2))
    facts.add_row("shards", Text(f"{demo.connected} of {shards}", "green" if demo.connected == shards else "yellow"))
    if demo.pids:
        facts.add_row("process", f"{demo.pids[-1]}")
    _add_progress(facts, demo.arrived, demo.number, demo.settings.events, rate)
    return Panel(Group(facts, *map(Text, demo.notes[-_TIMELINE:])), title="gateway-proto demo", width=76)


def summary(result: DemoResult, settings: DemoSettings) -> RenderableType:
    """The counts, and the verdict."""
    if result.is_whole(settings.events):
        verdict = Text(f"Every event came once and in order, through {result.resumes} resumes.", "bold green")
    else:
        verdict = Text("Not every event came once and in order.", "bold red")
    return Group(_counts(result), verdict)


def fleet_summary(result: FleetResult, settings: FleetSettings) -> RenderableType:
    """The counts, what happened, and the verdict."""
    table = _counts(result)
    if isinstance(result.replayed, int):
        table.add_row("replayed", f"{result.replayed:,} a second time, and marked so")
    parts: list[RenderableType] = [table]
    if settings.stop is not None and isinstance(result.pids, list):
        parts.append(Text(_story(settings.stop.name, *result.pids)))
    faults = result.faults(settings)
    if faults:
        parts.append(Text(" ".join(faults), "bold red"))
    else:
        shards = f"{settings.shards} shards" if settings.shards > 1 else "1 shard"
        told = f"Every event of {shards} came once and in order, through {result.resumes} resumes"
        parts.append(Text(f"{told} and {result.identifies} IDENTIFYs.", "bold green"))
    return Group(*parts)


def _story(signal_name: str, first: int, second: int | None = None) -> str:
    if second is None:
        return f"Process {first} never came to the middle of the stream, where {signal_name} was to end it."
    return (
        f"Process {first} was ended by {signal_name} in the middle of the stream; "
        f"process {second} went on with its state file."
    )


def _counts(result: DemoResult) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for name in ("sent", "delivered", "lost", "duplicated", "out_of_order", "resumes", "identifies"):
        table.add_row(name.replace("_", " "), f"{getattr(result, name):,}")
    table.add_row("seconds", f"{result.seconds:.1f}")
    return table
