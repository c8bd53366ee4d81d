"""What a served gateway's clients did, line by line.

Each line is an object with `at` (seconds since the epoch) and `event`:

- identify: connection, session (its number, from 1), shard, intents, compress (that of the URL, or "payload");
- resume: connection, session, shard, sequence (that of the RESUME), replayed (how many events);
- refusal: connection and, of an IDENTIFY or RESUME, opcode, code (null: op 9), reason; of HTTP, status, method, path;
  of a socket too many, which is no connection (null), status (503, or null for none) and reason;
- unanswered: connection, opcode and request (its name) of what Discord would leave unanswered as well, and the reason;
- close: connection, session and shard (null without one), code, reason, by, sequence (the session's last one);
- end: a session that can be resumed no more: session, shard, cause, sequence;
- last: shard; its stream is done, or the gateway stops.

A session without a shard has [0, 1]. All but refusals and what is unanswered have `number`, the last number sent to the
shard so far. Tokens and session ids are in none.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from gateway_proto.server import (
    ConnectionClosed,
    ConnectionRefused,
    HttpAnswered,
    Identified,
    RequestUnanswered,
    ServerAction,
    SessionEnded,
    SessionRefused,
    SessionResumed,
    ShardInfo,
    Upgraded,
)
from gateway_proto.server.actions import UNSHARDED

from ..action_lines import named


class Journal:
    """Makes the lines.

    Args:
        write: is given each line.
        number: the last number sent to a shard.
    """

    def __init__(self, write: Callable[[dict[str, Any]], object], number: Callable[[ShardInfo], int]) -> None:
        self._write = write
        self._number = number
        self._compress: dict[int, str | None] = {}
        self._shards: dict[int, ShardInfo] = {}

    def on_action(self, action: ServerAction) -> None:
        """Write what is worth a line."""
        match action:
            case Upgraded():
                self._compress[action.connection_id] = action.compress
            case Identified():
                self._shards[action.number] = action.shard or UNSHARDED
                compress = self._compress.get(action.connection_id) or ("payload" if action.compress else None)
                self._session_line("identify", action, intents=action.intents, compress=compress)
            case SessionResumed():
                self._session_line("resume", action, sequence=action.sequence, replayed=action.replayed)
            case ConnectionRefused():
                self._line(
                    "refusal",
                    connection=None,
                    status=503 if action.answered else None,
                    reason=f"{action.limit} connections are open",
                )
            case SessionRefused():
                self._line(
                    "refusal",
                    connection=action.connection_id,
                    opcode=action.opcode,
                    code=action.code,
                    reason=action.reason,
                )
            case HttpAnswered() if action.status >= 400:
                self._line(
                    "refusal",
                    connection=action.connection_id,
                    status=action.status,
                    method=action.method,
                    path=action.path,
                )
            case RequestUnanswered():
                self._line(
                    "unanswered",
                    connection=action.connection_id,
                    opcode=action.opcode,
                    request=named(action.opcode),
                    reason=action.reason,
                )
            case ConnectionClosed():
                self._closed(action)
            case SessionEnded():
                shard = self._shards.pop(action.number, UNSHARDED)
                self._line(
                    "end",
                    session=action.number,
                    shard=shard,
                    cause=action.cause.value,
                    sequence=action.sequence,
                    number=self._number(shard),
                )

    def last(self, shard: ShardInfo, number: int) -> None:
        """Nothing more is sent to this shard."""
        self._line("last", shard=shard, number=number)

    def finish(self, numbers: Mapping[ShardInfo, int]) -> None:
        """Nothing more is sent to any shard."""
        for shard, number in numbers.items():
            self.last(shard, number)

    def _closed(self, action: ConnectionClosed) -> None:
        self._compress.pop(action.connection_id, None)
        shard = None if action.number is None else self._shards.get(action.number)
        self._line(
            "close",
            connection=action.connection_id,
            session=action.number,
            shard=shard,
            code=action.code,
            reason=action.reason,
            by=action.by,
            sequence=action.sequence,
            number=None if shard is None else self._number(shard),
        )

    def _session_line(self, event: str, action: Identified | SessionResumed, **more: Any) -> None:
        shard = action.shard or UNSHARDED
        self._line(
            event,
            connection=action.connection_id,
            session=action.number,
            shard=shard,
            **more,
            number=self._number(shard),
        )

    def _line(self, event: str, **fields: Any) -> None:
        self._write({"at": round(time.time(), 3), "event": event, **fields})
