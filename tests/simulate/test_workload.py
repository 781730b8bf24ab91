"""A made-up quarter: the same twice, fair to both sides, and every number is what the journal says."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from referral_engine.channels.book import read_book
from referral_engine.cli.quarter import Asked, play
from referral_engine.cli.side_by_side import Pair, pairs
from referral_engine.flow.figures import Figures
from referral_engine.loop.calendar import local_date
from referral_engine.stories.cast import cast_of, joined
from referral_engine.stories.fates import Fate, fates, orders_of, share
from tests.simulate.conftest import DEMAND
from tests.simulate.site import BONES, HEART, changed, two_channels

WEEK = 'schedule = { routine = "7 days", urgent = "3 days" }'


def drawn(files: dict[str, str], seed: int) -> list[Fate]:
    cast = cast_of(read_book(files))
    return list(fates(cast.places, cast.calendar, DEMAND, Random(seed)))


def pair(found: list[Pair], part: str, name: str) -> Pair:
    return next(one for one in found if (one.part, one.name) == (part, name))


@pytest.fixture(scope="module")
def sooner(asked: Asked) -> Asked:
    """The same days over files whose cardiology is asked about a missing appointment after two days already."""
    other = changed(two_channels(), HEART, WEEK, 'schedule = "2 days"')
    return msgspec.structs.replace(asked, sides=(two_channels(), other))


@pytest.fixture(scope="module")
def over_sooner(sooner: Asked) -> Figures:
    return play(sooner, 1, lambda _day: None)


def test_another_seed_gives_another_quarter() -> None:
    assert drawn(two_channels(), 7) == drawn(two_channels(), 7)
    assert drawn(two_channels(), 7) != drawn(two_channels(), 8)


def test_orders_come_on_open_days_as_many_as_were_asked_for(asked: Asked) -> None:
    calendar = cast_of(read_book(two_channels())).calendar

    found = drawn(two_channels(), 7)

    assert len(found) == orders_of(calendar, DEMAND) == 18  # six working days
    assert all(DEMAND.begins <= local_date(calendar, one.ordered_at) for one in found)
    assert [one.ordered_at for one in found] == sorted(one.ordered_at for one in found)


def test_every_order_finds_its_channel_and_nothing_that_is_recorded_is_refused(played: Figures) -> None:
    assert (played.refused, played.unroutable, played.not_done) == (0, 0, 0)
    assert sum(played.statuses.values()) == played.orders
    assert played.statuses["closed"] > 0


def test_what_is_open_at_the_end_of_a_week_is_what_was_opened_and_not_done(played: Figures) -> None:
    for queue in {one.queue for one in played.queues}:
        left = 0
        for one in (week for week in played.queues if week.queue == queue):
            left += one.opened - one.done
            assert one.open == left
            assert (one.median_age_hours is None) is (one.open == 0)


def test_tasks_by_kind_and_tasks_by_queue_are_the_same_tasks(played: Figures) -> None:
    assert sum(played.tasks.values()) == sum(one.opened for one in played.queues if one.queue != "supervisor")


def test_no_patient_gets_more_than_the_files_allow(played: Figures) -> None:
    assert played.patients.messages > 0
    assert played.patients.most_in_a_day == 1
    assert played.patients.most_in_a_week <= 3


def test_an_office_does_only_what_its_file_says_it_can(played: Figures) -> None:
    confirmed = {one.channel: one for one in played.clocks if one.kind == "confirm"}

    assert confirmed[HEART].cancelled > 0  # it says that it accepts
    assert (confirmed[BONES].fired > 0, confirmed[BONES].cancelled) == (True, 0)  # it says nothing, ever


def test_a_busy_fax_is_tried_again(played: Figures) -> None:
    assert sum(one.again for one in played.sendings if one.kind == "order") > 0


def test_a_shorter_clock_opens_its_tasks_sooner_and_the_rest_stays(played: Figures, over_sooner: Figures) -> None:
    found = list(pairs(played, over_sooner))

    scheduled = pair(found, "escalations", "schedule")
    assert scheduled.here is not None
    assert scheduled.against is not None
    assert scheduled.against > scheduled.here
    assert scheduled.worse
    assert over_sooner.escalations["schedule"][0] > played.escalations.get("schedule", (0,))[0]
    assert over_sooner.orders == played.orders
    assert not pair(found, "escalations", "hold-remind").difference  # nothing else was changed
    assert not pair(found, "sends", f"{BONES} order").difference


def test_both_sides_get_the_orders_of_the_channels_of_either(asked: Asked) -> None:
    without = {name: text for name, text in two_channels().items() if BONES not in name}
    ours, theirs = cast_of(read_book(without)), cast_of(read_book(two_channels()))

    assert set(ours.places) == {HEART}
    assert set(joined(ours, theirs)) == {HEART, BONES}

    short = msgspec.structs.replace(DEMAND, days=1)
    one_day = msgspec.structs.replace(asked, sides=(without, two_channels()), demand=short)
    assert play(one_day, 0, lambda _day: None).unroutable > 0


def test_an_office_of_both_sides_is_ordered_from_with_the_codes_of_either() -> None:
    fewer = changed(two_channels(), HEART, '["REFCARD", "REFEP"]', '["REFCARD"]')

    both = joined(cast_of(read_book(fewer)), cast_of(read_book(two_channels())))

    assert both[HEART].office.codes == ("REFCARD", "REFEP")


def test_a_channel_that_no_order_can_be_made_for_is_named_with_its_line() -> None:
    files = changed(two_channels(), HEART, '"OBR-4.1"   = ["REFCARD", "REFEP"]', '"OBR-4.1"   = "CONSULT"')

    cast = cast_of(read_book(files))

    (left,) = cast.left_out
    assert left.channel == HEART
    assert left.sentence == 'no order can be made for it: the feed "ehr" does not call such an order a referral'
    assert left.where.endswith("ehr.toml")


def test_a_channel_that_is_not_live_gets_no_order() -> None:
    files = changed(two_channels(), BONES, 'network   = "in"', 'network   = "in"\nmode      = "off"')

    (left,) = cast_of(read_book(files)).left_out

    assert (left.channel, left.sentence) == (BONES, '[channel] mode = "off"')


def test_an_order_holds_what_a_match_asks_for_beyond_the_usual_places() -> None:
    files = changed(two_channels(), BONES, '"OBR-28.1" = "1987654328"', '"OBR-28.1" = "1987654328"\n"PV1-10" = "ORTHO"')

    cast = cast_of(read_book(files))

    assert cast.places[BONES].office.placed["PV1-10"] == "ORTHO"


def test_a_draw_belongs_to_its_words_alone() -> None:
    assert share("a", 1) == share("a", 1)
    assert share("a", 1) != share("a", 2)
    assert all(0 <= share("x", number) < 1 for number in range(100))
