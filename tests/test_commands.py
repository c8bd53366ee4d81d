"""Everything an app may send: its documented shape, and what is refused before Discord would close for it (F37)."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.commands import (
    MAX_PAYLOAD,
    RESERVED,
    AnyPayload,
    Command,
    Heartbeat,
    Identify,
    InterMessage,
    RawCommand,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Resume,
    UpdatePresence,
    UpdateVoiceState,
    check_size,
    chunk_requests,
    encode,
    encode_checked,
    opcode_of,
)
from gateway_proto.errors import LocalProtocolError
from gateway_proto.opcodes import CLIENT_SENDS, Opcode
from gateway_proto.presence import NO_PRESENCE, Activity, CurrentPresence, OnlineStatus
from gateway_proto.secret import Secret
from gateway_proto.sharding import shard_id_for
from tests import shared_data

GUILD = 41771983423143937
"""Of shard 9 of 10, say: (GUILD >> 22) % 10."""
BUSY = CurrentPresence(activities=(Activity.playing("chess"),), status=OnlineStatus.DND)
EVERY: list[tuple[AnyPayload, Any]] = [
    (Heartbeat(sequence=251), 251),
    (Heartbeat(sequence=None), None),
    (
        Identify(token=Secret("t"), intents=513, properties={"os": "linux"}),
        {"token": "t", "intents": 513, "properties": {"os": "linux"}},
    ),
    (
        Identify(
            token=Secret("t"),
            intents=0,
            properties={},
            shard=(1, 10),
            presence=BUSY,
            compress=True,
            large_threshold=250,
            extra={"capabilities": 1, "token": "never this one"},
        ),
        {
            "token": "t",
            "intents": 0,
            "properties": {},
            "shard": [1, 10],
            "presence": {"since": None, "activities": [{"name": "chess", "type": 0}], "status": "dnd", "afk": False},
            "compress": True,
            "large_threshold": 250,
            "capabilities": 1,
        },
    ),
    (
        Resume(token=Secret("t"), session_id=Secret("s"), sequence=1337),
        {"token": "t", "session_id": "s", "seq": 1337},
    ),
    (UpdatePresence(presence=NO_PRESENCE), {"since": None, "activities": [], "status": "online", "afk": False}),
    (
        UpdateVoiceState(guild_id=GUILD, channel_id=5, self_deaf=True),
        {"guild_id": str(GUILD), "channel_id": "5", "self_mute": False, "self_deaf": True},
    ),
    (
        UpdateVoiceState(guild_id=GUILD, channel_id=None),
        {"guild_id": str(GUILD), "channel_id": None, "self_mute": False, "self_deaf": False},
    ),
    (RequestGuildMembers(guild_id=GUILD, query=""), {"guild_id": str(GUILD), "query": "", "limit": 0}),
    (
        RequestGuildMembers(guild_id=GUILD, query="a", limit=100, presences=True, nonce="ü" * 16),
        {"guild_id": str(GUILD), "query": "a", "limit": 100, "presences": True, "nonce": "ü" * 16},
    ),
    (
        RequestGuildMembers(guild_id=GUILD, user_ids=(7, 8)),
        {"guild_id": str(GUILD), "user_ids": ["7", "8"], "limit": 0},
    ),
    (RequestSoundboardSounds(guild_ids=(1, 2)), {"guild_ids": ["1", "2"]}),
    (RequestChannelInfo(guild_id=GUILD), {"guild_id": str(GUILD), "fields": ["status", "voice_start_time"]}),
]
TABLES = {
    Opcode.IDENTIFY: "gateway-events: Identify Structure",
    Opcode.RESUME: "gateway-events: Resume Structure",
    Opcode.PRESENCE_UPDATE: "gateway-events: Gateway Presence Update Structure",
    Opcode.VOICE_STATE_UPDATE: "gateway-events: Gateway Voice State Update Structure",
    Opcode.REQUEST_GUILD_MEMBERS: "gateway-events: Request Guild Members Structure",
    Opcode.REQUEST_SOUNDBOARD_SOUNDS: "gateway-events: Request Soundboard Sounds Structure",
    Opcode.REQUEST_CHANNEL_INFO: "gateway-events: Request Channel Info Structure",
}


def name_of(value: object) -> str:
    return type(value).__name__


@pytest.mark.parametrize(("command", "d"), EVERY, ids=name_of)
def test_payload(command: AnyPayload, d: Any) -> None:
    assert json.loads(encode(command)) == {"op": command.opcode, "d": d}


@pytest.mark.parametrize(("command", "d"), EVERY[5:], ids=name_of)
def test_opcode_of(command: Command, d: Any) -> None:
    assert opcode_of(command) == opcode_of(RawCommand(encode(command))) == command.opcode


def test_all_that_an_app_may_send_is_here() -> None:
    assert {command.opcode for command, _ in EVERY} == CLIENT_SENDS


@pytest.mark.parametrize(("command", "d"), EVERY, ids=name_of)
def test_the_fields_are_the_documented_ones(command: AnyPayload, d: Any) -> None:
    if command.opcode is Opcode.HEARTBEAT:
        return  # its d is a number
    rows = shared_data.objects()[TABLES[command.opcode]]
    known = {row["name"] for row in rows}
    assert d.keys() - {"capabilities"} <= known
    assert {row["name"] for row in rows if not row["optional"]} <= d.keys()
    assert {name for name, value in d.items() if value is None} <= {row["name"] for row in rows if row["nullable"]}


REFUSED: list[tuple[Command, str]] = [
    (RequestGuildMembers(guild_id=1), "exactly one"),
    (RequestGuildMembers(guild_id=1, query="", user_ids=(1,)), "exactly one"),
    (RequestGuildMembers(guild_id=1, user_ids=()), "1 to 100"),
    (RequestGuildMembers(guild_id=1, user_ids=tuple(range(101))), "1 to 100"),
    (RequestGuildMembers(guild_id=1, query="", limit=-1), "limit"),
    (RequestGuildMembers(guild_id=1, query="a", limit=101), "limit"),
    (RequestGuildMembers(guild_id=1, query="", nonce="x" * 33), "nonce"),
    (RequestGuildMembers(guild_id=1, query="", nonce="ü" * 17), "nonce"),
    (RequestSoundboardSounds(guild_ids=()), "at least one"),
    (RequestChannelInfo(guild_id=1, fields=()), "at least one"),
    (RequestGuildMembers(guild_id=1, query="\ud800"), "JSON"),
    (UpdatePresence(presence=CurrentPresence(activities=(Activity.playing("\udfff"),))), "JSON"),
]


@pytest.mark.failure("F37")
@pytest.mark.parametrize(("command", "why"), REFUSED)
def test_a_field_out_of_its_range_is_refused(command: Command, why: str) -> None:
    with pytest.raises(LocalProtocolError, match=why):
        encode_checked(command, None)


@pytest.mark.failure("F37")
@pytest.mark.parametrize("op", [1, 2, 6])
@pytest.mark.parametrize("d", [None, {}, {"guild_id": "1"}, 5, [1]])
def test_the_shards_own_opcodes_are_refused_raw(op: int, d: Any) -> None:
    assert op in RESERVED
    with pytest.raises(LocalProtocolError, match=f"op {op} is the shard's own"):
        encode_checked(RawCommand.of(op, d), None)


@pytest.mark.failure("F37")
@pytest.mark.parametrize(
    "text",
    [
        b'{"\\u006fp":2,"d":null}',
        b' \n{ "d" : {} , "op" : 2 } ',
        b'{"op":1}',
    ],
)
def test_however_they_are_written(text: bytes) -> None:
    with pytest.raises(LocalProtocolError, match="the shard's own"):
        encode_checked(RawCommand(text), None)


@pytest.mark.failure("F37")
@pytest.mark.parametrize(
    "text", [b'{"op":3,"op":2}', b'{"op":2,"d":null,"op":3}', b'{"op":2,"op":3}', b'{"op":8,"d":{"a":1,"a":2}}']
)
def test_a_member_named_twice_is_refused(text: bytes) -> None:
    # Which of the two Discord would take is not known, and either may be an IDENTIFY.
    with pytest.raises(LocalProtocolError):
        encode_checked(RawCommand(text), None)


@pytest.mark.failure("F37")
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"d":null}',
        b'{"op":"3"}',
        b'{"op":3.0}',
        b'{"op":null}',
        b'{"op":3,"d":}',
        b'{"op":3} {"op":2}',
        b'{"op":3,"d":"\xff"}',
        b'\xef\xbb\xbf{"op":3}',
    ],
)
def test_raw_text_that_is_no_message(text: bytes) -> None:
    with pytest.raises(LocalProtocolError):
        encode_checked(RawCommand(text), None)


def test_raw_text_as_deep_as_it_can_be_is_taken_or_refused() -> None:
    """How deep JSON may nest is the interpreter's to say; it is never another exception."""
    text = b'{"op":3,"d":' + b"[" * 2000 + b"]" * 2000 + b"}"
    with contextlib.suppress(LocalProtocolError):
        assert encode_checked(RawCommand(text), None) == text


def test_raw_text_goes_out_as_it_is() -> None:
    text = b'{ "op": 99, "d": {"new": [1, 2.5, "\xc3\xbc"]}, "extra": true }'
    assert encode_checked(RawCommand(text), (0, 1)) == text
    assert opcode_of(RawCommand(text)) == 99
    assert json.loads(RawCommand.of(4, {"a": 1}).text) == {"op": 4, "d": {"a": 1}}


@pytest.mark.failure("F37")
@pytest.mark.parametrize("raw", [False, True])
def test_the_size_limit(raw: bool) -> None:
    def message(size: int) -> InterMessage:
        command = UpdatePresence(presence=CurrentPresence(activities=(Activity.playing(""),)))
        command = UpdatePresence(
            presence=CurrentPresence(activities=(Activity.playing("x" * (size - len(encode(command)))),))
        )
        return RawCommand(encode(command)) if raw else command

    assert len(encode_checked(message(MAX_PAYLOAD), None)) == MAX_PAYLOAD == 4096
    with pytest.raises(LocalProtocolError, match="4097 bytes"):
        encode_checked(message(MAX_PAYLOAD + 1), None)
    with pytest.raises(LocalProtocolError, match="4097 bytes"):
        check_size(b"x" * 4097)


def of_guild(guild_id: int) -> list[InterMessage]:
    return [
        UpdateVoiceState(guild_id=guild_id, channel_id=None),
        RequestGuildMembers(guild_id=guild_id, query=""),
        RequestSoundboardSounds(guild_ids=(guild_id,)),
        RequestChannelInfo(guild_id=guild_id),
        RawCommand.of(8, {"guild_id": str(guild_id), "query": "", "limit": 0}),
        RawCommand.of(8, {"guild_id": guild_id}),
        RawCommand.of(31, {"guild_ids": [str(guild_id)]}),
        RawCommand.of(8, {"guild_id": [str(guild_id)]}),
    ]


@pytest.mark.failure("F37")
@pytest.mark.parametrize("message", of_guild(GUILD), ids=name_of)
def test_a_guild_of_another_shard_is_refused(message: InterMessage) -> None:
    owner = shard_id_for(GUILD, 10)
    assert encode_checked(message, (owner, 10))
    assert encode_checked(message, None)
    assert encode_checked(message, (0, 1))
    with pytest.raises(LocalProtocolError, match=f"guild {GUILD} belongs to shard {owner} of 10, this is shard 2"):
        encode_checked(message, (2, 10))


@pytest.mark.failure("F37")
def test_one_foreign_guild_among_many_is_refused() -> None:
    mine, foreign = 2 << 22, 3 << 22
    with pytest.raises(LocalProtocolError, match=f"guild {foreign} "):
        encode_checked(RequestSoundboardSounds(guild_ids=(mine, foreign)), (0, 2))
    assert encode_checked(UpdatePresence(presence=BUSY), (0, 2))


@pytest.mark.failure("F37")
@given(
    text=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["op", "d", "guild_id", "guild_ids", "x"]), inner, max_size=4)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    shard=st.sampled_from([None, (0, 1), (1, 3)]),
)
def test_raw_input_raises_nothing_else(text: bytes, shard: tuple[int, int] | None) -> None:
    try:
        sent = encode_checked(RawCommand(text), shard)
    except LocalProtocolError:
        return
    assert sent == text
    assert msgspec.json.decode(text)["op"] not in RESERVED


def test_chunk_requests() -> None:
    assert chunk_requests(iter([1, 2]), 0, "", True) == [
        RequestGuildMembers(guild_id=1, query="", limit=0, presences=True),
        RequestGuildMembers(guild_id=2, query="", limit=0, presences=True),
    ]
    assert chunk_requests([], 5, "a", None) == []


@pytest.mark.failure("F41")
def test_a_refusal_tells_no_token() -> None:
    for extra in ({"x": "\ud800"}, {"x": object()}, {"x": {1, "a"}, "y": object()}):
        with pytest.raises(LocalProtocolError) as caught:
            encode(Identify(token=Secret("hidden"), intents=0, properties={}, extra=extra))
        assert "hidden" not in str(caught.value)
        assert caught.value.__suppress_context__
