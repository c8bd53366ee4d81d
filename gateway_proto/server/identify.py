"""Judging the two payloads that lead to a session (Discord: Gateway Events > Identify, Resume).

The order is the documentation's of what cannot be got over: the token first, then the shape, the shard, the intents.
"""

from typing import Any, Final, NamedTuple

import msgspec

from ..close_codes import CloseCode
from ..codec import DECODE_ERRORS
from ..intents import ALL
from ..secret import Secret
from ..session import MAX_SEQUENCE
from .actions import ShardInfo
from .checked import is_int
from .config import ServerConfig

MAX_DEPTH: Final = 32
"""Containers in one another, of what is kept of a client's. Commands with localised choices are 14 deep."""


class Refusal(NamedTuple):
    """Why not: a close code, or None for op 9 false. The reason is a text of ours, fit for a close frame."""

    code: CloseCode | None
    reason: str


class IdentifyRequest(NamedTuple):
    """A valid op 2."""

    token: Secret
    intents: int
    shard: ShardInfo | None
    presence: dict[str, Any] | None
    properties: dict[str, Any]
    compress: bool
    large_threshold: int | None


class ResumeRequest(NamedTuple):
    """A valid op 6; its sequence is judged by the session."""

    token: Secret
    session_id: Secret
    sequence: int | None


def check_identify(raw: bytes, config: ServerConfig) -> IdentifyRequest | Refusal:
    """Judge the `d` of op 2. Documented fields must have their types; unknown ones are passed over (F31)."""
    data = decode_object(raw)
    if data is None:
        return _undecodable("IDENTIFY must be an object")
    token = _token(data, config)
    if token is None:
        return Refusal(CloseCode.AUTHENTICATION_FAILED, "the token is wrong")
    properties, presence = data.get("properties"), data.get("presence")
    compress, large_threshold = data.get("compress", False), data.get("large_threshold")
    if not isinstance(properties, dict):
        return _undecodable("properties must be an object")
    if not isinstance(presence, dict | None):
        return _undecodable("presence must be an object")
    if not is_shallow(presence):
        return _undecodable(f"presence must not be nested more than {MAX_DEPTH} deep")
    if not isinstance(compress, bool | None):
        return _undecodable("compress must be a boolean")
    if large_threshold is not None and not is_int(large_threshold):
        return _undecodable("large_threshold must be an integer")
    intents: Any = data.get("intents")
    shard: Any = data.get("shard")
    refusal = _judge_shard(shard, config) or _judge_intents(intents, config)
    if refusal is not None:
        return refusal
    return IdentifyRequest(
        token,
        intents,
        None if shard is None else (shard[0], shard[1]),
        None if presence is None else with_activities(presence),
        properties,
        bool(compress),
        large_threshold,
    )


def check_resume(raw: bytes, config: ServerConfig) -> ResumeRequest | Refusal:
    """Judge the `d` of op 6."""
    data = decode_object(raw)
    if data is None:
        return _undecodable("RESUME must be an object")
    token = _token(data, config)
    if token is None:
        return Refusal(CloseCode.AUTHENTICATION_FAILED, "the token is wrong")
    session_id, sequence = data.get("session_id"), data.get("seq")
    if not isinstance(session_id, str):
        return _undecodable("session_id must be a string")
    valid = is_int(sequence) and 0 <= sequence <= MAX_SEQUENCE
    return ResumeRequest(token, Secret(session_id), sequence if valid else None)


def decode_object(raw: bytes) -> dict[str, Any] | None:
    """A JSON object, or None for what is none."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Any])
    except DECODE_ERRORS:
        return None


def is_shallow(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Containers stand in it at most so deep: what was decoded must be encodable wherever the stack stands then."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return True
    return depth > 0 and all(is_shallow(inner, depth - 1) for inner in value)


def with_activities(presence: dict[str, Any]) -> dict[str, Any]:
    """A client's presence as it is documented today.

    The `game` of before API v8, one activity or null, is what discord.py's IDENTIFY and hikari send to this day, and
    Discord takes it; it becomes `activities`.
    """
    game = presence.get("game")
    if "activities" in presence or "game" not in presence or not isinstance(game, dict | None):
        return presence
    rest = {name: value for name, value in presence.items() if name != "game"}
    return {**rest, "activities": [] if game is None else [game]}


def mask_secrets(raw: bytes) -> bytes:
    """The `d` of op 2 or 6 for a report: with `***` for token and session id; of what is no object, nothing."""
    data = decode_object(raw)
    if data is None:
        return b""
    return msgspec.json.encode({key: "***" if key in ("token", "session_id") else value for key, value in data.items()})


def _token(data: dict[str, Any], config: ServerConfig) -> Secret | None:
    token = data.get("token")
    if not isinstance(token, str) or not token:
        return None
    return Secret(token) if config.token in (None, Secret(token)) else None


def _judge_shard(shard: Any, config: ServerConfig) -> Refusal | None:
    if shard is None:
        shard = [0, 1]
    if not isinstance(shard, list) or len(shard) != 2 or not all(is_int(number) for number in shard):
        return Refusal(CloseCode.INVALID_SHARD, "shard must be [id, total]")
    if not 0 <= shard[0] < shard[1]:
        return Refusal(CloseCode.INVALID_SHARD, "shard must be [id, total] with 0 <= id < total")
    if shard[1] < config.min_shards:
        return Refusal(CloseCode.SHARDING_REQUIRED, f"at least {config.min_shards} shards are required")
    return None


def _judge_intents(intents: Any, config: ServerConfig) -> Refusal | None:
    if not is_int(intents) or intents < 0 or intents & ~int(ALL):
        return Refusal(CloseCode.INVALID_INTENTS, "intents must be documented bits")
    if intents & ~int(config.allowed_intents):
        return Refusal(CloseCode.DISALLOWED_INTENTS, "intents hold a bit that this application may not use")
    return None


def _undecodable(reason: str) -> Refusal:
    return Refusal(CloseCode.DECODE_ERROR, reason)
