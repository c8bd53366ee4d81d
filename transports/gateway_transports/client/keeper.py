"""The sessions of a client's shards, kept so that the next process can resume them (F32, F38).

READY is stored before it is handed on, so that a program killed at any moment after it costs no IDENTIFY; from then on
what was delivered is written down once a second, for all shards that moved, in one transaction.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

import anyio

from gateway_proto import Dispatch, Session

from ..anyio import ShardRunner
from ..clock import Clock
from ..stores import SessionStore, StoreError, StoreMismatchError

INTERVAL: Final = 1.0
"""Seconds between two transactions: what a kill makes come twice, at most."""

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
        self._is_failing = False
        self._is_bound = False

    # -- what is kept ------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> Mapping[int, Session]:
        return self._sessions

    def load(self) -> None:
        """Read what the store has. Raises StoreError."""
        if self._store is not None:
            self._sessions = self._store.load()

    def refuse(self, shard_id: int) -> None:
        """This one cannot be resumed."""
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
            self._bind(session.application_id)
            self.save()

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
        for shard_id in self._moved & self._runners.keys():  # a handler may end after its shard
            self._take(shard_id)
        self._moved.clear()
        if self._store is None or (self._unsaved and self._write(lambda store: store.save(self._unsaved))):
            self._unsaved.clear()

    def close(self) -> None:
        """Save, and let go of the store."""
        self.save()
        if self._store is not None:
            self._store.close()

    # -- inside ------------------------------------------------------------------------------------------------

    def _bind(self, application_id: int | None) -> None:
        if application_id is not None and not self._is_bound:
            self._is_bound = self._write(lambda store: store.bind(application_id))

    def _write(self, write: Callable[[SessionStore], object]) -> bool:
        """Whether it was written."""
        if self._store is None:
            return False
        try:
            write(self._store)
        except StoreMismatchError as error:
            self._store.close()
            self._store = None
            self._on_foreign(error)
            return False
        except StoreError as error:
            if not self._is_failing:
                _log.warning("sessions cannot be stored at the moment, and will be later: %s", error)
            self._is_failing = True
            return False
        self._is_failing = False
        return True

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
