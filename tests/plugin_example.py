"""Tests of a bot as somebody else would write them: the fixture `discord_gateway`, and nothing of this repository.

`test_pytest_plugin` runs this file elsewhere, beside a copy of `embed_socket`.
"""

import queue
import threading
from typing import Any

import pytest

# It lies beside the copy of this file that is run; a checker that does not look there finds none.
from embed_socket import run  # type: ignore[import-not-found, unused-ignore]

from gateway_proto import Dispatch, Intents, Opcode, Secret, ShardConfig
from gateway_proto.server import RequestHeartbeat, SessionEnd, SessionEnded, ToShard
from gateway_transports.anyio import ShardRunner, open_shard
from gateway_transports.embedded import EmbeddedGateway, NoTargetError, WaitTimeoutError

EACH_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


def config(gateway: EmbeddedGateway, **fields: Any) -> ShardConfig:
    return ShardConfig(token=Secret(gateway.token), intents=Intents.GUILD_MESSAGES, url=gateway.url, **fields)


async def take(runner: ShardRunner, content: str) -> None:
    """Read up to the message that says this."""
    async for event in runner:
        if event.name == "MESSAGE_CREATE" and event.decode()["content"] == content:
            return


class PlainSocket:
    """For `run`, which wants a TLS context: leaves the socket as it is."""

    def wrap_socket(self, sock: Any, server_hostname: str) -> Any:
        return sock


@pytest.mark.discord_gateway(guilds=3)
def test_a_bot_of_plain_threads_resumes(discord_gateway: EmbeddedGateway) -> None:
    said: queue.Queue[str] = queue.Queue()

    def on_event(event: Dispatch) -> bool:
        said.put(event.decode().get("content", event.name))
        return bool(event.decode().get("content") == "stop")

    bot = threading.Thread(target=run, args=(config(discord_gateway), PlainSocket(), on_event))
    bot.start()
    assert discord_gateway.wait_for_identify().intents == Intents.GUILD_MESSAGES
    discord_gateway.dispatch("MESSAGE_CREATE", {"content": "one"})
    assert [said.get(timeout=5), said.get(timeout=5)] == ["READY", "one"]
    discord_gateway.drop()
    assert discord_gateway.wait_for(6) == discord_gateway.sent(6)
    assert discord_gateway.wait_for_resume().replayed == 0
    [resume] = discord_gateway.sent(6)
    assert resume == {"op": 6, "d": {"token": "***", "session_id": "***", "seq": 2}}
    discord_gateway.dispatch("MESSAGE_CREATE", b'{"content":"stop"}')
    bot.join(5)
    assert not bot.is_alive()


@pytest.mark.anyio
@EACH_LOOP
async def test_a_bot_of_an_event_loop_resumes(discord_gateway: EmbeddedGateway, anyio_backend: str) -> None:
    async with open_shard(config(discord_gateway)) as runner:
        assert (await discord_gateway.identified()).number == 1
        discord_gateway.dispatch("MESSAGE_CREATE", {"content": "one"})
        await take(runner, "one")
        discord_gateway.drop()
        [resume] = await discord_gateway.received(6)
        assert resume["d"]["seq"] == 2
        assert (await discord_gateway.resumed()).sequence == 2
        discord_gateway.reconnect()
        assert len(await discord_gateway.received(6, count=2)) == 2
        await discord_gateway.resumed(count=2)
        discord_gateway.dispatch("MESSAGE_CREATE", {"content": "two"}, shard=0)
        await take(runner, "two")
    [session] = discord_gateway.sessions
    assert (session.shard, session.connection) == ((0, 1), None)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.discord_gateway(heartbeat_interval=60.0)
async def test_beats_stalls_and_refusals(discord_gateway: EmbeddedGateway, anyio_backend: str) -> None:
    discord_gateway.refuse(503)
    async with open_shard(config(discord_gateway, shard=(1, 2))) as runner:
        assert (await discord_gateway.identified()).connection_id == 2
        discord_gateway.inject(RequestHeartbeat(), ToShard(1))
        assert [payload["op"] for payload in await discord_gateway.received(Opcode.HEARTBEAT)] == [1]
        discord_gateway.stall(shard=1)
        discord_gateway.dispatch("MESSAGE_CREATE", {"content": "late"})
        discord_gateway.release()
        await take(runner, "late")
        assert [session.shard for session in discord_gateway.sessions] == [(1, 2)]
    assert len(discord_gateway.sent(2, shard=1)) == 1
    assert discord_gateway.sent(2, shard=0) == []


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_session_that_is_gone(discord_gateway: EmbeddedGateway, anyio_backend: str) -> None:
    async with open_shard(config(discord_gateway)):
        await discord_gateway.identified()
        discord_gateway.close(4009)
        await discord_gateway.identified(timeout=20.0, count=2)
        with pytest.raises(
            WaitTimeoutError, match=r"RESUME that is granted: 1 awaited, 0 came within 0 s; so far: .*4009"
        ):
            await discord_gateway.resumed(timeout=0.0)
    assert [action.cause for action in discord_gateway.journal if isinstance(action, SessionEnded)] == [
        SessionEnd.CLOSED
    ]


@pytest.mark.discord_gateway(script="lost.toml")
@pytest.mark.anyio
@EACH_LOOP
async def test_a_script(discord_gateway: EmbeddedGateway, anyio_backend: str) -> None:
    async with open_shard(config(discord_gateway)) as runner:
        await take(runner, "from the script")
        await discord_gateway.resumed()


def test_what_reaches_nobody_is_an_error(discord_gateway: EmbeddedGateway) -> None:
    with pytest.raises(NoTargetError, match=r"^MESSAGE_CREATE reached nobody of .*; so far: nobody has connected$"):
        discord_gateway.dispatch("MESSAGE_CREATE", {})
    with pytest.raises(NoTargetError, match=r"^Close reached nobody"):
        discord_gateway.close(4000, shard=3)
