"""The road of an event, bytes to `Dispatch`, against its limit: inflating and decoding the bare envelope.

The limit is one loop over whole messages (`decompress`, then one reused decoder of a Struct with op, s, t and a Raw d)
and nothing else. Road and limit take turns, round by round, on the same bytes: the times are those of the fastest
round, the ratio is the median of the rounds' own ratios, since a machine's speed changes from one moment to the next.
"""

import gc
import operator
import random
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from gateway_proto.testing.stream import GeneratedEvent, guilds, mixed, typing_only
from gateway_proto.websocket import FrameOpcode, encode_frame

from ..peer import Peer, config

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNKS = (1400, 16384, 65536)
STREAMS: dict[str, Callable[[random.Random], Iterator[GeneratedEvent]]] = {
    "mixed": mixed,
    "typing": typing_only,
    "guilds": guilds,
}
COMPRESSIONS = ("none", "zlib-stream", "zstd-stream")
GUILD_BYTES = 40
"""A GUILD_CREATE is so many times as large as another event: fewer of them make a stream."""


class Envelope(msgspec.Struct):
    op: int
    s: int | None = None
    t: str | None = None
    d: msgspec.Raw = msgspec.Raw(b"null")


def rows(events: int, rounds: int) -> list[dict[str, Any]]:
    return [
        row
        for compress in COMPRESSIONS
        for stream in STREAMS
        for row in _rows(compress, stream, events // GUILD_BYTES if stream == "guilds" else events, rounds)
    ]


def _rows(compress: str, stream: str, events: int, rounds: int) -> Iterator[dict[str, Any]]:
    source = STREAMS[stream](random.Random(1))
    messages = [_message(2 + number, next(source)) for number in range(events)]
    wire = _compressed(compress, messages)
    opcode = FrameOpcode.TEXT if compress == "none" else FrameOpcode.BINARY
    data = b"".join(encode_frame(opcode, message) for message in wire[1:])
    for chunk in CHUNKS:
        chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
        road, limit = [], []
        for _ in range(rounds):
            limit.append(_timed(_limit(compress, wire)))
            road.append(_timed(_road(compress, wire[0], chunks, events)))
        yield {
            "compress": compress,
            "stream": stream,
            "chunk": chunk,
            "us_per_event": round(min(road) / events * 1e6, 3),
            "limit_us_per_event": round(min(limit) / events * 1e6, 3),
            "ratio": round(statistics.median(map(operator.truediv, road, limit)), 3),
        }


def _message(sequence: int, event: GeneratedEvent) -> bytes:
    return b'{"t":"%s","s":%d,"op":0,"d":%s}' % (event.name.encode(), sequence, event.data)


def _compressed(compress: str, messages: list[bytes]) -> list[bytes]:
    """READY first, for the shard to be Connected, then the messages; each as it goes on the wire."""
    ready = b'{"t":"READY","s":1,"op":0,"d":{"session_id":"bench","guilds":[]}}'
    if compress == "none":
        return [ready, *messages]
    if compress == "zlib-stream":
        deflate = zlib.compressobj()
        return [deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH) for message in (ready, *messages)]
    compressor = zstd.ZstdCompressor()
    return [compressor.compress(message, compressor.FLUSH_BLOCK) for message in (ready, *messages)]


def _limit(compress: str, wire: list[bytes]) -> Callable[[], None]:
    decode = msgspec.json.Decoder(Envelope).decode
    messages = wire[1:]
    if compress == "none":

        def bare() -> None:
            for message in messages:
                decode(message)

        return bare
    decompress = zlib.decompressobj().decompress if compress == "zlib-stream" else zstd.ZstdDecompressor().decompress
    decompress(wire[0])

    def inflated() -> None:
        for message in messages:
            decode(decompress(message))

    return inflated


def _road(compress: str, ready: bytes, chunks: list[bytes], events: int) -> Callable[[], None]:
    transport = None if compress == "none" else compress
    peer = Peer(config(transport_compression=transport)).to_handshake()
    peer.hello()
    peer.permit()
    opcode = FrameOpcode.TEXT if compress == "none" else FrameOpcode.BINARY
    peer.raw(encode_frame(opcode, ready))
    shard, generation, now = peer.shard, peer.generation, peer.now

    def road() -> None:
        taken = 0
        for chunk in chunks:
            taken += len(shard.receive_data(generation, chunk, now))
        if taken != events:
            raise AssertionError(f"{taken} of {events} events came through")

    return road


def _timed(run: Callable[[], None]) -> float:
    gc.collect()
    gc.disable()
    try:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    finally:
        gc.enable()
