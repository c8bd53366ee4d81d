"""Auto moderation: its rules, and what they catch."""

from typing import Final

from .guild import ANNOUNCEMENT, TEXT, Guild
from .scene import Maker, Scene, WorldEvent, encode, happened
from .shapes import Payload
from .talk import Talk

_MOST_RULES: Final = 6
"""Of the trigger type KEYWORD (Discord: Auto Moderation Resource > Trigger Types)."""
_KEYWORD: Final = 1
_BLOCK: Final = 1
_ALERT: Final = 2
"""Action types."""
_CREATED: Final = 140
_UPDATED: Final = 141
_DELETED: Final = 142
_BLOCKED: Final = 143
_FLAGGED: Final = 144
"""Actions of the audit log."""
_ALERT_MESSAGE: Final = 24
"""Type of a message."""


class Moderation:
    """Makers by name."""

    def __init__(self, scene: Scene, talk: Talk) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._talk = talk
        self.makers: dict[str, Maker] = {
            "AUTO_MODERATION_RULE_CREATE": self.create,
            "AUTO_MODERATION_RULE_UPDATE": self.update,
            "AUTO_MODERATION_RULE_DELETE": self.delete,
            "AUTO_MODERATION_ACTION_EXECUTION": self.catch,
        }

    def create(self, guild: Guild) -> WorldEvent | None:
        if len(guild.rules) >= _MOST_RULES:
            return None
        guild = self._scene.edit(guild)
        draw = self._draw
        actions: list[Payload] = [{"type": _BLOCK, "metadata": {}}]
        if draw.random() < 0.5:
            # There: the one channel that is never deleted.
            actions.append({"type": _ALERT, "metadata": {"channel_id": guild.text_channel}})
        roles, channels = guild.assignable_roles(), guild.channels_of(TEXT)
        rule: Payload = {
            "trigger_type": _KEYWORD,
            "trigger_metadata": {
                "regex_patterns": [],
                "keyword_filter": [draw.name() for _ in range(draw.rng.randrange(1, 6))],
                "allow_list": [],
            },
            "name": draw.text(3)[:100],
            "id": draw.snowflake(),
            "guild_id": str(guild.id),
            "exempt_roles": draw.rng.sample(roles, k=min(1, len(roles))),
            "exempt_channels": draw.rng.sample(channels, k=len(channels) // 3),
            "event_type": 1,
            "enabled": True,
            "creator_id": str(self._users.id(guild.members.owner)),
            "actions": actions,
        }
        guild.rules[rule["id"]] = rule
        self._scene.log(guild, _CREATED, rule["id"])
        return happened("AUTO_MODERATION_RULE_CREATE", guild, rule)

    def update(self, guild: Guild) -> WorldEvent | None:
        """Switched off or on, or with other words."""
        if not guild.rules:
            return None
        guild = self._scene.edit(guild)
        id = self._draw.pick(list(guild.rules))
        rule = guild.rules[id]
        if self._draw.random() < 0.4:
            changes: Payload = {"enabled": not rule["enabled"]}
        else:
            words = [self._draw.name() for _ in range(self._draw.rng.randrange(1, 6))]
            changes = {"trigger_metadata": rule["trigger_metadata"] | {"keyword_filter": words}}
        guild.rules[id] = rule | changes
        self._scene.log(guild, _UPDATED, id)
        return happened("AUTO_MODERATION_RULE_UPDATE", guild, guild.rules[id])

    def delete(self, guild: Guild) -> WorldEvent | None:
        if not guild.rules:
            return None
        guild = self._scene.edit(guild)
        rule = guild.rules.pop(self._draw.pick(list(guild.rules)))
        self._scene.log(guild, _DELETED, rule["id"])
        return happened("AUTO_MODERATION_RULE_DELETE", guild, rule)

    def catch(self, guild: Guild) -> WorldEvent | None:
        """Somebody writes what a rule forbids: one event for each of its actions. The alert is a message before it."""
        rules = [rule for rule in guild.rules.values() if rule["enabled"]]
        if not rules:
            return self.create(guild)
        rule = self._draw.pick(rules)
        user = guild.members.pick(self._draw)
        channels = [id for id in guild.channels_of(TEXT, ANNOUNCEMENT) if id not in rule["exempt_channels"]]
        exempt = user == guild.members.owner or set(guild.member_fields(user)["roles"]) & set(rule["exempt_roles"])
        if exempt or not channels:
            return None
        word = self._draw.pick(rule["trigger_metadata"]["keyword_filter"])
        caught: Payload = {
            "user_id": str(self._users.id(user)),
            "rule_trigger_type": rule["trigger_type"],
            "rule_id": rule["id"],
            "matched_keyword": word,
            "matched_content": word,
            "content": f"{self._draw.text(8)} {word} {self._draw.text(4)}",
            "channel_id": self._draw.often(channels),
        }
        first, *others = rule["actions"]
        self._log(guild, rule, caught, _BLOCKED)
        for action in others:
            self._scene.follow(guild, *self._alerting(rule, action, caught, user))
        return _executed(guild, caught, first)

    def _alerting(self, rule: Payload, action: Payload, caught: Payload, user: int) -> tuple[Maker, Maker]:
        alert: Payload = {}

        def post(guild: Guild) -> WorldEvent | None:
            if user not in guild.members:
                return None
            changes = {"type": _ALERT_MESSAGE, "content": caught["content"]}
            event, alert["alert_system_message_id"] = self._talk.post(
                guild, action["metadata"]["channel_id"], user, changes
            )
            return event

        def tell(guild: Guild) -> WorldEvent | None:
            if not alert:
                return None
            self._log(guild, rule, caught, _FLAGGED)
            return _executed(guild, caught | alert, action)

        return post, tell

    def _log(self, guild: Guild, rule: Payload, caught: Payload, action: int) -> None:
        options = {
            "channel_id": caught["channel_id"],
            "auto_moderation_rule_trigger_type": str(rule["trigger_type"]),
            "auto_moderation_rule_name": rule["name"],
        }
        self._scene.log(guild, action, caught["user_id"], options)


def _executed(guild: Guild, caught: Payload, action: Payload) -> WorldEvent:
    """Without MESSAGE_CONTENT, what was written is left out."""
    whole = caught | {"action": action, "guild_id": str(guild.id)}
    bare = whole | {"content": "", "matched_content": ""}
    return WorldEvent("AUTO_MODERATION_ACTION_EXECUTION", guild.id, encode(whole), encode(bare))


def without(rules: dict[str, Payload], key: str, id: str) -> dict[str, Payload]:
    """The rules, of which none exempts this role or channel."""
    return {
        name: rule | {key: [other for other in rule[key] if other != id]} if id in rule[key] else rule
        for name, rule in rules.items()
    }
