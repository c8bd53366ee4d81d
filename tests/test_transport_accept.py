"""Accepting while the process has no file descriptor left for another socket."""

import errno
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest

from gateway_proto.server import ServerConfig
from gateway_transports import serve as serving

pytestmark = pytest.mark.anyio


class ExhaustedListener:
    """Its first accepts fail, as each backend has it; then it waits for a client."""

    def __init__(self) -> None:
        self.errors: list[Exception] = [OSError(errno.EMFILE, "Too many open files"), anyio.BrokenResourceError()]
        self.waits = anyio.Event()

    async def serve(self, handler: Callable[[Any], Awaitable[None]], task_group: anyio.abc.TaskGroup | None) -> None:
        assert task_group is not None, "what is served already would end with the first failing accept"
        if self.errors:
            raise self.errors.pop(0)
        self.waits.set()
        await anyio.sleep_forever()


async def test_what_is_served_goes_on_and_accepting_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ACCEPT_AGAIN", 0.0)
    listener: Any = ExhaustedListener()
    acceptor = serving.Acceptor(serving.Gateway(ServerConfig()).handle, 10)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(acceptor.run, listener, group)
            await listener.waits.wait()
            assert not listener.errors
            group.cancel_scope.cancel()
