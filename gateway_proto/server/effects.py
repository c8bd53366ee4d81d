"""What can be done to a server's clients from outside, and to which: an `Effect` on a `Target`.

A control API, a script and a test say it in the same words; `reading` takes them from JSON and TOML.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ..errors import LocalProtocolError, require
from ..secret import Secret
from .actions import ServerAction
from .checked import Checked, require_kind
from .faults import MAX_NEXT, DispatchFault, Fault, NoHello, Refuse
from .server import Server
from .session import ServerSession


class ToAll(Checked, frozen=True):
    """Every session; a fault of the socket strikes every connection, whether it serves a session or not."""


class ToShard(Checked, frozen=True):
    """The sessions of a shard, of whatever total if None. One that identified without a shard is shard 0 of 1."""

    id: int
    total: int | None = None


class ToSession(Checked, frozen=True):
    """A session, by its number (from 1, in the order of IDENTIFYs granted) or by its id."""

    session: int | Secret


class ToConnection(Checked, frozen=True):
    """A connection, by its number (from 1, in the order of sockets accepted); an event goes to its session."""

    id: int


class ToNext(Checked, frozen=True):
    """The next `count` connections that ask for the upgrade. For faults only."""

    count: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.count <= MAX_NEXT, f"count must be 1 to {MAX_NEXT}")


Target: TypeAlias = ToAll | ToShard | ToSession | ToConnection | ToNext


class SendEvent(Checked, frozen=True):
    """Dispatch an event to the target's sessions. `data` is the JSON of `d`, which is not checked."""

    name: str
    data: bytes

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.name != "", "name must be that of an event, like MESSAGE_CREATE")

    def __repr__(self) -> str:
        return f"SendEvent(name={self.name!r}, data=<{len(self.data)} bytes>)"


Effect: TypeAlias = SendEvent | Fault


class Outcome(NamedTuple):
    """What came of an effect. `reached` are the sessions or connections that it took hold of, or lies in wait for.

    The actions are for the driver: each `Wake` for the connection that it names.
    """

    reached: int
    actions: list[ServerAction]


def carry_out(server: Server, effect: Effect, target: Target, now: float) -> Outcome:
    """Do it. What is gone, closing, or past what the fault waits for, is not reached.

    Raises:
        LocalProtocolError: it is no effect or no target, like the class in place of one; nothing was done.
    """
    require_kind(effect, Effect, "a fault or an event", LocalProtocolError)
    require_kind(target, Target, "a target like ToAll() or ToShard(0)", LocalProtocolError)
    if isinstance(effect, SendEvent):
        if isinstance(target, ToNext):
            raise LocalProtocolError("ToNext is for faults; an event goes to a shard, a session, a connection or all")
        return _send(server, effect, target, now)
    if isinstance(target, ToNext):
        server.inject_next(effect, target.count)
        return Outcome(target.count, [])
    outcome = Outcome(0, [])
    for aim in list(_aims(server, effect, target)):
        struck = server.inject(aim, effect, now)
        if struck or isinstance(effect, DispatchFault):
            outcome = Outcome(outcome.reached + 1, outcome.actions + struck)
    return outcome


def sessions_of(server: Server, target: Target) -> list[ServerSession]:
    """The sessions that a target means, in the order of their numbers."""
    return [session for session in server.sessions.values() if _is_meant(session, target)]


def _send(server: Server, event: SendEvent, target: Target, now: float) -> Outcome:
    outcome = Outcome(0, [])
    for session in sessions_of(server, target):
        actions = server.dispatch(session.id, event.name, event.data, now)
        is_there = session.id in server.sessions  # not if it turned out to have expired
        outcome = Outcome(outcome.reached + is_there, outcome.actions + actions)
    return outcome


def _aims(server: Server, fault: Fault, target: Target) -> Iterator[int | Secret]:
    """What `Server.inject` takes."""
    if isinstance(fault, Refuse | NoHello):
        # Of effect before the upgrade only, so on nothing that serves a session.
        yield from (id for id in _connections(server, target) if not server.connections[id].is_open)
    elif isinstance(target, ToConnection) or (isinstance(target, ToAll) and not isinstance(fault, DispatchFault)):
        yield from _connections(server, target)
    else:
        for session in sessions_of(server, target):
            yield session.id


def _connections(server: Server, target: Target) -> list[int]:
    """The connections that a target means by themselves."""
    if isinstance(target, ToConnection):
        return [target.id] if target.id in server.connections else []
    return list(server.connections) if isinstance(target, ToAll) else []


def _is_meant(session: ServerSession, target: Target) -> bool:
    match target:
        case ToAll():
            return True
        case ToShard(id, total):
            shard = session.shard or (0, 1)
            return shard[0] == id and total in (None, shard[1])
        case ToSession(named):
            return named in (session.number, session.id)
        case ToConnection(id):
            return session.connection_id == id
        case ToNext():
            return False
