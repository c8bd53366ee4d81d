"""The HTTP half of the server: the upgrade (RFC 6455 section 4.2), the two routes, and everything that is neither."""

import json
from typing import Any

import h11
import pytest

from gateway_proto.secret import Secret
from gateway_proto.server import CloseSocket, HttpAnswered, Refuse, ServerConfig, ServerLimits, Upgraded

from .server_helpers import TOKEN, Client, Rig, text_frame, upgrade_request


def ask(client: Client, request: str, *headers: str) -> tuple[int, dict[bytes, bytes], Any]:
    """Send a request; its answer as h11 reads it: (status, headers, JSON body)."""
    client.feed("\r\n".join([f"{request} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode())
    return answer(client, request.partition(" ")[0])


def answer(client: Client, method: str = "GET") -> tuple[int, dict[bytes, bytes], Any]:
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method=method, target="/", headers=[("Host", "localhost")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(client.sent)
    response = peer.next_event()
    assert isinstance(response, h11.Response), response
    body = b""
    while isinstance(event := peer.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.socket == CloseSocket(connection_id=client.connection.id, abort=False, grace=2.0)
    headers = dict(response.headers)
    assert headers[b"connection"] == b"close"
    return response.status_code, headers, json.loads(body) if body else None


@pytest.fixture
def rig() -> Rig:
    config = ServerConfig(
        url="wss://gateway.example", token=Secret(TOKEN), shards=3, max_concurrency=16, session_limit=5
    )
    return Rig(config)


@pytest.mark.parametrize(
    "path", ["/gateway", "/api/gateway", "/api/v9/gateway", "/api/v10/gateway", "/api/v10/gateway?x=1"]
)
def test_get_gateway(rig: Rig, path: str) -> None:
    status, headers, body = ask(rig.client(upgrade=False), f"GET {path}")
    assert (status, body) == (200, {"url": "wss://gateway.example"})
    assert headers[b"content-type"] == b"application/json"


@pytest.mark.parametrize("path", ["/gateway/bot", "/api/v10/gateway/bot"])
def test_get_gateway_bot_counts_the_session_starts(rig: Rig, path: str) -> None:
    rig.ready()
    rig.advance(10.0)
    status, _, body = ask(rig.client(upgrade=False), f"GET {path}", f"Authorization: Bot {TOKEN}")
    assert status == 200
    assert body == {
        "url": "wss://gateway.example",
        "shards": 3,
        "session_start_limit": {"total": 5, "remaining": 4, "reset_after": 86390000, "max_concurrency": 16},
    }
    assert rig.reported(HttpAnswered) == [
        HttpAnswered(connection_id=2, method="GET", path=path, status=200),
    ]


@pytest.mark.parametrize(
    "header", ["X: y", "Authorization: Bot wrong", f"Authorization: {TOKEN}", "Authorization: Bot "]
)
def test_get_gateway_bot_without_the_token_is_401(rig: Rig, header: str) -> None:
    status, _, body = ask(rig.client(upgrade=False), "GET /gateway/bot", header)
    assert (status, body) == (401, {"message": "401: Unauthorized", "code": 0})


def test_two_authorizations_are_none(rig: Rig) -> None:
    header = f"Authorization: Bot {TOKEN}"
    assert ask(rig.client(upgrade=False), "GET /gateway/bot", header, header)[0] == 401


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /nothing", 404),
        ("GET /gateway/", 404),
        ("GET /gateway/bots", 404),
        ("GET /api/v8/gateway", 404),
        ("GET /api/v11/gateway", 404),
        ("POST /nothing", 404),
        ("POST /gateway", 405),
        ("HEAD /gateway", 405),
        ("DELETE /gateway/bot", 405),
        ("POST /", 405),
        ("GET /", 426),
        ("GET *", 404),
        ("GET http://[", 400),
        ("CONNECT example:443", 404),
    ],
)
def test_everything_else(rig: Rig, request_line: str, status: int) -> None:
    client = rig.client(upgrade=False)
    assert ask(client, request_line)[0] == status
    assert client.connection.has_ended
    assert client.connection.id not in rig.server.connections


def test_what_comes_behind_a_request_is_not_read(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    assert ask(client, "POST /gateway", "Content-Length: 1000000")[0] == 405
    sent = client.sent
    assert client.feed(b"x" * 1000) == []
    assert client.sent == sent


@pytest.mark.failure("F30")
@pytest.mark.parametrize("upgrade", [False, True])
def test_a_fault_refuses_the_request_with_retry_after(rig: Rig, upgrade: bool) -> None:
    client = rig.client(upgrade=False)
    rig.inject(client, Refuse(429, retry_after=1.5))
    client.feed(upgrade_request() if upgrade else b"GET /gateway/bot HTTP/1.1\r\nHost: x\r\n\r\n")
    status, headers, body = answer(client)
    assert (status, headers[b"retry-after"]) == (429, b"2")
    assert body == {"message": "You are being rate limited.", "retry_after": 1.5, "global": False}
    other = rig.client(upgrade=False)
    rig.inject(other, Refuse(503))
    other.feed(upgrade_request())
    assert answer(other)[0] == 503


def test_the_upgrade_is_answered_as_the_rfc_has_it(rig: Rig) -> None:
    client = rig.client(compress="zlib-stream")
    head, _, _ = client.sent.partition(b"\r\n\r\n")
    # The example key and its answer of RFC 6455 section 1.3 are another's; this is sha1(key + GUID) of ours.
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert b"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in head
    assert rig.reported(Upgraded) == [Upgraded(connection_id=1, compress="zlib-stream")]
    assert rig.client("v=10&encoding=json").ops() == [10]


def test_frames_in_the_same_chunk_as_the_request_are_read(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request() + text_frame(b'{"op":1,"d":null}'))
    assert client.ops() == [10, 11]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Upgrade": ""}, 426),
        ({"Upgrade": "h2c"}, 426),
        ({"Connection": "keep-alive"}, 426),
        ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "AAAA"}, 400),
        ({"Host": ""}, 400),
        ({"Content_Length": "5"}, 400),
        ({"Transfer_Encoding": "chunked"}, 400),
    ],
)
def test_an_upgrade_that_is_none_is_refused(rig: Rig, headers: dict[str, str], status: int) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request(**headers))
    assert answer(client)[0] == status


@pytest.mark.parametrize(("version", "status"), [(b"1.0", 400), (b"0.9", 505), (b"2.0", 505), (b"9.9", 505)])
def test_an_upgrade_by_another_http_is_refused(rig: Rig, version: bytes, status: int) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request().replace(b"HTTP/1.1", b"HTTP/" + version))
    assert answer(client)[0] == status
    assert rig.reported(HttpAnswered) == [HttpAnswered(connection_id=1, method="GET", path="/", status=status)]


@pytest.mark.parametrize(("version", "status"), [("1.0", 200), ("1.2", 200), ("2.0", 505), ("9.9", 505)])
def test_a_route_by_another_http(rig: Rig, version: str, status: int) -> None:
    client = rig.client(upgrade=False)
    client.feed(f"GET /gateway HTTP/{version}\r\nHost: localhost\r\n\r\n".encode())
    assert answer(client)[0] == status


def test_http_of_a_higher_minor_version_may_upgrade(rig: Rig) -> None:
    """RFC 6455 section 4.2.1 wants 1.1 or higher."""
    client = rig.client(upgrade=False)
    client.feed(upgrade_request().replace(b"HTTP/1.1", b"HTTP/1.2"))
    assert client.ops() == [10]


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"Host: elsewhere", 400),
        (b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", 400),
        (b"Sec-WebSocket-Key: BBBBBBBBBBBBBBBBBBBBBB==", 400),
        (b"Sec-WebSocket-Version: 13", 400),
        (b"Sec-WebSocket-Version: 8", 400),
        # Lists, as many lines as there are (RFC 9110 section 5.3).
        (b"Upgrade: websocket", 101),
        (b"Connection: keep-alive", 101),
    ],
)
def test_headers_that_come_twice(rig: Rig, line: bytes, status: int) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request().removesuffix(b"\r\n") + line + b"\r\n\r\n")
    assert client.sent.startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize(
    "key",
    [
        "A" * 22,  # no padding
        "A" * 20 + "==",  # 15 bytes
        "A" * 24 + "==",  # 18 bytes
        "A" * 21 + "===",
        "A" * 21 + "-==",  # the other alphabet
        "A" * 11 + " " + "A" * 11 + "==",
        "\xe9" + "A" * 21 + "==",
    ],
)
def test_a_key_is_sixteen_bytes_of_base64(rig: Rig, key: str) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request(Sec_WebSocket_Key=key))
    assert answer(client)[0] == 400


@pytest.mark.parametrize("version", ["", "8", "14", "13.0", "13, 8"])
def test_another_version_of_the_websocket_is_told_which_one_it_is(rig: Rig, version: str) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request(Sec_WebSocket_Version=version))
    status, headers, _ = answer(client)
    assert (status, headers[b"sec-websocket-version"], headers[b"upgrade"]) == (426, b"13", b"websocket")


def test_case_and_lists_in_the_upgrade_headers_are_understood(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    client.feed(upgrade_request(Upgrade="h2c, WebSocket", Connection="keep-alive, UPGRADE"))
    assert client.ops() == [10]


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\n\n",
        b"GET\n\n",
        b"GET / HTTP/1.1\r\nBad header\r\n\r\n",
        b"GET / HTTP/9\n\n",
    ],
)
def test_what_is_no_http_is_400(rig: Rig, data: bytes) -> None:
    client = rig.client(upgrade=False)
    client.feed(data)
    assert answer(client)[0] == 400
    assert rig.reported(HttpAnswered) == [HttpAnswered(connection_id=1, method="", path="", status=400)]


def test_a_fault_answers_even_what_is_no_http(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    rig.inject(client, Refuse(503))
    client.feed(b"\n\n")
    assert answer(client)[0] == 503


@pytest.mark.parametrize("chunk", [1, 7, 5000])
def test_a_header_that_is_too_long_is_431_in_every_chunking(chunk: int) -> None:
    for size, status in ((999, None), (1000, 101), (1001, 431)):
        rig = Rig(ServerConfig(limits=ServerLimits(max_request=1000)))
        client = rig.client(upgrade=False)
        head = upgrade_request(X="y")
        data = (
            upgrade_request(X="y" * (1000 - len(head) + 1))
            if size == 1000
            else b"GET / HTTP/1.1\r\nX: ".ljust(size, b"y")
        )
        assert len(data) == size
        for start in range(0, size, chunk):
            client.feed(data[start : start + chunk])
        if status == 431:
            assert answer(client)[0] == 431
        else:
            assert client.sent.startswith(b"HTTP/1.1 101" if status else b"") is True
            assert (client.sent == b"") is (status is None)


def test_a_request_that_never_comes_is_408() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    client.feed(b"GET / HTTP/1.1\r\n")
    rig.advance(9.9)
    assert client.sent == b""
    rig.advance(0.1)
    assert answer(client)[0] == 408


def test_an_eof_before_the_request_ends_the_socket() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    assert client.eof() == [CloseSocket(connection_id=1, abort=True, grace=2.0)]
    assert client.eof() == []
    assert client.connection.next_timeout() is None
