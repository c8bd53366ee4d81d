"""Whatever an old socket still yields is ignored (F14)."""

import random
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    Connect,
    ConnectionStage,
    Disconnect,
    Dispatch,
    IdentifyWanted,
    Limits,
    LocalProtocolError,
    Notice,
    PermitReturned,
    Reconnect,
    Shard,
    ShardAction,
)
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .peer import INTERVAL, Peer, config, ready

pytestmark = pytest.mark.failure("F14")

FRAMES: dict[str, dict[str, Any]] = {
    "a dispatch": {"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {}},
    "READY": {"op": 0, "t": "READY", "s": 1, "d": ready("session-9")},
    "RESUMED": {"op": 0, "t": "RESUMED", "s": 2, "d": {}},
    "an ACK": {"op": 11},
    "op 1": {"op": 1},
    "HELLO": {"op": 10, "d": {"heartbeat_interval": 5000}},
    "op 7": {"op": 7},
    "op 9": {"op": 9, "d": False},
}
BYTES: dict[str, bytes] = {
    **{name: encode_frame(FrameOpcode.TEXT, msgspec.json.encode(frame)) for name, frame in FRAMES.items()},
    "a PING": encode_frame(FrameOpcode.PING, b"x"),
    "a fatal close": encode_frame(FrameOpcode.CLOSE, close_payload(4004)),
    "a broken frame": b"\xff" * 16,
    "half a frame": b"\x81\x05ab",
    "a refused upgrade": b"HTTP/1.1 503 No\r\n\r\n",
}
INPUTS: dict[str, Callable[[Shard, int, float], list[ShardAction]]] = {
    "connection_made": lambda shard, old, now: shard.connection_made(old, now),
    "connection_made, unframed": lambda shard, old, now: shard.connection_made(old, now, framed=False),
    "connection_failed": lambda shard, old, now: shard.connection_failed(old, "late", now),
    "receive_eof": lambda shard, old, now: shard.receive_eof(old, now),
    "receive_message": lambda shard, old, now: shard.receive_message(old, '{"op":7}', now),
    "receive_close": lambda shard, old, now: shard.receive_close(old, 4004, "", now),
    "reading_paused": lambda shard, old, now: shard.reading_paused(old, now),
    "reading_resumed": lambda shard, old, now: shard.reading_resumed(old, now),
}


def receive(data: bytes) -> Callable[[Shard, int, float], list[ShardAction]]:
    return lambda shard, old, now: shard.receive_data(old, data, now)


INPUTS |= {f"receive_data: {name}": receive(data) for name, data in BYTES.items()}


def waiting() -> Peer:
    """Dropped once, with a second at least to go until the next dial."""
    peer = Peer().to_connected()
    peer.say({"op": 9, "d": True})
    return peer


def connecting() -> Peer:
    peer = waiting()
    peer.redial()
    return peer


def identifying() -> Peer:
    peer = Peer().to_connected()
    peer.close(4009)
    peer.redial()
    return peer.to_identifying()


def connected() -> Peer:
    peer = Peer().to_resuming()
    peer.dispatch(2, "RESUMED")
    return peer


STAGES: dict[ConnectionStage, Callable[[], Peer]] = {
    ConnectionStage.DISCONNECTED: waiting,
    ConnectionStage.CONNECTING: connecting,
    ConnectionStage.HANDSHAKE: lambda: connecting().to_handshake(),
    ConnectionStage.IDENTIFYING: identifying,
    ConnectionStage.RESUMING: lambda: Peer().to_resuming(),
    ConnectionStage.CONNECTED: connected,
}


def settled(peer: Peer) -> Peer:
    """What the last drain caused was told: the next input returns its own actions only."""
    peer.advance(0.0)
    assert peer.shard.data_to_send(peer.now) == b""
    return peer


@pytest.mark.parametrize("stage", STAGES, ids=str)
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_of_another_generation_changes_nothing(stage: ConnectionStage, name: str) -> None:
    peer = settled(STAGES[stage]())
    assert peer.shard.stage is stage
    current = 1 if stage is ConnectionStage.DISCONNECTED else 2
    assert peer.generation == current
    before, due = peer.shard.snapshot(), peer.shard.next_timeout()
    # An older one, the one that has just ended, and those that never were.
    for generation in {0, 1, 2, 3, -1} - ({current} if stage is not ConnectionStage.DISCONNECTED else set()):
        assert INPUTS[name](peer.shard, generation, peer.now) == []
        assert peer.shard.data_to_send(peer.now) == b""
        assert peer.shard.messages_to_send(peer.now) == []
    assert peer.shard.snapshot() == before
    assert peer.shard.next_timeout() == due


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage is not ConnectionStage.DISCONNECTED], ids=str)
def test_the_current_connection_goes_on_as_if_nothing_had_been(stage: ConnectionStage) -> None:
    quiet, disturbed = settled(STAGES[stage]()), settled(STAGES[stage]())
    for disturb in INPUTS.values():
        disturb(disturbed.shard, 1, disturbed.now)
    logs = []
    for peer in (quiet, disturbed):
        peer.log.clear()
        if stage is ConnectionStage.CONNECTING:
            peer.to_handshake()
        if stage in (ConnectionStage.CONNECTING, ConnectionStage.HANDSHAKE):
            peer.hello()
        if stage is ConnectionStage.IDENTIFYING:
            peer.dispatch(1, "READY", ready("session-2"))
        elif stage is not ConnectionStage.CONNECTED:
            peer.dispatch(2, "RESUMED")
        peer.dispatch(3)
        peer.advance(INTERVAL)
        peer.ack()
        peer.advance(INTERVAL)
        assert peer.shard.stage is ConnectionStage.CONNECTED
        logs.append((peer.log, peer.sent, peer.shard.snapshot()))
    assert logs[0] == logs[1]


def test_each_dial_has_a_generation_of_its_own_and_ends_tell_it() -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    for _ in range(50):
        peer.do(peer.shard.connection_failed(peer.generation, "no", peer.now))
        peer.redial()
    assert [connect.generation for connect in peer.of(Connect)] == list(range(1, 52))
    peer.to_handshake()
    peer.eof()
    assert [gone.generation for gone in peer.of(Disconnect)] == [51]


def test_a_permit_of_an_old_connection_is_handed_back() -> None:
    peer = Peer().to_handshake()
    peer.hello()
    old = peer.of(IdentifyWanted)[0].permit(7)
    peer.eof()
    assert peer.call(peer.shard.identify, old) == [PermitReturned(permit=old)]
    peer.redial()
    peer.to_handshake()
    assert peer.call(peer.shard.identify, old) == [PermitReturned(permit=old)]
    peer.hello()
    assert peer.call(peer.shard.identify, old) == [PermitReturned(permit=old)]
    assert peer.payloads(2) == []
    peer.permit()
    assert len(peer.payloads(2)) == 1
    # Nor is one permit good for two.
    again = peer.of(IdentifyWanted)[-1].permit()
    assert peer.call(peer.shard.identify, again)[-1] == PermitReturned(permit=again)
    assert len(peer.payloads(2)) == 1


def test_what_was_delivered_of_an_old_session_is_not_of_the_new_one() -> None:
    peer = Peer().to_connected()
    for sequence in range(2, 10):
        peer.dispatch(sequence)
    peer.say({"op": 9, "d": False})
    peer.shard.delivered(1, 9)
    peer.redial()
    peer.to_identifying()
    peer.dispatch(1, "READY", ready("session-2"))
    peer.shard.delivered(1, 9)
    assert peer.shard.snapshot().delivered == 0
    assert peer.shard.session is None
    with pytest.raises(LocalProtocolError):
        peer.shard.delivered(2, 9)
    peer.shard.delivered(2, 1)
    assert peer.shard.snapshot().delivered == 1


# -- timers and leftovers --------------------------------------------------------------------------------------


def test_the_timer_of_an_old_dial_hits_no_new_one() -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    peer.advance(9.0)
    peer.do(peer.shard.connection_failed(1, "no", peer.now))
    peer.call(peer.shard.connect)
    peer.advance(9.999)
    assert len(peer.of(Reconnect)) == 1
    assert peer.generation == 2
    peer.advance(0.001)
    assert len(peer.of(Reconnect)) == 2


def test_the_wait_for_an_old_hello_hits_no_new_connection() -> None:
    peer = Peer().to_handshake()
    peer.advance(14.0)
    peer.eof()
    peer.call(peer.shard.connect)
    peer.advance(5.0)
    peer.to_handshake()
    peer.advance(14.999)
    assert len(peer.of(Reconnect)) == 1


def test_the_wait_for_an_old_resume_hits_no_new_one() -> None:
    peer = Peer().to_resuming()
    peer.advance(INTERVAL)
    peer.ack()
    peer.advance(18.0)
    peer.eof()
    peer.call(peer.shard.connect)
    peer.to_handshake().hello()
    peer.dispatch(2, "RESUMED")
    for _ in range(30):
        peer.advance(5.0)
        peer.ack()
    assert len(peer.of(Reconnect)) == 2
    assert peer.shard.stage is ConnectionStage.CONNECTED


def test_an_old_heart_neither_beats_nor_judges() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    assert due is not None
    peer.advance(due - peer.now)  # one beat, never acknowledged
    assert len(peer.payloads(1)) == 1
    peer.advance(INTERVAL - 1.0)
    peer.eof()
    peer.call(peer.shard.connect)
    peer.to_handshake()
    snapshot = peer.shard.snapshot()
    assert (snapshot.last_heartbeat_sent, snapshot.last_heartbeat_ack, snapshot.latency) == (None, None, None)
    assert snapshot.last_heartbeat_acknowledged
    peer.advance(14.0)  # past the time of the old verdict, before HELLO
    assert len(peer.payloads(1)) == 1
    peer.hello()
    peer.dispatch(2, "RESUMED")
    assert len(peer.of(Reconnect)) == 1
    assert not peer.of(Notice)


def test_a_beat_and_a_resume_that_were_not_drained_die_with_their_connection() -> None:
    peer = Peer().to_connected()
    peer.log += peer.shard.receive_data(peer.generation, BYTES["op 1"], peer.now)
    peer.eof()
    assert peer.payloads(1) == []
    peer.redial()
    peer.to_handshake()
    peer.log += peer.shard.receive_data(peer.generation, BYTES["HELLO"], peer.now)  # the RESUME is queued
    peer.eof()
    assert peer.payloads(6) == []
    peer.redial()
    peer.to_handshake()
    assert peer.payloads(1) == []
    assert peer.payloads(6) == []
    peer.hello()
    assert len(peer.payloads(6)) == 1


def test_half_a_frame_of_the_old_socket_spoils_nothing_of_the_new() -> None:
    peer = Peer().to_connected()
    peer.raw(BYTES["half a frame"])
    peer.eof()
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    assert [event.sequence for event in peer.of(Dispatch)] == [1, 2]


@pytest.mark.failure("F29")
def test_what_a_call_left_over_dies_with_its_connection() -> None:
    peer = Peer(config(limits=Limits(call_budget=10))).to_connected()
    frame = {"op": 0, "t": "MESSAGE_CREATE", "d": {"content": "x" * 50}}
    binary = [encode_frame(FrameOpcode.BINARY, msgspec.json.encode({**frame, "s": s})) for s in range(2, 8)]
    peer.log += peer.shard.receive_data(peer.generation, b"".join(binary), peer.now)
    assert [event.sequence for event in peer.of(Dispatch)] == [1, 2]
    peer.call(peer.shard.reconnect)
    peer.resume_again()
    assert [event.sequence for event in peer.of(Dispatch)] == [1, 2]
    assert peer.payloads(6)[-1]["seq"] == 2
    for sequence in range(3, 8):
        peer.dispatch(sequence)
    assert [event.sequence for event in peer.of(Dispatch)] == list(range(1, 8))
    assert peer.shard.snapshot().duplicates == 0


def test_an_old_reconnect_timer_dials_no_second_time() -> None:
    peer = waiting()
    peer.call(peer.shard.connect)  # at once, instead of waiting
    peer.to_handshake().hello()
    peer.dispatch(2, "RESUMED")
    for _ in range(20):
        peer.advance(5.0)
        peer.ack()
    assert peer.generation == 2


def test_after_the_end_nothing_comes_back() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.close)
    peer.log.clear()
    for send in INPUTS.values():
        assert send(peer.shard, 1, peer.now) == []
    assert peer.advance(100_000.0) == []
    assert peer.shard.next_timeout() is None


# -- an embedder whose framework has the WebSocket -------------------------------------------------------------


def unframed() -> tuple[Shard, int]:
    """Connected by whole messages, on the second generation."""
    shard = Shard(config(), rng=random.Random(1))
    shard.connect(0.0)
    shard.connection_made(1, 0.0, framed=False)
    shard.receive_close(1, 4000, "", 0.0)
    shard.connect(0.0)
    shard.connection_made(2, 0.0, framed=False)
    shard.receive_message(2, '{"op":10,"d":{"heartbeat_interval":41250}}', 0.0)
    shard.identify(IdentifyWanted(generation=2, shard=None).permit(), 0.0)
    assert len(shard.messages_to_send(0.0)) == 1
    shard.receive_message(2, msgspec.json.encode(FRAMES["READY"]).decode(), 0.0)
    assert shard.stage is ConnectionStage.CONNECTED
    return shard, 2


@pytest.mark.parametrize("name", INPUTS)
def test_whole_messages_and_closes_of_an_old_generation_are_ignored_too(name: str) -> None:
    shard, generation = unframed()
    before = shard.snapshot()
    assert INPUTS[name](shard, generation - 1, 0.0) == []
    assert shard.messages_to_send(0.0) == []
    assert shard.snapshot() == before
    [event] = shard.receive_message(generation, msgspec.json.encode(FRAMES["a dispatch"]).decode(), 0.0)
    assert isinstance(event, Dispatch)
