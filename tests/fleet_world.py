"""A fleet in virtual time: `ShardManager`, `IdentifyQueue` and shards, driven by events on one heap.

`Shop` is a queue alone. Then there are two worlds. `LightFleet` has shards that are nothing but their messages' times,
for starts of many thousands, and a server that judges each IDENTIFY by its own clock. `FleetWorld` has real `Shard`s
against the real `Server`, byte for byte, each message with a latency of its own. Chance is drawn per shard: what
happens to one moves no other's times.
"""

import heapq
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Any, Final, NamedTuple

from gateway_proto import (
    Connect,
    ConnectionStage,
    Disconnect,
    Dispatch,
    Fatal,
    GatewayError,
    HeartbeatSent,
    IdentifyPermit,
    IdentifyWanted,
    Intents,
    PermitReturned,
    PermitUsed,
    Reconnect,
    Secret,
    Session,
    Shard,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.conversation import INVALID_SESSION_WAIT, REFUSED_IDENTIFY_WAIT
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import (
    ApplicationRefused,
    IdentifyHeld,
    IdentifyQueue,
    Ledger,
    ManagerAction,
    PermitGranted,
    PermitRefused,
    QueueAction,
    ShardEnded,
    ShardManager,
    StartShard,
    StopShard,
)
from gateway_proto.fleet.queue import DISCORD_SPACING, MARGIN
from gateway_proto.server import (
    CloseSocket,
    Identified,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    SessionRefused,
    Wake,
)

EPOCH: Final = 1_700_000_000.0
"""Wall time at the virtual 0."""
SPREAD: Final = 0.25
"""Seconds: a message takes from nothing to this, one way."""
URL: Final = "ws://127.0.0.1:8080"


class Agenda:
    """What happens when. Of two things at one instant the one that was planned first comes first."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._count = 0

    @property
    def wall(self) -> float:
        return EPOCH + self.now

    def at(self, when: float, what: Callable[..., object], *args: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, what, args))

    def later(self, seconds: float, what: Callable[..., object], *args: Any) -> None:
        self.at(self.now + seconds, what, *args)

    def run(self, until: float) -> None:
        """Let everything happen up to then, each at its instant."""
        heap = self._heap
        while heap and heap[0][0] <= until:
            when, _, what, args = heapq.heappop(heap)
            self.now = max(self.now, when)
            what(*args)
        self.now = until

    def run_until(self, is_done: Callable[[], bool], limit: float) -> None:
        """The same, until something holds. Raises AssertionError if it does not by `limit`."""
        while not is_done():
            assert self._heap, "nothing is planned any more"
            assert self._heap[0][0] <= limit, f"not by {limit:g} s"
            self.run(self._heap[0][0])


class Alarm:
    """The timer of one machine: `ring` is called at whatever instant was set last."""

    def __init__(self, agenda: Agenda, ring: Callable[[], object]) -> None:
        self._agenda = agenda
        self._ring = ring
        self._due: float | None = None

    def set(self, due: float | None) -> None:
        if due != self._due:
            self._due = due
            if due is not None:
                self._agenda.at(due, self._fire, due)

    def _fire(self, due: float) -> None:
        if due == self._due:
            self._due = None
            self._ring()


# -- a queue alone ---------------------------------------------------------------------------------------------------


class Shop:
    """A queue, and the time."""

    def __init__(self, *, max_concurrency: int = 1, ledger: Ledger | None = None) -> None:
        self.queue = IdentifyQueue(max_concurrency=max_concurrency, ledger=ledger)
        self.now = 0.0
        self.generation = 0

    @property
    def wall(self) -> float:
        return EPOCH + self.now

    def ask(self, shard_id: int, generation: int | None = None) -> list[QueueAction]:
        self.generation += 1
        return self.queue.ask(shard_id, self.generation if generation is None else generation, self.now, self.wall)

    def use(self, permit_id: int) -> list[QueueAction]:
        return self.queue.used(permit_id, self.now, self.now, self.wall)

    def give_back(self, permit_id: int) -> list[QueueAction]:
        return self.queue.returned(permit_id, self.now, self.wall)

    def tick(self, now: float) -> list[QueueAction]:
        self.now = now
        return self.queue.handle_timeout(now, self.wall)

    def until_served(self) -> PermitGranted:
        """Go from one `next_timeout` to the next until there is a permit."""
        while True:
            due = self.queue.next_timeout()
            assert due is not None, "nobody will be served"
            for action in self.tick(due):
                if isinstance(action, PermitGranted):
                    return action

    def identify(self, shard_id: int) -> float:
        """Ask, wait for the permit, use it; returns when."""
        actions = self.ask(shard_id)
        granted = [action for action in actions if isinstance(action, PermitGranted)]
        self.use((granted[0] if granted else self.until_served()).permit_id)
        return self.now


def permits(actions: list[QueueAction]) -> list[tuple[int, int]]:
    """(shard, permit) of those that were granted."""
    return [(action.shard_id, action.permit_id) for action in actions if isinstance(action, PermitGranted)]


# -- many shards, each of them light ---------------------------------------------------------------------------------


class StartReport(NamedTuple):
    """How a start went. Times in virtual seconds."""

    virtual_s: float
    """Until the last READY."""
    waves: int
    """The most IDENTIFYs of one bucket."""
    identifies: int
    refused: int
    """IDENTIFYs that arrived within 5 s of another of their bucket, by the server's clock."""
    closest: float
    """The least time between two arrivals of a bucket."""


class LightServer:
    """Judges IDENTIFYs by when they arrive, on a clock that has nothing to do with ours.

    `is_hostile`: it answers every one with op 9 false.
    """

    def __init__(self, max_concurrency: int, *, clock_offset: float = 0.0, is_hostile: bool = False) -> None:
        self.arrivals: list[list[float]] = [[] for _ in range(max_concurrency)]
        """By bucket."""
        self._offset = clock_offset
        self._is_hostile = is_hostile

    def identify(self, shard_id: int, now: float) -> bool:
        """Whether there is a session."""
        arrivals, clock = self.arrivals[shard_id % len(self.arrivals)], now + self._offset
        is_late_enough = not arrivals or clock - arrivals[-1] >= DISCORD_SPACING
        arrivals.append(clock)
        return is_late_enough and not self._is_hostile

    def gaps(self) -> list[float]:
        """Seconds between one IDENTIFY of a bucket and the next."""
        return [later - earlier for arrivals in self.arrivals for earlier, later in pairwise(arrivals)]


class LightFleet:
    """A program of shards that are nothing but the times of their messages. Their rules are those of `Shard`."""

    def __init__(
        self,
        agenda: Agenda,
        server: LightServer,
        shards: int,
        *,
        ledger: Ledger,
        rng: random.Random,
        spread: float = SPREAD,
        spacing: float = DISCORD_SPACING + MARGIN,
    ) -> None:
        max_concurrency = len(server.arrivals)
        self.manager = ShardManager(max_concurrency=max_concurrency, spacing=spacing)
        self.queue = IdentifyQueue(max_concurrency=max_concurrency, ledger=ledger, spacing=spacing)
        self.shards = shards
        self.connected = 0
        self.is_alive = True
        self.least_remaining = ledger.total
        self._agenda = agenda
        self._server = server
        self._rng = rng
        self._spread = spread
        self._alarm = Alarm(agenda, self._tick)

    def start(self) -> None:
        """Raises IdentifyBudgetError, and nothing has begun then."""
        self.queue.reserve(range(self.shards), self._agenda.wall)
        self._manage(self.manager.set_shards(0, self.shards, self.shards))
        self._manage(self.manager.initialize())

    def _later(self, legs: int, what: Callable[[int], object], shard_id: int, wait: float = 0.0) -> None:
        way = sum(self._rng.uniform(0.0, self._spread) for _ in range(legs))
        self._agenda.later(way + wait, what, shard_id)

    def _manage(self, actions: list[ManagerAction]) -> None:
        for action in actions:
            if isinstance(action, StartShard):
                self._dial(action.shard_id)

    def _dial(self, shard_id: int, wait: float = 0.0) -> None:
        self.manager.stage_changed(shard_id, ConnectionStage.CONNECTING)
        # SYN and its answer, the upgrade and its answer with HELLO behind it.
        self._later(4, self._hello, shard_id, wait)

    def _hello(self, shard_id: int) -> None:
        if self.is_alive:
            self.manager.stage_changed(shard_id, ConnectionStage.HANDSHAKE)
            self._serve(self.queue.ask(shard_id, 1, self._agenda.now, self._agenda.wall))

    def _tick(self) -> None:
        if self.is_alive:
            self._serve(self.queue.handle_timeout(self._agenda.now, self._agenda.wall))

    def _serve(self, actions: list[QueueAction]) -> None:
        now, wall = self._agenda.now, self._agenda.wall
        for action in actions:
            if isinstance(action, PermitGranted):
                shard_id = action.shard_id
                self.manager.stage_changed(shard_id, ConnectionStage.IDENTIFYING)
                self._later(1, self._arrived, shard_id)
                self._serve(self.queue.used(action.permit_id, now, now, wall))
                self._manage(self.manager.identified(shard_id))
                self.least_remaining = min(self.least_remaining, self.queue.ledger.remaining(wall))
        self._alarm.set(self.queue.next_timeout())

    def _arrived(self, shard_id: int) -> None:
        is_session = self._server.identify(shard_id, self._agenda.now)
        self._later(1, self._ready if is_session else self._invalid_session, shard_id)

    def _ready(self, shard_id: int) -> None:
        self.connected += 1
        self._manage(self.manager.stage_changed(shard_id, ConnectionStage.CONNECTED))

    def _invalid_session(self, shard_id: int) -> None:
        if self.is_alive:
            self.manager.stage_changed(shard_id, ConnectionStage.DISCONNECTED)
            self._dial(shard_id, self._rng.uniform(*INVALID_SESSION_WAIT) + REFUSED_IDENTIFY_WAIT)


def start_light(
    shards: int,
    max_concurrency: int,
    *,
    seed: int = 1,
    spread: float = SPREAD,
    spacing: float = DISCORD_SPACING + MARGIN,
) -> StartReport:
    """Start so many shards, from nothing to the last READY."""
    rng, agenda = random.Random(seed), Agenda()
    server = LightServer(max_concurrency, clock_offset=rng.uniform(-1e6, 1e6))
    # A day that has twice as many: what is refused is asked for again.
    fleet = LightFleet(agenda, server, shards, ledger=Ledger(total=2 * shards), rng=rng, spread=spread, spacing=spacing)
    fleet.start()
    agenda.run_until(lambda: fleet.connected == shards, limit=1e6)
    gaps = server.gaps()
    return StartReport(
        virtual_s=agenda.now,
        waves=max(map(len, server.arrivals)),
        identifies=sum(map(len, server.arrivals)),
        refused=sum(gap < DISCORD_SPACING for gap in gaps),
        closest=min(gaps, default=float("inf")),
    )


# -- real shards against the real server -------------------------------------------------------------------------------


class Wire:
    """One socket. Each message takes a time of its own, and none overtakes another."""

    def __init__(self, member: "Member", generation: int, server: ServerConnection) -> None:
        self.member = member
        self.generation = generation
        self.server = server
        self.is_torn = False
        """Nothing passes any more."""
        self.client_gone = False
        """The shard has hung up; what still comes for it goes nowhere."""
        self.alarm = Alarm(member.world.agenda, self._server_timeout)
        self._arrived_up = 0.0
        self._arrived_down = 0.0

    def up(self, what: Callable[..., object], *args: Any) -> None:
        """To the server."""
        self._arrived_up = max(self._arrived_up, self.member.world.agenda.now + self.member.latency())
        self.member.world.agenda.at(self._arrived_up, what, *args)

    def down(self, what: Callable[..., object], *args: Any) -> None:
        """To the shard."""
        self._arrived_down = max(self._arrived_down, self.member.world.agenda.now + self.member.latency())
        self.member.world.agenda.at(self._arrived_down, what, *args)

    def at_server(self, data: bytes) -> None:
        if not self.is_torn:
            self.act(self.server.receive_data(data, self.member.world.agenda.now))

    def eof_at_server(self) -> None:
        if not self.is_torn:
            self.is_torn = True
            self.act(self.server.receive_eof(self.member.world.agenda.now))

    def _server_timeout(self) -> None:
        if not self.is_torn:
            self.act(self.server.handle_timeout(self.member.world.agenda.now))

    def act(self, actions: list[ServerAction]) -> None:
        world = self.member.world
        for action in actions:
            world.observe_server(self, action)
            if isinstance(action, CloseSocket):
                self._pump(is_open=not action.abort)
                world.wires.pop(self.server.id, None)
                self.down(self.member.eof, self)
        self._pump()
        world.wake(actions)

    def pump(self) -> None:
        """Something is due on the server's side, or to be sent."""
        due = self.server.next_timeout()
        if due is not None and due <= self.member.world.agenda.now:
            self._server_timeout()
        else:
            self._pump()

    def _pump(self, *, is_open: bool = True) -> None:
        data = self.server.data_to_send(self.member.world.agenda.now)
        if data and is_open and not self.is_torn:
            self.down(self.member.data, self, data)
        self.alarm.set(self.server.next_timeout())


class Member:
    """A shard of a program, and its driver."""

    def __init__(self, program: "Program", shard_id: int, total: int, session: Session | None) -> None:
        self.program = program
        self.world = world = program.world
        self.id = shard_id
        config = ShardConfig(token=Secret("a.token"), intents=Intents.GUILDS, url=URL, shard=(shard_id, total))
        # By the shard and its number of lives: nobody else's doing moves it.
        world.lives[shard_id] += 1
        name = f"{world.seed}/{shard_id}/{world.lives[shard_id]}"
        self.shard = Shard(config, rng=random.Random(f"shard {name}"), session=session)
        self.beats: list[float] = []
        self.events: list[tuple[float, str]] = []
        """(when, name) of all that was dispatched."""
        self.reconnects: list[tuple[float, GatewayError]] = []
        self._latencies = random.Random(f"latency {name}")
        self._alarm = Alarm(world.agenda, self._timeout)
        self._wire: Wire | None = None
        self._dialling = 0
        self._asked = 0
        """The generation that waits for its permit."""
        self._kept_back: list[bytes] | None = None

    def latency(self) -> float:
        return self._latencies.uniform(0.0, self.world.spread)

    def call(self, method: Callable[..., list[ShardAction]], *args: Any, **kwargs: Any) -> None:
        """An input or command of the shard, `now` appended; and what comes of it."""
        if self.program.is_alive:
            self._act(method(*args, self.world.agenda.now, **kwargs))

    def stop_reading(self) -> None:
        """Its handler never returns: the sink is full, what comes waits in the socket's buffer."""
        assert self._wire is not None
        self._kept_back = []
        self.call(self.shard.reading_paused, self._wire.generation)

    @property
    def wire(self) -> Wire | None:
        return self._wire

    # -- the shard's actions -------------------------------------------------------------------------------------

    def _act(self, actions: list[ShardAction]) -> None:
        program, agenda = self.program, self.world.agenda
        for action in actions:
            match action:
                case Connect(generation=generation):
                    self._dialling = generation
                    agenda.later(self.latency() + self.latency(), self._open, generation)
                case Disconnect():
                    self._hang_up(action)
                case IdentifyWanted(generation=generation):
                    self._asked = generation
                    program.serve(program.queue.ask(self.id, generation, agenda.now, agenda.wall))
                case PermitUsed(permit=permit, at=at):
                    program.serve(program.queue.used(permit.id, at, agenda.now, agenda.wall))
                    program.manage(program.manager.identified(self.id))
                case PermitReturned(permit=permit):
                    program.serve(program.queue.returned(permit.id, agenda.now, agenda.wall))
                case StageChanged(new=new):
                    program.manage(program.manager.stage_changed(self.id, new))
                case HeartbeatSent(at=at):
                    self.beats.append(at)
                case Dispatch(epoch=epoch, sequence=sequence, name=name):
                    self.events.append((agenda.now, name))
                    self.shard.delivered(epoch, sequence)
                case Reconnect(cause=cause):
                    self.reconnects.append((agenda.now, cause))
                case Fatal(cause=cause):
                    program.manage(program.manager.failed(self.id, cause))
        data = self.shard.data_to_send(agenda.now)
        if data and self._wire is not None:
            self._wire.up(self._wire.at_server, data)
        self._alarm.set(self.shard.next_timeout())

    def _timeout(self) -> None:
        self.call(self.shard.handle_timeout)

    def _open(self, generation: int) -> None:
        if self._dialling != generation or not self.program.is_alive:
            return
        self._dialling = 0
        self._kept_back = None
        self._wire = self.world.accept(self, generation)
        self.call(self.shard.connection_made, generation)

    def _hang_up(self, disconnect: Disconnect) -> None:
        self._dialling = 0
        if self._asked == disconnect.generation:
            self._asked = 0
            agenda, program = self.world.agenda, self.program
            program.serve(program.queue.withdrawn(self.id, disconnect.generation, agenda.now, agenda.wall))
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.client_gone = True
            wire.up(wire.at_server, disconnect.farewell)
            wire.up(wire.eof_at_server)

    # -- what comes in -------------------------------------------------------------------------------------------

    def data(self, wire: Wire, data: bytes) -> None:
        if wire.client_gone:
            return
        if self._kept_back is not None:
            self._kept_back.append(data)
        else:
            self.call(self.shard.receive_data, wire.generation, data)

    def eof(self, wire: Wire) -> None:
        if not wire.client_gone and self._kept_back is None:
            self.call(self.shard.receive_eof, wire.generation)

    def permit(self, granted: PermitGranted) -> bool:
        """False if the connection that asked is gone."""
        if self._asked != granted.generation:
            return False
        self._asked = 0
        self.call(self.shard.identify, IdentifyPermit(generation=granted.generation, id=granted.permit_id))
        return True


class Program:
    """One process: a manager, a gate, and the shards that it was told to run."""

    def __init__(self, world: "FleetWorld", ledger: Ledger | None, sessions: Mapping[int, Session]) -> None:
        self.world = world
        self.is_alive = True
        self.sessions = dict(sessions)
        self.manager = ShardManager(max_concurrency=world.max_concurrency)
        self.queue = IdentifyQueue(max_concurrency=world.max_concurrency, ledger=ledger)
        self.members: dict[int, Member] = {}
        self.told: list[ManagerAction | QueueAction] = []
        """Everything that asks for nothing."""
        self._alarm = Alarm(world.agenda, self._timeout)

    def start(self, shard_ids: range, total: int) -> None:
        """Raises IdentifyBudgetError, and nothing has begun then."""
        self.queue.reserve(set(shard_ids) - self.sessions.keys(), self.world.agenda.wall)
        actions = self.manager.set_shards(shard_ids.start, len(shard_ids), total, sessions=self.sessions)
        self.manage(actions + self.manager.initialize())

    def kill(self) -> None:
        """Every socket ends at the server, and nobody here does anything more."""
        self.is_alive = False
        for wire in list(self.world.wires.values()):
            if wire.member.program is self:
                wire.client_gone = True
                wire.up(wire.eof_at_server)

    def serve(self, actions: list[QueueAction]) -> None:
        agenda = self.world.agenda
        for action in actions:
            match action:
                case PermitGranted(shard_id=shard_id, permit_id=permit_id):
                    if not self.members[shard_id].permit(action):
                        self.serve(self.queue.returned(permit_id, agenda.now, agenda.wall))
                case PermitRefused(shard_id=shard_id, cause=cause):
                    self._end(shard_id, cause)
                case IdentifyHeld():
                    self.told.append(action)
        self._alarm.set(self.queue.next_timeout())

    def manage(self, actions: list[ManagerAction]) -> None:
        for action in actions:
            match action:
                case StartShard(shard_id=shard_id, total=total):
                    member = Member(self, shard_id, total, self.sessions.get(shard_id))
                    self.members[shard_id] = member
                    member.call(member.shard.connect)
                case StopShard(shard_id=shard_id, resumable=resumable):
                    member = self.members[shard_id]
                    member.call(member.shard.close, resumable=resumable)
                    self.manage(self.manager.stopped(shard_id))
                case ApplicationRefused(cause=cause):
                    self.told.append(action)
                    self.serve(self.queue.closed(cause))
                case ShardEnded():
                    self.told.append(action)

    def connected(self) -> list[int]:
        return [id for id, member in self.members.items() if member.shard.stage is ConnectionStage.CONNECTED]

    def _end(self, shard_id: int, cause: GatewayError) -> None:
        member = self.members[shard_id]
        member.call(member.shard.close)
        self.manage(self.manager.failed(shard_id, cause))

    def _timeout(self) -> None:
        if self.is_alive:
            self.serve(self.queue.handle_timeout(self.world.agenda.now, self.world.agenda.wall))


class FleetWorld:
    """One server, and the programs that dial it.

    Args:
        settings: further ones of the `ServerConfig`.
        spread: seconds that a message takes at most, one way; the least is 0.
        manners: what is done to a connection of this shard as soon as the server has accepted it.
        observe_server: is told every action of the server's and the wire that it is about.
    """

    def __init__(
        self,
        max_concurrency: int,
        *,
        seed: int = 1,
        spread: float = SPREAD,
        settings: Mapping[str, Any] | None = None,
        observe_server: Callable[[Wire, ServerAction], object] = lambda wire, action: None,
    ) -> None:
        self.agenda = Agenda()
        self.seed = seed
        self.spread = spread
        self.max_concurrency = max_concurrency
        config = ServerConfig(
            url=URL, resume_url=URL, max_concurrency=max_concurrency, session_lifetime=1e9, **(settings or {})
        )
        self.server = Server(config, rng=random.Random(seed))
        self.manners: dict[int, Callable[[Wire], object]] = {}
        self.wires: dict[int, Wire] = {}
        self.lives: Counter[int] = Counter()
        self.sessions: dict[int, Secret] = {}
        """The newest of each shard."""
        self.identified: dict[int, list[float]] = defaultdict(list)
        """When an IDENTIFY of the shard made a session."""
        self.refused: list[SessionRefused] = []
        self._observe_server = observe_server

    def program(self, *, ledger: Ledger | None = None, sessions: Mapping[int, Session] | None = None) -> Program:
        return Program(self, ledger, sessions or {})

    def limit(self) -> SessionStartLimit:
        """What GET /gateway/bot says now."""
        total, remaining, reset_after = self.server.start_limit(self.agenda.now)
        return SessionStartLimit(
            total=total, remaining=remaining, reset_after=reset_after, max_concurrency=self.max_concurrency
        )

    def dispatch(self, shard_ids: Iterable[int], name: str, data: bytes) -> None:
        """An event for these shards, each for its newest session."""
        for shard_id in shard_ids:
            self.wake(self.server.dispatch(self.sessions[shard_id], name, data, self.agenda.now))

    def inject(self, wire: Wire, *faults: Any) -> None:
        for fault in faults:
            self.wake(self.server.inject(wire.server.id, fault, self.agenda.now))

    # -- within ------------------------------------------------------------------------------------------------

    def accept(self, member: Member, generation: int) -> Wire:
        wire = Wire(member, generation, self.server.accept(self.agenda.now))
        self.wires[wire.server.id] = wire
        manner = self.manners.get(member.id)
        if manner is not None:
            manner(wire)
        return wire

    def observe_server(self, wire: Wire, action: ServerAction) -> None:
        match action:
            case Identified(shard=(shard_id, _), session_id=session_id):
                self.sessions[shard_id] = session_id
                self.identified[shard_id].append(self.agenda.now)
            case SessionRefused():
                self.refused.append(action)
        self._observe_server(wire, action)

    def wake(self, actions: list[ServerAction]) -> None:
        for action in actions:
            if isinstance(action, Wake) and action.connection_id in self.wires:
                self.wires[action.connection_id].pump()
