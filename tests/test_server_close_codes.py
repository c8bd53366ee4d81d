"""Every close code of the server for its cause, and what it does to the session."""

from typing import Any

import pytest

from gateway_proto.close_codes import CloseCode
from gateway_proto.intents import Intents
from gateway_proto.secret import Secret
from gateway_proto.server import Close, ConnectionClosed, ServerConfig, SessionEnd, SessionEnded, SessionRefused
from gateway_proto.websocket import FrameOpcode, encode_frame

from .server_helpers import MASK, TOKEN, Client, Rig, identify_data, text_frame


def close_code(client: Client) -> int | None:
    return None if client.closed is None else client.closed[0]


@pytest.mark.parametrize("op", [0, 5, 7, 9, 10, 11, 12, 99, -1, 2**80])
@pytest.mark.parametrize("identified", [False, True])
def test_an_opcode_that_is_no_apps_to_send_is_closed_with_4001(op: int, identified: bool) -> None:
    rig = Rig()
    client = rig.ready() if identified else rig.client()
    client.say(op, None)
    assert close_code(client) == CloseCode.UNKNOWN_OPCODE


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"d":null}',
        b'{"op":"1"}',
        b'{"op":true}',
        b'{"op":1.5}',
        b'{"op":1e999}',
        b'{"op":1,"d":"1"}',
        b'{"op":1,"d":1.5}',
        b'{"op":2,"d":null}',
        b'{"op":2,"d":[]}',
        b'{"op":6,"d":7}',
        b'{"op":2,"d":{"token":"\\ud800"}}',
        b'{"op":2,"d":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_what_cannot_be_decoded_is_closed_with_4002(payload: bytes) -> None:
    client = Rig().client()
    client.feed(text_frame(payload))
    assert close_code(client) == CloseCode.DECODE_ERROR


@pytest.mark.parametrize("opcode", [FrameOpcode.TEXT, FrameOpcode.BINARY])
def test_bytes_that_are_no_utf8_are_closed_with_4002(opcode: FrameOpcode) -> None:
    client = Rig().client()
    client.feed(encode_frame(opcode, b'{"op":2,"d":{"token":"\xff"}}', MASK))
    assert close_code(client) == CloseCode.DECODE_ERROR


@pytest.mark.parametrize(
    ("size", "code"), [(4096, None), (4097, CloseCode.DECODE_ERROR), (70_000, CloseCode.DECODE_ERROR)]
)
def test_a_payload_over_4096_bytes_is_closed_with_4002(size: int, code: int | None) -> None:
    client = Rig().client()
    head = b'{"op":1,"d":null,"x":"'
    client.feed(text_frame(head + b"x" * (size - len(head) - 2) + b'"}'))
    assert close_code(client) == code


def test_the_4096_bytes_hold_for_a_fragmented_message_too() -> None:
    client = Rig().client()
    first = bytearray(text_frame(b"x" * 4000))
    first[0] &= 0x7F
    client.feed(bytes(first))
    assert client.closed is None
    client.feed(encode_frame(FrameOpcode.CONTINUATION, b"x" * 97, MASK))
    assert client.closed == (CloseCode.DECODE_ERROR, "a payload exceeds 4096 bytes")


def test_a_fragmented_payload_is_joined() -> None:
    client = Rig().client()
    payload = b'{"op":1,"d":null}'
    first = bytearray(text_frame(payload[:5]))
    first[0] &= 0x7F
    client.feed(bytes(first))
    client.feed(encode_frame(FrameOpcode.PING, b"between", MASK))
    client.feed(encode_frame(FrameOpcode.CONTINUATION, payload[5:], MASK))
    assert client.ops() == [10, 11]
    assert client.pongs == [b"between"]


@pytest.mark.parametrize("op", [3, 4, 8, 31, 43])
def test_a_payload_before_identify_is_closed_with_4003(op: int) -> None:
    client = Rig().client()
    client.say(op, {})
    assert close_code(client) == CloseCode.NOT_AUTHENTICATED


def test_a_heartbeat_before_identify_is_acknowledged() -> None:
    client = Rig().client()
    client.beat()
    client.beat(7)
    assert client.ops() == [10, 11, 11]


@pytest.mark.failure("F16")
@pytest.mark.parametrize("token", ["", "another", None, 7, ...])
def test_a_wrong_token_is_closed_with_4004(token: Any) -> None:
    rig = Rig(ServerConfig(token=Secret(TOKEN)))
    client = rig.client()
    client.identify(token=token)
    assert close_code(client) == CloseCode.AUTHENTICATION_FAILED
    resumed = rig.client()
    resumed.say(6, {"token": token, "session_id": "x", "seq": 1} if token is not ... else {"session_id": "x"})
    assert close_code(resumed) == CloseCode.AUTHENTICATION_FAILED
    assert [refusal.code for refusal in rig.reported(SessionRefused)] == [4004, 4004]


def test_a_second_identify_or_a_resume_behind_it_is_closed_with_4005() -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    first = rig.ready()
    first.identify()
    second = rig.ready()
    second.resume(second.session_id, 1)
    assert close_code(first) == close_code(second) == CloseCode.ALREADY_AUTHENTICATED
    assert len(rig.server.sessions) == 2


@pytest.mark.parametrize("session_id", [None, 7, ..., ["x"]])
def test_a_resume_whose_session_id_is_no_string_is_closed_with_4002(session_id: Any) -> None:
    client = Rig().client()
    client.say(
        6, {"token": TOKEN, "seq": 1} if session_id is ... else {"token": TOKEN, "session_id": session_id, "seq": 1}
    )
    assert close_code(client) == CloseCode.DECODE_ERROR


@pytest.mark.failure("F17")
@pytest.mark.parametrize("sequence", [2, 10**30, -1, None, "1", 1.0, True])
def test_a_sequence_that_never_was_is_closed_with_4007(sequence: Any) -> None:
    rig = Rig()
    session_id = rig.ready().session_id
    client = rig.client()
    client.resume(session_id, sequence)
    assert close_code(client) == CloseCode.INVALID_SEQ


@pytest.mark.failure("F17", "F19")
@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("sequence", [2, None])
def test_4007_ends_the_session_so_that_who_resumes_it_nevertheless_identifies(sequence: Any, connected: bool) -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    old = rig.ready()
    session_id = old.session_id
    if not connected:
        old.eof()
    client = rig.client()
    client.resume(session_id, sequence)
    assert close_code(client) == CloseCode.INVALID_SEQ
    [ended] = rig.reported(SessionEnded)
    assert (ended.session_id, ended.number, ended.sequence, ended.cause) == (session_id, 1, 1, SessionEnd.CLOSED)
    assert not rig.server.sessions
    assert close_code(old) == (4000 if connected else None), "nobody goes on with a session that is gone"
    rig.dispatch(session_id)
    assert old.events() == ["READY"]
    again = rig.client()
    for sequence in (1, 2):
        again.resume(session_id, sequence)
        assert again.received[-1] == {"t": None, "s": None, "op": 9, "d": False}
    again.identify()
    assert again.events() == ["READY"]


def test_a_stranger_who_guesses_a_session_does_not_end_it() -> None:
    rig = Rig()
    session_id = rig.ready().session_id
    stranger = rig.client()
    stranger.resume(session_id, 99, "another token")
    assert stranger.received[-1]["op"] == 9
    assert rig.server.sessions[session_id].connection_id == 1


def test_the_121st_payload_in_60_s_is_closed_with_4008() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=600.0))
    client = rig.client()
    for _ in range(120):
        client.beat()
        rig.advance(0.25)
    rig.advance(30.0)
    client.beat()
    assert client.closed is None, "the window rolls: 60 s after the first there is room for one"
    client.beat()
    assert close_code(client) == CloseCode.RATE_LIMITED
    assert client.ops().count(11) == 121


@pytest.mark.failure("F17")
def test_a_session_that_was_closed_for_the_rate_can_be_resumed() -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    for _ in range(120):
        client.beat()
    assert close_code(client) == CloseCode.RATE_LIMITED
    again = rig.client()
    again.resume(session_id, 1)
    assert again.events() == ["RESUMED"]


def test_an_expired_session_gets_op_9_false_or_4009_where_the_config_asks_for_it() -> None:
    for expired_close in (False, True):
        rig = Rig(ServerConfig(expired_close=expired_close))
        client = rig.ready()
        session_id = client.session_id
        client.eof()
        rig.advance(180.0)
        client, stranger = rig.client(), rig.client()
        client.resume(session_id, 1)
        stranger.resume(Secret("unknown"), 1)
        assert close_code(client) == (CloseCode.SESSION_TIMED_OUT if expired_close else None)
        assert (client.received[1:] == [{"t": None, "s": None, "op": 9, "d": False}]) is not expired_close
        assert stranger.received[-1]["op"] == 9


@pytest.mark.failure("F16")
@pytest.mark.parametrize(
    "shard", [[0], [0, 1, 2], "0/1", {}, [1, 1], [-1, 1], [0, 0], [0, "1"], [0.0, 1], [False, 1], []]
)
def test_an_invalid_shard_is_closed_with_4010(shard: Any) -> None:
    client = Rig().client()
    client.identify(shard=shard)
    assert close_code(client) == CloseCode.INVALID_SHARD


@pytest.mark.failure("F16")
@pytest.mark.parametrize(("shard", "code"), [(None, 4011), (..., 4011), ([0, 2], 4011), ([2, 3], None), ([0, 4], None)])
def test_too_few_shards_are_closed_with_4011(shard: Any, code: int | None) -> None:
    client = Rig(ServerConfig(min_shards=3)).client()
    client.identify(shard=shard)
    assert close_code(client) == code


@pytest.mark.failure("F16")
@pytest.mark.parametrize(
    "query", ["v=6", "v=7", "v=8", "v=11", "v=", "v=ten", "encoding=json", "", "v=10.0", "v=010", "v=9%20"]
)
def test_another_api_version_is_closed_with_4012_before_hello(query: str) -> None:
    client = Rig().client(query)
    assert close_code(client) == CloseCode.INVALID_API_VERSION
    assert client.received == []


@pytest.mark.parametrize("version", [9, 10])
def test_the_versions_that_discord_serves_are_taken_and_ready_says_which(version: int) -> None:
    rig = Rig()
    client = rig.client(f"v={version}&encoding=json")
    client.identify()
    ready = client.received[1]["d"]
    assert ready["v"] == version
    other = Rig().client()
    other.identify()
    assert {**ready, "v": 10} == other.received[1]["d"], "all else is as v10 has it"


@pytest.mark.parametrize(("newest", "taken"), [(8, [8]), (9, [9]), (10, [9, 10]), (11, [9, 10, 11])])
def test_the_config_says_which_version_is_the_newest(newest: int, taken: list[int]) -> None:
    rig = Rig(ServerConfig(api_version=newest))
    clients = {version: rig.client(f"v={version}") for version in range(6, 14)}
    assert [version for version, client in clients.items() if client.closed is None] == taken
    text = " or ".join(map(str, taken))
    assert clients[13].closed == (CloseCode.INVALID_API_VERSION, f"v must be {text}")


@pytest.mark.parametrize("query", ["v=10&encoding=etf", "v=10&encoding=", "v=10&compress=gzip"])
def test_an_unknown_encoding_or_compression_is_closed_with_4002(query: str) -> None:
    client = Rig().client(query)
    assert close_code(client) == CloseCode.DECODE_ERROR
    assert client.received == []


@pytest.mark.failure("F16")
@pytest.mark.parametrize("intents", [-1, 1 << 30, 1 << 17, "513", None, 1.0, True, ...])
def test_invalid_intents_are_closed_with_4013(intents: Any) -> None:
    client = Rig().client()
    client.identify(intents=intents)
    assert close_code(client) == CloseCode.INVALID_INTENTS


@pytest.mark.failure("F16")
def test_disallowed_intents_are_closed_with_4014() -> None:
    rig = Rig(ServerConfig(allowed_intents=Intents.unprivileged()))
    client = rig.client()
    client.identify(intents=int(Intents.GUILD_PRESENCES))
    assert close_code(client) == CloseCode.DISALLOWED_INTENTS
    rig.ready(intents=int(Intents.unprivileged()))


@pytest.mark.parametrize(
    "changes",
    [{"properties": ...}, {"properties": 1}, {"presence": []}, {"compress": 1}, {"large_threshold": "50"}],
)
def test_a_field_of_identify_without_its_type_is_closed_with_4002(changes: dict[str, Any]) -> None:
    client = Rig().client()
    client.say(2, identify_data(**changes))
    assert close_code(client) == CloseCode.DECODE_ERROR


@pytest.mark.failure("F17")
def test_a_silent_client_is_closed_with_4000_and_can_resume() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=10.0))
    client = rig.ready()
    session_id = client.session_id
    rig.advance(17.0)
    client.beat(1)
    rig.advance(17.25)
    assert client.closed is None
    rig.advance(0.25)
    assert close_code(client) == CloseCode.UNKNOWN_ERROR
    again = rig.client()
    again.resume(session_id, 1)
    assert again.events() == ["RESUMED"]


def test_a_client_that_beats_may_wait_for_its_permit_for_ever() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=10.0))
    client = rig.client()
    for _ in range(100):
        rig.advance(10.0)
        client.beat()
    client.identify()
    assert client.events() == ["READY"]


@pytest.mark.parametrize(
    "data",
    [
        encode_frame(FrameOpcode.TEXT, b'{"op":1}'),  # without a mask
        b"\xc1\x80" + MASK,  # a reserved bit
        b"\x83\x80" + MASK,  # a reserved opcode
        b"\x89\xfe\x00\x80" + MASK,  # a control frame of 128 bytes
        b"\x80\x80" + MASK,  # a continuation of nothing
        b"\x81\xfe\x00\x01" + MASK,  # a length that is not minimal
        encode_frame(FrameOpcode.CLOSE, b"\x03", MASK),  # half a close code
        encode_frame(FrameOpcode.CLOSE, b"\x03\xe8\xff", MASK),  # a reason that is no UTF-8
    ],
)
def test_a_broken_frame_is_closed_with_1002(data: bytes) -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    client.feed(data + text_frame(b'{"op":1}'))
    assert close_code(client) == 1002
    assert client.ops() == [10, 0], "nothing behind it is read"
    assert session_id in rig.server.sessions


@pytest.mark.failure("F18")
@pytest.mark.parametrize(("code", "kept"), [(1000, False), (1001, False), (4000, True), (1002, True), (None, True)])
def test_what_the_clients_close_does_to_the_session(code: int | None, kept: bool) -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    if code is None:
        client.eof()
    else:
        client.close(code, "bye")
        assert close_code(client) == code, "the close frame is echoed"
    assert (session_id in rig.server.sessions) is kept
    assert [ended.cause for ended in rig.reported(SessionEnded)] == ([] if kept else [SessionEnd.LOGOUT])
    (closed,) = rig.reported(ConnectionClosed)
    assert (closed.code, closed.by, closed.session_id, closed.sequence) == (code, "client", session_id, 1)
    assert client.socket is not None
    assert client.socket.abort is (code is None)


@pytest.mark.failure("F17")
@pytest.mark.parametrize("code", [1000, 1001, 1011, 4000, 4007, 4008, 4009, 4999])
def test_of_the_servers_own_closes_only_4007_and_4009_end_the_session(code: int) -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    rig.inject(client, Close(code, b"as told"))
    assert client.closed == (code, "as told")
    assert (session_id in rig.server.sessions) is (code not in (4007, 4009))


def test_after_our_close_frame_the_clients_or_its_eof_or_two_seconds_end_the_socket() -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    answered, gone, mute = (rig.ready() for _ in range(3))
    for client in (answered, gone, mute):
        client.say(99, None)
        assert client.closed is not None
        assert client.socket is None
    answered.beat()
    answered.close(4001)
    gone.eof()
    assert answered.socket is not None
    assert not answered.socket.abort
    assert gone.socket is not None
    rig.advance(1.99)
    assert mute.socket is None
    rig.advance(0.01)
    assert mute.socket is not None
    assert mute.socket.abort
    assert not rig.server.connections
    assert len(rig.reported(ConnectionClosed)) == 3
