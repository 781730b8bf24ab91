"""Batches: all or nothing, and after a COMMIT that failed nothing more."""

from __future__ import annotations

import pytest
from sqlcipher3 import dbapi2

from referral_engine.base.errors import JournalError, MessageFault, NoRoom, OutcomeUnknown
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.referral import Identifier
from tests.journal.made import (
    a_deadline,
    a_line,
    a_message,
    a_referral,
    a_task,
    an_effect,
    an_event,
    in_memory,
    messages_in,
    spoiled,
    with_referral,
)


def test_what_a_batch_wrote_is_there_for_the_next() -> None:
    journal = in_memory()

    with journal.batch(5) as unit:
        unit.add_message(a_message(unit.next_sequence()))
        unit.add_event(an_event(unit.next_sequence()))

    with journal.batch(6) as unit:
        assert unit.message(1) == a_message(1)
        assert unit.next_sequence() == 3


def test_a_batch_that_raises_leaves_nothing() -> None:
    journal = in_memory()
    referral = with_referral(journal)

    with pytest.raises(MessageFault), journal.batch(7) as unit:  # noqa: PT012  # what was written before it failed is the point
        unit.add_message(a_message(unit.next_sequence()))
        unit.add_event(an_event(unit.next_sequence()))
        unit.save_referral(a_referral(channel="other"), 7, new=False)
        unit.save_referral(a_referral("K7QD-0002"), 7, new=True)
        unit.bind(BindingKind.PLACER, Identifier(value="P9"), referral.id)
        unit.change_deadlines(referral.id, [a_deadline()], [])
        unit.owe(an_effect(1))
        unit.open_task(a_task())
        unit.audit(a_line(1))
        assert unit.due(1000, 10)
        assert unit.claim("ehr", 10_000_000, 60, 10)
        raise MessageFault("207", "", "made to fail")

    with journal.batch(8) as unit:
        assert unit.next_sequence() == 2
        assert messages_in(unit, 2, 3) == [False, False]
        assert unit.referral(referral.id) == referral
        assert unit.referral("K7QD-0002") is None
        assert unit.bound(BindingKind.PLACER, "P9") == ()
        assert unit.due(1000, 10) == []
        assert unit.effect(1) is None
        assert unit.task(1) is None
        assert unit.verify_audit() is None
    assert journal.read().counts().effects == ()


def test_numbers_of_a_batch_that_raised_are_given_again() -> None:
    journal = in_memory()

    with pytest.raises(ValueError, match="made to fail"), journal.batch(1) as unit:  # noqa: PT012  # what was written before it failed is the point
        unit.owe(an_effect(1))
        unit.audit(a_line(1))
        raise ValueError("made to fail")

    with journal.batch(2) as unit:
        assert unit.owe(an_effect(1)) == 1
        unit.audit(a_line(2))
        assert unit.verify_audit() is None


@pytest.mark.parametrize("stored", [False, True])
def test_a_failed_commit_is_unknown_and_the_journal_takes_nothing_more(stored: bool) -> None:
    journal = in_memory()
    spoiled(journal, "COMMIT", after=stored)

    with pytest.raises(OutcomeUnknown), journal.batch(1) as unit:
        unit.add_message(a_message(unit.next_sequence()))

    assert journal.fenced
    with pytest.raises(JournalError, match="look at the disk"), journal.batch(2):
        pytest.fail("a fenced journal opens no batch")
    with pytest.raises(JournalError):
        journal.read()


def test_a_failed_begin_stores_nothing_and_says_so() -> None:
    journal = in_memory()
    spoiled(journal, "BEGIN")

    with pytest.raises(JournalError) as caught, journal.batch(1):
        pytest.fail("there is no transaction")

    assert not isinstance(caught.value, OutcomeUnknown)


def test_a_full_disk_stores_nothing_and_the_next_batch_works() -> None:
    journal = in_memory()
    full = dbapi2.OperationalError("database or disk is full")
    full.sqlite_errorcode = 13

    with pytest.raises(NoRoom), journal.batch(1) as unit:  # noqa: PT012  # the disk fails after it
        unit.add_message(a_message(unit.next_sequence()))
        raise full

    assert not journal.fenced
    with journal.batch(2) as unit:
        assert messages_in(unit, 1) == [False]
        unit.add_message(a_message(unit.next_sequence()))
    with journal.batch(3) as unit:
        assert messages_in(unit, 1) == [True]


def test_what_the_tables_forbid_is_our_error_and_stores_nothing() -> None:
    journal = in_memory()

    with pytest.raises(AssertionError, match="contradicts itself"), journal.batch(1) as unit:  # noqa: PT012  # the second
        unit.add_message(a_message(1))
        unit.add_message(a_message(1))

    assert not journal.fenced
    with journal.batch(2) as unit:
        assert messages_in(unit, 1) == [False]


def test_a_contradiction_found_at_commit_is_known_not_to_be_stored() -> None:
    journal = in_memory()

    with pytest.raises(AssertionError, match="contradicts itself"), journal.batch(1) as unit:
        unit.change_deadlines("K7QD-NONE", [a_deadline(referral="K7QD-NONE")], [])

    assert not journal.fenced
    with journal.batch(2) as unit:
        assert unit.due(1000, 10) == []


def test_a_fault_of_the_file_itself_fences_the_journal() -> None:
    journal = in_memory()
    torn = dbapi2.DatabaseError("database disk image is malformed")
    torn.sqlite_errorcode = 11

    with pytest.raises(JournalError), journal.batch(1):
        raise torn

    assert journal.fenced


def test_a_roll_back_that_fails_fences_the_journal() -> None:
    journal = in_memory()
    spoiled(journal, "ROLLBACK")

    with pytest.raises(MessageFault), journal.batch(1):
        raise MessageFault("207", "", "made to fail")

    assert journal.fenced


def test_the_high_water_mark_only_rises() -> None:
    journal = in_memory()

    for now in (50, 90, 70):
        with journal.batch(now):
            pass

    assert journal.high_water == 90


def test_the_node_is_given_once() -> None:
    assert in_memory().node == "K7QD"
