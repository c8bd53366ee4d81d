"""The opening handshake, client side (RFC 6455 section 4.1), on h11.

h11 is fed one whole header block at a time: its own limit holds only for a block that is not complete yet, so that
whether a header is too long would depend on how the bytes were cut.
"""

import base64
import random

import h11
from wsproto.utilities import generate_accept_token

from ..errors import InvalidHandshakeError
from ..http_head import END_OF_HEADER, retry_after_waits
from ..url import GatewayUrl
from .events import Opened, Refused


class UpgradeRequest:
    """One handshake: `request` are the bytes to send; feed the answer until it is decided."""

    def __init__(
        self, url: GatewayUrl, parameters: dict[str, str], user_agent: str, rng: random.Random, limit: int
    ) -> None:
        self._limit = limit
        self._buffer = b""
        self._http = h11.Connection(h11.CLIENT)
        key = base64.b64encode(rng.randbytes(16))
        self._accept = generate_accept_token(key)
        request = h11.Request(
            method="GET",
            target=url.target(parameters),
            headers=[
                ("Host", url.host_header),
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Key", key.decode()),
                ("Sec-WebSocket-Version", "13"),
                ("User-Agent", user_agent),
            ],
        )
        self.request: bytes = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")

    def receive_data(self, data: bytes) -> tuple[Opened | Refused, bytes] | None:
        """Take bytes. Returns the verdict and the bytes behind the header, or None while the header is not whole."""
        self._buffer += data
        while True:
            end = END_OF_HEADER.search(self._buffer, 0, self._limit)
            if end is None:
                if len(self._buffer) < self._limit:
                    return None
                return Refused(InvalidHandshakeError(f"no HTTP header within {self._limit} bytes")), b""
            header, self._buffer = self._buffer[: end.end()], self._buffer[end.end() :]
            verdict = self._judge(header)
            if verdict is not None:
                return verdict, self._buffer

    def _judge(self, header: bytes) -> Opened | Refused | None:
        try:
            self._http.receive_data(header)
            response = self._http.next_event()
        except h11.RemoteProtocolError:
            # h11's text quotes what came, at any length: who knows what that is (F41).
            return Refused(InvalidHandshakeError("the answer to the upgrade is not HTTP"))
        if isinstance(response, h11.InformationalResponse):
            # 100 and 103 are legal before the answer; only 101 decides (RFC 9110 section 15.2).
            return self._switching(response) if response.status_code == 101 else None
        if isinstance(response, h11.Response):
            status = response.status_code
            detail = f"the upgrade was refused with HTTP {status}"
            waits = retry_after_waits(response)
            return Refused(InvalidHandshakeError(detail, status, waits[0] if waits else None))
        return Refused(InvalidHandshakeError("the answer to the upgrade is not HTTP"))

    def _switching(self, response: h11.InformationalResponse) -> Opened | Refused:
        if not b"1.1" <= response.http_version < b"2":
            return Refused(InvalidHandshakeError("HTTP 101 by another version than HTTP/1.1", 101))
        fields = _Fields(response)
        if "websocket" not in fields.tokens(b"upgrade") or "upgrade" not in fields.tokens(b"connection"):
            return Refused(InvalidHandshakeError("HTTP 101 without Upgrade: websocket", 101))
        if fields.values(b"sec-websocket-accept") != [self._accept]:
            return Refused(InvalidHandshakeError("HTTP 101 with a wrong Sec-WebSocket-Accept", 101))
        if fields.values(b"sec-websocket-extensions") or fields.values(b"sec-websocket-protocol"):
            return Refused(InvalidHandshakeError("HTTP 101 with an extension or protocol that was not offered", 101))
        return Opened()


class _Fields:
    def __init__(self, response: h11.InformationalResponse) -> None:
        self._headers = list(response.headers)

    def values(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._headers if key == name]

    def tokens(self, name: bytes) -> set[str]:
        joined = b",".join(self.values(name)).decode("latin-1")
        return {token.strip().lower() for token in joined.split(",")}
