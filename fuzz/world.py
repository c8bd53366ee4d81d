"""Sequences of operations on a `Server` with a world: sessions of any intents and shards, what they ask, what happens.

As `server.py`, whose operations and invariants it shares; what each session is told is judged by `told.py`. Half of the
inputs are played again, cut into other chunks.

Invariants:
- those of `server.py`: nothing raises, no timer lies in the past, sequences have no gaps, no secret is printed;
- a session is told only what its intents and its shard allow, and of a guild nothing before its GUILD_CREATE;
- READY lists the shard's guilds, and once all is drained those that are available have been created, each once;
- the chunks of an answer are in order, as many as they say, of full size; a member is in one of them; each id that was
  asked for is found or not found; all members of a guild are given once in 30 s, and only with the intent;
- what is unsent, and what is kept for a RESUME, stays within its bound;
- the same input gives the same bytes, in whatever chunks it comes.

Permitted exceptions: none.
"""

import copy
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any, Self
from unittest import mock

import msgspec

from gateway_proto.intents import ALL, Intents
from gateway_proto.secret import Secret
from gateway_proto.server import (
    GuildWorld,
    Identified,
    Planned,
    ServerAction,
    ServerConfig,
    ServerLimits,
    SessionResumed,
    WorldConfig,
    WorldEvent,
    population,
    server,
)
from gateway_proto.sharding import shard_id_for
from gateway_proto.websocket import FrameOpcode, encode_frame
from gateway_proto.world import SHARES

from . import server as plain
from .server import MASK, TOKEN, Client
from .source import CHUNKS, UNDRAINED, Script, Source, cut, steps
from .told import CHUNK, PERIOD, Asked, Granted, Told

MAX_STEPS = 200
MAX_UNSENT = 12_000
MAX_REPLAY = 40_000
INTENTS: tuple[int, ...] = (
    int(ALL),
    int(ALL & ~Intents.MESSAGE_CONTENT),
    int(Intents.GUILDS),
    0,
    int(Intents.GUILDS | Intents.GUILD_MEMBERS),
    int(Intents.GUILD_MESSAGES | Intents.DIRECT_MESSAGES),
    int(Intents.GUILDS | Intents.GUILD_MESSAGES | Intents.GUILD_PRESENCES),
)
SHARDS: tuple[list[int] | None, ...] = (None, [0, 2], [1, 2], [0, 1], [2, 3])
NAMES = tuple(SHARES)
FOREIGN = (77 << 22, 78 << 22)
DEEP = "one list in the other"
ODD: tuple[Any, ...] = ("1", 0, "99999999999999999999", None, "x", -1, 2**64, 10**30, [], {})


@cache
def _world(seed: int, has_outages: bool) -> GuildWorld:
    """A world as it begins: of three guilds, of which the second is by far the largest."""
    config = WorldConfig(guilds=3, members=2, seed=seed, direct=0.2)
    if has_outages:
        config = msgspec.structs.replace(config, outages=0.4, outage_rate=0.05, outage_length=5)
    return GuildWorld(config)


def _made(config: WorldConfig, **_: Any) -> GuildWorld:
    """In place of `GuildWorld`: to make one anew takes four times as long as everything else."""
    original = _world(config.seed, bool(config.outages))
    known: dict[int, Any] = {}
    for shapes in (original._draw, original._users._shapes):
        # Hundreds of words that never change, and as many numbers, which `deepcopy` would take one by one.
        known[id(shapes._words)] = shapes._words
        known[id(shapes.rng)] = rng = random.Random()
        rng.setstate(shapes.rng.getstate())
    world = copy.deepcopy(original, known)
    # What is bound to the original, and no copy is made of.
    for shapes in (world._draw, world._users._shapes):
        shapes.random = shapes.rng.random
    return world


class Reader(Client):
    """A client that knows what it is told of which session."""

    told: Told | None = None
    last: int | None = None

    def hear(self, message: Any) -> None:
        if message["op"] != 0:
            return
        assert self.told is not None
        assert self.last is None or message["s"] == self.last + 1, "a gap without a fault"
        self.last = message["s"]
        self.told.hear(message["s"], message["t"], message["d"])


class Play(plain.Play):
    """A server with a world, its clients, and the time."""

    def __init__(self, source: Source, *, is_cut: bool) -> None:
        self.is_cut = is_cut
        self.granted = Granted()
        self.told: dict[int, Told] = {}
        """By the numbers of the sessions."""
        self.numbers: dict[Secret, int] = {}
        self.written: dict[int, bytes] = {}
        """What each connection has sent."""
        self.requests = 0
        super().__init__(source)
        assert self.server.world is not None
        self.world = self.server.world
        self.granted.gone |= self.world.unavailable

    def config(self, manner: int, plan: tuple[Planned, ...]) -> ServerConfig:
        return ServerConfig(
            token=Secret(TOKEN),
            world=_world(1 + (manner >> 3 & 1), bool(manner & 16)).config,
            heartbeat_interval=30.0,
            identify_period=0.0,
            session_lifetime=100.0,
            member_request_period=PERIOD,
            plan=plan,
            limits=ServerLimits(max_unsent=MAX_UNSENT, max_replay=MAX_REPLAY, max_held=5000)
            if manner & 32
            else ServerLimits(),
        )

    def new_client(self) -> Client:
        return Reader(self.server.accept(self.now), self.now)

    def call(self, client: Client, actions: list[ServerAction]) -> None:
        for action in actions:
            match action:
                case Identified(number=number, session_id=session_id, intents=intents, shard=shard):
                    shard = shard or (0, 1)
                    listed = [id for id in self.world.guild_ids if shard_id_for(id, shard[1]) == shard[0]]
                    self.numbers[session_id] = number
                    self.told[number] = Told(intents, shard, listed, self.granted)
                    self._attach(client, number, 0)
                case SessionResumed(number=number, sequence=sequence):
                    self._attach(client, number, sequence)
        super().call(client, actions)

    def _attach(self, client: Client, number: int, sequence: int) -> None:
        assert isinstance(client, Reader)
        told = self.told[number]
        client.told, client.last = told, sequence
        if sequence > told.heard:
            told.heard, told.is_whole = sequence, False

    def drain(self, client: Client) -> None:
        client.now = self.now
        data = client.connection.data_to_send(self.now)
        self.written[client.connection.id] = self.written.get(client.connection.id, b"") + data
        if not self.faulty:
            client.read(data)
        self._check(client)

    def happened(self, event: WorldEvent | None) -> None:
        if event is None:
            return
        if event.name == "GUILD_DELETE" and event.guild_id is not None:
            self.granted.gone.add(event.guild_id)
        self.granted.has_left = self.granted.has_left or event.name in ("GUILD_MEMBER_REMOVE", "GUILD_BAN_ADD")
        if event.name in ("GUILD_MEMBER_ADD", "GUILD_MEMBER_REMOVE", "GUILD_CREATE"):
            for told in self.told.values():
                for asked in told.asked.values():
                    asked.everybody = None
        self.from_outside(self.server.dispatch_world(event, self.now))
        for client in self.clients:
            is_bounded = client.connection.unsent <= self.server.config.limits.max_unsent
            assert is_bounded or self.faulty, "more is unsent than there may be"

    def end(self) -> None:
        """Nothing more is under way: what is kept is bounded, and what was told is whole."""
        limits = self.server.config.limits
        for session in self.server.sessions.values():
            kept = session.buffer.after(session.buffer.lost) or []
            assert len(kept) == 1 or sum(map(len, kept)) <= limits.max_replay, "more is kept than there may be"
        for client in self.clients:
            session_of = client.connection.session
            if session_of is None or self.faulty:
                continue
            assert not session_of.backlog, "a client at rest is still to be sent something"
            told = self.told[self.numbers[session_of.id]]
            owned = [id for id in self.world.guild_ids if shard_id_for(id, told.shard[1]) == told.shard[0]]
            told.complete([id for id in owned if self.world.is_available(id)])

    def guild(self, source: Source) -> int:
        ids = self.world.guild_ids or FOREIGN
        return ids[source.byte() % len(ids)]


# -- the operations ----------------------------------------------------------------------------------------------------


def _feed(play: Play, client: Client, data: bytes, size: int) -> None:
    chunks = cut(data, [max(size, len(data) // 20)]) if play.is_cut else [data]
    for chunk in chunks:
        play.call(client, client.connection.receive_data(chunk, play.now))


def _send(play: Play, source: Source, client: Client, op: int, d: Any) -> None:
    text = json.dumps({"op": op, "d": d})
    if DEEP in text:
        # What can be decoded somewhere in the stack may not be encodable elsewhere.
        depth = 940 + source.byte() % 64
        text = text.replace(f'"{DEEP}"', "[" * depth + "]" * depth)
    _feed(play, client, encode_frame(FrameOpcode.TEXT, text.encode(), MASK), source.pick(CHUNKS))


def _open(play: Play, source: Source) -> None:
    """A new client, upgraded."""
    play.accept()
    client = play.clients[-1]
    _feed(play, client, plain.upgrade_request("v=10&encoding=json"), source.pick(CHUNKS))


def _identify(play: Play, source: Source) -> None:
    client, shard, odd = play.client(source), source.pick(SHARDS), source.byte()
    choice = source.byte()
    intents = INTENTS[choice % len(INTENTS)] if choice < 128 else source.number() * 611 & int(ALL)
    d: dict[str, Any] = {"token": TOKEN, "intents": intents, "properties": {}}
    if shard is not None:
        d["shard"] = shard
    match odd % 8:
        case 1:
            d["compress"] = True
        case 2:
            d["large_threshold"] = source.pick((50, 250, 0, -1, 10**30))
        case 3:
            d["presence"] = source.pick(({"status": "idle"}, {"game": None}, {"activities": [{"name": "x"}, 1]}))
        case 4:
            d["presence"] = {"activities": [{"name": DEEP}]}
    _send(play, source, client, 2, d)


def _resume(play: Play, source: Source) -> None:
    client, choice = play.client(source), source.byte()
    session_id = play.sessions[choice % len(play.sessions)].reveal() if play.sessions else "unknown"
    told = play.told.get(play.numbers.get(Secret(session_id), 0))
    heard = 0 if told is None else told.heard
    sequence = source.pick((heard, max(0, heard - 1), 0, 1, heard + 1, 10**6, None))
    _send(play, source, client, 6, {"token": TOKEN, "session_id": session_id, "seq": sequence})


def _beat(play: Play, source: Source) -> None:
    _send(play, source, play.client(source), 1, source.pick((None, 1, 3)))


def _members(play: Play, source: Source) -> None:
    client, kind, guild_id = play.client(source), source.byte(), play.guild(source)
    play.requests += 1
    nonce: str | None = f"n{play.requests}"
    presences = bool(kind & 64)
    d: dict[str, Any] = {"guild_id": str(guild_id), "nonce": nonce}
    if presences:
        d["presences"] = True
    asked = Asked(guild_id, play.now, None, whole=kind % 4 == 0, presences=presences)
    if kind % 4 == 0:
        d |= {"query": "", "limit": 0}
    elif kind % 4 == 1:
        ids = _ids(play, source, guild_id)
        asked.ids = tuple(ids)
        d["user_ids"] = [str(id) for id in ids]
    else:
        d |= {"query": source.pick(("", "k", "ÄÖ", "a" * 50)), "limit": source.pick((1, 0, 100, 10**30))}
        asked.whole = d["query"] == "" and d["limit"] == 0
    if asked.whole and guild_id in play.world:
        asked.everybody = len(play.world.look(guild_id).members)
    if isinstance(client, Reader) and client.told is not None:
        client.told.asked[str(nonce)] = asked
    _send(play, source, client, 8, d)


def _ids(play: Play, source: Source, guild_id: int) -> list[int]:
    """Up to 24 ids, most of them of members, and some twice."""
    there: list[Any] = []
    if guild_id in play.world:
        there = [member["user"]["id"] for member in json.loads(play.world.guild_create(guild_id))["members"]]
    known = [int(id) for id in there] + [1, 0, 2**64 - 1]
    return [known[source.byte() % len(known)] for _ in range(1 + source.byte() % 24)]


def _ask(play: Play, source: Source) -> None:
    """Voice, sounds, channel info, a presence; or one of these (or of op 8) with something odd in it."""
    client, kind, guild_id = play.client(source), source.byte(), play.guild(source)
    odd = source.pick(ODD) if kind & 128 else str(guild_id)
    channel = None
    if guild_id in play.world:
        channel = source.pick((None, *play.world.look(guild_id).channels_of(2), "1"))
    requests: tuple[tuple[int, Any], ...] = (
        (4, {"guild_id": odd, "channel_id": channel, "self_mute": bool(kind & 8), "self_deaf": False}),
        (31, {"guild_ids": [odd, str(guild_id)]}),
        (43, {"guild_id": odd, "fields": source.pick((["status"], ["status", "voice_start_time"], [], ["x"]))}),
        (3, {"status": "dnd", "since": None, "activities": [{"name": odd}], "afk": False}),
        (8, {"guild_id": odd, "user_ids": source.pick(ODD)}),
        (8, {"guild_id": odd, "query": source.pick(ODD), "limit": source.pick(ODD), "nonce": source.pick(ODD)}),
    )
    _send(play, source, client, *requests[kind % 8 % len(requests)])


def _deepen(play: Play, source: Source) -> None:
    """Presences, each one list deeper than the last, until there is one that is too deep."""
    client = play.client(source)
    connection = client.connection
    for depth in range(900 + source.byte() % 64, 1000):
        if connection.has_ended or not connection.is_open:
            return
        nested = "[" * depth + "]" * depth
        text = f'{{"op":3,"d":{{"status":"idle","since":null,"afk":false,"activities":[{{"name":{nested}}}]}}}}'
        _feed(play, client, encode_frame(FrameOpcode.TEXT, text.encode(), MASK), CHUNKS[0])


def _next(play: Play, source: Source) -> None:
    for _ in range(1 + source.byte() % 12):
        play.happened(play.world.next_event())


def _happen(play: Play, source: Source) -> None:
    name, guild_id = NAMES[source.byte() % len(NAMES)], play.guild(source)
    if guild_id in play.world:
        play.happened(play.world.happen(name, guild_id))


def _change(play: Play, source: Source) -> None:
    """A guild comes or goes, for a while or for good."""
    world, kind, guild_id = play.world, source.byte() % 4, play.guild(source)
    change = (world.begin_outage, world.end_outage, world.leave, world.join)[kind]
    play.happened(change(source.pick(FOREIGN) if kind == 3 else guild_id))


_OPERATIONS: tuple[Callable[[Play, Source], None], ...] = (
    _open, _identify, _next, _members, _ask, _happen, _change, _resume, _beat, plain.run, plain.wait, plain.eof,
    plain.drain, _deepen, plain.close, plain.timeout, plain.inject, plain.raw, plain.frame,
)  # fmt: skip
_INDEX = {operation: number for number, operation in enumerate(_OPERATIONS)}


def _play(data: bytes, *, is_cut: bool) -> Play:
    source = Source(data)
    play = Play(source, is_cut=is_cut)
    for operation, drains in steps(source, _OPERATIONS, MAX_STEPS):
        operation(play, source)
        if drains:
            play.rest()
    play.rest()
    play.end()
    return play


def one_input(data: bytes) -> None:
    with mock.patch.object(population, "CHUNK", CHUNK), mock.patch.object(server, "GuildWorld", _made):
        play = _play(data, is_cut=True)
        if data[:1] and data[0] & 64:
            # What a slow reader is spared depends on when it is looked at: small bounds are not cut anew.
            again = _play(data, is_cut=bool(data[0] & 32))
            assert again.written == play.written, "the same input gives other bytes"


class _Seed(Script):
    """A play, step by step."""

    def do(self, operation: Callable[[Play, Source], None], *choices: int) -> Self:
        self.byte(_INDEX[operation], *choices)
        return self

    def ready(self, shard: int = 0, intents: int = 0, odd: int = 0) -> Self:
        return self.do(_open, 0).do(_identify, 0, shard, odd, intents, 0)


def seeds() -> dict[str, bytes]:
    def seed(manner: int = 64) -> _Seed:
        start = _Seed()
        start.byte(manner)
        return start

    undrained = UNDRAINED | _INDEX[_members]
    plays = {
        "events": seed().ready().do(_next, 11).do(_next, 11),
        "few-intents": seed().ready(0, 5).ready(0, 2).do(_next, 11).do(_next, 11),
        "no-content": seed().ready(0, 1).do(_next, 11).do(_happen, 0, 1),
        "shards": seed().ready(1).ready(2).ready(4, 3).do(_next, 11).do(_next, 9),
        "whole-guild": seed().ready().do(_members, 0, 64, 1, 0),
        "whole-large-guild": seed(64 | 8).ready().do(_members, 0, 64, 1, 0),
        "whole-guilds": seed()
        .ready()
        .do(_members, 0, 0, 1, 0)
        .do(_members, 0, 0, 1, 0)
        .do(plain.run, 0)
        .do(plain.wait, 6)
        .do(_beat, 0, 0, 0)
        .do(_members, 0, 0, 1, 0),
        "by-id": seed().ready().do(_members, 0, 1, 1, 20, *range(21), 0),
        "by-name": seed().ready(0, 4).do(_members, 0, 2, 1, 1, 2, 0),
        "interleaved": seed().ready().byte(undrained, 0, 0, 1, 0).do(_members, 0, 1, 0, 3, 0, 1, 2, 0).do(_next, 5),
        "voice": seed().ready().do(_ask, 0, 0, 1, 1, 0).do(_ask, 0, 0, 1, 0, 0),
        "sounds": seed().ready().do(_ask, 0, 1, 0, 0, 0).do(_ask, 0, 2, 1, 0, 1, 0),
        "odd": seed().ready().do(_ask, 0, 133, 0, 7, 0, 8, 0).do(_open, 0).do(_identify, 0, 0, 0, 0, 0),
        "outages": seed(64 | 16).ready().do(_next, 11).do(_next, 11).do(_next, 11).ready(0, 2).do(_next, 11),
        "an-outage": seed().ready().do(_change, 0, 1).do(_members, 0, 0, 1, 0).do(_change, 1, 1),
        "guilds-come-and-go": seed().ready().do(_change, 2, 0).do(_change, 3, 0, 0).do(_next, 9),
        "resumed": seed().ready().do(_next, 5).do(plain.eof, 0).do(_next, 5).do(_open, 0).do(_resume, 0, 0, 0, 0),
        "small": seed(32).ready().do(_next, 11).do(_members, 0, 0, 1, 0).do(plain.eof, 0).do(_open, 0).do(_resume),
        "presence": seed().ready(0, 0, 3).do(_ask, 0, 3, 0, 0, 0, 0, 0),
        "slow-reader": seed(32)
        .ready()
        .byte(*(UNDRAINED | _INDEX[_next], 11) * 6, UNDRAINED | _INDEX[plain.wait], 2)
        .do(_open, 0)
        .do(_resume, 0),
        "deeper-presence": seed()
        .ready()
        .do(_deepen, 0, 0)
        .do(_open, 0)
        .do(_resume, 0, 0, 0, 0)
        .do(_members, 0, 64, 0, 0),
        "deep-presence": seed().do(_open, 0).do(_identify, 0, 0, 4, 0, 143, 0).do(_next, 3),
        "faults": seed(1).ready().do(_next, 5).do(plain.inject, 19, 0, 1, 0).do(_next, 5).do(plain.inject, 2, 0, 0),
    }  # fmt: skip
    return {name: play.data for name, play in plays.items()}
