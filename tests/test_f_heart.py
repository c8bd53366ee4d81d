"""Dead sockets are dropped, live ones are not, and a process that stood still makes no storm (F07–F09, F12, F13)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway_proto import (
    ConnectionStage,
    Disconnect,
    Dispatch,
    HeartbeatFailedError,
    HeartbeatSent,
    Limits,
    Notice,
    NoticeKind,
    Reconnect,
    ReconnectType,
    ShardAction,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import INTERVAL, Peer, config

Say = Callable[[Peer], Any]


def beats(peer: Peer, actions: list[ShardAction] | None = None) -> list[float]:
    """When each heartbeat was drained. `HeartbeatSent` comes with the input after the drain."""
    return [action.at for action in peer.of(HeartbeatSent, actions)]


def kinds(peer: Peer, actions: list[ShardAction] | None = None) -> list[NoticeKind]:
    return [notice.kind for notice in peer.of(Notice, actions)]


def to_beat(peer: Peer) -> Peer:
    """Go on to the next heartbeat and send it."""
    sent = len(peer.payloads(1))
    while len(peer.payloads(1)) == sent:
        due = peer.shard.next_timeout()
        assert due is not None
        assert peer.now <= due <= peer.now + INTERVAL
        peer.advance(due - peer.now)
    return peer


def lost(peer: Peer, kind: ReconnectType) -> None:
    """The connection was dropped once, as a zombie, and the next one is on its way."""
    [reconnect] = peer.of(Reconnect)
    assert isinstance(reconnect.cause, HeartbeatFailedError)
    assert reconnect.type is kind
    [gone] = peer.of(Disconnect)
    assert (gone.code, gone.grace, peer.closes) == (4000, 2.0, [4000])
    assert gone.farewell


# -- F07 -------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F07")
def test_a_half_open_socket_is_dropped_at_the_next_beat_and_resumed() -> None:
    peer = to_beat(Peer().to_connected())
    peer.advance(INTERVAL - 0.001)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.advance(0.002)
    lost(peer, ReconnectType.RESUME)
    assert len(peer.payloads(1)) == 1  # nothing more is written into it
    peer.redial()
    peer.to_handshake().hello()
    assert len(peer.payloads(6)) == 1


@pytest.mark.failure("F07")
def test_acknowledged_beats_keep_a_silent_connection_for_ever() -> None:
    peer = Peer().to_connected()
    for _ in range(100):
        to_beat(peer)
        peer.advance(0.1)
        peer.ack()
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert peer.shard.latency == pytest.approx(0.1)
    assert not peer.of(Notice)
    assert not peer.of(Reconnect)


@pytest.mark.failure("F07")
def test_an_ack_of_long_ago_is_no_ack_of_this_beat() -> None:
    peer = to_beat(Peer().to_connected())
    peer.ack()
    to_beat(peer)
    peer.advance(INTERVAL)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F07")
def test_while_waiting_for_a_permit_too() -> None:
    peer = Peer().to_handshake()
    peer.hello()
    to_beat(peer)
    peer.advance(INTERVAL)
    lost(peer, ReconnectType.REIDENTIFY)


@pytest.mark.failure("F07")
def test_identifying_a_missing_ack_warns_until_three_intervals() -> None:
    peer = to_beat(Peer().to_identifying())
    for count in (1, 2):
        to_beat(peer)
        assert kinds(peer) == [NoticeKind.ACK_MISSING] * count
    peer.advance(INTERVAL - 0.001)
    assert peer.shard.stage is ConnectionStage.IDENTIFYING
    peer.advance(0.002)
    lost(peer, ReconnectType.REIDENTIFY)


@pytest.mark.failure("F07")
def test_resuming_a_missing_ack_warns_until_three_intervals() -> None:
    interval = 12.0  # three of them come before RESUME's own minute (F22)
    peer = Peer().to_connected()
    peer.eof()
    peer.redial()
    peer.to_handshake().hello(interval)
    peer.log.clear()
    peer.closes.clear()
    to_beat(peer)
    first = peer.now
    for count in (1, 2):
        to_beat(peer)
        assert kinds(peer) == [NoticeKind.ACK_MISSING] * count
        assert peer.now == pytest.approx(first + count * interval)
    peer.advance(interval - 0.001)
    assert peer.shard.stage is ConnectionStage.RESUMING
    peer.advance(0.002)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F07", "F10")
@pytest.mark.parametrize("before", [0.001, 0.9, 20.0])
def test_an_answer_to_op_1_just_ahead_of_a_beat_is_not_held_against_the_socket(before: float) -> None:
    peer = Peer().to_connected()
    to_beat(peer)
    peer.ack()
    peer.advance(INTERVAL - before)
    peer.say({"op": 1})
    assert len(peer.payloads(1)) == 2
    # Its ACK takes longer than the beat that follows is away.
    peer.advance(before + 0.05)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.ack()
    peer.advance(INTERVAL - 1.0)
    assert not peer.of(Reconnect)


# -- F08 -------------------------------------------------------------------------------------------------------

SIGNS: dict[str, Say] = {
    "a dispatch": lambda peer: peer.dispatch(2),
    "a PING": lambda peer: peer.raw(encode_frame(FrameOpcode.PING, b"")),
    "a PONG": lambda peer: peer.raw(encode_frame(FrameOpcode.PONG, b"")),
    "an unknown opcode": lambda peer: peer.say({"op": 99}),
    "one byte of a header": lambda peer: peer.raw(b"\x81"),
    "a part of a message": lambda peer: peer.raw(encode_frame(FrameOpcode.TEXT, b" " * 5_000_000)[:1000]),
}


@pytest.mark.failure("F08")
@pytest.mark.parametrize("sign", SIGNS.values(), ids=SIGNS.keys())
def test_any_bytes_are_a_sign_of_life(sign: Say) -> None:
    peer = to_beat(Peer().to_connected())
    peer.advance(0.001)
    sign(peer)
    first = peer.now
    to_beat(peer)
    assert peer.now == pytest.approx(first - 0.001 + INTERVAL)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert kinds(peer) == [NoticeKind.ACK_MISSING]
    assert len(peer.payloads(1)) == 2
    assert not peer.shard.snapshot().last_heartbeat_acknowledged


@pytest.mark.failure("F07", "F08")
def test_no_bytes_are_no_sign() -> None:
    peer = to_beat(Peer().to_connected())
    peer.advance(1.0)
    peer.raw(b"")
    peer.advance(INTERVAL)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F07", "F08")
def test_life_before_the_last_beat_says_nothing_of_what_is_behind_it() -> None:
    peer = to_beat(Peer().to_connected())
    peer.advance(1.0)
    peer.dispatch(2)
    to_beat(peer)
    peer.advance(INTERVAL)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F08")
def test_an_ack_behind_megabytes_costs_nothing() -> None:
    peer = to_beat(Peer().to_connected())
    guild = encode_frame(FrameOpcode.TEXT, b'{"op":0,"t":"GUILD_CREATE","s":2,"d":{}}' + b" " * 3_000_000)
    ack = encode_frame(FrameOpcode.TEXT, b'{"op":11}')
    for part in chunks(guild + ack, 40_000):
        peer.advance(1.2)  # 90 s for all of it
        peer.raw(part)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert kinds(peer) == [NoticeKind.ACK_MISSING, NoticeKind.ACK_MISSING]
    assert [event.sequence for event in peer.of(Dispatch)] == [1, 2]
    assert peer.shard.snapshot().last_heartbeat_acknowledged
    to_beat(peer)
    assert len(kinds(peer)) == 2


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.failure("F08")
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("slip", [0.0, 0.01])
def test_traffic_without_an_ack_is_borne_for_three_intervals(seed: int, slip: float) -> None:
    peer = Peer(seed=seed).to_connected()
    due = peer.shard.next_timeout()
    assert due is not None
    peer.advance(due - peer.now - 0.001)
    peer.jump(0.001 + slip)  # a timer is never handled at the very instant; the cap must not hang on that
    assert len(peer.payloads(1)) == 1
    sequence = 2
    while peer.now < due + 3 * INTERVAL - 1.0:
        peer.advance(0.5)
        peer.dispatch(sequence)
        sequence += 1
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert kinds(peer) == [NoticeKind.ACK_MISSING, NoticeKind.ACK_MISSING]
    peer.advance(1.0)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F08")
def test_an_ack_gives_three_intervals_again() -> None:
    peer = Peer().to_connected()
    sequence = 2
    for number in range(12):
        to_beat(peer)
        peer.advance(1.0)
        if number % 3 == 2:
            peer.ack()
        else:
            peer.dispatch(sequence)
            sequence += 1
    assert not peer.of(Reconnect)


# -- F09 -------------------------------------------------------------------------------------------------------


def late(peer: Peer, seconds: float) -> list[ShardAction]:
    """The loop is blocked from just before the next beat until `seconds` after its time."""
    due = peer.shard.next_timeout()
    assert due is not None
    peer.advance(due - peer.now - 0.5)
    return peer.jump(0.5 + seconds)


@pytest.mark.failure("F09")
@pytest.mark.parametrize(("seconds", "told"), [(0.0, False), (0.9, False), (1.1, True), (7.5, True), (20.0, True)])
def test_lateness_is_measured_and_reported(seconds: float, told: bool) -> None:
    peer = to_beat(Peer().to_connected())
    peer.ack()
    actions = late(peer, seconds)
    notices = peer.of(Notice, actions)
    assert [notice.kind for notice in notices] == [NoticeKind.HEARTBEAT_LATE] * told
    assert [notice.lag for notice in notices] == [pytest.approx(seconds)] * told
    assert all(f"{seconds:.1f} s" in notice.detail for notice in notices)
    assert peer.shard.snapshot().lag == pytest.approx(seconds)
    # It is sent all the same, and the schedule stays.
    assert len(peer.payloads(1)) == 2
    peer.ack()
    peer.advance(INTERVAL - seconds + 0.001)
    assert len(peer.payloads(1)) == 3
    assert peer.shard.snapshot().lag == pytest.approx(0.0, abs=0.01)


@pytest.mark.failure("F09")
def test_from_when_it_is_told_can_be_set() -> None:
    peer = to_beat(Peer(config(limits=Limits(lag_notice=0.25))).to_connected())
    peer.ack()
    assert kinds(peer, late(peer, 0.2)) == []
    peer.ack()
    assert kinds(peer, late(peer, 0.3)) == [NoticeKind.HEARTBEAT_LATE]


@pytest.mark.failure("F09", "F33")
def test_reading_does_not_wait_for_handling_nor_do_beats_for_reading() -> None:
    peer = Peer().to_connected()
    # Nothing of this is ever said to be delivered: it is read and handed out all the same.
    for sequence in range(2, 500):
        peer.dispatch(sequence)
    assert len(peer.of(Dispatch)) == 499
    # The sink is full and the socket is not read, for an hour: beats go on, in time, and the shard stays.
    peer.do(peer.shard.reading_paused(peer.generation, peer.now))
    start = peer.now
    peer.advance(3600.0)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert not peer.of(Notice)
    sent = beats(peer)
    assert len(sent) >= 87
    for number, at in enumerate(sent):
        assert at == pytest.approx(sent[0] + number * INTERVAL)
    assert sent[0] - start <= INTERVAL
    # And what they say is what was delivered.
    assert set(peer.payloads(1)) == {1}


# -- F12 -------------------------------------------------------------------------------------------------------

JUMPS = [0.51 * INTERVAL, 2 * INTERVAL, 1000 * INTERVAL, 1e9]


def jumped(seconds: float) -> tuple[Peer, list[ShardAction]]:
    """A healthy connection, and a process that stands still until `seconds` after the time of a beat."""
    peer = to_beat(Peer().to_connected())
    peer.advance(0.1)
    peer.ack()
    peer.log.clear()
    peer.sent.clear()
    return peer, late(peer, seconds)


@pytest.mark.failure("F12")
@pytest.mark.parametrize("seconds", JUMPS)
def test_a_gap_is_one_probe_and_ten_seconds_and_then_a_resume(seconds: float) -> None:
    peer, actions = jumped(seconds)
    [notice] = peer.of(Notice, actions)
    assert notice.kind is NoticeKind.CLOCK_JUMP
    assert notice.lag == pytest.approx(seconds)
    assert not peer.of(Reconnect)
    assert [payload["op"] for payload in peer.sent] == [1]
    peer.advance(9.999)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert [payload["op"] for payload in peer.sent] == [1]
    peer.advance(0.002)
    lost(peer, ReconnectType.RESUME)
    assert [payload["op"] for payload in peer.sent] == [1]


@pytest.mark.failure("F12")
def test_less_than_one_and_a_half_intervals_is_only_late() -> None:
    peer, actions = jumped(0.49 * INTERVAL)
    assert kinds(peer, actions) == [NoticeKind.HEARTBEAT_LATE]
    peer.advance(15.0)
    assert not peer.of(Reconnect)


@pytest.mark.failure("F12")
@pytest.mark.parametrize("sign", [*SIGNS.values(), Peer.ack], ids=[*SIGNS.keys(), "an ACK"])
def test_any_answer_to_the_probe_keeps_the_connection(sign: Say) -> None:
    peer, _ = jumped(50 * INTERVAL)
    peer.advance(9.9)
    sign(peer)
    probe = peer.now - 9.9
    peer.advance(INTERVAL - 9.9 - 0.001)
    assert [payload["op"] for payload in peer.sent] == [1]
    peer.advance(0.002)
    assert [payload["op"] for payload in peer.sent] == [1, 1]
    assert beats(peer, [*peer.log, *peer.call(peer.shard.handle_timeout)])[-1] == pytest.approx(probe + INTERVAL)
    assert not peer.of(Reconnect)


@pytest.mark.failure("F12")
def test_what_was_waiting_in_the_socket_is_no_answer_to_a_probe_that_comes_after_it() -> None:
    peer = to_beat(Peer().to_connected())
    peer.ack()
    peer.log.clear()
    peer.now += 500.0
    peer.dispatch(2)  # the driver reads before it looks at its timers
    peer.advance(0.0)
    assert kinds(peer) == [NoticeKind.CLOCK_JUMP]
    peer.advance(10.0)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F12")
def test_jump_after_jump_makes_no_burst() -> None:
    peer, _ = jumped(300.0)
    for number in range(2, 30):
        peer.ack()
        late(peer, 300.0)
        assert len(peer.payloads(1)) == number
    assert not peer.of(Reconnect)
    assert set(kinds(peer)) == {NoticeKind.CLOCK_JUMP}


@pytest.mark.failure("F12")
@pytest.mark.parametrize("interval", [5.0, 8.0])
def test_the_ten_seconds_hold_where_the_interval_is_shorter(interval: float) -> None:
    peer = Peer().to_handshake()
    peer.hello(interval)
    peer.permit()
    peer.dispatch(1, "READY", {"session_id": "s", "guilds": []})
    peer.log.clear()
    peer.jump(100.0)
    assert kinds(peer) == [NoticeKind.CLOCK_JUMP]
    peer.advance(9.999)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.advance(0.002)
    lost(peer, ReconnectType.RESUME)


@pytest.mark.failure("F12")
def test_a_clock_that_steps_back_stands_still() -> None:
    peer = to_beat(Peer().to_connected())
    peer.ack()
    due, sent = peer.shard.next_timeout(), len(peer.sent)
    assert due is not None
    now, peer.now = peer.now, peer.now - 900.0
    assert not peer.of(Reconnect, peer.call(peer.shard.handle_timeout))
    peer.dispatch(2)
    assert peer.shard.next_timeout() == due
    assert peer.shard.snapshot().now == now
    assert len(peer.sent) == sent
    peer.now = now
    to_beat(peer)
    assert peer.now == due
    assert not peer.of(Notice)


# -- F13 -------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F13")
def test_shards_that_start_together_do_not_beat_together() -> None:
    parts = []
    for seed in range(400):
        peer = Peer(seed=seed).to_connected()
        start = peer.now
        to_beat(peer)
        parts.append((peer.now - start) / INTERVAL)
    assert all(0.0 <= part < 1.0 for part in parts)
    quarters = [sum(quarter <= 4 * part < quarter + 1 for part in parts) for quarter in range(4)]
    assert all(65 < count < 135 for count in quarters)
    assert len({round(part, 6) for part in parts}) > 390


@pytest.mark.failure("F13")
def test_each_connection_draws_anew_and_then_keeps_the_interval() -> None:
    peer = Peer().to_connected()
    parts = []
    for sequence in range(2, 22):
        start = peer.now
        to_beat(peer)
        parts.append(peer.now - start)
        first = peer.now
        for number in (1, 2):
            peer.ack()
            to_beat(peer)
            assert peer.now == pytest.approx(first + number * INTERVAL)
        peer.eof()
        peer.resume_again()
        peer.dispatch(sequence, "RESUMED")
    assert len({round(part, 6) for part in parts}) == 20
