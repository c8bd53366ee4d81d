"""The fast lane against plain wsproto (`fuzz/oracle.py`), over whole and damaged streams, in any chunking."""

import random
import tracemalloc
from itertools import pairwise

import pytest
import wsproto.events as ws
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType

from fuzz.lane import MAX_HEADER, check, read
from fuzz.oracle import Outcome, judge
from gateway_proto.errors import MessageTooLargeError
from gateway_proto.url import parse_gateway_url
from gateway_proto.websocket import (
    Broken,
    CloseReceived,
    FrameOpcode,
    Opened,
    WebSocketClient,
    close_payload,
    encode_frame,
)
from gateway_proto.websocket.lane import FrameReader

from .test_upgrade import PARAMETERS, switching, upgrade

LIMIT = 70_000
CHUNKS = [1, 2, 3, 7, 1400, 99_999]


def frame(first: int, payload: bytes = b"", *, form: int | None = None, mask: bool = False) -> bytes:
    """A server's frame of any first byte. `form`: the length in so many bytes (0, 2 or 8), minimal or not."""
    size, flag = len(payload), 0x80 * mask
    form = form if form is not None else 0 if size < 126 else 2 if size < 65_536 else 8
    length = bytes((flag | size,)) if form == 0 else bytes((flag | (126 if form == 2 else 127),)) + size.to_bytes(form)
    return bytes((first,)) + length + bytes(4 * mask) + payload


def declared(first: int, size: int) -> bytes:
    """A header that announces more than ever comes."""
    return bytes((first, 127)) + size.to_bytes(8)


# -- streams -----------------------------------------------------------------------------------------------------------

sizes = st.sampled_from([0, 1, 125, 126, 1000, 65_535, 65_536, LIMIT])
payloads = st.binary(max_size=130) | sizes.map(lambda size: b"x" * size)
texts = (st.text(max_size=60) | st.sampled_from(["", "é" * 70, "😀", "x" * 65_536])).map(str.encode)
ordinary = st.builds(frame, st.just(0x81), texts) | st.builds(frame, st.just(0x82), payloads)
pings = st.builds(frame, st.sampled_from([0x89, 0x8A]), st.binary(max_size=125))


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A message in several frames, cut anywhere, with control frames between them."""
    is_text = draw(st.booleans())
    message = draw(texts if is_text else payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(message)), min_size=1, max_size=4)))
    parts = [message[start:end] for start, end in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    stream = b""
    for number, part in enumerate(parts):
        first = (1 if is_text else 2) if number == 0 else 0
        stream += frame(first | 0x80 * (number == len(parts) - 1), part) + draw(st.just(b"") | pings)
    return stream


close_codes = st.sampled_from([1000, 1001, 4000, 4004, 4007, 4014, 4999, 1004, 1005, 1006, 1015, 0, 999, 5000, 65_535])
closes = st.one_of(
    st.builds(lambda code, reason: frame(0x88, close_payload(code, reason)), close_codes, st.text(max_size=130)),
    st.builds(lambda code, reason: frame(0x88, code.to_bytes(2) + reason), close_codes, st.binary(max_size=123)),
    st.just(frame(0x88)),
)
malformed = st.one_of(
    st.builds(frame, st.sampled_from([0xC1, 0xA1, 0x91, 0xC2, 0xF1, 0xC9, 0xD8, 0xC0]), st.binary(max_size=130)),
    st.builds(lambda first, data: frame(first, data, mask=True), st.sampled_from([0x81, 0x82, 0x89, 0x88]), payloads),
    st.builds(
        lambda first, size: frame(first, b"x" * size, form=2), st.sampled_from([0x81, 0x01]), st.integers(0, 125)
    ),
    st.builds(
        lambda first, size: frame(first, b"x" * size, form=8), st.sampled_from([0x82, 2]), st.integers(0, 65_535)
    ),
    st.builds(frame, st.sampled_from([0x83, 0x87, 0x8B, 0x8F, 0x03, 0x0B]), st.binary(max_size=130)),
    st.builds(frame, st.sampled_from([0x09, 0x08, 0x0A]), st.binary(max_size=125)),
    st.builds(frame, st.sampled_from([0x89, 0x88, 0x8A]), st.binary(min_size=126, max_size=200)),
    st.builds(frame, st.sampled_from([0x00, 0x80]), payloads),
    st.builds(lambda data: frame(0x81, data + b"\xff"), st.binary(max_size=130)),
    st.just(frame(0x88, b"\x0f")),
)
too_large = st.builds(declared, st.sampled_from([0x81, 0x82, 0x01, 0x02]), st.integers(LIMIT + 1, 2**63 - 1))
odd = st.one_of(
    # A message that nothing ends, and what may then come inside it.
    st.builds(frame, st.sampled_from([0x01, 0x02]), texts),
    st.builds(frame, st.sampled_from([0x81, 0x01, 0x00]), st.binary(min_size=1, max_size=130)),
    st.builds(declared, st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x83]), st.integers(LIMIT, 2**64 - 1)),
    st.binary(max_size=40),
)
good = st.one_of(ordinary, fragmented(), pings)
anything = st.sampled_from([good, good, good, closes, malformed, too_large, odd]).flatmap(lambda kind: kind)
chunkings = st.lists(st.integers(1, 99_999) | st.integers(1, 20), min_size=1, max_size=4)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Frames, good and bad; the last may be cut off, and a byte may be another."""
    stream = bytearray(b"".join(draw(st.lists(anything, min_size=1, max_size=6))))
    if draw(st.booleans()):
        del stream[draw(st.integers(0, len(stream))) :]
    if stream and draw(st.booleans()):
        stream[draw(st.integers(0, min(len(stream) - 1, 300)))] ^= 1 << draw(st.integers(0, 7))
    return bytes(stream)


@pytest.mark.failure("F28", "F29")
@given(streams(), st.sampled_from([LIMIT, 1000, 125, 4]), chunkings)
@example(b"\x81\x00", 4, [1])
@settings(max_examples=250)
def test_the_lane_tells_what_wsproto_tells_in_any_chunking(stream: bytes, limit: int, sizes: list[int]) -> None:
    outcome = check(stream, limit, sizes)
    event(f"end: {outcome.end if isinstance(outcome.end, str | None) else 'closed'}")


ENDS = {"None": st.just(b""), "closed": closes, "malformed": malformed, "too large": too_large}


@pytest.mark.failure("F16", "F17", "F28", "F29")
@pytest.mark.parametrize("kind", ENDS)
@given(data=st.data(), before=st.lists(good, min_size=1, max_size=4), sizes=chunkings)
@settings(max_examples=60)
def test_each_end_with_messages_before_it(
    kind: str, data: st.DataObject, before: list[bytes], sizes: list[int]
) -> None:
    """The same, where it is certain that there is something to compare."""
    told = judge(b"".join(before), LIMIT)
    after = data.draw(good) if kind != "None" else b""
    outcome = check(b"".join(before) + data.draw(ENDS[kind]) + after, LIMIT, sizes)
    assert outcome._replace(end=None) == told
    assert (outcome.end if isinstance(outcome.end, str) else "closed" if outcome.end else "None") == kind


@pytest.mark.parametrize("size", [0, 1, 2, 125, 126, 65_535, 65_536, 99_999])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_ordinary_frames_of_every_length(size: int, chunk: int) -> None:
    text, data = "é".encode() + b"x" * size, b"\xff" * size
    stream = frame(0x81, text) + frame(0x82, data) + frame(0x81, b"{}")
    outcome = check(stream, 200_000, [chunk])
    assert outcome == Outcome([(True, text), (False, data), (True, b"{}")], None, None)


@pytest.mark.failure("F28")
def test_a_message_split_at_every_point() -> None:
    text = 'a"é€😀{}'.encode()
    for at in range(len(text) + 1):
        stream = frame(0x01, text[:at]) + frame(0x89, b"p") + frame(0x80, text[at:]) + frame(0x81, b"next")
        assert check(stream, LIMIT, [1, 3]) == Outcome([(True, text), (True, b"next")], None, b"p")


@pytest.mark.failure("F28")
def test_an_ordinary_frame_inside_a_fragmented_message_is_a_fault() -> None:
    # The fast lane must stay closed while a message is open: RFC 6455 section 5.4.
    for first in (0x81, 0x82, 0x01):
        assert check(frame(0x01, b"a") + frame(first, b"b") + frame(0x80, b"c"), LIMIT, [1]).end == "malformed"
    assert check(frame(0x80, b"a"), LIMIT, [1]).end == "malformed"


@pytest.mark.failure("F28")
@pytest.mark.parametrize(
    "bad",
    [
        frame(0xC1, b"{}"),
        frame(0x81, b"{}", mask=True),
        frame(0x81, b"{}", form=2),
        frame(0x81, b"x" * 126, form=8),
        frame(0x83, b"{}"),
        frame(0x8B),
        frame(0x09, b"{}"),
        frame(0x89, b"x" * 126),
        frame(0x81, b"\xff"),
        frame(0x81, b"\xed\xa0\x80"),
        frame(0x88, b"\x0f"),
        declared(0x81, 2**63),
    ],
    ids=lambda bad: bad[:4].hex(),
)
def test_what_came_before_a_fault_is_told_and_nothing_after(bad: bytes) -> None:
    stream = frame(0x81, b"1") + frame(0x82, b"2") + bad + frame(0x81, b"3")
    for chunk in CHUNKS:
        assert check(stream, LIMIT, [chunk]) == Outcome([(True, b"1"), (False, b"2")], "malformed", None)


# -- closing -----------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F16", "F17")
@pytest.mark.parametrize("reason", [b"", b"why", "é".encode(), b"\xff\xfe", b"cut \xe2\x82", b"x" * 123])
@pytest.mark.parametrize("code", [0, 999, 1000, 1001, 1005, 1006, 1015, 2999, 4000, 4004, 4014, 5000, 65_535])
def test_the_close_code_is_read_whatever_its_reason(code: int, reason: bytes) -> None:
    stream = frame(0x81, b"1") + frame(0x88, code.to_bytes(2) + reason) + frame(0x81, b"2")
    for chunk in CHUNKS:
        outcome = check(stream, LIMIT, [chunk])
        assert outcome == Outcome([(True, b"1")], (code, reason.decode(errors="replace")), None)


@pytest.mark.failure("F16")
def test_wsproto_alone_would_hide_the_code() -> None:
    """Why close frames are read ahead of it."""
    peer = Connection(ConnectionType.CLIENT)
    peer.receive_data(frame(0x88, (4004).to_bytes(2) + b"\xff"))
    [closed] = peer.events()
    assert isinstance(closed, ws.CloseConnection)
    assert closed.code != 4004


@pytest.mark.failure("F17")
def test_a_close_frame_without_a_code_or_inside_a_message() -> None:
    assert check(frame(0x88), LIMIT, [1]).end == (None, "")
    assert check(frame(0x01, b"a") + frame(0x88, b"\x0f\xa0"), LIMIT, [1]).end == (4000, "")
    assert check(frame(0x88, b"\x0f\xa0", mask=True), LIMIT, [1]).end == "malformed"
    assert check(frame(0xC8, b"\x0f\xa0"), LIMIT, [1]).end == "malformed"


# -- bounds ------------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F29")
@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize("limit", [0, 4, 125, 126, 65_535, 65_536, LIMIT])
@pytest.mark.parametrize("parts", [1, 2, 3])
def test_the_limit_to_the_byte(limit: int, over: int, parts: int) -> None:
    message = b"x" * (limit + over)
    cuts = [len(message) * number // parts for number in range(parts + 1)]
    pieces = [message[start:end] for start, end in pairwise(cuts)]
    stream = b"".join(
        frame((0x02 if number == 0 else 0) | (0x80 if number == parts - 1 else 0), piece)
        for number, piece in enumerate(pieces)
    )
    for chunk in (1400, 99_999):
        outcome = check(stream, limit, [chunk])
        assert outcome == Outcome([] if over else [(False, message)], "too large" if over else None, None)


@pytest.mark.failure("F29")
def test_the_limit_counts_a_character_that_a_frame_cuts() -> None:
    character = "😀".encode()
    stream = frame(0x01, character[:3]) + frame(0x80, character[3:] + b"ab")
    assert read([stream], 6) == Outcome([(True, character + b"ab")], None, None)
    for limit in (3, 4, 5):
        assert read([stream], limit) == judge(stream, limit) == Outcome([], "too large", None)


@pytest.mark.failure("F29")
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0x02])
@pytest.mark.parametrize("size", [LIMIT + 1, 2**31, 2**62])
def test_a_declared_length_over_the_limit_is_refused_before_a_byte_is_stored(first: int, size: int) -> None:
    for chunk in CHUNKS[:5]:
        reader = FrameReader(LIMIT)
        header = declared(first, size)
        events = [told for at in range(0, len(header), chunk) for told in reader.receive_data(header[at : at + chunk])]
        assert events == [Broken(MessageTooLargeError(LIMIT))]
        assert len(reader._rest) == 0
        tracemalloc.start()
        try:
            for _ in range(100):
                assert reader.receive_data(b"x" * 65_536) == []
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.failure("F29")
@given(streams(), st.sampled_from([LIMIT, 1000, 4]), chunkings)
@settings(max_examples=100)
def test_never_more_is_held_than_one_frame_within_the_limit(stream: bytes, limit: int, sizes: list[int]) -> None:
    reader = FrameReader(limit)
    at = 0
    for turn in range(200):
        size = sizes[turn % len(sizes)]
        reader.receive_data(stream[at : at + size])
        at += size
        assert len(reader._rest) < max(limit, 125) + MAX_HEADER
        assert len(reader._partial) <= limit


def test_a_large_frame_in_small_chunks_grows_in_place() -> None:
    """Else each chunk would copy all before it: 3,000 times 4 MiB."""
    payload = random.Random(1).randbytes(2**22)
    stream = frame(0x82, payload) + frame(0x81, b"{}")
    reader = FrameReader(2**23)
    buffers = set()
    events = []
    for at in range(0, len(stream), 1400):
        events += reader.receive_data(stream[at : at + 1400])
        if isinstance(reader._rest, bytearray):
            buffers.add(id(reader._rest))
    assert len(buffers) == 1
    assert events == [(False, payload), (True, b"{}")]


def test_messages_are_bytes_of_their_own() -> None:
    """A Raw of the decoder pins its buffer: a slice of a growing one could never be freed."""
    reader = FrameReader(LIMIT)
    [message] = [told for byte in frame(0x81, b'{"op":11}') for told in reader.receive_data(bytes((byte,)))]
    assert message == (True, b'{"op":11}')
    assert isinstance(message, tuple)
    assert type(message[1]) is bytes


# -- pings -------------------------------------------------------------------------------------------------------------


def opened() -> WebSocketClient:
    client = WebSocketClient(
        parse_gateway_url("wss://gateway.discord.gg"),
        PARAMETERS,
        user_agent="agent (1)",
        rng=random.Random(1),
        max_message=LIMIT,
        max_response=LIMIT,
    )
    client.data_to_send()
    assert client.receive_data(switching(upgrade())) == [Opened()]
    return client


def written(client: WebSocketClient) -> list[ws.Event]:
    peer = Connection(ConnectionType.SERVER)
    peer.receive_data(client.data_to_send())
    return list(peer.events())


@pytest.mark.failure("F10")
def test_only_the_latest_ping_is_answered() -> None:
    client = opened()
    for payload in (b"1", b"2", b"3"):
        assert client.receive_data(frame(0x89, payload)) == []
    assert written(client) == [ws.Pong(payload=b"3")]
    assert written(client) == []
    client.receive_data(frame(0x89, b"4") + frame(0x81, b"{}") + frame(0x89, b"5"))
    client.send_message(b"[]")
    [message, pong] = written(client)
    assert isinstance(message, ws.TextMessage)
    assert pong == ws.Pong(payload=b"5")


@pytest.mark.failure("F10")
def test_a_flood_of_pings_is_held_as_one() -> None:
    client = opened()
    tracemalloc.start()
    try:
        for _ in range(50):
            client.receive_data(frame(0x89, b"x" * 125) * 100)
        assert tracemalloc.get_traced_memory()[0] < 2**18
    finally:
        tracemalloc.stop()
    assert written(client) == [ws.Pong(payload=b"x" * 125)]


def test_nothing_is_framed_after_our_close() -> None:
    client = opened()
    client.receive_data(frame(0x89, b"p"))
    client.close(4000, "bye")
    client.send_message(b"{}")
    client.receive_data(frame(0x89, b"q"))
    [closed] = written(client)
    assert closed == ws.CloseConnection(code=4000, reason="bye")
    assert client.receive_data(frame(0x88, b"\x0f\xa0")) == [CloseReceived(4000, "")]


def test_frames_of_our_own_making_are_ordinary() -> None:
    stream = encode_frame(FrameOpcode.TEXT, b"{}") + encode_frame(FrameOpcode.BINARY, b"\xff" * 70_000)
    assert check(stream, LIMIT, [1400]).messages == [(True, b"{}"), (False, b"\xff" * 70_000)]
