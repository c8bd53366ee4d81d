"""The generated stream: its mix, its shapes, and a tally that is right about every loss, double and swap."""

import random
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.sharding import shard_id_for
from gateway_proto.testing import SHARES, EventStream, GeneratedEvent, Tally, guilds, mixed, typing_only
from tests import shared_data

EVENTS = 5000


def envelope(number: int, event: GeneratedEvent) -> bytes:
    return b'{"t":"%b","s":%d,"op":0,"d":%b}' % (event.name.encode(), number, event.data)


def decoded(stream: EventStream, count: int) -> list[tuple[str, dict[str, Any]]]:
    return [(event.name, msgspec.json.decode(event.data)) for event in islice(stream, count)]


@pytest.fixture(scope="module")
def events() -> list[tuple[str, dict[str, Any]]]:
    return decoded(mixed(random.Random(7)), EVENTS)


@pytest.mark.parametrize("seed", range(4))
def test_mix_and_size(seed: int) -> None:
    made = list(islice(mixed(random.Random(seed)), EVENTS))
    shares = {name: count / EVENTS for name, count in Counter(event.name for event in made).items()}
    assert shares.keys() == SHARES.keys()
    for name, wanted in SHARES.items():
        assert shares[name] == pytest.approx(wanted, abs=0.025)
    assert (SHARES["MESSAGE_CREATE"], SHARES["PRESENCE_UPDATE"], SHARES["TYPING_START"]) == (0.40, 0.19, 0.15)
    assert sum(SHARES.values()) == pytest.approx(1.0)
    mean = sum(len(envelope(number, event)) for number, event in enumerate(made, 1)) / EVENTS
    assert 850 <= mean <= 950
    messages = [event for event in made if event.name == "MESSAGE_CREATE"]
    assert 0.06 <= sum(not event.data.isascii() for event in messages) / len(messages) <= 0.14


def test_it_compresses_as_real_traffic_does() -> None:
    deflate = zlib.compressobj()
    plain = packed = 0
    for number, event in enumerate(islice(mixed(random.Random(1)), EVENTS), 1):
        message = envelope(number, event)
        plain += len(message)
        packed += len(deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH))
    assert 4.0 <= plain / packed <= 6.0


def test_guilds_are_large() -> None:
    sizes = sorted(len(event.data) for event in islice(guilds(random.Random(3)), 120))
    assert 5_000 <= sizes[0] <= 15_000
    assert sizes[-1] > 200_000
    assert sum(size <= 210_000 for size in sizes) >= 110


def test_typing_only() -> None:
    assert {event.name for event in islice(typing_only(random.Random(3)), 100)} == {"TYPING_START"}


@pytest.mark.parametrize("make", [mixed, typing_only, guilds])
def test_same_seed_same_bytes(make: Any) -> None:
    first, second, other = (list(islice(make(random.Random(seed)), 40)) for seed in (5, 5, 6))
    assert first == second
    assert first != other


def test_the_stream_has_no_clock_or_chance_of_its_own() -> None:
    rng = random.Random(5)
    before = random.getstate()
    list(islice(mixed(rng), 100))
    assert random.getstate() == before


@pytest.mark.parametrize("shard", [(0, 1), (3, 16), (0, 2)])
def test_every_guild_is_of_the_shard(shard: tuple[int, int]) -> None:
    stream = EventStream(random.Random(1), shard=shard, guilds=7)
    assert len(set(stream.guild_ids)) == 7
    named = set()
    for number, (_, payload) in enumerate(decoded(stream, 500), 1):
        assert payload["_shard"] == shard[0]
        assert payload["_number"] == number == int(number)
        named.add(int(payload["guild_id"]))
    assert named == set(stream.guild_ids)
    assert {shard_id_for(guild_id, shard[1]) for guild_id in named} == {shard[0]}
    assert stream.number == 500


def test_guilds_may_be_given() -> None:
    stream = EventStream(random.Random(1), shard=(1, 2), guilds=[1 << 22, 3 << 22])
    assert {payload["guild_id"] for _, payload in decoded(stream, 200)} == {str(1 << 22), str(3 << 22)}


@pytest.mark.parametrize(
    "settings",
    [{"guilds": 0}, {"guilds": []}, {"shard": (0, 2), "guilds": [1 << 22]}, {"shares": {"READY": 1.0}}],
)
def test_what_cannot_be_made(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"guilds|no such event"):
        EventStream(random.Random(1), **settings)


def test_every_name_is_a_documented_event() -> None:
    assert {*SHARES, "GUILD_CREATE"} <= set(shared_data.gateway()["dispatch_events"])


TABLES = {
    "MESSAGE_CREATE": ["message: Message Structure", "gateway-events: Message Create Extra Fields"],
    "MESSAGE_UPDATE": ["message: Message Structure", "gateway-events: Message Create Extra Fields"],
    "MESSAGE_DELETE": ["gateway-events: Message Delete Event Fields"],
    "MESSAGE_REACTION_ADD": ["gateway-events: Message Reaction Add Event Fields"],
    "MESSAGE_REACTION_REMOVE": ["gateway-events: Message Reaction Remove Event Fields"],
    "PRESENCE_UPDATE": ["gateway-events: Presence Update Event Fields"],
    "TYPING_START": ["gateway-events: Typing Start Event Fields"],
    "VOICE_STATE_UPDATE": ["voice: Voice State Structure"],
    "GUILD_MEMBER_ADD": ["guild: Guild Member Structure", "gateway-events: Guild Member Add Extra Fields"],
    "GUILD_MEMBER_UPDATE": ["gateway-events: Guild Member Update Event Fields"],
    "GUILD_MEMBER_REMOVE": ["gateway-events: Guild Member Remove Event Fields"],
    "CHANNEL_UPDATE": ["channel: Channel Structure"],
    "THREAD_CREATE": ["channel: Channel Structure"],
    "GUILD_ROLE_UPDATE": ["gateway-events: Guild Role Update Event Fields"],
    "INVITE_CREATE": ["gateway-events: Invite Create Event Fields"],
    "INTERACTION_CREATE": ["receiving-and-responding: Interaction Structure"],
    "GUILD_CREATE": ["guild: Guild Structure", "gateway-events: Guild Create Extra Fields"],
}
PARTS = {
    "author": "user: User Structure",
    "user": "user: User Structure",
    "inviter": "user: User Structure",
    "member": "guild: Guild Member Structure",
    "role": "permissions: Role Structure",
    "attachments": "message: Attachment Structure",
    "embeds": "message: Embed Structure",
    "activities": "gateway-events: Activity Structure",
    "thread_metadata": "channel: Thread Metadata Structure",
    "emojis": "emoji: Emoji Structure",
    "roles": "permissions: Role Structure",
    "avatar_decoration_data": "user: Avatar Decoration Data Structure",
    "primary_guild": "user: User Primary Guild",
}


def parts(value: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object within, with the name of the field that holds it (or the list that it is in)."""
    if isinstance(value, list):
        for item in value:
            yield from parts(item, name)
    elif isinstance(value, dict):
        yield name, value
        for key, item in value.items():
            yield from parts(item, key)


def fields(tables: dict[str, list[dict[str, Any]]], titles: list[str]) -> tuple[set[str], set[str]]:
    rows = [row for title in titles for row in tables[title]]
    return {row["name"] for row in rows}, {row["name"] for row in rows if not row["optional"]}


def test_the_fields_are_the_documented_ones(events: list[tuple[str, dict[str, Any]]]) -> None:
    tables = shared_data.objects()
    # What Discord sends without documenting it (a channel's version, say) stands in real payloads.
    sent = {key for line in shared_data.examples() for _, value in parts(line["json"]) for key in value}
    for name, payload in [*events, *decoded(guilds(random.Random(2)), 5)]:
        known, required = fields(tables, TABLES[name])
        assert payload.keys() - {"_shard", "_number"} <= known | sent, name
        assert required <= payload.keys(), name
        for part, value in parts(payload):
            if part not in PARTS or value.keys() == {"id"}:
                continue  # a presence's user has nothing but its id
            known, required = fields(tables, [PARTS[part]])
            assert value.keys() <= known | sent, part
            assert required <= value.keys(), part


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)


def test_nothing_is_copied_from_the_examples(events: list[tuple[str, dict[str, Any]]]) -> None:
    theirs = {text for line in shared_data.examples() for text in strings(line["json"]) if len(text) >= 20}
    made = [payload for _, payload in [*events, *decoded(guilds(random.Random(2)), 20)]]
    ours = {text for text in strings(made) if len(text) >= 20}
    assert len(theirs) > 100
    assert len(ours) > 1000
    assert not theirs & ours


# The tally


def mark(number: int, shard: int = 0) -> bytes:
    return b'{"id":"1","_shard":%d,"_number":%d}' % (shard, number)


def test_tally_of_a_whole_stream() -> None:
    tally = Tally()
    stream = mixed(random.Random(1))
    for event in islice(stream, 300):
        assert tally.receive(event.name, event.data) == tally.names.total()
    assert tally.never_sent == 300
    tally.sent(stream.number)
    assert tally.counts() == {"sent": 300, "delivered": 300, "lost": 0, "duplicated": 0, "out_of_order": 0}
    assert tally.whole()
    assert tally.names["MESSAGE_CREATE"] > 50


@pytest.mark.parametrize(
    ("received", "delivered", "lost", "duplicated", "out_of_order"),
    [
        ([1, 2, 3, 4], 4, 0, 0, 0),
        ([1, 2, 4], 3, 1, 0, 0),
        ([1, 2, 2, 3, 4], 4, 0, 1, 0),
        ([1, 3, 2, 4], 4, 0, 0, 1),
        ([2, 3, 4, 1], 4, 0, 0, 1),
        ([4, 1, 1, 2], 3, 1, 1, 2),
        ([], 0, 4, 0, 0),
    ],
)
def test_tally_by_hand(received: list[int], delivered: int, lost: int, duplicated: int, out_of_order: int) -> None:
    tally = Tally()
    tally.sent(4)
    for number in received:
        tally.receive("TYPING_START", mark(number))
    counted = (tally.delivered, tally.lost, tally.duplicated, tally.out_of_order)
    assert counted == (delivered, lost, duplicated, out_of_order)
    assert tally.whole() == (received == [1, 2, 3, 4])


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"{}", b"\xff", b"[" * 10_000, b'{"_number":1}', b'{"_shard":0,"_number":"1"}', mark(0), mark(-4)],
)
def test_tally_of_what_has_no_number(raw: bytes) -> None:
    tally = Tally()
    assert tally.receive("READY", raw) is None
    assert tally.unnumbered == 1
    assert tally.counts() == {"sent": 0, "delivered": 0, "lost": 0, "duplicated": 0, "out_of_order": 0}
    assert tally.whole()


def test_tally_of_what_was_not_sent() -> None:
    tally = Tally()
    tally.sent(2)
    for number in (1, 2, 10**18, 10**18):
        tally.receive("TYPING_START", mark(number))
    assert (tally.delivered, tally.lost, tally.duplicated, tally.never_sent) == (2, 0, 1, 1)
    assert not tally.whole()


def test_tally_keeps_shards_apart() -> None:
    tally = Tally()
    tally.sent(2, shard=0)
    tally.sent(1, shard=5)
    for shard, number in ((0, 1), (5, 1), (0, 2)):
        tally.receive("TYPING_START", mark(number, shard))
    assert tally.counts() == {"sent": 3, "delivered": 3, "lost": 0, "duplicated": 0, "out_of_order": 0}


@given(sent=st.integers(0, 40), received=st.lists(st.integers(1, 50), max_size=80), told_first=st.booleans())
def test_tally_against_its_definition(sent: int, received: list[int], told_first: bool) -> None:
    tally = Tally()
    if told_first:
        tally.sent(sent)
    for number in received:
        tally.receive("TYPING_START", mark(number))
    tally.sent(sent)
    tally.sent(0)
    ours = {number for number in received if number <= sent}
    earlier = [received[:at] for at in range(len(received))]
    assert tally.delivered == len(ours)
    assert tally.lost == sent - len(ours)
    assert tally.duplicated == len(received) - len(set(received))
    assert tally.never_sent == len(set(received) - ours)
    assert tally.out_of_order == sum(
        number not in before and number < max(before, default=0)
        for number, before in zip(received, earlier, strict=True)
    )


@given(sent=st.integers(1, 60), lost=st.sets(st.integers(1, 60)), doubled=st.sets(st.integers(1, 60)), data=st.data())
def test_each_injected_fault_is_counted(sent: int, lost: set[int], doubled: set[int], data: st.DataObject) -> None:
    numbers = [number for number in range(1, sent + 1) if number not in lost]
    # Swaps of neighbours, none touching another, each of which puts one number behind a higher one.
    swaps = data.draw(st.sets(st.integers(0, max(0, len(numbers) // 2 - 1))) if len(numbers) > 1 else st.just(set()))
    for swap in swaps:
        at = 2 * swap
        numbers[at], numbers[at + 1] = numbers[at + 1], numbers[at]
    received = [number for number in numbers for _ in range(2 if number in doubled else 1)]
    tally = Tally()
    for number in received:
        tally.receive("TYPING_START", mark(number))
    tally.sent(sent)
    assert tally.counts() == {
        "sent": sent,
        "delivered": len(numbers),
        "lost": sent - len(numbers),
        "duplicated": len(doubled & set(numbers)),
        "out_of_order": len(swaps),
    }
