"""Everything that clients sent, for assertions: the last payloads, bounded in count and bytes."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from ..codec import DECODE_ERRORS
from ..opcodes import Opcode
from .actions import UNSHARDED, CloseSocket, Identified, Received, ServerAction, SessionResumed, ShardInfo
from .checked import is_int
from .identify import decode_object

MAX_MESSAGES: Final = 10_000
MAX_BYTES: Final = 16 * 2**20


class SentMessage(msgspec.Struct):
    """A payload of a client. `number` counts all of them from 1.

    `shard` is its connection's; None as long as that has said nothing of a shard. `raw` is the JSON of `d`, with `***`
    for the secrets of IDENTIFY and RESUME.
    """

    number: int
    connection: int
    shard: ShardInfo | None
    opcode: int
    raw: bytes

    def __repr__(self) -> str:
        return f"SentMessage({self.number}, connection={self.connection}, shard={self.shard}, opcode={self.opcode})"

    @property
    def data(self) -> Any:
        """`d`, decoded; what cannot be decoded is given as its text."""
        try:
            return msgspec.json.decode(self.raw) if self.raw else None
        except DECODE_ERRORS:
            return self.raw.decode(errors="replace")


class SentLog:
    """Hand it every action of a server.

    Args:
        max_messages, max_bytes: the oldest go first.
    """

    def __init__(self, max_messages: int = MAX_MESSAGES, max_bytes: int = MAX_BYTES) -> None:
        self.count: int = 0
        """So many came in all."""
        self.by_connection: dict[int, Counter[int]] = {}
        """How many of each opcode came, of each connection that has sent something and not ended."""
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._bytes = 0
        self._messages: deque[SentMessage] = deque()
        self._shards: dict[int, ShardInfo] = {}

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def first(self) -> int:
        """The number of the oldest that is kept."""
        return self.count - len(self._messages) + 1

    def messages(
        self, *, opcode: int | None = None, shard: int | None = None, since: int = 0, limit: int | None = None
    ) -> list[SentMessage]:
        """Those with a number above `since`, oldest first: of this opcode, of connections of the shard with this id."""
        found: list[SentMessage] = []
        for message in self._after(since):
            if len(found) == limit:
                break
            is_of_shard = shard is None or (message.shard is not None and message.shard[0] == shard)
            if is_of_shard and opcode in (None, message.opcode):
                found.append(message)
        return found

    def _after(self, since: int) -> Iterator[SentMessage]:
        return (message for message in self._messages if message.number > since)

    def on_action(self, action: ServerAction) -> None:
        match action:
            case Received(connection_id=connection, opcode=opcode, raw=raw):
                self._keep(connection, opcode, raw)
            case (
                Identified(connection_id=connection, shard=shard)
                | SessionResumed(connection_id=connection, shard=shard)
            ):
                self._assign(connection, shard or UNSHARDED)
            case CloseSocket(connection_id=connection):
                self.by_connection.pop(connection, None)
                self._shards.pop(connection, None)

    def _keep(self, connection: int, opcode: int, raw: bytes) -> None:
        self.count += 1
        self.by_connection.setdefault(connection, Counter())[opcode] += 1
        shard = _named_shard(raw) if opcode == Opcode.IDENTIFY else self._shards.get(connection)
        self._messages.append(SentMessage(self.count, connection, shard, opcode, raw))
        self._bytes += len(raw)
        while len(self._messages) > self._max_messages or self._bytes > self._max_bytes:
            self._bytes -= len(self._messages.popleft().raw)

    def _assign(self, connection: int, shard: ShardInfo) -> None:
        """The connection's shard is known now; so is that of what it sent before."""
        self._shards[connection] = shard
        unknown = sum(self.by_connection.get(connection, Counter()).values())
        for message in reversed(self._messages):
            if unknown == 0:
                break
            if message.connection == connection:
                unknown -= 1
                message.shard = message.shard or shard


def _named_shard(raw: bytes) -> ShardInfo | None:
    """The shard that an IDENTIFY names, be it granted or not."""
    data = decode_object(raw) or {}
    shard: Any = data.get("shard")
    if shard is None:
        return UNSHARDED
    is_shard = isinstance(shard, list) and len(shard) == 2 and all(is_int(part) for part in shard)
    return (shard[0], shard[1]) if is_shard else None
