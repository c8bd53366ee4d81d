"""Messages and what they are made of, with `ResolvedData`, since that and messages refer to each other."""

from ..model import UNSET, Flags, Maybe, Model, OpenEnum, Snowflake, Timestamp
from .application import PartialApplication
from .channel import Channel, ChannelType, PartialChannel
from .components import Component
from .embed import Embed
from .emoji import Emoji
from .guild import PartialGuildMember
from .interaction_metadata import MessageInteraction, MessageInteractionMetadata
from .permissions import Role
from .poll import Poll
from .sticker import Sticker, StickerItem
from .user import User

__all__ = [
    "Attachment",
    "AttachmentFlags",
    "BaseTheme",
    "ChannelMention",
    "MentionedUser",
    "Message",
    "MessageActivity",
    "MessageActivityType",
    "MessageCall",
    "MessageFlags",
    "MessageReference",
    "MessageReferenceType",
    "MessageSnapshot",
    "MessageType",
    "PartialMessage",
    "Reaction",
    "ReactionCountDetails",
    "ResolvedData",
    "RoleSubscriptionData",
    "SharedClientTheme",
]


class AttachmentFlags(Flags):
    """What holds for an attachment (Discord: Message Resource > Attachment Flags)."""

    IS_CLIP = 1 << 0
    """Cut from a stream; see the fields `clip_…`."""
    IS_THUMBNAIL = 1 << 1
    """Of a post in a media channel: shown in the grid, not in the message."""
    IS_REMIX = 1 << 2
    """Edited on a phone; deprecated."""
    IS_SPOILER = 1 << 3
    IS_ANIMATED = 1 << 5


class BaseTheme(OpenEnum):
    """What a shared theme builds upon (Discord: Message Resource > Base Theme Types)."""

    UNSET = 0
    """The same as DARK."""
    DARK = 1
    LIGHT = 2
    DARKER = 3
    MIDNIGHT = 4


class MessageActivityType(OpenEnum):
    """What a message invites to (Discord: Message Resource > Message Activity Types)."""

    JOIN = 1
    SPECTATE = 2
    LISTEN = 3
    JOIN_REQUEST = 5
    STREAM_REQUEST = 6


class MessageFlags(Flags):
    """What holds for a message (Discord: Message Resource > Message Flags)."""

    CROSSPOSTED = 1 << 0
    """Published to the channels that follow this one."""
    IS_CROSSPOST = 1 << 1
    """Comes from a channel that this one follows."""
    SUPPRESS_EMBEDS = 1 << 2
    SOURCE_MESSAGE_DELETED = 1 << 3
    """The original of this crosspost is gone."""
    URGENT = 1 << 4
    """From Discord's urgent message system."""
    HAS_THREAD = 1 << 5
    """The thread has the message's id."""
    EPHEMERAL = 1 << 6
    """Only the user of the interaction sees it."""
    LOADING = 1 << 7
    """The bot is thinking: an interaction's deferred response."""
    FAILED_TO_MENTION_SOME_ROLES_IN_THREAD = 1 << 8
    SUPPRESS_NOTIFICATIONS = 1 << 12
    """Sent silently."""
    IS_VOICE_MESSAGE = 1 << 13
    HAS_SNAPSHOT = 1 << 14
    """Forwarded: see `message_snapshots`."""
    IS_COMPONENTS_V2 = 1 << 15
    """All of it is in `components`."""


class MessageReferenceType(OpenEnum):
    """What a message does with the one that it refers to (Discord: Message Resource > Message Reference Types)."""

    DEFAULT = 0
    """The message is in `referenced_message`, if at all."""
    FORWARD = 1
    """It is in `message_snapshots`."""


class MessageType(OpenEnum):
    """Whether somebody wrote a message, or what it gives notice of (Discord: Message Resource > Message Types)."""

    DEFAULT = 0
    RECIPIENT_ADD = 1
    RECIPIENT_REMOVE = 2
    CALL = 3
    CHANNEL_NAME_CHANGE = 4
    CHANNEL_ICON_CHANGE = 5
    CHANNEL_PINNED_MESSAGE = 6
    USER_JOIN = 7
    GUILD_BOOST = 8
    GUILD_BOOST_TIER_1 = 9
    GUILD_BOOST_TIER_2 = 10
    GUILD_BOOST_TIER_3 = 11
    CHANNEL_FOLLOW_ADD = 12
    GUILD_DISCOVERY_DISQUALIFIED = 14
    GUILD_DISCOVERY_REQUALIFIED = 15
    GUILD_DISCOVERY_GRACE_PERIOD_INITIAL_WARNING = 16
    GUILD_DISCOVERY_GRACE_PERIOD_FINAL_WARNING = 17
    THREAD_CREATED = 18
    REPLY = 19
    CHAT_INPUT_COMMAND = 20
    THREAD_STARTER_MESSAGE = 21
    GUILD_INVITE_REMINDER = 22
    CONTEXT_MENU_COMMAND = 23
    AUTO_MODERATION_ACTION = 24
    ROLE_SUBSCRIPTION_PURCHASE = 25
    INTERACTION_PREMIUM_UPSELL = 26
    STAGE_START = 27
    STAGE_END = 28
    STAGE_SPEAKER = 29
    STAGE_TOPIC = 31
    GUILD_APPLICATION_PREMIUM_SUBSCRIPTION = 32
    GUILD_INCIDENT_ALERT_MODE_ENABLED = 36
    GUILD_INCIDENT_ALERT_MODE_DISABLED = 37
    GUILD_INCIDENT_REPORT_RAID = 38
    GUILD_INCIDENT_REPORT_FALSE_ALARM = 39
    PURCHASE_NOTIFICATION = 44
    POLL_RESULT = 46


class MentionedUser(User, frozen=True, kw_only=True):
    """A user whom a message mentions (Discord: Gateway Events > Message Create Extra Fields)."""

    member: Maybe[PartialGuildMember] = UNSET
    """In the gateway's messages of guilds only."""


class ChannelMention(Model, frozen=True, kw_only=True):
    """A channel that a crossposted message mentions (Discord: Message Resource > Channel Mention Structure)."""

    id: Snowflake
    guild_id: Snowflake
    type: ChannelType
    name: str


class Attachment(Model, frozen=True, kw_only=True):
    """A file that came with a message (Discord: Message Resource > Attachment Structure)."""

    id: Snowflake
    filename: str
    title: Maybe[str | None] = UNSET
    """Arrives as null too, which the documentation lacks."""
    description: Maybe[str] = UNSET
    """Alternative text, at most 1024 characters."""
    content_type: Maybe[str] = UNSET
    """Media type, such as `image/png`."""
    size: int
    """Bytes."""
    url: str
    proxy_url: str
    """The same through Discord's proxy: images, video and audio only."""
    height: Maybe[int | None] = UNSET
    """Pixels, of an image or video."""
    width: Maybe[int | None] = UNSET
    """Pixels, of an image or video."""
    placeholder: Maybe[str] = UNSET
    """A thumbhash, in base64."""
    placeholder_version: Maybe[int] = UNSET
    ephemeral: Maybe[bool] = UNSET
    """Discord deletes it after a while, but not before its message."""
    duration_secs: Maybe[float] = UNSET
    """Seconds, of audio or video."""
    waveform: Maybe[str] = UNSET
    """Of a voice message: base64 of at most 256 bytes, each a sample of the volume."""
    flags: Maybe[AttachmentFlags] = UNSET
    clip_participants: Maybe[list[User]] = UNSET
    """Who was in the stream that the clip is from."""
    clip_created_at: Maybe[Timestamp] = UNSET
    application: Maybe[PartialApplication | None] = UNSET
    """What was streamed, if Discord knows it."""


class ReactionCountDetails(Model, frozen=True, kw_only=True):
    """How many reactions were of which kind (Discord: Message Resource > Reaction Count Details Structure)."""

    burst: int
    """Super reactions."""
    normal: int


class Reaction(Model, frozen=True, kw_only=True):
    """An emoji beneath a message, with how many reacted by it (Discord: Message Resource > Reaction Structure)."""

    count: int
    """Of both kinds."""
    count_details: ReactionCountDetails
    me: bool
    """The bot reacted by it."""
    me_burst: bool
    """The bot super-reacted by it."""
    emoji: Emoji
    burst_colors: list[str]
    """Each as `#rrggbb`."""


class MessageActivity(Model, frozen=True, kw_only=True):
    """The Rich Presence activity that a message invites to (Discord: Message Resource > Message Activity Structure)."""

    type: MessageActivityType
    party_id: Maybe[str] = UNSET
    """As in the presence that invites."""


class MessageReference(Model, frozen=True, kw_only=True):
    """What a message replies to, forwards or crossposts (Discord: Message Resource > Message Reference Structure)."""

    type: Maybe[MessageReferenceType] = UNSET
    """Absent: DEFAULT."""
    message_id: Maybe[Snowflake] = UNSET
    """Absent where a channel is meant: CHANNEL_FOLLOW_ADD, THREAD_CREATED."""
    channel_id: Maybe[Snowflake] = UNSET
    """Always there in what is received."""
    guild_id: Maybe[Snowflake] = UNSET
    fail_if_not_exists: Maybe[bool] = UNSET
    """For sending only. Absent: true."""


class MessageCall(Model, frozen=True, kw_only=True):
    """A call in a direct message (Discord: Message Resource > Message Call Object Structure)."""

    participants: list[Snowflake]
    """Ids of users."""
    ended_timestamp: Maybe[Timestamp | None] = UNSET
    """None or absent: it goes on."""


class RoleSubscriptionData(Model, frozen=True, kw_only=True):
    """A role subscription, bought or renewed (Discord: Message Resource > Role Subscription Data Object Structure)."""

    role_subscription_listing_id: Snowflake
    """Of the SKU and its listing."""
    tier_name: str
    total_months_subscribed: int
    is_renewal: bool
    """False: a new purchase."""


class SharedClientTheme(Model, frozen=True, kw_only=True):
    """A look of the client, for others to try (Discord: Message Resource > Shared Client Theme Object Structure)."""

    colors: list[str]
    """At most 5, each as `rrggbb`."""
    gradient_angle: int
    """Degrees, 0 to 360."""
    base_mix: int
    """How strong the colors are, 0 to 100."""
    base_theme: Maybe[BaseTheme | None] = UNSET


class ResolvedData(Model, frozen=True, kw_only=True):
    """The objects whose ids the rest of the payload names (Discord: Interactions > Resolved Data Structure).

    A member has its user under the same id. It stands with the messages, since it and they refer to each other.
    """

    users: Maybe[dict[Snowflake, User]] = UNSET
    members: Maybe[dict[Snowflake, PartialGuildMember]] = UNSET
    """Without `user`, `deaf` and `mute`."""
    roles: Maybe[dict[Snowflake, Role]] = UNSET
    channels: Maybe[dict[Snowflake, PartialChannel]] = UNSET
    messages: Maybe[dict[Snowflake, "PartialMessage"]] = UNSET
    attachments: Maybe[dict[Snowflake, Attachment]] = UNSET


class MessageSnapshot(Model, frozen=True, kw_only=True):
    """A message as it was when somebody forwarded it (Discord: Message Resource > Message Snapshot Structure)."""

    message: "PartialMessage"
    """Without author and id; it never changes."""


class PartialMessage(Model, frozen=True, kw_only=True):
    """A message of which only some fields are sent: those of `Message`, none of them required.

    Even `id` is absent from a snapshot, and so is `author` (Discord: Message Resource > Message Structure).
    """

    id: Maybe[Snowflake] = UNSET
    channel_id: Maybe[Snowflake] = UNSET
    author: Maybe[User] = UNSET
    content: Maybe[str] = UNSET
    timestamp: Maybe[Timestamp] = UNSET
    edited_timestamp: Maybe[Timestamp | None] = UNSET
    tts: Maybe[bool] = UNSET
    mention_everyone: Maybe[bool] = UNSET
    mentions: Maybe[list[MentionedUser]] = UNSET
    mention_roles: Maybe[list[Snowflake]] = UNSET
    mention_channels: Maybe[list[ChannelMention]] = UNSET
    attachments: Maybe[list[Attachment]] = UNSET
    embeds: Maybe[list[Embed]] = UNSET
    reactions: Maybe[list[Reaction]] = UNSET
    nonce: Maybe[int | str] = UNSET
    pinned: Maybe[bool] = UNSET
    webhook_id: Maybe[Snowflake] = UNSET
    type: Maybe[MessageType] = UNSET
    activity: Maybe[MessageActivity] = UNSET
    application: Maybe[PartialApplication] = UNSET
    application_id: Maybe[Snowflake] = UNSET
    flags: Maybe[MessageFlags] = UNSET
    message_reference: Maybe[MessageReference] = UNSET
    message_snapshots: Maybe[list["MessageSnapshot"]] = UNSET
    referenced_message: Maybe["Message | None"] = UNSET
    interaction_metadata: Maybe[MessageInteractionMetadata] = UNSET
    interaction: Maybe[MessageInteraction] = UNSET
    thread: Maybe[Channel] = UNSET
    components: Maybe[list[Component]] = UNSET
    sticker_items: Maybe[list[StickerItem]] = UNSET
    stickers: Maybe[list[Sticker]] = UNSET
    position: Maybe[int] = UNSET
    role_subscription_data: Maybe[RoleSubscriptionData] = UNSET
    resolved: Maybe[ResolvedData] = UNSET
    poll: Maybe[Poll] = UNSET
    call: Maybe[MessageCall] = UNSET
    shared_client_theme: Maybe[SharedClientTheme] = UNSET


class Message(Model, frozen=True, kw_only=True):
    """A message in a channel (Discord: Message Resource > Message Structure).

    Unless the session has MESSAGE_CONTENT, `content`, `embeds`, `attachments` and `components` are empty and `poll` is
    UNSET; except in direct messages, in the bot's own messages and in those that mention it.
    """

    id: Snowflake
    channel_id: Snowflake
    author: User
    """If there is a `webhook_id`: no user, but the webhook's id, name and avatar."""
    content: str
    """At most 2000 characters, of users with Nitro 4000."""
    timestamp: Timestamp
    edited_timestamp: Timestamp | None = None
    """None: never edited."""
    tts: bool
    mention_everyone: bool
    """It mentions @everyone or @here."""
    mentions: list[MentionedUser]
    mention_roles: list[Snowflake]
    """Ids of roles."""
    mention_channels: Maybe[list[ChannelMention]] = UNSET
    """In crossposted messages only."""
    attachments: list[Attachment]
    embeds: list[Embed]
    reactions: Maybe[list[Reaction]] = UNSET
    nonce: Maybe[int | str] = UNSET
    """What the sender gave to find it again by."""
    pinned: bool
    webhook_id: Maybe[Snowflake] = UNSET
    type: MessageType
    activity: Maybe[MessageActivity] = UNSET
    application: Maybe[PartialApplication] = UNSET
    application_id: Maybe[Snowflake] = UNSET
    """Of the application that responded to an interaction or owns the webhook."""
    flags: Maybe[MessageFlags] = UNSET
    message_reference: Maybe[MessageReference] = UNSET
    message_snapshots: Maybe[list["MessageSnapshot"]] = UNSET
    """What a forward forwards; one as yet."""
    referenced_message: Maybe["Message | None"] = UNSET
    """None: it was deleted. UNSET: Discord did not look, or there is none."""
    interaction_metadata: Maybe[MessageInteractionMetadata] = UNSET
    interaction: Maybe[MessageInteraction] = UNSET
    """Deprecated: see `interaction_metadata`."""
    thread: Maybe[Channel] = UNSET
    """The one that was started from this message."""
    components: Maybe[list[Component]] = UNSET
    sticker_items: Maybe[list[StickerItem]] = UNSET
    stickers: Maybe[list[Sticker]] = UNSET
    """Deprecated: see `sticker_items`."""
    position: Maybe[int] = UNSET
    """About which message of the thread it is; there are gaps and duplicates."""
    role_subscription_data: Maybe[RoleSubscriptionData] = UNSET
    resolved: Maybe[ResolvedData] = UNSET
    poll: Maybe[Poll] = UNSET
    call: Maybe[MessageCall] = UNSET
    shared_client_theme: Maybe[SharedClientTheme] = UNSET
