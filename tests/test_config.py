"""What Discord would refuse is refused when the settings are made."""

from typing import Any

import msgspec
import pytest

from gateway_proto.config import DEFAULT_URL, USER_AGENT, Limits, ShardConfig
from gateway_proto.errors import BuildingUrlError, InvalidConfigError
from gateway_proto.intents import Intents
from gateway_proto.presence import NO_PRESENCE
from gateway_proto.secret import Secret


def config(**settings: Any) -> ShardConfig:
    return ShardConfig(**{"token": Secret("hidden-token"), "intents": Intents.GUILDS, **settings})


def test_defaults() -> None:
    made = config()
    assert made.url == DEFAULT_URL == "wss://gateway.discord.gg"
    assert made.shard is None
    assert made.presence == NO_PRESENCE
    assert made.limits == Limits()
    assert made.user_agent == USER_AGENT
    assert set(made.properties) == {"os", "browser", "device"}
    assert made.properties is not config().properties


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"token": Secret("")}, "the token is empty"),
        ({"token": "a string"}, r"given as Secret\(token\)"),
        ({"token": Secret("Bot hidden-token")}, 'without the prefix "Bot "'),
        ({"token": Secret("hidden token")}, "one word"),
        ({"token": Secret("hidden-token\n")}, "one word"),
        ({"token": Secret("hidden-tökén")}, "one word of printable ASCII"),
        ({"shard": (1, 1)}, r"not \(1, 1\)"),
        ({"shard": (-1, 1)}, "0 <= id < total"),
        ({"shard": (0, 0)}, "0 <= id < total"),
        ({"payload_compression": True, "transport_compression": "zlib-stream"}, "exclude each other"),
        ({"payload_compression": True, "transport_compression": "zstd-stream"}, "exclude each other"),
        ({"payload_compression": True, "encoding": "etf"}, "ETF exclude each other"),
        ({"encoding": "xml"}, "not 'xml'"),
        ({"encoding": "etf"}, "not 'etf'"),
        ({"transport_compression": "gzip"}, "zlib-stream, zstd-stream or None, not 'gzip'"),
        ({"transport_compression": ""}, "zlib-stream"),
        ({"large_threshold": 49}, "50 to 250, not 49"),
        ({"large_threshold": 251}, "50 to 250, not 251"),
        ({"max_reconnects": -1}, "max_reconnects"),
        ({"intents": -1}, "negative"),
        ({"user_agent": ""}, "user_agent"),
        ({"user_agent": "   "}, "user_agent"),
        ({"user_agent": "a\r\nAuthorization: x"}, "user_agent"),
        ({"user_agent": "ümlaut"}, "user_agent"),
    ],
)
def test_refusals(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidConfigError, match=why) as caught:
        config(**settings)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://gateway.discord.gg", "gateway.discord.gg", "wss://", "wss://u@h"])
def test_a_url_that_cannot_be_dialled(url: str) -> None:
    with pytest.raises(BuildingUrlError):
        config(url=url)


@pytest.mark.parametrize(
    "settings",
    [
        {"shard": (0, 1)},
        {"shard": (15, 16)},
        {"payload_compression": True},
        {"transport_compression": "zlib-stream"},
        {"transport_compression": "zstd-stream"},
        {"large_threshold": 50},
        {"large_threshold": 250},
        {"max_reconnects": 0},
        {"intents": Intents.none()},
        {"intents": Intents(1 << 50)},
        {"url": "ws://127.0.0.1:8080"},
        {"user_agent": "x"},
        {"identify_extra": {"capabilities": 1}},
    ],
)
def test_what_is_accepted(settings: dict[str, Any]) -> None:
    made = config(**settings)
    for name, value in settings.items():
        assert getattr(made, name) == value


def test_a_changed_copy_is_checked_too() -> None:
    with pytest.raises(InvalidConfigError):
        msgspec.structs.replace(config(), large_threshold=1)


@pytest.mark.failure("F41")
def test_it_prints_no_token() -> None:
    assert "hidden" not in f"{config()!r} {config()}"
    assert "token=***" in repr(config())


def test_every_limit_is_positive() -> None:
    assert all(value > 0 for value in msgspec.structs.astuple(Limits()))


@pytest.mark.parametrize("name", Limits.__struct_fields__)
def test_a_limit_that_nothing_can_keep_is_refused(name: str) -> None:
    with pytest.raises(InvalidConfigError, match=name):
        Limits(**{name: -1})


def test_no_zstd_window_is_smaller_than_its_format_allows() -> None:
    with pytest.raises(InvalidConfigError, match="max_zstd_window must be at least 1024"):
        Limits(max_zstd_window=1023)
