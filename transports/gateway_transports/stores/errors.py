"""What goes wrong with a state file. Every text is one line that a person can act on; none holds a secret.

They are `GatewayError`s, so that a gate may raise them where a shard is to end with them. No exception of sqlite3 or
of the operating system comes out of a store or a gate.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway_proto import GatewayError

from ..errors import one_line


class StoreError(GatewayError):
    """The base of what goes wrong with a state file. Nothing was written."""


class StoreUnusableError(StoreError):
    """It cannot be opened, read or written at all: read-only, a directory, no such folder, a failing disk."""


class StoreFullError(StoreError):
    """There is no room on the disk."""


class StoreBusyError(StoreError):
    """Another program has kept it locked for longer than a transaction takes."""


class StoreCorruptError(StoreError):
    """It is damaged, and could not be set aside."""


class StoreFormatError(StoreError):
    """It is not a state file, or one of a newer version. It was left untouched."""


class StoreMismatchError(StoreError):
    """It belongs to another bot or another shard count. It was left untouched."""


class DamagedError(sqlite3.DatabaseError):
    """Within: SQLite can read the file, and it is not what was once written."""


class StoreOwnedError(StoreError):
    """A living program, this one or another, runs this shard with the same state file. `pid` is None if not known."""

    def __init__(self, path: Path, shard_id: int, pid: int | None) -> None:
        self.path = path
        self.shard_id = shard_id
        self.pid = pid
        who = "another process" if pid is None else "this process" if pid == os.getpid() else f"process {pid}"
        super().__init__(f"shard {shard_id} of {shown(path)} is run by {who} already; stop that, or run other shards")


def shown(path: Path) -> str:
    """A path within a line: a name may hold line breaks."""
    return " ".join(str(path).split())


def listed(shard_ids: Iterable[int]) -> str:
    """Some thousands of ids are no line to read."""
    ids = sorted(shard_ids)
    return ", ".join(map(str, ids[:10])) + (" …" if len(ids) > 10 else "")


def from_sqlite(path: Path, error: sqlite3.Error) -> StoreError:
    """The typed error for one of sqlite3's."""
    damaged = sqlite3.SQLITE_CORRUPT if isinstance(error, DamagedError) else sqlite3.SQLITE_ERROR
    match getattr(error, "sqlite_errorcode", damaged) & 0xFF:  # the higher bits are detail
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreCorruptError(f"{shown(path)} is damaged; move it away and start again")
        case sqlite3.SQLITE_ERROR:  # anything about a statement: what it names is not there, or not as it should be
            return StoreUnusableError(
                f"{shown(path)} cannot be used, as if another program had changed it: {one_line(error)}"
            )
        case sqlite3.SQLITE_FULL:
            return StoreFullError(f"{shown(path)} cannot be written: no room is left on its disk")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return StoreBusyError(f"{shown(path)} is kept locked by another program")
        case sqlite3.SQLITE_READONLY:
            return StoreUnusableError(f"{shown(path)} cannot be written: the file or its folder is read-only")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreUnusableError(f"{shown(path)} cannot be opened: it or its folder cannot be read and written")
        case sqlite3.SQLITE_IOERR:
            return StoreUnusableError(f"{shown(path)} cannot be read or written: its disk fails, or a quota is reached")
    return StoreUnusableError(f"{shown(path)} cannot be read or written: {one_line(error)}")


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what sqlite3 and the operating system raise into a `StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(path, error) from None
    except OSError as error:
        raise StoreUnusableError(f"{shown(path)} cannot be opened or written: {one_line(error)}") from None
