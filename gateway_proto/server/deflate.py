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
    """zlib-stream: one stream a connection, flushed to a byte boundary behind each message."""

    def __init__(self, level: int) -> None:
        self._stream = zlib.compressobj(level)

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        return FrameOpcode.BINARY, self._stream.compress(message) + self._stream.flush(zlib.Z_SYNC_FLUSH)


class ZstdStream:
    """zstd-stream: one frame a connection that never ends, a block flushed behind each message."""

    def __init__(self, level: int) -> None:
        parameter = zstd.CompressionParameter
        self._stream = zstd.ZstdCompressor(
            options={parameter.compression_level: level, parameter.window_log: ZSTD_WINDOW_LOG}
        )

    def deflate(self, message: bytes) -> tuple[FrameOpcode, bytes]:
        return FrameOpcode.BINARY, self._stream.compress(message, mode=self._stream.FLUSH_BLOCK)


COMPRESSIONS: Final = ("zlib-stream", "zstd-stream")
"""What the URL's `compress` may name."""


def make_deflater(transport: str | None, *, zlib_level: int, zstd_level: int) -> Deflater:
    """The deflater of a connection whose URL said `compress=transport`."""
    if transport == "zlib-stream":
        return ZlibStream(zlib_level)
    if transport == "zstd-stream":
        return ZstdStream(zstd_level)
    return Plain()
