"""What a gateway does to a message before it frames it, for tests that play the gateway byte for byte."""

import sys
import zlib
from typing import Any, Final, Literal

import msgspec

from gateway_proto import ShardConfig
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import config

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

Mode = Literal["none", "zlib", "zlib-stream", "zstd-stream"]
MODES: Final[tuple[Mode, ...]] = ("none", "zlib", "zlib-stream", "zstd-stream")
COMPRESSED: Final[tuple[Mode, ...]] = ("zlib", "zlib-stream", "zstd-stream")


def config_of(mode: Mode, **changes: Any) -> ShardConfig:
    """A config that asks for this compression."""
    transport = mode if mode in ("zlib-stream", "zstd-stream") else None
    return config(transport_compression=transport, payload_compression=mode == "zlib", **changes)


class Packer:
    """One connection's compression, the gateway's side. `none` packs nothing."""

    def __init__(self, mode: Mode, *, level: int = 6, window_log: int | None = None) -> None:
        self.mode = mode
        self._level = level
        self._zlib = zlib.compressobj(level)
        options: dict[int, int] = {zstd.CompressionParameter.compression_level: 3}
        if window_log is not None:
            options[zstd.CompressionParameter.window_log] = window_log
        self._zstd = zstd.ZstdCompressor(options=options)

    def pack(self, message: bytes) -> bytes:
        """The payload of the BINARY message."""
        if self.mode == "zlib":
            return zlib.compress(message, self._level)
        if self.mode == "zlib-stream":
            return self._zlib.compress(message) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if self.mode == "zstd-stream":
            return self._zstd.compress(message, mode=zstd.ZstdCompressor.FLUSH_BLOCK)
        return message

    def end(self) -> bytes:
        """The end of the stream, which no gateway sends."""
        return self._zlib.flush() if self.mode == "zlib-stream" else self._zstd.flush()

    def frame(self, payload: Any) -> bytes:
        """A gateway message as one BINARY frame; JSON is taken as it is when it is bytes."""
        message = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        return encode_frame(FrameOpcode.BINARY, self.pack(message))


def text(payload: Any) -> bytes:
    """A gateway message as one TEXT frame."""
    message = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return encode_frame(FrameOpcode.TEXT, message)


def event(sequence: int, name: str = "MESSAGE_CREATE", d: Any = None) -> dict[str, Any]:
    """A dispatch."""
    return {"op": 0, "t": name, "s": sequence, "d": {"n": sequence} if d is None else d}
