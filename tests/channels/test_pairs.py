"""What stands in ORC-1 and ORC-5 of our own messages, and what IHE 360X cannot be written without, as files say it."""

from __future__ import annotations

import pytest

from referral_engine.channels.book import Book, check_files, read_book
from referral_engine.channels.channel import SpoolTransport
from referral_engine.channels.pairs import ORDER_PAIRS, STATUS_WORDS, Pair
from referral_engine.render import ehr
from tests.channels.shipped import SAMPLES, shipped_files

DIRECT = """
[channel]
name      = "valley-clinic"
npi       = "1555555550"
specialty = "cardiology"

[match]
"MSH-9"    = ["ORM^O01", "REF^I12"]
"OBR-28.1" = "1555555550"

[transport]
kind      = "spool"
directory = "var/spool/direct"

[message]
format             = "360x"
receiving_facility = "2.16.840.1.113883.19.5"
pairs              = { new = "NW", cancel = "CA/CA" }

[replies]
facilities = ["2.16.840.1.113883.19.5"]

[[test]]
name  = "an order for another"
steps = [{ receive = "orm-o01-cardiology-ppo.hl7", expect = { matches = false } }]
"""
OID = ("[identity]\n", '[identity]\noid = "2.16.840.1.113883.19.1"\n')


def files(channel: str = DIRECT, engine: tuple[str, str] = OID) -> dict[str, str]:
    shipped = dict(shipped_files())
    shipped["conf/engine.toml"] = shipped["conf/engine.toml"].replace(*engine)
    return {**shipped, "channels/valley-clinic.toml": channel} if channel else shipped


def problems(channel: str = DIRECT, engine: tuple[str, str] = OID) -> list[tuple[str, str]]:
    return [(one.code, one.sentence) for one in check_files(files(channel, engine), SAMPLES)]


def book(channel: str = DIRECT, engine: tuple[str, str] = OID) -> Book:
    return read_book(files(channel, engine))


def test_a_channel_that_is_written_to_in_360x_is_in_order() -> None:
    assert problems() == []
    message = book().channels["valley-clinic"].message
    assert message.format == "360x"
    assert (message.pairs["new"], message.pairs["change"], message.pairs["cancel"]) == (
        Pair("NW"), Pair("XO"), Pair("CA", "CA"),
    )  # fmt: skip
    assert isinstance(book().channels["valley-clinic"].transport, SpoolTransport)


def test_without_a_word_of_it_a_channel_is_written_to_as_everybody_is() -> None:
    message = book().channels["cardiology-heart-group"].message

    assert (message.format, message.pairs) == ("orm", ORDER_PAIRS)


MLLP = ('kind      = "spool"\ndirectory = "var/spool/direct"', 'kind = "mllp"\nhost = "127.0.0.1"\nport = 6670')


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (MLLP, "360X asks for no acknowledgment (NE/NE), and this way waits for one"),
        (('"2.16.840.1.113883.19.5"\npairs', '"VALLEY"\npairs'), "360X names the receiver by its OID in MSH-6"),
        (("format   ", 'version = "2.4"\nformat   '), "360X is written in v2.5.1 only"),
    ],
)
def test_what_360x_cannot_be_written_without_is_asked_for(change: tuple[str, str], sentence: str) -> None:
    assert problems(DIRECT.replace(*change)) == [("CH320", sentence)]


def test_our_own_oid_is_asked_for() -> None:
    assert problems(engine=("", "")) == [("CH320", "360X names everything by OID, and we have none")]


@pytest.mark.parametrize("pair", ["ZZ", "CA/", "CA/XX", "ca", "", "/CA", "CA/CA/CA"])
def test_a_pair_that_is_in_no_table_is_refused(pair: str) -> None:
    assert [code for code, _ in problems(DIRECT.replace('"CA/CA"', f'"{pair}"'))] == ["CH220"]


def test_a_pair_for_something_nobody_asks_is_refused() -> None:
    assert [code for code, _ in problems(DIRECT.replace("cancel =", "cancelled ="))] == ["CH101"]


def test_the_ehrs_file_may_say_what_each_status_is_written_as() -> None:
    said = '[ehr]\nstatus = "OSU^O51"\npairs = { declined = "UA/CA", "preliminary note" = "SC/IP" }\n'
    told = book("", ("[ehr] ", said + "# ")).engine.ehr

    assert told.status == "OSU^O51"
    assert told.pairs == {"declined": Pair("UA", "CA"), "preliminary note": Pair("SC", "IP")}
    assert book().engine.ehr.pairs == {}


def test_a_status_nobody_tells_is_refused_with_the_word_that_was_meant() -> None:
    said = '[ehr]\npairs = { decline = "UA/CA" }\n'
    (problem,) = check_files(files("", ("[ehr] ", said + "# ")), SAMPLES)

    assert (problem.code, problem.help) == ("CH101", 'did you mean "declined"?')


def test_every_status_the_loop_tells_may_be_named() -> None:
    assert set(STATUS_WORDS) == set(ehr._STATUSES)
