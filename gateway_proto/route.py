"""Which host to dial next (F01, F02, F03).

A session wants its own resume URL. A host that gives no HELLO loses the session nothing: after two dials the base URL
is tried, and when that fails as well they take turns. Changing the host never discards a session.
"""

from typing import Final

from .errors import BuildingUrlError
from .secret import Secret
from .url import GatewayUrl, parse_gateway_url, parse_resume_url

RESUME_DIALS: Final = 2
"""Dials on the resume URL without a HELLO before the base URL has its turn."""


class Route:
    """Chooses between the base URL and a session's resume URL."""

    __slots__ = ("_base", "_dialled_base", "_domains", "_failures", "_resume")

    def __init__(self, base: str, domains: tuple[str, ...]) -> None:
        self._base = parse_gateway_url(base)
        self._domains = domains
        self._resume: GatewayUrl | None = None
        self._failures = 0
        self._dialled_base = False

    def set_resume_url(self, url: Secret | None) -> BuildingUrlError | None:
        """A new session brings its URL. Returns why it is not used, if it is not: then the base URL serves."""
        self._failures = 0
        self._resume = None
        try:
            self._resume = parse_resume_url(url, self._base, self._domains)
        except BuildingUrlError as error:
            return error.as_value()
        return None

    def forget(self) -> None:
        """The session is gone, and its URL with it."""
        self._failures = 0
        self._resume = None

    def dial(self) -> GatewayUrl:
        """Where to dial now; counts as a failure until `hello`."""
        failures = self._failures
        self._failures += 1
        in_turn = failures >= RESUME_DIALS and (failures - RESUME_DIALS) % 2 == 0
        self._dialled_base = self._resume is None or in_turn
        return self._base if self._dialled_base or self._resume is None else self._resume

    def hello(self) -> None:
        """The dialled host is alive: it is the first choice next time."""
        self._failures = RESUME_DIALS if self._dialled_base and self._resume is not None else 0
