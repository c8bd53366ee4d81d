"""How a client's events reach whoever asked for them, and when they count as delivered."""

import logging
from typing import Any

import anyio
import pytest
from msgspec import UNSET

from gateway_proto import Dispatch, Intents, LocalProtocolError, ShardConfig
from gateway_proto.events import GuildCreate, MessageCreate, MessageDelete, Ready, Resumed, UnavailableGuild, User
from gateway_transports.anyio import QueueLimits
from gateway_transports.client import Client, Context
from gateway_transports.stores import MemoryStore

from .client_helpers import ClientWorld, client_world, connected, content, contents
from .transport_helpers import TOKEN

pytestmark = pytest.mark.anyio

DELETE = b'{"id":"1","channel_id":"2"}'


async def started(w: ClientWorld, client: Client[Any], shards: int = 1) -> None:
    await client.start_shards(shards)
    await connected(w, client, shards)


# -- iterators -------------------------------------------------------------------------------------------------


async def test_an_iterator_gives_what_it_was_asked_for_typed() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageCreate, MessageDelete)
        w.message(0, 7)
        w.dispatch(0, "TYPING_START", b"{}")
        w.dispatch(0, "MESSAGE_DELETE", DELETE)
        first, second = await anext(stream), await anext(stream)
        assert isinstance(first.data, MessageCreate)
        assert (first.shard_id, first.name, first.replayed, first.data.content) == (0, "MESSAGE_CREATE", False, "7")
        assert isinstance(second.data, MessageDelete)


async def test_what_nobody_asked_for_is_never_decoded() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageDelete)
        w.message(0, 1)
        w.dispatch(0, "MESSAGE_DELETE", DELETE)
        _ = (await anext(stream)).data
        events = {action.name: action for _, action in w.shard_actions if isinstance(action, Dispatch)}
        assert events["MESSAGE_CREATE"].memo is UNSET
        assert events["MESSAGE_DELETE"].memo is not UNSET


async def test_without_types_every_event_comes() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events()
        w.dispatch(0, "SOMETHING_OF_TOMORROW", b"{}")
        assert [(await anext(stream)).name for _ in range(2)] == ["READY", "SOMETHING_OF_TOMORROW"]


async def test_a_guild_in_an_outage_is_no_guild() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        both, whole = client.events(GuildCreate, UnavailableGuild), client.events(GuildCreate, MessageDelete)
        w.dispatch(0, "GUILD_CREATE", b'{"id":"1","unavailable":true}')
        w.dispatch(0, "MESSAGE_DELETE", DELETE)
        assert isinstance((await anext(both)).data, UnavailableGuild)
        assert (await anext(whole)).name == "MESSAGE_DELETE"


def test_what_is_no_event_is_refused() -> None:
    client = Client(ShardConfig(token=TOKEN, intents=Intents.none()))
    with pytest.raises(LocalProtocolError, match="User is no event"):
        client.events(User)


@pytest.mark.failure("F32")
async def test_an_event_is_delivered_when_the_next_one_is_asked_for() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        for number in range(3):
            w.message(0, number)
        stream = client.events(MessageCreate)

        def delivered() -> int:
            snapshot = client.info(0).snapshot
            assert snapshot is not None
            return snapshot.delivered

        await contents(stream, 1)
        assert delivered() == 1  # READY, which nobody asked for
        await contents(stream, 1)
        assert delivered() == 2
        stream.acknowledge()
        assert delivered() == 3


@pytest.mark.failure("F32")
async def test_leaving_a_loop_loses_nothing() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        for number in range(10):
            w.message(0, number)
        seen = []
        async for event in client.events(MessageCreate):
            seen.append(content(event.dispatch))
            if len(seen) == 4:
                break
        await w.clock.sleep(5.0)
        async for event in client.events(MessageCreate):
            seen.append(content(event.dispatch))
            if len(seen) == 10:
                break
        assert seen == list(range(10))


async def test_one_that_left_keeps_nobody_waiting() -> None:
    async with client_world() as w, w.client(concurrency=4) as client:
        await started(w, client)
        left, stays = client.events(MessageCreate), client.events(MessageCreate)
        for number in range(30):
            w.message(0, number)
        await contents(left, 2)
        left.close()
        assert await contents(stays, 30) == list(range(30))


async def test_several_ask_for_the_same_event() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        one, other = client.events(MessageCreate), client.events(MessageCreate)
        for number in range(300):
            w.message(0, number)
        async with anyio.create_task_group() as group:
            for stream in (one, other):
                group.start_soon(contents, stream, 300)


@pytest.mark.failure("F33", "F24")
async def test_a_full_queue_stops_the_reading_of_its_shard_alone() -> None:
    limits = QueueLimits(events=5)
    async with client_world(max_concurrency=2) as w, w.client(queue_limits=limits, concurrency=1) as client:
        released = anyio.Event()
        seen: list[tuple[int, int]] = []

        @client.handler
        async def stuck(message: MessageCreate, context: Context[None]) -> None:
            if context.shard_id == 0:
                await released.wait()
            seen.append((context.shard_id, int(message.content)))

        await started(w, client, 2)
        for number in range(40):
            w.message(0, number)
            w.message(1, number)
        await w.until(lambda: len(seen) == 40)
        assert seen == [(1, number) for number in range(40)]
        paused = [info.snapshot is not None and info.snapshot.reading_paused for info in client.infos()]
        assert paused == [True, False]
        released.set()
        await w.until(lambda: len(seen) == 80)
        assert seen[40:] == [(0, number) for number in range(40)]


# -- handlers --------------------------------------------------------------------------------------------------


class Counts:
    """A state that all shards share."""

    def __init__(self) -> None:
        self.messages = 0
        self.deletes = 0
        self.names: list[str] = []


async def test_handlers_share_a_state_and_are_called_by_their_annotations() -> None:
    async with client_world(max_concurrency=3) as w:
        counts = Counts()
        client = Client(w.config(), **w.options(state=counts))

        @client.handler
        async def on_message(message: MessageCreate, context: Context[Counts]) -> None:
            await anyio.lowlevel.checkpoint()
            assert context.state is counts
            assert context.shard.shard_id == context.shard_id
            context.state.messages += int(message.content)

        @client.handler
        def on_either(event: MessageCreate | MessageDelete) -> None:
            counts.deletes += isinstance(event, MessageDelete)

        @client.handler
        def on_any(event: Dispatch) -> None:
            counts.names.append(event.name)

        @client.on(Ready)
        def on_ready(event: object) -> None:
            assert isinstance(event, Ready)
            counts.messages += 100

        async with client:
            await started(w, client, 3)
            for shard_id in range(3):
                w.message(shard_id, shard_id)
                w.dispatch(shard_id, "MESSAGE_DELETE", DELETE)
            await w.until(lambda: len(counts.names) == 9)
            await w.clock.sleep(1.0)
        assert (counts.messages, counts.deletes) == (303, 3)


@pytest.mark.parametrize("concurrency", [1, 3])
async def test_handlers_run_side_by_side_up_to_the_limit(concurrency: int) -> None:
    async with client_world() as w, w.client(concurrency=concurrency) as client:
        running: set[int] = set()
        most = 0
        begun: list[int] = []

        @client.handler
        async def slow(message: MessageCreate) -> None:
            nonlocal most
            begun.append(int(message.content))
            running.add(int(message.content))
            most = max(most, len(running))
            await w.clock.sleep(1.0)
            running.discard(int(message.content))

        await started(w, client)
        for number in range(9):
            w.message(0, number)
        await w.until(lambda: len(begun) == 9 and not running)
        assert sorted(begun) == list(range(9))
        assert begun == list(range(9)) or concurrency > 1  # trio begins tasks in any order
        assert most == concurrency


async def test_what_a_handler_raises_is_logged_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w, w.client() as client:
        seen: list[int] = []

        @client.handler
        async def breaks(message: MessageCreate) -> None:
            await anyio.lowlevel.checkpoint()
            raise ValueError(f"no {message.content}")

        @client.handler
        def breaks_too(message: MessageCreate) -> None:
            seen.append(int(message.content))
            raise RuntimeError("nor this")

        await started(w, client)
        for number in range(3):
            w.message(0, number)
        await w.until(lambda: len(caplog.records) == 6)
        assert seen == [0, 1, 2]
        assert {record.exc_info[0] for record in caplog.records if record.exc_info} == {ValueError, RuntimeError}
        assert "breaks failed at MESSAGE_CREATE, event 2 of shard 0" in caplog.text
        snapshot = client.info(0).snapshot
        assert snapshot is not None
        assert snapshot.delivered == 4  # a failure is an answer, too


async def test_a_failure_ends_the_client_where_that_is_wanted() -> None:
    async with client_world(max_concurrency=2) as w:
        async with w.client(fail_fast=True) as client:

            @client.handler
            async def breaks(message: MessageCreate) -> None:
                await anyio.lowlevel.checkpoint()
                raise ValueError("enough")

            await started(w, client, 2)
            w.message(0, 1)
            with pytest.raises(ValueError, match="enough"):
                await client.wait()
        assert w.gateway.server.sessions  # detached, not ended


async def test_a_handler_that_cannot_be_called_is_refused() -> None:
    async with client_world() as w:
        client = w.client()
        with pytest.raises(LocalProtocolError, match=r"annotate the first parameter of .*nothing"):

            @client.handler
            def nothing() -> None: ...

        with pytest.raises(LocalProtocolError, match="annotate the first parameter"):

            @client.handler
            # Without annotations, which is what is refused.
            def untyped(message, context):  # type: ignore[no-untyped-def]
                ...

        with pytest.raises(LocalProtocolError, match="User is no event"):

            @client.handler
            def no_event(user: User) -> None: ...

        with pytest.raises(LocalProtocolError, match="and nothing else"):

            @client.handler
            def too_many(message: MessageCreate, context: Context[None], more: int) -> None: ...


@pytest.mark.failure("F32")
async def test_a_handler_that_was_cut_off_gets_its_event_again() -> None:
    async with client_world() as w:
        store = MemoryStore()
        runs: list[tuple[str, int]] = []

        async def run(name: str, count: int) -> None:
            async with w.client(store=store) as client:

                @client.handler
                async def work(message: MessageCreate) -> None:
                    runs.append((name, int(message.content)))
                    if name == "first" and message.content == "1":
                        await anyio.sleep_forever()

                await client.start_shards(1)
                if name == "first":
                    await connected(w, client, 1)
                    for number in range(3):
                        w.message(0, number)
                await w.until(lambda: len(runs) == count)

        await run("first", 3)
        await run("second", 5)
        assert sorted(runs) == [("first", 0), ("first", 1), ("first", 2), ("second", 1), ("second", 2)]
        assert len(w.identifies) == 1


# -- warnings --------------------------------------------------------------------------------------------------


async def test_an_event_without_its_intent_is_warned_of_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w, w.client(w.config(intents=Intents.GUILDS)) as client:

        @client.handler
        def on_message(message: MessageCreate | Resumed) -> None: ...

        assert caplog.messages == []
        await client.start()
        client.events(MessageDelete, GuildCreate)
        assert caplog.messages == [
            "MESSAGE_CREATE will not come: Discord sends it with the intent GUILD_MESSAGES or DIRECT_MESSAGES only",
            "MESSAGE_DELETE will not come: Discord sends it with the intent GUILD_MESSAGES or DIRECT_MESSAGES only",
        ]


async def test_an_unfit_shard_count_is_warned_of_before_discord_does(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with client_world(shards=32, max_concurrency=16) as w, w.client() as client:
        await client.start_shards(8)
        texts = " / ".join(caplog.messages)
        assert "multiple of 32" in texts
        assert "4000" in texts or "4,000" in texts
