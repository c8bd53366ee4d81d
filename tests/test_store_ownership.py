"""Several programs share a state file, each with its own shards; whatever kills one, its shards are free at once."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from gateway_transports.stores import SqliteStore, StoreBusyError, StoreOwnedError, ownership
from gateway_transports.stores.ownership import Ownership
from tests.store_helpers import PATIENCE, child, line, tell
from tests.store_process import session

pytestmark = pytest.mark.failure("F38")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def opened(path: Path, *ids: int, total: int = 10) -> SqliteStore:
    return SqliteStore(path, application_id=7, shard_ids=ids, total=total)


@pytest.mark.failure("F32")
def test_what_save_has_returned_from_survives_a_kill(path: Path) -> None:
    for sequence in (1, 2, 3):
        with child("store_process.py", path, 10, 0, 1, 2) as program:
            assert line(program) == str(dict.fromkeys(range(3), sequence - 1) if sequence > 1 else {})
            tell(program, sequence)
            assert line(program) == str(sequence)
            program.kill()
            program.wait(PATIENCE)
    with opened(path, 0, 1, 2) as store:
        assert store.load() == {id: session(id, 10, 3) for id in range(3)}
        assert store.kept_aside is None


@pytest.mark.failure("F32")
def test_a_kill_in_the_midst_of_saves_leaves_all_shards_at_one_of_them(path: Path) -> None:
    for _ in range(5):
        with child("store_process.py", path, 10, *range(10)) as program:
            line(program)
            assert program.stdin is not None
            program.stdin.write("".join(f"{sequence}\n" for sequence in range(1, 2000)))
            program.stdin.flush()
            answered = [line(program) for _ in range(20)][-1]
            program.kill()
            program.wait(PATIENCE)
            assert program.stdout is not None
            answered = ([answered, *program.stdout.read().split()])[-1]
        with opened(path, *range(10)) as store:
            [sequence] = {found.sequence for found in store.load().values()}
            assert sequence >= int(answered)


def test_a_shard_belongs_to_one_living_process(path: Path) -> None:
    with child("store_process.py", path, 10, 0, 1, 2, 3) as first, child("store_process.py", path, 10, 4, 5) as second:
        assert line(first) == line(second) == "{}"
        with pytest.raises(StoreOwnedError) as caught:
            opened(path, 6, 3, 5)
        assert caught.value.shard_id == 3
        assert caught.value.pid == first.pid
        assert str(caught.value) == (
            f"shard 3 of {path} is run by process {first.pid} already; stop that, or run other shards"
        )
        with opened(path, 6, 7):  # whoever was refused holds nothing
            with child("store_process.py", path, 10, 9, 7) as third:
                assert third.wait(PATIENCE) == 1
                assert third.stderr is not None
                told = third.stderr.read()
            assert told == f"StoreOwnedError: shard 7 of {path} is run by process {os.getpid()} already; " + (
                "stop that, or run other shards\n"
            )
        first.send_signal(signal.SIGKILL)
        first.wait(PATIENCE)
        with opened(path, 0, 1, 2, 3, 8), pytest.raises(StoreOwnedError, match=rf"shard 4 .* process {second.pid} "):
            opened(path, 4, 9)


def test_within_a_process_too(path: Path) -> None:
    first = opened(path, 0, 1)
    with opened(path, 2) as second:
        with pytest.raises(StoreOwnedError, match=r"shard 1 of .* is run by this process already"):
            opened(path, 3, 1)
        first.close()
        with opened(path, 3, 1) as third:
            third.save({1: session(1, 10, 4)})
            assert second.load() == {}
        # Of the first's descriptors none was closed under the second's locks.
        with child("store_process.py", path, 10, 2) as program:
            assert program.wait(PATIENCE) == 1
    with opened(path, 0, 1, 2, 3) as store:
        assert store.load() == {1: session(1, 10, 4)}
    assert not ownership._sidecars


def test_a_refused_opening_leaves_nothing_behind(path: Path) -> None:
    with opened(path, 0):
        counts = []
        for _ in range(5):
            with pytest.raises(StoreOwnedError):
                opened(path, 0)
            counts.append(len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0)
        assert counts[1:] == counts[1:2] * 4  # SQLite keeps one of each kind, as long as the file is open elsewhere
    assert not ownership._sidecars


def test_threads_that_open_and_close_at_once_never_share_a_shard(path: Path) -> None:
    inside: set[str] = set()
    clashes: list[str] = []
    wins = 0

    def fight(name: str) -> None:
        nonlocal wins
        for _ in range(30):
            try:
                with opened(path, 0):
                    clashes.extend(inside)
                    inside.add(name)
                    wins += 1
                    inside.remove(name)
            except StoreOwnedError:
                pass

    threads = [threading.Thread(target=fight, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not clashes
    assert wins
    assert not ownership._sidecars


def test_programs_that_begin_at_once_make_one_file(path: Path) -> None:
    path.write_bytes(b"no database at all " * 1000)
    programs = [child("store_process.py", path, 10, id) for id in range(4)]
    with programs[0] as a, programs[1] as b, programs[2] as c, programs[3] as d:
        assert {line(program) for program in (a, b, c, d)} == {"{}"}
        for program in (a, b, c, d):
            tell(program, 5)
            assert line(program) == "5"
    with opened(path, *range(10)) as store:
        assert store.load() == {id: session(id, 10, 5) for id in range(4)}
    assert [found.name for found in path.parent.glob("*.corrupt-*")] == ["state.db.corrupt-1"]


def test_an_opening_that_does_not_end_is_not_waited_for_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ownership, "PATIENCE", 0.02)
    stuck = f"""
import sys
from pathlib import Path
from gateway_transports.stores.ownership import Ownership
with Ownership(Path({str(path)!r})).opening():
    print("opening", flush=True)
    sys.stdin.read()
"""
    script = path.with_name("stuck.py")
    script.write_text(stuck)
    with child(script) as program:
        assert line(program) == "opening"
        with pytest.raises(StoreBusyError, match="is being opened by another program"):
            opened(path, 0)
    opened(path, 0).close()

    with Ownership(path).opening():
        errors: list[StoreBusyError] = []
        thread = threading.Thread(target=lambda: errors.append(failed(path)))
        thread.start()
        thread.join()
        assert len(errors) == 1


def failed(path: Path) -> StoreBusyError:
    with pytest.raises(StoreBusyError) as caught:
        opened(path, 0)
    return caught.value


def test_a_forked_child_has_locks_of_its_own(path: Path) -> None:
    """It inherits our record of what is locked, and not the locks."""
    script = path.with_name("fork.py")
    script.write_text(f"""
import os, sys
from pathlib import Path
from gateway_transports.stores.ownership import Ownership
def opened(*ids):
    made = Ownership(Path({str(path)!r}))
    with made.opening():
        return made, made.is_alone(), made.take(ids)
parent, *first = opened(0)
reading, writing = os.pipe()
if os.fork() == 0:
    child, *second = opened(1)
    print(first, second, opened(0)[1:], flush=True)
    os.read(reading, 1)
    print(opened(0)[1:], flush=True)
    parent.release()  # of what it has inherited
    print(opened(1)[1:], flush=True)
    os._exit(0)
sys.stdin.readline()
parent.release()
print(opened(1)[1:], flush=True)
os.write(writing, b"!")
os.wait()
print(opened(0, 1)[1:], flush=True)
""")
    with child(script) as program:
        assert line(program) == "[True, None] [False, None] (False, 0)"
        tell(program, "on")
        assert line(program) == "(False, 1)"
        assert line(program) == "(False, None)"
        assert line(program) == "(False, 1)"
        assert line(program) == "(False, None)"  # but for its own other part


def test_who_cannot_have_all_has_none(path: Path) -> None:
    one, other = Ownership(path), Ownership(path)
    with one.opening():
        assert one.take([2]) is None
    with other.opening():
        assert other.take([3, 1, 2, 0]) == 2
    with child("store_process.py", path, 10, 0, 1, 3) as program:
        assert line(program) == "{}"
        assert one.take([3]) == 3
    one.release()
    other.release()
    other.release()
