"""The embedded gateway in its thread, and the words in which it tells what came. `test_pytest_plugin` has its use."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gateway_proto import Secret
from gateway_proto.errors import InvalidConfigError
from gateway_proto.server import (
    AtSequence,
    Close,
    ConnectionClosed,
    FaultFired,
    HttpAnswered,
    Identified,
    Received,
    RequestUnanswered,
    Script,
    SendEvent,
    ServerAction,
    SessionEnd,
    SessionEnded,
    SessionRefused,
    SessionResumed,
    Step,
    Upgraded,
    Wake,
    Withhold,
)
from gateway_transports.action_lines import describe, summary
from gateway_transports.embedded import (
    EmbeddedGateway,
    NoTargetError,
    WaitTimeoutError,
    embedded_gateway,
    gateway_config,
)

from .server_helpers import identify_data, message, text_frame, upgrade_request

ID = Secret("never to be printed")
LINES: list[tuple[ServerAction, str]] = [
    (Upgraded(connection_id=1, compress=None), "connection 1 opened"),
    (HttpAnswered(connection_id=1, method="GET", path="/x", status=404), "GET /x was answered with 404"),
    (HttpAnswered(connection_id=1, method="", path="", status=400), "connection 1 got HTTP 400"),
    (Received(connection_id=1, opcode=2, raw=b"{}"), "connection 1 sent IDENTIFY"),
    (Received(connection_id=1, opcode=99, raw=b"{}"), "connection 1 sent op 99"),
    (
        Identified(
            connection_id=1, session_id=ID, number=1, shard=None, intents=0, presence=None, properties={},
            compress=False, large_threshold=None,
        ),
        "session 1 began (shard 0 of 1)",
    ),
    (
        SessionResumed(connection_id=2, session_id=ID, number=1, shard=(1, 2), sequence=5, replayed=1, last=7),
        "session 1 was resumed from sequence 5",
    ),
    (
        SessionRefused(connection_id=1, opcode=6, code=None, reason="why"),
        "the RESUME of connection 1 was refused with op 9: why",
    ),
    (
        SessionRefused(connection_id=1, opcode=2, code=4004, reason="why"),
        "the IDENTIFY of connection 1 was refused with 4004: why",
    ),
    (
        RequestUnanswered(connection_id=3, opcode=8, reason="why"),
        "the REQUEST_GUILD_MEMBERS of connection 3 was left unanswered: why",
    ),
    (
        SessionEnded(session_id=ID, number=1, shard=None, sequence=1, cause=SessionEnd.INVALID),
        "session 1 ended: the server sent op 9 false",
    ),
    (
        ConnectionClosed(
            connection_id=1, code=None, reason="", by="client", session_id=ID, number=1, sequence=1
        ),
        "the client ended connection 1 without a close frame",
    ),
    (
        ConnectionClosed(
            connection_id=1, code=4000, reason="why", by="server", session_id=None, number=None, sequence=None
        ),
        "the server ended connection 1 with 4000 (why)",
    ),
    (FaultFired(connection_id=1, fault=Close(4000)), "Close struck connection 1"),
    (FaultFired(connection_id=None, fault=Withhold()), "Withhold struck a session"),
    (Wake(connection_id=1), ""),
]  # fmt: skip


@pytest.mark.parametrize(("action", "line"), LINES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_report_in_words(action: ServerAction, line: str) -> None:
    assert describe(action) == line


def test_a_summary_is_one_short_line() -> None:
    assert summary([]) == summary([Wake(connection_id=1)]) == "nobody has connected"
    beats: list[ServerAction] = [Received(connection_id=1, opcode=1, raw=b"1")] * 3
    assert summary([LINES[0][0], *beats]) == "connection 1 opened; connection 1 sent HEARTBEAT (x3)"
    whole = summary([action for action, _ in LINES], last=2)
    assert whole == "…; Close struck connection 1; Withhold struck a session"


def test_settings() -> None:
    config = gateway_config(guilds=3, shards=2)
    assert (len(config.guild_ids), config.shards, config.identify_period) == (3, 2, 0.0)
    assert sorted((id >> 22) % 3 for id in config.guild_ids) == [0, 1, 2], "one for each of three shards"
    assert gateway_config(guilds=(7, 8)).guild_ids == (7, 8)
    assert gateway_config(token=None).token is None
    assert gateway_config(token=Secret("x"), identify_period=5.0).identify_period == 5.0


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"guild": 3}, "guild is no setting of the gateway; did you mean guilds?"),
        ({"zzz": 3}, "zzz is no setting of the gateway"),
        ({"shards": 0}, "shards must be at least 1"),
        ({"shards": "x"}, "shards must be int, got str"),
    ],
)
def test_a_wrong_setting_is_one_line(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidConfigError) as raised, embedded_gateway(**settings):
        raise AssertionError
    assert str(raised.value).startswith(told)


def test_it_leaves_no_thread_and_ends_who_still_waits() -> None:
    before = threading.active_count()
    errors: list[WaitTimeoutError] = []

    def wait() -> None:
        with pytest.raises(WaitTimeoutError) as raised:
            gateway.wait_for(2, timeout=1000.0)
        errors.append(raised.value)

    with embedded_gateway() as gateway:
        assert gateway.url in repr(gateway)
        assert gateway.token not in repr(gateway)
        waiter = threading.Thread(target=wait)
        waiter.start()
    waiter.join(10.0)
    assert threading.active_count() == before
    assert str(errors[0]) == (
        "payload of op 2 (IDENTIFY): 1 awaited, 0 came until the gateway ended; so far: nobody has connected"
    )


async def until(holds: Callable[[], bool]) -> None:
    """Until another thread has done it."""
    with anyio.fail_after(10):
        while not holds():
            await anyio.lowlevel.checkpoint()


@pytest.mark.anyio
async def test_a_wait_that_is_cancelled_ends_its_thread(anyio_backend: str) -> None:
    """Otherwise it would hold the end of the process for as long as it had wanted to wait."""

    def waiting() -> bool:
        # A Condition tells nobody who waits for it, and what is tested is that nobody does any more.
        return bool(gateway._record._changed._waiters)  # type: ignore[attr-defined]

    with embedded_gateway() as gateway:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(gateway.identified, 1000.0)
                await until(waiting)
                scope.cancel()
        await until(lambda: not waiting())


def bot(gateway: EmbeddedGateway, shard: list[int]) -> socket.socket:
    """A client of a few lines that identifies and then listens."""
    host, port = gateway.url.removeprefix("ws://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=10.0)
    d = identify_data(token=gateway.token, shard=shard)
    connection.sendall(upgrade_request() + text_frame(message(2, d)))
    return connection


def heard(connection: socket.socket, wanted: bytes) -> bytes:
    """What comes, until `wanted` or the end of the socket has come."""
    data = b""
    while wanted not in data and (more := connection.recv(65536)):
        data += more
    return data


def test_it_does_and_tells_what_a_test_asks_for() -> None:
    with embedded_gateway() as gateway, contextlib.ExitStack() as stack:
        with pytest.raises(NoTargetError, match="Drop reached nobody of ToAll"):
            gateway.drop()
        first, second = (stack.enter_context(bot(gateway, [index, 2])) for index in range(2))
        assert gateway.wait_for_identify(count=2).number == 2
        assert len(gateway.wait_for(2, count=2)) == 2
        with pytest.raises(WaitTimeoutError, match="IDENTIFY that is granted: 3 awaited, 2 came"):
            gateway.wait_for_identify(0.01, count=3)
        assert gateway.dispatch("EVENT", "for one", shard=1) == 1
        assert gateway.dispatch("EVENT", "for all") == 2
        assert b"for one" not in heard(first, b"for all")
        assert b"for one" in heard(second, b"for all")
        assert [sent["d"]["token"] for sent in gateway.sent(2)] == ["***"] * 2


def test_a_script_is_played_to_a_bot_of_plain_code() -> None:
    script = Script(
        (
            Step(when=AtSequence(1), effect=SendEvent("MARKED", b"1")),
            Step(when=AtSequence(2), effect=Close(4000, b"as planned")),
        )
    )
    with embedded_gateway(script=script) as gateway, bot(gateway, [0, 1]) as connection:
        gateway.wait_for_identify()
        data = heard(connection, b"as planned")
        assert b"MARKED" in data
        assert data.endswith(b"as planned")
