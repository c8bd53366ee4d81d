"""Which host is dialled, how long for, and with which URL (F01, F03)."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway_proto import (
    ConnectionStage,
    DialTimeoutError,
    Disconnect,
    ExpectedHelloError,
    Notice,
    NoticeKind,
    Reconnect,
    ReconnectType,
    Secret,
    Session,
    SessionLost,
)

from .peer import BASE, RESUME_URL, Peer, config, ready

BASE_HOST = "gateway.discord.gg"
RESUME_HOST = "gateway-us-east1-b.discord.gg"
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def fails(peer: Peer) -> None:
    peer.do(peer.shard.connection_failed(peer.generation, OSError("no such host"), peer.now))


def refuse(peer: Peer) -> None:
    peer.open()
    peer.raw(REFUSED)


DEATHS: dict[str, Callable[[Peer], Any]] = {
    "the name does not resolve": fails,
    "the socket never opens": lambda peer: peer.advance(10.0),
    "the upgrade is never answered": lambda peer: (peer.open(), peer.advance(10.0)),
    "HTTP 503": refuse,
    "no HTTP": lambda peer: (peer.open(), peer.raw(b"SSH-2.0-OpenSSH\r\n\r\n")),
    "EOF instead of an answer": lambda peer: (peer.open(), peer.eof()),
    "EOF instead of HELLO": lambda peer: (peer.to_handshake(), peer.eof()),
    "a close instead of HELLO": lambda peer: (peer.to_handshake(), peer.close(4000)),
    "HELLO never comes": lambda peer: (peer.to_handshake(), peer.advance(15.0)),
    "op 7 instead of HELLO": lambda peer: (peer.to_handshake(), peer.say({"op": 7})),
    "a dispatch instead of HELLO": lambda peer: (peer.to_handshake(), peer.dispatch(2)),
    "a broken frame instead of HELLO": lambda peer: (peer.to_handshake(), peer.raw(b"\xff" * 16)),
}


@pytest.mark.failure("F01", "F02")
@pytest.mark.parametrize("death", DEATHS.values(), ids=DEATHS.keys())
def test_two_dials_on_the_resume_url_then_the_base_then_turns(death: Callable[[Peer], Any]) -> None:
    peer = Peer().to_connected()
    peer.eof()
    hosts = []
    for _ in range(7):
        hosts.append(peer.redial())
        death(peer)
        assert peer.of(Reconnect)[-1].type is ReconnectType.RESUME
    assert hosts == [RESUME_HOST, RESUME_HOST, BASE_HOST, RESUME_HOST, BASE_HOST, RESUME_HOST, BASE_HOST]
    assert len(peer.of(Reconnect)) == 8  # one for each death, and the first EOF
    # Hours of that, and it is still the same session, resumed on whichever host comes back.
    assert peer.redial() == RESUME_HOST
    death(peer)
    assert peer.redial() == BASE_HOST
    peer.to_handshake().hello()
    assert [(d["session_id"], d["seq"]) for d in peer.payloads(6)] == [("session-1", 1)]
    peer.dispatch(2, "RESUMED")
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert not peer.of(SessionLost)
    assert peer.shard.snapshot().discards == {}


@pytest.mark.failure("F01")
def test_a_hello_clears_the_count_of_its_host() -> None:
    peer = Peer().to_connected()
    peer.eof()
    assert peer.redial() == RESUME_HOST
    fails(peer)
    assert peer.redial() == RESUME_HOST
    peer.to_handshake().hello()
    peer.eof()
    hosts = []
    for _ in range(3):
        hosts.append(peer.redial())
        fails(peer)
    assert hosts == [RESUME_HOST, RESUME_HOST, BASE_HOST]


@pytest.mark.failure("F01")
def test_a_base_that_answered_is_dialled_first_until_it_fails() -> None:
    peer = Peer().to_connected()
    peer.eof()
    for _ in range(2):
        peer.redial()
        fails(peer)
    assert peer.redial() == BASE_HOST
    peer.to_handshake().hello()
    peer.dispatch(2, "RESUMED")
    peer.eof()
    hosts = []
    for _ in range(4):
        hosts.append(peer.redial())
        fails(peer)
    assert hosts == [BASE_HOST, RESUME_HOST, BASE_HOST, RESUME_HOST]


@pytest.mark.failure("F01")
@pytest.mark.parametrize("opened_after", [None, 5.0, 9.9])
def test_ten_seconds_from_the_name_to_the_upgraded_socket(opened_after: float | None) -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    if opened_after is not None:
        assert not peer.of(Reconnect, peer.advance(opened_after))
        peer.open()  # does not start the wait anew
    peer.advance(9.999 - (opened_after or 0.0))
    assert not peer.of(Reconnect)
    actions = peer.advance(0.001)
    [lost] = peer.of(Reconnect, actions)
    assert lost.cause == DialTimeoutError(10.0)
    assert [action.generation for action in peer.of(Disconnect, actions)] == [1]  # the dial is cancelled
    assert peer.shard.stage is ConnectionStage.DISCONNECTED


@pytest.mark.failure("F01", "F22")
def test_once_upgraded_the_wait_for_hello_begins() -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    peer.advance(9.0)
    peer.to_handshake()
    peer.advance(14.999)
    assert not peer.of(Reconnect)
    [lost] = peer.of(Reconnect, peer.advance(0.001))
    assert isinstance(lost.cause, ExpectedHelloError)


# -- F03 -------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F03")
def test_the_url_serves_every_resume_and_only_ready_replaces_it() -> None:
    other = "wss://other.discord.gg"
    peer = Peer().to_connected()
    for number in range(2, 6):
        peer.eof()
        assert peer.redial() == RESUME_HOST
        peer.to_handshake()
        peer.say({"op": 10, "d": {"heartbeat_interval": 41250, "resume_gateway_url": other}})
        peer.dispatch(2 * number, "RESUMED", {"resume_gateway_url": other})
        peer.dispatch(2 * number + 1, "GUILD_CREATE", {"resume_gateway_url": other})
        assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.say({"op": 9, "d": False})
    assert peer.redial() == BASE_HOST  # the URL went with its session
    peer.to_identifying()
    peer.dispatch(1, "READY", ready("session-2", resume_gateway_url=other))
    peer.eof()
    assert peer.redial() == "other.discord.gg"


@pytest.mark.failure("F03")
@pytest.mark.parametrize("compression", [None, "zlib-stream", "zstd-stream"])
def test_parameters_are_appended_afresh_on_either_host(compression: str | None) -> None:
    url = f"{RESUME_URL}/deep?v=6&ticket=a%20b&encoding=etf&compress=zlib-stream"
    peer = Peer(config(transport_compression=compression)).to_connected(resume_gateway_url=url)
    ours = [("v", "10"), ("encoding", "json"), *([("compress", compression)] if compression else [])]
    expected = [
        (RESUME_HOST, "/deep", [("ticket", "a b"), *ours]),
        (RESUME_HOST, "/deep", [("ticket", "a b"), *ours]),
        (BASE_HOST, "/", ours),
        (RESUME_HOST, "/deep", [("ticket", "a b"), *ours]),
    ]
    peer.eof()
    for host, path, query in expected:
        peer.redial()
        peer.open()
        line, *headers = peer.request.split(b"\r\n")
        method, target, version = line.decode().split(" ")
        assert (method, version) == ("GET", "HTTP/1.1")
        assert f"Host: {host}".encode() in headers
        assert (urlsplit(target).path, parse_qsl(urlsplit(target).query)) == (path, query)
        connect = peer.connects[-1]
        assert connect.url.reveal() == f"wss://{host}{target}"
        assert (connect.host, connect.port, connect.tls) == (host, 443, True)
        peer.eof()


REFUSED_URLS = [
    "ws://gateway-us-east1-b.discord.gg/?ticket=hidden",
    "wss://user:hidden@gateway-us-east1-b.discord.gg",
    "wss://evil.example/?ticket=hidden",
    "wss://evildiscord.gg",
    "wss://discord.gg.evil.example",
    "https://gateway.discord.gg",
    "",
    17,
    None,
    [],
]


def check_refused(peer: Peer) -> None:
    """One notice, without secrets; the session is kept and resumed at the base URL."""
    [notice] = [notice for notice in peer.of(Notice) if notice.kind is NoticeKind.RESUME_URL_REFUSED]
    assert "base URL" in notice.detail
    assert "hidden" not in repr(peer.log)
    assert peer.redial() == BASE_HOST
    fails(peer)
    assert peer.redial() == BASE_HOST
    peer.to_handshake().hello()
    assert [d["session_id"] for d in peer.payloads(6)] == ["session-1"]
    assert not peer.of(SessionLost)


@pytest.mark.failure("F03")
@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_must_not_have_the_token_is_not_used(url: object) -> None:
    peer = Peer().to_connected(resume_gateway_url=url)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.eof()
    check_refused(peer)


@pytest.mark.failure("F03")
def test_when_ready_lacks_it_the_base_serves_and_not_the_old_one() -> None:
    peer = Peer().to_connected()
    peer.close(4009)
    peer.redial()
    peer.to_identifying()
    fields = ready("session-1")
    del fields["resume_gateway_url"]
    peer.log.clear()
    peer.dispatch(1, "READY", fields)
    peer.eof()
    check_refused(peer)


@pytest.mark.failure("F03", "F38")
def test_the_url_of_a_stored_session_is_judged_alike() -> None:
    for url, host in ((RESUME_URL, RESUME_HOST), ("wss://evil.example", BASE_HOST), (None, BASE_HOST)):
        stored = Session(
            id=Secret("session-1"),
            sequence=7,
            resume_url=None if url is None else Secret(url),
            binding=config().binding(),
        )
        peer = Peer(session=stored)
        peer.call(peer.shard.connect)
        assert peer.connects[-1].host == host
        refused = [notice for notice in peer.of(Notice) if notice.kind is NoticeKind.RESUME_URL_REFUSED]
        assert len(refused) == (host == BASE_HOST)
        peer.to_handshake().hello()
        assert [(d["session_id"], d["seq"]) for d in peer.payloads(6)] == [("session-1", 7)]


@pytest.mark.failure("F03")
@pytest.mark.parametrize(
    ("base", "url", "domains"),
    [
        ("ws://127.0.0.1:8080", "ws://127.0.0.1:9090", ()),
        ("ws://127.0.0.1:8080", "wss://127.0.0.1:9090", ()),
        (BASE, "wss://deep.down.discord.gg:8443", ()),
        (BASE, "wss://eu.proxy.example", ("proxy.example",)),
    ],
)
def test_the_same_scheme_or_a_better_one_and_a_host_that_is_trusted(
    base: str, url: str, domains: tuple[str, ...]
) -> None:
    peer = Peer(config(url=base, resume_domains=domains)).to_connected(resume_gateway_url=url)
    assert not peer.of(Notice)
    peer.eof()
    peer.redial()
    connect, parts = peer.connects[-1], urlsplit(url)
    assert (connect.tls, connect.host, connect.port) == (parts.scheme == "wss", parts.hostname, parts.port or 443)
