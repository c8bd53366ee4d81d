"""A pytest plugin for a run inside a copy of the tree: what is tested must be the copy, and nothing installed."""

import importlib
from pathlib import Path

import pytest

PACKAGES = ("gateway_proto", "gateway_transports", "tests")


def pytest_configure(config: pytest.Config) -> None:
    for name in PACKAGES:
        origin = importlib.import_module(name).__file__
        if origin is None or not Path(origin).resolve().is_relative_to(config.rootpath.resolve()):
            raise pytest.UsageError(f"{name} was imported from {origin}, which is not in {config.rootpath}")
