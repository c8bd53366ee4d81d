"""The event of interactions."""

from .structures.interaction import Interaction

__all__ = ["InteractionCreate"]


class InteractionCreate(Interaction, frozen=True, kw_only=True):
    """`INTERACTION_CREATE`: a command, component or modal was used (Discord: Gateway Events > Interaction Create).

    It comes unless the application has an interactions endpoint URL. Intents: none.
    """
