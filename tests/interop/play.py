"""One client against one gateway of its own: what the server reported, what the client saw, and asking both."""

import contextlib
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
)
from gateway_transports.serve import Gateway, serve

from . import payloads
from .clients import Client, Environment
from .driver import Driver, run_driver
from .log import Log, MissingError

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
    guild_ids=payloads.GUILD_IDS,
    # Short, so that several are seen; the tolerance leaves a busy machine time.
    heartbeat_interval=1.0,
    heartbeat_tolerance=8.0,
)


class CaseError(Exception):
    """A case does not hold; the text says what was otherwise."""


class Play:
    """A gateway and a driver at it. `actions` is everything that the server reported."""

    def __init__(self, gateway: Gateway, actions: Log[ServerAction], driver: Driver) -> None:
        self.gateway = gateway
        self.actions = actions
        self.driver = driver
        self._numbers = 0

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
        """A new session, which is sent its guilds at once."""
        identified = await self.reported(Identified, since=since)
        payloads.send_guilds(self.gateway, identified.session_id)
        return identified

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

    # -- messages --------------------------------------------------------------------------------------------------

    def send_messages(self, session_id: Secret, count: int) -> list[str]:
        """Dispatch so many messages; their contents, which go on where the last ones ended."""
        numbers = range(self._numbers, self._numbers + count)
        self._numbers += count
        for number in numbers:
            self.gateway.dispatch(session_id, "MESSAGE_CREATE", payloads.message(number, payloads.GUILD_IDS[0]))
        return [str(number) for number in numbers]

    async def check_messages(self, contents: list[str], since: int) -> None:
        """The client saw exactly these messages, in order; raises CaseError or MissingError."""
        await self.driver.lines.collect(
            "the client's messages", lambda line: line["saw"] == "message", len(contents), since=since
        )
        seen = [line["content"] for line in self.driver.lines.items[since:] if line["saw"] == "message"]
        if seen != contents:
            raise CaseError(f"saw {seen[:20]} instead of {contents[:20]}")

    @property
    def messages_sent(self) -> int:
        return self._numbers


@contextlib.asynccontextmanager
async def play(
    environment: Environment, client: Client, compress: str, config: ServerConfig = CONFIG, *, token: str = TOKEN
) -> AsyncIterator[Play]:
    """Serve a gateway, and run a client's driver against it."""
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
            intents=int(INTENTS),
            sharded=config.shards > 1,
        ) as driver:
            yield Play(gateway, actions, driver)
