"""Who may IDENTIFY when: the gate that a runner asks, and the one for a process that has no queue of its own."""

from typing import Final, Protocol

import anyio

from gateway_proto import IdentifyPermit, IdentifyWanted

from .clock import Clock

SPACING: Final = 5.1
"""Seconds from the use of one permit of a bucket to the next permit: Discord's 5 s (Gateway > Rate Limiting) and a
margin for the way there (F20)."""


class IdentifyGate(Protocol):
    """Hands out permits. Every permit that `ask` returned is ended by one call of `used` or `returned`."""

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        """Wait for a permit, without limit; it is `wanted.permit(id)`. Cancelled when its connection dies; then the
        turn is over and nobody ends it.

        Raises:
            GatewayError: there will be none; the shard ends with this (F16).
        """
        ...

    def used(self, permit: IdentifyPermit, at: float) -> None:
        """The IDENTIFY went out at `at`, on the runner's clock."""
        ...

    def returned(self, permit: IdentifyPermit) -> None:
        """The permit was not used."""
        ...


def shard_of(wanted: IdentifyWanted) -> int:
    """The id of the shard that asks; a bot that does not shard is shard 0."""
    return 0 if wanted.shard is None else wanted.shard[0]


class LocalGate:
    """One permit at a time for each bucket (shard id % max_concurrency), `spacing` seconds after the last use.

    Runners of one event loop may share one; nothing beyond this process is known to it.
    """

    def __init__(self, clock: Clock, *, max_concurrency: int = 1, spacing: float = SPACING) -> None:
        self._clock = clock
        self._spacing = spacing
        self._buckets = [_Bucket() for _ in range(max_concurrency)]
        self._outstanding: dict[int, _Bucket] = {}
        self._last_id = 0

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        bucket = self._buckets[shard_of(wanted) % len(self._buckets)]
        await bucket.turn.acquire()
        try:
            while self._clock.now() < bucket.used_at + self._spacing:
                await self._clock.wait(anyio.Event(), bucket.used_at + self._spacing)
        except BaseException:
            bucket.turn.release()
            raise
        self._last_id += 1
        self._outstanding[self._last_id] = bucket
        return wanted.permit(self._last_id)

    def used(self, permit: IdentifyPermit, at: float) -> None:
        bucket = self._outstanding.pop(permit.id, None)
        if bucket is not None:
            bucket.used_at = at
            bucket.turn.release()

    def returned(self, permit: IdentifyPermit) -> None:
        bucket = self._outstanding.pop(permit.id, None)
        if bucket is not None:
            bucket.turn.release()


class _Bucket:
    def __init__(self) -> None:
        self.turn = anyio.Semaphore(1)
        self.used_at = float("-inf")
