"""How JSON becomes a type of ours: at msgspec's speed if it fits, field by field if it does not.

The documentation is not what Discord sends: a null where none may be, a presence whose types nobody checked, a
component that is newer than this release. The slow way keeps what fits: a field that may be UNSET and does not fit is
left so (`event.raw` has it), a component that is not known or does not fit becomes an `UnknownComponent`, what an old
recording lacks is filled in (`Model.LATER`), and any *other* field that does not fit is an error, which names its path.

It takes time by the size of the document, whatever is in it: each value is looked at once.
"""

import json
import re
from collections.abc import Callable
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeGuard, TypeVar, Union, cast, get_args, get_origin

import msgspec

from ..errors import EventDecodeError
from .structures.components import UnknownComponent

__all__ = ["decode_as", "decode_plain"]

T = TypeVar("T")

_NUMBER: Final = re.compile(r"-?[0-9]{1,128}")
"""A number that JSON carries as a string. Permissions have 17 digits today; int() takes time by the square of them."""
_MAX_KEY: Final = 40
"""Characters of a key that a path shows."""

_VALUE: Final = re.compile(r"Invalid (enum )?value.*", re.DOTALL)
"""What msgspec says with the value in it, which an error must not show."""

DECODE_ERRORS: Final = (msgspec.DecodeError, ValueError, OverflowError, RecursionError)
"""ValueError: bytes that are no UTF-8, and a date beyond the year 9999, which msgspec passes on as it is."""


class _Misfit(Exception):
    def __init__(self, path: str, detail: str) -> None:
        self.path = path
        self.detail = detail


class _Decoders(dict[Any, Callable[[bytes | msgspec.Raw], Any]]):
    """For each type the function that decodes it. A dict, since `lru_cache` costs 0.1 µs an event more."""

    MAX = 1024
    """Types of the users' own are not endless, but one made in a loop would be."""

    def __missing__(self, kind: Any) -> Callable[[bytes | msgspec.Raw], Any]:
        decode = msgspec.json.Decoder(kind, strict=False).decode
        if len(self) < self.MAX:
            self[kind] = decode
        return decode


DECODERS: Final = _Decoders()


def decode_as(name: str, raw: bytes | msgspec.Raw, kind: type[T], path: str = "$") -> T:
    """The payload of the event `name` (or what is at `path` of it) as `kind`: a Struct, or what else msgspec decodes.

    Raises:
        EventDecodeError: it does not fit.
    """
    try:
        value: T = DECODERS[kind](raw)
        return value
    except DECODE_ERRORS:
        pass  # out of the handler first: an error raised in it would keep this one, and the message, alive
    return fit(name, raw, kind, path)


def fit(name: str, raw: bytes | msgspec.Raw, kind: type[T], path: str = "$") -> T:
    """`decode_as` the slow way, for what the fast one refuses."""
    document = decode_plain(name, raw)
    try:
        return cast(T, _fit(document, _node(kind), path))
    except _Misfit as misfit:
        error = EventDecodeError(name, misfit.path, misfit.detail)
    except RecursionError:
        error = EventDecodeError(name, path, "it is nested too deeply")
    raise error


def decode_plain(name: str, raw: bytes | msgspec.Raw) -> Any:
    """The payload as plain Python objects, also if it holds NaN, lone surrogates or bytes that are no UTF-8.

    Raises:
        EventDecodeError: it is no JSON.
    """
    try:
        return DECODERS[Any](raw)
    except DECODE_ERRORS:
        pass
    try:
        return json.loads(bytes(raw).decode(errors="replace"))
    except ValueError as error:
        detail = f"it is no JSON: {error}"
    except RecursionError:
        detail = "it is nested too deeply"
    raise EventDecodeError(name, "$", detail)


# -- what a type is made of ------------------------------------------------------------------------------------


class _Node(NamedTuple):
    """A type, taken apart: what a JSON value of each kind can become."""

    kind: Any
    item: "_Node | None" = None
    """Of an array."""
    members: "tuple[_Node, _Node] | None" = None
    """Of an object that is a dict: its keys and its values."""
    structs: tuple[type[msgspec.Struct], ...] = ()
    integers: tuple[type[int], ...] = ()
    is_raw: bool = False


class _Field(NamedTuple):
    name: str
    encode_name: str
    node: _Node
    required: bool
    may_be_unset: bool


def _node(kind: Any) -> _Node:
    node = _Node(kind)
    for option in _options(kind):
        arguments = get_args(option)
        if get_origin(option) is list:
            node = node._replace(item=_node(arguments[0]))
        elif get_origin(option) is dict:
            node = node._replace(members=(_node(arguments[0]), _node(arguments[1])))
        elif option is msgspec.Raw:
            node = node._replace(is_raw=True)
        elif _is_object(option):
            node = node._replace(structs=(*node.structs, option))
        elif isinstance(option, type) and issubclass(option, int) and option is not bool:
            node = node._replace(integers=(*node.integers, option))
    return node


def _is_object(option: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(option, type) and issubclass(option, msgspec.Struct) and not option.__struct_config__.array_like


def _options(kind: Any) -> list[Any]:
    """The members of a union, without None, UNSET and what `Annotated` adds; of anything else, itself alone."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [] if kind in (NoneType, msgspec.UnsetType) else [kind]


@lru_cache(maxsize=1024)
def _fields(kind: type[msgspec.Struct]) -> tuple[_Field, ...]:
    return tuple(
        _Field(field.name, field.encode_name, _node(field.type), field.required, field.default is msgspec.UNSET)
        for field in msgspec.structs.fields(kind)
    )


# -- value by value --------------------------------------------------------------------------------------------


def _fit(value: Any, node: _Node, path: str) -> Any:
    if node.is_raw and value is not None:
        return msgspec.Raw(json.dumps(value).encode())
    if isinstance(value, dict):
        if node.structs:
            return _fit_object(value, node, path)
        if node.members is not None:
            key, item = node.members
            return {_fit(name, key, path): _fit(it, item, f"{path}[{_short(name)}]") for name, it in value.items()}
    elif isinstance(value, list) and node.item is not None:
        item = node.item
        return [_fit(element, item, f"{path}[{index}]") for index, element in enumerate(value)]
    return _fit_leaf(value, node, path)


def _fit_leaf(value: Any, node: _Node, path: str) -> Any:
    try:
        return msgspec.convert(value, node.kind, strict=False)
    except msgspec.ValidationError as error:
        detail, _, within = str(error).partition(" - at `$")
    except (ValueError, OverflowError):
        detail, within = "it is out of range", ""
    if node.integers and isinstance(value, str) and _NUMBER.fullmatch(value):
        return node.integers[0](int(value))  # beyond 64 bits, where msgspec ends
    raise _Misfit(path + within.rstrip("`"), _VALUE.sub("it is none of the values there are", detail))


def _fit_object(value: dict[str, Any], node: _Node, path: str) -> msgspec.Struct:
    if len(node.structs) == 1:
        return _fit_struct(value, node.structs[0], path)
    tag_field = node.structs[0].__struct_config__.tag_field
    tag = value.get(str(tag_field))
    misfit = _Misfit(f"{path}.{tag_field}", "it is none of the values there are")
    for struct in node.structs:
        if struct.__struct_config__.tag == tag and struct is not UnknownComponent:
            try:
                return _fit_struct(value, struct, path)
            except _Misfit as error:
                misfit = error
    if UnknownComponent in node.structs:
        return UnknownComponent(document=value)
    raise misfit


def _fit_struct(value: dict[str, Any], kind: type[msgspec.Struct], path: str) -> msgspec.Struct:
    fields: dict[str, Any] = {}
    later = getattr(kind, "LATER", {})
    for name, key, node, required, may_be_unset in _fields(kind):
        if key in value:
            given = value[key]
        elif key in later:
            given = later[key](value)
        elif required:
            raise _Misfit(f"{path}.{key}", "it is missing")
        else:
            continue
        try:
            fields[name] = _fit(given, node, f"{path}.{key}")
        except _Misfit:
            if not may_be_unset:
                raise
    if kind.__struct_config__.forbid_unknown_fields:
        known = {field.encode_name for field in _fields(kind)} | {kind.__struct_config__.tag_field}
        unknown = next((key for key in value if key not in known), None)
        if unknown is not None:
            raise _Misfit(f"{path}.{_short(unknown)}", "there is no such field")
    try:
        return kind(**fields)
    except (TypeError, ValueError):  # out of a `__post_init__` of the user's
        raise _Misfit(path, f"{kind.__name__} does not take it") from None


def _short(key: str) -> str:
    return repr(key if len(key) <= _MAX_KEY else key[:_MAX_KEY] + "…")
