"""Two clocks that belong to no referral: the age of reviews and of what is known of a specialist; and the pilot."""

from __future__ import annotations

from datetime import date

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.engine import Pilot
from referral_engine.flow.pilot import WATCHED
from referral_engine.flow.rehearsal import Rehearsal
from tests.flow.stage import HEART, MONDAY, ORDER, at, book, sample


def test_a_review_nobody_takes_moves_to_the_supervisor_once() -> None:
    rehearsal = Rehearsal(book=book(), start=at(MONDAY))
    rehearsal.receive(sample(ORDER))
    rehearsal.receive(sample("mdm-t02-cardiology-final.hl7", {"PID-3.1": "900009", "PID-5.1": "Another"}))

    rehearsal.move_to(at("2026-03-02 12:00"))
    before = [task.queue for task in rehearsal.journal.read().tasks() if task.kind == "match-review"]
    rehearsal.move_to(at("2026-03-09 12:00"))
    after = [task for task in rehearsal.journal.read().tasks() if task.kind == "match-review"]

    assert before == ["referral-desk"]
    assert [task.queue for task in after] == ["supervisor"]
    assert after[0].urgent
    assert after[0].reason.count("nobody took it in time") == 1


def test_a_contact_verified_long_ago_is_a_task_once_for_each_date_in_the_file() -> None:
    old = replace(book().channels[HEART], verified_on=date(2026, 1, 15))
    rehearsal = Rehearsal(book=replace(book(), channels={HEART: old}), start=at(MONDAY))
    rehearsal.receive(sample(ORDER))

    counts = []
    for day in ("2026-04-10 09:00", "2026-04-16 09:00", "2026-06-20 09:00"):
        rehearsal.move_to(at(day))
        counts.append(sum(task.kind == "verify-contact" for task in rehearsal.journal.read().tasks(done=True)))

    assert counts[0] == 0
    assert counts[-1] == 1


@pytest.mark.parametrize(
    ("pilot", "sent"),
    [
        (Pilot(), True),
        (Pilot(mode="shadow"), False),
        (Pilot(channels=(HEART,)), True),
        (Pilot(channels=("somebody-else",)), False),
        (Pilot(providers=("0000000000",)), False),
        (Pilot(percent=0), False),
    ],
)
def test_outside_the_pilot_everything_is_watched_and_nothing_is_sent(pilot: Pilot, sent: bool) -> None:
    watched = replace(book(), engine=replace(book().engine, pilot=pilot))
    rehearsal = Rehearsal(book=watched, start=at(MONDAY))

    rehearsal.receive(sample(ORDER))

    story = rehearsal.journal.read().story(rehearsal.journal.read().referrals()[0].id)
    assert story is not None
    assert story.effects[0].state.value == ("delivered" if sent else "cancelled")
    assert sent or story.effects[0].reason == WATCHED
    assert any(clock.state == "pending" for clock in story.deadlines)
