"""A world as the sessions of a server see it: the guilds they begin with, what happens in them, and what they ask.

Requests are judged as Discord documents it (Gateway Events > Send Events); what it leaves unanswered (a guild that is
another shard's, all members without the intent) is left unanswered here, and reported.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ..commands import MAX_NONCE
from ..intents import Intents
from ..opcodes import Opcode
from ..sharding import shard_id_for
from ..world import GuildWorld, WorldEvent
from .actions import UNSHARDED, RequestUnanswered, ServerAction, ShardInfo
from .backlog import Part
from .config import ServerConfig
from .gates import Turnstile
from .identify import decode_object
from .registry import Registry
from .session import ServerSession
from .visibility import is_told, shown

CHUNK: Final = 1000
"""Members of a GUILD_MEMBERS_CHUNK at most."""

_encode = msgspec.json.Encoder().encode


class Population:
    """Beside a `Registry`, which knows the sessions. `numbers`: how many events each shard was sent."""

    def __init__(self, world: GuildWorld, config: ServerConfig, registry: Registry) -> None:
        self.numbers: dict[ShardInfo, int] = {}
        self._world = world
        self._registry = registry
        self._whole_guilds = Turnstile(config.member_request_period)

    # -- a new session ---------------------------------------------------------------------------------------------

    def guilds_of(self, session: ServerSession) -> Iterator[int]:
        """What READY lists."""
        return self._world.guilds_of(*(session.shard or UNSHARDED))

    @property
    def bot(self) -> Mapping[str, Any]:
        """The bot's user as it is now, which READY shows."""
        return self._world.bot

    def begin(self, session: ServerSession) -> None:
        """READY is sent: the guilds follow, for who has the intent."""
        if session.intents & Intents.GUILDS:
            session.backlog.begin(self.guilds_of(session), lambda guild_id: self._guild_create(session, guild_id))

    def _guild_create(self, session: ServerSession, guild_id: int) -> Part | None:
        """None in an outage: then it comes with the outage's end."""
        if not self._world.is_available(guild_id):
            return None
        return "GUILD_CREATE", self._whole(session, guild_id)

    def _whole(self, session: ServerSession, guild_id: int, *, is_new: bool = False) -> bytes:
        intents, threshold, presence = session.intents, session.large_threshold, session.presence
        return self._world.guild_create(guild_id, intents, threshold, presence, is_new=is_new)

    # -- what happens ----------------------------------------------------------------------------------------------

    def dispatch(self, event: WorldEvent, now: float) -> list[ServerAction]:
        """Tell an event to whom it concerns. It was encoded when it happened, not once for each session."""
        actions: list[ServerAction] = []
        counted: set[ShardInfo] = set()
        for session in self._registry.told_of(event.guild_id):
            data = self._seen(session, event)
            if data is None:
                continue
            shard = session.shard or UNSHARDED
            if shard not in counted:
                counted.add(shard)
                self.numbers[shard] = self.numbers.get(shard, 0) + 1
            if self._world.config.numbered:
                data = b'%b,"_shard":%d,"_number":%d}' % (data[:-1], shard[0], self.numbers[shard])
            actions += self._registry.dispatch(session, event.name, data, now)
        return actions

    def _seen(self, session: ServerSession, event: WorldEvent) -> bytes | None:
        if not is_told(event, session.intents):
            return None
        if event.guild_id is not None and session.backlog.awaits(event.guild_id):
            if event.guild_id in self._world:
                return None
            # READY has listed it, and there will be no GUILD_CREATE.
            session.backlog.drop(event.guild_id)
        if event.name == "GUILD_CREATE" and event.guild_id is not None:
            # As of now: if it is gone again, that is all there is to tell.
            if not self._world.is_available(event.guild_id):
                return None
            return self._whole(session, event.guild_id, is_new=event.is_own)
        return shown(event, session.intents)

    # -- what is asked ---------------------------------------------------------------------------------------------

    def answer(self, session: ServerSession, opcode: Opcode, raw: bytes, now: float) -> list[ServerAction]:
        """Answer a request whose shape was judged already; `Backlog` has what does not go out at once."""
        data = decode_object(raw) or {}
        match opcode:
            case Opcode.VOICE_STATE_UPDATE:
                return self._voice(session, data, now)
            case Opcode.REQUEST_GUILD_MEMBERS:
                return self._members(session, data, now)
            case Opcode.REQUEST_SOUNDBOARD_SOUNDS:
                return [action for id in data["guild_ids"] for action in self._sounds(session, int(id), now)]
            case Opcode.REQUEST_CHANNEL_INFO:
                return self._channel_info(session, data, now)
        return []

    def _refusal(self, session: ServerSession, opcode: Opcode, guild_id: int) -> list[ServerAction]:
        """Why nothing can be asked of a guild; empty if it can."""
        index, total = session.shard or UNSHARDED
        if guild_id not in self._world or shard_id_for(guild_id, total) != index:
            return self._unanswered(session, opcode, f"guild {guild_id} is none of this shard's")
        if not self._world.is_available(guild_id):
            return self._unanswered(session, opcode, f"guild {guild_id} is unavailable")
        return []

    def _unanswered(self, session: ServerSession, opcode: Opcode, reason: str) -> list[ServerAction]:
        return [RequestUnanswered(connection_id=session.connection_id, opcode=opcode, reason=reason)]

    def _say(self, session: ServerSession, name: str, data: dict[str, Any], now: float) -> list[ServerAction]:
        return self._registry.dispatch(session, name, _encode(data), now)

    def _voice(self, session: ServerSession, data: dict[str, Any], now: float) -> list[ServerAction]:
        guild_id, channel = int(data["guild_id"]), data["channel_id"]
        refusal = self._refusal(session, Opcode.VOICE_STATE_UPDATE, guild_id)
        if refusal:
            return refusal
        was_there = self._world.is_in_voice(guild_id)
        channel_id = None if channel is None else int(channel)
        moved = self._world.move_bot(
            guild_id, channel_id, mute=data.get("self_mute", False), deaf=data.get("self_deaf", False)
        )
        if moved is None:
            missing = "the bot is in no voice channel" if channel is None else f"{channel_id} is no voice channel"
            reason = f"{missing} of guild {guild_id}"
            return self._unanswered(session, Opcode.VOICE_STATE_UPDATE, reason)
        actions = self.dispatch(moved, now)
        if channel is not None and not was_there:
            actions += self._say(session, "VOICE_SERVER_UPDATE", self._world.voice_server(guild_id), now)
        return actions

    def _members(self, session: ServerSession, data: dict[str, Any], now: float) -> list[ServerAction]:
        guild_id = int(data["guild_id"])
        head: dict[str, Any] = {"guild_id": str(guild_id)}
        nonce = data.get("nonce")
        if isinstance(nonce, str) and len(nonce.encode()) <= MAX_NONCE:
            # A longer one is ignored, says the documentation, and the chunk has none.
            head["nonce"] = nonce
        refusal = self._refusal(session, Opcode.REQUEST_GUILD_MEMBERS, guild_id)
        if refusal:
            return refusal
        user_ids = data.get("user_ids")
        if user_ids is not None:
            asked = user_ids if isinstance(user_ids, list) else [user_ids]
            users, missing = self._world.members_by_id(guild_id, (int(id) for id in asked))
            head["not_found"] = [str(id) for id in missing]
        else:
            query, limit = data["query"], data["limit"]
            if not query and not limit:
                if not session.intents & Intents.GUILD_MEMBERS:
                    reason = f"all members of guild {guild_id} need the intent GUILD_MEMBERS"
                    return self._unanswered(session, Opcode.REQUEST_GUILD_MEMBERS, reason)
                wait = self._whole_guilds.enter(guild_id, now)
                if wait > 0:
                    limited = {"opcode": int(Opcode.REQUEST_GUILD_MEMBERS), "retry_after": wait, "meta": head}
                    return self._say(session, "RATE_LIMITED", limited, now)
            users = self._world.members_by_name(guild_id, query, limit)
        presences = bool(data.get("presences")) and bool(session.intents & Intents.GUILD_PRESENCES)
        chunks = self._chunks(session, guild_id, users, head, presences=presences)
        first = self._registry.dispatch(session, *next(chunks), now)
        if len(users) > CHUNK:
            session.backlog.add(chunks)
        return first

    def _chunks(
        self, session: ServerSession, guild_id: int, users: list[int], head: dict[str, Any], *, presences: bool
    ) -> Iterator[Part]:
        """The chunks of an answer; who has left since it was begun is left out. It ends with the guild."""
        count = max(1, -(-len(users) // CHUNK))
        for index in range(count):
            if not self._world.is_available(guild_id):
                return
            part = users[index * CHUNK : (index + 1) * CHUNK]
            chunk = {**head, "members": self._world.members(guild_id, part), "chunk_index": index, "chunk_count": count}
            if presences:
                chunk["presences"] = self._world.presences(guild_id, part, session.presence)
            yield "GUILD_MEMBERS_CHUNK", _encode(chunk)

    def _sounds(self, session: ServerSession, guild_id: int, now: float) -> list[ServerAction]:
        refusal = self._refusal(session, Opcode.REQUEST_SOUNDBOARD_SOUNDS, guild_id)
        sounds = [] if refusal else self._world.sounds(guild_id)
        return refusal or self._say(
            session, "SOUNDBOARD_SOUNDS", {"guild_id": str(guild_id), "soundboard_sounds": sounds}, now
        )

    def _channel_info(self, session: ServerSession, data: dict[str, Any], now: float) -> list[ServerAction]:
        guild_id = int(data["guild_id"])
        refusal = self._refusal(session, Opcode.REQUEST_CHANNEL_INFO, guild_id)
        channels = [] if refusal else self._world.channel_info(guild_id, data["fields"])
        return refusal or self._say(session, "CHANNEL_INFO", {"guild_id": str(guild_id), "channels": channels}, now)
