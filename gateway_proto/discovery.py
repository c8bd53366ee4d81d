"""Asking Discord where to connect and with how many shards: GET /gateway and /gateway/bot over HTTP/1.1, as a machine.

Request bytes come out, the answer's bytes go in; the result is one action, `GatewayFound` or `DiscoveryFailed`
(Discord: Gateway > Get Gateway, Get Gateway Bot). One `Discovery` is one exchange on one connection; to ask again,
make another.

h11 parses. Its own limit holds only for what is not complete yet, so that whether a header is too long would depend on
how the bytes were cut: here a header block is handed to it whole, and both bounds are counted on the bytes as they
came. The answer is the same for every chunking.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import h11
import msgspec

from .codec import DECODE_ERRORS
from .config import USER_AGENT, check_token, check_user_agent
from .errors import BuildingUrlError, GatewayError
from .http_head import END_OF_HEADER, MAX_RETRY_AFTER, retry_after_waits
from .secret import Secret
from .url import GatewayUrl, parse_gateway_url

DEFAULT_API: Final = "https://discord.com/api/v10"
TIMEOUT: Final = 10.0
"""Seconds from the dial to the whole answer."""
MAX_HEADER: Final = 16 * 2**10
"""Bytes of the answer's header; Discord's has about 1 KiB."""
MAX_BODY: Final = 64 * 2**10
"""Bytes behind the header, with their transfer coding; Discord sends about 200."""
MAX_SHARDS: Final = 2**20
"""Far beyond the largest bot; a count above it is an error, not advice. It bounds max_concurrency too."""
MAX_RESET_AFTER: Final = 7 * 86400.0
"""Seconds. The limit is the day's; one that resets later than in a week is none."""

_WEBSOCKET_SCHEMES: Final = {"https": "wss", "http": "ws"}


class DiscoveryError(GatewayError):
    """The base of what can go wrong here.

    `retry_after` is the wait in seconds (at most an hour) that the peer asked for, None where it did not: then the
    caller's own backoff decides. Where `retryable` is false, asking again gives the same answer.
    """

    retryable = True

    def __init__(self, detail: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(detail)


class UnauthorizedError(DiscoveryError):
    """401: the token is none of a bot."""

    retryable = False

    def __init__(self) -> None:
        super().__init__(
            "Discord refused the token (HTTP 401); "
            "use the bot token of the developer portal's Bot page, not a client secret or a user's token"
        )


class RateLimitedError(DiscoveryError):
    """429: asked too often. Sleep for `retry_after` if it is there."""

    def __init__(self, retry_after: float | None = None) -> None:
        wait = "" if retry_after is None else f"; ask again in {retry_after:g} s"
        super().__init__(f"Discord limits the rate of requests (HTTP 429){wait}", retry_after)


class UnexpectedStatusError(DiscoveryError):
    """Any other status than 200."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        self.status = status
        super().__init__(f"the API answered with HTTP {status}", retry_after)


class ServerFaultError(UnexpectedStatusError):
    """5xx: the API has a fault of its own."""


class MalformedAnswerError(DiscoveryError):
    """Not HTTP, not JSON, or not the documented fields."""


class AnswerTooLargeError(DiscoveryError):
    """The answer's header or body exceeds its bound."""

    def __init__(self, what: str, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the answer's {what} exceeds {limit} bytes")


class AnswerIncompleteError(DiscoveryError):
    """The connection ended in the middle of the answer, or before it."""

    def __init__(self) -> None:
        super().__init__("the connection ended before the whole answer had come")


class DiscoveryTimeoutError(DiscoveryError):
    """No whole answer within the time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"no whole answer within {seconds:g} s")


class UnreachableError(DiscoveryError):
    """The dial failed; the text is the transport's."""


class SessionStartLimit(msgspec.Struct, frozen=True, kw_only=True):
    """How many sessions may be started (Discord: Gateway > Session Start Limit Object).

    `reset_after` is in seconds (Discord says milliseconds).
    """

    total: int
    remaining: int
    reset_after: float
    max_concurrency: int


class GatewayInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. `shards` (recommended) and `session_start_limit` are None when no token was given."""

    url: str
    shards: int | None = None
    session_start_limit: SessionStartLimit | None = None


class GatewayFound(msgspec.Struct, frozen=True):
    """Reports: the answer is here. Nothing more is wanted of the connection: close it."""

    info: GatewayInfo


class DiscoveryFailed(msgspec.Struct, frozen=True):
    """Reports: there will be no answer. Close the connection."""

    error: DiscoveryError


DiscoveryAction: TypeAlias = GatewayFound | DiscoveryFailed


class Endpoint(NamedTuple):
    """Where to open a socket; TLS, verified, if `tls`."""

    host: str
    port: int
    tls: bool


class Discovery:
    """One GET of /gateway/bot, or without a token of /gateway.

    Dial `endpoint`, say `connection_made` (or `connection_failed`), send `data_to_send()`, feed what comes. The inputs
    return at most one action in all; after it, and before `connection_made`, they change nothing.

    Inputs: `connect`, `connection_made`, `connection_failed`, `receive_data`, `receive_eof`, `handle_timeout`.
    Drain: `data_to_send`. Getters: `endpoint`, `next_timeout`.

    Args:
        token: the bot's token, without the prefix "Bot ".
        base: the API's base URL; http only for an API without TLS, such as an embedded gateway's.
        user_agent: "DiscordBot ($url, $versionNumber)" is what Discord asks for (API Reference > User Agent).
        timeout: seconds from the dial to the whole answer.
        max_header, max_body: bytes.

    Raises:
        InvalidConfigError: the token or the user agent cannot stand in a header.
        BuildingUrlError: `base` cannot be dialled.
    """

    def __init__(
        self,
        *,
        token: Secret | None = None,
        base: str = DEFAULT_API,
        user_agent: str = USER_AGENT,
        timeout: float = TIMEOUT,
        max_header: int = MAX_HEADER,
        max_body: int = MAX_BODY,
    ) -> None:
        url = _parse_base(base)
        self.endpoint: Endpoint = Endpoint(url.host, url.port, url.tls)
        self._bot = token is not None
        # No limit of h11's own may come before ours, which do not depend on the chunking.
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_header + max_body)
        self._request = self._write_request(url, token, user_agent)
        self._timeout = timeout
        self._max_header, self._max_body = max_header, max_body
        self._header_left, self._body_left = max_header, max_body
        self._deadline: float | None = None
        self._outgoing = b""
        self._open = False
        self._over = False
        self._header = bytearray()
        self._response: h11.Response | None = None
        self._body = bytearray()

    def _write_request(self, url: GatewayUrl, token: Secret | None, user_agent: str) -> bytes:
        check_user_agent(user_agent)
        headers = [
            ("Host", url.host_header),
            ("User-Agent", user_agent),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        if token is not None:
            check_token(token)
            headers.append(("Authorization", f"Bot {token.reveal()}"))
        target = f"{url.path.rstrip('/')}/gateway{'/bot' if token is not None else ''}"
        request = h11.Request(method="GET", target=target, headers=headers)
        return (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    def connect(self, now: float) -> list[DiscoveryAction]:
        """The dial begins, and with it the time. Without this it begins at `connection_made`."""
        if self._deadline is None and not self._over:
            self._deadline = now + self._timeout
        return []

    def connection_made(self, now: float) -> list[DiscoveryAction]:
        """The socket is open: the request is now in `data_to_send()`."""
        if self._over or self._open:
            return []
        self._open = True
        self._outgoing = self._request
        return self.connect(now)

    def connection_failed(self, error: Exception | str, now: float) -> list[DiscoveryAction]:
        """The socket could not be opened."""
        line = " ".join(str(error).split()) or type(error).__name__
        return [] if self._over or self._open else self._fail(UnreachableError(line[:200]))

    def receive_data(self, data: bytes, now: float) -> list[DiscoveryAction]:
        """Bytes of the answer, in any chunking."""
        if self._over or not self._open:
            return []
        if self._response is not None:
            return self._receive_body(data)
        # The end of a header may lie across two chunks: three bytes at most.
        searched = max(0, len(self._header) - 2)
        self._header += data
        return self._receive_header(searched)

    def receive_eof(self, now: float) -> list[DiscoveryAction]:
        """End of stream or reset: the end of the answer too, where nothing else says how long it is."""
        if self._over or not self._open:
            return []
        return self._parse(b"") if self._response is not None else self._fail(AnswerIncompleteError())

    def handle_timeout(self, now: float) -> list[DiscoveryAction]:
        """Call at or after `next_timeout()`; earlier is no harm."""
        if self._over or self._deadline is None or now < self._deadline:
            return []
        return self._fail(DiscoveryTimeoutError(self._timeout))

    def next_timeout(self) -> float | None:
        """When `handle_timeout` is wanted, or None."""
        return self._deadline

    def data_to_send(self, now: float | None = None) -> bytes:
        """Take the bytes to send. `now` is the common shape's; nothing here depends on it."""
        data, self._outgoing = self._outgoing, b""
        return data

    def _receive_header(self, searched: int) -> list[DiscoveryAction]:
        while self._response is None:
            end = END_OF_HEADER.search(self._header, searched, self._header_left)
            if end is None:
                if len(self._header) < self._header_left:
                    return []
                return self._fail(AnswerTooLargeError("header", self._max_header))
            block = bytes(self._header[: end.end()])
            del self._header[: end.end()]
            self._header_left -= len(block)
            searched = 0
            try:
                self._http.receive_data(block)
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return self._fail(MalformedAnswerError("the answer is not HTTP"))
            if isinstance(event, h11.Response):
                self._response = event
        return self._judge_header(self._response) or self._receive_body(bytes(self._header))

    def _judge_header(self, response: h11.Response) -> list[DiscoveryAction]:
        if response.status_code not in (200, 429):
            return self._fail(self._refusal(response))  # no body changes what this status says
        if any(int(length) > self._max_body for length in _values(response, b"content-length")):
            return self._fail(AnswerTooLargeError("body", self._max_body))
        return []

    def _receive_body(self, data: bytes) -> list[DiscoveryAction]:
        taken = data[: self._body_left]
        self._body_left -= len(taken)
        # An empty chunk would be an end of stream to h11.
        actions = self._parse(taken) if taken else self._drain()
        if not self._over and len(taken) < len(data):
            return self._fail(AnswerTooLargeError("body", self._max_body))
        return actions

    def _parse(self, data: bytes) -> list[DiscoveryAction]:
        self._http.receive_data(data)
        return self._drain()

    def _drain(self) -> list[DiscoveryAction]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                ended = self._http.trailing_data[1]
                return self._fail(
                    AnswerIncompleteError() if ended else MalformedAnswerError("the answer's body is not HTTP")
                )
            if isinstance(event, h11.Data):
                self._body += event.data
            elif isinstance(event, h11.EndOfMessage):
                return self._judge_body()
            else:
                return []

    def _judge_body(self) -> list[DiscoveryAction]:
        assert self._response is not None
        if self._response.status_code != 200:
            return self._fail(self._refusal(self._response))
        try:
            info = _read_info(bytes(self._body), self._bot)
        except MalformedAnswerError as error:
            return self._fail(error)
        self._finish()
        return [GatewayFound(info)]

    def _refusal(self, response: h11.Response) -> DiscoveryError:
        status = response.status_code
        retry_after = max(retry_after_waits(response), default=None)
        if status == 401:
            return UnauthorizedError()
        if status == 429:
            # The header says whole seconds, the body is more exact, a proxy's has no JSON: the longer is safe.
            waits = [wait for wait in (retry_after, _json_retry_after(bytes(self._body))) if wait is not None]
            return RateLimitedError(max(waits, default=None))
        fault = ServerFaultError if status >= 500 else UnexpectedStatusError
        return fault(status, retry_after)

    def _fail(self, error: DiscoveryError) -> list[DiscoveryAction]:
        if self._response is not None and self._response.status_code == 429:
            error = self._refusal(self._response)  # whatever became of the body, the status was clear
        self._finish()
        return [DiscoveryFailed(error)]

    def _finish(self) -> None:
        self._over = True
        self._deadline = None
        self._outgoing = b""
        self._header.clear()


def _parse_base(base: str) -> GatewayUrl:
    scheme, separator, rest = base.partition("://")
    if scheme not in _WEBSOCKET_SCHEMES or not separator:
        raise BuildingUrlError("the API's base URL must begin with https:// (or http:// for tests)")
    url = parse_gateway_url(f"{_WEBSOCKET_SCHEMES[scheme]}://{rest}")
    if url.query:
        raise BuildingUrlError("the API's base URL must not hold a query")
    return url


class _Limit(msgspec.Struct):
    total: int
    remaining: int
    reset_after: float
    max_concurrency: int


class _Gateway(msgspec.Struct):
    url: str


class _GatewayBot(_Gateway):
    shards: int
    session_start_limit: _Limit


def _read_info(body: bytes, bot: bool) -> GatewayInfo:
    try:
        answer = msgspec.json.decode(body, type=_GatewayBot if bot else _Gateway)
        parse_gateway_url(answer.url)
    except msgspec.ValidationError as error:
        raise MalformedAnswerError(f"the answer lacks a documented field or has another type: {error}") from None
    except DECODE_ERRORS:
        raise MalformedAnswerError("the answer's body is not JSON") from None
    except BuildingUrlError as error:
        raise MalformedAnswerError(f"the answer's url cannot be dialled: {error}") from None
    if not isinstance(answer, _GatewayBot):
        return GatewayInfo(url=answer.url)
    limit = answer.session_start_limit
    if not 1 <= answer.shards <= MAX_SHARDS:
        raise MalformedAnswerError(f"the answer's shards are not 1 to {MAX_SHARDS}")
    if not 1 <= limit.max_concurrency <= MAX_SHARDS:
        raise MalformedAnswerError(f"the answer's max_concurrency is not 1 to {MAX_SHARDS}")
    if limit.total < 0 or limit.remaining < 0 or not 0 <= limit.reset_after <= MAX_RESET_AFTER * 1000:
        raise MalformedAnswerError("the answer's session_start_limit has a number out of range")
    return GatewayInfo(
        url=answer.url,
        shards=answer.shards,
        session_start_limit=SessionStartLimit(
            total=limit.total,
            remaining=limit.remaining,
            reset_after=limit.reset_after / 1000,
            max_concurrency=limit.max_concurrency,
        ),
    )


def _values(response: h11.Response, name: bytes) -> Sequence[bytes]:
    return [value for key, value in response.headers if key == name]


def _json_retry_after(body: bytes) -> float | None:
    """`retry_after` in seconds (Discord: Rate Limits > Rate Limit Response Structure)."""
    try:
        answer: Any = msgspec.json.decode(body)
    except DECODE_ERRORS:
        return None
    wait = answer.get("retry_after") if isinstance(answer, dict) else None
    if isinstance(wait, bool) or not isinstance(wait, int | float) or wait < 0:
        return None
    return float(min(wait, MAX_RETRY_AFTER))
