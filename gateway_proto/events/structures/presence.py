"""What users show of themselves: status and activities."""

from typing import ClassVar

from ..model import UNSET, Flags, Maybe, Model, OpenEnum, Sealed, Snowflake
from .user import PartialUser

__all__ = [
    "Activity",
    "ActivityAssets",
    "ActivityButton",
    "ActivityEmoji",
    "ActivityFlags",
    "ActivityParty",
    "ActivitySecrets",
    "ActivityTimestamps",
    "ActivityType",
    "ClientStatus",
    "Presence",
    "StatusDisplayType",
]


class ActivityFlags(Flags):
    """What can be done with an activity (Discord: Gateway Events > Activity Flags)."""

    INSTANCE = 1 << 0
    JOIN = 1 << 1
    SPECTATE = 1 << 2
    JOIN_REQUEST = 1 << 3
    SYNC = 1 << 4
    PLAY = 1 << 5
    PARTY_PRIVACY_FRIENDS = 1 << 6
    PARTY_PRIVACY_VOICE_CHANNEL = 1 << 7
    EMBEDDED = 1 << 8


class ActivityType(OpenEnum):
    """What the activity is, and so how it reads (Discord: Gateway Events > Activity Types)."""

    PLAYING = 0
    """Playing {name}."""
    STREAMING = 1
    """Streaming {details}."""
    LISTENING = 2
    """Listening to {name}."""
    WATCHING = 3
    """Watching {name}."""
    CUSTOM = 4
    """{emoji} {state}."""
    COMPETING = 5
    """Competing in {name}."""


class StatusDisplayType(OpenEnum):
    """Which field stands in the member list (Discord: Gateway Events > Status Display Types)."""

    NAME = 0
    STATE = 1
    DETAILS = 2


class ActivityTimestamps(Model, frozen=True, kw_only=True):
    """From when to when, in Unix time in milliseconds (Discord: Gateway Events > Activity Timestamps)."""

    start: Maybe[int] = UNSET
    end: Maybe[int] = UNSET


class ActivityEmoji(Model, frozen=True, kw_only=True):
    """The emoji of a custom status (Discord: Gateway Events > Activity Emoji)."""

    name: str
    """The character itself, if there is no id."""
    id: Maybe[Snowflake] = UNSET
    animated: Maybe[bool] = UNSET


class ActivityParty(Model, frozen=True, kw_only=True):
    """The group in which somebody plays or listens (Discord: Gateway Events > Activity Party)."""

    id: Maybe[str] = UNSET
    size: Maybe[tuple[int, int]] = UNSET
    """How many there are, how many there can be."""


class ActivityAssets(Model, frozen=True, kw_only=True):
    """The pictures of an activity (Discord: Gateway Events > Activity Assets).

    An image is the id of an asset of the app, or `mp:` and a path at media.discordapp.net, or anything else: users
    write it, and nobody has checked it.
    """

    large_image: Maybe[str] = UNSET
    large_text: Maybe[str] = UNSET
    large_url: Maybe[str] = UNSET
    """What a click on the image opens."""
    small_image: Maybe[str] = UNSET
    small_text: Maybe[str] = UNSET
    small_url: Maybe[str] = UNSET
    """What a click on the image opens."""
    invite_cover_image: Maybe[str] = UNSET
    """The banner of an invitation to the game."""


class ActivitySecrets(Sealed, frozen=True, kw_only=True):
    """What admits others to a game (Discord: Gateway Events > Activity Secrets)."""

    SECRETS: ClassVar[frozenset[str]] = frozenset({"join", "spectate", "match"})

    join: Maybe[str] = UNSET
    spectate: Maybe[str] = UNSET
    match: Maybe[str] = UNSET


class ActivityButton(Model, frozen=True, kw_only=True):
    """A button as it is sent; bots are given its label alone (Discord: Gateway Events > Activity Buttons)."""

    label: str
    """1 to 32 characters."""
    url: str
    """1 to 512 characters."""


class Activity(Model, frozen=True, kw_only=True):
    """Something that a user does (Discord: Gateway Events > Activity Structure)."""

    name: str
    type: ActivityType
    url: Maybe[str | None] = UNSET
    """Of the stream, if it is one."""
    created_at: int
    """Unix time in milliseconds: since when the user shows it."""
    timestamps: Maybe[ActivityTimestamps] = UNSET
    application_id: Maybe[Snowflake] = UNSET
    """The app that is the game."""
    status_display_type: Maybe[StatusDisplayType | None] = UNSET
    details: Maybe[str | None] = UNSET
    """What the player is doing in it."""
    details_url: Maybe[str | None] = UNSET
    """What a click on `details` opens."""
    state: Maybe[str | None] = UNSET
    """How the party stands, or the text of a custom status."""
    state_url: Maybe[str | None] = UNSET
    """What a click on `state` opens."""
    emoji: Maybe[ActivityEmoji | None] = UNSET
    """Of a custom status."""
    party: Maybe[ActivityParty] = UNSET
    assets: Maybe[ActivityAssets] = UNSET
    secrets: Maybe[ActivitySecrets] = UNSET
    instance: Maybe[bool] = UNSET
    """Whether it is one match or session of the game among many."""
    flags: Maybe[ActivityFlags] = UNSET
    buttons: Maybe[list[ActivityButton | str]] = UNSET
    """Up to 2; over the gateway their labels alone."""


class ClientStatus(Model, frozen=True, kw_only=True):
    """On what a user is online: `online`, `idle` or `dnd` each (Discord: Gateway Events > Client Status Object).

    Absent: offline there, or invisible.
    """

    desktop: Maybe[str] = UNSET
    mobile: Maybe[str] = UNSET
    web: Maybe[str] = UNSET
    """A browser, or a bot."""
    vr: Maybe[str] = UNSET


class Presence(Model, frozen=True, kw_only=True):
    """What a user shows in a guild (Discord: Gateway Events > Presence Update Event Fields).

    Of the user only `id` is sure, and nothing else is: any field may be absent, and Discord does not check its type.
    """

    user: PartialUser
    """Often nothing but the id."""
    guild_id: Maybe[Snowflake] = UNSET
    """Absent in `GUILD_CREATE`, whose guild it is."""
    status: Maybe[str] = UNSET
    """`online`, `idle`, `dnd` or `offline`."""
    activities: Maybe[list[Activity]] = UNSET
    client_status: Maybe[ClientStatus] = UNSET
