"""Regular expressions of analysts: only those whose time grows with the value's length and never faster (RE2).

A pattern is kept as its text and compiled once a process: what holds one can be compared, copied and pickled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from referral_engine.channels.languages import SPELLED_MAX, spelled

PATTERN_LETTERS_MAX: Final = 500  # a longer one is a list of codes, or nobody's to read
PATTERN_BYTES_MAX: Final = 1024 * 1024  # of memory while it is compiled and matched; stops (((a{99}){99}){99}
KEPT_MAX: Final = 10_000  # compiled patterns of one process; a site of a thousand channels has a thousand
_BOUND_BYTES: Final = 32  # of the first and the last value a pattern can match

_LOOKS_AROUND: Final = ("(?=", "(?!", "(?<=", "(?<!")
_AROUND_HINT: Final = "list what may stand there, or write two lines"
_BACK_HINT: Final = 'a pattern remembers nothing: write the cases out, as in "AA|BB"'
_SYNTAX_HINT: Final = "RE2 syntax: letters, [A-Z], [0-9]+, (A|B), A?; a point, a bracket or a plus as a letter is \\."
_BACK_REFERENCE: Final = re.compile(r"\\(?:[1-9]|k)")
_WORDS: Final = {
    "bad repetition operator": "repeats what is already repeated",
    "no argument for repetition operator": "repeats nothing",
    "invalid repetition size": "repeats too often, or backwards (1000 times in all at most)",
    "invalid character class range": "is no range of letters",
    "invalid escape sequence": "is no escaped letter",
    "invalid named capture group": "is no name of a group",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a pattern is not taken."""

    sentence: str
    hint: str
    is_size: bool = False  # it is too long or too large, and else sound


def refusal(pattern: str) -> Refusal | None:
    """What is wrong with a pattern, with the place in it; None for a sound one."""
    if len(pattern) > PATTERN_LETTERS_MAX:
        return Refusal(
            f"the pattern has {len(pattern)} letters, and may have {PATTERN_LETTERS_MAX}",
            "list the codes, or use starts_with",
            is_size=True,
        )
    said = _compiled(pattern)
    return _in_words(pattern, said) if isinstance(said, str) else None


def fits(pattern: str, value: str) -> bool:
    """Whether the whole value is what the pattern says; no pattern fits an absent value.

    A value that is no text of its character set (a lone surrogate) fits none.
    """
    compiled = _compiled(pattern)
    if not value or isinstance(compiled, str):
        return False
    try:
        return compiled.fullmatch(value) is not None
    except UnicodeEncodeError:
        return False


@lru_cache(maxsize=KEPT_MAX)
def examples(pattern: str) -> tuple[tuple[str, ...], bool]:
    """Some values that a pattern fits, and whether these are all there are."""
    values, whole = spelled(pattern)
    fitting = tuple(value for value in values if fits(pattern, value))
    return fitting, whole and len(values) < SPELLED_MAX and len(fitting) == sum(1 for value in values if value)


def may_begin(pattern: str, prefixes: tuple[str, ...]) -> bool:
    """Whether some value that fits could begin with one of these; False is certain."""
    first, last = _bounds(pattern)
    starts = [prefix.encode() for prefix in prefixes]
    return any(first < start + b"\xff" and last >= start for start in starts)


def may_meet(pattern: str, other: str) -> bool:
    """Whether some value could fit both patterns; False is certain."""
    first, last = _bounds(pattern)
    other_first, other_last = _bounds(other)
    return first <= other_last and other_first <= last


def _library() -> Any:  # google-re2 carries no types
    """google-re2."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415  # 20 ms, for files that have a pattern

    return re2


@lru_cache(maxsize=KEPT_MAX)
def _compiled(pattern: str) -> Any:  # a text is what the library complains of
    """The compiled pattern, or the library's complaint."""
    re2 = _library()
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_BYTES_MAX
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        return error.args[0].decode() if isinstance(error.args[0], bytes) else str(error.args[0])
    except UnicodeEncodeError:
        return "invalid UTF-8"


@lru_cache(maxsize=KEPT_MAX)
def _bounds(pattern: str) -> tuple[bytes, bytes]:
    """No value that fits comes before the first or after the second, compared byte by byte."""
    compiled = _compiled(pattern)
    try:
        first, last = compiled.possiblematchrange(_BOUND_BYTES)
    except _library().error:  # of a pattern that begins with anything at all
        return b"", b"\xff\xff\xff\xff"
    return first, last


def _in_words(pattern: str, said: str) -> Refusal:
    """The library's complaint in the analyst's words, with the place in the pattern."""
    what, _, piece = said.partition(": ")
    if "too large" in said or "pattern too" in said:
        return Refusal("the pattern is too large: its repetitions multiply", "repeat less, or list", is_size=True)
    if what in {"missing )", "unexpected )", "missing ]"}:
        sign = what[-1]
        where = _unmatched(pattern) if sign == ")" else pattern.rfind("[") + 1
        missing = '"(" is never closed' if what == "missing )" else '")" closes nothing'
        sentence = missing if sign == ")" else '"[" is never closed'
        return Refusal(f"the pattern cannot be read at character {where}: {sentence}", _SYNTAX_HINT)
    where = pattern.find(piece) + 1
    at = f"at character {where}" if where else "somewhere"
    if piece.startswith(_LOOKS_AROUND):
        return Refusal(f'the pattern looks around with "{piece}" {at}, which may take for ever', _AROUND_HINT)
    if _BACK_REFERENCE.match(piece):
        return Refusal(f'the pattern looks back with "{piece}" {at}, which may take for ever', _BACK_HINT)
    words = _WORDS.get(what, "is not known")
    return Refusal(f'the pattern cannot be read {at}: "{piece}" {words}', _SYNTAX_HINT)


def _unmatched(pattern: str) -> int:
    """The place, from 1, of the first bracket without its other half."""
    opened: list[int] = []
    escaped = False
    for number, letter in enumerate(pattern, 1):
        if escaped or letter == "\\":
            escaped = not escaped
        elif letter == "(":
            opened.append(number)
        elif letter == ")":
            if not opened:
                return number
            opened.pop()
    return opened[-1] if opened else len(pattern)
