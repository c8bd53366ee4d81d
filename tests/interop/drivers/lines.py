"""What the two Python drivers share: lines in, lines out, and the client's own log as lines."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any


def tell(saw: str, **facts: Any) -> None:
    """Print a line."""
    print(json.dumps({"saw": saw, **facts}), flush=True)


def tell_dispatch(name: str, data: Any) -> None:
    """Print the line of a dispatch; a stream of this project numbers its payloads."""
    tell("dispatch", name=name, number=data.get("_number") if isinstance(data, Mapping) else None)


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


class LogLines(logging.Handler):
    """Prints what the client logs, WARNING and above, with the exception's last line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info is not None and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        tell("log", level=record.levelname, text=f"{record.name}: {text}"[:500])


def log_to_lines() -> None:
    """Let every logger of this process print lines."""
    logging.getLogger().addHandler(LogLines())
