"""Sessions in memory: they outlive a `Client`, not the process."""

import threading
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from gateway_proto import LocalProtocolError, Session

from .errors import StoreMismatchError


class MemoryStore:
    """A `SessionStore` without a file. Closed, it keeps what it has; calling or entering it opens it again.

    Several `Client`s, one after the other, are given the same one: `Client(config, store=memory_store)`.
    """

    def __init__(self, *, application_id: int | None = None) -> None:
        self._application_id = application_id
        self._shard_ids: frozenset[int] | None = None
        """What it was opened for; None: for all."""
        self._sessions: dict[int, Session] = {}
        self._is_open = True
        self._lock = threading.Lock()

    def __call__(self, *, application_id: int | None, shard_ids: Iterable[int], total: int) -> Self:
        """Open it for these shards, as a `Client` does. Sessions of another `total` are found to be so by the client.

        Raises:
            StoreMismatchError: it keeps another bot's sessions.
        """
        with self._lock:
            self._application_id = _same_bot(self._application_id, application_id)
            self._shard_ids = frozenset(shard_ids)
            self._is_open = True
        return self

    def load(self) -> dict[int, Session]:
        with self._lock:
            self._check_open()
            ids = self._sessions if self._shard_ids is None else self._sessions.keys() & self._shard_ids
            return {shard_id: self._sessions[shard_id] for shard_id in sorted(ids)}

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        with self._lock:
            self._check_open()
            owner = self._application_id
            for session in sessions.values():
                owner = _same_bot(owner, session.application_id if session is not None else None)
            self._application_id = owner
            for shard_id, session in sessions.items():
                if session is None:
                    self._sessions.pop(shard_id, None)
                else:
                    self._sessions[shard_id] = session

    def bind(self, application_id: int) -> None:
        with self._lock:
            self._check_open()
            self._application_id = _same_bot(self._application_id, application_id)

    def close(self) -> None:
        self._is_open = False

    def __enter__(self) -> Self:
        self._is_open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if not self._is_open:
            raise LocalProtocolError("the store is closed")


def _same_bot(kept: int | None, told: int | None) -> int | None:
    if None not in (kept, told) and kept != told:
        raise StoreMismatchError(f"the store keeps sessions of application {kept}, not of {told}")
    return told if kept is None else kept
