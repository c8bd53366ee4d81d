"""Events of votes in polls."""

from .model import UNSET, Maybe, Model, Snowflake

__all__ = ["MessagePollVoteAdd", "MessagePollVoteRemove"]


class MessagePollVoteAdd(Model, frozen=True, kw_only=True):
    """`MESSAGE_POLL_VOTE_ADD`: a user voted in a poll (Discord: Gateway Events > Message Poll Vote Add).

    One event for each answer. Intents: GUILD_MESSAGE_POLLS, DIRECT_MESSAGE_POLLS.
    """

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    answer_id: int
    """As in `PollAnswer`."""


class MessagePollVoteRemove(Model, frozen=True, kw_only=True):
    """`MESSAGE_POLL_VOTE_REMOVE`: a user took a vote back (Discord: Gateway Events > Message Poll Vote Remove).

    One event for each answer. Intents: GUILD_MESSAGE_POLLS, DIRECT_MESSAGE_POLLS.
    """

    user_id: Snowflake
    channel_id: Snowflake
    message_id: Snowflake
    guild_id: Maybe[Snowflake] = UNSET
    answer_id: int
    """As in `PollAnswer`."""
