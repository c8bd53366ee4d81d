"""Members are found by how their usernames and nicks begin: all that match, and by looking at few that do not."""

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.world import GuildWorld, WorldConfig
from gateway_proto.world.members import Members
from gateway_proto.world.names import Names, first_hit
from gateway_proto.world.shapes import Payload
from gateway_proto.world.values import SYLLABLES

from .world_helpers import decode

BOT = 42
SHARES = {"GUILD_MEMBER_ADD": 1.0, "GUILD_MEMBER_REMOVE": 1.0, "GUILD_MEMBER_UPDATE": 4.0}


def made(*, seed: int = 3, guilds: Any = 3, members: int = 10) -> GuildWorld:
    return GuildWorld(WorldConfig(seed=seed, guilds=guilds, members=members, shares=SHARES), user_id=BOT)


def called(member: Payload) -> tuple[str, str]:
    return decode(member["user"])["username"], (member["nick"] or "").lower()


def everybody(world: GuildWorld, guild_id: int) -> dict[int, tuple[str, str]]:
    """The username and the nick of each member, as GUILD_MEMBERS_CHUNK has them."""
    members = world.members_by_name(guild_id, "", 0)
    return dict(zip(members, map(called, world.members(guild_id, members)), strict=True))


@given(st.integers(2, 400).filter(lambda n: all(n % d for d in range(2, n))), st.data())
@settings(max_examples=200, deadline=None)
def test_the_first_multiple_between_two_bounds(prime: int, data: st.DataObject) -> None:
    step = data.draw(st.integers(1, prime - 1))
    low = data.draw(st.integers(1, prime - 1))
    high = data.draw(st.integers(low, prime - 1))
    wanted = next(times for times in range(prime) if low <= times * step % prime <= high)
    assert first_hit(step, prime, low, high) == wanted


QUERIES = st.one_of(
    st.sampled_from(["k", "ta", "T", "tr", "sh", "gateway", "-", "1", "kari", "ka1", "é", "x", "İ"]),
    st.text("karimotnevlushdgpwxzfbq0189", min_size=1, max_size=6),
)


@given(st.integers(0, 2**64), st.integers(0, 200), st.lists(QUERIES, min_size=1, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_all_who_match_are_found_and_nobody_else(
    seed: int, events: int, queries: list[str], data: st.DataObject
) -> None:
    """Whoever joined, left and was renamed since, the bot among them."""
    world = made(seed=seed, guilds=2, members=30)
    for _ in range(events):
        world.next_event()
    for guild_id in world.guild_ids:
        names = everybody(world, guild_id)
        name = data.draw(st.sampled_from([name for pair in names.values() for name in pair if name]))
        for query in (*queries, name, name.upper(), name[: data.draw(st.integers(1, len(name)))]):
            wanted = {user for user, pair in names.items() if any(one.startswith(query.lower()) for one in pair)}
            found = world.members_by_name(guild_id, query, 0)
            assert len(set(found)) == len(found) == min(100, len(wanted))
            assert set(found) <= wanted
            for limit in (1, 3):
                assert world.members_by_name(guild_id, query, limit) == found[:limit]


def test_one_member_of_five_has_a_nick_and_names_spread_over_the_alphabet() -> None:
    world = made(guilds=1, members=3000)
    guild_id = world.guild_ids[0]
    members = list(everybody(world, guild_id).values())
    assert sum(bool(nick) for _, nick in members) / len(members) == pytest.approx(0.2, abs=0.02)
    assert len({name for name, _ in members}) > 0.9 * len(members)
    for letter in "kmsz":
        assert 0.01 < sum(name.startswith(letter) for name, _ in members) / len(members) < 0.2


def test_another_nick_is_found_and_the_old_one_no_more() -> None:
    world = made(guilds=1, members=200)
    guild_id = world.guild_ids[0]
    renamed = 0
    for _ in range(400):
        event = world.next_event()
        d = decode(event.data)
        if event.name == "GUILD_MEMBER_UPDATE" and d["nick"]:
            [user] = world.members_by_id(guild_id, [int(d["user"]["id"])])[0]
            assert user in world.members_by_name(guild_id, d["nick"].upper(), 100)
            renamed += 1
        elif event.name == "GUILD_MEMBER_REMOVE":
            left = d["user"]
            found = world.members(guild_id, world.members_by_name(guild_id, left["username"], 100))
            assert left["id"] not in {decode(member["user"])["id"] for member in found}
    assert renamed > 50


@pytest.mark.parametrize("query", ["k", "ka", "kari", "kari1", "kari63", "tra", "zzz", "quonim7", "ne55"])
def test_a_query_of_a_large_guild_looks_at_few(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 75,000 members: those that match, and of those that do not only such as begin with the same syllables."""
    world = made(guilds=(9 << 22,), members=75_000)
    guild_id = world.guild_ids[0]
    assert len(world.look(guild_id).members) > 50_000
    looked = 0
    is_named = Members._is_named

    def counted(self: Members, user: int, wanted: str) -> bool:
        nonlocal looked
        looked += 1
        return is_named(self, user, wanted)

    monkeypatch.setattr(Members, "_is_named", counted)
    found = world.members_by_name(guild_id, query, 100)
    assert looked <= len(found) + 600
    if query in ("k", "ka", "tra"):
        assert len(found) == 100
        assert looked < 250


@pytest.mark.parametrize("letter", sorted({syllable[0] for syllable in SYLLABLES}))
def test_every_place_of_a_letter_is_found_to_the_first_and_the_last(letter: str) -> None:
    names, count = Names(5, 1009), 1009
    places = set(names.places(letter, 7, 0, 1, count))
    assert places == {
        user for user in range(count) if names.name(user)[0] == letter or (names.nick(7, user) or "-")[0] == letter
    }
    assert set(names.places(letter, 7, 0, 1, 100)) == {place for place in places if place < 100}


def test_the_places_of_a_name_need_no_list() -> None:
    """The first of a hundred million is found as fast, by numbers alone."""
    names = Names(5, 100_000_007)
    places = list(islice(names.places("kari", 7, 1, 12_345_678, 100_000_000), 50))
    assert places == sorted(places)
    users = [(1 + place * 12_345_678) % 100_000_007 for place in places]
    assert all(names.name(user).startswith("kari") or (names.nick(7, user) or "").startswith("kari") for user in users)
