"""As fast as a client reads: each shard's events are made once and sent over and over, under new numbers.

To make an event costs 20 to 100 µs, to send a prepared one little more than a µs: so it is the client that is measured,
and not this server. In a world the events are those that leave it as it is, however often they are told.
"""

from collections.abc import Callable, Iterable
from typing import Final

import anyio
import anyio.abc
import anyio.lowlevel

from gateway_proto import Secret
from gateway_proto.server import Identified, PreparedEvent, ServerAction, SessionEnded, ShardInfo
from gateway_proto.server.actions import UNSHARDED

from ..serve import Gateway
from .feed import BREATH, TURN

REEL: Final = 1000
"""Events of a shard that are prepared, some 0.9 MB."""
MADE_AT_ONCE: Final = 20
"""Events that are made before other tasks get their turn."""


class ReelFeeds:
    """The reels of all shards that identify, each played in a task of its own. Hand it every action of the gateway.

    The numbers are the shard's: a session that is new goes on where the last one of its shard ended. A shard that is
    away is sent nothing: it would be more than can be replayed.

    Args:
        limit: events for each shard; None for no end.
        prepare: makes the events of a session, `REEL` at most; none, if it may see none.
        on_done: told a shard, and its last number, once it has had all its events.
    """

    def __init__(
        self,
        gateway: Gateway,
        group: anyio.abc.TaskGroup,
        *,
        limit: int | None,
        prepare: Callable[[Identified], Iterable[PreparedEvent]],
        on_done: Callable[[ShardInfo, int], object],
    ) -> None:
        self._gateway = gateway
        self._group = group
        self._limit = limit
        self._prepare = prepare
        self._on_done = on_done
        self._reels: dict[ShardInfo, _Reel] = {}

    def numbers(self) -> dict[ShardInfo, int]:
        """The last number sent, of each shard that was sent any."""
        return {shard: reel.number for shard, reel in self._reels.items()}

    def number(self, shard: ShardInfo) -> int:
        """The last number sent of this shard, 0 before the first."""
        reel = self._reels.get(shard)
        return 0 if reel is None else reel.number

    def on_action(self, action: ServerAction) -> None:
        match action:
            case Identified():
                self._group.start_soon(self._play, action)
            case SessionEnded():
                reel = self._reels.get(action.shard or UNSHARDED)
                if reel is not None:
                    reel.sessions.discard(action.session_id)

    async def _play(self, identified: Identified) -> None:
        """Play a session's events to it for as long as there is one."""
        shard = identified.shard or UNSHARDED
        reel = self._reels.get(shard)
        if reel is None or reel.is_done:
            reel = self._reels[shard] = _Reel()
        reel.sessions.add(identified.session_id)
        events = []
        for event in self._prepare(identified):
            events.append(event)
            if len(events) % MADE_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        if events:
            await self._feed(reel, identified.session_id, events)
        if not reel.is_done and reel.number == self._limit:
            reel.is_done = True
            self._on_done(shard, reel.number)

    async def _feed(self, reel: "_Reel", session_id: Secret, events: list[PreparedEvent]) -> None:
        gateway, clock = self._gateway, self._gateway.clock
        # Its own: should another session of the same shard be there, both are to get every number.
        number = reel.number
        while session_id in reel.sessions and number != self._limit:
            if not gateway.has_room_for(session_id):
                await clock.wait(gateway.next_drain(session_id), clock.now() + BREATH)
                continue
            at = number % len(events)
            turn = TURN if self._limit is None else min(TURN, self._limit - number)
            part = events[at : at + turn]
            gateway.dispatch_prepared(session_id, part, number + 1)
            number += len(part)
            reel.number = max(reel.number, number)
            await anyio.lowlevel.checkpoint()


class _Reel:
    """A shard's sessions, and the last number that was sent."""

    def __init__(self) -> None:
        self.number = 0
        self.sessions: set[Secret] = set()
        self.is_done = False
