"""The few types that JSON has not: snowflakes, timestamps, open enumerations, flags, and fields that may be absent."""

import copy
import pickle
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import EventDecodeError
from gateway_proto.events import (
    UNSET,
    ActionRow,
    Button,
    Container,
    Flags,
    GuildMember,
    Maybe,
    Model,
    OpenEnum,
    Role,
    RoleColors,
    Snowflake,
    Timestamp,
    UnavailableGuild,
    UnknownComponent,
    VoiceState,
    created_at,
    encode,
    fit,
)
from gateway_proto.events.fit import decode_as
from gateway_proto.events.model import AS_STRING, Sealed, _Combinations


class Kind(OpenEnum):
    TEXT = 0
    VOICE = 2


class Bits(Flags):
    A = 1 << 0
    B = 1 << 1
    D = 1 << 3


class Thing(Model, frozen=True, kw_only=True):
    id: Snowflake
    kind: Maybe[Kind] = UNSET
    bits: Maybe[Bits] = UNSET
    wide: Maybe[Annotated[Bits, AS_STRING]] = UNSET
    at: Maybe[Timestamp | None] = UNSET
    others: Maybe[dict[Snowflake, list[Snowflake]]] = UNSET


class Locked(Sealed, frozen=True, kw_only=True):
    SECRETS: ClassVar = frozenset({"token"})
    id: Snowflake
    token: str
    note: Maybe[str] = UNSET


def thing(raw: bytes) -> Thing:
    return decode_as("X", raw, Thing)


def test_the_time_in_a_snowflake() -> None:
    # the documentation's own example (API Reference > Snowflakes)
    assert created_at(175928847299117063) == datetime(2016, 4, 30, 11, 18, 25, 796000, tzinfo=UTC)
    assert created_at(0) == datetime(2015, 1, 1, tzinfo=UTC)


@given(st.integers(0, 2**64 - 1))
def test_the_time_of_every_snowflake_is_exact_to_the_millisecond(snowflake: int) -> None:
    since = created_at(snowflake) - datetime(2015, 1, 1, tzinfo=UTC)
    assert abs(since / timedelta(milliseconds=1) - (snowflake >> 22)) < 0.01


def test_a_number_that_is_a_string_in_json() -> None:
    got = thing(b'{"id":"175928847299117063","wide":"9","others":{"1":["2","3"]}}')
    assert (got.id, got.wide, got.others) == (175928847299117063, Bits.A | Bits.D, {1: [2, 3]})
    assert thing(b'{"id":175928847299117063}').id == 175928847299117063
    assert msgspec.json.decode(encode(got)) == {"id": "175928847299117063", "wide": "9", "others": {"1": ["2", "3"]}}


def test_permissions_may_outgrow_64_bits() -> None:
    got = thing(b'{"id":"1","wide":"36893488147419103233"}')
    assert got.wide == 2**65 + 1
    assert msgspec.json.decode(encode(got))["wide"] == "36893488147419103233"
    assert thing(b'{"id":"1","wide":"-36893488147419103233"}').wide == -(2**65) - 1


def test_a_number_of_a_million_digits_is_not_computed() -> None:
    assert thing(b'{"id":"1","wide":"' + b"9" * 1_000_000 + b'"}').wide is UNSET


def test_an_unknown_number_is_kept() -> None:
    got = thing(b'{"id":"1","kind":57,"bits":4097}')
    assert isinstance(got.kind, Kind)
    assert (got.kind, got.kind.name, got.kind == 57) == (57, "UNKNOWN_57", True)
    assert isinstance(got.bits, Bits)
    assert (got.bits, Bits.A in got.bits, Bits.B in got.bits) == (4097, True, False)
    assert msgspec.json.decode(encode(got)) == {"id": "1", "kind": 57, "bits": 4097}
    assert thing(b'{"id":"1","kind":2}').kind is Kind.VOICE


def test_an_enumeration_still_refuses_what_is_no_number() -> None:
    with pytest.raises(ValueError, match="TEXT"):
        Kind("TEXT")  # type: ignore[arg-type]  # its names are no values, though it is open to any number
    with pytest.raises(ValueError, match="not a valid Bits"):
        Bits("A")  # type: ignore[arg-type]  # nor are those of flags


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "<Bits: 0>"),
        (1, "<Bits: A>"),
        (3, "<Bits: A|B>"),
        (9, "<Bits: A|D>"),
        (16, "<Bits: 16>"),
        (17, "<Bits: A|16>"),
        (-1, "<Bits: -1>"),
    ],
)
def test_flags_print_their_names(value: int, text: str) -> None:
    assert repr(Bits(value)) == text


@given(st.integers(0, 2**70), st.integers(0, 2**70))
def test_flags_are_numbers(a: int, b: int) -> None:
    assert (Bits(a) | Bits(b), Bits(a) & Bits(b), Bits(a) ^ Bits(b)) == (a | b, a & b, a ^ b)
    assert isinstance(Bits(a) | Bits(b), Bits)
    assert pickle.loads(pickle.dumps(Kind(a % 100))) == a % 100
    assert copy.deepcopy(Bits(a)) == a


def test_flags_from_strangers_fill_no_memory() -> None:
    class Fresh(Flags):
        A = 1

    for value in range(2, 2 * _Combinations.MAX):
        assert Fresh(value) == value
    combinations = Fresh._missing_.__self__  # type: ignore[attr-defined]  # the bounded memory itself
    assert len(combinations) == _Combinations.MAX
    assert len(Fresh._value2member_map_) == 2  # A, and no flag at all
    assert Fresh(2) is Fresh(2)


@pytest.mark.parametrize(
    "text", ["2015-04-26T06:26:56.936000+00:00", "2015-04-26T06:26:56.936Z", "2015-04-26T08:26:56.936000+02:00"]
)
def test_a_timestamp_is_aware(text: str) -> None:
    at = thing(b'{"id":"1","at":"%s"}' % text.encode()).at
    assert at
    assert at == datetime(2015, 4, 26, 6, 26, 56, 936000, tzinfo=UTC)
    assert at.utcoffset() is not None


@pytest.mark.parametrize("text", ["2015-04-26T06:26:56.936000+00:00", "2015-04-26T06:26:56+00:00"])
def test_a_timestamp_is_written_as_discord_writes_it(text: str) -> None:
    assert msgspec.json.decode(encode(thing(b'{"id":"1","at":"%s"}' % text.encode())))["at"] == text


@pytest.mark.parametrize(
    "at",
    [b'"yesterday"', b'"2015-04-26T06:26:56"', b"[]", b"true", b"253402300800", b"-62135596801", b'"253402300800"'],
)
def test_what_is_no_timestamp_is_left_out(at: bytes) -> None:
    assert thing(b'{"id":"1","at":%s}' % at).at is UNSET


def test_absent_null_and_present_are_three_things() -> None:
    assert thing(b'{"id":"1"}').at is UNSET
    assert thing(b'{"id":"1","at":null}').at is None
    assert not UNSET
    assert encode(Thing(id=1)) == b'{"id":"1"}'
    assert encode(Thing(id=1, at=None)) == b'{"id":"1","at":null}'


def test_structures_are_values() -> None:
    one = thing(b'{"id":"1","kind":2}')
    assert one == Thing(id=1, kind=Kind.VOICE)
    assert hash(one) == hash(Thing(id=1, kind=Kind.VOICE))
    assert repr(one) == "Thing(id=1, kind=<Kind.VOICE: 2>)"
    with pytest.raises(AttributeError):
        one.id = 2  # type: ignore[misc]  # frozen, for the checker (an ignore of nothing is an error) and at run time


def test_fields_stand_as_discord_sends_them() -> None:
    assert UnavailableGuild.__struct_fields__ == ("unavailable", "id")
    with pytest.raises(TypeError):
        UnavailableGuild(1)  # type: ignore[call-arg]  # by keyword only: the order is nobody's business


def test_a_users_subclass_keeps_its_own_order() -> None:
    class Mine(Model, frozen=True):
        b: int
        a: int
        c: int = 3

    assert (Mine(1, 2).b, Mine(1, 2).a, Mine(1, 2).c) == (1, 2, 3)


def test_annotations_that_python_has_not_evaluated_yet_are_left_alone() -> None:
    # From Python 3.14 on a class is made before its `__annotations__` are (PEP 649).
    metaclass: Any = type(Model)
    made = metaclass("Made", (Model,), {"__module__": "gateway_proto.events.x"})
    assert made.__struct_fields__ == ()
    assert "__annotations__" not in vars(made) or not vars(made)["__annotations__"]


def test_what_an_old_recording_lacks_is_filled_in() -> None:
    recorded = {"id": "1", "name": "n", "color": 7, "hoist": False, "position": 1, "permissions": "8"}
    recorded |= {"managed": False, "mentionable": True}
    role = decode_as("X", msgspec.json.encode(recorded), Role)
    assert (role.colors, role.flags) == (RoleColors(primary_color=7), 0)
    assert decode_as("X", b'{"roles":[],"deaf":false,"mute":false}', GuildMember).flags == 0
    with pytest.raises(EventDecodeError, match=r"at \$\.roles: it is missing"):
        decode_as("X", b'{"deaf":false,"mute":false}', GuildMember)


def test_a_number_that_is_no_date_is_the_typed_error() -> None:
    with pytest.raises(EventDecodeError, match="out of range"):
        decode_as("X", b"253402300800", datetime)


def test_the_slow_way_takes_time_by_the_size_of_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in steps, each of which is bounded: no value is looked at twice, however deep it lies."""
    steps = 0

    def counting(*args: Any) -> Any:
        nonlocal steps
        steps += 1
        return original(*args)

    original = fit._fit
    monkeypatch.setattr(fit, "_fit", counting)
    inner: dict[str, Any] = {"type": 99}
    for depth in range(100):
        inner = {"type": 17, "id": depth, "components": [inner, {"type": 10, "content": "x"}]}
    container = decode_as("X", msgspec.json.encode(inner), Container)
    assert len(container.components) == 2
    assert steps < 100 * 6


def test_a_component_that_does_not_fit_is_kept_whole() -> None:
    row = decode_as("X", b'{"type":1,"components":[{"type":2},{"type":2,"style":1,"custom_id":"x"}]}', ActionRow)
    unknown, button = row.components
    assert isinstance(unknown, UnknownComponent)
    assert (unknown.type, unknown.document) == (2, {"type": 2})
    assert isinstance(button, Button)


def test_a_present_field_that_does_not_fit_is_no_null() -> None:
    state = {"user_id": "1", "session_id": "s", "deaf": False, "mute": False, "self_deaf": False, "self_mute": False}
    state |= {"self_video": False, "suppress": False}
    assert decode_as("X", msgspec.json.encode(state), VoiceState).channel_id is None  # as in an old recording
    with pytest.raises(EventDecodeError, match=r"\$\.channel_id"):
        decode_as("X", msgspec.json.encode(state | {"channel_id": {"x": 1}}), VoiceState)


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    a: int
    note: Maybe[str] = UNSET
    limit: int = 5


class Picky(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("hunter2 is negative")


@pytest.mark.parametrize(
    ("kind", "raw", "path"),
    [
        (Strict, b'{"a":1,"zz":2}', "$.'zz'"),
        (Strict, b'{"a":1,"limit":"many"}', "$.limit"),
        (Picky, b'{"a":-1}', "$"),
        (dict[str, bool], b'{"a":"5"}', "$['a']"),
        (dict[str, int], b'{"%s":[]}' % (b"k" * 1_000_000), f"$[{'k' * 40 + '…'!r}]"),
        (tuple[int, str], b"[1,2]", "$[1]"),
    ],
)
def test_a_type_of_ones_own_is_held_to_as_it_is_written(kind: Any, raw: bytes, path: str) -> None:
    with pytest.raises(EventDecodeError) as caught:
        decode_as("X", raw, kind)
    assert caught.value.path == path
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_what_json_cannot_say_is_null() -> None:
    unknown = UnknownComponent(document={"type": 99, "x": [float("nan"), float("inf"), 1.5], "s": "\ud800"})
    assert encode(ActionRow(components=[unknown])) == (
        b'{"type": 1, "components": [{"type": 99, "x": [null, null, 1.5], "s": "\\ud800"}]}'
    )


def test_a_secret_does_not_print() -> None:
    locked = Locked(id=1, token="hunter2")
    assert repr(locked) == "Locked(id=1, token=***)"
    assert "hunter2" not in str(locked)
    assert [name for name, _ in locked.__rich_repr__()] == ["id", "token"]
    assert "hunter2" not in repr(locked.__rich_repr__())
    assert msgspec.json.decode(encode(locked)) == {"id": "1", "token": "hunter2"}
