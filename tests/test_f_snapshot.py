"""F25: a supervisor sees everything, nothing latches, and guilds settle."""

from typing import Any

import pytest

from gateway_proto import (
    ConnectionStage,
    CurrentPresence,
    Dispatch,
    GuildsSettled,
    HeartbeatSent,
    Limits,
    OnlineStatus,
    ReconnectType,
    ShardSnapshot,
    UpdateVoiceState,
)

from .packing import Packer, config_of, event, text
from .peer import INTERVAL, Peer, config

pytestmark = pytest.mark.failure("F25")


def test_before_anything_was_done() -> None:
    snapshot = Peer(config(shard=(1, 4))).shard.snapshot()
    assert snapshot.stage is ConnectionStage.DISCONNECTED
    assert snapshot.shard_info == (1, 4)
    assert (snapshot.started, snapshot.is_shutdown, snapshot.should_reconnect) == (False, False, False)
    assert snapshot.reconnection_type is ReconnectType.REIDENTIFY
    assert (snapshot.generation, snapshot.epoch, snapshot.received, snapshot.delivered) == (0, 0, 0, 0)
    assert snapshot.session is None
    assert snapshot.current_presence == CurrentPresence()
    nothing = (snapshot.heartbeat_interval, snapshot.last_heartbeat_sent, snapshot.last_heartbeat_ack)
    assert nothing == (None, None, None)
    assert (snapshot.latency, snapshot.frame_age, snapshot.ack_age, snapshot.ready_age) == (None, None, None, None)
    assert snapshot.last_heartbeat_acknowledged
    assert (snapshot.bytes_in, snapshot.bytes_out, snapshot.buffered_bytes) == (0, 0, 0)


def test_instants_ages_and_latency() -> None:
    peer = Peer().to_connected()
    ready_at = peer.now
    peer.advance(INTERVAL)
    [sent_at] = [action.at for action in peer.of(HeartbeatSent)]
    assert not peer.shard.snapshot().last_heartbeat_acknowledged
    acked_at = peer.now + 0.25
    peer.now = acked_at
    peer.ack()
    peer.now += 3.0
    peer.dispatch(2)
    peer.now += 2.0
    peer.call(peer.shard.handle_timeout)
    snapshot = peer.shard.snapshot()
    assert snapshot.now == peer.now
    assert snapshot.heartbeat_interval == INTERVAL
    assert snapshot.last_heartbeat_sent == sent_at
    assert snapshot.last_heartbeat_ack == acked_at
    assert snapshot.last_heartbeat_acknowledged
    assert snapshot.latency == pytest.approx(acked_at - sent_at)
    assert peer.shard.latency == snapshot.latency
    assert snapshot.ack_age == pytest.approx(5.0)
    assert snapshot.frame_age == pytest.approx(2.0)
    assert snapshot.ready_age == pytest.approx(peer.now - ready_at)


def test_lag() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    assert due is not None
    peer.now = due + 4.0
    peer.call(peer.shard.handle_timeout)
    assert peer.shard.snapshot().lag == pytest.approx(4.0)


def test_nothing_latches() -> None:
    peer = Peer().to_connected()
    assert peer.shard.snapshot().stage is ConnectionStage.CONNECTED
    peer.eof()
    snapshot = peer.shard.snapshot()
    assert snapshot.stage is ConnectionStage.DISCONNECTED
    assert snapshot.reconnection_type is ReconnectType.RESUME
    assert snapshot.should_reconnect
    assert (snapshot.heartbeat_interval, snapshot.latency, snapshot.frame_age) == (None, None, None)
    peer.call(peer.shard.close)
    assert not peer.shard.snapshot().should_reconnect
    assert not peer.shard.snapshot().started


def test_identifies_of_the_last_24_hours() -> None:
    peer = Peer()
    for hour in range(3):
        peer.to_connected(session_id=f"s-{hour}")
        assert peer.shard.snapshot().identifies_24h == hour + 1
        peer.call(peer.shard.close, resumable=False)
        peer.advance(3600.0)
        peer.call(peer.shard.handle_timeout)
    peer.advance(21.0 * 3600.0 - 1.0)
    peer.call(peer.shard.handle_timeout)
    assert peer.shard.snapshot().identifies_24h == 3
    peer.advance(1.0)
    peer.call(peer.shard.handle_timeout)
    assert peer.shard.snapshot().identifies_24h == 2


def test_resumes_tried_and_won_and_reconnects() -> None:
    peer = Peer().to_resuming()
    assert (peer.shard.snapshot().resumes_tried, peer.shard.snapshot().resumes_won) == (1, 0)
    peer.eof()
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    snapshot = peer.shard.snapshot()
    assert (snapshot.resumes_tried, snapshot.resumes_won, snapshot.reconnects) == (2, 1, 2)


def test_bytes_in_and_out_over_connections() -> None:
    peer = Peer()
    shard = peer.shard
    received = sent = 0
    for _ in range(2):
        peer.open()
        sent = len(peer.request) + sent
        answer = peer.upgrade_response()
        for data in (answer, text({"op": 10, "d": {"heartbeat_interval": 41250}})):
            peer.do(shard.receive_data(peer.generation, data, peer.now))
            received += len(data)
        assert shard.snapshot().bytes_in == received
        assert shard.snapshot().bytes_out == sent
        peer.call(shard.close)
        sent += 8
        assert shard.snapshot().bytes_out == sent
    assert shard.snapshot().bytes_in == received


def test_bytes_out_counts_payloads() -> None:
    peer = Peer().to_handshake()
    before = peer.shard.snapshot().bytes_out
    peer.shard.receive_data(peer.generation, text({"op": 10, "d": {"heartbeat_interval": 41250}}), peer.now)
    peer.shard.heartbeat(peer.now)
    data = peer.shard.data_to_send(peer.now)
    assert len(data) > 10
    assert peer.shard.snapshot().bytes_out == before + len(data)


def test_buffered_bytes_on_the_wire_and_inflated() -> None:
    frame = text(event(2, d="x" * 500))
    peer = Peer().to_connected()
    peer.raw(frame[:300])
    assert peer.shard.snapshot().buffered_bytes == 300
    peer.raw(frame[300:])
    assert peer.shard.snapshot().buffered_bytes == 0
    peer = Peer(config_of("zlib-stream")).to_connected()
    packed = Packer("zlib-stream", level=0).pack(b'{"op":11,"d":"' + b"x" * 500 + b'"}')
    peer.raw(b"\x82\x7e" + (len(packed) - 10).to_bytes(2) + packed[:-10])
    assert 450 < peer.shard.snapshot().buffered_bytes <= 516
    peer.eof()
    assert peer.shard.snapshot().buffered_bytes == 0


def test_presence_queue_and_sequences() -> None:
    peer = Peer().to_identifying()
    peer.call(peer.shard.set_status, OnlineStatus.DND)
    peer.call(peer.shard.send, UpdateVoiceState(guild_id=1, channel_id=None))
    snapshot = peer.shard.snapshot()
    assert snapshot.queued_commands == 2
    assert snapshot.current_presence.status is OnlineStatus.DND
    peer.dispatch(5, "READY", {"session_id": "s"})
    peer.raw(text(event(6)) + text(event(8)) + text(event(8)) + text({"op": 50}))
    peer.shard.delivered(1, 6)
    snapshot = peer.shard.snapshot()
    assert (snapshot.received, snapshot.delivered, snapshot.epoch, snapshot.generation) == (8, 6, 1, 1)
    assert (snapshot.duplicates, snapshot.gaps, snapshot.unrecognized, snapshot.queued_commands) == (1, 1, 1, 0)
    assert snapshot.session == peer.shard.session


def test_a_snapshot_is_a_value_and_taking_it_changes_nothing() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    first = peer.shard.snapshot()
    assert first == peer.shard.snapshot()
    assert isinstance(first, ShardSnapshot)
    assert peer.shard.next_timeout() == due
    with pytest.raises(AttributeError):
        first.received = 7  # type: ignore[misc]  # that it is refused is the test


# Guilds


def settled(peer: Peer) -> list[tuple[int, ...]]:
    return [action.missing for action in peer.of(GuildsSettled)]


def guild(peer: Peer, sequence: int, name: str, guild_id: int, **fields: Any) -> None:
    peer.dispatch(sequence, name, {"id": str(guild_id), **fields})


def test_guilds_settle_once_each_came() -> None:
    peer = Peer().to_connected(guilds=(5, 6, 7))
    assert peer.shard.snapshot().guilds_awaited == 3
    guild(peer, 2, "GUILD_CREATE", 6)
    guild(peer, 3, "GUILD_DELETE", 7, unavailable=True)
    guild(peer, 4, "GUILD_CREATE", 99)
    guild(peer, 5, "GUILD_CREATE", 6)
    assert peer.shard.snapshot().guilds_awaited == 1
    assert settled(peer) == []
    actions = peer.dispatch(6, "GUILD_CREATE", {"id": "5", "members": []})
    assert [type(action) for action in actions] == [Dispatch, GuildsSettled]
    assert settled(peer) == [()]
    assert peer.shard.snapshot().guilds_awaited == 0
    guild(peer, 7, "GUILD_CREATE", 5)
    assert len(settled(peer)) == 1


def test_without_guilds_they_are_settled_at_once() -> None:
    peer = Peer().to_connected()
    assert settled(peer) == [()]


def test_or_after_fifteen_seconds_without_one() -> None:
    peer = Peer().to_connected(guilds=(5, 6, 7))
    peer.advance(14.0)
    guild(peer, 2, "GUILD_CREATE", 6)
    peer.advance(14.9)
    peer.dispatch(3)
    guild(peer, 4, "GUILD_CREATE", 6)
    assert settled(peer) == []
    peer.advance(0.1)
    assert settled(peer) == [(5, 7)]
    assert peer.shard.snapshot().guilds_awaited == 0
    guild(peer, 5, "GUILD_CREATE", 5)
    peer.advance(100.0)
    assert settled(peer) == [(5, 7)]


def test_the_patience_is_a_setting() -> None:
    peer = Peer(config(limits=Limits(guilds_settled=2.0))).to_connected(guilds=(5,))
    peer.advance(2.0)
    assert settled(peer) == [(5,)]


@pytest.mark.parametrize("comes", [True, False])
def test_a_resume_goes_on_waiting(comes: bool) -> None:
    peer = Peer().to_connected(guilds=(5, 6))
    guild(peer, 2, "GUILD_CREATE", 5)
    peer.eof()
    peer.advance(0.0)
    peer.advance(9.0)
    peer.to_handshake()
    peer.hello()
    peer.advance(14.0)
    assert settled(peer) == []
    peer.dispatch(3, "RESUMED")
    peer.advance(14.0)
    assert settled(peer) == []
    if comes:
        guild(peer, 4, "GUILD_CREATE", 6)
    else:
        peer.advance(1.0)
    assert settled(peer) == [() if comes else (6,)]


def test_guilds_that_come_in_the_replay_count() -> None:
    peer = Peer().to_connected(guilds=(5, 6))
    peer.eof()
    peer.resume_again()
    guild(peer, 2, "GUILD_CREATE", 5)
    guild(peer, 3, "GUILD_CREATE", 6)
    assert settled(peer) == [()]


def test_a_new_session_awaits_its_own() -> None:
    peer = Peer().to_connected(guilds=(5, 6))
    peer.say({"op": 9, "d": False})
    assert peer.shard.snapshot().guilds_awaited == 0
    peer.resume_again()
    peer.permit()
    peer.dispatch(1, "READY", {"session_id": "s-2", "guilds": [{"id": "8"}, {"id": 9}, {"id": None}, None, 3]})
    assert peer.shard.snapshot().guilds_awaited == 2
    guild(peer, 2, "GUILD_CREATE", 8)
    guild(peer, 3, "GUILD_CREATE", 9)
    assert [(action.epoch, action.missing) for action in peer.of(GuildsSettled)] == [(2, ())]
