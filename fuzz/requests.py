"""Sequences of operations on `GuildRequests`: every input, command and drain, in any order, with arbitrary arguments.

The shard's side is partly honest (what is handed over is written, in order; answers are those of requests that are
under way), or else nothing would ever be answered, and partly whatever the input says.

Invariants:
- nothing raises but as named below; what raised has changed nothing;
- a request ends once, by an outcome that is its own, or is dropped; until then it is under way, and with `close` or
  Fatal all end;
- the answer is of the kind that was asked for, and of that guild; sounds are of just the guilds asked for;
- `next_timeout` is pure and never before the last `now`; once it is handled and drained it lies behind it;
- what is handed over is under way, not more than 16 at once, for one guild but once where that is the limit, and no
  sooner than a second after RATE_LIMITED refused it;
- nonces are distinct and have 32 bytes at most.

Permitted exceptions: `LocalProtocolError`, of `request_members`, `request_soundboard_sounds` and
`request_channel_info`.
"""

import json
import random
from collections.abc import Callable
from typing import Any, Self

import msgspec

from gateway_proto import (
    CommandEnded,
    CommandOutcome,
    ConnectionStage,
    DiscardCause,
    Dispatch,
    Fatal,
    Intents,
    InterMessage,
    LocalProtocolError,
    RawCommand,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Secret,
    SessionLost,
    ShardAction,
    ShardConfig,
    StageChanged,
)
from gateway_proto.commands import MAX_NONCE
from gateway_proto.errors import ConnectError, EventDecodeError
from gateway_proto.events import ChannelInfo, RateLimited
from gateway_proto.requests import Answered, GuildRequests, Members, RequestError, RequestOutcome
from gateway_proto.requests.machine import MAX_QUEUED, MIN_RETRY
from gateway_proto.requests.turns import turn_of

from .source import Script, Source, steps

GUILDS = (1 << 22, 5 << 22, 2 << 22, 0, -1, 2**64)
"""The first two are of shard 1 of 4."""
SECONDS = (0.0, 0.5, 1.0, 5.0, 29.5, 30.0, 31.0, 700.0, 1e12, -0.5, -50.0)
ODD: tuple[Any, ...] = (
    None, True, "", "x", "5", [], {}, [None], -1, 1.5, 2**64, 10**30, float("nan"), float("inf"), "\ud800", {"id": "1"},
)  # fmt: skip
MEMBER = {
    "user": {"id": "7", "username": "ada", "discriminator": "0", "global_name": None, "avatar": None},
    "roles": [],
    "joined_at": "2020-04-04T04:04:04+00:00",
    "deaf": False,
    "mute": False,
    "flags": 0,
}
SOUND = {"name": "s", "sound_id": "1", "volume": 1.0, "emoji_id": None, "emoji_name": None, "available": True}
STAGES = tuple(ConnectionStage)
MAX_STEPS = 400


class Asked:
    """What is known from outside of a request that is under way."""

    def __init__(self, opcode: int, guild_ids: tuple[int, ...]) -> None:
        self.opcode = opcode
        self.guild_ids = guild_ids


class Play:
    """The requests of one shard, the time, and the shard's queue."""

    def __init__(self, source: Source) -> None:
        manner = source.byte()
        config = ShardConfig(
            token=Secret("token"),
            intents=Intents.GUILDS if manner & 1 else Intents.GUILDS | Intents.GUILD_MEMBERS | Intents.GUILD_PRESENCES,
            shard=(1, 4) if manner & 2 else None,
        )
        self.requests = GuildRequests(config, rng=random.Random(1))
        self.now = 1000.0
        self.clock = float("-inf")
        """The highest `now` that was told."""
        self.live: dict[int, Asked] = {}
        self.ended: set[int] = set()
        self.queue: list[InterMessage] = []
        """What was handed over and has not ended."""
        self.sent: list[InterMessage] = []
        """What was written, the latest last."""
        self.on_wire: set[str] = set()
        """The nonces of what was written, and is surely not to be asked again yet."""
        self.limited: dict[str, float] = {}
        """Before when a nonce must not come again."""
        self.nonces: dict[str, InterMessage] = {}
        self.foreign = 0
        """Commands of others' that ended: one like ours passes for it."""
        self.sequence = 0

    # -- calls -------------------------------------------------------------------------------------------------

    def ask(self, opcode: int, guild_ids: tuple[int, ...], method: Callable[..., int], *args: Any, **more: Any) -> None:
        before = len(self.requests), self.requests.next_timeout()
        try:
            id = method(*args, **more)
        except LocalProtocolError:
            assert (len(self.requests), self.requests.next_timeout()) == before, "it raised and changed something"
            return
        assert id not in self.live
        assert id not in self.ended, "an id came twice"
        self.live[id] = Asked(opcode, guild_ids)
        self.told()

    def note(self, outcomes: list[RequestOutcome]) -> None:
        """What an input returned."""
        for outcome in outcomes:
            assert outcome.id in self.live, "it had ended before"
            asked = self.live.pop(outcome.id)
            self.ended.add(outcome.id)
            repr(outcome)
            if isinstance(outcome, Answered):
                _check_result(asked, outcome.result)
            elif isinstance(outcome.error, RequestError):
                str(outcome.error)
        self.told()

    def receive(self, action: ShardAction) -> None:
        self.note(self.requests.receive(action, self.now))

    def tell(self, name: str, d: Any) -> Dispatch:
        """An event; bytes are its JSON as it stands."""
        self.sequence += 1
        raw = d if isinstance(d, bytes) else json.dumps(d).encode()
        event = Dispatch(1, self.sequence, name, msgspec.Raw(raw))
        self.receive(event)
        return event

    def written(self, command: InterMessage) -> None:
        self.sent.append(command)
        if isinstance(command, RequestGuildMembers) and command.nonce:
            self.on_wire.add(command.nonce)
        self.receive(CommandEnded(command=command, outcome=CommandOutcome.WRITTEN))

    def forgotten(self) -> None:
        """What is on the wire may be asked again."""
        self.on_wire.clear()
        self.limited.clear()

    def drain(self) -> None:
        self.clock = max(self.clock, self.now)
        for command in self.requests.commands(self.now):
            self._check_command(command)
            self.queue.append(command)
        self.told()
        assert self.requests.commands(self.now) == []
        assert len(self.queue) <= MAX_QUEUED + self.foreign

    def rest(self) -> None:
        """Do as a driver does until nothing is due at this instant."""
        self.now = max(self.now, self.clock)
        self.note(self.requests.handle_timeout(self.now))
        self.drain()
        due = self.requests.next_timeout()
        assert due is None or due > self.now, "it is never done with this instant"

    # -- invariants --------------------------------------------------------------------------------------------

    def told(self) -> None:
        """Something was called with `now`."""
        self.clock = max(self.clock, self.now)
        due = self.requests.next_timeout()
        assert due == self.requests.next_timeout()
        assert due is None or due >= self.clock, "next_timeout is in the past"
        assert len(self.requests) == len(self.live)
        assert due is None or self.live, "something is due for nobody"

    def _check_command(self, command: InterMessage) -> None:
        turn = turn_of(command)
        if turn is not None and not self.foreign:
            assert turn not in map(turn_of, self.queue), "two of one turn are handed over"
        if isinstance(command, RequestGuildMembers):
            nonce = command.nonce or ""
            assert 0 < len(nonce.encode()) <= MAX_NONCE
            assert self.nonces.setdefault(nonce, command) == command, "two have one nonce"
            assert self.foreign or command not in self.queue, "one is handed over twice"
            assert self.clock >= self.limited.pop(nonce, self.clock), "it was told to wait"
            self.on_wire.discard(nonce)
        else:
            assert isinstance(command, RequestSoundboardSounds | RequestChannelInfo)


def _check_result(asked: Asked, result: Any) -> None:
    match asked.opcode:
        case 8:
            assert isinstance(result, Members)
            assert result.guild_id == asked.guild_ids[0]
        case 31:
            assert isinstance(result, dict)
            assert tuple(result) == asked.guild_ids
        case _:
            assert isinstance(result, ChannelInfo)
            assert result.guild_id == asked.guild_ids[0]


# -- the operations ----------------------------------------------------------------------------------------------------


def _members(play: Play, source: Source) -> None:
    guild, kind = source.pick(GUILDS), source.byte() % 8
    options: dict[str, Any] = {}
    if kind in (3, 4, 7):
        options["query"] = source.blob().decode(errors="surrogateescape")
    if kind in (5, 7):
        options["user_ids"] = (user_id * 10**kind for user_id in range(source.byte()))
    if kind in (4, 6, 7):
        options["limit"] = source.pick((1, 100, 101, 0, -1, 2**70))
    if kind == 6:
        options["presences"] = True
    play.ask(8, (guild,), play.requests.request_members, guild, play.now, **options)


def _sounds(play: Play, source: Source) -> None:
    guilds = tuple(dict.fromkeys(source.pick(GUILDS) for _ in range(source.byte() % 5)))
    play.ask(31, guilds, play.requests.request_soundboard_sounds, [*guilds, *guilds], play.now)


def _info(play: Play, source: Source) -> None:
    guild, manner, fields = source.pick(GUILDS), source.byte(), ["status"]
    if manner >= 160:
        fields = [source.blob().decode(errors="surrogateescape")] * (manner % 3)
    play.ask(43, (guild,), play.requests.request_channel_info, guild, fields, play.now)


def _drop(play: Play, source: Source) -> None:
    choice = source.byte()
    id = list(play.live)[choice % len(play.live)] if play.live and choice < 250 else choice - 252
    play.requests.drop(id, play.now)
    if play.live.pop(id, None):
        play.ended.add(id)
    play.told()


def _write(play: Play, source: Source) -> None:
    """The oldest of the shard's queue are on the wire."""
    for _ in range(1 + source.byte() % 20):
        if play.queue:
            play.written(play.queue.pop(0))


def _refuse(play: Play, source: Source) -> None:
    """The shard did not take its newest, or does not know the command at all."""
    command = play.queue.pop() if play.queue and source.byte() < 250 else _foreign_command(play, source)
    play.note(play.requests.refused(command, LocalProtocolError("full"), play.now))


def _end(play: Play, source: Source) -> None:
    """One of the queue is dropped, or the connection died first."""
    if play.queue:
        place, dropped = source.byte() % len(play.queue), source.byte() & 1
        command = play.queue.pop(place) if dropped else play.queue[place]
        outcome = CommandOutcome.DROPPED if dropped else CommandOutcome.REQUEUED
        play.receive(CommandEnded(command=command, outcome=outcome))


def _foreign_command(play: Play, source: Source) -> InterMessage:
    """Somebody else's, that may be just like one of ours."""
    play.foreign += 1
    guild = source.pick(GUILDS)
    known = [*play.sent, *play.queue]
    return source.pick(
        (
            RequestGuildMembers(guild_id=guild, query=""),
            RequestChannelInfo(guild_id=guild),
            RequestSoundboardSounds(guild_ids=(guild,)),
            RawCommand(source.blob()),
            known[source.byte() % len(known)] if known else RawCommand(b""),
        )
    )


def _foreign(play: Play, source: Source) -> None:
    command = _foreign_command(play, source)
    play.receive(CommandEnded(command=command, outcome=source.pick(tuple(CommandOutcome))))


def _asked_for(play: Play, source: Source, kind: type[Any]) -> Any:
    """One of the commands of this kind that were written; the latest for most bytes."""
    sent, choice = [command for command in play.sent if isinstance(command, kind)], source.byte()
    return (sent[choice % len(sent)] if choice >= 128 else sent[-1]) if sent else None


def _told(d: dict[str, Any], source: Source) -> Any:
    """An honest payload for the most part; or with some fields that are not; or any bytes."""
    manner = source.byte()
    if manner >= 240:
        return source.blob()
    for _ in range(1 + manner % 3 if manner >= 160 else 0):
        name = source.pick(list(d))
        d[name] = source.pick(ODD)
    return d


def _chunk(play: Play, source: Source) -> None:
    command = _asked_for(play, source, RequestGuildMembers)
    count = source.pick((1, 2, 3, 4, 1000, 100_000, 100_001, 0))
    d = {
        "guild_id": str(command.guild_id if command else GUILDS[0]),
        "chunk_index": source.byte() % 5,
        "chunk_count": count,
        "members": [MEMBER] * (source.byte() % 3),
        "nonce": command.nonce if command else "x",
    }
    play.tell("GUILD_MEMBERS_CHUNK", _told(d, source))


def _all_chunks(play: Play, source: Source) -> None:
    command, count = _asked_for(play, source, RequestGuildMembers), 1 + source.byte() % 4
    for index in range(count if command else 0):
        d = {"guild_id": command.guild_id, "members": [MEMBER], "chunk_index": index, "chunk_count": count}
        play.tell("GUILD_MEMBERS_CHUNK", {**d, "nonce": command.nonce})


def _sounds_told(play: Play, source: Source) -> None:
    command, choice = _asked_for(play, source, RequestSoundboardSounds), source.byte()
    guild = command.guild_ids[choice % len(command.guild_ids)] if command else GUILDS[choice % 2]
    play.tell("SOUNDBOARD_SOUNDS", _told({"guild_id": str(guild), "soundboard_sounds": [SOUND] * (choice % 3)}, source))


def _info_told(play: Play, source: Source) -> None:
    command = _asked_for(play, source, RequestChannelInfo)
    guild = command.guild_id if command else GUILDS[0]
    play.tell("CHANNEL_INFO", _told({"guild_id": str(guild), "channels": [{"id": "3", "status": None}]}, source))


def _limit(play: Play, source: Source) -> None:
    command = _asked_for(play, source, RequestGuildMembers)
    seconds = source.pick((5.0, 0.0, 0.5, 30.0, 1e9, -1.0, float("inf"), float("nan")))
    meta = {"guild_id": str(command.guild_id if command else GUILDS[0]), "nonce": command.nonce if command else "x"}
    d = {"opcode": source.pick((8, 8, 31, 43, 0)), "retry_after": seconds, "meta": _told(meta, source)}
    if isinstance(d["meta"], bytes):
        d["meta"] = {}
    limited = _limited(play.tell("RATE_LIMITED", _told(d, source)))
    if limited is not None and limited.opcode == 8 and limited.meta.nonce in play.on_wire:
        play.limited[str(limited.meta.nonce)] = play.clock + MIN_RETRY


def _limited(event: Dispatch) -> RateLimited | None:
    try:
        return event.get(RateLimited)
    except EventDecodeError:
        return None


def _event(play: Play, source: Source) -> None:
    """An event of any bytes."""
    name = source.pick(("GUILD_MEMBERS_CHUNK", "SOUNDBOARD_SOUNDS", "CHANNEL_INFO", "RATE_LIMITED", "MESSAGE_CREATE"))
    play.tell(name, source.blob())


def _connect(play: Play, source: Source) -> None:
    old = source.pick((ConnectionStage.IDENTIFYING, ConnectionStage.RESUMING))
    if old is ConnectionStage.RESUMING:
        play.forgotten()
    play.receive(StageChanged(old, ConnectionStage.CONNECTED))


def _stage(play: Play, source: Source) -> None:
    """Any change, be it in the table or not."""
    play.forgotten()
    play.receive(StageChanged(source.pick(STAGES), source.pick(STAGES)))


def _lost(play: Play, source: Source) -> None:
    play.forgotten()
    play.receive(SessionLost(epoch=1, sequence=1, downtime=0.0, cause=source.pick(tuple(DiscardCause))))


def _pause(play: Play, source: Source) -> None:
    method = play.requests.reading_paused if source.byte() & 1 else play.requests.reading_resumed
    method(play.now)
    play.told()


def _wait(play: Play, source: Source) -> None:
    """Time passes, or steps back, and nobody looks at a timer."""
    play.now += source.pick(SECONDS)


def _run(play: Play, source: Source) -> None:
    """Some timers, each at its time."""
    for _ in range(1 + source.byte() % 8):
        due = play.requests.next_timeout()
        if due is None:
            return
        play.now = max(play.now, due)
        play.rest()


def _timeout(play: Play, source: Source) -> None:
    play.note(play.requests.handle_timeout(play.now))


def _close(play: Play, source: Source) -> None:
    if source.byte() & 1:
        play.receive(Fatal(cause=ConnectError("the end")))
    else:
        play.note(play.requests.close(play.now))
    assert not play.live, "the end did not end all"


_OPERATIONS: tuple[Callable[[Play, Source], None], ...] = (
    _connect, _members, _write, _all_chunks, _chunk, _limit, _run, _wait, _timeout, _sounds, _sounds_told, _info,
    _info_told, _drop, _stage, _lost, _pause, _end, _refuse, _foreign, _event, _close,
)  # fmt: skip
_INDEX = {operation: number for number, operation in enumerate(_OPERATIONS)}


def one_input(data: bytes) -> None:
    source = Source(data)
    play = Play(source)
    for operation, drains in steps(source, _OPERATIONS, MAX_STEPS):
        operation(play, source)
        if drains:
            play.drain()
    play.rest()
    play.note(play.requests.close(play.now))
    assert not play.live, "the end did not end all"
    assert play.requests.next_timeout() is None


class _Seed(Script):
    """A play, step by step."""

    def do(self, operation: Callable[[Play, Source], None], *choices: int) -> Self:
        self.byte(_INDEX[operation], *choices)
        return self

    def asked(self, operation: Callable[[Play, Source], None], *choices: int) -> Self:
        """Connected, and a request is on the wire."""
        return self.do(_connect, 0).do(operation, *choices).do(_write, 0)


def seeds() -> dict[str, bytes]:
    def seed(manner: int = 0) -> _Seed:
        start = _Seed()
        start.byte(manner)
        return start

    plays = {
        "answered": seed().asked(_members, 0, 0).do(_all_chunks, 0, 2),
        "chunks": seed().asked(_members, 0, 3, 2, 97, 110).do(_chunk, 0, 1, 1, 2, 0).do(_chunk, 0, 1, 0, 1, 0),
        "misfit": seed().asked(_members, 0, 5, 3).do(_chunk, 0, 0, 0, 1, 162, 3, 1),
        "odd-chunks": seed().asked(_members, 0, 0).do(_chunk, 0, 6, 4, 0, 161, 1, 8, 4, 0),
        "presences": seed().asked(_members, 0, 6, 3).do(_all_chunks, 0, 0),
        "refused": seed(3).do(_members, 0, 0).do(_members, 2, 5, 1).do(_sounds, 0).do(_info, 0, 160),
        "turns": seed().asked(_members, 0, 0).do(_members, 0, 0).do(_run, 0).do(_write, 0).do(_run, 3),
        "silent": seed().asked(_members, 0, 3, 0).do(_run, 0),
        "silent-late": seed().asked(_members, 0, 3, 0).do(_wait, 7).do(_timeout).do(_run, 1),
        "limited": seed().asked(_members, 0, 0).do(_limit, 0, 0, 0, 0, 0).do(_run, 0).do(_write, 0),
        "limited-not-a-number": seed().asked(_members, 0, 0).do(_limit, 0, 7, 0, 0, 0).do(_run, 0),
        "sounds": seed().asked(_sounds, 2, 0, 1).do(_sounds_told, 0, 0, 0).do(_sounds_told, 0, 1, 0),
        "sounds-misfit": seed().asked(_sounds, 1, 0).do(_sounds_told, 0, 0, 162, 1, 1),
        "info": seed().asked(_info, 0, 0).do(_info, 0, 0).do(_info_told, 0, 0).do(_write, 0),
        "resumed": seed().asked(_members, 0, 0).do(_connect, 1).do(_write, 0).do(_chunk, 0, 1, 0, 1, 0).do(_connect, 1),
        "session-lost": seed().asked(_members, 0, 3, 0).do(_chunk, 0, 1, 0, 1, 0).do(_lost, 0).do(_write, 0),
        "paused": seed().asked(_members, 0, 4, 0, 1).do(_pause, 1).do(_wait, 7).do(_timeout).do(_pause, 0).do(_run, 0),
        "dropped": seed().asked(_members, 0, 0).do(_drop, 0).do(_all_chunks, 0, 0).do(_drop, 251),
        "ended-unwritten": seed().do(_members, 0, 0).do(_end, 0, 0).do(_end, 0, 1),
        "not-taken": seed().do(_members, 0, 0).do(_refuse, 0).do(_refuse, 255, 0, 2),
        "foreign": seed().asked(_members, 0, 0).do(_foreign, 0, 0, 0, 0, 0).do(_foreign, 0, 0, 0, 4, 1),
        "many": seed().do(_connect, 0).byte(*(_INDEX[_members], 0, 3, 0) * 20).do(_write, 19).do(_close, 1),
        "clock": seed().asked(_members, 0, 0).do(_wait, 10).do(_timeout).do(_wait, 8).do(_close, 0),
        "odd": seed().asked(_members, 0, 0).do(_stage, 0, 0).do(_event, 0, 2).raw(b"[]"),
    }  # fmt: skip
    return {name: play.data for name, play in plays.items()}
