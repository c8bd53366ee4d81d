"""Components: what messages and modals are laid out of, as a union told apart by `type`."""

from typing import Any, TypeAlias, cast

from ..model import UNSET, Flags, Maybe, Model, OpenEnum, Snowflake
from .channel import ChannelType
from .emoji import Emoji

__all__ = [
    "ActionRow",
    "Button",
    "ButtonStyle",
    "ChannelSelect",
    "Checkbox",
    "CheckboxGroup",
    "CheckboxGroupOption",
    "Component",
    "ComponentModel",
    "ComponentType",
    "Container",
    "FileComponent",
    "FileUpload",
    "Label",
    "MediaGallery",
    "MediaGalleryItem",
    "MentionableSelect",
    "RadioGroup",
    "RadioGroupOption",
    "RoleSelect",
    "Section",
    "SelectDefaultValue",
    "SelectOption",
    "Separator",
    "SeparatorSpacing",
    "StringSelect",
    "TextDisplay",
    "TextInput",
    "TextInputStyle",
    "Thumbnail",
    "UnfurledMediaItem",
    "UnfurledMediaItemFlags",
    "UnknownComponent",
    "UserSelect",
]


class ButtonStyle(OpenEnum):
    """How a button looks and what it does (Discord: Component Reference > Button Styles)."""

    PRIMARY = 1
    SECONDARY = 2
    SUCCESS = 3
    DANGER = 4
    LINK = 5
    """Opens `url`; the bot is not told."""
    PREMIUM = 6
    """Sells `sku_id`; the bot is not told."""


class ComponentType(OpenEnum):
    """Which component it is (Discord: Component Reference > Component Types)."""

    ACTION_ROW = 1
    BUTTON = 2
    STRING_SELECT = 3
    TEXT_INPUT = 4
    USER_SELECT = 5
    ROLE_SELECT = 6
    MENTIONABLE_SELECT = 7
    CHANNEL_SELECT = 8
    SECTION = 9
    TEXT_DISPLAY = 10
    THUMBNAIL = 11
    MEDIA_GALLERY = 12
    FILE = 13
    SEPARATOR = 14
    CONTAINER = 17
    LABEL = 18
    FILE_UPLOAD = 19
    RADIO_GROUP = 21
    CHECKBOX_GROUP = 22
    CHECKBOX = 23


class SeparatorSpacing(OpenEnum):
    """How much room a separator takes (Discord: Component Reference > Separator Structure)."""

    SMALL = 1
    LARGE = 2


class TextInputStyle(OpenEnum):
    """How many lines one may write (Discord: Component Reference > Text Input Styles)."""

    SHORT = 1
    """One line."""
    PARAGRAPH = 2
    """Several lines."""


class UnfurledMediaItemFlags(Flags):
    """What holds for a media item (Discord: Component Reference > Unfurled Media Item Flags)."""

    IS_ANIMATED = 1 << 0


class ComponentModel(Model, frozen=True, kw_only=True, tag_field="type"):
    """The base of everything in `components`. Which one it is tells the class; JSON tells it by `type`.

    `id` is a number that is unique in its message or modal, 0 in old messages. `custom_id` is the developer's name for
    it, 1 to 100 characters, by which an interaction names it (Discord: Component Reference > Anatomy of a Component).
    """

    @property
    def type(self) -> ComponentType:
        """Which component this is."""
        return ComponentType(cast("int", type(self).__struct_config__.tag))


class UnfurledMediaItem(Model, frozen=True, kw_only=True):
    """An image, video or file by its URL (Discord: Component Reference > Unfurled Media Item Structure)."""

    url: str
    proxy_url: Maybe[str] = UNSET
    """The same through Discord's proxy."""
    height: Maybe[int | None] = UNSET
    """Pixels, of an image or video."""
    width: Maybe[int | None] = UNSET
    """Pixels, of an image or video."""
    placeholder: Maybe[str] = UNSET
    """A thumbhash, in base64."""
    placeholder_version: Maybe[int] = UNSET
    content_type: Maybe[str] = UNSET
    """Media type, such as `image/png`."""
    flags: Maybe[UnfurledMediaItemFlags] = UNSET
    attachment_id: Maybe[Snowflake] = UNSET
    """Of what was uploaded with the message."""


class SelectOption(Model, frozen=True, kw_only=True):
    """A choice in a `StringSelect` (Discord: Component Reference > Select Option Structure)."""

    label: str
    """At most 100 characters. It is what users see."""
    value: str
    """At most 100 characters. It is what the bot gets."""
    description: Maybe[str] = UNSET
    """At most 100 characters."""
    emoji: Maybe[Emoji] = UNSET
    default: Maybe[bool] = UNSET
    """Chosen beforehand."""


class SelectDefaultValue(Model, frozen=True, kw_only=True):
    """What a select has chosen beforehand (Discord: Component Reference > Select Default Value Structure)."""

    id: Snowflake
    """Of a user, a role or a channel."""
    type: str
    """Which of them: `user`, `role` or `channel`."""


class MediaGalleryItem(Model, frozen=True, kw_only=True):
    """A picture in a `MediaGallery` (Discord: Component Reference > Media Gallery Item Structure)."""

    media: UnfurledMediaItem
    description: Maybe[str | None] = UNSET
    """Alternative text, at most 1024 characters."""
    spoiler: Maybe[bool] = UNSET


class RadioGroupOption(Model, frozen=True, kw_only=True):
    """A choice in a `RadioGroup` (Discord: Component Reference > Radio Group Option Structure)."""

    value: str
    """At most 100 characters. It is what the bot gets."""
    label: str
    """At most 100 characters. It is what users see."""
    description: Maybe[str] = UNSET
    """At most 100 characters."""
    default: Maybe[bool] = UNSET
    """Chosen beforehand."""


class CheckboxGroupOption(Model, frozen=True, kw_only=True):
    """A choice in a `CheckboxGroup` (Discord: Component Reference > Checkbox Group Option Structure)."""

    value: str
    """At most 100 characters. It is what the bot gets."""
    label: str
    """At most 100 characters. It is what users see."""
    description: Maybe[str] = UNSET
    """At most 100 characters."""
    default: Maybe[bool] = UNSET
    """Chosen beforehand."""


class ActionRow(ComponentModel, frozen=True, kw_only=True, tag=1):
    """Up to five buttons or one select, side by side (Discord: Component Reference > Action Row Structure)."""

    id: Maybe[int] = UNSET
    components: list["Component"]


class Button(ComponentModel, frozen=True, kw_only=True, tag=2):
    """A button of a message. Its style tells which fields it has (Discord: Component Reference > Button Structure)."""

    id: Maybe[int] = UNSET
    style: ButtonStyle
    label: Maybe[str] = UNSET
    """At most 80 characters."""
    emoji: Maybe[Emoji] = UNSET
    custom_id: Maybe[str] = UNSET
    """Absent from LINK and PREMIUM."""
    sku_id: Maybe[Snowflake] = UNSET
    """PREMIUM only."""
    url: Maybe[str] = UNSET
    """LINK only; at most 512 characters."""
    disabled: Maybe[bool] = UNSET


class StringSelect(ComponentModel, frozen=True, kw_only=True, tag=3):
    """A menu of given choices (Discord: Component Reference > String Select Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    options: list[SelectOption]
    """At most 25."""
    placeholder: Maybe[str] = UNSET
    """At most 150 characters."""
    min_values: Maybe[int] = UNSET
    """0 to 25. Absent: 1."""
    max_values: Maybe[int] = UNSET
    """1 to 25. Absent: 1."""
    required: Maybe[bool] = UNSET
    """In modals only. Absent: true."""
    disabled: Maybe[bool] = UNSET
    """In messages only. Absent: false."""


class TextInput(ComponentModel, frozen=True, kw_only=True, tag=4):
    """A field to write into, in modals (Discord: Component Reference > Text Input Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    style: TextInputStyle
    min_length: Maybe[int] = UNSET
    """Characters, 0 to 4000."""
    max_length: Maybe[int] = UNSET
    """Characters, 1 to 4000."""
    required: Maybe[bool] = UNSET
    """Absent: true."""
    value: Maybe[str] = UNSET
    """What stands in it beforehand."""
    placeholder: Maybe[str] = UNSET
    """At most 100 characters."""


class UserSelect(ComponentModel, frozen=True, kw_only=True, tag=5):
    """A menu of users, as `StringSelect` (Discord: Component Reference > User Select Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    placeholder: Maybe[str] = UNSET
    default_values: Maybe[list[SelectDefaultValue]] = UNSET
    """Chosen beforehand."""
    min_values: Maybe[int] = UNSET
    max_values: Maybe[int] = UNSET
    required: Maybe[bool] = UNSET
    disabled: Maybe[bool] = UNSET


class RoleSelect(ComponentModel, frozen=True, kw_only=True, tag=6):
    """A menu of roles, as `StringSelect` (Discord: Component Reference > Role Select Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    placeholder: Maybe[str] = UNSET
    default_values: Maybe[list[SelectDefaultValue]] = UNSET
    """Chosen beforehand."""
    min_values: Maybe[int] = UNSET
    max_values: Maybe[int] = UNSET
    required: Maybe[bool] = UNSET
    disabled: Maybe[bool] = UNSET


class MentionableSelect(ComponentModel, frozen=True, kw_only=True, tag=7):
    """A menu of users and roles, as `StringSelect` (Discord: Component Reference > Mentionable Select Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    placeholder: Maybe[str] = UNSET
    default_values: Maybe[list[SelectDefaultValue]] = UNSET
    """Chosen beforehand."""
    min_values: Maybe[int] = UNSET
    max_values: Maybe[int] = UNSET
    required: Maybe[bool] = UNSET
    disabled: Maybe[bool] = UNSET


class ChannelSelect(ComponentModel, frozen=True, kw_only=True, tag=8):
    """A menu of channels, as `StringSelect` (Discord: Component Reference > Channel Select Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    channel_types: Maybe[list[ChannelType]] = UNSET
    """Absent: all."""
    placeholder: Maybe[str] = UNSET
    default_values: Maybe[list[SelectDefaultValue]] = UNSET
    """Chosen beforehand."""
    min_values: Maybe[int] = UNSET
    max_values: Maybe[int] = UNSET
    required: Maybe[bool] = UNSET
    disabled: Maybe[bool] = UNSET


class Section(ComponentModel, frozen=True, kw_only=True, tag=9):
    """One to three texts with something beside them (Discord: Component Reference > Section Structure)."""

    id: Maybe[int] = UNSET
    components: list["Component"]
    """Text displays as yet."""
    accessory: "Component"
    """A button or a thumbnail as yet."""


class TextDisplay(ComponentModel, frozen=True, kw_only=True, tag=10):
    """A text with Markdown (Discord: Component Reference > Text Display Structure)."""

    id: Maybe[int] = UNSET
    content: str


class Thumbnail(ComponentModel, frozen=True, kw_only=True, tag=11):
    """A small image, beside a section (Discord: Component Reference > Thumbnail Structure)."""

    id: Maybe[int] = UNSET
    media: UnfurledMediaItem
    description: Maybe[str | None] = UNSET
    """Alternative text, at most 1024 characters."""
    spoiler: Maybe[bool] = UNSET


class MediaGallery(ComponentModel, frozen=True, kw_only=True, tag=12):
    """One to ten images or videos in a grid (Discord: Component Reference > Media Gallery Structure)."""

    id: Maybe[int] = UNSET
    items: list[MediaGalleryItem]


class FileComponent(ComponentModel, frozen=True, kw_only=True, tag=13):
    """An attachment of the message, shown here (Discord: Component Reference > File Structure)."""

    id: Maybe[int] = UNSET
    file: UnfurledMediaItem
    spoiler: Maybe[bool] = UNSET
    name: Maybe[str] = UNSET
    size: Maybe[int] = UNSET
    """Bytes."""


class Separator(ComponentModel, frozen=True, kw_only=True, tag=14):
    """Room between two components, with a line perhaps (Discord: Component Reference > Separator Structure)."""

    id: Maybe[int] = UNSET
    divider: Maybe[bool] = UNSET
    """Whether there is a line. Absent: true."""
    spacing: Maybe[SeparatorSpacing] = UNSET
    """Absent: SMALL."""


class Container(ComponentModel, frozen=True, kw_only=True, tag=17):
    """Components in a box (Discord: Component Reference > Container Structure)."""

    id: Maybe[int] = UNSET
    components: list["Component"]
    accent_color: Maybe[int | None] = UNSET
    """0xRRGGBB, of the bar at its edge. None or absent: no bar."""
    spoiler: Maybe[bool] = UNSET


class Label(ComponentModel, frozen=True, kw_only=True, tag=18):
    """A component of a modal with its title (Discord: Component Reference > Label Structure)."""

    id: Maybe[int] = UNSET
    label: str
    """At most 45 characters."""
    description: Maybe[str] = UNSET
    """At most 100 characters."""
    component: "Component"


class FileUpload(ComponentModel, frozen=True, kw_only=True, tag=19):
    """A place to upload files to, in modals (Discord: Component Reference > File Upload Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    min_values: Maybe[int] = UNSET
    """Files, 0 to 10. Absent: 1."""
    max_values: Maybe[int] = UNSET
    """Files, 1 to 10. Absent: 1."""
    required: Maybe[bool] = UNSET
    """Absent: true."""
    file_types: Maybe[list[str]] = UNSET
    """What may be uploaded: `audio`, `image`, `video` or an extension such as `.pdf`."""


class RadioGroup(ComponentModel, frozen=True, kw_only=True, tag=21):
    """Choices of which one is taken, in modals (Discord: Component Reference > Radio Group Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    options: list[RadioGroupOption]
    """2 to 10."""
    required: Maybe[bool] = UNSET
    """Absent: true."""


class CheckboxGroup(ComponentModel, frozen=True, kw_only=True, tag=22):
    """Choices of which several may be taken, in modals (Discord: Component Reference > Checkbox Group Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    options: list[CheckboxGroupOption]
    """1 to 10."""
    min_values: Maybe[int] = UNSET
    """0 to 10. Absent: 1."""
    max_values: Maybe[int] = UNSET
    """1 to 10. Absent: all."""
    required: Maybe[bool] = UNSET
    """Absent: true."""


class Checkbox(ComponentModel, frozen=True, kw_only=True, tag=23):
    """A yes or no, in modals (Discord: Component Reference > Checkbox Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    default: Maybe[bool] = UNSET
    """Ticked beforehand. Absent: false."""


class UnknownComponent(ComponentModel, frozen=True, kw_only=True, tag=-(2**63)):
    """A component of a type that this release does not know: kept whole, as plain Python objects, in `document`."""

    document: dict[str, Any]

    @property
    def type(self) -> ComponentType:
        """Which component this is: an `UNKNOWN_<number>`."""
        number = self.document.get("type")
        return ComponentType(number if isinstance(number, int) else 0)


Component: TypeAlias = (
    ActionRow
    | Button
    | StringSelect
    | TextInput
    | UserSelect
    | RoleSelect
    | MentionableSelect
    | ChannelSelect
    | Section
    | TextDisplay
    | Thumbnail
    | MediaGallery
    | FileComponent
    | Separator
    | Container
    | Label
    | FileUpload
    | RadioGroup
    | CheckboxGroup
    | Checkbox
    | UnknownComponent
)
"""A component of a message or a modal (Discord: Component Reference)."""
