"""The idle benchmark runs, and its rows are what they say. How much anything costs is not tested."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.idle import COMPRESSIONS

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(sys.platform != "linux", reason="the private pages are read from /proc")
def test_the_rows_of_a_run() -> None:
    command = [sys.executable, "-m", "tests.bench", "idle", "--json", "--shards", "2", "--seconds", "0.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert [row["compress"] for row in found] == list(COMPRESSIONS)
    for row in found:
        assert list(row) == [
            *("compress", "shards", "kib_per_shard", "cpu_percent"),
            *("bare_kib_per_shard", "bare_cpu_percent", "kib_ratio", "cpu_ratio"),
        ]
        assert row["shards"] == 2
        assert row["kib_per_shard"] > 0
        assert row["cpu_percent"] >= 0
