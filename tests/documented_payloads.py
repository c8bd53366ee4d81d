"""Payloads of every event, made from the documentation's tables alone: what Discord might send.

Optional and nullable fields are in every state, enumerations have any number, and nested objects of every kind come up
to a bounded depth and number.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

from tests import documented
from tests.documented import Array, Enumeration, Field, Kind, Map, Object, OneOf, Pair, Plain, Tagged

__all__ = ["UNKNOWN", "object_of", "payload_of"]

Draw: TypeAlias = Callable[[st.SearchStrategy[Any]], Any]

UNKNOWN: Final = "x_"
"""How the name of a field begins that no table has."""

_NESTED: Final = (8, 3, 1)
"""How many fields of an object may have objects in them that need not be, by its depth: a message has 24 that could."""
_DEPTH: Final = len(_NESTED)

_TEXTS: Final = ("", "0", "-1", "true", "null", "Zoë \U0001f44b", '"\\\n\x00\u2028', "2015-04-26T06:26:56.936000+00:00")
_TEXT: Final = st.sampled_from(_TEXTS) | st.text(max_size=4)
_INTEGER: Final = st.sampled_from((0, 1, 2, 4000, -1, 2**53)) | st.integers(-(2**53), 2**53)
_NUMBER: Final = st.sampled_from((0, 1, 0.5, 1e-9, 29.979)) | st.floats(-1e9, 1e9)
_SNOWFLAKE: Final = st.integers(0, 2**63).map(str)
_TIMESTAMP: Final = st.builds(
    lambda seconds, micros: datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micros),
    st.integers(0, 2**32),
    st.sampled_from((0, 1, 936_000)),
).map(datetime.isoformat)

_PLAIN: Final[dict[str, st.SearchStrategy[Any]]] = {
    "integer": _INTEGER,
    "number": _NUMBER,
    "string": _TEXT,
    "digits": st.integers(0, 2**63).map(str),
    "snowflake": _SNOWFLAKE,
    "boolean": st.booleans(),
    "timestamp": _TIMESTAMP,
    "null": st.none(),
    "any": st.sampled_from((None, True, 0, -1.5, "", "7", [], [{"id": "1"}], {}, {"a": None})),
}
_ENUMERATION: Final = st.integers(-1, 200)
_UNKNOWN: Final = st.sampled_from((
    {},
    {f"{UNKNOWN}new": None},
    {f"{UNKNOWN}version": 1_700_000_000_000, f"{UNKNOWN}list": [1, "2", {"id": None}]},
    {f"{UNKNOWN}id": {"id": "1", "type": []}},
))  # fmt: skip


@st.composite
def object_of(draw: st.DrawFn, table: Object, *, unknown: bool = False) -> dict[str, Any]:
    """A structure alone, likewise. What is told by its `type` has the right one."""
    number = next(
        (number for union in documented.UNIONS.values() for number in union if union[number] == table.title), None
    )
    return _Maker(draw, unknown).document(documented.fields_of(table.title, table.partial), 0, number)


@st.composite
def payload_of(draw: st.DrawFn, event: str, *, unknown: bool = False) -> dict[str, Any]:
    """A payload of an event as plain objects; if asked, with unknown fields in every object that a table describes."""
    maker = _Maker(draw, unknown)
    if event == "INTERACTION_CREATE":
        return maker.interaction()
    return maker.document(documented.fields_of_event(event), 0)


class _Maker:
    """Makes one payload. Numbers are drawn for each object, whose bits say which of its fields are there."""

    def __init__(self, draw: Draw, unknown: bool) -> None:
        self._draw = draw
        self._unknown = unknown

    def document(self, fields: tuple[Field, ...], depth: int, number: int | None = None) -> dict[str, Any]:
        """An object of these fields; `number` is its `type`, if that is what tells it from others."""
        absent = self._bits(len(fields))
        null = self._bits(len(fields))
        laden = self._laden(fields, depth)
        made: dict[str, Any] = {}
        for index, field in enumerate(fields):
            is_bare = _is_nested(field.kind) and field.name not in laden
            if field.optional and (absent >> index & 1 or (is_bare and not field.nullable)):
                continue
            if field.name == "type" and number is not None:
                made[field.name] = number
            elif field.nullable and (null >> index & 1 or is_bare):
                made[field.name] = None
            else:
                made[field.name] = self.value(field.kind, _DEPTH if is_bare else depth)
        if self._unknown:
            made.update(self._draw(_UNKNOWN))
        return made

    def _laden(self, fields: tuple[Field, ...], depth: int) -> frozenset[str]:
        """The fields of an object that may have optional objects in them: a few, wherever in the table they are."""
        nested = [field.name for field in fields if _is_nested(field.kind)]
        if depth >= _DEPTH or not nested:
            return frozenset()
        start = self._draw(st.integers(0, len(nested) - 1))
        return frozenset((nested[start:] + nested[:start])[: _NESTED[depth]])

    def interaction(self) -> dict[str, Any]:
        """An interaction, whose `data` is what its `type` says."""
        made = self.document(documented.fields_of_event("INTERACTION_CREATE"), 0)
        made["type"] = self._draw(st.sampled_from((*documented.INTERACTION_DATA, 1, 99)))
        title = documented.INTERACTION_DATA.get(made["type"])
        if title is None:
            made.pop("data", None)
        elif "data" in made:
            made["data"] = self.document(documented.fields_of(title), 0)
        return made

    def value(self, kind: Kind, depth: int) -> Any:
        match kind:
            case Plain(name):
                return self._draw(_PLAIN[name])
            case Enumeration():
                return self._draw(_ENUMERATION)
            case Pair():
                return [self._draw(_INTEGER), self._draw(_INTEGER)]
            case OneOf(options):
                return self.value(self._draw(st.sampled_from(options)), depth)
            case Array(item):
                return [self.value(item, depth) for _ in range(self._length(item, depth))]
            case Map(key, item):
                return {self._draw(_PLAIN[key.name]): self.value(item, depth) for _ in range(self._length(item, depth))}
            case Object(title, partial):
                return self.document(documented.fields_of(title, partial), depth + 1)
            case Tagged(name):
                numbers = _endings(name) if depth >= _DEPTH else tuple(documented.UNIONS[name])
                number = self._draw(st.sampled_from(numbers))
                return self.document(documented.fields_of(documented.UNIONS[name][number]), depth + 1, number)

    def _bits(self, count: int) -> int:
        """Any of `count` bits: often none of them or all, so that the whole of a table is seen."""
        every: int = 2**count - 1
        return int(self._draw(st.sampled_from((0, every)) | st.integers(0, every)))

    def _length(self, item: Kind, depth: int) -> int:
        if not _is_nested(item):
            return int(self._draw(st.integers(0, 3)))
        return 0 if depth >= _DEPTH else int(self._draw(st.integers(0, 2)))


@cache
def _is_nested(kind: Kind) -> bool:
    return any(documented.objects_in(kind))


@cache
def _endings(union: str) -> tuple[int, ...]:
    """The members of a union that need none of its members within."""
    return tuple(
        number
        for number, title in documented.UNIONS[union].items()
        if not any(isinstance(field.kind, Tagged) and not field.optional for field in documented.fields_of(title))
    )
