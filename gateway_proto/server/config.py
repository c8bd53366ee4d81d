"""The settings of a server, checked when they are made."""

import math
from collections.abc import Callable, Iterable
from typing import Final

from ..commands import MAX_PAYLOAD
from ..errors import require
from ..intents import Intents
from ..ratelimit import SEND_LIMIT, SEND_PERIOD
from ..secret import Secret
from ..url import parse_gateway_url
from ..world import WorldConfig
from .checked import Checked
from .faults import Planned

OLDEST_VERSION: Final = 9
"""Of the gateway versions that Discord serves; those before it are deprecated or gone."""


class ServerLimits(Checked, frozen=True, kw_only=True):
    """Every bound on what a client can make the server hold or wait for. Sizes in bytes, times in seconds."""

    max_request: int = 16 * 2**10
    """The header of the HTTP request; h11's own default."""
    max_body: int = 256 * 2**10
    """The body of an HTTP request as it comes; over it the answer is 413."""
    max_payload: int = MAX_PAYLOAD
    """A gateway payload; over it the connection is closed with 4002."""
    max_unsent: int = 64 * 2**20
    """Queued for a client that does not read, then its socket is dropped. A replay is not counted: the session
    holds it."""
    max_replay: int = 64 * 2**20
    """Of dispatches that a session keeps, where there is a world: guilds are large. Older ones are lost to a RESUME."""
    max_held: int = 2**20
    """Received during a `Stall`, then the socket is dropped: twice what 120 payloads a minute can be."""
    request_timeout: float = 10.0
    """From the accepted socket to the whole request."""
    close_grace: float = 2.0
    """For the client's close frame after ours, and for writing what is left."""


class ServerConfig(Checked, frozen=True, kw_only=True):
    """What the server stands for: one application, as its gateway sees it. Times in seconds.

    Args:
        url: what GET /gateway names. A listener on port 0 makes the config once it knows its port.
        resume_url: READY's `resume_gateway_url`; left out for None.
        token: the only one that is right; for None any is that is not empty.
        api_version: the newest that the URL's `v` may name, and REST routes; so may 9, which Discord serves beside 10.
            Payloads are those of 10 for both.
        guild_ids: what READY lists, each on the shard that owns it. Nothing else is known of them.
        shard_guilds: what READY lists for a shard, (id, total), in place of `guild_ids`: guilds for any sharding.
        world: the guilds that the bot is in, with all that is in them (`Server.world`): READY lists them, GUILD_CREATE
            brings them, requests are answered by them. Settings and no `GuildWorld`, which changes: two servers of one
            config have a world each, and no other bot than this one can be in it.
        member_request_period: how often all members of a guild may be asked for; sooner there is RATE_LIMITED.
        shards: the recommended count.
        min_shards: an IDENTIFY with a smaller total is closed with 4011.
        max_concurrency: IDENTIFYs in each `identify_period`, one for each bucket (shard id % max_concurrency).
        session_limit: IDENTIFYs in each `session_limit_period`, which runs from the first.
        heartbeat_interval: what HELLO tells.
        heartbeat_tolerance: a client silent for more intervals than this is closed with 4000.
        allowed_intents: others that are documented are closed with 4014.
        session_lifetime: for how long a session without a connection can be resumed.
        expired_close: close a RESUME of an expired session with 4009, instead of op 9 false as the documentation's
            "Resuming" has it. Both occur in the field; the server remembers the last 1,024 expired ones, and tells
            each once: a second RESUME gets op 9 false.
        replay_events: how many dispatches a session keeps; None: max(100, min(3500, 75 × guilds)).
        trim_at_heartbeat: forget dispatches up to a heartbeat's `d`.
        send_limit, send_period: more payloads of a client in any such period are closed with 4008.
        payload_threshold: with payload compression, the size in bytes above which a message is compressed.
        plan: faults that fire by themselves.

    Raises:
        InvalidConfigError: a field is of another type, or a number out of its range.
        BuildingUrlError: a URL cannot be dialled.
    """

    url: str = "ws://localhost"
    resume_url: str | None = None
    token: Secret | None = None
    api_version: int = 10
    user_id: int = 80351110224678912
    application_id: int = 80351110224678912
    username: str = "gateway-proto"
    guild_ids: tuple[int, ...] = ()
    shard_guilds: Callable[[tuple[int, int]], Iterable[int]] | None = None
    world: WorldConfig | None = None
    member_request_period: float = 30.0
    shards: int = 1
    min_shards: int = 1
    max_concurrency: int = 1
    identify_period: float = 5.0
    session_limit: int = 1000
    session_limit_period: float = 86400.0
    heartbeat_interval: float = 41.25
    heartbeat_tolerance: float = 1.75
    allowed_intents: Intents = Intents.all()
    session_lifetime: float = 180.0
    expired_close: bool = False
    replay_events: int | None = None
    trim_at_heartbeat: bool = False
    send_limit: int = SEND_LIMIT
    send_period: float = SEND_PERIOD
    payload_threshold: int = 1024
    zlib_level: int = 6
    zstd_level: int = 3
    plan: tuple[Planned, ...] = ()
    limits: ServerLimits = ServerLimits()

    def __post_init__(self) -> None:
        super().__post_init__()
        for url in (self.url, self.resume_url):
            if url is not None:
                parse_gateway_url(url)
        for name in ("shards", "min_shards", "max_concurrency", "send_limit"):
            require(getattr(self, name) >= 1, f"{name} must be at least 1")
        for name in ("heartbeat_interval", "heartbeat_tolerance", "send_period", "session_limit_period"):
            require(0 < getattr(self, name) < math.inf, f"{name} must be more than 0")
        for name in (
            "identify_period",
            "session_lifetime",
            "session_limit",
            "payload_threshold",
            "member_request_period",
        ):
            require(getattr(self, name) >= 0, f"{name} must be 0 or more")
        sources = bool(self.guild_ids) + (self.shard_guilds is not None) + (self.world is not None)
        require(sources <= 1, "guild_ids, shard_guilds and world each say what guilds there are: give one of them")
        require(self.replay_events is None or self.replay_events >= 1, "replay_events must be at least 1, or None")
        require(0 <= self.zlib_level <= 9, "zlib_level must be 0 to 9")
        require(1 <= self.zstd_level <= 19, "zstd_level must be 1 to 19")

    @property
    def api_versions(self) -> tuple[str, ...]:
        """What `v` may say."""
        return tuple(map(str, range(min(OLDEST_VERSION, self.api_version), self.api_version + 1)))

    @property
    def guild_count(self) -> int:
        """How many guilds there are, of all shards; as the recommended count has it, where they are the shard's."""
        if self.world is not None:
            return self.world.guild_count
        if self.shard_guilds is not None:
            return sum(1 for _ in self.shard_guilds((0, self.shards))) * self.shards
        return len(self.guild_ids)

    @property
    def replay_capacity(self) -> int:
        """How many dispatches a session keeps to be replayed."""
        return self.replay_events or max(100, min(3500, 75 * self.guild_count))

    @property
    def replay_bytes(self) -> int | None:
        """How many bytes of them; None: any."""
        return None if self.world is None else self.limits.max_replay
