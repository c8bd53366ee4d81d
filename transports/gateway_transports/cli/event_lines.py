"""An event as a line: JSON for programs, a readable one for people."""

from typing import Any, Final

import msgspec
from rich.text import Text

from gateway_proto import Dispatch

from .options import printable

_MASK: Final = "***"
_SECRETS: Final = ("session_id", "resume_gateway_url")
"""What READY says for the shard alone (F41)."""
_FACTS: Final = (
    # (what it is called, where in `d` it stands)
    ("", ("author", "username")),
    ("", ("user", "username")),
    ("", ("member", "user", "username")),
    ("", ("content",)),
    ("", ("name",)),
    ("", ("emoji", "name")),
    ("", ("status",)),
    ("channel ", ("channel_id",)),
    ("guild ", ("guild_id",)),
)
_MAX_FACT: Final = 60
"""Characters."""


def json_line(event: Dispatch, shard: int) -> bytes:
    """{"t", "s", "shard", "d"} and a newline; `d` as it came, but for READY's secrets. `"replayed": true` stands before
    `d` where it holds: the event may have been printed before."""
    raw = bytes(event.raw)
    if event.name == "READY":
        raw = _masked(raw)
    # JSON has line ends between its tokens only.
    raw = raw.replace(b"\n", b" ").replace(b"\r", b" ")
    name, mark = msgspec.json.encode(event.name), b'"replayed":true,' if event.replayed else b""
    return b'{"t":%b,"s":%d,"shard":%d,%b"d":%b}\n' % (name, event.sequence, shard, mark, raw)


def _masked(raw: bytes) -> bytes:
    data = _decode(raw)
    if not isinstance(data, dict):
        return b"null"
    return msgspec.json.encode(data | {name: _MASK for name in _SECRETS if name in data})


def _decode(raw: bytes | msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def readable(event: Dispatch, shard: int | None) -> Text:
    """The shard if there may be several, the sequence, the name and what one would want to know first: one line."""
    line = Text(no_wrap=True, overflow="ellipsis")
    if shard is not None:
        line.append(f"{shard:>4} ", "dim")
    line.append(f"{event.sequence:>7}  ", "dim").append(f"{printable(event.name):<28} ", "bold cyan")
    line.append("  ".join(_facts(_decode(event.raw))) or f"{len(bytes(event.raw))} bytes")
    if event.replayed:
        line.append("  replayed", "yellow")
    return line


def _facts(data: Any) -> list[str]:
    facts = []
    for label, path in _FACTS:
        value = data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            text = printable(value)
            facts.append(label + (text if len(text) <= _MAX_FACT else text[: _MAX_FACT - 1] + "…"))
    return facts
