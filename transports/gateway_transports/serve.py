"""The embedded gateway on real sockets: TCP or TLS, the WebSocket and the HTTP routes for discovery on one port.

    async with serve(ServerConfig(token=Secret("t")), rng=random.Random(1)) as gateway:
        ...dial gateway.url...
        gateway.broadcast("MESSAGE_CREATE", b'{"content": "hello"}')

All of it runs in one event loop. What one client can make it hold is bounded: by `ServerLimits` for a client that does
not read, is silent or sends too much, and by the socket's own buffers for the rest.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import anyio
import anyio.abc
import msgspec

from gateway_proto import Secret
from gateway_proto.server import (
    CloseSocket,
    ConnectionRefused,
    Effect,
    Fault,
    PreparedEvent,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    Target,
    Wake,
    WorldEvent,
    carry_out,
)

from .anyio import SocketStream
from .clock import Clock, SystemClock
from .contract import Stream
from .driver import Link, Ticker
from .errors import ListenError, TlsError, one_line
from .tasks import background
from .tls import wrap_server

MAX_CONNECTIONS: Final = 10_000
"""Sockets at one time; more are refused as soon as they are accepted."""
MAX_REFUSED: Final = 64
"""Refused sockets that are still being told so; more are closed without a word."""
ACCEPT_AGAIN: Final = 0.1
"""Seconds until the next try, when the process has no file descriptor for another socket."""
HIGH_WATER: Final = 2**20
"""Bytes queued for a client, beyond which who has no pace of his own waits for it."""
ROOM: Final = 2**18
"""Bytes queued for a client, beyond which what is meant for it alone waits: more would only be copied more often."""
_DEFAULT_URL: Final = ServerConfig().url
_FULL_BODY: Final = b'{"message":"503: Service Unavailable","code":0}'
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
    b"Connection: close\r\n\r\n%b" % (len(_FULL_BODY), _FULL_BODY)
)


class Gateway:
    """A `Server` and the sockets that it serves. `serve` makes one that listens; `handle` serves any stream.

    Args:
        on_action: is told every `ServerAction`, in order, synchronously: a journal, or a test.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        rng: random.Random | None = None,
        clock: Clock | None = None,
        on_action: Callable[[ServerAction], object] | None = None,
    ) -> None:
        self.server: Server = Server(config, rng=rng or random.SystemRandom())
        self.clock: Clock = clock or SystemClock()
        self.port = 0
        """What it listens on; 0 without a listener."""
        self._observers = [] if on_action is None else [on_action]
        self._sockets: dict[int, _Socket] = {}
        self._refused = 0

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self.server.config.url

    def observe(self, on_action: Callable[[ServerAction], object]) -> None:
        """Let somebody else be told every action from now on, too."""
        self._observers.append(on_action)

    def dispatch(self, session_id: Secret, name: str, data: bytes) -> None:
        """Send an event (`data` is the JSON of its `d`) to a session; a session that is gone takes nothing."""
        self.act(self.server.dispatch(session_id, name, data, self.clock.now()))

    def dispatch_world(self, event: WorldEvent) -> None:
        """Tell an event of `server.world` to whom it concerns."""
        self.act(self.server.dispatch_world(event, self.clock.now()))

    def has_room(self) -> bool:
        """Some client is there, each has its guilds, and none is so far behind that what it has not read piles up."""
        there = [connection for connection in self.server.connections.values() if connection.session is not None]
        return bool(there) and not any(connection.unsent > HIGH_WATER or connection.has_backlog for connection in there)

    def has_room_for(self, session_id: Secret) -> bool:
        """A session has a connection, and its guilds, and is not so far behind that what was not read piles up."""
        session = self.server.sessions.get(session_id)
        connection = None if session is None else self.server.connections.get(session.connection_id or 0)
        return connection is not None and connection.unsent <= ROOM and not connection.has_backlog

    def next_drain(self, session_id: Secret) -> anyio.Event:
        """Is set when the next bytes are taken to be written to a session's client; never, if that is not there."""
        session = self.server.sessions.get(session_id)
        socket = None if session is None else self._sockets.get(session.connection_id or 0)
        return anyio.Event() if socket is None else socket.drained

    def dispatch_prepared(self, session_id: Secret, events: Sequence[PreparedEvent], number: int) -> None:
        """Send a session events that were prepared, the first as this number."""
        self.act(self.server.dispatch_prepared(session_id, events, number, self.clock.now()))

    def broadcast(self, name: str, data: bytes) -> None:
        """Send an event to every session."""
        self.act(self.server.broadcast(name, data, self.clock.now()))

    def inject(self, target: int | Secret, fault: Fault) -> None:
        """Let a fault strike a connection (by id) or a session; what is gone suffers nothing."""
        self.act(self.server.inject(target, fault, self.clock.now()))

    def carry_out(self, effect: Effect, target: Target) -> int:
        """Send an event, or let a fault strike; returns how many sessions or connections that reached."""
        outcome = carry_out(self.server, effect, target, self.clock.now())
        self.act(outcome.actions)
        return outcome.reached

    async def handle(self, stream: Stream) -> None:
        """Serve one accepted stream until it ends; then it is closed."""
        connection = self.server.accept(self.clock.now())
        socket = self._sockets[connection.id] = _Socket(connection, stream, self.clock, self.act)
        try:
            await socket.run()
        finally:
            del self._sockets[connection.id]
            # Whatever ended it, the machine must know; of no effect if it does.
            self.act(connection.receive_eof(self.clock.now()))

    async def refuse(self, stream: Stream, limit: int, *, answer: bool = True) -> None:
        """Turn an accepted stream away, because `limit` are being served: with HTTP 503, without reading the request.

        Args:
            answer: False closes at once. So does it where `MAX_REFUSED` are being answered.
        """
        answer = answer and self._refused < MAX_REFUSED
        self.act([ConnectionRefused(limit=limit, answered=answer)])
        if not answer:
            await stream.aclose()
            return
        link = Link(stream, self.clock, on_data=lambda data: None, on_eof=lambda: None, drain=lambda: b"")
        link.finish(_FULL, self.server.config.limits.close_grace, half_close=True)
        self._refused += 1
        try:
            await link.run()
        finally:
            self._refused -= 1

    def act(self, actions: list[ServerAction]) -> None:
        """Do what actions of the server ask for, and tell of them."""
        for action in actions:
            for on_action in self._observers:
                on_action(action)
            if isinstance(action, Wake | CloseSocket):
                socket = self._sockets.get(action.connection_id)
                if socket is None:
                    continue
                if isinstance(action, Wake):
                    socket.wake()
                else:
                    socket.close(action)


class _Socket:
    """Drives one `ServerConnection`."""

    __slots__ = ("_act", "_clock", "_connection", "_drained", "_link", "_ticker")

    def __init__(
        self,
        connection: ServerConnection,
        stream: Stream,
        clock: Clock,
        act: Callable[[list[ServerAction]], None],
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._act = act
        self._ticker = Ticker(clock, connection.next_timeout, self._on_timeout)
        self._link = Link(stream, clock, on_data=self._on_data, on_eof=self._on_eof, drain=self._drain)
        self._drained: anyio.Event | None = None

    @property
    def drained(self) -> anyio.Event:
        """Is set at the next drain."""
        self._drained = self._drained or anyio.Event()
        return self._drained

    async def run(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._ticker.run)
            await self._link.run()
            self._ticker.stop()

    def wake(self) -> None:
        self._ticker.rearm()
        self._link.flush()

    def close(self, action: CloseSocket) -> None:
        if action.abort:
            self._link.abort()
        else:
            self._link.finish(self._connection.data_to_send(self._clock.now()), action.grace, half_close=True)

    def _on_data(self, data: bytes) -> None:
        self._after(self._connection.receive_data(data, self._clock.now()))

    def _on_eof(self) -> None:
        self._after(self._connection.receive_eof(self._clock.now()))

    def _on_timeout(self) -> bool:
        was_busy = self._connection.is_busy
        actions = self._connection.handle_timeout(self._clock.now())
        self._after(actions)
        return was_busy or bool(actions)

    def _after(self, actions: list[ServerAction]) -> None:
        self._act(actions)
        if self._connection.is_stalled or self._connection.is_busy:
            self._link.pause()
        else:
            self._link.resume()
        self.wake()

    def _drain(self) -> bytes:
        data = self._connection.data_to_send(self._clock.now())
        self._ticker.rearm()
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        return data


@contextlib.asynccontextmanager
async def serve(
    config: ServerConfig | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ssl_context: ssl.SSLContext | None = None,
    rng: random.Random | None = None,
    on_action: Callable[[ServerAction], object] | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> AsyncIterator[Gateway]:
    """Serve the embedded gateway for as long as the block runs; leaving it closes every socket.

    Args:
        config: its `url` and `resume_url` are set to what is listened on, unless they say something already.
        port: 0 takes a free one; `Gateway.port` tells it.
        ssl_context: with a certificate for `host`, for TLS; None serves plain TCP.
        rng: None draws from the system's randomness.
        on_action: as for `Gateway`.
        max_connections: sockets beyond so many are refused, with HTTP 503 where there is no TLS.

    Raises:
        ListenError: with one readable line.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {host}:{port}: {one_line(error)}") from error
    async with listener:
        bound = listener.extra(anyio.abc.SocketAttribute.local_port)
        config = _named(config or ServerConfig(), host, bound, tls=ssl_context is not None)
        gateway = Gateway(config, rng=rng, on_action=on_action)
        gateway.port = bound

        async def refuse(stream: Stream) -> None:
            await gateway.refuse(stream, max_connections, answer=ssl_context is None)

        acceptor = Acceptor(gateway.handle, max_connections, ssl_context, config.limits.request_timeout, refuse)
        async with background() as group:
            group.start_soon(acceptor.run, listener, group)
            yield gateway


class Acceptor:
    """What is done with each accepted socket: within its TLS, if any, `handle` has it.

    Args:
        max_connections: more are closed at once, or `refuse` has them.
        tls_timeout: seconds for the handshake.
    """

    def __init__(
        self,
        handle: Callable[[Stream], Awaitable[None]],
        max_connections: int,
        ssl_context: ssl.SSLContext | None = None,
        tls_timeout: float = 10.0,
        refuse: Callable[[Stream], Awaitable[None]] | None = None,
    ) -> None:
        self._serve = handle
        self._free = max_connections
        self._ssl_context = ssl_context
        self._tls_timeout = tls_timeout
        self._refuse = refuse

    async def run(self, listener: anyio.abc.Listener[anyio.abc.SocketStream], group: anyio.abc.TaskGroup) -> None:
        """Accept until cancelled. What is served goes on while the process has no file descriptor left for more."""
        while True:
            try:
                await listener.serve(self.accept, group)
            except (OSError, anyio.BrokenResourceError):
                await anyio.sleep(ACCEPT_AGAIN)

    async def accept(self, accepted: anyio.abc.SocketStream) -> None:
        hold(accepted)
        stream = SocketStream(accepted)
        if self._free == 0:
            await (stream.aclose() if self._refuse is None else self._refuse(stream))
            return
        self._free -= 1
        try:
            await self._handle(stream)
        finally:
            self._free += 1

    async def _handle(self, stream: SocketStream) -> None:
        if self._ssl_context is None:
            await self._serve(stream)
            return
        try:
            with anyio.fail_after(self._tls_timeout):
                wrapped = await wrap_server(stream, self._ssl_context)
        except (TlsError, TimeoutError):
            return  # a port scanner, or a client that does not trust the certificate; it has been told by an alert
        await self._serve(wrapped)


def hold(accepted: anyio.abc.SocketStream) -> None:
    """Let what an accepted socket brings wait in the kernel until it is read.

    On asyncio, anyio holds sockets that it has dialled so, and accepted ones only once a reader has found nothing: who
    floods from the first byte on would be read without end, into a queue without a bound. No public way leads to it.
    """
    transport = getattr(accepted, "_transport", None)
    if isinstance(transport, asyncio.ReadTransport):
        transport.pause_reading()


def _named(config: ServerConfig, host: str, port: int, *, tls: bool) -> ServerConfig:
    """The config with the URL that clients reach this listener by."""
    if config.url != _DEFAULT_URL:
        return config
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
    url = f"{'wss' if tls else 'ws'}://{name}:{port}"
    return msgspec.structs.replace(config, url=url, resume_url=config.resume_url or url)
