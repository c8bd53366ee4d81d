"""F35: soundboard sounds and channel info; and what holds for every request: misuse, bounds, silence."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    DiscardCause,
    Dispatch,
    Intents,
    InterMessage,
    Limits,
    LocalProtocolError,
    Opcode,
    RawCommand,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    SessionLost,
    UpdateVoiceState,
)
from gateway_proto.events import ChannelInfo
from gateway_proto.requests.answers import (
    IDLE_LIMIT,
    IncompleteSoundsError,
    RequestEnd,
    RequestError,
)
from gateway_proto.requests.machine import (
    MAX_QUEUED,
    Answered,
)
from gateway_proto.requests.turns import AT_ONCE, NEVER, TURN_PERIOD, Turns, turn_of

from .peer import config
from .request_helpers import GUILD, INFO, INTENTS, MEMBERS, OTHER, SOUNDS, Asking, sounds, sounds_of


@pytest.fixture
def peer() -> Asking:
    return Asking().to_connected()


# -- sounds and channel info -----------------------------------------------------------------------------------


@pytest.mark.failure("F35")
def test_sounds_come_with_one_event_for_each_guild(peer: Asking) -> None:
    id = peer.ask(sounds_of(peer, GUILD, OTHER, GUILD))
    single = peer.ask(sounds_of(peer, OTHER))
    assert peer.payloads(SOUNDS) == [{"guild_ids": [str(GUILD), str(OTHER)]}, {"guild_ids": [str(OTHER)]}]
    peer.tell("SOUNDBOARD_SOUNDS", sounds(OTHER, "a", "b"))
    peer.tell("SOUNDBOARD_SOUNDS", sounds(OTHER))
    peer.tell("SOUNDBOARD_SOUNDS", sounds(77))
    peer.tell("SOUNDBOARD_SOUNDS", {})
    assert list(peer.outcomes) == [single]
    peer.advance(29.0)
    peer.tell("SOUNDBOARD_SOUNDS", sounds(GUILD))
    found = peer.answer(id)
    assert {guild_id: [sound.name for sound in made] for guild_id, made in found.items()} == {
        GUILD: [],
        OTHER: ["a", "b"],
    }
    assert list(found) == [GUILD, OTHER]


@pytest.mark.failure("F35")
def test_sounds_end_after_30_s_with_what_came(peer: Asking) -> None:
    id = peer.ask(sounds_of(peer, GUILD, OTHER, 7))
    peer.advance(20.0)
    peer.tell("SOUNDBOARD_SOUNDS", sounds(OTHER, "a"))
    peer.tell("SOUNDBOARD_SOUNDS", {**sounds(7), "soundboard_sounds": 1})
    since = peer.now
    peer.advance(60.0)
    assert peer.ended_at[id] == since + IDLE_LIMIT
    error = peer.error(id)
    assert isinstance(error, IncompleteSoundsError)
    assert (list(error.partial), error.missing, list(error.misfits)) == ([OTHER], (GUILD,), [7])
    assert str(error) == "the soundboard sounds of 1 of 3 guilds: nothing more came for 30 s"


def test_sounds_of_which_some_do_not_decode(peer: Asking) -> None:
    id = peer.ask(sounds_of(peer, GUILD, OTHER))
    peer.tell("SOUNDBOARD_SOUNDS", sounds(OTHER, "a"))
    peer.tell("SOUNDBOARD_SOUNDS", {"guild_id": str(GUILD)})
    assert peer.error(id).end is RequestEnd.MISFIT
    assert list(peer.error(id).partial) == [OTHER]


@pytest.mark.failure("F35")
def test_channel_info_is_asked_for_one_at_a_time(peer: Asking) -> None:
    ask = peer.requests.request_channel_info
    first, second = ask(GUILD, ["status"], peer.now), ask(GUILD, ["voice_start_time"], peer.now)
    other = peer.ask(ask(OTHER, ("status",), peer.now))
    assert peer.payloads(INFO) == [
        {"guild_id": str(GUILD), "fields": ["status"]},
        {"guild_id": str(OTHER), "fields": ["status"]},
    ]
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": [{"id": "1", "status": "so"}]})
    peer.advance(0.0)
    assert len(peer.payloads(INFO)) == 3
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": [{"id": "1", "voice_start_time": 9}]})
    peer.tell("CHANNEL_INFO", None)
    peer.tell("CHANNEL_INFO", {"guild_id": "77", "channels": []})
    assert isinstance(peer.answer(first), ChannelInfo)
    assert [peer.answer(first).channels[0].status, peer.answer(second).channels[0].voice_start_time] == ["so", 9]
    peer.advance(40.0)
    assert type(peer.error(other)) is RequestError
    assert (peer.error(other).end, peer.error(other).missing) == (RequestEnd.IDLE, (OTHER,))
    assert str(peer.error(other)) == "the channel info of guild 9: nothing more came for 30 s"


def test_channel_info_that_was_dropped_keeps_the_next_from_its_answer(peer: Asking) -> None:
    ask = peer.requests.request_channel_info
    peer.requests.drop(peer.ask(ask(GUILD, ["status"], peer.now)), peer.now)
    peer.call(peer.shard.send, RequestChannelInfo(guild_id=OTHER))
    second = peer.ask(ask(GUILD, ["voice_start_time"], peer.now))
    third = peer.ask(ask(OTHER, ["status"], peer.now))
    assert len(peer.payloads(INFO)) == 2
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": [{"id": "1", "status": "so"}]})
    peer.advance(0.0)
    assert not peer.outcomes
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": 1})
    assert peer.error(second).end is RequestEnd.MISFIT
    peer.reidentify()  # which ends the wait for what somebody else asked
    peer.tell("CHANNEL_INFO", {"guild_id": str(OTHER), "channels": []})
    assert peer.answer(third).channels == []


@pytest.mark.parametrize("opcode", [SOUNDS, INFO])
def test_rate_limits_that_are_not_documented_are_kept_too(peer: Asking, opcode: int) -> None:
    if opcode == SOUNDS:
        id = peer.ask(sounds_of(peer, GUILD))
    else:
        id = peer.ask(peer.requests.request_channel_info(GUILD, ["status"], peer.now))
    peer.limit(50.0, None, opcode=opcode)
    peer.limit(50.0, None, opcode=77)
    peer.advance(49.9)
    assert len(peer.payloads(opcode)) == 1
    peer.advance(0.1)
    assert len(peer.payloads(opcode)) == 2
    peer.tell("SOUNDBOARD_SOUNDS", sounds(GUILD))
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": []})
    assert peer.answer(id)


def test_a_lost_session_gives_no_turn_to_the_second_while_the_first_is_queued(peer: Asking) -> None:
    for field in ("status", "voice_start_time"):
        peer.requests.request_channel_info(GUILD, [field], peer.now)
    [command] = peer.requests.commands(peer.now)
    lost = SessionLost(epoch=1, sequence=1, downtime=0.0, cause=DiscardCause.RESET)
    assert peer.requests.receive(lost, peer.now) == []
    assert peer.requests.commands(peer.now) == []
    peer.requests.receive(CommandEnded(command=command, outcome=CommandOutcome.WRITTEN), peer.now)
    assert peer.requests.receive(lost, peer.now) == []
    assert peer.requests.commands(peer.now) == [command]


# -- turns -----------------------------------------------------------------------------------------------------

EVERY = RequestGuildMembers(guild_id=GUILD, query="", nonce="n")


def test_what_takes_a_turn() -> None:
    assert turn_of(EVERY) == (MEMBERS, GUILD)
    assert turn_of(RequestChannelInfo(guild_id=GUILD)) == (INFO, GUILD)
    commands: list[InterMessage] = [
        RequestGuildMembers(guild_id=GUILD, query="", limit=1),
        RequestGuildMembers(guild_id=GUILD, query="a"),
        RequestGuildMembers(guild_id=GUILD, user_ids=(1,)),
        RequestSoundboardSounds(guild_ids=(GUILD,)),
        RawCommand.of(8, {"guild_id": "5", "query": "", "limit": 0}),
    ]
    for free in commands:
        turns = Turns()
        turns.take(free)
        turns.written(free, 1.0)
        turns.refused(free, 9.0)
        turns.give_back(free)
        assert (len(turns), turns.free_at(free)) == (0, AT_ONCE)


@pytest.mark.failure("F35", "F11")
def test_a_turn_that_is_taken_is_free_only_after_the_command_was_written() -> None:
    turns = Turns()
    assert turns.free_at(EVERY) == AT_ONCE
    turns.take(EVERY)
    turns.written(EVERY, 1.0)  # somebody else's
    turns.refused(EVERY, 2.0)
    turns.not_before((MEMBERS, GUILD), 3.0)
    turns.answered(Opcode.REQUEST_GUILD_MEMBERS, GUILD)
    turns.session_lost()
    assert turns.free_at(EVERY) == NEVER
    turns.give_back(EVERY)
    turns.written(EVERY, 10.0)
    assert turns.free_at(EVERY) == 10.0 + TURN_PERIOD
    turns.not_before((MEMBERS, GUILD), 20.0)
    turns.session_lost()
    assert turns.free_at(EVERY) == 10.0 + TURN_PERIOD
    turns.refused(EVERY, 12.0)
    assert turns.free_at(EVERY) == 12.0


def test_channel_info_is_free_with_its_answer_or_its_session() -> None:
    turns, info = Turns(), RequestChannelInfo(guild_id=GUILD)
    ends: list[Callable[[], None]] = [lambda: turns.answered(Opcode.REQUEST_CHANNEL_INFO, GUILD), turns.session_lost]
    for end in ends:
        turns.take(info)
        end()
        assert turns.free_at(info) == NEVER
        turns.give_back(info)
        turns.written(info, 1.0)
        assert turns.free_at(info) == 1.0 + TURN_PERIOD
        end()
        end()
        assert turns.free_at(info) == AT_ONCE


def test_turns_that_have_passed_are_forgotten() -> None:
    turns = Turns()
    for second in range(1000):
        turns.written(RequestGuildMembers(guild_id=second, query=""), float(second))
    assert len(turns) == TURN_PERIOD


# -- misuse ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"query": "a", "user_ids": [1]}, "by a query or by user_ids, not by both"),
        ({"user_ids": []}, "request 1 to 100 user_ids at once, not 0"),
        ({"user_ids": range(101)}, "request 1 to 100 user_ids at once, not 101"),
        ({"user_ids": [1], "limit": 1}, "a limit goes with a query"),
        ({"query": "a", "limit": 101}, "the limit must be 0 to 100 with a query"),
        ({"query": "a", "limit": -1}, "the limit must be 0 to 100 with a query"),
        ({"limit": -1}, "the limit must be"),
        ({"query": "a" * 5000}, "Discord takes 4096"),
        ({"query": "\ud800"}, "cannot be written as JSON"),
        ({"guild_id": 1 << 22}, "guild 4194304 belongs to shard 1 of 2, this is shard 0"),
    ],
    ids=str,
)
@pytest.mark.failure("F35", "F37")
def test_misuse_is_refused_before_anything_is_sent(options: dict[str, Any], line: str) -> None:
    peer = Asking(config(intents=INTENTS, shard=(0, 2))).to_connected()
    with pytest.raises(LocalProtocolError, match=line):
        peer.requests.request_members(options.pop("guild_id", GUILD), peer.now, **options)
    assert len(peer.requests) == 0
    untouched = Asking().to_connected()
    assert [untouched.members(), untouched.nonces()] == [peer.members(), peer.nonces()]


def test_intents_are_asked_for() -> None:
    peer = Asking(config(intents=Intents.GUILDS)).to_connected()
    with pytest.raises(LocalProtocolError, match=r"all members need Intents\.GUILD_MEMBERS"):
        peer.members()
    with pytest.raises(LocalProtocolError, match="all members need"):
        peer.members(query="", limit=3)
    with pytest.raises(LocalProtocolError, match=r"presences of members need Intents\.GUILD_PRESENCES"):
        peer.members(query="a", presences=True)
    peer.members(query="a")
    peer.members(query="a", limit=7)
    peer.members(user_ids=[1])
    assert [d["limit"] for d in peer.payloads(MEMBERS)] == [100, 7, 0]


def test_the_first_members_are_not_all(peer: Asking) -> None:
    peer.members(limit=3)
    peer.members(limit=3)
    assert [(d["query"], d["limit"]) for d in peer.payloads(MEMBERS)] == [("", 3), ("", 3)]


def test_misuse_of_sounds_and_channel_info() -> None:
    peer = Asking(config(intents=INTENTS, shard=(0, 2))).to_connected()
    with pytest.raises(LocalProtocolError, match="at least one guild"):
        sounds_of(peer)
    with pytest.raises(LocalProtocolError, match="belongs to shard 1"):
        sounds_of(peer, GUILD, 1 << 22)
    with pytest.raises(LocalProtocolError, match="at least one field"):
        peer.requests.request_channel_info(GUILD, [], peer.now)
    assert len(peer.requests) == 0


# -- many, and silence -----------------------------------------------------------------------------------------


@pytest.mark.failure("F35", "F10")
def test_a_thousand_requests_leave_room_for_others_and_keep_the_budget() -> None:
    limits = Limits(max_queued_commands=MAX_QUEUED + 1)
    peer = Asking(config(intents=INTENTS, limits=limits)).to_connected()
    for guild_id in range(1000):
        peer.members(guild_id)
    assert peer.shard.snapshot().queued_commands <= MAX_QUEUED
    peer.call(peer.shard.send, UpdateVoiceState(guild_id=1, channel_id=None))
    start, answered = peer.now, 0
    while len(peer.outcomes) < 1000:
        peer.advance(1.0)
        assert peer.shard.snapshot().queued_commands <= MAX_QUEUED + 1
        asked = peer.payloads(MEMBERS)
        for sent in asked[answered:]:
            peer.chunk(sent["nonce"], 0, 1, guild_id=int(sent["guild_id"]))
        answered = len(asked)
        assert peer.payloads(4) or peer.now < start + 63.0
    assert all(isinstance(outcome, Answered) for outcome in peer.outcomes.values())
    assert peer.now - start >= 8 * 60
    assert len({d["nonce"] for d in peer.payloads(MEMBERS)}) == 1000


def test_a_full_queue_of_the_shard_refuses() -> None:
    peer = Asking(config(intents=INTENTS, limits=Limits(max_queued_commands=1)))
    peer.call(peer.shard.send, UpdateVoiceState(guild_id=1, channel_id=None))
    id = peer.members()
    assert isinstance(peer.error(id), LocalProtocolError)
    peer.to_connected()
    later = peer.members()  # its turn was not used up
    peer.chunk(peer.nonces()[0], 0, 1)
    assert peer.answer(later)
    assert peer.requests.refused(RequestChannelInfo(guild_id=1), LocalProtocolError(), peer.now) == []


def test_a_refused_one_that_was_dropped_meanwhile(peer: Asking) -> None:
    id = peer.requests.request_members(GUILD, peer.now)
    [command] = peer.requests.commands(peer.now)
    peer.requests.drop(id, peer.now)
    assert peer.requests.refused(command, LocalProtocolError(), peer.now) == []


@pytest.mark.failure("F35", "F33")
def test_silence_while_nobody_reads_is_not_judged(peer: Asking) -> None:
    id = peer.members()
    peer.advance(29.0)
    peer.requests.reading_paused(peer.now)
    peer.call(lambda now: peer.shard.reading_paused(peer.generation, now))
    assert peer.requests.next_timeout() is None
    peer.advance(100.0)
    peer.requests.reading_resumed(peer.now)
    peer.call(lambda now: peer.shard.reading_resumed(peer.generation, now))
    peer.requests.reading_resumed(peer.now)
    peer.advance(IDLE_LIMIT - 0.1)
    assert not peer.outcomes
    peer.advance(0.2)
    assert peer.error(id).end is RequestEnd.IDLE


@pytest.mark.failure("F35", "F12")
def test_a_loop_that_was_blocked_reads_first_what_came_meanwhile(peer: Asking) -> None:
    answered, silent = peer.members(), peer.members(OTHER)
    one, _ = peer.nonces()
    peer.now += 36.0
    peer.note(peer.requests.handle_timeout(peer.now))
    assert not peer.outcomes
    peer.chunk(one, 0, 1)
    assert peer.answer(answered)
    peer.now += 30.0  # blocked again
    peer.note(peer.requests.handle_timeout(peer.now))
    assert peer.error(silent).end is RequestEnd.IDLE


def test_a_clock_that_steps_back_stands_still(peer: Asking) -> None:
    id = peer.requests.request_members(GUILD, 2000.0)
    assert peer.requests.next_timeout() == 2000.0
    assert len(peer.requests.commands(5.0)) == 1
    assert peer.requests.handle_timeout(3.0) == []
    peer.requests.drop(id, 0.0)


def test_no_event_is_decoded_that_no_request_waits_for(peer: Asking) -> None:
    peer.chunk("nobody's", 0, 1)
    id = peer.members()
    peer.chunk("nobody's", 0, 1)
    peer.tell("MESSAGE_CREATE", {})
    assert all(event.memo is msgspec.UNSET for event in peer.of(Dispatch))
    peer.requests.drop(id, peer.now)


def test_requeued_is_no_end(peer: Asking) -> None:
    id = peer.requests.request_members(GUILD, peer.now)
    [command] = peer.requests.commands(peer.now)
    for outcome in (CommandOutcome.REQUEUED, CommandOutcome.WRITTEN):
        assert peer.requests.receive(CommandEnded(command=command, outcome=outcome), peer.now) == []
    assert peer.requests.next_timeout() == peer.now + IDLE_LIMIT
    peer.requests.drop(id, peer.now)
