"""`Hub` and `Pump` under random consumers that come, take, finish out of order and go (F24, F32, F33).

What must hold, whatever happens in whatever order:

1. An event is acknowledged only once every consumer that was offered it, and those of all events before, are done;
   acknowledgements never go back.
2. A consumer is offered each event that it wants at most once, in order; none of those that came while it was there is
   left out.
3. Without a consumer one event is taken at most, and none delivered. At most `width` events are under way.
4. What one that went had not done with is offered to the next one, or released by those that stay.
5. Once all are done with all, everything is acknowledged.
"""

from collections import deque

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import Dispatch
from gateway_transports.client.flow import Hub, Item, Pump

pytestmark = pytest.mark.anyio
NAMES = ("A", "B", "C")


class FakeRunner:
    """A queue of events that is iterated, and remembers what was acknowledged."""

    def __init__(self, names: list[str]) -> None:
        self.events = deque(
            Dispatch(1, sequence, name, msgspec.Raw(b"{}")) for sequence, name in enumerate(names, start=1)
        )
        self.taken = 0
        self.acknowledged = 0
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
        self.acknowledged = event.sequence


class Taker:
    """A consumer that finishes when it is told to, in any order."""

    def __init__(self, wanted: str) -> None:
        self.wanted = wanted
        self.held: list[Item] = []
        self.seen: list[int] = []

    def wants(self, name: str) -> bool:
        return name in self.wanted

    def offer(self, item: Item) -> None:
        assert self.wants(item.event.name)
        assert not self.seen or item.event.sequence > self.seen[-1]
        self.seen.append(item.event.sequence)
        self.held.append(item)

    def stir(self) -> None: ...


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.sampled_from(["A", "B", "AB", "ABC"])),
        st.tuples(st.just("finish"), st.integers(0, 50)),
        st.tuples(st.just("go"), st.integers(0, 50)),
        st.tuples(st.just("pass"), st.integers(1, 5)),
    ),
    max_size=40,
)


async def settled() -> None:
    for _ in range(12):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


async def run(names: list[str], width: int, operations: list[tuple[str, int | str]]) -> None:
    hub, runner = Hub(), FakeRunner(names)
    pump = Pump(hub, 0, runner, width=width, on_delivered=lambda _: None)  # type: ignore[arg-type]
    takers: list[Taker] = []

    def check() -> None:
        held = [item.event.sequence for taker in takers for item in taker.held]
        assert runner.acknowledged < min(held, default=len(names) + 1)
        assert runner.taken - runner.acknowledged <= width
        if not takers:
            assert runner.taken <= taken + 1
            assert runner.acknowledged <= acknowledged

    async with anyio.create_task_group() as group:
        group.start_soon(pump.run)
        taken = acknowledged = 0
        for kind, value in operations:
            if takers:
                taken, acknowledged = runner.taken, runner.acknowledged
            if kind == "come":
                assert isinstance(value, str)
                takers.append(Taker(value))
                hub.add(takers[-1])
            elif kind == "finish" and (holding := [one for one in takers if one.held]):
                assert isinstance(value, int)
                taker = holding[value % len(holding)]
                taker.held.pop(value % len(taker.held)).done()
            elif kind == "go" and takers:
                assert isinstance(value, int)
                gone = takers.pop(value % len(takers))
                hub.remove(gone, gone.held[0] if value % 2 and gone.held else None, gone.held[value % 2 :])
            else:
                await settled()
            check()
        last = Taker("ABC")
        takers.append(last)
        hub.add(last)
        begun = len(last.seen)
        for _ in range(2 * len(names) + 2):
            for taker in takers:
                while taker.held:
                    taker.held.pop().done()
            await settled()
            check()
        assert runner.acknowledged == len(names)
        assert last.seen[begun:] == list(range(len(names) + 1 - len(last.seen[begun:]), len(names) + 1))
        runner.ended.set()


@pytest.mark.failure("F24", "F32", "F33")
@given(names=st.lists(st.sampled_from(NAMES), max_size=25), width=st.integers(1, 6), operations=OPERATIONS)
async def test_events_reach_their_consumers(
    names: list[str], width: int, operations: list[tuple[str, int | str]]
) -> None:
    await run(names, width, operations)
