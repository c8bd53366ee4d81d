"""Script files: any TOML text, and documents drawn from their own vocabulary with something odd here and there.

Invariants:
- a text is a `Script` or raises `ScriptError`, tables are one or raise `InvalidConfigError`: one printable line each;
- reading twice gives the same;
- each step is planned or timed, seconds in their order, and what is marked is found again by its mark;
- a server plays whatever script was read, and nothing raises.

Permitted exceptions: `ScriptError` of `parse_script`, `InvalidConfigError` of `read_script`.
"""

import datetime
import random
import typing
from typing import Any, Final

from gateway_proto.errors import InvalidConfigError
from gateway_proto.server import (
    FAULTS,
    AtSecond,
    FaultFired,
    Mark,
    Script,
    Server,
    ServerAction,
    ServerConfig,
    carry_out,
    read_script,
)
from gateway_proto.websocket import FrameOpcode, encode_frame
from gateway_transports.control import ScriptError, parse_script

from .server import MASK, upgrade_request
from .source import Script as Writer
from .source import Source

MAX_LINE: Final = 1000
"""Characters of an error."""
IDENTIFY: Final = b'{"op":2,"d":{"token":"t","intents":513,"properties":{}}}'
ODD: Final[tuple[Any, ...]] = (
    1, 2, 0, "all", {"shard": 0}, "each", -1, True, 4000, False, 503, 1.5, 0.0, -0.5, "", "resume", "EVENT", 2**63,
    10**400, 1e308,
    float("nan"), float("inf"), "a\nb\u2028c", "\x00", [], [0, 2], [1, 10**400], [[]], {}, {"hex": "00ff"},
    {"hex": "0"}, {"session": 1}, {"connection": 1}, {"next": 1}, {"next": 10_000}, {"all": True},
    datetime.date(2026, 3, 1), datetime.time(1, 2, 3), datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC), "ff" * 90,
)  # fmt: skip
MOMENTS: Final = ("sequence", "opcode", "upgrade", "connection", "second", "nth", "session", "\u2028")
KEYS: Final = ("target", "t", "d", "code", "resumable", "seconds", "data", "count", "x\ny", "when", "label", "flush")
NAMES: Final = (*FAULTS, "AskReconnect", "clos", "", "\n")


def _document(source: Source) -> dict[str, Any]:
    """Tables as TOML has them."""
    count, top = source.byte() % 5, source.byte()
    steps: list[Any] = [_step(source) for _ in range(count)]
    if top < 250:
        return {"step": steps}
    return {source.pick(("step", "steps", "\n")): source.pick(ODD)}


def _step(source: Source) -> dict[str, Any]:
    manner = source.byte()
    step: dict[str, Any] = {"when": _moment(source)} if manner & 15 else {}
    if manner & 16:
        step |= {"t": source.pick(("EVENT", "", "\x85", 1)), "d": _value(source)}
    else:
        name = source.pick(NAMES)
        step["fault"] = name
        kind = FAULTS.get(name)
        for field in typing.get_type_hints(kind) if kind is not None else ():
            if source.byte() & 3:
                step[field] = _value(source)
    if manner & 32:
        step["target"] = _value(source)
    if manner & 64:
        step[source.pick(KEYS)] = _value(source)
    return step


def _moment(source: Source) -> Any:
    choice = source.byte()
    if choice >= 250:
        return source.pick(ODD)
    moment = {MOMENTS[choice % (5 if choice < 128 else len(MOMENTS))]: _value(source)}
    if choice > 220:
        moment[source.pick(MOMENTS)] = _value(source)
    return moment


def _value(source: Source) -> Any:
    choice = source.byte()
    if choice < 100:
        # What makes sense somewhere, more often than not.
        return ODD[choice % 10]
    if choice < 200:
        return ODD[choice % len(ODD)]
    if choice < 240:
        return {source.pick(MOMENTS): source.pick(ODD), "y": [source.pick(ODD)]}
    value: Any = 1
    for _ in range(source.number() % 1200):
        value = [value]
    return value


def _check_line(error: Exception) -> None:
    line = str(error)
    assert 0 < len(line) <= MAX_LINE, "an error is as long as what is wrong"
    assert line.splitlines() == [line], "an error is more than a line"
    assert line.isprintable(), "an error is not fit to print"


def read_tables(tables: dict[str, Any]) -> Script | None:
    try:
        return read_script(tables)
    except InvalidConfigError as error:
        _check_line(error)
        return None


def read_text(text: bytes) -> Script | None:
    try:
        return parse_script(text)
    except ScriptError as error:
        _check_line(error)
        return None


def _check(script: Script) -> None:
    plan, timed = script.plan(), script.timed()
    assert len(plan) + len(timed) == len(script.steps)
    assert [seconds for seconds, *_ in timed] == sorted(seconds for seconds, *_ in timed)
    waiting = [step for step in script.steps if not isinstance(step.when, AtSecond)]
    for planned, step in zip(plan, waiting, strict=True):
        assert planned.when == step.when
        due = script.due(FaultFired(connection_id=7, fault=planned.fault))
        is_marked = planned.fault != step.effect and isinstance(planned.fault, Mark)
        assert (due is not None) == is_marked or isinstance(step.effect, Mark)
        assert not is_marked or due is not None
        assert due is None or due[0] == step.effect
    _play(script)


def _play(script: Script) -> None:
    """One client comes while the script is played."""
    server = Server(ServerConfig(plan=script.plan(), identify_period=0.0), rng=random.Random(1))
    connection = server.accept(0.0)

    def act(actions: list[ServerAction]) -> None:
        for action in actions:
            due = script.due(action)
            if due is not None:
                act(carry_out(server, *due, 0.0).actions)

    for data in (upgrade_request("v=10"), *[encode_frame(FrameOpcode.TEXT, IDENTIFY, MASK)] * 2):
        act(connection.receive_data(data, 0.0))
        for _ in range(3):
            act(connection.handle_timeout(0.0))
            connection.data_to_send(0.0)
    for _, effect, target in script.timed():
        act(carry_out(server, effect, target, 0.0).actions)
    act(connection.handle_timeout(1.0))
    connection.data_to_send(1.0)


def one_input(data: bytes) -> None:
    source = Source(data)
    if source.byte() & 1:
        # No mutation makes it so long by itself.
        text = source.rest().replace(b"$9", b"9" * 5000).replace(b"$8", b"8" * 400).replace(b"$[", b"[" * 3000)
        script, again = read_text(text), read_text(text)
    else:
        tables = _document(source)
        script, again = read_tables(tables), read_tables(tables)
    assert repr(script) == repr(again)
    if script is not None:
        _check(script)


def seeds() -> dict[str, bytes]:
    texts = {
        "sequence": b"[[step]]\nwhen = { sequence = 5 }\nfault = 'close'\ncode = 4000\n",
        "opcode": b"[[step]]\nwhen = { opcode = 'resume', nth = 2 }\nfault = 'invalid_session'\nresumable = false\n",
        "second": b"[[step]]\nwhen = { second = 10.0 }\ntarget = { shard = 0 }\nt = 'X'\nd = { content = 'hello' }\n",
        "seconds": b"[[step]]\nwhen={second=2}\nfault='drop'\ntarget='all'\n"
        b"[[step]]\nwhen={second=1.5}\nfault='drop'\ntarget='all'\n",
        "each": b"[[step]]\nwhen = { upgrade = 'each' }\nfault = 'refuse'\nstatus = 503\n",
        "garbage": b"[[step]]\nwhen = { connection = 1 }\nfault = 'garbage'\ndata = { hex = '00ff' }\n",
        "two": b"[[step]]\nwhen={sequence=1}\nfault='drop'\n[[step]]\nwhen={sequence=2}\nfault='stal'\nseconds=nan\n",
        "broken": b"[[step",
        "no-utf8": b"x = '\xff'",
        "deep": b"x = $[",
        "date": b"[[step]]\nwhen = 2026-03-01\nt = 'X'\nd = { at = 2026-13-01T00:00:00Z }",
        # What this target has found.
        "an-integer-of-five-thousand-digits": b"x = $9",
        "a-second-beyond-a-float": b"[[step]]\nwhen = { second = $8 }\nfault = 'drop'\ntarget = 'all'\n",
    }
    made = {f"text-{name}": Writer().byte(1).raw(text).data for name, text in texts.items()}
    names = list(NAMES)
    tables = {
        "close": (1, 0, 1, 0, 0, names.index("close"), 1, 8, 1, 39),
        "marked": (2, 0, 33, 1, 0, names.index("ask_reconnect"), 30, 17, 2, 0, 0, 1),
        "timed": (1, 0, 49, 4, 10, 0, 0, 30),
        "odd-target": (1, 0, 33, 0, 0, names.index("drop"), 0, 26),
        "odd-key": (1, 0, 65, 0, 0, names.index("drop"), 0, 8, 0),
        "no-steps": (0, 255, 1, 8),
        "deep": (1, 0, 17, 0, 0, 0, 255, 4, 0),
    }
    return made | {f"tables-{name}": Writer().byte(0, *choices).data for name, choices in tables.items()}
