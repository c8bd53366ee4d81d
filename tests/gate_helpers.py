"""Identify gates in virtual time."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import anyio
import anyio.lowlevel

from gateway_proto import GatewayError, IdentifyPermit, IdentifyWanted
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyHeld
from gateway_transports.anyio import IdentifyGate
from gateway_transports.memory import VirtualClock, virtual_time
from gateway_transports.sqlite_gate import SqliteGate
from gateway_transports.tasks import background

EPOCH = 1_800_000_000.0
"""Wall time when the virtual clock is at 0."""

SPACING = 5.25
"""Seconds between two IDENTIFYs of a bucket."""

Wall: TypeAlias = Callable[[], float]


@contextlib.asynccontextmanager
async def a_year() -> AsyncIterator[VirtualClock]:
    """Virtual time that ends: a test that waits for what never comes fails instead of hanging."""

    async def end() -> None:
        await clock.sleep(365 * 86_400.0)
        raise AssertionError("a year has passed in vain")

    async with virtual_time() as clock, background() as group:
        group.start_soon(end)
        yield clock


def wanted(shard_id: int, generation: int = 1) -> IdentifyWanted:
    return IdentifyWanted(generation=generation, shard=(shard_id, 1 << 20))


class Runner:
    """Shards that ask a gate; what came of it, and when."""

    def __init__(self, clock: VirtualClock, gate: IdentifyGate) -> None:
        self.clock = clock
        self.gate = gate
        self.permits: dict[int, IdentifyPermit] = {}
        self.granted: dict[int, float] = {}
        """When each shard was given its permit, in order."""
        self.failed: dict[int, GatewayError] = {}
        self._scopes: dict[int, anyio.CancelScope] = {}

    async def ask(self, shard_id: int) -> None:
        with anyio.CancelScope() as self._scopes[shard_id]:
            try:
                self.permits[shard_id] = await self.gate.ask(wanted(shard_id))
            except GatewayError as error:
                self.failed[shard_id] = error
            else:
                self.granted[shard_id] = self.clock.now()

    def cancel(self, shard_id: int) -> None:
        """Its connection dies while it asks."""
        self._scopes[shard_id].cancel()

    async def identify(self, shard_id: int, after: float = 0.0) -> None:
        """Ask, and use the permit so many seconds after it came."""
        await self.ask(shard_id)
        if shard_id in self.permits:
            if after:
                await self.clock.sleep(after)
            self.use(shard_id)

    def use(self, shard_id: int) -> None:
        self.gate.used(self.permits.pop(shard_id), self.clock.now())

    def give_back(self, shard_id: int) -> None:
        self.gate.returned(self.permits.pop(shard_id))

    async def settle(self) -> None:
        """Let everybody do what can be done at this instant; fewer rounds than virtual time needs to flow on."""
        for _ in range(5):
            await anyio.lowlevel.checkpoint()


class Held:
    """Remembers what a gate told."""

    def __init__(self) -> None:
        self.told: list[IdentifyHeld] = []

    def __call__(self, held: IdentifyHeld) -> None:
        self.told.append(held)


class Machine:
    """A machine's clock, and programs that open the one file."""

    def __init__(self, clock: VirtualClock, path: Path, stack: ExitStack) -> None:
        self.clock = clock
        self.path = path
        self.set_back = 0.0
        """Seconds by which the wall clock was set back; negative: forward."""
        self._stack = stack

    def wall(self) -> float:
        return EPOCH + self.clock.now() - self.set_back

    def program(self, max_concurrency: int = 1, **options: Any) -> SqliteGate:
        gate = SqliteGate(
            self.path, self.clock, max_concurrency=max_concurrency, spacing=SPACING, wall=self.wall, **options
        )
        return self._stack.enter_context(gate)

    def rows(self, query: str) -> list[Any]:
        connection = sqlite3.connect(self.path)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    def uses(self) -> list[float]:
        """When each IDENTIFY of the file's ledger was used, in virtual time."""
        return [at - EPOCH for (at,) in self.rows("SELECT at FROM identifies ORDER BY at")]


class OpenMachine(Protocol):
    def __call__(self, clock: VirtualClock) -> Machine: ...


def report(total: int, remaining: int, reset_after: float, max_concurrency: int = 1) -> SessionStartLimit:
    return SessionStartLimit(total=total, remaining=remaining, reset_after=reset_after, max_concurrency=max_concurrency)
