"""A runner's other sides: the identify gate, a synchronous sink, observers, commands, and how it ends by itself."""

import gc
import itertools

import anyio
import pytest

from gateway_proto import (
    Activity,
    ActivityType,
    CommandEnded,
    CommandOutcome,
    ConnectError,
    ConnectionStage,
    DisallowedIntentsError,
    Dispatch,
    GatewayError,
    HeartbeatSent,
    IdentifyPermit,
    IdentifyWanted,
    InvalidAuthenticationError,
    LocalProtocolError,
    OnlineStatus,
    Opcode,
    RawCommand,
    RequestSoundboardSounds,
    Secret,
    ShardAction,
    StageChanged,
)
from gateway_proto import Reconnect as Reconnected
from gateway_proto.connection import Connection
from gateway_proto.fleet import IdentifyQueue
from gateway_proto.fleet.queue import DISCORD_SPACING, MARGIN
from gateway_proto.server import (
    Close,
    ConnectionClosed,
    Identified,
    OnConnection,
    Planned,
    Received,
    Refuse,
    ServerConnection,
    Stall,
)
from gateway_transports import StreamError
from gateway_transports.anyio import IdentifyGate, QueueGate, ShardRunner
from gateway_transports.driver import Link
from gateway_transports.memory import MemoryStream, VirtualClock

from .transport_helpers import World, number, take, world

pytestmark = pytest.mark.anyio

SPACING = DISCORD_SPACING + MARGIN


def received(w: World, opcode: Opcode) -> list[bytes]:
    return [action.raw for action in w.of(Received) if action.opcode == opcode]


# -- ends ------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F16")
async def test_a_wrong_token_comes_out_of_the_iterator_as_a_readable_error() -> None:
    async with world() as w, w.open_shard(config={"token": Secret("wrong")}) as runner:
        with pytest.raises(InvalidAuthenticationError, match="the token is not valid"):
            await anext(runner)
        with pytest.raises(InvalidAuthenticationError):
            await runner.wait()
        assert runner.snapshot().is_shutdown


async def test_an_end_that_nobody_heard_comes_out_of_the_block() -> None:
    async with world() as w:
        with pytest.raises(InvalidAuthenticationError):
            async with w.open_shard(config={"token": Secret("wrong")}):
                await w.clock.sleep(60.0)


async def test_events_before_a_fatal_close_are_still_delivered() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        w.send(5)
        await w.until(lambda: runner.queued_events == 5)
        w.inject(Close(code=4014))
        await w.until(lambda: runner.snapshot().is_shutdown)
        assert await take(runner, 5) == [1, 2, 3, 4, 5]
        with pytest.raises(DisallowedIntentsError):
            await anext(runner)


# -- dials -----------------------------------------------------------------------------------------------------


class FailingDialer:
    """Fails in every way that a transport has, then hands over."""

    def __init__(self, w: World) -> None:
        self.world = w
        self.errors = [ConnectError("nobody is there"), StreamError("it broke"), OSError("an old one"), TimeoutError()]

    async def dial(self, host: str, port: int, *, tls: bool) -> MemoryStream:
        await anyio.lowlevel.checkpoint()
        if self.errors:
            raise self.errors.pop(0)
        return await self.world.network.dial(host, port, tls=tls)


async def test_a_failed_dial_is_a_reconnect_with_its_cause() -> None:
    async with world() as w, w.open_shard(dialer=FailingDialer(w)) as runner:
        await anext(runner)
        assert [str(lost.cause) for lost in w.of(Reconnected)] == [
            "nobody is there",
            "it broke",
            "an old one",
            "TimeoutError",
        ]


class LateDialer:
    """Connects though it was cancelled long ago."""

    def __init__(self, w: World) -> None:
        self.world = w
        self.dials = 0

    async def dial(self, host: str, port: int, *, tls: bool) -> MemoryStream:
        self.dials += 1
        made = []
        with anyio.CancelScope(shield=True):
            if self.dials == 1:
                await self.world.clock.sleep(60.0)
            made.append(await self.world.network.dial(host, port, tls=tls))
        return made[0]


@pytest.mark.failure("F14")
async def test_a_dial_that_succeeds_too_late_is_closed_and_not_used() -> None:
    async with world() as w, w.open_shard(dialer=LateDialer(w)) as runner:
        await anext(runner)
        assert runner.snapshot().generation == 2
        await w.clock.sleep(100.0)
        assert len(w.network.connections) == 1
        assert len(w.of(Identified)) == 1


class BuggyDialer:
    async def dial(self, host: str, port: int, *, tls: bool) -> MemoryStream:
        raise ZeroDivisionError


async def test_a_bug_in_a_dialer_is_not_taken_for_an_outage() -> None:
    async with world() as w:
        with pytest.raises(ZeroDivisionError):
            async with w.open_shard(dialer=BuggyDialer()) as runner:
                await anext(runner)


# -- the gate --------------------------------------------------------------------------------------------------


@pytest.mark.failure("F20")
async def test_identifies_keep_their_distance() -> None:
    async with world() as w, w.open_shard() as runner:
        used: list[float] = []
        for _ in range(3):
            await anext(runner)
            used.append(w.clock.now())
            runner.reset()
        assert used[0] < 1.0
        assert all(later - earlier >= 5.0 for earlier, later in itertools.pairwise(used))
        assert len(w.of(Identified)) == 3


@pytest.mark.failure("F20")
async def test_shards_of_one_bucket_take_turns_and_buckets_do_not_wait_for_each_other() -> None:
    async with world(max_concurrency=2, shards=4) as w:
        gate = QueueGate(IdentifyQueue(max_concurrency=2), w.clock)
        at: dict[int, float] = {}

        async def run(index: int) -> None:
            async with w.open_shard(identify_gate=gate, config={"shard": (index, 4)}) as runner:
                await anext(runner)
                at[index] = w.clock.now()

        async with anyio.create_task_group() as group:
            for index in range(4):
                group.start_soon(run, index)
        for bucket in (0, 1):
            first, second = sorted(at[index] for index in at if index % 2 == bucket)
            assert first < 1.0
            assert SPACING - 0.2 <= second - first < SPACING + 1.0
        assert not w.of(Reconnected)


async def test_a_permit_that_is_cancelled_or_handed_back_frees_its_bucket() -> None:
    clock = VirtualClock()
    gate = QueueGate(IdentifyQueue(), clock)
    wanted = IdentifyWanted(generation=1, shard=None)
    permits: list[IdentifyPermit] = []

    async def ask() -> None:
        permits.append(await gate.ask(wanted))

    async def ask_and_be_cancelled() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()

    await ask()
    await ask_and_be_cancelled()  # while another has the turn
    gate.used(permits[0], clock.now())
    gate.used(permits[0], clock.now())  # of no effect the second time
    await ask_and_be_cancelled()  # while its turn waits for the time
    assert len(permits) == 1
    clock.advance(SPACING)
    await ask()
    gate.returned(permits[1])
    gate.returned(permits[1])
    await ask()
    assert [permit.id for permit in permits] == [1, 2, 3]


class SlowGate:
    """Gives a permit only when the test says so, and remembers how each ended."""

    def __init__(self) -> None:
        self.asked = 0
        self.abandoned = 0
        self.ended: list[str] = []
        self.go = anyio.Event()

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        self.asked += 1
        try:
            await self.go.wait()
        except BaseException:
            self.abandoned += 1
            raise
        return wanted.permit(self.asked)

    def used(self, permit: IdentifyPermit, at: float) -> None:
        self.ended.append("used")

    def returned(self, permit: IdentifyPermit) -> None:
        self.ended.append("returned")

    def closed(self, cause: GatewayError) -> None:
        self.ended.append("closed")


@pytest.mark.failure("F20", "F22")
async def test_a_permit_is_waited_for_without_limit_and_dies_with_its_connection() -> None:
    gate = SlowGate()
    async with world() as w, w.open_shard(identify_gate=gate) as runner:
        await w.until(lambda: gate.asked == 1)
        await w.clock.sleep(600.0)
        assert runner.stage is ConnectionStage.HANDSHAKE
        assert len(received(w, Opcode.HEARTBEAT)) >= 14
        runner.reconnect()
        await w.until(lambda: gate.asked == 2)
        assert gate.abandoned == 1
        gate.go.set()
        await anext(runner)
        assert gate.ended == ["used"]


@pytest.mark.failure("F20")
async def test_a_permit_that_cannot_be_used_is_handed_back() -> None:
    gate = SlowGate()
    async with world() as w:
        async with w.open_shard(identify_gate=gate):
            await w.until(lambda: gate.asked)
            w.network.window = 1
            w.gateway.inject(1, Stall())
            await w.until(lambda: w.of(HeartbeatSent))  # its write does not end
            gate.go.set()
            await w.clock.sleep(1.0)
        assert gate.ended == ["returned"]
        assert not received(w, Opcode.IDENTIFY)


class ClosedGate(SlowGate):
    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        raise InvalidAuthenticationError(4004)


@pytest.mark.failure("F16")
async def test_a_gate_that_is_closed_ends_the_shard_without_an_identify() -> None:
    gate: IdentifyGate = ClosedGate()
    async with world() as w, w.open_shard(identify_gate=gate) as runner:
        with pytest.raises(InvalidAuthenticationError):
            await anext(runner)
    assert not received(w, Opcode.IDENTIFY)


# -- sinks and observers ---------------------------------------------------------------------------------------


async def test_a_synchronous_sink_takes_the_place_of_the_queue() -> None:
    events: list[Dispatch] = []
    async with world(chunk=700) as w, w.open_shard(sink=events.append) as runner:
        await w.until(lambda: events)
        w.send(100)
        await w.until(lambda: len(events) == 101)
        assert [number(event) for event in events[1:]] == list(range(1, 101))
        assert runner.snapshot().delivered == 101
        assert runner.queued_events == 0
        await runner.close()
        assert [event async for event in runner] == []


@pytest.mark.failure("F32")
async def test_a_sink_that_fails_ends_the_shard_before_the_event_it_failed_at() -> None:
    taken: list[int] = []

    def sink(event: Dispatch) -> None:
        if event.name == "NUMBERED":
            if number(event) == 7 and len(taken) == 6:
                raise ZeroDivisionError
            taken.append(number(event))

    async def run() -> None:
        async with w.open_shard(sink=sink) as runner:
            runners.append(runner)
            await w.until(lambda: runner.snapshot().delivered)
            w.send(20)
            await runner.wait()

    runners: list[ShardRunner] = []
    async with world() as w:
        with pytest.raises(ZeroDivisionError):
            await run()
        assert taken == [1, 2, 3, 4, 5, 6]
        assert [closed.code for closed in w.of(ConnectionClosed)] == [4000]
        taken.append(0)  # the repaired sink
        async with w.open_shard(sink=sink, session=runners[0].session):
            await w.until(lambda: taken[-1] == 20)
        assert taken == [1, 2, 3, 4, 5, 6, 0, *range(7, 21)]


async def test_a_shard_with_a_sink_that_ends_cancels_its_block() -> None:
    async with world() as w:
        with pytest.raises(InvalidAuthenticationError):
            async with w.open_shard(sink=lambda event: None, config={"token": Secret("wrong")}):
                await anyio.sleep_forever()


async def test_an_observer_sees_every_action_in_order() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        w.send(3)
        await take(runner, 3)
    kinds = [type(action).__name__ for action in w.actions]
    assert kinds[:3] == ["StageChanged", "Connect", "StageChanged"]
    assert kinds.count("Dispatch") == 4
    stages = [action.new for action in w.of(StageChanged)]
    assert stages[-2:] == [ConnectionStage.CONNECTED, ConnectionStage.DISCONNECTED]


async def test_an_observer_that_fails_ends_the_shard_resumably() -> None:
    def observe(action: ShardAction) -> None:
        if isinstance(action, Dispatch) and action.name == "NUMBERED":
            raise ZeroDivisionError

    async def run() -> None:
        async with w.open_shard(on_action=observe) as runner:
            await anext(runner)
            w.send(1)
            await anext(runner)

    async with world() as w:
        with pytest.raises(ZeroDivisionError):
            await run()
        assert [closed.code for closed in w.of(ConnectionClosed)] == [4000]


async def test_a_sink_may_speak_while_it_listens() -> None:
    async with world() as w:
        runners: list[ShardRunner] = []

        def sink(event: Dispatch) -> None:
            if event.name in ("READY", "NUMBERED", "RESUMED"):
                runners[0].send(RequestSoundboardSounds(guild_ids=(event.sequence,)))
            if event.name == "NUMBERED":
                runners[0].reconnect()

        async with w.open_shard(sink=sink) as runner:
            runners.append(runner)
            await w.until(lambda: len(received(w, Opcode.REQUEST_SOUNDBOARD_SOUNDS)) == 1)
            w.send(1)
            # What was sent in one breath with the reconnect waits for the session, like any other command.
            await w.until(lambda: len(received(w, Opcode.REQUEST_SOUNDBOARD_SOUNDS)) == 3)
            assert runner.snapshot().resumes_won == 1
            assert runner.stage is ConnectionStage.CONNECTED


# -- commands --------------------------------------------------------------------------------------------------


async def test_every_command_reaches_the_server() -> None:
    async with world(guild_ids=(1, 2)) as w, w.open_shard() as runner:
        await anext(runner)
        runner.chunk_guilds([1, 2])
        runner.send(RawCommand(text=b'{"op":99,"d":1}'))
        runner.set_activity(Activity(name="chess", type=ActivityType.PLAYING))
        runner.set_status(OnlineStatus.IDLE)
        runner.set_presence(runner.snapshot().current_presence)
        runner.heartbeat()
        await w.until(lambda: len(received(w, Opcode.REQUEST_GUILD_MEMBERS)) == 2)
        await w.until(lambda: received(w, Opcode.HEARTBEAT) and received(w, Opcode.PRESENCE_UPDATE))
        assert b"chess" in received(w, Opcode.PRESENCE_UPDATE)[-1]
        assert CommandOutcome.WRITTEN in [action.outcome for action in w.of(CommandEnded)]
        assert runner.latency is None or runner.latency >= 0
        with pytest.raises(LocalProtocolError):
            runner.send(RawCommand(text=b'{"op":2,"d":{}}'))


def alive() -> dict[str, int]:
    """How many things there are of those that are made anew for each connection."""
    gc.collect()
    things = gc.get_objects()
    kinds = (Connection, ServerConnection, MemoryStream, Link)
    return {kind.__name__: sum(isinstance(thing, kind) for thing in things) for kind in kinds}


@pytest.mark.failure("F34")
async def test_reconnects_leave_nothing_behind() -> None:
    async with world(session_lifetime=1e9) as w, w.open_shard(on_action=None) as runner:
        await anext(runner)
        counts = []
        for turn in range(120):
            runner.reconnect()
            await anext(runner)
            if turn in (20, 119):
                await w.clock.sleep(3.0)  # the grace of the last farewell
                counts.append(alive())
        assert counts[0] == counts[1]
        assert runner.snapshot().reconnects == 120


async def test_resume_and_reconnect_keep_the_session_and_reset_does_not() -> None:
    async with world() as w, w.open_shard() as runner:
        await anext(runner)
        for command in (runner.resume, runner.reconnect):
            before = runner.snapshot().resumes_won
            command()
            await w.until(lambda: runner.snapshot().resumes_won == before + 1)  # noqa: B023  # used within this turn
        assert len(w.of(Identified)) == 1
        runner.reset()
        await w.until(lambda: len(w.of(Identified)) == 2)


async def test_a_refused_upgrade_is_tried_again() -> None:
    plan = (Planned(when=OnConnection(number=1), fault=Refuse(status=503, retry_after=30)),)
    async with world(plan=plan) as w, w.open_shard() as runner:
        await anext(runner)
        assert w.clock.now() >= 30.0
        [lost] = w.of(Reconnected)
        assert "503" in str(lost.cause)


# -- after the end ---------------------------------------------------------------------------------------------


@pytest.mark.failure("F18", "F26")
async def test_a_command_after_the_end_revives_nothing() -> None:
    """Nobody would beat for that connection, nor close it: the block could never be left."""
    async with world() as w:
        async with w.open_shard() as runner:
            runner.acknowledge(await anext(runner))
            await runner.close()
            runner.reconnect()
            runner.resume()
            assert runner.stage is ConnectionStage.DISCONNECTED
            await w.clock.sleep(30.0)
            assert runner.stage is ConnectionStage.DISCONNECTED
        assert runner.session is not None


@pytest.mark.failure("F18", "F26")
async def test_an_observer_that_hurries_reconnects_keeps_no_block_open() -> None:
    runners: list[ShardRunner] = []

    def hurry(action: ShardAction) -> None:
        if isinstance(action, StageChanged) and action.new is ConnectionStage.DISCONNECTED and runners:
            runners[0].reconnect()

    async with world() as w:
        async with w.open_shard(on_action=hurry) as runner:
            await anext(runner)
            runners.append(runner)
        assert runner.stage is ConnectionStage.DISCONNECTED
