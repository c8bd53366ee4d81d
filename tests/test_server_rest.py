"""The HTTP routes that libraries ask when they start, and how a request's body is read: whole, and up to a bound."""

from typing import Any

import pytest

from gateway_proto.secret import Secret
from gateway_proto.server import HttpAnswered, Refuse, ServerConfig, ServerLimits

from .server_helpers import TOKEN, Client, Rig
from .test_server_http import answer, ask
from .world_helpers import play, shard_client, world_rig

AUTHORIZED = f"Authorization: Bot {TOKEN}"
APPLICATION = ["/applications/@me", "/oauth2/applications/@me"]


@pytest.fixture
def rig() -> Rig:
    return Rig(
        ServerConfig(
            token=Secret(TOKEN),
            user_id=11,
            application_id=12,
            username="marvin",
            guild_ids=(1, 2),
            limits=ServerLimits(max_body=100),
        )
    )


def get(rig: Rig, path: str) -> Any:
    status, headers, body = ask(rig.client(upgrade=False), f"GET {path}", AUTHORIZED)
    assert (status, headers[b"content-type"]) == (200, b"application/json")
    return body


@pytest.mark.parametrize("prefix", ["", "/api", "/api/v10"])
def test_the_user_is_that_of_ready(rig: Rig, prefix: str) -> None:
    user = get(rig, f"{prefix}/users/@me")
    assert (user["id"], user["username"], user["bot"]) == ("11", "marvin", True)
    assert user == rig.ready().received[-1]["d"]["user"]


@pytest.mark.parametrize("path", APPLICATION)
def test_the_application_is_that_of_ready(rig: Rig, path: str) -> None:
    application = get(rig, path)
    of_ready = rig.ready().received[-1]["d"]["application"]
    assert of_ready == {name: application[name] for name in of_ready}
    assert (application["id"], application["name"], application["approximate_guild_count"]) == ("12", "marvin", 2)
    assert (application["bot"]["id"], application["bot"]["bot"]) == ("11", True)
    assert application["owner"]["id"] not in ("11", "12")


@pytest.mark.parametrize("path", ["/users/@me", *APPLICATION])
@pytest.mark.parametrize("header", ["X: y", "Authorization: Bot wrong", f"Authorization: Bearer {TOKEN}"])
def test_without_the_token_they_are_401(rig: Rig, path: str, header: str) -> None:
    status, _, body = ask(rig.client(upgrade=False), f"GET {path}", header)
    assert (status, body) == (401, {"message": "401: Unauthorized", "code": 0})


@pytest.mark.parametrize(
    "path",
    ["/users/11", "/users/@me/", "/users", "/oauth2/@me", "/api/v8/users/@me", "/api/v10", "/api/v10/users/@you"],
)
def test_other_paths_are_404(rig: Rig, path: str) -> None:
    status, _, body = ask(rig.client(upgrade=False), f"GET {path}", AUTHORIZED)
    assert (status, body) == (404, {"message": "404: Not Found", "code": 0})


@pytest.mark.parametrize("path", ["/users/@me", *APPLICATION])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_other_methods_are_405(rig: Rig, path: str, method: str) -> None:
    status, headers, body = ask(rig.client(upgrade=False), f"{method} {path}", AUTHORIZED)
    assert (status, headers[b"allow"]) == (405, b"GET")
    assert body == {"message": "405: Method Not Allowed", "code": 0}


# -- bodies ------------------------------------------------------------------------------------------------------------


def request(method: str, path: str, body: bytes, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode() + body


def feed(client: Client, data: bytes, chunk: int) -> None:
    for start in range(0, len(data), chunk):
        client.feed(data[start : start + chunk])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize("chunk", [1, 7, 5000])
def test_a_body_is_read_before_the_answer(rig: Rig, method: str, chunk: int) -> None:
    """A client that is still writing when the socket is closed misses the answer."""
    client = rig.client(upgrade=False)
    data = request(method, "/nothing", b"x" * 100, "Content-Length: 100")
    feed(client, data[:-1], chunk)
    assert client.sent == b""
    client.feed(data[-1:])
    assert answer(client, method)[0] == 404
    assert rig.reported(HttpAnswered) == [
        HttpAnswered(connection_id=1, method=method, path="/nothing", status=404),
    ]


@pytest.mark.parametrize("chunk", [1, 7, 5000])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"5\r\nhello\r\n0\r\n\r\n", 404),
        (b"5;name=value\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", 404),
        (b"0\r\n\r\n", 404),
        (b"x\r\nhello\r\n0\r\n\r\n", 400),
    ],
)
def test_a_chunked_body_is_read_in_every_chunking(rig: Rig, body: bytes, status: int, chunk: int) -> None:
    client = rig.client(upgrade=False)
    feed(client, request("PUT", "/nothing", body, "Transfer-Encoding: chunked"), chunk)
    assert answer(client, "PUT")[0] == status


@pytest.mark.parametrize("chunk", [1, 7, 5000])
@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/gateway", 413), ("PUT", "/gateway", 405), ("PUT", "/x", 404)]
)
@pytest.mark.parametrize("endless", [b"1\r\nx\r\n" * 50, b"1;" + b"y" * 300, b"ffff\r\n" + b"x" * 300])
def test_a_body_over_the_bound_is_not_waited_for(
    rig: Rig, method: str, path: str, status: int, endless: bytes, chunk: int
) -> None:
    client = rig.client(upgrade=False)
    client.feed(request(method, path, b"", "Transfer-Encoding: chunked"))
    feed(client, endless[:99], chunk)
    assert client.sent == b""
    feed(client, endless[99:], chunk)
    assert answer(client, method)[0] == status
    declared = rig.client(upgrade=False)
    declared.feed(request(method, path, b"", "Content-Length: 101"))
    assert answer(declared, method)[0] == status


def test_too_large_has_the_code_that_discord_gives_it(rig: Rig) -> None:
    status, _, body = ask(rig.client(upgrade=False), "GET /gateway", "Content-Length: 99999999999999999999")
    assert (status, body) == (413, {"message": "Request entity too large", "code": 40005})


@pytest.mark.parametrize("length", ["x", "-1", "1" * 21])
def test_a_length_that_is_none_is_400(rig: Rig, length: str) -> None:
    assert ask(rig.client(upgrade=False), "POST /x", f"Content-Length: {length}")[0] == 400


def test_a_body_that_never_ends_is_408() -> None:
    rig = Rig()
    client = rig.client(upgrade=False)
    client.feed(request("POST", "/x", b"x", "Content-Length: 2"))
    rig.advance(10.0)
    assert answer(client, "POST")[0] == 408


def test_a_body_for_which_continue_is_expected_is_asked_for_once(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    client.feed(request("POST", "/x", b"", "Content-Length: 2", "Expect: 100-continue"))
    assert client.sent.startswith(b"HTTP/1.1 100 ")
    first = client.sent
    client.feed(b"x")
    assert client.sent == first
    client.sent = b""
    client.feed(b"y")
    assert answer(client, "POST")[0] == 404


def test_a_fault_refuses_a_request_behind_its_body(rig: Rig) -> None:
    client = rig.client(upgrade=False)
    rig.inject(client, Refuse(503))
    client.feed(request("POST", "/x", b"x", "Content-Length: 2"))
    assert client.sent == b""
    client.feed(b"y")
    assert answer(client, "POST")[0] == 503


def test_the_user_is_as_the_last_user_update_says() -> None:
    rig = world_rig(shares={"USER_UPDATE": 1.0})
    before = get(rig, "/users/@me")
    play(rig, 3)
    user = get(rig, "/users/@me")
    assert user != before
    assert user == shard_client(rig).received[1]["d"]["user"]
    assert get(rig, "/applications/@me")["bot"]["avatar"] == user["avatar"]
