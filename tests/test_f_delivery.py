"""F32, F38: two sequences, no event lost or doubled at a session's boundary, and sessions that cross a restart."""

from typing import Any

import msgspec
import pytest

from gateway_proto import (
    Connect,
    ConnectionStage,
    DiscardCause,
    Dispatch,
    IdentifyWanted,
    Intents,
    LocalProtocolError,
    Notice,
    NoticeKind,
    Reconnect,
    Secret,
    SequenceGap,
    Session,
    SessionBinding,
    SessionLost,
    ShardAction,
    SnapshotMismatchError,
    StageChanged,
)

from .packing import event, text
from .peer import INTERVAL, RESUME_URL, Peer, config, ready


def sequences(actions: list[ShardAction]) -> list[int]:
    return [action.sequence for action in actions if isinstance(action, Dispatch)]


def events(*numbers: int) -> bytes:
    return b"".join(text(event(number)) for number in numbers)


# F32: received


@pytest.mark.failure("F32")
def test_a_living_shard_resumes_from_the_received_sequence() -> None:
    peer = Peer().to_connected()
    peer.raw(events(2, 3, 4))
    assert (peer.shard.snapshot().received, peer.shard.snapshot().delivered) == (4, 1)
    peer.eof()
    peer.resume_again()
    assert peer.payloads(6)[-1]["seq"] == 4


@pytest.mark.failure("F32")
def test_snapshots_and_heartbeats_say_the_delivered_sequence() -> None:
    peer = Peer().to_connected()
    peer.raw(events(2, 3, 4))
    peer.shard.delivered(1, 3)
    session = peer.shard.session_snapshot(wall=5.0)
    assert session is not None
    assert (session.sequence, session.saved_at) == (3, 5.0)
    peer.advance(INTERVAL)
    assert peer.payloads(1) == [3]


@pytest.mark.failure("F32")
def test_the_sequence_of_a_beat_is_fixed_when_it_is_drained() -> None:
    peer = Peer().to_connected()
    peer.raw(events(2, 3))
    peer.shard.heartbeat(peer.now)
    peer.shard.delivered(1, 2)
    peer.pump()
    assert peer.payloads(1) == [2]


@pytest.mark.failure("F32")
def test_what_counts_as_a_duplicate() -> None:
    """s ≤ the sequence put into RESUME, or ≤ one seen since on this connection; those are counted, not delivered."""
    peer = Peer().to_connected()
    peer.raw(events(2, 3))
    peer.eof()
    peer.resume_again()
    actions = peer.raw(events(1, 2, 3, 4, 4, 2, 5))
    assert sequences(actions) == [4, 5]
    assert peer.shard.snapshot().duplicates == 5
    assert peer.shard.snapshot().received == 5
    assert peer.of(SequenceGap) == []


@pytest.mark.failure("F32")
@pytest.mark.parametrize("stage", ["connected", "resuming"])
def test_a_gap_is_told_and_the_event_behind_it_delivered(stage: str) -> None:
    peer = Peer().to_connected() if stage == "connected" else Peer().to_resuming()
    actions = peer.raw(events(2, 5, 6, 9))
    assert [action for action in actions if not isinstance(action, Dispatch)] == [
        SequenceGap(epoch=1, expected=3, received=5),
        SequenceGap(epoch=1, expected=7, received=9),
    ]
    assert [type(action) for action in actions] == [Dispatch, SequenceGap, Dispatch, Dispatch, SequenceGap, Dispatch]
    assert sequences(actions) == [2, 5, 6, 9]
    assert peer.shard.snapshot().gaps == 2
    assert peer.shard.snapshot().received == 9


@pytest.mark.failure("F32")
def test_what_is_replayed_is_marked_so() -> None:
    peer = Peer().to_resuming()
    actions = peer.raw(events(2, 3) + text(event(4, "RESUMED")) + events(5))
    marks = [(got.sequence, got.replayed) for got in peer.of(Dispatch, actions)]
    assert marks == [(2, True), (3, True), (4, True), (5, False)]


@pytest.mark.failure("F32")
def test_a_resumed_with_an_old_sequence_still_ends_the_replay() -> None:
    peer = Peer().to_resuming()
    assert sequences(peer.dispatch(1, "RESUMED")) == []
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert sequences(peer.dispatch(2)) == [2]


@pytest.mark.failure("F32")
def test_a_resumed_that_an_earlier_process_got_does_not_end_the_replay() -> None:
    # RESUMED is 4, 6 was the last that came, 3 the last that was taken: kill -9.
    peer = Peer().to_resuming()
    peer.raw(events(2, 3) + text(event(4, "RESUMED")) + events(5, 6))
    peer.shard.delivered(1, 3)
    heir = Peer(session=peer.shard.session_snapshot()).to_handshake()
    heir.hello()
    # It dies in its turn before it has got all of that again: what its parent had stays known.
    heir.raw(events(4))
    session = heir.shard.session_snapshot()
    assert session is not None
    assert (session.sequence, session.received) == (3, 6)
    third = Peer(session=session).to_handshake()
    third.hello()
    actions = third.raw(text(event(4, "RESUMED")) + events(5, 6, 7) + text(event(8, "RESUMED")) + events(9))
    marks = [(got.sequence, got.replayed) for got in third.of(Dispatch, actions)]
    assert marks == [(4, True), (5, True), (6, True), (7, True), (8, True), (9, False)]


@pytest.mark.failure("F32")
@pytest.mark.parametrize("number", [3, 7])
def test_the_resumed_of_this_process_ends_the_replay_with_or_without_a_number(number: int) -> None:
    peer = Peer().to_resuming()
    peer.raw(events(2, 3, 4, 5, 6))
    peer.shard.delivered(1, 3)
    heir = Peer(session=peer.shard.session_snapshot()).to_handshake()
    heir.hello()
    heir.dispatch(number, "RESUMED")
    assert heir.shard.stage is ConnectionStage.CONNECTED


# F32: delivered


@pytest.mark.failure("F32")
@pytest.mark.parametrize("taken", range(11))
@pytest.mark.parametrize("chunked", [True, False])
def test_a_death_between_any_two_of_ten_parsed_events_loses_none(taken: int, chunked: bool) -> None:
    numbers = range(2, 12)
    peer = Peer().to_connected()
    actions = [action for n in numbers for action in peer.raw(events(n))] if chunked else peer.raw(events(*numbers))
    log = []
    for action in peer.of(Dispatch, actions)[:taken]:
        log.append(action.decode()["n"])
        peer.shard.delivered(action.epoch, action.sequence)
    session = peer.shard.session_snapshot()
    assert session is not None
    heir = Peer(session=Session.from_bytes(session.to_bytes())).to_handshake()
    heir.hello()
    [resume] = heir.payloads(6)
    assert resume["seq"] == 1 + taken
    replay = heir.raw(events(*(n for n in numbers if n > resume["seq"])) + text(event(12, "RESUMED")))
    log += [action.decode()["n"] for action in heir.of(Dispatch, replay)[:-1]]
    assert log == list(numbers)
    assert heir.of(SequenceGap) == []
    assert heir.shard.snapshot().duplicates == 0


@pytest.mark.failure("F32")
def test_while_ready_is_not_delivered_there_is_nothing_to_store() -> None:
    peer = Peer().to_identifying()
    peer.dispatch(1, "READY", ready())
    assert peer.shard.session is None
    assert peer.shard.session_snapshot() is None
    peer.shard.delivered(1, 1)
    assert peer.shard.session is not None
    assert peer.shard.session.sequence == 1


@pytest.mark.failure("F32")
def test_delivered_of_an_older_epoch_is_ignored_and_an_impossible_one_is_a_misuse() -> None:
    peer = Peer().to_connected()
    peer.raw(events(2, 3))
    peer.shard.delivered(1, 3)
    peer.shard.delivered(1, 2)
    assert peer.shard.snapshot().delivered == 3
    for epoch, sequence in ((1, 4), (2, 1), (9, 1)):
        with pytest.raises(LocalProtocolError, match=rf"sequence {sequence} of epoch {epoch} was never handed out"):
            peer.shard.delivered(epoch, sequence)
        assert peer.shard.snapshot().delivered == 3
    peer.close(4009)
    peer.shard.delivered(1, 3)
    peer.resume_again()
    peer.permit()
    peer.dispatch(1, "READY", ready("session-2"))
    peer.shard.delivered(1, 3)
    assert peer.shard.snapshot().delivered == 0
    peer.shard.delivered(2, 1)
    assert peer.shard.snapshot().delivered == 1


@pytest.mark.failure("F32")
def test_the_epoch_changes_with_every_ready() -> None:
    peer = Peer().to_connected()
    epochs = [got.epoch for got in peer.of(Dispatch)]
    peer.say({"op": 9, "d": False})
    peer.resume_again()
    peer.permit()
    epochs += [got.epoch for got in peer.of(Dispatch, peer.raw(text(event(1, "READY", ready("s-2"))) + events(2)))]
    assert epochs == [1, 2, 2]


@pytest.mark.failure("F32")
def test_auto_deliver_counts_what_was_returned_at_the_next_input() -> None:
    peer = Peer(config(auto_deliver=True)).to_connected()
    peer.raw(events(2, 3))
    assert peer.shard.snapshot().delivered == 1
    peer.call(peer.shard.handle_timeout)
    assert peer.shard.snapshot().delivered == 3
    actions = peer.raw(events(4))
    assert (sequences(actions), peer.shard.snapshot().delivered) == ([4], 3)
    peer.call(peer.shard.close)
    assert peer.shard.session is not None
    assert peer.shard.session.sequence == 4


# F32: the session's end


@pytest.mark.failure("F32", "F02")
def test_session_lost_tells_the_last_sequence_and_the_downtime() -> None:
    peer = Peer().to_connected()
    peer.raw(events(2, 3))
    peer.advance(2.0)
    peer.eof()
    peer.advance(1.0)
    peer.to_handshake()
    peer.advance(4.0)
    peer.hello()
    [gone] = peer.of(SessionLost, peer.say({"op": 9, "d": False}))
    assert gone == SessionLost(epoch=1, sequence=3, downtime=7.0, cause=DiscardCause.INVALID_SESSION)


@pytest.mark.failure("F32")
def test_a_session_that_ends_while_it_lives_has_no_downtime() -> None:
    peer = Peer().to_connected()
    peer.advance(10.0)
    [gone] = peer.of(SessionLost, peer.say({"op": 9, "d": False}))
    assert (gone.sequence, gone.downtime) == (1, 0.0)


@pytest.mark.failure("F32")
def test_the_downtime_spans_connections_that_did_not_resume() -> None:
    peer = Peer().to_connected()
    peer.eof()
    start = peer.now
    for _ in range(3):
        peer.resume_again()
        peer.advance(3.0)
        peer.eof()
    peer.resume_again()
    [gone] = peer.of(SessionLost, peer.close(4007))
    assert gone.downtime == pytest.approx(peer.now - start)
    assert gone.downtime > 9.0


@pytest.mark.failure("F32", "F02")
def test_ready_while_resuming_replaces_the_session() -> None:
    peer = Peer().to_resuming()
    peer.raw(events(2))
    actions = peer.dispatch(1, "READY", ready("session-2"))
    assert [type(action) for action in actions if not isinstance(action, Notice)][:3] == [
        SessionLost,
        StageChanged,
        Dispatch,
    ]
    [gone] = peer.of(SessionLost, actions)
    assert (gone.epoch, gone.sequence, gone.cause) == (1, 2, DiscardCause.REPLACED)
    [got] = peer.of(Dispatch, actions)
    assert (got.epoch, got.sequence, got.replayed) == (2, 1, False)
    assert sequences(peer.raw(events(2))) == [2]


# F38


CHANGES: dict[str, Any] = {
    "shard": (1, 2),
    "intents": Intents.GUILDS | Intents.GUILD_MESSAGES,
    "api_version": 9,
    "transport_compression": "zlib-stream",
    "payload_compression": True,
}


def stored(**changes: Any) -> Session:
    peer = Peer(config(**changes)).to_connected()
    peer.raw(events(2, 3))
    peer.deliver()
    session = peer.shard.session_snapshot(wall=1234.5)
    assert session is not None
    return session


@pytest.mark.failure("F38")
def test_everything_that_resume_needs_goes_to_bytes_and_back() -> None:
    session = stored()
    assert session == Session(
        id=Secret("session-1"),
        sequence=3,
        resume_url=Secret(RESUME_URL),
        binding=SessionBinding(
            shard=None,
            intents=int(Intents.GUILDS),
            api_version=10,
            encoding="json",
            transport_compression=None,
            payload_compression=False,
        ),
        application_id=42,
        saved_at=1234.5,
        received=3,
    )
    assert Session.from_bytes(session.to_bytes()) == session


@pytest.mark.failure("F38")
@pytest.mark.parametrize("changes", [{}, *({name: value} for name, value in CHANGES.items())], ids=str)
def test_a_session_that_matches_is_resumed_where_it_wants(changes: dict[str, Any]) -> None:
    session = stored(**changes)
    peer = Peer(config(**changes, application_id=42), session=Session.from_bytes(session.to_bytes()))
    assert peer.shard.session == msgspec.structs.replace(session, saved_at=None)
    actions = peer.call(peer.shard.connect)
    assert peer.of(Notice, actions) == []
    assert peer.connects[0].host == "gateway-us-east1-b.discord.gg"
    peer.to_handshake()
    assert peer.of(IdentifyWanted, peer.hello()) == []
    assert peer.payloads(6) == [{"token": "the.bot.token", "session_id": "session-1", "seq": 3}]
    assert sequences(peer.raw(events(3, 4) + text(event(5, "RESUMED")))) == [4, 5]
    assert peer.shard.stage is ConnectionStage.CONNECTED


@pytest.mark.failure("F38", "F02")
@pytest.mark.parametrize("field", [*CHANGES, "encoding", "application"])
@pytest.mark.parametrize("swapped", [True, False])
def test_any_mismatch_is_refused_with_its_reason_then_identify(field: str, swapped: bool) -> None:
    changes = {field: CHANGES[field]} if field in CHANGES else {}
    session = stored(**({} if swapped else changes))
    if field == "encoding":
        session = msgspec.structs.replace(session, binding=msgspec.structs.replace(session.binding, encoding="etf"))
    mine = config(**(changes if swapped else {}), application_id=43 if field == "application" else None)
    peer = Peer(mine, session=session)
    actions = peer.call(peer.shard.connect)
    [notice] = peer.of(Notice, actions)
    assert notice.kind is NoticeKind.SESSION_REFUSED
    assert isinstance(notice.cause, SnapshotMismatchError)
    assert field in notice.detail
    [gone] = peer.of(SessionLost, actions)
    assert (gone.cause, gone.sequence) == (DiscardCause.MISMATCH, 3)
    assert peer.shard.snapshot().discards == {DiscardCause.MISMATCH: 1}
    [dial] = peer.of(Connect, actions)
    assert dial.host == "gateway.discord.gg"
    peer.to_handshake()
    assert peer.of(IdentifyWanted, peer.hello())
    assert peer.payloads(6) == []


@pytest.mark.failure("F38", "F03")
def test_a_stored_url_is_trusted_no_more_than_one_of_ready() -> None:
    session = msgspec.structs.replace(stored(), resume_url=Secret("wss://evil.example"))
    peer = Peer(session=session)
    actions = peer.call(peer.shard.connect)
    assert [notice.kind for notice in peer.of(Notice, actions)] == [NoticeKind.RESUME_URL_REFUSED]
    assert peer.connects[0].host == "gateway.discord.gg"
    peer.to_handshake()
    peer.hello()
    assert peer.payloads(6)[0]["seq"] == 3


@pytest.mark.failure("F38")
def test_the_heir_can_be_snapshotted_at_once_and_dies_without_loss() -> None:
    session = stored()
    for _ in range(3):
        peer = Peer(session=session)
        peer.call(peer.shard.connect)
        peer.call(peer.shard.close)
        again = peer.shard.session_snapshot(wall=session.saved_at)
        assert again == session


@pytest.mark.failure("F38", "F32")
def test_a_refused_resume_of_a_stored_session_is_told() -> None:
    peer = Peer(session=stored()).to_handshake()
    peer.hello()
    actions = peer.say({"op": 9, "d": False})
    [gone] = peer.of(SessionLost, actions)
    assert (gone.epoch, gone.sequence) == (1, 3)
    assert [lost.type.value for lost in peer.of(Reconnect, actions)] == ["reidentify"]
    peer.resume_again()
    peer.permit()
    [got] = peer.of(Dispatch, peer.dispatch(1, "READY", ready("s-2")))
    assert got.epoch == 2
