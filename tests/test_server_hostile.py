"""Clients that mean no good: each costs its own connection, within a bound, and nobody else notices.

The bounds are of the memory that one hostile connection makes the server hold, at its peak, by `tracemalloc`: what the
interpreter allocates, which includes zlib's state and not zstd's.
"""

import gc
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gateway_proto.secret import Secret
from gateway_proto.server import (
    CloseSocket,
    ConnectionClosed,
    HttpAnswered,
    Server,
    ServerAction,
    ServerConfig,
    ServerLimits,
)
from gateway_proto.server.connection import MAX_FRAMES
from gateway_proto.websocket import FrameOpcode, encode_frame
from gateway_transports.errors import StreamError
from gateway_transports.memory import MemoryNetwork, MemoryStream, VirtualClock, virtual_time
from gateway_transports.serve import Gateway

from .server_helpers import MASK, Client, Rig, identify_data, message, text_frame, upgrade_request

IDLE_BOUND = 8 * 2**10
"""Bytes of a connection that has said nothing yet, or is upgraded without compression."""
REQUEST_BOUND = IDLE_BOUND + 2 * 16 * 2**10
"""Behind a header of up to 16 KiB: it is held once, and handed on once."""
PAYLOAD_BOUND = IDLE_BOUND + 8 * 4096
"""Behind the upgrade: a payload of 4096 bytes, as bytes, as text, and on its way from one to the other."""
FLOOD_BOUND = PAYLOAD_BOUND + 2 * 65_536
"""Behind the upgrade, with a chunk of 64 KiB in hand: as it came, and what is left of it for the next turn."""
SILENT_BOUND = 10 * 2**10
"""Upgraded, with or without a compression: nothing that is worth a compressor has been sent."""
CHUNK = 65_536
INTERVAL = 41.25

Attack = Callable[[random.Random], Iterator[bytes]]


def upgraded(*parts: bytes) -> bytes:
    return upgrade_request() + b"".join(parts)


def endless(head: bytes, part: bytes, size: int = 2**21) -> Attack:
    """So many bytes of the same, in chunks, behind a head."""
    return lambda rng: iter([head, *[part * (CHUNK // len(part))] * (size // CHUNK)])


def fragments(payload: bytes) -> bytes:
    """A continuation that is not the last."""
    return b"\x00" + encode_frame(FrameOpcode.TEXT, payload, MASK)[1:]


GIBIBYTE = b"\x81\xff" + (2**30).to_bytes(8) + MASK
ATTACKS: dict[str, tuple[Attack, int, int]] = {
    # what comes, the close code or HTTP status that answers it, the bound
    "noise": (lambda rng: iter([rng.randbytes(3000), b"\r\n\r\n"]), 400, REQUEST_BOUND),
    "TLS": (lambda rng: iter([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"]), 400, REQUEST_BOUND),
    "HTTP/2": (lambda rng: iter([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]), 505, REQUEST_BOUND),
    "a header without an end": (endless(b"GET / HTTP/1.1\r\nX: ", b"x"), 431, REQUEST_BOUND + CHUNK),
    "headers without an end": (endless(b"GET / HTTP/1.1\r\n", b"X: y\r\n"), 431, REQUEST_BOUND + CHUNK),
    "parameters without an end": (lambda rng: iter([upgrade_request("&".join(["v=10"] * 2000))]), 400, REQUEST_BOUND),
    "a gibibyte is announced": (endless(upgraded(GIBIBYTE), b"x"), 4002, FLOOD_BOUND),
    "fragments of nothing": (endless(upgraded(b"\x01\x80" + MASK), fragments(b""), 2**18), 4000, FLOOD_BOUND),
    "fragments without an end": (endless(upgraded(b"\x01\x80" + MASK), fragments(b"x" * 50)), 4002, FLOOD_BOUND),
    "a PING in fragments": (lambda rng: iter([upgraded(b"\x09\x80" + MASK)]), 1002, PAYLOAD_BOUND),
    "a long PING": (lambda rng: iter([upgraded(b"\x89\xfe\x10\x00" + MASK)]), 1002, PAYLOAD_BOUND),
    "no mask": (lambda rng: iter([upgraded(b"\x81\x02{}")]), 1002, PAYLOAD_BOUND),
    "noise behind the upgrade": (lambda rng: iter([upgraded(b"\xff" + rng.randbytes(3000))]), 1002, PAYLOAD_BOUND),
    "no JSON": (lambda rng: iter([upgraded(text_frame(b"[" * 4096))]), 4002, PAYLOAD_BOUND),
    "payloads as fast as can be": (endless(upgraded(), text_frame(message(1, None)), 2**18), 4008, FLOOD_BOUND),
    "IDENTIFY again and again": (
        endless(upgraded(), text_frame(message(2, identify_data(token="")))), 4004, FLOOD_BOUND
    ),
    "upgraded, then silent": (lambda rng: iter([upgraded()]), 4000, PAYLOAD_BOUND),
    "upgraded with zlib, then silent": (
        lambda rng: iter([upgrade_request("v=10&compress=zlib-stream")]), 4000, PAYLOAD_BOUND
    ),
    "silent": (lambda rng: iter([]), 408, IDLE_BOUND),
}  # fmt: skip


class Watched:
    """A server with one good client on it, and hostile ones beside."""

    def __init__(self, **limits: Any) -> None:
        self.rig = Rig(ServerConfig(limits=ServerLimits(**limits), heartbeat_interval=INTERVAL))
        self.good = self.rig.ready()
        self.dispatched = 0
        self.beats = 0

    def look(self) -> None:
        """What the good client gets at this moment, while the others do what they do."""
        self.dispatched += 1
        self.rig.dispatch(self.good.session_id, d=self.dispatched)
        assert self.good.bodies() == list(range(1, self.dispatched + 1)), "an event of another client is gone, or late"
        self.beats += 1
        self.good.beat()
        assert self.good.ops().count(11) == self.beats, "a heartbeat of another client is not answered"
        assert self.good.closed is None


class Hostile:
    """A hostile connection; what comes back is drained and thrown away, or not read at all."""

    def __init__(self, server: Server, now: float, *, reads: bool = True) -> None:
        self.connection = server.accept(now)
        self.reads = reads
        self.actions: list[ServerAction] = []

    def feed(self, data: bytes, now: float) -> None:
        self._after(self.connection.receive_data(data, now), now)
        while self.connection.is_busy:
            self._after(self.connection.handle_timeout(now), now)

    def advance(self, start: float, seconds: float) -> None:
        """Nothing more is said for so long."""
        while (due := self.connection.next_timeout()) is not None and due <= start + seconds:
            self._after(self.connection.handle_timeout(due), due)

    def _after(self, actions: list[ServerAction], now: float) -> None:
        self.actions += [
            action for action in actions if isinstance(action, HttpAnswered | ConnectionClosed | CloseSocket)
        ]
        if self.reads:
            self.connection.data_to_send(now)

    def verdicts(self) -> list[int | None]:
        """HTTP statuses and close codes, as they were reported."""
        return [
            action.status if isinstance(action, HttpAnswered) else action.code
            for action in self.actions
            if isinstance(action, HttpAnswered | ConnectionClosed)
        ]


def peak_of(play: Callable[[], object]) -> int:
    """Bytes allocated at the worst moment of a call, above what there was before it."""
    gc.collect()
    tracemalloc.start()
    try:
        play()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# -- one after the other -----------------------------------------------------------------------------------------------


@pytest.mark.failure("F40")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_costs_the_attacker_its_connection_and_little_memory(name: str) -> None:
    attack, verdict, bound = ATTACKS[name]
    watched = Watched()
    server = watched.rig.server
    run_attack(attack, server, random.Random(7))  # what is loaded once for all is loaded
    chunks = list(attack(random.Random(7)))
    found: list[Hostile] = []

    def play() -> None:
        hostile = Hostile(server, watched.rig.now)
        found.append(hostile)
        for chunk in chunks:
            hostile.feed(chunk, watched.rig.now)

    peak = peak_of(play)
    watched.look()
    [hostile] = found
    hostile.advance(watched.rig.now, 100.0)
    assert hostile.verdicts() == [verdict], "reported once, for what it is"
    assert isinstance(hostile.actions[-1], CloseSocket)
    assert hostile.connection.has_ended
    assert set(server.connections) == {watched.good.connection.id}
    assert len(server.sessions) == 1
    assert peak <= bound, f"{peak} bytes were held"
    watched.look()


@pytest.mark.failure("F40")
@pytest.mark.parametrize("compress", [None, "zlib-stream", "zstd-stream"])
def test_a_silent_client_is_held_in_ten_kibibytes(compress: str | None) -> None:
    server = Watched().rig.server
    query = f"v=10&compress={compress}" if compress else "v=10"
    beats = text_frame(message(1, None)) * 3
    Hostile(server, 0.0).feed(upgrade_request(query) + beats, 0.0)
    gc.collect()
    tracemalloc.start()
    try:
        clients = [Hostile(server, 0.0) for _ in range(20)]
        for client in clients:
            client.feed(upgrade_request(query) + beats, 0.0)
            client.actions.clear()
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] <= SILENT_BOUND * len(clients)
    finally:
        tracemalloc.stop()


def run_attack(attack: Attack, server: Server, rng: random.Random) -> Hostile:
    hostile = Hostile(server, 0.0)
    for chunk in attack(rng):
        hostile.feed(chunk, 0.0)
    hostile.advance(0.0, 100.0)
    return hostile


def test_a_byte_a_second_is_no_request_in_time() -> None:
    watched = Watched()
    hostile = Hostile(watched.rig.server, 0.0)
    for second, byte in enumerate(upgrade_request()):
        watched.rig.now = float(second)
        hostile.advance(watched.rig.now - 1.0, 1.0)
        hostile.feed(bytes([byte]), watched.rig.now)
        if second < 30:
            watched.look()
    assert hostile.verdicts() == [408]
    assert hostile.connection.has_ended


def test_a_byte_a_second_is_no_heartbeat_in_time() -> None:
    watched = Watched()
    hostile = Hostile(watched.rig.server, 0.0)
    hostile.feed(upgrade_request(), 0.0)
    frame = text_frame(message(1, None) + b" " * 100)
    for second, byte in enumerate(frame):
        hostile.advance(second - 1.0, 1.0)
        hostile.feed(bytes([byte]), float(second))
    assert hostile.verdicts() == [4000]
    assert hostile.connection.has_ended


@pytest.mark.parametrize("size", [0, 125])
def test_pings_of_a_client_that_does_not_read_hold_what_they_are_and_no_more(size: int) -> None:
    """An answer to an empty PING is two bytes: as an object of its own it would be forty, within the same bound."""
    bound = 2**16
    server = Server(ServerConfig(limits=ServerLimits(max_unsent=bound)), rng=random.Random(1))
    hostile = Hostile(server, 0.0, reads=False)
    hostile.feed(upgrade_request(), 0.0)
    flood = encode_frame(FrameOpcode.PING, b"x" * size, MASK) * (100 if size else 1000)
    held: list[int] = []

    def play() -> None:
        while not hostile.connection.has_ended:
            hostile.feed(flood, 0.0)
            held.append(tracemalloc.get_traced_memory()[0])

    peak = peak_of(play)
    assert max(held) <= 1.3 * bound + PAYLOAD_BOUND, f"{max(held)} bytes are held, for {bound} that are waited for"
    assert peak <= 2.5 * bound + PAYLOAD_BOUND + 3 * len(flood)
    assert hostile.actions[-1] == CloseSocket(connection_id=1, abort=True, grace=2.0)
    assert [action.reason for action in hostile.actions if isinstance(action, ConnectionClosed)] == [
        "the client does not read"
    ]


@pytest.mark.parametrize("frame", [b"\x00\x80" + MASK, b"\x8a\x80" + MASK], ids=["fragments", "PONGs"])
def test_frames_that_mean_nothing_take_their_turns_too(frame: bytes) -> None:
    server = Server(ServerConfig(), rng=random.Random(1))
    connection = server.accept(0.0)
    connection.receive_data(upgraded(b"\x01\x80" + MASK), 0.0)
    connection.receive_data(frame * (2 * MAX_FRAMES + 5), 0.0)
    turns = 0
    while connection.is_busy:
        connection.handle_timeout(0.0)
        turns += 1
    assert turns == 2


def test_no_chunk_of_frames_keeps_the_others_waiting() -> None:
    """A read of 64 KiB can be ten thousand PINGs, which take half a second: they are answered by and by."""
    watched = Watched()
    server = watched.rig.server
    connection = server.accept(0.0)
    connection.receive_data(upgrade_request(), 0.0)
    connection.data_to_send(0.0)
    count = 3 * MAX_FRAMES + 5
    pongs, turns = 0, 0
    connection.receive_data(encode_frame(FrameOpcode.PING, b"", MASK) * count, 0.0)
    while True:
        sent = connection.data_to_send(0.0)
        assert len(sent) <= 2 * MAX_FRAMES
        pongs += len(sent) // 2
        turns += 1
        watched.look()
        if not connection.is_busy:
            break
        assert connection.next_timeout() == 0.0
        connection.handle_timeout(0.0)
    assert (pongs, turns) == (count, 4)


def test_what_is_left_over_of_a_flood_is_read_before_what_comes_later_and_not_after_an_end() -> None:
    rig = Rig()
    client = rig.client()
    flood = encode_frame(FrameOpcode.PING, b"", MASK) * (MAX_FRAMES + 1)
    connection = client.connection
    connection.receive_data(flood + text_frame(message(1, None)), 0.0)
    assert connection.is_busy
    connection.receive_data(text_frame(message(99, None)), 0.0)
    client.wake()
    rig.advance(0.0)
    assert client.ops()[-1] == 11
    assert client.closed is not None
    assert client.closed[0] == 4001
    other = rig.client()
    other.connection.receive_data(flood, 0.0)
    other.eof()
    assert not other.connection.is_busy
    assert other.connection.next_timeout() is None


def test_a_slow_reader_holds_twice_what_may_be_unsent_and_is_dropped_with_its_session_kept() -> None:
    limit = 2**20
    watched = Watched(max_unsent=limit)
    rig = watched.rig
    rig.advance(6.0)
    slow = Hostile(rig.server, rig.now, reads=False)
    slow.feed(upgrade_request() + text_frame(message(2, identify_data())), rig.now)
    assert slow.connection.session is not None
    session = slow.connection.session
    body = b'"' + b"x" * 10_000 + b'"'
    writing: list[bytes] = []

    def play() -> None:
        # Its driver drained once, and waits for the socket from then on.
        for number in range(400):
            rig.server.dispatch(session.id, "EVENT", body, rig.now)
            if number == 50:
                writing.append(slow.connection.data_to_send(rig.now))
            if slow.connection.has_ended:
                slow.advance(rig.now, 0.0)
                return

    peak = peak_of(play)
    # What is queued is in the session's buffer, too, and counts once; what is being written is a copy.
    assert peak <= 2 * limit + len(writing[0]) + PAYLOAD_BOUND
    assert slow.connection.has_ended
    assert slow.actions[-1] == CloseSocket(connection_id=slow.connection.id, abort=True, grace=2.0)
    assert session.detached_at is not None
    watched.look()


# -- all at once, through the real driver, in virtual time -------------------------------------------------------------

SOCKETS = 200


class Listening:
    """A gateway on a network in memory, and what it reported."""

    def __init__(self, network: MemoryNetwork, clock: VirtualClock, **limits: Any) -> None:
        self.reported: Counter[str] = Counter()
        self.network = network
        config = ServerConfig(limits=ServerLimits(**limits), heartbeat_interval=INTERVAL, token=Secret("good"))
        self.gateway = Gateway(config, rng=random.Random(1), clock=clock, on_action=self._note)

    def _note(self, action: ServerAction) -> None:
        if isinstance(action, HttpAnswered):
            self.reported[f"HTTP {action.status}"] += 1
        elif isinstance(action, ConnectionClosed):
            self.reported[f"{action.code} {action.reason}"] += 1

    async def dial(self) -> MemoryStream:
        return await self.network.dial("gateway", 443, tls=False)


class GoodClient:
    """Identifies, beats, and notes when each event and each ACK came."""

    def __init__(self, listening: Listening, clock: VirtualClock) -> None:
        self.listening = listening
        self.clock = clock
        self.came: list[tuple[float, int, Any]] = []
        self.ready = anyio.Event()

    async def run(self) -> None:
        stream = await self.listening.dial()
        peer = Client(Rig(), Rig().server.accept(0.0))
        await stream.send(upgrade_request())
        await stream.send(text_frame(message(2, identify_data(token="good"))))
        async with anyio.create_task_group() as group:
            group.start_soon(self._beat, stream)
            seen = 0
            while data := await stream.receive():
                peer._take(data)
                for received in peer.received[seen:]:
                    self.came.append((self.clock.now(), received["op"], received["d"]))
                    if received["t"] == "READY":
                        self.ready.set()
                seen = len(peer.received)

    async def _beat(self, stream: MemoryStream) -> None:
        while True:
            await self.clock.sleep(20.0)
            await stream.send(text_frame(message(1, None)))


async def story(hostile: Callable[[Listening, VirtualClock, int], Any] | None) -> tuple[list[Any], Counter[str], int]:
    """What a good client saw in three minutes, what was reported, and how many sockets were left."""
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1), latency=(0.05, 0.05))
        listening = Listening(network, clock, max_unsent=2**16)
        listener = network.listen("gateway", 443)
        good = GoodClient(listening, clock)
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, listening.gateway.handle)
            group.start_soon(good.run)
            await good.ready.wait()
            for number in range(SOCKETS if hostile is not None else 0):
                assert hostile is not None
                group.start_soon(hostile, listening, clock, number)
            for number in range(90):
                await clock.sleep(2.0)
                listening.gateway.broadcast("EVENT", b'{"n":%d}' % number)
            await clock.sleep(1.0)
            left = len(listening.gateway.server.connections)
            reported = listening.reported.copy()
            group.cancel_scope.cancel()
        return good.came, reported, left


async def attack_in_turn(listening: Listening, clock: VirtualClock, number: int) -> None:
    """One of the attacks, then never a word more, and never a read."""
    name = list(ATTACKS)[number % len(ATTACKS)]
    try:
        stream = await listening.dial()
        for chunk in ATTACKS[name][0](random.Random(number)):
            await stream.send(chunk[:4096])
        await clock.sleep(1000.0)
    except StreamError:
        pass


async def open_and_wait(listening: Listening, clock: VirtualClock, number: int) -> None:
    await listening.dial()
    await clock.sleep(1000.0)


async def read_slowly(listening: Listening, clock: VirtualClock, number: int) -> None:
    """Upgraded; asks by PINGs for more than it reads."""
    try:
        stream = await listening.dial()
        await stream.send(upgrade_request())
        flood = encode_frame(FrameOpcode.PING, b"x" * 125, MASK) * 500
        for _ in range(10):
            await stream.send(flood)
        await clock.sleep(1000.0)
    except StreamError:
        pass


@pytest.mark.anyio
@pytest.mark.parametrize("hostile", [attack_in_turn, open_and_wait, read_slowly])
async def test_hundreds_of_hostile_sockets_move_nothing_of_another_client(hostile: Any) -> None:
    alone, _, _ = await story(None)
    beside, reported, left = await story(hostile)
    assert beside == alone, "every event and every ACK comes at the same instant as if nobody else were there"
    assert sum(op == 0 for _, op, _ in alone) == 91
    assert sum(op == 11 for _, op, _ in alone) >= 8
    assert left == 1, "of the others none is served any more"
    assert sum(reported.values()) == SOCKETS, reported


@pytest.mark.anyio
async def test_the_driver_reads_no_more_than_it_has_turns_for() -> None:
    """Otherwise a flood would be held instead of left in the sender's buffers."""
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1))
        listening = Listening(network, clock)
        listener = network.listen("gateway", 443)
        flood = encode_frame(FrameOpcode.PONG, b"", MASK) * 50_000
        most = 0
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, listening.gateway.handle)
            stream = await listening.dial()
            await stream.send(upgrade_request())
            group.start_soon(stream.send, flood + text_frame(message(99, None)))
            for _ in range(100_000):
                for connection in listening.gateway.server.connections.values():
                    most = max(most, len(connection._inbox))
                await anyio.lowlevel.checkpoint()
                if listening.reported:
                    break
            group.cancel_scope.cancel()
        assert any(report.startswith("4001") for report in listening.reported), "what stands behind the flood is read"
        assert 0 < most <= 2 * CHUNK, f"{most} bytes of {len(flood)} were held at once"
