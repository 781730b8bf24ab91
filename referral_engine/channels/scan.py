"""Good TOML text in, the place of every key, table heading and list element out (tomllib keeps none)."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Place = tuple[str | int, ...]  # ("test", 0, "steps", 2, "expect")

_SPACE: Final = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_BLANK: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING: Final = re.compile(
    r'''(?s)"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:'{0,2})|"(?:[^"\\\n]|\\.)*"|'[^'\n]*\'''',
)
_SCALAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d[^\s,\]}#]*|[^\s,\]}#]+")


@dataclass(frozen=True, slots=True)
class Span:
    """Where a key stands (an element of a list: where its value stands), and where the value begins."""

    line: int  # from 1
    column: int  # from 1, in characters
    width: int  # in characters, as far as the first line goes
    value_line: int
    value_column: int
    value_width: int


def scan(text: str) -> Mapping[Place, Span]:
    """The span of every key, heading and element of a text that tomllib has accepted."""
    return _Scanner(text).whole()


class _Scanner:
    """One pass over one text."""

    def __init__(self, text: str) -> None:
        """Stand before the first character."""
        self.text = text
        self.at = 0
        self.spans: dict[Place, Span] = {}
        self.last: dict[Place, int] = {}  # arrays of tables: index of the newest
        self.starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def whole(self) -> Mapping[Place, Span]:
        """Headings and keys to the end of the text."""
        table: Place = ()
        self._skip(_SPACE)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._heading()
            else:
                self._pair(table)
            self._skip(_SPACE)
        return self.spans

    def _skip(self, pattern: re.Pattern[str]) -> None:
        """Move behind what `pattern` matches here."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _keys(self) -> list[str]:
        """A dotted key, and move behind it and its blanks."""
        parts = []
        while match := _KEY.match(self.text, self.at):
            quoted = match[0][0] in "\"'"
            parts.append(next(iter(tomllib.loads(f"{match[0]}=0"))) if quoted else match[0])
            self.at = match.end()
            blank = _BLANK.match(self.text, self.at)
            behind = blank.end() if blank else self.at
            if self.text[behind : behind + 1] != ".":
                break
            self.at = behind + 1
            self._skip(_BLANK)
        return parts

    def _heading(self) -> Place:
        """[table] or [[table]]: where its keys belong."""
        start = self.at
        double = self.text.startswith("[[", start)
        self.at += 2 if double else 1
        self._skip(_BLANK)
        names = self._keys()
        self._skip(_BLANK)
        self.at += 2 if double else 1
        place: Place = ()
        for name in names[:-1]:
            place = self._inside((*place, name))
        place = (*place, names[-1])
        if double:
            self.last[place] = self.last.get(place, -1) + 1
            self._mark(place, start, self.at, start, self.at)
        place = self._inside(place)
        self._mark(place, start, self.at, start, self.at)
        return place

    def _inside(self, place: Place) -> Place:
        """The newest table of an array of tables; any other table itself."""
        return (*place, self.last[place]) if place in self.last else place

    def _pair(self, table: Place) -> None:
        """One key = value."""
        start = self.at
        names = self._keys()
        end = self.at
        self._skip(_BLANK)
        self.at += 1  # the equals sign
        self._skip(_BLANK)
        place = (*table, *names)
        value = self.at
        self._value(place)
        for length in range(len(table) + 1, len(place) + 1):
            self._mark(place[:length], start, end, value, self.at)

    def _value(self, place: Place) -> None:
        """Any value, with all that is inside it."""
        opening = self.text[self.at]
        if opening == "[":
            self._list(place)
        elif opening == "{":
            self._inline(place)
        else:
            match = (_STRING if opening in "\"'" else _SCALAR).match(self.text, self.at)
            self.at = match.end() if match else len(self.text)

    def _list(self, place: Place) -> None:
        """[one, two]: each element has a span of its own."""
        self.at += 1
        index = 0
        self._skip(_SPACE)
        while self.text[self.at] != "]":
            start = self.at
            self._value((*place, index))
            self._mark((*place, index), start, self.at, start, self.at)
            index += 1
            self._skip(_SPACE)
            self.at += self.text[self.at] == ","
            self._skip(_SPACE)
        self.at += 1

    def _inline(self, place: Place) -> None:
        """{ one = 1, two = 2 }."""
        self.at += 1
        self._skip(_SPACE)
        while self.text[self.at] != "}":
            self._pair(place)
            self._skip(_SPACE)
            self.at += self.text[self.at] == ","
            self._skip(_SPACE)
        self.at += 1

    def _mark(self, place: Place, start: int, end: int, value_start: int, value_end: int) -> None:
        """Remember a place, unless it is known: the first heading of a table is the one to show."""
        if place not in self.spans:
            self.spans[place] = Span(*self._spot(start, end), *self._spot(value_start, value_end))

    def _spot(self, start: int, end: int) -> tuple[int, int, int]:
        """Line, column and width of a piece of the text."""
        line = bisect_right(self.starts, start)
        line_end = self.starts[line] - 1 if line < len(self.starts) else len(self.text)
        return line, start - self.starts[line - 1] + 1, max(min(end, line_end) - start, 1)
