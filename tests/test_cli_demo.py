"""`gateway-proto demo`: what it counts, and what it says of it."""

import io
import json
import sys
from typing import Any, Final

import pytest
from rich.console import Console

from gateway_proto import ConnectionStage
from gateway_proto.server import DispatchFault, Repeat, Swap, Withhold
from gateway_transports.cli import demo_run, main
from gateway_transports.cli.demo import run_demo
from gateway_transports.cli.demo_run import Demo, DemoSettings, Outage
from gateway_transports.cli.demo_view import picture, rate_of

KEYS: Final = ["sent", "delivered", "lost", "duplicated", "out_of_order", "resumes", "identifies", "seconds"]


def settings(**fields: Any) -> DemoSettings:
    return DemoSettings(**{"events": 400, "drops": 1, "seed": 5} | fields)


def result(output: str) -> dict[str, Any]:
    [line] = output.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert list(found) == KEYS
    return found


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("compress", ["none", "zlib", "zlib-stream", "zstd-stream"])
def test_every_event_comes_once_and_in_order(backend: str, compress: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["demo", "--json", "--events", "1200", "--drops", "5", "--backend", backend, "--compress", compress])
    output = capsys.readouterr()
    counts = result(output.out)
    seconds = counts.pop("seconds")
    assert counts == {
        "sent": 1200,
        "delivered": 1200,
        "lost": 0,
        "duplicated": 0,
        "out_of_order": 0,
        "resumes": 5,
        "identifies": 1,
    }
    assert 0 < seconds < 20
    assert (code, output.err) == (0, "")


def test_without_json_it_says_so_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--events", "200", "--drops", "2", "--seed", "3"]) == 0
    output = capsys.readouterr()
    assert "delivered  200" in output.out
    assert "Every event came once and in order, through 2 resumes." in output.out
    assert output.err == ""


FAULTS: Final = {
    "lost": (Withhold(), {"delivered": 399, "lost": 1, "duplicated": 0, "out_of_order": 0}),
    "duplicated": (Repeat(), {"delivered": 400, "lost": 0, "duplicated": 1, "out_of_order": 0}),
    "out of order": (Swap(), {"delivered": 400, "lost": 0, "duplicated": 0, "out_of_order": 1}),
}


@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(("fault", "expected"), FAULTS.values(), ids=FAULTS)
def test_it_finds_each_fault(
    fault: DispatchFault, expected: dict[str, int], as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(settings(), faults={150: fault}, as_json=as_json) == 1
    output = capsys.readouterr()
    assert output.err == "gateway-proto: not every event came once and in order; --seed 5 sends the same again\n"
    if as_json:
        found = result(output.out)
        assert {name: found[name] for name in expected} == expected
        assert found["sent"] == 400
    else:
        for name, count in expected.items():
            assert f"{name.replace('_', ' ')}  {count}" in output.out
        assert "Not every event came once and in order." in output.out


def test_it_finds_them_all_in_one_run(capsys: pytest.CaptureFixture[str]) -> None:
    faults: dict[int, DispatchFault] = {100: Withhold(), 200: Repeat(), 300: Swap()}
    assert run_demo(settings(drops=3), faults=faults, as_json=True) == 1
    found = result(capsys.readouterr().out)
    assert [found[name] for name in KEYS[:-1]] == [400, 399, 1, 1, 1, 3, 1]


def test_it_does_not_wait_for_ever_for_what_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo_run, "PATIENCE", 0.05)
    assert run_demo(settings(), faults={400: Withhold()}, as_json=True) == 1
    assert result(capsys.readouterr().out)["lost"] == 1


def test_a_watched_one_shows_where_it_stands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert run_demo(settings(rate=2000.0), is_watched=True) == 0
    output = capsys.readouterr()
    for shown in ("connected", "latency", "events/s", "400 of 400 sent", "dropped behind event", "resumed in"):
        assert shown in output.err
    assert "delivered  400" in output.out


def test_the_picture_of_each_moment() -> None:
    demo = Demo(settings())

    def shown(latency: float | None = None) -> str:
        console = Console(file=io.StringIO(), width=100)
        with console.capture() as capture:
            console.print(picture(demo, latency, 1234.4))
        return capture.get()

    assert "disconnected" in shown()
    assert "latency   -" in shown()
    demo.stage = ConnectionStage.RESUMING
    demo.outages.append(Outage(at=1.5, number=77))
    assert "dropped behind event 77: reconnecting" in shown()
    demo.outages[0].seconds, demo.outages[0].replayed = 0.25, 12
    picture_now = shown(0.0125)
    assert "1.50 s  dropped behind event 77: resumed in 250 ms, 12 replayed" in picture_now
    assert "12.5 ms" in picture_now
    assert "1,234" in picture_now


def test_the_rate_is_that_of_the_last_moments() -> None:
    assert rate_of([(1.0, 10)]) == 0
    assert rate_of([(1.0, 10), (1.5, 20), (3.0, 110)]) == 50


def test_the_same_seed_draws_the_same_moments() -> None:
    assert vars(Demo(settings(drops=9)))["_drops"] == vars(Demo(settings(drops=9)))["_drops"]
    assert vars(Demo(settings(drops=9)))["_drops"] != vars(Demo(settings(drops=9, seed=6)))["_drops"]


def test_it_is_watched_where_somebody_can_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def run(settings: DemoSettings, *, is_watched: bool, **_: Any) -> int:
        seen.append(is_watched)
        assert (settings.rate is not None) == is_watched
        return 0

    monkeypatch.setattr("gateway_transports.cli.demo.run_demo", run)
    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda answer=is_terminal: answer, raising=False)
        main(["demo"])
        main(["demo", "--json"])
    assert seen == [True, False, False, False]
