"""A scenario file as a timetable: what happens when, and what must then be true."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final

import msgspec
import tomli

from referral_engine.base.errors import ConfigError, Problem

Values = Mapping[str, object]
LANE_ANSWERS: Final = frozenset({"AA", "AE", "AR", "silent", "refused", "delivered", "unknown"})


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a step compares; None is not compared, an empty list means none."""

    ack: str | None = None  # MSA-1
    status: str | None = None
    tracks: dict[str, str] = {}
    sends: tuple[str, ...] | None = None  # exactly these since the step before, "recipient purpose[ about]"
    includes: tuple[str, ...] = ()  # at least these since the step before
    tasks: frozenset[str] | None = None  # exactly these kinds are open
    clocks: frozenset[str] | None = None  # exactly these kinds run
    review: int | None = None  # open tasks of the kind match-review
    referrals: int | None = None


class Staff(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person does the open task of this kind, and says what they learned."""

    task: str
    by: str = "coordinator"
    note: str = "done"
    booked: str = ""  # clinic wall time
    attended: bool | None = None
    authorized: str = ""
    authorization_expires_on: date | None = None
    authorization_begins_on: date | None = None
    authorization_visits: int = 0
    denied: bool = False
    release: bool = False
    waive: bool = False
    patient_reached: bool = False
    cancel_confirmed: bool = False
    end: str = ""


class Moment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step: the clock is moved to `at`, all that is due runs on the way, then this happens."""

    at: str  # clinic wall time, "2026-03-02 09:00"
    say: str = ""
    receive: str = ""  # a file in sample_messages/
    with_: dict[str, str] = msgspec.field(name="with", default_factory=dict)
    staff: Staff | None = None
    reply: str = ""  # the patient's
    partner: dict[str, str] = {}
    of: str = ""  # the referral's placer number; "" is the first referral
    expect: Expect = Expect()


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The scenario's own names."""

    name: str
    title: str
    start: str
    demo: bool = False
    feeds: tuple[str, ...] = ()  # shipped dialects that are switched on for this story


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One story."""

    scenario: Head
    partners: dict[str, str] = {}  # lane to how it answers
    step: tuple[Moment, ...]


def read_scenario(text: str, file: str) -> Scenario:
    """The scenario in a TOML text.  Raises ConfigError with the place of what is wrong."""
    try:
        found = msgspec.convert(tomli.loads(text), Scenario)
    except tomli.TOMLDecodeError as error:
        raise ConfigError([_problem(file, str(error))]) from error
    except msgspec.ValidationError as error:
        raise ConfigError([_problem(file, _where(text, error))]) from error
    for number, moment in enumerate(found.step, 1):
        _wall(moment.at, f"step {number}: at", file)
        if moment.staff and moment.staff.booked:
            _wall(moment.staff.booked, f"step {number}: staff.booked", file)
        _lanes(moment.partner, f"step {number}: partner", file)
    _wall(found.scenario.start, "scenario.start", file)
    _lanes(found.partners, "partners", file)
    return found


def _where(text: str, error: msgspec.ValidationError) -> str:
    """The reader's sentence, with the number of the step that is wrong."""
    steps = tomli.loads(text).get("step", [])
    for number, step in enumerate(steps if isinstance(steps, list) else [], 1):
        try:
            msgspec.convert(step, Moment)
        except msgspec.ValidationError as wrong:
            return f"step {number}: {wrong}"
    return str(error)


def wall_time(text: str) -> datetime:
    """A clinic wall time of a scenario, without a zone."""
    return datetime.fromisoformat(text)


def _wall(text: str, where: str, file: str) -> None:
    try:
        wall_time(text)
    except ValueError as error:
        raise ConfigError([_problem(file, f'{where}: "{text}" is not a time such as "2026-03-02 09:00"')]) from error


def _lanes(answers: Mapping[str, str], where: str, file: str) -> None:
    for lane, answer in answers.items():
        if answer not in LANE_ANSWERS:
            words = ", ".join(sorted(LANE_ANSWERS))
            raise ConfigError([_problem(file, f'{where}: {lane} cannot answer "{answer}"; it can: {words}')])


def _problem(file: str, sentence: str) -> Problem:
    return Problem(file=file, line=0, column=1, code="SC001", sentence=sentence)
