"""What outlives a process: sessions, in a file or in memory (F32, F38)."""

from .contract import SessionStore
from .errors import (
    StoreBusyError,
    StoreCorruptError,
    StoreError,
    StoreFormatError,
    StoreFullError,
    StoreMismatchError,
    StoreOwnedError,
    StoreUnusableError,
)
from .memory import MemoryStore
from .sqlite import SqliteStore

__all__ = [
    "MemoryStore",
    "SessionStore",
    "SqliteStore",
    "StoreBusyError",
    "StoreCorruptError",
    "StoreError",
    "StoreFormatError",
    "StoreFullError",
    "StoreMismatchError",
    "StoreOwnedError",
    "StoreUnusableError",
]
