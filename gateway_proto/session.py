"""What RESUME needs, as a value that outlives the process.

A `Session` is the state at the *delivered* sequence: a new process that resumes from it is given every event that the
old one had not yet handed over. What belongs to it (shard, intents, encoding …) is stored beside it, and a session
that does not match the shard that is to resume it is refused (F38).
"""

from typing import Final

import msgspec

from .errors import SnapshotMismatchError
from .secret import Secret

SNAPSHOT_VERSION: Final = 1
MAX_SEQUENCE: Final = 2**63 - 1


class SessionBinding(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a session was made with; Discord would refuse it, or send other events, under others."""

    shard: tuple[int, int] | None
    intents: int
    api_version: int
    encoding: str
    transport_compression: str | None
    payload_compression: bool


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A resumable session of Discord's gateway.

    `sequence` is the last *delivered* one, at least 1. `saved_at` is wall time in seconds since the epoch, as the
    caller gave it, None where it was not given.
    """

    id: Secret
    sequence: int
    resume_url: Secret | None
    binding: SessionBinding
    application_id: int | None = None
    saved_at: float | None = None
    received: int | None = None
    """The last sequence that was received, as far as is known. A RESUMED up to it, in a replay, ends nothing."""

    def to_bytes(self) -> bytes:
        """A versioned document for a store. It holds the session id in clear: keep it like a password."""
        return msgspec.json.encode(
            _Stored(
                version=SNAPSHOT_VERSION,
                id=self.id.reveal(),
                sequence=self.sequence,
                resume_url=self.resume_url.reveal() if self.resume_url else None,
                binding=self.binding,
                application_id=self.application_id,
                saved_at=self.saved_at,
                received=self.received,
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> "Session":
        """Read what `to_bytes` wrote.

        Raises:
            SnapshotMismatchError: it is not such a document, or of another version.
        """
        try:
            if msgspec.json.decode(data, type=_Version).version != SNAPSHOT_VERSION:
                raise SnapshotMismatchError("the stored session is of another version of this library")
            stored = msgspec.json.decode(data, type=_Stored)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise SnapshotMismatchError("the stored session cannot be read") from None
        if not 1 <= stored.sequence <= MAX_SEQUENCE or not stored.id:
            raise SnapshotMismatchError("the stored session has no id or no sequence")
        if stored.received is not None and not stored.sequence <= stored.received <= MAX_SEQUENCE:
            raise SnapshotMismatchError("the stored session received less than it delivered")
        return cls(
            id=Secret(stored.id),
            sequence=stored.sequence,
            resume_url=Secret(stored.resume_url) if stored.resume_url else None,
            binding=stored.binding,
            application_id=stored.application_id,
            saved_at=stored.saved_at,
            received=stored.received,
        )


class _Version(msgspec.Struct):
    version: int


class _Stored(msgspec.Struct, kw_only=True):
    version: int
    id: str
    sequence: int
    resume_url: str | None
    binding: SessionBinding
    application_id: int | None
    saved_at: float | None
    received: int | None = None


def mismatch(session: Session, binding: SessionBinding, application_id: int | None) -> SnapshotMismatchError | None:
    """Why a session cannot be resumed under these settings, or None if it can (F38)."""
    for field in SessionBinding.__struct_fields__:
        stored, wanted = getattr(session.binding, field), getattr(binding, field)
        if stored != wanted:
            return SnapshotMismatchError(f"the stored session has {field} {stored!r}, this shard has {wanted!r}")
    if None not in (application_id, session.application_id) and application_id != session.application_id:
        return SnapshotMismatchError("the stored session belongs to another application")
    return None


class LiveSession:
    """The session of a running shard: two sequences that move, and an epoch that changes with every READY.

    *received* is what a duplicate is judged by and what a living shard resumes from: its sink still holds what it was
    given. *delivered* is what snapshots and heartbeats say.
    """

    __slots__ = ("application_id", "delivered", "epoch", "id", "received", "resume_url", "seen")

    def __init__(
        self,
        epoch: int,
        id: Secret,
        resume_url: Secret | None,
        sequence: int,
        delivered: int,
        application_id: int | None,
        seen: int = 0,
    ) -> None:
        self.epoch: int = epoch
        self.id: Secret = id
        self.resume_url: Secret | None = resume_url
        self.received: int = sequence
        self.delivered: int = delivered
        self.application_id: int | None = application_id
        self.seen: int = seen
        """The last sequence that an earlier process received, as far as is known."""

    def snapshot(self, binding: SessionBinding, wall: float | None, sequence: int = 0) -> Session | None:
        """The session at the delivered sequence, or `sequence` if that is later; None while both are 0."""
        sequence = max(self.delivered, sequence)
        if sequence < 1:
            return None
        return Session(
            id=self.id,
            sequence=sequence,
            resume_url=self.resume_url,
            binding=binding,
            application_id=self.application_id,
            saved_at=wall,
            received=max(self.received, self.seen),
        )
