"""Writing WebSocket frames (RFC 6455 section 5.2). Reading them is the lane's work.

wsproto would draw masks from the system; here a client's mask comes from the caller's `rng`, so that the same inputs
give the same bytes.
"""

import struct
from enum import IntEnum
from typing import Final


class FrameOpcode(IntEnum):
    """RFC 6455 section 11.8."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


MAX_CONTROL_PAYLOAD: Final = 125
_FIN: Final = 0x80
_MASKED: Final = 0x80
_SHORT: Final = struct.Struct(">BB").pack
_MEDIUM: Final = struct.Struct(">BBH").pack
_LONG: Final = struct.Struct(">BBQ").pack


def encode_frame(opcode: FrameOpcode, payload: bytes, mask: bytes | None = None) -> bytes:
    """One whole, unfragmented frame. `mask` is four bytes from a client, None from a server."""
    if mask is None:
        return frame_header(opcode, len(payload)) + payload
    return frame_header(opcode, len(payload), _MASKED) + mask + apply_mask(payload, mask)


def frame_header(opcode: FrameOpcode, size: int, flag: int = 0) -> bytes:
    """What comes before the payload of a whole frame, or before its mask (then with the flag that says so)."""
    if size < 126:
        return _SHORT(_FIN | opcode, flag | size)
    if size < 65536:
        return _MEDIUM(_FIN | opcode, flag | 126, size)
    return _LONG(_FIN | opcode, flag | 127, size)


def apply_mask(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask (section 5.3): one wide XOR instead of a loop over bytes."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(size)


def close_payload(code: int, reason: str = "") -> bytes:
    """The payload of a close frame; the reason is cut to fit, never inside a character."""
    text = reason.encode()[: MAX_CONTROL_PAYLOAD - 2].decode(errors="ignore")
    return code.to_bytes(2) + text.encode()
