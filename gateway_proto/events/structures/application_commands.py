"""Types of application commands, and who may use one in a guild."""

from ..model import Model, OpenEnum, Snowflake

__all__ = [
    "ApplicationCommandOptionType",
    "ApplicationCommandPermission",
    "ApplicationCommandPermissionType",
    "ApplicationCommandType",
    "GuildApplicationCommandPermissions",
]


class ApplicationCommandOptionType(OpenEnum):
    """What a command's option takes (Discord: Application Commands > Application Command Option Type)."""

    SUB_COMMAND = 1
    SUB_COMMAND_GROUP = 2
    STRING = 3
    INTEGER = 4
    """Between -2^53 and 2^53, both exclusive."""
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    """Categories too."""
    ROLE = 8
    MENTIONABLE = 9
    """A user or a role."""
    NUMBER = 10
    """A double between -2^53 and 2^53."""
    ATTACHMENT = 11


class ApplicationCommandPermissionType(OpenEnum):
    """For whom, or where, a command is allowed or not.

    (Discord: Application Commands > Application Command Permission Type)
    """

    ROLE = 1
    USER = 2
    CHANNEL = 3


class ApplicationCommandType(OpenEnum):
    """How a command is started (Discord: Application Commands > Application Command Types)."""

    CHAT_INPUT = 1
    """Typed after a slash."""
    USER = 2
    """In a user's context menu."""
    MESSAGE = 3
    """In a message's context menu."""
    PRIMARY_ENTRY_POINT = 4
    """Opens the app's Activity."""


class ApplicationCommandPermission(Model, frozen=True, kw_only=True):
    """Leave to use a command, given or refused.

    (Discord: Application Commands > Application Command Permissions Structure)
    """

    id: Snowflake
    """Of the role, user or channel. The guild's id: @everyone; the guild's id less 1: all channels."""
    type: ApplicationCommandPermissionType
    permission: bool
    """True allows, False refuses."""


class GuildApplicationCommandPermissions(Model, frozen=True, kw_only=True):
    """Who may use a command in a guild, and where.

    (Discord: Application Commands > Guild Application Command Permissions Structure)
    """

    id: Snowflake
    """Of the command; the application's id: all commands without permissions of their own."""
    application_id: Snowflake
    guild_id: Snowflake
    permissions: list[ApplicationCommandPermission]
    """At most 100."""
