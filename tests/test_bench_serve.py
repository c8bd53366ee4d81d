"""The benchmark of the served gateway runs, and its rows are what they say. How fast anything is is not tested."""

import sys

import pytest

from tests.bench import serve


@pytest.mark.skipif(sys.platform != "linux", reason="the private pages are read from /proc")
def test_the_rows_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "CLIENTS", (1, 3))
    monkeypatch.setattr(serve, "IDLE", 20)
    found = serve.rows(events=60, rounds=1)
    assert [row["clients"] for row in found] == [1, 3]
    for row in found:
        assert list(row) == [
            *("clients", "events_per_s", "server_cpu", "ratio_to_raw_socket", "kib_per_idle_connection"),
        ]
        assert row["events_per_s"] > 0
        assert row["ratio_to_raw_socket"] > 0
        assert row["kib_per_idle_connection"] > 0


def test_the_raw_writer_sends_the_bytes_of_the_gateway_in_its_chunks() -> None:
    served = serve._run(serve.Task(2, 40, []))
    assert sum(served.chunks) > 40 * 300
    raw = serve._run(serve.Task(2, 40, served.chunks))
    assert raw.chunks == []
    assert raw.seconds > 0
