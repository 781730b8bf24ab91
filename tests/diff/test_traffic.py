"""The journal's traffic: whole, in order, a bounded page at a time."""

from __future__ import annotations

import msgspec
import pytest

from referral_engine.base.clock import to_micros
from referral_engine.base.errors import Refused
from referral_engine.flow.inputs import Ticked
from referral_engine.flow.replaying import Version, World
from referral_engine.flow.trace import trace_of
from referral_engine.journal import traffic
from referral_engine.journal.traffic import TrafficPage, together
from referral_engine.service.traffic import traffic_facts
from tests.channels.shipped import shipped_files
from tests.diff.given import Practice, history_of, pages_of
from tests.flow.stage import BOOKING, HEART, NOTE, ORDER, at, book, sample


@pytest.fixture(scope="module")
def practice() -> Practice:
    """Three messages of one loop, and one about nobody."""
    made = Practice()
    made.receive("2026-03-02 09:00", ORDER)
    made.receive("2026-03-03 09:00", BOOKING)
    made.receive("2026-03-04 09:00", "orm-o01-laboratory.hl7")
    made.receive("2026-03-11 09:00", NOTE)
    return made


def micros(wall: str) -> int:
    return to_micros(at(wall))


def test_pages_hold_every_message_once_with_its_bytes_and_what_became_of_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = practice.traffic.page(0)
    monkeypatch.setattr(traffic, "MESSAGES_MAX", 1)
    single = list(pages_of(practice.traffic, 0))

    assert [one.raw for one in whole.messages][:2] == [sample(ORDER), sample(BOOKING)]
    assert [one.disposition for one in whole.messages] == ["applied", "applied", "no-op", "applied"]
    assert [one.sequence for page in single for one in page.messages] == [one.sequence for one in whole.messages]
    assert {len(page.messages) for page in single} <= {0, 1}
    assert sorted(one.id for page in single for one in page.left) == [one.id for one in whole.left]


def test_a_page_ends_at_an_instant_and_the_next_goes_on_from_there(practice: Practice) -> None:
    first = practice.traffic.page(0, micros("2026-03-03 12:00"))
    rest = practice.traffic.page(first.after)

    assert [one.at for one in first.messages] == [micros("2026-03-02 09:00"), micros("2026-03-03 09:00")]
    assert (first.more, first.at) == (False, micros("2026-03-03 12:00"))
    assert len(rest.messages) == 2
    assert practice.traffic.page(first.after, micros("2026-03-03 13:00")).messages == ()


@pytest.mark.parametrize(
    ("wall", "number"), [("2026-03-01 09:00", 0), ("2026-03-04 09:00", 1), ("2026-04-01 09:00", 3)]
)
def test_the_newest_message_before_an_instant_is_found_by_halving(practice: Practice, wall: str, number: int) -> None:
    known = [0, *(one.sequence for one in practice.traffic.page(0).messages)]

    assert practice.traffic.before(micros(wall)) == known[number + 1 if number else 0]


def test_what_was_open_when_the_window_began_is_told_with_all_that_came_before(practice: Practice) -> None:
    window = micros("2026-03-10 09:00")
    through = practice.traffic.before(window)

    open_then = together(history_of(practice.traffic, window, through))

    assert [one.type for one in open_then.messages] == ["ORM^O01", "SIU^S12"]
    assert {one.referral for one in open_then.left} == {practice.engine.journal.read().find("P-1001")}
    assert together(history_of(practice.traffic, micros("2026-05-01 09:00"), through)).messages == ()


def test_many_open_referrals_are_told_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    many = Practice()
    for number in range(5):
        many.receive("2026-03-02 09:00", ORDER, MSH_10=f"C{number}", ORC_2_1=f"P-{number}", PID_3_1=f"M{number}")
    monkeypatch.setattr(traffic, "MESSAGES_MAX", 2)
    window = micros("2026-03-03 09:00")

    pages = list(history_of(many.traffic, window, many.traffic.before(window)))

    assert len(pages) == 3
    assert len(together(pages).messages) == 5


def test_a_message_of_which_only_the_header_is_left_is_counted_and_not_replayed() -> None:
    kept = Practice()
    kept.receive("2026-03-02 09:00", "orm-o01-laboratory.hl7")
    kept.engine.move_to(at("2026-03-09 09:00"))
    kept.engine.put(Ticked())
    kept.receive("2026-03-09 09:00", ORDER)
    page = kept.traffic.page(0)
    version = Version(book=book(), files=shipped_files())

    world = World(page.messages[0].at, version)
    world.take(page)
    world.bring_to(page.at)
    trace = trace_of(world)
    world.close()

    assert page.messages[0].reduced
    assert (trace.missed.reduced, trace.replayed) == (1, 1)
    assert [one.channel for one in trace.loops.values()] == [HEART]


def test_a_question_that_makes_no_sense_is_refused(practice: Practice) -> None:
    reading = practice.engine.journal.read()

    for words in ({"part": "all"}, {"after": "1"}, {"at": -1}, {"through": True}):
        with pytest.raises(Refused):
            traffic_facts(reading, words)


def test_a_page_survives_the_socket(practice: Practice) -> None:
    told = traffic_facts(practice.engine.journal.read(), {"part": "page"})

    assert msgspec.convert(told, TrafficPage) == practice.traffic.page(0)
