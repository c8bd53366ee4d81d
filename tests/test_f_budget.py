"""120 payloads in 60 s, heartbeats first, and nothing that survives where it must not (F10, F11)."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    ConnectionStage,
    CurrentPresence,
    HeartbeatSent,
    Notice,
    NoticeKind,
    OnlineStatus,
    Reconnect,
    UpdateVoiceState,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import INTERVAL, Peer, ready

INTERVALS = (5.0, 7.0, 20.0, 30.0, 41.25, 59.0, 60.0, 61.0, 600.0)


def command(number: int = 1) -> UpdateVoiceState:
    return UpdateVoiceState(guild_id=number, channel_id=None)


class Clocked(Peer):
    """Knows when, and on which connection, each payload was drained."""

    def __init__(self, **settings: Any) -> None:
        self.times: list[tuple[int, float]] = []
        super().__init__(**settings)

    def pump(self) -> None:
        super().pump()
        self.times += [(self.generation, self.now)] * (len(self.sent) - len(self.times))

    def most_in_a_minute(self) -> int:
        """The most payloads of one connection within any 60 s."""
        return max(
            sum(other == generation and start <= at < start + 60.0 for other, at in self.times)
            for generation, start in self.times
        )

    def start(self, interval: float = INTERVAL) -> "Clocked":
        self.to_handshake()
        self.hello(interval)
        self.permit()
        self.dispatch(1, "READY", ready())
        return self

    def again(self, interval: float = INTERVAL) -> None:
        """Drop the connection; resume on the next at once."""
        self.eof()
        self.call(self.shard.connect)
        self.to_handshake()
        self.hello(interval)
        self.dispatch(self.shard.snapshot().received + 1, "RESUMED")
        assert self.shard.stage is ConnectionStage.CONNECTED

    def queue(self, count: int) -> None:
        for number in range(count):
            self.log += self.shard.send(command(number), self.now)

    def live(self, seconds: float) -> None:
        """Let time pass; the gateway acknowledges every beat as it is sent."""
        end, acknowledged = self.now + seconds, len(self.payloads(1))
        while self.now < end:
            due = self.shard.next_timeout()
            self.now = end if due is None else min(max(due, self.now), end)
            self.advance(0.0)
            while acknowledged < len(self.payloads(1)):
                acknowledged += 1
                self.ack()


def ops(peer: Peer) -> list[int]:
    return [payload["op"] for payload in peer.sent]


# -- F10: the reserve, and who goes first ------------------------------------------------------------------------


@pytest.mark.failure("F10")
@pytest.mark.parametrize("interval", INTERVALS)
def test_beats_of_a_minute_and_two_more_are_kept_free(interval: float) -> None:
    peer = Clocked().start(interval)
    peer.queue(300)
    peer.pump()
    # The IDENTIFY is one of the minute's 120.
    free = 120 - (math.ceil(60 / interval) + 2) - 1
    assert ops(peer) == [2] + [4] * free
    assert [d["guild_id"] for d in peer.payloads(4)] == [str(number) for number in range(free)]
    peer.call(peer.shard.handle_timeout)
    assert len(peer.of(CommandEnded)) == free
    assert peer.shard.snapshot().queued_commands == 300 - free


@pytest.mark.failure("F10", "F11")
@pytest.mark.parametrize("interval", [5.0, 30.0, 41.25])
@pytest.mark.parametrize("flood", [False, True], ids=["calm", "op 1 every second"])
def test_no_beat_is_ever_stuck_behind_a_full_queue(interval: float, flood: bool) -> None:
    peer = Clocked().start(interval)
    due = peer.shard.next_timeout()
    assert due is not None
    for _ in range(300):
        peer.queue(500 - peer.shard.snapshot().queued_commands)
        peer.pump()
        peer.live(1.0)
        if flood:
            peer.say({"op": 1})
    assert not peer.of(Reconnect)
    assert not peer.of(Notice)
    assert peer.most_in_a_minute() <= 120
    sent = [action.at for action in peer.of(HeartbeatSent)]
    scheduled = due
    while scheduled < peer.now - interval:
        # Late by nothing: the beat of the schedule goes out at its own time (or an answer younger than that).
        assert any(abs(at - scheduled) < 1e-6 for at in sent), scheduled
        scheduled += interval
    # Nor are commands starved, or more kept than the row says.
    extra = 60 if flood else 0
    assert len(peer.payloads(4)) >= 4.5 * (120 - math.ceil(60 / interval) - 3 - extra)


@pytest.mark.failure("F10")
def test_in_one_drain_the_beat_goes_before_the_commands() -> None:
    peer = Clocked().start()
    due = peer.shard.next_timeout()
    assert due is not None
    peer.now = due
    peer.queue(3)
    peer.log += peer.shard.handle_timeout(peer.now)
    peer.pump()
    assert ops(peer) == [2, 1, 4, 4, 4]


@pytest.mark.failure("F10")
def test_an_exhausted_budget_of_commands_holds_up_no_op_1() -> None:
    peer = Clocked().start()
    peer.queue(300)
    peer.pump()
    peer.say({"op": 1})
    assert ops(peer)[-1] == 1


@pytest.mark.failure("F10")
def test_identify_and_resume_go_before_commands() -> None:
    peer = Clocked()
    peer.queue(5)
    peer.to_handshake()
    peer.hello()
    assert ops(peer) == []
    peer.permit()
    assert ops(peer) == [2]
    peer.dispatch(1, "READY", ready())
    assert ops(peer) == [2, 4, 4, 4, 4, 4]
    peer.eof()
    peer.queue(2)
    peer.resume_again()
    assert ops(peer)[6:] == [6]
    peer.dispatch(2, "RESUMED")
    assert ops(peer)[6:] == [6, 4, 4]


@pytest.mark.failure("F10")
def test_before_their_session_commands_take_nothing_from_the_protocol() -> None:
    peer = Clocked()
    peer.queue(500)
    peer.to_handshake()
    peer.hello(5.0)
    peer.permit()
    peer.live(60.0)
    assert ops(peer) == [2] + [1] * 12


# -- F10: the interval -------------------------------------------------------------------------------------------


@pytest.mark.failure("F10")
@pytest.mark.parametrize(
    ("d", "used"),
    [
        ({"heartbeat_interval": 1}, 5.0),
        ({"heartbeat_interval": 4999}, 5.0),
        ({"heartbeat_interval": 600_001}, 600.0),
        ({"heartbeat_interval": 1e300}, 600.0),
        ({"heartbeat_interval": 0}, 41.25),
        ({"heartbeat_interval": -41250}, 41.25),
        ({"heartbeat_interval": "41250"}, 41.25),
        ({"heartbeat_interval": None}, 41.25),
        ({}, 41.25),
        (None, 41.25),
        ([41250], 41.25),
    ],
)
def test_an_interval_that_nobody_could_keep_is_clamped_with_a_notice(d: object, used: float) -> None:
    peer = Peer().to_handshake()
    actions = peer.say({"op": 10, "d": d})
    assert [notice.kind for notice in peer.of(Notice, actions)] == [NoticeKind.INTERVAL_CLAMPED]
    assert f"{used:g} s" in peer.of(Notice, actions)[0].detail
    assert peer.shard.snapshot().heartbeat_interval == used
    due = peer.shard.next_timeout()
    assert due is not None
    assert peer.now <= due <= peer.now + used
    # The same for a HELLO at another time.
    again = peer.say({"op": 10, "d": d})
    assert NoticeKind.INTERVAL_CLAMPED in [notice.kind for notice in peer.of(Notice, again)]


@pytest.mark.failure("F10")
@pytest.mark.parametrize("interval", [5.0, 41.25, 45.5, 600.0])
def test_an_interval_that_can_be_kept_is_taken_as_it_is(interval: float) -> None:
    peer = Peer().to_handshake()
    assert not peer.of(Notice, peer.hello(interval))
    assert peer.shard.snapshot().heartbeat_interval == interval


# -- F10: op 1 and PING ------------------------------------------------------------------------------------------


@pytest.mark.failure("F10")
def test_op_1_is_answered_at_once_and_besides_the_schedule() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    peer.say({"op": 1})
    assert peer.payloads(1) == [1]
    assert peer.shard.latency is None
    peer.advance(0.25)
    peer.ack()
    assert peer.shard.latency == 0.25
    assert peer.shard.next_timeout() == due


@pytest.mark.failure("F10")
def test_op_1s_are_coalesced_while_one_is_unsent() -> None:
    peer = Peer().to_connected()
    peer.say(*[{"op": 1}] * 50)
    assert len(peer.payloads(1)) == 1
    # Nor does time change that: unsent for 30 s it is still one.
    peer = Peer().to_connected()
    frame = encode_frame(FrameOpcode.TEXT, b'{"op":1}')
    for _ in range(5):
        peer.now += 2.0
        peer.log += peer.shard.receive_data(peer.generation, frame, peer.now)
    peer.pump()
    assert len(peer.payloads(1)) == 1


@pytest.mark.failure("F10")
def test_op_1s_are_coalesced_while_the_last_beat_is_younger_than_a_second() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    assert due is not None
    counts = []
    for wait in (0.0, 0.5, 0.49, 0.02, 0.9, 0.09, 0.02):
        peer.advance(wait)
        peer.say({"op": 1})
        counts.append(len(peer.payloads(1)))
    assert counts == [1, 1, 1, 2, 2, 2, 3]
    # A scheduled beat is as good an answer.
    peer.advance(due - peer.now)
    assert len(peer.payloads(1)) == 4
    peer.advance(0.9)
    peer.say({"op": 1})
    assert len(peer.payloads(1)) == 4


@pytest.mark.failure("F10")
def test_an_hour_of_op_1s_breaks_no_limit() -> None:
    peer = Clocked().start()
    for _ in range(3600):
        peer.live(0.1)
        peer.say({"op": 1}, {"op": 1})
    assert peer.most_in_a_minute() <= 64
    assert not peer.of(Reconnect)


@pytest.mark.failure("F10")
def test_of_pongs_only_the_latest_unsent_is_kept() -> None:
    peer = Peer().to_connected()
    pings = [encode_frame(FrameOpcode.PING, b"%d" % number) for number in range(1000)]
    peer.raw(b"".join(pings))
    assert peer.pongs == [b"999"]
    for ping in pings[:3]:  # chunk by chunk, and drained only once
        peer.log += peer.shard.receive_data(peer.generation, ping, peer.now)
    peer.pump()
    assert peer.pongs == [b"999", b"2"]
    peer.raw(pings[7])
    assert peer.pongs == [b"999", b"2", b"7"]
    peer.pump()
    assert len(peer.pongs) == 3


# -- F11 ---------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F11")
def test_each_connection_has_a_window_of_its_own() -> None:
    peer = Clocked().start()
    peer.queue(500)
    peer.pump()
    assert len(peer.payloads(4)) == 115
    peer.again()
    assert len(peer.payloads(4)) == 230
    assert ops(peer)[116] == 6
    peer.live(59.0)
    assert len(peer.payloads(4)) == 230
    assert peer.most_in_a_minute() <= 120


@pytest.mark.failure("F11")
def test_what_is_charged_is_the_drain_and_not_the_wish() -> None:
    peer = Clocked().start()
    peer.queue(400)
    peer.now += 20.0  # the socket took nothing for 20 s
    drained = peer.now
    peer.pump()
    first = len(peer.payloads(4))
    assert first == 115
    peer.live(59.9)  # the wish is 79.9 s old, the bytes are not
    assert len(peer.payloads(4)) <= first + 1  # the IDENTIFY was charged 20 s before them
    peer.live(drained + 61.0 - peer.now)
    assert len(peer.payloads(4)) > first + 100
    assert peer.most_in_a_minute() <= 120


@pytest.mark.failure("F11")
def test_the_next_burst_waits_for_the_first_to_be_a_minute_old() -> None:
    peer = Clocked().start()
    peer.live(1.0)
    start = peer.now
    peer.queue(100)
    peer.pump()
    assert len(peer.payloads(4)) == 100
    peer.live(50.0)
    peer.queue(100)
    peer.pump()
    peer.live(9.9)
    assert len(peer.payloads(4)) <= 115
    peer.live(start + 61.0 - peer.now)
    assert len(peer.payloads(4)) == 200
    assert peer.most_in_a_minute() <= 120


@pytest.mark.failure("F11")
def test_a_clock_that_steps_gives_nothing_away() -> None:
    peer = Clocked().start()
    peer.queue(500)
    peer.pump()
    now, sent = peer.now, len(peer.sent)
    for step in (-1e9, -3600.0, -60.0, -0.001):
        peer.now = now + step
        peer.call(peer.shard.handle_timeout)
        assert len(peer.sent) == sent
        due = peer.shard.next_timeout()
        assert due is not None
        assert due > now
    peer.now = now
    peer.live(59.9)
    assert len(peer.payloads(4)) == 115


@pytest.mark.failure("F10", "F11")
@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.3, 1.0, 7.0, 59.9, 60.0]) | st.floats(0, 40),
            st.sampled_from(["send 1", "send 60", "send 200", "presence", "op 1", "drop"]),
        ),
        max_size=40,
    ),
    st.sampled_from(INTERVALS),
    st.integers(0, 2**32),
)
def test_no_minute_of_any_connection_sees_more_than_120(
    steps: list[tuple[float, str]], interval: float, seed: int
) -> None:
    peer = Clocked(seed=seed).start(interval)
    wished = 0
    for wait, step in steps:
        peer.live(wait)
        if step.startswith("send"):
            room = 512 - peer.shard.snapshot().queued_commands  # in which the presence has a place of its own
            count = max(0, min(int(step.split()[1]), room))
            wished += count
            peer.queue(count)
            peer.pump()
        elif step == "presence":
            peer.call(peer.shard.set_status, OnlineStatus.DND if wished % 2 else OnlineStatus.IDLE)
        elif step == "op 1":
            peer.say({"op": 1})
        else:
            peer.again(interval)
    assert peer.most_in_a_minute() <= 120
    peer.live(700.0)
    peer.call(peer.shard.handle_timeout)
    assert peer.most_in_a_minute() <= 120
    # And everything that was wished for went out in the end, in order of the wishes.
    assert len(peer.payloads(4)) == wished
    assert peer.shard.snapshot().queued_commands == 0
    assert not [notice for notice in peer.of(Notice) if notice.kind is NoticeKind.HEARTBEAT_LATE]


@pytest.mark.failure("F11", "F36")
def test_five_presences_in_twenty_seconds_over_reconnects() -> None:
    peer = Clocked().start()
    for number in range(3):
        peer.call(peer.shard.set_presence, CurrentPresence(since=number))
        peer.live(1.0)
    start = peer.now - 3.0
    peer.again()
    for number in range(3, 9):
        peer.call(peer.shard.set_presence, CurrentPresence(since=number))
    # Two more had room; of the rest only the newest waits.
    assert [d["since"] for d in peer.payloads(3)] == [0, 1, 2, 3, 4]
    peer.again()
    peer.live(start + 19.999 - peer.now)
    assert len(peer.payloads(3)) == 5
    peer.live(0.002)
    assert [d["since"] for d in peer.payloads(3)] == [0, 1, 2, 3, 4, 8]
    peer.call(peer.shard.handle_timeout)
    dropped = [ended for ended in peer.of(CommandEnded) if ended.outcome is CommandOutcome.DROPPED]
    assert len(dropped) == 3


@pytest.mark.failure("F11", "F36")
def test_waiting_for_the_presence_limit_holds_up_no_command() -> None:
    peer = Clocked().start()
    for number in range(6):
        peer.call(peer.shard.set_presence, CurrentPresence(since=number))
    peer.call(peer.shard.send, command(7))
    assert [d["guild_id"] for d in peer.payloads(4)] == ["7"]
    assert len(peer.payloads(3)) == 5
