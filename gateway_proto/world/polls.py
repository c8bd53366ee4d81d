"""Polls, which are messages, and votes in them."""

from typing import Final

from .guild import ANNOUNCEMENT, TEXT, Guild
from .scene import Maker, Message, Scene, WorldEvent, encode
from .shapes import Payload
from .talk import Talk
from .users import BOT
from .values import DAY

_LAYOUT: Final = 1
"""The one that there is (Discord: Poll Resource > Layout Type)."""


class Polls:
    """Makers by name: `makers` for guilds, `direct_makers` for direct messages. Bots may not vote."""

    def __init__(self, scene: Scene, talk: Talk) -> None:
        self._scene = scene
        self._draw = scene.draw
        self._users = scene.users
        self._talk = talk
        self.makers: dict[str, Maker] = {
            "MESSAGE_POLL_VOTE_ADD": self.vote,
            "MESSAGE_POLL_VOTE_REMOVE": self.unvote,
        }
        self.direct_makers: dict[str, Maker] = {
            "MESSAGE_POLL_VOTE_ADD": self.vote_directly,
            "MESSAGE_POLL_VOTE_REMOVE": self.unvote_directly,
        }

    def vote(self, guild: Guild) -> WorldEvent | None:
        """In a recent poll of the guild; if there is none, one begins before it."""
        polls = self._polls(guild.id)
        if not polls:
            channel = self._draw.often(guild.channels_of(TEXT, ANNOUNCEMENT))
            event, _ = self._talk.post(guild, channel, self._scene.somebody(guild), self._poll())
            self._scene.follow(guild, self.vote)
            return event
        return self._voted(self._draw.pick(polls), guild.members.pick(self._draw))

    def vote_directly(self, guild: Guild) -> WorldEvent | None:
        polls = self._polls(None)
        if not polls:
            event = self._talk.post_direct(guild.members.pick(self._draw), BOT, self._poll())
            self._scene.follow(guild, self.vote_directly)
            return event
        message = self._draw.pick(polls)
        return None if message.partner is None else self._voted(message, message.partner)

    def unvote(self, guild: Guild) -> WorldEvent | None:
        return self._unvoted(guild.id)

    def unvote_directly(self, guild: Guild) -> WorldEvent | None:
        return self._unvoted(None)

    def _polls(self, guild_id: int | None) -> list[Message]:
        return [
            message for message in self._scene.messages if message.guild_id == guild_id and "poll" in message.payload
        ]

    def _poll(self) -> Payload:
        """What a message has that is a poll."""
        draw = self._draw
        answers = range(1, draw.rng.randrange(3, 7))
        poll = {
            "question": {"text": draw.text(8)[:300]},
            "layout_type": _LAYOUT,
            "expiry": draw.timestamp(DAY),
            "answers": [{"poll_media": {"text": draw.text(3)[:55]}, "answer_id": answer} for answer in answers],
            "allow_multiselect": draw.random() < 0.3,
        }
        return {"content": "", "embeds": [], "attachments": [], "components": [], "poll": poll}

    def _voted(self, message: Message, user: int) -> WorldEvent | None:
        """For one answer, or for another one as well where that is allowed."""
        poll = message.payload["poll"]
        voted = {answer for voter, answer in message.votes if voter == user}
        answers = [answer["answer_id"] for answer in poll["answers"] if answer["answer_id"] not in voted]
        if not answers or (voted and not poll["allow_multiselect"]):
            return None
        answer = self._draw.pick(answers)
        message.votes[user, answer] = None
        return self._told("MESSAGE_POLL_VOTE_ADD", message, user, answer)

    def _unvoted(self, guild_id: int | None) -> WorldEvent | None:
        polls = [message for message in self._polls(guild_id) if message.votes]
        if not polls:
            return None
        message = self._draw.pick(polls)
        user, answer = self._draw.pick(list(message.votes))
        del message.votes[user, answer]
        return self._told("MESSAGE_POLL_VOTE_REMOVE", message, user, answer)

    def _told(self, name: str, message: Message, user: int, answer: int) -> WorldEvent:
        vote: Payload = {
            "user_id": str(self._users.id(user)),
            "message_id": message.id,
            "channel_id": message.channel,
            "answer_id": answer,
        }
        if message.guild_id is not None:
            vote["guild_id"] = str(message.guild_id)
        return WorldEvent(name, message.guild_id, encode(vote))
