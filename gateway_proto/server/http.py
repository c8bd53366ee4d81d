"""The HTTP half of a connection, on h11: the WebSocket upgrade at `/`, and GET /gateway and /gateway/bot beside it.

One request a connection: every answer but the upgrade's says `Connection: close`. A header block is handed to h11
whole, since h11's own limit holds only for what is not complete yet, so that the verdict would depend on the chunking.
"""

import base64
import binascii
import math
import re
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec
from wsproto.utilities import generate_accept_token

from ..close_codes import CloseCode
from ..http_head import END_OF_HEADER
from .config import ServerConfig
from .deflate import COMPRESSIONS
from .faults import Refuse
from .gates import StartLimitStatus
from .identify import Refusal

_ROUTE: Final = re.compile(r"(?:/api(?:/v(?P<version>\d{1,3}))?)?/gateway(?P<bot>/bot)?")
_UNAUTHORIZED: Final = 401
_BODILESS: Final = (204, 304)


class HttpRequest(NamedTuple):
    """A request as far as it matters here; header names are lower-case."""

    method: str
    path: str
    query: dict[str, str]
    version: bytes
    headers: list[tuple[bytes, bytes]]

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
    """The socket becomes a WebSocket; with a `refusal` it is closed with its code at once."""

    accept: bytes
    compress: str | None
    refusal: Refusal | None


class HttpExchange:
    """One request and its answer."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._searched = 0
        self._http = h11.Connection(h11.SERVER)
        self._method = ""
        self._body = bytearray()

    def next_request(self, inbox: bytearray) -> HttpRequest | HttpResponse | None:
        """Cut the request's header off `inbox`. None: it is not whole; a response: what answers one that is none."""
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

    def read_body(self, inbox: bytearray, limit: int) -> bytes | HttpResponse | None:
        """Take the request's body off `inbox`. None: it is not whole; a response: it is too large, or no HTTP."""
        data = bytes(inbox)
        inbox.clear()
        try:
            if data:
                self._http.receive_data(data)
            while isinstance(event := self._http.next_event(), h11.Data):
                self._body += event.data
                if len(self._body) > limit:
                    return _error(413, f"the body must not exceed {limit} bytes")
        except h11.RemoteProtocolError as error:
            return _error(error.error_status_hint, "the body is no HTTP")
        return bytes(self._body) if isinstance(event, h11.EndOfMessage) else None

    def go_on(self) -> bytes:
        """The bytes that a client waits for before it sends a large body (RFC 9110 section 10.1.1); mostly none."""
        if not self._http.they_are_waiting_for_100_continue:
            return b""
        return self._http.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def upgrade(self, request: HttpRequest, config: ServerConfig) -> Upgrade | HttpResponse:
        """Judge an upgrade request (RFC 6455 section 4.2.1), then Discord's parameters."""
        if self._http.next_event() is h11.NEED_DATA or request.version != b"1.1":
            return _error(400, "Bad Request")
        if "websocket" not in request.tokens(b"upgrade") or "upgrade" not in request.tokens(b"connection"):
            return _error(426, "Upgrade Required", ("Upgrade", "websocket"))
        if request.values(b"sec-websocket-version") != [b"13"]:
            return _error(426, "Upgrade Required", ("Sec-WebSocket-Version", "13"))
        keys = request.values(b"sec-websocket-key")
        if len(keys) != 1 or not _is_key(keys[0]):
            return _error(400, "Bad Request")
        compress = request.query.get("compress")
        refusal = _judge_parameters(request.query, config)
        return Upgrade(generate_accept_token(keys[0]), None if refusal else compress, refusal)

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
    exchange: HttpExchange, request: HttpRequest, config: ServerConfig, limit: StartLimitStatus
) -> Upgrade | HttpResponse:
    """What to answer: the upgrade at /, the two routes, 404 and 405 otherwise."""
    if is_upgrade(request):
        return exchange.upgrade(request, config) if request.method == "GET" else _not_allowed()
    match = _ROUTE.fullmatch(request.path)
    if match is None or match["version"] not in (None, str(config.api_version)):
        return _error(404, "Not Found")
    if request.method != "GET":
        return _not_allowed()
    if not match["bot"]:
        return HttpResponse(200, {"url": config.url})
    if not _is_authorized(request, config):
        return _error(_UNAUTHORIZED, "Unauthorized")
    start_limit = {
        "total": limit.total,
        "remaining": limit.remaining,
        "reset_after": math.ceil(limit.reset_after * 1000),
        "max_concurrency": config.max_concurrency,
    }
    return HttpResponse(200, {"url": config.url, "shards": config.shards, "session_start_limit": start_limit})


def is_upgrade(request: HttpRequest) -> bool:
    """It asks for the path of the WebSocket, rightly or not."""
    return request.path in ("", "/")


def refuse(fault: Refuse) -> HttpResponse:
    """The answer that a fault asked for; a 429 has the body that Discord documents under "Rate Limits"."""
    wait = fault.retry_after
    headers = () if wait is None else (("Retry-After", str(math.ceil(wait))),)
    if fault.status == 429:
        body = {"message": "You are being rate limited.", "retry_after": wait or 0.0, "global": False}
        return HttpResponse(429, body, headers)
    return HttpResponse(fault.status, {"message": f"{fault.status}: refused by a fault", "code": 0}, headers)


def request_timed_out() -> HttpResponse:
    """No whole request within the time."""
    return _error(408, "Request Timeout")


def _judge_parameters(query: dict[str, str], config: ServerConfig) -> Refusal | None:
    # Told in band and not by an HTTP status: every WebSocket library shows a close code and its reason.
    if query.get("v") != str(config.api_version):
        return Refusal(CloseCode.INVALID_API_VERSION, f"v must be {config.api_version}")
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


def _not_allowed() -> HttpResponse:
    return _error(405, "Method Not Allowed", ("Allow", "GET"))


def _error(status: int, message: str, *headers: tuple[str, str]) -> HttpResponse:
    return HttpResponse(status, {"message": f"{status}: {message}", "code": 0}, headers)
