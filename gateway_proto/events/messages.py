"""Events of messages and of the reactions to them."""

from typing import ClassVar

from .model import UNSET, Later, Maybe, Model, OpenEnum, Snowflake
from .structures.channel import ChannelType
from .structures.emoji import Emoji
from .structures.guild import GuildMember, PartialGuildMember
from .structures.message import Message

__all__ = [
    "MessageCreate",
    "MessageDelete",
    "MessageDeleteBulk",
    "MessageReactionAdd",
    "MessageReactionRemove",
    "MessageReactionRemoveAll",
    "MessageReactionRemoveEmoji",
    "MessageUpdate",
    "ReactionType",
]


class ReactionType(OpenEnum):
    """Which kind of reaction it is (Discord: Message Resource > Reaction Types)."""

    NORMAL = 0
    BURST = 1
    """A super reaction."""


class MessageCreate(Message, frozen=True, kw_only=True):
    """`MESSAGE_CREATE`: a message was sent (Discord: Gateway Events > Message Create).

    Intents: GUILD_MESSAGES, DIRECT_MESSAGES; content, embeds, attachments, components and poll are empty without
    MESSAGE_CONTENT (privileged), see `Message`. Ephemeral messages need DIRECT_MESSAGES and have no guild_id.
    """

    guild_id: Maybe[Snowflake] = UNSET
    """Absent from direct and ephemeral messages."""
    member: Maybe[PartialGuildMember] = UNSET
    """The author's, without `user`. Absent from webhooks' messages also."""
    channel_type: Maybe[ChannelType] = UNSET


class MessageUpdate(Message, frozen=True, kw_only=True):
    """`MESSAGE_UPDATE`: a message was edited, or got its embeds (Discord: Gateway Events > Message Update).

    It is whole, except that `tts` is always false. Intents: GUILD_MESSAGES, DIRECT_MESSAGES; content, embeds,
    attachments, components and poll are empty without MESSAGE_CONTENT (privileged), see `Message`.
    """

    guild_id: Maybe[Snowflake] = UNSET
    """Absent from direct and ephemeral messages."""
    member: Maybe[PartialGuildMember] = UNSET
    """The author's, without `user`. Absent from webhooks' messages also."""
    channel_type: Maybe[ChannelType] = UNSET


class MessageDelete(Model, frozen=True, kw_only=True):
    """`MESSAGE_DELETE`: a message was deleted (Discord: Gateway Events > Message Delete).

    Intents: GUILD_MESSAGES, DIRECT_MESSAGES.
    """

    id: Snowflake
    channel_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET


class MessageDeleteBulk(Model, frozen=True, kw_only=True):
    """`MESSAGE_DELETE_BULK`: several messages were deleted at once (Discord: Gateway Events > Message Delete Bulk).

    Intents: GUILD_MESSAGES.
    """

    ids: list[Snowflake]
    channel_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET


class MessageReactionAdd(Model, frozen=True, kw_only=True):
    """`MESSAGE_REACTION_ADD`: a user reacted to a message (Discord: Gateway Events > Message Reaction Add).

    Intents: GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS.
    """

    LATER: ClassVar[Later] = {"burst": lambda reaction: False, "type": lambda reaction: 0}  # 2023

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    member: Maybe[GuildMember] = UNSET
    """Who reacted, in a guild."""
    emoji: Emoji
    message_author_id: Maybe[Snowflake] = UNSET
    burst: bool
    """A super reaction."""
    burst_colors: Maybe[list[str]] = UNSET
    """Each as `#rrggbb`. Super reactions only."""
    type: ReactionType


class MessageReactionRemove(Model, frozen=True, kw_only=True):
    """`MESSAGE_REACTION_REMOVE`: one reaction of a user is gone (Discord: Gateway Events > Message Reaction Remove).

    Intents: GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS.
    """

    LATER: ClassVar[Later] = {"burst": lambda reaction: False, "type": lambda reaction: 0}  # 2023

    user_id: Snowflake
    """Whose reaction it was."""
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    emoji: Emoji
    burst: bool
    """A super reaction."""
    type: ReactionType


class MessageReactionRemoveAll(Model, frozen=True, kw_only=True):
    """`MESSAGE_REACTION_REMOVE_ALL`: all reactions are gone (Discord: Gateway Events > Message Reaction Remove All).

    Intents: GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS.
    """

    channel_id: Snowflake
    message_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET


class MessageReactionRemoveEmoji(Model, frozen=True, kw_only=True):
    """`MESSAGE_REACTION_REMOVE_EMOJI`: an emoji was removed (Discord: Gateway Events > Message Reaction Remove Emoji).

    Intents: GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS.
    """

    channel_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    message_id: Snowflake
    emoji: Emoji
