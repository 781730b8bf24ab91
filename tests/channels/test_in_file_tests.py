"""The [[test]] timetables that the project ships go as they say, and a rule that changes breaks the test of it."""

from __future__ import annotations

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.book import Book, check_files, read_book
from referral_engine.channels.channel import Channel
from referral_engine.channels.engine import Pilot
from referral_engine.channels.timetable import ChannelTest
from referral_engine.flow.timetable import Bench, TimetablePlayed
from tests.channels.shipped import SAMPLES, shipped_files
from tests.flow.stage import book, sample

CASES = [(channel, test) for channel in book().channels.values() for test in channel.tests]


def play(other: Book, channel: Channel, test: ChannelTest) -> TimetablePlayed:
    """One test on a bench of its own, with the project's messages."""
    return Bench(other, lambda _: sample).play(channel, test)


def named(other: Book, channel: str, part: str) -> ChannelTest:
    """The test of a channel with this text in its name."""
    (found,) = [one for one in other.channels[channel].tests if part in one.name]
    return found


@pytest.mark.parametrize(("channel", "test"), CASES, ids=lambda value: value.name)
def test_a_shipped_timetable_goes_as_it_says(channel: Channel, test: ChannelTest) -> None:
    played = play(book(), channel, test)

    assert [(one.number, one.misses) for one in played.failed] == []


def test_every_shipped_channel_has_timetables_and_names_only_samples_that_are_there() -> None:
    shipped = read_book(shipped_files(), SAMPLES)

    assert all(len(channel.tests) >= 2 for channel in shipped.channels.values())


def test_a_rule_that_an_analyst_changes_breaks_the_timetable_of_it_and_the_reason_names_the_line() -> None:
    files = shipped_files()
    file = "channels/cardiology-heart-group.toml"
    files[file] = files[file].replace('schedule = { routine = "7 days"', 'schedule = { routine = "9 days"')
    changed = read_book(files, SAMPLES)
    line = 1 + [text.split(" ")[0] for text in files[file].splitlines()].index("schedule")

    test = named(changed, "cardiology-heart-group", "nobody schedules it")
    (step, *_) = play(changed, changed.channels["cardiology-heart-group"], test).failed

    (miss,) = step.misses
    assert (step.number, step.wall) == (4, "Mon 09 Mar 2026 09:01 CDT")
    assert (miss.what, miss.expected) == ("tasks", "call-specialist, front-desk")
    assert miss.got == "call-specialist (referral-desk)"
    assert miss.why == f'the "schedule" clock is due Wed 11 Mar 2026 09:00:05 CDT (9 days, routine, {file}:{line})'


def test_a_channel_in_preparation_and_a_pilot_that_sends_nothing_are_tested_all_the_same() -> None:
    shadow = replace(book(), engine=replace(book().engine, pilot=Pilot(mode="shadow")))
    channel = replace(book().channels["orthopaedics-lakeside"], mode="off")
    off = replace(shadow, channels={**shadow.channels, channel.name: channel})

    assert [play(off, channel, test).failed for test in channel.tests] == [()] * len(channel.tests)


def test_tests_in_a_file_beside_are_the_channels_and_two_of_one_name_are_refused() -> None:
    files = shipped_files()
    file, beside = "channels/imaging-northside.toml", "channels/imaging-northside.test.toml"
    own, tests = files[file].split("[[test]]", 1)
    (first, *_) = [test.name for test in book().channels["imaging-northside"].tests]

    moved = read_book({**files, file: own, beside: f"[[test]]{tests}"}, SAMPLES)
    twice = check_files({**files, beside: f"[[test]]{tests}"}, SAMPLES)

    assert {test.file for test in moved.channels["imaging-northside"].tests} == {beside}
    assert not moved.warnings  # CHW01 says that a channel has no test
    assert twice[0].code == "CH312"
    assert twice[0].sentence == f'{file} has a test "{first}" too'
