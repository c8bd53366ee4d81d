"""What a server reported, in words: for the message of a test that waited in vain."""

from collections.abc import Iterable
from typing import Final

from gateway_proto import Opcode
from gateway_proto.server import (
    ConnectionClosed,
    ConnectionRefused,
    FaultFired,
    HttpAnswered,
    Identified,
    Received,
    RequestUnanswered,
    ServerAction,
    SessionEnded,
    SessionRefused,
    SessionResumed,
    ShardInfo,
    Upgraded,
)

_NAMES: Final[dict[int, str]] = {opcode.value: opcode.name for opcode in Opcode}
LAST: Final = 8
"""So many happenings are told."""


def summary(actions: Iterable[ServerAction], last: int = LAST) -> str:
    """The last of them on one line, without secrets; repetitions are counted."""
    told: list[list[str]] = []
    for line in filter(None, map(describe, actions)):
        if told and told[-1][0] == line:
            told[-1].append(line)
        else:
            told.append([line])
    if not told:
        return "nobody has connected"
    shown = [lines[0] if len(lines) == 1 else f"{lines[0]} (x{len(lines)})" for lines in told[-last:]]
    return "; ".join((["…"] if len(told) > last else []) + shown)


def describe(action: ServerAction) -> str:
    """One report in words; "" for what asks for something."""
    match action:
        case ConnectionRefused(limit=limit):
            return f"a connection was refused: {limit} are open"
        case Upgraded(connection_id=id):
            return f"connection {id} opened"
        case HttpAnswered(connection_id=id, method=method, path=path, status=status):
            return f"{method} {path} was answered with {status}" if method else f"connection {id} got HTTP {status}"
        case Received(connection_id=id, opcode=opcode):
            return f"connection {id} sent {named(opcode)}"
        case Identified(number=number, shard=shard):
            return f"session {number} began ({_shard(shard)})"
        case SessionResumed(number=number, sequence=sequence):
            return f"session {number} was resumed from sequence {sequence}"
        case SessionRefused(connection_id=id, opcode=opcode, code=code, reason=reason):
            answer = "op 9" if code is None else str(code)
            return f"the {named(opcode)} of connection {id} was refused with {answer}: {reason}"
        case RequestUnanswered(connection_id=id, opcode=opcode, reason=reason):
            return f"the {named(opcode)} of {_connection(id)} was left unanswered: {reason}"
        case SessionEnded(number=number, cause=cause):
            return f"session {number} ended: {cause.value}"
        case ConnectionClosed(connection_id=id, code=code, reason=reason, by=by):
            how = "without a close frame" if code is None else f"with {code}"
            return f"the {by} ended connection {id} {how}{f' ({reason})' if reason else ''}"
        case FaultFired(connection_id=id, fault=fault):
            return f"{type(fault).__name__} struck {_connection(id)}"
    return ""


def named(opcode: int) -> str:
    """An opcode in words."""
    return _NAMES.get(opcode, f"op {opcode}")


def _connection(id: int | None) -> str:
    return "a session" if id is None else f"connection {id}"


def _shard(shard: ShardInfo | None) -> str:
    index, total = shard or (0, 1)
    return f"shard {index} of {total}"
