"""What `ShardRunner.request_members` and its like await: the tasks that wait, beside the machine that knows (F35)."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import anyio

from gateway_proto import InterMessage, LocalProtocolError, ShardAction
from gateway_proto.requests import Failed, GuildRequests, RequestError, RequestOutcome

from ..clock import Clock


class Waiter:
    """A task that waits for the end of one request."""

    def __init__(self) -> None:
        self._ended = anyio.Event()
        self._outcome: RequestOutcome

    def end(self, outcome: RequestOutcome) -> None:
        self._outcome = outcome
        self._ended.set()

    async def wait(self, cause: Callable[[], Exception | None]) -> Any:
        """The result. Raises what the request failed with, from what has ended the shard, if anything has."""
        await self._ended.wait()
        if isinstance(self._outcome, Failed):
            error = self._outcome.error
            raise error from (cause() if isinstance(error, RequestError) else None)
        return self._outcome.result


class AwaitedRequests:
    """Drives a `GuildRequests` for a runner.

    Args:
        send: hands a command to the shard; raises what `Shard.send` does.
    """

    def __init__(self, machine: GuildRequests, clock: Clock, send: Callable[[InterMessage], None]) -> None:
        self.machine = machine
        self.waiters: dict[int, Waiter] = {}
        """While it is empty, dispatches and timers need not come here."""
        self._clock = clock
        self._send = send

    @contextlib.contextmanager
    def awaiting(self, id: int) -> Iterator[Waiter]:
        """The waiter of a request, which is dropped with the block."""
        waiter = self.waiters[id] = Waiter()
        try:
            yield waiter
        finally:
            del self.waiters[id]
            self.machine.drop(id, self._clock.now())

    def receive(self, action: ShardAction) -> None:
        self._end(self.machine.receive(action, self._clock.now()))

    def handle_timeout(self) -> bool:
        """Says whether there was anything, as a `Ticker` asks."""
        return self._end(self.machine.handle_timeout(self._clock.now()))

    def close(self) -> None:
        self._end(self.machine.close(self._clock.now()))

    def pump(self) -> None:
        """Send those whose turn it is."""
        now = self._clock.now()
        for command in self.machine.commands(now):
            try:
                self._send(command)
            except LocalProtocolError as error:
                self._end(self.machine.refused(command, error, now))

    def _end(self, outcomes: list[RequestOutcome]) -> bool:
        for outcome in outcomes:
            self.waiters[outcome.id].end(outcome)
        return bool(outcomes)
