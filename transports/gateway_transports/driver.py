"""The loop that runs any machine over any stream: read, feed, write, sleep.

`Link` is one stream's reader and its writer, `Ticker` a machine's timer. They are tasks of their own, so that the timer
goes on while a write waits for a peer that does not read: only the timer can find out that it is a zombie (F07).
"""

from collections.abc import Callable
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel

from .clock import Clock
from .contract import RECEIVE_SIZE, Stream
from .errors import StreamError

LINGER: Final = 2.0
"""Seconds for what a peer still has to say once writing to it fails, or for its orderly end (F26)."""

BUSY_RETRY: Final = 0.25
"""Seconds between two looks at a machine whose output waits for a peer that does not read."""


class Ticker:
    """Calls `handle_timeout` whenever a machine's `next_timeout` has come.

    Call `rearm` after each input, command and drain: it wakes the task only if what is due next comes earlier than
    what it waits for. Waking too early does no harm, so nothing is re-armed when activity puts a timer off.

    Args:
        handle_timeout: lets the machine do what is due and acts on it; says whether there was anything.
    """

    def __init__(
        self, clock: Clock, next_timeout: Callable[[], float | None], handle_timeout: Callable[[], bool]
    ) -> None:
        self._clock = clock
        self._next_timeout = next_timeout
        self._handle_timeout = handle_timeout
        self._planned = float("-inf")
        self._wake = anyio.Event()
        self._stopped = False

    def rearm(self) -> None:
        due = self._next_timeout()
        if due is not None and due < self._planned:
            self._planned = float("-inf")
            self._wake.set()

    def stop(self) -> None:
        """End `run`."""
        self._stopped = True
        self._wake.set()

    async def run(self) -> None:
        while not self._stopped:
            due = self._next_timeout()
            if due is not None and due <= (now := self._clock.now()):
                did_something = self._handle_timeout()
                # Work may be left over for many turns (F29); reading and writing have theirs in between.
                await anyio.lowlevel.checkpoint()
                due = self._next_timeout()
                if did_something or due is None or due > now:
                    continue
                # What is due is output, and the writer is not done with the last. Behind it other timers may hide.
                due = now + BUSY_RETRY
            self._planned = float("inf") if due is None else due
            self._wake = anyio.Event()
            await self._clock.wait(self._wake, due)
            self._planned = float("-inf")


class Link:
    """One stream's two tasks. Made with the stream, `run` until both its directions are over; then it is closed.

    Args:
        on_data: is given each chunk.
        on_eof: is told once that the stream has ended, in order or not; not after `finish` or `abort`.
        drain: gives the next bytes to write, `b""` for none. Called only when all earlier ones are written.
    """

    def __init__(
        self,
        stream: Stream,
        clock: Clock,
        *,
        on_data: Callable[[bytes], object],
        on_eof: Callable[[], object],
        drain: Callable[[], bytes],
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._on_data = on_data
        self._on_eof = on_eof
        self._drain = drain
        self._pending = b""
        self._writer_waits = False
        self._writer_wake = anyio.Event()
        self._reader_wake: anyio.Event | None = None
        self._is_paused = False
        self._farewell = b""
        self._half_close = False
        self._deadline = 0.0
        self._is_finishing = False
        self._eof = anyio.Event()
        self._scope = anyio.CancelScope()
        self._group: anyio.abc.TaskGroup | None = None
        """While it reads."""

    # -- commands ----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write what there is, if the writer has nothing to do; it comes for more by itself."""
        if self._writer_waits and not self._is_finishing:
            self._pending = self._drain()
            if self._pending:
                self._wake_writer()

    def pause(self) -> None:
        """Read no more until `resume`; the peer's bytes wait in its buffers and ours."""
        self._is_paused = True

    def resume(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self._wake_reader()

    def finish(self, farewell: bytes, grace: float, *, half_close: bool = False) -> None:
        """End in order: write what is being written and `farewell`, read to the peer's end; `abort` after `grace`.

        Args:
            grace: seconds for all of it.
            half_close: tell the peer that nothing more comes; otherwise ending the stream is left to it.
        """
        if self._is_finishing:
            return
        self._farewell, self._half_close = farewell, half_close
        self._deadline = self._clock.now() + grace
        self._is_finishing = True
        self._wake_reader()
        self._wake_writer()
        if self._group is not None:
            self._group.start_soon(self._expire)

    def abort(self) -> None:
        """Close at once."""
        self._is_finishing = True
        self._scope.cancel()

    # -- tasks -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        try:
            with self._scope:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._write)
                    # A task of its own only once there is a deadline: it would cost each idle link some 4 KiB.
                    if self._is_finishing:
                        group.start_soon(self._expire)
                    await self._read_to_end(group)
        finally:
            await self._stream.aclose()

    async def _read_to_end(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        try:
            await self._read()
            self._tell_eof()
        finally:
            # Told to finish or cancelled: either way nobody starts a task in it any more.
            self._group = None

    async def _read(self) -> None:
        while True:
            while self._is_paused and not self._is_finishing:
                self._reader_wake = anyio.Event()
                await self._reader_wake.wait()
            try:
                data = await self._stream.receive(RECEIVE_SIZE)
            except StreamError:
                return
            if not data:
                return
            if not self._is_finishing:
                self._on_data(data)

    async def _write(self) -> None:
        try:
            while not self._is_finishing:
                data, self._pending = self._pending or self._drain(), b""
                if data:
                    await self._stream.send(data)
                else:
                    self._writer_wake = anyio.Event()
                    self._writer_waits = True
                    await self._writer_wake.wait()
            await self._part()
        except StreamError:
            # What the peer had said before it went may still be there to read.
            await self._clock.wait(self._eof, self._clock.now() + LINGER)
            self._tell_eof()
        self._scope.cancel()

    async def _part(self) -> None:
        # What was drained before the end is told as written; it goes first.
        last, self._pending = self._pending + self._farewell, b""
        if last:
            await self._stream.send(last)
        if self._half_close:
            await self._stream.send_eof()
        await self._eof.wait()

    async def _expire(self) -> None:
        await self._clock.wait(anyio.Event(), self._deadline)
        self._scope.cancel()

    def _tell_eof(self) -> None:
        self._eof.set()
        if not self._is_finishing:
            self._on_eof()
            # Unless that was answered by a farewell, there is nothing left to wait for.
            self.finish(b"", 0.0)

    def _wake_reader(self) -> None:
        if self._reader_wake is not None:
            self._reader_wake.set()

    def _wake_writer(self) -> None:
        self._writer_waits = False
        self._writer_wake.set()
