"""The identify gate of several programs on one machine, over a file (F15, F20)."""

import copy
import dataclasses
import functools
import hashlib
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from weakref import WeakKeyDictionary

import anyio

from gateway_proto import GatewayError, IdentifyPermit, IdentifyWanted
from gateway_proto.discovery import SessionStartLimit
from gateway_proto.fleet import IdentifyHeld, IdentifyQueue, Ledger
from gateway_proto.fleet.queue import DISCORD_SPACING, MARGIN

from .clock import Clock, SystemClock
from .gate import shard_of
from .queue_gate import QueueGate
from .stores.database import Database
from .stores.errors import StoreBusyError, StoreFullError
from .stores.permits import Grant, Later, PermitBook, check_owner

LEASE: Final = 2.0
"""Seconds within which a permit is used, as a rule at once. One whose program died keeps its bucket closed for so
long, and the spacing; one that comes later than this out of the file is not handed out."""
LONGEST_HOLD: Final = 60.0
"""Seconds between two looks at a budget that is used up: another program may hear that there is more."""
RETRY: Final = 0.02
LONGEST_RETRY: Final = 1.0
"""Seconds between two tries at a file that is locked or a disk that is full; doubled from the first to the second."""
_PATIENT_TRIES: Final = 8
_BOUNDLESS: Final = 10**9
"""The day's total of the queue within, which is no judge of it."""


class SqliteGate:
    """A `BudgetedGate` that runners of several programs share by a state file, also a `SqliteStore`'s.

    Within the program it is a queue; who is next there then takes the bucket's permit from the file. A program that
    dies holding one keeps nobody waiting beyond `lease + spacing`. Every permit is in the file's ledger of the day
    from the moment it is given, so that one taken to the grave counts as used. All programs must run on one machine:
    they go by its clocks. Where those tell when the machine was started (on Linux), wall time may be set as one likes
    meanwhile; elsewhere, setting it forward lets two IDENTIFYs come closer than the spacing.

    Nothing here keeps the event loop for more than some 20 ms, except opening, `reserve` and `report` while another
    program is at the file: those wait up to 5 or 2 s, in which signals get through. Call `close_file`, or use it as a
    context manager, when done.

    Args:
        clock: the runners' clock.
        application_id: the bot's, if it is known. Then a file of another bot is refused, and a new one is this bot's:
            two bots in one file would count each other's IDENTIFYs.
        max_concurrency: of /gateway/bot; the last that any program says holds for all.
        spacing: seconds from the use of a permit to the next one of its bucket; all programs must say the same.
        lease: the same goes for this.
        wall: the time in seconds since the epoch, of a clock that all programs share.
        boot: names what `clock` counts from, for all programs that share it, and for no clock that counts from
            elsewhere. None: this boot of the machine, for a `SystemClock` where that can be told, or this one object.
        on_held: is told when a shard has to wait longer than its turn, and why.

    Raises:
        StoreMismatchError: it is another bot's file. It was left untouched.
        StoreError: the file cannot be used. So does `ask`, if the file fails; but a full disk and another program's
            lock are waited for.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clock: Clock,
        *,
        application_id: int | None = None,
        max_concurrency: int = 1,
        spacing: float = DISCORD_SPACING + MARGIN,
        lease: float = LEASE,
        wall: Callable[[], float] = time.time,
        boot: str | None = None,
        on_held: Callable[[IdentifyHeld], object] | None = None,
    ) -> None:
        self._clock = clock
        self._lease = lease
        self._on_held = on_held
        # It sorts the shards into buckets, in order, and holds back those that identify again and again (F15).
        queue = IdentifyQueue(max_concurrency=max_concurrency, spacing=0.0, ledger=Ledger(total=_BOUNDLESS))
        self._turns = QueueGate(queue, clock, wall=wall, on_held=on_held)
        self._grants: dict[int, Grant] = {}
        self._changed = anyio.Event()
        self._database = Database(path, accept=functools.partial(check_owner, application_id))
        name = boot or _boot_of(clock)
        self._book = PermitBook(
            self._database,
            spacing=spacing,
            lease=lease,
            wall=wall,
            up=clock.now,
            boot=_number(name) if name is not None else None,
        )
        try:
            self._book.open(max_concurrency, application_id)
        except BaseException:
            self._database.close()
            raise

    # -- the gate's Protocol -----------------------------------------------------------------------------------

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        shard_id = shard_of(wanted)
        is_told = False
        while True:
            permit = await self._turns.ask(wanted)
            try:
                outcome = await self._take(shard_id)
            except BaseException:
                self._turns.returned(permit)
                raise
            if isinstance(outcome, Grant):
                self._grants[permit.id] = outcome
                return permit
            # Those behind it may go ahead: a start may have what is kept from a shard that identifies again.
            self._turns.returned(permit)
            if not is_told:
                is_told = True
                self._tell(shard_id, outcome)
            await self._pause(min(outcome.seconds, LONGEST_HOLD))

    def used(self, permit: IdentifyPermit, at: float) -> None:
        grant = self._grants.pop(permit.id, None)
        if grant is not None:
            # In this order: what lies between the two looks makes the use later, not earlier.
            ago = max(self._clock.now() - at, 0.0)
            self._book.end(grant, self._book.now().later(-ago))
            self._turns.used(permit, at)

    def returned(self, permit: IdentifyPermit) -> None:
        grant = self._grants.pop(permit.id, None)
        if grant is not None:
            self._book.end(grant, None)
            self._turns.returned(permit)

    def closed(self, cause: GatewayError) -> None:
        """Whoever waits in this program, and whoever asks from now on, ends with this (F16). The first cause stands."""
        self._turns.closed(cause)
        self._stir()

    # -- commands ----------------------------------------------------------------------------------------------

    def reserve(self, shard_ids: Iterable[int]) -> None:
        """These are about to start without a session: their next IDENTIFYs may be the day's last ones, but for the very
        last, and are kept from other programs until they are used, or twice the time has passed that the start should
        take. A start of none is never refused.

        Raises:
            IdentifyBudgetError: the day has not enough for them and those that others announced; nothing changed.
            StoreError: the file failed.
        """
        self._book.reserve(shard_ids)
        self._stir()

    def report(self, limit: SessionStartLimit) -> None:
        """What GET /gateway/bot said; it holds for all programs. Raises StoreError."""
        self._book.report(limit)
        self._stir()

    def release(self, shard_ids: Iterable[int]) -> None:
        """These will not start after all: what was reserved for them is for others. Of shards for which nothing is
        reserved, or that have identified, nothing changes, and the file is not touched. Never raises."""
        released = set(shard_ids)
        for permit_id, grant in self._grants.items():
            if grant.shard_id in released:  # given back, it is not to be the start's again
                self._grants[permit_id] = dataclasses.replace(grant, reserved_until=None)
        if self._book.release(released):
            self._stir()

    def close_file(self) -> None:
        """Let go of the file. Permits that are still out end with their lease."""
        self._book.close()
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close_file()

    # -- getters -----------------------------------------------------------------------------------------------

    def remaining(self) -> int:
        """How many IDENTIFYs are left today, for all programs. Raises StoreError."""
        return self._book.remaining()

    @property
    def path(self) -> Path:
        return self._database.path

    @property
    def kept_aside(self) -> Path | None:
        """The damaged file that was found, under its new name; None if there was none."""
        return self._database.kept_aside

    @property
    def closed_by(self) -> GatewayError | None:
        """What `closed` was called with, if it was."""
        return self._turns.closed_by

    # -- within ------------------------------------------------------------------------------------------------

    async def _take(self, shard_id: int) -> Grant | Later:
        """Wait for a permit of the file; a `Later` is a reason to let others go ahead."""
        failures = 0
        while True:
            if self.closed_by is not None:
                raise copy.copy(self.closed_by)
            asked = self._clock.now()
            try:
                outcome = self._book.grant(shard_id)
            except (StoreBusyError, StoreFullError) as error:
                failures += 1
                outcome = Later(min(RETRY * 2.0 ** min(failures, 10), LONGEST_RETRY))
                if failures == _PATIENT_TRIES:
                    self._tell(shard_id, Later(outcome.seconds, str(error)))
            if isinstance(outcome, Grant):
                if self._clock.now() - asked <= self._lease:
                    return outcome
                self._book.end(outcome, None)  # the disk was slow, or the machine slept: others may have it by now
                await self._pause(RETRY)
            elif outcome.reason:
                return outcome
            else:
                await self._pause(outcome.seconds)

    async def _pause(self, seconds: float) -> None:
        # No less than a millisecond: wall time is coarser than the clock, and would not be there yet.
        await self._clock.wait(self._changed, self._clock.now() + max(seconds, 0.001))

    def _stir(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    def _tell(self, shard_id: int, later: Later) -> None:
        if self._on_held is not None:
            until = self._clock.now() + later.seconds
            self._on_held(IdentifyHeld(shard_id=shard_id, until=until, reason=later.reason))


_clocks: Final = WeakKeyDictionary[Clock, str]()


def _boot_of(clock: Clock) -> str | None:
    """A name for what this clock counts from; None if it may be anything."""
    if not isinstance(clock, SystemClock):  # whoever made it knows; at least it agrees with itself
        return _clocks.setdefault(clock, secrets.token_hex(8))
    if sys.platform != "linux":
        return None
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    try:  # a container may count from elsewhere
        return f"{boot} {os.readlink('/proc/self/ns/time')}"
    except OSError:  # a kernel that knows no such containers, before Linux 5.6
        return boot


def _number(name: str) -> int:
    """A column's integer for it."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=7).digest(), "big") | 1
