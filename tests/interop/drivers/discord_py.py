"""discord.py. Its two addresses are constants of its classes; they alone are changed.

It always asks for transport compression: zstd-stream where a zstd module can be imported, else zlib-stream.
"""

import asyncio
import functools
import json
from collections.abc import Coroutine
from typing import Any

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from .lines import commands, log_to_lines, serve_commands, tell, tell_dispatch


class Bot(discord.Client):
    """Tells what its user would be told, by the documented events."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.requests: list[asyncio.Task[None]] = []
        """For all members of a guild."""

    async def on_ready(self) -> None:
        tell("ready", user=str(self.user and self.user.id), guilds=sorted(str(guild.id) for guild in self.guilds))

    async def on_resumed(self) -> None:
        tell("resumed")

    async def on_guild_available(self, guild: discord.Guild) -> None:
        tell("guild", id=str(guild.id), name=guild.name)

    async def on_guild_unavailable(self, guild: discord.Guild) -> None:
        tell("unavailable", id=str(guild.id), name=guild.name)

    async def on_guild_join(self, guild: discord.Guild) -> None:
        tell("joined", id=str(guild.id), name=guild.name)

    async def on_guild_remove(self, guild: discord.Guild) -> None:
        tell("left", id=str(guild.id), name=guild.name)

    async def on_message(self, message: discord.Message) -> None:
        tell("message", id=str(message.id), content=message.content)

    async def on_socket_raw_receive(self, message: str | bytes) -> None:
        payload = json.loads(message)
        if payload["op"] == 0:
            tell_dispatch(payload["t"], payload["d"])


class ShardedBot(Bot, discord.AutoShardedClient):
    """As many shards as GET /gateway/bot recommends."""


async def tell_members(members: Coroutine[Any, Any, list[discord.Member]]) -> None:
    """Await them: it draws its nonce itself, and returns when the last chunk with that nonce has come."""
    tell("members", ids=[str(member.id) for member in await members])


def tell_cache(guild: discord.Guild) -> None:
    tell(
        "cache",
        guild=str(guild.id),
        name=guild.name,
        members=len(guild.members),
        channels=sorted(str(channel.id) for channel in guild.channels),
        roles=sorted(str(role.id) for role in guild.roles),
        emojis=sorted(str(emoji.id) for emoji in guild.emojis),
        stickers=sorted(str(sticker.id) for sticker in guild.stickers),
        voice={str(user): str(channel.id) for channel in guild.voice_channels for user in channel.voice_states},
    )


async def obey(bot: Bot, command: dict[str, Any]) -> None:
    """Do what the harness asks for, as a user of the library would."""
    guild = bot.get_guild(int(command.get("guild", 0)))
    match command["do"]:
        case "presence":
            activity = discord.Game(command["activity"])
            await bot.change_presence(status=discord.Status(command["status"]), activity=activity)
        case "voice" if guild is not None:
            await guild.change_voice_state(channel=guild.get_channel(int(command["channel"])), self_mute=True)
        case "members" if guild is not None:
            await tell_members(guild.query_members(command["query"], limit=command["limit"]))
        case "members by id" if guild is not None:
            ids = [int(id) for id in command["ids"]]
            await tell_members(guild.query_members(user_ids=ids, presences=command["presences"]))
        case "all members" if guild is not None:
            # Beside the next commands: where the request is refused, it waits for ever.
            bot.requests.append(asyncio.create_task(tell_members(guild.chunk())))
        case "cache" if guild is not None:
            tell_cache(guild)
        case "latency":
            tell("latency", seconds=bot.latency)
        case "close":
            await bot.close()


async def main() -> None:
    log_to_lines("discord.state")
    lines = commands()
    options = await anext(lines)
    Route.BASE = options["api"]
    DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(options["gateway"])
    intents = discord.Intents._from_value(options["intents"])
    bot = (ShardedBot if options["sharded"] else Bot)(
        intents=intents,
        enable_debug_events=True,
        activity=discord.Game(options["activity"]),
        status=discord.Status.idle,
        chunk_guilds_at_startup=options["chunk"] and intents.members,
    )
    tell("start", version=discord.__version__)
    serving = asyncio.create_task(serve_commands(lines, functools.partial(obey, bot), bot.close))
    try:
        await bot.start(options["token"])
    except discord.ConnectionClosed as error:
        tell("stopped", code=error.code, error=repr(error))
    except discord.PrivilegedIntentsRequired as error:
        tell("stopped", code=4014, error=repr(error))
    except discord.LoginFailure as error:
        tell("stopped", code=401, error=repr(error))
    else:
        tell("stopped", code=None, error=None)
        # It is still closing.
        await serving
    for task in (serving, *bot.requests):
        task.cancel()
    await bot.close()


if __name__ == "__main__":
    asyncio.run(main())
