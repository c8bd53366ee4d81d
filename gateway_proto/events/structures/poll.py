"""Polls: a question, its answers and how many voted for each."""

from ..model import UNSET, Maybe, Model, OpenEnum, Timestamp
from .emoji import Emoji

__all__ = ["LayoutType", "Poll", "PollAnswer", "PollAnswerCount", "PollMedia", "PollResults"]


class LayoutType(OpenEnum):
    """How a poll looks (Discord: Poll Resource > Layout Type)."""

    DEFAULT = 1


class PollMedia(Model, frozen=True, kw_only=True):
    """The text and emoji of a question or an answer (Discord: Poll Resource > Poll Media Object Structure)."""

    text: Maybe[str] = UNSET
    """At most 300 characters in a question, 55 in an answer."""
    emoji: Maybe[Emoji] = UNSET
    """Answers only."""


class PollAnswer(Model, frozen=True, kw_only=True):
    """What one may vote for, one of up to ten (Discord: Poll Resource > Poll Answer Object Structure)."""

    answer_id: int
    """Counts from 1 as yet, which Discord does not promise."""
    poll_media: PollMedia


class PollAnswerCount(Model, frozen=True, kw_only=True):
    """How many voted for an answer (Discord: Poll Resource > Poll Answer Count Object Structure)."""

    id: int
    """The `answer_id`."""
    count: int
    me_voted: bool
    """Of no use to a bot, which may not vote."""


class PollResults(Model, frozen=True, kw_only=True):
    """The votes, exact only once they are finalized (Discord: Poll Resource > Poll Results Object Structure)."""

    is_finalized: bool
    """The poll has ended and the votes are counted exactly."""
    answer_counts: list[PollAnswerCount]
    """An answer that is absent has no votes."""


class Poll(Model, frozen=True, kw_only=True):
    """A question to the readers of a message (Discord: Poll Resource > Poll Object Structure)."""

    question: PollMedia
    answers: list[PollAnswer]
    expiry: Timestamp | None = None
    """None: it never ends, which no poll does as yet."""
    allow_multiselect: bool
    layout_type: LayoutType
    results: Maybe[PollResults] = UNSET
    """Absent: unknown, rather than no votes."""
