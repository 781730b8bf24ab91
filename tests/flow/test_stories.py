"""Every story of sample_messages/ goes as its file says, from the first step to the last."""

from __future__ import annotations

import pytest

from referral_engine.flow.comparison import Played
from referral_engine.flow.scenario import Scenario, read_scenario
from referral_engine.flow.story import Story
from tests.flow.stage import CLINIC, SAMPLES, book, sample

FILES = sorted((SAMPLES / "scenarios").glob("*.toml"))
# The twelve stories that the loop promises, each by the file or files that tell it.
PROMISED = "01 02 03 04 05 06 07 08 09 10 11 12".split()


def _told(scenario: Scenario, played: list[Played]) -> str:
    """What differed, one block a step, as `referral-engine rehearse` prints it."""
    lines = [scenario.scenario.title]
    for one in (one for one in played if one.differences):
        lines.append(f"  step {one.number}, {one.at.astimezone(CLINIC):%a %d %b %H:%M}: {one.say}")
        for difference in one.differences:
            lines += [
                f"    {difference.what}",
                f"      expected  {difference.expected}",
                f"      got       {difference.got}",
            ]
        lines.append(f"    why         {one.why}")
    return "\n".join(lines)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_story_goes_as_its_file_says(path) -> None:
    scenario = read_scenario(path.read_text(encoding="utf-8"), path.name)
    story = Story(scenario=scenario, book=book(), samples=sample)

    played = list(story.play())

    assert not any(one.differences for one in played), _told(scenario, played)
    reading = story.rehearsal.journal.read()
    assert reading.conservation().holds
    assert reading.first_bad_audit_line() is None
    wire_ids = [row.wire_id for row in reading.owed_after(0)]
    assert len(set(wire_ids)) == len(wire_ids)


@pytest.mark.parametrize("number", PROMISED)
def test_each_of_the_twelve_promised_stories_is_told(number: str) -> None:
    assert any(path.stem.startswith(number) for path in FILES)


def test_every_story_is_named_after_its_file() -> None:
    for path in FILES:
        scenario = read_scenario(path.read_text(encoding="utf-8"), path.name)

        assert path.stem.endswith(scenario.scenario.name), path.name


def test_what_differs_is_told_with_step_expected_got_and_why() -> None:
    text = """
    [scenario]
    name = "wrong"
    title = "A story that does not go that way"
    start = "2026-03-02 09:00"
    [[step]]
    at = "2026-03-02 09:00"
    say = "The order comes."
    receive = "orm-o01-cardiology-ppo.hl7"
    expect = { ack = "AE", status = "closed" }
    """
    scenario = read_scenario(text, "wrong.toml")

    played = list(Story(scenario=scenario, book=book(), samples=sample).play())

    told = _told(scenario, played)
    assert "step 1, Mon 02 Mar 09:00: The order comes." in told
    assert "expected  closed" in told
    assert "got       ordered" in told
    assert "next clock patient-prompt at 2026-03-02 15:02Z" in told
