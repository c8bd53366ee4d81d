"""Made-up values of the kinds that Discord sends; they are `gateway_proto.world`'s."""

from ..world.values import DAY, DISCORD_EPOCH, EMOJI, START, Values

__all__ = ["DAY", "DISCORD_EPOCH", "EMOJI", "START", "Values"]
