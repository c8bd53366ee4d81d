"""F19, F22, F23: what is waited for, how long, and how long between two tries."""

from typing import Any

import pytest

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    DiscardCause,
    Disconnect,
    ExpectedHelloError,
    HeartbeatFailedError,
    HeartbeatSent,
    IdentifyWanted,
    InvalidHandshakeError,
    InvalidSessionError,
    Limits,
    Notice,
    NoticeKind,
    PermitReturned,
    PermitUsed,
    Reconnect,
    ReconnectRequestedError,
    ReconnectType,
    ResumeTimeoutError,
    SessionLost,
)

from .packing import event, text
from .peer import INTERVAL, Peer, config, ready

MISSING = object()


def beat_on(peer: Peer, seconds: float) -> None:
    """Let time pass on a live connection: each beat is acknowledged at once."""
    end = peer.now + seconds
    beats = len(peer.of(HeartbeatSent))
    while peer.now < end:
        peer.advance(min(1.0, end - peer.now))
        if len(peer.of(HeartbeatSent)) > beats:
            beats = len(peer.of(HeartbeatSent))
            peer.ack()


def lost(peer: Peer, actions: Any = None) -> Reconnect:
    [reconnect] = peer.of(Reconnect, actions)
    return reconnect


# F19


@pytest.mark.failure("F19")
def test_op_9_true_waits_one_to_five_seconds_and_resumes() -> None:
    waits = []
    for seed in range(60):
        peer = Peer(seed=seed).to_connected()
        actions = peer.say({"op": 9, "d": True})
        reconnect = lost(peer, actions)
        assert (reconnect.type, reconnect.cause) == (ReconnectType.RESUME, InvalidSessionError(True))
        assert peer.closes == [4000]
        waits.append(reconnect.after)
        dials = len(peer.connects)
        peer.advance(reconnect.after - 0.001)
        assert len(peer.connects) == dials
        peer.advance(0.002)
        assert len(peer.connects) == dials + 1
        peer.to_handshake()
        peer.hello()
        assert [payload["seq"] for payload in peer.payloads(6)] == [1]
    assert 1.0 <= min(waits) < 1.4
    assert 4.6 < max(waits) <= 5.0


@pytest.mark.failure("F19", "F02")
@pytest.mark.parametrize("d", [False, None, "true", 1, {}, [True], {"resumable": True}, MISSING])
def test_anything_else_is_false(d: Any) -> None:
    peer = Peer().to_connected()
    actions = peer.say({"op": 9} if d is MISSING else {"op": 9, "d": d})
    reconnect = lost(peer, actions)
    assert (reconnect.type, reconnect.cause) == (ReconnectType.REIDENTIFY, InvalidSessionError(False))
    assert 1.0 <= reconnect.after <= 5.0
    assert [gone.cause for gone in peer.of(SessionLost, actions)] == [DiscardCause.INVALID_SESSION]
    assert peer.closes == [4000]
    assert peer.shard.snapshot().discards == {DiscardCause.INVALID_SESSION: 1}
    peer.advance(5.0)
    peer.to_handshake()
    [wanted] = peer.of(IdentifyWanted, peer.hello())
    assert wanted.generation == peer.generation == 2
    peer.permit()
    assert len(peer.payloads(2)) == 2
    assert peer.payloads(6) == []


@pytest.mark.failure("F19")
def test_space_around_true() -> None:
    peer = Peer().to_connected()
    peer.raw(text(b'{"op":9,"d": \t true \n}'))
    assert lost(peer).type is ReconnectType.RESUME


@pytest.mark.failure("F19")
@pytest.mark.parametrize("d", [True, False])
def test_in_answer_to_identify_it_waits_five_more_and_the_identify_is_charged(d: bool) -> None:
    waits = []
    for seed in range(40):
        peer = Peer(seed=seed).to_identifying()
        reconnect = lost(peer, peer.say({"op": 9, "d": d}))
        assert reconnect.type is ReconnectType.REIDENTIFY
        waits.append(reconnect.after)
        assert len(peer.of(PermitUsed)) == 1
        assert peer.of(PermitReturned) == []
        assert peer.shard.snapshot().identifies_24h == 1
        assert peer.closes == [4000]
        peer.advance(reconnect.after)
        peer.to_handshake()
        assert peer.of(IdentifyWanted, peer.hello())
        assert peer.shard.snapshot().identifies_24h == 1
    assert 6.0 <= min(waits) < 7.0
    assert 9.0 < max(waits) <= 10.0


@pytest.mark.failure("F19")
@pytest.mark.parametrize("d", [True, False])
def test_in_answer_to_resume(d: bool) -> None:
    peer = Peer().to_resuming()
    actions = peer.say({"op": 9, "d": d})
    reconnect = lost(peer, actions)
    assert reconnect.type is (ReconnectType.RESUME if d else ReconnectType.REIDENTIFY)
    assert 1.0 <= reconnect.after <= 5.0
    assert len(peer.of(SessionLost, actions)) == (not d)


@pytest.mark.failure("F19", "F05")
@pytest.mark.parametrize("d", [True, False])
def test_what_follows_op_9_is_ignored(d: bool) -> None:
    peer = Peer().to_connected()
    actions = peer.raw(text({"op": 9, "d": d}) + text(event(2)) + text({"op": 7}))
    assert len(peer.of(Disconnect, actions)) == len(peer.of(Reconnect, actions)) == 1
    assert peer.shard.snapshot().received == (1 if d else 0)
    assert peer.raw(text(event(2))) == []


@pytest.mark.failure("F19")
def test_while_the_permit_is_waited_for() -> None:
    peer = Peer().to_handshake()
    peer.hello()
    peer.say({"op": 9, "d": False})
    permit = peer.of(IdentifyWanted)[-1].permit()
    assert peer.call(peer.shard.identify, permit) == [PermitReturned(permit=permit)]
    assert peer.shard.snapshot().identifies_24h == 0


@pytest.mark.failure("F19", "F20")
@pytest.mark.parametrize("end", ["op 9", "EOF", "close"])
def test_a_permit_that_was_not_drained_is_handed_back(end: str) -> None:
    peer = Peer().to_handshake()
    peer.hello()
    permit = peer.of(IdentifyWanted)[-1].permit(id=7)
    shard = peer.shard
    shard.identify(permit, peer.now)
    if end == "op 9":
        actions = peer.say({"op": 9, "d": False})
    else:
        actions = peer.eof() if end == "EOF" else peer.call(shard.close)
    assert peer.of(PermitReturned, actions) == [PermitReturned(permit=permit)]
    assert peer.of(PermitUsed) == []
    assert peer.payloads(2) == []
    assert shard.snapshot().identifies_24h == 0


# F22


@pytest.mark.failure("F22")
@pytest.mark.parametrize("resuming", [True, False])
def test_hello_is_due_fifteen_seconds_after_the_upgrade(resuming: bool) -> None:
    peer = Peer()
    if resuming:
        peer.to_connected()
        peer.eof()
        peer.advance(0.0)
    peer.open()
    peer.advance(8.0)
    peer.upgrade()
    assert peer.advance(14.999) == []
    reconnect = lost(peer, peer.advance(0.001))
    assert isinstance(reconnect.cause, ExpectedHelloError)
    assert str(reconnect.cause) == "no HELLO within 15 s"
    assert reconnect.type is (ReconnectType.RESUME if resuming else ReconnectType.REIDENTIFY)


@pytest.mark.failure("F22")
def test_resumed_is_due_sixty_seconds_after_the_last_dispatch() -> None:
    peer = Peer().to_resuming()
    beat_on(peer, 50.0)
    peer.dispatch(2)
    beat_on(peer, 50.0)
    peer.dispatch(3)
    beat_on(peer, 50.0)
    assert peer.dispatch(3) == [], "a duplicate is a sign of the replay, too"
    beat_on(peer, 59.0)
    assert peer.shard.stage is ConnectionStage.RESUMING
    beat_on(peer, 1.5)
    reconnect = peer.of(Reconnect)[-1]
    assert (reconnect.type, reconnect.cause) == (ReconnectType.RESUME, ResumeTimeoutError(60.0))
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 3


@pytest.mark.failure("F22")
def test_resumed_ends_the_wait() -> None:
    peer = Peer().to_resuming()
    peer.dispatch(2, "RESUMED")
    beat_on(peer, 300.0)
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F22")
def test_the_permit_is_waited_for_without_limit_beating() -> None:
    peer = Peer().to_handshake()
    peer.hello()
    beat_on(peer, 7200.0)
    assert len(peer.payloads(1)) >= 7200.0 // INTERVAL
    assert peer.of(Reconnect) == []
    assert peer.of(Notice) == []
    peer.permit()
    assert len(peer.payloads(2)) == 1
    peer.dispatch(1, "READY", ready())
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F22")
def test_ready_has_no_limit_while_beats_are_answered() -> None:
    peer = Peer().to_identifying()
    beat_on(peer, 299.0)
    assert peer.of(Notice) == []
    beat_on(peer, 2.0)
    [notice] = peer.of(Notice)
    assert notice.kind is NoticeKind.READY_SLOW
    assert "300 s" in notice.detail
    beat_on(peer, 3600.0)
    assert peer.of(Notice) == [notice]
    assert peer.of(Reconnect) == []
    peer.dispatch(1, "READY", ready())
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F22", "F07")
def test_ready_is_given_up_once_beats_are_not_answered() -> None:
    peer = Peer().to_identifying()
    peer.advance(3.0 * INTERVAL - 1.0)
    assert peer.of(Reconnect) == []
    peer.advance(2.0 * INTERVAL)
    assert isinstance(peer.of(Reconnect)[0].cause, HeartbeatFailedError)


@pytest.mark.failure("F22")
def test_the_times_are_settings_with_the_documented_defaults() -> None:
    limits = Limits()
    assert (limits.hello, limits.resumed, limits.ready_notice, limits.dial) == (15.0, 60.0, 300.0, 10.0)
    peer = Peer(config(limits=Limits(hello=3.0))).to_handshake()
    assert isinstance(lost(peer, peer.advance(3.0)).cause, ExpectedHelloError)


# F23


def fail(peer: Peer) -> float:
    """The next dial fails; returns how long the shard then waits."""
    while peer.shard.stage is not ConnectionStage.CONNECTING:
        peer.advance(1.0)
    actions = peer.call(peer.shard.connection_failed, peer.generation, OSError("refused"))
    return lost(peer, actions).after


@pytest.mark.failure("F23")
def test_full_jitter_from_one_to_sixty_seconds() -> None:
    waits: list[list[float]] = [[] for _ in range(10)]
    for seed in range(60):
        peer = Peer(seed=seed)
        peer.call(peer.shard.connect)
        for column in waits:
            column.append(fail(peer))
    for failures, column in enumerate(waits):
        bound = min(60.0, 2.0**failures)
        assert max(column) <= bound
        assert max(column) > bound * 0.9
        assert min(column) < bound * 0.1


@pytest.mark.failure("F23")
def test_the_dial_comes_when_it_was_said_to() -> None:
    peer = Peer()
    peer.call(peer.shard.connect)
    after = fail(peer)
    assert peer.shard.next_timeout() == pytest.approx(peer.now + after)
    peer.advance(after * 0.99)
    assert len(peer.connects) == 1
    peer.advance(after * 0.02)
    assert len(peer.connects) == 2


@pytest.mark.failure("F23")
@pytest.mark.parametrize(
    ("said", "least", "most"),
    [(b"7", 7.0, 7.0), (b"0", 0.0, 1.0), (b"3600", 3600.0, 3600.0), (b"86400", 3600.0, 3600.0), (b"soon", 0.0, 1.0)],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_up_to_an_hour(said: bytes, least: float, most: float, status: int) -> None:
    peer = Peer()
    peer.open()
    actions = peer.raw(b"HTTP/1.1 %d No\r\nRetry-After: %b\r\nContent-Length: 3\r\n\r\nno!" % (status, said))
    reconnect = lost(peer, actions)
    assert isinstance(reconnect.cause, InvalidHandshakeError)
    assert reconnect.cause.status == status
    assert least <= reconnect.after <= most
    assert peer.of(Disconnect, actions)


@pytest.mark.failure("F23")
@pytest.mark.parametrize(("stable", "forgiven"), [(59.0, False), (60.0, True)])
def test_sixty_stable_seconds_forgive(stable: float, forgiven: bool) -> None:
    waits = []
    for seed in range(30):
        peer = Peer(seed=seed)
        peer.call(peer.shard.connect)
        for _ in range(6):
            fail(peer)
        peer.advance(60.0)
        peer.to_connected()
        if stable > INTERVAL:
            beat_on(peer, stable)
        waits.append(lost(peer, peer.eof()).after)
    if forgiven:
        assert set(waits) == {0.0}
    else:
        assert max(waits) > 30.0


@pytest.mark.failure("F23")
def test_waiting_for_a_permit_or_for_ready_forgives_nothing() -> None:
    waits = []
    for seed in range(30):
        peer = Peer(seed=seed)
        peer.call(peer.shard.connect)
        for _ in range(6):
            fail(peer)
        peer.advance(60.0)
        peer.to_handshake()
        peer.hello()
        beat_on(peer, 70.0)
        peer.permit()
        beat_on(peer, 70.0)
        waits.append(lost(peer, peer.eof()[:]).after)
    assert max(waits) > 30.0


@pytest.mark.failure("F23", "F05")
@pytest.mark.parametrize("how", ["op 7", "EOF", "close"])
def test_a_resume_is_immediate_the_first_time(how: str) -> None:
    def drop(peer: Peer) -> Reconnect:
        if how == "op 7":
            return lost(peer, peer.say({"op": 7}))
        return lost(peer, peer.eof() if how == "EOF" else peer.close(4000))

    second = []
    for seed in range(30):
        peer = Peer(seed=seed).to_connected()
        first = drop(peer)
        assert (first.type, first.after) == (ReconnectType.RESUME, 0.0)
        assert isinstance(first.cause, ReconnectRequestedError if how == "op 7" else ClosedError)
        peer.resume_again()
        peer.dispatch(2, "RESUMED")
        second.append(drop(peer).after)
    assert 0.0 < max(second) <= 2.0


@pytest.mark.failure("F23")
def test_an_identify_is_never_immediate() -> None:
    waits = {lost(peer, peer.close(4009)).after for seed in range(20) for peer in [Peer(seed=seed).to_connected()]}
    assert len(waits) == 20
    assert all(0.0 < wait <= 1.0 for wait in waits)
