"""hikari. Its `rest_url` is the documented way to another address; the gateway's comes from GET /gateway/bot.

A bot's shards take the best transport compression that can be imported. A shard without one, or with payload
compression, is made by `GatewayShardImpl(compression=...)`; since a bot has no option for that, its default is changed.
"""

import asyncio
import functools
from typing import Any

import hikari
from hikari.api.shard import GatewayCompression
from hikari.impl.shard import GatewayShardImpl

from .lines import commands, log_to_lines, serve_commands, tell, tell_dispatch


def listen(bot: hikari.GatewayBot) -> None:
    """Tell what a user would be told, by the documented events."""

    @bot.listen()
    async def on_ready(event: hikari.ShardReadyEvent) -> None:
        tell("ready", user=str(event.my_user.id), guilds=sorted(str(guild_id) for guild_id in event.unavailable_guilds))

    @bot.listen()
    async def on_resumed(event: hikari.ShardResumedEvent) -> None:
        tell("resumed")

    @bot.listen()
    async def on_guild(event: hikari.GuildAvailableEvent) -> None:
        tell("guild", id=str(event.guild_id), name=event.guild.name)

    @bot.listen()
    async def on_message(event: hikari.MessageCreateEvent) -> None:
        tell("message", content=event.content)

    @bot.listen()
    async def on_payload(event: hikari.ShardPayloadEvent) -> None:
        tell_dispatch(event.name, event.payload)

    @bot.listen()
    async def on_chunk(event: hikari.MemberChunkEvent) -> None:
        tell("members", count=len(event.members), nonce=event.nonce)


async def obey(bot: hikari.GatewayBot, command: dict[str, Any]) -> None:
    """Do what the harness asks for, as a user of the library would."""
    match command["do"]:
        case "presence":
            await bot.update_presence(
                status=hikari.Status(command["status"]), activity=hikari.Activity(name=command["activity"])
            )
        case "voice":
            # Without self_mute and self_deaf, as its voice component does it.
            await bot.update_voice_state(int(command["guild"]), int(command["channel"]))
        case "members":
            await bot.request_guild_members(
                int(command["guild"]), query=command["query"], limit=command["limit"], nonce=command["nonce"]
            )
        case "members by id":
            ids = [int(id) for id in command["ids"]]
            await bot.request_guild_members(int(command["guild"]), users=ids, nonce=command["nonce"])
        case "latency":
            tell("latency", seconds=bot.heartbeat_latency)
        case "close":
            await bot.close()


async def close(bot: hikari.GatewayBot) -> None:
    if bot.is_alive:
        await bot.close()


async def main() -> None:
    log_to_lines()
    lines = commands()
    options = await anext(lines)
    defaults = GatewayShardImpl.__init__.__kwdefaults__ or {}
    if options["compress"] is None:
        defaults["compression"] = None
    elif options["compress"] == "payload":
        defaults["compression"] = GatewayCompression.PAYLOAD_ZLIB_STREAM
    bot = hikari.GatewayBot(
        options["token"], rest_url=options["api"], intents=hikari.Intents(options["intents"]), banner=None, logs=None
    )
    listen(bot)
    tell("start", version=hikari.__version__)
    serving = asyncio.create_task(serve_commands(lines, functools.partial(obey, bot), functools.partial(close, bot)))
    try:
        await bot.start(
            check_for_updates=False, activity=hikari.Activity(name=options["activity"]), status=hikari.Status.IDLE
        )
        await bot.join()
    except hikari.GatewayServerClosedConnectionError as error:
        tell("stopped", code=error.code, error=repr(error))
    except hikari.UnauthorizedError as error:
        tell("stopped", code=401, error=repr(error))
    else:
        tell("stopped", code=None, error=None)
        # It is still closing.
        await serving
    serving.cancel()
    if bot.is_alive:
        await bot.close()


if __name__ == "__main__":
    asyncio.run(main())
