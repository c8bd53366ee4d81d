"""Gateway close codes (Discord: Topics > Opcodes and Status Codes > Gateway Close Event Codes)."""

from enum import IntEnum


class CloseCode(IntEnum):
    """Why Discord closed the connection."""

    UNKNOWN_ERROR = 4000
    UNKNOWN_OPCODE = 4001
    DECODE_ERROR = 4002
    NOT_AUTHENTICATED = 4003
    AUTHENTICATION_FAILED = 4004
    ALREADY_AUTHENTICATED = 4005
    INVALID_SEQ = 4007
    RATE_LIMITED = 4008
    SESSION_TIMED_OUT = 4009
    INVALID_SHARD = 4010
    SHARDING_REQUIRED = 4011
    INVALID_API_VERSION = 4012
    INVALID_INTENTS = 4013
    DISALLOWED_INTENTS = 4014


FATAL_CLOSE_CODES = frozenset(
    {
        CloseCode.AUTHENTICATION_FAILED,
        CloseCode.INVALID_SHARD,
        CloseCode.SHARDING_REQUIRED,
        CloseCode.INVALID_API_VERSION,
        CloseCode.INVALID_INTENTS,
        CloseCode.DISALLOWED_INTENTS,
    }
)
"""The documentation says: do not reconnect."""

SESSION_ENDING_CLOSE_CODES = frozenset({CloseCode.INVALID_SEQ, CloseCode.SESSION_TIMED_OUT})
"""The session is gone; only a new IDENTIFY helps. After every other code a RESUME is tried first."""

NORMAL_CLOSURE = 1000
"""RFC 6455 section 7.4.1. Sent by an app, it ends the session and shows the bot offline."""

GOING_AWAY = 1001
"""RFC 6455 section 7.4.1. Sent by an app, it ends the session like 1000."""

RESUMABLE_CLOSURE = 4000
"""What this engine sends when the session is to be kept: a 1xxx code is believed to end it."""
