"""A consult note as the specialist sent it in, the message that files, corrects or takes it back in the EHR out."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from referral_engine.base.errors import MessageFault
from referral_engine.hl7.compose import timestamp
from referral_engine.hl7.segment import Segment
from referral_engine.loop.effects import Purpose, Send
from referral_engine.loop.referral import Finality, Identifier, Referral
from referral_engine.render import segments
from referral_engine.render.carried import Note, read_note
from referral_engine.render.ehr import own_header, patient
from referral_engine.render.segments import UTF_8, number, plain
from referral_engine.render.setting import Setting

CONSULT_NOTE: Final = "11488-4^Consult note^LN"  # OBR-4, and OBX-3 where the sender left it empty
_DOCUMENT_TYPE: Final = "CN"  # TXA-2, table 0270
_AUTHENTICATED: Final = "AU"  # TXA-17, table 0271

# MSH-9 and TXA-19 (table 0273) by what is done with the document.
_TRIGGERS: Final[Mapping[tuple[Purpose, str], tuple[str, str]]] = MappingProxyType(
    {
        (Purpose.CLOSURE, "note"): ("MDM^T02^MDM_T02", "AV"),
        (Purpose.CORRECTION, "addition"): ("MDM^T06^MDM_T02", "AV"),
        (Purpose.CORRECTION, "correction"): ("MDM^T10^MDM_T02", "AV"),
        (Purpose.CORRECTION, "replacement"): ("MDM^T10^MDM_T02", "AV"),
        (Purpose.RETRACTION, "retracted"): ("MDM^T11^MDM_T01", "CA"),
    }
)
_OTHERS: Final[Mapping[Purpose, str]] = MappingProxyType(
    {Purpose.CLOSURE: "note", Purpose.CORRECTION: "correction", Purpose.RETRACTION: "retracted"}
)


def document(send: Send, referral: Referral, setting: Setting) -> bytes:
    """MDM^T02, T06, T10 or T11, or ORU^R01 as conf/engine.toml says, with the note's own OBX.

    The content's characters and bytes stay as they came and MSH-18 says which they are; only where MSH-18 was wrong
    or missing, or cannot hold the patient's name, is the whole message written in UTF-8 and says so.
    """
    at = _place(send, referral)
    filed_as = referral.documents[at].document.value if at is not None else ""
    note = read_note(setting.source, referral.order.placer.value, filed_as)
    as_result = setting.engine.ehr.closure == "ORU^R01"
    build = _result if as_result else _medical_document
    if note is None:
        return segments.written(build(send, referral, setting, None, UTF_8))
    try:
        return segments.written(build(send, referral, setting, note, note.charset), note.codec)
    except MessageFault:
        return segments.written(build(send, referral, setting, note, UTF_8))


def _medical_document(send: Send, referral: Referral, setting: Setting, note: Note | None, charset: str) -> list[str]:
    """MDM: MSH EVN PID PV1, from v2.5 ORC OBR NTE, then TXA and the content."""
    about = send.about if (send.purpose, send.about) in _TRIGGERS else _OTHERS[send.purpose]
    message_type, availability = _TRIGGERS[send.purpose, about]
    told = timestamp(setting.at)
    ordering = segments.provider(referral.order.ordering_provider)
    withdrawn = send.purpose is Purpose.RETRACTION
    lines = [
        own_header(setting, message_type, told, charset),
        f"EVN||{told}",
        patient(referral, setting),
        f"PV1|1|O||||||{ordering}".rstrip("|"),
    ]
    remarks = [segment.raw for segment in note.remarks] if note is not None and not withdrawn else []
    grouped = segments.at_least(setting.engine.ehr.version, (2, 5))
    if grouped:
        status = "IP" if withdrawn else "CM"
        lines += [
            *segments.ordered(referral, setting.engine.identity, "RE", at=told, status=status, reported_at=told),
            *remarks,
        ]
    lines.append(_document_header(send, referral, note, told, availability))
    if not withdrawn:
        lines += _content(note, "") + ([] if grouped else remarks)
    return lines


def _document_header(send: Send, referral: Referral, note: Note | None, told: str, availability: str) -> str:
    """TXA: the note's own number, author and times; the EHR's own order number in TXA-14."""
    kind = "AP" if note is not None and any(segment.field(2) == "ED" for segment in note.content) else "TX"
    own, parent = _document_numbers(send, referral, note)
    written_at = _when(note, ("TXA", 4), ("OBR", 7)) or told
    originated = _when(note, ("TXA", 6), ("OBR", 22))
    author = note.author if note is not None else ""
    signed = note.field("TXA", 22) if note is not None else ""
    order = referral.order
    copies = segments.provider(order.ordering_provider)
    reason = ""
    if send.purpose is Purpose.RETRACTION:
        reason = "the note was filed here by mistake" if send.about == "undone" else "the sender took the note back"
    return (
        f"TXA|1|{_DOCUMENT_TYPE}|{kind}|{written_at}||{originated}|||{author}|||{own}|{parent}"
        f"|{number(order.placer)}|{number(order.filler)}||{_AUTHENTICATED}||{availability}||{reason}|{signed}|{copies}"
    ).rstrip("|")


def _result(send: Send, referral: Referral, setting: Setting, note: Note | None, charset: str) -> list[str]:
    """ORU: MSH PID ORC OBR NTE and the content; OBX-11 says C for a correction, W or D for what is taken back."""
    told = timestamp(setting.at)
    own, _ = _document_numbers(send, referral, note)
    withdrawn = send.purpose is Purpose.RETRACTION
    corrected = withdrawn or (send.purpose is Purpose.CORRECTION and send.about != "addition")
    lines = [
        own_header(setting, "ORU^R01^ORU_R01", told, charset),
        patient(referral, setting),
        *segments.ordered(
            referral,
            setting.engine.identity,
            "RE",
            at=told,
            status="IP" if withdrawn else "CM",
            filler=own,
            what=CONSULT_NOTE,
            observed_at=_when(note, ("TXA", 4), ("OBR", 7)) or told,
            reported_at=told,
            result="C" if corrected else "F",
        ),
    ]
    if withdrawn:
        return lines + _emptied(note)
    remarks = [segment.raw for segment in note.remarks] if note is not None else []
    return lines + remarks + _content(note, "C" if corrected else "")


def _content(note: Note | None, state: str) -> list[str]:
    """The note's OBX and NTE as they came; OBX-3 and OBX-11 are filled in where empty, OBX-11 set where `state` is."""
    if note is None or not any(segment.name == "OBX" for segment in note.content):
        sentence = "The consult note came on paper or by telephone; the practice keeps it."
        return [segments.text_line(1, CONSULT_NOTE, sentence, state or "F")]
    return [_completed(segment, state) if segment.name == "OBX" else segment.raw for segment in note.content]


def _completed(segment: Segment, state: str) -> str:
    """One OBX with what v2.5.1 requires; OBX-5 is not touched."""
    fields = segment.raw.split("|", 12)
    if len(fields) > 11 and fields[3] and fields[11] and state in ("", fields[11]):
        return segment.raw
    fields += [""] * (12 - len(fields))
    fields[3] = fields[3] or CONSULT_NOTE
    fields[11] = state or fields[11] or "F"
    return "|".join(fields)


def _emptied(note: Note | None) -> list[str]:
    """The OBX that are taken back, by their keys: what was sent for the wrong patient is not sent once more."""
    state = "W" if note is not None and note.wrong_patient else "D"
    results = [segment for segment in note.content if segment.name == "OBX"] if note is not None else []
    if not results:
        sentence = "The sender took the consult note back."
        return [segments.text_line(1, CONSULT_NOTE, sentence, state)]
    return [
        f"OBX|{segment.field(1)}|{segment.field(2)}|{segment.field(3) or CONSULT_NOTE}|{segment.field(4)}|||||||{state}"
        for segment in results
    ]


def _document_numbers(send: Send, referral: Referral, note: Note | None) -> tuple[str, str]:
    """TXA-12 and TXA-13: this document, and the one it replaces or adds to; a retraction names what the EHR has."""
    at = _place(send, referral)
    own = referral.documents[at] if at is not None else None
    earlier = _finished(referral, len(referral.documents) if at is None else at)
    written = (_given(referral, at) if at is not None else _number_in(note)) or plain(f"{referral.id}-NOTE")
    before = _given(referral, earlier[-1]) if earlier else ""
    if send.purpose is Purpose.RETRACTION:
        itself = own is not None and own.finality is not Finality.RETRACTED  # what we filed here by mistake
        return (written if itself else before or written), ""
    if send.purpose is not Purpose.CORRECTION:
        return written, ""
    named = own.replaces if own is not None else Identifier()
    revised = next((one for one in reversed(earlier) if named and referral.documents[one].document == named), None)
    return written, _given(referral, revised) if revised is not None else before


def _place(send: Send, referral: Referral) -> int | None:
    """Which of the referral's documents is sent: the newest that the message brought."""
    places = range(len(referral.documents) - 1, -1, -1)
    return next((at for at in places if referral.documents[at].message == send.message), None)


def _finished(referral: Referral, before: int) -> list[int]:
    """The places of the finished documents before one."""
    finished = (Finality.FINAL, Finality.CORRECTED)
    return [at for at, known in enumerate(referral.documents[:before]) if known.finality in finished]


def _given(referral: Referral, at: int) -> str:
    """The number under which the EHR has a document, an EI: its own, or one of ours where it has none to itself.

    What stands beside an earlier document may not come under that one's number: the EHR would put it in its place.
    """
    known = referral.documents[at]
    earlier = [referral.documents[one] for one in _finished(referral, at)]
    if known.document and not (known.adds and any(one.document == known.document for one in earlier)):
        return number(known.document)
    beside = known.adds or (known.finality is Finality.FINAL and bool(earlier))
    return plain(f"{referral.id}-NOTE{known.message if beside else ''}")


def _number_in(note: Note | None) -> str:
    """The number in the note itself, as received: TXA-12, else OBR-3."""
    return (note.field("TXA", 12) or note.field("OBR", 3)) if note is not None else ""


def _when(note: Note | None, *places: tuple[str, int]) -> str:
    """The first time the note gives among these fields, as received."""
    return next((text for place in places if (text := note.field(*place))), "") if note is not None else ""
