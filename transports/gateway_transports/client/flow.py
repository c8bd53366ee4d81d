"""From the shards' queues to whoever takes their events, and back: when is an event delivered (F24, F32, F33)?

Each shard has a `Pump`. It takes the shard's events in order, offers each to the consumers that want it, and has at
most `width` of them under way; the rest waits in the shard's own queue, whose bounds stop the reading of that shard and
of no other. An event is delivered once every consumer that wanted it, and those of all events before it, are done.

Handlers stay; a `Feed`, which is the hub's end of an iterator, may go. What it leaves in its queue is for the next
consumer that comes, what it has in hand is done then; or both are done once those that stay go on without it. A shard
that is over, and whose session another one takes up, takes back what nobody has in hand: it comes again.
"""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Set
from typing import Final, Protocol

import anyio
import anyio.lowlevel

from gateway_proto import Dispatch

from ..clock import Clock
from ..tasks import caller

_TURN: Final = 64
"""Events that a pump hands on before other tasks get their turn."""


class Item:
    """An event under way."""

    __slots__ = ("event", "number", "pending", "pump")

    def __init__(self, event: Dispatch, pump: "Pump", number: int, pending: int) -> None:
        self.event: Dispatch = event
        self.number: int = number
        """Of all that its pump took, in order."""
        self.pump: Pump = pump
        self.pending: int = pending
        """Consumers that have not done with it."""

    def done(self) -> None:
        """One of them has."""
        self.pending -= 1
        if not self.pending:
            self.pump.settle()


class Consumer(Protocol):
    """A handler, or the feed of an iterator."""

    def wants(self, name: str) -> bool: ...

    def offer(self, item: Item) -> None:
        """Take it, and say `item.done()` some time."""
        ...

    def forget(self, items: Set[Item]) -> None:
        """These come again: drop those that are not in hand."""
        ...

    def stir(self) -> None:
        """No shard runs any more."""
        ...


class Feed:
    """What a hub knows of an iterator: it must not keep it alive.

    Args:
        wants: asks for events of this name.
        takes: asks for this one, of a name that it wants.
    """

    def __init__(self, wants: Callable[[str], bool], takes: Callable[[Dispatch], bool]) -> None:
        self.wants = wants
        self.in_hand: list[Item] = []
        """Taken, and not done with: several, if they were taken together."""
        self.queue: deque[Item] = deque()
        """Offered, and not taken yet."""
        self.stirred: anyio.Event = anyio.Event()
        self.is_closed: bool = False
        self._takes = takes

    def offer(self, item: Item) -> None:
        if not self.is_closed and self._takes(item.event):
            self.queue.append(item)
            self.stirred.set()
        else:
            item.done()

    def take(self) -> Item:
        item = self.queue.popleft()
        self.in_hand.append(item)
        return item

    def finish(self) -> None:
        """It has done with what it has in hand."""
        items, self.in_hand = self.in_hand, []
        for item in items:
            item.done()

    def leave(self) -> list[Item]:
        """It has gone for good: finish, and give away what it has not taken."""
        self.finish()
        items = list(self.queue)
        self.queue.clear()
        return items

    def forget(self, items: Set[Item]) -> None:
        self.queue = deque(item for item in self.queue if item not in items)

    def stir(self) -> None:
        self.stirred.set()


class Hub:
    """The consumers of a client. Without any, nothing is taken from the shards."""

    def __init__(self) -> None:
        self._consumers: list[Consumer] = []
        self._by_name: dict[str, tuple[Consumer, ...]] = {}
        self._stirred = anyio.Event()
        self._gone: list[Feed] = []
        """What they left is nobody's yet."""
        self._abandoned: deque[Feed] = deque()
        self._soon: Callable[[Callable[[], object]], object] = lambda function: None
        self.is_closing: bool = False
        """The client's block is left: what is not in a handler's hands waits for the next process."""
        self.is_over: bool = False

    @property
    def has_consumers(self) -> bool:
        self._sweep()
        return bool(self._consumers)

    def live_here(self) -> None:
        """Its event loop is this one."""
        self._soon = caller()

    def add(self, consumer: Consumer) -> None:
        """From now on; and what those that went have left behind is for this one first."""
        self._sweep()
        self._consumers.append(consumer)
        self._by_name.clear()
        offered: set[Item] = set()
        for item in sorted(self._left(), key=lambda item: item.number):
            if item not in offered and consumer.wants(item.event.name):
                offered.add(item)  # two that went may both have left it
                consumer.offer(item)
            else:
                item.done()
        self.stir()

    def remove(self, feed: Feed) -> None:
        """It goes. What it has not done with waits for the next consumer, or until it is clear that the others are all
        there are; if the client ends before that, it comes again with the next process. What it has in hand may still
        be finished."""
        if feed.is_closed:
            return
        feed.is_closed = True
        self._consumers.remove(feed)
        self._by_name.clear()
        self._gone.append(feed)
        for pump in {item.pump for item in (*feed.in_hand, *feed.queue)}:
            pump.nudge()
        feed.stir()

    def abandon(self, feed: Feed) -> None:
        """Remove it soon. May be called by any thread, and by a garbage collection in the midst of anything."""
        self._abandoned.append(feed)
        with contextlib.suppress(RuntimeError):  # the event loop is gone
            self._soon(self._sweep)

    def forget(self, items: Set[Item]) -> None:
        """Nobody is to take these any more: they come again."""
        for consumer in (*self._consumers, *self._gone):
            consumer.forget(items)

    def consumers(self, name: str) -> tuple[Consumer, ...]:
        found = self._by_name.get(name)
        if found is None:
            found = tuple(consumer for consumer in self._consumers if consumer.wants(name))
            if len(self._by_name) < 1000:  # Discord's names are a hundred; a hostile peer's are without end
                self._by_name[name] = found
        return found

    def release(self) -> None:
        """Whoever is there goes on without those that went."""
        if self._gone and self.has_consumers:
            for item in self._left():
                item.done()

    def stir(self) -> None:
        """Let `wait` return."""
        self._stirred.set()
        self._stirred = anyio.Event()

    async def wait(self) -> None:
        await self._stirred.wait()

    def end(self) -> None:
        """No shard runs any more."""
        self.is_over = True
        for consumer in self._consumers:
            consumer.stir()

    def _left(self) -> list[Item]:
        """What those that went had not taken, once for each of them; what they had in hand is done now."""
        gone, self._gone = self._gone, []
        return [item for feed in gone for item in feed.leave()]

    def _sweep(self) -> None:
        while self._abandoned:
            self.remove(self._abandoned.popleft())


class Source(Protocol):
    """What a pump needs of a `ShardRunner`."""

    def __aiter__(self) -> AsyncIterator[Dispatch]: ...
    def acknowledge(self, event: Dispatch, /) -> object:
        """It and all before it are taken for good."""
        ...


class Pump:
    """The road of one shard's events. `run` ends as the runner's iteration does, and raises what that raises."""

    def __init__(
        self, hub: Hub, shard_id: int, runner: Source, *, width: int, on_delivered: Callable[[int], object]
    ) -> None:
        self.shard_id: int = shard_id
        self._runner = runner
        self._hub = hub
        self._width = width
        self._on_delivered = on_delivered
        self.running: int = 0
        """Handlers that run."""
        self._items: deque[Item] = deque()
        self._room = anyio.Event()

    async def run(self) -> None:
        hub, items, width = self._hub, self._items, self._width
        turn = 0
        hub.live_here()
        async for event in self._runner:
            turn += 1
            if not hub.has_consumers:
                await self._wait_for_consumers()
            consumers = hub.consumers(event.name)
            if consumers:
                item = Item(event, self, turn, len(consumers))
                items.append(item)
                for consumer in consumers:
                    consumer.offer(item)
            elif items:
                items.append(Item(event, self, turn, 0))
            else:
                self._deliver(event)
            if turn % _TURN == 0:
                await anyio.lowlevel.checkpoint()
            hub.release()
            if len(items) >= width:
                await self._wait_for_room()

    def settle(self) -> None:
        """An item is done: what is so from the first on is delivered."""
        items = self._items
        last: Dispatch | None = None
        while items and not items[0].pending:
            last = items.popleft().event
        if last is not None:
            self._deliver(last)
        if len(items) * 2 <= self._width or not items:
            self._room.set()

    def _deliver(self, event: Dispatch) -> None:
        self._runner.acknowledge(event)
        self._on_delivered(self.shard_id)

    async def drained(self, clock: Clock, grace: float) -> None:
        """Wait until nothing of it is under way, `grace` seconds at most. When the client ends, only handlers that run
        are waited for: nobody iterates any more."""
        until = clock.now() + grace
        while clock.now() < until and (self.running or (self._items and not self._hub.is_closing)):
            self._room = anyio.Event()
            await clock.wait(self._room, until)

    def give_up(self, epoch: int) -> None:
        """Its shard is over, and the next one brings again what of this session was not delivered."""
        again = {item for item in self._items if item.event.epoch == epoch}
        self._items.clear()
        self._hub.forget(again)

    def nudge(self) -> None:
        """Something that it may wait for has happened."""
        self._room.set()

    async def _wait_for_room(self) -> None:
        while len(self._items) >= self._width:
            self._room = anyio.Event()
            await self._room.wait()
            self._hub.release()

    async def _wait_for_consumers(self) -> None:
        while not self._hub.has_consumers:
            await self._hub.wait()
