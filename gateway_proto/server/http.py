"""The HTTP half of a connection, on h11: the WebSocket upgrade at `/`, beside it the `routes` that clients ask first.

They stand with or without `/api` or `/api/v10` before them. One request a connection: every answer but the
upgrade's says `Connection: close`. A header block is handed to h11 whole, since h11's own limit holds only for what is
not complete yet, so that the verdict would depend on the chunking. A body is read to its end before the answer, up to
`ServerLimits.max_body`: a client that is still writing would miss the answer if the socket were closed on it.
"""

import base64
import binascii
import math
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec
from wsproto.utilities import generate_accept_token

from ..close_codes import CloseCode
from ..http_head import END_OF_HEADER
from .application import CommandBook
from .config import ServerConfig
from .deflate import COMPRESSIONS
from .faults import Refuse
from .gates import StartLimitStatus
from .identify import Refusal
from .routes import Call, find

_ROOT: Final = ("", "/")
_UNAUTHORIZED: Final = 401
_TOO_LARGE: Final = 40005
"""Discord's own code for a request entity that is too large (Opcodes and Status Codes > JSON)."""
_BODILESS: Final = (204, 304)


class HttpRequest(NamedTuple):
    """A request as far as it matters here; header names are lower-case. `body` is None for one that is too large."""

    method: str
    path: str
    query: dict[str, str]
    version: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes | None = b""

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]

    def tokens(self, name: bytes) -> set[str]:
        """The comma-separated tokens of a header, in lower case."""
        joined = b",".join(self.values(name)).decode("latin-1")
        return {token.strip().lower() for token in joined.split(",")}


NO_REQUEST: Final = HttpRequest("", "", {}, b"", [])
"""What stands in a report for bytes that were no HTTP."""


class HttpResponse(NamedTuple):
    """An answer with a JSON body."""

    status: int
    body: Any
    headers: tuple[tuple[str, str], ...] = ()


class Upgrade(NamedTuple):
    """The socket becomes a WebSocket, of a `version` of the gateway; with a `refusal` it is closed with its code."""

    accept: bytes
    compress: str | None
    refusal: Refusal | None
    version: int


class HttpExchange:
    """One request and its answer.

    Args:
        max_request: the bound of the header block, in bytes.
        max_body: the bound of the body as it comes, chunk headers included.
        judge: may answer a request by its head alone; its body is not waited for then.
    """

    def __init__(
        self,
        max_request: int,
        max_body: int,
        judge: Callable[[HttpRequest], HttpResponse | None] = lambda request: None,
    ) -> None:
        self._limit = max_request
        self._max_body = max_body
        self._judge = judge
        self._searched = 0
        # Its own bound is on what is incomplete, so that a verdict would depend on the chunking; ours comes first.
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=max_request + max_body + 1)
        self._method = ""
        self._request: HttpRequest | None = None
        self._body = bytearray()
        self._body_fed = 0

    def next_request(self, inbox: bytearray) -> HttpRequest | HttpResponse | None:
        """Cut the request off `inbox`. None: it is not whole; a response: what answers one that is none.

        Behind a GET at `/` nothing is taken: what comes there are WebSocket frames.
        """
        if self._request is None:
            head = self._next_head(inbox)
            if not isinstance(head, HttpRequest):
                return head
            answer = self._judge(head)
            if answer is not None or (is_upgrade(head) and head.method == "GET"):
                return answer or head
            self._request = head
        return self._read_body(self._request, inbox)

    @property
    def wants_continue(self) -> bool:
        """The client sends its body only once it was told to (RFC 9110 section 10.1.1); then `go_on` tells it."""
        return self._request is not None and self._http.they_are_waiting_for_100_continue

    def go_on(self) -> bytes:
        """The bytes of the 100 answer."""
        return self._http.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")) or b""

    def _next_head(self, inbox: bytearray) -> HttpRequest | HttpResponse | None:
        end = END_OF_HEADER.search(inbox, self._searched, self._limit)
        if end is None:
            if len(inbox) >= self._limit:
                return _error(431, "Request Header Fields Too Large")
            # Three bytes of a separator may be here already.
            self._searched = max(0, len(inbox) - 3)
            return None
        header = bytes(inbox[: end.end()])
        del inbox[: end.end()]
        try:
            self._http.receive_data(header)
            request = self._http.next_event()
        except h11.RemoteProtocolError as error:
            return _error(error.error_status_hint, "Bad Request")
        if not isinstance(request, h11.Request):
            return _error(400, "Bad Request")
        self._method = request.method.decode()
        return self._parse(request)

    def _read_body(self, request: HttpRequest, inbox: bytearray) -> HttpRequest | HttpResponse | None:
        # h11 has judged the header: at most 20 digits.
        declared = request.values(b"content-length")
        if declared and int(declared[0]) > self._max_body:
            return request._replace(body=None)
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                return _error(error.error_status_hint, "Bad Request")
            if isinstance(event, h11.Data):
                self._body += event.data
            elif event is not h11.NEED_DATA:
                return request._replace(body=bytes(self._body))
            elif self._body_fed >= self._max_body:
                return request._replace(body=None)
            elif not inbox:
                return None
            else:
                part = bytes(inbox[: self._max_body - self._body_fed])
                del inbox[: len(part)]
                self._body_fed += len(part)
                self._http.receive_data(part)

    def _parse(self, request: h11.Request) -> HttpRequest | HttpResponse:
        try:
            target = urlsplit(request.target.decode("latin-1"))
            query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=100))
        except ValueError:
            return _error(400, "Bad Request")
        return HttpRequest(self._method, target.path, query, request.http_version, list(request.headers))

    def answer(self, response: HttpResponse) -> bytes:
        """The bytes of an answer, after which the socket is to be closed."""
        body = msgspec.json.encode(response.body)
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *response.headers,
        ]
        parts: list[h11.Event] = [h11.Response(status_code=response.status, headers=headers)]
        if self._method != "HEAD" and response.status not in _BODILESS:
            parts.append(h11.Data(data=body))
        parts.append(h11.EndOfMessage())
        return b"".join(self._http.send(part) or b"" for part in parts)

    def upgrade(self, request: HttpRequest, config: ServerConfig) -> Upgrade | HttpResponse:
        """Judge an upgrade request (RFC 6455 section 4.2.1), then Discord's parameters."""
        if self._http.next_event() is h11.NEED_DATA or request.version < b"1.1":
            return _error(400, "Bad Request")
        if "websocket" not in request.tokens(b"upgrade") or "upgrade" not in request.tokens(b"connection"):
            return _error(426, "Upgrade Required", ("Upgrade", "websocket"))
        versions, keys = request.values(b"sec-websocket-version"), request.values(b"sec-websocket-key")
        if len(versions) > 1:
            return _error(400, "Bad Request")
        if versions != [b"13"]:
            return _error(426, "Upgrade Required", ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"))
        if len(keys) != 1 or not _is_key(keys[0]):
            return _error(400, "Bad Request")
        compress = request.query.get("compress")
        refusal = _judge_parameters(request.query, config)
        version = config.api_version if refusal else int(request.query["v"])
        return Upgrade(generate_accept_token(keys[0]), None if refusal else compress, refusal, version)

    def switch(self, upgrade: Upgrade) -> bytes:
        """The bytes of the 101 answer."""
        response = h11.InformationalResponse(
            status_code=101,
            headers=[
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", upgrade.accept.decode()),
            ],
            reason=b"Switching Protocols",
        )
        return self._http.send(response)


def route(
    exchange: HttpExchange,
    request: HttpRequest,
    config: ServerConfig,
    limit: StartLimitStatus,
    commands: CommandBook,
    bot: Mapping[str, Any] | None = None,
) -> Upgrade | HttpResponse:
    """What to answer: the upgrade at /, what a route gives, and errors as Discord shapes them (401, 404, 405, 413)."""
    if not request.version.startswith(b"1."):
        return _error(505, "HTTP Version Not Supported")
    if is_upgrade(request):
        return exchange.upgrade(request, config) if request.method == "GET" else _not_allowed("GET")
    found = find(request.path, config)
    if found is None:
        return _error(404, "Not Found")
    route, ids = found
    answer = route.methods.get(request.method)
    if answer is None:
        return _not_allowed(", ".join(route.methods))
    if request.body is None:
        return HttpResponse(413, {"message": "Request entity too large", "code": _TOO_LARGE})
    if route.needs_token and not _is_authorized(request, config):
        return _error(_UNAUTHORIZED, "Unauthorized")
    return HttpResponse(*answer(Call(config, limit, commands, bot, request.body, ids)))


def is_upgrade(request: HttpRequest) -> bool:
    """It asks for the path of the WebSocket, rightly or not."""
    return request.path in _ROOT


def refuse(fault: Refuse) -> HttpResponse:
    """The answer that a fault asked for; a 429 has the body that Discord documents under "Rate Limits"."""
    wait = fault.retry_after
    headers = () if wait is None else (("Retry-After", str(math.ceil(wait))),)
    if fault.status == 429:
        body = {"message": "You are being rate limited.", "retry_after": wait or 0.0, "global": False}
        return HttpResponse(429, body, (*headers, *_limit_headers(wait or 0.0)))
    return HttpResponse(fault.status, {"message": f"{fault.status}: refused by a fault", "code": 0}, headers)


def _limit_headers(wait: float) -> tuple[tuple[str, str], ...]:
    return (
        # As all that comes from behind Discord's proxy; discord.py takes a 429 without it for a ban, and gives up.
        ("Via", "1.1 gateway-proto"),
        # nextcord reads these without asking. No bucket: its scope is the resource.
        ("X-RateLimit-Limit", "1"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset-After", f"{wait:g}"),
        ("X-RateLimit-Scope", "shared"),
    )


def request_timed_out() -> HttpResponse:
    """No whole request within the time."""
    return _error(408, "Request Timeout")


def _judge_parameters(query: dict[str, str], config: ServerConfig) -> Refusal | None:
    # Told in band and not by an HTTP status: every WebSocket library shows a close code and its reason.
    if query.get("v") not in config.api_versions:
        return Refusal(CloseCode.INVALID_API_VERSION, f"v must be {' or '.join(config.api_versions)}")
    if query.get("encoding", "json") != "json":
        return Refusal(CloseCode.DECODE_ERROR, "encoding must be json")
    if query.get("compress", COMPRESSIONS[0]) not in COMPRESSIONS:
        return Refusal(CloseCode.DECODE_ERROR, f"compress must be {' or '.join(COMPRESSIONS)}")
    return None


def _is_authorized(request: HttpRequest, config: ServerConfig) -> bool:
    values = request.values(b"authorization")
    scheme, _, token = values[0].decode("latin-1").partition(" ") if len(values) == 1 else ("", "", "")
    return scheme == "Bot" and bool(token) and (config.token is None or token == config.token.reveal())


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False


def _not_allowed(allowed: str) -> HttpResponse:
    return _error(405, "Method Not Allowed", ("Allow", allowed))


def _error(status: int, message: str, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, {"message": f"{status}: {message}", "code": 0}, headers)
