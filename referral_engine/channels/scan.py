"""Good TOML text in, the place of every key, table heading and list element out (the parser keeps none).

A place is looked for when it is asked for: most files have nothing wrong, and nobody asks where their values stand.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import tomli

Place = tuple[str | int, ...]  # ("test", 0, "steps", 2, "expect")
_Mark = tuple[int, int, int, int]  # where a key begins and ends, and its value

_BARE: Final = "[A-Za-z0-9_-]+"
_STRING: Final = r"\"(?:[^\"\\\n]|\\.)*+\"|'[^'\n]*+'"
_LONG: Final = r"\"\"\"(?:[^\\]|\\.)*?\"\"\"\"{0,2}|'''.*?''''{0,2}"
_BETWEEN: Final = r"(?:[ \t\n]++|\#[^\n]*+)*+"
# Nearly every line of a file: what stands before it, a key, a value that is neither a container nor a long text.
_LINE: Final = re.compile(
    rf"""{_BETWEEN}(?:(?:({_BARE})|"([^"\\\n]++)"|'([^'\n]++)')[ \t]*+=[ \t]*+"""
    rf"""((?:{_STRING})(?!["'])|\d{{4}}-\d\d-\d\d[ ]\d[^\s,\]}}\#]*+|[^\s,\]}}\#"'\[{{][^\s,\]}}\#]*+)?)?"""
)
_SPACE: Final = re.compile(_BETWEEN)
_BLANK: Final = re.compile(r"[ \t]*")
_KEY: Final = re.compile(rf"{_BARE}|{_STRING}")
_TEXT: Final = re.compile(rf"(?s){_LONG}|{_STRING}")
_SCALAR: Final = re.compile(r"\d{4}-\d\d-\d\d \d[^\s,\]}#]*|[^\s,\]}#]+")
_FLAT: Final = re.compile(rf"""[\[{{](?:[^\[\]{{}}"'\#]++|(?:{_STRING})(?!["']))*+[\]}}]""")  # holds plain values only
_TABLE: Final = re.compile(rf"\[({_BARE})\]|\[\[({_BARE})\]\]")
_BRACKET: Final = re.compile(rf"(?s){_LONG}|{_STRING}|\#[^\n]*+|[\[\]{{}}]")  # or what may hide one


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
    """The span of every key, heading and element of a text that the parser has accepted."""
    return _Spans(text)


class _Spans(Mapping[Place, Span]):
    """The places of one text: those of its lines at the first question, those inside a value when one is asked for."""

    def __init__(self, text: str) -> None:
        """Look at nothing yet."""
        self._text = text
        self._scanner: _Scanner | None = None
        self._starts: list[int] = []  # of lines

    def __getitem__(self, place: Place) -> Span:
        """The span of one place.  Raises KeyError when it is not written."""
        mark = self._read().find(place)
        if mark is None:
            raise KeyError(place)
        return self._span(mark)

    def __contains__(self, place: object) -> bool:
        """Whether the place is written."""
        return isinstance(place, tuple) and self._read().find(place) is not None

    def __iter__(self) -> Iterator[Place]:
        """Every place, a table before what is in it."""
        scanner = self._read()
        while scanner.folded:
            scanner.unfold(next(iter(scanner.folded)))
        return iter(scanner.marks)

    def __len__(self) -> int:
        """How many places are written."""
        return sum(1 for _ in self)

    def _read(self) -> _Scanner:
        if self._scanner is None:
            self._scanner = _Scanner(self._text)
            self._scanner.whole()
        return self._scanner

    def _span(self, mark: _Mark) -> Span:
        if not self._starts:
            self._starts = [0, *(match.end() for match in re.finditer("\n", self._text))]
        start, end, value_start, value_end = mark
        return Span(*self._spot(start, end), *self._spot(value_start, value_end))

    def _spot(self, start: int, end: int) -> tuple[int, int, int]:
        """Line, column and width of a piece of the text."""
        line = bisect_right(self._starts, start)
        line_end = self._starts[line] - 1 if line < len(self._starts) else len(self._text)
        return line, start - self._starts[line - 1] + 1, max(min(end, line_end) - start, 1)


class _Scanner:
    """One pass over the lines of one text; what is inside lists and inline tables stays folded."""

    def __init__(self, text: str) -> None:
        """Stand before the first character."""
        self.text = text
        self.at = 0
        self.marks: dict[Place, _Mark] = {}
        self.folded: dict[Place, int] = {}  # lists and inline tables that have not been looked into: where they begin
        self.last: dict[Place, int] = {}  # arrays of tables: index of the newest

    def find(self, place: Place) -> _Mark | None:
        """The mark of one place, None when it is not written."""
        mark = self.marks.get(place)
        length = 1
        while mark is None and length < len(place):
            if place[:length] in self.folded:
                self.unfold(place[:length])
                mark = self.marks.get(place)
            length += 1
        return mark

    def unfold(self, place: Place) -> None:
        """Look into one list or inline table; what is in those inside it stays folded."""
        self.at = self.folded.pop(place)
        if self.text[self.at] == "[":
            self._list(place)
        else:
            self._inline(place)

    def whole(self) -> None:
        """Headings and keys to the end of the text."""
        text, marks = self.text, self.marks
        table: Place = ()
        while True:
            line = _LINE.match(text, self.at)
            assert line is not None, "everything in the pattern may be absent"
            self.at = line.end()
            key = line.lastindex
            if key == 4:  # behind the key's own group: the value was plain
                key = 1 if line[1] is not None else 2 if line[2] is not None else 3
                start, end = line.span(key)
                quotes = key > 1
                marks.setdefault((*table, line[key]), (start - quotes, end + quotes, *line.span(4)))
            elif key is not None:
                self.at = line.start(key) - (key > 1)
                self._pair(table)
            elif self.at >= len(text):
                return
            elif text[self.at] == "[":
                table = self._heading()
            else:
                self._pair(table)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        """Move behind what `pattern` matches here."""
        match = pattern.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def _keys(self) -> list[str]:
        """A dotted key, and move behind it and its blanks."""
        parts = []
        while match := _KEY.match(self.text, self.at):
            quoted = match[0][0] in "\"'"
            escaped = quoted and "\\" in match[0]
            parts.append(next(iter(tomli.loads(f"{match[0]}=0"))) if escaped else match[0][quoted : -quoted or None])
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
        usual = _TABLE.match(self.text, start)
        if usual is not None:
            names = [usual[usual.lastindex or 0]]
            self.at = usual.end()
        else:
            self.at += 2 if double else 1
            self._skip(_BLANK)
            names = self._keys()
            self._skip(_BLANK)
            self.at += 2 if double else 1
        place: Place = ()
        for name in names[:-1]:
            place = self._inside((*place, name))
            self._mark(place, start, self.at, start, self.at)  # a table that has no heading of its own
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
        """Move behind any value; one that holds others is folded."""
        opening = self.text[self.at]
        if opening in "[{":
            self.folded[place] = self.at
            self._skip_brackets()
        else:
            match = (_TEXT if opening in "\"'" else _SCALAR).match(self.text, self.at)
            self.at = match.end() if match else len(self.text)

    def _skip_brackets(self) -> None:
        """Move behind the bracket that closes the one here."""
        flat = _FLAT.match(self.text, self.at)
        if flat is not None:
            self.at = flat.end()
            return
        depth = 0
        for match in _BRACKET.finditer(self.text, self.at):
            found = self.text[match.start()]
            if found in "[{":
                depth += 1
            elif found in "]}":
                depth -= 1
                if not depth:
                    self.at = match.end()
                    return

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

    def _inline(self, place: Place) -> None:
        """{ one = 1, two = 2 }."""
        self.at += 1
        self._skip(_SPACE)
        while self.text[self.at] != "}":
            self._pair(place)
            self._skip(_SPACE)
            self.at += self.text[self.at] == ","
            self._skip(_SPACE)

    def _mark(self, place: Place, start: int, end: int, value_start: int, value_end: int) -> None:
        """Remember a place, unless it is known: the first heading of a table is the one to show."""
        self.marks.setdefault(place, (start, end, value_start, value_end))
