"""A client's block: however it is entered and left, it ends, and lets go of all that it held."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway_proto import LocalProtocolError, Secret, Session
from gateway_proto.discovery import MAX_SHARDS
from gateway_proto.events import MessageCreate, Ready
from gateway_proto.fleet import IdentifyBudgetError
from gateway_transports.client.messenger import Home
from gateway_transports.stores import MemoryStore, StoreBusyError

from .client_helpers import client_world, connected

pytestmark = pytest.mark.anyio


async def test_a_block_that_is_entered_when_it_is_cancelled_ends() -> None:
    async with client_world() as w:
        entered = False
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with w.client():
                entered = True
                await anyio.sleep_forever()
        assert entered
        assert scope.cancelled_caught


async def test_a_block_that_is_left_before_a_task_of_its_has_run_ends() -> None:
    async with client_world() as w:
        async with w.client():
            pass
        async with w.client() as client:
            client.handler(nothing_of)


def nothing_of(message: MessageCreate) -> None:
    """A handler."""


async def test_a_block_that_is_left_during_a_start_lets_go_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "bot.state"
    # The API's answer is under way when the block is left.
    async with client_world(latency=(0.5, 0.5)) as w, anyio.create_task_group() as group:
        errors: list[str] = []

        async def begin() -> None:
            with pytest.raises(LocalProtocolError) as caught:
                await client.start_shards(1)
            errors.append(str(caught.value))

        async with w.client(store=path) as client:
            group.start_soon(begin)
            await w.clock.sleep(0.6)
        await w.until(lambda: bool(errors))
        assert errors == ["the client's block was left while it started"]
        async with w.client(store=path) as second:
            await second.start_shards(1)
            await anext(second.events(Ready))


class Broken(MemoryStore):
    """A store of the user's that fails in a way of its own."""

    def close(self) -> None:
        raise ValueError("a bug in the store")


async def test_an_error_of_the_users_store_at_its_close_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        async with w.client(store=lambda **binding: Broken()) as client:
            await client.start_shards(1)
            await connected(w, client, 1)
        assert "a bug in the store" in caplog.text


class Deaf(MemoryStore):
    """One that keeps nothing."""

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        raise StoreBusyError("another program is at it")


async def test_what_could_not_be_stored_is_told_when_the_block_is_left(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        async with w.client(store=lambda **binding: Deaf()) as client:
            await client.start_shards(1)
            await connected(w, client, 1)
            assert client.unsaved == frozenset()
        assert client.unsaved == {0}
        assert "they will IDENTIFY again at the next start" in caplog.text


async def test_a_thread_waits_for_no_loop_that_is_gone() -> None:
    """Nobody carries out its call before the end, as where the event loop is busy with leaving."""
    home = Home()
    told: list[object] = []

    def call() -> None:
        try:
            told.append(home.call(lambda: "never called"))
        except LocalProtocolError as error:
            told.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    while not home.is_asked:
        await anyio.lowlevel.checkpoint()
    home.close()
    await anyio.to_thread.run_sync(thread.join)
    assert told == ["the client has ended"]
    second = threading.Thread(target=call)
    second.start()
    await anyio.to_thread.run_sync(second.join)
    assert told == ["the client has ended"] * 2


async def test_a_shard_that_all_ended_with_is_started_by_restart() -> None:
    async with client_world() as w, w.client() as client:
        await client.start_shards(2)
        await connected(w, client, 2)
        client.shutdown_all()
        await client.wait()
        client.restart(1)
        await w.until(lambda: client.infos()[1].stage.value == "connected")
        assert client.shards_instantiated() == [1]
        client.shutdown(1)
        await client.wait()


async def test_a_restart_of_a_bot_that_is_refused_ends_at_once() -> None:
    async with client_world() as w, w.client(api=None, config=w.config(token=Secret("another.token"))) as client:
        await client.start_shards(1)
        with pytest.raises(Exception, match="4004"):
            await client.wait()
        client.restart(0)
        with pytest.raises(Exception, match="4004"):
            await client.wait()


async def test_what_was_reserved_for_shards_that_never_came_is_for_others(tmp_path: Path) -> None:
    path = tmp_path / "bot.state"
    async with client_world(session_limit=13) as w, w.client(store=path) as client:
        await client.start_shards(11)  # of the 12 that may be spent
        await connected(w, client, 1)
        async with w.client(store=tmp_path / "another.state", gate=client_gate(client)) as other:
            with pytest.raises(IdentifyBudgetError):
                await other.start_shard_range(range(11, 20), 20)
            client.shutdown_all()
            await client.wait()
            await other.start_shard_range(range(11, 20), 20)
            await connected(w, other, 9)


def client_gate(client: Any) -> Any:
    return client._started().gate


async def test_a_larger_spacing_is_kept() -> None:
    async with client_world() as w, w.client(identify_spacing=30.0) as client:
        await client.start_shards(3)
        await connected(w, client, 3)
        assert 60.0 <= w.clock.now() < 62.0


@pytest.mark.parametrize("spacing", [-1.0, float("inf"), float("nan")])
async def test_a_spacing_that_is_none_is_refused(spacing: float) -> None:
    async with client_world() as w:
        with pytest.raises(LocalProtocolError, match="identify_spacing must be seconds from 0 on"):
            w.client(identify_spacing=spacing)


async def test_more_shards_than_there_are_is_refused() -> None:
    async with client_world() as w, w.client() as client:
        with pytest.raises(LocalProtocolError, match="at most 1,048,576 shards"):
            await client.start_shards(MAX_SHARDS + 1)


async def test_a_start_by_another_recommendation_makes_the_file_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "bot.state"
    async with client_world(shards=2, max_concurrency=16) as w, w.client(store=path) as client:
        await client.start_autosharded()
        await connected(w, client, 2)
    async with client_world(shards=3, max_concurrency=16) as w, w.client(store=path) as client:
        await client.start_autosharded()
        await connected(w, client, 3)
        assert len(w.identifies) == 3
    assert "2 shards" in caplog.text
