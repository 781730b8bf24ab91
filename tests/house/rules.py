"""The rules of the house: each takes one module and returns what breaks it, as `path:line: sentence`."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from tests.house.tree import Module, dotted, functions, imports, nodes

MODULE_LINES_MAX: Final = 400  # more is two ideas: split it by noun
FUNCTION_LINES_MAX: Final = 60

BANNED_WORDS: Final = {
    "handler", "handlers", "manager", "managers", "processor", "processors", "helper", "helpers", "util", "utils",
    "utility", "utilities", "data", "info", "misc", "do", "tmp",
}  # fmt: skip
# Names that others chose and that we must answer to.
ALLOWED_NAMES: Final = {
    "dataReceived": "Twisted calls it",
    "datagramReceived": "Twisted calls it",
    "handlers": "the standard library's logging says so",
}

CLOCK: Final = "service/clock.py"  # the one place that reads the machine's clock
_CLOCK_READS: Final = re.compile(
    r"(^|\.)(datetime\.(now|utcnow|today)|date\.today"
    r"|time\.(time|time_ns|monotonic|monotonic_ns|clock_gettime|clock_gettime_ns|localtime|gmtime))$"
)
_UUID: Final = re.compile(r"^uuid(\.|$)")

REVEALERS: Final = (
    "intake/*",  # reads patients out of messages
    "render/*",  # writes them into messages
    "service/web*.py",  # shows them to the people who care for them
    "service/shapes.py",  # the same, for `show`
    "service/review_shapes.py",  # the same, for `review show`
    "journal/codec.py",  # stores them in the encrypted file
)

SQL_FLOORS: Final = {"journal", "measures"}
_SQL: Final = re.compile(
    r"\bSELECT\s.+\bFROM\b|\bINSERT\s+(OR\s+\w+\s+)?INTO\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE\s+FROM\b"
    r"|\b(CREATE|DROP|ALTER)\s+(TABLE|INDEX|VIEW|TRIGGER)\b|^\s*PRAGMA\s",
    re.DOTALL,
)

CATCH_ALL_FLOORS: Final = {"service", "transports"}
LOGGING_FLOORS: Final = {"service", "transports", "cli"}
_LOG_CALLS: Final = {"debug", "info", "warning", "error", "exception", "critical", "msg", "log"}
_LOGGERS: Final = re.compile(r"(^|_)(log|logger|logs)$")

_SILENCED: Final = re.compile(r"#\s*(noqa|type:\s*ignore)\b")
_SILENCED_BY_CODE: Final = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\])")

Rule = Callable[[Module], list[str]]


def too_long(module: Module) -> list[str]:
    """A module ends by line 400, a function after 60 lines."""
    found = []
    lines = len(module.source.splitlines())
    if lines > MODULE_LINES_MAX:
        found.append(f"{module.path}: {lines} lines; {MODULE_LINES_MAX} are allowed")
    for node in functions(module.tree()):
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES_MAX:
            found.append(
                f"{module.path}:{node.lineno}: {node.name} has {length} lines; {FUNCTION_LINES_MAX} are allowed"
            )
    return found


def vague_name(module: Module) -> list[str]:
    """Modules, classes and functions say what they do: no handler, manager, processor, helper, util, data, info."""
    named = [(1, part) for part in module.path.removesuffix(".py").split("/")]
    named += [
        (node.lineno, node.name)
        for node in nodes(module.tree())
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    return [
        f"{module.path}:{line}: {name} says {word!r}; say what it does"
        for line, name in named
        if name not in ALLOWED_NAMES
        for word in _words(name)
        if word in BANNED_WORDS
    ]


def _words(name: str) -> list[str]:
    """The words of snake_case and CamelCase, in small letters."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def clock_read(module: Module) -> list[str]:
    """The machine's clock is read in one module, and no identifier comes from the machine."""
    if module.path == CLOCK:
        return []
    tree = module.tree()
    named = [(node.lineno, dotted(node)) for node in nodes(tree) if isinstance(node, ast.Attribute)]
    named += list(imports(tree))
    return [
        f"{module.path}:{line}: {name}; time and identifiers are handed in"
        for line, name in named
        if _CLOCK_READS.search(name) or _UUID.match(name)
    ]


def patient_revealed(module: Module) -> list[str]:
    """A patient's value is unwrapped only where it is read, written, stored or shown."""
    if any(fnmatchcase(module.path, allowed) for allowed in REVEALERS):
        return []
    return [
        f"{module.path}:{node.lineno}: .reveal() belongs in {', '.join(REVEALERS)}"
        for node in nodes(module.tree())
        if isinstance(node, ast.Attribute) and node.attr == "reveal"
    ]


def sql_outside_the_journal(module: Module) -> list[str]:
    """SQL stands in the journal and the measures."""
    if module.floor in SQL_FLOORS:
        return []
    return [
        f"{module.path}:{line}: SQL belongs in {' and '.join(sorted(SQL_FLOORS))}"
        for line, text in _strings(module.tree())
        if _SQL.search(text)
    ]


def _strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every string of the code that is no docstring."""
    told = {
        id(node.value) for node in nodes(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in nodes(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield node.lineno, node.value


def printed(module: Module) -> list[str]:
    """Only the command line prints."""
    if module.floor == "cli":
        return []
    return [
        f"{module.path}:{node.lineno}: print belongs in cli"
        for node in nodes(module.tree())
        if isinstance(node, ast.Call) and dotted(node.func) == "print"
    ]


def caught_all(module: Module) -> list[str]:
    """Nothing below service and transports catches what it does not know; nothing anywhere catches without a type."""
    found = []
    for node in nodes(module.tree()):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            found.append(f"{module.path}:{node.lineno}: a bare except")
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        if module.floor not in CATCH_ALL_FLOORS and {"Exception", "BaseException"} & {dotted(kind) for kind in caught}:
            found.append(f"{module.path}:{node.lineno}: only {' and '.join(sorted(CATCH_ALL_FLOORS))} catch everything")
    return found


def logged_low(module: Module) -> list[str]:
    """Only transports, service and cli log."""
    if module.floor in LOGGING_FLOORS:
        return []
    return [
        f"{module.path}:{line}: {name}; only {', '.join(sorted(LOGGING_FLOORS))} log"
        for line, name in imports(module.tree())
        if re.match(r"(structlog|logging|twisted\.logger|twisted\.python\.log)(\.|$)", name)
    ]


def log_made_of_values(module: Module) -> list[str]:
    """A log line is a fixed sentence; what changes goes into allow-listed fields."""
    return [
        f"{module.path}:{node.lineno}: a log line is a fixed sentence with fields, nothing is formatted into it"
        for node in nodes(module.tree())
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _LOG_CALLS
        and _LOGGERS.search(dotted(node.func.value).rsplit(".", 1)[-1])
        and node.args
        and not (isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str))
    ]


def word_of_another_floor(module: Module) -> list[str]:
    """hl7 never says referral, loop never says segment."""
    word = {"hl7": r"referral(?!s?[_-]engine)", "loop": r"segment"}.get(module.floor)
    if word is None or module.name == "__init__":  # a floor's first sentence may say what it does not know
        return []
    return [
        f"{module.path}:{number}: the floor {module.floor} does not know the word {found.group()!r}"
        for number, line in enumerate(module.source.splitlines(), 1)
        if (found := re.search(word, line, re.IGNORECASE))
    ]


def code_from_text(module: Module) -> list[str]:
    """Nothing stored or received ever becomes code."""
    return [
        f"{module.path}:{node.lineno}: {dotted(node.func)} turns text into code"
        for node in nodes(module.tree())
        if isinstance(node, ast.Call) and dotted(node.func) in {"eval", "exec", "compile", "__import__"}
    ]


def silenced_without_a_reason(module: Module) -> list[str]:
    """A checker is silenced by code and with a reason: `# noqa: BLE001  # why`, `# type: ignore[code]  # why`."""
    comments = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(module.source).readline)
        if token.type == tokenize.COMMENT
    ]
    return [
        f"{module.path}:{line}: {text}; say the code, and after it why"
        for line, text in comments
        if _SILENCED.search(text)
        and (_SILENCED.search(rest := _SILENCED_BY_CODE.sub("", text)) or not re.search(r"\w", rest))
    ]
