"""A server that loses, repeats or swaps events, and what the shard makes of it: told, never guessed (F32)."""

import random

import pytest

from gateway_proto import Dispatch, SequenceGap, Shard, ShardAction
from gateway_proto.server import DispatchFault, Repeat, Server, ServerConfig, Swap, Withhold
from gateway_proto.testing.link import Link

from .peer import config

URL = "ws://127.0.0.1:8080"

pytestmark = pytest.mark.failure("F32")


@pytest.mark.parametrize(
    ("fault", "numbers", "gaps", "duplicates"),
    [
        # READY has sequence 1, so event n has n + 1.
        (Withhold(), [1, 3, 4], [(3, 4)], 0),
        (Repeat(renumbered=False), [1, 2, 3, 4], [], 1),
        (Repeat(renumbered=True), [1, 2, 2, 3, 4], [], 0),
        (Swap(), [1, 3, 2, 4], [], 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, DispatchFault) else None,
)
def test_what_the_server_does_to_the_second_of_four_events(
    fault: DispatchFault, numbers: list[int], gaps: list[tuple[int, int]], duplicates: int
) -> None:
    actions: list[ShardAction] = []
    server = Server(ServerConfig(url=URL, resume_url=URL), rng=random.Random(1))
    shard = Shard(config(url=URL), rng=random.Random(2))
    link = Link(shard, server, rng=random.Random(3), observe=actions.append)
    link.start()
    link.run(1.0)
    [session_id] = server.sessions
    for number in range(1, 5):
        if number == 2:
            link.act_server(server.inject(session_id, fault, link.now))
        link.act_server(server.dispatch(session_id, "MESSAGE_CREATE", b"%d" % number, link.now))
    link.run(1.0)

    events = [action for action in actions if isinstance(action, Dispatch)]
    assert [event.decode() for event in events if event.name == "MESSAGE_CREATE"] == numbers
    told = [(action.expected, action.received) for action in actions if isinstance(action, SequenceGap)]
    assert told == gaps
    assert shard.snapshot().duplicates == duplicates
