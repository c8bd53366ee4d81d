"""What a server's connection tells its driver: the closed union `ServerAction`.

`Wake` and `CloseSocket` ask for something, all the others report what happened, for a journal or a test. They are
frozen, compare by value and print without secrets. The order in a list is the order in which to act.
"""

from enum import Enum
from typing import Any, Final, Literal, TypeAlias

import msgspec

from ..secret import Secret
from .faults import Fault

ShardInfo: TypeAlias = tuple[int, int]
"""(id, total)."""
UNSHARDED: Final[ShardInfo] = (0, 1)
"""What a session without a shard amounts to."""


class _Action(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value."""


class Wake(_Action, frozen=True):
    """Asks: wake the driver of this connection: `handle_timeout` if `next_timeout()` is due, then `data_to_send`.

    Dispatches, faults and the inputs of other connections reach a connection only so.
    """

    connection_id: int


class CloseSocket(_Action, frozen=True):
    """Asks: end the socket of the connection whose input returned this.

    Without `abort`, write `data_to_send` first, for at most `grace` seconds, then close; with it, reset at once.
    """

    connection_id: int
    abort: bool
    grace: float


class ConnectionRefused(_Action, frozen=True):
    """Reports: a socket was turned away by the listener, which serves `limit` at one time; it has no number.

    `answered`: with HTTP 503. Otherwise it was closed at once: too many others were being answered, or it would have
    taken a TLS handshake.
    """

    limit: int
    answered: bool


class Upgraded(_Action, frozen=True):
    """Reports: the socket is a WebSocket now. `compress` is the URL's, None for no transport compression."""

    connection_id: int
    compress: str | None


class HttpAnswered(_Action, frozen=True):
    """Reports: a plain HTTP answer, to a route or a refused upgrade. Method and path are "" for what was no HTTP."""

    connection_id: int
    method: str
    path: str
    status: int


class Received(_Action, frozen=True):
    """Reports: a payload of the client. `raw` is the JSON of `d`; of IDENTIFY and RESUME with `***` for each secret."""

    connection_id: int
    opcode: int
    raw: bytes

    def __repr__(self) -> str:
        return f"Received(connection_id={self.connection_id}, opcode={self.opcode}, raw=<{len(self.raw)} bytes>)"


class Identified(_Action, frozen=True):
    """Reports: IDENTIFY made a session, the `number`th of this server, and READY is queued."""

    connection_id: int
    session_id: Secret
    number: int
    shard: ShardInfo | None
    intents: int
    presence: dict[str, Any] | None
    properties: dict[str, Any]
    compress: bool
    large_threshold: int | None


class SessionResumed(_Action, frozen=True):
    """Reports: RESUME from `sequence` was granted; `replayed` messages and RESUMED, of sequence `last`, are queued."""

    connection_id: int
    session_id: Secret
    number: int
    shard: ShardInfo | None
    sequence: int
    replayed: int
    last: int


class SessionRefused(_Action, frozen=True):
    """Reports: IDENTIFY (op 2) or RESUME (op 6) was refused, with a close code or, for None, with op 9 false."""

    connection_id: int
    opcode: int
    code: int | None
    reason: str


class RequestUnanswered(_Action, frozen=True):
    """Reports: a request was valid, but Discord would say nothing to it, and nor does the server."""

    connection_id: int | None
    opcode: int
    reason: str


class SessionEnd(Enum):
    """Why a session can be resumed no more."""

    LOGOUT = "the client closed with 1000 or 1001"
    EXPIRED = "its lifetime without a connection is over"
    CLOSED = "the server closed with 4007 or 4009"
    INVALID = "the server sent op 9 false"


class SessionEnded(_Action, frozen=True):
    """Reports: a session is gone; `sequence` was its last."""

    session_id: Secret
    number: int
    shard: ShardInfo | None
    sequence: int
    cause: SessionEnd


class ConnectionClosed(_Action, frozen=True):
    """Reports: a WebSocket is over, and who said so first. `code` is None where no close frame was.

    `number` and `sequence` are those of the session that it served, the last number sent; None where it served none.
    """

    connection_id: int
    code: int | None
    reason: str
    by: Literal["server", "client"]
    session_id: Secret | None
    number: int | None
    sequence: int | None


class FaultFired(_Action, frozen=True):
    """Reports: a fault took hold, at once or when what it waits for came. A session without a connection has no id."""

    connection_id: int | None
    fault: Fault


ServerAction: TypeAlias = (
    Wake
    | CloseSocket
    | ConnectionRefused
    | Upgraded
    | HttpAnswered
    | Received
    | Identified
    | SessionResumed
    | SessionRefused
    | RequestUnanswered
    | SessionEnded
    | ConnectionClosed
    | FaultFired
)
"""Everything that a `Server`, a `ServerConnection` or what drives them can report or ask for."""
