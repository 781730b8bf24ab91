"""The transition tables hold together: every pair is a row, silence or a listed anomaly."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from itertools import combinations

import pytest

from referral_engine.loop.clocks import CLOCKS, Start
from referral_engine.loop.policy import DEFAULT_CLOCKS, Kind
from referral_engine.loop.responses import ENTERING, PASSING
from referral_engine.loop.states import Appointment, Authorization, Closure, Dispatch, Note, Outreach
from referral_engine.loop.tracks import CONCERNS, OFF_PATH, SILENT, TABLES, Cause

STATES: dict[str, type[StrEnum]] = {
    "authorization": Authorization,
    "dispatch": Dispatch,
    "outreach": Outreach,
    "appointment": Appointment,
    "note": Note,
    "closure": Closure,
}
INITIAL = {"authorization": "not-required", "dispatch": "held", "outreach": "not-due", "appointment": "none",
           "note": "none", "closure": "open"}  # fmt: skip

# What no table foresees: the state stays, and a person is shown the sentence.
ANOMALIES = {
    "authorization": {
        "authorization waived": {"denied"},
    },
    "dispatch": {"accepted": {"declined"}},
    "outreach": {},
    "appointment": {
        "appointment cancelled": {"none", "kept"},
        "appointment voided": {"none"},
        "no-show": {"cancelled", "kept"},
    },
    "note": {
        "preliminary note": {"final", "corrected"},
        "note retracted": {"none"},
    },
    "closure": {
        "declined": {"closing", "closed"},
        "cancel asked": {"closing", "closed"},
        "cancel confirmed": {"closing", "closed"},
        "cancelled before sending": {"closing", "closed"},
        "ended": {"closing", "closed"},
        "re-opened": {"closing", "closed"},
    },
}  # fmt: skip


def pairs(track: str) -> Iterator[tuple[StrEnum, Cause]]:
    return ((state, cause) for cause in Cause if cause in CONCERNS[track] for state in STATES[track])


@pytest.mark.parametrize("track", TABLES)
def test_what_is_neither_a_row_nor_silent_is_a_listed_anomaly(track: str) -> None:
    found: dict[str, set[str]] = {}
    for state, cause in pairs(track):
        if (state, cause) not in TABLES[track] and (state, cause) not in SILENT:
            found.setdefault(cause.value, set()).add(state.value)

    assert found == ANOMALIES[track]


@pytest.mark.parametrize("track", TABLES)
def test_each_row_goes_from_and_to_a_state_of_its_own_track(track: str) -> None:
    for (source, cause), target in TABLES[track].items():
        assert type(source) is STATES[track]
        assert type(cause) is Cause
        assert type(target) is STATES[track]


@pytest.mark.parametrize("track", TABLES)
def test_every_state_can_be_reached(track: str) -> None:
    reached = {INITIAL[track]}
    for _ in STATES[track]:
        reached |= {target.value for (source, _), target in TABLES[track].items() if source.value in reached}

    assert reached == {state.value for state in STATES[track]}


def test_no_pair_of_one_track_reads_like_a_pair_of_another() -> None:
    # "queued", "none" and "cancelled" are equal as text, whichever track they belong to.
    for one, other in combinations(TABLES, 2):
        assert not set(pairs(one)) & set(pairs(other))


def test_no_row_is_silent_too() -> None:
    rows = {row for table in TABLES.values() for row in table}

    assert not rows & SILENT


def test_every_silent_pair_and_every_pair_off_the_path_concerns_some_track() -> None:
    everything = {pair for track in TABLES for pair in pairs(track)}

    assert everything >= SILENT
    assert {row for table in TABLES.values() for row in table} >= OFF_PATH


def test_every_cause_concerns_some_track() -> None:
    assert {cause for causes in CONCERNS.values() for cause in causes} == set(Cause)


@pytest.mark.parametrize("kind", Kind)
def test_every_clock_has_one_row_a_default_length_and_something_it_says(kind: Kind) -> None:
    rows = [rule for rule in CLOCKS if rule.kind is kind]

    assert len(rows) == 1
    assert all(stages and all(one.amount > 0 for one in stages) for stages in DEFAULT_CLOCKS[kind])
    assert kind in PASSING


def test_every_place_where_a_clock_starts_is_used() -> None:
    assert {rule.start for rule in CLOCKS} == set(Start)


@pytest.mark.parametrize("track", ENTERING)
def test_what_is_owed_is_owed_for_entering_states_of_that_track(track: str) -> None:
    targets = set(TABLES[track].values())

    assert all(type(state) is STATES[track] for state in ENTERING[track])
    assert set(ENTERING[track]) <= targets
