"""The presence as it is sent."""

import msgspec
import pytest

from gateway_proto.commands import UpdatePresence, encode
from gateway_proto.presence import NO_PRESENCE, Activity, ActivityType, CurrentPresence, OnlineStatus


def test_payload() -> None:
    presence = CurrentPresence(
        activities=(
            Activity.playing("chess"),
            Activity(name="live", type=ActivityType.STREAMING, url="https://example.org/live", state="round 2"),
        ),
        status=OnlineStatus.IDLE,
        since=91879201,
        afk=True,
    )
    assert msgspec.json.decode(encode(UpdatePresence(presence=presence))) == {
        "op": 3,
        "d": {
            "since": 91879201,
            "activities": [
                {"name": "chess", "type": 0},
                {"name": "live", "type": 1, "url": "https://example.org/live", "state": "round 2"},
            ],
            "status": "idle",
            "afk": True,
        },
    }


def test_nothing_set_is_online() -> None:
    assert NO_PRESENCE.payload() == {"since": None, "activities": [], "status": "online", "afk": False}


@pytest.mark.parametrize("status", OnlineStatus)
def test_status(status: OnlineStatus) -> None:
    sent = CurrentPresence(status=status).payload()["status"]
    assert sent == ("invisible" if status is OnlineStatus.OFFLINE else status.value)


def test_offline_becomes_invisible_however_it_is_made() -> None:
    invisible = CurrentPresence(status=OnlineStatus.INVISIBLE)
    assert CurrentPresence(status=OnlineStatus.OFFLINE) == invisible
    assert msgspec.structs.replace(NO_PRESENCE, status=OnlineStatus.OFFLINE) == invisible
    assert hash(CurrentPresence(status=OnlineStatus.OFFLINE)) == hash(invisible)


def test_documented_names() -> None:
    assert {status.value for status in OnlineStatus} == {"online", "dnd", "idle", "invisible", "offline"}
    assert {kind.name.capitalize(): kind.value for kind in ActivityType} == {
        "Playing": 0,
        "Streaming": 1,
        "Listening": 2,
        "Watching": 3,
        "Custom": 4,
        "Competing": 5,
    }
