"""Codes of the standard's tables by the names people know them under: a place in a message in, name to code out.

Source: HL7 v2.5.1 appendix A; the table of a field is the one its chapter names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from referral_engine.hl7.path import Path
from referral_engine.hl7.tables import DocumentAvailability, ObservationStatus, OrderControl, OrderStatus


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One table of the standard."""

    number: str  # "0119"
    title: str
    codes: Mapping[str, str]  # name to code


def _of(number: str, title: str, codes: type[StrEnum] | Mapping[str, str]) -> CodeTable:
    """A table from the codes that the engine reads itself, or from a list of its own."""
    if isinstance(codes, Mapping):
        return CodeTable(number, title, MappingProxyType(dict(codes)))
    named = {member.name.lower().replace("_", " "): member.value for member in codes}
    return CodeTable(number, title, MappingProxyType(named))


_CLASSES: Final = {
    "emergency": "E", "inpatient": "I", "outpatient": "O", "preadmit": "P", "recurring": "R", "obstetrics": "B",
    "commercial": "C", "not applicable": "N", "unknown": "U",
}  # fmt: skip
_PRIORITIES: Final = {
    "stat": "S", "asap": "A", "routine": "R", "preoperative": "P", "callback": "C", "timing critical": "T",
    "as needed": "PRN",
}  # fmt: skip
_PROCESSING: Final = {"production": "P", "training": "T", "debugging": "D"}
_RESULTS: Final = {
    "order received": "O", "in laboratory": "I", "scheduled": "S", "some results": "A", "preliminary": "P",
    "corrected": "C", "not verified": "R", "final": "F", "cancelled": "X", "no order on record": "Y",
    "no record of patient": "Z",
}  # fmt: skip
_DOCUMENTS: Final = {
    "autopsy report": "AR", "cardiodiagnostics": "CD", "consultation": "CN", "diagnostic imaging": "DI",
    "discharge summary": "DS", "emergency report": "ED", "history and physical": "HP", "operative report": "OP",
    "psychiatric consultation": "PC", "psychiatric history": "PH", "procedure note": "PN", "progress note": "PR",
    "surgical pathology": "SP", "transfer summary": "TS",
}  # fmt: skip
_COMPLETION: Final = {
    "dictated": "DI", "documented": "DO", "in progress": "IP", "incomplete": "IN", "pre-authenticated": "PA",
    "authenticated": "AU", "legally authenticated": "LA",
}  # fmt: skip
_URGENCIES: Final = {"stat": "S", "asap": "A", "routine": "R"}
_TYPES: Final = {
    "laboratory": "LAB", "radiology": "RAD", "medical": "MED", "skilled nursing": "SKN", "psychiatric": "PSY",
    "home care": "HOM",
}  # fmt: skip
_WISHES: Final = {
    "send written report": "WR", "return patient after evaluation": "RP", "assume management": "AM",
    "second opinion": "SO",
}  # fmt: skip
_STATES: Final = {"accepted": "A", "pending": "P", "rejected": "R", "expired": "E"}
_ROLES: Final = {
    "referring provider": "RP", "primary care provider": "PP", "consulting provider": "CP",
    "referred to provider": "RT",
}  # fmt: skip

# (segment, field, component); a component that a path leaves out is 1.
TABLES: Final[Mapping[tuple[str, int, int], CodeTable]] = {
    ("MSH", 11, 1): _of("0103", "processing ID", _PROCESSING),
    ("ORC", 1, 1): _of("0119", "order control", OrderControl),
    ("ORC", 5, 1): _of("0038", "order status", OrderStatus),
    ("ORC", 7, 6): _of("0485", "extended priority", _PRIORITIES),
    ("OBR", 25, 1): _of("0123", "result status", _RESULTS),
    ("OBR", 27, 6): _of("0485", "extended priority", _PRIORITIES),
    ("OBX", 11, 1): _of("0085", "observation result status", ObservationStatus),
    ("PV1", 2, 1): _of("0004", "patient class", _CLASSES),
    ("TXA", 2, 1): _of("0270", "document type", _DOCUMENTS),
    ("TXA", 17, 1): _of("0271", "document completion status", _COMPLETION),
    ("TXA", 19, 1): _of("0273", "document availability status", DocumentAvailability),
    ("RF1", 1, 1): _of("0283", "referral status", _STATES),
    ("RF1", 2, 1): _of("0280", "referral priority", _URGENCIES),
    ("RF1", 3, 1): _of("0281", "referral type", _TYPES),
    ("RF1", 4, 1): _of("0282", "referral disposition", _WISHES),
    ("PRD", 1, 1): _of("0286", "provider role", _ROLES),
}


def table_at(place: Path) -> CodeTable | None:
    """The table whose codes stand at a place; None where the standard names none, or none is known here."""
    if (place.subcomponent or 1) != 1:
        return None
    return TABLES.get((place.segment, place.field, place.component or 1))


def places() -> str:
    """The places that have names, as an analyst writes them."""
    return ", ".join(
        f"{segment}-{field}" + (f".{component}" if component > 1 else "") for segment, field, component in TABLES
    )
