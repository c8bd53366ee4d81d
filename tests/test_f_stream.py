"""F27, F28, F30, F31: broken streams, split messages, foreign bytes, odd and unknown content."""

from typing import Any

import msgspec
import pytest

from gateway_proto import (
    BrokenStreamError,
    ConnectionStage,
    DecompressionError,
    DiscardCause,
    Dispatch,
    Fatal,
    GuildsSettled,
    IdentifyWanted,
    InvalidHandshakeError,
    MalformedFrameError,
    Notice,
    NoticeKind,
    Reconnect,
    ReconnectType,
    SequenceGap,
    Session,
    SessionLost,
    ShardAction,
    UndecodableMessageError,
    Unrecognized,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .packing import COMPRESSED, MODES, Mode, Packer, config_of, event, text
from .peer import Peer, ready

BROKEN: dict[str, tuple[type[BrokenStreamError], bytes]] = {
    "zlib": (DecompressionError, encode_frame(FrameOpcode.BINARY, b"\xff" * 20)),
    "frame": (MalformedFrameError, b"\x93\x00"),
    "message": (UndecodableMessageError, text(b"<html>")),
    "dispatch": (UndecodableMessageError, text({"op": 0, "d": {}})),
    "sequence": (UndecodableMessageError, text({"op": 0, "s": 0, "t": "X", "d": {}})),
    "huge sequence": (UndecodableMessageError, text({"op": 0, "s": 2**63, "t": "X", "d": {}})),
}


def sequences(actions: list[ShardAction]) -> list[int]:
    return [action.sequence for action in actions if isinstance(action, Dispatch)]


# F27


@pytest.mark.failure("F27")
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_stream_keeps_the_sequence_closes_4xxx_and_resumes(what: str) -> None:
    kind, data = BROKEN[what]
    peer, packer = Peer(config_of("zlib-stream")).to_connected(), Packer("zlib-stream")
    actions = peer.raw(packer.frame(event(2)) + packer.frame(event(3)) + data + packer.frame(event(4)))
    assert sequences(actions) == [2, 3]
    [notice] = peer.of(Notice, actions)
    assert notice.kind is NoticeKind.STREAM_BROKEN
    assert type(notice.cause) is kind
    [lost] = peer.of(Reconnect, actions)
    assert (lost.type, lost.cause) == (ReconnectType.RESUME, notice.cause)
    assert peer.closes == [4000]
    assert peer.of(SessionLost) == []
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 3
    # The inflater belongs to the connection: a new stream is read from its beginning.
    packer = Packer("zlib-stream")
    assert sequences(peer.raw(packer.frame(event(4)) + packer.frame(event(5, "RESUMED")))) == [4, 5]
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F27")
@pytest.mark.parametrize("mode", ["zlib-stream", "zstd-stream"])
def test_the_end_of_a_stream_is_an_error_too(mode: Mode) -> None:
    peer, packer = Peer(config_of(mode)).to_connected(), Packer(mode)
    assert sequences(peer.raw(packer.frame(event(2)))) == [2]
    [lost] = peer.of(Reconnect, peer.raw(encode_frame(FrameOpcode.BINARY, packer.end())))
    assert isinstance(lost.cause, DecompressionError)
    assert "stream ended" in str(lost.cause)
    assert lost.type is ReconnectType.RESUME


def break_again(peer: Peer, data: bytes, *, last: int) -> list[ShardAction]:
    """On the next connection, after RESUME: the stream breaks."""
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == last
    return peer.raw(data)


@pytest.mark.failure("F27", "F02")
@pytest.mark.parametrize("what", BROKEN)
def test_three_failures_at_one_sequence_reidentify(what: str) -> None:
    _, data = BROKEN[what]
    peer = Peer(config_of("zlib-stream")).to_connected()
    for _ in range(2):
        [lost] = peer.of(Reconnect, peer.raw(data))
        assert lost.type is ReconnectType.RESUME
        peer.resume_again()
    actions = peer.raw(data)
    [lost] = peer.of(Reconnect, actions)
    assert lost.type is ReconnectType.REIDENTIFY
    [gone] = peer.of(SessionLost, actions)
    assert (gone.cause, gone.sequence) == (DiscardCause.POISONED, 1)
    assert peer.shard.snapshot().discards == {DiscardCause.POISONED: 1}
    assert peer.of(Fatal) == []
    peer.resume_again()
    assert peer.of(IdentifyWanted)[-1].generation == peer.generation


@pytest.mark.failure("F27")
def test_failures_of_different_kinds_count_together() -> None:
    peer = Peer(config_of("zlib-stream")).to_connected()
    peer.raw(BROKEN["zlib"][1])
    break_again(peer, BROKEN["frame"][1], last=1)
    assert peer.of(SessionLost) == []
    break_again(peer, BROKEN["message"][1], last=1)
    assert [gone.cause for gone in peer.of(SessionLost)] == [DiscardCause.POISONED]


@pytest.mark.failure("F27")
def test_an_event_between_starts_the_count_anew() -> None:
    peer = Peer(config_of("zlib-stream")).to_connected()
    data = BROKEN["zlib"][1]
    peer.raw(data)
    break_again(peer, data, last=1)
    break_again(peer, text(event(2)) + data, last=1)
    break_again(peer, data, last=2)
    assert peer.of(SessionLost) == []
    break_again(peer, data, last=2)
    assert [(gone.cause, gone.sequence) for gone in peer.of(SessionLost)] == [(DiscardCause.POISONED, 2)]


@pytest.mark.failure("F27")
def test_a_duplicate_between_does_not() -> None:
    peer = Peer(config_of("zlib-stream")).to_connected()
    data = BROKEN["zlib"][1]
    peer.raw(data)
    for _ in range(2):
        break_again(peer, text(event(1)) + data, last=1)
    assert [gone.cause for gone in peer.of(SessionLost)] == [DiscardCause.POISONED]


@pytest.mark.failure("F27", "F02")
def test_what_breaks_before_the_replay_poisons_nothing() -> None:
    peer = Peer(config_of("zlib-stream")).to_connected()
    peer.eof()
    for _ in range(5):
        while peer.shard.stage is not ConnectionStage.CONNECTING:
            peer.advance(1.0)
        peer.to_handshake()
        [lost] = peer.of(Reconnect, peer.raw(BROKEN["zlib"][1]))
        assert lost.type is ReconnectType.RESUME
    assert peer.of(SessionLost) == []


@pytest.mark.failure("F27")
def test_without_a_session_there_is_nothing_to_poison() -> None:
    peer = Peer(config_of("zlib-stream")).to_identifying()
    for _ in range(4):
        [lost] = peer.of(Reconnect, peer.raw(BROKEN["zlib"][1]))
        assert lost.type is ReconnectType.REIDENTIFY
        peer.resume_again()
        peer.permit()
    assert peer.of(SessionLost) == []
    assert peer.of(Fatal) == []


# F28


def conversation(packer: Packer) -> bytes:
    """HELLO to RESUMED-less events, BINARY as the mode says and TEXT between them."""
    hello = {"op": 10, "d": {"heartbeat_interval": 41250}}
    frames = [packer.frame(hello), packer.frame(event(2, d={"x": "é" * 20})), text(event(3)), packer.frame(event(4))]
    return b"".join([*frames, packer.frame({"op": 11}), packer.frame(event(5, "RESUMED"))])


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_every_split_of_the_bytes_in_two(mode: Mode) -> None:
    data = conversation(Packer(mode))
    for split in range(len(data) + 1):
        peer = resuming_before_hello(mode)
        assert sequences(peer.raw(data[:split]) + peer.raw(data[split:])) == [2, 3, 4, 5]
        assert peer.shard.stage is ConnectionStage.CONNECTED
        assert peer.of(Notice) == []


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_small_chunks(mode: Mode, size: int) -> None:
    data = conversation(Packer(mode))
    peer = resuming_before_hello(mode)
    actions = [action for at in range(0, len(data), size) for action in peer.raw(data[at : at + size])]
    assert sequences(actions) == [2, 3, 4, 5]
    assert peer.of(Dispatch, actions)[0].decode() == {"x": "é" * 20}


def resuming_before_hello(mode: Mode) -> Peer:
    peer = Peer(config_of(mode)).to_connected()
    peer.eof()
    peer.advance(0.0)
    return peer.to_handshake()


@pytest.mark.failure("F28")
def test_zlib_messages_over_websocket_messages_at_every_split() -> None:
    packer = Packer("zlib-stream")
    first, second = (packer.pack(msgspec.json.encode(event(sequence))) for sequence in (2, 3))

    def binary(payload: bytes) -> bytes:
        return encode_frame(FrameOpcode.BINARY, payload)

    for split in range(len(first) + 1):
        for later in (0, 1, len(second) - 3, len(second)):
            peer = Peer(config_of("zlib-stream")).to_connected()
            assert sequences(peer.raw(binary(first[:split]))) == ([2] if split == len(first) else [])
            assert sequences(peer.raw(binary(first[split:]))) == ([] if split == len(first) else [2])
            assert sequences(peer.raw(binary(second[:later]) + binary(second[later:]))) == [3]
            assert peer.of(Notice) == []


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_fragments_of_a_websocket_message_at_every_split(mode: Mode) -> None:
    packed = Packer(mode).pack(msgspec.json.encode(event(2)))
    for split in range(len(packed) + 1):
        peer = Peer(config_of(mode)).to_connected()
        head = encode_frame(FrameOpcode.BINARY, packed[:split])
        ping, rest = encode_frame(FrameOpcode.PING, b"p"), encode_frame(FrameOpcode.CONTINUATION, packed[split:])
        assert sequences(peer.raw(bytes([head[0] & 0x7F]) + head[1:] + ping + rest)) == [2]
        assert peer.pongs == [b"p"]


@pytest.mark.failure("F28")
def test_zstd_is_per_message() -> None:
    packed = Packer("zstd-stream").pack(msgspec.json.encode(event(2)))
    for split in range(1, len(packed)):
        peer = Peer(config_of("zstd-stream")).to_connected()
        [lost] = peer.of(Reconnect, peer.raw(encode_frame(FrameOpcode.BINARY, packed[:split])))
        assert isinstance(lost.cause, BrokenStreamError)
        assert lost.type is ReconnectType.RESUME


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", COMPRESSED)
def test_text_is_json_whatever_the_mode_and_binary_never_is(mode: Mode) -> None:
    peer = Peer(config_of(mode)).to_connected()
    assert sequences(peer.raw(text(event(2)))) == [2]
    [lost] = peer.of(Reconnect, peer.raw(encode_frame(FrameOpcode.BINARY, msgspec.json.encode(event(3)))))
    assert isinstance(lost.cause, DecompressionError)


@pytest.mark.failure("F28")
def test_a_text_message_is_never_inflated() -> None:
    peer = Peer(config_of("zlib-stream")).to_connected()
    packed = Packer("zlib-stream").pack(msgspec.json.encode(event(2)))
    [lost] = peer.of(Reconnect, peer.raw(encode_frame(FrameOpcode.TEXT, packed)))
    assert isinstance(lost.cause, MalformedFrameError)


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_hello_may_come_as_text_or_binary(mode: Mode) -> None:
    hello = {"op": 10, "d": {"heartbeat_interval": 41250}}
    for data in (text(hello), Packer(mode).frame(hello)):
        peer = Peer(config_of(mode)).to_handshake()
        assert peer.of(IdentifyWanted, peer.raw(data))


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_a_huge_message_in_small_chunks(mode: Mode) -> None:
    d = {"members": [{"user": {"id": str(number * 7919)}, "nick": None} for number in range(30_000)]}
    peer, data = Peer(config_of(mode)).to_connected(), Packer(mode).frame(event(2, "GUILD_CREATE", d))
    actions = [action for at in range(0, len(data), 1400) for action in peer.raw(data[at : at + 1400])]
    [got] = peer.of(Dispatch, actions)
    assert got.decode() == d


# F30


@pytest.mark.failure("F30")
@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 11\r\n\r\nBad Gateway",
        b"<html><body><h1>502 Bad Gateway</h1></body></html>" + b"\n<!-- a padding for those who hide errors -->" * 3,
        b"\x00\x00\x00\x00",
        b"\x83\x00",
        b"\xc1\x02{}",
        b"\x81\x85mask{}{}{",
        b"\x89\x7e\x00\x7e" + b"p" * 126,
        b"\x09\x00",
        b"\x80\x00",
    ],
)
@pytest.mark.parametrize("bytewise", [True, False])
def test_foreign_bytes_are_a_lost_transport(data: bytes, bytewise: bool) -> None:
    peer = Peer().to_connected()
    chunks = [bytes([byte]) for byte in data] if bytewise else [data]
    actions = [action for chunk in [text(event(2)), *chunks, text(event(3))] for action in peer.raw(chunk)]
    assert sequences(actions) == [2]
    [lost] = peer.of(Reconnect, actions)
    assert (lost.type, type(lost.cause)) == (ReconnectType.RESUME, MalformedFrameError)
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 2


@pytest.mark.failure("F30")
@pytest.mark.parametrize(
    ("response", "status"),
    [
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>error code: 502</html>", 502),
        (b"HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", 403),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", 200),
        (b"<html></html>\n\n", None),
        (b"\x15\x03\x01\x00\x02\x02\x46" + b"\n\n", None),
        (b"x" * 20_000, None),
    ],
)
def test_an_error_body_in_answer_to_the_upgrade(response: bytes, status: int | None) -> None:
    peer = Peer().to_connected()
    peer.eof()
    peer.advance(0.0)
    peer.open()
    [lost] = peer.of(Reconnect, peer.raw(response))
    assert isinstance(lost.cause, InvalidHandshakeError)
    assert lost.cause.status == status
    assert lost.type is ReconnectType.RESUME
    assert peer.raw(response) == []
    peer.resume_again()
    assert len(peer.payloads(6)) == 1


# F31


@pytest.mark.failure("F31")
def test_an_unknown_opcode_is_passed_through_and_counted() -> None:
    peer = Peer().to_connected()
    actions = peer.raw(text(b'{"op":99,"s":7,"t":"NEW","d":{"a": 1}}') + text(event(2)))
    [unknown] = peer.of(Unrecognized, actions)
    assert unknown == Unrecognized(opcode=99, sequence=7, name="NEW", raw=msgspec.Raw(b'{"a": 1}'))
    assert sequences(actions) == [2]
    assert peer.of(SequenceGap) == []
    assert peer.shard.snapshot().unrecognized == 1
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F31")
def test_unknown_events_fields_and_another_order() -> None:
    peer = Peer().to_connected()
    actions = peer.raw(
        text(b'{"d":{"b":2, "a":1},"s":2,"t":"SOMETHING_NEW","op":0}')
        + text(b'{"_trace":["x"],"t":"X","op":0,"more":{"op":7,"s":9},"s":3,"d":[1,2]}')
        + text(b' { "s" : 4 , "op" : 0 , "t" : "X" }')
    )
    assert [(got.sequence, got.name, bytes(got.raw)) for got in peer.of(Dispatch, actions)] == [
        (2, "SOMETHING_NEW", b'{"b":2, "a":1}'),
        (3, "X", b"[1,2]"),
        (4, "X", b"null"),
    ]
    assert len(actions) == 3


ODD = [
    b'{"op":0,"s":2,"t":"X","d":{"content":"\\ud83d"}}',
    b'{"op":0,"s":2,"t":"X","d":{"content":NaN}}',
    b'{"t":"X","d":"\\ude00\\ud83d","s":2,"op":0,"x":Infinity}',
]


@pytest.mark.failure("F31", "F32")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("message", ODD)
def test_an_odd_message_is_delivered_raw_with_a_notice(message: bytes, mode: Mode) -> None:
    peer, packer = Peer(config_of(mode)).to_connected(), Packer(mode)
    actions = peer.raw(packer.frame(message) + packer.frame(event(3)))
    assert [type(action) for action in actions] == [Notice, Dispatch, Dispatch]
    [notice] = peer.of(Notice, actions)
    assert notice.kind is NoticeKind.ODD_MESSAGE
    assert sequences(actions) == [2, 3]
    assert bytes(peer.of(Dispatch, actions)[0].raw) in message
    assert peer.shard.snapshot().received == 3
    assert peer.of(Reconnect) == []


@pytest.mark.failure("F31")
@pytest.mark.parametrize("mode", COMPRESSED)
def test_bytes_that_are_no_utf8_are_odd_where_they_were_compressed(mode: Mode) -> None:
    peer, packer = Peer(config_of(mode)).to_connected(), Packer(mode)
    actions = peer.raw(packer.frame(b'{"op":0,"s":2,"t":"X","d":"\xff\xe9"}'))
    assert [notice.kind for notice in peer.of(Notice, actions)] == [NoticeKind.ODD_MESSAGE]
    [got] = peer.of(Dispatch, actions)
    assert bytes(got.raw) == b'"\xff\xe9"'


@pytest.mark.failure("F31", "F27")
def test_only_what_nobody_can_read_breaks_the_stream() -> None:
    for message in (b'{"op":0,"s":2,"t":"X","d":', b'{"s":2,"t":"X"}', b'{"op":"0","s":2,"t":"X"}', b"[]"):
        peer = Peer().to_connected()
        [lost] = peer.of(Reconnect, peer.raw(text(message)))
        assert isinstance(lost.cause, UndecodableMessageError)


@pytest.mark.failure("F31", "F03")
def test_a_ready_that_is_odd_somewhere_can_still_be_resumed() -> None:
    peer = Peer().to_identifying()
    d: dict[str, Any] = ready("session-1", guilds=(5, 6), user={"username": "ODD"})
    message = msgspec.json.encode(event(1, "READY", d)).replace(b"ODD", b"\\udc00")
    actions = peer.raw(text(message))
    assert [notice.kind for notice in peer.of(Notice, actions)] == [NoticeKind.ODD_MESSAGE]
    peer.deliver()
    session = peer.shard.session
    assert session is not None
    assert (session.id.reveal(), session.application_id) == ("session-1", 42)
    assert Session.from_bytes(session.to_bytes()) == session
    assert peer.shard.snapshot().guilds_awaited == 2
    peer.raw(text(b'{"op":0,"s":2,"t":"GUILD_CREATE","d":{"name":"\\udc00","id":"5"}}'))
    peer.raw(text(b'{"op":0,"s":3,"t":"GUILD_CREATE","d":{"id":"6"}}'))
    assert [settled.missing for settled in peer.of(GuildsSettled)] == [()]
    peer.eof()
    peer.resume_again()
    assert peer.connects[-1].host == "gateway-us-east1-b.discord.gg"
    assert peer.payloads(6) == [{"token": "the.bot.token", "session_id": "session-1", "seq": 3}]


@pytest.mark.failure("F31")
@pytest.mark.parametrize("field", ["session_id", "resume_gateway_url"])
def test_a_ready_whose_own_fields_are_odd_raises_nothing(field: str) -> None:
    peer = Peer().to_identifying()
    message = msgspec.json.encode(event(1, "READY", {**ready(), field: "ODD"})).replace(b"ODD", b"\\udc00")
    peer.raw(text(message))
    peer.deliver()
    assert peer.shard.stage is ConnectionStage.CONNECTED
    session = peer.shard.session
    assert session is not None
    session.to_bytes()
    peer.eof()
    peer.resume_again()
    assert len(peer.payloads(6)) == (field != "session_id")
