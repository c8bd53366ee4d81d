"""`gateway-proto serve` under control: the API on its own port, its token, and a script from a file."""

import contextlib
import json
import random
import signal
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread
import pytest

from gateway_proto import Intents, Secret, ShardConfig
from gateway_proto.server import ServerConfig
from gateway_transports import ListenError
from gateway_transports.anyio import open_shard
from gateway_transports.control import serve_control
from gateway_transports.serve import serve

from .cli_helpers import command

pytestmark = pytest.mark.anyio
TOKEN: Final = "s3cret-t0ken"


def ask(url: str, token: str | None, body: Any = None) -> tuple[int, Any]:
    """Status and body of the answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def asked(url: str, token: str | None, body: Any = None) -> tuple[int, Any]:
    return await anyio.to_thread.run_sync(ask, url, token, body)


def config(url: str) -> ShardConfig:
    return ShardConfig(token=Secret(TOKEN), intents=Intents.none(), url=url)


async def test_a_client_is_dropped_and_its_resume_read_back(anyio_backend: str) -> None:
    with command("serve", "--control", "--events", "0") as served:
        started = served.line()
        control, token = started["control"], started["control_token"]
        assert control.startswith("http://127.0.0.1:")
        async with open_shard(config(started["url"])) as runner:
            assert (await anext(runner)).name == "READY"
            assert await asked(f"{control}/state", None) == (
                401,
                {"message": "the Authorization header must bear the control token"},
            )
            event = {"shard": 0, "t": "MESSAGE_CREATE", "d": {"content": "hello"}}
            assert await asked(f"{control}/dispatch", token, event) == (200, {"reached": 1})
            assert (await anext(runner)).decode()["content"] == "hello"
            fault = {"target": {"shard": 0}, "fault": "drop", "flush": True}
            assert await asked(f"{control}/fault", token, fault) == (200, {"reached": 1})
            assert (await anext(runner)).name == "RESUMED"
            _, sent = await asked(f"{control}/sent?op=6&shard=0", token)
            assert [message["d"] for message in sent["messages"]] == [
                {"token": "***", "session_id": "***", "seq": 2},
            ]
            _, state = await asked(f"{control}/state", token)
            assert [(session["session"], session["connection"]) for session in state["sessions"]] == [(1, 2)]
        assert served.end(signal.SIGTERM) == (0, "")
        assert TOKEN.encode() not in served.seen


async def test_the_token_can_be_given_and_is_not_told_then(anyio_backend: str) -> None:
    for args, environment in (
        (("--control-token", "given-token"), {}),
        (("--control-port", "0"), {"GATEWAY_CONTROL_TOKEN": "given-token"}),
    ):
        with command("serve", *args, **environment) as served:
            started = served.line()
            assert "control_token" not in started
            assert (await asked(f"{started['control']}/state", "given-token"))[0] == 200
            assert (await asked(f"{started['control']}/state", TOKEN))[0] == 401
            assert served.end(signal.SIGTERM) == (0, "")
            assert b"given-token" not in served.seen


async def test_a_script_is_played_from_its_file(anyio_backend: str, tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text(
        '[[step]]\nwhen = { upgrade = 1 }\nfault = "garbage"\ndata = "no HTTP"\n'
        '[[step]]\nwhen = { opcode = "identify" }\nt = "MARKED"\nd = 1\n'
    )
    with command("serve", "--script", str(script), "--events", "0") as served:
        started = served.line()
        assert set(started) == {"url", "api", "ca"}, "no control unless it is asked for"
        async with open_shard(config(started["url"])) as runner:
            assert [(await anext(runner)).name for _ in range(2)] == ["READY", "MARKED"]
        assert served.end(signal.SIGTERM) == (0, "")


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    script = tmp_path / "script.toml"
    script.write_text('[[step]]\nwhen = { sequence = 1 }\nfault = "clos"\n')
    for args, told in (
        (("--script", str(script)), f"the script {script}: step 1: fault: 'clos' is unknown; did you mean close?"),
        (("--control-token", "a b"), "--control-token must be printable ASCII without spaces"),
        (("--control-host", "256.0.0.1"), "cannot listen on 256.0.0.1:0 for the control API: "),
    ):
        with command("serve", *args) as served:
            code, error = served.end()
        assert code == 2
        assert error.startswith(f"gateway-proto: {told}")
        assert error.count("\n") == 1


async def test_it_stays_on_the_loopback_and_ends_with_its_block(anyio_backend: str) -> None:
    gateway_config = ServerConfig()
    async with serve(gateway_config, host="0.0.0.0", rng=random.Random(1)) as gateway:
        async with serve_control(gateway) as first, serve_control(gateway) as second:
            assert first.url.startswith("http://127.0.0.1:")
            assert first.token != second.token
            assert first.token.reveal() not in repr(first)
            assert (await asked(f"{first.url}/state", first.token.reveal()))[0] == 200
            assert (await asked(f"{first.url}/state", second.token.reveal()))[0] == 401
            port = int(first.url.split(":")[2].partition("/")[0])
            with pytest.raises(ListenError, match=r"^cannot listen on 127.0.0.1:\d+ for the control API: "):
                async with serve_control(gateway, port=port):
                    raise AssertionError
        with pytest.raises(OSError, match=r".") as raised:
            async with await anyio.connect_tcp("127.0.0.1", port):
                raise AssertionError
        assert not isinstance(raised.value, TimeoutError)


async def test_a_silent_client_does_not_hold_it_up(anyio_backend: str) -> None:
    async with (
        serve(rng=random.Random(1)) as gateway,
        serve_control(gateway) as control,
        contextlib.AsyncExitStack() as s,
    ):
        port = int(control.url.split(":")[2].partition("/")[0])
        for _ in range(8):
            silent = await s.enter_async_context(await anyio.connect_tcp("127.0.0.1", port))
            await silent.send(b"POST /control/fault HTTP/1.1\r\n")
        assert (await asked(f"{control.url}/state", control.token.reveal()))[0] == 200
