"""The presence that survives reconnects (Discord: Gateway Events > Update Presence)."""

from enum import Enum, IntEnum
from typing import Any

import msgspec


class OnlineStatus(Enum):
    """The status that others see."""

    ONLINE = "online"
    DND = "dnd"
    IDLE = "idle"
    INVISIBLE = "invisible"
    OFFLINE = "offline"
    """Shown by Discord for who is not there; to be sent it becomes `INVISIBLE`."""


class ActivityType(IntEnum):
    """What the activity is (Discord: Gateway Events > Activity Types)."""

    PLAYING = 0
    STREAMING = 1
    LISTENING = 2
    WATCHING = 3
    CUSTOM = 4
    COMPETING = 5


class Activity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An activity as a bot may set it: name, type, state, and for streaming a url."""

    name: str
    type: int
    url: str | None = None
    state: str | None = None

    @classmethod
    def playing(cls, name: str) -> "Activity":
        """What serenity's `set_game` took."""
        return cls(name=name, type=ActivityType.PLAYING)


class CurrentPresence(msgspec.Struct, frozen=True, kw_only=True):
    """What the bot shows. `since` is Unix time in milliseconds from which it is idle, or None."""

    activities: tuple[Activity, ...] = ()
    status: OnlineStatus = OnlineStatus.ONLINE
    since: int | None = None
    afk: bool = False

    def __post_init__(self) -> None:
        if self.status is OnlineStatus.OFFLINE:
            msgspec.structs.force_setattr(self, "status", OnlineStatus.INVISIBLE)

    def payload(self) -> dict[str, Any]:
        """The `d` of op 3 and the `presence` of IDENTIFY."""
        return {
            "since": self.since,
            "activities": list(self.activities),
            "status": self.status.value,
            "afk": self.afk,
        }


NO_PRESENCE = CurrentPresence()
"""Online, doing nothing: what Discord shows by itself, so IDENTIFY need not say it."""
