"""What keeps sessions over the end of a process."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from gateway_proto import Session


class SessionStore(Protocol):
    """The sessions of one program's shards, by shard id (0 for a bot that does not shard).

    Its methods are quick, since an event loop waits for them, and may be called from any thread, one at a time. All of
    them raise `StoreError`, and `LocalProtocolError` for shards that the store was not opened for and once it is
    closed.
    """

    def load(self) -> dict[int, Session]:
        """The sessions that are kept, of the shards that this store was opened for."""
        ...

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        """Keep these, all or none of them; None forgets one. Those not named stay as they are.

        Raises:
            StoreMismatchError: a session is another bot's than those that are kept.
        """
        ...

    def bind(self, application_id: int) -> None:
        """Say whose sessions these are, as READY tells it.

        Raises:
            StoreMismatchError: those that are kept are another bot's.
        """
        ...

    def close(self) -> None:
        """Let go of everything, so that another may open it. Closing twice does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
