"""The control API, without a socket: routes, the token, what clients sent, and any bytes whatever."""

import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.intents import Intents
from gateway_proto.secret import Secret
from gateway_proto.server import Control, ControlConnection, SentLog, ServerConfig, WorldConfig
from gateway_proto.server.actions import Received
from gateway_proto.server.control import MAX_BODY
from gateway_proto.websocket import FrameOpcode, encode_frame

from .server_helpers import MASK, TOKEN, Rig, identify_data, message, text_frame, upgrade_request

CONTROL = "never-to-be-printed"


class Api(Rig):
    """A rig under control. Every action of it is told to the control, as a driver does."""

    def __init__(self, config: ServerConfig | None = None) -> None:
        super().__init__(config or ServerConfig(identify_period=0.0))
        self.control = Control(self.server, Secret(CONTROL))
        self._told = 0

    def tell(self) -> None:
        for action in self.actions[self._told :]:
            self.control.on_action(action)
        self._told = len(self.actions)

    def request(self, data: bytes, *sizes: int) -> tuple[int, Any, bytes]:
        """Status, body, and the whole answer, to these bytes."""
        self.tell()
        connection = ControlConnection(self.control)
        sent = b""
        for start in range(0, len(data), sizes[0] if sizes else len(data)):
            chunk = data[start : start + sizes[0]] if sizes else data
            self.run(connection.receive_data(chunk, self.now))
            sent += connection.data_to_send()
        if not connection.is_done:
            return 0, None, sent
        head, _, body = sent.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").partition(b"\r\n\r\n")
        return int(head[9:12]), json.loads(body) if body else None, sent

    def get(self, path: str) -> Any:
        status, body, _ = self.request(http("GET", f"/control/{path}"))
        assert status == 200, body
        return body

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.request(http("POST", f"/control/{path}", body))[:2]


def http(method: str, path: str, body: Any = None, token: str | None = CONTROL, **headers: str) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Host": "localhost", **headers}
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if data and "Transfer-Encoding" not in headers:
        fields.setdefault("Content-Length", str(len(data)))
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data


def test_an_event_is_dispatched_as_it_is() -> None:
    api = Api()
    zero, one = api.ready(shard=[0, 2]), api.ready(shard=[1, 2])
    body = b'{"shard": 1, "t": "EVENT", "d": {"id": "1", "big": 123456789012345678901234567890, "x": 1.0}}'
    assert api.post("dispatch", body) == (200, {"reached": 1})
    assert one.bodies() == [{"id": "1", "big": 123456789012345678901234567890, "x": 1.0}]
    assert api.post("dispatch", {"target": {"shard": 0}, "t": "EVENT", "d": None}) == (200, {"reached": 1})
    assert api.post("dispatch", {"all": True, "t": "EVENT", "d": "for all"}) == (200, {"reached": 2})
    assert api.post("dispatch", {"session": 1, "t": "EVENT", "d": 1}) == (200, {"reached": 1})
    assert zero.bodies() == [None, "for all", 1]


def test_a_fault_strikes() -> None:
    api = Api()
    client = api.ready()
    assert api.post("fault", {"target": {"shard": 0}, "fault": "close", "code": 4000, "reason": "bye"}) == (
        200,
        {"reached": 1},
    )
    assert client.closed == (4000, "bye")
    assert api.post("fault", {"next": 1, "fault": "refuse", "status": 429, "retry_after": 3}) == (200, {"reached": 1})
    assert api.client().head.startswith(b"HTTP/1.1 429 ")
    assert api.post("fault", {"target": {"connection": 99}, "fault": "drop"})[0] == 404


def world_api(**settings: Any) -> Api:
    world = WorldConfig(guilds=4, members=5, numbered=True, **settings)
    return Api(ServerConfig(identify_period=0.0, world=world))


def test_things_happen_in_the_world_and_those_whom_they_concern_are_told() -> None:
    api = world_api()
    client = api.client()
    client.identify(intents=int(Intents.all()))
    before = len(client.events())
    status, answer = api.post("world", {"events": 50})
    assert status == 200
    names = [happened["t"] for happened in answer["happened"]]
    assert len(names) == 50
    assert client.events()[before:] == names
    guild_ids = {str(guild_id) for guild_id in api.server.world.guild_ids} if api.server.world else set()
    assert {happened["guild"] for happened in answer["happened"]} - {None} <= guild_ids
    numbers = [received["d"]["_number"] for received in client.received[1 + before :]]
    assert numbers == list(range(1, 51))
    assert client.session_id.reveal() not in json.dumps(answer)


def test_a_guild_goes_away_and_comes_back() -> None:
    api = world_api()
    client = api.client()
    client.identify(intents=int(Intents.GUILDS))
    world = api.server.world
    assert world is not None
    guild_id = world.guild_ids[2]
    for outage, name in ((True, "GUILD_DELETE"), (False, "GUILD_CREATE")):
        body = {"guild": str(guild_id), "outage": outage}
        assert api.post("world", body) == (200, {"happened": [{"t": name, "guild": str(guild_id)}]})
        assert (client.events()[-1], client.received[-1]["d"]["id"]) == (name, str(guild_id))
        assert world.is_available(guild_id) is not outage
        status, answer = api.post("world", body)
        assert (status, answer["message"]) == (
            409,
            f"guild {guild_id} is unavailable already" if outage else f"guild {guild_id} has no outage",
        )
    status, answer = api.post("world", {"guild": 7, "outage": True})
    assert (status, answer) == (404, {"message": "the bot is not in guild 7: READY lists the guilds"})


def test_without_a_world_nothing_happens_in_it() -> None:
    api = Api()
    for body in ({"events": 1}, {"guild": "1", "outage": True}, b"nonsense"):
        status, answer = api.post("world", body)
        assert status == 409
        assert answer == {"message": "there is no world: serve --members, or ServerConfig.world, makes one"}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"[]", "the body: must be a JSON object in UTF-8"),
        ({}, "guild: must be the id of a guild, beside outage; or give events alone"),
        ({"outage": True}, "guild: must be the id of a guild"),
        ({"guild": "1"}, "outage: must be true or false"),
        ({"guild": "1", "outage": 1}, "outage: must be true or false"),
        ({"guild": "\u0661", "outage": True}, "guild: must be the id of a guild"),
        ({"guild": "1", "outage": True, "until": 5}, "the body: 'until' is unknown"),
        ({"events": 0}, "events: must be an integer from 1 to 1000"),
        ({"events": 1001}, "events: must be an integer from 1 to 1000"),
        ({"events": True}, "events: must be an integer from 1 to 1000"),
        ({"events": "5"}, "events: must be an integer from 1 to 1000"),
        ({"events": 5, "guild": "1"}, "the body: 'guild' is unknown"),
        (b'{"events": 1e999}', "the body: holds a number that is out of range"),
    ],
)
def test_what_is_wrong_with_a_happening_is_told_with_its_key(body: Any, told: str) -> None:
    api = world_api()
    status, answer = api.post("world", body)
    assert status == 400
    assert answer["message"].startswith(told)
    assert api.server.world is not None
    assert api.server.world.drawn == 0


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("dispatch", b"", "the body: must be a JSON object in UTF-8"),
        ("dispatch", b"[1]", "the body: must be a JSON object in UTF-8"),
        ("dispatch", b'{"all": true, "t": "X", "d": "\xff"}', "the body: must be a JSON object in UTF-8"),
        ("dispatch", b"[" * 100_000, "the body: must be a JSON object in UTF-8"),
        ("dispatch", {"t": "X", "d": 1}, "target: must be given once, as target or as one of shard, session, "),
        ("dispatch", {"shard": 0, "all": True, "t": "X", "d": 1}, "target: must be given once"),
        ("dispatch", {"next": 1, "t": "X", "d": 1}, "next: is for faults"),
        ("dispatch", {"all": True, "d": 1}, "t: must be the name of an event"),
        ("dispatch", {"all": True, "t": "X"}, "d: is missing"),
        ("dispatch", {"all": True, "t": "X", "d": 1, "s": 4}, "the body: 's' is unknown"),
        ("dispatch", b'{"all": true, "t": 1e999, "d": 1}', "the body: holds a number that is out of range"),
        ("fault", {"all": True}, "fault: must be a name"),
        ("fault", {"all": True, "fault": "stal"}, "fault: 'stal' is unknown; did you mean stall?"),
        ("fault", {"all": True, "fault": "stall", "seconds": "1"}, "seconds: expected float | null, got str"),
    ],
)
def test_what_is_wrong_with_a_body_is_told_with_its_key(path: str, body: Any, told: str) -> None:
    api = Api()
    client = api.ready()
    status, answer = api.post(path, body)
    assert (status, client.ops()) == (400, [10, 0])
    assert answer["message"].startswith(told)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/control", 404),
        ("GET", "/control/dispatch", 405),
        ("POST", "/control/state", 405),
        ("GET", "/control/world", 405),
        ("HEAD", "/control/state", 405),
        ("GET", "/control/sent?since=x", 400),
        ("GET", "/control/sent?op=resumed", 400),
        ("GET", "/control/sent?shart=1", 400),
        ("GET", "/control/state?x=1", 400),
    ],
)
def test_other_requests(method: str, path: str, status: int) -> None:
    assert Api().request(http(method, path))[0] == status


def test_without_the_token_nothing_is_told_and_nothing_done() -> None:
    api = Api()
    client = api.ready()
    body = {"all": True, "fault": "drop"}
    for token in (None, "", "x", CONTROL[:-1], CONTROL + "x", CONTROL.upper(), "\xe9"):
        for path in ("/control/fault", "/nowhere"):
            status, answer, sent = api.request(http("POST", path, body, token))
            assert (status, list(answer)) == (401, ["message"])
            assert b"WWW-Authenticate: Bearer\r\n" in sent
            assert CONTROL.encode() not in sent
    twice = http("POST", "/control/fault", body, Authorization2="x").replace(b"Authorization2: x", b"Authorization: x")
    assert api.request(twice)[0] == 401
    basic = http("POST", "/control/fault", body).replace(b"Bearer", b"Basic")
    assert api.request(basic)[0] == 401
    assert client.socket is None
    assert api.post("fault", body)[0] == 200


def test_a_body_is_refused_by_its_declared_length_and_by_its_real_one() -> None:
    api = Api()
    declared = http("POST", "/control/dispatch", b"{", **{"Content-Length": str(MAX_BODY + 1)})
    assert api.request(declared)[0] == 413
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    connection = ControlConnection(api.control)
    connection.receive_data(http("POST", "/control/dispatch", **{"Transfer-Encoding": "chunked"}), 0.0)
    tracemalloc.start()
    try:
        for _ in range(2 * MAX_BODY // 65536):
            connection.receive_data(chunk, 0.0)
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    finally:
        tracemalloc.stop()
    assert connection.is_done
    assert connection.data_to_send().startswith(b"HTTP/1.1 413 ")


def test_a_body_in_chunks_or_after_100_continue() -> None:
    api = Api()
    client = api.ready()
    chunked = http("POST", "/control/dispatch", **{"Transfer-Encoding": "chunked"})
    data = b'{"all":true,"t":"EVENT","d":1}'
    assert api.request(chunked + b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data), 1)[0] == 200
    waiting = http("POST", "/control/dispatch", data, Expect="100-continue")
    connection = ControlConnection(api.control)
    connection.receive_data(waiting.removesuffix(data), 0.0)
    assert connection.data_to_send().startswith(b"HTTP/1.1 100 ")
    api.run(connection.receive_data(data, 0.0))
    assert connection.data_to_send().startswith(b"HTTP/1.1 200 ")
    assert client.bodies() == [1, 1]
    refused = ControlConnection(api.control)
    refused.receive_data(http("POST", "/control/dispatch", data, "no", Expect="100-continue").removesuffix(data), 0.0)
    assert refused.data_to_send().startswith(b"HTTP/1.1 401 "), "nobody is asked for a body that is not wanted"


def test_the_state() -> None:
    api = Api(ServerConfig(identify_period=0.0, session_limit=10, session_limit_period=60.0))
    one = api.ready(shard=[1, 2], presence={"status": "dnd"})
    one.beat()
    one.beat()
    api.ready().eof()
    api.client()
    api.now = 10.0
    state = api.get("state")
    assert state == {
        "url": "ws://localhost",
        "sessions": [
            {"session": 1, "shard": [1, 2], "connection": 1, "sequence": 1, "kept": 1, "intents": 513,
             "presence": {"status": "dnd"}},
            {"session": 2, "shard": [0, 1], "connection": None, "sequence": 1, "kept": 1, "intents": 513,
             "presence": None},
        ],
        "connections": [
            {"connection": 1, "session": 1, "open": True, "stalled": False, "sent": {"1": 2, "2": 1}},
            {"connection": 3, "session": None, "open": True, "stalled": False, "sent": {}},
        ],
        "identifies": {"total": 10, "remaining": 8, "reset_after": 50.0},
        "last": 4,
    }  # fmt: skip
    assert TOKEN not in json.dumps(state)


def test_what_clients_sent_can_be_read_back_and_filtered() -> None:
    api = Api()
    early = api.client()
    early.beat(None)
    early.identify(shard=[1, 2])
    early.beat(1)
    early.eof()
    back = api.client()
    back.resume(early.session_id, 1)
    other = api.client()
    other.beat()
    numbers = [(sent["number"], sent["connection"], sent["shard"], sent["op"]) for sent in api.get("sent")["messages"]]
    assert numbers == [
        (1, 1, [1, 2], 1),
        (2, 1, [1, 2], 2),
        (3, 1, [1, 2], 1),
        (4, 2, [1, 2], 6),
        (5, 3, None, 1),
    ]
    [resume] = api.get("sent?shard=1&op=resume")["messages"]
    assert resume["d"] == {"token": "***", "session_id": "***", "seq": 1}
    assert api.get("sent?op=2&shard=0")["messages"] == []
    answer = api.get("sent?since=3&op=1")
    assert ([sent["number"] for sent in answer["messages"]], answer["last"], answer["first"]) == ([5], 5, 1)
    page = api.get("sent?limit=2&op=1")
    assert ([sent["number"] for sent in page["messages"]], page["last"]) == ([1, 3], 3)
    assert api.get("sent?since=99")["messages"] == []
    whole = json.dumps(api.get("sent"))
    assert TOKEN not in whole
    assert early.session_id.reveal() not in whole


def test_a_refused_identify_is_in_it_under_the_shard_that_it_named() -> None:
    api = Api()
    for shard in ([3, 4], [4, 4], "x", [1], None):
        api.client().identify(shard=shard, intents=2**40)
    shown = [(sent["shard"], sent["d"]["token"]) for sent in api.get("sent?op=identify")["messages"]]
    assert shown == [([3, 4], "***"), ([4, 4], "***"), (None, "***"), (None, "***"), ([0, 1], "***")]


def test_the_log_is_bounded_in_count_and_bytes() -> None:
    log = SentLog(max_messages=3, max_bytes=10)
    for size in (4, 4, 1, 1, 9):
        log.on_action(Received(connection_id=1, opcode=1, raw=b"1" * size))
    assert [kept.number for kept in log.messages()] == [4, 5]
    assert (log.count, log.first, len(log)) == (5, 4, 2)
    assert log.by_connection == {1: {1: 5}}
    assert repr(log.messages()[0]) == "SentMessage(4, connection=1, shard=None, opcode=1)"


def test_what_is_no_json_is_shown_as_text() -> None:
    api = Api()
    client = api.client()
    client.feed(encode_frame(FrameOpcode.BINARY, b'{"op":99,"d":"\xff"}', MASK))
    assert [sent["d"] for sent in api.get("sent")["messages"]] == ['"\ufffd"']


def test_what_is_deep_is_shown_as_text() -> None:
    """How deep can be encoded depends on where the stack stands, and the answer has containers around it."""
    api = Api()
    client = api.client()
    d = "[" * 200 + "]" * 200
    client.feed(text_frame(b'{"op":99,"d":%b}' % d.encode()))
    assert [sent["d"] for sent in api.get("sent")["messages"]] == [d]


def test_a_broken_body_and_what_comes_after_the_answer() -> None:
    api = Api()
    data = http("POST", "/control/fault", **{"Transfer-Encoding": "chunked"}) + b"nonsense\r\n"
    assert api.request(data)[0] == 400
    assert api.request(b"nonsense\r\n\r\n")[0] == 400
    assert api.request(b"GET /" + b"x" * 20_000)[0] == 431
    connection = ControlConnection(api.control)
    connection.receive_data(http("GET", "/control/state"), 0.0)
    assert connection.data_to_send()
    assert connection.receive_data(http("GET", "/control/state"), 0.0) == []
    assert connection.data_to_send() == b""


PATHS = ["/control/state", "/control/sent", "/control/sent?op=1", "/control/dispatch", "/control/fault", "/"]
BODIES = st.one_of(
    st.just(b""),
    st.binary(max_size=60),
    st.sampled_from(
        [
            b'{"all":true,"t":"EVENT","d":{"x":[1,2]}}',
            b'{"all":true,"t":"\\ud800","d":1}',
            b'{"target":{"shard":0},"fault":"close","code":4000}',
            b'{"target":{"next":1},"fault":"refuse","status":503,"retry_after":1e308}',
            b'{"all":true,"fault":"corrupt","offset":' + b"9" * 400 + b"}",
            b'{"all":true,"fault":"stall","seconds":-1}',
        ]
    ),
)
REQUESTS = st.builds(
    lambda method, path, body, token, junk: http(method, path, body, token) + junk,
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.sampled_from(PATHS),
    BODIES,
    st.sampled_from([CONTROL, CONTROL, CONTROL, None, "x"]),
    st.binary(max_size=10),
)


def answered(data: bytes, size: int) -> tuple[int, list[Any]]:
    api = Api()
    client = api.ready()
    status, _, sent = api.request(data, size)
    assert not sent or sent.startswith(b"HTTP/1.1 ")
    api.client()
    api.advance(10.0)
    return status, client.received


def test_any_bytes_in_any_chunking_get_the_same_answer() -> None:
    statuses: set[int] = set()

    @given(REQUESTS | st.binary(max_size=200), st.integers(1, 60))
    @settings(max_examples=300, deadline=None)
    def run(data: bytes, size: int) -> None:
        whole = answered(data, max(len(data), 1))
        assert answered(data, size) == whole
        statuses.add(whole[0])

    run()
    assert statuses >= {0, 200, 400, 401, 404, 405}, statuses


@given(st.binary(max_size=80) | st.binary(max_size=9).map(lambda raw: b'"%b"' % raw), st.sampled_from([1, 2, 3, 6, 8]))
@settings(deadline=None)
def test_whatever_a_client_sends_can_be_shown(raw: bytes, opcode: int) -> None:
    api = Api()
    client = api.client(upgrade=False)
    client.feed(upgrade_request())
    client.feed(encode_frame(FrameOpcode.BINARY, b'{"op":%d,"d":%b}' % (opcode, raw), MASK))
    client.feed(text_frame(message(2, identify_data())))
    assert isinstance(api.get("sent")["messages"], list)
    assert isinstance(api.get("state")["connections"], list)
