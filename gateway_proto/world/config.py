"""What a world is made from: values only, so that a configuration can be compared, copied and kept."""

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from ..errors import require

SHARES: Final[Mapping[str, float]] = {
    "MESSAGE_CREATE": 0.432,
    "TYPING_START": 0.14,
    "PRESENCE_UPDATE": 0.09,
    "VOICE_STATE_UPDATE": 0.05,
    "MESSAGE_REACTION_ADD": 0.045,
    "MESSAGE_UPDATE": 0.04,
    "GUILD_MEMBER_UPDATE": 0.035,
    "MESSAGE_DELETE": 0.015,
    "INTERACTION_CREATE": 0.015,
    "MESSAGE_REACTION_REMOVE": 0.01,
    "GUILD_MEMBER_ADD": 0.01,
    "GUILD_MEMBER_REMOVE": 0.009,
    "CHANNEL_UPDATE": 0.01,
    "THREAD_CREATE": 0.008,
    "MESSAGE_POLL_VOTE_ADD": 0.006,
    "GUILD_ROLE_UPDATE": 0.005,
    "INVITE_CREATE": 0.005,
    "THREAD_UPDATE": 0.004,
    "THREAD_MEMBERS_UPDATE": 0.003,
    "THREAD_DELETE": 0.003,
    "MESSAGE_POLL_VOTE_REMOVE": 0.002,
    "VOICE_CHANNEL_EFFECT_SEND": 0.002,
    "CHANNEL_PINS_UPDATE": 0.002,
    "VOICE_CHANNEL_STATUS_UPDATE": 0.002,
    "INVITE_DELETE": 0.002,
    "AUTO_MODERATION_ACTION_EXECUTION": 0.002,
    "GUILD_SCHEDULED_EVENT_USER_ADD": 0.002,
    "GUILD_SCHEDULED_EVENT_USER_REMOVE": 0.001,
    "GUILD_SCHEDULED_EVENT_CREATE": 0.001,
    "GUILD_SCHEDULED_EVENT_UPDATE": 0.001,
    "GUILD_SCHEDULED_EVENT_DELETE": 0.001,
    "MESSAGE_DELETE_BULK": 0.001,
    "MESSAGE_REACTION_REMOVE_ALL": 0.001,
    "MESSAGE_REACTION_REMOVE_EMOJI": 0.001,
    "CHANNEL_CREATE": 0.002,
    "CHANNEL_DELETE": 0.001,
    "GUILD_ROLE_CREATE": 0.002,
    "GUILD_ROLE_DELETE": 0.001,
    "GUILD_UPDATE": 0.002,
    "GUILD_BAN_ADD": 0.002,
    "GUILD_BAN_REMOVE": 0.001,
    "GUILD_EMOJIS_UPDATE": 0.002,
    "GUILD_STICKERS_UPDATE": 0.001,
    "GUILD_SOUNDBOARD_SOUND_CREATE": 0.001,
    "GUILD_SOUNDBOARD_SOUND_UPDATE": 0.001,
    "GUILD_SOUNDBOARD_SOUND_DELETE": 0.001,
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE": 0.001,
    "STAGE_INSTANCE_CREATE": 0.002,
    "STAGE_INSTANCE_UPDATE": 0.001,
    "STAGE_INSTANCE_DELETE": 0.001,
    "THREAD_LIST_SYNC": 0.001,
    "THREAD_MEMBER_UPDATE": 0.001,
    "AUTO_MODERATION_RULE_CREATE": 0.001,
    "AUTO_MODERATION_RULE_UPDATE": 0.001,
    "AUTO_MODERATION_RULE_DELETE": 0.001,
    "INTEGRATION_CREATE": 0.001,
    "INTEGRATION_UPDATE": 0.001,
    "INTEGRATION_DELETE": 0.001,
    "WEBHOOKS_UPDATE": 0.001,
    "APPLICATION_COMMAND_PERMISSIONS_UPDATE": 0.001,
    "ENTITLEMENT_CREATE": 0.001,
    "ENTITLEMENT_UPDATE": 0.001,
    "ENTITLEMENT_DELETE": 0.001,
    "SUBSCRIPTION_CREATE": 0.001,
    "SUBSCRIPTION_UPDATE": 0.001,
    "SUBSCRIPTION_DELETE": 0.001,
    "USER_UPDATE": 0.0005,
}
"""How often each event is drawn. Some follow from others and are not drawn: the audit log's entries, the presence in
each other guild that a user shares, when a voice channel filled, GUILD_INTEGRATIONS_UPDATE."""

MAX_USERS: Final = 50_000_000
"""Of a world: their ids still lie milliseconds apart."""
LARGE: Final = 35
"""A guild has at most so many times `members`."""


class WorldConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which world it is. The same settings and the same requests give the same bytes.

    Args:
        guilds: how many the bot is in, or their ids.
        members: about how many each has; one of fifty has 5 to 35 times as many.
        seed: what everything derives from.
        direct: the share of messages, reactions, typing, votes and commands that is in direct messages.
        outages: the share of guilds in an outage at first. One of four of them comes back by script only.
        outage_rate: the share of events drawn that begin one.
        outage_length: events until a guild is back, on average.
        shares: how often each event is drawn, by the names in `SHARES`. What cannot happen just then (nobody to unban)
            is a MESSAGE_CREATE instead.
        numbered: each event carries `_shard` and `_number`, as those of `gateway_proto.testing.EventStream`.

    Raises:
        InvalidConfigError: a number is out of its range.
    """

    guilds: int | tuple[int, ...] = 10
    members: int = 50
    seed: int = 0
    direct: float = 0.02
    outages: float = 0.0
    outage_rate: float = 0.0
    outage_length: int = 200
    shares: dict[str, float] = msgspec.field(default_factory=lambda: dict(SHARES))
    numbered: bool = False

    def __post_init__(self) -> None:
        ids = (1,) * min(self.guilds, 1) if isinstance(self.guilds, int) else self.guilds
        require(bool(ids), "guilds must be at least 1, or their ids")
        require(len(ids) == len(set(ids)) and all(0 < id < 2**63 for id in ids), "guilds must be ids that differ")
        require(self.members >= 1 and self.members * LARGE <= MAX_USERS, f"members must be 1 to {MAX_USERS // LARGE}")
        for name in ("direct", "outages", "outage_rate"):
            require(0.0 <= getattr(self, name) <= 1.0, f"{name} must be a share, 0 to 1")
        require(self.outage_length >= 1, "outage_length must be at least 1")
        require(self.shares.keys() <= SHARES.keys(), f"shares must be of these events: {', '.join(SHARES)}")
        shares = self.shares.values()
        require(
            all(0 <= share < math.inf for share in shares) and sum(shares) > 0, "shares must be 0 or more, not all 0"
        )

    @property
    def guild_count(self) -> int:
        return self.guilds if isinstance(self.guilds, int) else len(self.guilds)
