"""`rehearse`: a story that goes as its file says, one that does not, and files that cannot be played."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, run

STRAIGHT = ROOT / "sample_messages" / "scenarios" / "01-cardiology-straight-through.toml"
STORY = """
[scenario]
name  = "story"
title = "A story of our own"
start = "2026-03-02 09:00"

[[step]]
at      = "2026-03-02 09:00"
say     = "An order comes."
receive = "orm-o01-cardiology-ppo.hl7"
expect  = { ack = "AA", status = "ordered" }

[[step]]
at     = "2026-03-02 09:05"
say    = "The patient has been told."
expect = { status = "patient-notified" }
"""


def story(directory: Path, old: str = "", new: str = "") -> Path:
    """The story above as a file, with one place changed."""
    assert not old or STORY.count(old) == 1
    path = directory / "story.toml"
    path.write_text(STORY.replace(old, new) if old else STORY)
    return path


def rehearse(*words: str | Path) -> tuple[int, str, str]:
    """`rehearse` with the project's messages."""
    said = run("rehearse", *words, "--samples", ROOT / "sample_messages")
    return said.exit_status, said.out, said.err


def test_a_story_that_goes_as_its_file_says_exits_0() -> None:
    said = run("rehearse", STRAIGHT)

    assert said.exit_status == 0
    assert said.out.startswith("ok    Cardiology over MLLP, straight through   9 steps, 10 days")
    assert said.out.endswith("1 scenario, 1 as expected, 0 not\n")


def test_a_step_that_differs_shows_its_number_what_was_expected_what_came_and_why(tmp_path: Path) -> None:
    status, out, _ = rehearse(story(tmp_path, "patient-notified", "scheduled"))

    assert status == 1
    assert out.startswith("FAIL  A story of our own")
    assert "step 2, Mon 02 Mar 2026 09:05 CST   The patient has been told." in out
    lines = [line.split() for line in out.splitlines()]
    assert ["status", "expected", "scheduled"] in lines
    assert ["got", "patient-notified"] in lines
    assert any(line[:1] == ["why"] and len(line) > 1 for line in lines)
    assert out.endswith("1 scenario, 0 as expected, 1 not\n")


def test_json_tells_every_step_and_every_referral(tmp_path: Path) -> None:
    path = story(tmp_path, "patient-notified", "scheduled")

    said = run("rehearse", path, "--samples", ROOT / "sample_messages", "--json")

    assert said.exit_status == 1
    (told,) = said.json
    assert told.keys() == {"name", "title", "steps", "referrals"}
    first, second = told["steps"]
    assert first.keys() == {"number", "at", "say", "ack", "sends", "differences", "why"}
    assert (first["number"], first["at"], first["ack"], first["differences"]) == (1, "2026-03-02T15:00:00Z", "AA", [])
    assert second["differences"] == [{"what": "status", "expected": "scheduled", "got": "patient-notified"}]
    assert second["why"]
    assert told["referrals"][0]["placer_number"] == "P-1001"


def test_the_timeline_is_printed_when_asked_for() -> None:
    said = run("rehearse", STRAIGHT, "--timeline")

    assert "Ordered by the EHR" in said.out
    assert "closure closed" in said.out


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("receive =", "recv    =", "unknown field `recv`"),
        ("[scenario]", "[scenario", "line 2"),
        ('at     = "2026-03-02 09:05"', 'at     = "tomorrow"', '"tomorrow" is not a time such as "2026-03-02 09:00"'),
        ('at     = "2026-03-02 09:05"', 'at     = "2026-03-02 08:00"', "step 2: at 2026-03-02 08:00 is before"),
        ('say     = "An', 'partner = { heart = "AA" }\nsay     = "An', 'step 1: partner: nobody is called "heart"'),
        ("[[step]]\nat      =", '[partners]\nher = "AA"\n[[step]]\nat      =', 'partners: nobody is called "her"'),
        ('say     = "An', 'partner = { ehr = "yes" }\nsay     = "An', 'ehr cannot answer "yes"; it can: AA'),
        ('say     = "An', 'with = { "PID" = "x" }\nsay     = "An', 'step 1: with: "PID" is no place in a message'),
        ('say     = "An', 'with = { "OBX[3=A]-5" = "x" }\nsay     = "An', 'step 1: with: "OBX[3=A]-5" is no place'),
        ("[[step]]\nat      =", 'feeds = ["epik"]\n[[step]]\nat      =', 'scenario.feeds: there is no feed "epik"'),
    ],
)
def test_a_slip_in_a_scenario_is_a_clear_sentence_and_78(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    path = story(tmp_path, old, new)

    status, out, err = rehearse(path)

    assert status == 78
    assert out == ""
    assert err.startswith(f"{path}: error[SC")
    assert sentence in err
    assert err.endswith("1 problem: the scenario is not used\n")


def test_a_scenario_that_is_not_utf_8_is_said_to_be(tmp_path: Path) -> None:
    path = story(tmp_path)
    path.write_bytes(path.read_bytes() + "# Zürich\n".encode("latin-1"))

    status, _, err = rehearse(path)

    assert status == 78
    assert "is not UTF-8" in err


def test_a_sample_that_is_missing_is_named_together_with_where_it_was_looked_for(tmp_path: Path) -> None:
    path = story(tmp_path, "orm-o01-cardiology-ppo.hl7", "orm-o01-cardiology-pop.hl7")

    status, _, err = rehearse(path)

    assert status == 1
    assert f"{path} names orm-o01-cardiology-pop.hl7, which is not in {ROOT / 'sample_messages'}" in err


def test_a_message_that_cannot_be_changed_is_a_sentence(tmp_path: Path) -> None:
    path = story(tmp_path, "orm-o01-cardiology-ppo.hl7", "bad/no-msh.hl7")
    path.write_text(path.read_text().replace("expect  =", 'with = { "PID-3" = "x" }\nexpect  =', 1))

    status, _, err = rehearse(path)

    assert status == 1
    assert "a message to receive cannot be changed" in err


def test_a_scenario_that_is_missing_is_misuse(tmp_path: Path) -> None:
    assert rehearse(tmp_path / "nothing.toml")[0] == 2
