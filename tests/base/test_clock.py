"""Instants as integers and back, and a clock that stands until it is moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import hypothesis.strategies as st
import pytest
from hypothesis import given

from referral_engine.base.clock import EPOCH, ManualClock, from_micros, rfc3339, to_micros
from tests.builders import CHICAGO, ORDERED_AT, utc

instants = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # the strategy adds the zone


@given(instants)
def test_an_instant_survives_the_journal(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant


@given(instants, instants)
def test_micros_order_like_instants(one: datetime, other: datetime) -> None:
    assert (to_micros(one) < to_micros(other)) == (one < other)


@given(st.integers(-(2**50), 2**50))
def test_micros_survive_too_and_come_back_in_utc(micros: int) -> None:
    assert to_micros(from_micros(micros)) == micros
    assert from_micros(micros).tzinfo is UTC


def test_micros_count_from_1970() -> None:
    assert to_micros(EPOCH) == 0
    assert to_micros(EPOCH + timedelta(seconds=1)) == 1_000_000
    assert to_micros(EPOCH - timedelta(microseconds=1)) == -1


def test_the_zone_of_an_instant_does_not_matter() -> None:
    assert to_micros(ORDERED_AT.astimezone(CHICAGO)) == to_micros(ORDERED_AT)


def test_an_instant_without_a_zone_is_our_bug() -> None:
    with pytest.raises(TypeError):
        to_micros(ORDERED_AT.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("instant", "shown"),
    [
        (utc("2026-03-08 08:00"), "2026-03-08T08:00:00Z"),
        (utc("2026-03-08 08:00:00.25"), "2026-03-08T08:00:00.250000Z"),
        (datetime(2026, 3, 8, 3, tzinfo=timezone(timedelta(hours=-5))), "2026-03-08T08:00:00Z"),
    ],
)
def test_json_shows_instants_in_utc(instant: datetime, shown: str) -> None:
    assert rfc3339(instant) == shown


def test_a_manual_clock_stands_until_it_is_moved_and_never_goes_back() -> None:
    clock = ManualClock(ORDERED_AT.astimezone(CHICAGO))

    assert (clock.now(), clock.now().tzinfo) == (ORDERED_AT, UTC)
    clock.move_to(ORDERED_AT + timedelta(hours=1))
    clock.move_to(ORDERED_AT)
    assert clock.now() == ORDERED_AT + timedelta(hours=1)
