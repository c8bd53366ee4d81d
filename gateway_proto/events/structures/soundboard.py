"""Sounds of the soundboard."""

from ..model import UNSET, Maybe, Model, Snowflake
from .user import User

__all__ = ["SoundboardSound"]


class SoundboardSound(Model, frozen=True, kw_only=True):
    """A short sound that users play in voice channels (Discord: Soundboard Resource > Soundboard Sound Object)."""

    name: str
    sound_id: Snowflake
    """Discord's own sounds have small numbers, whose `created_at` means nothing."""
    volume: float
    """0 to 1."""
    emoji_id: Snowflake | None = None
    """None: a Unicode emoji, or none."""
    emoji_name: str | None = None
    """The characters of a Unicode emoji."""
    guild_id: Maybe[Snowflake] = UNSET
    """Absent from Discord's own sounds."""
    available: bool
    """False: the guild lost the boosts that it takes."""
    user: Maybe[User] = UNSET
    """Who made it."""
