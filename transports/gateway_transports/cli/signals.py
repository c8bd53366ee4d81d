"""Ctrl-C and SIGTERM as an orderly end, the same on both backends; the second one leaves at once."""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Awaitable, Callable
from types import FrameType, TracebackType
from typing import Final, Self

import anyio

from ..tasks import background

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = b"\x1b[?25h\r\n"


async def interruptible(work: Callable[[], Awaitable[int]], on_signal: Callable[[], object] = lambda: None) -> int:
    """Run `work` and return its exit code; cancelled at SIGINT or SIGTERM, 128 + the signal's number.

    A second signal ends the process, whatever blocks it: the event loop, a thread, the end itself. To be called in the
    main thread.

    Args:
        on_signal: called in the event loop after the first one, before `work` is cancelled.
    """
    code = 0

    async def watch() -> None:
        nonlocal code
        code = 128 + await signals.received()
        on_signal()
        scope.cancel()

    with _Signals() as signals:
        async with background() as group:
            with anyio.CancelScope() as scope:
                group.start_soon(watch)
                return await work()
    return code


class _Signals:
    """Receives them as long as the block runs; once there was one, until the process ends.

    Python's own handlers and a socket, not the event loop's: those are not run while the event loop is blocked.
    """

    def __init__(self) -> None:
        self._first = 0
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)

    async def received(self) -> int:
        """The first one's number."""
        await anyio.wait_readable(self._reader)
        return self._first

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._first:
            for number, handler in self._previous.items():
                signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self._first:
            _leave(128 + number)
        self._first = number
        with contextlib.suppress(OSError):
            self._writer.send(b"\0")


def _leave(code: int) -> None:
    """End the process without waiting for anything."""
    if os.environ.get("TERM", "dumb") not in ("dumb", "unknown"):
        for fd in (1, 2):
            with contextlib.suppress(OSError, ValueError):
                # A terminal that is held up (Ctrl-S) is not writable, and must not hold this up.
                if os.isatty(fd) and select.select([], [fd], [], 0)[1]:
                    os.write(fd, _SHOW_CURSOR)
                    break
    os._exit(code)
