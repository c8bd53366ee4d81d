"""The shards of a `Client` at work: does what a `ShardManager` asks, and reports to it."""

import contextlib
import functools
import logging
import math
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

import anyio
import anyio.abc
import msgspec

from gateway_proto import (
    DiscardCause,
    Dispatch,
    EventDecodeError,
    GatewayError,
    Notice,
    PermitUsed,
    Reconnect,
    SessionLost,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.fleet import (
    ApplicationRefused,
    ManagerAction,
    ShardEnded,
    ShardManager,
    ShardStageUpdate,
    StartShard,
    StopShard,
    guild_count_advice,
)

from ..anyio import IdentifyGate, QueueLimits, ShardRunner, open_shard
from ..clock import Clock
from ..contract import Dialer
from ..tasks import background
from .errors import ShardCrashedError
from .flow import Hub, Pump
from .keeper import SessionKeeper

GRACE: Final = 3.0
"""Seconds for handlers that run when their shard is stopped; then what they work at comes again after a resume."""

_log: Final = logging.getLogger("gateway_transports.client")


class _Ready(msgspec.Struct):
    guilds: list[msgspec.Raw] = []


class _Slot:
    """A shard that was started and is not over."""

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.runner: ShardRunner | None = None
        self.is_told_to_stop = False
        self.is_resumable = True
        self.guilds: int | None = None

    def stop(self, *, resumable: bool) -> None:
        """May be said again: what ends the session holds."""
        self.is_told_to_stop = True
        self.is_resumable &= resumable
        self.scope.cancel()


class FleetWorld(msgspec.Struct, frozen=True, kw_only=True):
    """What all shards of a fleet are given."""

    clock: Clock
    dialer: Dialer
    rng: random.Random
    queue_limits: QueueLimits
    width: int
    """Events of a shard that are under way at a time."""


class Fleet:
    """Runs shards in `group`, which must be shielded: they end when they are told to.

    Args:
        config: of each shard, by its id.
        on_action: is told each shard's actions.
        on_update: is told what the manager asks for and reports, once it is done. It may call what it likes; what it
            raises is logged, and that is all.
        on_ended: is called whenever the last shard may be over.
    """

    def __init__(
        self,
        world: FleetWorld,
        group: anyio.abc.TaskGroup,
        *,
        manager: ShardManager,
        gate: IdentifyGate,
        keeper: SessionKeeper,
        hub: Hub,
        config: Callable[[int], ShardConfig],
        on_action: Callable[[int, ShardAction], object] | None,
        on_update: Callable[[ManagerAction], object] | None,
        on_ended: Callable[[], object],
    ) -> None:
        self.manager: ShardManager = manager
        self._world = world
        self._group = group
        self._gate = gate
        self._keeper = keeper
        self._hub = hub
        self._config = config
        self._on_action = on_action
        self._on_update = on_update
        self._on_ended = on_ended
        self._slots: dict[int, _Slot] = {}
        self._actions: deque[ManagerAction] = deque()
        self._is_doing = False

    @property
    def runners(self) -> Mapping[int, ShardRunner]:
        """Of the shards that run."""
        return {shard_id: slot.runner for shard_id, slot in self._slots.items() if slot.runner is not None}

    def runner(self, shard_id: int) -> ShardRunner | None:
        slot = self._slots.get(shard_id)
        return slot.runner if slot is not None else None

    def guilds(self, shard_id: int) -> int | None:
        """How many its last READY named, if there was one."""
        slot = self._slots.get(shard_id)
        return slot.guilds if slot is not None else None

    def do(self, actions: list[ManagerAction]) -> None:
        """Carry them out in order, after those that are under way: `on_update` may ask for more."""
        self._actions += actions
        if self._is_doing:
            return
        self._is_doing = True
        try:
            while self._actions:
                action = self._actions.popleft()
                self._carry_out(action)
                self._tell(action)
        finally:
            self._is_doing = False
        self._on_ended()

    def _carry_out(self, action: ManagerAction) -> None:
        match action:
            case StartShard(shard_id=shard_id):
                slot = self._slots[shard_id] = _Slot()
                self._group.start_soon(self._run, shard_id, slot)
            case StopShard(shard_id=shard_id, resumable=resumable):
                self._slots[shard_id].stop(resumable=resumable)
            case ApplicationRefused(cause=cause):
                _log.error("Discord refuses the application: %s", cause)
                self._gate.closed(cause)
            case ShardStageUpdate(shard_id=shard_id, old=old, new=new):
                _log.debug("shard %d: %s -> %s", shard_id, old.value, new.value)
            case ShardEnded(shard_id=shard_id, cause=cause) if cause is not None:
                _log.error("shard %d has ended: %s", shard_id, cause)

    def _tell(self, action: ManagerAction) -> None:
        if self._on_update is None:
            return
        try:
            self._on_update(action)
        except (Exception, anyio.get_cancelled_exc_class()):  # without an await, no cancellation is ours
            _log.exception("on_update failed at %r", action)

    # -- one shard ---------------------------------------------------------------------------------------------

    async def _run(self, shard_id: int, slot: _Slot) -> None:
        cause: GatewayError | None = None
        try:
            await self._work(shard_id, slot)
        except GatewayError as error:
            cause = error
        except Exception as error:
            _log.exception("shard %d was ended by an exception that nobody expects", shard_id)
            cause = ShardCrashedError(f"{type(error).__name__} in the shard's tasks; the log has its traceback")
            cause.__cause__ = error
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            cause = _cancelled()
        if cause is None and not slot.is_told_to_stop:
            cause = _cancelled()  # one of its tasks was, and took the others along: a task group says nothing of it
        del self._slots[shard_id]
        self.do(self.manager.stopped(shard_id) if cause is None else self.manager.failed(shard_id, cause))

    async def _work(self, shard_id: int, slot: _Slot) -> None:
        world = self._world
        opened = open_shard(
            self._config(shard_id),
            session=self._keeper.sessions.get(shard_id),
            identify_gate=self._gate,
            dialer=world.dialer,
            clock=world.clock,
            rng=world.rng,
            on_action=functools.partial(self._receive, shard_id, slot),
            queue_limits=world.queue_limits,
            manual_acknowledge=True,
        )
        pump: Pump | None = None
        try:
            async with opened as runner:
                slot.runner = runner
                self._keeper.watch(shard_id, runner)
                pump = Pump(self._hub, shard_id, runner, width=world.width, on_delivered=self._keeper.moved)
                await self._pump(slot, runner, pump)
                if not slot.is_resumable:
                    await runner.close(resumable=False)
        finally:
            if pump is not None:
                await self._wind_up(shard_id, slot, pump, runner)

    async def _wind_up(self, shard_id: int, slot: _Slot, pump: Pump, runner: ShardRunner) -> None:
        """Its sockets are closed; what is delivered from now on counts until the session is put away."""
        try:
            await pump.drained(self._world.clock, GRACE)
        finally:
            self._keeper.unwatch(shard_id, forget=not slot.is_resumable)
            if shard_id in self._keeper.sessions:
                pump.give_up(runner.snapshot().epoch)

    async def _pump(self, slot: _Slot, runner: ShardRunner, pump: Pump) -> None:
        """Hand its events on until it ends or is told to stop. Raises what ended it."""
        failures: list[Exception] = []

        async def watch() -> None:
            try:
                await runner.wait()
            except Exception as error:
                failures.append(error)
            # What is queued may still be taken, but not by a handler that never returns.
            if self._hub.has_consumers:
                await self._world.clock.wait(anyio.Event(), self._world.clock.now() + GRACE)
            slot.scope.cancel()

        async with background() as group:
            group.start_soon(watch)
            with slot.scope:
                await pump.run()
        if failures:
            raise failures[0]

    def _receive(self, shard_id: int, slot: _Slot, action: ShardAction) -> None:
        """An action of a shard, before the runner acts upon it."""
        if type(action) is Dispatch:
            if action.name == "READY":
                self._ready(shard_id, slot, action)
            elif action.name == "RESUMED":
                self._keeper.resumed(shard_id)
        else:
            self._report(shard_id, action)
        if self._on_action is not None:
            self._on_action(shard_id, action)

    def _ready(self, shard_id: int, slot: _Slot, event: Dispatch) -> None:
        self._keeper.ready(shard_id, event)
        with contextlib.suppress(EventDecodeError):
            slot.guilds = len(event.decode(_Ready).guilds)
            advice = guild_count_advice(shard_id, slot.guilds)
            if advice is not None:
                _log.warning("%s", advice)

    def _report(self, shard_id: int, action: ShardAction) -> None:
        match action:
            case StageChanged(new=new):
                self.do(self.manager.stage_changed(shard_id, new))
            case PermitUsed():
                self.do(self.manager.identified(shard_id))
            case SessionLost(cause=cause, sequence=sequence, downtime=downtime):
                self._keeper.lost(shard_id)
                _log.log(
                    logging.INFO if cause is DiscardCause.LOGOUT else logging.WARNING,  # the one that was asked for
                    "shard %d: the session is gone (%s); what came after event %d, %.0f s, will not come",
                    shard_id, cause.value, sequence, downtime,
                )  # fmt: skip
            case Reconnect(after=after, cause=cause):
                _log.info("shard %d: connects again in %.1f s: %s", shard_id, after, cause)
            case Notice(detail=detail):
                _log.warning("shard %d: %s", shard_id, detail)


def _cancelled() -> ShardCrashedError:
    return ShardCrashedError("a task of the shard's was cancelled, and nobody had asked for that")
