"""What Discord adds tomorrow goes through today: API versions, fields of IDENTIFY, intents, opcodes, events."""

import msgspec
import pytest

from gateway_proto import Dispatch, Intents, RawCommand, Unrecognized

from .peer import Peer, config

CAPABILITIES = {"capabilities": 30717, "client_state": {"guild_versions": {}}, "a_field_of_2030": [1, None, "x"]}


def test_fields_of_identify_that_are_not_known_here_are_sent_as_they_are() -> None:
    peer = Peer(config(identify_extra=CAPABILITIES))
    peer.to_connected()
    [identify] = peer.payloads(2)
    assert {name: identify[name] for name in CAPABILITIES} == CAPABILITIES


def test_such_a_field_does_not_replace_one_that_is_known() -> None:
    peer = Peer(config(identify_extra={"token": "another", "intents": 0}))
    peer.to_connected()
    [identify] = peer.payloads(2)
    assert (identify["token"], identify["intents"]) == ("the.bot.token", int(Intents.GUILDS))


@pytest.mark.parametrize("version", [9, 11, 99])
def test_another_api_version_is_dialled_and_its_ready_is_taken(version: int) -> None:
    peer = Peer(config(api_version=version))
    peer.to_connected(v=version)
    assert f"v={version}&" in peer.connects[0].url.reveal()
    assert peer.shard.session is not None


def test_an_intent_without_a_name_is_asked_for() -> None:
    peer = Peer(config(intents=Intents(1 << 40 | 1)))
    peer.to_connected()
    assert peer.payloads(2)[0]["intents"] == 1 << 40 | 1


def test_an_opcode_and_an_event_of_tomorrow_come_through() -> None:
    peer = Peer()
    peer.to_connected()
    peer.call(peer.shard.send, RawCommand.of(77, {"a": 1}))
    assert peer.sent[-1] == {"op": 77, "d": {"a": 1}}
    [odd] = peer.of(Unrecognized, peer.say({"op": 78, "d": {"b": 2}}))
    assert (odd.opcode, bytes(odd.raw)) == (78, b'{"b":2}')
    [event] = peer.of(Dispatch, peer.say({"op": 0, "s": 2, "t": "EVENT_OF_2030", "d": {"c": [3]}}))
    assert event == Dispatch(1, 2, "EVENT_OF_2030", msgspec.Raw(b'{"c":[3]}'))
    assert event.data == {"c": [3]}


def test_ready_with_what_is_not_documented() -> None:
    peer = Peer()
    peer.to_connected(geo_ordered_rtc_regions=["x"], _trace=["y"], auth={})
    assert peer.shard.session is not None
