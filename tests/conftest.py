"""What every test shares: Hypothesis profiles, the record of which failure rows were proven, the async backends."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,  # speed is no test here
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=bool(os.environ.get("CI")),
)
settings.load_profile("default")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--failures",
        metavar="FILE",
        type=Path,
        help="write {failure id: [node ids]} of the tests that ran and passed, as JSON",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_FailureRecord(config.getoption("--failures")), "failure-record")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The `interop` tests install other people's clients and take minutes: they run only where `-m` names them."""
    if "interop" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("interop")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


class _FailureRecord:
    """Collects the reports of this process; under xdist that is the controller, which sees every worker's."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._passed: dict[str, list[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        ids = sorted({str(failure) for mark in item.iter_markers("failure") for failure in mark.args})
        # user_properties travel from an xdist worker to the controller with the report.
        item.user_properties.append(("failures", ids))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" or not report.passed:
            return
        for name, value in report.user_properties:
            if name == "failures" and isinstance(value, list):
                for failure in value:
                    self._passed.setdefault(failure, []).append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._path is None or hasattr(session.config, "workerinput"):
            return
        ordered = {failure: sorted(nodes) for failure, nodes in sorted(self._passed.items())}
        self._path.write_text(json.dumps(ordered, indent=2) + "\n")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Every async test runs under both."""
    return str(request.param)
