"""The scenario files and the partners of a rehearsal."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.flow.rehearsal import ANSWERS
from referral_engine.flow.scenario import LANE_ANSWERS, read_scenario
from tests.flow.stage import HEART, ORDER, at, engine, owed, sample, tracks

HEAD = '[scenario]\nname = "x"\ntitle = "X"\nstart = "2026-03-02 09:00"\n'


def test_a_partner_can_say_every_word_a_scenario_may_use() -> None:
    assert frozenset(ANSWERS) == LANE_ANSWERS


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[[step]]\nat = 1", "Expected `str`"),
        (HEAD + '[[step]]\nat = "soon"\n', "is not a time"),
        (HEAD + '[partners]\nehr = "perhaps"\n[[step]]\nat = "2026-03-02 09:00"\n', "cannot answer"),
        (HEAD + '[[step]]\nat = "2026-03-02 09:00"\nreceives = "x.hl7"\n', "unknown field"),
        ("[scenario", "Expected"),
    ],
)
def test_a_scenario_that_cannot_be_read_says_where(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_scenario(text, "x.toml")

    assert sentence in refused.value.problems[0].sentence
    assert refused.value.problems[0].file == "x.toml"


def test_a_silent_partner_is_tried_again_until_it_speaks() -> None:
    stage = engine(**{HEART: "silent"})
    stage.receive(sample(ORDER))
    stage.move_to(at("2026-03-02 09:11"))
    assert tracks(stage)["dispatch"] == "queued"

    stage.partners[HEART] = "AA"
    stage.move_to(at("2026-03-02 09:16"))

    assert tracks(stage)["dispatch"] == "received"
    assert owed(stage)[0].attempts == 4


def test_what_leaves_is_shown_as_it_leaves() -> None:
    stage = engine()
    seen: list[str] = []
    stage.on_sent = lambda row: seen.append(row.purpose)

    stage.receive(sample(ORDER))

    assert seen == ["order", "status"]
