"""Gateway URLs taken apart, and which resume URL may be given the token (F03)."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_proto.errors import BuildingUrlError
from gateway_proto.secret import Secret
from gateway_proto.url import GatewayUrl, parse_gateway_url, parse_resume_url

BASE = parse_gateway_url("wss://gateway.discord.gg")
PARAMETERS = {"v": "10", "encoding": "json"}


@pytest.mark.parametrize(
    ("url", "parsed", "host_header"),
    [
        ("wss://gateway.discord.gg", (True, "gateway.discord.gg", 443, "/", ()), "gateway.discord.gg"),
        ("wss://gateway.discord.gg:443/", (True, "gateway.discord.gg", 443, "/", ()), "gateway.discord.gg"),
        ("WSS://Gateway.Discord.GG:8443/x", (True, "gateway.discord.gg", 8443, "/x", ()), "gateway.discord.gg:8443"),
        ("ws://127.0.0.1:8080?v=9&a=", (False, "127.0.0.1", 8080, "/", (("v", "9"), ("a", ""))), "127.0.0.1:8080"),
        ("ws://[::1]", (False, "::1", 80, "/", ()), "[::1]"),
        ("ws://[::1]:443/", (False, "::1", 443, "/", ()), "[::1]:443"),
        ("wss://localhost:80/#fragment", (True, "localhost", 80, "/", ()), "localhost:80"),
    ],
)
def test_parse(url: str, parsed: tuple[object, ...], host_header: str) -> None:
    assert parse_gateway_url(url) == parsed
    assert parse_gateway_url(url).host_header == host_header


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gateway.discord.gg",
        "//gateway.discord.gg",
        "https://gateway.discord.gg",
        "wss:gateway.discord.gg",
        "wss://",
        "wss://:443",
        "wss://host:0",
        "wss://host:65536",
        "wss://host:port",
        "wss://host:-1",
        "wss://[::1",
        "wss://[no address]",
        "wss://user@host",
        "wss://user:password@host",
        "wss://@host",
        "wss://host name",
        "wss://host\r\nHeader: x",
        "wss://höst",
        "wss://host/\x00",
    ],
)
def test_what_cannot_be_dialled(url: str) -> None:
    with pytest.raises(BuildingUrlError):
        parse_gateway_url(url)


URL_PARTS = st.sampled_from(
    ["wss", "ws", "://", "host", "[::1]", "[", "]", ":", "443", "/", "?", "#", "@", "a=b", "%", "\\"]
)


@given(st.one_of(st.text(), st.lists(URL_PARTS, max_size=12).map("".join), st.from_regex(r"\Awss?://.{0,30}\Z")))
@example("wss://[v1.x]")
@example("wss://\u2100")
@example("wss://h?" + "&".join(["a=1"] * 5000))
def test_no_text_raises_anything_else(url: str) -> None:
    try:
        parsed = parse_gateway_url(url)
    except BuildingUrlError:
        return
    assert parsed.host
    assert 1 <= parsed.port <= 65535
    target = parsed.target(PARAMETERS)
    assert target.startswith("/")
    assert target.isascii()
    assert target.isprintable()
    assert " " not in target
    # What goes to a WebSocket of the embedder's framework means the same again.
    again = parse_gateway_url(parsed.full(PARAMETERS).reveal())
    assert again[:4] == parsed[:4]
    assert set(PARAMETERS.items()) <= set(again.query)


@pytest.mark.failure("F03")
def test_parameters_are_appended_afresh() -> None:
    url = parse_gateway_url("wss://host/path?v=6&token=a%20b&compress=zlib-stream&encoding=etf")
    target = url.target({"v": "10", "encoding": "json", "compress": "zstd-stream"})
    assert urlsplit(target).path == "/path"
    assert parse_qsl(urlsplit(target).query) == [
        ("token", "a b"),
        ("v", "10"),
        ("encoding", "json"),
        ("compress", "zstd-stream"),
    ]
    assert url.target(PARAMETERS) == url.target(PARAMETERS)


@pytest.mark.failure("F41")
def test_the_whole_url_is_a_secret() -> None:
    url = parse_gateway_url("wss://host:8443/?token=hidden")
    assert url.full(PARAMETERS).reveal() == "wss://host:8443/?token=hidden&v=10&encoding=json"
    assert repr(url.full(PARAMETERS)) == "***"
    assert "hidden" not in repr(url)


def resume(url: str | None, base: GatewayUrl = BASE, domains: tuple[str, ...] = ()) -> GatewayUrl:
    return parse_resume_url(None if url is None else Secret(url), base, domains)


@pytest.mark.failure("F03")
@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("wss://gateway-us-east1-b.discord.gg", "wss://gateway.discord.gg"),
        ("wss://gateway.discord.gg/?a=b", "wss://gateway.discord.gg"),
        ("wss://discord.gg:8443", "wss://gateway.discord.gg"),
        ("wss://GATEWAY.DISCORD.GG", "wss://gateway.discord.gg"),
        ("wss://127.0.0.1:9", "ws://127.0.0.1:8"),
        ("ws://127.0.0.1:9", "ws://127.0.0.1:8"),
        ("ws://[::1]:9", "ws://[::1]"),
        ("ws://localhost:9", "ws://localhost"),
        ("wss://a.example.org", "wss://example.org"),
    ],
)
def test_resume_urls_that_are_trusted(url: str, base: str) -> None:
    assert resume(url, parse_gateway_url(base)) == parse_gateway_url(url)


@pytest.mark.failure("F03")
@pytest.mark.parametrize(
    ("url", "base"),
    [
        (None, "wss://gateway.discord.gg"),
        ("", "wss://gateway.discord.gg"),
        ("https://gateway.discord.gg", "wss://gateway.discord.gg"),
        ("ws://gateway.discord.gg", "wss://gateway.discord.gg"),
        ("wss://user@gateway.discord.gg", "wss://gateway.discord.gg"),
        ("wss://evil.example", "wss://gateway.discord.gg"),
        ("wss://evildiscord.gg", "wss://gateway.discord.gg"),
        ("wss://discord.gg.evil.example", "wss://gateway.discord.gg"),
        ("wss://other.gg", "wss://discord.gg"),
        ("ws://127.0.0.2", "ws://127.0.0.1"),
        ("ws://1.0.0.1", "ws://127.0.0.1"),
        ("ws://[::2]", "ws://[::1]"),
        ("ws://otherhost", "ws://localhost"),
    ],
)
def test_resume_urls_that_are_not(url: str | None, base: str) -> None:
    with pytest.raises(BuildingUrlError):
        resume(url, parse_gateway_url(base))


@pytest.mark.failure("F03")
def test_a_user_may_trust_further_domains() -> None:
    domains = ("proxy.example",)
    assert resume("wss://eu.proxy.example", domains=domains).host == "eu.proxy.example"
    assert resume("wss://proxy.example", domains=domains).host == "proxy.example"
    assert resume("wss://x.discord.gg", domains=domains).host == "x.discord.gg"
    with pytest.raises(BuildingUrlError):
        resume("wss://evilproxy.example", domains=domains)
    with pytest.raises(BuildingUrlError):
        resume("ws://proxy.example", domains=domains)


@pytest.mark.failure("F03", "F41")
@given(
    st.text(), st.sampled_from(["wss://evil.example/?", "wss://gateway.discord.gg/ ", "ws://gateway.discord.gg/?", ""])
)
def test_a_refused_resume_url_is_not_told(query: str, start: str) -> None:
    url = f"{start}token=hidden{query}"
    with pytest.raises(BuildingUrlError) as caught:
        resume(url)
    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.failure("F03")
@pytest.mark.parametrize(
    "host", ["x..discord.gg", ".discord.gg", "discord.gg.", f"{'a' * 64}.discord.gg", "a*b.discord.gg"]
)
def test_a_host_that_no_resolver_takes_is_refused(host: str) -> None:
    """A resolver answers such a name by an exception of its own kind."""
    with pytest.raises(BuildingUrlError):
        parse_gateway_url(f"wss://{host}")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "gateway-us-east1-b.discord.gg", "a" * 63])
def test_a_host_that_can_be_looked_up_is_taken(host: str) -> None:
    assert parse_gateway_url(f"wss://{host}").host == host.strip("[]")
