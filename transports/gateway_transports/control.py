"""Control of a served gateway from outside its process, and its script.

    async with serve(applied(config, script)) as gateway, play(gateway, script), serve_control(gateway) as control:
        ...POST to control.url with control.token...

`gateway_proto.server.control` documents the API, `gateway_proto.server.script` the script and its file.
"""

import contextlib
import secrets
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import anyio.abc
import msgspec

from gateway_proto import GatewayError, Secret
from gateway_proto.errors import InvalidConfigError
from gateway_proto.server import Control, ControlConnection, Script, ServerAction, ServerConfig, read_script

from .contract import Stream
from .driver import Link
from .errors import ListenError, one_line
from .serve import Acceptor, Gateway
from .tasks import background

MAX_CONNECTIONS: Final = 64
"""Sockets of the control API at one time."""
TIMEOUT: Final = 30.0
"""Seconds for one request and its answer."""
MAX_SCRIPT: Final = 16 * 2**20
"""Bytes of a script's file."""
_GRACE: Final = 2.0


class ScriptError(GatewayError):
    """A script cannot be read. One line that names the file, and the key that is wrong."""


class ControlAddress(NamedTuple):
    """Where the control API is, and what its requests must bear."""

    url: str
    token: Secret


@contextlib.asynccontextmanager
async def serve_control(
    gateway: Gateway, *, host: str = "127.0.0.1", port: int = 0, token: Secret | None = None
) -> AsyncIterator[ControlAddress]:
    """Serve the control API of a gateway for as long as the block runs, over plain HTTP.

    To be entered right after the gateway: what its clients sent before is not known here.

    Args:
        host: whoever reaches it and has the token can do with the gateway as they like; loopback is the default.
        token: None makes one up.

    Raises:
        ListenError: with one readable line.
    """
    token = token or Secret(secrets.token_urlsafe(24))
    control = Control(gateway.server, token)
    gateway.observe(control.on_action)
    try:
        listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"cannot listen on {host}:{port} for the control API: {one_line(error)}") from error
    async with listener:
        bound = listener.extra(anyio.abc.SocketAttribute.local_port)
        acceptor = Acceptor(lambda stream: _handle(gateway, control, stream), MAX_CONNECTIONS)
        async with background() as group:
            group.start_soon(acceptor.run, listener, group)
            name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host
            yield ControlAddress(f"http://{name}:{bound}/control", token)


async def _handle(gateway: Gateway, control: Control, stream: Stream) -> None:
    """One request and its answer; then the stream is closed."""
    connection = ControlConnection(control)

    def on_data(data: bytes) -> None:
        gateway.act(connection.receive_data(data, gateway.clock.now()))
        if connection.is_done:
            link.finish(connection.data_to_send(), _GRACE, half_close=True)
        else:
            link.flush()

    link = Link(stream, gateway.clock, on_data=on_data, on_eof=lambda: None, drain=connection.data_to_send)
    with anyio.move_on_after(TIMEOUT):
        await link.run()


def applied(config: ServerConfig, script: Script) -> ServerConfig:
    """The config with what a script plans."""
    return msgspec.structs.replace(config, plan=(*config.plan, *script.plan()))


@contextlib.asynccontextmanager
async def play(gateway: Gateway, script: Script) -> AsyncIterator[None]:
    """Carry out, for as long as the block runs, what a script leaves to the driver. Its seconds count from here.

    The gateway must have been made with the config that `applied` gives.
    """

    def on_action(action: ServerAction) -> None:
        due = script.due(action)
        if due is not None:
            gateway.carry_out(*due)

    gateway.observe(on_action)
    start = gateway.clock.now()
    async with background() as group:
        group.start_soon(_run_timed, gateway, script, start)
        yield


async def _run_timed(gateway: Gateway, script: Script, start: float) -> None:
    for seconds, effect, target in script.timed():
        await gateway.clock.wait(anyio.Event(), start + seconds)
        gateway.carry_out(effect, target)


def load_script(path: Path) -> Script:
    """Read a script from a TOML file.

    Raises:
        ScriptError: it cannot be read, or says something that makes no sense.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SCRIPT + 1)
    except OSError as error:
        raise ScriptError(f"the script {path} cannot be read: {one_line(error)}") from error
    if len(data) > MAX_SCRIPT:
        raise ScriptError(f"the script {path} is larger than {MAX_SCRIPT} bytes")
    return parse_script(data, f"the script {path}")


def parse_script(data: bytes, name: str = "the script") -> Script:
    """Read a script from the bytes of a TOML file, which errors call by this name.

    Raises:
        ScriptError: it cannot be read, or says something that makes no sense.
    """
    try:
        return read_script(tomllib.loads(data.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ScriptError(f"{name} is no TOML: {one_line(error)}") from error
    except ValueError as error:
        # Python's own words for what tomllib lets through would advise to lift its limit.
        raise ScriptError(f"{name}: an integer in it has too many digits") from error
    except InvalidConfigError as error:
        raise ScriptError(f"{name}: {error}") from error
