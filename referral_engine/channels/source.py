"""TOML text in, its tree and the place of every key and list element out; a text that cannot be read is one problem."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import tomli

from referral_engine.base.errors import Problem
from referral_engine.channels.scan import Place, Span, scan

TEXT_CHARACTERS_MAX = 1024 * 1024  # a file a person wrote is far smaller; stops a wrong file from filling memory
NESTING_MAX = 24  # brackets within brackets; stops a made-up file from exhausting the stack

_WHERE: Final = re.compile(
    r"(?s)(?P<sentence>.*?) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)"
)
_BRACKETS: Final = re.compile(r"[\[\]{}]")
_PATH_KEY: Final = re.compile(r"\s*([A-Z][A-Z0-9]{2}-\d+(?:\.\d+)*)\s*=")
_QUOTE_HELP: Final = 'text, times, codes and lists of them go in quotes, as in calendar = "default"'
_DEEP: Final = "brackets are nested too deeply to be a channel file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One file that is good TOML."""

    file: str  # as the analyst named it
    lines: tuple[str, ...]
    tree: Mapping[str, object]
    spans: Mapping[Place, Span]

    def line(self, number: int) -> str:
        """One line of the text, from 1; "" outside it."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def read_source(file: str, text: str) -> Source | Problem:
    """The tree and the places of one file, or the reason why it cannot be read."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    lines = tuple(text.split("\n"))
    if len(text) > TEXT_CHARACTERS_MAX:
        return Problem(file=file, line=0, column=1, code="CH003", sentence="the file is too large to be a channel file")
    if _depth(text) > NESTING_MAX:
        return Problem(file=file, line=0, column=1, code="CH003", sentence=_DEEP)
    try:
        tree = tomli.loads(text)
    except ValueError as error:
        return _unreadable(file, lines, str(error))
    except RecursionError:
        return Problem(file=file, line=0, column=1, code="CH003", sentence=_DEEP)
    return Source(file=file, lines=lines, tree=tree, spans=scan(text))


def _depth(text: str) -> int:
    """The deepest run of open brackets, quotes not considered: a cheap upper bound."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(text):
        depth = depth + 1 if bracket in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _unreadable(file: str, lines: tuple[str, ...], words: str) -> Problem:
    """The parser's complaint in the analyst's words, at the analyst's line."""
    found = _WHERE.fullmatch(words)
    said = found["sentence"] if found else words
    at_end = found is None or found["line"] is None
    line = len(lines) if found is None or found["line"] is None else int(found["line"])
    column = 1 if found is None or found["column"] is None else int(found["column"])
    while at_end and line > 1 and not lines[line - 1].strip():
        line -= 1
    source = lines[line - 1] if line <= len(lines) else ""
    code, sentence, hint = _in_words(said, source)
    width = 1
    if code == "CH002" or at_end:  # the parser points behind it: underline what stands there
        column = len(source) - len(source.lstrip()) + 1
        width = max(len(re.split(r"\s*=|\s+#", source.strip(), maxsplit=1)[0]), 1)
    return Problem(
        file=file, line=line, column=column, width=width, code=code, sentence=sentence, source=source, help=hint
    )


def _in_words(said: str, source: str) -> tuple[str, str, str]:
    """Code, sentence and help for what the parser said about one line."""
    path = _PATH_KEY.match(source)
    if path is not None and ("overwrite" in said or "twice" in said or "mutate" in said):
        return (
            "CH203",
            f"{path[1]} must be in quotes",
            f'write "{path[1]}" = ... (an unquoted dot means a table in TOML)',
        )
    if "overwrite" in said:
        return "CH002", "this is written twice in one table", "keep one of the two"
    if "twice" in said or "mutate" in said:
        return "CH002", "this table is written twice", "put all lines of a table under one heading"
    if "Expected '='" in said:
        return "CH001", 'expected "=" after the key', 'write "attended?" in quotes' if "?" in source else ""
    if "Invalid value" in said or "Expected newline" in said or "Unclosed array" in said or "Invalid date" in said:
        return "CH001", "the value cannot be read", _QUOTE_HELP
    if "Unescaped" in said:
        return "CH001", "a backslash stands between double quotes", "write a pattern between single quotes: '[0-9]+\\.'"
    if "Illegal character '\\n'" in said or "Unterminated string" in said or 'Expected "\'"' in said:
        return "CH001", "a quotation mark is missing at the end of the text", ""
    return "CH001", f"this is not TOML: {said[:1].lower()}{said[1:]}", ""
