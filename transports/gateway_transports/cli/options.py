"""What the commands share: their options' values, and the mistakes in them."""

import difflib
import sys
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from gateway_proto import Intents


class InputError(Exception):
    """What the user gave cannot be used. One line; the command ends with exit code 2."""


def tell(text: str) -> None:
    """One line on stderr, beside whatever stdout carries."""
    print(f"gateway-proto: {printable(text)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """The text on one line, without what a terminal would obey: some of it is the peer's."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


BackendName: TypeAlias = Literal["asyncio", "trio"]
Backend: TypeAlias = Annotated[BackendName, typer.Option(help="The event loop.")]
Compression: TypeAlias = Literal["none", "zlib", "zlib-stream", "zstd-stream"]
Compress: TypeAlias = Annotated[
    Compression, typer.Option(help="zlib compresses payload by payload, the others the whole connection.")
]

_SETS: Final = {"none": Intents.none(), "unprivileged": Intents.unprivileged(), "all": Intents.all()}
_MAX_DIGITS: Final = 15
"""What fits into the numbers that JSON can tell."""


def compression_settings(compress: Compression) -> dict[str, Any]:
    """The fields of a ShardConfig that ask for this compression."""
    if compress == "zlib":
        return {"payload_compression": True}
    return {"transport_compression": None if compress == "none" else compress}


def parse_intents(text: str) -> Intents:
    """Names separated by commas (case does not matter; none, unprivileged and all are sets), or one number.

    Raises:
        InputError: a name is none.
    """
    if text.strip().isascii() and text.strip().isdigit():
        return _parse_number(text.strip())
    intents = Intents.none()
    for name in (part.strip() for part in text.split(",")):
        known = _SETS.get(name.lower())
        if known is None:
            known = Intents.__members__.get(name.upper())
        if known is None:
            close = difflib.get_close_matches(name.upper(), Intents.__members__, n=1)
            hint = f"did you mean {close[0]}?" if close else "GUILDS and GUILD_MESSAGES are some"
            raise InputError(f"unknown intent {name!r:.60}; {hint}")
        intents |= known
    return intents


def _parse_number(digits: str) -> Intents:
    if len(digits) > _MAX_DIGITS:
        raise InputError(f"intents are a number of at most {_MAX_DIGITS} digits")
    return Intents(int(digits))
