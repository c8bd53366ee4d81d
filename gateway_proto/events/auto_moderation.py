"""Events of a guild's auto moderation. Discord sends them to bots that may manage the guild (`MANAGE_GUILD`)."""

from .model import UNSET, Maybe, Model, Snowflake
from .structures.auto_moderation import AutoModerationAction, AutoModerationRule, TriggerType

__all__ = [
    "AutoModerationActionExecution",
    "AutoModerationRuleCreate",
    "AutoModerationRuleDelete",
    "AutoModerationRuleUpdate",
]


class AutoModerationRuleCreate(AutoModerationRule, frozen=True, kw_only=True):
    """`AUTO_MODERATION_RULE_CREATE`: a rule was made.

    (Discord: Gateway Events > Auto Moderation Rule Create) Intents: AUTO_MODERATION_CONFIGURATION.
    """


class AutoModerationRuleUpdate(AutoModerationRule, frozen=True, kw_only=True):
    """`AUTO_MODERATION_RULE_UPDATE`: a rule was changed; this is the whole of it as it is now.

    (Discord: Gateway Events > Auto Moderation Rule Update) Intents: AUTO_MODERATION_CONFIGURATION.
    """


class AutoModerationRuleDelete(AutoModerationRule, frozen=True, kw_only=True):
    """`AUTO_MODERATION_RULE_DELETE`: a rule was deleted; this is the whole of it as it was.

    (Discord: Gateway Events > Auto Moderation Rule Delete) Intents: AUTO_MODERATION_CONFIGURATION.
    """


class AutoModerationActionExecution(Model, frozen=True, kw_only=True):
    """`AUTO_MODERATION_ACTION_EXECUTION`: a rule was set off; one event for each of its actions.

    (Discord: Gateway Events > Auto Moderation Action Execution) Intents: AUTO_MODERATION_EXECUTION, and for `content`
    and `matched_content` MESSAGE_CONTENT (privileged).
    """

    guild_id: Snowflake
    action: AutoModerationAction
    rule_id: Snowflake
    rule_trigger_type: TriggerType
    user_id: Snowflake
    """Who set it off."""
    channel_id: Maybe[Snowflake] = UNSET
    """Where it was written. Absent: in no channel but, say, in a profile."""
    message_id: Maybe[Snowflake] = UNSET
    """Absent: the message was blocked, or there was none."""
    alert_system_message_id: Maybe[Snowflake] = UNSET
    """The alert that was posted. Only for `SEND_ALERT_MESSAGE`."""
    content: str
    """What the user wrote. Empty without MESSAGE_CONTENT."""
    matched_keyword: str | None = None
    """The word or phrase of the rule that matched."""
    matched_content: str | None = None
    """The part of `content` that matched. Empty without MESSAGE_CONTENT."""
