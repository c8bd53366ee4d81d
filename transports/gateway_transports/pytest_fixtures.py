"""The fixtures of the pytest plugin.

    @pytest.mark.discord_gateway(guilds=2, heartbeat_interval=1.0)
    def test_a_bot_resumes(discord_gateway):
        start_bot(discord_gateway.url, discord_gateway.token)
        discord_gateway.wait_for_identify()
        discord_gateway.drop()
        discord_gateway.wait_for(6)

`discord_gateway` is an `EmbeddedGateway` of its own for each test, in another thread: it goes with tests of asyncio, of
trio and without an event loop. Settings come from `discord_gateway_settings`, which a conftest may override, and from
markers, the closest last.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .embedded import EmbeddedGateway

_HOW_TO_INSTALL = "pip install 'gateway-proto[testing]'"


@pytest.fixture
def discord_gateway_settings() -> dict[str, Any]:
    """What every gateway of the tests below is set to; override it. Markers go before it."""
    return {}


@pytest.fixture
def discord_gateway(
    request: pytest.FixtureRequest, discord_gateway_settings: dict[str, Any]
) -> Iterator["EmbeddedGateway"]:
    """A running gateway that a client can connect to at once; it ends with the test."""
    try:
        from gateway_proto.errors import GatewayError

        from .embedded import embedded_gateway
    except ImportError as error:
        pytest.fail(f"discord_gateway needs {error.name or error}: {_HOW_TO_INSTALL}", pytrace=False)
    if not isinstance(discord_gateway_settings, Mapping):
        kind = type(discord_gateway_settings).__name__
        pytest.fail(f"the fixture discord_gateway_settings must return a dict, got {kind}", pytrace=False)
    settings = dict(discord_gateway_settings)
    for mark in reversed(list(request.node.iter_markers("discord_gateway"))):
        if mark.args:
            pytest.fail("the marker discord_gateway takes settings by name only, like guilds=3", pytrace=False)
        settings.update(mark.kwargs)
    try:
        if isinstance(settings.get("script"), str | Path):
            from .control import load_script

            settings["script"] = load_script(request.path.parent / settings["script"])
        gateway = embedded_gateway(**settings)
        running = gateway.__enter__()
    except GatewayError as error:
        pytest.fail(f"discord_gateway: {error}", pytrace=False)
    try:
        yield running
    finally:
        gateway.__exit__(None, None, None)
