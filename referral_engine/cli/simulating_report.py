"""What `simulate` prints for a person: the work of the weeks, or the numbers of two sides beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import click

from referral_engine.cli.quarter import Asked, Played
from referral_engine.cli.shared import print_table
from referral_engine.cli.side_by_side import Pair, pairs, queues_of, week_of
from referral_engine.flow.figures import Figures

WORSE: Final = "worse"
NOTHING: Final = "-"


def print_one(asked: Asked, played: Played) -> None:
    """One configuration."""
    figures = played.figures
    click.echo(f"{asked.title}, {asked.desk_hours:g} opening hours a task")
    click.echo(f"{figures.orders} orders, {figures.messages} messages, {figures.unroutable} orders no channel takes")
    _print_left_out([played])
    weeks = tuple(_week(first) for first in figures.weeks)
    _head("Tasks: opened in the week / open at its end / their median age in hours")
    rows = [(queue, *(_cell(figures, queue, week + 1) for week in range(len(weeks)))) for queue in queues_of(figures)]
    print_table(("queue", *weeks), rows, "no task was opened")
    _head("Escalations: clocks that ran out and asked for somebody")
    escalated = sorted(figures.escalations.items(), key=lambda one: -sum(one[1]))
    print_table(("clock", "all", *weeks), [(kind, sum(each), *each) for kind, each in escalated], "none")
    _head("Sends")
    print_table(
        ("to", "what", "sent", "tried again"),
        [(one.lane, one.kind, one.total, one.again or "") for one in figures.sendings],
        "nothing was sent",
    )
    patients = figures.patients
    click.echo(
        f"\n{patients.messages} messages to {patients.patients} patients; "
        f"one patient got at most {patients.most_in_a_day} a day and {patients.most_in_a_week} in seven days"
    )
    _head("Referrals at the end")
    ended = "".join(f", {number} {word}" for word, number in figures.endings.items())
    rows_of = [(status, number, ended[2:] if status == "ended" else "") for status, number in figures.statuses.items()]
    print_table(("status", "referrals", "why"), rows_of, "none")
    _head("Measures")
    print_table(
        ("measure", "value", "target", "referrals"),
        [(one.name, _number(one.value, f" {one.unit}"), one.target, one.of) for one in figures.measures],
        "none",
    )
    _print_silent_clocks(figures)
    _print_not_done([played])


def print_two(asked: Asked, here: Played, against: Played) -> None:
    """Two configurations and what differs."""
    click.echo(f"{asked.title}, {asked.desk_hours:g} opening hours a task")
    click.echo(f"{here.figures.orders} orders over the files here and over those of {against.name}")
    _print_left_out([here, against])
    weeks = tuple(_week(first) for first in here.figures.weeks)
    _head("Open tasks at the end of the week: here > against")
    rows = [
        (queue, *(_both(here.figures, against.figures, queue, week + 1) for week in range(len(weeks))))
        for queue in queues_of(here.figures, against.figures)
    ]
    print_table(("queue", *weeks), rows, "no task was opened")
    found = list(pairs(here.figures, against.figures))
    for part in dict.fromkeys(one.part for one in found):
        _head(part[0].upper() + part[1:])
        print_table(("", "here", "against", "difference", ""), [_row(one) for one in found if one.part == part], "none")
    worse, changed = sum(one.worse for one in found), sum(bool(one.difference) for one in found)
    click.echo(f"\n{changed} numbers differ, {worse} of them got worse")
    _print_not_done([here, against])


def _print_left_out(played: Sequence[Played]) -> None:
    rows = [(one.name, left.channel, left.sentence, left.where) for one in played for left in one.cast.left_out]
    if rows:
        _head("Without orders")
        print_table(("side", "channel", "why", "where"), rows, "")


def _print_silent_clocks(figures: Figures) -> None:
    """Which clocks had nothing to say in all this time."""
    _head("Clocks that never fired")
    rows = []
    for channel in dict.fromkeys(one.channel for one in figures.clocks):
        ours = [one for one in figures.clocks if one.channel == channel]
        ran = ", ".join(f"{one.kind} ({one.ran})" for one in ours if one.ran and not one.fired)
        rows.append((channel, ran or NOTHING, ", ".join(one.kind for one in ours if not one.ran) or NOTHING))
    print_table(("channel", "ran (how often), never fired", "never ran"), rows, "no channel", under=2)


def _print_not_done(played: Sequence[Played]) -> None:
    refused = sum(one.figures.not_done for one in played)
    if refused:
        click.echo(f"{refused} times a made-up person recorded what the engine refused: please report this", err=True)


def _head(text: str) -> None:
    click.echo()
    click.secho(text, bold=True)


def _week(first: str) -> str:
    day = date.fromisoformat(first)
    return f"{day.day} {day:%b}"


def _cell(figures: Figures, queue: str, week: int) -> str:
    one = week_of(figures, queue, week)
    if one is None or not (one.opened or one.open):
        return NOTHING
    return f"{one.opened}/{one.open}" + (f"/{one.median_age_hours:.0f}h" if one.median_age_hours is not None else "")


def _both(here: Figures, against: Figures, queue: str, week: int) -> str:
    ours, theirs = (one.open if (one := week_of(side, queue, week)) else 0 for side in (here, against))
    return f"{ours} > {theirs}" if ours != theirs else str(ours)


def _row(one: Pair) -> tuple[str, ...]:
    difference = NOTHING if one.difference is None else f"{one.difference:+g}" if one.difference else ""
    return (one.name, _number(one.here), _number(one.against), difference, WORSE if one.worse else "")


def _number(value: float | None, unit: str = "") -> str:
    return NOTHING if value is None else f"{value:g}{unit}"
