"""A long replay goes out in portions: in order, with RESUMED and what happens meanwhile behind it, and bounded."""

import random
import tracemalloc
from collections.abc import Iterator
from typing import Any, Final

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.secret import Secret
from gateway_proto.server import (
    Chunk,
    Close,
    CloseSocket,
    Corrupt,
    Drop,
    Fault,
    Fragment,
    InvalidSession,
    LoseAcks,
    Server,
    ServerConfig,
    ServerConnection,
    ServerLimits,
    ServerSession,
    SplitMessages,
)
from gateway_proto.server import outbox as outbox_module
from gateway_proto.server.outbox import PORTION, Outbox
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame
from gateway_transports.memory import MemoryNetwork, virtual_time
from gateway_transports.serve import Gateway

from .server_helpers import MASK, TOKEN, Client, Rig, identify_data, message, text_frame, upgrade_request

BODY: Final = b'"' + b"x" * 1000 + b'"'
EVENT: Final = 1100
"""Bytes of a message with it, at most."""


def resume(session_id: Secret, sequence: int) -> bytes:
    return text_frame(message(6, {"token": TOKEN, "session_id": session_id.reveal(), "seq": sequence}))


class Away:
    """A session whose client is gone, and `count` events of a kilobyte that it has missed."""

    def __init__(self, count: int, **settings: Any) -> None:
        self.rig = Rig(ServerConfig(replay_events=count + 1000, **settings))
        client = self.rig.ready()
        self.id = client.session_id
        client.eof()
        self.session: ServerSession = self.rig.server.sessions[self.id]
        self.dispatch(count)

    def dispatch(self, count: int) -> None:
        for _ in range(count):
            self.rig.server.dispatch(self.id, "EVENT", BODY, self.rig.now)

    def back(self, compress: str | None = None, sequence: int = 1) -> tuple[Client, ServerConnection]:
        """A client that has sent its RESUME, and taken nothing yet of what answers it."""
        client = self.rig.client(compress=compress)
        client.connection.receive_data(resume(self.id, sequence), self.rig.now)
        return client, client.connection


def drained(client: Client) -> Iterator[bytes]:
    """What comes, drain by drain; the client reads it afterwards."""
    while data := client.connection.data_to_send(0.0):
        yield data
        client._take(data)


# -- the bound -------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F40")
@pytest.mark.parametrize("compress", [None, "zlib-stream", "zstd-stream"])
def test_fifty_thousand_events_are_framed_as_they_are_taken(compress: str | None) -> None:
    away = Away(50_000)
    _, connection = away.back(compress)
    longest = drains = 0
    tracemalloc.start()
    try:
        while data := connection.data_to_send(0.0):
            longest, drains = max(longest, len(data)), drains + 1
            assert connection.next_timeout() is not None
        assert tracemalloc.get_traced_memory()[1] < 5 * PORTION
    finally:
        tracemalloc.stop()
    assert longest < PORTION + 2 * EVENT
    assert drains > 50_000 * 1000 // PORTION - 10, "each drain frames a portion, however small that is compressed"


def test_it_comes_in_order_with_resumed_behind_it_and_live_events_behind_that() -> None:
    away = Away(300)
    client, _ = away.back()
    for number, _ in enumerate(drained(client)):
        if number < 3:
            away.dispatch(2)
    names = client.events()
    assert names == ["EVENT"] * 300 + ["RESUMED"] + ["EVENT"] * 6
    assert client.sequences() == list(range(2, 309))


def test_what_happens_meanwhile_counts_as_unsent_and_the_replay_does_not() -> None:
    away = Away(1000, limits=ServerLimits(max_unsent=20 * EVENT))
    client, connection = away.back()
    assert connection.unsent < EVENT
    connection.data_to_send(0.0)
    away.dispatch(10)
    assert 10 * 1000 < connection.unsent < 11 * EVENT
    connection.data_to_send(0.0)
    assert 10 * 1000 < connection.unsent < 11 * EVENT, "they are behind the replay still"
    away.dispatch(15)
    assert connection.has_ended, "25 KB unsent is more than may be"
    assert client.connection.data_to_send(0.0) == b""


def test_a_second_replay_on_one_connection_stands_in_line() -> None:
    away = Away(200)
    client, connection = away.back()
    away.rig.server.inject(connection.id, InvalidSession(True), 0.0)
    connection.receive_data(resume(away.id, 190), 0.0)
    for _ in drained(client):
        pass
    assert client.sequences() == [*range(2, 203), *range(191, 204)]
    assert client.ops() == [10, *[0] * 201, 9, *[0] * 13]


# -- in the middle of it ---------------------------------------------------------------------------------------------


def test_acks_and_pongs_keep_their_place() -> None:
    away = Away(200)
    _, connection = away.back()
    connection.data_to_send(0.0)
    connection.receive_data(encode_frame(FrameOpcode.PING, b"p", MASK) + text_frame(message(1, 5)), 0.0)
    received = b"".join(connection.data_to_send(0.0) for _ in range(10))
    assert received.endswith(b'{"t":null,"s":null,"op":11,"d":null}')
    assert received.index(b'"t":"RESUMED"') < received.index(b"\x8a\x01p") < received.index(b'"op":11')


@pytest.mark.parametrize("code", [4000, 1000])
def test_a_client_that_closes_gets_the_echo_and_no_more_of_it(code: int) -> None:
    away = Away(5000)
    client, connection = away.back()
    data = connection.data_to_send(0.0)
    client._take(data)
    away.dispatch(1)
    actions = connection.receive_data(encode_frame(FrameOpcode.CLOSE, close_payload(code, ""), MASK), 0.0)
    assert actions[-1] == CloseSocket(connection_id=connection.id, abort=False, grace=2.0)
    assert connection.data_to_send(0.0) == encode_frame(FrameOpcode.CLOSE, close_payload(code, ""))
    assert connection.unsent == 0
    if code == 4000:
        last = client.sequences()[-1]
        again, _ = away.back(sequence=last)
        for _ in drained(again):
            pass
        assert again.sequences() == list(range(last + 1, 5005)), "nothing is lost by it"


def test_a_close_of_ours_comes_behind_all_of_it_or_answers_the_clients() -> None:
    for client_closes in (False, True):
        away = Away(500)
        client, connection = away.back()
        away.rig.server.inject(connection.id, Close(4000, b"as told"), 0.0)
        client._take(connection.data_to_send(0.0))
        if client_closes:
            connection.receive_data(encode_frame(FrameOpcode.CLOSE, close_payload(4001, ""), MASK), 0.0)
        for _ in drained(client):
            pass
        assert client.closed == (4000, "as told")
        assert client.sequences()[-1] < 200 if client_closes else client.sequences() == list(range(2, 503))


def test_a_drop_that_flushes_sends_it_all_and_one_that_does_not_nothing() -> None:
    for flush in (True, False):
        away = Away(500)
        client, connection = away.back()
        away.rig.server.inject(connection.id, Drop(flush), 0.0)
        data = connection.data_to_send(0.0)
        assert (len(data) > 500_000) is flush
        assert connection.data_to_send(0.0) == b""
        if flush:
            client._take(data)
            assert client.sequences() == list(range(2, 503))


FAULTS: st.SearchStrategy[Fault] = st.one_of(
    st.builds(Fragment, st.integers(1, 50)),
    st.builds(SplitMessages, st.integers(1, 50)),
    st.builds(Corrupt, st.integers(0, 300), st.integers(1, 255)),
    st.builds(LoseAcks, st.none() | st.integers(0, 2)),
    st.builds(Close, st.integers(4000, 4009)),
    st.builds(Chunk, st.integers(1, 2000)),
    st.builds(InvalidSession, st.just(True)),
)
STEPS = st.lists(
    st.one_of(FAULTS, st.sampled_from(["dispatch", "ping", "beat", "resume", "drain"])), min_size=1, max_size=25
)


def stream_of(steps: list[Any], compress: str | None, *, drains: bool) -> bytes:
    """All bytes of a connection that RESUMEs and on which these things happen."""
    away = Away(30)
    _, connection = away.back(compress)
    sent = b""
    for step in steps:
        match step:
            case "dispatch":
                away.rig.server.dispatch(away.id, "EVENT", BODY, 0.0)
            case "ping":
                connection.receive_data(encode_frame(FrameOpcode.PING, b"p", MASK), 0.0)
            case "beat":
                connection.receive_data(text_frame(message(1, 5)), 0.0)
            case "resume":
                connection.receive_data(resume(away.id, 10), 0.0)
            case "drain":
                sent += connection.data_to_send(0.0) if drains else b""
            case _:
                away.rig.server.inject(connection.id, step, 0.0)
    while data := connection.data_to_send(0.0):
        sent += data
    return sent


@given(STEPS, st.sampled_from([None, "zlib-stream"]), st.sampled_from([1, 500, 5000]))
@settings(max_examples=200, deadline=None)
def test_the_bytes_are_the_same_in_any_portions(steps: list[Any], compress: str | None, portion: int) -> None:
    """The oracle has a portion that holds everything."""
    whole = stream_of(steps, compress, drains=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox_module, "PORTION", portion)
        assert stream_of(steps, compress, drains=True) == whole


def test_an_outbox_that_is_through_with_a_replay_is_as_it_was() -> None:
    outbox = Outbox()
    outbox.replay([b"x" * PORTION, b"y"])
    outbox.message(b"z")
    assert outbox.unsent == 1
    assert len(outbox.take()) > PORTION
    assert outbox.take() == b"\x81\x01y\x81\x01z"
    assert not outbox
    assert outbox.unsent == 0
    outbox.replay([])
    assert not outbox
    outbox.replay([b"x" * PORTION, b"y"])
    outbox.message(b"z")
    outbox.clear()
    assert (outbox.take(), outbox.unsent) == (b"", 0)


# -- through the driver ----------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_client_that_does_not_read_leaves_its_replay_unframed_and_then_gets_all() -> None:
    count = 2000
    async with virtual_time() as clock:
        network = MemoryNetwork(clock, rng=random.Random(1))
        gateway = Gateway(ServerConfig(replay_events=count + 100), rng=random.Random(1), clock=clock)
        listener = network.listen("gateway", 80)
        taken: list[int] = []
        async with anyio.create_task_group() as group:
            group.start_soon(listener.serve, gateway.handle)
            stream = await network.dial("gateway", 80, tls=False)
            await stream.send(upgrade_request() + text_frame(message(2, identify_data())))
            await clock.sleep(1.0)
            [session] = gateway.server.sessions.values()
            await stream.aclose()
            await clock.sleep(1.0)
            for _ in range(count):
                gateway.dispatch(session.id, "EVENT", BODY)
            stream = await network.dial("gateway", 80, tls=False)
            await stream.send(upgrade_request() + resume(session.id, 1))
            await clock.sleep(1.0)
            [connection] = gateway.server.connections.values()
            _note_drains(connection, taken)
            gateway.dispatch(session.id, "EVENT", b'"live"')
            await clock.sleep(10.0)
            assert sum(taken) < 3 * PORTION, "the stream holds a portion or two, and the rest waits"
            peer = Client(Rig(), Rig().server.accept(0.0))
            while len(peer.sequences()) < count + 2:
                peer._take(await stream.receive())
            group.cancel_scope.cancel()
    assert peer.sequences() == list(range(2, count + 4))
    assert peer.events()[-2:] == ["RESUMED", "EVENT"]
    assert max(taken) < PORTION + 2 * EVENT


def _note_drains(connection: ServerConnection, sizes: list[int]) -> None:
    take = connection.data_to_send

    def noted(now: float) -> bytes:
        data = take(now)
        sizes.append(len(data))
        return data

    connection.data_to_send = noted  # type: ignore[method-assign]  # to look on while the driver drains


def test_the_server_itself_is_not_told_of_portions() -> None:
    """A dispatch to a session in the middle of its replay wakes nobody: the driver is at it."""
    away = Away(1000)
    _, connection = away.back()
    connection.data_to_send(0.0)
    server: Server = away.rig.server
    assert server.dispatch(away.id, "EVENT", BODY, 0.0) == []
