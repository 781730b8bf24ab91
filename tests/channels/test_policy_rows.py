"""Which row of the policy counts: urgency and network choose it, the nearer file wins, and every row says its line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from referral_engine.channels.book import Book, check_files, read_book
from referral_engine.channels.clocks import Rows, clock_settings, read_clocks, row_of
from referral_engine.channels.effective import effective
from referral_engine.channels.shape import Page
from referral_engine.channels.source import Source, read_source
from referral_engine.loop.clocks import deadlines
from referral_engine.loop.policy import DEFAULT_CLOCKS, Duration, Kind, Unit
from referral_engine.loop.states import Network, Urgency
from tests.builders import ORDERED_AT, a_policy, a_referral, an_order
from tests.channels.shipped import SAMPLES, shipped_files

ENGINE, IMAGING = "conf/engine.toml", "channels/imaging-northside.toml"
ROUTINE, URGENT, IN, OUT = Urgency.ROUTINE, Urgency.URGENT, Network.IN, Network.OUT
CELLS = [(urgency, network) for network in (IN, OUT) for urgency in (ROUTINE, URGENT)]


def rows_of(text: str, base: Rows | None = None, file: str = "channels/x.toml") -> Rows:
    """What an [sla] table makes of the rows below it."""
    source = read_source(file, text)
    assert isinstance(source, Source)
    page = Page(source)
    rows = read_clocks(page.top.defaulted("sla"), base or Rows(DEFAULT_CLOCKS, {}))
    assert page.problems == []
    return rows


def lengths(rows: Rows, kind: Kind = Kind.SCHEDULE) -> list[str]:
    """In network routine and urgent, out of network routine and urgent."""
    policy = a_policy()
    policy = type(policy)(calendar=policy.calendar, clocks=rows.clocks, networks=rows.networks)
    return [", ".join(map(str, policy.lengths(kind, urgency, network))) for urgency, network in CELLS]


def with_engine(more: str, **replaced: str) -> Book:
    """What the project ships, with more in conf/engine.toml, and other text in a channel's file."""
    files = shipped_files()
    files[ENGINE] += more
    for old, new in replaced.items():
        files[IMAGING] = files[IMAGING].replace(old, new)
    return read_book(files)


def test_a_row_of_one_network_holds_in_that_network_only() -> None:
    rows = rows_of('[sla]\nschedule = { routine = "8 days", urgent = "2 days" }\n[sla.out]\nschedule = "12 days"\n')

    assert lengths(rows) == ["8 days", "2 days", "12 days", "12 days"]


def test_a_line_of_one_urgency_leaves_the_other_as_it_was() -> None:
    rows = rows_of('[sla.out]\nschedule = { urgent = "2 days" }\n')

    assert lengths(rows) == ["7 days", "3 days", "7 days", "2 days"]


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("", ["9 days", "9 days", "12 days", "4 days"]),
        ('schedule = "5 days"', ["5 days", "5 days", "5 days", "5 days"]),  # the nearer file speaks of both networks
        ('schedule = { urgent = "1 day" }', ["9 days", "1 day", "12 days", "1 day"]),
        ('[sla.out]\nschedule = { urgent = "1 day" }', ["9 days", "9 days", "12 days", "1 day"]),
        ('[sla.in]\nschedule = "6 days"', ["6 days", "6 days", "12 days", "4 days"]),
        ('schedule = "5 days"\n[sla.out]\nschedule = "6 days"', ["5 days", "5 days", "6 days", "6 days"]),
    ],
)
def test_the_nearer_file_counts(channel: str, expected: list[str]) -> None:
    site = rows_of('[sla]\nschedule = "9 days"\n[sla.out]\nschedule = { routine = "12 days", urgent = "4 days" }\n')

    assert lengths(rows_of(f"[sla]\n{channel}\n", site)) == expected


def test_the_row_of_a_referral_is_chosen_by_its_urgency_and_its_network() -> None:
    rows = rows_of('[sla.out]\nschedule = { routine = "12 days", urgent = "4 days" }\n')
    policy = a_policy()
    policy = type(policy)(calendar=policy.calendar, clocks=rows.clocks, networks=rows.networks)

    for urgency, network, days in ((ROUTINE, IN, 7), (URGENT, IN, 3), (ROUTINE, OUT, 12), (URGENT, OUT, 4)):
        referral = a_referral(order=an_order(urgency=urgency, network=network))
        (due,) = [one.due_at for one in deadlines(referral, policy) if one.kind is Kind.SCHEDULE]
        assert (due - ORDERED_AT).days in (days - 1, days)  # the clocks go forward on the way


def test_config_shows_every_row_with_its_line() -> None:
    book = with_engine(
        '\n[sla]\nopen-30 = "35 days"\n[sla.out]\nnote-request = "20 days"\nopen-30 = { urgent = "10 days" }\n'
    )

    told = {key: (value, origin) for key, value, origin in effective(book, "orthopaedics-lakeside")}

    assert told["sla.open-30.in"][0] == "routine 35 days; urgent 35 days"
    assert told["sla.open-30.out.routine"][0] == "35 days"
    assert told["sla.open-30.out.urgent"][0] == "10 days"
    assert told["sla.open-30.out.routine"][1] != told["sla.open-30.out.urgent"][1]
    assert told["sla.note-request.in"] == ("routine 30 days; urgent 14 days", "default")
    assert told["sla.note-request.out"][1].startswith("conf/engine.toml:")
    assert told["sla.schedule"] == ("routine 7 days; urgent 3 days", "default")
    for _, origin in told.values():
        file, _, line = origin.partition(":")
        assert not line or shipped_files()[file] is not None


def test_a_clock_that_an_office_cannot_answer_is_shown_as_off_with_the_line_that_says_so() -> None:
    files = shipped_files()
    told = {key: (value, origin) for key, value, origin in effective(read_book(files), "imaging-northside")}

    value, origin = told["sla.confirm"]
    line = int(origin.rpartition(":")[2])
    assert value.startswith("off: ")
    assert files[IMAGING].splitlines()[line - 1].startswith("confirms ")


def test_a_clock_in_the_wrong_order_in_one_network_is_told_there() -> None:
    files = shipped_files()
    files[ENGINE] += '\n[sla.out]\nnote-request = "90 days"\n'

    (problem,) = check_files(files, SAMPLES)[:1]

    assert (problem.code, problem.source) == ("CH305", 'note-request = "90 days"')
    assert problem.help.endswith("out of network")


def test_the_age_of_a_review_is_a_line_of_the_engine_only() -> None:
    book = with_engine('\n[sla]\nreview-age = { urgent = "2 hours" }\n')

    assert book.engine.review_age == (Duration(1, Unit.BUSINESS_DAYS), Duration(2, Unit.HOURS))
    told = {key: value for key, value, _ in effective(book)}
    assert told["sla.review-age"] == "routine 1 business day; urgent 2 hours"
    files = shipped_files()
    files[IMAGING] = files[IMAGING].replace("[sla]", '[sla]\nreview-age = "1 hour"')
    assert [one.code for one in check_files(files, SAMPLES)] == ["CH101"]


WORDS = st.sampled_from(["", '"2 days"', '{ urgent = "3 hours" }', '{ routine = "4 days", urgent = "5 hours" }'])
FILES = st.fixed_dictionaries(dict.fromkeys(("sla", "sla.in", "sla.out"), WORDS))


def _meant(files: list[Mapping[str, str]], urgency: Urgency, network: Network) -> str:
    """The rule in one loop: the nearest file that says anything of this cell; in it, its network's table first."""
    says = {
        '"2 days"': {ROUTINE: "2 days", URGENT: "2 days"},
        '{ urgent = "3 hours" }': {URGENT: "3 hours"},
        '{ routine = "4 days", urgent = "5 hours" }': {ROUTINE: "4 days", URGENT: "5 hours"},
        "": {},
    }
    for file in reversed(files):
        for table in (f"sla.{network.value}", "sla"):
            if urgency in says[file[table]]:
                return says[file[table]][urgency]
    return {ROUTINE: "24 hours", URGENT: "4 hours"}[urgency]


@given(st.lists(FILES, min_size=1, max_size=3))
@settings(max_examples=60)
def test_any_files_over_each_other_give_the_row_that_the_nearest_says(files: list[Mapping[str, str]]) -> None:
    kind, rows = Kind.PATIENT_PROMPT_LATE, Rows(DEFAULT_CLOCKS, {})
    for number, file in enumerate(files):
        text = "".join(f"[{table}]\n{kind.value} = {said}\n" for table, said in file.items() if said)
        rows = rows_of(text, rows, f"channels/x{number}.toml")

    assert lengths(rows, kind) == [_meant(files, urgency, network) for urgency, network in CELLS]
    told = list(clock_settings(rows))
    for (urgency, network), length in zip(CELLS, lengths(rows, kind), strict=True):
        row = row_of(told, kind, urgency, network)
        assert row is not None
        assert length in row.value


def test_a_calendar_whose_holidays_run_out_is_told_before_a_clock_reaches_beyond_them() -> None:
    files = shipped_files()
    last = max(day for one in read_book(files).engine.calendars.values() for day in one.holidays)

    early = [one.code for one in check_files(files, SAMPLES, today=date(last.year, 6, 1))]
    late = [one for one in check_files(files, SAMPLES, today=last) if one.code == "CHW12"]

    assert "CHW12" not in early
    assert len(late) == 1
    assert f"no holiday after {last}" in late[0].sentence
