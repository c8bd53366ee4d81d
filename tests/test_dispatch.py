"""What a `Dispatch` gives of its payload: nothing until asked, then typed, as plain objects, or as a type of yours."""

import copy
import pickle
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from gateway_proto import Dispatch, EventDecodeError
from gateway_proto.events import (
    UNSET,
    GuildCreate,
    Maybe,
    MessageDelete,
    Model,
    Snowflake,
    Timestamp,
    TypingStart,
    UnavailableGuild,
    VoiceServerUpdate,
    decode,
)

DELETED = b'{"id":"175928847299117063","channel_id":"41771983423143937","guild_id":"41771983423143936","x":1}'


def dispatch(name: str, raw: bytes) -> Dispatch:
    return Dispatch(1, 2, name, msgspec.Raw(raw))


class Small(msgspec.Struct):
    """What one handler wants of a message."""

    id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET


def test_data_is_typed_and_the_raw_bytes_stay() -> None:
    event = dispatch("MESSAGE_DELETE", DELETED)
    assert event.data == MessageDelete(id=175928847299117063, channel_id=41771983423143937, guild_id=41771983423143936)
    assert bytes(event.raw) == DELETED


def test_nothing_is_decoded_before_somebody_asks_and_then_once(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[str] = []

    def counting(name: str, raw: msgspec.Raw) -> Any:
        decoded.append(name)
        return decode.decode_event(name, raw)

    monkeypatch.setattr("gateway_proto.actions.decode_event", counting)
    event = dispatch("MESSAGE_DELETE", DELETED)
    assert (event.name, event.sequence, event.get(TypingStart)) == ("MESSAGE_DELETE", 2, None)
    assert (
        repr(event)
        == f"Dispatch(epoch=1, sequence=2, name='MESSAGE_DELETE', raw=<{len(DELETED)} bytes>, replayed=False)"
    )
    assert decoded == []
    assert event.data is event.data
    assert event.get(MessageDelete) is event.data
    assert decoded == ["MESSAGE_DELETE"]


def test_what_was_decoded_is_no_part_of_the_value() -> None:
    asked, untouched = dispatch("MESSAGE_DELETE", DELETED), dispatch("MESSAGE_DELETE", DELETED)
    assert asked.data is not None
    assert asked == untouched
    assert hash(asked) == hash(untouched)
    assert repr(asked) == repr(untouched)
    assert copy.copy(asked) == untouched
    assert asked != Dispatch(1, 3, "MESSAGE_DELETE", msgspec.Raw(DELETED))
    assert asked != Dispatch(1, 2, "MESSAGE_DELETE", msgspec.Raw(DELETED), True)
    assert asked != "MESSAGE_DELETE"


def test_get_gives_the_one_type_that_is_asked_for() -> None:
    event = dispatch("MESSAGE_DELETE", DELETED)
    deleted = event.get(MessageDelete)
    assert deleted is not None
    assert deleted.channel_id == 41771983423143937
    assert event.get(TypingStart) is None
    assert event.get(Small) is None  # no event's type: that is what `decode` is for


def test_a_small_type_of_ones_own() -> None:
    small = dispatch("MESSAGE_DELETE", DELETED).decode(Small)
    assert (small.id, small.guild_id) == (175928847299117063, 41771983423143936)
    assert dispatch("MESSAGE_DELETE", b'{"id":"1"}').decode(Small).guild_id is UNSET


def test_plain_objects() -> None:
    assert dispatch("MESSAGE_DELETE", b'{"id":"1"}').decode() == {"id": "1"}


def test_an_unknown_event_gives_plain_objects() -> None:
    assert dispatch("SOMETHING_NEW", b'{"a":[1,null]}').data == {"a": [1, None]}


def test_null_as_the_payload_of_an_unknown_event_is_none() -> None:
    event = dispatch("SOMETHING_NEW", b"null")
    assert event.data is None
    assert event.decode() is None


def test_a_payload_that_does_not_fit_is_an_error_of_whoever_asked() -> None:
    event = dispatch("MESSAGE_DELETE", b'{"id":"1","channel_id":{"secret":"hunter2"}}')
    asks: list[Callable[[], object]] = [
        lambda: event.data,
        lambda: event.get(MessageDelete),
        lambda: event.decode(MessageDelete),
    ]
    for ask in asks:
        with pytest.raises(EventDecodeError) as caught:
            ask()
        error = caught.value
        assert (error.name, error.path) == ("MESSAGE_DELETE", "$.channel_id")
        assert str(error) == "the payload of MESSAGE_DELETE does not fit at $.channel_id: Expected `int`, got `object`"
    assert event.get(TypingStart) is None
    assert event.decode() == {"id": "1", "channel_id": {"secret": "hunter2"}}


def test_an_error_lets_go_of_what_it_was_raised_in() -> None:
    # A traceback's frames and a context would keep the message, and what is secret in it, as long as the error lives.
    with pytest.raises(EventDecodeError) as caught:
        _ = dispatch("MESSAGE_DELETE", b'{"id":1.5}').data
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_no_json_at_all_is_the_same_error() -> None:
    with pytest.raises(EventDecodeError, match=r"does not fit at \$: it is no JSON"):
        dispatch("MESSAGE_DELETE", b'{"id"').decode()


def test_too_deep_is_the_same_error() -> None:
    deep = b'{"id":"1","channel_id":"2","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(EventDecodeError, match="nested too deeply"):
        dispatch("MESSAGE_DELETE", deep).decode()


def test_a_guild_that_comes_during_an_outage_is_no_guild() -> None:
    event = dispatch("GUILD_CREATE", b'{"id":"41771983423143937","unavailable":true}')
    assert event.data == UnavailableGuild(id=41771983423143937, unavailable=True)
    assert event.get(GuildCreate) is None


@pytest.mark.parametrize("raw", [b'{"id":"1"}', b'{"id":"1","unavailable":false}', b'{"id":"1","name":"x"}'])
def test_half_a_guild_is_neither(raw: bytes) -> None:
    with pytest.raises(EventDecodeError, match="GUILD_CREATE"):
        _ = dispatch("GUILD_CREATE", raw).data


def test_a_copy_with_another_payload_has_its_own_data() -> None:
    event = dispatch("MESSAGE_DELETE", DELETED)
    assert event.get(MessageDelete) is not None
    other = msgspec.structs.replace(event, raw=msgspec.Raw(b'{"id":"1","channel_id":"2"}'))
    assert other.data == MessageDelete(id=1, channel_id=2)
    assert msgspec.structs.replace(event, name="NEW").data == msgspec.json.decode(DELETED)


def test_what_was_decoded_is_neither_printed_nor_pickled() -> None:
    event = dispatch("VOICE_SERVER_UPDATE", b'{"token":"hunter2","guild_id":"1","endpoint":null}')
    untouched = pickle.dumps(event)
    assert event.get(VoiceServerUpdate) is not None
    assert "hunter2" not in pretty_repr(event) + repr(event) + repr(event.data)
    assert pretty_repr(event).startswith("Dispatch(")
    assert pickle.dumps(event) == untouched
    assert pickle.loads(untouched) == event


HEADS = [b'{"id":"1","channel_id":', b'{"author":{"id":"1"},"timestamp":', b'{"members":[{"joined_at":', b'{"x":[', b""]
TAILS = [b"}", b"}]}", b"]}", b""]


@given(
    name=st.sampled_from(["GUILD_CREATE", "MESSAGE_CREATE", "PRESENCE_UPDATE", "GUILD_MEMBERS_CHUNK", "NEW"]),
    head=st.sampled_from(HEADS),
    middle=st.one_of(
        st.binary(max_size=20),
        st.integers(-(10**20), 10**20).map(lambda number: b"%d" % number),
        st.sampled_from([b"253402300800", b"null", b"[]", b"{}", b"NaN", b'"\\ud800"', b"1e999", b'"\xff"']),
    ),
    tail=st.sampled_from(TAILS),
)
def test_only_the_typed_error_ever_comes_out(name: str, head: bytes, middle: bytes, tail: bytes) -> None:
    event = dispatch(name, head + middle + tail)
    asks: list[Callable[[], object]] = [
        lambda: event.data,
        event.decode,
        lambda: event.decode(Model),
        lambda: event.decode(MessageDelete),
        lambda: event.decode(Timestamp),
    ]
    for ask in asks:
        with suppress(EventDecodeError):
            ask()
