"""Writing to a pipe whose reader may be slow, without holding up the event loop and its heartbeats (F33)."""

import contextlib
import os
import threading
from typing import Final

import anyio
import anyio.from_thread
import anyio.lowlevel

_GRACE: Final = 0.5
"""Seconds that a write under way has once it is cancelled, so that the last line is whole."""


async def write_all(fd: int, data: bytes) -> None:
    """Write in a daemon thread: a reader that has stopped reading cannot hold up the end of the process (F26).

    Raises:
        OSError: the reader is gone, the disk is full.
    """
    done = anyio.Event()
    token = anyio.lowlevel.current_token()
    errors: list[OSError] = []

    def write() -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[os.write(fd, left) :]
        except OSError as error:
            errors.append(error)
        with contextlib.suppress(RuntimeError):  # the event loop has ended: nobody waits
            anyio.from_thread.run_sync(done.set, token=token)

    threading.Thread(target=write, name="stdout", daemon=True).start()
    try:
        await done.wait()
    except BaseException:
        with anyio.move_on_after(_GRACE, shield=True):
            await done.wait()
        raise
    if errors:
        raise errors[0]
