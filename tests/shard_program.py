"""A bot's program by `Client`, as a process that a test can kill. Run as a script:

shard_program.py BACKEND FILE API START STOP TOTAL runs the shards from START up to STOP of TOTAL until SIGTERM. Each
line that it prints is one write, so that a kill leaves no half of one:

stage SHARD STAGE                   as the shard's stage moves
event SHARD NAME NUMBER REPLAYED    of an event, before the next one is asked for; NUMBER is 0 if it has none

The state file has READY's session before "event SHARD READY 0 0" is printed.
"""

import functools
import os
import sys
from typing import Final

import anyio
import msgspec

from gateway_proto import Intents, Secret, ShardAction, ShardConfig, StageChanged
from gateway_transports.cli.signals import interruptible
from gateway_transports.client import Client

_STDOUT: Final = 1


class _Mark(msgspec.Struct):
    """What a served gateway numbers its events by."""

    number: int = msgspec.field(name="_number", default=0)


def say(*words: object) -> None:
    os.write(_STDOUT, (" ".join(map(str, words)) + "\n").encode())


def report(shard_id: int, action: ShardAction) -> None:
    if isinstance(action, StageChanged):
        say("stage", shard_id, action.new.value)


async def work(path: str, api: str, shards: range, total: int) -> int:
    config = ShardConfig(token=Secret("made-up"), intents=Intents.none())
    # The server goes by the moment at which it comes to read: on two busy cores, with five processes at work, that may
    # be half a second late. The default margin, 0.25 s, is for a network.
    async with Client(config, store=path, api=api, identify_spacing=6.0, on_action=report) as client:
        await client.start_shard_range(shards, total)
        async for event in client.events():
            number = event.dispatch.decode(_Mark).number if event.name != "RESUMED" else 0
            say("event", event.shard_id, event.name, number, int(event.replayed))
    return 0


if __name__ == "__main__":
    backend, path, api, start, stop, total = sys.argv[1:]
    shards = range(int(start), int(stop))
    anyio.run(interruptible, functools.partial(work, path, api, shards, int(total)), backend=backend)
