"""docs/hard-cases.md cannot lie: every case has a test that exists, or says what is left or why there is none."""

from __future__ import annotations

import pytest

from tests.house.hard_cases import DOCUMENT, NAMED, NOTES, brought_up_to_date, citations, cited_in, names_in, rows
from tests.house.tree import ROOT, text_of

DOCUMENTED = {row.case: row for row in rows(text_of(DOCUMENT))}


@pytest.mark.parametrize("case", NAMED)
def test_a_case_is_held_by_a_test_or_says_why_not(case: str) -> None:
    row = DOCUMENTED.get(case)

    assert row is not None, "it has a row in docs/hard-cases.md"
    assert row.tests or case in citations() or row.note, "a test cites it, or the row says what is left"
    assert not row.note or row.note.startswith(NOTES), f"a note begins with one of {NOTES}"
    assert row.tests or not row.note.startswith("partly: "), "a part is held by a test"


def test_every_test_the_document_names_exists() -> None:
    gone = [
        f"{row.case}: {file}::{name}"
        for row in DOCUMENTED.values()
        for file, name in row.tests
        if name not in names_in(ROOT / file)
    ]

    assert not gone, "\n".join([*gone, "python -m tests.house.hard_cases brings the document up to date"])


def test_no_case_stands_twice_in_the_document() -> None:
    cases = [row.case for row in rows(text_of(DOCUMENT))]

    assert len(cases) == len(set(cases))


def test_a_citation_belongs_to_the_test_it_stands_in_or_above() -> None:
    source = (
        "# H001 of nothing: too far above\n\n\n\n\n"
        "# H002\n@mark\ndef test_b():\n    pass\n\n"
        "def test_c():  # H003 H004\n    # H005, F-B01\n    x = 'H006'\n\n"
        "def helps():\n    # H007\n    pass\n"
    )

    assert list(cited_in(source)) == [
        ("H002", "test_b"),
        ("H003", "test_c"),
        ("H004", "test_c"),
        ("H005", "test_c"),
    ]


def test_bringing_it_up_to_date_keeps_what_was_written_by_hand() -> None:
    by_hand = "| H131 | a sentence with a \\| in it | `tests/house/test_hard_cases.py::test_gone` | open: something |"

    again = brought_up_to_date(f"# A title\n\n{by_hand}\n")

    assert again == "# A title\n\n| H131 | a sentence with a \\| in it |  | open: something |\n"
