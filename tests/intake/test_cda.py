"""Clinical documents: whose, by whom, what and when; and nothing in them can reach out or blow up."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.intake.cda import DEPTH_MAX, DOCUMENT_BYTES_MAX, ELEMENTS_MAX, NPI_ROOT, read_cda
from referral_engine.intake.reading import Reading
from referral_engine.loop.events import ReportReceived
from referral_engine.loop.referral import Finality, Identifier
from tests.intake.samples import NPI, PID, SPECIALIST, mdm, oru, told

OURS = "2.16.840.1.113883.19.5"
BODY = "<component><structuredBody><component/></structuredBody></component>"


def person(
    given: str = "Jane", family: str = "Roe", born: str = "19800102", sex: str = "F", *ids: tuple[str, str]
) -> str:
    numbers = "".join(f'<id root="{root}" extension="{value}"/>' for root, value in ids or ((OURS, "MRN1001"),))
    name = f"<name use='L'><given>{given}</given><given>Q</given><family>{family}</family></name>"
    said = f'<administrativeGenderCode code="{sex}"/><birthTime value="{born}"/>'
    return f"<recordTarget><patientRole>{numbers}<patient>{name}{said}</patient></patientRole></recordTarget>"


def document(*parts: str, target: str | None = None, body: str = BODY, code: str = "11488-4") -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><?xml-stylesheet href="CDA.xsl"?>'
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:sdtc="urn:hl7-org:sdtc">'
        '<id root="1.2.3" extension="CDA9"/>'
        f'<code code="{code}" codeSystem="2.16.840.1.113883.6.1"/><effectiveTime value="20260317120000-0500"/>'
        f"{person() if target is None else target}{''.join(parts)}{body}</ClinicalDocument>"
    )


def enclosed(text: str | bytes) -> str:
    """An MDM with the document as its only content."""
    raw = text.encode() if isinstance(text, str) else text
    data = base64.b64encode(raw).decode()
    return mdm("T02", "AU", "-", f4="") + f"\nOBX|1|ED|||^text^xml^Base64^{data}||||||F"


def reading(text: str | bytes, pid: str = PID, **feed: object) -> Reading:
    party = replace(SPECIALIST, feed=replace(SPECIALIST.feed, authority_names={OURS: "SPRINGFIELD"}, **feed))
    return told(enclosed(text).replace(PID, pid), party)


# ---------------------------------------------------------------------------------------------------------------------
# The header


def test_the_header_says_whose_it_is_by_whom_what_and_when() -> None:
    found, why = read_cda(
        document(
            f'<author><assignedAuthor><id root="1.9" extension="X"/><id root="{NPI_ROOT}" extension="{NPI}"/></assignedAuthor></author>',
            '<setId root="1.2" extension="S1"/><versionNumber value="2"/>',
            '<inFulfillmentOf><order><id root="1.2.840" extension="ORD77"/></order></inFulfillmentOf>',
            '<relatedDocument typeCode="RPLC"><parentDocument><id root="1.2.3" extension="CDA8"/></parentDocument></relatedDocument>',
            "<componentOf><encompassingEncounter><effectiveTime><low value='20260316'/></effectiveTime></encompassingEncounter></componentOf>",
        ).encode()
    )

    assert why == ""
    assert found is not None
    (patient,) = found.patients
    assert [(one.value.reveal(), one.authority) for one in patient.ids] == [("MRN1001", OURS)]
    assert [part.reveal() for part in (patient.family, patient.given, patient.born_on, patient.sex)] == [
        "Roe",
        "Jane",
        "19800102",
        "F",
    ]
    assert found.number == Identifier(value="CDA9", authority="1.2.3")
    assert (found.code, found.written_at, found.visited_at) == ("11488-4", "20260317120000-0500", "20260316")
    assert found.authors == (NPI,)
    assert found.orders == (Identifier(value="ORD77", authority="1.2.840"),)
    assert (found.set_number.value, found.version) == ("S1", "2")
    assert (found.replaces.value, found.appends.value) == ("CDA8", "")


def test_a_number_may_be_an_oid_alone_and_may_be_missing() -> None:
    found, _ = read_cda(
        document(
            '<inFulfillmentOf><order><id root="1.2.840.7"/><id nullFlavor="UNK"/></order></inFulfillmentOf>'
        ).encode()
    )

    assert found is not None
    assert found.orders == (Identifier(value="1.2.840.7"),)


@pytest.mark.parametrize("number", ['<id nullFlavor="UNK"/>', '<id root=""/>', "<id/>"])
def test_a_number_that_is_said_to_be_unknown_is_none(number: str) -> None:
    parts = document(
        number.replace("<id", "<setId"),
        *(
            f'<relatedDocument typeCode="{kind}"><parentDocument>{number}</parentDocument></relatedDocument>'
            for kind in ("RPLC", "APND")
        ),
    ).replace('<id root="1.2.3" extension="CDA9"/>', number)

    found, why = read_cda(parts.encode())

    assert found is not None, why
    assert {found.number, found.set_number, found.replaces, found.appends} == {Identifier()}


@pytest.mark.parametrize("codec", ["utf-8", "iso-8859-1", "windows-1252", "utf-8-sig"])
def test_the_documents_own_character_set_holds(codec: str) -> None:
    name = codec.removesuffix("-sig")
    raw = document(target=person("José", "Müller")).replace('encoding="UTF-8"', f'encoding="{name}"').encode(codec)

    found, _ = read_cda(raw)

    assert found is not None
    assert (found.patients[0].given.reveal(), found.patients[0].family.reveal()) == ("José", "Müller")


def test_a_document_in_mail_headers_is_read() -> None:
    mail = "MIME-Version: 1.0\r\nContent-Type: multipart/related\r\n\r\n--b\r\n\r\n" + document() + "\r\n--b--\r\n"

    found, _ = read_cda(mail.encode())

    assert found is not None
    assert found.number.value == "CDA9"


# ---------------------------------------------------------------------------------------------------------------------
# What is refused, and what is only noted


@pytest.mark.parametrize(
    "declared",
    [
        '<!DOCTYPE ClinicalDocument SYSTEM "http://127.0.0.1:1/x.dtd">',
        '<!DOCTYPE ClinicalDocument [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE c [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>',
        '<!DOCTYPE c [<!ENTITY % p SYSTEM "http://127.0.0.1:1/p"> %p;]>',
        "<!DOCTYPE ClinicalDocument>",
    ],
)
def test_a_document_type_declaration_is_for_a_person(declared: str) -> None:
    text = document().replace("<ClinicalDocument", declared + "<ClinicalDocument", 1)

    with pytest.raises(MessageFault, match="OBX-5: a clinical document with a document type declaration"):
        read_cda(text.encode())
    with pytest.raises(MessageFault, match="document type declaration"):
        reading(text)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<",
        b"<html><body>ClinicalDocument</body></html>",
        b"<ClinicalDocument",
        b"<ClinicalDocument><id></ClinicalDocument>",
        b"<ClinicalDocument>&undefined;</ClinicalDocument>",
        b'<?xml version="1.0" encoding="no-such-code"?><ClinicalDocument/>',
        b"<ClinicalDocument>\x00</ClinicalDocument>",
        b"<ClinicalDocument>\xff</ClinicalDocument>",
        document().encode()[:200],
        ("<ClinicalDocument>" + "<a>" * (DEPTH_MAX + 1) + "</a>" * (DEPTH_MAX + 1) + "</ClinicalDocument>").encode(),
        ("<ClinicalDocument>" + "<a/>" * ELEMENTS_MAX + "</ClinicalDocument>").encode(),
        b"<ClinicalDocument>" + b" " * DOCUMENT_BYTES_MAX,
    ],
)
def test_what_cannot_be_read_is_said_and_raises_nothing(raw: bytes) -> None:
    assert read_cda(raw) == (None, "a clinical document in the message cannot be read")


def test_the_body_is_not_read_at_all() -> None:
    found, _ = read_cda(document(body="<component>" + "<a>" * 100_000).encode())

    assert found is not None


@given(st.binary(max_size=300), st.integers(0, 600), st.integers(0, 40))
def test_any_bytes_are_read_or_not_and_nothing_else_raises(noise: bytes, at: int, cut: int) -> None:
    raw = document().encode()
    for damaged in (noise, raw[:at] + noise[:8] + raw[at + cut :]):
        if b"<!DOCTYPE" not in damaged:
            read_cda(damaged)


def test_a_long_name_is_cut() -> None:
    found, _ = read_cda(document(target=person("J" * 100_000)).encode())

    assert found is not None
    assert len(found.patients[0].given.reveal()) <= 100_000
    found, _ = read_cda(document(target=person("J&amp;" * 50_000)).encode())
    assert found is not None
    assert len(found.patients[0].given.reveal()) < 3_000


# ---------------------------------------------------------------------------------------------------------------------
# What the message makes of it


def test_a_document_that_agrees_adds_what_the_message_leaves_out() -> None:
    text = document(
        f'<author><assignedAuthor><id root="{NPI_ROOT}" extension="{NPI}"/></assignedAuthor></author>',
        '<inFulfillmentOf><order><id root="1.2.840" extension="ORD79"/></order></inFulfillmentOf>',
    )
    lines = enclosed(text).replace("ORD77^EHR", "").replace("DOC9^CENT", "").replace("|CN|", "||")

    found = told(lines, SPECIALIST)

    assert found.evidence is not None
    assert found.evidence.conflict == ""
    assert found.evidence.placer == Identifier(value="ORD79", authority="1.2.840")
    assert found.evidence.document == Identifier(value="CDA9", authority="1.2.3")
    assert found.evidence.provider == NPI
    assert found.evidence.happened_at == datetime(2026, 3, 17, 17, tzinfo=UTC)
    assert found.evidence.document_kind == "11488-4"
    assert "placer ClinicalDocument inFulfillmentOf" in found.evidence.fields
    assert isinstance(found.event, ReportReceived)
    assert (found.event.kind, found.event.document.value) == ("11488-4", "CDA9")


def test_what_the_message_says_itself_comes_first() -> None:
    text = document('<inFulfillmentOf><order><id root="1.2.840" extension="ORD79"/></order></inFulfillmentOf>')

    found = reading(text)

    assert found.evidence is not None
    assert found.evidence.placer.value == "ORD77"
    assert found.evidence.document.value == "DOC9"
    assert found.evidence.document_kind == "CN"


def test_without_a_patient_segment_the_document_says_whose_it_is() -> None:
    found = reading(document(), pid="PID|1")

    assert found.evidence is not None
    assert [(one.value.reveal(), one.authority) for one in found.evidence.patient.ids] == [("MRN1001", "SPRINGFIELD")]
    assert found.evidence.patient.family.reveal() == "Roe"
    assert "patient ClinicalDocument recordTarget" in found.evidence.fields


def test_a_patient_segment_without_numbers_has_those_of_the_document_that_agrees() -> None:
    found = reading(document(), pid="PID|1||||ROE^JANE||19800102|F")

    assert found.evidence is not None
    assert [one.value.reveal() for one in found.evidence.patient.ids] == ["MRN1001"]
    other = reading(document(target=person(born="19750505")), pid="PID|1||||ROE^JANE||19800102|F")
    assert other.evidence is not None
    assert other.evidence.patient.ids == ()


ANOTHER = "the document inside names another patient"


@pytest.mark.parametrize(
    ("target", "conflict"),
    [
        (person(), ""),
        (person("Jane", "Roe-Smith"), ""),  # married, and the same number
        (person("John", "Doe", "19500505"), ANOTHER),  # the same number, nothing else
        (person("John", "Doe", "19500505", "M", ("9.9", "7")), ANOTHER),
        (person("Jane", "Doe", "19800102", "F", (OURS, "MRN9999")), ANOTHER),  # another number of ours, another name
        (person("Jane", "Roe", "19800102", "F", (OURS, "MRN9999")), ""),  # an older number of the same person
        (person("Jane", "Roe", "19500102", "F", (OURS, "MRN9999")), ANOTHER),  # mother and daughter
        (person("June", "Roe", "19800102", "F", ("9.9", "7")), ANOTHER),  # twins
        (person("J", "Roe", "19800102", "F", ("9.9", "7")), ""),  # an initial
        (person("Jane", "Smith", "19800102", "F", ("9.9", "7")), ""),  # one thing differs, nothing else says another
        (person("", "", ""), ""),
    ],
)  # H125
def test_a_document_of_another_patient_is_a_conflict(target: str, conflict: str) -> None:
    found = reading(document(target=target))

    assert found.evidence is not None
    assert found.evidence.conflict == conflict


def test_a_document_about_two_patients_is_a_conflict() -> None:
    found = reading(document(person("June", "Roe", "20260101", "F", (OURS, "MRN2002"))))

    assert found.evidence is not None
    assert found.evidence.conflict


def test_a_document_that_answers_another_order_of_the_same_authority_is_a_conflict() -> None:
    text = document('<inFulfillmentOf><order><id root="1.2.840" extension="ORD79"/></order></inFulfillmentOf>')
    party = replace(SPECIALIST, feed=replace(SPECIALIST.feed, authority_names={"1.2.840": "EHR"}))

    found = told(enclosed(text), party)

    assert found.evidence is not None
    assert found.evidence.conflict == "the document inside answers another order"


def test_a_document_that_replaces_one_is_a_correction_and_one_that_appends_an_addendum() -> None:
    parent = '<parentDocument><id root="1.2.3" extension="CDA8"/></parentDocument></relatedDocument>'
    replaced = reading(document(f'<relatedDocument typeCode="RPLC">{parent}')).event
    appended = reading(document(f'<relatedDocument typeCode="APND">{parent}')).event

    assert isinstance(replaced, ReportReceived)
    assert isinstance(appended, ReportReceived)
    assert (replaced.finality, replaced.adds, replaced.replaces.value) == (Finality.CORRECTED, False, "CDA8")
    assert (appended.finality, appended.adds, appended.replaces.value) == (Finality.FINAL, True, "CDA8")


def test_a_document_sent_as_escaped_text_is_read_too() -> None:
    text = document(target=person("June", "Roe & Sons", "19510101", "F", ("9.9", "7")).replace("&", "&amp;"))
    escaped = (
        text.replace("\\", "\\E\\")
        .replace("&", "\\T\\")
        .replace("|", "\\F\\")
        .replace("^", "\\S\\")
        .replace("~", "\\R\\")
    )
    lines = oru("F") + f"\nOBX|1|TX|||{escaped}||||||F"

    found = told(lines, SPECIALIST)

    assert found.evidence is not None
    assert found.evidence.conflict == ANOTHER


def test_a_document_that_cannot_be_opened_closes_nothing() -> None:
    broken = document()[:400]

    with pytest.raises(MessageFault, match="a final report whose attachment cannot be read"):
        reading(broken)
    interim = told(enclosed(broken).replace("|AU", "|DI"), SPECIALIST)
    assert interim.note == "a clinical document in the message cannot be read"
    beside = told(enclosed(broken) + "\nOBX|2|TX|||" + "The whole note as text. " * 10 + "||||||F", SPECIALIST)
    assert beside.note == "a clinical document in the message cannot be read"
    assert isinstance(beside.event, ReportReceived)
    assert beside.event.finality is Finality.FINAL
