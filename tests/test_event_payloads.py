"""Payloads of all events, made from the documentation: they decode, they encode again, and what does not fit is told.

The fast way is msgspec's own decoder of the event's class, without anything of ours. The forgiving way is what
`decode_event` does if that fails: only what must be there and does not fit is an error, which says where.
"""

import copy
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache
from typing import Any, Final, NamedTuple, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto import EventDecodeError
from gateway_proto import events as ev
from tests import documented
from tests.documented import INTERACTION_DATA, STRUCTS, Object
from tests.documented_payloads import UNKNOWN, object_of, payload_of

EVENTS: Final = tuple(ev.DISPATCH_TYPES)
SECRET: Final = "the value itself"
TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")

each_event: Final = pytest.mark.parametrize("name", EVENTS)


def title_and_state(table: Object) -> str:
    return f"{table.title}{' (partial)' if table.partial else ''}"


def raw(document: Any) -> bytes:
    return json.dumps(document).encode()


@cache
def fast(kind: type[msgspec.Struct]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind, strict=False)


def comparable(document: Any) -> Any:
    """A document with timestamps as instants, and with booleans that equal no number."""
    match document:
        case dict():
            return {name: comparable(value) for name, value in document.items()}
        case list():
            return [comparable(element) for element in document]
        case bool():
            return "boolean", document
        case str() if TIMESTAMP.fullmatch(document):
            return datetime.fromisoformat(document)
    return document


def known(document: Any) -> Any:
    """A document without the fields that no table has."""
    match document:
        case dict():
            return {name: known(value) for name, value in document.items() if not name.startswith(UNKNOWN)}
        case list():
            return [known(element) for element in document]
    return document


def known_payload(name: str, payload: dict[str, Any]) -> dict[str, Any]:
    """A payload as its class gives it back: only the data of an interaction, which it has not looked into, is whole."""
    if name == "VOICE_CHANNEL_EFFECT_SEND" and "sound_id" in payload:
        payload = {**payload, "sound_id": str(payload["sound_id"])}
    if name == "INTERACTION_CREATE" and "data" in payload:
        return {**known(payload), "data": payload["data"]}
    pruned: dict[str, Any] = known(payload)
    return pruned


# -- the fast way --------------------------------------------------------------------------------------------------


@each_event
@settings(max_examples=25)
@given(data=st.data())
def test_a_payload_decodes_and_encodes(name: str, data: st.DataObject) -> None:
    payload = data.draw(payload_of(name, unknown=True))
    value = fast(ev.DISPATCH_TYPES[name]).decode(raw(payload))
    assert type(value) is ev.DISPATCH_TYPES[name]
    wanted = comparable(known_payload(name, payload))
    assert comparable(ev.to_document(value)) == wanted
    assert comparable(json.loads(ev.encode(value))) == wanted
    assert ev.decode_event(name, raw(payload)) == value


@pytest.mark.parametrize("table", STRUCTS, ids=title_and_state)
@settings(max_examples=10)
@given(data=st.data())
def test_a_structure_decodes_and_encodes(table: Object, data: st.DataObject) -> None:
    document = data.draw(object_of(table, unknown=True))
    value = fast(STRUCTS[table]).decode(raw(document))
    assert comparable(ev.to_document(value)) == comparable(known(document))


@settings(max_examples=40)
@given(payload_of("INTERACTION_CREATE", unknown=True))
def test_the_data_of_an_interaction_is_what_its_type_says(payload: dict[str, Any]) -> None:
    interaction = fast(ev.InteractionCreate).decode(raw(payload))
    title = INTERACTION_DATA.get(payload["type"])
    if title is None or "data" not in payload:
        assert interaction.data is ev.UNSET
    else:
        assert type(interaction.data) is STRUCTS[Object(title)]
        assert comparable(ev.to_document(interaction.data)) == comparable(known(payload["data"]))
        assert interaction.data is interaction.data


# -- the forgiving way: what does not fit --------------------------------------------------------------------------


class Place(NamedTuple):
    """A field in a document that is there: where, and what is left out instead if it does not fit."""

    steps: tuple[str | int, ...]
    path: str
    is_missed: bool
    """Whether it must be there, also in what was recorded before Discord had it."""
    is_array: bool
    leaves: tuple[tuple[str | int, ...], Any] | None
    """What gives way: the nearest field that may be UNSET, itself or what it is in, and UNSET; or, if that is nearer,
    the component that it is in, and KEPT. None: there is neither."""


KEPT: Final = "the component becomes an UnknownComponent, as it came"


def places(value: Any, document: Any, above: Place) -> Iterator[Place]:
    """Every field in a decoded value that can be spoiled, at any depth. `Any` and what is undecoded take everything."""
    match value:
        case msgspec.Struct():
            if isinstance(value, ev.ComponentModel):
                above = above._replace(leaves=(above.steps, KEPT))
            for field in msgspec.structs.fields(value):
                members = (field.type, *get_args(field.type))
                if field.encode_name not in document or Any in members or msgspec.Raw in members:
                    continue
                steps = (*above.steps, field.encode_name)
                place = Place(
                    steps,
                    f"{above.path}.{field.encode_name}",
                    is_missed=field.required and field.name not in getattr(value, "LATER", ()),
                    is_array=any(get_origin(member) is list for member in members),
                    leaves=(steps, ev.UNSET) if field.default is ev.UNSET else above.leaves,
                )
                yield place
                yield from places(getattr(value, field.name), document[field.encode_name], place)
        case list():
            for index, element in enumerate(value):
                within = above._replace(steps=(*above.steps, index), path=f"{above.path}[{index}]")
                yield from places(element, document[index], within)
        case dict():
            for key, element in value.items():
                within = above._replace(steps=(*above.steps, str(key)), path=f"{above.path}[{str(key)!r}]")
                yield from places(element, document[str(key)], within)


ROOT: Final = Place((), "$", is_missed=True, is_array=False, leaves=None)


def holder(document: Any, steps: tuple[str | int, ...]) -> Any:
    """What holds the last of these steps."""
    for step in steps[:-1]:
        document = document[step]
    return document


def given_back(payload: dict[str, Any], spoiled: dict[str, Any], leaves: tuple[tuple[str | int, ...], Any]) -> Any:
    """What the spoiled document is encoded as again."""
    result = copy.deepcopy(payload)
    steps, what = leaves
    if what is KEPT:
        holder(result, steps)[steps[-1]] = holder(spoiled, steps)[steps[-1]]
    else:
        del holder(result, steps)[steps[-1]]
    return result


@each_event
@settings(max_examples=10)
@given(data=st.data())
def test_a_field_that_does_not_fit_is_left_out_or_told(name: str, data: st.DataObject) -> None:
    payload = known_payload(name, data.draw(payload_of(name)))
    if name == "GUILD_CREATE":
        payload["unavailable"] = False  # without a name it would be an outage otherwise
    found = list(places(fast(ev.DISPATCH_TYPES[name]).decode(raw(payload)), payload, ROOT))
    if not found:  # RESUMED has no field
        return
    place = data.draw(st.sampled_from(found))
    spoiled = copy.deepcopy(payload)
    if place.is_missed and data.draw(st.booleans()):
        del holder(spoiled, place.steps)[place.steps[-1]]
    else:
        holder(spoiled, place.steps)[place.steps[-1]] = SECRET if place.is_array else [SECRET, {SECRET: SECRET}]
    if place.leaves is not None:
        value = ev.decode_event(name, raw(spoiled))
        assert type(value) is ev.DISPATCH_TYPES[name]
        assert comparable(ev.to_document(value)) == comparable(given_back(payload, spoiled, place.leaves))
    else:
        with pytest.raises(EventDecodeError) as caught:
            ev.decode_event(name, raw(spoiled))
        assert (caught.value.name, caught.value.path) == (name, place.path)
        assert SECRET not in str(caught.value)


GUILD_LATER: Final = {"nsfw_level": 0, "premium_progress_bar_enabled": False}
LATER: Final[dict[type[msgspec.Struct], dict[str, Any]]] = {
    ev.GuildCreate: {
        **GUILD_LATER,
        "threads": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    },
    ev.GuildMember: {"flags": 0},
    ev.GuildMemberAdd: {"flags": 0},
    ev.GuildUpdate: GUILD_LATER,
    ev.InteractionCreate: {
        "entitlements": [],
        "authorizing_integration_owners": {},
        "attachment_size_limit": 10 * 1024 * 1024,
    },
    ev.MessageReactionAdd: {"burst": False, "type": 0},
    ev.MessageReactionRemove: {"burst": False, "type": 0},
    ev.Role: {"flags": 0, "colors": {"primary_color": 0xABCDEF, "secondary_color": None, "tertiary_color": None}},
    ev.VoiceState: {"self_video": False},
    ev.VoiceStateUpdate: {"self_video": False},
}
"""Required fields that Discord added later than the rest, and what a payload means that was recorded before."""


@pytest.mark.parametrize("struct", LATER)
@settings(max_examples=10)
@given(data=st.data())
def test_a_field_that_came_later_is_filled_in(struct: type[msgspec.Struct], data: st.DataObject) -> None:
    name = ev.DISPATCH_NAMES.get(struct)
    tables = [table for table in STRUCTS if STRUCTS[table] is struct]
    document = data.draw(payload_of(name) if name else object_of(tables[0]))
    if struct is ev.Role:
        document["color"] = 0xABCDEF
    missing = data.draw(st.sets(st.sampled_from(sorted(LATER[struct])), min_size=1))
    old = {field: value for field, value in document.items() if field not in missing}
    value = ev.decode_as("RECORDED", raw(old), struct)
    assert comparable(ev.to_document(value)) == comparable(
        {**document, **{name: LATER[struct][name] for name in missing}}
    )


def test_no_other_field_is_filled_in() -> None:
    structs = {*ev.DISPATCH_TYPES.values(), *STRUCTS.values()}
    filled = {struct: set(getattr(struct, "LATER", ())) for struct in structs}
    assert {struct: names for struct, names in filled.items() if names} == {
        struct: set(values) for struct, values in LATER.items()
    }


@given(object_of(Object("guild: Unavailable Guild Object"), unknown=True))
def test_an_outage_is_no_guild(outage: dict[str, Any]) -> None:
    """Gateway Events > Guild Create: the payload may be an unavailable guild instead."""
    assert ev.decode_event("GUILD_CREATE", raw({**outage, "unavailable": True})) == ev.UnavailableGuild(
        id=int(outage["id"]), unavailable=True
    )
    with pytest.raises(EventDecodeError):
        ev.decode_event("GUILD_CREATE", raw({**outage, "unavailable": False}))


# -- the forgiving way: components that are newer than this --------------------------------------------------------

NEW_COMPONENTS: Final = st.fixed_dictionaries(
    {"type": st.sampled_from((0, 15, 16, 20, 24, 99, -1, 2**31))},
    optional={
        "id": st.integers(0, 9),
        "custom_id": st.text(max_size=3),
        "components": st.lists(st.fixed_dictionaries({"type": st.integers(0, 30)}), max_size=2),
        "document": st.none() | st.fixed_dictionaries({"a": st.integers()}),
        "x_new": st.lists(st.none() | st.booleans()),
    },
)


def around(component: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A component of a message alone, and within those that have others in them."""
    return st.sampled_from((
        component,
        {"type": 1, "id": 1, "components": [component, {"type": 2, "style": 5}]},
        {"type": 17, "components": [{"type": 10, "content": ""}, {"type": 1, "components": [component]}]},
        {"type": 9, "components": [component], "accessory": {"type": 2, "style": 1}},
        {"type": 9, "components": [{"type": 10, "content": "c"}], "accessory": component},
        {"type": 18, "label": "l", "component": component},
    ))  # fmt: skip


@given(payload_of("MESSAGE_CREATE"), st.lists(NEW_COMPONENTS.flatmap(around), min_size=1, max_size=3))
def test_a_component_of_an_unknown_type_is_kept_whole(
    payload: dict[str, Any], components: list[dict[str, Any]]
) -> None:
    payload["components"] = components
    message = ev.decode_event("MESSAGE_CREATE", raw(payload))
    assert comparable(ev.to_document(message)) == comparable(payload)
    assert comparable(json.loads(ev.encode(message))) == comparable(payload)
    for component, document in zip(message.components, components, strict=True):
        assert component.type == document["type"]
        assert isinstance(component, ev.UnknownComponent) == (document["type"] not in documented.COMPONENT_TYPES)
    assert ev.decode_event("MESSAGE_CREATE", ev.encode(message)) == message


@given(payload_of("INTERACTION_CREATE"), NEW_COMPONENTS, st.booleans())
def test_a_filled_in_component_of_an_unknown_type_is_kept_whole(
    payload: dict[str, Any], component: dict[str, Any], is_labelled: bool
) -> None:
    filled = {"type": 18, "id": 1, "component": component} if is_labelled else component
    payload["type"] = 5
    payload["data"] = {"custom_id": "c", "components": [{"type": 10, "id": 7}, filled]}
    data = ev.decode_event("INTERACTION_CREATE", raw(payload)).data
    unknown = data.components[1].component if is_labelled else data.components[1]
    assert isinstance(unknown, ev.UnknownComponent)
    assert unknown.type == component["type"]
    assert comparable(ev.to_document(data)) == comparable(payload["data"])


# -- the forgiving way: whatever else comes ------------------------------------------------------------------------

ODD: Final[tuple[Any, ...]] = (
    None, True, 0, -1, 1.5, "", "1", "x", [], {}, [None], {"type": None}, {"id": "1"}, {"type": True}, {"type": "17"},
    float("nan"), float("inf"), 1e400, 10**30, "9" * 30, "9" * 5000, -(10**30), "-1", "\ud800", "\udfff\ud800",
    "2015-04-26", "2015-04-26T06:26:56", "0000-00-00T00:00:00+00:00", "9999-12-31T23:59:59.999999-23:59",
    {"\ud800": 1}, {"9" * 40: {}}, {"type": 0, "document": {}}, {"type": 10**30}, {"type": [{}]}, {"type": {}},
)  # fmt: skip
ODD_BYTES: Final = st.binary(max_size=4) | st.sampled_from(
    (
        b"\xff",
        b"\xed\xa0\x80",
        b"\\ud800",
        b"NaN",
        b"-",
        b"[" * 3000,
        b"]" * 3000,
        b'{"a":' * 3000,
        b"0" * 9000,
        b"null",
    )
)
JSON: Final = st.recursive(
    st.sampled_from(ODD) | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def attempt(decode: Callable[[], Any]) -> Any:
    """What a function gives, or the one error that it may raise."""
    try:
        return decode()
    except EventDecodeError as error:
        return error


def decode_whatever(name: str, payload: bytes) -> None:
    """Nothing but an `EventDecodeError` may come out, of it or of what it gives."""
    value = attempt(lambda: ev.decode_event(name, payload))
    if isinstance(value, EventDecodeError):
        assert (value.name, value.path[0]) == (name, "$")
        return
    assert isinstance(value, (ev.DISPATCH_TYPES[name], ev.UnavailableGuild))
    ev.to_document(value)
    repr(value)
    if isinstance(value, ev.Interaction):
        data = attempt(lambda: value.data)
        assert data is ev.UNSET or isinstance(data, (EventDecodeError, msgspec.Struct))


@pytest.mark.parametrize(
    "data", [b'{"custom_id":"\\ud800"}', b'{"value":NaN}', b'{"custom_id":"\xff"}', b"[1e999]", b"null"]
)
def test_an_interaction_gives_back_whatever_its_data_is(data: bytes) -> None:
    """It is not looked into until `data` is asked for, so that it need not even be what a strict reader takes."""
    payload = raw({
        "id": "1", "application_id": "2", "type": 3, "data": 0, "token": "t", "version": 1, "app_permissions": "0",
        "entitlements": [], "authorizing_integration_owners": {}, "attachment_size_limit": 0,
    }).replace(b'"data": 0', b'"data": ' + data)  # fmt: skip
    interaction = ev.decode_event("INTERACTION_CREATE", payload)
    assert isinstance(attempt(lambda: interaction.data), EventDecodeError)
    wanted = json.loads(data.decode(errors="replace").replace("NaN", "null").replace("1e999", "null"))
    assert ev.to_document(interaction)["data"] == wanted


@settings(max_examples=150)
@given(st.sampled_from(EVENTS), st.binary(max_size=40) | JSON.map(raw))
def test_whatever_bytes_come_decode_or_are_told(name: str, payload: bytes) -> None:
    decode_whatever(name, payload)


@each_event
@settings(max_examples=10)
@given(data=st.data())
def test_a_payload_with_anything_in_it_decodes_or_is_told(name: str, data: st.DataObject) -> None:
    payload = known_payload(name, data.draw(payload_of(name)))
    found = list(places(fast(ev.DISPATCH_TYPES[name]).decode(raw(payload)), payload, ROOT))
    if found:
        place = data.draw(st.sampled_from(found))
        holder(payload, place.steps)[place.steps[-1]] = data.draw(JSON)
    decode_whatever(name, raw(payload))


@settings(max_examples=150)
@given(st.data())
def test_a_payload_whose_bytes_are_changed_decodes_or_is_told(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(EVENTS))
    payload = raw(data.draw(payload_of(name)))
    start = data.draw(st.integers(0, len(payload)))
    end = start + data.draw(st.integers(0, 3))
    decode_whatever(name, payload[:start] + data.draw(ODD_BYTES) + payload[end:])
