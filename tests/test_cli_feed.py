"""The streams that `serve` sends: paced, numbered over drops and sessions. In virtual time."""

import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import anyio
import msgspec
import pytest

from gateway_proto import Intents, RequestGuildMembers, Secret, ShardConfig, UpdateVoiceState
from gateway_proto.server import (
    ConnectionRefused,
    Drop,
    Identified,
    PreparedEvent,
    Refuse,
    ServerAction,
    ServerConfig,
    ShardInfo,
    WorldConfig,
)
from gateway_proto.testing.stream import EventStream, Tally
from gateway_transports.anyio import ShardRunner, open_shard
from gateway_transports.cli.feed import TURN, Feeds, Pace, WorldFeed
from gateway_transports.cli.journal import Journal
from gateway_transports.cli.reel import REEL, ReelFeeds
from gateway_transports.memory import MemoryNetwork, VirtualClock, virtual_time
from gateway_transports.serve import Gateway
from gateway_transports.tasks import background

pytestmark = pytest.mark.anyio
URL: Final = "ws://gateway:80"
RATE: Final = 10.0


def test_a_pace_is_by_due_times() -> None:
    pace = Pace(10.0, 100.0)
    assert pace.due(99.0) == 0
    assert pace.due(100.0) == 1
    pace.sent = 1
    assert pace.due(100.05) == 0
    assert pace.next_at() == pytest.approx(100.1)
    assert pace.due(100.65) == 6  # late: what was due meanwhile, and the next is no later for it
    pace.sent = 7
    assert pace.next_at() == pytest.approx(100.7)
    assert pace.due(1e6) == TURN
    for pace.sent in range(1, 500):
        assert pace.due(pace.next_at()) == 1
    assert Pace(None, 5.0).due(5.0) == TURN
    assert Pace(None, 5.0).next_at() == 5.0


class World:
    """A gateway with its feeds in virtual time, and shards on it."""

    def __init__(self, clock: VirtualClock, group: anyio.abc.TaskGroup, limit: int | None) -> None:
        self.clock = clock
        self.network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.01, 0.03))
        self.lines: list[dict[str, Any]] = []
        self.done: list[tuple[ShardInfo, int]] = []
        config = ServerConfig(url=URL, resume_url=URL, identify_period=0.0)
        self.gateway = Gateway(config, rng=random.Random(2), clock=clock, on_action=self._on_action)
        self.feeds = Feeds(
            self.gateway,
            group,
            rate=RATE,
            limit=limit,
            stream=lambda shard: EventStream(random.Random(3), shard=shard, guilds=2),
            on_done=lambda shard, number: self.done.append((shard, number)),
        )
        self.journal = Journal(self.lines.append, self.feeds.number)

    def _on_action(self, action: ServerAction) -> None:
        self.feeds.on_action(action)
        self.journal.on_action(action)

    @contextlib.asynccontextmanager
    async def shard(self, tally: Tally, shard: ShardInfo | None = None) -> AsyncIterator[ShardRunner]:
        config = ShardConfig(token=Secret("t"), intents=Intents.none(), url=URL, shard=shard)
        async with open_shard(
            config,
            dialer=self.network,
            clock=self.clock,
            rng=random.Random(4),
            sink=lambda event: tally.receive(event.name, event.raw),
        ) as runner:
            yield runner


@contextlib.asynccontextmanager
async def world(limit: int | None = None) -> AsyncIterator[World]:
    async with virtual_time() as clock, background() as group:
        made = World(clock, group, limit)
        group.start_soon(made.network.listen("gateway", 80).serve, made.gateway.handle)
        yield made


async def test_each_shard_has_a_stream_at_its_own_pace(anyio_backend: str) -> None:
    async with world() as made:
        tallies = Tally(), Tally()
        async with made.shard(tallies[0], (0, 2)):
            await made.clock.sleep(5.0)
            async with made.shard(tallies[1], (1, 2)):
                await made.clock.sleep(5.0)
                numbers = made.feeds.numbers()
        assert numbers[0, 2] == pytest.approx(10 * RATE, abs=3)
        assert numbers[1, 2] == pytest.approx(5 * RATE, abs=3)
        for index, tally in enumerate(tallies):
            assert tally.counts()["sent"] == 0
            tally.sent(numbers[index, 2], shard=index)
            assert tally.lost <= 1  # under way
            assert tally.never_sent == tally.duplicated == tally.out_of_order == 0


async def test_a_stream_goes_on_while_its_shard_is_away(anyio_backend: str) -> None:
    tally = Tally()
    async with world(limit=100) as made, made.shard(tally):
        await made.clock.sleep(3.0)
        made.network.close("gateway", 80)
        made.network.connections[0].reset()
        await made.clock.sleep(3.0)
        assert made.feeds.number((0, 1)) == pytest.approx(6 * RATE, abs=2)
        async with background() as group:
            group.start_soon(made.network.listen("gateway", 80).serve, made.gateway.handle)
            await made.clock.sleep(60.0)
            assert made.done == [((0, 1), 100)]
            tally.sent(100)
            assert tally.whole()
            assert [line["event"] for line in made.lines] == ["identify", "close", "resume"]


async def test_without_a_session_it_stands_still_and_the_next_one_takes_it_up(anyio_backend: str) -> None:
    first, second = Tally(), Tally()
    async with world() as made:
        async with made.shard(first) as runner:
            await made.clock.sleep(3.0)
            await runner.close(resumable=False)
        await made.clock.sleep(1.0)
        number = made.feeds.number((0, 1))
        assert number == pytest.approx(3 * RATE, abs=2)
        await made.clock.sleep(100.0)
        assert made.feeds.number((0, 1)) == number
        async with made.shard(second):
            await made.clock.sleep(1.0)
        last = made.feeds.number((0, 1))
        second.sent(last)
        assert second.delivered >= 8
        assert second.lost in (number, number + 1)
        identifies = [line["number"] for line in made.lines if line["event"] == "identify"]
        assert identifies == [0, number]


async def test_after_its_end_an_identify_begins_it_anew(anyio_backend: str) -> None:
    async with world(limit=5) as made:
        for _ in range(2):
            tally = Tally()
            async with made.shard(tally):
                await made.clock.sleep(3.0)
            tally.sent(5)
            assert tally.whole()
        assert made.done == [((0, 1), 5)] * 2


async def test_a_session_that_expires_is_sent_no_more(anyio_backend: str) -> None:
    async with world() as made:
        async with made.shard(Tally()):
            await made.clock.sleep(1.0)
        await made.clock.sleep(300.0)
        assert made.feeds.number((0, 1)) == pytest.approx(181 * RATE, abs=20)
        assert made.lines[-1]["event"] == "end"
        assert made.lines[-1]["cause"] == "its lifetime without a connection is over"
        made.journal.finish(made.feeds.numbers())
        assert made.lines[-1]["number"] == made.feeds.number((0, 1))


async def test_what_is_refused_over_http_is_told(anyio_backend: str) -> None:
    async with world() as made:
        stream = await made.network.dial("gateway", 80, tls=False)
        await stream.send(b"GET /gateway/bot?token=x HTTP/1.1\r\nHost: h\r\n\r\n")
        while await stream.receive():
            pass
        await stream.aclose()
        [line] = made.lines
        assert line | {"at": 0} == {
            "at": 0,
            "event": "refusal",
            "connection": 1,
            "status": 401,
            "method": "GET",
            "path": "/gateway/bot",
        }


async def test_a_socket_too_many_is_told(anyio_backend: str) -> None:
    async with world() as made:
        made.gateway.act([ConnectionRefused(limit=7, answered=True), ConnectionRefused(limit=7, answered=False)])
        assert [line | {"at": 0} for line in made.lines] == [
            {"at": 0, "event": "refusal", "connection": None, "status": status, "reason": "7 connections are open"}
            for status in (503, None)
        ]


# -- a world of guilds ---------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def guild_world(rate: float | None, limit: int | None) -> AsyncIterator[tuple[MemoryNetwork, Gateway, WorldFeed]]:
    """A gateway with a world, which is fed; what is done is in `done` of the feed's number."""
    async with virtual_time() as clock, background() as group:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.01, 0.03))
        settings = WorldConfig(guilds=12, members=8, numbered=True)
        config = ServerConfig(url=URL, resume_url=URL, identify_period=0.0, world=settings)
        gateway = Gateway(config, rng=random.Random(2), clock=clock, on_action=lambda action: feed.on_action(action))
        feed = WorldFeed(gateway, rate=rate, limit=limit, on_done=lambda shard, number: None)
        group.start_soon(network.listen("gateway", 80).serve, gateway.handle)
        group.start_soon(feed.run)
        yield network, gateway, feed


def open_one(network: MemoryNetwork, gateway: Gateway, tally: Tally, shard: ShardInfo) -> Any:
    return open_shard(
        ShardConfig(token=Secret("t"), intents=Intents.all(), url=URL, shard=shard),
        dialer=network,
        clock=gateway.clock,
        rng=random.Random(4),
        sink=lambda event: tally.receive(event.name, event.raw),
    )


async def test_a_world_is_fed_at_its_pace_and_each_shard_gets_its_own(anyio_backend: str) -> None:
    tally = Tally()
    async with guild_world(RATE, None) as (network, gateway, feed):
        await gateway.clock.wait(anyio.Event(), gateway.clock.now() + 50.0)
        assert feed.sent == 0, "nobody is there"
        async with open_one(network, gateway, tally, (0, 2)), open_one(network, gateway, tally, (1, 2)):
            await gateway.clock.wait(anyio.Event(), gateway.clock.now() + 30.0)
            assert feed.sent == pytest.approx(30 * RATE, abs=5)
            numbers = feed.numbers()
        assert numbers.keys() == {(0, 2), (1, 2)}
        assert sum(numbers.values()) <= feed.sent
        assert min(numbers.values()) > 20
        for (index, _), number in numbers.items():
            tally.sent(number, index)
        assert tally.lost <= 4
        assert tally.never_sent <= 4, "under way"
        assert tally.duplicated == tally.out_of_order == 0


async def test_as_fast_as_the_client_reads_nothing_is_lost(anyio_backend: str) -> None:
    tally = Tally()
    async with guild_world(None, 3000) as (network, gateway, feed), open_one(network, gateway, tally, (0, 1)):
        while feed.sent < 3000:
            await gateway.clock.wait(anyio.Event(), gateway.clock.now() + 0.01)
            assert all(connection.unsent < 2**21 for connection in gateway.server.connections.values())
        await gateway.clock.wait(anyio.Event(), gateway.clock.now() + 60.0)
        tally.sent(feed.number((0, 1)))
        assert tally.whole()
        assert tally.delivered > 2900


async def test_what_is_left_unanswered_is_in_the_journal(anyio_backend: str) -> None:
    """What was asked, by which connection, and why there is no answer."""
    lines: list[dict[str, Any]] = []
    journal = Journal(lines.append, lambda shard: 0)
    async with virtual_time() as clock, background() as group:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.01, 0.03))
        config = ServerConfig(url=URL, resume_url=URL, world=WorldConfig(guilds=(5 << 22,), members=4))
        gateway = Gateway(config, rng=random.Random(2), clock=clock, on_action=journal.on_action)
        group.start_soon(network.listen("gateway", 80).serve, gateway.handle)
        wanted = ShardConfig(token=Secret("t"), intents=Intents.GUILDS, url=URL)
        async with open_shard(wanted, dialer=network, clock=clock, rng=random.Random(4)) as runner:
            await anext(runner)
            runner.send(UpdateVoiceState(guild_id=5 << 22, channel_id=9))
            runner.send(RequestGuildMembers(guild_id=6 << 22, query="a", limit=1, nonce="n"))
            await clock.wait(anyio.Event(), clock.now() + 5.0)
    told = [{key: line[key] for key in line if key != "at"} for line in lines if line["event"] == "unanswered"]
    asked = {"event": "unanswered", "connection": 1}
    assert told == [
        {**asked, "opcode": 4, "request": "VOICE_STATE_UPDATE",
         "reason": f"9 is no voice channel of guild {5 << 22}"},
        {**asked, "opcode": 8, "request": "REQUEST_GUILD_MEMBERS",
         "reason": f"guild {6 << 22} is none of this shard's"},
    ]  # fmt: skip


# -- as fast as clients read ---------------------------------------------------------------------------------------


def prepare(identified: Identified) -> Iterator[PreparedEvent]:
    """Three events, but none for who has no intents."""
    for at in range(3 if identified.intents else 0):
        yield PreparedEvent.of("MESSAGE_CREATE", b'{"content":"%d"}' % at, (identified.shard or (0, 1))[0])


class Reels:
    """A gateway that plays reels in virtual time."""

    def __init__(self, clock: VirtualClock, group: anyio.abc.TaskGroup, limit: int | None) -> None:
        self.clock = clock
        self.network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.01, 0.03))
        self.done: list[tuple[ShardInfo, int]] = []
        config = ServerConfig(url=URL, resume_url=URL, identify_period=0.0)
        self.gateway = Gateway(
            config, rng=random.Random(2), clock=clock, on_action=lambda action: self.feeds.on_action(action)
        )
        self.feeds = ReelFeeds(
            self.gateway,
            group,
            limit=limit,
            prepare=prepare,
            on_done=lambda shard, number: self.done.append((shard, number)),
        )

    def shard(
        self, tally: Tally, shard: ShardInfo = (0, 1), intents: Intents = Intents.GUILDS
    ) -> contextlib.AbstractAsyncContextManager[ShardRunner]:
        return open_shard(
            ShardConfig(token=Secret("t"), intents=intents, url=URL, shard=shard),
            dialer=self.network,
            clock=self.clock,
            rng=random.Random(4),
            sink=lambda event: tally.receive(event.name, event.raw),
        )


@contextlib.asynccontextmanager
async def reels(limit: int | None = None) -> AsyncIterator[Reels]:
    async with virtual_time() as clock, background() as group:
        made = Reels(clock, group, limit)
        group.start_soon(made.network.listen("gateway", 80).serve, made.gateway.handle)
        yield made


async def test_a_reel_is_played_over_and_over_under_new_numbers(anyio_backend: str) -> None:
    tallies = Tally(), Tally()
    async with reels(limit=1000) as made:
        async with made.shard(tallies[0], (0, 2)), made.shard(tallies[1], (1, 2)):
            await made.clock.sleep(10.0)
        assert sorted(made.done) == [((0, 2), 1000), ((1, 2), 1000)]
        assert made.feeds.numbers() == {(0, 2): 1000, (1, 2): 1000}
    for index, tally in enumerate(tallies):
        tally.sent(1000, index)
        assert tally.whole()


async def test_a_reel_waits_for_who_does_not_read_and_for_nobody_else(anyio_backend: str) -> None:
    tallies = Tally(), Tally()
    async with reels() as made, made.shard(tallies[0], (0, 2)), made.shard(tallies[1], (1, 2)):
        await made.clock.sleep(0.5)
        made.gateway.server.inject_next(Refuse(503), 100)
        [first] = [session for session in made.gateway.server.sessions.values() if session.shard == (0, 2)]
        made.gateway.inject(first.id, Drop())
        await made.clock.sleep(0.1)
        away = made.feeds.number((0, 2))
        number = made.feeds.number((1, 2))
        await made.clock.sleep(1.0)
        assert made.feeds.number((0, 2)) == away > 0, "what it misses would be more than can be replayed"
        assert made.feeds.number((1, 2)) > number


class Numbers(Tally):
    """Every number, as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.came: list[int] = []

    def receive(self, name: str, raw: bytes | msgspec.Raw) -> int | None:
        number = super().receive(name, raw)
        if number is not None:
            self.came.append(number)
        return number


async def test_two_sessions_of_a_shard_both_get_every_number(anyio_backend: str) -> None:
    first, second = Numbers(), Numbers()
    async with reels() as made, made.shard(first):
        await made.clock.sleep(0.2)
        number = made.feeds.number((0, 1))
        async with made.shard(second):
            await made.clock.sleep(0.2)
        assert first.came == list(range(1, len(first.came) + 1))
        assert second.came[0] > number > 0, "it begins where the shard stands"
        assert second.came == list(range(second.came[0], second.came[0] + len(second.came)))


async def test_a_reel_ends_with_its_session_and_the_next_goes_on(anyio_backend: str) -> None:
    first, second = Tally(), Tally()
    async with reels() as made:
        async with made.shard(first) as runner:
            await made.clock.sleep(0.5)
            await runner.close(resumable=False)
        number = made.feeds.number((0, 1))
        await made.clock.sleep(1.0)
        assert made.feeds.number((0, 1)) == number > 0
        async with made.shard(second):
            await made.clock.sleep(0.5)
        second.sent(made.feeds.number((0, 1)))
        assert second.counts()["lost"] >= number
        assert second.duplicated == second.out_of_order == 0


async def test_who_may_see_nothing_is_sent_nothing(anyio_backend: str) -> None:
    tally = Tally()
    async with reels(limit=10) as made, made.shard(tally, intents=Intents.none()):
        await made.clock.sleep(5.0)
        assert tally.names.total() == 0
        assert made.done == []


def test_a_reel_is_longer_than_a_turn() -> None:
    assert REEL > TURN
