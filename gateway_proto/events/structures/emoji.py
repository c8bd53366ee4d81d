"""Emoji, custom and Unicode."""

from ..model import UNSET, Maybe, Model, Snowflake
from .user import User

__all__ = ["Emoji"]


class Emoji(Model, frozen=True, kw_only=True):
    """A custom emoji or a Unicode one (Discord: Emoji Resource > Emoji Object)."""

    id: Snowflake | None = None
    """None: a Unicode emoji, whose characters are the name."""
    name: str | None = None
    """None: in a reaction, if the emoji has been deleted since."""
    roles: Maybe[list[Snowflake]] = UNSET
    """Ids of the roles that may use it; empty: everybody may."""
    user: Maybe[User] = UNSET
    """Who uploaded it."""
    require_colons: Maybe[bool] = UNSET
    managed: Maybe[bool] = UNSET
    """By an integration."""
    animated: Maybe[bool] = UNSET
    available: Maybe[bool] = UNSET
    """False: the guild lost the boosts that it takes."""
