"""Background tasks leave no trace in exceptions."""

import anyio
import pytest

from gateway_transports.tasks import background

pytestmark = pytest.mark.anyio


async def fail(error: Exception) -> None:
    raise error


async def run(*tasks: Exception, block: Exception | None = None) -> None:
    """A block whose background tasks raise these, while it raises `block` itself, or waits."""
    async with background() as group:
        group.start_soon(anyio.sleep_forever)
        for error in tasks:
            group.start_soon(fail, error)
        if block is not None:
            raise block
        await anyio.sleep_forever()


async def test_the_block_ends_its_tasks() -> None:
    async with background() as group:
        group.start_soon(anyio.sleep_forever)


async def test_an_exception_of_the_block_is_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        await run(block=ZeroDivisionError())


async def test_an_exception_of_a_task_is_itself_and_cancels_the_block() -> None:
    with pytest.raises(ZeroDivisionError):
        await run(ZeroDivisionError())


async def nested() -> None:
    async with background():
        await run(ZeroDivisionError())


async def test_it_stays_itself_through_several_blocks() -> None:
    with pytest.raises(ZeroDivisionError):
        await nested()


async def test_several_are_a_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await run(ZeroDivisionError(), KeyError())
    assert {type(error) for error in caught.value.exceptions} == {ZeroDivisionError, KeyError}


async def test_a_cancellation_from_outside_stays_one() -> None:
    with anyio.CancelScope() as scope:
        async with background():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_no_group_is_printed_before_it() -> None:
    error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError) as caught:
        await run(block=error)
    assert caught.value is error
    assert error.__context__ is None
    with pytest.raises(ZeroDivisionError) as caught:
        await run(ZeroDivisionError())
    assert not isinstance(caught.value.__context__, BaseExceptionGroup)


async def test_what_it_was_raised_from_is_kept() -> None:
    error, before = ZeroDivisionError(), KeyError()
    error.__context__ = before
    with pytest.raises(ZeroDivisionError):
        await run(block=error)
    assert error.__context__ is before


async def test_a_group_of_the_blocks_own_is_itself() -> None:
    group = ExceptionGroup("of mine", [ZeroDivisionError()])
    with pytest.raises(ExceptionGroup) as caught:
        await run(block=group)
    assert caught.value is group
