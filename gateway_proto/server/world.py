"""What a session sees of the world: READY, and the answers to its requests where no world is configured.

Such a world is empty: no members, no sounds. What a request must have is judged here in any case; `population.py`
answers for a world that has guilds.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from ..close_codes import CloseCode
from ..commands import MAX_NONCE, MAX_USER_IDS
from ..opcodes import Opcode
from ..sharding import shard_id_for
from .application import bot_user, partial_application
from .checked import is_int
from .config import ServerConfig
from .identify import Refusal, decode_object, is_shallow, with_activities
from .session import ServerSession

Dispatches: TypeAlias = list[tuple[str, bytes]]
"""(event name, JSON of `d`) each."""

_STATUSES: Final = ("online", "dnd", "idle", "invisible", "offline")


def ready(
    session: ServerSession,
    config: ServerConfig,
    version: int,
    guild_ids: Iterable[int] | None = None,
    bot: Mapping[str, Any] | None = None,
) -> bytes:
    """The `d` of READY (Discord: Gateway Events > Ready): every guild of the shard, as yet unavailable.

    Args:
        version: what the connection's URL said.
        guild_ids: those; for None the config's.
        bot: what of its user is no longer as in the config.
    """
    index, total = session.shard or (0, 1)
    if guild_ids is None and config.shard_guilds is not None:
        guild_ids = config.shard_guilds((index, total))
    elif guild_ids is None:
        guild_ids = (guild_id for guild_id in config.guild_ids if shard_id_for(guild_id, total) == index)
    data: dict[str, Any] = {
        "v": version,
        "user": bot_user(config, bot),
        "guilds": [{"id": str(guild_id), "unavailable": True} for guild_id in guild_ids],
        "session_id": session.id.reveal(),
        "application": partial_application(config),
    }
    if config.resume_url is not None:
        data["resume_gateway_url"] = config.resume_url
    if session.shard is not None:
        data["shard"] = session.shard
    return msgspec.json.encode(data)


def answer(opcode: Opcode, raw: bytes, config: ServerConfig) -> Dispatches | Refusal:
    """Judge a request (op 3, 4, 8, 31 or 43) and answer it. What lacks its documented shape is closed with 4002."""
    data = decode_object(raw)
    reply = None if data is None else _ANSWERS[opcode](data, config)
    if reply is None:
        return Refusal(CloseCode.DECODE_ERROR, f"op {opcode:d} lacks its documented fields")
    return [(name, msgspec.json.encode(body)) for name, body in reply]


_Reply: TypeAlias = list[tuple[str, dict[str, Any]]] | None


def _update_presence(data: dict[str, Any], config: ServerConfig) -> _Reply:
    since = data.get("since")
    valid = (
        # A whole number, but 0.0 as well: so discord.py has it.
        (since is None or is_int(since) or (isinstance(since, float) and since.is_integer()))
        and isinstance(with_activities(data).get("activities"), list)
        and data.get("status") in _STATUSES
        and isinstance(data.get("afk"), bool)
        and is_shallow(data)
    )
    return [] if valid else None


def _update_voice_state(data: dict[str, Any], config: ServerConfig) -> _Reply:
    guild_id, channel_id = data.get("guild_id"), data.get("channel_id")
    # Documented as required; hikari leaves them out, and Discord takes it as false.
    mute, deaf = data.get("self_mute", False), data.get("self_deaf", False)
    if not (is_snowflake(guild_id) and isinstance(mute, bool) and isinstance(deaf, bool)):
        return None
    if channel_id is not None and not is_snowflake(channel_id):
        return None
    state = {
        "guild_id": str(guild_id),
        "channel_id": None if channel_id is None else str(channel_id),
        "user_id": str(config.user_id),
        # The voice session's id, which is not the gateway session's secret one.
        "session_id": f"{config.user_id:032x}",
        "deaf": False,
        "mute": False,
        "self_deaf": deaf,
        "self_mute": mute,
        "self_video": False,
        "suppress": False,
        "request_to_speak_timestamp": None,
    }
    if channel_id is None:
        return [("VOICE_STATE_UPDATE", state)]
    # Both come when a channel is joined, and clients wait for both. A null endpoint: no voice server is here yet.
    server = {"guild_id": str(guild_id), "token": f"{config.user_id:016x}", "endpoint": None}
    return [("VOICE_STATE_UPDATE", state), ("VOICE_SERVER_UPDATE", server)]


def _request_members(data: dict[str, Any], config: ServerConfig) -> _Reply:
    """By `query` (which needs a limit) or by `user_ids`; where both are given, the ids count."""
    guild_id, query, limit, nonce = (data.get(name) for name in ("guild_id", "query", "limit", "nonce"))
    user_ids = data.get("user_ids")
    if is_snowflake(user_ids):
        user_ids = [user_ids]
    if not is_snowflake(guild_id) or not isinstance(data.get("presences"), bool | None):
        return None
    if user_ids is not None:
        if not _are_snowflakes(user_ids) or len(user_ids) > MAX_USER_IDS:
            return None
    elif not isinstance(query, str) or not is_int(limit) or limit < 0:
        return None
    chunk: dict[str, Any] = {"guild_id": str(guild_id), "members": [], "chunk_index": 0, "chunk_count": 1}
    if user_ids is not None:
        chunk["not_found"] = [str(user_id) for user_id in user_ids]
    if data.get("presences"):
        chunk["presences"] = []
    if isinstance(nonce, str) and len(nonce.encode()) <= MAX_NONCE:
        # A longer one is ignored, says the documentation, and the chunk has none.
        chunk["nonce"] = nonce
    return [("GUILD_MEMBERS_CHUNK", chunk)]


def _request_sounds(data: dict[str, Any], config: ServerConfig) -> _Reply:
    guild_ids: Any = data.get("guild_ids")
    if not _are_snowflakes(guild_ids):
        return None
    return [("SOUNDBOARD_SOUNDS", {"guild_id": str(id), "soundboard_sounds": []}) for id in guild_ids]


def _request_channel_info(data: dict[str, Any], config: ServerConfig) -> _Reply:
    guild_id, fields = data.get("guild_id"), data.get("fields")
    if not is_snowflake(guild_id) or not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        return None
    return [("CHANNEL_INFO", {"guild_id": str(guild_id), "channels": []})]


_ANSWERS: Final[dict[Opcode, Callable[[dict[str, Any], ServerConfig], _Reply]]] = {
    Opcode.PRESENCE_UPDATE: _update_presence,
    Opcode.VOICE_STATE_UPDATE: _update_voice_state,
    Opcode.REQUEST_GUILD_MEMBERS: _request_members,
    Opcode.REQUEST_SOUNDBOARD_SOUNDS: _request_sounds,
    Opcode.REQUEST_CHANNEL_INFO: _request_channel_info,
}


def is_snowflake(value: Any) -> bool:
    """An id, as Discord writes it (a string of digits) or as JSON's number."""
    if isinstance(value, str):
        return value.isascii() and value.isdigit() and len(value) <= 20
    return is_int(value) and 0 <= value < 2**64


def _are_snowflakes(values: Any) -> bool:
    return isinstance(values, list) and bool(values) and all(is_snowflake(value) for value in values)
