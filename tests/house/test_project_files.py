"""The files around the package: the lock, the Makefile, CI, the licence, the changelog, the sample messages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT, files, text_of

PROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))
LOCKS = sorted(ROOT.glob("requirements*.lock"))
TARGETS = {"help", "setup", "demo", "run", "test", "torture", "check", "bench", "format", "lock", "clean"}
# Hosts that hand out packages; put together here, so that this file does not name them either.
REGISTRIES = [
    ".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("crates", "io"))
]


def requirements(lock: Path) -> dict[str, str]:
    """Name of each locked package, with everything the lock says about it."""
    entries = re.split(r"\n(?=\S)", "\n" + re.sub(r"(?m)^\s*#.*\n", "", text_of(lock)).strip())
    return {re.split(r"[=<>~ ;\[]", entry, maxsplit=1)[0]: entry for entry in map(str.strip, entries) if entry}


def wanted(extra: str | None = None) -> set[str]:
    """The names pyproject.toml asks for, as the lock writes them."""
    project = PROJECT["project"]
    asked = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {re.split(r"[\[<>=~ ;]", line, maxsplit=1)[0].lower().replace("_", "-") for line in asked}


def test_there_is_a_lock_for_the_machine_and_one_for_the_developer() -> None:
    assert [lock.name for lock in LOCKS] == ["requirements-dev.lock", "requirements.lock"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_the_lock_names_no_place_to_download_from(lock: Path) -> None:
    for word in ("http", "index-url", "find-links", "trusted-host", "file:", " @ "):
        assert word not in text_of(lock)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_has_one_version_and_a_hash(lock: Path) -> None:
    locked = requirements(lock)

    assert locked
    for name, entry in locked.items():
        assert re.match(r"[\w.-]+==[\w.+]+( ; .*)? \\\n", entry), f"{name} has no exact version"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), f"{name} has no hash"


def test_the_locks_hold_everything_the_project_asks_for() -> None:
    machine, developer = requirements(ROOT / "requirements.lock"), requirements(ROOT / "requirements-dev.lock")

    assert (wanted() | wanted("build")) <= set(machine)
    assert (wanted() | wanted("build") | wanted("test") | wanted("dev")) <= set(developer)


def test_the_developer_runs_the_versions_the_machine_runs() -> None:
    machine, developer = requirements(ROOT / "requirements.lock"), requirements(ROOT / "requirements-dev.lock")

    assert {name: developer.get(name) for name in machine} == machine


def test_the_lock_holds_what_builds_the_package() -> None:
    builders = {line.split(">")[0].replace("_", "-") for line in PROJECT["build-system"]["requires"]}

    assert builders <= set(requirements(ROOT / "requirements.lock"))


def test_every_dependency_says_why_it_is_there() -> None:
    text = text_of(ROOT / "pyproject.toml")
    asked = re.findall(r'(?m)^    "[\w\[\]-]+[>=]=[^"]+",(.*)$', text)

    lists = [PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"].values()]
    assert len(asked) == sum(map(len, lists))
    assert [rest for rest in asked if not re.search(r"# \S+", rest)] == []


def test_every_lint_exception_says_why() -> None:
    ruff = text_of(ROOT / "pyproject.toml").split("[tool.ruff.lint]")[1].split("[tool.ruff.lint.pydocstyle]")[0]
    exceptions = re.findall(r'(?m)^    "[A-Z]+\d*",(.*)$', ruff)

    assert len(exceptions) > 10
    assert [rest for rest in exceptions if not re.search(r"# \S+", rest)] == []


def test_no_file_names_a_package_registry() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {host}" for path in files() for host in REGISTRIES if host in text_of(path).lower()
    ]

    assert not named


def test_the_makefile_has_the_targets_and_says_what_each_is_for() -> None:
    makefile = text_of(ROOT / "Makefile")

    for target in TARGETS:
        assert re.search(rf"(?m)^{target}:.* ## \w", makefile), f"make {target}"
        assert re.search(rf"(?m)^\.PHONY: {target}$", makefile), f"make {target} would stop at a file of that name"


def test_make_alone_prints_what_there_is_to_make() -> None:
    said = subprocess.run(["make", "-C", str(ROOT), "--no-print-directory"], capture_output=True, text=True, check=True)

    assert {line.split()[1] for line in said.stdout.splitlines()} >= TARGETS


def test_ci_runs_check_and_test_and_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    lines = text_of(script).splitlines()

    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -euo pipefail" in lines
    assert lines.index("make check") < lines.index("make test")
    assert os.access(script, os.X_OK)


def test_the_licence_is_here_in_full() -> None:
    licence = text_of(ROOT / "LICENSE")

    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_changelog_begins_with_this_version() -> None:
    changelog = ROOT / "CHANGELOG.md"
    if not changelog.exists():
        pytest.skip("there is no CHANGELOG.md yet")

    top = re.search(r"(?m)^## \[?([\w.]+)\]?", text_of(changelog))

    assert top
    assert top.group(1) in {"Unreleased", PROJECT["project"]["version"]}


def test_every_sample_message_is_used() -> None:
    samples = [path for path in files() if path.relative_to(ROOT).parts[0] == "sample_messages"]
    if not samples:
        pytest.skip("there are no sample_messages/ yet")
    ours = ("tests", "sample_messages", "channels", "conf", "benchmarks", "referral_engine")
    used = "\n".join(
        text_of(path)
        for path in files()
        if path.relative_to(ROOT).parts[0] in ours and path.suffix in {".py", ".toml"} and path.parent.name != "house"
    )

    unused = [
        path.relative_to(ROOT).as_posix()
        for path in samples
        if path.suffix not in {".toml", ".md"} and not _is_named(path.name, used)
    ]

    assert not unused, "a sample no test or scenario names proves nothing"


def _is_named(name: str, text: str) -> bool:
    """Whether the name stands in the text, not as a part of a longer one; a search from place to place is quick."""
    at = text.find(name)
    while at >= 0:
        behind = at + len(name)
        if not re.fullmatch(r"[\w-]", text[max(at - 1, 0) : at]) and not re.fullmatch(r"\w", text[behind : behind + 1]):
            return True
        at = text.find(name, at + 1)
    return False


def test_a_name_counts_only_where_it_stands_alone() -> None:
    assert _is_named("a.hl7", "(feeds/a.hl7)")
    assert _is_named("a.hl7", "xa.hl7 a.hl7")
    assert not _is_named("a.hl7", "-a.hl7 a.hl7x xa.hl7")


def test_the_tests_run_on_the_python_the_project_promises() -> None:
    least = tuple(int(part) for part in PROJECT["project"]["requires-python"].removeprefix(">=").split("."))

    assert sys.version_info[:2] >= least
    assert "".join(PROJECT["tool"]["ruff"]["target-version"]) == "py" + "".join(map(str, least))
