"""Writing frames: read back by wsproto, on either side of the wire."""

import random
from collections.abc import Iterator

import pytest
import wsproto.events as ws
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.frame_protocol import CloseReason, FrameProtocol

from gateway_proto.websocket import FrameOpcode, apply_mask, close_payload, encode_frame
from gateway_proto.websocket.frames import MAX_CONTROL_PAYLOAD

SIZES = [0, 1, 3, 4, 125, 126, 127, 65_535, 65_536, 100_000]
masks = st.binary(min_size=4, max_size=4)
controls = st.sampled_from([FrameOpcode.PING, FrameOpcode.PONG])


def read(data: bytes, *, masked: bool) -> Iterator[ws.Event]:
    """What wsproto reads, as a server if the frames are masked."""
    peer = Connection(ConnectionType.SERVER if masked else ConnectionType.CLIENT)
    peer.receive_data(data)
    yield from peer.events()


@pytest.mark.parametrize("mask", [None, b"\x00\x00\x00\x00", b"\x12\x34\x56\xff"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [FrameOpcode.TEXT, FrameOpcode.BINARY])
def test_wsproto_reads_what_is_written(opcode: FrameOpcode, size: int, mask: bytes | None) -> None:
    payload = bytes(random.Random(size).choices(range(128), k=size))
    frame = encode_frame(opcode, payload, mask)
    [event] = read(frame, masked=mask is not None)
    assert isinstance(event, ws.TextMessage | ws.BytesMessage)
    assert event.message_finished
    assert event.data == (payload.decode() if opcode is FrameOpcode.TEXT else payload)
    if mask is None:
        server = FrameProtocol(client=False, extensions=[])
        assert frame == server.send_data(payload.decode() if opcode is FrameOpcode.TEXT else payload)


@given(st.lists(st.tuples(st.binary(max_size=300), st.none() | masks), max_size=6))
def test_frame_after_frame(written: list[tuple[bytes, bytes | None]]) -> None:
    for masked in (False, True):
        frames = [
            encode_frame(FrameOpcode.BINARY, data, mask) for data, mask in written if (mask is not None) is masked
        ]
        events = list(read(b"".join(frames), masked=masked))
        wanted = [data for data, mask in written if (mask is not None) is masked]
        assert [event.data for event in events if isinstance(event, ws.BytesMessage)] == wanted


@given(controls, st.binary(max_size=MAX_CONTROL_PAYLOAD), st.none() | masks)
def test_control_frames(opcode: FrameOpcode, payload: bytes, mask: bytes | None) -> None:
    [event] = read(encode_frame(opcode, payload, mask), masked=mask is not None)
    assert isinstance(event, ws.Ping if opcode is FrameOpcode.PING else ws.Pong)
    assert event.payload == payload


@given(st.binary(max_size=2000), masks)
def test_masking_twice_is_nothing(payload: bytes, mask: bytes) -> None:
    masked = apply_mask(payload, mask)
    assert masked == bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    assert apply_mask(masked, mask) == payload


codes = st.integers(1000, 1003) | st.integers(1007, 1011) | st.integers(3000, 4999)


@pytest.mark.failure("F17")
@given(codes, st.text(max_size=200), st.none() | masks)
def test_a_close_frame_fits_and_is_read(code: int, reason: str, mask: bytes | None) -> None:
    payload = close_payload(code, reason)
    assert len(payload) <= MAX_CONTROL_PAYLOAD
    [event] = read(encode_frame(FrameOpcode.CLOSE, payload, mask), masked=mask is not None)
    assert isinstance(event, ws.CloseConnection)
    assert event.code == code
    said = event.reason or ""
    assert reason.startswith(said)
    # It is cut between two characters, and no sooner than it must be.
    assert said == reason or 2 + len((said + reason[len(said)]).encode()) > MAX_CONTROL_PAYLOAD


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
@pytest.mark.parametrize("before", range(4))
def test_a_reason_is_never_cut_inside_a_character(character: str, before: int) -> None:
    reason = "." * before + character * 130
    said = close_payload(4000, reason)[2:].decode()
    assert reason.startswith(said)
    assert len(said.encode()) > MAX_CONTROL_PAYLOAD - 2 - len(character.encode())


def test_a_close_frame_without_a_reason() -> None:
    [event] = read(encode_frame(FrameOpcode.CLOSE, close_payload(1000)), masked=False)
    assert isinstance(event, ws.CloseConnection)
    assert (event.code, event.reason) == (CloseReason.NORMAL_CLOSURE, "")
