"""Tables of TOML to typed values, field by field, so that every problem of a file is found at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from functools import partial
from typing import Final, TypeVar

import msgspec

from referral_engine.base.errors import Problem
from referral_engine.channels.later import Later
from referral_engine.channels.scan import Place, Span
from referral_engine.channels.source import Source
from referral_engine.loop.policy import Duration, Unit

T = TypeVar("T")
Reader = Callable[[object], T]

UNFIT_ELEMENTS_MAX: Final = 20  # of one list that are told; stops a pasted column from hiding every other mistake
NEAR_ENOUGH = 0.72  # "recieving_application" is near, "cover" is not near "order"

# Tables inside tables that a file of defaults lends key by key, as it does the outer ones.
INNER_TABLES: Final = (("sla", "in"), ("sla", "out"))

# The order matters where one kind is a part of another: true is also a number to Python.
KIND_WORDS: Final[tuple[tuple[type, str], ...]] = (
    (bool, "true or false"),
    (str, "text in quotes"),
    (int, "a whole number"),
    (float, "a number"),
    (datetime, "a date and time"),
    (date, "a date"),
    (time, "a time without quotes"),
    (dict, "a table"),
    (list, "a list"),
)


class Unfit(Exception):  # never leaves this floor: it becomes a Problem
    """A value that a reader refuses."""

    def __init__(self, code: str, sentence: str, hint: str = "", *, named: bool = False) -> None:
        """Say what is wrong with the value; named: the sentence needs the key before it."""
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.hint = hint
        self.named = named


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One value in force and where it comes from, for `config`."""

    key: str  # "transport.ack_timeout"
    value: str
    origin: str  # "default", "conf/engine.toml:12" or "channels/x.toml:34"


class Page:
    """One file while it is read: its source, what is wrong with it, what it decided."""

    def __init__(self, source: Source, today: date | None = None, lent: Source | None = None) -> None:
        """Begin with no problem.

        today: the day that permissions with a last day are compared with, None for none.
        lent: the file of defaults below this one; its tables hold where this file says nothing, key by key.
        """
        self.source = source
        self.today = today
        self.lent = lent
        self.problems: list[Problem] = []
        self.unread: list[tuple[Problem, str]] = []  # lent keys of no use here, and their table; another may use them
        self.settings: Later[Setting] = Later()
        self.noting = True  # whether what is read is in force; a test decides nothing
        self.troubled: set[str | int] = set()  # top tables with an error; what follows from one is not reported again
        self.top = Table(self, (), source.tree if lent is None else laid_over(source.tree, lent.tree))

    def complain(self, place: Place, code: str, sentence: str, hint: str = "") -> None:
        """Note one problem at a key, or at the nearest table above it that is written."""
        self.troubled.update(place[:1])
        self.problems.append(self.problem(place, code, sentence, hint))

    def warn(self, place: Place, code: str, sentence: str, hint: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.problems.append(self.problem(place, code, sentence, hint, warning=True))

    def problem(self, place: Place, code: str, sentence: str, hint: str = "", *, warning: bool = False) -> Problem:
        """One problem in the file that wrote the key, this one or the one lent to it; it is not noted."""
        return problem_at(self.whose(place), place, code, sentence, hint, warning=warning)

    def whose(self, place: Place) -> Source:
        """The file whose word counts at a place: this one, unless only the lent one says it."""
        if self.lent is None or len(place) < 2:
            return self.source
        told = place[: 3 if place[:2] in INNER_TABLES else 2]
        is_lent = _has(self.lent.tree, told) and not _has(self.source.tree, told)
        return self.lent if is_lent else self.source

    def not_used(self, place: Place, sentence: str, hint: str) -> bool:
        """Note a key that nobody here asks for, if it is a lent one: only when nobody else does is it a mistake."""
        is_own = place[0] in self.source.tree if len(place) == 1 else self.whose(place) is self.source
        if self.lent is None or len(place) > 2 or is_own:
            return False
        self.unread.append((problem_at(self.lent, place, "CH101", sentence, hint), str(place[0])))
        return True

    def line_of(self, place: Place) -> int:
        """The line of a key, 0 when it is not written."""
        span = self.whose(place).spans.get(place)
        return span.line if span else 0

    def origin_of(self, place: Place) -> str:
        """Where a key is written, as "channels/x.toml:34"; "" when it is not."""
        line = self.line_of(place)
        return f"{self.whose(place).file}:{line}" if line else ""


def laid_over(own: Mapping[str, object], lent: Mapping[str, object]) -> Mapping[str, object]:
    """A file's tables over those lent to it: table by table and key by key; what a key holds is never mixed.

    [sla.in] and [sla.out] are tables, too: a channel's own clock there takes no other lent clock away.
    """
    merged = dict(own)
    for name, below in lent.items():
        above = own.get(name, {})
        if isinstance(below, dict) and isinstance(above, dict):
            inner = [key for table, key in INNER_TABLES if table == name and key in below]
            both = [key for key in inner if isinstance(below[key], dict) and isinstance(above.get(key), dict)]
            merged[name] = {**below, **above, **{key: {**below[key], **above[key]} for key in both}}
    return merged


def _has(tree: Mapping[str, object], place: Place) -> bool:
    """Whether a tree has a value at a place."""
    value: object = tree
    for key in place:
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def problem_at(
    source: Source, place: Place, code: str, sentence: str, hint: str = "", *, warning: bool = False
) -> Problem:
    """One problem of a file with its line and its width."""
    span = _nearest(source, place)
    return Problem(
        file=source.file,
        line=span.line if span else 0,
        column=span.column if span else 1,
        width=span.width if span else 1,
        code=code,
        sentence=sentence,
        source=source.line(span.line) if span else "",
        help=hint,
        warning=warning,
    )


def _nearest(source: Source, place: Place) -> Span | None:
    """The span of `place`, or of what is around it."""
    for length in range(len(place), 0, -1):
        if place[:length] in source.spans:
            return source.spans[place[:length]]
    return None


class Table:
    """One table while it is read; `close` tells what nobody asked for and what is missing."""

    def __init__(self, page: Page, place: Place, tree: Mapping[str, object], *, written: bool = True) -> None:
        """Read nothing yet; a table that is not written has only defaults and misses nothing."""
        self.page = page
        self.place = place
        self.tree = tree
        self.written = written
        self.origin = "default"  # of what is not written here
        self.known: list[str] = []
        self.missing: list[str] = []

    def take(self, key: str, read: Reader[T], default: T, *, origin: str = "") -> T:
        """The value of `key`, or the default when it is absent or unfit; origin: the file that decided the default."""
        self.known.append(key)
        if key not in self.tree:
            self._note(key, default, origin)
            return default
        return self._fitting(key, self.tree[key], read, default)

    def need(self, key: str, read: Reader[T], stand_in: T) -> T:
        """As `take`, but the analyst has to say it; `stand_in` only serves to read on."""
        if key in self.tree:
            return self.take(key, read, stand_in)
        self.known.append(key)
        self.missing.append(key)
        return stand_in

    def several(self, key: str, read: Reader[T], default: tuple[T, ...]) -> tuple[T, ...]:
        """A list, or one value that stands for a list of one."""
        self.known.append(key)
        if key not in self.tree:
            self._note(key, default)
            return default
        value = self.tree[key]
        if not isinstance(value, list):
            return self._fitting(key, value, lambda one: (read(one),), default)
        taken: list[T] = []
        refused = 0
        for index, element in enumerate(value):
            try:
                taken.append(read(element))
            except Unfit as unfit:
                refused += 1
                self._refuse((*self.place, key, index), key, unfit)
            if refused == UNFIT_ELEMENTS_MAX:
                break
        self._note(key, tuple(taken))
        return tuple(taken)

    def table(self, key: str) -> Table | None:
        """The table under `key`, None when it is not written (or is not a table)."""
        self.known.append(key)
        if key not in self.tree:
            self._note(key, None)
            return None
        tree = self.tree[key]
        if isinstance(tree, dict):
            return Table(self.page, (*self.place, key), tree)
        self.complain(key, "CH103", f'"{key}": expected a table, found {found(tree)}')
        return None

    def defaulted(self, key: str) -> Table:
        """As `table`; when it is not written, an empty one whose every value is the default."""
        written = self.table(key) if key in self.tree else None
        self.known.append(key)
        return written or Table(self.page, (*self.place, key), {}, written=False)

    def needed(self, key: str) -> Table:
        """As `defaulted`, but the analyst has to write it."""
        if key not in self.tree:
            self.missing.append(key)
        return self.defaulted(key)

    def tables(self, key: str) -> Sequence[Table]:
        """Every table of an array of tables."""
        self.known.append(key)
        trees = self.tree.get(key, [])
        if not isinstance(trees, list) or not all(isinstance(tree, dict) for tree in trees):
            self.complain(key, "CH103", f'"{key}": expected [[{key}]] tables, found {found(trees)}')
            return ()
        return tuple(Table(self.page, (*self.place, key, index), tree) for index, tree in enumerate(trees))

    def close(self) -> None:
        """Report keys nobody knows and keys that are missing; a misspelt key is only the first."""
        for key in self.tree:
            if key in self.known:
                continue
            near = nearest(key, self.known)
            if near in self.missing:
                self.missing.remove(near)
            top = not self.place and isinstance(self.tree[key], dict)
            what = f"unknown table [{key}]" if top else f'unknown key "{key}"'
            meant = f"[{near}]" if top else f'"{near}"'
            where = f" in {self.name}" if self.place else ""
            hint = f"did you mean {meant}?" if near else _secret_hint(key)
            if not self.page.not_used((*self.place, key), f"{what}{where}", hint):
                self.complain(key, "CH101", f"{what}{where}", hint)
        for key in self.missing if self.written else ():
            what = f'missing "{key}" in {self.name}' if self.place else f"missing table [{key}]"
            self.page.complain(self.place, "CH102", what)

    @property
    def name(self) -> str:
        """The table as the analyst writes it: [sla], [[test]], transport.tls."""
        words = [part for part in self.place if isinstance(part, str)]
        source = self.page.whose(self.place)
        span = source.spans.get(self.place)
        heading = span is not None and source.line(span.line).lstrip().startswith("[")
        text = ".".join(words)
        if self.place and isinstance(self.place[-1], int):
            return f"[[{text}]]" if len(self.place) == 2 else f"a line of {words[-1]}"
        return f"[{text}]" if heading or len(words) == 1 else text

    def complain(self, key: str, code: str, sentence: str, hint: str = "") -> None:
        """Note one problem at a key of this table."""
        self.page.complain((*self.place, key), code, sentence, hint)

    def line_of(self, key: str) -> int:
        """The line of a key of this table, 0 when it is not written."""
        return self.page.line_of((*self.place, key))

    def origin_of(self, key: str) -> str:
        """Where a key of this table is written, as "channels/x.toml:34"; "" when it is not."""
        return self.page.origin_of((*self.place, key))

    def _fitting(self, key: str, value: object, read: Reader[T], default: T) -> T:
        """Read one value; what does not fit is reported and replaced by the default."""
        try:
            taken = read(value)
        except Unfit as unfit:
            self._refuse((*self.place, key), key, unfit)
            return default
        self._note(key, taken)
        return taken

    def _refuse(self, place: Place, key: str, unfit: Unfit) -> None:
        """Note what a reader said."""
        sentence = f'"{key}": {unfit.sentence}' if unfit.named else unfit.sentence
        self.page.complain(place, unfit.code, sentence, unfit.hint)

    def _note(self, key: str, value: object, origin: str = "") -> None:
        """Remember the value in force, and whether the file decided it."""
        if not self.page.noting:
            return
        self.page.settings.add(partial(self._told, key, value, origin or self.origin))

    def _told(self, key: str, value: object, otherwise: str) -> tuple[Setting]:
        """The value in force; otherwise: where it comes from when the file does not say it."""
        words = ".".join(str(part) for part in (*self.place, key))
        value = self.tree.get(key, value)  # as the analyst wrote it
        return (Setting(key=words, value=shown(value), origin=self.origin_of(key) or otherwise),)


def of_kind(value: object, kind: type[T]) -> T:
    """`value` as the kind of thing it has to be; raises Unfit in the analyst's words."""
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        raise Unfit("CH103", f"expected {dict(KIND_WORDS)[kind]}, found {found(value)}", named=True) from None


def found(value: object) -> str:
    """What kind of thing a value is, in words."""
    return next((words for kind, words in KIND_WORDS if isinstance(value, kind)), "something else")


def nearest(word: str, known: Sequence[str]) -> str:
    """The known word the analyst most likely meant; "" when none is near.

    Two letters that changed places are near in a short word, too: "pni" is "npi".
    """
    near = next(iter(get_close_matches(word, known, n=1, cutoff=NEAR_ENOUGH)), "")
    return near or next((one for one in known if sorted(one) == sorted(word)), "")


def shown(value: object) -> str:
    """A value as the analyst would write it; a bare float is a length of time in seconds."""
    match value:
        case bool():
            return "true" if value else "false"
        case bytes():
            return f'"{value.hex(" ").upper()}"'
        case dict():
            return f"{{ {', '.join(f'{key} = {shown(one)}' for key, one in value.items())} }}"
        case (time() as first, time() as second):
            return f'"{first:%H:%M}-{second:%H:%M}"'
        case tuple() | list():
            return f"[{', '.join(map(shown, value))}]"
        case None:
            return "none"
        case float():
            return f'"{_seconds(value)}"'
        case int() | date():
            return str(value)
        case _:
            return f'"{value}"'


def _seconds(amount: float) -> Duration:
    """A number of seconds in the largest unit that holds it."""
    whole = round(amount)
    units = ((86_400, Unit.DAYS), (3600, Unit.HOURS), (60, Unit.MINUTES))
    return next(
        (Duration(whole // size, unit) for size, unit in units if whole % size == 0), Duration(whole, Unit.SECONDS)
    )


def _secret_hint(key: str) -> str:
    """Where a secret belongs, for a key that looks like one."""
    if any(word in key.lower() for word in ("password", "secret", "token", "passphrase")):
        return "secrets are never written here: put a file into the credentials directory and name the file"
    return ""
