"""HELLO goes before everything of ours; op 7 and op 9 may come at any time (F04, F05)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    ConnectionStage,
    DiscardCause,
    Disconnect,
    Dispatch,
    ExpectedHelloError,
    Fatal,
    IdentifyPermit,
    IdentifyWanted,
    InvalidSessionError,
    Notice,
    NoticeKind,
    PermitReturned,
    PermitUsed,
    Reconnect,
    ReconnectRequestedError,
    ReconnectType,
    SessionLost,
    ShardAction,
    UpdateVoiceState,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import Peer, ready

COMMAND = UpdateVoiceState(guild_id=1, channel_id=None)


def held() -> Peer:
    """In Handshake with a session; HELLO not said."""
    peer = Peer().to_connected()
    peer.eof()
    peer.redial()
    peer.sent.clear()
    peer.log.clear()
    return peer.to_handshake()


# -- F04 -------------------------------------------------------------------------------------------------------


@pytest.mark.failure("F04")
@pytest.mark.parametrize("arrive", [lambda: Peer().to_handshake(), held], ids=["fresh", "session held"])
def test_nothing_leaves_before_hello(arrive: Callable[[], Peer]) -> None:
    peer = arrive()
    peer.call(peer.shard.heartbeat)
    peer.call(peer.shard.send, COMMAND)
    permit = IdentifyPermit(generation=peer.generation)
    assert peer.call(peer.shard.identify, permit) == [PermitReturned(permit=permit)]
    peer.advance(14.9)
    assert peer.sent == []
    assert peer.shard.stage is ConnectionStage.HANDSHAKE


@pytest.mark.failure("F04")
def test_hello_in_the_chunk_of_the_upgrade_is_soon_enough() -> None:
    peer = Peer().to_connected()
    peer.eof()
    peer.redial()
    peer.open()
    hello = encode_frame(FrameOpcode.TEXT, msgspec.json.encode({"op": 10, "d": {"heartbeat_interval": 41250}}))
    peer.sent.clear()
    peer.raw(peer.upgrade_response() + hello)
    assert [payload["op"] for payload in peer.sent] == [6]


@pytest.mark.failure("F04")
def test_after_hello_the_resume_leaves_at_once_and_alone() -> None:
    peer = held()
    actions = peer.hello()
    assert [payload["op"] for payload in peer.sent] == [6]
    assert peer.sent[0]["d"] == {"token": "the.bot.token", "session_id": "session-1", "seq": 1}
    assert not peer.of(IdentifyWanted, actions)
    assert peer.shard.stage is ConnectionStage.RESUMING


@pytest.mark.failure("F04")
def test_after_hello_the_identify_waits_for_its_permit_only() -> None:
    peer = Peer().to_handshake()
    [wanted] = peer.of(IdentifyWanted, peer.hello())
    assert (wanted.generation, wanted.shard) == (peer.generation, None)
    assert peer.sent == []
    peer.permit()
    assert [payload["op"] for payload in peer.sent] == [2]
    assert peer.shard.stage is ConnectionStage.IDENTIFYING


FIRST_MESSAGES: dict[str, dict[str, Any]] = {
    "a dispatch": {"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {}},
    "RESUMED": {"op": 0, "t": "RESUMED", "s": 2, "d": {}},
    "READY": {"op": 0, "t": "READY", "s": 1, "d": ready("session-2")},
    "an ACK": {"op": 11},
    "op 1": {"op": 1},
    "an unknown opcode": {"op": 99},
}


@pytest.mark.failure("F04")
@pytest.mark.parametrize("message", FIRST_MESSAGES.values(), ids=FIRST_MESSAGES.keys())
def test_anything_else_before_hello_is_hello_expected(message: dict[str, Any]) -> None:
    for peer, kind in (
        (held(), ReconnectType.RESUME),
        (Peer().to_handshake(), ReconnectType.REIDENTIFY),
    ):
        actions = peer.say(message, {"op": 10, "d": {"heartbeat_interval": 41250}})
        [lost] = peer.of(Reconnect, actions)
        assert isinstance(lost.cause, ExpectedHelloError)
        assert lost.type is kind
        assert set(peer.closes) == {4000}
        assert peer.of(Disconnect, actions)[0].code == 4000
        assert not peer.of(Dispatch, actions)
        assert not peer.of(SessionLost)
        assert peer.sent == []
        peer.redial()
        peer.to_handshake().hello()
        if kind is ReconnectType.RESUME:
            assert [(d["session_id"], d["seq"]) for d in peer.payloads(6)] == [("session-1", 1)]


@pytest.mark.failure("F04")
@pytest.mark.parametrize(
    "arrive",
    [
        lambda: hello_said(Peer().to_handshake()),
        lambda: Peer().to_identifying(),
        lambda: Peer().to_resuming(),
        lambda: Peer().to_connected(),
    ],
    ids=["waiting for a permit", "identifying", "resuming", "connected"],
)
def test_hello_at_another_time_only_changes_the_interval(arrive: Callable[[], Peer]) -> None:
    peer = told(arrive())
    stage, sent = peer.shard.stage, list(peer.sent)
    actions = peer.hello(7.0)
    assert [notice.kind for notice in peer.of(Notice, actions)] == [NoticeKind.HELLO_AGAIN]
    assert actions == peer.of(Notice, actions)  # no permit is asked for, nothing is lost
    assert (peer.shard.stage, peer.sent) == (stage, sent)
    assert peer.shard.snapshot().heartbeat_interval == 7.0
    peer.advance(7.0)
    assert len(peer.payloads(1)) == 1


def hello_said(peer: Peer) -> Peer:
    peer.hello()
    return peer


# -- F05 -------------------------------------------------------------------------------------------------------


def told(peer: Peer) -> Peer:
    """What the last drain caused comes out of the next input: of this one, and nothing is drained."""
    peer.log += peer.shard.handle_timeout(peer.now)
    return peer


def undrained(peer: Peer) -> Peer:
    """The permit is there, the IDENTIFY is queued, and nobody has drained it."""
    wanted = peer.of(IdentifyWanted, peer.hello())[0]
    peer.log += peer.shard.identify(wanted.permit(), peer.now)
    assert peer.payloads(2) == []
    return peer


ARRIVALS: dict[str, Callable[[], Peer]] = {
    "first frame": lambda: Peer().to_handshake(),
    "first frame, session held": held,
    "waiting for a permit": lambda: hello_said(Peer().to_handshake()),
    "IDENTIFY queued": lambda: undrained(Peer().to_handshake()),
    "identifying": lambda: Peer().to_identifying(),
    "resuming": lambda: Peer().to_resuming(),
    "connected": lambda: Peer().to_connected(),
}
MESSAGES: dict[str, dict[str, Any]] = {
    "op 7": {"op": 7, "d": None},
    "op 9 true": {"op": 9, "d": True},
    "op 9 false": {"op": 9, "d": False},
}
FOLLOWING: list[dict[str, Any]] = [
    {"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {}},
    {"op": 0, "t": "READY", "s": 1, "d": ready("session-2")},
    {"op": 10, "d": {"heartbeat_interval": 41250}},
    {"op": 1},
    {"op": 7},
    {"op": 9, "d": False},
]


@pytest.mark.failure("F05", "F19")
@pytest.mark.parametrize("together", [True, False], ids=["one chunk", "chunk by chunk"])
@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
@pytest.mark.parametrize("arrival", ARRIVALS.keys())
def test_op_7_and_op_9_in_every_stage(arrival: str, message: dict[str, Any], together: bool) -> None:
    peer = told(ARRIVALS[arrival]())
    before, wanted, seen = peer.shard.snapshot(), peer.of(IdentifyWanted), len(peer.sent)
    peer.log.clear()
    peer.closes.clear()
    generation = peer.generation
    if together:
        peer.say(message, *FOLLOWING)
    else:
        peer.say(message)
        for following in FOLLOWING:
            peer.say(following)
    peer.close(4004)  # not even this is heard any more
    # Ended once, with a code that keeps the session.
    assert peer.shard.stage is ConnectionStage.DISCONNECTED
    [gone] = peer.of(Disconnect)
    assert (gone.generation, gone.code, peer.closes) == (generation, 4000, [4000])
    [lost] = peer.of(Reconnect)
    assert isinstance(lost.cause, ReconnectRequestedError if message["op"] == 7 else InvalidSessionError)
    # What follows is ignored.
    assert not peer.of(Dispatch)
    assert not peer.of(Fatal)
    assert not peer.of(IdentifyWanted)
    assert len(peer.sent) == seen
    has_session = arrival in ("first frame, session held", "resuming", "connected")
    discarded = has_session and message == MESSAGES["op 9 false"]
    after = peer.shard.snapshot()
    assert after.received == (0 if discarded else before.received)
    assert after.discards == ({DiscardCause.INVALID_SESSION: 1} if discarded else {})
    assert lost.type is (ReconnectType.RESUME if has_session and not discarded else ReconnectType.REIDENTIFY)
    # A permit that was on its way or unused is handed back.
    if arrival == "IDENTIFY queued":
        assert [action.permit.generation for action in peer.of(PermitReturned)] == [generation]
    elif arrival == "waiting for a permit":
        late = wanted[-1].permit()
        assert peer.call(peer.shard.identify, late) == [PermitReturned(permit=late)]
    else:
        assert not peer.of(PermitReturned)
    assert not peer.of(PermitUsed)


@pytest.mark.failure("F05")
@pytest.mark.parametrize("message", [MESSAGES["op 7"], MESSAGES["op 9 true"]], ids=["op 7", "op 9 true"])
@pytest.mark.parametrize("arrival", ["resuming", "connected"])
def test_the_resume_replays_what_was_ignored(arrival: str, message: dict[str, Any]) -> None:
    peer = ARRIVALS[arrival]()
    peer.say(message, {"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {"content": "x"}})
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 1
    actions = peer.dispatch(2, "MESSAGE_CREATE", {"content": "x"})
    assert [(event.sequence, event.replayed) for event in peer.of(Dispatch, actions)] == [(2, True)]
    assert peer.shard.snapshot().duplicates == 0


@pytest.mark.failure("F05")
@pytest.mark.parametrize("arrival", ["resuming", "connected"])
def test_what_came_before_op_7_is_delivered(arrival: str) -> None:
    peer = ARRIVALS[arrival]()
    actions = peer.say({"op": 0, "t": "MESSAGE_CREATE", "s": 2, "d": {}}, {"op": 7})
    assert [event.sequence for event in peer.of(Dispatch, actions)] == [2]
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 2


@pytest.mark.failure("F05")
def test_after_hello_the_resume_is_immediate() -> None:
    peer = Peer().to_connected()
    [lost] = peer.of(Reconnect, peer.say({"op": 7}))
    assert (lost.type, lost.after) == (ReconnectType.RESUME, 0.0)
    connects = len(peer.connects)
    peer.advance(0.0)
    assert len(peer.connects) == connects + 1


@pytest.mark.failure("F05")
def test_immediate_in_resuming_too_where_it_is_the_first_setback() -> None:
    peer = Peer().to_connected()
    keep_stable(peer)
    peer.eof()
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    keep_stable(peer)
    assert peer.of(Reconnect, peer.say({"op": 7}))[0].after == 0.0


@pytest.mark.failure("F05")
@pytest.mark.parametrize("session", [True, False], ids=["session held", "fresh"])
def test_as_the_very_first_frame_it_waits_one_to_five_seconds(session: bool) -> None:
    waits = []
    for seed in range(300):
        peer = Peer(seed=seed)
        if session:
            peer.to_connected()
            keep_stable(peer)
            peer.eof()
            peer.redial()
        peer.to_handshake()
        actions: list[ShardAction] = peer.say({"op": 7})
        waits.append(peer.of(Reconnect, actions)[0].after)
        dialled = len(peer.connects)
        peer.advance(waits[-1] - 0.001)
        assert len(peer.connects) == dialled
        peer.advance(0.002)
        assert len(peer.connects) == dialled + 1
    assert all(1.0 <= wait <= 5.0 for wait in waits)
    quarters = [sum(quarter <= wait - 1 < quarter + 1 for wait in waits) for quarter in range(4)]
    assert all(45 < count < 105 for count in quarters)


def keep_stable(peer: Peer) -> None:
    """Connected for long enough that earlier failures are forgiven."""
    for _ in range(7):
        peer.advance(10.0)
        peer.ack()
