"""An order and what is known of its referral in, the blocks of a paper packet out: facts, paragraphs, headings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from referral_engine.base.ident import is_npi
from referral_engine.channels.channel import FaxTransport
from referral_engine.hl7.message import Message
from referral_engine.hl7.segment import Segment
from referral_engine.hl7.types import Telephone, read_each, read_xtn
from referral_engine.loop.effects import ORDERS, Purpose, Send
from referral_engine.loop.referral import Referral
from referral_engine.loop.states import Urgency
from referral_engine.render.carried import own_groups, read_carried
from referral_engine.render.setting import Setting
from referral_engine.render.specialist import QUESTIONS
from referral_engine.render.ways import way_taken

EVERYTHING: Final = ("order", "demographics", "insurance", "notes")
PACKETS: Final = ORDERS | {Purpose.ORDER_CHANGE, Purpose.SECOND_NOTICE}  # carry the order; the others only ask
_TEXT_TYPES: Final = ("TX", "FT", "ST", "NM", "SN", "CE", "CWE", "DT", "TM", "TS", "DTM", "")
_OLD_NUMBER_LENGTH: Final = 8  # YYYYMMDD


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a part."""

    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and what it says."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; line breaks are kept."""

    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """An empty box to tick."""

    text: str


Block = Heading | Fact | Paragraph | Choice


def packet(send: Send, referral: Referral, setting: Setting) -> list[Block]:
    """What the pages behind the cover sheet say, in the order of importance: a cut packet loses its end."""
    source = read_carried(setting.source)
    dropped = setting.specialist().message.drop_segments
    segments: list[Segment] = []
    if source is not None:
        own = own_groups(source.segments, referral.order.placer.value)
        segments = [segment for segment in own if segment.name not in dropped]
    asks = send.purpose not in PACKETS
    blocks = _asked(send, setting)
    if asks:
        return blocks + _demographics(referral, [], brief=True) + _order(referral, setting, []) + _answers(send)
    blocks += _answers(send)
    chosen = _chosen(setting, referral, send)
    if "demographics" in chosen:
        blocks += _demographics(referral, segments, brief=False)
    else:
        blocks += _demographics(referral, [], brief=True)
    if "order" in chosen:
        blocks += _order(referral, setting, segments)
    if "insurance" in chosen:
        blocks += _insurance(referral, segments)
    if "notes" in chosen:
        blocks += _notes(segments, source)
    return blocks


def _chosen(setting: Setting, referral: Referral, send: Send) -> tuple[str, ...]:
    """The parts the analyst wants on paper."""
    _, transport = way_taken(send, referral, setting.specialist())
    return transport.attach if isinstance(transport, FaxTransport) else EVERYTHING


def _asked(send: Send, setting: Setting) -> list[Block]:
    """What is asked of the office, first of all."""
    sentences = [QUESTIONS.get(send.purpose, ""), setting.reason]
    if send.purpose is Purpose.ORDER_CHANGE:
        sentences.insert(0, "This order replaces the one we sent before. Please work from this copy.")
    said = " ".join(sentence for sentence in sentences if sentence)
    return [Paragraph(said, strong=True)] if said else []


def _answers(send: Send) -> list[Block]:
    """What the office can tick and fax back."""
    choices = {
        Purpose.SECOND_NOTICE: ("We accept this referral", "We decline; reason:", "We have not received the packet"),
        Purpose.STATUS_CHECK: ("The patient attended", "The patient did not attend", "Rescheduled to:"),
        Purpose.NOTE_PING: ("The note is attached", "The note will follow on:", "There was no visit"),
        Purpose.RECORDS_REQUEST: ("The records are attached", "There are no records; reason:"),
        Purpose.CANCEL: ("The referral is cancelled here", "Too late; the patient was seen on:"),
    }.get(send.purpose, ())
    if not choices:
        return []
    return [Heading("Your answer - tick and fax this page back"), *(Choice(text) for text in choices)]


def _demographics(referral: Referral, segments: list[Segment], *, brief: bool) -> list[Block]:
    """Who the patient is: what is known of the person, and address and telephone numbers from PID."""
    person = referral.patient
    facts: list[Block] = [
        Heading("Patient"),
        Fact("Name", f"{person.family.reveal()}, {person.given.reveal()}".strip(", ")),
        Fact("Born", written_date(person.born_on.reveal())),
        Fact("Sex", person.sex.reveal()),
    ]
    for known in person.ids:
        authority = f" ({known.authority})" if known.authority else ""
        facts.append(Fact("Record no.", f"{known.value.reveal()}{authority}"))
    if brief:
        return _said(facts)
    pid = _first(segments, "PID")
    telephones: list[Telephone] = read_each(read_xtn, pid, 13) + read_each(read_xtn, pid, 14) if pid is not None else []
    numbers = [known.number for known in telephones if known.number]
    facts.append(Fact("Telephone", ", ".join(dict.fromkeys(numbers)) or person.phone.reveal()))
    if pid is not None:
        facts.append(Fact("Address", ", ".join(part for part in pid.components(11)[:6] if part)))
    facts.append(Fact("Language", person.language))
    return _said(facts)


def _order(referral: Referral, setting: Setting, segments: list[Segment]) -> list[Block]:
    """What is asked for, by whom, how soon and why."""
    order = referral.order
    urgent = order.urgency is Urgency.URGENT
    physician = order.ordering_provider
    name = f"{physician.family}, {physician.given}".strip(", ")
    kind = "NPI" if is_npi(physician.number) else "no."
    slot = referral.slot
    facts: list[Block] = [
        Heading("Referral order"),
        Fact(
            "Service",
            f"{order.service_text or order.service_code} ({order.service_code})"
            if order.service_code
            else order.service_text,
        ),
        Fact("Urgency", "URGENT" if urgent else "Routine"),
        Fact("Ordered", _shown(setting, referral)),
        Fact("Ordered by", f"{name} ({kind} {physician.number})" if physician.number else name),
        Fact("Order no.", order.placer.value),
        Fact("Referral no.", referral.id),
    ]
    if slot is not None:
        facts.append(Fact("Appointment", slot.starts_at.astimezone(setting.zone).strftime("%Y-%m-%d %H:%M")))
    diagnoses = [segment for segment in segments if segment.name == "DG1"]
    said = [
        " ".join(part for part in (found.text(3, 1), found.text(3, 2) or found.text(4)) if part) for found in diagnoses
    ]
    facts += [Fact("Diagnosis", text) for text in said or [order.diagnosis]]
    for found in segments:
        if found.name == "OBR":
            facts.append(Fact("Reason", found.text(31, 2) or found.text(31)))
            facts.append(Fact("Clinical info", found.whole(13)))
    return _said(facts)


def _insurance(referral: Referral, segments: list[Segment]) -> list[Block]:
    """Who pays, and under which authorization."""
    order = referral.order
    facts: list[Block] = [Heading("Insurance")]
    plans = [segment for segment in segments if segment.name == "IN1"]
    for plan in plans:
        facts += [
            Fact(
                "Company",
                " ".join(part for part in (plan.text(4), f"({plan.text(3)})" if plan.text(3) else "") if part),
            ),
            Fact("Plan", plan.text(2, 2) or plan.text(2)),
            Fact("Policy no.", plan.text(36)),
            Fact("Member no.", plan.text(49)),
            Fact("Group", plan.text(8)),
            Fact("Insured", f"{plan.text(16)}, {plan.text(16, 2)}".strip(", ")),
        ]
    if not plans:
        facts += [Fact("Payer", order.payer), Fact("Plan", order.plan)]
    facts.append(Fact("Authorization", order.authorization_number))
    if order.authorization_expires_on is not None:
        facts.append(Fact("Valid until", order.authorization_expires_on.isoformat()))
    return _said(facts)


def _notes(segments: list[Segment], source: Message | None) -> list[Block]:
    """Allergies, remarks and clinical text of the order, in its order."""
    if source is None:
        return []
    out: list[Block] = []
    title = ""
    for segment in segments:
        if segment.name == "AL1":
            out.append(Fact("Allergy", segment.text(3, 2) or segment.text(3)))
        elif segment.name == "NTE":
            out += [Paragraph(text) for text in _each(segment, 3)]
        elif segment.name == "OBX":
            label = segment.text(3, 2) or segment.text(3)
            out += _observation(segment, "" if label == title else label)
            title = label
    kept = _said(out)
    return [Heading("Clinical notes"), *kept] if kept else []


def _observation(segment: Segment, label: str) -> Iterable[Block]:
    """One OBX: its text, or a clear word where it holds something that cannot be printed."""
    if segment.text(2) not in _TEXT_TYPES:
        return [
            Paragraph(
                f"[{label or 'An attachment'}: a file came with the order that cannot be printed here."
                " Please call us for it.]",
                strong=True,
            )
        ]
    coded = segment.text(2) in ("CE", "CWE")
    values = [segment.text(5, 2) or segment.text(5)] if coded else list(_each(segment, 5))
    unit = segment.text(6)
    text = "\n".join(value for value in values if value)
    said = f"{text} {unit}".strip()
    return [Fact(label, said)] if label and len(said) < 60 and "\n" not in said else _labelled(label, said)


def _labelled(label: str, text: str) -> list[Block]:
    """A paragraph under its label."""
    return [*([Paragraph(label, strong=True)] if label and text else []), *([Paragraph(text)] if text else [])]


def _each(segment: Segment, field: int) -> Iterable[str]:
    """Every repetition of a text field, unescaped."""
    return (segment.whole(field, at) for at in range(1, len(segment.repetitions(field)) + 1))


def _first(segments: list[Segment], name: str) -> Segment | None:
    """The first segment of that name."""
    return next((segment for segment in segments if segment.name == name), None)


def _said(blocks: Iterable[Block]) -> list[Block]:
    """The blocks that say something."""
    return [block for block in blocks if block.text.strip()]


def written_date(text: str) -> str:
    """A birth date for reading, as far as it is known."""
    if len(text) >= _OLD_NUMBER_LENGTH and text[:8].isdigit():
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
    return text


def _shown(setting: Setting, referral: Referral) -> str:
    """When the order was written, on the clinic's wall."""
    return referral.order.ordered_at.astimezone(setting.zone).strftime("%Y-%m-%d %H:%M")
