"""The server: its connections and its sessions."""

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ..errors import LocalProtocolError
from ..secret import Secret
from ..world import GuildWorld, WorldEvent
from .actions import ServerAction, ShardInfo, Wake
from .checked import is_int, require_kind, told
from .config import ServerConfig
from .connection import ServerConnection
from .faults import MAX_NEXT, DispatchFault, Fault, FaultPlan, OnUpgrade, Planned
from .gates import StartLimitStatus
from .population import Population
from .prepared import PreparedEvent
from .registry import Registry
from .session import ServerSession


class Server:
    """Discord's gateway for one application, without I/O.

    Sockets come in by `accept`; each connection is driven by itself. What is done here to a connection (`dispatch`,
    `broadcast`, `inject`) reaches its driver by `Wake`.

    Args:
        config: what the server stands for.
        rng: session ids are drawn from it. The same seed and inputs give the same bytes.
    """

    def __init__(self, config: ServerConfig, *, rng: random.Random) -> None:
        self.config = config
        self._plan = FaultPlan(config.plan)
        self._registry = Registry(config, rng, self._plan)
        self.world: GuildWorld | None = None
        """The guilds, if the config has a world. Dispatch each event of it before the next is drawn."""
        self._population: Population | None = None
        if config.world is not None:
            self.world = GuildWorld(
                config.world, user_id=config.user_id, username=config.username, application_id=config.application_id
            )
            self._population = Population(self.world, config, self._registry)
        self._connections: dict[int, ServerConnection] = {}
        self._accepted = 0

    @property
    def sessions(self) -> Mapping[Secret, ServerSession]:
        """The sessions that can be resumed or are served; an expired one stands here until somebody asks for it."""
        return MappingProxyType(self._registry.sessions)

    @property
    def connections(self) -> Mapping[int, ServerConnection]:
        """The connections that have not ended."""
        return MappingProxyType(self._connections)

    def start_limit(self, now: float) -> StartLimitStatus:
        """How many IDENTIFYs are left, and until when."""
        return self._registry.start_limit.status(now)

    def accept(self, now: float) -> ServerConnection:
        """A socket was accepted. Look at its `next_timeout()` at once: a planned fault may have struck already."""
        self._accepted += 1
        number = self._accepted
        connection = ServerConnection(
            number,
            self.config,
            self._registry,
            self._population,
            self._plan.on_connection(number),
            lambda id: self._connections.pop(id, None),
            now,
        )
        if not connection.has_ended:
            self._connections[number] = connection
        return connection

    def dispatch(self, session_id: Secret, name: str, data: bytes, now: float) -> list[ServerAction]:
        """Send an event to a session; without a connection it is kept for a RESUME.

        Args:
            name: the event's name, `t`.
            data: the JSON of `d`, which is put into the message as it is and not checked.

        A session that is gone takes nothing: that is a race and no mistake.
        """
        session = self._registry.sessions.get(session_id)
        return [] if session is None else self._registry.dispatch(session, name, data, now)

    def dispatch_prepared(
        self, session_id: Secret, events: Sequence[PreparedEvent], number: int, now: float
    ) -> list[ServerAction]:
        """Send a session events that were prepared, at a fraction of the cost: the first as this number, and so on."""
        session = self._registry.sessions.get(session_id)
        return [] if session is None else self._registry.dispatch_prepared(session, events, number, now)

    def dispatch_world(self, event: WorldEvent, now: float) -> list[ServerAction]:
        """Tell an event of `world` to each session whose shard and whose intents it concerns, as they let it be seen.

        A session that still waits for the guild's GUILD_CREATE is not told: that will show what has become of it.

        Raises:
            LocalProtocolError: the config has no world.
        """
        if self._population is None:
            raise LocalProtocolError("there is no world: set ServerConfig.world")
        return self._population.dispatch(event, now)

    def world_numbers(self) -> Mapping[ShardInfo, int]:
        """How many events of the world each shard was sent: the last `_number`, if they are numbered."""
        return MappingProxyType(self._population.numbers if self._population is not None else {})

    def broadcast(self, name: str, data: bytes, now: float) -> list[ServerAction]:
        """Send an event to every session."""
        # Not by `dispatch`: hashing each session's id would be an eighth of it.
        sessions = list(self._registry.sessions.values())
        return [action for session in sessions for action in self._registry.dispatch(session, name, data, now)]

    def inject(self, target: int | Secret, fault: Fault, now: float) -> list[ServerAction]:
        """Let a fault strike a connection (by its id), or a session: itself or the connection that serves it.

        What is gone suffers nothing. `FaultFired` comes from the connection, when the fault has taken hold.

        Raises:
            LocalProtocolError: it is no fault, or no target.
        """
        require_kind(fault, Fault, "a fault", LocalProtocolError)
        if not isinstance(target, Secret) and not is_int(target):
            raise LocalProtocolError(f"expected the id of a connection or a session, got {told(target)}")
        if isinstance(target, Secret):
            session = self._registry.sessions.get(target)
            if session is not None and isinstance(fault, DispatchFault):
                session.arm(fault)
                return []
            target = (session.connection_id if session is not None else None) or 0
        connection = self._connections.get(target)
        if connection is None or not connection.strike(fault, now):
            return []
        return [Wake(connection_id=target)]

    def plan(self, planned: Planned) -> None:
        """Add a line to the config's plan; a number that has been counted past already will not come again.

        Raises:
            LocalProtocolError: it is no `Planned`.
        """
        require_kind(planned, Planned, "a line of a plan", LocalProtocolError)
        self._plan.add(planned)

    def inject_next(self, fault: Fault, count: int = 1) -> None:
        """Let a fault strike each of the next `count` upgrade requests: the sockets on which clients come (back).

        Raises:
            LocalProtocolError: it is no fault, or `count` is not 1 to `MAX_NEXT`.
        """
        require_kind(fault, Fault, "a fault", LocalProtocolError)
        if not is_int(count) or not 1 <= count <= MAX_NEXT:
            raise LocalProtocolError(f"count must be an integer from 1 to {MAX_NEXT}")
        for number in range(1, count + 1):
            self.plan(Planned(when=OnUpgrade(self._plan.upgrades + number), fault=fault))
