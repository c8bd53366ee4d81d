"""F29: bombs and giants. Every bound is typed, told by its setting, and checked before the bytes are stored."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    BoundExceededError,
    ConnectionStage,
    Dispatch,
    Fatal,
    InflatedTooLargeError,
    Limits,
    MessageTooLargeError,
    Notice,
    NoticeKind,
    Reconnect,
    ReconnectType,
    SessionLost,
    WindowTooLargeError,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .packing import COMPRESSED, MODES, Mode, Packer, config_of, event, text
from .peer import Peer

pytestmark = pytest.mark.failure("F29")

MIB = 2**20
SMALL = Limits(max_message=3000, max_compressed_message=2000, max_inflated=4000, max_zstd_window=2**22)


def padded(sequence: int, size: int) -> bytes:
    """A dispatch of exactly so many bytes."""
    message = msgspec.json.encode(event(sequence, d=""))
    return message.replace(b'""', b'"' + b"x" * (size - len(message)) + b'"')


def test_the_documented_defaults() -> None:
    limits = Limits()
    assert limits.max_inflated == 128 * MIB
    assert limits.max_message == 128 * MIB
    assert limits.max_compressed_message == 16 * MIB
    assert limits.max_zstd_window == 8 * MIB
    assert limits.call_budget == 64 * MIB


@pytest.mark.parametrize("mode", MODES)
def test_the_default_on_the_wire_is_judged_by_the_declared_length(mode: Mode) -> None:
    streamed = mode.endswith("-stream")
    limit = (16 if streamed else 128) * MIB
    peer = Peer(config_of(mode)).to_connected()
    assert peer.raw(b"\x82\x7f" + limit.to_bytes(8)) == []
    peer = Peer(config_of(mode)).to_connected()
    actions = peer.raw(b"\x82\x7f" + (limit + 1).to_bytes(8))
    [lost] = peer.of(Reconnect, actions)
    assert lost.cause == MessageTooLargeError(limit, compressed=streamed)
    assert lost.type is ReconnectType.RESUME
    setting = "max_compressed_message" if streamed else "max_message"
    assert str(lost.cause).endswith(f"raise Limits.{setting} if it is legitimate")
    assert isinstance(lost.cause, BoundExceededError)
    assert (lost.cause.setting, lost.cause.limit) == (setting, limit)
    assert peer.closes == [4000]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("fragments", [1, 2, 7])
def test_a_message_on_the_wire_to_the_byte(mode: Mode, over: int, fragments: int) -> None:
    limit = 2000 if mode.endswith("-stream") else 3000
    peer = Peer(config_of(mode, limits=SMALL)).to_connected()
    message = padded(2, limit + over)
    step = -(-len(message) // fragments)
    parts = [message[at : at + step] for at in range(0, len(message), step)]
    frames = [encode_frame(FrameOpcode.CONTINUATION if at else FrameOpcode.TEXT, part) for at, part in enumerate(parts)]
    frames = [bytes([frame[0] & 0x7F]) + frame[1:] if frame is not frames[-1] else frame for frame in frames]
    actions = peer.raw(b"".join(frames))
    if over:
        assert [lost.cause for lost in peer.of(Reconnect, actions)] == [
            MessageTooLargeError(limit, compressed=mode.endswith("-stream"))
        ]
    else:
        assert [got.sequence for got in peer.of(Dispatch, actions)] == [2]


@pytest.mark.parametrize("mode", COMPRESSED)
@pytest.mark.parametrize("over", [0, 1, 5_000_000])
def test_an_inflated_message_to_the_byte(mode: Mode, over: int) -> None:
    limits = msgspec.structs.replace(SMALL, max_message=MIB, max_compressed_message=MIB)
    peer, packer = Peer(config_of(mode, limits=limits)).to_connected(), Packer(mode)
    actions = peer.raw(packer.frame(padded(2, 4000 + over)) + packer.frame(event(3)))
    if over:
        [notice] = peer.of(Notice, actions)
        assert notice.kind is NoticeKind.STREAM_BROKEN
        assert notice.cause == InflatedTooLargeError(4000)
        assert "Limits.max_inflated" in notice.detail
        assert [lost.type for lost in peer.of(Reconnect, actions)] == [ReconnectType.RESUME]
        assert peer.closes == [4000]
        assert peer.of(Dispatch, actions) == []
    else:
        assert [got.sequence for got in peer.of(Dispatch, actions)] == [2, 3]


@pytest.mark.parametrize(("window_log", "legal"), [(22, True), (23, False)])
def test_the_window(window_log: int, legal: bool) -> None:
    peer = Peer(config_of("zstd-stream", limits=SMALL)).to_connected()
    actions = peer.raw(Packer("zstd-stream", window_log=window_log).frame(event(2)))
    if legal:
        assert [got.sequence for got in peer.of(Dispatch, actions)] == [2]
    else:
        [lost] = peer.of(Reconnect, actions)
        assert lost.cause == WindowTooLargeError(2**22)
        assert "Limits.max_zstd_window" in str(lost.cause)


# Twice for one event


def on_the_wire() -> bytes:
    return b"\x82\x7f" + (2**40).to_bytes(8)


def inflated() -> bytes:
    return Packer("zstd-stream").frame(b'{"op":0,"s":2,"t":"X","d":"' + b"x" * 5000)


def window() -> bytes:
    return Packer("zstd-stream", window_log=23).frame(event(2))


GIANTS: dict[str, tuple[Callable[[], bytes], BoundExceededError]] = {
    "wire": (on_the_wire, MessageTooLargeError(2000, compressed=True)),
    "inflated": (inflated, InflatedTooLargeError(4000)),
    "window": (window, WindowTooLargeError(2**22)),
}


@pytest.mark.parametrize("what", GIANTS)
def test_twice_for_one_event_is_fatal_and_names_the_setting(what: str) -> None:
    data, cause = GIANTS[what]
    peer = Peer(config_of("zstd-stream", limits=SMALL)).to_connected()
    first = peer.raw(data())
    assert [lost.type for lost in peer.of(Reconnect, first)] == [ReconnectType.RESUME]
    peer.resume_again()
    actions = peer.raw(data())
    [fatal] = peer.of(Fatal, actions)
    assert fatal.cause == cause
    assert f"raise Limits.{cause.setting}" in str(fatal.cause)
    assert peer.of(Reconnect, actions) == []
    assert peer.of(SessionLost) == []
    assert peer.shard.session is not None
    assert peer.shard.next_timeout() is None
    assert peer.closes == [4000, 4000]


def test_bounds_of_different_kinds_count_together() -> None:
    peer = Peer(config_of("zstd-stream", limits=SMALL)).to_connected()
    peer.raw(on_the_wire())
    peer.resume_again()
    assert [fatal.cause for fatal in peer.of(Fatal, peer.raw(inflated()))] == [InflatedTooLargeError(4000)]


def test_an_event_between_starts_anew() -> None:
    peer = Peer(config_of("zstd-stream", limits=SMALL)).to_connected()
    peer.raw(on_the_wire())
    peer.resume_again()
    peer.raw(text(event(2)) + on_the_wire())
    assert peer.of(Fatal) == []
    peer.resume_again()
    peer.raw(text(event(3)) + on_the_wire())
    assert peer.of(Fatal) == []
    peer.resume_again()
    assert peer.of(Fatal, peer.raw(on_the_wire()))


@pytest.mark.failure("F27")
def test_a_bound_never_counts_toward_the_poison_rule() -> None:
    peer = Peer(config_of("zstd-stream", limits=SMALL)).to_connected()
    broken = text(b"{")
    for data in (broken, broken, on_the_wire()):
        actions = peer.raw(data)
        assert peer.of(SessionLost, actions) == []
        assert [lost.type for lost in peer.of(Reconnect, actions)] == [ReconnectType.RESUME]
        peer.resume_again()
    assert peer.of(SessionLost, peer.raw(broken))


def test_a_ready_that_is_too_large() -> None:
    peer = Peer(config_of("none", limits=Limits(max_message=500))).to_identifying()
    ready = text({"op": 0, "s": 1, "t": "READY", "d": "x" * 600})
    assert [lost.type for lost in peer.of(Reconnect, peer.raw(ready))] == [ReconnectType.REIDENTIFY]
    peer.resume_again()
    peer.permit()
    [fatal] = peer.of(Fatal, peer.raw(ready))
    assert fatal.cause == MessageTooLargeError(500)
    assert peer.shard.snapshot().identifies_24h == 2


# The bound of a call


def ack(size: int) -> bytes:
    """A message of this size of which nothing is kept."""
    return b'{"op":11,"d":"' + b"x" * size + b'"}'


@pytest.mark.parametrize("mode", COMPRESSED)
def test_a_call_stops_at_its_budget_and_goes_on_at_next_timeout(mode: Mode) -> None:
    limits = Limits(call_budget=3000)
    peer, packer = Peer(config_of(mode, limits=limits)).to_connected(), Packer(mode)
    data = b"".join(packer.frame(padded(sequence, 1000)) for sequence in range(2, 22))
    calls = [peer.raw(data)]
    while peer.shard.next_timeout() == peer.now:
        calls.append(peer.call(peer.shard.handle_timeout))
    dispatched = [[got.sequence for got in peer.of(Dispatch, actions)] for actions in calls]
    # The last call may be one that finds nothing more.
    assert dispatched[:5] == [list(range(at, at + 4)) for at in range(2, 22, 4)]
    assert sum(map(len, calls)) == 20, "it is no fault and no action"
    assert len(calls) <= 6
    assert peer.shard.stage is ConnectionStage.CONNECTED


def test_the_first_message_of_a_call_may_be_larger_than_the_budget() -> None:
    limits = Limits(call_budget=100)
    peer, packer = Peer(config_of("zlib-stream", limits=limits)).to_connected(), Packer("zlib-stream")
    data = b"".join(packer.frame(padded(sequence, 1000)) for sequence in (2, 3, 4))
    assert [got.sequence for got in peer.of(Dispatch, peer.raw(data))] == [2]
    assert [got.sequence for got in peer.of(Dispatch, peer.call(peer.shard.handle_timeout))] == [3]
    # Any input goes on with it, and what comes after stays behind what was there.
    more = peer.raw(packer.frame(padded(5, 1000)))
    assert [got.sequence for got in peer.of(Dispatch, more)] == [4]
    assert [got.sequence for got in peer.of(Dispatch, peer.call(peer.shard.handle_timeout))] == [5]
    peer.call(peer.shard.handle_timeout)
    assert peer.shard.next_timeout() != peer.now


@pytest.mark.parametrize("end", ["eof", "close"])
def test_the_end_waits_behind_what_is_left_over(end: str) -> None:
    limits = Limits(call_budget=100)
    peer, packer = Peer(config_of("zlib-stream", limits=limits)).to_connected(), Packer("zlib-stream")
    data = b"".join(packer.frame(padded(sequence, 1000)) for sequence in (2, 3, 4))
    actions = peer.raw(data) + (peer.eof() if end == "eof" else peer.close(4000))
    assert peer.of(Reconnect, actions) == []
    actions += peer.advance(0.0)
    names = [type(action).__name__ for action in actions]
    assert names[:5] == ["Dispatch", "Dispatch", "Dispatch", "Disconnect", "StageChanged"]


def test_plain_text_costs_no_budget() -> None:
    peer = Peer(config_of("zlib-stream", limits=Limits(call_budget=100))).to_connected()
    data = b"".join(text(padded(sequence, 1000)) for sequence in range(2, 12))
    assert len(peer.of(Dispatch, peer.raw(data))) == 10


def test_a_real_bomb() -> None:
    """240 MiB in a few KiB, four legal messages: one call inflates two of them, the next two the rest."""
    size = 60 * MIB
    packer = Packer("zstd-stream")
    data = b"".join(packer.frame(message) for message in [ack(size)] * 4 + [event(2)])
    assert len(data) < 40_000
    peer = Peer(config_of("zstd-stream")).to_connected()
    tracemalloc.start()
    try:
        calls = [peer.raw(data)]
        while peer.shard.next_timeout() == peer.now:
            calls.append(peer.call(peer.shard.handle_timeout))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(calls) == 3
    assert [len(peer.of(Dispatch, actions)) for actions in calls] == [0, 0, 1]
    assert peak < 3.5 * size
    assert peer.of(Notice) == []


def test_a_guild_of_75000_members_is_legal() -> None:
    members: list[dict[str, Any]] = [{"user": {"id": str(10**17 + n)}, "roles": []} for n in range(75_000)]
    packer = Packer("zstd-stream")
    peer = Peer(config_of("zstd-stream")).to_connected()
    actions = peer.raw(packer.frame(event(2, "GUILD_CREATE", {"id": "1", "members": members})))
    assert [got.name for got in peer.of(Dispatch, actions)] == ["GUILD_CREATE"]


def test_a_message_that_never_ends_is_cut_at_the_limit() -> None:
    """A zlib message over endless WebSocket messages, and a WebSocket message over endless fragments."""
    packed = Packer("zlib-stream", level=0).pack(b"x" * 20_000)
    peer = Peer(config_of("zlib-stream", limits=SMALL)).to_connected()
    fed = 0
    while not peer.of(Reconnect):
        peer.raw(encode_frame(FrameOpcode.BINARY, packed[fed : fed + 100]))
        fed += 100
        assert peer.shard.snapshot().buffered_bytes <= 4000
    assert peer.of(Reconnect)[0].cause == InflatedTooLargeError(4000)
    peer = Peer(config_of("none", limits=SMALL)).to_connected()
    peer.raw(b"\x01\x00")
    while not peer.of(Reconnect):
        peer.raw(b"\x00\x64" + b"x" * 100)
        assert peer.shard.snapshot().buffered_bytes <= 3000
    assert peer.of(Reconnect)[0].cause == MessageTooLargeError(3000)
