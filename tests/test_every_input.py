"""Every input in every stage, every message in every stage, and any bytes in any chunking: nothing raises, every step
of the stage is a legal one, the next timeout is never in the past, and how the bytes were cut decides nothing.
"""

import copy
import itertools
import typing
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_proto import (
    Activity,
    CommandEnded,
    Connect,
    ConnectionStage,
    CurrentPresence,
    Disconnect,
    HeartbeatSent,
    IdentifyPermit,
    IdentifyWanted,
    Limits,
    LocalProtocolError,
    OnlineStatus,
    PermitReturned,
    PermitUsed,
    RawCommand,
    Reconnect,
    Session,
    Shard,
    ShardAction,
    StageChanged,
    UpdateVoiceState,
)
from gateway_proto.stage import TRANSITIONS
from gateway_proto.websocket import FrameOpcode, close_payload, encode_frame

from .packing import MODES, Mode, Packer, config_of, event, text
from .peer import INTERVAL, Peer, ready

STEPS = {(old, new) for (old, _), new in TRANSITIONS.items()}
ACTION_KINDS = typing.get_args(ShardAction)


def disconnected(peer: Peer) -> None:
    """Nothing was ever done."""


def waiting(peer: Peer) -> None:
    """Between two dials, with a session."""
    peer.to_connected()
    peer.say({"op": 9, "d": True})


def shut_down(peer: Peer) -> None:
    peer.to_connected()
    peer.call(peer.shard.close)


def connecting(peer: Peer) -> None:
    peer.call(peer.shard.connect)


def opened(peer: Peer) -> None:
    """The upgrade is not answered yet."""
    peer.open()


def upgraded(peer: Peer) -> None:
    """HELLO is due."""
    peer.to_handshake()


def permit_wanted(peer: Peer) -> None:
    peer.to_handshake()
    peer.hello()


def identifying(peer: Peer) -> None:
    peer.to_identifying()


def resuming(peer: Peer) -> None:
    peer.to_resuming()


def connected(peer: Peer) -> None:
    peer.to_connected(guilds=(7,))


SITUATIONS: dict[Callable[[Peer], None], ConnectionStage] = {
    disconnected: ConnectionStage.DISCONNECTED,
    waiting: ConnectionStage.DISCONNECTED,
    shut_down: ConnectionStage.DISCONNECTED,
    connecting: ConnectionStage.CONNECTING,
    opened: ConnectionStage.HANDSHAKE,
    upgraded: ConnectionStage.HANDSHAKE,
    permit_wanted: ConnectionStage.HANDSHAKE,
    identifying: ConnectionStage.IDENTIFYING,
    resuming: ConnectionStage.RESUMING,
    connected: ConnectionStage.CONNECTED,
}
Input = Callable[[Shard, int, float], list[ShardAction]]

INPUTS: dict[str, Input] = {
    "connect": lambda shard, _, now: shard.connect(now),
    "connection_made": lambda shard, generation, now: shard.connection_made(generation, now),
    "connection_made unframed": lambda shard, generation, now: shard.connection_made(generation, now, framed=False),
    "connection_failed": lambda shard, generation, now: shard.connection_failed(generation, OSError("no route"), now),
    "receive_data": lambda shard, generation, now: shard.receive_data(generation, text({"op": 11}), now),
    "receive_data nothing": lambda shard, generation, now: shard.receive_data(generation, b"", now),
    "receive_message": lambda shard, generation, now: shard.receive_message(generation, '{"op":11}', now),
    "receive_close": lambda shard, generation, now: shard.receive_close(generation, 4000, "why", now),
    "receive_eof": lambda shard, generation, now: shard.receive_eof(generation, now),
    "handle_timeout": lambda shard, _, now: shard.handle_timeout(now),
    "handle_timeout late": lambda shard, _, now: shard.handle_timeout(now + 1000.0),
    "a clock that steps back": lambda shard, _, now: shard.handle_timeout(now - 500.0),
    "identify": lambda shard, generation, now: shard.identify(IdentifyPermit(generation=generation), now),
    "reading_paused": lambda shard, generation, now: shard.reading_paused(generation, now),
    "reading_resumed": lambda shard, generation, now: shard.reading_resumed(generation, now),
    "send": lambda shard, _, now: shard.send(UpdateVoiceState(guild_id=1, channel_id=None), now),
    "send raw": lambda shard, _, now: shard.send(RawCommand.of(3, {"status": "dnd"}), now),
    "chunk_guilds": lambda shard, _, now: shard.chunk_guilds([1, 2], now),
    "set_activity": lambda shard, _, now: shard.set_activity(Activity.playing("go"), now),
    "set_status": lambda shard, _, now: shard.set_status(OnlineStatus.OFFLINE, now),
    "set_presence": lambda shard, _, now: shard.set_presence(CurrentPresence(afk=True), now),
    "heartbeat": lambda shard, _, now: shard.heartbeat(now),
    "reconnect": lambda shard, _, now: shard.reconnect(now),
    "resume": lambda shard, _, now: shard.resume(now),
    "reset": lambda shard, _, now: shard.reset(now),
    "close": lambda shard, _, now: shard.close(now),
    "close for good": lambda shard, _, now: shard.close(now, resumable=False),
}

MISUSE = {"receive_message", "receive_close"}
"""On a connection that the shard frames itself."""


def peer_in(situation: Callable[[Peer], None]) -> Peer:
    peer = Peer()
    situation(peer)
    peer.call(peer.shard.handle_timeout)  # what the last drain has to tell
    assert peer.shard.stage is SITUATIONS[situation]
    return peer


def check(peer: Peer) -> None:
    """What holds after whatever was done."""
    stage = ConnectionStage.DISCONNECTED
    for action in peer.log:
        assert isinstance(action, ACTION_KINDS)
        if isinstance(action, StageChanged):
            assert action.old is stage
            assert (action.old, action.new) in STEPS
            stage = action.new
    assert peer.shard.stage is stage
    due = peer.shard.next_timeout()
    assert due is None or due >= peer.now
    assert copy.deepcopy(peer.log) == peer.log
    assert all(repr(action).startswith(type(action).__name__ + "(") for action in peer.log)
    msgspec.json.encode(peer.log, enc_hook=str)
    peer.shard.snapshot()


def apply(peer: Peer, make: Input) -> list[ShardAction]:
    return peer.do(make(peer.shard, peer.generation, peer.now))


def test_no_input_or_command_is_forgotten() -> None:
    public = {name for name in vars(Shard) if not name.startswith("_")}
    getters = {"next_timeout", "stage", "session", "latency", "session_snapshot", "snapshot"}
    drains = {"data_to_send", "messages_to_send"}
    assert {name.split()[0] for name in INPUTS if name != "a clock that steps back"} | {"delivered"} == (
        public - getters - drains
    )
    assert set(SITUATIONS.values()) == set(ConnectionStage)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
@pytest.mark.parametrize("name", INPUTS)
def test_every_input_in_every_stage(situation: Callable[[Peer], None], name: str) -> None:
    peer, twin = peer_in(situation), peer_in(situation)
    has_socket = peer.shard.stage not in (ConnectionStage.DISCONNECTED, ConnectionStage.CONNECTING)
    before = peer.shard.snapshot()
    if name in MISUSE and has_socket:
        with pytest.raises(LocalProtocolError):
            apply(peer, INPUTS[name])
        assert peer.shard.snapshot() == before
        return
    actions = apply(peer, INPUTS[name])
    if name == "handle_timeout late":
        peer.now += 1000.0
    check(peer)
    assert apply(twin, INPUTS[name]) == actions
    assert twin.sent == peer.sent
    peer.advance(200.0)
    check(peer)
    if name.startswith("close"):
        assert peer.shard.stage is ConnectionStage.DISCONNECTED
        assert peer.shard.next_timeout() is None
        assert peer.call(peer.shard.connect)


OF_A_CONNECTION = [name for name in INPUTS if name.startswith(("connection_", "receive_", "reading_"))]


@pytest.mark.failure("F14")
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
@pytest.mark.parametrize("stale", [-1, 1])
def test_inputs_of_another_generation_change_nothing(situation: Callable[[Peer], None], stale: int) -> None:
    peer = peer_in(situation)
    before = peer.shard.snapshot()
    for name in OF_A_CONNECTION:
        assert INPUTS[name](peer.shard, peer.generation + stale, peer.now) == []
    permit = IdentifyPermit(generation=peer.generation + stale, id=3)
    assert peer.call(peer.shard.identify, permit) == [PermitReturned(permit=permit)]
    assert peer.shard.snapshot() == before
    check(peer)


MESSAGES: dict[str, bytes] = {
    "HELLO": text({"op": 10, "d": {"heartbeat_interval": 45000}}),
    "HELLO odd": text({"op": 10, "d": None}),
    "READY": text(event(1, "READY", ready("session-2"))),
    "READY odd": text(event(1, "READY", [])),
    "RESUMED": text(event(2, "RESUMED")),
    "dispatch": text(event(2)),
    "dispatch awaited": text(event(2, "GUILD_CREATE", {"id": "7"})),
    "dispatch duplicate": text(event(1)),
    "dispatch far ahead": text(event(900)),
    "dispatch without s": text({"op": 0, "t": "X", "d": {}}),
    "dispatch without t": text({"op": 0, "s": 2, "d": {}}),
    "dispatch odd": text(b'{"op":0,"t":"X","s":2,"d":NaN}'),
    "beat wanted": text({"op": 1, "d": None}),
    "ACK": text({"op": 11}),
    "reconnect": text({"op": 7, "d": None}),
    "invalid session, resumable": text({"op": 9, "d": True}),
    "invalid session": text({"op": 9, "d": False}),
    "invalid session odd": text({"op": 9, "d": {"a": 1}}),
    "unknown op": text({"op": 99, "d": 1, "s": 2, "t": "X"}),
    "op of an app": text({"op": 2, "d": {}}),
    "negative op": text({"op": -1}),
    "not JSON": text(b"<html>"),
    "BINARY": encode_frame(FrameOpcode.BINARY, b'{"op":11}'),
    "ping": encode_frame(FrameOpcode.PING, b"p"),
    "pong": encode_frame(FrameOpcode.PONG, b""),
    "close": encode_frame(FrameOpcode.CLOSE, close_payload(4000)),
    "close without code": encode_frame(FrameOpcode.CLOSE, b""),
    "close, session gone": encode_frame(FrameOpcode.CLOSE, close_payload(4009)),
    "close, fatal": encode_frame(FrameOpcode.CLOSE, close_payload(4014)),
    "masked": encode_frame(FrameOpcode.TEXT, b"{}", b"mask"),
    "broken frame": b"\xff\xff\xff\xff",
    "half a frame": text({"op": 11})[:-1],
}
ENDS = {
    *("dispatch without s", "dispatch without t", "reconnect", "not JSON", "masked", "broken frame"),
    *(name for name in MESSAGES if name.startswith(("close", "invalid session"))),
}
"""What ends the connection in every stage."""
NEEDS_HELLO = {
    *("READY", "READY odd", "RESUMED", "beat wanted", "ACK", "unknown op", "op of an app", "negative op", "BINARY"),
    *(name for name in MESSAGES if name.startswith("dispatch")),
}
"""What ends the connection only where HELLO is due."""
REACHES = {("identifying", "READY"), ("identifying", "READY odd"), ("resuming", "READY"), ("resuming", "READY odd")} | {
    ("resuming", "RESUMED"),
}
"""What leads to Connected."""


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_in_every_stage(situation: Callable[[Peer], None], name: str) -> None:
    peer = peer_in(situation)
    if situation is opened:
        # Not HTTP, or not all of it yet.
        peer.raw(MESSAGES[name])
        check(peer)
        peer.advance(30.0)
        check(peer)
        return
    stage = peer.shard.stage
    actions = peer.raw(MESSAGES[name])
    check(peer)
    if stage in (ConnectionStage.DISCONNECTED, ConnectionStage.CONNECTING):
        assert actions == []
        return
    ended = name in ENDS or (situation is upgraded and name in NEEDS_HELLO)
    if ended:
        assert peer.of(Disconnect, actions)
        assert peer.shard.stage is ConnectionStage.DISCONNECTED
        assert peer.closes[-1] is not None
        assert 4000 <= peer.closes[-1] < 5000
    elif (situation.__name__, name) in REACHES:
        assert peer.shard.stage is ConnectionStage.CONNECTED
    else:
        assert peer.shard.stage is stage
        assert bool(peer.of(IdentifyWanted, actions)) == (situation is upgraded and name.startswith("HELLO"))
    peer.advance(INTERVAL * 4)
    check(peer)


# Any bytes in any chunking


payloads = st.one_of(
    st.sampled_from(
        [
            {"op": 11},
            {"op": 1, "d": None},
            {"op": 10, "d": {"heartbeat_interval": 41250}},
            {"op": 99, "d": "x" * 200},
            b'{"op":0,"t":"X","s":2,"d":NaN}',
            event(1, "READY", ready("session-2", guilds=(5,))),
            event(2, "GUILD_CREATE", {"id": "5", "x": "y" * 400}),
            event(3, "RESUMED"),
        ]
    ),
    st.builds(event, st.integers(2, 6), st.sampled_from(["A", "GUILD_DELETE", "RESUMED"])),
    st.builds(event, st.integers(2, 6)),
    st.sampled_from([{"op": 7}, {"op": 9, "d": True}, {"op": 9, "d": False}, b"{", b"", {"op": 0, "d": 1}]),
)
controls = st.one_of(
    st.builds(encode_frame, st.just(FrameOpcode.PING), st.binary(max_size=3)),
    st.sampled_from(
        [encode_frame(FrameOpcode.CLOSE, close_payload(code, "why")) for code in (1000, 4000, 4004, 4007, 4009)]
    ),
    st.binary(max_size=6),
)


@st.composite
def streams(draw: st.DrawFn, mode: Mode) -> bytes:
    """What follows the upgrade: mostly sense, some of it fragmented, compressed, damaged."""
    packer = Packer(mode)
    data = b""
    for kind in draw(st.lists(st.sampled_from("tttbbbbfc"), max_size=12)):
        if kind == "c":
            data += draw(controls)
            continue
        payload = draw(payloads)
        message = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
        if kind == "t":
            data += text(message)
            continue
        packed = packer.pack(message)
        at = draw(st.integers(0, len(packed))) if kind == "f" else 0
        if at and mode == "zlib-stream":
            data += encode_frame(FrameOpcode.BINARY, packed[:at]) + encode_frame(FrameOpcode.BINARY, packed[at:])
        elif at:
            first, rest = encode_frame(FrameOpcode.BINARY, packed[:at]), packed[at:]
            data += bytes([first[0] & 0x7F]) + first[1:] + encode_frame(FrameOpcode.CONTINUATION, rest)
        else:
            data += encode_frame(FrameOpcode.BINARY, packed)
    if data and draw(st.integers(0, 3)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    return data


STARTS: dict[str, Callable[[Peer], Any]] = {
    "upgraded": lambda peer: peer.to_handshake(),
    "permit wanted": lambda peer: (peer.to_handshake(), peer.hello()),
    "identifying": lambda peer: peer.to_identifying(),
    "connected": lambda peer: peer.to_connected(guilds=(5,)),
    "resuming": lambda peer: peer.to_resuming(),
}


def run(mode: Mode, start: str, chunks: list[bytes], *, eof: bool, drain: bool) -> tuple[list[ShardAction], Shard]:
    """The actions that these chunks lead to, all at one instant."""
    limits = Limits(max_message=1500, max_compressed_message=1200, max_inflated=1000, call_budget=300)
    peer = Peer(config_of(mode, limits=limits))
    STARTS[start](peer)
    shard, generation, now = peer.shard, peer.generation, peer.now
    actions: list[ShardAction] = []
    for chunk in chunks:
        actions += shard.receive_data(generation, chunk, now)
        if drain:
            shard.data_to_send(now)
            actions += shard.handle_timeout(now)
    if eof:
        actions += shard.receive_eof(generation, now)
    for _ in range(50):
        # More than there are messages: without a drain what waits to be sent keeps the timeout at now.
        if drain:
            shard.data_to_send(now)
        due = shard.next_timeout()
        if due is None or due > now:
            break
        assert due == now
        actions += shard.handle_timeout(now)
    else:
        assert not drain, "the shard is never done"
    shard.data_to_send(now)
    actions += shard.handle_timeout(now)
    return actions, shard


def cut(data: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(edge % (len(data) + 1) for edge in at)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(
    case=st.sampled_from(MODES).flatmap(lambda mode: st.tuples(st.just(mode), streams(mode))),
    start=st.sampled_from(sorted(STARTS)),
    cuts=st.lists(st.integers(0, 10**6), max_size=8),
    eof=st.booleans(),
)
def test_any_chunking_gives_the_same_actions(case: tuple[Mode, bytes], start: str, cuts: list[int], eof: bool) -> None:
    mode, data = case
    bytewise = [data[at : at + 1] for at in range(len(data))] if len(data) < 500 else [data]
    results = [run(mode, start, chunks, eof=eof, drain=False) for chunks in ([data], cut(data, cuts), bytewise)]
    actions, shard = results[0]
    for others, other in results[1:]:
        assert others == actions
        assert seen(other) == seen(shard)
        assert other.next_timeout() == shard.next_timeout()
    for chunks in ([data], cut(data, cuts), bytewise):
        drained, other = run(mode, start, chunks, eof=eof, drain=True)
        assert received(drained) == received(actions)
        assert (other.stage, other.session) == (shard.stage, shard.session)


def seen(shard: Shard) -> Any:
    """The snapshot without the count of bytes: those behind the end of a connection are read or not."""
    return msgspec.structs.replace(shard.snapshot(), bytes_in=0)


def received(actions: list[ShardAction]) -> list[Any]:
    """What was read and concluded: without what tells of drains, and without what was drawn after them."""
    kept: list[Any] = []
    for action in actions:
        if isinstance(action, Reconnect):
            kept.append((action.type, action.cause, bool(action.after)))
        elif isinstance(action, Disconnect):
            kept.append((action.generation, action.code, len(action.farewell)))
        elif not isinstance(action, HeartbeatSent | PermitUsed | PermitReturned | CommandEnded):
            kept.append(action)
    return kept


@given(data=st.binary(max_size=200), mode=st.sampled_from(MODES), start=st.sampled_from(sorted(STARTS)))
def test_bytes_of_any_kind(data: bytes, mode: Mode, start: str) -> None:
    actions, _ = run(mode, start, [data], eof=False, drain=False)
    assert run(mode, start, cut(data, [1, 2, 3, 7, 20]), eof=False, drain=False)[0] == actions


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["session-1", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "x"]), inner, max_size=2),
    max_leaves=6,
)


@given(
    d=st.dictionaries(
        st.sampled_from(["session_id", "resume_gateway_url", "shard", "guilds", "application", "id"]), values
    ),
    url=st.none() | st.from_regex(r"(wss?://)?[!-~]{0,30}(\.discord\.gg)?[!-~]{0,20}", fullmatch=True),
    interval=values,
)
def test_a_hello_and_a_ready_of_any_content(d: dict[str, Any], url: str | None, interval: Any) -> None:
    peer = Peer().to_handshake()
    peer.say({"op": 10, "d": {"heartbeat_interval": interval}})
    peer.permit()
    peer.dispatch(1, "READY", d if url is None else {**d, "resume_gateway_url": url})
    assert peer.shard.stage is ConnectionStage.CONNECTED
    peer.deliver()
    session = peer.shard.session
    assert session is not None
    if session.id:
        assert Session.from_bytes(session.to_bytes()) == session
    peer.eof()
    peer.advance(120.0)
    assert peer.of(Connect)
    peer.open()
    peer.upgrade()
    peer.hello()
    check(peer)


@given(depth=st.integers(1, 1200), name=st.sampled_from(["session_id", "shard", "guilds", "application", "x"]))
def test_deep_nesting_never_raises(depth: int, name: str) -> None:
    peer = Peer().to_identifying()
    peer.raw(text(b'{"op":0,"t":"READY","s":1,"d":{"%b":%b}}' % (name.encode(), b"[" * depth + b"]" * depth)))
    check(peer)


def test_a_clock_that_steps_back_stands_still() -> None:
    peer = Peer().to_connected()
    due = peer.shard.next_timeout()
    assert due is not None
    assert peer.shard.handle_timeout(peer.now - 100.0) == []
    assert peer.shard.next_timeout() == due
    assert peer.shard.snapshot().now == peer.now
