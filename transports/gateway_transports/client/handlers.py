"""Handlers: functions that a client calls with the events whose type they are annotated with."""

import inspect
import logging
import math
import types
import typing
from collections.abc import Awaitable, Callable, Set
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio
import anyio.abc

from gateway_proto import LocalProtocolError

from .events import ShardEvent, Wanted
from .flow import Item

if TYPE_CHECKING:
    from .client import Client
    from .messenger import ShardMessenger

StateT = TypeVar("StateT")

_log: Final = logging.getLogger("gateway_transports.client")


class Context(Generic[StateT]):
    """What a handler is given besides the payload."""

    __slots__ = ("client", "event")

    def __init__(self, client: "Client[StateT]", event: ShardEvent[object]) -> None:
        self.client: Client[StateT] = client
        self.event: ShardEvent[object] = event

    @property
    def state(self) -> StateT:
        """The client's shared object, the same for all shards and handlers."""
        return self.client.state

    @property
    def shard_id(self) -> int:
        return self.event.shard_id

    @property
    def shard(self) -> "ShardMessenger":
        """To send something by the event's own shard."""
        return self.client.shard(self.event.shard_id)


class Handler(Generic[StateT]):
    """One function, as a consumer of a hub.

    Args:
        group: where its tasks run.
        on_failure: is told what it raises, once that is logged.
    """

    def __init__(
        self,
        client: "Client[StateT]",
        function: Callable[..., Any],
        kinds: tuple[type[Any], ...],
        on_failure: Callable[[Exception], object],
    ) -> None:
        self.name: str = getattr(function, "__qualname__", repr(function))
        self.wanted: Wanted = Wanted(kinds)
        self.wants: Callable[[str], bool] = self.wanted.has
        self.group: anyio.abc.TaskGroup | None = None
        self._client = client
        self._function = function
        self._takes_context = _takes_context(function)
        self._takes_all = self.wanted.names is None
        self._on_failure = on_failure

    def offer(self, item: Item) -> None:
        if not self.wanted.takes(item.event):
            item.done()
            return
        try:
            outcome = self._call(item)
        except Exception as error:
            self._failed(item, error)
            item.done()
            return
        except anyio.get_cancelled_exc_class() as error:  # without an await, it is not ours
            self._cancelled(item, error)
            item.done()
            return
        if not inspect.isawaitable(outcome):
            item.done()
            return
        assert self.group is not None, "there are no events before the client has begun"
        item.pump.running += 1
        self.group.start_soon(self._finish, item, outcome)

    def forget(self, items: Set[Item]) -> None:
        """Nothing: it has all in hand."""

    def stir(self) -> None:
        """Nothing: it does not wait for events."""

    def _call(self, item: Item) -> Any:
        event: ShardEvent[object] = ShardEvent(item)
        payload = event.dispatch if self._takes_all else event.data
        if self._takes_context:
            return self._function(payload, Context(self._client, event))
        return self._function(payload)

    async def _finish(self, item: Item, outcome: Awaitable[object]) -> None:
        is_done = False
        try:
            await outcome
            is_done = True
        except Exception as error:
            self._failed(item, error)
            is_done = True
        except anyio.get_cancelled_exc_class() as error:
            if anyio.current_effective_deadline() == -math.inf:
                raise  # the client ends
            # Let through, it would count as ours, and silently end all handlers and shards.
            self._cancelled(item, error)
            is_done = True
        finally:
            # Cancelled, it has not done with the event, which then comes again.
            item.pump.running -= 1
            if is_done:
                item.done()
            item.pump.nudge()

    def _cancelled(self, item: Item, error: BaseException) -> None:
        """By somebody else: it has awaited a task or a future that was cancelled."""
        failure = RuntimeError("it awaited something that was cancelled")
        failure.__cause__ = error
        self._failed(item, failure)

    def _failed(self, item: Item, error: Exception) -> None:
        _log.error(
            "handler %s failed at %s, event %d of shard %d",
            self.name, item.event.name, item.event.sequence, item.pump.shard_id,
            exc_info=error,
        )  # fmt: skip
        self._on_failure(error)


def kinds_of(function: Callable[..., Any]) -> tuple[type[Any], ...]:
    """The event types that the first parameter is annotated with.

    Raises:
        LocalProtocolError: there is no such annotation.
    """
    name = getattr(function, "__qualname__", repr(function))
    advice = f"annotate the first parameter of {name} with an event, as in: async def {name}(message: MessageCreate)"
    try:
        parameters = _positional(function)
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, ValueError) as error:
        raise LocalProtocolError(f"{advice} ({error})") from error
    kind = hints.get(parameters[0].name) if parameters else None
    kinds = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if not all(isinstance(one, type) for one in kinds):
        raise LocalProtocolError(advice)
    return kinds


def _takes_context(function: Callable[..., Any]) -> bool:
    name = getattr(function, "__qualname__", repr(function))
    parameters = _positional(function)
    required = [parameter for parameter in parameters if parameter.default is parameter.empty]
    if not parameters or len(required) > 2:
        raise LocalProtocolError(f"{name} must take the event, or the event and a Context, and nothing else")
    return len(required) == 2


def _positional(function: Callable[..., Any]) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [one for one in inspect.signature(function).parameters.values() if one.kind in kinds]
