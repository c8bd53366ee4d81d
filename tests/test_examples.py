"""Every payload of examples.jsonl over the whole road, in every compression, from both ends.

`Peer` sends each server line as it stands, in the stage where it belongs; `Server` dispatches what is an event, and
answers what a client sends. Nothing of the lines is copied here: they are read from beside the repository.
"""

import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec
import pytest

from gateway_proto import (
    ClosedError,
    ConnectionStage,
    DiscardCause,
    Disconnect,
    Dispatch,
    IdentifyWanted,
    InvalidSessionError,
    LocalProtocolError,
    Notice,
    NoticeKind,
    RawCommand,
    Reconnect,
    ReconnectRequestedError,
    ReconnectType,
    SessionLost,
    Shard,
    ShardAction,
    StageChanged,
)
from gateway_proto.heartbeat import MIN_INTERVAL
from gateway_proto.server import Server, ServerConfig
from gateway_proto.testing.link import Link

from .packing import MODES, Mode, Packer, config_of
from .peer import INTERVAL, Peer
from .server_helpers import Rig, text_frame
from .shared_data import examples

PAYLOADS: Final = 290
DISPATCHES: Final = 246
URL: Final = "ws://127.0.0.1:8080"

Answer = list[str] | int
"""What the server says to a client's payload: the messages, or the code that it closes with."""
ANSWERS: Final[dict[int, Answer]] = {
    1: ["op 11"],  # Gateway > Sending Heartbeats
    2: ["READY"],  # Gateway > Ready Event
    3: [],  # Gateway Events > Update Presence: nothing is said to who sent it
    4: ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"],  # Gateway Events > Update Voice State
    6: ["op 9 false"],  # Gateway > Resuming: the server knows of no such session
    8: ["GUILD_MEMBERS_CHUNK"],  # Gateway Events > Request Guild Members
    31: ["SOUNDBOARD_SOUNDS", "SOUNDBOARD_SOUNDS"],  # one for each of the two guilds that every such line names
    43: ["CHANNEL_INFO"],
}
OTHER_ANSWERS: Final[dict[str, Answer]] = {
    # From before intents were required.
    "discord-json/gateway/outbound/Identify": 4013,
    # Neither `query` nor `user_ids`, one of which is required.
    "remora/Gateway/Commands/REQUEST_GUILD_MEMBERS/REQUEST_GUILD_MEMBERS.optionals": 4002,
    # Leaves: there is no voice server to tell of.
    "remora/Gateway/Commands/UPDATE_VOICE_STATE/UPDATE_VOICE_STATE.nulls": ["VOICE_STATE_UPDATE"],
}
BEFORE_A_SESSION: Final = (1, 2, 6)


# -- lines that a server sends -----------------------------------------------------------------------------------


def dispatch(mode: Mode, line: dict[str, Any]) -> None:
    """Op 0, on a connection of its own: as the line stands, and as the server sends its body."""
    peer = {"READY": Peer.to_identifying, "RESUMED": Peer.to_resuming}.get(line["json"]["t"], Peer.to_connected)(
        Peer(config_of(mode))
    )
    sequence = peer.shard.snapshot().received + 1
    actions = peer.raw(Packer(mode).frame({**line["json"], "s": sequence}))
    expect_dispatch(peer.of(Dispatch, actions), line, sequence)
    assert peer.shard.stage is ConnectionStage.CONNECTED
    if line["json"]["t"] not in ("READY", "RESUMED"):
        expect_only_dispatch(actions)
        link, server, observed = connected_link(mode)
        [session_id] = server.sessions
        body = json.dumps(line["json"]["d"]).encode()
        link.act_server(server.dispatch(session_id, line["json"]["t"], body, link.now))
        link.run(1.0)
        expect_only_dispatch(observed)
        expect_dispatch(link.sink[1:], line, 2)


def expect_dispatch(found: list[Dispatch], line: dict[str, Any], sequence: int) -> None:
    [event] = found
    assert (event.name, event.sequence) == (line["json"]["t"], sequence)
    assert event.decode() == line["json"]["d"]


def expect_only_dispatch(actions: list[ShardAction]) -> None:
    assert [type(action) for action in actions] == [Dispatch]


def say(peer: Peer, mode: Mode, line: dict[str, Any]) -> list[ShardAction]:
    return peer.raw(Packer(mode).frame(line["json"]))


def heartbeat_request(mode: Mode, line: dict[str, Any]) -> None:
    """Op 1: answered at once by a beat."""
    peer = Peer(config_of(mode)).to_connected()
    assert say(peer, mode, line) == []
    assert peer.payloads(1) == [1]


def reconnect(mode: Mode, line: dict[str, Any]) -> None:
    """Op 7: closed resumably, and resumed at once."""
    peer = Peer(config_of(mode)).to_connected()
    actions = say(peer, mode, line)
    assert [action.code for action in peer.of(Disconnect, actions)] == [4000]
    assert peer.of(Reconnect, actions) == [
        Reconnect(type=ReconnectType.RESUME, after=0.0, cause=ReconnectRequestedError())
    ]


def invalid_session(mode: Mode, line: dict[str, Any]) -> None:
    """Op 9: after 1 to 5 s a RESUME for true, an IDENTIFY for false."""
    peer = Peer(config_of(mode)).to_connected()
    actions = say(peer, mode, line)
    resumable = line["json"]["d"]
    [planned] = peer.of(Reconnect, actions)
    assert planned.cause == InvalidSessionError(resumable)
    assert planned.type is (ReconnectType.RESUME if resumable else ReconnectType.REIDENTIFY)
    assert 1.0 <= planned.after <= 5.0
    lost = [action.cause for action in peer.of(SessionLost, actions)]
    assert lost == ([] if resumable else [DiscardCause.INVALID_SESSION])


def hello(mode: Mode, line: dict[str, Any]) -> None:
    """Op 10: its interval is kept (or what of it can be), and the permit of an IDENTIFY is asked for."""
    peer = Peer(config_of(mode)).to_handshake()
    actions = say(peer, mode, line)
    interval = line["json"]["d"]["heartbeat_interval"] / 1000
    assert peer.shard.snapshot().heartbeat_interval == max(interval, MIN_INTERVAL)
    assert len(peer.of(IdentifyWanted, actions)) == 1
    notices = [action.kind for action in peer.of(Notice, actions)]
    assert notices == ([NoticeKind.INTERVAL_CLAMPED] if interval < MIN_INTERVAL else [])


def heartbeat_ack(mode: Mode, line: dict[str, Any]) -> None:
    """Op 11: the beat that was sent is acknowledged."""
    peer = Peer(config_of(mode)).to_connected()
    peer.advance(INTERVAL)
    assert not peer.shard.snapshot().last_heartbeat_acknowledged
    assert say(peer, mode, line) == []
    assert peer.shard.snapshot().last_heartbeat_acknowledged
    assert peer.shard.latency is not None


# -- lines that a client sends -----------------------------------------------------------------------------------


def client_line(mode: Mode, line: dict[str, Any]) -> None:
    """The server's answer to the line as it stands; then the same by way of the shard, if an app may send it."""
    wanted = OTHER_ANSWERS.get(line["id"], ANSWERS[line["json"]["op"]])
    assert answer_to_client(mode, line) == wanted
    if line["json"]["op"] in BEFORE_A_SESSION:
        peer = Peer(config_of(mode)).to_connected()
        with pytest.raises(LocalProtocolError, match="the shard's own"):
            peer.call(peer.shard.send, raw_command(line))
    else:
        assert answer_to_shard(mode, line) == wanted


def answer_to_client(mode: Mode, line: dict[str, Any]) -> Answer:
    transport = mode if mode.endswith("-stream") else None
    client = Rig(ServerConfig(payload_threshold=0)).client(compress=transport)
    if line["json"]["op"] not in BEFORE_A_SESSION:
        client.identify(compress=mode == "zlib")
    before = len(client.received)
    client.feed(text_frame(msgspec.json.encode(line["json"])))
    messages = client.received[before:]
    assert names_its_guilds([message["d"] for message in messages], line)
    if client.closed is not None:
        return client.closed[0]
    return [message["t"] or f"op {message['op']}{' false' * (message['d'] is False)}" for message in messages]


def answer_to_shard(mode: Mode, line: dict[str, Any]) -> Answer:
    link, _, observed = connected_link(mode)
    link.call(link.shard.send, raw_command(line))
    link.run(1.0)
    for action in observed:
        if isinstance(action, Reconnect):
            assert isinstance(action.cause, ClosedError)
            assert action.cause.code is not None
            return action.cause.code
    events = link.sink[1:]
    assert names_its_guilds([event.decode() for event in events], line)
    return [event.name for event in events]


def raw_command(line: dict[str, Any]) -> RawCommand:
    return RawCommand.of(line["json"]["op"], line["json"]["d"])


def names_its_guilds(bodies: list[Any], line: dict[str, Any]) -> bool:
    """Whether answers about a guild are about those that the line names, in their order."""
    guilds = [body["guild_id"] for body in bodies if isinstance(body, dict) and "guild_id" in body]
    asked = line["json"]["d"]
    # Several answers may be about one guild: VOICE_SERVER_UPDATE follows VOICE_STATE_UPDATE.
    named = [guild for guild, before in zip(guilds, [None, *guilds], strict=False) if guild != before]
    return not named or named == asked.get("guild_ids", [asked.get("guild_id")])


def connected_link(mode: Mode) -> tuple[Link, Server, list[ShardAction]]:
    """A shard connected to a server that compresses all it can, and what the shard says from here on."""
    observed: list[ShardAction] = []
    server = Server(ServerConfig(url=URL, resume_url=URL, payload_threshold=0), rng=random.Random(1))
    shard = Shard(config_of(mode, url=URL), rng=random.Random(2))
    link = Link(shard, server, rng=random.Random(3), chunk=1400, observe=observed.append)
    link.start()
    link.run(1.0)
    assert shard.stage is ConnectionStage.CONNECTED
    assert any(isinstance(action, StageChanged) for action in observed)
    observed.clear()
    return link, server, observed


ROADS: Final[dict[int, tuple[Callable[[Mode, dict[str, Any]], None], ...]]] = {
    0: (dispatch,),
    1: (heartbeat_request, client_line),  # either side may send it
    7: (reconnect,),
    9: (invalid_session,),
    10: (hello,),
    11: (heartbeat_ack,),
    **dict.fromkeys((2, 3, 4, 6, 8, 31, 43), (client_line,)),
}


@pytest.mark.failure("F31")
@pytest.mark.parametrize("mode", MODES)
def test_every_payload_goes_the_whole_road(mode: Mode) -> None:
    seen: Counter[int] = Counter()
    for line in examples():
        if line["kind"] != "payload":
            continue
        op = line["json"]["op"]
        try:
            for road in ROADS[op]:
                road(mode, line)
        except Exception as error:
            error.add_note(f"in {line['id']}, by {mode}")
            raise
        seen[op] += 1
    assert seen.total() == PAYLOADS
    assert seen[0] == DISPATCHES


def test_every_other_answer_is_one_to_a_line_that_is_there() -> None:
    ids = {line["id"] for line in examples() if line["kind"] == "payload"}
    assert set(OTHER_ANSWERS) <= ids
