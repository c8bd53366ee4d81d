"""Which sessions are told of an event, and how much of it they see (Discord: Gateway > Gateway Intents)."""

from functools import lru_cache
from typing import Final

from ..event_intents import EVENT_INTENTS
from ..intents import Intents
from ..world import WorldEvent

_DIRECT: Final = (
    Intents.DIRECT_MESSAGES
    | Intents.DIRECT_MESSAGE_REACTIONS
    | Intents.DIRECT_MESSAGE_TYPING
    | Intents.DIRECT_MESSAGE_POLLS
)
_CONTENT: Final = int(Intents.MESSAGE_CONTENT)


def seen(event: WorldEvent, intents: int) -> bytes | None:
    """The `d` that a session with these intents is sent, None if it is not told."""
    return shown(event, intents) if is_told(event, intents) else None


def is_told(event: WorldEvent, intents: int) -> bool:
    """A session with these intents gets the event."""
    needed = _needed(event.name, event.guild_id is None, event.is_own)
    return needed is None or bool(intents & needed)


def shown(event: WorldEvent, intents: int) -> bytes:
    """What it sees: without MESSAGE_CONTENT content is left out of messages that are not the bot's or for the bot."""
    return event.data if event.bare is None or intents & _CONTENT else event.bare


@lru_cache(maxsize=512)
def _needed(name: str, is_direct: bool, is_own: bool) -> int | None:
    """The intents of which any one brings it; None: no intent is needed."""
    needed = EVENT_INTENTS.get(name)
    if needed is None or (name == "GUILD_MEMBER_UPDATE" and is_own):
        return None
    if name == "THREAD_MEMBERS_UPDATE" and not is_own:
        # GUILDS brings it only if the bot itself joined or left.
        return int(Intents.GUILD_MEMBERS)
    return int(needed & _DIRECT if is_direct else needed & ~_DIRECT)
