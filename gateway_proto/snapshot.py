"""What a supervisor sees of a shard (F25)."""

from collections.abc import Mapping

import msgspec

from .actions import DiscardCause, ReconnectType
from .lifecycle import Lifecycle
from .presence import CurrentPresence
from .session import Session
from .stage import ConnectionStage
from .tally import DAY


class ShardSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A shard at one instant: `now`, the last time that it was told. Times in seconds; instants on its clock."""

    now: float
    stage: ConnectionStage
    shard_info: tuple[int, int] | None
    started: bool
    """`connect` was called, and it is not shut down."""
    is_shutdown: bool
    should_reconnect: bool
    """It will dial again by itself once the connection is lost."""
    reconnection_type: ReconnectType
    """What the next connection would do."""
    generation: int
    epoch: int
    received: int
    """The last sequence received of the session, 0 without one."""
    delivered: int
    """The last sequence that the sink has taken."""
    session: Session | None
    """What the next process would resume from."""
    current_presence: CurrentPresence
    heartbeat_interval: float | None
    last_heartbeat_sent: float | None
    last_heartbeat_ack: float | None
    last_heartbeat_acknowledged: bool
    latency: float | None
    """From a beat to its ACK."""
    lag: float
    """How late the last heartbeat's timer was handled."""
    frame_age: float | None
    """Since the last bytes came in on this connection."""
    ack_age: float | None
    ready_age: float | None
    """Since the last READY."""
    identifies_24h: int
    resumes_tried: int
    resumes_won: int
    reconnects: int
    bytes_in: int
    bytes_out: int
    buffered_bytes: int
    """Of a message that is not whole yet, on the wire or inflated."""
    queued_commands: int
    guilds_awaited: int
    duplicates: int
    gaps: int
    unrecognized: int
    """Opcodes that are not documented, passed through."""
    undelivered_oddities: int
    """Dispatches that came before READY, which belong to no session."""
    reading_paused: bool
    discards: Mapping[DiscardCause, int]
    """Sessions given up, by cause (F02)."""


def take_snapshot(life: Lifecycle) -> ShardSnapshot:
    """Read everything off a shard's lifecycle; changes nothing."""
    tally, session, connection = life.tally, life.session, life.connection
    heart = connection.heart if connection is not None else None
    ack_at = heart.acknowledged_at if heart is not None else None
    return ShardSnapshot(
        now=life.now,
        stage=life.stage,
        shard_info=life.config.shard,
        started=life.started,
        is_shutdown=life.is_shutdown,
        should_reconnect=life.started and not life.is_shutdown,
        reconnection_type=life.reconnect_type,
        generation=life.generation,
        epoch=life.epoch,
        received=session.received if session is not None else 0,
        delivered=session.delivered if session is not None else 0,
        session=session.snapshot(life.config.binding(), None) if session is not None else None,
        current_presence=life.presence,
        heartbeat_interval=heart.interval if heart is not None else None,
        last_heartbeat_sent=heart.sent_at if heart is not None else None,
        last_heartbeat_ack=ack_at,
        last_heartbeat_acknowledged=heart.is_acknowledged if heart is not None else True,
        latency=heart.latency if heart is not None else None,
        lag=tally.lag,
        frame_age=life.now - connection.last_received if connection is not None and connection.bytes_in else None,
        ack_age=life.now - ack_at if ack_at is not None else None,
        ready_age=life.now - tally.ready_at if tally.ready_at is not None else None,
        identifies_24h=tally.identifies_since(life.now - DAY),
        resumes_tried=tally.resumes_tried,
        resumes_won=tally.resumes_won,
        reconnects=tally.reconnects,
        bytes_in=tally.bytes_in + (connection.bytes_in if connection is not None else 0),
        bytes_out=tally.bytes_out,
        buffered_bytes=connection.buffered if connection is not None else 0,
        queued_commands=len(life.outbox),
        guilds_awaited=life.guilds.count,
        duplicates=tally.duplicates,
        gaps=tally.gaps,
        unrecognized=tally.unrecognized,
        undelivered_oddities=tally.before_ready,
        reading_paused=connection is not None and connection.paused_since is not None,
        discards=dict(tally.discards),
    )
