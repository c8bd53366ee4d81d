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
        tell("message", id=str(event.message_id), content=event.content)

    @bot.listen()
    async def on_unavailable(event: hikari.GuildUnavailableEvent) -> None:
        tell("unavailable", id=str(event.guild_id))

    @bot.listen()
    async def on_join(event: hikari.GuildJoinEvent) -> None:
        tell("joined", id=str(event.guild_id), name=event.guild.name)

    @bot.listen()
    async def on_leave(event: hikari.GuildLeaveEvent) -> None:
        tell("left", id=str(event.guild_id), name=event.old_guild and event.old_guild.name)

    @bot.listen()
    async def on_limit(event: hikari.RequestGuildMembersRateLimitedEvent) -> None:
        tell("limited", guild=str(event.guild_id), seconds=event.retry_after)

    @bot.listen()
    async def on_payload(event: hikari.ShardPayloadEvent) -> None:
        tell_dispatch(event.name, event.payload)

    @bot.listen()
    async def on_chunk(event: hikari.MemberChunkEvent) -> None:
        tell("members", ids=[str(id) for id in event.members])

    @bot.listen()
    async def on_anything(event: hikari.Event) -> None:
        """Let it read everything: an event that nobody listens to it need not look at."""


def tell_cache(bot: hikari.GatewayBot, guild_id: int) -> None:
    cache = bot.cache
    guild = cache.get_available_guild(guild_id)
    states = cache.get_voice_states_view_for_guild(guild_id)
    tell(
        "cache",
        guild=str(guild_id),
        name=guild and guild.name,
        members=len(cache.get_members_view_for_guild(guild_id)),
        channels=sorted(map(str, cache.get_guild_channels_view_for_guild(guild_id))),
        roles=sorted(map(str, cache.get_roles_view_for_guild(guild_id))),
        emojis=sorted(map(str, cache.get_emojis_view_for_guild(guild_id))),
        stickers=sorted(map(str, cache.get_stickers_view_for_guild(guild_id))),
        voice={str(user): str(state.channel_id) for user, state in states.items()},
    )


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
            await bot.request_guild_members(
                int(command["guild"]), users=ids, include_presences=command["presences"], nonce=command["nonce"]
            )
        case "all members":
            await bot.request_guild_members(
                int(command["guild"]), include_presences=command["presences"], nonce=command["nonce"]
            )
        case "cache":
            tell_cache(bot, int(command["guild"]))
        case "latency":
            tell("latency", seconds=bot.heartbeat_latency)
        case "close":
            await bot.close()


async def close(bot: hikari.GatewayBot) -> None:
    if bot.is_alive:
        await bot.close()


async def main() -> None:
    log_to_lines("hikari.event_manager")
    lines = commands()
    options = await anext(lines)
    defaults = GatewayShardImpl.__init__.__kwdefaults__ or {}
    if options["compress"] is None:
        defaults["compression"] = None
    elif options["compress"] == "payload":
        defaults["compression"] = GatewayCompression.PAYLOAD_ZLIB_STREAM
    bot = hikari.GatewayBot(
        options["token"],
        rest_url=options["api"],
        intents=hikari.Intents(options["intents"]),
        banner=None,
        logs=None,
        auto_chunk_members=options["chunk"],
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
