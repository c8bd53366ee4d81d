"""The gateway messages of the decode benchmark: whole ones, `{"t":…,"s":…,"op":0,"d":…}`, as Discord sends them.

They are those of `gateway_proto.testing`. What its stream does not make, guilds with so many members and a chunk of
members, is put together here from its guilds.
"""

import random
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from gateway_proto.testing.payloads import Payload, World, guild_ids
from gateway_proto.testing.stream import SHARES, EventStream

_encode = msgspec.json.Encoder().encode


class Sample(NamedTuple):
    event: str
    """The name of the event, and what sets these apart from others of that name."""
    messages: list[bytes]


def _stream(*names: str) -> Callable[[random.Random, int], list[bytes]]:
    def make(rng: random.Random, count: int) -> list[bytes]:
        stream = EventStream(rng, shares={name: SHARES[name] for name in names})
        return [_message(2 + number, *next(stream)) for number in range(count)]

    return make


def _guilds(members: int) -> Callable[[random.Random, int], list[bytes]]:
    def make(rng: random.Random, count: int) -> list[bytes]:
        world = World(rng, guild_ids(rng, (0, 1), 1))
        return [_message(2 + number, "GUILD_CREATE", _encode(_guild(world, members))) for number in range(count)]

    return make


def _chunks(members: int) -> Callable[[random.Random, int], list[bytes]]:
    def make(rng: random.Random, count: int) -> list[bytes]:
        world = World(rng, guild_ids(rng, (0, 1), 1))
        return [
            _message(2 + number, "GUILD_MEMBERS_CHUNK", _encode(_chunk(world, members, number, count)))
            for number in range(count)
        ]

    return make


def _guild(world: World, members: int) -> Payload:
    """A guild of the world with just so many members, and as many channels, presences and voices as that many have."""
    guild = world.guild_create()
    while len(guild["members"]) < members:
        more = world.guild_create()
        for name in ("members", "presences", "channels", "voice_states"):
            guild[name].extend(more[name])
    kept = guild["members"][:members]
    ids = {msgspec.json.decode(member)["user"]["id"] for member in kept}
    return guild | {
        "members": kept,
        "presences": [presence for presence in guild["presences"] if presence["user"]["id"] in ids],
        "channels": guild["channels"][: min(2 + members // 4, 200)],
        "voice_states": [state for state in guild["voice_states"] if state["user_id"] in ids],
        "member_count": members,
        "large": members > 250,
    }


def _chunk(world: World, members: int, index: int, count: int) -> Payload:
    """A chunk of the answer to REQUEST_GUILD_MEMBERS without presences (Gateway Events > Guild Members Chunk)."""
    guild = _guild(world, members)
    return {
        "nonce": world.hash(),
        "not_found": [],
        "members": guild["members"],
        "guild_id": guild["id"],
        "chunk_index": index,
        "chunk_count": count,
    }


def _message(sequence: int, name: str, data: bytes) -> bytes:
    return b'{"t":"%s","s":%d,"op":0,"d":%s}' % (name.encode(), sequence, data)


_SINGLE: Final = (
    "MESSAGE_CREATE",
    "MESSAGE_UPDATE",
    "MESSAGE_REACTION_ADD",
    "PRESENCE_UPDATE",
    "TYPING_START",
    "VOICE_STATE_UPDATE",
    "GUILD_MEMBER_UPDATE",
    "INTERACTION_CREATE",
)

SAMPLES: Final[dict[str, tuple[int, Callable[[random.Random, int], list[bytes]]]]] = {
    "mixed": (4, _stream(*SHARES)),
    **{name: (10, _stream(name)) for name in _SINGLE},
    "GUILD_CREATE, 5 members": (100, _guilds(5)),
    "GUILD_CREATE, 500 members": (1000, _guilds(500)),
    "GUILD_MEMBERS_CHUNK, 1000 members": (1000, _chunks(1000)),
}
"""What is made of each kind, and how many times fewer than `--events`: the larger, the fewer."""


def sample(event: str, events: int) -> Sample:
    """The messages of one kind, the same for the same arguments; at least one."""
    fewer, make = SAMPLES[event]
    return Sample(event, make(random.Random(5), max(1, events // fewer)))
