"""Dispatch payloads of all 79 events: made by the types themselves, or realistic ones of the seeded stream.

A payload begins as the least that decodes (its required fields, each with its least value), and that is what it shrinks
to; more fields are there as Hypothesis draws them, nested to a bounded depth.
"""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cache
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, TypeAlias, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from ..events import DISPATCH_TYPES
from ..events.model import AS_STRING
from ..events.structures.components import UnknownComponent
from ..events.structures.interaction import ApplicationCommandData, Interaction, MessageComponentData, ModalSubmitData
from .stream import SHARES, EventStream, GeneratedEvent

MAX_DEPTH: Final = 3
"""Of objects within objects that need not be there."""
MAX_ITEMS: Final = 2
_SEEDS: Final = 8
_STREAM_LENGTH: Final = 60

Document: TypeAlias = dict[str, Any]

_TEXT: Final = st.sampled_from(("x", "", "0", "null", 'Zoë "\\\n \U0001f44b')) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=8
)
_NUMBER: Final = st.integers(0, 2**53)
_ID: Final = st.integers(1, 2**63 - 1)
_TIME: Final = st.builds(
    lambda seconds, micros: (
        datetime(2015, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=micros)
    ).isoformat(),
    st.integers(0, 2**30),
    st.sampled_from((0, 1, 936_000)),
)
_IN_FOUR: Final = st.integers(0, 3)
_INTERACTION_DATA: Final[dict[int, type[msgspec.Struct]]] = {
    2: ApplicationCommandData,
    3: MessageComponentData,
    4: ApplicationCommandData,
    5: ModalSubmitData,
}
"""Of an interaction's `data` its `type` tells what it is."""
_ANY: Final[st.SearchStrategy[Any]] = st.sampled_from((None, True, 0, -1.5, "", "7", [], {}, {"a": None}))


def event_documents(name: str) -> st.SearchStrategy[Document]:
    """The `d` of an event as plain objects, as the type of the event has it.

    Raises:
        KeyError: Discord has no such event; `DISPATCH_TYPES` lists those that there are.
    """
    kind = DISPATCH_TYPES[name]
    return st.composite(lambda draw: _Maker(draw).struct(kind, 0))()


def realistic_events() -> st.SearchStrategy[GeneratedEvent]:
    """An event out of a seeded stream that looks like real traffic: 16 common ones, and GUILD_CREATE."""
    return st.builds(
        lambda seed, index: _stream(seed)[index], st.integers(0, _SEEDS - 1), st.integers(0, _STREAM_LENGTH - 1)
    )


def events(*names: str) -> st.SearchStrategy[GeneratedEvent]:
    """Events with the JSON of their `d`: of these names, by default of all 79."""
    made = st.sampled_from(names or tuple(DISPATCH_TYPES)).flatmap(
        lambda name: event_documents(name).map(lambda document: GeneratedEvent(name, msgspec.json.encode(document)))
    )
    return made if names else made | realistic_events()


@cache
def _stream(seed: int) -> tuple[GeneratedEvent, ...]:
    shares: Mapping[str, float] = {**SHARES, "GUILD_CREATE": 0.02}
    return tuple(islice(EventStream(random.Random(seed), guilds=3, shares=shares), _STREAM_LENGTH))


class _Option(NamedTuple):
    """A member of a union, and whether JSON carries it as a string of digits."""

    kind: Any
    is_string: bool


class _Maker:
    """Makes one document: a few of the optional fields, so that nested objects do not fill the budget of an example."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def struct(self, kind: type[msgspec.Struct], depth: int) -> Document:
        config, fields = kind.__struct_config__, _fields(kind)
        made: Document = {} if config.tag is None else {str(config.tag_field): config.tag}
        # One with another default than UNSET is nullable, and always sent.
        optional = [field.name for field in fields if not field.required and field.default is msgspec.UNSET]
        for field in fields:
            # A quarter of the optional ones. Drawn just ahead of the value: so the two are dropped together.
            if field.name in optional and (depth >= MAX_DEPTH or self._draw(_IN_FOUR) < 3):
                continue
            if field.encode_name != "data" or not issubclass(kind, Interaction):
                made[field.encode_name] = self.value(field.type, depth)
        if issubclass(kind, Interaction) and made["type"] in _INTERACTION_DATA:
            made["data"] = self.struct(_INTERACTION_DATA[made["type"]], depth + 1)
        return made

    def value(self, kind: Any, depth: int) -> Any:
        options = _options(kind)
        option = options[0]
        if len(options) > 1 and depth < MAX_DEPTH:
            option = self._draw(st.sampled_from(options))
        elif len(options) > 1:
            option = min(options, key=lambda option: _is_nested(option.kind))
        return self._one(option, depth)

    def _one(self, option: _Option, depth: int) -> Any:
        kind = option.kind
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is list:
            return [self.value(arguments[0], depth + 1) for _ in range(self._length(depth))]
        if origin is tuple:
            return [self.value(item, depth + 1) for item in arguments]
        if origin is dict:
            keys = [str(self._draw(_ID)) for _ in range(self._length(depth))]
            return {key: self.value(arguments[1], depth + 1) for key in keys}
        if kind is UnknownComponent:
            return {"type": 99, "id": 1}
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, depth + 1)
        return self._draw(_plain(kind, option.is_string))

    def _length(self, depth: int) -> int:
        return 0 if depth >= MAX_DEPTH else self._draw(st.integers(0, MAX_ITEMS))


@cache
def _plain(kind: Any, is_string: bool) -> st.SearchStrategy[Any]:
    if kind is str:
        return _TEXT
    if kind is bool:
        return st.booleans()
    if kind is float:
        return st.sampled_from((0.5, 1, 29.979)) | st.floats(0, 1e9)
    if kind is datetime:
        return _TIME
    if kind is NoneType:
        return st.none()
    if kind is Any:
        return _ANY
    if issubclass(kind, IntEnum):
        # Discord adds to its enumerations: a number without a name is valid, too.
        numbers: st.SearchStrategy[int] = st.sampled_from([int(member) for member in kind]) | st.just(199)
    else:
        numbers = _ID if is_string else _NUMBER
    return numbers.map(str) if is_string else numbers


_fields: Final = cache(msgspec.structs.fields)


@cache
def _options(kind: Any, is_string: bool = False) -> tuple[_Option, ...]:
    """What a type may be, but not UNSET; the plainer first."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0], AS_STRING in get_args(kind))
    if get_origin(kind) in (Union, UnionType):
        options = [option for member in get_args(kind) for option in _options(member)]
        return tuple(sorted(options, key=lambda option: _is_nested(option.kind)))
    return () if kind is msgspec.UnsetType else (_Option(kind, is_string),)


@cache
def _is_nested(kind: Any) -> bool:
    origin = get_origin(kind)
    return origin in (list, dict, tuple) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))
