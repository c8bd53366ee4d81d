"""TLS as a machine and as a stream: verified, bounded in time, indifferent to chunking and to ragged ends."""

import random
import ssl

import anyio
import pytest

from gateway_transports import CertificateError, StreamError, TlsError
from gateway_transports.memory import MemoryNetwork, MemoryStream, VirtualClock, virtual_time
from gateway_transports.tls import TlsMachine, TlsStream, default_context, wrap_client, wrap_server

from .transport_helpers import client_context, server_context, tls_over


def pair(hostname: str = "localhost", context: ssl.SSLContext | None = None) -> tuple[TlsMachine, TlsMachine]:
    client = TlsMachine(context or client_context(), hostname=hostname)
    return client, TlsMachine(server_context(), server_side=True)


def shuttle(client: TlsMachine, server: TlsMachine, size: int = 65536) -> None:
    """Carry what both have to say, in chunks of this size, until neither has more."""
    while (up := client.data_to_send()) + (down := server.data_to_send()):
        for at in range(0, len(up), size):
            server.receive_data(up[at : at + size])
        for at in range(0, len(down), size):
            client.receive_data(down[at : at + size])


def read_all(machine: TlsMachine, max_bytes: int = 65536) -> bytes:
    data = b""
    while part := machine.read(max_bytes):
        assert len(part) <= max_bytes
        data += part
    return data


# -- the machine -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 7, 1400, 65536])
@pytest.mark.parametrize("max_bytes", [1000, 65536])
def test_any_chunking_gives_the_same_plaintext(size: int, max_bytes: int) -> None:
    client, server = pair()
    shuttle(client, server, size)
    assert client.is_open
    assert server.is_open
    data = random.Random(size).randbytes(50_000)
    server.send(data)
    client.send(data[::-1])
    shuttle(client, server, size)
    assert read_all(client, max_bytes) == data
    assert read_all(server, max_bytes) == data[::-1]


def test_one_read_gives_all_records_that_are_there() -> None:
    client, server = pair()
    shuttle(client, server)
    server.send(bytes(60_000))
    shuttle(client, server)
    assert len(client.read()) == 60_000
    assert client.read() == b""


def test_a_ragged_end_is_an_end() -> None:
    client, server = pair()
    shuttle(client, server)
    server.send(b"the last")
    shuttle(client, server)
    client.receive_eof()
    assert client.read() == b"the last"
    assert client.read() == b""
    assert client.is_eof
    assert client.error is None


def test_close_notify_is_an_end_and_reading_outlives_ones_own() -> None:
    client, server = pair()
    shuttle(client, server)
    server.send(bytes(40_000))
    client.receive_data(server.data_to_send()[:20_000])
    client.send_eof()
    server.receive_data(client.data_to_send())
    assert server.read() == b""
    assert server.is_eof
    assert len(read_all(client)) == 16_384
    with pytest.raises(StreamError):
        client.send(b"after the end")


@pytest.mark.parametrize("received", [0, 1, 2000])
def test_an_end_during_the_handshake_is_an_error(received: int) -> None:
    client, server = pair()
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send()[:received] if received else b"")
    if not client.is_open:
        client.receive_eof()
    assert client.is_open or isinstance(client.error, TlsError)


def test_what_is_no_tls_is_one_clear_line() -> None:
    client, _ = pair()
    client.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert isinstance(client.error, TlsError)
    assert "TLS handshake failed" in str(client.error)
    assert "\n" not in str(client.error)
    client.receive_data(b"more of it")
    client.receive_eof()
    assert client.read() == b""


def test_damage_ends_it_after_all_that_came_before() -> None:
    client, server = pair()
    shuttle(client, server)
    server.send(b"sound")
    client.receive_data(server.data_to_send())
    server.send(b"damaged")
    damaged = bytearray(server.data_to_send())
    damaged[-1] ^= 1
    client.receive_data(bytes(damaged))
    assert read_all(client) == b"sound"
    assert isinstance(client.error, TlsError)
    with pytest.raises(StreamError):
        client.send(b"x")


@pytest.mark.parametrize(
    ("hostname", "context", "says"),
    [
        ("elsewhere.example", client_context, "not valid for 'elsewhere.example'"),
        ("localhost", default_context, "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_is_verified_by_default(hostname: str, context: "type[ssl.SSLContext]", says: str) -> None:
    client, server = pair(hostname, context())
    shuttle(client, server)
    assert isinstance(client.error, CertificateError)
    assert str(client.error).startswith(f"the certificate of {hostname} is not valid: ")
    assert says in str(client.error)
    assert server.error is not None  # it was told by an alert


def test_an_impossible_host_is_refused() -> None:
    with pytest.raises(TlsError, match="no TLS connection"):
        TlsMachine(client_context(), hostname="")


@pytest.mark.failure("F34")
def test_all_dials_share_one_verifying_context() -> None:
    context = default_context()
    assert context is default_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED


# -- the stream ------------------------------------------------------------------------------------------------


def memory(clock: VirtualClock) -> tuple[MemoryStream, MemoryStream]:
    return MemoryNetwork(clock, rng=random.Random(1), latency=(0.1, 0.1)).pair()


@pytest.mark.anyio
@pytest.mark.failure("F26")
async def test_close_never_waits_for_the_peers_close_notify() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)
        async with tls_over(client, server) as (one, _):
            before = clock.now()
            await one.send_eof()
            await one.aclose()
            assert clock.now() == before
            with pytest.raises(StreamError):
                await one.receive()


@pytest.mark.anyio
async def test_a_refused_certificate_is_raised_and_closes() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)

        async def serve() -> None:
            with pytest.raises(TlsError):
                await wrap_server(server, server_context())

        async with anyio.create_task_group() as group:
            group.start_soon(serve)
            with pytest.raises(CertificateError):
                await wrap_client(client, "elsewhere.example", client_context())
        assert not client.is_open
        assert not server.is_open


@pytest.mark.anyio
async def test_a_cancelled_handshake_closes() -> None:
    async with virtual_time() as clock:
        client, _ = memory(clock)
        async with anyio.create_task_group() as group:
            group.start_soon(wrap_client, client, "localhost", client_context())
            await anyio.wait_all_tasks_blocked()
            group.cancel_scope.cancel()
        assert not client.is_open


@pytest.mark.anyio
async def test_a_reset_during_the_handshake_is_a_tls_error() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)
        server.reset()
        with pytest.raises(TlsError, match="during the TLS handshake"):
            await wrap_client(client, "localhost", client_context())


@pytest.mark.anyio
async def test_a_peer_that_does_not_stay_for_the_alert_changes_nothing() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)
        await client.send(b"no TLS at all")
        await clock.sleep(1.0)
        await client.aclose()
        with pytest.raises(TlsError, match="the TLS handshake failed"):
            await wrap_server(server, server_context())


@pytest.mark.anyio
async def test_damage_is_a_stream_error() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)
        async with tls_over(client, server) as (one, _):
            await server.send(b"\x17\x03\x03\x00\x20" + bytes(32))  # a record that nobody has encrypted
            for _ in range(2):
                with pytest.raises(StreamError, match="damaged"):
                    await one.receive()


@pytest.mark.anyio
async def test_it_is_a_stream_over_a_stream() -> None:
    async with virtual_time() as clock:
        client, server = memory(clock)
        async with tls_over(client, server) as outer, tls_over(*outer) as (one, other):
            assert isinstance(one, TlsStream)
            await one.send(b"TLS in TLS")
            assert await other.receive() == b"TLS in TLS"
