"""Dialling: names, many addresses, errors in one line, and resolvers that never answer (F26, F42 in part)."""

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from gateway_proto import ConnectError
from gateway_transports import CertificateError, ResolveError
from gateway_transports.anyio import AnyioDialer, Resolver, SocketStream
from gateway_transports.anyio.dial import interleave, race
from gateway_transports.tls import wrap_server

from .transport_helpers import LOCALHOST, client_context, server_context, tcp_listener

V4, V6 = socket.AF_INET, socket.AF_INET6


def answers(*addresses: str) -> Callable[..., list[tuple[Any, ...]]]:
    """A getaddrinfo that knows these addresses for every name."""

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [
            (V6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (V4, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return getaddrinfo


async def closed_port() -> int:
    async with tcp_listener() as (_, port):
        return port


# -- names -----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_names_are_resolved_in_the_systems_order() -> None:
    resolver = Resolver(answers("2001:db8::1", "192.0.2.1", "2001:db8::1"))
    assert await resolver.resolve("gateway.example", 443) == [(V6, "2001:db8::1"), (V4, "192.0.2.1")]


@pytest.mark.anyio
async def test_a_link_local_address_keeps_its_scope() -> None:
    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        return [(V6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 2)), (socket.AF_UNIX, 1, 0, "", "/x")]

    assert await Resolver(getaddrinfo).resolve("router", 443) == [(V6, "fe80::1%2")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("error", "line"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "Name or service not known"),
        (UnicodeError("label empty or too long"), "label empty or too long"),
        (OverflowError(), "OverflowError"),
    ],
)
async def test_a_name_that_does_not_resolve_is_one_line(error: Exception, line: str) -> None:
    def getaddrinfo(*_: object, **__: object) -> list[tuple[Any, ...]]:
        raise error

    with pytest.raises(ResolveError) as caught:
        await AnyioDialer(resolver=Resolver(getaddrinfo)).dial("nowhere.example", 443, tls=True)
    assert str(caught.value) == f"cannot resolve nowhere.example: {line}"


@pytest.mark.anyio
async def test_a_name_without_addresses_is_an_error() -> None:
    with pytest.raises(ResolveError, match="it has no address"):
        await Resolver(answers()).resolve("nowhere.example", 443)


@pytest.mark.anyio
@pytest.mark.failure("F26")
async def test_a_resolver_that_hangs_is_abandoned_and_shared() -> None:
    release = threading.Event()
    threads: list[threading.Thread] = []

    def hangs(host: str, port: int, **_: object) -> list[tuple[Any, ...]]:
        threads.append(threading.current_thread())
        assert release.wait(60)
        return answers("192.0.2.1")(host, port)

    resolver = Resolver(hangs)
    try:
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(resolver.resolve, "gateway.example", 443)
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        # Here already, though getaddrinfo is still at it.
        [thread] = threads
        assert thread.is_alive()
        assert thread.daemon
        release.set()
        assert await resolver.resolve("gateway.example", 443) == [(V4, "192.0.2.1")]
    finally:
        release.set()


HANGING_PROGRAM = """
import sys, threading, anyio
from gateway_transports.anyio import AnyioDialer, Resolver, SocketStream

asked = threading.Event()

def hangs(*_, **__):
    asked.set()
    threading.Event().wait()

async def main():
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: AnyioDialer(resolver=Resolver(hangs)).dial("gateway.example", 443, tls=True))
        while not asked.is_set():
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

anyio.run(main, backend=sys.argv[1])
print("ended")
"""


@pytest.mark.failure("F26")
def test_a_resolver_that_hangs_does_not_hold_the_exit_of_the_process(anyio_backend: str) -> None:
    command = [sys.executable, "-c", HANGING_PROGRAM, anyio_backend]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("ended\n", 0), done.stderr


# -- many addresses --------------------------------------------------------------------------------------------


def test_families_take_turns() -> None:
    v6 = [(V6, f"2001:db8::{n}") for n in range(3)]
    v4 = [(V4, "192.0.2.1")]
    assert interleave([*v6, *v4]) == [v6[0], v4[0], v6[1], v6[2]]
    assert interleave([*v4, *v6]) == [v4[0], v6[0], v6[1], v6[2]]
    assert interleave([]) == []


@pytest.mark.anyio
async def test_an_address_that_refuses_is_followed_by_the_next_at_once() -> None:
    async with tcp_listener() as (listener, port):
        resolver = Resolver(answers("127.0.0.2", LOCALHOST))
        stream = await AnyioDialer(resolver=resolver).dial("gateway.example", port, tls=False)
        accepted = SocketStream(await listener.accept())
        await accepted.send(b"here")
        assert await stream.receive() == b"here"
        await stream.aclose()
        await accepted.aclose()


@pytest.mark.anyio
async def test_an_address_that_hangs_is_overtaken() -> None:
    cancelled = []

    async def connect(address: str, port: int) -> anyio.abc.SocketStream:
        if address == "192.0.2.1":
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.append(address)
        return await anyio.connect_tcp(LOCALHOST, port)

    async with tcp_listener() as (_, port):
        addresses = [(V4, "192.0.2.1"), (V4, "192.0.2.2")]
        stream = await race("gateway.example", port, addresses, connect=connect, stagger=0.001)
        await stream.aclose()
    assert cancelled == ["192.0.2.1"]


@pytest.mark.anyio
async def test_of_two_that_connect_one_is_closed() -> None:
    opened: list[anyio.abc.SocketStream] = []
    both = anyio.Event()

    async def connect(address: str, port: int) -> anyio.abc.SocketStream:
        with anyio.CancelScope(shield=True):  # as a connect that has just been done when it is cancelled
            opened.append(await anyio.connect_tcp(LOCALHOST, port))
            if len(opened) == 2:
                both.set()
            await both.wait()
        return opened[int(address[-1])]

    async with tcp_listener() as (_, port):
        stream = await race("host", port, [(V4, "192.0.2.0"), (V4, "192.0.2.1")], connect=connect, stagger=0.001)
        [loser] = [other for other in opened if other is not stream]
        with pytest.raises(anyio.ClosedResourceError):
            await loser.send(b"x")
        await stream.aclose()


@pytest.mark.anyio
async def test_a_cancelled_race_closes_what_it_has() -> None:
    opened: list[anyio.abc.SocketStream] = []

    async def connect(address: str, port: int) -> anyio.abc.SocketStream:
        with anyio.CancelScope(shield=True):
            opened.append(await anyio.connect_tcp(LOCALHOST, port))
        scope.cancel()
        return opened[0]

    async with tcp_listener() as (_, port):
        with anyio.CancelScope() as scope:
            await race("host", port, [(V4, "192.0.2.0")], connect=connect)
        assert scope.cancelled_caught
        with pytest.raises(anyio.ClosedResourceError):
            await opened[0].send(b"x")


@pytest.mark.anyio
async def test_when_all_fail_the_reasons_are_one_line() -> None:
    port = await closed_port()
    with pytest.raises(ConnectError) as caught:
        await AnyioDialer(resolver=Resolver(answers("127.0.0.1", "127.0.0.2"))).dial("gateway.example", port, tls=False)
    assert str(caught.value) == f"cannot connect to gateway.example:{port}: Connection refused"


# -- TLS -------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_tls_is_verified_for_the_name_that_was_dialled() -> None:
    resolver = Resolver(answers(LOCALHOST))
    dialer = AnyioDialer(ssl_context=client_context(), resolver=resolver)

    async def serve(accepted: anyio.abc.SocketStream) -> None:
        try:
            stream = await wrap_server(SocketStream(accepted), server_context("gateway.example"))
        except ConnectError:
            return
        await stream.send(b"secret")
        await stream.aclose()

    async with tcp_listener() as (listener, port), anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        stream = await dialer.dial("gateway.example", port, tls=True)
        assert await stream.receive() == b"secret"
        await stream.aclose()
        with pytest.raises(CertificateError, match=r"the certificate of other\.example is not valid"):
            await dialer.dial("other.example", port, tls=True)
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_name_without_any_address_is_a_failed_dial() -> None:
    with pytest.raises(ConnectError, match="it has no address"):
        await race("nowhere.example", 443, [])
