"""What every `SessionStore` does: each kept session comes back as it was, whatever was saved in between (F32, F38)."""

import contextlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway_proto import LocalProtocolError, Session
from gateway_transports.stores import MemoryStore, SessionStore, SqliteStore, StoreMismatchError
from tests.store_process import session
from tests.test_session import SESSIONS

pytestmark = pytest.mark.failure("F38")

Opened = Callable[[], SessionStore]


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens the store, and again what the last one kept."""
    memory = MemoryStore()

    def open_again() -> SessionStore:
        if request.param == "memory":
            return memory
        return SqliteStore(tmp_path / "state.db", application_id=None, shard_ids=range(4), total=4)

    return open_again


def test_what_was_saved_comes_back_and_what_was_not_named_stays(opened: Opened) -> None:
    first, second, newer = session(0, 4, 1), session(1, 4, 2), session(1, 4, 3)
    with opened() as store:
        assert store.load() == {}
        store.save({0: first, 1: second})
        store.save({1: newer, 2: None})
        store.save({})
        assert store.load() == {0: first, 1: newer}
    with opened() as store:
        assert store.load() == {0: first, 1: newer}
        store.bind(7)
        store.save({0: None})
        assert store.load() == {1: newer}
    with opened() as store:
        assert store.load() == {1: newer}


def test_sessions_of_two_bots_are_not_kept_together(opened: Opened) -> None:
    ours, theirs = session(0, 4, 1), change(session(1, 4, 1), application_id=8)
    with opened() as store:
        with pytest.raises(StoreMismatchError, match=r"7, not of 8|7, and this one is 8"):
            store.save({0: ours, 1: theirs})
        assert store.load() == {}
        store.save({0: ours})
        with pytest.raises(StoreMismatchError):
            store.save({0: None, 1: theirs})
        with pytest.raises(StoreMismatchError):
            store.bind(8)
        assert store.load() == {0: ours}
        store.bind(7)
        store.bind(7)


def test_a_closed_store_says_so(opened: Opened) -> None:
    store = opened()
    store.close()
    store.close()
    for attempt in (store.load, lambda: store.save({}), lambda: store.bind(7)):
        with pytest.raises(LocalProtocolError, match="closed"):
            attempt()


def test_a_store_in_memory_is_called_to_be_opened_again() -> None:
    """As a client calls it, one after the other."""
    store = MemoryStore()
    opened = store(application_id=None, shard_ids=range(2), total=4)
    assert opened is store
    store.save({0: session(0, 4, 1), 1: session(1, 4, 2)})
    store.close()
    assert store(application_id=7, shard_ids=range(1, 3), total=4).load() == {1: session(1, 4, 2)}
    store.close()
    with pytest.raises(StoreMismatchError):
        store(application_id=8, shard_ids=range(2), total=4)
    with pytest.raises(LocalProtocolError, match="closed"):
        store.load()
    assert list(store(application_id=None, shard_ids=range(4), total=4).load()) == [0, 1]


def change(session: Session, *, application_id: int | None) -> Session:
    fields = {name: getattr(session, name) for name in Session.__struct_fields__}
    return Session(**{**fields, "application_id": application_id})


@given(session=SESSIONS)
def test_any_session_comes_back_as_it_was(session: Session) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "state.db")
        with SqliteStore(path, application_id=None, shard_ids=[0], total=1) as store:
            store.save({0: session})
        with SqliteStore(path, application_id=session.application_id, shard_ids=[0], total=1) as store:
            assert store.load() == {0: session}
            assert not store.unreadable


SAVES = st.dictionaries(st.integers(0, 1), st.none() | SESSIONS, max_size=2)
"""Of one program: its first shard and its second."""


class Programs(RuleBasedStateMachine):
    """Three programs share a file, two shards each; each saves, ends and starts again when it likes."""

    @initialize()
    def start(self) -> None:
        self.exit = contextlib.ExitStack()
        self.path = Path(self.exit.enter_context(tempfile.TemporaryDirectory()), "state.db")
        self.open: dict[int, SqliteStore] = {}
        self.model: dict[int, Session] = {}
        self.memory = MemoryStore()

    @rule(program=st.integers(0, 2))
    def open_or_close(self, program: int) -> None:
        if program in self.open:
            self.open.pop(program).close()
        else:
            ids = (2 * program, 2 * program + 1)
            self.open[program] = SqliteStore(self.path, application_id=7, shard_ids=ids, total=6)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), saves=SAVES)
    def save(self, data: st.DataObject, saves: Mapping[int, Session | None]) -> None:
        program = data.draw(st.sampled_from(sorted(self.open)))
        named = {
            2 * program + index: found if found is None else change(found, application_id=7)
            for index, found in saves.items()
        }
        self.open[program].save(named)
        self.memory.save(named)
        self.model = {id: s for id, s in (self.model | named).items() if s is not None}

    @precondition(lambda self: self.open)
    @rule(data=st.data(), other=SESSIONS.map(lambda found: change(found, application_id=8)))
    def save_anothers(self, data: st.DataObject, other: Session) -> None:
        program = data.draw(st.sampled_from(sorted(self.open)))
        with pytest.raises(StoreMismatchError):
            self.open[program].save({2 * program: None, 2 * program + 1: other})

    @invariant()
    def each_has_what_it_saved(self) -> None:
        for program, store in self.open.items():
            assert store.load() == {id: s for id, s in self.model.items() if id // 2 == program}
        assert self.memory.load() == self.model

    def teardown(self) -> None:
        for store in self.open.values():
            store.close()
        self.exit.close()


def test_any_interleaving_of_programs_keeps_what_each_saved_last() -> None:
    run_state_machine_as_test(Programs, settings=settings(max_examples=60, stateful_step_count=20))
