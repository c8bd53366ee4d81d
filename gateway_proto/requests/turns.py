"""Who may ask when: what is asked for one at a time, by op and guild.

All members of a guild, since Discord allows that once in 30 s (Discord: Gateway Events > Request Guild Members); and
channel info, whose answer does not say which fields were asked for.
"""

from typing import Final, TypeAlias

from ..commands import InterMessage, RequestChannelInfo, RequestGuildMembers
from ..opcodes import Opcode

TURN_PERIOD: Final = 31.0
"""Seconds between two such requests on the wire: Discord's 30, which it counts as they arrive, and 1 more for the way
(F11). The limit is the bot's: no reconnect and no new session shortens it."""

AT_ONCE: Final = float("-inf")
NEVER: Final = float("inf")

Turn: TypeAlias = tuple[int, int]
"""(op, guild id)"""


def turn_of(command: InterMessage) -> Turn | None:
    """The turn that a command takes; None for one that need not wait for any."""
    match command:
        case RequestGuildMembers(query="", limit=0) | RequestChannelInfo():
            return (command.opcode, command.guild_id)
    return None


class Turns:
    """When each turn is free.

    One is *taken* by a command that is handed to the shard, since nobody knows when it will be written: free never,
    until it was *written* or *given back*. Whoever else writes such a command, or is told to wait, moves it too.
    """

    __slots__ = ("_free",)

    def __init__(self) -> None:
        self._free: dict[Turn, float] = {}

    def __len__(self) -> int:
        return len(self._free)

    def free_at(self, command: InterMessage) -> float:
        turn = turn_of(command)
        return AT_ONCE if turn is None else self._free.get(turn, AT_ONCE)

    def take(self, command: InterMessage) -> None:
        turn = turn_of(command)
        if turn is not None:
            self._free[turn] = NEVER

    def give_back(self, command: InterMessage) -> None:
        """It left the shard's queue. If it was written, say so next."""
        turn = turn_of(command)
        if turn is not None:
            self._free.pop(turn, None)

    def written(self, command: InterMessage, now: float) -> None:
        """A command of ours or of anybody is on the wire."""
        turn = turn_of(command)
        if turn is not None:
            for passed in [other for other, free in self._free.items() if free <= now]:
                del self._free[passed]
            self.not_before(turn, now + TURN_PERIOD)

    def not_before(self, turn: Turn, at: float) -> None:
        self._free[turn] = max(at, self._free.get(turn, at))

    def refused(self, command: InterMessage, until: float) -> None:
        """Discord says when a command may come again that it did not take: it knows better, be it sooner or later."""
        turn = turn_of(command)
        if turn is not None and self._free.get(turn) != NEVER:
            self._free[turn] = until

    def answered(self, opcode: Opcode, guild_id: int) -> None:
        """There is nothing left to be taken for another's answer."""
        turn = (opcode, guild_id)
        if self._free.get(turn) != NEVER:
            self._free.pop(turn, None)

    def session_lost(self) -> None:
        """No answer to channel info is under way any more. What is queued still is, and the limit is the bot's."""
        for opcode, guild_id in list(self._free):
            if opcode == Opcode.REQUEST_CHANNEL_INFO:
                self.answered(Opcode.REQUEST_CHANNEL_INFO, guild_id)
