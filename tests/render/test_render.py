"""The one door of rendering: every effect the loop can owe has bytes, and the same bytes every time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from referral_engine.base.values import replace
from referral_engine.loop.effects import NOTICES_TO_SPECIALIST, ORDERS, TO_PATIENT, Purpose, Recipient
from referral_engine.render.render import render
from tests.render.given import CHANNEL, FAX, MDM, ORM, ORU, REFERRAL, setting, to

TO_EHR = frozenset(
    {
        *(Purpose.STATUS, Purpose.APPOINTMENT, Purpose.TASK, Purpose.PROVIDER_NOTICE),
        *(Purpose.CLOSURE, Purpose.CORRECTION, Purpose.RETRACTION),
    }
)
EVERYTHING = [
    *((Recipient.SPECIALIST, purpose) for purpose in sorted(ORDERS | NOTICES_TO_SPECIALIST)),
    *((Recipient.SPECIALIST, purpose) for purpose in (Purpose.ORDER_CHANGE, Purpose.CANCEL)),
    *((Recipient.EHR, purpose) for purpose in sorted(TO_EHR)),
    *((Recipient.PATIENT, purpose) for purpose in sorted(TO_PATIENT)),
    (Recipient.TEAM, Purpose.TEAM_POST),
    (Recipient.PAYER, Purpose.AUTHORIZATION_REQUEST),
    (Recipient.BILLING, Purpose.BILLING_NOTICE),
]


def test_every_purpose_there_is_can_be_rendered():
    assert {purpose for _, purpose in EVERYTHING} == set(Purpose)


@pytest.mark.parametrize("source", [b"", ORM, ORU, MDM, b"not HL7", b"MSH|^~\\&|"], ids=str)
@pytest.mark.parametrize(("recipient", "purpose"), EVERYTHING)
def test_two_renderings_of_one_effect_are_the_same_bytes(recipient, purpose, source):
    channel = replace(CHANNEL, fallbacks=(FAX,))
    one = setting(source=source, channel=channel)
    another = setting(source=bytes(bytearray(source)), channel=replace(channel))

    first = render(to(recipient, purpose), REFERRAL, one)

    assert first == render(to(recipient, purpose), replace(REFERRAL), another)
    assert first.body


def test_a_purpose_nobody_is_owed_is_our_mistake():
    with pytest.raises(AssertionError):
        render(to(Recipient.EHR, Purpose.PROMPT), REFERRAL, setting())


def test_nothing_prints_a_patient_when_a_rendering_is_shown():
    assert "Quimbleton" not in repr(REFERRAL)


def test_pdf_code_is_not_loaded_until_somebody_faxes():
    code = "import sys, referral_engine.render.render; sys.exit('reportlab' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
