"""Channels and threads of guilds, and direct messages."""

from ..model import UNSET, Flags, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .guild import GuildMember
from .permissions import PermissionSet
from .user import User

__all__ = [
    "Channel",
    "ChannelFlags",
    "ChannelType",
    "DefaultReaction",
    "ForumLayoutType",
    "ForumTag",
    "Overwrite",
    "OverwriteType",
    "PartialChannel",
    "SortOrderType",
    "ThreadMember",
    "ThreadMetadata",
    "VideoQualityMode",
]


class ChannelFlags(Flags):
    """What holds for a channel or thread (Discord: Channels Resource > Channel Flags)."""

    PINNED = 1 << 1
    """A thread, at the top of its forum or media channel."""
    REQUIRE_TAG = 1 << 4
    """New posts in this forum or media channel must have a tag."""
    HIDE_MEDIA_DOWNLOAD_OPTIONS = 1 << 15
    """Media channels only."""
    CHANNEL_OBFUSCATED = 1 << 17
    """The bot may not view it; the name is `___hidden___`. Set by the gateway only."""
    IS_SPOILER_CHANNEL = 1 << 21
    """Who wants to see it must say so first."""


class ChannelType(OpenEnum):
    """Which kind of channel or thread it is (Discord: Channels Resource > Channel Types)."""

    GUILD_TEXT = 0
    DM = 1
    GUILD_VOICE = 2
    GROUP_DM = 3
    GUILD_CATEGORY = 4
    GUILD_ANNOUNCEMENT = 5
    ANNOUNCEMENT_THREAD = 10
    PUBLIC_THREAD = 11
    """In a text, forum or media channel."""
    PRIVATE_THREAD = 12
    GUILD_STAGE_VOICE = 13
    GUILD_DIRECTORY = 14
    """Lists the guilds of a student hub."""
    GUILD_FORUM = 15
    GUILD_MEDIA = 16


class ForumLayoutType(OpenEnum):
    """How a forum shows its posts (Discord: Channels Resource > Forum Layout Types)."""

    NOT_SET = 0
    LIST_VIEW = 1
    GALLERY_VIEW = 2


class OverwriteType(OpenEnum):
    """For whom an overwrite is (Discord: Channels Resource > Overwrite Structure)."""

    ROLE = 0
    MEMBER = 1


class SortOrderType(OpenEnum):
    """By what a forum sorts its posts, the latest first (Discord: Channels Resource > Sort Order Types)."""

    LATEST_ACTIVITY = 0
    CREATION_DATE = 1


class VideoQualityMode(OpenEnum):
    """How good the cameras in a voice channel are (Discord: Channels Resource > Video Quality Modes)."""

    AUTO = 1
    FULL = 2
    """720p."""


class Overwrite(Model, frozen=True, kw_only=True):
    """What a role or member may do here, other than in the guild (Discord: Channels Resource > Overwrite Structure)."""

    id: Snowflake
    """Of the role or the user. That of the role @everyone is the guild's."""
    type: OverwriteType
    allow: PermissionSet
    deny: PermissionSet


class ThreadMetadata(Model, frozen=True, kw_only=True):
    """What a thread has and no other channel (Discord: Channels Resource > Thread Metadata Structure)."""

    archived: bool
    auto_archive_duration: int
    """Minutes without activity until it is hidden: 60, 1440, 4320 or 10080."""
    archive_timestamp: Timestamp
    """When `archived` last changed."""
    locked: bool
    """Only who has MANAGE_THREADS may unarchive it."""
    invitable: Maybe[bool] = UNSET
    """Whether others than moderators may add members. Private threads only."""
    create_timestamp: Maybe[Timestamp | None] = UNSET
    """None or absent for threads older than 2022-01-09."""


class ThreadMember(Model, frozen=True, kw_only=True):
    """A user who has joined a thread (Discord: Channels Resource > Thread Member Structure)."""

    id: Maybe[Snowflake] = UNSET
    """Of the thread. It and `user_id` are absent within the threads of GUILD_CREATE."""
    user_id: Maybe[Snowflake] = UNSET
    join_timestamp: Timestamp
    """When the user last joined."""
    flags: int
    """The user's settings for the thread, so far for notifications. No bit is documented."""
    member: Maybe[GuildMember] = UNSET
    """In THREAD_MEMBERS_UPDATE only."""


class DefaultReaction(Model, frozen=True, kw_only=True):
    """The emoji first offered beneath a post (Discord: Channels Resource > Default Reaction Structure)."""

    emoji_id: Snowflake | None = None
    """Of an emoji of the guild."""
    emoji_name: str | None = None
    """The characters of a Unicode emoji."""


class ForumTag(Model, frozen=True, kw_only=True):
    """A tag for the posts of a forum, with one emoji at most (Discord: Channels Resource > Forum Tag Structure)."""

    id: Snowflake
    name: str
    """At most 20 characters."""
    moderated: bool
    """Only who has MANAGE_THREADS may add or remove it."""
    emoji_id: Snowflake | None = None
    """Of an emoji of the guild."""
    emoji_name: str | None = None
    """The characters of a Unicode emoji."""


class Channel(Model, frozen=True, kw_only=True):
    """A channel of a guild, a thread or a direct message (Discord: Channels Resource > Channel Structure).

    Which fields are there depends on `type`. One that the bot may not view can come with the flag
    CHANNEL_OBFUSCATED: then only its id, type, position and parent are true.
    """

    id: Snowflake
    type: ChannelType
    guild_id: Maybe[Snowflake] = UNSET
    """May be absent also where there is one: within GUILD_CREATE."""
    position: Maybe[int] = UNSET
    """Sorts it in the list, from the top; channels of equal position are sorted by id."""
    permission_overwrites: Maybe[list[Overwrite]] = UNSET
    name: Maybe[str | None] = UNSET
    """1 to 100 characters; None or absent for direct messages."""
    topic: Maybe[str | None] = UNSET
    """At most 1024 characters, in forum and media channels 4096."""
    nsfw: Maybe[bool] = UNSET
    """Restricted by age."""
    last_message_id: Maybe[Snowflake | None] = UNSET
    """In forum and media channels, of the last thread. What it names may be gone."""
    bitrate: Maybe[int] = UNSET
    """Bits per second."""
    user_limit: Maybe[int] = UNSET
    """0: none."""
    rate_limit_per_user: Maybe[int] = UNSET
    """Seconds between two messages of a user, 0 to 21600; also between two threads."""
    recipients: Maybe[list[User]] = UNSET
    icon: Maybe[str | None] = UNSET
    """Hash, for the CDN. Group direct messages only."""
    owner_id: Maybe[Snowflake] = UNSET
    """The user who made the thread or group."""
    application_id: Maybe[Snowflake | None] = UNSET
    """Of the application that made the group."""
    managed: Maybe[bool] = UNSET
    """A group that an application manages."""
    parent_id: Maybe[Snowflake | None] = UNSET
    """Of a channel its category; of a thread the channel that it is in."""
    last_pin_timestamp: Maybe[Timestamp | None] = UNSET
    rtc_region: Maybe[str | None] = UNSET
    """A voice region's id. None: chosen by Discord."""
    video_quality_mode: Maybe[VideoQualityMode] = UNSET
    """Absent: AUTO."""
    message_count: Maybe[int] = UNSET
    """Of a thread, without its first and the deleted messages."""
    member_count: Maybe[int] = UNSET
    """Of a thread, about; it stops at 50."""
    thread_metadata: Maybe[ThreadMetadata] = UNSET
    member: Maybe[ThreadMember] = UNSET
    """The bot's, if it is in the thread."""
    default_auto_archive_duration: Maybe[int] = UNSET
    """Minutes, for new threads: 60, 1440, 4320 or 10080."""
    permissions: Maybe[PermissionSet] = UNSET
    """The invoking user's, overwrites included. In `ResolvedData` only."""
    app_permissions: Maybe[PermissionSet] = UNSET
    """The bot's, overwrites included. In `ResolvedData` only."""
    flags: Maybe[ChannelFlags] = UNSET
    total_message_sent: Maybe[int] = UNSET
    """Of a thread, the deleted ones included."""
    available_tags: Maybe[list[ForumTag]] = UNSET
    """At most 20. Forum and media channels only."""
    applied_tags: Maybe[list[Snowflake]] = UNSET
    """Ids of the parent's tags, at most 5. Posts only."""
    default_reaction_emoji: Maybe[DefaultReaction | None] = UNSET
    default_thread_rate_limit_per_user: Maybe[int] = UNSET
    """Seconds: copied to new threads as `rate_limit_per_user`."""
    default_sort_order: Maybe[SortOrderType | None] = UNSET
    """None: nobody has chosen one."""
    default_forum_layout: Maybe[ForumLayoutType] = UNSET


class PartialChannel(Model, frozen=True, kw_only=True):
    """A channel of which only some fields are sent: those of `Channel`, of which only `id` is required.

    Interactions, invites and the like send it (Discord: Channels Resource > Channel Structure).
    """

    id: Snowflake
    type: Maybe[ChannelType] = UNSET
    guild_id: Maybe[Snowflake] = UNSET
    position: Maybe[int] = UNSET
    permission_overwrites: Maybe[list[Overwrite]] = UNSET
    name: Maybe[str | None] = UNSET
    topic: Maybe[str | None] = UNSET
    nsfw: Maybe[bool] = UNSET
    last_message_id: Maybe[Snowflake | None] = UNSET
    bitrate: Maybe[int] = UNSET
    user_limit: Maybe[int] = UNSET
    rate_limit_per_user: Maybe[int] = UNSET
    recipients: Maybe[list[User]] = UNSET
    icon: Maybe[str | None] = UNSET
    owner_id: Maybe[Snowflake] = UNSET
    application_id: Maybe[Snowflake | None] = UNSET
    managed: Maybe[bool] = UNSET
    parent_id: Maybe[Snowflake | None] = UNSET
    last_pin_timestamp: Maybe[Timestamp | None] = UNSET
    rtc_region: Maybe[str | None] = UNSET
    video_quality_mode: Maybe[VideoQualityMode] = UNSET
    message_count: Maybe[int] = UNSET
    member_count: Maybe[int] = UNSET
    thread_metadata: Maybe[ThreadMetadata] = UNSET
    member: Maybe[ThreadMember] = UNSET
    default_auto_archive_duration: Maybe[int] = UNSET
    permissions: Maybe[PermissionSet] = UNSET
    app_permissions: Maybe[PermissionSet] = UNSET
    flags: Maybe[ChannelFlags] = UNSET
    total_message_sent: Maybe[int] = UNSET
    available_tags: Maybe[list[ForumTag]] = UNSET
    applied_tags: Maybe[list[Snowflake]] = UNSET
    default_reaction_emoji: Maybe[DefaultReaction | None] = UNSET
    default_thread_rate_limit_per_user: Maybe[int] = UNSET
    default_sort_order: Maybe[SortOrderType | None] = UNSET
    default_forum_layout: Maybe[ForumLayoutType] = UNSET
