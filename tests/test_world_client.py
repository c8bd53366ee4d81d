"""Our own client in a world: it settles its guilds, and its requests are answered. In virtual time, on both loops."""

import json
from collections import Counter

import pytest

from gateway_proto import ConnectionStage, GuildsSettled, Intents, UpdateVoiceState
from gateway_proto.events import DISPATCH_TYPES, GuildCreate, RateLimited, Ready, VoiceStateUpdate
from gateway_proto.server import Received, WorldConfig

from .transport_helpers import World, world

pytestmark = pytest.mark.anyio
ALL = {"intents": Intents.all()}


def guilds_of(w: World) -> tuple[int, ...]:
    assert w.gateway.server.world is not None
    return tuple(w.gateway.server.world.guild_ids)


async def test_the_guilds_settle_and_whatever_happens_decodes() -> None:
    async with world(world=WorldConfig(guilds=30, members=30)) as w, w.open_shard(config=ALL) as runner:
        await w.until(lambda: w.of(GuildsSettled))
        for _ in range(600):
            assert w.gateway.server.world is not None
            w.gateway.dispatch_world(w.gateway.server.world.next_event())
        names: Counter[str] = Counter()
        await w.clock.sleep(5.0)
        while runner.queued_events:
            event = await anext(runner)
            assert isinstance(event.data, DISPATCH_TYPES[event.name])
            names[event.name] += 1
        assert names["GUILD_CREATE"] == 30
        assert sum(names.values()) == 631


@pytest.mark.failure("F35")
async def test_request_members_brings_everybody() -> None:
    async with world(world=WorldConfig(guilds=2, members=400)) as w, w.open_shard(config=ALL) as runner:
        await w.until(lambda: runner.stage is ConnectionStage.CONNECTED)
        made = w.gateway.server.world
        assert made is not None
        guild_id = guilds_of(w)[1]
        everybody = made.look(guild_id).members
        assert len(everybody) > 1000
        found = await runner.request_members(guild_id, presences=True)
        assert len({member.user.id for member in found.members if member.user}) == len(found.members) == len(everybody)
        assert 0 < len(found.presences) < len(found.members)
        one = found.members[7].user
        assert one
        by_id = await runner.request_members(guild_id, user_ids=[one.id, 3])
        assert ([member.user for member in by_id.members], by_id.not_found) == ([one], (3,))
        by_name = await runner.request_members(guild_id, query=one.username[:3], limit=100)
        assert one.id in {member.user.id for member in by_name.members if member.user}
        sounds = await runner.request_soundboard_sounds(guilds_of(w))
        assert {id: len(made.sounds(id)) for id in guilds_of(w)} == {id: len(found) for id, found in sounds.items()}
        info = await runner.request_channel_info(guild_id)
        assert [channel.id for channel in info.channels] == [int(id) for id in made.look(guild_id).channels_of(2)]


@pytest.mark.failure("F35")
async def test_a_client_that_restarts_within_30_s_is_limited_and_asks_again() -> None:
    """Its new process knows nothing of the old one's request: the gateway says RATE_LIMITED, and the client obeys."""
    async with world(world=WorldConfig(guilds=2, members=20), identify_period=0.0) as w:
        guild_id = guilds_of(w)[0]
        async with w.open_shard(config=ALL) as runner:
            first = await runner.request_members(guild_id)
            await runner.close(resumable=False)
        began = w.clock.now()
        async with w.open_shard(config=ALL) as runner:
            second = await runner.request_members(guild_id)
            assert 28.0 < w.clock.now() - began < 31.5
            assert [member.user for member in second.members] == [member.user for member in first.members]
            asked = [json.loads(action.raw) for action in w.of(Received) if action.opcode == 8]
            assert len(asked) == 3
            assert asked[1] == asked[2]
            while runner.queued_events:
                event = await anext(runner)
                if isinstance(event.data, RateLimited):
                    assert (event.data.meta.guild_id, event.data.meta.nonce) == (guild_id, asked[1]["nonce"])
                    break
            else:
                raise AssertionError("it was never limited")


async def test_a_drop_in_the_middle_of_the_guilds_loses_none() -> None:
    async with (
        world(world=WorldConfig(guilds=400, members=60), chunk=1000) as w,
        w.open_shard(config=ALL) as runner,
    ):
        ready = (await anext(runner)).data
        assert isinstance(ready, Ready)
        created: list[int] = []
        while len(created) < 400:
            event = await anext(runner)
            if isinstance(event.data, GuildCreate):
                created.append(event.data.id)
            if len(created) in (100, 250):
                runner.resume()
        assert created == [guild.id for guild in ready.guilds]
        assert w.session.number == 1


async def test_joining_voice() -> None:
    async with world(world=WorldConfig(guilds=3, members=10)) as w, w.open_shard(config=ALL) as runner:
        await w.until(lambda: w.of(GuildsSettled))
        made = w.gateway.server.world
        assert made is not None
        guild_id = guilds_of(w)[0]
        channel = int(made.look(guild_id).channels_of(2)[0])
        runner.send(UpdateVoiceState(guild_id=guild_id, channel_id=channel))
        names = []
        while "VOICE_SERVER_UPDATE" not in names:
            event = await anext(runner)
            names.append(event.name)
            if isinstance(event.data, VoiceStateUpdate):
                assert (event.data.guild_id, event.data.channel_id) == (guild_id, channel)
        assert names[-2:] == ["VOICE_STATE_UPDATE", "VOICE_SERVER_UPDATE"]
        assert made.is_in_voice(guild_id)
