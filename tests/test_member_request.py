"""F35: requests for members, in virtual time against a scripted gateway."""

import copy
import json
import pickle
import random
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    ConnectionStage,
    Dispatch,
    EventDecodeError,
    RequestGuildMembers,
)
from gateway_proto.commands import MAX_NONCE
from gateway_proto.events import GuildMembersChunk
from gateway_proto.requests.answers import (
    IDLE_LIMIT,
    MAX_CHUNKS,
    ChannelInfoRequest,
    IncompleteMembersError,
    MemberRequest,
    Members,
    RequestEnd,
    SoundsRequest,
)
from gateway_proto.requests.machine import (
    MAX_RETRY,
    Answered,
    Failed,
)
from gateway_proto.requests.turns import TURN_PERIOD

from .peer import ready
from .request_helpers import (
    GUILD,
    INFO,
    MEMBERS,
    OTHER,
    Asking,
    chunk,
    ids,
    presence,
    sounds_of,
)


@pytest.fixture
def peer() -> Asking:
    return Asking().to_connected()


# -- all members -----------------------------------------------------------------------------------------------


@pytest.mark.failure("F35")
def test_ten_thousand_members_in_ten_chunks_out_of_order(peer: Asking) -> None:
    id = peer.members()
    [sent] = peer.payloads(MEMBERS)
    nonce = sent.pop("nonce")
    assert sent == {"guild_id": str(GUILD), "query": "", "limit": 0}
    assert len(nonce.encode()) <= MAX_NONCE
    order = list(range(10))
    random.Random(3).shuffle(order)
    for index in order:
        assert not peer.outcomes
        peer.advance(20.0)
        peer.chunk(nonce, index, 10, size=1000)
    members = peer.answer(id)
    assert ids(members) == list(range(10_000))
    assert (members.guild_id, members.presences, members.not_found) == (GUILD, (), ())
    assert len(peer.requests) == 0
    assert peer.requests.next_timeout() is None
    # Nothing is swallowed, and who reads the event later finds it decoded.
    events = [event for event in peer.of(Dispatch) if event.name == "GUILD_MEMBERS_CHUNK"]
    assert len(events) == 10
    assert all(isinstance(event.memo[-1], GuildMembersChunk) for event in events)


@pytest.mark.failure("F35")
def test_a_lost_chunk_ends_it_30_s_after_the_last_with_what_came(peer: Asking) -> None:
    id = peer.members()
    for index in (9, 0, 1, 2, 4, 5, 6, 7, 8):
        peer.advance(7.0)
        peer.chunk(peer.nonces()[0], index, 10, size=1000)
    last = peer.now
    peer.advance(IDLE_LIMIT - 0.001)
    assert not peer.outcomes
    peer.advance(100.0)
    assert peer.ended_at[id] == last + IDLE_LIMIT
    error = peer.error(id)
    assert isinstance(error, IncompleteMembersError)
    assert (error.end, error.missing, error.chunk_count, error.misfits) == (RequestEnd.IDLE, (3,), 10, {})
    assert ids(error.partial) == [*range(3000), *range(4000, 10_000)]
    assert str(error) == "9 of 10 chunks of the members of guild 5: nothing more came for 30 s"
    peer.chunk(peer.nonces()[0], 3, 10)  # too late


@pytest.mark.failure("F35")
def test_no_chunk_at_all_ends_it_30_s_after_it_was_written(peer: Asking) -> None:
    id = peer.members()
    written = peer.now
    peer.advance(40.0)
    assert peer.ended_at[id] == written + IDLE_LIMIT
    error = peer.error(id)
    assert (error.partial, error.chunk_count, error.missing) == (Members(guild_id=GUILD), None, ())
    assert str(error) == "no chunk of the members of guild 5: nothing more came for 30 s"


@pytest.mark.failure("F35")
def test_two_at_once_are_told_apart_by_their_nonces(peer: Asking) -> None:
    one, other, named = peer.members(), peer.members(OTHER), peer.members(query="an")
    nonces = peer.nonces()
    assert len(set(nonces)) == 3
    peer.chunk(nonces[2], 0, 1, size=1)
    peer.chunk(nonces[0], 0, 2)
    peer.chunk(nonces[1], 1, 2, guild_id=OTHER, size=3)
    peer.chunk(nonces[1], 1, 2, guild_id=OTHER, size=3)  # a duplicate
    peer.chunk("somebody else's", 0, 1)
    assert list(peer.outcomes) == [named]
    peer.chunk(nonces[1], 0, 2, guild_id=OTHER, size=3)
    peer.chunk(nonces[0], 1, 2)
    assert list(peer.outcomes) == [named, other, one]
    assert [ids(peer.answer(id)) for id in (one, other, named)] == [[0, 1, 2, 3], [0, 1, 2, 3, 4, 5], [0]]


@pytest.mark.failure("F35", "F11")
def test_all_members_of_a_guild_are_requested_once_in_30_s(peer: Asking) -> None:
    first, second, third, other = peer.members(), peer.members(), peer.members(), peer.members(OTHER)
    start = peer.now
    assert [d["guild_id"] for d in peer.payloads(MEMBERS)] == [str(GUILD), str(OTHER)]
    for nonce, guild_id in zip(peer.nonces(), (GUILD, OTHER), strict=True):
        peer.chunk(nonce, 0, 1, guild_id=guild_id)
    assert set(peer.outcomes) == {first, other}
    peer.advance(TURN_PERIOD - 0.01)
    assert peer.requests.next_timeout() == start + TURN_PERIOD
    assert len(peer.nonces()) == 2
    peer.advance(0.01)
    assert len(peer.nonces()) == 3
    peer.chunk(peer.nonces()[2], 0, 1)
    peer.advance(TURN_PERIOD)
    peer.chunk(peer.nonces()[3], 0, 1)
    assert list(peer.outcomes) == [first, other, second, third]
    assert TURN_PERIOD >= 30


@pytest.mark.failure("F35")
def test_whoever_asks_for_all_uses_up_the_turn(peer: Asking) -> None:
    peer.call(peer.shard.chunk_guilds, [GUILD])
    peer.call(peer.shard.send, RequestGuildMembers(guild_id=OTHER, query="a", limit=1, nonce="mine"))
    peer.advance(1.0)
    peer.members()
    peer.members(OTHER)
    assert [d["guild_id"] for d in peer.payloads(MEMBERS)] == [str(GUILD), str(OTHER), str(OTHER)]
    peer.advance(TURN_PERIOD)
    assert len(peer.payloads(MEMBERS)) == 4


@pytest.mark.failure("F35")
def test_a_dropped_request_has_used_up_its_turn(peer: Asking) -> None:
    peer.requests.drop(peer.members(), peer.now)
    peer.chunk(peer.nonces()[0], 0, 1)
    waiting = peer.members()
    peer.requests.drop(peer.members(), peer.now)
    peer.requests.drop(99, peer.now)
    peer.advance(TURN_PERIOD)
    peer.chunk(peer.nonces()[1], 0, 1)
    assert list(peer.outcomes) == [waiting]
    peer.advance(100.0)
    assert len(peer.nonces()) == 2


# -- RATE_LIMITED ----------------------------------------------------------------------------------------------


@pytest.mark.failure("F35")
def test_rate_limited_is_asked_again_after_retry_after(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    peer.limit(29.5, nonce)
    peer.advance(29.25)
    assert len(peer.nonces()) == 1
    peer.advance(0.25)
    assert peer.nonces() == [nonce, nonce]
    peer.advance(20.0)
    assert not peer.outcomes  # the 30 s begin with the second try
    peer.chunk(nonce, 0, 1)
    assert ids(peer.answer(id)) == [0, 1]


@pytest.mark.failure("F35")
def test_rate_limited_holds_up_all_that_wait_for_the_guild_and_nobody_else(peer: Asking) -> None:
    first = peer.members()
    [nonce] = peer.nonces()
    second = peer.members()
    peer.limit(60.0, nonce)
    peer.members(query="a")
    peer.members(OTHER)
    assert [d["query"] for d in peer.payloads(MEMBERS)] == ["", "a", ""]
    peer.advance(59.0)
    assert len(peer.nonces()) == 3
    peer.advance(1.0)
    assert peer.nonces()[3:] == [nonce]
    peer.chunk(nonce, 0, 1)
    peer.advance(TURN_PERIOD)
    peer.chunk(peer.nonces()[4], 0, 1)
    assert [id for id, outcome in peer.outcomes.items() if isinstance(outcome, Answered)] == [first, second]


@pytest.mark.failure("F35")
def test_somebody_elses_rate_limit_is_the_guilds(peer: Asking) -> None:
    peer.members(OTHER)
    peer.limit(10.0, None)
    peer.limit(12.0, "somebody else's")
    peer.limit(5.0, "somebody else's")
    peer.members()
    assert len(peer.nonces()) == 1
    peer.advance(11.9)
    assert len(peer.nonces()) == 1
    peer.advance(0.1)
    assert len(peer.nonces()) == 2


@pytest.mark.parametrize("retry_after", [-1.0, 0.0, 1e-9])
def test_a_retry_after_of_nothing_makes_no_hot_loop(peer: Asking, retry_after: float) -> None:
    peer.members(query="a")
    for _ in range(5):
        peer.limit(retry_after, peer.nonces()[0])
        peer.advance(0.9)
    assert len(peer.nonces()) <= 5
    peer.advance(1.0)
    peer.limit(1e300, peer.nonces()[0])
    count = len(peer.nonces())
    peer.advance(MAX_RETRY - 1)
    assert len(peer.nonces()) == count
    peer.advance(1.0)
    assert len(peer.nonces()) == count + 1


def test_a_rate_limit_that_cannot_be_read_or_comes_too_late_changes_nothing(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    oddities: list[Any] = [
        [],
        {"opcode": 8},
        {"opcode": 8, "retry_after": 9.0, "meta": {}},
        {"opcode": 8, "retry_after": "soon", "meta": {"nonce": nonce}},
    ]
    for odd in oddities:
        peer.tell("RATE_LIMITED", odd)
    peer.chunk(nonce, 0, 2)
    peer.limit(5.0, nonce)
    peer.advance(10.0)
    assert len(peer.nonces()) == 1
    peer.chunk(nonce, 1, 2)
    assert ids(peer.answer(id)) == [0, 1, 2, 3]


# -- connections and sessions ----------------------------------------------------------------------------------


@pytest.mark.failure("F35")
def test_a_resume_goes_on_where_it_was(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    peer.chunk(nonce, 1, 3)
    peer.advance(20.0)
    peer.eof()
    for _ in range(4):  # an outage of more than 30 s: nobody could have heard anything
        peer.redial()
        peer.advance(9.0)
        peer.do(peer.shard.connection_failed(peer.generation, "down", peer.now))
    assert not peer.outcomes
    peer.resume_again()
    peer.chunk(nonce, 0, 3)
    peer.tell("RESUMED", {})
    peer.advance(IDLE_LIMIT - 0.01)
    assert not peer.outcomes
    peer.chunk(nonce, 2, 3)
    assert ids(peer.answer(id)) == [0, 1, 2, 3, 4, 5]
    assert len(peer.nonces()) == 1


@pytest.mark.failure("F35")
def test_an_answer_that_comes_after_all_is_not_asked_for_again(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    peer.advance(1.0)
    peer.eof()
    peer.resume_again()
    peer.tell("RESUMED", {})
    peer.advance(10.0)
    peer.chunk(nonce, 0, 2)  # while it waits for its next turn
    peer.advance(25.0)
    peer.chunk(nonce, 1, 2)
    assert ids(peer.answer(id)) == [0, 1, 2, 3]
    peer.advance(2 * TURN_PERIOD)
    assert peer.nonces() == [nonce]


@pytest.mark.failure("F35")
def test_a_first_part_is_waited_after_for_thirty_seconds(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    peer.advance(1.0)
    peer.eof()
    peer.resume_again()
    peer.tell("RESUMED", {})
    peer.chunk(nonce, 0, 2)
    peer.advance(IDLE_LIMIT + 2.0)
    outcome = peer.outcomes[id]
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, IncompleteMembersError)
    assert list(outcome.error.missing) == [1]
    assert peer.nonces() == [nonce]


@pytest.mark.failure("F35")
def test_of_which_nothing_has_come_by_resumed_may_have_died_with_its_socket(peer: Asking) -> None:
    every, named = peer.members(), peer.members(query="a")
    nonces, start = peer.nonces(), peer.now
    peer.advance(2.0)
    peer.resume()
    assert peer.nonces() == [*nonces, nonces[1]]
    peer.chunk(nonces[1], 0, 1, size=1)
    peer.advance(start + TURN_PERIOD - 0.1 - peer.now)
    assert len(peer.nonces()) == 3
    peer.advance(0.1)
    assert peer.nonces()[3:] == [nonces[0]]
    peer.chunk(nonces[0], 0, 1)
    assert (ids(peer.answer(every)), ids(peer.answer(named))) == ([0, 1], [0])


@pytest.mark.failure("F35", "F11")
def test_a_new_session_is_asked_again_from_the_start_in_turn(peer: Asking) -> None:
    every, named = peer.members(), peer.members(query="a", presences=True)
    nonces = peer.nonces()
    start = peer.now
    peer.chunk(nonces[0], 0, 2)
    peer.chunk(nonces[1], 0, 2)
    peer.reidentify()
    assert peer.now < start + TURN_PERIOD - 1
    assert peer.nonces() == [*nonces, nonces[1]]
    assert peer.payloads(MEMBERS)[2]["presences"] is True
    peer.chunk(nonces[1], 1, 2, presences=[presence(2)])
    assert not peer.outcomes
    peer.chunk(nonces[1], 0, 2, presences=[presence(1)])
    assert [one.user.id for one in peer.answer(named).presences] == [1, 2]
    peer.advance(start + TURN_PERIOD - 0.01 - peer.now)
    assert len(peer.nonces()) == 3
    peer.advance(0.01)
    assert peer.nonces()[3:] == [nonces[0]]
    peer.chunk(nonces[0], 0, 1)
    assert ids(peer.answer(every)) == [0, 1]


def test_what_is_queued_when_the_connection_dies_goes_out_once() -> None:
    peer = Asking()
    id = peer.members()
    channel = peer.ask(peer.requests.request_channel_info(GUILD, ("status",), peer.now))
    peer.to_handshake()
    peer.eof()
    peer.resume_again()
    peer.permit()
    peer.advance(100.0)  # of identifying; the 30 s have not begun
    peer.dispatch(1, "READY", ready())
    peer.advance(0.0)
    [nonce] = peer.nonces()
    assert len(peer.payloads(INFO)) == 1
    peer.chunk(nonce, 0, 1)
    peer.tell("CHANNEL_INFO", {"guild_id": str(GUILD), "channels": []})
    assert list(peer.outcomes) == [id, channel]


@pytest.mark.failure("F35")
def test_the_end_of_the_shard_ends_every_request() -> None:
    peer = Asking().to_connected()
    begun, waiting, sounds = peer.members(), peer.members(), peer.ask(sounds_of(peer, GUILD, OTHER))
    peer.chunk(peer.nonces()[0], 1, 3)
    peer.close(4004)
    assert {peer.error(id).end for id in (begun, waiting, sounds)} == {RequestEnd.CLOSED}
    assert (ids(peer.error(begun).partial), peer.error(begun).missing) == ([2, 3], (0, 2))
    assert (peer.error(sounds).partial, peer.error(sounds).missing) == ({}, (GUILD, OTHER))
    assert peer.requests.close(peer.now) == []


def test_what_a_closed_shard_drops_has_ended() -> None:
    peer = Asking()
    queued = peer.members()
    peer.call(peer.shard.close)
    assert peer.error(queued).end is RequestEnd.CLOSED
    late = peer.members()
    assert peer.error(late).end is RequestEnd.CLOSED
    peer.note(peer.requests.close(peer.now))
    assert len(peer.outcomes) == 2


# -- what a hostile gateway says -------------------------------------------------------------------------------


@pytest.mark.failure("F35")
def test_a_chunk_that_does_not_decode_kills_no_request(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    peer.chunk(nonce, 0, 3)
    peer.chunk(nonce, 1, 3, members=[{"user": 3}])
    peer.chunk(nonce, 1, 3)  # a duplicate
    peer.chunk(nonce, 2, 3)
    error = peer.error(id)
    assert (error.end, error.missing, error.chunk_count) == (RequestEnd.MISFIT, (), 3)
    assert ids(error.partial) == [0, 1, 4, 5]
    assert list(error.misfits) == [1]
    assert isinstance(error.misfits[1], EventDecodeError)
    assert str(error) == (
        f"2 of 3 chunks of the members of guild 5: part of the answer cannot be decoded ({error.misfits[1]})"
    )
    assert peer.shard.stage is ConnectionStage.CONNECTED
    for twin in (copy.deepcopy(error), pickle.loads(pickle.dumps(error))):
        assert (twin, str(twin), twin.partial) == (error, str(error), error.partial)


@pytest.mark.failure("F35")
def test_odd_chunks_are_ignored(peer: Asking) -> None:
    id = peer.members()
    [nonce] = peer.nonces()
    for odd in (
        {"chunk_index": -1},
        {"chunk_index": 4},
        {"chunk_index": 0, "chunk_count": 0},
        {"chunk_index": 0, "chunk_count": -4},
        {"chunk_index": 0, "chunk_count": MAX_CHUNKS + 1},
        {"chunk_index": "first"},
        {"chunk_count": None},
        {"guild_id": str(OTHER)},
        {"guild_id": None},
        {"nonce": None},
        {"nonce": 7},
        {"nonce": nonce.upper() + " "},
    ):
        peer.tell("GUILD_MEMBERS_CHUNK", {**chunk(nonce, 1, 4), **odd})
    nothings: list[Any] = [None, [], "x", {}]
    for nothing in nothings:
        peer.tell("GUILD_MEMBERS_CHUNK", nothing)
    assert not peer.outcomes
    peer.advance(40.0)
    assert peer.error(id).chunk_count is None


@pytest.mark.failure("F35")
def test_a_count_that_changes_never_passes_off_a_part_for_the_whole(peer: Asking) -> None:
    shrinking, growing = peer.members(), peer.members(query="a")
    one, other = peer.nonces()
    peer.chunk(one, 0, 3)
    peer.chunk(one, 1, 2)
    peer.chunk(one, 0, 1)
    peer.chunk(other, 0, 2)
    peer.chunk(other, 1, 3)
    assert not peer.outcomes
    peer.chunk(one, 2, 3)
    peer.chunk(other, 2, 3)
    assert ids(peer.answer(shrinking)) == ids(peer.answer(growing)) == [0, 1, 2, 3, 4, 5]


def test_what_was_not_found_and_the_presences_are_collected(peer: Asking) -> None:
    id = peer.members(user_ids=(user for user in (1, 2, 77, 78)), presences=True)
    [sent] = peer.payloads(MEMBERS)
    assert (sent["user_ids"], sent["presences"], "query" in sent) == (["1", "2", "77", "78"], True, False)
    peer.chunk(sent["nonce"], 1, 2, presences=[presence(2)], not_found=["78"])
    peer.chunk(sent["nonce"], 0, 2, presences=[presence(1)], not_found=["77"])
    members = peer.answer(id)
    assert members.not_found == (77, 78)
    assert [one.user.id for one in members.presences] == [1, 2]


# -- the collector by itself -----------------------------------------------------------------------------------


def test_the_collector_of_one_request() -> None:
    def event(d: Any) -> Dispatch:
        return Dispatch(1, 1, "GUILD_MEMBERS_CHUNK", msgspec.Raw(json.dumps(d).encode()))

    request = MemberRequest(GUILD, "n")
    assert (request.has_begun, request.is_complete, request.missing) == (False, False, ())
    assert request.receive(event(chunk("n", 2, 3)))
    assert not request.receive(event(chunk("n", 2, 3)))
    assert not request.receive(event(chunk("m", 1, 3)))
    assert not request.receive(event([]))
    assert (request.has_begun, request.missing) == (True, (0, 1))
    assert request.receive(event(chunk("n", 0, 3)))
    assert ids(request.result()) == [0, 1, 4, 5]
    assert request.receive(event(chunk("n", 1, 3)))
    assert request.is_complete
    assert request.outcome() == request.result()
    other = Dispatch(1, 1, "GUILD_MEMBERS", event(chunk("n", 0, 1)).raw)
    assert not MemberRequest(GUILD, "n").receive(other)
    assert not SoundsRequest((GUILD,)).receive(other)
    assert not ChannelInfoRequest(GUILD).receive(other)
    channel = ChannelInfoRequest(GUILD)
    info = msgspec.structs.replace(other, name="CHANNEL_INFO", raw=msgspec.Raw(b'{"guild_id":"5","channels":[]}'))
    assert [channel.receive(info), channel.receive(info)] == [True, False]
    request.restart()
    assert request.result() == Members(guild_id=GUILD)
