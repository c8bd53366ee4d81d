"""The scripted gateway of the tests itself."""

from gateway_proto import ConnectionStage

from .peer import Peer


def test_the_way_to_connected_and_back() -> None:
    peer = Peer().to_connected()
    assert peer.shard.stage is ConnectionStage.CONNECTED
    assert [payload["op"] for payload in peer.sent] == [2]
    peer.advance(100.0)
    peer = Peer().to_resuming()
    assert peer.shard.stage is ConnectionStage.RESUMING
    assert [payload["op"] for payload in peer.sent] == [2, 6]
