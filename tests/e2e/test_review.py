"""The review queue of a running daemon, from the command line over its control socket."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from tests.e2e.support import Site, an_order, eventually, sample

REVIEW_KEYS = {
    "id", "message_id", "type", "feed", "received_at", "opened_at", "due_at", "urgent", "level", "reason", "candidates",
}  # fmt: skip
CHANNEL = "cardiology-heart-group"
_numbers = count(1)


@pytest.fixture
def number() -> str:
    """Letters and digits no other test has used."""
    return f"V{next(_numbers):04d}"


def a_note(number: str, **changes: str) -> bytes:
    """A final note of the patient of `an_order(number)` that names no order."""
    own = {
        "MSH-10": f"N{number}", "PID-3": "", "PID-3.1": f"M{number}", "PID-3.4": "SPRINGFIELD", "PID-3.5": "MR",
        "PID-5.1": f"Family{number}", "TXA-12.1": f"D{number}", "TXA-14": "", "ORC-2": "", "OBR-2": "",
        "OBX-5": f"Findings {number}.",
    }  # fmt: skip
    return sample("mdm-t02-cardiology-final.hl7", own | changes)


def review_of(site: Site, number: str) -> dict[str, Any]:
    """The one open review whose only candidate is the referral of an order."""
    referral = site.referral_of(f"P-{number}")
    (row,) = [
        row for row in site.ask_json("review", "list") if [one["referral"] for one in row["candidates"]] == [referral]
    ]
    return dict(row)


def tracks(site: Site, number: str) -> dict[str, str]:
    """Where the tracks of an order's referral stand."""
    return dict(site.ask_json("show", f"P-{number}")["tracks"])


def test_a_note_waits_is_looked_at_is_bound_and_is_taken_off_again(live: Site, number: str) -> None:
    assert live.send(an_order(number), a_note(number)) == ["AA", "AA"]
    referral = live.referral_of(f"P-{number}")

    review = review_of(live, number)
    assert set(review) == REVIEW_KEYS
    assert (review["level"], review["type"], review["feed"]) == (3, "MDM^T02", CHANNEL)
    shown = live.ask_json("review", "show", str(review["id"]))
    assert set(shown) > REVIEW_KEYS
    (candidate,) = shown["candidates"]
    assert (candidate["referral"], candidate["channel"]) == (referral, CHANNEL)
    assert {part["name"]: part["verdict"] for part in candidate["parts"]}["record number"] == "agrees"
    assert candidate["patient"]["family"] == shown["message_patient"]["family"] == f"Family{number}"
    assert shown["decisions"][0]["by"] == "engine"

    text = live.ask("review", "show", str(review["id"])).out
    assert f"order P-{number} of 2026-03-02T15:00:00Z" in text
    assert "speaks of: report CN, of 2026-03-10T15:30:00Z, by 1550000016, naming no order" in text
    assert "review bind would: keep it with the referral; a final note closes it" in text
    assert {row["name"]: row["verdict"] for row in candidate["compared"]}["order number"] == "missing"

    bound = live.ask("review", "bind", str(review["id"]), referral, "--reason", "both charts looked at", "--by", "ana")
    assert bound.exit_status == 0, bound.err
    assert f"{referral}  A final note (note none -> final" in bound.out
    eventually(lambda: tracks(live, number)["closure"] == "closed", "the note closes the loop")
    told = live.ask_json("message", "show", str(review["message_id"]))
    assert (told["referral"], told["decisions"][-1]["by"]) == (referral, "user:ana")

    undone = live.ask("review", "undo", str(review["message_id"]), "--reason", "her sister's", "--by", "ana")
    assert undone.exit_status == 0, undone.err
    assert f"{referral}  Undone: what message {review['message_id']} said of this referral" in undone.out
    assert f"{referral}  owed: retraction (undone) to ehr by ehr" in undone.out
    assert f"review {review_of(live, number)['id']} asks where it belongs" in undone.out
    assert tracks(live, number)["note"] == "none"
    assert tracks(live, number)["closure"] == "open"
    eventually(lambda: live.sendings(referral, kind="retraction", state="delivered"), "the EHR hears of it")
    timeline = live.ask_json("show", referral)["timeline"]
    assert any("[undone since]" in one["summary"] for one in timeline)
    assert review_of(live, number)["message_id"] == review["message_id"]
    assert f"Family{number}" not in live.log


def test_what_differs_stands_out_and_a_bind_over_it_is_refused_until_sure(live: Site, number: str) -> None:
    live.send(an_order(number))
    other = {"TXA-14.1": f"P-{number}", "TXA-14.2": "EHR", "PID-3.1": f"M9{number}", "PID-7": "19010101"}
    live.send(a_note(number, **other))
    review = review_of(live, number)
    referral = live.referral_of(f"P-{number}")

    shown = live.ask("review", "show", str(review["id"]))
    assert shown.exit_status == 0
    differing = [line for line in shown.out.splitlines() if "DIFFERS" in line]
    assert [line.split("  ")[1].strip() for line in differing] == ["record number", "birth date"]
    assert "the message says" in shown.out
    assert f"order number   P-{number} (EHR)" in shown.out
    assert "bind is refused without --sure" in shown.out

    refused = live.ask("review", "bind", str(review["id"]), referral, "--reason", "it looks right")
    assert refused.exit_status == 1
    assert "say that you are sure" in refused.err
    sure = live.ask("review", "bind", str(review["id"]), referral, "--reason", "the office confirmed it", "--sure")
    assert sure.exit_status == 0, sure.err


def test_the_other_words_are_done_and_need_a_reason(live: Site, number: str) -> None:
    live.send(an_order(number), a_note(number))
    review = str(review_of(live, number)["id"])

    assert live.ask("review", "dismiss", review).exit_status == 2
    assert "needs a reason" in live.ask("review", "dismiss", review, "--reason", " ").err
    assert live.ask("review", "needs-info", review, "--reason", "asked the office").exit_status == 0
    assert live.ask_json("review", "show", review)["note"] == "asked the office"
    assert live.ask("review", "wrong-patient", review, "--reason", "another's letter").exit_status == 0
    message = live.ask_json("message", "show", str(live.ask_json("review", "show", review)["message_id"]))
    assert message["disposition"] == "quarantined"
    assert "done already" in live.ask("review", "dismiss", review, "--reason", "again").err
    assert live.ask("review", "show", "999999").exit_status == 1


def test_a_merge_is_listed_and_taken_back(live: Site, number: str) -> None:
    live.send(an_order(number))
    merge = sample(
        "adt-a40-merged.hl7",
        {"MSH-10": f"A{number}", "PID-3.1": f"S{number}", "PID-5.1": f"Family{number}", "MRG-1.1": f"M{number}"},
    )
    assert live.send(merge) == ["AA"]

    (row,) = [row for row in live.ask_json("review", "merges") if row["retired"]["value"] == f"M{number}"]
    assert (row["kind"], row["survivor"]["value"], row["undone_at"]) == ("merge", f"S{number}", None)
    assert f"S{number} (SPRINGFIELD)" in live.ask("review", "merges").out
    assert live.ask("review", "undo-merge", str(row["id"]), "--reason", "two sisters").exit_status == 0

    ids = live.ask_json("show", f"P-{number}")["patient"]["ids"]
    assert [one["value"] for one in ids] == [f"M{number}"]
    assert "undone already" in live.ask("review", "undo-merge", str(row["id"]), "--reason", "again").err


def test_a_referral_is_made_from_a_note_that_nobody_ordered(live: Site, number: str) -> None:
    live.send(an_order(number))
    live.send(
        a_note(number, **{"TXA-14.1": f"P-{number}", "TXA-14.2": "EHR", "PID-3.1": f"M8{number}", "PID-7": "19020202"})
    )
    review = review_of(live, number)

    made = live.ask("review", "new", str(review["id"]), "--channel", CHANNEL, "--reason", "ordered by telephone")

    assert made.exit_status == 0, made.err
    referral = live.ask_json("message", "show", str(review["message_id"]))["referral"]
    assert referral != live.referral_of(f"P-{number}")
    eventually(lambda: live.ask_json("show", referral)["status"] == "closed", "the EHR takes the note")
    assert {row["kind"] for row in live.sendings(referral)} == {"closure"}
