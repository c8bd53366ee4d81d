"""A client for the server's tests: wsproto as the peer, an inflater of its own, a virtual clock.

`Rig` is the driver of every connection: it does what actions ask for and keeps all of them in `actions`.
"""

import json
import random
import sys
import zlib
from typing import Any, TypeVar

import wsproto.events as ws
from wsproto.connection import Connection, ConnectionState, ConnectionType

from gateway_proto.secret import Secret
from gateway_proto.server import (
    CloseSocket,
    Fault,
    Identified,
    Server,
    ServerAction,
    ServerConfig,
    ServerConnection,
    Wake,
)
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

A = TypeVar("A")
TOKEN = "a token that must never print"
MASK = b"\x01\x02\x03\x04"


def upgrade_request(query: str = "v=10&encoding=json", path: str = "/", **headers: str) -> bytes:
    """The header block of an upgrade; a header given as "" is left out."""
    fields = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"GET {path}?{query} HTTP/1.1", *lines, "", ""]).encode()


def text_frame(payload: bytes) -> bytes:
    return encode_frame(FrameOpcode.TEXT, payload, MASK)


def message(op: int, d: Any) -> bytes:
    return json.dumps({"op": op, "d": d}, separators=(",", ":")).encode()


def identify_data(**changes: Any) -> dict[str, Any]:
    """The `d` of a valid op 2; a field changed to `...` is left out."""
    data = {"token": TOKEN, "intents": 513, "properties": {"os": "linux", "browser": "b", "device": "d"}, **changes}
    return {name: value for name, value in data.items() if value is not ...}


class Rig:
    """A server and the clients on it, all at one virtual time `now`."""

    def __init__(self, config: ServerConfig | None = None, *, seed: int = 1) -> None:
        self.server = Server(config or ServerConfig(), rng=random.Random(seed))
        self.now = 0.0
        self.actions: list[ServerAction] = []
        self.clients: dict[int, Client] = {}

    def client(
        self, query: str = "v=10&encoding=json", *, compress: str | None = None, upgrade: bool = True
    ) -> "Client":
        """Connect a socket, and upgrade it unless told not to."""
        client = Client(self, self.server.accept(self.now), compress)
        self.clients[client.connection.id] = client
        if upgrade:
            client.feed(upgrade_request(query + (f"&compress={compress}" if compress else "")))
        return client

    def ready(self, **changes: Any) -> "Client":
        """A client that has its READY."""
        client = self.client()
        client.identify(**changes)
        assert client.events() == ["READY"], client.received
        return client

    def run(self, actions: list[ServerAction]) -> list[ServerAction]:
        """Do what actions of the server ask for."""
        self.actions += actions
        for action in actions:
            if isinstance(action, Wake):
                self.clients[action.connection_id].wake()
        return actions

    def dispatch(self, session_id: Secret, name: str = "EVENT", d: Any = None) -> list[ServerAction]:
        return self.run(self.server.dispatch(session_id, name, json.dumps(d).encode(), self.now))

    def inject(self, target: "Client | Secret", fault: Fault) -> None:
        aim = target if isinstance(target, Secret) else target.connection.id
        self.run(self.server.inject(aim, fault, self.now))

    def advance(self, seconds: float) -> None:
        """Let time pass; every timer fires at its own time."""
        end = self.now + seconds
        while True:
            due = [
                (at, client.connection.id)
                for client in self.clients.values()
                if (at := client.connection.next_timeout()) is not None and at <= end
            ]
            if not due:
                break
            at, id = min(due)
            self.now = max(self.now, at)
            self.clients[id].wake()
        self.now = end

    def reported(self, kind: type[A]) -> list[A]:
        return [action for action in self.actions if isinstance(action, kind)]


class Client:
    """One socket and the peer at its other end. `received` are decoded messages, `closed` is (code, reason)."""

    def __init__(self, rig: Rig, connection: ServerConnection, compress: str | None = None) -> None:
        self.rig = rig
        self.connection = connection
        self.received: list[Any] = []
        self.frames: list[tuple[str, bytes]] = []
        self.pongs: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.socket: CloseSocket | None = None
        self.head = b""
        self.sent = b""
        self._open = False
        self._peer = Connection(ConnectionType.CLIENT)
        self._partial: list[bytes] = []
        self._zlib = zlib.decompressobj() if compress == "zlib-stream" else None
        self._zstd = zstd.ZstdDecompressor() if compress == "zstd-stream" else None

    # -- driving -------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> list[ServerAction]:
        return self._after(self.connection.receive_data(data, self.rig.now))

    def eof(self) -> list[ServerAction]:
        return self._after(self.connection.receive_eof(self.rig.now))

    def wake(self) -> list[ServerAction]:
        return self._after(self.connection.handle_timeout(self.rig.now))

    def _after(self, actions: list[ServerAction]) -> list[ServerAction]:
        for action in actions:
            if isinstance(action, CloseSocket):
                assert action.connection_id == self.connection.id
                assert self.socket is None, "CloseSocket twice"
                self.socket = action
        self.rig.run(actions)
        while data := self.connection.data_to_send(self.rig.now):
            self._take(data)
        return actions

    def _take(self, data: bytes) -> None:
        self.sent += data
        if not self._open:
            self.head += data
            head, separator, data = self.head.partition(b"\r\n\r\n")
            if not separator or not head.startswith(b"HTTP/1.1 101"):
                return
            self._open = True
        assert self._peer.state is ConnectionState.OPEN, "bytes behind the close frame"
        self._peer.receive_data(data)
        for event in self._peer.events():
            match event:
                case ws.TextMessage() | ws.BytesMessage():
                    self._join(event)
                case ws.Pong():
                    self.pongs.append(bytes(event.payload))
                case ws.CloseConnection():
                    self.closed = (int(event.code), event.reason or "")

    def _join(self, event: ws.TextMessage | ws.BytesMessage) -> None:
        self._partial.append(event.data.encode() if isinstance(event, ws.TextMessage) else bytes(event.data))
        if not event.message_finished:
            return
        payload, self._partial = b"".join(self._partial), []
        kind = "TEXT" if isinstance(event, ws.TextMessage) else "BINARY"
        self.frames.append((kind, payload))
        if kind == "BINARY":
            if self._zlib is not None:
                payload = self._zlib.decompress(payload)
            elif self._zstd is not None:
                payload = self._zstd.decompress(payload)
            else:
                payload = zlib.decompress(payload)
        self.received.append(json.loads(payload))

    # -- saying --------------------------------------------------------------------------------------------------

    def say(self, op: int, d: Any) -> list[ServerAction]:
        return self.feed(text_frame(message(op, d)))

    def identify(self, **changes: Any) -> list[ServerAction]:
        return self.say(2, identify_data(**changes))

    def resume(self, session_id: Secret, sequence: Any, token: str = TOKEN) -> list[ServerAction]:
        return self.say(6, {"token": token, "session_id": session_id.reveal(), "seq": sequence})

    def beat(self, d: Any = None) -> list[ServerAction]:
        return self.say(1, d)

    def close(self, code: int, reason: str = "") -> list[ServerAction]:
        return self.feed(encode_frame(FrameOpcode.CLOSE, close_payload(code, reason), MASK))

    # -- looking -------------------------------------------------------------------------------------------------

    @property
    def session_id(self) -> Secret:
        return next(
            action.session_id
            for action in reversed(self.rig.reported(Identified))
            if action.connection_id == self.connection.id
        )

    def events(self) -> list[str]:
        return [received["t"] for received in self.received if received["op"] == 0]

    def sequences(self) -> list[int]:
        return [received["s"] for received in self.received if received["op"] == 0]

    def bodies(self) -> list[Any]:
        return [received["d"] for received in self.received if received["op"] == 0 and received["t"] == "EVENT"]

    def ops(self) -> list[int]:
        return [received["op"] for received in self.received]
