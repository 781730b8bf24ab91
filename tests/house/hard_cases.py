"""The hard cases and the tests that hold them: `python -m tests.house.hard_cases` brings docs/hard-cases.md up to date.

A test cites a case by its id in a comment: `# H035`, on its `def` line, above it or inside.  The sentence and the note
of a row are written by hand and stay as they are, and so do tests that are named by hand and exist.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from tests.house.tree import ROOT

DOCUMENT: Final = ROOT / "docs" / "hard-cases.md"
NAMED: Final = tuple(f"H{number:03}" for number in (*range(1, 60), *range(71, 90), 100, 129, 130, 131, 132))
NOTES: Final = ("open: ", "does not apply: ", "partly: ")  # how a note begins: what is left, or why there is no test
_ID: Final = re.compile(r"\bH\d{3}\b")
_ROW: Final = re.compile(r"^\| (H\d{3}) \| (.*?) \| (.*?) \| ?(.*?) ?\|$")
_TEST: Final = re.compile(r"`(tests/[^`:]+\.py)::(\w+)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case: what happens, what a correct engine does, which tests hold it, and what else there is to say."""

    case: str  # "H035"
    sentence: str
    tests: tuple[tuple[str, str], ...]  # file and name
    note: str

    def __str__(self) -> str:
        named = "<br>".join(f"`{file}::{name}`" for file, name in self.tests)
        return f"| {self.case} | {self.sentence} | {named} | {self.note} |"


def rows(text: str) -> list[Row]:
    """The rows of the document's tables."""
    return [
        Row(case=match[1], sentence=match[2], tests=tuple(_TEST.findall(match[3])), note=match[4])
        for line in text.splitlines()
        if (match := _ROW.match(line))
    ]


@cache
def citations() -> dict[str, tuple[tuple[str, str], ...]]:
    """Which tests cite which case, in the order of files and lines."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file = path.relative_to(ROOT).as_posix()
        for case, name in cited_in(path.read_text(encoding="utf-8")):
            found.setdefault(case, {})[file, name] = None
    return {case: tuple(tests) for case, tests in found.items()}


def cited_in(source: str) -> Iterator[tuple[str, str]]:
    """Case and test, for every id in a comment that stands in a test or directly above it."""
    if not _ID.search(source):
        return
    tests = sorted(
        (min([node.lineno, *(one.lineno for one in node.decorator_list)]), node.end_lineno or node.lineno, node.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and _is_test(node.name)
    )
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        inside = [name for start, end, name in tests if start <= line <= end]
        below = [name for start, _, name in tests if line < start <= line + 3]
        for name in (inside or below)[:1]:
            yield from ((case, name) for case in _ID.findall(token.string))


def _is_test(name: str) -> bool:
    return name.startswith("test_")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Every function of a file."""
    if not path.is_file():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def brought_up_to_date(text: str) -> str:
    """The document with every test that cites each case now; named ones that are gone are dropped."""
    lines = []
    for line in text.splitlines():
        found = rows(line)
        lines.append(str(_with_citations(found[0])) if found else line)
    return "\n".join(lines) + "\n"


def _with_citations(row: Row) -> Row:
    """The row with what it names by hand, as long as that exists, and with every test that cites it."""
    kept = {(file, name) for file, name in row.tests if name in names_in(ROOT / file)}
    return replace(row, tests=tuple(sorted(kept | set(citations().get(row.case, ())))))


if __name__ == "__main__":
    DOCUMENT.write_text(brought_up_to_date(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
