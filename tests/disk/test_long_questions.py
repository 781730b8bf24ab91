"""A question that takes too long is cut off: the door does not wait for it, and the log does not grow behind it.

F-B09, F-I11; H089.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.errors import TookTooLong
from referral_engine.journal.conservation import balance
from referral_engine.journal.journal import LOOK_STEPS, Journal
from referral_engine.journal.log import Log
from referral_engine.journal.reading import Reading
from tests.disk.given import NODE, fill, take
from tests.journal.made import KEY, in_memory

# A report nobody should write: every message with every message.
_ENDLESS = "SELECT count(*) FROM messages a, messages b, messages c, messages d, messages e"


class Watch:
    """A watch that is looked at by the question itself."""

    def __init__(self, looks_allowed: int) -> None:
        self.looks = 0
        self._looks_allowed = looks_allowed

    def out_of_time(self) -> bool:
        self.looks += 1
        return self.looks > self._looks_allowed


def test_a_question_that_takes_too_long_is_cut_off_and_the_journal_goes_on() -> None:
    journal = in_memory()
    fill(journal, 100)
    watch = Watch(looks_allowed=5)

    with pytest.raises(TookTooLong, match="ask for less"):
        journal.read(watch.out_of_time)._rows(_ENDLESS)

    assert watch.looks == 6
    assert not TookTooLong.lasting
    assert not journal.fenced
    assert journal.read().counts().received() == 100
    take(journal, 1000)


def test_a_short_question_is_not_cut() -> None:
    journal = in_memory()
    fill(journal, 100)

    reading = journal.read(Watch(looks_allowed=0).out_of_time)

    assert len(reading.messages(limit=10)) == 10
    assert LOOK_STEPS > 1000


def test_a_batch_is_never_cut_whatever_was_asked_before_it() -> None:
    journal = in_memory()
    journal.read(lambda: True)

    with journal.batch(1) as unit:
        count = journal._connection.execute(
            "WITH RECURSIVE up (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 100000) SELECT count(*) FROM up"
        ).fetchone()
        unit.next_sequence()

    assert count == (100_000,)


def test_counting_every_row_is_cut_off_too() -> None:
    journal = in_memory()
    for number in range(1, 700):
        take(journal, number)
    journal.read(lambda: True)

    with pytest.raises(TookTooLong, match="let a scrub do it"):
        balance(journal._connection, deep=True)


def test_a_question_holds_up_neither_the_log_nor_its_copy(tmp_path: Path) -> None:
    # H089: questions are asked between batches on the journal's own connection, so no snapshot outlives one
    journal = Journal.open(str(tmp_path / "journal.db"), KEY, node=NODE, now=1)
    journal._log = Log(journal._connection, str(tmp_path / "journal.db"), limit=50)
    reading: Reading = journal.read(Watch(looks_allowed=5).out_of_time)
    fill(journal, 100)
    with pytest.raises(TookTooLong):
        journal.read(Watch(looks_allowed=5).out_of_time)._rows(_ENDLESS)

    for number in range(1000, 1060):
        take(journal, number, bytes(3000))
        reading.messages(limit=1)

    assert not journal._log.crowded
    assert journal._log.bytes < 3 * 50 * 4120
    journal.close()
