"""What the app asked to be sent and what is not yet on the wire (F36, F37).

Lives as long as the shard: commands wait for a session, and outlive a connection that dies before they are drained. Of
presences only the newest waits.
"""

from collections import deque

from .actions import CommandEnded, CommandOutcome
from .commands import InterMessage, UpdatePresence
from .errors import LocalProtocolError
from .ratelimit import PRESENCE_LIMIT, PRESENCE_PERIOD, Window

_Entry = tuple[InterMessage, bytes]


class Outbox:
    """A bounded queue of encoded commands, and the one slot of the presence."""

    __slots__ = ("_commands", "_limit", "_presence", "_presence_window")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._commands: deque[_Entry] = deque()
        self._presence: _Entry | None = None
        self._presence_window = Window(PRESENCE_LIMIT, PRESENCE_PERIOD)

    def __len__(self) -> int:
        return len(self._commands) + (self._presence is not None)

    def check_room(self, count: int) -> None:
        """Raises LocalProtocolError if so many more do not fit."""
        if len(self._commands) + count > self._limit:
            raise LocalProtocolError(
                f"{len(self._commands)} of at most {self._limit} commands are waiting, {count} more do not fit; "
                "try again once some are written"
            )

    def put(self, message: InterMessage, data: bytes) -> None:
        """Queue an encoded command; there is room for it."""
        self._commands.append((message, data))

    def put_presence(self, message: InterMessage, data: bytes) -> list[CommandEnded]:
        """Put a presence (typed or raw) in place of the one that waits, which ends as dropped."""
        replaced, self._presence = self._presence, (message, data)
        if replaced is None:
            return []
        return [
            CommandEnded(command=replaced[0], outcome=CommandOutcome.DROPPED, reason="a newer presence replaced it")
        ]

    def presence_rode_in_identify(self) -> list[CommandEnded]:
        """An IDENTIFY with the current presence was drained: one that waits to be sent has been said by that."""
        if self._presence is None or not isinstance(self._presence[0], UpdatePresence):
            # A raw one is not the current presence: it still has to go out.
            return []
        message, self._presence = self._presence[0], None
        return [CommandEnded(command=message, outcome=CommandOutcome.WRITTEN, reason="it rode in IDENTIFY")]

    def pop(self, now: float) -> _Entry | None:
        """The next that may go, the presence first; None if there is none, or its own limit says wait."""
        if self._presence is not None and self._presence_window.allows(now):
            entry, self._presence = self._presence, None
            self._presence_window.charge(now)
            return entry
        return self._commands.popleft() if self._commands else None

    def ready_at(self) -> float | None:
        """When `pop` gives something: at once as -inf, or when a presence may go; None while nothing waits."""
        if self._commands:
            return float("-inf")
        if self._presence is None:
            return None
        free = self._presence_window.free_at()
        return float("-inf") if free is None else free

    def requeue(self, reason: str) -> list[CommandEnded]:
        """The connection is gone, and everything that waits waits on: told once for each."""
        return [
            CommandEnded(command=message, outcome=CommandOutcome.REQUEUED, reason=reason)
            for message, _ in self._waiting()
        ]

    def clear(self, reason: str) -> list[CommandEnded]:
        """Drop everything."""
        ended = [
            CommandEnded(command=message, outcome=CommandOutcome.DROPPED, reason=reason)
            for message, _ in self._waiting()
        ]
        self._commands.clear()
        self._presence = None
        return ended

    def _waiting(self) -> list[_Entry]:
        return [*([self._presence] if self._presence is not None else []), *self._commands]
