"""Effects and targets: read from plain values, every fault of them, and carried out."""

import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.errors import InvalidConfigError
from gateway_proto.secret import Secret
from gateway_proto.server import (
    FAULTS,
    AskReconnect,
    AtSequence,
    Close,
    Drop,
    Effect,
    Fault,
    Garbage,
    InvalidSession,
    NoHello,
    OnConnection,
    OnMessage,
    OnUpgrade,
    Refuse,
    SendEvent,
    SendText,
    ServerConfig,
    Stall,
    Target,
    ToAll,
    ToConnection,
    ToNext,
    ToSession,
    ToShard,
    When,
    Withhold,
    carry_out,
    read_event,
    read_fault,
    read_moment,
    read_target,
)

from .server_helpers import Rig, upgrade_request

VALUES: dict[Any, st.SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: st.integers(1000, 4999),
    bytes: st.binary(max_size=20),
    str: st.text(max_size=20),
    float | None: st.none() | st.floats(0, 1e6),
    int | None: st.none() | st.integers(0, 10),
}
RANGES = {"status": st.integers(200, 599), "xor": st.integers(1, 255)}


def test_every_fault_has_its_name() -> None:
    assert set(FAULTS.values()) == set(typing.get_args(Fault))
    assert FAULTS["ask_reconnect"] is AskReconnect


@pytest.mark.parametrize("name", FAULTS)
@given(st.data())
def test_every_fault_is_read_with_all_its_fields(name: str, data: st.DataObject) -> None:
    kind = FAULTS[name]
    types = typing.get_type_hints(kind)
    drawn = {field: data.draw(RANGES.get(field, VALUES[type_])) for field, type_ in types.items()}
    fields = {field: {"hex": value.hex()} if isinstance(value, bytes) else value for field, value in drawn.items()}
    plain = msgspec.json.decode(msgspec.json.encode(fields))
    assert read_fault(name, plain) == kind(**drawn)
    assert read_fault(kind.__name__, plain) == kind(**drawn)


def test_bytes_are_text_or_hexadecimal() -> None:
    assert read_fault("close", {"code": 4000, "reason": "voilà"}) == Close(4000, "voilà".encode())
    assert read_fault("garbage", {"data": {"hex": "00 ff"}}) == Garbage(b"\x00\xff")
    assert read_fault("send_text", {"payload": '{"op":7}'}) == SendText(b'{"op":7}')
    assert read_fault("garbage", {"data": b"\xff"}) == Garbage(b"\xff")
    assert read_fault("stall", {"seconds": 3}) == Stall(3.0)


@pytest.mark.parametrize(
    ("name", "fields", "told"),
    [
        (None, {}, "fault: must be a name"),
        ("clos", {}, "fault: 'clos' is unknown; did you mean close?"),
        ("close", {}, "close: object missing required field code"),
        ("close", {"code": "4000"}, "code: expected int, got str"),
        ("close", {"code": 1}, "close: a close code is 1000 to 4999"),
        ("close", {"code": 4000, "why": "x"}, "'why': close has no such field; it has code, reason"),
        ("release", {"x": 1}, "'x': release has no such field; it has none"),
        ("close", {"code": 4000, "reason": 1}, 'reason: must be a string, or an object like {"hex": "00ff"}'),
        ("garbage", {"data": {"hex": "0"}}, "data: hex must be pairs of hexadecimal digits"),
        ("stall", {"seconds": float("inf")}, "seconds: must be a finite number"),
        ("invalid_session", {"resumable": 1}, "resumable: expected bool, got int"),
        ("a" * 99, {}, f"fault: '{'a' * 37}...' is unknown; known are {', '.join(FAULTS)}"),
    ],
)
def test_what_is_wrong_with_a_fault_is_one_line(name: Any, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfigError) as raised:
        read_fault(name, fields)
    assert str(raised.value) == told


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ("all", ToAll()),
        ({"all": True}, ToAll()),
        ({"shard": 0}, ToShard(0)),
        ({"shard": [1, 4]}, ToShard(1, 4)),
        ({"session": 2}, ToSession(2)),
        ({"session": "abc"}, ToSession(Secret("abc"))),
        ({"connection": 3}, ToConnection(3)),
        ({"next": 2}, ToNext(2)),
    ],
)
def test_a_target_is_read(value: Any, target: Target) -> None:
    assert read_target(value) == target


@pytest.mark.parametrize(
    "value",
    [
        None, 3, "every", {}, {"shard": -1}, {"shard": [4, 4]}, {"shard": True}, {"shard": [0]}, {"session": 0},
        {"connection": 0}, {"connection": "1"}, {"next": 0}, {"next": 10**9}, {"all": False}, {"shart": 0},
        {"shard": 0, "session": 1},
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused_with_its_key(value: Any) -> None:
    with pytest.raises(InvalidConfigError, match=r"^(target|shard|session|connection|next|all): "):
        read_target(value)


@pytest.mark.parametrize(
    ("value", "when"),
    [
        ({"connection": 2}, OnConnection(2)),
        ({"connection": "each"}, OnConnection(None)),
        ({"upgrade": 1}, OnUpgrade(1)),
        ({"upgrade": "each"}, OnUpgrade(None)),
        ({"opcode": 6}, OnMessage(6, 1)),
        ({"opcode": "resume", "nth": 2}, OnMessage(6, 2)),
        ({"opcode": "HEARTBEAT", "nth": "each", "connection": 3}, OnMessage(1, None, 3)),
        ({"sequence": 5}, AtSequence(5)),
        ({"sequence": 5, "session": 2}, AtSequence(5, 2)),
    ],
)
def test_a_moment_is_read(value: Any, when: When) -> None:
    assert read_moment(value) == when


KEYS = st.sampled_from(["shard", "session", "connection", "next", "all", "opcode", "nth", "sequence", "upgrade", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
    lambda some: st.lists(some) | st.dictionaries(KEYS, some),
)


@given(ANYTHING, st.sampled_from(sorted(FAULTS)))
def test_any_values_are_read_or_refused(value: Any, name: str) -> None:
    fields = dict.fromkeys(FAULTS[name].__struct_fields__, value) | (value if isinstance(value, dict) else {})
    for read in (lambda: read_target(value), lambda: read_moment(value), lambda: read_fault(name, fields)):
        try:
            read()
        except InvalidConfigError as refused:
            error: InvalidConfigError | None = refused
        else:
            error = None
        assert error is None or str(error).isprintable()


def test_an_event_needs_a_name() -> None:
    assert read_event("X", b"1") == SendEvent("X", b"1")
    for name in (None, "", 3):
        with pytest.raises(InvalidConfigError, match=r"^t: must be the name of an event"):
            read_event(name, b"1")
    assert repr(SendEvent("X", b"secret")) == "SendEvent(name='X', data=<6 bytes>)"


def do(rig: Rig, effect: Effect, target: Target) -> int:
    outcome = carry_out(rig.server, effect, target, rig.now)
    rig.run(outcome.actions)
    return outcome.reached


def test_an_event_reaches_whom_it_is_meant_for() -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    zero, one, alone = rig.ready(shard=[0, 2]), rig.ready(shard=[1, 2]), rig.ready()
    idle = rig.client()
    targets: list[tuple[Target, int]] = [
        (ToAll(), 3),
        (ToShard(0), 2),
        (ToShard(0, 2), 1),
        (ToShard(1), 1),
        (ToShard(2), 0),
        (ToSession(3), 1),
        (ToSession(one.session_id), 1),
        (ToSession(9), 0),
        (ToConnection(zero.connection.id), 1),
        (ToConnection(idle.connection.id), 0),
    ]
    for number, (target, reached) in enumerate(targets):
        assert do(rig, SendEvent("EVENT", b"%d" % number), target) == reached, target
    assert zero.bodies() == [0, 1, 2, 8]
    assert one.bodies() == [0, 3, 6]
    assert alone.bodies() == [0, 1, 5]
    assert idle.events() == []


def test_an_event_for_a_session_that_is_away_waits_and_for_an_expired_one_is_not_reached() -> None:
    rig = Rig(ServerConfig(session_lifetime=10.0))
    client = rig.ready()
    client.eof()
    assert do(rig, SendEvent("EVENT", b"1"), ToShard(0)) == 1
    rig.now = 11.0
    assert do(rig, SendEvent("EVENT", b"1"), ToShard(0)) == 0


def test_a_fault_reaches_connections_and_sessions() -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    zero, one, idle = rig.ready(shard=[0, 2]), rig.ready(shard=[1, 2]), rig.client()
    assert do(rig, AskReconnect(), ToAll()) == 3
    assert [client.ops()[-1] for client in (zero, one, idle)] == [7, 7, 7]
    assert do(rig, InvalidSession(True), ToShard(1)) == 1
    assert do(rig, InvalidSession(True), ToShard(1)) == 0, "its session has no connection any more"
    assert do(rig, Withhold(), ToAll()) == 2, "a fault of dispatches befalls sessions"
    assert do(rig, Close(4000), ToConnection(idle.connection.id)) == 1
    assert do(rig, Close(4000), ToConnection(idle.connection.id)) == 0, "it is closing"
    waiting = rig.client(upgrade=False)
    assert do(rig, Refuse(503), ToConnection(zero.connection.id)) == 0, "it is upgraded already"
    assert do(rig, Refuse(503), ToConnection(99)) == 0
    assert do(rig, NoHello(), ToShard(0)) == 0
    assert do(rig, Refuse(503), ToAll()) == 1
    waiting.feed(upgrade_request())
    assert waiting.head.startswith(b"HTTP/1.1 503 ")
    assert do(rig, Drop(), ToSession(1)) == 1
    assert do(rig, Drop(), ToConnection(99)) == 0
    assert do(rig, Refuse(503), ToNext(1)) == 1
    assert rig.client().head.startswith(b"HTTP/1.1 503 ")
