"""The shards of one process: which run, which wait for their turn, and how each ended. A machine.

    inputs    stage_changed, identified, failed, stopped
    commands  set_shards, initialize, restart, shutdown, shutdown_all
    getters   has, shards_instantiated, stage, is_idle, failure

A driver does what the actions ask, in order, and reports what came of it; a report of a shard that does not run (any
more) changes nothing. Shards share nothing but the identify gate (F24): one that fails ends alone, unless its error is
a fact about the application (F16). A shard is started when its turn to IDENTIFY is less than 30 s away, and not before
(F22): one that holds a session has no turn to wait for.
"""

from collections import deque
from collections.abc import Collection
from enum import Enum
from typing import Final, TypeAlias

import msgspec

from ..errors import (
    DisallowedIntentsError,
    GatewayError,
    InvalidApiVersionError,
    InvalidAuthenticationError,
    InvalidIntentsError,
    LocalProtocolError,
)
from ..stage import ConnectionStage
from .queue import DISCORD_SPACING, MARGIN

AHEAD: Final = 30.0
"""Seconds before its turn at which a shard dials (F22)."""
TRIES: Final = 5
"""Connections that a shard may lose before it has identified: then it dials on, but its place is the next one's. Else
five that never come up would keep all others of their bucket from starting (F24)."""
MAX_RESUMING: Final = 64
"""Shards that take their sessions up at the same time: they cost no IDENTIFY, but each a TLS handshake."""

APPLICATION_ERRORS: Final = (
    InvalidAuthenticationError,
    InvalidApiVersionError,
    InvalidIntentsError,
    DisallowedIntentsError,
)
"""4004, 4012, 4013, 4014: what one shard was told holds for all (F16)."""


class StartShard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Asks: run this shard. Report its stages, its IDENTIFYs, and its end by `failed` or `stopped`."""

    shard_id: int
    total: int


class StopShard(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Asks: close this shard, then say `stopped`. Asked for again, `resumable=False` is what holds."""

    shard_id: int
    resumable: bool


class ShardStageUpdate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reports: the stage of a shard moved."""

    shard_id: int
    old: ConnectionStage
    new: ConnectionStage


class ShardEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reports: a shard is over: stopped as was asked (`cause` None), or failed for good."""

    shard_id: int
    cause: GatewayError | None


class ApplicationRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reports, once: Discord refuses the application. Close the identify gate with `cause`; no shard is started any
    more, and `shards` (those that had not started) will not be."""

    cause: GatewayError
    shards: tuple[int, ...]


ManagerAction: TypeAlias = StartShard | StopShard | ShardStageUpdate | ShardEnded | ApplicationRefused


class _State(Enum):
    PLANNED = "waits for its turn"
    STARTING = "has neither identified nor resumed yet"
    RETRYING = "the same, and has given its place up"
    RUNNING = "runs"
    STOPPING = "was told to stop"
    RESTARTING = "was told to stop, to be started again"
    ENDED = "is over"


_WAITING: Final = (_State.PLANNED, _State.ENDED)
"""Not started, or over."""


class _Slot:
    __slots__ = ("failure", "is_resumable", "keeps_session", "lane", "losses", "state", "told_stage")

    def __init__(self, lane: "_Lane") -> None:
        self.lane = lane
        self.is_resumable = True
        """It was not told to end its session."""
        self.keeps_session = False
        """Of one that was told to stop: it will have a session to resume."""
        self.losses = 0
        """Connections that it lost while it was starting."""
        self.state = _State.PLANNED
        self.told_stage = ConnectionStage.DISCONNECTED
        self.failure: GatewayError | None = None


class _Lane:
    """Shards that start one after the other, `width` at a time: a bucket, or all those that hold a session."""

    __slots__ = ("planned", "starting", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.planned: deque[int] = deque()
        self.starting = 0


class ShardManager:
    """The shards of one process. `max_concurrency` is that of the identify gate."""

    def __init__(self, *, max_concurrency: int = 1, spacing: float = DISCORD_SPACING + MARGIN) -> None:
        ahead = max(int(AHEAD / spacing), 1)
        self._buckets = [_Lane(ahead) for _ in range(max_concurrency)]
        self._resuming = _Lane(MAX_RESUMING)
        self._slots: dict[int, _Slot] = {}
        self._total = 0
        self._is_open = False
        self._refusal: GatewayError | None = None

    # -- commands ----------------------------------------------------------------------------------------------

    def set_shards(self, index: int, init: int, total: int, *, sessions: Collection[int] = ()) -> list[ManagerAction]:
        """Run the `init` shards from `index` on, of `total`; those beyond that are stopped, resumably.

        Args:
            sessions: ids of those that hold a session: they need not wait for a turn to IDENTIFY.

        Raises:
            LocalProtocolError: there are no such shards, or others of another total are running.
        """
        if not (total >= 1 and init >= 1 and index >= 0 and index + init <= total):
            raise LocalProtocolError(f"there are no shards {index} to {index + init - 1} of {total}")
        if total != self._total and not self.is_idle:
            raise LocalProtocolError(f"shards of {self._total} are running; stop them before you run some of {total}")
        wanted = range(index, index + init)
        if total != self._total:
            self._slots.clear()
        self._total = total
        # Those that wait go first: the place of one that is stopped is none of theirs.
        unwanted = [shard_id for shard_id in self._slots if shard_id not in wanted]
        unwanted.sort(key=lambda shard_id: self._slots[shard_id].state is not _State.PLANNED)
        actions = [action for shard_id in unwanted for action in self.shutdown(shard_id)]
        for shard_id in wanted:
            slot = self._slots.get(shard_id)
            if slot is None or slot.state is _State.ENDED:
                self._plan(shard_id, has_session=shard_id in sessions)
            elif slot.state is _State.STOPPING:
                slot.state = _State.RESTARTING
        return actions + self._start_all()

    def initialize(self) -> list[ManagerAction]:
        """Begin to start what was set."""
        self._is_open = True
        return self._start_all()

    def restart(self, shard_id: int, *, resumable: bool = True) -> list[ManagerAction]:
        """Stop and start it again: with its session, at no cost, or without. One that has ended is started, also after
        `shutdown_all`: as `initialize`, this opens the manager. Nothing is started, and nothing told again, once
        Discord has refused the application: `failure` says so.

        Raises:
            LocalProtocolError: this manager has no such shard.
        """
        slot = self._slot(shard_id)
        self._is_open = True
        actions: list[ManagerAction] = []
        match slot.state:
            case _State.ENDED:
                self._plan(shard_id, has_session=False)
            case _State.STARTING | _State.RETRYING | _State.RUNNING | _State.STOPPING | _State.RESTARTING:
                actions = self._stop(shard_id, slot, _State.RESTARTING, resumable)
        return actions + self._start_all()

    def shutdown(self, shard_id: int, *, resumable: bool = True) -> list[ManagerAction]:
        """Stop it. Nothing is to be done for one that does not run; one that stops already may be told to end its
        session, too."""
        slot = self._slots.get(shard_id)
        if slot is None or slot.state is _State.ENDED:
            return []
        if slot.state is _State.PLANNED:
            slot.lane.planned.remove(shard_id)
            slot.state = _State.ENDED
            return [ShardEnded(shard_id=shard_id, cause=None)]
        return self._stop(shard_id, slot, _State.STOPPING, resumable)

    def shutdown_all(self, *, resumable: bool = True) -> list[ManagerAction]:
        """Stop all, and start none of those that wait."""
        self._is_open = False
        return [action for shard_id in tuple(self._slots) for action in self.shutdown(shard_id, resumable=resumable)]

    # -- inputs ------------------------------------------------------------------------------------------------

    def stage_changed(self, shard_id: int, new: ConnectionStage) -> list[ManagerAction]:
        slot = self._slot(shard_id)
        if slot.state in _WAITING:
            return []
        old, slot.told_stage = slot.told_stage, new
        actions: list[ManagerAction] = []
        if old is not new:
            actions.append(ShardStageUpdate(shard_id=shard_id, old=old, new=new))
        if new is ConnectionStage.CONNECTED:
            actions += self.identified(shard_id)
        elif new is ConnectionStage.DISCONNECTED and old is not new and slot.state is _State.STARTING:
            slot.losses += 1
            if slot.losses == TRIES:
                self._settle(slot, _State.RETRYING)
                actions += self._start(slot.lane)
        return actions

    def identified(self, shard_id: int) -> list[ManagerAction]:
        """Its IDENTIFY is on its way (or none was needed): the next one may dial."""
        slot = self._slot(shard_id)
        if slot.state not in (_State.STARTING, _State.RETRYING):
            return []
        self._settle(slot, _State.RUNNING)
        return self._start(slot.lane)

    def stopped(self, shard_id: int) -> list[ManagerAction]:
        """It is over, in order: as it was told."""
        slot = self._slot(shard_id)
        if slot.state is _State.RESTARTING and self._refusal is None:
            self._plan(shard_id, has_session=slot.keeps_session)
            return self._start(self._slots[shard_id].lane)
        return self._end(shard_id, None)

    def failed(self, shard_id: int, cause: GatewayError) -> list[ManagerAction]:
        """It ended by itself and will not come back."""
        self._slot(shard_id)
        cause = cause.as_value()
        actions: list[ManagerAction] = []
        is_told = type(cause) is type(self._refusal)  # the texts are Discord's and may differ
        if isinstance(cause, APPLICATION_ERRORS) and self._refusal is None:
            self._refusal = cause
            actions.append(ApplicationRefused(cause=cause, shards=self._refuse_planned(cause)))
        ended = self._end(shard_id, cause)
        return actions if is_told else actions + ended

    # -- getters -----------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        return self._total

    @property
    def is_idle(self) -> bool:
        """No shard runs or waits to."""
        return all(slot.state is _State.ENDED for slot in self._slots.values())

    @property
    def refusal(self) -> GatewayError | None:
        """Why Discord refuses the application, if it does."""
        return self._refusal

    def has(self, shard_id: int) -> bool:
        """Whether it runs, or is about to."""
        slot = self._slots.get(shard_id)
        return slot is not None and slot.state is not _State.ENDED

    def shards_instantiated(self) -> list[int]:
        """The ids of those that were started and are not over, in order."""
        return sorted(shard_id for shard_id, slot in self._slots.items() if slot.state not in _WAITING)

    def stage(self, shard_id: int) -> ConnectionStage:
        return self._slot(shard_id).told_stage

    def failure(self, shard_id: int) -> GatewayError | None:
        """Why it ended, if it failed."""
        return self._slot(shard_id).failure

    # -- within ------------------------------------------------------------------------------------------------

    def _slot(self, shard_id: int) -> _Slot:
        slot = self._slots.get(shard_id)
        if slot is None:
            raise LocalProtocolError(f"this manager has no shard {shard_id}")
        return slot

    def _plan(self, shard_id: int, *, has_session: bool) -> None:
        lane = self._resuming if has_session else self._buckets[shard_id % len(self._buckets)]
        self._slots[shard_id] = slot = _Slot(lane)
        if self._refusal is None:
            lane.planned.append(shard_id)
        else:
            slot.state, slot.failure = _State.ENDED, self._refusal

    def _start_all(self) -> list[ManagerAction]:
        return [action for lane in (self._resuming, *self._buckets) for action in self._start(lane)]

    def _start(self, lane: _Lane) -> list[ManagerAction]:
        actions: list[ManagerAction] = []
        while self._is_open and self._refusal is None and lane.planned and lane.starting < lane.width:
            shard_id = lane.planned.popleft()
            lane.starting += 1
            self._slots[shard_id].state = _State.STARTING
            actions.append(StartShard(shard_id=shard_id, total=self._total))
        return actions

    def _stop(self, shard_id: int, slot: _Slot, state: _State, resumable: bool) -> list[ManagerAction]:
        """Tell it to stop, unless that is said; what gives the session up is said at any time, and holds."""
        is_said = slot.state in (_State.STOPPING, _State.RESTARTING)
        if not is_said:
            slot.keeps_session = slot.state is _State.RUNNING or slot.lane is self._resuming
        is_news = not is_said or (slot.is_resumable and not resumable)
        slot.is_resumable &= resumable
        slot.keeps_session &= resumable
        self._settle(slot, state)
        actions: list[ManagerAction] = [StopShard(shard_id=shard_id, resumable=resumable)] if is_news else []
        return actions + self._start(slot.lane)

    @staticmethod
    def _settle(slot: _Slot, state: _State) -> None:
        if slot.state is _State.STARTING:
            slot.lane.starting -= 1
        slot.state = state

    def _end(self, shard_id: int, cause: GatewayError | None) -> list[ManagerAction]:
        slot = self._slot(shard_id)
        if slot.state in _WAITING:
            return []
        self._settle(slot, _State.ENDED)
        slot.told_stage = ConnectionStage.DISCONNECTED
        slot.failure = cause
        return [ShardEnded(shard_id=shard_id, cause=cause), *self._start(slot.lane)]

    def _refuse_planned(self, cause: GatewayError) -> tuple[int, ...]:
        refused = sorted(shard_id for shard_id, slot in self._slots.items() if slot.state is _State.PLANNED)
        for shard_id in refused:
            self._slots[shard_id].state = _State.ENDED
            self._slots[shard_id].failure = cause
        for lane in (self._resuming, *self._buckets):
            lane.planned.clear()
        return tuple(refused)
