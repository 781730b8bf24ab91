"""Times, identifiers, names, codes and telephones as real senders write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.hl7 import types
from referral_engine.hl7.encoding import DEFAULT
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.types import Coded, Identifier, PersonName, Telephone, read_date, read_each, read_instant

NEW_YORK = ZoneInfo("America/New_York")


def _pid(text: str, field: int = 3) -> Segment:
    """A PID with this text in one field."""
    return Segment("PID" + "|" * field + text, DEFAULT)


@pytest.mark.parametrize(
    ("text", "instant", "precision"),
    [
        ("2026", "2026-01-01T05:00:00", "year"),
        ("202607", "2026-07-01T04:00:00", "month"),
        ("20260704", "2026-07-04T04:00:00", "day"),
        ("2026070409", "2026-07-04T13:00:00", "hour"),
        ("202607040930", "2026-07-04T13:30:00", "minute"),
        ("20260704093015", "2026-07-04T13:30:15", "second"),
        ("20260704093015.1234", "2026-07-04T13:30:15.123400", "second"),
        ("20260704093015.5-0700", "2026-07-04T16:30:15.500000", "second"),
        ("202607040930+0530", "2026-07-04T04:00:00", "minute"),
        ("20260704093015+0000", "2026-07-04T09:30:15", "second"),
        ("20260704+0000", "2026-07-04T00:00:00", "day"),
        ("20261231240000", "2027-01-01T05:00:00", "second"),
        ("202612312400", "2027-01-01T05:00:00", "minute"),
        ("20261231235960", "2027-01-01T05:00:00", "second"),
        (" 20260704 ", "2026-07-04T04:00:00", "day"),
        ("20260704093015^S", "2026-07-04T13:30:15", "second"),
    ],
)
def test_a_time_is_read_with_its_precision(text: str, instant: str, precision: str) -> None:
    read = read_instant(text, NEW_YORK)

    assert read is not None
    assert read.at == datetime.fromisoformat(instant).replace(tzinfo=UTC)
    assert (read.precision, read.text) == (precision, text)


def test_a_time_that_a_clock_change_skips_moves_forward() -> None:
    read = read_instant("202603080230", NEW_YORK)

    assert read is not None
    assert read.at == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)  # 03:30 in New York


def test_a_time_that_happens_twice_is_the_first() -> None:
    read = read_instant("202611010130", NEW_YORK)

    assert read is not None
    assert read.at == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


@pytest.mark.parametrize("header", ["+0100", "20260101120000+0100"])
def test_the_headers_offset_is_used_where_it_is_given(header: str) -> None:
    clock = read_instant("202607040930", NEW_YORK, header)
    day = read_instant("20260704", NEW_YORK, header)
    own = read_instant("202607040930-0200", NEW_YORK, header)
    plain = read_instant("202607040930", NEW_YORK, "20260101")

    assert clock is not None
    assert clock.at == datetime(2026, 7, 4, 8, 30, tzinfo=UTC)
    assert day is not None
    assert day.at == datetime(2026, 7, 4, 4, tzinfo=UTC)
    assert own is not None
    assert own.at == datetime(2026, 7, 4, 11, 30, tzinfo=UTC)
    assert plain is not None
    assert plain.at == datetime(2026, 7, 4, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '""',
        "0000",
        "00000000",
        "20261301",
        "20260230",
        "202607042401",
        "20260704240000.5",
        "2026070425",
        "20260704093061",
        "202607040930.5",
        "2026-07-04",
        "7/4/2026",
        "tomorrow",
        "20260704093015+2500",
        "20260704093015+0099",
        "000101010000+1400",
        "99991231240000",
        "99991231235960",
        "2" * 100_000,
        "٢٠٢٦",
    ],
)
def test_what_is_no_time_is_none(text: str) -> None:
    assert read_instant(text, NEW_YORK) is None


@given(text=st.text(alphabet="0123456789+-.^ 9", max_size=24) | st.text(max_size=20))
def test_no_text_ever_raises(text: str) -> None:
    read = read_instant(text, NEW_YORK)

    assert read is None or read.at.utcoffset() == timedelta()
    assert read_date(text) is None or len(text) >= 8


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("19850622", date(1985, 6, 22)),
        ("19850622000000", date(1985, 6, 22)),
        ("19850622000000-0500", date(1985, 6, 22)),
        ("19000101", date(1900, 1, 1)),
        ("198506", None),
        ("1985", None),
        ("19850631", None),
        ("", None),
        ("unknown", None),
    ],
)
def test_a_birth_is_a_calendar_day_whatever_zeros_follow(text: str, day: date | None) -> None:
    assert read_date(text) == day


def test_an_identifier_keeps_its_zeros_and_its_authority() -> None:
    pid = _pid("00123 ^^^EHR&1.2.3&ISO^MR~~^^^X~7")

    assert types.read_cx(pid, 3) == Identifier(
        value="00123 ",
        authority_namespace="EHR",
        authority_oid="1.2.3",
        authority_type="ISO",
        type="MR",
    )
    assert types.read_cx(pid, 3, 2) is None
    assert read_each(types.read_cx, pid, 3) == [types.read_cx(pid, 3), Identifier(value="7")]


def test_an_entity_identifier_has_its_authority_in_components() -> None:
    assert types.read_ei(_pid("77^EHR^1.2.3^ISO"), 3) == Identifier(
        value="77",
        authority_namespace="EHR",
        authority_oid="1.2.3",
        authority_type="ISO",
    )
    assert types.read_ei(_pid('""'), 3) is None


def test_a_numbered_person_is_an_identifier_and_a_name() -> None:
    person = _pid("1234567893^VAN DER BERG&VAN DER^ANN^Q^JR^DR^^^NPI&2.16.840.1.113883.4.6&ISO^L^^^NPI")

    assert types.read_xcn_identifier(person, 3) == Identifier(
        value="1234567893",
        authority_namespace="NPI",
        authority_oid="2.16.840.1.113883.4.6",
        authority_type="ISO",
        type="NPI",
    )
    assert types.read_xcn(person, 3) == PersonName(
        family="VAN DER BERG",
        given="ANN",
        middle="Q",
        suffix="JR",
        prefix="DR",
        use="L",
    )


def test_a_persons_name_reads_null_as_nothing() -> None:
    assert types.read_xpn(_pid('O\\T\\HARA^MARY^""^^^^L', 5), 5) == PersonName(family="O&HARA", given="MARY", use="L")
    assert types.read_xpn(_pid("^^Q", 5), 5) is None


def test_a_code_may_be_text_only() -> None:
    assert types.read_coded(_pid("I10^Hypertension^I10C^401^HTN^I9C", 4), 4) == Coded(
        code="I10",
        text="Hypertension",
        system="I10C",
        alternate_code="401",
        alternate_text="HTN",
        alternate_system="I9C",
    )
    assert types.read_coded(_pid("^chest pain", 4), 4) == Coded(code="", text="chest pain")
    assert types.read_coded(_pid("^^L", 4), 4) is None


@pytest.mark.parametrize(
    ("text", "telephone"),
    [
        ("(555)555-0100X12", Telephone(number="(555)555-0100X12")),
        ("020 5368 1665^HOME", Telephone(number="020 5368 1665", use="HOME")),
        ("^PRN^CP^^1^555^5550100^9", Telephone(number="1 555 5550100 X9", use="PRN", equipment="CP")),
        ("^PRN^PH^^^^^^^^^555-0100", Telephone(number="555-0100", use="PRN", equipment="PH")),
        ("^NET^Internet^a@b.example", Telephone(number="", use="NET", equipment="Internet", email="a@b.example")),
        ("a@b.example^NET", Telephone(number="", use="NET", email="a@b.example")),
        ("^PRN^PH", None),
    ],
)
def test_a_telephone_is_found_wherever_the_version_puts_it(text: str, telephone: Telephone | None) -> None:
    assert types.read_xtn(_pid(text, 13), 13) == telephone


def test_fifty_thousand_repetitions_are_read_one_by_one() -> None:  # H070
    assert len(read_each(types.read_cx, _pid("~".join(["7^^^A^MR"] * 50_000)), 3)) == 50_000
