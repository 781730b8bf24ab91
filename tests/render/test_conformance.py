"""Every message the engine writes is what HL7 v2.5.1 says it must be, as hl7apy reads the standard.

Two quirks of hl7apy: it knows no OSU^O51, whose segments test_x360 looks at one by one; and it treats the choice of
order details in ORM_O01 (OBR or RQD or RQ1 or RXO or ODS or ODT) as a sequence, so it misses the five that were not
chosen. Those five complaints, and no others, are left out here.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message
from hl7apy.exceptions import ValidationError
from hl7apy.parser import parse_message

from referral_engine.base.values import replace
from referral_engine.channels.engine import EhrSettings
from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.loop.referral import Document, Finality, Identifier, Provider
from referral_engine.render.render import render
from tests.render.given import AT, MDM, ORDER, ORM, ORU, REF, REFERRAL, engine_with, setting, to

NOT_CHOSEN = tuple(
    f"Missing required child ORM_O01_OBRRQDRQ1RXOODSODT_SUPPGRP.{name}" for name in "RQD RQ1 RXO ODS ODT".split()
)


@pytest.fixture
def conforms(tmp_path):
    def check(body: bytes) -> Message:
        message = parse_message(body.decode("latin-1"), validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        report = tmp_path / "report"
        with suppress(ValidationError):
            message.validate(report_file=str(report))
        complaints = [line for line in report.read_text().splitlines() if not line.endswith(NOT_CHOSEN)]
        assert complaints == []
        return message

    return check


SPECIALIST, EHR = Recipient.SPECIALIST, Recipient.EHR


@pytest.mark.parametrize(
    ("purpose", "source"),
    [
        (Purpose.ORDER, ORM),
        (Purpose.ORDER, b""),
        (Purpose.ORDER_CHANGE, ORM),
        (Purpose.ORDER, REF),
        (Purpose.CANCEL, b""),
        (Purpose.SECOND_NOTICE, b""),
        (Purpose.STATUS_CHECK, b""),
        (Purpose.NOTE_PING, b""),
        (Purpose.RECORDS_REQUEST, b""),
    ],
)
def test_what_the_specialist_gets_conforms(conforms, purpose, source):
    source = source.replace(b"ZPI|1|internal only\r", b"")  # hl7apy refuses Z-segments where it is strict

    body = render(to(SPECIALIST, purpose), REFERRAL, setting(source=source)).body

    assert conforms(body).msh.msh_12.to_er7() == "2.5.1"


@pytest.mark.parametrize("about", ["received", "accepted", "preliminary note", "cancelled", "closed-without-note", "x"])
def test_a_status_conforms(conforms, about):
    conforms(render(to(EHR, Purpose.STATUS, about), REFERRAL, setting()).body)


@pytest.mark.parametrize("about", ["booked", "moved", "attended", "cancelled", "voided", "no-show"])
@pytest.mark.parametrize("slots", [REFERRAL.slots, ()])
def test_an_appointment_conforms(conforms, about, slots):
    conforms(render(to(EHR, Purpose.APPOINTMENT, about), replace(REFERRAL, slots=slots), setting()).body)


@pytest.mark.parametrize("purpose", [Purpose.TASK, Purpose.PROVIDER_NOTICE])
@pytest.mark.parametrize("about", ["schedule", "declined", "held", "no-show", "no note"])
def test_a_notice_conforms(conforms, purpose, about):
    conforms(render(to(EHR, purpose, about), REFERRAL, setting(reason="three calls, no answer")).body)


@pytest.mark.parametrize("closure", ["MDM^T02", "ORU^R01"])
@pytest.mark.parametrize("source", [ORU, MDM, b""], ids=["oru", "mdm", "nothing"])
@pytest.mark.parametrize(
    ("purpose", "about"),
    [
        (Purpose.CLOSURE, "note"),
        (Purpose.CORRECTION, "correction"),
        (Purpose.CORRECTION, "addition"),
        (Purpose.RETRACTION, "retracted"),
    ],
)
def test_a_document_conforms(conforms, purpose, about, source, closure):
    second = Document(document=Identifier(value="D-2"), finality=Finality.CORRECTED, at=AT, message=22)
    referral = replace(REFERRAL, documents=(*REFERRAL.documents, second))
    book = engine_with(ehr=EhrSettings(closure=closure))

    body = render(to(EHR, purpose, about, 22), referral, setting(source=source, book=book)).body

    conforms(body)


def test_a_referral_of_which_almost_nothing_is_known_still_conforms(conforms):
    bare = replace(
        REFERRAL,
        patient=replace(REFERRAL.patient, ids=REFERRAL.patient.ids[:1]),
        order=replace(ORDER, service_code="", service_text="", ordering_provider=Provider(), filler=Identifier()),
        slots=(),
        documents=(),
    )

    for purpose in (Purpose.STATUS, Purpose.APPOINTMENT, Purpose.TASK, Purpose.CLOSURE, Purpose.RETRACTION):
        conforms(render(to(EHR, purpose), bare, setting(channel=None)).body)
