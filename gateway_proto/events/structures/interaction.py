"""Interactions: a command, a click or a modal that a user sent to the application."""

from typing import ClassVar, Final, TypeAlias

import msgspec

from ..fit import decode_as
from ..model import UNSET, Later, Maybe, Model, OpenEnum, Sealed, Snowflake
from .application_commands import ApplicationCommandOptionType, ApplicationCommandType
from .channel import PartialChannel
from .component_responses import ComponentResponse
from .components import ComponentType
from .entitlement import Entitlement
from .guild import GuildMember, PartialGuild
from .interaction_metadata import InteractionType
from .message import Message, ResolvedData
from .permissions import PermissionSet
from .user import User

__all__ = [
    "ApplicationCommandData",
    "ApplicationCommandInteractionDataOption",
    "Interaction",
    "InteractionContextType",
    "InteractionData",
    "MessageComponentData",
    "ModalSubmitData",
]


class InteractionContextType(OpenEnum):
    """Where an interaction comes from (Discord: Interactions > Interaction Context Types)."""

    GUILD = 0
    BOT_DM = 1
    PRIVATE_CHANNEL = 2
    """A direct message or group without the bot."""


class ApplicationCommandInteractionDataOption(Model, frozen=True, kw_only=True):
    """What the user entered for an option, or the subcommand called.

    (Discord: Interactions > Application Command Interaction Data Option Structure)
    """

    name: str
    type: ApplicationCommandOptionType
    value: Maybe[str | int | float | bool] = UNSET
    """Ids are strings here. Absent from a subcommand or group, which has `options`."""
    options: Maybe[list["ApplicationCommandInteractionDataOption"]] = UNSET
    """Of a subcommand or group."""
    focused: Maybe[bool] = UNSET
    """While autocompleting: the one being typed, whose value is not checked yet."""


class ApplicationCommandData(Model, frozen=True, kw_only=True):
    """Which command was called on what (Discord: Interactions > Application Command Data Structure)."""

    id: Snowflake
    name: str
    type: ApplicationCommandType
    resolved: Maybe[ResolvedData] = UNSET
    """The objects that the options and `target_id` name."""
    options: Maybe[list[ApplicationCommandInteractionDataOption]] = UNSET
    """While autocompleting, those entered so far."""
    guild_id: Maybe[Snowflake] = UNSET
    """Of the guild that the command is registered in. Absent: it is global."""
    target_id: Maybe[Snowflake] = UNSET
    """Of the user or message that a user or message command was called on."""


class MessageComponentData(Model, frozen=True, kw_only=True):
    """Which component of a message was used (Discord: Interactions > Message Component Data Structure)."""

    custom_id: str
    component_type: ComponentType
    values: Maybe[list[str]] = UNSET
    """Of the chosen options, or ids: selects only."""
    resolved: Maybe[ResolvedData] = UNSET
    """The objects that `values` names."""


class ModalSubmitData(Model, frozen=True, kw_only=True):
    """What was entered into a modal (Discord: Interactions > Modal Submit Data Structure)."""

    custom_id: str
    components: list[ComponentResponse]
    resolved: Maybe[ResolvedData] = UNSET
    """The objects that the values of all components name."""


InteractionData: TypeAlias = ApplicationCommandData | MessageComponentData | ModalSubmitData
"""What was chosen, clicked or filled in; `Interaction.type` tells which (Discord: Interactions > Interaction Data)."""

_DATA_TYPES: Final[dict[InteractionType, type[InteractionData]]] = {
    InteractionType.APPLICATION_COMMAND: ApplicationCommandData,
    InteractionType.MESSAGE_COMPONENT: MessageComponentData,
    InteractionType.APPLICATION_COMMAND_AUTOCOMPLETE: ApplicationCommandData,
    InteractionType.MODAL_SUBMIT: ModalSubmitData,
}


class Interaction(Sealed, frozen=True, kw_only=True, gc=True, dict=True):
    """Something that a user did and that wants an answer (Discord: Interactions > Interaction Structure).

    `data` says what it was. Answer over HTTP within 3 seconds; after that, `token` serves for 15 minutes.
    """

    LATER: ClassVar[Later] = {
        "entitlements": lambda interaction: [],  # 2023
        "authorizing_integration_owners": lambda interaction: {},  # 2024
        "attachment_size_limit": lambda interaction: 10 * 2**20,  # 2025; the least there is
    }

    id: Snowflake
    application_id: Snowflake
    type: InteractionType
    raw_data: Maybe[msgspec.Raw] = msgspec.field(default=UNSET, name="data")
    """The JSON that `data` is decoded from."""
    guild: Maybe[PartialGuild] = UNSET
    guild_id: Maybe[Snowflake] = UNSET
    channel: Maybe[PartialChannel] = UNSET
    channel_id: Maybe[Snowflake] = UNSET
    member: Maybe[GuildMember] = UNSET
    """Who did it, with their permissions, in a guild."""
    user: Maybe[User] = UNSET
    """Who did it, elsewhere."""
    token: str
    """Answers this interaction. A secret."""
    version: int
    """Always 1."""
    message: Maybe[Message] = UNSET
    """That the component is on, or the component that opened the modal."""
    app_permissions: PermissionSet
    """The application's, in this channel."""
    locale: Maybe[str] = UNSET
    """The user's. Absent from PING."""
    guild_locale: Maybe[str] = UNSET
    """The guild's."""
    entitlements: list[Entitlement]
    """The user's, if the application sells any."""
    authorizing_integration_owners: dict[str, Snowflake]
    """Who installed it: key `0` (guild) with the guild's id or 0, key `1` (user) with the user's."""
    context: Maybe[InteractionContextType] = UNSET
    attachment_size_limit: int
    """Bytes, of each file in the answer."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"token", "raw_data"})

    @property
    def data(self) -> Maybe[InteractionData]:
        """What was chosen, clicked or filled in, decoded when first asked for; UNSET for a ping or an unknown type.

        Raises:
            EventDecodeError: it is not what `type` says. Then `raw_data` has the JSON.
        """
        decoded: Maybe[InteractionData] | None = self.__dict__.get("data")  # `cached_property` takes 1 µs for its lock
        if decoded is None:
            kind = _DATA_TYPES.get(self.type)
            if self.raw_data is UNSET or kind is None:
                return UNSET
            decoded = self.__dict__["data"] = decode_as("INTERACTION_CREATE", self.raw_data, kind, "$.data")
        return decoded
