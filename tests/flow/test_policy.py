"""What the files decide about one specialist, seen in what happens: courtesy, capabilities, no-shows, networks, reviews."""

from __future__ import annotations

import pytest

from referral_engine.channels.book import Book, read_book
from referral_engine.flow.rehearsal import Rehearsal
from tests.channels.shipped import shipped_files
from tests.flow.stage import (
    BOOKING,
    HEART,
    ORDER,
    at,
    book,
    done,
    engine,
    kinds,
    owed,
    sample,
    sent,
    story,
    tasks,
    tick,
    tracks,
    wall,
)

CARDIOLOGY = f"channels/{HEART}.toml"
ORTHO = "orm-o01-orthopaedics.hl7"
CHANGED = "orm-o01-cardiology-changed.hl7"


def files_with(file: str, table: str, more: str) -> dict[str, str]:
    """What the project ships, with more lines in one table of one file."""
    files = shipped_files()
    head = f"[{table}]"
    if head in files[file]:
        before, after = files[file].split(head, 1)
        rest = after.split("\n", 1)
        files[file] = f"{before}{head}{rest[0]}\n{more}\n{rest[1]}"
    else:
        files[file] = files[file].replace("\n[patient]", f"\n{head}\n{more}\n\n[patient]")
    return files


def with_lines(table: str, more: str, file: str = CARDIOLOGY) -> Book:
    return read_book(files_with(file, table, more))


def played(other: Book, start: str, until: str, *messages: str) -> Rehearsal:
    """These messages at `start`, and time up to `until`; whoever is asked says AA."""
    stage = engine(start, other=other)
    for name in messages:
        stage.receive(sample(name))
    stage.move_to(at(until))
    return stage


def prompted(stage: Rehearsal) -> list[str]:
    """When each text left for the patient."""
    return [
        wall(row.settled_at) for row in owed(stage) if row.recipient == "patient" and row.state.value == "delivered"
    ]


# ---------------------------------------------------------------------------------------------- patients


def test_a_channels_quiet_hours_hold_for_its_patients_and_no_others() -> None:
    other = with_lines("patient", 'quiet_hours = "12:00-10:00"')

    heart = played(other, "2026-03-02 09:00", "2026-03-03 12:00", ORDER)
    lakeside = played(other, "2026-03-02 09:00", "2026-03-03 12:00", ORTHO)

    assert prompted(heart) == ["2026-03-02 10:00"]
    assert prompted(lakeside) == ["2026-03-02 09:02"]


def test_a_channels_caps_hold_for_its_patients() -> None:
    none_today = with_lines("patient", "per_day = 0")

    assert prompted(played(none_today, "2026-03-02 09:00", "2026-03-04 09:00", ORDER)) == []
    assert prompted(played(book(), "2026-03-02 09:00", "2026-03-04 09:00", ORDER)) == ["2026-03-02 09:02"]


@pytest.mark.parametrize(
    ("table", "file"), [("patient", CARDIOLOGY), ("patients", "conf/engine.toml")], ids=["channel", "practice"]
)
def test_quiet_hours_are_those_of_the_zone_the_files_give_the_patient(table: str, file: str) -> None:
    west = with_lines(table, 'timezone = "America/Los_Angeles"', file)

    # 08:30 in Chicago is 06:30 in Los Angeles.
    assert prompted(played(west, "2026-03-02 08:30", "2026-03-02 12:00", ORDER)) == ["2026-03-02 10:00"]


def test_without_a_zone_of_their_own_patients_live_where_their_specialist_works() -> None:
    files = shipped_files()
    files["conf/engine.toml"] = files["conf/engine.toml"].replace("America/Chicago", "America/New_York")

    stage = played(read_book(files), "2026-03-02 20:30", "2026-03-03 12:00", ORDER)  # 21:30 in New York

    assert prompted(stage) == ["2026-03-03 07:00"]  # 08:00 there


# ---------------------------------------------------------------------------------------------- capabilities


def confirming(line: str, more: str = "") -> Book:
    """What the project ships, where [replies] of the cardiologists says this about `confirms`."""
    files = shipped_files()
    files[CARDIOLOGY] = files[CARDIOLOGY].replace("confirms     = true", line)
    files[CARDIOLOGY] = files[CARDIOLOGY].replace('confirm  = { routine = "48 hours", urgent = "24 hours" }', more)
    return read_book(files)


def test_an_office_that_cannot_confirm_is_not_called_for_an_answer_the_schedule_clock_catches_the_loss() -> None:
    stage = played(confirming("confirms = false"), "2026-03-02 09:00", "2026-03-09 08:59", ORDER)
    assert "call-specialist" not in kinds(stage)
    assert "confirm" not in {one.kind for one in story(stage).deadlines}

    stage.move_to(at("2026-03-09 09:30"))
    assert "schedule" in kinds(stage)


@pytest.mark.parametrize(
    ("line", "more"),
    [("confirms = true", ""), ("", ""), ("confirms = false", 'confirm = "48 hours"')],
    ids=["it confirms", "nobody has asked", "we call all the same"],
)
def test_every_other_office_is_called_when_it_has_not_answered_in_time(line: str, more: str) -> None:
    stage = played(confirming(line, more), "2026-03-02 09:00", "2026-03-04 10:00", ORDER)

    assert "call-specialist" in kinds(stage)


@pytest.mark.parametrize(("answers", "asked"), [("true", True), ("false", False)])
def test_only_an_office_that_answers_is_asked_how_the_visit_went(answers: str, asked: bool) -> None:
    files = shipped_files()
    files[CARDIOLOGY] = files[CARDIOLOGY].replace("confirms     = true", f"confirms     = {answers}")

    stage = played(read_book(files), "2026-03-02 09:00", "2026-03-10 13:00", ORDER, BOOKING)

    assert ("specialist status-check" in sent(stage)) is asked
    assert tracks(stage)["appointment"] == "passed"  # attendance unknown: the patient is asked


def test_an_office_that_cannot_send_notes_is_asked_for_the_records_and_never_pinged() -> None:
    files = shipped_files()
    files[CARDIOLOGY] = files[CARDIOLOGY].replace("notes        = true", "notes        = false")

    stage = played(read_book(files), "2026-03-02 09:00", "2026-03-12 12:00", ORDER, BOOKING)

    assert "specialist note-ping" not in sent(stage)
    assert sent(stage).count("specialist records-request") == 1
    (gap,) = tasks(stage, "records-request")
    assert gap.reason.startswith("interoperability gap: this office cannot send notes")
    stage.move_to(at("2026-05-20 12:00"))
    assert sent(stage).count("specialist records-request") == 1  # the clock at 30 days asks no second time
    assert "ehr provider-notice no note" in sent(stage)


def test_no_note_after_the_request_is_an_interoperability_gap_too() -> None:
    stage = played(book(), "2026-03-02 09:00", "2026-05-01 12:00", ORDER, BOOKING)
    done(stage, "records-request")

    stage.move_to(at("2026-05-20 12:00"))

    (gap,) = tasks(stage, "records-request")
    assert gap.reason.startswith("interoperability gap: no note has come")


# ---------------------------------------------------------------------------------------------- no-shows


@pytest.mark.parametrize(("attempts", "asks"), [(0, 0), (1, 1), (2, 2)])
def test_a_channel_says_how_often_a_patient_who_did_not_come_is_asked_before_a_clinician_decides(
    attempts: int, asks: int
) -> None:
    stage = engine("2026-03-02 09:00", other=with_lines("no_show", f"attempts = {attempts}"))
    stage.receive(sample(ORDER))
    stage.receive(sample(BOOKING))
    for days in range(3):
        begins, missed = f"202603{10 + days * 5:02}103000-0500", f"2026-03-{10 + days * 5:02} 12:00"
        if days:
            stage.receive(sample(BOOKING, _visit(begins, f"APT-{days}")))
        stage.move_to(at(missed))
        stage.receive(sample(BOOKING, _missed(begins, f"APT-{days}" if days else "", days)))
        if kinds(stage).count("no-show-review"):
            break

    prompts = [row for row in owed(stage) if row.purpose == "reschedule-prompt"]
    assert len(prompts) == asks
    assert kinds(stage).count("no-show-review") == 1


def _visit(begins: str, appointment: str) -> dict[str, str]:
    changes = {"MSH-10": f"M{begins[:8]}{appointment}", "SCH-11.4": begins, "TQ1-7": begins}
    changes |= {"AIS-4": begins, "AIL-6": begins, "AIP-6": begins}
    return changes | ({"SCH-2.1": appointment} if appointment else {})


def _missed(begins: str, appointment: str, times: int) -> dict[str, str]:
    return {**_visit(begins, appointment), "MSH-9.2": "S26", "MSH-10": f"MISSED-{times}", "SCH-25": "Noshow"}


# ---------------------------------------------------------------------------------------------- networks


def test_a_change_of_an_order_leaves_its_network_and_its_clocks_where_they_were() -> None:
    other = with_lines("sla.out", 'schedule = "2 days"')
    stage = engine("2026-03-02 09:00", other=other)
    stage.receive(sample(ORDER))
    before = _schedule(stage)

    stage.receive(sample(CHANGED))

    assert story(stage).referral.order.network.value == "in"  # the channel's file says so
    assert _schedule(stage) == before


def _schedule(stage: Rehearsal) -> list[str]:
    return [wall(one.due_at) for one in story(stage).deadlines if one.kind == "schedule" and one.state == "pending"]


@pytest.mark.parametrize(("network", "due"), [("in", "2026-03-09 09:00"), ("out", "2026-03-04 09:00")])
def test_the_network_of_a_referral_chooses_its_row(network: str, due: str) -> None:
    files = files_with(CARDIOLOGY, "sla.out", 'schedule = "2 days"')
    files[CARDIOLOGY] = files[CARDIOLOGY].replace('network   = "in"', f'network   = "{network}"')
    files["conf/preauth.toml"] = '[[rule]]\nrule = "send"\n' if network == "out" else files["conf/preauth.toml"]

    stage = engine("2026-03-02 09:00", other=read_book(files))
    stage.receive(sample(ORDER))

    assert _schedule(stage) == [due]


@pytest.mark.parametrize("word", ["S", "A", "ASAP"])
def test_stat_and_asap_take_the_urgent_row(word: str) -> None:  # LOOP 3.6
    stage = engine("2026-03-02 09:00")
    stage.receive(sample(ORDER, {"ORC-7.6": word}))

    assert _schedule(stage) == ["2026-03-05 09:00"]


# ---------------------------------------------------------------------------------------------- reviews


def test_the_age_of_a_review_is_what_the_engines_file_says() -> None:
    files = files_with("conf/engine.toml", "duplicates", "days = 14")
    files["conf/engine.toml"] += '\n[sla]\nreview-age = { routine = "2 hours", urgent = "30 minutes" }\n'
    stage = engine("2026-03-02 09:00", other=read_book(files))
    stage.receive(sample(ORDER))
    stranger = {"MSH-10": "OTHER-1", "PID-3.1": "900999", "PID-5.1": "Other", "PID-5.2": "Basil", "PID-7": "19500101"}
    stage.receive(sample(ORDER, stranger))  # the number of another patient's order

    (review,) = tasks(stage, "match-review")

    assert review.urgent
    assert wall(review.due_at) == "2026-03-02 09:30"
    stage.move_to(at("2026-03-02 09:31"))
    tick(stage)
    assert tasks(stage, "match-review")[0].queue == "supervisor"
