"""`Hub` and `Pump` under random consumers that come, take, finish out of order and go, and a shard that starts again
(F24, F32, F33).

What must hold, whatever happens in whatever order:

1. An event is acknowledged only once every consumer that was offered it, and those of all events before, are done;
   acknowledgements never go back. None says twice that it is done.
2. A consumer is offered each event that it wants at most once, in order; none of those that came while it was there is
   left out.
3. Without a consumer one event is taken at most, and none delivered, unless one that went still says so. At most
   `width` events are under way.
4. What one that went had not done with is offered to the next one, or released by those that stay; however it went.
5. Once the shard is started again, what was not acknowledged comes again, and nobody is given it a second time but who
   has it in hand.
6. Once all are done with all, everything is acknowledged.
"""

from collections import deque

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_proto import Dispatch
from gateway_transports.client.flow import Feed, Hub, Item, Pump

pytestmark = pytest.mark.anyio
NAMES = ("A", "B", "C")


class FakeRunner:
    """A queue of events that is iterated, and remembers what was acknowledged."""

    def __init__(self, names: list[str], after: int = 0) -> None:
        self.events = deque(
            Dispatch(1, sequence, name, msgspec.Raw(b"{}"))
            for sequence, name in enumerate(names, start=1)
            if sequence > after
        )
        self.taken = self.acknowledged = after
        self.is_over = False
        self.ended = anyio.Event()

    def __aiter__(self) -> "FakeRunner":
        return self

    async def __anext__(self) -> Dispatch:
        await anyio.lowlevel.checkpoint()
        if not self.events:
            await self.ended.wait()
            raise StopAsyncIteration
        self.taken += 1
        return self.events.popleft()

    def acknowledge(self, event: Dispatch) -> None:
        assert event.sequence > self.acknowledged
        assert not self.is_over, "who asks for it is told nothing any more"
        self.acknowledged = event.sequence


class Taker(Feed):
    """A feed that finishes when it is told to, in any order."""

    def __init__(self, wanted: str) -> None:
        super().__init__(lambda name: name in wanted, lambda event: True)
        self.seen: list[Item] = []

    def offer(self, item: Item) -> None:
        assert self.wants(item.event.name)
        assert not any(one is item for one in self.seen)
        before = [(one.event.epoch, one.event.sequence) for one in self.seen if one.pump is item.pump]
        assert not before or (item.event.epoch, item.event.sequence) > before[-1]
        if not self.is_closed:
            self.seen.append(item)
        super().offer(item)

    @property
    def held(self) -> list[Item]:
        return [*self.in_hand, *self.queue]

    def finish_one(self, number: int) -> None:
        items = self.in_hand if number % 2 and self.in_hand else self.queue or self.in_hand
        item = items[number % len(items)]
        items.remove(item)
        item.done()


OPERATION = st.one_of(
    st.tuples(st.just("come"), st.sampled_from(["A", "B", "AB", "ABC"])),
    st.tuples(st.sampled_from(["take", "finish", "finish", "go", "drop", "finish late"]), st.integers(0, 50)),
    st.tuples(st.sampled_from(["pass", "pass", "pass", "start again"]), st.just(0)),
)
OPERATIONS = st.lists(OPERATION, max_size=40) | st.lists(OPERATION, min_size=20, max_size=40)
TWO_GO = [("come", "A"), ("come", "B"), ("come", "AB"), ("pass", 0), ("go", 0), ("go", 0), ("go", 0)]
"""What they leave is to be put in order, and some of it was left twice."""
A_DROP = [("come", "A"), ("pass", 0), ("come", "A"), ("go", 0), ("drop", 0), ("pass", 0)]
"""Nobody stays: it only looks so."""


async def settled() -> None:
    for _ in range(12):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


class FlowWorld:
    """A hub, the one shard that runs, and the consumers."""

    def __init__(self, names: list[str], width: int, group: anyio.abc.TaskGroup) -> None:
        self.hub = Hub()
        self.names = names
        self.width = width
        self.group = group
        self.takers: list[Taker] = []
        self.gone: list[Taker] = []
        self.taken = self.acknowledged = 0
        """When the last consumer went."""
        self.start(after=0)

    def start(self, after: int) -> None:
        self.runner, self.scope = FakeRunner(self.names, after), anyio.CancelScope()
        self.pump = Pump(
            self.hub,
            0,
            self.runner,
            width=self.width,
            on_delivered=lambda _: None,
        )
        self.group.start_soon(self.run, self.pump, self.scope)

    async def run(self, pump: Pump, scope: anyio.CancelScope) -> None:
        with scope:
            await pump.run()

    async def do(self, kind: str, value: int | str) -> None:
        if self.takers:
            self.note()
        if isinstance(value, str):
            self.takers.append(Taker(value))
            self.hub.add(self.takers[-1])
        elif kind == "pass":
            await settled()
        elif kind == "start again":
            await self.start_again()
        elif kind == "finish late" and self.gone:
            self.gone[value % len(self.gone)].finish()
            self.note()
        elif kind in ("go", "drop") and self.takers:
            taker = self.takers.pop(value % len(self.takers))
            self.gone.append(taker)
            (self.hub.remove if kind == "go" else self.hub.abandon)(taker)
        elif kind == "take" and (having := [one for one in self.takers if one.queue]):
            having[value % len(having)].take()
        elif kind == "finish" and (holding := [one for one in self.takers if one.held]):
            holding[value % len(holding)].finish_one(value)

    async def start_again(self) -> None:
        self.scope.cancel()
        await settled()
        self.pump.give_up(1)
        assert not any(item.pump is self.pump for taker in (*self.takers, *self.gone) for item in taker.queue)
        self.runner.is_over = True
        self.start(self.runner.acknowledged)
        self.note()

    def note(self) -> None:
        self.taken, self.acknowledged = self.runner.taken, self.runner.acknowledged

    def check(self) -> None:
        runner = self.runner
        held = [item.event.sequence for one in self.takers for item in one.held if item.pump is self.pump]
        assert runner.acknowledged < min(held, default=len(self.names) + 1)
        assert runner.taken - runner.acknowledged <= self.width
        assert all(item.pending >= 0 for taker in (*self.takers, *self.gone) for item in taker.seen)
        if not self.takers:
            assert runner.taken <= self.taken + 1
            assert runner.acknowledged <= self.acknowledged


async def run(names: list[str], width: int, operations: list[tuple[str, int | str]]) -> None:
    async with anyio.create_task_group() as group:
        w = FlowWorld(names, width, group)
        for kind, value in operations:
            await w.do(kind, value)
            w.check()
        await w.do("come", "ABC")
        last = w.takers[-1]
        begun = len(last.seen)  # what was left is offered first, and has gaps
        for _ in range(2 * len(names) + 2):
            for taker in w.takers:
                while taker.held:
                    taker.finish_one(0)
            await settled()
            w.check()
        assert w.runner.acknowledged == len(names)
        seen = [item.event.sequence for item in last.seen[begun:]]
        assert seen == list(range(len(names) + 1 - len(seen), len(names) + 1))
        w.runner.ended.set()


@pytest.mark.failure("F24", "F32", "F33")
@settings(max_examples=200)
@example(names=["A", "B", "A", "B"], width=6, operations=TWO_GO)
@example(names=["A"], width=1, operations=A_DROP)
@given(names=st.lists(st.sampled_from(NAMES), max_size=25), width=st.integers(1, 6), operations=OPERATIONS)
async def test_events_reach_their_consumers(
    names: list[str], width: int, operations: list[tuple[str, int | str]]
) -> None:
    await run(names, width, operations)


@pytest.mark.failure("F32")
async def test_what_does_not_come_again_is_not_given_up() -> None:
    """The session was lost, and another one begun, before the shard was over."""
    hub, runner, taker = Hub(), FakeRunner([]), Taker("A")
    hub.add(taker)
    runner.events += [Dispatch(epoch, sequence, "A", msgspec.Raw(b"{}")) for epoch in (1, 2) for sequence in (1, 2, 3)]
    pump = Pump(hub, 0, runner, width=9, on_delivered=lambda _: None)
    runner.ended.set()
    await pump.run()
    assert taker.take().event.epoch == 1
    pump.give_up(2)
    assert [(item.event.epoch, item.event.sequence) for item in taker.held] == [(1, 1), (1, 2), (1, 3)]
