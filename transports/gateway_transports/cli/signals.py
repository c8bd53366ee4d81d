"""Ctrl-C and SIGTERM as an orderly end, the same on both backends."""

import signal
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from ..tasks import background

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def interruptible(work: Callable[[], Awaitable[int]]) -> int:
    """Run `work` and return its exit code; cancelled at SIGINT or SIGTERM, 128 + the signal's number."""
    code = 0

    async def watch() -> None:
        nonlocal code
        with anyio.open_signal_receiver(*_SIGNALS) as signals:
            ready.set()
            async for number in signals:  # a second one changes nothing: the end takes 2 s at most
                code = 128 + number
                scope.cancel()

    ready = anyio.Event()
    async with background() as group:
        with anyio.CancelScope() as scope:
            group.start_soon(watch)
            await ready.wait()
            return await work()
    return code
