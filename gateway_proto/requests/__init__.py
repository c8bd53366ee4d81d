"""Asking Discord for members, soundboard sounds and channel info, and waiting for the whole answer (F35).

`GuildRequests` is the machine that stands beside a `Shard`; a runner's `request_members` and its like drive one.
"""

from .answers import (
    ChannelInfoRequest,
    IncompleteMembersError,
    IncompleteSoundsError,
    MemberRequest,
    Members,
    RequestEnd,
    RequestError,
    RequestResult,
    Sounds,
    SoundsRequest,
)
from .machine import Answered, Failed, GuildRequests, RequestOutcome

__all__ = [
    "Answered",
    "ChannelInfoRequest",
    "Failed",
    "GuildRequests",
    "IncompleteMembersError",
    "IncompleteSoundsError",
    "MemberRequest",
    "Members",
    "RequestEnd",
    "RequestError",
    "RequestOutcome",
    "RequestResult",
    "Sounds",
    "SoundsRequest",
]
