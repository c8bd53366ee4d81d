"""The payload of an event, typed: what `Dispatch.data` gives."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..errors import EventDecodeError
from .catalogue import DISPATCH_TYPES
from .fit import DECODE_ERRORS, DECODERS, decode_as, decode_plain, fit
from .model import UNSET, Maybe, Model
from .structures.guild import UnavailableGuild

__all__ = ["decode_event"]

_OUTAGE: Final = "GUILD_CREATE"


class _GuildCreate(Model, frozen=True, kw_only=True):
    name: Maybe[Any] = UNSET
    unavailable: Maybe[Any] = UNSET


class _EventDecoders(dict[str, Callable[[bytes | msgspec.Raw], Any]]):
    """For each event the function that decodes it, made when the first one comes: all 79 take 20 ms."""

    def __missing__(self, name: str) -> Callable[[bytes | msgspec.Raw], Any]:
        kind = DISPATCH_TYPES.get(name)
        if kind is None:
            return DECODERS[Any]
        self[name] = DECODERS[kind]
        return self[name]


_DECODERS: Final = _EventDecoders()


def decode_event(name: str, raw: bytes | msgspec.Raw) -> Any:
    """The payload as the type of its event; plain Python objects if no such event is known.

    Raises:
        EventDecodeError: the payload does not fit that type.
    """
    try:
        return _DECODERS[name](raw)
    except DECODE_ERRORS:
        pass  # as in `decode_as`
    return _fit_event(name, raw)


def _fit_event(name: str, raw: bytes | msgspec.Raw) -> Any:
    kind = DISPATCH_TYPES.get(name)
    if kind is None:
        return decode_plain(name, raw)
    try:
        return fit(name, raw, kind)
    except EventDecodeError as misfit:
        error = misfit
    if name == _OUTAGE and _is_outage(raw):
        # Discord: Gateway Events > Guild Create: one of two payloads, the other being an unavailable guild.
        return decode_as(name, raw, UnavailableGuild)
    raise error


def _is_outage(raw: bytes | msgspec.Raw) -> bool:
    guild = decode_as(_OUTAGE, raw, _GuildCreate)
    return guild.unavailable is True and guild.name is UNSET
