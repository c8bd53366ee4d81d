"""What a connection has yet to send, in order: gateway messages, compressed and framed at the drain, and raw bytes.

Here are also the faults that concern the shape of the stream and not its meaning.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias

from ..websocket import FrameOpcode, encode_frame
from ..websocket.frames import frame_header
from .deflate import Deflater, Plain

PORTION: Final = 64 * 2**10
"""Bytes of messages from which on a drain takes no more of a replay, and of what is queued behind it: 50,000 events of
1 KB were framed in half a second and twice as much memory as they are."""
_FIN: Final = 0x80
_Behind: TypeAlias = deque[bytes] | bytes | bytearray | Callable[[], None]
"""A replay, a message, frames as they are, or a change in how what follows is framed."""


class Outbox:
    """Queue with `message` and `raw`, drain with `take`. `unsent` counts the bytes of what waits, but not a replay's.

    All is sent in the order in which it was queued. A replay goes out in portions, and what is queued meanwhile stands
    in line behind it.
    """

    __slots__ = (
        "_behind",
        "_corrupted",
        "_drained",
        "_messages",
        "_unsent_behind",
        "_wire",
        "chunk",
        "deflater",
        "fragment",
        "split",
        "unsent",
    )

    def __init__(self) -> None:
        self.deflater: Deflater = Plain()
        self.unsent: int = 0
        self.chunk: int | None = None
        self.fragment: int | None = None
        self.split: int | None = None
        self._messages: list[bytes] = []
        # Bytes ready to be written, all before `_messages`.
        self._wire: list[bytes | bytearray] = []
        # A replay and what was queued after it, all behind `_messages`; as a rule there is none, which saves 700 bytes.
        self._behind: deque[_Behind] | None = None
        self._unsent_behind = 0
        self._drained = 0
        # Where in the stream to change which bits: {absolute position: mask}.
        self._corrupted: dict[int, int] = {}

    def __bool__(self) -> bool:
        return bool(self._messages or self._wire or self._behind is not None)

    def message(self, payload: bytes) -> None:
        """Queue a gateway message."""
        self.unsent += len(payload)
        if self._behind is not None:
            self._behind.append(payload)
            self._unsent_behind += len(payload)
        else:
            self._messages.append(payload)

    def extend(self, payloads: Sequence[bytes]) -> None:
        """Queue gateway messages."""
        size = sum(map(len, payloads))
        self.unsent += size
        if self._behind is not None:
            self._behind += payloads
            self._unsent_behind += size
        else:
            self._messages += payloads

    def replay(self, payloads: list[bytes]) -> None:
        """Queue messages that the session holds anyway: they are not counted as unsent, and go out in portions."""
        if not payloads:
            return
        if self._behind is not None:
            self._behind.append(deque(payloads))
        else:
            self._behind = deque((deque(payloads),))
            # So that a short one is like any other messages.
            self._move_up(PORTION)

    def raw(self, data: bytes | bytearray) -> None:
        """Queue bytes as they are."""
        self.unsent += len(data)
        queue: deque[_Behind] | list[bytes | bytearray]
        if self._behind is not None:
            queue = self._behind
            self._unsent_behind += len(data)
        else:
            self.frame_messages()
            queue = self._wire
        if queue and isinstance(last := queue[-1], bytearray):
            # A client that does not read can ask for answers of two bytes: as objects they would be forty each.
            last += data
        else:
            queue.append(bytearray(data))

    def clear(self) -> None:
        """Forget everything: the socket will be reset."""
        self._messages.clear()
        self._wire.clear()
        self._behind = None
        self.unsent = self._unsent_behind = 0

    def skip_replay(self) -> None:
        """The client has closed and takes no more messages: forget a replay and those behind it, not control frames."""
        frames = [item for item in self._behind or () if isinstance(item, bytearray)]
        self._behind = None
        self.unsent -= self._unsent_behind
        self._unsent_behind = 0
        for frame in frames:
            self.raw(frame)

    def flush_replay(self) -> None:
        """Let all of a replay, and what is behind it, come with the next drain."""
        self._move_up(math.inf)

    # -- changes, each from what is queued next ------------------------------------------------------------------

    def change_deflater(self, deflater: Deflater) -> None:
        """Compress otherwise."""
        self._change(partial(setattr, self, "deflater", deflater))

    def change_fragment(self, size: int) -> None:
        """Fragment messages into frames of this size."""
        self._change(partial(setattr, self, "fragment", size))

    def change_split(self, size: int) -> None:
        """Split compressed messages into messages of this size."""
        self._change(partial(setattr, self, "split", size))

    def corrupt(self, offset: int, mask: int) -> None:
        """Change a byte, `offset` behind what is queued so far."""
        self._change(partial(self._corrupt_at, offset, mask))

    def _change(self, change: Callable[[], None]) -> None:
        if self._behind is not None:
            self._behind.append(change)
        else:
            self.frame_messages()
            change()

    def _corrupt_at(self, offset: int, mask: int) -> None:
        position = self._drained + sum(len(data) for data in self._wire) + offset
        self._corrupted[position] = self._corrupted.get(position, 0) ^ mask

    # -- the way out ---------------------------------------------------------------------------------------------

    def _move_up(self, most: float) -> None:
        """Let what stands behind come forward, until it is so many bytes. It stays counted until it is taken."""
        moved, behind = 0, self._behind
        while behind and moved < most:
            item = behind[0]
            if isinstance(item, deque):
                self._messages.append(item.popleft())
                moved += len(self._messages[-1])
                if item:
                    continue
            elif isinstance(item, bytes | bytearray):
                self._unsent_behind -= len(item)
                moved += len(item)
            behind.popleft()
            if isinstance(item, bytes):
                self._messages.append(item)
            elif not isinstance(item, deque):
                self.frame_messages()
                if isinstance(item, bytearray):
                    self._wire.append(item)
                else:
                    item()
        if not behind:
            self._behind = None

    def frame_messages(self) -> None:
        """Compress and frame what is queued and not behind a replay."""
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
        """Drain what may go at once: everything, but of a replay and what is behind it a portion; or a chunk."""
        if self._behind is not None and not self._messages and not self._wire:
            self._move_up(PORTION)
        self.frame_messages()
        data = b"".join(self._wire)
        self._wire.clear()
        self.unsent = self._unsent_behind
        if self.chunk is not None and len(data) > self.chunk:
            data, rest = data[: self.chunk], data[self.chunk :]
            self._wire.append(rest)
            self.unsent += len(rest)
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
