"""The identify gate of one process, over the pure `IdentifyQueue`."""

import copy
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Iterable

import anyio
import anyio.lowlevel

from gateway_proto import GatewayError, IdentifyPermit, IdentifyWanted
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyHeld, IdentifyQueue, PermitGranted, PermitRefused, QueueAction

from .clock import Clock
from .gate import shard_of


class QueueGate:
    """A `BudgetedGate` that the runners of one event loop share. It needs no task of its own.

    Args:
        clock: the runners' clock.
        wall: the time in seconds since the epoch, for the day's ledger.
        on_held: is told when a shard has to wait longer than its turn, and why.
    """

    def __init__(
        self,
        queue: IdentifyQueue,
        clock: Clock,
        *,
        wall: Callable[[], float] = time.time,
        on_held: Callable[[IdentifyHeld], object] | None = None,
    ) -> None:
        self._queue = queue
        self._clock = clock
        self._wall = wall
        self._on_held = on_held
        self._numbers = itertools.count(1)
        self._tickets: dict[int, _Ticket] = {}
        self._keeper: _Ticket | None = None
        """Whoever of those that wait looks after the queue's timer, for all of them."""
        self._planned = -math.inf
        """Until when it sleeps; in the past while it does not."""
        self._cause: GatewayError | None = None

    # -- the gate's Protocol -----------------------------------------------------------------------------------

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        ticket = _Ticket(next(self._numbers))
        self._tickets[ticket.number] = ticket
        try:
            # The queue knows a ticket by our number: generations of two runners of a shard may be the same.
            self._do(self._queue.ask(shard_of(wanted), ticket.number, *self._time()))
            await anyio.lowlevel.checkpoint()
            while not ticket.is_over:
                await self._wait(ticket)
        except BaseException:
            self._withdraw(ticket, shard_of(wanted))
            raise
        finally:
            del self._tickets[ticket.number]
            if self._keeper is ticket:
                self._pass_on()
        if ticket.cause is not None:
            raise copy.copy(ticket.cause)  # each task its own: it is raised with a traceback
        return wanted.permit(ticket.permit_id)

    def used(self, permit: IdentifyPermit, at: float) -> None:
        self._do(self._queue.used(permit.id, at, *self._time()))

    def returned(self, permit: IdentifyPermit) -> None:
        self._do(self._queue.returned(permit.id, *self._time()))

    def closed(self, cause: GatewayError) -> None:
        """Whoever waits, and whoever asks from now on, ends with this (F16). The first cause stands."""
        self._cause = self._cause or cause
        self._do(self._queue.closed(cause))

    # -- commands ----------------------------------------------------------------------------------------------

    def reserve(self, shard_ids: Iterable[int]) -> None:
        """These are about to start without a session; see `IdentifyQueue.reserve`.

        Raises:
            IdentifyBudgetError: the day has not enough for all of them (F15).
        """
        self._queue.reserve(shard_ids, self._wall())
        self._do(())

    def release(self, shard_ids: Iterable[int]) -> None:
        """These will not start after all: what was reserved for them is for others."""
        self._queue.release(shard_ids)
        self._do(())

    def report(self, limit: SessionStartLimit) -> None:
        """What GET /gateway/bot said."""
        self._do(self._queue.reported(limit, *self._time()))

    # -- getters -----------------------------------------------------------------------------------------------

    def remaining(self) -> int:
        """How many IDENTIFYs are left today."""
        return self._queue.ledger.remaining(self._wall())

    @property
    def closed_by(self) -> GatewayError | None:
        """What `closed` was called with, if it was."""
        return self._cause

    # -- within ------------------------------------------------------------------------------------------------

    def _time(self) -> tuple[float, float]:
        return self._clock.now(), self._wall()

    def _do(self, actions: Iterable[QueueAction]) -> None:
        todo = deque(actions)
        while todo:
            match todo.popleft():
                case PermitGranted(generation=number, permit_id=permit_id):
                    if number in self._tickets:
                        self._tickets[number].grant(permit_id)
                    else:
                        todo.extend(self._queue.returned(permit_id, *self._time()))
                case PermitRefused(generation=number, cause=cause):
                    if number in self._tickets:
                        self._tickets[number].refuse(cause)
                case IdentifyHeld() as held if self._on_held is not None:
                    self._on_held(held)
        due = self._queue.next_timeout()
        if self._keeper is not None and due is not None and due < self._planned:
            self._keeper.wake.set()

    async def _wait(self, ticket: "_Ticket") -> None:
        """Until it is over, or the keeper's part falls to it, or, for the keeper, until something is due."""
        self._keeper = self._keeper or ticket
        if self._keeper is ticket:
            due = self._queue.next_timeout()
            self._planned = math.inf if due is None else due
            try:
                await self._clock.wait(ticket.wake, due)
            finally:
                self._planned = -math.inf
            self._do(self._queue.handle_timeout(*self._time()))
        else:
            await ticket.wake.wait()
        if ticket.wake.is_set():
            ticket.wake = anyio.Event()

    def _withdraw(self, ticket: "_Ticket", shard_id: int) -> None:
        if ticket.permit_id:
            self._do(self._queue.returned(ticket.permit_id, *self._time()))
        else:
            self._do(self._queue.withdrawn(shard_id, ticket.number, *self._time()))

    def _pass_on(self) -> None:
        self._keeper = next((ticket for ticket in self._tickets.values() if not ticket.is_over), None)
        if self._keeper is not None:
            self._keeper.wake.set()


class _Ticket:
    """One call of `ask`."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.permit_id = 0
        self.cause: GatewayError | None = None
        self.wake = anyio.Event()

    @property
    def is_over(self) -> bool:
        return self.permit_id != 0 or self.cause is not None

    def grant(self, permit_id: int) -> None:
        self.permit_id = permit_id
        self.wake.set()

    def refuse(self, cause: GatewayError) -> None:
        self.cause = cause
        self.wake.set()
