"""The shard embedded in somebody else's WebSocket: aiohttp frames, the shard is handed whole messages."""

import asyncio
import random
import time
from collections.abc import Callable

import aiohttp
import pytest

from gateway_proto import (
    ClosedError,
    Connect,
    Disconnect,
    Dispatch,
    IdentifyWanted,
    Reconnect,
    ReconnectType,
    Secret,
    Shard,
    ShardAction,
)
from gateway_proto.server import (
    Close,
    ConnectionClosed,
    Drop,
    Fault,
    Identified,
    ServerAction,
    ServerConfig,
    SessionResumed,
)
from gateway_transports.serve import serve

from .packing import MODES, Mode, config_of

EVENTS = 100
TOKEN = Secret("the.bot.token")
now = time.monotonic


@pytest.fixture
def anyio_backend() -> str:
    """aiohttp runs on asyncio alone."""
    return "asyncio"


class Embedding:
    """Drives a shard over aiohttp until `on_event` returns true."""

    def __init__(self, shard: Shard, session: aiohttp.ClientSession, on_event: Callable[[Dispatch], object]) -> None:
        self.log: list[ShardAction] = []
        self._shard = shard
        self._session = session
        self._on_event = on_event
        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._generation = 0

    async def run(self) -> None:
        shard = self._shard
        actions = shard.connect(now())
        while actions or shard.next_timeout() is not None:
            for action in actions:  # which grow meanwhile
                self.log.append(action)
                actions += await self._act(action)
            actions = await self._turn()

    async def _act(self, action: ShardAction) -> list[ShardAction]:
        match action:
            case Connect():
                return await self._dial(action)
            case Disconnect(code=code, farewell=farewell) if self._ws is not None:
                assert farewell == b"", "the framework frames its own close"
                ws, self._ws = self._ws, None
                await ws.close(code=code)
            case IdentifyWanted():
                return self._shard.identify(action.permit(), now())
            case Dispatch(epoch=epoch, sequence=sequence):
                done = self._on_event(action)
                self._shard.delivered(epoch, sequence)
                return self._shard.close(now()) if done else []
        return []

    async def _dial(self, connect: Connect) -> list[ShardAction]:
        self._generation = connect.generation
        try:
            self._ws = await self._session.ws_connect(connect.url.reveal(), max_msg_size=0)
        except aiohttp.ClientError as error:
            return self._shard.connection_failed(connect.generation, error, now())
        return self._shard.connection_made(connect.generation, now(), framed=False)

    async def _turn(self) -> list[ShardAction]:
        """Send what is due, then take one message, but wait no longer than until the next timeout."""
        shard, ws = self._shard, self._ws
        if ws is not None:
            for message in shard.messages_to_send(now()):
                await ws.send_str(message.decode())
        due = shard.next_timeout()
        if due is None:
            return []
        try:
            async with asyncio.timeout(max(due - now(), 0.0)):
                received = await (ws.receive() if ws is not None else asyncio.Future())
        except TimeoutError:
            return shard.handle_timeout(now())
        return self._take(received) + shard.handle_timeout(now())

    def _take(self, message: aiohttp.WSMessage) -> list[ShardAction]:
        shard, generation = self._shard, self._generation
        match message.type:
            case aiohttp.WSMsgType.TEXT | aiohttp.WSMsgType.BINARY:
                return shard.receive_message(generation, message.data, now())
            case aiohttp.WSMsgType.CLOSE:
                return shard.receive_close(generation, message.data, message.extra or "", now())
            case _:
                return shard.receive_eof(generation, now())


@pytest.mark.anyio
@pytest.mark.failure("F40")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("fault", "cause"),
    [(Drop(), ClosedError()), (Close(4000, b"restarting"), ClosedError(4000, "restarting"))],
    ids=["dropped", "closed"],
)
async def test_a_lost_connection_is_resumed_and_nothing_is_missed(mode: Mode, fault: Fault, cause: ClosedError) -> None:
    server_log: list[ServerAction] = []
    events: list[Dispatch] = []
    server_config = ServerConfig(token=TOKEN, replay_events=2 * EVENTS, payload_threshold=0)
    async with serve(server_config, on_action=server_log.append) as gateway, aiohttp.ClientSession() as session:

        def send(first: int, last: int) -> None:
            for number in range(first, last + 1):
                gateway.broadcast("MESSAGE_CREATE", b"%d" % number)

        def on_event(event: Dispatch) -> bool:
            events.append(event)
            if event.name == "READY":
                send(1, EVENTS // 2)
            elif event.decode() == EVENTS // 2:
                [session_id] = gateway.server.sessions
                gateway.inject(session_id, fault)
                send(EVENTS // 2 + 1, EVENTS)
            return bool(event.decode() == EVENTS)

        shard = Shard(config_of(mode, url=gateway.url), rng=random.Random(1))
        embedding = Embedding(shard, session, on_event)
        await embedding.run()

    assert [event.decode() for event in events if event.name == "MESSAGE_CREATE"] == [*range(1, EVENTS + 1)]
    assert [event.sequence for event in events] == [*range(1, len(events) + 1)]
    reconnects = [action for action in embedding.log if isinstance(action, Reconnect)]
    assert reconnects == [Reconnect(type=ReconnectType.RESUME, after=0.0, cause=cause)]
    sessions = [type(action) for action in server_log if isinstance(action, Identified | SessionResumed)]
    assert sessions == [Identified, SessionResumed]
    closes = [(action.by, action.code) for action in server_log if isinstance(action, ConnectionClosed)]
    assert closes == [("server", cause.code), ("client", 4000)]
