"""What is left of a broken frame lies where people look for refusals."""

from __future__ import annotations

from referral_engine.flow.inputs import FrameBroken
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.journal.rows import Disposition
from tests.flow.stage import MONDAY, at, book

BROKEN = FrameBroken(
    evidence=b"MSH|^~\\&|EHR", peer="10.0.0.7", reason="frame-too-long", sentence="a frame is longer than 16 bytes"
)


def test_a_broken_frame_is_quarantined_with_its_beginning_and_nobody_is_answered() -> None:
    rehearsal = Rehearsal(book=book(), start=at(MONDAY))

    receipt = rehearsal.put(BROKEN)

    reading = rehearsal.journal.read()
    (line,) = reading.messages(disposition=Disposition.QUARANTINED)
    kept = reading.message(line.sequence)
    assert receipt.answer == b""
    assert line.reason == "frame-too-long: a frame is longer than 16 bytes; the beginning is kept"
    assert kept is not None
    assert kept.raw == BROKEN.evidence


def test_the_same_garbage_again_is_one_row() -> None:
    rehearsal = Rehearsal(book=book(), start=at(MONDAY))

    rehearsal.put(BROKEN)
    again = rehearsal.put(BROKEN)

    assert again.duplicate
    assert len(rehearsal.journal.read().messages()) == 1
