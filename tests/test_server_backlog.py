"""What a session is still to be sent, by itself: whose turn it is, and how much of it is made at once."""

from collections.abc import Iterator

import pytest

from gateway_proto.server.backlog import Backlog, Part

from .server_helpers import identify_data, message, text_frame, upgrade_request
from .world_helpers import ALL, world_rig


def parts(name: str, count: int) -> Iterator[Part]:
    return iter([(name, b"%d" % number) for number in range(count)])


def made(guild_id: int) -> Part:
    return "GUILD_CREATE", b"%d" % guild_id


def drained(backlog: Backlog) -> list[str]:
    """All that is left, by name and number."""
    found = []
    while (part := backlog.next()) is not None:
        found.append(f"{part[0]} {part[1].decode()}")
    return found


def test_guilds_and_answers_take_turns() -> None:
    backlog = Backlog()
    backlog.begin([1, 2, 3], made)
    backlog.add(parts("a", 2))
    backlog.add(parts("b", 3))
    assert drained(backlog) == [
        "GUILD_CREATE 1", "a 0", "GUILD_CREATE 2", "b 0", "GUILD_CREATE 3", "a 1", "b 1", "b 2",
    ]  # fmt: skip
    assert not backlog


def test_a_guild_that_need_not_be_told_any_more_is_not_made() -> None:
    backlog = Backlog()
    backlog.begin([1, 2, 3], made)
    assert backlog.awaits(2)
    backlog.drop(2)
    assert not backlog.awaits(2)
    assert drained(backlog) == ["GUILD_CREATE 1", "GUILD_CREATE 3"]
    assert not backlog.awaits(3)


def test_what_cannot_be_told_of_now_is_passed_over() -> None:
    backlog = Backlog()
    backlog.begin([1, 2], lambda guild_id: None if guild_id == 1 else made(guild_id))
    assert drained(backlog) == ["GUILD_CREATE 2"]


@pytest.mark.failure("F33")
def test_no_more_guilds_are_made_than_go_out_next() -> None:
    rig = world_rig(guilds=40, members=40)
    connection = rig.server.accept(0.0)
    connection.receive_data(upgrade_request() + text_frame(message(2, identify_data(intents=ALL))), 0.0)
    told = []
    while connection.has_backlog:
        connection.data_to_send(0.0)
        assert connection.session is not None
        told.append(connection.session.sequence)
        connection.handle_timeout(0.0)
    assert told[-1] == 41
    assert len(told) >= 4
    assert told[0] < 20
