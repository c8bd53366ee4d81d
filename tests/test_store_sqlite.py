"""The state file: whose it is, what a damaged, foreign, newer or unwritable one does, and what it tells nobody."""

import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gateway_proto import GatewayError, LocalProtocolError
from gateway_transports.stores import (
    SqliteStore,
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreMismatchError,
    StoreOwnedError,
    StoreUnusableError,
    schema,
)
from gateway_transports.stores.database import Database
from gateway_transports.stores.errors import from_sqlite
from gateway_transports.stores.permits import Grant, Later, PermitBook
from tests.store_helpers import PATIENCE, child, line, ordinary_user
from tests.store_process import session
from tests.test_store_contract import change

pytestmark = pytest.mark.failure("F38")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def opened(path: Path, application_id: int | None = 7, ids: tuple[int, ...] = (0, 1), total: int = 2) -> SqliteStore:
    return SqliteStore(path, application_id=application_id, shard_ids=ids, total=total)


def refusal(kind: type[StoreError], attempt: Callable[[], object]) -> str:
    """The one line with which it is refused, and that nothing of sqlite3 or of a session shows in the traceback."""
    with pytest.raises(StoreError) as caught:
        attempt()
    error = caught.value
    assert type(error) is kind
    assert isinstance(error, GatewayError)
    assert "\n" not in str(error)
    shown = "".join(traceback.format_exception(error))
    assert "sqlite3." not in shown
    assert "hidden" not in shown
    return str(error)


def filled(path: Path) -> bytes:
    """A file with a session of bot 7, shard 0 of 2; its bytes."""
    with opened(path) as store:
        store.save({0: session(0, 2, 5)})
    assert not path.with_name("state.db-wal").exists()
    return path.read_bytes()


# -- whose it is -----------------------------------------------------------------------------------------------


def test_a_file_of_another_bot_or_count_is_refused_and_not_touched(path: Path) -> None:
    before = filled(path)
    told = refusal(StoreMismatchError, lambda: opened(path, application_id=8))
    assert told == f"{path} keeps sessions of the bot 7, and this one is 8; choose another file"
    told = refusal(StoreMismatchError, lambda: opened(path, total=4))
    assert told == f"{path} keeps sessions of 2 shards, and 4 are wanted; choose another file"
    assert path.read_bytes() == before
    with opened(path) as store:
        assert store.load() == {0: session(0, 2, 5)}


def test_a_wrong_token_destroys_nothing_before_ready_tells_whose_it_is(path: Path) -> None:
    filled(path)
    with opened(path, application_id=None) as store:
        assert store.load() == {0: session(0, 2, 5)}
        store.save({0: None})  # Discord refused the other bot's session
        store.save({0: change(session(0, 2, 1), application_id=None), 1: None})
        assert store.load() == {0: session(0, 2, 5)}
        refusal(StoreMismatchError, lambda: store.bind(8))
        refusal(StoreMismatchError, lambda: store.save({0: change(session(0, 2, 1), application_id=8)}))
    with opened(path) as store:
        assert store.load() == {0: session(0, 2, 5)}


def test_what_waited_for_the_bot_to_be_known_is_written_then(path: Path) -> None:
    with opened(path) as store:
        store.save({0: session(0, 2, 5), 1: session(1, 2, 5)})
    with opened(path, application_id=None) as store:
        store.save({0: None, 1: None})
        store.save({1: session(1, 2, 6)})  # newer than what waits
        assert store.load() == {0: session(0, 2, 5), 1: session(1, 2, 6)}
        store.bind(7)
        assert store.load() == {1: session(1, 2, 6)}
        store.save({1: None})
        assert store.load() == {}


def test_a_file_becomes_the_bots_that_first_saves_to_it(path: Path) -> None:
    with opened(path, application_id=None) as store:
        store.save({0: change(session(0, 2, 1), application_id=None)})
        store.save({0: session(0, 2, 2)})
    refusal(StoreMismatchError, lambda: opened(path, application_id=8))
    other = path.with_name("other.db")
    with opened(other, application_id=2**64 - 1):
        refusal(StoreMismatchError, lambda: opened(other))


def test_two_programs_that_learn_different_bots_do_not_share(path: Path) -> None:
    with opened(path, application_id=None, ids=(0,)) as one, opened(path, application_id=None, ids=(1,)) as other:
        one.bind(7)
        refusal(StoreMismatchError, lambda: other.bind(8))
        refusal(StoreMismatchError, lambda: other.save({1: change(session(1, 2, 1), application_id=8)}))
    with opened(path) as store:
        assert store.load() == {}


def test_a_file_that_is_bound_while_another_opens_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Database._connect
    with opened(path, application_id=None, ids=(0,)) as first:

        def meanwhile(database: Database) -> None:
            first.bind(8)
            connect(database)

        monkeypatch.setattr(Database, "_connect", meanwhile)
        refusal(StoreMismatchError, lambda: opened(path, application_id=7, ids=(1,)))
        first.bind(8)


@pytest.mark.parametrize(
    ("ids", "total"), [((), 2), ((2,), 2), ((-1,), 2), ((0,), 0), ((0,), 2**40), (tuple(range(20)), 5)]
)
def test_shards_that_there_are_not_are_the_callers_mistake(path: Path, ids: tuple[int, ...], total: int) -> None:
    with pytest.raises(LocalProtocolError, match="there are no shards"):
        opened(path, ids=ids, total=total)
    assert not path.exists()


def test_a_session_of_a_shard_that_is_not_ours_is_not_saved(path: Path) -> None:
    with opened(path, ids=(0,)) as store:
        with pytest.raises(LocalProtocolError, match=r"shards 1$"):
            store.save({0: session(0, 2, 1), 1: session(1, 2, 1)})
        assert store.load() == {}


# -- what it is ------------------------------------------------------------------------------------------------


def test_only_its_owner_may_read_it(path: Path) -> None:
    old = os.umask(0)
    try:
        with opened(path) as store:
            store.save({0: session(0, 2, 1)})
            for file in path.parent.iterdir():
                assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
            assert {file.name for file in path.parent.iterdir()} >= {"state.db", "state.db-wal", "state.db-owners"}
    finally:
        os.umask(old)


def test_a_link_leads_to_the_file_and_its_owners(path: Path) -> None:
    filled(path)
    link = path.with_name("link.db")
    link.symlink_to(path)
    with opened(link) as store:
        assert store.path == path
        assert store.load() == {0: session(0, 2, 5)}
        assert "run by this process already" in refusal(StoreOwnedError, lambda: opened(path))


def test_a_newer_version_is_refused_and_not_touched(path: Path) -> None:
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = path.read_bytes()
    told = refusal(StoreFormatError, lambda: opened(path))
    assert told == f"{path} is of version 99, and this library knows 2; update the library"
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_not_touched(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (a)")
    connection.close()
    before = path.read_bytes()
    assert "another program's database" in refusal(StoreFormatError, lambda: opened(path))
    assert path.read_bytes() == before


def test_a_new_version_is_a_function_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(path)

    def change_half(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE sessions ADD COLUMN note TEXT")
        raise sqlite3.OperationalError("and then the power went")

    def change_all(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE notes (a)")

    known = list(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", [*known, change_half])
    refusal(StoreUnusableError, lambda: opened(path))
    monkeypatch.setattr(schema, "MIGRATIONS", [*known, change_all])
    with opened(path) as store:
        assert store.load() == {0: session(0, 2, 5)}
        assert store.kept_aside is None
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(known) + 1,)
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (0,)
        assert "note" not in [column for _, column, *_ in connection.execute("PRAGMA table_info(sessions)")]
    connection.close()


def test_a_file_of_version_1_keeps_what_it_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its buckets and its ledger know wall time only."""
    known = list(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", known[:1])
    filled(path)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO buckets VALUES (0, 1004.5)")
        connection.executemany("INSERT INTO identifies (at, shard) VALUES (?, 0)", [(990.0,), (999.0,), (-90_000.0,)])
        schema.write_meta(
            connection, max_concurrency=1, identifies_total=100, identifies_left=60, reported_at=990.0, reset_at=1990.0
        )
    connection.close()
    monkeypatch.setattr(schema, "MIGRATIONS", known)
    with opened(path) as store:
        assert store.load() == {0: session(0, 2, 5)}
    database = Database(path)
    wall, up = 1000.0, 50.0
    book = PermitBook(database, spacing=5.0, lease=2.0, wall=lambda: wall, up=lambda: up, boot=3)
    book.open(1)
    assert book.remaining() == 58  # by Discord's word, and what was spent since
    assert book.grant(0) == Later(4.5)
    wall, up = 1005.0, 55.0
    grant = book.grant(0)
    assert isinstance(grant, Grant)
    wall = 5.0
    assert book.grant(0) == Later(0.25)  # it is out, whatever the time is said to be
    book.end(grant, book.now())
    assert book.grant(0) == Later(5.0)
    assert book.remaining() == 57
    database.close()


def test_a_program_that_died_in_the_midst_of_making_it_leaves_a_file_that_can_be_used(path: Path) -> None:
    """The journal of before WAL mode is undone; a look without the right to write could not."""
    script = f"""
import os, sqlite3
connection = sqlite3.connect({str(path)!r}, isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("CREATE TABLE half (a)")
connection.execute("DROP TABLE half")
connection.execute("BEGIN IMMEDIATE")
connection.execute("CREATE TABLE half (a)")
connection.executemany("INSERT INTO half VALUES (?)", [("x" * 3000,)] * 500)
os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=PATIENCE)
    assert path.with_name("state.db-journal").exists()
    with opened(path) as store:
        assert store.kept_aside is None
        store.save({0: session(0, 2, 1)})


# -- damage ----------------------------------------------------------------------------------------------------


def no_database(data: bytes) -> bytes:
    return b"hello, I am a letter\n" * 400


def cut(data: bytes) -> bytes:
    return data[: len(data) - 4096 * 2]


def bad_page(data: bytes) -> bytes:
    return data[:4096] + b"\xff" * 4096 + data[8192:]


def bad_last_page(data: bytes) -> bytes:
    """Nothing that opening reads: only a check of the whole finds it."""
    return data[:-4096] + b"\xff" * 4096


@pytest.mark.parametrize("damage", [no_database, cut, bad_page, bad_last_page])
def test_a_damaged_file_is_kept_aside_and_named_and_a_new_one_begun(
    path: Path, damage: Callable[[bytes], bytes]
) -> None:
    for number in (1, 2):
        damaged = damage(filled(path))
        path.write_bytes(damaged)
        with opened(path) as store:
            aside = path.with_name(f"state.db.corrupt-{number}")
            assert store.kept_aside == aside
            assert aside.read_bytes() == damaged
            assert store.load() == {}
        with opened(path) as store:
            assert store.kept_aside is None


def test_a_table_or_a_number_that_is_none_is_damage(path: Path) -> None:
    for statement in ("DROP TABLE meta", "DROP TABLE sessions", "UPDATE meta SET value = 'seven'"):
        filled(path)
        with sqlite3.connect(path) as connection:
            connection.execute(statement)
        connection.close()
        with opened(path) as store:
            assert store.kept_aside is not None


def test_the_parts_of_a_damaged_file_go_with_it(path: Path) -> None:
    filled(path)
    path.write_bytes(no_database(b""))
    path.with_name("state.db-wal").write_bytes(b"left by a crash")
    with opened(path) as store:
        assert store.load() == {}
    assert path.with_name("state.db.corrupt-1-wal").read_bytes() == b"left by a crash"


def test_a_damaged_file_is_not_taken_from_a_program_that_uses_it(path: Path) -> None:
    damaged = bad_page(filled(path))
    with child("store_process.py", path, 2, 1) as program:
        assert line(program) == "{}"
        path.write_bytes(damaged)  # the log, which is read first, has not this page
        assert "in use" in refusal(StoreCorruptError, lambda: opened(path, ids=(0,)))
        assert not path.with_name("state.db.corrupt-1").exists()
    with opened(path, ids=(0,)) as store:
        assert store.kept_aside == path.with_name("state.db.corrupt-1")


def test_damage_that_shows_later_is_told(path: Path) -> None:
    with opened(path, ids=tuple(range(64)), total=64) as store:
        store.save({id: session(id, 64, 1) for id in range(64)})
    size = path.stat().st_size
    with opened(path, ids=tuple(range(64)), total=64) as store:
        with store._database.reading() as connection:
            connection.execute("PRAGMA cache_size = 1")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        assert "damaged" in refusal(StoreCorruptError, store.load)


def test_a_table_that_goes_while_it_is_open_is_no_damage_of_the_file_and_is_told(path: Path) -> None:
    """To move it away is no remedy while somebody else does that."""
    with opened(path) as store:
        with store._database.transaction() as connection:
            connection.execute("DROP TABLE sessions")
        for attempt in (store.load, lambda: store.save({0: session(0, 2, 1)})):
            told = refusal(StoreUnusableError, attempt)
            assert told == (f"{path} cannot be used, as if another program had changed it: no such table: sessions")


def test_a_session_that_cannot_be_read_costs_its_shard_alone(path: Path) -> None:
    with opened(path) as store:
        store.save({0: session(0, 2, 1), 1: session(1, 2, 1)})
        with store._database.transaction() as connection:
            connection.execute("UPDATE sessions SET session = x'00ff' WHERE shard = 1")
        assert store.load() == {0: session(0, 2, 1)}
        assert list(store.unreadable) == [1]
        store.save({1: session(1, 2, 2)})
        assert len(store.load()) == 2
        assert not store.unreadable


# -- what the world refuses ------------------------------------------------------------------------------------


def test_a_place_where_no_file_can_be(path: Path) -> None:
    folder = path.parent
    assert refusal(StoreUnusableError, lambda: opened(folder)) == f"{folder} is not a file; choose another state file"
    os.mkfifo(path)
    assert "is not a file" in refusal(StoreUnusableError, lambda: opened(path))
    missing = folder / "none" / "state.db"
    assert refusal(StoreUnusableError, lambda: opened(missing)) == f"{missing} cannot be made: there is no such folder"
    beside = folder / "other.db-owners"
    beside.mkdir()
    assert "cannot be opened or written: Is a directory" in refusal(
        StoreUnusableError, lambda: opened(folder / "other.db")
    )
    assert [entry.name for entry in folder.iterdir() if entry.is_file()] == []


def test_a_name_with_line_breaks_makes_no_second_line(path: Path) -> None:
    with opened(path.with_name("a\nb ?#%.db")) as store:
        store.save({0: session(0, 2, 1)})
        refusal(StoreOwnedError, lambda: opened(path.with_name("a\nb ?#%.db")))
    assert path.with_name("a\nb ?#%.db").exists()


def test_a_read_only_folder_or_file() -> None:
    with ordinary_user() as folder:
        path = folder / "state.db"
        before = filled(path)
        path.chmod(0o400)
        assert (
            refusal(StoreUnusableError, lambda: opened(path)) == f"{path} is read-only, or not readable, for this user"
        )
        path.chmod(0o200)
        assert "not readable" in refusal(StoreUnusableError, lambda: opened(path))
        path.chmod(0o600)
        assert path.read_bytes() == before
        folder.chmod(0o500)
        told = refusal(StoreUnusableError, lambda: opened(path))
        assert told == f"{path} cannot be written: the file or its folder is read-only"
        folder.chmod(0o700)
        path.with_name("state.db-owners").unlink()
        folder.chmod(0o500)
        for name in ("state.db", "new.db"):
            told = refusal(StoreUnusableError, partial(opened, folder / name))
            assert "Permission denied" in told
        folder.chmod(0o000)
        assert "Permission denied" in refusal(StoreUnusableError, lambda: opened(path))
        folder.chmod(0o700)
        with opened(path) as store:
            assert store.load() == {0: session(0, 2, 5)}


def test_a_damaged_file_that_cannot_be_renamed_is_told_so() -> None:
    with ordinary_user() as folder:
        path = folder / "state.db"
        filled(path)
        path.write_bytes(no_database(b""))
        folder.chmod(0o500)
        assert "Permission denied" in refusal(StoreUnusableError, lambda: opened(path))
        assert path.read_bytes() == no_database(b"")


def test_a_full_disk_is_told_and_what_was_saved_stays(path: Path) -> None:
    with opened(path) as store:
        store.save({0: session(0, 2, 5)})
        with store._database.reading() as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        large = change(session(1, 2, 6), application_id=None)
        large = type(large)(
            **{f: getattr(large, f) for f in large.__struct_fields__} | {"id": type(large.id)("x" * 9000)}
        )
        told = refusal(StoreFullError, lambda: store.save({0: session(0, 2, 6), 1: large}))
        assert told == f"{path} cannot be written: no room is left on its disk"
        assert store.load() == {0: session(0, 2, 5)}
        with store._database.reading() as connection:
            connection.execute("PRAGMA max_page_count = 100000")
        store.save({0: session(0, 2, 6), 1: large})
        assert len(store.load()) == 2


def test_a_file_that_may_not_grow_is_told(path: Path) -> None:
    """A quota, in a process of its own: the limit would be this one's for ever."""
    script = f"""
import resource, sys
from tests.store_process import session
from gateway_transports.stores import SqliteStore, StoreUnusableError
store = SqliteStore({str(path)!r}, application_id=7, shard_ids=range(64), total=64)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
saved = 0
try:
    while saved < 1000:
        store.save({{id: session(id, 64, saved + 1) for id in range(64)}})
        saved += 1
except StoreUnusableError as error:
    print(error)
assert set(s.sequence for s in store.load().values()) <= {{saved}}
"""
    ran = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        timeout=PATIENCE,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert ran.stdout == f"{path} cannot be read or written: its disk fails, or a quota is reached\n"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_READONLY_DBMOVED, StoreUnusableError),
        (sqlite3.SQLITE_CANTOPEN, StoreUnusableError),
        (sqlite3.SQLITE_PROTOCOL, StoreBusyError),
        (sqlite3.SQLITE_IOERR_FSYNC, StoreUnusableError),
        (sqlite3.SQLITE_CORRUPT_INDEX, StoreCorruptError),
        (sqlite3.SQLITE_TOOBIG, StoreUnusableError),
        (sqlite3.SQLITE_NOTADB, StoreCorruptError),
        (sqlite3.SQLITE_ERROR, StoreUnusableError),
        (sqlite3.SQLITE_FORMAT, StoreUnusableError),
        (None, StoreUnusableError),
    ],
)
def test_every_failure_of_sqlite_has_its_kind_and_its_line(code: int | None, kind: type[StoreError]) -> None:
    error = sqlite3.OperationalError("of\nsqlite's")
    if code is not None:
        error.sqlite_errorcode = code
    made = from_sqlite(Path("a.db"), error)
    assert type(made) is kind
    assert str(made).startswith("a.db ")
    assert ("damaged" in str(made)) == (kind is StoreCorruptError)
    assert "\n" not in str(made)


@pytest.fixture
def lock(path: Path) -> Iterator[Callable[[], sqlite3.Connection]]:
    """Locks the file, as another program would; rolled back is let go."""
    with contextlib.ExitStack() as stack:

        def locked() -> sqlite3.Connection:
            other = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
            other.execute("BEGIN IMMEDIATE")
            return other

        yield locked


@contextlib.contextmanager
def alarm(handler: Callable[[], object]) -> Iterator[None]:
    """A signal in a moment."""
    before = signal.signal(signal.SIGALRM, lambda *_: handler())
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_a_file_that_another_program_keeps_locked(path: Path, lock: Callable[[], sqlite3.Connection]) -> None:
    with opened(path) as store:
        other = lock()
        store.patience = 0.001
        for attempt in (lambda: store.save({0: None}), lambda: store.bind(7)):
            assert "locked by another program" in refusal(StoreBusyError, attempt)
        other.execute("COMMIT")
        store.save({0: None})


def test_signal_handlers_run_while_a_lock_is_waited_for(path: Path, lock: Callable[[], sqlite3.Connection]) -> None:
    with opened(path) as store:
        other = lock()
        with alarm(lambda: other.execute("ROLLBACK")):  # in SQLite's own wait this would come too late
            store.save({0: session(0, 2, 1)})
        assert store.load() == {0: session(0, 2, 1)}
        with store._database.transaction() as connection:
            assert connection.execute("PRAGMA busy_timeout").fetchone()[0] <= 100


def test_an_interrupt_ends_the_wait_for_a_lock_and_leaves_the_store_as_it_was(
    path: Path, lock: Callable[[], sqlite3.Connection]
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with opened(path) as store:
        other = lock()
        with pytest.raises(KeyboardInterrupt), alarm(interrupt):
            store.save({0: session(0, 2, 1)})
        other.execute("ROLLBACK")
        assert store.load() == {}
        store.save({0: session(0, 2, 2)})
        assert store.load() == {0: session(0, 2, 2)}


def test_an_interrupt_just_as_the_lock_was_taken_lets_it_go(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(connection: sqlite3.Connection, patience: float) -> None:
        connection.execute("BEGIN IMMEDIATE")
        raise KeyboardInterrupt

    with opened(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr("gateway_transports.stores.database.begin", interrupted)
            with pytest.raises(KeyboardInterrupt):
                store.save({0: session(0, 2, 1)})
        store.save({0: session(0, 2, 2)})


# -- another shard count ---------------------------------------------------------------------------------------


def resharded(path: Path, total: int) -> SqliteStore:
    return SqliteStore(path, application_id=7, shard_ids=range(total), total=total, reshard=True)


def test_a_file_may_become_one_of_another_count(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    filled(path)
    with resharded(path, 2) as store:
        assert store.load() == {0: session(0, 2, 5)}
        assert caplog.messages == []
    with resharded(path, 3) as store:
        assert store.load() == {}
        assert caplog.messages == [
            f"{path} kept sessions of 2 shards, and 3 are wanted now: 1 were dropped, and every shard begins anew"
        ]
        store.save({2: session(2, 3, 1)})
    with opened(path, total=3) as store:  # it is of that count now
        assert store.load() == {}
    assert "of 3 shards, and 2 are wanted" in refusal(StoreMismatchError, lambda: opened(path))
    with resharded(path, 3) as store:
        assert store.load() == {2: session(2, 3, 1)}


def test_a_file_whose_shards_run_does_not_become_one_of_another_count(path: Path) -> None:
    filled(path)
    told = f"{path} keeps sessions of 2 shards, some of which a program runs, and 1 are wanted"
    with opened(path, ids=(1,)):
        assert refusal(StoreMismatchError, lambda: resharded(path, 1)).startswith(told)
        assert "shard 1 of" in refusal(StoreOwnedError, lambda: resharded(path, 3))
    with child("store_process.py", path, 2, 1) as program:
        assert line(program) == "{}"
        assert refusal(StoreMismatchError, lambda: resharded(path, 1)).startswith(told)
        assert f"process {program.pid}" in refusal(StoreOwnedError, lambda: resharded(path, 3))
        with opened(path, ids=(0,)) as store:  # the refused ones have let go of everything
            assert store.load() == {0: session(0, 2, 5)}
    with resharded(path, 1) as store:
        assert store.load() == {}


def test_another_bots_file_is_refused_whatever_the_count(path: Path) -> None:
    before = filled(path)
    store = partial(SqliteStore, path, application_id=8, shard_ids=range(3), total=3, reshard=True)
    assert "of the bot 7" in refusal(StoreMismatchError, store)
    assert path.read_bytes() == before
