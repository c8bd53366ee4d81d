"""One accepted socket, from its HTTP request to its end.

The socket's life is `ConnectionState`; the gateway's conversation on it is `Dialogue`. Everything a connection has to
say comes out of its own inputs: what others do to it (a dispatch, a fault, a RESUME elsewhere) is kept until its
driver, woken by `Wake`, calls `handle_timeout` and `data_to_send`.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final, Literal

from ..close_codes import (
    GOING_AWAY,
    NORMAL_CLOSURE,
    RESUMABLE_CLOSURE,
    SESSION_ENDING_CLOSE_CODES,
    CloseCode,
)
from ..websocket import FrameOpcode, encode_frame
from ..websocket.frames import MAX_CONTROL_PAYLOAD
from .actions import CloseSocket, ConnectionClosed, FaultFired, HttpAnswered, ServerAction, SessionEnd, Upgraded
from .config import ServerConfig
from .deflate import Plain, ZlibPayload, make_deflater
from .dialogue import RECONNECT, REQUEST_HEARTBEAT, Dialogue
from .faults import (
    AskReconnect,
    Chunk,
    Close,
    Corrupt,
    DispatchFault,
    Drop,
    Fault,
    Fragment,
    Garbage,
    InvalidSession,
    LoseAcks,
    NoAnswer,
    NoHello,
    Refuse,
    Release,
    RequestHeartbeat,
    SendText,
    SplitMessages,
    Stall,
)
from .http import (
    NO_REQUEST,
    HttpExchange,
    HttpRequest,
    HttpResponse,
    Upgrade,
    is_upgrade,
    refuse,
    request_timed_out,
    route,
)
from .outbox import PORTION, Outbox
from .population import Population
from .reader import CloseEvent, FrameReader, PayloadEvent, PingEvent, ReaderEvent, Violation
from .registry import Registry
from .session import ServerSession


class ConnectionState(Enum):
    """Where a socket's life stands; it only moves down."""

    REQUEST = "the HTTP request is awaited"
    OPEN = "a WebSocket"
    CLOSING = "our close frame is queued, the client's is awaited"
    ENDED = "CloseSocket was said"


_WebSocketFault = Close | AskReconnect | InvalidSession | RequestHeartbeat | SendText
"""What waits for the upgrade."""
MAX_FRAMES: Final = 500
"""Of a client's, read in one input: about 20 ms. A read of 64 KiB can be ten thousand PINGs, and others wait."""
_LOGOUT: Final = (NORMAL_CLOSURE, GOING_AWAY)


class ServerConnection:
    """The server's end of one socket; `Server.accept` makes it.

    Inputs: `receive_data`, `receive_eof`, `handle_timeout`. Drain: `data_to_send`. Getters: `next_timeout`, `id`,
    `session`, `is_stalled`, `has_ended`, `unsent`, `has_backlog`. After each input do the actions in order, then send
    `data_to_send(now)`. Call `data_to_send` only when the last bytes are written: what is undrained measures a client
    that does not read, and guilds are made, and replays framed, only as they are taken.
    """

    def __init__(
        self,
        id: int,
        config: ServerConfig,
        registry: Registry,
        population: Population | None,
        faults: Iterable[Fault],
        forget: Callable[[int], object],
        now: float,
    ) -> None:
        self._id = id
        self._config = config
        self._limits = config.limits
        self._registry = registry
        self._forget = forget
        self._state = ConnectionState.REQUEST
        self._actions: list[ServerAction] = []
        self._inbox = bytearray()
        self._outbox = Outbox()
        # While the request is awaited; an idle connection would hold 1.2 KiB of it for nothing.
        self._exchange: HttpExchange | None = HttpExchange(self._limits.max_request, self._limits.max_body)
        self._reader = FrameReader(self._limits.max_payload)
        self._dialogue = Dialogue(self, config, registry, population)
        # Of REQUEST and CLOSING; not judged during a stall.
        self._deadline: float | None = now + self._limits.request_timeout
        self._last_now = now
        self._stalled = False
        self._stalled_until: float | None = None
        # Actions or bytes are left over since then.
        self._work_at: float | None = None
        # Frames are among what is left over.
        self._is_busy = False
        self._says_hello = True
        self._instead: Refuse | Garbage | None = None
        self._waiting: list[Fault] = []
        for fault in faults:
            self.strike(fault, now)

    # -- getters -------------------------------------------------------------------------------------------------

    @property
    def id(self) -> int:
        """1, 2, … in the order of `accept`."""
        return self._id

    @property
    def session(self) -> ServerSession | None:
        """The session that it serves."""
        return self._dialogue.session

    @property
    def is_stalled(self) -> bool:
        """A `Stall` is on. A driver may stop reading meanwhile; what it reads is held, up to a bound."""
        return self._stalled

    @property
    def is_open(self) -> bool:
        """It is a WebSocket, and not closing."""
        return self._state is ConnectionState.OPEN

    @property
    def is_busy(self) -> bool:
        """More frames have come than one input reads: `handle_timeout` is due. A driver reads no more meanwhile."""
        return self._is_busy

    @property
    def has_ended(self) -> bool:
        """`CloseSocket` was said, or is about to be."""
        return self._state is ConnectionState.ENDED

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted, or None. May be the last `now` (work is left over), never before it."""
        due = [self._work_at, self._stalled_until]
        if not self._stalled:
            due += [self._deadline, self._silent_at()]
        waiting = [at for at in due if at is not None]
        return max(min(waiting), self._last_now) if waiting else None

    # -- inputs --------------------------------------------------------------------------------------------------

    def receive_data(self, data: bytes, now: float) -> list[ServerAction]:
        """Bytes of the client, in any chunking."""
        self._last_now = max(self._last_now, now)
        if self._state is not ConnectionState.ENDED:
            self._inbox += data
            if not self._stalled:
                self._read(now)
            elif len(self._inbox) > self._limits.max_held:
                self._drop("more came in during a stall than is held", now)
            self._check_unsent(now)
        return self._take_actions()

    def receive_eof(self, now: float) -> list[ServerAction]:
        """The client's end of the stream, or a reset."""
        self._last_now = max(self._last_now, now)
        if self._state is ConnectionState.OPEN:
            self._left(None, "", "client", now)
        self._finish(abort=True)
        return self._take_actions()

    def handle_timeout(self, now: float) -> list[ServerAction]:
        """Call at or after `next_timeout()`; earlier is no harm."""
        self._last_now = max(self._last_now, now)
        if self._stalled_until is not None and now >= self._stalled_until:
            self._release(now)
        if self._is_busy and not self._stalled:
            self._read(now)
        silent_at = self._silent_at()
        if self._stalled:
            pass
        elif self._deadline is not None and now >= self._deadline:
            if self._exchange is not None:
                self._answer(self._exchange, NO_REQUEST, request_timed_out())
            else:
                self._finish(abort=True)
        elif silent_at is not None and now >= silent_at:
            self.close(CloseCode.UNKNOWN_ERROR, b"no heartbeat came in time", now)
        return self._take_actions()

    def data_to_send(self, now: float) -> bytes:
        """Take the bytes to write."""
        self._last_now = max(self._last_now, now)
        if self._stalled:
            return b""
        self._make_backlog(now)
        data = self._outbox.take()
        if self._outbox or self.has_backlog:
            self._work_at = now
        return data

    @property
    def unsent(self) -> int:
        """Bytes that are queued and not drained yet, before compression. What is replayed the session holds anyway."""
        return self._outbox.unsent

    @property
    def has_backlog(self) -> bool:
        """Its session is still to be sent guilds, or parts of an answer, which are made when there is room."""
        return self._dialogue.session is not None and bool(self._dialogue.session.backlog)

    def _make_backlog(self, now: float) -> None:
        """Make what the session is still to be sent, as much as goes out next. A fault on the way may end it all."""
        while self._outbox.unsent < PORTION and self.has_backlog and not self._stalled:
            self._dialogue.next_of_backlog(now)

    def _silent_at(self) -> float | None:
        return self._dialogue.silent_at() if self._state is ConnectionState.OPEN else None

    def _take_actions(self) -> list[ServerAction]:
        self._work_at = self._last_now if self._is_busy and not self._stalled else None
        actions, self._actions = self._actions, []
        return actions

    # -- what others do to it: True says that the driver must be woken ---------------------------------------------

    def deliver(self, payload: bytes, now: float) -> bool:
        """Queue a dispatch of the session."""
        # Told at the first of many: the driver drains them all.
        wake = not self._outbox
        self.send(payload)
        return self._check_unsent(now) or wake

    def deliver_all(self, payloads: Sequence[bytes], now: float) -> bool:
        """Queue dispatches of the session."""
        wake = not self._outbox
        self._outbox.extend(payloads)
        return self._check_unsent(now) or wake

    def supersede(self, now: float) -> None:
        """The session was resumed on another connection."""
        if self._stalled:
            self._drop("the session was resumed elsewhere", now)
        else:
            self.close(RESUMABLE_CLOSURE, b"the session was resumed elsewhere", now)
        self._work_at = now

    def strike(self, fault: Fault, now: float) -> bool:
        """Suffer a fault, at once or when what it waits for comes. Of no effect once the connection is closing."""
        is_closing = self._state is ConnectionState.CLOSING and not isinstance(fault, Release)
        if is_closing or self._state is ConnectionState.ENDED:
            return False
        if self._state is ConnectionState.REQUEST and isinstance(fault, _WebSocketFault):
            self._waiting.append(fault)
        elif isinstance(fault, DispatchFault):
            self._dialogue.arm(fault)
        elif isinstance(fault, Refuse | Garbage) and self._state is ConnectionState.REQUEST:
            self._instead = fault
        elif not isinstance(fault, Refuse):
            self.report(FaultFired(connection_id=self._id, fault=fault))
            self._suffer(fault, now)
            self._work_at = now
        return True

    # -- the dialogue's wire -------------------------------------------------------------------------------------

    def report(self, action: ServerAction) -> None:
        self._actions.append(action)

    def send(self, payload: bytes) -> None:
        self._outbox.message(payload)

    def replay(self, payloads: list[bytes]) -> None:
        self._outbox.replay(payloads)

    def compress_payloads(self) -> None:
        if isinstance(self._outbox.deflater, Plain):
            self._outbox.change_deflater(ZlibPayload(self._config.zlib_level, self._config.payload_threshold))

    def close(self, code: int, reason: bytes, now: float) -> None:
        payload = code.to_bytes(2) + reason[: MAX_CONTROL_PAYLOAD - 2]
        self._outbox.raw(encode_frame(FrameOpcode.CLOSE, payload))
        self._left(code, reason.decode(errors="replace"), "server", now)
        self._state = ConnectionState.CLOSING
        self._deadline = now + self._limits.close_grace

    # -- reading -------------------------------------------------------------------------------------------------

    def _read(self, now: float) -> None:
        if self._exchange is not None:
            self._read_request(self._exchange, now)
        self._is_busy = False
        for _ in range(MAX_FRAMES):
            if self._state not in (ConnectionState.OPEN, ConnectionState.CLOSING) or self._stalled:
                return
            event = self._reader.next_event(self._inbox)
            if event is None:
                return
            self._on_event(event, now)
        self._is_busy = bool(self._inbox)

    def _read_request(self, exchange: HttpExchange, now: float) -> None:
        request = exchange.next_request(self._inbox)
        if request is None:
            if exchange.wants_continue:
                self._outbox.raw(exchange.go_on())
            return
        if isinstance(request, HttpRequest) and is_upgrade(request):
            for fault in self._registry.plan.on_upgrade():
                self.strike(fault, now)
            if self.has_ended:
                return
        instead, self._instead = self._instead, None
        if instead is not None:
            self.report(FaultFired(connection_id=self._id, fault=instead))
        if isinstance(instead, Garbage):
            self._outbox.raw(instead.data)
            self._finish(abort=False)
        elif isinstance(request, HttpResponse):
            self._answer(exchange, NO_REQUEST, refuse(instead) if instead else request)
        elif instead is not None:
            self._answer(exchange, request, refuse(instead))
        else:
            limit = self._registry.start_limit.status(now)
            answer = route(exchange, request, self._config, limit, self._registry.commands, self._dialogue.bot)
            if isinstance(answer, Upgrade):
                self._outbox.raw(exchange.switch(answer))
                self._open(answer, now)
            else:
                self._answer(exchange, request, answer)

    def _answer(self, exchange: HttpExchange, request: HttpRequest, response: HttpResponse) -> None:
        self._outbox.raw(exchange.answer(response))
        self.report(
            HttpAnswered(connection_id=self._id, method=request.method, path=request.path, status=response.status)
        )
        self._finish(abort=False)

    def _open(self, upgrade: Upgrade, now: float) -> None:
        self._outbox.deflater = make_deflater(
            upgrade.compress, zlib_level=self._config.zlib_level, zstd_level=self._config.zstd_level
        )
        self._exchange = None
        self._dialogue.api_version = upgrade.version
        self._state = ConnectionState.OPEN
        self._deadline = None
        self.report(Upgraded(connection_id=self._id, compress=upgrade.compress))
        if upgrade.refusal is not None:
            self.close(upgrade.refusal.code or CloseCode.UNKNOWN_ERROR, upgrade.refusal.reason.encode(), now)
        waiting, self._waiting = self._waiting, []
        for fault in waiting:
            self.strike(fault, now)
        if self._state is ConnectionState.OPEN and self._says_hello:
            self._dialogue.hello(now)

    def _on_event(self, event: ReaderEvent, now: float) -> None:
        if self._state is ConnectionState.CLOSING:
            if isinstance(event, CloseEvent):
                self._outbox.skip_replay()
                self._finish(abort=False)
            return
        match event:
            case PayloadEvent(payload):
                self._dialogue.receive(payload, now)
            case PingEvent(payload):
                self._outbox.raw(encode_frame(FrameOpcode.PONG, payload))
            case CloseEvent(code, reason):
                echo = b"" if code is None else code.to_bytes(2)
                self._outbox.skip_replay()
                self._outbox.raw(encode_frame(FrameOpcode.CLOSE, echo))
                self._left(code, reason, "client", now)
                self._finish(abort=False)
            case Violation(code, reason):
                self.close(code, reason.encode(), now)

    # -- the end -------------------------------------------------------------------------------------------------

    def _left(self, code: int | None, reason: str, by: Literal["server", "client"], now: float) -> None:
        session = self._dialogue.session
        self.report(
            ConnectionClosed(
                connection_id=self._id,
                code=code,
                reason=reason,
                by=by,
                session_id=None if session is None else session.id,
                number=None if session is None else session.number,
                sequence=None if session is None else session.sequence,
            )
        )
        cause = None
        if by == "client" and code in _LOGOUT:
            cause = SessionEnd.LOGOUT
        elif by == "server" and code in SESSION_ENDING_CLOSE_CODES:
            cause = SessionEnd.CLOSED
        self._dialogue.leave(now, cause)

    def _drop(self, reason: str, now: float, *, flush: bool = False) -> None:
        if self._state is ConnectionState.OPEN:
            self._left(None, reason, "server", now)
        self._finish(abort=not flush)

    def _finish(self, *, abort: bool) -> None:
        if self._state is ConnectionState.ENDED:
            return
        self._state = ConnectionState.ENDED
        self._exchange = None
        self._deadline = self._stalled_until = None
        self._stalled = self._is_busy = False
        self._inbox.clear()
        self._outbox.chunk = None
        if abort:
            self._outbox.clear()
        else:
            # The driver drains once more, and no more.
            self._outbox.flush_replay()
        self.report(CloseSocket(connection_id=self._id, abort=abort, grace=self._limits.close_grace))
        self._forget(self._id)

    def _check_unsent(self, now: float) -> bool:
        if self._outbox.unsent <= self._limits.max_unsent or self._state is ConnectionState.ENDED:
            return False
        self._drop("the client does not read", now)
        self._work_at = now
        return True

    # -- faults --------------------------------------------------------------------------------------------------

    def _release(self, now: float) -> None:
        self._stalled = False
        self._stalled_until = None
        self._dialogue.forgive_silence(now)
        if self._state is ConnectionState.CLOSING:
            self._deadline = now + self._limits.close_grace
        elif self._state is ConnectionState.REQUEST:
            self._deadline = now + self._limits.request_timeout
        self._read(now)

    def _suffer(self, fault: Fault, now: float) -> None:
        match fault:
            case Drop(flush):
                self._drop("dropped by a fault", now, flush=flush)
            case Stall(seconds):
                self._stalled = True
                self._stalled_until = None if seconds is None else now + seconds
            case Release():
                if self._stalled:
                    self._release(now)
            case Close(code, reason):
                self.close(code, reason, now)
            case AskReconnect():
                self.send(RECONNECT)
            case InvalidSession(resumable):
                self._dialogue.invalidate(resumable, now)
            case RequestHeartbeat():
                self.send(REQUEST_HEARTBEAT)
            case SendText(payload):
                self.send(payload)
            case Garbage(data):
                self._outbox.raw(data)
            case _:
                self._change_manner(fault)

    def _change_manner(self, fault: Fault) -> None:
        match fault:
            case LoseAcks(count):
                self._dialogue.lose_acks = count
            case Corrupt(offset, xor):
                self._outbox.corrupt(offset, xor)
            case NoHello():
                self._says_hello = False
            case NoAnswer():
                self._dialogue.is_mute = True
            case Fragment(size):
                self._outbox.change_fragment(size)
            case SplitMessages(size):
                self._outbox.change_split(size)
            case Chunk(size):
                self._outbox.chunk = size
