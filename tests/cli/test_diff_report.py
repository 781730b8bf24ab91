"""What `diff` prints for a person: what one edit does stands before the hundred places where it does it."""

from __future__ import annotations

import pytest

from referral_engine.cli.diffing_report import DECIDING_MAX, print_decisions
from referral_engine.flow.disagreement import Difference, What

LINE = "channels/x.toml:7"


def difference(kind: What, referral: str, why: str, line: str) -> Difference:
    """One clock, task or send that vanishes."""
    return Difference(kind=kind, change="vanishes", at=0, what="schedule", referral=referral, why=why, line=line)


def test_each_line_that_decides_is_told_once_with_all_that_it_changes(capsys: pytest.CaptureFixture[str]) -> None:
    print_decisions([
        difference("task", "R3", "nobody was told", ""),
        difference("clock", "R1", "sla.schedule was 7 days, is 3 days", LINE),
        difference("clock", "R2", "sla.schedule was 7 days, is 3 days", LINE),
        difference("send", "R2", "sla.schedule was 7 days, is 3 days", LINE),
    ])  # fmt: skip

    assert [" ".join(line.split()) for line in _printed(capsys)] == [
        "",
        "what decides referrals messages clocks tasks sends line",
        f"sla.schedule was 7 days, is 3 days 2 2 1 {LINE}",
        "nobody was told 1 1",
    ]


def _printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_many_reasons_do_not_fill_more_than_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    print_decisions([difference("task", f"R{number}", f"why {number:03}", LINE) for number in range(99)])

    printed = _printed(capsys)
    assert "What decides (the first 10 of 99)" in printed
    assert len([line for line in printed if LINE in line]) == DECIDING_MAX


def test_where_nothing_differs_nothing_decides(capsys: pytest.CaptureFixture[str]) -> None:
    print_decisions([])

    assert capsys.readouterr().out == ""
