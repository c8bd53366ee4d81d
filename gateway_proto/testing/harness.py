"""Drives one client of anybody's making against a `Server`, over a wire with faults, in virtual time, and judges it.

`Harness.play` takes steps, `settle` ends the play: then every fault is over, and the client must be back with nothing
lost. A `Finding` (an AssertionError) says which rule was broken and what happened before. Nothing here waits: time
jumps from one due instant to the next, and the same arguments and steps give the same run.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ..opcodes import Opcode
from ..secret import Secret
from ..server import (
    Close,
    CloseSocket,
    FaultFired,
    Identified,
    NoAnswer,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    SessionEnded,
    SplitMessages,
    Wake,
)
from .adapter import (
    AdapterTypeError,
    ClientAdapter,
    Delivered,
    Dial,
    HangUp,
    Output,
    Outputs,
    PermitWanted,
    bytes_of,
    due_of,
    outputs_of,
)
from .steps import (
    BREAKING,
    HARMLESS_FAULTS,
    CloseForGood,
    Commands,
    Events,
    Recover,
    RefuseDials,
    Step,
    Strike,
    StrikeNext,
    Tear,
    Wait,
    check_step,
)
from .watch import IDENTIFY_PERIOD, SILENT_INTERVALS, Finding, Rule, SocketWatch, Watch

MakeClient: TypeAlias = Callable[[str, random.Random], ClientAdapter]
"""Makes a client that is to dial this URL; whatever it draws it draws from this `rng`."""

URL: Final = "ws://gateway.test"
RESUME_URL: Final = "ws://resume.gateway.test"
"""READY's `resume_gateway_url`: another host, as Discord's is."""
PERMIT_SPACING: Final = IDENTIFY_PERIOD + 0.1
FATAL_WATCH: Final = 900.0
"""Seconds for which a client must stay away after a fatal close code."""
COMES_BACK: Final = 600.0
"""Seconds after the last fault within which a client must have its session."""
SLICE: Final = 20.0
PIECES: Final = 24
"""Into which one write is cut; what is left is one piece more: thousands of single bytes find no more."""
PIECE_SPACING: Final = 0.0002
"""Seconds between the pieces of a server's write: time enough for something to happen in mid-frame.

A client's arrive at one instant: a burst that took longer than the next would break a limit that its client kept.
"""
STEPS_AT_ONE_INSTANT: Final = 20_000


class _Way:
    """One direction of a socket: the pieces that are under way, and when the last of them arrives."""

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.last_at = 0.0


class _Socket:
    """One connection of the wire: the server's end, and what is known of the client's."""

    def __init__(self, server: ServerConnection, now: float, *, dialled_resume_url: bool) -> None:
        self.server = server
        self.watch = SocketWatch(server.id, now, dialled_resume_url=dialled_resume_url)
        self.up = _Way()
        self.down = _Way()
        self.passes: int | None = None
        """Of what is under way to the client so many bytes still arrive; None: all."""
        self.client_gone = False
        """The client has hung up, or knows that it is over: what still comes for it goes nowhere."""
        self.is_torn = False
        """Nothing passes any more."""
        self.is_mute = False

    def serves(self, session_id: Secret | None) -> bool:
        """The server has the client on it, with this session."""
        return self.server.session is not None and self.server.session.id == session_id

    def let_pass(self, data: bytes) -> bytes:
        """As much of the next piece as arrives."""
        if self.passes is None:
            return data
        data = data[: self.passes]
        self.passes -= len(data)
        return data


class Harness:
    """One client, one server, the wire between them and the time.

    Args:
        make_client: is called at once, and after a `CloseForGood` again.
        interval: seconds between heartbeats, as HELLO tells them.
        latency: seconds each way.
        chunk: bytes at most in one `receive_data`, on both sides.
        seed: of everything that is drawn.

    Raises:
        Finding: out of any method, when the client has broken a rule.
        AdapterTypeError: out of any method, when the adapter returns what is no output.
    """

    def __init__(
        self,
        make_client: MakeClient,
        *,
        interval: float = 41.25,
        latency: float = 0.05,
        chunk: int = 65536,
        seed: int = 1,
    ) -> None:
        self._rng = random.Random(seed)
        self._make_client = make_client
        self._latency = latency
        self._chunk = chunk
        self._interval = interval
        self.server: Server = Server(
            ServerConfig(
                url=URL,
                resume_url=RESUME_URL,
                guild_ids=(1 << 22, 2 << 22),
                heartbeat_interval=interval,
                session_limit=100_000,
                session_lifetime=1e9,
                replay_events=100_000,
            ),
            rng=random.Random(self._rng.random()),
        )
        self.watch: Watch = Watch()
        self.watch.settings = f"Harness(…, interval={interval}, latency={latency}, chunk={chunk}, seed={seed})"
        self.now: float = 0.0
        self.live: Secret | None = None
        """The session of the last IDENTIFY, until it ends."""
        self.has_failed: bool = False
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._sockets: dict[int, _Socket] = {}
        self._current: _Socket | None = None
        self._dial = 0
        self._permit_asked = 0
        self._refuse = 0
        self._tear_after: int | None = None
        self._next_faults: list[StrikeNext] = []
        self._client = make_client(URL, random.Random(self._rng.random()))
        self._call(self._client.connect)

    @property
    def is_connected(self) -> bool:
        """The client holds a socket that serves the session that lives."""
        socket = self._current
        return socket is not None and socket.serves(self.live)

    # -- what a test does ------------------------------------------------------------------------------------------

    def play(self, *steps: Step) -> None:
        """Let the steps happen, one after the other, at the instant at which it stands.

        Raises:
            TypeError: one of them is no step; none has been played then.
        """
        for step in steps:
            check_step(step)
        for step in steps:
            if not isinstance(step, Wait | Recover):
                self.watch.note(self.now, f"{step}", is_step=True)
            self.watch.steps.append(step)
            self._play(step)

    def _play(self, step: Step) -> None:
        match step:
            case Wait(seconds):
                self.run(seconds)
            case Recover(seconds):
                self._recover(seconds)
            case Events(count, size):
                self._say(count, size)
            case Strike():
                self._strike(step)
            case StrikeNext():
                self._next_faults.append(step)
            case RefuseDials(count):
                self._refuse += count
                self.watch.faults += count
            case Tear(None):
                self.tear()
            case Tear(after):
                self._tear_after = after
            case Commands(count):
                self._command(count)
            case CloseForGood(code):
                self._close_for_good(code)

    def run(self, seconds: float) -> None:
        """Let time pass; everything that is due happens at its instant."""
        end = self.now + seconds
        at_once, instant = 0, self.now
        while (due := self._next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            at_once = at_once + 1 if self.now == instant else 0
            instant = self.now
            if at_once > STEPS_AT_ONE_INSTANT:
                raise self._fail(Rule.COMES_TO_REST, f"{at_once} steps at one instant")
            self._check_time()
            self._step()
        self.now = end
        self._check_time()

    def tear(self) -> None:
        """Reset the current socket: a part of what is under way arrives, the rest is lost, and both ends are told."""
        socket = self._current
        if socket is None or socket.is_torn:
            return
        self.watch.faults += 1
        socket.watch.is_struck = True
        under_way = b"".join(socket.up.pieces)
        if arrives := under_way[: self._part(len(under_way))]:
            self._act_server(socket.server.receive_data(arrives, self.now))
        under_way = b"".join(socket.down.pieces)
        for part in self._cut(under_way[: self._part(len(under_way))]):
            if not socket.client_gone:
                self._hand_over(socket, part)
        self._reset(socket)

    def _reset(self, socket: _Socket) -> None:
        """The socket is gone. A client that has left it by itself meanwhile is not told."""
        is_known = self._current is socket
        socket.is_torn = socket.client_gone = True
        self._act_server(socket.server.receive_eof(self.now))
        if is_known:
            self._current = None
            self._ended_at_client(socket)

    def _part(self, size: int) -> int:
        """How many bytes of so many arrive: none, some or all."""
        return self._rng.choice((0, self._rng.randint(0, size), self._rng.randint(0, size), size))

    def settle(self) -> None:
        """End the play: no fault strikes any more, and the client has its time; then nothing may be missing."""
        self._next_faults.clear()
        self._refuse = 0
        self._tear_after = None
        # Long enough for what has gone silent to be left; the rest is waited for only as long as it takes.
        self.run((SILENT_INTERVALS + 1) * self._interval)
        end = self.now + COMES_BACK
        while not self._is_whole() and self.now < end:
            self.run(SLICE)
            if self._current is not None and self._current.is_mute and end - self.now < COMES_BACK / 2:
                # READY may be long in coming; from a gateway that a fault made mute it never comes.
                self.tear()
        never = "" if self.watch.has_dialled else "the client never dialled, connect() returned no Dial: "
        if not self.is_connected:
            raise self._fail(Rule.COMES_BACK, f"{never}no session {COMES_BACK:g} s after the last fault")
        with _Judged(self):
            self.watch.check_end(self.live)

    def _is_whole(self) -> bool:
        return self.is_connected and self.watch.is_whole(self.live)

    def _recover(self, seconds: float) -> None:
        end = self.now + seconds
        while not self.is_connected and self.now < end:
            self.run(min(1.0, end - self.now))

    # -- steps -----------------------------------------------------------------------------------------------------

    def _say(self, count: int, size: int) -> None:
        for _ in range(count if self.live is not None else 0):
            session = self.server.sessions.get(self.live) if self.live is not None else None
            if session is None:
                return
            body = {"_number": self.watch.next_number, "content": "x" * self._rng.randrange(size + 1)}
            actions = self.server.dispatch(session.id, "MESSAGE_CREATE", msgspec.json.encode(body), self.now)
            self.watch.dispatched(session.id, session.sequence, body)
            self._act_server(actions)

    def _strike(self, step: Strike) -> None:
        socket = self._current
        if socket is None:
            return
        if isinstance(step.fault, SplitMessages) and socket.watch.up.compress != "zlib-stream":
            return  # only there a message may be spread over several
        self._suffer(socket, step)

    def _suffer(self, socket: _Socket, step: Strike | StrikeNext) -> None:
        fault = step.fault
        # Before HELLO nothing is harmless.
        self.watch.faults += fault not in HARMLESS_FAULTS or not self.is_connected
        socket.watch.is_struck |= fault not in HARMLESS_FAULTS or not self.is_connected
        self.watch.spoilt += isinstance(fault, (*BREAKING, NoAnswer))
        socket.is_mute = socket.is_mute or isinstance(fault, NoAnswer)
        self._act_server(self.server.inject(socket.server.id, fault, self.now))

    def _command(self, count: int) -> None:
        presence: dict[str, Any] = {"since": None, "activities": [], "status": "online", "afk": False}
        for number in range(count):
            if number % 10 == 0:
                request = {"guild_id": str(1 << 22), "query": "", "limit": 0}
                self._call(self._client.send, int(Opcode.REQUEST_GUILD_MEMBERS), request)
            else:
                activity = {"name": f"game {number}", "type": 0}
                self._call(self._client.send, int(Opcode.PRESENCE_UPDATE), {**presence, "activities": [activity]})

    def _close_for_good(self, code: int) -> None:
        socket = self._current
        if socket is None or socket.server.is_stalled or not socket.watch.down.is_open:
            return
        self._strike(Strike(Close(code)))
        self.run(FATAL_WATCH)
        self.watch.note(self.now, "the client is restarted")
        self._current = None
        for each in list(self._sockets.values()):
            each.is_torn = each.client_gone = True
            self._act_server(each.server.receive_eof(self.now))
        self._sockets.clear()
        self.live = None
        self._dial += 1
        self.watch.restarted()
        self.watch.faults += 1
        self._client = self._make_client(URL, random.Random(self._rng.random()))
        self._call(self._client.connect)

    # -- time ------------------------------------------------------------------------------------------------------

    def _next_due(self) -> float | None:
        due = [self._client_due(), self._queue[0][0] if self._queue else None]
        due += [socket.server.next_timeout() for socket in self._sockets.values()]
        return min((at for at in due if at is not None), default=None)

    def _client_due(self) -> float | None:
        try:
            return due_of(self._client.next_timeout)
        except AdapterTypeError:
            self.has_failed = True
            raise
        except Exception as error:
            raise self._raised("next_timeout", error) from error

    def _step(self) -> None:
        if self._queue and self._queue[0][0] <= self.now:
            heapq.heappop(self._queue)[2]()
            return
        due = self._client_due()
        if due is not None and due <= self.now:
            self._call(self._client.handle_timeout)
            return
        for socket in list(self._sockets.values()):
            due = socket.server.next_timeout()
            if due is not None and due <= self.now:
                self._act_server(socket.server.handle_timeout(self.now))
                self._pump_server(socket)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, what))

    def _check_time(self) -> None:
        if self._current is not None:
            with _Judged(self):
                self.watch.check_time(self._current.watch, self.now)

    # -- the client's side -----------------------------------------------------------------------------------------

    def _call(self, method: Callable[..., Outputs], *args: Any) -> None:
        client = self._client
        try:
            outputs = outputs_of(method, *args, self.now)
        except AdapterTypeError:
            self.has_failed = True
            raise
        except Exception as error:
            raise self._raised(getattr(method, "__name__", "an input"), error) from error
        self._act(client, outputs)

    def _act(self, client: ClientAdapter, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case Dial(url):
                    self._dialled(url)
                case HangUp(farewell):
                    self._hang_up(farewell)
                case Delivered(name, data, replayed):
                    with _Judged(self):
                        self.watch.on_delivered(name, data, replayed, self.now)
                case PermitWanted():
                    self._permit_wanted(client)
        self._pump_client()

    def _dialled(self, url: str) -> None:
        if self._current is not None:
            self._hang_up(b"")
        with _Judged(self):
            self.watch.dialled(self.now)
        host = _host(url)
        if host not in (_host(URL), _host(RESUME_URL)):
            raise self._fail(Rule.RIGHT_URL, f"it dials {host}, which is neither {URL} nor {RESUME_URL}")
        self._dial += 1
        number = self._dial
        if self._refuse:
            self._refuse -= 1
            self._later(self._latency, lambda: self._failed(number))
        else:
            self._later(self._latency, lambda: self._open(number, dialled_resume_url=host == _host(RESUME_URL)))

    def _failed(self, number: int) -> None:
        if number == self._dial:
            self.watch.note(self.now, "the dial fails")
            self.watch.dial_failed(self.now)
            self._call(self._client.connection_failed)

    def _open(self, number: int, *, dialled_resume_url: bool) -> None:
        if number != self._dial:
            return
        socket = _Socket(self.server.accept(self.now), self.now, dialled_resume_url=dialled_resume_url)
        self._sockets[socket.server.id] = socket
        self._current = socket
        self.watch.note(self.now, f"socket {socket.server.id} is open")
        faults, self._next_faults = self._next_faults, []
        for step in faults:
            self._suffer(socket, step)
        self._call(self._client.connection_made)

    def _hang_up(self, farewell: bytes) -> None:
        self._dial += 1
        socket = self._current
        if socket is None:
            return
        self.watch.note(self.now, f"the client hangs up on socket {socket.server.id}")
        self._write(socket, self._take_from_client() + farewell)
        if not socket.watch.is_closed:
            self._judge_leaving(socket)
        self._current = None
        socket.client_gone = True
        if socket.watch.interval is None:
            # Refused; or out of patience, and then it has waited for as long.
            self.watch.dial_failed(self.now if socket.watch.down.is_broken else socket.watch.opened_at)
        if not socket.is_torn:
            self._later(self._delay(socket.up), lambda: self._eof_at_server(socket))

    def _judge_leaving(self, socket: _Socket) -> None:
        if not socket.is_torn:
            with _Judged(self):
                self.watch.left(socket.watch, self.now, is_served=socket.serves(self.live))

    def _permit_wanted(self, client: ClientAdapter) -> None:
        if self.watch.permits is None:
            self.watch.permits = 0
        # Of the client, not of its socket; whoever asks twice gets one.
        self._permit_asked += 1
        number = self._permit_asked

        def grant() -> None:
            if client is not self._client or number != self._permit_asked:
                return
            wait = self.watch.identified_at + PERMIT_SPACING - self.now
            if wait > 1e-9:
                self._later(wait, grant)
            else:
                self.watch.permits = 1
                self._call(client.permit_granted)

        self._later(0.0, grant)

    def _pump_client(self) -> None:
        data = self._take_from_client()
        if self._current is not None:
            self._write(self._current, data)

    def _take_from_client(self) -> bytes:
        try:
            return bytes_of(self._client.data_to_send, self.now)
        except AdapterTypeError:
            self.has_failed = True
            raise
        except Exception as error:
            raise self._raised("data_to_send", error) from error

    def _write(self, socket: _Socket, data: bytes) -> None:
        if not data or socket.is_torn:
            return
        was_closed = socket.watch.is_closed
        with _Judged(self):
            self.watch.wrote(socket.watch, data, self.now)
        if socket.watch.is_closed and not was_closed:
            self._judge_leaving(socket)
        self._send(socket.up, self._cut(data), partial(self._at_server, socket), spacing=0.0)

    def _send(self, way: _Way, parts: list[bytes], arrive: Callable[[bytes], None], *, spacing: float) -> None:
        for number, part in enumerate(parts):
            delay = self._delay(way) + (spacing if number else 0.0)
            way.last_at = self.now + delay
            way.pieces.append(part)
            self._later(delay, partial(arrive, part))

    def _delay(self, way: _Way) -> float:
        """Until the next piece arrives, behind those that are under way."""
        return max(self._latency, way.last_at - self.now)

    def _at_server(self, socket: _Socket, data: bytes) -> None:
        socket.up.pieces.popleft()
        if not socket.is_torn:
            self._act_server(socket.server.receive_data(data, self.now))
            self._pump_server(socket)

    def _eof_at_server(self, socket: _Socket) -> None:
        if not socket.is_torn:
            self._act_server(socket.server.receive_eof(self.now))
            self._sockets.pop(socket.server.id, None)

    # -- the server's side -----------------------------------------------------------------------------------------

    def _act_server(self, actions: list[ServerAction]) -> None:
        for action in actions:
            match action:
                case Wake(connection_id=number) if number in self._sockets:
                    self._pump_server(self._sockets[number])
                case CloseSocket(connection_id=number, abort=abort) if number in self._sockets:
                    self._closed_by_server(self._sockets[number], abort)
                case Identified(session_id=session_id):
                    self.live = session_id
                case SessionEnded(session_id=session_id) if session_id == self.live:
                    self.live = None
                case FaultFired(fault=fault):
                    self.watch.note(self.now, f"fires: {fault}")

    def _pump_server(self, socket: _Socket) -> None:
        if socket.server.id not in self._sockets:
            return
        data = socket.server.data_to_send(self.now)
        if data and not socket.is_torn:
            self._send(socket.down, self._cut(data), partial(self._at_client, socket), spacing=PIECE_SPACING)

    def _closed_by_server(self, socket: _Socket, abort: bool) -> None:
        if not abort:
            self._pump_server(socket)
        elif socket.passes is None:
            socket.passes = self._part(sum(map(len, socket.down.pieces)))
        self._sockets.pop(socket.server.id, None)
        self._later(self._delay(socket.down), lambda: self._eof_at_client(socket))

    def _at_client(self, socket: _Socket, data: bytes) -> None:
        socket.down.pieces.popleft()
        if socket.client_gone:
            return
        data = socket.let_pass(data)
        left = self._tear_after
        if left is None or left > len(data):
            self._tear_after = None if left is None else left - len(data)
            self._hand_over(socket, data)
            return
        self._tear_after = None
        self.watch.faults += 1
        socket.watch.is_struck = True
        self.watch.note(self.now, f"socket {socket.server.id} is torn")
        self._hand_over(socket, data[:left])
        self._reset(socket)

    def _hand_over(self, socket: _Socket, data: bytes) -> None:
        if not data:
            return
        with _Judged(self):
            self.watch.handed(socket.watch, data, self.now)
        self._call(self._client.receive_data, data)

    def _eof_at_client(self, socket: _Socket) -> None:
        if socket.client_gone:
            return
        socket.client_gone = socket.is_torn = True
        self._current = None
        self.watch.note(self.now, f"socket {socket.server.id} has ended")
        self._ended_at_client(socket)

    def _ended_at_client(self, socket: _Socket) -> None:
        if socket.watch.interval is None:
            self.watch.dial_failed(self.now)
        self._call(self._client.receive_eof)

    def _cut(self, data: bytes) -> list[bytes]:
        parts: list[bytes] = []
        at = 0
        while at < len(data) and len(parts) < PIECES:
            size = self._rng.randint(max(1, self._chunk // 2), self._chunk)
            parts.append(data[at : at + size])
            at += size
        return [*parts, data[at:]] if at < len(data) else parts

    # -- findings --------------------------------------------------------------------------------------------------

    def _fail(self, rule: Rule, detail: str) -> Finding:
        self.has_failed = True
        return self.watch.fail(rule, detail)

    def _raised(self, where: str, error: Exception) -> Finding:
        return self._fail(Rule.NO_EXCEPTION, f"{where} raised {type(error).__name__}: {error}")


class _Judged:
    """Remembers that a finding was made: what the client does afterwards is nobody's concern."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._harness.has_failed = self._harness.has_failed or isinstance(error, Finding)


def _host(url: str) -> str:
    """Scheme, host and port of a URL, the port as it stands there or not."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
    except ValueError:
        return repr(url)
    return f"{parts.scheme}://{parts.hostname}:{port}"
