"""`gateway-proto demo --shards`: several shards, and the end of their process in the middle of the stream."""

import io
import json
import os
import select
import signal
import tempfile
from pathlib import Path
from typing import Any, Final

import anyio
import pytest
from rich.console import Console

from gateway_proto.server import DispatchFault, Repeat, Swap, Withhold
from gateway_transports.cli import demo_fleet, demo_process, main
from gateway_transports.cli.demo import MAX_SHARDS, run_demo
from gateway_transports.cli.demo_client import Taken
from gateway_transports.cli.demo_fleet import FleetDemo, FleetResult, FleetSettings
from gateway_transports.cli.demo_process import DemoError
from gateway_transports.cli.demo_view import fleet_picture, fleet_summary

from .cli_helpers import PATIENCE, python

KEYS: Final = ["sent", "delivered", "lost", "duplicated", "out_of_order", "resumes", "identifies", "seconds"]
ALL_WELL: Final = {"lost": 0, "duplicated": 0, "out_of_order": 0}
BACKENDS: Final = ["asyncio", "trio"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where state files are, and are no more in the end."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def settings(**fields: Any) -> FleetSettings:
    return FleetSettings(**{"events": 120, "drops": 0, "seed": 5, "shards": 4, "stop": signal.SIGTERM} | fields)


def result(output: str, *more: str) -> dict[str, Any]:
    [line] = output.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert list(found) == [*KEYS, *more]
    return found


def assert_gone(pid: int) -> None:
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# -- all is well -----------------------------------------------------------------------------------------------


@pytest.mark.failure("F32", "F38")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shards", [4, 16])
@pytest.mark.parametrize("mode", ["--restart", "--kill"])
def test_the_end_of_the_process_costs_no_event_and_no_identify(
    mode: str, shards: int, backend: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    code = main(["demo", "--shards", str(shards), mode, "--json", "--backend", backend, "--events", "2000"])
    output = capsys.readouterr()
    counts = result(output.out, "pids", *(["replayed"] if mode == "--kill" else []))
    expected = {"sent": 2000, "delivered": 2000, "resumes": shards, "identifies": shards} | ALL_WELL
    assert {name: counts[name] for name in expected} == expected
    assert counts.get("replayed", 0) >= 0
    first, second = counts["pids"]
    assert len({first, second, os.getpid()}) == 3
    assert_gone(first)
    assert_gone(second)
    assert list(folder.iterdir()) == []
    assert (code, output.err) == (0, "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_an_end_of_the_process_connections_are_dropped(
    backend: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["demo", "--shards", "4", "--drops", "5", "--events", "800", "--json", "--backend", backend])
    output = capsys.readouterr()
    counts = result(output.out)
    expected = {"sent": 800, "delivered": 800, "resumes": 5, "identifies": 4} | ALL_WELL
    assert {name: counts[name] for name in expected} == expected
    assert (code, output.err) == (0, "")


def test_both_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(settings(drops=6), as_json=True) == 0
    counts = result(capsys.readouterr().out, "pids")
    assert (counts["delivered"], counts["identifies"]) == (120, 4)
    assert 6 <= counts["resumes"] <= 10


@pytest.mark.parametrize(("mode", "told"), [("--restart", "was ended by SIGTERM"), ("--kill", "was ended by SIGKILL")])
def test_in_words_it_says_what_happened(mode: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", mode, "--events", "200", "--compress", "none"]) == 0  # a lone shard, if nothing else is said
    output = capsys.readouterr()
    words = " ".join(output.out.split())
    assert told in words
    assert "went on with its state file" in words
    assert "Every event of 1 shard came once and in order, through 1 resumes and 1 IDENTIFYs." in words
    assert ("a second time, and marked so" in words) == (mode == "--kill")
    assert output.err == ""


@pytest.mark.failure("F41")
def test_the_token_is_on_no_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    commands: list[list[str]] = []
    open_process = anyio.open_process

    async def watched(command: list[str], **options: Any) -> Any:
        commands.append(command)
        assert options["env"]["DISCORD_TOKEN"] == "t0ken"
        return await open_process(command, **options)

    monkeypatch.setattr(anyio, "open_process", watched)
    monkeypatch.setattr("secrets.token_hex", lambda size: "t0ken")
    assert run_demo(settings(), as_json=True) == 0
    assert len(commands) == 2
    assert commands[0] == commands[1]  # the second one is told nothing more
    assert "t0ken" not in str(commands)
    assert "t0ken" not in str(capsys.readouterr())


# -- what is counted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [signal.SIGTERM, None])
def test_it_finds_a_loss_a_double_and_a_disorder(
    stop: signal.Signals | None, capsys: pytest.CaptureFixture[str]
) -> None:
    faults: dict[int, DispatchFault] = {10: Withhold(), 31: Repeat(), 60: Swap()}
    assert run_demo(settings(stop=stop), faults=faults, as_json=True) == 1
    output = capsys.readouterr()
    found = result(output.out, *(["pids"] if stop else []))
    assert [found[name] for name in KEYS[:-1]] == [120, 119, 1, 1, 1, 4 if stop else 0, 4]
    assert output.err == ("gateway-proto: Not every event came once and in order. --seed 5 sends the same again\n")


def test_in_words_it_says_what_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_demo(settings(stop=None), faults={10: Withhold()}) == 1
    assert "Not every event came once and in order." in capsys.readouterr().out


def told(stop: signal.Signals, *events: Taken) -> FleetResult:
    demo = FleetDemo(settings(stop=stop, shards=2, events=4))
    for event in events:
        demo.take(event)
    return demo.result()


def test_what_comes_twice_after_a_kill_must_say_so() -> None:
    twice = [Taken(1, 2, 1, False), Taken(1, 3, 2, False), Taken(1, 2, 1, True), Taken(1, 3, 2, False)]
    killed = told(signal.SIGKILL, *twice)
    assert (killed.duplicated, killed.replayed) == (1, 1)
    assert told(signal.SIGTERM, *twice).duplicated == 2


def test_shards_are_counted_apart_and_by_what_the_client_says() -> None:
    found = told(signal.SIGKILL, Taken(0, 2, 1, False), Taken(1, 2, 1, False), Taken(1, 1, 0, False))
    assert (found.duplicated, found.out_of_order) == (0, 0)
    disordered = told(signal.SIGKILL, Taken(0, 3, 2, True), Taken(0, 2, 1, True))
    assert (disordered.duplicated, disordered.out_of_order) == (0, 1)
    with pytest.raises(DemoError, match="shard 2, and there are 2"):
        told(signal.SIGKILL, Taken(2, 2, 1, False))


def test_each_fault_has_its_sentence() -> None:
    def faults(**fields: Any) -> list[str]:
        whole: dict[str, Any] = {
            "sent": 120,
            "delivered": 120,
            "resumes": 4,
            "identifies": 4,
            "seconds": 1.0,
            "pids": [1, 2],
        }
        return FleetResult(**whole | ALL_WELL | fields).faults(settings())

    assert faults() == []
    assert faults(resumes=5) == []
    assert faults(resumes=3) == ["3 resumes for 4 shards."]
    assert faults(identifies=5) == ["5 IDENTIFYs for 4 shards."]
    for name in ALL_WELL:
        assert faults(**{name: 1}) == ["Not every event came once and in order."]
    assert faults(sent=60, delivered=60) == ["Not every event came once and in order."]


# -- what a process can do to it -------------------------------------------------------------------------------

DEAF: Final = """
import signal
from gateway_transports.cli import demo_child
async def deaf(work):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return await work()
demo_child.interruptible = deaf
demo_child.main()
"""
DYING: Final = """
import os
from gateway_transports.cli import demo_child
write, count = demo_child._write, 0
async def dying(event):
    global count
    count += 1
    if count == 20:
        os.write(2, b"the last words\\n")
        os._exit(7)
    await write(event)
demo_child._write = dying
demo_child.main()
"""
DISORDERLY: Final = """
from gateway_transports.cli import demo_child
demo_child.main()
raise SystemExit(3)
"""
CHILDREN: Final = {
    "silent": ("import time; time.sleep(60)", "came up with 0 of 4 shards, and no more follow"),
    "dead": ("raise SystemExit(3)", "ended by itself, with exit code 3"),
    "broken": ("raise OSError('why')", "ended by itself, with exit code 1: OSError: why"),
    "babbling": ("print('good morning')", "wrote what is no event: b'good morning'"),
    "endless": ("print('x' * 2000, end='', flush=True); input()", "wrote what is no event: b'xxx"),
    "deaf": (DEAF, "did not end within 0.3 s of SIGTERM"),
    "dying": (DYING, "ended by itself, with exit code 7: the last words"),
    "disorderly": (DISORDERLY, "answered SIGTERM by exit code 3"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("source", "complaint"), CHILDREN.values(), ids=CHILDREN)
def test_a_process_that_does_not_play_along_is_one_line_and_gone(
    source: str,
    complaint: str,
    backend: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path(tmp_path, "child_of_test.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(demo_process, "MODULE", "child_of_test")
    monkeypatch.setattr(demo_process, "END_PATIENCE", 0.3)
    if "time.sleep" in source:
        monkeypatch.setattr(demo_fleet, "START_PATIENCE", 0.3)
    assert run_demo(settings(backend=backend), backend=backend, as_json=True) == 1
    output = capsys.readouterr()
    [line] = output.err.splitlines()
    assert complaint in line
    assert output.out == ""
    assert_gone(int(line.split("process ")[1].split()[0]))


def test_what_nobody_gives_ends_the_wait(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo_fleet, "PATIENCE", 0.2)
    # The first half of a shard: the process is never ended, since half of all events never comes.
    assert run_demo(settings(events=8), faults=dict.fromkeys(range(1, 9, 4), Withhold())) == 1
    output = capsys.readouterr()
    assert "never came to the middle of the stream" in " ".join(output.out.split())
    assert "Not every event came once and in order." in output.err


def test_a_run_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(demo_fleet, "LONGEST", 0.0)
    assert run_demo(settings(events=8)) == 1
    assert "came up with 0 of 4 shards" in capsys.readouterr().err


TELLING: Final = """
import sys
from gateway_transports.cli import demo_process, main
run = demo_process.ChildProcess.run
async def telling(self, take):
    def taken(event):
        if event.number == 1 and event.shard == 0:
            print(self.pid, file=sys.stderr, flush=True)
        take(event)
    await run(self, taken)
demo_process.ChildProcess.run = telling
sys.exit(main(["demo", "--shards", "4", "--restart", "--events", "1000000", "--json", "--backend", sys.argv[1]]))
"""


@pytest.mark.failure("F18", "F26")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_demo_is_ended_its_process_ends_too(number: signal.Signals, backend: str, folder: Path) -> None:
    with python("-c", TELLING, backend, TMPDIR=str(folder)) as demo:
        process = os.pidfd_open(int(demo.told()))
        try:
            code, told = demo.end(number)
            assert code == (-number if number is signal.SIGKILL else 128 + number)
            assert told == ""
            assert select.select([process], [], [], PATIENCE)[0], "it still runs"
        finally:
            os.close(process)
    if number is not signal.SIGKILL:  # which leaves nobody to tidy up
        assert list(folder.iterdir()) == []


# -- options, and what is shown --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--restart", "--kill"], "--restart ends the first process by SIGTERM, --kill by SIGKILL: give one of them"),
        (["--shards", "16", "--events", "31"], "--events must be 2 for each shard at least: 32, not 31"),
        (["--kill", "--events", "1"], "--events must be 2 for each shard at least: 2, not 1"),
        (["--shards", "4", "--drops", "9", "--events", "9"], "--drops must be less than --events"),
        (["--shards", "0"], "--shards"),
        (["--shards", str(MAX_SHARDS + 1)], "--shards"),
    ],
)
def test_options_that_make_no_sense(args: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *args]) == 2
    output = capsys.readouterr()
    [line] = output.err.splitlines()
    assert complaint in line
    assert output.out == ""


def test_a_watched_one_shows_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_demo(settings(events=400, rate=1000.0), is_watched=True) == 0
    shown = capsys.readouterr().err
    for part in ("of 4", "process", "events/s", "400 of 400 sent", "SIGTERM at", "shard 3: resumed"):
        assert part in shown


def test_the_picture_of_each_moment() -> None:
    demo = FleetDemo(settings())
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(fleet_picture(demo, 1234.4))
        demo.pids.append(4711)
        demo.notes.append("shard 2: dropped behind event 7")
        console.print(fleet_picture(demo, 0.0))
    first, second = capture.get().split("gateway-proto demo")[1:]
    assert "0 of 4" in first
    assert "1,234" in first
    assert "4711" not in first
    assert "4711" in second
    assert "shard 2: dropped behind event 7" in second


def test_a_summary_of_what_went_wrong() -> None:
    demo = FleetDemo(settings(stop=signal.SIGKILL))
    demo.pids.append(4711)
    console = Console(file=io.StringIO(), width=200)
    with console.capture() as capture:
        console.print(fleet_summary(demo.result(), demo.settings))
    words = capture.get()
    assert "Process 4711 never came to the middle of the stream, where SIGKILL was to end it." in words
    assert "Not every event came once and in order. 0 IDENTIFYs for 4 shards. 0 resumes for 4 shards." in words
