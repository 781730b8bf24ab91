"""Files of defaults: what they lend, who wins, what is told of them, and that `config` says where each value is from."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.channels.book import check_files, read_book
from referral_engine.channels.channel import (
    Channel,
    FaxTransport,
    Hold,
    MessageSettings,
    MllpTransport,
    PatientText,
    Replies,
    SpoolTransport,
)
from referral_engine.channels.defaults import OWN_KEYS, OWN_TABLES
from referral_engine.channels.effective import effective
from referral_engine.channels.engine import Outreach, Retry, Tls
from referral_engine.channels.naks import NakMeaning
from referral_engine.channels.reachable import LANES, SUBCOMMANDS
from referral_engine.channels.shape import laid_over
from referral_engine.cli.main import main
from referral_engine.flow.lanes import DESKS, EHR, PATIENT
from referral_engine.loop.policy import Capabilities, Duration, Kind, Policy, Unit
from referral_engine.loop.states import Network, Urgency
from tests.channels.shipped import ROOT, SAMPLES, shipped_files

LENT = "channels/_defaults/cardiology.toml"
OWN = "channels/cardiology-heart-group.toml"
SECOND = "channels/cardiology-riverside.toml"
RIVERSIDE = """
[channel]
name      = "cardiology-riverside"
npi       = "1555555550"
specialty = "cardiology"

[match]
"MSH-9"     = "ORM^O01"
referred_to = "1555555550"

[transport]
kind = "mllp"
host = "127.0.0.1"
port = 6671

[[test]]
name  = "not ours"
steps = [{ receive = "orm-o01-cardiology-ppo.hl7", expect = { matches = false } }]
"""
GIVEN = """
[transport]
ack_timeout = "45 seconds"
retry       = { first = "2 minutes" }
pages_max   = 9

[sla]
confirm = "3 days"
rebook  = "6 days"

[no_show]
attempts = 3

[message]
drop_segments = ["NTE", "DG1"]
"""


def files(lent: str = GIVEN, **more: str) -> dict[str, str]:
    return {**shipped_files(), LENT: lent, SECOND: RIVERSIDE} | more


def test_a_lent_line_holds_where_a_channel_says_nothing_and_its_own_line_wins_key_by_key() -> None:
    book = read_book(files(GIVEN.replace("pages_max   = 9", "")), SAMPLES)
    group, riverside = book.channels["cardiology-heart-group"], book.channels["cardiology-riverside"]

    assert isinstance(group.transport, MllpTransport)
    assert isinstance(riverside.transport, MllpTransport)
    assert (group.transport.ack_timeout_seconds, riverside.transport.ack_timeout_seconds) == (30.0, 45.0)
    assert group.policy.lengths(Kind.CONFIRM, Urgency.ROUTINE, Network.IN) == (Duration(48, Unit.HOURS),)
    assert group.policy.lengths(Kind.REBOOK, Urgency.ROUTINE, Network.IN) == (Duration(6, Unit.DAYS),)
    assert (group.policy.no_show_attempts, riverside.policy.no_show_attempts) == (3, 3)
    assert book.channels["imaging-northside"].policy.no_show_attempts == 1


def test_lists_and_inline_tables_are_never_mixed() -> None:
    book = read_book(files(GIVEN.replace("pages_max   = 9", "")), SAMPLES)
    group, riverside = book.channels["cardiology-heart-group"], book.channels["cardiology-riverside"]

    assert group.message.drop_segments == ("ZRF",)
    assert riverside.message.drop_segments == ("NTE", "DG1")
    assert group.transport.retry == Retry(first_seconds=30, longest_seconds=900, give_up_after_seconds=86_400)
    assert riverside.transport.retry.first_seconds == 120


def test_config_says_which_file_lent_a_value() -> None:
    book = read_book(files(GIVEN.replace("pages_max   = 9", "")), SAMPLES)

    told = {key: (value, origin) for key, value, origin in effective(book, "cardiology-riverside")}

    assert told["transport.ack_timeout"] == ('"45 seconds"', f"{LENT}:3")
    assert told["transport.retry.first"] == ('"2 minutes"', f"{LENT}:4")
    assert told["sla.rebook"][1] == f"{LENT}:9"
    assert told["transport.port"] == ("6671", f"{SECOND}:14")
    assert told["patient.per_day"][1].startswith("conf/engine.toml:")
    assert told["replies.notes"] == ("true", "default")


def test_a_lent_key_that_only_some_channels_can_use_is_no_mistake() -> None:
    fax = RIVERSIDE.replace('kind = "mllp"\nhost = "127.0.0.1"\nport = 6671', 'kind = "fax"\ngateway = "rightfax"')
    fax = fax.replace('gateway = "rightfax"', 'gateway = "rightfax"\nnumber = "+12175550188"')

    assert check_files(files() | {SECOND: fax}, SAMPLES) == ()
    assert [(one.file, one.code) for one in check_files(files(), SAMPLES)] == [(LENT, "CH101")]  # no fax: pages_max


def test_what_is_wrong_in_a_lent_line_is_told_once_at_its_own_line() -> None:
    lent = '[sla]\nrebook = "soon"\n\n[replies]\nreceived = "fax report"\n'

    problems = check_files(files(lent), SAMPLES)

    assert [(one.file, one.line, one.code) for one in problems] == [(LENT, 2, "CH205"), (LENT, 5, "CH307")]
    assert problems[1].help.endswith('found in "cardiology-riverside"')


def test_a_lent_file_that_cannot_be_read_hides_nothing_else() -> None:
    problems = check_files(files("[sla\n"), SAMPLES)

    assert [(one.file, one.code) for one in problems] == [(LENT, "CH001")]


def test_a_channel_that_cannot_be_read_may_be_the_one_that_reads_a_file_of_defaults() -> None:
    files_ = {**shipped_files(), OWN: "[", LENT: "[no_show]\nattempts = 2\n"}

    assert [one.code for one in check_files(files_, SAMPLES)] == ["CH001"]


def test_a_changed_default_is_another_version_of_each_channel_that_reads_it() -> None:
    before, after = (read_book(files(f"[no_show]\nattempts = {count}\n"), SAMPLES) for count in (2, 3))

    assert before.version != after.version
    changed = [name for name in before.channels if before.channels[name].version != after.channels[name].version]
    assert changed == ["cardiology-heart-group", "cardiology-riverside"]


def test_no_broken_file_of_defaults_is_more_than_problems() -> None:
    lines = (GIVEN + EVERY_KEY).splitlines()
    for number, line in enumerate(lines):
        cut = "\n".join([*lines[:number], *lines[number + 1 :]])
        other = "\n".join([*lines[:number], f"{line.partition(' = ')[0]} = [[1]]", *lines[number + 1 :]])
        for text in (cut, other):
            told = check_files({LENT: text, SECOND: RIVERSIDE, "conf/engine.toml": ""})
            assert {one.file for one in told} <= {LENT, SECOND}
            assert len({(one.file, one.line, one.column, one.code, one.sentence) for one in told}) == len(told)


def test_a_calendar_without_hours_says_the_built_in_ones() -> None:
    book = read_book({**shipped_files(), "conf/engine.toml": SOUTH, SECOND: RIVERSIDE}, SAMPLES)

    told = {key: (value, origin) for key, value, origin in effective(book)}
    by_channel = {key: value for key, value, _ in effective(book, "cardiology-riverside")}

    assert told["calendar.chicago-clinic.open"] == ('mon to fri "08:00-17:00"', "default")
    assert by_channel["calendar.default.open"] == 'mon to fri "08:00-17:00"'


SOUTH = """
[calendar.chicago-clinic]
timezone = "America/Chicago"

[gateway.rightfax]
directory = "var/spool/fax"

[queues]
preauth        = "preauth-desk"
schedule       = "front-desk"
no-show-review = "clinical-review"
"""


KEYS = st.sampled_from(["a", "b", "c"])
TREES = st.dictionaries(KEYS, st.one_of(st.integers(0, 3), st.dictionaries(KEYS, st.integers(0, 3))))


@settings(max_examples=40)
@given(TREES, TREES)
def test_laying_a_file_over_another_is_key_by_key(own: dict[str, object], lent: dict[str, object]) -> None:
    merged = laid_over(own, lent)

    for table, value in own.items():
        below = lent.get(table)
        expected = {**below, **value} if isinstance(value, dict) and isinstance(below, dict) else value
        assert merged[table] == expected
    for table in merged.keys() - own.keys():
        assert merged[table] == lent[table]
        assert isinstance(lent[table], dict)


def test_what_may_not_be_lent_is_a_line_that_channels_have() -> None:
    made = json.loads((ROOT / "docs" / "schemas" / "channel.schema.json").read_text())["properties"]

    assert made.keys() >= OWN_TABLES | OWN_KEYS.keys()
    assert all(made[table]["properties"].keys() >= keys for table, keys in OWN_KEYS.items())


def test_reserved_names_are_those_of_the_lanes_and_of_the_commands_behind_config() -> None:
    assert {EHR, PATIENT, *DESKS} == LANES
    assert set(getattr(main.commands["config"], "commands", {})) == SUBCOMMANDS


# Where `config NAME` says each thing that is in force; "" for what is no setting.
TOLD = {
    Channel: {
        "name": "channel.name", "title": "channel.title", "npi": "channel.npi", "specialty": "channel.specialty",
        "calendar": "channel.calendar", "network": "channel.network", "in_network": "network", "partner": "channel.partner",
        "mode": "channel.mode", "verified_on": "channel.verified_on", "match": "match", "hold": "hold",
        "transport": "transport", "fallbacks": "fallback", "message": "message", "replies": "replies",
        "policy": "sla", "patient": "patient", "outreach": "patient", "tests": "", "version": "", "file": "",
        "match_lines": "",
    },
    Hold: {
        "reason": "hold.reason", "when": "hold.when", "released_by": "hold.released_by",
        "remind_after": "hold.remind_after", "billing_after": "hold.billing_after", "escalate_to": "hold.escalate_to",
    },
    MllpTransport: {
        "host": "transport.host", "port": "transport.port", "tls": "transport.tls", "ack_mode": "transport.ack_mode",
        "ack_timeout_seconds": "transport.ack_timeout", "retry": "transport.retry", "nak": "transport.nak",
        "trailer": "transport.trailer", "single_session": "transport.single_session",
        "insecure_plaintext": "transport.insecure_plaintext", "send_hours": "transport.send_hours",
    },
    FaxTransport: {
        "gateway": "transport.gateway", "number": "transport.number", "cover": "transport.cover",
        "attach": "transport.attach", "pages_max": "transport.pages_max", "retry": "transport.retry",
        "send_hours": "transport.send_hours",
    },
    SpoolTransport: {
        "directory": "transport.directory", "retry": "transport.retry", "send_hours": "transport.send_hours",
    },
    Retry: {
        "first_seconds": "transport.retry.first", "longest_seconds": "transport.retry.longest",
        "give_up_after_seconds": "transport.retry.give_up_after", "counted": "transport.send_hours",
    },
    Tls: {
        "cert": "transport.tls.client_cert", "key": "transport.tls.client_key", "ca": "transport.tls.ca",
        "server_name": "transport.tls.server_name", "require_client_cert": "",  # of listeners only
    },
    NakMeaning: {
        "error": "transport.nak.error", "reject": "transport.nak.reject", "transient_codes": "transport.nak.transient",
    },
    MessageSettings: {
        "receiving_application": "message.receiving_application", "receiving_facility": "message.receiving_facility",
        "version": "message.version", "drop_segments": "message.drop_segments", "format": "message.format",
        "pairs": "message.pairs",
    },
    Replies: {
        "applications": "replies.applications", "facilities": "replies.facilities", "addresses": "replies.addresses",
        "received": "replies.received", "confirms": "replies.confirms", "appointments": "replies.appointments",
        "notes": "replies.notes", "final_when": "replies.final_when", "dialect": "replies.dialect",
        "provisional_notes": "replies.provisional_notes",
    },
    PatientText: {
        "address": "patient.address", "parking": "patient.parking", "insurance_card": "patient.insurance_card",
    },
    Outreach: {
        "quiet_from": "patient.quiet_hours", "quiet_until": "patient.quiet_hours", "per_day": "patient.per_day",
        "per_week": "patient.per_week", "timezone": "patient.timezone", "zone": "patient.timezone",
        "scheduling_link": "", "transport": "", "directory": "",  # of the whole site: `config` without a name
    },
    Policy: {
        "calendar": "calendar", "clocks": "sla", "networks": "sla", "off": "sla", "capabilities": "replies",
        "no_show_attempts": "no_show.attempts", "fallbacks": "fallback", "sends": "transport.send_hours",
        "duplicate_days": "duplicates.days", "provisional_notes": "replies.provisional_notes", "npi": "channel.npi",
    },
    Capabilities: {
        "can_confirm": "replies.confirms", "can_send_appointments": "replies.appointments",
        "can_send_notes": "replies.notes",
    },
}  # fmt: skip
EVERY_KEY = """
[hold]
when = { "IN1-15" = "HMO" }

[transport.tls]
ca = "made-up-ca.pem"

[replies.final_when]
"OBR-25" = "F"
"""


def test_every_value_in_force_of_a_channel_has_a_line_in_config() -> None:
    """A field that this test does not know is a value that nobody can ask about: give it a line, and name it here."""
    for kind, told in TOLD.items():
        assert is_dataclass(kind)
        assert {one.name for one in fields(kind)} <= told.keys(), kind.__name__

    book = read_book(files(EVERY_KEY), SAMPLES)
    spool = RIVERSIDE.replace('kind = "mllp"\nhost = "127.0.0.1"\nport = 6671', 'kind = "spool"\ndirectory = "var/x"')
    spooled = read_book({SECOND: spool.replace('"IN1-15"', '"IN1-2"')})

    mllp = {key for key, _, _ in effective(book, "cardiology-riverside")}
    fax = {key for key, _, _ in effective(book, "orthopaedics-lakeside")}
    for kind, told in TOLD.items():
        said = fax if kind is FaxTransport else mllp
        if kind is SpoolTransport:
            said = {key for key, _, _ in effective(spooled, "cardiology-riverside")}
        names = {one.name for one in fields(kind)}
        for name, key in told.items():
            if name in names and key:
                assert any(one == key or one.startswith(f"{key}.") for one in said), f"{kind.__name__}.{name}: {key}"
    kinds = {
        key.removeprefix("sla.").removesuffix(".in").removesuffix(".out") for key in mllp if key.startswith("sla.")
    }
    assert kinds >= {kind.value for kind in Kind}


def test_every_origin_is_a_line_that_says_the_key() -> None:
    texts = files(GIVEN.replace("pages_max   = 9", "") + EVERY_KEY)
    book = read_book(texts, SAMPLES)

    for name in book.channels:
        for key, _, origin in effective(book, name):
            file, colon, line = origin.partition(":")
            if colon and file in texts and line.isdigit():
                word = key.rsplit(".", 1)[-1]
                said = texts[file].splitlines()[int(line) - 1]
                asked = {word, key.split(".")[-2] if "." in key else "", *HEARD.get(key, ())}
                assert any(one and one in said for one in asked), f"{key} is not said at {origin}: {said}"


HEARD = {
    "hold.escalate_to": ("preauth",),
    "sla.hold-remind": ("remind_after",),
    "sla.hold-billing": ("billing_after",),
    "sla.confirm": ("confirms",),
}


def test_a_clock_of_one_network_takes_no_other_lent_clock_of_it_away() -> None:
    lent = '[sla.out]\nconfirm = "12 hours"\nrebook = "2 days"\nschedule = "3 days"\n'
    own = RIVERSIDE.replace("[[test]]", '[sla]\nschedule = "9 days"\n\n[sla.out]\nconfirm = "6 hours"\n\n[[test]]')

    book = read_book(files(lent, **{SECOND: own}), SAMPLES)
    policy = book.channels["cardiology-riverside"].policy
    told = {key: origin for key, _, origin in effective(book, "cardiology-riverside")}

    assert policy.lengths(Kind.CONFIRM, Urgency.ROUTINE, Network.OUT) == (Duration(6, Unit.HOURS),)
    assert policy.lengths(Kind.REBOOK, Urgency.ROUTINE, Network.OUT) == (Duration(2, Unit.DAYS),)
    assert policy.lengths(Kind.SCHEDULE, Urgency.ROUTINE, Network.OUT) == (Duration(9, Unit.DAYS),)  # their own line
    assert told["sla.rebook.out"] == f"{LENT}:3"
    assert told["sla.confirm.out"].startswith(f"{SECOND}:")
