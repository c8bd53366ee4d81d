"""The way back: a structure as the JSON that Discord would send."""

import json
import math
from datetime import datetime
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from .fit import decode_plain
from .model import AS_STRING, UNSET
from .structures.components import UnknownComponent

__all__ = ["encode", "to_document"]


def encode(value: msgspec.Struct) -> bytes:
    """An event or a structure as JSON. A field that the documentation lacks is not in it: `event.raw` has that.

    Raises:
        RecursionError: it is nested hundreds deep.
    """
    document = to_document(value)
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        return json.dumps(document).encode()  # a lone surrogate, which JSON can carry as an escape


def to_document(value: msgspec.Struct) -> dict[str, Any]:
    """An event or a structure as plain Python objects: what `encode` makes JSON of."""
    if isinstance(value, UnknownComponent):
        return {key: _plain(member, _Shape()) for key, member in value.document.items()}
    config = value.__struct_config__
    document: dict[str, Any] = {} if config.tag is None else {str(config.tag_field): config.tag}
    for name, encode_name, shape in _plan(type(value)):
        field = getattr(value, name)
        if field is not UNSET:
            document[encode_name] = _plain(field, shape)
    return document


class _Shape(NamedTuple):
    """What the annotation of a field says of JSON: whether a number is a string there, and the same of its items."""

    as_string: bool = False
    item: "_Shape | None" = None


def _plain(value: Any, shape: _Shape) -> Any:
    item = shape.item or _Shape()
    match value:
        case msgspec.Struct():
            return to_document(value)
        case datetime():
            return value.isoformat()
        case msgspec.Raw():
            return _plain(decode_plain("INTERACTION_CREATE", value), _Shape())  # nothing else has one
        case float() if not math.isfinite(value):
            return None  # JSON has no such number
        case list() | tuple() | set() | frozenset():
            return [_plain(element, item) for element in value]
        case dict():
            return {str(key): _plain(element, item) for key, element in value.items()}
        case int() if not isinstance(value, bool):
            return str(int(value)) if shape.as_string else int(value)
    return value


@lru_cache(maxsize=1024)
def _plan(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, _Shape], ...]:
    return tuple((field.name, field.encode_name, _shape(field.type)) for field in msgspec.structs.fields(kind))


def _shape(kind: Any) -> _Shape:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _Shape(as_string=AS_STRING in arguments)
    if origin in (Union, UnionType):
        shapes = [_shape(member) for member in arguments]
        return _Shape(any(shape.as_string for shape in shapes), next((s.item for s in shapes if s.item), None))
    if origin in (list, set, frozenset, tuple):
        return _Shape(item=_shape(arguments[0]))
    if origin is dict:
        return _Shape(item=_shape(arguments[1]))
    return _Shape()
