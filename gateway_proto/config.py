"""The settings of a shard, checked when they are made."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .errors import InvalidConfigError
from .intents import Intents
from .presence import CurrentPresence
from .secret import Secret
from .session import SessionBinding
from .url import parse_gateway_url

DEFAULT_URL = "wss://gateway.discord.gg"
USER_AGENT = "DiscordBot (https://pypi.org/project/gateway-proto, 0.1.0)"
"""What Discord asks for: DiscordBot ($url, $versionNumber) (API Reference > User Agent)."""
TransportCompression = Literal["zlib-stream", "zstd-stream"]


MIN_ZSTD_WINDOW = 1024
"""Bytes; RFC 8878 section 3.1.1.1.2 has none smaller."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Every bound on what a peer can make a shard hold or wait for. Sizes in bytes, times in seconds."""

    max_message: int = 128 * 2**20
    """A message on the wire without transport compression: a GUILD_CREATE with 75,000 members is legal (F29)."""
    max_compressed_message: int = 16 * 2**20
    """The same with transport compression."""
    max_inflated: int = 128 * 2**20
    """A message after inflating."""
    max_zstd_window: int = 8 * 2**20
    """What the server may make the decompressor remember; Discord uses 0.1 to 2 MiB."""
    call_budget: int = 64 * 2**20
    """Inflated bytes in one call beyond its first message; the rest waits for the next (no fault)."""
    max_upgrade_response: int = 16 * 2**10
    """The header of the answer to the upgrade request."""
    max_queued_commands: int = 512
    """Commands that wait for a session or for the send budget."""
    dial: float = 10.0
    """From the name to the upgraded socket (F01)."""
    hello: float = 15.0
    """From the upgraded socket to HELLO (F22)."""
    resumed: float = 60.0
    """RESUME without RESUMED or any dispatch (F22)."""
    ready_notice: float = 300.0
    """IDENTIFY without READY, until a notice says so (F22)."""
    guilds_settled: float = 15.0
    """Without another of the guilds that READY announced (F25)."""
    close_grace: float = 2.0
    """For a close handshake, then the socket is aborted (F26)."""
    stable: float = 60.0
    """Connected for so long forgives earlier failures (F23)."""
    lag_notice: float = 1.0
    """A heartbeat's timer handled later than this is reported (F09)."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not getattr(self, name) >= 0:
                raise InvalidConfigError(f"Limits.{name} must not be negative")
        if self.max_zstd_window < MIN_ZSTD_WINDOW:
            raise InvalidConfigError(f"Limits.max_zstd_window must be at least {MIN_ZSTD_WINDOW} bytes")


def _default_properties() -> dict[str, str]:
    return {"os": "linux", "browser": "gateway-proto", "device": "gateway-proto"}


class ShardConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who the bot is and what it wants. Every field is checked when the value is made.

    Args:
        token: the bot's token, without the prefix "Bot ".
        intents: which events to be sent.
        shard: (id, total), or None for a bot that does not shard.
        presence: shown from IDENTIFY on.
        url: the gateway's base URL, from GET /gateway/bot or the default. A resume URL is trusted below its domain:
            its host without the first label, where it has three or more.
        payload_compression: ask Discord to compress large payloads one by one (IDENTIFY's `compress`).
        transport_compression: one compressed stream for the whole connection (the URL's `compress`).
        large_threshold: members beyond which a guild's offline ones are left out, 50 to 250.
        properties: IDENTIFY's `properties`.
        identify_extra: further fields of IDENTIFY, passed through as they are.
        auto_deliver: what an input returned counts as delivered at the next one (for a sink without a queue).
        max_reconnects: reconnects in a row without a session after which the shard gives up; None never does.
        application_id: if given, a stored session of another application is refused.
        resume_domains: further domains whose hosts a resume URL may name; the base URL's own is always one (F03).
        recommended_shards: what /gateway/bot said, for the text of close codes 4010 and 4011.

    Raises:
        InvalidConfigError: Discord would refuse this.
        BuildingUrlError: the URL cannot be dialled.
    """

    token: Secret
    intents: Intents
    shard: tuple[int, int] | None = None
    presence: CurrentPresence = CurrentPresence()
    url: str = DEFAULT_URL
    api_version: int = 10
    encoding: str = "json"
    payload_compression: bool = False
    transport_compression: TransportCompression | None = None
    large_threshold: int | None = None
    properties: Mapping[str, str] = msgspec.field(default_factory=_default_properties)
    identify_extra: Mapping[str, Any] = msgspec.field(default_factory=dict)
    user_agent: str = USER_AGENT
    limits: Limits = Limits()
    auto_deliver: bool = False
    max_reconnects: int | None = None
    application_id: int | None = None
    recommended_shards: int | None = None
    resume_domains: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_token(self.token)
        _check_shard(self.shard)
        _check_encoding(self)
        if self.large_threshold is not None and not 50 <= self.large_threshold <= 250:
            raise InvalidConfigError(f"large_threshold must be 50 to 250, not {self.large_threshold}")
        if self.max_reconnects is not None and self.max_reconnects < 0:
            raise InvalidConfigError("max_reconnects must be 0 or more, or None for no limit")
        if self.intents < 0:
            raise InvalidConfigError("intents must not be negative")
        check_user_agent(self.user_agent)
        parse_gateway_url(self.url)

    def binding(self) -> SessionBinding:
        """What a stored session must have been made with to be resumed under this config."""
        return SessionBinding(
            shard=self.shard,
            intents=int(self.intents),
            api_version=self.api_version,
            encoding=self.encoding,
            transport_compression=self.transport_compression,
            payload_compression=self.payload_compression,
        )


def check_token(token: object) -> None:
    """Raises InvalidConfigError for what is no bot token, or cannot stand in a header."""
    if not isinstance(token, Secret):
        raise InvalidConfigError("the token must be given as Secret(token), which no log prints")
    text = token.reveal()
    if not text:
        raise InvalidConfigError("the token is empty")
    if text.startswith("Bot "):
        raise InvalidConfigError('the token must come without the prefix "Bot "')
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise InvalidConfigError("the token must be one word of printable ASCII")


def check_user_agent(user_agent: str) -> None:
    """Raises InvalidConfigError for what cannot stand in a header (RFC 9110 section 5.5)."""
    if not re.fullmatch(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?", user_agent):
        raise InvalidConfigError("user_agent must be printable ASCII on one line, without spaces around it")


def _check_shard(shard: tuple[int, int] | None) -> None:
    if shard is None:
        return
    index, total = shard
    if not 0 <= index < total:
        raise InvalidConfigError(f"the shard must be (id, total) with 0 <= id < total, not ({index}, {total})")


def _check_encoding(config: ShardConfig) -> None:
    if config.payload_compression and config.transport_compression is not None:
        raise InvalidConfigError("payload and transport compression exclude each other: choose one")
    if config.payload_compression and config.encoding == "etf":
        raise InvalidConfigError("payload compression and ETF exclude each other: choose one")
    if config.encoding != "json":
        raise InvalidConfigError(f"the encoding must be json, not {config.encoding!r}")
    if config.transport_compression not in (None, "zlib-stream", "zstd-stream"):
        raise InvalidConfigError(
            f"transport_compression must be zlib-stream, zstd-stream or None, not {config.transport_compression!r}"
        )
