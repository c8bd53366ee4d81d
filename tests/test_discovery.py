"""GET /gateway and /gateway/bot: what is asked, every answer, every chunking."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_proto.discovery import (
    MAX_BODY,
    MAX_HEADER,
    AnswerIncompleteError,
    AnswerTooLargeError,
    Discovery,
    DiscoveryAction,
    DiscoveryError,
    DiscoveryFailed,
    DiscoveryTimeoutError,
    GatewayFound,
    GatewayInfo,
    MalformedAnswerError,
    RateLimitedError,
    ServerFaultError,
    SessionStartLimit,
    UnauthorizedError,
    UnexpectedStatusError,
    UnreachableError,
)
from gateway_proto.errors import BuildingUrlError, InvalidConfigError
from gateway_proto.secret import Secret

TOKEN = Secret("made-up.token.of-a-test")
LIMIT = {"total": 1000, "remaining": 999, "reset_after": 14_400_500, "max_concurrency": 16}
ANSWER = {"url": "wss://gateway.discord.gg", "shards": 9, "session_start_limit": LIMIT}
INFO = GatewayInfo(
    url="wss://gateway.discord.gg",
    shards=9,
    session_start_limit=SessionStartLimit(total=1000, remaining=999, reset_after=14400.5, max_concurrency=16),
)


def response(body: Any, status: int = 200, *headers: tuple[str, str], coding: str = "length") -> bytes:
    """A whole answer. `coding` says how its end is told: length, chunked or eof."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = [("Content-Type", "application/json"), *headers]
    if coding == "length":
        fields.append(("Content-Length", str(len(data))))
    if coding == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))
        middle = len(data) // 2
        parts = [part for part in (data[:middle], data[middle:]) if part]
        data = b"".join(b"%x;name=value\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nX-Trailer: 1\r\n\r\n"
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + data


def opened(token: Secret | None = TOKEN, **settings: Any) -> Discovery:
    machine = Discovery(token=token, **settings)
    assert machine.connection_made(0.0) == []
    return machine


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def answer_to(
    chunks: Iterable[bytes], *, eof: bool = True, token: Secret | None = TOKEN, **settings: Any
) -> DiscoveryAction | None:
    """What comes of an answer in these chunks; at most one action may."""
    machine = opened(token, **settings)
    actions = [action for chunk in chunks for action in machine.receive_data(chunk, 1.0)]
    if eof:
        actions += machine.receive_eof(2.0)
    assert len(actions) <= 1
    return actions[0] if actions else None


def error_of(data: bytes, **settings: Any) -> DiscoveryError:
    action = answer_to([data], **settings)
    assert isinstance(action, DiscoveryFailed)
    return action.error


def request_of(machine: Discovery) -> h11.Request:
    server = h11.Connection(h11.SERVER)
    server.receive_data(machine.data_to_send())
    request = server.next_event()
    assert isinstance(request, h11.Request)
    assert type(server.next_event()) is h11.EndOfMessage
    return request


def test_request_with_a_token() -> None:
    machine = opened()
    assert machine.endpoint == ("discord.com", 443, True)
    request = request_of(machine)
    assert (request.method, request.target) == (b"GET", b"/api/v10/gateway/bot")
    assert dict(request.headers) == {
        b"host": b"discord.com",
        b"user-agent": b"DiscordBot (https://pypi.org/project/gateway-proto, 0.1.0)",
        b"accept": b"application/json",
        b"accept-encoding": b"identity",
        b"connection": b"close",
        b"authorization": b"Bot made-up.token.of-a-test",
    }
    assert machine.data_to_send(1.0) == b""


def test_request_without_a_token() -> None:
    machine = opened(None, base="http://[::1]:8080/", user_agent="DiscordBot (https://example.org, 7)")
    assert machine.endpoint == ("::1", 8080, False)
    request = request_of(machine)
    headers = dict(request.headers)
    assert request.target == b"/gateway"
    assert headers[b"host"] == b"[::1]:8080"
    assert headers[b"user-agent"] == b"DiscordBot (https://example.org, 7)"
    assert b"authorization" not in headers


@pytest.mark.parametrize("coding", ["length", "chunked", "eof"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 4096])
def test_gateway_bot(coding: str, size: int) -> None:
    data = b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + response(ANSWER, coding=coding)
    assert answer_to(cut(data, size)) == GatewayFound(INFO)


def test_gateway_needs_nothing_but_a_url() -> None:
    assert answer_to([response({"url": "wss://gateway.discord.gg"})], token=None) == GatewayFound(
        GatewayInfo(url="wss://gateway.discord.gg")
    )


def test_unknown_fields_are_ignored() -> None:
    assert answer_to([response({**ANSWER, "new": [1]})]) == GatewayFound(INFO)


def test_verdict_does_not_wait_for_the_end_of_the_connection() -> None:
    assert answer_to([response(ANSWER) + b"trailing"], eof=False) == GatewayFound(INFO)
    assert answer_to([response(b"", 401, ("Content-Length", "99"), coding="eof")], eof=False) == DiscoveryFailed(
        UnauthorizedError()
    )


def test_401_says_which_token_to_use() -> None:
    error = error_of(response({"message": "401: Unauthorized", "code": 0}, 401))
    assert error == UnauthorizedError()
    assert "use the bot token" in str(error)
    assert not error.retryable


@pytest.mark.failure("F23")
@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ([("Retry-After", "7")], b"", 7.0),
        ([("Retry-After", "7")], {"retry_after": 7.25, "global": False}, 7.25),
        ([("Retry-After", "7")], {"retry_after": "soon"}, 7.0),
        ([("Retry-After", "7")], {"retry_after": True}, 7.0),
        ([("Retry-After", "7")], ["retry_after"], 7.0),
        ([], {"retry_after": 64.57}, 64.57),
        ([], {"retry_after": -1}, None),
        ([], b'{"retry_after": 1e999}', None),
        ([], b'{"retry_after": %b}' % (b"9" * 400), 3600.0),
        ([("Retry-After", "86400")], b"", 3600.0),
        ([("Retry-After", "Fri, 31 Dec 2027 23:59:59 GMT")], b"", None),
        ([("Retry-After", "-5")], b"", None),
        ([("Retry-After", "9" * 30)], b"", None),
        ([], b"error code: 1015", None),
    ],
)
def test_429_carries_the_wait(headers: list[tuple[str, str]], body: Any, wait: float | None) -> None:
    error = error_of(response(body, 429, *headers))
    assert error == RateLimitedError(wait)
    assert error.retry_after == wait
    assert error.retryable


@pytest.mark.parametrize("ending", ["eof", "timeout", "too large", "malformed", "declared"])
def test_429_stands_whatever_becomes_of_its_body(ending: str) -> None:
    machine = opened()
    header = b"HTTP/1.1 429 X\r\nRetry-After: 7\r\n"
    declared = b"Content-Length: 999999\r\n\r\n" if ending == "declared" else b"Transfer-Encoding: chunked\r\n\r\n"
    actions = machine.receive_data(header + declared, 1.0)
    if ending == "eof":
        actions += machine.receive_eof(2.0)
    elif ending == "timeout":
        actions += machine.handle_timeout(99.0)
    elif ending == "too large":
        actions += machine.receive_data(b"fffff\r\n" + b" " * MAX_BODY, 2.0)
    elif ending == "malformed":
        actions += machine.receive_data(b"what?\r\n", 2.0)
    assert actions == [DiscoveryFailed(RateLimitedError(7.0))]


@pytest.mark.failure("F23")
def test_5xx_carries_the_wait() -> None:
    assert error_of(response(b"oops", 503, ("Retry-After", "30"))) == ServerFaultError(503, 30.0)
    assert error_of(response(b"oops", 500)).retry_after is None


@pytest.mark.parametrize("status", [201, 204, 301, 403, 404])
def test_other_statuses(status: int) -> None:
    assert error_of(response(b"", status)) == UnexpectedStatusError(status)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\n\n",
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    ],
)
def test_not_http(data: bytes) -> None:
    assert type(error_of(data)) is MalformedAnswerError


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in ANSWER.items() if key != name}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b'"\xff"',
        b"[" * 10_000,
        [],
        None,
        without("url"),
        without("shards"),
        without("session_start_limit"),
        {**ANSWER, "url": None},
        {**ANSWER, "url": "https://gateway.discord.gg"},
        {**ANSWER, "url": "wss://"},
        {**ANSWER, "url": "wss://user@gateway.discord.gg"},
        {**ANSWER, "shards": 0},
        {**ANSWER, "shards": 2**20 + 1},
        {**ANSWER, "shards": "9"},
        {**ANSWER, "shards": 9.5},
        {**ANSWER, "session_start_limit": []},
        *(
            {**ANSWER, "session_start_limit": {**LIMIT, **change}}
            for change in (
                {"max_concurrency": 0},
                {"max_concurrency": 10**30},
                {"total": -1},
                {"remaining": -1},
                {"remaining": None},
                {"reset_after": -1},
                {"reset_after": 10**300},
            )
        ),
    ],
)
def test_answers_that_are_no_gateway(body: Any) -> None:
    error = error_of(response(body))
    assert type(error) is MalformedAnswerError
    assert error.retryable
    assert error.retry_after is None
    assert len(str(error)) < 200


@pytest.mark.parametrize("size", [1, 100, 1400, 10**6])
def test_bounds_do_not_depend_on_the_chunking(size: int) -> None:
    padding = b"X-Padding: "
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
    room = MAX_HEADER - len(start) - len(padding) - 4
    exact = start + padding + b"x" * room + b"\r\n\r\n"
    over = start + padding + b"x" * (room + 1) + b"\r\n\r\n"
    body = json.dumps(ANSWER).encode()

    def chunked(length: int) -> bytes:
        frame = b"%05x\r\n"
        spaces = length - len(body) - 7 - 2 - 5
        return frame % (len(body) + spaces) + body + b" " * spaces + b"\r\n0\r\n\r\n"

    assert answer_to(cut(exact + chunked(MAX_BODY), size)) == GatewayFound(INFO)
    assert answer_to(cut(exact + chunked(MAX_BODY + 1), size)) == DiscoveryFailed(AnswerTooLargeError("body", MAX_BODY))
    assert answer_to(cut(over + chunked(MAX_BODY), size)) == DiscoveryFailed(AnswerTooLargeError("header", MAX_HEADER))


def test_a_flood_of_interim_answers_is_bounded() -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    flood = hint * (MAX_HEADER // len(hint) + 1)
    assert answer_to([flood], eof=False) == DiscoveryFailed(AnswerTooLargeError("header", MAX_HEADER))


def test_a_declared_length_is_refused_before_a_byte_of_it_comes() -> None:
    header = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    assert answer_to([header % (MAX_BODY + 1)], eof=False) == DiscoveryFailed(AnswerTooLargeError("body", MAX_BODY))
    assert answer_to([header % MAX_BODY], eof=False) is None


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_the_connection_ends_early(coding: str) -> None:
    whole = response(ANSWER, coding=coding)
    for end in range(len(whole)):
        assert answer_to([whole[:end]]) == DiscoveryFailed(AnswerIncompleteError())


def test_timeout_from_the_dial() -> None:
    machine = Discovery()
    assert machine.next_timeout() is None
    assert machine.handle_timeout(99.0) == []
    assert machine.connect(100.0) == []
    assert machine.connection_made(104.0) == []
    assert machine.next_timeout() == 110.0
    assert machine.handle_timeout(109.9) == []
    assert machine.handle_timeout(110.0) == [DiscoveryFailed(DiscoveryTimeoutError(10.0))]
    assert machine.next_timeout() is None


def test_timeout_from_the_open_socket() -> None:
    machine = Discovery(timeout=3.0)
    machine.connection_made(5.0)
    machine.receive_data(b"HTTP/1.1 200 OK\r\n", 6.0)
    assert machine.handle_timeout(8.0) == [DiscoveryFailed(DiscoveryTimeoutError(3.0))]


def test_dial_fails() -> None:
    machine = Discovery()
    machine.connect(0.0)
    assert machine.connection_failed(OSError("no route\nto host"), 1.0) == [
        DiscoveryFailed(UnreachableError("no route to host"))
    ]
    assert machine.next_timeout() is None
    assert machine.connection_failed(OSError(), 1.0) == []


ANY_INPUT: list[Callable[[Discovery], list[DiscoveryAction]]] = [
    lambda machine: machine.connect(9.0),
    lambda machine: machine.connection_made(9.0),
    lambda machine: machine.connection_failed("late", 9.0),
    lambda machine: machine.receive_data(response(ANSWER), 9.0),
    lambda machine: machine.receive_eof(9.0),
    lambda machine: machine.handle_timeout(99.0),
]


@pytest.mark.parametrize("late", ANY_INPUT)
def test_nothing_happens_after_the_end(late: Callable[[Discovery], list[DiscoveryAction]]) -> None:
    machine = opened()
    assert len(machine.receive_data(response(ANSWER), 1.0)) == 1
    assert late(machine) == []
    assert machine.data_to_send() == b""
    assert machine.next_timeout() is None


def test_nothing_is_read_before_the_socket_is_open() -> None:
    machine = Discovery()
    assert machine.receive_data(response(ANSWER), 0.0) == []
    assert machine.receive_eof(0.0) == []
    assert machine.data_to_send() == b""


@pytest.mark.parametrize(
    "base",
    ["discord.com", "wss://discord.com", "https://", "https://x/?a=b", "https://a b/", "https://u:p@discord.com"],
)
def test_a_base_that_cannot_be_dialled(base: str) -> None:
    with pytest.raises(BuildingUrlError):
        Discovery(base=base)


@pytest.mark.parametrize("agent", ["", "two\nlines", " spaces ", "ümlaut"])
def test_a_user_agent_that_is_no_header(agent: str) -> None:
    with pytest.raises(InvalidConfigError):
        Discovery(user_agent=agent)


@pytest.mark.failure("F41")
def test_the_token_shows_nowhere() -> None:
    with pytest.raises(InvalidConfigError) as caught:
        Discovery(token=Secret("two words"))
    assert "two words" not in str(caught.value)
    machine = opened()
    shown = repr(machine) + repr(machine.endpoint) + repr(answer_to([response(b"", 401)]))
    assert TOKEN.reveal() not in shown


def damaged() -> st.SearchStrategy[bytes]:
    """Whole answers with a slice of them replaced by anything."""
    bodies = st.sampled_from([ANSWER, {**ANSWER, "shards": 0}, b"", b"text"])
    wholes = st.builds(
        response,
        bodies,
        st.sampled_from([200, 200, 200, 429, 401, 503, 100]),
        coding=st.sampled_from(["length", "chunked", "eof"]),
    )
    return st.builds(
        lambda whole, at, length, middle: whole[: at % len(whole)] + middle + whole[at % len(whole) + length :],
        wholes,
        st.integers(0, 500),
        st.integers(0, 20),
        st.one_of(
            st.binary(max_size=20), st.sampled_from([b"\r\n", b"\n\n", b"\r\n\r\n", b"0" * 40, b"Content-Length: 5"])
        ),
    )


@given(
    data=st.one_of(st.binary(max_size=400), damaged()),
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=30),
    eof=st.booleans(),
)
@example(data=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 200, sizes=[1], eof=False)
@example(data=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;" + b"x" * 200, sizes=[200], eof=False)
@example(data=b"\x01 no HTTP\r\n\r\n", sizes=[1], eof=True)
def test_arbitrary_bytes_in_any_chunking(data: bytes, sizes: list[int], eof: bool) -> None:
    chunks, at = [], 0
    for size in sizes:
        chunks.append(data[at : at + size])
        at += size
    chunks.append(data[at:])
    # Small bounds, so that they too are met in every chunking.
    bounds: list[dict[str, Any]] = [{}, {"max_header": 120, "max_body": 100}]
    for settings in bounds:
        whole = answer_to([data], eof=eof, **settings)
        assert answer_to(chunks, eof=eof, **settings) == whole
        assert answer_to(cut(data, 1), eof=eof, **settings) == whole
