"""Cases that take a client of their own, from its start to its end."""

import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import msgspec
from anyio.streams.buffered import BufferedByteReceiveStream

from gateway_proto.intents import Intents
from gateway_proto.opcodes import Opcode
from gateway_proto.server import (
    Close,
    ConnectionClosed,
    Drop,
    HttpAnswered,
    NoAnswer,
    OnConnection,
    Planned,
    Received,
    Refuse,
    SessionRefused,
    Upgraded,
)

from .clients import AT_START, REPOSITORY, Client, Environment
from .driver import run_driver
from .log import PATIENCE
from .play import CONFIG, INTENTS, TOKEN, WRONG_TOKEN, CaseError, Play, play
from .world import GUILD_IDS, LARGE

ProcessCase: TypeAlias = Callable[[Environment, Client, str], Awaitable[str]]

_QUIET: Final = 3.0
"""Seconds without another dial after which a client has stopped: longer than any client's first backoff."""
_WAIT: Final = 0.5
"""Seconds that a 429 tells to wait."""
_EVENTS: Final = 300
_RATE: Final = 150


async def stop_at_401(environment: Environment, client: Client, compress: str) -> str:
    """The token is wrong for the HTTP routes already: no socket is upgraded."""
    async with play(environment, client, compress, token=WRONG_TOKEN) as scene:
        await scene.driver.saw("stopped", code=401)
        if scene.count(Upgraded, 0):
            raise CaseError("dialled the gateway")
    return "before it dials"


async def wait_at_429(environment: Environment, client: Client, compress: str) -> str:
    """The first request of all is told to come again later, and does."""
    plan = (Planned(when=OnConnection(1), fault=Refuse(429, retry_after=_WAIT)),)
    async with play(environment, client, compress, msgspec.structs.replace(CONFIG, plan=plan)) as scene:
        refused = await scene.reported(HttpAnswered, lambda action: action.status == 429)
        again = await scene.reported(HttpAnswered, lambda action: action.path == refused.path and action.status == 200)
        # By when the server did it, however late it is looked at here.
        waited = (
            scene.actions.times[scene.actions.items.index(again)]
            - scene.actions.times[scene.actions.items.index(refused)]
        )
        if waited < _WAIT:
            raise CaseError(f"came again after {waited:.2f} s instead of {_WAIT:g}")
        await scene.identified()
        await scene.driver.saw("ready")
    return "came again when it was told to"


async def stop_at_4004(environment: Environment, client: Client, compress: str) -> str:
    """The routes took the token, IDENTIFY is answered with 4004: it was reset in between."""
    plan = (Planned(when=OnConnection(None), fault=NoAnswer()),)
    async with play(environment, client, compress, msgspec.structs.replace(CONFIG, plan=plan)) as scene:
        identify = await scene.reported(Received, lambda action: action.opcode == Opcode.IDENTIFY)
        scene.inject(identify.connection_id, Close(4004, b"Authentication failed."))
        return await _stopped(scene, 4004)


async def stop_at_4014(environment: Environment, client: Client, compress: str) -> str:
    """A privileged intent that the application may not use."""
    allowed = Intents.all() & ~Intents.MESSAGE_CONTENT
    async with play(environment, client, compress, msgspec.structs.replace(CONFIG, allowed_intents=allowed)) as scene:
        return await _stopped(scene, 4014)


async def _stopped(scene: Play, code: int) -> str:
    await scene.reported(ConnectionClosed, lambda action: action.by == "server" and action.code == code)
    since = scene.actions.mark
    await scene.driver.saw("stopped", code=code)
    with anyio.move_on_after(_QUIET):
        await scene.driver.ended.wait()
    if scene.count(Upgraded, since):
        raise CaseError("dialled again")
    return "told its user, and dialled no more"


async def identify_after_4009(environment: Environment, client: Client, compress: str) -> str:
    """Its session expires while the socket is gone: 4009, and op 9 false to those that RESUME even so."""
    config = msgspec.structs.replace(CONFIG, session_lifetime=0.0, expired_close=True)
    async with play(environment, client, compress, config) as scene:
        gone = await scene.identified()
        await scene.driver.saw("ready")
        since, mark = scene.actions.mark, scene.driver.lines.mark
        scene.inject(gone.session_id, Drop())
        await scene.identified(since)
        await scene.driver.saw("ready", since=mark)
        return f"{scene.count(SessionRefused, since)} RESUMEs refused"


async def two_shards(environment: Environment, client: Client, compress: str) -> str:
    """As many shards as GET /gateway/bot recommends, in the pace that it asks for: no IDENTIFY too early.

    They are 5 s apart when they are sent, and on a busy machine a little less when they come.
    """
    config = msgspec.structs.replace(CONFIG, shards=2, identify_period=4.5)
    async with play(environment, client, compress, config) as scene:
        shards = [(await scene.identified()).shard]
        shards.append((await scene.identified(scene.actions.mark)).shard)
        await scene.driver.lines.collect("READY of each shard", lambda line: line.get("name") == "READY", 2)
        if sorted(map(str, shards)) != ["(0, 2)", "(1, 2)"] or scene.count(SessionRefused, 0):
            raise CaseError(f"identified as {shards}")
        scene.check_open(0)
        return "[0, 2] and [1, 2]"


async def chunk_at_start(environment: Environment, client: Client, compress: str) -> str:
    """As its users have it who set nothing: it asks for the members that GUILD_CREATE does not have, and holds all."""
    async with play(environment, client, compress, intents=Intents.all(), chunk=True) as scene:
        await scene.reported(Received, lambda action: action.opcode == Opcode.REQUEST_GUILD_MEMBERS)
        await scene.driver.saw("ready")
        await scene.driver.saw("guild", id=str(LARGE))
        chunk = await scene.driver.saw("chunk", guild=str(LARGE))
        await scene.driver.lines.collect("each chunk", lambda line: line["saw"] == "chunk", chunk["count"])
        for guild_id in GUILD_IDS:
            await scene.driver.do("cache", guild=str(guild_id))
            held = await scene.driver.saw("cache", guild=str(guild_id))
            if held["members"] != len(scene.world.look(guild_id).members):
                raise CaseError(f"holds {held['members']} of {len(scene.world.look(guild_id).members)} members")
        if errors := scene.driver.errors():
            raise CaseError(f"the client logged: {errors[0]}")
        return f"{chunk['count']} chunks"


async def stream(environment: Environment, client: Client, compress: str) -> str:
    """The `gateway-proto serve` command as a user starts it: its whole stream of numbered events, in order."""
    return await _stream(environment, client, compress)


async def stream_over_tls(environment: Environment, client: Client, compress: str) -> str:
    """The same with `--tls`: the client is told to trust the throw-away CA as its runtime documents it."""
    return await _stream(environment, client, compress, "--tls")


async def _stream(environment: Environment, client: Client, compress: str, *arguments: str) -> str:
    serve = [sys.executable, "-m", "gateway_transports.cli", "serve", "--events", str(_EVENTS), "--rate", str(_RATE)]
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "transports")])
    process = await anyio.open_process(
        [*serve, *arguments],
        stdin=subprocess.DEVNULL,
        stderr=None,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": path},
    )
    async with process:
        assert process.stdout is not None
        try:
            with anyio.fail_after(PATIENCE):
                served = json.loads(await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 4096))
            async with run_driver(
                environment,
                client,
                compress,
                api=served["api"],
                gateway=served["url"],
                token=TOKEN,
                intents=int(INTENTS),
                ca=served["ca"],
            ) as driver:
                found = await driver.lines.collect(
                    "the stream's events", lambda line: line.get("number") is not None, _EVENTS
                )
                numbers = [line["number"] for line in found]
                if compress in client.reorders:
                    numbers.sort()
                if numbers != list(range(1, _EVENTS + 1)):
                    raise CaseError("the numbers are out of order")
                if errors := driver.errors():
                    raise CaseError(f"the client logged: {errors[0]}")
                return f"{_EVENTS} events of {len({line['name'] for line in found})} kinds"
        finally:
            process.terminate()


PROCESS_CASES: Final[dict[str, ProcessCase]] = {
    "stops at HTTP 401": stop_at_401,
    "waits at HTTP 429": wait_at_429,
    "stops at 4004": stop_at_4004,
    "stops at 4014": stop_at_4014,
    "identify after 4009": identify_after_4009,
    "two shards": two_shards,
    AT_START: chunk_at_start,
    "the stream of `serve`": stream,
    "the stream of `serve --tls`": stream_over_tls,
}
