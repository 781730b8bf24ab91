"""[[test]] tables to timetables; the shape is checked here, the tests are run elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from referral_engine.channels import words
from referral_engine.channels.conditions import read_feed_path
from referral_engine.channels.shape import Table, Unfit, nearest, of_kind
from referral_engine.channels.timetable import ChannelTest, Expectation, Step
from referral_engine.loop import states

STEPS_MAX: Final = 200  # of one test; a timetable a person can still read
ACKS: Final = {code: code for code in ("AA", "AE", "AR", "CA", "CE", "CR", "")}
_TRACKS: Final = (
    states.Status,
    states.Authorization,
    states.Dispatch,
    states.Outreach,
    states.Appointment,
    states.Note,
    states.Closure,
)
STATUSES: Final = {str(member): str(member) for track in _TRACKS for member in track}


def read_tests(tables: Sequence[Table], samples: Sequence[str] | None) -> tuple[ChannelTest, ...]:
    """Every [[test]]; samples: the names a step may receive, None when they are not known here."""
    tests: list[ChannelTest] = []
    for table in tables:
        before = len(table.page.settings)
        name = table.need("name", words.some_text, "")
        steps = table.tables("steps")
        if "steps" not in table.tree:
            table.missing.append("steps")
        if any(one.name == name for one in tests) and name:
            table.complain("name", "CH312", f'two tests are called "{name}"')
        if len(steps) > STEPS_MAX:
            table.complain("steps", "CH206", f"a test may have at most {STEPS_MAX} steps, this one has {len(steps)}")
        read = tuple(_step(step, samples) for step in steps)
        _complain_of_order(steps, read)
        table.close()
        del table.page.settings[before:]  # a test decides nothing that is in force
        tests.append(ChannelTest(name=name, steps=read, line=table.page.line_of(table.place)))
    return tuple(tests)


def _step(table: Table, samples: Sequence[str] | None) -> Step:
    """One line of a timetable."""
    overrides = table.table("with")
    expect = table.table("expect")
    step = Step(
        at=table.take("at", _wall_time, None),
        receive=table.take("receive", words.some_text, ""),
        overrides={} if overrides is None else _overrides(overrides),
        reply=table.take("reply", words.some_text, ""),
        expect=Expectation() if expect is None else _expectation(expect),
        line=table.page.line_of(table.place),
    )
    if samples is not None and step.receive and step.receive not in samples:
        near = nearest(step.receive, samples)
        hint = f'did you mean "{near}"?' if near else "put it into sample_messages/"
        table.complain("receive", "CH315", f'there is no sample "{step.receive}"', hint)
    if step.receive and step.reply:
        table.complain("reply", "CH313", "a step either receives a message or plays a reply", "make two steps of it")
    if step.overrides and not step.receive:
        table.complain("with", "CH313", '"with" needs a message to change', 'add receive = "..."')
    table.close()
    return step


def _wall_time(value: object) -> datetime | None:
    """A date and time in the clinic's own zone."""
    at = of_kind(value, datetime)
    if at.tzinfo is not None:
        raise Unfit("CH215", "is clinic time and has no zone", "write 2025-03-03 09:00:00", named=True)
    return at


def _overrides(table: Table) -> Mapping[str, str]:
    """Path to text, over the sample's own."""
    overrides = {}
    for key in table.tree:
        try:
            read_feed_path(key)
        except Unfit as unfit:
            table.known.append(key)
            table.complain(key, unfit.code, unfit.sentence, unfit.hint)
            continue
        overrides[key] = table.take(key, words.text, "")
    return overrides


def _expectation(table: Table) -> Expectation:
    """What to compare."""
    expect = Expectation(
        ack=table.take("ack", words.word(ACKS), "") if "ack" in table.tree else None,
        status=table.take("status", words.word(STATUSES), "") if "status" in table.tree else None,
        sends=table.several("sends", words.some_text, ()) if "sends" in table.tree else None,
        tasks=table.several("tasks", words.some_text, ()) if "tasks" in table.tree else None,
        matches=table.take("matches", words.flag, default=False) if "matches" in table.tree else None,
    )
    table.known.extend(("ack", "status", "sends", "tasks", "matches"))
    table.close()
    return expect


def _complain_of_order(tables: Sequence[Table], steps: Sequence[Step]) -> None:
    """Time only moves forward in a timetable."""
    latest: datetime | None = None
    for table, step in zip(tables, steps, strict=True):
        if step.at is not None and latest is not None and step.at < latest:
            table.complain("at", "CH311", "this step is earlier than the one before it")
        latest = step.at or latest
