"""A message's numbers, found without reading the rest of it: enough to see that it is about nobody we track."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from referral_engine.base.ident import Phi
from referral_engine.channels.feed import Feed
from referral_engine.hl7.encoding import Delimiters, unescape
from referral_engine.hl7.message import Message
from referral_engine.hl7.path import read_path
from referral_engine.hl7.segment import NULL
from referral_engine.loop.referral import Patient, PatientId

# Message types that say something of a referral only through a number it has: everything but orders.
ABOUT_KNOWN_ONLY: Final = frozenset(("ADT", "SIU", "ORU", "MDM", "DFT"))
# Events that say something of numbers themselves, whoever has them: two records are one from now on, or two again.
ABOUT_NUMBERS: Final = frozenset(("", "A18", "A24", "A30", "A34", "A36", "A37", "A39", "A40", "A43", "A46", "A47"))
NUMBERS_MAX: Final = 64  # of one message; one that has more is read whole
REPETITIONS_MAX: Final = 20  # of one field
LINES_MAX: Final = 2_000  # a message with more is read whole
DATE_LENGTH: Final = 8  # YYYYMMDD: a year alone is no birth date to look anybody up by

Number = tuple[str, str]  # what kind of number (the word of a binding), and its text exactly as sent
_Places = Mapping[str, tuple[tuple[int, tuple[str, ...]], ...]]  # segment to field and kinds, fields ascending

# Which fields hold a number that could lead to a referral. Whatever `intake.read` may match by is in here; what is in
# here too much costs a look at the message, what were missing would cost a referral its evidence.
_PLACES: Final[_Places] = {
    "PID": ((2, ("patient",)), (3, ("patient",)), (4, ("patient",))),
    "MRG": ((1, ("patient",)),),
    "PV1": ((19, ("visit",)),),
    "ORC": ((2, ("placer", "referral")), (3, ("filler", "document"))),
    "OBR": ((2, ("placer", "referral")), (3, ("filler", "document"))),
    "SCH": (
        (1, ("appointment",)), (2, ("appointment",)), (4, ("placer", "referral")), (23, ("appointment",)),
        (24, ("appointment",)), (26, ("placer", "referral")), (27, ("filler",)),
    ),
    "TXA": (
        (12, ("document",)), (13, ("document",)), (14, ("placer", "referral")), (15, ("filler",)),
    ),
    "OBX": ((21, ("document",)),),
    "FT1": ((2, ("charge",)), (23, ("filler", "placer", "referral"))),
}  # fmt: skip
_USUAL_PATIENT: Final = ("PID-3", "PID-2")
_USUAL_VISIT: Final = ("PV1-19",)
_OF_NO_NAME: Final = ("ADT", "DFT")  # too many of them are about anything to bother a person with a likeness
_WITH_DOCUMENTS: Final = ("MDM", "ORU")
_BY_ORDER: Final = ("placer", "patient")  # what says whom and what a document is about
_CDA: Final = (b"PD94bW", b"PENsaW5pY2Fs", b"ClinicalDocument")  # "<?xm" and "<Clinical" in base64; and as it is


def numbers_of(message: Message, feed: Feed | None = None) -> tuple[Number, ...]:
    """Every number that may lead to a referral; empty when there is none, or too many to be told apart cheaply.

    feed: the sender's, which may keep numbers elsewhere; None is a sender who keeps them in the usual fields. Name and
    birth date are a number too where they are all that a person could go by.
    Source: HL7 v2.5.1 3.4.2 (PID), 3.4.3 (PV1), 4.5.1 (ORC), 4.5.3 (OBR), 6.5.1 (FT1), 9.6.1 (TXA), 10.6.1 (SCH).
    """
    lines = message.lines
    if len(lines) > LINES_MAX:
        return ()
    delimiters = message.delimiters
    separator, component = delimiters.field, delimiters.component
    table = _PLACES if feed is None else _places(feed.patient_numbers, feed.visit_numbers)
    found: dict[Number, None] = {}
    pids: list[str] = []
    for line in lines:
        places = table.get(line[:3])
        if places is None or line[3:4] != separator:
            continue
        fields = line.split(separator, places[-1][0] + 1)
        known = len(fields)
        for number, kinds in places:
            if number >= known:
                break
            text = fields[number]
            if not text:
                continue
            if delimiters.repetition in text or delimiters.escape in text:
                for value in _values(text, delimiters):
                    for kind in kinds:
                        found[kind, value] = None
            elif (value := text.partition(component)[0]) and value != NULL:
                for kind in kinds:
                    found[kind, value] = None
        if line.startswith("PID"):
            pids.append(line)
    _add_persons(message, feed, pids, found)
    if len(found) > NUMBERS_MAX or _may_say_more_inside(message, found):
        return ()
    return tuple(found)


def _add_persons(message: Message, feed: Feed | None, pids: list[str], found: dict[Number, None]) -> None:
    """Name and birth date of a message whose patient no record number of ours may be known by."""
    if message.header.message_code in _OF_NO_NAME:
        return
    if (feed is not None and feed.party != "ehr") or not any(kind == "patient" for kind, _ in found):
        for pid in pids:
            for number in _persons(pid, message.delimiters):
                found[number] = None


def _may_say_more_inside(message: Message, found: dict[Number, None]) -> bool:
    """Whether a clinical document inside may name the order or the patient that the message itself does not."""
    if message.header.message_code not in _WITH_DOCUMENTS:
        return False
    said = {kind for kind, _ in found}
    return not said.issuperset(_BY_ORDER) and any(mark in message.raw for mark in _CDA)


@lru_cache(maxsize=256)
def _places(patient: tuple[str, ...], visit: tuple[str, ...]) -> _Places:
    """The usual places and those a feed names."""
    table = dict(_PLACES)
    more = [(path, "patient") for path in patient if path not in _USUAL_PATIENT]
    more += [(path, "visit") for path in visit if path not in _USUAL_VISIT]
    for path, kind in more:
        place = read_path(path)
        if place is None:
            continue
        fields = dict(table.get(place.segment, ()))
        fields[place.field] = tuple(dict.fromkeys((*fields.get(place.field, ()), kind)))
        table[place.segment] = tuple(sorted(fields.items()))
    return table


def person_of(patient: Patient) -> PatientId | None:
    """Family name and birth date as a key, for a person to look at; None unless both are known to the day."""
    key = _key(patient.family.reveal(), patient.born_on.reveal())
    return PatientId(value=Phi(key), authority="") if key else None


def _persons(pid: str, delimiters: Delimiters) -> Iterator[Number]:
    """The same key for every name of a PID, as sent."""
    fields = pid.split(delimiters.field, 8)
    if len(fields) < 8 or not fields[5] or not fields[7]:
        return
    born_on = fields[7][:10].replace("-", "")[:8]
    for name in _values(fields[5], delimiters):
        if key := _key(name.split(delimiters.subcomponent, 1)[0], born_on):
            yield "person", key


def _key(family: str, born_on: str) -> str:
    """Letters of the family name without accents and case, "|", the day; "" when either says too little."""
    if len(born_on) != DATE_LENGTH or not family:
        return ""
    if not family.isascii():
        family = unicodedata.normalize("NFKD", family)
    folded = family.casefold()
    letters = folded if folded.isalpha() else "".join([letter for letter in folded if letter.isalpha()])
    return f"{letters}|{born_on}" if letters else ""


def _values(text: str, delimiters: Delimiters) -> Iterator[str]:
    """The first component of each repetition that says something, unescaped."""
    for one in text.split(delimiters.repetition, REPETITIONS_MAX)[:REPETITIONS_MAX]:
        value = one.partition(delimiters.component)[0]
        if value and value != NULL:
            yield unescape(value, delimiters) if delimiters.escape in value else value
