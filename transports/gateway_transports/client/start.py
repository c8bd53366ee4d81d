"""What a start needs to know before the first shard dials."""

import random
from collections.abc import Callable
from typing import Final, NamedTuple

import anyio

from gateway_proto import LocalProtocolError, Secret
from gateway_proto.discovery import (
    MAX_SHARDS,
    DiscoveryError,
    DiscoveryTimeoutError,
    GatewayInfo,
    ServerFaultError,
    SessionStartLimit,
    UnauthorizedError,
)
from gateway_proto.discovery import RateLimitedError as DiscoveryRateLimitedError

from ..anyio import discover
from ..clock import Clock
from ..contract import Dialer
from .errors import OnlyBotsShardError

TRIES: Final = 4
"""Times that the API is asked, if it fails in a way that passes."""
LONGEST_WAIT: Final = 60.0
"""Seconds to wait for it because it said so."""
RETRY_LIMIT: Final = 60.0
"""Seconds until the day's limit is asked for again after a failure."""
IDLE_LIMIT: Final = 3600.0
"""The same where it is about to be set back, or its period has not begun: then nothing says when it will be."""
_PASSING: Final = (DiscoveryRateLimitedError, ServerFaultError, DiscoveryTimeoutError)


class Plan(NamedTuple):
    """What to start: these shards of `total`; `is_sharded` False leaves IDENTIFY's `shard` out; `is_recommended`:
    `total` is what Discord says."""

    shard_ids: range
    total: int
    is_sharded: bool
    is_recommended: bool = False


class Api:
    """Discord's API, as far as a start needs it. Without a `base`, nothing is asked."""

    def __init__(self, base: str | None, token: Secret, *, dialer: Dialer, clock: Clock, rng: random.Random) -> None:
        self._base = base
        self._token = token
        self._dialer = dialer
        self._clock = clock
        self._rng = rng

    @property
    def is_asked(self) -> bool:
        return self._base is not None

    async def ask(self, *, must_be_bot: bool) -> GatewayInfo | None:
        """The gateway's URL, the recommended count and the day's limit; without the last two for what is no bot.

        Raises:
            OnlyBotsShardError: it must be a bot, and Discord says that it is none.
            DiscoveryError: there is no answer, or one that makes no sense.
        """
        if self._base is None:
            return None
        try:
            return await self._try(self._token)
        except UnauthorizedError as error:
            if must_be_bot:
                raise OnlyBotsShardError from error
        return await self._try(None)

    async def watch(self, limit: SessionStartLimit, report: Callable[[SessionStartLimit], object]) -> None:
        """Ask again each time that the day's limit is set back (F15), until cancelled. A failure is tried again."""
        wait = _until_reset(limit)
        while True:
            await self._pause(wait)
            wait = RETRY_LIMIT
            try:
                info = await self._try(self._token)
            except DiscoveryError:
                continue
            if info.session_start_limit is not None:
                report(info.session_start_limit)
                wait = _until_reset(info.session_start_limit)

    async def _try(self, token: Secret | None) -> GatewayInfo:
        assert self._base is not None
        for number in range(1, TRIES + 1):
            try:
                return await discover(token=token, base=self._base, dialer=self._dialer, clock=self._clock)
            except _PASSING as error:
                wait = error.retry_after or self._rng.uniform(0.0, 2.0**number)
                if number == TRIES or wait > LONGEST_WAIT:
                    raise
            await self._pause(wait)
        raise AssertionError("the last try returns or raises")

    async def _pause(self, seconds: float) -> None:
        await self._clock.wait(anyio.Event(), self._clock.now() + seconds)


def _until_reset(limit: SessionStartLimit) -> float:
    return limit.reset_after if limit.reset_after >= RETRY_LIMIT else IDLE_LIMIT


def check_range(shards: object, total: int) -> range:
    """A Python range, whole and within `total`.

    Raises:
        LocalProtocolError: it is not, with what to write instead.
    """
    if not isinstance(shards, range):
        raise LocalProtocolError(
            f"name the shards by a Python range, not by {shards!r}: "
            "range(0, 4) is 0 to 3 (serenity's pair was inclusive)"
        )
    check_total(total)
    if not shards:
        raise LocalProtocolError(f"{shards} has no shards; range(0, 4) is 0 to 3")
    if shards.step != 1:
        raise LocalProtocolError(f"{shards} leaves shards out; the shards of a process are a range without gaps")
    if shards.start < 0 or shards.stop > total:
        raise LocalProtocolError(f"there are no shards {shards.start} to {shards.stop - 1} of {total}")
    return shards


def check_total(total: int) -> None:
    if total < 1:
        raise LocalProtocolError(f"there must be at least one shard, not {total}")
    if total > MAX_SHARDS:
        raise LocalProtocolError(f"there are at most {MAX_SHARDS:,} shards, not {total:,}")
