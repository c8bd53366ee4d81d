"""The answer to the WebSocket upgrade.

Invariant: whatever bytes come back, in whatever chunks, `WebSocketClient` tells the same events: `Opened` and what the
frames behind the header say, or one `Refused` and then nothing. It is open exactly when `Opened` was told. A refusal
does not quote what came.

Permitted exceptions: none.
"""

import random

from wsproto.utilities import generate_accept_token

from gateway_proto.url import parse_gateway_url
from gateway_proto.websocket import Opened, Refused, WebSocketClient, WsEvent

from .source import Script, Source, chunk_sizes, cut

LIMIT = 1000


def client() -> WebSocketClient:
    return WebSocketClient(
        parse_gateway_url("wss://gateway.discord.gg"),
        {"v": "10"},
        user_agent="fuzz",
        rng=random.Random(1),
        max_message=LIMIT,
        max_response=LIMIT,
    )


def _accept_token() -> bytes:
    headers = dict(line.split(b": ", 1) for line in client().data_to_send().split(b"\r\n") if b": " in line)
    return generate_accept_token(headers[b"Sec-WebSocket-Key"])


ACCEPT = _accept_token()


def read(chunks: list[bytes]) -> tuple[list[WsEvent], bytes]:
    """The events, and what is to be written afterwards."""
    ws = client()
    request = ws.data_to_send()
    assert request.startswith(b"GET ")
    events = [event for chunk in chunks for event in ws.receive_data(chunk)]
    verdicts = [event for event in events if isinstance(event, Opened | Refused)]
    assert len(verdicts) <= 1
    assert not events or events[0] is verdicts[0]
    assert ws.is_open is (bool(verdicts) and isinstance(verdicts[0], Opened))
    if verdicts and isinstance(verdicts[0], Refused):
        assert len(events) == 1
        assert 0 < len(str(verdicts[0].error)) < 100, "what came is quoted"
    return events, ws.data_to_send()


def one_input(data: bytes) -> None:
    source = Source(data)
    sizes = chunk_sizes(source)
    # No mutation finds the token by itself.
    answer = source.rest().replace(b"$ACCEPT", ACCEPT)
    wanted = read([answer])
    assert read(cut(answer, sizes)) == wanted
    assert read(cut(answer, [1])) == wanted


def seeds() -> dict[str, bytes]:
    switching = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        b"Sec-WebSocket-Accept: $ACCEPT\r\n\r\n"
    )
    answers = {
        "accepted": switching + b"\x81\x09" + b'{"op":11}',
        "accepted-ping": switching + b"\x89\x01p\x88\x02\x0f\xa0",
        "early": b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + switching,
        "bare-newlines": switching.replace(b"\r\n", b"\n"),
        "wrong-token": switching.replace(b"$ACCEPT", b"AAAA"),
        "extension": switching.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
        "rate-limited": b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1.5\r\nContent-Length: 2\r\n\r\n{}",
        "bad-gateway": b"HTTP/1.0 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>",
        "no-http": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        "tls-alert": b"\x15\x03\x03\x00\x02\x02\x28\n\n",
        "quotable": b"what came instead of a status line, " * 9 + b"\n\n",
        "long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * LIMIT,
    }
    return {name: Script().byte(1, 3, 1).raw(answer).data for name, answer in answers.items()}
