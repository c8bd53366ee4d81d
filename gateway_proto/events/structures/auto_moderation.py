"""The rules by which Discord itself moderates a guild, and what they do."""

from ..model import UNSET, Maybe, Model, OpenEnum, Snowflake

__all__ = [
    "ActionMetadata",
    "AutoModerationAction",
    "AutoModerationActionType",
    "AutoModerationEventType",
    "AutoModerationRule",
    "KeywordPresetType",
    "TriggerMetadata",
    "TriggerType",
]


class AutoModerationActionType(OpenEnum):
    """What a rule does to the one who sets it off (Discord: Auto Moderation > Action Types)."""

    BLOCK_MESSAGE = 1
    SEND_ALERT_MESSAGE = 2
    TIMEOUT = 3
    BLOCK_MEMBER_INTERACTION = 4
    """No more text, voice or other interactions."""


class AutoModerationEventType(OpenEnum):
    """When a rule is checked (Discord: Auto Moderation > Event Types)."""

    MESSAGE_SEND = 1
    """Edits too."""
    MEMBER_UPDATE = 2
    """A member edits the own profile."""


class KeywordPresetType(OpenEnum):
    """A list of words that Discord keeps (Discord: Auto Moderation > Keyword Preset Types)."""

    PROFANITY = 1
    SEXUAL_CONTENT = 2
    SLURS = 3


class TriggerType(OpenEnum):
    """What a rule looks for (Discord: Auto Moderation > Trigger Types)."""

    KEYWORD = 1
    SPAM = 3
    KEYWORD_PRESET = 4
    MENTION_SPAM = 5
    MEMBER_PROFILE = 6


class TriggerMetadata(Model, frozen=True, kw_only=True):
    """The details of what a rule looks for; its type decides which fields are there.

    (Discord: Auto Moderation > Trigger Metadata)
    """

    keyword_filter: Maybe[list[str]] = UNSET
    """Up to 1000, each of up to 60 characters; `*` at an end matches the rest of a word. Upper case counts as lower."""
    regex_patterns: Maybe[list[str]] = UNSET
    """Up to 10, each of up to 260 characters, in the dialect of Rust's `regex`."""
    presets: Maybe[list[KeywordPresetType]] = UNSET
    allow_list: Maybe[list[str]] = UNSET
    """Never set off the rule: up to 100, with `KEYWORD_PRESET` 1000, each of up to 60 characters."""
    mention_total_limit: Maybe[int] = UNSET
    """Different roles and users that one message may mention, up to 50."""
    mention_raid_protection_enabled: Maybe[bool] = UNSET


class ActionMetadata(Model, frozen=True, kw_only=True):
    """The details of an action; its type decides which fields are there.

    (Discord: Auto Moderation > Action Metadata)
    """

    channel_id: Maybe[Snowflake] = UNSET
    """Where the alert is posted."""
    duration_seconds: Maybe[int] = UNSET
    """Of the timeout; up to 2,419,200 (4 weeks)."""
    custom_message: Maybe[str] = UNSET
    """What the blocked member is told, up to 150 characters."""


class AutoModerationAction(Model, frozen=True, kw_only=True):
    """One of the things that a rule does when it is set off.

    (Discord: Auto Moderation > Auto Moderation Action Structure)
    """

    type: AutoModerationActionType
    metadata: Maybe[ActionMetadata] = UNSET


class AutoModerationRule(Model, frozen=True, kw_only=True):
    """A rule of a guild (Discord: Auto Moderation > Auto Moderation Rule Structure)."""

    id: Snowflake
    guild_id: Snowflake
    name: str
    creator_id: Snowflake
    """The user who made the rule."""
    event_type: AutoModerationEventType
    trigger_type: TriggerType
    trigger_metadata: TriggerMetadata
    actions: list[AutoModerationAction]
    enabled: bool
    exempt_roles: list[Snowflake]
    """Ids of up to 20 roles whose members may do what they like."""
    exempt_channels: list[Snowflake]
    """Ids of up to 50 channels in which the rule does not hold."""
