"""What tests of this engine are made of, for its users too."""

from .stream import SHARES, EventStream, GeneratedEvent, Tally, guilds, mixed, typing_only

__all__ = ["SHARES", "EventStream", "GeneratedEvent", "Tally", "guilds", "mixed", "typing_only"]
