"""What stands behind a path in a matcher to a test of its value; every reader refuses with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Final

from referral_engine.channels import patterns
from referral_engine.channels.code_names import CodeTable, places, table_at
from referral_engine.channels.matcher import Matches, OneOf, Present, StartsWith, Test
from referral_engine.channels.ranges import DATE_DIGITS_LEAST, Range, RangeKind, moment_of, number_of
from referral_engine.channels.shape import Unfit, found, nearest, of_kind
from referral_engine.hl7.path import Path

NAMED: Final = "named"
TESTS: Final = ("starts_with", "range", "matches", NAMED, "present", "absent")

_ENDS: Final = ("from", "to")
_TEST_HELP: Final = f"write text, a list, or one of {', '.join(f'{{ {test} = ... }}' for test in TESTS)}"
_RANGE_HELP: Final = 'write { range = [20, 40] }, { range = ["20250101", "20251231"] } or { range = { from = 65 } }'


def read_test(value: object) -> Test | None:
    """Text, a list of texts, or one of the small tables; raises Unfit for anything else."""
    match value:
        case str():
            return OneOf(_texts([value]))
        case list():
            return OneOf(_texts(value))
        case dict():
            return _small_table(value)
        case _:
            raise Unfit("CH103", f"expected text or a list, found {found(value)}", _TEST_HELP, named=True)


def is_named(value: object) -> bool:
    """Whether a value is { named = ... }, which is read with the place it stands at."""
    return isinstance(value, dict) and tuple(value) == (NAMED,)


def named_at(path: str) -> Callable[[object], Test]:
    """A reader of { named = ["new", "cancel"] } at a path: the codes of the standard's table by their names."""
    place = Path.parse(path)

    def read(value: object) -> Test:
        assert isinstance(value, dict), "is_named said so"
        argument = value[NAMED]
        names = _texts(argument if isinstance(argument, list) else [argument])
        table = table_at(place)
        if table is None:
            raise Unfit("CH222", f"the standard names no codes at {path}", f"names are known at {places()}")
        return OneOf(tuple(_code(table, name, path) for name in names), tuple(name.lower() for name in names))

    return read


def _code(table: CodeTable, name: str, path: str) -> str:
    """The code of one name, whatever its case; raises Unfit."""
    code = table.codes.get(name.lower())
    if code is not None:
        return code
    names = {code: name for name, code in table.codes.items()}
    near = nearest(name.lower(), tuple(table.codes))
    if name in names:
        hint = f'it is the code of "{names[name]}": write "{path}" = "{name}"'
    else:
        hint = f'did you mean "{near}"?' if near else f"names are {', '.join(table.codes)}"
    raise Unfit("CH221", f'"{name}" is no name in table {table.number} ({table.title})', hint)


def _small_table(value: Mapping[str, object]) -> Test:
    """One of TESTS with what it asks for."""
    if len(value) != 1 or next(iter(value)) not in TESTS:
        word = next((key for key in value if key not in TESTS), "")
        near = nearest(word, TESTS)
        what = f'there is no test "{word}"' if word else "expected one test"
        raise Unfit("CH105", what, f'did you mean "{near}"?' if near else _TEST_HELP, named=True)
    ((word, argument),) = value.items()
    match word:
        case "starts_with":
            return StartsWith(_texts(argument if isinstance(argument, list) else [argument]))
        case "range":
            return _range(argument)
        case "matches":
            return _matches(argument)
        case "named":
            raise Unfit("CH222", "the standard names no codes here", f"names are known at {places()}", named=True)
        case _:
            return Present(of_kind(argument, bool) is (word == "present"))


def _range(argument: object) -> Range:
    """[20, 40], or { from = ..., to = ... } of which one may be left out."""
    match argument:
        case [first, second]:
            low, high = _end(first), _end(second)
        case dict() if argument and set(argument) <= set(_ENDS):
            low, high = (_end(argument[end]) if end in argument else "" for end in _ENDS)
        case _:
            raise Unfit("CH223", "a range has two ends, or one that is named", _RANGE_HELP, named=True)
    kinds = {_kind(end) for end in (low, high) if end}
    if len(kinds) > 1:
        raise Unfit("CH223", f'"{low}" and "{high}" are not of one kind: one is a date', _RANGE_HELP)
    made = Range(kinds.pop(), low, high)
    if made.least is not None and made.most is not None and made.least > made.most:
        raise Unfit("CH223", f'the range ends ("{high}") before it begins ("{low}")', "write the smaller end first")
    return made


def _end(value: object) -> str:
    """One end, as a message would write it; raises Unfit."""
    match value:
        case bool():
            pass
        case datetime() if value.tzinfo is None:
            return f"{value:%Y%m%d%H%M%S}"
        case date() if not isinstance(value, datetime):
            return f"{value:%Y%m%d}"
        case str() if number_of(value) is None and moment_of(value) is not None and {"+", "-"} & set(value):
            raise Unfit("CH223", f'"{value}" has a zone', "leave it out: a date is compared by its own wall clock")
        case int() | float() | str() if number_of(str(value)) is not None or moment_of(str(value)) is not None:
            return str(value)
        case str():
            raise Unfit("CH223", f'"{value}" is neither a number nor a date', _RANGE_HELP)
    raise Unfit("CH223", f"an end is a number or a date without a zone, found {found(value)}", _RANGE_HELP)


def _kind(end: str) -> RangeKind:
    """A date has at least year, month and day, and the calendar has it; anything else is a number."""
    is_date = end.isdigit() and len(end) in {DATE_DIGITS_LEAST, 12, 14} and moment_of(end) is not None
    return "date" if is_date or number_of(end) is None else "number"


def _matches(argument: object) -> Matches:
    """A regular expression that takes time in proportion to the value; raises Unfit."""
    pattern = of_kind(argument, str)
    if not pattern:
        raise Unfit("CH214", "the pattern is empty", "write { absent = true } for a field without a value", named=True)
    refused = patterns.refusal(pattern)
    if refused is not None:
        raise Unfit("CH225" if refused.is_size else "CH224", refused.sentence, refused.hint)
    return Matches(pattern)


def _texts(values: list[object]) -> tuple[str, ...]:
    """Texts that something can be equal to or start with."""
    if not values:
        raise Unfit("CH214", "the list is empty, so nothing can match", named=True)
    texts = tuple(of_kind(value, str) for value in values)
    if "" in texts:
        raise Unfit("CH214", "the text is empty", "write { absent = true } for a field without a value", named=True)
    return texts
