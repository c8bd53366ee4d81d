"""A driver program as a process: its lines, its commands, and its end."""

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any, Final, TypeAlias

import anyio
import anyio.abc
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway_transports.tasks import background

from .clients import PAYLOAD, PLAIN, REPOSITORY, Client, Environment
from .log import Log

Line: TypeAlias = dict[str, Any]
_MAX_LINE: Final = 2**20
_LEAVE: Final = 5.0
"""Seconds for a driver to end by itself when its stdin ends."""
ACTIVITY: Final = "checkers"
"""What every client plays from its IDENTIFY on."""
NO_ERRORS: Final = ("WARNING", "DISCARDED")
"""What a client may log without a case being lost."""


class Driver:
    """A running driver; `run_driver` makes it."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.lines: Log[Line] = Log()
        self.ended = anyio.Event()
        self._process = process

    @property
    def version(self) -> str:
        return next((line["version"] for line in self.lines.items if line["saw"] == "start"), "")

    @property
    def status(self) -> int | None:
        """The exit status."""
        return self._process.returncode

    async def do(self, do: str, **facts: Any) -> None:
        """Give a command."""
        await self._write({"do": do, **facts})

    async def saw(self, saw: str, *, since: int = 0, **facts: Any) -> Line:
        """The first such line from `since`; raises MissingError."""
        wanted = {"saw": saw, **facts}
        shown = " ".join([saw, *(f"{name}={value}" for name, value in facts.items())])
        return await self.lines.find(f"the client's {shown}", lambda line: wanted.items() <= line.items(), since=since)

    def errors(self, since: int = 0) -> list[str]:
        """What the client logged as an error, and what the driver wrote that is no line."""
        return [
            line["text"] for line in self.lines.items[since:] if line["saw"] == "log" and line["level"] not in NO_ERRORS
        ]

    async def _write(self, line: Line) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.send(json.dumps(line).encode() + b"\n")

    async def _read_all(self) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(self._read)
            group.start_soon(self._read_errors)
        self.lines.finish()

    async def _read(self) -> None:
        assert self._process.stdout is not None
        stream = BufferedByteReceiveStream(self._process.stdout)
        with contextlib.suppress(anyio.IncompleteRead, anyio.EndOfStream, anyio.ClosedResourceError):
            while True:
                text = await stream.receive_until(b"\n", _MAX_LINE)
                try:
                    self.lines.add(json.loads(text))
                except ValueError:
                    self.lines.add({"saw": "log", "level": "WARNING", "text": text.decode(errors="replace")})
        self.ended.set()

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        # What Python and Node print when a program dies; of the log the drivers make lines.
        with contextlib.suppress(anyio.ClosedResourceError):
            async for data in self._process.stderr:
                self.lines.add({"saw": "log", "level": "WARNING", "text": data.decode(errors="replace")[-500:]})

    async def _leave(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
            await self._process.stdin.aclose()
        with anyio.move_on_after(_LEAVE):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def run_driver(
    environment: Environment,
    client: Client,
    compress: str,
    *,
    api: str,
    gateway: str,
    token: str,
    intents: int,
    sharded: bool = False,
    chunk: bool = True,
    ca: str | None = None,
) -> AsyncIterator[Driver]:
    """Run a client's driver for as long as the block does; then it is told to leave, and killed if it does not.

    Args:
        sharded: with as many shards as GET /gateway/bot recommends; else with one.
        chunk: let it ask for all members by itself, as it does; else it is told not to.
        ca: the file of a CA to trust.
    """
    options = {
        "api": api,
        "gateway": gateway,
        "token": token,
        "intents": intents,
        "activity": ACTIVITY,
        "sharded": sharded,
        "chunk": chunk,
        "compress": None if compress == PLAIN else compress,
        "modules": environment.modules(client),
    }
    process = await anyio.open_process(
        environment.command(client),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        env=environment.variables(client, compress, ca),
    )
    driver = Driver(process)
    async with process, background() as group:
        group.start_soon(driver._read_all)
        try:
            await driver._write(options)
            yield driver
        finally:
            with anyio.CancelScope(shield=True):
                await driver._leave()


def transport_compression(compress: str) -> str | None:
    """What the URL's `compress` says for a compression of ours."""
    return None if compress in (PLAIN, PAYLOAD) else compress
