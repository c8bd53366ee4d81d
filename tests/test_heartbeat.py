"""The heart alone: the schedule, the verdicts, answers to op 1, latency (F07, F08, F10, F12, F13, F33)."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.heartbeat import Beat, Heartbeat

INTERVAL = 40.0
NOW = 1000.0


class HalfWay(random.Random):
    """The jitter of the first beat is a half."""

    def random(self) -> float:
        return 0.5


def heart(interval: float = INTERVAL) -> Heartbeat:
    return Heartbeat(interval, NOW, HalfWay())


FIRST = NOW + INTERVAL / 2


def beating(interval: float = INTERVAL) -> Heartbeat:
    """Its first beat was sent on time and not acknowledged."""
    made = heart(interval)
    first = NOW + interval / 2
    assert made.due(first, NOW) == (Beat.BEAT, 0.0)
    made.sent(first)
    return made


def beat(heart: Heartbeat, now: float, last_received: float, *, lenient: bool = False) -> Beat:
    """Judge at `now` and send what is queued."""
    verdict, _ = heart.due(now, last_received, lenient=lenient)
    if heart.queued:
        heart.sent(now)
    return verdict


# -- the schedule ----------------------------------------------------------------------------------------------


@pytest.mark.failure("F13")
def test_the_first_beat_is_due_after_a_uniform_part_of_the_interval() -> None:
    parts = [(Heartbeat(INTERVAL, NOW, random.Random(seed)).next_timeout() - NOW) / INTERVAL for seed in range(1000)]
    assert all(0.0 <= part < 1.0 for part in parts)
    tenths = [sum(tenth <= 10 * part < tenth + 1 for part in parts) for tenth in range(10)]
    assert all(60 < count < 140 for count in tenths)


def test_early_is_nothing() -> None:
    made = heart()
    assert made.next_timeout() == FIRST
    verdict, _ = made.due(FIRST - 0.001, NOW)
    assert verdict is Beat.EARLY
    assert not made.queued
    assert made.next_timeout() == FIRST


@given(st.lists(st.floats(0, 0.49), max_size=30))
def test_lateness_does_not_add_up(lateness: list[float]) -> None:
    made = heart()
    for number, late in enumerate(lateness):
        due = FIRST + INTERVAL * number
        assert made.next_timeout() == pytest.approx(due)
        verdict, lag = made.due(due + late * INTERVAL, due)
        assert verdict is Beat.BEAT
        assert lag == pytest.approx(late * INTERVAL)
        assert made.scheduled
        made.sent(due + late * INTERVAL)
        made.acknowledged(due + late * INTERVAL)


@pytest.mark.parametrize(("asked", "used"), [(0.0, 5.0), (4.999, 5.0), (5.0, 5.0), (600.0, 600.0), (1e9, 600.0)])
@pytest.mark.failure("F10")
def test_the_interval_is_clamped(asked: float, used: float) -> None:
    assert heart(asked).interval == used
    made = heart()
    made.set_interval(asked, NOW)
    assert made.interval == used


def test_a_new_interval_brings_the_next_beat_forward_and_never_puts_it_off() -> None:
    made = heart()
    made.set_interval(5.0, NOW + 1)
    assert made.next_timeout() == NOW + 6
    assert beat(made, NOW + 6, NOW) is Beat.BEAT
    made.acknowledged(NOW + 6)
    assert made.next_timeout() == NOW + 11
    made.set_interval(300.0, NOW + 7)
    assert made.next_timeout() == NOW + 11
    assert beat(made, NOW + 11, NOW) is Beat.BEAT
    assert made.next_timeout() == NOW + 311


# -- verdicts --------------------------------------------------------------------------------------------------


@pytest.mark.failure("F07")
@pytest.mark.parametrize("last_received", [NOW, FIRST - 0.001, FIRST])
def test_no_ack_and_nothing_received_since_is_a_zombie(last_received: float) -> None:
    made = beating()
    assert made.due(FIRST + INTERVAL, last_received)[0] is Beat.ZOMBIE
    assert not made.queued


@pytest.mark.failure("F08")
def test_any_sign_of_life_only_warns_and_the_beat_goes_on() -> None:
    made = beating()
    verdict, _ = made.due(FIRST + INTERVAL, FIRST + 0.001)
    assert verdict is Beat.ACK_MISSING
    assert made.scheduled
    assert made.next_timeout() == FIRST + 2 * INTERVAL


@pytest.mark.failure("F07")
def test_silence_is_counted_from_the_last_beat() -> None:
    made = beating()
    assert beat(made, FIRST + INTERVAL, FIRST + 1) is Beat.ACK_MISSING
    # What came in before this beat says nothing about what is behind it.
    assert beat(made, FIRST + 2 * INTERVAL, FIRST + INTERVAL) is Beat.ZOMBIE


@pytest.mark.failure("F07", "F08")
@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize("late", [0.0, 0.2])
def test_the_cap_is_three_intervals_however_the_timers_fall(lenient: bool, late: float) -> None:
    made = heart(41.25)
    first = made.next_timeout()
    # The first is handled late, the last on time: less than three intervals by the clock, and the cap all the same.
    assert made.due(first + late, NOW)[0] is Beat.BEAT
    made.sent(first + late)
    verdicts = []
    for _ in range(3):
        now = made.next_timeout()
        verdicts.append(beat(made, now, NOW if lenient else now, lenient=lenient))
    assert verdicts == [Beat.ACK_MISSING, Beat.ACK_MISSING, Beat.ZOMBIE]


@pytest.mark.failure("F08")
def test_an_ack_starts_the_count_anew() -> None:
    made = beating()
    for cycle in range(0, 30, 3):
        now = FIRST + cycle * INTERVAL
        for missed in (now + INTERVAL, now + 2 * INTERVAL):
            assert beat(made, missed, missed) is Beat.ACK_MISSING
        assert made.acknowledged(now + 2 * INTERVAL + 1)
        assert beat(made, now + 3 * INTERVAL, now) is Beat.BEAT


@pytest.mark.failure("F07")
def test_a_missing_ack_alone_is_no_reason_while_lenient() -> None:
    made = beating()
    assert beat(made, FIRST + INTERVAL, NOW, lenient=True) is Beat.ACK_MISSING
    assert beat(made, FIRST + 2 * INTERVAL, NOW) is Beat.ZOMBIE  # leniency ends with READY


@pytest.mark.failure("F07")
def test_a_beat_that_cannot_be_written_is_unacknowledged_too() -> None:
    made = heart()
    assert made.due(FIRST, NOW)[0] is Beat.BEAT
    assert made.due(FIRST + INTERVAL, FIRST)[0] is Beat.ZOMBIE


@pytest.mark.failure("F07")
@pytest.mark.parametrize("before", [0.001, 1.0, 30.0])
def test_an_extra_beat_just_ahead_of_the_schedule_is_no_evidence(before: float) -> None:
    made = heart()
    asked = FIRST - before
    assert made.ask(asked)
    made.sent(asked)
    assert beat(made, FIRST, asked) is Beat.BEAT
    assert beat(made, FIRST + INTERVAL, asked) is Beat.ZOMBIE


# -- the clock jumps -------------------------------------------------------------------------------------------


@pytest.mark.failure("F12")
@pytest.mark.parametrize(
    ("lag", "verdict"), [(0.5 * INTERVAL, Beat.BEAT), (0.5 * INTERVAL + 0.125, Beat.PROBE), (99 * INTERVAL, Beat.PROBE)]
)
def test_more_than_one_and_a_half_intervals_since_the_last_beat_is_a_jump(lag: float, verdict: Beat) -> None:
    made = beating()
    made.acknowledged(FIRST + 1)
    assert made.due(FIRST + INTERVAL + lag, FIRST + 1) == (verdict, lag)


@pytest.mark.failure("F12")
def test_a_jump_is_one_beat_and_ten_seconds() -> None:
    made = beating()
    now = FIRST + 50 * INTERVAL
    assert beat(made, now, FIRST) is Beat.PROBE
    assert made.next_timeout() == now + 10.0
    assert made.due(now, now)[0] is Beat.EARLY
    assert not made.queued
    assert made.due(now + 9.999, now)[0] is Beat.EARLY
    assert made.due(now + 10.0, now)[0] is Beat.ZOMBIE


@pytest.mark.failure("F12")
@pytest.mark.parametrize("acknowledged", [True, False])
def test_any_answer_to_the_probe_will_do(acknowledged: bool) -> None:
    made = beating()
    now = FIRST + 50 * INTERVAL
    assert beat(made, now, FIRST) is Beat.PROBE
    if acknowledged:
        made.acknowledged(now + 9.9)
        assert made.next_timeout() == now + INTERVAL
    assert made.due(now + 10.0, now + 9.9)[0] is Beat.EARLY
    assert made.next_timeout() == now + INTERVAL
    assert beat(made, now + INTERVAL, now + 9.9) is (Beat.BEAT if acknowledged else Beat.ACK_MISSING)


@pytest.mark.failure("F12")
def test_a_probe_has_its_ten_seconds_where_the_interval_is_shorter() -> None:
    made = beating(5.0)
    now = NOW + 100.0
    assert beat(made, now, NOW) is Beat.PROBE
    assert made.next_timeout() == now + 5.0
    assert beat(made, now + 5.0, now) is Beat.ACK_MISSING
    assert made.due(now + 10.0, now)[0] is Beat.ZOMBIE


@pytest.mark.failure("F12")
@given(st.lists(st.floats(0, 2000), min_size=1, max_size=60), st.integers(0, 2**32))
def test_never_a_burst(waits: list[float], seed: int) -> None:
    """However the clock jumps: at most one beat a call, and never two beats closer than half an interval."""
    made = Heartbeat(INTERVAL, NOW, random.Random(seed))
    now, beats = NOW, []
    for wait in waits:
        now += wait
        verdict, _ = made.due(now, now)
        if made.queued:
            made.sent(now)
            made.acknowledged(now)
            beats.append(now)
        assert made.next_timeout() > now
        assert verdict in (Beat.EARLY, Beat.BEAT, Beat.PROBE)
    assert all(after - before > INTERVAL / 2 - 1e-6 for before, after in itertools.pairwise(beats))


@pytest.mark.failure("F33")
def test_paused_silence_is_no_evidence() -> None:
    made = beating()
    for number in range(1, 8):
        verdict, _ = made.due(FIRST + number * INTERVAL, FIRST, paused=True)
        assert verdict is Beat.BEAT
        made.sent(FIRST + number * INTERVAL)
    resumed = FIRST + 7 * INTERVAL + 1
    made.forget_silence(resumed)
    assert beat(made, FIRST + 8 * INTERVAL, FIRST) is Beat.BEAT
    assert beat(made, FIRST + 9 * INTERVAL, FIRST) is Beat.ZOMBIE


@pytest.mark.failure("F12", "F33")
def test_a_probe_waits_anew_once_the_socket_is_read_again() -> None:
    made = beating()
    now = FIRST + 50 * INTERVAL
    assert made.due(now, FIRST, paused=True)[0] is Beat.PROBE
    made.sent(now)
    assert made.due(now + 10.0, FIRST, paused=True)[0] is Beat.EARLY
    made.forget_silence(now + 12.0)
    assert made.due(now + 21.9, FIRST)[0] is Beat.EARLY
    assert made.due(now + 22.0, FIRST)[0] is Beat.ZOMBIE


# -- answers to op 1 -------------------------------------------------------------------------------------------


@pytest.mark.failure("F10")
def test_answers_are_coalesced_while_one_is_unsent_or_younger_than_a_second() -> None:
    made = heart()
    assert made.ask(NOW)
    assert made.queued
    assert not made.scheduled
    assert not made.ask(NOW + 5)
    made.sent(NOW + 6)
    assert not made.queued
    assert not made.ask(NOW + 6.999)
    assert made.ask(NOW + 7)


@pytest.mark.failure("F10")
def test_a_scheduled_beat_is_an_answer_too_and_an_answer_takes_over_the_schedules_rank() -> None:
    made = beating()
    assert not made.ask(FIRST + 0.5)
    made.acknowledged(FIRST + 1)
    assert made.ask(FIRST + INTERVAL - 0.5)
    assert not made.scheduled
    assert made.due(FIRST + INTERVAL, FIRST + 1)[0] is Beat.BEAT
    assert made.scheduled
    made.sent(FIRST + INTERVAL)
    assert not made.queued


def test_an_answer_does_not_move_the_schedule() -> None:
    made = heart()
    made.ask(NOW + 1)
    made.sent(NOW + 1)
    assert made.next_timeout() == FIRST


# -- acknowledgement -------------------------------------------------------------------------------------------


def test_latency_is_from_the_drain_to_the_ack() -> None:
    made = heart()
    assert made.latency is None
    made.due(FIRST, NOW)
    made.sent(FIRST + 2)
    assert (made.is_acknowledged, made.sent_at) == (False, FIRST + 2)
    assert made.acknowledged(FIRST + 2.25)
    assert made.latency == 0.25
    assert (made.is_acknowledged, made.acknowledged_at) == (True, FIRST + 2.25)


def test_an_ack_that_nobody_waits_for_measures_nothing() -> None:
    made = heart()
    assert not made.acknowledged(NOW + 1)
    assert made.latency is None
    assert made.acknowledged_at == NOW + 1


def test_with_two_beats_under_way_an_ack_is_no_measure() -> None:
    made = beating()
    made.ask(FIRST + 2)
    made.sent(FIRST + 2)
    assert made.acknowledged(FIRST + 2.1)
    assert made.latency is None
    assert made.is_acknowledged
