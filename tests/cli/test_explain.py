"""`explain` and `message FILE`: what would become of a message, and nothing of it happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from referral_engine.base.clock import ManualClock, to_micros
from referral_engine.flow.inputs import Arrived
from referral_engine.flow.step import Step
from referral_engine.hl7.mllp import enframe
from referral_engine.journal.journal import Journal
from tests.cli.terminal import run
from tests.flow.stage import BOOKING, MONDAY, ORDER, at, book, sample

SAMPLES = Path("sample_messages")
MORNING = ("--time", "2026-03-02 09:00")


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A plain journal that holds one referral, closed."""
    path = tmp_path / "journal.db"
    journal = Journal.open(str(path), None, node="RE", now=to_micros(at(MONDAY)))
    Step(journal, book(), ManualClock(at(MONDAY))).run([Arrived(raw=sample(ORDER), peer="127.0.0.1")])
    journal.close()
    return path


def test_an_order_is_explained_from_its_frame_to_its_clocks() -> None:
    said = run("explain", str(SAMPLES / ORDER), *MORNING)

    assert said.exit_status == 0
    for told in (
        "no MLLP frame, 1 message",
        "message    ORM^O01 2.5.1",
        "sender     ehr ehr",
        "event      ReferralOrdered",
        "cardiology-heart-group: yes",
        "imaging-northside: no",
        "becomes    applied, level 1",
        "dispatch - -> queued",
        "sends      specialist order by mllp",
        "clock      schedule runs until 2026-03-09T14:00:00Z",
    ):
        assert told in said.out


def test_evidence_is_explained_against_a_copy_of_a_journal(stored: Path) -> None:
    before = stored.read_bytes()

    said = run("explain", str(SAMPLES / BOOKING), "--at", str(stored), "--key", "", *MORNING, "--json")

    (one,) = said.json["messages"]
    assert said.exit_status == 0
    assert (one["disposition"], one["level"]) == ("applied", 1)
    assert one["matches"][0]["level"] == 1
    assert {part["verdict"] for part in one["matches"][0]["candidates"][0]["parts"]} >= {"agrees"}
    (referral,) = one["referrals"]
    assert referral["new"] is False
    assert {"track": "appointment", "before": "none", "after": "booked"} in referral["tracks"]
    assert "remind-72h" in [clock["kind"] for clock in referral["clocks_started"]]
    assert "schedule" in [clock["kind"] for clock in referral["clocks_stopped"]]
    assert stored.read_bytes() == before


def test_evidence_of_nobody_we_know_says_that_it_would_wait() -> None:
    said = run("explain", str(SAMPLES / BOOKING), *MORNING)

    assert "becomes    no-op, level 6: no referral yet" in said.out
    assert "follows    nothing" in said.out
    assert "--at JOURNAL names one with referrals in it" in said.out


def test_the_journal_of_a_running_engine_is_not_opened(stored: Path) -> None:
    opened = Journal.open(str(stored), None)
    try:
        said = run("explain", str(SAMPLES / BOOKING), "--at", str(stored), "--key", "")
    finally:
        opened.close()

    assert said.exit_status == 1
    assert "is open in a running engine: name a copy of it" in said.err


def test_a_journal_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    said = run("explain", str(SAMPLES / BOOKING), "--at", str(tmp_path / "no.db"), "--key", "")

    assert said.exit_status == 1
    assert "there is no such file" in said.err


def test_an_order_nobody_takes_exits_1_with_the_task_it_would_open() -> None:
    said = run("explain", str(SAMPLES / "orm-o01-unroutable.hl7"), *MORNING)

    assert said.exit_status == 1
    assert "unroutable-order" in said.out


def test_broken_frames_and_no_messages_at_all_are_told(tmp_path: Path) -> None:
    framed, torn = tmp_path / "framed.bin", tmp_path / "torn.bin"
    framed.write_bytes(enframe(sample(ORDER)) + enframe(sample(BOOKING)))
    torn.write_bytes(enframe(sample(ORDER))[:-40])

    whole, broken = run("explain", str(framed), *MORNING), run("explain", str(torn), *MORNING)

    assert "MLLP, 2 messages" in whole.out
    assert whole.out.count("becomes") == 2
    assert broken.exit_status == 1
    assert "the last frame does not end" in broken.out


def test_bytes_that_are_no_hl7_have_a_fault_and_no_traceback(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(b"Dear colleague,\n")

    said = run("explain", str(file))

    assert said.exit_status == 1
    assert "fault" in said.out
    assert "quarantine" in said.out


def test_a_message_is_shown_field_by_field_with_the_verdict_of_the_standard() -> None:
    good = run("message", str(SAMPLES / BOOKING), "--conformance")

    assert good.exit_status == 0
    assert "SIU^S12 version 2.5.1" in good.out
    assert "conforms to version 2.5.1 SIU_S12" in good.out


def test_a_message_that_leaves_the_standard_exits_1_and_says_where(tmp_path: Path) -> None:
    file = tmp_path / "short.hl7"
    file.write_bytes(sample(BOOKING).split(b"\rRGS")[0] + b"\r")

    said = run("message", str(file), "--conformance", "--json")

    assert said.exit_status == 1
    (one,) = said.json
    assert one["conformance"]["conforms"] is False
    assert any("RGS" in line or "RESOURCES" in line for line in one["conformance"]["complaints"])


def test_without_the_question_the_standard_is_not_asked() -> None:
    said = run("message", str(SAMPLES / BOOKING), "--json")

    assert said.exit_status == 0
    assert said.json[0]["conformance"] is None


def test_a_segment_that_its_structure_has_no_place_for_is_named() -> None:
    said = run("message", str(SAMPLES / "orm-o01-imaging-mri.hl7"), "--conformance", "--json")

    first, *_ = said.json[0]["conformance"]["complaints"]
    assert first == "Error: CON, TQ1 do not belong in ORM_O01 2.5.1; others may follow from it"


def test_an_empty_file_holds_no_message(tmp_path: Path) -> None:
    empty = tmp_path / "empty.hl7"
    empty.write_bytes(b"\r\n")

    said = run("explain", str(empty))

    assert said.exit_status == 1
    assert "there is nothing in it" in said.out
    assert "quarantine" not in said.out


def test_a_message_that_no_listener_would_take_is_not_explained_as_if_it_were_taken(tmp_path: Path) -> None:
    large = tmp_path / "large.hl7"
    large.write_bytes((SAMPLES / "mdm-t02-cardiology-final.hl7").read_bytes() + b"NTE|1||" + b"x" * 17_000_000 + b"\r")

    said = run("explain", str(large), "--json")

    assert said.exit_status == 1
    assert "longer than the 16,777,216 bytes a listener takes" in said.json["framing"]["sentence"]
    assert said.json["messages"] == []


def test_a_sender_whose_feed_is_switched_off_is_told_so() -> None:
    said = run("explain", str(SAMPLES / "feeds" / "epic" / "orm-o01-order.hl7"))

    assert said.exit_status == 1
    assert "sender     nobody we know: MSH-3 is EPIC, MSH-4 is SPRINGFIELD" in said.out
    assert 'conf/feeds/epic.toml names it, but is switched off: "enabled = false"' in said.out


def test_what_is_no_journal_no_key_and_no_address_is_refused_in_a_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "journal.db"
    empty.write_bytes(b"")
    booking = str(SAMPLES / BOOKING)

    assert f"{empty} is no journal: there is nothing in it" in run("explain", booking, "--at", str(empty)).err
    assert f"{tmp_path} is no journal: it is a directory" in run("explain", booking, "--at", str(tmp_path)).err
    nowhere = run("explain", booking, "--at", str(empty), "--key", "/nonexistent")
    assert (nowhere.exit_status, "there is no file /nonexistent" in nowhere.err) == (2, True)
    assert "write an address" in run("explain", booking, "--from", "nowhere").err
