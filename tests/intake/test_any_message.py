"""Whatever comes is read or is a fault: every public sample, and the made-up ones broken in every way."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.channels.feed import Feed
from referral_engine.channels.parties import Party
from referral_engine.hl7.batch import split_batch
from referral_engine.hl7.message import Message
from referral_engine.intake.read import Reading, read
from tests.intake.samples import EHR, NOW, NPI, SCANNER, SPECIALIST, answer, matcher, mdm, order, oru, siu, text

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
PARTIES = (EHR, SPECIALIST, SCANNER)
NEUTRAL = Party(kind="ehr", name="anyone", feed=Feed(name="anyone", referral_when=matcher(MSH_9="O")))
ADT = mdm("T02").replace("MDM^T02", "ADT^A40") + "\nMRG|OLD5^^^SPRINGFIELD^MR"
TWIN = "PID|2||MRN1002^^^SPRINGFIELD^MR||ROE^JACK||19800102|M"
FT1 = f"FT1|1|C1||20260301||CG|99203|||1|||||||||||||{NPI}|||F1"
SAMPLES = [
    order(None, None, "IN1|1|PLAN9|PAY1", "TQ1|1||||||||S", "DG1|1||I48.91", "CON|1|SMS|||||||||A"),
    order() + "\nORC|NW|ORD78^EHR\nOBR|2|ORD78^EHR||REFORTH",
    answer("SC", "IP"),
    answer("SC", "CM", "OBX|1|ED|11488-4||^AP^^Base64^JVBERi0=||||||F").replace("ORM^O01", "OMG^O19"),
    answer("OK", "IP", "ORC|UA|ORD78^EHR").replace("ORM^O01", "ORR^O02"),
    order().replace("ORM^O01", "REF^I12") + f"\nRF1|A|S|MED|||R77^EHR|20260302||||F1\nPRD|RP~RT|DOE^DAN|||||{NPI}^NPI",
    order().replace("ORM^O01", "RRI^I14") + "\nRF1|R|S|MED|||R77^EHR\nMSA|AE|M1",
    order({"f1": "RP"}) + "\nORC|RO|ORD78^EHR\nOBR|2|ORD78^EHR||REFORTH",
    siu("S14", "ARRIVED", "AIS|1||OV|20260316090000", f"AIP|1||{NPI}^DOE"),
    oru("F", "F", "C"),
    mdm("T06", "AU"),
    ADT,
    ADT.replace("A40", "A04") + f"\nPV1|1|O|||||{NPI}",
    ADT.replace("A40", "A11") + "\nPV1|1|O|||||||||||||||||V1^^^SPRINGFIELD",
    ADT + f"\n{TWIN}\nMRG|OLD6~OLD7^^^SPRINGFIELD^MR",
    ADT.replace("A40", "A24") + f"\n{TWIN}",
    ADT.replace("A40", "A43"),
    siu("S13", "", "PV1|1|O", "AIS|1||OV|20260316000000^D||||||Booked", TWIN, "PV1|2|O", f6="NO SHOW", f24="A99"),
    ADT.replace("ADT^A40", "DFT^P03") + f"\n{FT1}\n{FT1.replace('CG', 'CD')}\n{FT1.replace('C1', 'C2')}",
]


def outcome(message: Message, party: Party) -> Reading | MessageFault:
    """The first of the readings, which all keep their promises, or a fault."""
    try:
        readings = read(message, party, received_at=NOW, sequence=7)
    except MessageFault as fault:
        return fault
    for reading in readings:
        assert (reading.about is None) == (reading.evidence is None)
        assert reading.about is not None or not reading.events
        assert reading.events or reading.note or reading.withdraws or reading.identities or reading.person
        assert not reading.is_new_order or len(reading.events) == 1
        for event in reading.events:
            assert (event.at, event.message, event.by) == (NOW, 7, party.name)
    return readings[0]


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the public sample messages are not beside the project")
@pytest.mark.parametrize("party", [NEUTRAL, SPECIALIST, SCANNER], ids=lambda party: party.kind)
def test_every_public_sample_is_read_or_is_a_fault(party: Party) -> None:
    seen: Counter[str] = Counter()
    for path in sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.name != "LICENSE"):
        for frame in re.split(rb"\n{2,}(?=MSH)", path.read_bytes()):
            for raw in split_batch(frame):
                try:
                    message = Message.parse(raw)
                except MessageFault:
                    continue
                found = outcome(message, party)
                seen["fault" if isinstance(found, MessageFault) else str(found.about)] += 1

    assert sum(seen.values()) > 1000
    assert seen["fault"] < 0.1 * sum(seen.values())
    assert seen["appointment"] > 5
    assert seen["report"] > 20


@pytest.mark.parametrize("lines", SAMPLES)
@pytest.mark.parametrize("party", PARTIES, ids=lambda party: party.kind)
def test_a_message_is_read_the_same_twice(lines: str, party: Party) -> None:
    first, second = (outcome(Message.parse(text(lines)), party) for _ in range(2))

    assert str(first) == str(second)


BITS = st.sampled_from(
    [
        "|",
        "^",
        "~",
        "\\",
        "&",
        '""',
        "\r",
        "\n",
        "\x00",
        "²",
        "９",
        "+",
        "-",
        "X",
        "20260316",
        "\\X0D\\",
        "OBX|1",
        "ORC|",
    ]
)


@settings(max_examples=300)
@given(
    lines=st.sampled_from(SAMPLES),
    party=st.sampled_from(PARTIES),
    changes=st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 12), BITS | st.text(max_size=6)), max_size=8),
)
def test_a_broken_message_is_read_or_is_a_fault(lines: str, party: Party, changes: list[tuple[int, int, str]]) -> None:
    broken = text(lines).decode()
    for at, length, bit in changes:
        place = 9 + at % len(broken)  # behind the delimiters
        broken = broken[:place] + bit + broken[place + length :]
    try:
        message = Message.parse(broken.encode("utf-8", "replace"))
    except MessageFault:
        return

    found = outcome(message, party)

    said = str(found) if isinstance(found, MessageFault) else found.note
    assert not any(word in said for word in ("ROE", "JANE", "MRN1001", "19800102"))


@settings(max_examples=150)
@given(lines=st.sampled_from(SAMPLES), party=st.sampled_from(PARTIES), keep=st.sets(st.integers(0, 12)))
def test_a_message_with_segments_missing_or_turned_round_is_read_or_is_a_fault(
    lines: str, party: Party, keep: set[int]
) -> None:
    head, *rest = lines.splitlines()
    kept = [line for at, line in enumerate(reversed(rest)) if at in keep]

    outcome(Message.parse(text("\n".join([head, *kept]))), party)


@settings(max_examples=150)
@given(lines=st.sampled_from(SAMPLES), field=st.integers(1, 60), value=st.text(max_size=40))
def test_any_text_in_any_field_is_read_or_is_a_fault(lines: str, field: int, value: str) -> None:
    for party in PARTIES:
        changed = text(lines).decode()
        for name in ("PID", "SCH", "ORC", "OBR", "TXA", "OBX", "PV1", "MRG", "AIS", "FT1"):
            rows = changed.split("\r")
            for at, row in enumerate(rows):
                if row.startswith(f"{name}|"):
                    pieces = row.split("|")
                    pieces += [""] * (field + 1 - len(pieces))
                    pieces[field] = value
                    rows[at] = "|".join(pieces)
            changed = "\r".join(rows)
        outcome(Message.parse(changed.encode("utf-8", "replace")), party)
