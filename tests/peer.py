"""A scripted gateway for tests of the shard: it says exactly what the test says, byte for byte.

`Peer` drives one `Shard` in virtual time: it answers the upgrade, frames messages, and reads what the shard sent by
wsproto. It decides nothing by itself; for a gateway that behaves there is `gateway_proto.server`.
"""

import json
import random
from collections.abc import Callable
from typing import Any, Self, TypeVar

import msgspec
from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Pong, TextMessage
from wsproto.utilities import generate_accept_token

from gateway_proto import (
    Connect,
    Disconnect,
    Dispatch,
    IdentifyWanted,
    Intents,
    Secret,
    Session,
    Shard,
    ShardAction,
    ShardConfig,
)
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

A = TypeVar("A")

BASE = "wss://gateway.discord.gg"
RESUME_URL = "wss://gateway-us-east1-b.discord.gg"
INTERVAL = 41.25


def config(**changes: Any) -> ShardConfig:
    """The config of most tests."""
    settings: dict[str, Any] = {"token": Secret("the.bot.token"), "intents": Intents.GUILDS, "url": BASE}
    return ShardConfig(**{**settings, **changes})


def ready(session_id: str = "session-1", guilds: tuple[int, ...] = (), **fields: Any) -> dict[str, Any]:
    """The `d` of a READY."""
    return {
        "v": 10,
        "session_id": session_id,
        "resume_gateway_url": RESUME_URL,
        "guilds": [{"id": str(guild), "unavailable": True} for guild in guilds],
        "application": {"id": "42", "flags": 0},
        **fields,
    }


class Peer:
    """A shard, the time, and the other end of its current socket."""

    def __init__(
        self, shard_config: ShardConfig | None = None, *, session: Session | None = None, seed: int = 1
    ) -> None:
        self.shard = Shard(shard_config or config(), rng=random.Random(seed), session=session)
        self.now = 1000.0
        self.generation = 0
        self.log: list[ShardAction] = []
        """Every action that was ever returned."""
        self.sent: list[dict[str, Any]] = []
        """Every payload that the shard put on the wire."""
        self.pongs: list[bytes] = []
        self.closes: list[int | None] = []
        """Codes of the close frames that the shard put on the wire."""
        self.connects: list[Connect] = []
        self._frames = Connection(ConnectionType.SERVER)
        self._request = b""
        self._upgraded = False

    # -- driving -----------------------------------------------------------------------------------------------

    def do(self, actions: list[ShardAction]) -> list[ShardAction]:
        """Take the actions of an input: note them, pump what the shard writes."""
        self.log += actions
        for action in actions:
            if isinstance(action, Connect):
                self.connects.append(action)
                self.generation = action.generation
                self._frames = Connection(ConnectionType.SERVER)
                self._request = b""
                self._upgraded = False
            elif isinstance(action, Disconnect):
                self._read(action.farewell)
        self.pump()
        return actions

    def pump(self) -> None:
        """Read what the shard has to send now."""
        data = self.shard.data_to_send(self.now)
        if not self._upgraded:
            self._request += data
            return
        self._read(data)

    def _read(self, data: bytes) -> None:
        self._frames.receive_data(data)
        for event in self._frames.events():
            if isinstance(event, TextMessage):
                self.sent.append(json.loads(event.data))
            elif isinstance(event, CloseConnection):
                self.closes.append(event.code)
            elif isinstance(event, Pong):
                self.pongs.append(bytes(event.payload))

    def call(self, method: Callable[..., list[ShardAction]], *args: Any, **kwargs: Any) -> list[ShardAction]:
        """Call an input or command of the shard with `now` appended."""
        return self.do(method(*args, self.now, **kwargs))

    def advance(self, seconds: float) -> list[ShardAction]:
        """Let time pass, handling each timer at its time."""
        end = self.now + seconds
        actions: list[ShardAction] = []
        for _ in range(100_000):
            due = self.shard.next_timeout()
            if due is None or due > end:
                self.now = end
                return actions
            self.now = max(self.now, due)
            actions += self.do(self.shard.handle_timeout(self.now))
        raise AssertionError("the shard is never done with its timers")

    def jump(self, seconds: float) -> list[ShardAction]:
        """Let time pass without anybody looking at a timer; then handle what is due."""
        self.now += seconds
        return self.advance(0.0)

    # -- the wire ----------------------------------------------------------------------------------------------

    def open(self) -> list[ShardAction]:
        """Dial (if need be) and open the socket; the upgrade is not answered yet."""
        if self.shard.stage.value == "disconnected":
            self.call(self.shard.connect)
        return self.do(self.shard.connection_made(self.generation, self.now))

    def upgrade(self) -> list[ShardAction]:
        """Accept the upgrade."""
        return self.raw(self.upgrade_response())

    def upgrade_response(self) -> bytes:
        headers = dict(line.split(b": ", 1) for line in self._request.split(b"\r\n") if b": " in line)
        token = generate_accept_token(headers[b"Sec-WebSocket-Key"])
        self._upgraded = True
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
        )

    @property
    def request(self) -> bytes:
        """The upgrade request as the shard wrote it."""
        return self._request

    def raw(self, data: bytes) -> list[ShardAction]:
        return self.do(self.shard.receive_data(self.generation, data, self.now))

    def say(self, *payloads: dict[str, Any]) -> list[ShardAction]:
        """Send gateway messages as TEXT frames."""
        frames = [encode_frame(FrameOpcode.TEXT, msgspec.json.encode(payload)) for payload in payloads]
        return self.raw(b"".join(frames))

    def close(self, code: int, reason: str = "") -> list[ShardAction]:
        return self.raw(encode_frame(FrameOpcode.CLOSE, close_payload(code, reason)))

    def eof(self) -> list[ShardAction]:
        return self.do(self.shard.receive_eof(self.generation, self.now))

    # -- shorthands --------------------------------------------------------------------------------------------

    def hello(self, interval: float = INTERVAL) -> list[ShardAction]:
        return self.say({"op": 10, "d": {"heartbeat_interval": interval * 1000}})

    def ack(self) -> list[ShardAction]:
        return self.say({"op": 11})

    def dispatch(self, sequence: int, name: str = "MESSAGE_CREATE", d: Any = None) -> list[ShardAction]:
        return self.say({"op": 0, "t": name, "s": sequence, "d": {} if d is None else d})

    def permit(self) -> list[ShardAction]:
        """Grant the permit that was asked for last."""
        wanted = [action for action in self.log if isinstance(action, IdentifyWanted)][-1]
        return self.call(self.shard.identify, wanted.permit())

    def to_handshake(self) -> Self:
        """Upgraded; HELLO not said."""
        self.open()
        self.upgrade()
        return self

    def to_identifying(self) -> Self:
        self.to_handshake()
        self.hello()
        self.permit()
        return self

    def to_connected(self, **fields: Any) -> Self:
        """Connected, with READY as sequence 1 and delivered."""
        self.to_identifying()
        self.dispatch(1, "READY", ready(**fields))
        self.deliver()
        return self

    def to_resuming(self) -> Self:
        """Connected once, dropped, and RESUME is on the wire of the next connection."""
        self.to_connected()
        self.eof()
        return self.resume_again()

    def redial(self) -> str:
        """Wait for the next dial, to the instant; returns its host."""
        while self.shard.stage.value == "disconnected":
            due = self.shard.next_timeout()
            assert due is not None, "no dial is planned"
            self.advance(due - self.now)
        assert self.shard.stage.value == "connecting"
        return self.connects[-1].host

    def resume_again(self) -> Self:
        """Wait for the next dial, open it and say HELLO."""
        while self.shard.stage.value != "connecting":
            self.advance(1.0)
        self.to_handshake()
        self.hello()
        return self

    def deliver(self) -> None:
        """The sink takes everything that was dispatched."""
        for action in self.of(Dispatch):
            self.shard.delivered(action.epoch, action.sequence)

    def of(self, kind: type[A], actions: list[ShardAction] | None = None) -> list[A]:
        """The actions of one kind, of all or of these."""
        return [action for action in (self.log if actions is None else actions) if isinstance(action, kind)]

    def payloads(self, opcode: int) -> list[Any]:
        """The `d` of every payload with this op that the shard sent."""
        return [payload["d"] for payload in self.sent if payload["op"] == opcode]
