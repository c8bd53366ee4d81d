"""A server with a world: what a session begins with, what it is told, and what it is answered."""

import json
import random
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.errors import InvalidConfigError, LocalProtocolError
from gateway_proto.event_intents import EVENT_INTENTS
from gateway_proto.intents import Intents
from gateway_proto.server import (
    AtSequence,
    Close,
    GuildWorld,
    Planned,
    RequestUnanswered,
    Server,
    ServerConfig,
    ServerLimits,
    Withhold,
    WorldConfig,
)
from gateway_proto.server.outbox import PORTION
from gateway_proto.sharding import shard_id_for
from gateway_proto.testing.stream import Tally

from .server_helpers import Client, Rig, identify_data, message, text_frame, upgrade_request
from .world_helpers import ALL, STRICT, URL, Cache, bodies, decode, play, shard_client, summary, world_rig

BOT = ServerConfig().user_id


def world_of(rig: Rig) -> GuildWorld:
    assert rig.server.world is not None
    return rig.server.world


def created(client: Client) -> list[int]:
    return [int(guild["id"]) for guild in bodies(client, "GUILD_CREATE")]


def unanswered(rig: Rig) -> list[str]:
    return [action.reason for action in rig.reported(RequestUnanswered)]


# -- how a session begins ------------------------------------------------------------------------------------------


def test_ready_lists_the_shards_guilds_and_each_is_created() -> None:
    rig = world_rig(guilds=60)
    total = 4
    seen: list[int] = []
    for index in range(total):
        client = shard_client(rig, shard=(index, total))
        [ready] = bodies(client, "READY")
        assert all(guild == {"id": guild["id"], "unavailable": True} for guild in ready["guilds"])
        listed = [int(guild["id"]) for guild in ready["guilds"]]
        assert all(shard_id_for(id, total) == index for id in listed)
        assert created(client) == listed
        assert client.sequences() == list(range(1, len(listed) + 2))
        seen += listed
    assert sorted(seen) == sorted(world_of(rig).guild_ids)


def test_without_guilds_there_is_no_guild_create_but_what_happens_is_told() -> None:
    rig = world_rig()
    client = shard_client(rig, intents=int(Intents.GUILD_MESSAGES))
    assert len(bodies(client, "READY")[0]["guilds"]) == 4
    play(rig, 50)
    needed = {EVENT_INTENTS.get(name, Intents.GUILD_MESSAGES) & Intents.GUILD_MESSAGES for name in client.events()}
    assert needed == {Intents.GUILD_MESSAGES}
    assert "MESSAGE_CREATE" in client.events()


def test_identify_settles_what_a_guild_create_shows() -> None:
    presence: dict[str, Any] = {"status": "idle", "activities": [], "since": None, "afk": False}
    rig = world_rig(guilds=3, members=60)
    client = shard_client(rig, large_threshold=250, presence=presence)
    assert any(guild["large"] for guild in bodies(client, "GUILD_CREATE"))
    for guild in bodies(client, "GUILD_CREATE"):
        assert len(guild["members"]) == guild["member_count"] or guild["large"]
        assert {"user": {"id": str(BOT)}, "status": "idle"}.items() <= guild["presences"][-1].items()
    bare = shard_client(rig, intents=int(Intents.GUILDS))
    for guild in bodies(bare, "GUILD_CREATE"):
        assert (guild["presences"], guild["voice_states"]) == ([], [])


def test_guilds_are_made_as_the_client_takes_them() -> None:
    """Twenty thousand in one session, and no more of them in memory than its portion and its replay."""
    config = ServerConfig(
        resume_url=URL, world=WorldConfig(guilds=20_000, members=50), replay_events=100, identify_period=0.0
    )
    server = Server(config, rng=random.Random(1))
    connection = server.accept(0.0)
    connection.receive_data(upgrade_request(), 0.0)
    connection.data_to_send(0.0)
    tracemalloc.start()
    try:
        connection.receive_data(text_frame(message(2, identify_data(intents=1))), 0.0)
        ready = connection.data_to_send(0.0)
        assert len(ready) < 2**20 + PORTION
        assert connection.session is not None
        assert connection.session.sequence < 50
        for _ in range(100):
            assert connection.next_timeout() == 0.0
            connection.handle_timeout(0.0)
            data = connection.data_to_send(0.0)
            assert PORTION <= len(data) < 2 * PORTION
        assert 500 < connection.session.sequence < 2000
        assert tracemalloc.get_traced_memory()[1] < 32 * 2**20
    finally:
        tracemalloc.stop()


def test_a_replay_holds_no_more_than_its_bytes() -> None:
    limit = 200_000
    rig = world_rig(guilds=60, members=30, config={"limits": ServerLimits(max_replay=limit)})
    client = shard_client(rig)
    buffer = rig.server.sessions[client.session_id].buffer
    kept = buffer.after(buffer.lost) or []
    assert len(kept) == len(buffer) < 61
    assert limit - 100_000 < sum(map(len, kept)) <= limit
    assert buffer.after(buffer.lost - 1) is None


def test_what_happens_in_a_guild_that_is_yet_to_come_is_in_its_guild_create() -> None:
    rig = world_rig(guilds=40, members=40, shares={"GUILD_UPDATE": 1.0}, seed=5)
    world = world_of(rig)
    connection = rig.server.accept(0.0)
    connection.receive_data(upgrade_request() + text_frame(message(2, identify_data(intents=ALL))), 0.0)
    first, last = connection.data_to_send(0.0), b""
    target = next(id for id in world.guild_ids if f'"id":"{id}","icon"'.encode() not in first)
    event = world.happen("GUILD_UPDATE", target)
    assert event is not None
    assert rig.server.dispatch_world(event, 0.0) == []
    gone = world.guild_ids[-1]
    left = world.leave(gone)
    assert left is not None
    rig.server.dispatch_world(left, 0.0)
    while connection.next_timeout() == 0.0:
        connection.handle_timeout(0.0)
        last += connection.data_to_send(0.0)
    assert last.count(decode(event.data)["name"].encode()) == 1
    assert b"GUILD_UPDATE" not in last
    assert f'"id":"{gone}"}}'.encode() in last
    assert f'"id":"{gone}","icon"'.encode() not in last


def test_the_rest_of_the_guilds_comes_after_a_resume() -> None:
    plan = (Planned(when=AtSequence(20), fault=Close(4000)),)
    rig = world_rig(guilds=50, members=40, config={"plan": plan})
    client = shard_client(rig)
    assert client.closed is not None
    assert len(created(client)) == 19
    again = rig.client()
    again.resume(client.session_id, 15)
    assert again.events()[:6] == ["GUILD_CREATE"] * 5 + ["RESUMED"]
    assert again.sequences() == list(range(16, 53))
    assert created(client)[:14] + created(again) == list(world_of(rig).guild_ids)


def test_a_guild_create_can_be_lost_by_a_fault() -> None:
    rig = world_rig(guilds=5, config={"plan": (Planned(when=AtSequence(3), fault=Withhold()),)})
    client = shard_client(rig)
    assert client.sequences() == [1, 2, 4, 5, 6]


# -- what happens --------------------------------------------------------------------------------------------------


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(0, ALL).map(lambda bits: bits & ALL), st.integers(0, 3)), min_size=1, max_size=6),
    st.integers(50, 200),
)
@settings(max_examples=40, deadline=None)
def test_no_session_is_told_what_its_intents_or_its_shard_exclude(
    seed: int, sessions: list[tuple[int, int]], count: int
) -> None:
    rig = world_rig(seed=seed, guilds=6, members=6, outage_rate=0.02, direct=0.2)
    shards = [None, (0, 2), (1, 2), (2, 3)]
    clients = [(shard_client(rig, intents=intents, shard=shards[which]), intents, shards[which] or (0, 1))
               for intents, which in sessions]  # fmt: skip
    play(rig, count)
    for client, intents, (index, total) in clients:
        for received in client.received:
            if received["op"] != 0:
                continue
            name, d = received["t"], received["d"]
            guild_id = d["id"] if name in ("GUILD_CREATE", "GUILD_DELETE", "GUILD_UPDATE") else d.get("guild_id")
            if name != "READY":
                assert index == (0 if guild_id is None else shard_id_for(int(guild_id), total))
            own = name == "GUILD_MEMBER_UPDATE" and d["user"]["id"] == str(BOT)
            needed = EVENT_INTENTS.get(name, Intents.none())
            direct = Intents.DIRECT_MESSAGES | Intents.DIRECT_MESSAGE_REACTIONS | Intents.DIRECT_MESSAGE_TYPING
            if needed and not own:
                assert intents & needed & (direct if guild_id is None else ~direct), name
            if name in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and not intents & Intents.MESSAGE_CONTENT:
                concerns = {d["author"]["id"], *(user["id"] for user in d["mentions"])}
                assert not d["content"] or guild_id is None or str(BOT) in concerns
            STRICT[name](json.dumps(d).encode())


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(20, 300))
@settings(max_examples=25, deadline=None)
def test_a_bots_cache_is_right_by_events_alone(seed: int, total: int, count: int) -> None:
    """For each shard, after drops of nothing: what GUILD_CREATE and the events said is what the world is."""
    rig = world_rig(seed=seed, guilds=5, members=6, outages=0.2, outage_rate=0.01, outage_length=20)
    clients = [shard_client(rig, shard=(index, total), large_threshold=250) for index in range(total)]
    play(rig, count)
    world = world_of(rig)
    known: dict[str, Any] = {}
    for client in clients:
        cache = Cache(BOT)
        for received in client.received:
            if received["op"] == 0:
                cache.receive(received["t"], received["d"])
        assert not known.keys() & cache.guilds.keys()
        known |= cache.guilds
    assert known.keys() == {str(id) for id in world.guild_ids if world.is_available(id)}
    for guild_id, guild in known.items():
        now = summary(decode(world.guild_create(int(guild_id), large_threshold=250)))
        guild["presences"] = {user: status for user, status in guild["presences"].items() if status != "offline"}
        if len(now["members"]) <= 250:
            assert guild == now


def test_what_is_about_the_bot_or_needs_no_intent_is_told_without() -> None:
    shares = {"GUILD_MEMBER_UPDATE": 1.0, "INTERACTION_CREATE": 0.1}
    rig = world_rig(shares=shares)
    blind, other = shard_client(rig, intents=0), shard_client(rig)
    play(rig, 400)
    own = [d for d in bodies(other, "GUILD_MEMBER_UPDATE") if d["user"]["id"] == str(BOT)]
    assert len(own) > 2
    assert bodies(blind, "GUILD_MEMBER_UPDATE") == own
    assert bodies(blind, "INTERACTION_CREATE") == bodies(other, "INTERACTION_CREATE") != []


def test_all_that_happens_is_told_to_who_has_all_intents() -> None:
    rig = world_rig(guilds=20)
    clients = [shard_client(rig, shard=(index, 3)) for index in range(3)]
    direct = 0
    for number in range(1, 300):
        event = world_of(rig).next_event()
        direct += event.guild_id is None
        rig.run(rig.server.dispatch_world(event, 0.0))
        index = 0 if event.guild_id is None else shard_id_for(event.guild_id, 3)
        assert clients[index].received[-1]["t"] == event.name
        assert sum(rig.server.world_numbers().values()) == number
    assert direct


def test_direct_messages_and_those_of_guilds_have_intents_of_their_own() -> None:
    rig = world_rig(shares={"MESSAGE_CREATE": 1.0}, direct=0.5)
    direct = shard_client(rig, intents=int(Intents.DIRECT_MESSAGES))
    guilds = shard_client(rig, intents=int(Intents.GUILD_MESSAGES))
    play(rig, 40)
    told = [{"guild_id" in d for d in bodies(client, "MESSAGE_CREATE")} for client in (direct, guilds)]
    assert told == [{False}, {True}]


def added(d: Any) -> set[str]:
    return {member["user_id"] for member in d.get("added_members", ())}


def test_who_joins_a_thread_is_told_with_guild_members() -> None:
    rig = world_rig(guilds=1, shares={"THREAD_CREATE": 1.0, "THREAD_MEMBERS_UPDATE": 1.0})
    client, blind = shard_client(rig), shard_client(rig, intents=int(Intents.GUILDS))
    play(rig, 400)
    changes = bodies(client, "THREAD_MEMBERS_UPDATE")
    own = [d for d in changes if str(BOT) in {*d.get("removed_member_ids", ()), *added(d)}]
    assert 0 < len(own) < len(changes)
    # Without that intent there are those of the bot itself.
    assert bodies(blind, "THREAD_MEMBERS_UPDATE") == own
    assert bodies(blind, "THREAD_CREATE") == bodies(client, "THREAD_CREATE")


def test_a_payload_is_encoded_once_for_all_sessions() -> None:
    rig = world_rig(guilds=1, direct=0.0, shares={"MESSAGE_CREATE": 1.0})
    reading = [shard_client(rig) for _ in range(2)]
    blind = [shard_client(rig, intents=ALL & ~int(Intents.MESSAGE_CONTENT)) for _ in range(2)]
    event = world_of(rig).next_event()
    assert event.bare is not None
    rig.run(rig.server.dispatch_world(event, 0.0))
    assert [bodies(client, "MESSAGE_CREATE") for client in reading] == [[decode(event.data)]] * 2
    assert [bodies(client, "MESSAGE_CREATE") for client in blind] == [[decode(event.bare)]] * 2


def test_numbers_count_what_each_shard_was_sent() -> None:
    rig = world_rig(guilds=30, numbered=True, outage_rate=0.01)
    clients = [shard_client(rig, shard=(index, 2), intents=int(Intents.GUILDS | Intents.GUILD_MESSAGES))
               for index in range(2)]  # fmt: skip
    play(rig, 500)
    clients[0].eof()
    play(rig, 20)
    resumed = rig.client()
    resumed.resume(clients[0].session_id, clients[0].sequences()[-1])
    play(rig, 100)
    tally = Tally()
    for (index, _), number in rig.server.world_numbers().items():
        assert number > 100
        tally.sent(number, index)
    for client in (*clients, resumed):
        for received in client.received:
            if received["op"] == 0:
                tally.receive(received["t"], json.dumps(received["d"]).encode())
    assert tally.whole()


def test_sessions_of_one_shard_are_told_the_same_number() -> None:
    rig = world_rig(numbered=True)
    first, second = shard_client(rig), shard_client(rig, shard=(0, 1))
    play(rig, 40)
    told = [[d["d"]["_number"] for d in client.received if d["op"] == 0 and "_number" in d["d"]]
            for client in (first, second)]  # fmt: skip
    assert told == [list(range(1, 41))] * 2


def test_an_outage_by_script() -> None:
    rig = world_rig(guilds=3)
    world = world_of(rig)
    client, blind = shard_client(rig), shard_client(rig, intents=int(Intents.GUILD_MESSAGES))
    guild_id = world.guild_ids[0]
    for change in (world.begin_outage, world.end_outage):
        event = change(guild_id)
        assert event is not None
        rig.run(rig.server.dispatch_world(event, 0.0))
    assert client.events()[-2:] == ["GUILD_DELETE", "GUILD_CREATE"]
    assert client.received[-2]["d"] == {"id": str(guild_id), "unavailable": True}
    assert client.received[-1]["d"]["unavailable"] is False
    assert blind.events() == ["READY"]
    assert world.end_outage(guild_id) is None


def test_a_guild_in_an_outage_at_ready_comes_when_it_is_over() -> None:
    rig = world_rig(guilds=3)
    world = world_of(rig)
    guild_id = world.guild_ids[1]
    world.begin_outage(guild_id)
    client = shard_client(rig)
    assert len(bodies(client, "READY")[0]["guilds"]) == 3
    assert guild_id not in created(client)
    back = world.end_outage(guild_id)
    assert back is not None
    rig.run(rig.server.dispatch_world(back, 0.0))
    assert created(client)[-1] == guild_id


def test_the_bot_joins_and_leaves_guilds() -> None:
    rig = world_rig(guilds=2)
    world, client = world_of(rig), shard_client(rig)
    for change in (world.join, world.leave):
        event = change(7 << 22)
        assert event is not None
        rig.run(rig.server.dispatch_world(event, 0.0))
        assert change(7 << 22) is None
    assert client.received[-2]["d"]["id"] == str(7 << 22)
    assert client.received[-1]["d"] == {"id": str(7 << 22)}


def test_without_a_world_nothing_can_happen_in_it() -> None:
    server = Server(ServerConfig(), rng=random.Random(1))
    assert server.world is None
    assert server.world_numbers() == {}
    event = GuildWorld().next_event()
    with pytest.raises(LocalProtocolError, match="ServerConfig"):
        server.dispatch_world(event, 0.0)
    with pytest.raises(InvalidConfigError, match="guild_ids, shard_guilds and world each say"):
        ServerConfig(world=WorldConfig(), guild_ids=(1,))


def test_an_expired_session_is_told_nothing() -> None:
    rig = world_rig()
    client = shard_client(rig)
    client.eof()
    rig.advance(1000.0)
    play(rig)
    assert not rig.server.sessions
    play(rig)


# -- what is asked -------------------------------------------------------------------------------------------------


def ask(client: Client, **fields: Any) -> None:
    client.say(8, fields)


def last(client: Client) -> tuple[str, Any]:
    return client.received[-1]["t"], client.received[-1]["d"]


@pytest.mark.failure("F35")
def test_all_members_come_in_chunks_of_a_thousand() -> None:
    rig = world_rig(guilds=60, members=200)
    world, client = world_of(rig), shard_client(rig)
    guild_id = max(world.guild_ids, key=lambda id: len(world.look(id).members))
    count = len(world.look(guild_id).members)
    assert count > 2000
    ask(client, guild_id=str(guild_id), query="", limit=0, nonce="n", presences=True)
    chunks = bodies(client, "GUILD_MEMBERS_CHUNK")
    assert [chunk["chunk_index"] for chunk in chunks] == list(range(-(-count // 1000)))
    assert {chunk["chunk_count"] for chunk in chunks} == {len(chunks)}
    assert {chunk["nonce"] for chunk in chunks} == {"n"}
    assert {len(chunk["members"]) for chunk in chunks[:-1]} == {1000}
    ids = [member["user"]["id"] for chunk in chunks for member in chunk["members"]]
    assert len(set(ids)) == len(ids) == count
    for chunk in chunks:
        there = {member["user"]["id"] for member in chunk["members"]}
        assert 0 < len(chunk["presences"]) < 500
        assert {presence["user"]["id"] for presence in chunk["presences"]} <= there
        assert "not_found" not in chunk


@pytest.mark.failure("F35")
def test_all_members_of_a_guild_may_be_asked_for_once_in_30_s() -> None:
    rig = world_rig(guilds=3)
    client = shard_client(rig)
    first, second, _ = map(str, world_of(rig).guild_ids)
    ask(client, guild_id=first, query="", limit=0, nonce="a")
    assert last(client)[0] == "GUILD_MEMBERS_CHUNK"
    rig.now = 10.0
    for guild_id, nonce, wanted in ((first, "b", "RATE_LIMITED"), (second, "c", "GUILD_MEMBERS_CHUNK")):
        ask(client, guild_id=guild_id, query="", limit=0, nonce=nonce)
        assert last(client)[0] == wanted
    [limited] = bodies(client, "RATE_LIMITED")
    assert limited == {"opcode": 8, "retry_after": 20.0, "meta": {"guild_id": first, "nonce": "b"}}
    # What names members is not limited.
    ask(client, guild_id=first, query="", limit=5)
    assert len(last(client)[1]["members"]) == 5
    # Another session is the same bot.
    other = shard_client(rig)
    ask(other, guild_id=first, query="", limit=0)
    assert last(other) == ("RATE_LIMITED", {"opcode": 8, "retry_after": 20.0, "meta": {"guild_id": first}})
    rig.now = 29.9
    ask(client, guild_id=first, query="", limit=0, nonce="d")
    assert last(client)[1]["retry_after"] == pytest.approx(0.1)
    rig.now = 30.0
    ask(client, guild_id=first, query="", limit=0, nonce="e")
    assert last(client)[1]["nonce"] == "e"


@pytest.mark.failure("F35")
@pytest.mark.parametrize("intents", [int(Intents.all()), int(Intents.GUILDS)], ids=["all", "guilds"])
def test_a_limit_is_no_way_round_the_limits_on_all_members(intents: int) -> None:
    """An empty query with a limit is one by name: at most 100, however often, and without the intent."""
    rig = world_rig(guilds=3, members=3000)
    client = shard_client(rig, intents=intents)
    guild_id = world_of(rig).guild_ids[0]
    for _ in range(3):
        ask(client, guild_id=guild_id, query="", limit=2**40)
        name, chunk = last(client)
        assert (name, len(chunk["members"]), chunk["chunk_count"]) == ("GUILD_MEMBERS_CHUNK", 100, 1)


def test_members_by_name_and_by_id() -> None:
    rig = world_rig(guilds=3, members=60)
    world, client = world_of(rig), shard_client(rig)
    guild_id = world.guild_ids[1]
    everybody = world.members(guild_id, world.members_by_name(guild_id, "", 0))
    ask(client, guild_id=guild_id, query="kA", limit=500)
    [chunk] = bodies(client, "GUILD_MEMBERS_CHUNK")
    names = [(decode(member["user"])["username"], member["nick"] or "") for member in everybody]
    matching = [name for name, nick in names if name.startswith("ka") or nick.startswith("ka")]
    assert [member["user"]["username"] for member in chunk["members"]] == matching[:100]
    assert sum(name.startswith("ka") for name, _ in names) > 5
    assert sum(nick.startswith("ka") for _, nick in names) > 1
    assert not {"nonce", "presences", "not_found"} & chunk.keys()
    ask(client, guild_id=guild_id, query="ka", limit=3)
    assert len(last(client)[1]["members"]) == 3
    ask(client, guild_id=guild_id, query="g", limit=0)
    assert 0 < len(last(client)[1]["members"]) <= 100
    user_ids = [decode(member["user"])["id"] for member in everybody[5:8]]
    near = str(int(user_ids[0]) ^ 1)
    ask(client, guild_id=guild_id, user_ids=[*user_ids, "1", near, *user_ids, str(BOT)], limit=0, nonce="x" * 33)
    name, chunk = last(client)
    assert name == "GUILD_MEMBERS_CHUNK"
    assert [member["user"]["id"] for member in chunk["members"]] == [*user_ids, str(BOT)]
    assert chunk["not_found"] == ["1", near]
    assert "nonce" not in chunk
    ask(client, guild_id=guild_id, user_ids=user_ids[0])
    assert len(last(client)[1]["members"]) == 1


@pytest.mark.failure("F35")
def test_what_discord_leaves_unanswered() -> None:
    rig = world_rig(guilds=8)
    world = world_of(rig)
    client = shard_client(rig, shard=(0, 2), intents=int(Intents.GUILDS))
    mine = next(id for id in world.guild_ids if shard_id_for(id, 2) == 0)
    theirs = next(id for id in world.guild_ids if shard_id_for(id, 2) == 1)
    before = len(client.received)
    ask(client, guild_id=mine, query="", limit=0)
    ask(client, guild_id=theirs, query="a", limit=1)
    ask(client, guild_id=8, query="a", limit=1)
    client.say(4, {"guild_id": mine, "channel_id": "1", "self_mute": False, "self_deaf": False})
    client.say(4, {"guild_id": mine, "channel_id": None, "self_mute": False, "self_deaf": False})
    world.begin_outage(mine)
    ask(client, guild_id=mine, query="a", limit=1)
    client.say(43, {"guild_id": mine, "fields": ["status"]})
    client.say(31, {"guild_ids": [mine, theirs]})
    assert len(client.received) == before
    assert client.closed is None
    assert unanswered(rig) == [
        f"all members of guild {mine} need the intent GUILD_MEMBERS",
        f"guild {theirs} is none of this shard's",
        "guild 8 is none of this shard's",
        f"1 is no voice channel of guild {mine}",
        f"the bot is in no voice channel of guild {mine}",
        *[f"guild {mine} is unavailable"] * 3,
        f"guild {theirs} is none of this shard's",
    ]


def test_presences_need_their_intent() -> None:
    rig = world_rig(guilds=2, members=40)
    client = shard_client(rig, intents=int(Intents.GUILD_MEMBERS))
    ask(client, guild_id=world_of(rig).guild_ids[0], query="", limit=0, presences=True)
    assert "presences" not in last(client)[1]


def test_the_bot_in_voice_is_seen_by_who_may() -> None:
    rig = world_rig(guilds=3)
    world = world_of(rig)
    client, other = shard_client(rig), shard_client(rig)
    blind = shard_client(rig, intents=int(Intents.GUILDS))
    guild_id = world.guild_ids[0]
    channel = world.look(guild_id).channels_of(2)[0]
    client.say(4, {"guild_id": guild_id, "channel_id": channel, "self_mute": True, "self_deaf": False})
    assert client.events()[-2:] == ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"]
    [state] = bodies(client, "VOICE_STATE_UPDATE")
    assert (state["user_id"], state["channel_id"], state["self_mute"]) == (str(BOT), channel, True)
    assert last(client)[1].keys() == {"token", "guild_id", "endpoint"}
    assert bodies(other, "VOICE_STATE_UPDATE") == [state]
    assert not {"VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"} & set(blind.events())
    client.say(4, {"guild_id": guild_id, "channel_id": channel, "self_mute": False, "self_deaf": False})
    assert client.events()[-1] == "VOICE_STATE_UPDATE"
    late = shard_client(rig)
    [guild] = [guild for guild in bodies(late, "GUILD_CREATE") if guild["id"] == str(guild_id)]
    assert str(BOT) in {state["user_id"] for state in guild["voice_states"]}
    client.say(4, {"guild_id": guild_id, "channel_id": None, "self_mute": False, "self_deaf": False})
    assert last(client)[1]["channel_id"] is None
    assert not world.is_in_voice(guild_id)


def test_sounds_and_channel_info_are_the_guilds() -> None:
    rig = world_rig(guilds=6, shares={"VOICE_CHANNEL_STATUS_UPDATE": 1.0})
    world, client = world_of(rig), shard_client(rig)
    play(rig, 20)
    client.say(31, {"guild_ids": list(world.guild_ids)})
    sounds = {int(d["guild_id"]): d["soundboard_sounds"] for d in bodies(client, "SOUNDBOARD_SOUNDS")}
    assert sounds == {id: list(world.look(id).sounds.values()) for id in world.guild_ids}
    assert any(sounds.values())
    hot = world.look(world.guild_ids[0])
    client.say(43, {"guild_id": hot.id, "fields": ["status", "voice_start_time", "other"]})
    name, info = last(client)
    assert name == "CHANNEL_INFO"
    assert [channel["id"] for channel in info["channels"]] == hot.channels_of(2)
    assert {channel["id"]: channel["status"] for channel in info["channels"] if channel["status"]} == hot.statuses
    busy = {state["channel_id"] for state in hot.voice.values()}
    assert {channel["id"] for channel in info["channels"] if channel["voice_start_time"]} == busy
    client.say(43, {"guild_id": hot.id, "fields": ["status"]})
    assert all(channel.keys() == {"id", "status"} for channel in last(client)[1]["channels"])


def test_who_was_added_is_in_the_next_chunk_and_who_left_is_not() -> None:
    rig = world_rig(guilds=1, shares={"GUILD_MEMBER_ADD": 1.0, "GUILD_MEMBER_REMOVE": 1.0})
    client = shard_client(rig)
    play(rig, 60)
    added = {d["user"]["id"] for d in bodies(client, "GUILD_MEMBER_ADD")}
    removed = {d["user"]["id"] for d in bodies(client, "GUILD_MEMBER_REMOVE")}
    assert len(added) > 10
    assert len(removed) > 5
    ask(client, guild_id=world_of(rig).guild_ids[0], user_ids=[*added, *removed])
    chunk = last(client)[1]
    assert {member["user"]["id"] for member in chunk["members"]} == added - removed
    assert set(chunk["not_found"]) == removed


REQUESTS = st.one_of(
    st.tuples(st.just(3), st.fixed_dictionaries({
        "since": st.none(), "afk": st.booleans(), "status": st.sampled_from(["online", "idle", "invisible"]),
        "activities": st.lists(st.dictionaries(st.sampled_from(["name", "type", "state"]), st.integers() | st.text())),
    })),
    st.tuples(st.just(4), st.fixed_dictionaries({
        "guild_id": st.integers(0, 3), "channel_id": st.none() | st.integers(0, 4), "self_mute": st.booleans(),
        "self_deaf": st.booleans(),
    })),
    st.tuples(st.just(8), st.fixed_dictionaries(
        {"guild_id": st.integers(0, 4)},
        optional={"query": st.text(max_size=3), "limit": st.integers(-1, 2**70), "presences": st.booleans(),
                  "user_ids": st.lists(st.integers(0, 2**64 - 1), max_size=3), "nonce": st.text(max_size=40)},
    )),
    st.tuples(st.just(31), st.fixed_dictionaries({"guild_ids": st.lists(st.integers(0, 5), min_size=1)})),
    st.tuples(st.just(43), st.fixed_dictionaries({"guild_id": st.integers(0, 4), "fields": st.lists(st.text())})),
    st.tuples(st.just(0), st.just({})),
)  # fmt: skip


def _request(rig: Rig, op: int, data: dict[str, Any]) -> dict[str, Any]:
    """Guilds and channels are drawn by their places: most are there."""
    world = world_of(rig)
    ids = world.guild_ids
    d = dict(data)
    if "guild_id" in d and d["guild_id"] < len(ids):
        d["guild_id"] = ids[d["guild_id"]]
        voice = world.look(d["guild_id"]).channels_of(2)
        if d.get("channel_id") is not None and d["channel_id"] < len(voice):
            d["channel_id"] = voice[d["channel_id"]]
    if "guild_ids" in d:
        d["guild_ids"] = [ids[place] if place < len(ids) else place for place in d["guild_ids"]]
    return d


def _talk(seed: int, requests: list[tuple[int, dict[str, Any]]], intents: int) -> bytes:
    rig = world_rig(seed=seed, guilds=4, members=6, outage_rate=0.02, config={"send_limit": 10**6})
    client = shard_client(rig, intents=intents)
    for op, data in requests:
        if op:
            client.say(op, _request(rig, op, data))
        else:
            play(rig, 5)
        if client.closed is not None:
            assert client.closed[0] == 4002
            break
    for received in client.received:
        if received["op"] == 0:
            STRICT[received["t"]](json.dumps(received["d"]).encode())
    return client.sent


@given(st.integers(0, 99), st.lists(REQUESTS, max_size=15), st.sampled_from([ALL, int(Intents.GUILDS), 0]))
@settings(max_examples=60, deadline=None)
def test_whatever_is_asked_every_answer_decodes_and_the_same_is_the_same(
    seed: int, requests: list[tuple[int, dict[str, Any]]], intents: int
) -> None:
    assert _talk(seed, requests, intents) == _talk(seed, requests, intents)
