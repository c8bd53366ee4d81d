"""What every structure and event is made of: a frozen Struct, and the few types of Discord's that JSON has not.

A document is decoded leniently (msgspec's `strict=False`), which is what turns the digits of a snowflake into an int.
Three things are kept where a strict reader would fail: a number that no enumeration has, a bit that no flag has, and
any field that the documentation lacks (that one in `event.raw` only).
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from enum import KEEP, IntEnum, IntFlag
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ..secret import Secret

__all__ = [
    "AS_STRING",
    "UNSET",
    "Flags",
    "Later",
    "Maybe",
    "Model",
    "OpenEnum",
    "Snowflake",
    "Timestamp",
    "UnsetType",
    "created_at",
]

T = TypeVar("T")

Maybe: TypeAlias = T | UnsetType
"""A field that may be absent: `UNSET` then, which is falsy and is told from None by `is UNSET`."""

AS_STRING: Final = msgspec.Meta(description="a string of digits in JSON")
"""Marks a number that JSON carries as a string of digits, since JavaScript would round it."""

Snowflake: TypeAlias = Annotated[int, AS_STRING]
"""An id: an int here, a string in JSON (Discord: API Reference > Snowflakes). `created_at` reads its time."""

Timestamp: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
"""An aware datetime (Discord: API Reference > ISO8601 Date/Time). It costs 60 ns more than the string would."""

_DISCORD_EPOCH_MS: Final = 1_420_070_400_000


def created_at(snowflake: int) -> datetime:
    """When the thing with this id was made: its upper 42 bits, in milliseconds since the start of 2015, UTC.

    Raises:
        OverflowError: no snowflake, but a number whose time lies beyond the year 9999.
    """
    return datetime.fromtimestamp(((snowflake >> 22) + _DISCORD_EPOCH_MS) / 1000, UTC)


Later: TypeAlias = Mapping[str, Callable[[dict[str, Any]], Any]]
"""For some fields of a class, from its JSON object the JSON value of that field."""


class _InWireOrder(msgspec.StructMeta):
    """Sorts the fields of this package's classes as Discord sends them, Z to A, however they are declared.

    msgspec looks for each key from where it found the last one: in this order the next field is the one, and decoding
    takes a tenth less. A subclass of a user's own stays as it was written.
    """

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **config: Any) -> Any:
        annotations = namespace.get("__annotations__")  # from Python 3.14 on they are not there yet (PEP 649)
        if annotations and str(namespace.get("__module__")).startswith(f"{__package__}."):
            namespace["__annotations__"] = dict(sorted(annotations.items(), reverse=True))
        return super().__new__(mcls, name, bases, namespace, **config)


class Model(msgspec.Struct, metaclass=_InWireOrder, frozen=True, kw_only=True, gc=False, repr_omit_defaults=True):
    """The base of all structures. `gc=False`: nothing here ever refers back, and a guild makes ten thousand."""

    LATER: ClassVar[Later] = {}
    """Required fields that Discord added late, and what a document that was recorded before then means: in JSON, by
    the rest of that document."""


class Sealed(Model, frozen=True, kw_only=True):
    """A structure with a secret in it, which does not print."""

    SECRETS: ClassVar[frozenset[str]] = frozenset()
    """The fields that do not."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._shown())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return list(self._shown())

    def _shown(self) -> Iterator[tuple[str, Any]]:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not UNSET:
                yield name, (Secret("") if name in self.SECRETS else value)


class OpenEnum(IntEnum):
    """Numbers with names, to which Discord adds: one without a name is kept, as `UNKNOWN_<number>`."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int):
            return None
        member = int.__new__(cls, value)
        member._value_ = value
        member._name_ = f"UNKNOWN_{value}"
        return member


class _Combinations(dict[int, Any]):
    """The members of a flag type that have no name of their own, made once each.

    `enum` makes one in 3 µs and keeps it for ever, so that a stranger who sends numbers could fill the memory. This
    finds one in 0.2 µs, keeps a bounded number, and makes those beyond it anew.
    """

    __slots__ = ("_flags",)

    MAX = 4096

    def __init__(self, flags: "type[Flags]") -> None:
        super().__init__()
        self._flags = flags

    def __missing__(self, value: int) -> Any:
        if not isinstance(value, int):
            raise ValueError(f"{value!r} is not a valid {self._flags.__name__}")
        member = int.__new__(self._flags, value)
        member._value_ = value
        member._name_ = None
        if len(self) < self.MAX:
            self[value] = member
        return member


class Flags(IntFlag, boundary=KEEP):
    """Bits with names, to which Discord adds: one without a name is kept. Any int is a value."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        combinations = _Combinations(cls)
        # Not a method that looks the value up: msgspec calls this for each combination, and a call in Python would be
        # more than half of its cost. To mypy a method is what it was in the class.
        cls._missing_ = staticmethod(combinations.__getitem__)  # type: ignore[method-assign, assignment]
        # No flag at all is the most frequent value: as a member without a name msgspec finds it by itself.
        cls._value2member_map_.setdefault(0, combinations[0])

    def __repr__(self) -> str:
        if self._value_ < 0:
            return f"<{type(self).__name__}: {self._value_}>"
        named = [flag for flag in type(self) if flag and flag in self]
        rest = self._value_ & ~sum(named)
        names = [str(flag.name) for flag in named] + ([str(rest)] if rest or not named else [])
        return f"<{type(self).__name__}: {'|'.join(names)}>"
