"""TLS as one more machine, bytes in and bytes out, and as a `Stream` over any other `Stream`.

Over `ssl.MemoryBIO` on a plain stream this is cheaper than a backend's own TLS and has none of its traps: nothing here
waits for the peer's close_notify, and a stream that ends without one has simply ended (what is cut off is noticed by
the WebSocket inside, whose frames say how long they are).
"""

import contextlib
import functools
import ssl
from typing import Final

from .contract import RECEIVE_SIZE, Stream
from .errors import CertificateError, StreamError, TlsError, one_line

_RECORD: Final = 16384
"""Bytes of plaintext in a TLS record at most (RFC 8446 section 5.1): what one read can give."""


@functools.cache
def default_context() -> ssl.SSLContext:
    """The one SSLContext of this process for dials: the system's trust, certificates and host names verified (F34)."""
    return ssl.create_default_context()


class TlsMachine:
    """One TLS connection without I/O.

    Inputs: `receive_data`, `receive_eof`. Commands: `send`, `send_eof`. Drains: `read` (plaintext), `data_to_send`
    (ciphertext; drain it after every input and command). Getters: `is_open`, `is_eof`, `error`. Bytes of the peer
    raise nothing: what is wrong with them stands in `error`, and everything decrypted before comes out of `read`.

    Args:
        hostname: what the peer's certificate must be for; None on the server's side.
    """

    def __init__(self, context: ssl.SSLContext, *, hostname: str | None = None, server_side: bool = False) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        try:
            self._tls = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server_side, server_hostname=hostname
            )
        except ValueError as error:  # an empty host, or one that begins with a dot
            raise TlsError(f"no TLS connection can be made to {hostname!r}: {one_line(error)}") from None
        self._hostname = hostname
        self._read_ahead: list[bytes] = []
        self.is_open: bool = False
        """The handshake is done."""
        self.is_eof: bool = False
        """Nothing more comes from the peer."""
        self.error: TlsError | None = None
        self._shake_hands()

    def receive_data(self, data: bytes) -> None:
        """Ciphertext from the peer."""
        if not self.is_eof:
            self._incoming.write(data)
            self._shake_hands()

    def receive_eof(self) -> None:
        """The stream below has ended, with a close_notify or without."""
        self._incoming.write_eof()
        self._shake_hands()

    def read(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        """Take what is decrypted; `b""` if that is nothing."""
        parts = self._read_ahead
        if parts:
            whole = b"".join(parts)
            parts.clear()
            if len(whole) > max_bytes:
                parts.append(whole[max_bytes:])
            return whole[:max_bytes]
        if not self.is_open:
            return b""
        left = max_bytes
        while left > 0 and (data := self._decrypt(min(left, _RECORD))):
            parts.append(data)
            left -= len(data)
            if not self._incoming.pending and not self._tls.pending():
                break  # asking once more would cost an exception (2 µs) to hear that there is nothing
        whole = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        return whole

    def send(self, data: bytes) -> None:
        """Encrypt.

        Raises:
            StreamError: the connection is damaged, or this side has said that it sends no more.
        """
        if not data:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            raise StreamError(f"TLS cannot send: {_reason(error)}") from error

    def send_eof(self) -> None:
        """Tell the peer that nothing more is sent (close_notify). Reading goes on."""
        # OpenSSL would drop data that is unread by then.
        while self.is_open and (data := self._decrypt(_RECORD)):
            self._read_ahead.append(data)
        # It complains that the peer's close_notify is not there; nobody waits for that.
        with contextlib.suppress(ssl.SSLError, ValueError):
            self._tls.unwrap()

    def data_to_send(self) -> bytes:
        """Take the ciphertext to write."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def _shake_hands(self) -> None:
        if self.is_open or self.error is not None:
            return
        try:
            self._tls.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLCertVerificationError as error:
            self._fail(CertificateError(f"the certificate of {self._hostname} is not valid: {error.verify_message}"))
        except ssl.SSLEOFError:
            self._fail(TlsError("the connection ended during the TLS handshake"))
        except ssl.SSLError as error:
            self._fail(TlsError(f"the TLS handshake failed: {_reason(error)}"))

    def _decrypt(self, size: int) -> bytes:
        if self.is_eof:
            return b""
        try:
            data = self._tls.read(size)
        except ssl.SSLWantReadError:
            return b""
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            data = b""
        except ssl.SSLError as error:
            self._fail(TlsError(f"the TLS connection is damaged: {_reason(error)}"))
            return b""
        self.is_eof = not data
        return data

    def _fail(self, error: TlsError) -> None:
        self.error = error
        self.is_eof = True


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or one_line(error)).replace("_", " ").lower()


class TlsStream:
    """A `Stream` inside another; made by `wrap_client` and `wrap_server`."""

    def __init__(self, stream: Stream, machine: TlsMachine) -> None:
        self._stream = stream
        self._machine = machine
        self._closed = False
        self._eof_sent = False

    async def receive(self, max_bytes: int = RECEIVE_SIZE) -> bytes:
        machine = self._machine
        while not self._closed:
            data = machine.read(max_bytes)
            if data:
                return data
            if machine.error is not None:
                raise StreamError(str(machine.error))
            if machine.is_eof:
                return b""
            await self._fetch()
        raise StreamError("the stream is closed")

    async def send(self, data: bytes) -> None:
        if self._closed:
            raise StreamError("the stream is closed")
        self._machine.send(data)
        await self._flush()

    async def send_eof(self) -> None:
        if self._closed:
            raise StreamError("the stream is closed")
        if not self._eof_sent:
            self._eof_sent = True
            self._machine.send_eof()
            await self._flush()

    async def aclose(self) -> None:
        self._closed = True
        await self._stream.aclose()

    async def _fetch(self) -> None:
        wire = await self._stream.receive(RECEIVE_SIZE)
        if wire:
            self._machine.receive_data(wire)
        else:
            self._machine.receive_eof()

    async def _flush(self) -> None:
        # Only senders flush: what reading may have to say (a key update's answer) goes out before our next record.
        data = self._machine.data_to_send()
        if data:
            await self._stream.send(data)

    async def shake_hands(self) -> None:
        """Raises TlsError, StreamError."""
        machine = self._machine
        while not machine.is_open and machine.error is None:
            await self._flush()
            await self._fetch()
        try:
            await self._flush()  # our last flight, or the alert that tells the peer what was wrong
        except StreamError:
            if machine.error is None:
                raise
        if machine.error is not None:
            raise machine.error


async def wrap_client(stream: Stream, hostname: str, context: ssl.SSLContext | None = None) -> TlsStream:
    """Be the client of a TLS handshake on a connected stream; `default_context()` unless another is given.

    The stream belongs to the result; if this fails or is cancelled, it is closed.

    Raises:
        CertificateError: the certificate is not valid for `hostname`.
        TlsError: the handshake failed otherwise.
    """
    return await _wrap(stream, functools.partial(TlsMachine, context or default_context(), hostname=hostname))


async def wrap_server(stream: Stream, context: ssl.SSLContext) -> TlsStream:
    """Be the server of a TLS handshake; otherwise as `wrap_client`."""
    return await _wrap(stream, functools.partial(TlsMachine, context, server_side=True))


async def _wrap(stream: Stream, make: "functools.partial[TlsMachine]") -> TlsStream:
    try:
        wrapped = TlsStream(stream, make())
        await wrapped.shake_hands()
    except StreamError as error:
        await stream.aclose()
        raise TlsError(f"the connection broke during the TLS handshake: {one_line(error)}") from error
    except BaseException:
        await stream.aclose()
        raise
    return wrapped
