"""F16, F17, F18, F26: how connections are closed, by either side, and what a close code means."""

import random
from collections.abc import Callable

import pytest

from gateway_proto import (
    BrokenStreamError,
    ClosedError,
    CommandOutcome,
    Connect,
    ConnectionStage,
    DialTimeoutError,
    DisallowedIntentsError,
    DiscardCause,
    Disconnect,
    Fatal,
    FatalClosedError,
    GatewayError,
    IdentifyWanted,
    InvalidApiVersionError,
    InvalidAuthenticationError,
    InvalidIntentsError,
    InvalidShardDataError,
    Limits,
    OverloadedShardError,
    Reconnect,
    ReconnectType,
    Session,
    SessionLost,
    Shard,
    UpdateVoiceState,
)
from gateway_proto.actions import CommandEnded
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .packing import Packer, config_of, event
from .peer import INTERVAL, Peer, config

FATAL: dict[int, tuple[type[GatewayError], str]] = {
    4004: (InvalidAuthenticationError, "copy a fresh one"),
    4010: (InvalidShardDataError, "0 <= id < total"),
    4011: (OverloadedShardError, "must use more shards"),
    4012: (InvalidApiVersionError, "set api_version"),
    4013: (InvalidIntentsError, "take out the bits that are no gateway intents"),
    4014: (DisallowedIntentsError, "developer portal"),
}
WHERE: dict[str, Callable[[Peer], Peer]] = {
    "handshake": Peer.to_handshake,
    "identifying": Peer.to_identifying,
    "resuming": Peer.to_resuming,
    "connected": Peer.to_connected,
}


# F16


@pytest.mark.failure("F16")
@pytest.mark.parametrize("code", FATAL)
@pytest.mark.parametrize("where", WHERE)
def test_a_fatal_code_ends_the_shard(code: int, where: str) -> None:
    peer = WHERE[where](Peer())
    peer.call(peer.shard.send, UpdateVoiceState(guild_id=1, channel_id=None))
    reconnects = len(peer.of(Reconnect))
    actions = peer.close(code, "Discord's words")
    kind, advice = FATAL[code]
    [fatal] = peer.of(Fatal, actions)
    assert type(fatal.cause) is kind
    assert isinstance(fatal.cause, FatalClosedError)
    assert fatal.cause.code == code
    assert advice in str(fatal.cause)
    assert "(Discord's words)" in str(fatal.cause)
    assert actions[-1] == fatal
    assert peer.shard.stage is ConnectionStage.DISCONNECTED
    assert peer.shard.next_timeout() is None
    assert len(peer.of(Reconnect)) == reconnects
    snapshot = peer.shard.snapshot()
    assert (snapshot.is_shutdown, snapshot.should_reconnect) == (True, False)
    dials = len(peer.connects)
    peer.advance(10_000.0)
    assert len(peer.connects) == dials


@pytest.mark.failure("F16", "F02")
@pytest.mark.parametrize("code", FATAL)
def test_a_fatal_code_leaves_the_session_to_be_stored(code: int) -> None:
    peer = Peer().to_connected()
    peer.close(code)
    session = peer.shard.session_snapshot()
    assert session is not None
    assert session.sequence == 1
    assert peer.of(SessionLost) == []


@pytest.mark.failure("F16", "F37")
def test_what_waits_ends_with_the_shard() -> None:
    peer = Peer().to_identifying()
    command = UpdateVoiceState(guild_id=1, channel_id=None)
    peer.call(peer.shard.send, command)
    [ended] = peer.of(CommandEnded, peer.close(4004))
    assert (ended.command, ended.outcome) == (command, CommandOutcome.DROPPED)
    assert ended.reason == "the shard ended: InvalidAuthenticationError"


@pytest.mark.failure("F16")
@pytest.mark.parametrize("reason", [b"\xff", b"\xc3", b"ok \xed\xa0\x80", b"\x80" * 123])
def test_the_code_is_read_before_the_reason_is_judged(reason: bytes) -> None:
    peer = Peer().to_identifying()
    [fatal] = peer.of(Fatal, peer.raw(encode_frame(FrameOpcode.CLOSE, (4014).to_bytes(2) + reason)))
    assert isinstance(fatal.cause, DisallowedIntentsError)
    assert fatal.cause.reason == reason.decode(errors="replace")


@pytest.mark.failure("F16")
def test_the_code_is_read_byte_by_byte_too() -> None:
    peer = Peer().to_identifying()
    frame = encode_frame(FrameOpcode.CLOSE, (4013).to_bytes(2) + b"\xff")
    for at in range(len(frame)):
        assert peer.of(Fatal) == []
        peer.raw(frame[at : at + 1])
    [fatal] = peer.of(Fatal)
    assert isinstance(fatal.cause, InvalidIntentsError)


@pytest.mark.failure("F16")
@pytest.mark.parametrize("code", [4010, 4011])
def test_the_recommended_shard_count_is_named(code: int) -> None:
    peer = Peer(config(shard=(0, 2), recommended_shards=32)).to_identifying()
    [fatal] = peer.of(Fatal, peer.close(code))
    assert "Discord recommends 32 shards" in str(fatal.cause)
    peer = Peer(config(shard=(0, 2))).to_identifying()
    [fatal] = peer.of(Fatal, peer.close(code))
    assert "ask GET /gateway/bot" in str(fatal.cause)


@pytest.mark.failure("F16")
def test_events_before_the_close_come_first() -> None:
    peer = Peer().to_connected()
    frames = Packer("none").frame(event(2)) + encode_frame(FrameOpcode.CLOSE, close_payload(4014))
    names = [type(action).__name__ for action in peer.raw(frames + Packer("none").frame(event(3)))]
    assert names == ["Dispatch", "Disconnect", "StageChanged", "Fatal"]


# F17


@pytest.mark.failure("F17")
@pytest.mark.parametrize("where", ["resuming", "connected"])
@pytest.mark.parametrize(
    "code",
    [
        *(1000, 1001, 1002, 1003, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012, 1014, 1015, 3000, 3999),
        *(4000, 4001, 4002, 4003, 4005, 4006, 4008, 4015, 4017, 4900, 4999, 0, 999, 5000, 65535),
    ],
)
def test_any_other_code_gets_a_resume_first(code: int, where: str) -> None:
    peer = WHERE[where](Peer())
    actions = peer.raw(encode_frame(FrameOpcode.CLOSE, code.to_bytes(2) + b"why"))
    [lost] = peer.of(Reconnect, actions)
    assert lost.type is ReconnectType.RESUME
    assert isinstance(lost.cause, ClosedError)
    assert lost.cause.code == code
    assert peer.of(SessionLost) == []
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 1
    assert peer.payloads(2) == peer.payloads(2)[:1]


@pytest.mark.failure("F17")
@pytest.mark.parametrize("payload", [b"", b"\x0f"])
def test_a_close_frame_without_a_code(payload: bytes) -> None:
    peer = Peer().to_connected()
    [lost] = peer.of(Reconnect, peer.raw(encode_frame(FrameOpcode.CLOSE, payload)))
    assert lost.type is ReconnectType.RESUME
    assert isinstance(lost.cause, BrokenStreamError if payload else ClosedError)


@pytest.mark.failure("F17", "F02")
@pytest.mark.parametrize("code", [4007, 4009])
@pytest.mark.parametrize("where", ["resuming", "connected"])
def test_a_session_that_is_gone_is_identified_anew(code: int, where: str) -> None:
    peer = WHERE[where](Peer())
    actions = peer.close(code)
    [gone] = peer.of(SessionLost, actions)
    assert (gone.cause, gone.sequence) == (DiscardCause.CLOSE_CODE, 1)
    [lost] = peer.of(Reconnect, actions)
    assert lost.type is ReconnectType.REIDENTIFY
    assert peer.shard.snapshot().discards == {DiscardCause.CLOSE_CODE: 1}
    peer.resume_again()
    assert peer.of(IdentifyWanted)[-1].generation == peer.generation
    assert peer.connects[-1].host == "gateway.discord.gg"


def zombie(peer: Peer) -> None:
    peer.advance(3 * INTERVAL)


def bad_frame(peer: Peer) -> None:
    peer.raw(b"\xff\xff")


def too_large(peer: Peer) -> None:
    peer.raw(b"\x82\x7f" + (2**40).to_bytes(8))


def not_utf8(peer: Peer) -> None:
    peer.raw(encode_frame(FrameOpcode.TEXT, b"\xff"))


def broken_zlib(peer: Peer) -> None:
    peer.raw(encode_frame(FrameOpcode.BINARY, b"\xff" * 20))


def not_json(peer: Peer) -> None:
    peer.raw(encode_frame(FrameOpcode.TEXT, b"<html>"))


def silent(peer: Peer) -> None:
    """No answer to a RESUME, though beats are acknowledged."""
    for _ in range(8):
        peer.advance(INTERVAL / 4)
        peer.ack()


ENDINGS: dict[str, tuple[str, Callable[[Peer], object]]] = {
    "op 7": ("connected", lambda peer: peer.say({"op": 7})),
    "op 7 first": ("handshake", lambda peer: peer.say({"op": 7})),
    "op 9 true": ("connected", lambda peer: peer.say({"op": 9, "d": True})),
    "op 9 false": ("connected", lambda peer: peer.say({"op": 9, "d": False})),
    "op 9 to IDENTIFY": ("identifying", lambda peer: peer.say({"op": 9, "d": False})),
    "no HELLO": ("handshake", lambda peer: peer.advance(15.0)),
    "dispatch before HELLO": ("handshake", lambda peer: peer.dispatch(1)),
    "no RESUMED": ("resuming", silent),
    "zombie": ("connected", zombie),
    "bad frame": ("connected", bad_frame),
    "too large": ("connected", too_large),
    "not UTF-8": ("connected", not_utf8),
    "broken zlib": ("connected", broken_zlib),
    "not JSON": ("connected", not_json),
    "EOF": ("connected", lambda peer: peer.eof()),
    "closed with 1000": ("connected", lambda peer: peer.close(1000)),
    "closed with 1002": ("connected", lambda peer: peer.close(1002)),
    "closed with 1009": ("resuming", lambda peer: peer.close(1009)),
    "closed with 4004": ("connected", lambda peer: peer.close(4004)),
    "closed with 4009": ("connected", lambda peer: peer.close(4009)),
    "reconnect": ("connected", lambda peer: peer.call(peer.shard.reconnect)),
    "resume": ("connected", lambda peer: peer.call(peer.shard.resume)),
    "close": ("connected", lambda peer: peer.call(peer.shard.close)),
    "close in handshake": ("handshake", lambda peer: peer.call(peer.shard.close)),
}


@pytest.mark.failure("F17", "F26")
@pytest.mark.parametrize("ending", ENDINGS)
def test_toward_discord_we_close_with_4xxx_and_wait_two_seconds(ending: str) -> None:
    where, end = ENDINGS[ending]
    peer = WHERE[where](Peer(config_of("zlib-stream")))
    generation, closes, disconnects = peer.generation, len(peer.closes), len(peer.of(Disconnect))
    end(peer)
    [code] = peer.closes[closes:]
    assert code is not None
    assert 4000 <= code < 5000
    disconnect = peer.of(Disconnect)[disconnects]
    assert (disconnect.code, disconnect.grace, disconnect.generation) == (code, 2.0, generation)
    assert disconnect.farewell


# F18


@pytest.mark.failure("F18")
@pytest.mark.parametrize("where", ["connected", "resuming"])
def test_closing_keeps_the_session_for_a_later_process(where: str) -> None:
    peer = WHERE[where](Peer())
    actions = peer.call(peer.shard.close)
    assert peer.closes[-1] == 4000
    assert peer.of(SessionLost) == []
    assert peer.of(Reconnect, actions) == []
    assert peer.shard.stage is ConnectionStage.DISCONNECTED
    assert peer.shard.next_timeout() is None
    session = peer.shard.session_snapshot(wall=1.5)
    assert session is not None
    heir = Peer(session=Session.from_bytes(session.to_bytes())).to_handshake()
    heir.hello()
    assert heir.payloads(6) == [{"token": "the.bot.token", "session_id": "session-1", "seq": 1}]
    assert heir.payloads(2) == []


@pytest.mark.failure("F18")
def test_the_same_shard_can_come_back_too() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.close, resumable=True)
    peer.to_handshake()
    peer.hello()
    assert len(peer.payloads(6)) == 1
    assert not peer.shard.snapshot().is_shutdown


@pytest.mark.failure("F18", "F02")
@pytest.mark.parametrize("where", ["connected", "resuming"])
def test_logging_out_ends_the_session_with_1000(where: str) -> None:
    peer = WHERE[where](Peer())
    actions = peer.call(peer.shard.close, resumable=False)
    assert peer.closes[-1] == 1000
    [gone] = peer.of(SessionLost, actions)
    assert gone.cause is DiscardCause.LOGOUT
    assert peer.shard.session is None
    assert peer.shard.snapshot().discards == {DiscardCause.LOGOUT: 1}
    assert peer.shard.next_timeout() is None
    peer.to_handshake()
    assert peer.of(IdentifyWanted, peer.hello())


@pytest.mark.failure("F18")
def test_logging_out_between_two_connections() -> None:
    peer = Peer().to_connected()
    peer.say({"op": 9, "d": True})
    actions = peer.call(peer.shard.close, resumable=False)
    assert peer.of(Disconnect, actions) == []
    assert [gone.cause for gone in peer.of(SessionLost, actions)] == [DiscardCause.LOGOUT]
    peer.advance(1000.0)
    assert len(peer.connects) == 1


@pytest.mark.failure("F18", "F37")
@pytest.mark.parametrize("resumable", [True, False])
def test_closing_drops_what_waits(resumable: bool) -> None:
    peer = Peer().to_identifying()
    command = UpdateVoiceState(guild_id=1, channel_id=None)
    peer.call(peer.shard.send, command)
    actions = peer.call(peer.shard.close, resumable=resumable)
    assert peer.of(CommandEnded, actions) == [
        CommandEnded(command=command, outcome=CommandOutcome.DROPPED, reason="the shard was closed")
    ]
    [late] = peer.of(CommandEnded, peer.call(peer.shard.send, command))
    assert late.outcome is CommandOutcome.DROPPED
    assert len(peer.sent) == 1


# F26


@pytest.mark.failure("F26")
def test_the_next_generation_does_not_wait_for_the_old_one() -> None:
    peer = Peer().to_connected()
    old = peer.generation
    kinds = [type(action) for action in peer.say({"op": 7}) + peer.advance(0.0)]
    assert kinds.index(Disconnect) < kinds.index(Connect)
    assert peer.generation == old + 1
    assert peer.now == 1000.0
    # The old socket may dawdle: nothing that it yields matters any more.
    assert peer.shard.receive_data(old, Packer("none").frame(event(2)), peer.now) == []
    assert peer.shard.receive_eof(old, peer.now) == []
    assert peer.shard.stage is ConnectionStage.CONNECTING


@pytest.mark.failure("F26")
def test_the_grace_is_a_setting() -> None:
    peer = Peer(config(limits=Limits(close_grace=0.5))).to_connected()
    peer.call(peer.shard.close)
    assert peer.of(Disconnect)[-1].grace == 0.5
    assert Limits().close_grace == 2.0


@pytest.mark.failure("F26")
def test_the_farewell_is_the_close_frame_and_all_of_it() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.close)
    farewell = peer.of(Disconnect)[-1].farewell
    assert len(farewell) == 2 + 4 + 2
    assert farewell[:2] == b"\x88\x82"
    assert peer.shard.data_to_send(peer.now) == b""


@pytest.mark.failure("F26")
@pytest.mark.parametrize("how", ["close", "timeout"])
def test_a_dial_is_cancelled(how: str) -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    actions = peer.call(peer.shard.close) if how == "close" else peer.advance(10.0)
    [disconnect] = peer.of(Disconnect, actions)
    assert (disconnect.generation, disconnect.farewell) == (1, b"")
    if how == "timeout":
        assert [lost.cause for lost in peer.of(Reconnect, actions)] == [DialTimeoutError(10.0)]
    else:
        assert peer.shard.next_timeout() is None


@pytest.mark.failure("F26")
def test_a_dial_that_failed_has_nothing_to_cancel() -> None:
    shard = Shard(config(), rng=random.Random(1))
    shard.connect(0.0)
    actions = shard.connection_failed(1, OSError("refused"), 0.0)
    assert not any(isinstance(action, Disconnect) for action in actions)


@pytest.mark.failure("F26")
def test_closing_twice_closes_once() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.close)
    assert peer.call(peer.shard.close) == []
    assert peer.closes == [4000]
