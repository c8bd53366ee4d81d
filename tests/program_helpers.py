"""Programs of one bot on one machine: processes over sockets against a served gateway, watched through pipes.

The parent never sleeps: it blocks until a line comes, and its pipes are the children's only way to be heard. The
gateway's journal comes through a pipe, too, so that the parent can act within a moment of what the server did.
"""

import contextlib
import json
import os
import selectors
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

TOTAL: Final = 10
"""Shards of the bot."""
PATIENCE: Final = 120.0
"""Seconds after which a wait has failed; no test waits for it otherwise."""
_PROGRAM: Final = Path(__file__).parent / "shard_program.py"


class Event(NamedTuple):
    """A numbered event that a program took."""

    shard_id: int
    number: int
    replayed: bool


class Lines:
    """A pipe's lines, each handed on once it is whole."""

    def __init__(self, fd: int, take: Callable[[bytes], object]) -> None:
        self.fd = fd
        self._take = take
        self._rest = b""

    def read(self) -> bool:
        """Take what is there, or wait for it. False at the end."""
        data = os.read(self.fd, 2**16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if not data:
            assert not self._rest, "a line was torn"
        return bool(data)


class Life:
    """One process of a program, from its start to its end."""

    def __init__(self, process: "subprocess.Popen[bytes]", since: int) -> None:
        self.process = process
        self.since = since
        """Connections that it made have a higher number at the server."""
        assert process.stdout is not None
        self.lines = Lines(process.stdout.fileno(), self._take)
        self.stages: list[tuple[int, str]] = []
        self.up: set[int] = set()
        """Shards whose READY or RESUMED was handed on to it, and was thus stored: the stage moves a moment before."""
        self.events: list[Event] = []

    def _take(self, line: bytes) -> None:
        kind, shard_id, *words = line.decode().split(" ")
        if kind == "stage":
            self.stages.append((int(shard_id), " ".join(words)))
            return
        name, number, replayed = words
        if name in ("READY", "RESUMED"):
            self.up.add(int(shard_id))
        if number != "0":
            self.events.append(Event(int(shard_id), int(number), replayed == "1"))


class Program(NamedTuple):
    """What runs some of the bot's shards."""

    backend: str
    shards: range


class Machine:
    """A state file, a served gateway, and the programs that a test starts."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, *args: str) -> None:
        self.state = folder / "bot.state"
        self.lives: list[Life] = []
        """In the order of their starts."""
        self.journal: list[dict[str, Any]] = []
        self._stack = stack
        self._stderr = folder / "stderr"
        self._selector = stack.enter_context(selectors.DefaultSelector())
        pipe = folder / "journal"
        os.mkfifo(pipe)
        fd = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # else it would wait here for the one who writes
        stack.callback(os.close, fd)
        os.set_blocking(fd, True)
        self._lines = Lines(fd, lambda line: self.journal.append(msgspec.json.decode(line)))
        self._server = self._spawn("-m", "gateway_transports.cli", "serve", "--journal", str(pipe), *args)
        assert self._server.stdout is not None
        self._api: str = msgspec.json.decode(self._server.stdout.readline())["api"]
        self._selector.register(fd, selectors.EVENT_READ, self._lines)

    # -- programs ----------------------------------------------------------------------------------------------

    def start(self, program: Program) -> Life:
        """Start a program, by the same arguments each time."""
        since = self._mark()
        shards = program.shards
        args = (program.backend, self.state, self._api, shards.start, shards.stop, TOTAL)
        life = Life(self._spawn(_PROGRAM, *args), since)
        self.lives.append(life)
        self._selector.register(life.lines.fd, selectors.EVENT_READ, life.lines)
        return life

    def kill(self, life: Life) -> None:
        """With SIGKILL, in the midst of whatever it does."""
        life.process.kill()
        assert self._ended(life) == -signal.SIGKILL

    def stop(self, lives: Iterable[Life]) -> None:
        """With SIGTERM: their shards detach, and can be resumed."""
        for life in lives:
            life.process.terminate()
        for life in lives:
            assert self._ended(life) == 0

    def close(self) -> None:
        """Stop the gateway, and read its journal to the end. Nobody had anything to complain of."""
        self._selector.unregister(self._lines.fd)
        self._server.terminate()
        while self._lines.read():
            pass
        assert self._server.wait(PATIENCE) == 0
        assert self._stderr.read_text() == ""

    def until(self, holds: Callable[[], bool]) -> None:
        """Take lines until this holds."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            found = self._selector.select(deadline - time.monotonic())
            assert found, f"nothing for {PATIENCE} s: {self._stderr.read_text()}"
            for key, _ in found:
                assert key.data.read(), f"a process ended by itself: {self._stderr.read_text()}"

    # -- what there is to see ----------------------------------------------------------------------------------

    def stored(self) -> dict[int, str]:
        """The session ids that the state file has, by shard."""
        with contextlib.closing(sqlite3.connect(f"{self.state.as_uri()}?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT shard, session FROM sessions").fetchall()
        return {shard_id: json.loads(session)["id"] for shard_id, session in rows}

    def said(self, event: str, since: int = 0) -> Iterator[dict[str, Any]]:
        """The journal's lines of this kind, of connections after this one."""
        return (line for line in self.journal if line["event"] == event and line["connection"] > since)

    def events(self) -> int:
        """How many numbered events were taken so far."""
        return sum(len(life.events) for life in self.lives)

    def identifies_left(self) -> int:
        """What the server says is left of the day's IDENTIFYs."""
        request = urllib.request.Request(f"{self._api}/gateway/bot", headers={"Authorization": "Bot made-up"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            left: int = msgspec.json.decode(answer.read())["session_start_limit"]["remaining"]
        return left

    # -- inside ------------------------------------------------------------------------------------------------

    def _mark(self) -> int:
        """The number of a connection that we make now. The server numbers them as they are made: it says for each of
        them by which life it was made, however late the server comes to read it."""
        path = f"/mark/{len(self.lives)}"
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(self._api + path, timeout=PATIENCE):
            pass

        def found() -> list[int]:
            return [line["connection"] for line in self.said("refusal") if line.get("path", "").endswith(path)]

        self.until(lambda: bool(found()))
        return found()[0]

    def _spawn(self, *args: object) -> "subprocess.Popen[bytes]":
        with self._stderr.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, *map(str, args)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                bufsize=0,
            )
        self._stack.enter_context(process)
        self._stack.callback(process.kill)
        return process

    def _ended(self, life: Life) -> int:
        self._selector.unregister(life.lines.fd)
        while life.lines.read():
            pass
        return life.process.wait(PATIENCE)


@contextlib.contextmanager
def machine(folder: Path, *args: str) -> Iterator[Machine]:
    """A `Machine`; `args` are those of `gateway-proto serve`. What still runs at the end is killed."""
    with contextlib.ExitStack() as stack:
        yield Machine(folder, stack, "--shards", str(TOTAL), *args)


class Verdict(NamedTuple):
    """What the numbers in the payloads say, over all programs and lives."""

    lost: int
    """Numbers that nobody took."""
    doubles: int
    """Events that came again, marked `replayed`."""
    unmarked: int
    """Events that came again, and were not."""
    disordered: int
    """Events that one process took after, or with, a higher number of that shard."""
    unexpected: int
    """Events from before the first that should come."""


def judge(lives: Iterable[Life], expected: dict[int, range]) -> Verdict:
    """Whether what came is what should have, by shard. What came beyond is no fault: it was sent later."""
    lives = list(lives)
    lost = doubles = unmarked = disordered = unexpected = 0
    for shard_id, numbers in expected.items():
        seen: set[int] = set()
        for life in lives:
            last = 0
            for event in life.events:
                if event.shard_id != shard_id:
                    continue
                disordered += event.number <= last
                last = event.number
                unexpected += event.number < numbers.start
                if event.number in seen:
                    doubles += event.replayed
                    unmarked += not event.replayed
                seen.add(event.number)
        lost += len(set(numbers) - seen)
    return Verdict(lost, doubles, unmarked, disordered, unexpected)
