"""What goes wrong in a transport. Every text is one line that a person can act on.

A dial fails with a `ConnectError` of the core (these are its subclasses), an open stream with `StreamError`. No
exception of a backend, of ssl or of the operating system comes out of a transport; it stands behind as `__cause__`.
"""

import os
import socket

from gateway_proto import ConnectError, GatewayError


class ResolveError(ConnectError):
    """The name has no address, or nobody answers for it."""


class TlsError(ConnectError):
    """The TLS handshake failed."""


class CertificateError(TlsError):
    """The peer's certificate is not valid for this host."""


class ListenError(GatewayError):
    """The address cannot be listened on: in use, not ours, not permitted."""


class SlowConsumerError(GatewayError):
    """The events were not taken in time, past the second bound of the queue (F33). The session can be resumed."""


class StreamError(Exception):
    """An open stream broke: it was reset, its TLS is damaged, or it was closed on this side."""


def one_line(error: BaseException) -> str:
    """What an exception says, as one line; its type where it says nothing."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno is not None:
        text = os.strerror(error.errno)  # asyncio puts other texts in its place
    else:
        text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return " ".join(text.split()) or type(error).__name__
