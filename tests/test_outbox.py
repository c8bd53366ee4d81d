"""The queue of commands and the one slot of the presence."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    CurrentPresence,
    LocalProtocolError,
    OnlineStatus,
    RawCommand,
    UpdatePresence,
    UpdateVoiceState,
)
from gateway_proto.outbox import Outbox

NOW = 50.0
IDLE = UpdatePresence(presence=CurrentPresence(status=OnlineStatus.IDLE))
DND = UpdatePresence(presence=CurrentPresence(status=OnlineStatus.DND))
RAW = RawCommand(b'{"op":3,"d":{}}')


def voice(guild_id: int) -> UpdateVoiceState:
    return UpdateVoiceState(guild_id=guild_id, channel_id=None)


def filled() -> Outbox:
    outbox = Outbox(10)
    outbox.put(voice(1), b"1")
    outbox.put(voice(2), b"2")
    outbox.put_presence(IDLE, b"idle")
    return outbox


def test_first_in_first_out_the_presence_before_all() -> None:
    outbox = filled()
    assert len(outbox) == 3
    assert [outbox.pop(NOW) for _ in range(4)] == [(IDLE, b"idle"), (voice(1), b"1"), (voice(2), b"2"), None]
    assert len(outbox) == 0


@pytest.mark.parametrize(("waiting", "more", "fits"), [(0, 3, True), (2, 1, True), (2, 2, False), (3, 1, False)])
def test_the_bound(waiting: int, more: int, fits: bool) -> None:
    outbox = Outbox(3)
    outbox.put_presence(IDLE, b"idle")  # has a place of its own
    for number in range(waiting):
        outbox.put(voice(number), b"")
    if fits:
        outbox.check_room(more)
    else:
        with pytest.raises(LocalProtocolError, match=rf"^{waiting} of at most 3 commands .* {more} more do not fit"):
            outbox.check_room(more)
    assert len(outbox) == waiting + 1


def test_a_newer_presence_replaces_the_one_that_waits() -> None:
    outbox = Outbox(1)
    assert outbox.put_presence(IDLE, b"idle") == []
    [ended] = outbox.put_presence(DND, b"dnd")
    assert (ended.command, ended.outcome) == (IDLE, CommandOutcome.DROPPED)
    assert "newer presence" in ended.reason
    assert outbox.pop(NOW) == (DND, b"dnd")
    assert outbox.pop(NOW) is None


def test_what_identify_has_said_need_not_be_sent() -> None:
    outbox = filled()
    [ended] = outbox.presence_rode_in_identify()
    assert (ended.command, ended.outcome) == (IDLE, CommandOutcome.WRITTEN)
    assert "IDENTIFY" in ended.reason
    assert outbox.pop(NOW) == (voice(1), b"1")
    assert outbox.presence_rode_in_identify() == []


def test_a_raw_presence_is_not_the_one_that_identify_said() -> None:
    outbox = Outbox(1)
    outbox.put_presence(RAW, RAW.text)
    assert outbox.presence_rode_in_identify() == []
    assert outbox.pop(NOW) == (RAW, RAW.text)


def test_five_presences_in_twenty_seconds_and_commands_pass_them() -> None:
    outbox = Outbox(3)
    for number in range(5):
        outbox.put_presence(IDLE, b"idle")
        assert outbox.ready_at() == float("-inf")
        assert outbox.pop(NOW + number) == (IDLE, b"idle")
    outbox.put_presence(DND, b"dnd")
    assert outbox.ready_at() == NOW + 20.0
    outbox.put(voice(1), b"1")
    assert outbox.ready_at() == float("-inf")
    assert outbox.pop(NOW + 19.9) == (voice(1), b"1")
    assert outbox.pop(NOW + 19.9) is None
    assert len(outbox) == 1
    assert outbox.pop(NOW + 20.0) == (DND, b"dnd")
    outbox.put_presence(DND, b"dnd")
    assert outbox.ready_at() == NOW + 21.0


def test_ready_when_nothing_waits() -> None:
    assert Outbox(1).ready_at() is None


def test_requeue_tells_of_each_and_keeps_it() -> None:
    outbox = filled()
    ended = outbox.requeue("gone")
    assert ended == [
        CommandEnded(command=command, outcome=CommandOutcome.REQUEUED, reason="gone")
        for command in (IDLE, voice(1), voice(2))
    ]
    assert len(outbox) == 3
    assert outbox.pop(NOW) == (IDLE, b"idle")


def test_clear_drops_each_with_the_reason() -> None:
    outbox = filled()
    ended = outbox.clear("over")
    assert ended == [
        CommandEnded(command=command, outcome=CommandOutcome.DROPPED, reason="over")
        for command in (IDLE, voice(1), voice(2))
    ]
    assert len(outbox) == 0
    assert outbox.pop(NOW) is None
    assert outbox.clear("again") == []


@given(st.lists(st.sampled_from(["put", "presence", "pop", "identify", "clear", "wait"]), max_size=60), st.randoms())
def test_every_command_ends_exactly_once_and_ready_at_is_true(steps: list[str], rng: random.Random) -> None:
    outbox, now, numbers = Outbox(1000), 0.0, itertools.count(1)
    put: list[int] = []
    ended: list[int] = []
    presences: list[float] = []

    def end(commands: list[CommandEnded]) -> None:
        ended.extend(number(action.command) for action in commands)

    for step in [*steps, "clear"]:
        if step == "put":
            put.append(next(numbers))
            outbox.put(voice(put[-1]), b"")
        elif step == "presence":
            put.append(next(numbers))
            end(outbox.put_presence(UpdatePresence(presence=CurrentPresence(since=put[-1])), b""))
        elif step == "identify":
            end(outbox.presence_rode_in_identify())
        elif step == "clear":
            end(outbox.clear("over"))
        elif step == "wait":
            now += rng.choice([0.1, 5.0, 19.9, 20.0])
        else:
            ready = outbox.ready_at()
            entry = outbox.pop(now)
            assert (entry is not None) == (ready is not None and ready <= now)
            if entry is not None:
                ended.append(number(entry[0]))
                presences += [now] * isinstance(entry[0], UpdatePresence)
        assert len(outbox) == len(put) - len(ended)
    assert sorted(ended) == put
    assert all(late - early >= 20.0 for early, late in zip(presences, presences[5:], strict=False))


def number(command: object) -> int:
    if isinstance(command, UpdateVoiceState):
        return command.guild_id
    assert isinstance(command, UpdatePresence)
    assert command.presence.since is not None
    return command.presence.since
