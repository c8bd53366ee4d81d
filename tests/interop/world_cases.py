"""What happens in the server's world, as one running client with every intent sees it, in this order.

A case returns what is worth telling, or raises.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any, Final

import anyio.lowlevel
import msgspec

from gateway_proto.intents import Intents
from gateway_proto.opcodes import Opcode
from gateway_proto.server import WorldEvent
from gateway_proto.world.config import SHARES

from .clients import ALL_PRESENCES
from .driver import Line
from .play import CaseError, Play
from .session_cases import Case
from .world import FOREIGN, GUILD_IDS, LARGE, NOBODY, OTHER, SMALL, cached, guild_name, member_ids, voice_channel

_CHUNK: Final = 1000
"""Members of a GUILD_MEMBERS_CHUNK (Gateway Events > Guild Members Chunk)."""
_BY_ID: Final = 60
_EVENTS: Final = 300
_MOST_EVENTS: Final = 5000
"""That it can take until everything has happened once."""
_DISCARDED: Final = ("unrecognised entity, discarding", "CHANNEL_PINS_UPDATE referencing an unknown channel")
_AT_ONCE: Final = 25
"""Events between two turns of the loop."""


async def login(play: Play, compress: str) -> str:
    identified = await play.identified()
    if identified.intents != Intents.all():
        raise CaseError(f"asked for the intents {identified.intents}")
    await play.driver.saw("ready")
    await play.told_guilds(0)
    for guild_id in GUILD_IDS:
        await play.driver.saw("guild", id=str(guild_id), name=guild_name(play.world, guild_id))
    return f"{len(GUILD_IDS)} guilds, with members and presences"


# -- members -----------------------------------------------------------------------------------------------------------


async def all_members(play: Play, compress: str) -> str:
    """A guild of thousands: 1,000 in each chunk, all with the request's nonce, everybody exactly once."""
    members = member_ids(play.world, LARGE)
    chunks = await _all_members(play, LARGE, members, presences=False)
    sizes = [len(chunk["ids"]) for chunk in chunks]
    if len(sizes) < 3 or any(size != _CHUNK for size in sizes[:-1]):
        raise CaseError(f"chunks of {sizes}")
    return f"{len(members)} in chunks of {sizes}"


async def limited(play: Play, compress: str) -> str:
    """Once more too early: RATE_LIMITED, no chunk, and the client goes on."""
    since, mark = play.actions.mark, play.driver.lines.mark
    await play.driver.do("all members", guild=str(LARGE), nonce="again", presences=False)
    await play.request(Opcode.REQUEST_GUILD_MEMBERS, since)
    await play.driver.saw("dispatch", name="RATE_LIMITED", since=mark)
    told = "RATE_LIMITED"
    if play.client.tells_limits:
        event = await play.driver.saw("limited", guild=str(LARGE), since=mark)
        if not 0 < event["seconds"] <= play.gateway.server.config.member_request_period:
            raise CaseError(f"told to wait for {event['seconds']} s")
        told += ", told to its user"
    await play.check_messages(play.send_messages(1), mark)
    if any(line["saw"] == "chunk" for line in play.driver.lines.items[mark:]):
        raise CaseError("the members came even so")
    play.check_open(since)
    return told


async def all_presences(play: Play, compress: str) -> str:
    """Whoever is not offline has a presence in the chunk."""
    [chunk] = await _all_members(play, SMALL, member_ids(play.world, SMALL), presences=True)
    guild = play.world.look(SMALL)
    online = _present(play, SMALL, guild.members)
    if sorted(chunk["presences"]) != online:
        raise CaseError(f"{len(chunk['presences'])} presences instead of {len(online)}")
    return f"{len(online)} presences of {len(guild.members)} members"


async def _all_members(play: Play, guild_id: int, members: list[str], *, presences: bool) -> list[Line]:
    """The chunks of all members of a guild, which have everybody exactly once; raises CaseError, MissingError."""
    since, mark = play.actions.mark, play.driver.lines.mark
    await play.driver.do("all members", guild=str(guild_id), nonce="everybody", presences=presences)
    request = await play.request(Opcode.REQUEST_GUILD_MEMBERS, since)
    if request["query"] or request["limit"] or bool(request.get("presences")) is not presences:
        raise CaseError(f"asked for {request}")
    count = -(-len(members) // _CHUNK)
    chunks = await play.driver.lines.collect("each chunk", lambda line: line["saw"] == "chunk", count, since=mark)
    if play.reorders:
        chunks.sort(key=lambda chunk: int(chunk["index"]))
    heads = [(chunk["index"], chunk["count"], chunk["nonce"], chunk["guild"]) for chunk in chunks]
    if heads != [(index, count, request["nonce"], str(guild_id)) for index in range(count)]:
        raise CaseError(f"chunks {heads}")
    if sorted(id for chunk in chunks for id in chunk["ids"]) != members:
        raise CaseError("not everybody was in the chunks exactly once")
    told: list[str] = []
    while len(told) < len(members):
        line = await play.driver.saw("members", since=mark)
        mark = play.driver.lines.items.index(line, mark) + 1
        told += line["ids"]
    if sorted(told) != members:
        raise CaseError("the client's user was not told everybody exactly once")
    return chunks


async def by_id(play: Play, compress: str) -> str:
    """Those that there are, with their presences; the others' ids in `not_found`."""
    since, mark = play.actions.mark, play.driver.lines.mark
    guild = play.world.look(OTHER)
    users = list(islice(guild.members, _BY_ID))
    found = [msgspec.json.decode(member["user"])["id"] for member in play.world.members(OTHER, users)]
    missing = [str(id) for id in NOBODY]
    asked = [missing[0], *found, missing[1]]
    await play.driver.do("members by id", guild=str(OTHER), ids=asked, nonce="interop", presences=True)
    request = await play.request(Opcode.REQUEST_GUILD_MEMBERS, since)
    chunk = await play.driver.saw("chunk", nonce=request["nonce"], since=mark)
    if sorted(chunk["ids"]) != sorted(found) or sorted(chunk["not_found"]) != sorted(missing):
        raise CaseError(f"got {len(chunk['ids'])} of {len(found)} members, and not_found {chunk['not_found']}")
    online = _present(play, OTHER, users)
    if sorted(chunk["presences"]) != online:
        raise CaseError(f"{len(chunk['presences'])} presences instead of {len(online)}")
    told = await play.driver.saw("members", since=mark)
    if sorted(told["ids"]) != sorted(found):
        raise CaseError(f"the client's user was told {len(told['ids'])} of {len(found)} members")
    return f"{len(found)} found, {len(missing)} not"


def _present(play: Play, guild_id: int, users: Iterable[int]) -> list[str]:
    """The ids of those who are not offline, sorted."""
    presences = msgspec.json.decode(msgspec.json.encode(play.world.presences(guild_id, users)))
    return sorted(presence["user"]["id"] for presence in presences)


# -- guilds that go and come -------------------------------------------------------------------------------------------


async def outage(play: Play, compress: str) -> str:
    mark = play.driver.lines.mark
    play.tell(play.world.begin_outage(OTHER))
    await play.driver.saw("unavailable", id=str(OTHER), since=mark)
    mark = play.driver.lines.mark
    play.tell(play.world.end_outage(OTHER))
    await play.driver.saw("guild", id=str(OTHER), name=guild_name(play.world, OTHER), since=mark)
    return "unavailable, and available again"


async def join_and_leave(play: Play, compress: str) -> str:
    """The bot is added to a guild, and removed: not to be taken for the end and the beginning of an outage."""
    mark = play.driver.lines.mark
    play.tell(play.world.join(FOREIGN))
    await play.driver.saw("joined", id=str(FOREIGN), name=guild_name(play.world, FOREIGN), since=mark)
    play.tell(play.world.leave(FOREIGN))
    await play.driver.saw("left", id=str(FOREIGN), since=mark)
    if any(line["saw"] in ("guild", "unavailable") for line in play.driver.lines.items[mark:]):
        raise CaseError("took it for an outage")
    return "joined and left"


# -- everything else ---------------------------------------------------------------------------------------------------


async def events(play: Play, compress: str) -> str:
    """Everything that can happen does: each dispatch is seen, in order, and nothing puzzles the client."""
    mark, earlier = play.driver.lines.mark, len(play.messages)
    # In voice it is told of effects, too.
    told = [_join_voice(play, guild_id).name for guild_id in GUILD_IDS]
    missing = set(SHARES)
    discarded = 0
    while len(told) < _EVENTS or missing:
        event = _next_event(play)
        told.append(event.name)
        missing.discard(event.name)
        discarded += play.client.discards(event.name, msgspec.json.decode(event.data))
        if len(told) > _MOST_EVENTS:
            raise CaseError(f"these did not happen: {sorted(missing)}")
        if len(told) % _AT_ONCE == 0:
            await anyio.lowlevel.checkpoint()
    lines = await play.driver.lines.collect(
        "each event", lambda line: line.get("number") is not None, len(told), since=mark
    )
    if play.reorders:
        lines.sort(key=lambda line: int(line["number"]))
    first = lines[0]["number"]
    seen = [(line["number"], line["name"]) for line in lines]
    if seen != list(enumerate(told, first)):
        wrong = next(place for place, pair in enumerate(enumerate(told, first)) if seen[place] != pair)
        raise CaseError(f"saw {seen[wrong]} instead of {(first + wrong, told[wrong])}")
    # Not by content: discord.py's user, told of a message a little later, sees it as it was edited meanwhile.
    await play.check_messages(play.messages[earlier:], mark, by_id=True)
    await _check_caches(play)
    logged = [line["text"] for line in play.driver.lines.items[mark:] if line["saw"] == "log"]
    puzzled = [text for text in logged if not (discarded and any(words in text for words in _DISCARDED))]
    if puzzled:
        raise CaseError(f"{len(puzzled)} times; first the client logged: {puzzled[0]}")
    if len(logged) != discarded:
        raise CaseError(f"it discarded {len(logged)} events, and {discarded} are of such as it does not know")
    return f"{len(told)} events of {len(set(told))} kinds"


def _join_voice(play: Play, guild_id: int) -> WorldEvent:
    channel = int(voice_channel(play.world, guild_id))
    return play.tell(play.world.move_bot(guild_id, channel, mute=False, deaf=False))


def _next_event(play: Play) -> WorldEvent:
    event = play.world.next_event()
    if event.name == "MESSAGE_CREATE":
        body = msgspec.json.decode(event.data)
        play.messages.append((body["id"], body["content"]))
    return play.tell(event)


async def _check_caches(play: Play) -> None:
    """What a client keeps of the guilds, having heard every event, is what the world says; raises CaseError."""
    if not play.client.has_cache:
        return
    for guild_id in GUILD_IDS:
        since = play.driver.lines.mark
        await play.driver.do("cache", guild=str(guild_id))
        held = await play.driver.saw("cache", guild=str(guild_id), since=since)
        for name, value in cached(play.world, guild_id).items():
            if held[name] != value:
                raise CaseError(f"holds {name} {_difference(held[name], value)} of guild {guild_id}")


def _difference(held: Any, value: Any) -> str:
    if isinstance(held, list):
        return f"{sorted(set(held) - set(value))} too many and {sorted(set(value) - set(held))} too few"
    return f"{held} instead of {value}"


WORLD_CASES: Final[dict[str, Case]] = {
    "login with every intent": login,
    "all members, in chunks": all_members,
    "RATE_LIMITED the second time": limited,
    ALL_PRESENCES: all_presences,
    "members by id, some not found": by_id,
    "a guild's outage": outage,
    "added to a guild, and removed": join_and_leave,
    "every event of the world": events,
}
