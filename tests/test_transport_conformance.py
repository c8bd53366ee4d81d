"""Every transport of this project keeps every promise of `Stream`, and the suite notices transports that do not."""

import contextlib
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel
import pytest

from gateway_transports import Stream, StreamError, conformance
from gateway_transports.conformance import CHECKS, Check, ConformanceError, MakePair, run_check, run_conformance

from .transport_helpers import memory_pair, memory_tls_pair, tcp_pair, tls_pair

TRANSPORTS = {"tcp": tcp_pair, "tls": tls_pair, "memory": memory_pair, "memory-tls": memory_tls_pair}


def test_the_suite_is_not_empty() -> None:
    assert len(CHECKS) >= 15


@pytest.mark.anyio
@pytest.mark.parametrize("make_pair", TRANSPORTS.values(), ids=TRANSPORTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
async def test_keeps_its_promises(check: Check, make_pair: MakePair) -> None:
    await run_check(check, make_pair)


# -- transports that break a promise ---------------------------------------------------------------------------


class Passing:
    """Hands everything on; each subclass breaks one promise."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.stream.receive(max_bytes)

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def send_eof(self) -> None:
        await self.stream.send_eof()

    async def aclose(self) -> None:
        await self.stream.aclose()


class LosesOnCancel(Passing):
    async def receive(self, max_bytes: int = 65536) -> bytes:
        data = await self.stream.receive(max_bytes)
        await anyio.lowlevel.checkpoint()
        return data


class IgnoresMaxBytes(Passing):
    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self.stream.receive(65536)


class BuffersWithoutBound(Passing):
    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()


class EndsOnce(Passing):
    ended = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        if self.ended:
            raise StreamError("the end was told already")
        data = await self.stream.receive(max_bytes)
        self.ended = not data
        return data


class LeaksItsExceptions(Passing):
    async def receive(self, max_bytes: int = 65536) -> bytes:
        try:
            return await self.stream.receive(max_bytes)
        except StreamError:
            raise ConnectionResetError("an exception of the system's") from None


class ClosesTwiceBadly(Passing):
    closed = False

    async def aclose(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        await self.stream.aclose()


class ForgetsToCloseWhenCancelled(Passing):
    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()
        await self.stream.aclose()


class ClosesAtEof(Passing):
    async def send_eof(self) -> None:
        await self.stream.aclose()


BROKEN: list[tuple[Callable[[Stream], Stream], Check]] = [
    (LosesOnCancel, conformance.check_receive_cancelled_at_any_moment_loses_nothing),
    (IgnoresMaxBytes, conformance.check_receive_keeps_to_max_bytes),
    (BuffersWithoutBound, conformance.check_buffering_is_bounded),
    (EndsOnce, conformance.check_eof_comes_after_the_data_and_stays),
    (LeaksItsExceptions, conformance.check_closed_stream_raises),
    (ClosesTwiceBadly, conformance.check_close_is_idempotent),
    (ForgetsToCloseWhenCancelled, conformance.check_close_does_its_work_when_cancelled),
    (ClosesAtEof, conformance.check_the_other_direction_outlives_eof),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("broken", "check"), BROKEN)
async def test_a_broken_promise_is_found(broken: Callable[[Stream], Stream], check: Check) -> None:
    @contextlib.asynccontextmanager
    async def make_pair() -> AsyncIterator[tuple[Stream, Stream]]:
        async with memory_pair() as (one, other):
            yield broken(one), broken(other)

    with pytest.raises(ConformanceError):
        await run_check(check, make_pair)


@pytest.mark.anyio
async def test_a_third_party_needs_a_few_lines() -> None:
    @contextlib.asynccontextmanager
    async def make_pair() -> AsyncIterator[tuple[Stream, Stream]]:
        async with memory_pair() as (one, other):
            yield Passing(one), Passing(other)

    await run_conformance(make_pair)
