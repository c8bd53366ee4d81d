"""F33 from end to end: past the bound the socket is not read and the server's writes block, beats keep their times,
what silence would prove is judged anew afterwards; past the second bound the shard detaches, and a RESUME loses no
event.

The shard's own verdicts, one by one, are in `test_f_paused.py`; the runner's bounds in `test_runner_pressure.py`.
"""

import contextlib
import random
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any, Final

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import (
    ConnectionStage,
    Dispatch,
    HeartbeatFailedError,
    HeartbeatSent,
    Intents,
    Limits,
    Notice,
    NoticeKind,
    Reconnect,
    ResumeTimeoutError,
    Session,
    Shard,
    ShardAction,
    ShardConfig,
)
from gateway_proto.events import MessageCreate
from gateway_proto.fleet import ShardEnded
from gateway_proto.opcodes import Opcode
from gateway_proto.server import (
    Close,
    ConnectionClosed,
    Drop,
    Identified,
    NoAnswer,
    OnConnection,
    Planned,
    Received,
    Server,
    ServerConfig,
    SessionResumed,
    Stall,
    outbox,
)
from gateway_proto.testing.link import Link
from gateway_transports import SlowConsumerError, Stream
from gateway_transports.anyio import QueueLimits, ShardRunner
from gateway_transports.client import Client
from gateway_transports.contract import RECEIVE_SIZE
from gateway_transports.memory import MemoryStream
from gateway_transports.stores import MemoryStore
from gateway_transports.tasks import background

from .client_helpers import ClientWorld, client_world, connected, message
from .packing import event, text
from .peer import INTERVAL, Peer
from .transport_helpers import TOKEN, URL, World, number, take, world

pytestmark = pytest.mark.failure("F33")

ROUNDING: Final = 1e-6


def steps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def beat_times(actions: list[ShardAction]) -> list[float]:
    return [action.at for action in actions if isinstance(action, HeartbeatSent)]


def keep_time(times: list[float], interval: float = INTERVAL) -> bool:
    """Each beat comes an interval after the one before."""
    return steps(times) == pytest.approx([interval] * (len(times) - 1), abs=ROUNDING)


# -- the shard alone ---------------------------------------------------------------------------------------------------


@pytest.mark.failure("F08")
def test_the_cap_on_beats_without_an_ack_starts_anew() -> None:
    """Two of three intervals without an ACK, though events come, do not count once nobody has read for a while."""
    peer = Peer().to_connected()
    sequence = 1

    def live(intervals: int) -> None:
        """Events come all the time, no ACK does."""
        nonlocal sequence
        for _ in range(4 * intervals):
            sequence += 1
            peer.raw(text(event(sequence)))
            peer.advance(INTERVAL / 4)

    live(3)
    missing = [notice.kind for notice in peer.of(Notice)]
    assert missing == [NoticeKind.ACK_MISSING] * 2
    peer.call(peer.shard.reading_paused, peer.generation)
    peer.advance(INTERVAL / 8)
    peer.call(peer.shard.reading_resumed, peer.generation)
    live(3)
    assert not peer.of(Reconnect)
    assert len(peer.of(Notice)) == 4
    live(1)
    assert isinstance(peer.of(Reconnect)[0].cause, HeartbeatFailedError)


@pytest.mark.failure("F07")
def test_a_pause_between_two_beats_is_enough_to_judge_anew() -> None:
    """The last beat's ACK lies in the buffer of the socket while the next beat falls due, a moment after the pause."""
    peer = Peer().to_connected()
    while not peer.payloads(1):
        peer.advance(1.0)
    peer.call(peer.shard.reading_paused, peer.generation)
    due = peer.shard.next_timeout()
    assert due is not None
    peer.advance(due - peer.now - 0.001)
    assert len(peer.payloads(1)) == 1
    peer.call(peer.shard.reading_resumed, peer.generation)
    peer.advance(0.001)
    assert len(peer.payloads(1)) == 2
    assert not peer.of(Reconnect)


class Story:
    """A shard and the real server over the virtual link."""

    def __init__(self) -> None:
        self.actions: list[ShardAction] = []
        self.server = Server(ServerConfig(url=URL, resume_url=URL, replay_events=5000), rng=random.Random(1))
        config = ShardConfig(token=TOKEN, intents=Intents.GUILDS, url=URL)
        self.link = Link(
            Shard(config, rng=random.Random(2)), self.server, rng=random.Random(3), observe=self.actions.append
        )
        self.sent = 0
        self.link.start()
        self.link.run(10.0)

    def live(self, seconds: float, events: int) -> None:
        for _ in range(events):
            self.sent += 1
            self.link.act_server(self.server.broadcast("NUMBERED", b'{"n":%d}' % self.sent, self.link.now))
        self.link.run(seconds)

    def numbers(self) -> list[int]:
        return [number(event) for event in self.link.sink if event.name == "NUMBERED"]


PAUSES: Final = st.lists(
    st.tuples(st.floats(0.0, 8 * INTERVAL), st.floats(0.0, 3 * INTERVAL), st.integers(0, 30)), min_size=1, max_size=6
)


@pytest.mark.failure("F07", "F08", "F32")
@given(PAUSES)
def test_pauses_of_any_length_move_no_beat_and_lose_no_event(pauses: list[tuple[float, float, int]]) -> None:
    """Held against a run in which everything is read at once; the server judges our beats as it always does."""
    calm, pressed = Story(), Story()
    for paused, read, events in pauses:
        calm.live(paused, events)
        calm.live(read, events)
        pressed.link.pause_reading()
        pressed.live(paused, events)
        pressed.link.resume_reading()
        pressed.live(read, events)
    for story in (calm, pressed):
        story.live(1.0, 0)
        assert story.numbers() == list(range(1, story.sent + 1))
        assert not [action for action in story.actions if isinstance(action, Reconnect | Notice)]
    assert beat_times(pressed.actions) == beat_times(calm.actions)


# -- the runner: what the wire shows -----------------------------------------------------------------------------------


class Tap:
    """A stream that counts. `is_told` says whether the shard believes that it is not read."""

    def __init__(self, stream: Stream, is_told: Callable[[], bool] = lambda: False) -> None:
        self.receives = 0
        """Calls of `receive`."""
        self.received = 0
        """Bytes."""
        self.sends = 0
        """Calls of `send` that are done."""
        self.is_sending = False
        self.lies = 0
        """Calls of `receive` while the shard believed otherwise."""
        self._stream = stream
        self._is_told = is_told

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        self.receives += 1
        self.lies += self._is_told()
        data = await self._stream.receive(max_bytes)
        self.received += len(data)
        return data

    async def send(self, data: bytes) -> None:
        self.is_sending = True
        await self._stream.send(data)
        self.is_sending = False
        self.sends += 1

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()


class Wiretap:
    """A world's network, each of whose streams is tapped at both ends; a `Dialer`."""

    def __init__(self, w: World) -> None:
        self.w = w
        self.clients: list[Tap] = []
        self.servers: list[Tap] = []
        self.runner: ShardRunner | None = None

    async def dial(self, host: str, port: int, *, tls: bool) -> Tap:
        self.clients.append(Tap(await self.w.network.dial(host, port, tls=tls), self._is_told))
        return self.clients[-1]

    async def serve(self) -> None:
        """In the place of the world's own listener."""
        await self.w.network.listen("gateway.test", 80).serve(self._handle)

    async def _handle(self, stream: MemoryStream) -> None:
        self.servers.append(Tap(stream))
        await self.w.gateway.handle(self.servers[-1])

    def _is_told(self) -> bool:
        return self.runner is not None and self.runner.snapshot().reading_paused


async def collect(runner: ShardRunner, numbers: list[int]) -> None:
    """Take the numbered events for ever."""
    while True:
        numbers += await take(runner, 1)


@contextlib.asynccontextmanager
async def tapped(limits: QueueLimits, **config: Any) -> AsyncIterator[tuple[World, Wiretap, ShardRunner]]:
    """A connected runner whose READY is taken; `config` is the server's."""
    async with world(replay_events=5000, **config) as w, background() as group:
        wires = Wiretap(w)
        group.start_soon(wires.serve)
        async with w.open_shard(queue_limits=limits, dialer=wires) as runner:
            wires.runner = runner
            assert (await anext(runner)).name == "READY"
            yield w, wires, runner


BY_COUNT: Final = QueueLimits(events=100, pause=1e9)
BY_BYTES: Final = QueueLimits(bytes=100_000, pause=1e9)


@pytest.mark.anyio
@pytest.mark.parametrize("limits", [BY_COUNT, BY_BYTES], ids=["events", "bytes"])
async def test_past_the_bound_nothing_is_read_the_servers_writes_block_and_beats_keep_their_times(
    limits: QueueLimits,
) -> None:
    async with tapped(limits, chunk=5000) as (w, wires, runner):
        w.send(1000, pad=1000)
        await w.until(lambda: runner.snapshot().reading_paused)
        [client], [server] = wires.clients, wires.servers
        await w.clock.sleep(1.0)
        before = (client.receives, client.received, server.sends, runner.queued_events, runner.queued_bytes)
        for _ in range(10):
            await w.clock.sleep(INTERVAL)
            w.send(10, pad=1000)
            assert server.is_sending
        assert before == (client.receives, client.received, server.sends, runner.queued_events, runner.queued_bytes)
        # A server that is content with no more than 1.75 intervals of silence has had each beat.
        sent = beat_times(w.actions)
        assert len(sent) >= 10
        assert keep_time(sent)
        assert sum(action.opcode == Opcode.HEARTBEAT for action in w.of(Received)) == len(sent)
        assert await take(runner, 1100) == list(range(1, 1101))
        await w.clock.sleep(3 * INTERVAL)
        assert not server.is_sending
        assert client.lies == 0
        assert keep_time(beat_times(w.actions))
        assert not w.of(Reconnect)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "limits", [QueueLimits(events=20, pause=1e9), QueueLimits(bytes=2000, pause=1e9)], ids=["events", "bytes"]
)
async def test_the_shard_is_told_of_each_stop_and_each_start_when_half_is_taken(limits: QueueLimits) -> None:
    async with tapped(limits, chunk=300) as (w, wires, runner):
        w.send(300, pad=80)
        got: list[int] = []
        stops = 0
        while len(got) < 250:
            await w.until(lambda: runner.snapshot().reading_paused)
            assert runner.queued_events >= limits.events or runner.queued_bytes >= limits.bytes
            stops += 1
            receives = wires.clients[0].receives
            while runner.snapshot().reading_paused:
                assert runner.queued_events * 2 > limits.events or runner.queued_bytes * 2 > limits.bytes
                got += await take(runner, 1)
            assert runner.queued_events * 2 <= limits.events
            assert runner.queued_bytes * 2 <= limits.bytes
            assert wires.clients[0].receives == receives
        assert stops >= 10
        assert got + await take(runner, 300 - len(got)) == list(range(1, 301))
        assert wires.clients[0].lies == 0


# -- the runner: judged anew -------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.failure("F07")
async def test_a_peer_that_died_in_the_pause_is_found_once_the_socket_is_read_again() -> None:
    async with tapped(BY_COUNT, chunk=5000) as (w, _, runner), background() as group:
        w.send(500, pad=500)
        await w.until(lambda: runner.snapshot().reading_paused)
        w.inject(Stall())
        await w.clock.sleep(10 * INTERVAL)
        assert not w.of(Reconnect)
        got: list[int] = []
        group.start_soon(collect, runner, got)
        since = w.clock.now()
        await w.until(lambda: w.of(Reconnect))
        # The first beat is judged by what has lain in the buffers, the second by silence.
        assert INTERVAL < w.clock.now() - since <= 2 * INTERVAL + 0.1
        assert [type(lost.cause) for lost in w.of(Reconnect)] == [HeartbeatFailedError]
        await w.until(lambda: len(got) >= 500)
        assert got == list(range(1, 501))
        assert len(w.of(Identified)) == 1


@pytest.mark.anyio
@pytest.mark.failure("F22")
async def test_resumed_is_waited_for_anew_once_the_socket_is_read_again() -> None:
    """The queue is full when the shard resumes, and the gateway does not answer: who reads nothing cannot know."""
    silent = Planned(when=OnConnection(2), fault=NoAnswer())
    server = {"plan": (silent,), "session_lifetime": 1e9}
    async with tapped(BY_COUNT, chunk=5000, **server) as (w, _, runner), background() as group:
        w.send(500, pad=500)
        await w.until(lambda: runner.snapshot().reading_paused)
        runner.reconnect()
        await w.until(lambda: runner.stage is ConnectionStage.RESUMING)
        assert runner.snapshot().reading_paused
        await w.clock.sleep(400.0)
        assert len(w.of(Reconnect)) == 1
        got: list[int] = []
        group.start_soon(collect, runner, got)
        since = w.clock.now()
        await w.until(lambda: len(w.of(Reconnect)) == 2)
        assert 60.0 <= w.clock.now() - since <= 60.2
        assert w.of(Reconnect)[1].cause == ResumeTimeoutError(60.0)
        await w.until(lambda: len(got) >= 500)
        assert got == list(range(1, 501))
        assert len(w.of(Identified)) == 1


def torn(w: World) -> None:
    w.network.connections[0].reset()


def closed(w: World) -> None:
    w.inject(Close(4000))


def hung_up(w: World) -> None:
    w.inject(Drop(flush=True))


@pytest.mark.anyio
@pytest.mark.failure("F32")
@pytest.mark.parametrize("end", [torn, closed, hung_up])
async def test_a_connection_that_ends_while_nobody_reads_it_costs_no_event(end: Callable[[World], object]) -> None:
    async with tapped(BY_COUNT, chunk=5000) as (w, _, runner):
        w.send(500, pad=500)
        await w.until(lambda: runner.snapshot().reading_paused)
        end(w)
        await w.clock.sleep(3 * INTERVAL)
        w.send(100)
        assert await take(runner, 600) == list(range(1, 601))
        assert len(w.of(Reconnect)) == 1
        assert len(w.of(Identified)) == 1
        assert runner.snapshot().duplicates == 0


# -- the runner: past the second bound ---------------------------------------------------------------------------------

SECOND_BOUNDS: Final = pytest.mark.parametrize(
    ("limits", "at_once", "why"),
    [
        (QueueLimits(events=10, hard_events=50), 300, "were not taken in time"),
        (QueueLimits(bytes=1000, hard_bytes=20_000), 300, "were not taken in time"),
        (QueueLimits(events=10), 30, r"for 82\.5 s"),
    ],
    ids=["events", "bytes", "pause"],
)
"""The limits; how many of 300 events come in one chunk, past the bound at once or not until its time; what is told."""


@pytest.mark.anyio
@pytest.mark.failure("F18", "F32")
@pytest.mark.parametrize("is_emptied", [True, False], ids=["emptied", "dropped"])
@SECOND_BOUNDS
async def test_what_a_detached_shard_had_not_delivered_comes_with_the_next(
    limits: QueueLimits, at_once: int, why: str, is_emptied: bool
) -> None:
    """Whether the consumer takes the rest of the queue or forgets it. What comes at once is read in one chunk."""
    async with world(replay_events=5000) as w:
        async with w.open_shard(queue_limits=limits) as runner:
            await anext(runner)
            w.send(at_once, pad=200)
            await w.clock.sleep(1.0)
            w.send(300 - at_once, pad=200)
            got = await take(runner, 5)
            await w.until(lambda: w.of(ConnectionClosed))
            if is_emptied:
                got += await take(runner, runner.queued_events)
                assert len(got) < 300
                with pytest.raises(SlowConsumerError, match=why):
                    await anext(runner)
            else:
                got.pop()  # the one in hand is not done with
                with pytest.raises(SlowConsumerError, match=why):
                    await runner.wait()
        async with w.open_shard(session=runner.session) as runner:
            assert got + await take(runner, 300 - len(got)) == list(range(1, 301))
        assert len(w.of(Identified)) == 1
        assert {closed.code for closed in w.of(ConnectionClosed)} == {4000}


# -- the runner: what it holds -----------------------------------------------------------------------------------------


class Held:
    """What was handed out and not taken yet, by our own books."""

    def __init__(self) -> None:
        self.sizes: deque[int] = deque()
        self.most_events = 0
        self.most_bytes = 0

    def add(self, action: ShardAction) -> None:
        if isinstance(action, Dispatch):
            self.sizes.append(len(action.raw))
            self.most_events = max(self.most_events, len(self.sizes))
            self.most_bytes = max(self.most_bytes, sum(self.sizes))

    def drop(self) -> None:
        self.sizes.popleft()


@pytest.mark.anyio
@pytest.mark.parametrize("limits", [QueueLimits(events=20), QueueLimits(bytes=2000)], ids=["events", "bytes"])
async def test_a_consumer_that_is_slow_but_steady_is_waited_for_and_holds_no_more_than_the_bound(
    limits: QueueLimits,
) -> None:
    """Half an hour of a burst of 60 events a minute, each of which takes 0.9 s: nearly always it lags behind."""
    held, got, paused = Held(), list[int](), 0

    def observe(action: ShardAction) -> None:
        held.add(action)
        w.actions.append(action)

    async def speak() -> None:
        for _ in range(30):
            w.send(60, pad=80)
            await w.clock.sleep(60.0)

    async with (
        world(replay_events=5000, chunk=500) as w,
        background() as group,
        w.open_shard(queue_limits=limits, on_action=observe) as runner,
    ):
        while len(got) < 1800:
            event = await anext(runner)
            held.drop()
            if event.name == "READY":
                group.start_soon(speak)
            else:
                got.append(number(event))
                await w.clock.sleep(0.9)
            paused += runner.snapshot().reading_paused
        assert got == list(range(1, 1801))
        assert paused >= 900
        # The chunk that reaches the bound may hold a few events more.
        if limits.events == 20:
            assert 20 <= held.most_events <= 20 + 500 // 100
        else:
            assert 2000 <= held.most_bytes <= 2000 + 500
        assert keep_time(beat_times(w.actions))
        assert not w.of(Reconnect)


async def drain(runner: ShardRunner) -> list[int]:
    """What its queue holds."""
    events = [await anext(runner) for _ in range(runner.queued_events)]
    return [number(event) for event in events if event.name == "NUMBERED"]


@pytest.mark.anyio
@pytest.mark.failure("F29", "F32")
async def test_a_chunk_that_inflates_to_many_times_its_size_fills_no_more_than_the_second_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One call inflates `call_budget` bytes at most, and then the bound is judged. What had to be left comes with a
    RESUME, as often as it takes."""
    # A replay as a server sends it that does not cut it into portions, so that all of it comes in one chunk.
    monkeypatch.setattr(outbox, "PORTION", 2**30)
    budget, bound, size = 100_000, 300_000, 1100
    limits = QueueLimits(bytes=50_000, hard_bytes=bound)
    config = {"transport_compression": "zlib-stream", "limits": Limits(call_budget=budget)}
    got: list[int] = []
    most: list[int] = []
    session: Session | None = None
    async with world(replay_events=5000, zlib_level=9) as w:
        while len(got) < 2000:
            held = Held()
            opened = w.open_shard(config=config, queue_limits=limits, session=session, on_action=held.add)
            async with opened as runner:
                if session is None:
                    await w.until(lambda runner=runner: runner.stage is ConnectionStage.CONNECTED)  # type: ignore[misc]
                    w.send(2000, pad=1000)
                await w.clock.sleep(5.0)
                got += await drain(runner)
                if not w.network.connections:
                    with pytest.raises(SlowConsumerError):
                        await anext(runner)
            most.append(held.most_bytes)
            session = runner.session
        assert got == list(range(1, 2001))
        assert len(most) >= 4
        assert min(most[:-1]) >= bound
        assert max(most) <= bound + budget + size
        assert len(w.of(Identified)) == 1


# -- a client ----------------------------------------------------------------------------------------------------------


class Handlers:
    """A client's handler that takes `seconds` for each message, and does not begin until `released`."""

    def __init__(self, w: ClientWorld, client: Client[Any], seconds: float, *, is_stuck: bool = False) -> None:
        self.seen: list[int] = []
        self.pauses = 0
        """Messages at whose end the shard was not read."""
        self.done: Callable[[], object] = lambda: None
        self.released = anyio.Event()
        if not is_stuck:
            self.released.set()

        @client.handler
        async def on_message(created: MessageCreate) -> None:
            await self.released.wait()
            await w.clock.sleep(seconds)
            self.seen.append(int(created.content))
            self.done()
            snapshot = client.info(0).snapshot
            self.pauses += snapshot is not None and snapshot.reading_paused


def acted(w: ClientWorld) -> list[ShardAction]:
    return [action for _, action in w.shard_actions]


@pytest.mark.anyio
async def test_slow_handlers_of_a_client_are_waited_for_and_no_more_is_held_than_the_bounds() -> None:
    """A quarter of an hour of a burst of 60 messages a minute, four at a time, each of which takes 3.5 s."""
    held = Held()
    async with client_world(replay_events=5000) as w:
        w.network.chunk = 1000

        def observe(shard_id: int, action: ShardAction) -> None:
            if isinstance(action, Dispatch) and action.name == "MESSAGE_CREATE":
                held.add(action)
            w.shard_actions.append((shard_id, action))

        limits = QueueLimits(events=20)
        async with w.client(queue_limits=limits, concurrency=4, on_action=observe) as client:
            handlers = Handlers(w, client, 3.5)
            handlers.done = held.drop
            await client.start_shards(1)
            await connected(w, client, 1)
            for number in range(15 * 60):
                w.message(0, number)
                if number % 60 == 59:
                    await w.clock.sleep(60.0)
            await w.until(lambda: len(handlers.seen) == 15 * 60)
            # Those that end at one instant end in any order.
            assert sorted(handlers.seen) == list(range(15 * 60))
            assert all(abs(place - number) < 4 for place, number in enumerate(handlers.seen))
            assert handlers.pauses >= 400
            assert 4 + 20 <= held.most_events <= 4 + 20 + 1 + 1000 // len(message(0))
            assert keep_time(beat_times(acted(w)))
            assert not [action for action in acted(w) if isinstance(action, Reconnect)]
            assert not [update for update in w.updates if isinstance(update, ShardEnded)]


@pytest.mark.anyio
@pytest.mark.failure("F32", "F18")
@pytest.mark.parametrize("is_next_process", [False, True], ids=["restarted", "next-process"])
@SECOND_BOUNDS
async def test_a_shard_that_a_client_gave_up_resumes_and_misses_no_message(
    limits: QueueLimits, at_once: int, why: str, is_next_process: bool
) -> None:
    store = MemoryStore()
    async with client_world(replay_events=5000, session_lifetime=1e9) as w:
        options: dict[str, Any] = {"concurrency": 2, "store": store}
        async with w.client(queue_limits=limits, **options) as client:
            handlers = Handlers(w, client, 0.0, is_stuck=True)
            await client.start_shards(1)
            await connected(w, client, 1)
            for number in range(300):
                if number == at_once:
                    await w.clock.sleep(1.0)
                w.message(0, number)
            with pytest.raises(SlowConsumerError, match=why):
                await client.wait()
            w.network.chunk = 500
            if not is_next_process:
                handlers.released.set()
                client.restart(0)
                await w.until(lambda: len(set(handlers.seen)) == 300)
        if is_next_process:
            async with w.client(**options) as client:
                handlers = Handlers(w, client, 0.0)
                await client.start_shards(1)
                await w.until(lambda: len(handlers.seen) == 300)
        # What handlers had in hand when their shard was given up comes again; of the rest each comes once.
        assert sorted(set(handlers.seen)) == list(range(300))
        assert len(handlers.seen) <= (300 if is_next_process else 302)
        assert len(w.identifies) == len(w.of(SessionResumed)) == 1
