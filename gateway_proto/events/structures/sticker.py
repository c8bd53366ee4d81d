"""Stickers of guilds and of Discord."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake
from .user import User

__all__ = ["Sticker", "StickerFormatType", "StickerItem", "StickerType"]


class StickerFormatType(OpenEnum):
    """In which format the image is (Discord: Sticker Resource > Sticker Format Types)."""

    PNG = 1
    APNG = 2
    LOTTIE = 3
    """JSON."""
    GIF = 4


class StickerType(OpenEnum):
    """Whose sticker it is (Discord: Sticker Resource > Sticker Types)."""

    STANDARD = 1
    """Discord's, out of a pack."""
    GUILD = 2


class Sticker(Model, frozen=True, kw_only=True):
    """A picture that is sent as a message (Discord: Sticker Resource > Sticker Object)."""

    id: Snowflake
    pack_id: Maybe[Snowflake] = UNSET
    """Of a standard sticker."""
    name: str
    description: str | None = None
    tags: str
    """Words to find it by, set apart by commas; of a guild's the name of an emoji. At most 200 characters."""
    type: StickerType
    format_type: StickerFormatType
    available: Maybe[bool] = UNSET
    """False: the guild lost the boosts that it takes."""
    guild_id: Maybe[Snowflake] = UNSET
    """Of a guild's sticker."""
    user: Maybe[User] = UNSET
    """Who uploaded it."""
    sort_value: Maybe[int] = UNSET
    """Place in the pack."""


class StickerItem(Model, frozen=True, kw_only=True):
    """As much of a sticker as showing it takes (Discord: Sticker Resource > Sticker Item Object)."""

    id: Snowflake
    name: str
    format_type: StickerFormatType
