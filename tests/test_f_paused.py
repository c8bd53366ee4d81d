"""F33, the shard's side: while nobody reads the socket, silence proves nothing and beats go on."""

import pytest

from gateway_proto import (
    ConnectionStage,
    DialTimeoutError,
    ExpectedHelloError,
    GuildsSettled,
    HeartbeatFailedError,
    Notice,
    NoticeKind,
    Reconnect,
    ResumeTimeoutError,
)

from .packing import event, text
from .peer import INTERVAL, Peer

pytestmark = pytest.mark.failure("F33")


def pause(peer: Peer) -> None:
    assert peer.call(peer.shard.reading_paused, peer.generation) == []


def resume(peer: Peer) -> None:
    assert peer.call(peer.shard.reading_resumed, peer.generation) == []


def cause(peer: Peer) -> object:
    return peer.of(Reconnect)[-1].cause


def test_it_is_seen() -> None:
    peer = Peer().to_connected()
    assert not peer.shard.snapshot().reading_paused
    pause(peer)
    pause(peer)
    assert peer.shard.snapshot().reading_paused
    resume(peer)
    resume(peer)
    assert not peer.shard.snapshot().reading_paused


@pytest.mark.failure("F07", "F08")
def test_beats_go_on_and_no_zombie_is_found() -> None:
    peer = Peer().to_connected()
    pause(peer)
    peer.advance(10.0 * INTERVAL)
    assert len(peer.payloads(1)) == 10
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert peer.of(Reconnect) == []


@pytest.mark.failure("F07", "F08")
def test_judging_starts_anew_afterwards() -> None:
    peer = Peer().to_connected()
    pause(peer)
    peer.advance(10.0 * INTERVAL)
    resume(peer)
    beats = len(peer.payloads(1))
    peer.advance(INTERVAL)
    assert len(peer.payloads(1)) == beats + 1
    assert peer.of(Reconnect) == []
    peer.advance(INTERVAL)
    assert isinstance(cause(peer), HeartbeatFailedError)


@pytest.mark.failure("F22", "F33")
def test_a_ready_that_lies_unread_is_not_slow() -> None:
    peer = Peer().to_identifying()
    peer.call(peer.shard.reading_paused, peer.generation)  # that the permit was used is told in passing
    peer.advance(400.0)
    resume(peer)
    for _ in range(13):
        peer.advance(23.0)
        peer.ack()
    assert NoticeKind.READY_SLOW not in [notice.kind for notice in peer.of(Notice)]
    peer.advance(2.0)
    assert NoticeKind.READY_SLOW in [notice.kind for notice in peer.of(Notice)]


@pytest.mark.failure("F25", "F33")
def test_guilds_that_lie_unread_are_not_missing() -> None:
    peer = Peer().to_connected(guilds=(1, 2))
    peer.advance(10.0)
    pause(peer)
    peer.advance(400.0)
    assert peer.of(GuildsSettled) == []
    resume(peer)
    peer.advance(14.0)
    assert peer.of(GuildsSettled) == []
    peer.advance(2.0)
    [settled] = peer.of(GuildsSettled)
    assert settled.missing == (1, 2)


@pytest.mark.failure("F12")
def test_a_probe_is_not_judged_either() -> None:
    peer = Peer().to_connected()
    peer.advance(INTERVAL)
    peer.ack()
    peer.jump(5.0 * INTERVAL)
    pause(peer)
    peer.advance(15.0)
    assert peer.of(Reconnect) == []
    resume(peer)
    peer.advance(9.0)
    assert peer.of(Reconnect) == []
    peer.advance(1.5)
    assert isinstance(cause(peer), HeartbeatFailedError)


@pytest.mark.failure("F22")
def test_hello_is_waited_for_anew() -> None:
    peer = Peer().to_handshake()
    peer.advance(10.0)
    pause(peer)
    peer.advance(100.0)
    assert peer.of(Reconnect) == []
    resume(peer)
    peer.advance(14.9)
    assert peer.of(Reconnect) == []
    peer.advance(0.1)
    assert isinstance(cause(peer), ExpectedHelloError)


@pytest.mark.failure("F22")
def test_resumed_is_waited_for_anew() -> None:
    peer = Peer().to_resuming()
    peer.advance(30.0)
    pause(peer)
    peer.advance(400.0)
    assert peer.of(Reconnect)[1:] == []
    resume(peer)
    for _ in range(5):
        peer.advance(11.9)
        peer.ack()
    assert peer.of(Reconnect)[1:] == []
    peer.advance(1.0)
    assert cause(peer) == ResumeTimeoutError(60.0)


def test_the_upgrade_is_waited_for_anew() -> None:
    peer = Peer()
    peer.open()
    pause(peer)
    peer.advance(100.0)
    assert peer.of(Reconnect) == []
    resume(peer)
    peer.advance(9.9)
    assert peer.of(Reconnect) == []
    peer.advance(0.1)
    assert cause(peer) == DialTimeoutError(10.0)


def test_what_was_read_before_the_pause_counts_as_life() -> None:
    peer = Peer().to_connected()
    pause(peer)
    peer.advance(5.0 * INTERVAL)
    resume(peer)
    assert len(peer.raw(text(event(2)))) == 1
    for _ in range(20):
        peer.advance(INTERVAL / 2)
        peer.ack()
    assert len(peer.of(Reconnect)) == 0


@pytest.mark.failure("F14")
def test_a_pause_dies_with_its_connection() -> None:
    peer = Peer().to_connected()
    old = peer.generation
    pause(peer)
    peer.eof()
    peer.advance(0.0)
    assert not peer.shard.snapshot().reading_paused
    peer.to_handshake()
    peer.call(peer.shard.reading_paused, old)
    assert not peer.shard.snapshot().reading_paused
    peer.advance(15.0)
    assert isinstance(cause(peer), ExpectedHelloError)


def test_commands_go_out_while_nobody_reads() -> None:
    peer = Peer().to_connected()
    pause(peer)
    peer.call(peer.shard.chunk_guilds, [1])
    assert len(peer.payloads(8)) == 1
