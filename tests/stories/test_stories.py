"""Generated stories through the real door: every message and every ending is what its author expects."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.stories.plots import BY_NAME, PLOTS
from referral_engine.stories.sayings import ordered
from referral_engine.stories.script import Expect, Script
from referral_engine.stories.teller import Teller, still_open
from tests.flow.stage import book
from tests.stories.proof import Proof

SEED = 20_260_302
FEEDS = ("athenahealth", "eclinicalworks", "epic", "neutral", "nextgen", "oracle-health", "veradigm")
EACH_ALIKE = tuple(replace(plot, weight=1) for plot in PLOTS)  # rare plots as often as the straight ones


def told(proof: Proof) -> None:
    """Run it; say what a person needs to see a difference again."""
    differences = proof.run()
    print(f"seed {proof.seed}: {proof.heard} messages of {sum(proof.told.values())} stories, {dict(proof.words)}")
    for one in differences[:50]:
        print(one)
    assert not differences, f"{len(differences)} differences, the first: {differences[0]}"
    assert sum(proof.told.values()) == proof.stories


def test_three_hundred_stories_go_as_their_authors_expect() -> None:
    proof = Proof(book(), SEED, 300, noise=0.2, plots=EACH_ALIKE)
    told(proof)
    assert proof.told.keys() == BY_NAME.keys(), "a plot was never told"


@pytest.mark.parametrize("feed", FEEDS)
def test_stories_go_the_same_in_every_dialect(feed: str) -> None:  # F-E07
    told(Proof(book(), SEED, 15, noise=0.0, feed=feed))


@pytest.mark.torture
def test_ten_thousand_stories_go_as_their_authors_expect() -> None:
    told(Proof(book(), SEED + 1, 10_000, days=180, noise=0.3))


@pytest.mark.torture
@pytest.mark.parametrize("feed", FEEDS)
def test_five_hundred_stories_go_the_same_in_every_dialect(feed: str) -> None:
    told(Proof(book(), SEED + 2, 500, days=60, noise=0.5, feed=feed))


@pytest.mark.torture
def test_a_firehose_hides_no_story() -> None:
    told(Proof(book(), SEED + 3, 500, days=60, noise=0.95))


def _wrongly_expected(t: Teller) -> Script:
    """A story whose author expects what cannot be: each of its expectations is wrong."""
    case = t.case(t.office("speaks", "free"))
    yield ordered(t, case, Expect(word="no-op", level=6))
    t.wait_minutes(10, 20)
    yield t.end(still_open(case, "closed", dispatch="declined"))


def test_the_proof_finds_every_kind_of_difference() -> None:
    plot = replace(PLOTS[0], tell=_wrongly_expected)
    differences = Proof(book(), SEED, 1, noise=0.0, plots=(plot,)).run()
    found = "\n".join(differences)
    assert "at first expected no-op, got applied" in found  # the verdict when it came
    assert "expected no-op level 6, got applied level 1" in found  # the verdict at the end
    assert "'status': 'expected closed, got patient-notified'" in found  # where the referral stands
    assert "expected [], got [('S000001.a', 'ReferralOrdered')]" in found  # the events it caused
    assert all(f"seed {SEED}, story S000001" in one for one in differences)
