"""Every row of the failure list that is spoken for is borne by a test."""

import ast
import functools
from pathlib import Path

import pytest

ROWS = sorted({f"F{number:02}" for number in (*range(1, 39), 40, 41)})
TESTS = Path(__file__).parent


@functools.cache
def marked() -> dict[str, list[str]]:
    """The ids that `@pytest.mark.failure(…)` names in the sources, with the files that name them."""
    found: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("mark.failure"):
                for argument in node.args:
                    if isinstance(argument, ast.Constant):
                        found.setdefault(str(argument.value), []).append(path.name)
    return found


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_test(row: str) -> None:
    assert marked().get(row), f"no test bears {row}"


@pytest.mark.parametrize("row", ["F05", "F16", "F17", "F19", "F22", "F30", "F35", "F40"])
def test_the_servers_half_of_a_row_has_its_test(row: str) -> None:
    """What only the embedded gateway can make happen to a client is proven of the gateway itself, too."""
    assert any(name.startswith("test_server_") for name in marked().get(row, [])), f"no test of the server bears {row}"


def test_no_mark_names_a_row_that_is_none() -> None:
    assert all(row in {f"F{number:02}" for number in range(1, 44)} for row in marked())
