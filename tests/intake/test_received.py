"""Times as senders write them, and where a number stood."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.values import replace
from referral_engine.channels.feed import Offset
from referral_engine.channels.parties import Party
from referral_engine.hl7.message import Message
from referral_engine.intake.received import Received, traced_npi, traced_number
from referral_engine.loop.referral import Identifier
from tests.intake.samples import EHR, EHR_FEED, NOW, NPI, header, text

WINTER = "20260302085900-0600"


def received(offset: Offset = "zone", sent: str = WINTER, zone: str = "America/Chicago", *lines: str) -> Received:
    feed = replace(EHR_FEED, offset=offset, zone=ZoneInfo(zone))
    message = Message.parse(text("\n".join([header("ADT^A08", sent), *lines])))
    return Received(message=message, party=Party(kind="ehr", name="ehr", feed=feed), at=NOW, sequence=7)


def utc(written: str) -> datetime | None:
    return datetime.fromisoformat(written).replace(tzinfo=UTC) if written else None


@pytest.mark.parametrize(
    ("offset", "sent", "written", "expected"),
    [
        # the zone's wall clock, whatever the day of sending was
        ("zone", WINTER, "20260316090000", "2026-03-16T14:00"),
        ("zone", WINTER, "202603160900", "2026-03-16T14:00"),
        ("zone", WINTER, "2026031609", "2026-03-16T14:00"),
        # MSH-7's offset, and the zone where MSH-7 has none
        ("sender", WINTER, "20260316090000", "2026-03-16T15:00"),
        ("sender", "20260302085900+0530", "20260316090000", "2026-03-16T03:30"),
        ("sender", "20260302085900", "20260316090000", "2026-03-16T14:00"),
        ("sender", "", "20260316090000", "2026-03-16T14:00"),
        # UTC
        ("utc", WINTER, "20260316090000", "2026-03-16T09:00"),
        # an offset of its own wins over every rule
        ("zone", WINTER, "20260316090000-0400", "2026-03-16T13:00"),
        ("sender", WINTER, "20260316090000-0400", "2026-03-16T13:00"),
        ("utc", WINTER, "20260316090000-0400", "2026-03-16T13:00"),
        # the hour that a clock change skips moves forward, the one that comes twice is the first
        ("zone", WINTER, "20260308023000", "2026-03-08T08:30"),
        ("zone", WINTER, "20261101013000", "2026-11-01T06:30"),
        # the end of a day
        ("zone", WINTER, "202603162359", "2026-03-17T04:59"),
        ("zone", WINTER, "202603162400", "2026-03-17T05:00"),
        ("zone", WINTER, "20260316240000", "2026-03-17T05:00"),
        ("zone", WINTER, "20260316000000", "2026-03-16T05:00"),
        ("zone", WINTER, "202603162401", ""),
        ("zone", WINTER, "20260316235960", "2026-03-17T05:00"),
        # no time of day, or no time at all
        ("zone", WINTER, "20260316", ""),
        ("utc", WINTER, "20260316", ""),
        ("zone", WINTER, "202603", ""),
        ("zone", WINTER, "", ""),
        ("zone", WINTER, "00000000000000", ""),
        ("zone", WINTER, "20260229090000", ""),
        ("zone", WINTER, "20260316250000", ""),
        ("zone", WINTER, "20260316090000-9900", ""),
        ("sender", "20260302085900-9900", "20260316090000", ""),
        ("zone", WINTER, "99991231235959-1200", ""),
        ("zone", WINTER, "２０２６０３１６０９", ""),
    ],
)  # fmt: skip
def test_a_time_is_read_by_the_feeds_one_rule(offset: Offset, sent: str, written: str, expected: str) -> None:
    assert received(offset, sent).time(written) == utc(expected)


@pytest.mark.parametrize("offset", ["zone", "sender", "utc"])
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("20260316", "2026-03-16T05:00"),
        ("2026031", ""),
        ("202603", ""),
        ("2026", ""),
        ("20260300", ""),
        ("00000000", ""),
    ],
)
def test_a_day_begins_at_the_clinics_midnight_under_every_rule(offset: Offset, written: str, expected: str) -> None:
    assert received(offset).day(written) == utc(expected)


@given(
    written=st.text(max_size=40) | st.text("0123456789+-. ^", max_size=26),
    offset=st.sampled_from(["zone", "sender", "utc"]),
    sent=st.text("0123456789+-. ^~&x", max_size=26),
)
def test_any_text_is_a_time_or_none(written: str, offset: Offset, sent: str) -> None:
    one = received(offset, sent)

    for found in (one.time(written), one.day(written)):
        assert found is None or found.tzinfo is UTC


def test_a_number_is_traced_to_the_first_place_that_holds_one() -> None:
    message = Message.parse(text("\n".join([header("ADT^A08"), "ORC|SC||F1^CENT", "OBR|1|00123^EHR|F2"])))
    orc, obr = message.first("ORC"), message.first("OBR")

    placer = (Identifier(value="00123", authority="EHR"), ("placer OBR-2",))
    assert traced_number("placer", (None, 1), (orc, 2), (obr, 2)) == placer
    assert traced_number("filler", (orc, 3), (obr, 3))[1] == ("filler ORC-3",)
    assert traced_number("filler", (None, 3)) == (Identifier(), ())


def test_a_clinician_is_traced_to_the_first_valid_npi() -> None:
    message = Message.parse(text("\n".join([header("ADT^A08"), f"PV1|1|O|||||LOCAL7^DOE||{NPI}^ROE"])))
    visit = message.first("PV1")

    assert traced_npi((None, 7), (visit, 7), (visit, 9)) == (NPI, ("provider PV1-9",))
    assert traced_npi((visit, 7)) == ("", ())


def test_the_usual_sender_says_nothing_of_offsets() -> None:
    assert EHR.feed.offset == "zone"
