"""What the specialist's interface gets: the EHR's own order, re-addressed, or a short message of ours."""

from __future__ import annotations

import pytest

from referral_engine.base.errors import MessageFault
from referral_engine.base.values import replace
from referral_engine.channels.channel import MllpTransport
from referral_engine.channels.engine import Identity
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Identifier
from referral_engine.loop.states import Urgency
from referral_engine.render.render import render
from tests.render.given import CHANNEL, FAX, ORDER, ORM, REF, REFERRAL, by_fax, engine_with, setting, to


def rendered(purpose=Purpose.ORDER, source=b"", referral=REFERRAL, **changes):
    return render(to(Recipient.SPECIALIST, purpose), referral, setting(source=source, **changes))


def lines(body: bytes) -> list[bytes]:
    assert body.endswith(b"\r")
    return body[:-1].split(b"\r")


def test_every_segment_but_msh_and_orc_leaves_as_it_came():
    sent = lines(rendered(source=ORM).body)

    came = lines(ORM)
    assert [line for line in sent if line[:3] not in (b"MSH", b"ORC")] == [
        line for line in came if line[:3] not in (b"MSH", b"ORC")
    ]
    assert len(sent) == len(came)


def test_the_header_is_ours_and_the_channels_while_type_processing_id_and_charset_stay():
    header = Message.parse(rendered(source=ORM).body).header

    assert (header.sending_application, header.sending_facility) == ("REFERRAL_ENGINE", "REFERRALS")
    assert (header.receiving_application, header.receiving_facility) == ("LAKESIDE", "CARDIO")
    assert (header.timestamp, header.control_id) == ("20260302150405+0000", "RE0000004201")
    assert (header.type, header.processing_id, header.version) == ("ORM^O01", "T", "2.5.1")
    assert header.declared_charset == "8859/1"


def test_the_senders_password_sequence_number_and_acknowledgement_wishes_do_not_travel_on():
    header = lines(rendered(source=ORM).body)[0].split(b"|")

    assert header[7] == header[12] == header[13] == header[14] == header[15] == b""


def test_an_enhanced_channel_is_asked_for_a_commit_acknowledgement():
    channel = replace(CHANNEL, transport=MllpTransport(host="h", port=1, ack_mode="enhanced"))

    for purpose, source in ((Purpose.ORDER, ORM), (Purpose.CANCEL, b""), (Purpose.ORDER, b"")):
        header = Message.parse(rendered(purpose, source, channel=channel).body).header
        assert (header.accept_ack, header.application_ack) == ("AL", "NE")


def test_our_referral_number_travels_as_the_placer_group_and_never_over_the_senders_own():
    own = Message.parse(rendered(source=ORM).body)
    theirs = Message.parse(rendered(source=ORM.replace(b"|ORD-1001^EHR|||||^", b"|ORD-1001^EHR||GRP-1|||^")).body)

    assert own.value("ORC-4.1") == "RE-0042"
    assert own.value("ORC-2.1") == "ORD-1001"
    assert theirs.value("ORC-4.1") == "GRP-1"


@pytest.mark.parametrize("control", [b"NW", b"SN", b"XO", b"XX"])
def test_an_order_is_new_and_a_change_is_a_change_whatever_the_ehr_calls_it(control):
    source = ORM.replace(b"ORC|NW|", b"ORC|" + control + b"|")

    assert Message.parse(rendered(Purpose.ORDER, source).body).value("ORC-1") == "NW"
    assert Message.parse(rendered(Purpose.ORDER_CHANGE, source).body).value("ORC-1") == "XO"


def test_dropped_segments_do_not_leave_even_when_line_feeds_end_them():
    channel = replace(CHANNEL, message=replace(CHANNEL.message, drop_segments=("ZPI", "IN1")))

    for source in (ORM, ORM.replace(b"\r", b"\n"), ORM.replace(b"\r", b"\r\n"), ORM.replace(b"\rZPI", b"\nZPI")):
        sent = rendered(source=source, channel=channel).body
        assert b"internal only" not in sent
        assert b"POL-88120" not in sent
        assert len(lines(sent)) == len(lines(ORM)) - 2


def test_a_line_feed_inside_a_field_stays_there():
    source = ORM.replace(b"Patient prefers mornings.", b"Patient prefers\nmornings.")

    assert b"NTE|1||Patient prefers\nmornings.~Uses a walker." in lines(rendered(source=source).body)


def test_orders_of_other_numbers_in_the_same_message_are_nobodys_business():
    source = ORM + b"ORC|NW|ORD-2002^EHR\rOBR|2|ORD-2002^EHR||HIV^Viral load\rNTE|1||other clinic\r"

    sent = rendered(source=source).body

    assert b"ORD-2002" not in sent
    assert b"other clinic" not in sent
    assert b"Uses a walker" in sent


def test_unusual_delimiters_become_the_usual_ones_and_every_text_reads_the_same():
    odd = "MSH$%*!+$E$F$R$R2$20260301$$ORM%O01$M1$P$2.5.1\rPID$1$$M1%%%SPR\rORC$NW$ORD-1001\rNTE$1$$a|b^c~d\\e&f !S! !F! !E! !X0D! !.br!x !\r"

    sent = rendered(source=odd.encode()).body

    before, after = Message.parse(odd.encode()), Message.parse(sent)
    assert sent.startswith(b"MSH|^~\\&|")
    assert after.value("NTE-3") == before.value("NTE-3")
    assert after.value("PID-3.4") == "SPR"


def test_an_order_that_did_not_come_as_hl7_is_written_from_what_is_known():
    referral = replace(REFERRAL, order=replace(ORDER, urgency=Urgency.URGENT, authorization_number="AUTH-7"))

    message = Message.parse(rendered(source=b'{"resourceType": "ServiceRequest"}', referral=referral).body)

    assert (message.value("ORC-1"), message.value("ORC-2.1"), message.value("ORC-4.1")) == ("NW", "ORD-1001", "RE-0042")
    assert (message.value("OBR-4.1"), message.value("OBR-27.6"), message.value("OBR-28")) == (
        "93000",
        "S",
        "1093817465",
    )
    assert (message.value("PID-5.1"), message.value("PID-13"), message.value("DG1-3")) == (
        "Quimbleton",
        "+12175550147",
        "I48.91",
    )
    assert (message.value("IN1-2"), message.value("IN1-3"), message.value("IN1-14")) == ("PPO1", "BCBS", "AUTH-7")


def test_a_cancellation_names_the_patient_the_order_and_the_service():
    message = Message.parse(rendered(Purpose.CANCEL, reason="moved away").body)

    assert message.header.type == "ORM^O01"
    assert (message.value("ORC-1"), message.value("ORC-2.1"), message.value("ORC-3.1")) == ("CA", "ORD-1001", "F-55")
    assert (message.value("PID-3.1"), message.value("OBR-4.2")) == ("MRN77001", "Cardiology consult")
    assert message.value("NTE-3").endswith("moved away")


@pytest.mark.parametrize(
    ("purpose", "word"),
    [
        (Purpose.SECOND_NOTICE, "Second notice"),
        (Purpose.STATUS_CHECK, "attend"),
        (Purpose.NOTE_PING, "consult note"),
        (Purpose.RECORDS_REQUEST, "Records request"),
    ],
)
def test_a_question_is_a_status_request_with_a_sentence(purpose, word):
    message = Message.parse(rendered(purpose).body)

    assert message.value("ORC-1") == "SS"
    assert word in message.value("NTE-3")


def test_an_order_in_a_charset_that_cannot_hold_our_name_is_refused_before_it_is_queued():
    book = engine_with(identity=Identity(application="Überweisung"))

    with pytest.raises(MessageFault, match="character set"):
        rendered(source=ORM.replace(b"8859/1", b"ASCII").replace(b"\xe9", b"e"), book=book)


def test_a_channel_whose_file_is_gone_is_a_fault_that_names_no_patient():
    with pytest.raises(MessageFault, match="channel"):
        rendered(channel=None)


def test_what_follows_an_order_goes_the_way_the_order_went():
    channel = replace(CHANNEL, fallbacks=(FAX,))
    fallen = replace(REFERRAL, fallback_used=True)

    def lane(purpose, referral):
        sent = rendered(purpose, ORM, referral, channel=channel)
        return sent.lane, sent.transport

    own, other = ("cardiology", "mllp"), ("cardiology/fallback", "spool")
    assert lane(Purpose.ORDER, REFERRAL) == lane(Purpose.ORDER, fallen) == own
    assert lane(Purpose.FALLBACK_ORDER, REFERRAL) == other
    assert lane(Purpose.NOTE_PING, REFERRAL) == own
    for purpose in (Purpose.NOTE_PING, Purpose.SECOND_NOTICE, Purpose.CANCEL, Purpose.ORDER_CHANGE):
        assert lane(purpose, fallen) == other
    assert lane(Purpose.RECORDS_REQUEST, REFERRAL) == other
    assert rendered(Purpose.RECORDS_REQUEST, b"", fallen).lane == "cardiology"  # the channel has no fallback


def test_an_authority_that_is_an_oid_is_written_as_one():
    referral = replace(REFERRAL, order=replace(ORDER, placer=Identifier(value="9", authority="1.2.3.4")))

    assert b"|9^^1.2.3.4^ISO|" in rendered(Purpose.CANCEL, b"", referral).body


def test_a_referral_that_came_as_ref_is_forwarded_as_ref_with_our_number_beside_theirs():
    body = render(to(Recipient.SPECIALIST, Purpose.ORDER), REFERRAL, setting(source=REF)).body

    came, sent = REF.decode().split("\r"), body.decode().split("\r")
    assert sent[0].split("|")[2:6] == ["REFERRAL_ENGINE", "REFERRALS^1.2.840.114350.7^ISO", "LAKESIDE", "CARDIO"]
    assert sent[0].split("|")[8] == "REF^I12^REF_I12"
    assert sent[1] == came[1] + "~RE-0042^REFERRAL_ENGINE^1.2.840.114350.7^ISO"
    assert sent[2:] == came[2:]


def test_a_referral_that_came_as_ref_can_be_faxed():
    made = render(to(Recipient.SPECIALIST, Purpose.ORDER), REFERRAL, setting(source=REF, channel=by_fax()))

    assert made.body.startswith(b"%PDF")
