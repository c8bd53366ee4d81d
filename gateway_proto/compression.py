"""Inflating what the gateway compressed, within bounds (Discord: Gateway > Encoding and Compression).

An inflater belongs to one connection and dies with it (F27). `inflate` takes one BINARY message and returns a whole
gateway message, or None when that ends in a later WebSocket message. It raises a `BrokenStreamError` for the
connection to turn into its end; after that it must not be called again.

Asking the decompressors for one byte more than the limit tells "exactly the limit" from "more than that".
"""

import sys
import zlib
from typing import Final, Protocol

from .errors import BrokenStreamError, DecompressionError, InflatedTooLargeError, WindowTooLargeError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FLUSH_SUFFIX: Final = b"\x00\x00\xff\xff"
"""What Z_SYNC_FLUSH ends with: there a message of zlib-stream is whole."""


class Inflater(Protocol):
    """BINARY messages in, gateway messages out."""

    def inflate(self, message: bytes) -> bytes | None: ...

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole yet."""


class Uncompressed:
    """No compression: a BINARY message is JSON like a TEXT one."""

    buffered = 0

    def inflate(self, message: bytes) -> bytes:
        return message


class ZlibPayload:
    """Payload compression: each BINARY message is a zlib document of its own."""

    buffered = 0

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def inflate(self, message: bytes) -> bytes:
        document = zlib.decompressobj()
        try:
            data = document.decompress(message, self._limit + 1)
        except zlib.error as error:
            raise DecompressionError(f"the compressed payload is broken: {error}") from None
        if len(data) > self._limit:
            raise InflatedTooLargeError(self._limit)
        if not document.eof or document.unused_data:
            raise DecompressionError("the compressed payload is not one whole zlib document")
        return data


class ZlibStream:
    """zlib-stream: one stream a connection; a message is whole at the flush suffix, be it several frames on (F28)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._stream = zlib.decompressobj()
        self._partial = bytearray()
        # The last bytes on the wire of the message that is not whole yet; empty while there is none.
        self._tail = b""

    @property
    def buffered(self) -> int:
        return len(self._partial)

    def inflate(self, message: bytes) -> bytes | None:
        if self._tail or not message.endswith(FLUSH_SUFFIX):
            return self._inflate_part(message)
        # What nearly every message is: whole, by itself.
        limit, stream = self._limit, self._stream
        try:
            data = stream.decompress(message, limit + 1)
        except zlib.error as error:
            raise _broken_zlib(error) from None
        if stream.eof or len(data) > limit:
            raise _too_much_zlib(limit, len(data))
        return data

    def _inflate_part(self, message: bytes) -> bytes | None:
        limit, stream = self._limit, self._stream
        try:
            self._partial += stream.decompress(message, limit - len(self._partial) + 1)
        except zlib.error as error:
            raise _broken_zlib(error) from None
        if stream.eof or len(self._partial) > limit:
            raise _too_much_zlib(limit, len(self._partial))
        # The suffix itself may be split.
        self._tail = (self._tail + message)[-len(FLUSH_SUFFIX) :]
        if self._tail != FLUSH_SUFFIX:
            return None
        data = bytes(self._partial)
        self._partial.clear()
        self._tail = b""
        return data


def _broken_zlib(error: zlib.error) -> DecompressionError:
    return DecompressionError(f"the zlib stream is broken: {error}")


def _too_much_zlib(limit: int, size: int) -> BrokenStreamError:
    # At its end zlib would swallow everything that follows without a word.
    return InflatedTooLargeError(limit) if size > limit else DecompressionError("the zlib stream ended")


class ZstdStream:
    """zstd-stream: one frame a connection that never ends; every WebSocket message is one gateway message."""

    buffered = 0

    def __init__(self, limit: int, max_window: int) -> None:
        self._limit = limit
        self._max_window = max_window
        self._stream = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: max_window.bit_length() - 1}
        )

    def inflate(self, message: bytes) -> bytes:
        limit, stream = self._limit, self._stream
        try:
            data = stream.decompress(message, limit + 1)
        except zstd.ZstdError as error:
            if "too much memory" in str(error):
                raise WindowTooLargeError(self._max_window) from None
            raise DecompressionError(f"the zstd stream is broken: {error}") from None
        if stream.eof or not 0 < len(data) <= limit:
            raise self._fault(len(data))
        return data

    def _fault(self, size: int) -> BrokenStreamError:
        if size > self._limit:
            return InflatedTooLargeError(self._limit)
        if self._stream.eof:
            return DecompressionError("the zstd stream ended")
        return DecompressionError("a message of the zstd stream was not flushed")


def make_inflater(*, transport: str | None, payload: bool, limit: int, max_window: int) -> Inflater:
    """The inflater for BINARY messages of a connection with these settings."""
    if transport == "zlib-stream":
        return ZlibStream(limit)
    if transport == "zstd-stream":
        return ZstdStream(limit, max_window)
    return ZlibPayload(limit) if payload else Uncompressed()
