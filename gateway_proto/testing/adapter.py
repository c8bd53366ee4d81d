"""What the harness needs of a client: the Protocol `ClientAdapter`, what its inputs return, and the one for `Shard`.

An adapter wraps a client of yours, or a transport of yours that has a client in it, so that somebody else can drive it:
bytes and the time in, bytes and what was delivered out. Nothing in it waits, and nothing in it opens a socket.
"""

import random
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol, TypeAlias

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

    It is the URL that the client was made with, or READY's `resume_gateway_url`, which has a host of its own here; the
    query may be left out. An earlier socket or dial of the same client is given up by it, as by a `HangUp`.
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

    Every event is to be reported, GUILD_MEMBERS_CHUNK and its like as well; READY and RESUMED may be, or not.
    `replayed` says that the user was told that it may have come before: so it may, once the client has sent a RESUME.
    """

    name: str
    data: bytes
    replayed: bool = False

    def __repr__(self) -> str:
        return f"Delivered(name={self.name!r}, data=<{len(self.data)} bytes>, replayed={self.replayed})"


class PermitWanted(msgspec.Struct, frozen=True):
    """Asks: call `permit_granted` when an IDENTIFY may be sent. For clients that wait for a queue; others need not.

    It may be asked for before there is a socket, and is granted even if the socket has gone meanwhile. Asking again
    before the grant asks for nothing more.
    """


Output: TypeAlias = Dial | HangUp | Delivered | PermitWanted
"""What an input may return. The order is the order in which it is acted upon."""
Outputs: TypeAlias = Iterable[Output] | None
"""What an input returns; None for nothing."""
_BYTES: Final = bytes | bytearray | memoryview
_WANTED: Final = "a list of outputs is wanted: Dial(url), HangUp(), Delivered(name, data) or PermitWanted()"


def outputs_of(method: Callable[..., Any], *args: Any) -> list[Output]:
    """Call an input of an adapter; None is no outputs.

    Raises:
        TypeError: it returned something else, which is a slip of the adapter and nothing that the client did.
        Exception: out of the client.
    """
    returned = method(*args)
    name = getattr(method, "__name__", "an input")
    if returned is None:
        return []
    if isinstance(returned, str | bytes | Output) or not isinstance(returned, Iterable):
        raise AdapterTypeError(f"{name} returned {_a(returned)}; {_WANTED}")
    outputs = list(returned)
    for output in outputs:
        _check_output(name, output)
    return outputs


class AdapterTypeError(TypeError):
    """An adapter returned what is no output. Nothing that a client did: so it is no `Finding`."""


def _check_output(name: str, output: Any) -> None:
    wrong = ""
    match output:
        case Dial(url) if not isinstance(url, str):
            wrong = f"a Dial whose url is {_a(url)}: a str is wanted"
        case HangUp(farewell) if not isinstance(farewell, _BYTES):
            wrong = f"a HangUp whose farewell is {_a(farewell)}: bytes are wanted"
        case Delivered(event) if not isinstance(event, str):
            wrong = f"a Delivered whose name is {_a(event)}: a str is wanted"
        case Delivered(_, data) if not isinstance(data, str | _BYTES):
            wrong = f"a Delivered whose data is {_a(data)}: the JSON of d is wanted, in bytes"
        case Dial() | HangUp() | Delivered() | PermitWanted():
            return
        case _:
            wrong = f"{_a(output)} among its outputs; {_WANTED}"
    if wrong:
        raise AdapterTypeError(f"{name} returned {wrong}")


def _a(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a value of type {type(value).__name__}"


def bytes_of(method: Callable[..., Any], now: float) -> bytes:
    """What `data_to_send` gives; None is nothing. Raises as `outputs_of` does."""
    data = method(now)
    if data is not None and not isinstance(data, _BYTES):
        raise AdapterTypeError(f"data_to_send returned {_a(data)}: bytes are wanted")
    return bytes(data or b"")


def due_of(method: Callable[..., Any]) -> float | None:
    """What `next_timeout` gives. Raises as `outputs_of` does."""
    due = method()
    if due is not None and (not isinstance(due, int | float) or due != due):
        raise AdapterTypeError(f"next_timeout returned {due!r}: seconds are wanted, or None for never")
    return due


class ClientAdapter(Protocol):
    """A client that a harness drives. Subclass it, for the two methods that need not be there.

    An input that has nothing to say may return None as well as an empty list.

    Every `now` is in seconds, on a clock that begins near 0 and never steps back. After each input the harness acts on
    what was returned, in order, and then writes `data_to_send`. An exception out of any method is a finding: bytes of
    the network raise nothing.
    """

    def connect(self, now: float) -> Outputs:
        """Start: called once, first of all. Returns a `Dial`."""

    def connection_made(self, now: float) -> Outputs:
        """The socket of the last `Dial` is open: the HTTP upgrade request is to be in `data_to_send`."""

    def connection_failed(self, now: float) -> Outputs:
        """The last `Dial` came to nothing. Dial again, at once or by a timer."""

    def receive_data(self, data: bytes, now: float) -> Outputs:
        """Bytes of the socket, at least one, in any chunking: from the HTTP answer on."""

    def receive_eof(self, now: float) -> Outputs:
        """The socket has ended, in order or not. It is gone: a `HangUp` is not needed."""

    def handle_timeout(self, now: float) -> Outputs:
        """The time that `next_timeout` named has come."""

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted, None for never. Changes nothing. What is past is due at once."""

    def data_to_send(self, now: float) -> bytes:
        """Take the bytes to write now, `b""` for none. What is taken counts as written at `now`."""

    def permit_granted(self, now: float) -> Outputs:
        """The answer to `PermitWanted`: one IDENTIFY may be sent."""
        return ()

    def send(self, opcode: int, data: Any, now: float) -> Outputs:
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
