"""The five ways to start a client, what each costs, and what a start is refused for."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway_proto import InvalidAuthenticationError, LocalProtocolError, Secret
from gateway_proto.discovery import (
    DiscoveryTimeoutError,
    GatewayInfo,
    RateLimitedError,
    ServerFaultError,
    UnexpectedStatusError,
)
from gateway_proto.events import MessageCreate, Ready
from gateway_proto.fleet import IdentifyBudgetError
from gateway_proto.server import HttpAnswered
from gateway_transports.anyio import discover
from gateway_transports.client import Client, OnlyBotsShardError, start

from .client_helpers import ClientWorld, client_world, connected, contents

pytestmark = pytest.mark.anyio

Start = Callable[[Client[Any]], Awaitable[None]]


def shards(w: ClientWorld) -> list[tuple[int, int] | None]:
    """What the IDENTIFYs that the server took said."""
    return [identified.shard for identified in w.identifies]


WAYS: list[tuple[Start, list[tuple[int, int] | None]]] = [
    (lambda client: client.start(), [None]),
    (lambda client: client.start_autosharded(), [(0, 3), (1, 3), (2, 3)]),
    (lambda client: client.start_shard(1, 4), [(1, 4)]),
    (lambda client: client.start_shards(2), [(0, 2), (1, 2)]),
    (lambda client: client.start_shard_range(range(4, 7), 10), [(4, 10), (5, 10), (6, 10)]),
]


@pytest.mark.parametrize(("start", "expected"), WAYS, ids=["plain", "auto", "one", "all", "range"])
async def test_each_way_identifies_its_shards_in_turn(start: Start, expected: list[tuple[int, int] | None]) -> None:
    async with client_world(shards=3) as w, w.client() as client:
        await start(client)
        stream = client.events(Ready)
        seen = [await anext(stream) for _ in expected]
        assert sorted(shards(w), key=str) == expected
        ids = [0 if shard is None else shard[0] for shard in expected]
        assert sorted(event.shard_id for event in seen) == client.shards_instantiated() == ids
        # Each but the first waited for its turn: 5 s and the margin.
        assert w.clock.now() >= 5.25 * (len(expected) - 1)


async def test_a_range_is_a_python_range_and_its_end_is_not_in_it() -> None:
    """serenity's pair [0, 3] is inclusive, and would be four shards."""
    async with client_world() as w, w.client() as client:
        pairs: list[Any] = [(0, 3), [0, 3]]
        for pair in pairs:
            with pytest.raises(LocalProtocolError, match=r"range\(0, 4\) is 0 to 3"):
                await client.start_shard_range(pair, 10)
        await client.start_shard_range(range(3), 10)
        await connected(w, client, 3)
        assert sorted(shards(w), key=str) == [(0, 10), (1, 10), (2, 10)]


@pytest.mark.parametrize(
    ("start", "text"),
    [
        (lambda client: client.start_shards(0), "at least one shard, not 0"),
        (lambda client: client.start_shard(3, 3), "no shards 3 to 3 of 3"),
        (lambda client: client.start_shard(-1, 3), "no shards -1 to -1 of 3"),
        (lambda client: client.start_shard_range(range(2, 12), 10), "no shards 2 to 11 of 10"),
        (lambda client: client.start_shard_range(range(0), 10), "has no shards"),
        (lambda client: client.start_shard_range(range(0, 10, 2), 10), "without gaps"),
        (lambda client: client.start_shard_range(range(1), 0), "at least one shard, not 0"),
    ],
)
async def test_shards_that_are_none_are_refused_before_anything_happens(start: Start, text: str) -> None:
    async with client_world() as w, w.client() as client:
        with pytest.raises(LocalProtocolError, match=text) as caught:
            await start(client)
        assert "\n" not in str(caught.value)
        assert w.told == []
        await client.start_shard(0, 1)  # nothing was started: it can still be


async def test_a_client_starts_once() -> None:
    async with client_world() as w, w.client() as client:
        await client.start_shard(0, 2)
        with pytest.raises(LocalProtocolError, match="started its shards already"):
            await client.start_shard(0, 2)
        with pytest.raises(LocalProtocolError, match="started its shards already"):
            await client.start()


async def test_a_client_starts_within_its_block() -> None:
    async with client_world() as w:
        client = w.client()
        with pytest.raises(LocalProtocolError, match="async with client"):
            await client.start()
        async with client:
            with pytest.raises(LocalProtocolError, match="start the client first"):
                client.infos()
        with pytest.raises(LocalProtocolError, match="entered once"):
            async with client:
                pass


async def test_only_bots_shard_and_the_error_names_the_other_way() -> None:
    async with client_world() as w:
        config = w.config(token=Secret("somebodys-own"))
        async with w.client(config) as client:
            with pytest.raises(OnlyBotsShardError, match=r"by start\(\)"):
                await client.start_autosharded()
            with pytest.raises(OnlyBotsShardError, match=r"by start\(\)"):
                await client.start_shards(2)
            await client.start()
            with pytest.raises(InvalidAuthenticationError):
                await client.wait()


async def test_a_start_without_the_api_goes_by_the_config() -> None:
    async with client_world() as w, w.client(api=None) as client:
        with pytest.raises(LocalProtocolError, match="start_shards"):
            await client.start_autosharded()
        await client.start_shards(2)
        await connected(w, client, 2)


@pytest.mark.failure("F15")
async def test_a_start_that_the_day_cannot_pay_is_refused_whole() -> None:
    async with client_world(session_limit=3) as w, w.client() as client:
        with pytest.raises(IdentifyBudgetError, match="needs 3 IDENTIFYs"):
            await client.start_shards(3)
        assert w.identifies == []
        await client.start_shards(2)
        await connected(w, client, 2)
        assert client.identifies_left() == 1


async def test_events_of_all_shards_come_by_one_iterator() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await client.start_shards(4)
        await connected(w, client, 4)
        stream = client.events(MessageCreate)
        for number in range(40):
            w.message(number % 4, number)
        assert sorted(await contents(stream, 40)) == list(range(40))


async def test_an_api_that_answers_nonsense_is_told() -> None:
    async with client_world() as w, w.client(api="http://gateway.test/elsewhere") as client:
        with pytest.raises(UnexpectedStatusError, match="404"):
            await client.start()


@pytest.mark.failure("F15")
async def test_the_days_limit_is_read_again_when_it_was_set_back() -> None:
    async with client_world(session_limit=10, session_limit_period=3600.0) as w, w.client() as client:
        await client.start_shard(0, 1)
        await connected(w, client, 1)
        await w.clock.sleep(3500.0)
        assert len(asked(w)) == 1
        assert client.identifies_left() == 9
        await w.clock.sleep(200.0)
        assert len(asked(w)) == 2


def asked(w: ClientWorld) -> list[HttpAnswered]:
    return [one for one in w.of(HttpAnswered) if one.path.endswith("/gateway/bot")]


async def test_an_api_that_is_down_for_a_moment_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with client_world() as w:
        failures: list[Exception] = [ServerFaultError(503), RateLimitedError(2.5), DiscoveryTimeoutError(10.0)]

        async def flaky(**options: Any) -> GatewayInfo:
            if failures:
                raise failures.pop(0)
            return await discover(**options)

        monkeypatch.setattr(start, "discover", flaky)
        async with w.client() as client:
            await client.start_shards(1)
            assert 2.5 <= w.clock.now() < 13.0
        failures += [ServerFaultError(503)] * 4
        async with w.client() as client:
            with pytest.raises(ServerFaultError):
                await client.start_shards(1)
        failures[:] = [RateLimitedError(3600.0)]
        async with w.client() as client:
            with pytest.raises(RateLimitedError):
                await client.start_shards(1)
