"""Payloads of events as JSON, made of an input's choices by the types themselves: how the target `events` gets deep.

An object begins as the least that decodes: its required fields, each with the least value. Then a few of its fields
are given another value, one that fits (and is made in the same way), one that does not, or bytes as they stand in the
input; or are left out, or stand there twice. So a few bytes of an input are a payload, and a few more change it
anywhere.
"""

from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, Union, get_args, get_origin

import msgspec

from gateway_proto.events.model import AS_STRING
from gateway_proto.events.structures.components import UnknownComponent
from gateway_proto.events.structures.interaction import InteractionData

from .source import Source

MAX_DEPTH: Final = 12
"""Of objects within objects that are more than the least."""
MARK: Final = "fuzz.secret.never-printed"
"""Stands in every field that must not print."""

TEXTS: Final = (b"x", b"", b"0", b"null", b"true", b"\\ud83d\\ude00", b"\\ud83d", b"\xff", b"\\u0000", b"\xc3\xa9")
NUMBERS: Final = (0, 1, 2, 3, 5, 17, -1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30)
FLOATS: Final = (b"0.5", b"1", b"-1e-9", b"1e22", b"0", b"1e400", b"NaN", b'"1.5"')
TIMES: Final = (
    b'"2015-04-26T06:26:56.936000+00:00"',
    b'"2015-04-26T06:26:56Z"',
    b'"0001-01-01T00:00:00+23:59"',
    b'"9999-12-31T23:59:59.999999-23:59"',
    b"1430029616",
    b'"-1.5"',
    b"253402300800",
    b"1e18",
    b'"99999999999999999999"',
    b'"2015-04-26T06:26:56"',
)
ODD: Final = (
    b"null", b"true", b"0", b"-1.5", b'""', b'"1"', b"[]", b"{}", b"[null]", b'{"id":"1"}', b'{"type":1.5}',
    b'{"type":"2"}', b'{"a":1,"a":{"b":[2]}}', b"NaN", b"-Infinity", b"1e400", b"9" * 40,
    b'"' + b"9" * 40 + b'"', b'"' + b"9" * 200 + b'"', b'"\\ud800"', b'{"\\ud800":1}', b'"\xff"', b'"\x01"', b"01",
    b"1.", b"[" * 2000 + b"]" * 2000, b"tru", b'"\\u12"', b"[" * 40 + b"]" * 40, b'{"a":' * 40 + b"0" + b"}" * 40,
)  # fmt: skip
"""What fits few types, or is no JSON at all."""

Members: TypeAlias = list[tuple[str, bytes]]
"""Of a JSON object: names, and values in JSON."""


class Maker:
    """Makes one payload. Where the source is exhausted everything is the least."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._texts: Sequence[bytes] = TEXTS
        self.is_tame = True
        """No bytes of the input stand in the payload: the mark is where it was put."""

    def value(self, kind: Any, depth: int = 0) -> bytes:
        """Some value: 3 in 4 fit the type."""
        manner = self._source.byte()
        if manner < 192:
            return self._fitting(self._source.pick(_options(kind)), depth)
        if manner < 248:
            return self._source.pick(ODD)
        self.is_tame = False
        return self._source.blob()

    def least(self, kind: Any) -> bytes:
        """The least that fits, of no choice at all."""
        return self._fitting(_options(kind)[0], MAX_DEPTH)

    def _fitting(self, option: "_Option", depth: int) -> bytes:
        kind, source = option.kind, self._source if depth < MAX_DEPTH else _NOTHING
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is list:
            return _array([self.value(arguments[0], depth + 1) for _ in range(source.byte() % 4)])
        if origin is tuple:
            return _array([self.least(item) for item in arguments])
        if origin is dict:
            names = [str(source.pick(NUMBERS)) for _ in range(source.byte() % 4)]
            return _object([(name, self.value(arguments[1], depth + 1)) for name in names])
        if kind is UnknownComponent:
            return _object([("type", str(99 + source.byte()).encode()), ("x", source.pick(ODD))])
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, depth)
        return self._plain(kind, option.is_string, source)

    def _plain(self, kind: Any, is_string: bool, source: Source) -> bytes:
        if kind is str:
            return b'"%b"' % source.pick(self._texts)
        if kind is bool:
            return source.pick((b"false", b"true"))
        if kind is float:
            return source.pick(FLOATS)
        if kind is datetime:
            return source.pick(TIMES)
        if kind is NoneType:
            return b"null"
        if kind is Any:
            return source.pick(ODD)
        members = list(kind) if issubclass(kind, IntEnum) else NUMBERS
        choice = source.byte()
        number = b"%d" % (members[choice % len(members)] if choice < 200 else source.number())
        return b'"%b"' % number if is_string else number

    def _struct(self, kind: type[msgspec.Struct], depth: int) -> bytes:
        config, fields = kind.__struct_config__, _fields(kind)
        members = {field.encode_name: self._field(kind, field, MAX_DEPTH) for field in fields if field.required}
        if config.tag is not None:
            members[str(config.tag_field)] = str(config.tag).encode()
        twice: Members = []
        for _ in range(self._source.byte() % 8 if fields and depth < MAX_DEPTH else 0):
            field, manner = self._source.pick(fields), self._source.byte()
            if manner >= 248:
                members.pop(field.encode_name, None)
            elif manner >= 240:
                twice.append((field.encode_name, self.least(field.type)))
            else:
                members[field.encode_name] = self._field(kind, field, depth + 1)
        return _object([*members.items(), *twice])

    def _field(self, owner: type[msgspec.Struct], field: Any, depth: int) -> bytes:
        if field.name not in getattr(owner, "SECRETS", ()):
            return self.value(field.type, depth) if depth < MAX_DEPTH else self.least(field.type)
        texts, self._texts = self._texts, (MARK.encode(),)
        if msgspec.Raw in get_args(field.type):
            made = self.value(InteractionData, depth) if depth < MAX_DEPTH else b"{}"
        else:
            made = self.least(field.type)  # anything else might not be a secret at all
        self._texts = texts
        return made


_NOTHING: Final = Source(b"")


class _Option(NamedTuple):
    """A member of a union, and whether JSON carries it as a string of digits."""

    kind: Any
    is_string: bool


@cache
def _options(kind: Any, is_string: bool = False) -> tuple[_Option, ...]:
    """What a type may be, but not UNSET; None comes last."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0], AS_STRING in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        options = [option for member in get_args(kind) for option in _options(member)]
        return tuple(sorted(options, key=lambda option: option.kind is NoneType))
    return () if kind is msgspec.UnsetType else (_Option(kind, is_string),)


_fields: Final = cache(msgspec.structs.fields)


def _array(items: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(items)


def _object(members: Members) -> bytes:
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), value) for name, value in members)
