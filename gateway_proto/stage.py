"""The stages of a shard and every legal step between them.

Everything that affects the stage lives here: a shard hands a `StageInput` to `StageMachine.apply` and nothing else
assigns a stage. The table is data; the diagram in the README is printed from it (`python -m gateway_proto.stage`),
and every pair of stage and input is either in `TRANSITIONS` or, with its reason, in `IGNORED`.
"""

from enum import Enum


class ConnectionStage(Enum):
    """Where a shard stands."""

    DISCONNECTED = "disconnected"
    CONNECTING = "connecting"
    HANDSHAKE = "handshake"
    IDENTIFYING = "identifying"
    RESUMING = "resuming"
    CONNECTED = "connected"

    def is_connecting(self) -> bool:
        """Between the dial and the session: neither connected nor disconnected."""
        return self not in (ConnectionStage.CONNECTED, ConnectionStage.DISCONNECTED)

    def __str__(self) -> str:
        return self.value


class StageInput(Enum):
    """What can move the stage."""

    DIAL = "dial"
    """A `Connect` action is handed out."""
    OPENED = "socket open"
    """The transport said `connection_made`."""
    IDENTIFY = "IDENTIFY queued"
    RESUME = "RESUME queued"
    READY = "READY"
    RESUMED = "RESUMED"
    LOST = "connection lost"
    """Any end: EOF, close frame, op 7 or 9, a timer, the caller's wish."""


_S = ConnectionStage
_I = StageInput

TRANSITIONS: dict[tuple[ConnectionStage, StageInput], ConnectionStage] = {
    (_S.DISCONNECTED, _I.DIAL): _S.CONNECTING,
    (_S.CONNECTING, _I.OPENED): _S.HANDSHAKE,
    (_S.CONNECTING, _I.LOST): _S.DISCONNECTED,
    (_S.HANDSHAKE, _I.IDENTIFY): _S.IDENTIFYING,
    (_S.HANDSHAKE, _I.RESUME): _S.RESUMING,
    (_S.HANDSHAKE, _I.LOST): _S.DISCONNECTED,
    (_S.IDENTIFYING, _I.READY): _S.CONNECTED,
    (_S.IDENTIFYING, _I.LOST): _S.DISCONNECTED,
    (_S.RESUMING, _I.READY): _S.CONNECTED,
    (_S.RESUMING, _I.RESUMED): _S.CONNECTED,
    (_S.RESUMING, _I.LOST): _S.DISCONNECTED,
    (_S.CONNECTED, _I.LOST): _S.DISCONNECTED,
}

_NO_SOCKET = "there is no socket: an input of an older generation"
_ONE_SOCKET = "there is a connection already"
_OPEN = "the socket is open already"
_BEFORE_HELLO = "before IDENTIFY or RESUME was queued: answered as a missing HELLO"
_SPENT = "IDENTIFY or RESUME was queued already on this connection"

IGNORED: dict[tuple[ConnectionStage, StageInput], str] = {
    (_S.DISCONNECTED, _I.OPENED): _NO_SOCKET,
    (_S.DISCONNECTED, _I.IDENTIFY): "no connection wants the permit: it is handed back",
    (_S.DISCONNECTED, _I.RESUME): "no connection to queue it on",
    (_S.DISCONNECTED, _I.READY): _NO_SOCKET,
    (_S.DISCONNECTED, _I.RESUMED): _NO_SOCKET,
    (_S.DISCONNECTED, _I.LOST): "nothing left to lose",
    (_S.CONNECTING, _I.DIAL): "the dial is under way",
    (_S.CONNECTING, _I.IDENTIFY): "the socket is not open: the permit is handed back",
    (_S.CONNECTING, _I.RESUME): "the socket is not open",
    (_S.CONNECTING, _I.READY): _NO_SOCKET,
    (_S.CONNECTING, _I.RESUMED): _NO_SOCKET,
    (_S.HANDSHAKE, _I.DIAL): _ONE_SOCKET,
    (_S.HANDSHAKE, _I.OPENED): _OPEN,
    (_S.HANDSHAKE, _I.READY): _BEFORE_HELLO,
    (_S.HANDSHAKE, _I.RESUMED): _BEFORE_HELLO,
    (_S.IDENTIFYING, _I.DIAL): _ONE_SOCKET,
    (_S.IDENTIFYING, _I.OPENED): _OPEN,
    (_S.IDENTIFYING, _I.IDENTIFY): _SPENT,
    (_S.IDENTIFYING, _I.RESUME): _SPENT,
    (_S.IDENTIFYING, _I.RESUMED): "nothing was asked to be resumed: a notice",
    (_S.RESUMING, _I.DIAL): _ONE_SOCKET,
    (_S.RESUMING, _I.OPENED): _OPEN,
    (_S.RESUMING, _I.IDENTIFY): _SPENT,
    (_S.RESUMING, _I.RESUME): _SPENT,
    (_S.CONNECTED, _I.DIAL): _ONE_SOCKET,
    (_S.CONNECTED, _I.OPENED): _OPEN,
    (_S.CONNECTED, _I.IDENTIFY): _SPENT,
    (_S.CONNECTED, _I.RESUME): _SPENT,
    (_S.CONNECTED, _I.READY): "a new session on the same connection; the stage stays",
    (_S.CONNECTED, _I.RESUMED): "an earlier RESUMED, replayed like any event; the stage stays",
}


class StageMachine:
    """Holds the one stage of a shard, and is the only writer of it."""

    __slots__ = ("stage",)

    def __init__(self) -> None:
        self.stage: ConnectionStage = ConnectionStage.DISCONNECTED

    def apply(self, step: StageInput) -> tuple[ConnectionStage, ConnectionStage] | None:
        """Take a step. Returns (old, new), or None where the table says that the input changes nothing."""
        old = self.stage
        new = TRANSITIONS.get((old, step))
        if new is None:
            return None
        self.stage = new
        return old, new


def diagram() -> str:
    """The table as text, one stage a block: what leaves it, and where to."""
    lines = []
    for stage in ConnectionStage:
        lines.append(stage.value)
        width = max(len(step.value) for (old, step) in TRANSITIONS if old is stage)
        lines += [
            f"    {step.value:<{width}} -> {new.value}" for (old, step), new in TRANSITIONS.items() if old is stage
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(diagram())
