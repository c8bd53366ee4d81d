"""F35 over the embedded gateway: `await runner.request_members(…)` and its like, under asyncio and trio."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from gateway_proto import (
    CloseCode,
    ConnectionStage,
    DisallowedIntentsError,
    Dispatch,
    Intents,
    Limits,
    LocalProtocolError,
    Secret,
    ShardConfig,
)
from gateway_proto.events import ChannelInfo, GuildMembersChunk
from gateway_proto.requests.answers import IncompleteMembersError, IncompleteSoundsError, RequestEnd, RequestError
from gateway_proto.server import (
    Close,
    Drop,
    Identified,
    InvalidSession,
    Received,
    ServerConfig,
    SessionResumed,
    Withhold,
)
from gateway_transports import SlowConsumerError
from gateway_transports.anyio import QueueLimits, ShardRunner, open_shard
from gateway_transports.serve import serve

from .request_helpers import GUILD, INTENTS, MEMBERS, OTHER, chunk, ids
from .transport_helpers import World, take, world

pytestmark = pytest.mark.anyio

ALL = {"intents": INTENTS}


@asynccontextmanager
async def scripted(**options: Any) -> AsyncIterator[tuple[World, ShardRunner]]:
    """A connected runner and its world, whose own answers to the next requests are withheld: the test gives them."""
    server = options.pop("server", {})
    async with world(**server) as w, w.open_shard(**{"config": ALL, **options}) as runner:
        await w.until(lambda: runner.stage is ConnectionStage.CONNECTED)
        w.inject(Withhold())
        yield w, runner


def asked(w: World, opcode: int = MEMBERS) -> list[dict[str, Any]]:
    """What the server has received of this op."""
    return [json.loads(action.raw) for action in w.of(Received) if action.opcode == opcode]


def say(w: World, name: str, d: Any) -> None:
    w.gateway.broadcast(name, json.dumps(d).encode())


class Kept:
    """What a task has awaited, or why it got nothing."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: Any = None

    async def wait(self, awaited: Callable[[], Awaitable[Any]]) -> None:
        try:
            self.result = await awaited()
        except (RequestError, LocalProtocolError) as error:
            self.error = error

    @property
    def is_over(self) -> bool:
        return self.result is not None or self.error is not None


@pytest.mark.failure("F35")
async def test_ten_thousand_members_in_ten_chunks_out_of_order() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        kept = Kept()
        group.start_soon(kept.wait, lambda: runner.request_members(GUILD))
        await w.until(lambda: asked(w))
        [sent] = asked(w)
        order = list(range(10))
        random.Random(5).shuffle(order)
        for index in order:
            assert not kept.is_over
            say(w, "GUILD_MEMBERS_CHUNK", chunk(sent["nonce"], index, 10, size=1000))
            await w.clock.sleep(10.0)
        assert ids(kept.result) == list(range(10_000))
        # The events are there as well, in the order in which they came, and decoded already.
        names = [(await anext(runner)) for _ in range(11)]
        chunks = [event.data for event in names[1:]]
        assert [event.chunk_index for event in chunks if isinstance(event, GuildMembersChunk)] == order


@pytest.mark.failure("F35")
async def test_a_lost_chunk_ends_in_30_s() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        kept = Kept()
        group.start_soon(kept.wait, lambda: runner.request_members(GUILD))
        await w.until(lambda: asked(w))
        for index in (2, 0):
            say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[0]["nonce"], index, 3))
        since = w.clock.now()
        await w.until(lambda: kept.is_over)
        assert 29.9 < w.clock.now() - since < 30.3
        assert isinstance(kept.error, IncompleteMembersError)
        assert (kept.error.end, kept.error.missing) == (RequestEnd.IDLE, (1,))
        assert ids(kept.error.partial) == [0, 1, 4, 5]
        assert kept.error.__cause__ is None
        assert runner.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F35")
async def test_two_at_once_for_one_guild_take_turns_and_rate_limited_is_obeyed() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        first, second = Kept(), Kept()
        group.start_soon(first.wait, lambda: runner.request_members(GUILD))
        await w.until(lambda: asked(w))
        start = w.clock.now()
        group.start_soon(second.wait, lambda: runner.request_members(GUILD))
        await w.clock.sleep(5.0)
        [sent] = asked(w)
        say(w, "RATE_LIMITED", {"opcode": 8, "retry_after": 12.5, "meta": {"guild_id": "5", "nonce": sent["nonce"]}})
        w.inject(Withhold())
        await w.until(lambda: len(asked(w)) == 2)
        assert 17.5 <= w.clock.now() - start <= 17.9
        assert asked(w)[1] == sent
        say(w, "GUILD_MEMBERS_CHUNK", chunk(sent["nonce"], 0, 1))
        await w.until(lambda: first.is_over)
        again = w.clock.now()
        await w.until(lambda: second.is_over)  # by the server's own answer
        assert 30.5 <= w.clock.now() - again <= 31.5
        assert (ids(first.result), ids(second.result)) == ([0, 1], [])


@pytest.mark.failure("F35")
async def test_a_resume_goes_on_and_a_new_session_begins_again() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        resumed, renewed = Kept(), Kept()
        group.start_soon(resumed.wait, lambda: runner.request_members(GUILD, query="a"))
        await w.until(lambda: asked(w))
        nonce = asked(w)[0]["nonce"]
        say(w, "GUILD_MEMBERS_CHUNK", chunk(nonce, 1, 2))
        await w.clock.sleep(1.0)
        w.inject(Drop())
        say(w, "GUILD_MEMBERS_CHUNK", chunk(nonce, 0, 2))
        await w.until(lambda: resumed.is_over)
        assert ids(resumed.result) == [0, 1, 2, 3]
        assert len(w.of(SessionResumed)) == len(asked(w)) == 1
        await w.until(lambda: runner.stage is ConnectionStage.CONNECTED)

        w.inject(Withhold())
        group.start_soon(renewed.wait, lambda: runner.request_members(GUILD, user_ids=[4, 5]))
        await w.until(lambda: len(asked(w)) == 2)
        say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[1]["nonce"], 1, 2))
        await w.clock.sleep(1.0)
        w.inject(InvalidSession(False))
        await w.until(lambda: renewed.is_over)
        assert len(w.of(Identified)) == 2
        assert asked(w)[2] == asked(w)[1]
        assert (renewed.result.members, renewed.result.not_found) == ((), (4, 5))


async def test_every_kind_is_answered_by_the_embedded_gateway() -> None:
    async with world() as w, w.open_shard(config=ALL) as runner:
        # Before there is a session: they wait for it.
        assert ids(await runner.request_members(GUILD, presences=True)) == []
        assert (await runner.request_members(GUILD, user_ids=(n for n in (1, 2)))).not_found == (1, 2)
        assert await runner.request_soundboard_sounds([GUILD, OTHER]) == {GUILD: (), OTHER: ()}
        assert await runner.request_channel_info(GUILD) == ChannelInfo(guild_id=GUILD, channels=[])
        assert asked(w, 43) == [{"guild_id": "5", "fields": ["status", "voice_start_time"]}]
        events = [(await anext(runner)).name for _ in range(6)]
        assert events == ["READY", *["GUILD_MEMBERS_CHUNK"] * 2, *["SOUNDBOARD_SOUNDS"] * 2, "CHANNEL_INFO"]


@pytest.mark.failure("F35")
async def test_real_sockets() -> None:
    """Over the loopback, in real time: ten chunks by the script, then the gateway's own answers."""
    token = Secret("t")

    def script(action: Any) -> None:
        if isinstance(action, Received) and action.opcode == MEMBERS:
            for index in (3, 0, 2, 1):
                d = chunk(json.loads(action.raw)["nonce"], index, 4, size=250)
                gateway.broadcast("GUILD_MEMBERS_CHUNK", json.dumps(d).encode())

    async with serve(ServerConfig(token=token), on_action=script) as gateway:
        config = ShardConfig(token=token, intents=INTENTS, url=gateway.url)
        async with open_shard(config) as runner:
            with anyio.fail_after(20.0):
                await anext(runner)
                [session] = gateway.server.sessions.values()
                gateway.inject(session.id, Withhold())
                assert ids(await runner.request_members(GUILD)) == list(range(1000))
                assert await runner.request_soundboard_sounds([GUILD]) == {GUILD: ()}


# -- the task that waits ---------------------------------------------------------------------------------------


@pytest.mark.failure("F35")
async def test_a_cancelled_wait_drops_its_request_and_no_other() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        kept, cancelled = Kept(), Kept()
        group.start_soon(kept.wait, lambda: runner.request_members(GUILD, query="a"))
        with anyio.CancelScope() as scope:
            w.inject(Withhold())
            async with anyio.create_task_group() as inner:
                inner.start_soon(cancelled.wait, lambda: runner.request_members(GUILD, query="b"))
                await w.until(lambda: len(asked(w)) == 2)
                scope.cancel()
        assert scope.cancelled_caught
        assert len(runner._requests.machine) == len(runner._requests.waiters) == 1
        for sent in asked(w):
            say(w, "GUILD_MEMBERS_CHUNK", chunk(sent["nonce"], 0, 1))
        await w.until(lambda: kept.is_over)
        await w.clock.sleep(100.0)
        assert not cancelled.is_over
        assert len(runner._requests.machine) == len(runner._requests.waiters) == 0
        assert runner.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F35", "F37")
async def test_misuse_raises_and_sends_nothing() -> None:
    async with world() as w, w.open_shard(config={"intents": Intents.GUILDS, "shard": (0, 2)}) as runner:
        await anext(runner)
        with pytest.raises(LocalProtocolError, match="GUILD_MEMBERS"):
            await runner.request_members(GUILD)
        with pytest.raises(LocalProtocolError, match="GUILD_PRESENCES"):
            await runner.request_members(GUILD, user_ids=[1], presences=True)
        with pytest.raises(LocalProtocolError, match="not by both"):
            await runner.request_members(GUILD, query="a", user_ids=[1])
        with pytest.raises(LocalProtocolError, match="belongs to shard 1"):
            await runner.request_soundboard_sounds([1 << 22])
        with pytest.raises(LocalProtocolError, match="at least one field"):
            await runner.request_channel_info(GUILD, [])
        await w.clock.sleep(1.0)
        assert not asked(w)


async def test_a_full_queue_of_commands_is_told_to_who_asked() -> None:
    limits = Limits(max_queued_commands=0)
    async with world() as w, w.open_shard(config={**ALL, "limits": limits}) as runner:
        with pytest.raises(LocalProtocolError, match="are waiting"):
            await runner.request_members(GUILD)
        assert w.clock.now() < 1.0


@pytest.mark.failure("F35")
async def test_the_end_of_the_shard_ends_the_wait() -> None:
    async with scripted() as (w, runner), anyio.create_task_group() as group:
        closed, late = Kept(), Kept()
        group.start_soon(closed.wait, lambda: runner.request_members(GUILD))
        await w.until(lambda: asked(w))
        say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[0]["nonce"], 0, 2))
        await w.clock.sleep(1.0)
        await runner.close()
        await w.until(lambda: closed.is_over)
        assert closed.error.end is RequestEnd.CLOSED
        assert ids(closed.error.partial) == [0, 1]
        assert closed.error.__cause__ is None
        await late.wait(lambda: runner.request_soundboard_sounds([GUILD]))
        assert isinstance(late.error, IncompleteSoundsError)
        assert late.error.end is RequestEnd.CLOSED


@pytest.mark.failure("F35")
async def test_what_ended_the_shard_is_the_cause() -> None:
    async with scripted() as (w, runner):
        kept = Kept()
        async with anyio.create_task_group() as group:
            group.start_soon(kept.wait, lambda: runner.request_members(GUILD))
            await w.until(lambda: asked(w))
            w.inject(Close(CloseCode.DISALLOWED_INTENTS))
        assert kept.error.end is RequestEnd.CLOSED
        assert isinstance(kept.error.__cause__, DisallowedIntentsError)
        with pytest.raises(DisallowedIntentsError):
            await runner.wait()


async def test_leaving_the_block_ends_the_wait() -> None:
    kept = Kept()
    async with world() as w, anyio.create_task_group() as group:
        async with w.open_shard(config=ALL) as runner:
            await anext(runner)
            w.inject(Withhold())
            group.start_soon(kept.wait, lambda: runner.request_members(GUILD))
            await w.until(lambda: asked(w))
        await w.until(lambda: kept.is_over)
    assert kept.error.end is RequestEnd.CLOSED


# -- beside the queue and the sink -----------------------------------------------------------------------------


async def test_the_task_that_reads_may_ask_while_the_queue_fills() -> None:
    """What comes meanwhile fits into the queue; the reading task takes it afterwards."""
    async with scripted() as (w, runner):
        await anext(runner)

        async def answer() -> None:
            await w.until(lambda: asked(w))
            w.send(900)
            for index in range(10):
                say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[0]["nonce"], index, 10))

        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            assert ids(await runner.request_members(GUILD)) == list(range(20))
            assert runner.queued_events == 910
        assert await take(runner, 900) == list(range(1, 901))


@pytest.mark.failure("F33", "F35")
async def test_while_the_queue_is_full_no_idle_limit_is_judged() -> None:
    limits = QueueLimits(events=10, pause=1e9)
    server = {"chunk": 500, "heartbeat_tolerance": 1e6}
    async with scripted(queue_limits=limits, server=server) as (w, runner), anyio.create_task_group() as group:
        kept, silent = Kept(), Kept()
        w.inject(Withhold())
        group.start_soon(kept.wait, lambda: runner.request_members(GUILD))
        await w.until(lambda: asked(w))
        group.start_soon(silent.wait, lambda: runner.request_members(OTHER))
        await w.until(lambda: len(asked(w)) == 2)
        w.send(100)
        say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[0]["nonce"], 0, 1))
        await w.until(lambda: runner.snapshot().reading_paused)
        await w.clock.sleep(300.0)
        assert not kept.is_over
        assert not silent.is_over
        assert await take(runner, 100) == list(range(1, 101))
        since = w.clock.now()
        await w.until(lambda: kept.is_over)
        assert ids(kept.result) == [0, 1]
        await w.until(lambda: silent.is_over)
        assert silent.error.end is RequestEnd.IDLE
        assert 29.0 < w.clock.now() - since < 31.0


@pytest.mark.failure("F33", "F35")
async def test_an_answer_that_the_queue_cannot_hold_ends_with_the_shard() -> None:
    """Documented: nobody takes events while the only task that would is waiting here."""
    limits = QueueLimits(events=5, pause=50.0)
    async with scripted(queue_limits=limits, server={"chunk": 500}) as (w, runner):

        async def answer() -> None:
            await w.until(lambda: asked(w))
            for index in range(40):
                say(w, "GUILD_MEMBERS_CHUNK", chunk(asked(w)[0]["nonce"], index, 40))

        async with anyio.create_task_group() as group:
            group.start_soon(answer)
            with pytest.raises(IncompleteMembersError) as raised:
                await runner.request_members(GUILD)
        assert raised.value.end is RequestEnd.CLOSED
        assert isinstance(raised.value.__cause__, SlowConsumerError)
        assert raised.value.chunk_count == 40
        assert 0 < len(raised.value.missing) < 40
        with pytest.raises(SlowConsumerError):
            await runner.wait()


async def test_a_sink_sees_the_events_too() -> None:
    events: list[Dispatch] = []
    async with world() as w, w.open_shard(config=ALL, sink=events.append) as runner:
        assert ids(await runner.request_members(GUILD)) == []
        await w.clock.sleep(1.0)
        assert [event.name for event in events] == ["READY", "GUILD_MEMBERS_CHUNK"]
