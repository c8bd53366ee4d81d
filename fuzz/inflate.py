"""The inflaters, in every mode.

Invariant: an inflater gives what the plain library gives for the same bytes, message for message: of zlib-stream at the
flush suffix and nowhere else, however the stream is spread over WebSocket messages; of the others per message. What it
gives and what it holds never exceeds the limit.

Permitted exceptions: `BrokenStreamError`; after it a stream is not called again (a payload document leaves no trace).
"""

import sys
import zlib
from typing import Protocol

from gateway_proto.compression import FLUSH_SUFFIX, Inflater, make_inflater
from gateway_proto.errors import BrokenStreamError, DecompressionError, InflatedTooLargeError, WindowTooLargeError

from .source import Script, Source, cut

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MODES = ("zlib-stream", "zstd-stream", "zlib", "none")
LIMITS = (1000, 1, 60, 20_000, 70_000)
WINDOW = 8 * 2**20
PLENTY = 2**20
"""Bytes that the reference inflates at most: beyond every limit above."""


class _Broken(Exception):
    """The reference cannot read on."""


class _TooLarge(Exception):
    """The reference has more than the limit."""


class _Reference(Protocol):
    def inflate(self, message: bytes) -> bytes | None: ...


class _Plain:
    def inflate(self, message: bytes) -> bytes:
        return message


class _Documents:
    """Payload compression."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def inflate(self, message: bytes) -> bytes:
        document = zlib.decompressobj()
        try:
            data = document.decompress(message, PLENTY)
        except zlib.error:
            raise _Broken from None
        if len(data) > self._limit:
            raise _TooLarge
        if not document.eof or document.unused_data:
            raise _Broken
        return data


class _Stream:
    """zlib-stream: everything since the last whole message, on the wire and inflated."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stream = zlib.decompressobj()
        self._wire = self._data = b""

    def inflate(self, message: bytes) -> bytes | None:
        try:
            self._data += self._stream.decompress(message, PLENTY)
        except zlib.error:
            raise _Broken from None
        if len(self._data) > self._limit:
            raise _TooLarge
        if self._stream.eof:
            raise _Broken
        self._wire += message
        if not self._wire.endswith(FLUSH_SUFFIX):
            return None
        whole, self._wire, self._data = self._data, b"", b""
        return whole


class _Blocks:
    """zstd-stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stream = zstd.ZstdDecompressor()

    def inflate(self, message: bytes) -> bytes:
        try:
            data = self._stream.decompress(message, PLENTY)
        except zstd.ZstdError:
            raise _Broken from None
        if len(data) > self._limit:
            raise _TooLarge
        if self._stream.eof or not data:
            raise _Broken
        return data


def _reference(mode: str, limit: int) -> _Reference:
    if mode == "zlib-stream":
        return _Stream(limit)
    if mode == "zstd-stream":
        return _Blocks(limit)
    return _Documents(limit) if mode == "zlib" else _Plain()


class Packer:
    """The gateway's side, so that a seed need not hold bytes that depend on the compressor's version."""

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._zlib = zlib.compressobj()
        self._zstd = zstd.ZstdCompressor()

    def pack(self, message: bytes) -> bytes:
        if self._mode == "zlib-stream":
            return self._zlib.compress(message) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if self._mode == "zstd-stream":
            return self._zstd.compress(message, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
        return zlib.compress(message) if self._mode == "zlib" else message

    def end(self) -> bytes:
        """The end of the stream, which no gateway sends."""
        if self._mode == "zlib-stream":
            data, self._zlib = self._zlib.flush(), zlib.compressobj()
            return data
        return self._zstd.flush() if self._mode == "zstd-stream" else b""


def one_input(data: bytes) -> None:
    source = Source(data)
    mode, limit = source.pick(MODES), source.pick(LIMITS)
    inflater = make_inflater(
        transport=mode if mode.endswith("-stream") else None, payload=mode == "zlib", limit=limit, max_window=WINDOW
    )
    reference, packer = _reference(mode, limit), Packer(mode)
    for _ in range(200):
        if not source:
            return
        for message in _messages(source, packer):
            alive = _compare(inflater, reference, message, limit)
            if not alive and mode != "zlib":
                return


def _messages(source: Source, packer: Packer) -> list[bytes]:
    """The payloads of the next BINARY messages: whole, split, damaged, too much, or no such stream at all."""
    match source.byte() % 7:
        case 0:
            return [packer.pack(source.blob())]
        case 1:
            sizes = [1 + source.byte(), 1 + source.byte()]
            return cut(packer.pack(source.blob()), sizes)
        case 2:
            at, mask = source.number(), source.byte()
            packed = bytearray(packer.pack(source.blob()))
            if packed:
                packed[at % len(packed)] ^= mask
            return [bytes(packed)]
        case 3:
            return [source.blob()]
        case 4:
            return [packer.pack(source.number() * b"z")]
        case 5:
            return [packer.end()]
        case _:
            return [packer.pack(source.blob()) + source.blob()]


def _compare(inflater: Inflater, reference: _Reference, message: bytes, limit: int) -> bool:
    """Inflate one message by both. False if that broke the stream."""
    fault: _Broken | _TooLarge | None = None
    wanted: bytes | None = None
    try:
        wanted = reference.inflate(message)
    except (_Broken, _TooLarge) as raised:
        fault = raised
    try:
        data = inflater.inflate(message)
    except BrokenStreamError as raised:
        _check_error(raised, fault, limit)
        return False
    assert fault is None, "the reference could not read this"
    assert data == wanted
    assert isinstance(reference, _Plain) or data is None or len(data) <= limit
    assert inflater.buffered <= limit
    return True


def _check_error(error: BrokenStreamError, fault: _Broken | _TooLarge | None, limit: int) -> None:
    if isinstance(error, WindowTooLargeError):
        assert error == WindowTooLargeError(WINDOW)  # the reference has the library's own bound
    elif isinstance(fault, _TooLarge):
        assert error == InflatedTooLargeError(limit)
    else:
        # What breaks behind the limit may be told as either.
        assert isinstance(error, DecompressionError | InflatedTooLargeError)
        assert fault is not None, error


def seeds() -> dict[str, bytes]:
    hello = b'{"op":10,"d":{"heartbeat_interval":41250}}'
    seeds = {}
    for number, mode in enumerate(MODES):
        seeds[f"{mode}-whole"] = Script().byte(number, 3, 0).blob(hello).byte(0).blob(hello).byte(0).blob(b"{}").data
        seeds[f"{mode}-split"] = Script().byte(number, 3, 1, 2, 0).blob(hello).byte(0).blob(hello).data
        seeds[f"{mode}-damaged"] = Script().byte(number, 0, 2).number(9).byte(4).blob(hello).data
        seeds[f"{mode}-large"] = Script().byte(number, 2, 4).number(60).byte(4).number(61).data
    seeds["zlib-stream-ended"] = Script().byte(0, 0, 0).blob(hello).byte(5).byte(0).blob(hello).data
    seeds["zlib-stream-suffix"] = Script().byte(0, 0, 6).blob(hello).blob(FLUSH_SUFFIX).byte(3).blob(FLUSH_SUFFIX).data
    seeds["zlib-trailing"] = Script().byte(2, 0, 6).blob(hello).blob(b"\x00").data
    return seeds
