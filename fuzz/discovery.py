"""The answer to GET /gateway and /gateway/bot.

Invariant: whatever bytes come back, in whatever chunks, and whether or not the connection ends behind them, a
`Discovery` returns the same action, at most one in all, and is silent after it. The action does not print the token,
and a wait that it tells lies within its bound.

Permitted exceptions: none.
"""

from gateway_proto.discovery import Discovery, DiscoveryAction, DiscoveryFailed
from gateway_proto.http_head import MAX_RETRY_AFTER
from gateway_proto.secret import Secret

from .source import Script, Source, chunk_sizes, cut

TOKEN = "fuzz.token.never-printed"
LIMIT = 700


def read(chunks: list[bytes], *, bot: bool, eof: bool) -> DiscoveryAction | None:
    """What comes of an answer."""
    machine = Discovery(token=Secret(TOKEN) if bot else None, max_header=LIMIT, max_body=LIMIT)
    machine.connect(0.0)
    machine.connection_made(0.0)
    assert machine.data_to_send(0.0).startswith(b"GET ")
    actions = [action for chunk in chunks for action in machine.receive_data(chunk, 1.0)]
    if eof:
        actions += machine.receive_eof(1.0)
    if actions:
        assert machine.next_timeout() is None
        assert machine.receive_data(b"HTTP/1.1 200 OK\r\n\r\n", 2.0) == []
        assert machine.receive_eof(2.0) == []
        assert machine.handle_timeout(99.0) == []
    assert len(actions) <= 1
    return actions[0] if actions else None


def one_input(data: bytes) -> None:
    source = Source(data)
    manner, sizes = source.byte(), chunk_sizes(source)
    bot, eof = bool(manner & 1), bool(manner & 2)
    answer = source.rest()
    action = read([answer], bot=bot, eof=eof)
    assert read(cut(answer, sizes), bot=bot, eof=eof) == action
    assert read(cut(answer, [1]), bot=bot, eof=eof) == action
    assert not eof or action is not None, "the end came, and nothing was told"
    if TOKEN.encode() not in data:
        assert TOKEN not in repr(action)
    if isinstance(action, DiscoveryFailed) and action.error.retry_after is not None:
        assert 0 <= action.error.retry_after <= MAX_RETRY_AFTER


def seeds() -> dict[str, bytes]:
    body = (
        b'{"url":"wss://gateway.discord.gg","shards":9,"session_start_limit":'
        b'{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":16}}'
    )
    ok = b"HTTP/1.1 200 OK\r\n"
    chunks = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\nX: 1\r\n\r\n" % (body[:5], len(body) - 5, body[5:])
    limited = b'{"message":"You are being rate limited.","retry_after":64.57,"global":false}'
    answers = {
        "bot": ok + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        "gateway": ok + b'Content-Length: 34\r\n\r\n{"url":"wss://gateway.discord.gg"}',
        "chunked": ok + b"Transfer-Encoding: chunked\r\n\r\n" + chunks,
        "until-eof": b"HTTP/1.0 200 OK\r\n\r\n" + body,
        "early": b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok + b"Content-Length: 2\r\n\r\n{}",
        "unauthorized": b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        "limited": b"HTTP/1.1 429 Too Many\r\nRetry-After: 65\r\nContent-Length: %d\r\n\r\n" % len(limited) + limited,
        "bad-gateway": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<html>",
        "long-header": ok + b"X: " + b"y" * LIMIT,
        "long-body": ok + b"Content-Length: 701\r\n\r\n",
        "cut": ok + b"Content-Length: 50\r\n\r\n{",
        "no-http": b"\x15\x03\x03\x00\x02\x02\x28\n\n",
    }  # fmt: skip
    return {name: Script().byte(3, 0, 2).raw(answer).data for name, answer in answers.items()}
