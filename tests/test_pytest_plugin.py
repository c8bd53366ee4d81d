"""The pytest plugin, as other people's tests have it: in a pytest of its own, elsewhere, on an installed wheel, too.

The one place besides interop where time is real: the clients under test are not ours to slow down.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from .shared_data import REPOSITORY

PATH: Final = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "transports")])
PATIENCE: Final = 100.0
README: Final = (REPOSITORY / "README.md").read_text()
SCRIPT: Final = """
[[step]]
when = { sequence = 1 }
t = "MESSAGE_CREATE"
d = { content = "from the script" }

[[step]]
when = { sequence = 2 }
fault = "drop"
flush = true
"""


def run(*args: str | Path, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    # No pytest of this repository's; no bytecode beside an installation that others read.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "PYTHON", "COV"))}
    return subprocess.run(
        [str(arg) for arg in args],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run_pytest(tests: str, folder: Path, *args: str, conftest: str = "") -> "subprocess.CompletedProcess[str]":
    """Run these tests with the plugin of this working copy."""
    (folder / "test_it.py").write_text(tests)
    (folder / "conftest.py").write_text(conftest)
    options = ("-p", "no:cacheprovider", "-q", "-W", "error", "--strict-markers")
    # By name and not by entry point: this copy's, whether or not one is installed, and anyio's for async tests.
    plugins = ("-p", "anyio", "-p", "gateway_transports.pytest_plugin")
    environment = {"PYTHONPATH": PATH, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return run(sys.executable, "-m", "pytest", *plugins, *options, *args, cwd=folder, **environment)


def bot_tests(folder: Path) -> Path:
    """Somebody's tests, in a folder of their own."""
    folder.mkdir()
    shutil.copy(Path(__file__).parent / "plugin_example.py", folder / "test_bot.py")
    shutil.copy(Path(__file__).parent / "embed_socket.py", folder)
    (folder / "lost.toml").write_text(SCRIPT)
    return folder


@pytest.mark.failure("F40")
def test_an_installed_wheel_brings_the_fixture(tmp_path: Path) -> None:
    if importlib.util.find_spec("hatchling") is None:
        assert os.environ.get("CI") != "true", "hatchling builds the wheel"
        pytest.skip("hatchling builds the wheel, and is not installed")
    built = run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index",
        "--wheel-dir", tmp_path, REPOSITORY, cwd=tmp_path,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    [wheel] = tmp_path.glob("*.whl")
    made = run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / "venv")}))
    # Its dependencies, and pytest, are the ones that are here already: nothing is downloaded. It comes before them.
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    python = tmp_path / "venv" / Path(sysconfig.get_path("scripts", "venv", {"base": ""})).name / "python"
    installed = run(
        sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel, cwd=tmp_path
    )
    assert installed.returncode == 0, installed.stderr
    folder = bot_tests(tmp_path / "bot")
    options = ("-p", "no:cacheprovider", "-q", "-W", "error", "--strict-markers", "-k", "resumes")
    done = run(python, "-m", "pytest", *options, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout, "on threads, asyncio and trio"
    where = run(python, "-c", "import gateway_transports; print(gateway_transports.__file__)", cwd=folder)
    assert where.stdout.startswith(str(site)), "the tests ran on something else"


@pytest.mark.failure("F40")
def test_somebody_elses_tests_pass_on_this_working_copy(tmp_path: Path) -> None:
    folder = bot_tests(tmp_path / "bot")
    done = run_pytest("", folder, "test_bot.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "8 passed" in done.stdout


@pytest.mark.failure("F40")
def test_the_readmes_test_of_a_bot_passes(tmp_path: Path) -> None:
    [block] = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "discord_gateway" in block]
    done = run_pytest(block, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_a_failing_test_ends_its_gateway(tmp_path: Path) -> None:
    tests = """
import socket, threading

held = []

def test_fails_while_a_client_is_connected(discord_gateway):
    port = int(discord_gateway.url.rpartition(":")[2])
    held.append((port, socket.create_connection(("127.0.0.1", port))))
    before.update(threading.enumerate())
    assert False, "as meant"

before = set()

def test_nothing_is_left():
    [(port, client)] = held
    with client:
        assert client.recv(1) == b""
    assert [thread.name for thread in before - {threading.main_thread()} if thread.is_alive()] == []
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return
    assert False, "it still listens"
"""
    done = run_pytest(tests, tmp_path)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "as meant" in done.stdout
    assert "error" not in done.stdout.lower().replace("assertionerror", "").replace("oserror", "")


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        ("heartbeat_intervall=1", "heartbeat_intervall is no setting of the gateway; did you mean heartbeat_interval?"),
        ("heartbeat_interval=0", "discord_gateway: heartbeat_interval must be more than 0"),
        ("shards='2'", "discord_gateway: shards must be int, got str"),
        ("3", "takes settings by name only, like guilds=3"),
        ("script='nowhere.toml'", "nowhere.toml cannot be read: No such file or directory"),
    ],
)
def test_a_mistake_in_a_marker_is_one_clear_line(tmp_path: Path, mark: str, told: str) -> None:
    tests = f"import pytest\n@pytest.mark.discord_gateway({mark})\ndef test_it(discord_gateway): pass\n"
    done = run_pytest(tests, tmp_path)
    assert done.returncode == 1
    assert told in done.stdout, done.stdout
    assert "Traceback" not in done.stdout
    assert ".py:" not in done.stdout.partition("short test summary")[0]


def test_settings_come_from_the_fixture_and_the_closest_marker(tmp_path: Path) -> None:
    conftest = """
import pytest

@pytest.fixture
def discord_gateway_settings():
    return {"shards": 7, "max_concurrency": 3, "token": "theirs"}
"""
    tests = """
import json, urllib.request
import pytest

pytestmark = pytest.mark.discord_gateway(guilds=2, max_concurrency=4)

def bot_info(gateway):
    headers = {"Authorization": f"Bot {gateway.token}"}
    request = urllib.request.Request(f"{gateway.api}/gateway/bot", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)

@pytest.mark.discord_gateway(max_concurrency=5)
def test_merged(discord_gateway):
    info = bot_info(discord_gateway)
    assert info["url"] == discord_gateway.url
    assert discord_gateway.token == "theirs"
    assert (info["shards"], info["session_start_limit"]["max_concurrency"]) == (7, 5)

def test_module(discord_gateway):
    assert bot_info(discord_gateway)["session_start_limit"]["max_concurrency"] == 4
"""
    done = run_pytest(tests, tmp_path, conftest=conftest)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_missing_dependency_is_told_only_when_the_fixture_is_used(tmp_path: Path) -> None:
    conftest = "import sys\nsys.modules['msgspec'] = None\n"
    tests = "def test_without(): pass\ndef test_with(discord_gateway): pass\n"
    done = run_pytest(tests, tmp_path, conftest=conftest)
    assert "1 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "discord_gateway needs msgspec: pip install 'gateway-proto[testing]'" in done.stdout


def test_who_does_not_use_it_pays_nothing(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["pytest"] = None
import gateway_transports.pytest_plugin
heavy = {"gateway_proto", "anyio", "asyncio", "msgspec", "h11", "wsproto", "ssl", "hypothesis", "trio"}
print(sorted(heavy & set(sys.modules)))
"""
    done = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=PATH)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    tests = "import sys\ndef test_it(): assert 'gateway_proto' not in sys.modules\n"
    assert run_pytest(tests, tmp_path).returncode == 0


def test_the_fixture_and_the_marker_are_listed(tmp_path: Path) -> None:
    assert (
        "@pytest.mark.discord_gateway(guilds=..., script=..., **settings): "
        in run_pytest("", tmp_path, "--markers").stdout
    )
    listed = run_pytest("", tmp_path, "--fixtures").stdout
    assert "A running gateway that a client can connect to at once" in listed
