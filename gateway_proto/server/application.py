"""The application that a server stands for, its bot user and its commands, as READY and the HTTP routes show them.

One place, so that a client finds the same user and application wherever it asks.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from ..intents import Intents
from .checked import is_int
from .config import ServerConfig
from .identify import is_shallow

VERIFIED_FROM: Final = 100
"""Guilds from which on a bot must be verified, and its privileged intents granted by Discord."""
_INTENT_FLAGS: Final = (
    (Intents.GUILD_PRESENCES, 1 << 12),
    (Intents.GUILD_MEMBERS, 1 << 14),
    (Intents.MESSAGE_CONTENT, 1 << 18),
)
"""GATEWAY_PRESENCE, GATEWAY_GUILD_MEMBERS and GATEWAY_MESSAGE_CONTENT (Discord: Application > Application Flags); the
bit above each is its LIMITED form, of a bot that may switch it on by itself."""
MAX_COMMANDS: Final = 2**20
"""Bytes of JSON: of all registered commands together. A command is 8,000 characters at most, and 100 are allowed."""
_VERIFY_KEY: Final = "0" * 64
"""An Ed25519 public key is 32 bytes in hexadecimal; nothing here signs interactions."""


def application_flags(config: ServerConfig) -> int:
    """The application's public flags: the privileged intents that it may use."""
    shift = int(config.guild_count < VERIFIED_FROM)
    return sum(flag << shift for intent, flag in _INTENT_FLAGS if intent in config.allowed_intents)


def bot_user(config: ServerConfig, bot: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The bot's user as it sees itself (Discord: Users > User Structure, with the fields of the `email` scope).

    Args:
        bot: what of it is no longer as in the config.
    """
    return {
        "id": str(config.user_id),
        "username": config.username,
        "discriminator": "0000",
        "global_name": None,
        "avatar": None,
        "bot": True,
        "mfa_enabled": False,
        "verified": True,
        "email": None,
        "flags": 0,
        **(bot or {}),
    }


def partial_application(config: ServerConfig) -> dict[str, Any]:
    """What READY shows (Discord: Gateway Events > Ready): id and flags."""
    return {"id": str(config.application_id), "flags": application_flags(config)}


def application(config: ServerConfig, bot: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The whole application (Discord: Application > Application Structure). Its owner is made up, of the next id."""
    permissions = {"scopes": ["applications.commands", "bot"], "permissions": "0"}
    return {
        "id": str(config.application_id),
        "name": config.username,
        "icon": None,
        "description": "",
        "bot_public": True,
        "bot_require_code_grant": False,
        "bot": {**_partial_user(config.user_id, config.username), "bot": True, **(bot or {})},
        "owner": _partial_user(config.application_id + 1, "owner"),
        "verify_key": _VERIFY_KEY,
        "team": None,
        "flags": application_flags(config),
        "approximate_guild_count": config.guild_count,
        "approximate_user_install_count": 0,
        "redirect_uris": [],
        "interactions_endpoint_url": None,
        "role_connections_verification_url": None,
        "event_webhooks_url": None,
        "event_webhooks_status": 1,
        "tags": [],
        "integration_types_config": {"0": {"oauth2_install_params": permissions}},
    }


def _partial_user(user_id: int, username: str) -> dict[str, Any]:
    return {
        "id": str(user_id),
        "username": username,
        "discriminator": "0000",
        "global_name": None,
        "avatar": None,
        "public_flags": 0,
    }


class CommandBook:
    """The commands that the bot has registered, globally (None) or for a guild (its id); they are only kept.

    Args:
        application_id: whose they are; their ids are the ones that follow it.
    """

    def __init__(self, application_id: int) -> None:
        self._application_id = application_id
        self._number = 0
        # By type and name, which are unique in a scope.
        self._scopes: dict[int | None, dict[tuple[int, str], dict[str, Any]]] = {}

    def of(self, scope: int | None) -> list[dict[str, Any]]:
        """The commands of a scope."""
        return list(self._scopes.get(scope, {}).values())

    def register(
        self, scope: int | None, given: list[dict[str, Any]], *, is_whole: bool
    ) -> list[dict[str, Any]] | None:
        """Add commands, or let them be all of their scope (Discord: Application Commands > Registering a Command).

        Returns: the commands with ids; a known type and name keeps its own. None, and nothing changes, if one has no
        name or all together would be too large.
        """
        known = self._scopes.get(scope, {})
        commands: dict[tuple[int, str], dict[str, Any]] = {}
        for fields in given:
            name, type_ = fields.get("name"), fields.get("type", 1)
            if not isinstance(name, str) or not name or not is_int(type_) or not is_shallow(fields):
                return None
            commands[type_, name] = self._command(scope, {**fields, "type": type_}, known.get((type_, name)))
        scopes = {**self._scopes, scope: commands if is_whole else known | commands}
        if len(msgspec.json.encode([list(kept.values()) for kept in scopes.values()])) > MAX_COMMANDS:
            return None
        self._scopes = {scope: kept for scope, kept in scopes.items() if kept}
        return list(commands.values())

    def _command(self, scope: int | None, fields: dict[str, Any], known: dict[str, Any] | None) -> dict[str, Any]:
        """With what Discord adds and has defaults for (Application Commands > Application Command Structure)."""
        self._number += 1
        version = str(self._application_id + 1 + self._number)
        command: dict[str, Any] = {
            "name_localizations": None,
            "description": "",
            "description_localizations": None,
            "default_member_permissions": None,
            "nsfw": False,
            "integration_types": [0],
            "contexts": None,
            **fields,
            "id": version if known is None else known["id"],
            "version": version,
            "application_id": str(self._application_id),
        }
        if scope is not None:
            command["guild_id"] = str(scope)
        return command
