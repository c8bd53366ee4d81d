"""Bad input gets one clear line on stderr and exit code 2, never a traceback."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway_proto import Intents
from gateway_transports.cli import main
from gateway_transports.cli.options import InputError, compression_settings, parse_intents, printable

from .cli_helpers import python


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "a-token")


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield str(listener.getsockname()[1])


def complaint(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """The one line that these arguments get."""
    assert main(args) == 2
    output = capsys.readouterr()
    assert output.out == ""
    [line] = output.err.splitlines()
    assert line.startswith("gateway-proto: ")
    return line.removeprefix("gateway-proto: ")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["run", "--intents", "guilds,foo"], "unknown intent 'foo'; GUILDS and GUILD_MESSAGES are some"),
        (["run", "--intents", "guild_message"], "did you mean GUILD_MESSAGES?"),
        (["run", "--intents", ""], "unknown intent ''"),
        (["run", "--intents", "9" * 16], "at most 15 digits"),
        (["run", "--gateway", "http://localhost"], "must begin with wss://"),
        (["run", "--gateway", "ws://user:pw@localhost"], "must not hold user info"),
        (["run", "--gateway", "ws://no-such-host.invalid"], "cannot resolve no-such-host.invalid"),
        (["run", "--gateway", f"ws://{'x' * 70}"], "no name that can be looked up"),
        (["run", "--api", "ftp://localhost"], "must begin with https://"),
        (["run", "--api", "http://no-such-host.invalid"], "cannot resolve no-such-host.invalid"),
        (["run", "--backend", "curio"], "'curio'"),
        (["run", "--compress", "gzip"], "'gzip'"),
        (["serve", "--host", "no-such-host.invalid"], "cannot listen on no-such-host.invalid:0"),
        (["serve", "--port", "70000"], "--port"),
        (["serve", "--rate", "0"], "--rate"),
        (["serve", "--rate", "nan"], "--rate"),
        (["serve", "--rate", "most"], "--rate must be 0.001 to 1e+06 events a second, or max"),
        (["serve", "--guilds", "100001"], "--guilds"),
        (["serve", "--members", "0"], "--members"),
        (["serve", "--shards", "0"], "--shards"),
        (["serve", "--journal", "/no/such/folder/journal"], "the journal /no/such/folder/journal cannot be written"),
        (["demo", "--events", "x"], "--events"),
        (["demo", "--events", "5", "--drops", "5"], "--drops must be less than --events"),
        (["demo", "--no-such-option"], "--no-such-option"),
        (["no-such-command"], "no-such-command"),
    ],
    ids=" ".join,
)
def test_one_line(args: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert text in complaint(capsys, *args)


@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_a_token_it_offers_the_demo(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DISCORD_TOKEN")
    if value is not None:
        monkeypatch.setenv("DISCORD_TOKEN", value)
    line = complaint(capsys, "run")
    assert line == "DISCORD_TOKEN is not set; put your bot's token there, or try: gateway-proto demo"


@pytest.mark.failure("F41")
@pytest.mark.parametrize("token", ["Bot s3cret-t0ken", "s3cret-t0ken with spaces", "s3cret-t0ken\x07"])
def test_a_token_that_is_none_is_not_shown(
    token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", token)
    assert "s3cret" not in complaint(capsys, "run", "--gateway", "ws://localhost")


def test_a_port_in_use(taken_port: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "in use" in complaint(capsys, "serve", "--port", taken_port)


def test_a_journal_is_not_overwritten_by_a_gateway_that_cannot_start(
    taken_port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "journal"
    journal.write_text("of yesterday\n")
    complaint(capsys, "serve", "--port", taken_port, "--journal", str(journal))
    assert journal.read_text() == "of yesterday\n"


@pytest.mark.parametrize("module", ["typer", "rich", "trustme"])
def test_without_the_extra_it_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from gateway_transports.cli import main; sys.exit(main([]))"
    with python("-c", code) as child:
        assert child.end() == (2, f"gateway-proto: {module} is missing; install gateway-proto[cli]\n")


def test_without_a_command_it_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    output = capsys.readouterr()
    assert all(command in output.out for command in ("demo", "run", "serve"))


@pytest.mark.parametrize(
    ("text", "intents"),
    [
        ("guilds", Intents.GUILDS),
        (" Guilds , GUILD_messages ", Intents.GUILDS | Intents.GUILD_MESSAGES),
        ("513", Intents.GUILDS | Intents.GUILD_MESSAGES),
        ("0", Intents.none()),
        ("none", Intents.none()),
        ("all", Intents.all()),
        ("unprivileged,guild_members", Intents.unprivileged() | Intents.GUILD_MEMBERS),
        (str(1 << 40), Intents(1 << 40)),
    ],
)
def test_intents(text: str, intents: Intents) -> None:
    assert parse_intents(text) == intents


def test_a_long_word_is_cut() -> None:
    with pytest.raises(InputError) as raised:
        parse_intents("x" * 5000)
    assert len(str(raised.value)) < 200


def test_compression_settings() -> None:
    assert compression_settings("none") == {"transport_compression": None}
    assert compression_settings("zlib") == {"payload_compression": True}
    assert compression_settings("zstd-stream") == {"transport_compression": "zstd-stream"}


def test_what_a_peer_says_cannot_move_the_cursor() -> None:
    assert printable("a\x1b[2J\r\nb\u202e") == "a\ufffd[2J b\ufffd"
