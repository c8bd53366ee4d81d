"""Asking Discord for members, soundboard sounds and channel info, and waiting for the whole answer (F35).

`GuildRequests` stands beside a `Shard`, and is driven like it: the shard's actions and the time go in, commands for the
shard and the ends of requests come out.

    id = requests.request_members(guild_id, now, query="an", limit=10)
    for action in shard.receive_data(generation, data, now):
        for outcome in requests.receive(action, now): ...      # Answered(id, Members(…)) or Failed(id, error)
    for command in requests.commands(now):                     # after every input
        actions = shard.send(command, now)

A request *waits* for its turn, is *queued* once it was handed to the shard, and *asked* once it is on the wire. Then
parts of the answer may be 30 s apart, counted only while the shard is connected and read: a RESUME replays what came in
between, and silence while nobody listens proves nothing. A request of which nothing has come by RESUMED may have died
with its socket, and with a lost session Discord forgets them all: then it is asked again, under its old nonce, once its
turn has come.
"""

import random
from collections.abc import Iterable
from enum import Enum
from itertools import islice
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET

from ..actions import CommandEnded, CommandOutcome, Dispatch, Fatal, SessionLost, ShardAction, StageChanged
from ..commands import (
    Command,
    InterMessage,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    encode_checked,
)
from ..config import ShardConfig
from ..errors import LocalProtocolError
from ..events.connecting import RateLimited
from ..intents import Intents
from ..opcodes import Opcode
from ..stage import ConnectionStage
from .answers import (
    IDLE_LIMIT,
    ChannelInfoRequest,
    ChunkHead,
    Collector,
    GuildHead,
    MemberRequest,
    RequestEnd,
    RequestError,
    RequestResult,
    SoundsRequest,
    read_head,
)
from .turns import AT_ONCE, NEVER, Turns

MIN_RETRY: Final = 1.0
"""Seconds before a limited request is asked again, however small the retry_after: no hot loop of ours."""
MAX_RETRY: Final = 3600.0
MAX_QUEUED: Final = 16
"""Requests handed to the shard and not on the wire yet. A thousand more wait here, where they fill no queue of the
shard's and hold up nobody else's command."""
LATE: Final = 1.0
"""Seconds. The idle limit handled later than that: the loop was blocked, and what came meanwhile is not read yet."""
MAX_QUERY_LIMIT: Final = 100

_NONCE: Final = "{:012x}{:016x}"
_ANY_NONCE: Final = _NONCE.format(0, 0)
_OTHERS: Final = (Opcode.REQUEST_SOUNDBOARD_SOUNDS, Opcode.REQUEST_CHANNEL_INFO)


class Answered(msgspec.Struct, frozen=True):
    """The whole answer to a request has come."""

    id: int
    result: RequestResult


class Failed(msgspec.Struct, frozen=True):
    """A request has ended without its whole answer; a LocalProtocolError says that the shard did not take it."""

    id: int
    error: RequestError | LocalProtocolError


RequestOutcome: TypeAlias = Answered | Failed


class _State(Enum):
    WAITING = "waits for its turn"
    QUEUED = "handed to the shard"
    ASKED = "on the wire"


class _Request:
    __slots__ = ("collector", "command", "id", "idle_at", "not_before", "state", "was_late")

    def __init__(self, id: int, command: Command, collector: Collector) -> None:
        self.id = id
        self.command = command
        self.collector = collector
        self.state = _State.WAITING
        self.not_before = AT_ONCE
        self.idle_at = NEVER
        self.was_late = False


class GuildRequests:
    """The requests of one shard. Nothing that comes from the network raises.

    *Inputs* (`receive`, `refused`, `reading_*`, `handle_timeout`, `close`) return the requests that ended by them;
    *commands* (`request_*`, `drop`) begin and end one; the *drain* `commands` gives what is to be handed to
    `Shard.send`: call it after every input and command. `next_timeout` is a getter.

    Args:
        config: the shard's: what it owns, and its intents.
        rng: for nonces.
    """

    def __init__(self, config: ShardConfig, *, rng: random.Random) -> None:
        self._config = config
        self._rng = rng
        self._now = AT_ONCE
        self._count = 0
        self._requests: dict[int, _Request] = {}
        self._waiting: dict[int, _Request] = {}
        self._by_nonce: dict[str, _Request] = {}
        self._queued: list[tuple[int, Command]] = []
        self._turns = Turns()
        # Not after the first turn, and the first idle limit: looked at more closely once they have come.
        self._turn_at = NEVER
        self._idle_at = NEVER
        self._connected = False
        self._paused = False

    def __len__(self) -> int:
        """How many are under way. While none is, `receive` needs no dispatches."""
        return len(self._requests)

    # -- commands ----------------------------------------------------------------------------------------------

    def request_members(
        self,
        guild_id: int,
        now: float,
        *,
        query: str | None = None,
        limit: int = 0,
        user_ids: Iterable[int] | None = None,
        presences: bool = False,
    ) -> int:
        """Ask for members by the start of their name, by id or, with neither, for all (`Members`).

        Args:
            limit: at most so many, 1 to 100 with a query; 0: as many as Discord gives.
            user_ids: 1 to 100.
            presences: those of these members, too.

        Returns:
            The id by which `Answered` or `Failed` names the request.

        Raises:
            LocalProtocolError: Discord would not answer this shard that: the guild is another's, an intent is lacking,
                an argument is out of its range. Nothing has changed.
        """
        command = self._members_command(guild_id, query, limit, user_ids, presences)
        encode_checked(command, self._config.shard)
        nonce = _NONCE.format(self._count, self._rng.getrandbits(64))
        collector = MemberRequest(guild_id, nonce)
        request = self._begin(msgspec.structs.replace(command, nonce=nonce), collector, now)
        self._by_nonce[nonce] = request
        return request.id

    def request_soundboard_sounds(self, guild_ids: Iterable[int], now: float) -> int:
        """Ask for the soundboard sounds of guilds (`Sounds`). Returns and raises as `request_members`."""
        command = RequestSoundboardSounds(guild_ids=tuple(dict.fromkeys(guild_ids)))
        encode_checked(command, self._config.shard)
        return self._begin(command, SoundsRequest(command.guild_ids), now).id

    def request_channel_info(self, guild_id: int, fields: Iterable[str], now: float) -> int:
        """Ask for fields of a guild's voice channels (`ChannelInfo`), one request a guild at a time.

        Returns and raises as `request_members`.
        """
        command = RequestChannelInfo(guild_id=guild_id, fields=tuple(fields))
        encode_checked(command, self._config.shard)
        return self._begin(command, ChannelInfoRequest(guild_id), now).id

    def drop(self, id: int, now: float) -> None:
        """Nobody waits for this one any more. What has ended, or was dropped before, stays so."""
        self._clock(now)
        self._forget(id)

    # -- inputs ------------------------------------------------------------------------------------------------

    def receive(self, action: ShardAction, now: float) -> list[RequestOutcome]:
        """An action of the shard. Dispatches matter while there are requests, the others (but few) always."""
        self._clock(now)
        match action:
            case Dispatch():
                return self._dispatch(action) if self._requests else []
            case CommandEnded():
                return self._command_ended(action)
            case StageChanged(old, new):
                self._listen(connected=new is ConnectionStage.CONNECTED, paused=self._paused)
                if old is ConnectionStage.RESUMING:
                    self._resumed()
            case SessionLost():
                self._session_lost()
            case Fatal():
                return self.close(now)
        return []

    def refused(self, command: InterMessage, error: LocalProtocolError, now: float) -> list[RequestOutcome]:
        """`Shard.send` did not take this command of ours: its request ends by that error."""
        self._clock(now)
        request = self._unqueue(command)
        if request is None:
            return []
        self._forget(request.id)
        return [Failed(request.id, error)]

    def reading_paused(self, now: float) -> None:
        """The socket is not read: no idle limit is judged."""
        self._clock(now)
        self._listen(connected=self._connected, paused=True)

    def reading_resumed(self, now: float) -> None:
        """It is read again; idle limits begin anew."""
        self._clock(now)
        self._listen(connected=self._connected, paused=False)

    def handle_timeout(self, now: float) -> list[RequestOutcome]:
        """End what has waited in vain. Too early it does nothing. Then call `commands`: it may be someone's turn."""
        self._clock(now)
        if not self._listens or self._now < self._idle_at:
            return []
        self._idle_at = NEVER
        ended: list[RequestOutcome] = []
        for request in list(self._requests.values()):
            if request.idle_at <= self._now:
                if request.was_late or self._now - request.idle_at <= LATE:
                    ended.append(self._fail(request, RequestEnd.IDLE))
                    continue
                request.was_late = True
                request.idle_at = self._now + LATE
            self._idle_at = min(self._idle_at, request.idle_at)
        return ended

    def close(self, now: float) -> list[RequestOutcome]:
        """The shard is closed, or has ended: so has every request."""
        self._clock(now)
        return [self._fail(request, RequestEnd.CLOSED) for request in list(self._requests.values())]

    # -- drain and getter --------------------------------------------------------------------------------------

    def commands(self, now: float) -> list[InterMessage]:
        """Those whose turn it is, to be handed to `Shard.send`; tell `refused` of one that it raises for."""
        self._clock(now)
        if self._now < self._turn_at:
            return []
        self._turn_at = NEVER
        given: list[InterMessage] = []
        for id in sorted(self._waiting):
            if len(self._queued) >= MAX_QUEUED:
                break
            request = self._waiting[id]
            free = max(request.not_before, self._turns.free_at(request.command))
            if free > self._now:
                self._turn_at = min(self._turn_at, free)
                continue
            del self._waiting[id]
            request.state = _State.QUEUED
            self._queued.append((id, request.command))
            self._turns.take(request.command)
            given.append(request.command)
        return given

    def next_timeout(self) -> float | None:
        """When `handle_timeout` and `commands` are due next, None: not by time alone.

        At the last `now` if there is something for `commands` to give, never before it.
        """
        due = min(self._turn_at, self._idle_at) if self._listens else self._turn_at
        return None if due == NEVER else max(due, self._now)

    # -- inside ------------------------------------------------------------------------------------------------

    def _clock(self, now: float) -> None:
        self._now = max(self._now, now)

    def _members_command(
        self, guild_id: int, query: str | None, limit: int, user_ids: Iterable[int] | None, presences: bool
    ) -> RequestGuildMembers:
        intents = self._config.intents
        if query is not None and user_ids is not None:
            raise LocalProtocolError("request members by a query or by user_ids, not by both")
        if user_ids is not None and limit:
            raise LocalProtocolError("a limit goes with a query; of user_ids all are asked for")
        if user_ids is None and not query and not intents & Intents.GUILD_MEMBERS:
            raise LocalProtocolError("all members need Intents.GUILD_MEMBERS; without it ask by a query or by user_ids")
        if presences and not intents & Intents.GUILD_PRESENCES:
            raise LocalProtocolError("the presences of members need Intents.GUILD_PRESENCES")
        return RequestGuildMembers(
            guild_id=guild_id,
            query=(query or "") if user_ids is None else None,
            limit=limit or (MAX_QUERY_LIMIT if query else 0),
            presences=presences or None,
            user_ids=None if user_ids is None else tuple(user_ids),
            nonce=_ANY_NONCE,
        )

    def _begin(self, command: Command, collector: Collector, now: float) -> _Request:
        self._clock(now)
        request = _Request(self._count, command, collector)
        self._count += 1
        self._requests[request.id] = request
        self._wait(request)
        return request

    def _wait(self, request: _Request) -> None:
        request.state = _State.WAITING
        request.idle_at = NEVER
        self._waiting[request.id] = request
        self._look()

    def _look(self) -> None:
        """Somebody's turn may have come: `commands` looks."""
        if self._waiting:
            self._turn_at = AT_ONCE

    def _forget(self, id: int) -> None:
        request = self._requests.pop(id, None)
        if request is not None:
            self._waiting.pop(id, None)
            if isinstance(request.collector, MemberRequest):
                del self._by_nonce[request.collector.nonce]
        if not self._requests:
            self._turn_at = self._idle_at = NEVER

    def _fail(self, request: _Request, end: RequestEnd) -> Failed:
        self._forget(request.id)
        return Failed(request.id, request.collector.error(end))

    # -- the way of a command ----------------------------------------------------------------------------------

    def _command_ended(self, ended: CommandEnded) -> list[RequestOutcome]:
        """Ours or not: whoever asks for all members uses up the guild's turn."""
        if ended.outcome is CommandOutcome.REQUEUED:
            return []
        request = self._unqueue(ended.command)
        if ended.outcome is CommandOutcome.DROPPED:
            # Only its end makes a shard drop these.
            return [self._fail(request, RequestEnd.CLOSED)] if request is not None else []
        self._turns.written(ended.command, self._now)
        if request is not None:
            request.state = _State.ASKED
            self._expect(request)
        return []

    def _unqueue(self, command: InterMessage) -> _Request | None:
        """The request of a command that leaves the queue, unless it was dropped meanwhile or is none of ours."""
        for place, (id, queued) in enumerate(self._queued):
            if queued == command:
                del self._queued[place]
                self._turns.give_back(command)
                self._look()
                return self._requests.get(id)
        return None

    def _resumed(self) -> None:
        """What was begun goes on; of the rest it is not known whether it ever arrived."""
        for request in self._requests.values():
            if self._connected and request.state is _State.ASKED and not request.collector.has_begun:
                self._wait(request)

    def _session_lost(self) -> None:
        """What was asked in it is forgotten; what is queued goes out with the next session by itself."""
        self._turns.session_lost()
        self._look()
        for request in self._requests.values():
            request.collector.restart()
            if request.state is _State.ASKED:
                self._wait(request)

    # -- silence -----------------------------------------------------------------------------------------------

    @property
    def _listens(self) -> bool:
        return self._connected and not self._paused

    def _listen(self, *, connected: bool, paused: bool) -> None:
        listened = self._listens
        self._connected, self._paused = connected, paused
        if self._listens and not listened:
            self._idle_at = NEVER
            for request in self._requests.values():
                if request.state is _State.ASKED:
                    self._expect(request)

    def _expect(self, request: _Request) -> None:
        """From now on a part of the answer may take its time."""
        request.idle_at = self._now + IDLE_LIMIT
        request.was_late = False
        self._idle_at = min(self._idle_at, request.idle_at)

    # -- answers -----------------------------------------------------------------------------------------------

    def _dispatch(self, event: Dispatch) -> list[RequestOutcome]:
        match event.name:
            case "GUILD_MEMBERS_CHUNK":
                head = read_head(event, ChunkHead)
                request = self._by_nonce.get(head.nonce or "") if head is not None else None
                if head is None or request is None or not isinstance(request.collector, MemberRequest):
                    return []
                return self._progress([request] if request.collector.receive_chunk(head, event) else [])
            case "SOUNDBOARD_SOUNDS":
                asked = self._asked(Opcode.REQUEST_SOUNDBOARD_SOUNDS)
                return self._progress([one for one in asked if self._takes(one, event)])
            case "CHANNEL_INFO":
                return self._channel_info(event)
            case "RATE_LIMITED":
                self._rate_limited(event)
        return []

    def _channel_info(self, event: Dispatch) -> list[RequestOutcome]:
        head = read_head(event, GuildHead)
        if head is None:
            return []
        self._turns.answered(Opcode.REQUEST_CHANNEL_INFO, head.guild_id)
        self._look()
        # The oldest: whose fields it has is not said.
        asked = (one for one in self._asked(Opcode.REQUEST_CHANNEL_INFO) if self._takes(one, event))
        return self._progress(list(islice(asked, 1)))

    def _asked(self, opcode: Opcode) -> list[_Request]:
        return [
            request
            for request in self._requests.values()
            if request.state is _State.ASKED and request.command.opcode is opcode
        ]

    def _takes(self, request: _Request, event: Dispatch) -> bool:
        collector = request.collector
        return not isinstance(collector, MemberRequest) and collector.receive(event)

    def _progress(self, requests: list[_Request]) -> list[RequestOutcome]:
        """These got a part of their answer."""
        ended: list[RequestOutcome] = []
        for request in requests:
            if not request.collector.is_complete:
                if request.state is _State.WAITING:
                    # It was to be asked again, but the first answer is on its way after all.
                    del self._waiting[request.id]
                    request.state = _State.ASKED
                if request.state is _State.ASKED:
                    self._expect(request)
                continue
            self._forget(request.id)
            outcome = request.collector.outcome()
            ended.append(
                Failed(request.id, outcome) if isinstance(outcome, RequestError) else Answered(request.id, outcome)
            )
        return ended

    def _rate_limited(self, event: Dispatch) -> None:
        """RATE_LIMITED (Discord: Gateway Events > Rate Limited): ask again, after the time that it says."""
        limited = read_head(event, RateLimited)
        if limited is None:
            return
        seconds = min(max(MIN_RETRY, limited.retry_after), MAX_RETRY)  # in this order NaN is the least
        guild_id, nonce = limited.meta.guild_id, limited.meta.nonce
        if limited.opcode != Opcode.REQUEST_GUILD_MEMBERS:
            # Discord documents none of these: whose it is is not said then.
            refused = [one for opcode in _OTHERS if opcode == limited.opcode for one in self._asked(opcode)]
        elif nonce is not UNSET and nonce in self._by_nonce:
            refused = [self._by_nonce[nonce]]
        else:
            refused = []
            if guild_id is not UNSET:
                # Somebody else's, or one that was dropped: it is the guild's turn all the same.
                self._turns.not_before((Opcode.REQUEST_GUILD_MEMBERS, guild_id), self._now + seconds)
        for request in refused:
            if request.state is not _State.ASKED or request.collector.has_begun:
                continue
            request.not_before = self._now + seconds
            self._turns.refused(request.command, request.not_before)
            self._wait(request)
