"""The event of application commands."""

from .structures.application_commands import GuildApplicationCommandPermissions

__all__ = ["ApplicationCommandPermissionsUpdate"]


class ApplicationCommandPermissionsUpdate(GuildApplicationCommandPermissions, frozen=True, kw_only=True):
    """`APPLICATION_COMMAND_PERMISSIONS_UPDATE`: who may use a command has changed.

    (Discord: Gateway Events > Application Command Permissions Update) Intents: none.
    """
