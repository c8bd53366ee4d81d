"""Which intents bring which event (Discord: Gateway > Gateway Intents > List of Intents).

An event that more than one intent lists comes by any of them, each for its own channels: MESSAGE_CREATE of guilds by
GUILD_MESSAGES, of direct messages by DIRECT_MESSAGES.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from .intents import Intents

# MESSAGE_CONTENT is not here: it brings no event but fills fields of some.
_EVENTS_OF: Final = {
    Intents.GUILDS: """
        GUILD_CREATE GUILD_UPDATE GUILD_DELETE
        GUILD_ROLE_CREATE GUILD_ROLE_UPDATE GUILD_ROLE_DELETE
        CHANNEL_CREATE CHANNEL_UPDATE CHANNEL_DELETE CHANNEL_PINS_UPDATE
        THREAD_CREATE THREAD_UPDATE THREAD_DELETE THREAD_LIST_SYNC THREAD_MEMBER_UPDATE THREAD_MEMBERS_UPDATE
        STAGE_INSTANCE_CREATE STAGE_INSTANCE_UPDATE STAGE_INSTANCE_DELETE
        VOICE_CHANNEL_STATUS_UPDATE VOICE_CHANNEL_START_TIME_UPDATE
    """,
    Intents.GUILD_MEMBERS: "GUILD_MEMBER_ADD GUILD_MEMBER_UPDATE GUILD_MEMBER_REMOVE THREAD_MEMBERS_UPDATE",
    Intents.GUILD_MODERATION: "GUILD_AUDIT_LOG_ENTRY_CREATE GUILD_BAN_ADD GUILD_BAN_REMOVE",
    Intents.GUILD_EXPRESSIONS: """
        GUILD_EMOJIS_UPDATE GUILD_STICKERS_UPDATE GUILD_SOUNDBOARD_SOUNDS_UPDATE
        GUILD_SOUNDBOARD_SOUND_CREATE GUILD_SOUNDBOARD_SOUND_UPDATE GUILD_SOUNDBOARD_SOUND_DELETE
    """,
    Intents.GUILD_INTEGRATIONS: """
        GUILD_INTEGRATIONS_UPDATE INTEGRATION_CREATE INTEGRATION_UPDATE INTEGRATION_DELETE
    """,
    Intents.GUILD_WEBHOOKS: "WEBHOOKS_UPDATE",
    Intents.GUILD_INVITES: "INVITE_CREATE INVITE_DELETE",
    Intents.GUILD_VOICE_STATES: "VOICE_CHANNEL_EFFECT_SEND VOICE_STATE_UPDATE",
    Intents.GUILD_PRESENCES: "PRESENCE_UPDATE",
    Intents.GUILD_MESSAGES: "MESSAGE_CREATE MESSAGE_UPDATE MESSAGE_DELETE MESSAGE_DELETE_BULK",
    Intents.GUILD_MESSAGE_REACTIONS: """
        MESSAGE_REACTION_ADD MESSAGE_REACTION_REMOVE MESSAGE_REACTION_REMOVE_ALL MESSAGE_REACTION_REMOVE_EMOJI
    """,
    Intents.GUILD_MESSAGE_TYPING: "TYPING_START",
    Intents.DIRECT_MESSAGES: "MESSAGE_CREATE MESSAGE_UPDATE MESSAGE_DELETE CHANNEL_PINS_UPDATE",
    Intents.DIRECT_MESSAGE_REACTIONS: """
        MESSAGE_REACTION_ADD MESSAGE_REACTION_REMOVE MESSAGE_REACTION_REMOVE_ALL MESSAGE_REACTION_REMOVE_EMOJI
    """,
    Intents.DIRECT_MESSAGE_TYPING: "TYPING_START",
    Intents.GUILD_SCHEDULED_EVENTS: """
        GUILD_SCHEDULED_EVENT_CREATE GUILD_SCHEDULED_EVENT_UPDATE GUILD_SCHEDULED_EVENT_DELETE
        GUILD_SCHEDULED_EVENT_USER_ADD GUILD_SCHEDULED_EVENT_USER_REMOVE
    """,
    Intents.AUTO_MODERATION_CONFIGURATION: """
        AUTO_MODERATION_RULE_CREATE AUTO_MODERATION_RULE_UPDATE AUTO_MODERATION_RULE_DELETE
    """,
    Intents.AUTO_MODERATION_EXECUTION: "AUTO_MODERATION_ACTION_EXECUTION",
    Intents.GUILD_MESSAGE_POLLS: "MESSAGE_POLL_VOTE_ADD MESSAGE_POLL_VOTE_REMOVE",
    Intents.DIRECT_MESSAGE_POLLS: "MESSAGE_POLL_VOTE_ADD MESSAGE_POLL_VOTE_REMOVE",
}


def _by_event(events_of: Mapping[Intents, str]) -> Mapping[str, Intents]:
    found: dict[str, Intents] = {}
    for intent, names in events_of.items():
        for name in names.split():
            found[name] = found.get(name, Intents.none()) | intent
    return MappingProxyType(found)


EVENT_INTENTS: Final[Mapping[str, Intents]] = _by_event(_EVENTS_OF)
"""For each event the intents of which any one brings it. Those that need none (READY, INTERACTION_CREATE) are absent.

GUILD_MEMBER_UPDATE comes for the bot's own member without GUILD_MEMBERS too (Gateway > Gateway Intents > Caveats).
"""


def missing_intents(names: Iterable[str], intents: Intents) -> dict[str, Intents]:
    """Of these events, those that no intent of a session brings, each with the intents of which one would.

    Names that are not in `EVENT_INTENTS` are taken for events that need no intent.
    """
    return {name: EVENT_INTENTS[name] for name in names if name in EVENT_INTENTS and not EVENT_INTENTS[name] & intents}
