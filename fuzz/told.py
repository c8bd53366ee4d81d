"""What a session is told, judged as its bot sees it: by the intents and the shard of its IDENTIFY, and what it asked.

Nothing here looks into the server. `Told.hear` takes each dispatch in the order of its arrival, `complete` judges once
nothing more is under way.
"""

from collections.abc import Collection
from typing import Any, Final

from gateway_proto.event_intents import EVENT_INTENTS
from gateway_proto.intents import Intents
from gateway_proto.server import ShardInfo
from gateway_proto.sharding import shard_id_for

CHUNK: Final = 3
"""Members of a chunk, of a thousand in truth: so a small guild has many."""
PERIOD: Final = 30.0
BOT: Final = "80351110224678912"
_DIRECT: Final = (
    Intents.DIRECT_MESSAGES
    | Intents.DIRECT_MESSAGE_REACTIONS
    | Intents.DIRECT_MESSAGE_TYPING
    | Intents.DIRECT_MESSAGE_POLLS
)
_ANSWERS: Final = (
    "GUILD_MEMBERS_CHUNK", "SOUNDBOARD_SOUNDS", "CHANNEL_INFO", "RATE_LIMITED", "VOICE_SERVER_UPDATE", "READY",
    "RESUMED",
)  # fmt: skip


class Asked:
    """A request for members that was sent, and what has come of it. `ids` is None where they were asked for by name."""

    def __init__(self, guild_id: int, at: float, ids: tuple[int, ...] | None, *, whole: bool, presences: bool) -> None:
        self.guild_id = guild_id
        self.at = at
        self.ids = ids
        self.whole = whole
        self.presences = presences
        self.next = 0
        self.count: int | None = None
        self.members: set[str] = set()
        self.limited = False
        self.everybody: int | None = None
        """How many members there were, as long as nobody has come or left since."""


class Granted:
    """When all members of each guild were asked for with success, by whichever session, and who went and came."""

    def __init__(self) -> None:
        self.at: dict[int, float] = {}
        self.gone: set[int] = set()
        """Guilds that were in an outage or left at some time."""
        self.has_left = False
        """A member has left some guild."""


class Told:
    """One session. `listed` are the guilds that READY is to name."""

    def __init__(self, intents: int, shard: ShardInfo, listed: Collection[int], granted: Granted) -> None:
        self.intents = intents
        self.shard = shard
        self.heard = 0
        """The last sequence that came."""
        self.is_whole = True
        """A RESUME has skipped nothing."""
        self.known: set[int] = set()
        self.asked: dict[str, Asked] = {}
        self._listed = listed
        self._granted = granted

    def hear(self, sequence: int, name: str, d: Any) -> None:
        if sequence <= self.heard:
            return
        assert sequence == self.heard + 1, "a gap"
        self.heard = sequence
        self._judge(name, d)
        match name:
            case "READY":
                assert d["guilds"] == [{"id": str(id), "unavailable": True} for id in self._listed]
            case "GUILD_CREATE":
                assert int(d["id"]) not in self.known, "a guild is created twice"
                self.known.add(int(d["id"]))
                assert self.intents & Intents.GUILD_PRESENCES or not d["presences"]
                assert self.intents & Intents.GUILD_VOICE_STATES or not d["voice_states"]
                if self.intents & Intents.GUILD_PRESENCES and not d["large"]:
                    assert len(d["members"]) == d["member_count"]
            case "GUILD_DELETE":
                self.known.discard(int(d["id"]))
            case "GUILD_MEMBERS_CHUNK":
                self._chunk(d)
            case "RATE_LIMITED":
                assert 0.0 < d["retry_after"] <= PERIOD
                nonce = d["meta"].get("nonce")
                if nonce is not None:
                    asked = self.asked[nonce]
                    assert asked.whole
                    assert asked.next == 0
                    asked.limited = True

    def complete(self, available: Collection[int]) -> None:
        """Everything was drained: each answer is whole, and the guilds are those that there are."""
        for asked in self.asked.values():
            assert asked.count is None or asked.next == asked.count or asked.guild_id in self._granted.gone
        if self.intents & Intents.GUILDS and self.is_whole:
            assert self.known == set(available)

    def _judge(self, name: str, d: Any) -> None:
        """It is for this shard, for these intents, and of a guild that the bot knows."""
        guild_id = d["id"] if name in ("GUILD_CREATE", "GUILD_DELETE", "GUILD_UPDATE") else d.get("guild_id")
        index, total = self.shard
        if name not in ("READY", "RESUMED", "RATE_LIMITED"):
            assert index == (0 if guild_id is None else shard_id_for(int(guild_id), total)), f"{name}: another shard's"
        if name in _ANSWERS:
            return
        needed = EVENT_INTENTS.get(name, Intents.none())
        is_own = name == "GUILD_MEMBER_UPDATE" and d["user"]["id"] == BOT
        if needed and not is_own:
            assert self.intents & needed & (_DIRECT if guild_id is None else ~_DIRECT), f"{name}: without its intent"
        if name in ("MESSAGE_CREATE", "MESSAGE_UPDATE") and not self.intents & Intents.MESSAGE_CONTENT:
            concerns = {d["author"]["id"], *(user["id"] for user in d["mentions"])}
            assert not d["content"] or guild_id is None or BOT in concerns, f"{name}: with its content"
        if self.intents & Intents.GUILDS and self.is_whole and guild_id is not None and not name.startswith("GUILD_"):
            assert int(guild_id) in self.known, f"{name} of a guild before its GUILD_CREATE"

    def _chunk(self, d: Any) -> None:
        nonce = d.get("nonce")
        assert nonce is None or nonce in self.asked, "somebody else's answer"
        users = [member["user"]["id"] for member in d["members"]]
        assert len(users) <= CHUNK
        assert 0 <= d["chunk_index"] < d["chunk_count"]
        assert "presences" not in d or self.intents & Intents.GUILD_PRESENCES
        if nonce is None:
            return
        asked = self.asked[nonce]
        assert not asked.limited
        assert (int(d["guild_id"]), d["chunk_index"]) == (asked.guild_id, asked.next), "a chunk is out of its order"
        assert asked.count in (None, d["chunk_count"])
        asked.count = d["chunk_count"]
        asked.next += 1
        assert asked.next == asked.count or len(users) == CHUNK or self._granted.has_left
        assert not asked.members & set(users), "a member twice"
        asked.members |= set(users)
        assert ("presences" in d) == (asked.presences and bool(self.intents & Intents.GUILD_PRESENCES))
        assert ("not_found" in d) == (asked.ids is not None)
        if asked.everybody is not None and asked.next == asked.count:
            assert len(asked.members) == asked.everybody, "not all members are given"
        if asked.ids is not None:
            self._by_id(asked, d)
        elif asked.whole and d["chunk_index"] == 0:
            assert self.intents & Intents.GUILD_MEMBERS
            before = self._granted.at.get(asked.guild_id)
            assert before is None or asked.at - before >= PERIOD - 1e-6, "all members twice in a period"
            self._granted.at[asked.guild_id] = asked.at

    def _by_id(self, asked: Asked, d: Any) -> None:
        wanted = {str(id) for id in asked.ids or ()}
        missing = set(d["not_found"])
        assert asked.members | missing <= wanted
        assert not asked.members & missing
        if asked.next == asked.count and not self._granted.has_left:
            assert asked.members | missing == wanted, "an id is neither found nor not found"
