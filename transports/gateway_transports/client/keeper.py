"""The sessions of a client's shards, kept so that the next process can resume them (F32, F38).

READY is stored before it is handed on, so that a program killed at any moment after it costs no IDENTIFY; from then on
what was delivered is written down once a second, for all shards that moved, in one transaction.

The event loop waits for the store, so a state file that another program keeps locked is tried for a moment only, and
again a second later. Whatever a store raises, the shards go on.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

import anyio

from gateway_proto import Dispatch, Session

from ..anyio import ShardRunner
from ..clock import Clock
from ..stores import SessionStore, SqliteStore, StoreError, StoreMismatchError
from ..stores.errors import listed, shown

INTERVAL: Final = 1.0
"""Seconds between two transactions: what a kill makes come twice, at most."""
QUICK: Final = 0.05
"""Seconds that one of them may wait for another program's."""
READY_PATIENCE: Final = 0.5
"""The same for what a kill would make a shard IDENTIFY without, unless the store has failed already."""
CLOSE_PATIENCE: Final = 5.0
"""The same for the last one."""

_log: Final = logging.getLogger("gateway_transports.client")


class SessionKeeper:
    """Sessions in memory, and in a store if there is one.

    Args:
        wall: epoch seconds, for `Session.saved_at`.
        on_foreign: is told, once, that the store keeps another bot's sessions. Nothing is written any more then.
    """

    def __init__(
        self,
        store: SessionStore | None,
        *,
        wall: Callable[[], float],
        on_foreign: Callable[[StoreMismatchError], object],
    ) -> None:
        self._store = store
        self._wall = wall
        self._on_foreign = on_foreign
        self._sessions: dict[int, Session] = {}
        self._runners: dict[int, ShardRunner] = {}
        self._moved: set[int] = set()
        self._unsaved: dict[int, Session | None] = {}
        self._stored: dict[int, Session] = {}
        """What the store has, as far as this one wrote or read it."""
        self._is_failing = False
        self._application_id: int | None = None
        """Whose they are, until the store knows it."""
        self._is_bound = False
        self.unsaved: frozenset[int] = frozenset()
        """After `close`: the shards whose sessions the store has not, or not as they were last."""

    # -- what is kept ------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> Mapping[int, Session]:
        return self._sessions

    def load(self) -> None:
        """Read what the store has. Raises StoreError."""
        if self._store is not None:
            self._sessions = self._store.load()
            self._stored = dict(self._sessions)

    def refuse(self, shard_id: int, *, keep: bool = False) -> None:
        """This one cannot be resumed, or is not to be. `keep`: not now, but it stays in the store until the shard has
        another, for whoever takes the cause back, which are settings of the shard."""
        is_known = shard_id in self._sessions.keys() | self._stored.keys()
        if is_known and not keep:
            self._note(shard_id, None)
        self._sessions.pop(shard_id, None)

    # -- what happens to the shards ----------------------------------------------------------------------------

    def watch(self, shard_id: int, runner: ShardRunner) -> None:
        self._runners[shard_id] = runner

    def unwatch(self, shard_id: int, *, forget: bool) -> None:
        """It is over; `forget`: so is its session."""
        if forget:
            self._note(shard_id, None)
        else:
            self._take(shard_id)
        del self._runners[shard_id]
        self._moved.discard(shard_id)

    def moved(self, shard_id: int) -> None:
        """Something of it was delivered."""
        self._moved.add(shard_id)

    def ready(self, shard_id: int, event: Dispatch) -> None:
        """READY came and is about to be handed on."""
        runner = self._runners[shard_id]
        session = runner.session_snapshot(self._wall(), after=event)
        if session is not None:
            self._note(shard_id, session)
            if not self._is_bound:
                self._application_id = session.application_id
            self._save(QUICK if self._is_failing else READY_PATIENCE)

    def resumed(self, shard_id: int) -> None:
        """RESUMED came and is about to be handed on. What comes behind it is not marked as replayed, so the store must
        know up to where this process got: in the next one's replay, a RESUMED that this one had ends nothing."""
        self._take(shard_id)
        self.save()

    def lost(self, shard_id: int) -> None:
        """Its session is gone."""
        self._note(shard_id, None)

    # -- writing -----------------------------------------------------------------------------------------------

    async def run(self, clock: Clock) -> None:
        """Save from time to time, until cancelled."""
        while True:
            await clock.wait(anyio.Event(), clock.now() + INTERVAL)
            self.save()

    def save(self) -> None:
        """Write what changed. What cannot be written now is written with the next."""
        self._save(QUICK)

    def close(self) -> None:
        """Save, and let go of the store. What could not be saved is told, and in `unsaved`."""
        try:
            self._save(CLOSE_PATIENCE)
        finally:
            if self._store is not None:
                self._tell_unsaved(self._store)
            self._close_store()

    # -- inside ------------------------------------------------------------------------------------------------

    def _save(self, patience: float) -> None:
        for shard_id in self._moved & self._runners.keys():  # a handler may end after its shard
            self._take(shard_id)
        self._moved.clear()
        application_id, unsaved = self._application_id, self._unsaved
        if application_id is not None:
            if self._write(lambda store: store.bind(application_id), patience):
                self._application_id, self._is_bound = None, True
            else:
                patience = min(patience, QUICK)  # it has waited
        if unsaved and self._write(lambda store: store.save(unsaved), patience):
            for shard_id, session in unsaved.items():
                if session is None:
                    self._stored.pop(shard_id, None)
                else:
                    self._stored[shard_id] = session
            self._unsaved = {}
        if self._store is None:
            self._unsaved, self._application_id = {}, None
        if not self._unsaved and self._application_id is None:
            self._is_failing = False

    def _write(self, write: Callable[[SessionStore], object], patience: float) -> bool:
        """Whether it was written."""
        if self._store is None:
            return False
        if isinstance(self._store, SqliteStore):
            self._store.patience = patience
        try:
            write(self._store)
        except StoreMismatchError as error:
            self._close_store()
            self._on_foreign(error)
            return False
        except Exception as error:
            self._tell_failure(error)
            return False
        return True

    def _tell_failure(self, error: Exception) -> None:
        if not self._is_failing:
            text = "sessions cannot be stored at the moment, and will be later: %s"
            if isinstance(error, StoreError):
                _log.warning(text, error)
            else:  # a store of somebody's own, and a mistake in it
                _log.error(text, type(error).__name__, exc_info=error)
        self._is_failing = True

    def _tell_unsaved(self, store: SessionStore) -> None:
        unsaved = {shard_id: session for shard_id, session in self._unsaved.items() if session is not None}
        self.unsaved = frozenset(unsaved)
        behind = {id for id, session in unsaved.items() if id in self._stored and self._stored[id].id == session.id}
        where = shown(store.path) if isinstance(store, SqliteStore) else type(store).__name__
        if self.unsaved - behind:
            _log.error(
                "the sessions of shards %s could not be stored in %s: they will IDENTIFY again at the next start",
                listed(self.unsaved - behind), where,
            )  # fmt: skip
        if behind:
            _log.error(
                "how far shards %s got could not be stored in %s: what they were given last will come again",
                listed(behind), where,
            )  # fmt: skip

    def _close_store(self) -> None:
        store, self._store = self._store, None
        try:
            if store is not None:
                store.close()
        except Exception as error:
            _log.error("the store of sessions cannot be closed: %s", type(error).__name__, exc_info=error)

    def _take(self, shard_id: int) -> None:
        session = self._runners[shard_id].session_snapshot(self._wall())
        if session is None:
            return  # nothing was delivered since READY, which is kept
        kept = self._sessions.get(shard_id)
        if kept is None or (kept.id, kept.sequence, kept.received) != (session.id, session.sequence, session.received):
            self._note(shard_id, session)

    def _note(self, shard_id: int, session: Session | None) -> None:
        if session is None:
            self._sessions.pop(shard_id, None)
        else:
            self._sessions[shard_id] = session
        self._unsaved[shard_id] = session
