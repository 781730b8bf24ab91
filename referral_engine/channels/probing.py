"""Which keys a reader of files asks for, and how it reads each: found by letting it read a page that has everything.

The page answers every question, notes it, and complains of nothing. A reader that asks other things of a file that
says another word (`kind = "fax"`) is run once for each word, so nothing it could ask stays unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import getclosurevars
from typing import Final, TypeVar

from referral_engine.channels.scan import Place
from referral_engine.channels.shape import Page, Reader, Table
from referral_engine.channels.source import Source

T = TypeVar("T")

ANY_KEY: Final = "OBR-4.1"  # stands for every key the analyst makes up; it is a place in a message, too
RUNS_MAX: Final = 2_000  # stops two words that bring each other into being

Words = tuple[str, ...]


class Asked:
    """One key of one table: how its value is read, and what is below it."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.readers: list[Reader[object]] = []
        self.default: object = None
        self.is_list = False  # one value may stand for a list of one
        self.tables = False  # an array of tables
        self.below: Level | None = None
        self.needed = 0  # how often the analyst had to write it, of all visits of its table

    def note(self, read: Reader[object], default: object) -> None:
        """Remember how it is read."""
        if not self.readers:
            self.default = default
        if not any(_same(read, known) for known in self.readers):
            self.readers.append(read)


class Level:
    """One table: its keys in the order they are asked for."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self.keys: dict[str, Asked] = {}
        self.known: dict[str, None] = {}  # keys it accepts; those that are never asked for are read some other way
        self.visits = 0

    def asked(self, key: str) -> Asked:
        """One key of it."""
        return self.keys.setdefault(key, Asked())


def probe(read: Callable[[Page], object], file: str) -> Level:
    """Everything `read` asks of a file.  file: a name the reader accepts, such as "conf/engine.toml"."""
    top = Level()
    words: dict[Place, Words] = {}
    done: set[tuple[Place, str]] = set()
    waiting: list[tuple[Place, str]] = [((), "")]
    while waiting and len(done) < RUNS_MAX:
        place, word = waiting.pop()
        done.add((place, word))
        for present in (True, False):
            page = _ProbePage(file, top, {place: word}, present=present)
            read(page)
            words |= page.words
        waiting += [(at, one) for at, all_of in words.items() for one in all_of if (at, one) not in done]
        waiting = list(dict.fromkeys(waiting))
    return top


def choices_of(read: Reader[object]) -> Mapping[str, object] | None:
    """The words a reader of one word of a closed set takes; None for any other reader."""
    held = getclosurevars(read).nonlocals.get("choices") if _made_by(read, "word") else None
    return held if isinstance(held, Mapping) else None


def held_by(read: Reader[object], maker: str) -> Mapping[str, object]:
    """What a reader made by one of the makers of `words` holds: its limits, its pattern; empty for any other."""
    return dict(getclosurevars(read).nonlocals) if _made_by(read, maker) else {}


def _made_by(read: Reader[object], maker: str) -> bool:
    return getattr(read, "__qualname__", "").startswith(f"{maker}.<locals>")


def _same(one: Reader[object], other: Reader[object]) -> bool:
    """Whether two readers are one, or made alike of the same limits, words or pattern."""
    if one is other:
        return True
    codes = (getattr(one, "__code__", one), getattr(other, "__code__", other))
    return codes[0] is codes[1] and getclosurevars(one).nonlocals == getclosurevars(other).nonlocals


class _ProbePage(Page):
    """A page that has everything, and is never wrong."""

    def __init__(self, file: str, level: Level, said: Mapping[Place, str], *, present: bool) -> None:
        super().__init__(Source(file=file, lines=(), tree={}, spans={}))
        self.said = said
        self.present = present
        self.words: dict[Place, Words] = {}
        self.top = _ProbeTable(self, (), level)

    def complain(self, place: Place, code: str, sentence: str, hint: str = "") -> None:
        """Nothing is wrong here."""

    def warn(self, place: Place, code: str, sentence: str, hint: str = "") -> None:
        """Nothing is odd here."""


class _ProbeTree(Mapping[str, object]):
    """What is written in a table: everything or nothing, and one key that the analyst made up."""

    def __init__(self, *, present: bool) -> None:
        self._present = present

    def __getitem__(self, key: str) -> object:
        if key == ANY_KEY:
            return {}
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return self._present or key == ANY_KEY

    def __iter__(self) -> Iterator[str]:
        return iter((ANY_KEY,))

    def __len__(self) -> int:
        return 1


class _ProbeTable(Table):
    """A table that notes what it is asked for."""

    def __init__(self, page: _ProbePage, place: Place, level: Level) -> None:
        super().__init__(page, place, _ProbeTree(present=page.present))
        self._page = page
        self._level = level
        level.visits += 1

    def take(self, key: str, read: Reader[T], default: T, *, origin: str = "") -> T:  # noqa: ARG002  # as `Table` has it
        self._level.asked(key).note(read, default)
        return self._answer(key, read, default)

    def need(self, key: str, read: Reader[T], stand_in: T) -> T:
        asked = self._level.asked(key)
        asked.note(read, None)
        asked.needed += 1
        return self._answer(key, read, stand_in)

    def several(self, key: str, read: Reader[T], default: tuple[T, ...]) -> tuple[T, ...]:
        asked = self._level.asked(key)
        asked.note(read, default)
        asked.is_list = True
        return default

    def table(self, key: str) -> Table | None:
        return self._below(key)

    def defaulted(self, key: str) -> Table:
        return self._below(key)

    def needed(self, key: str) -> Table:
        self._level.asked(key).needed += 1
        return self._below(key)

    def tables(self, key: str) -> Sequence[Table]:
        self._level.asked(key).tables = True
        return (self._below(key, 0),)

    def close(self) -> None:
        self._level.known |= dict.fromkeys(self.known)

    def line_of(self, key: str) -> int:  # noqa: ARG002  # nothing is written anywhere
        return 0

    def _below(self, key: str, *index: int) -> Table:
        asked = self._level.asked(key)
        asked.below = asked.below or Level()
        return _ProbeTable(self._page, (*self.place, key, *index), asked.below)

    def _answer(self, key: str, read: Reader[T], default: T) -> T:
        """What the file says: the word of this run, else the default."""
        choices = choices_of(read)
        if choices is None:
            return default
        place = (*self.place, key)
        self._page.words[place] = tuple(choices)
        said = self._page.said.get(place)
        return read(said) if said is not None and said in choices else default
