"""The project as the house tests see it: its files, its modules as syntax trees, and the names of the floors."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "referral_engine"
_MADE = {".git", ".venv", "build", "dist", "var", "__pycache__", ".hypothesis"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """One Python file of the package."""

    path: str  # from the package's root: "loop/rules.py"
    source: str

    @property
    def floor(self) -> str:
        """The folder it lies in: "loop"; empty for the package's own __init__ and __main__."""
        return self.path.split("/")[0] if "/" in self.path else ""

    @property
    def name(self) -> str:
        """Its own name: "rules"."""
        return self.path.rsplit("/", 1)[-1].removesuffix(".py")

    def tree(self) -> ast.Module:
        """Its syntax tree, which nobody may change."""
        return _parsed(self.source, self.path)


@lru_cache(maxsize=2)  # the rules look at one module after another: all trees at once would fill the memory
def _parsed(source: str, path: str) -> ast.Module:
    return ast.parse(source, path)


@cache
def modules() -> tuple[Module, ...]:
    """Every Python file of the package."""
    return tuple(
        Module(path=path.relative_to(PACKAGE).as_posix(), source=path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    )


def sample(source: str, path: str = "loop/example.py") -> Module:
    """A made-up module, to see a rule find what it is there to find."""
    return Module(path=path, source=source)


@cache
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control; every file that nothing made, outside a repository."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0 and (ROOT / ".git").exists():
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not _made(path.relative_to(ROOT))]
    return tuple(sorted(path for path in found if path.is_file()))


def _made(path: Path) -> bool:
    return any(part in _MADE or part.endswith("_cache") for part in path.parts)


def text_of(path: Path) -> str:
    """A file's text; bytes that are no UTF-8 do not matter to the rules."""
    return path.read_text(encoding="utf-8", errors="replace")


def dotted(node: ast.expr) -> str:
    """`a.b.c` of an expression that is a chain of names, else an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := dotted(node.value)):
        return f"{head}.{node.attr}"
    return ""


@lru_cache(maxsize=2)  # every rule looks at all of them
def nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """The tree itself and everything below it."""
    return tuple(ast.walk(tree))


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method, inner ones too."""
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported: "time", "time.monotonic"."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
