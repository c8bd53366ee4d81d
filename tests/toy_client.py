"""A small client that is none of ours, behind `ClientAdapter`, and the bugs that it can be asked to have.

It is what somebody writes in an afternoon: wsproto for everything, one timer for whatever is due. So it shares no code
with `Shard`, and what the machine finds in it does not come from there.
"""

import json
import random
import zlib
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from gateway_proto.testing.adapter import ClientAdapter, Delivered, Dial, HangUp, Output, PermitWanted

FATAL = (4004, 4010, 4011, 4012, 4013, 4014)
SESSION_GONE = (4007, 4009)


class Bug(Enum):
    """What can be wrong with it."""

    RESUMES_TOO_LOW = "a RESUME names the sequence before the last"
    RESUMES_TOO_HIGH = "a RESUME names the sequence behind the last"
    COUNTS_EVENTS = "the sequence is counted by itself, and RESUMED is no event"
    IGNORES_OP_9_FALSE = "op 9 false is taken for op 9 true"
    NEVER_RESUMES = "every connection begins with an IDENTIFY"
    DEAF_TO_OP_1 = "op 1 is not answered"
    BEATS_LATE = "every heartbeat comes a tenth of an interval late"
    NO_ZOMBIES = "nobody looks whether heartbeats are acknowledged"
    HURRIES = "an IDENTIFY goes out as soon as there is a HELLO"
    NO_BUDGET = "commands go out as they are asked for"
    UNDEAD = "no close code is fatal"
    TRUSTS_JSON = "a message that is no JSON raises"
    GIVES_UP = "a dial that fails is the last"
    SKIPS_REPLAYS = "what comes between a RESUME and RESUMED is not delivered"
    REVERSES = "what comes in one read is delivered the last first"


class Slip(Enum):
    """What else can be wrong with it: in the reading, in what is delivered, and where and when it dials."""

    FRAMES_ARE_MESSAGES = "each frame of a fragmented message is taken for a message"
    PARTS_ARE_MESSAGES = "each WebSocket message of a zlib stream is taken for a whole one"
    KEEPS_PARTS = "what has come of a message is kept over sockets"
    FORGETS_REPLAY = "the sequence is moved by RESUMED, and not by what is replayed"
    COUNTS_BEHIND_OP_7 = "behind op 7 sequences are counted and events dropped"
    DEAF_TO_OP_7 = "op 7 is ignored"
    BEATS_NULL = "a heartbeat's d is null"
    BEATS_AHEAD = "a heartbeat's d is five more than the last sequence"
    BEATS_EARLY = "the first heartbeat goes out ahead of HELLO"
    NO_BACKOFF = "it dials again at once, always"
    DIALS_ELSEWHERE = "a RESUME dials a host that nobody has named"
    IDENTIFIES_ELSEWHERE = "an IDENTIFY dials the last session's resume_gateway_url"
    LOSES_CHUNKS = "GUILD_MEMBERS_CHUNK is not delivered"
    RENAMES = "MESSAGE_CREATE is delivered as MESSAGE_DELETE"
    MAKES_UP = "an event without a number is made up ahead of each"
    DOUBLES = "each event is delivered twice, marked as replayed"


class ToyClient(ClientAdapter):
    """See the module.

    Args:
        zlib_stream: ask for that compression.
        at_resume_url: RESUME where READY says; otherwise at the gateway's URL.
        permits: ask for a permit ahead of the first dial, and then for each IDENTIFY.
    """

    def __init__(
        self,
        url: str,
        rng: random.Random,
        *bugs: Bug | Slip,
        zlib_stream: bool = False,
        at_resume_url: bool = False,
        permits: bool = False,
    ) -> None:
        self._url, self._rng, self._bugs = url, rng, bugs
        self._zlib_stream, self._at_resume_url, self._permits = zlib_stream, at_resume_url, permits
        self._has_permit = False
        self._is_waiting = False
        self._resume_url: str | None = None
        self._parts: list[bytes] = []
        self._session: str | None = None
        self._sequence = 0
        self._identified_at = float("-inf")
        self._redial_at: float | None = None
        self._failures = 0
        self._commands: deque[str] = deque()
        self._drop()

    def _drop(self) -> None:
        """The socket is gone, with everything that belongs to it."""
        self._ws: WSConnection | None = None
        self._out = b""
        self._interval = 0.0
        self._beat_at: float | None = None
        self._wants_identify = False
        self._is_mute = False
        self._inflater = zlib.decompressobj()
        self._identify_at: float | None = None
        self._give_up_at: float | None = None
        self._beaten_at = float("-inf")
        self._is_acked = True
        self._is_ready = False
        self._sent: deque[float] = deque()
        if Slip.KEEPS_PARTS not in self._bugs:
            self._parts = []

    # -- inputs ----------------------------------------------------------------------------------------------------

    def connect(self, now: float) -> Iterable[Output]:
        self._is_waiting = self._permits
        return [PermitWanted(), self._dial()] if self._permits else [self._dial()]

    def permit_granted(self, now: float) -> Iterable[Output]:
        self._is_waiting, self._has_permit = False, True
        if self._wants_identify:
            self._identify(now)
        return ()

    def connection_made(self, now: float) -> Iterable[Output]:
        self._ws = WSConnection(ConnectionType.CLIENT)
        self._give_up_at = now + 30.0
        compress = "&compress=zlib-stream" if self._zlib_stream else ""
        self._out += self._ws.send(Request(host="gateway.test", target=f"/?v=10&encoding=json{compress}"))
        return ()

    def connection_failed(self, now: float) -> Iterable[Output]:
        if Bug.GIVES_UP not in self._bugs:
            self._redial(now)
        return ()

    def receive_eof(self, now: float) -> Iterable[Output]:
        self._drop()
        self._redial(now)
        return ()

    def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
        outputs: list[Output] = []
        if self._ws is None:
            return outputs
        self._give_up_at = None if self._is_ready else now + 30.0
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                if not self._on_event(event, now, outputs):
                    break
        except ProtocolError:
            self._leave(now, outputs)
        return outputs[::-1] if Bug.REVERSES in self._bugs else outputs

    def handle_timeout(self, now: float) -> Iterable[Output]:
        outputs: list[Output] = []
        if self._redial_at is not None and self._redial_at <= now:
            self._redial_at = None
            return [self._dial()]
        if self._give_up_at is not None and self._give_up_at <= now:
            self._leave(now, outputs)
            return outputs
        if self._beat_at is not None and self._beat_at <= now:
            if not self._is_acked and Bug.NO_ZOMBIES not in self._bugs:
                self._leave(now, outputs)
                return outputs
            self._beat(now)
            self._beat_at = now + self._interval
        if self._identify_at is not None and self._identify_at <= now:
            self._identify(now)
        self._flush(now)
        return outputs

    def next_timeout(self) -> float | None:
        due = [self._redial_at, self._give_up_at, self._beat_at, self._identify_at, self._flush_at()]
        return min((at for at in due if at is not None), default=None)

    def data_to_send(self, now: float) -> bytes:
        data, self._out = self._out, b""
        return data

    def send(self, opcode: int, data: Any, now: float) -> Iterable[Output]:
        self._commands.append(json.dumps({"op": opcode, "d": data}))
        self._flush(now)
        return ()

    # -- what it does ----------------------------------------------------------------------------------------------

    def _dial(self) -> Dial:
        if self._resume_url is None or not (self._session or Slip.IDENTIFIES_ELSEWHERE in self._bugs):
            return Dial(self._url)
        if Slip.DIALS_ELSEWHERE in self._bugs:
            return Dial("wss://gateway.example")
        return Dial(self._resume_url if self._at_resume_url or Slip.IDENTIFIES_ELSEWHERE in self._bugs else self._url)

    def _redial(self, now: float) -> None:
        self._failures += 1
        wait = min(0.5 * 2.0**self._failures, 30.0) * self._rng.uniform(0.5, 1.0)
        self._redial_at = now + (0.0 if Slip.NO_BACKOFF in self._bugs else wait)

    def _leave(self, now: float, outputs: list[Output], *, code: int = 4000) -> None:
        if self._ws is not None and self._ws.state is ConnectionState.OPEN:
            self._out += self._ws.send(CloseConnection(code=code))
        outputs.append(HangUp(self._out))
        self._drop()
        self._redial(now)

    def _write(self, text: str, now: float) -> None:
        if self._ws is not None and self._ws.state is ConnectionState.OPEN:
            self._out += self._ws.send(TextMessage(data=text))
            self._sent.append(now)

    def _beat(self, now: float) -> None:
        self._is_acked = False
        self._beaten_at = now
        sequence = self._sequence + (5 if Slip.BEATS_AHEAD in self._bugs else 0)
        self._write(json.dumps({"op": 1, "d": None if Slip.BEATS_NULL in self._bugs else sequence or None}), now)

    def _identify(self, now: float) -> None:
        self._identify_at = None
        self._wants_identify = self._has_permit = False
        self._identified_at = now
        properties = {"os": "linux", "browser": "toy", "device": "toy"}
        self._write(json.dumps({"op": 2, "d": {"token": "t", "intents": 512, "properties": properties}}), now)

    def _resume(self, now: float) -> None:
        wrong = (Bug.RESUMES_TOO_HIGH in self._bugs) - (Bug.RESUMES_TOO_LOW in self._bugs)
        d = {"token": "t", "session_id": self._session, "seq": self._sequence + wrong}
        self._write(json.dumps({"op": 6, "d": d}), now)

    def _flush_at(self) -> float | None:
        if not self._commands or not self._is_ready:
            return None
        # Forty of the 120 are kept for heartbeats, for their answers, and for what begins a session.
        return self._sent[-80] + 60.01 if len(self._sent) >= 80 else float("-inf")

    def _flush(self, now: float) -> None:
        while (at := self._flush_at()) is not None and (at <= now or Bug.NO_BUDGET in self._bugs):
            self._write(self._commands.popleft(), now)

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _on_event(self, event: object, now: float, outputs: list[Output]) -> bool:
        """Whether to read on."""
        match event:
            case AcceptConnection() if Slip.BEATS_EARLY in self._bugs:
                self._beat(now)
            case AcceptConnection():
                pass
            case Ping():
                assert self._ws is not None
                self._out += self._ws.send(event.response())
            case TextMessage() | BytesMessage():
                data = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                self._parts.append(data)
                if event.message_finished or Slip.FRAMES_ARE_MESSAGES in self._bugs:
                    return self._on_part(now, outputs)
            case CloseConnection():
                self._on_close(event.code, now, outputs)
                return False
            case RejectConnection() | _:
                self._leave(now, outputs)
                return False
        return True

    def _on_close(self, code: int, now: float, outputs: list[Output]) -> None:
        if code in SESSION_GONE:
            self._session = None
        outputs.append(HangUp())
        self._drop()
        if code not in FATAL or Bug.UNDEAD in self._bugs:
            self._redial(now)

    def _on_part(self, now: float, outputs: list[Output]) -> bool:
        whole = b"".join(self._parts)
        if self._zlib_stream and not whole.endswith(b"\0\0\xff\xff") and Slip.PARTS_ARE_MESSAGES not in self._bugs:
            return True
        self._parts = []
        return self._on_message(whole, now, outputs)

    def _on_message(self, data: bytes, now: float, outputs: list[Output]) -> bool:
        try:
            message = json.loads(self._inflater.decompress(data) if self._zlib_stream else data)
        except (ValueError, zlib.error):
            if Bug.TRUSTS_JSON in self._bugs:
                raise
            self._leave(now, outputs)
            return False
        match message["op"]:
            case 10:
                self._on_hello(message["d"]["heartbeat_interval"] / 1000, now, outputs)
            case 11:
                self._is_acked = True
            case 1 if Bug.DEAF_TO_OP_1 not in self._bugs and now - self._beaten_at >= 1.0:
                acked = self._is_acked
                self._beat(now)
                self._is_acked = acked  # only what the schedule sends is waited for
            case 7 if Slip.DEAF_TO_OP_7 in self._bugs:
                pass
            case 7 if Slip.COUNTS_BEHIND_OP_7 in self._bugs:
                assert self._ws is not None
                self._out += self._ws.send(CloseConnection(code=4000)) if not self._is_mute else b""
                self._is_mute = True
            case 7:
                self._leave(now, outputs)
                return False
            case 9:
                if not message["d"] and Bug.IGNORES_OP_9_FALSE not in self._bugs:
                    self._session = None
                self._leave(now, outputs)
                return False
            case 0:
                self._on_dispatch(message, now, outputs)
        return True

    def _ask_or_identify(self, now: float, outputs: list[Output]) -> None:
        self._wants_identify = True
        if self._has_permit:
            self._identify(now)
        elif not self._is_waiting:
            self._is_waiting = True
            outputs.append(PermitWanted())

    def _on_hello(self, interval: float, now: float, outputs: list[Output]) -> None:
        self._interval = interval * (1.1 if Bug.BEATS_LATE in self._bugs else 1.0)
        self._beat_at = now + self._interval * self._rng.random()
        if self._session is not None and Bug.NEVER_RESUMES not in self._bugs:
            self._resume(now)
            self._give_up_at = now + 60.0
            return
        self._give_up_at = None
        if self._permits:
            self._ask_or_identify(now, outputs)
            return
        self._identify_at = now if Bug.HURRIES in self._bugs else max(now, self._identified_at + 5.01)

    def _on_dispatch(self, message: dict[str, Any], now: float, outputs: list[Output]) -> None:
        name, sequence, d = message["t"], message["s"], message["d"]
        if name == "READY":
            self._session = d["session_id"]
            self._resume_url = d["resume_gateway_url"]
            self._sequence = 0
        # One that is resumed too low, as with two of the bugs, is not told apart by its number.
        is_known = sequence <= self._sequence
        if name in ("READY", "RESUMED"):
            self._is_ready = True
            self._give_up_at = None
            self._failures = 0
        elif not is_known and not self._is_mute and (self._is_ready or Bug.SKIPS_REPLAYS not in self._bugs):
            outputs += self._delivered(name, json.dumps(d).encode())
        if Slip.FORGETS_REPLAY in self._bugs and not self._is_ready:
            return
        if Bug.COUNTS_EVENTS in self._bugs:
            self._sequence += name != "RESUMED"
        else:
            self._sequence = max(self._sequence, sequence)
        self._flush(now)

    def _delivered(self, name: str, data: bytes) -> list[Output]:
        if Slip.LOSES_CHUNKS in self._bugs and name == "GUILD_MEMBERS_CHUNK":
            return []
        if Slip.DOUBLES in self._bugs:
            return [Delivered(name, data, replayed=True)] * 2
        name = "MESSAGE_DELETE" if Slip.RENAMES in self._bugs and name == "MESSAGE_CREATE" else name
        made_up: list[Output] = [Delivered("MESSAGE_CREATE", b'{"content":"x"}')] if Slip.MAKES_UP in self._bugs else []
        return [*made_up, Delivered(name, data)]
