"""A network in memory, and a clock that jumps: the real drivers, without sockets and without waiting.

    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.02, 0.2), chunk=1400)
        async with open_shard(config, dialer=network, clock=clock, rng=random.Random(2)) as runner: ...

Only what waits on this clock or on these streams is part of the virtual world: while a task waits for a thread or a
real socket, time runs past it.
"""

import contextlib
import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Final

import anyio
import anyio.lowlevel

from gateway_proto import ConnectError

from .contract import RECEIVE_SIZE
from .errors import StreamError
from .tasks import background

WINDOW: Final = 65536
"""Bytes under way in one direction before a `send` waits for the reader, as a socket's buffers hold them."""
_QUIET: Final = 10
"""Rounds of the event loop in which nothing stirs, before the look at whether everybody waits: that look is exact, but
on asyncio it sleeps for 0.1 s if it finds anybody busy."""


class VirtualClock:
    """A `Clock` that stands still until it is moved: by hand, or by `flow` to the next instant that somebody awaits."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._sleepers: list[tuple[float, int, anyio.CancelScope]] = []
        self._count = itertools.count()
        self._added = anyio.Event()
        self._stirs = 0

    def now(self) -> float:
        return self._now

    def stir(self) -> None:
        """Tell that something happens at this instant."""
        self._stirs += 1

    async def wait(self, event: anyio.Event, until: float | None) -> None:
        self.stir()
        if until is None:
            await event.wait()
        elif until > self._now and not event.is_set():
            with anyio.CancelScope() as scope:
                entry = (until, next(self._count), scope)
                heapq.heappush(self._sleepers, entry)
                self._added.set()
                try:
                    await event.wait()
                finally:
                    if entry in self._sleepers:
                        self._sleepers.remove(entry)
                        heapq.heapify(self._sleepers)
        else:
            await anyio.lowlevel.checkpoint()

    async def sleep(self, seconds: float) -> None:
        await self.wait(anyio.Event(), self._now + seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass at once. What is due in between wakes only afterwards, as after a blocked loop or a suspend."""
        self._now += seconds
        self._wake()

    async def flow(self) -> None:
        """For ever: once every task waits, jump to the next instant that one of them awaits."""
        while True:
            while not self._sleepers:
                self._added = anyio.Event()
                await self._added.wait()
            rounds, stirs = 0, self._stirs
            while rounds < _QUIET:
                await anyio.lowlevel.checkpoint()
                rounds = rounds + 1 if stirs == self._stirs else 0
                stirs = self._stirs
            await anyio.wait_all_tasks_blocked()
            if self._sleepers:
                self._now = max(self._now, self._sleepers[0][0])
                self._wake()

    def _wake(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._now:
            heapq.heappop(self._sleepers)[2].cancel()


@contextlib.asynccontextmanager
async def virtual_time(start: float = 0.0) -> AsyncIterator[VirtualClock]:
    """A `VirtualClock` that flows for as long as the block runs."""
    clock = VirtualClock(start)
    async with background() as group:
        group.start_soon(clock.flow)
        yield clock


class _Pipe:
    """One direction: bytes under way, each with the instant at which it arrives."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.chunks: deque[tuple[float, bytes]] = deque()
        self.size = 0
        self.last_arrival: float = -math.inf
        self.eof_at: float | None = None
        self.reset_at: float | None = None
        self.reader_gone = False
        self.changed: anyio.Event = anyio.Event()

    def stir(self) -> None:
        self._clock.stir()
        self.changed.set()
        self.changed = anyio.Event()


class MemoryStream:
    """One end of a connection of a `MemoryNetwork`."""

    def __init__(self, network: "MemoryNetwork", incoming: _Pipe, outgoing: _Pipe) -> None:
        self._network = network
        self._in = incoming
        self._out = outgoing
        self._closed = False
        self._broken = False

    @property
    def is_open(self) -> bool:
        """Neither closed nor reset on this side."""
        return not (self._closed or self._broken)

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        pipe, clock = self._in, self._network.clock
        while True:
            self._check_open()
            now = clock.now()
            if pipe.reset_at is not None and pipe.reset_at <= now:
                raise StreamError("the connection was reset by the peer")
            if pipe.chunks and pipe.chunks[0][0] <= now:
                await anyio.lowlevel.checkpoint()
                if self._closed or not pipe.chunks:
                    continue
                return self._take(now, min(max_bytes, self._network.draw_chunk()))
            if not pipe.chunks and pipe.eof_at is not None and pipe.eof_at <= now:
                await anyio.lowlevel.checkpoint()
                return b""
            awaited = [
                at for at in (pipe.chunks[0][0] if pipe.chunks else pipe.eof_at, pipe.reset_at) if at is not None
            ]
            await clock.wait(pipe.changed, min(awaited, default=None))

    async def send(self, data: bytes) -> None:
        try:
            await self._send(data)
        except StreamError:
            raise
        except BaseException:
            await self.aclose()
            raise

    async def send_eof(self) -> None:
        self._check_sendable()
        if self._out.eof_at is None:
            self._out.eof_at = self._arrival(self._out)
            self._out.stir()
        await anyio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            # Like TCP: whoever closes with unread data resets the peer, and what was under way to it is lost.
            self._end(reset=self._in.size > 0)
        await anyio.lowlevel.checkpoint()

    def reset(self) -> None:
        """Break the connection on both sides: this one at once, the peer after the latency."""
        self._broken = True
        self._end(reset=True)

    def _end(self, *, reset: bool) -> None:
        now = self._network.clock.now()
        at = self._arrival(self._out)
        if reset:
            self._out.reset_at = now + self._network.draw_latency()
        elif self._out.eof_at is None:
            self._out.eof_at = at
        self._in.reader_gone = True
        self._in.chunks.clear()
        self._in.size = 0
        self._in.stir()
        self._out.stir()

    async def _send(self, data: bytes) -> None:
        pipe = self._out
        await anyio.lowlevel.checkpoint()
        self._check_sendable()
        view = memoryview(data)
        while view:
            room = self._network.window - pipe.size
            if room > 0:
                part = bytes(view[:room])
                pipe.chunks.append((self._arrival(pipe), part))
                pipe.size += len(part)
                pipe.stir()
                view = view[room:]
            else:
                await self._network.clock.wait(pipe.changed, None)
                self._check_sendable()

    def _take(self, now: float, size: int) -> bytes:
        pipe = self._in
        parts, left = [], size
        while left > 0 and pipe.chunks and pipe.chunks[0][0] <= now:
            arrival, part = pipe.chunks.popleft()
            if len(part) > left:
                pipe.chunks.appendleft((arrival, part[left:]))
                part = part[:left]
            parts.append(part)
            left -= len(part)
        pipe.size -= size - left
        pipe.stir()
        return b"".join(parts)

    def _arrival(self, pipe: _Pipe) -> float:
        # In order: nothing overtakes what was sent before it.
        pipe.last_arrival = max(pipe.last_arrival, self._network.clock.now() + self._network.draw_latency())
        return pipe.last_arrival

    def _check_open(self) -> None:
        if self._closed:
            raise StreamError("the stream is closed")
        if self._broken:
            raise StreamError("the connection was reset")

    def _check_sendable(self) -> None:
        self._check_open()
        pipe = self._out
        if pipe.reader_gone or (self._in.reset_at is not None and self._in.reset_at <= self._network.clock.now()):
            raise StreamError("the peer is gone")


class MemoryListener:
    """Where a `MemoryNetwork` accepts connections."""

    def __init__(self) -> None:
        self._waiting: deque[MemoryStream] = deque()
        self._arrived = anyio.Event()

    async def accept(self) -> MemoryStream:
        """The next connection."""
        while not self._waiting:
            await self._arrived.wait()
        return self._waiting.popleft()

    async def serve(self, handler: Callable[[MemoryStream], Coroutine[Any, Any, object]]) -> None:
        """Give each connection to `handler`, in a task of its own. For ever; what a handler raises ends it."""
        async with anyio.create_task_group() as group:
            while True:
                group.start_soon(handler, await self.accept())

    def put(self, stream: MemoryStream) -> None:
        self._waiting.append(stream)
        self._arrived.set()
        self._arrived = anyio.Event()


class MemoryNetwork:
    """Hosts that listen, connections between them, and what can happen to those. A `Dialer`.

    Args:
        rng: how long things take and how bytes are cut; the same seed gives the same draws.
        latency: seconds each way, drawn from this range for each send.
        chunk: bytes that one `receive` gives at most; the size is drawn up to it. None: whatever is there.
        window: bytes under way in one direction before `send` waits.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        rng: random.Random,
        latency: tuple[float, float] = (0.0, 0.0),
        chunk: int | None = None,
        window: int = WINDOW,
    ) -> None:
        self.clock = clock
        self.latency = latency
        self.chunk = chunk
        self.window = window
        self._dialled: list[MemoryStream] = []
        self._rng = rng
        self._listeners: dict[tuple[str, int], MemoryListener] = {}

    @property
    def connections(self) -> list[MemoryStream]:
        """The dialling ends that are open, oldest first; `reset` one to break it."""
        self._dialled = [stream for stream in self._dialled if stream.is_open]
        return list(self._dialled)

    def listen(self, host: str, port: int) -> MemoryListener:
        """Accept what is dialled to this host and port from now on."""
        listener = self._listeners[host, port] = MemoryListener()
        return listener

    def close(self, host: str, port: int) -> None:
        """Refuse it from now on."""
        self._listeners.pop((host, port), None)

    async def dial(self, host: str, port: int, *, tls: bool) -> MemoryStream:
        """Connect after one latency. With `tls`, too, the bytes are plain: wrap both ends yourself if you want it."""
        await self.clock.sleep(self.draw_latency())
        listener = self._listeners.get((host, port))
        if listener is None:
            raise ConnectError(f"cannot connect to {host}:{port}: nobody listens there")
        ours, theirs = self.pair()
        self._dialled = [*self.connections, ours]
        listener.put(theirs)
        return ours

    def pair(self) -> tuple[MemoryStream, MemoryStream]:
        """Two connected streams."""
        one, other = _Pipe(self.clock), _Pipe(self.clock)
        return MemoryStream(self, one, other), MemoryStream(self, other, one)

    def draw_latency(self) -> float:
        return self._rng.uniform(*self.latency)

    def draw_chunk(self) -> int:
        return RECEIVE_SIZE if self.chunk is None else self._rng.randint(1, self.chunk)
