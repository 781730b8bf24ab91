"""One note after another: parts of the same document, corrections, addenda, the same words again, other documents."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.effects import Purpose, Recipient, TaskKind
from referral_engine.loop.events import PatientAttended, ReportReceived
from referral_engine.loop.policy import Kind
from referral_engine.loop.referral import Finality, Identifier, Referral
from referral_engine.loop.rules import decide
from referral_engine.loop.states import Closure, Note
from tests.builders import ORDERED_AT, a_policy, a_referral, told
from tests.loop.reading import DAY, HOUR, VISIT_AT, booked, closure_taken, note, opened, passed, sends, settled

POLICY = a_policy()
P, F, C, R = Finality.PRELIMINARY, Finality.FINAL, Finality.CORRECTED, Finality.RETRACTED
KEPT = told(
    a_referral(),
    settled(Purpose.ORDER),
    booked(),
    passed(Kind.VISIT_CHECK, at=VISIT_AT + 2 * HOUR),
    PatientAttended(at=VISIT_AT + 3 * HOUR),
)
AFTER = VISIT_AT + 5 * DAY


def sent(finality: Finality = F, number: str = "DOC-1", *, message: int, **more: object) -> ReportReceived:
    named = {"replaces": Identifier(value=str(more.pop("replaces")))} if "replaces" in more else {}
    return replace(note(finality, at=AFTER, message=message), document=Identifier(value=number), **named, **more)


def told_ehr(before: Referral, event: ReportReceived) -> list[str]:
    return [about for to, _, about in sends(decide(before, event, POLICY)) if to is Recipient.EHR]


CLOSING = told(KEPT, sent(message=60))
CLOSED = told(CLOSING, closure_taken())


@pytest.mark.parametrize("before", [CLOSING, CLOSED], ids=["closing", "closed"])
@pytest.mark.parametrize(
    ("event", "about"),
    [
        (sent(message=61), "replacement"),  # the second part of a note in several, or the whole of it anew
        (sent(number="DOC-2", message=61), "addition"),
        (sent(C, message=61), "correction"),  # OBX-11 C
        (sent(C, "DOC-2", message=61, replaces="DOC-1"), "correction"),  # T08, T10
        (sent(C, "DOC-2", message=61, replaces="DOC-1", adds=True), "addition"),  # T06
        (sent(C, message=61, replaces="DOC-1", adds=True), "addition"),
    ],
    ids=["same number", "other number", "corrected", "replaced", "addendum", "addendum under the same number"],
)
def test_a_further_note_goes_to_the_ordering_provider_again(
    before: Referral, event: ReportReceived, about: str
) -> None:
    decision = decide(before, event, POLICY)

    assert sends(decision) == [(Recipient.EHR, Purpose.CORRECTION, about)]
    assert decision.referral.closure is before.closure  # counted once


def test_numbers_that_nobody_gave_do_not_make_two_notes_one() -> None:
    first = told(KEPT, sent(number="", message=60))

    assert told_ehr(first, sent(number="", message=61)) == ["addition"]


# The same words by another way.  F-H04


def test_the_same_words_in_the_same_state_are_no_news_whatever_number_they_come_under() -> None:
    first = told(KEPT, sent(message=60, content="c1"))

    decision = decide(first, sent(number="FAX-9", message=61, content="c1"), POLICY)

    assert (decision.effects, decision.moves, decision.referral) == ((), (), first)


def test_other_words_and_unknown_words_are_news() -> None:
    first = told(KEPT, sent(message=60, content="c1"))

    assert told_ehr(first, sent(number="FAX-9", message=61, content="c2")) == ["addition"]
    assert told_ehr(told(KEPT, sent(message=60)), sent(number="FAX-9", message=61)) == ["addition"]


def test_the_same_words_made_final_close() -> None:
    interim = told(KEPT, sent(P, message=60, content="c1"))

    decision = decide(interim, sent(message=61, content="c1"), POLICY)

    assert decision.referral.closure is Closure.CLOSING
    assert sends(decision) == [(Recipient.EHR, Purpose.CLOSURE, "note")]


def test_words_that_were_taken_back_are_news_when_they_come_again() -> None:
    taken_back = told(KEPT, sent(message=60, content="c1"), closure_taken(), sent(R, message=61))

    decision = decide(taken_back, sent(message=62, content="c1"), POLICY)

    assert taken_back.closure is Closure.OPEN
    assert decision.referral.closure is Closure.CLOSING
    assert sends(decision) == [(Recipient.EHR, Purpose.CLOSURE, "note")]


# Retractions.  F-H07


def test_an_older_version_taken_back_leaves_the_newer_one_in_and_tells_a_person() -> None:
    replaced = told(CLOSED, sent(C, "DOC-2", message=61, replaces="DOC-1"))

    decision = decide(replaced, sent(R, "DOC-1", message=62), POLICY)

    assert decision.referral == replaced
    assert sends(decision) == []
    assert opened(decision) == {TaskKind.ANOMALY}


@pytest.mark.parametrize("number", ["DOC-2", "", "DOC-7"])
def test_the_newest_version_or_an_unknown_one_taken_back_opens_the_loop(number: str) -> None:
    replaced = told(CLOSED, sent(C, "DOC-2", message=61, replaces="DOC-1"))

    after = decide(replaced, sent(R, number, message=62), POLICY).referral

    assert (after.closure, after.note) == (Closure.OPEN, Note.RETRACTED)


def test_a_note_with_an_addendum_that_is_taken_back_opens_the_loop() -> None:
    added = told(CLOSED, sent(C, "DOC-2", message=61, replaces="DOC-1", adds=True))

    assert decide(added, sent(R, "DOC-1", message=62), POLICY).referral.closure is Closure.OPEN


# Documents of a kind that closes nothing


def test_a_final_document_of_another_kind_counts_as_interim_and_the_note_still_closes() -> None:
    after = told(KEPT, sent(number="LAB-1", message=60, closes=False, content="c1"))

    decision = decide(after, sent(message=61, content="c2"), POLICY)

    assert (after.closure, after.note) == (Closure.OPEN, Note.INTERIM)
    assert after.documents[-1].finality is P
    assert sends(decision) == [(Recipient.EHR, Purpose.CLOSURE, "note")]


def test_a_document_of_another_kind_beside_the_note_is_remembered_and_disturbs_nobody() -> None:
    decision = decide(CLOSED, sent(number="LAB-1", message=61, closes=False), POLICY)

    assert (decision.effects, decision.moves) == ((), ())
    assert decision.referral.documents[-1].document.value == "LAB-1"


def test_a_document_of_another_kind_that_is_taken_back_is_a_retraction() -> None:
    after = told(KEPT, sent(number="LAB-1", message=60, closes=False), sent(R, "LAB-1", message=61, closes=False))

    assert after.note is Note.RETRACTED


def test_what_a_document_says_of_itself_is_remembered() -> None:
    event = sent(C, "DOC-2", message=61, replaces="DOC-1", adds=True, kind="CN", content="c1")

    known = told(CLOSED, event).documents[-1]

    assert (known.kind, known.content, known.replaces.value, known.adds) == ("CN", "c1", "DOC-1", True)
    assert known.at == AFTER > ORDERED_AT
