"""What a target's module offers, and how it is found by its name."""

import importlib
from pathlib import Path
from typing import Protocol, cast

from . import CORPUS


class Target(Protocol):
    """A module with these two functions."""

    def one_input(self, data: bytes) -> None:
        """Try one input. Returns if the invariant holds; raises otherwise."""

    def seeds(self) -> dict[str, bytes]:
        """The corpus: inputs by their file names, the same in every run and on every platform."""


def load(name: str) -> Target:
    """The target of this name, one of `TARGETS`."""
    return cast(Target, importlib.import_module(f"fuzz.{name}"))


def write_seeds(name: str) -> Path:
    """Bring the corpus folder of a target up to date with its `seeds()`. Returns the folder."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    seeds = load(name).seeds()
    for stale in set(folder.iterdir()) - {folder / file for file in seeds}:
        stale.unlink()
    for file, data in seeds.items():
        (folder / file).write_bytes(data)
    return folder
