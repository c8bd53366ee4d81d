"""The whole world: what is asked of it, and what happens in it."""

import heapq
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import Any, Final

from ..intents import Intents
from ..sharding import shard_id_for
from .config import LARGE, WorldConfig
from .guild import STAGE, VOICE, Guild
from .guilds import Guilds, counted
from .integrations import Integrations
from .interactions import Interactions
from .market import Market
from .mixing import mix, next_prime
from .moderation import Moderation
from .people import People
from .places import Places
from .polls import Polls
from .presences import Presences
from .scene import Maker, Scene, WorldEvent, encode
from .shapes import Payload, Shapes
from .stages import Stages
from .talk import Talk
from .threads import Threads
from .users import BOT, Users
from .values import START

BOT_ID: Final = 80351110224678912
DEFAULT_THRESHOLD: Final = 50
"""Of `large_threshold`, which may be 50 to 250 (Discord: Gateway Events > Identify)."""
MAX_THRESHOLD: Final = 250
MAX_BY_QUERY: Final = 100
"""Members that a query gives at most (Discord: Gateway Events > Request Guild Members)."""
MAX_CROWD: Final = 1_000_000_000
"""Places of the ring where guilds begin: a world with more members than that shares users more often."""
_TRIES: Final = 8
_BUSY: Final = 500
_BUSY_SHARE: Final = 0.95
"""Of the events, those in the first `_BUSY` guilds: most guilds of a large bot are quiet, and so need not be held."""
_REPEATED_GUILDS: Final = 100
REPEATABLE: Final = frozenset(
    {
        "MESSAGE_CREATE", "PRESENCE_UPDATE", "TYPING_START", "VOICE_STATE_UPDATE", "MESSAGE_REACTION_ADD",
        "MESSAGE_UPDATE", "GUILD_MEMBER_UPDATE", "MESSAGE_DELETE", "INTERACTION_CREATE", "MESSAGE_REACTION_REMOVE",
        "CHANNEL_UPDATE", "GUILD_ROLE_UPDATE", "VOICE_CHANNEL_START_TIME_UPDATE", "GUILD_AUDIT_LOG_ENTRY_CREATE",
    }
)  # fmt: skip
"""Events that a client can be told twice: what they show replaces what was there."""
_ONLINE: Final[Payload] = {"status": "online", "client_status": {"web": "online"}, "activities": []}


class GuildWorld:
    """Guilds and all that is in them, derived from a seed, and changed by what happens.

    A guild is made when it is looked at and held once something in it has changed. Whoever is told an event must be
    told before the next one is drawn: the answers below are of the world as the last event left it.

    Args:
        config: which world it is.
        user_id, username, application_id: the bot, which is a member of each guild.
    """

    def __init__(
        self,
        config: WorldConfig | None = None,
        *,
        user_id: int = BOT_ID,
        username: str = "gateway-proto",
        application_id: int = BOT_ID,
    ) -> None:
        self.config: WorldConfig = config or WorldConfig()
        seed = mix(self.config.seed & 2**64 - 1)
        bot: Payload = {
            "id": str(user_id),
            "username": username,
            "discriminator": "0000",
            "global_name": None,
            "avatar": None,
            "bot": True,
        }
        members = self.config.members
        counts = counted(seed, members, self.config.guilds)
        # As many places as members: so a member shares about one more guild with the bot.
        crowd = min(sum(counts.values()), MAX_CROWD)
        everybody = next_prime(max(1000, crowd + 2 * LARGE * members))
        self._users = Users(Shapes(random.Random(seed)), seed, everybody, crowd, bot)
        self._presences = Presences(self._users)
        self._guilds = Guilds(self._users, self._presences, seed, members, counts)
        self._draw = Shapes(random.Random(mix(seed, 8)))
        self._scene = Scene(self._users, self._guilds, self._draw, application_id)
        self._people = People(self._scene)
        self._talk = Talk(self._scene)
        self._makers, self._direct_makers = _learn(self._scene, self._people, self._talk)
        shares = self.config.shares
        self._names: Sequence[str] = list(shares)
        self._weights = list(accumulate(shares.values()))
        self.drawn: int = 0
        """How many events were drawn."""
        # (number of the event at which it ends, guild id)
        self._outages: list[tuple[int, int]] = []
        if self.config.outages:
            self._begin_outages(seed)

    def _begin_outages(self, seed: int) -> None:
        for guild_id in self._guilds.order:
            chance = mix(seed, 9, guild_id)
            if chance % 2**32 < self.config.outages * 2**32:
                self._guilds.unavailable.add(guild_id)
                if chance >> 32 & 3:
                    self._plan_recovery(guild_id)

    # -- what there is ---------------------------------------------------------------------------------------------

    @property
    def bot(self) -> Payload:
        """The bot's User as it is now: USER_UPDATE changes it."""
        return self._users.bot

    @property
    def guild_ids(self) -> Sequence[int]:
        """The guilds that the bot is in, those in an outage among them."""
        return tuple(self._guilds.order)

    def __contains__(self, guild_id: int) -> bool:
        """The bot is in it."""
        return guild_id in self._guilds

    @property
    def unavailable(self) -> frozenset[int]:
        """The guilds in an outage."""
        return frozenset(self._guilds.unavailable)

    @property
    def held(self) -> int:
        """How many guilds are in memory."""
        return self._guilds.held

    def guilds_of(self, index: int, total: int) -> Iterator[int]:
        """The ids of the guilds that a shard owns."""
        return self._guilds.of(index, total)

    def is_available(self, guild_id: int) -> bool:
        """The bot is in it, and it has no outage."""
        return self._guilds.is_available(guild_id)

    def look(self, guild_id: int) -> Guild:
        """The guild as it is now; change nothing in it. Raises KeyError if the bot is not in it."""
        return self._guilds.look(guild_id)

    def guild_create(
        self,
        guild_id: int,
        intents: int = Intents.all(),
        large_threshold: int | None = None,
        presence: Mapping[str, Any] | None = None,
        *,
        is_new: bool = False,
    ) -> bytes:
        """The `d` of GUILD_CREATE as a session with these intents sees it.

        Args:
            large_threshold: IDENTIFY's.
            presence: what the session said of the bot, if it did.
            is_new: the bot was just added to it.
        """
        guild = self._guilds.look(guild_id)
        whole = guild.whole(
            [self._scene.channel(guild, channel) for channel in guild.channels],
            presences=bool(intents & Intents.GUILD_PRESENCES),
            voice=bool(intents & Intents.GUILD_VOICE_STATES),
            large_threshold=min(MAX_THRESHOLD, max(DEFAULT_THRESHOLD, large_threshold or 0)),
            bot_presence=self._bot_presence(presence),
        )
        if is_new:
            # Its absence is how discord.py and hikari tell a guild that the bot was added to from one that is back.
            del whole["unavailable"]
        return encode(dict(sorted(whole.items(), reverse=True)))

    def _bot_presence(self, said: Mapping[str, Any] | None) -> Payload:
        presence: Payload = {"user": {"id": self.bot["id"]}, **_ONLINE}
        status = (said or {}).get("status")
        if status in ("idle", "dnd"):
            presence |= {"status": status, "client_status": {"web": status}}
        elif status in ("invisible", "offline"):
            presence |= {"status": "offline", "client_status": {}}
        activities = (said or {}).get("activities")
        if isinstance(activities, list):
            made = [activity for activity in activities if isinstance(activity, dict)]
            presence["activities"] = [{"created_at": START, **activity} for activity in made]
        return presence

    # -- what is asked ---------------------------------------------------------------------------------------------

    def members_by_name(self, guild_id: int, query: str, limit: int) -> list[int]:
        """The members whose username or nick begins so, whatever the case, at most 100; all of them for "" and 0."""
        members = self._guilds.look(guild_id).members
        if not query and not limit:
            return list(members)
        most = min(limit, MAX_BY_QUERY) or MAX_BY_QUERY
        return list(islice(members.named(query) if query else members, most))

    def members_by_id(self, guild_id: int, user_ids: Iterable[int]) -> tuple[list[int], list[int]]:
        """The members of these ids, each once, and the ids that are no member's."""
        members = self._guilds.look(guild_id).members
        found: dict[int, None] = {}
        missing: dict[int, None] = {}
        for user_id in user_ids:
            user = self._users.find(user_id)
            if user is None or user not in members:
                missing[user_id] = None
            else:
                found[user] = None
        return list(found), list(missing)

    def members(self, guild_id: int, users: Iterable[int]) -> list[Payload]:
        """Guild Members, of those that are (still) there."""
        guild = self._guilds.look(guild_id)
        return [guild.member(user) for user in users if user in guild.members]

    def presences(self, guild_id: int, users: Iterable[int], presence: Mapping[str, Any] | None = None) -> list[Any]:
        """The presences of those members who are not offline. `presence` is what the session said of the bot."""
        guild = self._guilds.look(guild_id)
        there = [user for user in users if user in guild.members]
        others: list[Any] = [guild.presence(user) for user in there if user != BOT and guild.status(user) != "offline"]
        return [*others, self._bot_presence(presence)] if BOT in there else others

    def sounds(self, guild_id: int) -> list[Payload]:
        """The soundboard sounds."""
        return list(self._guilds.look(guild_id).sounds.values())

    def channel_info(self, guild_id: int, fields: Iterable[str]) -> list[Payload]:
        """What voice channels are busy with; the fields `status` and `voice_start_time`, others are not known."""
        guild = self._guilds.look(guild_id)
        infos = []
        for channel in guild.channels_of(VOICE):
            known = {
                "status": guild.statuses.get(channel),
                "voice_start_time": guild.voice_since.get(channel),
            }
            infos.append({"id": channel, **{name: known[name] for name in fields if name in known}})
        return infos

    def voice_server(self, guild_id: int) -> Payload:
        """The `d` of VOICE_SERVER_UPDATE. Nobody listens there."""
        endpoint = f"{self._guilds.look(guild_id).fields['region']}.voice.invalid:443"
        return {"token": self._draw.hash()[:16], "guild_id": str(guild_id), "endpoint": endpoint}

    def is_in_voice(self, guild_id: int) -> bool:
        """The bot is."""
        return BOT in self._guilds.look(guild_id).voice

    # -- what happens ----------------------------------------------------------------------------------------------

    def next_event(self) -> WorldEvent:
        """Let the next thing happen. Where no guild is available, that is a recovery or a direct message."""
        self._draw.tick()
        following = self._scene.next_following()
        if following is not None:
            return following
        self.drawn += 1
        while self._outages and self._outages[0][0] <= self.drawn:
            _, guild_id = heapq.heappop(self._outages)
            back = self.end_outage(guild_id)
            if back is not None:
                return back
        guild = self._somewhere()
        if guild is None:
            return self._nowhere()
        if self.config.outage_rate and self._draw.random() < self.config.outage_rate:
            self._plan_recovery(guild.id)
            return self.begin_outage(guild.id) or self._talk.create(guild)
        [name] = self._draw.rng.choices(self._names, cum_weights=self._weights)
        maker, instead = self._makers[name], self._talk.create
        if name in self._direct_makers and self._draw.random() < self.config.direct:
            maker, instead = self._direct_makers[name], self._talk.create_direct
        return maker(guild) or instead(guild)

    def next_following(self) -> WorldEvent | None:
        """Let the next thing happen that follows from what has happened; None if all of it has, and nothing is drawn.

        So a script that lets something happen has all of it.
        """
        return self._scene.next_following()

    def happen(self, name: str, guild_id: int) -> WorldEvent | None:
        """Let this happen there, by the names in `SHARES`; None if it cannot just now. What follows comes next.

        Raises:
            KeyError: no such event is made here, or the bot is not in that guild.
        """
        maker, guild = self._makers[name], self._guilds.look(guild_id)
        return maker(guild) if self.is_available(guild_id) else None

    def move_bot(self, guild_id: int, channel_id: int | None, *, mute: bool, deaf: bool) -> WorldEvent | None:
        """The bot joins, moves within or (with None) leaves voice; None if there is no such voice channel."""
        guild = self._guilds.look(guild_id)
        channel = None if channel_id is None else str(channel_id)
        if channel is not None and channel not in guild.channels_of(VOICE, STAGE):
            return None
        return self._people.move_bot(guild, channel, mute=mute, deaf=deaf)

    def begin_outage(self, guild_id: int) -> WorldEvent | None:
        """GUILD_DELETE with `unavailable`; None if it has one already. It lasts until `end_outage`."""
        if not self.is_available(guild_id):
            return None
        self._guilds.unavailable.add(guild_id)
        self._presences.tell_all(guild_id)
        return WorldEvent("GUILD_DELETE", guild_id, encode({"id": str(guild_id), "unavailable": True}))

    def end_outage(self, guild_id: int) -> WorldEvent | None:
        """GUILD_CREATE; None if there was no outage. `data` is the most that a session may see."""
        if guild_id not in self._guilds.unavailable:
            return None
        self._guilds.unavailable.discard(guild_id)
        return WorldEvent("GUILD_CREATE", guild_id, self.guild_create(guild_id, large_threshold=MAX_THRESHOLD))

    def join(self, guild_id: int) -> WorldEvent | None:
        """The bot was added to a guild; None if it was in it."""
        if guild_id in self._guilds:
            return None
        self._guilds.add(guild_id)
        whole = self.guild_create(guild_id, large_threshold=MAX_THRESHOLD, is_new=True)
        return WorldEvent("GUILD_CREATE", guild_id, whole, is_own=True)

    def leave(self, guild_id: int) -> WorldEvent | None:
        """The bot was removed from a guild: GUILD_DELETE without `unavailable`; None if it was not in it."""
        if guild_id not in self._guilds:
            return None
        self._guilds.remove(guild_id)
        self._scene.forget_messages(lambda message: message.guild_id == guild_id)
        return WorldEvent("GUILD_DELETE", guild_id, encode({"id": str(guild_id)}))

    def repeatable(self, index: int, total: int, count: int) -> Iterator[WorldEvent]:
        """So many events of a shard's guilds that may be told to it again and again.

        Nothing comes to be or goes by them, and each lap of them leaves the guilds as the first did. This world itself
        is left as it is. They depend on the shard, and not on what happened or was asked before.

        None, if it has no guilds or they are in an outage.
        """
        own = [guild_id for guild_id in self.guilds_of(index, total) if self.is_available(guild_id)][:_REPEATED_GUILDS]
        return islice(self._twin()._repeat(own, index, total), count if own else 0)

    def _twin(self) -> "GuildWorld":
        """This world as it began."""
        return GuildWorld(
            self.config,
            user_id=self._users.bot_id,
            username=str(self.bot["username"]),
            application_id=self._scene.application_id,
        )

    def _repeat(self, own: Sequence[int], index: int, total: int) -> Iterator[WorldEvent]:
        draw = self._draw
        draw.rng.seed(mix(self.config.seed & 2**64 - 1, 11, index, total))
        shares = {name: share for name, share in self.config.shares.items() if name in REPEATABLE and share}
        names, weights = list(shares), list(accumulate(shares.values()))
        while True:
            draw.tick()
            event = self._scene.next_following()
            guild = self._guilds.look(own[int(draw.random() ** 2.5 * len(own))])
            if event is None and names:
                event = self._makers[draw.rng.choices(names, cum_weights=weights)[0]](guild)
            event = event or self._talk.create(guild)
            is_own = event.guild_id is not None and shard_id_for(event.guild_id, total) == index
            if is_own and event.name in REPEATABLE:
                yield event

    def _plan_recovery(self, guild_id: int) -> None:
        length = 1 + int(self._draw.rng.expovariate(1 / self.config.outage_length))
        heapq.heappush(self._outages, (self.drawn + length, guild_id))

    def _somewhere(self) -> Guild | None:
        """A guild that is available, some far more often than others."""
        order = self._guilds.order
        for _ in range(_TRIES if order else 0):
            busy = min(len(order), _BUSY) if self._draw.random() < _BUSY_SHARE else len(order)
            guild_id = order[int(self._draw.random() ** 2.5 * busy)]
            if guild_id not in self._guilds.unavailable:
                return self._guilds.look(guild_id)
        return next((self._guilds.look(id) for id in order if id not in self._guilds.unavailable), None)

    def _nowhere(self) -> WorldEvent:
        while self._outages:
            _, guild_id = heapq.heappop(self._outages)
            back = self.end_outage(guild_id)
            if back is not None:
                return back
        return self._talk.stranger()


def _learn(scene: Scene, people: People, talk: Talk) -> tuple[dict[str, Maker], dict[str, Maker]]:
    """All that can happen, in guilds and in direct messages."""
    threads, stages, market = Threads(scene), Stages(scene), Market(scene)
    polls, interactions = Polls(scene, talk), Interactions(scene, market)
    places = Places(scene, people, threads, stages)
    others = (threads, stages, market, places, Integrations(scene), Moderation(scene, talk))
    makers: dict[str, Maker] = {}
    direct_makers: dict[str, Maker] = {}
    for some in (talk, people, polls, interactions, *others):
        makers |= some.makers
    for talking in (talk, polls, interactions):
        direct_makers |= talking.direct_makers
    return makers, direct_makers
