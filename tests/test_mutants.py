"""The deliberate faults: that their list is true to the tree, and that trying one says what happened.

All of them are tried by `python -m tests.mutants`, which takes too long for the suite.
"""

import ast
import json
from pathlib import Path

import pytest

from .mutants.__main__ import ENOUGH, main
from .mutants.catalogue import MUTANTS
from .mutants.trial import Mutant, TrialError, Workshop, diff, make_copy, mutated, run_pytest
from .shared_data import REPOSITORY

PACKAGES = ("gateway_proto/", "transports/gateway_transports/")
CAUGHT = Mutant(
    "caught",
    "gateway_proto/backoff.py",
    "CAP: Final = 60.0",
    "CAP: Final = 90.0",
    "tests/test_backoff.py::test_the_bound_doubles_from_one_second_to_sixty_and_the_jitter_is_full",
)
SURVIVOR = CAUGHT._replace(id="survivor", new="CAP: Final = 60.00")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.id)
def test_each_applies_to_what_is_shipped_and_names_a_test_that_is_there(mutant: Mutant) -> None:
    assert mutant.file.startswith(PACKAGES)
    ast.parse(mutated(REPOSITORY, mutant))
    file, _, name = mutant.test.partition("::")
    tree = ast.parse((REPOSITORY / file).read_text())
    tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name.partition("[")[0] in tests


def test_there_are_enough_and_each_is_another() -> None:
    assert len(MUTANTS) >= ENOUGH
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)
    assert len({diff(REPOSITORY, mutant) for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize(
    "mutant", [CAUGHT._replace(old="CAP: Final = 61.0"), CAUGHT._replace(file="gateway_proto/no.py")]
)
def test_a_text_that_no_longer_applies_is_refused(mutant: Mutant, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"], [mutant]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "caught no longer applies: its text occurs 0 times" in err


def test_a_text_that_occurs_twice_is_refused() -> None:
    with pytest.raises(TrialError, match=r"occurs \d+ times"):
        mutated(REPOSITORY, CAUGHT._replace(old="Final", new="Any"))


def test_rows_say_what_happened_and_a_survivor_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"], [CAUGHT, SURVIVOR]) == 1
    out, err = capsys.readouterr()
    rows = json.loads(out)
    assert [(row["id"], row["file"], row["test"], row["caught"]) for row in rows] == [
        ("caught", CAUGHT.file, CAUGHT.test, True),
        ("survivor", SURVIVOR.file, SURVIVOR.test, False),
    ]
    changed = [line for line in rows[0]["diff"].splitlines() if line[0] in "-+"]
    assert changed == [
        f"--- a/{CAUGHT.file}",
        f"+++ b/{CAUGHT.file}",
        "-CAP: Final = 60.0",
        "+CAP: Final = 90.0",
    ]
    assert "survived: survivor" in err
    assert f"fewer than {ENOUGH}" in err


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(REPOSITORY, tmp_path_factory.mktemp("copies"), 1)


def test_a_tree_that_is_not_green_says_nothing_about_its_mutants(workshop: Workshop) -> None:
    with pytest.raises(TrialError, match="is not green"):
        workshop.check_green(["tests/test_backoff.py::test_that_is_not_there"])


def test_a_fault_that_keeps_the_test_from_running_is_not_caught_by_it(workshop: Workshop) -> None:
    with pytest.raises(TrialError, match="could not be run"):
        list(workshop.rows([CAUGHT._replace(new="CAP: Final = (")]))


def test_what_is_tested_is_the_copy_and_nothing_installed(tmp_path: Path) -> None:
    copy = make_copy(REPOSITORY, tmp_path / "copy")
    (copy / "gateway_proto").rename(tmp_path / "gateway_proto")
    code, output = run_pytest(copy, [CAUGHT.test])
    assert code not in (0, 1)
    assert "gateway_proto" in output
    (copy / "gateway_proto").symlink_to(tmp_path / "gateway_proto")
    code, output = run_pytest(copy, [CAUGHT.test])
    assert code not in (0, 1)
    assert "which is not in" in output
