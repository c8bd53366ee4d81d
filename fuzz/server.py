"""Sequences of operations on a `Server` and its connections: every public input, in any order, with any arguments.

The client's side is partly honest (upgrades, IDENTIFY, RESUME, heartbeats), or else nothing would ever be a session,
and partly raw bytes; faults strike as the input says.

Invariants:
- nothing raises;
- `next_timeout` is never before the connection's last `now`, and a driver that obeys it comes to rest;
- an input's actions are about its own connection, but for `Wake`; `CloseSocket` is said once, and then the connection
  is silent and forgotten;
- a session's sequence never falls; without faults what a connection sends is lawful and its dispatches are numbered
  without a gap, on from READY or from what the RESUME named;
- no secret is in any repr, nor in what `Received` reports of IDENTIFY and RESUME.

Permitted exceptions: none.
"""

import json
import random
import re
import zlib
from collections.abc import Callable
from typing import Any, Self

from gateway_proto.secret import Secret
from gateway_proto.server import (
    AskReconnect,
    AtSequence,
    Chunk,
    Close,
    CloseSocket,
    Corrupt,
    Drop,
    Fault,
    FaultFired,
    Fragment,
    Garbage,
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
    ServerLimits,
    SessionEnded,
    SessionResumed,
    SplitMessages,
    Stall,
    Swap,
    Upgraded,
    Wake,
    Withhold,
)
from gateway_proto.websocket import Broken, FrameOpcode, close_payload, encode_frame
from gateway_proto.websocket.lane import FrameReader

from .source import CHUNKS, UNDRAINED, Script, Source, cut, steps

TOKEN = "fuzz.token.never-printed"
MASK = b"\x01\x02\x03\x04"
MAX_STEPS = 300
MAX_CONNECTIONS = 12
AT_ONE_INSTANT = 10_000
SECONDS = (0.0, 0.01, 1.0, 5.0, 9.0, 10.0, 20.0, 60.0, 200.0, 90_000.0)
QUERIES = ("v=10&encoding=json", "v=10&compress=zlib-stream", "v=10&compress=zstd-stream", "v=9", "v=10&compress=x")
_DEEP = re.compile(rb"\[{100,}\]{100,}")
FAULTS: tuple[Callable[[Source], Fault], ...] = (
    lambda source: Drop(flush=bool(source.byte() & 1)),
    lambda source: Stall(None if source.byte() & 1 else 1.0 + source.byte()),
    lambda source: Release(),
    lambda source: Close(1000 + source.number() % 4000, source.blob()),
    lambda source: AskReconnect(),
    lambda source: InvalidSession(bool(source.byte() & 1)),
    lambda source: RequestHeartbeat(),
    lambda source: LoseAcks(source.pick((None, 1))),
    lambda source: Corrupt(source.byte(), 1 + source.byte() % 255),
    lambda source: Refuse(200 + source.byte(), source.pick((None, 0.5))),
    lambda source: Garbage(source.blob()),
    lambda source: NoHello(),
    lambda source: NoAnswer(),
    lambda source: SendText(source.blob()),
    lambda source: Fragment(1 + source.byte()),
    lambda source: SplitMessages(1 + source.byte()),
    lambda source: Chunk(50 + source.byte()),
    lambda source: Withhold(),
    lambda source: Repeat(bool(source.byte() & 1)),
    lambda source: Swap(),
)


class Client:
    """One connection, the last `now` that it was told, and what it sent, read as a client reads."""

    def __init__(self, connection: ServerConnection, now: float) -> None:
        self.connection = connection
        self.now = now
        self.closed = False
        self.resumed_from = 0
        self.sequences: list[int] = []
        self.compressed = False
        self._head = b""
        self._frames: FrameReader | None = None

    def read(self, data: bytes) -> None:
        """Bytes of a server without faults."""
        if self._frames is None:
            self._head += data
            head, separator, data = self._head.partition(b"\r\n\r\n")
            if not separator or not head.startswith(b"HTTP/1.1 101"):
                return
            self._frames = FrameReader(2**24)
        for event in self._frames.receive_data(data):
            assert not isinstance(event, Broken), event
            if isinstance(event, tuple):
                is_text, payload = event
                message = payload if is_text else zlib.decompress(payload)
                # A presence comes back as it was said, and may be deeper than can be read here.
                self.hear(json.loads(_DEEP.sub(b"[]", message)))

    def hear(self, message: Any) -> None:
        """One message of a server without faults."""
        if message["op"] == 0:
            self.sequences.append(message["s"])


class Play:
    """A server, its clients, and the time."""

    def __init__(self, source: Source) -> None:
        manner = source.byte()
        self.faulty = bool(manner & 1)
        plan = [self._planned(source) for _ in range(manner >> 1 & 3)] if self.faulty else []
        self.server = Server(self.config(manner, tuple(plan)), rng=random.Random(1))
        self.now = 100.0
        self.clients: list[Client] = []
        self.sessions: list[Secret] = []
        self._sequences: dict[Secret, int] = {}

    def config(self, manner: int, plan: tuple[Planned, ...]) -> ServerConfig:
        """What the server stands for; the lowest three bits of `manner` are used up."""
        return ServerConfig(
            token=Secret(TOKEN),
            guild_ids=(1 << 22, 2 << 22),
            heartbeat_interval=10.0,
            session_limit=5,
            session_lifetime=50.0,
            replay_events=6 if manner & 8 else None,
            trim_at_heartbeat=bool(manner & 16),
            expired_close=bool(manner & 32),
            max_concurrency=2,
            plan=plan,
            limits=ServerLimits(max_unsent=30_000, max_held=5000),
        )

    def new_client(self) -> Client:
        return Client(self.server.accept(self.now), self.now)

    def _planned(self, source: Source) -> Planned:
        when = OnConnection(1 + source.byte() % 4) if source.byte() & 1 else AtSequence(1 + source.byte() % 6)
        return Planned(when=when, fault=source.pick(FAULTS)(source))

    # -- calls -------------------------------------------------------------------------------------------------

    def client(self, source: Source) -> Client:
        """One of the clients; the latest for most bytes."""
        choice = source.byte()
        if not self.clients:
            self.accept()
        return self.clients[choice % len(self.clients)] if choice >= 192 else self.clients[-1]

    def accept(self) -> None:
        if len(self.clients) < MAX_CONNECTIONS:
            self.clients.append(self.new_client())

    def call(self, client: Client, actions: list[ServerAction]) -> None:
        """What an input of this client's connection returned."""
        connection = client.connection
        client.now = self.now
        assert not client.closed or not actions, "something is said behind CloseSocket"
        for action in actions:
            self._unsecret(action)
            match action:
                case Wake(connection_id=other):
                    # One that has ended has still to say so.
                    assert other in [known.connection.id for known in self.clients if not known.closed]
                case CloseSocket(connection_id=own):
                    assert own == connection.id
                    assert not client.closed, "CloseSocket is said twice"
                    client.closed = True
                case Upgraded(compress=compress):
                    client.compressed = compress is not None
                case SessionResumed(sequence=sequence):
                    client.resumed_from = sequence
                case Received(opcode=opcode, raw=raw):
                    assert opcode not in (2, 6) or TOKEN.encode() not in raw
        if client.closed:
            assert connection.has_ended
            assert connection.id not in self.server.connections
        self._check(client)

    def from_outside(self, actions: list[ServerAction]) -> None:
        """What the server itself returned."""
        for action in actions:
            self._unsecret(action)
            assert isinstance(action, Wake | FaultFired | SessionEnded)

    def drain(self, client: Client) -> None:
        client.now = self.now
        data = client.connection.data_to_send(self.now)
        if not self.faulty and not client.compressed:
            client.read(data)
            self.judge_sequences(client)
        self._check(client)

    def judge_sequences(self, client: Client) -> None:
        first = client.resumed_from + 1
        assert client.sequences == list(range(first, first + len(client.sequences))), "a gap without a fault"

    def rest(self) -> None:
        """Do as drivers do until nothing is due at this instant."""
        for client in self.clients:
            for _ in range(AT_ONE_INSTANT):
                due = client.connection.next_timeout()
                if due is None or due > self.now:
                    break
                self.call(client, client.connection.handle_timeout(self.now))
                self.drain(client)
            else:
                raise AssertionError("a connection is never done with this instant")
            self.drain(client)

    # -- invariants --------------------------------------------------------------------------------------------

    def _check(self, client: Client) -> None:
        due = client.connection.next_timeout()
        assert due == client.connection.next_timeout()
        assert due is None or due >= client.now, "next_timeout is in the past"
        for id, session in self.server.sessions.items():
            assert session.sequence >= self._sequences.get(id, 0), "a sequence fell"
            self._sequences[id] = session.sequence
            if id not in self.sessions:
                self.sessions.append(id)

    def _unsecret(self, value: object) -> None:
        text = repr(value)
        for secret in (TOKEN, *(id.reveal() for id in self.sessions)):
            assert secret not in text, f"a secret is printed by {type(value).__name__}"


# -- the operations ----------------------------------------------------------------------------------------------------


def accept(play: Play, source: Source) -> None:
    play.accept()


def feed(play: Play, client: Client, data: bytes, size: int = CHUNKS[0]) -> None:
    for chunk in cut(data, [max(size, len(data) // 20)]):
        play.call(client, client.connection.receive_data(chunk, play.now))


def upgrade(play: Play, source: Source) -> None:
    client, query = play.client(source), source.pick(QUERIES)
    feed(play, client, upgrade_request(query))


def _say(play: Play, source: Source) -> None:
    """A payload in a frame, an honest one for the most part."""
    client, kind = play.client(source), source.byte() % 10
    message: object
    if kind <= 1:
        message = {"op": 2, "d": _identify_data(source)}
    elif kind <= 3:
        known = play.sessions[-1].reveal() if play.sessions else "unknown"
        sequence = source.pick((1, 2, 0, 3, 99, -1, None, 2**64))
        message = {"op": 6, "d": {"token": TOKEN, "session_id": known, "seq": sequence}}
    elif kind == 4:
        message = {"op": 1, "d": source.pick((None, 1, 3, 10**20, "x"))}
    elif kind == 5:
        message = {
            "op": 3,
            "d": source.pick(({"status": "idle", "since": None, "activities": [], "afk": False}, {}, None)),
        }
    elif kind == 6:
        message = {"op": 8, "d": {"guild_id": source.pick((str(1 << 22), "x", None, [])), "query": "", "limit": 0}}
    elif kind == 7:
        message = {
            "op": source.pick((31, 43, 4, 0, 7, 11, -1)),
            "d": source.pick(({"guild_ids": ["1"]}, {"guild_id": "1"})),
        }
    else:
        message = None
    data = source.blob() if message is None else json.dumps(message).encode()
    opcode = FrameOpcode.BINARY if source.byte() & 1 else FrameOpcode.TEXT
    feed(play, client, encode_frame(opcode, data, MASK), source.pick(CHUNKS))


def _identify_data(source: Source) -> object:
    good = {"token": TOKEN, "intents": 513, "properties": {}}
    changes: dict[str, object] = source.pick(
        (
            {},
            {"shard": [0, 2]},
            {"shard": [1, 2]},
            {"compress": True},
            {"token": "wrong"},
            {"intents": 2**60},
            {"shard": [2, 1]},
            {"properties": None, "presence": 1},
        )
    )
    return {**good, **changes}


def frame(play: Play, source: Source) -> None:
    """A frame of any first byte, masked or not, and perhaps shorter than it says."""
    client, first, manner = play.client(source), source.byte(), source.byte()
    frame = encode_frame(FrameOpcode.TEXT, source.blob(), MASK if manner & 3 else None)
    feed(play, client, bytes((first,)) + frame[1 : len(frame) - manner // 64])


def close(play: Play, source: Source) -> None:
    client, code = play.client(source), source.number()
    reason = source.blob().decode(errors="replace")
    feed(play, client, encode_frame(FrameOpcode.CLOSE, close_payload(code, reason), MASK))


def raw(play: Play, source: Source) -> None:
    feed(play, play.client(source), source.blob(), source.pick(CHUNKS))


def _get(play: Play, source: Source) -> None:
    client = play.client(source)
    path = source.pick(("/gateway", "/gateway/bot", "/api/v10/gateway/bot", "/x", "*", "/gateway?a=%zz"))
    method = source.pick(("GET", "HEAD", "POST"))
    feed(play, client, f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bot {TOKEN}\r\n\r\n".encode())


def eof(play: Play, source: Source) -> None:
    client = play.client(source)
    play.call(client, client.connection.receive_eof(play.now))


def timeout(play: Play, source: Source) -> None:
    client = play.client(source)
    play.call(client, client.connection.handle_timeout(play.now))


def wait(play: Play, source: Source) -> None:
    play.now += source.pick(SECONDS)


def run(play: Play, source: Source) -> None:
    """Some timers, each at its time, of whatever connection."""
    for _ in range(1 + source.byte() % 8):
        waiting = [due for client in play.clients if (due := client.connection.next_timeout()) is not None]
        if not waiting:
            return
        play.now = max(play.now, min(waiting))
        play.rest()


def _dispatch(play: Play, source: Source) -> None:
    name, count = source.pick(("MESSAGE_CREATE", "é", "")), 1 + source.byte() % 20
    data = json.dumps("x" * (source.byte() * 10)).encode()
    for _ in range(count):
        if play.sessions and source.byte() & 1:
            play.from_outside(play.server.dispatch(source.pick(play.sessions), name, data, play.now))
        else:
            play.from_outside(play.server.broadcast(name, data, play.now))


def inject(play: Play, source: Source) -> None:
    if not play.faulty:
        return
    fault = source.pick(FAULTS)(source)
    target: int | Secret = play.client(source).connection.id
    if play.sessions and source.byte() & 1:
        target = source.pick(play.sessions)
    play.from_outside(play.server.inject(target, fault, play.now))


def drain(play: Play, source: Source) -> None:
    play.drain(play.client(source))


def _start_limit(play: Play, source: Source) -> None:
    status = play.server.start_limit(play.now)
    assert 0 <= status.remaining <= status.total
    assert status.reset_after >= 0


_OPERATIONS: tuple[Callable[[Play, Source], None], ...] = (
    accept, upgrade, _say, _dispatch, run, wait, inject, eof, drain, close, timeout, frame, raw, _get,
    _start_limit,
)  # fmt: skip
_INDEX = {operation: number for number, operation in enumerate(_OPERATIONS)}


def upgrade_request(query: str) -> bytes:
    """The header block of an upgrade."""
    return (
        f"GET /?{query} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def one_input(data: bytes) -> None:
    source = Source(data)
    play = Play(source)
    for operation, drains in steps(source, _OPERATIONS, MAX_STEPS):
        operation(play, source)
        if drains:
            play.rest()
    play.rest()


class _Seed(Script):
    """A play, step by step."""

    def do(self, operation: Callable[[Play, Source], None], *choices: int) -> Self:
        self.byte(_INDEX[operation], *choices)
        return self

    def ready(self, query: int = 0, identify: int = 0) -> Self:
        return self.do(accept).do(upgrade, 0, query).do(_say, 0, 0, identify, 0, 0)


def seeds() -> dict[str, bytes]:
    def seed(manner: int = 0) -> _Seed:
        start = _Seed()
        start.byte(manner)
        return start

    def resume(play: _Seed, sequence: int) -> _Seed:
        return play.do(accept).do(upgrade, 0, 0).do(_say, 0, 2, sequence, 0, 0)

    plays = {
        "dispatches": seed().ready().do(_dispatch, 0, 2, 3, 0, 0, 0).do(_say, 0, 4, 1, 0, 0).do(run, 3),
        "zlib-stream": seed().ready(1).do(_dispatch, 0, 0, 200, 0),
        "zstd-stream": seed().ready(2).do(_dispatch, 1, 0, 9, 0),
        "payload-zlib": seed().ready(0, 3).do(_dispatch, 0, 0, 200, 0),
        "resumed": resume(seed(8).ready().do(_dispatch, 0, 2, 1, 0, 0, 0).do(eof, 0), 0),
        "taken-over": resume(seed().ready(), 0).do(run, 7),
        "future": resume(seed().ready(), 4),
        "expired": resume(seed(32).ready().do(eof, 0).do(wait, 7), 0),
        "trimmed": resume(seed(16).ready().do(_dispatch, 0, 4, 1, 0, 0, 0, 0, 0).do(_say, 0, 4, 2, 0, 0), 0),
        "refused": seed().do(accept).do(upgrade, 0, 3).do(accept).do(upgrade, 0, 0).do(_say, 0, 0, 4, 0, 0),
        "requests": seed().ready().do(_say, 0, 5, 0, 0, 0).do(_say, 0, 6, 0, 0, 0).do(_say, 0, 7, 0, 0, 0, 0),
        "logout": seed().ready().do(close, 0, 3, 232, 0),
        "discovery": seed().do(_get, 0, 1, 0).do(accept).do(_get, 0, 0, 2),
        "silent": seed().ready().do(wait, 5).do(timeout, 0).do(run, 7),
        "late": seed()
        .do(accept)
        .byte(UNDRAINED | _INDEX[wait], 7)
        .byte(UNDRAINED | _INDEX[raw], 0)
        .blob(b"GET")
        .byte(0),
        "faults": seed(1)
        .ready()
        .do(inject, 1, 1, 0, 0)
        .do(_dispatch, 0, 3, 9, 0)
        .do(inject, 2, 0, 0)
        .do(inject, 0, 1, 0),
        "dispatch-faults": seed(1).ready().do(inject, 19, 0, 1, 0).do(inject, 18, 0, 0, 1, 0).do(_dispatch, 0, 5, 1),
        "planned": seed(3).byte(1, 0, 4).ready().do(run, 3),
    }
    return {name: play.data for name, play in plays.items()}
