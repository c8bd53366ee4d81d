"""Who runs which shard of a state file: locks on the bytes of a file beside it (`NAME-owners`), one a shard.

The operating system frees them with the process, however that ends, so that no owner is ever believed alive that is
not. On POSIX they are the process's and not the descriptor's: they exclude nobody within it, and closing *any*
descriptor of the file frees all of them. So a process has one descriptor for each such file, and its own record, here.

The file stays when everybody is gone: whoever removed it might remove one that another has just opened.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from .errors import StoreBusyError, shown

OPENING: Final = 2**31 - 3
"""The byte of whoever is opening the state file: one at a time looks at it, sets it aside, begins a new one."""
IN_USE: Final = 2**31 - 2
"""The byte that every process which has the file open shares."""
MAX_SHARDS: Final = 2**31 - 4
PATIENCE: Final = 5.0
"""Seconds that an opening waits for another's; one takes milliseconds."""
_PAUSE: Final = 0.01

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int, at: int, count: int = 1, *, shared: bool = False) -> bool:
        if shared:
            return True  # there are none; an open file cannot be renamed there anyway, which is what they are for
        try:
            os.lseek(fd, at, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, count)
        except PermissionError:
            return False
        return True

    def _unlock(fd: int, at: int, count: int = 1) -> None:
        with contextlib.suppress(OSError):
            os.lseek(fd, at, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_UNLCK, count)

else:
    import fcntl

    def _try_lock(fd: int, at: int, count: int = 1, *, shared: bool = False) -> bool:
        try:
            fcntl.lockf(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB, count, at)
        except (BlockingIOError, PermissionError):  # POSIX leaves the choice of the two to the system
            return False
        return True

    def _unlock(fd: int, at: int, count: int = 1) -> None:
        fcntl.lockf(fd, fcntl.LOCK_UN, count, at)


class _Sidecar:
    """This process's only descriptor of such a file."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.users = 0
        self.shards: set[int] = set()


_guard = threading.RLock()
_sidecars: dict[str, _Sidecar] = {}


def _forget_all() -> None:
    """In a forked child: the locks are the parent's. Its descriptors stay open, since closing one here later on, in
    the midst of this process's own locks, would free those."""
    global _guard
    _guard = threading.RLock()
    _sidecars.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


class Ownership:
    """One store's or gate's part in a state file. It begins with `opening` and ends with `release`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = f"{path}-owners"
        self._shards: set[int] = set()
        self._sidecar: _Sidecar | None = None

    @contextlib.contextmanager
    def opening(self) -> Iterator[None]:
        """Be the only one, of all processes, that opens the file. If the block fails, everything is let go.

        Raises:
            StoreBusyError: another's opening does not end.
            OSError: the file beside it cannot be made.
        """
        if not _guard.acquire(timeout=PATIENCE):
            raise self._busy()
        try:
            sidecar = self._join()
            try:
                self._await_turn(sidecar)
                try:
                    _try_lock(sidecar.fd, IN_USE, shared=True)
                    yield
                finally:
                    _unlock(sidecar.fd, OPENING)
            except BaseException:
                self.release()
                raise
        finally:
            _guard.release()

    def is_alone(self) -> bool:
        """Whether nobody else, in any process, has the file open. Ask it while `opening`."""
        sidecar = self._sidecar
        assert sidecar is not None, "asked outside of its use"
        if sidecar.users > 1 or not _try_lock(sidecar.fd, IN_USE):
            return False
        return _try_lock(sidecar.fd, IN_USE, shared=True)

    def is_owned(self) -> bool:
        """Whether anybody, in any process, owns a shard. Ask it while `opening`, before `take`."""
        sidecar = self._sidecar
        assert sidecar is not None, "asked outside of its use"
        with _guard:
            if sidecar.shards or not _try_lock(sidecar.fd, 0, MAX_SHARDS):
                return True
            _unlock(sidecar.fd, 0, MAX_SHARDS)
        return False

    def take(self, shard_ids: Iterable[int]) -> int | None:
        """Own these: all of them, and None is returned, or none, and it is the first that somebody else owns."""
        sidecar = self._sidecar
        assert sidecar is not None, "asked outside of its use"
        with _guard:
            for shard_id in sorted(shard_ids):
                if shard_id in sidecar.shards or not _try_lock(sidecar.fd, shard_id):
                    self._let_go(sidecar)
                    return shard_id
                self._shards.add(shard_id)
                sidecar.shards.add(shard_id)
        return None

    def release(self) -> None:
        """Let go of everything."""
        with _guard:
            sidecar, self._sidecar = self._sidecar, None
            if sidecar is None or _sidecars.get(self._name) is not sidecar:  # never had, or left with the parent
                return
            self._let_go(sidecar)
            sidecar.users -= 1
            if sidecar.users == 0:
                del _sidecars[self._name]
                os.close(sidecar.fd)

    def _join(self) -> _Sidecar:
        sidecar = _sidecars.get(self._name)
        if sidecar is None:
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            sidecar = _sidecars[self._name] = _Sidecar(os.open(self._name, flags, 0o600))
        sidecar.users += 1
        self._sidecar = sidecar
        return sidecar

    def _await_turn(self, sidecar: _Sidecar) -> None:
        until = time.monotonic() + PATIENCE
        while not _try_lock(sidecar.fd, OPENING):
            if time.monotonic() >= until:
                raise self._busy()
            time.sleep(_PAUSE)

    def _busy(self) -> StoreBusyError:
        return StoreBusyError(f"{shown(self._path)} is being opened by another program, which does not come to an end")

    def _let_go(self, sidecar: _Sidecar) -> None:
        for shard_id in self._shards:
            _unlock(sidecar.fd, shard_id)
        sidecar.shards -= self._shards
        self._shards.clear()
