"""The bytes of a gateway, from the HTTP answer on: valid ones with what they mean, and hostile ones, in any chunking.

For whoever reads such bytes: a frame reader, an inflater, a client. Compressions are those of the gateway: None,
"zlib-stream" and "zstd-stream". What is inflated stays within `BOMB` bytes a message.
"""

import base64
from collections.abc import Callable
from itertools import pairwise
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec
from hypothesis import strategies as st
from wsproto.utilities import generate_accept_token

from ..server.deflate import make_deflater
from ..websocket import FrameOpcode, close_payload, encode_frame
from .drawn_messages import Message, gateway_messages, near_misses

Compression: TypeAlias = Literal["zlib-stream", "zstd-stream"] | None
_Cut: TypeAlias = Callable[[bytes], tuple[bytes, ...]]
COMPRESSIONS: Final[tuple[Compression, ...]] = (None, "zlib-stream", "zstd-stream")

BOMB: Final = 4 * 2**20
"""Bytes that the largest message of a hostile stream inflates to; it takes some kilobytes on the wire."""
_FIN: Final = 0x80
_STATUS_LINES: Final = (
    b"HTTP/1.1 503 Service Unavailable", b"HTTP/1.1 429 Too Many Requests", b"HTTP/1.1 200 OK",
    b"HTTP/1.1 302 Found", b"HTTP/1.1 1O1 x", b"\x16\x03\x01",
)  # fmt: skip


class ByteStream(NamedTuple):
    """What a client is to read. `messages` are the JSON texts that a reader of valid frames gets, in order."""

    compression: Compression
    chunks: tuple[bytes, ...]
    messages: tuple[bytes, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.chunks)

    def __repr__(self) -> str:
        sizes = [len(chunk) for chunk in self.chunks]
        return f"<ByteStream {self.compression or 'plain'}: {len(self.messages)} messages, chunks of {sizes} bytes>"


def compressions() -> st.SearchStrategy[Compression]:
    """One of the gateway's transport compressions, or none."""
    return st.sampled_from(COMPRESSIONS)


def chunkings(data: bytes) -> st.SearchStrategy[tuple[bytes, ...]]:
    """The same bytes in pieces: whole, cut at a few places, or in pieces of one size or of sizes that take turns.

    They shrink to one piece, and where more are needed to few.
    """
    return _CUTS.map(lambda cut: cut(data))


def _cuts() -> st.SearchStrategy[_Cut]:
    """How to cut whatever bytes. Drawn without knowing them: so they can shrink without being cut anew."""
    # Sizes count from the largest down: whatever is smaller is less simple.
    sizes = st.lists(st.sampled_from(_SIZES), min_size=1, max_size=4)
    shares = st.lists(st.integers(0, _PARTS - 1), max_size=6)
    return st.one_of(
        shares.map(lambda cuts: lambda data: _cut_at(data, sorted(_at(data, cut) for cut in cuts))),
        sizes.map(lambda turns: lambda data: _cut_by(data, turns)),
    )


_PARTS: Final = 2**16
_SIZES: Final = (16_384, 4096, 1400, 300, 126, 125, 64, 50, 30, 20, 14, 10, 7, 5, 4, 3, 2, 1)
_CUTS: Final = _cuts()


def _cut_by(data: bytes, sizes: list[int]) -> tuple[bytes, ...]:
    pieces: list[bytes] = []
    at = 0
    while at < len(data) and len(pieces) < 2000:
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[at : at + size])
        at += size
    return (*pieces, data[at:]) if at < len(data) else tuple(pieces)


def _cut_at(data: bytes, cuts: list[int]) -> tuple[bytes, ...]:
    places = [0, *cuts, len(data)]
    return tuple(data[start:end] for start, end in pairwise(places) if end > start)


# -- the HTTP answer ---------------------------------------------------------------------------------------------------


def upgrade_answers(key: bytes) -> st.SearchStrategy[bytes]:
    """An answer that accepts the upgrade with this Sec-WebSocket-Key, in whatever order and case of its headers."""
    headers = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", generate_accept_token(key)),
    ]
    more = st.lists(st.sampled_from(((b"Server", b"x"), (b"Date", b"Thu, 01 Jan 2026 00:00:00 GMT"))), max_size=2)
    order = more.flatmap(lambda extra: st.permutations([*headers, *extra]))
    case = st.sampled_from((bytes, bytes.lower, bytes.upper))
    return st.builds(
        lambda headers, case: _head(b"HTTP/1.1 101 Switching Protocols", [(case(n), v) for n, v in headers]),
        order,
        case,
    )


def hostile_upgrade_answers(key: bytes) -> st.SearchStrategy[bytes]:
    """What a client must not take for an accepted upgrade: refusals, another key's token, headers gone, no HTTP."""
    good = [
        (b"Upgrade", b"websocket"),
        (b"Connection", b"Upgrade"),
        (b"Sec-WebSocket-Accept", generate_accept_token(key)),
    ]
    other = base64.b64encode(b"another key's 20 byt")
    line = b"HTTP/1.1 101 Switching Protocols"
    return st.one_of(
        st.sampled_from(_STATUS_LINES).map(lambda status: _head(status, [*good, (b"Retry-After", b"2")])),
        st.sampled_from(range(3)).map(lambda gone: _head(line, good[:gone] + good[gone + 1 :])),
        st.just(_head(line, [*good[:2], (b"Sec-WebSocket-Accept", other)])),
        st.integers(1, 40).map(lambda count: _head(line, good)[:-count]),
        st.integers(1, 100_000).map(lambda size: line + b"\r\nX: " + b"x" * size),
        st.binary(min_size=1, max_size=200).filter(lambda data: not data.startswith(b"HTTP/1.1 101 ")),
    )


def _head(status: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    return b"\r\n".join([status, *(name + b": " + value for name, value in headers), b"", b""])


# -- frames ------------------------------------------------------------------------------------------------------------


def streams(
    compression: Compression = None, *, messages: st.SearchStrategy[Message] | None = None, max_messages: int = 6
) -> st.SearchStrategy[ByteStream]:
    """A valid stream behind the upgrade: each message in one frame or in fragments, PINGs in between.

    Args:
        messages: what it says; by default anything that a gateway says. Each is a message by itself, so that the
            sequences of dispatches are in no order.
    """
    texts = (messages if messages is not None else gateway_messages()).map(msgspec.json.encode)
    # Each message with its shape, and the cuts by themselves: so a message is dropped with what belongs to it.
    said = st.lists(st.tuples(texts, _SHAPES), min_size=1, max_size=max_messages)
    return st.builds(lambda said, cut: _stream(compression, said, cut), said, _CUTS)


def hostile_streams(compression: Compression = None, *, max_messages: int = 4) -> st.SearchStrategy[ByteStream]:
    """A stream with something wrong: truncated, bits flipped, garbage, near-misses, bombs, frames that are not allowed.

    `messages` are what the stream meant before it was damaged. A flipped bit inside a text can leave it valid.
    """
    texts = gateway_messages().map(msgspec.json.encode) | near_misses(gateway_messages())
    said = st.lists(st.tuples(texts, _SHAPES), min_size=1, max_size=max_messages)
    # One at most, and seldom: a bomb costs as much as a hundred other messages.
    bomb = st.one_of(*[st.just(())] * 5, st.tuples(st.tuples(_bombs(), _SHAPES)))
    return st.builds(
        lambda said, bomb, damage, cut: _hostile(compression, [*said, *bomb][-max_messages:], damage, cut),
        said, bomb, _damages(), _CUTS,
    )  # fmt: skip


_Shape: TypeAlias = tuple[int, bytes | None]
_SHAPES: Final[st.SearchStrategy[_Shape]] = st.tuples(
    st.sampled_from((0, 0, 0, 1, 50)), st.none() | st.binary(max_size=125)
)
"""Of a message: bytes in each of its frames (0: one frame), and the PING ahead of it."""


def _stream(compression: Compression, said: list[tuple[bytes, _Shape]], cut: _Cut) -> ByteStream:
    deflater = make_deflater(compression, zlib_level=6, zstd_level=3)
    wire = bytearray()
    for message, (fragment, ping) in said:
        if ping is not None:
            wire += encode_frame(FrameOpcode.PING, ping)
        wire += frames(*deflater.deflate(message), fragment=fragment)
    return ByteStream(compression, cut(bytes(wire)), tuple(message for message, _ in said))


def _hostile(
    compression: Compression, said: list[tuple[bytes, _Shape]], damage: Callable[[bytes], bytes], cut: _Cut
) -> ByteStream:
    whole = _stream(compression, said, lambda data: (data,))
    return whole._replace(chunks=cut(damage(whole.data)))


def frames(opcode: FrameOpcode, payload: bytes, *, fragment: int = 0) -> bytes:
    """A message in one frame, or for a `fragment` above 0 in frames of so many bytes (at most 500 of them)."""
    size = max(fragment, len(payload) // 500 + 1) if fragment else len(payload)
    if size >= len(payload):
        return encode_frame(opcode, payload)
    wire = bytearray()
    for start in range(0, len(payload), size):
        frame = encode_frame(opcode, payload[start : start + size])
        is_last = start + size >= len(payload)
        wire += frame if is_last else bytes((frame[0] & ~_FIN,)) + frame[1:]
        opcode = FrameOpcode.CONTINUATION
    return bytes(wire)


def _bombs() -> st.SearchStrategy[bytes]:
    """A message that compresses a thousandfold; valid JSON, of at most `BOMB` bytes."""
    return st.sampled_from((BOMB // 4, BOMB)).map(lambda size: b'{"op":99,"d":"%b"}' % (b"x" * (size - 16)))


def _damages() -> st.SearchStrategy[Callable[[bytes], bytes]]:
    """What becomes of whatever bytes; places are parts of the whole."""
    place = st.integers(0, _PARTS - 1)
    noise = st.binary(min_size=1, max_size=40) | st.sampled_from(ILLEGAL_FRAMES)
    return st.one_of(
        st.just(bytes),
        place.map(lambda at: lambda data: data[: _at(data, at)]),
        st.lists(st.tuples(place, st.integers(0, 7)), min_size=1, max_size=4).map(
            lambda bits: lambda data: _flip(data, bits)
        ),
        st.builds(lambda at, noise: lambda data: data[: _at(data, at)] + noise + data[_at(data, at) :], place, noise),
        noise.map(lambda noise: lambda data: data + noise),
        st.builds(
            lambda one, other: lambda data: data[: _at(data, min(one, other))] + data[_at(data, max(one, other)) :],
            place,
            place,
        ),
    )


def _at(data: bytes, part: int) -> int:
    return part * len(data) // _PARTS


def _flip(data: bytes, bits: list[tuple[int, int]]) -> bytes:
    changed = bytearray(data)
    for part, bit in bits:
        changed[_at(data, part)] ^= 1 << bit
    return bytes(changed)


ILLEGAL_FRAMES: Final = (
    b"\x81\x80\x01\x02\x03\x04",  # masked, which a server's never is
    b"\xc1\x00",  # RSV1
    b"\x83\x00",  # a reserved opcode
    b"\x09\x00",  # a PING in fragments
    b"\x89\x7e\x00\x7e" + b"x" * 126,  # a PING of more than 125 bytes
    b"\x80\x00",  # a continuation of nothing
    b"\x01\x01x\x81\x01y",  # a message within a fragmented one
    b"\x81\x7e\x00\x01x",  # a length in more bytes than it takes
    b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00",  # a length with its top bit set
    b"\x82\x7f\x00\x00\x00\x00\x40\x00\x00\x00",  # a gibibyte is announced
    b"\x81\x02\xff\xfe",  # TEXT that is no UTF-8
    b"\x88\x01\x03",  # half a close code
    encode_frame(FrameOpcode.CLOSE, (1005).to_bytes(2)),  # a close code that is never sent
    encode_frame(FrameOpcode.CLOSE, (4000).to_bytes(2) + b"\xff"),
    encode_frame(FrameOpcode.CLOSE, close_payload(1000)) + b"\x81\x01x",  # something behind the close
    b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
)
"""What RFC 6455 does not allow a server, or what comes after all is over."""
