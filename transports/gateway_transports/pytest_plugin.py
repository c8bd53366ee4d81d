"""The pytest plugin: a fixture and a marker, both `discord_gateway`, wherever it is installed; see `pytest_fixtures`.

Every pytest of the environment loads this, and most of them want nothing of it. So it costs next to nothing and needs
nothing: what a fixture needs is imported when a test asks for it.
"""

from typing import Any

pytest_plugins: tuple[str, ...] = ("gateway_transports.pytest_fixtures",)


def pytest_configure(config: Any) -> None:
    """Make the marker known."""
    config.addinivalue_line(
        "markers",
        "discord_gateway(guilds=..., script=..., **settings): settings of the fixture discord_gateway: "
        "fields of gateway_proto.server.ServerConfig, how many guilds (or their ids), a script or its TOML file.",
    )
