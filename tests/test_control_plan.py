"""The plan's moments that a client brings about: an upgrade request, a payload; and adding to a plan that runs."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_proto.server import (
    AskReconnect,
    AtSequence,
    Close,
    Drop,
    FaultFired,
    Garbage,
    HttpAnswered,
    Identified,
    InvalidSession,
    LoseAcks,
    Mark,
    NoAnswer,
    OnConnection,
    OnMessage,
    OnUpgrade,
    Planned,
    Refuse,
    SendText,
    Server,
    ServerAction,
    ServerConfig,
    Stall,
    When,
    Withhold,
)
from gateway_proto.server.faults import Fault

from .server_helpers import Client, Rig, identify_data, message, text_frame, upgrade_request


def planned(*plan: tuple[When, Fault]) -> Rig:
    config = ServerConfig(plan=tuple(Planned(when=when, fault=fault) for when, fault in plan), identify_period=0.0)
    return Rig(config)


def get(rig: Rig, path: bytes) -> Client:
    client = rig.client(upgrade=False)
    client.feed(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def fired(rig: Rig) -> list[tuple[int | None, Fault]]:
    return [(action.connection_id, action.fault) for action in rig.reported(FaultFired)]


def test_an_upgrade_is_counted_without_discovery() -> None:
    rig = planned((OnUpgrade(2), Refuse(503, 2.0)))
    get(rig, b"/gateway")
    assert rig.client().ops() == [10]
    get(rig, b"/api/v10/gateway/bot")
    refused = rig.client()
    assert refused.head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 2\r\n" in refused.head
    assert rig.client().ops() == [10]
    assert [action.status for action in rig.reported(HttpAnswered)] == [200, 401, 503]
    assert fired(rig) == [(4, Refuse(503, 2.0))]


def test_each_upgrade() -> None:
    rig = planned((OnUpgrade(None), Garbage(b"nonsense")))
    assert [rig.client().head for _ in range(3)] == [b"nonsense"] * 3


def test_a_drop_or_a_stall_at_an_upgrade() -> None:
    rig = planned((OnUpgrade(1), Drop()), (OnUpgrade(2), Stall(5.0)))
    dropped = rig.client()
    assert dropped.socket is not None
    assert dropped.sent == b""
    stalled = rig.client()
    assert stalled.sent == b""
    rig.advance(5.0)
    assert stalled.ops() == [10]


def test_a_message_is_counted_over_all_connections_or_on_one() -> None:
    rig = planned((OnMessage(1, 3), Close(4000)), (OnMessage(1, 2, connection=2), Close(4001)))
    first, second = rig.ready(), rig.ready()
    first.beat()
    second.beat()
    assert (first.closed, second.closed) == (None, None)
    first.beat()
    assert first.closed == (4000, "")
    assert first.ops() == [10, 0, 11], "the third beat is not answered: the connection is closing"
    second.beat()
    assert second.closed == (4001, "")


def test_a_fault_strikes_before_the_message_is_answered() -> None:
    rig = planned((OnMessage(1, 2), LoseAcks(1)), (OnMessage(2), NoAnswer()), (OnMessage(2), InvalidSession(False)))
    client = rig.client()
    client.identify()
    assert client.ops() == [10, 9], "op 9 in place of READY"
    assert rig.reported(Identified) == []
    for _ in range(3):
        client.beat()
    assert client.ops() == [10, 9, 11, 11]


@pytest.mark.parametrize("fault", [Close(4000), Drop(flush=True)])
def test_what_ends_the_connection_leaves_the_message_unheard(fault: Fault) -> None:
    rig = planned((OnMessage(2), fault))
    rig.client().identify()
    assert rig.reported(Identified) == []
    assert not rig.server.sessions


def test_each_message_and_an_opcode_that_is_none() -> None:
    rig = planned((OnMessage(1, None), SendText(b"{}")), (OnMessage(99), AskReconnect()))
    client = rig.ready()
    client.beat()
    client.beat()
    client.say(99, None)
    assert [got.get("op") for got in client.received] == [10, 0, None, 11, None, 11, 7]
    assert client.closed is not None
    assert client.closed[0] == 4001


def test_a_stall_holds_back_the_answer() -> None:
    rig = planned((OnMessage(2), Stall(3.0)))
    client = rig.client()
    client.identify()
    assert client.ops() == [10]
    rig.advance(3.0)
    assert client.events() == ["READY"]


def test_what_befalls_dispatches_waits_for_the_session() -> None:
    rig = planned((OnMessage(2), Withhold()))
    client = rig.ready()
    rig.dispatch(client.session_id, d="lost")
    rig.dispatch(client.session_id, d="come")
    assert client.bodies() == ["come"]


def test_a_mark_only_reports() -> None:
    marked: list[When] = [OnConnection(1), OnUpgrade(1), OnMessage(1), AtSequence(1)]
    rig = planned(*((when, Mark(str(number))) for number, when in enumerate(marked)))
    client = rig.client()
    client.beat()
    client.identify()
    assert [fault for _, fault in fired(rig)] == [Mark("0"), Mark("1"), Mark("2"), Mark("3")]
    assert client.ops() == [10, 11, 0]


def test_a_plan_can_be_added_to() -> None:
    rig = Rig()
    client = rig.ready()
    rig.server.plan(Planned(when=AtSequence(2), fault=Close(4000)))
    rig.server.plan(Planned(when=OnConnection(1), fault=Close(4999)))  # it has been: it will not come again
    rig.dispatch(client.session_id)
    assert client.closed == (4000, "")


def test_the_next_upgrades_are_the_ones_after_those_that_came() -> None:
    rig = Rig()
    rig.client()
    rig.server.inject_next(Refuse(503), count=2)
    get(rig, b"/gateway")
    assert [rig.client().head[9:12] for _ in range(3)] == [b"503", b"503", b"101"]


WHENS = st.one_of(
    st.builds(OnMessage, st.sampled_from([1, 2, 6, 99]), st.sampled_from([None, 1, 2]), st.sampled_from([None, 1])),
    st.builds(OnUpgrade, st.sampled_from([None, 1, 2])),
)
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(
    [
        Drop(flush=True),
        Close(4000),
        NoAnswer(),
        InvalidSession(True),
        LoseAcks(),
        Withhold(),
        Mark("m"),
        Refuse(429),
    ]
)


def play(plan: tuple[Planned, ...], data: bytes, size: int) -> tuple[list[ServerAction], bytes]:
    server = Server(ServerConfig(plan=plan), rng=random.Random(1))
    connection = server.accept(0.0)
    actions: list[ServerAction] = []
    sent = b""
    for start in range(0, len(data), size):
        actions += connection.receive_data(data[start : start + size], 0.0)
        sent += connection.data_to_send(0.0)
    return actions + connection.receive_eof(0.0), sent


def test_no_such_moment_makes_the_chunking_matter() -> None:
    struck: set[type[Fault]] = set()

    @given(st.lists(st.builds(Planned, when=WHENS, fault=FAULTS), max_size=4), st.integers(1, 60))
    @settings(max_examples=200, deadline=None)
    def run(plan: list[Planned], size: int) -> None:
        frames = [message(1, None), message(2, identify_data()), message(1, 1), message(1, 1), message(99, None)]
        data = upgrade_request() + b"".join(text_frame(frame) for frame in frames)
        whole = play(tuple(plan), data, len(data))
        assert play(tuple(plan), data, size) == whole
        struck.update(type(action.fault) for action in whole[0] if isinstance(action, FaultFired))

    run()
    assert len(struck) >= 7, struck


@pytest.mark.parametrize("when", [OnMessage(1), OnUpgrade(1)])
def test_it_fires_once(when: When) -> None:
    rig = planned((when, Mark("once")))
    for _ in range(3):
        rig.ready().beat()
    assert len(fired(rig)) == 1
