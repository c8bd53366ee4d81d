"""Sessions that outlive a client: stored before they are needed, resumed at no cost, refused where they do not fit."""

import itertools
import os
import sqlite3
from pathlib import Path
from typing import Any

import anyio
import pytest

from gateway_proto import Dispatch, LocalProtocolError, Secret, Session
from gateway_proto.events import MessageCreate
from gateway_proto.server import Identified, InvalidSession, SessionResumed
from gateway_transports.client import Client
from gateway_transports.stores import MemoryStore, StoreMismatchError, StoreOwnedError, StoreUnusableError

from .client_helpers import ClientWorld, client_world, connected, contents

pytestmark = [pytest.mark.anyio, pytest.mark.failure("F38", "F32")]


async def started(w: ClientWorld, client: Client[Any], shards: int) -> None:
    await client.start_shards(shards)
    await connected(w, client, shards)


async def test_a_restart_costs_no_identify_and_no_event(tmp_path: Path) -> None:
    async with client_world(max_concurrency=4) as w:
        seen: list[int] = []
        numbers = itertools.count()

        def send(count: int) -> None:
            for number in itertools.islice(numbers, count):
                w.message(number % 4, number)

        for _ in range(3):
            async with w.client(store=tmp_path / "state") as client:
                await started(w, client, 4)
                send(40)
                stream = client.events(MessageCreate)
                seen += await contents(stream, 30)  # the rest is under way, in queues, or not read
                stream.acknowledge()
            send(8)  # nobody is there
        async with w.client(store=tmp_path / "state") as client:
            await started(w, client, 4)
            seen += await contents(client.events(MessageCreate), 144 - len(seen))
        assert sorted(seen) == list(range(144))
        for shard_id in range(4):
            of_shard = [number for number in seen if number % 4 == shard_id]
            assert of_shard == sorted(of_shard)
        assert len(w.identifies) == 4
        assert len(w.of(SessionResumed)) == 12


async def test_without_a_store_the_session_ends_with_the_client() -> None:
    async with client_world() as w:
        for _ in range(2):
            async with w.client() as client:
                await started(w, client, 1)
            await w.clock.sleep(10.0)
        assert len(w.identifies) == 2


class Watched(MemoryStore):
    """Remembers the order of what happens."""

    def __init__(self, log: list[str]) -> None:
        super().__init__()
        self.log = log

    def save(self, sessions: Any) -> None:
        super().save(sessions)
        self.log += [f"save {id} {session.sequence if session else None}" for id, session in sorted(sessions.items())]


async def test_ready_is_stored_before_it_is_handed_on() -> None:
    async with client_world() as w:
        log: list[str] = []
        client = w.client(store=lambda **_: Watched(log))

        @client.handler
        def on_any(event: Dispatch) -> None:
            log.append(event.name)

        async with client:
            await started(w, client, 1)
            await w.until(lambda: "READY" in log)
            assert log == ["save 0 1", "READY"]
            w.message(0, 1)
            await w.clock.sleep(2.0)
            assert log == ["save 0 1", "READY", "MESSAGE_CREATE", "save 0 2"]
            await w.clock.sleep(60.0)
            assert log[4:] == []  # nothing moved, nothing is written


@pytest.mark.parametrize("taken", [0, 3])
async def test_what_a_killed_program_had_not_stored_comes_again_and_is_marked(taken: int) -> None:
    """The kill is a second program that starts from what the store had at that moment."""
    async with client_world() as w:
        store = MemoryStore()
        copies: list[dict[int, Session]] = []
        async with w.client(store=lambda **_: store) as client:
            await started(w, client, 1)
            stream = client.events(MessageCreate)
            for number in range(5):
                w.message(0, number)
            await contents(stream, 5)
            stream.acknowledge()
            await w.clock.sleep(2.0)
            for number in range(5, 10):
                w.message(0, number)
            assert await contents(stream, taken) == list(range(5, 5 + taken))
            copies.append(store.load())
        killed = MemoryStore()
        killed.save(copies[0])
        async with w.client(store=lambda **_: killed) as client:
            await client.start_shards(1)
            stream = client.events(MessageCreate)
            events = [await anext(stream) for _ in range(5)]
            assert [int(event.data.content) for event in events] == [5, 6, 7, 8, 9]
            assert all(event.replayed for event in events)
        assert len(w.of(Identified)) == 1


async def test_a_lost_session_is_forgotten_and_the_next_one_stored() -> None:
    async with client_world() as w:
        store = MemoryStore()
        async with w.client(store=lambda **_: store) as client:
            await started(w, client, 1)
            before = store.load()[0]
            w.gateway.inject(before.id, InvalidSession(resumable=False))
            await w.until(lambda: len(w.identifies) == 2)
            await connected(w, client, 1)
            after = store.load()[0]
            assert before.id != after.id
            assert after.id == w.session.id


async def test_logging_out_ends_the_sessions_and_forgets_them() -> None:
    async with client_world(max_concurrency=2) as w:
        store = MemoryStore()
        async with w.client(store=lambda **_: store) as client:
            await started(w, client, 2)
            client.shutdown_all(resumable=False)
            await client.wait()
            assert client.shards_instantiated() == []
            with pytest.raises(LocalProtocolError, match="does not run"):
                client.shard(0).set_activity(None)
        assert w.gateway.server.sessions == {}
        with store:
            assert store.load() == {}


async def test_a_session_of_other_settings_is_not_resumed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        async with w.client(store=tmp_path / "state") as client:
            await started(w, client, 1)
        await w.clock.sleep(10.0)
        config = w.config(transport_compression="zlib-stream")
        async with w.client(config, store=tmp_path / "state") as client:
            await started(w, client, 1)
            assert "shard 0 begins anew: the stored session has transport_compression" in caplog.text
        assert len(w.identifies) == 2


# -- files that are another's --------------------------------------------------------------------------------


async def test_the_file_of_another_bot_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with client_world() as w, w.client(store=path) as client:
        await started(w, client, 1)
    kept = rows(path)
    assert len(kept) == 1
    async with client_world(application_id=4242, user_id=4242) as w:
        async with w.client(store=path) as client:
            await client.start_shards(1)
            with pytest.raises(StoreMismatchError, match="choose another file"):
                await client.wait()
        async with w.client(w.config(application_id=4242), store=path) as client:
            with pytest.raises(StoreMismatchError, match="choose another file"):
                await client.start_shards(1)
        assert len(w.identifies) == 1  # whose the file is, READY told the first of them
    assert rows(path) == kept


def rows(path: Path) -> list[tuple[int, bytes]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT shard, session FROM sessions").fetchall()
    finally:
        connection.close()


async def test_the_file_of_another_count_is_refused(tmp_path: Path) -> None:
    async with client_world(max_concurrency=2) as w:
        async with w.client(store=tmp_path / "state") as client:
            await started(w, client, 2)
        async with w.client(store=tmp_path / "state") as client:
            with pytest.raises(StoreMismatchError, match="of 2 shards, and 3 are wanted"):
                await client.start_shards(3)


async def test_a_shard_that_another_program_runs_is_refused(tmp_path: Path) -> None:
    async with client_world(max_concurrency=4) as w, w.client(store=tmp_path / "state") as one:
        await one.start_shard_range(range(2), 4)
        async with w.client(store=tmp_path / "state") as other:
            with pytest.raises(StoreOwnedError, match="shard 1"):
                await other.start_shard_range(range(1, 3), 4)
            await other.start_shard_range(range(2, 4), 4)
            await connected(w, one, 2)
            await connected(w, other, 2)


async def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    async with client_world() as w, w.client(store=tmp_path / "nowhere" / "state") as client:
        with pytest.raises(StoreUnusableError, match="nowhere"):
            await client.start()


async def test_a_damaged_file_is_kept_aside_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    async with client_world() as w, w.client(store=path) as client:
        await started(w, client, 1)
        damaged = [kept for kept in os.listdir(tmp_path) if f"kept as {tmp_path / kept}," in caplog.text]
        assert len(damaged) == 1
        assert rows(path)[0][0] == 0


class Full(MemoryStore):
    """A disk that is full for a while."""

    is_full = False

    def save(self, sessions: Any) -> None:
        if self.is_full:
            raise StoreUnusableError("no room")
        super().save(sessions)


async def test_a_store_that_fails_for_a_while_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        store = Full()
        store.is_full = True
        async with w.client(store=lambda **_: store) as client:
            await started(w, client, 1)
            await w.clock.sleep(5.0)
            assert store.load() == {}
            store.is_full = False
            await w.clock.sleep(2.0)
            assert store.load()[0].id == w.session.id
        assert [message for message in caplog.messages if "no room" in message] == [
            "sessions cannot be stored at the moment, and will be later: no room"
        ]


async def test_a_secret_is_no_part_of_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w, w.client(w.config(token=Secret("wrong-token"))) as client:
        with anyio.move_on_after(0):
            await client.start()
        assert "wrong-token" not in caplog.text + repr(client)
