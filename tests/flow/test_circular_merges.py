"""Two patients' numbers that are merged there and back: one person in the end, and nothing runs in circles."""

from __future__ import annotations

from referral_engine.journal.rows import Disposition
from tests.flow.stage import BOOKING, MONDAY, ORDER, engine, kinds, row, sample, story, tracks

MERGE = "adt-a40-merged.hl7"


def test_numbers_merged_to_and_fro_still_find_the_one_referral() -> None:  # H083
    stage = engine(MONDAY)
    stage.receive(sample(ORDER))
    there = sample(MERGE)
    back = sample(MERGE, {"MSH-10": "EHRBACK", "PID-3.1": "700101", "MRG-1.1": "700102"})
    there_again = sample(MERGE, {"MSH-10": "EHRAGAIN"})

    merges = [stage.receive(raw) for raw in (there, back, there_again)]
    stage.receive(sample(BOOKING))

    became = [row(stage, merge).disposition for merge in merges]
    assert became == [Disposition.APPLIED, Disposition.NEEDS_HUMAN, Disposition.NO_OP]
    assert tracks(stage)["appointment"] == "booked"
    assert len(story(stage).referral.patient.ids) == len(set(story(stage).referral.patient.ids))
    assert kinds(stage) == ["match-review"]  # the one that closes the circle
