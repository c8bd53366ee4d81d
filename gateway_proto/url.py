"""Where to dial: the gateway's URL taken apart, and whether a resume URL may be trusted with the token (F03)."""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from .errors import BuildingUrlError
from .secret import Secret

_PORTS = {"ws": 80, "wss": 443}
_NAME = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_OURS = frozenset({"v", "encoding", "compress"})
"""Parameters that only the config decides: a `compress` left over from elsewhere would make the stream unreadable."""


class GatewayUrl(NamedTuple):
    """A checked ws(s) URL. `host` is without brackets; `query` are its own parameters, which do not print."""

    tls: bool
    host: str
    port: int
    path: str
    query: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        query = "?***" if self.query else ""
        return f"GatewayUrl({'wss' if self.tls else 'ws'}://{self.host_header}{self.path}{query})"

    @property
    def host_header(self) -> str:
        """The authority as HTTP's Host header wants it (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"

    def target(self, parameters: dict[str, str]) -> str:
        """Path and query with `parameters` appended afresh; what the URL had of ours is void, wanted now or not."""
        kept = [(name, value) for name, value in self.query if name not in _OURS and name not in parameters]
        return f"{self.path}?{urlencode([*kept, *parameters.items()])}"

    def full(self, parameters: dict[str, str]) -> Secret:
        """The whole URL; its query may be a secret (a resume URL's), so it does not print."""
        scheme = "wss" if self.tls else "ws"
        return Secret(f"{scheme}://{self.host_header}{self.target(parameters)}")


def parse_gateway_url(url: str) -> GatewayUrl:
    """Take a gateway URL apart.

    Raises:
        BuildingUrlError: not ws or wss, no host, a bad port, user info, or characters that no URL has.
    """
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise BuildingUrlError("the gateway URL must be printable ASCII without spaces")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BuildingUrlError("the gateway URL cannot be taken apart; expected wss://host[:port]") from None
    if parts.scheme not in _PORTS:
        raise BuildingUrlError("the gateway URL must begin with wss:// (or ws:// for tests)")
    if not host or port == 0:
        raise BuildingUrlError("the gateway URL has no host, or port 0")
    if ":" not in host and not _NAME.fullmatch(host):
        raise BuildingUrlError("the gateway URL's host is no name that can be looked up")
    if parts.username is not None or parts.password is not None:
        raise BuildingUrlError("the gateway URL must not hold user info")
    path = parts.path if parts.path.startswith("/") else "/"
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    return GatewayUrl(parts.scheme == "wss", host, port or _PORTS[parts.scheme], path, query)


def parse_resume_url(url: Secret | None, base: GatewayUrl, domains: tuple[str, ...] = ()) -> GatewayUrl:
    """The resume URL of READY, if the token may go there: scheme no worse than the base's, host under its domain.

    `domains` are further ones that the user trusts.

    Raises:
        BuildingUrlError: it may not; the text has no part of the URL but its host.
    """
    if url is None:
        raise BuildingUrlError("READY had no resume_gateway_url")
    parsed = parse_gateway_url(url.reveal())
    if base.tls and not parsed.tls:
        raise BuildingUrlError("the resume URL is not encrypted, the base URL is")
    trusted = (_domain(base.host), *domains)
    if not any(parsed.host == domain or parsed.host.endswith(f".{domain}") for domain in trusted):
        raise BuildingUrlError(f"the resume URL's host {parsed.host} is not under {' or '.join(trusted)}")
    return parsed


def _domain(host: str) -> str:
    # gateway.discord.gg -> discord.gg. An address, a single label and a bare domain stand for themselves.
    labels = host.split(".")
    is_address = ":" in host or all(label.isdigit() for label in labels)
    return host if is_address or len(labels) < 3 else ".".join(labels[1:])
