"""How other clients make their models of a gateway message, each with as little around it as it needs to run.

Both get what `orjson.loads` makes of the message: they call it themselves where it is installed.

- discord.py: `ConnectionState.parsers`, with all intents. Its models live in its cache (a PRESENCE_UPDATE of a member
  whom it has not seen is thrown away), so the guilds, channels and members that the messages name are in there first.
  A guild that comes again is filled anew, as after an outage. Its cache of messages is off: a look into that decodes
  nothing.
- hikari: the `deserialize_*_event` methods of its event factory. No cache is behind them.

Nothing of either is imported before it is asked for, and neither has types here: no environment but the benchmark's
need have them.
"""

import importlib
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, Final, TypeAlias

Build: TypeAlias = Callable[[str, dict[str, Any]], object]
"""Makes a client's models of an event's name and its decoded `d`."""

_SELF: Final = 80_351_110_224_678_912
"""The bot's own id, which no message names."""


def discord_py(messages: Iterable[dict[str, Any]]) -> Build:
    """discord.py's parsers, its cache filled with what these decoded messages name.

    Raises:
        ImportError: it is not installed.
    """
    discord = importlib.import_module("discord")
    state = importlib.import_module("discord.state").ConnectionState(
        dispatch=_ignore,
        handlers={},
        hooks={},
        http=SimpleNamespace(_HTTPClient__session=None),  # an Interaction keeps the session of its http
        intents=discord.Intents.all(),
        chunk_guilds_at_startup=False,  # it would be asked for over the network
        max_messages=None,
    )
    state.user = discord.ClientUser(state=state, data=_user(_SELF))
    state._get_client = lambda: SimpleNamespace(user=state.user)
    for guild in _guilds(messages):
        state.parsers["GUILD_CREATE"](guild)
    parsers = state.parsers

    def build(name: str, d: dict[str, Any]) -> None:
        parsers[name](d)

    return build


def hikari() -> Build:
    """hikari's event factory.

    Raises:
        ImportError: it is not installed.
    """
    entity_factory = importlib.import_module("hikari.impl.entity_factory")
    event_factory = importlib.import_module("hikari.impl.event_factory")
    app = SimpleNamespace()
    app.entity_factory = entity_factory.EntityFactoryImpl(app)
    factory = event_factory.EventFactoryImpl(app)
    shard = SimpleNamespace(id=0, app=app, get_user_id=lambda: _SELF)
    makers = {
        name: getattr(factory, f"deserialize_{_HIKARI_NAMES.get(name, name.lower())}_event")
        for name in (*_HIKARI_NAMES, *_HIKARI_SAME)
    }

    def build(name: str, d: dict[str, Any]) -> object:
        return makers[name](shard, d)

    return build


_HIKARI_SAME: Final = (
    "MESSAGE_CREATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "MESSAGE_REACTION_ADD",
    "MESSAGE_REACTION_REMOVE",
    "PRESENCE_UPDATE",
    "TYPING_START",
    "VOICE_STATE_UPDATE",
    "GUILD_MEMBER_ADD",
    "GUILD_MEMBER_UPDATE",
    "GUILD_MEMBER_REMOVE",
    "GUILD_ROLE_UPDATE",
    "INVITE_CREATE",
    "INTERACTION_CREATE",
)
_HIKARI_NAMES: Final = {
    "CHANNEL_UPDATE": "guild_channel_update",
    "THREAD_CREATE": "guild_thread_create",
    "GUILD_CREATE": "guild_available",
    "GUILD_MEMBERS_CHUNK": "guild_member_chunk",
}
"""The events that hikari calls otherwise than Discord does."""


def _ignore(*_: object, **__: object) -> None:
    """What a client hands its events to here, and where it looks for what the models do not need."""


def _guilds(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A GUILD_CREATE, no larger than it must be, of each guild that the messages name without bringing it."""
    guilds: dict[str, dict[str, Any]] = {}
    channels: dict[str, dict[str, Any]] = {}
    members: dict[tuple[str, str], dict[str, Any]] = {}
    for message in messages:
        d = message["d"]
        if message["t"] == "GUILD_CREATE" or "guild_id" not in d:
            continue
        guild_id = d["guild_id"]
        guild = guilds.setdefault(guild_id, {**_EMPTY, "id": guild_id, "channels": [], "members": []})
        channel_id = d.get("channel_id")
        if channel_id is not None and channel_id not in channels:
            kind = 2 if message["t"] == "VOICE_STATE_UPDATE" else 0
            channels[channel_id] = _channel(channel_id, kind)
            guild["channels"].append(channels[channel_id])
        member = d.get("member") or {}
        user = member.get("user") or d.get("author") or d.get("user")
        if user is not None and (guild_id, user["id"]) not in members:
            members[guild_id, user["id"]] = {
                **_MEMBER,
                **member,
                "user": {**_user(user["id"]), **user},
            }
            guild["members"].append(members[guild_id, user["id"]])
    return list(guilds.values())


_EMPTY: Final[dict[str, Any]] = {"name": "a guild", "roles": [], "emojis": [], "features": [], "unavailable": False}
_MEMBER: Final[dict[str, Any]] = {
    "roles": [],
    "joined_at": "2024-01-01T00:00:00.000000+00:00",
    "deaf": False,
    "mute": False,
    "flags": 0,
}


def _user(user_id: int | str) -> dict[str, Any]:
    return {"id": str(user_id), "username": "somebody", "discriminator": "0", "avatar": None, "global_name": None}


def _channel(channel_id: str, kind: int) -> dict[str, Any]:
    fields = {"id": channel_id, "type": kind, "name": "a-channel", "position": 0, "permission_overwrites": []}
    return fields | ({"bitrate": 64_000, "user_limit": 0} if kind == 2 else {})
