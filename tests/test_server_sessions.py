"""Sessions of the server: READY, sequences, replay, RESUME, lifetimes, and the gates before a new one."""

import json
from typing import Any

import pytest

from gateway_proto.errors import BuildingUrlError, InvalidConfigError
from gateway_proto.intents import Intents
from gateway_proto.secret import Secret
from gateway_proto.server import (
    CloseSocket,
    ConnectionClosed,
    Identified,
    Received,
    ServerConfig,
    ServerLimits,
    SessionEnd,
    SessionEnded,
    SessionRefused,
    SessionResumed,
    Stall,
    Wake,
    WorldConfig,
)
from gateway_proto.server.application import application

from .server_helpers import TOKEN, Client, Rig, identify_data, text_frame

LIMITED = (1 << 13) + (1 << 15) + (1 << 19)
"""Of the application that may use each privileged intent, and is in few guilds."""


def test_hello_then_ready() -> None:
    guilds = (1 << 22, 2 << 22, 3 << 22)
    rig = Rig(ServerConfig(guild_ids=guilds, resume_url="wss://resume.example", heartbeat_interval=41.25))
    client = rig.client()
    assert client.received == [{"t": None, "s": None, "op": 10, "d": {"heartbeat_interval": 41250}}]
    presence: dict[str, Any] = {"since": None, "activities": [], "status": "idle", "afk": False}
    client.identify(shard=[1, 2], presence=presence, large_threshold=250, unknown={"kept": True})
    (identified,) = rig.reported(Identified)
    session_id = identified.session_id
    ready = client.received[1]
    assert (ready["op"], ready["t"], ready["s"]) == (0, "READY", 1)
    data = ready["d"]
    assert data["v"] == 10
    assert data["session_id"] == session_id.reveal()
    assert len(session_id.reveal()) == 32
    assert data["shard"] == [1, 2]
    assert data["resume_gateway_url"] == "wss://resume.example"
    assert data["guilds"] == [{"id": str(1 << 22), "unavailable": True}, {"id": str(3 << 22), "unavailable": True}]
    assert data["user"]["bot"] is True
    assert data["application"] == {"id": "80351110224678912", "flags": LIMITED}
    assert (identified.shard, identified.presence, identified.large_threshold) == ((1, 2), presence, 250)
    session = rig.server.sessions[session_id]
    assert (session.shard, session.sequence, session.connected, session.connection_id) == ((1, 2), 1, True, 1)


@pytest.mark.parametrize(
    ("allowed", "guilds", "flags"),
    [
        (Intents.all(), 0, LIMITED),
        (Intents.all(), 99, LIMITED),
        (Intents.all(), 100, LIMITED >> 1),
        (Intents.unprivileged(), 100, 0),
        (Intents.GUILDS | Intents.GUILD_PRESENCES, 1, 1 << 13),
        (Intents.GUILD_MEMBERS, 1, 1 << 15),
        (Intents.GUILD_MEMBERS, 200, 1 << 14),
        (Intents.MESSAGE_CONTENT, 200, 1 << 18),
    ],
)
def test_the_applications_flags_tell_its_privileged_intents(allowed: Intents, guilds: int, flags: int) -> None:
    config = ServerConfig(allowed_intents=allowed, guild_ids=tuple(range(guilds)))
    client = Rig(config).client()
    client.identify(intents=0)
    assert client.received[1]["d"]["application"]["flags"] == flags
    assert application(config)["flags"] == flags


def test_what_guilds_there_are_is_said_once() -> None:
    def of(shard: tuple[int, int]) -> list[int]:
        return [(number * shard[1] + shard[0]) << 22 for number in range(3)]

    config = ServerConfig(shard_guilds=of, shards=40)
    assert (config.guild_count, config.replay_capacity) == (120, 3500)
    assert application(config)["approximate_guild_count"] == 120
    assert application(ServerConfig(world=WorldConfig(guilds=7)))["approximate_guild_count"] == 7
    rig = Rig(config)
    client = rig.client()
    client.identify(shard=[2, 5])
    assert client.received[1]["d"]["guilds"] == [
        {"id": str(guild_id), "unavailable": True} for guild_id in (2 << 22, 7 << 22, 12 << 22)
    ]
    with pytest.raises(InvalidConfigError, match="each say what guilds there are: give one of them"):
        ServerConfig(shard_guilds=of, guild_ids=(1,))


def test_ready_leaves_out_what_there_is_not() -> None:
    data = Rig().ready().received[1]["d"]
    assert "shard" not in data
    assert "resume_gateway_url" not in data
    assert data["guilds"] == []


def test_a_dispatch_is_the_bytes_that_were_given() -> None:
    rig = Rig()
    client = rig.ready()
    body = '{"z":1, "a":[1.50,"\\u00e9é"]}'.encode()
    rig.run(rig.server.dispatch(client.session_id, 'ODD "NAME"', body, 0.0))
    assert client.frames[-1] == ("TEXT", b'{"t":"ODD \\"NAME\\"","s":2,"op":0,"d":' + body + b"}")
    assert client.received[-1] == {"t": 'ODD "NAME"', "s": 2, "op": 0, "d": json.loads(body)}


def test_many_dispatches_wake_once_and_come_out_in_one_drain() -> None:
    rig = Rig()
    client = rig.ready()
    wakes = [
        action
        for number in range(1000)
        for action in rig.server.dispatch(client.session_id, "EVENT", b"%d" % number, 0.0)
    ]
    assert wakes == [Wake(connection_id=1)]
    client.wake()
    assert client.bodies() == list(range(1000))
    assert client.sequences() == list(range(1, 1002))


def test_broadcast_reaches_every_session_connected_or_not() -> None:
    rig = Rig(ServerConfig(identify_period=0.0))
    here, gone = rig.ready(), rig.ready()
    gone_id = gone.session_id
    gone.eof()
    rig.run(rig.server.broadcast("EVENT", b"1", 0.0))
    assert here.bodies() == [1]
    again = rig.client()
    again.resume(gone_id, 1)
    assert again.events() == ["EVENT", "RESUMED"]


@pytest.mark.failure("F18")
def test_resume_replays_what_was_missed_and_then_says_so() -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    for number in range(5):
        rig.dispatch(session_id, d=number)
    client.eof()
    rig.dispatch(session_id, d=5)
    again = rig.client()
    again.resume(session_id, 4)
    rig.dispatch(session_id, d=6)
    assert again.bodies() == [3, 4, 5, 6]
    assert again.events() == ["EVENT", "EVENT", "EVENT", "RESUMED", "EVENT"]
    assert again.sequences() == [5, 6, 7, 8, 9]
    (resumed,) = rig.reported(SessionResumed)
    assert (resumed.sequence, resumed.replayed, resumed.last, resumed.connection_id) == (4, 3, 8, 2)


def test_a_lost_resumed_is_replayed_so_that_there_is_no_gap() -> None:
    rig = Rig()
    client = rig.ready()
    session_id = client.session_id
    for _ in range(3):
        client.eof()
        client = rig.client()
        client.resume(session_id, 1)
    assert client.events() == ["RESUMED"] * 3
    assert client.sequences() == [2, 3, 4]


def test_sequence_0_replays_ready_too() -> None:
    rig = Rig()
    client = rig.ready()
    client.eof()
    again = rig.client()
    again.resume(client.session_id, 0)
    assert again.events() == ["READY", "RESUMED"]


@pytest.mark.failure("F18")
@pytest.mark.parametrize("stalled", [False, True])
def test_resume_takes_the_session_over_from_a_socket_still_open(stalled: bool) -> None:
    rig = Rig()
    old = rig.ready()
    session_id = old.session_id
    if stalled:
        rig.inject(old, Stall())
    new = rig.client()
    new.resume(session_id, 1)
    assert new.events() == ["RESUMED"]
    if stalled:
        assert old.socket == CloseSocket(connection_id=1, abort=True, grace=2.0)
    else:
        assert old.closed == (4000, "the session was resumed elsewhere")
        # What the old socket still says harms nobody.
        old.close(1000)
    rig.dispatch(session_id, d="x")
    assert (old.bodies(), new.bodies()) == ([], ["x"])
    assert [(closed.connection_id, closed.by) for closed in rig.reported(ConnectionClosed)] == [(1, "server")]
    assert rig.server.sessions[session_id].connection_id == 2


@pytest.mark.failure("F19")
def test_resume_from_before_the_buffer_gets_op_9_false() -> None:
    rig = Rig(ServerConfig(replay_events=10))
    client = rig.ready()
    session_id = client.session_id
    for number in range(15):
        rig.dispatch(session_id, d=number)
    client.eof()
    late, early = rig.client(), rig.client()
    late.resume(session_id, 5)
    assert late.received[-1] == {"t": None, "s": None, "op": 9, "d": False}
    early.resume(session_id, 6)
    assert early.bodies() == list(range(5, 15))


@pytest.mark.parametrize(("guilds", "capacity"), [(0, 100), (1, 100), (2, 150), (46, 3450), (47, 3500), (1000, 3500)])
def test_the_buffer_is_as_large_as_discords_was(guilds: int, capacity: int) -> None:
    assert ServerConfig(guild_ids=tuple(range(guilds))).replay_capacity == capacity
    assert ServerConfig(guild_ids=tuple(range(guilds)), replay_events=7).replay_capacity == 7


def test_a_heartbeat_trims_the_buffer_where_the_config_says_so() -> None:
    for trims in (False, True):
        rig = Rig(ServerConfig(trim_at_heartbeat=trims))
        client = rig.ready()
        session_id = client.session_id
        for number in range(5):
            rig.dispatch(session_id, d=number)
        client.beat(4)
        client.eof()
        below = rig.client()
        below.resume(session_id, 3)
        assert (below.received[-1]["op"] == 9) is trims
        at = rig.client()
        at.resume(session_id, 4)
        assert at.bodies() == [3, 4]


def test_a_heartbeat_beyond_the_last_sequence_trims_no_future() -> None:
    rig = Rig(ServerConfig(trim_at_heartbeat=True))
    client = rig.ready()
    client.beat(10**9)
    rig.dispatch(client.session_id, d="kept")
    client.eof()
    again = rig.client()
    again.resume(client.session_id, 1)
    assert again.bodies() == ["kept"]


@pytest.mark.failure("F18")
def test_a_session_lives_for_its_lifetime_after_its_connection() -> None:
    rig = Rig(ServerConfig(heartbeat_interval=600.0))
    client = rig.ready()
    session_id = client.session_id
    rig.advance(500.0)
    rig.ready()  # it is at an IDENTIFY that expired sessions are swept out
    rig.dispatch(session_id)
    assert client.events() == ["READY", "EVENT"], "with a connection it does not age"
    client.eof()
    rig.advance(179.9)
    client = rig.client()
    client.resume(session_id, 2)
    assert client.events() == ["RESUMED"], "the lifetime runs from the end of the connection"
    client.eof()
    rig.advance(180.0)
    client = rig.client()
    client.resume(session_id, 1)
    assert client.received[-1]["op"] == 9
    assert [ended.cause for ended in rig.reported(SessionEnded)] == [SessionEnd.EXPIRED]
    client.identify()
    assert client.events() == ["READY"], "op 9 leaves the connection to be identified"


def test_a_dispatch_to_an_expired_or_unknown_session_goes_nowhere() -> None:
    rig = Rig()
    client = rig.ready()
    client.eof()
    rig.advance(180.0)
    (ended,) = rig.dispatch(client.session_id)
    assert isinstance(ended, SessionEnded)
    assert rig.dispatch(client.session_id) == []
    assert rig.dispatch(Secret("unknown")) == []


def test_only_so_many_expired_sessions_are_remembered() -> None:
    rig = Rig(ServerConfig(expired_close=True, identify_period=0.0, session_limit=10_000))
    ids = []
    for _ in range(1025):
        client = rig.ready()
        ids.append(client.session_id)
        client.eof()
        rig.actions.clear()
    rig.advance(180.0)
    first, second = rig.client(), rig.client()
    first.resume(ids[0], 1)
    second.resume(ids[1], 1)
    assert first.received[-1]["op"] == 9
    assert second.closed is not None
    assert second.closed[0] == 4009
    assert not rig.server.sessions


def test_a_connection_names_its_session() -> None:
    rig = Rig()
    client = rig.ready()
    assert client.connection.session is rig.server.sessions[client.session_id]
    client.close(4000)
    assert client.connection.session is None


def test_another_tokens_session_is_unknown() -> None:
    rig = Rig()
    session_id = rig.ready().session_id
    client = rig.client()
    client.resume(session_id, 1, "another token")
    assert client.received[-1]["op"] == 9
    assert rig.server.sessions[session_id].connection_id == 1


def test_one_identify_a_bucket_every_five_seconds() -> None:
    rig = Rig(ServerConfig(max_concurrency=2))
    rig.ready(shard=[0, 4])
    rig.ready(shard=[1, 4])
    rig.advance(4.9)
    client = rig.client()
    client.identify(shard=[2, 4])
    assert client.received[-1] == {"t": None, "s": None, "op": 9, "d": False}
    assert client.closed is None
    rig.advance(0.1)
    client.identify(shard=[2, 4])
    assert client.events() == ["READY"], "a refused IDENTIFY does not start the bucket's time anew"
    other = rig.client()
    other.identify(shard=[0, 4])
    assert other.events() == [], "shards 0 and 2 share a bucket"
    assert [(refusal.opcode, refusal.code) for refusal in rig.reported(SessionRefused)] == [(2, None), (2, None)]


@pytest.mark.failure("F19")
def test_the_session_start_limit() -> None:
    rig = Rig(ServerConfig(session_limit=2, identify_period=0.0, heartbeat_interval=86400.0))
    assert rig.server.start_limit(0.0) == (2, 2, 0.0)
    rig.ready()
    rig.advance(10.0)
    rig.ready()
    assert rig.server.start_limit(rig.now) == (2, 0, 86390.0)
    client = rig.client()
    client.identify()
    assert client.received[-1]["op"] == 9
    assert rig.server.start_limit(rig.now).remaining == 0
    rig.advance(86390.0)
    assert rig.server.start_limit(rig.now) == (2, 2, 0.0)
    client.identify()
    assert client.events() == ["READY"]


def test_a_request_for_members_is_answered_with_none() -> None:
    rig = Rig()
    client = rig.ready()
    client.say(8, {"guild_id": "41771983444115456", "query": "", "limit": 0, "presences": True, "nonce": "n"})
    client.say(8, {"guild_id": 7, "user_ids": ["1", 2], "nonce": "x" * 33})
    client.say(8, {"guild_id": "7", "user_ids": "5", "query": "", "limit": 0})
    answers = [received["d"] for received in client.received if received.get("t") == "GUILD_MEMBERS_CHUNK"]
    common = {"members": [], "chunk_index": 0, "chunk_count": 1}
    assert answers == [
        {"guild_id": "41771983444115456", **common, "presences": [], "nonce": "n"},
        {"guild_id": "7", **common, "not_found": ["1", "2"]},
        {"guild_id": "7", **common, "not_found": ["5"]},
    ]
    assert client.sequences() == [1, 2, 3, 4]


def test_requests_for_sounds_channels_and_voice_are_answered() -> None:
    client = Rig().ready()
    client.say(31, {"guild_ids": ["1", "2"]})
    client.say(43, {"guild_id": "1", "fields": ["status"]})
    client.say(4, {"guild_id": "1", "channel_id": None, "self_mute": True, "self_deaf": False})
    assert client.events() == ["READY", "SOUNDBOARD_SOUNDS", "SOUNDBOARD_SOUNDS", "CHANNEL_INFO", "VOICE_STATE_UPDATE"]
    assert client.received[2]["d"] == {"guild_id": "1", "soundboard_sounds": []}
    assert client.received[4]["d"] == {"guild_id": "1", "channels": []}
    assert client.received[5]["d"]["self_mute"] is True


def test_the_presence_is_kept_with_the_session() -> None:
    rig = Rig()
    client = rig.ready()
    presence = {"since": 1, "activities": [{"name": "x", "type": 0}], "status": "dnd", "afk": False}
    client.say(3, presence)
    assert rig.server.sessions[client.session_id].presence == presence
    assert client.events() == ["READY"]


@pytest.mark.parametrize(
    ("op", "d"),
    [
        (3, {"since": None, "activities": [], "status": "away", "afk": False}),
        (3, {"since": None, "activities": None, "status": "idle", "afk": False}),
        (3, None),
        (4, {"guild_id": "1", "channel_id": [], "self_mute": False, "self_deaf": False}),
        (4, {"guild_id": "x", "channel_id": None, "self_mute": False, "self_deaf": False}),
        (8, {"guild_id": "1", "limit": 0}),
        (8, {"guild_id": "1", "query": ""}),
        (8, {"guild_id": "1", "query": "", "limit": -1}),
        (8, {"guild_id": "1", "user_ids": []}),
        (8, {"guild_id": "1", "user_ids": [str(id) for id in range(101)]}),
        (8, {"guild_id": "1", "user_ids": ["1"], "presences": 1}),
        (8, {"guild_id": True, "query": "", "limit": 0}),
        (31, {"guild_ids": []}),
        (31, {"guild_ids": "1"}),
        (43, {"guild_id": "1", "fields": [1]}),
        (43, {"fields": []}),
    ],
)
def test_a_request_without_its_documented_shape_is_closed_with_4002(op: int, d: Any) -> None:
    client = Rig().ready()
    client.say(op, d)
    assert client.closed is not None
    assert client.closed[0] == 4002


@pytest.mark.failure("F41")
def test_no_secret_prints() -> None:
    rig = Rig(ServerConfig(token=Secret(TOKEN)))
    presence: dict[str, Any] = {"since": None, "activities": [], "status": "idle", "afk": False}
    client = rig.ready(presence=presence)
    session_id = client.session_id
    client.eof()
    again = rig.client()
    again.resume(session_id, 1)
    again.close(1000)
    printed = repr(rig.actions) + repr(rig.server.config) + repr(dict(rig.server.sessions)) + repr(rig.client())
    printed += "".join(action.raw.decode() for action in rig.reported(Received))
    assert TOKEN not in printed
    assert session_id.reveal() not in printed
    (identify,) = [action for action in rig.reported(Received) if action.opcode == 2]
    assert json.loads(identify.raw) == identify_data(token="***", presence=presence)


def test_the_same_seed_and_inputs_give_the_same_bytes() -> None:
    def play(seed: int) -> tuple[bytes, list[Any]]:
        rig = Rig(ServerConfig(), seed=seed)
        client = rig.client(compress="zlib-stream")
        client.identify()
        rig.dispatch(client.session_id, d="x" * 100)
        client.close(4000)
        again: Client = rig.client(compress="zstd-stream")
        again.resume(client.session_id, 1)
        return client.sent + again.sent, list(rig.actions)

    assert play(5) == play(5)
    assert play(5)[0] != play(6)[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"shards": 0},
        {"min_shards": 0},
        {"max_concurrency": 0},
        {"heartbeat_interval": 0.0},
        {"heartbeat_tolerance": float("inf")},
        {"session_lifetime": -1.0},
        {"session_limit": -1},
        {"replay_events": 0},
        {"zlib_level": 10},
        {"zstd_level": 0},
    ],
)
def test_a_config_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfigError):
        ServerConfig(**changes)


def test_a_config_with_a_bad_url_is_refused() -> None:
    with pytest.raises(BuildingUrlError):
        ServerConfig(url="http://localhost")
    with pytest.raises(BuildingUrlError):
        ServerConfig(resume_url="wss://")


def test_a_client_that_does_not_read_is_dropped_and_can_resume() -> None:
    rig = Rig(ServerConfig(limits=ServerLimits(max_unsent=10_000)))
    client = rig.ready()
    session_id = client.session_id
    for _ in range(20):
        # Nobody pumps the connection: its writer is stuck.
        rig.server.dispatch(session_id, "EVENT", b'"%b"' % (b"x" * 1000), 0.0)
    assert not rig.server.sessions[session_id].connected
    actions = client.connection.handle_timeout(0.0)
    assert [type(action) for action in actions] == [ConnectionClosed, CloseSocket]
    assert client.connection.data_to_send(0.0) == b""
    again = rig.client()
    again.resume(session_id, 1)
    assert len(again.bodies()) == 20, "a replay is no reason to drop: the session holds it anyway"


def test_a_replay_is_not_counted_as_unsent() -> None:
    """The session holds it anyway: what was missed may be more than a client can be behind with."""
    rig = Rig(ServerConfig(limits=ServerLimits(max_unsent=1000)))
    client = rig.ready()
    client.eof()
    for number in range(5):
        rig.dispatch(client.session_id, d=f"{number}" * 400)
    again = rig.client()
    again.resume(client.session_id, 1)
    assert again.events() == ["EVENT"] * 5 + ["RESUMED"]


@pytest.mark.failure("F41")
def test_a_presence_of_any_depth_costs_a_client_no_more_than_its_connection() -> None:
    """What can be decoded where it comes may be too deep to be encoded where it is shown."""
    config = ServerConfig(world=WorldConfig(guilds=1, members=1), identify_period=0.0)
    for depth in (40, *range(900, 1000)):
        nested = b"[" * depth + b"]" * depth
        presence = b'{"since":null,"status":"idle","afk":false,"activities":[{"name":%b}]}' % nested
        asking, identified = Rig(config).client(), Rig(config).ready(intents=512)
        identify = b'{"token":"t","intents":257,"properties":{},"presence":%b}' % presence
        asking.feed(text_frame(b'{"op":2,"d":%b}' % identify))
        identified.feed(text_frame(b'{"op":3,"d":%b}' % presence))
        for client in (asking, identified):
            assert client.closed is not None
            assert client.closed[0] == 4002
