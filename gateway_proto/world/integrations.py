"""What is attached to a guild from outside: accounts, applications, webhooks, and who may use a command."""

from typing import Final

from .guild import TEXT, Guild
from .scene import MOST, Maker, Scene, WorldEvent, happened
from .shapes import GAMES, Payload

_ROLE: Final = 1
"""Application command permission type."""
COMMANDS: Final = tuple(game.split()[0].lower() for game in GAMES)
"""Of the bot."""


class Integrations:
    """Makers by name."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self.makers: dict[str, Maker] = {
            "INTEGRATION_CREATE": self.attach,
            "INTEGRATION_UPDATE": self.update,
            "INTEGRATION_DELETE": self.detach,
            "WEBHOOKS_UPDATE": self.update_webhooks,
            "APPLICATION_COMMAND_PERMISSIONS_UPDATE": self.permit,
        }

    # GUILD_INTEGRATIONS_UPDATE, which does not say what changed, follows each of the three.

    def attach(self, guild: Guild) -> WorldEvent | None:
        if len(guild.integrations) >= MOST:
            return self.detach(guild)
        guild = self._scene.edit(guild)
        type = self._draw.pick(("twitch", "youtube", "discord"))
        name = self._draw.name()
        made: Payload = {
            "type": type,
            "name": name,
            "id": self._draw.snowflake(),
            "enabled": True,
            "account": {"name": name, "id": str(self._draw.rng.getrandbits(40))},
        }
        if type == "discord":
            application = self._draw.old_snowflake()
            # No longer documented, and still there: discord.py takes the summary for granted.
            about = {"name": name, "id": application, "icon": None, "description": self._draw.text(6), "summary": ""}
            made |= {"scopes": ["bot", "applications.commands"], "application": about}
        else:
            made |= {
                "user": self._users.raw(guild.members.pick(self._draw)),
                "syncing": False,
                "synced_at": self._draw.timestamp(),
                "subscriber_count": self._draw.rng.randrange(500),
                "role_id": self._draw.pick([*guild.assignable_roles(), guild.bot_role]),
                "revoked": False,
                "expire_grace_period": 7,
                "expire_behavior": 0,
                # Where it has one, discord.py takes it for granted.
                "enable_emoticons": False,
            }
        guild.integrations[made["id"]] = made
        return self._changed("INTEGRATION_CREATE", guild, made)

    def update(self, guild: Guild) -> WorldEvent | None:
        """Switched off or on, or with another name; first there must be one."""
        if not guild.integrations:
            return self.attach(guild)
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.integrations))
        made = guild.integrations[id]
        changes: Payload = {"name": self._draw.name()}
        if self._draw.random() < 0.5:
            changes = {"enabled": not made["enabled"]}
        guild.integrations[id] = made | changes
        return self._changed("INTEGRATION_UPDATE", guild, guild.integrations[id])

    def detach(self, guild: Guild) -> WorldEvent | None:
        if not guild.integrations:
            return None
        gone = self._scene.edit(guild).integrations.pop(self._draw.pick(list(guild.integrations)))
        told = {"id": gone["id"]}
        if "application" in gone:
            told["application_id"] = gone["application"]["id"]
        return self._changed("INTEGRATION_DELETE", guild, told)

    def _changed(self, name: str, guild: Guild, payload: Payload) -> WorldEvent:
        self._scene.follow(guild, lambda guild: happened("GUILD_INTEGRATIONS_UPDATE", guild, {}))
        return happened(name, guild, payload)

    def update_webhooks(self, guild: Guild) -> WorldEvent:
        return happened("WEBHOOKS_UPDATE", guild, {"channel_id": self._draw.often(guild.channels_of(TEXT))})

    def permit(self, guild: Guild) -> WorldEvent:
        """A role may use a command, or may not."""
        roles = [str(guild.id), *guild.assignable_roles()]
        permitted: Payload = {
            "permissions": [
                {"type": _ROLE, "permission": self._draw.random() < 0.5, "id": role}
                for role in self._draw.rng.sample(roles, k=min(2, len(roles)))
            ],
            "id": command_id(self._scene.application_id, self._draw.often(COMMANDS)),
            "application_id": str(self._scene.application_id),
        }
        return happened("APPLICATION_COMMAND_PERMISSIONS_UPDATE", guild, permitted)


def command_id(application_id: int, command: str) -> str:
    """A command's id."""
    return str(application_id + 1 + COMMANDS.index(command))
