"""Events of invites. Discord sends them to bots that may manage the channel (`MANAGE_CHANNELS`)."""

from .model import UNSET, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .structures.application import PartialApplication
from .structures.user import User

__all__ = ["InviteCreate", "InviteDelete", "InviteTargetType"]


class InviteTargetType(OpenEnum):
    """What an invite to a voice channel opens there (Discord: Invite Resource > Invite Target Types)."""

    STREAM = 1
    EMBEDDED_APPLICATION = 2


class InviteCreate(Model, frozen=True, kw_only=True):
    """`INVITE_CREATE`: an invite was made (Discord: Gateway Events > Invite Create). Intents: GUILD_INVITES."""

    channel_id: Snowflake
    code: str
    """What follows `https://discord.gg/`."""
    created_at: Timestamp
    guild_id: Maybe[Snowflake] = UNSET
    inviter: Maybe[User] = UNSET
    max_age: int
    """Seconds for which it is valid; 0 is for ever."""
    max_uses: int
    """0 is any number."""
    target_type: Maybe[InviteTargetType] = UNSET
    target_user: Maybe[User] = UNSET
    """Whose stream it shows."""
    target_application: Maybe[PartialApplication] = UNSET
    """The activity that it opens."""
    temporary: bool
    """Who comes by it is removed on going offline, unless given a role by then."""
    uses: int
    """Always 0."""
    expires_at: Timestamp | None = None
    """None: never."""
    role_ids: Maybe[list[Snowflake]] = UNSET
    """The roles that it gives to who accepts it."""


class InviteDelete(Model, frozen=True, kw_only=True):
    """`INVITE_DELETE`: an invite was deleted (Discord: Gateway Events > Invite Delete). Intents: GUILD_INVITES."""

    channel_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    code: str
