"""A clinical document in, its header out: whose it is, who wrote it, what it is, when and in answer to which order.

Read as a stream up to the body; a document type declaration is refused before anything it declares can be used.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat

import msgspec

from referral_engine.base.errors import MessageFault
from referral_engine.base.ident import Phi
from referral_engine.intake.received import is_valid_npi
from referral_engine.loop.referral import Identifier, Patient, PatientId

DOCUMENT_BYTES_MAX: Final = 16 * 1024 * 1024
DEPTH_MAX: Final = 100  # elements within each other; a header needs ten
ELEMENTS_MAX: Final = 20_000  # of a header; stops one that never comes to its body
TEXT_MAX: Final = 1_000  # characters of one name that are kept
IDS_MAX: Final = 20  # of one thing
NPI_ROOT: Final = "2.16.840.1.113883.4.6"

_NAMESPACE: Final = "urn:hl7-org:v3"
_PATIENT: Final = "recordTarget/patientRole/"
_PARENT: Final = "relatedDocument/parentDocument/"
_NOT_TOLD: Final = "a clinical document in the message cannot be read"


class ClinicalDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The header of a CDA R2 document; what it does not say is empty.  Source: HL7 CDA R2 4.2.

    patients: each recordTarget; more than one is a document about several. number: id. code: code@code.
    written_at: effectiveTime@value as sent. visited_at: that of the encounter or of the service, as sent.
    authors: NPIs. orders: inFulfillmentOf/order/id. replaces, appends: the document it stands for, or adds to.
    """

    patients: tuple[Patient, ...] = ()
    number: Identifier = msgspec.field(default_factory=Identifier)
    code: str = ""
    written_at: str = ""
    visited_at: str = ""
    authors: tuple[str, ...] = ()
    orders: tuple[Identifier, ...] = ()
    set_number: Identifier = msgspec.field(default_factory=Identifier)
    version: str = ""
    replaces: Identifier = msgspec.field(default_factory=Identifier)
    appends: Identifier = msgspec.field(default_factory=Identifier)


def read_cda(document: bytes) -> tuple[ClinicalDocument | None, str]:
    """The header, or None and why there is none, a fixed sentence; nothing is fetched.

    Raises MessageFault 102 for a document type declaration: that is where entities and files elsewhere are named.
    """
    if len(document) > DOCUMENT_BYTES_MAX:
        return None, _NOT_TOLD
    header = _Header()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse_reference
    parser.StartElementHandler = header.start
    parser.EndElementHandler = header.end
    parser.CharacterDataHandler = header.text
    try:
        parser.Parse(_without_envelope(document), True)
    except _HeaderEnds as ended:
        if ended.at_limit:
            return None, _NOT_TOLD
    except (expat.ExpatError, LookupError, ValueError):  # LookupError: an encoding that nobody knows
        return None, _NOT_TOLD
    return (header.made(), "") if header.is_document else (None, _NOT_TOLD)


class _HeaderEnds(Exception):
    """The body begins, and no more is to be known; or a limit is reached."""

    def __init__(self, *, at_limit: bool = False) -> None:
        super().__init__()
        self.at_limit = at_limit


class _Person(msgspec.Struct):
    """What one recordTarget has said so far: its numbers, and texts by their place in it."""

    ids: list[Identifier] = msgspec.field(default_factory=list)
    said: dict[str, str] = msgspec.field(default_factory=dict)


def _refuse_reference(*_: object) -> int:
    _refuse()
    return 0


def _refuse(*_: object) -> None:
    raise MessageFault("102", "OBX-5", "a clinical document with a document type declaration: it is not opened")


def _without_envelope(document: bytes) -> bytes:
    """The document without the mail headers that some senders put around it."""
    if document.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return document.lstrip(b" \t\r\n")
    begins = document.find(b"<ClinicalDocument")
    ends = document.rfind(b"</ClinicalDocument>")
    if begins < 0:
        return document
    declared = document.rfind(b"<?xml", 0, begins)
    stop = ends + len(b"</ClinicalDocument>") if ends > begins else len(document)
    return document[declared if declared >= 0 else begins : stop]


class _Header:
    """What has been read so far."""

    def __init__(self) -> None:
        self.is_document = False
        self.path: list[str] = []
        self.elements = 0
        self.words: list[str] = []
        self.kept = 0
        self.relation = ""
        self.patients: list[_Person] = []
        self.ids: dict[str, list[Identifier]] = {}
        self.values: dict[str, str] = {}

    def start(self, tag: str, said: dict[str, str]) -> None:
        """One element begins; raises _HeaderEnds at the body, at a limit, and where it is no such document."""
        namespace, _, name = tag.rpartition(" ")
        self.elements += 1
        if not self.path:
            if name != "ClinicalDocument" or namespace not in (_NAMESPACE, ""):
                raise _HeaderEnds
            self.is_document = True
        elif len(self.path) == 1 and name == "component":
            raise _HeaderEnds
        if self.elements > ELEMENTS_MAX or len(self.path) > DEPTH_MAX:
            raise _HeaderEnds(at_limit=True)
        self.path.append(name)
        self.words, self.kept = [], 0
        if len(self.path) == 2 and name == "recordTarget":
            self.patients.append(_Person())
        if len(self.path) == 2 and name == "relatedDocument":
            self.relation = said.get("typeCode", "")
        self._take("/".join(self.path[1:]), said)

    def text(self, words: str) -> None:
        """Characters of the innermost element."""
        if self.kept < TEXT_MAX:
            self.words.append(words[:TEXT_MAX])
            self.kept += len(words)

    def end(self, _: str) -> None:
        """One element ends."""
        place = "/".join(self.path[1:])
        if place.startswith(_PATIENT) and self.patients:
            part = place.removeprefix(_PATIENT)
            text = "".join(self.words).strip()
            if part in ("patient/name/family", "patient/name/given") and text:
                self.patients[-1].said.setdefault(part, text)  # the first given name, that of the first name
        self.path.pop()
        self.words, self.kept = [], 0

    def _take(self, place: str, said: dict[str, str]) -> None:
        """What an element says in its attributes."""
        name = self.path[-1]
        if name == "id" or place == "setId":
            number = _identifier(said)
            if place == f"{_PATIENT}id" and self.patients:
                known = self.patients[-1].ids
            else:
                known = self.ids.setdefault(f"{place} {self.relation}" if place.startswith(_PARENT) else place, [])
            if number and len(known) < IDS_MAX:
                known.append(number)
            return
        value = said.get("code" if name in ("code", "administrativeGenderCode") else "value", "")
        if place.startswith(_PATIENT) and self.patients:
            if value:
                self.patients[-1].said.setdefault(place.removeprefix(_PATIENT), value)
        elif value:
            self.values.setdefault(place, value)

    def made(self) -> ClinicalDocument:
        """All of it as a value."""
        ids, values = self.ids, self.values
        none = [Identifier()]  # also of an id with a nullFlavor, which is none
        visits = ("componentOf/encompassingEncounter/effectiveTime", "documentationOf/serviceEvent/effectiveTime")
        times = [values.get(f"{place}{part}", "") for place in visits for part in ("", "/low")]
        authors = ids.get("author/assignedAuthor/id", [])
        return ClinicalDocument(
            patients=tuple(_patient(one) for one in self.patients[:IDS_MAX]),
            number=(ids.get("id") or none)[0],
            code=values.get("code", ""),
            written_at=values.get("effectiveTime", ""),
            visited_at=next((time for time in times if time), ""),
            authors=tuple(one.value for one in authors if one.authority == NPI_ROOT and is_valid_npi(one.value)),
            orders=tuple(ids.get("inFulfillmentOf/order/id", ())),
            set_number=(ids.get("setId") or none)[0],
            version=values.get("versionNumber", ""),
            replaces=(ids.get(f"{_PARENT}id RPLC") or none)[0],
            appends=(ids.get(f"{_PARENT}id APND") or none)[0],
        )


def _identifier(said: dict[str, str]) -> Identifier:
    """An II: the extension with its root, or a root that is the number itself."""
    extension, root = said.get("extension", ""), said.get("root", "")
    return Identifier(value=extension, authority=root) if extension else Identifier(value=root)


def _patient(person: _Person) -> Patient:
    """One recordTarget as a patient; an authority is the OID as sent."""
    said = person.said
    born = said.get("patient/birthTime", "")[:8]
    return Patient(
        ids=tuple(PatientId(value=Phi(one.value), authority=one.authority) for one in person.ids if one.authority),
        family=Phi(said.get("patient/name/family", "")),
        given=Phi(said.get("patient/name/given", "")),
        born_on=Phi(born if born.isascii() and born.isdigit() else ""),
        sex=Phi(said.get("patient/administrativeGenderCode", "")),
    )
