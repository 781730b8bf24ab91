from __future__ import annotations

import time

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.base.ident import npi_check_digit
from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.channel import FaxTransport, MllpTransport
from referral_engine.channels.effective import effective
from referral_engine.channels.engine import default_engine
from referral_engine.channels.lint import render_problem, summary
from referral_engine.loop.policy import DEFAULT_CLOCKS, Duration, Kind, Unit
from referral_engine.loop.states import Urgency
from tests.channels.shipped import SAMPLES, shipped_files


def test_no_file_at_all_is_every_default() -> None:
    book = read_book({})

    assert book.engine == default_engine()
    assert (book.engine.listeners[0].bind, book.engine.listeners[0].port) == ("127.0.0.1", 2575)
    assert book.engine.clocks == DEFAULT_CLOCKS
    assert book.channels == {}
    assert book.warnings == ()


def test_an_empty_engine_file_is_every_default_too() -> None:
    assert read_book({"conf/engine.toml": ""}).engine == default_engine()


def test_the_shipped_files_are_clean_and_warn_of_nothing() -> None:
    assert check_files(shipped_files(), SAMPLES) == ()


def test_the_shipped_channels_say_what_they_mean() -> None:
    book = read_book(shipped_files())
    cardiology, lakeside = book.channels["cardiology-heart-group"], book.channels["orthopaedics-lakeside"]

    assert isinstance(cardiology.transport, MllpTransport)
    assert cardiology.transport.port == 6661
    assert cardiology.hold is not None
    assert cardiology.hold.released_by == ("IN1-14.1", "staff")
    assert cardiology.policy.lengths(Kind.CONFIRM, Urgency.URGENT) == (Duration(24, Unit.HOURS),)
    assert cardiology.policy.calendar.name == "chicago-clinic"
    assert isinstance(lakeside.transport, FaxTransport)
    assert not lakeside.policy.capabilities.can_confirm
    assert not lakeside.policy.capabilities.can_send_appointments
    assert lakeside.policy.capabilities.can_send_notes
    assert [len(channel.tests) for _, channel in sorted(book.channels.items())] == [6, 2, 4]


def test_the_engines_clocks_reach_every_channel_that_does_not_set_its_own() -> None:
    files = shipped_files()
    files["conf/engine.toml"] += '\n[sla]\nschedule = "10 days"\nopen-30 = { routine = "40 days" }\n'

    book = read_book(files)

    assert book.channels["orthopaedics-lakeside"].policy.lengths(Kind.SCHEDULE, Urgency.URGENT) == (
        Duration(10, Unit.DAYS),
    )
    assert book.channels["imaging-northside"].policy.lengths(Kind.SCHEDULE, Urgency.URGENT) == (Duration(1, Unit.DAYS),)
    assert book.engine.clocks[Kind.OPEN_30] == ((Duration(40, Unit.DAYS),), (Duration(14, Unit.DAYS),))


def test_every_problem_of_every_file_is_told_at_once_in_file_order() -> None:
    files = shipped_files()
    files["conf/engine.toml"] = files["conf/engine.toml"].replace("2575", '"2575"')
    files["channels/imaging-northside.toml"] = files["channels/imaging-northside.toml"].replace("6662", "0")
    files["channels/orthopaedics-lakeside.toml"] = "["

    with pytest.raises(ConfigError) as caught:
        read_book(files)

    assert [(problem.file, problem.code) for problem in caught.value.problems] == [
        ("channels/imaging-northside.toml", "CH206"),
        ("channels/orthopaedics-lakeside.toml", "CH001"),
        ("conf/engine.toml", "CH103"),
    ]


def test_a_second_engine_file_is_refused() -> None:
    problems = check_files({"a/engine.toml": "", "b/engine.toml": ""})

    assert [(problem.file, problem.code) for problem in problems] == [("b/engine.toml", "CH005")]


def test_warnings_do_not_stop_the_engine() -> None:
    files = shipped_files()
    name = "channels/imaging-northside.toml"
    files[name] = files[name].split("[[test]]", maxsplit=1)[0]

    book = read_book(files)

    assert [problem.code for problem in book.warnings] == ["CHW01"]


def test_one_changed_letter_is_another_version() -> None:
    files = shipped_files()
    changed = {**files, "conf/preauth.toml": files["conf/preauth.toml"] + "\n"}

    assert read_book(files).version == read_book(dict(reversed(files.items()))).version
    assert read_book(files).version != read_book(changed).version


def test_config_tells_the_value_in_force_and_who_decided_it() -> None:
    files = shipped_files()
    files["conf/engine.toml"] += '\n[sla]\nrebook = "9 days"\n'
    line = files["conf/engine.toml"].splitlines().index('rebook = "9 days"') + 1
    book = read_book(files)

    told = {key: (value, origin) for key, value, origin in effective(book, "cardiology-heart-group")}

    assert told["transport.port"] == ("6661", "channels/cardiology-heart-group.toml:30")
    assert told["channel.enabled"] == ("true", "default")
    assert told["sla.rebook"] == ("routine 9 days; urgent 9 days", f"conf/engine.toml:{line}")
    assert told["sla.confirm"][1] == "channels/cardiology-heart-group.toml:50"
    assert told["sla.open-30"][1] == "default"
    assert effective(book, "nobody") == []
    assert ("ehr.port", "2576") in {(key, value) for key, value, _ in effective(book)}


def test_every_setting_of_the_engine_is_told_once() -> None:
    keys = [key for key, _, _ in effective(read_book(shipped_files()))]

    assert len(keys) == len(set(keys))


def test_no_broken_file_is_more_than_problems() -> None:
    for file, text in shipped_files().items():
        lines = text.split("\n")
        for cut in range(len(lines)):
            check_files({**shipped_files(), file: "\n".join(lines[:cut] + lines[cut + 1 :])}, SAMPLES)
            check_files({file: "\n".join(lines[:cut])})


@pytest.mark.parametrize("value", ["7", '"x"', "[]", "[[1]]", "{ a = 1 }", "1.5", "2025-01-01", '["1 day", 2]'])
def test_a_value_of_any_other_kind_is_a_problem_and_never_an_exception(value: str) -> None:
    for file, text in shipped_files().items():
        lines = text.split("\n")
        for number, line in enumerate(lines):
            key, equals, _ = line.partition(" = ")
            if equals and not line.startswith(("#", " ")):
                for problem in check_files(
                    {file: "\n".join([*lines[:number], f"{key} = {value}", *lines[number + 1 :]])}
                ):
                    assert render_problem(problem).startswith(file)


def test_what_an_unreadable_engine_file_defines_is_not_also_missed_by_the_channels() -> None:
    problems = check_files({**shipped_files(), "conf/engine.toml": "[calendar"}, SAMPLES)

    assert [(problem.file, problem.code) for problem in problems] == [("conf/engine.toml", "CH001")]


def test_a_thousand_channels_are_checked_while_the_analyst_waits() -> None:
    files = shipped_files()
    text = files.pop("channels/cardiology-heart-group.toml")
    del files["conf/partners/cardiology-heart-group.toml"]  # nobody bears its name any more
    for number in range(1000):
        first_nine = f"1{number:08d}"
        npi = f"{first_nine}{npi_check_digit(first_nine)}"
        name = f"made-up-{number}"
        own = text.replace("cardiology-heart-group", name).replace("1234567893", npi)
        files[f"channels/{name}.toml"] = own.replace('["HEARTGRP"]', f'["H{number}"]')

    began = time.perf_counter()
    problems = check_files(files, SAMPLES)

    print(f"1,000 channels checked in {time.perf_counter() - began:.1f} s, {summary(problems, len(files))}")
    assert problems == ()
