"""The watch, its taps and the harness's wire by themselves: what no client of the other tests does."""

import json
import random
import zlib
from typing import Any

import pytest

from gateway_proto.server import Chunk, Drop, InvalidSession, RequestHeartbeat, SendText, Stall
from gateway_proto.testing.adapter import ShardAdapter
from gateway_proto.testing.harness import Harness
from gateway_proto.testing.steps import (
    CloseForGood,
    Commands,
    Events,
    Recover,
    RefuseDials,
    Step,
    Strike,
    Tear,
    Wait,
)
from gateway_proto.testing.taps import Closed, Downstream, Heard, Payload, Unreadable, Upstream
from gateway_proto.testing.watch import GREETING_PATIENCE, Finding, Rule, SocketWatch, Watch
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .server_helpers import identify_data, message, text_frame, upgrade_request
from .test_testing_machine import FOUND_BY
from .toy_client import Bug, ToyClient

SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\n\r\n"


def written(watch: Watch, socket: SocketWatch, op: int, d: Any, now: float) -> None:
    watch.wrote(socket, text_frame(message(op, d)), now)


@pytest.mark.failure("F40")
def test_an_identify_needs_a_permit_of_whoever_has_asked_for_one() -> None:
    watch, socket = Watch(), SocketWatch(1, 0.0)
    watch.wrote(socket, upgrade_request(), 0.0)
    written(watch, socket, 2, identify_data(), 0.0)
    watch.permits = 1
    written(watch, socket, 2, identify_data(), 10.0)
    with pytest.raises(Finding, match="an IDENTIFY without a permit") as found:
        written(watch, socket, 2, identify_data(), 20.0)
    assert found.value.rule is Rule.IDENTIFY_SPACING


def test_a_client_may_not_wait_for_a_hello_without_end() -> None:
    watch, socket = Watch(), SocketWatch(1, 5.0)
    watch.check_time(socket, 5.0 + GREETING_PATIENCE)
    with pytest.raises(Finding, match=r"no HELLO in 120\.5 s") as found:
        watch.check_time(socket, 5.5 + GREETING_PATIENCE)
    assert found.value.rule is Rule.LEAVES_ZOMBIES


class Listening(ShardAdapter):
    """A shard that keeps what it was handed, and by whom."""

    def __init__(self, url: str, rng: random.Random) -> None:
        super().__init__(url, rng)
        self.chunks: list[bytes] = []
        self.has_ended = False
        self.late = b""

    def connection_made(self, now: float) -> Any:
        self.has_ended = False
        return super().connection_made(now)

    def receive_data(self, data: bytes, now: float) -> Any:
        self.chunks.append(data)
        self.late += data if self.has_ended else b""
        return super().receive_data(data, now)

    def receive_eof(self, now: float) -> Any:
        self.has_ended = True
        return super().receive_eof(now)


def listening(**settings: Any) -> tuple[Harness, Listening]:
    made: list[Listening] = []

    def make(url: str, rng: random.Random) -> Listening:
        made.append(Listening(url, rng))
        return made[-1]

    harness = Harness(make, **settings)
    harness.run(10.0)
    return harness, made[0]


def test_what_is_under_way_is_lost_with_its_socket() -> None:
    harness, client = listening(latency=0.2)
    harness.play(Events(5), Wait(0.1), Tear(), Wait(0.5))
    assert client.late == b""
    harness.settle()
    assert harness.watch.delivered == 5


def test_no_chunk_is_larger_than_was_asked_for() -> None:
    harness, client = listening(chunk=50)
    assert 25 <= max(map(len, client.chunks[:20])) <= 50
    harness.play(Strike(Chunk(900)), Events(3, 10))
    harness.settle()


def test_whatever_strikes_is_a_reason_to_dial_again() -> None:
    harness = Harness(ToyClient)
    harness.run(10.0)
    for _ in range(4):
        harness.play(Strike(Drop()), Wait(1.0), Recover())
    harness.settle()
    assert harness.watch.faults == 4


# -- a whole play, short and always the same ---------------------------------------------------------------------------

STORY: tuple[Step, ...] = (
    # Beats come, and op 1 is answered; what was missed is replayed.
    Events(5), Wait(60.0), Strike(RequestHeartbeat()), Wait(5.0), Events(3), Tear(), Events(3), Recover(), Wait(1.0),
    # A RESUME behind a RESUMED, and one behind nothing else.
    Events(1), Wait(1.0), Tear(), Recover(), Wait(1.0), Tear(), Recover(), Wait(1.0),
    # Sessions that end, the second as soon as it has begun.
    Strike(InvalidSession(False)), Recover(), Wait(0.1), Strike(InvalidSession(False)), Recover(), Events(2),
    Strike(SendText(b"{")), Wait(1.0), Recover(), RefuseDials(1), Tear(), Recover(),
    Strike(Stall()), Wait(300.0), Recover(), Commands(200), Wait(5.0), CloseForGood(4004), Recover(), Events(2),
)  # fmt: skip


def told(*bugs: Bug) -> None:
    harness = Harness(lambda url, rng: ToyClient(url, rng, *bugs))
    harness.run(10.0)
    harness.play(*STORY)
    harness.settle()


def test_a_good_client_lives_through_the_story() -> None:
    told()


@pytest.mark.failure("F40")
@pytest.mark.parametrize("bug", Bug, ids=lambda bug: bug.name)
def test_every_planted_bug_shows_in_the_story(bug: Bug) -> None:
    """What the machine finds by chance, and takes its time for."""
    with pytest.raises(Finding) as found:
        told(bug)
    assert found.value.rule in FOUND_BY[bug]


# -- the taps ----------------------------------------------------------------------------------------------------------


def handed(data: bytes, size: int, compress: str | None) -> list[Heard]:
    tap = Downstream()
    return [heard for at in range(0, len(data), size) for heard in tap.receive(data[at : at + size], compress)]


@pytest.mark.parametrize("behind", [encode_frame(FrameOpcode.CLOSE, close_payload(4000)), b"\xff\xff", b""])
def test_a_broken_stream_tells_the_same_in_any_chunking(behind: bytes) -> None:
    """Not what came in the same chunk, behind what cannot be inflated: a client reads no further, either."""
    data = SWITCHED + encode_frame(FrameOpcode.BINARY, b"damaged") + behind
    whole = handed(data, len(data), "zlib-stream")
    assert len(whole) == 1
    assert isinstance(whole[0], Unreadable)
    assert handed(data, 1, "zlib-stream") == whole


@pytest.mark.parametrize("target", [b"//[", b"http://[x/", b"/?compress=%ff", b"*"])
def test_a_target_of_any_bytes_is_no_exception(target: bytes) -> None:
    tap = Upstream()
    assert tap.receive(b"GET " + target + b" HTTP/1.1\r\n\r\n") == []
    assert tap.receive(encode_frame(FrameOpcode.CLOSE, close_payload(4000), b"1234")) == [Closed(4000)]


def test_a_message_is_heard_through_a_stream() -> None:
    out = zlib.compressobj()
    d = {"heartbeat_interval": 1}
    data = out.compress(json.dumps({"op": 10, "d": d}).encode()) + out.flush(zlib.Z_SYNC_FLUSH)
    [heard] = handed(SWITCHED + encode_frame(FrameOpcode.BINARY, data), 7, "zlib-stream")
    assert isinstance(heard, Payload)
    assert (heard.opcode, json.loads(heard.d)) == (10, d)
