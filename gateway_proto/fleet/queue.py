"""Who may IDENTIFY when: a machine (Discord: Gateway > Sharding > Max Concurrency; F15, F16, F20, F21).

A bucket (`shard_id % max_concurrency`) gives one permit at a time, `spacing` seconds after the last one was *used*, to
whoever asked first. Buckets run side by side. A permit is ended by `used` or `returned`; one that still waits is ended
by `withdrawn`, when its connection dies. Re-identifies wait like everybody else, and keep off the last IDENTIFYs of
the day and off those that are reserved for a start; a shard that re-identifies again and again is held back. The very
last one is nobody's.

    inputs    ask, withdrawn, used, returned, reported, closed, handle_timeout
    commands  reserve, release
    getters   next_timeout, turn_in, waiting

`now` is of any monotonic clock, `wall` is epoch seconds; both are given together.
"""

import math
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Final, TypeAlias

import msgspec

from ..discovery import SessionStartLimit
from ..errors import GatewayError
from .ledger import NEVER_SPENT, WINDOW, IdentifyBudgetError, Ledger, shortage

DISCORD_SPACING: Final = 5.0
"""Seconds between two IDENTIFYs of a bucket, by Discord's clock."""
MARGIN: Final = 0.25
"""The spread of the one-way latency: an IDENTIFY that was slow on its way must not meet a quick one (F20)."""

STABLE: Final = 300.0
"""A shard that first asks again no sooner than this after its IDENTIFY was stable, and has a clean record."""
CHURN_TRIES: Final = 3
"""So many in a row without that (within ten minutes, then), and the next one is held back."""
CHURN_FIRST_HOLD: Final = 60.0
CHURN_LONGEST_HOLD: Final = 900.0
"""Seconds from the last IDENTIFY; the hold doubles from the first to the longest."""

_DUE: Final = attrgetter("due")

LEDGER_STEP: Final = 1.0
"""Who waits for the day's count looks again no sooner than this: wall time and `now` do not round alike."""


class PermitGranted(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Asks: IDENTIFY now, then say `used`; or `returned`."""

    shard_id: int
    generation: int
    permit_id: int


class PermitRefused(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reports: there will be no permit; the shard ends with this (F16)."""

    shard_id: int
    generation: int
    cause: GatewayError


class IdentifyHeld(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Reports: a shard has to wait longer than its turn, until `until` (of `now`'s clock), and why."""

    shard_id: int
    until: float
    reason: str


QueueAction: TypeAlias = PermitGranted | PermitRefused | IdentifyHeld


class _Ticket:
    __slots__ = ("due", "generation", "held_until", "shard_id", "told_until")

    def __init__(self, shard_id: int, generation: int, held_until: float) -> None:
        self.shard_id = shard_id
        self.generation = generation
        self.held_until = held_until
        """For its churn."""
        self.due = held_until
        """Not to be looked at before; later than `held_until` while the day has not enough."""
        self.told_until = -math.inf
        """What was said of the day's count."""


class _Streak:
    """IDENTIFYs of a shard in a row, without stable minutes between."""

    __slots__ = ("count", "is_judged", "last")

    def __init__(self) -> None:
        self.count = 0
        self.last = 0.0
        self.is_judged = False
        """It has asked again since `last`: whether that one was stable is settled."""


class _Bucket:
    __slots__ = ("due", "outstanding", "ready_at", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Ticket] = deque()
        self.outstanding: int | None = None
        """The permit that is out."""
        self.ready_at = -math.inf
        """No permit before this."""
        self.due = math.inf
        """When somebody is to be served. Kept: with 128 buckets `next_timeout` takes 5 µs instead of 80."""

    def remove(self, shard_id: int, generation: int | None = None) -> None:
        """Take the shard out, if that connection (or, for None, any) of it waits."""
        for ticket in self.waiting:
            if ticket.shard_id == shard_id and generation in (None, ticket.generation):
                self.waiting.remove(ticket)
                return

    def plan(self) -> None:
        """After every change of the above."""
        self.due = math.inf
        if self.waiting and self.outstanding is None:
            self.due = max(self.ready_at, min(ticket.due for ticket in self.waiting))


class IdentifyQueue:
    """One for a fleet. Shards of one process share it; for several, a gate of the transport's wraps its state."""

    def __init__(
        self, *, max_concurrency: int = 1, spacing: float = DISCORD_SPACING + MARGIN, ledger: Ledger | None = None
    ) -> None:
        self.ledger: Ledger = ledger or Ledger()
        self._spacing = spacing
        self._buckets = [_Bucket() for _ in range(max_concurrency)]
        self._permits: dict[int, tuple[_Bucket, _Ticket]] = {}
        self._last_permit = 0
        self._starting: set[int] = set()
        self._short: list[_Ticket] = []
        """Those that wait for the day's count."""
        self._streaks: dict[int, _Streak] = {}
        self._closed: GatewayError | None = None

    # -- commands ----------------------------------------------------------------------------------------------

    def reserve(self, shard_ids: Iterable[int], wall: float) -> None:
        """These are about to start without a session; their first IDENTIFY may be one of the day's last, but for the
        very last. A start of none is never refused.

        Raises:
            IdentifyBudgetError: the day has not enough for all of them, and nothing changed.
        """
        new = set(shard_ids)
        wanted = self._starting | new
        needed, left = len(wanted - self._served()), self._left(wall)
        if new and needed > max(left - NEVER_SPENT, 0):
            free = self._free_at(needed + NEVER_SPENT, wall)
            raise IdentifyBudgetError(needed=needed, remaining=left, wall=free, wait=free - wall)
        self._starting = wanted
        self._look_again()

    def release(self, shard_ids: Iterable[int]) -> None:
        """These will not start after all: what was reserved for them is for others."""
        self._starting -= set(shard_ids)
        self._look_again()

    # -- inputs ------------------------------------------------------------------------------------------------

    def ask(self, shard_id: int, generation: int, now: float, wall: float) -> list[QueueAction]:
        """A shard has its HELLO and wants to IDENTIFY. What an older connection of its had asked for is withdrawn."""
        if self._closed is not None:
            return [PermitRefused(shard_id=shard_id, generation=generation, cause=self._closed)]
        bucket = self._bucket(shard_id)
        bucket.remove(shard_id)
        self._judge(shard_id, now)
        ticket = _Ticket(shard_id, generation, self._held_until(shard_id, now))
        told = self._tell_churn(ticket, now)
        bucket.waiting.append(ticket)
        bucket.plan()
        return told + self._grant(now, wall)

    def withdrawn(self, shard_id: int, generation: int, now: float, wall: float) -> list[QueueAction]:
        """The connection that asked is gone; whoever is next may be served."""
        bucket = self._bucket(shard_id)
        bucket.remove(shard_id, generation)
        bucket.plan()
        return self._grant(now, wall)

    def used(self, permit_id: int, at: float, now: float, wall: float) -> list[QueueAction]:
        """The IDENTIFY went out at `at`. A permit that is not out is ignored."""
        entry = self._permits.pop(permit_id, None)
        if entry is not None:
            bucket, ticket = entry
            bucket.outstanding = None
            bucket.ready_at = max(bucket.ready_at, at + self._spacing)
            bucket.plan()
            self.ledger.spend(wall)
            self._starting.discard(ticket.shard_id)
            self._note(ticket.shard_id, at)
            self._look_again()
        return self._grant(now, wall)

    def returned(self, permit_id: int, now: float, wall: float) -> list[QueueAction]:
        """The permit was not used. One that is not out is ignored."""
        entry = self._permits.pop(permit_id, None)
        if entry is not None:
            bucket = entry[0]
            bucket.outstanding = None
            bucket.plan()
            self._look_again()
        return self._grant(now, wall)

    def reported(self, limit: SessionStartLimit, now: float, wall: float) -> list[QueueAction]:
        """GET /gateway/bot said this. Another `max_concurrency` than ours is for the next start: make a new queue."""
        self.ledger.report(limit, wall)
        self._look_again()
        return self._grant(now, wall)

    def closed(self, cause: GatewayError) -> list[QueueAction]:
        """A fact about the application (F16): everybody who waits, and whoever asks from now on, ends with it."""
        self._closed = self._closed or cause.as_value()
        refused: list[QueueAction] = [
            PermitRefused(shard_id=ticket.shard_id, generation=ticket.generation, cause=self._closed)
            for bucket in self._buckets
            for ticket in bucket.waiting
        ]
        for bucket in self._buckets:
            bucket.waiting.clear()
            bucket.plan()
        return refused

    def handle_timeout(self, now: float, wall: float) -> list[QueueAction]:
        return self._grant(now, wall)

    # -- getters -----------------------------------------------------------------------------------------------

    @property
    def max_concurrency(self) -> int:
        return len(self._buckets)

    @property
    def waiting(self) -> int:
        """How many shards wait for a permit."""
        return sum(len(bucket.waiting) for bucket in self._buckets)

    def next_timeout(self) -> float | None:
        """When somebody's turn comes, of `now`'s clock; None if nobody waits or somebody else has to move first."""
        due = min(map(_DUE, self._buckets))
        return due if due < math.inf else None

    def turn_in(self, shard_id: int, now: float) -> float:
        """Seconds until this shard would be served if it asked now, nothing held it, and nobody before it gave up."""
        bucket = self._bucket(shard_id)
        before = sum(ticket.shard_id != shard_id for ticket in bucket.waiting) + (bucket.outstanding is not None)
        return max(bucket.ready_at - now, 0.0) + before * self._spacing

    # -- within ------------------------------------------------------------------------------------------------

    def _bucket(self, shard_id: int) -> _Bucket:
        return self._buckets[shard_id % len(self._buckets)]

    def _grant(self, now: float, wall: float) -> list[QueueAction]:
        """Serve every bucket that can give a permit now."""
        actions: list[QueueAction] = []
        for bucket in self._buckets:
            if now >= bucket.due:
                self._serve(bucket, now, wall, actions)
                bucket.plan()
        return actions

    def _serve(self, bucket: _Bucket, now: float, wall: float, actions: list[QueueAction]) -> None:
        for ticket in bucket.waiting:
            if now < ticket.due:
                continue
            held = self._hold(ticket, now, wall)
            if held is None:
                bucket.waiting.remove(ticket)
                actions.append(self._give(bucket, ticket))
                return
            if now >= ticket.told_until:
                ticket.told_until = held.until
                actions.append(held)

    def _tell_churn(self, ticket: _Ticket, now: float) -> list[QueueAction]:
        if ticket.held_until <= now + self.turn_in(ticket.shard_id, now):
            return []
        reason = f"it identified {CHURN_TRIES} times in a row or more without {STABLE / 60:g} stable minutes"
        return [IdentifyHeld(shard_id=ticket.shard_id, until=ticket.held_until, reason=reason)]

    def _hold(self, ticket: _Ticket, now: float, wall: float) -> IdentifyHeld | None:
        """The day's count, where it keeps a shard whose turn it is from its IDENTIFY."""
        kept = NEVER_SPENT
        if ticket.shard_id not in self._starting:
            kept = max(self.ledger.reserve, len(self._starting - self._served()) + NEVER_SPENT)
        left = self._left(wall)
        if left > kept:
            return None
        ticket.due = now + max(self._free_at(kept + 1, wall) - wall, LEDGER_STEP)
        self._short.append(ticket)
        return IdentifyHeld(shard_id=ticket.shard_id, until=ticket.due, reason=shortage(left))

    def _left(self, wall: float) -> int:
        """IDENTIFYs of the day besides the permits that are out, each of which will be one."""
        return max(self.ledger.remaining(wall) - len(self._permits), 0)

    def _free_at(self, count: int, wall: float) -> float:
        """When `count` are left besides those, by wall time; infinity if never."""
        if count > self.ledger.total or count + len(self._permits) <= self.ledger.total:
            return self.ledger.free_at(count + len(self._permits), wall)
        return max(self.ledger.free_at(count, wall), wall + WINDOW)  # when they count no more

    def _look_again(self) -> None:
        """For those who wait for the day's count it may be another now, or be enough at another time."""
        for ticket in self._short:
            ticket.due = ticket.held_until
            self._bucket(ticket.shard_id).plan()
        self._short.clear()

    def _served(self) -> set[int]:
        """The shards that have a permit."""
        return {ticket.shard_id for _, ticket in self._permits.values()}

    def _give(self, bucket: _Bucket, ticket: _Ticket) -> PermitGranted:
        self._last_permit += 1
        bucket.outstanding = self._last_permit
        self._permits[self._last_permit] = (bucket, ticket)
        return PermitGranted(shard_id=ticket.shard_id, generation=ticket.generation, permit_id=self._last_permit)

    def _note(self, shard_id: int, at: float) -> None:
        """An IDENTIFY of this shard, for the count of those in a row."""
        streak = self._streaks.setdefault(shard_id, _Streak())
        streak.count += 1
        streak.last = at
        streak.is_judged = False

    def _judge(self, shard_id: int, now: float) -> None:
        """Was its last IDENTIFY stable? The first ask after it tells; whoever is held and dials anew says nothing."""
        streak = self._streaks.get(shard_id)
        if streak is None or streak.is_judged:
            return
        streak.is_judged = True
        if now - streak.last >= STABLE:
            del self._streaks[shard_id]

    def _held_until(self, shard_id: int, now: float) -> float:
        """A shard that asks again and again without stable minutes between is served later each time."""
        streak = self._streaks.get(shard_id)
        if streak is None or streak.count < CHURN_TRIES:
            return now
        doubled = CHURN_FIRST_HOLD * 2.0 ** min(streak.count - CHURN_TRIES, 10)
        return streak.last + min(doubled, CHURN_LONGEST_HOLD)
