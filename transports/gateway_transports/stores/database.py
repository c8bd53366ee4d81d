"""One open state file: what stores and gates have in common. They may share a file."""

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from gateway_proto import LocalProtocolError

from . import schema
from .errors import StoreCorruptError, StoreUnusableError, from_sqlite, shown, translated
from .ownership import Ownership

PATIENCE: Final = 5.0
"""Seconds that a transaction waits for another program's; one takes milliseconds."""
_SLICE: Final = 0.05
"""Seconds of it at a time within SQLite: Python's signal handlers, and so Ctrl-C, can only run between two such."""
_PAUSE: Final = 0.002
_ROLLBACK_NEEDED: Final = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_READONLY_RECOVERY)

_T = TypeVar("_T")


class Database:
    """A state file, opened and migrated. From any thread, one transaction at a time.

    Args:
        patience: seconds that a transaction waits for others' unless it says otherwise.
        accept: is given what the file says about itself before anything is written to it; raises if it is not ours.
        enter: is called before another program may open the file; if it raises, all is let go.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        patience: float = PATIENCE,
        accept: Callable[[Path, schema.Meta], None] | None = None,
        enter: Callable[["Database"], None] | None = None,
    ) -> None:
        self.path: Path = Path(os.path.realpath(path))
        self.kept_aside: Path | None = None
        """Where the damaged file is that was found in this one's place."""
        self.ownership: Ownership = Ownership(self.path)
        self._patience = patience
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        with translated(self.path):
            _check_place(self.path)
        with translated(self.path), self.ownership.opening():
            _create(self.path)
            meta = self._inspect()
            if accept is not None:
                accept(self.path, meta)
            try:
                self._connect()
                if enter is not None:
                    enter(self)
            except BaseException:
                self._disconnect()
                raise

    @contextlib.contextmanager
    def transaction(self, patience: float | None = None) -> Iterator[sqlite3.Connection]:
        """Write, all or nothing; whatever is read here, nobody else changes before the end.

        Raises:
            StoreError: it could not be written, and was not.
            LocalProtocolError: the file is closed.
        """
        with self._lock, translated(self.path):
            connection = self._opened()
            try:
                begin(connection, self._patience if patience is None else patience)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # it may have been rolled back, or the disk be gone
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read with one statement; in WAL mode nobody who writes is waited for."""
        with self._lock, translated(self.path):
            yield self._opened()

    def close(self) -> None:
        with self._lock:
            self._disconnect()
        self.ownership.release()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LocalProtocolError(f"{shown(self.path)} is closed")
        return self._connection

    def _inspect(self) -> schema.Meta:
        """Look at the file without a change to it; a damaged one is set aside and a new one begun."""
        try:
            return self._look()
        except sqlite3.Error as error:
            if not isinstance(from_sqlite(self.path, error), StoreCorruptError):
                raise
        self.kept_aside = self._set_aside()
        _create(self.path)
        return {}

    def _look(self) -> schema.Meta:
        try:
            return self._look_by("ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in _ROLLBACK_NEEDED:
                raise
            return self._look_by("rw")  # a program died in the midst of a write: that has to be undone first

    def _look_by(self, mode: str) -> schema.Meta:
        with contextlib.closing(self._dial(mode)) as connection:
            return _patiently(connection, PATIENCE, lambda: schema.inspect(connection, self.path))

    def _set_aside(self) -> Path:
        if not self.ownership.is_alone():
            raise StoreCorruptError(f"{shown(self.path)} is damaged and in use; stop every program that uses it")
        number = 1
        while os.path.lexists(aside := self.path.with_name(f"{self.path.name}.corrupt-{number}")):
            number += 1
        for suffix in ("-wal", "-shm", "-journal"):  # its parts: they must not be taken for the new one's
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{self.path}{suffix}", f"{aside}{suffix}")
        os.rename(self.path, aside)
        return aside

    def _connect(self) -> None:
        self._connection = connection = self._dial("rw")
        _patiently(connection, PATIENCE, lambda: connection.execute("PRAGMA journal_mode = WAL"))
        # In WAL mode: a commit is safe from a kill at once, and from a power cut at the next checkpoint.
        connection.execute("PRAGMA synchronous = NORMAL")
        schema.migrate(connection, lambda: begin(connection, PATIENCE))

    def _dial(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.as_uri()}?mode={mode}",
            uri=True,
            timeout=_SLICE,
            isolation_level=None,
            check_same_thread=False,
        )

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def begin(connection: sqlite3.Connection, patience: float) -> None:
    """Be the only one that writes."""
    _patiently(connection, patience, lambda: connection.execute("BEGIN IMMEDIATE"))


def _patiently(connection: sqlite3.Connection, patience: float, action: Callable[[], _T]) -> _T:
    """Try it until others have let go of the file."""
    until = time.monotonic() + patience
    while True:
        left = max(until - time.monotonic(), 0.0)
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * min(left, _SLICE))}")
        try:
            return action()
        except sqlite3.OperationalError as error:
            is_locked = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
            if not is_locked or time.monotonic() + _PAUSE >= until:
                raise
        time.sleep(_PAUSE)  # SQLite does not always wait


def _check_place(path: Path) -> None:
    """What SQLite, or the file beside, would say in other words, or wait for (a pipe)."""
    if not path.parent.is_dir():
        raise StoreUnusableError(f"{shown(path)} cannot be made: there is no such folder")
    if path.exists() and not path.is_file():
        raise StoreUnusableError(f"{shown(path)} is not a file; choose another state file")
    # SQLite opens a read-only file all the same, and leaves read-only parts beside it that outlast its being mended.
    if path.exists() and not os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        raise StoreUnusableError(f"{shown(path)} is read-only, or not readable, for this user")


def _create(path: Path) -> None:
    """An empty file that only its owner may read; SQLite would ask the umask. Its companions get the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
