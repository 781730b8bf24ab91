"""The dialects that are shipped: switched off, clean, and honest about what somebody still has to confirm."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import Caller, party_for
from tests.channels.shipped import ROOT, SAMPLES, order, shipped_files
from tests.feeds.vendors import VENDORS, on, text_of_file

OURS = ("name", "title", "party", "enabled")  # keys that say nothing of the vendor
MARK = re.compile(r"# (public: \w|assumed: confirm on site)")
VALUE = re.compile(r'^\s*(?:"[^"]+"|[\w-]+)\s*=|^\s*"[^"]+",?\s*(?:#|$)')
GUIDE = ROOT / "docs" / "feeds.md"


def lines_with_a_value(text: str) -> list[str]:
    found = [line for line in text.splitlines() if VALUE.match(line)]
    return [line for line in found if line.split("=")[0].strip() not in OURS]


@pytest.mark.parametrize("name", VENDORS)
def test_every_line_of_a_shipped_dialect_says_whether_it_is_public_or_to_be_confirmed(name: str) -> None:
    lines = lines_with_a_value(text_of_file(name))

    assert len(lines) > 4
    assert [line for line in lines if not MARK.search(line)] == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_shipped_dialect_is_switched_off_and_says_how_it_is_switched_on(name: str) -> None:
    text = text_of_file(name)

    assert not read_book(shipped_files()).feeds[name].enabled
    assert "take this line out" in next(line for line in text.splitlines() if line.startswith("enabled"))
    assert "Switched off as shipped." in text


def test_nobody_is_admitted_by_a_dialect_that_is_switched_off() -> None:
    header = order("REFCARD", "1", sender="EPIC|SPRINGFIELD").header
    here = Caller(peer="127.0.0.1")

    assert party_for(on(), header, here) is None
    admitted = party_for(on("epic"), header, here)
    assert admitted is not None
    assert (admitted.kind, admitted.name) == ("ehr", "epic")


@pytest.mark.parametrize("names", [(), *((name,) for name in VENDORS), VENDORS])
def test_the_shipped_files_are_clean_whichever_dialects_are_switched_on(names: tuple[str, ...]) -> None:
    files = shipped_files()
    for name in names:
        path = f"conf/feeds/{name}.toml"
        files[path] = re.sub(r"(?m)^enabled.*\n", "", files[path])

    assert check_files(files, SAMPLES) == ()


def test_a_dialect_that_is_switched_off_does_not_compete_with_one_that_is_on() -> None:
    files = shipped_files()
    twin = files["conf/feeds/ehr.toml"].replace('"ehr" ', '"twin"', 1).replace("party", "enabled = false\nparty", 1)
    files["conf/feeds/twin.toml"] = twin

    off = check_files(files, SAMPLES)
    files["conf/feeds/twin.toml"] = twin.replace("enabled = false", "enabled = true")
    both = check_files(files, SAMPLES)

    assert off == ()
    assert [problem.code for problem in both] == ["CH407"]


def test_a_mistake_in_a_dialect_that_is_switched_off_is_still_told() -> None:
    files = shipped_files()
    files["conf/feeds/epic.toml"] += '\n[portall]\n"CON-2.1" = "PORTAL"\n'

    assert [problem.code for problem in check_files(files, SAMPLES)] == ["CH101"]


def test_a_feed_that_no_file_describes_cannot_be_switched_on() -> None:
    with pytest.raises(KeyError):
        on("epik")


def test_the_guide_shows_every_key_of_a_feed() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    spelt = {"zone": "timezone", "slot_words": "[appointment_words]", "authority_names": "[authorities]"}
    tables = {
        "referral_when",
        "left_alone",
        "denied_when",
        "physician_orders",
        "in_network",
        "specialties",
        "portal",
        "sms_consent",
    }
    tables |= {"controls", "result_states", "document_states"}

    missing = []
    for one in fields(Feed):
        word = spelt.get(one.name) or (f"[{one.name}]" if one.name in tables else one.name)
        if one.name != "file" and not re.search(rf"(?m)^{re.escape(word)}(\s|$)", guide):
            missing.append(word)

    assert not missing


def test_the_guides_example_is_a_clean_file() -> None:
    (example,) = re.findall(r"(?ms)^```toml\n(.*?)^```", GUIDE.read_text(encoding="utf-8"))

    assert check_files({**shipped_files(), "conf/feeds/valley.toml": example}, SAMPLES) == ()
