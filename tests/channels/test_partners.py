"""Partners as the analyst writes them: files, tables in feeds, what channels inherit, and plain MLLP by permission."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from referral_engine.base.errors import ConfigError
from referral_engine.channels.book import Book, check_files, read_book
from referral_engine.channels.channel import MllpTransport
from referral_engine.channels.effective import effective
from referral_engine.channels.naks import NakMeaning
from referral_engine.channels.partner import ANYONE, Framing, Limits, Partner, Plaintext
from referral_engine.channels.permissions import permissions
from tests.channels.shipped import SAMPLES, shipped_files

TODAY = date(2026, 3, 2)
ENGINE, EHR_PARTNER, HEART = "conf/engine.toml", "conf/partners/ehr.toml", "channels/cardiology-heart-group.toml"
PERMISSION = 'insecure_plaintext = true\ninsecure_reason = "their VPN ends in our rack"\ninsecure_until = {}\n'
REMOTE = '"hl7.heart.example"'


def codes(files: dict[str, str], today: date | None = TODAY) -> list[str]:
    return [problem.code for problem in check_files(files, SAMPLES, today=today)]


def changed(file: str, old: str, new: str, base: dict[str, str] | None = None) -> dict[str, str]:
    files = shipped_files() if base is None else base
    assert files[file].count(old) == 1, f"{file}: {old!r} is there {files[file].count(old)} times"
    return {**files, file: files[file].replace(old, new)}


def without_partners() -> dict[str, str]:
    return {file: text for file, text in shipped_files().items() if "/partners/" not in file}


def transport(book: Book, channel: str = "cardiology-heart-group") -> MllpTransport:
    found = book.channels[channel].transport
    assert isinstance(found, MllpTransport)
    return found


def test_a_partners_file_is_every_value_it_can_say() -> None:
    text = """
[partner]
name = "north"
title = "North"
certificates = ["DNS:GW.North.example", "CN:North"]
addresses = ["::ffff:10.20.0.0/112", "2001:DB8::1"]
applications = "NORTH"
facilities = ["N1", "N2"]
receiving_applications = "REFERRAL_ENGINE"
receiving_facilities = "SPRINGFIELD"
message_types = ["SIU^*", "ORU^R01"]
charset = "latin-1"
ack_mode = "enhanced"
when_unavailable = "busy"
insecure_plaintext = true
insecure_reason = "a VPN"
insecure_until = 2027-06-30
framing = { missing_cr = "refuse", trailer = "1C 00", unwrap_doubled = true, junk_bytes_max = 0 }
limits = { connections_max = 2, frame_bytes_max = 1_000_000, frame_timeout = "2 minutes", bytes_per_second_min = 0, \
idle_timeout = "4 hours", in_flight_max = 1 }
nak = { error = "hold", reject = "retry", transient = ["206"] }
"""

    partner = read_book({"conf/partners/north.toml": text}).partners["north"]

    assert partner == Partner(
        name="north",
        title="North",
        file="conf/partners/north.toml",
        certificates=("DNS:gw.north.example", "CN:North"),
        addresses=("10.20.0.0/16", "2001:db8::1"),
        applications=("NORTH",),
        facilities=("N1", "N2"),
        receiving_applications=("REFERRAL_ENGINE",),
        receiving_facilities=("SPRINGFIELD",),
        message_types=("SIU^*", "ORU^R01"),
        framing=Framing(missing_cr="refuse", trailer=b"\x1c\x00", unwrap_doubled=True, junk_bytes_max=0),
        limits=Limits(
            connections_max=2,
            frame_bytes_max=1_000_000,
            frame_seconds_max=120.0,
            bytes_per_second_min=0,
            idle_timeout_seconds=4 * 3600.0,
            in_flight_max=1,
        ),
        charset="latin-1",
        ack_mode="enhanced",
        when_unavailable="busy",
        nak=NakMeaning(error="hold", reject="retry", transient_codes=frozenset({"206"})),
        insecure_plaintext=Plaintext(reason="a VPN", until=date(2027, 6, 30)),
    )


def test_a_partner_that_says_only_its_name_restricts_nothing() -> None:
    partner = read_book({"conf/partners/north.toml": '[partner]\nname = "north"\n'}).partners["north"]

    assert partner == Partner(name="north", title="north", file="conf/partners/north.toml")
    assert not partner.says_who
    assert read_book({}).partners == {}


def test_a_sender_means_the_partner_of_its_own_name_unless_it_names_another() -> None:
    own = read_book(shipped_files())
    other = read_book(changed("conf/feeds/scanner.toml", "party ", 'partner = "ehr"\nparty '), SAMPLES)
    nobody = read_book(without_partners())

    assert own.partner_of(own.feeds["scanner"]).name == "scanner"
    assert own.partner_of(own.channels["imaging-northside"]).name == "imaging-northside"
    assert own.partner_of(own.channels["imaging-northside"].feed()).name == "imaging-northside"
    assert own.partner_of(own.channels["orthopaedics-lakeside"]) == ANYONE
    assert other.partner_of(other.feeds["scanner"]).name == "ehr"
    assert nobody.partner_of(nobody.feeds["scanner"]) == ANYONE


def test_a_channel_hands_the_partner_it_names_to_its_feed() -> None:
    files = changed(HEART, "network ", 'partner = "imaging-northside"\nnetwork ')
    book = read_book(files)

    assert book.partner_of(book.channels["cardiology-heart-group"].feed()).name == "imaging-northside"
    assert codes(files) == ["CHW06"]  # the partner of its own name is now nobody's


def test_a_feed_may_bring_its_partner_along() -> None:
    files = without_partners()
    files["conf/feeds/scanner.toml"] += '\n[partner]\naddresses = ["192.0.2.0/24"]\n\n[partner.nak]\nerror = "hold"\n'

    book = read_book(files, SAMPLES)
    partner = book.partner_of(book.feeds["scanner"])

    assert (partner.name, partner.file) == ("scanner", "conf/feeds/scanner.toml")
    assert partner.addresses == ("192.0.2.0/24",)
    assert partner.nak.error == "hold"
    assert book.warnings == ()


def test_a_partner_that_says_who_it_is_makes_its_feed_somebody() -> None:
    bare = {"conf/feeds/north.toml": '[feed]\nname = "north"\n'}
    known = {**bare, "conf/partners/north.toml": '[partner]\nname = "north"\napplications = ["NORTH"]\n'}

    assert codes({**shipped_files(), **bare}) == ["CHW03"]
    assert codes({**shipped_files(), **known}) == []


def test_two_senders_of_one_name_are_told_apart_by_certificate_address_or_port() -> None:
    feeds = {
        f"conf/feeds/{name}.toml": f'[feed]\nname = "{name}"\napplications = ["NORTH"]\n' for name in ("east", "west")
    }

    def with_partners(say: str, listener: str = "", **parts: str) -> list[str]:
        made = {
            f"conf/partners/{name}.toml": f'[partner]\nname = "{name}"\n{say.format(part) if say else ""}\n'
            for name, part in parts.items()
        }
        files = changed(ENGINE, "frame_bytes_max = 16", f"{listener}\nframe_bytes_max = 16")
        if "[[" in listener:
            files = changed(ENGINE, "[listener] ", '[[listener]]\nname = "one"\n#', files)
        return codes({**files, **feeds, **made})

    assert with_partners("") == ["CH407"]
    assert with_partners('addresses = ["{}"]', east="10.1.0.0/16", west="10.2.0.0/16") == []
    assert with_partners('addresses = ["{}"]', east="10.0.0.0/8", west="10.2.0.0/16") == ["CH407"]
    assert with_partners('facilities = ["{}"]', east="E", west="W") == []
    assert with_partners('addresses = ["{}"]', east="10.1.0.0/16") == ["CH407"]
    tls = 'tls = { cert = "engine.pem", ca = "partners.pem" }'
    assert with_partners('certificates = ["DNS:{}"]', tls, east="east.example", west="west.example") == []
    assert with_partners('certificates = ["DNS:{}"]', tls, east="gw.example", west="gw.example") == ["CH407"]
    ports = """partners = ["ehr", "scanner", "cardiology-heart-group", "imaging-northside", "east"]
[[listener]]
name = "two"
port = 2600
partners = ["west"]"""
    assert with_partners("# {}", ports, east="", west="") == []
    assert with_partners("# {}", ports.replace('["west"]', '["west", "east"]'), east="", west="") == ["CH407"]


# What a partner's file says of its answers reaches the ways out that lead to it.  H043


def test_the_meaning_of_a_nak_comes_from_the_way_out_else_from_its_partner_else_from_us() -> None:
    files = changed("channels/imaging-northside.toml", "port        = 6662", 'port = 6662\nnak = { reject = "hold" }')
    book = read_book(files, SAMPLES)
    bare = read_book(without_partners(), SAMPLES)

    assert transport(book).nak == NakMeaning(error="hold", reject="person")  # its partner's file
    assert transport(book, "imaging-northside").nak == NakMeaning(error="retry", reject="hold")
    assert transport(bare).nak == NakMeaning()
    assert NakMeaning().transient_codes == {"206", "207"}


def test_a_transient_code_can_be_added_for_one_way_out_alone() -> None:  # H043
    files = changed(HEART, "port        = 6661", 'port = 6661\nnak = { transient = ["206", "207", "LOCK"] }')

    book = read_book(files, SAMPLES)

    assert transport(book).nak.transient_codes == {"206", "207", "LOCK"}
    assert transport(book).nak.error == "hold"
    assert book.engine.ehr.nak.transient_codes == {"206", "207"}


def test_the_ehr_is_the_partner_of_that_name_unless_it_names_another() -> None:
    files = changed(EHR_PARTNER, 'error     = "retry"', 'error     = "person"')

    assert read_book(files).engine.ehr.partner == "ehr"
    assert read_book(files).engine.ehr.nak.error == "person"
    other = changed(ENGINE, "[ehr] ", '[ehr]\npartner = "cardiology-heart-group"\nnak = { reject = "hold" }\n# ', files)
    assert read_book(other).engine.ehr.nak == NakMeaning(error="hold", reject="hold")
    assert read_book(without_partners()).engine.ehr.nak == NakMeaning()


def test_a_partners_trailer_and_mode_are_those_of_what_we_send_it() -> None:
    files = changed(
        "conf/partners/cardiology-heart-group.toml", "[partner.nak]", 'framing.trailer = "1C 00"\n[partner.nak]'
    )
    files = changed(HEART, 'ack_mode    = "original"', "single_session = true  #", files)
    files = changed("conf/partners/cardiology-heart-group.toml", "title ", 'ack_mode = "enhanced"\ntitle ', files)

    way = transport(read_book(files, SAMPLES))

    assert (way.trailer, way.ack_mode, way.single_session) == (b"\x1c\x00", "enhanced", True)
    assert transport(read_book(shipped_files())).trailer == b"\x1c\r"


@pytest.mark.parametrize("text", ["1C 0D", "1c0d", "1C 00", "1C 1E"])
def test_a_trailer_is_fs_and_another_control_character(text: str) -> None:
    book = read_book(changed(EHR_PARTNER, '"1C 0D"', f'"{text}"'))

    assert book.partners["ehr"].framing.trailer == bytes.fromhex(text)


@pytest.mark.parametrize("text", ["", "1C", "0D 0D", "1C 1C", "1C 0B", "1C 41", "1C 0D 0A", "FS CR", "1C-0D"])
def test_a_trailer_that_could_not_end_a_frame_is_refused(text: str) -> None:
    assert codes(changed(EHR_PARTNER, '"1C 0D"', f'"{text}"')) == ["CH217"]


# Plain MLLP by permission.


def test_plain_mllp_that_leaves_this_machine_needs_a_permission() -> None:
    listener = changed(ENGINE, 'bind            = "127.0.0.1"', 'bind = "10.0.0.5"')
    everywhere = changed(ENGINE, 'bind            = "127.0.0.1"', 'bind = "::"')
    ehr = changed(ENGINE, 'host                  = "127.0.0.1"', 'host = "ehr.example"')
    channel = changed(HEART, '"127.0.0.1"', REMOTE)
    lookalike = changed(HEART, '"127.0.0.1"', '"127.0.0.1.example"')
    fallback = {**shipped_files()}
    fallback[HEART] = fallback[HEART].replace(
        "[message] ", '[fallback]\nkind = "mllp"\nhost = "10.0.0.9"\nport = 1\n\n[message] '
    )

    for files in (listener, everywhere, ehr, channel, lookalike, fallback):
        assert codes(files) == ["CH316"]
        with pytest.raises(ConfigError):
            read_book(files, SAMPLES)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1"])
def test_this_machine_needs_no_permission(host: str) -> None:
    files = changed(HEART, '"127.0.0.1"', f'"{host}"')
    files = changed(ENGINE, 'bind            = "127.0.0.1"', f'bind = "{host}"', files)

    assert codes(files) == []


def test_tls_needs_no_permission_and_minds_none_that_is_over() -> None:
    tls = 'tls = { ca = "heart-ca.pem" }\n'
    with_tls = changed(HEART, '"127.0.0.1"', f"{REMOTE}\n{tls}")
    with_both = changed(HEART, '"127.0.0.1"', f"{REMOTE}\n{tls}{PERMISSION.format('2020-01-01')}")

    assert codes(with_tls) == []
    assert codes(with_both) == []


@pytest.mark.parametrize(
    ("days", "told"),
    [(-1, ["CH317"]), (0, ["CHW05"]), (30, ["CHW05"]), (31, [])],
)
def test_a_permission_holds_to_its_last_day_and_is_warned_of_a_month_before(days: int, told: list[str]) -> None:
    until = TODAY + timedelta(days=days)
    own = changed(HEART, '"127.0.0.1"', f"{REMOTE}\n{PERMISSION.format(until)}")
    listener = changed(ENGINE, 'bind            = "127.0.0.1"', f'bind = "10.0.0.5"\n{PERMISSION.format(until)}#')
    ehr = changed(ENGINE, 'host                  = "127.0.0.1"', f'host = "ehr.example"\n{PERMISSION.format(until)}#')
    lent = changed(HEART, '"127.0.0.1"', REMOTE)
    lent = changed("conf/partners/cardiology-heart-group.toml", "title ", f"{PERMISSION.format(until)}title ", lent)

    for files in (own, listener, ehr, lent):
        assert codes(files) == told
        assert codes(files, today=None) == []


def test_a_permission_that_is_over_keeps_the_engine_from_starting_and_a_day_before_it_does_not() -> None:
    files = changed(HEART, '"127.0.0.1"', f"{REMOTE}\n{PERMISSION.format(TODAY)}")

    allowed = transport(read_book(files, SAMPLES, today=TODAY)).insecure_plaintext

    assert allowed == Plaintext(reason="their VPN ends in our rack", until=TODAY)
    with pytest.raises(ConfigError):
        read_book(files, SAMPLES, today=TODAY + timedelta(days=1))


def test_a_partners_permission_is_not_a_listeners() -> None:
    files = changed(ENGINE, 'bind            = "127.0.0.1"', 'bind = "10.0.0.5"')
    files = changed(EHR_PARTNER, "title ", f"{PERMISSION.format('2027-06-30')}title ", files)

    assert codes(files) == ["CH316"]


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("insecure_plaintext = false\n", ["CH316"]),
        ('insecure_reason = "a VPN"\ninsecure_until = 2027-06-30\n', ["CH316"]),
        ("insecure_plaintext = true\n", ["CH102", "CH102"]),
        ('insecure_plaintext = true\ninsecure_reason = " "\ninsecure_until = 2027-06-30\n', ["CH214"]),
        ('insecure_plaintext = true\ninsecure_reason = "x"\ninsecure_until = "2027-06-30"\n', ["CH103"]),
        ('insecure_plaintext = true\ninsecure_reason = "x"\ninsecure_untill = 2027-06-30\n', ["CH101"]),
    ],
)
def test_half_a_permission_is_none(written: str, told: list[str]) -> None:
    assert codes(changed(HEART, '"127.0.0.1"', f"{REMOTE}\n{written}")) == told


def test_every_permission_in_use_is_told_with_the_place_that_uses_it() -> None:
    soon, later = PERMISSION.format("2026-12-31"), PERMISSION.format("2027-06-30")
    files = changed(ENGINE, 'bind            = "127.0.0.1"', f'bind = "10.0.0.5"\n{soon}#')
    files = changed(ENGINE, 'host                  = "127.0.0.1"', f'host = "localhost"\n{soon}#', files)
    files = changed(HEART, '"127.0.0.1"', REMOTE, files)
    files = changed("conf/partners/cardiology-heart-group.toml", "title ", f"{later}title ", files)

    told = list(permissions(read_book(files, SAMPLES, today=TODAY)))

    assert [(where, found.until) for where, found in told] == [
        ("listener default", date(2026, 12, 31)),
        ("cardiology-heart-group", date(2027, 6, 30)),
    ]
    assert list(permissions(read_book(shipped_files()))) == []


# What `config` shows, and what a broken file does not also cause.


def test_config_shows_a_partner_and_where_inherited_values_come_from() -> None:
    book = read_book(shipped_files())

    ehr = {key: (value, origin) for key, value, origin in effective(book, "ehr")}
    heart = {key: (value, origin) for key, value, origin in effective(book, "cardiology-heart-group")}

    assert ehr["feed.party"][0] == '"ehr"'
    assert ehr["partner.framing.trailer"] == ('"1C 0D"', f"{EHR_PARTNER}:15")
    assert ehr["partner.limits.idle_timeout"] == ("none", "default")
    assert ehr["partner.nak.transient"][0] == '["206", "207"]'
    assert heart["transport.nak.error"] == ('"hold"', "conf/partners/cardiology-heart-group.toml")
    assert heart["transport.trailer"] == ('"1C 0D"', "conf/partners/cardiology-heart-group.toml")
    assert heart["partner.framing.trailer"] == ('"1C 0D"', "default")
    assert heart["partner.nak.error"][1] == "conf/partners/cardiology-heart-group.toml:13"


def test_a_partners_file_that_cannot_be_read_is_not_also_missed_by_those_that_name_it() -> None:
    files = changed(ENGINE, "port            = 2575", 'port = 2575\npartners = ["ehr", "scanner", "heart"]')
    files = {**files, "conf/partners/heart.toml": "[partner"}

    assert "CH409" not in codes(files)
    assert "CH001" in codes(files)
