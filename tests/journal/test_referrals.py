"""Referrals and the numbers that point at them."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.errors import JournalError
from referral_engine.base.ident import Phi
from referral_engine.journal import parked, referrals
from referral_engine.journal.journal import Journal
from referral_engine.journal.rows import BindingKind
from referral_engine.loop.referral import Identifier, PatientId
from tests.journal.made import CANARY, a_message, a_referral, in_memory, with_referral

PLACER = Identifier(value="P1", authority="EHR")


def test_a_referral_comes_back_as_it_was_saved() -> None:
    journal = in_memory()
    saved = with_referral(journal)

    assert journal.read().referral(saved.id) == saved
    with journal.batch(2) as unit:
        assert unit.referral(saved.id) == saved
        assert unit.referral("K7QD-NONE") is None


def test_a_patient_is_not_in_what_is_printed() -> None:
    journal = in_memory()
    with_referral(journal)

    assert CANARY not in repr(journal.read().referral("K7QD-0001"))
    assert CANARY not in repr(journal.read().story("K7QD-0001"))


def test_every_batch_that_changes_a_referral_moves_its_version_by_one() -> None:
    journal = in_memory()
    with_referral(journal)

    for channel in ("a", "b"):
        with journal.batch(2) as unit:
            unit.save_referral(a_referral(channel="first"), 2, new=False)
            unit.save_referral(a_referral(channel=channel), 2, new=False)

    (line,) = journal.read().referrals()
    assert (line.version, line.channel) == (3, "b")


def test_a_referral_made_and_changed_in_one_batch_is_stored_once() -> None:
    journal = in_memory()

    with journal.batch(1) as unit:
        unit.save_referral(a_referral(), 1, new=True)
        unit.save_referral(a_referral(channel="other"), 1, new=False)

    (line,) = journal.read().referrals()
    assert (line.version, line.channel) == (1, "other")


def test_a_change_somebody_else_made_is_not_overwritten() -> None:
    journal = in_memory()
    with_referral(journal)
    journal._connection.execute("UPDATE referrals SET version = 9")

    with pytest.raises(JournalError, match="changed by somebody else"), journal.batch(2) as unit:
        unit.save_referral(a_referral(channel="mine"), 2, new=False)


def test_a_referral_that_is_not_there_cannot_change() -> None:
    journal = in_memory()

    with pytest.raises(JournalError, match="no referral K7QD-0001"), journal.batch(1) as unit:
        unit.save_referral(a_referral(), 1, new=False)


def test_more_referrals_than_memory_keeps_are_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(referrals, "REFERRALS_KEPT", 2)
    journal = in_memory()
    made = [a_referral(f"K7QD-{number:04}") for number in range(5)]
    with journal.batch(1) as unit:
        for one in made:
            unit.save_referral(one, 1, new=True)

    with journal.batch(2) as unit:
        assert [unit.referral(one.id) for one in made] == made
        unit.save_referral(a_referral("K7QD-0000", channel="changed"), 2, new=False)
    assert journal.read().referrals(limit=5)[-1].version == 2


@pytest.mark.parametrize("same_batch", [True, False])
@pytest.mark.parametrize(
    ("value", "authority", "found"),
    [
        ("P1", "EHR", True), ("P1", "", True), ("P1", "OTHER", False), ("p1", "EHR", False), ("P1 ", "EHR", False),
        ("", "", False),
    ],
)  # fmt: skip
def test_a_number_fits_exactly_and_an_authority_not_said_fits_any(
    same_batch: bool, value: str, authority: str, found: bool
) -> None:
    journal = in_memory()
    expected = ("K7QD-0001",) if found else ()
    with journal.batch(1) as unit:
        unit.save_referral(a_referral(), 1, new=True)
        unit.bind(BindingKind.PLACER, PLACER, "K7QD-0001")
        if same_batch:
            assert unit.bound(BindingKind.PLACER, value, authority) == expected

    with journal.batch(2) as unit:
        assert unit.bound(BindingKind.PLACER, value, authority) == expected
        assert unit.bound(BindingKind.FILLER, value, authority) == ()


def test_a_number_stored_without_authority_fits_any() -> None:
    journal = in_memory()
    with_referral(journal)
    with journal.batch(1) as unit:
        unit.bind(BindingKind.PLACER, Identifier(value="P2"), "K7QD-0001")
        assert unit.bound(BindingKind.PLACER, "P2", "EHR") == ("K7QD-0001",)

    with journal.batch(2) as unit:
        assert unit.bound(BindingKind.PLACER, "P2", "EHR") == ("K7QD-0001",)


def test_a_number_bound_twice_points_once() -> None:
    journal = in_memory()
    with_referral(journal)

    for now in (1, 2):
        with journal.batch(now) as unit:
            unit.bind(BindingKind.PLACER, PLACER, "K7QD-0001")
            unit.bind(BindingKind.PLACER, PLACER, "K7QD-0001")
            assert unit.bound(BindingKind.PLACER, "P1") == ("K7QD-0001",)


def test_a_patients_referrals_come_newest_first_across_batches() -> None:
    journal = in_memory()
    mrn = PatientId(value=Phi("MRN1"), authority="HOSP")
    for batch in ((1, 2), (3, 4)):
        with journal.batch(1) as unit:
            for number in batch:
                unit.next_sequence()
                unit.save_referral(a_referral(f"K7QD-{number}"), 1, new=True)
                unit.bind(BindingKind.PATIENT, mrn, f"K7QD-{number}")
            assert unit.patients(Phi("MRN1"), "HOSP")[0] == f"K7QD-{batch[-1]}"

    with journal.batch(2) as unit:
        assert unit.patients(Phi("MRN1"), "HOSP") == ("K7QD-4", "K7QD-3", "K7QD-2", "K7QD-1")
        assert unit.patients("MRN1", "CLINIC") == ()


def test_evidence_waits_under_its_numbers_until_it_is_taken() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        first, second = unit.next_sequence(), unit.next_sequence()
        unit.park(second, [("placer", "P1"), ("filler", "F1")])
        unit.park(first, [("placer", "P1")])
        unit.park(first, [("placer", "P1")])
        assert unit.parked(BindingKind.PLACER, "P1") == (first, second)
        unit.add_message(a_message(first))
        unit.add_message(a_message(second))

    with journal.batch(2) as unit:
        assert unit.parked(BindingKind.PLACER, "P1") == (first, second)
        assert unit.parked(BindingKind.FILLER, "F1") == (second,)
        assert unit.parked(BindingKind.FILLER, "P1") == ()
        unit.unpark(first)
        assert unit.parked(BindingKind.PLACER, "P1") == (second,)
    with journal.batch(3) as unit:
        assert unit.parked(BindingKind.PLACER, "P1") == (second,)


def test_what_a_broken_batch_parked_or_took_is_as_it_was() -> None:
    journal = in_memory()
    with journal.batch(1) as unit:
        first = unit.next_sequence()
        unit.park(first, [("placer", "P1")])
        unit.add_message(a_message(first))

    with pytest.raises(ZeroDivisionError), journal.batch(2) as unit:  # noqa: PT012  # it breaks after its work
        unit.unpark(first)
        unit.park(unit.next_sequence(), [("placer", "P1")])
        raise ZeroDivisionError

    with journal.batch(3) as unit:
        assert unit.parked(BindingKind.PLACER, "P1") == (first,)


def test_evidence_is_found_again_after_a_restart_and_when_its_run_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parked, "TAIL_MAX", 10)
    monkeypatch.setattr(parked, "RUN_STEP", 7)
    path = str(tmp_path / "journal.db")
    journal = Journal.open(path, None)
    numbers: dict[int, int] = {}
    for batch in range(40):
        with journal.batch(batch) as unit:
            for _ in range(3):
                sequence = unit.next_sequence()
                numbers[sequence] = sequence % 50
                unit.park(sequence, [("placer", f"P{sequence % 50}"), ("filler", f"F{sequence}")])
                unit.add_message(a_message(sequence))
            if batch == 20:
                unit.unpark(5)
                del numbers[5]
        if batch % 9 == 8:
            journal.close()
            journal = Journal.open(path, None)
        with journal.batch(batch) as unit:
            for number in range(50):
                waiting = tuple(one for one, its in numbers.items() if its == number)
                assert unit.parked(BindingKind.PLACER, f"P{number}") == waiting
    assert journal._connection.execute("SELECT count(*) FROM parked").fetchone()[0] > 100
    journal.close()
