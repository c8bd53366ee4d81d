"""The road for an embedder whose framework has a WebSocket: whole messages in and out, no byte framed here."""

import json
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    Disconnect,
    Dispatch,
    Fatal,
    IdentifyWanted,
    InvalidAuthenticationError,
    Limits,
    LocalProtocolError,
    MalformedFrameError,
    MessageTooLargeError,
    Notice,
    RawCommand,
    Reconnect,
    ReconnectType,
    SessionLost,
    ShardAction,
    ShardConfig,
    UndecodableMessageError,
)

from .packing import COMPRESSED, MODES, Mode, Packer, config_of, event
from .peer import INTERVAL, Peer, config, ready


class Framework(Peer):
    """A peer behind somebody else's WebSocket: it never sees a frame."""

    def __init__(self, shard_config: ShardConfig | None = None, **kwargs: Any) -> None:
        super().__init__(shard_config, **kwargs)
        self.closed_with: list[int] = []

    def do(self, actions: list[ShardAction]) -> list[ShardAction]:
        self.log += actions
        for action in actions:
            if type(action).__name__ == "Connect":
                self.connects.append(action)  # type: ignore[arg-type]  # told by its name just before
                self.generation = self.connects[-1].generation
            elif isinstance(action, Disconnect):
                assert action.farewell == b""
                self.closed_with.append(action.code)
        self.pump()
        return actions

    def pump(self) -> None:
        assert self.shard.data_to_send(self.now) == b""
        self.sent += [json.loads(message) for message in self.shard.messages_to_send(self.now)]

    def open(self) -> list[ShardAction]:
        if self.shard.stage is ConnectionStage.DISCONNECTED:
            self.call(self.shard.connect)
        return self.do(self.shard.connection_made(self.generation, self.now, framed=False))

    def upgrade(self) -> list[ShardAction]:
        return []

    def say(self, *payloads: dict[str, Any]) -> list[ShardAction]:
        actions: list[ShardAction] = []
        for payload in payloads:
            actions += self.message(msgspec.json.encode(payload).decode())
        return actions

    def message(self, message: str | bytes) -> list[ShardAction]:
        return self.do(self.shard.receive_message(self.generation, message, self.now))

    def close(self, code: int | None, reason: str = "") -> list[ShardAction]:
        return self.do(self.shard.receive_close(self.generation, code, reason, self.now))


def test_end_to_end() -> None:
    peer = Framework().to_handshake()
    assert peer.connects[0].url.reveal() == "wss://gateway.discord.gg/?v=10&encoding=json"
    assert peer.of(IdentifyWanted, peer.hello())
    peer.permit()
    peer.dispatch(1, "READY", ready())
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.call(peer.shard.send, RawCommand.of(31, {"guild_ids": ["1"]}))
    assert [payload["op"] for payload in peer.sent] == [2, 31]
    peer.deliver()
    peer.advance(INTERVAL)
    assert peer.payloads(1) == [1]
    peer.ack()
    [got] = peer.of(Dispatch, peer.dispatch(2, d={"a": 1}))
    assert got.decode() == {"a": 1}
    [lost] = peer.of(Reconnect, peer.eof())
    assert (lost.type, lost.after, lost.cause) == (ReconnectType.RESUME, 0.0, ClosedError())
    peer.resume_again()
    assert peer.connects[1].url.reveal() == "wss://gateway-us-east1-b.discord.gg/?v=10&encoding=json"
    assert peer.payloads(6) == [{"token": "the.bot.token", "session_id": "session-1", "seq": 2}]
    peer.dispatch(3, "RESUMED")
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.call(peer.shard.close)
    assert peer.closed_with[-1] == 4000


def test_hello_is_due_at_once_since_the_upgrade_is_done() -> None:
    peer = Framework()
    peer.open()
    assert peer.shard.stage is ConnectionStage.HANDSHAKE
    assert peer.shard.next_timeout() == peer.now + 15.0
    peer.advance(15.0)
    [lost] = peer.of(Reconnect)
    assert "no HELLO within 15 s" in str(lost.cause)


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_text_is_json_and_binary_what_the_mode_says(mode: Mode) -> None:
    peer, packer = Framework(config_of(mode)).to_connected(), Packer(mode)
    messages = [peer.message(packer.pack(msgspec.json.encode(event(sequence)))) for sequence in (2, 3)]
    messages.append(peer.dispatch(4))
    assert [action.sequence for actions in messages for action in peer.of(Dispatch, actions)] == [2, 3, 4]


@pytest.mark.failure("F28")
def test_a_zlib_message_over_several_messages() -> None:
    peer = Framework(config_of("zlib-stream")).to_connected()
    packed = Packer("zlib-stream").pack(msgspec.json.encode(event(2)))
    for at in range(len(packed) - 1):
        assert peer.message(packed[at : at + 1]) == []
    assert [action.sequence for action in peer.of(Dispatch, peer.message(packed[-1:]))] == [2]


@pytest.mark.failure("F16")
def test_a_fatal_close() -> None:
    peer = Framework().to_identifying()
    [fatal] = peer.of(Fatal, peer.close(4004, "Authentication failed."))
    assert fatal.cause == InvalidAuthenticationError(4004, "Authentication failed.")
    assert peer.shard.next_timeout() is None


@pytest.mark.failure("F17")
@pytest.mark.parametrize("code", [None, 1000, 1001, 1006, 4000, 4008, 4999])
def test_any_other_close_resumes(code: int | None) -> None:
    peer = Framework().to_connected()
    [lost] = peer.of(Reconnect, peer.close(code))
    assert lost.type is ReconnectType.RESUME
    assert isinstance(lost.cause, ClosedError)
    assert lost.cause.code == code
    assert peer.closed_with == [4000]


def test_a_logout_asks_for_1000() -> None:
    peer = Framework().to_connected()
    peer.call(peer.shard.close, resumable=False)
    assert peer.closed_with == [1000]
    assert peer.of(SessionLost)


@pytest.mark.failure("F29")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", [True, False])
def test_the_limit_of_a_message(mode: Mode, text: bool) -> None:
    limits = Limits(max_message=500, max_compressed_message=300)
    limit, setting = (300, "max_compressed_message") if mode.endswith("-stream") else (500, "max_message")
    peer = Framework(config_of(mode, limits=limits)).to_handshake()
    peer.hello()
    peer.permit()
    peer.dispatch(1, "READY", {"session_id": "s"})
    fits = msgspec.json.encode(event(2, d="")).decode()
    fits = fits.replace('""', '"' + "x" * (limit - len(fits)) + '"')
    assert len(fits) == limit
    assert [action.sequence for action in peer.of(Dispatch, peer.message(fits))] == [2]
    over = fits + " " if text else (fits + " ").encode()
    [notice] = peer.of(Notice, peer.message(over))
    assert notice.cause == MessageTooLargeError(limit, compressed=mode.endswith("-stream"))
    assert f"Limits.{setting} " in notice.detail
    assert peer.closed_with == [4000]


@pytest.mark.failure("F29")
def test_the_limit_is_of_bytes_not_of_characters() -> None:
    peer = Framework(config(limits=Limits(max_message=400))).to_handshake()
    assert peer.of(Reconnect, peer.message('{"op":11,"d":"' + "€" * 130 + '"}'))


@pytest.mark.failure("F30")
def test_a_str_that_no_wire_could_carry() -> None:
    peer = Framework().to_connected()
    [lost] = peer.of(Reconnect, peer.message('{"op":0,"t":"X","s":2,"d":"\ud800"}'))
    assert (lost.type, type(lost.cause)) == (ReconnectType.RESUME, MalformedFrameError)
    assert peer.of(Dispatch)[-1].sequence == 1


@pytest.mark.failure("F27")
@pytest.mark.parametrize("mode", COMPRESSED)
@pytest.mark.parametrize("message", ["", "{", b"\xff\xff\xff"])
def test_what_cannot_be_read_resumes(mode: Mode, message: str | bytes) -> None:
    peer = Framework(config_of(mode)).to_connected()
    [lost] = peer.of(Reconnect, peer.message(message))
    assert lost.type is ReconnectType.RESUME
    assert isinstance(lost.cause, UndecodableMessageError) == isinstance(message, str)


def test_nothing_is_read_after_the_close() -> None:
    peer = Framework().to_connected()
    generation = peer.generation
    peer.close(4000)
    assert peer.shard.receive_message(generation, '{"op":11}', peer.now) == []
    assert peer.shard.receive_close(generation, 4004, "", peer.now) == []
    assert peer.shard.receive_eof(generation, peer.now) == []


def test_the_wrong_road_is_a_misuse_that_changes_nothing() -> None:
    peer = Peer().to_connected()
    with pytest.raises(LocalProtocolError, match="receive_data"):
        peer.shard.receive_message(peer.generation, "{}", peer.now)
    with pytest.raises(LocalProtocolError, match="receive_data"):
        peer.shard.receive_close(peer.generation, 4004, "", peer.now)
    assert peer.shard.messages_to_send(peer.now) == []
    assert [action.sequence for action in peer.of(Dispatch, peer.dispatch(2))] == [2]


def test_bytes_given_to_an_unframed_connection_are_not_its_own() -> None:
    peer = Framework().to_connected()
    assert peer.raw(b"\x88\x02\x0f\xa4") == []
    assert peer.shard.stage is ConnectionStage.CONNECTED


def test_before_the_socket_is_open_nothing_is_read() -> None:
    peer = Framework()
    peer.call(peer.shard.connect)
    assert peer.message('{"op":10,"d":{"heartbeat_interval":41250}}') == []
    assert peer.close(4004) == []
    assert peer.shard.messages_to_send(peer.now) == []
    assert peer.shard.stage is ConnectionStage.CONNECTING
