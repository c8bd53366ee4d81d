"""Which interaction a message answers."""

from typing import TypeAlias, cast

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake
from .guild import PartialGuildMember
from .user import User

__all__ = [
    "ApplicationCommandInteractionMetadata",
    "InteractionType",
    "MessageComponentInteractionMetadata",
    "MessageInteraction",
    "MessageInteractionMetadata",
    "ModalSubmitInteractionMetadata",
]


class InteractionType(OpenEnum):
    """What the user did (Discord: Interactions > Interaction Type)."""

    PING = 1
    APPLICATION_COMMAND = 2
    MESSAGE_COMPONENT = 3
    APPLICATION_COMMAND_AUTOCOMPLETE = 4
    MODAL_SUBMIT = 5


class _Metadata(Model, frozen=True, kw_only=True, tag_field="type"):
    @property
    def type(self) -> InteractionType:
        """What was done: the class tells it too."""
        return InteractionType(cast("int", type(self).__struct_config__.tag))


class ApplicationCommandInteractionMetadata(_Metadata, frozen=True, kw_only=True, tag=2):
    """A command that a message answers.

    (Discord: Message Resource > Application Command Interaction Metadata Structure)
    """

    id: Snowflake
    """Of the interaction."""
    user: User
    """Who did it."""
    authorizing_integration_owners: dict[str, Snowflake]
    """As in `Interaction`."""
    original_response_message_id: Maybe[Snowflake] = UNSET
    """In follow-up messages only."""
    target_user: Maybe[User] = UNSET
    """Of user commands only."""
    target_message_id: Maybe[Snowflake] = UNSET
    """Of message commands only."""


class MessageComponentInteractionMetadata(_Metadata, frozen=True, kw_only=True, tag=3):
    """A component of a message that another message answers.

    (Discord: Message Resource > Message Component Interaction Metadata Structure)
    """

    id: Snowflake
    """Of the interaction."""
    user: User
    """Who did it."""
    authorizing_integration_owners: dict[str, Snowflake]
    """As in `Interaction`."""
    original_response_message_id: Maybe[Snowflake] = UNSET
    """In follow-up messages only."""
    interacted_message_id: Snowflake
    """Of the message with the component."""


class ModalSubmitInteractionMetadata(_Metadata, frozen=True, kw_only=True, tag=5):
    """A modal that a message answers (Discord: Message Resource > Modal Submit Interaction Metadata Structure)."""

    id: Snowflake
    """Of the interaction."""
    user: User
    """Who did it."""
    authorizing_integration_owners: dict[str, Snowflake]
    """As in `Interaction`."""
    original_response_message_id: Maybe[Snowflake] = UNSET
    """In follow-up messages only."""
    triggering_interaction_metadata: ApplicationCommandInteractionMetadata | MessageComponentInteractionMetadata
    """Of the interaction that opened the modal."""


MessageInteractionMetadata: TypeAlias = (
    ApplicationCommandInteractionMetadata | MessageComponentInteractionMetadata | ModalSubmitInteractionMetadata
)
"""Which interaction a message answers (Discord: Message Resource > Message Interaction Metadata Object)."""


class MessageInteraction(Model, frozen=True, kw_only=True):
    """The deprecated form of `MessageInteractionMetadata` (Discord: Interactions > Message Interaction Structure)."""

    id: Snowflake
    """Of the interaction."""
    type: InteractionType
    name: str
    """Of the command, with its subcommand."""
    user: User
    member: Maybe[PartialGuildMember] = UNSET
