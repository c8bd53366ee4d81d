"""The fuzz targets in the ordinary suite, without atheris: over their corpora and inputs of Hypothesis's making."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz import CORPUS, TARGETS
from fuzz.source import Script, Source, cut
from fuzz.target import load

REPOSITORY = CORPUS.parent.parent
SEEDS = [(name, file) for name in TARGETS for file in sorted(load(name).seeds())]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m fuzz …` as a user types it."""
    command = [sys.executable, "-m", "fuzz", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False)


def files() -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(CORPUS.rglob("*"))}


@pytest.mark.parametrize(("name", "file"), SEEDS)
def test_the_invariant_holds_for_the_corpus(name: str, file: str) -> None:
    data = (CORPUS / name / file).read_bytes()
    assert data == load(name).seeds()[file], f"the corpus is stale: python -m fuzz {name} --write-seeds"
    load(name).one_input(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_is_small_and_holds_nothing_else(name: str) -> None:
    seeds = load(name).seeds()
    assert {path.name for path in (CORPUS / name).iterdir()} == seeds.keys()
    assert 5 <= len(seeds) <= 30
    assert all(len(data) <= 2048 for data in seeds.values())


@pytest.mark.parametrize("name", TARGETS)
def test_the_invariant_holds_for_any_input(name: str) -> None:
    target = load(name)
    seeds = sorted(target.seeds().values())

    @given(st.lists(st.sampled_from(seeds) | st.binary(max_size=60), min_size=1, max_size=4), st.data())
    @settings(max_examples=150)
    def splice(parts: list[bytes], data: st.DataObject) -> None:
        mixed = bytearray(b"".join(parts))
        for _ in range(data.draw(st.integers(0, 3)) if mixed else 0):
            mixed[data.draw(st.integers(0, len(mixed) - 1))] = data.draw(st.integers(0, 255))
        target.one_input(bytes(mixed))

    splice()


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_opens_with_its_invariant_and_names_what_it_permits(name: str) -> None:
    said = ast.get_docstring(ast.parse((CORPUS.parent / f"{name}.py").read_text())) or ""
    assert "Invariant" in said
    assert "Permitted exceptions:" in said


def test_the_targets_need_no_atheris() -> None:
    program = "import sys; sys.modules['atheris'] = None; from fuzz.target import load\n" + "".join(
        f"load({name!r}).one_input(b'')\n" for name in TARGETS
    )
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)


def test_a_script_writes_what_a_source_reads() -> None:
    source = Source(Script().byte(3, 9).number(515).blob(b"abc").raw(b"rest").data)
    assert (source.pick("abcd"), source.byte(), source.number(), source.blob()) == ("d", 9, 515, b"abc")
    assert source
    assert source.rest() == b"rest"
    assert not source
    assert (source.byte(), source.number(), source.blob(), source.pick("xy")) == (0, 0, b"", "x")


@given(st.binary(max_size=3000), st.lists(st.integers(1, 100), min_size=1, max_size=3))
def test_cutting_loses_nothing(data: bytes, sizes: list[int]) -> None:
    assert b"".join(cut(data, sizes)) == data
    assert all(cut(data, sizes))


# -- the command line --------------------------------------------------------------------------------------------------


def test_the_list() -> None:
    done = run("--list")
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, list(TARGETS), "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing"], "unknown target 'nothing'"),
        ([], "no target"),
        (["lane", "--seconds", "x"], "invalid int"),
        (["lane", "--seconds", "0"], "must be 1 or more"),
        (["lane", "--seed", "0"], "--seed must be"),
        (["lane", "--input", "missing/file"], "cannot read"),
        (["lane", "--no-such-option"], "unrecognized"),
    ],
)
def test_a_mistake_gets_one_line(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("fuzz: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_one_input_by_hand() -> None:
    done = run("envelope", "--input", str(CORPUS / "envelope" / "hello"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "envelope: the invariant holds\n", "")


def test_a_run_ends_by_itself_the_same_for_a_seed_and_leaves_no_trace(tmp_path: Path) -> None:
    before = files()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "fuzz", "envelope", "--runs", "500", "--seed", "7"]
    done = [
        subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        for _ in range(2)
    ]
    assert done[0].returncode == 0, done[0].stderr
    assert done[0].stdout.startswith("envelope: the invariant holds; ")
    assert done[0].stdout == done[1].stdout
    assert files() == before
    assert list(tmp_path.iterdir()) == []
