"""What the files say of live channels, channels in shadow and channels that are off."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.coverage import coverage, findings
from referral_engine.channels.routing import explain, route
from tests.channels.shipped import SAMPLES, order, shipped_files

HEART = "channels/cardiology-heart-group.toml"
NPI = "1234567893"


def with_twins(*modes: str) -> dict[str, str]:
    """The shipped files, and a copy of the cardiologists' channel in each of these modes."""
    files = shipped_files()
    for number, mode in enumerate(modes):
        name = f"twin-{number}"
        twin = files[HEART].replace('"cardiology-heart-group"  ', f'"{name}"\nmode = "{mode}" ')
        twin = twin.replace('["CENTRICITY"]', f'["TWIN{number}"]').replace("port        = 6661", "port        = 6699")
        files[f"channels/{name}.toml"] = twin
    return files


def codes(files: dict[str, str]) -> list[str]:
    return sorted({one.code for one in check_files(files, SAMPLES)})


@pytest.mark.parametrize(
    ("modes", "told"),
    [
        (("live",), ["CH401"]),
        (("shadow",), []),
        (("off",), []),
        (("off", "off"), []),
        (("shadow", "shadow"), ["CH401"]),
    ],
)
def test_two_of_one_mode_may_not_take_one_order_and_a_shadow_may_overlap_a_live_one(
    modes: tuple[str, ...], told: list[str]
) -> None:
    assert codes(with_twins(*modes)) == told


def test_the_live_one_takes_the_order_and_the_shadow_is_counted() -> None:
    book = read_book(with_twins("shadow"))
    message = order("REFCARD", NPI)

    routing = route(book, message)
    answers = {one.name: one for one in explain(book, message).candidates}

    assert routing.channel is not None
    assert routing.channel.name == "cardiology-heart-group"
    assert routing.counted == ("twin-0",)
    assert answers["twin-0"].yes
    assert answers["twin-0"].reason.endswith("; in shadow: followed, and nothing is sent")


def test_coverage_tells_what_a_shadow_watched_and_what_nobody_was_sent() -> None:
    files = with_twins("shadow")
    beside = coverage(read_book(files), [(order("REFCARD", NPI), None)])
    files[HEART] = files[HEART].replace('"cardiology-heart-group"  ', '"cardiology-heart-group"\nmode = "off" ')
    alone = coverage(read_book(files), [(order("REFCARD", NPI), None)])

    assert (beside.taken, beside.contested, alone.taken, alone.unwanted) == (1, 0, 0, 1)
    twin = next(one for one in alone.channels if one.name == "twin-0")
    assert (twin.mode, twin.taken, twin.watched) == ("shadow", 1, 1)
    assert "is in shadow, and no live channel took 1 of the 1 orders it watched" in [
        one.sentence for one in findings(alone)
    ]
    assert not any("in shadow, and no live" in one.sentence for one in findings(beside))


@pytest.mark.parametrize(("old", "new"), [("enabled = true", "live"), ("enabled = false", "off")])
def test_the_old_switch_is_told_its_successor(old: str, new: str) -> None:
    files = shipped_files()
    files[HEART] = files[HEART].replace("[match] ", f"{old}\n\n[match] ", 1)

    with pytest.raises(ConfigError) as error:
        read_book(files)

    (problem,) = error.value.problems
    assert (problem.code, problem.help) == ("CH261", f'write mode = "{new}"')


def test_a_mode_that_does_not_exist_is_refused_with_a_guess() -> None:
    files = shipped_files()
    files[HEART] = files[HEART].replace("[match] ", 'mode = "shadows"\n\n[match] ', 1)

    (problem,) = [one for one in check_files(files) if not one.warning]

    assert (problem.code, problem.help) == ("CH104", 'did you mean "shadow"?')
