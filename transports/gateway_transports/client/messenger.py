"""Talking to a running shard from anywhere: `ShardMessenger`; and what is known of one: `ShardRunnerInfo`."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import msgspec

from gateway_proto import (
    Activity,
    ConnectionStage,
    CurrentPresence,
    GatewayError,
    InterMessage,
    LocalProtocolError,
    OnlineStatus,
    ShardSnapshot,
)

from ..anyio import ShardRunner
from ..tasks import caller

T = TypeVar("T")


class ShardRunnerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A shard of this process, as it is now.

    `latency` is in seconds; `snapshot` is None for one that does not run; `guilds` is what its last READY named;
    `failure` says why it has ended, if it failed.
    """

    shard_id: int
    total: int
    stage: ConnectionStage
    latency: float | None
    guilds: int | None
    failure: GatewayError | None
    snapshot: ShardSnapshot | None


class Home:
    """The event loop and thread that a client lives in. `run` there carries out what other threads ask for."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._soon = caller()
        self._lock = threading.Lock()
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._wake = anyio.Event()
        self._is_open = True

    def call(self, function: Callable[[], T]) -> T:
        """Call it there, from any thread, and wait for it. Raises what it raises.

        Raises:
            LocalProtocolError: the client has ended.
        """
        if threading.get_ident() == self._thread:
            return function()
        future: Future[T] = Future()
        with self._lock:
            # Whatever is in the queue by then is ended by `close`: a thread waits for no loop that is gone.
            if not self._is_open:
                raise _ended()
            self._calls.append((future, function))
        try:
            self._soon(self._stir)
        except RuntimeError:
            raise _ended() from None
        return future.result()

    @property
    def is_asked(self) -> bool:
        """A thread waits for its call."""
        return bool(self._calls)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._calls:
                future, function = self._calls.popleft()
                try:
                    future.set_result(function())
                except Exception as error:
                    future.set_exception(error)

    def close(self) -> None:
        """Nothing is called any more."""
        with self._lock:
            self._is_open = False
        while self._calls:
            self._calls.popleft()[0].set_exception(_ended())

    def _stir(self) -> None:
        self._wake.set()


def _ended() -> LocalProtocolError:
    return LocalProtocolError("the client has ended")


class ShardMessenger:
    """Sends commands by one shard of a client, from any task or thread; from another thread, a call waits its turn.

    A command takes effect at once or waits, in the shard, for a session and for the send budget; it never blocks.

    Raises (every method):
        LocalProtocolError: the shard does not run, the client has ended, or Discord would close the connection for that
            command. To shut down a shard that does not run is no error.
    """

    def __init__(self, shard_id: int, home: Home, runner: Callable[[int], ShardRunner], stop: Callable[[bool], object]):
        self.shard_id: int = shard_id
        self._home = home
        self._runner = runner
        self._stop = stop

    def chunk_guilds(
        self, guild_ids: Iterable[int], *, limit: int = 0, query: str = "", presences: bool | None = None
    ) -> None:
        """Request members of guilds; the chunks come as events. To wait for them: `Client.request_members`."""
        ids = tuple(guild_ids)
        self._do(lambda runner: runner.chunk_guilds(ids, limit=limit, query=query, presences=presences))

    def set_activity(self, activity: Activity | None) -> None:
        self._do(lambda runner: runner.set_activity(activity))

    def set_status(self, status: OnlineStatus) -> None:
        self._do(lambda runner: runner.set_status(status))

    def set_presence(self, presence: CurrentPresence) -> None:
        self._do(lambda runner: runner.set_presence(presence))

    def send(self, message: InterMessage) -> None:
        """Any command: a typed one, or a `RawCommand`."""
        self._do(lambda runner: runner.send(message))

    def shutdown_clean(self, *, resumable: bool = False) -> None:
        """Stop this shard: its session is ended, and the bot goes offline there; or kept, if `resumable`."""
        self._home.call(lambda: self._stop(resumable))

    def _do(self, command: Callable[[ShardRunner], object]) -> None:
        self._home.call(lambda: command(self._runner(self.shard_id)))
