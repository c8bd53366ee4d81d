"""Compressing what the server sends (Discord: Gateway > Encoding and Compression).

A deflater belongs to one connection. `deflate` takes the JSON of one gateway message and gives the frame's opcode and
payload; all that was put in comes out with it, so that bytes do not depend on how messages are grouped into drains.
"""

import sys
import zlib
from typing import Final, Protocol

from ..websocket import FrameOpcode

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ZSTD_WINDOW_LOG: Final = 17
"""128 KiB: at the small end of what Discord uses, since each connection holds one."""


MAX_STORED: Final = 128
"""Bytes of a message that does not start a compressor yet. READY has twice as many, what comes before it 60 at most."""
_ZLIB_HEADER: Final = b"\x78\x9c"
"""RFC 1950: deflate, a window of 32 KiB, no dictionary."""
ZSTD_HEADER: Final = b"\x28\xb5\x2f\xfd\x00" + bytes(((ZSTD_WINDOW_LOG - 10) << 3,))
"""RFC 8878 section 3.1.1.1: the magic number, no size, dictionary or checksum, and the window."""
_PARAMETER: Final = zstd.CompressionParameter


class Deflater(Protocol):
    """Gateway messages in, frames' payloads out."""

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]: ...


class Plain:
    """No compression: TEXT."""

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        return FrameOpcode.TEXT, message


class ZlibPayload:
    """Payload compression: a message above the threshold is a zlib document of its own, a smaller one stays TEXT."""

    def __init__(self, level: int, threshold: int) -> None:
        self._level = level
        self._threshold = threshold

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        if len(message) <= self._threshold:
            return FrameOpcode.TEXT, message
        return FrameOpcode.BINARY, zlib.compress(message, self._level)


class ZlibStream:
    """zlib-stream: one stream a connection, flushed to a byte boundary behind each message.

    A compressor takes 268 KiB, so there is none before the first message that is worth it. What comes earlier (HELLO,
    ACKs, op 9: all that a client without a session can ask for) goes into stored blocks (RFC 1951 section 3.2.4). The
    compressor makes blocks alone and refers to nothing before it; since the stream never ends, no checksum is due.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._head = _ZLIB_HEADER
        self._stream: zlib._Compress | None = None

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        if self._stream is not None:
            return FrameOpcode.BINARY, self._stream.compress(message) + self._stream.flush(zlib.Z_SYNC_FLUSH)
        head, self._head = self._head, b""
        if len(message) <= MAX_STORED:
            return FrameOpcode.BINARY, head + _stored(message) + _stored(b"")
        self._stream = zlib.compressobj(self._level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return FrameOpcode.BINARY, head + self.deflate(message)[1]


def _stored(data: bytes) -> bytes:
    """A block as it is, on a byte boundary; an empty one is what Z_SYNC_FLUSH ends with."""
    return b"\0%b%b%b" % (len(data).to_bytes(2, "little"), (len(data) ^ 0xFFFF).to_bytes(2, "little"), data)


class ZstdStream:
    """zstd-stream: one frame a connection that never ends, a block flushed behind each message.

    A compressor takes 800 KiB: as with `ZlibStream`, what comes before it is worth it goes into raw blocks (RFC 8878
    section 3.1.1.2), behind the header that the compressor would write first.
    """

    def __init__(self, level: int) -> None:
        self._level = level
        self._head = ZSTD_HEADER
        self._stream: zstd.ZstdCompressor | None = None

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        if self._stream is not None:
            return FrameOpcode.BINARY, self._stream.compress(message, mode=self._stream.FLUSH_BLOCK)
        head, self._head = self._head, b""
        if len(message) <= MAX_STORED:
            return FrameOpcode.BINARY, head + (len(message) << 3).to_bytes(3, "little") + message
        self._stream = zstd.ZstdCompressor(
            options={_PARAMETER.compression_level: self._level, _PARAMETER.window_log: ZSTD_WINDOW_LOG}
        )
        return FrameOpcode.BINARY, head + self.deflate(message)[1].removeprefix(ZSTD_HEADER)


COMPRESSIONS: Final = ("zlib-stream", "zstd-stream")
"""What the URL's `compress` may name."""


def make_deflater(transport: str | None, *, zlib_level: int, zstd_level: int) -> Deflater:
    """The deflater of a connection whose URL said `compress=transport`."""
    if transport == "zlib-stream":
        return ZlibStream(zlib_level)
    if transport == "zstd-stream":
        return ZstdStream(zstd_level)
    return Plain()
