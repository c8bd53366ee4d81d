"""What comes of a request to the gateway: its result, or the error that holds what did come; and who puts it together.

A collector is given the events of one request, in any order, and knows when they are all there. It knows nothing of
time, of Discord's limits and of other requests: that is `machine.py` (F35).
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias, TypeVar

import msgspec

from ..actions import Dispatch
from ..errors import EventDecodeError, GatewayError
from ..events.channels import ChannelInfo
from ..events.guilds import GuildMembersChunk, SoundboardSounds
from ..events.model import Snowflake
from ..events.structures.guild import GuildMember
from ..events.structures.presence import Presence
from ..events.structures.soundboard import SoundboardSound

T = TypeVar("T")

IDLE_LIMIT: Final = 30.0
"""Seconds in which no part of an answer came: then no other is waited for."""
MAX_CHUNKS: Final = 100_000
"""A chunk_count beyond it is none: that would be a hundred million members."""


# -- results ---------------------------------------------------------------------------------------------------


class Members(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a guild that were asked for, in the order of the chunks.

    `presences` are those of these members, if they were asked for; `not_found` are the ids of `user_ids` that are
    no members.
    """

    guild_id: int
    members: tuple[GuildMember, ...] = ()
    presences: tuple[Presence, ...] = ()
    not_found: tuple[int, ...] = ()


Sounds: TypeAlias = dict[int, tuple[SoundboardSound, ...]]
"""The soundboard sounds of each guild, by its id."""
RequestResult: TypeAlias = Members | Sounds | ChannelInfo


# -- errors ----------------------------------------------------------------------------------------------------


class RequestEnd(Enum):
    """Why a request has no whole answer."""

    IDLE = "nothing more came for 30 s"
    CLOSED = "the shard was closed"
    MISFIT = "part of the answer cannot be decoded"


class RequestError(GatewayError):
    """A request was not answered, or not whole. The connection and the session know nothing of it.

    `missing` are the parts that never came and `misfits` those that came but are not what their type says: indices of
    chunks for members, ids of guilds for the rest. Where a part did come, a subclass has it as `partial`.
    """

    def __init__(
        self, what: str, end: RequestEnd, *, missing: tuple[int, ...] = (), misfits: Mapping[int, EventDecodeError]
    ) -> None:
        self.end = end
        self.missing = missing
        self.misfits: dict[int, EventDecodeError] = dict(misfits)
        first = f" ({next(iter(self.misfits.values()))})" if end is RequestEnd.MISFIT and self.misfits else ""
        super().__init__(f"{what}: {end.value}{first}")


class IncompleteMembersError(RequestError):
    """Not all chunks came. `chunk_count` is how many there are, None if not even the first came."""

    def __init__(
        self,
        partial: Members,
        end: RequestEnd,
        *,
        chunk_count: int | None,
        missing: tuple[int, ...],
        misfits: Mapping[int, EventDecodeError],
    ) -> None:
        self.partial = partial
        self.chunk_count = chunk_count
        came = "no chunk"
        if chunk_count is not None:
            came = f"{chunk_count - len(missing) - len(misfits)} of {chunk_count} chunks"
        super().__init__(f"{came} of the members of guild {partial.guild_id}", end, missing=missing, misfits=misfits)


class IncompleteSoundsError(RequestError):
    """Not every guild's sounds came."""

    def __init__(
        self, partial: Sounds, end: RequestEnd, *, missing: tuple[int, ...], misfits: Mapping[int, EventDecodeError]
    ) -> None:
        self.partial = partial
        count = len(partial) + len(missing) + len(misfits)
        super().__init__(
            f"the soundboard sounds of {len(partial)} of {count} guilds", end, missing=missing, misfits=misfits
        )


# -- collectors ------------------------------------------------------------------------------------------------


class ChunkHead(msgspec.Struct, frozen=True):
    """A GUILD_MEMBERS_CHUNK without its members: what says whose it is, also if these cannot be decoded."""

    guild_id: Snowflake
    chunk_index: int
    chunk_count: int
    nonce: str | None = None


class GuildHead(msgspec.Struct, frozen=True):
    """The guild that an event is about."""

    guild_id: Snowflake


class MemberRequest:
    """Collects the chunks of one request, told by its nonce: in any order, each once (F35).

    It is complete at `chunk_count` distinct indices. A chunk that does not decode counts as one that came, and is in
    `misfits`. An index outside the count is ignored; of counts that differ the largest holds, so that a wrong one can
    never pass off a part for the whole.
    """

    __slots__ = ("_chunks", "chunk_count", "guild_id", "misfits", "nonce")

    def __init__(self, guild_id: int, nonce: str) -> None:
        self.guild_id: int = guild_id
        self.nonce: str = nonce
        self.restart()

    def restart(self) -> None:
        """Forget what came: it is asked for again from the start."""
        self.chunk_count: int | None = None
        self.misfits: dict[int, EventDecodeError] = {}
        self._chunks: dict[int, GuildMembersChunk] = {}

    def receive(self, event: Dispatch) -> bool:
        """Take a GUILD_MEMBERS_CHUNK. True if it was a part of this answer that was still missing."""
        head = read_head(event, ChunkHead)
        return head is not None and self.receive_chunk(head, event)

    def receive_chunk(self, head: ChunkHead, event: Dispatch) -> bool:
        """As `receive`, for who has read the head already."""
        index, count = head.chunk_index, head.chunk_count
        if head.nonce != self.nonce or head.guild_id != self.guild_id or not 0 <= index < count <= MAX_CHUNKS:
            return False
        self.chunk_count = max(count, self.chunk_count or 0)
        if index in self._chunks or index in self.misfits:
            return False
        try:
            # Kept by the event: whoever handles it after us finds it decoded.
            chunk = event.get(GuildMembersChunk)
        except EventDecodeError as error:
            self.misfits[index] = error.as_value()
            return True
        if chunk is not None:
            self._chunks[index] = chunk
        return chunk is not None

    @property
    def has_begun(self) -> bool:
        return self.chunk_count is not None

    @property
    def is_complete(self) -> bool:
        return self.chunk_count is not None and len(self._chunks) + len(self.misfits) >= self.chunk_count

    @property
    def missing(self) -> tuple[int, ...]:
        """The indices that are still to come; none before the first chunk has told how many there are."""
        return tuple(
            index for index in range(self.chunk_count or 0) if index not in self._chunks and index not in self.misfits
        )

    def result(self) -> Members:
        """What came so far."""
        chunks = [self._chunks[index] for index in sorted(self._chunks)]
        return Members(
            guild_id=self.guild_id,
            members=tuple(member for chunk in chunks for member in chunk.members),
            presences=tuple(presence for chunk in chunks for presence in chunk.presences or ()),
            not_found=tuple(user_id for chunk in chunks for user_id in chunk.not_found or ()),
        )

    def outcome(self) -> Members | RequestError:
        """The end of a request that is complete."""
        return self.error(RequestEnd.MISFIT) if self.misfits else self.result()

    def error(self, end: RequestEnd) -> IncompleteMembersError:
        return IncompleteMembersError(
            self.result(), end, chunk_count=self.chunk_count, missing=self.missing, misfits=self.misfits
        )


class SoundsRequest:
    """Collects one SOUNDBOARD_SOUNDS for each guild. They have no nonce: any that names the guild will do."""

    __slots__ = ("_guild_ids", "_sounds", "misfits")

    def __init__(self, guild_ids: tuple[int, ...]) -> None:
        self._guild_ids = guild_ids
        self.restart()

    def restart(self) -> None:
        self.misfits: dict[int, EventDecodeError] = {}
        self._sounds: Sounds = {}

    def receive(self, event: Dispatch) -> bool:
        """Take a SOUNDBOARD_SOUNDS. True if that guild's were still missing."""
        head = read_head(event, GuildHead)
        if head is None or head.guild_id not in self.missing:
            return False
        try:
            sounds = event.get(SoundboardSounds)
        except EventDecodeError as error:
            self.misfits[head.guild_id] = error.as_value()
            return True
        if sounds is not None:
            self._sounds[head.guild_id] = tuple(sounds.soundboard_sounds)
        return sounds is not None

    @property
    def has_begun(self) -> bool:
        return bool(self._sounds or self.misfits)

    @property
    def is_complete(self) -> bool:
        return not self.missing

    @property
    def missing(self) -> tuple[int, ...]:
        """The guilds whose sounds are still to come, in the order in which they were asked for."""
        return tuple(id for id in self._guild_ids if id not in self._sounds and id not in self.misfits)

    def result(self) -> Sounds:
        """What came so far."""
        return {id: self._sounds[id] for id in self._guild_ids if id in self._sounds}

    def outcome(self) -> Sounds | RequestError:
        return self.error(RequestEnd.MISFIT) if self.misfits else self.result()

    def error(self, end: RequestEnd) -> IncompleteSoundsError:
        return IncompleteSoundsError(self.result(), end, missing=self.missing, misfits=self.misfits)


class ChannelInfoRequest:
    """Takes the one CHANNEL_INFO of a guild, which has no nonce either."""

    __slots__ = ("_info", "guild_id", "misfits")

    def __init__(self, guild_id: int) -> None:
        self.guild_id: int = guild_id
        self.restart()

    def restart(self) -> None:
        self.misfits: dict[int, EventDecodeError] = {}
        self._info: ChannelInfo | None = None

    def receive(self, event: Dispatch) -> bool:
        """Take a CHANNEL_INFO. True if it was this guild's, and the first."""
        head = read_head(event, GuildHead)
        if head is None or head.guild_id != self.guild_id or self.is_complete:
            return False
        try:
            self._info = event.get(ChannelInfo)
        except EventDecodeError as error:
            self.misfits[self.guild_id] = error.as_value()
        return self.is_complete

    @property
    def has_begun(self) -> bool:
        return self.is_complete

    @property
    def is_complete(self) -> bool:
        return self._info is not None or bool(self.misfits)

    def outcome(self) -> ChannelInfo | RequestError:
        return self.error(RequestEnd.MISFIT) if self._info is None else self._info

    def error(self, end: RequestEnd) -> RequestError:
        missing = () if self.is_complete else (self.guild_id,)
        return RequestError(f"the channel info of guild {self.guild_id}", end, missing=missing, misfits=self.misfits)


Collector: TypeAlias = MemberRequest | SoundsRequest | ChannelInfoRequest


def read_head(event: Dispatch, kind: type[T]) -> T | None:
    """The few fields that say what an event belongs to; None if even they cannot be read."""
    try:
        return event.decode(kind)
    except EventDecodeError:
        return None
