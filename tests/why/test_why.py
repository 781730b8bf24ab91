"""Why a clock is due when it is: asked of a journal as the daemon asks it, with the files that ship."""

from __future__ import annotations

from typing import Any

import pytest

from referral_engine.base.errors import Refused
from referral_engine.base.values import replace
from referral_engine.channels.book import Book
from referral_engine.cli.reckoning import why_text
from referral_engine.flow.inputs import ConfigChanged
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.loop.policy import Duration, Kind, Unit
from referral_engine.service.found import pack, unpack
from referral_engine.service.why_facts import clock_facts
from referral_engine.service.why_shapes import clock_named, shape_why
from tests.channels.shipped import shipped_files
from tests.flow.stage import BOOKING, HEART, ORDER, at, book, engine, sample

FRIDAY = "2026-03-06 10:00"  # the clocks go forward on Sunday the 8th


def asked(stage: Rehearsal, clock: str, *, other: Book | None = None, placer: str = "P-1001") -> dict[str, Any]:
    kind = clock_named(clock)
    facts: Any = clock_facts(stage.journal.read(), {"referral": placer, "clock": kind.value})
    return dict(shape_why(facts, kind, other or book()))


def ordered(start: str = FRIDAY) -> Rehearsal:
    stage = engine(start)
    stage.receive(sample(ORDER))
    return stage


def test_a_running_clock_tells_where_it_counts_from_and_every_step() -> None:
    told = asked(ordered(), "schedule")

    (life,) = told["lives"]
    assert (life["state"], life["length"], life["as_recorded"]) == ("pending", "7 days", True)
    assert life["due"] == {"at": "2026-03-13T15:00:00Z", "clinic": "2026-03-13 10:00:00"}
    assert [step["kind"] for step in life["steps"]] == ["start", "clock change", "due"]
    assert life["begun_by"]["what"] in {"ReferralOrdered", "DeliverySettled"}
    assert told["not_running"] == []
    file, line = told["policy"]["decided_by"].split(":")
    assert shipped_files()[file].splitlines()[int(line) - 1].startswith("schedule ")
    assert asked(ordered(), "note-watch")["policy"]["decided_by"] == "default"


def test_a_clock_that_fired_names_the_event_and_one_that_ended_names_what_ended_it() -> None:
    stage = ordered()
    stage.move_to(at("2026-03-14 09:00"))
    (fired,) = asked(stage, "schedule")["lives"]
    assert (fired["state"], fired["fired_by"]["what"], fired["ended_by"]) == ("fired", "DeadlinePassed", None)

    stage = ordered()
    stage.receive(sample(BOOKING))
    told = asked(stage, "schedule")
    (ended,) = told["lives"]
    assert (ended["state"], ended["ended_by"]["what"], ended["fired_by"]) == ("cancelled", "AppointmentBooked", None)
    assert ended["ended_by"]["message_id"]
    assert told["not_running"] == ["it runs while appointment is cancelled or none; appointment is booked"]


def test_a_repeating_clock_tells_every_round() -> None:
    stage = ordered()
    stage.move_to(at("2026-05-20 09:00"))

    rounds = asked(stage, "open-30")["lives"]

    assert [life["state"] for life in rounds] == ["fired", "fired", "pending"]
    assert rounds[2]["steps"][0]["sentence"].endswith("3 times 30 days, 90 days to count")
    assert all(life["as_recorded"] for life in rounds)


def test_a_clock_that_never_began_says_what_it_waits_for() -> None:
    told = asked(ordered(), "note-ping")

    assert told["lives"] == []
    assert "it runs while appointment is kept or passed; appointment is none" in told["not_running"]
    assert told["runs_while"]["appointment"] == ["kept", "passed"]


def test_a_reminder_counts_back_from_the_booking_that_set_it() -> None:
    stage = ordered("2026-03-02 09:00")
    stage.receive(sample(BOOKING))

    (life,) = asked(stage, "remind-72h")["lives"]

    assert life["begun_by"]["what"] == "AppointmentBooked"
    assert life["due"]["clinic"] == "2026-03-07 09:30:00"  # the visit is Tuesday 10:30; an hour is lost on Sunday


def test_files_that_changed_since_are_told_beside_what_was_recorded() -> None:
    stage = ordered()
    channel = book().channels[HEART]
    three = (Duration(3, Unit.BUSINESS_DAYS),)
    policy = replace(channel.policy, clocks={**channel.policy.clocks, Kind.SCHEDULE: (three, three)})
    other = replace(book(), version="newer", channels={**book().channels, HEART: replace(channel, policy=policy)})

    told = asked(stage, "schedule", other=other)

    (life,) = told["lives"]
    assert (life["as_recorded"], life["recorded_due_at"]) == (False, "2026-03-13T15:00:00Z")
    assert told["policy"]["unit"] == "business days"
    assert any("set under other files" in line for line in why_text(told))


def test_after_a_reload_the_line_that_decided_is_named_as_after_a_start() -> None:
    """A reload hands the book over without its lines; the journal has the files."""
    handed_over = unpack(pack(book()))
    stage = engine(FRIDAY)
    stage.step.run([ConfigChanged(config=book().version, files=shipped_files(), action="reload", by="user:jane")])
    stage.receive(sample(ORDER))

    told, usual = asked(stage, "schedule", other=handed_over), asked(stage, "schedule")

    assert told["policy"]["decided_by"] == usual["policy"]["decided_by"]
    assert told["policy"]["decided_by"].startswith(f"channels/{HEART}.toml:")
    assert told["lives"] == usual["lives"]


def test_the_text_says_what_the_json_says() -> None:
    lines = "\n".join(why_text(asked(ordered(), "schedule")))

    assert "clock schedule, counted from: packet sent" in lines
    assert "2026-03-13 10:00:00 clinic time, 2026-03-13T15:00:00Z" in lines
    assert "the clocks go forward by 1 hour" in lines
    assert "Example" not in lines  # the patient


@pytest.mark.parametrize(
    ("word", "sentence"), [("xschedule", "did you mean schedule"), ("zzz", "one of: patient-prompt")]
)
def test_a_clock_nobody_knows_is_a_sentence(word: str, sentence: str) -> None:
    with pytest.raises(Refused, match=sentence):
        clock_named(word)


def test_a_referral_nobody_knows_is_a_sentence() -> None:
    with pytest.raises(Refused, match="there is no referral P-9"):
        asked(ordered(), "schedule", placer="P-9")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_clock_of_a_full_loop_is_reckoned_as_it_was_recorded(kind: Kind) -> None:
    stage = ordered("2026-03-02 09:00")
    stage.receive(sample(BOOKING))
    stage.move_to(at("2026-06-20 09:00"))

    told = asked(stage, kind.value)

    assert all(life["as_recorded"] for life in told["lives"]), told["lives"]
    assert told["lives"] or told["not_running"]
    for life in told["lives"]:
        ending = {"pending": (False, False), "fired": (True, False), "cancelled": (False, True)}[life["state"]]
        assert (life["fired_by"] is not None, life["ended_by"] is not None) == ending, life
