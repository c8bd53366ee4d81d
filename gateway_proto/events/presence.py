"""Events of what users show and do: presences, typing, the bot's own user."""

from .model import UNSET, Maybe, Model, Snowflake
from .structures.guild import GuildMember
from .structures.presence import Presence
from .structures.user import User

__all__ = ["PresenceUpdate", "TypingStart", "UserUpdate"]


class PresenceUpdate(Presence, frozen=True, kw_only=True):
    """`PRESENCE_UPDATE`: a member's status, activities, name or avatar changed; one event for each guild they share.

    Of the user only `id` is sure, and nothing else is: any field may be absent, and Discord does not check its type.
    One that does not fit is left UNSET.

    (Discord: Gateway Events > Presence Update) Intents: GUILD_PRESENCES (privileged).
    """


class TypingStart(Model, frozen=True, kw_only=True):
    """`TYPING_START`: somebody began to type.

    (Discord: Gateway Events > Typing Start) Intents: GUILD_MESSAGE_TYPING, in direct messages DIRECT_MESSAGE_TYPING.
    """

    channel_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    """Absent: a direct message."""
    user_id: Snowflake
    timestamp: int
    """Unix time in seconds."""
    member: Maybe[GuildMember] = UNSET
    """Absent: a direct message."""


class UserUpdate(User, frozen=True, kw_only=True):
    """`USER_UPDATE`: the bot's own user changed (Discord: Gateway Events > User Update). Intents: none."""
