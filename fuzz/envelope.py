"""The envelope: the fast decoder and the forgiving one.

Invariant: of any bytes, the two decoders read the same op, s, t and `d`, or one of them refuses them; `d` stands in
the message just as it is told. They refuse alike but for two cases. The forgiving one reads more: it was made for what
is not UTF-8, no strict JSON or names a member twice. And it may refuse what the fast one reads, where msgspec skips a
value or a name without looking closely.

Permitted exceptions: `DECODE_ERRORS` of `decode`, `UndecodableMessageError` of `forgive`.
"""

from gateway_proto.codec import DECODE_ERRORS, NULL, Envelope, decode, forgive
from gateway_proto.errors import UndecodableMessageError

Fields = tuple[int, bytes, int | None, str | None]


def one_input(data: bytes) -> None:
    fast, forgiven = _fast(data), _forgiven(data)
    if fast is not None and forgiven is not None:
        assert fast == forgiven


def _fast(data: bytes) -> Fields | None:
    try:
        if not data.isascii():
            data.decode()
        return _fields(decode(data), data)
    except DECODE_ERRORS:
        return None


def _forgiven(data: bytes) -> Fields | None:
    try:
        return _fields(forgive(data), data)
    except UndecodableMessageError:
        return None


def _fields(envelope: Envelope, data: bytes) -> Fields:
    d = bytes(envelope.d)
    assert type(envelope.op) is int
    assert envelope.s is None or type(envelope.s) is int
    assert envelope.t is None or envelope.t.encode() is not None, "a name that can be neither printed nor stored"
    assert d == bytes(NULL) or d in data
    return envelope.op, d, envelope.s, envelope.t


def seeds() -> dict[str, bytes]:
    return {
        "hello": b'{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}',
        "dispatch": b'{"op":0,"d":{"id":"1","content":"\\u00e9 \\ud83d\\ude00"},"s":7,"t":"MESSAGE_CREATE"}',
        "spaces": b' {\n"op" :\t0 , "x" : [1, {"op": 2}] , "d" : { "a" : -1.5e+300 } , "s": 2 }\r\n',
        "repeated": b'{"op":7,"op":9,"d":1,"d":false,"\\u0074":"A","t":"B"}',
        "lone-surrogate": b'{"op":0,"s":1,"t":"X","d":"\\ud83d"}',
        "no-utf8": b'{"op":0,"s":1,"t":"X","d":"\xff\xc3"}',
        "no-number": b'{"op":0,"s":1,"t":"X","d":[NaN,Infinity,-Infinity]}',
        "large-numbers": b'{"op":9223372036854775808,"s":18446744073709551616,"d":1E400}',
        "deep": b'{"op":0,"d":' + b'[{"a":' * 20 + b"0" + b"}]" * 20 + b"}",
        "cut": b'{"op":0,"d":{"a',
    }
