"""Consult notes on their way back, as results (ORU) or as documents (MDM), in the shapes they really come in."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from referral_engine.hl7.compose import Raw, segment
from referral_engine.stories.dialect import CONSULTANT, REFERRER, Envelope, message, pid
from referral_engine.stories.people import Person

Shape = Literal["lines", "formatted", "pdf"]
SHAPES: Final[tuple[Shape, ...]] = ("lines", "lines", "formatted", "pdf")
State = Literal["interim", "final", "corrected"]

_RESULT_CODES: Final[dict[State, str]] = {"interim": "P", "final": "F", "corrected": "C"}  # OBR-25, OBX-11
_DOCUMENT_CODES: Final[dict[State, str]] = {"interim": "PA", "final": "AU", "corrected": "AU"}  # TXA-17
_NOTE: Final = ("11488-4", "Consult note", "LN")
_PDF: Final = "%PDF-1.4\n% a made-up letter, number {}\n%%EOF\n"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One consult note as its author's system knows it."""

    number: tuple[str, str]  # TXA-12 or OBR-3: the document's number and whose it is
    person: Person
    written_at: datetime
    seen_at: datetime  # the visit it speaks of
    code: tuple[str, str]  # OBR-4: of the order
    npi: str  # of the office
    placer: tuple[str, str] = ("", "")  # ("", "") when it does not say which order
    shape: Shape = "lines"
    text: str = "FINDINGS: made up."
    groups: int = 1  # OBR groups
    numberless: bool = False  # PID without any number


def result(envelope: Envelope, letter: Letter, state: State) -> bytes:
    """ORU^R01 with the note.  Source: HL7 v2.5.1 7.3.1, tables 0123 and 0085."""
    code = _RESULT_CODES[state]
    return _result(envelope, letter, code, _observations(envelope, letter, code))


def results(envelope: Envelope, letters: Sequence[Letter], state: State) -> bytes:
    """ORU^R01 with the notes of several orders of one patient, each with its own ORC and OBR."""
    code = _RESULT_CODES[state]
    lines = [
        pid(envelope, letters[0].person),
        segment("PV1", "1", "O", ("HG2", None, None, envelope.sender.facility)),
    ]
    for letter in letters:
        lines += _groups(envelope, letter, code, _observations(envelope, letter, code))
    return message(envelope, "ORU^R01^ORU_R01", lines)


def wrong_patient(envelope: Envelope, letter: Letter) -> bytes:
    """ORU^R01 that takes a note back: OBX-11 is W, sent for the wrong patient.  Source: table 0085."""
    said = segment("OBX", "1", "TX", _NOTE, "1", "This note was filed for the wrong patient.", *[None] * 5, "W")
    return _result(envelope, letter, "C", [said])


def _result(envelope: Envelope, letter: Letter, code: str, observations: list[str]) -> bytes:
    lines = [
        pid(envelope, letter.person, numberless=letter.numberless),
        segment("PV1", "1", "O", ("HG2", None, None, envelope.sender.facility)),
        *_groups(envelope, letter, code, observations),
    ]
    return message(envelope, "ORU^R01^ORU_R01", lines)


def _groups(envelope: Envelope, letter: Letter, code: str, observations: list[str]) -> list[str]:
    """ORC, and the OBR groups of one order with their share of what is said."""
    placer = letter.placer if letter.placer[0] else None
    seen, written = envelope.time(letter.seen_at), envelope.time(letter.written_at)
    lines = [segment("ORC", "RE", placer, letter.number, None, "CM", *[None] * 6, REFERRER)]
    share = max(1, -(-len(observations) // letter.groups))
    for group in range(letter.groups):
        lines.append(segment(
            "OBR", str(group + 1), placer, letter.number, (*letter.code, "99SPR"), None, None, seen, *[None] * 8,
            REFERRER, *[None] * 5, written, None, None, code, *[None] * 6, Raw("1550000016&Consultant&Cora&&&&MD"),
        ))  # fmt: skip
        lines += observations[group * share : (group + 1) * share]
    return lines


def document(
    envelope: Envelope, letter: Letter, state: State, *, trigger: str = "T02", parent: tuple[str, str] = ("", "")
) -> bytes:
    """MDM with the note.  parent: TXA-13, what it replaces or adds to.  Source: HL7 v2.5.1 9.5, 9.6.1, table 0271."""
    kind = "AP" if letter.shape == "pdf" else "TX"
    observed = _observations(envelope, letter, _RESULT_CODES["final" if state == "corrected" else state])
    header = _header(envelope, letter, _DOCUMENT_CODES[state], "AV", kind=kind, parent=parent)
    order = [_order(letter), _request(letter)] if letter.placer[0] else []
    return _document(envelope, letter, trigger, "MDM_T02", [*order, header, *observed])


def cancelled(envelope: Envelope, letter: Letter) -> bytes:
    """MDM^T11: the document is taken back.  Source: HL7 v2.5.1 9.5.11, table 0273."""
    return _document(envelope, letter, "T11", "MDM_T01", [_header(envelope, letter, "AU", "CA")])


def notice(envelope: Envelope, letter: Letter) -> bytes:
    """MDM^T01: a document exists; it comes by itself.  Source: HL7 v2.5.1 9.5.1."""
    return _document(envelope, letter, "T01", "MDM_T01", [_header(envelope, letter, "IP", "AV")])


def _document(envelope: Envelope, letter: Letter, trigger: str, structure: str, rest: list[str]) -> bytes:
    lines = [
        segment("EVN", trigger, envelope.time(envelope.at)),
        pid(envelope, letter.person, numberless=letter.numberless),
        segment("PV1", "1", "O", ("HG2", None, None, envelope.sender.facility)),
        *rest,
    ]
    return message(envelope, f"MDM^{trigger}^{structure}", lines)


def _order(letter: Letter) -> str:
    return segment("ORC", "RE", letter.placer, *[None] * 9, REFERRER)


def _request(letter: Letter) -> str:
    return segment("OBR", "1", letter.placer, None, (*letter.code, "99SPR"), *[None] * 11, REFERRER)


def _header(
    envelope: Envelope,
    letter: Letter,
    completion: str,
    availability: str,
    *,
    kind: str = "TX",
    parent: tuple[str, str] = ("", ""),
) -> str:
    seen, written = envelope.time(letter.seen_at), envelope.time(letter.written_at)
    author = Raw(f"{letter.npi}^Made-up office^^^^^^^NPI^L^^^NPI")
    return segment(
        "TXA", "1", ("CN", "Consultation", "HL70270"), kind, seen, author, written, written, None, CONSULTANT, None,
        None, letter.number, parent if parent[0] else None, letter.placer if letter.placer[0] else None, None, None,
        completion, "R", availability,
    )  # fmt: skip


def _observations(envelope: Envelope, letter: Letter, code: str) -> list[str]:
    """What the note says, in its shape."""
    at = envelope.time(letter.written_at)
    if letter.shape == "pdf":
        data = base64.b64encode(_PDF.format(letter.number[0]).encode()).decode()
        value = Raw(f"{envelope.sender.application}^application^pdf^Base64^{data}")
        return [segment("OBX", "1", "ED", _NOTE, "1", value, *[None] * 5, code, None, None, at)]
    said = ["REASON FOR VISIT: made up.", letter.text, f"PLAN: see letter {letter.number[0]}."]
    if letter.shape == "formatted":
        value = Raw("\\.br\\".join(said))
        return [segment("OBX", "1", "FT", _NOTE, "1", value, *[None] * 5, code, None, None, at)]
    return [
        segment("OBX", str(number), "TX", _NOTE, "1", text, *[None] * 5, code, None, None, at)
        for number, text in enumerate(said, 1)
    ]
