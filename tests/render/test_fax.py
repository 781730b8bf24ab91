"""What comes out of a fax machine: a cover sheet without a patient, then everything the office needs, legibly."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest
from pypdf import PdfReader
from reportlab.graphics.barcode.code128 import Code128
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFontFace

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.channel import SpoolTransport
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.states import Urgency
from referral_engine.render.barcode import code128
from referral_engine.render.fonts import BOLD, EXTRA, LETTERS, REGULAR
from referral_engine.render.letters import Printer
from referral_engine.render.packet import Fact, Paragraph
from referral_engine.render.pages import MARGIN, lines_of
from referral_engine.render.render import render
from referral_engine.render.sheet import PAGE_WIDTH, Sheet, pdf
from tests.render.given import CHANNEL, FAMILY, GIVEN, MRN, ORDER, ORM, PATIENT, REFERRAL, by_fax, setting, to

FAX_CHANNEL = by_fax()
CANARIES = (
    FAMILY,
    GIVEN,
    MRN,
    "1958",
    "I48",
    "fibrillation",
    "Elm St",
    "0147",
    "POL-88120",
    "Cardiology consult",
    "ORD-1001",
)
EVERY_PURPOSE = (
    Purpose.ORDER,
    Purpose.ORDER_CHANGE,
    Purpose.SECOND_NOTICE,
    Purpose.CANCEL,
    Purpose.STATUS_CHECK,
    Purpose.NOTE_PING,
    Purpose.RECORDS_REQUEST,
)


def faxed(purpose=Purpose.ORDER, source=ORM, referral=REFERRAL, channel=FAX_CHANNEL, **changes):
    sent = render(to(Recipient.SPECIALIST, purpose), referral, setting(channel=channel, source=source, **changes))
    assert (sent.lane, sent.transport) == ("cardiology", "spool")
    return sent.body


def pages(body: bytes) -> list[str]:
    return [" ".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(body)).pages]


@pytest.mark.parametrize("purpose", EVERY_PURPOSE)
def test_the_cover_sheet_says_nothing_of_a_patient(purpose):
    reader = PdfReader(io.BytesIO(faxed(purpose, reason=f"about {FAMILY}")))

    cover = reader.pages[0].extract_text()
    for canary in CANARIES:
        assert canary not in cover
        assert canary not in str(reader.metadata)
    for said in ("Lakeside Cardiology", "+12175550199", "Springfield Clinic", "217-555-0100", "RE-0042", "mistake"):
        assert said in cover


@pytest.mark.parametrize("purpose", EVERY_PURPOSE)
def test_the_pages_behind_it_name_the_patient_and_are_numbered(purpose):
    sheets = pages(faxed(purpose))

    for at, sheet in enumerate(sheets, 1):
        assert f"RE-0042 - page {at} of {len(sheets)}" in sheet
        assert (FAMILY in sheet) == (at > 1)
    assert f"{len(sheets)}, this sheet included" in sheets[0]


def test_the_packet_holds_all_the_office_needs():
    packet = " ".join(pages(faxed())[1:])

    for said in (
        *(MRN, "1958-04-12", "(217)555-0147", "9 Elm St, Springfield, IL, 62701"),
        *("Blue Cross (BCBS)", "Preferred PPO", "POL-88120"),
        *("Cardiology consult (93000)", "Harker, Mina (NPI 1234567893)", "ORD-1001", "Routine"),
        *("I48.91 Unspecified atrial fibrillation", "café onset", "Palpitations since May"),
        *("Patient prefers mornings.", "Uses a walker.", "Blood pressure", "142/88"),
    ):
        assert said in packet


def test_only_the_parts_the_analyst_chose_are_faxed_and_dropped_segments_stay_here():
    chosen = replace(by_fax(attach=("order",)), message=replace(CHANNEL.message, drop_segments=("DG1",)))

    packet = " ".join(pages(faxed(channel=chosen))[1:])

    assert "Cardiology consult" in packet
    for unsaid in ("POL-88120", "Uses a walker", "Elm St", "Unspecified atrial fibrillation"):
        assert unsaid not in packet


def test_urgent_stands_on_the_cover():
    urgent = replace(REFERRAL, order=replace(ORDER, urgency=Urgency.URGENT, authorization_number="AUTH-7"))

    sheets = pages(faxed(referral=urgent))

    assert "URGENT - Referral" in sheets[0]
    assert "AUTH-7" in sheets[1]


def test_a_second_notice_repeats_the_packet_and_can_be_answered_with_a_tick():
    sheets = pages(faxed(Purpose.SECOND_NOTICE))

    assert "SECOND NOTICE" in sheets[0]
    assert "We accept this referral" in sheets[1]
    assert "142/88" in " ".join(sheets)


@pytest.mark.parametrize("purpose", [Purpose.STATUS_CHECK, Purpose.NOTE_PING, Purpose.RECORDS_REQUEST, Purpose.CANCEL])
def test_a_question_is_two_pages_without_the_clinical_notes(purpose):
    sheets = pages(faxed(purpose))

    assert len(sheets) == 2
    assert "Uses a walker" not in sheets[1]
    assert "tick and fax this page back" in sheets[1]


def test_a_packet_can_be_written_without_the_orders_message():
    packet = pages(faxed(source=b""))[1]

    assert "Cardiology consult" in packet
    assert "BCBS" in packet


def test_a_long_packet_is_cut_at_the_channels_limit_and_says_so_twice():
    source = ORM + b"".join(b"NTE|%d||Remark %d, a long one.\r" % (at, at) for at in range(900))

    sheets = pages(faxed(source=source, channel=by_fax(pages_max=4)))

    assert len(sheets) == 4
    assert "was cut" in sheets[0]
    assert "this packet was cut at 4 pages" in sheets[1]
    assert FAMILY in sheets[1]
    assert "was cut" not in " ".join(pages(faxed(source=source, channel=by_fax(pages_max=40))))


def test_a_folder_of_packets_gets_the_same_paper_without_a_fax_number():
    sheets = pages(faxed(channel=replace(CHANNEL, transport=SpoolTransport(directory="out"))))

    assert "REFERRAL PACKET" in sheets[0]
    assert "142/88" in " ".join(sheets)


def test_an_attachment_that_cannot_be_printed_is_announced():
    source = ORM + b"OBX|2|ED|18842-5^Discharge summary^LN||^application^pdf^Base64^JVBERi0||||||F\r"

    packet = " ".join(pages(faxed(source=source))[1:])

    assert "[Discharge summary: a file came with the order that cannot be printed here." in packet
    assert "JVBERi0" not in packet


def test_letters_the_fax_lacks_are_never_lost_in_silence():
    def named(family):
        return " ".join(pages(faxed(referral=replace(REFERRAL, patient=replace(PATIENT, family=Phi(family)))))[1:])

    assert "Müller-Łącki" not in named("Müller-Łącki")
    assert "Müller-Łacki" in named("Müller-Łącki")
    assert "some letters are printed without their marks" in named("Müller-Łącki")
    assert "[?][?], Ottoline" in named("王芳")
    assert "letters this fax cannot print" in named("王芳")
    assert "PLEASE NOTE" not in named("Müller")


def test_a_letter_is_printed_as_itself_as_its_base_letters_or_as_a_question_mark():
    printer = Printer(letters=set(range(0x20, 0x7F)) | {0xE9})

    assert printer.printable("e\u0301te\u0301") == "été"
    assert not printer.simplified
    assert printer.printable("a\u200bb\tc\u00a0d") == "ab    c d"
    assert not printer.simplified
    assert not printer.lost
    assert printer.printable("Å") == "A"
    assert printer.simplified
    assert printer.printable("ы") == "[?]"
    assert printer.lost


def test_the_same_packet_is_the_same_bytes_whatever_was_printed_between():
    first = faxed()
    faxed(Purpose.NOTE_PING)
    faxed(referral=replace(REFERRAL, patient=replace(PATIENT, family=Phi("Ünal"))))

    assert faxed() == first


def test_a_word_without_blanks_and_a_long_label_stay_on_the_paper():
    source = ORM + b"NTE|1||" + b"W" * 400 + b"\rOBX|3|TX|1^A label that is far too long for its column^L||yes||||||F\r"

    packet = " ".join(pages(faxed(source=source))[1:])

    assert packet.replace(" ", "").count("W") >= 400
    assert "A label that is far too long for its column yes" in packet


@pytest.mark.parametrize("purpose", EVERY_PURPOSE)
def test_a_packet_is_small_enough_to_wait_in_the_journal(purpose):
    assert len(faxed(purpose)) < 12_000


def test_a_packet_in_plain_letters_is_written_without_loading_the_font_code():
    code = (
        "import sys\n"
        "from referral_engine.loop.effects import Purpose, Recipient\n"
        "from referral_engine.render.render import render\n"
        "from tests.render.given import ORM, REFERRAL, by_fax, setting, to\n"
        "render(to(Recipient.SPECIALIST, Purpose.ORDER), REFERRAL, setting(channel=by_fax(), source=ORM))\n"
        "sys.exit('reportlab' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("font", [REGULAR, BOLD])
def test_the_fonts_are_as_wide_as_their_maker_says_and_have_every_extra_letter(font):
    theirs = pdfmetrics.getFont(font.name)
    vera = TTFontFace(f"{font.vera}.ttf")

    assert theirs.encName == "WinAnsiEncoding"
    for code in {*range(0x20, 0x100)} - {0x7F, 0x81, 0x8D, 0x8F, 0x90, 0x9D}:
        assert font.width(bytes([code]).decode("cp1252")) == theirs.widths[code]
    for letter in EXTRA:
        assert ord(letter) in vera.charToGlyph
        assert font.width(letter) == round(round(vera.charWidths[ord(letter)]) * 0.95)


@pytest.mark.parametrize("font", [REGULAR, BOLD])
def test_every_letter_that_counts_as_printable_can_be_read_from_the_paper(font):
    letters = "".join(map(chr, sorted(LETTERS)))
    sheet = Sheet()
    for at in range(0, len(letters), 20):
        sheet.write(MARGIN, 700 - at, f"<{letters[at : at + 20]}>", font, 12)

    reader = PdfReader(io.BytesIO(pdf([sheet], "Łetters (\\)")), strict=True)

    said = reader.pages[0].extract_text()
    for at in range(0, len(letters), 20):
        assert f"<{letters[at : at + 20]}>".replace("\u00a0", " ") in said.replace("\u00a0", " ")
    assert reader.metadata.title == "Łetters (\\)"


def test_only_letters_helvetica_lacks_bring_a_font_along_and_only_in_their_weight():
    def carried(note):
        reader = PdfReader(io.BytesIO(faxed(source=ORM + f"NTE|2||{note}\r".encode("latin-1"))), strict=True)
        fonts = reader.pages[1]["/Resources"]["/Font"].values()
        return sorted(font["/BaseFont"] for font in (each.get_object() for each in fonts))

    plain = ["/Helvetica", "/Helvetica-Bold"]
    named = faxed(referral=replace(REFERRAL, patient=replace(PATIENT, family=Phi("Łuk"))))

    assert carried("a\u00e9 50\u00b0 (plain) \u00bd") == plain
    assert named.count(b"/FontFile2") == 2
    assert faxed(referral=replace(REFERRAL, order=replace(ORDER, service_text="LDL ≥ 190"))).count(b"/FontFile2") == 1
    assert "Łuk, Ottoline" in pages(named)[1]
    assert faxed(referral=replace(REFERRAL, patient=replace(PATIENT, family=Phi("Łuk")))) == named


def test_no_line_is_wider_than_the_paper():
    texts = ("W" * 400, "lorem  ipsum " * 60, "Łódź ≥ 9 " * 40, "i" * 1000, "  led by blanks", "")
    blocks = [block for text in texts for block in (Paragraph(text), Paragraph(text, strong=True), Fact(text, text))]

    lines = list(lines_of(blocks, Printer(letters=LETTERS)))

    assert all(line.x + line.font.width(line.text) * line.points / 1000 <= PAGE_WIDTH - MARGIN for line in lines)
    assert sum(line.text.count("i") for line in lines) >= 4 * 1000
    assert len([line for line in lines if line.text and set(line.text) == {"i"}]) < 40


@pytest.mark.parametrize("text", ["RE-0042", "R", "RE-123", "RE-12345", "RE-123456", "a b~!{}", "REF/2026/00000017"])
def test_the_bars_are_those_another_maker_draws(text):
    theirs = Code128(text, quiet=False)
    theirs.validate()
    theirs.encode()
    widths = tuple(ord(bar.lower()) - ord("a") + 1 for bar in theirs.decompose())

    assert code128(text) == widths


def test_the_cover_has_the_bars_and_leaves_them_out_where_they_cannot_say_the_number():
    def bars(referral_id):
        reader = PdfReader(io.BytesIO(faxed(referral=replace(REFERRAL, id=referral_id))), strict=True)
        return reader.pages[0].get_contents().get_data().count(b" 46.00 re")

    assert bars("RE-0042") == len(code128("RE-0042")[::2])
    assert bars("RÉ-0042") == 0
