"""Events that are encoded once and sent often, each time under a number of its own.

To make an event costs ten to a hundred times as much as to send it. A benchmark that is to measure a client, and not
this server, sends the same ones over and over.
"""

from functools import lru_cache
from typing import NamedTuple

import msgspec

_BEFORE_DATA = b',"op":0,"d":'


class PreparedEvent(NamedTuple):
    """One event, to be completed by its sequence (`s`) and its number (`_number`, the last field of `d`)."""

    name: str
    head: bytes
    body: bytes

    @classmethod
    def of(cls, name: str, data: bytes, shard_id: int) -> "PreparedEvent":
        """From the JSON of a `d` that is an object with at least one field, and neither `_shard` nor `_number`."""
        return cls(name, head(name), b'%b%b,"_shard":%d,"_number":' % (_BEFORE_DATA, data[:-1], shard_id))

    def payload(self, sequence: int, number: int) -> bytes:
        """The whole message."""
        return b"%b%d%b%d}}" % (self.head, sequence, self.body, number)

    def data(self, number: int) -> bytes:
        """The JSON of `d`."""
        return b"%b%d}" % (self.body[len(_BEFORE_DATA) :], number)


@lru_cache(maxsize=1024)
def head(name: str) -> bytes:
    """How a dispatch of this name begins."""
    # 0.1 µs instead of 0.4: an event's name is one of a few dozen.
    return b'{"t":%b,"s":' % msgspec.json.encode(name)
