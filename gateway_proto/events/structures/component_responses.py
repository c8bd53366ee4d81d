"""What a user entered into the components of a modal, as a union told apart by `type`."""

from typing import TypeAlias

from ..model import UNSET, Maybe, Snowflake
from .components import ComponentModel, UnknownComponent
from .message import ResolvedData

__all__ = [
    "ActionRowResponse",
    "ChannelSelectResponse",
    "CheckboxGroupResponse",
    "CheckboxResponse",
    "ComponentResponse",
    "FileUploadResponse",
    "LabelResponse",
    "MentionableSelectResponse",
    "RadioGroupResponse",
    "RoleSelectResponse",
    "StringSelectResponse",
    "TextDisplayResponse",
    "TextInputResponse",
    "UserSelectResponse",
]


class StringSelectResponse(ComponentModel, frozen=True, kw_only=True, tag=3):
    """Chosen in a `StringSelect` (Discord: Component Reference > String Select Interaction Response Structure)."""

    component_type: Maybe[int] = UNSET
    """The same as `type`. Interactions of messages have it; modals have `type` instead."""
    id: Maybe[int] = UNSET
    custom_id: str
    values: list[str]
    """Of the chosen options."""


class TextInputResponse(ComponentModel, frozen=True, kw_only=True, tag=4):
    """Written into a `TextInput` (Discord: Component Reference > Text Input Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    value: str


class UserSelectResponse(ComponentModel, frozen=True, kw_only=True, tag=5):
    """Chosen in a `UserSelect` (Discord: Component Reference > User Select Interaction Response Structure)."""

    component_type: Maybe[int] = UNSET
    """The same as `type`. Interactions of messages have it; modals have `type` instead."""
    id: Maybe[int] = UNSET
    custom_id: str
    resolved: Maybe[ResolvedData] = UNSET
    """What `values` names. Modals have it once for all, in `ModalSubmitData.resolved`."""
    values: list[Snowflake]
    """Ids of users."""


class RoleSelectResponse(ComponentModel, frozen=True, kw_only=True, tag=6):
    """Chosen in a `RoleSelect` (Discord: Component Reference > Role Select Interaction Response Structure)."""

    component_type: Maybe[int] = UNSET
    """The same as `type`. Interactions of messages have it; modals have `type` instead."""
    id: Maybe[int] = UNSET
    custom_id: str
    resolved: Maybe[ResolvedData] = UNSET
    """What `values` names. Modals have it once for all, in `ModalSubmitData.resolved`."""
    values: list[Snowflake]
    """Ids of roles."""


class MentionableSelectResponse(ComponentModel, frozen=True, kw_only=True, tag=7):
    """Chosen in a `MentionableSelect`.

    (Discord: Component Reference > Mentionable Select Interaction Response Structure)
    """

    component_type: Maybe[int] = UNSET
    """The same as `type`. Interactions of messages have it; modals have `type` instead."""
    id: Maybe[int] = UNSET
    custom_id: str
    resolved: Maybe[ResolvedData] = UNSET
    """What `values` names. Modals have it once for all, in `ModalSubmitData.resolved`."""
    values: list[Snowflake]
    """Ids of users and roles."""


class ChannelSelectResponse(ComponentModel, frozen=True, kw_only=True, tag=8):
    """Chosen in a `ChannelSelect` (Discord: Component Reference > Channel Select Interaction Response Structure)."""

    component_type: Maybe[int] = UNSET
    """The same as `type`. Interactions of messages have it; modals have `type` instead."""
    id: Maybe[int] = UNSET
    custom_id: str
    resolved: Maybe[ResolvedData] = UNSET
    """What `values` names. Modals have it once for all, in `ModalSubmitData.resolved`."""
    values: list[Snowflake]
    """Ids of channels."""


class TextDisplayResponse(ComponentModel, frozen=True, kw_only=True, tag=10):
    """A `TextDisplay`: no answer (Discord: Component Reference > Text Display Interaction Response Structure)."""

    id: Maybe[int] = UNSET


class LabelResponse(ComponentModel, frozen=True, kw_only=True, tag=18):
    """A `Label` with what was entered in it (Discord: Component Reference > Label Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    component: "ComponentResponse"


class FileUploadResponse(ComponentModel, frozen=True, kw_only=True, tag=19):
    """The files given to a `FileUpload` (Discord: Component Reference > File Upload Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    values: list[Snowflake]
    """Ids of attachments, which `ModalSubmitData.resolved` has."""


class RadioGroupResponse(ComponentModel, frozen=True, kw_only=True, tag=21):
    """Chosen in a `RadioGroup` (Discord: Component Reference > Radio Group Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    value: str | None = None
    """Of the chosen option. None: nothing was chosen."""


class CheckboxGroupResponse(ComponentModel, frozen=True, kw_only=True, tag=22):
    """Ticked in a `CheckboxGroup` (Discord: Component Reference > Checkbox Group Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    values: list[str]
    """Of the ticked options."""


class CheckboxResponse(ComponentModel, frozen=True, kw_only=True, tag=23):
    """Whether a `Checkbox` was ticked (Discord: Component Reference > Checkbox Interaction Response Structure)."""

    id: Maybe[int] = UNSET
    custom_id: str
    value: bool


class ActionRowResponse(ComponentModel, frozen=True, kw_only=True, tag=1):
    """The row of a modal made the old way, with text inputs in action rows. The documentation lacks it."""

    id: Maybe[int] = UNSET
    components: list["ComponentResponse"]


ComponentResponse: TypeAlias = (
    StringSelectResponse
    | TextInputResponse
    | UserSelectResponse
    | RoleSelectResponse
    | MentionableSelectResponse
    | ChannelSelectResponse
    | TextDisplayResponse
    | LabelResponse
    | FileUploadResponse
    | RadioGroupResponse
    | CheckboxGroupResponse
    | CheckboxResponse
    | ActionRowResponse
    | UnknownComponent
)
"""What a user filled in (Discord: Component Reference > … Interaction Response Structure)."""
