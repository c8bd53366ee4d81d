"""An hour of virtual time at Discord's heartbeat interval: a thousand shards that miss no beat, and a fleet of which
some are sent away by op 7 without moving a beat of the others (F15, F21, F24). Real shards, the real server.
"""

from collections import Counter
from itertools import pairwise
from typing import Final

import pytest

from gateway_proto import (
    ConnectionStage,
    Dispatch,
    HeartbeatSent,
    IdentifyWanted,
    PermitUsed,
    ReconnectRequestedError,
    Session,
    ShardAction,
    StageChanged,
)
from gateway_proto.fleet import Ledger, ManagerAction, StartShard
from gateway_proto.opcodes import Opcode
from gateway_proto.server import (
    AskReconnect,
    ConnectionClosed,
    Identified,
    Received,
    ServerAction,
    SessionRefused,
    SessionResumed,
)

from .fleet_world import SPREAD, FleetWorld, Member, Program, Wire

INTERVAL: Final = 41.25
"""Seconds between two beats: what Discord's HELLO says."""
READY_BY: Final = 6 * SPREAD
"""SYN and its answer, the upgrade and its answer with HELLO behind it, IDENTIFY and READY."""
END: Final = READY_BY + 3600.0
ROUNDING: Final = 1e-6
"""Seconds; the sum of 87 intervals is not exact."""
ACK: Final = b'"op":11'
"""In the bytes of a server that compresses nothing."""


class Watched(Member):
    """A member whose beats are kept by both sides' books, and all else that its shard told."""

    def __init__(self, program: Program, shard_id: int, total: int, session: Session | None) -> None:
        super().__init__(program, shard_id, total, session)
        self.hellos: list[float] = []
        self.arrivals: list[float] = []
        """When the server received a beat."""
        self.acks: list[float] = []
        """When the ACK of one came back."""
        self.told: list[ShardAction] = []
        """Everything but beats."""

    def data(self, wire: Wire, data: bytes) -> None:
        if not wire.client_gone:
            self.acks += [self.world.agenda.now] * data.count(ACK)
        super().data(wire, data)

    def _act(self, actions: list[ShardAction]) -> None:
        for action in actions:
            if type(action) is HeartbeatSent:
                continue
            self.told.append(action)
            match action:
                case IdentifyWanted() | StageChanged(new=ConnectionStage.RESUMING):
                    self.hellos.append(self.world.agenda.now)
        super()._act(actions)

    def lives(self) -> list[list[float]]:
        """Each connection from its HELLO: that instant, its beats, and when it ended."""
        ends = [*(at for at, _ in self.reconnects), END]
        return [
            [hello, *(at for at in self.beats if hello <= at <= end), end]
            for hello, end in zip(self.hellos, ends, strict=True)
        ]


class WatchedProgram(Program):
    """All of its members are watched."""

    def manage(self, actions: list[ManagerAction]) -> None:
        for action in actions:
            if isinstance(action, StartShard):
                member = Watched(self, action.shard_id, action.total, self.sessions.get(action.shard_id))
                self.members[action.shard_id] = member
                member.call(member.shard.connect)
            else:
                super().manage([action])

    def watched(self) -> list[Watched]:
        return [member for member in self.members.values() if isinstance(member, Watched)]


def live(shards: int, struck: frozenset[int] = frozenset()) -> tuple[FleetWorld, WatchedProgram, Counter[object]]:
    """An hour of so many shards; the struck ones are asked to reconnect in its middle, all at one instant.

    The counter says what the server told: how often, by the kind of action or the opcode received.
    """
    told: Counter[object] = Counter()

    def observe(wire: Wire, action: ServerAction) -> None:
        told[Opcode(action.opcode) if isinstance(action, Received) else type(action)] += 1
        if isinstance(action, Received) and action.opcode == Opcode.HEARTBEAT:
            assert isinstance(wire.member, Watched)
            wire.member.arrivals.append(world.agenda.now)

    def strike() -> None:
        for shard_id in struck:
            wire = program.members[shard_id].wire
            assert wire is not None
            world.inject(wire, AskReconnect())

    # The day's last IDENTIFY is never spent, so a bot of 1,000 shards has more of them.
    settings = {"heartbeat_interval": INTERVAL, "session_limit": 2000}
    world = FleetWorld(shards, settings=settings, observe_server=observe)
    program = WatchedProgram(world, Ledger(total=2000), {})
    world.agenda.at(END / 2, strike)
    program.start(range(shards), shards)
    world.agenda.run(READY_BY)
    assert len(program.connected()) == shards
    # A little longer, for the ACKs of the last beats.
    world.agenda.run(END + 2 * SPREAD)
    return world, program, told


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def beats_in_time(member: Watched) -> bool:
    """Each beat comes within an interval of HELLO or of the beat before, and none is missing at the end."""
    return all(max(gaps(life)) <= INTERVAL + ROUNDING for life in member.lives())


@pytest.mark.failure("F15", "F21", "F24")
def test_a_thousand_shards_miss_no_beat_in_an_hour() -> None:
    shards = 1000
    world, program, told = live(shards)
    members = program.watched()
    assert len(members) == len(program.connected()) == shards
    for member in members:
        [[hello, *sent, end]] = member.lives()
        arrivals, acks = member.arrivals[: len(sent)], member.acks[: len(sent)]
        assert beats_in_time(member), member.id
        assert gaps(sent) == pytest.approx([INTERVAL] * (len(sent) - 1), abs=ROUNDING)
        assert len(sent) >= 87
        # Each came to the server in time, and its ACK came back before the next was due.
        assert max(gaps([hello, *arrivals, end])) <= INTERVAL + SPREAD + ROUNDING
        for instants in zip(sent, arrivals, acks, strict=True):
            assert all(0.0 <= gap <= SPREAD for gap in gaps(list(instants)))
        # Nothing else has happened: READY, and no notice of an ACK that is missing, no end of a connection.
        assert [(action.name, action.sequence) for action in member.told if isinstance(action, Dispatch)] == [
            ("READY", 1)
        ]
        assert Counter(type(action).__name__ for action in member.told) == {
            "Connect": 1, "IdentifyWanted": 1, "PermitUsed": 1, "Dispatch": 1, "GuildsSettled": 1, "StageChanged": 4,
        }  # fmt: skip
        snapshot = member.shard.snapshot()
        assert (snapshot.stage, snapshot.generation, snapshot.identifies_24h) == (ConnectionStage.CONNECTED, 1, 1)
    # By the server's books: no socket but these has ever been, and all are served.
    assert not world.refused
    assert (told[Opcode.IDENTIFY], told[Identified], told[Opcode.RESUME]) == (shards, shards, 0)
    assert told[ConnectionClosed] == told[SessionResumed] == told[SessionRefused] == 0
    assert told[Opcode.HEARTBEAT] == sum(len(member.arrivals) for member in members) >= 87 * shards
    assert world.server.connections.keys() == world.wires.keys() == set(range(1, shards + 1))
    # An IDENTIFY each, by the day's books of either side.
    assert len(program.queue.ledger.spent) == shards
    assert program.queue.ledger.remaining(world.agenda.wall) == world.limit().remaining == 2000 - shards
    assert not program.told


@pytest.mark.failure("F05", "F24")
def test_shards_that_are_sent_away_by_op_7_move_no_beat_of_the_others() -> None:
    shards, struck = 40, frozenset(range(0, 40, 4))
    _, quiet, _ = live(shards)
    world, program, told = live(shards, struck)
    for before, now in zip(quiet.watched(), program.watched(), strict=True):
        assert beats_in_time(now), now.id
        if now.id in struck:
            [(at, cause)] = now.reconnects
            assert cause == ReconnectRequestedError()
            assert END / 2 <= at <= END / 2 + SPREAD
            # Dial, upgrade and HELLO, nothing more.
            assert now.hellos[1] - at <= 4 * SPREAD
            assert [name for _, name in now.events] == ["READY", "RESUMED"]
            assert now.lives()[0] == [*before.lives()[0][: len(now.lives()[0]) - 1], at]
        else:
            assert (now.hellos, now.beats) == (before.hellos, before.beats), now.id
            assert (now.arrivals, now.acks) == (before.arrivals, before.acks), now.id
            assert now.told == before.told
    assert (told[SessionResumed], told[ConnectionClosed]) == (len(struck), len(struck))
    assert (told[Identified], len(program.queue.ledger.spent)) == (shards, shards)
    assert not world.refused
    assert sum(isinstance(action, PermitUsed) for member in program.watched() for action in member.told) == shards
