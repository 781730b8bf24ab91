"""`why` names the row that decided, by urgency and network, and tells the hours in which nothing may leave."""

from __future__ import annotations

from referral_engine.channels.book import Book, read_book
from referral_engine.cli.reckoning import why_text
from referral_engine.flow.rehearsal import Rehearsal
from referral_engine.service.why_facts import clock_facts
from referral_engine.service.why_shapes import clock_named, shape_why
from tests.channels.shipped import shipped_files
from tests.flow.stage import HEART, ORDER, engine, sample


def asked(stage: Rehearsal, clock: str, other: Book, placer: str = "P-1001") -> dict[str, object]:
    facts = clock_facts(stage.journal.read(), {"referral": placer, "clock": clock})
    return dict(shape_why(facts, clock_named(clock), other))  # type: ignore[arg-type]  # facts are as the journal tells them


def text(told: dict[str, object]) -> str:
    return "\n".join(why_text(told))


def test_the_line_that_decided_is_that_of_the_referrals_urgency_and_network() -> None:
    files = shipped_files()
    channel = f"channels/{HEART}.toml"
    files[channel] = files[channel].replace("[patient]", '[sla.in]\nschedule = { urgent = "2 days" }\n\n[patient]')
    other = read_book(files)
    lines = files[channel].splitlines()

    for priority, line in (("S", 'schedule = { urgent = "2 days" }'), ("R", 'schedule = { routine = "7 days"')):
        stage = engine("2026-03-06 10:00", other=other)
        stage.receive(sample(ORDER, {"ORC-7.6": priority}))
        policy = asked(stage, "schedule", other)["policy"]
        assert isinstance(policy, dict)
        file, number = str(policy["decided_by"]).rsplit(":", 1)
        assert (file, policy["network"]) == (channel, "in")
        assert lines[int(number) - 1].startswith(line)


def test_a_fax_that_waits_for_the_morning_is_reckoned_as_it_was_recorded() -> None:
    other = read_book(shipped_files())
    stage = engine("2026-03-06 16:00", other=other)
    stage.partners["orthopaedics-lakeside"] = "silent"
    stage.receive(sample("orm-o01-orthopaedics.hl7"))

    told = asked(stage, "delivered", other, "P-2001")

    assert "as_recorded': True" in str(told["lives"])
    assert "open until Fri 6 Mar 2026 17:00: 1 hour count, 3 hours left" in text(told)
    assert "due at Mon 9 Mar 2026 11:00: 4 hours of send_hours later" in text(told)


def test_a_clock_that_is_off_says_why() -> None:
    files = shipped_files()
    channel = f"channels/{HEART}.toml"
    files[channel] = files[channel].replace("confirms     = true", "confirms     = false")
    files[channel] = files[channel].replace('confirm  = { routine = "48 hours", urgent = "24 hours" }', "")
    other = read_book(files)
    stage = engine("2026-03-06 10:00", other=other)
    stage.receive(sample(ORDER))

    assert "it is off for this specialist" in text(asked(stage, "confirm", other))
