"""What a clinician sent is what the EHR gets: OBX-5 byte for byte, in every encoding, and only this order's."""

from __future__ import annotations

import base64
import random

import pytest

from referral_engine.base.values import replace
from referral_engine.channels.engine import EhrSettings
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Document, Finality, Identifier, Referral
from referral_engine.render.render import render
from tests.render.given import AT, MDM, ORU, REFERRAL, engine_with, setting, to

AS_RESULT = engine_with(ehr=EhrSettings(closure="ORU^R01"))
SCAN = base64.b64encode(b"%PDF-1.7\n" + random.Random(11).randbytes(3_000))


def filed(
    source: bytes,
    purpose: Purpose = Purpose.CLOSURE,
    about: str = "note",
    referral: Referral = REFERRAL,
    message: int = 21,
    **changes: object,
) -> bytes:
    return render(to(Recipient.EHR, purpose, about, message), referral, setting(source=source, **changes)).body


def values(raw: bytes) -> list[bytes]:
    """OBX-5 of every OBX, as bytes."""
    return [line.split(b"|")[5] for line in raw.split(b"\r") if line.startswith(b"OBX|")]


def obx(*fives: bytes, kind: bytes = b"ED") -> bytes:
    return b"".join(b"OBX|%d|%b|PDF^Scan^L||%b||||||F\r" % (at, kind, five) for at, five in enumerate(fives, 3))


@pytest.mark.parametrize("changes", [{}, {"book": AS_RESULT}], ids=["as a document", "as a result"])
@pytest.mark.parametrize("source", [ORU, MDM], ids=["ORU in latin-1", "MDM in UTF-8"])
@pytest.mark.parametrize(
    "more",
    [
        obx(b"^application^pdf^Base64^" + SCAN),
        obx(b"X^IM^PDF^Base64^" + SCAN[:1_000], SCAN[1_000:]),
        obx(b"^application^pdf^Base64^" + b"\\X0D0A\\".join((SCAN[:76], SCAN[76:152]))),
        obx(b"\\\\server\\share\\letter 1.pdf^APP^AP^PDF~https://example.org/a?b=c\\T\\d", kind=b"RP"),
        obx(
            b"\\H\\Assessment\\N\\\\.br\\\\.sp2\\BP 120\\S\\80 \\E\\ \\X0D\\\\X0A\\ \\Zlocal\\ C:\\temp~next  line ",
            kind=b"FT",
        ),
        obx(b"\\.in+4\\\\.ti-2\\a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f \\X41\\ \\M242170\\ \\unterminated", kind=b"TX"),
        obx(b'""', b"", b"^^^^", kind=b""),
    ],
    ids=["ED", "ED in chunks", "ED in lines", "RP", "FT", "TX", "null and empty"],
)
def test_content_is_forwarded_byte_for_byte(source: bytes, more: bytes, changes: dict[str, object]) -> None:
    came = source + more

    assert values(filed(came, **changes)) == values(came)


@pytest.mark.parametrize(
    ("charset", "words"),
    [
        (b"UNICODE UTF-8", "Zażółć gęślą jaźń — „schön“ 漢字 \u200bend".encode()),
        (b"8859/1", "Müller, café-au-lait, ½ tablet".encode("latin-1")),
        (b"8859/2", "Łódź, příliš žluťoučký".encode("iso8859-2")),
        (b"", b"plain words only"),
    ],
)
def test_words_keep_their_bytes_and_their_character_set(charset: bytes, words: bytes) -> None:  # H065
    head = ORU.split(b"OBX|1", 1)[0].replace(b"8859/1", charset)
    came = head + obx(words, kind=b"TX")

    body = filed(came)

    assert values(body) == [words]
    assert Message.parse(body).value("OBX-5") == Message.parse(came).value("OBX-5")
    assert Message.parse(body).header.declared_charset == charset.decode()


def test_an_attachment_of_five_megabytes_is_forwarded_bit_for_bit() -> None:
    scan = base64.b64encode(random.Random(5).randbytes(3_900_000))
    came = MDM + obx(b"^application^pdf^Base64^" + scan)

    assert len(scan) > 5_000_000
    assert values(filed(came))[-1] == values(came)[-1]


# ---------------------------------------------------------------------------------------------------------------------
# Only this order's


TWO = ORU + (
    b"ORC|RE|ORD-2002^EHR|F-77\r"
    b"OBR|2|ORD-2002^EHR|D-9^CARDIO|X^Other^L|||20260401||||||||||||||||||F|||||||555&OTHER&OTTO\r"
    b"OBX|1|TX|X||other order||||||F\r"
)


def holding(number: str, finality: Finality = Finality.FINAL, message: int = 21, **more: object) -> Document:
    return Document(
        document=Identifier(value=number, authority="CARDIO"), finality=finality, at=AT, message=message, **more
    )  # type: ignore[arg-type]  # a test names its fields


@pytest.mark.parametrize(
    ("placer", "number", "mine"),
    [
        ("ORD-1001", "D-1", True),
        ("ORD-2002", "D-9", False),
        ("ELSE", "D-1", True),
        ("ELSE", "D-9", False),
        ("ORD-2002", "", False),
    ],
)
def test_of_results_of_two_orders_each_referral_gets_its_own(placer: str, number: str, mine: bool) -> None:
    order = replace(REFERRAL.order, placer=Identifier(value=placer, authority="EHR"))
    referral = replace(REFERRAL, order=order, documents=(holding(number),))

    message = Message.parse(filed(TWO, referral=referral))

    assert (b"other order" in filed(TWO, referral=referral)) is not mine
    assert (b"ablation" in filed(TWO, referral=referral)) is mine
    assert (message.value("TXA-4") == "20260310103000-0500") is mine


def test_of_results_of_two_patients_nothing_goes_astray() -> None:
    other = b"PID|1||X-2^^^CARDIO^MR||Other^Person\r"
    came = ORU + other + TWO.removeprefix(ORU)
    unknown = replace(REFERRAL.order, placer=Identifier(value="ELSE"))

    assert b"other order" not in filed(came)
    lost = filed(came, referral=replace(REFERRAL, order=unknown, documents=(holding("D-5"),)))
    assert b"other order" not in lost
    assert b"ablation" not in lost


def test_a_group_that_only_its_own_number_names_is_filed_with_its_own_document() -> None:
    came = ORU + b"OBR|2||D-2^CARDIO\rOBX|3|TX|||second part||||||F\r"
    first = replace(REFERRAL, documents=(holding("D-1"),))
    both = replace(REFERRAL, documents=(holding("D-1"), holding("D-2")))

    assert b"second part" not in filed(came, referral=first)
    second = filed(came, Purpose.CORRECTION, "addition", both)
    assert values(second) == [b"second part"]
    assert Message.parse(second).value("TXA-12.1") == "D-2"


# ---------------------------------------------------------------------------------------------------------------------
# How a further note is filed


@pytest.mark.parametrize(
    ("about", "document", "expected"),
    [
        ("replacement", holding("D-1", message=22), ("T10", "D-1", "D-1")),
        ("correction", holding("D-1", Finality.CORRECTED, 22), ("T10", "D-1", "D-1")),
        ("correction", holding("D-2", Finality.CORRECTED, 22), ("T10", "D-2", "D-1")),
        ("addition", holding("D-2", message=22), ("T06", "D-2", "D-1")),
        ("addition", holding("D-1", Finality.CORRECTED, 22, adds=True), ("T06", "RE-0042-NOTE22", "D-1")),
        ("addition", holding("", message=22), ("T06", "RE-0042-NOTE22", "D-1")),
    ],
)
def test_a_further_note_names_what_the_ehr_has(about: str, document: Document, expected: tuple[str, str, str]) -> None:
    referral = replace(REFERRAL, documents=(holding("D-1"), document))

    message = Message.parse(filed(ORU, Purpose.CORRECTION, about, referral, 22))

    assert (message.header.trigger, message.value("TXA-12.1"), message.value("TXA-13.1")) == expected


def test_a_correction_names_the_very_document_it_replaces() -> None:
    replaces = Identifier(value="D-1", authority="CARDIO")
    corrected = holding("D-3", Finality.CORRECTED, 23, replaces=replaces)
    referral = replace(REFERRAL, documents=(holding("D-1"), holding("D-2", message=22), corrected))

    message = Message.parse(filed(ORU, Purpose.CORRECTION, "correction", referral, 23))

    assert (message.value("TXA-12.1"), message.value("TXA-13.1")) == ("D-3", "D-1")


def test_a_replacement_is_a_corrected_result_where_the_ehr_files_results() -> None:
    referral = replace(REFERRAL, documents=(holding("D-1"), holding("D-1", message=22)))

    replaced = Message.parse(filed(ORU, Purpose.CORRECTION, "replacement", referral, 22, book=AS_RESULT))
    added = Message.parse(filed(ORU, Purpose.CORRECTION, "addition", referral, 22, book=AS_RESULT))

    assert (replaced.value("OBR-25"), added.value("OBR-25")) == ("C", "F")
    assert {line.text(11) for line in replaced.all("OBX")} == {"C"}


def test_notes_that_nobody_numbered_stay_two() -> None:
    referral = replace(REFERRAL, documents=(holding(""), holding("", message=22)))
    bare = ORU.replace(b"D-1^CARDIO", b"")

    first = Message.parse(filed(bare, referral=replace(REFERRAL, documents=(holding(""),))))
    second = Message.parse(filed(bare, Purpose.CORRECTION, "addition", referral, 22))

    assert first.value("TXA-12.1") == "RE-0042-NOTE"
    assert (second.value("TXA-12.1"), second.value("TXA-13.1")) == ("RE-0042-NOTE22", "RE-0042-NOTE")
