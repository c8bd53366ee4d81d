"""Background tasks of a context manager, without a trace of them in the exceptions that pass through it; and the way
into an event loop from outside."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel


@contextlib.asynccontextmanager
async def background() -> AsyncIterator[anyio.abc.TaskGroup]:
    """A task group that is cancelled at the end of the block.

    An exception comes out as itself, whether the block or a task raised it; only several at a time are a group.
    """
    whole: list[BaseException] = []
    async with alone(whole), anyio.create_task_group() as group:
        try:
            yield group
        except BaseException as raised:
            whole.append(raised)
            raise
        finally:
            group.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def alone(whole: Sequence[BaseException] = ()) -> AsyncIterator[None]:
    """A lone exception comes out of the task groups of the block as itself.

    Args:
        whole: exceptions that are not unwrapped, though they may be groups; may grow until the block ends.
    """
    lone: BaseException | None = None
    try:
        yield
    except BaseExceptionGroup as raised:
        lone = _unwrapped(raised, whole)
        if lone is None:
            raise
    if lone is not None:
        context = lone.__context__
        try:
            raise lone
        finally:
            # Python would have it that it was raised while the groups were handled, and print them before it.
            lone.__context__ = context


def _unwrapped(raised: BaseException, whole: Sequence[BaseException]) -> BaseException | None:
    """The one exception in these groups; None if there are several."""
    while isinstance(raised, BaseExceptionGroup):
        for one in whole:
            # trio makes a group anew as it sorts out cancellations.
            if isinstance(one, BaseExceptionGroup) and one.exceptions == raised.exceptions:
                return one
        if len(raised.exceptions) > 1:
            return None
        [raised] = raised.exceptions
    return raised


def caller() -> Callable[[Callable[[], object]], object]:
    """What calls a function in this event loop, from any thread. It raises a RuntimeError once the loop is gone."""
    native: Any = anyio.lowlevel.current_token().native_token
    soon: Callable[[Callable[[], object]], object]
    soon = native.run_sync_soon if hasattr(native, "run_sync_soon") else native.call_soon_threadsafe  # trio, asyncio
    return soon
