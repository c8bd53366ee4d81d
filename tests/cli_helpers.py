"""Commands as child processes, and an embedded gateway for them in a thread of the test."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import msgspec

from gateway_proto.server import Fault, ServerAction, ServerConfig
from gateway_transports.serve import Gateway, serve

PATIENCE = 30.0
"""Seconds after which a child that hangs is killed; no test waits for it otherwise."""


class Child:
    """A running command. Its output is read line by line, which waits for a line."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdout = process.stdout
        self.stderr = process.stderr
        self.seen = b""
        """Everything read so far, of both."""

    def line(self) -> Any:
        """The next JSON line of stdout."""
        line = self.stdout.readline()
        self.seen += line
        return msgspec.json.decode(line)

    def told(self) -> str:
        """The next line of stderr."""
        line = self.stderr.readline()
        self.seen += line
        return line.decode().rstrip("\n")

    def end(self, signal: int | None = None) -> tuple[int, str]:
        """Send the signal and wait for the end: (exit code, the rest of stderr)."""
        if signal is not None:
            self.process.send_signal(signal)
        rest, told = self.process.communicate(timeout=PATIENCE)
        self.seen += rest + told
        return self.process.returncode, told.decode()


@contextlib.contextmanager
def command(*args: str, token: str | None = None, **environment: str) -> Iterator[Child]:
    """Run `gateway-proto` with these arguments in a process of its own."""
    with python("-m", "gateway_transports.cli", *args, token=token, **environment) as child:
        yield child


@contextlib.contextmanager
def python(*args: str, token: str | None = None, **environment: str) -> Iterator[Child]:
    inherited = {name: value for name, value in os.environ.items() if name != "DISCORD_TOKEN"}
    if token is not None:
        environment["DISCORD_TOKEN"] = token
    process = subprocess.Popen(
        [sys.executable, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=inherited | environment,
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        with process:
            try:
                yield Child(process)
            finally:
                process.kill()
    finally:
        watchdog.cancel()


class ServedGateway:
    """An embedded gateway in another thread."""

    def __init__(self, portal: anyio.from_thread.BlockingPortal, gateway: Gateway, actions: list[ServerAction]) -> None:
        self._portal = portal
        self._gateway = gateway
        self.actions = actions

    @property
    def url(self) -> str:
        return self._gateway.url

    @property
    def port(self) -> int:
        return self._gateway.port

    @property
    def api(self) -> str:
        return f"http{self.url.removeprefix('ws')}/api/v10"

    def broadcast(self, name: str, data: bytes) -> None:
        self._portal.call(self._gateway.broadcast, name, data)

    def inject(self, fault: Fault) -> None:
        """Let it strike every session."""
        for session_id in self._gateway.server.sessions:
            self._portal.call(self._gateway.inject, session_id, fault)

    def session_ids(self) -> list[str]:
        return [session_id.reveal() for session_id in self._gateway.server.sessions]


@contextlib.contextmanager
def gateway(config: ServerConfig | None = None) -> Iterator[ServedGateway]:
    """Serve a gateway for as long as the block runs. `actions` grow while it does."""
    actions: list[ServerAction] = []
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(config, on_action=actions.append)) as served,
    ):
        yield ServedGateway(portal, served, actions)


def journal_lines(path: Path) -> list[dict[str, Any]]:
    """What a journal says, without the times."""
    lines: list[dict[str, Any]] = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        assert isinstance(line.pop("at"), float)
    return lines
