"""The server against whatever comes: it never raises, no chunking matters, nothing is lost between RESUMEs."""

import random
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.secret import Secret
from gateway_proto.server import (
    AskReconnect,
    AtSequence,
    Chunk,
    Close,
    CloseSocket,
    ConnectionClosed,
    Corrupt,
    Drop,
    Fault,
    FaultFired,
    Fragment,
    Garbage,
    HttpAnswered,
    Identified,
    InvalidSession,
    LoseAcks,
    NoAnswer,
    NoHello,
    OnConnection,
    Planned,
    Received,
    Refuse,
    Release,
    Repeat,
    RequestHeartbeat,
    SendText,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    SessionResumed,
    SplitMessages,
    Stall,
    Swap,
    Upgraded,
    Withhold,
)
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .server_helpers import MASK, TOKEN, Client, Rig, identify_data, message, text_frame, upgrade_request

SEED = 1
KNOWN = Rig(seed=SEED).ready().session_id
"""What the first session of this seed is called."""

# -- the bytes of a client, good and bad ----------------------------------------------------------------------------

PAYLOADS = st.one_of(
    st.builds(message, st.integers(0, 44), st.none() | st.integers() | st.dictionaries(st.text(max_size=3), st.text())),
    st.sampled_from(
        [
            message(1, None),
            message(2, identify_data()),
            message(2, identify_data(compress=True, shard=[0, 1])),
            message(2, identify_data(token="")),
            message(6, {"token": TOKEN, "session_id": KNOWN.reveal(), "seq": 1}),
            message(6, {"token": TOKEN, "session_id": KNOWN.reveal(), "seq": 99}),
            message(8, {"guild_id": "1", "query": "", "limit": 0}),
            message(31, {"guild_ids": ["1", "2", "3"]}),
        ]
    ),
    st.binary(max_size=200),
)
FRAMES = st.one_of(
    PAYLOADS.map(text_frame),
    PAYLOADS.map(text_frame),
    st.builds(
        lambda opcode, final, payload: bytes([opcode | final]) + encode_frame(FrameOpcode.TEXT, payload, MASK)[1:],
        st.integers(0, 15),
        st.sampled_from([0, 0x80, 0xC0]),
        PAYLOADS,
    ),
    st.builds(lambda payload: encode_frame(FrameOpcode.PING, payload, MASK), st.binary(max_size=125)),
    st.builds(
        lambda code, reason: encode_frame(FrameOpcode.CLOSE, close_payload(code, reason), MASK),
        st.sampled_from([1000, 1001, 1005, 4000, 65535]),
        st.text(max_size=5),
    ),
    st.binary(max_size=30),
    st.just(b"\x81\xff" + (2**30).to_bytes(8) + MASK),
)
GOOD_HEADS = [
    upgrade_request(),
    upgrade_request("v=10&encoding=json&compress=zlib-stream"),
    upgrade_request("v=10&compress=zstd-stream"),
]
BAD_HEADS = st.one_of(
    st.just(upgrade_request("v=9")),
    st.just(upgrade_request(path="/gateway/bot", Authorization="Bot x")),
    st.binary(max_size=200),
    st.builds(lambda line: line + b"\r\nHost: x\r\n\r\n", st.binary(max_size=60)),
    st.builds(lambda target: b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n", st.binary(max_size=60)),
)
# Drawn by weight: a stream whose head is noise never comes to the frames.
HEADS = st.integers(0, 9).flatmap(lambda number: BAD_HEADS if number == 0 else st.sampled_from(GOOD_HEADS))
OPENINGS = st.sampled_from(
    [
        text_frame(message(2, identify_data())),
        text_frame(message(2, identify_data(compress=True))),
        text_frame(message(6, {"token": TOKEN, "session_id": KNOWN.reveal(), "seq": 0})),
        text_frame(message(6, {"token": TOKEN, "session_id": KNOWN.reveal(), "seq": 1})),
        text_frame(message(1, None)) + text_frame(message(2, identify_data())),
        b"",
    ]
)
FAULTS: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Stall, st.floats(0.0, 5.0)),
    st.builds(Close, st.integers(1000, 4999), st.binary(max_size=130)),
    st.just(AskReconnect()),
    st.builds(InvalidSession, st.booleans()),
    st.just(RequestHeartbeat()),
    st.builds(LoseAcks, st.none() | st.integers(0, 3)),
    st.builds(Corrupt, st.integers(0, 400), st.integers(1, 255)),
    st.builds(Refuse, st.integers(200, 599), st.none() | st.floats(0.0, 99.0)),
    st.builds(Garbage, st.binary(max_size=20)),
    st.just(NoHello()),
    st.just(NoAnswer()),
    st.builds(SendText, st.binary(max_size=20)),
    st.builds(Fragment, st.integers(1, 50)),
    st.builds(SplitMessages, st.integers(1, 50)),
    st.builds(Chunk, st.integers(1, 500)),
    st.just(Withhold()),
    st.builds(Repeat, st.booleans()),
    st.just(Swap()),
    st.just(Drop(flush=True)),
)
"""All but the drop without a flush, which takes back bytes that another chunking had let out already, and `Release`."""
PLANS = st.lists(
    st.builds(
        lambda when, fault: Planned(when=when, fault=fault),
        st.sampled_from([OnConnection(2), AtSequence(1), AtSequence(2), AtSequence(3)]),
        FAULTS,
    ),
    max_size=3,
).map(tuple)


def chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    """Cut by `sizes`, over and over."""
    pieces = []
    turn = 0
    while data:
        size = sizes[turn % len(sizes)]
        pieces.append(data[:size])
        data = data[size:]
        turn += 1
    return pieces


def drain(connection: ServerConnection, now: float, actions: list[ServerAction]) -> bytes:
    sent = connection.data_to_send(now)
    while connection.next_timeout() == now:
        actions += connection.handle_timeout(now)
        sent += connection.data_to_send(now)
    return sent


def play(config: ServerConfig, pieces: list[bytes], known_is_open: bool, eof: bool) -> tuple[list[ServerAction], bytes]:
    """Feed the second connection of a server that has a session already, then let 30 s pass."""
    server = Server(config, rng=random.Random(SEED))
    first = server.accept(0.0)
    first.receive_data(upgrade_request() + text_frame(message(2, identify_data())), 0.0)
    first.data_to_send(0.0)
    if not known_is_open:
        first.receive_eof(0.0)
    now = 6.0
    connection = server.accept(now)
    actions: list[ServerAction] = []
    sent = drain(connection, now, actions)
    for piece in pieces:
        actions += connection.receive_data(piece, now)
        sent += drain(connection, now, actions)
    while (due := connection.next_timeout()) is not None and due <= 36.0:
        assert due >= now, "a timer in the past"
        now = due
        actions += connection.handle_timeout(now)
        sent += drain(connection, now, actions)
    if eof:
        actions += connection.receive_eof(now)
        sent += drain(connection, now, actions)
        assert connection.has_ended
    return actions, sent


@pytest.mark.failure("F30")
def test_any_bytes_in_any_chunking_give_the_same_actions_and_bytes() -> None:
    reported: Counter[type[ServerAction]] = Counter()
    faults: Counter[type[Fault]] = Counter()

    @given(
        head=HEADS,
        opening=OPENINGS,
        frames=st.lists(FRAMES, max_size=8),
        sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5),
        plan=PLANS,
        known_is_open=st.booleans(),
        eof=st.booleans(),
    )
    @settings(max_examples=500, deadline=None)
    def run(
        head: bytes,
        opening: bytes,
        frames: list[bytes],
        sizes: list[int],
        plan: tuple[Planned, ...],
        known_is_open: bool,
        eof: bool,
    ) -> None:
        config = ServerConfig(plan=plan, heartbeat_interval=10.0)
        data = head + opening + b"".join(frames)
        whole = play(config, [data], known_is_open, eof)
        assert play(config, chunks(data, sizes), known_is_open, eof) == whole
        assert play(config, [data], known_is_open, eof) == whole, "the same seed and inputs"
        reported.update(type(action) for action in whole[0])
        faults.update(type(action.fault) for action in whole[0] if isinstance(action, FaultFired))

    run()
    # It is worth nothing if the examples never came so far.
    assert all(reported[kind] >= 20 for kind in (Upgraded, Received, Identified, ConnectionClosed, FaultFired)), (
        reported
    )
    assert all(reported[kind] >= 3 for kind in (HttpAnswered, SessionResumed)), reported
    assert reported[CloseSocket] >= 20, reported
    assert len(faults) >= 6, faults


EACH_FAULT: list[Fault] = [
    Stall(3.0),
    Close(4000, b"\xff"),
    AskReconnect(),
    InvalidSession(True),
    InvalidSession(False),
    RequestHeartbeat(),
    LoseAcks(1),
    Corrupt(100),
    Refuse(429, 1.5),
    Garbage(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"),
    NoHello(),
    NoAnswer(),
    SendText(b"no JSON"),
    Fragment(3),
    SplitMessages(3),
    Chunk(3),
    Withhold(),
    Repeat(),
    Repeat(renumbered=False),
    Swap(),
    Drop(flush=True),
]


@pytest.mark.parametrize("fault", EACH_FAULT, ids=repr)
@pytest.mark.parametrize("head", GOOD_HEADS, ids=["none", "zlib", "zstd"])
def test_no_fault_makes_the_chunking_matter(fault: Fault, head: bytes) -> None:
    frames = [
        message(1, None),
        message(2, identify_data(compress=True)),
        message(31, {"guild_ids": ["1", "2", "3"]}),
        message(1, 1),
        message(8, {"guild_id": "1", "query": "", "limit": 0}),
    ]
    data = head + b"".join(text_frame(frame) for frame in frames)
    for when in (OnConnection(2), AtSequence(2, session=2)):
        config = ServerConfig(plan=(Planned(when=when, fault=fault),), payload_threshold=50)
        whole = play(config, [data], True, True)
        needs_a_request = isinstance(fault, Refuse | NoHello) and isinstance(when, AtSequence)
        assert any(isinstance(action, FaultFired) for action in whole[0]) or needs_a_request
        for size in (1, 2, 7, 50):
            assert play(config, chunks(data, [size]), True, True) == whole


@given(st.binary(max_size=500), st.lists(st.integers(1, 60), min_size=1, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_noise_never_raises(data: bytes, sizes: list[int], upgraded: bool) -> None:
    pieces = chunks((upgrade_request() if upgraded else b"") + data, sizes)
    play(ServerConfig(), pieces, True, True)


HEADERS_OF_A_GIB = [
    b"\x81\xff" + (2**30).to_bytes(8) + MASK,
    b"\x82\xff" + (2**62).to_bytes(8) + MASK,
    b"\x01\xff" + (2**30).to_bytes(8) + MASK,
    b"\x81\x7f" + (2**30).to_bytes(8),
    b"\x81\xff" + (2**64 - 1).to_bytes(8) + MASK,
]


@pytest.mark.parametrize("header", HEADERS_OF_A_GIB)
def test_a_header_that_announces_a_gib_is_refused_before_it_is_stored(header: bytes) -> None:
    rig = Rig()
    client = rig.ready()
    client.feed(header)
    assert client.closed is not None
    assert client.closed[0] in (1002, 4002)
    chunk = b"x" * 65536
    tracemalloc.start()
    try:
        for _ in range(256):
            client.connection.receive_data(chunk, 0.0)
        assert tracemalloc.get_traced_memory()[1] < 2**20, "16 MiB came, and are gone"
    finally:
        tracemalloc.stop()


def test_a_flood_of_empty_fragments_is_held_in_nothing() -> None:
    client = Rig().ready()
    client.connection.receive_data(b"\x01\x80" + MASK, 0.0)
    flood = (b"\x00\x80" + MASK) * 1000
    tracemalloc.start()
    try:
        for _ in range(20):
            client.connection.receive_data(flood, 0.0)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


# -- nothing is lost between RESUMEs ---------------------------------------------------------------------------------

STEPS = st.one_of(
    st.tuples(st.just("dispatch"), st.integers(1, 5)),
    st.tuples(st.just("unread"), st.integers(1, 5)),
    st.tuples(st.just("gone"), st.integers(0, 3)),
    st.sampled_from([("fault", fault) for fault in (Drop(), Drop(flush=True), Stall(), Close(4000), AskReconnect())]),
    st.sampled_from([("fault", fault) for fault in (InvalidSession(True), LoseAcks(), Fragment(3), Chunk(5))]),
    st.tuples(st.just("resume"), st.just(0)),
    st.tuples(st.just("advance"), st.integers(1, 40)),
    st.tuples(st.just("beat"), st.just(0)),
)


class Honest:
    """A client that resumes where it stands, and writes down each event with a sequence that it has not seen."""

    def __init__(self, rig: Rig, compress: str | None) -> None:
        self.rig = rig
        self.compress = compress
        self.client = rig.client(compress=compress)
        self.client.identify()
        self.session_id = self.client.session_id
        self.seen = 0
        self.delivered: list[Any] = []
        self.dispatched = 0
        self.resumes = 0

    def take(self) -> None:
        for received in self.client.received:
            if received["op"] == 0 and received["s"] > self.seen:
                assert received["s"] == self.seen + 1, "a gap"
                self.seen = received["s"]
                if received["t"] == "EVENT":
                    self.delivered.append(received["d"])
        self.client.received.clear()

    def dispatch(self, count: int, *, pumped: bool) -> None:
        for _ in range(count):
            self.dispatched += 1
            actions = self.rig.server.dispatch(self.session_id, "EVENT", b"%d" % self.dispatched, self.rig.now)
            if pumped:
                self.rig.run(actions)

    def resume(self) -> None:
        self.take()
        self.client = self.rig.client(compress=self.compress)
        self.client.resume(self.session_id, self.seen)
        self.resumes += 1

    def step(self, name: str, argument: Any) -> None:
        match name:
            case "dispatch":
                self.dispatch(argument, pumped=True)
            case "unread":
                self.dispatch(argument, pumped=False)
            case "gone":
                self.client.eof()
                self.dispatch(argument, pumped=True)
            case "fault":
                self.rig.inject(self.client, argument)
            case "resume":
                self.resume()
            case "advance":
                self.rig.advance(argument)
            case "beat":
                self.client.beat(self.seen)
        self.take()


@pytest.mark.failure("F18")
def test_delivered_is_dispatched_in_order_and_once() -> None:
    delivered = resumes = 0

    @given(
        steps=st.lists(STEPS, min_size=5, max_size=30), compress=st.sampled_from([None, "zlib-stream", "zstd-stream"])
    )
    @settings(max_examples=200, deadline=None)
    def run(steps: list[tuple[str, Any]], compress: str | None) -> None:
        nonlocal delivered, resumes
        rig = Rig(ServerConfig(trim_at_heartbeat=True, session_lifetime=10_000.0))
        honest = Honest(rig, compress)
        for name, argument in steps:
            honest.step(name, argument)
        honest.resume()
        honest.take()
        assert honest.delivered == list(range(1, honest.dispatched + 1))
        assert rig.server.sessions[honest.session_id].connection_id == honest.client.connection.id
        assert set(rig.server.connections) == {
            id for id, client in rig.clients.items() if not client.connection.has_ended
        }
        delivered += honest.dispatched
        resumes += honest.resumes

    run()
    assert delivered >= 1000, delivered
    assert resumes >= 300, resumes


@given(
    st.lists(
        st.tuples(st.integers(0, 6), FAULTS | st.just(Release()) | st.just(Drop()), st.floats(0.0, 20.0)), max_size=30
    )
)
@settings(max_examples=200, deadline=None)
def test_any_operations_in_any_order_never_raise(operations: list[tuple[int, Fault, float]]) -> None:
    server = Server(ServerConfig(heartbeat_interval=10.0), rng=random.Random(SEED))
    now = 0.0
    connections = [server.accept(now)]
    for number, (operation, fault, seconds) in enumerate(operations):
        connection = connections[number % len(connections)]
        match operation:
            case 0:
                connections.append(server.accept(now))
            case 1:
                connection.receive_data(upgrade_request() + text_frame(message(2, identify_data())), now)
            case 2:
                server.broadcast("EVENT", b"1", now)
            case 3:
                server.inject(connection.id, fault, now)
            case 4:
                for session_id in list(server.sessions):
                    server.inject(session_id, fault, now)
            case 5:
                connection.receive_eof(now)
            case _:
                now += seconds
        for each in connections:
            due = each.next_timeout()
            if due is not None and due <= now:
                each.handle_timeout(now)
                due = each.next_timeout()
                assert due is None or due >= now, "next_timeout is in the past"
            each.data_to_send(now)
            assert not each.has_ended or each.id not in server.connections
    assert server.dispatch(Secret("unknown"), "EVENT", b"1", now) == []


def test_the_helpers_client_sees_what_the_server_sends() -> None:
    """The properties above rest on it."""
    rig = Rig()
    client: Client = rig.ready()
    assert client.sequences() == [1]
    assert client.session_id == KNOWN
