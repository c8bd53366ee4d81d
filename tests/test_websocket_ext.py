"""The five senders over a bare `WsClient`: what they put on the wire is what a `Shard` would."""

import json
import random
from typing import Any

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage

from gateway_proto import (
    Activity,
    ClosedError,
    CurrentPresence,
    Identify,
    LocalProtocolError,
    OnlineStatus,
    Resume,
    Secret,
    WsClient,
    websocket_ext,
)
from gateway_proto.url import parse_gateway_url
from gateway_proto.websocket import CloseReceived, FrameOpcode, Opened, WebSocketClient, close_payload, encode_frame
from gateway_proto.websocket.external import ExternalWebSocket

from .packing import event, text
from .peer import Peer
from .test_upgrade import switching, upgrade

IDENTIFY = Identify(
    token=Secret("the.bot.token"),
    intents=513,
    properties={"os": "linux", "browser": "b", "device": "d"},
    shard=(0, 2),
    presence=CurrentPresence(status=OnlineStatus.DND, activities=(Activity.playing("chess"),)),
    compress=True,
    large_threshold=250,
    extra={"x": [1]},
)


class Collector:
    """A `WsClient` of somebody else's."""

    buffered = 0

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def receive_data(self, data: bytes) -> list[Any]:
        return []

    def send_message(self, payload: bytes) -> None:
        self.sent.append(payload)

    def close(self, code: int, reason: str = "") -> None:
        raise AssertionError("nobody closes here")

    def data_to_send(self) -> bytes:
        return b"".join(self.sent)

    @property
    def messages(self) -> list[Any]:
        return [json.loads(message) for message in self.sent]


@pytest.mark.parametrize("sequence", [None, 0, 251])
def test_heartbeat(sequence: int | None) -> None:
    ws = Collector()
    websocket_ext.send_heartbeat(ws, sequence)
    assert ws.messages == [{"op": 1, "d": sequence}]


def test_identify() -> None:
    ws = Collector()
    websocket_ext.send_identify(ws, IDENTIFY)
    assert ws.messages == [
        {
            "op": 2,
            "d": {
                "token": "the.bot.token",
                "intents": 513,
                "properties": {"os": "linux", "browser": "b", "device": "d"},
                "shard": [0, 2],
                "presence": {
                    "since": None,
                    "activities": [{"name": "chess", "type": 0}],
                    "status": "dnd",
                    "afk": False,
                },
                "compress": True,
                "large_threshold": 250,
                "x": [1],
            },
        }
    ]


def test_resume() -> None:
    ws = Collector()
    websocket_ext.send_resume(ws, Resume(token=Secret("the.bot.token"), session_id=Secret("s"), sequence=9))
    assert ws.messages == [{"op": 6, "d": {"token": "the.bot.token", "session_id": "s", "seq": 9}}]


def test_presence_update() -> None:
    ws = Collector()
    websocket_ext.send_presence_update(ws, CurrentPresence(status=OnlineStatus.OFFLINE, since=5, afk=True))
    assert ws.messages == [{"op": 3, "d": {"since": 5, "activities": [], "status": "invisible", "afk": True}}]


def test_chunk_guilds_one_request_each() -> None:
    ws = Collector()
    websocket_ext.send_chunk_guilds(ws, [41771983423143937, 1], limit=5, query="na", presences=True)
    assert ws.messages == [
        {"op": 8, "d": {"guild_id": guild, "limit": 5, "query": "na", "presences": True}}
        for guild in ("41771983423143937", "1")
    ]
    ws = Collector()
    websocket_ext.send_chunk_guilds(ws, iter([2]))
    assert ws.messages == [{"op": 8, "d": {"guild_id": "2", "limit": 0, "query": ""}}]


def test_the_shard_sends_the_same_bytes() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.chunk_guilds, [5, 6], limit=3)
    peer.call(peer.shard.set_status, OnlineStatus.IDLE)
    ws = Collector()
    websocket_ext.send_presence_update(ws, CurrentPresence(status=OnlineStatus.IDLE))
    websocket_ext.send_chunk_guilds(ws, [5, 6], limit=3)
    key = str
    assert sorted(ws.messages, key=key) == sorted(peer.sent[1:], key=key)


@pytest.mark.failure("F37")
def test_what_discord_would_close_for_is_refused_and_nothing_is_sent() -> None:
    ws = Collector()
    long = CurrentPresence(activities=(Activity.playing("x" * 4100),))
    with pytest.raises(LocalProtocolError, match="Discord takes 4096"):
        websocket_ext.send_presence_update(ws, long)
    with pytest.raises(LocalProtocolError, match="Discord takes 4096"):
        websocket_ext.send_identify(ws, Identify(token=Secret("t"), intents=0, properties={"os": "x" * 4096}))
    with pytest.raises(LocalProtocolError, match="limit"):
        websocket_ext.send_chunk_guilds(ws, [1], limit=101, query="a")
    with pytest.raises(LocalProtocolError, match="JSON"):
        websocket_ext.send_presence_update(ws, CurrentPresence(activities=(Activity.playing("\ud800"),)))
    assert ws.sent == []


def test_a_program_without_a_shard() -> None:
    """Upgrade, HELLO, IDENTIFY, READY, beat, close: over the engine's own client, read by wsproto."""
    rng = random.Random(1)
    ws: WsClient = WebSocketClient(
        parse_gateway_url("wss://gateway.discord.gg"),
        {"v": "10", "encoding": "json"},
        user_agent="agent (1)",
        rng=rng,
        max_message=10_000,
        max_response=4096,
    )
    request = ws.data_to_send()
    assert request == upgrade(seed=1).request
    hello = {"op": 10, "d": {"heartbeat_interval": 41250}}
    opened, message = ws.receive_data(switching(upgrade(seed=1)) + text(hello))
    assert opened == Opened()
    assert isinstance(message, tuple)
    assert json.loads(message[1]) == hello
    websocket_ext.send_identify(ws, IDENTIFY)
    websocket_ext.send_heartbeat(ws, None)
    judge = Connection(ConnectionType.SERVER)
    judge.receive_data(ws.data_to_send())
    sent = [json.loads(item.data) for item in judge.events() if isinstance(item, TextMessage)]
    assert [payload["op"] for payload in sent] == [2, 1]
    assert ws.receive_data(text(event(1))) == [(True, b'{"op":0,"t":"MESSAGE_CREATE","s":1,"d":{"n":1}}')]
    [closed] = ws.receive_data(encode_frame(FrameOpcode.CLOSE, close_payload(4009, "timed out")))
    assert closed == CloseReceived(4009, "timed out")
    assert ClosedError(4009, "timed out").code == closed.code


def test_the_external_websocket_serves_as_well() -> None:
    ws = ExternalWebSocket()
    websocket_ext.send_heartbeat(ws, 3)
    assert ws.data_to_send() == b""
    assert ws.receive_data(b"\x81\x00") == []
    ws.close(4000)
    assert ws.messages_to_send() == [b'{"op":1,"d":3}']
    assert ws.messages_to_send() == []
