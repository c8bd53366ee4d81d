"""Prepared events: what a session is sent of them, and replayed, is what it would have been sent of the events."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway_proto.server import (
    AtSequence,
    DispatchFault,
    Drop,
    Planned,
    PreparedEvent,
    Repeat,
    ServerConfig,
    ServerLimits,
    SessionEnded,
    Swap,
    Withhold,
)

from .server_helpers import Client, Rig

EVENTS = [PreparedEvent.of(f"EVENT_{at}", json.dumps({"text": "ü" * at}).encode(), 3) for at in range(1, 8)]
faults = st.lists(st.sampled_from([Withhold(), Swap(), Repeat(renumbered=True), Repeat(renumbered=False)]), max_size=3)


class Sent:
    """A client that is sent batches of events, prepared or not, then drops, and resumes from a sequence."""

    def __init__(self, config: ServerConfig, *, prepared: bool) -> None:
        self.rig = Rig(config)
        self.client = self.rig.ready()
        self.prepared = prepared

    def send(self, events: list[PreparedEvent], number: int) -> None:
        rig, session_id = self.rig, self.client.session_id
        if self.prepared:
            rig.run(rig.server.dispatch_prepared(session_id, events, number, rig.now))
            return
        for at, event in enumerate(events, number):
            rig.run(rig.server.dispatch(session_id, event.name, event.data(at), rig.now))

    def resume(self, sequence: int) -> list[Any]:
        self.rig.inject(self.client, Drop())
        again: Client = self.rig.client()
        again.resume(self.client.session_id, sequence)
        return again.received


@given(
    batches=st.lists(st.lists(st.sampled_from(EVENTS), max_size=6), max_size=4),
    armed=faults,
    planned=st.none() | st.integers(2, 12),
    back=st.integers(0, 12),
    replay_events=st.integers(1, 30),
)
def test_they_are_as_if_dispatched_one_by_one(
    batches: list[list[PreparedEvent]], armed: list[DispatchFault], planned: int | None, back: int, replay_events: int
) -> None:
    plan = () if planned is None else (Planned(when=AtSequence(session=1, sequence=planned), fault=Withhold()),)
    config = ServerConfig(replay_events=replay_events, plan=plan)
    one, other = Sent(config, prepared=True), Sent(config, prepared=False)
    for sent in (one, other):
        for fault in armed:
            sent.rig.inject(sent.client.session_id, fault)
        number = 1
        for batch in batches:
            sent.send(batch, number)
            number += len(batch)
    assert one.client.received == other.client.received
    [session], [same] = one.rig.server.sessions.values(), other.rig.server.sessions.values()
    assert session.sequence == same.sequence
    sequence = max(0, session.sequence - back)
    assert one.resume(sequence) == other.resume(sequence)


def test_numbers_and_sequences_count_each_for_itself() -> None:
    sent = Sent(ServerConfig(), prepared=True)
    sent.send(EVENTS[:2], 41)
    assert sent.client.received[-2:] == [
        {"t": "EVENT_1", "s": 2, "op": 0, "d": {"text": "ü", "_shard": 3, "_number": 41}},
        {"t": "EVENT_2", "s": 3, "op": 0, "d": {"text": "üü", "_shard": 3, "_number": 42}},
    ]


def test_without_a_connection_they_are_kept() -> None:
    sent = Sent(ServerConfig(), prepared=True)
    sent.rig.inject(sent.client, Drop())
    sent.send(EVENTS[:3], 1)
    assert [message["t"] for message in sent.resume(1)[1:]] == ["EVENT_1", "EVENT_2", "EVENT_3", "RESUMED"]


def test_a_session_that_is_over_takes_none() -> None:
    sent = Sent(ServerConfig(session_lifetime=60.0), prepared=True)
    sent.rig.inject(sent.client, Drop())
    sent.rig.now += 61.0
    sent.send(EVENTS, 1)
    assert len(sent.rig.reported(SessionEnded)) == 1
    sent.send(EVENTS, 1)
    assert len(sent.rig.reported(SessionEnded)) == 1


def test_a_client_that_does_not_read_them_is_left() -> None:
    rig = Rig(ServerConfig(limits=ServerLimits(max_unsent=1000)))
    client = rig.ready()
    session_id = client.session_id
    rig.server.dispatch_prepared(session_id, EVENTS * 10, 1, rig.now)
    assert not rig.server.sessions[session_id].connected
