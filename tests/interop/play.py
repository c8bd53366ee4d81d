"""One client against one gateway of its own: what the server reported, what the client saw, and asking both."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeVar

import msgspec

from gateway_proto import Secret
from gateway_proto.intents import Intents
from gateway_proto.opcodes import Opcode
from gateway_proto.server import (
    ConnectionClosed,
    Fault,
    Identified,
    Received,
    ServerAction,
    ServerConfig,
    ServerSession,
    WorldEvent,
)
from gateway_proto.world import GuildWorld
from gateway_transports.serve import Gateway, serve

from .clients import Client, Environment
from .driver import Driver, run_driver
from .log import Log, MissingError
from .world import SMALL, WORLD

A = TypeVar("A")
TOKEN: Final = "ODAzNTExMTAyMjQ2Nzg5MTI=.interop.of-nobody"
"""Begins with the user's id in base64, as every bot's does: hikari reads it there."""
WRONG_TOKEN: Final = "ODAzNTExMTAyMjQ2Nzg5MTI=.interop.of-somebody-else"
INTENTS: Final = (
    Intents.GUILDS
    | Intents.GUILD_MEMBERS
    | Intents.GUILD_VOICE_STATES
    | Intents.GUILD_MESSAGES
    | Intents.MESSAGE_CONTENT
)
CONFIG: Final = ServerConfig(
    token=Secret(TOKEN),
    world=WORLD,
    # With payload compression guilds are compressed and messages are not, so that no client's messages can overtake
    # each other (`Client.reorders`).
    payload_threshold=8192,
)


class CaseError(Exception):
    """A case does not hold; the text says what was otherwise."""


class Play:
    """A gateway and a driver at it. `actions` is everything that the server reported.

    `reorders`: events can overtake each other in the client. `messages` are (id, content) of all that were sent.
    """

    def __init__(
        self, gateway: Gateway, actions: Log[ServerAction], driver: Driver, client: Client, *, reorders: bool
    ) -> None:
        self.gateway = gateway
        self.actions = actions
        self.driver = driver
        self.client = client
        self.reorders = reorders
        self.messages: list[tuple[str, str]] = []

    @property
    def world(self) -> GuildWorld:
        """Its events must be told before the next happens: `tell` does."""
        world = self.gateway.server.world
        assert world is not None
        return world

    # -- the server ------------------------------------------------------------------------------------------------

    async def session(self) -> ServerSession:
        """The session that has a connection; raises MissingError."""
        for session in self.gateway.server.sessions.values():
            if session.connected:
                return session
        raise MissingError("no session has a connection")

    async def reported(
        self, kind: type[A], holds: Callable[[A], bool] = lambda action: True, *, since: int = 0, what: str = ""
    ) -> A:
        """The first such action from `since`; raises MissingError."""
        found = await self.actions.find(
            what or f"the server's {kind.__name__}",
            lambda action: isinstance(action, kind) and holds(action),
            since=since,
        )
        assert isinstance(found, kind)
        return found

    def count(self, kind: type[ServerAction], since: int) -> int:
        """How many such actions there are from `since`."""
        return sum(isinstance(action, kind) for action in self.actions.items[since:])

    async def identified(self, since: int = 0) -> Identified:
        """A new session; raises MissingError."""
        return await self.reported(Identified, since=since)

    async def request(self, opcode: Opcode, since: int, holds: Callable[[Any], bool] = lambda d: True) -> Any:
        """The `d` of the client's first such payload, which must not have been answered by a close."""
        received = await self.reported(
            Received,
            lambda action: action.opcode == opcode and holds(msgspec.json.decode(action.raw)),
            since=since,
            what=f"the client's op {opcode:d}",
        )
        self.check_open(since)
        return msgspec.json.decode(received.raw)

    def check_open(self, since: int) -> None:
        """No connection was closed from `since`; raises CaseError."""
        for action in self.actions.items[since:]:
            if isinstance(action, ConnectionClosed):
                raise CaseError(f"closed by the {action.by} with {action.code} {action.reason!r}")

    def inject(self, target: int | Secret, fault: Fault) -> None:
        self.gateway.inject(target, fault)

    # -- the world -------------------------------------------------------------------------------------------------

    def tell(self, event: WorldEvent | None) -> WorldEvent:
        """Tell what happened to whom it concerns; it must have happened."""
        assert event is not None
        self.gateway.dispatch_world(event)
        return event

    async def told_guilds(self, since: int) -> None:
        """The client has seen the guilds that a new session begins with; raises MissingError."""
        count = len(self.world.guild_ids)
        await self.driver.lines.collect(
            "GUILD_CREATE of each guild", lambda line: line.get("name") == "GUILD_CREATE", count, since=since
        )

    def send_messages(self, count: int) -> list[tuple[str, str]]:
        """So many messages are sent in a guild; (id, content) of each."""
        bodies = [msgspec.json.decode(self.tell(self.world.happen("MESSAGE_CREATE", SMALL)).data) for _ in range(count)]
        sent = [(body["id"], body["content"]) for body in bodies]
        self.messages += sent
        return sent

    async def check_messages(self, sent: list[tuple[str, str]], since: int, *, by_id: bool = False) -> None:
        """The client saw exactly these messages, in order; raises CaseError or MissingError.

        Args:
            by_id: whatever their content is.
        """
        await self.driver.lines.collect(
            "the client's messages", lambda line: line["saw"] == "message", len(sent), since=since
        )
        lines = [line for line in self.driver.lines.items[since:] if line["saw"] == "message"]
        seen = [(line["id"], line["content"]) for line in lines]
        for place, (one, other) in enumerate(itertools.zip_longest(seen, sent)):
            if one is None or other is None or one[: 2 - by_id] != other[: 2 - by_id]:
                raise CaseError(f"saw message {place + 1} as {one} instead of {other}")


@contextlib.asynccontextmanager
async def play(
    environment: Environment,
    client: Client,
    compress: str,
    config: ServerConfig = CONFIG,
    *,
    token: str = TOKEN,
    intents: Intents = INTENTS,
    chunk: bool = False,
) -> AsyncIterator[Play]:
    """Serve a gateway, and run a client's driver against it.

    Args:
        chunk: let the client ask for all members at its start, as it does by default. The cases ask themselves, and
            for each guild that may be done every 30 s.
    """
    actions: Log[ServerAction] = Log()
    async with serve(config, on_action=actions.add) as gateway:
        api = f"http{gateway.url.removeprefix('ws')}/api/v10"
        async with run_driver(
            environment,
            client,
            compress,
            api=api,
            gateway=gateway.url,
            token=token,
            intents=int(intents),
            sharded=config.shards > 1,
            chunk=chunk,
        ) as driver:
            yield Play(gateway, actions, driver, client, reorders=compress in client.reorders)
