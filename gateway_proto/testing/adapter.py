"""What the harness needs of a client: the Protocol `ClientAdapter`, what its inputs return, and the one for `Shard`.

An adapter wraps a client of yours, or a transport of yours that has a client in it, so that somebody else can drive it:
bytes and the time in, bytes and what was delivered out. Nothing in it waits, and nothing in it opens a socket.
"""

import random
from collections.abc import Iterable
from typing import Any, Protocol, TypeAlias

import msgspec

from .. import (
    Connect,
    Disconnect,
    Dispatch,
    IdentifyPermit,
    IdentifyWanted,
    Intents,
    LocalProtocolError,
    RawCommand,
    Secret,
    Shard,
    ShardAction,
    ShardConfig,
)


class Dial(msgspec.Struct, frozen=True):
    """Asks: open a socket to this WebSocket URL; `connection_made` or `connection_failed` answers.

    An earlier socket, or an earlier dial, of the same client is given up by it, as by a `HangUp`.
    """

    url: str


class HangUp(msgspec.Struct, frozen=True):
    """Asks: write `data_to_send` and `farewell`, then end the socket; or cancel the dial.

    Nothing of this socket is handed to the client any more, its end neither.
    """

    farewell: bytes = b""

    def __repr__(self) -> str:
        return f"HangUp(farewell=<{len(self.farewell)} bytes>)"


class Delivered(msgspec.Struct, frozen=True):
    """Reports: the client's user got an event. `data` is the JSON of `d`, in any spelling.

    `replayed` says that the user was told that it may have come before. READY and RESUMED may be reported or not.
    """

    name: str
    data: bytes
    replayed: bool = False

    def __repr__(self) -> str:
        return f"Delivered(name={self.name!r}, data=<{len(self.data)} bytes>, replayed={self.replayed})"


class PermitWanted(msgspec.Struct, frozen=True):
    """Asks: call `permit_granted` when an IDENTIFY may be sent. For clients that wait for a queue; others need not."""


Output: TypeAlias = Dial | HangUp | Delivered | PermitWanted
"""What an input may return. The order is the order in which it is acted upon."""


class ClientAdapter(Protocol):
    """A client that a harness drives. Subclass it, for the two methods that need not be there.

    Every `now` is in seconds, on a clock that begins near 0 and never steps back. After each input the harness acts on
    what was returned, in order, and then writes `data_to_send`. An exception out of any method is a finding: bytes of
    the network raise nothing.
    """

    def connect(self, now: float) -> Iterable[Output]:
        """Start: called once, first of all. Returns a `Dial`."""

    def connection_made(self, now: float) -> Iterable[Output]:
        """The socket of the last `Dial` is open: the HTTP upgrade request is to be in `data_to_send`."""

    def connection_failed(self, now: float) -> Iterable[Output]:
        """The last `Dial` came to nothing. Dial again, at once or by a timer."""

    def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
        """Bytes of the socket, at least one, in any chunking: from the HTTP answer on."""

    def receive_eof(self, now: float) -> Iterable[Output]:
        """The socket has ended, in order or not. It is gone: a `HangUp` is not needed."""

    def handle_timeout(self, now: float) -> Iterable[Output]:
        """The time that `next_timeout` named has come."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted, None for never. Changes nothing. What is past is due at once."""

    def data_to_send(self, now: float) -> bytes:
        """Take the bytes to write now, `b""` for none. What is taken counts as written at `now`."""

    def permit_granted(self, now: float) -> Iterable[Output]:
        """The answer to `PermitWanted`: one IDENTIFY may be sent."""
        return ()

    def send(self, opcode: int, data: Any, now: float) -> Iterable[Output]:
        """The client's user asks for a command: `data` is its `d` as plain objects.

        When it goes out, and whether, is the client's to say: one that refuses it returns nothing. That it keeps within
        120 payloads a minute is judged. A client without commands leaves this out.
        """
        return ()


class ShardAdapter(ClientAdapter):
    """This engine's own `Shard` behind the Protocol, for its own tests and as the example of an adapter.

    Args:
        url: of the gateway.
        rng: the shard's.
        config: more settings of its `ShardConfig`.
    """

    def __init__(self, url: str, rng: random.Random, **config: Any) -> None:
        settings: dict[str, Any] = {"token": Secret("a.test.token"), "intents": Intents.GUILD_MESSAGES, **config}
        self.shard: Shard = Shard(ShardConfig(url=url, auto_deliver=True, **settings), rng=rng)
        self._generation = 0
        self._permit: IdentifyPermit | None = None

    def connect(self, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.connect(now))

    def connection_made(self, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.connection_made(self._generation, now))

    def connection_failed(self, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.connection_failed(self._generation, "refused", now))

    def receive_data(self, data: bytes, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.receive_data(self._generation, data, now))

    def receive_eof(self, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.receive_eof(self._generation, now))

    def handle_timeout(self, now: float) -> Iterable[Output]:
        return self._outputs(self.shard.handle_timeout(now))

    def next_timeout(self) -> float | None:
        return self.shard.next_timeout()

    def data_to_send(self, now: float) -> bytes:
        return self.shard.data_to_send(now)

    def permit_granted(self, now: float) -> Iterable[Output]:
        return () if self._permit is None else self._outputs(self.shard.identify(self._permit, now))

    def send(self, opcode: int, data: Any, now: float) -> Iterable[Output]:
        try:
            return self._outputs(self.shard.send(RawCommand.of(opcode, data), now))
        except LocalProtocolError:
            return ()  # its queue is full

    def _outputs(self, actions: list[ShardAction]) -> Iterable[Output]:
        for action in actions:
            match action:
                case Connect(generation=generation, url=url):
                    self._generation = generation
                    yield Dial(url.reveal())
                case Disconnect(farewell=farewell):
                    yield HangUp(farewell)
                case IdentifyWanted():
                    self._permit = action.permit()
                    yield PermitWanted()
                case Dispatch(name=name, raw=raw, replayed=replayed):
                    yield Delivered(name, bytes(raw), replayed)
