"""What one running client goes through, in this order. A case returns what is worth telling, or raises.

Each begins with a client that has a session, as the case before left it.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import msgspec

from gateway_proto.opcodes import Opcode
from gateway_proto.server import (
    AskReconnect,
    Close,
    ConnectionClosed,
    Drop,
    Fault,
    HttpAnswered,
    Identified,
    InvalidSession,
    SessionResumed,
    Upgraded,
)

from .clients import PAYLOAD
from .driver import ACTIVITY, transport_compression
from .play import CaseError, Play
from .world import GUILD_IDS, SMALL, guild_name, voice_channel

Case: TypeAlias = Callable[[Play, str], Awaitable[str]]
"""A play and the compression."""

_EVENTS: Final = 50
BEAT: Final = 4.0
"""The heartbeat interval in seconds: short, so that beats are seen, and long enough for a busy machine to answer each
before the next, which the clients insist on."""
_BEATS: Final = 2
_REPLAYED: Final = 5
_SLOW: Final = 10.0
"""Seconds that a heartbeat's ACK cannot take here."""


async def login(play: Play, compress: str) -> str:
    upgraded = await play.reported(Upgraded)
    if upgraded.compress != transport_compression(compress):
        raise CaseError(f"asked for {upgraded.compress} in the URL")
    identified = await play.identified()
    if compress == PAYLOAD and not identified.compress:
        raise CaseError("asked for no payload compression in IDENTIFY")
    _check_presence(identified.presence, "idle", ACTIVITY)
    ready = await play.driver.saw("ready")
    if ready["user"] != str(play.gateway.server.config.user_id) or ready["guilds"] != sorted(map(str, GUILD_IDS)):
        raise CaseError(f"saw {ready}")
    play.check_open(0)
    routes = [action.path for action in play.actions.items if isinstance(action, HttpAnswered)]
    refused = [action for action in play.actions.items if isinstance(action, HttpAnswered) and action.status != 200]
    if refused:
        raise CaseError(f"a route was refused: {refused[0].method} {refused[0].path} {refused[0].status}")
    return "asked " + ", ".join(dict.fromkeys(route.removeprefix("/api/v10") for route in routes))


def _check_presence(presence: dict[str, Any] | None, status: str, activity: str) -> None:
    """What the server understood; raises CaseError."""
    if presence is None or presence["status"] != status or [it["name"] for it in presence["activities"]] != [activity]:
        raise CaseError(f"the server understood the presence {presence}")


async def guilds(play: Play, compress: str) -> str:
    for guild_id in GUILD_IDS:
        await play.driver.saw("guild", id=str(guild_id), name=guild_name(play.world, guild_id))
    return f"{len(GUILD_IDS)} guilds"


async def events(play: Play, compress: str) -> str:
    since = play.driver.lines.mark
    await play.check_messages(play.send_messages(_EVENTS), since)
    return f"{_EVENTS} in order"


async def heartbeat(play: Play, compress: str) -> str:
    since = play.actions.mark
    session = await play.session()
    sequence = session.sequence
    for _ in range(_BEATS):
        mark = play.actions.mark
        # The client says how far it has come.
        await play.request(Opcode.HEARTBEAT, mark, lambda d: d == sequence)
    play.check_open(since)
    mark = play.driver.lines.mark
    await play.driver.do("latency")
    latency = await play.driver.saw("latency", since=mark)
    if not (latency["seconds"] is not None and 0 <= latency["seconds"] < _SLOW):
        raise CaseError(f"the client measures a latency of {latency['seconds']}")
    return f"{_BEATS} answered"


async def presence(play: Play, compress: str) -> str:
    since = play.actions.mark
    await play.driver.do("presence", status="dnd", activity="chess")
    sent = await play.request(Opcode.PRESENCE_UPDATE, since)
    session = await play.session()
    _check_presence(session.presence, "dnd", "chess")
    return "op 3" if "activities" in sent else "op 3, with a game"


async def voice_state(play: Play, compress: str) -> str:
    since, mark = play.actions.mark, play.driver.lines.mark
    await play.driver.do("voice", guild=str(SMALL), channel=voice_channel(play.world, SMALL))
    await play.request(Opcode.VOICE_STATE_UPDATE, since)
    await play.driver.saw("dispatch", name="VOICE_STATE_UPDATE", since=mark)
    # What a voice connection is made from, together.
    await play.driver.saw("dispatch", name="VOICE_SERVER_UPDATE", since=mark)
    return "op 4, VOICE_STATE_UPDATE, VOICE_SERVER_UPDATE"


async def members(play: Play, compress: str) -> str:
    since, mark = play.actions.mark, play.driver.lines.mark
    asked = play.world.members(SMALL, [play.world.look(SMALL).members.owner])[0]
    owner = msgspec.json.decode(asked["user"])
    await play.driver.do("members", guild=str(SMALL), query=owner["username"], limit=5, nonce="interop")
    request = await play.request(Opcode.REQUEST_GUILD_MEMBERS, since, lambda d: d["query"] == owner["username"])
    if not request["nonce"]:
        raise CaseError("asked without a nonce")
    await play.driver.saw("chunk", since=mark, nonce=request["nonce"], index=0, count=1, not_found=None, presences=None)
    answer = await play.driver.saw("members", since=mark)
    if owner["id"] not in answer["ids"]:
        raise CaseError(f"asked for {owner['username']}, and got {answer['ids']}")
    return "op 8 by query, GUILD_MEMBERS_CHUNK with its nonce"


async def _resume(play: Play, fault: Fault) -> str:
    """A fault, and events meanwhile: the same session goes on, and each event is seen once."""
    session, since, mark = await play.session(), play.actions.mark, play.driver.lines.mark
    play.inject(session.id, fault)
    contents = play.send_messages(_REPLAYED)
    resumed = await play.reported(SessionResumed, since=since)
    if resumed.session_id != session.id or play.count(Identified, since):
        raise CaseError("another session was made")
    await play.driver.saw("resumed", since=mark)
    await play.check_messages(contents, mark)
    return f"{resumed.replayed} replayed"


async def resume_after_drop(play: Play, compress: str) -> str:
    return await _resume(play, Drop())


async def resume_after_op_7(play: Play, compress: str) -> str:
    return await _resume(play, AskReconnect())


async def resume_after_4000(play: Play, compress: str) -> str:
    return await _resume(play, Close(4000, b"Unknown error."))


async def resume_after_op_9(play: Play, compress: str) -> str:
    return await _resume(play, InvalidSession(resumable=True))


async def identify_after_op_9(play: Play, compress: str) -> str:
    session, since, mark = await play.session(), play.actions.mark, play.driver.lines.mark
    play.inject(session.id, InvalidSession(resumable=False))
    identified = await play.identified(since)
    if play.count(SessionResumed, since) or identified.session_id == session.id:
        raise CaseError("the client tried to resume")
    await play.driver.saw("ready", since=mark)
    # Of a guild that the session has not been told of it is told nothing.
    await play.told_guilds(mark)
    mark = play.driver.lines.mark
    await play.check_messages(play.send_messages(_REPLAYED), mark)
    return "a new session"


async def logout(play: Play, compress: str) -> str:
    """The client closes for good. And of the whole run: each message was seen once, in order."""
    since = play.actions.mark
    await play.driver.do("close")
    closed = await play.reported(ConnectionClosed, lambda action: action.by == "client", since=since)
    await play.driver.saw("stopped", code=None)
    if play.count(Upgraded, since):
        raise CaseError("dialled again")
    await play.check_messages(play.messages, 0)
    return f"closed with {closed.code}"


SESSION_CASES: Final[dict[str, Case]] = {
    "login, READY": login,
    "GUILD_CREATE of each guild": guilds,
    "events in order": events,
    "heartbeats answered": heartbeat,
    "presence": presence,
    "voice state": voice_state,
    "member request": members,
    "resume after a dropped socket": resume_after_drop,
    "resume after op 7": resume_after_op_7,
    "resume after 4000": resume_after_4000,
    "resume after op 9 true": resume_after_op_9,
    "identify after op 9 false": identify_after_op_9,
    "logout": logout,
}
