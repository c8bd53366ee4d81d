"""Sessions in one SQLite file, for one program or several on one machine."""

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection
from types import TracebackType
from typing import Final, Self

from gateway_proto import LocalProtocolError, Session, SnapshotMismatchError

from . import schema
from .database import PATIENCE, Database
from .errors import StoreError, StoreMismatchError, StoreOwnedError, listed, shown
from .ownership import MAX_SHARDS

_log: Final = logging.getLogger("gateway_transports.stores")

_PARTING: Final = 0.5
"""Seconds to wait for others when closing: what is written then is not missed."""


class SqliteStore:
    """A `SessionStore` in a file: SQLite with a write-ahead log, no server.

    What `save` has returned from survives a kill of the process at any moment. A power cut or a crash of the system
    may lose the last saves (those since the log was last synchronised), each as a whole, and damages nothing; what is
    lost then comes again, as after a kill between two saves. The file must be on a disk of this machine.

    The file belongs to one bot and one shard count: that of others is refused and never written to. Several programs
    may share it, each with shards of its own. Nobody else can open the store for a shard of it until it is closed, or
    its process ends in whatever way. The file holds secrets; it is made readable for its owner only.

    A damaged file is renamed (`kept_aside` says to what), and a new one begun.

    Args:
        application_id: the bot's; None if it is not known yet, then call `bind` once READY has told it.
        shard_ids: the shards that this program runs; [0] for a bot that does not shard.
        total: the shard count; 1 for a bot that does not shard.
        reshard: if the file is of another count, and no living program runs a shard of it, it becomes this one's: the
            sessions in it, which nobody can resume any more, are dropped, and a warning is logged.
        patience: seconds that `save` and `bind` wait for other programs' transactions, each of which takes
            milliseconds. The calling thread waits with them, as an event loop would; signals get through.

    Raises:
        StoreError: the file cannot be used; which of its kinds says why.
        LocalProtocolError: there are no such shards.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        application_id: int | None,
        shard_ids: Iterable[int],
        total: int,
        reshard: bool = False,
        patience: float = PATIENCE,
    ) -> None:
        self.patience: float = patience
        self._may_reshard = reshard
        self._shard_ids = frozenset(shard_ids)
        self._total = total
        self._application_id = application_id
        self._held: dict[int, Session | None] = {}
        """What waits for `bind`: it would replace sessions that may be another bot's."""
        ids = sorted(self._shard_ids)
        if not ids or not 0 <= ids[0] <= ids[-1] < total <= MAX_SHARDS:
            raise LocalProtocolError(f"there are no shards {listed(ids)} of {total}")
        self.unreadable: dict[int, SnapshotMismatchError] = {}
        """Shards whose session `load` could not read, and why. They have to IDENTIFY."""
        self._database = Database(path, accept=self._accept, enter=self._enter)

    @property
    def path(self) -> Path:
        return self._database.path

    @property
    def kept_aside(self) -> Path | None:
        """The damaged file that was found, under its new name; None if there was none."""
        return self._database.kept_aside

    def load(self) -> dict[int, Session]:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT shard, session FROM sessions ORDER BY shard").fetchall()
        sessions: dict[int, Session] = {}
        self.unreadable.clear()
        for shard_id, stored in rows:
            if shard_id in self._shard_ids:
                try:
                    sessions[shard_id] = Session.from_bytes(stored)
                except SnapshotMismatchError as error:
                    self.unreadable[shard_id] = error.as_value()
        return sessions

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        """Keep these in one transaction; None forgets one.

        As long as `bind` has not said whose the sessions are, and the file is somebody's already, only what is known
        to be that one's is written; the rest waits for `bind`.
        """
        foreign = sessions.keys() - self._shard_ids
        if foreign:
            raise LocalProtocolError(f"the store was not opened for the shards {listed(foreign)}")
        with self._database.transaction(self.patience) as connection:
            kept = _application_id(schema.read_meta(connection))
            owner = self._application_id if kept is None else kept
            for session in sessions.values():
                if session is not None and session.application_id is not None:
                    self._check_owner(self.path, owner, session.application_id)
                    owner = session.application_id
            held: dict[int, Session | None] = {}
            if self._application_id is None and kept is not None:
                held = {
                    id: session for id, session in sessions.items() if session is None or session.application_id is None
                }
            ready = {id: session for id, session in sessions.items() if id not in held}
            if owner is not None and kept is None:
                schema.write_meta(connection, application_id=owner)
            connection.executemany(
                "DELETE FROM sessions WHERE shard = ?", [(id,) for id, session in ready.items() if session is None]
            )
            connection.executemany(
                "INSERT INTO sessions VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET session = excluded.session",
                [(id, session.to_bytes()) for id, session in ready.items() if session is not None],
            )
        self._held = {id: session for id, session in self._held.items() if id not in sessions} | held

    def bind(self, application_id: int) -> None:
        with self._database.transaction(self.patience) as connection:
            kept = _application_id(schema.read_meta(connection))
            self._check_owner(self.path, self._application_id if kept is None else kept, application_id)
            if kept is None:
                schema.write_meta(connection, application_id=application_id)
        self._application_id = application_id
        held, self._held = self._held, {}
        if held:
            self.save(held)

    def close(self) -> None:
        with suppress(StoreError, LocalProtocolError), self._database.transaction(_PARTING) as connection:
            connection.executemany("DELETE FROM owners WHERE shard = ?", [(id,) for id in self._shard_ids])
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self, path: Path, meta: schema.Meta) -> None:
        """Refuse another's file."""
        if self._application_id is not None:
            self._check_owner(path, _application_id(meta), self._application_id)
        total = meta.get("total", self._total)
        if total != self._total and not self._may_reshard:
            raise StoreMismatchError(
                f"{shown(path)} keeps sessions of {total} shards, and {self._total} are wanted; choose another file"
            )

    def _enter(self, database: Database) -> None:
        is_owned = database.ownership.is_owned()
        taken = database.ownership.take(self._shard_ids)
        if taken is not None:
            with database.reading() as connection:
                row = connection.execute("SELECT pid FROM owners WHERE shard = ?", (taken,)).fetchone()
            raise StoreOwnedError(database.path, taken, row[0] if row is not None else None)
        with database.transaction() as connection:
            meta = schema.read_meta(connection)
            self._accept(database.path, meta)  # another may have bound it meanwhile
            if meta.get("total", self._total) != self._total:
                self._reshard(database.path, connection, int(meta["total"]), is_owned=is_owned)
            schema.write_meta(connection, total=self._total)
            if self._application_id is not None:
                schema.write_meta(connection, application_id=self._application_id)
            connection.executemany(
                "INSERT INTO owners VALUES (?, ?) ON CONFLICT (shard) DO UPDATE SET pid = excluded.pid",
                [(id, os.getpid()) for id in self._shard_ids],
            )

    def _reshard(self, path: Path, connection: Connection, total: int, *, is_owned: bool) -> None:
        """Make room for another count, if nobody runs shards of this one."""
        if is_owned:
            raise StoreMismatchError(
                f"{shown(path)} keeps sessions of {total} shards, some of which a program runs, and {self._total} are "
                "wanted; stop that program, or choose another file"
            )
        dropped = connection.execute("DELETE FROM sessions").rowcount
        connection.execute("DELETE FROM owners")
        _log.warning(
            "%s kept sessions of %d shards, and %d are wanted now: %d were dropped, and every shard begins anew",
            shown(path), total, self._total, dropped,
        )  # fmt: skip

    @staticmethod
    def _check_owner(path: Path, kept: int | None, told: int) -> None:
        if kept is not None and kept != told:
            raise StoreMismatchError(
                f"{shown(path)} keeps sessions of the bot {kept}, and this one is {told}; choose another file"
            )


def _application_id(meta: schema.Meta) -> int | None:
    value = meta.get("application_id")
    return None if value is None else int(value)
