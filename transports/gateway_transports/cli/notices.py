"""What the user is told beside the events: one line each on stderr, never waited for."""

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Final

from gateway_proto import GatewayError

from .options import printable

LOGGER: Final = "gateway_transports.client"
_STDERR: Final = 2
_MAX_LINES: Final = 1000
"""Lines that wait for a reader of stderr; more are dropped."""
_GRACE: Final = 0.5
"""Seconds that a reader has for the last of them."""


class Notices:
    """Lines for stderr, written in a daemon thread: a reader that has stopped reading holds nothing up (F26, F33).

    Any thread may `say` one. `show` is where they go to: another may be put there.
    """

    def __init__(self) -> None:
        self.show: Callable[[str], object] = self.write
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def say(self, text: str) -> None:
        """Tell it, on one line."""
        self.show(f"gateway-proto: {printable(text)}")

    def write(self, line: str) -> None:
        """Onto stderr."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
            self._thread.start()
        if self._lines.qsize() < _MAX_LINES:
            self._lines.put(line.encode(errors="replace") + b"\n")

    def close(self) -> None:
        """Wait until all is written, if it can be."""
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(_GRACE)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            left = memoryview(line)
            with contextlib.suppress(OSError):  # nobody reads it any more
                while left:
                    left = left[os.write(_STDERR, left) :]


class LogLines(logging.Handler):
    """Tells the library's warnings. What ends a shard is an error that carries its cause; the caller tells that."""

    def __init__(self, say: Callable[[str], object]) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        arguments = record.args if isinstance(record.args, tuple) else ()
        if record.levelno >= logging.ERROR and any(isinstance(value, GatewayError) for value in arguments):
            return
        error = record.exc_info[1] if record.exc_info else None
        detail = "" if error is None else f": {type(error).__name__}: {error}"
        self._say(record.getMessage() + detail)

    def __enter__(self) -> "LogLines":
        logging.getLogger(LOGGER).addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        logging.getLogger(LOGGER).removeHandler(self)
