"""The consult note on its way into the EHR: its content untouched, its frame the EHR's own."""

from __future__ import annotations

import base64
from time import perf_counter

import pytest

from referral_engine.base.ident import Phi
from referral_engine.base.values import replace
from referral_engine.channels.engine import EhrSettings
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Document, Finality, Identifier
from referral_engine.render.render import render
from tests.render.given import AT, MDM, ORU, PATIENT, REFERRAL, engine_with, setting, to

AS_RESULT = engine_with(ehr=EhrSettings(closure="ORU^R01"))


def filed(purpose=Purpose.CLOSURE, about="note", source=ORU, referral=REFERRAL, message=21, **changes):
    return render(to(Recipient.EHR, purpose, about, message), referral, setting(source=source, **changes)).body


def results(body: bytes) -> list[bytes]:
    return [line for line in body.split(b"\r") if line.startswith((b"OBX", b"NTE"))]


@pytest.mark.parametrize("changes", [{}, {"book": AS_RESULT}], ids=["mdm", "oru"])
def test_a_latin_1_note_is_forwarded_byte_for_byte_and_says_so(changes):
    body = filed(**changes)

    assert results(body) == results(ORU)
    assert b"\xe9" in body
    assert Message.parse(body).header.declared_charset == "8859/1"


def test_the_frame_is_the_ehrs_own():
    message = Message.parse(filed())

    assert message.header.type == "MDM^T02"
    assert (message.value("PID-3.1"), message.value("PID-3.4")) == ("MRN77001", "SPRINGFIELD")
    assert (message.value("TXA-2"), message.value("TXA-17"), message.value("TXA-19")) == ("CN", "AU", "AV")
    assert (message.value("TXA-12.1"), message.value("TXA-14.1"), message.value("TXA-14.2")) == (
        "D-1",
        "ORD-1001",
        "EHR",
    )
    assert message.value("TXA-9.2") == "Seward"
    assert message.value("TXA-4") == "20260310103000-0500"
    assert message.value("ORC-12.1") == message.value("OBR-16.1") == message.value("TXA-23.1") == "1234567893"
    assert (message.value("ORC-1"), message.value("ORC-5")) == ("RE", "CM")


def test_an_mdm_becomes_a_final_result_where_the_ehr_files_results():
    message = Message.parse(filed(source=MDM, book=AS_RESULT))

    assert message.header.type == "ORU^R01"
    assert (message.value("OBR-2.1"), message.value("OBR-3.1"), message.value("OBR-25")) == ("ORD-1001", "D-1", "F")
    assert message.value("OBX-5") == "Zażółć: no finding."
    assert {line.text(11) for line in message.all("OBX")} == {"F"}


def test_what_the_standard_requires_and_the_sender_left_out_is_filled_in_beside_the_text():
    first, second = results(filed(source=MDM))

    assert first == "OBX|1|TX|11488-4^Consult note^LN||Zażółć: no finding.||||||F".encode()
    assert second == results(MDM)[1]


def test_a_pdf_inside_the_note_arrives_bit_for_bit():
    scan = base64.b64encode(bytes(range(256)) * 64)
    source = ORU + b"OBX|3|ED|PDF^Scan^L||^application^pdf^Base64^" + scan + b"||||||F\r"

    message = Message.parse(filed(source=source))

    assert message.all("OBX")[2].text(5, 5).encode() == scan
    assert message.value("TXA-3") == "AP"


def test_a_note_of_many_megabytes_is_forwarded_in_well_under_a_second():
    scan = base64.b64encode(b"\0\1\2" * 3_000_000)
    source = ORU + b"OBX|3|ED|PDF^Scan^L||^application^pdf^Base64^" + scan + b"||||||F\r"

    began = perf_counter()
    body = filed(source=source)

    assert perf_counter() - began < 3
    assert scan in body


@pytest.mark.parametrize("source", [ORU, MDM], ids=["oru", "mdm"])
def test_a_name_the_notes_charset_cannot_hold_makes_the_message_utf_8_and_says_so(source):
    referral = replace(REFERRAL, patient=replace(PATIENT, family=Phi("Łęcka")))

    message = Message.parse(filed(source=source, referral=referral))

    assert message.header.declared_charset == "UNICODE UTF-8"
    assert message.value("PID-5.1") == "Łęcka"
    assert message.value("OBX-5") == Message.parse(source).value("OBX-5")


def test_a_note_whose_msh_18_is_wrong_leaves_with_one_that_is_right():
    for declared in (b"", b"UNICODE UTF-8", b"ASCII"):
        source = ORU.replace(b"8859/1", declared)

        message = Message.parse(filed(source=source))

        assert message.header.declared_charset == "UNICODE UTF-8"
        assert message.charset_flag == ""
        assert "Café" in message.value("OBX-5")


def test_an_ascii_note_without_msh_18_leaves_without_one():
    source = ORU.replace(b"8859/1", b"").replace(b"\xe9", b"e").replace(b"\xfc", b"u")

    body = filed(source=source)

    assert Message.parse(body).header.declared_charset == ""
    assert results(body) == results(source)


def test_reports_on_other_orders_in_the_same_message_are_not_filed_with_this_one():
    source = ORU + b"OBR|2|ORD-2002^EHR|D-9|HIV^Viral load\rOBX|1|TX|HIV||other order||||||F\r"

    assert b"other order" not in filed(source=source)
    assert b"other order" not in filed(source=source, book=AS_RESULT)
    unnumbered = source.replace(b"ORD-1001", b"X-1").replace(b"ORD-2002", b"X-2")
    assert b"other order" not in filed(source=unnumbered)  # the document's own number tells them apart
    unknown = unnumbered.replace(b"D-1^CARDIO", b"D-7")
    assert b"other order" in filed(source=unknown)  # the sender uses its own numbers: nothing can be told apart


def test_a_correction_replaces_the_document_the_ehr_has():
    corrected = Document(document=Identifier(value="D-2"), finality=Finality.CORRECTED, at=AT, message=22)
    referral = replace(REFERRAL, documents=(*REFERRAL.documents, corrected))

    message = Message.parse(filed(Purpose.CORRECTION, "correction", referral=referral, message=22))
    addition = Message.parse(filed(Purpose.CORRECTION, "addition", referral=referral, message=22))
    result = Message.parse(filed(Purpose.CORRECTION, "correction", referral=referral, message=22, book=AS_RESULT))

    assert (message.header.trigger, message.value("TXA-12.1"), message.value("TXA-13.1")) == ("T10", "D-2", "D-1")
    assert addition.header.trigger == "T06"
    assert result.value("OBR-25") == "C"
    assert {line.text(11) for line in result.all("OBX")} == {"C"}
    assert [line.text(5) for line in result.all("OBX")] == [line.text(5) for line in Message.parse(ORU).all("OBX")]


@pytest.mark.parametrize(("sent", "state"), [(b"W", "W"), (b"D", "D"), (b"F", "D")])
def test_what_is_taken_back_is_named_and_not_sent_once_more(sent, state):
    source = ORU.replace(b"||||||F|", b"||||||" + sent + b"|")
    retracted = Document(document=Identifier(value="D-1x"), finality=Finality.RETRACTED, at=AT, message=22)
    referral = replace(REFERRAL, documents=(*REFERRAL.documents, retracted))

    document = Message.parse(filed(Purpose.RETRACTION, "retracted", source, referral, 22))
    result = Message.parse(filed(Purpose.RETRACTION, "retracted", source, referral, 22, book=AS_RESULT))

    assert (document.header.trigger, document.value("TXA-12.1"), document.value("TXA-19")) == ("T11", "D-1", "CA")
    assert document.first("OBX") is None
    assert {line.text(11) for line in result.all("OBX")} == {state}
    assert [line.text(5) for line in result.all("OBX")] == ["", ""]
    assert [line.text(3) for line in result.all("OBX")] == ["11488-4", "11488-4"]
    assert result.value("OBR-3.1") == "D-1"


def test_a_closure_without_a_message_says_where_the_note_is():
    message = Message.parse(filed(source=b"", message=0))

    assert "paper" in message.value("OBX-5")
    assert message.value("TXA-12.1") == "RE-0042-NOTE"


def test_remarks_below_the_request_stay_with_it():
    source = ORU.replace(b"OBX|1|", b"NTE|1||below the request\rOBX|1|")

    names = [segment.name for segment in Message.parse(filed(source=source)).segments]

    assert names == "MSH EVN PID PV1 ORC OBR NTE TXA OBX OBX".split()


def test_an_old_ehr_gets_no_order_group_before_the_document():
    book = engine_with(ehr=EhrSettings(version="2.4"))

    names = [segment.name for segment in Message.parse(filed(book=book)).segments]

    assert names == "MSH EVN PID PV1 TXA OBX OBX".split()


def test_a_note_with_odd_delimiters_is_filed_with_the_usual_ones():
    odd = "MSH$%*!+$L$C$R$R2$20260311$$ORU%R01$M1$P$2.5.1\rOBR$1$ORD-1001%EHR$D-1\rOBX$1$TX$11488-4%Note%LN$$a|b^c~d\\e&f !S! !E! !F!$$$$$$F\r"

    message = Message.parse(filed(source=odd.encode()))

    assert message.value("OBX-5") == "a|b^c~d\\e&f % ! $"
    assert message.value("OBX-3.2") == "Note"
