"""The optional limit of reconnects, and what is answered before the first input."""

import zlib

import pytest

from gateway_proto import (
    ConnectError,
    ConnectionStage,
    DecompressionError,
    Fatal,
    InvalidConfigError,
    Notice,
    Reconnect,
    ReconnectFailureError,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import Peer, config


def fail_to_dial(peer: Peer) -> None:
    """The next dial comes, and fails."""
    while peer.shard.stage is not ConnectionStage.CONNECTING:
        peer.advance(1.0)
    peer.call(peer.shard.connection_failed, peer.generation, ConnectError("refused"))


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_so_many_reconnects_in_a_row_and_no_more(limit: int) -> None:
    peer = Peer(config(max_reconnects=limit))
    peer.call(peer.shard.connect)
    for _ in range(limit):
        fail_to_dial(peer)
        assert not peer.of(Fatal)
    fail_to_dial(peer)
    assert peer.of(Fatal) == [Fatal(cause=ReconnectFailureError(limit))]
    assert len(peer.of(Reconnect)) == limit
    assert peer.shard.snapshot().is_shutdown
    assert peer.shard.next_timeout() is None


def test_a_session_makes_the_count_start_anew() -> None:
    peer = Peer(config(max_reconnects=2)).to_connected()
    for _ in range(3):
        peer.eof()
        fail_to_dial(peer)
        peer.resume_again()
        peer.dispatch(peer.shard.snapshot().received + 1, "RESUMED")
        assert peer.shard.stage is ConnectionStage.CONNECTED
    assert not peer.of(Fatal)


def test_the_session_survives_giving_up() -> None:
    peer = Peer(config(max_reconnects=0)).to_connected()
    peer.eof()
    assert peer.of(Fatal) == [Fatal(cause=ReconnectFailureError(0))]
    session = peer.shard.session
    assert session is not None
    assert session.sequence == 1


def test_without_a_limit_it_never_gives_up() -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    for _ in range(50):
        fail_to_dial(peer)
    assert not peer.of(Fatal)


def test_a_limit_below_none_is_refused() -> None:
    with pytest.raises(InvalidConfigError):
        config(max_reconnects=-1)


def test_nothing_is_due_before_the_first_input() -> None:
    assert Peer().shard.next_timeout() is None


@pytest.mark.failure("F27")
def test_a_message_of_the_zlib_stream_that_holds_nothing_is_broken() -> None:
    peer = Peer(config(transport_compression="zlib-stream")).to_handshake()
    deflate = zlib.compressobj()
    peer.raw(encode_frame(FrameOpcode.BINARY, deflate.compress(b"") + deflate.flush(zlib.Z_SYNC_FLUSH)))
    [notice] = peer.of(Notice)
    assert isinstance(notice.cause, DecompressionError)
    assert str(notice.cause) == "a message of the zlib stream is empty"


def test_who_starts_again_after_giving_up_has_all_the_tries_again() -> None:
    peer = Peer(config(max_reconnects=1))
    peer.call(peer.shard.connect)
    fail_to_dial(peer)
    fail_to_dial(peer)
    assert len(peer.of(Fatal)) == 1
    peer.call(peer.shard.connect)
    fail_to_dial(peer)
    assert len(peer.of(Fatal)) == 1


@pytest.mark.failure("F41")
@pytest.mark.parametrize("code", [4000, 4004])
def test_a_close_reason_that_quotes_us_is_told_without_the_quotes(code: int) -> None:
    peer = Peer().to_connected()
    actions = peer.close(code, "token the.bot.token is bad for session-1")
    assert "the.bot.token" not in repr(actions)
    assert "session-1" not in repr(actions)
    assert "token *** is bad for ***" in repr(actions)
