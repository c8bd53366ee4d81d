"""The HTTP routes that libraries ask when they start, before and beside the gateway. Who noticed each is beside it.

What is behind them is as empty as the application is new: no emoji, no sounds, and the commands that a bot registers.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from ..codec import DECODE_ERRORS
from .application import CommandBook, application, bot_user
from .config import ServerConfig
from .gates import StartLimitStatus

_API: Final = re.compile(r"(?:/api(?:/v(?P<version>\d{1,3}))?)?(?P<route>/.*)")
_UNKNOWN_APPLICATION: Final = (404, {"message": "Unknown Application", "code": 10002})
_INVALID_JSON: Final = (400, {"message": "The request body contains invalid JSON.", "code": 50109})
_INVALID_FORM: Final = (400, {"message": "Invalid Form Body", "code": 50035})

Answer: TypeAlias = tuple[int, Any]
"""Status and JSON body."""


class Call(NamedTuple):
    """What an answer is made from. `ids` are the numbers in the path, `bot` is what a world says of the bot's user."""

    config: ServerConfig
    limit: StartLimitStatus
    commands: CommandBook
    bot: Mapping[str, Any] | None
    body: bytes
    ids: tuple[int, ...]


class Route(NamedTuple):
    """What each method answers, and whether they take `Authorization: Bot TOKEN`."""

    methods: dict[str, Callable[[Call], Answer]]
    needs_token: bool = True


def find(path: str, config: ServerConfig) -> tuple[Route, tuple[int, ...]] | None:
    """The route of a path and the ids in it; None is to be answered with 404."""
    match = _API.fullmatch(path)
    if match is None or match["version"] not in (None, *config.api_versions):
        return None
    for pattern, route in _ROUTES:
        found = pattern.fullmatch(match["route"])
        if found is not None:
            return route, tuple(map(int, found.groups()))
    return None


def _gateway(call: Call) -> Answer:
    return 200, {"url": call.config.url}


def _gateway_bot(call: Call) -> Answer:
    limit = call.limit
    start_limit = {
        "total": limit.total,
        "remaining": limit.remaining,
        "reset_after": math.ceil(limit.reset_after * 1000),
        "max_concurrency": call.config.max_concurrency,
    }
    return 200, {"url": call.config.url, "shards": call.config.shards, "session_start_limit": start_limit}


def _own_user(call: Call) -> Answer:
    return 200, bot_user(call.config, call.bot)


def _own_application(call: Call) -> Answer:
    return 200, application(call.config, call.bot)


def _default_sounds(call: Call) -> Answer:
    return 200, []


def _emojis(call: Call) -> Answer:
    return (200, {"items": []}) if call.ids[0] == call.config.application_id else _UNKNOWN_APPLICATION


def _list_commands(call: Call) -> Answer:
    if call.ids[0] != call.config.application_id:
        return _UNKNOWN_APPLICATION
    return 200, call.commands.of(_scope(call))


def _overwrite_commands(call: Call) -> Answer:
    return _register(call, list[dict[str, Any]], is_whole=True)


def _create_command(call: Call) -> Answer:
    return _register(call, dict[str, Any], is_whole=False)


def _register(call: Call, shape: Any, *, is_whole: bool) -> Answer:
    if call.ids[0] != call.config.application_id:
        return _UNKNOWN_APPLICATION
    try:
        data = msgspec.json.decode(call.body)
        data = msgspec.convert(data, shape)
    except msgspec.ValidationError:
        return _INVALID_FORM
    except DECODE_ERRORS:
        return _INVALID_JSON
    given: list[dict[str, Any]] = data if is_whole else [data]
    registered = call.commands.register(_scope(call), given, is_whole=is_whole)
    if registered is None:
        return _INVALID_FORM
    if is_whole:
        return 200, registered
    [command] = registered
    return (201 if command["id"] == command["version"] else 200), command


def _scope(call: Call) -> int | None:
    return call.ids[1] if len(call.ids) == 2 else None


_ID: Final = r"(\d{1,20})"
_COMMANDS: Final = Route({"GET": _list_commands, "PUT": _overwrite_commands, "POST": _create_command})
_ROUTES: Final = tuple(
    (re.compile(pattern, re.ASCII), route)
    for pattern, route in (
        ("/gateway", Route({"GET": _gateway}, needs_token=False)),
        # discord.py's AutoShardedClient, hikari, @discordjs/ws
        ("/gateway/bot", Route({"GET": _gateway_bot})),
        # discord.py
        ("/users/@me", Route({"GET": _own_user})),
        ("/oauth2/applications/@me", Route({"GET": _own_application})),
        ("/applications/@me", Route({"GET": _own_application})),
        # py-cord
        ("/soundboard-default-sounds", Route({"GET": _default_sounds})),
        (f"/applications/{_ID}/emojis", Route({"GET": _emojis})),
        # nextcord, whether it has any or not; every other by the time it has some
        (f"/applications/{_ID}/commands", _COMMANDS),
        (f"/applications/{_ID}/guilds/{_ID}/commands", _COMMANDS),
    )
)
