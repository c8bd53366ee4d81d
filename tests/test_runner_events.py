"""A runner's events: none lost, none doubled, in order, whatever happens to sockets, consumers and processes."""

import random

import anyio
import pytest

from gateway_proto import ConnectionStage, DiscardCause, LocalProtocolError, Session, SessionLost
from gateway_proto.server import AskReconnect, ConnectionClosed, Drop, Identified, SessionEnded, SessionResumed

from .transport_helpers import World, number, take, world

pytestmark = pytest.mark.anyio


async def test_events_come_in_order_over_drops() -> None:
    async with world(chunk=300) as w, w.open_shard(config={"transport_compression": "zlib-stream"}) as runner:
        ready = await anext(runner)
        assert ready.name == "READY"
        got: list[int] = []
        for _ in range(5):
            w.send(100)
            got += await take(runner, 50)
            w.inject(Drop())
            got += await take(runner, 50)
            await w.until(lambda: w.session.connected and runner.stage is ConnectionStage.CONNECTED)
        assert got == list(range(1, 501))
        assert len(w.of(Identified)) == 1
        assert len(w.of(SessionResumed)) == 5
        assert runner.snapshot().resumes_won == 5


@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_lost_over_resets_op_7_and_any_chunking(seed: int) -> None:
    rng = random.Random(seed)
    async with world(seed=seed, chunk=rng.choice([1, 50, 2000]), latency=(0.0, 0.2)) as w:
        compress = rng.choice([None, "zlib-stream", "zstd-stream"])
        async with w.open_shard(config={"transport_compression": compress}) as runner:
            await anext(runner)
            got: list[int] = []
            for _ in range(6):
                w.send(rng.randint(1, 30))
                await w.clock.sleep(rng.uniform(0.0, 1.0))
                if rng.random() < 0.5:
                    for stream in w.network.connections:
                        stream.reset()
                else:
                    w.inject(AskReconnect())
            got = await take(runner, w.sent)
            assert got == list(range(1, w.sent + 1))
            assert len(w.of(Identified)) == 1
            assert runner.snapshot().duplicates == 0


@pytest.mark.failure("F32")
async def test_an_event_counts_as_delivered_when_the_next_is_asked_for() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        assert runner.session is None
        w.send(3)
        [first] = await take(runner, 1)
        assert first == 1
        assert runner.snapshot().delivered == 1
        await take(runner, 1)
        assert runner.snapshot().delivered == 2
        await w.until(lambda: runner.snapshot().received == 4)
        session = runner.session_snapshot(wall=1.5)
        assert session is not None
        assert (session.sequence, session.saved_at) == (2, 1.5)
        assert runner.queued_events == 1
        assert runner.queued_bytes > 0


async def test_acknowledge_says_so_earlier_or_by_hand() -> None:
    async with world() as w, w.open_shard(manual_acknowledge=True) as runner:
        ready = await anext(runner)
        w.send(3)
        one, two, _ = [await anext(runner) for _ in range(3)]
        assert runner.snapshot().delivered == 0
        runner.acknowledge(two)
        assert runner.snapshot().delivered == two.sequence
        runner.acknowledge(one)
        runner.acknowledge(ready)
        assert runner.snapshot().delivered == two.sequence
    async with world() as w, w.open_shard() as runner:
        with pytest.raises(LocalProtocolError):
            runner.acknowledge(two)


async def one_process(w: World, session: Session | None, rng: random.Random, got: list[int]) -> Session | None:
    """A process that is cancelled at some moment; what it had taken by then is in `got`."""
    scope = anyio.CancelScope()

    async def consume() -> None:
        async for event in runner:
            if event.name == "NUMBERED":
                # Acting and remembering is one step here: at most the last one comes again.
                if number(event) not in got[-1:]:
                    got.append(number(event))
                if rng.random() < 0.3:
                    await anyio.lowlevel.checkpoint()

    async def cancel() -> None:
        await w.clock.sleep(rng.uniform(0.0, 3.0))
        for _ in range(rng.randint(0, 10)):
            await anyio.lowlevel.checkpoint()
        scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        with scope:
            async with w.open_shard(session=session, rng=rng) as runner:
                await consume()
    return runner.session


@pytest.mark.failure("F18", "F32")
@pytest.mark.parametrize("seed", range(3))
async def test_a_cancellation_at_any_moment_loses_nothing(seed: int) -> None:
    rng = random.Random(seed)
    got: list[int] = []
    session: Session | None = None
    async with world(seed=seed, latency=(0.01, 0.3)) as w:
        async with w.open_shard() as runner:
            ready = await anext(runner)
            runner.acknowledge(ready)  # before that there is no session to be resumed by the next process
        session = runner.session
        for _ in range(12):
            w.send(rng.randint(1, 40))
            session = await one_process(w, session, rng, got)
        async with w.open_shard(session=session) as runner:
            while not got or got[-1] != w.sent:
                event = await anext(runner)
                if event.name == "NUMBERED" and number(event) not in got[-1:]:
                    got.append(number(event))
        assert got == list(range(1, w.sent + 1))
        assert len(w.of(Identified)) == 1
        assert len(w.of(SessionResumed)) >= 5


@pytest.mark.failure("F18")
async def test_cancellation_detaches_resumably_and_in_order() -> None:
    async with world() as w:
        with anyio.CancelScope() as scope:
            async with w.open_shard() as runner:
                await anext(runner)
                w.send(2)
                await take(runner, 2)
                scope.cancel()
                await anext(runner)
        assert scope.cancelled_caught
        [closed] = w.of(ConnectionClosed)
        assert (closed.code, closed.by) == (4000, "client")
        assert not w.of(SessionEnded)
        assert runner.session is not None
        assert runner.session.sequence == 3  # asked for the next one before it was cancelled: the second was taken
        assert not w.network.connections


@pytest.mark.failure("F18")
async def test_the_two_closes() -> None:
    for resumable, code in ((True, 4000), (False, 1000)):
        async with world() as w, w.open_shard() as runner:
            await anext(runner)
            w.send(3)
            await w.until(lambda: runner.queued_events == 3)  # used within this turn of the loop
            await runner.close(resumable=resumable)
            await w.until(lambda: w.of(ConnectionClosed))  # the same
            assert w.of(ConnectionClosed)[0].code == code
            assert bool(w.of(SessionEnded)) is not resumable
            assert [number(event) async for event in runner] == [1, 2, 3]
            assert (runner.session is not None) is resumable
            await runner.close()
            await runner.wait()
            assert [action.cause for action in w.of(SessionLost)] == ([] if resumable else [DiscardCause.LOGOUT])


async def fail_after_ready(w: World) -> None:
    async with w.open_shard() as runner:
        await anext(runner)
        raise ZeroDivisionError


async def test_an_exception_of_the_block_comes_out_as_itself_and_detaches() -> None:
    async with world() as w:
        with pytest.raises(ZeroDivisionError):
            await fail_after_ready(w)
        assert [closed.code for closed in w.of(ConnectionClosed)] == [4000]


async def test_one_task_iterates_at_a_time() -> None:
    async with world() as w, w.open_shard() as runner, anyio.create_task_group() as group:
        await anext(runner)
        group.start_soon(anext, runner)
        await w.clock.sleep(1.0)
        with pytest.raises(anyio.BusyResourceError):
            await anext(runner)
        group.cancel_scope.cancel()
