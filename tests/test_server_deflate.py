"""What the server compresses, read by zlib, zstd, our own inflater and other people's: whole, and byte by byte.

What is sent before a session costs no compressor; the bound of a silent client is in `test_server_hostile.py`.
"""

import json
import sys
import zlib
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.compression import FLUSH_SUFFIX, make_inflater
from gateway_proto.server import ServerConfig
from gateway_proto.server.deflate import MAX_STORED, ZSTD_HEADER, ZSTD_WINDOW_LOG, Deflater, make_deflater

from .server_helpers import Rig

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TRANSPORTS: Final = ("zlib-stream", "zstd-stream")
BEFORE: Final = [b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}', b'{"op":11}', b""]
"""What a client without a session gets."""
READY: Final = b'{"t":"READY","s":1,"op":0,"d":{"v":10,"user":' + b'"0123456789"' * 30 + b"}}"
MESSAGES: Final = [*BEFORE, READY, *(b'{"s":%d,"d":"%b"}' % (number, b"0123456789" * number) for number in range(60))]


def deflater(transport: str, level: int = 6) -> Deflater:
    return make_deflater(transport, zlib_level=level, zstd_level=max(1, level))


def payloads(transport: str, messages: list[bytes], level: int = 6) -> list[bytes]:
    own = deflater(transport, level)
    return [own.deflate(message)[1] for message in messages]


def reader(transport: str) -> Callable[[bytes], bytes]:
    if transport == "zlib-stream":
        return zlib.decompressobj().decompress
    return zstd.ZstdDecompressor().decompress


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("level", [0, 1, 6, 9])
def test_each_message_comes_out_with_its_payload_and_byte_by_byte(transport: str, level: int) -> None:
    sent = payloads(transport, MESSAGES, level)
    whole, single = reader(transport), reader(transport)
    assert [whole(payload) for payload in sent] == MESSAGES
    assert [b"".join(single(bytes((byte,))) for byte in payload) for payload in sent] == MESSAGES


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_our_own_inflater_reads_it(transport: str) -> None:
    messages = [message for message in MESSAGES if message]
    inflater: Any = make_inflater(transport=transport, payload=False, limit=2**20, max_window=2**20)
    for message, payload in zip(messages, payloads(transport, messages), strict=True):
        assert inflater.inflate(payload) == message


def test_discord_py_reads_it() -> None:
    # Its zstd needs a package that is not installed here; `tests.interop` has it.
    inflater = pytest.importorskip("discord.utils")._ZlibDecompressionContext()
    messages = [message for message in MESSAGES if message]
    for message, payload in zip(messages, payloads("zlib-stream", messages), strict=True):
        assert inflater.decompress(payload) == message.decode()


@given(st.lists(st.binary(max_size=3 * MAX_STORED), max_size=20), st.sampled_from(TRANSPORTS))
def test_any_messages_come_out(messages: list[bytes], transport: str) -> None:
    read = reader(transport)
    for message, payload in zip(messages, payloads(transport, messages), strict=True):
        assert read(payload) == message


def test_each_payload_of_zlib_ends_as_it_is_documented() -> None:
    assert all(payload.endswith(FLUSH_SUFFIX) for payload in payloads("zlib-stream", MESSAGES))


def test_what_comes_before_a_session_is_stored_and_the_compressor_starts_with_ready() -> None:
    for transport in TRANSPORTS:
        own: Any = deflater(transport)
        for message in BEFORE:
            assert message in own.deflate(message)[1]
            assert own._stream is None
        assert len(own.deflate(READY)[1]) < len(READY) / 2
        assert own._stream is not None
        assert BEFORE[0] not in own.deflate(BEFORE[0])[1], "from then on all of it is compressed"


@pytest.mark.parametrize("level", range(1, 20))
def test_the_header_is_the_one_that_the_compressor_writes(level: int) -> None:
    parameter = zstd.CompressionParameter
    own = zstd.ZstdCompressor(options={parameter.compression_level: level, parameter.window_log: ZSTD_WINDOW_LOG})
    assert own.compress(READY, mode=own.FLUSH_BLOCK).startswith(ZSTD_HEADER)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ready_is_what_starts_the_compressor_however_short_the_config_makes_it(transport: str) -> None:
    rig = Rig(ServerConfig(username="", user_id=1, application_id=1))
    client = rig.client(compress=transport)
    client.beat()
    own: Any = client.connection._outbox.deflater
    assert own._stream is None
    client.identify()
    assert own._stream is not None
    rig.dispatch(client.session_id, d="x")
    client.beat(2)
    assert client.ops() == [10, 11, 0, 0, 11]
    assert len(json.dumps(client.received[2])) > 2 * MAX_STORED
