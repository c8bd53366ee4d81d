"""Throw-away certificates for a gateway that only this machine knows."""

import contextlib
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trustme

_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_WILDCARDS: Final = ("0.0.0.0", "::")


class ThrowAwayAuthority:
    """A certificate authority that nobody trusts unless told to; it goes when the process goes."""

    def __init__(self) -> None:
        self._authority = trustme.CA(organization_name="gateway-proto, throw-away")

    def server_context(self, host: str) -> ssl.SSLContext:
        """For a server on `host`, which this machine may also reach by its own names."""
        names = dict.fromkeys([*_NAMES, *([] if host in _WILDCARDS else [host])])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """For a client that verifies, and trusts this authority and no other."""
        return ssl.create_default_context(cadata=self._pem().decode())

    @contextlib.contextmanager
    def file(self) -> Iterator[Path]:
        """The authority's certificate in a file, for clients of other programs; removed at the end of the block."""
        with tempfile.NamedTemporaryFile(prefix="gateway-proto-ca-", suffix=".pem") as file:
            file.write(self._pem())
            file.flush()
            yield Path(file.name)

    def _pem(self) -> bytes:
        return self._authority.cert_pem.bytes()
