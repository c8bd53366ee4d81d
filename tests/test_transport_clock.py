"""The system's clock and the virtual one."""

import time

import anyio
import pytest

from gateway_transports.clock import SystemClock, suspend_aware
from gateway_transports.memory import VirtualClock, virtual_time


@pytest.mark.failure("F12")
def test_the_system_clock_counts_suspend_where_the_platform_can() -> None:
    if not hasattr(time, "CLOCK_BOOTTIME"):
        assert suspend_aware() is time.monotonic
        return
    now = suspend_aware()
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= now() <= time.clock_gettime(time.CLOCK_BOOTTIME)


@pytest.mark.failure("F12")
def test_without_a_boot_clock_the_monotonic_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    assert suspend_aware() is time.monotonic


@pytest.mark.failure("F12")
def test_where_the_monotonic_clock_itself_counts_suspend_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    monkeypatch.setattr("sys.platform", "darwin")
    now = suspend_aware()
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before <= now() <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.anyio
async def test_waiting_ends_at_the_event_or_at_the_time() -> None:
    clock = SystemClock()
    with anyio.fail_after(60):
        await clock.wait(anyio.Event(), clock.now() - 1)
        await clock.wait(anyio.Event(), clock.now() + 0.001)
        event = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(clock.wait, event, None)
            group.start_soon(clock.wait, event, clock.now() + 3600)
            await anyio.wait_all_tasks_blocked()
            event.set()


class Suspended(SystemClock):
    """A machine that sleeps for an hour while somebody waits for 50 minutes; the loop's timers stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.now = self._now

    def _now(self) -> float:
        self.looks += 1
        return 0.0 if self.looks < 2 else 3600.0


@pytest.mark.anyio
@pytest.mark.failure("F12")
async def test_a_long_wait_looks_at_the_clock_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway_transports.clock.LONGEST_SLEEP", 0.001)
    clock = Suspended()
    with anyio.fail_after(60):
        await clock.wait(anyio.Event(), 3000.0)
    assert clock.looks == 2


@pytest.mark.anyio
async def test_virtual_time_jumps_from_one_due_instant_to_the_next() -> None:
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.now()))

    async with virtual_time(100.0) as clock, anyio.create_task_group() as group:
        group.start_soon(sleep, "a day", 86400.0)
        group.start_soon(sleep, "an hour", 3600.0)
        group.start_soon(sleep, "nothing", 0.0)
    assert woken == [("nothing", 100.0), ("an hour", 3700.0), ("a day", 86500.0)]


@pytest.mark.anyio
async def test_an_advance_wakes_everybody_only_afterwards() -> None:
    clock = VirtualClock()
    woken: list[float] = []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(clock.now())

    async with anyio.create_task_group() as group:
        for seconds in (1.0, 2.0, 50.0):
            group.start_soon(sleep, seconds)
        await anyio.wait_all_tasks_blocked()
        clock.advance(10.0)
        await anyio.wait_all_tasks_blocked()
        assert woken == [10.0, 10.0]
        clock.advance(40.0)


@pytest.mark.anyio
async def test_an_event_ends_a_virtual_wait_and_leaves_nothing_behind() -> None:
    async with virtual_time() as clock:
        event = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(clock.wait, event, 1e9)
            await anyio.lowlevel.checkpoint()
            event.set()
        assert clock.now() == 0.0
        await clock.sleep(1.0)
        assert clock.now() == 1.0
