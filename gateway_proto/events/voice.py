"""Events of voice: who is where, and where to connect to."""

from typing import ClassVar

from .model import UNSET, Maybe, Model, OpenEnum, Sealed, Snowflake
from .structures.emoji import Emoji
from .structures.voice import VoiceState

__all__ = [
    "AnimationType",
    "VoiceChannelEffectSend",
    "VoiceChannelStartTimeUpdate",
    "VoiceChannelStatusUpdate",
    "VoiceServerUpdate",
    "VoiceStateUpdate",
]


class AnimationType(OpenEnum):
    """How an emoji flies by (Discord: Gateway Events > Animation Types)."""

    PREMIUM = 0
    """For subscribers to Nitro."""
    BASIC = 1


class VoiceChannelEffectSend(Model, frozen=True, kw_only=True):
    """`VOICE_CHANNEL_EFFECT_SEND`: somebody sent an emoji or a sound into the voice channel that the bot is in.

    (Discord: Gateway Events > Voice Channel Effect Send) Intents: GUILD_VOICE_STATES.
    """

    channel_id: Snowflake
    guild_id: Snowflake
    user_id: Snowflake
    emoji: Maybe[Emoji | None] = UNSET
    animation_type: Maybe[AnimationType | None] = UNSET
    animation_id: Maybe[int] = UNSET
    """Which of the animations of that type."""
    sound_id: Maybe[Snowflake] = UNSET
    """Absent: no sound, an emoji alone. Discord's own sounds have small numbers."""
    sound_volume: Maybe[float] = UNSET
    """0 to 1."""


class VoiceChannelStartTimeUpdate(Model, frozen=True, kw_only=True):
    """`VOICE_CHANNEL_START_TIME_UPDATE`: a voice channel filled, or emptied.

    (Discord: Gateway Events > Voice Channel Start Time Update) Intents: GUILDS.
    """

    id: Snowflake
    """Of the channel."""
    guild_id: Snowflake
    voice_start_time: Maybe[int | None] = UNSET
    """Unix time in seconds, since when somebody has been there. None: nobody is."""


class VoiceChannelStatusUpdate(Model, frozen=True, kw_only=True):
    """`VOICE_CHANNEL_STATUS_UPDATE`: the line that says what goes on in a voice channel changed.

    (Discord: Gateway Events > Voice Channel Status Update) Intents: GUILDS.
    """

    id: Snowflake
    """Of the channel."""
    guild_id: Snowflake
    status: str | None = None
    """Up to 500 characters. None: it was cleared."""


class VoiceStateUpdate(VoiceState, frozen=True, kw_only=True):
    """`VOICE_STATE_UPDATE`: somebody joined, left or moved between voice channels, or was muted and the like.

    (Discord: Gateway Events > Voice State Update) Intents: GUILD_VOICE_STATES.
    """


class VoiceServerUpdate(Sealed, frozen=True, kw_only=True):
    """`VOICE_SERVER_UPDATE`: where to connect to for voice, after the bot has joined, and when the server changes.

    (Discord: Gateway Events > Voice Server Update) Intents: none.
    """

    token: str
    """Opens the voice connection; does not print."""
    guild_id: Snowflake
    endpoint: str | None = None
    """Host and port. None: the server is gone; disconnect from it, and connect again after the next of these events."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"token"})
