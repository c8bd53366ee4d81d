"""F34: memory over reconnects. One SSLContext for all dials; an old generation is freed at once; a thousand are flat.

Flat is judged by the number of blocks that Python holds, which costs nothing to ask, and in one test a mode by every
byte that it has allocated (tracemalloc, which sees zlib's memory too). What zstd allocates is seen by neither; it dies
with its decompressor, which is counted.
"""

import ast
import contextlib
import gc
import random
import ssl
import sys
import tracemalloc
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import anyio
import pytest

import gateway_transports
from gateway_proto import (
    Connect,
    ConnectError,
    ConnectionStage,
    Disconnect,
    Dispatch,
    GatewayError,
    IdentifyWanted,
    Intents,
    Reconnect,
    RequestSoundboardSounds,
    Secret,
    Shard,
    ShardAction,
    ShardConfig,
)
from gateway_proto.compression import Uncompressed, ZlibStream, ZstdStream
from gateway_proto.connection import Connection
from gateway_proto.fleet import IdentifyQueue, ShardManager
from gateway_proto.heartbeat import Heartbeat
from gateway_proto.ratelimit import SendBudget
from gateway_proto.server import (
    AskReconnect,
    Close,
    Fault,
    Garbage,
    InvalidSession,
    Refuse,
    SendText,
    Server,
    ServerConfig,
    ServerConnection,
)
from gateway_proto.websocket import WebSocketClient
from gateway_proto.websocket.lane import FrameReader
from gateway_proto.websocket.upgrade import UpgradeRequest
from gateway_transports.anyio import ShardRunner, open_shard
from gateway_transports.driver import Link, Ticker
from gateway_transports.memory import MemoryStream
from gateway_transports.serve import serve
from gateway_transports.tls import TlsMachine, TlsStream, default_context, wrap_client, wrap_server

from .packing import zstd
from .transport_helpers import TOKEN, World, authority, client_context, server_context, world

pytestmark = pytest.mark.failure("F34")

WARM, TURNS = 200, 1000
"""Memory after so many reconnects is held against memory after so many."""
BLOCKS: Final = 50
"""Blocks that may be more by then: one in 16 reconnects. They come of numbers that are above 256 at last."""
BYTES: Final = 4096
"""Bytes that may be more by then: 5 a reconnect. They come of numbers that have more digits."""
IDENTIFY_BLOCKS, IDENTIFY_BYTES = 33 / 32, 33
"""What a shard keeps of each IDENTIFY for "how many in 24 h", of 4,096 at most: a float in a deque, whose blocks hold
64 each."""
MODES = ("none", "zlib-stream", "zstd-stream")
URL = "ws://gateway.test"


# -- what is measured ------------------------------------------------------------------------------------------------


def settle_memory() -> None:
    """Leave no garbage, and nothing in the interpreter's own caches."""
    gc.collect()
    # Its table of 4,096 attribute look-ups holds strings that `match` makes.
    if sys.version_info >= (3, 13):
        sys._clear_internal_caches()
    else:
        sys._clear_type_cache()


def held_blocks() -> int:
    """Each Python object of up to 512 bytes is one, and so is the body of a small list or dict."""
    settle_memory()
    return sys.getallocatedblocks()


def held_bytes() -> int:
    """All that was allocated since tracing began and is not freed."""
    settle_memory()
    return tracemalloc.get_traced_memory()[0]


def alive(*kinds: type) -> dict[str, int]:
    """How many things there are of each of these kinds."""
    count = Counter(map(type, gc.get_objects()))
    return {kind.__name__: count[kind] for kind in kinds if count[kind]}


# -- the shard -------------------------------------------------------------------------------------------------------


class Pair:
    """A shard and a server, each handed the other's bytes; nothing here grows with the number of reconnects.

    `keep` is given every action of the shard.
    """

    def __init__(self, mode: str = "none", *, keep: Callable[[list[ShardAction]], object] | None = None) -> None:
        self.now = 0.0
        self.server = Server(
            ServerConfig(
                url=URL, resume_url=URL, session_limit=10**6, session_lifetime=1e9, zlib_level=1, zstd_level=1
            ),
            rng=random.Random(1),
        )
        config = ShardConfig(
            token=Secret("a.token"),
            intents=Intents.GUILDS,
            url=URL,
            transport_compression="zlib-stream" if mode == "zlib-stream" else "zstd-stream" if mode != "none" else None,
        )
        self.shard = Shard(config, rng=random.Random(2))
        self.wire: ServerConnection | None = None
        self.refuses_dial = False
        """The next dial fails."""
        self.manner: Fault | None = None
        """What befalls the next connection as soon as it is accepted."""
        self._keep = keep
        self._generation = 0
        self.do(self.shard.connect(self.now))
        self.settle()

    def do(self, actions: list[ShardAction]) -> None:
        if self._keep is not None:
            self._keep(actions)
        for action in actions:
            match action:
                case Connect(generation=generation):
                    self._dial(generation)
                case Disconnect(farewell=farewell):
                    self._hang_up(farewell)
                case IdentifyWanted():
                    self.now += 5.1
                    self.do(self.shard.identify(action.permit(), self.now))
                case Dispatch(epoch=epoch, sequence=sequence):
                    self.shard.delivered(epoch, sequence)

    def _dial(self, generation: int) -> None:
        self._generation = generation
        if self.refuses_dial:
            self.refuses_dial = False
            self.do(self.shard.connection_failed(generation, ConnectError("refused"), self.now))
            return
        self.wire = self.server.accept(self.now)
        if self.manner is not None:
            self.server.inject(self.wire.id, self.manner, self.now)
            self.manner = None
        self.do(self.shard.connection_made(generation, self.now))

    def _hang_up(self, farewell: bytes) -> None:
        wire, self.wire = self.wire, None
        if wire is not None:
            wire.receive_data(farewell, self.now)
            wire.receive_eof(self.now)

    def pump(self) -> None:
        """Carry bytes until neither side has more."""
        while (wire := self.wire) is not None:
            up = self.shard.data_to_send(self.now)
            if up:
                wire.receive_data(up, self.now)
            down = wire.data_to_send(self.now)
            if down:
                self.do(self.shard.receive_data(self._generation, down, self.now))
            elif not up:
                return

    def settle(self) -> None:
        """Until there is a session."""
        self.pump()
        while self.shard.stage is not ConnectionStage.CONNECTED:
            due = self.shard.next_timeout()
            assert due is not None
            self.advance(due - self.now)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.shard.next_timeout()) is not None and due <= end:
            self.now = max(self.now, due)
            self.do(self.shard.handle_timeout(self.now))
            self.pump()
        self.now = max(self.now, end)

    def live(self) -> None:
        """A minute with events, a beat or two, and a command that is under way at its end."""
        for number in range(3):
            self.server.broadcast("MESSAGE_CREATE", b'{"n":%d,"pad":"%s"}' % (number, b"x" * 200), self.now)
        self.advance(61.0)
        self.pump()
        self.do(self.shard.send(RequestSoundboardSounds(guild_ids=(1,)), self.now))

    def drop(self) -> None:
        """The socket ends on both sides."""
        wire, self.wire = self.wire, None
        assert wire is not None
        wire.receive_eof(self.now)
        self.do(self.shard.receive_eof(self._generation, self.now))

    def suffer(self, fault: Fault) -> None:
        wire = self.wire
        assert wire is not None
        self.server.inject(wire.id, fault, self.now)
        self.do(self.shard.receive_data(self._generation, wire.data_to_send(self.now), self.now))

    def drop_within_a_frame(self) -> None:
        self.suffer(Garbage(b"\x82\x7e\xff\xff" + bytes(5000)))
        self.drop()

    def refuse_dial(self) -> None:
        self.drop()
        self.refuses_dial = True

    def refuse_upgrade(self) -> None:
        self.drop()
        self.manner = Refuse(503)


Lose = Callable[[Pair], object]
FOUR: dict[str, Lose] = {
    "drop": Pair.drop,
    "op 7": lambda pair: pair.suffer(AskReconnect()),
    "resume": lambda pair: pair.do(pair.shard.resume(pair.now)),
    "op 9 false": lambda pair: pair.suffer(InvalidSession(False)),
}
OTHERS: dict[str, Lose] = {
    "op 9 true": lambda pair: pair.suffer(InvalidSession(True)),
    "reset": lambda pair: pair.do(pair.shard.reset(pair.now)),
    "4000": lambda pair: pair.suffer(Close(4000)),
    "4009": lambda pair: pair.suffer(Close(4009)),
    "a damaged frame": lambda pair: pair.suffer(Garbage(b"\xff" * 40)),
    "a damaged message": lambda pair: pair.suffer(SendText(b'{"op":0,')),
    "half a frame": Pair.drop_within_a_frame,
    "a refused dial": Pair.refuse_dial,
    "a refused upgrade": Pair.refuse_upgrade,
}


def growth(pair: Pair, ends: Iterable[Lose], measure: Callable[[], int]) -> int:
    """By how much memory grows from reconnect 200 to reconnect 1,000."""
    sizes = []
    for turn, lose in enumerate(ends, 1):
        pair.live()
        lose(pair)
        pair.settle()
        if turn in (WARM, TURNS):
            sizes.append(measure())
    return sizes[1] - sizes[0]


@pytest.fixture
def tracing() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", FOUR)
def test_a_thousand_reconnects_leave_memory_flat(mode: str, end: str) -> None:
    pair = Pair(mode)
    grown = growth(pair, [FOUR[end]] * TURNS, held_blocks)
    snapshot = pair.shard.snapshot()
    assert snapshot.reconnects == TURNS
    if end == "op 9 false":
        assert snapshot.identifies_24h == 1 + TURNS
        assert grown <= BLOCKS + IDENTIFY_BLOCKS * (TURNS - WARM)
    else:
        assert snapshot.resumes_won == TURNS
        assert grown <= BLOCKS


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("mode", MODES)
def test_a_thousand_ends_of_every_kind_leave_memory_flat(mode: str) -> None:
    rng, pair = random.Random(5), Pair(mode)
    grown = growth(pair, rng.choices([*FOUR.values(), *OTHERS.values()], k=TURNS), held_bytes)
    snapshot = pair.shard.snapshot()
    assert snapshot.reconnects > TURNS
    assert snapshot.resumes_won > TURNS // 2
    assert snapshot.identifies_24h > TURNS // 10
    assert grown <= BYTES + IDENTIFY_BYTES * snapshot.identifies_24h


MADE_ANEW = (
    Connection,
    WebSocketClient,
    FrameReader,
    UpgradeRequest,
    Heartbeat,
    SendBudget,
    Uncompressed,
    ZlibStream,
    ZstdStream,
    zstd.ZstdDecompressor,
)
"""What a shard makes for each of its connections."""
LIVING: dict[str, dict[str, int]] = {
    "none": {"Uncompressed": 1},
    "zlib-stream": {"ZlibStream": 1},
    "zstd-stream": {"ZstdStream": 1, "ZstdDecompressor": 1},
}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is freed but what nobody refers to; and what is older than the test is not looked at."""
    gc.collect()
    gc.disable()
    gc.freeze()
    yield
    gc.unfreeze()
    gc.enable()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", FOUR | OTHERS)
def test_an_old_generation_is_freed_at_once(mode: str, end: str) -> None:
    """Without the garbage collector, by the time the call returns that ended it, though its actions are all kept."""
    kept: list[ShardAction] = []
    pair = Pair(mode, keep=kept.extend)
    for _ in range(3):
        pair.live()
        shared = dict.fromkeys(("Connection", "WebSocketClient", "FrameReader", "Heartbeat", "SendBudget"), 1)
        assert alive(*MADE_ANEW) == shared | LIVING[mode]
        (FOUR | OTHERS)[end](pair)
        assert pair.shard.stage is ConnectionStage.DISCONNECTED
        assert alive(*MADE_ANEW) == {}
        pair.settle()
    assert sum(isinstance(action, Reconnect) for action in kept) >= 3


class Big:
    """Something that only a frame refers to."""


def raised() -> tuple[GatewayError, weakref.ref[Big]]:
    """An error as `except` gives it, and what stood in the frame that raised it."""
    big = Big()
    try:
        try:
            raise OSError("the first")
        except OSError:
            raise ConnectError("the second")  # noqa: B904  # its context is one of the things that must go
    except ConnectError as error:
        return error, weakref.ref(big)


@pytest.mark.usefixtures("uncollected")
def test_an_error_that_a_machine_is_given_keeps_nothing_of_where_it_was_raised() -> None:
    """Actions hold it, and those are not looked at by the garbage collector: a cycle through one stays for ever."""
    shard = Shard(ShardConfig(token=Secret("a.token"), intents=Intents.GUILDS), rng=random.Random(1))
    manager, queue = ShardManager(), IdentifyQueue()
    [generation] = [action.generation for action in shard.connect(0.0) if isinstance(action, Connect)]
    manager.set_shards(0, 1, 1)
    manager.initialize()
    queue.ask(shard_id=0, generation=1, now=0.0, wall=0.0)
    told: tuple[Callable[[GatewayError], object], ...] = (
        lambda error: shard.connection_failed(generation, error, 0.0),
        lambda error: manager.failed(0, error),
        queue.closed,
    )
    kept = []
    for tell in told:
        error, big = raised()
        assert big() is not None
        kept.append(tell(error))
        del error
        assert big() is None


# -- the runner ------------------------------------------------------------------------------------------------------

OF_A_CONNECTION = (Connection, ServerConnection, MemoryStream, Link, Ticker, TlsMachine, TlsStream, ssl.SSLObject)


async def lose_in_turn(w: World, runner: ShardRunner, turn: int) -> None:
    """Lose the connection by one of three ways, and wait for RESUMED."""
    if turn % 3 == 0:
        runner.reconnect()
    elif turn % 3 == 1:
        w.network.connections[-1].reset()
    else:
        w.inject(AskReconnect())
    await anext(runner)
    w.told.clear()


async def settled(w: World) -> tuple[dict[str, int], int]:
    """What is alive and how many tasks there are, once the grace of the last farewell is over."""
    await w.clock.sleep(3.0)
    w.told.clear()
    gc.collect()
    return alive(*OF_A_CONNECTION), len(anyio.get_running_tasks())


@pytest.mark.anyio
async def test_a_runner_is_flat_over_a_thousand_reconnects() -> None:
    """The whole process is judged: the event loop and its scheduler, and the embedded gateway."""
    async with (
        world(latency=(0.0, 0.0), session_lifetime=1e9, replay_events=10) as w,
        w.open_shard(on_action=None) as runner,
    ):
        await anext(runner)
        first = await settled(w)
        sizes = []
        for turn in range(1, TURNS + 1):
            await lose_in_turn(w, runner, turn)
            if turn in (WARM, TURNS):
                assert await settled(w) == first
                sizes.append(held_blocks())
        snapshot = runner.snapshot()
        assert (snapshot.reconnects, snapshot.resumes_won) == (TURNS, TURNS)
        assert sizes[1] - sizes[0] <= BLOCKS


class TlsInMemory:
    """A dialer and a listener with TLS over the network in memory."""

    def __init__(self, w: World) -> None:
        self._world = w

    async def dial(self, host: str, port: int, *, tls: bool) -> TlsStream:
        stream = await self._world.network.dial(host, 443, tls=tls)
        return await wrap_client(stream, "localhost", client_context())

    async def handle(self, stream: MemoryStream) -> None:
        await self._world.gateway.handle(await wrap_server(stream, server_context()))


@pytest.mark.anyio
async def test_tls_connections_go_with_their_generation() -> None:
    async with world(session_lifetime=1e9) as w, anyio.create_task_group() as group:
        tls = TlsInMemory(w)
        group.start_soon(w.network.listen("gateway.test", 443).serve, tls.handle)
        async with w.open_shard(dialer=tls, on_action=None) as runner:
            await anext(runner)
            first = await settled(w)
            assert first[0]["SSLObject"] == 2
            for turn in range(1, 61):
                await lose_in_turn(w, runner, turn)
            assert await settled(w) == first
            assert runner.snapshot().resumes_won == 60
        group.cancel_scope.cancel()


# -- one SSLContext --------------------------------------------------------------------------------------------------


def contexts() -> set[ssl.SSLContext]:
    return {thing for thing in gc.get_objects() if isinstance(thing, ssl.SSLContext)}


@pytest.fixture
def none_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A process that has made no context, on a system that trusts the authority of these tests."""
    trusted = tmp_path / "authority.pem"
    authority().cert_pem.write_to_path(str(trusted))
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    default_context.cache_clear()
    yield
    default_context.cache_clear()


@contextlib.asynccontextmanager
async def shards_over_tls(count: int) -> AsyncIterator[list[ShardRunner]]:
    """So many runners, each with a dialer of its own, as they are without further arguments."""
    config = ServerConfig(token=TOKEN, shards=count, max_concurrency=count)
    async with (
        serve(config, ssl_context=server_context(), rng=random.Random(1)) as gateway,
        contextlib.AsyncExitStack() as stack,
    ):
        runners = []
        for index in range(count):
            shard = ShardConfig(token=TOKEN, intents=Intents.GUILDS, url=gateway.url, shard=(index, count))
            runners.append(await stack.enter_async_context(open_shard(shard)))
        yield runners


@pytest.mark.anyio
@pytest.mark.usefixtures("none_made")
async def test_all_dials_of_all_runners_share_one_context() -> None:
    server_context()
    before = contexts()
    with anyio.fail_after(60):
        async with shards_over_tls(3) as runners:
            for runner in runners:
                await anext(runner)
                # The first RESUME in a row comes without a wait.
                runner.reconnect()
                while (await anext(runner)).name != "RESUMED":
                    pass
                assert runner.snapshot().generation == 2
            assert contexts() - before == {default_context()}


def test_one_module_alone_makes_a_context() -> None:
    """Each costs a parse of the system's certificates, and their memory. A command line has trust of its own."""
    [root] = gateway_transports.__path__
    makers = set()
    for path in Path(root).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if called.removeprefix("ssl.") in ("create_default_context", "SSLContext"):
                makers.add(path.relative_to(root).as_posix())
    assert {maker for maker in makers if not maker.startswith("cli/")} == {"tls.py"}
