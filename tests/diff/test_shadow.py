"""A shadow goes on when the engine it follows was away: nothing is missed, and nothing is told twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from referral_engine.base.clock import to_micros
from referral_engine.base.values import replace
from referral_engine.cli import shadowing
from referral_engine.flow.disagreement import Difference
from referral_engine.flow.replaying import Version
from referral_engine.journal.traffic import TrafficPage, together
from referral_engine.service.control_client import ControlError
from tests.channels.shipped import shipped_files
from tests.diff.given import HEART_FILE, Practice, changed, history_of
from tests.flow.stage import ORDER, at


class Restarting:
    """The engine behind its socket, as `shadow` asks it; it can be away, or go away behind a page."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.away = self.goes_away = False

    def newest_before(self, at: int) -> int:
        return self.practice.traffic.before(at)

    def history(self, start: int, through: int) -> TrafficPage:
        return together(history_of(self.practice.traffic, start, through))

    def pages(self, after: int, at: int = 0) -> Iterator[TrafficPage]:
        if self.away:
            raise ControlError("no engine answers")
        yield self.practice.traffic.page(after, at)
        if self.goes_away:
            raise ControlError("the engine closed the line")


def test_a_shadow_outlives_restarts_of_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    practice = Practice()
    monkeypatch.setattr(shadowing.Follower, "_behind", lambda self: to_micros(practice.engine.clock.now()))
    engine = Restarting(practice)
    files = changed((HEART_FILE, 'schedule = { routine = "7 days"', 'schedule = { routine = "5 days"'))
    follower = shadowing.Follower(engine, Version.read(shipped_files()), Version.read(files), channel="")

    def look() -> tuple[list[str], str]:
        follower.read()
        return [one.placer for one in follower.compare()], follower.waits

    def order(wall: str, later: str, number: str) -> None:
        practice.receive(
            wall, ORDER, MSH_10=number, ORC_2=number, OBR_2=number, PID_3=f"MRN{number}", PID_5=f"Example^{number}"
        )
        practice.engine.move_to(at(later))  # the packet has arrived

    order("2026-03-02 09:10", "2026-03-02 09:15", "P-1")
    engine.goes_away = True
    assert look() == (["P-1"], "the engine closed the line")

    order("2026-03-02 09:20", "2026-03-02 09:25", "P-2")
    engine.away = True
    assert look() == ([], "no engine answers")

    engine.away = engine.goes_away = False
    assert look() == (["P-2"], "")
    assert look() == ([], "")
    follower.close()
    assert (follower.messages, follower.restarts) == (2, 0)


def test_a_disagreement_whose_instants_move_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    practice = Practice()
    follower = shadowing.Follower(
        Restarting(practice), Version.read(shipped_files()), Version.read(shipped_files()), channel=""
    )
    early = Difference(kind="clock", change="appears", at=1, what="schedule", placer="P-1", after_at=1)
    found = iter(([early], [early, replace(early, at=2, after_at=2)], [replace(early, what="confirm")]))
    monkeypatch.setattr(follower, "_worlds", _Worlds(found))

    told = [[one.what for one in follower.compare()] for _ in range(3)]

    assert told == [["schedule"], [], ["confirm"]]


class _Worlds:
    """Two worlds that disagree as they are told."""

    def __init__(self, found: Iterator[list[Difference]]) -> None:
        self._found = found

    def compare(self, _at: int, _since: int) -> tuple[None, None, list[Difference]]:
        return None, None, next(self._found)
