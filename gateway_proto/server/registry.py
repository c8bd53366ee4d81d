"""All sessions of a server: how one is made, found again and forgotten.

Expiry needs no timer: it is judged by `now` whenever somebody asks. Times in seconds.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

from ..close_codes import CloseCode
from ..secret import Secret
from ..sharding import shard_id_for
from .actions import UNSHARDED, ServerAction, SessionEnd, SessionEnded, ShardInfo
from .application import CommandBook
from .config import ServerConfig
from .faults import FaultPlan
from .gates import Buckets, StartLimit
from .identify import IdentifyRequest, Refusal, ResumeRequest
from .prepared import PreparedEvent
from .session import ReplayBuffer, ServerSession

MAX_REMEMBERED: Final = 1024
"""Expired session ids that `expired_close` still tells from unknown ones."""


class Registry:
    """The sessions by id. `report` takes the `SessionEnded`s that come up on the way."""

    def __init__(self, config: ServerConfig, rng: random.Random, plan: FaultPlan) -> None:
        self.sessions: dict[Secret, ServerSession] = {}
        self.start_limit: StartLimit = StartLimit(config.session_limit, config.session_limit_period)
        self.commands: CommandBook = CommandBook(config.application_id)
        self._config = config
        self._rng = rng
        self.plan: FaultPlan = plan
        self._number = 0
        self._by_shard: dict[ShardInfo, dict[Secret, ServerSession]] = {}
        self._buckets = Buckets(config.max_concurrency, config.identify_period)
        self._expired: dict[Secret, None] = {}

    def identify(self, request: IdentifyRequest, now: float) -> ServerSession | Refusal:
        """Make a session, if both gates are open. A refused IDENTIFY costs nothing of either."""
        shard_id = request.shard[0] if request.shard else 0
        if not self._buckets.is_free(shard_id, now):
            return Refusal(None, f"the bucket had an IDENTIFY less than {self._config.identify_period:g} s ago")
        if not self.start_limit.use(now):
            return Refusal(None, "the session start limit is used up")
        self._buckets.use(shard_id, now)
        self._number += 1
        buffer = ReplayBuffer(self._config.replay_capacity, self._config.replay_bytes)
        id = Secret(self._rng.randbytes(16).hex())
        session = ServerSession(id, self._number, request, buffer, self.plan, now)
        self.sessions[session.id] = session
        self._by_shard.setdefault(session.shard or UNSHARDED, {})[session.id] = session
        return session

    def resume(self, request: ResumeRequest) -> tuple[ServerSession, list[bytes]] | Refusal:
        """Find a session and what is to be replayed; call `sweep` before. Of another token's nothing is known."""
        session = self.sessions.get(request.session_id)
        if session is None or session.token != request.token:
            if self._config.expired_close and request.session_id in self._expired:
                # Told once: many clients RESUME after 4009, too, and only op 9 false makes them IDENTIFY.
                del self._expired[request.session_id]
                return Refusal(CloseCode.SESSION_TIMED_OUT, "the session has timed out")
            return Refusal(None, "the session is unknown or has expired")
        if request.sequence is None or request.sequence > session.sequence:
            return Refusal(CloseCode.INVALID_SEQ, f"seq must be an integer from 0 to {session.sequence}")
        replay = session.buffer.after(request.sequence)
        if replay is None:
            return Refusal(None, f"dispatches up to {session.buffer.lost} are no longer kept")
        return session, replay

    def told_of(self, guild_id: int | None) -> list[ServerSession]:
        """The sessions whose shard owns the guild; for None those of shard 0, which has the direct messages."""
        found: list[ServerSession] = []
        for total in {total for _, total in self._by_shard}:
            index = 0 if guild_id is None else shard_id_for(guild_id, total)
            found += self._by_shard.get((index, total), {}).values()
        return found

    def dispatch(self, session: ServerSession, name: str, data: bytes, now: float) -> list[ServerAction]:
        """Send an event to a session, unless its lifetime without a connection is over."""
        if self._is_over(session, now):
            return [self.end(session, SessionEnd.EXPIRED)]
        return session.dispatch(name, data, now)

    def dispatch_prepared(
        self, session: ServerSession, events: Sequence[PreparedEvent], number: int, now: float
    ) -> list[ServerAction]:
        """Send events of which the first has this number, as `dispatch` would."""
        if self._is_over(session, now):
            return [self.end(session, SessionEnd.EXPIRED)]
        return session.dispatch_prepared(events, number, now)

    def _is_over(self, session: ServerSession, now: float) -> bool:
        return session.detached_at is not None and now - session.detached_at >= self._config.session_lifetime

    def sweep(self, now: float, report: Callable[[ServerAction], None]) -> None:
        """Forget the sessions whose lifetime without a connection is over."""
        for session in list(self.sessions.values()):
            if self._is_over(session, now):
                report(self.end(session, SessionEnd.EXPIRED))
                self._expired[session.id] = None
                if len(self._expired) > MAX_REMEMBERED:
                    del self._expired[next(iter(self._expired))]

    def end(self, session: ServerSession, cause: SessionEnd) -> SessionEnded:
        """A session is over. Its connection, if there is one, is the caller's."""
        self.sessions.pop(session.id, None)
        shard = session.shard or UNSHARDED
        siblings = self._by_shard.get(shard, {})
        siblings.pop(session.id, None)
        if not siblings:
            self._by_shard.pop(shard, None)
        return SessionEnded(
            session_id=session.id,
            number=session.number,
            shard=session.shard,
            sequence=session.sequence,
            cause=cause,
        )
