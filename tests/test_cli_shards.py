"""`gateway-proto run --shards … --state …`: what it starts, what it says, how it ends and goes on."""

import contextlib
import logging
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
import pytest
from rich.console import Console

from gateway_proto import ConnectionStage, GatewayError, Secret
from gateway_proto.server import Identified, ServerConfig, SessionResumed, Stall
from gateway_transports.cli import main
from gateway_transports.cli.notices import LOGGER, LogLines
from gateway_transports.cli.options import InputError
from gateway_transports.cli.output import write_all
from gateway_transports.cli.shard_option import ShardChoice, parse_shards
from gateway_transports.cli.shard_table import ShardRow, ShardTable
from gateway_transports.client import Client

from .cli_helpers import PATIENCE, Child, ServedGateway, command, gateway, journal_lines, python
from .client_helpers import client_world, contents

TOKEN: Final = "s3cret-t0ken"
WIDE: Final = ServerConfig(shards=4, max_concurrency=16)
"""All shards identify at once."""


def run(served: ServedGateway, *args: str, token: str = TOKEN) -> contextlib.AbstractContextManager[Child]:
    return command("run", "--api", served.api, *args, token=token)


def identified(served: ServedGateway) -> list[tuple[int, int] | None]:
    return sorted((action.shard for action in served.actions if isinstance(action, Identified)), key=str)


def readies(child: Child, count: int) -> list[int]:
    """The shards of the next so many lines, which are READY."""
    lines = [child.line() for _ in range(count)]
    assert {line["t"] for line in lines} == {"READY"}
    return sorted(line["shard"] for line in lines)


# -- what it starts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("auto", ShardChoice()),
        (" AUTO ", ShardChoice()),
        ("4", ShardChoice(total=4)),
        ("0-3/10", ShardChoice(range(4), 10)),
        ("9-9/10", ShardChoice(range(9, 10), 10)),
        ("3/10", ShardChoice(range(3, 4), 10)),
    ],
)
def test_shards_as_people_write_them(text: str, choice: ShardChoice) -> None:
    assert parse_shards(text) == choice


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0", "there are 1 to 1,048,576 shards, not 0"),
        ("0/0", "there are 1 to 1,048,576 shards, not 0"),
        ("9999999", "there are 1 to 1,048,576 shards"),
        ("0-10/10", "the last one of 10 is 9"),
        ("10/10", "the last one of 10 is 9"),
        ("3-1/10", "as in 1-3/10"),
        ("", "--shards is auto, a count as 4"),
        ("-1", "--shards is auto, a count as 4"),
        ("all", "not 'all'"),
        ("0-3", "--shards is auto"),
        ("1/2/3", "--shards is auto"),
        ("٤", "--shards is auto"),
        ("x" * 5000, "--shards is auto"),
    ],
)
def test_shards_that_are_none_get_one_line(text: str, told: str) -> None:
    with pytest.raises(InputError, match=re.escape(told)) as raised:
        parse_shards(text)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize("text", ["0", "0-10/10", "nonsense"])
def test_the_command_refuses_them(
    text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert main(["run", f"--shards={text}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_auto_needs_somebody_to_ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert main(["run", "--shards", "auto", "--gateway", "ws://localhost"]) == 2
    assert "say how many" in capsys.readouterr().err


def test_the_help_says_that_both_ends_are_included(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--help"]) == 0
    assert "both included" in re.sub(r"[\s│]+", " ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("args", "shards"),
    [
        (["--shards", "auto"], [(0, 4), (1, 4), (2, 4), (3, 4)]),
        (["--shards", "2"], [(0, 2), (1, 2)]),
        (["--shards", "1-2/10", "--backend", "trio"], [(1, 10), (2, 10)]),
        (["--shards", "3/10"], [(3, 10)]),
        ([], [None]),
    ],
)
def test_each_form_identifies_its_shards(args: list[str], shards: list[tuple[int, int] | None]) -> None:
    with gateway(WIDE) as served, run(served, *args) as bot:
        assert readies(bot, len(shards)) == [0 if shard is None else shard[0] for shard in shards]
        code, told = bot.end(signal.SIGTERM)
        assert code == 0
        assert told.splitlines()[-1] == "gateway-proto: detached; the session can still be resumed"
        assert identified(served) == shards


def test_a_gateway_that_is_named_is_not_asked_for() -> None:
    with gateway() as served, command("run", "--gateway", served.url, "--shards", "3/8", token=TOKEN) as bot:
        assert readies(bot, 1) == [3]
        bot.end(signal.SIGTERM)
        assert identified(served) == [(3, 8)]


# -- how it goes on -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(journal: Path, *args: str) -> Iterator[str]:
    """A `gateway-proto serve` in a process of its own; gives the URL of its API."""
    with command("serve", "--journal", str(journal), *args) as server:
        yield server.line()["api"]
        assert server.end(signal.SIGTERM)[0] == 0


def numbers(output: bytes) -> dict[int, list[int]]:
    """The numbers of the events, by shard, in order."""
    found: dict[int, list[int]] = {}
    for line in output.splitlines():
        event = msgspec.json.decode(line)
        if isinstance(event["d"], dict) and "_number" in event["d"]:
            assert event["d"]["_shard"] == event["shard"]
            found.setdefault(event["shard"], []).append(event["d"]["_number"])
    return found


def read_until(child: Child, is_enough: Callable[[dict[int, list[int]]], bool]) -> None:
    lines = b""
    while not is_enough(numbers(lines)):
        lines += child.stdout.readline()
    child.seen += lines


@pytest.mark.failure("F18")
@pytest.mark.failure("F32")
@pytest.mark.failure("F38")
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_next_run_resumes_and_no_number_is_missing_or_twice(backend: str, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    args = ("--shards", "4", "--state", str(tmp_path / "bot.state"), "--backend", backend)
    with serving(journal, "--shards", "4", "--max-concurrency", "16", "--rate", "200") as api:
        outputs = []
        for _ in range(3):
            with command("run", "--api", api, *args, token=TOKEN) as bot:
                read_until(bot, lambda found: len(found) == 4 and all(len(some) >= 30 for some in found.values()))
                bot.process.send_signal(signal.SIGTERM)
                rest = bot.stdout.read()  # not `communicate`, which passes over what is buffered
                assert bot.process.wait(PATIENCE) == 0
                outputs.append(bot.seen + rest)
    kinds = Counter(line["event"] for line in journal_lines(journal))
    assert (kinds["identify"], kinds["resume"], kinds["refusal"]) == (4, 8, 0)
    for some in numbers(b"".join(outputs)).values():
        assert some == list(range(1, len(some) + 1))


def test_logout_forgets_the_sessions(tmp_path: Path) -> None:
    args = ("--shards", "2", "--state", str(tmp_path / "bot.state"), "--logout")
    with gateway(WIDE) as served:
        for _ in range(2):
            with run(served, *args) as bot:
                readies(bot, 2)
                code, told = bot.end(signal.SIGINT)
                assert (code, told.splitlines()[-1]) == (0, "gateway-proto: logged out")
        assert len(identified(served)) == 4
        assert not any(isinstance(action, SessionResumed) for action in served.actions)


# -- how it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_signal_leaves_while_the_first_is_carried_out(
    backend: str, first: signal.Signals, second: signal.Signals
) -> None:
    with gateway() as served, run(served, "--backend", backend) as bot:
        readies(bot, 1)
        assert bot.told() == "gateway-proto: connected"
        served.inject(Stall())  # its end of the connection is not heard of: the detaching waits for it
        bot.process.send_signal(first)
        assert "once more leaves at once" in bot.told()
        assert bot.end(second) == (128 + second, "")


@pytest.mark.failure("F26")
def test_a_second_signal_leaves_though_nobody_reads_stdout() -> None:
    with gateway() as served, run(served) as bot:
        readies(bot, 1)
        assert bot.told() == "gateway-proto: connected"
        served.inject(Stall())
        for _ in range(50):
            served.broadcast("TYPING_START", b'"%b"' % (b"x" * 100_000))
        bot.process.send_signal(signal.SIGTERM)
        assert "once more leaves at once" in bot.told()
        bot.process.send_signal(signal.SIGTERM)
        assert bot.process.wait(PATIENCE) == 128 + signal.SIGTERM
        assert bot.stderr.read() == b""


BLOCKED: Final = """
import os, signal, sys
import anyio
from gateway_transports.cli.signals import interruptible

async def work():
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)  # signal.pause() would miss one that comes just before it
    print("blocked", flush=True)
    os.read(told, 1)
    print("still", flush=True)
    os.read(told, 1)
    os.read(told, 1)

sys.exit(anyio.run(interruptible, work, backend=sys.argv[1]))
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_second_signal_leaves_though_the_event_loop_is_blocked(backend: str) -> None:
    with python("-c", BLOCKED, backend) as child:
        assert child.stdout.readline() == b"blocked\n"
        child.process.send_signal(signal.SIGINT)
        assert child.stdout.readline() == b"still\n"
        assert child.end(signal.SIGINT) == (130, "")


def test_ctrl_c_before_a_command_has_begun_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gateway_transports.cli.run.parse_intents", interrupt)
    assert main(["run"]) == 130


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full disk to write to")
def test_a_full_disk_is_one_line() -> None:
    with gateway() as served, open("/dev/full", "wb") as full:
        process = subprocess.run(
            [sys.executable, "-m", "gateway_transports.cli", "run", "--gateway", served.url],
            stdout=full,
            stderr=subprocess.PIPE,
            env={**os.environ, "DISCORD_TOKEN": TOKEN},
            timeout=PATIENCE,
        )
    assert process.returncode == 2
    assert process.stderr.decode().splitlines()[-1].startswith("gateway-proto: stdout cannot be written: No space left")
    assert b"Traceback" not in process.stderr


@pytest.mark.anyio
@pytest.mark.failure("F32")
async def test_what_is_written_in_the_grace_of_a_cancelled_write_counts_as_written() -> None:
    """A bot that is stopped in the midst of a write must not print those events again after a resume."""
    reading, writing = os.pipe()
    written = threading.Event()
    try:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await write_all(writing, b"line\n", written.set)
        assert os.read(reading, 5) == b"line\n"
        assert written.is_set()
    finally:
        os.close(reading)
        os.close(writing)


# -- what it is refused for ------------------------------------------------------------------------------------------


def refusal(bot: Child, code: int) -> str:
    """The one line that it ends with."""
    ended, told = bot.end()
    [line] = told.splitlines()
    assert ended == code
    assert TOKEN.encode() not in bot.seen
    return line.removeprefix("gateway-proto: ")


@pytest.mark.failure("F41")
@pytest.mark.parametrize("token", [f"Bot {TOKEN}", f"{TOKEN} with spaces"])
def test_a_token_that_is_none(token: str) -> None:
    with gateway() as served, run(served, "--shards", "4", token=token) as bot:
        assert "the token must" in refusal(bot, 2)
        assert served.actions == []


def test_a_state_file_that_another_process_has(tmp_path: Path) -> None:
    state = tmp_path / "bot.state"
    args = ("--shards", "0-1/4", "--state", str(state))
    with gateway(WIDE) as served, run(served, *args) as first:
        readies(first, 2)
        with run(served, *args) as second:
            told = refusal(second, 2)
            assert told == (
                f"shard 0 of {state} is run by process {first.process.pid} already; stop that, or run other shards"
            )
        with run(served, "--shards", "2-3/4", "--state", str(state)) as third:
            assert readies(third, 2) == [2, 3]
            third.end(signal.SIGTERM)
        assert len(identified(served)) == 4


def test_a_folder_that_is_read_only() -> None:
    # Not even root may write there; elsewhere it is no folder at all.
    state = Path("/proc/bot.state") if Path("/proc").exists() else Path(os.devnull, "bot.state")
    with gateway(WIDE) as served, run(served, "--shards", "4", "--state", str(state)) as bot:
        assert str(state) in refusal(bot, 2)
        assert identified(served) == []


def test_a_state_file_of_another_shard_count(tmp_path: Path) -> None:
    state = str(tmp_path / "bot.state")
    with gateway(WIDE) as served:
        with run(served, "--shards", "2", "--state", state) as bot:
            readies(bot, 2)
            bot.end(signal.SIGTERM)
        with run(served, "--shards", "4", "--state", state) as bot:
            assert refusal(bot, 2) == f"{state} keeps sessions of 2 shards, and 4 are wanted; choose another file"
        assert len(identified(served)) == 2


@pytest.mark.failure("F38")
def test_a_state_file_of_another_bot(tmp_path: Path) -> None:
    state = str(tmp_path / "bot.state")
    with gateway(ServerConfig(application_id=111)) as served, run(served, "--state", state) as bot:
        readies(bot, 1)
        bot.end(signal.SIGTERM)
    with gateway(ServerConfig(application_id=222)) as served, run(served, "--state", state) as bot:
        code, told = bot.end()
        line = told.splitlines()[-1]
        assert code == 2
        assert line == f"gateway-proto: {state} keeps sessions of the bot 111, and this one is 222; choose another file"
        assert "Traceback" not in told


@pytest.mark.parametrize(
    "body", [b"<html>nonsense</html>", b'{"url":"http://x","shards":1}', b'{"url":"wss://x","shards":"many"}', b"[]"]
)
def test_an_api_that_answers_nonsense(body: bytes) -> None:
    with answering(body) as api, command("run", "--api", api, "--shards", "auto", token=TOKEN) as bot:
        assert refusal(bot, 1)


@contextlib.contextmanager
def answering(body: bytes) -> Iterator[str]:
    """An HTTP server that answers one request with this; gives its base URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
                connection.recv(65536)

        listener.settimeout(PATIENCE)
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.failure("F15")
def test_a_day_without_enough_identifies(tmp_path: Path) -> None:
    config = ServerConfig(shards=4, max_concurrency=16, session_limit=3)
    with gateway(config) as served, run(served, "--shards", "4", "--state", str(tmp_path / "bot.state")) as bot:
        assert "the start needs 4 IDENTIFYs and 3 are left today, the last of which is never spent" in refusal(bot, 1)
        assert identified(served) == []


def test_a_token_that_discord_refuses() -> None:
    with gateway(ServerConfig(token=Secret("another"))) as served, run(served, "--shards", "2") as bot:
        assert "only bots can shard" in refusal(bot, 1)


def test_the_library_s_warnings_are_lines_on_stderr() -> None:
    with gateway(ServerConfig(shards=9)) as served, run(served, "--shards", "1") as bot:
        readies(bot, 1)
        assert "the shard count 1 is too low: Discord recommends 9" in bot.told()
        assert bot.told() == "gateway-proto: shard 0: connected"
        bot.end(signal.SIGTERM)


def test_a_log_line_is_one_line_and_what_the_end_tells_is_left_out() -> None:
    told: list[str] = []
    log = logging.getLogger(LOGGER)
    with LogLines(told.append):
        log.info("not this")
        log.warning("shard %d", 3)
        log.error("shard %d has ended: %s", 3, GatewayError("why"))
        try:
            raise ValueError("x")
        except ValueError:
            log.exception("handler failed")
    log.warning("nor this, afterwards")
    assert told == ["shard 3", "handler failed: ValueError: x"]


# -- the table -------------------------------------------------------------------------------------------------------


def row(shard_id: int, stage: ConnectionStage = ConnectionStage.CONNECTED, **changes: Any) -> ShardRow:
    return ShardRow(**{"shard_id": shard_id, "stage": stage, "latency": 0.042, "guilds": 1234, **changes})


def shown(table: ShardTable, height: int) -> list[str]:
    console = Console(width=100, height=height)
    with console.capture() as capture:
        console.print(table.picture(height))
    return capture.get().splitlines()


def test_a_table_of_one_shard() -> None:
    now = [100.0]
    table = ShardTable(lambda: [row(0)], lambda: 998, clock=lambda: now[0])
    for _ in range(20):
        table.count(0)
    now[0] += 2.0
    head, line, summary = shown(table, 24)
    assert head.split() == ["shard", "stage", "latency", "guilds", "events/s"]
    assert line.split() == ["0", "connected", "42", "ms", "1,234", "10.0"]
    assert summary == "1 shard: 1 connected  up 0:00:02  20 events  10.0 events/s  998 IDENTIFYs left"
    now[0] += 3600.0
    assert "  up 1:00:02  20 events  0.0 events/s" in shown(table, 24)[-1].replace("0.0 events/s", "0.0 events/s")


def test_a_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    table = ShardTable(lambda: [row(0)], lambda: None, clock=lambda: now[0])
    rates = []
    for second in range(20):
        for _ in range(100 if second < 10 else 0):
            table.count(0)
        now[0] += 1.0
        rates.append(shown(table, 24)[-1].split("  ")[-1])
    assert (rates[9], rates[19]) == ("100.0 events/s", "0.0 events/s")


@pytest.mark.parametrize("height", [1, 2, 5, 10, 24, 60, 300])
def test_a_table_of_two_hundred_fits_and_shows_first_what_is_not_well(height: int) -> None:
    stages = {150: ConnectionStage.RESUMING, 7: ConnectionStage.CONNECTING}
    rows = [row(id, stages.get(id, ConnectionStage.CONNECTED)) for id in range(200)]
    rows[199] = row(199, ConnectionStage.DISCONNECTED, failure="for\na reason")
    lines = shown(ShardTable(lambda: rows, lambda: None), height)
    assert len(lines) <= max(1, height - 1)
    assert lines[-1].startswith("200 shards: 197 connected, 1 connecting, 1 resuming, 1 ended  up 0:00:00")
    ids = [int(line.split()[0]) for line in lines[:-1] if line.split()[0].isdigit()]
    assert ids == sorted(ids)
    if height >= 10:
        assert {7, 150, 199} <= set(ids)
        assert "for a reason" in "".join(lines)
        assert (lines[-2] == f"… and {200 - len(ids)} more") == (height < 300)


def test_before_the_start_the_table_is_a_line() -> None:
    assert shown(ShardTable(list, lambda: None), 24) == ["starting  up 0:00:00  0 events  0.0 events/s"]


class Terminal:
    """A pseudo terminal, whose output is read as it comes."""

    def __init__(self) -> None:
        self._master, self.slave = pty.openpty()
        self.seen = b""

    def read_until(self, text: bytes) -> None:
        """Until this was shown since the last call."""
        start = len(self.seen)
        while text not in self.seen[start:]:
            self.seen += os.read(self._master, 65536)

    def rest(self) -> bytes:
        """What came until nobody writes any more."""
        start = len(self.seen)
        with contextlib.suppress(OSError):  # Linux says EIO at the end
            while data := os.read(self._master, 65536):
                self.seen += data
        return self.seen[start:]

    def close(self) -> None:
        os.close(self._master)


@contextlib.contextmanager
def on_terminal(
    served: ServedGateway, *args: str, is_readable: bool
) -> "Iterator[tuple[subprocess.Popen[bytes], Terminal]]":
    """`run` with stderr, and if `is_readable` stdout too, on a terminal."""
    terminal = Terminal()
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway_transports.cli", "run", "--api", served.api, *args],
        stdin=subprocess.DEVNULL,
        stdout=terminal.slave if is_readable else subprocess.PIPE,
        stderr=terminal.slave,
        env={**os.environ, "DISCORD_TOKEN": TOKEN, "TERM": "xterm", "NO_COLOR": "1"},
    )
    os.close(terminal.slave)
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield process, terminal
            finally:
                process.kill()
    finally:
        watchdog.cancel()
        terminal.close()


HIDE: Final = b"\x1b[?25l"
SHOW: Final = b"\x1b[?25h"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_terminal_events_stand_above_the_table(backend: str) -> None:
    args = ("--shards", "2", "--backend", backend)
    with gateway(ServerConfig(shards=9, max_concurrency=16)) as served:
        with on_terminal(served, *args, is_readable=True) as (process, terminal):
            terminal.read_until(b"2 shards: 2 connected")
            served.broadcast("MESSAGE_CREATE", b'{"content":"hello there"}')
            terminal.read_until(b"hello there")
            process.send_signal(signal.SIGTERM)
            last = terminal.rest()
            assert process.wait(PATIENCE) == 0
        seen = terminal.seen
        assert b"the shard count 2 is too low" in seen  # the library's warning, with the table running
        plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen)
        assert re.search(rb"1 +1  READY ", plain)
        assert b"IDENTIFYs left" in plain
        assert seen.count(HIDE) == seen.count(SHOW) == 1
        assert last.rstrip().endswith(b"gateway-proto: detached; the session can still be resumed")
        assert b'{"t"' not in seen


def test_with_stdout_in_a_pipe_the_table_is_on_stderr_and_stdout_is_json() -> None:
    with gateway(WIDE) as served, on_terminal(served, "--shards", "4", is_readable=False) as (process, terminal):
        terminal.read_until(b"4 shards: 4 connected")
        process.send_signal(signal.SIGINT)
        terminal.rest()
        assert process.wait(PATIENCE) == 0
        assert process.stdout is not None
        lines = [msgspec.json.decode(line) for line in process.stdout.read().splitlines()]
        assert sorted(line["shard"] for line in lines) == [0, 1, 2, 3]
        assert b"READY" not in terminal.seen


def test_a_second_signal_leaves_the_terminal_in_order() -> None:
    with gateway() as served, on_terminal(served, is_readable=True) as (process, terminal):
        terminal.read_until(b"1 connected")
        served.inject(Stall())
        process.send_signal(signal.SIGINT)
        terminal.read_until(b"once more leaves at once")
        process.send_signal(signal.SIGINT)
        terminal.rest()
        assert process.wait(PATIENCE) == 130
        assert terminal.seen.rindex(SHOW) > terminal.seen.rindex(HIDE)
        assert b"Traceback" not in terminal.seen


# -- batches of events -----------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.failure("F32")
async def test_a_batch_is_delivered_as_one_once_it_is_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "bot.state"
    async with client_world() as w:
        async with w.client(store=path) as client:
            await client.start()
            stream = client.events()
            await contents_of_ready(stream)
            for number in range(1, 6):
                w.message(0, number)
            await w.until(lambda: (snapshot := client.info(0).snapshot) is not None and snapshot.received == 6)
            first = await stream.batch(3)
            assert [event.dispatch.sequence for event in first] == [2, 3, 4]
            stream.acknowledge()
            assert [event.dispatch.sequence for event in await stream.batch(3)] == [5, 6]
        async with w.client(store=path) as client:  # the second batch was not acknowledged
            await client.start()
            assert await contents(client.events(kind_of_messages()), 2) == [4, 5]


@pytest.mark.anyio
async def test_a_batch_that_is_left_in_hand_does_not_hold_up_other_consumers() -> None:
    async with client_world() as w, w.client(concurrency=4) as client:
        await client.start()
        stream = client.events()
        await contents_of_ready(stream)
        for number in range(1, 20):
            w.message(0, number)
        await w.clock.sleep(1.0)
        assert len(await stream.batch(3)) == 3
        stream.close()
        other = client.events(kind_of_messages())
        seen = [await contents(other, 1) for _ in range(16)]
        assert seen == [[number] for number in range(4, 20)]


@pytest.mark.anyio
async def test_there_is_no_batch_once_all_is_over() -> None:
    async with client_world() as w, w.client() as client:
        await client.start()
        stream = client.events()
        await contents_of_ready(stream)
        client.shutdown_all()
        assert await stream.batch(3) == []


async def contents_of_ready(stream: Any) -> None:
    [event] = await stream.batch(1)
    assert event.name == "READY"
    stream.acknowledge()


def kind_of_messages() -> type[Any]:
    from gateway_proto.events import MessageCreate

    return MessageCreate


def test_the_client_is_what_the_choice_starts() -> None:
    """The five ways to start are reached by five forms."""
    assert {name for name in dir(Client) if name.startswith("start")} == {
        "start",
        "start_autosharded",
        "start_shard",
        "start_shards",
        "start_shard_range",
    }
