"""Writing to a pipe or terminal that may be slow, without holding up the event loop and its heartbeats (F33)."""

import contextlib
import io
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Self

import anyio
import anyio.from_thread
import anyio.lowlevel
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

_GRACE: Final = 0.5
"""Seconds that a write under way has once it is cancelled, so that the last line is whole."""
_PERIOD: Final = 0.25
"""Seconds between two pictures."""
_MAX_LINES: Final = 1000
"""Lines that wait to be shown; older ones are dropped."""
_USUAL: Final = (80, 24)


async def write_all(fd: int, data: bytes, on_written: Callable[[], object] = lambda: None) -> None:
    """Write in a daemon thread: a reader that has stopped reading cannot hold up the end of the process (F26).

    Args:
        on_written: called once all is written, even if this is cancelled meanwhile.

    Raises:
        OSError: the reader is gone, the disk is full.
    """
    done = anyio.Event()
    token = anyio.lowlevel.current_token()
    errors: list[OSError] = []

    def finish() -> None:
        done.set()
        if not errors:
            on_written()

    def write() -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(fd, left) :]
        except OSError as error:
            errors.append(error)
        with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits
            anyio.from_thread.run_sync(finish, token=token)

    threading.Thread(target=write, name="stdout", daemon=True).start()
    try:
        await done.wait()
    except BaseException:
        with anyio.move_on_after(_GRACE, shield=True):
            await done.wait()
        raise
    if errors:
        raise errors[0]


class Screen:
    """A terminal: lines that stay, and below them a picture that `draw` keeps up to date. An async context manager.

    All is rendered into memory, and written by `write_all`. A dumb terminal, that cannot move its cursor, has no
    picture.

    Args:
        fd: of the terminal.
        picture: makes the picture for a terminal of so many rows; must not be higher.
    """

    def __init__(self, fd: int, picture: Callable[[int], RenderableType]) -> None:
        self._fd = fd
        self._text = io.StringIO()
        self._console = Console(file=self._text, force_terminal=True, highlight=False, markup=False, emoji=False)
        self._fit()
        self._live: Live | None = None
        if not self._console.is_dumb_terminal:
            self._live = Live(
                console=self._console,
                get_renderable=lambda: picture(self._console.height),
                auto_refresh=False,
                redirect_stdout=False,
                redirect_stderr=False,
                transient=True,
            )
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._lock = anyio.Lock()

    def say(self, line: str) -> None:
        """Show it with what is written next. From any thread."""
        self._lines.append(line)

    async def write(self, lines: Sequence[Text], on_written: Callable[[], object] = lambda: None) -> None:
        """Show these, each cut to the width. `on_written` as for `write_all`. Raises OSError."""
        async with self._lock:
            self._put_lines()
            if lines:
                self._console.print(Group(*lines), no_wrap=True, overflow="ellipsis", crop=True)
            await self._flush(on_written)

    async def draw(self) -> None:
        """Draw the picture again and again, until cancelled or the terminal is gone."""
        with contextlib.suppress(OSError):
            while True:
                async with self._lock:
                    self._fit()
                    self._put_lines()
                    if self._live is not None:
                        self._live.refresh()
                    await self._flush()
                await anyio.sleep(_PERIOD)

    async def __aenter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The picture goes, the lines stay."""
        if self._live is not None:
            self._live.stop()
        self._put_lines()
        with anyio.move_on_after(_GRACE, shield=True), contextlib.suppress(OSError):
            await self._flush()

    def _put_lines(self) -> None:
        while self._lines:
            self._console.print(Text(self._lines.popleft()), soft_wrap=True)

    async def _flush(self, on_written: Callable[[], object] = lambda: None) -> None:
        data = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        if data:
            await write_all(self._fd, data.encode(errors="replace"), on_written)

    def _fit(self) -> None:
        width, height = _USUAL
        with contextlib.suppress(OSError):
            size = os.get_terminal_size(self._fd)
            width, height = size.columns or width, size.lines or height
        self._console.size = (width, height)
