"""Gateway messages of every opcode in both directions: valid ones, and near-misses of them.

A valid message is what the documentation has, as plain objects {"op", "d"} (from a gateway with "s" and "t"). A
near-miss is the JSON of a valid one with one thing wrong: what a reader that trusts the documentation trips over.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec
from hypothesis import strategies as st

from ..commands import (
    MAX_NONCE,
    Command,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    UpdatePresence,
    UpdateVoiceState,
)
from ..opcodes import CLIENT_RECEIVES, CLIENT_SENDS, Opcode
from ..presence import Activity, CurrentPresence, OnlineStatus
from .drawn_events import events
from .stream import GeneratedEvent

Message: TypeAlias = dict[str, Any]
"""A gateway message as plain objects; `d` may hold `msgspec.Raw`."""

_ID: Final = st.integers(1, 2**63 - 1)
_IDS: Final = st.lists(_ID, min_size=1, max_size=4)
_SEQUENCE: Final = st.integers(0, 2**53)
_TEXT: Final = st.sampled_from(("", "x", "Zoë \U0001f44b")) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=10
)
_NONCE: Final = _TEXT.filter(lambda text: len(text.encode()) <= MAX_NONCE)
_SESSION_ID: Final = st.binary(min_size=16, max_size=16).map(bytes.hex)


def activities() -> st.SearchStrategy[Activity]:
    """What a bot may show."""
    return st.builds(
        Activity,
        name=_TEXT,
        type=st.integers(0, 5),
        url=st.none() | st.just("https://www.twitch.tv/x"),
        state=st.none() | _TEXT,
    )


def presences() -> st.SearchStrategy[CurrentPresence]:
    """A presence that may be set."""
    return st.builds(
        CurrentPresence,
        activities=st.lists(activities(), max_size=2).map(tuple),
        status=st.sampled_from(OnlineStatus),
        since=st.none() | st.integers(0, 2**41),
        afk=st.booleans(),
    )


def commands(*opcodes: Opcode) -> st.SearchStrategy[Command]:
    """What an app may ask for, typed: ops 3, 4, 8, 31 and 43, or those given. Each can be sent as it is."""
    wanted = opcodes or tuple(_COMMANDS)
    return st.one_of([_COMMANDS[opcode]() for opcode in wanted])


def _member_requests() -> st.SearchStrategy[Command]:
    common: dict[str, Any] = {
        "guild_id": _ID, "presences": st.none() | st.booleans(), "nonce": st.none() | _NONCE
    }  # fmt: skip
    return st.one_of(
        st.builds(RequestGuildMembers, query=_TEXT, limit=st.integers(0, 100), **common),
        st.builds(RequestGuildMembers, user_ids=_IDS.map(tuple), **common),
    )


_COMMANDS: Final[Mapping[Opcode, Callable[[], st.SearchStrategy[Command]]]] = {
    Opcode.PRESENCE_UPDATE: lambda: st.builds(UpdatePresence, presence=presences()),
    Opcode.VOICE_STATE_UPDATE: lambda: st.builds(
        UpdateVoiceState, guild_id=_ID, channel_id=st.none() | _ID, self_mute=st.booleans(), self_deaf=st.booleans()
    ),
    Opcode.REQUEST_GUILD_MEMBERS: _member_requests,
    Opcode.REQUEST_SOUNDBOARD_SOUNDS: lambda: st.builds(RequestSoundboardSounds, guild_ids=_IDS.map(tuple)),
    Opcode.REQUEST_CHANNEL_INFO: lambda: st.builds(
        RequestChannelInfo,
        guild_id=_ID,
        fields=st.lists(st.sampled_from(("status", "voice_start_time")), min_size=1, max_size=2).map(tuple),
    ),
}


def client_messages(*opcodes: Opcode, token: str = "a.test.token") -> st.SearchStrategy[Message]:
    """What an app sends: heartbeats, IDENTIFY, RESUME and commands; of these opcodes, by default of all eight."""
    wanted = opcodes or sorted(CLIENT_SENDS)
    return st.one_of([_client_message(opcode, token) for opcode in wanted])


def _client_message(opcode: Opcode, token: str) -> st.SearchStrategy[Message]:
    if opcode is Opcode.HEARTBEAT:
        data: st.SearchStrategy[Any] = st.none() | _SEQUENCE
    elif opcode is Opcode.IDENTIFY:
        data = _identifies(token)
    elif opcode is Opcode.RESUME:
        data = st.fixed_dictionaries({"token": st.just(token), "session_id": _SESSION_ID, "seq": _SEQUENCE})
    else:
        data = commands(opcode).map(lambda command: msgspec.to_builtins(command.payload()))
    return data.map(lambda d: {"op": int(opcode), "d": d})


def _identifies(token: str) -> st.SearchStrategy[Message]:
    shards = st.integers(1, 16).flatmap(lambda total: st.tuples(st.integers(0, total - 1), st.just(total)).map(list))
    return st.fixed_dictionaries(
        {
            "token": st.just(token),
            "intents": st.sampled_from((0, 1, 513, 33281)),
            "properties": st.fixed_dictionaries({"os": _TEXT, "browser": _TEXT, "device": _TEXT}),
        },
        optional={
            "compress": st.booleans(),
            "large_threshold": st.integers(50, 250),
            "shard": shards,
            "presence": presences().map(lambda presence: msgspec.to_builtins(presence.payload())),
        },
    )


def gateway_messages(*opcodes: Opcode) -> st.SearchStrategy[Message]:
    """What a gateway sends, one message by itself; of these opcodes, by default of all six. A dispatch is any event."""
    wanted = opcodes or sorted(CLIENT_RECEIVES)
    return st.one_of([_gateway_message(opcode) for opcode in wanted])


def _gateway_message(opcode: Opcode) -> st.SearchStrategy[Message]:
    if opcode is Opcode.DISPATCH:
        return st.builds(dispatch, st.integers(1, 2**31), events())
    data: st.SearchStrategy[Any] = st.none()
    if opcode is Opcode.HELLO:
        data = st.sampled_from((41250, 45000, 5000)).map(lambda interval: {"heartbeat_interval": interval})
    elif opcode is Opcode.INVALID_SESSION:
        data = st.booleans()
    return data.map(lambda d: {"op": int(opcode), "d": d, "s": None, "t": None})


def dispatch(sequence: int, event: GeneratedEvent) -> Message:
    """The message of an event."""
    return {"op": 0, "t": event.name, "s": sequence, "d": msgspec.Raw(event.data)}


def near_misses(messages: st.SearchStrategy[Message]) -> st.SearchStrategy[bytes]:
    """The JSON of a message with one thing wrong: a field gone, of another type or twice, an odd number, cut text …"""
    return st.builds(lambda message, spoil: spoil(_plain(message)), messages, _spoilers())


def _spoilers() -> st.SearchStrategy[Callable[[Message], bytes]]:
    odd = st.sampled_from(_ODD)
    return st.one_of(
        st.builds(lambda at, value: lambda message: _with(message, at, value), st.integers(0, 63), odd),
        st.builds(lambda at: lambda message: _with(message, at, None), st.integers(0, 63)),
        st.builds(lambda key, value: lambda message: _set(message, key, value), st.sampled_from("opdst"), odd),
        st.builds(lambda share: lambda message: _cut(message, share), st.floats(0, 0.999)),
        st.sampled_from((_twice, _not_utf8, _deep, _behind)),
    )


_ODD: Final = (
    b"null", b"true", b"0", b"-1", b"1.5", b'""', b'"1"', b"[]", b"{}", b"[null]", b"NaN", b"1e400", b"9" * 30,
    b'"\\ud800"', b'"' + b"9" * 400 + b'"',
)  # fmt: skip


def _plain(message: Message) -> Message:
    decoded: Message = msgspec.json.decode(msgspec.json.encode(message))
    return decoded


def _encode(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def _with(message: Message, at: int, value: bytes | None) -> bytes:
    """Another value for the `at`th member of `d` (or of the message, where that is no object), or none at all."""
    d = message.get("d")
    target = d if isinstance(d, dict) and d else message
    key = list(target)[at % len(target)]
    if value is None:
        del target[key]
        return _encode(message)
    target[key] = _HOLE
    return _encode(message).replace(_encode_hole(), value, 1)


def _set(message: Message, key: str, value: bytes) -> bytes:
    name = {"o": "op", "p": "op"}.get(key, key)
    message[name] = _HOLE
    return _encode(message).replace(_encode_hole(), value, 1)


_HOLE: Final = "\x00hole\x00"


def _encode_hole() -> bytes:
    return json.dumps(_HOLE).encode()


def _cut(message: Message, share: float) -> bytes:
    text = _encode(message)
    return text[: int(len(text) * share)]


def _twice(message: Message) -> bytes:
    return b'{"op":99,' + _encode(message)[1:]


def _not_utf8(message: Message) -> bytes:
    return _encode(message)[:-1] + b',"x":"\xff\xfe"}'


def _deep(message: Message) -> bytes:
    return _encode(message)[:-1] + b',"x":' + b"[" * 2000 + b"]" * 2000 + b"}"


def _behind(message: Message) -> bytes:
    return _encode(message) + b"{}"
