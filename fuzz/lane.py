"""The WebSocket lane against plain wsproto.

Invariant: whatever bytes a gateway sends, in whatever chunks, `FrameReader` tells the messages, the close code with its
reason or the kind of fault, and the latest PING that the oracle tells, and is silent afterwards. Of an unfinished frame
it never holds more than the limit and a header.

Permitted exceptions: none.
"""

from gateway_proto.websocket import FrameOpcode, WsEvent, close_payload, encode_frame
from gateway_proto.websocket.lane import FrameReader

from .oracle import Outcome, judge, outcome_of
from .source import Script, Source, chunk_sizes, cut

LIMITS = (1000, 125, 4, 70_000)
MAX_HEADER = 14
BYTEWISE = 600
"""Up to so many bytes a stream is fed byte by byte as well."""


def read(chunks: list[bytes], limit: int) -> Outcome:
    """What the reader tells of a stream in these chunks."""
    reader = FrameReader(limit)
    events: list[WsEvent] = []
    for chunk in chunks:
        events += reader.receive_data(chunk)
        held = len(reader._rest)
        assert held < max(limit, 125) + MAX_HEADER, f"{held} bytes of one frame are held"
    outcome = outcome_of(events, reader.ping)
    if outcome.end is not None:
        assert reader.receive_data(encode_frame(FrameOpcode.TEXT, b"late")) == []
    return outcome


def check(stream: bytes, limit: int, sizes: list[int]) -> Outcome:
    """Compare every way of cutting with the oracle. Returns what all of them tell."""
    wanted = judge(stream, limit)
    assert read([stream], limit) == wanted
    assert read(cut(stream, sizes), limit) == wanted
    if len(stream) <= BYTEWISE:
        assert read(cut(stream, [1]), limit) == wanted
    return wanted


def one_input(data: bytes) -> None:
    source = Source(data)
    limit = source.pick(LIMITS)
    sizes = chunk_sizes(source)
    stream = b""
    while source and len(stream) < 300_000:
        stream += _bytes_of(source) if source.byte() % 2 else _frame_of(source)
    check(stream, limit, sizes)


def _bytes_of(source: Source) -> bytes:
    return source.blob()


def _frame_of(source: Source) -> bytes:
    """A frame of any first byte, with its length written in any of the three ways, told truly or not."""
    first, manner = source.byte(), source.byte()
    payload = source.number() * b"x" if manner & 0x40 else source.blob()
    size = (len(payload) + source.number() ** 4) % 2**64 if manner & 0x20 else len(payload)
    form = manner & 3
    if form == 0:
        form = 1 if size < 126 else 2 if size < 65_536 else 3
    mask = 0x80 if manner & 0x10 else 0
    if form == 1:
        header = bytes((first, mask | (size & 0x7F)))
    elif form == 2:
        header = bytes((first, mask | 126)) + (size & 0xFFFF).to_bytes(2)
    else:
        header = bytes((first, mask | 127)) + size.to_bytes(8)
    return header + bytes(mask // 32) + payload


def seeds() -> dict[str, bytes]:
    def script(limit: int, *sizes: int) -> Script:
        return Script().byte(limit, len(sizes) - 1, *sizes)

    def frame(out: Script, first: int, payload: bytes, manner: int = 0) -> Script:
        return out.byte(0, first, manner).blob(payload)

    ordinary = frame(frame(frame(script(0, 0), 0x81, b'{"op":11}'), 0x82, b"\x00\xff"), 0x81, "é€😀".encode())
    fragments = script(0, 3, 1)
    for first, payload in ((0x01, b"\xe2\x82"), (0x89, b"ping"), (0x00, b"\xac"), (0x8A, b""), (0x80, b"end")):
        frame(fragments, first, payload)
    intruder = frame(frame(script(0, 2), 0x01, b"a"), 0x81, b"inside")
    large = frame(frame(script(1, 7), 0x82, b"x" * 125), 0x82, b"x" * 126)
    close = frame(script(0, 1), 0x88, close_payload(4004, "no"))
    bad_text = frame(script(0, 1), 0x88, b"\x0f\xa4\xff")
    bad_code = frame(script(0, 1), 0x88, b"\x03\xed")
    lengths = script(3, 4, 8).byte(0, 0x81, 0x40).number(126).byte(0, 0x82, 0x40).number(65_535)
    huge = script(0, 1).byte(0, 0x82, 0x23).blob(b"abc").number(60_000)
    refused = {
        f"refused-{name}": frame(script(1, 1), first, b"abc", manner).data
        for name, first, manner in (("rsv", 0xC1, 0), ("masked", 0x81, 0x10), ("opcode", 0x83, 0), ("length", 0x81, 2))
    }
    ping = Script().byte(2, 0, 1)
    for payload in (b"1", b"2"):
        ping.byte(1).blob(encode_frame(FrameOpcode.PING, payload))
    scripts = {
        "ordinary": ordinary,
        "fragments": fragments,
        "intruder": intruder,
        "large": large,
        "close": close,
        "close-bad-text": bad_text,
        "close-bad-code": bad_code,
        "lengths": lengths,
        "huge": huge,
        "pings": ping,
    }
    return {**{name: script.data for name, script in scripts.items()}, **refused}
