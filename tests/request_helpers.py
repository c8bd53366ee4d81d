"""A shard with its requests against a scripted gateway, in virtual time; and the payloads of their answers."""

import random
from typing import Any

from gateway_proto import (
    ConnectionStage,
    Intents,
    LocalProtocolError,
    ShardAction,
    ShardConfig,
)
from gateway_proto.requests.answers import (
    Members,
)
from gateway_proto.requests.machine import (
    Answered,
    Failed,
    GuildRequests,
    RequestOutcome,
)

from .peer import Peer, config, ready

INTENTS = Intents.GUILDS | Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES
GUILD = 5
OTHER = 9

MEMBERS, SOUNDS, INFO = 8, 31, 43


def member(user_id: int) -> dict[str, Any]:
    user = {
        "id": str(user_id),
        "username": f"user {user_id}",
        "discriminator": "0",
        "global_name": None,
        "avatar": None,
    }
    joined = "2020-04-04T04:04:04.000000+00:00"
    return {"user": user, "roles": ["6"], "joined_at": joined, "deaf": False, "mute": False, "flags": 0}


def presence(user_id: int) -> dict[str, Any]:
    return {"user": {"id": str(user_id)}, "guild_id": str(GUILD), "status": "idle", "activities": []}


def chunk(nonce: str, index: int, count: int, *, size: int = 2, guild_id: int = GUILD, **more: Any) -> dict[str, Any]:
    """Chunk `index` of `count`: members with the ids from index × size on."""
    return {
        "guild_id": str(guild_id),
        "members": [member(index * size + place) for place in range(size)],
        "chunk_index": index,
        "chunk_count": count,
        "nonce": nonce,
        **more,
    }


def ids(members: Members) -> list[int]:
    return [one.user.id for one in members.members if one.user]


class Asking(Peer):
    """A shard with its requests, and a gateway that acknowledges beats by itself and says else what it is told to."""

    def __init__(self, shard_config: ShardConfig | None = None) -> None:
        super().__init__(shard_config or config(intents=INTENTS))
        self.requests = GuildRequests(shard_config or config(intents=INTENTS), rng=random.Random(2))
        self.outcomes: dict[int, RequestOutcome] = {}
        self.ended_at: dict[int, float] = {}
        self.sequence = 1
        self.beats = 0

    def do(self, actions: list[ShardAction]) -> list[ShardAction]:
        super().do(actions)
        for action in actions:
            self.note(self.requests.receive(action, self.now))
        self.serve()
        return actions

    def serve(self) -> None:
        for command in self.requests.commands(self.now):
            try:
                actions = self.shard.send(command, self.now)
            except LocalProtocolError as error:
                self.note(self.requests.refused(command, error, self.now))
            else:
                self.do(actions)

    def note(self, outcomes: list[RequestOutcome]) -> None:
        for outcome in outcomes:
            assert outcome.id not in self.outcomes
            self.outcomes[outcome.id] = outcome
            self.ended_at[outcome.id] = self.now

    def advance(self, seconds: float) -> list[ShardAction]:
        end = self.now + seconds
        while True:
            due = [at for at in (self.shard.next_timeout(), self.requests.next_timeout()) if at is not None]
            if not due or min(due) > end:
                self.now = end
                return []
            self.now = max(self.now, min(due))
            self.note(self.requests.handle_timeout(self.now))
            self.do(self.shard.handle_timeout(self.now))
            if self.shard.stage is ConnectionStage.CONNECTED and len(self.payloads(1)) > self.beats:
                self.beats = len(self.payloads(1))
                self.ack()

    def members(self, guild_id: int = GUILD, **options: Any) -> int:
        """Request them; they are on the wire then, if it is their turn."""
        return self.ask(self.requests.request_members(guild_id, self.now, **options))

    def ask(self, id: int) -> int:
        self.serve()
        self.advance(0.0)
        return id

    def tell(self, name: str, d: Any) -> None:
        self.sequence += 1
        self.dispatch(self.sequence, name, d)

    def chunk(self, *args: Any, **more: Any) -> None:
        self.tell("GUILD_MEMBERS_CHUNK", chunk(*args, **more))

    def limit(self, seconds: float, nonce: str | None, guild_id: int = GUILD, opcode: int = MEMBERS) -> None:
        meta = {"guild_id": str(guild_id), **({"nonce": nonce} if nonce is not None else {})}
        self.tell("RATE_LIMITED", {"opcode": opcode, "retry_after": seconds, "meta": meta})

    def nonces(self) -> list[str]:
        return [d["nonce"] for d in self.payloads(MEMBERS)]

    def resume(self) -> None:
        """Reconnect after an EOF, and resume."""
        self.eof()
        self.resume_again()
        self.tell("RESUMED", {})
        self.advance(0.0)

    def reidentify(self) -> None:
        self.say({"op": 9, "d": False})
        self.resume_again()
        self.permit()
        self.sequence = 1
        self.dispatch(1, "READY", ready("session-2"))
        self.advance(0.0)

    def answer(self, id: int) -> Any:
        outcome = self.outcomes[id]
        assert isinstance(outcome, Answered), outcome
        return outcome.result

    def error(self, id: int) -> Any:
        outcome = self.outcomes[id]
        assert isinstance(outcome, Failed), outcome
        return outcome.error


def sounds_of(peer: Asking, *guild_ids: int) -> int:
    return peer.requests.request_soundboard_sounds(guild_ids, peer.now)


def sounds(guild_id: int, *names: str) -> dict[str, Any]:
    made = [
        {"name": name, "sound_id": "1", "volume": 1.0, "emoji_id": None, "emoji_name": None, "available": True}
        for name in names
    ]
    return {"guild_id": str(guild_id), "soundboard_sounds": made}
