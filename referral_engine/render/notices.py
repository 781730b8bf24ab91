"""What the team, billing and the payer are to know in, one JSON document each out."""

from __future__ import annotations

from datetime import date

import msgspec

from referral_engine.base.clock import rfc3339
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Send
from referral_engine.loop.referral import Referral
from referral_engine.render.carried import read_carried
from referral_engine.render.setting import Setting


def team_post(send: Send, referral: Referral, setting: Setting) -> bytes:
    """For the team's channel: what happened to which referral; nothing of the patient."""
    return _document("team-post", send, referral, setting)


def billing_notice(send: Send, referral: Referral, setting: Setting) -> bytes:
    """For billing: the referral's opaque number and why; they look it up in the engine."""
    return _document("billing-notice", send, referral, setting)


def _document(kind: str, send: Send, referral: Referral, setting: Setting) -> bytes:
    """The thin event: kind, what, which, why, when."""
    return msgspec.json.encode(
        {
            "kind": kind,
            "id": setting.wire_id,
            "event": send.about,
            "referral": referral.id,
            "reason": setting.reason,
            "at": rfc3339(setting.at),
        }
    )


def authorization_request(_: Send, referral: Referral, setting: Setting) -> bytes:
    """For the payer's desk or gateway: the parts of an X12 278 request, named in words."""
    order, person = referral.order, referral.patient
    message = read_carried(setting.source)
    provider = order.ordering_provider
    return msgspec.json.encode(
        {
            "kind": "authorization-request",
            "id": setting.wire_id,
            "at": rfc3339(setting.at),
            "referral": referral.id,
            "request": {"category": "SC", "type": "I", "level": "U" if order.urgency.value == "urgent" else "R"},
            "payer": {"id": order.payer, "plan": order.plan, "name": _in(message, "IN1-4.1")},
            "requester": {"practice": setting.engine.practice.name, "phone": setting.engine.practice.phone},
            "subscriber": {"member_id": _in(message, "IN1-36") or _in(message, "IN1-49.1")},
            "patient": {
                "ids": [{"value": known.value.reveal(), "authority": known.authority} for known in person.ids],
                "family": person.family.reveal(),
                "given": person.given.reveal(),
                "born_on": person.born_on.reveal(),
                "sex": person.sex.reveal(),
            },
            "service": {
                "code": order.service_code,
                "text": order.service_text,
                "specialty": order.specialty,
                "ordered_on": _day(order.ordered_at.date()),
            },
            "diagnosis": {"code": order.diagnosis, "text": _in(message, "DG1-3.2")},
            "ordering_provider": {"id": provider.number, "family": provider.family, "given": provider.given},
            "specialist": {
                "npi": order.referred_to or (setting.channel.npi if setting.channel is not None else ""),
                "name": setting.channel.title if setting.channel is not None else "",
            },
            "network": order.network.value,
            "placer_number": order.placer.value,
        }
    )


def _in(message: Message | None, path: str) -> str:
    """A value of the order message; "" when there is none."""
    return message.value(path) if message is not None else ""


def _day(day: date) -> str:
    """A date as JSON writes it."""
    return day.isoformat()
