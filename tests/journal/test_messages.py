"""The same message twice, the same control id with other bytes, and a later look."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.journal.messages import REUSES_LOOKED_AT
from referral_engine.journal.rows import Disposition, Earlier
from tests.journal.made import a_key, a_message, in_memory


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_message_sent_again_is_known_with_its_answer(same_batch: bool) -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key()))
        if same_batch:
            assert unit.earlier(a_key()) == Earlier(sequence=1, answer=b"MSA|AA|1", same_bytes=True)

    with journal.batch(2) as unit:
        assert unit.earlier(a_key()) == Earlier(sequence=1, answer=b"MSA|AA|1", same_bytes=True)


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_control_id_used_again_is_told_apart(same_batch: bool) -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(content=b"one")))
        unit.add_message(a_message(unit.next_sequence(), a_key(content=b"two")))
        if same_batch:
            assert unit.earlier(a_key(content=b"three")) == Earlier(sequence=2, answer=b"MSA|AA|2", same_bytes=False)

    with journal.batch(2) as unit:
        assert unit.earlier(a_key(content=b"three")) == Earlier(sequence=2, answer=b"MSA|AA|2", same_bytes=False)
        assert unit.earlier(a_key(content=b"one")) == Earlier(sequence=1, answer=b"MSA|AA|1", same_bytes=True)


def test_a_known_message_is_found_after_a_control_id_was_reused_in_the_same_batch() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(content=b"one")))

    with journal.batch(2) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(content=b"two")))
        again = unit.earlier(a_key(content=b"one"))

    assert again == Earlier(sequence=1, answer=b"MSA|AA|1", same_bytes=True)


def test_another_partner_may_use_the_same_control_id() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(partner="ehr")))

    with journal.batch(2) as unit:
        assert unit.earlier(a_key(partner="clinic")) is None


def test_without_a_control_id_only_the_same_bytes_are_the_same_message() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), a_key(b"", b"one")))

    with journal.batch(2) as unit:
        assert unit.earlier(a_key(b"", b"two")) is None
        again = unit.earlier(a_key(b"", b"one"))
        assert again is not None
        assert again.same_bytes


def test_the_table_itself_refuses_a_message_twice() -> None:
    journal = in_memory()

    with pytest.raises(AssertionError, match="UNIQUE"), journal.batch(1) as unit:  # noqa: PT012  # the second one fails
        unit.add_message(a_message(1, a_key()))
        unit.add_message(a_message(2, a_key()))


def test_a_sender_with_one_control_id_for_everything_is_still_answered() -> None:
    journal = in_memory()
    count = REUSES_LOOKED_AT + 10
    with journal.batch(1) as unit:
        for number in range(count):
            unit.add_message(a_message(unit.next_sequence(), a_key(b"1", b"%d" % number)))

    with journal.batch(2) as unit:
        for number in (0, count - 1):
            found = unit.earlier(a_key(b"1", b"%d" % number))
            assert found is not None
            assert (found.sequence, found.same_bytes) == (number + 1, True)
        new = unit.earlier(a_key(b"1", b"new"))
        assert new is not None
        assert not new.same_bytes


@pytest.mark.parametrize("same_batch", [True, False])
def test_a_later_look_changes_what_a_message_became(same_batch: bool) -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence(), disposition=Disposition.PENDING))
        if same_batch:
            unit.change_disposition(1, Disposition.APPLIED, 1, "placer number", "K7QD-0001")
    if not same_batch:
        with journal.batch(2) as unit:
            unit.change_disposition(1, Disposition.APPLIED, 1, "placer number", "K7QD-0001")

    with journal.batch(3) as unit:
        row = unit.message(1)
    assert row is not None
    assert (row.disposition, row.level, row.reason, row.referral) == (
        Disposition.APPLIED, 1, "placer number", "K7QD-0001",
    )  # fmt: skip
    counts = journal.read().counts()
    assert counts.received(Disposition.APPLIED) == counts.received() == 1


def test_a_message_that_is_not_there_cannot_change() -> None:
    journal = in_memory()

    with pytest.raises(JournalError, match="no message 7"), journal.batch(1) as unit:
        unit.change_disposition(7, Disposition.APPLIED, 1, "", "")
