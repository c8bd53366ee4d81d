"""A shard and a server over a virtual wire, in virtual time: what this engine is tested on, and what yours may be.

The wire has a latency, cuts the bytes as it likes and can be torn. Nothing here waits for anything: `run` jumps from
one due instant to the next. The same seeds and calls give the same run, byte for byte.
"""

import heapq
import random
from collections.abc import Callable
from functools import partial
from typing import Any

from ..actions import (
    Connect,
    Disconnect,
    Dispatch,
    IdentifyPermit,
    IdentifyWanted,
    PermitUsed,
    ShardAction,
)
from ..errors import ConnectError
from ..server import CloseSocket, Server, ServerAction, ServerConnection, Wake
from ..shard import Shard

IDENTIFY_SPACING = 5.1
"""Seconds between two IDENTIFYs, counted from the use of the permit (F20)."""
STEPS_AT_ONE_INSTANT = 200_000


class Socket:
    """One connection of the wire: the shard's generation and the server's end."""

    def __init__(self, generation: int, server: ServerConnection) -> None:
        self.generation = generation
        self.server = server
        self.torn = False
        """Nothing passes any more."""
        self.client_gone = False
        """The shard has hung up; what still comes for it goes nowhere."""


class Link:
    """Drives one `Shard` and the connections that it makes to one `Server`.

    Args:
        rng: how the bytes are cut.
        latency: seconds each way.
        chunk: bytes at most in one `receive_data`, on both sides.
        observe: is told every action of the shard, before it is acted upon.
        observe_server: the same for the server's.
        observe_drain: is told what the shard put on the wire: generation, bytes, instant.
        accepted: is told each new connection of the server before the shard writes to it.

    `sink` holds the dispatches in the order in which they came. With `hold` = n the last n of them are not yet
    acknowledged by `Shard.delivered`, as in a consumer that is n events behind.
    """

    def __init__(
        self,
        shard: Shard,
        server: Server,
        *,
        rng: random.Random,
        latency: float = 0.05,
        chunk: int = 65536,
        now: float = 0.0,
        observe: Callable[[ShardAction], object] = lambda action: None,
        observe_server: Callable[[ServerAction], object] = lambda action: None,
        observe_drain: Callable[[int, bytes, float], object] = lambda generation, data, now: None,
        accepted: Callable[[ServerConnection], object] = lambda connection: None,
    ) -> None:
        self.shard = shard
        self.server = server
        self.now: float = now
        self.latency = latency
        self.chunk = chunk
        self.hold = 0
        self.sink: list[Dispatch] = []
        self.refuse_dials: int = 0
        """So many of the next dials fail."""
        self.is_paused: bool = False
        self.identified_at: float = float("-inf")
        """When the last permit was used; a shard of a later process has to know."""
        self._rng = rng
        self._observe = observe
        self._observe_server = observe_server
        self._observe_drain = observe_drain
        self._accepted = accepted
        self._acknowledged = 0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._sockets: dict[int, Socket] = {}
        self._current: Socket | None = None
        self._kept_back: list[bytes] = []

    # -- what a test does --------------------------------------------------------------------------------------

    def start(self) -> None:
        self.call(self.shard.connect)

    def call(self, method: Callable[..., list[ShardAction]], *args: Any, **kwargs: Any) -> None:
        """Call an input or command of the shard, `now` appended, and act on what it returns."""
        self._act(method(*args, self.now, **kwargs))

    def run(self, seconds: float) -> None:
        """Let time pass; everything that is due happens at its instant."""
        end = self.now + seconds
        steps, instant = 0, self.now
        while (due := self._next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            steps = steps + 1 if self.now == instant else 0
            instant = self.now
            if steps > STEPS_AT_ONE_INSTANT:
                raise RuntimeError("shard and server keep each other busy at one instant")
            self._step()
        self.now = end

    def sleep(self, seconds: float) -> None:
        """Let time pass for the world, but not for the shard's process: what was due is handled afterwards."""
        self.now += seconds

    def tear(self) -> None:
        """Reset the current socket: what is under way is lost, and both ends are told."""
        socket, self._current = self._current, None
        if socket is None or socket.torn:
            return
        socket.torn = True
        self._act_server(socket.server.receive_eof(self.now))
        self._act(self.shard.receive_eof(socket.generation, self.now))

    def abandon(self) -> None:
        """The shard's process is killed: every socket ends at the server, and the shard hears nothing more."""
        for socket in list(self._sockets.values()):
            socket.torn = True
            self._act_server(socket.server.receive_eof(self.now))
        self._sockets.clear()
        self._current = None
        self._queue.clear()

    def pause_reading(self) -> None:
        """The sink is full: what comes waits in the socket's buffer."""
        if self._current is not None and not self.is_paused:
            self.is_paused = True
            self.call(self.shard.reading_paused, self._current.generation)

    def resume_reading(self) -> None:
        if not self.is_paused:
            return
        self.is_paused = False
        kept, self._kept_back = self._kept_back, []
        socket = self._current
        if socket is None:
            return
        self.call(self.shard.reading_resumed, socket.generation)
        for data in kept:
            self._act(self.shard.receive_data(socket.generation, data, self.now))

    def act_server(self, actions: list[ServerAction]) -> None:
        """Act on what `Server.dispatch`, `broadcast` or `inject` returned."""
        self._act_server(actions)

    def acknowledge(self, hold: int = 0) -> None:
        """The consumer takes all dispatches but the last `hold`."""
        while self._acknowledged < len(self.sink) - hold:
            dispatch = self.sink[self._acknowledged]
            self._acknowledged += 1
            self.shard.delivered(dispatch.epoch, dispatch.sequence)

    @property
    def acknowledged(self) -> list[Dispatch]:
        """What the consumer has taken."""
        return self.sink[: self._acknowledged]

    @property
    def connection(self) -> ServerConnection | None:
        """The server's end of the current socket."""
        return self._current.server if self._current is not None else None

    # -- time --------------------------------------------------------------------------------------------------

    def _next_due(self) -> float | None:
        due = [self.shard.next_timeout(), self._queue[0][0] if self._queue else None]
        due += [socket.server.next_timeout() for socket in self._sockets.values()]
        return min((at for at in due if at is not None), default=None)

    def _step(self) -> None:
        if self._queue and self._queue[0][0] <= self.now:
            heapq.heappop(self._queue)[2]()
            return
        due = self.shard.next_timeout()
        if due is not None and due <= self.now:
            self._act(self.shard.handle_timeout(self.now))
            return
        for socket in list(self._sockets.values()):
            due = socket.server.next_timeout()
            if due is not None and due <= self.now:
                self._act_server(socket.server.handle_timeout(self.now))
                self._pump_server(socket)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._count, what))

    # -- the shard's side --------------------------------------------------------------------------------------

    def _act(self, actions: list[ShardAction]) -> None:
        for action in actions:
            self._observe(action)
            match action:
                case Connect():
                    self._dial(action)
                case Disconnect():
                    self._hang_up(action)
                case IdentifyWanted():
                    self._grant(action.permit())
                case PermitUsed(at=at):
                    self.identified_at = at
                case Dispatch():
                    self.sink.append(action)
        self.acknowledge(self.hold)
        self._pump_shard()

    def _dial(self, connect: Connect) -> None:
        generation = connect.generation
        if self.refuse_dials:
            self.refuse_dials -= 1
            self._later(self.latency, lambda: self._failed(generation))
        else:
            self._later(self.latency, lambda: self._open(generation))

    def _failed(self, generation: int) -> None:
        self._act(self.shard.connection_failed(generation, ConnectError("connection refused"), self.now))

    def _open(self, generation: int) -> None:
        if self.shard.snapshot().generation != generation:
            return
        socket = Socket(generation, self.server.accept(self.now))
        self._sockets[socket.server.id] = socket
        self._current = socket
        self.is_paused = False
        self._kept_back.clear()
        self._accepted(socket.server)
        self._act(self.shard.connection_made(generation, self.now))

    def _hang_up(self, disconnect: Disconnect) -> None:
        socket = self._current
        if socket is None or socket.generation != disconnect.generation:
            return
        self._current = None
        socket.client_gone = True
        if socket.torn:
            return
        self._send_to_server(socket, disconnect.farewell)
        self._later(self.latency, lambda: self._eof_at_server(socket))

    def _grant(self, permit: IdentifyPermit) -> None:
        wait = max(0.0, self.identified_at + IDENTIFY_SPACING - self.now)

        def grant() -> None:
            if self.identified_at + IDENTIFY_SPACING > self.now + 1e-9:
                self._grant(permit)
            else:
                self._act(self.shard.identify(permit, self.now))

        self._later(wait, grant)

    def _pump_shard(self) -> None:
        data = self.shard.data_to_send(self.now)
        if data and self._current is not None and not self._current.torn:
            self._observe_drain(self._current.generation, data, self.now)
            self._send_to_server(self._current, data)

    def _send_to_server(self, socket: Socket, data: bytes) -> None:
        for part in self._cut(data):
            self._later(self.latency, partial(self._at_server, socket, part))

    def _at_server(self, socket: Socket, data: bytes) -> None:
        if not socket.torn:
            self._act_server(socket.server.receive_data(data, self.now))
            self._pump_server(socket)

    def _eof_at_server(self, socket: Socket) -> None:
        if not socket.torn:
            self._act_server(socket.server.receive_eof(self.now))
            self._forget(socket)

    # -- the server's side -------------------------------------------------------------------------------------

    def _act_server(self, actions: list[ServerAction]) -> None:
        for action in actions:
            self._observe_server(action)
            if isinstance(action, Wake):
                socket = self._sockets.get(action.connection_id)
                if socket is not None:
                    self._pump_server(socket)
            elif isinstance(action, CloseSocket):
                self._closed_by_server(action)

    def _pump_server(self, socket: Socket) -> None:
        data = socket.server.data_to_send(self.now)
        if data and not socket.torn:
            for part in self._cut(data):
                self._later(self.latency, partial(self._at_shard, socket, part))

    def _closed_by_server(self, action: CloseSocket) -> None:
        socket = self._sockets.get(action.connection_id)
        if socket is None:
            return
        if not action.abort:
            self._pump_server(socket)
        self._later(self.latency, lambda: self._eof_at_shard(socket))
        self._forget(socket)

    def _forget(self, socket: Socket) -> None:
        self._sockets.pop(socket.server.id, None)

    def _at_shard(self, socket: Socket, data: bytes) -> None:
        if socket.torn or socket.client_gone:
            return
        if self.is_paused and socket is self._current:
            self._kept_back.append(data)
        else:
            self._act(self.shard.receive_data(socket.generation, data, self.now))

    def _eof_at_shard(self, socket: Socket) -> None:
        if socket.torn or socket.client_gone:
            return
        if self.is_paused and socket is self._current:
            self._later(1.0, lambda: self._eof_at_shard(socket))
            return
        socket.torn = True
        if self._current is socket:
            self._current = None
        self._act(self.shard.receive_eof(socket.generation, self.now))

    def _cut(self, data: bytes) -> list[bytes]:
        parts = []
        at = 0
        while at < len(data):
            size = self._rng.randint(max(1, self.chunk // 2), self.chunk)
            parts.append(data[at : at + size])
            at += size
        return parts
