"""An order, a change, a cancellation or a question for the specialist in, the HL7 message for its interface out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from referral_engine.channels.channel import Channel, MllpTransport
from referral_engine.channels.pairs import Asking, Pair
from referral_engine.hl7.compose import timestamp
from referral_engine.hl7.message import Message
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Order, Referral
from referral_engine.loop.states import Urgency
from referral_engine.render import segments
from referral_engine.render.carried import own_groups, read_carried
from referral_engine.render.segments import plain
from referral_engine.render.setting import Setting

# What is asked, by its name in [message.pairs]: whatever the EHR calls it, the receiver is asked in a placer's words.
_ASKING: Final[Mapping[Purpose, Asking]] = MappingProxyType(
    {
        Purpose.ORDER: "new",
        Purpose.FALLBACK_ORDER: "new",
        Purpose.ORDER_CHANGE: "change",
        Purpose.CANCEL: "cancel",
    }
)

# What is asked of the office: NTE-3, and the paragraph of a fax.
QUESTIONS: Final[Mapping[Purpose, str]] = MappingProxyType(
    {
        Purpose.SECOND_NOTICE: (
            "Second notice: we have not heard whether you accept this referral."
            " Please accept or decline it, or call us."
        ),
        Purpose.STATUS_CHECK: "Did this patient attend the booked appointment? Please send the visit's status.",
        Purpose.NOTE_PING: "The visit date has passed and no consult note has reached us. Please send the note.",
        Purpose.RECORDS_REQUEST: (
            "Records request: please send the consult note and the visit's records, or tell us that there are none."
        ),
        Purpose.CANCEL: "The ordering provider has cancelled this referral. Please confirm the cancellation.",
    }
)

_MSH_KEPT_FROM: Final = 17  # country, character sets, languages, profile: they describe the content, not the link
_MSH_KEPT_TO: Final = 21
_ORDER_TYPE: Final = "ORM^O01^ORM_O01"


def to_specialist(send: Send, referral: Referral, setting: Setting, transport: MllpTransport | None) -> bytes:
    """The message; an order that came as HL7 is forwarded, all else is written from what is known.

    transport: None when the message leaves as a file, which nobody acknowledges.

    Raises MessageFault 102 when our own names cannot be written in a forwarded order's character set.
    """
    channel = setting.specialist()
    if send.purpose in (Purpose.ORDER, Purpose.FALLBACK_ORDER, Purpose.ORDER_CHANGE):
        message = read_carried(setting.source)
        if message is not None:
            return _forwarded(message, send, referral, setting, channel, transport)
        return _composed(send, referral, setting, channel, transport)
    pair = _pair(channel, send)
    asked = QUESTIONS[send.purpose]
    sentence = f"{asked} {setting.reason}".rstrip()
    told = timestamp(setting.at)
    return segments.written(
        (
            _own_header(setting, channel, transport, told),
            segments.patient(referral.patient, setting.authorities),
            *segments.ordered(referral, setting.engine.identity, pair.control, at=told, status=pair.status),
            segments.remark(sentence),
        )
    )


def _forwarded(
    message: Message,
    send: Send,
    referral: Referral,
    setting: Setting,
    channel: Channel,
    transport: MllpTransport | None,
) -> bytes:
    """The EHR's own message, re-addressed; every segment but MSH, ORC and RF1 as it came, in its character set."""
    identity = setting.engine.identity
    dropped = channel.message.drop_segments
    pair = _pair(channel, send)
    lines = []
    for segment in own_groups(message.segments, referral.order.placer.value):
        name = segment.name
        if name == "MSH":
            lines.append(_readdressed(segment.raw, setting, channel, transport))
        elif name == "ORC":
            fields = segment.raw.split("|")
            fields += [""] * (6 - len(fields))
            fields[1] = pair.control
            fields[4] = fields[4] or segments.own_number(referral, identity)
            fields[5] = pair.status or fields[5]
            lines.append("|".join(fields).rstrip("|"))
        elif name == "RF1":
            lines.append(_with_our_number(segment.raw, segments.own_number(referral, identity)))
        elif name not in dropped:
            lines.append(segment.raw)
    return segments.written(lines, message.charset)


def _with_our_number(raw: str, number: str) -> str:
    """RF1 of a referral that came as REF, our number among the external ones (RF1-11), so that it can be echoed."""
    fields = raw.split("|")
    fields += [""] * (12 - len(fields))
    fields[11] = f"{fields[11]}~{number}" if fields[11] else number
    return "|".join(fields)


def _pair(channel: Channel, send: Send) -> Pair:
    """ORC-1 and ORC-5 of what is asked, as the channel's file says."""
    return channel.message.pairs[_ASKING.get(send.purpose, "ask")]


def _readdressed(raw: str, setting: Setting, channel: Channel, transport: MllpTransport | None) -> str:
    """MSH with our names, the channel's, our time and number; type, processing id and character set stay."""
    fields = raw.split("|")
    fields += [""] * (12 - len(fields))
    identity, settings = setting.engine.identity, channel.message
    version = "^".join([plain(settings.version), *fields[11].split("^")[1:]])
    accept, application = _acknowledgements(transport)
    return "|".join(
        [
            "MSH",
            "^~\\&",
            segments.sending(identity.application, identity.facility, identity.oid),
            segments.receiving(settings.receiving_application, settings.receiving_facility),
            timestamp(setting.at),
            "",
            fields[8],
            plain(setting.wire_id),
            fields[10],
            version,
            "",
            "",
            accept,
            application,
            *fields[_MSH_KEPT_FROM - 1 : _MSH_KEPT_TO],
        ]
    ).rstrip("|")


def _own_header(setting: Setting, channel: Channel, transport: MllpTransport | None, told: str) -> str:
    """MSH of a message of our own to a channel."""
    header = segments.header(
        setting.engine.identity,
        (channel.message.receiving_application, channel.message.receiving_facility),
        _ORDER_TYPE,
        told=told,
        wire_id=setting.wire_id,
        version=channel.message.version,
        processing_id=setting.engine.processing_ids[0],
    )
    accept, application = _acknowledgements(transport)
    if not accept:
        return header
    fields = header.split("|")
    fields[14], fields[15] = accept, application
    return "|".join(fields)


def _acknowledgements(transport: MllpTransport | None) -> tuple[str, str]:
    """MSH-15 and MSH-16: in enhanced mode the receiver says CA once it keeps the message, and nothing later."""
    if transport is None:
        return ("NE", "NE")
    return ("AL", "NE") if transport.ack_mode == "enhanced" else ("", "")


def _composed(
    send: Send, referral: Referral, setting: Setting, channel: Channel, transport: MllpTransport | None
) -> bytes:
    """An order that did not come as HL7, written from what is known of it."""
    order = referral.order
    identity = setting.engine.identity
    ordered_at = timestamp(order.ordered_at)
    pair = _pair(channel, send)
    control, request = segments.ordered(referral, identity, pair.control, at=ordered_at, status=pair.status)
    lines = [
        _own_header(setting, channel, transport, timestamp(setting.at)),
        segments.patient(referral.patient, setting.authorities, phone=True),
        *_insurance(order),
        control,
        _with_priority(request, referral, setting),
    ]
    if order.diagnosis:
        lines.append(f"DG1|1||{plain(order.diagnosis)}|||W")
    return segments.written(line for line in lines if line[:3] not in channel.message.drop_segments)


def _insurance(order: Order) -> list[str]:
    """IN1, when a payer or a plan is known."""
    if not (order.payer or order.plan):
        return []
    segment = f"IN1|1|{plain(order.plan or order.payer)}|{plain(order.payer or order.plan)}"
    return [f"{segment}|||||||||||{plain(order.authorization_number)}".rstrip("|")]


def _with_priority(request: str, referral: Referral, setting: Setting) -> str:
    """OBR with the urgency in OBR-27.6 and the wanted specialist in OBR-28."""
    fields = request.split("|")
    fields += [""] * (29 - len(fields))
    fields[27] = "^^^^^S" if referral.order.urgency is Urgency.URGENT else "^^^^^R"
    fields[28] = plain(referral.order.referred_to or setting.specialist().npi)
    return "|".join(fields).rstrip("|")
