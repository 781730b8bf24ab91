"""A journal that keeps less, for a replay: what it no longer holds changes nothing that is told."""

from __future__ import annotations

import pytest

from benchmarks.diff import pages, week
from referral_engine.base.clock import ManualClock
from referral_engine.flow.inputs import Arrived, Receipt
from referral_engine.flow.replaying import Version, World
from referral_engine.flow.step import Step
from referral_engine.flow.trace import Trace, trace_of
from referral_engine.journal.journal import Journal
from tests.channels.shipped import shipped_files
from tests.flow.stage import at, book, sample


def stranger(**changes: str) -> bytes:
    """A registration of somebody no referral is about."""
    return sample("adt-a08-new-phone.hl7", {name.replace("_", "-"): value for name, value in changes.items()})


@pytest.mark.parametrize("lean", [False, True])
def test_a_stranger_that_comes_again_is_known_in_every_journal(lean: bool) -> None:
    journal = Journal.open(":memory:", None, node="RE")
    if lean:
        journal.be_lean()
    step = Step(journal, book(), ManualClock(at("2026-03-02 09:00")))

    def receive(*raws: bytes) -> list[Receipt]:
        return step.run([Arrived(raw=raw, peer="127.0.0.1") for raw in raws])

    first, second, again = receive(stranger(), stranger(MSH_10="OTHER"), stranger())
    (later,) = receive(stranger())
    (reused,) = receive(stranger(PID_5="Somebody^Else"))

    assert [one.duplicate for one in (first, second, again, later, reused)] == [False, False, True, True, False]
    assert again.sequence == later.sequence == first.sequence
    assert reused.sequence > second.sequence
    assert (journal.read().message(first.sequence) is None) == lean
    journal.close()


def test_a_replay_that_keeps_less_tells_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    files = shipped_files()
    version = Version.read(files)
    came = week(160, 3, files, days=5, noise=0.8)

    def replayed() -> Trace:
        world = World(came[0].at, version)
        world.adopt(version, came[0].at, 3_600_000_000)
        for page in pages(came):
            world.take(page)
        world.bring_to(came[-1].at)
        trace = trace_of(world)
        world.close()
        return trace

    lean = replayed()
    monkeypatch.setattr(Journal, "be_lean", lambda self: None)

    assert replayed() == lean
    assert lean.replayed > 90
