"""The payloads of events: decoded by their type, as plain objects and as a type of the user's; and encoded again.

The payload is what the input says: made by the type of its event (`payloads.py`), perhaps with a few bytes changed, or
bytes as they come.

Invariant: `Dispatch.data`, `get`, `decode` and an interaction's `data` give a value or raise `EventDecodeError`, which
names the event and a path and keeps no other error alive. What they give can be printed and encoded; what is encoded is
JSON, and decodes to an equal value (but for NaN and the infinities, which JSON has not). No secret of a `Sealed`
structure is in any repr or error.

Permitted exceptions: `EventDecodeError`, of `Dispatch.data`, `get` and `decode`, and of `Interaction.data`;
`RecursionError`, of `encode`, for what is nested a hundred deep and more.
"""

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NoReturn

import msgspec

from gateway_proto import Dispatch, EventDecodeError
from gateway_proto import events as ev

from .payloads import MARK, Maker
from .source import Script, Source

NAMES: Final = (*ev.DISPATCH_TYPES, "EVENT_OF_TOMORROW")
DEEP: Final = 100
RAW, DAMAGED = 1, 2
"""Bits of an input's second byte: its rest is the payload as it stands; some bytes of the payload made are changed."""


class Author(msgspec.Struct):
    """A part of what a user may want."""

    id: ev.Snowflake
    name: ev.Maybe[str | None] = ev.UNSET

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError("no id")


class Wanted(msgspec.Struct):
    """What a user may want of any event: nothing of it has to be there."""

    id: ev.Maybe[ev.Snowflake | None] = ev.UNSET
    guild_id: int | None = None
    type: ev.Maybe[ev.ChannelType] = ev.UNSET
    flags: ev.Maybe[ev.MessageFlags] = ev.UNSET
    joined_at: ev.Maybe[ev.Timestamp] = ev.UNSET
    user: ev.Maybe[Author] = ev.UNSET
    author: Author | None = None
    components: ev.Maybe[list[ev.Component]] = ev.UNSET
    resolved: dict[ev.Snowflake, Author] = {}


class Demanded(msgspec.Struct, forbid_unknown_fields=True):
    """The whole of a GUILD_BAN_ADD, and of nothing else."""

    guild_id: ev.Snowflake
    user: ev.User


def one_input(data: bytes) -> None:
    source = Source(data)
    name, manner = source.pick(NAMES), source.byte()
    payload, is_tame = (source.rest(), False) if manner & RAW else _made(source, name, manner)
    event = _dispatch(name, payload)
    value = _attempt(name, lambda: event.data)
    _check_get(event, value)
    plain = _attempt(name, event.decode)
    shown = [value] if name in ev.DISPATCH_TYPES else []
    shown += [event, _attempt(name, lambda: event.decode(Wanted)), _attempt(name, lambda: event.decode(Demanded))]
    if isinstance(value, msgspec.Struct):
        _check_encoded(value, payload, lambda encoded: _dispatch(name, encoded).data)
    if isinstance(value, ev.Interaction):
        chosen = _attempt(name, lambda: value.data)
        if isinstance(chosen, msgspec.Struct):
            _check_encoded(chosen, payload, lambda encoded: ev.decode_as(name, encoded, type(chosen)))
        repr(chosen)  # no secret any more for whoever asked for it
        shown.append(value)
    shown += [str(error) for error in (value, plain, *shown) if isinstance(error, EventDecodeError)]
    printed = [repr(one) for one in shown]
    assert not is_tame or not any(MARK in text for text in printed), "a secret is printed"


def _made(source: Source, name: str, manner: int) -> tuple[bytes, bool]:
    """A payload, and whether the mark is in nothing but secrets there."""
    changes = [(source.number(), source.byte()) for _ in range(1 + source.byte() % 3)] if manner & DAMAGED else []
    maker = Maker(source)
    payload = bytearray(maker.value(ev.DISPATCH_TYPES.get(name, Any)))
    for place, byte in changes if payload else []:
        payload[place % len(payload)] = byte
    return bytes(payload), maker.is_tame and not changes


def _dispatch(name: str, payload: bytes) -> Dispatch:
    return Dispatch(epoch=1, sequence=1, name=name, raw=msgspec.Raw(payload))


def _attempt(name: str, decode: Callable[[], Any]) -> Any:
    """What it gives, or the one error that it may raise."""
    try:
        return decode()
    except EventDecodeError as error:
        told = error
    assert (told.name, told.path[:1]) == (name, "$")
    assert told.__context__ is None
    return told


def _check_get(event: Dispatch, value: Any) -> None:
    """`get` gives `data` for the type of the event, and nothing for another's."""
    assert not any(event.get(kind) for name, kind in ev.DISPATCH_TYPES.items() if name != event.name)
    kind = ev.DISPATCH_TYPES.get(event.name)
    if kind is not None:
        got = _attempt(event.name, lambda: event.get(kind))
        if isinstance(value, EventDecodeError):
            assert isinstance(got, EventDecodeError)
        else:
            assert got is (value if type(value) is kind else None)


def _check_encoded(value: msgspec.Struct, payload: bytes, decode: Callable[[bytes], Any]) -> None:
    try:
        encoded = ev.encode(value)
    except RecursionError:
        assert payload.count(b"[") + payload.count(b"{") > DEEP
        return
    json.loads(encoded, parse_constant=_refuse)
    if all(math.isfinite(number) for number in _floats(value)):
        again = decode(encoded)
        assert type(again) is type(value)
        assert _comparable(again) == _comparable(value)


def _refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is no JSON")


def _floats(value: Any) -> Iterator[float]:
    """All that stand in it, at any depth."""
    rest = [value]
    while rest:
        match rest.pop():
            case float() as number:
                yield number
            case msgspec.Struct() as struct:
                rest += [getattr(struct, name) for name in struct.__struct_fields__]
            case list() | tuple() as items:
                rest += items
            case dict() as members:
                rest += members.values()
            case msgspec.Raw() as raw:
                rest.append(_plain(raw))


def _comparable(value: Any) -> Any:
    """With the data of an interaction as what it means: its spaces, and a member that stands there twice, are lost."""
    if isinstance(value, ev.Interaction) and value.raw_data is not ev.UNSET:
        return msgspec.structs.replace(value, raw_data=ev.UNSET), _plain(value.raw_data)
    return value


def _plain(raw: msgspec.Raw) -> Any:
    return _dispatch("INTERACTION_CREATE", bytes(raw)).decode()


# -- the corpus --------------------------------------------------------------------------------------------------------

_USER: Final = (
    b'{"id":"4194304","username":"ada","discriminator":"0","global_name":"Ad\\u00e4","avatar":null,"bot":true,'
    b'"public_flags":64}'
)
_MESSAGE: Final = (
    b'{"type":0,"tts":false,"timestamp":"2026-03-01T10:00:00.000000+00:00","pinned":false,"mentions":[],'
    b'"mention_roles":[],"mention_everyone":false,"id":"12582912","flags":0,"embeds":[{"type":"rich","color":255,'
    b'"fields":[{"name":"a","value":"b","inline":true}]}],"edited_timestamp":null,"content":"\\ud83d\\ude00",'
    b'"components":[%b],"channel_id":"8388608","attachments":[],"author":' + _USER + b"}"
)
_COMPONENTS: Final = (
    b'{"type":1,"id":1,"components":[{"type":2,"id":2,"style":1,"custom_id":"c","emoji":{"id":null,"name":"x"}},'
    b'{"type":99,"id":3,"new":[1.5,"2015-04-26"]}]},{"type":17,"id":4,"components":[{"type":10,"id":5,"content":"t"},'
    b'{"type":14,"id":6,"divider":true,"spacing":7}]}'
)
_INTERACTION: Final = (
    b'{"id":"1","application_id":"2","type":%d,"data":%b,"token":"%b","version":1,"app_permissions":"2048",'
    b'"entitlements":[],"authorizing_integration_owners":{"0":"5"},"attachment_size_limit":1024,"context":0}'
)
_COMMAND: Final = (
    b'{"id":"3","name":"roll","type":1,"options":[{"name":"sides","type":4,"value":20,"focused":true}],'
    b'"resolved":{"users":{"4194304":' + _USER + b'},"roles":{}}}'
)
_MODAL: Final = (
    b'{"custom_id":"m","components":[{"type":18,"id":1,"component":{"type":4,"id":2,"custom_id":"t","value":"v"}},'
    b'{"type":1,"id":3,"components":[{"type":21,"id":4,"custom_id":"r","value":null}]}]}'
)
_CHANGE: Final = (
    b'{"guild_id":"5","id":"6","user_id":null,"target_id":"7","action_type":11,"options":{"count":"3"},'
    b'"changes":[{"key":"name","new_value":{"a":[1e3,null]},"old_value":%b}]}'
)
_READY: Final = (
    b'{"v":10,"user":%b,"guilds":[{"id":"5","unavailable":true}],"session_id":"s","resume_gateway_url":"wss://r.example",'
    b'"shard":[0,1],"application":{"id":"2","flags":565248}}'
)
_PAYLOADS: Final = {
    "ready": ("READY", _READY % _USER),
    "message": ("MESSAGE_CREATE", _MESSAGE % _COMPONENTS),
    "message-spoiled": ("MESSAGE_UPDATE", _MESSAGE.replace(b"255", b'"red"') % b'{"type":{}}'),
    "command": ("INTERACTION_CREATE", _INTERACTION % (2, _COMMAND, b"t")),
    "modal": ("INTERACTION_CREATE", _INTERACTION % (5, _MODAL, b"t")),
    "data-misfit": ("INTERACTION_CREATE", _INTERACTION % (3, b'[ "\\ud800", {"a": 1, "a": 2} ]', b"")),
    "audit-log": ("GUILD_AUDIT_LOG_ENTRY_CREATE", _CHANGE % b"123456789012345678901234567890"),
    "not-finite": ("GUILD_AUDIT_LOG_ENTRY_CREATE", _CHANGE % b"[NaN,1e400]"),
    "ban": ("GUILD_BAN_ADD", b'{"guild_id":"5","user":%b}' % _USER),
    "negative-id": ("GUILD_BAN_REMOVE", b'{"user":{"id":-1},"author":{"id":-1},"guild_id":[]}'),
    "outage": ("GUILD_CREATE", b'{"id":"5","unavailable":true}'),
    "voice-server": ("VOICE_SERVER_UPDATE", b'{"token":"x","guild_id":5.0,"endpoint":"\xff\\ud800"}'),
    "presence": ("PRESENCE_UPDATE", b'{"user":{"id":"4"},"activities":[{"name":1}],"client_status":{"web":"idle"}}'),
    "large-numbers": ("MESSAGE_DELETE_BULK", b'{"ids":["18446744073709551616",-1,"007"],"channel_id":1e3}'),
    "unknown": (NAMES[-1], b'{"a":[{"b":"\\ud800"},-0.0,18446744073709551616]}'),
    "far-date": ("CHANNEL_PINS_UPDATE", b'{"channel_id":"5","last_pin_timestamp":1e18}'),
    "surrogate-and-nan": ("GUILD_AUDIT_LOG_ENTRY_CREATE", _CHANGE % b'["\\ud800",NaN]'),
    "deep": ("GUILD_AUDIT_LOG_ENTRY_CREATE", _CHANGE % (b"[" * 700 + b"]" * 700)),
    "cut": ("GUILD_ROLE_CREATE", b'{"guild_id":"5","role":{"id":'),
}  # fmt: skip


def seeds() -> dict[str, bytes]:
    def made(name: str, *choices: int, manner: int = 0) -> bytes:
        return Script().byte(NAMES.index(name), manner, *choices).data

    return {
        **{file: made(name, manner=RAW) + payload for file, (name, payload) in _PAYLOADS.items()},
        "made-least": made("GUILD_CREATE", 0, 0, 0),
        "made-deep": made("GUILD_CREATE", 0, 0, 2, 1, 0, 0, 2, 0, 0, 3, 4, 0, 0, 1, 2, 200, 5, 5, 0, 0, 1),
        "made-marked": made("READY", 0, 0, 2, 3, 0, 0, 2, 4, 0, 0),
        "made-interaction": made("INTERACTION_CREATE", 0, 0, 3, *range(1, 60, 2)),
        "made-damaged": made("MESSAGE_CREATE", 2, 0, 50, 34, 1, 0, 7, 0, 90, 91, 0, 0, 4, *range(20), manner=DAMAGED),
        "made-missing": made("MESSAGE_REACTION_ADD", 0, 0, 2, 3, 250, 1, 241),
    }
