"""A client's shards one by one: commands by their guild, messengers, restarts, ends."""

import logging
import threading
from typing import Any

import anyio
import pytest

from gateway_proto import (
    Activity,
    ConnectionStage,
    CurrentPresence,
    DisallowedIntentsError,
    InvalidAuthenticationError,
    LocalProtocolError,
    OnlineStatus,
    Opcode,
    OverloadedShardError,
    RawCommand,
    RequestGuildMembers,
    RequestSoundboardSounds,
    Secret,
    UpdateVoiceState,
    shard_id_for,
)
from gateway_proto.events import MessageCreate
from gateway_proto.fleet import ApplicationRefused, ShardEnded, ShardStageUpdate
from gateway_proto.server import Close, Received, SessionResumed
from gateway_transports.client import Client, Context, ShardsEndedError

from .client_helpers import ClientWorld, client_world, connected, contents

pytestmark = pytest.mark.anyio

GUILDS = {shard_id: 1000 + (shard_id << 22) for shard_id in range(4)}
"""A guild of each of four shards."""


async def started(w: ClientWorld, client: Client[Any], shards: int = 4) -> None:
    await client.start_shards(shards)
    await connected(w, client, shards)


def received(w: ClientWorld, opcode: int) -> list[tuple[int, bytes]]:
    """(shard, payload) of what the server took of that kind."""
    shards = {one.connection_id: one.shard[0] if one.shard else 0 for one in w.identifies}
    return [(shards[one.connection_id], one.raw) for one in w.of(Received) if one.opcode == opcode]


# -- commands --------------------------------------------------------------------------------------------------


async def test_a_command_goes_to_the_shard_of_its_guild() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await started(w, client)
        for shard_id, guild_id in GUILDS.items():
            assert client.shard_id_for(guild_id) == shard_id_for(guild_id, 4) == shard_id
            client.send(RequestGuildMembers(guild_id=guild_id, query="a", limit=1))
        client.send(RawCommand.of(8, {"guild_id": str(GUILDS[2]), "query": "raw", "limit": 1}))
        client.send(UpdateVoiceState(guild_id=GUILDS[3], channel_id=None))
        await w.until(lambda: len(received(w, Opcode.REQUEST_GUILD_MEMBERS)) == 5)
        assert sorted(shard for shard, _ in received(w, Opcode.REQUEST_GUILD_MEMBERS)) == [0, 1, 2, 2, 3]
        assert [shard for shard, _ in received(w, Opcode.VOICE_STATE_UPDATE)] == [3]


async def test_one_for_guilds_of_several_shards_is_divided_or_refused() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await started(w, client)
        client.send(RequestSoundboardSounds(guild_ids=tuple(GUILDS.values())))
        await w.until(lambda: len(received(w, Opcode.REQUEST_SOUNDBOARD_SOUNDS)) == 4)
        assert sorted(shard for shard, _ in received(w, Opcode.REQUEST_SOUNDBOARD_SOUNDS)) == [0, 1, 2, 3]
        with pytest.raises(LocalProtocolError, match="of the shards 0, 1, 2, 3: send one for each"):
            client.send(RawCommand.of(31, {"guild_ids": [str(guild) for guild in GUILDS.values()]}))


async def test_a_command_without_a_guild_goes_to_shard_0() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await started(w, client)
        client.send(RawCommand.of(77, {}))
        await w.until(lambda: received(w, 77))
        assert [shard for shard, _ in received(w, 77)] == [0]
        assert client.shard_of(None).shard_id == 0


async def test_a_guild_of_another_process_is_told() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await client.start_shard_range(range(2), 4)
        await connected(w, client, 2)
        with pytest.raises(LocalProtocolError, match="shard 3 of 4 is not run by this client"):
            client.send(UpdateVoiceState(guild_id=GUILDS[3], channel_id=None))
        with pytest.raises(LocalProtocolError, match="shard 3 of 4 is not run by this client"):
            client.info(3)


async def test_a_messenger_works_from_any_thread() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await started(w, client)
        messenger = client.shard(2)
        errors: list[Exception] = []

        def work() -> None:
            assert threading.current_thread() is not threading.main_thread()
            messenger.set_presence(CurrentPresence(status=OnlineStatus.IDLE))
            messenger.set_activity(Activity.playing("chess"))
            messenger.set_status(OnlineStatus.DND)
            messenger.chunk_guilds([GUILDS[2]], query="a", limit=1)
            messenger.send(RawCommand.of(77, {}))
            try:
                messenger.chunk_guilds([GUILDS[1]])
            except LocalProtocolError as error:
                errors.append(error)

        await anyio.to_thread.run_sync(work)
        assert "belongs to shard 1" in str(errors[0])
        # The first of them may be on its way before the thread has said the last.
        await w.until(lambda: any(b"dnd" in sent for _, sent in received(w, Opcode.PRESENCE_UPDATE)))
        await w.until(lambda: received(w, Opcode.REQUEST_GUILD_MEMBERS))
        assert {shard for shard, _ in received(w, Opcode.PRESENCE_UPDATE)} == {2}
        assert b"chess" in received(w, Opcode.PRESENCE_UPDATE)[-1][1]
        assert b"dnd" in received(w, Opcode.PRESENCE_UPDATE)[-1][1]
        assert [shard for shard, _ in received(w, Opcode.REQUEST_GUILD_MEMBERS)] == [2]


async def test_a_presence_for_all_is_also_that_of_those_that_start_later() -> None:
    async with client_world() as w, w.client() as client:
        await client.start_shards(3)
        await connected(w, client, 1)
        client.set_presence(CurrentPresence(activities=(Activity.playing("go"),)))
        await connected(w, client, 3)
        for info in client.infos():
            assert info.snapshot is not None
            assert info.snapshot.current_presence.activities == (Activity.playing("go"),)


# -- ends ------------------------------------------------------------------------------------------------------


async def test_one_shard_that_fails_ends_alone() -> None:
    async with client_world(max_concurrency=4) as w, w.client() as client:
        await started(w, client)
        session = next(one for one in w.gateway.server.sessions.values() if one.shard == (1, 4))
        w.gateway.inject(session.id, Close(code=4011))
        await w.until(lambda: client.info(1).failure is not None)
        assert isinstance(client.info(1).failure, OverloadedShardError)
        assert client.shards_instantiated() == [0, 2, 3]
        stream = client.events(MessageCreate)
        for shard_id in (0, 2, 3):
            w.message(shard_id, shard_id)
        assert sorted(await contents(stream, 3)) == [0, 2, 3]
        assert [update.shard_id for update in w.updates if isinstance(update, ShardEnded)] == [1]
        client.restart(1)
        await connected(w, client, 4)


@pytest.mark.failure("F16")
async def test_what_discord_says_of_the_application_is_told_once() -> None:
    async with client_world(max_concurrency=1) as w:
        async with w.client(w.config(token=Secret("wrong")), api=None) as client:
            await client.start_shards(16)
            with pytest.raises(InvalidAuthenticationError):
                await client.wait()
        assert len([update for update in w.updates if isinstance(update, ApplicationRefused)]) == 1
        # One IDENTIFY told it; nobody else's was sent.
        assert len([one for one in w.of(Received) if one.opcode == Opcode.IDENTIFY]) == 1


async def test_the_end_of_all_shards_ends_the_iteration_and_says_why() -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        await started(w, client, 2)
        stream = client.events(MessageCreate)
        w.message(0, 1)
        for session in list(w.gateway.server.sessions.values()):
            w.gateway.inject(session.id, Close(code=4011))
        assert await contents(stream, 1) == [1]
        with pytest.raises(ShardsEndedError, match="2 shards have failed: shard 0"):
            await anext(stream)
        with pytest.raises(ShardsEndedError):
            await client.wait()


async def test_an_end_that_nobody_heard_comes_out_of_the_block() -> None:
    async with client_world() as w:

        async def run() -> None:
            async with w.client() as client:
                await started(w, client, 1)
                w.inject(Close(code=4014))
                await w.until(lambda: not client.has(0))

        with pytest.raises(DisallowedIntentsError):
            await run()


async def test_shutting_all_down_ends_the_iteration_in_order() -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        await started(w, client, 2)
        client.shutdown_all()
        assert [event.name async for event in client.events(MessageCreate)] == []
        await client.wait()
        assert len(w.gateway.server.sessions) == 2


@pytest.mark.parametrize("resumable", [True, False])
async def test_a_restart_keeps_the_session_or_ends_it(resumable: bool) -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        await started(w, client, 2)
        stream = client.events(MessageCreate)
        w.message(1, 1)
        assert await contents(stream, 1) == [1]
        stream.acknowledge()
        client.restart(1, resumable=resumable)
        await w.until(lambda: not client.has(1) or client.info(1).stage is not ConnectionStage.CONNECTED)
        w.message(1, 2)
        await connected(w, client, 2)
        w.message(1, 3)
        assert await contents(stream, 2 if resumable else 1) == ([2, 3] if resumable else [3])
        assert len(w.identifies) == (2 if resumable else 3)
        assert len(w.of(SessionResumed)) == (1 if resumable else 0)


async def test_stages_are_told_with_their_shard() -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        await started(w, client, 2)
        for shard_id in range(2):
            new = [one.new for one in w.updates if isinstance(one, ShardStageUpdate) and one.shard_id == shard_id]
            assert new[-1] is ConnectionStage.CONNECTED
            info = client.info(shard_id)
            assert (info.shard_id, info.total, info.stage, info.failure) == (
                shard_id,
                2,
                ConnectionStage.CONNECTED,
                None,
            )
            assert info.guilds == 0


async def test_an_unexpected_exception_ends_its_shard_alone(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world(max_concurrency=2) as w:

        def on_action(shard_id: int, action: object) -> None:
            if shard_id == 1 and type(action).__name__ == "Dispatch":
                raise ZeroDivisionError("an observer's mistake")

        caplog.set_level(logging.ERROR)
        async with w.client(on_action=on_action) as client:
            await client.start_shards(2)
            await w.until(lambda: client.info(1).failure is not None)
            await connected(w, client, 1)
            assert "ZeroDivisionError" in str(client.info(1).failure)
            assert "an observer's mistake" in caplog.text


async def test_a_handler_may_outlive_its_shard() -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        released = anyio.Event()
        done: list[int] = []

        @client.handler
        async def slow(message: MessageCreate, context: Context[None]) -> None:
            await released.wait()
            done.append(context.shard_id)

        await started(w, client, 2)
        w.message(0, 1)
        await w.clock.sleep(1.0)
        client.shutdown(0)
        await w.until(lambda: not client.has(0))  # after the grace
        released.set()
        await w.clock.sleep(5.0)
        assert done == [0]
        assert client.shards_instantiated() == [1]
