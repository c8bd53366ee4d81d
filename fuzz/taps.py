"""What stands beside a socket and reads along: `Upstream` and `Downstream` of the testing harness.

The input is a head, honest or not, and then frames, honest or not, or any bytes.

Invariants:
- a stream tells the same in whatever chunks it comes;
- behind a frame that is not allowed, a close of a client, or a broken stream there is silence;
- what was said honestly is heard, message by message, through every compression.

Permitted exceptions: none.
"""

import json
import zlib
from typing import Final

from gateway_proto.server.deflate import Deflater, Plain, ZlibPayload, make_deflater
from gateway_proto.testing.taps import Closed, Downstream, Heard, Payload, Unreadable, Upstream
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .source import CHUNKS, Script, Source, chunk_sizes, cut

MASK: Final = b"\x01\x02\x03\x04"
BYTEWISE: Final = 600
"""Up to so many bytes a stream is cut into single bytes as well."""
COMPRESSIONS: Final = (None, "zlib-stream", "zstd-stream", "x", "")
TARGETS: Final = (b"/?v=10", b"/?compress=zlib-stream", b"//[", b"/?compress=\xff%ff&compress=x", b"*", b"http://[x/?a")
ENDS: Final = (b" HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n\r\n", b" HTTP/1.1\n\n")
STATUSES: Final = (b"101 Switching Protocols", b"200 OK", b"101", b"")


class _Said:
    """What a stream says, as far as it does so honestly: until something in it is not."""

    def __init__(self, source: Source, deflater: Deflater, mask: bytes | None) -> None:
        self.stream = b""
        self.heard: list[Heard] = []
        self.is_honest = True
        self._mask = mask
        while source and len(self.stream) < 100_000:
            kind = source.byte()
            if kind % 4:
                self._message(source, kind, deflater)
            else:
                self._other(source, kind // 4)

    def _message(self, source: Source, kind: int, deflater: Deflater) -> None:
        """A payload, whole or in fragments."""
        opcode, size = source.byte() % 12, source.byte() * (50 if kind & 64 else 1)
        message = json.dumps({"op": opcode, "d": {"x": "y" * size}, "s": 1 if opcode == 0 else None}).encode()
        self.heard.append(Payload(opcode, json.dumps({"x": "y" * size}).encode(), 1 if opcode == 0 else None))
        frame_opcode, payload = deflater.deflate(message)
        if kind & 32 and len(payload) > 1:
            half = len(payload) // 2
            first = encode_frame(frame_opcode, payload[:half], self._mask)
            self.stream += bytes((first[0] & 0x7F,)) + first[1:]
            frame_opcode, payload = FrameOpcode.CONTINUATION, payload[half:]
        self.stream += encode_frame(frame_opcode, payload, self._mask)

    def _other(self, source: Source, kind: int) -> None:
        if kind % 4 == 0:
            self.stream += encode_frame(FrameOpcode.PING, source.take(5), self._mask)
            return
        self.is_honest = False
        if kind % 4 == 1:
            self.stream += source.blob()
        elif kind % 4 == 2:
            payload = close_payload(source.number(), source.blob()[:100].decode(errors="replace"))
            self.stream += encode_frame(FrameOpcode.CLOSE, payload, self._mask)
        else:
            opcode = FrameOpcode.BINARY if kind & 4 else FrameOpcode.TEXT
            payload = source.blob()
            damaged = zlib.compress(payload) if kind & 8 else payload
            mask = self._mask
            if kind & 16:
                mask = None if mask else MASK
            self.stream += encode_frame(opcode, damaged, mask)


def up(chunks: list[bytes]) -> tuple[list[Heard], str | None]:
    """What a client is heard to say, and the compression that it asks for."""
    tap = Upstream()
    heard: list[Heard] = []
    for chunk in chunks:
        ended = any(isinstance(event, Closed) or _is_violation(event) for event in heard)
        more = tap.receive(chunk)
        assert not ended or not more, "a client is heard behind its end"
        heard += more
    return heard, tap.compress


def _is_violation(event: Heard) -> bool:
    return isinstance(event, Unreadable) and "RFC 6455" in event.reason


def down(chunks: list[bytes], compress: str | None) -> tuple[list[Heard], bool, bool]:
    """What a client is heard to be handed, and whether that was a WebSocket and is one no more."""
    tap = Downstream()
    heard: list[Heard] = []
    for chunk in chunks:
        was_broken = tap.is_broken
        more = tap.receive(chunk, compress)
        assert not was_broken or not more, "something is read in a broken stream"
        heard += more
    assert tap.is_open or not [event for event in heard if isinstance(event, Payload)]
    return heard, tap.is_open, tap.is_broken


def one_input(data: bytes) -> None:
    source = Source(data)
    manner, sizes = source.byte(), chunk_sizes(source)
    if manner & 1:
        target, end = source.pick(TARGETS), source.pick(ENDS)
        said = _Said(source, Plain(), MASK)
        stream = b"GET " + target + end + said.stream
        wanted = up([stream])
        is_read = end.endswith(b"\r\n\r\n")
        assert not (is_read and said.is_honest) or wanted[0] == said.heard, "what a client says is not heard"
        assert up(cut(stream, sizes)) == wanted
        assert len(stream) > BYTEWISE or up(cut(stream, [1])) == wanted
        return
    compress, status = source.pick(COMPRESSIONS), source.pick(STATUSES)
    transport = compress if compress in COMPRESSIONS[1:3] else None
    deflater = make_deflater(transport, zlib_level=1, zstd_level=1)
    if compress is None and manner & 2:
        deflater = ZlibPayload(1, 100)
    said = _Said(source, deflater, None)
    stream = b"HTTP/1.1 " + status + b"\r\nX: y\r\n\r\n" + said.stream
    told = down([stream], compress)
    is_read = status == STATUSES[0]
    assert not (is_read and said.is_honest) or told == (said.heard, True, False), "what a client is handed is not heard"
    assert down(cut(stream, sizes), compress) == told
    assert len(stream) > BYTEWISE or down(cut(stream, [1]), compress) == told


def seeds() -> dict[str, bytes]:
    def script(manner: int, first: int, second: int, *sizes: int) -> Script:
        return Script().byte(manner, len(sizes) - 1, *sizes, first, second)

    def say(out: Script) -> Script:
        return out.byte(1, 1, 3).byte(33, 0, 200).byte(0).raw(b"hello").byte(1, 11, 0)

    seven, one = CHUNKS.index(7), CHUNKS.index(1)
    scripts = {
        "client": say(script(1, 0, 0, seven)),
        "client-compressed": say(script(1, 1, 0, one)),
        "client-odd-target": say(script(1, 2, 0, one)),
        "client-odd-query": say(script(1, 3, 0, one)),
        "client-no-head": say(script(1, 4, 2, one)),
        "client-no-target": say(script(1, 5, 1, one)),
        "client-closes": say(say(script(1, 0, 0, seven)).byte(8).number(4000).blob(b"why")),
        "client-unmasked": say(say(script(1, 0, 0, seven)).byte(4).blob(b"\x81\x02{}")),
        "plain": say(say(script(0, 0, 0, seven))),
        "payload": say(say(script(2, 0, 0, seven)).byte(65, 0, 200)),
        "zlib-stream": say(say(script(0, 1, 0, seven))),
        "zstd-stream": say(say(script(0, 2, 0, one))),
        "unknown-compression": say(script(0, 3, 0, one)),
        "refused": say(script(0, 0, 1, seven)),
        "no-status": say(script(0, 0, 3, one)),
        "closed": say(say(script(0, 0, 0, seven)).byte(8).number(4004).blob(b"no")),
        "no-json": say(script(0, 0, 0, seven).byte(12).blob(b"{")),
        # What this target has found.
        "close-behind-a-broken-stream": script(0, 1, 0, 0).byte(28).blob(b"damaged").byte(8).number(4000).blob(b""),
        "broken-twice": script(0, 1, 0, 0).byte(28).blob(b"damaged").byte(4).blob(b"\xff\xff\xff"),
    }
    return {name: out.data for name, out in scripts.items()}
