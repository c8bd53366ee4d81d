"""For a program that drives a bare `WsClient` without a `Shard`: the five things that serenity's
`WebSocketGatewayClientExt` sends, made by the builders that `Shard` uses.

After each call send the client's `data_to_send()`. Nobody here keeps the send budget, the heartbeat or the ledger of
IDENTIFYs: that is what a `Shard` is for.
"""

from collections.abc import Iterable

from .commands import AnyPayload, Heartbeat, Identify, Resume, UpdatePresence, check_size, chunk_requests, encode
from .presence import CurrentPresence
from .websocket import WsClient


def send_heartbeat(ws: WsClient, sequence: int | None) -> None:
    """Op 1 with the last sequence, None before the first."""
    _send(ws, Heartbeat(sequence=sequence))


def send_identify(ws: WsClient, identify: Identify) -> None:
    """Op 2. Raises LocalProtocolError over 4096 bytes."""
    _send(ws, identify)


def send_resume(ws: WsClient, resume: Resume) -> None:
    """Op 6."""
    _send(ws, resume)


def send_presence_update(ws: WsClient, presence: CurrentPresence) -> None:
    """Op 3. Raises LocalProtocolError over 4096 bytes."""
    _send(ws, UpdatePresence(presence=presence))


def send_chunk_guilds(
    ws: WsClient, guild_ids: Iterable[int], *, limit: int = 0, query: str = "", presences: bool | None = None
) -> None:
    """Op 8 once for each guild."""
    for request in chunk_requests(guild_ids, limit, query, presences):
        _send(ws, request)


def _send(ws: WsClient, command: AnyPayload) -> None:
    payload = encode(command)
    check_size(payload)
    ws.send_message(payload)
