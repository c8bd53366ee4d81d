"""Users are in several guilds: their presence is one, and each guild is told of it."""

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.intents import Intents
from gateway_proto.sharding import shard_id_for
from gateway_proto.world import GuildWorld, WorldConfig
from gateway_proto.world.guilds import Guilds

from .test_world import STEPS, rest, step
from .test_world import made as made_world
from .world_helpers import bodies, decode, shard_client, world_rig

PRESENCES = {"PRESENCE_UPDATE": 1.0}


def made(*, seed: int = 3, guilds: Any = 8, members: int = 10, **settings: Any) -> GuildWorld:
    return made_world(seed=seed, guilds=guilds, members=members, **settings)


def guilds_of(world: GuildWorld) -> Guilds:
    return world._guilds


def by_hand(world: GuildWorld) -> dict[int, list[int]]:
    """By asking each guild: who is in which."""
    found: dict[int, list[int]] = {}
    for guild_id in sorted(world.guild_ids):
        for user in world.look(guild_id).members:
            found.setdefault(user, []).append(guild_id)
    return {user: guild_ids for user, guild_ids in found.items() if user >= 0}


@given(st.integers(0, 2**64), st.lists(STEPS, max_size=25), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_which_guilds_a_user_is_in(seed: int, steps: list[tuple[str, int]], guilds: int) -> None:
    """Found from the ring and the changes, as if each guild were asked: also of who is in none."""
    world = made(seed=seed, guilds=guilds, members=6)
    for name, number in steps:
        step(world, name, number)
    wanted = by_hand(world)
    for user in range(world._users.count):
        assert guilds_of(world).of_user(user) == wanted.get(user, []), user


def test_of_those_who_came_no_more_is_written_down_than_who_is_there() -> None:
    """A world in which people come and go for days stays as large as it is."""
    world = made(shares={"GUILD_MEMBER_ADD": 1.0, "GUILD_MEMBER_REMOVE": 1.0})
    came: set[tuple[int, int]] = set()

    def now() -> set[tuple[int, int]]:
        return {(user, id) for id in world.guild_ids for user in world.look(id).members.came}

    for _ in range(600):
        world.next_event()
        came |= now()
    kept = guilds_of(world)._came
    assert now() < came
    assert {(user, guild_id) for user, guild_ids in kept.items() for guild_id in guild_ids} == now()
    for guild_id in world.guild_ids:
        world.leave(guild_id)
    assert not kept


def test_users_share_a_few_guilds_however_many_there_are() -> None:
    for count in (10, 300, 3000):
        world = made(guilds=count, members=40)
        shared = Counter(
            len(guilds_of(world).of_user(world.look(id).members._at(place)))
            for id in world.guild_ids[:10]
            for place in range(0, 20, 2)
        )
        mean = sum(guilds * users for guilds, users in shared.items()) / shared.total()
        assert 1.4 < mean < 2.8
        assert max(shared) < 12


def test_a_presence_is_told_once_in_each_guild_that_the_user_shares() -> None:
    world = made(shares=PRESENCES)
    several = 0
    for _ in range(300):
        event = world.next_event()
        told = [event, *rest(world)]
        assert {event.name for event in told} == {"PRESENCE_UPDATE"}
        presences = [decode(event.data) for event in told]
        user_id = int(presences[0]["user"]["id"])
        where = [int(presence.pop("guild_id")) for presence in presences]
        assert where == [event.guild_id for event in told]
        assert presences == [presences[0]] * len(presences)
        wanted = [id for id in world.guild_ids if world.members_by_id(id, [user_id])[0]]
        assert sorted(where) == sorted(wanted)
        several += len(where) > 1
    assert several > 50


def test_what_has_been_told_is_what_each_guild_shows() -> None:
    """Before its turn a guild shows what it has been told last; then all show the same."""
    world = made(shares=PRESENCES)
    held_back = 0
    for _ in range(200):
        event = world.next_event()
        now = decode(event.data)
        [user] = world.members_by_id(event.guild_id or 0, [int(now["user"]["id"])])[0]
        others = [id for id in guilds_of(world).of_user(user) if id != event.guild_id]
        before = {id: decode(world.look(id).presence(user)) for id in others}
        for following in rest(world):
            assert following.guild_id in before
            del before[following.guild_id]
            del now["guild_id"]
            assert decode(world.look(following.guild_id).presence(user)) == now
            assert all(decode(world.look(id).presence(user)) == shown for id, shown in before.items())
            now["guild_id"] = following.guild_id
            held_back += 1
        assert not before
        assert {world.look(id).status(user) for id in others} <= {now["status"]}
    assert held_back > 50


def test_a_guild_in_an_outage_is_told_by_its_guild_create() -> None:
    world = made(shares=PRESENCES, guilds=40)
    while True:
        first, *others = [world.next_event(), *rest(world)]
        if len(others) == 2:
            break
    here, down, waiting = (event.guild_id or 0 for event in (first, *others))
    user_id = decode(first.data)["user"]["id"]
    world.begin_outage(down)
    while True:
        event = world.happen("PRESENCE_UPDATE", here)
        assert event is not None
        if decode(event.data)["user"]["id"] == user_id and decode(event.data)["status"] != "offline":
            break
        rest(world)
    # This one is to be told next, but has an outage before its turn comes.
    world.begin_outage(waiting)
    assert rest(world) == []
    wanted = decode(event.data)
    del wanted["guild_id"]
    for guild_id in (down, waiting):
        back = world.end_outage(guild_id)
        assert back is not None
        shown = {presence["user"]["id"]: presence for presence in decode(back.data)["presences"]}
        assert shown[user_id] == wanted


def test_who_joins_is_seen_there_and_nowhere_else_anew() -> None:
    world = made(shares={"GUILD_MEMBER_ADD": 1.0}, members=20)
    appeared = shared = 0
    for _ in range(200):
        event = world.next_event()
        assert event.name == "GUILD_MEMBER_ADD"
        user_id = int(decode(event.data)["user"]["id"])
        shared += sum(bool(world.members_by_id(id, [user_id])[0]) for id in world.guild_ids) > 1
        following = rest(world)
        appeared += len(following)
        assert {(told.name, told.guild_id) for told in following} <= {("PRESENCE_UPDATE", event.guild_id)}
    assert appeared > 20
    assert shared > 20


def test_who_has_left_before_being_seen_is_not_seen() -> None:
    world = made(members=8)
    gone = 0
    for guild_id in [id for id in world.guild_ids for _ in range(12)]:
        joined = world.happen("GUILD_MEMBER_ADD", guild_id)
        assert joined is not None
        user_id = decode(joined.data)["user"]["id"]
        left = [world.happen("GUILD_MEMBER_REMOVE", guild_id) for _ in range(30)]
        if any(event is not None and decode(event.data).get("user", {}).get("id") == user_id for event in left):
            gone += 1
            seen = [decode(event.data) for event in rest(world) if event.name == "PRESENCE_UPDATE"]
            assert user_id not in {presence["user"]["id"] for presence in seen}
        rest(world)
    assert gone > 20


def test_no_guild_is_made_or_kept_to_be_told_a_presence() -> None:
    """A quiet guild of a large bot hears of its members as often as a busy one: it must not cost 33 KB each."""
    world = GuildWorld(WorldConfig(guilds=5000, members=50, seed=1, shares=PRESENCES))
    told = {world.next_event().guild_id for _ in range(3000)}
    # Those in which something was drawn are looked at; nothing in them changes.
    assert len(told) > 500
    assert len(guilds_of(world)._changed) == 0


def test_a_user_is_seen_by_each_session_in_the_guilds_of_its_shard() -> None:
    """Once in each: three guilds on a shard bring three events."""
    total = 2
    rig = world_rig(guilds=10, members=12, shares=PRESENCES)
    clients = [shard_client(rig, shard=(index, total)) for index in range(total)]
    blind = shard_client(rig, intents=int(Intents.all() & ~Intents.GUILD_PRESENCES))
    world = rig.server.world
    assert world is not None
    twice = across = 0
    for _ in range(300):
        before = [len(bodies(client, "PRESENCE_UPDATE")) for client in clients]
        event = world.next_event()
        for told in (event, *rest(world)):
            rig.run(rig.server.dispatch_world(told, rig.now))
        [user_id] = {decode(event.data)["user"]["id"]}
        shares = [id for id in world.guild_ids if world.members_by_id(id, [int(user_id)])[0]]
        for index, client in enumerate(clients):
            new = bodies(client, "PRESENCE_UPDATE")[before[index] :]
            mine = [id for id in shares if shard_id_for(id, total) == index]
            assert sorted(int(d["guild_id"]) for d in new) == sorted(mine)
            assert {d["user"]["id"] for d in new} <= {user_id}
            twice += len(mine) > 1
        across += len({shard_id_for(id, total) for id in shares}) > 1
    assert twice > 20
    assert across > 20
    assert not bodies(blind, "PRESENCE_UPDATE")
