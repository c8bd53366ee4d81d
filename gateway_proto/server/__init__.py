"""The other end of the wire: Discord's gateway as a machine without I/O, to test bots and clients against.

One `Server` stands for one application. Each socket that a listener accepts becomes a `ServerConnection`, which is
driven like every machine here: bytes and the time in, actions and bytes out.

    server = Server(ServerConfig(url="ws://127.0.0.1:8080"), rng=random.Random(1))

    connection = server.accept(clock())                      # a socket was accepted
    actions = connection.receive_data(data, clock())         # its bytes came, in any chunking
    actions = connection.receive_eof(clock())                # its end, or a reset
    actions = connection.handle_timeout(clock())             # at or after connection.next_timeout()
    for action in actions:
        match action:
            case Wake(connection_id=other):                  # another connection has something to say or to send:
                drivers[other].wake()                        # its handle_timeout if due, then its data_to_send
            case CloseSocket(abort=abort, grace=grace):      # always about this connection, and its last request
                ...                                          # write data_to_send (unless abort), then close
            case Identified(session_id=session_id):          # a report: start a stream of events, say
                wake(server.dispatch(session_id, "MESSAGE_CREATE", b'{"content":"hi"}', clock()))
    socket.send(connection.data_to_send(clock()))            # when the last bytes are written

`Server.dispatch`, `broadcast` and `inject` act on sessions and connections from outside; they return `Wake`s for the
drivers concerned, and `FaultFired` or `SessionEnded` where a dispatch caused one. Everything else that a connection has
to say, `CloseSocket` included, comes out of its own inputs.

With `ServerConfig(world=WorldConfig(guilds=100, members=50, seed=7))` the bot is in guilds that have something in them:

    event = server.world.next_event()                        # or begin_outage(guild_id), join, leave, happen, …
    wake(server.dispatch_world(event, clock()))              # to whom it concerns, before the next is drawn

READY lists the guilds of the shard, and GUILD_CREATEs follow as the client takes them; intents decide what a session
is told, and what it sees of it; requests for members, sounds and channel info are answered by the guilds. What Discord
would leave unanswered is, and `RequestUnanswered` says why.

How it stands toward the documentation, where that leaves a choice:

- Parameters of the upgrade are judged in band: a `v` other than 9 and 10 (or none) is closed with 4012, an encoding
  that is not json or an unknown `compress` with 4002. READY repeats the `v`; payloads are v10's in either case. A
  client may send JSON as TEXT or as BINARY.
- Every dispatch has a sequence and is replayed, READY and RESUMED too. A RESUME from before the replay buffer, of an
  unknown or an expired session, gets op 9 false; from a future sequence close code 4007, which ends the session. 4009
  is sent for an expired session only if `ServerConfig.expired_close` asks for it.
- A client's 1000 or 1001 ends its session; any other end keeps it for `session_lifetime`. A RESUME takes a session over
  from a connection that is still open, which is closed with 4000.
- An IDENTIFY too many (max_concurrency, session start limit) gets op 9 false, costs nothing and leaves the connection
  open. Heartbeats are acknowledged before IDENTIFY, too; a client silent for 1.75 intervals is closed with 4000.
- A broken WebSocket frame is closed with 1002, a TEXT that is not UTF-8 with 4002, like everything undecodable.
"""

from ..world import GuildWorld, WorldConfig, WorldEvent
from .actions import (
    CloseSocket,
    ConnectionClosed,
    ConnectionRefused,
    FaultFired,
    HttpAnswered,
    Identified,
    Received,
    RequestUnanswered,
    ServerAction,
    SessionEnd,
    SessionEnded,
    SessionRefused,
    SessionResumed,
    ShardInfo,
    Upgraded,
    Wake,
)
from .config import ServerConfig, ServerLimits
from .connection import ServerConnection
from .control import Control, ControlConnection
from .effects import (
    Effect,
    Outcome,
    SendEvent,
    Target,
    ToAll,
    ToConnection,
    ToNext,
    ToSession,
    ToShard,
    carry_out,
    sessions_of,
)
from .faults import (
    AskReconnect,
    AtSequence,
    Chunk,
    Close,
    Corrupt,
    DispatchFault,
    Drop,
    Fault,
    Fragment,
    Garbage,
    InvalidSession,
    LoseAcks,
    Mark,
    NoAnswer,
    NoHello,
    OnConnection,
    OnMessage,
    OnUpgrade,
    Planned,
    Refuse,
    Release,
    Repeat,
    RequestHeartbeat,
    SendText,
    SplitMessages,
    Stall,
    Swap,
    When,
    Withhold,
)
from .gates import StartLimitStatus
from .prepared import PreparedEvent
from .reading import FAULTS, read_event, read_fault, read_moment, read_target
from .script import AtSecond, Script, Step, read_script
from .sent import SentLog, SentMessage
from .server import Server
from .session import ServerSession

__all__ = [
    "FAULTS",
    "AskReconnect",
    "AtSecond",
    "AtSequence",
    "Chunk",
    "Close",
    "CloseSocket",
    "ConnectionClosed",
    "ConnectionRefused",
    "Control",
    "ControlConnection",
    "Corrupt",
    "DispatchFault",
    "Drop",
    "Effect",
    "Fault",
    "FaultFired",
    "Fragment",
    "Garbage",
    "GuildWorld",
    "HttpAnswered",
    "Identified",
    "InvalidSession",
    "LoseAcks",
    "Mark",
    "NoAnswer",
    "NoHello",
    "OnConnection",
    "OnMessage",
    "OnUpgrade",
    "Outcome",
    "Planned",
    "PreparedEvent",
    "Received",
    "Refuse",
    "Release",
    "Repeat",
    "RequestHeartbeat",
    "RequestUnanswered",
    "Script",
    "SendEvent",
    "SendText",
    "SentLog",
    "SentMessage",
    "Server",
    "ServerAction",
    "ServerConfig",
    "ServerConnection",
    "ServerLimits",
    "ServerSession",
    "SessionEnd",
    "SessionEnded",
    "SessionRefused",
    "SessionResumed",
    "ShardInfo",
    "SplitMessages",
    "Stall",
    "StartLimitStatus",
    "Step",
    "Swap",
    "Target",
    "ToAll",
    "ToConnection",
    "ToNext",
    "ToSession",
    "ToShard",
    "Upgraded",
    "Wake",
    "When",
    "Withhold",
    "WorldConfig",
    "WorldEvent",
    "carry_out",
    "read_event",
    "read_fault",
    "read_moment",
    "read_script",
    "read_target",
    "sessions_of",
]
