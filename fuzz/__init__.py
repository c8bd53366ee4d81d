"""Fuzz targets of the engine, for atheris (libFuzzer): `python -m fuzz TARGET --seconds N`.

Each target is a module here. It opens with its invariant and names each exception that it permits; anything else that
leaves its `one_input` is a finding. `one_input` needs no atheris, so that the test suite runs it over the corpora and
over inputs of Hypothesis's making. This package imports nothing of the engine by itself: atheris must instrument it
first.
"""

from pathlib import Path
from typing import Final

TARGETS: Final = (
    "lane", "inflate", "envelope", "events", "upgrade", "discovery", "shard", "requests", "server", "world", "control",
    "script", "taps",
)  # fmt: skip
CORPUS: Final = Path(__file__).parent / "corpus"
"""A folder for each target, written by its `seeds()`."""
