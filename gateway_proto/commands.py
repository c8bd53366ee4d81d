"""Everything an app may send, typed, and its one encoder (Discord: Gateway Events > Send Events).

`payload()` gives the `d` of a command. What Discord would answer by closing the socket is refused here, by
`LocalProtocolError`, before it is queued (F37).
"""

import json
from collections.abc import Iterable
from typing import Any, ClassVar, Final, Literal, TypeAlias

import msgspec

from .errors import LocalProtocolError
from .opcodes import Opcode
from .presence import NO_PRESENCE, CurrentPresence
from .secret import Secret
from .sharding import shard_id_for

MAX_PAYLOAD: Final = 4096
"""Bytes of one sent message; Discord closes with 4002 over it."""
MAX_NONCE: Final = 32
"""Bytes; of a longer nonce Discord gives nothing back."""
MAX_USER_IDS: Final = 100
RESERVED: Final = frozenset({Opcode.HEARTBEAT, Opcode.IDENTIFY, Opcode.RESUME})
"""The shard's own: by hand they would go past the send budget and the IDENTIFY ledger."""

_encode = msgspec.json.Encoder().encode


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """Op 1. `sequence` is the last one delivered, None before the first."""

    opcode: ClassVar[Opcode] = Opcode.HEARTBEAT
    sequence: int | None

    def payload(self) -> int | None:
        return self.sequence


class Identify(msgspec.Struct, frozen=True, kw_only=True):
    """Op 2: ask for a new session."""

    opcode: ClassVar[Opcode] = Opcode.IDENTIFY
    token: Secret
    intents: int
    properties: dict[str, str]
    shard: tuple[int, int] | None = None
    presence: CurrentPresence = NO_PRESENCE
    compress: bool = False
    large_threshold: int | None = None
    extra: dict[str, Any] = {}

    def payload(self) -> dict[str, Any]:
        data: dict[str, Any] = {
            "token": self.token.reveal(),
            "intents": self.intents,
            "properties": self.properties,
        }
        if self.shard is not None:
            data["shard"] = self.shard
        if self.presence != NO_PRESENCE:
            data["presence"] = self.presence.payload()
        if self.compress:
            data["compress"] = True
        if self.large_threshold is not None:
            data["large_threshold"] = self.large_threshold
        return {**self.extra, **data}


class Resume(msgspec.Struct, frozen=True, kw_only=True):
    """Op 6: take a session up again after `sequence`."""

    opcode: ClassVar[Opcode] = Opcode.RESUME
    token: Secret
    session_id: Secret
    sequence: int

    def payload(self) -> dict[str, Any]:
        return {"token": self.token.reveal(), "session_id": self.session_id.reveal(), "seq": self.sequence}


class UpdatePresence(msgspec.Struct, frozen=True, kw_only=True):
    """Op 3."""

    opcode: ClassVar[Opcode] = Opcode.PRESENCE_UPDATE
    presence: CurrentPresence

    def payload(self) -> dict[str, Any]:
        return self.presence.payload()


class UpdateVoiceState(msgspec.Struct, frozen=True, kw_only=True):
    """Op 4: join, move between or (with no channel) leave the voice channels of a guild."""

    opcode: ClassVar[Opcode] = Opcode.VOICE_STATE_UPDATE
    guild_id: int
    channel_id: int | None
    self_mute: bool = False
    self_deaf: bool = False

    def payload(self) -> dict[str, Any]:
        return {
            "guild_id": str(self.guild_id),
            "channel_id": None if self.channel_id is None else str(self.channel_id),
            "self_mute": self.self_mute,
            "self_deaf": self.self_deaf,
        }


class RequestGuildMembers(msgspec.Struct, frozen=True, kw_only=True):
    """Op 8: members by a prefix of their name (`query`, "" for all), or by `user_ids`, never both."""

    opcode: ClassVar[Opcode] = Opcode.REQUEST_GUILD_MEMBERS
    guild_id: int
    query: str | None = None
    limit: int = 0
    presences: bool | None = None
    user_ids: tuple[int, ...] | None = None
    nonce: str | None = None

    def payload(self) -> dict[str, Any]:
        if (self.query is None) == (self.user_ids is None):
            raise LocalProtocolError("request members by a query or by user_ids: exactly one of them")
        if self.user_ids is not None and not 1 <= len(self.user_ids) <= MAX_USER_IDS:
            raise LocalProtocolError(f"request 1 to {MAX_USER_IDS} user_ids at once, not {len(self.user_ids)}")
        if self.limit < 0 or (self.query and self.limit > 100):
            raise LocalProtocolError("the limit must be 0 to 100 with a query, 0 or more without")
        if self.nonce is not None and len(self.nonce.encode()) > MAX_NONCE:
            raise LocalProtocolError(f"the nonce must not exceed {MAX_NONCE} bytes")
        data: dict[str, Any] = {"guild_id": str(self.guild_id), "limit": self.limit}
        if self.query is not None:
            data["query"] = self.query
        if self.user_ids is not None:
            data["user_ids"] = [str(user_id) for user_id in self.user_ids]
        if self.presences is not None:
            data["presences"] = self.presences
        if self.nonce is not None:
            data["nonce"] = self.nonce
        return data


class RequestSoundboardSounds(msgspec.Struct, frozen=True, kw_only=True):
    """Op 31."""

    opcode: ClassVar[Opcode] = Opcode.REQUEST_SOUNDBOARD_SOUNDS
    guild_ids: tuple[int, ...]

    def payload(self) -> dict[str, Any]:
        if not self.guild_ids:
            raise LocalProtocolError("request soundboard sounds of at least one guild")
        return {"guild_ids": [str(guild_id) for guild_id in self.guild_ids]}


class RequestChannelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Op 43: ephemeral facts about the voice channels of a guild."""

    opcode: ClassVar[Opcode] = Opcode.REQUEST_CHANNEL_INFO
    guild_id: int
    fields: tuple[Literal["status", "voice_start_time"] | str, ...] = ("status", "voice_start_time")

    def payload(self) -> dict[str, Any]:
        if not self.fields:
            raise LocalProtocolError("request at least one field of the channels")
        return {"guild_id": str(self.guild_id), "fields": list(self.fields)}


class RawCommand(msgspec.Struct, frozen=True):
    """A whole message as JSON text, `{"op": …, "d": …}`, for what has no type here."""

    text: bytes

    @classmethod
    def of(cls, opcode: int, d: Any) -> "RawCommand":
        """A raw command of plain Python objects."""
        return cls(json.dumps({"op": opcode, "d": d}, separators=(",", ":")).encode())


Command: TypeAlias = (
    UpdatePresence | UpdateVoiceState | RequestGuildMembers | RequestSoundboardSounds | RequestChannelInfo
)
InterMessage: TypeAlias = Command | RawCommand
"""What may be handed to a running shard."""
AnyPayload: TypeAlias = Command | Heartbeat | Identify | Resume


def encode(command: AnyPayload) -> bytes:
    """A whole message as bytes of JSON.

    Raises:
        LocalProtocolError: a field is out of its range.
    """
    try:
        return _encode({"op": int(command.opcode), "d": command.payload()})
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        # A lone surrogate in a name, an object in `extra` that JSON does not know, …
        raise LocalProtocolError(f"op {command.opcode:d} cannot be written as JSON ({type(error).__name__})") from None


def encode_checked(message: InterMessage, shard: tuple[int, int] | None) -> bytes:
    """Encode what a user hands in, after every check that keeps Discord from closing the socket for it.

    Raises:
        LocalProtocolError: too large, a reserved opcode, no valid JSON, or a guild that this shard cannot own.
    """
    if isinstance(message, RawCommand):
        data = message.text
    else:
        _check_opcode(message.opcode)
        data = encode(message)
    check_size(data)
    _check_owner(guilds_of(message), shard)
    return data


def check_size(data: bytes) -> None:
    """Raises LocalProtocolError for a payload that Discord would close with 4002."""
    if len(data) > MAX_PAYLOAD:
        raise LocalProtocolError(f"the payload has {len(data)} bytes, Discord takes {MAX_PAYLOAD}")


def chunk_requests(
    guild_ids: Iterable[int], limit: int, query: str, presences: bool | None
) -> list[RequestGuildMembers]:
    """One member request for each guild: Discord takes one guild a request."""
    return [
        RequestGuildMembers(guild_id=guild_id, query=query, limit=limit, presences=presences) for guild_id in guild_ids
    ]


def guilds_of(message: InterMessage) -> list[int]:
    """The guilds that a message names: its shard must own all of them.

    Raises:
        LocalProtocolError: it is raw, and no message, or one that the shard sends itself.
    """
    return _raw_guilds(message.text) if isinstance(message, RawCommand) else _guilds(message)


def opcode_of(message: InterMessage) -> int:
    """The op of a message that `encode_checked` has accepted."""
    return _raw_envelope(message.text).op if isinstance(message, RawCommand) else message.opcode


class _RawEnvelope(msgspec.Struct):
    op: int
    d: Any = None


def _raw_envelope(data: bytes) -> _RawEnvelope:
    try:
        envelope = msgspec.json.decode(data, type=_RawEnvelope)
        # Which of two members of one name the peer takes is not known: behind a harmless op could stand an IDENTIFY.
        json.loads(data, object_pairs_hook=_refuse_repeated)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise LocalProtocolError('raw JSON must be an object {"op": int, "d": …} that names no member twice') from None
    return envelope


def _refuse_repeated(members: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in members}) < len(members):
        raise ValueError("a member is named twice")


def _check_opcode(op: int) -> None:
    if op in RESERVED:
        raise LocalProtocolError(f"op {op:d} is the shard's own: it would go past the budget and the ledger")


def _raw_guilds(data: bytes) -> list[int]:
    envelope = _raw_envelope(data)
    _check_opcode(envelope.op)
    if not isinstance(envelope.d, dict):
        return []
    one, many = envelope.d.get("guild_id"), envelope.d.get("guild_ids")
    named = [one, *_listed(one), *_listed(many)]  # `guild_id` was once documented to take many, too
    return [int(guild) for guild in named if isinstance(guild, int) or (isinstance(guild, str) and guild.isdecimal())]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _guilds(command: Command) -> list[int]:
    if isinstance(command, UpdatePresence):
        return []
    if isinstance(command, RequestSoundboardSounds):
        return list(command.guild_ids)
    return [command.guild_id]


def _check_owner(guilds: list[int], shard: tuple[int, int] | None) -> None:
    if shard is None:
        return
    index, total = shard
    for guild_id in guilds:
        owner = shard_id_for(guild_id, total)
        if owner != index:
            raise LocalProtocolError(f"guild {guild_id} belongs to shard {owner} of {total}, this is shard {index}")
