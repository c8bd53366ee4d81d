"""The made-up world by itself: seeded, consistent after whatever happened, and held only where it changed."""

import copy
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.errors import InvalidConfigError
from gateway_proto.intents import Intents
from gateway_proto.sharding import shard_id_for
from gateway_proto.world import SHARES, GuildWorld, WorldConfig, WorldEvent
from gateway_proto.world.guilds import HELD
from gateway_proto.world.world import REPEATABLE

from .world_helpers import STRICT, Cache, decode, summary

BOT = 42


def made(*, seed: int = 3, guilds: Any = 3, members: int = 10, **settings: Any) -> GuildWorld:
    return GuildWorld(WorldConfig(seed=seed, guilds=guilds, members=members, **settings), user_id=BOT)


def rest(world: GuildWorld) -> list[WorldEvent]:
    """What follows, to the end."""
    events = []
    while (event := world.next_following()) is not None:
        events.append(event)
    return events


def settle(world: GuildWorld) -> None:
    """Something happens, with all that follows."""
    world.next_event()
    rest(world)


# -- what may happen to a world, drawn by Hypothesis ---------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("next"), st.integers(1, 20)),
    st.tuples(st.just("next"), st.integers(1, 20)),
    st.tuples(st.sampled_from(sorted(SHARES)), st.integers(0, 2)),
    st.tuples(st.sampled_from(["outage", "recovery", "join", "leave", "voice", "unvoice"]), st.integers(0, 3)),
)
FOREIGN = 77 << 22


def step(world: GuildWorld, name: str, number: int) -> list[WorldEvent]:
    if name == "next":
        return [world.next_event() for _ in range(number)]
    if not world.guild_ids:
        return [event for event in [world.join(FOREIGN)] if event is not None]
    guild_id = world.guild_ids[number % len(world.guild_ids)]
    event = None
    match name:
        case "outage":
            event = world.begin_outage(guild_id)
        case "recovery":
            event = world.end_outage(guild_id)
        case "join":
            event = world.join(FOREIGN + number)
        case "leave":
            event = world.leave(guild_id)
        case "voice" | "unvoice" if world.is_available(guild_id):
            channels = [*world.look(guild_id).channels_of(2), "1"]
            channel = int(channels[number % len(channels)]) if name == "voice" else None
            event = world.move_bot(guild_id, channel, mute=True, deaf=False)
        case name if name in SHARES:
            event = world.happen(name, guild_id)
    return [] if event is None else [event]


def check(guild: Any) -> None:
    """A GUILD_CREATE contradicts itself nowhere."""
    roles = {role["id"] for role in guild["roles"]}
    channels = {channel["id"]: channel for channel in guild["channels"]}
    members = {member["user"]["id"] for member in guild["members"]}
    assert guild["id"] in roles
    assert guild["owner_id"] in members
    assert str(BOT) in members
    assert guild["member_count"] == len(guild["members"]) == len(members)
    for member in guild["members"]:
        assert set(member["roles"]) <= roles - {guild["id"]}
    for state in guild["voice_states"]:
        assert channels[state["channel_id"]]["type"] == (13 if state["suppress"] else 2)
        assert state["user_id"] in members
    for presence in guild["presences"]:
        assert presence["user"]["id"] in members
    for channel in channels.values():
        assert channel["parent_id"] is None or channels[channel["parent_id"]]["type"] == 4
        assert {overwrite["id"] for overwrite in channel["permission_overwrites"]} <= roles
    for thread in guild["threads"]:
        assert thread["parent_id"] in channels
    for event in guild["guild_scheduled_events"]:
        assert event["channel_id"] in channels
    live = [stage["channel_id"] for stage in guild["stage_instances"]]
    assert len(live) == len(set(live))
    assert {channels[channel]["type"] for channel in live} <= {13}
    assert guild["system_channel_id"] in channels


def check_event(event: WorldEvent, guilds: dict[str, Any]) -> None:
    """It is about what its guild has. `guilds` are summaries as of before."""
    d = decode(event.data)
    guild = guilds.get(d.get("guild_id", ""))
    assert (event.guild_id is None) == ("guild_id" not in d and event.name not in ("GUILD_CREATE", "GUILD_DELETE"))
    if guild is None:
        return
    if event.name in ("MESSAGE_CREATE", "MESSAGE_UPDATE", "TYPING_START", "INTERACTION_CREATE"):
        assert d["channel_id"] in guild["channels"]
        user_id = d["user_id"] if event.name == "TYPING_START" else (d.get("author") or d["member"]["user"])["id"]
        assert user_id in guild["members"]
        assert set(d["member"]["roles"]) <= guild["roles"].keys()
    elif event.name in ("PRESENCE_UPDATE", "GUILD_MEMBER_UPDATE", "GUILD_MEMBER_REMOVE"):
        assert d["user"]["id"] in guild["members"]
    elif event.name in ("MESSAGE_DELETE", "MESSAGE_REACTION_ADD", "CHANNEL_UPDATE", "CHANNEL_DELETE", "INVITE_CREATE"):
        assert d.get("channel_id", d.get("id")) in guild["channels"]


@given(st.integers(0, 2**70), st.lists(STEPS, max_size=25), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_world_never_contradicts_itself(seed: int, steps: list[tuple[str, int]], guilds: int) -> None:
    """Neither itself, nor what its events have said so far, nor the types of its payloads."""
    world = made(seed=seed, guilds=guilds, members=6, outage_rate=0.01, outage_length=10)
    cache = Cache(BOT)
    for guild_id in world.guild_ids:
        cache.receive("GUILD_CREATE", decode(world.guild_create(guild_id, large_threshold=250)))
    for name, number in steps:
        for event in step(world, name, number):
            STRICT[event.name](event.data)
            if event.bare is not None:
                STRICT[event.name](event.bare)
            check_event(event, cache.guilds)
            cache.receive(event.name, decode(event.data))
    assert set(cache.guilds) == {str(id) for id in world.guild_ids} - {str(id) for id in world.unavailable}
    for id, known in cache.guilds.items():
        whole = world.guild_create(int(id), large_threshold=250)
        STRICT["GUILD_CREATE"](whole)
        guild = decode(whole)
        if guild["member_count"] <= 250:
            check(guild)
            now = summary(guild)
            del now["presences"][str(BOT)], known["presences"][str(BOT)]
            known["presences"] = {user: status for user, status in known["presences"].items() if status != "offline"}
            assert now == known


@given(st.integers(0, 2**64), st.lists(STEPS, max_size=15))
@settings(max_examples=30, deadline=None)
def test_same_seed_and_same_requests_same_bytes(seed: int, steps: list[tuple[str, int]]) -> None:
    def run() -> list[Any]:
        world = made(seed=seed, outage_rate=0.05, outages=0.3)
        told: list[Any] = [event for name, number in steps for event in step(world, name, number)]
        asked = (world.members_by_name(id, query, 100) for id in world.guild_ids for query in ("", "k", "tra", "gate"))
        return [*told, *asked, world.bot, *(world.guild_create(id) for id in world.guild_ids)]

    assert run() == run()


def test_another_seed_is_another_world() -> None:
    first, second = made(seed=1), made(seed=2)
    assert not set(first.guild_ids) & set(second.guild_ids)
    assert first.next_event().data != second.next_event().data


def test_all_that_is_drawn_is_drawn_by_the_seed() -> None:
    """Even of the same guild, and of people of the same numbers."""
    ids = (1 << 22, 2 << 22)
    told = []
    for seed in (1, 1, 2):
        world = made(seed=seed, guilds=ids)
        guild = decode(world.guild_create(ids[0]))
        told.append((guild["roles"], guild["channels"], [world.next_event() for _ in range(50)]))
    assert told[0] == told[1]
    assert all(one != other for one, other in zip(told[1], told[2], strict=True))
    roles, channels = (
        {one["id"] for one in kind} & {one["id"] for one in other}
        for kind, other in zip(told[0][:2], told[2], strict=False)
    )
    assert (roles, channels) == ({str(ids[0])}, set())


def test_members_are_counted_as_they_come_and_go() -> None:
    world = made(guilds=1, members=8, shares={"GUILD_MEMBER_ADD": 1.0, "GUILD_MEMBER_REMOVE": 0.7})
    came = Counter(world.next_event().name for _ in range(100))
    assert min(came["GUILD_MEMBER_ADD"], came["GUILD_MEMBER_REMOVE"]) > 10
    members = world.look(world.guild_ids[0]).members
    everybody = list(members)
    assert len(set(everybody)) == len(everybody) == len(members)
    assert decode(world.guild_create(world.guild_ids[0]))["member_count"] == len(members)


def test_looking_changes_nothing() -> None:
    """A guild that was made, forgotten and made again is the same."""
    looked, left = made(guilds=600), made(guilds=600)
    seen = {id: looked.guild_create(id) for id in looked.guild_ids}
    for id in looked.guild_ids:
        looked.members_by_name(id, "a", 0)
        assert looked.guild_create(id) == seen[id]
    assert looked.held <= HELD < 600
    for _ in range(300):
        assert looked.next_event() == left.next_event()


# -- size ----------------------------------------------------------------------------------------------------------


def test_twenty_thousand_guilds_are_held_in_nothing() -> None:
    tracemalloc.start()
    try:
        world = made(guilds=20_000, members=100)
        ids = world.guild_ids
        for guild_id in ids[: 2 * HELD]:
            world.guild_create(guild_id, Intents.GUILDS)
        assert tracemalloc.get_traced_memory()[0] < 32 * 2**20
    finally:
        tracemalloc.stop()
    assert world.held <= HELD
    assert len(set(ids)) == 20_000


def test_members_spread_around_the_mean_and_a_few_guilds_are_large() -> None:
    world = made(guilds=100, members=40)
    counts = [len(world.look(guild_id).members) - 1 for guild_id in world.guild_ids]
    large = [count for index, count in enumerate(counts) if index % 50 == 1]
    others = [count for index, count in enumerate(counts) if index % 50 != 1]
    assert min(large) >= 100
    assert 10 <= min(others) < max(others) <= 70
    assert sum(others) / len(others) == pytest.approx(40, rel=0.15)


def test_guilds_spread_over_shards_each_on_one() -> None:
    world = made(guilds=1600)
    owned = [list(world.guilds_of(index, 16)) for index in range(16)]
    assert sorted(id for ids in owned for id in ids) == sorted(world.guild_ids)
    assert all(shard_id_for(id, 16) == index for index, ids in enumerate(owned) for id in ids)
    assert 60 <= min(map(len, owned)) <= max(map(len, owned)) <= 140


def test_guild_ids_may_be_given() -> None:
    world = made(guilds=(5, 9 << 22))
    assert world.guild_ids == (5, 9 << 22)
    assert decode(world.guild_create(5))["id"] == "5"
    assert {world.next_event().guild_id for _ in range(300)} == {None, 5, 9 << 22}


# -- what a session sees of a guild --------------------------------------------------------------------------------


def test_guild_create_shows_what_intents_and_threshold_allow() -> None:
    world = made(guilds=60, members=60)
    large = world.guild_ids[1]
    whole = decode(world.guild_create(large, Intents.all(), 50))
    assert whole["large"] is True
    online = {presence["user"]["id"] for presence in whole["presences"]}
    shown = {member["user"]["id"] for member in whole["members"]}
    voice = {state["user_id"] for state in whole["voice_states"]}
    assert shown == online | voice
    assert len(shown) < whole["member_count"]
    bare = decode(world.guild_create(large, Intents.GUILDS | Intents.GUILD_MEMBERS, 250))
    assert (bare["voice_states"], bare["presences"]) == ([], [])
    assert {member["user"]["id"] for member in bare["members"]} == voice | {str(BOT)}
    assert bare["member_count"] == whole["member_count"]
    small = next(id for id in world.guild_ids if 55 <= len(world.look(id).members) <= 80)
    assert decode(world.guild_create(small, Intents.all(), None))["large"] is True
    everybody = decode(world.guild_create(small, Intents.all(), 250))
    assert everybody["large"] is False
    assert len(everybody["members"]) == everybody["member_count"]


def test_the_bots_presence_is_what_its_session_said() -> None:
    world = made()
    said = {"status": "dnd", "activities": [{"name": "chess", "type": 0}, 7], "since": None, "afk": False}
    guild = decode(world.guild_create(world.guild_ids[0], presence=said))
    [presence] = [one for one in guild["presences"] if one["user"]["id"] == str(BOT)]
    assert (presence["status"], presence["client_status"]) == ("dnd", {"web": "dnd"})
    assert [activity["name"] for activity in presence["activities"]] == ["chess"]
    said["status"] = "invisible"
    guild = decode(world.guild_create(world.guild_ids[0], presence=said))
    assert next(one["status"] for one in guild["presences"] if one["user"]["id"] == str(BOT)) == "offline"


# -- the stream ----------------------------------------------------------------------------------------------------


def test_every_event_happens_about_as_often_as_it_should() -> None:
    world = made(guilds=20, members=40)
    drawn = 30_000
    names = Counter(world.next_event().name for _ in range(drawn))
    assert sum(SHARES.values()) == pytest.approx(1.0, abs=0.02)
    for name in ("TYPING_START", "MESSAGE_REACTION_ADD", "INTERACTION_CREATE", "GUILD_MEMBER_UPDATE"):
        assert names[name] / world.drawn == pytest.approx(SHARES[name], rel=0.15)
    # Those that are drawn are told in other guilds as well, and what cannot happen just then is a message.
    assert 1.3 < names["PRESENCE_UPDATE"] / world.drawn / SHARES["PRESENCE_UPDATE"] < 3.0
    assert 1.0 < names["MESSAGE_CREATE"] / world.drawn / SHARES["MESSAGE_CREATE"] < 1.15


def test_direct_messages_have_no_guild_and_all_of_their_content() -> None:
    world = made(direct=1.0, shares={"MESSAGE_CREATE": 1.0, "MESSAGE_UPDATE": 0.5, "MESSAGE_REACTION_REMOVE": 0.2})
    events = [world.next_event() for _ in range(200)]
    assert {event.guild_id for event in events} == {None}
    assert {event.bare for event in events} == {None}
    assert all("guild_id" not in decode(event.data) and "member" not in decode(event.data) for event in events)


def test_content_is_hidden_unless_it_is_the_bots_or_for_the_bot() -> None:
    world = made(shares={"MESSAGE_CREATE": 1.0, "MESSAGE_UPDATE": 0.3}, direct=0.0)
    opened = 0
    for _ in range(4000):
        event = world.next_event()
        d = decode(event.data)
        bot = str(BOT)
        is_open = bot in (d["author"]["id"], *(user["id"] for user in d["mentions"]))
        opened += is_open
        bare = d if event.bare is None else decode(event.bare)
        fields = ("content", "embeds", "attachments", "components")
        if is_open:
            assert all(bare[name] == d[name] for name in fields)
        else:
            assert [bare[name] for name in fields] == ["", [], [], []]
        answered = bare.get("referenced_message")
        if answered is not None:
            mentions = (user["id"] for user in answered["mentions"])
            assert bool(answered["content"]) == (bot in (answered["author"]["id"], *mentions))
    assert 50 <= opened <= 1000


def test_outages_come_and_go_by_rate() -> None:
    world = made(guilds=40, outages=0.5, outage_rate=0.01, outage_length=20)
    at_first = world.unavailable
    assert 10 <= len(at_first) <= 30
    down = set(at_first)
    for _ in range(3000):
        event = world.next_event()
        if event.name == "GUILD_DELETE":
            assert decode(event.data) == {"id": str(event.guild_id), "unavailable": True}
            assert event.guild_id not in down
            down.add(event.guild_id or 0)
        elif event.name == "GUILD_CREATE":
            assert decode(event.data)["unavailable"] is False
            down.remove(event.guild_id or 0)
        else:
            assert event.guild_id not in down, event.name
    assert down == world.unavailable
    left = at_first & world.unavailable
    assert 0 < len(left) < len(at_first), "some come later, some never"


def test_what_was_to_follow_does_not_in_an_outage() -> None:
    """A ban, whose member has yet to leave voice and the guild when the guild itself goes."""
    world = made(guilds=2, members=20)
    hit, other = world.guild_ids
    assert any(world.happen("GUILD_BAN_ADD", hit) for _ in range(10))
    world.begin_outage(hit)
    assert {world.next_event().guild_id for _ in range(20)} <= {other, None}


def test_where_nothing_is_available_there_are_direct_messages() -> None:
    world = made(guilds=2)
    for guild_id in world.guild_ids:
        world.begin_outage(guild_id)
    assert {(world.next_event().name, world.next_event().guild_id) for _ in range(5)} == {("MESSAGE_CREATE", None)}


def test_who_leaves_the_guild_leaves_voice_first() -> None:
    world = made(members=12, guilds=3, shares={"VOICE_STATE_UPDATE": 1.0})
    left = 0
    for _ in range(100):
        settle(world)
        for guild_id in world.guild_ids:
            before = {state["user_id"] for state in world.look(guild_id).voice.values()}
            event = world.happen("GUILD_MEMBER_REMOVE", guild_id)
            if event is not None and event.name == "VOICE_STATE_UPDATE":
                left += 1
                state = decode(event.data)
                assert state["user_id"] in before
                assert state["channel_id"] is None
                *between, removed = rest(world)
                assert (removed.name, decode(removed.data)["user"]["id"]) == ("GUILD_MEMBER_REMOVE", state["user_id"])
                assert {event.name for event in between} <= {"VOICE_CHANNEL_START_TIME_UPDATE"}
            elif event is not None:
                assert decode(event.data)["user"]["id"] not in before
    assert left > 3


@pytest.mark.parametrize("name", ["GUILD_ROLE_DELETE", "CHANNEL_DELETE", "GUILD_MEMBER_REMOVE"])
def test_what_is_gone_is_gone_everywhere(name: str) -> None:
    """Until little is left to delete: members, overwrites, threads, voice states and messages do without."""
    shares = {"MESSAGE_CREATE": 1.0, "MESSAGE_UPDATE": 1.0, "THREAD_CREATE": 0.3, "VOICE_STATE_UPDATE": 0.3}
    world = made(members=6, guilds=8, shares=shares)
    done = 0
    for _ in range(60):
        for guild_id in world.guild_ids:
            done += world.happen(name, guild_id) is not None
            event = world.next_event()
            told = decode(event.data)
            if event.name.startswith("MESSAGE") and event.guild_id is not None:
                guild = world.look(event.guild_id)
                assert told["channel_id"] in guild.channels
                assert set(told["member"]["roles"]) <= guild.roles.keys()
    assert done > 20
    for guild_id in world.guild_ids:
        check(decode(world.guild_create(guild_id, large_threshold=250)))


def test_a_member_who_is_banned_leaves_voice_and_the_guild() -> None:
    world = made(members=30, shares={"VOICE_STATE_UPDATE": 1.0})
    for _ in range(100):
        settle(world)
    for guild_id in world.guild_ids:
        while (banned := world.happen("GUILD_BAN_ADD", guild_id)) is None:
            pass
        user_id = decode(banned.data)["user"]["id"]
        was_in_voice = any(state["user_id"] == user_id for state in world.look(guild_id).voice.values())
        names = [event.name for event in rest(world) if event.name != "VOICE_CHANNEL_START_TIME_UPDATE"]
        voice = ["VOICE_STATE_UPDATE"] * was_in_voice
        assert names == ["GUILD_AUDIT_LOG_ENTRY_CREATE", *voice, "GUILD_MEMBER_REMOVE"]
        assert world.members_by_id(guild_id, [int(user_id)]) == ([], [int(user_id)])


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"guilds": 0}, "guilds"),
        ({"guilds": ()}, "guilds"),
        ({"guilds": (1, 1)}, "guilds"),
        ({"guilds": (0,)}, "guilds"),
        ({"members": 0}, "members"),
        ({"members": 10**9}, "members"),
        ({"outages": 1.5}, "outages"),
        ({"outage_rate": float("nan")}, "outage_rate"),
        ({"outage_length": 0}, "outage_length"),
        ({"shares": {"READY": 1.0}}, "shares"),
        ({"shares": {"TYPING_START": 0.0}}, "shares"),
    ],
)
def test_what_no_world_can_be_made_of(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidConfigError, match=f"^{named} must be"):
        WorldConfig(**settings)


# -- events that are told again and again ------------------------------------------------------------------------------


def test_each_lap_of_a_shards_repeatable_events_leaves_its_guilds_as_the_first_did() -> None:
    world = made(guilds=30, members=8, outages=0.2)
    own = [id for id in world.guilds_of(1, 3) if world.is_available(id)]
    before = {guild_id: world.guild_create(guild_id) for guild_id in own}
    events = list(world.repeatable(1, 3, 3000))
    assert {event.name for event in events} == REPEATABLE
    assert {shard_id_for(event.guild_id or 0, 3) for event in events} == {1}
    cache = Cache(BOT)
    for guild_id in own:
        assert world.guild_create(guild_id) == before[guild_id]
        cache.receive("GUILD_CREATE", decode(before[guild_id]))
    laps = []
    for _ in range(2):
        for event in events:
            STRICT[event.name](event.data)
            cache.receive(event.name, decode(event.data))
        laps.append(copy.deepcopy(cache.guilds))
    assert laps[0] == laps[1]
    assert laps[0] != {str(guild_id): summary(decode(whole)) for guild_id, whole in before.items()}


def test_the_repeatable_events_of_a_shard_do_not_depend_on_other_shards() -> None:
    alone, after = made(guilds=20), made(guilds=20)
    events = list(alone.repeatable(0, 2, 300))
    assert list(after.repeatable(1, 2, 300)) != events
    assert list(after.repeatable(0, 2, 300)) == events


def test_without_guilds_nothing_is_repeatable() -> None:
    assert list(made(guilds=3, outages=1.0).repeatable(0, 1, 10)) == []
    assert list(made(guilds=(5 << 22,)).repeatable(0, 2, 10)) == []


def test_shares_without_a_repeatable_event_leave_messages() -> None:
    world = made(shares={"CHANNEL_CREATE": 1.0})
    assert {event.name for event in world.repeatable(0, 1, 10)} == {"MESSAGE_CREATE"}
