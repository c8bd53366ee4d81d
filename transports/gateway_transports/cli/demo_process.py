"""The demo's side of a bot that runs in a process of its own: start it, read what it took, end it."""

import contextlib
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import anyio.abc
import msgspec

from gateway_proto import GatewayError, Secret

from ..tasks import alone
from .demo_client import ClientSettings, Taken
from .run import TOKEN_VARIABLE

MODULE: Final = "gateway_transports.cli.demo_child"
END_PATIENCE: Final = 10.0
"""Seconds from the signal to the end: an orderly one takes 5 at most, however slow the machine's rest is."""
_MAX_LINE: Final = 512
"""Bytes; what the child writes is below 50."""
_MAX_SAID: Final = 10
"""Lines of stderr that are kept, the last ones."""
_EXIT_CODES: Final = {signal.SIGTERM: 128 + signal.SIGTERM, signal.SIGKILL: -signal.SIGKILL}


class DemoError(GatewayError):
    """The demo cannot be carried through: a process of it has died, or does not answer."""


class ChildProcess:
    """A running one; `start_child` makes it."""

    def __init__(self, process: anyio.abc.Process) -> None:
        self.said: deque[str] = deque(maxlen=_MAX_SAID)
        """What it wrote to stderr."""
        self._process = process
        self._scope = anyio.CancelScope()
        self._signal: signal.Signals | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self, number: signal.Signals) -> None:
        """Send SIGTERM or SIGKILL; `run` returns once it has ended."""
        self._signal = number
        self._scope.deadline = anyio.current_time() + END_PATIENCE
        with contextlib.suppress(ProcessLookupError):  # it has died: `run` says so
            self._process.send_signal(number)

    async def run(self, take: Callable[[Taken], object]) -> None:
        """Hand on what it takes, until it ends.

        Raises:
            DemoError: it ended by itself, or otherwise than by the signal, or not at all.
        """
        with self._scope:
            async with alone(), anyio.create_task_group() as group:
                group.start_soon(self._read_stderr)
                group.start_soon(self._read_stdout, take)
            code = await self._process.wait()
            if self._signal is None:
                raise DemoError(f"process {self.pid} ended by itself, with exit code {code}{self.last_words}")
            if code != _EXIT_CODES[self._signal]:
                raise DemoError(f"process {self.pid} answered {self._signal.name} by exit code {code}{self.last_words}")
            return
        assert self._signal is not None
        raise DemoError(f"process {self.pid} did not end within {END_PATIENCE:g} s of {self._signal.name}")

    @property
    def last_words(self) -> str:
        """The last line of stderr, for the end of a message."""
        return f": {self.said[-1]}" if self.said else ""

    async def _read_stdout(self, take: Callable[[Taken], object]) -> None:
        assert self._process.stdout is not None
        rest = b""
        async for chunk in self._process.stdout:
            # What a kill has cut off has no line end, and is no event.
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                take(self._parse(line))
            if len(rest) > _MAX_LINE:
                self._parse(rest)

    def _parse(self, line: bytes) -> Taken:
        try:
            return msgspec.json.decode(line, type=Taken)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DemoError(f"process {self.pid} wrote what is no event: {line[:60]!r}") from error

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        rest = b""
        async for chunk in self._process.stderr:
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-_MAX_LINE:]
            self.said.extend(line.decode(errors="replace") for line in lines)
        if rest:
            self.said.append(rest.decode(errors="replace"))


@contextlib.asynccontextmanager
async def start_child(settings: ClientSettings, token: Secret) -> AsyncIterator[ChildProcess]:
    """Run the bot in a process of its own, which is gone at the end of the block, whatever ended that."""
    # Where this program came from, so that it is the same one there; "-P" adds nothing of its own. A session of its
    # own: Ctrl-C on the terminal is for the demo, which ends it then.
    environment = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), TOKEN_VARIABLE: token.reveal()}
    with anyio.CancelScope(shield=True):  # once it is forked, there must be somebody to end it
        process = await anyio.open_process(
            [sys.executable, "-P", "-m", MODULE, msgspec.json.encode(settings).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment,
            start_new_session=True,
        )
    try:
        yield ChildProcess(process)
    finally:
        with anyio.CancelScope(shield=True):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.aclose()
