"""One suite for every transport: each promise of `Stream` as a plain async function.

    async def test_mine() -> None:
        await run_conformance(make_pair)

where `make_pair()` is an async context manager that yields two streams connected to each other, of your transport. It
needs no test framework and runs under asyncio and trio; with pytest, parametrise over `CHECKS` to see each by itself.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel

from .contract import Stream
from .errors import StreamError

Pair: TypeAlias = tuple[Stream, Stream]
MakePair: TypeAlias = Callable[[], AbstractAsyncContextManager[Pair]]
Check: TypeAlias = Callable[[MakePair], Awaitable[None]]

TIME_LIMIT: Final = 30.0
"""Seconds for one check; only a transport that hangs ever gets there."""
MORE_THAN_BUFFERS: Final = 64 * 2**20
"""Bytes that no transport may take from a sender whose peer does not read."""


class ConformanceError(AssertionError):
    """A transport broke a promise; the text says which."""


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise ConformanceError(promise)


async def run_conformance(make_pair: MakePair) -> None:
    """Run every check, each with a pair of its own.

    Raises:
        ConformanceError: the first promise that is broken.
    """
    for check in CHECKS:
        await run_check(check, make_pair)


async def run_check(check: Check, make_pair: MakePair) -> None:
    """Run one of `CHECKS`. Raises ConformanceError."""
    name = getattr(check, "__name__", str(check))
    try:
        with anyio.move_on_after(TIME_LIMIT) as scope:
            await check(make_pair)
        _require(not scope.cancelled_caught, f"{name} hangs")
    except Exception as error:
        cause = error
        while isinstance(cause, ExceptionGroup):  # a check's own task group wraps what failed in it
            cause = cause.exceptions[0]
        if isinstance(cause, ConformanceError):
            raise cause from error
        raise ConformanceError(f"{name} met {type(cause).__name__}: {cause}") from error


def _noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def _read_all(stream: Stream, *, until_reset: bool = False) -> bytes:
    """Everything up to the end."""
    parts = []
    try:
        while data := await stream.receive():
            parts.append(data)
    except StreamError:
        if not until_reset:
            raise
    return b"".join(parts)


async def _read_exactly(stream: Stream, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        data = await stream.receive(size - len(parts))
        _require(bool(data), "the stream ended before all data had come")
        parts += data
    return bytes(parts)


async def _raises_stream_error(call: Awaitable[object]) -> bool:
    try:
        await call
    except StreamError:
        return True
    return False


# -- data ----------------------------------------------------------------------------------------------------------


async def check_data_arrives_whole_in_both_directions(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send(b"there")
        _require(await _read_exactly(other, 5) == b"there", "what was sent arrives")
        await other.send(b"and back")
        _require(await _read_exactly(one, 8) == b"and back", "what was sent arrives, the other way too")


async def check_large_data_both_ways_at_once(make_pair: MakePair) -> None:
    data = {0: _noise(3 * 2**20, 1), 1: _noise(3 * 2**20, 2)}
    received: dict[int, bytes] = {}

    async def send(stream: Stream, index: int) -> None:
        await stream.send(data[index])
        await stream.send_eof()

    async def receive(stream: Stream, index: int) -> None:
        received[index] = await _read_all(stream)

    async with make_pair() as pair, anyio.create_task_group() as group:
        for index, stream in enumerate(pair):
            group.start_soon(send, stream, index)
            group.start_soon(receive, stream, 1 - index)
    _require(received == data, "large data arrives whole and in order, both ways at once")


async def check_many_small_sends_keep_their_order(make_pair: MakePair) -> None:
    async def send(stream: Stream) -> None:
        for number in range(1000):
            await stream.send(number.to_bytes(2))

    async with make_pair() as (one, other), anyio.create_task_group() as group:
        group.start_soon(send, one)
        received = await _read_exactly(other, 2000)
    _require(received == b"".join(n.to_bytes(2) for n in range(1000)), "sends arrive in order and nothing between them")


async def check_receive_keeps_to_max_bytes(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send(_noise(1000))
        received = b""
        while len(received) < 1000:
            part = await other.receive(7)
            _require(type(part) is bytes and 1 <= len(part) <= 7, "receive gives 1 to max_bytes bytes, as bytes")
            received += part
        _require(received == _noise(1000), "reading in small pieces loses nothing")


async def check_receive_does_not_wait_for_more(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send(b"x")
        _require(await other.receive(65536) == b"x", "receive returns what is there and does not wait for max_bytes")


async def check_empty_send_sends_nothing(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send(b"")
        await one.send(b"x")
        _require(await other.receive() == b"x", "an empty send is allowed and sends nothing, no end either")


async def check_buffering_is_bounded(make_pair: MakePair) -> None:
    sent = 0

    async def send(stream: Stream) -> None:
        nonlocal sent
        piece = bytes(2**18)
        while sent < MORE_THAN_BUFFERS:
            await stream.send(piece)
            sent += len(piece)

    async with make_pair() as (one, _), anyio.create_task_group() as group:
        group.start_soon(send, one)
        before = -1
        while sent != before:
            before = sent
            # All tasks block now and then on the way; the last time, for good.
            for _ in range(20):
                await anyio.wait_all_tasks_blocked()
        _require(sent < MORE_THAN_BUFFERS, "send waits while the peer does not read")
        group.cancel_scope.cancel()


async def check_receive_goes_on_while_send_waits(make_pair: MakePair) -> None:
    async with make_pair() as (one, other), anyio.create_task_group() as group:
        group.start_soon(one.send, bytes(MORE_THAN_BUFFERS))
        await anyio.wait_all_tasks_blocked()
        await other.send(b"still here")
        _require(await _read_exactly(one, 10) == b"still here", "receive goes on while a send waits")
        group.cancel_scope.cancel()


# -- cancellation --------------------------------------------------------------------------------------------------


async def check_cancelled_receive_loses_nothing(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        for number in range(20):
            with anyio.CancelScope() as scope:
                scope.cancel()
                await other.receive()
            async with anyio.create_task_group() as group:
                group.start_soon(other.receive)
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            await one.send(number.to_bytes(1))
            _require(await other.receive() == number.to_bytes(1), "a cancelled receive leaves the stream as it was")


async def check_receive_cancelled_at_any_moment_loses_nothing(make_pair: MakePair) -> None:
    data = _noise(200_000)
    rng = random.Random(3)
    received = bytearray()

    async def send(stream: Stream) -> None:
        for at in range(0, len(data), 1000):
            await stream.send(data[at : at + 1000])
        await stream.send_eof()

    async def receive(stream: Stream, scope: anyio.CancelScope) -> None:
        with scope:
            while part := await stream.receive(rng.randint(1, 3000)):
                received.extend(part)

    async with make_pair() as (one, other), anyio.create_task_group() as group:
        group.start_soon(send, one)
        while part := await other.receive(rng.randint(1, 3000)):
            received.extend(part)
            async with anyio.create_task_group() as attempt:
                scope = anyio.CancelScope()
                attempt.start_soon(receive, other, scope)
                for _ in range(rng.randint(1, 20)):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
    _require(bytes(received) == data, "receives that are cancelled at any moment lose nothing and double nothing")


async def check_cancelled_send_closes(make_pair: MakePair) -> None:
    data = _noise(2**20) * (MORE_THAN_BUFFERS // 2**20)
    async with make_pair() as (one, other):
        async with anyio.create_task_group() as group:
            group.start_soon(one.send, data)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        _require(await _raises_stream_error(one.send(b"more")), "after a cancelled send, send raises StreamError")
        _require(await _raises_stream_error(one.receive()), "after a cancelled send, receive raises StreamError")
        arrived = await _read_all(other, until_reset=True)
        _require(data.startswith(arrived), "of a cancelled send nothing but a beginning arrives")
        _require(len(arrived) < len(data), "a cancelled send does not go on behind the caller's back")


# -- the end -------------------------------------------------------------------------------------------------------


async def check_eof_comes_after_the_data_and_stays(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send(_noise(50_000))
        await one.send_eof()
        await one.send_eof()
        _require(await _read_all(other) == _noise(50_000), "the end comes after all data")
        for _ in range(3):
            _require(await other.receive() == b"", "the end stays the end")


async def check_the_other_direction_outlives_eof(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await one.send_eof()
        _require(await other.receive() == b"", "send_eof reaches the peer")
        await other.send(b"go on")
        _require(await _read_exactly(one, 5) == b"go on", "after send_eof, receiving goes on")


async def check_unread_data_outlives_own_eof(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await other.send(_noise(30_000))
        first = await one.receive(10)
        await one.send_eof()
        await other.send_eof()
        _require(first + await _read_all(one) == _noise(30_000), "send_eof loses nothing of what had come in")


async def check_close_ends_the_peer(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        # One exchange, so that nothing is unread: a TLS server has things to say after the handshake.
        await other.send(b"?")
        await _read_exactly(one, 1)
        await one.send(b"last words")
        await one.aclose()
        _require(await _read_all(other) == b"last words", "what was sent before an orderly close arrives, then the end")


async def check_close_is_idempotent(make_pair: MakePair) -> None:
    async with make_pair() as (one, _):
        await one.aclose()
        await one.aclose()


async def check_closed_stream_raises(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await other.send(b"unread")
        await one.aclose()
        _require(await _raises_stream_error(one.send(b"x")), "send on a closed stream raises StreamError")
        _require(await _raises_stream_error(one.receive()), "receive on a closed stream raises StreamError")
        _require(await _raises_stream_error(one.send_eof()), "send_eof on a closed stream raises StreamError")


async def check_close_does_its_work_when_cancelled(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await one.aclose()
        _require(await _raises_stream_error(one.send(b"x")), "aclose in a cancelled scope closes all the same")
        await _read_all(other, until_reset=True)


async def check_close_does_not_wait_for_the_peer(make_pair: MakePair) -> None:
    async with make_pair() as (one, _), anyio.create_task_group() as group:
        group.start_soon(_swallow, one.send, bytes(MORE_THAN_BUFFERS))
        await anyio.wait_all_tasks_blocked()
        # The peer reads nothing and says nothing. A close that waited for it would hang here, and its send too.
        await one.aclose()


async def _swallow(send: Callable[[bytes], Awaitable[None]], data: bytes) -> None:
    _require(await _raises_stream_error(send(data)), "aclose ends a send that waits, with StreamError")


async def check_close_wakes_a_waiting_receive(make_pair: MakePair) -> None:
    async def receive(stream: Stream) -> None:
        _require(await _raises_stream_error(stream.receive()), "aclose ends a receive that waits, with StreamError")

    async with make_pair() as (one, _), anyio.create_task_group() as group:
        group.start_soon(receive, one)
        await anyio.wait_all_tasks_blocked()
        await one.aclose()


async def check_send_to_a_closed_peer_fails(make_pair: MakePair) -> None:
    async with make_pair() as (one, other):
        await other.aclose()
        failed = False
        sent = 0
        while not failed and sent < MORE_THAN_BUFFERS:
            failed = await _raises_stream_error(one.send(bytes(65536)))
            sent += 65536
        _require(failed, "sending to a peer that has closed raises StreamError before long")


CHECKS: Final[tuple[Check, ...]] = tuple(
    value for name, value in list(globals().items()) if name.startswith("check_") and callable(value)
)
"""Every promise, in the order of this file."""
