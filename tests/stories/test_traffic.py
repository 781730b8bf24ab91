"""The generator itself: the same seed gives the same bytes, orders come in office hours, nobody exists twice."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import islice
from random import Random
from zoneinfo import ZoneInfo

import pytest

from referral_engine.hl7.message import Message
from referral_engine.stories.dress import dressed
from referral_engine.stories.people import person, spelled, twin_of
from referral_engine.stories.places import NoPlace, Site, site_of
from referral_engine.stories.script import Ended, Item, Line
from referral_engine.stories.traffic import Plan, traffic
from tests.flow.stage import ORDER, book, sample

CLINIC = ZoneInfo("America/Chicago")
BEGINS = date(2026, 3, 2)  # a Monday


def site() -> Site:
    return site_of(book(), "ehr")


def items(seed: int, stories: int, *, days: int = 30, noise: float = 0.0) -> Iterator[Item]:
    return traffic(site(), Plan(begins=BEGINS, days=days, stories=stories, noise=noise), Random(seed))


def lines(seed: int, stories: int, *, days: int = 30, noise: float = 0.0) -> list[Line]:
    return [one for one in items(seed, stories, days=days, noise=noise) if isinstance(one, Line)]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    one, same, other = (
        [(line.at, line.feed, line.write(), line.expect) for line in lines(seed, 40, noise=0.5)] for seed in (7, 7, 8)
    )
    assert one == same
    assert [raw for _, _, raw, _ in one] != [raw for _, _, raw, _ in other]


def test_a_message_may_be_written_twice_and_is_the_same_bytes() -> None:
    assert all(line.write() == line.write() for line in lines(3, 30))


def test_everything_comes_in_order_of_time_and_every_story_ends() -> None:
    found = list(items(5, 60, noise=0.4))
    assert [one.at for one in found] == sorted(one.at for one in found)
    endings = [one for one in found if isinstance(one, Ended)]
    assert len({one.story for one in endings}) == 60
    last = {line.story: line.at for line in found if isinstance(line, Line)}
    assert all(last[ended.story] <= ended.at for ended in endings)


def test_orders_come_in_office_hours_most_on_mondays_and_none_on_sundays() -> None:
    first: dict[str, Line] = {}
    for line in lines(11, 700, days=28):
        first.setdefault(line.story, line)
    local = [line.at.astimezone(CLINIC) for line in first.values()]
    assert {moment.hour for moment in local} <= set(range(8, 17))
    by_day = Counter(moment.weekday() for moment in local)
    assert by_day[0] > by_day[4] > by_day[5] >= by_day[6] == 0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_the_share_of_noise_is_what_was_asked_for(share: float) -> None:
    found = Counter(line.story[0] for line in lines(13, 60, noise=share))
    assert abs(found["N"] / found.total() - share) < 0.01


def test_every_message_can_be_parsed_and_says_its_own_type() -> None:
    for line in lines(17, 150, noise=0.3):
        assert Message.parse(line.write()).header.type == line.type


def test_two_stories_share_no_patient_no_order_and_no_control_id() -> None:
    owners: dict[tuple[str, str], str] = {}
    for line in lines(19, 200, noise=0.2):
        if line.expect.word == "duplicate":
            continue
        message = Message.parse(line.write())
        for path in ("MSH-10", "PID-3.1", "ORC-2.1"):
            value = message.value(path)
            if value:
                assert owners.setdefault((path, value), line.story) == line.story


def test_a_year_of_a_hundred_thousand_referrals_is_begun_without_holding_it() -> None:
    tracemalloc.start()
    some = list(islice(items(23, 100_000, days=3_650, noise=0.5), 200))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(some) == 200
    assert most < 20 * 1024 * 1024


def test_no_two_people_have_one_name() -> None:
    people = [person(number) for number in range(5_000)]
    assert len({one.family for one in people}) == len({one.record for one in people}) == 5_000
    assert len({spelled(number) for number in range(20_000)}) == 20_000


def test_a_twin_has_another_first_name_and_another_number_only() -> None:
    one = person(42)
    twin = twin_of(one, 43)
    assert (twin.family, twin.born_on, twin.sex, twin.street) == (one.family, one.born_on, one.sex, one.street)
    assert twin.given != one.given
    assert twin.record != one.record


def test_a_dressed_message_says_what_the_plain_one_says() -> None:
    raw = sample(ORDER)
    plain = Message.parse(raw)
    paths = ("MSH-10", "PID-3.1", "PID-5.1", "PID-5.2", "ORC-1", "ORC-2.1", "OBR-4.1", "OBR-28.1", "IN1-15")
    worn = {dressed(raw, Random(seed)) for seed in range(400)}
    assert len(worn) > 10
    for one in worn:
        assert [Message.parse(one).value(path) for path in paths] == [plain.value(path) for path in paths]


def test_a_feed_nobody_described_is_named_with_those_that_are_known() -> None:
    with pytest.raises(NoPlace, match=r'no feed of an ordering side called "nobody"; known are: athenahealth, .*ehr'):
        site_of(book(), "nobody")


def test_a_feed_whose_orders_no_channel_takes_is_a_sentence() -> None:
    from referral_engine.base.values import replace

    with pytest.raises(NoPlace, match='no live channel takes an order of the feed "ehr"'):
        site_of(replace(book(), channels={}), "ehr")
