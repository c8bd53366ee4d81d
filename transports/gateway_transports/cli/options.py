"""What the commands share: their options' values, and the mistakes in them."""

import sys
from typing import Annotated, Any, Final, Literal, TypeAlias

import typer

from gateway_proto import Intents


class InputError(Exception):
    """What the user gave cannot be used. One line; the command ends with exit code 2."""


def tell(text: str) -> None:
    """One line on stderr, beside whatever stdout carries."""
    print(f"gateway-proto: {text}", file=sys.stderr, flush=True)


Backend: TypeAlias = Annotated[Literal["asyncio", "trio"], typer.Option(help="The event loop.")]
Compression: TypeAlias = Literal["none", "zlib", "zlib-stream", "zstd-stream"]
Compress: TypeAlias = Annotated[
    Compression, typer.Option(help="zlib compresses payload by payload, the others the whole connection.")
]

_SETS: Final = {"none": Intents.none(), "unprivileged": Intents.unprivileged(), "all": Intents.all()}


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
        return Intents(int(text))
    intents = Intents.none()
    for name in (part.strip() for part in text.split(",")):
        known = _SETS.get(name.lower())
        if known is None:
            known = Intents.__members__.get(name.upper())
        if known is None:
            raise InputError(f"unknown intent {name!r:.60}; known are {', '.join([*_SETS, *Intents.__members__])}")
        intents |= known
    return intents
