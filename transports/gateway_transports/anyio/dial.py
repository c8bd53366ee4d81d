"""Dialling: resolve, race the addresses (RFC 8305), then TLS. The result keeps the promises of `Stream`."""

import contextlib
import ipaddress
import itertools
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import anyio
import anyio.abc

from gateway_proto import ConnectError

from ..contract import RECEIVE_SIZE, Stream
from ..errors import StreamError, one_line
from ..tls import wrap_client
from .resolve import Address, Resolver, default_resolver

STAGGER: Final = 0.25
"""Seconds until the next address is tried beside those under way (RFC 8305 section 5: Connection Attempt Delay)."""
Connect: TypeAlias = Callable[[str, int], Awaitable[anyio.abc.SocketStream]]
"""Opens a socket to an address literal and a port; raises OSError."""
_BROKEN: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class SocketStream:
    """A `Stream` on a connected anyio socket."""

    def __init__(self, stream: anyio.abc.SocketStream) -> None:
        self._stream = stream
        self._closed = False
        raw = stream.extra(anyio.abc.SocketAttribute.raw_socket)
        with contextlib.suppress(OSError):  # the peer may have reset it by now
            # A heartbeat must not wait for the ACK of the bytes before it; not every backend sets it by itself.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        try:
            return await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except _BROKEN as error:
            raise self._broken(error) from error

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except _BROKEN as error:
            raise self._broken(error) from error
        except BaseException:
            await self.aclose()  # cancelled: who knows how much of it went out
            raise

    async def send_eof(self) -> None:
        if self._closed:
            raise StreamError("the stream is closed")
        try:
            await self._stream.send_eof()
        except _BROKEN as error:
            raise self._broken(error) from error

    async def aclose(self) -> None:
        self._closed = True
        await self._stream.aclose()

    def _broken(self, error: Exception) -> StreamError:
        if self._closed:
            return StreamError("the stream is closed")
        return StreamError(f"the connection broke: {one_line(error.__cause__ or error)}")


class AnyioDialer:
    """A `Dialer` over TCP, and TLS where it is asked for.

    Args:
        ssl_context: for dials with TLS; None is the shared `default_context()`.
        resolver: None is the one that the whole process shares.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, resolver: Resolver | None = None) -> None:
        self._ssl_context = ssl_context
        self._resolver = resolver or default_resolver()

    async def dial(self, host: str, port: int, *, tls: bool) -> Stream:
        addresses = _literal(host) or interleave(await self._resolver.resolve(host, port))
        stream = SocketStream(await race(host, port, addresses))
        return await wrap_client(stream, host, self._ssl_context) if tls else stream


def _literal(host: str) -> list[Address] | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return [(socket.AF_INET6 if address.version == 6 else socket.AF_INET, str(address))]


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """The families in turn, beginning with that of the most preferred address (RFC 8305 section 4)."""
    if not addresses:
        return []
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    pairs = itertools.zip_longest(first, others)
    return [address for pair in pairs for address in pair if address is not None]


async def race(
    host: str,
    port: int,
    addresses: Sequence[Address],
    *,
    connect: Connect = anyio.connect_tcp,
    stagger: float = STAGGER,
) -> anyio.abc.SocketStream:
    """Try the addresses, each `stagger` s after the one before or at once when that fails; the first to connect wins.

    Raises:
        ConnectError: none of them could be connected to.
    """
    winner: anyio.abc.SocketStream | None = None
    errors: list[OSError] = []

    async def attempt(address: str, failed: anyio.Event) -> None:
        nonlocal winner
        try:
            stream = await connect(address, port)
        except OSError as error:
            cause = error.__cause__  # of an OSError of anyio's own, which says only that it failed
            errors.append(cause if isinstance(cause, OSError) else error)
            failed.set()
            return
        if winner is None:
            winner = stream
            group.cancel_scope.cancel()
        else:
            await anyio.aclose_forcefully(stream)

    try:
        async with anyio.create_task_group() as group:
            for _, address in addresses:
                failed = anyio.Event()
                group.start_soon(attempt, address, failed)
                with anyio.move_on_after(stagger):
                    await failed.wait()
    except BaseException:
        if winner is not None:
            await anyio.aclose_forcefully(winner)
        raise
    if winner is None:
        raise ConnectError(f"cannot connect to {host}:{port}: {_reasons(errors)}") from (errors[-1] if errors else None)
    return winner


def _reasons(errors: Sequence[OSError]) -> str:
    return "; ".join(dict.fromkeys(one_line(error) for error in errors)) or "it has no address"
