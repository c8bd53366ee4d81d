"""A session as the server holds it: its sequence, and the dispatches that a RESUME replays.

Every dispatch, READY and RESUMED included, takes the next sequence and is kept, so that a RESUMED that was lost in
flight is replayed like any other and the numbers have no gaps.
"""

import math
from collections import deque
from collections.abc import Sequence
from itertools import dropwhile
from typing import Any, Protocol

from ..secret import Secret
from .actions import FaultFired, ServerAction, ShardInfo, Wake
from .backlog import Backlog
from .faults import DispatchFault, Fault, FaultPlan, Repeat, Swap, Withhold
from .identify import IdentifyRequest
from .prepared import PreparedEvent, head


class Outlet(Protocol):
    """The connection that serves a session."""

    @property
    def id(self) -> int: ...
    def deliver(self, payload: bytes, now: float) -> bool:
        """Queue a dispatch. True if the driver must be woken."""

    def deliver_all(self, payloads: Sequence[bytes], now: float) -> bool:
        """Queue several dispatches. True if the driver must be woken."""

    def supersede(self, now: float) -> None:
        """Close: the session was resumed elsewhere, and is no longer this connection's. Its driver must be woken."""

    def strike(self, fault: Fault, now: float) -> bool:
        """Suffer a fault. True if the driver must be woken."""


class ReplayBuffer:
    """The last dispatches of a session, at most `capacity`, of `max_bytes`. Sequences may have holes (`Withhold`)."""

    __slots__ = ("_bytes", "_capacity", "_kept", "_max_bytes", "lost")

    def __init__(self, capacity: int, max_bytes: int | None = None) -> None:
        self._capacity = capacity
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._bytes = 0
        self._kept: deque[tuple[int, bytes]] = deque()
        # The highest sequence that cannot be replayed any more.
        self.lost: int = 0

    def __len__(self) -> int:
        return len(self._kept)

    def append(self, sequence: int, payload: bytes) -> None:
        self._kept.append((sequence, payload))
        self._bytes += len(payload)
        self._bound()

    def _bound(self) -> None:
        # The last one stays, however large it is.
        while len(self._kept) > self._capacity or (self._bytes > self._max_bytes and len(self._kept) > 1):
            self._forget()

    def extend(self, sequence: int, payloads: Sequence[bytes]) -> None:
        """Append payloads of which the first has `sequence`."""
        self._kept.extend(enumerate(payloads, sequence))
        self._bytes += sum(map(len, payloads))
        self._bound()

    def trim(self, sequence: int) -> None:
        """Forget everything up to `sequence`: the client has it."""
        while self._kept and self._kept[0][0] <= sequence:
            self._forget()

    def _forget(self) -> None:
        self.lost, payload = self._kept.popleft()
        self._bytes -= len(payload)

    def after(self, sequence: int) -> list[bytes] | None:
        """What a RESUME from `sequence` replays; None if part of it is gone."""
        if sequence < self.lost:
            return None
        return [payload for _, payload in dropwhile(lambda kept: kept[0] <= sequence, self._kept)]


class ServerSession:
    """One session. Read its attributes; only the server changes them.

    `sequence` is the last one given out; `detached_at` is when its connection ended, None while it has one.
    """

    __slots__ = (
        "_armed",
        "_plan",
        "_swapped",
        "backlog",
        "buffer",
        "compress",
        "detached_at",
        "id",
        "intents",
        "large_threshold",
        "number",
        "outlet",
        "presence",
        "sequence",
        "shard",
        "token",
    )

    def __init__(
        self, id: Secret, number: int, request: IdentifyRequest, buffer: ReplayBuffer, plan: FaultPlan, now: float
    ) -> None:
        self.id: Secret = id
        self.number: int = number
        self.token: Secret = request.token
        self.shard: ShardInfo | None = request.shard
        self.intents: int = request.intents
        self.presence: dict[str, Any] | None = request.presence
        self.compress: bool = request.compress
        self.large_threshold: int | None = request.large_threshold
        self.backlog: Backlog = Backlog()
        self.sequence: int = 0
        self.buffer: ReplayBuffer = buffer
        self.outlet: Outlet | None = None
        self.detached_at: float | None = now
        self._plan = plan
        self._armed: deque[DispatchFault] = deque()
        # The dispatch that waits for the next one, to be sent behind it.
        self._swapped: tuple[str, bytes] | None = None

    def __repr__(self) -> str:
        return (
            f"ServerSession(id=***, number={self.number}, shard={self.shard}, sequence={self.sequence}, "
            f"connection_id={self.connection_id})"
        )

    @property
    def connected(self) -> bool:
        """A connection serves it."""
        return self.outlet is not None

    @property
    def connection_id(self) -> int | None:
        return None if self.outlet is None else self.outlet.id

    def attach(self, outlet: Outlet) -> None:
        self.outlet = outlet
        self.detached_at = None

    def detach(self, now: float) -> None:
        self.outlet = None
        self.detached_at = now

    def arm(self, fault: DispatchFault) -> None:
        """Let a fault befall the next dispatch; several wait in line."""
        self._armed.append(fault)

    def dispatch(self, name: str, data: bytes, now: float) -> list[ServerAction]:
        """Send an event of the world, unless a fault befalls it. `data` is the JSON of `d`, taken as it is."""
        if self._plan.has_sequences:
            planned = self._plan.at_sequence(self.number, self.sequence + 1, dispatch=True)
            self._armed.extend(fault for fault in planned if isinstance(fault, DispatchFault))
        if self._swapped is not None:
            earlier, self._swapped = self._swapped, None
            actions = self.emit(name, data, now) + self.emit(*earlier, now)
            return [*actions, FaultFired(connection_id=self.connection_id, fault=Swap())]
        if self._armed:
            return self._suffer(self._armed.popleft(), name, data, now)
        return self.emit(name, data, now)

    def dispatch_prepared(self, events: Sequence[PreparedEvent], number: int, now: float) -> list[ServerAction]:
        """Send events of which the first has this number, as `dispatch` would."""
        if self._armed or self._swapped is not None or self._plan.has_sequences:
            numbered = enumerate(events, number)
            return [action for at, event in numbered for action in self.dispatch(event.name, event.data(at), now)]
        first = self.sequence + 1
        shift = number - first
        payloads = [event.payload(at, at + shift) for at, event in enumerate(events, first)]
        self.sequence += len(payloads)
        self.buffer.extend(first, payloads)
        outlet = self.outlet
        return [Wake(connection_id=outlet.id)] if outlet is not None and outlet.deliver_all(payloads, now) else []

    def emit(self, name: str, data: bytes, now: float) -> list[ServerAction]:
        """Give a dispatch the next sequence, keep it, and queue it if a connection is there."""
        return self._deliver(self._keep(name, data), now)

    def _keep(self, name: str, data: bytes) -> bytes:
        self.sequence += 1
        # Joined and not encoded: `data` is JSON already, and may be large.
        payload = b'%b%d,"op":0,"d":%b}' % (head(name), self.sequence, data)
        self.buffer.append(self.sequence, payload)
        return payload

    def _deliver(self, payload: bytes, now: float) -> list[ServerAction]:
        outlet = self.outlet
        if outlet is None:
            return []
        wake = outlet.deliver(payload, now)
        if self._plan.has_sequences:
            for fault in self._plan.at_sequence(self.number, self.sequence, dispatch=False):
                wake = outlet.strike(fault, now) or wake
        return [Wake(connection_id=outlet.id)] if wake else []

    def _suffer(self, fault: DispatchFault, name: str, data: bytes, now: float) -> list[ServerAction]:
        actions: list[ServerAction] = []
        match fault:
            case Withhold():
                self.sequence += 1
            case Repeat(renumbered=True):
                actions = self.emit(name, data, now) + self.emit(name, data, now)
            case Repeat():
                payload = self._keep(name, data)
                actions = self._deliver(payload, now) + self._deliver(payload, now)
            case Swap():
                self._swapped = (name, data)
                return actions
        return [*actions, FaultFired(connection_id=self.connection_id, fault=fault)]
