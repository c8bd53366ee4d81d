"""The inflaters alone: whole at every split, bounded to the byte, honest about broken and ended streams."""

import contextlib
import itertools
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.compression import FLUSH_SUFFIX, Inflater, Uncompressed, ZlibStream, ZstdStream, make_inflater
from gateway_proto.errors import (
    BrokenStreamError,
    DecompressionError,
    InflatedTooLargeError,
    WindowTooLargeError,
)

from .packing import COMPRESSED, MODES, Mode, Packer, zstd

MESSAGES = [b'{"op":10,"d":{"heartbeat_interval":41250}}', b'{"op":0,"d":"' + b"ab" * 300 + b'"}', b'{"op":11}', b"{}"]
LIMIT = 10_000
WINDOW = 8 * 2**20


def inflater(mode: Mode, limit: int = LIMIT, max_window: int = WINDOW) -> Inflater:
    transport = mode if mode in ("zlib-stream", "zstd-stream") else None
    return make_inflater(transport=transport, payload=mode == "zlib", limit=limit, max_window=max_window)


@pytest.mark.failure("F28")
@pytest.mark.parametrize("mode", MODES)
def test_message_after_message(mode: Mode) -> None:
    packer, reader = Packer(mode), inflater(mode)
    assert [reader.inflate(packer.pack(message)) for message in MESSAGES * 20] == MESSAGES * 20
    assert reader.buffered == 0


@pytest.mark.failure("F28")
def test_a_binary_message_without_compression_is_itself() -> None:
    reader = inflater("none")
    assert isinstance(reader, Uncompressed)
    assert reader.inflate(b"\x00\xff") == b"\x00\xff"


@pytest.mark.failure("F28")
def test_zlib_stream_at_every_split_in_two() -> None:
    packer = Packer("zlib-stream")
    packed = [packer.pack(message) for message in MESSAGES]
    for number, part in enumerate(packed):
        for split in range(len(part) + 1):
            reader = inflater("zlib-stream")
            for message, before in zip(MESSAGES, packed[:number], strict=False):
                assert reader.inflate(before) == message
            first = reader.inflate(part[:split])
            assert first == (MESSAGES[number] if split == len(part) else None)
            if first is None:
                assert reader.inflate(part[split:]) == MESSAGES[number]
            assert reader.buffered == 0


@pytest.mark.failure("F28")
def test_zlib_stream_byte_by_byte_and_what_is_buffered() -> None:
    reader, packed = inflater("zlib-stream"), Packer("zlib-stream").pack(MESSAGES[1])
    assert packed.endswith(FLUSH_SUFFIX)
    parts = [reader.inflate(packed[at : at + 1]) for at in range(len(packed) - 1)]
    assert set(parts) == {None}
    assert reader.buffered == len(MESSAGES[1])
    assert reader.inflate(packed[-1:]) == MESSAGES[1]
    assert reader.buffered == 0


@pytest.mark.failure("F29")
def test_parts_that_yield_nothing_cost_nothing() -> None:
    reader, packed = inflater("zlib-stream"), Packer("zlib-stream").pack(MESSAGES[1])
    assert reader.inflate(packed[:20]) is None
    tracemalloc.start()
    try:
        for _ in range(20_000):
            assert reader.inflate(b"") is None
        assert tracemalloc.get_traced_memory()[0] < 50_000
    finally:
        tracemalloc.stop()
    assert reader.inflate(packed[20:]) == MESSAGES[1]


@given(
    mode=st.sampled_from(COMPRESSED),
    messages=st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=8),
    level=st.integers(0, 9),
)
def test_any_messages(mode: Mode, messages: list[bytes], level: int) -> None:
    packer, reader = Packer(mode, level=level), inflater(mode)
    assert [reader.inflate(packer.pack(message)) for message in messages] == messages


@pytest.mark.failure("F29")
@pytest.mark.parametrize("mode", COMPRESSED)
@pytest.mark.parametrize("over", [-1, 0, 1, 1000, 5_000_000])
def test_the_limit_to_the_byte(mode: Mode, over: int) -> None:
    packer, reader = Packer(mode), inflater(mode)
    message = b"a" * (LIMIT + over)
    assert reader.inflate(packer.pack(b"{}")) == b"{}"
    packed = packer.pack(message)
    if over <= 0:
        assert reader.inflate(packed) == message
        assert reader.inflate(packer.pack(b"[]")) == b"[]"
    else:
        with pytest.raises(InflatedTooLargeError) as raised:
            reader.inflate(packed)
        assert raised.value == InflatedTooLargeError(LIMIT)
        assert "Limits.max_inflated" in str(raised.value)


@pytest.mark.failure("F29")
@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
def test_the_limit_holds_across_the_parts_of_a_zlib_message(size: int) -> None:
    packer, reader = Packer("zlib-stream", level=0), inflater("zlib-stream")
    packed = packer.pack(b"a" * size)
    parts = [packed[at : at + 700] for at in range(0, len(packed), 700)]

    def inflate_all() -> list[bytes | None]:
        return [reader.inflate(part) for part in parts]

    if size <= LIMIT:
        assert [part for part in inflate_all() if part is not None] == [b"a" * size]
    else:
        with pytest.raises(InflatedTooLargeError):
            inflate_all()


@pytest.mark.failure("F27")
@pytest.mark.parametrize("mode", ["zlib-stream", "zstd-stream"])
def test_an_ended_stream_is_an_error_even_with_a_message_before_it(mode: Mode) -> None:
    for with_message in (False, True):
        packer, reader = Packer(mode), inflater(mode)
        assert reader.inflate(packer.pack(b"{}")) == b"{}"
        with pytest.raises(DecompressionError, match="stream ended"):
            reader.inflate((packer.pack(b"[]") if with_message else b"") + packer.end())


@pytest.mark.failure("F27")
@pytest.mark.parametrize("mode", COMPRESSED)
@pytest.mark.parametrize("data", [b"\x00" * 30, b"\xff" * 30, b'{"op":11}', b"HTTP/1.1 502 Bad Gateway\r\n"])
def test_what_is_no_stream(mode: Mode, data: bytes) -> None:
    with pytest.raises(DecompressionError):
        inflater(mode).inflate(data)


@pytest.mark.failure("F27")
def test_payload_compression_wants_one_whole_document() -> None:
    whole = zlib.compress(MESSAGES[1])
    for data in (b"", whole[:-1], whole[:-4], whole + b"\x00", whole + whole):
        with pytest.raises(DecompressionError):
            inflater("zlib").inflate(data)
    assert inflater("zlib").inflate(whole) == MESSAGES[1]


@pytest.mark.failure("F28")
def test_a_zstd_message_that_yields_nothing_was_not_flushed() -> None:
    packed = Packer("zstd-stream").pack(MESSAGES[1])
    for split in range(len(packed)):
        reader = inflater("zstd-stream")
        with pytest.raises(DecompressionError, match="not flushed"):
            reader.inflate(packed[:split])


@pytest.mark.failure("F29")
@pytest.mark.parametrize(("window_log", "legal"), [(10, True), (22, True), (23, True), (24, False), (27, False)])
def test_the_zstd_window(window_log: int, legal: bool) -> None:
    packer, reader = Packer("zstd-stream", window_log=window_log), inflater("zstd-stream")
    packed = packer.pack(b"a" * 100)
    if legal:
        assert reader.inflate(packed) == b"a" * 100
    else:
        with pytest.raises(WindowTooLargeError) as raised:
            reader.inflate(packed)
        assert raised.value == WindowTooLargeError(WINDOW)
        assert "Limits.max_zstd_window" in str(raised.value)


@pytest.mark.failure("F29")
def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    # 254 MiB of zeros in 8 KiB: what comes out of the decompressor is one byte more than is allowed.
    bomb = zstd.ZstdCompressor(level=3)
    packed = bomb.compress(bytes(2**20), mode=zstd.ZstdCompressor.FLUSH_BLOCK)
    for _ in range(253):
        packed += bomb.compress(bytes(2**20), mode=zstd.ZstdCompressor.FLUSH_BLOCK)
    assert len(packed) < 16_384
    with pytest.raises(InflatedTooLargeError):
        ZstdStream(2**16, WINDOW).inflate(packed)
    packed = zlib.compress(bytes(64 * 2**20))[:-4]
    assert len(packed) < 70_000
    with pytest.raises(InflatedTooLargeError):
        ZlibStream(2**16).inflate(packed)


def test_a_message_of_payload_compression_leaves_no_trace() -> None:
    reader = inflater("zlib")
    with pytest.raises(DecompressionError):
        reader.inflate(b"broken")
    assert reader.inflate(zlib.compress(b"{}")) == b"{}"


@given(
    mode=st.sampled_from(COMPRESSED),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=3),
    seed=st.integers(0, 3),
)
def test_damage_raises_a_broken_stream_and_nothing_else(mode: Mode, flips: list[tuple[int, int]], seed: int) -> None:
    rng, packer, reader = random.Random(seed), Packer(mode), inflater(mode)
    sent = [rng.randbytes(rng.randrange(1, 200)) + b"x" * 50 for _ in range(4)]
    packed = [bytearray(packer.pack(message)) for message in sent]
    ends = list(itertools.accumulate(map(len, packed)))
    for position, bit in flips:
        at = position % ends[-1]
        number = next(number for number, end in enumerate(ends) if at < end)
        packed[number][at - ends[number]] ^= bit
    try:
        read = [reader.inflate(bytes(part)) for part in packed]
    except BrokenStreamError:
        return
    assert all(part is None or len(part) <= LIMIT for part in read)


@given(mode=st.sampled_from(COMPRESSED), data=st.binary(max_size=100))
def test_bytes_of_any_kind(mode: Mode, data: bytes) -> None:
    with contextlib.suppress(BrokenStreamError):
        inflater(mode).inflate(data)
