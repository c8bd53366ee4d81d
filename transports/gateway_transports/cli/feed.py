"""Streams of events into a served gateway, at a pace.

A stream belongs to a shard and not to a session: it goes on while the shard is away, so that a RESUME replays what came
meanwhile, and a session that is new finds it where it stands, so that what fell in between two sessions is missing in
the numbers.
"""

from collections.abc import Callable
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel

from gateway_proto import Secret
from gateway_proto.server import Identified, ServerAction, SessionEnded, ShardInfo
from gateway_proto.server.actions import UNSHARDED
from gateway_proto.testing.stream import EventStream

from ..serve import Gateway

BREATH: Final = 0.005
"""Seconds until the next look whether clients have caught up, for a feed as fast as they read."""
TURN: Final = 64
"""Events sent in one go, before other tasks get their turn."""


class Pace:
    """`rate` events a second from `start` on, by due times, so that a late one makes the next no later.

    Args:
        rate: None for as fast as it goes.
    """

    def __init__(self, rate: float | None, start: float) -> None:
        self._rate = rate
        self._start = start
        self.sent = 0

    @property
    def has_no_rate(self) -> bool:
        """As fast as it goes."""
        return self._rate is None

    def due(self, now: float) -> int:
        """How many are to be sent now, `TURN` at most."""
        if self._rate is None:
            return TURN
        if now < self.next_at():
            return 0
        # One at least: rounding must not make the instant that `next_at` named too early.
        return min(TURN, max(1, int((now - self._start) * self._rate) + 1 - self.sent))

    def next_at(self) -> float:
        """When the next one is due."""
        return self._start if self._rate is None else self._start + self.sent / self._rate


class ShardFeed:
    """One shard's stream, and its sessions, which are sent every event of it.

    Args:
        limit: so many events and no more; None is endless.
    """

    def __init__(self, gateway: Gateway, stream: EventStream, limit: int | None = None) -> None:
        self.sessions: list[Secret] = []
        self._gateway = gateway
        self._stream = stream
        self._limit = limit

    @property
    def number(self) -> int:
        """The last number sent."""
        return self._stream.number

    @property
    def is_done(self) -> bool:
        return self._limit is not None and self.number >= self._limit

    def send(self) -> int:
        """Send the next event; returns its number."""
        name, data = next(self._stream)
        for session_id in tuple(self.sessions):  # a dispatch can find out that one has expired
            self._gateway.dispatch(session_id, name, data)
        return self.number


class Feeds:
    """The streams of all shards that identify, each paced in a task of its own. Hand it every action of the gateway.

    A shard whose stream is done gets a new one, from number 1, with its next IDENTIFY.

    Args:
        rate: events a second for each shard; None for as fast as clients read.
        limit: events for each shard; None for no end.
        stream: makes the stream of a shard.
        on_done: told a shard, and its last number, once its stream is done.
    """

    def __init__(
        self,
        gateway: Gateway,
        group: anyio.abc.TaskGroup,
        *,
        rate: float | None,
        limit: int | None,
        stream: Callable[[ShardInfo], EventStream],
        on_done: Callable[[ShardInfo, int], object],
    ) -> None:
        self._gateway = gateway
        self._group = group
        self._rate = rate
        self._limit = limit
        self._stream = stream
        self._on_done = on_done
        self._feeds: dict[ShardInfo, _PacedFeed] = {}

    def numbers(self) -> dict[ShardInfo, int]:
        """The last number sent, of each shard that has a stream."""
        return {shard: paced.feed.number for shard, paced in self._feeds.items()}

    def number(self, shard: ShardInfo) -> int:
        """The last number sent of this shard, 0 before the first."""
        paced = self._feeds.get(shard)
        return paced.feed.number if paced is not None else 0

    def on_action(self, action: ServerAction) -> None:
        match action:
            case Identified(session_id=session_id):
                paced = self._of(action.shard or UNSHARDED)
                paced.feed.sessions.append(session_id)
                paced.stir()
            case SessionEnded(session_id=session_id):
                ended = self._feeds.get(action.shard or UNSHARDED)
                if ended is not None and session_id in ended.feed.sessions:
                    ended.feed.sessions.remove(session_id)

    def _of(self, shard: ShardInfo) -> "_PacedFeed":
        paced = self._feeds.get(shard)
        if paced is None or paced.feed.is_done:
            feed = ShardFeed(self._gateway, self._stream(shard), self._limit)
            paced = self._feeds[shard] = _PacedFeed(feed, self._gateway, self._rate)
            self._group.start_soon(self._run, shard, paced)
        return paced

    async def _run(self, shard: ShardInfo, paced: "_PacedFeed") -> None:
        await paced.run()
        self._on_done(shard, paced.feed.number)


class _PacedFeed:
    """Runs one feed while it has sessions."""

    def __init__(self, feed: ShardFeed, gateway: Gateway, rate: float | None) -> None:
        self.feed = feed
        self._gateway = gateway
        self._clock = gateway.clock
        self._rate = rate
        self._stirred = anyio.Event()

    def stir(self) -> None:
        self._stirred.set()

    async def run(self) -> None:
        feed, clock = self.feed, self._clock
        pace = Pace(self._rate, clock.now())
        while not feed.is_done:
            if not feed.sessions:
                self._stirred = anyio.Event()
                await self._stirred.wait()
                pace = Pace(self._rate, clock.now())
                continue
            for _ in range(pace.due(clock.now())):
                if feed.is_done:
                    return
                pace.sent += 1
                feed.send()
            await rest(self._gateway, pace)


async def rest(gateway: Gateway, pace: Pace) -> None:
    """Until the next event is due and, without a rate, until clients have room for it."""
    await gateway.clock.wait(anyio.Event(), pace.next_at())
    await anyio.lowlevel.checkpoint()
    while pace.has_no_rate and not gateway.has_room():
        await gateway.clock.wait(anyio.Event(), gateway.clock.now() + BREATH)


class WorldFeed:
    """What happens in the gateway's world, at a pace, while there are sessions. Hand it every action of the gateway.

    Args:
        rate: events a second in the whole world; None for as fast as clients read.
        limit: so many events and no more; None is endless.
        on_done: told each shard that was sent any, and its last number, once all have happened.
    """

    def __init__(
        self,
        gateway: Gateway,
        *,
        rate: float | None,
        limit: int | None,
        on_done: Callable[[ShardInfo, int], object],
    ) -> None:
        world = gateway.server.world
        if world is None:
            raise ValueError("the gateway has no world")
        self._gateway = gateway
        self._world = world
        self._rate = rate
        self._limit = limit
        self._on_done = on_done
        self._sessions: set[Secret] = set()
        self._stirred = anyio.Event()
        self.sent: int = 0
        """Events that have happened."""

    def numbers(self) -> dict[ShardInfo, int]:
        """The last number sent, of each shard that was sent any."""
        return dict(self._gateway.server.world_numbers())

    def number(self, shard: ShardInfo) -> int:
        """The last number sent of this shard, 0 before the first."""
        return self._gateway.server.world_numbers().get(shard, 0)

    def on_action(self, action: ServerAction) -> None:
        match action:
            case Identified(session_id=session_id):
                self._sessions.add(session_id)
                self._stirred.set()
            case SessionEnded(session_id=session_id):
                self._sessions.discard(session_id)

    async def run(self) -> None:
        """Until all have happened, or cancelled."""
        clock = self._gateway.clock
        pace = Pace(self._rate, clock.now())
        while self._limit is None or self.sent < self._limit:
            if not self._sessions:
                self._stirred = anyio.Event()
                await self._stirred.wait()
                pace = Pace(self._rate, clock.now())
            await rest(self._gateway, pace)
            for _ in range(min(pace.due(clock.now()), self._left())):
                pace.sent += 1
                self.sent += 1
                self._gateway.dispatch_world(self._world.next_event())
        for shard, number in self.numbers().items():
            self._on_done(shard, number)

    def _left(self) -> int:
        return TURN if self._limit is None else self._limit - self.sent
