"""Every public sample message goes through the door once: it gets an answer or a stated reason for silence."""

from __future__ import annotations

from collections import Counter

import pytest

from referral_engine.journal.rows import Disposition, MessageRow
from tests.corpus.table import CORPUS, TABLE, open_to_anyone, rows, samples, through
from tests.flow.stage import book

MISSING = "the public sample messages are not beside the project"

pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=MISSING)


def _table(title: str, found: list[tuple[str, MessageRow]]) -> str:
    counted = Counter(
        (place.split("/")[0], row.type[:24], row.disposition.value, row.level, row.answer_code) for place, row in found
    )
    lines = [
        f"\n{title}: {len(found)} messages",
        f"{'folder':26}{'type':26}{'disposition':13}{'level':>5}  {'ack':4}{'count':>6}",
    ]
    for (folder, kind, disposition, level, code), number in sorted(counted.items()):
        shown = "".join(letter if letter.isprintable() else "." for letter in kind)
        lines.append(
            f"{folder:26}{shown:26}{disposition:13}{level if level >= 0 else '-':>5}  {code or '-':4}{number:>6}"
        )
    dispositions = Counter(row.disposition.value for _, row in found)
    codes = Counter(row.answer_code or "silence" for _, row in found)
    lines.append("in all: " + ", ".join(f"{word} {number}" for word, number in sorted((dispositions + codes).items())))
    return "\n".join(lines)


@pytest.mark.parametrize("who", ["shipped", "anyone"])
def test_every_corpus_message_gets_an_answer_or_a_reason_for_silence(who: str, capsys: pytest.CaptureFixture) -> None:
    given = samples()

    found = through(book() if who == "shipped" else open_to_anyone(), given)

    title = "senders as shipped" if who == "shipped" else "any sender is the EHR"
    with capsys.disabled():
        print(_table(title, found))
    assert {place.split("/")[0] for place, _ in found} == {path.name for path in CORPUS.iterdir() if path.is_dir()}
    assert len(found) == len(given) > 1_000
    for (_, raw), (_, row) in zip(given, found, strict=True):
        assert row.raw == raw
        assert row.reason or row.disposition is Disposition.APPLIED
        assert row.answer or row.reason


def test_a_message_that_was_answered_is_answered_with_its_own_control_id() -> None:
    given = samples()

    for _, row in through(open_to_anyone(), given):
        if row.answer and row.key.control_id and row.answer_code in ("AA", "CA"):
            assert row.key.control_id[:199] in row.answer


def test_the_second_time_every_corpus_message_gets_its_first_answer() -> None:
    given = [one for one in samples() if not one[0].startswith("simhospital")]

    found = through(open_to_anyone(), given + given)

    half = len(given)
    assert [row.answer for _, row in found[:half]] == [row.answer for _, row in found[half:]]
    assert [row.sequence for _, row in found[:half]] == [row.sequence for _, row in found[half:]]


def test_what_is_read_out_of_every_sample_is_what_the_reviewed_table_says() -> None:
    """A difference is a change to look at; `python -m tests.corpus.table` then writes the table anew."""
    assert "\n".join(rows()) + "\n" == TABLE.read_text(encoding="utf-8")


def test_the_folder_is_where_the_tests_say() -> None:
    assert (CORPUS / "simhospital" / "messages.out").is_file()
