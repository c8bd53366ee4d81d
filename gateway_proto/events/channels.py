"""Events of channels and threads."""

from .model import UNSET, Maybe, Model, Snowflake, Timestamp
from .structures.channel import Channel, ChannelType, ThreadMember
from .structures.presence import Presence

__all__ = [
    "AddedThreadMember",
    "ChannelCreate",
    "ChannelDelete",
    "ChannelInfo",
    "ChannelInfoChannel",
    "ChannelPinsUpdate",
    "ChannelUpdate",
    "ThreadCreate",
    "ThreadDelete",
    "ThreadListSync",
    "ThreadMemberUpdate",
    "ThreadMembersUpdate",
    "ThreadUpdate",
]


class ChannelCreate(Channel, frozen=True, kw_only=True):
    """`CHANNEL_CREATE`: a channel was made in a guild (Discord: Gateway Events > Channel Create).

    Intents: GUILDS.
    """


class ChannelUpdate(Channel, frozen=True, kw_only=True):
    """`CHANNEL_UPDATE`: a channel changed, `last_message_id` aside (Discord: Gateway Events > Channel Update).

    Intents: GUILDS.
    """


class ChannelDelete(Channel, frozen=True, kw_only=True):
    """`CHANNEL_DELETE`: a channel was deleted (Discord: Gateway Events > Channel Delete).

    Intents: GUILDS.
    """


class ChannelInfoChannel(Model, frozen=True, kw_only=True):
    """What a voice channel is busy with (Discord: Gateway Events > Channel Info Channel Structure)."""

    id: Snowflake
    status: Maybe[str | None] = UNSET
    """Text beneath the channel, at most 500 characters. None: there is none. Absent: not asked for."""
    voice_start_time: Maybe[int | None] = UNSET
    """Unix time in seconds. None: no voice session. Absent: not asked for."""


class ChannelInfo(Model, frozen=True, kw_only=True):
    """`CHANNEL_INFO`: answers Request Channel Info, opcode 43 (Discord: Gateway Events > Channel Info).

    Intents: none.
    """

    guild_id: Snowflake
    channels: list[ChannelInfoChannel]


class ChannelPinsUpdate(Model, frozen=True, kw_only=True):
    """`CHANNEL_PINS_UPDATE`: a message was pinned or unpinned (Discord: Gateway Events > Channel Pins Update).

    It does not come when a pinned message is deleted. Intents: GUILDS, DIRECT_MESSAGES.
    """

    guild_id: Maybe[Snowflake] = UNSET
    """Absent from direct messages."""
    channel_id: Snowflake
    last_pin_timestamp: Maybe[Timestamp | None] = UNSET
    """Of the latest pin. None or absent: nothing is pinned."""


class ThreadCreate(Channel, frozen=True, kw_only=True):
    """`THREAD_CREATE`: a thread was made, or the bot was added to one (Discord: Gateway Events > Thread Create).

    Intents: GUILDS.
    """

    newly_created: Maybe[bool] = UNSET
    """True: the thread was made. Absent: the bot was added to one that existed, and `member` says since when."""


class ThreadUpdate(Channel, frozen=True, kw_only=True):
    """`THREAD_UPDATE`: a thread changed, `last_message_id` aside (Discord: Gateway Events > Thread Update).

    Intents: GUILDS.
    """


class ThreadDelete(Model, frozen=True, kw_only=True):
    """`THREAD_DELETE`: a thread was deleted (Discord: Gateway Events > Thread Delete).

    Intents: GUILDS.
    """

    id: Snowflake
    type: ChannelType
    guild_id: Maybe[Snowflake] = UNSET
    parent_id: Maybe[Snowflake | None] = UNSET
    """Of the channel that it was in."""


class ThreadListSync(Model, frozen=True, kw_only=True):
    """`THREAD_LIST_SYNC`: the bot may view more channels than before (Discord: Gateway Events > Thread List Sync).

    Brings their active threads. Intents: GUILDS.
    """

    guild_id: Snowflake
    channel_ids: Maybe[list[Snowflake]] = UNSET
    """Of the channels whose threads these are, also those without any. Absent: of the whole guild."""
    threads: list[Channel]
    members: list[ThreadMember]
    """The bot's, of those threads that it has joined."""


class ThreadMemberUpdate(ThreadMember, frozen=True, kw_only=True):
    """`THREAD_MEMBER_UPDATE`: the bot's own `ThreadMember` changed (Discord: Gateway Events > Thread Member Update).

    Intents: GUILDS.
    """

    guild_id: Snowflake


class AddedThreadMember(ThreadMember, frozen=True, kw_only=True):
    """A user who has just joined a thread: with the guild's member and the presence."""

    presence: Maybe[Presence | None] = UNSET


class ThreadMembersUpdate(Model, frozen=True, kw_only=True):
    """`THREAD_MEMBERS_UPDATE`: users joined or left a thread (Discord: Gateway Events > Thread Members Update).

    Intents: GUILDS, GUILD_MEMBERS (privileged); without the latter, only if the bot itself joined or left.
    """

    id: Snowflake
    """Of the thread."""
    guild_id: Snowflake
    member_count: int
    """About; it stops at 50."""
    added_members: Maybe[list[AddedThreadMember]] = UNSET
    removed_member_ids: Maybe[list[Snowflake]] = UNSET
    """Ids of users."""
