"""The demo's bot as a process of its own: `python -m gateway_transports.cli.demo_child SETTINGS`, for `demo` alone.

SETTINGS is the JSON of `ClientSettings`; the token is in DISCORD_TOKEN. Each event becomes a line on stdout, a pipe:
the JSON of `Taken`. SIGTERM ends the process in order, its sessions kept, with exit code 143; so does the end of stdin,
which says that the demo is gone, with exit code 1.
"""

import contextlib
import os
import sys
from typing import Final

import anyio
import msgspec

from gateway_proto import GatewayError, Secret

from ..tasks import background
from .demo_client import ClientSettings, Taken, each_event
from .options import tell
from .run import TOKEN_VARIABLE
from .signals import interruptible

_STDIN: Final = 0
_STDOUT: Final = 1


def main() -> int:
    """Run the bot and return the exit code."""
    settings = msgspec.json.decode(sys.argv[1], type=ClientSettings)
    token = Secret(os.environ[TOKEN_VARIABLE])
    try:
        return anyio.run(interruptible, lambda: _run(settings, token), backend=settings.backend)
    except GatewayError as error:
        tell(str(error))
        return 1


async def _run(settings: ClientSettings, token: Secret) -> int:
    os.set_blocking(_STDOUT, False)
    async with background() as group:
        with anyio.CancelScope() as scope, contextlib.suppress(BrokenPipeError):
            group.start_soon(_watch_demo, scope)
            await each_event(settings, token, _write)
    return 1


async def _watch_demo(scope: anyio.CancelScope) -> None:
    await anyio.wait_readable(_STDIN)  # nothing is ever written there: it is the end
    scope.cancel()


async def _write(event: Taken) -> None:
    """Once it returns, the line is in the pipe, where a kill of this process cannot reach it.

    So small a write into a pipe is whole or fails (POSIX: up to PIPE_BUF, 512 bytes at least); a cancelled wait has
    written nothing.
    """
    line = msgspec.json.encode(event) + b"\n"
    while True:
        try:
            os.write(_STDOUT, line)
        except BlockingIOError:
            await anyio.wait_writable(_STDOUT)
        else:
            return


if __name__ == "__main__":
    sys.exit(main())
