"""Thin events for the team and billing; the whole request for the payer."""

from __future__ import annotations

import json

from referral_engine.loop.effects import Purpose, Recipient
from referral_engine.render.render import render
from tests.render.given import FAMILY, GIVEN, MRN, ORM, REFERRAL, setting, to


def sent(recipient, purpose, about="", **changes):
    return render(to(recipient, purpose, about), REFERRAL, setting(**changes))


def test_team_and_billing_learn_what_happened_to_which_referral_and_nothing_of_the_patient():
    for recipient, purpose, lane in (
        (Recipient.TEAM, Purpose.TEAM_POST, "team"),
        (Recipient.BILLING, Purpose.BILLING_NOTICE, "billing"),
    ):
        post = sent(recipient, purpose, "schedule", reason="nothing is booked", source=ORM)

        assert (post.lane, post.transport) == (lane, "spool")
        assert json.loads(post.body) == {
            "kind": purpose.value,
            "id": "RE0000004201",
            "event": "schedule",
            "referral": "RE-0042",
            "reason": "nothing is booked",
            "at": "2026-03-02T15:04:05Z",
        }


def test_an_authorization_request_carries_what_a_payer_asks_for():
    request = sent(Recipient.PAYER, Purpose.AUTHORIZATION_REQUEST, source=ORM)

    body = json.loads(request.body)
    assert request.lane == "payer"
    assert (body["patient"]["family"], body["patient"]["given"]) == (FAMILY, GIVEN)
    assert {"value": MRN, "authority": "SPRINGFIELD"} in body["patient"]["ids"]
    assert body["payer"] == {"id": "BCBS", "plan": "PPO1", "name": "Blue Cross"}
    assert body["subscriber"]["member_id"] == "POL-88120"
    assert body["diagnosis"] == {"code": "I48.91", "text": "Unspecified atrial fibrillation"}
    assert body["service"]["code"] == "93000"
    assert body["ordering_provider"]["id"] == "1234567893"
    assert body["specialist"]["npi"] == "1093817465"


def test_an_authorization_request_can_be_written_without_the_orders_message():
    body = json.loads(sent(Recipient.PAYER, Purpose.AUTHORIZATION_REQUEST, channel=None).body)

    assert body["payer"]["name"] == ""
    assert body["specialist"]["name"] == ""
