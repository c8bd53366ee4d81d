"""The queue between a shard's reader and the consumer of its events, with its two bounds (F33)."""

from collections import deque

import anyio
import msgspec

from gateway_proto import Dispatch, InvalidConfigError


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for a slow consumer at most.

    At `events` or `bytes` (of JSON) the socket is not read any more, until half of it is taken; Discord buffers, then.
    One chunk of the socket can hold many events, so that the queue may overshoot. At `hard_events` or `hard_bytes`,
    or when the socket was not read for `pause` seconds, the shard detaches; its session can be resumed.

    Raises:
        InvalidConfigError: a hard bound lies below its soft one, or nothing fits at all.
    """

    events: int = 1000
    bytes: int = 16 * 2**20
    hard_events: int = 20_000
    """Far above `events`: a 64 KiB chunk of zlib can hold thousands of small ones."""
    hard_bytes: int = 64 * 2**20
    pause: float | None = None
    """None: two heartbeat intervals."""

    def __post_init__(self) -> None:
        if not (1 <= self.events <= self.hard_events and 1 <= self.bytes <= self.hard_bytes):
            raise InvalidConfigError("queue limits must be at least 1, and the hard ones no less than the others")


class EventQueue:
    """Events in order. `put` never refuses: whoever puts looks at `is_full`."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self.size: int = 0
        """Bytes of JSON."""
        self._newest = 0
        self._events: deque[Dispatch] = deque()
        self._stirred = anyio.Event()
        self._has_waiter = False

    def __len__(self) -> int:
        return len(self._events)

    @property
    def is_full(self) -> bool:
        return len(self._events) >= self.limits.events or self.size >= self.limits.bytes

    @property
    def has_room(self) -> bool:
        """Half of it is free again."""
        return len(self._events) * 2 <= self.limits.events and self.size * 2 <= self.limits.bytes

    @property
    def is_overrun(self) -> bool:
        # Without the newest: one event alone may be larger than that, and has yet to be offered.
        return len(self._events) >= self.limits.hard_events or self.size - self._newest >= self.limits.hard_bytes

    def put(self, event: Dispatch) -> None:
        self._events.append(event)
        self._newest = len(event.raw)
        self.size += self._newest
        if self._has_waiter:
            self.stir()

    def take(self) -> Dispatch | None:
        """The oldest event; None if there is none."""
        if not self._events:
            return None
        event = self._events.popleft()
        self.size -= len(event.raw)
        return event

    def stir(self) -> None:
        """Let `wait` return."""
        self._has_waiter = False
        self._stirred.set()

    async def wait(self) -> None:
        """Until something was put, or somebody stirred."""
        self._stirred = anyio.Event()
        self._has_waiter = True
        await self._stirred.wait()
