"""Every fault that can be scripted: what the client sees, what becomes of the session, and that it is reported."""

import json
from typing import Any, get_args

import pytest

from gateway_proto.compression import FLUSH_SUFFIX
from gateway_proto.errors import InvalidConfigError
from gateway_proto.secret import Secret
from gateway_proto.server import (
    AskReconnect,
    AtSequence,
    Chunk,
    Close,
    CloseSocket,
    ConnectionClosed,
    Corrupt,
    Drop,
    Fault,
    FaultFired,
    Fragment,
    Garbage,
    InvalidSession,
    LoseAcks,
    NoAnswer,
    NoHello,
    OnConnection,
    Planned,
    Received,
    Refuse,
    Release,
    Repeat,
    RequestHeartbeat,
    SendText,
    ServerConfig,
    ServerLimits,
    SplitMessages,
    Stall,
    Swap,
    Wake,
    Withhold,
)
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .server_helpers import MASK, Client, Rig, text_frame, upgrade_request


def fired(rig: Rig) -> list[Fault]:
    return [action.fault for action in rig.reported(FaultFired)]


def resumed(rig: Rig, client: Client, sequence: int = 1) -> Client:
    again = rig.client()
    again.resume(client.session_id, sequence)
    return again


def test_a_drop_ends_the_socket_and_keeps_the_session() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Drop())
    assert client.socket == CloseSocket(connection_id=1, abort=True, grace=2.0)
    (closed,) = rig.reported(ConnectionClosed)
    assert (closed.code, closed.by) == (None, "server")
    assert resumed(rig, client).events() == ["RESUMED"]


@pytest.mark.parametrize("flush", [False, True])
def test_a_drop_can_let_what_is_queued_out_first(flush: bool) -> None:
    rig = Rig()
    client = rig.ready()
    rig.server.dispatch(client.session_id, "EVENT", b"1", 0.0)
    rig.inject(client, Drop(flush=flush))
    assert client.bodies() == ([1] if flush else [])
    assert client.socket is not None
    assert client.socket.abort is not flush


def test_a_stall_neither_sends_nor_reads() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=1.0))
    client = rig.ready()
    rig.inject(client, Stall())
    assert client.connection.is_stalled
    rig.dispatch(client.session_id, d="late")
    client.beat()
    rig.advance(1000.0)
    assert client.ops() == [10, 0]
    rig.inject(client, Release())
    assert not client.connection.is_stalled
    assert client.bodies() == ["late"]
    assert client.ops() == [10, 0, 0, 11]
    rig.advance(1.7)
    assert client.closed is None, "its silence is judged from the release on"
    assert fired(rig) == [Stall(), Release()]


def test_after_a_stall_the_clients_silence_is_judged_anew() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=1.0))
    client = rig.ready()
    rig.inject(client, Stall(100.0))
    rig.advance(101.7)
    assert client.closed is None
    rig.advance(0.1)
    assert client.closed is not None


def test_a_stall_ends_by_itself_and_work_in_flight_waits_for_it() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    rig.inject(client, Stall(5.0))
    client.feed(upgrade_request())
    rig.advance(4.9)
    assert client.sent == b""
    rig.advance(0.1)
    assert client.ops() == [10]


@pytest.mark.parametrize("state", ["request", "closing"])
def test_no_timer_is_judged_during_a_stall(state: str) -> None:
    rig = Rig()
    client = rig.client(upgrade=False) if state == "request" else rig.ready()
    rig.inject(client, Stall())
    if state == "closing":
        rig.inject(client, Close(4000, b"late"))
    rig.advance(1000.0)
    assert client.socket is None
    rig.inject(client, Release())
    assert client.closed == ((4000, "late") if state == "closing" else None)
    rig.advance(1.9)
    assert client.socket is None
    rig.advance(8.1)
    assert client.socket is not None


def test_what_comes_in_during_a_stall_is_bounded() -> None:
    rig = Rig(ServerConfig(limits=ServerLimits(max_held=100)))
    client = rig.ready()
    rig.inject(client, Stall())
    client.feed(b"x" * 100)
    assert client.socket is None
    client.feed(b"x")
    assert client.socket is not None
    assert resumed(rig, client).events() == ["RESUMED"]


def test_a_stalled_connections_eof_is_its_end_and_what_it_said_is_lost() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Stall())
    client.close(1000)
    client.eof()
    assert resumed(rig, client).events() == ["RESUMED"]


@pytest.mark.failure("F16")
def test_a_close_with_a_reason_that_is_no_utf8() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Close(4004, b"\xff" * 200))
    assert client.sent.endswith(b"\x88\x7d" + (4004).to_bytes(2) + b"\xff" * 123)
    (closed,) = rig.reported(ConnectionClosed)
    assert (closed.code, closed.by) == (4004, "server")


@pytest.mark.failure("F05")
def test_op_7_then_the_connection_goes_on() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, AskReconnect())
    rig.dispatch(client.session_id, d="behind")
    assert client.received[-2] == {"t": None, "s": None, "op": 7, "d": None}
    assert client.bodies() == ["behind"]
    client.close(4000)
    assert resumed(rig, client).bodies() == ["behind"], "the RESUME replays it"


@pytest.mark.failure("F05")
@pytest.mark.parametrize(("fault", "op"), [(AskReconnect(), 7), (InvalidSession(True), 9), (InvalidSession(False), 9)])
@pytest.mark.parametrize("hello", [True, False])
def test_op_7_and_op_9_can_be_the_first_frame(fault: Fault, op: int, hello: bool) -> None:
    plan = [Planned(when=OnConnection(1), fault=fault)]
    if not hello:
        plan.append(Planned(when=OnConnection(1), fault=NoHello()))
    rig = Rig(ServerConfig(plan=tuple(plan)))
    assert rig.client().ops() == ([op, 10] if hello else [op])
    assert rig.client().ops() == [10]
    assert set(fired(rig)) == {planned.fault for planned in plan}


@pytest.mark.failure("F19")
@pytest.mark.parametrize("resumable", [True, False])
def test_op_9_and_what_it_says_is_so(resumable: bool) -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    rig.inject(session_id, InvalidSession(resumable))
    assert client.received[-1] == {"t": None, "s": None, "op": 9, "d": resumable}
    rig.dispatch(session_id, d="x")
    assert client.bodies() == []
    again = resumed(rig, client)
    assert (again.bodies() == ["x"]) is resumable
    assert (again.received[-1]["op"] == 9) is not resumable


def test_op_1_asks_for_a_heartbeat() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, RequestHeartbeat())
    assert client.received[-1] == {"t": None, "s": None, "op": 1, "d": None}


def test_lost_acks() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, LoseAcks(2))
    for _ in range(3):
        client.beat()
    assert client.ops().count(11) == 1
    rig.inject(client, LoseAcks())
    for _ in range(10):
        client.beat()
    assert client.ops().count(11) == 1
    rig.inject(client, LoseAcks(0))
    client.beat()
    assert client.ops().count(11) == 2


@pytest.mark.failure("F27", "F30")
def test_a_corrupted_byte_lies_where_it_was_asked_for() -> None:
    plain, corrupted = Rig(), Rig()
    for rig in (plain, corrupted):
        client = rig.ready()
        if rig is corrupted:
            rig.inject(client, Corrupt(7))
            rig.inject(client, Corrupt(60, 0x01))
        rig.server.dispatch(client.session_id, "EVENT", b'"a text"', 0.0)
        rig.server.dispatch(client.session_id, "EVENT", b'"another"', 0.0)
        rig.now = 1.0
        assert rig.clients[1].connection.next_timeout() is not None
    before = plain.clients[1].connection.data_to_send(1.0)
    after = corrupted.clients[1].connection.data_to_send(1.0)
    changed = {position: a ^ b for position, (a, b) in enumerate(zip(before, after, strict=True)) if a != b}
    assert changed == {7: 0xFF, 60: 0x01}


def test_a_corrupted_byte_lies_behind_what_is_queued_already() -> None:
    rig = Rig()
    client = rig.ready()
    for data in (b'"one"', b'"two"'):
        rig.server.dispatch(client.session_id, "EVENT", data, 0.0)
        if data == b'"one"':
            client.connection.strike(Corrupt(0, 0x7E), 0.0)
    sent = client.connection.data_to_send(0.0)
    assert sent.count(b"\x81") == 1
    assert sent.index(b"\xff", 1) > sent.index(b'"one"')


def test_corruption_reaches_over_drains() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Corrupt(30))
    start = len(client.sent)
    for _ in range(3):
        client.feed(b"\x89\x86\x01\x02\x03\x04------")
    sent = client.sent[start:]
    assert len(sent) == 24
    client.feed(b"\x89\x86\x01\x02\x03\x04------")
    client.feed(b"\x89\x86\x01\x02\x03\x04------")
    assert [at for at in range(40) if client.sent[start + at] != client.sent[start + at % 8]] == [30]


@pytest.mark.failure("F30")
def test_garbage_instead_of_the_upgrade_and_in_the_stream() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    rig.inject(client, Garbage(b"SSH-2.0-x\r\n"))
    assert client.sent == b"", "it waits for the request"
    client.feed(upgrade_request())
    assert client.sent == b"SSH-2.0-x\r\n"
    assert client.socket is not None
    assert not client.socket.abort
    client = rig.ready()
    body = b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>"
    rig.inject(client, Garbage(body))
    assert client.sent.endswith(body)
    assert client.closed is not None
    assert client.closed[0] == 1002


def test_a_fault_that_needs_a_request_is_of_no_effect_behind_it() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Refuse(503))
    assert fired(rig) == []
    client.beat()
    assert client.ops()[-1] == 11


@pytest.mark.failure("F22")
def test_no_hello_and_no_answer() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    rig.inject(client, NoHello())
    client.feed(upgrade_request())
    rig.advance(1000.0)
    assert client.received == []
    assert client.closed is None
    mute = rig.client()
    rig.inject(mute, NoAnswer())
    mute.identify()
    mute.resume(Secret("x"), 1)
    mute.beat()
    assert mute.ops() == [10, 11]


@pytest.mark.failure("F27")
@pytest.mark.parametrize("compress", [None, "zlib-stream", "zstd-stream"])
def test_a_message_that_is_no_json(compress: str | None) -> None:
    rig = Rig()
    client = rig.client(compress=compress)
    with pytest.raises(json.JSONDecodeError):
        rig.inject(client, SendText(b"no JSON"))
    assert client.frames[-1][0] == ("BINARY" if compress else "TEXT")


def test_fragments_are_joined_by_the_peer() -> None:
    rig = Rig()
    client = rig.client(compress="zlib-stream")
    rig.inject(client, Fragment(3))
    start = len(client.sent)
    client.identify()
    assert client.events() == ["READY"]
    assert client.sent[start] == 0x02, "BINARY without FIN"
    assert client.sent[start + 1] == 3
    assert client.sent[start + 5] == 0x00, "a continuation"
    # A whole message in one fragment is an ordinary frame.
    rig.inject(client, Fragment(10_000))
    rig.dispatch(client.session_id, d=1)
    assert client.bodies() == [1]


def test_a_zlib_message_over_many_websocket_messages() -> None:
    rig = Rig()
    client = rig.client(compress="zlib-stream")
    rig.inject(client, SplitMessages(5))
    with pytest.raises(json.JSONDecodeError):
        client.identify()  # this simple peer takes each message for a whole one
    whole = rig.client(compress="zlib-stream")
    rig.inject(whole, SplitMessages(10_000))
    whole.beat()
    assert whole.frames[-1][1].endswith(FLUSH_SUFFIX)
    assert not client.frames[1][1].endswith(FLUSH_SUFFIX)
    assert len(client.frames[1][1]) == 5


def test_chunks() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Chunk(7))
    rig.server.dispatch(client.session_id, "EVENT", b'"in small pieces"', 0.0)
    connection = client.connection
    pieces = [connection.data_to_send(3.0)]
    while connection.next_timeout() == 3.0:
        assert connection.handle_timeout(3.0) == []
        pieces.append(connection.data_to_send(3.0))
    assert [len(piece) for piece in pieces[:-1]] == [7] * (len(pieces) - 1)
    assert b"in small pieces" in b"".join(pieces)


def test_the_last_bytes_before_the_end_are_no_chunk() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Chunk(3))
    connection = client.connection
    connection.receive_data(encode_frame(FrameOpcode.CLOSE, close_payload(4000), MASK), 0.0)
    assert connection.has_ended
    assert connection.data_to_send(0.0) == b"\x88\x02" + (4000).to_bytes(2), "after CloseSocket one drain is all"


@pytest.mark.parametrize("aim", ["connection", "session"])
def test_withhold_loses_one_for_good(aim: str) -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    rig.inject(client if aim == "connection" else session_id, Withhold())
    for number in range(3):
        rig.dispatch(session_id, d=number)
    assert client.bodies() == [1, 2]
    assert client.sequences() == [1, 3, 4]
    client.eof()
    assert resumed(rig, client).bodies() == [1, 2], "a RESUME does not heal it"
    assert fired(rig) == [Withhold()]


@pytest.mark.parametrize("renumbered", [True, False])
def test_repeat_sends_one_twice(renumbered: bool) -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Repeat(renumbered=renumbered))
    for number in range(2):
        rig.dispatch(client.session_id, d=number)
    assert client.bodies() == [0, 0, 1]
    assert client.sequences() == ([1, 2, 3, 4] if renumbered else [1, 2, 2, 3])
    assert fired(rig) == [Repeat(renumbered=renumbered)]


def test_swap_exchanges_two_bodies_and_no_numbers() -> None:
    rig = Rig()
    client = rig.ready()
    rig.inject(client, Swap())
    rig.dispatch(client.session_id, d=0)
    assert (client.bodies(), fired(rig)) == ([], [])
    for number in range(1, 4):
        rig.dispatch(client.session_id, d=number)
    assert client.bodies() == [1, 0, 2, 3]
    assert client.sequences() == [1, 2, 3, 4, 5]
    assert fired(rig) == [Swap()]


def test_dispatch_faults_wait_in_line_and_for_a_session() -> None:
    rig = Rig()
    client = rig.client()
    for fault in (Withhold(), Repeat()):
        rig.inject(client, fault)
    client.identify()
    client.eof()
    for number in range(3):
        rig.dispatch(client.session_id, d=number)
    assert resumed(rig, client).bodies() == [1, 1, 2]
    assert [action.connection_id for action in rig.reported(FaultFired)] == [None, None]


def test_a_plan_strikes_at_its_sequences() -> None:
    plan: list[tuple[AtSequence, Fault]] = [
        (AtSequence(4), Withhold()),
        (AtSequence(6), Drop(flush=True)),
        (AtSequence(3, session=2), Withhold()),
        (AtSequence(2, session=2), AskReconnect()),
    ]
    rig = Rig(ServerConfig(identify_period=0.0, plan=tuple(Planned(when=when, fault=fault) for when, fault in plan)))
    first, second = rig.ready(), rig.ready()
    for number in range(2, 8):
        rig.dispatch(first.session_id, d=number)
        rig.dispatch(second.session_id, d=number)
    assert first.sequences() == [1, 2, 3, 5, 6]
    assert first.socket is not None
    assert second.sequences() == [1, 2, 4, 5, 6, 7], "each line fires once"
    assert second.ops()[3] == 7
    assert len(fired(rig)) == 4


def test_a_plan_can_strike_every_connection_from_its_first_moment() -> None:
    rig = Rig(ServerConfig(plan=(Planned(when=OnConnection(), fault=Drop()),)))
    for _ in range(3):
        client = rig.client(upgrade=False)
        assert client.connection.next_timeout() == rig.now
        client.wake()
        assert client.socket is not None
    assert not rig.server.connections


def test_what_is_gone_suffers_nothing() -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    client.close(4000)
    for target in (1, 99, session_id, Secret("unknown")):
        assert rig.server.inject(target, AskReconnect(), 0.0) == []
    closing = rig.client()
    closing.say(99, None)
    assert rig.server.inject(2, Drop(), 0.0) == []
    assert fired(rig) == []


def test_a_fault_wakes_the_driver_even_if_output_is_queued_already() -> None:
    rig = Rig()
    client = rig.ready()
    rig.server.inject(1, Stall(), 0.0)
    client.wake()
    rig.server.dispatch(client.session_id, "EVENT", b"1", 0.0)
    client.wake()
    assert rig.server.inject(1, Release(), 0.0) == [Wake(connection_id=1)]
    client.wake()
    assert client.bodies() == [1]


def test_frames_that_come_behind_a_planned_stall_wait_for_its_end() -> None:
    rig = Rig(ServerConfig(plan=(Planned(when=AtSequence(1), fault=Stall(2.0)),)))
    client = rig.client()
    identify = text_frame(b'{"op":2,"d":{"token":"x","intents":0,"properties":{}}}')
    client.feed(identify + text_frame(b'{"op":1,"d":1}'))
    assert client.ops() == [10]
    assert [action.opcode for action in rig.reported(Received)] == [2]
    rig.advance(2.0)
    assert client.ops() == [10, 0, 11]


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (Fragment, (0,)),
        (SplitMessages, (0,)),
        (Chunk, (-1,)),
        (Corrupt, (0, 0)),
        (Corrupt, (-1,)),
        (Close, (999,)),
        (Refuse, (101,)),
        (Refuse, (503, -1.0)),
        (Refuse, (503, float("inf"))),
    ],
)
def test_a_fault_out_of_range_is_refused(kind: Any, arguments: tuple[int, ...]) -> None:
    with pytest.raises(InvalidConfigError):
        kind(*arguments)


def test_the_union_names_every_fault() -> None:
    assert len(get_args(Fault)) == 21
