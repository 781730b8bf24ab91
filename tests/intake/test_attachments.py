"""What a report holds: words, attachments by what they are, pointers; whole, in pieces, misnamed, broken or hostile."""

from __future__ import annotations

import base64
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.encoding import DEFAULT, escape
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.intake import attachments, encapsulated
from referral_engine.intake.attachments import Contents, read_contents
from referral_engine.intake.encapsulated import Attachment, kind_of
from referral_engine.loop.events import ReportReceived
from tests.intake.samples import SPECIALIST, mdm, oru, segment, told

PDF = b"%PDF-1.4\n" + bytes(range(256)) * 12 + b"\n%%EOF"
TIFF = b"II*\0" + bytes(range(256)) * 9
CDA = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><code code="11488-4"/></ClinicalDocument>'


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def obx(value: str, kind: str = "ED", at: int = 1, code: str = "PDF^Report^L", sub: str = "") -> Segment:
    return Segment(segment("OBX", f1=str(at), f2=kind, f3=code, f4=sub, f5=value, f11="F"), DEFAULT)


def contents(*values: str, kind: str = "ED") -> Contents:
    return read_contents([obx(value, kind, at) for at, value in enumerate(values, 1)])


def only(*values: str, kind: str = "ED") -> Attachment:
    (found,) = contents(*values, kind=kind).attachments
    return found


WHOLE = only(f"^application^pdf^Base64^{b64(PDF)}")


# ---------------------------------------------------------------------------------------------------------------------
# ED in every order of its first components.  HL7 v2.5.1 2.A.24


@pytest.mark.parametrize(
    ("before", "declared"),
    [
        ("^application^pdf^Base64^", "application/pdf"),
        ("X^PDF^PDF^Base64^", "X/PDF/PDF"),
        ("X^IM^PDF^Base64^", "X/IM/PDF"),
        ("^AP^^Base64^", "AP"),
        ("^AP^PDF^BASE64^", "AP/PDF"),
        ("PDF^Base64^", "PDF"),
        ("LAB&1.2.3&ISO^application^pdf^base64^", "LAB&1.2.3&ISO/application/pdf"),
        ("^application^pdf^^", "application/pdf"),  # ED.4 missing
        ("^^^^", ""),
        ("", ""),  # nothing but the data
    ],
)
@pytest.mark.parametrize("behind", ["", "^", "^^"])
def test_an_attachment_is_found_in_any_order_of_the_first_components(before: str, declared: str, behind: str) -> None:
    found = only(f"{before}{b64(PDF)}{behind if before else ''}")

    assert (found.kind, found.size, found.declared) == ("pdf", len(PDF), declared)
    assert found.content == WHOLE.content
    assert not found.is_broken


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (PDF, "pdf"),
        (b"\n\n" + PDF, "pdf"),
        (TIFF, "tiff"),
        (b"MM\0*" + b"\0" * 90, "tiff"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 90, "jpeg"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 90, "png"),
        (b"{\\rtf1\\ansi hello}", "rtf"),
        (CDA, "cda"),
        (b"\xef\xbb\xbf" + CDA, "cda"),
        (b"<!DOCTYPE html><html><body>Seen.</body></html>", "html"),
        (b"<HTML><BODY>Seen.</BODY></HTML>", "html"),
        (b"<Bundle/>", "unknown"),
        ("Gesehen, ohne Befund: Müller.".encode(), "text"),
        (b"PK\x03\x04" + b"\0\xff" * 40, "unknown"),
    ],
)
@pytest.mark.parametrize("declared", ["^application^pdf", "^text^plain", "^^"])
def test_the_type_is_what_is_there_and_not_what_it_is_called(raw: bytes, kind: str, declared: str) -> None:
    found = only(f"{declared}^Base64^{b64(raw)}")

    assert (found.kind, found.size) == (kind, len(raw))
    assert (found.document is not None) == (kind == "cda")


def test_what_calls_itself_something_else_is_a_remark() -> None:
    assert contents(f"^application^pdf^Base64^{b64(TIFF)}").notes == (
        "an attachment calls itself something else: it is tiff",
    )
    for rightly in ("^application^pdf", "^AP^", "^multipart^x", "^^"):
        assert contents(f"{rightly}^Base64^{b64(PDF)}").notes == ()


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("Hex", PDF.hex()), ("HEX", PDF.hex().upper()), ("Base64", b64(PDF)), ("BASE64", b64(PDF).rstrip("="))],
)
def test_another_encoding_is_the_same_attachment(encoding: str, data: str) -> None:
    assert only(f"^application^pdf^{encoding}^{data}").content == WHOLE.content


def test_an_attachment_as_it_is_reads_its_escapes_once() -> None:
    found = only("^text^plain^A^Pulse 60 \\T\\ regular \\E\\F\\E\\")

    assert (found.kind, found.size) == ("text", len("Pulse 60 & regular \\F\\"))


def test_a_type_column_that_is_wrong_does_not_hide_an_attachment() -> None:
    for kind in ("", "TX", "ST", "FT", "varies"):
        assert only(f"^application^pdf^Base64^{b64(PDF)}", kind=kind).content == WHOLE.content
        assert only(b64(PDF), kind=kind).content == WHOLE.content


# ---------------------------------------------------------------------------------------------------------------------
# In pieces


@pytest.mark.parametrize("size", [4, 76, 100, 999, 4_000])
def test_base64_in_several_segments_is_joined_in_order(size: int) -> None:
    data = b64(PDF)
    chunks = [data[at : at + size] for at in range(0, len(data), size)]

    for pieces in (
        [f"^application^pdf^Base64^{chunk}" for chunk in chunks],
        [f"^application^pdf^Base64^{chunks[0]}", *chunks[1:]],
        [f"^application^pdf^Base64^{chunks[0]}", *(f"^^^^{chunk}" for chunk in chunks[1:])],
        ["~".join([f"^application^pdf^Base64^{chunks[0]}", *chunks[1:]])],
    ):
        found = only(*pieces)
        assert (found.kind, found.size, found.content) == ("pdf", len(PDF), WHOLE.content)
    if size >= 76:
        assert only(*chunks, kind="TX").content == WHOLE.content


def test_pieces_that_were_each_padded_are_joined_as_bytes() -> None:
    pieces = [PDF[at : at + 1_000] for at in range(0, len(PDF), 1_000)]

    found = only(*(f"^application^pdf^Base64^{b64(piece)}" for piece in pieces))

    assert (found.size, found.content) == (len(PDF), WHOLE.content)
    assert found.set_ids == ("1", "2", "3", "4")


def test_two_attachments_with_the_same_codes_stay_two() -> None:
    found = contents(f"^AP^^Base64^{b64(PDF)}", f"^IM^^Base64^{b64(TIFF)}").attachments

    assert [one.kind for one in found] == ["pdf", "tiff"]


def test_pieces_of_two_documents_are_told_apart_by_sub_id() -> None:
    data = b64(PDF)
    half = len(data) // 2 // 4 * 4
    pieces = [data[:half], data[half:]]
    segments = [obx(f"^AP^^Base64^{piece}", sub=sub) for sub in ("1", "2") for piece in pieces]

    found = read_contents(segments).attachments

    assert [one.content for one in found] == [WHOLE.content] * 2


@pytest.mark.parametrize("between", ["\\X0D\\\\X0A\\", "\\.br\\", " ", "\\X0A\\", "\n", "\\X0d0a\\"])
def test_the_same_bytes_broken_into_other_lines_are_the_same_content(between: str) -> None:
    data = b64(PDF)
    broken = between.join(data[at : at + 76] for at in range(0, len(data), 76))

    assert only(f"^application^pdf^Base64^{broken}").content == WHOLE.content


# ---------------------------------------------------------------------------------------------------------------------
# Broken


@pytest.mark.parametrize("data", [b64(PDF)[:100] + "!" + b64(PDF)[100:], b64(PDF)[:101], "Grüße" * 40])
def test_broken_base64_is_said_and_kept(data: str) -> None:
    found = contents(f"^application^pdf^Base64^{data}")

    assert found.is_broken
    assert not found.readable
    assert found.notes == ("an attachment cannot be read",)
    assert found.content


BROKEN = segment("OBX", f1="1", f2="ED", f5="^application^pdf^Base64^JVBE!!", f11="F")


@pytest.mark.parametrize("head", [oru("F"), oru("C"), mdm("T02", "AU", "-"), mdm("T10", "AU", "-")])
def test_a_final_report_whose_attachment_cannot_be_read_is_for_a_person(head: str) -> None:
    for lines in (head + "\n" + BROKEN, head + "\n" + BROKEN + "\nOBX|2|TX|||See the attached letter.||||||F"):
        with pytest.raises(MessageFault, match="OBX-5: a final report whose attachment cannot be read"):
            told(lines, SPECIALIST)


def test_a_broken_attachment_beside_the_words_is_a_remark() -> None:
    words = "\nOBX|2|TX|||" + "The patient was seen and is well. " * 5 + "||||||F"

    reading = told(mdm("T02", "AU", "-") + "\n" + BROKEN + words, SPECIALIST)

    assert isinstance(reading.event, ReportReceived)
    assert reading.note == "an attachment cannot be read"


def test_an_unfinished_report_or_one_taken_back_may_be_broken() -> None:
    assert (
        told(oru("P") + "\n" + BROKEN, SPECIALIST).note
        == "OBR-25 and OBX-11 contradict each other: read as not final; an attachment cannot be read"
    )
    assert told(mdm("T11", "AU", "-") + "\n" + BROKEN, SPECIALIST).events


@pytest.mark.parametrize(
    ("kinds", "values"),
    [
        (["CE"], ["^^^^", "^^", "  ", "~~"]),
        (["ED", "TX", "FT", "RP", ""], ["^^^^", "^^", "\\.br\\", "  ", "~~", "", '""']),
        (["ED", "TX", ""], ["^application^pdf^Base64^", "^AP^^Base64^ "]),
        (["ED"], ["====", "^text^plain^A^", "\\.br\\"]),
    ],
)
def test_an_empty_shell_is_nothing(kinds: list[str], values: list[str]) -> None:
    for kind in kinds:
        for value in values:
            assert contents(value, kind=kind) == Contents(), (kind, value)


# ---------------------------------------------------------------------------------------------------------------------
# Pointers and words


def test_a_pointer_is_content_and_is_never_followed() -> None:
    found = contents("\\\\server\\share\\letter.pdf^APP^AP^PDF~https://example.org/x^^^PDF", kind="RP")

    assert [one.kind for one in found.attachments] == ["pointer", "pointer"]
    assert found.readable
    assert found.content != contents("https://example.org/y^^^PDF", kind="RP").content


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["Seen today.", "All is well."], ["Seen today. All is well."]),
        (["Seen today.~All is well."], ["Seen today.\\.br\\All is well."]),
        (["Seen\\.sp2\\today.  All is  well. "], ["Seen today. All is well."]),
        (["Seen today.\\X0D\\\\X0A\\All is well."], ["Seen", "today. All is well."]),
        (["\\H\\Seen\\N\\ today. All is well."], ["Seen today.", "", '""', "All is well."]),
    ],
)
def test_the_same_words_in_other_lines_are_the_same_content(one: list[str], other: list[str]) -> None:
    for kinds in (("TX", "FT"), ("FT", "ST"), ("", "TX")):
        first, second = (contents(*values, kind=kind) for values, kind in zip((one, other), kinds, strict=True))
        assert first.content == second.content != ""
        assert first.words == second.words


def test_other_words_other_case_and_other_codes_are_other_content() -> None:
    said = [contents("No finding.", kind="TX").content]
    said.append(contents("no finding.", kind="TX").content)
    said.append(contents("Nofinding.", kind="TX").content)
    said.append(contents("No finding.", f"^AP^^Base64^{b64(PDF)}").content)
    said += [read_contents([obx("5.4", "NM", code=code)]).content for code in ("K", "NA")]

    assert len(set(said)) == len(said)


def test_words_beside_an_attachment_count() -> None:
    beside = [read_contents([obx(text, "TX"), obx(f"^AP^^Base64^{b64(PDF)}")]) for text in ("Well.", "Unwell.")]

    assert beside[0].content != beside[1].content
    assert beside[0].attachments == (
        WHOLE.__class__(**{name: getattr(WHOLE, name) for name in WHOLE.__struct_fields__} | {"declared": "AP"}),
    )


# ---------------------------------------------------------------------------------------------------------------------
# Limits.  H070, F-E03, F-E04


def test_an_attachment_beyond_the_limit_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encapsulated, "ATTACHMENT_BYTES_MAX", 1_000)

    found = contents(f"^application^pdf^Base64^{b64(PDF)}")

    assert (found.attachments[0].kind, found.content) == ("pdf", "")
    assert found.notes == ("an attachment is too large to be looked into",)
    assert contents(f"^text^xml^Base64^{b64(CDA + b' ' * 2_000)}").documents == ()


def test_a_report_of_very_many_lines_is_read_and_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "OBSERVATIONS_MAX", 10)

    found = contents(*["A line."] * 11, kind="TX")

    assert found.words == 60
    assert found.content == ""
    assert found.notes == ("more than 10 lines: not compared with earlier ones",)
    assert contents(*["A line."] * 10, kind="TX").content


@pytest.mark.parametrize(
    "value",
    [
        "~" * 50_000,
        "A line.~" * 50_000,
        "^AP^^Base64^AAAA~" * 50_000,
        "^" * 50_000,
        "\\" * 100_000,
        "\\.sp99999\\" * 20_000,
        "\\X" + "41" * 50_000,
        "\\X41\\" * 50_000,
        "&" * 50_000,
        "=" * 100_000,
        "A=" * 50_000,
        "JVBERi0" + "=A" * 50_000,
        "<" * 50_000 + "ClinicalDocument",
    ],
)
@pytest.mark.parametrize("kind", ["ED", "TX", "RP", "NM", ""])
def test_hostile_repetitions_and_escapes_stay_bounded(value: str, kind: str) -> None:  # H070
    first, second = contents(value, kind=kind), contents(value, kind=kind)

    assert first == second
    assert len(first.attachments) <= max(encapsulated.PIECES_MAX + 1, 1)


ANY = st.text(alphabet=st.sampled_from(list("^~&|\\=+/AZaz09 .<>!é\n\"'Xbr")), max_size=200) | st.text(max_size=80)


@given(st.lists(st.tuples(st.sampled_from(["ED", "RP", "TX", "FT", "ST", "CE", "NM", "", "ed", "Ü"]), ANY), max_size=6))
@example([("ED", "^^^A^x"), ("ED", "^^^Base64^%")])
@example([("TX", "JVBERi0xLjQKJcOk"), ("TX", "AAAA")])
def test_anything_in_obx_5_is_read(values: list[tuple[str, str]]) -> None:
    segments = [obx(value.replace("|", "").replace("\r", ""), kind, at) for at, (kind, value) in enumerate(values, 1)]

    found = read_contents(segments)

    assert found == read_contents(segments)
    assert bool(found.content) is not found.is_empty
    assert found.words >= 0


@given(st.binary(min_size=1, max_size=4_000), st.integers(1, 400), st.sampled_from(["", " ", "\\.br\\", "\\X0D0A\\"]))
def test_any_bytes_in_any_lines_have_their_own_content(raw: bytes, width: int, between: str) -> None:
    data = b64(raw)
    broken = between.join(data[at : at + width] for at in range(0, len(data), width))

    one, other = only(f"^^^Base64^{data}"), only(f"^^^Base64^{broken}")

    assert (one.kind, one.size, one.content) == (other.kind, other.size, other.content)
    assert one.size == len(raw)
    assert one.kind == kind_of(raw[: encapsulated.SNIFFED // 3 * 3])
    assert one.content != only(f"^^^Base64^{b64(raw + b'.')}").content


def test_a_seeded_mill_of_damaged_notes_is_read_or_is_a_fault() -> None:
    seed = 20260302
    chance = random.Random(seed)
    whole = (
        mdm("T02", "AU", "-")
        + f"\nOBX|1|ED|PDF^^L||^application^pdf^Base64^{b64(PDF)}||||||F\nOBX|2|TX|||{escape('Seen & well.', DEFAULT)}||||||F"
    )
    raw = bytearray("\r".join(whole.splitlines()).encode())
    outcomes: set[str] = set()
    for _ in range(2_000):
        damaged = bytearray(raw)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(60, len(damaged))
            damaged[at : at + chance.choice((0, 1, 1, 40))] = chance.choice(
                (b"", b"|", b"^", b"~", b"\\", b"&", b"\r", b"=", b"!", b"\xff")
            )
        try:
            reading = read_one(bytes(damaged))
        except MessageFault as fault:
            outcomes.add(fault.sentence)
        else:
            outcomes.add("read" if reading else "left alone")

    assert "read" in outcomes, f"seed {seed}"
    assert "a final report whose attachment cannot be read" in outcomes, f"seed {seed}"


def read_one(raw: bytes) -> bool:
    from referral_engine.intake.read import read
    from tests.intake.samples import NOW

    return any(one.events for one in read(Message.parse(raw), SPECIALIST, received_at=NOW, sequence=7))
