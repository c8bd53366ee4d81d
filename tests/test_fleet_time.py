"""Whole fleets in virtual time: how long a start takes, a week of refusals, and who suffers from whom (F15, F20, F21,
F24). Latency is random, 0 to 0.25 s one way for each message; a server judges by when a message arrives.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import pytest

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    DialTimeoutError,
    GatewayError,
    HeartbeatFailedError,
    InvalidAuthenticationError,
)
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import (
    ApplicationRefused,
    IdentifyBudgetError,
    IdentifyHeld,
    IdentifyQueue,
    Ledger,
    PermitGranted,
    ShardEnded,
)
from gateway_proto.fleet.ledger import DAY
from gateway_proto.fleet.queue import DISCORD_SPACING, MARGIN
from gateway_proto.server import Close, InvalidSession, NoAnswer, Received, ServerAction, Stall

from .fleet_world import EPOCH, SPREAD, Agenda, FleetWorld, LightFleet, LightServer, Program, Wire, start_light

SPACING = DISCORD_SPACING + SPREAD


def bound(waves: int) -> float:
    """Seconds that a start of so many waves may take."""
    return 1.02 * waves * SPACING


# -- starts ----------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F20", "F21")
def test_16384_shards_start_as_fast_as_discord_lets_them() -> None:
    report = start_light(16_384, 128)
    assert report.identifies == 16_384
    assert report.waves == 128
    assert report.refused == 0
    assert report.closest >= DISCORD_SPACING
    assert 127 * SPACING <= report.virtual_s <= bound(128)


@pytest.mark.failure("F20", "F21")
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("shards", "max_concurrency"), [(1, 1), (60, 1), (256, 16), (1000, 1000), (130, 64)])
def test_starts_of_every_size(shards: int, max_concurrency: int, seed: int) -> None:
    report = start_light(shards, max_concurrency, seed=seed)
    waves = -(-shards // max_concurrency)
    assert report.identifies == shards
    assert report.refused == 0
    # Dial, HELLO and READY of the first wave are beside the waves: 6 messages.
    assert (waves - 1) * SPACING <= report.virtual_s <= waves * SPACING + 6 * SPREAD


@pytest.mark.failure("F20")
def test_without_the_margin_the_server_would_refuse() -> None:
    """That the server of these tests judges at all."""
    assert MARGIN == SPREAD
    assert start_light(256, 16, spacing=DISCORD_SPACING).refused > 0
    assert start_light(256, 16, spacing=DISCORD_SPACING, spread=0.0).refused == 0


@pytest.mark.failure("F20", "F21")
@pytest.mark.parametrize("seed", range(4))
def test_real_shards_against_the_real_server_that_refuses_none(seed: int) -> None:
    world = FleetWorld(16, seed=seed)
    program = world.program()
    program.start(range(64), 64)
    world.agenda.run_until(lambda: len(program.connected()) == 64, limit=bound(4))
    assert world.agenda.now >= 3 * SPACING
    assert not world.refused
    assert {id: len(times) for id, times in world.identified.items()} == dict.fromkeys(range(64), 1)
    assert program.queue.ledger.remaining(world.agenda.wall) == world.limit().remaining == 1000 - 64
    # And there they stay.
    world.agenda.run(world.agenda.now + 600.0)
    assert len(program.connected()) == 64
    assert not [member.id for member in program.members.values() if member.reconnects]


@pytest.mark.failure("F20", "F21")
def test_a_fleet_that_loses_its_sessions_queues_again() -> None:
    """Every session is gone at one instant: the re-identifies keep to the buckets like any start."""
    world = FleetWorld(4)
    program = world.program()
    program.start(range(16), 16)
    world.agenda.run_until(lambda: len(program.connected()) == 16, limit=bound(4))
    world.agenda.run(world.agenda.now + 400.0)
    lost_at = world.agenda.now
    for wire in list(world.wires.values()):
        world.inject(wire, InvalidSession(False))
    world.agenda.run(lost_at + SPREAD)
    assert not program.connected()
    # 1 to 5 s until they dial, as op 9 wants it.
    world.agenda.run_until(lambda: len(program.connected()) == 16, limit=lost_at + 5.0 + bound(4))
    assert not world.refused
    assert [len(times) for times in world.identified.values()] == [2] * 16


def test_a_program_that_has_its_sessions_starts_at_once_and_spends_nothing() -> None:
    world = FleetWorld(1)
    first = world.program()
    first.start(range(8), 8)
    world.agenda.run_until(lambda: len(first.connected()) == 8, limit=bound(8))
    sessions = {id: session for id, member in first.members.items() if (session := member.shard.session) is not None}
    first.kill()
    second = world.program(ledger=Ledger([EPOCH] * 1000), sessions=sessions)
    start = world.agenda.now
    second.start(range(8), 8)
    world.agenda.run_until(lambda: len(second.connected()) == 8, limit=start + 6 * SPREAD)
    assert [len(times) for times in world.identified.values()] == [1] * 8


# -- the week --------------------------------------------------------------------------------------------------------

WEEK = 7 * DAY


def most_in_a_day(arrivals: list[float]) -> int:
    """The most within any 24 h."""
    return max(number - bisect_left(arrivals, at - DAY) + 1 for number, at in enumerate(arrivals))


@pytest.mark.failure("F15")
@pytest.mark.parametrize("shards", [1, 4, 16, 25, 100])
def test_a_week_of_op_9_never_spends_the_last_identify(shards: int) -> None:
    """Over restarts, every 2 to 5 hours: what was spent is all that a new program knows.

    Re-identifies end at the reserve of 50. Starts go on from there: two of 25 would be all that is left.
    """
    rng, agenda, server = random.Random(shards), Agenda(), LightServer(1, is_hostile=True)
    ledger, refused, starts = Ledger(), 0, 0
    while agenda.now < WEEK:
        fleet = LightFleet(agenda, server, shards, ledger=Ledger(ledger.spent), rng=rng)
        ledger = fleet.queue.ledger
        stop = agenda.now + rng.uniform(2.0, 5.0) * 3600.0
        if ledger.remaining(agenda.wall) > shards:
            fleet.start()
            starts += 1
        else:
            with pytest.raises(IdentifyBudgetError):
                fleet.start()
            refused += 1
        agenda.run(stop)
        fleet.is_alive = False
        assert fleet.least_remaining >= 1
    [arrivals] = server.arrivals
    assert most_in_a_day(arrivals) <= 999
    # Nor is it by standing still: a shard alone has four tries an hour, and many have all that the reserve leaves.
    assert starts >= 7
    assert len(arrivals) >= (7 * 96 if shards == 1 else 7 * 300)
    assert (refused > 0) == (shards in (25, 100))


@pytest.mark.failure("F15")
def test_a_week_of_op_9_with_real_shards() -> None:
    arrivals: list[float] = []

    def op_9(wire: Wire, action: ServerAction) -> None:
        if isinstance(action, Received) and action.opcode == 2:
            arrivals.append(world.agenda.now)
            world.inject(wire, InvalidSession(False))

    # Few beats: a shard that is held beats for 15 min, and nothing else happens.
    world = FleetWorld(1, settings={"heartbeat_interval": 600.0}, observe_server=op_9)
    for shard_id in range(2):
        world.manners[shard_id] = lambda wire: world.inject(wire, NoAnswer())
    rng, ledger = random.Random(1), Ledger()
    while world.agenda.now < WEEK:
        program = world.program(ledger=Ledger(ledger.spent))
        ledger = program.queue.ledger
        program.start(range(2), 2)
        world.agenda.run(world.agenda.now + rng.uniform(2.0, 5.0) * 3600.0)
        assert ledger.remaining(world.agenda.wall) >= 1
        reasons = {action.reason for action in program.told if isinstance(action, IdentifyHeld)}
        assert reasons == {"it identified 3 times in a row or more without 5 stable minutes"}
        program.kill()
    assert len(arrivals) >= 7 * 150
    assert len(ledger.spent) <= most_in_a_day(arrivals) <= 999


# -- the day, by the server's clock ------------------------------------------------------------------------------------


@pytest.mark.failure("F15")
@pytest.mark.parametrize("seed", range(5))
def test_a_day_is_not_over_before_it_is_at_the_server(seed: int) -> None:
    """Shards that are started the instant the day has enough: those of the day before were slow on their way, these are
    quick."""
    rng, queue, arrivals, now = random.Random(seed), IdentifyQueue(max_concurrency=11, ledger=Ledger(total=12)), [], 0.0
    for _ in range(3):
        queue.reserve(range(11), EPOCH + now)
        for shard_id in range(11):
            [granted] = queue.ask(shard_id, 1, now, EPOCH + now)
            assert isinstance(granted, PermitGranted)
            queue.used(granted.permit_id, now, now, EPOCH + now)
            arrivals.append(now + rng.uniform(0.0, SPREAD))
        now = queue.ledger.free_at(12, EPOCH + now) - EPOCH
    assert most_in_a_day(sorted(arrivals)) == 11


@pytest.mark.failure("F15")
@pytest.mark.parametrize("seed", range(10))
def test_what_is_under_way_when_discord_is_asked_is_not_spent_twice(seed: int) -> None:
    """The bot runs elsewhere as well, so that Discord's count is the lower one; the question and the IDENTIFYs overtake
    each other."""
    rng, agenda, queue = random.Random(seed), Agenda(), IdentifyQueue(max_concurrency=8, ledger=Ledger(total=100))
    left = [20]

    def later(what: Callable[..., object], *args: Any) -> None:
        agenda.later(rng.uniform(0.0, SPREAD), what, *args)

    def identify(shard_id: int) -> None:
        [granted] = queue.ask(shard_id, 1, agenda.now, agenda.wall)
        assert isinstance(granted, PermitGranted)
        queue.used(granted.permit_id, agenda.now, agenda.now, agenda.wall)
        later(arrive)

    def arrive() -> None:
        left[0] -= 1

    def answer() -> None:
        later(hear, SessionStartLimit(total=100, remaining=left[0], reset_after=7200.0, max_concurrency=8))

    def hear(limit: SessionStartLimit) -> None:
        queue.reported(limit, agenda.now, agenda.wall)

    for shard_id in range(8):
        later(identify, shard_id)
    later(later, answer)
    agenda.run(60.0)
    assert left == [12]
    with pytest.raises(IdentifyBudgetError):
        queue.reserve(range(8, 20), agenda.wall)


# -- F24: who suffers from whom ----------------------------------------------------------------------------------------


class Seen(NamedTuple):
    """What a shard's user sees of it."""

    beats: list[float]
    events: list[tuple[float, str]]
    reconnects: list[tuple[float, GatewayError]]


def live(
    bad: Mapping[int, Callable[[FleetWorld, Wire], object]], *, from_start: bool, max_concurrency: int
) -> tuple[FleetWorld, Program, dict[int, Seen]]:
    """Eight shards for ten minutes, an event for each in every second; the bad ones suffer at every connection."""
    world = FleetWorld(max_concurrency, settings={"heartbeat_interval": 10.0})
    program = world.program()

    def event(number: int) -> None:
        world.dispatch(world.sessions, "MESSAGE_CREATE", b'{"number":%d}' % number)

    def suffer() -> None:
        for shard_id, manner in bad.items():
            world.manners[shard_id] = partial(manner, world)
            member = program.members.get(shard_id)
            if member is not None and member.wire is not None:
                manner(world, member.wire)

    world.agenda.at(0.0 if from_start else 100.0, suffer)
    for number in range(600):
        world.agenda.at(100.0 + number, event, number)
    program.start(range(8), 8)
    world.agenda.run(720.0)
    return (
        world,
        program,
        {id: Seen(member.beats, member.events, member.reconnects) for id, member in program.members.items()},
    )


def stall(world: FleetWorld, wire: Wire) -> None:
    world.inject(wire, Stall())


def close_with_4000(world: FleetWorld, wire: Wire) -> None:
    """A second or two after it was accepted: with luck it has resumed by then."""
    world.agenda.later(1.5, world.inject, wire, Close(4000))


def handler_never_returns(world: FleetWorld, wire: Wire) -> None:
    wire.member.stop_reading()


@pytest.mark.failure("F24")
def test_a_shard_in_trouble_moves_no_beat_and_no_event_of_another() -> None:
    _, program, good = live({}, from_start=False, max_concurrency=1)
    assert all(len(seen.beats) >= 60 for seen in good.values())
    assert all(len(seen.events) == 1 + 600 for seen in good.values())
    bad = {2: stall, 3: close_with_4000, 5: handler_never_returns}
    world, program, seen = live(bad, from_start=False, max_concurrency=1)
    for shard_id in set(range(8)) - bad.keys():
        assert seen[shard_id] == good[shard_id], f"shard {shard_id}"
    # The bad ones are: each as it should be, and none of them has cost an IDENTIFY.
    assert [len(times) for times in world.identified.values()] == [1] * 8
    causes = {id: [cause for _, cause in seen[id].reconnects] for id in bad}
    assert causes[2][:3] == [
        HeartbeatFailedError("no sign of life from the gateway: a zombie connection"),
        DialTimeoutError(10.0),
        DialTimeoutError(10.0),
    ]
    assert causes[3] == [ClosedError(4000)] * len(causes[3])
    assert len(causes[3]) >= 20
    assert not causes[5]
    assert len(seen[5].events) < 110
    assert len(seen[5].beats) >= 50
    assert not program.told
    assert program.manager.shards_instantiated() == list(range(8))


@pytest.mark.failure("F24")
def test_a_shard_that_never_comes_up_moves_nobody_in_another_bucket() -> None:
    _, _, good = live({}, from_start=False, max_concurrency=8)
    bad = {2: stall, 3: lambda world, wire: world.inject(wire, Close(4000))}
    world, program, seen = live(bad, from_start=True, max_concurrency=8)
    for shard_id in set(range(8)) - bad.keys():
        assert seen[shard_id] == good[shard_id], f"shard {shard_id}"
    assert not world.identified.keys() & bad.keys()
    assert [program.manager.stage(id) is ConnectionStage.CONNECTED for id in range(8)] == [
        id not in bad for id in range(8)
    ]


@pytest.mark.failure("F24")
def test_a_shard_that_never_comes_up_holds_up_nobody_in_its_bucket() -> None:
    """The others may come earlier, since its turn is theirs; never later."""
    _, _, good = live({}, from_start=False, max_concurrency=1)
    world, _, seen = live({0: stall, 3: stall}, from_start=True, max_concurrency=1)
    for shard_id in (1, 2, 4, 5, 6, 7):
        assert seen[shard_id].events[0][1] == "READY"
        assert seen[shard_id].events[0][0] <= good[shard_id].events[0][0]
        assert not seen[shard_id].reconnects
    assert not world.identified.keys() & {0, 3}


@pytest.mark.failure("F24")
def test_more_shards_that_never_come_up_than_may_dial_at_a_time_stop_nobody() -> None:
    bad = dict.fromkeys(range(7), stall)
    _, program, seen = live(bad, from_start=True, max_concurrency=1)
    # Five tries of 10 s each, and the backoff between.
    assert 50.0 < seen[7].events[0][0] < 100.0
    assert program.manager.shards_instantiated() == list(range(8))


@pytest.mark.failure("F16", "F24")
def test_a_wrong_token_is_told_once_and_costs_no_further_identify() -> None:
    def refuse(wire: Wire, action: ServerAction) -> None:
        if isinstance(action, Received) and action.opcode == 2:
            identifies.append(wire.member.id)
            world.inject(wire, Close(4004, b"Authentication failed."))

    identifies: list[int] = []
    world = FleetWorld(2, observe_server=refuse)
    for shard_id in range(20):
        world.manners[shard_id] = lambda wire: world.inject(wire, NoAnswer())
    program = world.program()
    program.start(range(20), 20)
    world.agenda.run(60.0)
    cause = InvalidAuthenticationError(4004, "Authentication failed.")
    # Two buckets: two are on their way when the first is told, and ten more have dialled.
    assert sorted(shard_id % 2 for shard_id in identifies) == [0, 1]
    assert [action for action in program.told if isinstance(action, ApplicationRefused)] == [
        ApplicationRefused(cause=cause, shards=tuple(range(12, 20)))
    ]
    assert len([action for action in program.told if isinstance(action, ShardEnded)]) == 1
    assert program.manager.is_idle
    assert {program.manager.failure(id) for id in range(20)} == {cause}
    assert all(member.shard.stage is ConnectionStage.DISCONNECTED for member in program.members.values())
    assert not world.wires
