"""A session is given up for a written list of causes and for nothing else (F02, F06)."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway_proto import (
    CloseCode,
    ConnectionStage,
    DiscardCause,
    Dispatch,
    Fatal,
    IdentifyWanted,
    Intents,
    Limits,
    Reconnect,
    ReconnectType,
    Secret,
    Session,
    SessionLost,
    ShardAction,
)
from gateway_proto.websocket import FrameOpcode, encode_frame

from .peer import Peer, config, ready

Act = Callable[[Peer], Any]

FATAL = (4004, 4010, 4011, 4012, 4013, 4014)
GONE = (4007, 4009)
RESUMABLE = (
    *(1000, 1001, 1002, 1003, 1006, 1007, 1008, 1009, 1011, 1012, 3000),
    *(4000, 4001, 4002, 4003, 4005, 4006, 4008, 4015, 4017, 4999),
)


def unreadable(peer: Peer) -> list[ShardAction]:
    return peer.raw(encode_frame(FrameOpcode.TEXT, b"no JSON"))


def too_large(peer: Peer) -> list[ShardAction]:
    return peer.raw(encode_frame(FrameOpcode.TEXT, b" " * 2000))


def closes(code: int) -> Act:
    return lambda peer: peer.close(code, "because")


ENDS: dict[str, Act] = {
    "EOF": Peer.eof,
    "close without a code": lambda peer: peer.raw(encode_frame(FrameOpcode.CLOSE, b"")),
    **{f"close {code}": closes(code) for code in RESUMABLE},
    "op 7": lambda peer: peer.say({"op": 7}),
    "op 9 true": lambda peer: peer.say({"op": 9, "d": True}),
    "a broken frame": lambda peer: peer.raw(b"\xff" * 16),
    "an unreadable message": unreadable,
    "a message over a bound": too_large,
    "silence": lambda peer: peer.advance(90.0),
    "a clock jump": lambda peer: (peer.jump(9999.0), peer.advance(10.0)),
    "reconnect": lambda peer: peer.call(peer.shard.reconnect),
    "resume": lambda peer: peer.call(peer.shard.resume),
    "connection_failed": lambda peer: peer.do(peer.shard.connection_failed(peer.generation, "reset", peer.now)),
}
STAGES: dict[str, Callable[[], Peer]] = {
    "connected": lambda: small().to_connected(),
    "resuming": lambda: small().to_resuming(),
    "handshake": lambda: dialled(small().to_connected()).to_handshake(),
}


def small(session: Session | None = None) -> Peer:
    """A peer whose bound of a message is easy to exceed."""
    return Peer(config(limits=Limits(max_message=1000)), session=session)


def dialled(peer: Peer) -> Peer:
    peer.eof()
    peer.redial()
    return peer


def check_kept(peer: Peer) -> None:
    """The next connection resumes the session."""
    assert not peer.of(SessionLost)
    assert peer.shard.snapshot().discards == {}
    assert peer.of(Reconnect)[-1].type is ReconnectType.RESUME
    peer.sent.clear()
    peer.redial()
    peer.to_handshake().hello()
    assert [(payload["op"], payload["d"]["session_id"], payload["d"]["seq"]) for payload in peer.sent] == [
        (6, "session-1", 1)
    ]


@pytest.mark.failure("F02", "F17")
@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES.keys())
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_no_other_end_of_a_connection_discards(stage: Callable[[], Peer], end: Act) -> None:
    peer = stage()
    ended = len(peer.of(Reconnect))
    end(peer)
    assert len(peer.of(Reconnect)) > ended
    check_kept(peer)


@pytest.mark.failure("F02")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_no_refused_upgrade_discards(status: int) -> None:
    peer = dialled(small().to_connected())
    for _ in range(8):
        peer.open()
        peer.raw(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
        peer.redial()
    check_kept(peer)


@pytest.mark.failure("F02")
@pytest.mark.parametrize("code", FATAL)
def test_a_fatal_end_keeps_the_session_for_who_mends_the_cause(code: int) -> None:
    peer = small().to_connected()
    peer.close(code)
    assert peer.of(Fatal)
    check_held(peer)
    peer.call(peer.shard.connect)
    peer.to_handshake().hello()
    assert [d["session_id"] for d in peer.payloads(6)] == ["session-1"]


@pytest.mark.failure("F02", "F29")
def test_too_large_twice_is_fatal_and_no_discard() -> None:
    peer = small().to_connected()
    too_large(peer)
    assert not peer.of(Fatal)
    peer.resume_again()
    too_large(peer)
    assert peer.of(Fatal)
    check_held(peer)


@pytest.mark.failure("F02", "F27", "F29")
def test_what_is_too_large_does_not_make_a_poison_of_two_broken_streams() -> None:
    peer = small().to_connected()
    for end in (unreadable, too_large, unreadable):
        end(peer)
        assert not peer.of(SessionLost)
        peer.resume_again()
    assert not peer.of(Fatal)


@pytest.mark.failure("F02", "F18")
def test_a_resumable_close_keeps_it() -> None:
    peer = small().to_connected()
    peer.call(peer.shard.close)
    assert peer.closes == [4000]
    check_held(peer)


def check_held(peer: Peer) -> None:
    assert peer.shard.stage is ConnectionStage.DISCONNECTED
    assert peer.shard.snapshot().discards == {}
    session = peer.shard.session
    assert session is not None
    assert (session.id.reveal(), session.sequence) == ("session-1", 1)


@pytest.mark.failure("F02")
def test_changing_the_host_costs_no_session_and_neither_do_odd_messages() -> None:
    peer = small().to_connected()
    peer.dispatch(9)  # a gap
    peer.dispatch(3)  # a duplicate
    peer.dispatch(10, "RESUMED")
    peer.say({"op": 99}, {"op": 10, "d": {"heartbeat_interval": 41250}}, {"op": 11}, {"op": 1})
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert peer.shard.snapshot().discards == {}
    assert peer.shard.snapshot().received == 10


# -- what does discard -----------------------------------------------------------------------------------------


def bricked(peer: Peer) -> None:
    peer.eof()
    for _ in range(5):
        peer.resume_again()
        peer.advance(60.0)
    peer.resume_again()


def poisoned(peer: Peer) -> None:
    unreadable(peer)
    for _ in range(2):
        peer.resume_again()
        unreadable(peer)


def replaced(peer: Peer) -> None:
    dialled(peer).to_handshake().hello()
    peer.dispatch(1, "READY", ready("session-2"))


DISCARDS: list[tuple[str, DiscardCause, Act]] = [
    ("op 9 false", DiscardCause.INVALID_SESSION, lambda peer: peer.say({"op": 9, "d": False})),
    ("op 9 odd", DiscardCause.INVALID_SESSION, lambda peer: peer.say({"op": 9, "d": "true"})),
    ("op 9 bare", DiscardCause.INVALID_SESSION, lambda peer: peer.say({"op": 9})),
    *[(f"close {code}", DiscardCause.CLOSE_CODE, closes(code)) for code in GONE],
    ("logout", DiscardCause.LOGOUT, lambda peer: peer.call(peer.shard.close, resumable=False)),
    ("reset", DiscardCause.RESET, lambda peer: peer.call(peer.shard.reset)),
    ("reset while waiting", DiscardCause.RESET, lambda peer: (peer.eof(), peer.call(peer.shard.reset))),
    ("reset while dialling", DiscardCause.RESET, lambda peer: (dialled(peer), peer.call(peer.shard.reset))),
    ("bricked", DiscardCause.BRICKED, bricked),
    ("poisoned", DiscardCause.POISONED, poisoned),
    ("replaced", DiscardCause.REPLACED, replaced),
]


@pytest.mark.failure("F02")
@pytest.mark.parametrize(("cause", "act"), [row[1:] for row in DISCARDS], ids=[row[0] for row in DISCARDS])
def test_each_discard_is_counted_by_its_cause_and_told_once(cause: DiscardCause, act: Act) -> None:
    peer = small().to_connected()
    peer.dispatch(7)
    act(peer)
    assert peer.shard.snapshot().discards == {cause: 1}
    [lost] = peer.of(SessionLost)
    assert (lost.cause, lost.epoch, lost.sequence) == (cause, 1, 7)
    if cause is DiscardCause.REPLACED:
        assert peer.shard.stage is ConnectionStage.CONNECTED
        assert peer.shard.snapshot().epoch == 2
        return
    assert peer.shard.session is None
    resumes = len(peer.payloads(6))
    if peer.shard.stage is ConnectionStage.DISCONNECTED:
        if cause is DiscardCause.LOGOUT:
            peer.call(peer.shard.connect)
        peer.redial()
        peer.to_handshake().hello()
    peer.permit()
    assert len(peer.payloads(2)) == 2
    assert len(peer.payloads(6)) == resumes


@pytest.mark.failure("F02", "F38")
@pytest.mark.parametrize(
    "changed", [{"shard": (0, 2)}, {"intents": Intents.GUILD_MEMBERS}, {"transport_compression": "zstd-stream"}]
)
def test_a_snapshot_that_does_not_match_is_a_discard(changed: dict[str, Any]) -> None:
    stored = Session(id=Secret("old"), sequence=7, resume_url=None, binding=config().binding())
    peer = Peer(config(**changed), session=stored)
    peer.call(peer.shard.connect)
    assert peer.shard.snapshot().discards == {DiscardCause.MISMATCH: 1}
    assert [(lost.cause, lost.sequence) for lost in peer.of(SessionLost)] == [(DiscardCause.MISMATCH, 7)]
    peer.to_handshake().hello()
    assert peer.payloads(6) == []
    assert peer.of(IdentifyWanted)


@pytest.mark.failure("F02")
def test_every_cause_there_is_has_its_test_and_discards_add_up() -> None:
    assert {row[1] for row in DISCARDS} | {DiscardCause.MISMATCH} == set(DiscardCause)
    peer = small().to_connected()
    for code in (4007, None, 4009):
        if code is None:
            peer.say({"op": 9, "d": False})
        else:
            peer.close(code)
        peer.redial()
        peer.to_identifying()
        peer.dispatch(1, "READY", ready())
    assert peer.shard.snapshot().discards == {DiscardCause.CLOSE_CODE: 2, DiscardCause.INVALID_SESSION: 1}


@pytest.mark.failure("F02")
def test_without_a_session_there_is_nothing_to_discard() -> None:
    peer = small().to_identifying()
    peer.say({"op": 9, "d": False})
    peer.resume_again()
    peer.close(4007)
    peer.call(peer.shard.reset)
    peer.call(peer.shard.close, resumable=False)
    assert peer.shard.snapshot().discards == {}
    assert not peer.of(SessionLost)


@pytest.mark.failure("F02")
def test_the_table_of_codes_is_whole() -> None:
    assert {int(code) for code in CloseCode} <= set(FATAL) | set(GONE) | set(RESUMABLE)


def test_a_second_ready_without_a_session_id_is_a_session_again() -> None:
    # Neither can be resumed; two absent ids are not the same session.
    peer = Peer().to_connected(session_id=None)
    peer.eof()
    assert peer.of(Reconnect)[-1].type is ReconnectType.REIDENTIFY
    peer.redial()
    peer.to_identifying()
    peer.dispatch(1, "READY", ready(session_id=""))
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert [action.epoch for action in peer.of(Dispatch)] == [1, 2]


# -- F06 -------------------------------------------------------------------------------------------------------


def resume_and_close(peer: Peer) -> None:
    """Dial at once, have the RESUME written, close."""
    if peer.shard.stage is ConnectionStage.DISCONNECTED:
        peer.call(peer.shard.connect)
    peer.to_handshake().hello()
    peer.close(4000)


@pytest.mark.failure("F06")
def test_many_resumes_within_three_minutes_are_not_enough() -> None:
    peer = Peer().to_connected()
    peer.eof()
    start = peer.now
    for _ in range(17):
        resume_and_close(peer)
        peer.now += 10.0
    assert len(peer.payloads(6)) == 17
    peer.call(peer.shard.connect)
    peer.now = start + 179.9
    peer.open()
    peer.upgrade()
    peer.hello()
    assert len(peer.payloads(6)) == 18
    peer.close(4000)
    assert peer.shard.snapshot().discards == {}
    peer.now = start + 180.0
    resume_and_close(peer)
    assert len(peer.payloads(6)) == 18
    assert peer.shard.snapshot().discards == {DiscardCause.BRICKED: 1}


@pytest.mark.failure("F06")
def test_four_resumes_are_not_enough_however_long_it_takes() -> None:
    peer = Peer().to_connected()
    peer.eof()
    for _ in range(5):
        peer.resume_again()
        assert peer.shard.stage is ConnectionStage.RESUMING
        peer.advance(60.0)  # unanswered
    assert len(peer.payloads(6)) == 5
    assert peer.shard.snapshot().discards == {}
    peer.resume_again()
    assert len(peer.payloads(6)) == 5
    [lost] = peer.of(SessionLost)
    assert lost.cause is DiscardCause.BRICKED
    assert lost.downtime >= 240.0


@pytest.mark.failure("F06")
def test_it_identifies_only_with_a_permit_and_on_the_same_connection() -> None:
    peer = Peer().to_connected()
    bricked(peer)
    generation = peer.generation
    assert peer.of(IdentifyWanted)[-1].generation == generation
    assert len(peer.payloads(2)) == 1
    # No permit, no IDENTIFY: it waits, beating.
    for _ in range(40):
        peer.advance(41.25)
        peer.ack()
    assert peer.generation == generation
    assert len(peer.payloads(2)) == 1
    peer.permit()
    assert len(peer.payloads(2)) == 2


@pytest.mark.failure("F06")
@pytest.mark.parametrize("answer", ["RESUMED", "MESSAGE_CREATE", "a duplicate"])
def test_any_dispatch_answers(answer: str) -> None:
    peer = Peer().to_connected()
    peer.eof()
    for number in range(30):
        peer.resume_again()
        if number % 4 == 3:
            if answer == "a duplicate":
                peer.dispatch(1)
            else:
                peer.dispatch(peer.shard.snapshot().received + 1, answer)
        peer.close(4000)
        peer.advance(60.0)
    assert peer.shard.snapshot().discards == {}
    assert len(peer.payloads(6)) == 30


@pytest.mark.failure("F06")
def test_an_outage_of_the_gateway_re_identifies_nobody() -> None:
    peer = Peer().to_connected()
    peer.eof()
    start = peer.now
    for number in range(200):
        peer.redial()
        if number % 3 == 0:
            peer.do(peer.shard.connection_failed(peer.generation, "refused", peer.now))
        elif number % 3 == 1:
            peer.open()
            peer.raw(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        else:
            peer.to_handshake().close(4000)
    assert peer.now - start > 1800.0
    assert peer.shard.snapshot().resumes_tried == 0
    peer.redial()
    peer.to_handshake().hello()
    assert len(peer.payloads(6)) == 1


@pytest.mark.failure("F06")
def test_a_resume_that_was_never_written_does_not_count() -> None:
    peer = Peer().to_connected()
    peer.eof()
    start = peer.now
    for _ in range(20):
        peer.redial()
        peer.to_handshake()
        # HELLO and the close in one chunk: the RESUME was queued and never drained.
        peer.raw(
            encode_frame(FrameOpcode.TEXT, msgspec.json.encode({"op": 10, "d": {"heartbeat_interval": 41250}}))
            + encode_frame(FrameOpcode.CLOSE, (4000).to_bytes(2))
        )
    assert peer.now - start > 180.0
    assert peer.payloads(6) == []
    peer.redial()
    peer.to_handshake().hello()
    assert len(peer.payloads(6)) == 1
    assert peer.shard.snapshot().discards == {}
