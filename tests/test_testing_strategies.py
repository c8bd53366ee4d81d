"""The strategies for users: what is called valid is valid, what is hostile is bounded, and all of it shrinks."""

import random
import subprocess
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from gateway_proto import InvalidHandshakeError
from gateway_proto.commands import encode_checked
from gateway_proto.compression import make_inflater
from gateway_proto.errors import BrokenStreamError
from gateway_proto.events import DISPATCH_TYPES, decode_event, to_document
from gateway_proto.events.structures.interaction import Interaction
from gateway_proto.opcodes import CLIENT_RECEIVES, CLIENT_SENDS, Opcode
from gateway_proto.server import ConnectionClosed
from gateway_proto.testing import strategies
from gateway_proto.testing.steps import CloseForGood, Events, Recover, Strike
from gateway_proto.testing.strategies import (
    BOMB,
    COMPRESSIONS,
    ByteStream,
    Compression,
    Message,
    chunkings,
    client_messages,
    commands,
    event_documents,
    events,
    gateway_messages,
    hostile_streams,
    hostile_upgrade_answers,
    near_misses,
    realistic_events,
    sessions,
    streams,
    upgrade_answers,
)
from gateway_proto.testing.stream import GeneratedEvent
from gateway_proto.url import parse_gateway_url
from gateway_proto.websocket import FrameOpcode, Opened, Refused, WebSocketClient
from gateway_proto.websocket.lane import FrameReader

from .peer import Peer
from .server_helpers import TOKEN, Rig, text_frame
from .shared_data import REPOSITORY

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
"""RFC 6455 section 1.3."""
few = settings(max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
# Hypothesis takes constants out of the loaded modules: what is drawn depends on them, and so do the counts below.
some = settings(few, max_examples=150)
unshrunk = settings(some, phases=[Phase.generate])

# -- without Hypothesis ------------------------------------------------------------------------------------------------


def test_all_but_strategies_and_machine_need_no_hypothesis() -> None:
    code = """
import sys
sys.modules["hypothesis"] = None
import gateway_proto.testing
from gateway_proto.testing import adapter, harness, link, payloads, steps, stream, taps, values, watch
h = harness.Harness(adapter.ShardAdapter)
h.run(10.0)
h.play(steps.Events(3), steps.Tear())
h.settle()
assert h.watch.delivered == 3
for name in ("strategies", "machine"):
    try:
        __import__(f"gateway_proto.testing.{name}")
    except ImportError:
        continue
    raise AssertionError(f"{name} does without")
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True, timeout=60)


def test_the_face_is_true_and_sorted() -> None:
    names = strategies.__all__
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))
    assert all(hasattr(strategies, name) for name in names)


# -- payloads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DISPATCH_TYPES)
def test_an_events_document_is_of_its_type_and_comes_back_whole(name: str) -> None:
    @given(document=event_documents(name))
    @few
    def check(document: dict[str, Any]) -> None:
        event = decode_event(name, msgspec.json.encode(document))
        assert isinstance(event, DISPATCH_TYPES[name])
        assert isinstance(event, msgspec.Struct)
        back = to_document(event)
        assert back.keys() == document.keys(), "no field is unknown, none is dropped"
        if isinstance(event, Interaction):
            assert bool(event.data) == ("data" in document)

    check()


@pytest.mark.parametrize("name", ["CHANNEL_UPDATE", "INTERACTION_CREATE"])
def test_optional_fields_come_and_go_and_the_least_is_what_it_shrinks_to(name: str) -> None:
    kind = DISPATCH_TYPES[name]
    optional = {field.encode_name for field in msgspec.structs.fields(kind) if field.default is msgspec.UNSET}
    required = {field.encode_name for field in msgspec.structs.fields(kind)} - optional
    least = find(event_documents(name), lambda document: True, settings=few)
    assert set(least) == required
    field = min(optional - {"data"})
    found = find(event_documents(name), lambda document: field in document, settings=some)
    assert set(found) - required <= {field, "data"}


@given(event=realistic_events())
@some
def test_realistic_events_are_of_their_types(event: GeneratedEvent) -> None:
    assert isinstance(decode_event(event.name, event.data), DISPATCH_TYPES[event.name])


@given(event=events("TYPING_START", "CHANNEL_DELETE"))
@few
def test_events_of_some_names(event: GeneratedEvent) -> None:
    assert event.name in ("TYPING_START", "CHANNEL_DELETE")


def test_every_event_and_both_kinds_come() -> None:
    seen: set[str] = set()

    @given(event=events())
    @settings(few, max_examples=600)
    def check(event: GeneratedEvent) -> None:
        seen.add(event.name)
        seen.update({"realistic"} if b'"_number":' in event.data else ())

    check()
    assert "realistic" in seen
    assert len(seen & set(DISPATCH_TYPES)) > 40


@given(command=commands())
@some
def test_every_command_can_be_sent(command: Any) -> None:
    assert encode_checked(command, None)


@pytest.mark.parametrize("opcode", sorted(CLIENT_SENDS), ids=lambda opcode: opcode.name)
def test_a_server_takes_every_message_of_a_client(opcode: Opcode) -> None:
    @given(message=client_messages(opcode, token=TOKEN))
    @few
    def check(message: Message) -> None:
        assert message["op"] == opcode
        rig = Rig()
        client = rig.client()
        if opcode not in (Opcode.IDENTIFY, Opcode.RESUME):
            client.identify()
        client.feed(text_frame(msgspec.json.encode(message)))
        assert client.closed is None, client.closed
        # HELLO and READY, and the answer to a request; a session that never was gets op 9.
        assert client.ops()[:2] == ([10, 9] if opcode is Opcode.RESUME else [10, 0])

    check()


@pytest.mark.parametrize("opcode", sorted(CLIENT_RECEIVES), ids=lambda opcode: opcode.name)
def test_a_shard_takes_every_message_of_a_gateway(opcode: Opcode) -> None:
    @given(message=gateway_messages(opcode))
    @few
    def check(message: Message) -> None:
        assert message["op"] == opcode
        peer = Peer().to_connected()
        actions = peer.say(message)
        assert "odd" not in repr(actions)
        assert (peer.shard.stage.value == "disconnected") is (opcode in (Opcode.RECONNECT, Opcode.INVALID_SESSION))

    check()


@given(data=near_misses(client_messages(token=TOKEN)), is_identified=st.booleans())
@some
def test_a_near_miss_costs_a_client_no_more_than_its_connection(data: bytes, is_identified: bool) -> None:
    rig = Rig()
    client = rig.client()
    if is_identified:
        client.identify()
    client.feed(text_frame(data))
    for closed in rig.reported(ConnectionClosed):
        assert closed.code in (4001, 4002, 4003, 4004, 4005, 4007, 4010, 4011, 4013, 4014)


@given(data=near_misses(gateway_messages()))
@some
def test_a_near_miss_never_raises_out_of_a_shard(data: bytes) -> None:
    peer = Peer().to_connected()
    peer.raw(strategies.frames(FrameOpcode.TEXT, data))
    peer.advance(200.0)


def test_near_misses_are_of_every_kind() -> None:
    kinds = {"cut": 0, "undecodable": 0, "no utf-8": 0, "valid": 0}

    @given(data=near_misses(client_messages()))
    @settings(some, max_examples=300)
    def check(data: bytes) -> None:
        try:
            data.decode()
            decoded = msgspec.json.decode(data)
            kinds["valid"] += isinstance(decoded, dict)
        except UnicodeDecodeError:
            kinds["no utf-8"] += 1
        except (msgspec.DecodeError, RecursionError):
            kinds["undecodable"] += 1
            kinds["cut"] += not data.endswith(b"}")

    check()
    assert all(count >= 1 for count in kinds.values()), kinds


# -- bytes -------------------------------------------------------------------------------------------------------------


@given(answer=st.data())
@some
def test_a_valid_upgrade_is_accepted_and_a_hostile_one_is_not(answer: st.DataObject) -> None:
    client, key = _dialled()
    good = answer.draw(upgrade_answers(key))
    assert [type(event) for event in client.receive_data(good)] == [Opened]
    client, key = _dialled()
    bad = answer.draw(hostile_upgrade_answers(key))
    events = [event for chunk in answer.draw(chunkings(bad)) for event in client.receive_data(chunk)]
    assert not any(isinstance(event, Opened) for event in events)
    assert all(isinstance(event, Refused) and isinstance(event.error, InvalidHandshakeError) for event in events)


def _dialled() -> tuple[WebSocketClient, bytes]:
    client = WebSocketClient(
        parse_gateway_url("ws://gateway.test"), {}, user_agent="test", rng=random.Random(1), max_message=2**20,
        max_response=2**14,
    )  # fmt: skip
    request = client.data_to_send()
    headers = dict(line.split(b": ", 1) for line in request.split(b"\r\n") if b": " in line)
    return client, headers[b"Sec-WebSocket-Key"]


@given(data=st.binary(max_size=3000), draw=st.data())
@some
def test_every_chunking_is_the_same_bytes(data: bytes, draw: st.DataObject) -> None:
    chunks = draw.draw(chunkings(data))
    assert b"".join(chunks) == data
    assert all(chunks)


def test_a_chunking_shrinks_to_one_piece_and_to_no_more_than_are_needed() -> None:
    data = bytes(range(200))
    assert find(chunkings(data), lambda chunks: True, settings=some) == (data,)
    assert find(chunkings(data), lambda chunks: b"".join(chunks) == data, settings=some) == (data,)
    assert len(find(chunkings(data), lambda chunks: len(chunks) >= 3, settings=some)) <= 4
    assert find(chunkings(b""), lambda chunks: True, settings=some) == ()


def test_a_stream_shrinks_to_the_message_that_matters_in_one_piece() -> None:
    plain = streams(messages=gateway_messages(Opcode.HEARTBEAT, Opcode.HELLO))
    hello = find(plain, lambda stream: any(b'"op":10' in m for m in stream.messages), settings=some)
    assert len(hello.messages) == len(hello.chunks) == 1
    cut = find(plain, lambda stream: len(stream.chunks) > 5, settings=some)
    assert len(cut.messages) <= 2
    assert len(cut.chunks) <= 7
    broken = find(hostile_streams(), lambda stream: not _is_whole(stream), settings=some)
    assert len(broken.messages) == 1
    assert len(broken.chunks) <= 1


def _is_whole(stream: ByteStream) -> bool:
    return len(_read(stream)) == len(stream.messages)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_valid_stream_reads_as_it_says(compression: Compression) -> None:
    counts = {"chunks": 0, "fragments": 0}

    @given(stream=streams(compression))
    @some
    def check(stream: ByteStream) -> None:
        assert stream.compression == compression
        assert _read(stream) == stream.messages
        counts["chunks"] += len(stream.chunks)
        counts["fragments"] += stream.data[:1] in (b"\x01", b"\x02")

    check()
    assert counts["chunks"] > 200
    assert counts["fragments"] >= 1


def test_a_stream_of_a_choice_of_messages() -> None:
    @given(stream=streams(messages=gateway_messages(Opcode.HELLO), max_messages=2))
    @few
    def check(stream: ByteStream) -> None:
        assert 1 <= len(stream.messages) <= 2
        assert all(b'"op":10' in message for message in stream.messages)

    check()
    assert "messages" in repr(find(streams(), lambda stream: True, settings=few))


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_hostile_stream_raises_nothing_and_is_bounded(compression: Compression) -> None:
    broken = 0

    @given(stream=hostile_streams(compression))
    @some
    def check(stream: ByteStream) -> None:
        nonlocal broken
        assert len(stream.data) < 3 * BOMB * 4
        assert all(len(message) <= BOMB for message in stream.messages)
        # More of them made hostile streams fifteen a second.
        assert sum(len(message) >= BOMB // 4 for message in stream.messages) <= 1
        try:
            broken += _read(stream) != stream.messages
        except BrokenStreamError:
            broken += 1
        peer = Peer()
        peer.open()
        peer.upgrade()
        for chunk in stream.chunks:
            peer.raw(chunk)
        peer.advance(100.0)

    check()
    assert broken >= 15


def test_a_bomb_is_small_on_the_wire() -> None:
    stream = find(
        hostile_streams("zlib-stream"), lambda stream: any(len(m) == BOMB for m in stream.messages), settings=unshrunk
    )
    assert len(stream.data) < BOMB / 200


def _read(stream: ByteStream) -> tuple[bytes, ...]:
    reader = FrameReader(2**26)
    inflater = make_inflater(transport=stream.compression, payload=False, limit=2**26, max_window=2**26)
    messages = []
    for chunk in stream.chunks:
        for event in reader.receive_data(chunk):
            if isinstance(event, tuple):
                is_text, payload = event
                messages.append(payload if is_text else inflater.inflate(payload))
    return tuple(message for message in messages if message is not None)


# -- sessions ----------------------------------------------------------------------------------------------------------


def test_sessions_shrink_to_the_step_that_matters() -> None:
    fatal = find(sessions(), lambda steps: any(isinstance(step, CloseForGood) for step in steps), settings=some)
    assert fatal in ([CloseForGood(4004)], [Recover(), CloseForGood(4004)])
    many = find(sessions(), lambda steps: sum(s.count for s in steps if isinstance(s, Events)) > 100, settings=some)
    assert all(step.size == 2 for step in many if isinstance(step, Events))
    assert sum(step.count for step in many if isinstance(step, Events)) == 101


def test_sessions_have_events_for_a_client_that_is_there() -> None:
    counts: dict[str, int] = {}
    met = 0

    @given(drawn=sessions())
    @settings(few, max_examples=200, phases=[Phase.generate])
    def check(drawn: list[Any]) -> None:
        nonlocal met
        met += sum(
            isinstance(step, Recover) and any(isinstance(behind, Events) for behind in drawn[at : at + 4])
            for at, step in enumerate(drawn)
        )
        for step in drawn:
            counts[type(step).__name__] = counts.get(type(step).__name__, 0) + 1

    check()
    assert met > counts["Recover"] / 2
    assert counts["Events"] > 5 * counts["CloseForGood"] > 0
    assert counts["Recover"] < sum(counts.values()) / 3


def test_a_session_prints_as_the_code_that_makes_it() -> None:
    from gateway_proto import server
    from gateway_proto.testing import steps as kinds

    @given(steps=sessions())
    @few
    def check(steps: list[Any]) -> None:
        assert eval(repr(steps), {**vars(server), **vars(kinds)}) == steps

    check()
    assert find(sessions(), lambda steps: any(isinstance(step, Strike) for step in steps), settings=some)
