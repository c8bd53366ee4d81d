"""Gateway messages made into something useful: typed by this library, plain by others, or as others' models.

Rows {event, what, with, us_per_event, ratio_to_orjson}:

- untouched: `gateway-proto`, from the bytes of the whole message to a Dispatch of which nobody asks more, checked
  for UTF-8 as the shard does it; `envelope`, the limit: the bare decode of op, s, t and a Raw d.
- partial: `Dispatch.decode` into a Struct of two to four fields.
- full: `gateway-proto`, `Dispatch.data` (and the `data` of an interaction, which waits to be asked for); `json` and
  `orjson`, plain objects; `discord.py` and `hikari`, their own models of what orjson makes.

Partial and full start where a handler does, from the payload's bytes, all of them from the same. A row "…, message" is
the same from the whole message, envelope and all: leaving a payload for later costs going over its bytes twice. The
ratio is to orjson on the same: untouched and "…, message" to `orjson, message`.

All take turns on the same bytes, round by round, each round beginning with the next of them: the times are those of
the fastest round, the ratios are the median of the rounds' own. The garbage collector runs as it does by default:
whoever makes many objects of the kind that it follows pays for it in life, too. Whoever is not installed, or cannot
build an event, has no row but a line on stderr.
"""

import functools
import importlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import msgspec

from gateway_proto import Dispatch
from gateway_proto.codec import decode
from gateway_proto.events import UNSET, InteractionCreate, Maybe, Snowflake

from .decode_clients import Build, discord_py, hikari
from .decode_messages import SAMPLES, Sample, sample

PAYLOAD: Final = "orjson"
WHOLE: Final = "orjson, message"
"""The two that the others are held against."""


class Competitor(NamedTuple):
    what: str
    name: str
    run: Callable[[], object]
    """Takes all messages of the sample once."""
    against: str = PAYLOAD
    prepare: Callable[[], object] = int
    """What is done before, off the clock."""


class Placed(msgspec.Struct, gc=False):
    """Where it happened: what every event of a guild has."""

    guild_id: Maybe[Snowflake] = UNSET
    channel_id: Maybe[Snowflake | None] = UNSET


class Said(msgspec.Struct, gc=False):
    channel_id: Snowflake
    content: str
    guild_id: Maybe[Snowflake] = UNSET


class Reacted(msgspec.Struct, gc=False):
    message_id: Snowflake
    user_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET


class Seen(msgspec.Struct, gc=False):
    status: str
    guild_id: Snowflake


class Typed(msgspec.Struct, gc=False):
    channel_id: Snowflake
    user_id: Snowflake
    timestamp: int


class Spoke(msgspec.Struct, gc=False):
    user_id: Snowflake
    session_id: str
    channel_id: Snowflake | None = None


class Asked(msgspec.Struct, gc=False):
    id: Snowflake
    token: str
    type: int


class Joined(msgspec.Struct, gc=False):
    id: Snowflake
    name: str
    member_count: int


class Chunk(msgspec.Struct, gc=False):
    guild_id: Snowflake
    chunk_index: int
    chunk_count: int
    nonce: Maybe[str] = UNSET


PARTIAL: Final[dict[str, type[msgspec.Struct]]] = {
    "MESSAGE_CREATE": Said,
    "MESSAGE_UPDATE": Said,
    "MESSAGE_REACTION_ADD": Reacted,
    "PRESENCE_UPDATE": Seen,
    "TYPING_START": Typed,
    "VOICE_STATE_UPDATE": Spoke,
    "INTERACTION_CREATE": Asked,
    "GUILD_CREATE": Joined,
    "GUILD_MEMBERS_CHUNK": Chunk,
}
"""What a program might want of an event; of any other, `Placed`."""


def rows(events: int, rounds: int) -> list[dict[str, Any]]:
    """All rows. `events` is what the kinds are so many times fewer of; see `SAMPLES`."""
    missing = set[str]()
    return [row for event in SAMPLES for row in _rows(sample(event, events), rounds, missing)]


def _rows(messages: Sample, rounds: int, missing: set[str]) -> Iterator[dict[str, Any]]:
    field = [*_ours(messages.messages), *_theirs(messages, missing)]
    times: list[list[float]] = [[] for _ in field]
    for number in range(rounds):
        for turn in range(len(field)):
            which = (number + turn) % len(field)
            field[which].prepare()
            times[which].append(_timed(field[which].run))
    by_name = {competitor.name: taken for competitor, taken in zip(field, times, strict=True)}
    for competitor, taken in zip(field, times, strict=True):
        ratios = [own / other for own, other in zip(taken, by_name.get(competitor.against, ()), strict=False)]
        yield {
            "event": messages.event,
            "what": competitor.what,
            "with": competitor.name,
            "us_per_event": round(min(taken) / len(messages.messages) * 1e6, 3),
            "ratio_to_orjson": round(statistics.median(ratios), 3) if ratios else None,
        }


def _timed(run: Callable[[], object]) -> float:
    """Seconds of the processor: by the wall's, the slower pay more often for what somebody else does meanwhile."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


# This library


def _dispatches(messages: list[bytes]) -> Iterator[Dispatch]:
    """As `Connection.pump` makes them."""
    for message in messages:
        if not message.isascii():
            message.decode()
        envelope = decode(message)
        if envelope.s is None or envelope.t is None:
            raise AssertionError("the bench makes dispatches alone")
        yield Dispatch(1, envelope.s, envelope.t, envelope.d)


def _ours(messages: list[bytes]) -> list[Competitor]:
    standing = list(_dispatches(messages))

    def envelope() -> None:
        for message in messages:
            decode(message)

    def untouched() -> None:
        for _ in _dispatches(messages):
            pass

    def partial() -> None:
        for event in standing:
            event.decode(PARTIAL.get(event.name, Placed))

    def partial_message() -> None:
        for event in _dispatches(messages):
            event.decode(PARTIAL.get(event.name, Placed))

    fresh: list[Dispatch] = []

    def renew() -> None:
        # A Dispatch keeps its data, so each round needs new ones. Making them is `untouched`'s.
        fresh.extend(Dispatch(1, event.sequence, event.name, event.raw) for event in reversed(standing))

    def full() -> None:
        while fresh:
            data = fresh.pop().data
            if type(data) is InteractionCreate:
                _ = data.data

    def full_message() -> None:
        for event in _dispatches(messages):
            data = event.data
            if type(data) is InteractionCreate:
                _ = data.data

    return [
        Competitor("untouched", "gateway-proto", untouched, WHOLE),
        Competitor("untouched", "envelope", envelope, WHOLE),
        Competitor("partial", "gateway-proto", partial),
        Competitor("partial", "gateway-proto, message", partial_message, WHOLE),
        Competitor("full", "gateway-proto", full, prepare=renew),
        Competitor("full", "gateway-proto, message", full_message, WHOLE),
    ]


# Others


def _theirs(messages: Sample, missing: set[str]) -> list[Competitor]:
    """Those that are installed and get through the sample once. `missing` has what was said to be not installed."""
    whole = messages.messages
    events = [(event.name, bytes(event.raw)) for event in _dispatches(whole)]
    payloads = [raw for _, raw in events]
    found = [Competitor("full", "json", _plain(payloads, json.loads))]
    loads = _orjson_loads()
    if loads is not None:
        found.append(Competitor("full", PAYLOAD, _plain(payloads, loads)))
        found.append(Competitor("full", WHOLE, _plain(whole, loads), WHOLE))
    else:
        _say_once(missing, "orjson")
        loads = json.loads
    makers: dict[str, Callable[[], Build]] = {
        "discord.py": functools.partial(discord_py, map(loads, whole)),
        "hikari": hikari,
    }
    for name, make in makers.items():
        try:
            run = _models(events, loads, make())
            run()
        except ImportError:
            _say_once(missing, name)
        except Exception as error:  # whatever somebody else's code may raise
            print(f"{messages.event}: {name} cannot build it: {type(error).__name__}: {error}", file=sys.stderr)
        else:
            found.append(Competitor("full", name, run))
    return found


def _orjson_loads() -> Callable[[bytes], Any] | None:
    try:
        loads: Callable[[bytes], Any] = importlib.import_module("orjson").loads
    except ImportError:
        return None
    return loads


def _plain(messages: list[bytes], loads: Callable[[bytes], Any]) -> Callable[[], None]:
    def run() -> None:
        for message in messages:
            loads(message)

    return run


def _models(events: list[tuple[str, bytes]], loads: Callable[[bytes], Any], build: Build) -> Callable[[], None]:
    def run() -> None:
        for name, raw in events:
            build(name, loads(raw))

    return run


def _say_once(said: set[str], name: str) -> None:
    if name not in said:
        said.add(name)
        print(f"{name} is not installed: no rows", file=sys.stderr)
