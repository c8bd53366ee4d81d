"""Which intents bring which event: as the documentation's table says, and no event that is none.

And which event is whose payload type: `name_of` and `Dispatch.get` agree about every type there is.
"""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gateway_proto.events as ev
from gateway_proto import Dispatch, EventDecodeError, Intents, LocalProtocolError
from gateway_proto.event_intents import EVENT_INTENTS, missing_intents
from gateway_proto.events import DISPATCH_TYPES, name_of
from tests import shared_data

NAMES = st.sampled_from([*DISPATCH_TYPES, "EVENT_OF_TOMORROW"])
INTENTS = st.lists(st.sampled_from(list(Intents))).map(lambda bits: Intents(sum({bit.value for bit in bits})))


def shared() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(shared_data.protocol_file("gateway.json").read_text())
    return tables


def test_the_table_is_the_documentations_by_event() -> None:
    documented = {
        name: Intents(sum(Intents[intent] for intent in event["intents"]))
        for name, event in shared()["dispatch_events"].items()
    }
    assert {name: EVENT_INTENTS.get(name, Intents.none()) for name in documented} == documented
    assert EVENT_INTENTS.keys() == {name for name, intents in documented.items() if intents}


def test_the_table_is_the_documentations_by_intent() -> None:
    """The documentation says it twice, here by intent."""
    assert {
        intent.name: sorted(name for name, intents in EVENT_INTENTS.items() if intent in intents) for intent in Intents
    } == {name: sorted(intent["events"]) for name, intent in shared()["intents"].items()}


def test_every_name_is_an_event_and_needs_an_intent() -> None:
    assert EVENT_INTENTS.keys() < DISPATCH_TYPES.keys()
    assert all(EVENT_INTENTS.values())


def test_some_of_the_table() -> None:
    """What a reader of the documentation knows by heart, so that a run without the tables is not blind."""
    assert EVENT_INTENTS["GUILD_CREATE"] == Intents.GUILDS
    assert EVENT_INTENTS["MESSAGE_CREATE"] == Intents.GUILD_MESSAGES | Intents.DIRECT_MESSAGES
    assert EVENT_INTENTS["MESSAGE_DELETE_BULK"] == Intents.GUILD_MESSAGES
    assert EVENT_INTENTS["CHANNEL_PINS_UPDATE"] == Intents.GUILDS | Intents.DIRECT_MESSAGES
    assert EVENT_INTENTS["THREAD_MEMBERS_UPDATE"] == Intents.GUILDS | Intents.GUILD_MEMBERS
    assert not {"READY", "RESUMED", "INTERACTION_CREATE", "USER_UPDATE", "GUILD_MEMBERS_CHUNK"} & EVENT_INTENTS.keys()
    assert not any(Intents.MESSAGE_CONTENT in intents for intents in EVENT_INTENTS.values())


def test_nobody_can_change_it() -> None:
    with pytest.raises(TypeError):
        EVENT_INTENTS["READY"] = Intents.GUILDS  # type: ignore[index]


def test_any_one_intent_is_enough() -> None:
    asked = ["MESSAGE_CREATE", "GUILD_MEMBER_ADD", "READY", "EVENT_OF_TOMORROW", "THREAD_MEMBERS_UPDATE"]
    assert missing_intents(asked, Intents.DIRECT_MESSAGES | Intents.MESSAGE_CONTENT) == {
        "GUILD_MEMBER_ADD": Intents.GUILD_MEMBERS,
        "THREAD_MEMBERS_UPDATE": Intents.GUILDS | Intents.GUILD_MEMBERS,
    }
    assert missing_intents(asked, Intents.GUILD_MESSAGES | Intents.GUILD_MEMBERS) == {}
    assert missing_intents(DISPATCH_TYPES, Intents.none()) == EVENT_INTENTS
    assert missing_intents(DISPATCH_TYPES, Intents.all()) == {}
    assert missing_intents([], Intents.none()) == {}


@given(names=st.lists(NAMES), intents=INTENTS, unknown=st.integers(0, 2**60))
def test_whoever_adds_one_of_the_intents_misses_that_event_no_more(
    names: list[str], intents: Intents, unknown: int
) -> None:
    missing = missing_intents(iter(names), intents)
    assert missing == missing_intents(names, intents | Intents(unknown & ~Intents.all()))
    for name, wanted in missing.items():
        assert name in names
        assert wanted & intents == Intents.none() != wanted
        for intent in wanted:
            assert missing_intents(names, intents | intent).keys() <= missing.keys() - {name}
    for name in set(names) - missing.keys():
        assert name not in EVENT_INTENTS or EVENT_INTENTS[name] & intents


@pytest.mark.parametrize("name", DISPATCH_TYPES)
def test_the_name_of_a_payload_type_is_that_of_its_event(name: str) -> None:
    assert name_of(DISPATCH_TYPES[name]) == name


class _Payload(msgspec.Struct):
    """A type of a user's own: `Dispatch.decode` takes it, no event has it."""


class _Deleted(ev.MessageDelete, frozen=True, kw_only=True):
    """And this is none of an event's either."""


def _types() -> list[type[Any]]:
    exported = [getattr(ev, name) for name in ev.__all__]
    return [kind for kind in exported if isinstance(kind, type) and issubclass(kind, ev.Model)]


def test_a_type_has_a_name_exactly_if_get_can_give_it() -> None:
    """`get` decodes nothing for a type that is not its event's, so a payload that is no JSON tells who was asked."""
    kinds: list[type[Any]] = [*_types(), _Payload, _Deleted]
    for kind in kinds:
        asked = set()
        for name in DISPATCH_TYPES:
            try:
                assert Dispatch(1, 1, name, msgspec.Raw(b"{")).get(kind) is None
            except EventDecodeError:
                asked.add(name)
        try:
            names = {name_of(kind)}
        except LocalProtocolError:
            names = set()
        assert names == asked, kind


@pytest.mark.parametrize("kind", [ev.UnavailableGuild, ev.Guild, ev.Message, ev.Model])
def test_a_type_that_no_event_has_is_the_callers_mistake(kind: type[ev.Model]) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        name_of(kind)
    assert str(caught.value) == (f"no event has the payload type {kind.__name__}; DISPATCH_TYPES lists those of events")
