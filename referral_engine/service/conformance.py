"""What the standard says of a message, as hl7apy reads it: for people who argue with a vendor, never for the path."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

COMPLAINTS_MAX: Final = 200  # shown of one message; more is a message of another version
# hl7apy takes the choice of order details in ORM_O01 for a sequence, and misses the five that were not chosen.
_NOT_CHOSEN: Final = tuple(f"_SUPPGRP.{name}" for name in ("RQD", "RQ1", "RXO", "ODS", "ODT"))


class Conformance(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one message."""

    version: str  # MSH-12 it was held against
    structure: str  # MSH-9.3, or the one the standard names for the event; "" when there is none
    conforms: bool
    complaints: tuple[str, ...]  # rules and places; codes that no table holds are quoted
    more: int = 0  # complaints that are not shown


def look_up(raw: bytes) -> Conformance:
    """Hold one message against the version it declares.

    raw: segments ended by CR. A version or structure that hl7apy does not know is a complaint, not an error.
    """
    from hl7apy.consts import VALIDATION_LEVEL  # a second to load; only this command needs it
    from hl7apy.exceptions import HL7apyException, ValidationError  # as above
    from hl7apy.parser import parse_message  # as above

    text = raw.decode("latin-1").replace("\r\n", "\r").replace("\n", "\r")
    version, structure = "", ""
    try:
        message = parse_message(text, validation_level=VALIDATION_LEVEL.TOLERANT, find_groups=True)
        version = str(message.version)
        structure = str(message.name or "")
        with tempfile.TemporaryDirectory(prefix="referral-engine-") as folder:
            report = Path(folder) / "report"
            with suppress(ValidationError):
                message.validate(report_file=str(report))
            said = report.read_text(encoding="utf-8", errors="replace").splitlines() if report.exists() else []
    except (HL7apyException, ValueError, KeyError, AttributeError, TypeError) as error:
        said = [f"Error: {type(error).__name__}: cannot be held against the standard"]
    found = tuple(dict.fromkeys(line for line in said if line and not line.endswith(_NOT_CHOSEN)))
    errors = any(not line.startswith("Warning") for line in found)
    strangers = _strangers(text, structure, version) if errors else ()
    if strangers:  # hl7apy says only that some group is not whole, and not because of what
        belongs = "does not belong" if len(strangers) == 1 else "do not belong"
        found = (f"Error: {', '.join(strangers)} {belongs} in {structure} {version}; others may follow from it", *found)
    return Conformance(
        version=version,
        structure=structure,
        conforms=not errors,
        complaints=found[:COMPLAINTS_MAX],
        more=max(0, len(found) - COMPLAINTS_MAX),
    )


def _strangers(text: str, structure: str, version: str) -> tuple[str, ...]:
    """The segments of a message that its structure has no place for; Z-segments have one everywhere."""
    from hl7apy import load_reference  # as above
    from hl7apy.exceptions import HL7apyException  # as above

    try:
        known = frozenset(_segments(load_reference(structure, "Message", version)))
    except (HL7apyException, KeyError, TypeError, AttributeError, ValueError):
        return ()
    named = dict.fromkeys(line[:3] for line in text.split("\r") if line)
    return tuple(name for name in named if name.isalnum() and name not in known and not name.startswith("Z"))


def _segments(reference: tuple[Any, ...]) -> Iterator[str]:
    """The names in a structure of hl7apy: (kind, ((name, structure, bounds, "SEG" or "GRP"), ...))."""
    for name, inner, _, kind in reference[1]:
        if kind == "SEG":
            yield name
        else:
            yield from _segments(inner)
