"""One effect of the loop and its referral in, the exact bytes to send and the lane they travel on out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, assert_never

from referral_engine.channels.channel import FaxTransport, MllpTransport, SpoolTransport
from referral_engine.loop.effects import Purpose, Recipient, Send
from referral_engine.loop.referral import Referral
from referral_engine.render import documents, ehr, notices
from referral_engine.render.patient import patient_message
from referral_engine.render.setting import Rendered, Setting
from referral_engine.render.specialist import to_specialist
from referral_engine.render.ways import way_taken
from referral_engine.render.x360 import to_360x

__all__ = ["Rendered", "Setting", "render"]

Writing = Callable[[Send, Referral, Setting], bytes]

_EHR: Final[Mapping[Purpose, Writing]] = MappingProxyType(
    {
        Purpose.STATUS: ehr.status,
        Purpose.APPOINTMENT: ehr.appointment,
        Purpose.TASK: ehr.notice,
        Purpose.PROVIDER_NOTICE: ehr.notice,
        Purpose.CLOSURE: documents.document,
        Purpose.CORRECTION: documents.document,
        Purpose.RETRACTION: documents.document,
    }
)


def render(send: Send, referral: Referral, setting: Setting) -> Rendered:
    """What goes on the wire for one effect; the same arguments give the same bytes, always.

    Raises MessageFault: 207 when the specialist's channel is gone, 102 when a text cannot be written in a forwarded
    message's character set. AssertionError for a purpose that its recipient is never owed.
    """
    match send.to:
        case Recipient.SPECIALIST:
            return _for_specialist(send, referral, setting)
        case Recipient.EHR:
            assert send.purpose in _EHR, "the EHR is owed no such thing"
            return Rendered(lane="ehr", transport="mllp", body=_EHR[send.purpose](send, referral, setting))
        case Recipient.PATIENT:
            return Rendered(lane="patient", transport="spool", body=patient_message(send, referral, setting))
        case Recipient.TEAM:
            return Rendered(lane="team", transport="spool", body=notices.team_post(send, referral, setting))
        case Recipient.PAYER:
            body = notices.authorization_request(send, referral, setting)
            return Rendered(lane="payer", transport="spool", body=body)
        case Recipient.BILLING:
            return Rendered(lane="billing", transport="spool", body=notices.billing_notice(send, referral, setting))
        case _:
            assert_never(send.to)


def _for_specialist(send: Send, referral: Referral, setting: Setting) -> Rendered:
    """The channel's own way: HL7 over MLLP, or a packet on paper."""
    channel = setting.specialist()
    lane, transport = way_taken(send, referral, channel)
    match transport:
        case MllpTransport():
            return Rendered(lane=lane, transport="mllp", body=to_specialist(send, referral, setting, transport))
        case SpoolTransport() if channel.message.format == "360x":
            return Rendered(lane=lane, transport="spool", body=to_360x(send, referral, setting))
        case FaxTransport() | SpoolTransport():
            from referral_engine.render.fax import fax_packet  # noqa: PLC0415  # PDF code is loaded by offices that fax

            return Rendered(lane=lane, transport="spool", body=fax_packet(send, referral, setting, transport))
        case _:
            assert_never(transport)
