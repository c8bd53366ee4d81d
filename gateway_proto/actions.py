"""What a shard tells its driver: the closed union `ShardAction`.

Each action either *asks* the driver for something or *reports* what was done; its docstring says which. They are
frozen, compare by value and print without secrets. The order in a list is the order in which to act.
"""

from enum import Enum
from typing import Any, TypeAlias, TypeVar, overload

import msgspec
from msgspec import UNSET
from msgspec.structs import force_setattr

from .commands import InterMessage
from .errors import GatewayError
from .events.catalogue import DISPATCH_NAMES
from .events.decode import decode_event
from .events.fit import DECODE_ERRORS, DECODERS, fit
from .secret import Secret
from .stage import ConnectionStage

T = TypeVar("T")


class ReconnectType(Enum):
    """What the next connection does once it has its HELLO."""

    RESUME = "resume"
    """Take the held session up again: costs nothing, loses nothing."""
    REIDENTIFY = "reidentify"
    """Ask for a new session: costs one of the day's IDENTIFYs, loses what happened in between."""


class _Action(msgspec.Struct, frozen=True, gc=False):
    """A frozen value. `gc=False`: no action is ever part of a cycle, and thousands a second are made."""


class Connect(_Action, frozen=True, kw_only=True):
    """Asks: open a socket to host and port (TLS if `tls`), then say `connection_made` or `connection_failed`.

    `url` is the whole WebSocket URL, for an embedder whose framework does the upgrade. There is no need for a timer:
    a dial that takes too long is answered by `Disconnect`.
    """

    generation: int
    host: str
    port: int
    tls: bool
    url: Secret


class Disconnect(_Action, frozen=True, kw_only=True):
    """Asks: write `farewell`, read on to EOF for at most `grace` seconds, then abort; or cancel the dial.

    Nothing that this socket still yields matters; the next generation need not wait for it. `code` and `reason` are for
    an embedder whose framework frames the close itself.
    """

    generation: int
    farewell: bytes
    code: int
    reason: str
    grace: float

    def __repr__(self) -> str:
        return (
            f"Disconnect(generation={self.generation}, farewell=<{len(self.farewell)} bytes>, code={self.code}, "
            f"reason={self.reason!r}, grace={self.grace})"
        )


class IdentifyPermit(_Action, frozen=True, kw_only=True):
    """Not an action: the leave to spend one IDENTIFY, for the connection that asked. `id` is the giver's own."""

    generation: int
    id: int = 0


class IdentifyWanted(_Action, frozen=True, kw_only=True):
    """Asks: get a permit for an IDENTIFY and hand it to `Shard.identify`. Beats go on meanwhile."""

    generation: int
    shard: tuple[int, int] | None

    def permit(self, id: int = 0) -> IdentifyPermit:
        """The permit that answers this, for a program that needs no queue."""
        return IdentifyPermit(generation=self.generation, id=id)


class PermitUsed(_Action, frozen=True, kw_only=True):
    """Reports: the IDENTIFY of this permit is on its way, at `at`; the bucket's 5 s run from there."""

    permit: IdentifyPermit
    at: float


class PermitReturned(_Action, frozen=True, kw_only=True):
    """Reports: the permit was not used (it came too late, twice, or its connection died)."""

    permit: IdentifyPermit


class HeartbeatSent(_Action, frozen=True, kw_only=True):
    """Reports: a heartbeat was put on the wire at `at`, with the delivered sequence."""

    generation: int
    sequence: int | None
    at: float


class Reconnect(_Action, frozen=True, kw_only=True):
    """Reports: the connection is over, and why. The shard's own timer returns the next `Connect` in `after` seconds."""

    type: ReconnectType
    after: float
    cause: GatewayError


class _Memo(_Action, frozen=True, kw_only=True):
    """Room for what `Dispatch.data` decoded: (name, raw, data). It is no part of the value."""

    memo: Any = UNSET


class Dispatch(_Memo, frozen=True):
    """Reports: an event. `raw` is the JSON of `d`, as it came; it is decoded when somebody asks and not before.

    `epoch` names the session (it changes with every READY); hand both back to `Shard.delivered` once the event is
    taken. `replayed` is true for what came after a RESUME and before its RESUMED: an earlier process may have had it. A
    RESUMED that an earlier process got is itself replayed, and ends nothing.
    """

    epoch: int
    sequence: int
    name: str
    raw: msgspec.Raw
    replayed: bool = False

    @property
    def data(self) -> object:
        """The payload as the type of its event (`gateway_proto.events`), decoded on first use and kept.

        Narrow it by `isinstance` or `match`, or ask `get` for the one type that you want. An event that has no type
        gives plain Python objects; a GUILD_CREATE during an outage gives an `UnavailableGuild`.

        Raises:
            EventDecodeError: the payload is not what the type says. `raw` has it, the connection goes on.
        """
        memo = self.memo
        # A copy with another name or payload (`msgspec.structs.replace`) has the memo of the original.
        if memo is UNSET or memo[0] is not self.name or memo[1] is not self.raw:
            memo = (self.name, self.raw, decode_event(self.name, self.raw))
            force_setattr(self, "memo", memo)
        return memo[2]

    def get(self, type: type[T]) -> T | None:
        """The payload, if this is the event of that type (`MessageCreate`); None, and nothing decoded, if it is not.

        Raises:
            EventDecodeError: as for `data`.
        """
        if DISPATCH_NAMES.get(type) != self.name:
            return None
        data = self.data
        return data if isinstance(data, type) else None  # a GUILD_CREATE during an outage is none

    @overload
    def decode(self) -> Any: ...
    @overload
    def decode(self, type: type[T]) -> T: ...
    @overload
    def decode(self, type: Any) -> Any: ...
    def decode(self, type: Any = Any) -> Any:
        """`d` as plain Python objects, or as a type of yours: a msgspec Struct with just the fields you want.

        That is the fast way. `Snowflake` and the other types of `gateway_proto.events` can be fields of it. A field
        that may be UNSET is left so if it does not fit; any other that does not is an error.

        Raises:
            EventDecodeError: the payload is not of that type.
        """
        try:
            return DECODERS[type](self.raw)  # `decode_as` without the call, which would be a twentieth
        except DECODE_ERRORS:
            pass  # out of the handler first: an error raised in it would keep this one, and the message, alive
        return fit(self.name, self.raw, type)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dispatch) and self._value() == other._value()

    def __hash__(self) -> int:
        return hash(self._value())

    def _value(self) -> tuple[int, int, str, bytes, bool]:
        return (self.epoch, self.sequence, self.name, bytes(self.raw), self.replayed)

    def __repr__(self) -> str:
        return (
            f"Dispatch(epoch={self.epoch}, sequence={self.sequence}, name={self.name!r}, "
            f"raw=<{len(bytes(self.raw))} bytes>, replayed={self.replayed})"
        )

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        raw = f"<{len(bytes(self.raw))} bytes>"
        shown = {"epoch": self.epoch, "sequence": self.sequence, "name": self.name, "raw": raw}
        return [*shown.items(), ("replayed", self.replayed)]

    def __reduce__(self) -> tuple[Any, ...]:
        return (Dispatch, (self.epoch, self.sequence, self.name, self.raw, self.replayed))


class Unrecognized(_Action, frozen=True, kw_only=True):
    """Reports: a message whose opcode is not documented (or is an app's own), passed through as it came (F31)."""

    opcode: int
    sequence: int | None
    name: str | None
    raw: msgspec.Raw

    def __repr__(self) -> str:
        return (
            f"Unrecognized(opcode={self.opcode}, sequence={self.sequence}, name={self.name!r}, "
            f"raw=<{len(bytes(self.raw))} bytes>)"
        )


class StageChanged(_Action, frozen=True):
    """Reports: the stage moved."""

    old: ConnectionStage
    new: ConnectionStage


class GuildsSettled(_Action, frozen=True, kw_only=True):
    """Reports: every guild that READY announced has come, or 15 s passed without one; `missing` are the rest."""

    epoch: int
    missing: tuple[int, ...]


class DiscardCause(Enum):
    """Why a session was given up. There is no other way to lose one (F02)."""

    INVALID_SESSION = "op 9 false"
    CLOSE_CODE = "close code 4007 or 4009"
    LOGOUT = "closed by us with 1000"
    RESET = "reset was asked for"
    BRICKED = "no RESUME was answered"
    POISONED = "three broken streams at one sequence"
    MISMATCH = "the stored session does not match"
    REPLACED = "READY replaced it"


class SessionLost(_Action, frozen=True, kw_only=True):
    """Reports: the session is gone; events after `sequence` (the last received) will not come.

    `downtime` is how long nothing could be received, in seconds, up to now.
    """

    epoch: int
    sequence: int
    downtime: float
    cause: DiscardCause


class SequenceGap(_Action, frozen=True, kw_only=True):
    """Reports: Discord skipped numbers; the event that follows is `received`, `expected` would have been next."""

    epoch: int
    expected: int
    received: int


class CommandOutcome(Enum):
    """What became of a command. After `REQUEUED` one of the others is still to come."""

    WRITTEN = "written"
    """Framed for the current connection."""
    DROPPED = "dropped"
    REQUEUED = "requeued"
    """Still queued: the connection died first; it goes out with the next session, or is dropped."""


class CommandEnded(_Action, frozen=True, kw_only=True):
    """Reports: what became of a command that was handed to `send`."""

    command: InterMessage
    outcome: CommandOutcome
    reason: str = ""


class NoticeKind(Enum):
    """What a notice is about; a program may match on it, the text is for people."""

    ACK_MISSING = "ack missing"
    CLOCK_JUMP = "clock jump"
    DISPATCH_BEFORE_READY = "dispatch before READY"
    HEARTBEAT_LATE = "heartbeat late"
    HELLO_AGAIN = "HELLO again"
    INTERVAL_CLAMPED = "interval clamped"
    NO_SESSION = "no session"
    ODD_MESSAGE = "odd message"
    READY_SLOW = "READY slow"
    RESUMED_UNEXPECTED = "RESUMED unexpected"
    RESUME_URL_REFUSED = "resume URL refused"
    SESSION_REFUSED = "session refused"
    SHARD_MISMATCH = "shard mismatch"
    STREAM_BROKEN = "stream broken"


class Notice(_Action, frozen=True, kw_only=True):
    """Reports: something odd that was tolerated. `lag` is in seconds where lateness is the matter."""

    kind: NoticeKind
    detail: str
    cause: GatewayError | None = None
    lag: float | None = None


class Fatal(_Action, frozen=True, kw_only=True):
    """Reports: the shard has ended and will not dial again by itself; `cause` says what to change."""

    cause: GatewayError


ShardAction: TypeAlias = (
    Connect
    | Disconnect
    | IdentifyWanted
    | PermitUsed
    | PermitReturned
    | HeartbeatSent
    | Reconnect
    | Dispatch
    | Unrecognized
    | StageChanged
    | GuildsSettled
    | SessionLost
    | SequenceGap
    | CommandEnded
    | Notice
    | Fatal
)
"""Everything that an input of a `Shard` can return."""
