"""The application's commands over HTTP: what a bot registers when it starts is kept, and shown as Discord shows it."""

import json
from typing import Any

import pytest

from gateway_proto.secret import Secret
from gateway_proto.server import ServerConfig, ServerLimits
from gateway_proto.server.application import MAX_COMMANDS

from .server_helpers import TOKEN, Rig
from .test_server_http import answer

GLOBAL = "/api/v10/applications/12/commands"
GUILD = "/api/v10/applications/12/guilds/5/commands"


@pytest.fixture
def rig() -> Rig:
    return Rig(ServerConfig(token=Secret(TOKEN), application_id=12, limits=ServerLimits(max_body=2**20)))


def call(rig: Rig, method: str, path: str, body: Any = ..., *, token: str = TOKEN) -> tuple[int, Any]:
    data = b"" if body is ... else body if isinstance(body, bytes) else json.dumps(body).encode()
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bot {token}",
        f"Content-Length: {len(data)}",
    ]
    client = rig.client(upgrade=False)
    client.feed("\r\n".join([*head, "", ""]).encode() + data)
    status, _, decoded = answer(client, method)
    return status, decoded


@pytest.mark.parametrize("path", [GLOBAL, GUILD])
def test_there_are_none_until_they_are_registered(rig: Rig, path: str) -> None:
    assert call(rig, "GET", path) == (200, [])


def test_a_whole_scope_is_overwritten_and_a_known_name_keeps_its_id(rig: Rig) -> None:
    ping, look = {"name": "ping", "description": "pong"}, {"name": "look", "type": 2}
    status, [first, second] = call(rig, "PUT", GLOBAL, [ping, look])
    assert status == 200
    assert first == first | ping | {"type": 1, "application_id": "12", "default_member_permissions": None}
    assert second == second | look | {"description": ""}
    assert first["id"] != second["id"]
    assert call(rig, "GET", GLOBAL) == (200, [first, second])
    _, [again] = call(rig, "PUT", GLOBAL, [ping])
    assert again["id"] == first["id"]
    assert again["version"] != first["version"]
    assert call(rig, "GET", GLOBAL) == (200, [again])
    assert call(rig, "PUT", GLOBAL, []) == (200, [])
    assert call(rig, "GET", GLOBAL) == (200, [])


def test_one_is_created_or_replaces_its_namesake(rig: Rig) -> None:
    status, ping = call(rig, "POST", GLOBAL, {"name": "ping", "description": "a"})
    assert (status, ping["description"]) == (201, "a")
    status, other = call(rig, "POST", GLOBAL, {"name": "ping", "type": 2})
    assert status == 201
    status, changed = call(rig, "POST", GLOBAL, {"name": "ping", "description": "b"})
    assert (status, changed["description"], changed["id"]) == (200, "b", ping["id"])
    assert call(rig, "GET", GLOBAL) == (200, [changed, other])


def test_guilds_have_their_own(rig: Rig) -> None:
    _, [command] = call(rig, "PUT", GUILD, [{"name": "ping"}])
    assert command["guild_id"] == "5"
    assert call(rig, "GET", GUILD) == (200, [command])
    assert call(rig, "GET", GLOBAL) == (200, [])
    assert call(rig, "GET", GUILD.replace("5", "6")) == (200, [])


def test_what_a_client_cannot_choose_is_not_its_to_choose(rig: Rig) -> None:
    chosen = {"id": "1", "version": "1", "application_id": "1", "name": "ping"}
    _, command = call(rig, "POST", GLOBAL, chosen)
    assert command["application_id"] == "12"
    assert "1" not in (command["id"], command["version"])


@pytest.mark.parametrize(
    ("method", "body", "code"),
    [
        ("PUT", b"", 50109),
        ("PUT", b"{", 50109),
        ("PUT", b'["\xff"]', 50109),
        ("PUT", b"[" * 100_000, 50109),
        ("PUT", {"name": "ping"}, 50035),
        ("PUT", [{"name": "ping"}, {}], 50035),
        ("PUT", [{"name": ""}], 50035),
        ("PUT", [{"name": "ping", "type": "1"}], 50035),
        ("PUT", [{"name": "ping", "type": True}], 50035),
        ("PUT", b'[{"name":"ping","options":' + b"[" * 40 + b"]" * 40 + b"}]", 50035),
        ("PUT", [{"name": "ping", "description": "x" * MAX_COMMANDS}], 50035),
        ("POST", [{"name": "ping"}], 50035),
        ("POST", b"null", 50035),
    ],
)
def test_what_is_no_command_is_400_and_changes_nothing(rig: Rig, method: str, body: Any, code: int) -> None:
    limits = ServerLimits(max_body=2**21)
    rig = Rig(ServerConfig(token=Secret(TOKEN), application_id=12, limits=limits))
    _, [kept] = call(rig, "PUT", GLOBAL, [{"name": "kept"}])
    status, error = call(rig, method, GLOBAL, body)
    assert (status, error["code"]) == (400, code)
    assert call(rig, "GET", GLOBAL) == (200, [kept])


def test_all_together_are_bounded(rig: Rig) -> None:
    half = "x" * (MAX_COMMANDS // 2)
    assert call(rig, "POST", GLOBAL, {"name": "a", "description": half})[0] == 201
    assert call(rig, "POST", GUILD, {"name": "a", "description": half})[0] == 400
    assert call(rig, "PUT", GLOBAL, [])[0] == 200
    assert call(rig, "POST", GUILD, {"name": "a", "description": half})[0] == 201


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "commands"), ("PUT", "commands"), ("POST", "guilds/5/commands"), ("GET", "emojis")]
)
def test_another_application_is_unknown(rig: Rig, method: str, path: str) -> None:
    expected = (404, {"message": "Unknown Application", "code": 10002})
    assert call(rig, method, f"/applications/13/{path}", []) == expected


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_without_the_token_they_are_401(rig: Rig, method: str) -> None:
    assert call(rig, method, GLOBAL, [], token="wrong")[0] == 401


@pytest.mark.parametrize(("path", "status"), [(GLOBAL, 405), (f"{GLOBAL}/1", 404), ("/applications/x/commands", 404)])
def test_nothing_is_deleted(rig: Rig, path: str, status: int) -> None:
    assert call(rig, "DELETE", path)[0] == status


def test_the_application_has_no_emoji_and_there_are_no_default_sounds(rig: Rig) -> None:
    assert call(rig, "GET", "/applications/12/emojis") == (200, {"items": []})
    assert call(rig, "GET", "/soundboard-default-sounds") == (200, [])
