"""What is in a state file, and how an older one becomes a newer one.

Version 1:

    meta        facts about the whole file: application_id and total (whose it is), max_concurrency, and what Discord
                said last about the day's IDENTIFYs
    sessions    what a shard needs for a RESUME, as `Session.to_bytes` writes it
    owners      the process that runs a shard, for the text of an error: the locks decide (`ownership`)
    buckets     from when on, in wall time, a bucket gives a permit
    identifies  the IDENTIFYs of the last 24 h: when, and of which shard
    reserved    shards that are about to start without a session, and until when that is believed

Version 2, since wall time may be set: `buckets` and `identifies` also say the time by the machine's own clock (`up`),
and which of its starts that counts from (`boot`), NULL if that is not known. So does `meta` of what Discord said.

A change is a function more in `MIGRATIONS`; it runs in the transaction that also raises the version.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from .errors import DamagedError, StoreFormatError, shown

FORMAT: Final = 0x67777073
"""SQLite's `application_id` of our files ("gwps"): `user_version` alone does not tell them from another program's."""

Meta: TypeAlias = dict[str, int | float]
"""The rows of the table of that name. There they are text: a snowflake need not fit into SQLite's integers."""


def _version_1(connection: sqlite3.Connection) -> None:
    for statement in (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE sessions (shard INTEGER PRIMARY KEY, session BLOB NOT NULL)",
        "CREATE TABLE owners (shard INTEGER PRIMARY KEY, pid INTEGER NOT NULL)",
        "CREATE TABLE buckets (bucket INTEGER PRIMARY KEY, ready_at REAL NOT NULL)",
        # AUTOINCREMENT: the id of a row that has gone is not given to another while its permit may still be out.
        "CREATE TABLE identifies (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, shard INTEGER NOT NULL)",
        "CREATE INDEX identifies_at ON identifies (at)",
        "CREATE TABLE reserved (shard INTEGER PRIMARY KEY, until REAL NOT NULL)",
    ):
        connection.execute(statement)


def _version_2(connection: sqlite3.Connection) -> None:
    for table in ("buckets", "identifies"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN boot INTEGER")
        connection.execute(f"ALTER TABLE {table} ADD COLUMN up REAL NOT NULL DEFAULT 0.0")
    # Each has all that a count needs: of 16,000 rows it takes 1 ms.
    connection.execute("CREATE INDEX identifies_up ON identifies (boot, up)")
    connection.execute("DROP INDEX identifies_at")
    connection.execute("CREATE INDEX identifies_at ON identifies (at, boot)")


MIGRATIONS: list[Callable[[sqlite3.Connection], None]] = [_version_1, _version_2]
"""The one at index n makes version n + 1 of version n."""

TABLES: Final = frozenset({"meta", "sessions", "owners", "buckets", "identifies", "reserved"})
"""Those that every version has."""


def inspect(connection: sqlite3.Connection, path: Path) -> Meta:
    """Whether we may use this file; what it says about itself, nothing if it is new. Writes nothing.

    Raises:
        StoreFormatError: it is no state file, or a newer one.
        sqlite3.DatabaseError: it is damaged.
    """
    version, format = (
        connection.execute(query).fetchone()[0] for query in ("PRAGMA user_version", "PRAGMA application_id")
    )
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    if version == format == len(tables) == 0:
        return {}
    if format != FORMAT:
        raise StoreFormatError(f"{shown(path)} is another program's database; choose another state file")
    if version > len(MIGRATIONS):
        raise StoreFormatError(
            f"{shown(path)} is of version {version}, and this library knows {len(MIGRATIONS)}; update the library"
        )
    if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise DamagedError("a check found faults")
    if not tables >= TABLES:
        raise DamagedError("a table is missing")
    return read_meta(connection)


def migrate(connection: sqlite3.Connection, begin: Callable[[], object]) -> None:
    """Bring it to the newest version, one by one: what one version's change cannot do is left at the version before.
    `begin` begins a transaction that writes."""
    [version] = connection.execute("PRAGMA user_version").fetchone()
    for number, change in enumerate(MIGRATIONS[version:], version + 1):
        try:
            begin()
            change(connection)
            connection.execute(f"PRAGMA application_id = {FORMAT}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def read_meta(connection: sqlite3.Connection) -> Meta:
    try:
        return {
            key: float(value) if set(value) & set(".en") else int(value)
            for key, value in connection.execute("SELECT key, value FROM meta")
        }
    except (TypeError, ValueError):
        raise DamagedError("a number is none") from None


def write_meta(connection: sqlite3.Connection, **values: int | float) -> None:
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(key, repr(value)) for key, value in values.items()],
    )
