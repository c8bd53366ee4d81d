"""Structs whose fields are of the types that they declare; msgspec itself looks at those only where it decodes.

What a test hands to a server was written by hand: `Drop` in place of `Drop()`, "3" in place of 3. Taken as it is, it
would strike nobody, or break something much later. Values are not repeated in the text: a token may be among them.
"""

import functools
import types
import typing
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import msgspec

from ..errors import InvalidConfigError


class Checked(msgspec.Struct, frozen=True):
    """Its fields are looked at when it is made. Who has a `__post_init__` of his own calls this one first.

    Raises:
        InvalidConfigError: one line with the field, what it must be, and what it is.
    """

    def __post_init__(self) -> None:
        for name, hint in _hints(type(self)).items():
            require_type(name, getattr(self, name), hint)


def require_type(name: str, value: object, hint: Any) -> None:
    """Raises InvalidConfigError, unless the value that goes by this name is of that type."""
    if _fits(value, hint):
        return
    parts = typing.get_args(hint)
    if typing.get_origin(hint) is tuple and isinstance(value, tuple | list):
        index = next(index for index, item in enumerate(value) if not _fits(item, parts[0]))
        name, value, hint = f"{name}[{index}]", value[index], parts[0]
    raise InvalidConfigError(f"{name} must be {_wanted(hint)}, got {told(value, hint)}")


def require_kind(value: object, kinds: Any, what: str, error: type[Exception] = InvalidConfigError) -> None:
    """Raises the error, unless the value is of one of these classes, which together are `what`."""
    if not isinstance(value, kinds):
        raise error(f"expected {what}, got {told(value, kinds)}")


def told(value: object, hint: Any = None) -> str:
    """What a value is, and how to write what was probably meant."""
    kinds = list(_kinds(hint))
    if isinstance(value, type):
        return f"the class {value.__name__}" + (f": write {_call(value)}" if value in kinds else "")
    if isinstance(value, str):
        plain = value.replace("_", "").lower()
        meant = [_call(kind) for kind in kinds if kind.__name__.lower() in (plain, f"to{plain}")]
        return f"str: write {meant[0]}" if meant else "str"
    return "None" if value is None else type(value).__name__


def is_int(value: object) -> TypeGuard[int]:
    """An integer; True and False, and JSON's, are none."""
    return isinstance(value, int) and not isinstance(value, bool)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _fits(value: object, hint: Any) -> bool:
    if type(value) is hint:
        return True  # nearly always, and at a tenth of the cost
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is tuple:  # of any length; a list does as well
        return isinstance(value, tuple | list) and all(_fits(item, parts[0]) for item in _one_of_each(value))
    if origin is not None:
        return isinstance(value, origin)
    if hint is float:
        return is_int(value) or isinstance(value, float)
    if hint is not bool and issubclass(hint, int):  # a flag's bits are as good as the flag
        return is_int(value)
    return isinstance(value, hint)


def _one_of_each(items: Sequence[object]) -> list[object]:
    """An item of each type: there may be a million guilds."""
    return list({type(item): item for item in items}.values())


def _wanted(hint: Any) -> str:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_wanted, parts))
    if origin is tuple:
        return f"a tuple of {_wanted(parts[0])}"
    return "None" if hint is types.NoneType else str((origin or hint).__name__)


def _kinds(hint: Any) -> Iterator[type]:
    """The classes that a hint consists of."""
    parts = typing.get_args(hint)
    if isinstance(hint, type) and not parts:
        yield hint
    for part in parts:
        yield from _kinds(part)


def _call(kind: type) -> str:
    fields = msgspec.structs.fields(kind) if issubclass(kind, msgspec.Struct) else ()
    return f"{kind.__name__}({', '.join(f'{field.name}=...' for field in fields if field.required)})"
