"""How connections of a shard begin and end, and what outlives them.

Owns the stage, the timers, the session and the list of actions that the current call will return. Nothing here reads a
message: that is `conversation.py`; nothing here is public: that is `shard.py`.
"""

import random

from .actions import (
    Connect,
    DiscardCause,
    Disconnect,
    Fatal,
    Notice,
    NoticeKind,
    PermitReturned,
    Reconnect,
    ReconnectType,
    SessionLost,
    ShardAction,
    StageChanged,
)
from .backoff import Backoff
from .close_codes import RESUMABLE_CLOSURE
from .compression import make_inflater
from .config import ShardConfig
from .connection import Connection
from .errors import GatewayError, InvalidHandshakeError, ReconnectFailureError
from .guilds import AwaitedGuilds
from .outbox import Outbox
from .presence import CurrentPresence
from .route import Route
from .session import LiveSession, Session, mismatch
from .setbacks import Setbacks
from .stage import ConnectionStage, StageInput, StageMachine
from .tally import Tally
from .timers import Timer, Timers
from .url import GatewayUrl
from .websocket import WebSocketClient
from .websocket.external import ExternalWebSocket

_CONNECTION_TIMERS = (Timer.DIAL, Timer.HELLO, Timer.HEARTBEAT, Timer.RESUMED, Timer.READY, Timer.GUILDS)


class Lifecycle:
    """A bot's one slot on the gateway, over successive connections."""

    def __init__(self, config: ShardConfig, rng: random.Random, session: Session | None) -> None:
        self.config = config
        self.rng = rng
        self.now: float = float("-inf")
        self.actions: list[ShardAction] = []
        self.machine: StageMachine = StageMachine()
        self.timers: Timers = Timers()
        self.backoff: Backoff = Backoff(rng)
        self.route: Route = Route(config.url, config.resume_domains)
        self.setbacks: Setbacks = Setbacks()
        self.outbox: Outbox = Outbox(config.limits.max_queued_commands)
        self.guilds: AwaitedGuilds = AwaitedGuilds()
        self.guild_came_at: float = 0.0
        self.tally: Tally = Tally()
        self.presence: CurrentPresence = config.presence
        self.started: bool = False
        self.is_shutdown: bool = False
        self.generation: int = 0
        self.epoch: int = 0
        self.connection: Connection | None = None
        self.session: LiveSession | None = None
        self._lost_at: float | None = None
        self._tries = 0
        self._url: GatewayUrl | None = None
        if session is not None:
            self._restore(session)

    @property
    def stage(self) -> ConnectionStage:
        return self.machine.stage

    @property
    def reconnect_type(self) -> ReconnectType:
        """What the next connection does: RESUME whenever there is something to resume."""
        session = self.session
        return ReconnectType.RESUME if session is not None and session.id else ReconnectType.REIDENTIFY

    # -- telling -----------------------------------------------------------------------------------------------

    def take_actions(self) -> list[ShardAction]:
        """What the current call returns: everything since the last one, drains included."""
        actions, self.actions = self.actions, []
        return actions

    def notice(
        self, kind: NoticeKind, detail: str, cause: GatewayError | None = None, lag: float | None = None
    ) -> None:
        self.actions.append(Notice(kind=kind, detail=detail, cause=cause, lag=lag))

    def step(self, step: StageInput) -> None:
        changed = self.machine.apply(step)
        if changed is not None:
            self.actions.append(StageChanged(*changed))

    def redact(self, text: str) -> str:
        """The peer's text without what it may know of us (F41)."""
        secrets = [self.config.token, *([self.session.id] if self.session is not None else [])]
        for secret in secrets:
            if secret:
                text = text.replace(secret.reveal(), str(secret))
        return text

    # -- a connection begins -----------------------------------------------------------------------------------

    def dial(self) -> None:
        """Hand out a `Connect` of a new generation."""
        config, limits = self.config, self.config.limits
        self.timers.clear(Timer.RECONNECT)
        self.generation += 1
        self._url = url = self.route.dial()
        inflater = make_inflater(
            transport=config.transport_compression,
            payload=config.payload_compression,
            limit=limits.max_inflated,
            max_window=limits.max_zstd_window,
        )
        self.connection = Connection(self.generation, inflater, (self._max_message, limits.call_budget), self.now)
        self.step(StageInput.DIAL)
        self.timers.set(Timer.DIAL, self.now + limits.dial)
        self.actions.append(
            Connect(
                generation=self.generation,
                host=url.host,
                port=url.port,
                tls=url.tls,
                url=url.full(self._parameters()),
            )
        )

    def socket_open(self, connection: Connection, *, framed: bool) -> None:
        """The transport has a socket; unframed, somebody else has done the upgrade already."""
        if self.stage is not ConnectionStage.CONNECTING or self._url is None:
            return
        if framed:
            ws = WebSocketClient(
                self._url,
                self._parameters(),
                user_agent=self.config.user_agent,
                rng=self.rng,
                max_message=self._max_message,
                max_response=self.config.limits.max_upgrade_response,
            )
            connection.open(ws)
        else:
            connection.open(ExternalWebSocket())
        self.step(StageInput.OPENED)
        if not framed:
            self.upgraded(connection)

    def upgraded(self, connection: Connection) -> None:
        """Messages can flow: from here on HELLO is due (F22)."""
        connection.upgraded = True
        self.timers.clear(Timer.DIAL)
        self.timers.set(Timer.HELLO, self.now + self.config.limits.hello)

    @property
    def _max_message(self) -> int:
        limits = self.config.limits
        return limits.max_message if self.config.transport_compression is None else limits.max_compressed_message

    def _parameters(self) -> dict[str, str]:
        """What the URL must say, appended afresh to whichever host is dialled (F03)."""
        parameters = {"v": str(self.config.api_version), "encoding": self.config.encoding}
        if self.config.transport_compression is not None:
            parameters["compress"] = self.config.transport_compression
        return parameters

    # -- a connection is a session -----------------------------------------------------------------------------

    def connected(self, connection: Connection, step: StageInput) -> None:
        """READY or RESUMED: there is a live session on this connection."""
        self.step(step)
        self.timers.clear(Timer.RESUMED, Timer.READY)
        # A gateway that did not wait for our IDENTIFY or RESUME: one that is still unsent would end what it has given.
        connection.greeting = None
        self._return_permit(connection)
        if connection.connected_at is None:
            connection.connected_at = self.now
        self._lost_at = None
        self._tries = 0
        if not self.guilds.settled:
            # READY's guilds that had not come are replayed from here on.
            self.await_guilds()

    def await_guilds(self) -> None:
        self.guild_came_at = self.now
        self.timers.set(Timer.GUILDS, self.now + self.config.limits.guilds_settled)

    def discard(self, cause: DiscardCause) -> None:
        """Give the session up. The only place that does (F02)."""
        session = self.session
        if session is None:
            return
        downtime = 0.0 if self._lost_at is None else self.now - self._lost_at
        self.actions.append(SessionLost(epoch=session.epoch, sequence=session.received, downtime=downtime, cause=cause))
        self.tally.discards[cause] += 1
        self.session = None
        self._lost_at = None
        self.route.forget()
        self.setbacks.forget()
        self.guilds.settle()
        self.timers.clear(Timer.GUILDS)

    def _restore(self, session: Session) -> None:
        """Take over a session of an earlier process, if it is one of this shard's (F38)."""
        self.epoch = 1
        refused = mismatch(session, self.config.binding(), self.config.application_id)
        self.session = LiveSession(
            epoch=self.epoch,
            id=session.id,
            resume_url=session.resume_url,
            sequence=session.sequence,
            delivered=session.sequence,
            application_id=session.application_id,
            seen=session.received or 0,
        )
        if refused is None:
            self.adopt_resume_url()
            return
        self.notice(NoticeKind.SESSION_REFUSED, str(refused), refused)
        self.discard(DiscardCause.MISMATCH)

    def adopt_resume_url(self) -> None:
        """The session's own URL is where the next RESUME goes, unless the token may not go there (F03)."""
        if self.session is None:
            return
        refused = self.route.set_resume_url(self.session.resume_url)
        if refused is not None:
            self.notice(NoticeKind.RESUME_URL_REFUSED, f"resuming at the base URL: {refused}", refused)

    # -- a connection ends -------------------------------------------------------------------------------------

    def lose(
        self,
        cause: GatewayError,
        *,
        discard: DiscardCause | None = None,
        free: bool = False,
        floor: float = 0.0,
        code: int = RESUMABLE_CLOSURE,
        disconnect: bool = True,
    ) -> None:
        """End the connection and plan the next one. What that does is not chosen here: it resumes what is left.

        Args:
            discard: give the session up, for this cause.
            free: the first such end in a row is followed by a dial at once.
            floor: wait at least so many seconds.
            disconnect: False where the transport has no socket (any more).
        """
        was_live = self.connection is not None and self.connection.connected_at is not None
        self._hang_up(code, disconnect=disconnect)
        if discard is not None:
            self.discard(discard)
        if was_live:
            self.actions += self.outbox.requeue("the connection was lost first")
        limit = self.config.max_reconnects
        if limit is not None and self._tries >= limit:
            self.fatal(ReconnectFailureError(self._tries))
            return
        self._tries += 1
        self.tally.reconnects += 1
        retry_after = cause.retry_after if isinstance(cause, InvalidHandshakeError) else None
        after = self.backoff.next(
            free=free and self.reconnect_type is ReconnectType.RESUME, floor=floor, retry_after=retry_after
        )
        self.timers.set(Timer.RECONNECT, self.now + after)
        self.actions.append(Reconnect(type=self.reconnect_type, after=after, cause=cause))

    def fatal(self, cause: GatewayError) -> None:
        """The shard cannot go on by itself. A session that it holds stays valid and can be stored (F02)."""
        self.end(RESUMABLE_CLOSURE, f"the shard ended: {type(cause).__name__}")
        self.actions.append(Fatal(cause=cause))

    def end(self, code: int, reason: str) -> None:
        """Close for good: no timer is left, what waits to be sent is dropped for this reason."""
        self._hang_up(code, disconnect=True)
        self.timers.clear()
        self.actions += self.outbox.clear(reason)
        self.started = False
        self.is_shutdown = True
        self._tries = 0

    def _hang_up(self, code: int, *, disconnect: bool) -> None:
        connection = self.connection
        if connection is None:
            return
        self.connection = None
        self.tally.bytes_in += connection.bytes_in
        if self.stage is ConnectionStage.CONNECTED:
            self._lost_at = connection.last_received
        if connection.connected_at is not None and self.now - connection.connected_at >= self.config.limits.stable:
            self.backoff.forgive()
        if disconnect:
            self._disconnect(connection, code)
        self._return_permit(connection)
        self.step(StageInput.LOST)
        self.timers.clear(*_CONNECTION_TIMERS)

    def _return_permit(self, connection: Connection) -> None:
        if connection.permit is not None:
            self.actions.append(PermitReturned(permit=connection.permit))
            connection.permit = None

    def _disconnect(self, connection: Connection, code: int) -> None:
        farewell = b""
        if connection.ws is not None and connection.upgraded:
            connection.ws.close(code)
            farewell = connection.ws.data_to_send()
        self.tally.bytes_out += len(farewell)
        self.actions.append(
            Disconnect(
                generation=connection.generation,
                farewell=farewell,
                code=code,
                reason="",
                grace=self.config.limits.close_grace,
            )
        )
