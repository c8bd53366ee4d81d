"""F36, F37: the presence that survives, and commands that end as written, dropped or requeued."""

import json
import random
from typing import Any

import pytest

from gateway_proto import (
    Activity,
    CommandEnded,
    CommandOutcome,
    ConnectionStage,
    CurrentPresence,
    Heartbeat,
    Identify,
    InvalidConfigError,
    Limits,
    LocalProtocolError,
    OnlineStatus,
    RawCommand,
    RequestChannelInfo,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Resume,
    Secret,
    Shard,
    UpdatePresence,
    UpdateVoiceState,
)

from .peer import INTERVAL, Peer, config

IDLE = CurrentPresence(status=OnlineStatus.IDLE)
DND = CurrentPresence(status=OnlineStatus.DND, activities=(Activity.playing("go"),))


def voice(guild_id: int = 1) -> UpdateVoiceState:
    return UpdateVoiceState(guild_id=guild_id, channel_id=None)


def ended(peer: Peer, actions: Any = None) -> list[tuple[Any, CommandOutcome]]:
    return [(action.command, action.outcome) for action in peer.of(CommandEnded, actions)]


def reidentify(peer: Peer) -> Peer:
    peer.say({"op": 9, "d": False})
    peer.resume_again()
    peer.permit()
    return peer


# F36


@pytest.mark.failure("F36")
def test_the_last_presence_rides_in_every_identify() -> None:
    peer = Peer(config(presence=IDLE)).to_connected()
    assert peer.payloads(2)[0]["presence"] == IDLE.payload()
    assert peer.payloads(3) == []
    peer.call(peer.shard.set_presence, DND)
    assert peer.payloads(3)[-1]["status"] == "dnd"
    reidentify(peer)
    assert peer.payloads(2)[1]["presence"] == {
        "since": None,
        "activities": [{"name": "go", "type": 0}],
        "status": "dnd",
        "afk": False,
    }
    assert len(peer.payloads(3)) == 1


@pytest.mark.failure("F36")
@pytest.mark.parametrize("where", ["disconnected", "handshake", "permit wanted"])
def test_one_that_was_set_before_identify_is_said_by_it(where: str) -> None:
    peer = Peer()
    if where != "disconnected":
        peer.to_handshake()
    if where == "permit wanted":
        peer.hello()
    assert peer.call(peer.shard.set_presence, DND) == []
    if where == "disconnected":
        peer.to_handshake()
    if where != "permit wanted":
        peer.hello()
    peer.permit()
    assert peer.payloads(2)[0]["presence"]["status"] == "dnd"
    actions = peer.dispatch(1, "READY", {"session_id": "s"})
    assert ended(peer, actions) == [(UpdatePresence(presence=DND), CommandOutcome.WRITTEN)]
    assert peer.payloads(3) == []


@pytest.mark.failure("F36")
def test_one_that_was_set_after_identify_follows_ready() -> None:
    peer = Peer().to_identifying()
    peer.call(peer.shard.set_presence, DND)
    assert peer.payloads(3) == []
    peer.dispatch(1, "READY", {"session_id": "s"})
    assert [d["status"] for d in peer.payloads(3)] == ["dnd"]


@pytest.mark.failure("F36")
def test_a_resume_does_not_repeat_it_but_sends_what_waited() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.set_presence, IDLE)
    peer.eof()
    peer.call(peer.shard.set_presence, DND)
    peer.resume_again()
    assert len(peer.payloads(3)) == 1
    peer.dispatch(2, "RESUMED")
    assert [d["status"] for d in peer.payloads(3)] == ["idle", "dnd"]


@pytest.mark.failure("F36")
def test_newer_replaces_unsent_older() -> None:
    peer = Peer().to_connected()
    peer.eof()
    peer.call(peer.shard.set_presence, IDLE)
    actions = peer.call(peer.shard.set_presence, DND)
    assert ended(peer, actions) == [(UpdatePresence(presence=IDLE), CommandOutcome.DROPPED)]
    assert "newer" in peer.of(CommandEnded, actions)[0].reason
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    assert [d["status"] for d in peer.payloads(3)] == ["dnd"]


@pytest.mark.failure("F36")
def test_five_in_twenty_seconds_over_reconnects_too() -> None:
    peer = Peer().to_connected()
    first = peer.now
    for number in range(5):
        peer.call(peer.shard.set_activity, Activity.playing(str(number)))
    peer.eof()
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    for number in range(5, 9):
        peer.call(peer.shard.set_activity, Activity.playing(str(number)))
    assert len(peer.payloads(3)) == 5
    peer.call(peer.shard.send, voice())
    assert len(peer.payloads(4)) == 1, "a command does not wait behind it"
    peer.advance(first + 19.9 - peer.now)
    assert len(peer.payloads(3)) == 5
    peer.advance(0.2)
    assert [d["activities"][0]["name"] for d in peer.payloads(3)] == ["0", "1", "2", "3", "4", "8"]
    assert peer.shard.snapshot().queued_commands == 0


@pytest.mark.failure("F36")
def test_status_and_activity_keep_each_other_and_offline_is_invisible() -> None:
    peer = Peer(config(presence=CurrentPresence(since=5, afk=True))).to_connected()
    peer.call(peer.shard.set_activity, Activity.playing("go"))
    peer.call(peer.shard.set_status, OnlineStatus.OFFLINE)
    peer.call(peer.shard.set_activity, None)
    assert peer.payloads(3) == [
        {"since": 5, "activities": [{"name": "go", "type": 0}], "status": "online", "afk": True},
        {"since": 5, "activities": [{"name": "go", "type": 0}], "status": "invisible", "afk": True},
        {"since": 5, "activities": [], "status": "invisible", "afk": True},
    ]
    assert peer.shard.snapshot().current_presence.status is OnlineStatus.INVISIBLE


@pytest.mark.failure("F36")
def test_send_of_a_presence_is_set_presence() -> None:
    peer = Peer().to_connected()
    peer.call(peer.shard.send, UpdatePresence(presence=DND))
    reidentify(peer)
    assert peer.payloads(2)[1]["presence"]["status"] == "dnd"


@pytest.mark.failure("F36")
@pytest.mark.parametrize("by", ["set_presence", "set_activity", "send"])
def test_refused_unless_identify_can_carry_it(by: str) -> None:
    peer = Peer().to_connected()
    room = 4096 - len(identify_bytes(config(presence=playing(""))))
    before = peer.shard.snapshot()
    with pytest.raises(LocalProtocolError, match="4097 bytes, Discord takes 4096"):
        show(peer, by, room + 1)
    assert peer.shard.snapshot() == before
    assert peer.payloads(3) == []
    show(peer, by, room)
    assert len(peer.payloads(3)) == 1
    reidentify(peer)
    assert peer.payloads(2)[1]["presence"] == playing("x" * room).payload() | {
        "activities": [{"name": "x" * room, "type": 0}]
    }


def playing(name: str) -> CurrentPresence:
    return CurrentPresence(activities=(Activity.playing(name),))


def identify_bytes(shard_config: Any) -> bytes:
    """What IDENTIFY of this config takes on the wire, as JSON."""
    peer = Peer(shard_config).to_identifying()
    return json.dumps(peer.sent[0], separators=(",", ":"), ensure_ascii=False).encode()


def show(peer: Peer, by: str, size: int) -> None:
    activity = Activity.playing("x" * size)
    if by == "set_activity":
        peer.call(peer.shard.set_activity, activity)
    elif by == "set_presence":
        peer.call(peer.shard.set_presence, CurrentPresence(activities=(activity,)))
    else:
        peer.call(peer.shard.send, UpdatePresence(presence=CurrentPresence(activities=(activity,))))


@pytest.mark.failure("F36")
def test_a_config_whose_identify_is_too_large_makes_no_shard() -> None:
    for changes in ({"presence": playing("x" * 4096)}, {"identify_extra": {"x": "y" * 4096}}):
        with pytest.raises(InvalidConfigError, match="Discord takes 4096"):
            Shard(config(**changes), rng=random.Random(1))
    with pytest.raises(InvalidConfigError, match="JSON"):
        Shard(config(presence=playing("\ud800")), rng=random.Random(1))


# F37


COMMANDS = [
    voice(),
    RequestGuildMembers(guild_id=1, query=""),
    RequestSoundboardSounds(guild_ids=(1, 2)),
    RequestChannelInfo(guild_id=1),
    RawCommand.of(8, {"guild_id": "1", "query": "", "limit": 0}),
    RawCommand.of(99, None),
]


@pytest.mark.failure("F37")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_written_at_once_while_connected(command: Any) -> None:
    peer = Peer().to_connected()
    actions = peer.call(peer.shard.send, command)
    assert len(peer.sent) == 2
    assert peer.shard.next_timeout() == peer.now
    actions = peer.call(peer.shard.handle_timeout)
    assert actions == [CommandEnded(command=command, outcome=CommandOutcome.WRITTEN)]


@pytest.mark.failure("F37")
@pytest.mark.parametrize("where", ["disconnected", "identifying", "resuming"])
def test_waits_for_the_session_in_order(where: str) -> None:
    peer = {"disconnected": Peer, "identifying": Peer().to_identifying, "resuming": Peer().to_resuming}[where]()
    for guild_id in (1, 2, 3):
        peer.call(peer.shard.send, voice(guild_id))
    assert peer.payloads(4) == []
    if where == "disconnected":
        peer.to_identifying()
    assert peer.payloads(4) == []
    peer.dispatch(2, "RESUMED" if where == "resuming" else "READY", {"session_id": "s"})
    assert [d["guild_id"] for d in peer.payloads(4)] == ["1", "2", "3"]


@pytest.mark.failure("F37")
def test_what_waits_for_the_budget_is_requeued_when_the_connection_dies_and_then_written() -> None:
    peer = Peer().to_connected()
    commands = [voice(number) for number in range(1, 131)]
    for command in commands:
        peer.call(peer.shard.send, command)
    written = len(peer.payloads(4))
    assert 100 < written < 120
    actions = peer.eof()
    requeued = [command for command, outcome in ended(peer, actions) if outcome is CommandOutcome.REQUEUED]
    assert requeued == commands[written:]
    peer.resume_again()
    peer.dispatch(2, "RESUMED")
    peer.call(peer.shard.handle_timeout)
    assert [int(d["guild_id"]) for d in peer.payloads(4)] == list(range(1, 131))
    outcomes = [outcome for _, outcome in ended(peer) if outcome is not CommandOutcome.REQUEUED]
    assert outcomes == [CommandOutcome.WRITTEN] * 130


@pytest.mark.failure("F37")
def test_the_reasons_are_told() -> None:
    peer = Peer().to_connected()
    for number in range(130):
        peer.call(peer.shard.send, voice(number))
    reasons = {action.reason for action in peer.of(CommandEnded, peer.eof())} - {""}
    assert reasons == {"the connection was lost first"}
    reasons = {action.reason for action in peer.of(CommandEnded, peer.call(peer.shard.close))}
    assert reasons == {"the shard was closed"}


RESERVED = [
    RawCommand.of(1, None),
    RawCommand.of(2, {"token": "t"}),
    RawCommand.of(6, {"token": "t"}),
    RawCommand(b' { "d" : {} , "op" : 2 } '),
    RawCommand(b'{"op":3,"op":2,"d":{}}'),
    RawCommand(b'{"op":2,"op":3,"d":{}}'),
    RawCommand(b'{"\\u006fp":2,"d":{}}'),
    Heartbeat(sequence=None),
    Identify(token=Secret("t"), intents=0, properties={}),
    Resume(token=Secret("t"), session_id=Secret("s"), sequence=1),
]
INVALID: list[Any] = [
    *RESERVED,
    RawCommand(b""),
    RawCommand(b"null"),
    RawCommand(b'{"d":1}'),
    RawCommand(b'{"op":"3"}'),
    RawCommand(b'{"op":3.0}'),
    RawCommand(b'{"op":3,"d":\xff}'),
    RawCommand(b'{"op":4,"d":"\xff"}'),
    RawCommand(b'{"op":4,"d":{}} x'),
    RawCommand(b'{"op":4,"d":"' + b"x" * 4083 + b'"}'),
    RequestGuildMembers(guild_id=1),
    RequestGuildMembers(guild_id=1, query="", user_ids=(1,)),
    RequestGuildMembers(guild_id=1, user_ids=()),
    RequestGuildMembers(guild_id=1, user_ids=tuple(range(101))),
    RequestGuildMembers(guild_id=1, query="a", limit=101),
    RequestGuildMembers(guild_id=1, query="", limit=-1),
    RequestGuildMembers(guild_id=1, query="", nonce="n" * 33),
    RequestGuildMembers(guild_id=1, query="\ud800"),
    RequestSoundboardSounds(guild_ids=()),
    RequestSoundboardSounds(guild_ids=tuple(10**17 + number for number in range(300))),
    RequestChannelInfo(guild_id=1, fields=()),
]


@pytest.mark.failure("F37")
@pytest.mark.parametrize("command", INVALID, ids=lambda command: repr(command)[:40])
@pytest.mark.parametrize("where", ["identifying", "connected"])
def test_an_invalid_command_is_refused_and_changes_nothing(command: Any, where: str) -> None:
    peer = Peer().to_identifying() if where == "identifying" else Peer().to_connected()
    peer.call(peer.shard.handle_timeout)
    before, due, sent = peer.shard.snapshot(), peer.shard.next_timeout(), len(peer.sent)
    with pytest.raises(LocalProtocolError) as raised:
        peer.shard.send(command, peer.now + 1.0)
    assert str(raised.value)
    assert "\n" not in str(raised.value)
    peer.pump()
    assert len(peer.sent) == sent
    assert peer.shard.snapshot() == before
    assert peer.shard.next_timeout() == due


@pytest.mark.failure("F37")
@pytest.mark.parametrize("command", RESERVED, ids=lambda command: repr(command)[:40])
def test_ops_1_2_and_6_say_why(command: Any) -> None:
    peer = Peer().to_connected()
    with pytest.raises(LocalProtocolError, match=r"the shard's own|names no member twice"):
        peer.shard.send(command, peer.now)


@pytest.mark.failure("F37")
def test_pending_commands_outlive_an_invalid_one() -> None:
    peer = Peer().to_identifying()
    peer.call(peer.shard.send, voice(1))
    with pytest.raises(LocalProtocolError):
        peer.shard.send(RawCommand(b"{"), peer.now)
    peer.call(peer.shard.send, voice(2))
    peer.dispatch(1, "READY", {"session_id": "s"})
    assert [d["guild_id"] for d in peer.payloads(4)] == ["1", "2"]
    assert peer.closes == []


@pytest.mark.failure("F37")
@pytest.mark.parametrize(("size", "fits"), [(4096, True), (4097, False)])
def test_4096_bytes_to_the_byte(size: int, fits: bool) -> None:
    peer = Peer().to_connected()
    command = RawCommand(b'{"op":99,"d":"' + "é".encode() * 100 + b"x" * (size - 216) + b'"}')
    assert len(command.text) == size
    if fits:
        peer.call(peer.shard.send, command)
        assert len(peer.payloads(99)) == 1
    else:
        with pytest.raises(LocalProtocolError, match="4097 bytes"):
            peer.shard.send(command, peer.now)


MINE, THEIRS = 1 << 22, 2 << 22


@pytest.mark.failure("F37")
@pytest.mark.parametrize(
    "command",
    [
        voice(THEIRS),
        RequestGuildMembers(guild_id=THEIRS, query=""),
        RequestSoundboardSounds(guild_ids=(MINE, THEIRS)),
        RequestChannelInfo(guild_id=THEIRS),
        RawCommand.of(8, {"guild_id": str(THEIRS)}),
        RawCommand.of(8, {"guild_id": THEIRS}),
        RawCommand.of(31, {"guild_ids": [str(MINE), str(THEIRS)]}),
        RawCommand.of(4, {"guild_id": str(THEIRS), "channel_id": None}),
    ],
    ids=lambda command: repr(command)[:40],
)
def test_a_guild_of_another_shard_is_refused(command: Any) -> None:
    peer = Peer(config(shard=(1, 2))).to_connected()
    with pytest.raises(LocalProtocolError, match=rf"guild {THEIRS} belongs to shard 0 of 2, this is shard 1"):
        peer.shard.send(command, peer.now)
    peer.call(peer.shard.send, voice(MINE))
    assert len(peer.payloads(4)) == 1
    unsharded = Peer().to_connected()
    unsharded.call(unsharded.shard.send, command)


@pytest.mark.failure("F37")
def test_chunk_guilds_takes_all_or_none() -> None:
    peer = Peer(config(shard=(1, 2))).to_connected()
    with pytest.raises(LocalProtocolError, match="belongs to shard 0"):
        peer.shard.chunk_guilds([MINE, THEIRS], peer.now)
    assert peer.shard.snapshot().queued_commands == 0
    peer.call(peer.shard.chunk_guilds, [MINE, 3 << 22], limit=0, query="", presences=True)
    assert [d["guild_id"] for d in peer.payloads(8)] == [str(MINE), str(3 << 22)]
    assert peer.call(peer.shard.chunk_guilds, [])[2:] == []


@pytest.mark.failure("F37")
def test_a_full_queue_is_a_misuse_that_changes_nothing() -> None:
    peer = Peer(config(limits=Limits(max_queued_commands=3))).to_identifying()
    peer.call(peer.shard.chunk_guilds, [1, 2])
    with pytest.raises(LocalProtocolError, match="2 of at most 3 commands are waiting, 2 more do not fit"):
        peer.shard.chunk_guilds([3, 4], peer.now)
    assert peer.shard.snapshot().queued_commands == 2
    peer.call(peer.shard.send, voice(5))
    with pytest.raises(LocalProtocolError, match="3 of at most 3"):
        peer.shard.send(voice(6), peer.now)
    peer.dispatch(1, "READY", {"session_id": "s"})
    peer.call(peer.shard.send, voice(6))
    assert len(peer.payloads(8) + peer.payloads(4)) == 4
    assert Limits().max_queued_commands == 512


@pytest.mark.failure("F37")
def test_a_session_that_is_lost_keeps_the_commands_for_the_next() -> None:
    peer = Peer().to_identifying()
    peer.call(peer.shard.send, voice(1))
    peer.say({"op": 9, "d": False})
    peer.resume_again()
    peer.permit()
    peer.dispatch(1, "READY", {"session_id": "s-2"})
    peer.advance(INTERVAL / 100)
    assert [d["guild_id"] for d in peer.payloads(4)] == ["1"]
    assert [outcome for _, outcome in ended(peer)] == [CommandOutcome.WRITTEN]
    assert peer.shard.stage is ConnectionStage.CONNECTED
