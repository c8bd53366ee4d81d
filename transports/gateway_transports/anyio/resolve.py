"""Names to addresses, in daemon threads that may be abandoned (F26).

A getaddrinfo cannot be cancelled and may take half a minute. The worker threads of asyncio, trio and anyio are waited
for, by a cancelled trio task or at the exit of the process; ours are not. All who ask for one name at one time share a
thread, so that a thousand shards behind a dead resolver leave one thread behind and not a thousand.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import anyio
import anyio.from_thread
import anyio.lowlevel

from ..errors import ResolveError, one_line

Address: TypeAlias = tuple[socket.AddressFamily, str]
"""Family and address literal (with the scope of a link-local one)."""
GetAddrInfo: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]


class _Lookup:
    """One getaddrinfo in its thread, for all tasks of one event loop that want its answer."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.answer: Sequence[tuple[Any, ...]] = ()
        self.error: Exception | None = None


class Resolver:
    """Resolves names. One serves any number of event loops and threads.

    Args:
        getaddrinfo: called as `socket.getaddrinfo(host, port, type=SOCK_STREAM)` in a daemon thread.
    """

    def __init__(self, getaddrinfo: GetAddrInfo | None = None) -> None:
        self._getaddrinfo = getaddrinfo or socket.getaddrinfo
        self._lock = threading.Lock()
        self._running: dict[tuple[anyio.lowlevel.EventLoopToken, str, int], _Lookup] = {}

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses in the system's order of preference (RFC 6724). Cancelling it abandons the thread.

        Raises:
            ResolveError: with one readable line.
        """
        key = (anyio.lowlevel.current_token(), host, port)
        with self._lock:
            lookup = self._running.get(key)
            if lookup is None:
                lookup = self._running[key] = _Lookup()
                threading.Thread(target=self._look_up, args=(key, lookup), name=f"resolve {host}", daemon=True).start()
        await lookup.done.wait()
        if lookup.error is not None:
            raise ResolveError(f"cannot resolve {host}: {one_line(lookup.error)}") from lookup.error
        addresses = dict.fromkeys(_addresses(lookup.answer))
        if not addresses:
            raise ResolveError(f"cannot resolve {host}: it has no address")
        return list(addresses)

    def _look_up(self, key: tuple[anyio.lowlevel.EventLoopToken, str, int], lookup: _Lookup) -> None:
        token, host, port = key
        try:
            lookup.answer = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # whatever it is (UnicodeError for an overlong label, too), it belongs to the asker
            lookup.error = error
        with self._lock:
            del self._running[key]
        # If the event loop has ended, nobody waits any more.
        with contextlib.suppress(RuntimeError):
            anyio.from_thread.run_sync(lookup.done.set, token=token)


def _addresses(answer: Sequence[tuple[Any, ...]]) -> list[Address]:
    found = []
    for family, _, _, _, address in answer:
        if family == socket.AF_INET6 and len(address) == 4 and address[3] and "%" not in address[0]:
            found.append((family, f"{address[0]}%{address[3]}"))
        elif family in (socket.AF_INET, socket.AF_INET6):
            found.append((family, address[0]))
    return found


_shared = Resolver()


def default_resolver() -> Resolver:
    """The one that all dialers of this process share unless told otherwise."""
    return _shared
