from __future__ import annotations

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.base.ident import npi_check_digit
from referral_engine.channels import overlap
from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.channel import FaxTransport, MllpTransport
from referral_engine.channels.effective import effective
from referral_engine.channels.engine import default_engine
from referral_engine.channels.lint import render_problem
from referral_engine.loop.policy import DEFAULT_CLOCKS, Duration, Kind, Unit
from referral_engine.loop.states import Network, Urgency
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
    assert cardiology.policy.lengths(Kind.CONFIRM, Urgency.URGENT, Network.IN) == (Duration(24, Unit.HOURS),)
    assert cardiology.policy.calendar.name == "chicago-clinic"
    assert isinstance(lakeside.transport, FaxTransport)
    assert not lakeside.policy.capabilities.can_confirm
    assert not lakeside.policy.capabilities.can_send_appointments
    assert lakeside.policy.capabilities.can_send_notes
    assert [len(channel.tests) for _, channel in sorted(book.channels.items())] == [6, 3, 5]


def test_the_engines_clocks_reach_every_channel_that_does_not_set_its_own() -> None:
    files = shipped_files()
    files["conf/engine.toml"] += '\n[sla]\nschedule = "10 days"\nopen-30 = { routine = "40 days" }\n'

    book = read_book(files)

    lakeside, imaging = book.channels["orthopaedics-lakeside"].policy, book.channels["imaging-northside"].policy
    assert lakeside.lengths(Kind.SCHEDULE, Urgency.URGENT, Network.IN) == (Duration(10, Unit.DAYS),)
    assert imaging.lengths(Kind.SCHEDULE, Urgency.URGENT, Network.OUT) == (Duration(1, Unit.DAYS),)
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
    assert told["channel.mode"] == ('"live"', "default")
    assert told["sla.rebook"] == ("routine 9 days; urgent 9 days", f"conf/engine.toml:{line}")
    assert told["sla.confirm"][1] == "channels/cardiology-heart-group.toml:50"
    assert told["sla.open-30"][1] == "default"
    assert effective(book, "nobody") == []
    assert ("ehr.port", "2576") in {(key, value) for key, value, _ in effective(book)}


def test_every_setting_of_the_engine_is_told_once() -> None:
    keys = [key for key, _, _ in effective(read_book(shipped_files()))]

    assert len(keys) == len(set(keys))


# What every other file may name or contradict: one file of each kind, with the partner it means.
NEIGHBOURS = (
    "conf/engine.toml",
    "conf/preauth.toml",
    "conf/feeds/ehr.toml",
    "conf/partners/ehr.toml",
    "conf/partners/cardiology-heart-group.toml",
    "channels/cardiology-heart-group.toml",
)


def test_no_broken_file_is_more_than_problems() -> None:
    neighbours = {name: shipped_files()[name] for name in NEIGHBOURS}
    for file, text in shipped_files().items():
        lines = text.split("\n")
        said = [number for number, line in enumerate(lines) if line.strip() and not line.startswith("#")]
        for cut in said:  # without an empty line or a remark it is the same file
            check_files({**neighbours, file: "\n".join(lines[:cut] + lines[cut + 1 :])}, SAMPLES)
            check_files({file: "\n".join(lines[:cut])})


@pytest.mark.parametrize("value", ["7", '"x"', "[]", "[[1]]", "{ a = 1 }", "1.5", "2025-01-01", '["1 day", 2]'])
def test_a_value_of_any_other_kind_is_a_problem_and_never_an_exception(value: str) -> None:
    tried: set[tuple[str, str, str]] = set()  # a key of one table is read the same way in every file of a folder
    for file, text in shipped_files().items():
        lines = text.split("\n")
        heading = ""
        for number, line in enumerate(lines):
            heading = line if line.startswith("[") else heading
            key, equals, _ = line.partition(" = ")
            what = (file.rpartition("/")[0], heading, key.strip())
            if equals and not line.startswith(("#", " ")) and what not in tried:
                tried.add(what)
                for problem in check_files(
                    {file: "\n".join([*lines[:number], f"{key} = {value}", *lines[number + 1 :]])}
                ):
                    assert render_problem(problem).startswith(file)
    assert len(tried) > 100


def test_what_an_unreadable_engine_file_defines_is_not_also_missed_by_the_channels() -> None:
    problems = check_files({**shipped_files(), "conf/engine.toml": "[calendar"}, SAMPLES)

    assert [(problem.file, problem.code) for problem in problems] == [("conf/engine.toml", "CH001")]


def test_of_many_channels_only_those_that_could_share_an_order_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = 200
    files = shipped_files()
    text = files.pop("channels/cardiology-heart-group.toml")
    del files["conf/partners/cardiology-heart-group.toml"]  # nobody bears its name any more
    for number in range(channels):
        first_nine = f"1{number:08d}"
        npi = f"{first_nine}{npi_check_digit(first_nine)}"
        name = f"made-up-{number}"
        own = text.replace("cardiology-heart-group", name).replace("1234567893", npi)
        files[f"channels/{name}.toml"] = own.replace('["HEARTGRP"]', f'["H{number}"]')

    compared = []
    whole = overlap.overlap
    monkeypatch.setattr(overlap, "overlap", lambda one, other: compared.append(1) or whole(one, other))

    problems = check_files(files, SAMPLES)

    assert problems == ()
    assert len(compared) < channels  # of some 20,000 pairs
