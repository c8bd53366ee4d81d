"""An input's bytes as a supply of choices, and the way back: a seed is written by the same few steps.

Any bytes are a valid input, and a byte more or less changes little: that is what a mutating fuzzer needs. Where the
supply is exhausted every choice is the first one.
"""

from collections.abc import Iterator, Sequence
from typing import Self, TypeVar

T = TypeVar("T")


class Source:
    """Reads choices off an input."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        """So many bytes, or what is left."""
        taken = self._data[self._at : self._at + size]
        self._at += len(taken)
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def byte(self) -> int:
        return int.from_bytes(self.take(1))

    def number(self) -> int:
        """0 to 65,535."""
        return int.from_bytes(self.take(2))

    def pick(self, values: Sequence[T]) -> T:
        """One of at most 256."""
        return values[self.byte() % len(values)]

    def blob(self) -> bytes:
        """0 to 255 bytes, behind a byte that says how many."""
        return self.take(self.byte())


UNDRAINED = 0x80
"""On an operation's byte: its driver does not drain afterwards."""


def steps(source: Source, operations: Sequence[T], limit: int) -> Iterator[tuple[T, bool]]:
    """The operations that an input names, `limit` at most, each with whether its driver drains afterwards."""
    for _ in range(limit):
        if not source:
            return
        choice = source.byte()
        yield operations[(choice & ~UNDRAINED) % len(operations)], not choice & UNDRAINED


class Script:
    """Writes what a `Source` reads: `pick` and `byte` by `byte`, and so on."""

    def __init__(self) -> None:
        self.data = b""

    def byte(self, *values: int) -> Self:
        self.data += bytes(values)
        return self

    def number(self, value: int) -> Self:
        self.data += value.to_bytes(2)
        return self

    def raw(self, data: bytes) -> Self:
        self.data += data
        return self

    def blob(self, data: bytes) -> Self:
        return self.byte(len(data)).raw(data)


CHUNKS = (99_999, 1, 2, 3, 5, 7, 13, 64, 125, 127, 1000, 4096, 16_384, 65_535)
"""Sizes in which bytes may arrive."""


MAX_CHUNKS = 1000


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut into chunks of these sizes, over and over; what is left after a thousand is one chunk more."""
    chunks: list[bytes] = []
    at = 0
    while at < len(data) and len(chunks) < MAX_CHUNKS:
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(data[at : at + size])
        at += size
    return [*chunks, data[at:]] if at < len(data) else chunks


def chunk_sizes(source: Source) -> list[int]:
    """One to four sizes for `cut`."""
    return [source.pick(CHUNKS) for _ in range(1 + source.byte() % 4)]
