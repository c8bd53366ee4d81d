"""Every payload that `gateway_proto.testing` makes is of its event's type, without the forgiving way being needed."""

import random
from itertools import islice
from typing import Final

import msgspec
import pytest

from gateway_proto.events import DISPATCH_TYPES, InteractionCreate
from gateway_proto.events.fit import decode_as
from gateway_proto.events.structures.interaction import ApplicationCommandData
from gateway_proto.testing import SHARES, EventStream
from gateway_proto.testing.payloads import World, guild_ids

NAMES: Final = [*SHARES, "GUILD_CREATE"]


def payloads(name: str, seed: int, count: int) -> list[bytes]:
    stream = EventStream(random.Random(seed), guilds=3, shares={name: 1.0})
    return [event.data for event in islice(stream, count)]


def test_no_event_is_left_out() -> None:
    rng = random.Random(1)
    assert set(World(rng, guild_ids(rng, (0, 1), 1)).makers) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_decodes_the_fast_way(name: str) -> None:
    kind = DISPATCH_TYPES[name]
    for raw in payloads(name, seed=len(name), count=10 if name == "GUILD_CREATE" else 300):
        fast = msgspec.json.decode(raw, type=kind, strict=False)
        assert decode_as(name, raw, kind) == fast


def test_what_an_interaction_carries_decodes_too() -> None:
    for raw in payloads("INTERACTION_CREATE", seed=1, count=50):
        interaction = msgspec.json.decode(raw, type=InteractionCreate, strict=False)
        assert isinstance(interaction.raw_data, msgspec.Raw)
        data = msgspec.json.decode(interaction.raw_data, type=ApplicationCommandData, strict=False)
        assert interaction.data == data
