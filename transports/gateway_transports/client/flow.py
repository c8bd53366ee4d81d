"""From the shards' queues to whoever takes their events, and back: when is an event delivered (F24, F32, F33)?

Each shard has a `Pump`. It takes the shard's events in order, offers each to the consumers that want it, and has at
most `width` of them under way; the rest waits in the shard's own queue, whose bounds stop the reading of that shard and
of no other. An event is delivered once every consumer that wanted it, and those of all events before it, are done.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import anyio
import anyio.lowlevel

from gateway_proto import Dispatch

from ..anyio import ShardRunner
from ..clock import Clock

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
    """A handler, or the iterator of a task."""

    def wants(self, name: str) -> bool: ...

    def offer(self, item: Item) -> None:
        """Take it, and say `item.done()` some time."""
        ...

    def stir(self) -> None:
        """No shard runs any more."""
        ...


class Hub:
    """The consumers of a client. Without any, nothing is taken from the shards."""

    def __init__(self) -> None:
        self._consumers: list[Consumer] = []
        self._by_name: dict[str, tuple[Consumer, ...]] = {}
        self._stirred = anyio.Event()
        self._left: list[tuple[Item, bool]] = []
        """Of consumers that went: what they had not done with, and whether they had it in hand."""
        self.is_closing: bool = False
        """The client's block is left: what is not in a handler's hands waits for the next process."""
        self.is_over: bool = False

    @property
    def has_consumers(self) -> bool:
        return bool(self._consumers)

    def add(self, consumer: Consumer) -> None:
        """From now on; and what one that went has left behind is for this one first."""
        self._consumers.append(consumer)
        self._by_name.clear()
        left, self._left = self._left, []
        offered: set[Item] = set()
        for item, was_in_hand in sorted(left, key=lambda entry: entry[0].number):
            if not was_in_hand and item not in offered and consumer.wants(item.event.name):
                offered.add(item)  # two that went may both have left it
                consumer.offer(item)
            else:
                item.done()
        self.stir()

    def remove(
        self, consumer: Consumer, taken: Item | None, queued: Iterable[Item], *, batch: Iterable[Item] = ()
    ) -> None:
        """It goes. What it has not done with waits for the next one, or until it is clear that the others are all there
        are; if the client ends before that, it comes again with the next process.

        Args:
            batch: what it took before `taken`, and has not done with either.
        """
        self._consumers.remove(consumer)
        self._by_name.clear()
        in_hand = (*batch, taken) if taken is not None else tuple(batch)
        self._left += ((item, True) for item in in_hand)
        self._left += ((item, False) for item in queued)
        for item, _ in self._left:
            item.pump.nudge()

    def consumers(self, name: str) -> tuple[Consumer, ...]:
        found = self._by_name.get(name)
        if found is None:
            found = tuple(consumer for consumer in self._consumers if consumer.wants(name))
            if len(self._by_name) < 1000:  # Discord's names are a hundred; a hostile peer's are without end
                self._by_name[name] = found
        return found

    def release(self) -> None:
        """Whoever is there goes on without those that went."""
        if self._consumers and self._left:
            left, self._left = self._left, []
            for item, _ in left:
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


class Pump:
    """The road of one shard's events. `run` ends as the runner's iteration does, and raises what that raises."""

    def __init__(
        self, hub: Hub, shard_id: int, runner: ShardRunner, *, width: int, on_delivered: Callable[[int], object]
    ) -> None:
        self.shard_id: int = shard_id
        self.runner: ShardRunner = runner
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
        async for event in self.runner:
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
        self.runner.acknowledge(event)
        self._on_delivered(self.shard_id)

    async def drained(self, clock: Clock, grace: float) -> None:
        """Wait until nothing of it is under way, `grace` seconds at most. When the client ends, only handlers that run
        are waited for: nobody iterates any more."""
        until = clock.now() + grace
        while clock.now() < until and (self.running or (self._items and not self._hub.is_closing)):
            self._room = anyio.Event()
            await clock.wait(self._room, until)

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
