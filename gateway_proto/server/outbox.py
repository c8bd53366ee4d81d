"""What a connection has yet to send, in order: gateway messages, compressed and framed at the drain, and raw bytes.

Here are also the faults that concern the shape of the stream and not its meaning.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from ..websocket import FrameOpcode, encode_frame
from ..websocket.frames import frame_header
from .deflate import Deflater, Plain

_FIN: Final = 0x80


class Outbox:
    """Queue with `message` and `raw`, drain with `take`. `unsent` counts the bytes of what waits."""

    __slots__ = ("_corrupted", "_drained", "_messages", "_wire", "chunk", "deflater", "fragment", "split", "unsent")

    def __init__(self) -> None:
        self.deflater: Deflater = Plain()
        self.unsent: int = 0
        self.chunk: int | None = None
        self.fragment: int | None = None
        self.split: int | None = None
        self._messages: list[bytes] = []
        # Bytes ready to be written, all before `_messages`.
        self._wire: list[bytes | bytearray] = []
        self._drained = 0
        # Where in the stream to change which bits: {absolute position: mask}.
        self._corrupted: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._messages or self._wire)

    def message(self, payload: bytes) -> None:
        """Queue a gateway message."""
        self._messages.append(payload)
        self.unsent += len(payload)

    def extend(self, payloads: Sequence[bytes]) -> None:
        """Queue gateway messages."""
        self._messages += payloads
        self.unsent += sum(map(len, payloads))

    def replay(self, payloads: list[bytes]) -> None:
        """Queue messages that the session holds anyway: they are not counted as unsent."""
        self._messages += payloads

    def raw(self, data: bytes) -> None:
        """Queue bytes as they are."""
        self.frame_messages()
        if self._wire and isinstance(self._wire[-1], bytearray):
            # A client that does not read can ask for answers of two bytes: as objects they would be forty each.
            self._wire[-1] += data
        else:
            self._wire.append(bytearray(data))
        self.unsent += len(data)

    def clear(self) -> None:
        """Forget everything: the socket will be reset."""
        self._messages.clear()
        self._wire.clear()
        self.unsent = 0

    def corrupt(self, offset: int, mask: int) -> None:
        """Change a byte, `offset` behind what is queued so far."""
        self.frame_messages()
        position = self._drained + sum(len(data) for data in self._wire) + offset
        self._corrupted[position] = self._corrupted.get(position, 0) ^ mask

    def frame_messages(self) -> None:
        """Compress and frame what is queued; needed before the deflater or the way of splitting changes."""
        append, deflate = self._wire.append, self.deflater.deflate
        if self.fragment is None and self.split is None:
            for message in self._messages:
                opcode, payload = deflate(message)
                # The header by itself: a payload is copied once, at the drain.
                append(frame_header(opcode, len(payload)))
                append(payload)
        else:
            for message in self._messages:
                self._wire += self._split(*deflate(message))
        self._messages.clear()

    def take(self) -> bytes:
        """Drain what may go at once: everything, or a chunk."""
        self.frame_messages()
        data = b"".join(self._wire)
        self._wire.clear()
        self.unsent = 0
        if self.chunk is not None and len(data) > self.chunk:
            data, rest = data[: self.chunk], data[self.chunk :]
            self._wire.append(rest)
            self.unsent = len(rest)
        if self._corrupted:
            data = self._corrupt(data)
        self._drained += len(data)
        return data

    def _split(self, opcode: FrameOpcode, payload: bytes) -> Iterator[bytes]:
        parts = [payload]
        if self.split is not None and opcode is FrameOpcode.BINARY:
            parts = list(_pieces(payload, self.split))
        for part in parts:
            if self.fragment is None:
                yield encode_frame(opcode, part)
            else:
                yield from _fragments(opcode, part, self.fragment)

    def _corrupt(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for position in [position for position in self._corrupted if position < self._drained + len(data)]:
            changed[position - self._drained] ^= self._corrupted.pop(position)
        return bytes(changed)


def _pieces(payload: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(payload), size):
        yield payload[start : start + size]


def _fragments(opcode: FrameOpcode, payload: bytes, size: int) -> Iterator[bytes]:
    """One message in several frames (RFC 6455 section 5.4): only the last has FIN, only the first its opcode."""
    for start in range(0, len(payload), size):
        frame = encode_frame(opcode, payload[start : start + size])
        is_last = start + size >= len(payload)
        yield frame if is_last else bytes((frame[0] & ~_FIN,)) + frame[1:]
        opcode = FrameOpcode.CONTINUATION
