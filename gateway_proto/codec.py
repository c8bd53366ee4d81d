"""The envelope of a gateway message: op, s, t, and `d` left as the bytes that it is.

`decode` is the fast way. What it refuses is read once more by a forgiving decoder (F31): only a message whose op, s
and t no decoder here can read is broken.
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeGuard

import msgspec

from .errors import UndecodableMessageError

NULL: Final = msgspec.Raw(b"null")


class Envelope(msgspec.Struct, gc=False):
    """What wraps every gateway message (Discord: Gateway Events > Payload Structure). `d` pins the message."""

    op: int
    d: msgspec.Raw = NULL
    s: int | None = None
    t: str | None = None


decode: Final[Callable[[bytes], Envelope]] = msgspec.json.Decoder(Envelope).decode
"""Decode a message of valid UTF-8. Raises msgspec.DecodeError or RecursionError."""

MAX_FORGIVEN: Final = 16 * 2**20
"""Bytes of a message, and members of its object, that the forgiving decoder takes on: it is slow, and nothing that
large is odd by accident."""
MAX_MEMBERS: Final = 256

DECODE_ERRORS: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def forgive(message: bytes) -> Envelope:
    """Read what `decode` refused: bytes that are no UTF-8 inside a string, NaN, a lone surrogate, repeated keys.

    Raises:
        UndecodableMessageError: no JSON object with a readable op, s and t.
    """
    if len(message) > MAX_FORGIVEN:
        raise UndecodableMessageError(f"a message that is odd has more than {MAX_FORGIVEN} bytes")
    # Bytes that are no UTF-8 become lone surrogates here, and the same bytes again in `d`.
    text = message.decode(errors="surrogateescape")
    try:
        fields = dict(_fields(text))
    except (ValueError, RecursionError, IndexError):
        raise UndecodableMessageError("a message is not a JSON object") from None
    op, s, t = (_value(fields, name) for name in ("op", "s", "t"))
    if not _is_int(op) or not (s is None or _is_int(s)) or not (t is None or is_unicode(t)):
        raise UndecodableMessageError("op, s or t of a message cannot be read")
    start, end = fields["d"][1] if "d" in fields else (0, 0)
    raw = text[start:end].encode(errors="surrogateescape")
    return Envelope(op=op, d=msgspec.Raw(raw) if raw else NULL, s=s, t=t)


def members(raw: msgspec.Raw) -> dict[str, Any]:
    """The members of a `d` that the fast decoder refuses, as plain values; {} if it is no object that can be read."""
    if len(raw) > MAX_FORGIVEN:
        return {}
    try:
        return {name: value for name, (value, _) in _fields(bytes(raw).decode(errors="surrogateescape"))}
    except (ValueError, RecursionError, IndexError):
        return {}


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_unicode(value: Any) -> TypeGuard[str]:
    """Whether this is a string that can be printed, stored and sent: one with a lone surrogate can not."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        # Python makes no int of more than 4300 digits. As op or s that is refused; within `d` nobody asks.
        return math.inf


_Span = tuple[Any, tuple[int, int]]
_decoder = json.JSONDecoder(parse_int=_integer)
_match_whitespace: Final = re.compile(r"[ \t\n\r]*").match


def _value(fields: dict[str, _Span], name: str) -> Any:
    return fields[name][0] if name in fields else None


def _fields(text: str) -> Iterator[tuple[str, _Span]]:
    """The members of the one object that `text` is, each with where its value stands."""
    at = _skip(text, 0)
    if text[at] != "{":
        raise ValueError("no object")
    at = _skip(text, at + 1)
    for count in itertools.count():
        if text[at] == "}":
            break
        if count == MAX_MEMBERS:
            raise ValueError("more members than any message has")
        key, at = _decoder.raw_decode(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at] != ":":
            raise ValueError("no member")
        start = _skip(text, at + 1)
        value, end = _decoder.raw_decode(text, start)
        yield key, (value, (start, end))
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)
            if text[at] == "}":
                raise ValueError("a comma before the end")
        elif text[at] != "}":
            raise ValueError("no comma between members")
    if _skip(text, at + 1) != len(text):
        raise ValueError("more than one value")


def _skip(text: str, at: int) -> int:
    found = _match_whitespace(text, at)
    return found.end() if found is not None else at
