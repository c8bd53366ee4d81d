"""The live table of a client's shards: what fits of it, and a line that sums it up."""

import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from gateway_proto import ConnectionStage

from .options import printable

_WINDOW: Final = 5.0
"""Seconds over which events/s are measured."""
_LEDGER_PERIOD: Final = 5.0
"""Seconds between two looks at the IDENTIFYs left, which may be in a file."""
_AROUND: Final = 4
"""Rows besides those of the shards: the head and its rule, how many more there are, the sum."""


class ShardRow(msgspec.Struct, frozen=True, kw_only=True):
    """A shard, as it is shown. `latency` is in seconds; `failure` says why it has ended."""

    shard_id: int
    stage: ConnectionStage
    latency: float | None
    guilds: int | None
    failure: str | None = None


class ShardTable:
    """Counts events, and makes pictures of the shards.

    Args:
        rows: tells the shards, none before the start.
        identifies_left: tells how many IDENTIFYs are left today, if it is known.
        share: the part of the terminal's height that the table may take.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        rows: Callable[[], Sequence[ShardRow]],
        identifies_left: Callable[[], int | None],
        *,
        share: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = rows
        self._identifies_left = identifies_left
        self._share = share
        self._clock = clock
        self._began = clock()
        self._counts: Counter[int] = Counter()
        self._past: deque[tuple[float, Counter[int]]] = deque([(self._began, Counter())])
        self._left: int | None = None
        self._left_at = -float("inf")

    def count(self, shard_id: int) -> None:
        """An event of this shard was written."""
        self._counts[shard_id] += 1

    def picture(self, height: int) -> RenderableType:
        """For a terminal of so many rows."""
        now = self._clock()
        rows = self._rows()
        rates = self._rates(now)
        summary = self._summary(rows, sum(rates.values()), now)
        room = int((height - 1) * self._share) - _AROUND
        if not rows or room < 1:
            return summary
        shown = rows if len(rows) <= room else sorted(sorted(rows, key=_urgency)[:room], key=lambda row: row.shard_id)
        parts: list[RenderableType] = [_table(shown, rates)]
        if len(rows) > len(shown):
            parts.append(Text(f"… and {len(rows) - len(shown)} more", "dim"))
        return Group(*parts, summary)

    def _summary(self, rows: Sequence[ShardRow], rate: float, now: float) -> Text:
        facts = [f"up {_duration(now - self._began)}", f"{self._counts.total():,} events", f"{rate:,.1f} events/s"]
        if self._left is None or now - self._left_at >= _LEDGER_PERIOD:
            self._left, self._left_at = self._identifies_left(), now
        if self._left is not None:
            facts.append(f"{self._left:,} IDENTIFYs left")
        stages = Counter(_stage(row) for row in rows)
        shards = f"{len(rows)} shard{'s' * (len(rows) != 1)}: " if rows else "starting"
        shards += ", ".join(f"{number} {stage}" for stage, number in stages.most_common())
        return Text("  ".join([shards, *facts]), "bold", no_wrap=True, overflow="ellipsis")

    def _rates(self, now: float) -> dict[int, float]:
        past = self._past
        while len(past) > 1 and now - past[1][0] >= _WINDOW:
            past.popleft()
        then, before = past[0]
        past.append((now, self._counts.copy()))
        if now <= then:
            return {}
        return {shard_id: (count - before[shard_id]) / (now - then) for shard_id, count in self._counts.items()}


def _urgency(row: ShardRow) -> tuple[bool, int]:
    """Those that are not well come first."""
    return row.stage is ConnectionStage.CONNECTED, row.shard_id


def _stage(row: ShardRow) -> str:
    return "ended" if row.failure is not None else row.stage.value


def _table(rows: Sequence[ShardRow], rates: dict[int, float]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for name in ("shard", "stage", "latency", "guilds", "events/s"):
        left = name == "stage"
        table.add_column(name, justify="left" if left else "right", no_wrap=True, min_width=13 if left else 7)
    if any(row.failure is not None for row in rows):
        table.add_column("why", no_wrap=True, overflow="ellipsis")
    for row in rows:
        color = "green" if row.stage is ConnectionStage.CONNECTED else "red" if row.failure is not None else "yellow"
        cells: list[str | Text] = [
            str(row.shard_id),
            Text(_stage(row), color),
            "-" if row.latency is None else f"{row.latency * 1000:.0f} ms",
            "-" if row.guilds is None else f"{row.guilds:,}",
            f"{rates.get(row.shard_id, 0.0):,.1f}",
        ]
        if row.failure is not None:
            cells.append(Text(printable(row.failure)))
        table.add_row(*cells)
    return table


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
