"""The gateway's side of the conversation on one WebSocket: payloads in, payloads and closes out, sessions attached.

What it knows of its connection is the Protocol `Wire`.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

import msgspec

from ..close_codes import CloseCode
from ..codec import DECODE_ERRORS, NULL
from ..opcodes import CLIENT_SENDS, Opcode
from ..ratelimit import Window
from .actions import Identified, Received, ServerAction, SessionEnd, SessionRefused, SessionResumed, Wake
from .config import ServerConfig
from .faults import DispatchFault
from .identify import Refusal, check_identify, check_resume, decode_object, mask_secrets, with_activities
from .population import Population
from .registry import Registry
from .session import Outlet, ServerSession
from .world import answer, ready

_ACK: Final = b'{"t":null,"s":null,"op":11,"d":null}'
RECONNECT: Final = b'{"t":null,"s":null,"op":7,"d":null}'
REQUEST_HEARTBEAT: Final = b'{"t":null,"s":null,"op":1,"d":null}'
_RESUMED: Final = b'{"_trace":["gateway-proto"]}'


class Wire(Outlet, Protocol):
    """What a dialogue needs of its connection."""

    @property
    def is_open(self) -> bool:
        """Neither closing nor ended."""

    def report(self, action: ServerAction) -> None:
        """Return the action from the input that is being handled."""

    def send(self, payload: bytes) -> None:
        """Queue a message."""

    def replay(self, payloads: list[bytes]) -> None:
        """Queue dispatches that the session holds."""

    def compress_payloads(self) -> None:
        """Compress each large message from here on, unless the connection compresses as a whole."""

    def close(self, code: int, reason: bytes, now: float) -> None:
        """Queue a close frame, and `leave`."""


class _Payload(msgspec.Struct, gc=False):
    """What wraps a client's message (Discord: Gateway Events > Payload Structure); s and t mean nothing from there."""

    op: int
    d: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Payload).decode
_decode_sequence: Final = msgspec.json.Decoder(int | None).decode


class Dialogue:
    """One connection's conversation, from HELLO to its end.

    `session` is the one attached, `api_version` the URL's. Two are faults: `lose_acks` (None: all), and `is_mute`, by
    which IDENTIFY and RESUME stay unanswered.
    """

    def __init__(self, wire: Wire, config: ServerConfig, registry: Registry, population: Population | None) -> None:
        self.session: ServerSession | None = None
        self.api_version: int = config.api_version
        self.lose_acks: int | None = 0
        self.is_mute = False
        self._wire = wire
        self._config = config
        self._registry = registry
        self._population = population
        self._window = Window(config.send_limit, config.send_period)
        self._last_beat: float | None = None
        # For the session that is yet to come.
        self._armed: list[DispatchFault] = []

    # -- time ----------------------------------------------------------------------------------------------------

    @property
    def bot(self) -> Mapping[str, Any] | None:
        """The bot's user as the world has it; None without a world."""
        return None if self._population is None else self._population.bot

    def silent_at(self) -> float | None:
        """When the client will have been silent for too long; None before HELLO."""
        if self._last_beat is None:
            return None
        return self._last_beat + self._config.heartbeat_tolerance * self._config.heartbeat_interval

    def forgive_silence(self, now: float) -> None:
        """Nobody has read for a while: the client's silence is judged from now on."""
        if self._last_beat is not None:
            self._last_beat = now

    # -- from the server -----------------------------------------------------------------------------------------

    def hello(self, now: float) -> None:
        """Op 10."""
        self._last_beat = now
        interval = round(self._config.heartbeat_interval * 1000)
        self._wire.send(b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":%d}}' % interval)

    def invalidate(self, resumable: bool, now: float) -> None:
        """Op 9: the session, if there is one, is no longer this connection's; not `resumable`, it ends."""
        self._wire.send(b'{"t":null,"s":null,"op":9,"d":%b}' % (b"true" if resumable else b"false"))
        self.leave(now, None if resumable else SessionEnd.INVALID)

    def leave(self, now: float, cause: SessionEnd | None) -> None:
        """Let go of the session: it ends for a cause, otherwise it can be resumed for its lifetime."""
        session, self.session = self.session, None
        if session is None:
            return
        session.detach(now)
        if cause is not None:
            self._wire.report(self._registry.end(session, cause))

    def arm(self, fault: DispatchFault) -> None:
        """Let a fault befall the session's next dispatch, be it attached already or not."""
        if self.session is None:
            self._armed.append(fault)
        else:
            self.session.arm(fault)

    def next_of_backlog(self, now: float) -> None:
        """Send the next part of what the session is still to be sent."""
        part = None if self.session is None else self.session.backlog.next()
        if self.session is not None and part is not None:
            self._report(self.session.dispatch(*part, now))

    # -- from the client -----------------------------------------------------------------------------------------

    def receive(self, payload: bytes, now: float) -> None:
        """A whole message of the client."""
        if not self._window.allows(now):
            return self._close(CloseCode.RATE_LIMITED, "more payloads than the send limit allows", now)
        self._window.charge(now)
        try:
            message = _decode(payload)
        except DECODE_ERRORS:
            return self._close(CloseCode.DECODE_ERROR, "the payload is not an object with an op", now)
        raw = bytes(message.d)
        is_secret = message.op in (Opcode.IDENTIFY, Opcode.RESUME)
        shown = mask_secrets(raw) if is_secret else raw
        self._wire.report(Received(connection_id=self._wire.id, opcode=message.op, raw=shown))
        for fault in self._registry.plan.on_message(message.op, self._wire.id):
            self._wire.strike(fault, now)
        if not self._wire.is_open:
            return
        if message.op not in CLIENT_SENDS:
            return self._close(CloseCode.UNKNOWN_OPCODE, "the opcode is unknown, or not an app's to send", now)
        opcode = Opcode(message.op)
        if opcode is Opcode.HEARTBEAT:
            self._heartbeat(raw, now)
        elif is_secret:
            self._authenticate(opcode, raw, now)
        elif self.session is None:
            self._close(CloseCode.NOT_AUTHENTICATED, "IDENTIFY or RESUME comes first", now)
        else:
            self._request(self.session, opcode, raw, now)

    def _heartbeat(self, raw: bytes, now: float) -> None:
        try:
            sequence = _decode_sequence(raw)
        except DECODE_ERRORS:
            return self._close(CloseCode.DECODE_ERROR, "a heartbeat's d must be an integer or null", now)
        self._last_beat = now
        if self._config.trim_at_heartbeat and self.session is not None and sequence is not None:
            self.session.buffer.trim(sequence)
        if self.lose_acks == 0:
            self._wire.send(_ACK)
        elif self.lose_acks is not None:
            self.lose_acks -= 1

    def _authenticate(self, opcode: Opcode, raw: bytes, now: float) -> None:
        if self.session is not None:
            return self._close(CloseCode.ALREADY_AUTHENTICATED, "the connection has a session already", now)
        if self.is_mute:
            return
        self._registry.sweep(now, self._wire.report)
        refusal = self._identify(raw, now) if opcode is Opcode.IDENTIFY else self._resume(raw, now)
        if refusal is None:
            return
        self._wire.report(
            SessionRefused(connection_id=self._wire.id, opcode=opcode, code=refusal.code, reason=refusal.reason)
        )
        if refusal.code is None:
            self.invalidate(False, now)
        else:
            self._close(refusal.code, refusal.reason, now)

    def _identify(self, raw: bytes, now: float) -> Refusal | None:
        request = check_identify(raw, self._config)
        if isinstance(request, Refusal):
            return request
        session = self._registry.identify(request, now)
        if isinstance(session, Refusal):
            return session
        self._attach(session)
        self._wire.report(
            Identified(
                connection_id=self._wire.id,
                session_id=session.id,
                number=session.number,
                shard=request.shard,
                intents=request.intents,
                presence=request.presence,
                properties=request.properties,
                compress=request.compress,
                large_threshold=request.large_threshold,
            )
        )
        population = self._population
        guild_ids = None if population is None else population.guilds_of(session)
        session.emit("READY", ready(session, self._config, self.api_version, guild_ids, self.bot), now)
        if population is not None:
            population.begin(session)
        return None

    def _resume(self, raw: bytes, now: float) -> Refusal | None:
        request = check_resume(raw, self._config)
        if isinstance(request, Refusal):
            return request
        found = self._registry.resume(request)
        if isinstance(found, Refusal):
            if found.code is CloseCode.INVALID_SEQ:
                # It says that the session is gone (F17); who RESUMEs nevertheless must not get it for ever.
                session = self._registry.sessions[request.session_id]
                self._supersede(session, now)
                self._wire.report(self._registry.end(session, SessionEnd.CLOSED))
            return found
        session, replay = found
        self._supersede(session, now)
        self._attach(session)
        self._wire.report(
            SessionResumed(
                connection_id=self._wire.id,
                session_id=session.id,
                number=session.number,
                shard=session.shard,
                sequence=request.sequence or 0,
                replayed=len(replay),
                last=session.sequence + 1,
            )
        )
        self._wire.replay(replay)
        session.emit("RESUMED", _RESUMED, now)
        return None

    def _supersede(self, session: ServerSession, now: float) -> None:
        """The client is here: the old socket, if there is one, is a corpse that nobody has noticed yet (F18)."""
        if session.outlet is not None:
            other = session.outlet
            other.supersede(now)
            self._wire.report(Wake(connection_id=other.id))

    def _attach(self, session: ServerSession) -> None:
        self.session = session
        session.attach(self._wire)
        for fault in self._armed:
            session.arm(fault)
        self._armed.clear()
        if session.compress:
            self._wire.compress_payloads()

    def _request(self, session: ServerSession, opcode: Opcode, raw: bytes, now: float) -> None:
        reply = answer(opcode, raw, self._config)
        if isinstance(reply, Refusal):
            return self._close(reply.code or CloseCode.DECODE_ERROR, reply.reason, now)
        if opcode is Opcode.PRESENCE_UPDATE:
            session.presence = with_activities(decode_object(raw) or {})
        if self._population is not None:
            self._report(self._population.answer(session, opcode, raw, now))
            return
        for name, data in reply:
            self._report(session.dispatch(name, data, now))

    def _report(self, actions: list[ServerAction]) -> None:
        for action in actions:
            # Our own driver is awake.
            if not isinstance(action, Wake) or action.connection_id != self._wire.id:
                self._wire.report(action)

    def _close(self, code: int, reason: str, now: float) -> None:
        self._wire.close(code, reason.encode(), now)
