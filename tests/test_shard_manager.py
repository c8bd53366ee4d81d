"""Which shards run (F16, F22, F24): the manager is held to a model by a Hypothesis rule machine.

What must hold, for every sequence of commands and of what a driver may report:
 1. a shard is started only once it is over, or for the first time; in the order of its lane; while its lane (a bucket,
    or all that hold a session) has fewer than `width` on their way; and never one that could be started waits;
 2. only what runs is stopped, and once; once more, if its session is given up only then, which holds;
 3. an end is told once; what fails ends alone, but for a fact about the application: that is told once for all, nothing
    is started any more, and those that had not started end with it (F16, F24);
 4. reports of a shard that does not run (any more) change nothing;
 5. what was asked for last is what comes about: whoever shall run runs, once every stop is answered, and nobody else;
    after `shutdown_all` nobody, until `initialize` or `restart`;
 6. nothing is raised but `LocalProtocolError`, for misuse, and nothing has changed then.
"""

from collections import Counter
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    DisallowedIntentsError,
    GatewayError,
    InvalidApiVersionError,
    InvalidAuthenticationError,
    InvalidIntentsError,
    InvalidShardDataError,
    LocalProtocolError,
    MessageTooLargeError,
    OverloadedShardError,
    ReconnectFailureError,
)
from gateway_proto.fleet import (
    ApplicationRefused,
    ManagerAction,
    ShardEnded,
    ShardManager,
    ShardStageUpdate,
    StartShard,
    StopShard,
)
from gateway_proto.fleet.manager import MAX_RESUMING, TRIES

SHARDS = 9
IDS = st.integers(0, SHARDS - 1)
STAGES = st.sampled_from(ConnectionStage)
FOR_GOOD: tuple[GatewayError, ...] = (
    InvalidShardDataError(4010, "", 16),
    OverloadedShardError(4011),
    MessageTooLargeError(99),
    ReconnectFailureError(5),
    ClosedError(),
)
OF_THE_APPLICATION: tuple[GatewayError, ...] = (
    InvalidAuthenticationError(4004, "Authentication failed."),
    InvalidAuthenticationError(4004, "in other words"),
    InvalidApiVersionError(4012),
    InvalidIntentsError(4013),
    DisallowedIntentsError(4014),
)
SESSION = "has a session"


class Slot:
    """A shard as the model sees it."""

    def __init__(self, lane: int | str) -> None:
        self.state = "planned"
        self.lane = lane
        self.keeps_session = False
        self.is_given_up = False
        self.losses = 0
        self.stage = ConnectionStage.DISCONNECTED
        self.failure: GatewayError | None = None

    @property
    def runs(self) -> bool:
        return self.state not in ("planned", "ended")


class Totals:
    seen: ClassVar[Counter[str]] = Counter()


class ManagerMachine(RuleBasedStateMachine):
    @initialize(
        max_concurrency=st.integers(1, 3), spacing=st.sampled_from([5.25, 15.0, 40.0]), is_open=st.integers(0, 3)
    )
    def begin(self, max_concurrency: int, spacing: float, is_open: int) -> None:
        self.manager = ShardManager(max_concurrency=max_concurrency, spacing=spacing)
        self.max_concurrency = max_concurrency
        self.width = {5.25: 5, 15.0: 2, 40.0: 1}[spacing]
        self.slots: dict[int, Slot] = {}
        self.queues: dict[int | str, list[int]] = {}
        self.wanted: set[int] = set()
        self.total = 0
        self.is_open = False
        self.refusal: GatewayError | None = None
        if is_open:  # most of the time: what is closed is dull
            self.set_shards(0, SHARDS, SHARDS, {1, 5})
            self.initialize_manager()

    # -- the model ---------------------------------------------------------------------------------------------

    def plan(self, shard_id: int, has_session: bool) -> None:
        lane = SESSION if has_session else shard_id % self.max_concurrency
        self.slots[shard_id] = slot = Slot(lane)
        if self.refusal is None:
            self.queues.setdefault(lane, []).append(shard_id)
            self.wanted.add(shard_id)
        else:
            slot.state, slot.failure = "ended", self.refusal

    def stop(self, shard_id: int, state: str, resumable: bool) -> list[ManagerAction]:
        """It is told to stop, if it was not yet, or not so. Returns what must be said then."""
        slot = self.slots[shard_id]
        is_first = slot.state in ("starting", "retrying", "running")
        if is_first:
            slot.keeps_session = slot.state == "running" or slot.lane == SESSION
        is_said = is_first or not (resumable or slot.is_given_up)
        if not resumable:
            slot.is_given_up, slot.keeps_session = True, False
        slot.state = state
        return [StopShard(shard_id=shard_id, resumable=resumable)] if is_said else []

    def shut_down(self, shard_id: int, resumable: bool) -> list[ManagerAction]:
        slot = self.slots.get(shard_id)
        self.wanted.discard(shard_id)
        if slot is None or slot.state == "ended":
            return []
        if slot.state == "planned":
            self.queues[slot.lane].remove(shard_id)
            return self.end(shard_id, None)
        return self.stop(shard_id, "stopping", resumable)

    def end(self, shard_id: int, cause: GatewayError | None) -> list[ManagerAction]:
        slot = self.slots[shard_id]
        slot.state, slot.failure, slot.stage = "ended", cause, ConnectionStage.DISCONNECTED
        return [ShardEnded(shard_id=shard_id, cause=cause)]

    def starting(self, lane: int | str) -> int:
        return sum(slot.state == "starting" and slot.lane == lane for slot in self.slots.values())

    def room(self, lane: int | str) -> bool:
        return self.starting(lane) < (MAX_RESUMING if lane == SESSION else self.width)

    def do(self, actions: list[ManagerAction], expected: list[ManagerAction]) -> None:
        """Apart from the starts it is said what must be said, in order; and the starts are legal and complete."""
        assert [action for action in actions if not isinstance(action, StartShard)] == expected
        for action in actions:
            repr(action)
            Totals.seen[type(action).__name__] += 1
            if not isinstance(action, StartShard):
                continue
            slot = self.slots[action.shard_id]
            assert self.is_open
            assert self.refusal is None
            assert slot.state == "planned", "started twice"
            assert self.queues[slot.lane].pop(0) == action.shard_id, "out of turn"
            assert self.room(slot.lane), "too many at a time"
            assert action.total == self.total
            slot.state = "starting"
        if self.is_open and self.refusal is None:
            assert not any(queue and self.room(lane) for lane, queue in self.queues.items()), "one waits for nothing"

    # -- commands ----------------------------------------------------------------------------------------------

    @rule(
        index=st.sampled_from([0, 0, 1, 4, 6, -1, SHARDS]),
        init=st.sampled_from([SHARDS, 5, 3, 2, 1, 0]),
        total=st.sampled_from([SHARDS, SHARDS, SHARDS, 4, 0]),
        sessions=st.sets(IDS, max_size=4),
    )
    def set_shards(self, index: int, init: int, total: int, sessions: set[int]) -> None:
        wanted = range(index, index + init)
        is_range = bool(wanted) and index >= 0 and wanted.stop <= total
        if not is_range or (total != self.total and not self.idle):
            with pytest.raises(LocalProtocolError):
                self.manager.set_shards(index, init, total, sessions=sessions)
            return
        if total != self.total:
            self.slots.clear()
        self.total = total
        unwanted = [id for id in self.slots if id not in wanted]
        waiting = [id for id in unwanted if self.slots[id].state == "planned"]
        others = [id for id in unwanted if id not in waiting]
        expected = [action for id in (*waiting, *others) for action in self.shut_down(id, True)]
        for shard_id in wanted:
            slot = self.slots.get(shard_id)
            if slot is None or slot.state == "ended":
                self.plan(shard_id, shard_id in sessions)
            elif slot.state == "stopping":
                slot.state = "restarting"
                self.wanted.add(shard_id)
        self.do(self.manager.set_shards(index, init, total, sessions=sessions), expected)

    @rule()
    def initialize_manager(self) -> None:
        self.is_open = True
        self.do(self.manager.initialize(), [])

    @rule(shard_id=IDS, resumable=st.booleans())
    def restart(self, shard_id: int, resumable: bool) -> None:
        slot = self.slots.get(shard_id)
        if slot is None:
            with pytest.raises(LocalProtocolError):
                self.manager.restart(shard_id, resumable=resumable)
            return
        expected: list[ManagerAction] = []
        self.is_open = True
        if slot.state == "ended":
            self.plan(shard_id, False)
        elif slot.state != "planned":
            expected = self.stop(shard_id, "restarting", resumable)
            self.wanted.add(shard_id)
        self.do(self.manager.restart(shard_id, resumable=resumable), expected)

    @rule(shard_id=IDS, resumable=st.booleans())
    def shutdown(self, shard_id: int, resumable: bool) -> None:
        expected = self.shut_down(shard_id, resumable)
        self.do(self.manager.shutdown(shard_id, resumable=resumable), expected)

    @rule(resumable=st.booleans())
    def shutdown_all(self, resumable: bool) -> None:
        self.is_open = False
        expected = [action for id in tuple(self.slots) for action in self.shut_down(id, resumable)]
        self.do(self.manager.shutdown_all(resumable=resumable), expected)

    # -- what a driver reports -----------------------------------------------------------------------------------

    @rule(shard_id=IDS, stage=STAGES)
    def stage_changed(self, shard_id: int, stage: ConnectionStage) -> None:
        slot = self.slots.get(shard_id)
        if slot is None:
            with pytest.raises(LocalProtocolError):
                self.manager.stage_changed(shard_id, stage)
            return
        expected: list[ManagerAction] = []
        if slot.runs:
            if stage is not slot.stage:
                expected = [ShardStageUpdate(shard_id=shard_id, old=slot.stage, new=stage)]
            slot.losses += slot.stage is not stage is ConnectionStage.DISCONNECTED
            slot.stage = stage
            if slot.state in ("starting", "retrying") and stage is ConnectionStage.CONNECTED:
                slot.state = "running"
            elif slot.state == "starting" and slot.losses == TRIES:
                slot.state = "retrying"
        self.do(self.manager.stage_changed(shard_id, stage), expected)

    @rule(shard_id=IDS, times=st.integers(1, 6))
    def dials_fail(self, shard_id: int, times: int) -> None:
        if shard_id in self.slots:
            for _ in range(times):
                self.stage_changed(shard_id, ConnectionStage.CONNECTING)
                self.stage_changed(shard_id, ConnectionStage.DISCONNECTED)

    @rule(shard_id=IDS)
    def identified(self, shard_id: int) -> None:
        slot = self.slots.get(shard_id)
        if slot is None:
            with pytest.raises(LocalProtocolError):
                self.manager.identified(shard_id)
            return
        if slot.state in ("starting", "retrying"):
            slot.state = "running"
        self.do(self.manager.identified(shard_id), [])

    @rule(shard_id=IDS)
    def stopped(self, shard_id: int) -> None:
        slot = self.slots.get(shard_id)
        if slot is None:
            with pytest.raises(LocalProtocolError):
                self.manager.stopped(shard_id)
            return
        expected: list[ManagerAction] = []
        if slot.state == "restarting" and self.refusal is None:
            self.plan(shard_id, slot.keeps_session)
        elif slot.runs:
            self.wanted.discard(shard_id)
            expected = self.end(shard_id, None)
        self.do(self.manager.stopped(shard_id), expected)

    @rule(shard_id=IDS, cause=st.sampled_from(FOR_GOOD))
    def failed(self, shard_id: int, cause: GatewayError) -> None:
        slot = self.slots.get(shard_id)
        if slot is None:
            with pytest.raises(LocalProtocolError):
                self.manager.failed(shard_id, cause)
            return
        expected: list[ManagerAction] = []
        if slot.runs:
            self.wanted.discard(shard_id)
            expected = self.end(shard_id, cause)
        self.do(self.manager.failed(shard_id, cause), expected)

    @rule(shard_id=IDS, cause=st.sampled_from(OF_THE_APPLICATION), seldom=st.integers(0, 9))
    def application_is_refused(self, shard_id: int, cause: GatewayError, seldom: int) -> None:
        slot = self.slots.get(shard_id)
        if slot is None or seldom:
            return
        expected: list[ManagerAction] = []
        told = self.refusal
        if told is None:
            refused = [id for id in sorted(self.slots) if self.slots[id].state == "planned"]
            for id in refused:
                self.slots[id].state, self.slots[id].failure = "ended", cause
                self.wanted.discard(id)
            self.queues.clear()
            self.refusal = cause
            expected = [ApplicationRefused(cause=cause, shards=tuple(refused))]
        if slot.runs:
            self.wanted.discard(shard_id)
            end = self.end(shard_id, cause)
            expected += end if type(told) is not type(cause) else []
        self.do(self.manager.failed(shard_id, cause), expected)

    @rule()
    def everything_is_answered(self) -> None:
        """Every stop, and every IDENTIFY goes out."""
        for shard_id, slot in tuple(self.slots.items()):
            if slot.state in ("stopping", "restarting"):
                self.stopped(shard_id)
        while starting := [id for id, slot in self.slots.items() if slot.state in ("starting", "retrying")]:
            for shard_id in starting:
                self.identified(shard_id)
        runs = {id for id, slot in self.slots.items() if slot.runs}
        if self.is_open and self.refusal is None:
            assert runs == self.wanted
        else:
            assert runs <= self.wanted

    # -- what must hold ----------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        return all(slot.state == "ended" for slot in self.slots.values())

    @invariant()
    def getters_tell_the_same(self) -> None:
        manager = self.manager
        assert manager.total == self.total
        assert manager.is_idle == self.idle
        assert manager.refusal == self.refusal
        assert manager.shards_instantiated() == sorted(id for id, slot in self.slots.items() if slot.runs)
        for shard_id in range(-1, SHARDS + 1):
            slot = self.slots.get(shard_id)
            assert manager.has(shard_id) == (slot is not None and slot.state != "ended")
            if slot is not None:
                assert manager.stage(shard_id) is slot.stage
                assert manager.failure(shard_id) == slot.failure
                continue
            with pytest.raises(LocalProtocolError):
                manager.stage(shard_id)
            with pytest.raises(LocalProtocolError):
                manager.failure(shard_id)

    def teardown(self) -> None:
        if hasattr(self, "manager"):
            self.everything_is_answered()
            self.shutdown_all(True)
            self.everything_is_answered()
            assert self.manager.is_idle
            assert self.manager.shards_instantiated() == []


@pytest.mark.failure("F16", "F24")
def test_manager_against_its_model() -> None:
    run_state_machine_as_test(
        ManagerMachine,
        settings=settings(
            max_examples=250,
            stateful_step_count=50,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    kinds = (StartShard, StopShard, ShardStageUpdate, ShardEnded, ApplicationRefused)
    assert {kind.__name__ for kind in kinds} == set(Totals.seen)
    assert Totals.seen["StartShard"] >= 500


# -- one by one ----------------------------------------------------------------------------------------------------


def started(actions: list[ManagerAction]) -> list[int]:
    return [action.shard_id for action in actions if isinstance(action, StartShard)]


def running(count: int = 4, *, max_concurrency: int = 1) -> ShardManager:
    """All of them run."""
    manager = ShardManager(max_concurrency=max_concurrency)
    manager.set_shards(0, count, count)
    waiting = started(manager.initialize())
    while waiting:
        waiting += started(manager.stage_changed(waiting.pop(0), ConnectionStage.CONNECTED))
    assert manager.shards_instantiated() == list(range(count))
    return manager


def test_nothing_starts_before_it_is_told_to() -> None:
    manager = ShardManager()
    assert manager.is_idle
    assert manager.set_shards(2, 2, 10) == []
    assert [manager.has(id) for id in range(5)] == [False, False, True, True, False]
    assert manager.shards_instantiated() == []
    assert not manager.is_idle
    assert manager.initialize() == [StartShard(shard_id=2, total=10), StartShard(shard_id=3, total=10)]
    assert manager.initialize() == []
    assert manager.total == 10


@pytest.mark.failure("F22")
def test_a_shard_is_dialled_when_its_turn_is_less_than_30_seconds_away() -> None:
    manager = ShardManager(max_concurrency=2)
    manager.set_shards(0, 100, 100)
    # The sixth of a bucket has its turn 26 s after the first, and then five more are before it.
    assert started(manager.initialize()) == [0, 2, 4, 6, 8, 1, 3, 5, 7, 9]
    assert started(manager.identified(4)) == [10]
    assert started(manager.identified(4)) == []
    assert started(manager.stage_changed(1, ConnectionStage.IDENTIFYING)) == []
    assert started(manager.stage_changed(1, ConnectionStage.CONNECTED)) == [11]
    assert started(manager.failed(0, ClosedError())) == [12]
    assert started(manager.shutdown(2)) == [14]
    assert started(manager.restart(6)) == [16]
    assert started(manager.shutdown(90)) == []


@pytest.mark.failure("F22")
@pytest.mark.parametrize(("spacing", "width"), [(5.25, 5), (5.0, 6), (10.0, 3), (29.9, 1), (100.0, 1)])
def test_how_many_dial_ahead_follows_from_the_spacing(spacing: float, width: int) -> None:
    manager = ShardManager(spacing=spacing)
    manager.set_shards(0, 20, 20)
    assert started(manager.initialize()) == list(range(width))


def test_those_that_hold_a_session_wait_for_no_bucket() -> None:
    manager = ShardManager()
    manager.set_shards(0, 200, 200, sessions=range(100))
    first = started(manager.initialize())
    assert first == [*range(MAX_RESUMING), 100, 101, 102, 103, 104]
    assert started(manager.stage_changed(5, ConnectionStage.RESUMING)) == []
    assert started(manager.stage_changed(5, ConnectionStage.CONNECTED)) == [64]
    # Its session was refused: it identifies after all.
    assert started(manager.identified(6)) == [65]


@pytest.mark.failure("F24")
@pytest.mark.parametrize("cause", FOR_GOOD, ids=lambda cause: type(cause).__name__)
def test_a_shard_that_fails_ends_alone(cause: GatewayError) -> None:
    manager = running(4)
    assert manager.failed(2, cause) == [ShardEnded(shard_id=2, cause=cause)]
    assert manager.failed(2, cause) == []
    assert manager.shards_instantiated() == [0, 1, 3]
    assert (manager.has(2), manager.failure(2), manager.refusal) == (False, cause, None)
    assert manager.stage(2) is ConnectionStage.DISCONNECTED
    assert [manager.stage(id) for id in (0, 1, 3)] == [ConnectionStage.CONNECTED] * 3
    # And it can be started again.
    assert manager.restart(2) == [StartShard(shard_id=2, total=4)]
    assert manager.failure(2) is None


@pytest.mark.failure("F24")
def test_those_that_never_come_up_give_their_places_to_the_next() -> None:
    manager = ShardManager()
    manager.set_shards(0, 8, 8)
    assert started(manager.initialize()) == [0, 1, 2, 3, 4]
    for number in range(1, TRIES + 1):
        assert manager.stage_changed(0, ConnectionStage.CONNECTING)
        assert manager.stage_changed(0, ConnectionStage.HANDSHAKE)
        lost = manager.stage_changed(0, ConnectionStage.DISCONNECTED)
        assert started(lost) == ([5] if number == TRIES else [])
    # It goes on by itself, and gives nothing away a second time.
    assert started(manager.stage_changed(0, ConnectionStage.CONNECTING)) == []
    assert started(manager.stage_changed(0, ConnectionStage.DISCONNECTED)) == []
    assert started(manager.identified(0)) == []
    assert started(manager.identified(1)) == [6]
    assert manager.shards_instantiated() == [0, 1, 2, 3, 4, 5, 6]
    # Without an IDENTIFY there is no session to resume.
    manager.stage_changed(2, ConnectionStage.CONNECTING)
    assert started(manager.restart(2)) == [7]
    assert started(manager.stopped(2)) == []
    assert started(manager.identified(3)) == [2]


@pytest.mark.failure("F16")
@pytest.mark.parametrize("cause", OF_THE_APPLICATION, ids=lambda cause: type(cause).__name__)
def test_a_fact_about_the_application_is_told_once_and_ends_the_start(cause: GatewayError) -> None:
    manager = ShardManager()
    manager.set_shards(0, 8, 8)
    assert started(manager.initialize()) == [0, 1, 2, 3, 4]
    assert manager.failed(1, cause) == [
        ApplicationRefused(cause=cause, shards=(5, 6, 7)),
        ShardEnded(shard_id=1, cause=cause),
    ]
    # The gate tells those that wait the same; and Discord may tell another in other words.
    other = type(cause)(getattr(cause, "code", None), "once more")
    for shard_id, again in ((0, cause), (2, cause), (3, other)):
        assert manager.failed(shard_id, again) == []
    assert manager.failed(4, ClosedError()) == [ShardEnded(shard_id=4, cause=ClosedError())]
    assert manager.is_idle
    assert manager.refusal == cause
    assert [manager.failure(id) for id in (1, 5, 6, 7)] == [cause] * 4


@pytest.mark.failure("F16")
def test_what_is_asked_for_after_a_refusal_ends_with_it() -> None:
    cause = InvalidAuthenticationError(4004)
    manager = running(3)
    manager.failed(0, cause)
    # One that runs can be stopped, and does not come again.
    assert manager.restart(1) == [StopShard(shard_id=1, resumable=True)]
    assert manager.stopped(1) == [ShardEnded(shard_id=1, cause=None)]
    assert manager.restart(0) == []
    assert manager.set_shards(0, 3, 3) == []
    assert manager.initialize() == []
    assert manager.shutdown(2) == [StopShard(shard_id=2, resumable=True)]
    assert manager.stopped(2) == [ShardEnded(shard_id=2, cause=None)]
    assert manager.is_idle
    assert (manager.has(0), manager.failure(0)) == (False, cause)


def test_shutdown_all_starts_none_of_those_that_wait() -> None:
    manager = ShardManager()
    manager.set_shards(0, 7, 7)
    manager.initialize()
    manager.identified(0)
    manager.restart(1)
    actions = manager.shutdown_all(resumable=False)
    stops = [action.shard_id for action in actions if isinstance(action, StopShard) and not action.resumable]
    assert stops == list(range(7))  # 1 stops already, but would have kept its session
    assert not started(actions)
    assert manager.shards_instantiated() == list(range(7))
    for shard_id in range(7):
        assert not manager.is_idle
        assert manager.stopped(shard_id) == [ShardEnded(shard_id=shard_id, cause=None)]
    assert manager.is_idle
    assert manager.shutdown_all() == []


def test_a_restart_takes_up_its_session_at_no_cost() -> None:
    manager = ShardManager()
    manager.set_shards(0, 9, 9)
    manager.initialize()
    manager.identified(0)
    assert manager.restart(0) == [StopShard(shard_id=0, resumable=True)]
    assert manager.restart(0) == []
    # Five are on their way in the bucket, and it need not wait for them.
    assert started(manager.stopped(0)) == [0]


@pytest.mark.parametrize("resumable", [True, False])
def test_a_restart_without_a_session_waits_for_its_turn(resumable: bool) -> None:
    manager = ShardManager()
    manager.set_shards(0, 9, 9)
    manager.initialize()
    if not resumable:
        manager.identified(0)  # it has a session, and gives it up
    manager.restart(0, resumable=resumable)
    assert started(manager.stopped(0)) == []
    assert manager.shards_instantiated() == [1, 2, 3, 4, 5]
    for shard_id, next_one in ((1, 6), (2, 7), (3, 8), (4, 0)):
        assert started(manager.identified(shard_id)) == [next_one]


def test_whoever_is_asked_for_while_it_stops_comes_again() -> None:
    manager = running(4)
    assert manager.shutdown(3) == [StopShard(shard_id=3, resumable=True)]
    assert manager.restart(3) == []
    assert manager.stopped(3) == [StartShard(shard_id=3, total=4)]
    manager.identified(3)
    # A smaller range, and the larger one again before the stops are answered.
    assert manager.set_shards(0, 2, 4) == [StopShard(shard_id=id, resumable=True) for id in (2, 3)]
    assert manager.set_shards(0, 4, 4) == []
    assert manager.stopped(2) == [StartShard(shard_id=2, total=4)]
    assert manager.stopped(3) == [StartShard(shard_id=3, total=4)]
    # And the other way round.
    manager.restart(2)
    assert manager.shutdown(2) == []
    assert manager.stopped(2) == [ShardEnded(shard_id=2, cause=None)]


@pytest.mark.parametrize("first", ["shutdown", "restart"])
def test_a_session_that_is_given_up_while_it_stops_is_not_waited_for(first: str) -> None:
    manager = ShardManager()
    manager.set_shards(0, 9, 9)
    manager.initialize()
    manager.identified(0)
    assert manager.shutdown(0) if first == "shutdown" else manager.restart(0)
    assert manager.restart(0, resumable=False) == [StopShard(shard_id=0, resumable=False)]
    assert manager.restart(0) == []  # it is given up for good
    assert started(manager.stopped(0)) == []  # five are on their way in its bucket


@pytest.mark.parametrize("first", ["shutdown", "restart"])
@pytest.mark.parametrize("last", ["shutdown", "shutdown_all"])
def test_a_session_is_ended_though_the_stop_has_begun(first: str, last: str) -> None:
    manager = running(2)
    assert manager.shutdown(1) if first == "shutdown" else manager.restart(1)
    harder = [StopShard(shard_id=1, resumable=False)]
    if last == "shutdown":
        assert manager.shutdown(1, resumable=False) == harder
    else:
        assert manager.shutdown_all(resumable=False) == [StopShard(shard_id=0, resumable=False), *harder]
    assert manager.shutdown(1, resumable=False) == manager.shutdown(1) == []
    assert manager.stopped(1) == [ShardEnded(shard_id=1, cause=None)]


@pytest.mark.parametrize("has_ended", [True, False])
def test_a_restart_starts_what_was_shut_down_with_all(has_ended: bool) -> None:
    manager = running(2)
    manager.shutdown_all()
    if has_ended:
        manager.stopped(0)
        assert started(manager.restart(0)) == [0]
    else:
        assert manager.restart(0) == []
        assert started(manager.stopped(0)) == [0]
    manager.stopped(1)
    assert (manager.has(0), manager.has(1), manager.is_idle) == (True, False, False)
    # And those that come after it are started, too.
    assert started(manager.set_shards(0, 2, 2)) == [1]


def test_a_smaller_range_starts_nobody_who_is_not_in_it() -> None:
    manager = ShardManager()
    manager.set_shards(0, 12, 12)
    assert started(manager.initialize()) == [0, 1, 2, 3, 4]
    actions = manager.set_shards(0, 2, 12)
    assert not started(actions)
    assert [action.shard_id for action in actions if isinstance(action, StopShard)] == [2, 3, 4]
    assert [action.shard_id for action in actions if isinstance(action, ShardEnded)] == [5, 6, 7, 8, 9, 10, 11]


def test_a_range_can_shrink_and_grow_and_move() -> None:
    manager = ShardManager()
    manager.set_shards(0, 2, 4)
    with pytest.raises(LocalProtocolError, match="stop them before"):
        manager.set_shards(0, 2, 8)  # two are planned
    manager = running(8)
    assert manager.set_shards(4, 4, 8) == [StopShard(shard_id=id, resumable=True) for id in range(4)]
    for shard_id in range(4):
        manager.stopped(shard_id)
    assert manager.shards_instantiated() == [4, 5, 6, 7]
    assert started(manager.set_shards(3, 5, 8, sessions={3})) == [3]
    with pytest.raises(LocalProtocolError, match="stop them before you run some of 16"):
        manager.set_shards(0, 16, 16)
    assert manager.total == 8
    for shard_id in range(3, 8):
        manager.shutdown(shard_id)
        manager.stopped(shard_id)
    assert started(manager.set_shards(0, 2, 16)) == [0, 1]
    with pytest.raises(LocalProtocolError):
        manager.stage(7)


@pytest.mark.parametrize(
    ("index", "init", "total"), [(0, 1, 0), (0, 0, 4), (4, 1, 4), (-1, 2, 4), (0, 5, 4), (2, -1, 4), (0, 1, -1)]
)
def test_a_range_that_is_none_is_refused_and_changes_nothing(index: int, init: int, total: int) -> None:
    manager = running(4)
    with pytest.raises(LocalProtocolError, match="there are no shards"):
        manager.set_shards(index, init, total)
    assert manager.shards_instantiated() == [0, 1, 2, 3]


def test_late_reports_change_nothing() -> None:
    manager = ShardManager()
    manager.set_shards(0, 7, 7)
    manager.initialize()
    manager.shutdown(0)
    manager.stopped(0)
    for shard_id in (0, 6):  # one is over, the other was never started
        assert manager.stage_changed(shard_id, ConnectionStage.CONNECTED) == []
        assert manager.stage(shard_id) is ConnectionStage.DISCONNECTED
        assert manager.identified(shard_id) == []
        assert manager.stopped(shard_id) == []
        assert manager.failed(shard_id, ClosedError()) == []
    assert manager.failure(0) is None
    assert started(manager.identified(1)) == [6]


def test_stages_are_told_when_they_move() -> None:
    manager = ShardManager()
    manager.set_shards(0, 1, 1)
    manager.initialize()
    connecting = manager.stage_changed(0, ConnectionStage.CONNECTING)
    assert connecting == [
        ShardStageUpdate(shard_id=0, old=ConnectionStage.DISCONNECTED, new=ConnectionStage.CONNECTING)
    ]
    assert manager.stage_changed(0, ConnectionStage.CONNECTING) == []
    assert manager.stage(0) is ConnectionStage.CONNECTING
