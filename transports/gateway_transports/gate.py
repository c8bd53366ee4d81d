"""Who may IDENTIFY when: what a runner asks of a gate, and what a program that starts many shards does besides."""

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from gateway_proto import GatewayError, IdentifyPermit, IdentifyWanted
from gateway_proto.discovery import SessionStartLimit


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

    def closed(self, cause: GatewayError) -> None:
        """Discord refuses the application: whoever waits, and whoever asks from now on, ends with this (F16)."""
        ...


@runtime_checkable
class BudgetedGate(IdentifyGate, Protocol):
    """A gate that keeps the day's ledger as well (F15). Whoever starts shards calls these, the runners do not.

    Each raises a `GatewayError` if the ledger cannot be read or written.
    """

    def reserve(self, shard_ids: Iterable[int]) -> None:
        """Called before a start, with the shards that have no session to resume: their next IDENTIFYs may be among
        the day's last, and are kept from others.

        Raises:
            IdentifyBudgetError: the start cannot be afforded; nothing changed.
        """
        ...

    def release(self, shard_ids: Iterable[int]) -> None:
        """Called when shards of a start will not IDENTIFY after all: what was kept for them is for others."""
        ...

    def report(self, limit: SessionStartLimit) -> None:
        """Called with each answer of GET /gateway/bot: before `reserve`, and again once the limit was reset."""
        ...

    def remaining(self) -> int:
        """How many IDENTIFYs are left today; asked at any time, for logs and metrics."""
        ...


def shard_of(wanted: IdentifyWanted) -> int:
    """The id of the shard that asks; a bot that does not shard is shard 0."""
    return 0 if wanted.shard is None else wanted.shard[0]
