"""One segment's text in, its fields, repetitions, components and subcomponents out, each when it is asked for."""

from __future__ import annotations

from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import Delimiters, unescape

FIELDS_MAX: Final = 2_000  # stops a segment of a million separators; no segment of any version has 200 fields
SPLITS_MAX: Final = FIELDS_MAX + 1  # one more than may be, to see that there were more
FIELDS_KNOWN: Final = 40  # that can be read without a look at how many there are; PID-40 is the last one of ours
REPETITIONS_MAX: Final = 100_000  # stops a million repetitions; leaves room for reports with one line a repetition
COMPONENTS_MAX: Final = 10_000  # stops a million components
NULL: Final = '""'  # HL7 v2.5.1 2.5.3: "delete what you have", not "nothing said"
NO_FIELDS: Final = [""] * (FIELDS_KNOWN + 1)  # what a segment that is not there says
HEADERS: Final = frozenset(("MSH", "FHS", "BHS"))  # whose first two fields are the delimiters


class Segment:
    """One segment, split only as far as it is asked; field numbers are HL7's (MSH-1 is the separator).

    raw: the segment's text without its end, still escaped.
    Source: HL7 v2.5.1 2.5.
    """

    __slots__ = ("_delimiters", "_fields", "name", "raw")

    def __init__(self, raw: str, delimiters: Delimiters) -> None:
        """Take one segment's text; costs nothing yet but its name."""
        self.raw = raw
        self._delimiters = delimiters
        self._fields: list[str] | None = None
        separator = delimiters.field
        self.name = raw[:3] if len(raw) == 3 or raw[3:4] == separator else raw.split(separator, 1)[0]

    def __repr__(self) -> str:
        """The name only: the rest is the patient's."""
        return f"<Segment {self.name}>"

    @property
    def delimiters(self) -> Delimiters:
        """The message's delimiters."""
        return self._delimiters

    @property
    def field_count(self) -> int:
        """The number of the last field that is there. Raises MessageFault beyond FIELDS_MAX."""
        return len(self._split()) - 1

    def field(self, number: int) -> str:
        """The whole field as received, still escaped; "" when absent. Raises MessageFault beyond FIELDS_MAX."""
        fields = self._fields or self._split()
        return fields[number] if 0 < number < len(fields) else ""

    def text(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """The unescaped text at one place; "" when absent, empty or the HL7 null (see `is_null`).

        All numbers count from 1. A field without components is its own first component and subcomponent.
        Raises MessageFault 102 beyond FIELDS_MAX.
        """
        fields = self._fields or self._split()
        text = fields[field] if 0 < field < len(fields) else ""
        if not text:
            return ""
        if field <= 2 and self.name in HEADERS:
            return text if component == subcomponent == repetition == 1 else ""
        delimiters = self._delimiters
        if subcomponent == repetition == 1:
            return text_in(text, delimiters, component)
        text = _piece(_piece(text, delimiters.repetition, repetition), delimiters.component, component)
        text = _piece(text, delimiters.subcomponent, subcomponent)
        return "" if text == NULL else unescape(text, delimiters)

    def fields(self) -> list[str]:
        """The fields by number, still escaped, with "" for FIELDS_KNOWN at least; item 0 is the name.

        For whoever reads many fields of one segment. Raises MessageFault 102 beyond FIELDS_MAX.
        """
        return (self._fields or self._split()) + NO_FIELDS

    def whole(self, field: int, repetition: int = 1) -> str:
        """One repetition unescaped as a single text, component separators and all: for free text that holds them."""
        if field <= 2 and self.name in HEADERS:
            return self.field(field) if repetition == 1 else ""
        text = _piece(self.field(field), self._delimiters.repetition, repetition)
        return "" if text == NULL else unescape(text, self._delimiters)

    def repetitions(self, field: int) -> list[str]:
        """The repetitions of a field as received, still escaped; [] when empty.

        Raises MessageFault 102 beyond REPETITIONS_MAX.
        """
        text = self.field(field)
        if not text:
            return []
        if field <= 2 and self.name in HEADERS:
            return [text]
        separator = self._delimiters.repetition
        if text.count(separator) >= REPETITIONS_MAX:
            raise MessageFault("102", f"{self.name[:3]}-{field}", f"more than {REPETITIONS_MAX} repetitions")
        return text.split(separator)

    def alone(self, field: int, repetition: str) -> Segment:
        """A segment that has nothing but this one repetition (still escaped) in that field: to read many in turn."""
        return Segment(self.name + self._delimiters.field * field + repetition, self._delimiters)

    def components(self, field: int, repetition: int = 1) -> list[str]:
        """The components of one repetition, each unescaped (subcomponent separators stay); [] when empty.

        The HL7 null reads as "". Raises MessageFault 102 beyond COMPONENTS_MAX.
        """
        text = self.field(field)
        if field <= 2 and self.name in HEADERS:
            return [text] if text and repetition == 1 else []
        delimiters = self._delimiters
        text = _piece(text, delimiters.repetition, repetition)
        if not text:
            return []
        if text.count(delimiters.component) >= COMPONENTS_MAX:
            raise MessageFault("102", f"{self.name[:3]}-{field}", f"more than {COMPONENTS_MAX} components")
        return ["" if piece == NULL else unescape(piece, delimiters) for piece in text.split(delimiters.component)]

    def is_null(self, field: int) -> bool:
        """Whether the field is exactly the HL7 null, two quotation marks: delete the value."""
        return self.field(field) == NULL

    def is_empty(self, field: int) -> bool:
        """Whether nothing is said: the field is absent or empty. The null is not empty."""
        return not self.field(field)

    def _split(self) -> list[str]:
        """The fields by number, split once and kept."""
        if self._fields is None:
            self._fields = split_fields(self.raw, self._delimiters.field)
        return self._fields


def split_fields(line: str, separator: str) -> list[str]:
    """The fields of one segment's text by number.  Raises MessageFault 102 beyond FIELDS_MAX."""
    fields = line.split(separator, SPLITS_MAX)
    if len(fields) > SPLITS_MAX:
        raise MessageFault("102", fields[0][:3], f"more than {FIELDS_MAX} fields")
    if fields[0] in HEADERS:
        fields.insert(1, separator)
    return fields


def text_in(field: str, delimiters: Delimiters, component: int = 1) -> str:
    """The unescaped text of one component of a field as received; "" when absent, empty or the HL7 null.

    Of several repetitions the first counts, of several subcomponents too. Components count from 1.
    """
    if field.isalnum() or not field:  # no delimiter is a letter or a digit: most fields have nothing to take apart
        return field if component == 1 else ""
    if component == 1:
        field = field.partition(delimiters.component)[0]
        if field.isalnum():
            return field
        if delimiters.repetition in field:
            field = field.partition(delimiters.repetition)[0]
    else:
        field = _piece(field.partition(delimiters.repetition)[0], delimiters.component, component)
    if delimiters.subcomponent in field:
        field = field.partition(delimiters.subcomponent)[0]
    if delimiters.escape in field:
        return unescape(field, delimiters)
    return "" if field == NULL else field


def _piece(text: str, separator: str, number: int) -> str:
    """The `number`-th piece of a text, "" beyond the last; never cuts further than it must."""
    if separator not in text:
        return text if number == 1 else ""
    if number == 1:
        return text[: text.index(separator)]
    pieces = text.split(separator, number)
    return pieces[number - 1] if 0 < number <= len(pieces) else ""
