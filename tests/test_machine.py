"""The shard against the server, over a wire with faults, by a Hypothesis rule machine.

It starts Connected, and asserts how much was delivered and resumed: a machine in which nothing happens is green too. A
RESUME heals most bugs, so reconnects are counted against the faults that were injected, and duplicates are none.
"""

import random
from collections import Counter, defaultdict, deque
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from gateway_proto import (
    Activity,
    ConnectionStage,
    DiscardCause,
    Dispatch,
    Fatal,
    HeartbeatSent,
    IdentifyWanted,
    Intents,
    Reconnect,
    Secret,
    SequenceGap,
    Session,
    SessionLost,
    Shard,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.ratelimit import SEND_LIMIT, SEND_PERIOD
from gateway_proto.server import (
    AskReconnect,
    Chunk,
    Close,
    Corrupt,
    Drop,
    Fault,
    FaultFired,
    Fragment,
    Garbage,
    Identified,
    InvalidSession,
    LoseAcks,
    NoAnswer,
    NoHello,
    Refuse,
    RequestHeartbeat,
    SendText,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    SplitMessages,
    Stall,
)
from gateway_proto.stage import TRANSITIONS
from gateway_proto.testing.link import Link

URL = "ws://127.0.0.1:8080"
MODES: tuple[dict[str, Any], ...] = (
    {},
    {"payload_compression": True},
    {"transport_compression": "zlib-stream"},
    {"transport_compression": "zstd-stream"},
)
RESUMABLE_CODES = (1000, 1001, 4000, 4001, 4002, 4003, 4005, 4008, 4242)
SESSION_GONE_CODES = (4007, 4009)

# What strikes a connection that is there; each costs one reconnect at most.
LIVE_FAULTS: tuple[Fault, ...] = (
    Drop(),
    Drop(flush=True),
    AskReconnect(),
    LoseAcks(),
    LoseAcks(1),
    Stall(),
    Stall(3.0),
    Corrupt(),
    Garbage(b"HTTP/1.1 500 Internal Server Error\r\n\r\n"),
    SendText(b'{"op":0,"t":"BROKEN","s":'),
    InvalidSession(True),
)
HARMLESS_FAULTS: tuple[Fault, ...] = (
    RequestHeartbeat(),
    Fragment(7),
    Chunk(900),
    SendText(b'{"op":99,"d":{"new":true}}'),
)
# What strikes the next connection, while it is made.
DIAL_FAULTS: tuple[Fault, ...] = (
    NoHello(),
    NoAnswer(),
    Refuse(503),
    Refuse(429, 2.0),
    Garbage(b"\x00\x01\x02 no HTTP at all\r\n\r\n"),
    Drop(),
    AskReconnect(),
    Stall(),
)
BREAKING = (Corrupt, Garbage, SendText)


class Totals:
    """What the whole run, all examples together, has seen."""

    deliveries = 0
    resumes = 0
    identifies = 0
    lost_sessions: ClassVar[Counter[DiscardCause]] = Counter()
    faults: ClassVar[Counter[str]] = Counter()
    modes: ClassVar[Counter[str]] = Counter()


class ShardAgainstServer(RuleBasedStateMachine):
    """See the module. The consumer is `consumed`, and outlives the shard when its process is restarted."""

    def __init__(self) -> None:
        super().__init__()
        self.dispatched: dict[Secret, list[bytes]] = defaultdict(list)
        self.consumed: dict[Secret, list[bytes]] = defaultdict(list)
        self.session_of: dict[int, Secret] = {}
        self.live: Secret | None = None
        self.credits = 0
        self.reconnects = 0
        self.breaking = 0
        self.mute = 0
        self.sessions_ended = 0
        self.wanted_lost = 0
        self.number = 0
        self.beats: dict[int, float] = {}
        self.slept = False
        self.payloads: dict[int, deque[float]] = defaultdict(deque)
        self.dial_faults: list[Fault] = []
        self.last_sequence: int | None = None

    @initialize(
        mode=st.sampled_from(MODES),
        chunk=st.sampled_from([1, 2, 7, 50, 333, 1400, 9000, 99_999]),
        latency=st.sampled_from([0.0, 0.01, 0.3]),
        interval=st.sampled_from([5.0, 20.0, 41.25]),
        trim=st.booleans(),
        seed=st.integers(0, 2**32),
    )
    def begin(self, mode: dict[str, Any], chunk: int, latency: float, interval: float, trim: bool, seed: int) -> None:
        self.rng = random.Random(seed)
        self.mode, self.chunk, self.latency, self.interval = mode, chunk, latency, interval
        Totals.modes[str(mode)] += 1
        guilds = tuple(range(1 << 22, 4 << 22, 1 << 22))
        self.server = Server(
            ServerConfig(
                url=URL,
                resume_url=URL,
                guild_ids=guilds,
                heartbeat_interval=interval,
                trim_at_heartbeat=trim,
                replay_events=100_000,
                session_lifetime=1e9,
                session_limit=100_000,
            ),
            rng=random.Random(self.rng.random()),
        )
        self.connect(None, 0.0)
        self.link.run(5.0)
        assert self.shard.stage is ConnectionStage.CONNECTED

    def connect(self, session: Session | None, now: float) -> None:
        config = ShardConfig(token=Secret("a.token"), intents=Intents.GUILDS, url=URL, **self.mode)
        self.shard = Shard(config, rng=random.Random(self.rng.random()), session=session)
        self.link = Link(
            self.shard,
            self.server,
            rng=random.Random(self.rng.random()),
            latency=self.latency,
            chunk=self.chunk,
            now=now,
            observe=self.observe,
            observe_server=self.observe_server,
            observe_drain=self.observe_drain,
            accepted=self.accepted,
        )
        self.beats.clear()
        self.payloads.clear()
        self.session_of = {1: session.id} if session is not None else {}
        self.last_sequence = session.sequence if session is not None else None
        self.link.start()

    # -- what is seen ------------------------------------------------------------------------------------------

    def observe(self, action: ShardAction) -> None:
        repr(action)
        match action:
            case Dispatch():
                self.on_dispatch(action)
            case IdentifyWanted():
                assert self.live is None, "an IDENTIFY was asked for while a RESUME was possible"
            case SessionLost():
                self.on_lost(action)
            case Reconnect():
                self.reconnects += 1
            case StageChanged(old, new):
                assert any(TRANSITIONS.get((old, step)) is new for (stage, step) in TRANSITIONS if stage is old)
            case HeartbeatSent(generation=generation, at=at):
                self.on_beat(generation, at)
            case SequenceGap():
                raise AssertionError(f"no sequence was skipped: {action}")
            case Fatal():
                raise AssertionError(f"nothing was fatal: {action}")

    def on_dispatch(self, dispatch: Dispatch) -> None:
        if dispatch.name == "READY":
            self.live = Secret(dispatch.decode()["session_id"])
            self.session_of[dispatch.epoch] = self.live
            self.last_sequence = None
        assert self.live is not None
        if self.last_sequence is not None:
            assert dispatch.sequence == self.last_sequence + 1, "not in order, or not once"
        self.last_sequence = dispatch.sequence
        Totals.deliveries += 1
        Totals.resumes += dispatch.name == "RESUMED"

    def on_lost(self, lost: SessionLost) -> None:
        assert lost.sequence == self.last_sequence, "SessionLost names another sequence than the last delivered"
        assert lost.downtime >= 0
        Totals.lost_sessions[lost.cause] += 1
        if lost.cause is DiscardCause.POISONED:
            assert self.breaking >= 3
        elif lost.cause is DiscardCause.BRICKED:
            assert self.mute >= 5
        else:
            assert lost.cause in (DiscardCause.INVALID_SESSION, DiscardCause.CLOSE_CODE)
            self.wanted_lost += 1
            assert self.wanted_lost <= self.sessions_ended, "the server ended no session"
        self.live = None

    def on_beat(self, generation: int, at: float) -> None:
        before = self.beats.get(generation)
        if before is not None and not self.slept:
            assert at - before <= self.interval + 1e-6, "a heartbeat is late"
        self.beats[generation] = at

    def observe_server(self, action: ServerAction) -> None:
        repr(action)
        match action:
            case Identified():
                Totals.identifies += 1
            case FaultFired(fault=fault):
                Totals.faults[repr(fault)] += 1

    def observe_drain(self, generation: int, data: bytes, now: float) -> None:
        window = self.payloads[generation]
        for _ in range(count_payloads(data)):
            window.append(now)
        while window and window[0] <= now - SEND_PERIOD + 1e-6:
            window.popleft()
        assert len(window) <= SEND_LIMIT, "more than 120 payloads within 60 s"

    def accepted(self, connection: ServerConnection) -> None:
        for fault in self.dial_faults:
            self.link.act_server(self.server.inject(connection.id, fault, self.link.now))
        self.dial_faults.clear()

    # -- what happens ------------------------------------------------------------------------------------------

    @rule(count=st.integers(1, 120), size=st.sampled_from([2, 100, 3000]))
    def events(self, count: int, size: int) -> None:
        if self.live is None:
            return
        # A stream that is cut into single bytes is slow enough with short events.
        size = min(size, 200 * self.chunk)
        for _ in range(count):
            self.number += 1
            data = b'{"number":%d,"text":"%s"}' % (self.number, b"x" * self.rng.randrange(size))
            self.dispatched[self.live].append(data)
            self.link.act_server(self.server.dispatch(self.live, "MESSAGE_CREATE", data, self.link.now))

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.5, 3.0, 30.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.link.run(seconds)
        self.slept = False

    @rule(fault=st.sampled_from(LIVE_FAULTS))
    def fault(self, fault: Fault) -> None:
        if self.strike(fault):
            self.credits += 1
            self.breaking += isinstance(fault, BREAKING)

    @rule(fault=st.sampled_from(HARMLESS_FAULTS))
    def harmless_fault(self, fault: Fault) -> None:
        # Before HELLO they would not be harmless.
        if self.shard.stage is ConnectionStage.CONNECTED:
            self.strike(fault)

    @rule(size=st.integers(1, 300))
    def messages_are_split(self, size: int) -> None:
        if self.mode.get("transport_compression") == "zlib-stream":
            self.strike(SplitMessages(size))

    @rule(code=st.sampled_from(RESUMABLE_CODES), reason=st.sampled_from([b"", b"because", b"\xff\xfe no text"]))
    def close(self, code: int, reason: bytes) -> None:
        self.credits += self.strike(Close(code, reason))

    @rule(fault=st.sampled_from([InvalidSession(False), *(Close(code) for code in SESSION_GONE_CODES)]))
    def session_ends(self, fault: Fault) -> None:
        if self.live is not None and self.strike(fault):
            # Its end, and the IDENTIFY that follows.
            self.credits += 1
            self.sessions_ended += 1

    @rule(fault=st.sampled_from(DIAL_FAULTS))
    def next_connection_suffers(self, fault: Fault) -> None:
        if not self.dial_faults:
            self.dial_faults.append(fault)
            self.credits += 1
            self.breaking += isinstance(fault, BREAKING)
            self.mute += isinstance(fault, NoAnswer)

    @rule(count=st.integers(1, 4))
    def dials_fail(self, count: int) -> None:
        self.link.refuse_dials += count
        self.credits += count

    @rule()
    def wire_is_torn(self) -> None:
        if self.link.connection is not None:
            self.credits += 1
            self.link.tear()
            Totals.faults["tear"] += 1

    @rule(count=st.integers(3, 9))
    def storm(self, count: int) -> None:
        """Drop after drop, each in the middle of events."""
        for _ in range(count):
            self.events(3, 100)
            self.wire_is_torn()
            self.time_passes(3.0)

    @rule(seconds=st.sampled_from([4.0, 40.0, 4000.0]))
    def process_stands_still(self, seconds: float) -> None:
        self.credits += 1
        self.slept = True
        self.link.sleep(seconds)
        Totals.faults["stand still"] += 1

    @rule(seconds=st.sampled_from([1.0, 100.0, 300.0]))
    def sink_is_full(self, seconds: float) -> None:
        self.link.pause_reading()
        self.link.run(seconds)
        self.link.resume_reading()
        Totals.faults["sink full"] += 1

    @rule(count=st.integers(0, 20))
    def consumer_lags(self, count: int) -> None:
        self.link.hold = count

    @rule(graceful=st.booleans())
    def restart(self, graceful: bool) -> None:
        """The process ends between any two actions; the next one has only what was delivered."""
        if graceful:
            self.link.call(self.shard.close)
        self.keep_consumed()
        session = self.shard.session
        self.link.abandon()
        stored = Session.from_bytes(session.to_bytes()) if session is not None else None
        if stored is None:
            # Nothing was delivered yet: the next process knows of no session.
            self.live = None
        self.credits += 1
        Totals.faults["restart"] += 1
        identified_at = self.link.identified_at
        self.connect(stored, self.link.now)
        self.link.identified_at = identified_at

    @rule(count=st.integers(1, 150))
    def commands(self, count: int) -> None:
        for number in range(count):
            if self.shard.snapshot().queued_commands < 400:
                if number % 10 == 0:
                    self.link.call(self.shard.set_activity, Activity.playing(f"game {number}"))
                else:
                    self.link.call(self.shard.chunk_guilds, [1 << 22])

    @rule()
    def reconnect_is_asked_for(self) -> None:
        self.credits += 1
        self.link.call(self.shard.reconnect)

    def strike(self, fault: Fault) -> bool:
        connection = self.link.connection
        if connection is None:
            return False
        self.link.act_server(self.server.inject(connection.id, fault, self.link.now))
        return True

    # -- what must hold ----------------------------------------------------------------------------------------

    @invariant()
    def never_due_in_the_past(self) -> None:
        due = self.shard.next_timeout()
        assert due is None or due >= self.shard.snapshot().now

    @invariant()
    def nothing_twice(self) -> None:
        assert self.shard.snapshot().duplicates == 0

    @invariant()
    def no_more_reconnects_than_faults(self) -> None:
        assert self.reconnects <= self.credits, "a reconnect without a fault"

    def keep_consumed(self) -> None:
        """What the consumer took of this process."""
        for dispatch in self.link.acknowledged:
            if dispatch.name == "MESSAGE_CREATE":
                self.consumed[self.session_of[dispatch.epoch]].append(bytes(dispatch.raw))

    def teardown(self) -> None:
        if not hasattr(self, "server"):
            return
        # Every fault is over: all that was dispatched must have come through.
        self.dial_faults.clear()
        self.link.refuse_dials = 0
        self.link.hold = 0
        self.link.resume_reading()
        self.link.run(600.0)
        if self.shard.stage is ConnectionStage.IDENTIFYING:
            # READY may be long in coming; from a gateway that a fault made mute it never comes.
            self.credits += 1
            self.link.tear()
        self.link.run(300.0)
        assert self.shard.stage is ConnectionStage.CONNECTED
        self.no_more_reconnects_than_faults()
        self.keep_consumed()
        for session, dispatched in self.dispatched.items():
            consumed = self.consumed[session]
            assert consumed == dispatched[: len(consumed)], "not what was dispatched, in order, once"
            assert session != self.live or len(consumed) == len(dispatched), "an event of a living session is lost"


def walk(mode: dict[str, Any], seed: int) -> None:
    """Every kind of fault once, one after the other: chance alone leaves some of them out."""
    machine = ShardAgainstServer()
    machine.begin(mode, 1400, 0.01, 20.0, bool(seed % 2), seed)
    for fault in (*LIVE_FAULTS, *HARMLESS_FAULTS, InvalidSession(False), *map(Close, SESSION_GONE_CODES)):
        machine.events(20, 100)
        machine.time_passes(0.02)
        if fault in LIVE_FAULTS:
            machine.fault(fault)
        elif fault in HARMLESS_FAULTS:
            machine.harmless_fault(fault)
        else:
            machine.session_ends(fault)
        machine.events(20, 100)
        machine.time_passes(130.0)
    for fault in DIAL_FAULTS:
        machine.next_connection_suffers(fault)
        machine.events(20, 100)
        machine.wire_is_torn()
        machine.time_passes(200.0)
    machine.teardown()


def test_shard_against_server() -> None:
    for seed, mode in enumerate(MODES):
        walk(mode, seed)
    run_state_machine_as_test(
        ShardAgainstServer,
        settings=settings(
            max_examples=150,
            stateful_step_count=40,
            # A failing run prints its steps; shrinking them would take many times as long as the whole test.
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Totals.deliveries >= 10_000
    # 477 to 900, by what is drawn.
    assert Totals.resumes >= 250
    wanted = {repr(fault) for fault in (*LIVE_FAULTS, *HARMLESS_FAULTS, *DIAL_FAULTS)}
    wanted |= {"tear", "stand still", "sink full", "restart", repr(InvalidSession(False))}
    assert wanted <= set(Totals.faults), f"never fired: {wanted - set(Totals.faults)}"
    assert len(Totals.modes) == len(MODES)


def count_payloads(data: bytes) -> int:
    """TEXT frames among what a client wrote (all of them masked and whole)."""
    count = at = 0
    if data.startswith(b"GET "):
        at = data.index(b"\r\n\r\n") + 4
    while at < len(data):
        size = data[at + 1] & 0x7F
        header = 6
        if size == 126:
            size = int.from_bytes(data[at + 2 : at + 4])
            header = 8
        count += data[at] == 0x81
        at += header + size
    return count
