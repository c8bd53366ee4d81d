"""Why a connection, a session or a shard came to its end.

A `GatewayError` is a value: an action carries it as its `cause`, nothing raises it out of a running shard. Each
compares by type and fields, so that two runs of the same inputs give equal actions. `LocalProtocolError` is the
one thing that is raised: the *caller* asked for what cannot be; nothing has changed then.

`BuildingUrlError` and `InvalidConfigError` are raised too, but only while something is being made.
"""

from typing import Self

from .close_codes import CloseCode


class LocalProtocolError(Exception):
    """The caller's mistake: a command that Discord would answer by closing, an unknown sequence. Nothing changed."""


class GatewayError(Exception):
    """The base of every cause. `str()` is one readable line without secrets."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.args == self.args and vars(other) == vars(self)

    def __hash__(self) -> int:
        return hash((type(self), self.args))

    def as_value(self) -> Self:
        """Itself, once raised, without what it was raised in: that would keep a message alive, and its secrets.

        An action must hold it so: actions are not looked at by the garbage collector, which would never find a cycle
        through one and a traceback.
        """
        _forget_context(self)
        return self.with_traceback(None)

    def __reduce__(self) -> tuple[object, ...]:
        # An exception is otherwise copied by a call of its class with the line of text, which most here do not take.
        return (_rebuild, (type(self), self.args, vars(self)))


def _forget_context(error: GatewayError) -> None:
    # Type checkers would take an assignment to `self.__context__` for a declaration of it.
    error.__context__ = None


def _rebuild(kind: type[GatewayError], args: tuple[object, ...], fields: dict[str, object]) -> GatewayError:
    error = kind.__new__(kind, *args)
    vars(error).update(fields)
    return error


class InvalidConfigError(GatewayError):
    """A shard was to be made from settings that Discord would refuse."""


def require(holds: bool, rule: str) -> None:
    """Raises InvalidConfigError with the rule, unless it holds."""
    if not holds:
        raise InvalidConfigError(rule)


class BuildingUrlError(GatewayError):
    """The gateway's URL cannot be dialled: not ws(s), no host, a port that is none."""


class EventDecodeError(GatewayError):
    """The payload of an event is not what its type says. The connection knows nothing of it: `event.raw` has the JSON.

    `path` says where, `$.author.id`; `detail` says what is wrong there, without the value.
    """

    def __init__(self, name: str, path: str, detail: str) -> None:
        self.name = name
        self.path = path
        self.detail = detail
        super().__init__(f"the payload of {name} does not fit at {path}: {detail}")


class ClosedError(GatewayError):
    """The connection is closed. `code` is None when the socket ended without a close frame."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        self.code = code
        self.reason = reason
        super().__init__(self._line())

    def _line(self) -> str:
        if self.code is None:
            return "the connection ended without a close frame" + _because(self.reason)
        return f"the gateway closed the connection with {self.code}" + _because(self.reason)


class InvalidOpcodeError(ClosedError):
    """4001: a payload with an opcode that Discord does not know was sent."""


class NotAuthenticatedError(ClosedError):
    """4003: a payload was sent before IDENTIFY."""


class FatalClosedError(ClosedError):
    """The base of the codes after which no reconnect helps. `advice` says what to change."""

    advice = ""

    def _line(self) -> str:
        return f"{super()._line()}: {self.advice}"


class InvalidAuthenticationError(FatalClosedError):
    """4004: the token is wrong."""

    advice = "the token is not valid; copy a fresh one from the developer portal"


class ShardCountError(FatalClosedError):
    """The base of 4010 and 4011; `recommended` is the shard count that /gateway/bot named, if it was asked."""

    def __init__(self, code: int | None = None, reason: str = "", recommended: int | None = None) -> None:
        self.recommended = recommended
        super().__init__(code, reason)

    def _line(self) -> str:
        count = (
            f"Discord recommends {self.recommended} shards"
            if self.recommended
            else "ask GET /gateway/bot for the recommended shard count"
        )
        return f"{super()._line()}; {count}"


class InvalidShardDataError(ShardCountError):
    """4010: the shard id or count in IDENTIFY is wrong."""

    advice = "the shard must be (id, total) with 0 <= id < total"


class OverloadedShardError(ShardCountError):
    """4011: the shard would have to handle too many guilds."""

    advice = "the bot is in more than 2,500 guilds a shard and must use more shards"


class InvalidApiVersionError(FatalClosedError):
    """4012: the API version in the URL is none."""

    advice = "set api_version to one that Discord still serves"


class InvalidIntentsError(FatalClosedError):
    """4013: the intents in IDENTIFY are no valid bits."""

    advice = "take out the bits that are no gateway intents"


class DisallowedIntentsError(FatalClosedError):
    """4014: an intent that the application may not use."""

    advice = "switch the privileged intents on in the developer portal, or leave them out"


class ConnectError(GatewayError):
    """A dial failed before the socket was open; the text is the transport's."""


class DialTimeoutError(GatewayError):
    """From the name to the upgraded socket took longer than allowed."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no upgraded socket within {seconds:g} s")


class InvalidHandshakeError(GatewayError):
    """The upgrade was refused or was not HTTP. `retry_after` is in seconds."""

    def __init__(self, detail: str, status: int | None = None, retry_after: float | None = None) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(detail)


class ExpectedHelloError(GatewayError):
    """HELLO came too late, or something other than ops 7, 9 and 10 came first."""


class HeartbeatFailedError(GatewayError):
    """No sign of life: a zombie connection."""


class ResumeTimeoutError(GatewayError):
    """RESUME was answered by neither RESUMED nor any dispatch for too long."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"RESUME unanswered for {seconds:g} s")


class ReconnectRequestedError(GatewayError):
    """Discord asked for a reconnect (op 7)."""

    def __init__(self) -> None:
        super().__init__("the gateway asked for a reconnect (op 7)")


class InvalidSessionError(GatewayError):
    """Discord refused the session (op 9)."""

    def __init__(self, resumable: bool) -> None:
        self.resumable = resumable
        super().__init__(f"the gateway called the session invalid (op 9, resumable: {str(resumable).lower()})")


class NoSessionIdError(GatewayError):
    """A RESUME was asked for and there is no session."""

    def __init__(self) -> None:
        super().__init__("there is no session to resume")


class ReconnectFailureError(GatewayError):
    """The allowed number of reconnects was used up without a session."""

    def __init__(self, tries: int) -> None:
        self.tries = tries
        super().__init__(f"gave up after {tries} reconnects in a row")


class SnapshotMismatchError(GatewayError):
    """A stored session belongs to other settings, or is not readable."""


class RequestedError(GatewayError):
    """The caller asked for it: reconnect, resume, reset or close."""


class BrokenStreamError(GatewayError):
    """The base of what makes the rest of a connection's bytes meaningless."""


class MalformedFrameError(BrokenStreamError):
    """The peer broke RFC 6455."""


class DecompressionError(BrokenStreamError):
    """The compressed stream is broken, or ended."""


class UndecodableMessageError(BrokenStreamError):
    """A whole message whose op, s and t cannot be read by any decoder here."""


class BoundExceededError(BrokenStreamError):
    """The base of the size limits. `setting` names the limit to raise, `limit` is in bytes."""

    what = "a message"
    setting = ""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"{self.what} exceeds {limit} bytes; raise Limits.{self.setting} if it is legitimate")


class MessageTooLargeError(BoundExceededError):
    """A message on the wire, by its declared length. With transport compression it has a setting of its own."""

    what = "a message on the wire"
    setting: str = "max_message"

    def __init__(self, limit: int, *, compressed: bool = False) -> None:
        if compressed:
            self.setting = "max_compressed_message"
        super().__init__(limit)


class InflatedTooLargeError(BoundExceededError):
    """A message after inflating."""

    what = "an inflated message"
    setting = "max_inflated"


class WindowTooLargeError(BoundExceededError):
    """A zstd frame that wants a larger window."""

    what = "the zstd window"
    setting = "max_zstd_window"


_CLOSED = {
    CloseCode.UNKNOWN_OPCODE: InvalidOpcodeError,
    CloseCode.NOT_AUTHENTICATED: NotAuthenticatedError,
    CloseCode.AUTHENTICATION_FAILED: InvalidAuthenticationError,
    CloseCode.INVALID_API_VERSION: InvalidApiVersionError,
    CloseCode.INVALID_INTENTS: InvalidIntentsError,
    CloseCode.DISALLOWED_INTENTS: DisallowedIntentsError,
}
_SHARD_COUNT = {
    CloseCode.INVALID_SHARD: InvalidShardDataError,
    CloseCode.SHARDING_REQUIRED: OverloadedShardError,
}


def closed_error(code: int | None, reason: str = "", recommended: int | None = None) -> ClosedError:
    """The error for a close code: its own class where the code has one, `ClosedError` otherwise."""
    if code in _SHARD_COUNT:
        return _SHARD_COUNT[CloseCode(code)](code, reason, recommended)
    if code in _CLOSED:
        return _CLOSED[CloseCode(code)](code, reason)
    return ClosedError(code, reason)


def _because(reason: str) -> str:
    # The reason is the peer's text: one line of it, shortened, is enough for a log.
    line = " ".join(reason.split())
    return f" ({line[:123]})" if line else ""
