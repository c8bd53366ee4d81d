"""The embedding over plain sockets that the README shows, run against the embedded gateway over verified TLS."""

import ast
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from gateway_proto import Dispatch, Intents, InvalidAuthenticationError, ReconnectFailureError, Secret, ShardConfig
from gateway_proto.server import (
    ConnectionClosed,
    Drop,
    Identified,
    ServerAction,
    ServerConfig,
    SessionEnded,
    SessionResumed,
)
from gateway_transports.serve import Gateway, serve

from . import embed_socket
from .transport_helpers import client_context, server_context

EVENTS = 100
TOKEN = Secret("the.bot.token")


@contextmanager
def gateway_in_a_thread(log: list[ServerAction], config: ServerConfig) -> Iterator[tuple[Gateway, BlockingPortal]]:
    """The embedded gateway over TLS, and the way to call it from this thread."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(config, ssl_context=server_context(), on_action=log.append)) as gateway,
    ):
        yield gateway, portal


def shard_config(gateway: Gateway, **changes: object) -> ShardConfig:
    settings: dict[str, object] = {"token": TOKEN, "max_reconnects": 3, **changes}
    return ShardConfig(intents=Intents.GUILD_MESSAGES, url=gateway.url, **settings)  # type: ignore[arg-type]  # mixed


@pytest.mark.failure("F40")
def test_a_drop_and_a_resume_lose_nothing() -> None:
    log: list[ServerAction] = []
    events: list[Dispatch] = []

    def send(first: int, last: int) -> None:
        for number in range(first, last + 1):
            gateway.broadcast("MESSAGE_CREATE", b"%d" % number)

    def drop_and_send_the_rest() -> None:
        [session_id] = gateway.server.sessions
        gateway.inject(session_id, Drop())
        send(EVENTS // 2 + 1, EVENTS)

    def on_event(event: Dispatch) -> bool:
        events.append(event)
        if event.name == "READY":
            portal.call(send, 1, EVENTS // 2)
        elif event.decode() == EVENTS // 2:
            portal.call(drop_and_send_the_rest)
        return bool(event.decode() == EVENTS)

    with gateway_in_a_thread(log, ServerConfig(token=TOKEN, replay_events=2 * EVENTS)) as (gateway, portal):
        embed_socket.run(shard_config(gateway), client_context(), on_event)

    assert [event.decode() for event in events if event.name == "MESSAGE_CREATE"] == [*range(1, EVENTS + 1)]
    assert [event.sequence for event in events] == [*range(1, len(events) + 1)]
    sessions = [type(action) for action in log if isinstance(action, Identified | SessionResumed)]
    assert sessions == [Identified, SessionResumed]
    ends = [(action.by, action.code) for action in log if isinstance(action, ConnectionClosed)]
    assert ends == [("server", None), ("client", 4000)]
    assert not [action for action in log if isinstance(action, SessionEnded)]


@pytest.mark.failure("F16")
def test_what_ends_the_shard_is_raised() -> None:
    with (
        gateway_in_a_thread([], ServerConfig(token=TOKEN)) as (gateway, _),
        pytest.raises(InvalidAuthenticationError, match="token"),
    ):
        embed_socket.run(shard_config(gateway, token=Secret("another")), client_context(), lambda event: None)


def test_a_certificate_that_nobody_vouches_for_is_not_trusted() -> None:
    log: list[ServerAction] = []
    with gateway_in_a_thread(log, ServerConfig()) as (gateway, _), pytest.raises(ReconnectFailureError):
        embed_socket.run(shard_config(gateway, max_reconnects=0), ssl.create_default_context(), lambda event: None)
    assert log == []


def test_it_is_forty_lines() -> None:
    """Of code: without what it imports and its docstring."""
    source = Path(embed_socket.__file__).read_text()
    [function] = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    docstring = ast.get_docstring(function) or ""
    assert (function.end_lineno or 0) - function.lineno + 1 - len(docstring.splitlines()) <= 40


def test_the_event_that_says_stop_is_the_last() -> None:
    """Those behind it in the same chunk come again in the next process."""
    events: list[str] = []

    def on_event(event: Dispatch) -> bool:
        events.append(event.name)
        if event.name == "READY":
            for number in range(20):
                portal.call(gateway.broadcast, f"EVENT_{number}", b"{}")
        return event.name == "EVENT_3"

    with gateway_in_a_thread([], ServerConfig(token=TOKEN)) as (gateway, portal):
        embed_socket.run(shard_config(gateway), client_context(), on_event)
    assert events == ["READY", "EVENT_0", "EVENT_1", "EVENT_2", "EVENT_3"]
