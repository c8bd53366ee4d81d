"""What the audit log of a guild says: who did what to whom."""

from typing import Any

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake

__all__ = ["AuditEntryInfo", "AuditLogChange", "AuditLogEntry", "AuditLogEvent"]


class AuditLogEvent(OpenEnum):
    """What was done (Discord: Audit Logs Resource > Audit Log Events)."""

    GUILD_UPDATE = 1
    CHANNEL_CREATE = 10
    CHANNEL_UPDATE = 11
    CHANNEL_DELETE = 12
    CHANNEL_OVERWRITE_CREATE = 13
    CHANNEL_OVERWRITE_UPDATE = 14
    CHANNEL_OVERWRITE_DELETE = 15
    MEMBER_KICK = 20
    MEMBER_PRUNE = 21
    MEMBER_BAN_ADD = 22
    MEMBER_BAN_REMOVE = 23
    MEMBER_UPDATE = 24
    MEMBER_ROLE_UPDATE = 25
    MEMBER_MOVE = 26
    MEMBER_DISCONNECT = 27
    BOT_ADD = 28
    ROLE_CREATE = 30
    ROLE_UPDATE = 31
    ROLE_DELETE = 32
    INVITE_CREATE = 40
    INVITE_UPDATE = 41
    INVITE_DELETE = 42
    WEBHOOK_CREATE = 50
    WEBHOOK_UPDATE = 51
    WEBHOOK_DELETE = 52
    EMOJI_CREATE = 60
    EMOJI_UPDATE = 61
    EMOJI_DELETE = 62
    MESSAGE_DELETE = 72
    MESSAGE_BULK_DELETE = 73
    MESSAGE_PIN = 74
    MESSAGE_UNPIN = 75
    INTEGRATION_CREATE = 80
    INTEGRATION_UPDATE = 81
    INTEGRATION_DELETE = 82
    STAGE_INSTANCE_CREATE = 83
    STAGE_INSTANCE_UPDATE = 84
    STAGE_INSTANCE_DELETE = 85
    STICKER_CREATE = 90
    STICKER_UPDATE = 91
    STICKER_DELETE = 92
    GUILD_SCHEDULED_EVENT_CREATE = 100
    GUILD_SCHEDULED_EVENT_UPDATE = 101
    GUILD_SCHEDULED_EVENT_DELETE = 102
    THREAD_CREATE = 110
    THREAD_UPDATE = 111
    THREAD_DELETE = 112
    APPLICATION_COMMAND_PERMISSION_UPDATE = 121
    SOUNDBOARD_SOUND_CREATE = 130
    SOUNDBOARD_SOUND_UPDATE = 131
    SOUNDBOARD_SOUND_DELETE = 132
    AUTO_MODERATION_RULE_CREATE = 140
    AUTO_MODERATION_RULE_UPDATE = 141
    AUTO_MODERATION_RULE_DELETE = 142
    AUTO_MODERATION_BLOCK_MESSAGE = 143
    AUTO_MODERATION_FLAG_TO_CHANNEL = 144
    AUTO_MODERATION_USER_COMMUNICATION_DISABLED = 145
    AUTO_MODERATION_QUARANTINE_USER = 146
    CREATOR_MONETIZATION_REQUEST_CREATED = 150
    CREATOR_MONETIZATION_TERMS_ACCEPTED = 151
    ONBOARDING_PROMPT_CREATE = 163
    ONBOARDING_PROMPT_UPDATE = 164
    ONBOARDING_PROMPT_DELETE = 165
    ONBOARDING_CREATE = 166
    ONBOARDING_UPDATE = 167
    HOME_SETTINGS_CREATE = 190
    HOME_SETTINGS_UPDATE = 191
    VOICE_CHANNEL_STATUS_UPDATE = 192
    VOICE_CHANNEL_STATUS_DELETE = 193


class AuditEntryInfo(Model, frozen=True, kw_only=True):
    """More about some of the actions; `action_type` of the entry decides which fields are there.

    (Discord: Audit Logs Resource > Optional Audit Entry Info)
    """

    application_id: Maybe[Snowflake] = UNSET
    """The app whose command permissions were changed."""
    auto_moderation_rule_name: Maybe[str] = UNSET
    auto_moderation_rule_trigger_type: Maybe[str] = UNSET
    """The digits of a `TriggerType`."""
    channel_id: Maybe[Snowflake] = UNSET
    """Where it was done."""
    count: Maybe[str] = UNSET
    """Digits: to how many members or messages it was done."""
    delete_member_days: Maybe[str] = UNSET
    """Digits: who had been away for so many days was pruned."""
    id: Maybe[Snowflake] = UNSET
    """The role or member of the permission overwrite."""
    members_removed: Maybe[str] = UNSET
    """Digits: how many were pruned."""
    message_id: Maybe[Snowflake] = UNSET
    role_name: Maybe[str] = UNSET
    """Of the permission overwrite, if that is a role's."""
    type: Maybe[str] = UNSET
    """Whose permission overwrite: `"0"` a role's, `"1"` a member's."""
    integration_type: Maybe[str] = UNSET
    """What kind of integration kicked the member or changed the roles."""
    status: Maybe[str] = UNSET
    """The new status of the voice channel."""


class AuditLogChange(Model, frozen=True, kw_only=True):
    """One field before and after (Discord: Audit Logs Resource > Audit Log Change Structure)."""

    new_value: Maybe[Any] = UNSET
    """Plain JSON, of the field's type. Absent beside an old value: reset, or null now."""
    old_value: Maybe[Any] = UNSET
    """Plain JSON, of the field's type. Absent: it was null."""
    key: str
    """A field of the thing changed; or `$add`, `$remove` (roles of a member), or an id (permissions of a command)."""


class AuditLogEntry(Model, frozen=True, kw_only=True):
    """One action of one user or app (Discord: Audit Logs Resource > Audit Log Entry Structure)."""

    target_id: str | None = None
    """What it was done to: mostly an id, of what kind depends on `action_type`."""
    changes: Maybe[list[AuditLogChange]] = UNSET
    user_id: Snowflake | None = None
    """The user or app who did it."""
    id: Snowflake
    action_type: AuditLogEvent
    options: Maybe[AuditEntryInfo] = UNSET
    reason: Maybe[str] = UNSET
    """1 to 512 characters, as given by who did it."""
