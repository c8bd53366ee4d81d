"""The opening handshake: what is asked, what is accepted, and that the cut of the bytes decides nothing."""

import base64
import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsproto.utilities import generate_accept_token

from gateway_proto.errors import InvalidHandshakeError
from gateway_proto.url import parse_gateway_url
from gateway_proto.websocket import Opened, Refused, WebSocketClient
from gateway_proto.websocket.upgrade import UpgradeRequest

from .packing import text

LIMIT = 2048
PARAMETERS = {"v": "10", "encoding": "json"}
Verdict = tuple[Opened | Refused, bytes] | None


def upgrade(limit: int = LIMIT, url: str = "wss://gateway.discord.gg", seed: int = 1) -> UpgradeRequest:
    return UpgradeRequest(parse_gateway_url(url), PARAMETERS, "agent (1)", random.Random(seed), limit)


def request_lines(request: UpgradeRequest) -> list[bytes]:
    assert request.request.endswith(b"\r\n\r\n")
    return request.request.removesuffix(b"\r\n\r\n").split(b"\r\n")


def accept(request: UpgradeRequest) -> bytes:
    headers = dict(line.split(b": ", 1) for line in request_lines(request)[1:])
    return generate_accept_token(headers[b"Sec-WebSocket-Key"])


def switching(request: UpgradeRequest, *more: bytes, **changes: bytes) -> bytes:
    fields = {"Upgrade": b"websocket", "Connection": b"Upgrade", "Sec-WebSocket-Accept": accept(request)}
    fields |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [b"HTTP/1.1 101 Switching Protocols", *(name.encode() + b": " + value for name, value in fields.items())]
    return b"\r\n".join([*lines, *more, b"", b""])


def feed(request: UpgradeRequest, *chunks: bytes) -> Verdict:
    """The verdict on bytes that come in these chunks; what came after an acceptance counts as its rest."""
    verdict: Verdict = None
    for chunk in chunks:
        if verdict is None:
            verdict = request.receive_data(chunk)
        elif isinstance(verdict[0], Opened):
            verdict = verdict[0], verdict[1] + chunk
    return verdict if verdict is None or isinstance(verdict[0], Opened) else (verdict[0], b"")


def refusal(response: bytes, limit: int = LIMIT) -> InvalidHandshakeError:
    verdict = upgrade(limit).receive_data(response)
    assert verdict is not None
    assert isinstance(verdict[0], Refused)
    return verdict[0].error


def test_the_request() -> None:
    first, *headers = request_lines(upgrade(url="wss://gateway.discord.gg:8443/x?a=1&v=6"))
    assert first == b"GET /x?a=1&v=10&encoding=json HTTP/1.1"
    fields = dict(line.split(b": ", 1) for line in headers)
    key = fields.pop(b"Sec-WebSocket-Key")
    assert fields == {
        b"Host": b"gateway.discord.gg:8443",
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Version": b"13",
        b"User-Agent": b"agent (1)",
    }
    assert len(base64.b64decode(key, validate=True)) == 16


def test_the_key_comes_from_the_rng() -> None:
    assert upgrade(seed=1).request == upgrade(seed=1).request != upgrade(seed=2).request


@pytest.mark.parametrize(("version", "accepted"), [(b"1.1", True), (b"1.2", True), (b"1.0", False), (b"9.9", False)])
def test_only_http_1_1_and_its_like_can_switch(version: bytes, accepted: bool) -> None:
    request = upgrade()
    verdict = feed(request, switching(request).replace(b"HTTP/1.1", b"HTTP/" + version, 1))
    assert verdict is not None
    assert isinstance(verdict[0], Opened) is accepted
    if isinstance(verdict[0], Refused):
        assert str(verdict[0].error).endswith("HTTP 101 by another version than HTTP/1.1")


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ((), {}),
        ((), {"Upgrade": b"WebSocket", "Connection": b"keep-alive, UPGRADE"}),
        ((b"Upgrade: h2c",), {}),
        ((b"Server: x", b"CF-RAY: 1-FRA", b"Set-Cookie: a=b"), {}),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\x81\x00", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_accepted(more: tuple[bytes, ...], changes: dict[str, bytes], rest: bytes) -> None:
    request = upgrade()
    assert request.receive_data(switching(request, *more, **changes) + rest) == (Opened(), rest)


def test_bare_line_feeds_are_a_header_too() -> None:
    request = upgrade()
    assert request.receive_data(switching(request).replace(b"\r\n", b"\n") + b"\x81") == (Opened(), b"\x81")


@pytest.mark.failure("F30")
@pytest.mark.parametrize(
    ("more", "changes", "said"),
    [
        ((), {"Upgrade": b"h2c"}, "without Upgrade"),
        ((), {"Upgrade": b"websockets"}, "without Upgrade"),
        ((), {"Connection": b"close"}, "without Upgrade"),
        ((), {"Sec_WebSocket_Accept": b"AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, "wrong Sec-WebSocket-Accept"),
        ((), {"Sec_WebSocket_Accept": b""}, "wrong Sec-WebSocket-Accept"),
        ((b"Sec-WebSocket-Accept: AAAA",), {}, "wrong Sec-WebSocket-Accept"),
        ((b"Sec-WebSocket-Extensions: permessage-deflate",), {}, "extension"),
        ((b"Sec-WebSocket-Protocol: chat",), {}, "extension or protocol"),
    ],
)
def test_a_wrong_101(more: tuple[bytes, ...], changes: dict[str, bytes], said: str) -> None:
    request = upgrade()
    verdict = request.receive_data(switching(request, *more, **changes))
    assert verdict is not None
    assert isinstance(verdict[0], Refused)
    assert said in str(verdict[0].error)
    assert verdict[0].error.status == 101


def test_101_without_an_accept_token() -> None:
    response = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    assert "Sec-WebSocket-Accept" in str(refusal(response))


@pytest.mark.parametrize("status", [100, 102, 103])
@pytest.mark.parametrize("times", [1, 3])
def test_what_may_come_before_101(status: int, times: int) -> None:
    early = b"HTTP/1.1 %d Early\r\nLink: </x>; rel=preload\r\n\r\n" % status
    request = upgrade()
    assert request.receive_data(early * times) is None
    assert request.receive_data(switching(request) + b"rest") == (Opened(), b"rest")
    request = upgrade()
    assert request.receive_data(early * times + switching(request) + b"rest") == (Opened(), b"rest")


@pytest.mark.failure("F23", "F30")
@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 404, 429, 500, 502, 503, 521])
def test_a_refusal_tells_its_status(status: int) -> None:
    response = b"HTTP/1.1 %d Some Words\r\nContent-Length: 9\r\nContent-Type: text/html\r\n\r\n<html>502" % status
    error = refusal(response)
    assert error == InvalidHandshakeError(f"the upgrade was refused with HTTP {status}", status, None)


@pytest.mark.failure("F23")
@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0.0),
        (b"7", 7.0),
        (b"1.25", 1.25),
        (b"3600", 3600.0),
        (b"3601", 3600.0),
        (b"999999999", 3600.0),
        (b"Wed, 21 Oct 2026 07:28:00 GMT", None),
        (b"-1", None),
        (b"1e9", None),
        (b"nan", None),
        (b"inf", None),
        (b"", None),
        (b"9" * 400, None),
        ("٣".encode(), None),
    ],
)
def test_retry_after(value: bytes, seconds: float | None) -> None:
    assert refusal(b"HTTP/1.1 429 Too Many\r\nRetry-After: " + value + b"\r\n\r\n").retry_after == seconds


@pytest.mark.failure("F30")
@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 101 Switching\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\n\n",
        b"\x16\x03\x01\x00\xa5\x01\x00\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nbad header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_http(response: bytes) -> None:
    error = refusal(response)
    assert "not HTTP" in str(error)
    assert error.retry_after is None


@pytest.mark.failure("F30")
@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_limit_of_the_header(over: int, size: int) -> None:
    request = upgrade()
    padding = LIMIT - len(switching(request, b"X: "))
    response = switching(request, b"X: " + b"y" * (padding + over))
    assert len(response) == LIMIT + over
    verdict = feed(request, *(response[at : at + size] for at in range(0, len(response), size)))
    assert verdict is not None
    if over:
        assert isinstance(verdict[0], Refused)
        assert str(verdict[0].error) == f"no HTTP header within {LIMIT} bytes"
    else:
        assert verdict == (Opened(), b"")


@pytest.mark.failure("F30")
def test_a_header_that_never_ends_is_not_kept() -> None:
    request = upgrade()
    verdict = None
    fed = 0
    while verdict is None:
        verdict = request.receive_data(b"a" * 100)
        fed += 100
    assert LIMIT <= fed < LIMIT + 100
    assert isinstance(verdict[0], Refused)


fragments = st.sampled_from(
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n",
        b"HTTP/1.1 503 No\r\nRetry-After: 5\r\n\r\nbody",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"Upgrade: websocket\r\n",
        b"\r\n",
        b"\n",
        b"x" * 1000,
        b"101",
    ]
)


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    """What may come back: whole answers, pieces and noise."""
    whole = st.just(switching(upgrade(seed=1)))
    return b"".join(draw(st.lists(whole | fragments | st.binary(max_size=8), max_size=6)))


@given(answer=answers(), cuts=st.lists(st.integers(0, 3000)), rest=st.binary(max_size=5))
@example(answer=b"\n\n", cuts=[1], rest=b"")
@example(answer=b"HTTP/1.1 100 \n\n\n\n", cuts=[], rest=b"")
def test_any_chunking_gives_the_same_verdict(answer: bytes, cuts: list[int], rest: bytes) -> None:
    data = answer + rest
    whole, cut, bytewise = (upgrade(seed=1) for _ in range(3))
    edges = sorted({0, len(data), *(at for at in cuts if at <= len(data))})
    chunks = [data[start:end] for start, end in itertools.pairwise(edges)]
    assert feed(cut, *chunks) == feed(whole, data) == feed(bytewise, *(bytes([byte]) for byte in data))


# The client around it


def client(seed: int = 1) -> WebSocketClient:
    url = parse_gateway_url("wss://gateway.discord.gg")
    return WebSocketClient(
        url, PARAMETERS, user_agent="agent (1)", rng=random.Random(seed), max_message=1000, max_response=LIMIT
    )


def test_the_client_sends_the_request_once_and_no_frame_before_it_is_open() -> None:
    ws, request = client(), upgrade()
    assert ws.data_to_send() == request.request
    ws.send_message(b"{}")
    ws.close(4000)
    assert ws.data_to_send() == b""
    assert not ws.is_open
    assert ws.receive_data(b"") == []


def test_frames_behind_the_header_are_read_at_once() -> None:
    ws, request = client(), upgrade()
    events = ws.receive_data(switching(request) + text({"op": 11}) + text(b"{"))
    assert events == [Opened(), (True, b'{"op":11}'), (True, b"{")]
    assert ws.is_open
    assert ws.receive_data(text(b"[]")) == [(True, b"[]")]


def test_after_a_refusal_the_client_is_silent() -> None:
    ws = client()
    [event] = ws.receive_data(b"HTTP/1.1 503 No\r\n\r\n" + text(b"{}"))
    assert isinstance(event, Refused)
    assert ws.receive_data(switching(upgrade()) + text(b"{}")) == []
    assert not ws.is_open
