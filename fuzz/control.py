"""The control API: requests of any kind and any bytes, one connection each, beside a server that has clients.

Invariants:
- nothing raises, and nothing that was asked for makes the server's connections raise later;
- an answer is one whole HTTP response with a JSON body, in whatever chunks the request comes; without one nothing was
  done;
- without the token nothing has an effect and nothing is told, not even which paths there are; a refused request with it
  has no effect either;
- no token and no session id is in an answer.

Permitted exceptions: none.
"""

import json
import random
from typing import Any, Final, NamedTuple

from gateway_proto.secret import Secret
from gateway_proto.server import FAULTS, Control, ControlConnection, Server, ServerAction, ServerConfig
from gateway_proto.websocket import FrameOpcode, encode_frame

from .server import MASK, upgrade_request
from .source import Script, Source, chunk_sizes, cut

CONTROL: Final = "fuzz.control.never-told"
TOKEN: Final = "fuzz.bot.never-told"
MAX_REQUESTS: Final = 6
AT_REST: Final = 1000
METHODS: Final = ("POST", "GET", "HEAD", "PUT", "get")
PATHS: Final = (
    "dispatch", "fault", "state", "sent", "sent?shard=0&op=2&since=1&limit=2", "sent?op=identify", "sent?limit=0",
    "sent?op=", "state?x=1", "", "../state", "dispatch/", "sent?since=99999999999999999", "%73tate",
)  # fmt: skip
TOKENS: Final = (
    f"Authorization: Bearer {CONTROL}\r\n",
    f"authorization: bearer  {CONTROL} \r\n",
    "",
    "Authorization: Bearer x\r\n",
    f"Authorization: Bot {TOKEN}\r\n",
    f"Authorization: {CONTROL}\r\n",
    f"Authorization: Bearer {CONTROL}\r\n" * 2,
    f"X: Bearer {CONTROL}\r\n",
    f"Authorization: Bearer {CONTROL[:-1]}\r\n",
    "Authorization: Bearer \r\n",
)
"""The first two are right."""
NEEDS_TOKEN: Final = (400, 401, 414, 431, 501)
"""What may be said to somebody without the token: 401, or that it was no HTTP."""
VALUES: Final = (
    "0", "1", "2", "-1", "4000", "503", '"each"', '"all"', "true", "null", "1.5", "1e308", "1e999", '"x"', '"\\ud800"',
    "[0,2]", "[1,2]", "[]", "{}", '{"shard":0}', '{"session":1}', '{"connection":2}', '{"next":2}', '{"next":20000}',
    '{"hex":"00ff"}', '{"hex":"0"}', '{"session":"$SESSION"}', '"$SESSION"', "9" * 400, "18446744073709551616",
    '"' + "y" * 300 + '"', '{"a":{"b":[1,2]}}',
)  # fmt: skip
KEYS: Final = ("target", "all", "shard", "session", "connection", "next", "t", "d", "fault", "x\\ny", "when")


class _Clients:
    """A server with a session, a connection that has not asked for anything, and a session that is away."""

    def __init__(self) -> None:
        config = ServerConfig(token=Secret(TOKEN), identify_period=0.0, guild_ids=(1 << 22,))
        self.server = Server(config, rng=random.Random(1))
        self.control = Control(self.server, Secret(CONTROL))
        self.now = 0.0
        for index in range(2):
            connection = self.server.accept(0.0)
            presence = {"status": "idle", "since": None, "afk": False, "activities": ["$DEEP"]}
            d = {"token": TOKEN, "intents": 513, "properties": {}, "shard": [index, 2], "presence": presence}
            self.tell(connection.receive_data(upgrade_request("v=10"), 0.0))
            self.tell(connection.receive_data(_frame({"op": 2, "d": d}), 0.0))
            connection.data_to_send(0.0)
            if index:
                self.tell(connection.receive_eof(0.0))
        self.connections = [self.server.connections[1], self.server.accept(0.0)]
        self.secrets = (CONTROL, TOKEN, *(id.reveal() for id in self.server.sessions))

    def tell(self, actions: list[ServerAction]) -> None:
        for action in actions:
            self.control.on_action(action)

    def say(self, source: Source) -> None:
        """A client says something, which the API then shows."""
        depth = 20 + source.byte() % 20 if source.byte() & 1 else 940 + source.byte() % 64
        d = source.pick(("[" * depth + "]" * depth, '"x"', "1e999", '{"token":1}', "9" * 300, '"\\ud800"', ""))
        op = source.pick((3, 2, 6, 99))
        message = f'{{"op":{op},"d":{d}}}'
        if source.byte() & 1:
            activity = f'{{"name":{d}}}'
            message = f'{{"op":3,"d":{{"status":"dnd","since":null,"activities":[{activity}],"afk":false}}}}'
        frame = encode_frame(FrameOpcode.BINARY, message.encode(), MASK)
        self.tell(self.connections[0].receive_data(frame, self.now))
        self.connections[0].data_to_send(self.now)

    def state(self) -> Any:
        """All that a request can have an effect on."""
        plan = repr(vars(self.server._plan))
        sessions = [(each.sequence, len(each.buffer), repr(each._armed)) for each in self.server.sessions.values()]
        connections = [
            (each.is_open, each.is_stalled, each.unsent, each.next_timeout(), each.has_ended)
            for each in self.connections
        ]
        return plan, sessions, connections

    def rest(self) -> None:
        """The drivers do what they are to do."""
        for connection in self.connections:
            for _ in range(AT_REST):
                due = connection.next_timeout()
                if due is None or due > self.now:
                    break
                self.tell(connection.handle_timeout(self.now))
                connection.data_to_send(self.now)
            else:
                raise AssertionError("a connection is never done with this instant")
            connection.data_to_send(self.now)


class _Request(NamedTuple):
    data: bytes
    may: bool
    """It bears the token."""
    method: str


def _frame(message: Any) -> bytes:
    return encode_frame(FrameOpcode.TEXT, json.dumps(message).encode(), MASK)


def _request(source: Source, session_id: str) -> _Request:
    manner, method = source.byte(), source.pick(METHODS)
    path = f"/control/{source.pick(PATHS)}"
    choice = source.byte()
    # With the token for the most part.
    token = TOKENS[choice % 2 if choice < 160 else choice % len(TOKENS)]
    body = source.blob() if manner & 1 else _body(source).replace("$SESSION", session_id).encode()
    framing = manner >> 1 & 7
    fields, sent = f"Content-Length: {len(body)}\r\n", body
    match framing:
        case 1:
            fields, sent = (
                "Transfer-Encoding: chunked\r\n",
                b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"",
            )
        case 2:
            fields += "Expect: 100-continue\r\n"
        case 3:
            fields = f"Content-Length: {source.pick(('x', '-1', '0', '99999999', '9' * 30))}\r\n"
        case 4:
            fields = source.pick(("", "Transfer-Encoding: gzip\r\n", "X: " + "y" * 20_000 + "\r\n", " x\r\n"))
    head = f"{method} {path} HTTP/1.{1 if manner & 64 == 0 else 0}\r\nHost: x\r\n{token}{fields}\r\n"
    return _Request(head.encode() + sent, token in TOKENS[:2], method)


def _body(source: Source) -> str:
    """A body with what it needs, and with more or less than that here and there."""
    kind = source.byte()
    fields: list[tuple[str, str]] = [(source.pick(KEYS[:6]), source.pick(VALUES))]
    if kind % 2:
        fields += [("t", source.pick(('"EVENT"', '"\\ud800"', "1", '""'))), ("d", source.pick(VALUES))]
    else:
        name = source.pick((*FAULTS, "clos"))
        fields.append(("fault", f'"{name}"'))
        if name in FAULTS:
            fields += [(field, source.pick(VALUES)) for field in FAULTS[name].__struct_fields__ if source.byte() & 3]
    if kind & 64:
        fields.append((source.pick(KEYS), source.pick(VALUES)))
    return "{" + ",".join(f'"{key}":{value}' for key, value in fields) + "}"


def _ask(clients: _Clients, request: _Request, chunks: list[bytes]) -> tuple[bytes, list[str]]:
    """The answer and what else the driver is told. Judges them."""
    before, told = clients.state(), clients.control.sent.count
    connection = ControlConnection(clients.control)
    sent, actions = b"", []
    for chunk in chunks:
        actions += connection.receive_data(chunk, clients.now)
        sent += connection.data_to_send()
    answer = sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    for secret in clients.secrets:
        assert secret.encode() not in answer, "a secret is told"
    status = _status(answer, request.method) if connection.is_done else 0
    assert connection.is_done or not answer
    assert request.may or status in (0, *NEEDS_TOKEN), f"without the token the answer is {status}"
    if status != 200:
        assert not actions, "what was refused has an effect"
        assert clients.state() == before, "what was refused has an effect"
    clients.tell(actions)
    assert clients.control.sent.count == told
    clients.rest()
    return answer, list(map(repr, actions))


def _status(answer: bytes, method: str) -> int:
    head, end, body = answer.partition(b"\r\n\r\n")
    assert end, "an answer without a whole header"
    lines = head.decode("ascii").split("\r\n")
    version, status, *_ = lines[0].split(" ")
    assert version == "HTTP/1.1"
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert fields["connection"] == "close"
    if method != "HEAD":
        assert int(fields["content-length"]) == len(body)
        told = json.loads(body)
        assert int(status) == 200 or isinstance(told["message"], str)
    return int(status)


def _requests(source: Source, session_id: str) -> list[_Request]:
    if source.byte() % 4 == 3:
        data = source.rest().replace(b"$TOKEN", CONTROL.encode())
        return [_Request(data, CONTROL.encode() in data, "HEAD" if data.lstrip().startswith(b"HEAD") else "")]
    return [_request(source, session_id) for _ in range(1 + source.byte() % MAX_REQUESTS)]


def one_input(data: bytes) -> None:
    source = Source(data)
    sizes, talk = chunk_sizes(source), source.take(1 + source.byte() % 40)
    together, apart = _Clients(), _Clients()
    for clients in (together, apart):
        said = Source(talk)
        while said:
            clients.say(said)
    for request in _requests(source, together.secrets[-1]):
        whole = _ask(together, request, [request.data])
        assert _ask(apart, request, cut(request.data, sizes)) == whole, "the chunks make a difference"
        together.now += 1.0
        apart.now += 1.0
    for clients in (together, apart):
        clients.now += 1000.0
        clients.rest()


def seeds() -> dict[str, bytes]:
    def script(*choices: int) -> Script:
        """In chunks of seven bytes, and a client that has said something."""
        return Script().byte(0, 5, 4, 0, 1, 0, 1, 0).byte(*choices)

    session, close = KEYS.index("session"), list(FAULTS).index("close")
    raw = {
        "no-http": b"hello\r\n\r\n",
        "raw-state": b"GET /control/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $TOKEN\r\n\r\n",
        "raw-no-token": b"GET /control/state HTTP/1.1\r\nHost: x\r\n\r\n",
        "raw-chunked": b"POST /control/fault HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer $TOKEN\r\n"
        b'Transfer-Encoding: chunked\r\n\r\n1e\r\n{"all":true,"fault":"drop"    }\r\n0\r\n\r\n',
    }
    drawn = {
        # one request: manner, method, path, token; then the body: kind, target, value, ...
        "dispatch": (0, 0, 0, 0, 0, 0, 1, 1, 8, 0, 31),
        "close": (0, 0, 0, 0, 1, 0, 0, 2, 0, close, 1, 4, 1, 13),
        "by-id": (0, 0, 0, 0, 0, 0, 1, session, 27, 0, 2),
        "next": (0, 0, 0, 0, 1, 0, 0, 5, 1, close, 1, 4, 0),
        "state": (0, 0, 0, 1, 2, 0, 0),
        "sent": (0, 0, 0, 1, 3, 0, 0),
        "sent-of-identify": (0, 0, 0, 1, 5, 0, 0),
        "head": (0, 0, 0, 2, 2, 0, 0),
        "wrong-token": (0, 0, 0, 0, 1, 163, 0, 2, 0, close, 1, 4, 0),
        "another-scheme": (0, 0, 0, 0, 1, 164, 0, 2, 0, close, 1, 4, 0),
        "chunked": (0, 0, 2, 0, 0, 0, 1, 1, 8, 0, 31),
        "continue": (0, 0, 4, 0, 0, 0, 1, 1, 8, 0, 31),
        "long-header": (0, 0, 8, 0, 0, 0, 1, 1, 8, 0, 31, 2),
        "bad-length": (0, 0, 6, 0, 0, 0, 1, 1, 8, 0, 31, 4),
        "odd-key": (0, 0, 0, 0, 0, 0, 65, 1, 8, 0, 31, 9, 0),
        "two": (0, 1, 0, 0, 0, 0, 1, 1, 8, 0, 31, 0, 1, 3, 0, 0),
    }
    made = {name: script(*choices).data for name, choices in drawn.items()}
    made |= {name: script(3).raw(data).data for name, data in raw.items()}
    # A presence as deep as can be said, and then the state that shows it.
    deep = Script().byte(0, 0, 3, 140, 0, 0, 1).byte(0, 0, 0, 1, 2, 0, 0)
    return {**made, "deep-presence": deep.data}
