"""The demo's bot of several shards: a `Client` that tells of each event that it took, in the demo's own process or in
one that the demo started."""

import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from gateway_proto import Dispatch, EventDecodeError, Intents, Limits, Secret, ShardConfig

from ..anyio import AnyioDialer
from ..client import Client
from .options import BackendName, Compression, compression_settings


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the bot is told, but for its token. `store` is the state file's path; None keeps nothing."""

    api: str
    ca_file: str
    store: str | None
    shards: int
    compress: Compression
    backend: BackendName


class Taken(NamedTuple):
    """An event that came out of the client: the shard that the client says, the sequence, and the payload's number.

    `number` is 0 for what has none: READY, RESUMED.
    """

    shard: int
    sequence: int
    number: int
    replayed: bool


async def each_event(settings: ClientSettings, token: Secret, take: Callable[[Taken], Awaitable[object]]) -> None:
    """Run the shards until cancelled. An event counts as delivered once `take` has returned, and no sooner.

    Raises:
        GatewayError: no shard runs any more, or the store cannot be used.
    """
    client = Client(
        ShardConfig(
            token=token,
            intents=Intents.unprivileged(),
            # Every loss of a connection is planned here: a backoff would only make the demo wait.
            limits=Limits(stable=0.0),
            **compression_settings(settings.compress),
        ),
        store=settings.store,
        api=settings.api,
        dialer=AnyioDialer(ssl_context=ssl.create_default_context(cafile=settings.ca_file)),
    )
    events = client.events()
    async with client:
        await client.start_shards(settings.shards)
        async for event in events:
            found = Taken(event.shard_id, event.dispatch.sequence, _number(event.dispatch), event.replayed)
            await take(found)
            events.acknowledge()


class _Mark(msgspec.Struct):
    number: int = msgspec.field(name="_number", default=0)


def _number(event: Dispatch) -> int:
    with contextlib.suppress(EventDecodeError):
        return event.decode(_Mark).number
    return 0
