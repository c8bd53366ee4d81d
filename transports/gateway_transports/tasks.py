"""Background tasks of a context manager, without a trace of them in the exceptions that pass through it; and the way
into an event loop from outside."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[anyio.abc.TaskGroup]:
    """A task group that is cancelled at the end of the block.

    An exception comes out as itself, whether the block or a task raised it; only several at a time are a group.
    """
    async with alone(), anyio.create_task_group() as group:
        try:
            yield group
        finally:
            group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """A lone exception comes out of the task groups of the block as itself."""
    lone: BaseException | None = None
    try:
        yield
    except BaseExceptionGroup as raised:
        lone = raised
        while isinstance(lone, BaseExceptionGroup) and len(lone.exceptions) == 1:
            lone = lone.exceptions[0]
        if isinstance(lone, BaseExceptionGroup):
            raise
    if lone is not None:
        raise lone


def caller() -> Callable[[Callable[[], object]], object]:
    """What calls a function in this event loop, from any thread. It raises a RuntimeError once the loop is gone."""
    native: Any = anyio.lowlevel.current_token().native_token
    soon: Callable[[Callable[[], object]], object]
    soon = native.run_sync_soon if hasattr(native, "run_sync_soon") else native.call_soon_threadsafe  # trio, asyncio
    return soon
