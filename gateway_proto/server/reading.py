"""Effects, targets and moments out of the plain values of JSON and TOML: dicts, lists, strings, numbers.

A fault is named as its class in `gateway_proto.server`, in either case: `ask_reconnect` or `AskReconnect`. Its fields
stand beside it under their own names. Where a field is bytes, a string means its UTF-8, and `{"hex": "00ff"}` any.

A target is one of `{"shard": 0}` (or `[0, 2]`), `{"session": 1}` (or a session id), `{"connection": 3}`, `{"next": 1}`
and `"all"`.

Whatever is wrong raises InvalidConfigError: one line that begins with the key. Values are not repeated in it, since a
session id may be among them.
"""

import difflib
import math
import re
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import msgspec

from ..errors import InvalidConfigError
from ..opcodes import Opcode
from ..secret import Secret
from .checked import is_int
from .effects import SendEvent, Target, ToAll, ToConnection, ToNext, ToSession, ToShard
from .faults import MAX_NEXT, AtSequence, Fault, OnConnection, OnMessage, OnUpgrade, When

T = TypeVar("T")
Fields: TypeAlias = Mapping[str, Any]

TARGETS: Final = ("shard", "session", "connection", "next", "all")
EVERY: Final = "each"
"""In place of a number: not once, but each time."""
_WORD: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
_AT_PATH: Final = re.compile(r" - at `\$\.?(?P<path>.*)`")


def snake(name: str) -> str:
    """`AskReconnect` as `ask_reconnect`."""
    return _WORD.sub("_", name).lower()


FAULTS: Final[dict[str, type[msgspec.Struct]]] = {snake(kind.__name__): kind for kind in typing.get_args(Fault)}
"""Every fault by the name that it has here."""


def read_fault(name: Any, fields: Fields) -> Fault:
    """A fault by its name and all its fields."""
    if not isinstance(name, str):
        raise InvalidConfigError("fault: must be a name")
    kind = FAULTS.get(snake(name))
    if kind is None:
        raise InvalidConfigError(f"fault: {unknown(name, FAULTS)}")
    values = {}
    types = typing.get_type_hints(kind)
    for key, value in fields.items():
        if key not in types:
            known = f"it has {', '.join(types)}" if types else "it has none"
            raise InvalidConfigError(f"{printed(key)}: {snake(name)} has no such field; {known}")
        values[key] = _bytes(key, value) if types[key] is bytes else value
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidConfigError(f"{key}: must be a finite number")
    fault: Fault = convert(values, kind, snake(name))
    return fault


def read_event(name: Any, data: bytes) -> SendEvent:
    """An event; `data` is the JSON of its `d`."""
    if not isinstance(name, str) or not name:
        raise InvalidConfigError("t: must be the name of an event, like MESSAGE_CREATE")
    return SendEvent(name, data)


def read_target(value: Any) -> Target:
    """A target."""
    if value == "all":
        return ToAll()
    if not isinstance(value, Mapping) or len(value) != 1:
        raise InvalidConfigError(f'target: must be "all" or an object with one of {", ".join(TARGETS[:-1])}')
    [(key, number)] = value.items()
    match key:
        case "shard":
            return _shard(number)
        case "session":
            if isinstance(number, str):
                return ToSession(Secret(number))
            return ToSession(_positive(key, number))
        case "connection":
            return ToConnection(_positive(key, number))
        case "next":
            count = _positive(key, number)
            if count > MAX_NEXT:
                raise InvalidConfigError(f"next: must be at most {MAX_NEXT}")
            return ToNext(count)
        case "all":
            if number is not True:
                raise InvalidConfigError("all: must be true")
            return ToAll()
    raise InvalidConfigError(f"target: {unknown(key, TARGETS)}")


def read_moment(value: Any) -> When:
    """One of `{"connection": 2}`, `{"upgrade": 2}` (a number, or "each"), `{"opcode": 6 or "resume", "nth": 1,
    "connection": 3}` and `{"sequence": 5, "session": 1}`.
    """
    if not isinstance(value, Mapping):
        raise InvalidConfigError("when: must be a table, like { sequence = 5 }")
    for key, (reader, allowed) in _MOMENTS.items():
        if key in value:
            only(value, allowed, "when")
            return reader(value)
    key = next(iter(value), "")
    raise InvalidConfigError(f"when: {unknown(key, (*_MOMENTS, 'second'))}")


def only(value: Fields, allowed: Iterable[str], where: str) -> None:
    """Refuse a key that is none of these."""
    allowed = list(allowed)
    for key in value:
        if key not in allowed:
            raise InvalidConfigError(f"{where}: {unknown(key, allowed)}")


def convert(value: Any, kind: Callable[..., T], where: str) -> Any:
    """`msgspec.convert`, with the text of what is wrong in our words."""
    try:
        return msgspec.convert(value, typing.cast(Any, kind), builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        path = _AT_PATH.search(str(error))
        text = _AT_PATH.sub("", str(error)).replace("`", "")
        raise InvalidConfigError(f"{path['path'] if path else where}: {text[:1].lower()}{text[1:]}") from error
    except InvalidConfigError as error:
        raise InvalidConfigError(f"{where}: {error}") from error


def unknown(name: Any, known: Iterable[str]) -> str:
    """That there is no such name, and which was probably meant."""
    known = list(known)
    close = difflib.get_close_matches(str(name)[:100], known, n=1)
    meant = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
    return f"{printed(name)} is unknown; {meant}"


def printed(name: Any) -> str:
    """A name of somebody else's, fit for a line of text."""
    text = str(name)
    return ascii(text if len(text) <= 40 else text[:37] + "...")


def _bytes(key: str, value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, Mapping) and list(value) == ["hex"] and isinstance(value["hex"], str):
        try:
            return bytes.fromhex(value["hex"])
        except ValueError:
            raise InvalidConfigError(f"{key}: hex must be pairs of hexadecimal digits") from None
    if not isinstance(value, str):
        raise InvalidConfigError(f'{key}: must be a string, or an object like {{"hex": "00ff"}}')
    return value.encode(errors="replace")


def _shard(value: Any) -> ToShard:
    if is_int(value) and value >= 0:
        return ToShard(value)
    if isinstance(value, list) and len(value) == 2 and all(is_int(part) for part in value) and 0 <= value[0] < value[1]:
        return ToShard(value[0], value[1])
    raise InvalidConfigError("shard: must be an id from 0, or [id, total]")


def _positive(key: str, value: Any) -> int:
    if not is_int(value) or value < 1:
        raise InvalidConfigError(f"{key}: must be an integer from 1")
    return value


def _number(value: Fields, key: str) -> int | None:
    return None if value[key] == EVERY else _positive(key, value[key])


def _optional(value: Fields, key: str) -> int | None:
    return _positive(key, value[key]) if key in value else None


def read_opcode(value: Any) -> int:
    """An opcode as a number or by its name."""
    if is_int(value) and value >= 0:
        return value
    if not isinstance(value, str):
        raise InvalidConfigError("opcode: must be an integer from 0, or a name")
    names = {opcode.name.lower(): opcode for opcode in Opcode}
    if value.lower() in names:
        return int(names[value.lower()])
    raise InvalidConfigError(f"opcode: {unknown(value, names)}")


def _on_message(value: Fields) -> OnMessage:
    nth = _number(value, "nth") if "nth" in value else 1
    return OnMessage(read_opcode(value["opcode"]), nth, _optional(value, "connection"))


_MOMENTS: Final[dict[str, tuple[Callable[[Fields], When], tuple[str, ...]]]] = {
    "opcode": (_on_message, ("opcode", "nth", "connection")),
    "sequence": (
        lambda value: AtSequence(_positive("sequence", value["sequence"]), _optional(value, "session")),
        ("sequence", "session"),
    ),
    "upgrade": (lambda value: OnUpgrade(_number(value, "upgrade")), ("upgrade",)),
    "connection": (lambda value: OnConnection(_number(value, "connection")), ("connection",)),
}
