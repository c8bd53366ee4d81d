"""How JSON becomes a type of ours: at msgspec's speed if it fits, field by field if it does not.

The documentation is not what Discord sends: a null where none may be, a presence whose types nobody checked, a
component that is newer than this release. The slow way keeps what fits: an *optional* field that does not is left
UNSET (`event.raw` has it), a component of an unknown type becomes an `UnknownComponent`, what an old recording lacks is
filled in (`Model.LATER`), and only a *required* field that does not fit is an error, which names its path.
"""

import json
import re
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin

import msgspec

from ..errors import EventDecodeError
from .structures.components import UnknownComponent

__all__ = ["decode_as", "decode_plain"]

T = TypeVar("T")

_MAX_DIGITS: Final = 128
"""Of a number that JSON carries as a string. Permissions have 17 today; int() takes time by the square of them."""

_VALUE: Final = re.compile(r"Invalid (enum )?value.*", re.DOTALL)
"""What msgspec says with the value in it, which an error must not show."""

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeError, RecursionError)


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
        return DECODERS[kind](raw)  # type: ignore[no-any-return]  # a cast costs 0.05 µs
    except DECODE_ERRORS:
        pass  # out of the handler first: an error raised in it would keep this one, and the message, alive
    return fit(name, raw, kind, path)


def fit(name: str, raw: bytes | msgspec.Raw, kind: type[T], path: str = "$") -> T:
    """`decode_as` the slow way, for what the fast one refuses."""
    document = decode_plain(name, raw)
    try:
        return cast(T, _fit(document, kind, path))
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


def _fit(value: Any, kind: Any, path: str) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except (msgspec.ValidationError, UnicodeError) as error:
        detail = _VALUE.sub("it is none of the values there are", str(error).partition(" - at `")[0])
    if isinstance(value, dict):
        return _fit_object(value, kind, path, detail)
    if isinstance(value, list):
        for option in _options(kind):
            if get_origin(option) is list:
                [item] = get_args(option)
                return [_fit(element, item, f"{path}[{index}]") for index, element in enumerate(value)]
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS:
        for option in _options(kind):
            if isinstance(option, type) and issubclass(option, int):
                return option(int(value))  # beyond 64 bits, where msgspec ends
    raise _Misfit(path, detail)


def _fit_object(value: dict[str, Any], kind: Any, path: str, detail: str) -> Any:
    structs = []
    for option in _options(kind):
        if get_origin(option) is dict:
            key, item = get_args(option)
            return {_fit(name, key, path): _fit(member, item, f"{path}[{name!r}]") for name, member in value.items()}
        if option is msgspec.Raw:
            return msgspec.Raw(json.dumps(value).encode())
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            structs.append(option)
    if len(structs) > 1:
        tag = value.get("type")
        known = [struct for struct in structs if struct.__struct_config__.tag == tag and struct is not UnknownComponent]
        if not known and UnknownComponent in structs:
            return UnknownComponent(document=value)
        structs = known
    if not structs:
        raise _Misfit(path, detail)
    return _fit_struct(value, structs[0], path)


def _fit_struct(value: dict[str, Any], kind: type[msgspec.Struct], path: str) -> msgspec.Struct:
    fields: dict[str, Any] = {}
    later = getattr(kind, "LATER", {})
    for field in msgspec.structs.fields(kind):
        name, where = field.encode_name, f"{path}.{field.encode_name}"
        if name in value:
            given = value[name]
        elif name in later:
            given = later[name](value)
        elif field.required:
            raise _Misfit(where, "it is missing")
        else:
            continue
        try:
            fields[field.name] = _fit(given, field.type, where)
        except _Misfit:
            if field.required:
                raise
    return kind(**fields)


def _options(kind: Any) -> list[Any]:
    """The members of a union, without None, UNSET and what `Annotated` adds; of anything else, itself alone."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [] if kind in (NoneType, msgspec.UnsetType) else [kind]
