"""Where other people's clients found the server unlike Discord. Each test names the client that noticed.

`python -m tests.interop` runs discord.py, hikari and @discordjs/ws; disnake, nextcord, py-cord and discord.js were run
in the same way. Here is what each of them needed, without them.
"""

from typing import Any

import pytest

from gateway_proto.server import Refuse, ServerConfig

from .server_helpers import Client, Rig
from .world_helpers import bodies, shard_client, world_rig


def is_open(client: Client) -> bool:
    return client.closed is None and client.socket is None


def test_hikari_reads_the_whole_own_user_in_ready() -> None:
    """It reads `mfa_enabled` and `flags` without asking whether they are there; both are always sent to a bot."""
    user = Rig().ready().received[-1]["d"]["user"]
    assert (user["mfa_enabled"], user["flags"], user["verified"], user["email"]) == (False, 0, True, None)


def test_discord_py_asks_for_its_user_and_application_before_it_dials() -> None:
    """`Client.login` fails without both, and without any of these fields."""
    for path, fields in (
        ("/api/v10/users/@me", "id username discriminator avatar"),
        (
            "/api/v10/oauth2/applications/@me",
            "id name description icon bot_public bot_require_code_grant owner verify_key",
        ),
    ):
        client = Rig().client(upgrade=False)
        client.feed(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bot x\r\n\r\n".encode())
        assert client.sent.startswith(b"HTTP/1.1 200 ")
        assert all(f'"{field}":'.encode() in client.sent for field in fields.split())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        # nextcord, at READY, whether it has any or not; disnake and py-cord, once they have some
        ("/applications/80351110224678912/commands", b"[]"),
        # py-cord, at READY
        ("/soundboard-default-sounds", b"[]"),
        ("/applications/80351110224678912/emojis", b'{"items":[]}'),
    ],
)
def test_nextcord_and_py_cord_ask_at_ready_what_the_application_has(path: str, body: bytes) -> None:
    """Their `on_ready` never comes after a 404."""
    client = Rig().client(upgrade=False)
    client.feed(f"GET /api/v10{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bot x\r\n\r\n".encode())
    assert client.sent.startswith(b"HTTP/1.1 200 ")
    assert client.sent.endswith(b"\r\n\r\n" + body)


def test_discord_py_and_nextcord_read_the_headers_of_a_429() -> None:
    """Without Via discord.py takes it for a ban by what stands before Discord, and gives up; nextcord cannot read it
    without the others. No bucket, so that hikari waits for what the body says."""
    client = Rig().client(upgrade=False)
    client.rig.inject(client, Refuse(429, retry_after=0.5))
    client.feed(b"GET /api/v10/users/@me HTTP/1.1\r\nHost: localhost\r\n\r\n")
    head, _, body = client.sent.partition(b"\r\n\r\n")
    assert b'"retry_after":0.5' in body
    headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert headers[b"Via"].startswith(b"1.1 ")
    limits = {name: value for name, value in headers.items() if name.startswith(b"X-RateLimit-")}
    assert limits == {
        b"X-RateLimit-Limit": b"1",
        b"X-RateLimit-Remaining": b"0",
        b"X-RateLimit-Reset-After": b"0.5",
        b"X-RateLimit-Scope": b"shared",
    }


def test_discord_py_hikari_and_discordjs_resume_again_after_4009() -> None:
    """They take it for any other close code, and keep the session: with 4009 once more they would never IDENTIFY."""
    rig = Rig(ServerConfig(expired_close=True, session_lifetime=0.0))
    gone = rig.ready()
    gone.eof()
    first, second = rig.client(), rig.client()
    first.resume(gone.session_id, 1)
    assert first.closed is not None
    assert first.closed[0] == 4009
    second.resume(gone.session_id, 1)
    assert second.received[-1] == {"t": None, "s": None, "op": 9, "d": False}
    assert is_open(second)


@pytest.mark.parametrize(("since", "is_taken"), [(0.0, True), (1.0, True), (0, True), (0.5, False), ("0", False)])
def test_discord_py_writes_since_as_a_float(since: Any, is_taken: bool) -> None:
    """`change_presence` sends 0.0 unless the status is idle."""
    client = Rig().ready()
    client.say(3, {"since": since, "activities": [], "status": "online", "afk": False})
    assert is_open(client) is is_taken
    if not is_taken:
        assert client.closed is not None
        assert client.closed[0] == 4002


@pytest.mark.parametrize(
    ("game", "activities"), [({"name": "chess", "type": 0}, [{"name": "chess", "type": 0}]), (None, [])]
)
def test_hikari_sends_a_game_instead_of_activities(game: Any, activities: Any) -> None:
    """In op 3 and in IDENTIFY; discord.py, too, in IDENTIFY. It is the older name, which Discord still takes."""
    rig = Rig()
    old = {"since": None, "afk": False, "game": game, "status": "dnd"}
    today = {"since": None, "afk": False, "activities": activities, "status": "dnd"}
    client = rig.ready(presence=old)
    session = rig.server.sessions[client.session_id]
    assert session.presence == today
    session.presence = None
    client.say(3, old)
    assert is_open(client)
    assert session.presence == today


@pytest.mark.parametrize("presence", [{}, {"game": []}, {"game": {}, "activities": None}])
def test_a_presence_with_neither_is_closed(presence: Any) -> None:
    client = Rig().ready()
    client.say(3, {"since": None, "afk": False, "status": "dnd", **presence})
    assert client.closed is not None
    assert client.closed[0] == 4002


def test_hikari_leaves_out_self_mute_and_self_deaf() -> None:
    """`update_voice_state` sends them only when they are given; Discord takes them as false."""
    client = Rig().ready()
    client.say(4, {"guild_id": "1", "channel_id": None})
    assert is_open(client)
    state = client.received[-1]["d"]
    assert (state["self_mute"], state["self_deaf"]) == (False, False)


def test_discord_py_and_hikari_wait_for_the_voice_server_of_a_joined_channel() -> None:
    """Gateway Events > Update Voice State: both events come; without the second no voice connection begins or fails."""
    client = Rig().ready()
    client.say(4, {"guild_id": 1, "channel_id": 2, "self_mute": False, "self_deaf": False})
    assert client.events()[1:] == ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"]
    server = client.received[-1]["d"]
    assert (server["guild_id"], server["endpoint"], type(server["token"])) == ("1", None, str)
    client.say(4, {"guild_id": 1, "channel_id": None, "self_mute": False, "self_deaf": False})
    assert client.events()[3:] == ["VOICE_STATE_UPDATE"]


def test_discord_py_and_hikari_tell_a_new_guild_from_one_that_is_back() -> None:
    """By the absence of `unavailable`: with it `on_guild_join` and `GuildJoinEvent` never come."""
    old, new = 41771983423143937, 197038439483310086
    rig = world_rig(guilds=(old,))
    world, client = rig.server.world, shard_client(rig)
    assert world is not None
    for change, guild_id in ((world.join, new), (world.begin_outage, old), (world.end_outage, old)):
        event = change(guild_id)
        assert event is not None
        rig.run(rig.server.dispatch_world(event, rig.now))
    first, added, back = bodies(client, "GUILD_CREATE")
    assert "unavailable" not in added
    assert (first["unavailable"], back["unavailable"]) == (False, False)
    assert added.keys() == first.keys() - {"unavailable"}
    # Whoever comes later was not there when the bot was added.
    assert all(guild["unavailable"] is False for guild in bodies(shard_client(rig), "GUILD_CREATE"))
