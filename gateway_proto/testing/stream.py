"""The one seeded stream of events: what the demo, the embedded gateway and the benchmarks send.

The mix and the shapes are those of real traffic: 40 % MESSAGE_CREATE, 19 % PRESENCE_UPDATE, 15 % TYPING_START, the
rest over the other common kinds; 850 to 950 bytes of JSON on average with the envelope; users, channels and words
that recur, so that a stream compresses about as a real one does. Every value is drawn from the caller's `rng`, so the
same seed gives the same bytes.

Each `d` carries two fields that Discord does not send, by which a receiver counts without trusting anybody's counters:
`_shard`, the shard's id, and `_number`, 1 for the first event of the stream and one more for each further. `Tally`
reads them.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from ..sharding import shard_id_for
from .payloads import Payload, World, guild_ids

SHARES: Final[Mapping[str, float]] = {
    "MESSAGE_CREATE": 0.40,
    "PRESENCE_UPDATE": 0.19,
    "TYPING_START": 0.15,
    "VOICE_STATE_UPDATE": 0.05,
    "MESSAGE_REACTION_ADD": 0.045,
    "MESSAGE_UPDATE": 0.04,
    "GUILD_MEMBER_UPDATE": 0.035,
    "MESSAGE_DELETE": 0.015,
    "INTERACTION_CREATE": 0.015,
    "MESSAGE_REACTION_REMOVE": 0.01,
    "GUILD_MEMBER_ADD": 0.01,
    "GUILD_MEMBER_REMOVE": 0.01,
    "CHANNEL_UPDATE": 0.01,
    "THREAD_CREATE": 0.01,
    "GUILD_ROLE_UPDATE": 0.005,
    "INVITE_CREATE": 0.005,
}
"""How often each event comes in the mix."""


class GeneratedEvent(NamedTuple):
    """One event: `t`, and the JSON of `d` in compact form."""

    name: str
    data: bytes


class EventStream(Iterator[GeneratedEvent]):
    """An endless stream of numbered events for one shard.

    Args:
        rng: where every value comes from.
        shard: (id, total); each guild of the stream belongs to it.
        guilds: how many guilds to make up, or their ids.
        shares: how often each event comes; any of the names in `SHARES`, and GUILD_CREATE.
        numbered: with the two fields.

    Raises:
        ValueError: no guilds, a guild that another shard owns, or an event that is not made here.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        shard: tuple[int, int] = (0, 1),
        guilds: int | Sequence[int] = 40,
        shares: Mapping[str, float] = SHARES,
        numbered: bool = True,
    ) -> None:
        ids = guild_ids(rng, shard, guilds) if isinstance(guilds, int) else tuple(guilds)
        if not ids or any(shard_id_for(guild_id, shard[1]) != shard[0] for guild_id in ids):
            raise ValueError(f"a stream needs guilds, each of them of shard {shard[0]} of {shard[1]}")
        self.guild_ids: tuple[int, ...] = ids
        world = World(rng, ids)
        if unknown := set(shares) - set(world.makers):
            raise ValueError(f"no such event is made here: {', '.join(sorted(unknown))}")
        self._choices = rng.choices
        self._names = list(shares)
        self._weights = list(accumulate(shares.values()))
        self._makers: dict[str, Callable[[], Payload]] = world.makers
        self._shard = shard[0]
        self._numbered = numbered
        self._encode = msgspec.json.Encoder().encode
        self.number: int = 0
        """The number of the last event made."""

    def __next__(self) -> GeneratedEvent:
        [name] = self._choices(self._names, cum_weights=self._weights)
        payload = self._makers[name]()
        self.number += 1
        if self._numbered:
            payload["_shard"] = self._shard
            payload["_number"] = self.number
        return GeneratedEvent(name, self._encode(payload))


def mixed(rng: random.Random) -> EventStream:
    """The mix of real traffic."""
    return EventStream(rng)


def typing_only(rng: random.Random) -> EventStream:
    """The smallest common event alone: what a message costs, whatever is in it."""
    return EventStream(rng, shares={"TYPING_START": 1.0})


def guilds(rng: random.Random) -> EventStream:
    """GUILD_CREATE alone, 5 to 200 KB and a few up to a megabyte: what a byte costs."""
    return EventStream(rng, shares={"GUILD_CREATE": 1.0})


class _Mark(msgspec.Struct):
    shard: int = msgspec.field(name="_shard")
    number: int = msgspec.field(name="_number")


class _Seen:
    """The numbers of one shard: all of 1..`through`, and those `beyond` a gap. In order it stays small."""

    __slots__ = ("beyond", "duplicated", "highest", "out_of_order", "sent", "through")

    def __init__(self) -> None:
        self.sent = 0
        self.through = 0
        self.beyond: set[int] = set()
        self.highest = 0
        self.duplicated = 0
        self.out_of_order = 0

    def receive(self, number: int) -> None:
        if number <= self.through or number in self.beyond:
            self.duplicated += 1
            return
        if number < self.highest:
            self.out_of_order += 1
        self.highest = max(self.highest, number)
        self.beyond.add(number)
        while self.through + 1 in self.beyond:
            self.through += 1
            self.beyond.remove(self.through)

    @property
    def distinct(self) -> int:
        return self.through + len(self.beyond)

    @property
    def delivered(self) -> int:
        return min(self.through, self.sent) + sum(number <= self.sent for number in self.beyond)


class Tally:
    """What became of a stream, read from the payloads alone.

    - delivered: how many of the numbers sent have come, each counted once;
    - lost: how many have not (delivered + lost = sent);
    - duplicated: how many came although their number had come before;
    - out_of_order: how many came, not duplicated, after a higher number;
    - never_sent: how many numbers came that were not sent, each counted once;
    - unnumbered: payloads without the two fields (READY, say). They count nowhere else.

    Shards are kept apart by `_shard`; the properties are sums over them.
    """

    def __init__(self) -> None:
        self._shards: dict[int, _Seen] = {}
        self.unnumbered: int = 0
        self.names: Counter[str] = Counter()
        """How many numbered payloads came, by the name of their event."""

    def sent(self, number: int, shard: int = 0) -> None:
        """The events 1 to `number` of this shard have been sent. May be told at any time, before or after."""
        seen = self._shards.setdefault(shard, _Seen())
        seen.sent = max(seen.sent, number)

    def receive(self, name: str, raw: bytes | msgspec.Raw) -> int | None:
        """An event came, `raw` is its `d`. Returns its number, None if it has none."""
        try:
            mark = msgspec.json.decode(raw, type=_Mark)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.unnumbered += 1
            return None
        if mark.number < 1:
            self.unnumbered += 1
            return None
        self.names[name] += 1
        self._shards.setdefault(mark.shard, _Seen()).receive(mark.number)
        return mark.number

    def _sum(self, count: Callable[[_Seen], int]) -> int:
        return sum(count(seen) for seen in self._shards.values())

    @property
    def delivered(self) -> int:
        return self._sum(lambda seen: seen.delivered)

    @property
    def lost(self) -> int:
        return self._sum(lambda seen: seen.sent - seen.delivered)

    @property
    def duplicated(self) -> int:
        return self._sum(lambda seen: seen.duplicated)

    @property
    def out_of_order(self) -> int:
        return self._sum(lambda seen: seen.out_of_order)

    @property
    def never_sent(self) -> int:
        return self._sum(lambda seen: seen.distinct - seen.delivered)

    def counts(self) -> dict[str, int]:
        """The four that decide, by name, with what was sent."""
        return {
            "sent": self._sum(lambda seen: seen.sent),
            "delivered": self.delivered,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "out_of_order": self.out_of_order,
        }

    def whole(self) -> bool:
        """Everything sent has come, once, in order, and nothing else."""
        return self.lost == self.duplicated == self.out_of_order == self.never_sent == 0
