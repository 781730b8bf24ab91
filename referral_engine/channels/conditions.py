"""Tables of the matcher grammar to matchers: which paths may be used, and every line that cannot mean anything."""

from __future__ import annotations

import re
from typing import Final

from referral_engine.base.values import replace
from referral_engine.channels import words
from referral_engine.channels.matcher import (
    MESSAGE_TYPE,
    REFERRED_TO,
    Condition,
    Matcher,
    OneOf,
    Test,
)
from referral_engine.channels.shape import Table, Unfit, nearest, of_kind
from referral_engine.channels.value_tests import is_named, named_at, read_test
from referral_engine.hl7.path import read_path

# Only what says nothing about a person: `route` prints these values.
SEGMENTS: Final = frozenset({"MSH", "ORC", "OBR", "PV1", "SCH", "TXA", "RF1", "PR1"})
FIELDS: Final = frozenset(
    {("PRD", 1), ("PRD", 7), ("IN1", 2), ("IN1", 3), ("IN1", 14), ("IN1", 15), ("OBX", 11)},
)
# What feeds may read besides: their values are never printed.
FEED_SEGMENTS: Final = SEGMENTS | {"EVN", "CON", "ARV", "NTE", "PRD"}
FEED_FIELDS: Final = FIELDS | {("PD1", 11), ("PD1", 12)}

_ALIKE: Final = frozenset({"OBX", "IN1", "PD1", "VAR"})  # of the standard, and near one that may be used
_PREFIX: Final = re.compile(r"[A-Z][A-Z0-9]{2}-[1-9][0-9]*")
_MESSAGE_TYPE: Final = re.compile(r"[A-Z0-9]{3}\^[A-Z0-9]{3}")
_USUAL: Final = "use MSH, ORC, OBR, PV1, SCH, TXA, RF1, PR1, PRD-1, PRD-7, IN1-2, IN1-3, IN1-14, IN1-15"
_ALLOWED: Final = f"{_USUAL} or OBX-11"
_ALLOWED_IN_FEEDS: Final = f"{_USUAL}, OBX-11, EVN, CON, ARV, NTE, PRD, PD1-11, PD1-12, OBX[3.1=...] or a Z-segment"


def read_matcher(table: Table, *, in_feed: bool = False, in_match: bool = False) -> Matcher:
    """Every line of `table` as a condition; lines that cannot mean anything are reported and left out.

    in_feed: senders' files may read more. in_match: [match] of a channel may ask for `referred_to` as well.
    """
    conditions = []
    for key, value in table.tree.items():
        table.known.append(key)
        if _complain_of_quotes(table, key, value):
            continue
        test: Test | None = None
        if in_match and key == REFERRED_TO:
            test = table.take(key, _read_npis, None)
        elif in_match and nearest(key, (REFERRED_TO,)):
            table.complain(key, "CH202", f'"{key}" is not a place in a message', f'did you mean "{REFERRED_TO}"?')
        elif _complain_of_path(table, key, in_feed=in_feed):
            test = table.take(key, named_at(key) if is_named(value) else read_test, None)
        if test is not None:
            _complain_of_type(table, key, test)
            conditions.append(Condition(path=key, test=test, line=table.line_of(key)))
    return Matcher(conditions=tuple(conditions))


def read_allowed_path(value: object) -> str:
    """A path that channels may read; raises Unfit."""
    return _allowed(of_kind(value, str), in_feed=False)


def read_feed_path(value: object) -> str:
    """Any path: the values a feed names are read, never printed."""
    text = of_kind(value, str)
    if read_path(text) is None:
        raise _not_a_path(text)
    return text


def read_exact_path(value: object) -> str:
    """A path down to its component: TQ1-7 is TQ1-7.1; raises Unfit."""
    path = read_path(read_feed_path(value))
    assert path is not None, "read_feed_path refuses what is no path"
    return str(path if path.component else replace(path, component=1))


def _read_npis(value: object) -> OneOf:
    """One NPI, or several of which any will do."""
    test = read_test(value)
    if not isinstance(test, OneOf):
        raise Unfit("CH105", "expected an NPI, or a list of them", 'write it as in "1234567893"', named=True)
    return OneOf(tuple(words.npi(one) for one in test.values))


def _complain_of_quotes(table: Table, key: str, value: object) -> bool:
    """An unquoted OBR-4.1 is a table OBR-4 with a key 1 to TOML; say what to write instead."""
    if not _PREFIX.fullmatch(key) or not isinstance(value, dict) or not value or not all(map(str.isdigit, value)):
        return False
    for component in value:
        path = f"{key}.{component}"
        table.page.complain(
            (*table.place, key, component),
            "CH203",
            f"{path} must be in quotes",
            f'write "{path}" = ... (an unquoted dot means a table in TOML)',
        )
    return True


def _complain_of_path(table: Table, key: str, *, in_feed: bool) -> bool:
    """Whether the path may be used; otherwise say why not."""
    try:
        _allowed(key, in_feed=in_feed)
    except Unfit as unfit:
        table.complain(key, unfit.code, unfit.sentence, unfit.hint)
        return False
    return True


def _allowed(text: str, *, in_feed: bool) -> str:
    """A readable path that is not about the patient; raises Unfit."""
    path = read_path(text)
    if path is None:
        raise _not_a_path(text)
    segments, fields = (FEED_SEGMENTS, FEED_FIELDS) if in_feed else (SEGMENTS, FIELDS)
    own = in_feed and (path.segment.startswith("Z") or (path.segment == "OBX" and path.where is not None))
    if path.segment in segments or (path.segment, path.field) in fields or own:
        return text
    meant = nearest(path.segment, sorted(segments | {segment for segment, _ in fields}))
    if meant and path.segment not in _ALIKE:
        right = f"{meant}{text.removeprefix(path.segment)}"
        raise Unfit("CH202", f'there is no segment "{path.segment}"', f'did you mean "{right}"?')
    if in_feed and path.segment == "OBX":
        hint = f'say which, as in "OBX[3.1=CONSENT]-{path.field}.{path.component or 1}"'
        raise Unfit("CH204", f"{text} could be any observation", hint)
    raise Unfit(
        "CH204",
        f"{text} may not be used here: values of patient segments are never printed",
        _ALLOWED_IN_FEEDS if in_feed else _ALLOWED,
    )


def _not_a_path(text: str) -> Unfit:
    """The complaint about text that names no place in a message."""
    if "[" in text:
        hint = 'write segment[field.component=value]-field.component, as in "OBX[3.1=REFTO]-5.1"'
        return Unfit("CH202", f'"{text}" is not a place in a message', hint)
    return Unfit("CH202", f'"{text}" is not a place in a message', 'write segment-field.component, as in "OBR-4.1"')


def _complain_of_type(table: Table, key: str, test: Test) -> None:
    """MSH-9 is compared as ORM^O01: anything else would never match."""
    if key != MESSAGE_TYPE or not isinstance(test, OneOf):
        return
    for value in test.values:
        if not _MESSAGE_TYPE.fullmatch(value):
            table.complain(key, "CH213", f'"{value}" is not a message type', 'write it as "ORM^O01"')
