"""Events of stage channels going live and closing."""

from .structures.stage_instance import StageInstance

__all__ = ["StageInstanceCreate", "StageInstanceDelete", "StageInstanceUpdate"]


class StageInstanceCreate(StageInstance, frozen=True, kw_only=True):
    """`STAGE_INSTANCE_CREATE`: a stage went live (Discord: Gateway Events > Stage Instance Create). Intents: GUILDS."""


class StageInstanceUpdate(StageInstance, frozen=True, kw_only=True):
    """`STAGE_INSTANCE_UPDATE`: a live stage changed.

    (Discord: Gateway Events > Stage Instance Update) Intents: GUILDS.
    """


class StageInstanceDelete(StageInstance, frozen=True, kw_only=True):
    """`STAGE_INSTANCE_DELETE`: a stage closed (Discord: Gateway Events > Stage Instance Delete). Intents: GUILDS."""
