"""The book of permits to IDENTIFY that several programs of one machine keep in one state file (F15, F20).

Times are written by two clocks. Wall time is the one that a program which is started after the next boot can read as
well, and anybody may set it. So the machine's own clock stands beside it, with the name of the boot that it counts
from: within one boot, nothing depends on what wall time says. What is written at any moment is safe to die after: a
permit that is out keeps its bucket closed for `lease + spacing` and counts as spent, until it is ended in whatever way.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from gateway_proto import LocalProtocolError
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyBudgetError, Ledger
from gateway_proto.fleet.ledger import DAY, DEFAULT_TOTAL, NEVER_SPENT, WINDOW, shortage

from . import schema
from .database import Database
from .errors import StoreError, StoreMismatchError, shown

QUICK: Final = 0.02
"""Seconds that an event loop may be kept waiting for another program's transaction."""
START_PATIENCE: Final = 2.0
"""The same for what a start is refused without."""
RESERVED_LEAST: Final = 60.0
"""Seconds, beyond twice the time that it should take, after which a start that was announced is forgotten: nobody can
tell it from one whose program died."""
KEPT: Final = 4 * DAY
"""Seconds for which a row is kept that wall time says is over, or not to come yet: a clock that is wrong for a moment
must not cost the ledger."""

_NOT_RESERVED: Final = "DELETE FROM reserved WHERE shard = ?"
_COUNTED: Final = (
    "SELECT {0} FROM identifies WHERE boot = :boot AND up > :up - :window UNION ALL "
    "SELECT {0} FROM identifies WHERE at > :wall - :window AND (boot = :boot) IS NOT 1"
)
"""What there is of the IDENTIFYs that count at `:up` and `:wall`. As two: each has an index."""
_ANNOUNCED: Final = f"until BETWEEN :wall AND :wall + {DAY}"
"""An announced start that is believed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant by both clocks."""

    wall: float
    """Seconds since the epoch."""
    boot: int | None
    """What the other clock counts from; None if there is no such clock."""
    up: float
    """Seconds since then."""

    def later(self, seconds: float) -> "Moment":
        return Moment(self.wall + seconds, self.boot, self.up + seconds)

    def since(self, other: "Moment") -> float:
        """Seconds from `other` to this; 0 if it seems to be yet to come."""
        is_known = self.boot is not None and self.boot == other.boot
        return max(self.up - other.up if is_known else self.wall - other.wall, 0.0)

    @property
    def row(self) -> tuple[float, int | None, float]:
        return self.wall, self.boot, self.up

    @property
    def names(self) -> dict[str, float | int | None]:
        """For a statement."""
        return {"wall": self.wall, "boot": self.boot, "up": self.up, "window": WINDOW, "kept": KEPT}


@dataclass(frozen=True, slots=True)
class Grant:
    """A permit that is out."""

    shard_id: int
    row: int
    """Of the table of IDENTIFYs."""
    at: Moment
    closes: Moment
    """Until when the bucket was closed for it: as long as that stands, nobody else has had it since."""
    before: Moment
    """When the bucket was ready for it."""
    reserved_until: float | None
    """It was one of an announced start's."""


@dataclass(frozen=True, slots=True)
class Later:
    """Ask again after so many seconds. With a `reason`, it is not the bucket that keeps the shard waiting."""

    seconds: float
    reason: str = ""


def check_owner(application_id: int | None, path: Path, meta: schema.Meta) -> None:
    """Raises StoreMismatchError if the bot is known, and the file is another one's."""
    kept = meta.get("application_id")
    if application_id is not None and kept is not None and kept != application_id:
        raise StoreMismatchError(
            f"{shown(path)} is the state file of the bot {kept}, and this one is {application_id}; choose another file"
        )


class PermitBook:
    """Transactions on a state file's book. None of them waits, but for those of others.

    Args:
        wall: the time in seconds since the epoch.
        up: the time in seconds since `boot`; it is never set.
        boot: a name of that start which no other start of a clock shares. None: wall time is all there is.
    """

    def __init__(
        self,
        database: Database,
        *,
        spacing: float,
        lease: float,
        wall: Callable[[], float],
        up: Callable[[], float],
        boot: int | None,
    ) -> None:
        self._database = database
        self._spacing = spacing
        self._lease = lease
        self._wall = wall
        self._up = up
        self._boot = boot
        self._starting: set[int] = set()
        self._unwritten: list[tuple[Grant, Moment | None]] = []
        """Permits that have ended, and when each was used, that could not be written down yet."""
        self._unreleased: set[int] = set()
        """Shards whose start will not come, which could not be written down yet."""

    def now(self) -> Moment:
        return Moment(self._wall(), self._boot, self._up())

    def open(self, max_concurrency: int, application_id: int | None = None) -> None:
        """What Discord says now holds for all that use the file. One that was nobody's is this bot's, if it is known.

        Raises:
            StoreMismatchError: another bot's program was faster.
            StoreError
        """
        with self._database.transaction() as connection:
            check_owner(application_id, self._database.path, schema.read_meta(connection))
            if application_id is not None:
                schema.write_meta(connection, application_id=application_id)
            _adopt(connection, max_concurrency, self._boot)

    def grant(self, shard_id: int) -> Grant | Later:
        """Take a permit, if there is one."""
        with self._transaction(QUICK) as connection:
            now = self.now()
            meta = schema.read_meta(connection)
            bucket = _bucket(meta, shard_id)
            ready, wait = self._ready(connection, bucket, now)
            if wait > 0:
                # Is it closed for a permit that is out? Then look often: that may end at any moment.
                return Later(self._lease / 8 if wait > self._spacing else wait)
            _repair(connection, now)
            query = f"SELECT until FROM reserved WHERE shard = :shard AND {_ANNOUNCED}"
            row = connection.execute(query, {"shard": shard_id, "wall": now.wall}).fetchone()
            until: float | None = None
            if row is not None or shard_id in self._starting:
                until = now.wall + RESERVED_LEAST if row is None else row[0]
            too_few = _too_few(connection, now, is_starting=until is not None)
            if too_few is not None:
                return too_few
            closes = now.later(self._lease + self._spacing)
            _set_ready(connection, bucket, closes)
            connection.execute(_NOT_RESERVED, (shard_id,))
            query = "INSERT INTO identifies (at, boot, up, shard) VALUES (?, ?, ?, ?)"
            new = connection.execute(query, (*now.row, shard_id)).lastrowid
        assert new is not None, "an INSERT has a row"
        self._starting.discard(shard_id)
        return Grant(shard_id, new, now, closes, ready, until)

    def end(self, grant: Grant, used: Moment | None) -> None:
        """The permit was used then, or not at all. What cannot be written now is written later: until then the file
        says that it is out, and then that it was used, which keeps everybody off as well."""
        if used is None and grant.reserved_until is not None:
            self._starting.add(grant.shard_id)
        self._unwritten.append((grant, used))
        self._catch_up()

    def reserve(self, shard_ids: Iterable[int]) -> None:
        """Announce a start, for every program to see. One of no shards is never refused.

        Raises:
            IdentifyBudgetError: the day has not enough for it and for what others announced; nothing changed.
            StoreError
        """
        new = set(shard_ids)
        wanted = self._starting | new
        with self._transaction(START_PATIENCE) as connection:
            now = self.now()
            wall = now.wall
            _repair(connection, now)
            announced = connection.execute(f"SELECT shard FROM reserved WHERE {_ANNOUNCED}", {"wall": wall})
            others = sum(shard_id not in wanted for (shard_id,) in announced)
            ledger = _ledger(connection, now)
            remaining = max(ledger.remaining(wall) - others, 0)
            if new and len(wanted) > remaining - NEVER_SPENT:
                free = ledger.free_at(len(wanted) + others + NEVER_SPENT, wall)
                raise IdentifyBudgetError(needed=len(wanted), remaining=remaining, wall=free, wait=free - wall)
            width = schema.read_meta(connection).get("max_concurrency", 1)
            takes = (len(wanted) + others) / width * (self._spacing + self._lease)
            connection.executemany(
                "INSERT INTO reserved VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET until = excluded.until",
                [(shard_id, wall + 2 * takes + RESERVED_LEAST) for shard_id in wanted],
            )
        self._starting = wanted

    def release(self, shard_ids: Iterable[int]) -> bool:
        """Take back what was announced here and has not come; whether there was any. Shards without it cost nothing.
        What cannot be written now is written later, or forgotten in time as the start of a program that died."""
        announced = self._starting & set(shard_ids)
        if announced:
            self._starting -= announced
            self._unreleased |= announced
            self._catch_up()
        return bool(announced)

    def report(self, limit: SessionStartLimit) -> None:
        """What GET /gateway/bot said. Raises StoreError."""
        with self._transaction(START_PATIENCE) as connection:
            now = self.now()
            _adopt(connection, limit.max_concurrency, self._boot)
            schema.write_meta(connection, identifies_total=limit.total, identifies_left=limit.remaining)
            _set_reported(connection, now, limit.reset_after)

    def remaining(self) -> int:
        """How many IDENTIFYs are left today. Raises StoreError."""
        with self._database.reading() as connection:
            now = self.now()
            return _ledger(connection, now).remaining(now.wall)

    def close(self) -> None:
        """Take back what was announced and did not come."""
        self.release(self._starting)
        if self._unwritten or self._unreleased:
            self._catch_up()

    def _catch_up(self) -> None:
        """Write what could not be written before, if it can be now."""
        with suppress(StoreError, LocalProtocolError), self._transaction(QUICK):
            pass

    @contextmanager
    def _transaction(self, patience: float) -> Iterator[Connection]:
        """One that begins with what could not be written before."""
        with self._database.transaction(patience) as connection:
            self._write_ends(connection)
            if self._unreleased:
                connection.executemany(_NOT_RESERVED, [(shard_id,) for shard_id in self._unreleased])
            yield connection
        self._unwritten.clear()
        self._unreleased.clear()

    def _ready(self, connection: Connection, bucket: int, now: Moment) -> tuple[Moment, float]:
        """When the bucket is ready, and how many seconds that is from now: the more of what the two clocks say."""
        ready = _ready_row(connection, bucket)
        if ready is None:
            return now, 0.0
        # Nobody closes a bucket for longer than this: a clock that says so was set back since, or was wrong then.
        latest = now.later(self._lease + self._spacing)
        waits = [ready.wall - now.wall] if ready.wall <= latest.wall else []
        if now.boot is not None and ready.boot == now.boot and ready.up <= latest.up:
            waits.append(ready.up - now.up)
        if not waits:  # an IDENTIFY may be a moment old
            ready = now.later(self._spacing)
            _set_ready(connection, bucket, ready)
            waits.append(self._spacing)
        return ready, max(waits)

    def _write_ends(self, connection: Connection) -> None:
        meta = schema.read_meta(connection) if self._unwritten else {}
        for grant, used in self._unwritten:
            bucket = _bucket(meta, grant.shard_id)
            closed = _ready_row(connection, bucket)
            is_ours = closed == grant.closes
            if used is not None:
                ready = used.later(self._spacing)
                _set_ready(connection, bucket, ready if is_ours or closed is None else _later_of(ready, closed))
                query = "UPDATE identifies SET at = ?, boot = ?, up = ? WHERE id = ?"
                connection.execute(query, (*used.row, grant.row))
                continue
            if is_ours:
                _set_ready(connection, bucket, grant.before)
            connection.execute("DELETE FROM identifies WHERE id = ?", (grant.row,))
            if grant.reserved_until is not None:
                connection.execute(
                    "INSERT OR IGNORE INTO reserved VALUES (?, ?)", (grant.shard_id, grant.reserved_until)
                )


def _bucket(meta: schema.Meta, shard_id: int) -> int:
    return shard_id % int(meta.get("max_concurrency", 1))


def _ready_row(connection: Connection, bucket: int) -> Moment | None:
    row = connection.execute("SELECT ready_at, boot, up FROM buckets WHERE bucket = ?", (bucket,)).fetchone()
    return None if row is None else Moment(*row)


def _set_ready(connection: Connection, bucket: int, ready: Moment) -> None:
    connection.execute(
        "INSERT INTO buckets (bucket, ready_at, boot, up) VALUES (?, ?, ?, ?) ON CONFLICT (bucket) "
        "DO UPDATE SET ready_at = excluded.ready_at, boot = excluded.boot, up = excluded.up",
        (bucket, *ready.row),
    )


def _later_of(ours: Moment, theirs: Moment) -> Moment:
    """By each clock; the other one's counts if it is the same."""
    up = max(ours.up, theirs.up) if ours.boot == theirs.boot else ours.up
    return Moment(max(ours.wall, theirs.wall), ours.boot, up)


def _adopt(connection: Connection, max_concurrency: int, boot: int | None) -> None:
    """Sort the shards into so many buckets. All of the new ones are closed for as long as any of the old ones was."""
    if schema.read_meta(connection).get("max_concurrency") == max_concurrency:
        return
    [wall] = connection.execute("SELECT max(ready_at) FROM buckets").fetchone()
    [up] = connection.execute("SELECT max(up) FROM buckets WHERE boot = ?", (boot,)).fetchone()
    connection.execute("DELETE FROM buckets")
    if wall is not None:
        latest = Moment(wall, None, 0.0) if up is None else Moment(wall, boot, up)
        for index in range(max_concurrency):
            _set_ready(connection, index, latest)
    schema.write_meta(connection, max_concurrency=max_concurrency)


def _repair(connection: Connection, now: Moment) -> None:
    """Forget what is long over. Where the clock was set back, what lies far ahead of it was now: nothing may be kept
    by a time that will not come for years. By wall time both are done days late, since it may be wrong just now."""
    connection.execute("DELETE FROM identifies WHERE boot = :boot AND up <= :up - :window", now.names)
    connection.execute("DELETE FROM identifies WHERE at <= :wall - :kept AND (boot = :boot) IS NOT 1", now.names)
    connection.execute(
        "UPDATE identifies SET at = :wall, boot = :boot, up = :up WHERE at > :wall + :kept AND (boot = :boot) IS NOT 1",
        now.names,
    )
    connection.execute("DELETE FROM reserved WHERE until NOT BETWEEN :wall - :kept AND :wall + :kept", now.names)
    reported = _reported(schema.read_meta(connection))
    if reported is not None and reported[0].boot != now.boot and reported[0].wall > now.wall + KEPT:
        _set_reported(connection, now, reported[1])


def _reported(meta: schema.Meta) -> tuple[Moment, float] | None:
    """When Discord said last how many are left, and for how many seconds from then on that holds."""
    if "reported_at" not in meta:
        return None
    boot = int(meta.get("reported_boot", 0)) or None
    at = Moment(meta["reported_at"], boot, meta.get("reported_up", 0.0))
    return at, meta["reset_at"] - meta["reported_at"]


def _set_reported(connection: Connection, at: Moment, reset_after: float) -> None:
    schema.write_meta(
        connection,
        reported_at=at.wall,
        reported_boot=at.boot or 0,
        reported_up=at.up,
        reset_at=at.wall + reset_after,
    )


def _too_few(connection: Connection, now: Moment, *, is_starting: bool) -> Later | None:
    """Whether the day's IDENTIFYs are kept from this shard."""
    meta = schema.read_meta(connection)
    [announced] = connection.execute(f"SELECT count(*) FROM reserved WHERE {_ANNOUNCED}", now.names).fetchone()
    spent = sum(count for (count,) in connection.execute(_COUNTED.format("count(*)"), now.names))
    total = meta.get("identifies_total", DEFAULT_TOTAL)
    kept = NEVER_SPENT if is_starting else max(Ledger(total=int(total)).reserve, announced + NEVER_SPENT)
    if min(total, meta.get("identifies_left", total)) - spent > kept:
        return None  # at least so many are left. To read the whole ledger of a large bot, 16,000 rows, takes 10 ms
    ledger = _ledger(connection, now)
    remaining = ledger.remaining(now.wall)
    if remaining > kept:
        return None
    return Later(max(ledger.free_at(kept + 1, now.wall) - now.wall, 1.0), shortage(remaining))


def _ledger(connection: Connection, now: Moment) -> Ledger:
    """The day's IDENTIFYs, by wall time as it would have been then if it had not been set since."""
    meta = schema.read_meta(connection)
    total = int(meta.get("identifies_total", DEFAULT_TOTAL))
    rows = connection.execute(_COUNTED.format("at, boot, up"), now.names)
    ledger = Ledger((now.wall - now.since(Moment(*row)) for row in rows), total=total)
    reported = _reported(meta)
    if reported is not None:
        at = now.wall - now.since(reported[0])
        reset_after = reported[1]
        just_before = math.nextafter(at, 0.0)  # one of the same instant is not among those it counted
        ledger.report(
            SessionStartLimit(
                total=total,
                remaining=int(meta["identifies_left"]),
                reset_after=at + reset_after - just_before,
                max_concurrency=1,
            ),
            just_before,
        )
    return ledger
