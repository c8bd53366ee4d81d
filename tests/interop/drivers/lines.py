"""What the two Python drivers share: lines in, lines out, and the client's own log as lines."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any


def tell(saw: str, **facts: Any) -> None:
    """Print a line."""
    print(json.dumps({"saw": saw, **facts}), flush=True)


def tell_dispatch(name: str, data: Any) -> None:
    """Print the line of a dispatch; a stream of this project numbers its payloads."""
    tell("dispatch", name=name, number=data.get("_number") if isinstance(data, Mapping) else None)
    if name == "GUILD_MEMBERS_CHUNK":
        tell(
            "chunk",
            guild=data["guild_id"],
            ids=[member["user"]["id"] for member in data["members"]],
            index=data["chunk_index"],
            count=data["chunk_count"],
            nonce=data.get("nonce"),
            not_found=data.get("not_found"),
            presences=[presence["user"]["id"] for presence in data["presences"]] if "presences" in data else None,
        )


async def commands() -> AsyncIterator[dict[str, Any]]:
    """The lines on stdin, until it ends. The first are the options."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


async def serve_commands(
    lines: AsyncIterator[dict[str, Any]],
    obey: Callable[[dict[str, Any]], Awaitable[object]],
    close: Callable[[], Awaitable[object]],
) -> None:
    """Obey each line, until one says `close` or there are no more: then `close`."""
    async for command in lines:
        try:
            await obey(command)
            if command["do"] == "close":
                return
        except Exception as error:
            tell("log", level="ERROR", text=f"{command['do']}: {error!r}"[:500])
    await close()


_DISCARDED = re.compile(r"referencing an? |referencing unknown|unrecognised entity")
"""How the two clients log, for debugging, that an event fits to nothing they know of."""


class LogLines(logging.Handler):
    """Prints what the client logs, WARNING and above, with the exception's last line; and what it discards."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.levelno < logging.WARNING:
            if _DISCARDED.search(text):
                tell("log", level="DISCARDED", text=f"{record.name}: {text}"[:500])
            return
        if record.exc_info is not None and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        tell("log", level=record.levelname, text=f"{record.name}: {text}"[:500])


def log_to_lines(receiver: str) -> None:
    """Let every logger of this process print lines. `receiver` is the one that tells what is discarded."""
    logging.getLogger().addHandler(LogLines())
    logging.getLogger(receiver).setLevel(logging.DEBUG)
