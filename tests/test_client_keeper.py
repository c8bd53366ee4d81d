"""`SessionKeeper`: whatever a store does, the shards go on; how long it is waited for, and what is told at the end."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from gateway_proto import Dispatch, Session
from gateway_transports.anyio import ShardRunner
from gateway_transports.client import keeper as keepers
from gateway_transports.client.keeper import SessionKeeper
from gateway_transports.stores import (
    MemoryStore,
    SessionStore,
    SqliteStore,
    StoreBusyError,
    StoreMismatchError,
)
from tests.client_helpers import client_world, connected
from tests.store_process import session

pytestmark = pytest.mark.failure("F38")

READY = Dispatch(epoch=1, sequence=1, name="READY", raw=msgspec.Raw(b"{}"))


class Runner:
    """A shard's runner, as far as a keeper asks it."""

    def __init__(self, made: Session | None) -> None:
        self.made = made

    def session_snapshot(self, wall: float, *, after: Dispatch | None = None) -> Session | None:
        return self.made


def keeper(store: SessionStore | None, **made: int) -> SessionKeeper:
    """Of two shards that run, at these sequences."""
    foreign: list[StoreMismatchError] = []
    kept = SessionKeeper(store, wall=lambda: 0.0, on_foreign=foreign.append)
    kept.load()
    for shard_id in (0, 1):
        kept.watch(shard_id, cast(ShardRunner, Runner(session(shard_id, 2, 1))))
    return kept


def move(kept: SessionKeeper, shard_id: int, sequence: int) -> None:
    cast(Runner, kept._runners[shard_id]).made = session(shard_id, 2, sequence)
    kept.moved(shard_id)


class Odd(MemoryStore):
    """A store of a user's that has mistakes in it."""

    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = set(broken)

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        if "save" in self.broken:
            raise OSError("the disk is on fire")
        super().save(sessions)

    def bind(self, application_id: int) -> None:
        if "bind" in self.broken:
            raise KeyError(application_id)
        super().bind(application_id)

    def close(self) -> None:
        super().close()
        if "close" in self.broken:
            raise ZeroDivisionError


# -- stores that fail ------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_store_that_raises_anything_does_not_end_a_client(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        store = Odd("save", "bind")
        async with w.client(store=store) as client:
            client.on()(lambda event: None)
            await client.start_shards(1)
            await connected(w, client, 1)
            w.message(0, 1)
            await w.clock.sleep(10.0)
            assert store.load() == {}
            [told] = [record for record in caplog.records if "cannot be stored" in record.message]
            assert told.levelname == "ERROR"
            assert told.exc_info is not None
            store.broken.remove("save")
            await w.clock.sleep(2.0)
            assert store.load()[0].sequence == 2
            store.broken.add("save")
            w.message(0, 2)
            await w.clock.sleep(2.0)
        assert "Memory" not in caplog.text
        assert "how far shards 0 got could not be stored in Odd" in caplog.text
        assert len([record for record in caplog.records if "cannot be stored" in record.message]) == 1
        store.broken.clear()
        async with w.client(store=store) as client:
            await client.start_shards(1)
            await connected(w, client, 1)
        assert len(w.identifies) == 1


def test_a_store_that_cannot_be_closed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    kept = keeper(Odd("close"))
    kept.ready(0, READY)
    kept.close()
    kept.close()
    assert caplog.messages == ["the store of sessions cannot be closed: ZeroDivisionError"]
    assert kept.unsaved == frozenset()


def test_another_bots_store_that_cannot_be_closed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    store = Odd("close")
    store.bind(8)
    kept = keeper(store)
    kept.ready(0, READY)
    assert caplog.messages == ["the store of sessions cannot be closed: ZeroDivisionError"]
    kept.close()
    assert kept.unsaved == frozenset()


def test_each_failure_is_told_once_and_the_next_one_after_a_success_again(caplog: pytest.LogCaptureFixture) -> None:
    store = Odd("save", "bind")
    kept = keeper(store)
    kept.ready(0, READY)
    for _ in range(3):
        kept.save()
    store.broken = {"bind"}  # what is stored now does not make the other failure a new one
    for sequence in range(2, 5):
        move(kept, 0, sequence)
        kept.save()
    assert len(caplog.messages) == 1
    store.broken = set()
    kept.save()
    store.broken = {"save"}
    move(kept, 0, 5)
    kept.save()
    assert len(caplog.messages) == 2


def test_what_the_store_was_not_told_of_its_bot_it_is_told_later() -> None:
    """Not at the next READY, which may never come."""
    store = Odd("bind")
    kept = keeper(store)
    kept.ready(0, READY)
    store.broken.clear()
    kept.save()
    with pytest.raises(StoreMismatchError):
        store.bind(8)


# -- how long it is waited for ---------------------------------------------------------------------------------


class Locked(SqliteStore):
    """Another program keeps it locked; how long each was to wait."""

    is_locked = True

    def __init__(self, path: Path) -> None:
        super().__init__(path, application_id=None, shard_ids=[0, 1], total=2)
        self.waits: list[tuple[str, float]] = []

    def save(self, sessions: Mapping[int, Session | None]) -> None:
        self.waits.append(("save", self.patience))
        if self.is_locked:
            raise StoreBusyError("locked")
        super().save(sessions)

    def bind(self, application_id: int) -> None:
        self.waits.append(("bind", self.patience))
        if self.is_locked:
            raise StoreBusyError("locked")
        super().bind(application_id)


def test_a_locked_file_keeps_the_loop_for_a_moment_only_and_the_end_for_some_seconds(tmp_path: Path) -> None:
    store = Locked(tmp_path / "state.db")
    kept = keeper(store)
    kept.ready(0, READY)
    assert store.waits == [("bind", 0.5), ("save", 0.05)]
    store.waits.clear()
    kept.ready(1, READY)
    kept.save()
    kept.resumed(0)
    assert store.waits == [("bind", 0.05), ("save", 0.05)] * 3
    store.waits.clear()
    store.is_locked = False
    kept.save()
    move(kept, 0, 2)
    kept.save()
    kept.ready(1, READY)
    assert store.waits == [("bind", 0.05), ("save", 0.05), ("save", 0.05), ("save", 0.5)]
    store.waits.clear()
    store.is_locked = True
    move(kept, 0, 3)
    kept.save()
    kept.close()
    assert store.waits == [("save", 0.05), ("save", 5.0)]


# -- what is told at the end -----------------------------------------------------------------------------------


def test_what_could_not_be_stored_is_told_at_the_end_with_what_comes_of_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "CLOSE_PATIENCE", 0.01)
    path = tmp_path / "state.db"
    kept = keeper(SqliteStore(path, application_id=7, shard_ids=[0, 1], total=2))
    kept.ready(0, READY)
    kept.save()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        move(kept, 0, 2)
        kept.save()
        move(kept, 1, 1)
        assert kept.unsaved == frozenset()
        caplog.clear()
        kept.close()
        other.execute("ROLLBACK")
    assert kept.unsaved == {0, 1}
    lost = f"the sessions of shards 1 could not be stored in {path}: they will IDENTIFY again at the next start"
    behind = f"how far shards 0 got could not be stored in {path}: what they were given last will come again"
    assert [(record.levelname, record.message) for record in caplog.records] == [("ERROR", lost), ("ERROR", behind)]
    with SqliteStore(path, application_id=7, shard_ids=[0, 1], total=2) as store:  # it was closed
        assert store.load() == {0: session(0, 2, 1)}


def test_an_interrupt_at_the_end_comes_through_and_the_store_is_closed_and_it_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Interrupted(MemoryStore):
        is_closed = False

        def save(self, sessions: Any) -> None:
            raise KeyboardInterrupt

        def close(self) -> None:
            self.is_closed = True

    store = Interrupted()
    kept = keeper(store)
    move(kept, 0, 2)
    with pytest.raises(KeyboardInterrupt):
        kept.close()
    assert store.is_closed
    assert kept.unsaved == {0}
    assert caplog.messages == [
        "the sessions of shards 0 could not be stored in Interrupted: they will IDENTIFY again at the next start"
    ]


def test_what_was_stored_or_forgotten_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    store = Odd()
    kept = keeper(store)
    kept.ready(0, READY)
    kept.ready(1, READY)
    store.broken.add("save")
    kept.unwatch(1, forget=True)
    caplog.clear()
    kept.close()
    assert kept.unsaved == frozenset()
    assert [message for message in caplog.messages if "could not" in message] == []


# -- sessions that are refused ---------------------------------------------------------------------------------


def test_a_session_that_is_refused_is_forgotten_and_one_of_other_settings_is_not() -> None:
    store = MemoryStore()
    store.save({0: session(0, 2, 1), 1: session(1, 2, 1)})
    kept = SessionKeeper(store, wall=lambda: 0.0, on_foreign=lambda error: None)
    kept.load()
    kept.refuse(0)
    kept.refuse(1, keep=True)
    assert kept.sessions == {}
    kept.refuse(7)  # no shard of ours: the store would not take it
    assert kept._unsaved == {0: None}
    kept.save()
    assert store.load() == {1: session(1, 2, 1)}
    kept.refuse(1)
    kept.save()
    assert store.load() == {}
    kept.close()
    assert kept.unsaved == frozenset()
