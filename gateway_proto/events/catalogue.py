"""Which Struct is the payload of which event."""

from typing import Final

from ..errors import LocalProtocolError
from .application_commands import ApplicationCommandPermissionsUpdate
from .auto_moderation import (
    AutoModerationActionExecution,
    AutoModerationRuleCreate,
    AutoModerationRuleDelete,
    AutoModerationRuleUpdate,
)
from .channels import (
    ChannelCreate,
    ChannelDelete,
    ChannelInfo,
    ChannelPinsUpdate,
    ChannelUpdate,
    ThreadCreate,
    ThreadDelete,
    ThreadListSync,
    ThreadMembersUpdate,
    ThreadMemberUpdate,
    ThreadUpdate,
)
from .connecting import RateLimited, Ready, Resumed
from .entitlements import EntitlementCreate, EntitlementDelete, EntitlementUpdate
from .guilds import (
    GuildAuditLogEntryCreate,
    GuildBanAdd,
    GuildBanRemove,
    GuildCreate,
    GuildDelete,
    GuildEmojisUpdate,
    GuildIntegrationsUpdate,
    GuildMemberAdd,
    GuildMemberRemove,
    GuildMembersChunk,
    GuildMemberUpdate,
    GuildRoleCreate,
    GuildRoleDelete,
    GuildRoleUpdate,
    GuildScheduledEventCreate,
    GuildScheduledEventDelete,
    GuildScheduledEventUpdate,
    GuildScheduledEventUserAdd,
    GuildScheduledEventUserRemove,
    GuildSoundboardSoundCreate,
    GuildSoundboardSoundDelete,
    GuildSoundboardSoundsUpdate,
    GuildSoundboardSoundUpdate,
    GuildStickersUpdate,
    GuildUpdate,
    SoundboardSounds,
)
from .integrations import IntegrationCreate, IntegrationDelete, IntegrationUpdate
from .interactions import InteractionCreate
from .invites import InviteCreate, InviteDelete
from .messages import (
    MessageCreate,
    MessageDelete,
    MessageDeleteBulk,
    MessageReactionAdd,
    MessageReactionRemove,
    MessageReactionRemoveAll,
    MessageReactionRemoveEmoji,
    MessageUpdate,
)
from .model import Model
from .polls import MessagePollVoteAdd, MessagePollVoteRemove
from .presence import PresenceUpdate, TypingStart, UserUpdate
from .stage_instances import StageInstanceCreate, StageInstanceDelete, StageInstanceUpdate
from .subscriptions import SubscriptionCreate, SubscriptionDelete, SubscriptionUpdate
from .voice import (
    VoiceChannelEffectSend,
    VoiceChannelStartTimeUpdate,
    VoiceChannelStatusUpdate,
    VoiceServerUpdate,
    VoiceStateUpdate,
)
from .webhooks import WebhooksUpdate

__all__ = ["DISPATCH_NAMES", "DISPATCH_TYPES", "name_of"]

DISPATCH_TYPES: Final[dict[str, type[Model]]] = {
    "READY": Ready,
    "RESUMED": Resumed,
    "RATE_LIMITED": RateLimited,
    "APPLICATION_COMMAND_PERMISSIONS_UPDATE": ApplicationCommandPermissionsUpdate,
    "AUTO_MODERATION_RULE_CREATE": AutoModerationRuleCreate,
    "AUTO_MODERATION_RULE_UPDATE": AutoModerationRuleUpdate,
    "AUTO_MODERATION_RULE_DELETE": AutoModerationRuleDelete,
    "AUTO_MODERATION_ACTION_EXECUTION": AutoModerationActionExecution,
    "CHANNEL_CREATE": ChannelCreate,
    "CHANNEL_UPDATE": ChannelUpdate,
    "CHANNEL_DELETE": ChannelDelete,
    "CHANNEL_INFO": ChannelInfo,
    "CHANNEL_PINS_UPDATE": ChannelPinsUpdate,
    "THREAD_CREATE": ThreadCreate,
    "THREAD_UPDATE": ThreadUpdate,
    "THREAD_DELETE": ThreadDelete,
    "THREAD_LIST_SYNC": ThreadListSync,
    "THREAD_MEMBER_UPDATE": ThreadMemberUpdate,
    "THREAD_MEMBERS_UPDATE": ThreadMembersUpdate,
    "ENTITLEMENT_CREATE": EntitlementCreate,
    "ENTITLEMENT_UPDATE": EntitlementUpdate,
    "ENTITLEMENT_DELETE": EntitlementDelete,
    "GUILD_CREATE": GuildCreate,
    "GUILD_UPDATE": GuildUpdate,
    "GUILD_DELETE": GuildDelete,
    "GUILD_AUDIT_LOG_ENTRY_CREATE": GuildAuditLogEntryCreate,
    "GUILD_BAN_ADD": GuildBanAdd,
    "GUILD_BAN_REMOVE": GuildBanRemove,
    "GUILD_EMOJIS_UPDATE": GuildEmojisUpdate,
    "GUILD_STICKERS_UPDATE": GuildStickersUpdate,
    "GUILD_INTEGRATIONS_UPDATE": GuildIntegrationsUpdate,
    "GUILD_MEMBER_ADD": GuildMemberAdd,
    "GUILD_MEMBER_REMOVE": GuildMemberRemove,
    "GUILD_MEMBER_UPDATE": GuildMemberUpdate,
    "GUILD_MEMBERS_CHUNK": GuildMembersChunk,
    "GUILD_ROLE_CREATE": GuildRoleCreate,
    "GUILD_ROLE_UPDATE": GuildRoleUpdate,
    "GUILD_ROLE_DELETE": GuildRoleDelete,
    "GUILD_SCHEDULED_EVENT_CREATE": GuildScheduledEventCreate,
    "GUILD_SCHEDULED_EVENT_UPDATE": GuildScheduledEventUpdate,
    "GUILD_SCHEDULED_EVENT_DELETE": GuildScheduledEventDelete,
    "GUILD_SCHEDULED_EVENT_USER_ADD": GuildScheduledEventUserAdd,
    "GUILD_SCHEDULED_EVENT_USER_REMOVE": GuildScheduledEventUserRemove,
    "GUILD_SOUNDBOARD_SOUND_CREATE": GuildSoundboardSoundCreate,
    "GUILD_SOUNDBOARD_SOUND_UPDATE": GuildSoundboardSoundUpdate,
    "GUILD_SOUNDBOARD_SOUND_DELETE": GuildSoundboardSoundDelete,
    "GUILD_SOUNDBOARD_SOUNDS_UPDATE": GuildSoundboardSoundsUpdate,
    "SOUNDBOARD_SOUNDS": SoundboardSounds,
    "INTEGRATION_CREATE": IntegrationCreate,
    "INTEGRATION_UPDATE": IntegrationUpdate,
    "INTEGRATION_DELETE": IntegrationDelete,
    "INTERACTION_CREATE": InteractionCreate,
    "INVITE_CREATE": InviteCreate,
    "INVITE_DELETE": InviteDelete,
    "MESSAGE_CREATE": MessageCreate,
    "MESSAGE_UPDATE": MessageUpdate,
    "MESSAGE_DELETE": MessageDelete,
    "MESSAGE_DELETE_BULK": MessageDeleteBulk,
    "MESSAGE_REACTION_ADD": MessageReactionAdd,
    "MESSAGE_REACTION_REMOVE": MessageReactionRemove,
    "MESSAGE_REACTION_REMOVE_ALL": MessageReactionRemoveAll,
    "MESSAGE_REACTION_REMOVE_EMOJI": MessageReactionRemoveEmoji,
    "PRESENCE_UPDATE": PresenceUpdate,
    "STAGE_INSTANCE_CREATE": StageInstanceCreate,
    "STAGE_INSTANCE_UPDATE": StageInstanceUpdate,
    "STAGE_INSTANCE_DELETE": StageInstanceDelete,
    "SUBSCRIPTION_CREATE": SubscriptionCreate,
    "SUBSCRIPTION_UPDATE": SubscriptionUpdate,
    "SUBSCRIPTION_DELETE": SubscriptionDelete,
    "TYPING_START": TypingStart,
    "USER_UPDATE": UserUpdate,
    "VOICE_CHANNEL_EFFECT_SEND": VoiceChannelEffectSend,
    "VOICE_CHANNEL_START_TIME_UPDATE": VoiceChannelStartTimeUpdate,
    "VOICE_CHANNEL_STATUS_UPDATE": VoiceChannelStatusUpdate,
    "VOICE_STATE_UPDATE": VoiceStateUpdate,
    "VOICE_SERVER_UPDATE": VoiceServerUpdate,
    "WEBHOOKS_UPDATE": WebhooksUpdate,
    "MESSAGE_POLL_VOTE_ADD": MessagePollVoteAdd,
    "MESSAGE_POLL_VOTE_REMOVE": MessagePollVoteRemove,
}
"""The 79 events of Gateway v10 in the order of the documentation, each with the type of its payload."""

DISPATCH_NAMES: Final[dict[type, str]] = {kind: name for name, kind in DISPATCH_TYPES.items()}
"""The way back: no two events share a type."""


def name_of(kind: type[Model]) -> str:
    """The event of which `Dispatch.get(kind)` gives the payload: MESSAGE_CREATE of `MessageCreate`.

    Raises:
        LocalProtocolError: no event has that type. `UnavailableGuild` neither: `Dispatch.get` never gives one.
    """
    name = DISPATCH_NAMES.get(kind)
    if name is None:
        raise LocalProtocolError(f"no event has the payload type {kind.__name__}; DISPATCH_TYPES lists those of events")
    return name
