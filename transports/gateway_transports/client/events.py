"""Events as a client's user has them: typed, with their shard, one after the other."""

import contextlib
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar, cast

import anyio
import anyio.lowlevel

from gateway_proto import Dispatch, LocalProtocolError
from gateway_proto.events import UnavailableGuild
from gateway_proto.events.catalogue import DISPATCH_NAMES

from .flow import Feed, Hub, Item

DataT = TypeVar("DataT", covariant=True)

_TURN: Final = 64
"""Events that an iteration takes from a filled queue before other tasks get their turn."""
_GUILD_CREATE: Final = "GUILD_CREATE"


class ShardEvent(Generic[DataT]):
    """An event of a shard. Nothing of it is decoded until `data` is asked for."""

    __slots__ = ("_item", "dispatch")

    def __init__(self, item: Item) -> None:
        self._item = item
        self.dispatch: Dispatch = item.event
        """The core's event: `decode` reads it as a type of yours, `raw` is its JSON."""

    @property
    def shard_id(self) -> int:
        return self._item.pump.shard_id

    @property
    def name(self) -> str:
        return self.dispatch.name

    @property
    def replayed(self) -> bool:
        """It came after a RESUME: it may have been seen before, by a process that was killed."""
        return self.dispatch.replayed

    @property
    def data(self) -> DataT:
        """The payload, decoded on first use and kept.

        Raises:
            EventDecodeError: it is not what its type says; `dispatch.raw` has it.
        """
        return cast(DataT, self.dispatch.data)

    def __repr__(self) -> str:
        return f"ShardEvent(shard_id={self.shard_id}, {self.dispatch!r})"


class Wanted:
    """Which events a consumer asks for: types of `gateway_proto.events`; none of them, or `Dispatch`, for all.

    Raises:
        LocalProtocolError: a type that is no event's payload.
    """

    def __init__(self, kinds: tuple[type[Any], ...]) -> None:
        self.names: frozenset[str] | None = None
        """None: all."""
        # During an outage a GUILD_CREATE is an UnavailableGuild: the name alone does not say whether it is wanted.
        self._guild: tuple[type[Any], ...] = ()
        if kinds and Dispatch not in kinds:
            self.names = frozenset(map(_name, kinds))
            self._guild = tuple(kind for kind in kinds if _name(kind) == _GUILD_CREATE)

    def has(self, name: str) -> bool:
        return self.names is None or name in self.names

    def takes(self, event: Dispatch) -> bool:
        """Of an event whose name it has."""
        if event.name != _GUILD_CREATE or not self._guild:
            return True
        with contextlib.suppress(Exception):  # the user's own `data` raises it
            return isinstance(event.data, self._guild)
        return True


def _name(kind: type[Any]) -> str:
    name = _GUILD_CREATE if kind is UnavailableGuild else DISPATCH_NAMES.get(kind)
    if name is None:
        shown = getattr(kind, "__name__", repr(kind))
        raise LocalProtocolError(f"{shown} is no event: name types of gateway_proto.events, such as MessageCreate")
    return name


class EventStream(Generic[DataT]):
    """The events of all shards that a client runs, those of one shard in order: iterate over it, in one task.

    An event is delivered when the next one is asked for; whoever is cancelled in its midst gets it again after a
    restart, and what was not taken yet as well. The iteration ends when no shard runs any more, and raises why if that
    was not wanted.
    """

    def __init__(self, hub: Hub, wanted: Wanted, check: Callable[[], object]) -> None:
        self._hub = hub
        self._check = check
        self._turn = 0
        self._guard = anyio.ResourceGuard("iterating over")
        self._feed = Feed(wanted.has, wanted.takes)
        hub.add(self._feed)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ShardEvent[DataT]:
        with self._guard:
            feed = self._feed
            feed.finish()
            self._turn += 1
            if self._turn % _TURN == 0:
                await anyio.lowlevel.checkpoint()
            while not feed.queue and not feed.is_closed:
                if self._hub.is_over:
                    self._check()
                    raise StopAsyncIteration
                feed.stirred = anyio.Event()
                await feed.stirred.wait()
            if feed.is_closed:
                raise StopAsyncIteration  # what is in its queue is for others
            return ShardEvent(feed.take())

    async def batch(self, limit: int) -> list[ShardEvent[DataT]]:
        """The next event and those that are there already, `limit` at most, for a consumer that writes many at once.

        They are delivered together: when more is asked for, or by `acknowledge`. Empty once it is closed or no shard
        runs any more; raises why if that was not wanted.
        """
        try:
            events = [await anext(self)]
        except StopAsyncIteration:
            return []
        feed = self._feed
        while feed.queue and len(events) < limit:
            events.append(ShardEvent(feed.take()))
        return events

    def acknowledge(self) -> None:
        """What was taken last, an event or a batch, is done with, though no more is asked for yet."""
        self._feed.finish()

    def close(self) -> None:
        """Ask for nothing any more; an iteration that waits ends. What was taken last, and is not acknowledged, counts
        as not delivered if the client ends now."""
        self._hub.remove(self._feed)

    def __del__(self) -> None:
        # Left by `break`, an iterator in a `for` is gone: its shards must not wait for it. Any thread may come here.
        if hasattr(self, "_feed") and not self._feed.is_closed:
            self._hub.abandon(self._feed)
