"""Scripts: what happens when, as objects and from a file; played in virtual time."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway_proto import Dispatch
from gateway_proto.errors import InvalidConfigError
from gateway_proto.server import (
    AskReconnect,
    AtSecond,
    AtSequence,
    Close,
    Drop,
    FaultFired,
    Identified,
    InvalidSession,
    Mark,
    OnConnection,
    OnMessage,
    OnUpgrade,
    Planned,
    Refuse,
    Script,
    SendEvent,
    ServerConfig,
    SessionResumed,
    Step,
    ToAll,
    ToConnection,
    ToNext,
    ToShard,
    read_script,
)
from gateway_transports.control import ScriptError, applied, load_script, play

from .client_helpers import ClientWorld, client_world

FILE = """
[[step]]
when = { sequence = 5 }
fault = "close"
code = 4000
reason = { hex = "ff" }

[[step]]
when = { opcode = "resume", nth = 2 }
fault = "invalid_session"
resumable = false
target = "all"

[[step]]
when = { second = 10 }
target = { shard = 0 }
t = "MESSAGE_CREATE"
d = { content = "hello", ids = [1, 2] }

[[step]]
when = { upgrade = "each" }
t = "EVENT"
"""
SCRIPT = Script(
    (
        Step(when=AtSequence(5), effect=Close(4000, b"\xff")),
        Step(when=OnMessage(6, 2), effect=InvalidSession(False), target=ToAll()),
        Step(
            when=AtSecond(10.0),
            effect=SendEvent("MESSAGE_CREATE", b'{"content":"hello","ids":[1,2]}'),
            target=ToShard(0),
        ),
        Step(when=OnUpgrade(None), effect=SendEvent("EVENT", b"{}")),
    )
)


def test_a_file_says_what_the_objects_say(tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text(FILE)
    assert load_script(file) == SCRIPT


def test_what_befalls_the_connection_itself_is_planned_and_the_rest_is_marked() -> None:
    plan = SCRIPT.plan()
    assert plan[0] == Planned(when=AtSequence(5), fault=Close(4000, b"\xff"))
    assert [(planned.when, type(planned.fault)) for planned in plan[1:]] == [
        (OnMessage(6, 2), Mark),
        (OnUpgrade(None), Mark),
    ]
    fired = [FaultFired(connection_id=7, fault=planned.fault) for planned in plan]
    assert [SCRIPT.due(action) for action in fired] == [
        None,
        (InvalidSession(False), ToAll()),
        (SendEvent("EVENT", b"{}"), ToConnection(7)),
    ]
    assert SCRIPT.due(FaultFired(connection_id=7, fault=Mark("somebody else's"))) is None
    assert SCRIPT.timed() == [(10.0, SCRIPT.steps[2].effect, ToShard(0))]
    assert applied(ServerConfig(plan=plan[:1]), SCRIPT).plan == plan[:1] + plan


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("step = 3", "step: must be tables, each under [[step]]"),
        ("[[steps]]", "the script: 'steps' is unknown; did you mean step?"),
        ("[[step]]\nfault = 'drop'", "step 1: when: is missing"),
        ("[[step]]\nwhen = 3", "step 1: when: must be a table, like { sequence = 5 }"),
        ("[[step]]\nwhen = {sequenc = 3}", "step 1: when: 'sequenc' is unknown; did you mean sequence?"),
        ("[[step]]\nwhen = {sequence = 0}", "step 1: sequence: must be an integer from 1"),
        ("[[step]]\nwhen = {sequence = 1, nth = 1}", "step 1: when: 'nth' is unknown; known are sequence, session"),
        ("[[step]]\nwhen = {opcode = 'resumed'}", "step 1: opcode: 'resumed' is unknown; did you mean resume?"),
        ("[[step]]\nwhen = {second = 1}\nfault = 'drop'", "step 1: target: is missing; a second does not say where"),
        ("[[step]]\nwhen = {second = -1}\nfault = 'drop'\ntarget = 'all'", "step 1: second: must be a number from 0"),
        ("[[step]]\nwhen = {second = nan}\nfault = 'drop'\ntarget = 'all'", "step 1: second: must be a number from 0"),
        ("[[step]]\nwhen = {second = true}\nfault = 'drop'\ntarget = 'all'", "step 1: second: must be a number from 0"),
        ("[[step]]\nwhen = {sequence = 1}", "step 1: fault: is missing; a step has a fault, or an event's t and d"),
        ("[[step]]\nwhen = {sequence = 1}\nt = ''", "step 1: t: must be the name of an event, like MESSAGE_CREATE"),
        ("[[step]]\nwhen = {sequence = 1}\nt = 'X'\ns = 1", "step 1: the event: 's' is unknown; known are t, d"),
        (
            "[[step]]\nwhen = {sequence = 1}\nt = 'X'\ntarget = {next = 1}",
            "step 1: target: next is for faults only",
        ),
        (
            "[[step]]\nwhen = {upgrade = 1}\nfault = 'drop'\n"
            "[[step]]\nwhen = {upgrade = 2}\nfault = 'refuse'\nstatus = 1",
            "step 2: refuse: a status that refuses is 200 to 599",
        ),
        ("x = " + "9" * 5000, ": an integer in it has too many digits"),
        (
            f"[[step]]\nwhen = {{second = {'9' * 400}}}\nfault = 'drop'\ntarget = 'all'",
            "step 1: second: must be a number from 0",
        ),
        ("[[step", "is no TOML: Expected ']]' at the end of an array declaration (at end of document)"),
        ("x = " + "[" * 5000, "is no TOML: "),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_one_line_with_its_step_and_key(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "script.toml"
    file.write_text(text)
    with pytest.raises(ScriptError) as raised:
        load_script(file)
    line = str(raised.value)
    assert line.startswith(f"the script {file}")
    assert told in line
    assert "\n" not in line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r"cannot be read: Is a directory$"):
        load_script(tmp_path)
    (tmp_path / "latin").write_bytes(b"x = '\xff'")
    with pytest.raises(ScriptError, match=r"latin is no TOML: "):
        load_script(tmp_path / "latin")


def test_an_opcode_as_deep_as_can_be_is_refused_like_any() -> None:
    deep: Any = 1
    for _ in range(2000):
        deep = [deep]
    with pytest.raises(InvalidConfigError, match=r"^step 1: opcode: must be an integer from 0, or a name$"):
        read_script({"step": [{"when": {"opcode": deep}, "fault": "drop"}]})


def test_seconds_are_in_their_order_whatever_the_files() -> None:
    steps = [{"when": {"second": second}, "fault": "drop", "target": "all"} for second in (3, 1.5, 2)]
    assert [seconds for seconds, *_ in read_script({"step": steps}).timed()] == [1.5, 2.0, 3.0]


def test_an_event_of_a_file_must_be_json() -> None:
    step: dict[str, Any] = {"when": {"sequence": 1}, "t": "X", "d": {"a": {1, 2}.__iter__}}
    with pytest.raises(InvalidConfigError, match=r"^step 1: d: cannot be written as JSON$"):
        read_script({"step": [step]})


@contextlib.asynccontextmanager
async def later(w: ClientWorld, seconds: float) -> AsyncIterator[None]:
    """What is entered next is entered then."""
    await w.clock.sleep(seconds)
    yield


@pytest.mark.anyio
@pytest.mark.failure("F40")
async def test_a_script_is_played(anyio_backend: str) -> None:
    """The moments of a client, and seconds; what strikes here, and elsewhere."""
    script = Script(
        (
            Step(when=OnUpgrade(1), effect=Refuse(503)),
            Step(when=AtSequence(2), effect=Drop(flush=True)),
            Step(when=OnMessage(6), effect=SendEvent("MARKED", b"1"), target=ToShard(0)),
            Step(when=AtSecond(100.0), effect=SendEvent("TIMED", b"2"), target=ToAll()),
            Step(when=AtSecond(50.0), effect=SendEvent("TIMED", b"1"), target=ToAll()),
            Step(when=AtSecond(200.0), effect=AskReconnect(), target=ToShard(0)),
        )
    )
    async with client_world(plan=script.plan()) as w, later(w, 30.0), play(w.gateway, script):
        told: list[tuple[str, bytes, float]] = []

        def on_event(event: Dispatch) -> None:
            told.append((event.name, bytes(event.raw), w.clock.now()))

        async with w.open_shard() as runner:
            start = w.clock.now()
            await w.until(lambda: w.of(Identified))
            w.gateway.broadcast("NUMBERED", b"0")
            for _ in range(6):
                on_event(await anext(runner))
            await w.until(lambda: len(w.of(SessionResumed)) == 2)
    names = [(name, raw) for name, raw, _ in told if name != "READY"]
    assert [name for name, _ in names] == ["NUMBERED", "RESUMED", "MARKED", "TIMED", "TIMED"]
    assert [raw for name, raw in names if name == "TIMED"] == [b"1", b"2"]
    at = [at - start for name, _, at in told if name == "TIMED"]
    assert [round(seconds) for seconds in at] == [50, 100]
    [first] = [action for action in w.of(FaultFired) if action.fault == Refuse(503)]
    assert first.connection_id == 1


def test_steps_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidConfigError):
        Step(when=AtSecond(1.0), effect=Drop())
    with pytest.raises(InvalidConfigError):
        Step(when=AtSecond(-1.0), effect=Drop(), target=ToAll())
    with pytest.raises(InvalidConfigError):
        Step(when=OnConnection(1), effect=SendEvent("X", b"1"), target=ToNext())
    assert msgspec.structs.asdict(Step(when=OnConnection(1), effect=Drop()))["target"] is None
