"""What every reader of an HTTP/1.1 head here shares: where it ends, and how long the peer asks to be left alone."""

import re
from typing import Final

import h11

END_OF_HEADER: Final = re.compile(rb"\n\r?\n")
"""The empty line, its own line break with or without CR, as h11 takes it."""
MAX_RETRY_AFTER: Final = 3600.0
"""Seconds. A longer wait than this is nothing that a gateway would ask for (F23)."""
_SECONDS: Final = re.compile(rb"\d{1,9}(\.\d{1,9})?")


def retry_after_waits(response: h11.Response) -> list[float]:
    """Each Retry-After in seconds (RFC 9110 section 10.2.3), at most an hour; a date is not understood."""
    return [
        min(float(value), MAX_RETRY_AFTER)
        for name, value in response.headers
        if name == b"retry-after" and _SECONDS.fullmatch(value)
    ]
