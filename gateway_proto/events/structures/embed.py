"""Embeds: the cards beneath a message, made by a bot or from a link."""

from ..model import UNSET, Flags, Maybe, Model, Timestamp

__all__ = [
    "Embed",
    "EmbedAuthor",
    "EmbedField",
    "EmbedFlags",
    "EmbedFooter",
    "EmbedImage",
    "EmbedMediaFlags",
    "EmbedProvider",
    "EmbedVideo",
]


class EmbedFlags(Flags):
    """What holds for an embed (Discord: Message Resource > Embed Flags)."""

    IS_CONTENT_INVENTORY_ENTRY = 1 << 5
    """Stands for an activity card that was replied to."""


class EmbedMediaFlags(Flags):
    """What holds for the image or video of an embed (Discord: Message Resource > Embed Media Flags)."""

    IS_ANIMATED = 1 << 5


class EmbedVideo(Model, frozen=True, kw_only=True):
    """The video of an embed (Discord: Message Resource > Embed Video Structure)."""

    url: Maybe[str] = UNSET
    proxy_url: Maybe[str] = UNSET
    """The same through Discord's proxy."""
    height: Maybe[int] = UNSET
    """Pixels."""
    width: Maybe[int] = UNSET
    """Pixels."""
    content_type: Maybe[str] = UNSET
    """Media type, such as `image/png`."""
    placeholder: Maybe[str] = UNSET
    """A thumbhash, in base64."""
    placeholder_version: Maybe[int] = UNSET
    description: Maybe[str] = UNSET
    """Alternative text."""
    flags: Maybe[EmbedMediaFlags] = UNSET


class EmbedImage(Model, frozen=True, kw_only=True):
    """The image or the thumbnail of an embed (Discord: Message Resource > Embed Image Structure)."""

    url: str
    proxy_url: Maybe[str] = UNSET
    """The same through Discord's proxy."""
    height: Maybe[int] = UNSET
    """Pixels."""
    width: Maybe[int] = UNSET
    """Pixels."""
    content_type: Maybe[str] = UNSET
    """Media type, such as `image/png`."""
    placeholder: Maybe[str] = UNSET
    """A thumbhash, in base64."""
    placeholder_version: Maybe[int] = UNSET
    description: Maybe[str] = UNSET
    """Alternative text."""
    flags: Maybe[EmbedMediaFlags] = UNSET


class EmbedProvider(Model, frozen=True, kw_only=True):
    """The site that an embed was made from (Discord: Message Resource > Embed Provider Structure)."""

    name: Maybe[str] = UNSET
    url: Maybe[str] = UNSET


class EmbedAuthor(Model, frozen=True, kw_only=True):
    """The line above the title of an embed (Discord: Message Resource > Embed Author Structure)."""

    name: str
    """At most 256 characters."""
    url: Maybe[str | None] = UNSET
    icon_url: Maybe[str] = UNSET
    proxy_icon_url: Maybe[str] = UNSET
    """The same through Discord's proxy."""


class EmbedFooter(Model, frozen=True, kw_only=True):
    """The small line at the bottom of an embed (Discord: Message Resource > Embed Footer Structure)."""

    text: str
    """At most 2048 characters."""
    icon_url: Maybe[str] = UNSET
    proxy_icon_url: Maybe[str] = UNSET
    """The same through Discord's proxy."""


class EmbedField(Model, frozen=True, kw_only=True):
    """A heading with text, one of up to 25 in an embed (Discord: Message Resource > Embed Field Structure)."""

    name: str
    """At most 256 characters."""
    value: str
    """At most 1024 characters."""
    inline: Maybe[bool] = UNSET
    """May stand beside its neighbours."""


class Embed(Model, frozen=True, kw_only=True):
    """A card beneath a message (Discord: Message Resource > Embed Structure).

    All texts of all embeds of a message together have at most 6000 characters.
    """

    title: Maybe[str] = UNSET
    """At most 256 characters."""
    type: Maybe[str] = UNSET
    """`rich` (what bots make), `image`, `video`, `gifv`, `article`, `link` or `poll_result`."""
    description: Maybe[str] = UNSET
    """At most 4096 characters."""
    url: Maybe[str] = UNSET
    timestamp: Maybe[Timestamp] = UNSET
    color: Maybe[int] = UNSET
    """0xRRGGBB."""
    footer: Maybe[EmbedFooter] = UNSET
    image: Maybe[EmbedImage] = UNSET
    thumbnail: Maybe[EmbedImage] = UNSET
    video: Maybe[EmbedVideo] = UNSET
    provider: Maybe[EmbedProvider] = UNSET
    author: Maybe[EmbedAuthor] = UNSET
    fields: Maybe[list[EmbedField]] = UNSET
    """At most 25. The data of a `poll_result` too (Discord: Message Resource > Poll Result Embed Fields)."""
    flags: Maybe[EmbedFlags] = UNSET
