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


STREAM_ERRORS: Final = (zlib.error, zstd.ZstdError)
"""What a `Decompressor` raises."""


class Decompressor(Protocol):
    """One compressed stream, as zlib and zstd have it."""

    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Inflater(Protocol):
    """BINARY messages in, gateway messages out, by `inflate`.

    The innermost loop of the road does the common case itself, by five lines instead of a call (0.13 µs an event, of
    1.3): a message that ends with `suffix` while nothing is `partial` is `stream.decompress(message, ask)`, and good
    unless the stream is at its end or the size is not 1 to `ask` - 1; then, and for `STREAM_ERRORS`, `fault` says why.
    """

    @property
    def stream(self) -> Decompressor | None:
        """None where there is no such case."""

    @property
    def suffix(self) -> bytes: ...
    @property
    def ask(self) -> int: ...
    @property
    def partial(self) -> bool:
        """The last message was not whole."""

    @property
    def buffered(self) -> int:
        """Bytes of a message that is not whole yet."""

    def inflate(self, message: bytes) -> bytes | None: ...
    def fault(self, cause: Exception | int) -> BrokenStreamError:
        """What is wrong with a message: the decompressor's error, or the size that the message came to."""


class Uncompressed:
    """No compression: a BINARY message is JSON like a TEXT one."""

    stream = None
    suffix = b""
    ask = 0
    partial = False
    buffered = 0

    def inflate(self, message: bytes) -> bytes:
        return message

    def fault(self, cause: Exception | int) -> BrokenStreamError:
        return DecompressionError(f"the message is broken: {cause}")


class ZlibPayload(Uncompressed):
    """Payload compression: each BINARY message is a zlib document of its own."""

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

    suffix = FLUSH_SUFFIX

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.ask: int = limit + 1
        self.stream: Decompressor = zlib.decompressobj()
        self._partial = bytearray()
        # The last bytes on the wire of the message that is not whole yet; empty while there is none.
        self._tail = b""

    @property
    def partial(self) -> bool:
        return bool(self._tail)

    @property
    def buffered(self) -> int:
        return len(self._partial)

    def inflate(self, message: bytes) -> bytes | None:
        try:
            self._partial += self.stream.decompress(message, self.ask - len(self._partial))
        except zlib.error as error:
            raise self.fault(error) from None
        if self.stream.eof or len(self._partial) > self._limit:
            raise self.fault(len(self._partial))
        # The suffix itself may be split.
        self._tail = (self._tail + message)[-len(FLUSH_SUFFIX) :]
        if self._tail != FLUSH_SUFFIX:
            return None
        data = bytes(self._partial)
        self._partial.clear()
        self._tail = b""
        return data

    def fault(self, cause: Exception | int) -> BrokenStreamError:
        if isinstance(cause, Exception):
            return DecompressionError(f"the zlib stream is broken: {cause}")
        if cause > self._limit:
            return InflatedTooLargeError(self._limit)
        if self.stream.eof:
            # From here on zlib would swallow everything without a word.
            return DecompressionError("the zlib stream ended")
        return DecompressionError("a message of the zlib stream is empty")


class ZstdStream:
    """zstd-stream: one frame a connection that never ends; every WebSocket message is one gateway message."""

    suffix = b""
    partial = False
    buffered = 0

    def __init__(self, limit: int, max_window: int) -> None:
        self._limit = limit
        self._max_window = max_window
        self.ask: int = limit + 1
        self.stream: Decompressor = zstd.ZstdDecompressor(
            options={zstd.DecompressionParameter.window_log_max: max_window.bit_length() - 1}
        )

    def inflate(self, message: bytes) -> bytes:
        try:
            data = self.stream.decompress(message, self.ask)
        except zstd.ZstdError as error:
            raise self.fault(error) from None
        if self.stream.eof or not 0 < len(data) <= self._limit:
            raise self.fault(len(data))
        return data

    def fault(self, cause: Exception | int) -> BrokenStreamError:
        if isinstance(cause, Exception):
            if "too much memory" in str(cause):
                return WindowTooLargeError(self._max_window)
            return DecompressionError(f"the zstd stream is broken: {cause}")
        if cause > self._limit:
            return InflatedTooLargeError(self._limit)
        if self.stream.eof:
            return DecompressionError("the zstd stream ended")
        return DecompressionError("a message of the zstd stream was not flushed")


def make_inflater(*, transport: str | None, payload: bool, limit: int, max_window: int) -> Inflater:
    """The inflater for BINARY messages of a connection with these settings."""
    if transport == "zlib-stream":
        return ZlibStream(limit)
    if transport == "zstd-stream":
        return ZstdStream(limit, max_window)
    return ZlibPayload(limit) if payload else Uncompressed()
