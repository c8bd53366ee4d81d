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
    facts.add_row("events/s", f"{rate:,.0f}")
    facts.add_row("events", f"{demo.arrived:,} of {demo.number:,} sent, {events:,} in all")
    facts.add_row("", ProgressBar(total=events, completed=min(demo.arrived, events), width=40))
    return Panel(Group(facts, *map(_line, demo.outages[-_TIMELINE:])), title="gateway-proto demo", width=76)


def _line(outage: Outage) -> Text:
    line = Text(f"{outage.at:6.2f} s  dropped behind event {outage.number:,}: ")
    if outage.seconds is None:
        return line.append("reconnecting", "yellow")
    line.append("resumed", "green")
    return line.append(f" in {outage.seconds * 1000:,.0f} ms, {outage.replayed or 0:,} replayed")


def summary(result: DemoResult, settings: DemoSettings) -> RenderableType:
    """The counts, and the verdict."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for name in ("sent", "delivered", "lost", "duplicated", "out_of_order", "resumes", "identifies"):
        table.add_row(name.replace("_", " "), f"{getattr(result, name):,}")
    table.add_row("seconds", f"{result.seconds:.1f}")
    if result.is_whole(settings.events):
        verdict = Text(f"Every event came once and in order, through {result.resumes} resumes.", "bold green")
    else:
        verdict = Text("Not every event came once and in order.", "bold red")
    return Group(table, verdict)
