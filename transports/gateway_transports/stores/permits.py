"""The book of permits to IDENTIFY that several programs of one machine keep in one state file (F15, F20).

All times are wall time: the one clock that all of them, and a program that is started tomorrow, can read. What is
written at any moment is safe to die after: a permit that is out keeps its bucket closed for `lease + spacing` and
counts as spent, until it is ended in whatever way.
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

_NOT_RESERVED: Final = "DELETE FROM reserved WHERE shard = ?"


@dataclass(frozen=True, slots=True)
class Grant:
    """A permit that is out."""

    shard_id: int
    row: int
    """Of the table of IDENTIFYs."""
    at: float
    closes: float
    """Until when the bucket was closed for it: as long as that stands, nobody else has had it since."""
    before: float
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
    """Transactions on a state file's book. None of them waits, but for those of others."""

    def __init__(self, database: Database, *, spacing: float, lease: float, wall: Callable[[], float]) -> None:
        self._database = database
        self._spacing = spacing
        self._lease = lease
        self._wall = wall
        self._starting: set[int] = set()
        self._unwritten: list[tuple[Grant, float | None]] = []
        """Permits that have ended, and when each was used, that could not be written down yet."""

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
            _adopt(connection, max_concurrency)

    def grant(self, shard_id: int) -> Grant | Later:
        """Take a permit, if there is one."""
        with self._transaction(QUICK) as connection:
            wall = self._wall()
            meta = schema.read_meta(connection)
            bucket = _bucket(meta, shard_id)
            ready_at = self._ready_at(connection, bucket, wall)
            if ready_at > wall:
                # Is it closed for a permit that is out? Then look often: that may end at any moment.
                is_out = ready_at - wall > self._spacing
                return Later(self._lease / 8 if is_out else ready_at - wall)
            _repair(connection, wall)
            row = connection.execute("SELECT until FROM reserved WHERE shard = ?", (shard_id,)).fetchone()
            until: float | None = None
            if row is not None or shard_id in self._starting:
                until = wall + RESERVED_LEAST if row is None else row[0]
            too_few = _too_few(connection, wall, is_starting=until is not None)
            if too_few is not None:
                return too_few
            closes = wall + self._lease + self._spacing
            _set_ready(connection, bucket, closes)
            connection.execute(_NOT_RESERVED, (shard_id,))
            new = connection.execute("INSERT INTO identifies (at, shard) VALUES (?, ?)", (wall, shard_id)).lastrowid
        assert new is not None, "an INSERT has a row"
        self._starting.discard(shard_id)
        return Grant(shard_id, new, wall, closes, ready_at, until)

    def end(self, grant: Grant, used_at: float | None) -> None:
        """The permit was used then, or not at all. What cannot be written now is written later: until then the file
        says that it is out, and then that it was used, which keeps everybody off as well."""
        if used_at is None and grant.reserved_until is not None:
            self._starting.add(grant.shard_id)
        self._unwritten.append((grant, used_at))
        with suppress(StoreError, LocalProtocolError), self._transaction(QUICK):
            pass

    def reserve(self, shard_ids: Iterable[int]) -> None:
        """Announce a start, for every program to see. One of no shards is never refused.

        Raises:
            IdentifyBudgetError: the day has not enough for it and for what others announced; nothing changed.
            StoreError
        """
        new = set(shard_ids)
        wanted = self._starting | new
        with self._transaction(START_PATIENCE) as connection:
            wall = self._wall()
            _repair(connection, wall)
            others = sum(shard_id not in wanted for (shard_id,) in connection.execute("SELECT shard FROM reserved"))
            ledger = _ledger(connection)
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

    def release(self, shard_ids: Iterable[int]) -> None:
        """Take back what was announced. Raises StoreError."""
        with self._transaction(START_PATIENCE) as connection:
            connection.executemany(_NOT_RESERVED, [(shard_id,) for shard_id in self._starting & set(shard_ids)])
        self._starting -= set(shard_ids)

    def report(self, limit: SessionStartLimit) -> None:
        """What GET /gateway/bot said. Raises StoreError."""
        with self._transaction(START_PATIENCE) as connection:
            wall = self._wall()
            _adopt(connection, limit.max_concurrency)
            schema.write_meta(
                connection,
                identifies_total=limit.total,
                identifies_left=limit.remaining,
                reported_at=wall,
                reset_at=wall + limit.reset_after,
            )

    def remaining(self) -> int:
        """How many IDENTIFYs are left today. Raises StoreError."""
        with self._database.reading() as connection:
            return _ledger(connection).remaining(self._wall())

    def close(self) -> None:
        """Take back what was announced and did not come."""
        with suppress(StoreError, LocalProtocolError), self._transaction(QUICK) as connection:
            connection.executemany(_NOT_RESERVED, [(shard_id,) for shard_id in self._starting])
        self._starting.clear()

    @contextmanager
    def _transaction(self, patience: float) -> Iterator[Connection]:
        """One that begins with what could not be written before."""
        with self._database.transaction(patience) as connection:
            self._write_ends(connection)
            yield connection
        self._unwritten.clear()

    def _ready_at(self, connection: Connection, bucket: int, wall: float) -> float:
        row = connection.execute("SELECT ready_at FROM buckets WHERE bucket = ?", (bucket,)).fetchone()
        ready_at: float = wall if row is None else row[0]
        if ready_at > wall + self._lease + self._spacing:
            # Nobody writes this: the clock was set back since. An IDENTIFY may be a moment old.
            ready_at = wall + self._spacing
            _set_ready(connection, bucket, ready_at)
        return ready_at

    def _write_ends(self, connection: Connection) -> None:
        meta = schema.read_meta(connection) if self._unwritten else {}
        for grant, used_at in self._unwritten:
            bucket = _bucket(meta, grant.shard_id)
            row = connection.execute("SELECT ready_at FROM buckets WHERE bucket = ?", (bucket,)).fetchone()
            is_ours = row is not None and row[0] == grant.closes
            if used_at is not None:
                ready_at = used_at + self._spacing
                _set_ready(connection, bucket, ready_at if is_ours or row is None else max(ready_at, row[0]))
                connection.execute("UPDATE identifies SET at = ? WHERE id = ?", (used_at, grant.row))
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


def _set_ready(connection: Connection, bucket: int, ready_at: float) -> None:
    connection.execute(
        "INSERT INTO buckets VALUES (?, ?) ON CONFLICT (bucket) DO UPDATE SET ready_at = excluded.ready_at",
        (bucket, ready_at),
    )


def _adopt(connection: Connection, max_concurrency: int) -> None:
    """Sort the shards into so many buckets. All of the new ones are closed for as long as any of the old ones was."""
    if schema.read_meta(connection).get("max_concurrency") == max_concurrency:
        return
    [latest] = connection.execute("SELECT max(ready_at) FROM buckets").fetchone()
    connection.execute("DELETE FROM buckets")
    if latest is not None:
        connection.executemany(
            "INSERT INTO buckets VALUES (?, ?)", [(index, latest) for index in range(max_concurrency)]
        )
    schema.write_meta(connection, max_concurrency=max_concurrency)


def _repair(connection: Connection, wall: float) -> None:
    """Forget what is over. Where the clock was set back, what lies ahead of it was now: nothing may be kept by a time
    that will not come for years."""
    connection.execute("DELETE FROM identifies WHERE at <= ?", (wall - WINDOW,))
    connection.execute("UPDATE identifies SET at = ?1 WHERE at > ?1", (wall,))
    connection.execute("DELETE FROM reserved WHERE until NOT BETWEEN ? AND ?", (wall, wall + DAY))
    meta = schema.read_meta(connection)
    ahead = meta.get("reported_at", wall) - wall
    if ahead > 0:
        schema.write_meta(connection, reported_at=wall, reset_at=meta["reset_at"] - ahead)


def _too_few(connection: Connection, wall: float, *, is_starting: bool) -> Later | None:
    """Whether the day's IDENTIFYs are kept from this shard."""
    meta = schema.read_meta(connection)
    [announced] = connection.execute("SELECT count(*) FROM reserved").fetchone()
    [spent] = connection.execute("SELECT count(*) FROM identifies").fetchone()
    total = meta.get("identifies_total", DEFAULT_TOTAL)
    kept = NEVER_SPENT if is_starting else max(Ledger(total=int(total)).reserve, announced + NEVER_SPENT)
    if min(total, meta.get("identifies_left", total)) - spent > kept:
        return None  # at least so many are left. To read the whole ledger of a large bot, 16,000 rows, takes 10 ms
    ledger = _ledger(connection)
    remaining = ledger.remaining(wall)
    if remaining > kept:
        return None
    return Later(max(ledger.free_at(kept + 1, wall) - wall, 1.0), shortage(remaining))


def _ledger(connection: Connection) -> Ledger:
    meta = schema.read_meta(connection)
    total = int(meta.get("identifies_total", DEFAULT_TOTAL))
    ledger = Ledger((at for (at,) in connection.execute("SELECT at FROM identifies")), total=total)
    if "reported_at" in meta:
        at = math.nextafter(meta["reported_at"], 0.0)  # one of the same instant is not among those it counted
        remaining, reset_after = int(meta["identifies_left"]), meta["reset_at"] - at
        ledger.report(
            SessionStartLimit(total=total, remaining=remaining, reset_after=reset_after, max_concurrency=1), at
        )
    return ledger
