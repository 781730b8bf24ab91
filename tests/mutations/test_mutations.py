"""The tests are tested: each mistake of the table, made in a copy of the package, must be found by the tests named.

`make test` tries the quick ones; `make torture` tries all of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.mutations.table import MUTATIONS, Mutation

ROOT: Final = Path(__file__).resolve().parents[2]
BESIDE: Final = ("tests", "conf", "channels", "sample_messages", "benchmarks")  # read by tests, and not changed
SECONDS_MAX: Final = 150.0  # below the time at which a test that hangs ends the run
PASSED: Final = 0  # what pytest says
FAILED: Final = 1


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout whose package may be changed."""
    shutil.copytree(
        ROOT / "referral_engine", tmp_path / "referral_engine", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    for name in BESIDE:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def _mutate(copy: Path, mutation: Mutation) -> None:
    for edit in mutation.edits:
        path = copy / "referral_engine" / edit.file
        text = path.read_text()
        assert text.count(edit.old) == 1, (
            f"{mutation.name!r}: {edit.file} does not hold this text exactly once; the mutation must follow the code:\n"
            f"{edit.old}"
        )
        path.write_text(text.replace(edit.old, edit.new))


def _run(copy: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests against the copy."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "SIMULATION_"))}
    environment |= {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_PROFILE": "ci"}
    plugins = ("no:cacheprovider", "no:randomly", "no:xdist")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "--rootdir", str(copy), *(f"-p{one}" for one in plugins), *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )


def _found_out(copy: Path, mutation: Mutation) -> None:
    """Each killer must fail, and not for want of being there."""
    _mutate(copy, mutation)
    for killer in mutation.killers:
        ran = _run(copy, [killer])
        if "1 skipped" in ran.stdout and len(mutation.killers) > 1:
            continue  # what it needs is not on this machine; another killer is
        assert ran.returncode == FAILED, (
            f"{mutation.name!r} is not found by {killer}:\n{ran.stdout[-3000:]}{ran.stderr}"
        )


def _names(mutation: Mutation) -> str:
    return mutation.name.replace(" ", "-")


QUICK: Final = [mutation for mutation in MUTATIONS if mutation.quick]
SLOW: Final = [mutation for mutation in MUTATIONS if not mutation.quick]


@pytest.mark.parametrize("mutation", QUICK, ids=_names)
def test_the_mistake_is_found(mutation: Mutation, copy: Path) -> None:
    _found_out(copy, mutation)


@pytest.mark.torture
@pytest.mark.parametrize("mutation", SLOW, ids=_names)
def test_this_mistake_is_found_too(mutation: Mutation, copy: Path) -> None:
    _found_out(copy, mutation)


@pytest.mark.torture
def test_without_a_mistake_the_same_tests_pass(copy: Path) -> None:
    killers = sorted({killer for mutation in MUTATIONS for killer in mutation.killers})
    ran = _run(copy, killers)

    assert ran.returncode == PASSED, ran.stdout[-3000:] + ran.stderr


@pytest.mark.parametrize("mutation", MUTATIONS, ids=_names)
def test_the_text_that_a_mistake_changes_is_there(mutation: Mutation) -> None:
    for edit in mutation.edits:
        assert (ROOT / "referral_engine" / edit.file).read_text().count(edit.old) == 1, edit.file
        assert edit.old != edit.new
