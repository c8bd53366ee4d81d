"""The queue between reader and consumer: what is full, and what is too much."""

import msgspec
import pytest

from gateway_proto import Dispatch
from gateway_transports.sink import EventQueue, QueueLimits

pytestmark = pytest.mark.failure("F33")


def event(size: int) -> Dispatch:
    return Dispatch(1, 1, "GUILD_CREATE", msgspec.Raw(b'"' + b"a" * (size - 2) + b'"'))


def test_one_event_of_any_size_is_no_overrun() -> None:
    """The inflated limit is above the queue's: such an event is legal and has yet to be offered."""
    queue = EventQueue(QueueLimits(bytes=100, hard_bytes=400))
    queue.put(event(10))
    queue.put(event(1000))
    assert queue.is_full
    assert not queue.is_overrun
    queue.put(event(10))
    assert queue.is_overrun


def test_many_events_are_an_overrun_whatever_their_size() -> None:
    queue = EventQueue(QueueLimits(events=2, hard_events=4))
    for _ in range(4):
        assert not queue.is_overrun
        queue.put(event(2))
    assert queue.is_overrun
