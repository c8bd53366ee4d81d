"""The clients, the compressions that each can ask for, and how their environments are made and their drivers started.

Nothing is installed outside the folder that is given.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

REPOSITORY: Final = Path(__file__).parent.parent.parent
_DRIVERS: Final = Path(__file__).parent / "drivers"
_INSTALL_TIMEOUT: Final = 180.0
PLAIN: Final = "none"
PAYLOAD: Final = "payload"
"""Payload compression: asked for in IDENTIFY, not in the URL."""

AT_START: Final = "all members at the start"
ALL_PRESENCES: Final = "all members with presences"
"""Cases that not every client can do."""


class Client(NamedTuple):
    """A client as its users know it. `compressions` are what it supports here.

    With those in `reorders` it lets events overtake each other by its own doing. `cannot` names the cases for which it
    has no means. `tells_limits`: it has an event of its own for RATE_LIMITED. `discards` says of an event, by its name
    and its `d`, whether the client cannot place it, whoever sends it, and says so in its log.
    """

    name: str
    packages: tuple[str, ...]
    compressions: tuple[str, ...]
    driver: str
    is_node: bool = False
    reorders: tuple[str, ...] = ()
    cannot: tuple[str, ...] = ()
    has_cache: bool = True
    tells_limits: bool = False
    discards: Callable[[str, dict[str, Any]], bool] = lambda name, d: False


def _has_unknown_options(name: str, d: dict[str, Any]) -> bool:
    """hikari knows no options of AUTO_MODERATION_BLOCK_MESSAGE and AUTO_MODERATION_FLAG_TO_CHANNEL."""
    return name == "GUILD_AUDIT_LOG_ENTRY_CREATE" and "options" in d and d["action_type"] in (143, 144)


def _is_of_direct_pins(name: str, d: dict[str, Any]) -> bool:
    """discord.py knows only the direct messages that it has opened itself."""
    return name == "CHANNEL_PINS_UPDATE" and "guild_id" not in d


# With a zstd module in the standard library discord.py asks for nothing else.
_DISCORD_PY: Final = ("zstd-stream",) if sys.version_info >= (3, 14) else ("zlib-stream", "zstd-stream")
CLIENTS: Final = (
    Client(
        "discord.py",
        ("discord.py",),
        _DISCORD_PY,
        "discord_py",
        # Of all members it never asks for the presences.
        cannot=(ALL_PRESENCES,),
        discards=_is_of_direct_pins,
    ),
    Client(
        "hikari",
        ("hikari",),
        (PLAIN, PAYLOAD, "zlib-stream", "zstd-stream"),
        "hikari_bot",
        tells_limits=True,
        discards=_has_unknown_options,
    ),
    Client(
        "@discordjs/ws",
        ("@discordjs/ws",),
        (PLAIN, PAYLOAD, "zlib-stream"),
        "discordjs_ws",
        is_node=True,
        # It inflates a compressed message in the background, and handles a TEXT behind it at once.
        reorders=(PAYLOAD,),
        # It asks for nothing by itself, and keeps nothing.
        cannot=(AT_START,),
        has_cache=False,
    ),
)
_ZSTD_PACKAGES: Final = ("zstandard", "backports.zstd; python_version < '3.14'")
"""What makes discord.py and hikari ask for zstd-stream; in a folder of its own, so that they also run without."""


class InstallError(Exception):
    """A client's environment cannot be made; the text is the installer's last line."""


class Environment:
    """The installed clients, in a folder. `install` each before `command`.

    A client that is there already, of an earlier run with the same folder, is not installed again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self, client: Client) -> None:
        """Install a client by pip or npm; raises InstallError. It blocks: call it in a thread."""
        place = self._place(client)
        done = place / "installed"
        if done.exists():
            return
        place.mkdir(parents=True, exist_ok=True)
        if client.is_node:
            run_command("npm", "install", "--no-audit", "--no-fund", "--prefix", str(place), *client.packages)
        else:
            run_command(sys.executable, "-m", "venv", str(place))
            pip = (str(self._python(client)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            run_command(*pip, *client.packages)
            run_command(*pip, "--target", str(place / "zstd"), *_ZSTD_PACKAGES)
        done.touch()

    def command(self, client: Client) -> list[str]:
        """How to start the driver, in the folder of the repository."""
        if client.is_node:
            return ["node", str(_DRIVERS / f"{client.driver}.mjs")]
        return [str(self._python(client)), "-m", f"tests.interop.drivers.{client.driver}"]

    def variables(self, client: Client, compress: str, ca: str | None) -> Mapping[str, str]:
        """The driver's environment variables: nothing of ours changes what it does, but for a CA to trust."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "SYSTEMROOT") if name in os.environ}
        if compress == "zstd-stream":
            kept["PYTHONPATH"] = str(self._place(client) / "zstd")
        if ca is not None:
            kept["NODE_EXTRA_CA_CERTS" if client.is_node else "SSL_CERT_FILE"] = ca
        return kept

    def modules(self, client: Client) -> str:
        """Where the driver of a Node client finds it."""
        return str(self._place(client))

    def _place(self, client: Client) -> Path:
        return self._folder / client.driver

    def _python(self, client: Client) -> Path:
        place = self._place(client)
        return place / "Scripts" / "python.exe" if sys.platform == "win32" else place / "bin" / "python"


def run_command(*command: str) -> None:
    """Run to the end; raises InstallError with one readable line."""
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    except FileNotFoundError as error:
        raise InstallError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{Path(command[0]).name} took longer than {_INSTALL_TIMEOUT:g} s") from error
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines() or [f"exit status {error.returncode}"]
        raise InstallError(f"{Path(command[0]).name}: {lines[-1]}") from error
