"""What the server writes: compressions, frames, answers to control frames; and its timers."""

import zlib

import pytest

from gateway_proto.compression import FLUSH_SUFFIX, make_inflater
from gateway_proto.server import ServerConfig, ServerLimits, Stall
from gateway_proto.server.deflate import ZlibPayload
from gateway_proto.websocket import FrameOpcode, encode_frame

from .server_helpers import MASK, Client, Rig, text_frame

COMPRESSIONS = [None, "zlib-stream", "zstd-stream"]


@pytest.mark.parametrize("compress", COMPRESSIONS)
@pytest.mark.parametrize("size", [1, 100, 70_000])
def test_every_message_comes_out_of_every_compression(compress: str | None, size: int) -> None:
    rig = Rig()
    client = rig.client(compress=compress)
    client.identify()
    for number in range(20):
        rig.dispatch(client.session_id, d=[number, "x" * size])
    client.beat()
    assert client.bodies() == [[number, "x" * size] for number in range(20)]
    assert client.ops() == [10] + [0] * 21 + [11]
    assert {kind for kind, _ in client.frames} == ({"BINARY"} if compress else {"TEXT"})


@pytest.mark.failure("F27")
def test_zlib_stream_is_one_stream_a_connection_flushed_behind_each_message() -> None:
    rig = Rig()
    client = rig.client(compress="zlib-stream")
    client.identify()
    for _ in range(2):
        rig.dispatch(client.session_id, d=[f"{number:x}" for number in range(100)])
    assert all(payload.endswith(FLUSH_SUFFIX) for _, payload in client.frames)
    first, second = (len(payload) for _, payload in client.frames[-2:])
    assert second < first / 4, "what was said before is known"
    client.eof()
    again = rig.client(compress="zlib-stream")
    again.resume(client.session_id, 3)
    # A new stream: it begins with a zlib header and opens without the old one's context.
    assert again.frames[0][1][:1] == b"\x78"
    assert again.events() == ["RESUMED"]


def test_one_message_of_zstd_stream_is_one_gateway_message_and_the_frame_never_ends() -> None:
    rig = Rig()
    client = rig.client(compress="zstd-stream")
    client.identify()
    rig.dispatch(client.session_id, d="x")
    inflater = make_inflater(transport="zstd-stream", payload=False, limit=2**20, max_window=2**20)
    for _, payload in client.frames:
        assert inflater.inflate(payload), "a smaller window than the engine's default is enough"


def test_payload_compression_is_for_large_messages_behind_identify() -> None:
    rig = Rig(ServerConfig(payload_threshold=500))
    client = rig.client()
    client.identify(compress=True)
    rig.dispatch(client.session_id, d="s")
    rig.dispatch(client.session_id, d="x" * 1000)
    client.beat()
    assert [kind for kind, _ in client.frames] == ["TEXT", "TEXT", "TEXT", "BINARY", "TEXT"]
    assert zlib.decompress(client.frames[3][1]).startswith(b'{"t":"EVENT"')
    client.eof()
    again = rig.client()
    again.resume(client.session_id, 2)
    assert [kind for kind, _ in again.frames] == ["TEXT", "BINARY", "TEXT"], (
        "the session remembers what IDENTIFY asked for"
    )


def test_the_threshold_itself_is_not_compressed() -> None:
    deflater = ZlibPayload(6, threshold=10)
    assert deflater.deflate(b"x" * 10) == (FrameOpcode.TEXT, b"x" * 10)
    assert deflater.deflate(b"x" * 11)[0] is FrameOpcode.BINARY


def test_transport_compression_goes_before_payload_compression() -> None:
    rig = Rig(ServerConfig(payload_threshold=0))
    client = rig.client(compress="zlib-stream")
    client.identify(compress=True)
    assert client.events() == ["READY"]


def test_pings_are_answered_in_order_with_messages() -> None:
    rig = Rig()
    client = rig.ready()
    ping = encode_frame(FrameOpcode.PING, b"one", MASK)
    client.feed(ping + text_frame(b'{"op":1,"d":null}') + encode_frame(FrameOpcode.PING, b"", MASK))
    assert client.pongs == [b"one", b""]
    assert client.sent.endswith(b"\x8a\x00")
    client.feed(encode_frame(FrameOpcode.PONG, b"unasked", MASK))
    assert client.closed is None


def test_a_close_without_a_code_is_echoed_without_one() -> None:
    rig = Rig()
    client = rig.ready()
    client.feed(encode_frame(FrameOpcode.CLOSE, b"", MASK))
    assert client.sent.endswith(b"\x88\x00")
    assert len(rig.server.sessions) == 1


def test_pings_of_a_client_that_does_not_read_are_bounded() -> None:
    rig = Rig(ServerConfig(limits=ServerLimits(max_unsent=1000)))
    client = rig.ready()
    ping = encode_frame(FrameOpcode.PING, b"x" * 100, MASK)
    # Nobody drains; an answer has 102 bytes, so that the tenth is one too many.
    assert [bool(client.connection.receive_data(ping, 0.0)) for _ in range(10)] == [False] * 9 + [True]
    assert client.connection.has_ended


def test_frames_of_each_length_form() -> None:
    for size in (60, 125, 126, 65_535, 65_536):
        rig = Rig()
        client = rig.ready()
        rig.dispatch(client.session_id, d="x" * size)
        assert client.bodies() == ["x" * size]


def test_the_timers_are_pure_and_due_in_their_order() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=10.0, limits=ServerLimits(request_timeout=3.0, close_grace=1.0)))
    client: Client = rig.client(upgrade=False)
    connection = client.connection
    assert connection.next_timeout() == connection.next_timeout() == 3.0
    assert connection.handle_timeout(2.9) == []
    rig.now = 1.0
    client.feed(b"GET /?v=10 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
    client.feed(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    assert connection.next_timeout() == 1.0 + 17.5
    rig.now = 5.0
    client.beat()
    assert connection.next_timeout() == 5.0 + 17.5
    rig.inject(client, Stall(100.0))
    assert connection.next_timeout() == 105.0
    client.say(99, None)
    rig.advance(100.0)
    assert client.closed is not None
    assert connection.next_timeout() == 106.0
    rig.advance(1.0)
    assert connection.next_timeout() is None
    assert client.socket is not None
