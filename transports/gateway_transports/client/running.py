"""A client that has started: its plan, its store and gate, and the fleet."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import anyio
import anyio.abc
import msgspec

from gateway_proto import (
    CurrentPresence,
    GatewayError,
    LocalProtocolError,
    ShardAction,
    ShardConfig,
)
from gateway_proto.discovery import GatewayInfo, SessionStartLimit
from gateway_proto.fleet import (
    IdentifyHeld,
    IdentifyQueue,
    ManagerAction,
    ShardManager,
    shard_count_advice,
)
from gateway_proto.session import mismatch

from ..anyio import ShardRunner
from ..gate import BudgetedGate, IdentifyGate
from ..queue_gate import QueueGate
from ..sqlite_gate import SqliteGate
from ..stores import SessionStore, SqliteStore, StoreError
from .errors import ShardsEndedError
from .fleet import Fleet, FleetWorld
from .flow import Hub
from .keeper import SessionKeeper
from .messenger import ShardRunnerInfo
from .start import Api, Plan

_log: Final = logging.getLogger("gateway_transports.client")


class OpenStore(Protocol):
    """Opens the store of a program's shards, as `SqliteStore` with a path does. Raises StoreError."""

    def __call__(self, *, application_id: int | None, shard_ids: Iterable[int], total: int) -> SessionStore: ...


class Running:
    """Makes ready what `begin` starts; what it opens, `close` lets go. Its errors are `Client.start*`'s."""

    def __init__(
        self,
        plan: Plan,
        info: GatewayInfo | None,
        *,
        config: ShardConfig,
        world: FleetWorld,
        hub: Hub,
        store: str | os.PathLike[str] | OpenStore | None,
        gate: IdentifyGate | None,
        spacing: float,
        wall: Callable[[], float],
        tasks: anyio.abc.TaskGroup,
        on_action: Callable[[int, ShardAction], object] | None,
        on_update: Callable[[ManagerAction], object] | None,
    ) -> None:
        self.plan: Plan = plan
        self.over: anyio.Event = anyio.Event()
        """No shard runs, or waits to."""
        self._config = config
        self._world = world
        self._hub = hub
        self._wall = wall
        self._spacing = spacing
        self._limit = info.session_start_limit if info is not None else None
        self._error: Exception | None = None
        self._is_closing = False
        recommended = info.shards if info is not None else None
        if info is not None:
            self._config = msgspec.structs.replace(config, url=info.url, recommended_shards=recommended)
        width = self._limit.max_concurrency if self._limit is not None else 1
        if plan.is_sharded:
            for advice in shard_count_advice(plan.total, recommended=recommended, max_concurrency=width):
                _log.warning("%s", advice)
        elif recommended is not None and recommended > 1:
            _log.warning("Discord recommends %d shards for this bot; this is one, without sharding", recommended)
        self._files = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            undo.callback(self._files.close)
            self.keeper: SessionKeeper = self._open_store(store)
            self.gate: IdentifyGate = gate or self._open_gate(store, width)
            self._sessions = self._usable_sessions()
            self._reserve()
            undo.pop_all()
        self.fleet: Fleet = Fleet(
            world,
            tasks,
            manager=ShardManager(max_concurrency=width, spacing=spacing),
            gate=self.gate,
            keeper=self.keeper,
            hub=hub,
            config=self.config_of,
            on_action=on_action,
            on_update=on_update,
            on_ended=self._judge_end,
        )

    def begin(self, api: Api, chores: anyio.abc.TaskGroup) -> None:
        """Start the first shards; the others follow as their turns come."""
        manager, plan = self.fleet.manager, self.plan
        chores.start_soon(self.keeper.run, self._world.clock)
        if self._limit is not None and isinstance(self.gate, BudgetedGate):
            chores.start_soon(api.watch, self._limit, self._report)
        self.fleet.do(
            manager.set_shards(plan.shard_ids.start, len(plan.shard_ids), plan.total, sessions=self._sessions)
        )
        self.fleet.do(manager.initialize())

    def end(self) -> None:
        """The client's block is left."""
        self._is_closing = True
        self.shutdown_all(resumable=True)

    def close(self) -> None:
        """Save what there is to save; no shard runs any more."""
        self._files.close()

    # -- commands ----------------------------------------------------------------------------------------------

    def restart(self, shard_id: int, *, resumable: bool) -> None:
        if self._is_closing:
            raise LocalProtocolError("the client is ending; start another one")
        self._check_has(shard_id)
        if not resumable:
            self.keeper.refuse(shard_id)
        if self.over.is_set():
            self.over, self._hub.is_over, self._error = anyio.Event(), False, None
        self.fleet.do(self.fleet.manager.restart(shard_id, resumable=resumable))

    def shutdown(self, shard_id: int, *, resumable: bool) -> None:
        self._check_has(shard_id)
        self.fleet.do(self.fleet.manager.shutdown(shard_id, resumable=resumable))
        self._release((shard_id,))

    def shutdown_all(self, *, resumable: bool) -> None:
        self.fleet.do(self.fleet.manager.shutdown_all(resumable=resumable))

    def set_presence(self, presence: CurrentPresence) -> None:
        # The check of the config comes first: what its IDENTIFY could not carry is refused for all shards alike.
        self._config = msgspec.structs.replace(self._config, presence=presence)
        for runner in self.fleet.runners.values():
            runner.set_presence(presence)

    def fail(self, error: Exception) -> None:
        """End everything by this: a handler's exception, or another bot's store."""
        self._error = self._error or error
        self.shutdown_all(resumable=True)

    # -- getters -----------------------------------------------------------------------------------------------

    def config_of(self, shard_id: int) -> ShardConfig:
        shard = (shard_id, self.plan.total) if self.plan.is_sharded else None
        return msgspec.structs.replace(self._config, shard=shard)

    def runner(self, shard_id: int) -> ShardRunner:
        runner = self.fleet.runner(shard_id)
        if runner is None:
            raise LocalProtocolError(f"shard {shard_id} of {self.plan.total} does not run here at the moment")
        return runner

    def info(self, shard_id: int) -> ShardRunnerInfo:
        self._check_has(shard_id)
        manager, runner = self.fleet.manager, self.fleet.runner(shard_id)
        return ShardRunnerInfo(
            shard_id=shard_id,
            total=self.plan.total,
            stage=manager.stage(shard_id),
            latency=runner.latency if runner is not None else None,
            guilds=self.fleet.guilds(shard_id),
            failure=manager.failure(shard_id),
            snapshot=runner.snapshot() if runner is not None else None,
        )

    def identifies_left(self) -> int | None:
        return self.gate.remaining() if isinstance(self.gate, BudgetedGate) else None

    def raise_end(self) -> None:
        """Why no shard runs any more, if that was not asked for."""
        if self._error is not None:
            raise self._error
        manager = self.fleet.manager
        if manager.refusal is not None:
            raise manager.refusal
        found = {shard_id: manager.failure(shard_id) for shard_id in self.plan.shard_ids}
        failures: dict[int, GatewayError] = {id: failure for id, failure in found.items() if failure is not None}
        if len(failures) > 1:
            raise ShardsEndedError(failures)
        for failure in failures.values():
            raise failure

    # -- inside ------------------------------------------------------------------------------------------------

    def _open_store(self, store: str | os.PathLike[str] | OpenStore | None) -> SessionKeeper:
        opened: SessionStore | None = None
        application_id, ids, total = self._config.application_id, self.plan.shard_ids, self.plan.total
        if isinstance(store, str | os.PathLike):
            opened = file = SqliteStore(
                store, application_id=application_id, shard_ids=ids, total=total, reshard=self.plan.is_recommended
            )
            if file.kept_aside is not None:
                _log.warning("the damaged file of sessions was kept as %s, and a new one begun", file.kept_aside)
        elif store is not None:
            opened = store(application_id=application_id, shard_ids=ids, total=total)
        keeper = SessionKeeper(opened, wall=self._wall, on_foreign=self.fail)
        self._files.callback(keeper.close)
        keeper.load()
        if isinstance(opened, SqliteStore):
            for shard_id, error in opened.unreadable.items():
                _log.warning("shard %d begins anew: %s", shard_id, error)
        return keeper

    def _open_gate(self, store: str | os.PathLike[str] | OpenStore | None, width: int) -> IdentifyGate:
        clock = self._world.clock
        if isinstance(store, str | os.PathLike):
            gate = SqliteGate(
                store,
                clock,
                application_id=self._config.application_id,
                max_concurrency=width,
                spacing=self._spacing,
                wall=self._wall,
                on_held=_tell_held,
            )
            return self._files.enter_context(gate)
        queue = IdentifyQueue(max_concurrency=width, spacing=self._spacing)
        return QueueGate(queue, clock, wall=self._wall, on_held=_tell_held)

    def _usable_sessions(self) -> set[int]:
        """The shards that can resume."""
        for shard_id, session in list(self.keeper.sessions.items()):
            config = self.config_of(shard_id)
            error = mismatch(session, config.binding(), config.application_id)
            if error is not None:
                _log.warning("shard %d begins anew: %s", shard_id, error)
                self.keeper.refuse(shard_id, keep=True)  # the settings may be changed back
        return set(self.keeper.sessions)

    def _reserve(self) -> None:
        if isinstance(self.gate, BudgetedGate):
            if self._limit is not None:
                self.gate.report(self._limit)
            self.gate.reserve(shard_id for shard_id in self.plan.shard_ids if shard_id not in self._sessions)

    def _report(self, limit: SessionStartLimit) -> None:
        if isinstance(self.gate, BudgetedGate):
            with contextlib.suppress(StoreError):  # it is only news; the ledger goes on without
                self.gate.report(limit)

    def _check_has(self, shard_id: int) -> None:
        if shard_id not in self.plan.shard_ids:
            raise LocalProtocolError(f"shard {shard_id} of {self.plan.total} is not run by this client")

    def _judge_end(self) -> None:
        if self.fleet.manager.is_idle and not self.over.is_set():
            self._release(self.plan.shard_ids)
            self.over.set()
            self._hub.end()

    def _release(self, shard_ids: Iterable[int]) -> None:
        """Those that have not identified will not: what was reserved for them is for others."""
        if isinstance(self.gate, BudgetedGate):
            with contextlib.suppress(StoreError):  # it ends by itself, later
                self.gate.release(shard_ids)


def _tell_held(held: IdentifyHeld) -> None:
    _log.warning("shard %d waits to IDENTIFY: %s", held.shard_id, held.reason)
