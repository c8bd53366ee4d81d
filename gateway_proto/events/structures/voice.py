"""Who is in which voice channel, and how."""

from typing import ClassVar

from ..model import UNSET, Later, Maybe, Sealed, Snowflake, Timestamp
from .guild import GuildMember

__all__ = ["VoiceState"]


class VoiceState(Sealed, frozen=True, kw_only=True):
    """One user's connection to voice (Discord: Voice Resource > Voice State Structure)."""

    LATER: ClassVar[Later] = {"self_video": lambda state: False}  # 2020
    SECRETS: ClassVar[frozenset[str]] = frozenset({"session_id"})

    guild_id: Maybe[Snowflake] = UNSET
    """Absent in `GUILD_CREATE`, whose guild it is."""
    channel_id: Snowflake | None = None
    """None: the user has left voice."""
    user_id: Snowflake
    member: Maybe[GuildMember] = UNSET
    session_id: str
    """Of the voice connection, not of the gateway. With a `VoiceServerUpdate` it opens the bot's own."""
    deaf: bool
    """By the guild."""
    mute: bool
    """By the guild."""
    self_deaf: bool
    self_mute: bool
    self_stream: Maybe[bool] = UNSET
    """Shares a screen ("Go Live")."""
    self_video: bool
    """Has the camera on."""
    suppress: bool
    """May not speak: in a stage channel, one of the audience."""
    request_to_speak_timestamp: Timestamp | None = None
    """When the user raised a hand in a stage channel. None: has not."""
