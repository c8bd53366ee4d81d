"""Trouble that a client survives: ends that nobody asked for, events twice, closed iterators, observers that fail."""

import asyncio
import logging
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from gateway_proto import (
    GatewayError,
    IdentifyPermit,
    IdentifyWanted,
    InvalidAuthenticationError,
    Secret,
)
from gateway_proto.events import MessageCreate
from gateway_proto.fleet import IdentifyQueue, ManagerAction, ShardEnded, StartShard, StopShard
from gateway_proto.server import SessionResumed
from gateway_transports.client import Client, Context
from gateway_transports.client.errors import ShardCrashedError
from gateway_transports.queue_gate import QueueGate

from .client_helpers import ClientWorld, client_world, connected, content, contents

pytestmark = pytest.mark.anyio


async def cancelled_by_somebody() -> None:
    """Raises a cancellation that is none of the task's own: what awaits a cancelled task gets on asyncio."""
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        task = asyncio.ensure_future(asyncio.sleep(3600))
        task.cancel()
        await task
    kept: BaseException | None = None
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.lowlevel.checkpoint()
        except anyio.get_cancelled_exc_class() as error:
            kept = error
    assert kept is not None
    raise kept


async def started(w: ClientWorld, client: Client[Any], shards: int = 1) -> None:
    await client.start_shards(shards)
    await connected(w, client, shards)


def delivered(client: Client[Any]) -> int:
    snapshot = client.info(0).snapshot
    assert snapshot is not None
    return snapshot.delivered


# -- a cancellation that is somebody else's --------------------------------------------------------------------


@pytest.mark.failure("F24")
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_handler_that_awaits_what_was_cancelled_fails_alone(
    is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        seen: list[tuple[int, int]] = []

        @client.handler
        async def handler(message: MessageCreate, context: Context[None]) -> None:
            seen.append((context.shard_id, int(message.content)))
            if is_async and message.content == "3":
                await cancelled_by_somebody()

        try:
            await cancelled_by_somebody()
        except anyio.get_cancelled_exc_class() as error:
            cancellation = error

        @client.handler
        def plain(message: MessageCreate) -> None:
            if not is_async and message.content == "3":
                raise cancellation  # as the result() of a cancelled future

        await started(w, client, 2)
        for number in range(5):
            w.message(0, number)
            w.message(1, 10 + number)
        await w.until(lambda: len(seen) == 10)
        await w.clock.sleep(1.0)
        assert "failed at MESSAGE_CREATE, event 5 of shard 0" in caplog.text
        assert "it awaited something that was cancelled" in caplog.text
        assert len(caplog.records) == 1
        assert delivered(client) == 6  # a failure is an answer
        assert client.shards_instantiated() == [0, 1]
        w.message(1, 99)
        await w.until(lambda: (1, 99) in seen)


async def test_a_handler_that_the_end_of_the_client_cuts_off_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    async with client_world() as w:
        begun, ended = anyio.Event(), anyio.Event()
        async with w.client() as client:

            @client.handler
            async def handler(message: MessageCreate) -> None:
                begun.set()
                try:
                    await anyio.sleep_forever()
                finally:
                    ended.set()

            await started(w, client)
            w.message(0, 1)
            await begun.wait()
        assert ended.is_set()
        assert caplog.messages == []


async def test_a_handler_that_awaits_what_was_cancelled_is_a_failure_to_a_client_that_fails_fast() -> None:
    async with client_world() as w, w.client(fail_fast=True) as client:

        @client.handler
        async def handler(message: MessageCreate) -> None:
            await cancelled_by_somebody()

        await started(w, client)
        w.message(0, 1)
        with pytest.raises(RuntimeError, match="awaited something that was cancelled"):
            await client.wait()
        assert client.shards_instantiated() == []


class _CancelledGate(QueueGate):
    """A gate of somebody's own, which awaits what is cancelled, for one shard."""

    async def ask(self, wanted: IdentifyWanted) -> IdentifyPermit:
        if wanted.shard is not None and wanted.shard[0] == 1:
            await cancelled_by_somebody()
        return await super().ask(wanted)


@pytest.mark.failure("F24")
async def test_a_shard_whose_task_was_cancelled_by_somebody_has_crashed() -> None:
    async with client_world(max_concurrency=2) as w:
        gate = _CancelledGate(IdentifyQueue(max_concurrency=2), w.clock, wall=w.wall)
        async with w.client(gate=gate) as client:
            await client.start_shards(2)
            await w.until(lambda: not client.has(1))
            await connected(w, client, 1)
            assert isinstance(client.info(1).failure, ShardCrashedError)
            [ended] = [update for update in w.updates if isinstance(update, ShardEnded)]
            assert isinstance(ended.cause, ShardCrashedError)
            client.shutdown(0)
            with pytest.raises(ShardCrashedError, match="was cancelled, and nobody had asked for that"):
                await client.wait()


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)  # its tasks alone may be cancelled by anybody
async def test_a_shard_that_is_cancelled_from_outside_has_crashed(anyio_backend: str) -> None:
    async with client_world() as w, w.client() as client:
        client.events(MessageCreate)
        await client.start_shards(1)
        await connected(w, client, 1)
        [task] = [task for task in asyncio.all_tasks() if task.get_name().endswith("Fleet._run")]
        task.cancel()
        await w.until(lambda: not client.has(0))
        assert isinstance(client.info(0).failure, ShardCrashedError)
        client.restart(0)
        await connected(w, client, 1)


# -- a restart under a slow iterator ---------------------------------------------------------------------------


@pytest.mark.failure("F32")
@pytest.mark.parametrize("resumable", [True, False])
async def test_a_restart_under_a_slow_iterator_brings_each_event_once(resumable: bool) -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageCreate)
        for number in range(10):
            w.message(0, number)
        assert await contents(stream, 1) == [0]
        await w.clock.sleep(1.0)
        client.restart(0, resumable=resumable)
        await w.clock.sleep(10.0)
        await connected(w, client, 1)
        w.message(0, 10)
        # What is in hand is begun again; where the session is gone, what was received is all there is.
        again = [0] if resumable else []
        assert await contents(stream, len(again) + 10) == [*again, *range(1, 11)]
        assert len(w.of(SessionResumed)) == resumable
        w.message(0, 11)
        assert await contents(stream, 1) == [11]  # and nothing before it


@pytest.mark.failure("F32")
async def test_what_an_iterator_left_behind_comes_once_after_a_restart() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageCreate)
        for number in range(10):
            w.message(0, number)
        assert await contents(stream, 1) == [0]
        await w.clock.sleep(1.0)
        stream.close()
        client.restart(0)
        await w.clock.sleep(10.0)
        await connected(w, client, 1)
        w.message(0, 10)
        assert await contents(client.events(MessageCreate), 11) == list(range(11))


# -- iterators that are closed ---------------------------------------------------------------------------------


async def test_closing_ends_an_iteration_that_waits() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageCreate)
        seen: list[int] = []

        async def iterate() -> None:
            seen.extend([content(event.dispatch) async for event in stream])
            assert await stream.batch(10) == []

        async with anyio.create_task_group() as group:
            group.start_soon(iterate)
            w.message(0, 1)
            await w.until(lambda: delivered(client) == 2)  # it waits for the next one
            stream.close()
        assert seen == [1]


@pytest.mark.failure("F32")
async def test_what_a_closed_iterator_had_not_taken_is_for_others_alone() -> None:
    async with client_world() as w, w.client(concurrency=4) as client:
        await started(w, client)
        stream = client.events(MessageCreate)
        for number in range(3):
            w.message(0, number)
        assert await contents(stream, 1) == [0]
        await w.clock.sleep(1.0)
        stream.close()
        assert [event async for event in stream] == []
        seen: list[int] = []

        @client.handler
        def handler(message: MessageCreate) -> None:
            seen.append(int(message.content))

        for number in range(3, 12):
            w.message(0, number)
        await w.until(lambda: len(seen) == 11)
        assert seen == list(range(1, 12))
        assert delivered(client) == 13


@pytest.mark.failure("F32")
async def test_an_event_that_is_acknowledged_after_the_close_is_not_done_twice() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        closed, stays = client.events(MessageCreate), client.events(MessageCreate)
        w.message(0, 1)
        await contents(closed, 1)
        await contents(stays, 1)
        closed.close()
        closed.acknowledge()
        for number in (2, 3):  # those that stay go on without it
            w.message(0, number)
            await w.clock.sleep(1.0)
        assert delivered(client) == 1
        stays.acknowledge()
        assert delivered(client) == 2


@pytest.mark.failure("F32")
async def test_an_acknowledgement_after_the_close_counts() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        stream = client.events(MessageCreate)
        for number in range(3):
            w.message(0, number)
        await w.clock.sleep(1.0)
        assert len(await stream.batch(2)) == 2
        stream.close()
        stream.close()
        assert delivered(client) == 1
        stream.acknowledge()
        assert delivered(client) == 3


@pytest.mark.parametrize("in_thread", [True, False])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_an_iterator_that_is_dropped_anywhere_keeps_nobody_waiting(in_thread: bool, concurrency: int) -> None:
    async with client_world() as w, w.client(concurrency=concurrency) as client:
        await started(w, client)
        seen: list[int] = []

        @client.handler
        def handler(message: MessageCreate) -> None:
            seen.append(int(message.content))

        box = [client.events(MessageCreate)]
        for number in range(10):
            w.message(0, number)
        await contents(box[0], 1)
        await w.clock.sleep(1.0)
        assert len(seen) == concurrency
        if in_thread:
            thread = threading.Thread(target=box.clear)
            thread.start()
            thread.join()
        else:
            box.clear()
        await w.clock.sleep(1.0)
        assert seen == list(range(10))
        assert delivered(client) == 11


async def test_an_iterator_may_outlive_the_client_and_its_loop(anyio_backend: str) -> None:
    kept: list[object] = []

    async def run() -> None:
        async with client_world() as w, w.client() as client:
            await started(w, client)
            kept.append(client.events(MessageCreate))

    thread = threading.Thread(target=lambda: anyio.run(run, backend=anyio_backend))
    thread.start()
    thread.join()
    kept.clear()  # what it raises would fail the test


# -- observers -------------------------------------------------------------------------------------------------


async def test_an_observer_may_end_all_shards_while_they_are_started() -> None:
    async with client_world(max_concurrency=3) as w:
        told: list[ManagerAction] = []
        inside: list[int] = []

        def on_update(update: ManagerAction) -> None:
            told.append(update)
            if isinstance(update, StartShard) and update.shard_id == 0:
                client.shutdown_all()
                inside.append(len(told))

        async with w.client(on_update=on_update) as client:
            await client.start_shards(3)
            await client.wait()
        assert inside == [1]  # it is called by no call of its own
        for shard_id in range(3):
            kinds = [type(one) for one in told if isinstance(one, StartShard | StopShard | ShardEnded)
                     and one.shard_id == shard_id]  # fmt: skip
            assert kinds == [StartShard, StopShard, ShardEnded]


async def test_an_observer_may_start_a_shard_again_that_has_ended() -> None:
    async with client_world() as w:
        ends: list[GatewayError | None] = []

        def on_update(update: ManagerAction) -> None:
            if isinstance(update, ShardEnded):
                ends.append(update.cause)
                if len(ends) == 1:
                    client.restart(0)

        async with w.client(on_update=on_update) as client:
            await started(w, client)
            client.shutdown(0)
            await w.until(lambda: ends)
            await connected(w, client, 1)


@pytest.mark.failure("F24")
@pytest.mark.parametrize("cancels", [True, False])
async def test_what_an_observer_raises_is_logged_and_ends_nothing(
    cancels: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_world(max_concurrency=3) as w:
        cancellation: BaseException = ValueError("of metrics")
        if cancels:
            try:
                await cancelled_by_somebody()
            except anyio.get_cancelled_exc_class() as error:
                cancellation = error

        def on_update(update: ManagerAction) -> None:
            if isinstance(update, ShardEnded | StartShard) and update.shard_id != 0:
                raise cancellation

        caplog.set_level(logging.ERROR)
        async with w.client(on_update=on_update) as client:
            await started(w, client, 3)
            client.shutdown(1)
            await w.until(lambda: not client.has(1))
            await w.clock.sleep(10.0)
            assert [info.stage.value for info in client.infos()] == ["connected", "disconnected", "connected"]
            client.restart(1)
            await connected(w, client, 3)
        assert len(caplog.records) == 6  # a start and an end of each, and of 1 another
        assert {record.exc_info[0] for record in caplog.records if record.exc_info} == {type(cancellation)}


# -- stops and restarts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("of_all", [True, False])
async def test_a_session_is_ended_though_its_stop_has_begun(of_all: bool) -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        client.shutdown(0)
        if of_all:
            client.shutdown_all(resumable=False)
        else:
            client.shutdown(0, resumable=False)
        client.shutdown(0)  # takes nothing back
        await client.wait()
        assert not w.gateway.server.sessions


async def test_a_restart_that_gives_the_session_up_counts_though_another_has_begun() -> None:
    async with client_world() as w, w.client() as client:
        await started(w, client)
        client.restart(0)
        client.restart(0, resumable=False)
        await w.clock.sleep(20.0)
        await connected(w, client, 1)
        assert (len(w.identifies), len(w.of(SessionResumed)), len(w.gateway.server.sessions)) == (2, 0, 1)


@pytest.mark.parametrize("has_ended", [True, False])
async def test_a_restart_starts_what_was_shut_down_with_all(has_ended: bool) -> None:
    async with client_world(max_concurrency=2) as w, w.client() as client:
        await started(w, client, 2)
        client.shutdown_all()
        if has_ended:
            await client.wait()
        client.restart(0)
        await w.clock.sleep(30.0)
        await connected(w, client, 1)
        assert client.shards_instantiated() == [0]


@pytest.mark.failure("F16")
async def test_a_restart_after_a_refusal_keeps_nobody_waiting() -> None:
    async with client_world() as w, w.client(w.config(token=Secret("wrong")), api=None) as client:
        await client.start_shards(2)
        with pytest.raises(InvalidAuthenticationError):
            await client.wait()
        client.restart(0)
        with pytest.raises(InvalidAuthenticationError):
            await client.wait()
        with pytest.raises(InvalidAuthenticationError):
            await anext(client.events(MessageCreate))
        assert isinstance(client.info(0).failure, InvalidAuthenticationError)
