"""Sequences of operations on a `Shard`: every public input, command and drain, in any order, with arbitrary arguments.

The peer's side is partly honest (a valid upgrade, HELLO, READY, dispatches in order), or else nothing would ever be
Connected, and partly raw bytes.

Invariants (`shard_watch.py`):
- nothing raises but as named below; what raised has changed nothing;
- `next_timeout` is never before the last `now`, is there while the shard is to go on, and a driver that obeys it comes
  to rest;
- the stage moves by the table alone; generations count up by one;
- never more than 120 payloads in 60 s by the drain's clock on a connection, none over 4096 bytes; one IDENTIFY or
  RESUME at most, and no command while not Connected; no IDENTIFY without a permit, or where a RESUME was possible;
- dispatches are strictly increasing in (epoch, sequence);
- every command and every permit has an end; the codes that we close with are 1000 and 4xxx;
- no secret is in any repr.

Permitted exceptions: `LocalProtocolError`, of `send`, `set_presence`, `set_activity`, `set_status`, `chunk_guilds`,
`delivered`, `receive_message` and `receive_close`.
"""

import json
import random
from collections.abc import Callable
from typing import Any, Self

from wsproto.utilities import generate_accept_token

from gateway_proto import (
    Activity,
    ConnectionStage,
    CurrentPresence,
    IdentifyPermit,
    Intents,
    InterMessage,
    Limits,
    LocalProtocolError,
    OnlineStatus,
    RawCommand,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Secret,
    Session,
    Shard,
    ShardAction,
    ShardConfig,
    UpdatePresence,
    UpdateVoiceState,
)
from gateway_proto.errors import ConnectError, InvalidHandshakeError
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .inflate import Packer
from .shard_watch import Watch
from .source import CHUNKS, UNDRAINED, Script, Source, cut, steps

TOKEN = "fuzz.token.never-printed"
SESSIONS = ("session-never-printed-0", "session-never-printed-1", "session-never-printed-stored")
KEY = "key-never-printed"
SECRETS = [TOKEN, KEY, *SESSIONS]
MODES = ("none", "zlib-stream", "zstd-stream", "zlib")
LIMITS = Limits(
    max_message=5000, max_compressed_message=3000, max_inflated=20_000, call_budget=2000, max_queued_commands=150
)
GUILDS = (1 << 22, 5 << 22, 2 << 22, 0, -1)
"""The first two are of shard 1 of 4."""
SECONDS = (0.0, 0.001, 0.5, 1.0, 5.0, 15.0, 41.25, 60.0, 100.0, 700.0, 90_000.0, -0.5, -50.0)
RESUME_URLS = (
    f"wss://gateway-us-east1-b.discord.gg/?key={KEY}",
    f"wss://{KEY}@gateway.discord.gg",
    f"wss://evil.example/?key={KEY}",
    f"ws://gateway.discord.gg/{KEY}",
    f"wss://gateway.discord.gg:99999/{KEY}",
    f"wss://[gateway.discord.gg/{KEY}",
    f"{KEY}\n",
    "",
    None,
    7,
)
MAX_STEPS = 400
AT_ONE_INSTANT = 10_000
_INTERVALS: tuple[Any, ...] = (41_250, 5000, 1, 10**12, -1, 0, None, "x", [], 1e308)
_DELTAS = (0, 0, 0, 1, -1, -2, 50, 2**62, -(2**63))
_NAMES = ("MESSAGE_CREATE", "GUILD_CREATE", "GUILD_DELETE", "RESUMED", "", "X" * 300, None, 5)
_BODIES: tuple[Any, ...] = (
    {},
    {"id": str(GUILDS[0])},
    {"id": str(GUILDS[1]), "unavailable": True},
    None,
    {"content": "é\ud83d"},
    {"filler": "x" * 1500},
    {"filler": "x" * 25_000},
    [1],
)


class Play:
    """One shard, the time, and a peer that may be honest."""

    def __init__(self, source: Source) -> None:
        self.mode = source.pick(MODES)
        manner = source.byte()
        self.config = ShardConfig(
            token=Secret(TOKEN),
            intents=Intents.GUILDS,
            shard=(1, 4) if manner & 1 else None,
            transport_compression=self.mode if self.mode in ("zlib-stream", "zstd-stream") else None,  # type: ignore[arg-type]  # narrowed by the test
            payload_compression=self.mode == "zlib",
            auto_deliver=bool(manner & 2),
            max_reconnects=3 if manner & 4 else None,
            limits=LIMITS,
        )
        self.shard = Shard(self.config, rng=random.Random(1), session=self._stored(manner >> 3 & 3))
        self.watch = Watch(self.shard, SECRETS)
        self.now = 1000.0
        self.framed = True
        self.packer = Packer(self.mode)

    def _stored(self, kind: int) -> Session | None:
        if kind == 0:
            return None
        other = ShardConfig(token=Secret(TOKEN), intents=Intents.GUILD_MESSAGES)
        binding = (self.config if kind > 1 else other).binding()
        url = Secret(str(RESUME_URLS[0])) if kind == 2 else None
        return Session(id=Secret(SESSIONS[2]), sequence=5, resume_url=url, binding=binding)

    # -- calls -------------------------------------------------------------------------------------------------

    def call(self, method: Callable[..., list[ShardAction]], *args: Any, **kwargs: Any) -> bool:
        """Call an input or a command that may not raise, `now` appended."""
        self.watch.time(self.now)
        self.watch.act(method(*args, self.now, **kwargs))
        return True

    def attempt(self, method: Callable[..., list[ShardAction]], *args: Any, **kwargs: Any) -> bool:
        """The same for one that may raise `LocalProtocolError`. False if it did, and then nothing has changed."""
        before = self.shard.snapshot(), self.shard.next_timeout()
        try:
            actions = method(*args, self.now, **kwargs)
        except LocalProtocolError:
            assert (self.shard.snapshot(), self.shard.next_timeout()) == before, "it raised and changed something"
            return False
        self.watch.time(self.now)
        self.watch.act(actions)
        return True

    def made(self, generation: int, *, framed: bool) -> None:
        """The socket is open, if that is what this generation waits for."""
        if generation == self.watch.generation and self.shard.stage is ConnectionStage.CONNECTING:
            self.framed, self.packer = framed, Packer(self.mode)
        self.call(self.shard.connection_made, generation, framed=framed)

    def drain(self) -> None:
        self.watch.time(self.now)
        if self.framed:
            self.watch.drain(self.shard.data_to_send(self.now))
        else:
            for message in self.shard.messages_to_send(self.now):
                self.watch.payload(message)
            self.watch.check_time()

    def feed(self, generation: int, data: bytes, size: int = CHUNKS[0]) -> None:
        for chunk in cut(data, [max(size, len(data) // 20)]):
            self.call(self.shard.receive_data, generation, chunk)

    def rest(self) -> None:
        """Do as a driver does until nothing is due at this instant."""
        for _ in range(AT_ONE_INSTANT):
            due = self.shard.next_timeout()
            if due is None or due > self.watch.clock:
                return
            self.call(self.shard.handle_timeout)
            self.drain()
        raise AssertionError("the shard is never done with this instant")

    # -- the peer's words --------------------------------------------------------------------------------------

    def say(self, generation: int, source: Source) -> None:
        """Up to four gateway messages in one go, honest ones for the most part."""
        manner = source.byte()
        following = self.shard.snapshot().received + 1
        messages = [self._message(source, following + index) for index in range(1 + (manner & 3))]
        if not self.framed:
            for message in messages:
                text = message.decode(errors="surrogateescape")
                self.attempt(self.shard.receive_message, generation, self.packer.pack(message) if manner & 4 else text)
            return
        frames = [
            encode_frame(FrameOpcode.BINARY, self.packer.pack(message))
            if manner & 4
            else encode_frame(FrameOpcode.TEXT, message)
            for message in messages
        ]
        data = bytearray(b"".join(frames))
        if manner & 0x80 and data:
            data[source.number() % len(data)] ^= source.byte()
        self.feed(generation, bytes(data), source.pick(CHUNKS) if manner & 8 else CHUNKS[0])

    def _message(self, source: Source, following: int) -> bytes:
        kind = source.byte() % 12
        payload: dict[str, Any]
        if kind == 0:
            payload = {"op": 10, "d": {"heartbeat_interval": source.pick(_INTERVALS)}}
        elif kind == 1:
            payload = {"op": 0, "t": "READY", "s": 1 + source.byte(), "d": _ready(source)}
        elif kind <= 3:
            payload = {"op": 0, "t": "MESSAGE_CREATE", "s": following, "d": {}}
        elif kind == 4:
            sequence = following + source.pick(_DELTAS)
            payload = {"op": 0, "t": source.pick(_NAMES), "s": sequence, "d": source.pick(_BODIES)}
        elif kind == 5:
            payload = {"op": 0, "t": "RESUMED", "s": following + source.byte() % 3 - 1, "d": {}}
        elif kind == 6:
            payload = {"op": 11}
        elif kind == 7:
            payload = {"op": 1, "d": None}
        elif kind == 8:
            payload = {"op": source.pick((7, 9, 9, 5, 43, -1, 2**70)), "d": source.pick((True, False, None, "true"))}
        elif kind == 9:
            return source.blob()
        else:
            return b'{"op":%d,"s":%d,"t":"X","d":' % (source.byte(), following) + source.blob() + b"}"
        return json.dumps(payload).encode()


def _ready(source: Source) -> Any:
    session, guilds = source.byte(), source.byte()
    if session == 255:
        return source.pick((None, [], "x", {"session_id": 5, "guilds": {}, "application": [], "shard": "x"}))
    return {
        "session_id": SESSIONS[session % 2],
        "resume_gateway_url": source.pick(RESUME_URLS),
        "guilds": [{"id": str(guild), "unavailable": True} for guild in GUILDS[: guilds % 4]],
        "shard": [1, 4],
        "application": {"id": "42"},
    }


# -- the operations ----------------------------------------------------------------------------------------------------


def _generation(play: Play, source: Source) -> int:
    # Nearly always the current one.
    choice = source.byte()
    current = play.watch.generation
    return {253: current - 1, 254: current + 1, 255: 0}.get(choice, current)


def _connect(play: Play, source: Source) -> None:
    play.call(play.shard.connect)


def _made(play: Play, source: Source) -> None:
    play.made(_generation(play, source), framed=source.byte() % 4 != 3)


def _failed(play: Play, source: Source) -> None:
    generation = _generation(play, source)
    refused = InvalidHandshakeError("refused", 429, 30.0)
    error = source.pick((ConnectError("no route"), "no route", OSError(), refused))
    play.call(play.shard.connection_failed, generation, error)


def _upgrade(play: Play, source: Source) -> None:
    """The valid answer to the upgrade."""
    play.drain()
    request = play.watch.requests.get(play.watch.generation, b"")
    keys = [line.split(b": ")[1] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key: ")]
    token = generate_accept_token(keys[0]) if keys else b""
    answer = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + token
    play.feed(play.watch.generation, answer + b"\r\n\r\n")


def _open(play: Play, source: Source) -> None:
    """From wherever it stands to an upgraded connection, by the short way."""
    play.rest()
    if play.shard.stage is ConnectionStage.DISCONNECTED:
        play.call(play.shard.connect)
    play.made(play.watch.generation, framed=True)
    _upgrade(play, source)


def _say(play: Play, source: Source) -> None:
    play.say(_generation(play, source), source)


def _raw(play: Play, source: Source) -> None:
    play.feed(_generation(play, source), source.blob(), source.pick(CHUNKS))


def _control(play: Play, source: Source) -> None:
    """A close frame, a PING, or the header of too much."""
    generation, kind = _generation(play, source), source.byte() % 3
    if kind == 0:
        data = encode_frame(FrameOpcode.CLOSE, close_payload(source.number(), source.blob().decode(errors="replace")))
    elif kind == 1:
        data = encode_frame(FrameOpcode.PING, source.take(5))
    else:
        data = b"\x82\x7f" + (10_000 * source.number()).to_bytes(8)
    play.feed(generation, data)


def _message(play: Play, source: Source) -> None:
    generation, data = _generation(play, source), source.blob()
    message = data.decode(errors="surrogateescape") if source.byte() & 1 else data
    play.attempt(play.shard.receive_message, generation, message)


def _close_told(play: Play, source: Source) -> None:
    generation = _generation(play, source)
    code = source.pick((None, 1000, 1001, 4000, 4004, 4007, 4009, 4011, 4014, 1006, 0, -1, 99_999))
    play.attempt(play.shard.receive_close, generation, code, source.blob().decode(errors="replace"))


def _eof(play: Play, source: Source) -> None:
    play.call(play.shard.receive_eof, _generation(play, source))


def _timeout(play: Play, source: Source) -> None:
    play.call(play.shard.handle_timeout)


def _wait(play: Play, source: Source) -> None:
    """Time passes, or steps back, and nobody looks at a timer."""
    play.now += source.pick(SECONDS)


def _run(play: Play, source: Source) -> None:
    """Some timers, each at its time."""
    for _ in range(1 + source.byte() % 16):
        due = play.shard.next_timeout()
        if due is None:
            return
        play.now = max(play.now, due)
        play.call(play.shard.handle_timeout)
        play.drain()


def _drain(play: Play, source: Source) -> None:
    """Either drain: the one that is not this connection's gives nothing, and takes nothing from the other."""
    play.watch.time(play.now)
    if source.byte() & 1:
        data = play.shard.data_to_send(play.now)
        assert play.framed or not data
        play.watch.drain(data)
    else:
        for message in play.shard.messages_to_send(play.now):
            play.watch.payload(message)
        play.watch.check_time()


def _identify(play: Play, source: Source) -> None:
    wanted, choice = play.watch.wanted, source.byte()
    if wanted and choice < 250:
        permit = wanted[-1]
    else:
        permit = IdentifyPermit(generation=play.watch.generation - choice % 3, id=choice)
    play.watch.permit_given(permit)
    play.call(play.shard.identify, permit)


def _delivered(play: Play, source: Source) -> None:
    told, choice = play.watch.dispatched, source.byte()
    epoch, sequence = told[choice % len(told)] if told and choice < 250 else (choice % 4, source.number())
    before = play.shard.snapshot()
    try:
        play.shard.delivered(epoch, sequence)
    except LocalProtocolError:
        assert (epoch, sequence) not in told
        assert play.shard.snapshot() == before


def _pause(play: Play, source: Source) -> None:
    method = play.shard.reading_paused if source.byte() & 1 else play.shard.reading_resumed
    play.call(method, _generation(play, source))


def _send(play: Play, source: Source) -> None:
    guild = source.pick(GUILDS)
    kind = source.byte() % 9
    message: InterMessage
    if kind == 0:
        message = UpdateVoiceState(guild_id=guild, channel_id=None)
    elif kind == 1:
        users = tuple(range(source.byte()))
        message = RequestGuildMembers(guild_id=guild, user_ids=users, nonce="n" * (source.byte() % 40))
    elif kind == 2:
        message = RequestSoundboardSounds(guild_ids=(guild,) * (source.byte() % 3))
    elif kind == 3:
        message = RequestChannelInfo(guild_id=guild)
    elif kind == 4:
        message = UpdatePresence(presence=CurrentPresence(afk=True))
    elif kind == 5:
        message = RawCommand.of(source.byte() % 44, {"guild_id": str(guild)})
    elif kind == 6:
        message = RawCommand(source.blob())
    elif kind == 7:
        message = RawCommand(b'{"op":4,"d":{"x":"' + b"y" * (source.number() % 5000) + b'"}}')
    else:
        message = RawCommand(b'{"op":%d,"d":' % source.byte() + source.blob() + b"}")
    for _ in range(1 + (source.byte() % 200 if kind == 0 else 0)):
        play.watch.accepted_commands += play.attempt(play.shard.send, message)


def _presence(play: Play, source: Source) -> None:
    name, status = source.blob().decode(errors="surrogateescape"), source.pick(list(OnlineStatus))
    activity = Activity.playing(name * (1 + source.byte() % 30)) if name else None
    play.watch.accepted_commands += play.attempt(play.shard.set_activity, activity)
    play.watch.accepted_commands += play.attempt(play.shard.set_status, status)


def _chunk_guilds(play: Play, source: Source) -> None:
    guilds = [source.pick(GUILDS[:3])] * (source.byte() % 5)
    query, limit = source.blob().decode(errors="replace"), source.byte() - 1
    accepted = play.attempt(play.shard.chunk_guilds, guilds, query=query, limit=limit)
    play.watch.accepted_commands += len(guilds) * accepted


def _command(play: Play, source: Source) -> None:
    shard = play.shard
    play.call(source.pick((shard.heartbeat, shard.heartbeat, shard.reconnect, shard.resume, shard.reset)))


def _close(play: Play, source: Source) -> None:
    play.call(play.shard.close, resumable=bool(source.byte() & 1))


_OPERATIONS: tuple[Callable[[Play, Source], None], ...] = (
    _open, _say, _run, _identify, _connect, _made, _upgrade, _eof, _wait, _timeout, _drain, _control, _send, _delivered,
    _raw, _failed, _message, _close_told, _pause, _presence, _chunk_guilds, _command, _close,
)  # fmt: skip
_INDEX = {operation: number for number, operation in enumerate(_OPERATIONS)}


def one_input(data: bytes) -> None:
    source = Source(data)
    play = Play(source)
    for operation, drains in steps(source, _OPERATIONS, MAX_STEPS):
        operation(play, source)
        if drains:
            play.drain()
    play.now = max(play.now, play.watch.clock)
    play.rest()
    play.watch.check_all()


class _Seed(Script):
    """A play, step by step."""

    def do(self, operation: Callable[[Play, Source], None], *choices: int) -> Self:
        self.byte(_INDEX[operation], *choices)
        return self

    def say(self, kind: int, *choices: int, manner: int = 0) -> Self:
        return self.do(_say, 0, manner, kind, *choices)

    def connected(self, manner: int = 0) -> Self:
        self.do(_open).say(0, 0, manner=manner).do(_identify, 0)
        return self.say(1, 0, 0, 2, 0, manner=manner).say(2, manner=manner)


def seeds() -> dict[str, bytes]:
    def seed(mode: int = 0, manner: int = 0) -> _Seed:
        start = _Seed()
        start.byte(mode, manner)
        return start

    plays = {f"connected-{mode}": seed(number).connected(4).say(6, manner=4) for number, mode in enumerate(MODES)}
    plays["beats"] = seed(0, 2).connected().do(_run, 3).say(6).say(7).do(_run, 5).do(_run, 15)
    plays["resumed"] = seed().connected().do(_eof, 0).do(_open).say(0, 1).say(2).say(5, 1).say(2)
    plays["stored"] = seed(1, 0b10000).do(_open).say(0, 0, manner=4).say(2, manner=4).say(5, 1, manner=4)
    plays["refused-session"] = seed(2, 0b01000).connected(4).say(8, 1, 1, manner=4).do(_run, 4)
    plays["reconnect-asked"] = seed().connected().say(8, 0, 0).do(_run, 1).do(_open)
    plays["commands"] = seed(0, 1).connected().do(_send, 0, 0, 150).do(_send, 1, 1, 5, 3).do(_run, 15)
    plays["presence"] = seed().do(_presence, 1, 65, 1, 0).connected().do(_presence, 0, 2, 0).do(_run, 9)
    plays["chunked"] = (
        seed(0, 1).connected().do(_chunk_guilds, 0, 2, 0, 1).do(_pause, 1, 0).do(_wait, 7).do(_pause, 0, 0)
    )
    plays["fatal"] = seed().connected().do(_control, 0, 0).number(4004).byte(0)
    plays["unframed"] = (
        seed().do(_connect).do(_made, 0, 3).say(0, 0).do(_identify, 0).say(1, 0, 0, 0, 2).do(_close_told, 0, 3, 0)
    )
    plays["damaged"] = seed(1).connected(4).do(_say, 0, 0x84, 2).number(3).byte(9).do(_run, 3)
    plays["bomb"] = seed(2).connected(4).say(4, 0, 0, 6, manner=4).do(_run, 2)
    plays["refused"] = seed(0, 4).do(_connect).do(_failed, 0, 3).do(_run, 1).do(_failed, 0, 1).do(_run, 2)
    plays["clock"] = seed().connected().do(_wait, 9).do(_timeout).do(_wait, 12).do(_run, 3)
    plays["ended"] = seed().connected().do(_delivered, 0).do(_close, 1).do(_connect).do(_command, 4).do(_close, 0)
    plays["backlog"] = seed(1).connected(4).do(_say, 0, 7, *(4, 0, 0, 5) * 4).do(_timeout)
    # What this target has found.
    hello = seed().do(_open).say(0, 0)
    plays["ready-ahead-of-identify"] = hello.byte(UNDRAINED | _INDEX[_identify], 0).say(1, 0, 0, 0, 0).do(_run, 1)
    plays["frames-ahead-of-the-upgrade"] = seed().do(_connect).do(_made, 0, 0).say(1, 0, 0, 0, 0).do(_upgrade)
    unframed = seed().do(_connect).do(_made, 0, 3).say(0, 0).byte(UNDRAINED | _INDEX[_identify], 0)
    plays["wrong-drain"] = unframed.byte(UNDRAINED | _INDEX[_drain], 1, UNDRAINED | _INDEX[_timeout]).do(_drain, 0)
    return {name: play.data for name, play in plays.items()}
