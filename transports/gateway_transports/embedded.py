"""The embedded gateway in a thread of its own, for tests that are plain code, asyncio or trio.

    with embedded_gateway(guilds=3) as gateway:
        ...start a bot on gateway.url (or gateway.api) with gateway.token...
        gateway.wait_for_identify()
        gateway.dispatch("MESSAGE_CREATE", {"content": "hello"})
        gateway.drop()
        gateway.wait_for(6)
        assert gateway.sent(6)[0]["d"]["seq"] == 2

It has its own event loop, so that nothing of it waits for the test, and the test may block. All methods may be called
from any thread. Those that wait have a twin to be awaited: `identified`, `resumed`, `received`.

What cannot be meant raises one line at once: LocalProtocolError (the class `Drop` in place of `Drop()`, a count of 0),
or InvalidConfigError for a value that is out of its range or of another type. Nothing has been done then.
"""

import contextlib
import difflib
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar, cast

import anyio
import anyio.from_thread
import anyio.to_thread
import msgspec

from gateway_proto import GatewayError, LocalProtocolError, Secret
from gateway_proto.errors import InvalidConfigError, require
from gateway_proto.server import (
    AskReconnect,
    Close,
    CloseSocket,
    Drop,
    Effect,
    Fault,
    Identified,
    InvalidSession,
    Received,
    Refuse,
    Release,
    Script,
    SendEvent,
    SentLog,
    ServerAction,
    ServerConfig,
    SessionResumed,
    ShardInfo,
    Stall,
    Target,
    ToAll,
    ToNext,
    ToShard,
    Wake,
)
from gateway_proto.server.checked import is_int, require_kind, require_type, told
from gateway_proto.server.reading import read_opcode

from .action_lines import named, summary
from .control import applied, play
from .errors import one_line
from .serve import Gateway, serve

TOKEN: Final = "embedded-gateway-token"
"""The only one that is right, unless a setting says otherwise."""
TIMEOUT: Final = 5.0
"""Seconds that a method waits unless told otherwise."""
MAX_JOURNAL: Final = 100_000
"""Actions that are kept; the oldest go first."""
A = TypeVar("A", Identified, SessionResumed)
T = TypeVar("T")
P = ParamSpec("P")


class GatewayEndedError(GatewayError):
    """The gateway's block was left; what came until then can still be asked for."""

    def __init__(self) -> None:
        super().__init__("the gateway has ended")


class NoTargetError(GatewayError):
    """What was to be done reached nobody."""


class WaitTimeoutError(GatewayError, TimeoutError):
    """What was waited for has not come in time. Says what came instead."""


class SessionState(NamedTuple):
    """A session as it stands. `connection` is None while nobody serves it; `id` is what a client may resume."""

    number: int
    id: Secret
    shard: ShardInfo
    sequence: int
    connection: int | None
    intents: int
    presence: dict[str, Any] | None


def gateway_config(
    *, guilds: int | Iterable[int] = (), token: str | Secret | None = TOKEN, **settings: Any
) -> ServerConfig:
    """The config of a gateway for tests: as `ServerConfig`, but one IDENTIFY need not wait for the one before.

    Args:
        guilds: what READY lists, as ids or as how many.
        token: None lets any token be right.
        settings: fields of `ServerConfig`.

    Raises:
        InvalidConfigError: one line that names the setting.
    """
    known = ServerConfig.__struct_fields__
    for name in settings:
        if name not in known:
            close = difflib.get_close_matches(name, ("guilds", *known), n=1)
            meant = f"; did you mean {close[0]}?" if close else ""
            raise InvalidConfigError(f"{name} is no setting of the gateway{meant}")
    require_type("token", token, str | Secret | None)
    require(token is None or bool(token), "token must not be empty; None lets any token be right")
    ids = _guild_ids(guilds)
    require(not ids or "guild_ids" not in settings, "guilds and guild_ids are the same setting: give one of them")
    fields = {
        "identify_period": 0.0,
        "token": None if token is None else Secret(token),
        **({"guild_ids": ids} if ids else {}),
        **settings,
    }
    return ServerConfig(**fields)


def _guild_ids(guilds: Any) -> tuple[int, ...]:
    if is_int(guilds):
        require(guilds >= 0, "guilds must be 0 or more, or their ids")
        # The upper bits of a snowflake say which shard owns it: these go round.
        return tuple((number + 1) << 22 for number in range(guilds))
    if not isinstance(guilds, Iterable) or isinstance(guilds, str | bytes):
        raise InvalidConfigError(f"guilds must be how many, or their ids, got {told(guilds)}")
    ids = tuple(guilds)
    require_type("guilds", ids, tuple[int, ...])
    return ids


@contextlib.contextmanager
def embedded_gateway(
    config: ServerConfig | None = None, *, script: Script | None = None, **settings: Any
) -> Iterator["EmbeddedGateway"]:
    """Run a gateway on the loopback for as long as the block runs; leaving it closes every socket and ends the thread.

    Args:
        config: instead of `settings`, which `gateway_config` documents.
        script: what goes wrong when.

    Raises:
        InvalidConfigError: a setting is wrong.
        ListenError: there is no port.
    """
    config, script = _settled(config, script, settings)
    record = _Record()
    raised: BaseException | None = None
    try:
        with anyio.from_thread.start_blocking_portal() as portal, contextlib.ExitStack() as stack:
            serving = serve(config, on_action=record.on_action)
            gateway = stack.enter_context(portal.wrap_async_context_manager(serving))
            stack.enter_context(portal.wrap_async_context_manager(play(gateway, script)))
            # Whoever still waits in another thread is told before the gateway goes.
            stack.callback(record.end)
            try:
                yield EmbeddedGateway(portal, gateway, record)
            except BaseException as error:
                # It does not go through task groups, which would wrap it, and unwrap a group of the test's own.
                raised = error
    finally:
        if raised is not None:
            raise raised


def _settled(config: Any, script: Any, settings: dict[str, Any]) -> tuple[ServerConfig, Script]:
    """The config, and the script that it is played by."""
    require_type("config", config, ServerConfig | None)
    require_type("script", script, Script | None)
    if config is None:
        config = gateway_config(**settings)
    elif settings:
        raise InvalidConfigError(f"{', '.join(settings)}: a config was given, which says it all; give one or the other")
    script = script or Script(())
    return applied(config, script), script


class EmbeddedGateway:
    """A gateway that runs in another thread; `embedded_gateway` makes it.

    What is aimed at sessions or connections takes a `shard` (its id); without one it befalls all. If that reaches
    nobody, it raises NoTargetError: a test that sends an event before its bot is there proves nothing.
    """

    def __init__(self, portal: anyio.from_thread.BlockingPortal, gateway: Gateway, record: "_Record") -> None:
        self._portal = portal
        self._gateway = gateway
        self._record = record

    def __repr__(self) -> str:
        return f"EmbeddedGateway({self.url!r})"

    # -- where it is ---------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Where a client connects to: ws://127.0.0.1:PORT."""
        return self._gateway.url

    @property
    def api(self) -> str:
        """The base under which GET /gateway and /gateway/bot are answered: http://127.0.0.1:PORT/api/v10."""
        return f"http{self.url.removeprefix('ws')}/api/v{self._gateway.server.config.api_version}"

    @property
    def token(self) -> str:
        """A token that is right."""
        token = self._gateway.server.config.token
        return TOKEN if token is None else token.reveal()

    # -- what it does --------------------------------------------------------------------------------------------

    def dispatch(self, name: str, data: Any = None, *, shard: int | None = None) -> int:
        """Send an event to the sessions of a shard, or to all; one that is away gets it with its RESUME.

        Args:
            data: its `d`: anything that JSON can say, or bytes that are JSON already.

        Returns how many sessions that were.
        """
        return self.carry_out(SendEvent(name, _json(name, data)), _target(shard))

    def drop(self, *, shard: int | None = None) -> int:
        """End the socket without a close frame, after what is queued was written."""
        return self.carry_out(Drop(flush=True), _target(shard))

    def close(self, code: int, reason: str = "", *, shard: int | None = None) -> int:
        """Close the connection with a code. 4007 and 4009 end the session."""
        require_type("reason", reason, str)
        return self.carry_out(Close(code, reason.encode()), _target(shard))

    def reconnect(self, *, shard: int | None = None) -> int:
        """Ask the client to reconnect (op 7)."""
        return self.carry_out(AskReconnect(), _target(shard))

    def invalidate(self, resumable: bool = False, *, shard: int | None = None) -> int:
        """Tell the client that its session is invalid (op 9)."""
        return self.carry_out(InvalidSession(resumable), _target(shard))

    def stall(self, seconds: float | None = None, *, shard: int | None = None) -> int:
        """Neither send nor read for so long, or until `release`: a half-open socket."""
        return self.carry_out(Stall(seconds), _target(shard))

    def release(self, *, shard: int | None = None) -> int:
        """End a `stall`."""
        return self.carry_out(Release(), _target(shard))

    def refuse(self, status: int, retry_after: float | None = None, *, count: int = 1) -> int:
        """Answer the next `count` upgrade requests with an HTTP status instead, and Retry-After in seconds."""
        return self.carry_out(Refuse(status, retry_after), ToNext(count))

    def inject(self, fault: Fault, target: Target) -> int:
        """Let any fault of `gateway_proto.server` strike any target."""
        require_kind(fault, Fault, "a fault", LocalProtocolError)
        return self.carry_out(fault, target)

    def carry_out(self, effect: Effect, target: Target) -> int:
        """Send an event, or let a fault strike; returns how many sessions or connections that reached.

        Raises:
            NoTargetError: none.
            LocalProtocolError: it is no effect, or no target.
            GatewayEndedError: the gateway's block was left.
        """
        reached = self._call(self._gateway.carry_out, effect, target)
        if reached == 0:
            name = effect.name if isinstance(effect, SendEvent) else type(effect).__name__
            raise NoTargetError(f"{name} reached nobody of {target}; so far: {self._record.told()}")
        return reached

    # -- what came -----------------------------------------------------------------------------------------------

    def sent(self, opcode: int | str | None = None, *, shard: int | None = None) -> list[dict[str, Any]]:
        """The payloads that clients sent so far, `{"op": …, "d": …}` each: of this opcode (or its name), of this shard.

        Token and session id of IDENTIFY and RESUME read `***`. The last 10,000 are kept.
        """
        _target(shard)
        return self._record.sent(None if opcode is None else read_opcode(opcode), shard)

    @property
    def sessions(self) -> list[SessionState]:
        """The sessions that can be resumed or are served."""
        return self._call(self._sessions)

    @property
    def journal(self) -> list[ServerAction]:
        """What happened so far, as the server's reports."""
        return self._record.reports()

    def _call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it in the gateway's thread."""
        if self._record.has_ended:
            raise GatewayEndedError
        try:
            return self._portal.call(lambda: function(*args, **kwargs))
        except RuntimeError:
            if self._record.has_ended:  # meanwhile
                raise GatewayEndedError from None
            raise

    def _sessions(self) -> list[SessionState]:
        return [
            SessionState(
                session.number,
                session.id,
                session.shard or (0, 1),
                session.sequence,
                session.connection_id,
                session.intents,
                session.presence,
            )
            for session in self._gateway.server.sessions.values()
        ]

    # -- waiting -------------------------------------------------------------------------------------------------

    def wait_for_identify(self, timeout: float = TIMEOUT, *, count: int = 1) -> Identified:
        """Wait until the `count`th IDENTIFY, from the start, was granted; READY is on its way then.

        Raises:
            WaitTimeoutError: with what came instead. So do all that wait.
        """
        return self._wait(self._granted(Identified, count), timeout, "identified()")

    def wait_for_resume(self, timeout: float = TIMEOUT, *, count: int = 1) -> SessionResumed:
        """Wait until the `count`th RESUME, from the start, was granted."""
        return self._wait(self._granted(SessionResumed, count), timeout, "resumed()")

    def wait_for(self, opcode: int | str, count: int = 1, timeout: float = TIMEOUT) -> list[dict[str, Any]]:
        """Wait until clients have sent `count` payloads of this opcode, from the start; returns all such payloads.

        Args:
            opcode: also by its name, like "resume".
        """
        return self._wait(self._payloads(opcode, count), timeout, "received()")

    async def identified(self, timeout: float = TIMEOUT, *, count: int = 1) -> Identified:
        """`wait_for_identify`, to be awaited in asyncio or trio."""
        return await self._record.await_(self._granted(Identified, count), timeout)

    async def resumed(self, timeout: float = TIMEOUT, *, count: int = 1) -> SessionResumed:
        """`wait_for_resume`, to be awaited."""
        return await self._record.await_(self._granted(SessionResumed, count), timeout)

    async def received(self, opcode: int | str, count: int = 1, timeout: float = TIMEOUT) -> list[dict[str, Any]]:
        """`wait_for`, to be awaited."""
        return await self._record.await_(self._payloads(opcode, count), timeout)

    def _wait(self, awaited: "_Awaited[T]", timeout: float, twin: str) -> T:
        """Wait in this thread. In vain, whoever holds up an event loop by it is told of the twin."""
        advice = f"; you are in an event loop: await {twin}" if _is_in_event_loop() else ""
        return self._record.wait(awaited, timeout, advice=advice)

    def _granted(self, kind: type[A], count: int) -> "_Awaited[A]":
        _check_count(count)

        def granted() -> list[A]:
            return self._record.granted(kind)

        name = "IDENTIFY" if kind is Identified else "RESUME"
        return _Awaited(f"{name} that is granted", count, lambda: len(granted()), lambda: granted()[count - 1])

    def _payloads(self, opcode: int | str, count: int) -> "_Awaited[list[dict[str, Any]]]":
        _check_count(count)
        opcode = read_opcode(opcode)
        return _Awaited(
            f"payload of op {opcode} ({named(opcode)})",
            count,
            lambda: self._record.count(opcode),
            lambda: self.sent(opcode),
        )


class _Awaited(NamedTuple, Generic[T]):
    """So many of something, and what is returned once they are there."""

    what: str
    wanted: int
    came: Callable[[], int]
    result: Callable[[], T]


class _Record:
    """What happened, told by the gateway's thread and asked for by others."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._log = SentLog()
        self._counts: dict[int, int] = {}
        self._reports: deque[ServerAction] = deque(maxlen=MAX_JOURNAL)
        self._granted: list[Identified | SessionResumed] = []
        self.has_ended: bool = False

    def on_action(self, action: ServerAction) -> None:
        with self._changed:
            self._log.on_action(action)
            if isinstance(action, Wake | CloseSocket):
                return
            if isinstance(action, Received):
                self._counts[action.opcode] = self._counts.get(action.opcode, 0) + 1
            elif isinstance(action, Identified | SessionResumed):
                self._granted.append(action)
            self._reports.append(action)
            self._changed.notify_all()

    def end(self) -> None:
        """Nothing more will happen."""
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def reports(self) -> list[ServerAction]:
        with self._changed:
            return list(self._reports)

    def told(self) -> str:
        return summary(self.reports())

    def count(self, opcode: int) -> int:
        return self._counts.get(opcode, 0)

    def granted(self, kind: type[A]) -> list[A]:
        return [action for action in self._granted if isinstance(action, kind)]

    def sent(self, opcode: int | None, shard: int | None) -> list[dict[str, Any]]:
        with self._changed:
            messages = self._log.messages(opcode=opcode, shard=shard)
            return [{"op": message.opcode, "d": message.data} for message in messages]

    def wait(self, awaited: _Awaited[T], timeout: float, given_up: Collection[object] = (), *, advice: str = "") -> T:
        """Wait until that is there. `given_up` becomes non-empty when nobody wants it any more.

        The advice is for who waited in vain.
        """
        _check_timeout(timeout)

        def is_there() -> bool:
            return awaited.came() >= awaited.wanted

        with self._changed:
            self._changed.wait_for(lambda: self.has_ended or given_up or is_there(), timeout)
            if is_there():
                return awaited.result()
            until = "until the gateway ended" if self.has_ended else f"within {timeout:g} s"
            raise WaitTimeoutError(
                f"{awaited.what}: {awaited.wanted} awaited, {awaited.came()} came {until}; so far: {self.told()}"
                f"{'' if self.has_ended else advice}"
            )

    async def await_(self, awaited: _Awaited[T], timeout: float) -> T:
        """`wait` in a thread of its own; a cancellation ends that at once."""
        given_up: list[bool] = []
        try:
            return await anyio.to_thread.run_sync(
                lambda: self.wait(awaited, timeout, given_up),
                abandon_on_cancel=True,
                limiter=anyio.CapacityLimiter(1),  # waits are no load: none must wait for another to end
            )
        finally:
            with self._changed:
                given_up.append(True)
                self._changed.notify_all()


def _target(shard: int | None) -> Target:
    if shard is None:
        return ToAll()
    if not is_int(shard):
        raise LocalProtocolError(f"shard must be the id of a shard, got {told(shard)}")
    return ToShard(shard)


def _json(name: str, data: Any) -> bytes:
    if isinstance(data, bytes):
        return data
    try:
        return msgspec.json.encode(data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LocalProtocolError(f"the data of {name} cannot be written as JSON: {one_line(error)}") from None


def _check_count(count: object) -> None:
    if not is_int(count) or count < 1:
        raise LocalProtocolError("count must be an integer from 1: what has come from the start is counted")


def _check_timeout(timeout: object) -> None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 <= cast(float, timeout) <= threading.TIMEOUT_MAX:
        raise LocalProtocolError("timeout must be seconds from 0 on")


def _is_in_event_loop() -> bool:
    try:
        anyio.current_time()
    except RuntimeError:
        return False
    return True
