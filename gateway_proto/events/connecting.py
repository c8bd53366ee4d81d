"""Events of the session itself: it stands, it goes on, it was told to wait."""

from typing import ClassVar

from .model import UNSET, Maybe, Model, Sealed, Snowflake
from .structures.application import PartialApplication
from .structures.guild import UnavailableGuild
from .structures.user import User

__all__ = ["RateLimited", "Ready", "RequestGuildMembersRateLimit", "Resumed"]


class Ready(Sealed, frozen=True, kw_only=True):
    """`READY`: a new session stands (Discord: Gateway Events > Ready).

    The guilds follow, each in a GUILD_CREATE. Session id and resume URL do not print. Intents: none.
    """

    v: int
    """Version of the API."""
    user: User
    guilds: list[UnavailableGuild]
    """All that the bot is in (of this shard), unavailable until their GUILD_CREATE."""
    session_id: str
    resume_gateway_url: str
    shard: Maybe[tuple[int, int]] = UNSET
    """Shard id and number of shards, as identified."""
    application: PartialApplication
    """Id and flags only."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"session_id", "resume_gateway_url"})


class Resumed(Model, frozen=True, kw_only=True):
    """`RESUMED`: the session goes on; what was missed has been sent (Discord: Gateway Events > Resumed).

    Intents: none.
    """


class RequestGuildMembersRateLimit(Model, frozen=True, kw_only=True):
    """Which request for members was refused.

    (Discord: Gateway Events > Request Guild Member Rate Limit Metadata Structure)
    """

    guild_id: Maybe[Snowflake] = UNSET
    """UNSET if the command was another than opcode 8."""
    nonce: Maybe[str] = UNSET
    """That of the request."""


class RateLimited(Model, frozen=True, kw_only=True):
    """`RATE_LIMITED`: a command was refused, having been sent too often (Discord: Gateway Events > Rate Limited).

    Intents: none.
    """

    opcode: int
    """Of the command, see `Opcode`: today always 8, Request Guild Members."""
    retry_after: float
    """Seconds."""
    meta: RequestGuildMembersRateLimit
    """Which of those commands it was."""
