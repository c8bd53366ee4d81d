"""`gateway-proto run`: a bot in a process of its own, on the embedded gateway."""

import signal
from typing import Any, Final, TypeVar

import msgspec
import pytest

from gateway_proto import Dispatch, Secret
from gateway_proto.server import (
    ConnectionClosed,
    Drop,
    Identified,
    ServerConfig,
    SessionEnd,
    SessionEnded,
    SessionResumed,
    Upgraded,
)
from gateway_transports.cli.event_lines import json_line, readable

from .cli_helpers import Child, command, gateway

T = TypeVar("T")
TOKEN: Final = "s3cret-t0ken"
RESUME_QUERY: Final = "s3cret-query"


def the(actions: list[Any], kind: type[T]) -> T:
    [action] = [action for action in actions if isinstance(action, kind)]
    return action


def ready(child: Child) -> dict[str, Any]:
    line: dict[str, Any] = child.line()
    assert line["t"] == "READY"
    return line


def test_events_are_json_lines_and_ctrl_c_detaches() -> None:
    with (
        gateway() as served,
        command("run", "--gateway", served.url, "--intents", "Guilds,guild_MESSAGES", token=TOKEN) as bot,
    ):
        assert ready(bot)["d"]["v"] == 10
        served.broadcast("MESSAGE_CREATE", b'{\n "content": "hello"}')
        assert bot.line() == {"t": "MESSAGE_CREATE", "s": 2, "shard": 0, "d": {"content": "hello"}}
        assert bot.end(signal.SIGINT) == (
            0,
            "gateway-proto: connected\n"
            "gateway-proto: detaching; Ctrl-C or SIGTERM once more leaves at once\n"
            "gateway-proto: detached; the session can still be resumed\n",
        )
        assert the(served.actions, ConnectionClosed).code == 4000
        assert len(served.session_ids()) == 1
        assert the(served.actions, Identified).intents == 513
        assert the(served.actions, Upgraded).compress == "zlib-stream"


@pytest.mark.failure("F18")
def test_sigterm_with_logout_ends_the_session() -> None:
    args = ("--logout", "--backend", "trio", "--compress", "zstd-stream")
    with gateway() as served, command("run", "--gateway", served.url, *args, token=TOKEN) as bot:
        ready(bot)
        code, told = bot.end(signal.SIGTERM)
        assert (code, told.splitlines()[-1]) == (0, "gateway-proto: logged out")
        assert the(served.actions, ConnectionClosed).code == 1000
        assert the(served.actions, SessionEnded).cause is SessionEnd.LOGOUT
        assert the(served.actions, Upgraded).compress == "zstd-stream"


def test_it_asks_where_to_connect_and_comes_back_after_a_drop() -> None:
    config = ServerConfig(shards=3)
    with gateway(config) as served, command("run", "--api", served.api, "--compress", "zlib", token=TOKEN) as bot:
        ready(bot)
        assert bot.told().endswith("Discord recommends 3 shards for this bot; this is one, without sharding")
        assert bot.told() == "gateway-proto: connected"
        served.inject(Drop())
        served.broadcast("TYPING_START", b'{"n":1}')
        assert (bot.line()["s"], bot.line()["t"]) == (2, "RESUMED")
        assert "without a close frame" in bot.told()
        assert bot.told() == "gateway-proto: resumed"
        assert bot.end(signal.SIGTERM)[0] == 0
        assert the(served.actions, SessionResumed).replayed == 1
        assert the(served.actions, Identified).compress


@pytest.mark.failure("F41")
def test_no_secret_is_printed() -> None:
    config = ServerConfig(token=Secret(TOKEN), url="ws://gateway.invalid", resume_url=f"ws://127.0.0.1/?{RESUME_QUERY}")
    with gateway(config) as served:
        port = served.port
        with command("run", "--gateway", f"ws://127.0.0.1:{port}", token=TOKEN) as bot:
            assert ready(bot)["d"]["session_id"] == "***"
            [session_id] = served.session_ids()
            served.inject(Drop())
            assert "without a close frame" in bot.told() + bot.told()
            bot.end(signal.SIGINT)
            for secret in (TOKEN, session_id, RESUME_QUERY):
                assert secret.encode() not in bot.seen
                assert secret not in repr(served.actions)


def test_what_is_fatal_ends_it_with_its_line() -> None:
    config = ServerConfig(token=Secret("another"))
    with gateway(config) as served, command("run", "--gateway", served.url, token=TOKEN) as bot:
        code, told = bot.end()
        [line] = told.splitlines()
        assert code == 1
        assert "4004" in line
        assert "the token is not valid" in line
        assert bot.seen.count(TOKEN.encode()) == 0


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ServerConfig(token=Secret("another")), "the token is not valid"),
        (ServerConfig(session_limit=0), "the start needs 1 IDENTIFY and "),
    ],
)
def test_what_the_api_refuses_ends_it_with_its_line(config: ServerConfig, text: str) -> None:
    with gateway(config) as served, command("run", "--api", served.api, token=TOKEN) as bot:
        code, told = bot.end()
        assert code == 1
        assert len(told.splitlines()) == 1
        assert text in told


def test_a_reader_that_has_enough_ends_it() -> None:
    with gateway() as served, command("run", "--gateway", served.url, token=TOKEN) as bot:
        ready(bot)
        bot.stdout.close()
        served.broadcast("TYPING_START", b"{}")
        assert bot.process.wait(timeout=30) == 0
        assert b"Traceback" not in bot.stderr.read()


@pytest.mark.failure("F26")
@pytest.mark.failure("F33")
def test_a_reader_that_does_not_read_holds_nothing_up() -> None:
    with gateway() as served, command("run", "--gateway", served.url, token=TOKEN) as bot:
        ready(bot)
        for _ in range(50):
            served.broadcast("TYPING_START", b'"%b"' % (b"x" * 100_000))
        bot.process.send_signal(signal.SIGTERM)
        assert bot.process.wait(timeout=30) == 0
        assert the(served.actions, ConnectionClosed).code == 4000


def event(name: str, raw: bytes, *, replayed: bool = False) -> Dispatch:
    return Dispatch(1, 7, name, msgspec.Raw(raw), replayed)


def test_a_json_line_is_one_line_and_leaves_d_alone() -> None:
    line = json_line(event('ODD"NAME', b'{"a":\r\n[1.50, 2],"b":"\\n"}'), 3)
    assert line == b'{"t":"ODD\\"NAME","s":7,"shard":3,"d":{"a":  [1.50, 2],"b":"\\n"}}\n'


@pytest.mark.failure("F41")
def test_ready_is_printed_without_its_secrets() -> None:
    raw = b'{"session_id":"abc","resume_gateway_url":"wss://r/?abc","user":{"id":"1"}}'
    expected = {"session_id": "***", "resume_gateway_url": "***", "user": {"id": "1"}}
    assert msgspec.json.decode(json_line(event("READY", raw), 0))["d"] == expected
    assert msgspec.json.decode(json_line(event("READY", b'{"session_id":"abc"'), 0))["d"] is None


@pytest.mark.parametrize(
    ("name", "raw", "shown"),
    [
        (
            "MESSAGE_CREATE",
            b'{"author":{"username":"ann"},"content":"hi\\nthere","channel_id":"5","guild_id":"6"}',
            ["MESSAGE_CREATE", "ann", "hi there", "channel 5", "guild 6"],
        ),
        ("MESSAGE_REACTION_ADD", b'{"member":{"user":{"username":"bob"}},"emoji":{"name":"x"}}', ["bob", "x"]),
        ("NEW", b'{"author":"odd","content":7}', ["NEW", "28 bytes"]),
        ("NEW", b"[", ["NEW", "1 bytes"]),
        ("EVIL", b'{"content":"\\u001b[2J\\u202eabc"}', ["\ufffd[2J\ufffdabc"]),
        ("LONG", b'{"content":"%b"}' % (b"x" * 500), ["xxx…"]),
    ],
)
def test_a_readable_line(name: str, raw: bytes, shown: list[str]) -> None:
    line = readable(event(name, raw, replayed=True), 7).plain
    assert line.count("\n") == 0
    assert line.startswith("   7       7  ")
    assert "replayed" in line
    assert all(part in line for part in shown)
    assert "replayed" not in readable(event(name, raw), None).plain
