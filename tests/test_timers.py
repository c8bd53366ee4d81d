"""The table of what is due: a pure look, a fixed order."""

import itertools

import pytest

from gateway_proto.timers import Timer, Timers


def test_empty() -> None:
    timers = Timers()
    assert timers.next() is None
    assert timers.pop_due(1e9) is None
    assert timers.get(Timer.DIAL) is None
    timers.clear()
    timers.clear(Timer.HELLO)


@pytest.mark.parametrize("order", list(itertools.permutations([Timer.DIAL, Timer.HEARTBEAT, Timer.RECONNECT])))
def test_what_is_due_fires_in_the_fixed_order_however_late_each_is(order: tuple[Timer, ...]) -> None:
    timers = Timers()
    for at, timer in enumerate(order):
        timers.set(timer, float(at))
    timers.set(Timer.HELLO, 9.0)
    popped = [timers.pop_due(5.0) for _ in range(4)]
    assert popped == [Timer.DIAL, Timer.HEARTBEAT, Timer.RECONNECT, None]
    assert timers.next() == 9.0


def test_the_order_is_written_down() -> None:
    # A heartbeat is judged before RESUME's patience is, and the next dial comes last: what ends a connection must not
    # be overtaken by its successor.
    assert [timer.name for timer in sorted(Timer)] == [
        "DIAL",
        "HELLO",
        "HEARTBEAT",
        "RESUMED",
        "READY",
        "GUILDS",
        "RECONNECT",
    ]


def test_due_at_the_very_instant_and_not_before() -> None:
    timers = Timers()
    timers.set(Timer.READY, 10.0)
    assert timers.pop_due(9.999) is None
    assert timers.get(Timer.READY) == 10.0
    assert timers.pop_due(10.0) is Timer.READY
    assert timers.pop_due(10.0) is None


def test_a_look_changes_nothing_and_a_new_time_replaces_the_old() -> None:
    timers = Timers()
    timers.set(Timer.HELLO, 7.0)
    timers.set(Timer.DIAL, 5.0)
    assert [timers.next(), timers.next()] == [5.0, 5.0]
    timers.set(Timer.DIAL, 8.0)
    assert timers.next() == 7.0
    assert timers.get(Timer.DIAL) == 8.0


def test_clear_forgets_those_named_or_all() -> None:
    timers = Timers()
    for timer in Timer:
        timers.set(timer, 1.0)
    timers.clear(Timer.DIAL, Timer.RECONNECT)
    assert {timer for timer in Timer if timers.get(timer) is not None} == set(Timer) - {Timer.DIAL, Timer.RECONNECT}
    timers.clear()
    assert timers.next() is None
